//! Nodes that the others cannot reach, and clients can.

use super::Cluster;
use super::node::ClusterNode;
use crate::proxy::Direction;

impl Cluster {
    /// Cuts a node off from all other nodes: no bus, no replication. Clients still reach it. Returns
    /// at once; the nodes find it out after the node timeout.
    ///
    /// A primary that is cut off goes on serving for that long, then answers `CLUSTERDOWN`, and one
    /// of its replicas is elected ([`await_promotion`](Self::await_promotion)). To keep clients
    /// out, see [`ClusterNode::proxy`]; to have a node stand still,
    /// [`Server::freeze`](crate::Server::freeze).
    ///
    /// # Panics
    ///
    /// If the cluster is not [behind proxies](super::ClusterBuilder::behind_proxies).
    #[track_caller]
    pub fn cut_off(&self, node: &ClusterNode) {
        node.set_cut_off(true);
        self.apply_partitions();
    }

    /// Ends [`cut_off`](Self::cut_off). Returns when all nodes agree again: a primary that was
    /// replaced meanwhile is a replica of the new one.
    ///
    /// # Panics
    ///
    /// If they do not within a minute.
    #[track_caller]
    pub fn reconnect(&self, node: &ClusterNode) {
        node.set_cut_off(false);
        self.apply_partitions();
        self.await_agreement();
    }

    /// Lets nothing through between the nodes any more, while no connection ends: as when a cable is pulled. Clients reach
    /// all of them. The nodes find it out after the node timeout.
    ///
    /// # Panics
    ///
    /// If the cluster is not [behind proxies](super::ClusterBuilder::behind_proxies).
    #[track_caller]
    pub fn mute_bus(&self) {
        for node in self.nodes() {
            node.proxies().bus.silence(Direction::Both);
        }
    }

    /// Ends [`mute_bus`](Self::mute_bus): the nodes connect to each other anew, and what they have sent since then is lost.
    /// Returns when all agree.
    ///
    /// # Panics
    ///
    /// As [`mute_bus`](Self::mute_bus), or if they do not agree within a minute.
    #[track_caller]
    pub fn unmute_bus(&self) {
        for node in self.nodes() {
            let bus = &node.proxies().bus;
            bus.cut();
            bus.resume();
        }
        self.await_agreement();
    }

    /// Tells each proxy whose calls it must not take. Two nodes that are cut off do not reach
    /// each other either.
    #[track_caller]
    pub(super) fn apply_partitions(&self) {
        let nodes = self.nodes();
        for node in &nodes {
            let barred = nodes
                .iter()
                .filter(|other| node.is_cut_off() || other.is_cut_off())
                .map(|other| other.source())
                .collect();
            let proxies = node.proxies();
            proxies.bus.bar(&barred);
            proxies.clients.bar(&barred);
        }
    }
}
