//! `blocking`: one command at a time in a thread, as long as its answer takes.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use ::redis::Commands as _;
use ::tidings::Commands as _;

use super::{MEDIAN, P99, Players, TURNS, hiredis, median_micros, take_turns};
use crate::commands::Server;
use crate::contestant::{Assignment, Contestant, Kind, nothing_to_prepare};
use crate::machine::Core;
use crate::measure::{Latency, Outcome, Stopwatch, monotonic_nanos};
use crate::report::{Column, figures, or_dash};
use crate::rounds::{Benchmark, Observed, Run};
use crate::{Error, Result};

pub(crate) struct Blocking {
    server: Server,
    players: Players,
}

/// The command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Get,
    Publish,
}

impl FromStr for Shape {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "get" => Ok(Self::Get),
            "publish" => Ok(Self::Publish),
            _ => Err(format!("`{text}` is neither `get` nor `publish`").into()),
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Get => "get",
            Self::Publish => "publish",
        })
    }
}

/// The key of GET, the channel of PUBLISH, which has no subscribers, and what is there.
pub(super) const NAME: &str = "bench";
pub(super) const VALUE: &str = "0123456789abcdef";

/// Commands before the first turn.
const WARM_UP: usize = 500;

const CONTESTANTS: &[Contestant<Shape>] = &[
    Contestant {
        name: "tidings",
        usage: "`blocking::Client`",
        package: Some("tidings"),
        kind: Kind::Tidings,
        most: u64::MAX,
        core: Core::Last,
        prepare: nothing_to_prepare,
        run: tidings,
    },
    Contestant {
        name: "redis",
        usage: "synchronous `Connection`",
        package: Some("redis"),
        kind: Kind::Peer,
        most: u64::MAX,
        core: Core::Last,
        prepare: nothing_to_prepare,
        run: redis,
    },
    hiredis::HIREDIS,
];

impl Benchmark for Blocking {
    type Shape = Shape;

    const NAME: &'static str = "blocking";
    const SHAPES_OPTION: &'static str = "--of";
    const UNITS: &'static str = "commands";
    const ROUNDS: usize = TURNS;
    const COLUMNS: &'static [Column] = &[
        MEDIAN,
        P99,
        Column {
            head: "median × redis",
            cell: |rows| {
                let ratio = rows.against(is_redis, |run| median_micros(run).unwrap_or(f64::NAN));
                or_dash(ratio, |it| it.show(figures))
            },
        },
        Column {
            head: "CPU µs/command",
            cell: |rows| rows.spread(|run| run.cpu_each() / 1e3).show(figures),
        },
    ];

    fn new(server: Option<&Path>) -> Result<Self> {
        Ok(Self {
            server: Server::start(server)?,
            players: Players::default(),
        })
    }

    fn facts(&self) -> String {
        self.server.facts()
    }

    fn contestants() -> &'static [Contestant<Shape>] {
        CONTESTANTS
    }

    fn usual_shapes() -> &'static [Shape] {
        &[Shape::Get, Shape::Publish]
    }

    fn title(shape: Shape) -> String {
        match shape {
            Shape::Get => "GET of 16 B".to_owned(),
            Shape::Publish => "PUBLISH of 16 B, no subscribers".to_owned(),
        }
    }

    fn count(_: Shape, at_most: u64) -> u64 {
        at_most.min(500)
    }

    fn run(&self, contestant: &Contestant<Shape>, shape: Shape, count: u64) -> Result<Observed> {
        self.players
            .turn::<Self>(&self.server, contestant, shape, count)
    }
}

fn is_redis(run: &Run) -> bool {
    run.kind == Kind::Peer
}

fn tidings(assignment: &Assignment<Shape>) -> Result<Outcome> {
    let url = format!("redis://127.0.0.1:{}/?protocol=3", assignment.port);
    let client = ::tidings::blocking::Client::connect(url.as_str())?;
    client.set(NAME, VALUE)?;
    match assignment.shape {
        Shape::Get => turns(assignment, || check(&client.get::<String>(NAME)?)),
        Shape::Publish => turns(assignment, || nobody(client.publish(NAME, VALUE)?)),
    }
}

fn redis(assignment: &Assignment<Shape>) -> Result<Outcome> {
    let url = format!("redis://127.0.0.1:{}/?protocol=resp3", assignment.port);
    let mut connection = ::redis::Client::open(url)?.get_connection()?;
    let () = connection.set(NAME, VALUE)?;
    match assignment.shape {
        Shape::Get => turns(assignment, || check(&connection.get::<_, String>(NAME)?)),
        Shape::Publish => turns(assignment, || nobody(connection.publish(NAME, VALUE)?)),
    }
}

fn check(value: &str) -> Result<()> {
    match value == VALUE {
        true => Ok(()),
        false => Err(format!("{value:?} in the place of {VALUE:?}").into()),
    }
}

fn nobody(receivers: i64) -> Result<()> {
    match receivers {
        0 => Ok(()),
        more => Err(format!("{more} subscribers where none should be").into()),
    }
}

fn turns(
    assignment: &Assignment<Shape>,
    mut command: impl FnMut() -> Result<()>,
) -> Result<Outcome> {
    for _ in 0..WARM_UP {
        command()?;
    }
    take_turns(|| {
        let mut all = Vec::with_capacity(usize::try_from(assignment.count)?);
        let stopwatch = Stopwatch::start();
        let mut before = monotonic_nanos();
        for _ in 0..assignment.count {
            command()?;
            let now = monotonic_nanos();
            all.push(now - before);
            before = now;
        }
        let outcome = stopwatch.stop(assignment.count, assignment.count * VALUE.len() as u64);
        Ok(Outcome {
            latency: Some(Latency::of(all)),
            ..outcome
        })
    })
}
