//! Many subscribers on one connection, on real servers, through both faces: SPEC items SB, QU-02.
//!
//! A file has its table of cases at the top. What only the asynchronous face has is in `asynchronous`.
#![cfg(feature = "blocking")]

#[path = "../faces/mod.rs"]
mod faces;
#[path = "../support/mod.rs"]
mod support;

mod asynchronous;
mod counting;
mod slow;
mod streams;
