//! Real clusters.

mod builder;
mod config_file;
mod failover;
mod members;
mod moves;
mod node;
mod partition;
mod slot;
mod state;
mod view;

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

pub use builder::ClusterBuilder;
pub use failover::Failover;
pub use moves::SlotMove;
pub use node::ClusterNode;
pub use slot::{SLOTS, slot_of};

use crate::binaries::Binary;
use crate::protocol::Protocol;
use crate::server::percent_encoded;
use crate::sync::lock;
use view::View;

/// A cluster of one's own: so many primaries with so many replicas each, on free ports of 127.0.0.1.
/// All of it ends when this is dropped, nodes that somebody still holds included.
///
/// Every method that changes the cluster returns when all nodes that run have heard of it, unless it
/// says otherwise, and panics with what is missing if that takes more than a minute. All take `&self`, so
/// that a test can change the cluster in one thread while another uses it.
///
/// ```
/// # use tidings_testkit::{Cluster, slot_of};
/// let cluster = Cluster::builder().primaries(3).start()?;
/// let owner = cluster.owner_of_key("user:1");
/// owner.admin(["SET", "user:1", "Ada"]);
///
/// let other = cluster.primaries().into_iter().find(|node| *node != owner).unwrap();
/// cluster.move_slot(slot_of("user:1"), &other);
/// assert_eq!(other.cli(["GET", "user:1"]), "Ada");
/// assert!(owner.try_admin(["GET", "user:1"])?.is_error()); // MOVED
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Cluster {
    builder: ClusterBuilder,
    nodes: Mutex<Vec<Arc<ClusterNode>>>,
    /// How many nodes there ever were.
    started: AtomicUsize,
}

impl Cluster {
    /// Three primaries of the first of [`matrix`](crate::matrix).
    ///
    /// # Panics
    ///
    /// If there is no server, or the cluster does not come up.
    #[track_caller]
    #[must_use]
    pub fn start() -> Self {
        Self::builder().start_or_panic()
    }

    /// Another size, another binary, replicas, a password, …
    pub fn builder() -> ClusterBuilder {
        ClusterBuilder::default()
    }

    fn of(builder: ClusterBuilder, nodes: Vec<Arc<ClusterNode>>) -> Self {
        Self {
            builder,
            started: AtomicUsize::new(nodes.len()),
            nodes: Mutex::new(nodes),
        }
    }

    fn next_number(&self) -> usize {
        self.started.fetch_add(1, Ordering::Relaxed)
    }
}

/// Where it is and what it is.
impl Cluster {
    /// All nodes, in the order in which they were started: first the primaries, then for each a
    /// replica, then for each another, then whoever came later. Also those that are down.
    #[must_use]
    pub fn nodes(&self) -> Vec<Arc<ClusterNode>> {
        lock(&self.nodes).clone()
    }

    /// Those that take themselves for a primary now, slots or not. Who is down, stands still or is
    /// cut off is not asked.
    #[must_use]
    pub fn primaries(&self) -> Vec<Arc<ClusterNode>> {
        self.nodes_whose_primary_is(|primary| primary.is_none())
    }

    /// Those that take themselves for a replica of this one now, which may be down; who is down
    /// itself, stands still or is cut off is not asked.
    #[must_use]
    pub fn replicas_of(&self, node: &ClusterNode) -> Vec<Arc<ClusterNode>> {
        self.nodes_whose_primary_is(|primary| primary == Some(node.id()))
    }

    /// Whose the slot is, by the newest of what the nodes say: those that run, stand not still and
    /// are not cut off.
    ///
    /// # Panics
    ///
    /// If it is nobody's.
    #[must_use]
    #[track_caller]
    pub fn owner_of(&self, slot: u16) -> Arc<ClusterNode> {
        let newest = self
            .views()
            .filter_map(|(_, view)| {
                view.owner_of(slot)
                    .map(|(epoch, id)| (epoch, id.to_owned()))
            })
            .max();
        newest
            .and_then(|(_, id)| self.node(&id))
            .unwrap_or_else(|| panic!("slot {slot} is nobody's"))
    }

    /// The same for the slot of a key or a shard channel.
    ///
    /// # Panics
    ///
    /// As [`owner_of`](Self::owner_of).
    #[must_use]
    #[track_caller]
    pub fn owner_of_key(&self, key: impl AsRef<[u8]>) -> Arc<ClusterNode> {
        self.owner_of(slot_of(key))
    }

    /// The node of this id, or of this [`address`](ClusterNode::address), as in a `MOVED`.
    #[must_use]
    pub fn node(&self, id_or_address: &str) -> Option<Arc<ClusterNode>> {
        self.nodes()
            .into_iter()
            .find(|node| node.id() == id_or_address || node.address() == id_or_address)
    }

    /// The [`url`](ClusterNode::url) of each node.
    #[must_use]
    pub fn urls(&self) -> Vec<String> {
        self.nodes().iter().map(|node| node.url()).collect()
    }

    /// One URL of all nodes: `redis+cluster://127.0.0.1:7000,127.0.0.1:7001`, with the password if
    /// there is one.
    #[must_use]
    pub fn url(&self) -> String {
        let addresses: Vec<String> = self.nodes().iter().map(|node| node.address()).collect();
        let password = self.builder.password.as_ref();
        let user = password.map_or_else(String::new, |password| {
            format!(":{}@", percent_encoded(password))
        });
        format!("redis+cluster://{user}{}", addresses.join(","))
    }

    /// [`url`](Self::url) with `?protocol=2` or `?protocol=3`.
    #[must_use]
    pub fn url_for(&self, protocol: Protocol) -> String {
        format!("{}?protocol={}", self.url(), protocol.number())
    }

    /// The program that runs.
    ///
    /// # Panics
    ///
    /// Never: it was chosen when the cluster was started.
    #[must_use]
    pub fn binary(&self) -> &Binary {
        self.builder.binary.as_ref().expect("chosen at the start")
    }

    fn views(&self) -> impl Iterator<Item = (Arc<ClusterNode>, View)> {
        let live = self.nodes().into_iter().filter(|node| node.is_live());
        live.filter_map(|node| node.view().ok().map(|view| (node, view)))
    }

    fn nodes_whose_primary_is(
        &self,
        wanted: impl Fn(Option<&str>) -> bool,
    ) -> Vec<Arc<ClusterNode>> {
        self.views()
            .filter(|(_, view)| {
                view.myself()
                    .is_some_and(|myself| wanted(myself.replica_of.as_deref()))
            })
            .map(|(node, _)| node)
            .collect()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for node in lock(&self.nodes).iter() {
            node.kill();
        }
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Cluster")
            .field("nodes", &*lock(&self.nodes))
            .finish_non_exhaustive()
    }
}
