//! `fanout`: a canned stream for many subscribers that share one connection. What is counted is
//! deliveries: each message as often as there are subscribers to its channel.

mod contestants;

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use crate::contestant::{Assignment, Contestant, Kind};
use crate::drain::{self, shape};
use crate::report::{Column, count, figures, or_dash};
use crate::rounds::{Benchmark, Observed, Run};
use crate::{Error, Result};

pub(crate) struct Fanout;

/// How many subscribers, over how many channels in turn, and the size of a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    subscribers: usize,
    channels: usize,
    size: usize,
}

impl Shape {
    const USUAL: &[Self] = &[
        Self::new(1, 1, 16),
        Self::new(100, 1, 16),
        Self::new(1000, 1, 16),
        Self::new(100, 1, 256),
        Self::new(100, 1, 4096),
        Self::new(200, 2, 16),
        Self::new(10_000, 1000, 16),
    ];

    const fn new(subscribers: usize, channels: usize, size: usize) -> Self {
        Self {
            subscribers,
            channels,
            size,
        }
    }

    /// Of one message.
    fn deliveries(self) -> u64 {
        (self.subscribers / self.channels) as u64
    }

    fn stream(self) -> shape::Shape {
        shape::Shape::Many(self.channels, self.size)
    }

    /// The work of whoever reads the stream once.
    fn read_once(assignment: &Assignment<Self>) -> Assignment<shape::Shape> {
        Assignment {
            count: assignment.count / assignment.shape.deliveries(),
            ..assignment.at(assignment.shape.stream())
        }
    }
}

impl FromStr for Shape {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let numbers = text.split('x').map(str::parse);
        let numbers: Vec<usize> = numbers.collect::<std::result::Result<_, _>>()?;
        match *numbers {
            [subscribers, channels, size]
                if channels > 0 && subscribers > 0 && subscribers % channels == 0 =>
            {
                Ok(Self::new(subscribers, channels, size))
            }
            _ => Err(
                format!("`{text}` is not SUBSCRIBERSxCHANNELSxSIZE, as many to each channel")
                    .into(),
            ),
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}x{}", self.subscribers, self.channels, self.size)
    }
}

/// Bytes that are handed to subscribers after which a run ends, and those on the wire: about a second each.
const MOST_DELIVERED: u64 = 40_000_000_000;
const MOST_BYTES: u64 = 2_000_000_000;

impl Benchmark for Fanout {
    type Shape = Shape;

    const NAME: &'static str = "fanout";
    const SHAPES_OPTION: &'static str = "--shapes";
    const UNITS: &'static str = "deliveries";
    const COLUMNS: &'static [Column] = &[
        Column {
            head: "deliveries",
            cell: |rows| count(rows.first().asked as f64),
        },
        Column {
            head: "deliveries/s",
            cell: |rows| rows.spread(Run::per_second).show(count),
        },
        Column {
            head: "CPU µs/delivery",
            cell: |rows| rows.spread(|run| run.cpu_each() / 1e3).show(figures),
        },
        Column {
            head: "CPU × fred",
            cell: |rows| or_dash(rows.against(is_peer, Run::cpu_each), |it| it.show(figures)),
        },
        Column::LOST,
        Column::PEAK,
    ];

    fn new(server: Option<&Path>) -> Result<Self> {
        match server {
            None => Ok(Self),
            Some(_) => Err("fanout brings its own server".into()),
        }
    }

    fn facts(&self) -> String {
        "a canned server".to_owned()
    }

    fn contestants() -> &'static [Contestant<Shape>] {
        contestants::ALL
    }

    fn usual_shapes() -> &'static [Shape] {
        Shape::USUAL
    }

    fn takes_part(contestant: &Contestant<Shape>, shape: Shape) -> bool {
        // Every receiver of the others gets everything.
        contestant.kind != Kind::Peer || shape.channels == 1
    }

    fn title(shape: Shape) -> String {
        let subscribers = match shape.subscribers {
            1 => "one subscriber".to_owned(),
            more => format!("{more} subscribers"),
        };
        match shape.channels {
            1 => format!("{subscribers}, {} B", shape.size),
            more => format!(
                "{subscribers} over {more} channels in turn, {} B",
                shape.size
            ),
        }
    }

    fn count(shape: Shape, at_most: u64) -> u64 {
        let frame = shape.stream().frame_len() as u64;
        let messages = (MOST_BYTES / frame).min(MOST_DELIVERED / frame / shape.deliveries());
        let deliveries = (messages * shape.deliveries()).min(at_most);
        deliveries.next_multiple_of(shape.deliveries())
    }

    fn run(&self, contestant: &Contestant<Shape>, shape: Shape, count: u64) -> Result<Observed> {
        let counts = (count, shape.deliveries());
        drain::run_canned::<Self>(contestant, shape, shape.stream(), counts)
    }
}

fn is_peer(run: &Run) -> bool {
    run.kind == Kind::Peer
}
