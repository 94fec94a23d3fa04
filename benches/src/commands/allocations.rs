//! `allocations`: what the clients take from the heap for a command. It counts, so that it is the same on
//! every machine, and needs no rounds.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use super::client::{Client, contestant};
use super::fred::Fred;
use super::pairs::Pairs;
use super::redis::Redis;
use super::rustis::Rustis;
use super::server::Server;
use super::tidings::Tidings;
use super::{pipeline, publish};
use crate::contestant::{Assignment, Contestant, current_thread};
use crate::measure::{Heap, Outcome, Stopwatch};
use crate::report::{Column, Rows, figures, or_dash};
use crate::rounds::{Benchmark, Observed};
use crate::{Error, Result};

pub(crate) struct Allocations {
    server: Server,
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Pipelines of 1000.
    Pipeline,
    /// Transactions of 100.
    Multi,
    /// 64 tasks that publish.
    Publish,
    /// One GET at a time.
    Get,
}

impl Shape {
    const ALL: &[Self] = &[Self::Pipeline, Self::Multi, Self::Publish, Self::Get];

    fn name(self) -> &'static str {
        match self {
            Self::Pipeline => "pipeline",
            Self::Multi => "multi",
            Self::Publish => "publish",
            Self::Get => "get",
        }
    }
}

impl FromStr for Shape {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let found = Self::ALL.iter().find(|shape| shape.name() == text);
        found
            .copied()
            .ok_or_else(|| format!("there is no work `{text}`").into())
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

const AS_THERE: &str = "as in `pipeline` and `publish`";

const CONTESTANTS: &[Contestant<Shape>] = &[
    contestant::<Tidings, _>(AS_THERE, run::<Tidings>),
    contestant::<Rustis, _>(AS_THERE, run::<Rustis>),
    contestant::<Redis, _>(AS_THERE, run::<Redis>),
    contestant::<Fred, _>(AS_THERE, run::<Fred>),
];

const MOST_COMMANDS: u64 = 100_000;

impl Benchmark for Allocations {
    type Shape = Shape;

    const NAME: &'static str = "allocations";
    const SHAPES_OPTION: &'static str = "--of";
    const UNITS: &'static str = "commands";
    const COLUMNS: &'static [Column] = &[
        Column {
            head: "allocations/command",
            cell: |rows| each(rows, |heap| heap.allocations),
        },
        Column {
            head: "bytes/command",
            cell: |rows| each(rows, |heap| heap.bytes),
        },
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
        Shape::ALL
    }

    fn title(shape: Shape) -> String {
        let title = match shape {
            Shape::Pipeline => "pipelines of 1000, SET and GET in turn",
            Shape::Multi => "MULTI, 100 commands, EXEC",
            Shape::Publish => "64 tasks that publish",
            Shape::Get => "one GET at a time",
        };
        title.to_owned()
    }

    fn count(shape: Shape, at_most: u64) -> u64 {
        let at_most = at_most.min(MOST_COMMANDS);
        match shape {
            Shape::Pipeline => pipeline::Pipeline::count(PIPELINE, at_most),
            Shape::Multi => pipeline::Pipeline::count(MULTI, at_most),
            Shape::Publish => publish::Publish::count(TASKS, at_most),
            Shape::Get => at_most,
        }
    }

    fn run(&self, contestant: &Contestant<Shape>, shape: Shape, count: u64) -> Result<Observed> {
        self.server.run::<Self>(contestant, shape, count)
    }
}

const PIPELINE: pipeline::Shape = pipeline::Shape::plain(1000);
const MULTI: pipeline::Shape = pipeline::Shape::MULTI;
const TASKS: publish::Tasks = publish::Tasks::SIXTY_FOUR;

/// A figure of the heap for each command.
fn each(rows: &Rows<'_>, figure: fn(&Heap) -> u64) -> String {
    let each = rows.known(|run| Some(run.each(figure(run.observed.outcome.heap.as_ref()?))));
    or_dash(each, |it| it.show(figures))
}

fn run<C: Client>(assignment: &Assignment<Shape>) -> Result<Outcome> {
    match assignment.shape {
        Shape::Pipeline => pipeline::run::<C>(&assignment.at(PIPELINE)),
        Shape::Multi => pipeline::run::<C>(&assignment.at(MULTI)),
        Shape::Publish => publish::run::<C>(&assignment.at(TASKS)),
        Shape::Get => get::<C>(assignment),
    }
}

/// One GET after the other.
fn get<C: Client>(assignment: &Assignment<Shape>) -> Result<Outcome> {
    current_thread()?.block_on(async {
        let mut client = C::connect(assignment.port).await?;
        let pairs = Pairs::new(1);
        client.pipeline(pairs.all(), false).await?;
        let mut bytes = 0;
        let stopwatch = Stopwatch::start();
        for ((key, value), _) in pairs.all().iter().cycle().zip(0..assignment.count) {
            let got = client.get(key).await?;
            if got.as_ref() != Some(value) {
                return Err(format!("{got:?} in {key}").into());
            }
            bytes += value.len() as u64;
        }
        Ok(stopwatch.stop(assignment.count, bytes))
    })
}
