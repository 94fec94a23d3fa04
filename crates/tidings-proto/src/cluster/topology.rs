//! What one node says of its cluster: `CLUSTER SHARDS`, or `CLUSTER SLOTS` where that is missing.

mod fields;
#[cfg(test)]
mod tests;

use std::ops::RangeInclusive;

use super::{
    node::{Address, Health, Node, Role},
    slot::Slot,
};
use crate::{
    error::{DecodeError, Error},
    resp::{Elements, Reply},
};
use fields::Described;
pub(super) use fields::{elements, number, pairs, text};

/// The node that was asked, and how.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    address: &'a Address,
    tls: bool,
}

impl<'a> Asked<'a> {
    /// The node at this address, over TLS or not: nodes have a port for each, and only those are of use that have one
    /// for what the client speaks.
    ///
    /// A host that the reply leaves empty is this one's.
    pub fn new(address: &'a Address, tls: bool) -> Self {
        Self { address, tls }
    }
}

/// What one node says of its cluster, at one time.
///
/// It may be old, or of a node that has lost sight of the others; slots may be nobody's. Of a node that cannot be
/// reached (no port, or none for TLS where that is spoken) nothing is kept. A shard may be without a primary: a replica that
/// is new is told of in a shard of its own, for up to a second, until the nodes have told each other whom it follows.
///
/// ```
/// use tidings_proto::Reply;
/// use tidings_proto::cluster::{Address, Asked, Topology};
///
/// // The answer to CLUSTER SLOTS.
/// let reply = b"*1\r\n*3\r\n:0\r\n:16383\r\n*3\r\n$0\r\n\r\n:7000\r\n$2\r\nid\r\n";
/// let asked = Address::new("localhost", 7001);
/// let topology = Topology::from_slots(Reply::parse(reply)?, Asked::new(&asked, false))?;
/// assert_eq!(topology.assigned_slots(), 16384);
/// let node = &topology.shards()[0].nodes()[0];
/// assert_eq!(node.address().to_string(), "localhost:7000");
/// # Ok::<(), tidings_proto::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topology {
    shards: Vec<TopologyShard>,
}

/// Nodes that have the same slots, as told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopologyShard {
    ranges: Vec<RangeInclusive<u16>>,
    nodes: Vec<Node>,
}

impl TopologyShard {
    /// The ranges of slots that are theirs. There may be none: a primary that is new, and on Redis 8 one that failed.
    pub fn ranges(&self) -> &[RangeInclusive<u16>] {
        &self.ranges
    }

    /// The nodes, in the order in which they were told.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The slots that are theirs.
    pub fn slots(&self) -> impl Iterator<Item = Slot> {
        self.ranges.iter().cloned().flatten().filter_map(Slot::new)
    }
}

impl Topology {
    /// Reads the answer to `CLUSTER SHARDS` (Redis 7.0, Valkey), in RESP2 or RESP3.
    ///
    /// Fields that this crate does not know are passed over.
    ///
    /// # Errors
    ///
    /// The reply is an error (a server that does not know the command, or is no part of a cluster), is of another
    /// shape, or has slots that there are not.
    pub fn from_shards(reply: Reply<'_>, asked: Asked<'_>) -> Result<Self, Error> {
        let mut shards = Vec::new();
        for shard in elements(reply)? {
            let mut read = TopologyShard::default();
            let mut fields = pairs(shard?)?;
            while let Some((name, value)) = fields.next_pair()? {
                match text(&name)? {
                    "slots" => read.ranges = ranges(elements(value)?)?,
                    "nodes" => read.nodes = nodes(elements(value)?, asked)?,
                    _ => {}
                }
            }
            shards.push(read);
        }
        Ok(Self { shards })
    }

    /// Reads the answer to `CLUSTER SLOTS`. It does not tell of nodes without slots, nor of replicas that failed or have
    /// nothing of their primary yet, nor of how the others are.
    ///
    /// # Errors
    ///
    /// As [`from_shards`](Self::from_shards).
    pub fn from_slots(reply: Reply<'_>, asked: Asked<'_>) -> Result<Self, Error> {
        let mut shards: Vec<TopologyShard> = Vec::new();
        for line in elements(reply)? {
            let mut line = elements(line?)?;
            let range = range(line.next(), line.next())?;
            let mut nodes = Vec::new();
            for (place, node) in line.enumerate() {
                let role = if place == 0 {
                    Role::Primary
                } else {
                    Role::Replica
                };
                nodes.extend(Described::of_slots(node?, role)?.node(asked));
            }
            // A shard is told of once for each of its ranges.
            match shards.iter_mut().find(|shard| shard.nodes == nodes) {
                Some(shard) => shard.ranges.push(range),
                None => shards.push(TopologyShard {
                    ranges: vec![range],
                    nodes,
                }),
            }
        }
        Ok(Self { shards })
    }

