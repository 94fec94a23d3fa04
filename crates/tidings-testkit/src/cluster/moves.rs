//! Slots that go from one primary to another.

use std::ops::RangeInclusive;
use std::sync::Arc;

use super::Cluster;
use super::node::ClusterNode;
use crate::admin::AdminReply;
use crate::binaries::Flavor;
use crate::wait::agreed;

/// As many keys as a `MIGRATE` takes at a time.
const KEYS: usize = 100;

/// As many slots as are opened before the first of them is closed again.
const TOGETHER: usize = 100;

/// For a `MIGRATE`, in ms.
const MIGRATE_TIMEOUT: &str = "10000";

/// A slot on its way, step by step; made by [`Cluster::begin_slot_move`].
///
/// In between, the cluster is as one with a migration that takes long, and stays so if this is
/// dropped: the source answers `ASK` for keys that it has not, and `TRYAGAIN` to commands with
/// several keys of which only some are there.
///
/// ```no_run
/// # use tidings_testkit::{Cluster, slot_of};
/// # let cluster = Cluster::start();
/// let [_, other, ..] = &cluster.primaries()[..] else { panic!() };
/// let slot_move = cluster.begin_slot_move(slot_of("user:1"), other);
/// slot_move.open();
/// // … keys that are not there yet: ASK …
/// slot_move.move_keys(1);
/// // … MGET of this one and another: TRYAGAIN …
/// slot_move.finish();
/// ```
#[derive(Debug)]
#[must_use = "nothing has moved yet"]
pub struct SlotMove<'a> {
    cluster: &'a Cluster,
    slot: u16,
    source: Arc<ClusterNode>,
    target: Arc<ClusterNode>,
}

impl SlotMove<'_> {
    /// The slot.
    #[must_use]
    pub fn slot(&self) -> u16 {
        self.slot
    }

    /// Who had it when the move began.
    #[must_use]
    pub fn source(&self) -> &Arc<ClusterNode> {
        &self.source
    }

    /// Who is to have it.
    #[must_use]
    pub fn target(&self) -> &Arc<ClusterNode> {
        &self.target
    }

    /// [`importing`](Self::importing), then [`migrating`](Self::migrating), as it must be.
    #[track_caller]
    pub fn open(&self) {
        self.importing();
        self.migrating();
    }

    /// `SETSLOT IMPORTING` at the target: it takes commands for the slot after an `ASKING`.
    #[track_caller]
    pub fn importing(&self) {
        set_slots(&self.target, &[self.slot], &["IMPORTING", self.source.id()]);
    }

    /// `SETSLOT MIGRATING` at the source: it answers `ASK` for keys that it has not.
    #[track_caller]
    pub fn migrating(&self) {
        set_slots(&self.source, &[self.slot], &["MIGRATING", self.target.id()]);
    }

    /// `MIGRATE` of at most so many keys of database 0; gives how many went.
    #[track_caller]
    pub fn move_keys(&self, at_most: usize) -> usize {
        let slot = self.slot.to_string();
        let count = at_most.to_string();
        let keys = self
            .source
            .admin(["CLUSTER", "GETKEYSINSLOT", &slot, &count]);
        let keys: Vec<&[u8]> = keys
            .elements()
            .iter()
            .filter_map(|key| match key {
                AdminReply::Bulk(key) => Some(&key[..]),
                _ => None,
            })
            .collect();
        if keys.is_empty() {
            return 0;
        }
        let [host, port, _] = self.target.meeting_point();
        let mut command: Vec<&[u8]> = vec![b"MIGRATE", host.as_bytes(), port.as_bytes()];
        command.extend([b"" as &[u8], b"0", MIGRATE_TIMEOUT.as_bytes()]);
        if let Some(password) = &self.cluster.builder.password {
            command.extend([b"AUTH", password.as_bytes()]);
        }
        command.push(b"KEYS");
        command.extend(&keys);
        self.source.admin(command);
        keys.len()
    }

    /// `SETSLOT NODE` at one node: it knows the target for the owner from now on. The source takes
    /// that only when it has no more keys. Once the target is told, the source hears of it by itself
    /// soon, and drops what keys it still has.
    #[track_caller]
    pub fn assign_at(&self, node: &ClusterNode) {
        set_slots(node, &[self.slot], &["NODE", self.target.id()]);
    }

    /// `SETSLOT STABLE` at both: the slot is the source's as before, and what keys went to the
    /// target are lost to clients.
    #[track_caller]
    pub fn give_up(self) {
        for node in [&self.source, &self.target] {
            set_slots(node, &[self.slot], &["STABLE"]);
        }
    }

    /// All that is still to do: both ends opened, all keys moved, `SETSLOT NODE` at the target, the
    /// source and the other primaries, in this order. Returns when all nodes agree.
    #[track_caller]
    pub fn finish(self) {
        self.finish_at_the_ends();
        self.assign_elsewhere();
        self.cluster
            .await_owner(&(self.slot..=self.slot), &self.target);
    }

    #[track_caller]
    fn finish_at_the_ends(&self) {
        // If one was assigned by hand, there is nothing to open any more; the other one may hear of it
        // at any time.
        let is_assigned = [&self.target, &self.source].into_iter().any(|node| {
            let view = node.view().unwrap_or_default();
            view.owner_of(self.slot)
                .is_some_and(|(_, id)| id == self.target.id())
        });
        if !is_assigned {
            self.open();
        }
        while self.move_keys(KEYS) > 0 {}
        self.assign_at(&self.target);
        self.assign_at(&self.source);
    }

    /// The others would hear of it by and by.
    #[track_caller]
    fn assign_elsewhere(&self) {
        for node in self.cluster.primaries() {
            if node != self.source && node != self.target {
                self.assign_at(&node);
            }
        }
    }
}

