use std::fmt;
use std::net::Ipv4Addr;
use std::ops::Range;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::config_file::CONFIG_FILE;
use super::node::{ClusterNode, Proxies};
use super::{Cluster, SLOTS};
use crate::binaries::{Binary, matrix};
use crate::proxy::Proxy;
use crate::server::{Server, ServerBuilder, StartError, quoted};
use crate::wait::agreed;

/// What a [`Cluster`] should be like; made by [`Cluster::builder`], ended by [`start`](Self::start).
#[derive(Clone, Debug)]
#[must_use = "nothing runs until `start` is called"]
pub struct ClusterBuilder {
    pub(super) binary: Option<Binary>,
    primaries: usize,
    replicas: usize,
    node_timeout: Duration,
    pub(super) password: Option<String>,
    pub(super) behind_proxies: bool,
    pub(super) node: ServerBuilder,
}

/// The bus listens that far above the port for clients; see `port.rs`.
pub(super) const BUS_OFFSET: u16 = 10_000;

/// Long enough for a busy machine, where a node that is not heard of for a second is none that died.
const NODE_TIMEOUT: Duration = Duration::from_secs(2);

impl Default for ClusterBuilder {
    fn default() -> Self {
        Self {
            binary: None,
            primaries: 3,
            replicas: 0,
            node_timeout: NODE_TIMEOUT,
            password: None,
            behind_proxies: false,
            node: Server::builder(),
        }
    }
}

impl ClusterBuilder {
    /// The program to run; without it, the first of [`matrix`].
    pub fn binary(mut self, binary: &Binary) -> Self {
        self.binary = Some(binary.clone());
        self
    }

    /// How many primaries share the slots; 3 without it. With one or two of them no replica can be
    /// elected, as that takes the votes of most primaries.
    ///
    /// # Panics
    ///
    /// If it is 0.
    #[track_caller]
    pub fn primaries(mut self, count: usize) -> Self {
        assert!(count > 0, "a cluster without primaries is none");
        self.primaries = count;
        self
    }

    /// How many replicas each primary has; none without it.
    pub fn replicas(mut self, count_each: usize) -> Self {
        self.replicas = count_each;
        self
    }

    /// `cluster-node-timeout`: who has not been heard of for this long has failed. 2 s without it;
    /// an election takes one to two times as long.
    pub fn node_timeout(mut self, timeout: Duration) -> Self {
        self.node_timeout = timeout;
        self
    }

    /// A password for the default user, and between the nodes.
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.password = Some(password.into());
        self
    }

    /// A directive of every node, as in [`ServerBuilder::config`]: `cluster-require-full-coverage`,
    /// `notify-keyspace-events`, …
    pub fn config(mut self, name: &str, value: impl fmt::Display) -> Self {
        self.node = self.node.config(name, value);
        self
    }

    /// Puts a [`Proxy`] before each node, which the cluster then takes for the node:
    /// [`ClusterNode::proxy`], and [`Cluster::cut_off`]. For Linux, whose nodes can call each from
    /// an address of its own (`bind-source-addr 127.0.1.x`).
    pub fn behind_proxies(mut self) -> Self {
        self.behind_proxies = true;
        self
    }

    /// Starts the nodes and waits until all agree that all is well: every slot is served, every
    /// replica is in sync. Takes 2 to 3 s, as a new primary serves nothing in its first two.
    ///
    /// # Errors
    ///
    /// If a node does not come up, or they do not agree; the error shows the end of a log.
    ///
    /// # Panics
    ///
    /// As [`matrix`], if no binary was named and none is found.
    pub fn start(mut self) -> Result<Cluster, StartError> {
        let binary = self
            .binary
            .take()
            .unwrap_or_else(|| matrix().swap_remove(0));
        self.binary = Some(binary);
        let count = self.primaries * (1 + self.replicas);
        let nodes = self.start_nodes(count)?;
        let primaries = self.primaries;
        let cluster = Cluster::of(self, nodes);
        match cluster.form(primaries) {
            Ok(()) => Ok(cluster),
            Err(problem) => Err(StartError::afterwards(&cluster.nodes()[0], problem)),
        }
    }

    /// As [`start`](Self::start), for tests that cannot go on without.
    ///
    /// # Panics
    ///
    /// With the error's text, if the cluster does not come up.
    #[track_caller]
    #[must_use]
    pub fn start_or_panic(self) -> Cluster {
        self.start().unwrap_or_else(|error| panic!("{error}"))
    }

    fn start_nodes(&self, count: usize) -> Result<Vec<Arc<ClusterNode>>, StartError> {
        thread::scope(|scope| {
            let starts: Vec<_> = (0..count)
                .map(|number| scope.spawn(move || self.start_node(number)))
                .collect();
            starts
                .into_iter()
                .map(|start| start.join().expect("starting does not panic"))
                .collect()
        })
    }

    /// One that knows no other yet.
    pub(super) fn start_node(&self, number: usize) -> Result<Arc<ClusterNode>, StartError> {
        let mut server = Server::builder()
            .config("cluster-enabled", "yes")
            .config("cluster-config-file", CONFIG_FILE)
            .config("cluster-node-timeout", self.node_timeout.as_millis())
            // Otherwise a node learns its address only when it is met, and who meets all others is not.
            .config("cluster-announce-ip", "127.0.0.1")
            // Replicas, and primaries without slots, stay where the test has put them.
            .config("cluster-allow-replica-migration", "no")
            .config("repl-diskless-sync-delay", 0);
        if let Some(binary) = &self.binary {
            server = server.binary(binary);
        }
        if let Some(password) = &self.password {
            server = server
                .password(password)
                .arg_line(format!("masterauth {}", quoted(password)));
        }
        let proxies = self.behind_proxies.then(|| Proxies {
            clients: Proxy::start(NOWHERE),
            bus: Proxy::start(NOWHERE),
        });
        if let Some(proxies) = &proxies {
            server = server
                .config("cluster-announce-port", proxies.clients.port())
                .config("cluster-announce-bus-port", proxies.bus.port())
                .config("bind-source-addr", source_address(number));
        }
        // Last, so that it wins.
        let server = server.lines_of(&self.node).start()?;
        if let Some(proxies) = &proxies {
            proxies.clients.set_target(server.socket_address());
            let mut bus = server.socket_address();
            bus.set_port(server.port() + BUS_OFFSET);
            proxies.bus.set_target(bus);
        }
        Ok(Arc::new(ClusterNode::of(server, proxies, number)))
    }
}

