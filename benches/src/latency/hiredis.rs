//! hiredis: one `redisCommand` at a time.

use super::blocking::{NAME, Shape, VALUE};
use crate::Result;
use crate::contestant::{Assignment, Contestant, Kind};
use crate::hiredis::Program;
use crate::machine::Core;
use crate::measure::Outcome;

pub(super) const HIREDIS: Contestant<Shape> = Contestant {
    name: "hiredis",
    usage: "C, `redisCommandArgv`",
    package: None,
    kind: Kind::Other,
    most: u64::MAX,
    core: Core::Last,
    prepare: || PROGRAM.prepare(),
    run,
};

const PROGRAM: Program = Program {
    name: "blocking",
    source: include_str!("hiredis.c"),
};

fn run(assignment: &Assignment<Shape>) -> Result<Outcome> {
    let words = match assignment.shape {
        Shape::Get => ["GET", NAME, VALUE],
        Shape::Publish => ["PUBLISH", NAME, VALUE],
    };
    let count = assignment.count.to_string();
    let arguments = [count].into_iter().chain(words.map(str::to_owned));
    PROGRAM.become_it(assignment.port, arguments)
}
