//! `publish`: tasks that publish over one client, each the next message when the last one is answered.

use std::fmt;
use std::num::NonZeroU64;
use std::path::Path;
use std::str::FromStr;

use super::client::{Client, contestant};
use super::fred::Fred;
use super::raw;
use super::redis::Redis;
use super::rustis::Rustis;
use super::server::Server;
use super::tidings::Tidings;
use crate::contestant::{Assignment, Contestant, Kind, current_thread};
use crate::measure::{Outcome, Stopwatch};
use crate::report::{Column, count, figures, or_dash};
use crate::rounds::{Benchmark, Observed, Run};
use crate::{Error, Result};

pub(crate) struct Publish {
    server: Server,
}

/// So many tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tasks(pub(super) NonZeroU64);

impl Tasks {
    const USUAL: &[Self] = &[Self::SIXTY_FOUR, Self(NonZeroU64::MIN)];

    pub(super) const SIXTY_FOUR: Self = Self(NonZeroU64::new(64).expect("it is not zero"));
}

impl FromStr for Tasks {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Ok(Self(text.parse()?))
    }
}

impl fmt::Display for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Without subscribers, so that the server has as little to do as can be.
pub(super) const CHANNEL: &str = "bench";
pub(super) const PAYLOAD: &str = "0123456789abcdef";

const CONTESTANTS: &[Contestant<Tasks>] = &[
    raw::PUBLISH,
    contestant::<Tidings, _>("a `Client` for all tasks", run::<Tidings>),
    contestant::<Rustis, _>("a `Client` for all tasks", run::<Rustis>),
    contestant::<Redis, _>(
        "multiplexed connection, a clone a task; no response timeout, `TCP_NODELAY`",
        run::<Redis>,
    ),
    contestant::<Fred, _>("a `Client` for all tasks", run::<Fred>),
];

/// About a second, each task's share.
const MOST_PER_TASK: u64 = 20_000;
const MOST: u64 = 400_000;

impl Benchmark for Publish {
    type Shape = Tasks;

    const NAME: &'static str = "publish";
    const SHAPES_OPTION: &'static str = "--tasks";
    const UNITS: &'static str = "publishes";
    const COLUMNS: &'static [Column] = &[
        Column {
            head: "publishes/s",
            cell: |rows| rows.spread(Run::per_second).show(count),
        },
        Column {
            head: "CPU µs/publish",
            cell: |rows| rows.spread(|run| run.cpu_each() / 1e3).show(figures),
        },
        Column {
            head: "CPU × raw",
            cell: |rows| or_dash(rows.against(is_raw, Run::cpu_each), |it| it.show(figures)),
        },
        Column {
            head: "CPU × best peer",
            cell: |rows| or_dash(rows.against(is_peer, Run::cpu_each), |it| it.show(figures)),
        },
        Column {
            head: "time × best peer",
            cell: |rows| {
                or_dash(rows.against(is_peer, Run::wall_each), |it| {
                    figures(it.middle)
                })
            },
        },
        Column {
            head: "server reads/publish",
            cell: |rows| {
                let reads = rows.known(|run| Some(run.each(run.observed.server_reads?)));
                or_dash(reads, |it| figures(it.middle))
            },
        },
        Column::PEAK,
    ];

    fn new(server: Option<&Path>) -> Result<Self> {
        Ok(Self {
            server: Server::start(server)?,
        })
    }

    fn facts(&self) -> String {
        self.server.facts()
    }

    fn contestants() -> &'static [Contestant<Tasks>] {
        CONTESTANTS
    }

    fn usual_shapes() -> &'static [Tasks] {
        Tasks::USUAL
    }

    fn title(tasks: Tasks) -> String {
        match tasks.0.get() {
            1 => "one task".to_owned(),
            more => format!("{more} tasks"),
        }
    }

    fn count(Tasks(tasks): Tasks, at_most: u64) -> u64 {
        let count = at_most.min(MOST).min(MOST_PER_TASK * tasks.get());
        count.next_multiple_of(tasks.get())
    }

    fn run(&self, contestant: &Contestant<Tasks>, tasks: Tasks, count: u64) -> Result<Observed> {
        self.server.run::<Self>(contestant, tasks, count)
    }
}

fn is_raw(run: &Run) -> bool {
    run.kind == Kind::Floor
}

fn is_peer(run: &Run) -> bool {
    run.kind == Kind::Peer
}

/// Tasks over one client.
pub(super) fn run<C: Client>(assignment: &Assignment<Tasks>) -> Result<Outcome> {
    current_thread()?.block_on(async {
        let Assignment { port, shape, count } = *assignment;
        let client = C::connect(port).await?;
        publish(client.clone(), WARM_UP).await?;
        let each = count / shape.0;
        let stopwatch = Stopwatch::start();
        let tasks: Vec<_> = (0..shape.0.get())
            .map(|_| tokio::spawn(publish(client.clone(), each)))
            .collect();
        for task in tasks {
            task.await??;
        }
        Ok(stopwatch.stop(count, count * PAYLOAD.len() as u64))
    })
}

const WARM_UP: u64 = 100;

async fn publish<C: Client>(mut client: C, times: u64) -> Result<()> {
    for _ in 0..times {
        let receivers = client.publish(CHANNEL, PAYLOAD).await?;
        if receivers != 0 {
            return Err(format!("{receivers} subscribers where none should be").into());
        }
    }
    Ok(())
}
