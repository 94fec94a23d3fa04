//! Clusters that one case at a time has, and does to what it likes: starting one for each would take longer than the cases do.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tidings_testkit::{Binary, Cluster, ClusterNode, eventually};

use crate::faced::{Setup, Start};

/// Nodes are taken for failed after this long: a busy machine does not stand still for so long.
pub(crate) const NODE_TIMEOUT: Duration = Duration::from_secs(3);

/// A cluster for one case, which leaves it as a whole one: three primaries that have all slots, with a replica each.
pub(crate) struct Lent(MutexGuard<'static, Option<Arc<Cluster>>>);

type Shelf = Mutex<HashMap<String, &'static Mutex<Option<Arc<Cluster>>>>>;

/// Three primaries with a replica each, whose slots are served although some are nobody's.
pub(crate) fn lent(binary: &Binary) -> Lent {
    static SHELF: LazyLock<Shelf> = LazyLock::new(Mutex::default);
    Lent::from(&SHELF, binary, false)
}

/// The same behind proxies, so that nodes can be cut off.
pub(crate) fn lent_behind_proxies(binary: &Binary) -> Lent {
    static SHELF: LazyLock<Shelf> = LazyLock::new(Mutex::default);
    Lent::from(&SHELF, binary, true)
}

impl Lent {
    fn from(shelf: &Shelf, binary: &Binary, behind_proxies: bool) -> Self {
        let place = {
            let mut shelf = shelf.lock().unwrap_or_else(PoisonError::into_inner);
            *shelf
                .entry(binary.to_string())
                .or_insert_with(|| Box::leak(Box::default()))
        };
        let mut cluster = place.lock().unwrap_or_else(|poisoned| {
            // A case has failed, and left it as nobody knows.
            place.clear_poison();
            let mut cluster = poisoned.into_inner();
            *cluster = None;
            cluster
        });
        let cluster_there = cluster.get_or_insert_with(|| started(binary, behind_proxies));
        await_replicas(cluster_there);
        Self(cluster)
    }
}

impl Start for Lent {
    const TAKES_LONG: bool = true;
}

impl From<Lent> for Setup {
    fn from(lent: Lent) -> Self {
        let cluster = lent.0.clone().expect("it has been started");
        let held = Some(Box::new(lent) as _);
        Self { cluster, held }
    }
}

fn started(binary: &Binary, behind_proxies: bool) -> Arc<Cluster> {
    let mut builder = Cluster::builder()
        .binary(binary)
        .replicas(1)
        .node_timeout(NODE_TIMEOUT)
        .config("cluster-require-full-coverage", "no")
        .config("repl-ping-replica-period", 1);
    if behind_proxies {
        builder = builder.behind_proxies();
    }
    Arc::new(builder.start_or_panic())
}

/// Waits until all nodes take all replicas for such that can be read from. Redis 7.0 does so only when their primaries have
/// sent them something.
pub(crate) fn await_replicas(cluster: &Cluster) {
    let is_ready = |node: &Arc<ClusterNode>| {
        let shards = node.cli(["CLUSTER", "SHARDS"]);
        !shards.contains("loading") && !shards.contains("fail")
    };
    eventually("all replicas can be read from", || {
        cluster.nodes().iter().all(is_ready)
    });
}
