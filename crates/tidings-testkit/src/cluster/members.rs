//! Nodes that come, go, and change sides; slots that are nobody's.

use std::ops::RangeInclusive;
use std::sync::Arc;

use super::node::ClusterNode;
use super::{Cluster, SLOTS};
use crate::sync::lock;
use crate::wait::agreed;

impl Cluster {
    /// Starts another primary, which has no slots yet.
    ///
    /// # Panics
    ///
    /// If it does not come up, or the nodes do not agree within a minute.
    #[track_caller]
    #[must_use]
    pub fn add_primary(&self) -> Arc<ClusterNode> {
        let node = self.join();
        self.await_agreement();
        node
    }

    /// Starts another replica of a primary, and waits until it is in sync.
    ///
    /// # Panics
    ///
    /// If it does not come up, or the nodes do not agree within a minute.
    #[track_caller]
    #[must_use]
    pub fn add_replica(&self, primary: &ClusterNode) -> Arc<ClusterNode> {
        let node = self.join();
        self.await_agreement();
        self.replicate(&node, primary);
        node
    }

    /// `CLUSTER REPLICATE`: makes a replica, or a primary without slots and keys, a replica of this
    /// primary, and waits until it is in sync.
    ///
    /// # Panics
    ///
    /// If the server refuses, or the nodes do not agree within a minute.
    #[track_caller]
    pub fn replicate(&self, replica: &ClusterNode, primary: &ClusterNode) {
        if let Err(problem) = agreed(|| replica.follow(primary)) {
            panic!("{problem}");
        }
        self.await_that(|| {
            let view = replica.view()?;
            match view.myself() {
                Some(myself) if myself.replica_of.as_deref() == Some(primary.id()) => Ok(()),
                _ => Err(format!("{replica} does not follow {primary}")),
            }
        });
    }

    /// Takes a node out: its slots go to the other primaries, its replicas to one of them, it is
    /// shut down, and forgotten by all (`CLUSTER FORGET`). Of one that is down only the last is done:
    /// its slots, if it still has some, are then nobody's.
    ///
    /// With thousands of slots this takes seconds where the servers have no
    /// [atomic migration](Self::supports_atomic_migration).
    ///
    /// # Panics
    ///
    /// If there is no other primary for its slots, or the nodes do not agree within a minute.
    #[track_caller]
    pub fn remove_node(&self, node: &ClusterNode) {
        let node = self.own(node);
        if node.is_live() {
            self.empty(&node);
        }
        node.shutdown();
        lock(&self.nodes).retain(|other| *other != node);
        // One that has not yet forgotten it may remind the others of it.
        self.await_that(|| {
            for other in self.nodes().iter().filter(|other| other.is_live()) {
                if other.view()?.members.contains_key(node.id()) {
                    let _ = other.try_admin(["CLUSTER", "FORGET", node.id()]);
                }
            }
            Ok(())
        });
    }

    /// Takes slots from whoever has them (`CLUSTER DELSLOTSRANGE` at all nodes): they are nobody's.
    /// Their keys stay where they are.
    ///
    /// With `cluster-require-full-coverage yes`, which is the default, nothing is served from then on.
    ///
    /// # Panics
    ///
    /// If the nodes do not agree within a minute.
    #[track_caller]
    pub fn delete_slots(&self, slots: RangeInclusive<u16>) {
        Self::check_slots(&slots);
        // The owner first: it would tell the others again that they are its own.
        self.await_that(|| {
            let mut nodes = self.nodes();
            nodes.retain(|node| node.is_live());
            let mut owned = Ok(());
            for owners in [true, false] {
                for node in &nodes {
                    let view = node.view()?;
                    for slot in slots.clone() {
                        let owner = view.owner_of(slot).map(|(_, id)| id);
                        if owner.is_some_and(|id| (id == node.id()) == owners) {
                            // It may have heard meanwhile that it is nobody's; whether it has is asked again.
                            let _ = node.try_admin(["CLUSTER", "DELSLOTS", &slot.to_string()]);
                            owned = Err(format!("{node} took slot {slot} for owned"));
                        }
                    }
                }
            }
            owned
        });
    }

    /// The same at one node only, which need not be the owner; the others are not told. Returns at
    /// once.
    #[track_caller]
    pub fn delete_slots_at(&self, slots: RangeInclusive<u16>, node: &ClusterNode) {
        Self::check_slots(&slots);
        let [first, last] = [slots.start(), slots.end()].map(ToString::to_string);
        node.admin(["CLUSTER", "DELSLOTSRANGE", &first, &last]);
    }

    /// Gives slots that are nobody's to a primary.
    ///
    /// # Panics
    ///
    /// If one is somebody's, or the nodes do not agree within a minute.
    #[track_caller]
    pub fn add_slots(&self, slots: RangeInclusive<u16>, owner: &ClusterNode) {
        Self::check_slots(&slots);
        let [first, last] = [slots.start(), slots.end()].map(ToString::to_string);
        owner.admin(["CLUSTER", "ADDSLOTSRANGE", &first, &last]);
        self.await_owner(&slots, owner);
    }

    #[track_caller]
    fn join(&self) -> Arc<ClusterNode> {
        let node = self
            .builder
            .start_node(self.next_number())
            .unwrap_or_else(|error| panic!("{error}"));
        let mut nodes = lock(&self.nodes);
        for other in nodes.iter().filter(|other| other.is_live()) {
            node.meet(other);
        }
        nodes.push(Arc::clone(&node));
        node
    }

    /// Leaves it without slots and without replicas.
    #[track_caller]
    fn empty(&self, node: &ClusterNode) {
        let mut takers = self.primaries();
        takers.retain(|other| *other.id() != *node.id());
        let replicas = self.replicas_of(node);
        let slots = node
            .view()
            .ok()
            .and_then(|view| view.myself().map(|myself| myself.slots.clone()))
            .unwrap_or_default();
        assert!(
            !takers.is_empty() || (slots.is_empty() && replicas.is_empty()),
            "{node} is the only primary"
        );
        for slots in slots {
            self.hand_out(slots, &takers);
        }
        for (replica, taker) in replicas.iter().zip(takers.iter().cycle()) {
            self.replicate(replica, taker);
        }
    }

    /// In pieces of the same size.
    #[track_caller]
    fn hand_out(&self, slots: RangeInclusive<u16>, takers: &[Arc<ClusterNode>]) {
        let size = slots.len().div_ceil(takers.len());
        let size = u16::try_from(size).unwrap_or(SLOTS);
        for (first, taker) in slots.clone().step_by(usize::from(size)).zip(takers) {
            let piece = first..=first.saturating_add(size - 1).min(*slots.end());
            if self.supports_atomic_migration() {
                self.move_slots_atomically(piece, taker);
            } else {
                self.move_slots(piece, taker);
            }
        }
    }
}
