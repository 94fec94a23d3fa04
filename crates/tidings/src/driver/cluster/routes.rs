//! Which node to ask, with its connection: the map of the slots at one time, and a link to each of its nodes.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use tidings_proto::cluster::{Access, Address, Health, Learned, Node, Slot, SlotMap, Topology};

use super::node::NodeLink;

/// What is known of the cluster at one time.
#[derive(Clone, Debug)]
pub(crate) struct Routes {
    map: SlotMap,
    /// When what the map says was asked for.
    as_of: Instant,
    links: HashMap<Address, Arc<NodeLink>>,
    /// By the place of a shard in the map.
    shards: Vec<ShardLinks>,
}

#[derive(Clone, Debug, Default)]
struct ShardLinks {
    primary: Option<Arc<NodeLink>>,
    /// Those that are online.
    replicas: Vec<Arc<NodeLink>>,
}

impl Routes {
    /// Nothing is known.
    pub(super) fn none() -> Self {
        Self {
            map: SlotMap::new(),
            as_of: Instant::now(),
            links: HashMap::new(),
            shards: Vec::new(),
        }
    }

    /// When what is known was asked for.
    pub(crate) fn as_of(&self) -> Instant {
        self.as_of
    }

    pub(crate) fn map(&self) -> &SlotMap {
        &self.map
    }

    /// The link to the node at an address, if it is one of the cluster's.
    pub(crate) fn link_to(&self, address: &Address) -> Option<&Arc<NodeLink>> {
        self.links.get(address)
    }

    /// Links to all nodes.
    pub(crate) fn links(&self) -> impl Iterator<Item = &Arc<NodeLink>> {
        self.links.values()
    }

    /// Links to the primaries, those that failed too.
    pub(crate) fn primaries(&self) -> Vec<Arc<NodeLink>> {
        self.links_of(self.map.primaries())
    }

    /// Links to all nodes but those that the cluster has agreed are gone.
    pub(crate) fn members(&self) -> Vec<Arc<NodeLink>> {
        let nodes = self.map.nodes();
        self.links_of(nodes.filter(|node| node.health() != Health::Failed))
    }

    fn links_of<'a>(&self, nodes: impl Iterator<Item = &'a Node>) -> Vec<Arc<NodeLink>> {
        let links = nodes.filter_map(|node| self.links.get(node.address()));
        links.cloned().collect()
    }

    /// The link for a command on a slot; `turn` chooses among replicas. Those that are down come last.
    #[inline]
    pub(crate) fn link_for(
        &self,
        slot: Slot,
        access: Access,
        turn: usize,
    ) -> Option<&Arc<NodeLink>> {
        let shard = self.shards.get(self.map.place_of(slot)?)?;
        let primary = shard.primary.as_ref();
        if access == Access::Write {
            return primary;
        }
        let count = shard.replicas.len();
        let first = turn.checked_rem(count).unwrap_or_default();
        let mut in_turn = (0..count).map(|step| &shard.replicas[(first + step) % count]);
        in_turn
            .find(|link| !link.is_down())
            .or(primary.filter(|link| !link.is_down()))
            .or_else(|| shard.replicas.get(first))
            .or(primary)
    }

    /// The node for a command on a slot; where none is known to have it, some node that knows better.
    pub(crate) fn node_for(&self, slot: Slot, access: Access, turn: usize) -> Option<Address> {
        let link = self.link_for(slot, access, turn);
        let link = link.or_else(|| self.any_link(access, turn, &[]))?;
        Some(link.address().clone())
    }

    /// Some link, for what any node can do, but not to one of these if there is another.
    pub(crate) fn any_link(
        &self,
        access: Access,
        turn: usize,
        but: &[Address],
    ) -> Option<&Arc<NodeLink>> {
        let count = self.links.len().max(1);
        let turns = (0..count).map(|step| turn.wrapping_add(step));
        let mut nodes = turns.filter_map(|turn| {
            let node = self.map.any_node(access, turn)?;
            self.links.get(node.address())
        });
        let first = nodes.next()?;
        let is_good = |link: &&Arc<NodeLink>| !link.is_down() && !but.contains(link.address());
        if is_good(&first) {
            return Some(first);
        }
        Some(
            nodes
                .find(is_good)
                .or_else(|| self.links.values().find(is_good))
                .unwrap_or(first),
        )
    }

    /// Takes over what a node told.
    pub(crate) fn apply(
        &mut self,
        topology: &Topology,
        as_of: Instant,
        open: impl Fn(Address) -> Arc<NodeLink>,
    ) {
        let changes = self.map.apply(topology);
        self.as_of = as_of;
        if !changes.is_empty() {
            tracing::debug!(?changes, "the cluster has changed");
        }
        self.link_up(open);
    }

    /// Takes over what a `MOVED` said.
    pub(crate) fn learn_moved(
        &mut self,
        slot: Slot,
        address: &Address,
        open: impl Fn(Address) -> Arc<NodeLink>,
    ) -> Learned {
        let learned = self.map.learn_moved(slot, address);
        if learned != Learned::Nothing {
            self.link_up(open);
        }
        learned
    }

    /// Makes links to nodes that are new, and forgets those to nodes that have gone.
    fn link_up(&mut self, open: impl Fn(Address) -> Arc<NodeLink>) {
        let before = std::mem::take(&mut self.links);
        for node in self.map.nodes() {
            let address = node.address();
            let link = before.get(address).cloned();
            let link = link.unwrap_or_else(|| open(address.clone()));
            self.links.insert(address.clone(), link);
        }
        let shards = self.map.shards().iter().map(|shard| {
            let online = |node: &&Node| node.health() == Health::Online;
            ShardLinks {
                primary: self.links_of(shard.primary().into_iter()).pop(),
                replicas: self.links_of(shard.replicas().iter().filter(online)),
            }
        });
        self.shards = shards.collect();
    }
}