/// Until the server is there. Nobody knows the proxy before.
const NOWHERE: &str = "127.0.0.1:1";

/// Whence a node calls others, by which the proxies tell it from them and from clients.
pub(super) fn source_address(number: usize) -> Ipv4Addr {
    let [high, low] = u16::try_from(number + 1).unwrap_or(u16::MAX).to_be_bytes();
    Ipv4Addr::new(127, 0, high.saturating_add(1), low)
}

impl Cluster {
    /// Makes one cluster of nodes that do not know each other.
    fn form(&self, primaries: usize) -> Result<(), String> {
        let nodes = self.nodes();
        let (primaries, replicas) = nodes.split_at(primaries);
        for (number, primary) in primaries.iter().enumerate() {
            let slots = share(number, primaries.len());
            // Distinct from the start: otherwise it takes the nodes a while to make them so.
            primary.admin(["CLUSTER", "SET-CONFIG-EPOCH", &(number + 1).to_string()]);
            primary.admin([
                "CLUSTER",
                "ADDSLOTSRANGE",
                &slots.start.to_string(),
                &(slots.end - 1).to_string(),
            ]);
        }
        // By gossip alone it takes longer.
        for (number, node) in nodes.iter().enumerate() {
            for other in &nodes[number + 1..] {
                node.meet(other);
            }
        }
        for (number, replica) in replicas.iter().enumerate() {
            let primary = &primaries[number % primaries.len()];
            agreed(|| replica.follow(primary))?;
        }
        agreed(|| self.state())
    }
}

impl ClusterNode {
    pub(super) fn meet(&self, other: &Self) {
        let words = ["CLUSTER", "MEET"].map(str::to_owned);
        self.admin(words.into_iter().chain(other.meeting_point()));
    }

    /// Becomes a replica, if the primary is known here.
    pub(super) fn follow(&self, primary: &Self) -> Result<(), String> {
        let view = self.view()?;
        if view
            .members
            .get(primary.id())
            .is_none_or(|known| known.is_new)
        {
            return Err(format!("{self} does not know {primary}"));
        }
        match self.try_admin(["CLUSTER", "REPLICATE", primary.id()]) {
            Ok(reply) if !reply.is_error() => Ok(()),
            Ok(refusal) => Err(format!("{self} cannot follow {primary}: {refusal}")),
            Err(error) => Err(format!("{self} cannot follow {primary}: {error}")),
        }
    }
}

/// The slots of one of so many primaries.
fn share(number: usize, primaries: usize) -> Range<usize> {
    let start = |number| number * usize::from(SLOTS) / primaries;
    start(number)..start(number + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_shared_evenly_and_completely() {
        assert_eq!(share(0, 1), 0..16_384);
        assert_eq!(
            [share(0, 3), share(1, 3), share(2, 3)],
            [0..5_461, 5_461..10_922, 10_922..16_384]
        );
    }

    #[test]
    fn nodes_call_from_addresses_of_their_own() {
        let addresses: std::collections::BTreeSet<_> = (0..1_000).map(source_address).collect();
        assert_eq!(addresses.len(), 1_000);
        assert!(!addresses.contains(&Ipv4Addr::LOCALHOST));
    }
}
