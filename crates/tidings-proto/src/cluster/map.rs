//! Which node serves which slot, as far as a client knows.

mod changes;
#[cfg(test)]
mod tests;

use super::{
    node::{Address, Health, Node, Role},
    slot::Slot,
    topology::Topology,
};

pub use changes::NodeChange;

/// What the slots of nobody have for a shard.
const NOBODY: u16 = u16::MAX;

/// What a client knows of a cluster: its nodes, its shards, and for each slot which shard has it.
///
/// It begins [empty](Self::new), takes in what a node [tells](Self::apply) and what redirections
/// [teach](Self::learn_moved), and says where a command goes. Looking up a slot takes the same short time whatever
/// the cluster; it takes 32 KiB.
///
/// ```
/// use tidings_proto::cluster::{Access, Address, Slot, SlotMap};
///
/// let mut map = SlotMap::new();
/// let slot = Slot::of_key(b"foo");
/// assert!(map.node_for(slot, Access::Write, 0).is_none());
/// // MOVED 12182 10.0.0.1:7000
/// map.learn_moved(slot, &Address::new("10.0.0.1", 7000));
/// let node = map.node_for(slot, Access::Write, 0).unwrap();
/// assert_eq!(node.address().to_string(), "10.0.0.1:7000");
/// ```
#[derive(Clone, Debug)]
pub struct SlotMap {
    /// By slot, the place of its shard.
    owners: Box<[u16]>,
    shards: Vec<Shard>,
}

/// Nodes that have the same data: a primary, and those that follow it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shard {
    primary: Option<Node>,
    replicas: Vec<Node>,
}

/// What a command does, and so which nodes of a shard may run it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Access {
    /// It writes, or must see what was written last: the primary.
    #[default]
    Write,
    /// It may be served by a replica that is online; by the primary where there is none.
    ReadFromReplica,
}

/// What a redirection taught. See [`SlotMap::learn_moved`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Learned {
    /// Nothing: the slot was there already.
    Nothing,
    /// The slot went to another shard.
    SlotMoved,
    /// The slot's own replica has become the primary of its shard, with all of its slots.
    Promoted,
    /// The slot is with a node that was unknown, or was another shard's replica: the map should be read again.
    NewPrimary,
}

impl Shard {
    /// The node that takes its writes, if one is known; it may have failed.
    pub fn primary(&self) -> Option<&Node> {
        self.primary.as_ref()
    }

    /// The nodes that follow it, whatever their health.
    pub fn replicas(&self) -> &[Node] {
        &self.replicas
    }

    /// All of its nodes, the primary first.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.primary.iter().chain(&self.replicas)
    }

    /// The node for one command; `turn` chooses among several.
    fn node_for(&self, access: Access, turn: usize) -> Option<&Node> {
        let from_replica = match access {
            Access::Write => None,
            Access::ReadFromReplica => {
                pick(turn, || self.replicas.iter().filter(|node| serves(node)))
            }
        };
        from_replica.or(self.primary.as_ref())
    }

    fn holds(&self, address: &Address) -> bool {
        self.nodes().any(|node| node.address == *address)
    }

    /// Makes one of the replicas the primary, and the primary its replica.
    fn promote(&mut self, address: &Address) {
        let Some(place) = self
            .replicas
            .iter()
            .position(|node| node.address == *address)
        else {
            return;
        };
        let mut promoted = self.replicas.remove(place);
        promoted.role = Role::Primary;
        promoted.health = Health::Online;
        if let Some(mut demoted) = self.primary.replace(promoted) {
            demoted.role = Role::Replica;
            // Most are promoted because it is gone, and else it has to begin as a replica. The next topology says more.
            demoted.health = Health::Loading;
            self.replicas.push(demoted);
        }
    }
}

impl Default for SlotMap {
    fn default() -> Self {
        Self::new()
    }
}

/// What is known.
impl SlotMap {
    /// A map of nothing.
    pub fn new() -> Self {
        Self {
            owners: vec![NOBODY; usize::from(Slot::COUNT)].into(),
            shards: Vec::new(),
        }
    }

