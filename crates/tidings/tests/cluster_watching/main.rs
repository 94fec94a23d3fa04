//! What shows what the nodes of a cluster do, on real clusters: MONITOR, keyspace notifications, SCAN, PUBSUB.

#[path = "../clusters/mod.rs"]
mod clusters;
mod counting;
#[path = "../cluster_pubsub/faced.rs"]
mod faced;
#[path = "../faces/mod.rs"]
mod faces;
mod following;
mod keyspace;
mod monitor;
mod scanning;
#[path = "../support/mod.rs"]
mod support;
mod writing;

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use clusters::binaries;
use faced::Case;
use faces::Face;
use support::eventually;
use tidings::NodeStatus;
use tidings_testkit::{Binary, Cluster, ClusterNode, Protocol};

/// Two tests for each of these cases, which change a cluster and take their time: on a cluster of each server with the
/// asynchronous face, and on one with the blocking one, which forwards to it. In brackets stands what starts a cluster.
#[macro_export]
macro_rules! on_own_clusters {
    ($([$start:ident] $($case:ident,)+)+) => {
        mod asynchronous_alone {
            $($(
                #[test]
                fn $case() {
                    $crate::faced::run($crate::faces::Face::Asynchronous, super::$start, super::$case);
                }
            )+)+
        }
        mod blocking_alone {
            $($(
                #[test]
                fn $case() {
                    $crate::blocking_on_one(super::$start, super::$case);
                }
            )+)+
        }
    };
}

fn blocking_on_one<F: Future<Output = ()>>(
    start: impl Fn(&Binary) -> Arc<Cluster>,
    test: impl Fn(Case) -> F,
) {
    if let Some(binary) = binaries().last() {
        faced::run_on(binary, Protocol::Resp3, Face::Blocking, start, test);
    }
}

/// Looks at the nodes so often that a test need not wait for it.
const OFTEN: Duration = Duration::from_millis(100);

/// The addresses of the nodes that something comes from.
fn connected(nodes: &[NodeStatus]) -> BTreeSet<String> {
    let connected = nodes.iter().filter(|node| node.is_connected());
    connected.map(|node| node.node().to_string()).collect()
}

/// Waits until something comes from these, and no others are tried.
async fn await_nodes(nodes: impl Fn() -> Vec<NodeStatus>, wanted: &[Arc<ClusterNode>]) {
    let wanted: BTreeSet<String> = wanted.iter().map(|node| node.address()).collect();
    eventually(&format!("{wanted:?} are there"), || {
        let nodes = nodes();
        connected(&nodes) == wanted && nodes.len() == wanted.len()
    })
    .await;
}
