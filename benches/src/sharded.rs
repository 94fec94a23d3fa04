//! `sharded`: a canned stream from all nodes of a cluster, as shard channels, beside the same as channels of one server.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use ::tidings::{Bytes, ClusterClient, Event, Kinds, PubSub, blocking};

use crate::contestant::{self, Kind, current_thread, nothing_to_prepare};
use crate::drain::{self, shape, tally::Tally};
use crate::machine::Core;
use crate::measure::Outcome;
use crate::report::{Column, count, figures, or_dash};
use crate::rounds::{Benchmark, Observed, Run};
use crate::{Error, Result};

type Contestant = contestant::Contestant<Shape>;
type Assignment = contestant::Assignment<Shape>;

pub(crate) struct Sharded;

/// How many nodes, and the size of a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    nodes: usize,
    size: usize,
}

impl Shape {
    const USUAL: &[Self] = &[
        Self { nodes: 1, size: 16 },
        Self { nodes: 3, size: 16 },
        Self {
            nodes: 3,
            size: 256,
        },
        Self {
            nodes: 3,
            size: 4096,
        },
    ];

    fn stream(self) -> shape::Shape {
        shape::Shape::Sharded(self.nodes, self.size)
    }

    fn channels(self) -> Vec<String> {
        self.stream().channels()
    }
}

impl FromStr for Shape {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.parse()? {
            shape::Shape::Sharded(nodes, size) => Ok(Self { nodes, size }),
            _ => Err(format!("`{text}` is not NODES/SIZE").into()),
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.stream().fmt(f)
    }
}

const CONTESTANTS: &[Contestant] = &[
    contestant("plain", "`client.pubsub()` of one server", |assignment| {
        current_thread()?.block_on(plain(assignment))
    }),
    contestant("sharded", "`cluster.sharded_pubsub()`", |assignment| {
        current_thread()?.block_on(sharded(assignment))
    }),
    contestant(
        "plain-blocking",
        "`plain` of `tidings::blocking`",
        plain_in_a_thread,
    ),
    contestant(
        "sharded-blocking",
        "`sharded` of `tidings::blocking`",
        sharded_in_a_thread,
    ),
];

const fn contestant(
    name: &'static str,
    usage: &'static str,
    run: fn(&Assignment) -> Result<Outcome>,
) -> Contestant {
    Contestant {
        name,
        usage,
        package: Some("tidings"),
        kind: Kind::Tidings,
        most: 8_000_000,
        core: Core::Last,
        prepare: nothing_to_prepare,
        run,
    }
}

/// Bytes on the wire after which a run ends even if its messages are few: about a second.
const MOST_BYTES: u64 = 2_000_000_000;

impl Benchmark for Sharded {
    type Shape = Shape;

    const NAME: &'static str = "sharded";
    const SHAPES_OPTION: &'static str = "--shapes";
    const UNITS: &'static str = "messages";
    const COLUMNS: &'static [Column] = &[
        Column {
            head: "messages",
            cell: |rows| count(rows.first().asked as f64),
        },
        Column {
            head: "messages/s",
            cell: |rows| rows.spread(Run::per_second).show(count),
        },
        Column {
            head: "CPU µs/message",
            cell: |rows| rows.spread(|run| run.cpu_each() / 1e3).show(figures),
        },
        Column {
            head: "CPU × plain",
            cell: |rows| or_dash(rows.against(is_plain, Run::cpu_each), |it| it.show(figures)),
        },
        Column::LOST,
        Column::PEAK,
    ];

    fn new(server: Option<&Path>) -> Result<Self> {
        match server {
            None => Ok(Self),
            Some(_) => Err("sharded brings its own servers".into()),
        }
    }

    fn facts(&self) -> String {
        "canned servers".to_owned()
    }

    fn contestants() -> &'static [Contestant] {
        CONTESTANTS
    }

    fn usual_shapes() -> &'static [Shape] {
        Shape::USUAL
    }

    fn title(shape: Shape) -> String {
        let channels = shape.channels().len();
        match shape.nodes {
            1 => format!("{channels} channels on one node, {} B", shape.size),
            more => format!("{channels} channels on {more} nodes, {} B", shape.size),
        }
    }

    fn count(shape: Shape, at_most: u64) -> u64 {
        let by_bytes = MOST_BYTES / shape.stream().frame_len() as u64;
        by_bytes.min(at_most).max(1)
    }

    fn run(&self, contestant: &Contestant, shape: Shape, count: u64) -> Result<Observed> {
        drain::run_canned::<Self>(contestant, shape, shape.stream(), (count, 1))
    }
}

