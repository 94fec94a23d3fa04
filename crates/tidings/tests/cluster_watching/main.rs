//! What shows what the nodes of a cluster do, on real clusters: MONITOR, keyspace notifications, SCAN, PUBSUB.

#[path = "../clusters/mod.rs"]
mod clusters;
mod counting;
#[path = "../cluster_pubsub/faced.rs"]
mod faced;
#[path = "../faces/mod.rs"]
mod faces;
mod monitor;
#[path = "../support/mod.rs"]
mod support;
mod writing;

use std::future::Future;
use std::sync::Arc;

use clusters::binaries;
use faced::Case;
use faces::Face;
use tidings_testkit::{Binary, Cluster, Protocol};

/// Runs what changes a cluster, and takes its time: on a cluster of each server with the asynchronous face, and on one with
/// the blocking one, which forwards to it.
fn on_own<F: Future<Output = ()>>(
    start: impl Fn(&Binary) -> Arc<Cluster>,
    test: impl Fn(Case) -> F,
) {
    faced::run(Face::Asynchronous, &start, &test);
    if let Some(binary) = binaries().last() {
        faced::run_on(binary, Protocol::Resp3, Face::Blocking, &start, &test);
    }
}
