//! What became of the nodes between two maps.

use super::{Node, Shard, SlotMap};

/// What became of one node. See [`SlotMap::apply`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NodeChange {
    /// It is new.
    Joined(Node),
    /// It is no longer told of.
    Left(Node),
    /// It is another than it was: its address, its role, its health, or its shard.
    #[non_exhaustive]
    Changed {
        /// What it was.
        before: Node,
        /// What it is.
        after: Node,
        /// Whether it now is with other nodes than before, and so has other slots. On Redis 7.0 it has not told its
        /// subscribers of shard channels, who are deaf from then on.
        is_elsewhere: bool,
    },
}

/// Those that left come first, so that an address that one left and another took is free before it is taken.
pub(super) fn between(before: &SlotMap, after: &SlotMap) -> Vec<NodeChange> {
    let is_in = |map: &SlotMap, node: &Node| map.nodes().any(|other| other.is_same_as(node));
    let left = before.nodes().filter(|node| !is_in(after, node));
    let mut changes: Vec<NodeChange> = left.cloned().map(NodeChange::Left).collect();
    for node in after.nodes() {
        let Some(former) = before.nodes().find(|former| former.is_same_as(node)) else {
            changes.push(NodeChange::Joined(node.clone()));
            continue;
        };
        let is_elsewhere = is_elsewhere(node, before, after);
        let is_same = former.address == node.address
            && former.role == node.role
            && former.health == node.health;
        if !is_same || is_elsewhere {
            changes.push(NodeChange::Changed {
                before: former.clone(),
                after: node.clone(),
                is_elsewhere,
            });
        }
    }
    changes
}

/// Whether the primary of a node's shard is none of the nodes that it was with before.
fn is_elsewhere(node: &Node, before: &SlotMap, after: &SlotMap) -> bool {
    let (Some(former), Some(shard)) = (shard_of(before, node), shard_of(after, node)) else {
        return false;
    };
    let was_there = |primary: &Node| former.nodes().any(|other| other.is_same_as(primary));
    shard.primary().is_some_and(|primary| !was_there(primary))
}

fn shard_of<'a>(map: &'a SlotMap, node: &Node) -> Option<&'a Shard> {
    let mut shards = map.shards.iter();
    shards.find(|shard| shard.nodes().any(|other| other.is_same_as(node)))
}
