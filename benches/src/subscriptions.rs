//! `subscriptions`: what very many subscriptions on one connection take: memory, and the time until the server has
//! confirmed all of them.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use ::tidings::Client;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use crate::commands::Server;
use crate::contestant::{Assignment, Contestant, Kind, current_thread, nothing_to_prepare};
use crate::machine::Core;
use crate::measure::{Outcome, Stopwatch};
use crate::report::{Column, figures, or_dash};
use crate::rounds::{Benchmark, Observed};
use crate::{Error, Result};

pub(crate) struct Subscriptions(Server);

/// So many names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Names(usize);

impl FromStr for Names {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Ok(Self(text.parse()?))
    }
}

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

const CONTESTANTS: &[Contestant<Names>] = &[
    Contestant {
        name: "PubSub",
        usage: "one `PubSub` with all names",
        package: None,
        kind: Kind::Tidings,
        most: u64::MAX,
        core: Core::Last,
        prepare: nothing_to_prepare,
        run: |assignment| current_thread()?.block_on(pubsub(assignment)),
    },
    Contestant {
        name: "Subscription",
        usage: "a `Subscription` for each name, asked for all at once",
        package: None,
        kind: Kind::Tidings,
        most: u64::MAX,
        core: Core::Last,
        prepare: nothing_to_prepare,
        run: |assignment| current_thread()?.block_on(subscriptions(assignment)),
    },
];

impl Benchmark for Subscriptions {
    type Shape = Names;

    const NAME: &'static str = "subscriptions";
    const SHAPES_OPTION: &'static str = "--names";
    const UNITS: &'static str = "subscriptions";
    const COLUMNS: &'static [Column] = &[
        Column {
            head: "bytes/subscription",
            cell: |rows| {
                let each = rows.known(|run| Some(run.each(run.observed.outcome.heap?.live)));
                or_dash(each, |it| it.show(figures))
            },
        },
        Column {
            head: "ms until all are confirmed",
            cell: |rows| {
                let wall = rows.spread(|run| run.observed.outcome.wall_nanos as f64 / 1e6);
                wall.show(figures)
            },
        },
        Column {
            head: "CPU µs/subscription",
            cell: |rows| rows.spread(|run| run.cpu_each() / 1e3).show(figures),
        },
        Column::PEAK,
    ];

    fn new(server: Option<&Path>) -> Result<Self> {
        Ok(Self(Server::start(server)?))
    }

    fn facts(&self) -> String {
        self.0.facts()
    }

    fn contestants() -> &'static [Contestant<Names>] {
        CONTESTANTS
    }

    fn usual_shapes() -> &'static [Names] {
        &[Names(100_000)]
    }

    fn title(Names(names): Names) -> String {
        format!("{names} names on one connection")
    }

    fn count(Names(names): Names, at_most: u64) -> u64 {
        at_most.min(names as u64)
    }

    fn run(&self, contestant: &Contestant<Names>, shape: Names, count: u64) -> Result<Observed> {
        self.0.run::<Self>(contestant, shape, count)
    }
}

async fn connect(assignment: &Assignment<Names>) -> Result<Client> {
    let url = format!("redis://127.0.0.1:{}/?protocol=3", assignment.port);
    Ok(Client::connect(url.as_str()).await?)
}

fn name(index: u64) -> String {
    format!("user:{index:08}:events")
}

async fn pubsub(assignment: &Assignment<Names>) -> Result<Outcome> {
    let client = connect(assignment).await?;
    let mut pubsub = client.pubsub().ignore_subscribe_messages(true).await?;
    let stopwatch = Stopwatch::start();
    let names: Vec<String> = (0..assignment.count).map(name).collect();
    pubsub.subscribe(&names).await?;
    drop(names);
    let outcome = stopwatch.stop(assignment.count, 0);
    match pubsub.channels().len() as u64 == assignment.count {
        true => Ok(outcome),
        false => Err("not all names are subscribed".into()),
    }
}

async fn subscriptions(assignment: &Assignment<Names>) -> Result<Outcome> {
    let client = connect(assignment).await?;
    let stopwatch = Stopwatch::start();
    let mut all = Vec::with_capacity(usize::try_from(assignment.count)?);
    let mut asked = FuturesUnordered::new();
    for index in 0..assignment.count {
        asked.push(client.subscribe(name(index)).into_future());
    }
    while let Some(subscription) = asked.next().await {
        all.push(subscription?);
    }
    drop(asked);
    Ok(stopwatch.stop(all.len() as u64, 0))
}
