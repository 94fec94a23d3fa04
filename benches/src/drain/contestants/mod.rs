//! Who takes part in `drain`: each subscribes to all names of the shape, and takes messages until the
//! marked one.

mod fred;
mod hiredis;
mod raw;
mod raw_tokio;
mod redis;
mod rustis;
mod tidings;

use crate::contestant;
use crate::drain::shape::Shape;

type Contestant = contestant::Contestant<Shape>;
type Assignment = contestant::Assignment<Shape>;

/// The longest runs, in messages, for contestants below 0.3 µs a message and for slower ones: half a
/// second or more at 16 B.
const QUICK: u64 = 8_000_000;
const STEADY: u64 = 1_000_000;

pub(super) const ALL: &[Contestant] = &[
    raw::RAW,
    raw_tokio::RAW_TOKIO,
    tidings::TIDINGS,
    tidings::TIDINGS_MT,
    tidings::TIDINGS_BLOCKING,
    hiredis::HIREDIS,
    rustis::RUSTIS,
    redis::REDIS,
    redis::REDIS_PUSH,
    fred::FRED,
];
