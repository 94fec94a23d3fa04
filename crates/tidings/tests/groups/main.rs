//! Every typed command on real servers, a module a group: each method, and what its reply decodes to.

#[path = "../support/mod.rs"]
mod support;

mod acl;
mod bitmaps;
mod cluster;
mod connection;
mod diagnostics;
mod geo;
mod hashes;
mod keys;
mod lists;
mod replication;
mod scripting;
mod server;
mod sets;
mod sorted_set_operations;
mod sorted_set_ranges;
mod sorted_sets;
mod streams;
mod strings;

use support::{Case, eventually};
use tidings_testkit::{Flavor, Version};

/// Whether the case's server is a Redis of this version or a newer one, or a Valkey of that version or a newer one;
/// with `None` no server of that flavor is.
fn since(case: &Case, redis: Option<(u32, u32)>, valkey: Option<(u32, u32)>) -> bool {
    let binary = case.server.binary();
    let first = match binary.flavor {
        Flavor::Redis => redis,
        Flavor::Valkey => valkey,
    };
    first.is_some_and(|(major, minor)| binary.version >= Version::new(major, minor, 0))
}

/// Texts of one's own, to compare with what a server gave.
fn texts<const N: usize>(texts: [&str; N]) -> Vec<String> {
    texts.map(str::to_owned).to_vec()
}

/// Members and their scores, to compare with what a server gave.
fn scored<const N: usize>(members: [(&str, f64); N]) -> Vec<(String, f64)> {
    members
        .map(|(member, score)| (member.to_owned(), score))
        .to_vec()
}

/// Waits until the server has so many clients that wait in a command.
async fn await_waiting(case: &Case, count: usize) {
    let wanted = format!("blocked_clients:{count}");
    eventually(&wanted, || {
        let clients = case.server.cli(["INFO", "clients"]);
        clients.lines().any(|line| line.trim_end() == wanted)
    })
    .await;
}
