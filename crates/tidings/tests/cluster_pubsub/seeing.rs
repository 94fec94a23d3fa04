//! What the nodes of a cluster say of those who are subscribed there.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tidings_testkit::{Cluster, ClusterNode};

use crate::support::eventually;

/// In this time each node has heard from each other one, also where they ask each other seldom.
const A_MINUTE: Duration = Duration::from_secs(60);

/// Waits for what nodes learn of each other.
pub(crate) async fn eventually_known(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(
            begun.elapsed() < A_MINUTE,
            "waited {A_MINUTE:?} in vain until {what}"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A connection that is subscribed to something, and its node.
#[derive(Debug)]
pub(crate) struct Subscriber {
    pub(crate) node: Arc<ClusterNode>,
    id: String,
}

impl Subscriber {
    /// All of those whose connections have this name (`CLIENT SETNAME`).
    pub(crate) fn named(cluster: &Cluster, name: &str) -> Vec<Self> {
        let name = format!(" name={name} ");
        let on = |node: Arc<ClusterNode>| {
            let list = node.cli(["CLIENT", "LIST", "TYPE", "pubsub"]);
            let of_name = list.lines().filter(|line| line.contains(&name));
            let ids = of_name.filter_map(|line| line.split(' ').next()?.strip_prefix("id="));
            let ids: Vec<String> = ids.map(str::to_owned).collect();
            ids.into_iter().map(move |id| Self {
                node: Arc::clone(&node),
                id,
            })
        };
        let nodes = cluster.nodes().into_iter().filter(|node| node.is_running());
        nodes.flat_map(on).collect()
    }

    /// The only one.
    pub(crate) fn only(cluster: &Cluster, name: &str) -> Self {
        let mut all = Self::named(cluster, name);
        assert_eq!(all.len(), 1, "{all:?}");
        all.swap_remove(0)
    }

    /// To how much it is subscribed, of all kinds.
    pub(crate) fn subscriptions(&self) -> i64 {
        let list = self.node.cli(["CLIENT", "LIST", "ID", &self.id]);
        let counts = list.split(' ').filter_map(|word| word.split_once('='));
        let counts = counts.filter(|(what, _)| ["sub", "psub", "ssub"].contains(what));
        counts
            .map(|(_, count)| count.parse::<i64>().expect("a number"))
            .sum()
    }

    /// Ends the connection, as the server does that gives no reason.
    pub(crate) fn kill(&self) {
        let killed = self.node.admin(["CLIENT", "KILL", "ID", &self.id]);
        assert_eq!(killed.integer(), Some(1), "{killed:?}");
    }
}

/// How many connections to this node are subscribed to a channel (`NUMSUB`) or a shard channel (`SHARDNUMSUB`).
pub(crate) fn count_at(node: &ClusterNode, command: &str, channel: &str) -> i64 {
    let answer = node.admin(["PUBSUB", command, channel]);
    answer.elements()[1].integer().expect("a number")
}

/// The same of all nodes together.
pub(crate) fn count(cluster: &Cluster, command: &str, channel: &str) -> i64 {
    let nodes = cluster.nodes();
    nodes
        .iter()
        .map(|node| count_at(node, command, channel))
        .sum()
}

/// Waits until so many connections are subscribed.
pub(crate) async fn await_count(cluster: &Cluster, command: &str, channel: &str, wanted: i64) {
    let what = format!("{channel} has {wanted}");
    eventually(&what, || count(cluster, command, channel) == wanted).await;
}

/// Waits until all nodes take all replicas for such that can be read from. Redis 7.0 does so only when their primaries have
/// sent them something.
pub(crate) async fn await_replicas(cluster: &Cluster) {
    for (n, node) in cluster.primaries().iter().enumerate() {
        let key = (0..).map(|m| format!("sent:{n}:{m}"));
        let mut keys = key.filter(|key| cluster.owner_of_key(key) == *node);
        let key = keys.next().expect("it has slots");
        node.admin(["SET", &key, "1", "EX", "60"]);
    }
    for node in cluster.nodes() {
        let is_loading = || node.cli(["CLUSTER", "SHARDS"]).contains("loading");
        eventually_known("it takes all replicas for online", || !is_loading()).await;
    }
}

/// Whether it is one of the primaries.
pub(crate) fn is_primary(cluster: &Cluster, node: &Arc<ClusterNode>) -> bool {
    cluster.primaries().contains(node)
}