impl Cluster {
    /// Moves a slot with its keys by `SETSLOT`, as `redis-cli --cluster reshard` does. Nothing
    /// happens to one that is there already.
    ///
    /// # Panics
    ///
    /// If nobody has it, `to` is no primary, or the nodes do not agree within a minute.
    #[track_caller]
    pub fn move_slot(&self, slot: u16, to: &ClusterNode) {
        self.move_slots(slot..=slot, to);
    }

    /// The same for several slots, of one owner or more: a hundred are on their way at a time.
    ///
    /// # Panics
    ///
    /// As [`move_slot`](Self::move_slot).
    #[track_caller]
    pub fn move_slots(&self, slots: RangeInclusive<u16>, to: &ClusterNode) {
        Self::check_slots(&slots);
        for (slots, source) in self.owners(&slots) {
            if *source == *to {
                continue;
            }
            let slots: Vec<u16> = slots.collect();
            for slots in slots.chunks(TOGETHER) {
                self.move_together(slots, &source, &self.own(to));
            }
        }
        self.await_owner(&slots, to);
    }

    /// A command is sent for all slots in one go: a node saves what it knows once for all of them, which
    /// may take it 5 ms.
    #[track_caller]
    fn move_together(&self, slots: &[u16], source: &Arc<ClusterNode>, target: &Arc<ClusterNode>) {
        set_slots(target, slots, &["IMPORTING", source.id()]);
        set_slots(source, slots, &["MIGRATING", target.id()]);
        for slot in slots {
            let slot_move = SlotMove {
                cluster: self,
                slot: *slot,
                source: Arc::clone(source),
                target: Arc::clone(target),
            };
            while slot_move.move_keys(KEYS) > 0 {}
        }
        set_slots(target, slots, &["NODE", target.id()]);
        set_slots(source, slots, &["NODE", target.id()]);
        // The others would hear of it by and by.
        for node in self.primaries() {
            if node != *source && node != *target {
                set_slots(&node, slots, &["NODE", target.id()]);
            }
        }
    }

