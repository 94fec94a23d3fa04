//! hiredis: commands appended, then a reply for each.

use super::pipeline::Shape;
use crate::Result;
use crate::contestant::{Assignment, Contestant, Kind};
use crate::hiredis::Program;
use crate::machine::Core;
use crate::measure::Outcome;

pub(super) const PIPELINE: Contestant<Shape> = Contestant {
    name: "hiredis",
    usage: "C, `redisAppendCommandArgv`, then `redisGetReply` for each",
    package: None,
    kind: Kind::Other,
    most: u64::MAX,
    core: Core::Last,
    prepare: || PROGRAM.prepare(),
    run,
};

const PROGRAM: Program = Program {
    name: "pipeline",
    source: include_str!("hiredis.c"),
};

fn run(assignment: &Assignment<Shape>) -> Result<Outcome> {
    let Assignment { port, shape, count } = *assignment;
    let pairs = shape.commands / 2;
    let windows = shape.pairs().window_count();
    let arguments = [
        pairs.to_string(),
        windows.to_string(),
        shape.pipelines(count).to_string(),
        u8::from(shape.transaction).to_string(),
    ];
    PROGRAM.run(port, arguments)
}