    /// Whether no node is known.
    pub fn is_empty(&self) -> bool {
        self.nodes().next().is_none()
    }

    /// The shard that has a slot, if one is known.
    #[inline]
    pub fn shard(&self, slot: Slot) -> Option<&Shard> {
        self.shards.get(usize::from(self.owner(slot)))
    }

    /// The place of that shard among [all of them](Self::shards).
    #[inline]
    pub fn place_of(&self, slot: Slot) -> Option<usize> {
        let place = usize::from(self.owner(slot));
        (place < self.shards.len()).then_some(place)
    }

    /// All shards, also those without slots.
    pub fn shards(&self) -> &[Shard] {
        &self.shards
    }

    /// All nodes, those that failed too.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.shards.iter().flat_map(Shard::nodes)
    }

    /// The primaries, those that failed too, and those without slots.
    pub fn primaries(&self) -> impl Iterator<Item = &Node> {
        self.shards.iter().filter_map(Shard::primary)
    }

    /// The node at an address.
    pub fn node_at(&self, address: &Address) -> Option<&Node> {
        self.nodes().find(|node| node.address == *address)
    }

    /// The shard of the node at an address, if it has slots.
    pub fn serving_shard_of(&self, address: &Address) -> Option<&Shard> {
        let place = self.shards.iter().position(|shard| shard.holds(address))?;
        let has_slots = self.owners.iter().any(|owner| usize::from(*owner) == place);
        self.shards.get(place).filter(|_| has_slots)
    }

    /// How many slots no shard is known for: 0 if the cluster is whole.
    pub fn unassigned_slots(&self) -> usize {
        self.owners.iter().filter(|owner| **owner == NOBODY).count()
    }

    #[inline]
    fn owner(&self, slot: Slot) -> u16 {
        let owner = self.owners.get(usize::from(slot.number()));
        owner.copied().unwrap_or(NOBODY)
    }
}

/// Which node to ask.
impl SlotMap {
    /// The node for a command on a slot; `None` if no node is known to have it. `turn` chooses among several replicas:
    /// a number that counts up takes them in turn, a random one at random.
    ///
    /// It may be a primary that failed: the slot is nobody else's yet, and who asks it learns when that changes.
    #[inline]
    pub fn node_for(&self, slot: Slot, access: Access, turn: usize) -> Option<&Node> {
        self.shard(slot)?.node_for(access, turn)
    }

    /// Any node, for what needs none in particular: with [`Access::ReadFromReplica`] a replica where there is one.
    /// Those that are not online only if no other is known.
    pub fn any_node(&self, access: Access, turn: usize) -> Option<&Node> {
        let replica = || {
            self.nodes()
                .filter(|node| serves(node) && !node.is_primary())
        };
        let from_replica = match access {
            Access::Write => None,
            Access::ReadFromReplica => pick(turn, replica),
        };
        from_replica
            .or_else(|| pick(turn, || self.primaries().filter(|node| serves(node))))
            .or_else(|| pick(turn, || self.nodes().filter(|node| serves(node))))
            .or_else(|| pick(turn, || self.nodes()))
    }
}

/// What changes it.
impl SlotMap {
    /// Takes over what a node told, and says which nodes joined, left or changed.
    ///
    /// A slot that nobody claims stays with the shard that had it, as long as one of its nodes is still told of: Redis
    /// 8 says of a primary that failed that it has no slots, and its replica is the one to try. Of two that claim a
    /// slot, the one whose primary is in better health has it.
    pub fn apply(&mut self, topology: &Topology) -> Vec<NodeChange> {
        let mut new = Self::new();
        for told in topology.shards() {
            let place = new.add(Shard::of(told.nodes()));
            for slot in told.slots() {
                new.claim(slot, place);
            }
        }
        let heirs: Vec<Option<u16>> = self
            .shards
            .iter()
            .map(|shard| new.place_of_any(shard))
            .collect();
        for slot in Slot::all() {
            if new.owner(slot) == NOBODY
                && let Some(Some(heir)) = heirs.get(usize::from(self.owner(slot)))
            {
                new.set_owner(slot, *heir);
            }
        }
        let changes = changes::between(self, &new);
        *self = new;
        changes
    }

