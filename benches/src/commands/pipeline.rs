//! `pipeline`: pipelines of SET and GET in turn, and transactions of them, one after the other.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use super::client::{Client, contestant};
use super::fred::Fred;
use super::pairs::{self, Pairs};
use super::redis::Redis;
use super::rustis::Rustis;
use super::server::Server;
use super::tidings::Tidings;
use super::{hiredis, raw};
use crate::contestant::{Assignment, Contestant, Kind, current_thread};
use crate::measure::{Outcome, Stopwatch};
use crate::report::{Column, count, figures, or_dash};
use crate::rounds::{Benchmark, Observed, Run};
use crate::{Error, Result};

pub(crate) struct Pipeline {
    server: Server,
}

/// How many commands, and whether as a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(super) commands: usize,
    pub(super) transaction: bool,
}

impl Shape {
    const USUAL: &[Self] = &[
        Self::plain(10),
        Self::plain(100),
        Self::plain(1000),
        Self::plain(10_000),
        Self::MULTI,
    ];

    pub(super) const MULTI: Self = Self {
        commands: 100,
        transaction: true,
    };

    pub(super) const fn plain(commands: usize) -> Self {
        Self {
            commands,
            transaction: false,
        }
    }

    pub(super) fn pairs(self) -> Pairs {
        Pairs::new(self.commands / 2)
    }

    /// The pipelines that have at least `commands` commands together.
    pub(super) fn pipelines(self, commands: u64) -> u64 {
        commands.div_ceil(self.commands as u64)
    }
}

impl FromStr for Shape {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text == "multi" {
            return Ok(Self::MULTI);
        }
        match text.parse() {
            Ok(commands) if commands > 0 && commands % 2 == 0 => Ok(Self::plain(commands)),
            _ => Err(format!("`{text}` is neither an even number of commands nor `multi`").into()),
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.transaction {
            true => f.write_str("multi"),
            false => write!(f, "{}", self.commands),
        }
    }
}

const CONTESTANTS: &[Contestant<Shape>] = &[
    raw::PIPELINE,
    hiredis::PIPELINE,
    contestant::<Tidings, _>("`pipeline()`, `transaction(false)` or not", run::<Tidings>),
    contestant::<Rustis, _>("`create_pipeline`, `create_transaction`", run::<Rustis>),
    contestant::<Redis, _>(
        "multiplexed connection, `pipe()`, `.atomic()`; no response timeout, `TCP_NODELAY`",
        run::<Redis>,
    ),
    contestant::<Fred, _>("`pipeline()` and `all`, `multi()` and `exec`", run::<Fred>),
];

/// About a second.
const MOST_COMMANDS: u64 = 1_000_000;
/// Shorter pipelines take longer a command.
const MOST_PIPELINES: u64 = 20_000;

impl Benchmark for Pipeline {
    type Shape = Shape;

    const NAME: &'static str = "pipeline";
    const SHAPES_OPTION: &'static str = "--sizes";
    const UNITS: &'static str = "commands";
    const COLUMNS: &'static [Column] = &[
        Column {
            head: "commands/s",
            cell: |rows| rows.spread(Run::per_second).show(count),
        },
        Column {
            head: "CPU µs/command",
            cell: |rows| rows.spread(|run| run.cpu_each() / 1e3).show(figures),
        },
        Column {
            head: "CPU × raw",
            cell: |rows| or_dash(rows.against(is_raw, Run::cpu_each), |it| it.show(figures)),
        },
        Column {
            head: "time × raw",
            cell: |rows| {
                or_dash(rows.against(is_raw, Run::wall_each), |it| {
                    figures(it.middle)
                })
            },
        },
        Column {
            head: "CPU × hiredis",
            cell: |rows| {
                or_dash(rows.against(is_hiredis, Run::cpu_each), |it| {
                    it.show(figures)
                })
            },
        },
        Column {
            head: "time × hiredis",
            cell: |rows| {
                or_dash(rows.against(is_hiredis, Run::wall_each), |it| {
                    figures(it.middle)
                })
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

    fn contestants() -> &'static [Contestant<Shape>] {
        CONTESTANTS
    }

    fn usual_shapes() -> &'static [Shape] {
        Shape::USUAL
    }

    fn title(shape: Shape) -> String {
        match shape.transaction {
            true => format!("MULTI, {} commands, EXEC", shape.commands),
            false => format!("pipelines of {}", shape.commands),
        }
    }

    fn count(shape: Shape, at_most: u64) -> u64 {
        let commands = shape.commands as u64;
        let count = at_most.min(MOST_COMMANDS).min(MOST_PIPELINES * commands);
        count.next_multiple_of(commands)
    }

    fn run(&self, contestant: &Contestant<Shape>, shape: Shape, count: u64) -> Result<Observed> {
        self.server.run::<Self>(contestant, shape, count)
    }
}

fn is_raw(run: &Run) -> bool {
    run.kind == Kind::Floor
}

fn is_hiredis(run: &Run) -> bool {
    run.contestant == hiredis::PIPELINE.name
}

/// Pipelines over one client, one after the other, in a task as those of a service are: a runtime asks the kernel
/// once more for each waking of its main future.
pub(super) fn run<C: Client>(assignment: &Assignment<Shape>) -> Result<Outcome> {
    let runtime = current_thread()?;
    let Assignment { port, shape, count } = *assignment;
    runtime.block_on(runtime.spawn(pipelines::<C>(port, shape, count)))?
}

async fn pipelines<C: Client>(port: u16, shape: Shape, count: u64) -> Result<Outcome> {
    let mut client = C::connect(port).await?;
    let pairs = shape.pairs();
    // Every key is there, and every buffer has its size, before the time is taken.
    for window in pairs.windows().take(pairs.window_count()) {
        client.pipeline(window, shape.transaction).await?;
    }
    let mut bytes = 0;
    let stopwatch = Stopwatch::start();
    for (time, window) in (0..shape.pipelines(count)).zip(pairs.windows()) {
        let replies = client.pipeline(window, shape.transaction).await?;
        bytes += pairs::check(window, &replies, time)?;
    }
    Ok(stopwatch.stop(count, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_whole_pipelines() {
        let shape: Shape = "100".parse().unwrap();
        assert_eq!(Pipeline::count(shape, 250), 300);
        assert_eq!(shape.pipelines(300), 3);
        assert_eq!(Pipeline::count(shape, u64::MAX), MOST_COMMANDS);
    }

    #[test]
    fn odd_pipelines_are_refused() {
        for odd in ["0", "7", "many"] {
            assert!(odd.parse::<Shape>().is_err());
        }
        assert_eq!("multi".parse::<Shape>().unwrap().to_string(), "multi");
    }
}