fn is_plain(run: &Run) -> bool {
    run.contestant == "plain"
}

/// Takes messages until the mark of each channel has come.
struct Reading {
    tally: Tally,
    channels_left: usize,
}

impl Reading {
    fn new(shape: Shape) -> Self {
        Self {
            tally: Tally::subscribed(),
            channels_left: shape.channels().len(),
        }
    }

    /// `false` at the end. A gap is loss, and shown as such, since what it stands for is not counted.
    #[inline]
    fn take(&mut self, event: ::tidings::Result<Event>) -> Result<bool> {
        if let Event::Message(message) = event?
            && !self.tally.take(message.payload())
        {
            self.channels_left -= 1;
        }
        Ok(self.channels_left > 0)
    }

    fn finish(self) -> Result<Outcome> {
        match self.channels_left {
            0 => Ok(self.tally.finish()),
            _ => Err("the stream broke off".into()),
        }
    }
}

fn url_of_server(assignment: &Assignment) -> String {
    format!("redis://127.0.0.1:{}/?protocol=3", assignment.port)
}

fn url_of_cluster(assignment: &Assignment) -> String {
    format!("redis+cluster://127.0.0.1:{}/?protocol=3", assignment.port)
}

async fn plain(assignment: &Assignment) -> Result<Outcome> {
    let client = ::tidings::Client::connect(url_of_server(assignment).as_str()).await?;
    let builder = client.pubsub().channels(assignment.shape.channels());
    read(assignment, builder.ignore_subscribe_messages(true).await?).await
}

async fn sharded(assignment: &Assignment) -> Result<Outcome> {
    let client = ClusterClient::connect(url_of_cluster(assignment).as_str()).await?;
    let builder = client
        .sharded_pubsub()
        .channels(assignment.shape.channels());
    read(assignment, builder.ignore_subscribe_messages(true).await?).await
}

async fn read<K: Kinds>(assignment: &Assignment, mut pubsub: PubSub<Bytes, K>) -> Result<Outcome> {
    let mut reading = Reading::new(assignment.shape);
    while let Some(event) = pubsub.next().await {
        if !reading.take(event)? {
            break;
        }
    }
    reading.finish()
}

fn plain_in_a_thread(assignment: &Assignment) -> Result<Outcome> {
    let client = blocking::Client::connect(url_of_server(assignment).as_str())?;
    let builder = client.pubsub().channels(assignment.shape.channels());
    read_in_a_thread(assignment, builder.ignore_subscribe_messages(true).open()?)
}

fn sharded_in_a_thread(assignment: &Assignment) -> Result<Outcome> {
    let client = blocking::ClusterClient::connect(url_of_cluster(assignment).as_str())?;
    let builder = client
        .sharded_pubsub()
        .channels(assignment.shape.channels());
    read_in_a_thread(assignment, builder.ignore_subscribe_messages(true).open()?)
}

fn read_in_a_thread<K: Kinds>(
    assignment: &Assignment,
    pubsub: blocking::PubSub<Bytes, K>,
) -> Result<Outcome> {
    let mut reading = Reading::new(assignment.shape);
    for event in pubsub {
        if !reading.take(event)? {
            break;
        }
    }
    reading.finish()
}