    /// Of what several nodes told at about the same time, what most of them say of the slots and their primaries, and
    /// how many say so. A node that has lost sight of the others, or has not yet heard what is new, is outvoted.
    ///
    /// Of those, it is what most of them say of the replicas and of who failed: a replica that is cut off says of the slots
    /// what all say. Of as many, those count who know of more nodes that failed, as it takes most of the primaries to
    /// agree on that: who is cut off takes nobody for failed.
    pub fn most_agreed(told: &[Self]) -> Option<(&Self, usize)> {
        let claims: Vec<Vec<Claim<'_>>> = told.iter().map(Self::claims).collect();
        let views: Vec<Vec<View<'_>>> = told.iter().map(Self::views).collect();
        let rank = |place: usize, one: &Self| {
            let agree = |other: &usize| claims.get(place) == claims.get(*other);
            let votes = (0..told.len()).filter(agree).count();
            let see_the_same = |other: &usize| views.get(place) == views.get(*other);
            let agreed = (0..told.len()).filter(agree).filter(see_the_same).count();
            (votes, agreed, one.failed_nodes())
        };
        let ranked = told
            .iter()
            .enumerate()
            .map(|(place, one)| (one, rank(place, one)));
        // The last of several is given, and the first is wanted.
        let most = ranked.rev().max_by_key(|(_, rank)| *rank);
        most.map(|(one, (votes, ..))| (one, votes))
    }

    /// Which slots whose are, in one order.
    fn claims(&self) -> Vec<Claim<'_>> {
        let mut claims: Vec<Claim<'_>> = Vec::new();
        for shard in &self.shards {
            let primary = shard.nodes.iter().find(|node| node.is_primary());
            let primary = primary.map(Node::identity);
            let ranges = shard.ranges.iter();
            claims.extend(ranges.map(|range| (*range.start(), *range.end(), primary)));
        }
        claims.sort_unstable();
        claims
    }

    /// Whom each node belongs to and whether it failed, in one order.
    fn views(&self) -> Vec<View<'_>> {
        let mut views: Vec<View<'_>> = Vec::new();
        for shard in &self.shards {
            let primary = shard.nodes.iter().find(|node| node.is_primary());
            let primary = primary.map(Node::identity);
            let nodes = shard.nodes.iter();
            views.extend(nodes.map(|node| (node.identity(), primary, has_failed(node))));
        }
        views.sort_unstable();
        views
    }

    fn failed_nodes(&self) -> usize {
        let nodes = self.shards.iter().flat_map(|shard| &shard.nodes);
        nodes.filter(|node| has_failed(node)).count()
    }

    /// The shards, in the order in which they were told.
    pub fn shards(&self) -> &[TopologyShard] {
        &self.shards
    }

    /// How many slots somebody has: [`Slot::COUNT`] if the cluster is whole.
    pub fn assigned_slots(&self) -> usize {
        let mut assigned = vec![false; usize::from(Slot::COUNT)];
        for slot in self.shards.iter().flat_map(TopologyShard::slots) {
            if let Some(assigned) = assigned.get_mut(usize::from(slot.number())) {
                *assigned = true;
            }
        }
        assigned.iter().filter(|assigned| **assigned).count()
    }
}

fn has_failed(node: &Node) -> bool {
    node.health == Health::Failed
}

/// The first and the last slot of a range, and whose it is.
type Claim<'a> = (u16, u16, Option<(&'a str, u16)>);

/// A node, the primary of its shard, and whether it failed.
type View<'a> = ((&'a str, u16), Option<(&'a str, u16)>, bool);

/// First and last of each range, one behind the other.
fn ranges(mut numbers: Elements<'_>) -> Result<Vec<RangeInclusive<u16>>, Error> {
    let mut ranges = Vec::new();
    while let Some(first) = numbers.next() {
        ranges.push(range(Some(first), numbers.next())?);
    }
    Ok(ranges)
}

type Element<'a> = Option<Result<Reply<'a>, crate::ProtocolError>>;

fn range(first: Element<'_>, last: Element<'_>) -> Result<RangeInclusive<u16>, Error> {
    let (Some(first), Some(last)) = (first.transpose()?, last.transpose()?) else {
        return Err(DecodeError::message("a range of slots has a first and a last one").into());
    };
    let slot = |reply: &Reply<'_>| {
        let slot = u16::try_from(number(reply)?).ok().and_then(Slot::new);
        slot.ok_or_else(|| Error::from(DecodeError::new("a slot", reply)))
    };
    let range = slot(&first)?.number()..=slot(&last)?.number();
    if range.is_empty() {
        return Err(DecodeError::message("a range of slots ends before it begins").into());
    }
    Ok(range)
}

fn nodes(list: Elements<'_>, asked: Asked<'_>) -> Result<Vec<Node>, Error> {
    let mut nodes = Vec::new();
    for node in list {
        nodes.extend(Described::of_shards(node?)?.node(asked));
    }
    Ok(nodes)
}
