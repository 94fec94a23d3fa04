//! Every typed command on real servers, a module a group: each method, and what its reply decodes to.

#[path = "../support/mod.rs"]
mod support;

mod geo;
mod streams;