    /// A move of which the test does each step, and may leave out, repeat or stop after any. Nothing
    /// has moved when this returns.
    ///
    /// # Panics
    ///
    /// If nobody has the slot, or `to` has it already.
    #[track_caller]
    pub fn begin_slot_move(&self, slot: u16, to: &ClusterNode) -> SlotMove<'_> {
        let source = self.owner_of(slot);
        assert!(*source != *to, "slot {slot} is {to}'s already");
        SlotMove {
            cluster: self,
            slot,
            source,
            target: self.own(to),
        }
    }

    /// Whether the servers can move slots as a whole, by themselves: Valkey from 9.0 on.
    #[must_use]
    pub fn supports_atomic_migration(&self) -> bool {
        let binary = self.binary();
        binary.flavor == Flavor::Valkey && binary.version.major >= 9
    }

    /// Moves slots with their keys by `CLUSTER MIGRATESLOTS`: clients see no `ASK`, only that the
    /// owner is another one. Slots of several owners are as many moves.
    ///
    /// # Panics
    ///
    /// If the servers [cannot](Self::supports_atomic_migration), the move fails, or the nodes do not
    /// agree within a minute.
    #[track_caller]
    pub fn move_slots_atomically(&self, slots: RangeInclusive<u16>, to: &ClusterNode) {
        Self::check_slots(&slots);
        assert!(
            self.supports_atomic_migration(),
            "{} has no atomic migration",
            self.binary()
        );
        for (slots, source) in self.owners(&slots) {
            if *source == *to {
                continue;
            }
            let [first, last] = [slots.start(), slots.end()].map(ToString::to_string);
            source.admin([
                "CLUSTER",
                "MIGRATESLOTS",
                "SLOTSRANGE",
                &first,
                &last,
                "NODE",
                to.id(),
            ]);
            let migrated = agreed(|| migration_has_ended(&source));
            match migrated {
                Ok(state) if state == "success" => {}
                Ok(state) => panic!("slots {slots:?} to {to}: {state}"),
                Err(problem) => panic!("slots {slots:?} to {to}: {problem}"),
            }
        }
        self.await_owner(&slots, to);
    }

    /// Runs of slots that have the same owner.
    #[track_caller]
    fn owners(&self, slots: &RangeInclusive<u16>) -> Vec<(RangeInclusive<u16>, Arc<ClusterNode>)> {
        let views: Vec<_> = self.views().map(|(_, view)| view).collect();
        let mut owners: Vec<(RangeInclusive<u16>, Arc<ClusterNode>)> = Vec::new();
        for slot in slots.clone() {
            let owner = views.iter().filter_map(|view| view.owner_of(slot)).max();
            let id = owner.unwrap_or_else(|| panic!("slot {slot} is nobody's")).1;
            match owners.last_mut() {
                Some((run, last)) if last.id() == id => *run = *run.start()..=slot,
                _ => {
                    let node = self.node(id);
                    let node =
                        node.unwrap_or_else(|| panic!("slot {slot} is {id}'s, who has gone"));
                    owners.push((slot..=slot, node));
                }
            }
        }
        owners
    }

    /// The node as it is held here.
    #[track_caller]
    pub(super) fn own(&self, node: &ClusterNode) -> Arc<ClusterNode> {
        self.node(node.id())
            .unwrap_or_else(|| panic!("{node} is not in the cluster"))
    }
}

/// `SETSLOT` of all of them at one node.
#[track_caller]
fn set_slots(at: &ClusterNode, slots: &[u16], what: &[&str]) {
    let commands = slots.iter().map(|slot| {
        let slot = slot.to_string();
        let words = ["CLUSTER", "SETSLOT", &slot].into_iter();
        let words = words.chain(what.iter().copied());
        words.map(str::to_owned).collect::<Vec<_>>()
    });
    let replies = at.try_admin_all(commands);
    let replies = replies.unwrap_or_else(|error| panic!("{at}: SETSLOT {what:?}: {error}"));
    if let Some(refusal) = replies.iter().find(|reply| reply.is_error()) {
        panic!("{at}: SETSLOT {what:?}: {refusal}");
    }
}

/// What became of the newest migration of a source: `success`, or how it failed.
fn migration_has_ended(source: &ClusterNode) -> Result<String, String> {
    let jobs = source.admin(["CLUSTER", "GETSLOTMIGRATIONS"]);
    let newest = jobs.elements().first().ok_or("there is no migration")?;
    let mut fields = newest.elements().chunks(2).filter_map(|pair| match pair {
        [name, value] => Some((name.text()?, value.text()?)),
        _ => None,
    });
    let state = fields.clone().find(|(name, _)| *name == "state");
    match state {
        Some((_, "success")) => Ok("success".to_owned()),
        Some((_, state @ ("failed" | "cancelled"))) => {
            let message = fields.find(|(name, _)| *name == "message");
            Ok(format!("{state}: {}", message.map_or("", |(_, text)| text)))
        }
        other => Err(format!("the migration is {other:?}")),
    }
}
