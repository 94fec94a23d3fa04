//! Pipelines on real clusters: SPEC items CP-01 to CP-05.

mod blocking;
#[path = "../clusters/mod.rs"]
mod clusters;
mod grouping;
mod losing;
mod moving;
mod slots;
mod support;