    /// Takes over that a slot is with the primary at this address, which a node said as `MOVED`.
    ///
    /// If that is a replica of the slot's shard, it has been promoted, and has all of the shard's slots. (One that is known
    /// to have [failed](Health::Failed) may only be what a node still believes that has not heard of it.)
    pub fn learn_moved(&mut self, slot: Slot, address: &Address) -> Learned {
        let place = self.owner(slot);
        if let Some(shard) = self.shards.get_mut(usize::from(place))
            && shard.holds(address)
        {
            if shard
                .primary
                .as_ref()
                .is_some_and(|node| node.address == *address)
            {
                return Learned::Nothing;
            }
            shard.promote(address);
            return Learned::Promoted;
        }
        let is_primary = |shard: &Shard| {
            shard
                .primary
                .as_ref()
                .is_some_and(|node| node.address == *address)
        };
        if let Some(place) = self.shards.iter().position(is_primary) {
            self.set_owner(slot, as_owner(place));
            return Learned::SlotMoved;
        }
        let mut node = Node::at(address.clone(), Role::Primary);
        for shard in &mut self.shards {
            if let Some(place) = shard
                .replicas
                .iter()
                .position(|node| node.address == *address)
            {
                node.id = shard.replicas.remove(place).id;
            }
        }
        let place = self.add(Shard {
            primary: Some(node),
            replicas: Vec::new(),
        });
        self.set_owner(slot, place);
        Learned::NewPrimary
    }

    fn add(&mut self, shard: Shard) -> u16 {
        let place = as_owner(self.shards.len());
        self.shards.push(shard);
        place
    }

    fn set_owner(&mut self, slot: Slot, place: u16) {
        if let Some(owner) = self.owners.get_mut(usize::from(slot.number())) {
            *owner = place;
        }
    }

    fn claim(&mut self, slot: Slot, place: u16) {
        let health = |place: u16| {
            let primary = self.shards.get(usize::from(place)).and_then(Shard::primary);
            primary.map(|node| node.health)
        };
        let owner = self.owner(slot);
        if owner == NOBODY || health(place) > health(owner) {
            self.set_owner(slot, place);
        }
    }

    /// The shard here that has one of that shard's nodes; its primary counts most.
    fn place_of_any(&self, shard: &Shard) -> Option<u16> {
        let place_of = |node: &Node| {
            let is_here = |here: &Shard| here.nodes().any(|other| other.is_same_as(node));
            self.shards.iter().position(is_here).map(as_owner)
        };
        shard.nodes().find_map(place_of)
    }
}

impl Shard {
    /// Of the nodes that a topology has together. Two of them may call themselves primary while one takes over from the
    /// other: the healthier one is, then the one that has more of the writes.
    fn of(nodes: &[Node]) -> Self {
        let primaries = nodes.iter().filter(|node| node.is_primary());
        let primary = primaries
            .max_by_key(|node| (node.health, node.replication_offset))
            .cloned();
        let is_other = |node: &&Node| {
            primary
                .as_ref()
                .is_none_or(|primary| node.address != primary.address)
        };
        let as_replica = |node: &Node| Node {
            role: Role::Replica,
            ..node.clone()
        };
        let replicas = nodes.iter().filter(is_other).map(as_replica).collect();
        Self { primary, replicas }
    }
}

/// More shards than there are slots do not exist; what lies behind the last number has no slots.
fn as_owner(place: usize) -> u16 {
    u16::try_from(place).unwrap_or(NOBODY)
}

fn serves(node: &Node) -> bool {
    node.health == Health::Online
}

/// The one whose turn it is.
fn pick<'a, I: Iterator<Item = &'a Node>>(turn: usize, nodes: impl Fn() -> I) -> Option<&'a Node> {
    let turn = turn.checked_rem(nodes().count())?;
    nodes().nth(turn)
}
