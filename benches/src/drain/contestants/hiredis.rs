//! hiredis: its reply reader, fed by a blocking loop.

use super::{Assignment, Contestant, QUICK};
use crate::Result;
use crate::contestant::Kind;
use crate::drain::wire;
use crate::hiredis::Program;
use crate::machine::Core;
use crate::measure::Outcome;

pub(super) const HIREDIS: Contestant = Contestant {
    name: "hiredis",
    usage: "C, blocking `read` of 64 KiB and `redisReaderGetReply`",
    package: None,
    kind: Kind::Other,
    most: QUICK,
    core: Core::Last,
    prepare: || PROGRAM.prepare(),
    run: drain,
};

const PROGRAM: Program = Program {
    name: "drain",
    source: include_str!("hiredis.c"),
};

fn drain(assignment: &Assignment) -> Result<Outcome> {
    let marker = [wire::MARKER.to_owned(), wire::MARKER_LEN.to_string()];
    let names = assignment
        .shape
        .channels()
        .into_iter()
        .chain(["--".to_owned()])
        .chain(assignment.shape.patterns());
    PROGRAM.run(assignment.port, marker.into_iter().chain(names))
}
