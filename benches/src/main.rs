//! Tidings measured beside its peers.

fn main() {}
