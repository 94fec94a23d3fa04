//! `drain`: a canned stream of Pub/Sub messages, from a fresh server for every run.

mod contestants;
mod request;
mod server;
pub(crate) mod shape;
pub(crate) mod tally;
pub(crate) mod wire;

use std::path::Path;
use std::process::Command;

pub(crate) use server::run as serve;

use crate::Result;
use crate::contestant::{Assignment, Contestant, Kind};
use crate::process::Process;
use crate::report::{Column, count, figures, or_dash};
use crate::rounds::{Benchmark, Observed, Run};
use shape::Shape;

pub(crate) struct Drain;

/// The word that makes this program the canned server.
pub(crate) const SERVE: &str = "serve";

/// Bytes on the wire after which a run ends even if its messages are few: about a second.
const MOST_BYTES: u64 = 2_000_000_000;

impl Benchmark for Drain {
    type Shape = Shape;

    const NAME: &'static str = "drain";
    const SHAPES_OPTION: &'static str = "--sizes";
    const UNITS: &'static str = "messages";
    const COLUMNS: &'static [Column] = &[
        Column {
            head: "RESP",
            cell: |rows| {
                let protocol = rows.first().observed.protocol;
                protocol.map_or(String::new(), |version| version.to_string())
            },
        },
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
        Column::LOST,
        Column::PEAK,
    ];

    fn new(server: Option<&Path>) -> Result<Self> {
        match server {
            None => Ok(Self),
            Some(_) => Err("drain brings its own server".into()),
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

    fn takes_part(_: &Contestant<Shape>, shape: Shape) -> bool {
        // Nobody here opens the gate, or asks for shard channels.
        !shape.has_gate() && shape.nodes().is_none()
    }

    fn title(shape: Shape) -> String {
        match shape {
            Shape::Size(size) => format!("{size} B"),
            Shape::Many(channels, size) => format!("{channels} channels, {size} B"),
            Shape::Sharded(nodes, size) => format!("{nodes} nodes, {size} B"),
            Shape::Mix => format!(
                "mix: {} channels and {} patterns, {} B",
                shape.channels().len(),
                shape.patterns().len(),
                shape.payload_len()
            ),
        }
    }

    fn count(shape: Shape, at_most: u64) -> u64 {
        let by_bytes = MOST_BYTES / shape.frame_len() as u64;
        by_bytes.min(at_most).max(1)
    }

    fn run(&self, contestant: &Contestant<Shape>, shape: Shape, count: u64) -> Result<Observed> {
        run_canned::<Self>(contestant, shape, shape, (count, 1))
    }
}

/// Has a contestant read a canned stream, of whose messages each counts as often as `deliveries` says.
pub(crate) fn run_canned<B: Benchmark>(
    contestant: &Contestant<B::Shape>,
    shape: B::Shape,
    stream: Shape,
    (count, deliveries): (u64, u64),
) -> Result<Observed> {
    let mut server = canned(stream, count / deliveries)?;
    let assignment = Assignment {
        port: server.line()?.parse()?,
        shape,
        count,
    };
    let outcome = contestant.contest_apart(B::NAME, &assignment)?;
    if outcome.bytes != outcome.count * stream.payload_len() as u64 {
        let name = contestant.name;
        return Err(format!("{name} got other payloads than were sent: {outcome}").into());
    }
    Ok(Observed {
        outcome,
        protocol: Some(server.line()?.parse()?),
        server_reads: None,
    })
}

fn is_raw(run: &Run) -> bool {
    run.kind == Kind::Floor
}

/// A canned server for a stream of `messages`. It says its port, then the protocol that was chosen.
pub(crate) fn canned(shape: Shape, messages: u64) -> Result<Process> {
    Process::start(
        Command::new(std::env::current_exe()?)
            .arg(SERVE)
            .args([shape.to_string(), messages.to_string()]),
    )
}
