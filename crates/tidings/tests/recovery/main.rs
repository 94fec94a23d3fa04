//! Lost connections: SPEC items RC. What does not depend on the face, as it happens below, is tested through one.
#![cfg(feature = "blocking")]

#[path = "../faces/mod.rs"]
mod faces;
#[path = "../faults/mod.rs"]
mod faults;
#[path = "../support/mod.rs"]
mod support;

mod attempts;
mod gaps;
mod losses;
mod random;
