//! What happens to a cluster, and whom it may concern.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tidings::GapCause;
use tidings_testkit::{Cluster, ClusterNode, Failover, slot_of};

/// A node is cut off for so long, and taken for failed by nobody.
const BRIEFLY: Duration = Duration::from_millis(1_000);

/// One thing that happens, from its beginning until all is well again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Slots go from shard to shard, one after the other.
    MoveSlots,
    /// A replica takes over, as it was told to.
    FailOver,
    /// The same while slots move.
    MoveSlotsAndFailOver,
    KillPrimary,
    KillReplica,
    /// It stands still for longer than the others wait for it.
    StopPrimary,
    StopReplica,
    /// It is reached by clients, and by no other node.
    CutOffPrimary,
    CutOffReplica,
    /// The same, and it is back before anybody notices.
    CutOffPrimaryBriefly,
    CutOffReplicaBriefly,
    /// A node comes, gets slots, and leaves.
    JoinAndLeave,
}

impl Fault {
    pub(crate) const ALL: [Self; 12] = [
        Self::MoveSlots,
        Self::FailOver,
        Self::KillPrimary,
        Self::CutOffReplicaBriefly,
        Self::MoveSlotsAndFailOver,
        Self::StopPrimary,
        Self::JoinAndLeave,
        Self::CutOffPrimary,
        Self::CutOffPrimaryBriefly,
        Self::KillReplica,
        Self::StopReplica,
        Self::CutOffReplica,
    ];
}

/// Whom a fault concerned, and how.
#[derive(Debug, Default)]
pub(crate) struct Concerned {
    /// The shard channels of which messages may be missing, and why, for who reads from primaries.
    pub(crate) of_primaries: BTreeMap<String, Vec<GapCause>>,
    /// The same for who reads from replicas.
    pub(crate) of_replicas: BTreeMap<String, Vec<GapCause>>,
    /// Why messages of all channels may be missing for who reads from one node.
    pub(crate) of_one_node: Vec<GapCause>,
}

impl Concerned {
    fn add(&mut self, channels: &[String], primaries: &[GapCause], replicas: &[GapCause]) {
        for channel in channels {
            let of_primaries = self.of_primaries.entry(channel.clone()).or_default();
            of_primaries.extend(primaries);
            let of_replicas = self.of_replicas.entry(channel.clone()).or_default();
            of_replicas.extend(replicas);
        }
    }
}

/// A cluster of shards with two nodes each, and the shard channels on it.
pub(crate) struct Victims {
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) channels: Vec<String>,
    pub(crate) random: fastrand::Rng,
    /// It has no slots, and nothing happens to it.
    pub(crate) bystander: Arc<ClusterNode>,
}

use GapCause::{Disconnected, Failover as FailedOver, NodeLeft, Partitioned, Relocated, SlotMoved};

/// For what a primary is missed that others replace. It may be there again before anybody has heard of that, and is preferred.
const REPLACED: [GapCause; 4] = [Disconnected, FailedOver, Partitioned, Relocated];

/// For a replica that is lost.
const REPLICA_LOST: [GapCause; 4] = [Disconnected, NodeLeft, Partitioned, Relocated];

impl Victims {
    pub(crate) fn suffer(&mut self, fault: Fault) -> Concerned {
        let mut concerned = Concerned::default();
        match fault {
            Fault::MoveSlots => self.move_slots(6, &mut concerned),
            Fault::FailOver => {
                let (primary, _) = self.shard();
                self.fail_over(&primary, &mut concerned);
            }
            Fault::MoveSlotsAndFailOver => {
                let (primary, _) = self.shard();
                self.move_slots(2, &mut concerned);
                self.fail_over(&primary, &mut concerned);
                self.move_slots(2, &mut concerned);
                // What was moved to the shard that failed over is concerned by both.
                self.concern_all(&mut concerned, &[SlotMoved, FailedOver], &[Relocated]);
            }
            Fault::KillPrimary => {
                let (primary, _) = self.shard();
                let channels = self.channels_of(&primary);
                let _ = self.cluster.kill_and_fail_over(&primary);
                primary.restart();
                self.cluster.await_agreement();
                concerned.add(&channels, &REPLACED, &REPLACED);
                concerned.of_one_node = vec![Disconnected, Partitioned];
            }
            Fault::StopPrimary => {
                let (primary, replica) = self.shard();
                let channels = self.channels_of(&primary);
                primary.stop_process();
                let _ = self.cluster.await_promotion(&[replica]);
                primary.continue_process();
                self.cluster.await_agreement();
                concerned.add(&channels, &REPLACED, &REPLACED);
                concerned.of_one_node = vec![Disconnected, NodeLeft, Partitioned];
            }
            Fault::CutOffPrimary => {
                let (primary, replica) = self.shard();
                let channels = self.channels_of(&primary);
                self.cluster.cut_off(&primary);
                let _ = self.cluster.await_promotion(&[replica]);
                self.cluster.reconnect(&primary);
                concerned.add(&channels, &REPLACED, &REPLACED);
                concerned.of_one_node = vec![Disconnected, NodeLeft, Partitioned];
            }
            Fault::KillReplica => {
                let (primary, replica) = self.shard();
                let channels = self.channels_of(&primary);
                replica.kill();
                self.await_failed(&replica);
                replica.restart();
                self.cluster.await_agreement();
                concerned.add(&channels, &[], &REPLICA_LOST);
                concerned.of_one_node = vec![Disconnected, NodeLeft, Partitioned];
            }
            Fault::StopReplica => {
                let (primary, replica) = self.shard();
                let channels = self.channels_of(&primary);
                replica.stop_process();
                self.await_failed(&replica);
                replica.continue_process();
                self.cluster.await_agreement();
                concerned.add(&channels, &[], &REPLICA_LOST);
                concerned.of_one_node = vec![Disconnected, NodeLeft, Partitioned];
            }
            Fault::CutOffReplica => {
                let (primary, replica) = self.shard();
                let channels = self.channels_of(&primary);
                self.cluster.cut_off(&replica);
                self.await_failed(&replica);
                self.cluster.reconnect(&replica);
                concerned.add(&channels, &[], &REPLICA_LOST);
                concerned.of_one_node = vec![Disconnected, NodeLeft, Partitioned];
            }
            Fault::CutOffPrimaryBriefly => {
                let (primary, _) = self.shard();
                self.cut_off_briefly(&primary, &primary, &mut concerned);
            }
            Fault::CutOffReplicaBriefly => {
                let (primary, replica) = self.shard();
                self.cut_off_briefly(&replica, &primary, &mut concerned);
            }
            Fault::JoinAndLeave => {
                let newcomer = self.cluster.add_primary();
                let channels: Vec<String> = (0..4).map(|_| self.channel()).collect();
                for channel in &channels {
                    self.cluster.move_slots_of(channel, &newcomer);
                }
                self.cluster.remove_node(&newcomer);
                concerned.add(&channels, &[SlotMoved, NodeLeft], &[SlotMoved, NodeLeft]);
                concerned.of_one_node = vec![Disconnected, NodeLeft, Partitioned];
            }
        }
        concerned
    }

    /// Each of these causes is one for all who were concerned, and each of the others for who reads from replicas.
    fn concern_all(&self, concerned: &mut Concerned, causes: &[GapCause], others: &[GapCause]) {
        let channels: Vec<String> = concerned.of_primaries.keys().cloned().collect();
        concerned.add(&channels, causes, &[causes, others].concat());
    }

    fn channel(&mut self) -> String {
        let channel = self.random.usize(0..self.channels.len());
        self.channels[channel].clone()
    }

    /// A primary with slots, and its replica.
    fn shard(&mut self) -> (Arc<ClusterNode>, Arc<ClusterNode>) {
        let mut primaries = self.cluster.primaries();
        primaries.retain(|primary| *primary != self.bystander);
        let primary = primaries.swap_remove(self.random.usize(0..primaries.len()));
        let mut replicas = self.cluster.replicas_of(&primary);
        let replica = replicas.pop().expect("each primary has a replica");
        (primary, replica)
    }

    fn channels_of(&self, primary: &ClusterNode) -> Vec<String> {
        let owned = owned_by(primary);
        let mut channels = self.channels.clone();
        channels.retain(|channel| owned.contains(&slot_of(channel)));
        channels
    }

    fn move_slots(&mut self, count: usize, concerned: &mut Concerned) {
        for _ in 0..count {
            let channel = self.channel();
            let (target, _) = self.shard();
            self.cluster.move_slots_of(&channel, &target);
            concerned.add(&[channel], &[SlotMoved], &[SlotMoved]);
        }
    }

    fn fail_over(&mut self, primary: &Arc<ClusterNode>, concerned: &mut Concerned) {
        let channels = self.channels_of(primary);
        let replicas = self.cluster.replicas_of(primary);
        self.cluster.failover(&replicas[0], Failover::Graceful);
        // Who reads from replicas reads from the new primary until the one before serves as one.
        concerned.add(&channels, &[FailedOver], &[FailedOver, Relocated]);
    }

    fn cut_off_briefly(
        &self,
        node: &ClusterNode,
        primary: &ClusterNode,
        concerned: &mut Concerned,
    ) {
        self.cluster.cut_off(node);
        std::thread::sleep(BRIEFLY);
        self.cluster.reconnect(node);
        concerned.add(&self.channels_of(primary), &[], &[Partitioned]);
        concerned.of_one_node = vec![Partitioned];
    }

    /// Waits until the others have agreed that a node failed.
    fn await_failed(&self, node: &ClusterNode) {
        let failed = || {
            let nodes = self.bystander.cli(["CLUSTER", "NODES"]);
            let mut lines = nodes.lines().filter(|line| line.starts_with(node.id()));
            lines.any(|line| line.contains("fail") && !line.contains("fail?"))
        };
        while !failed() {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// What moves the slot of a channel, by turns in the one way and in the other where there are two.
trait MoveSlotsOf {
    fn move_slots_of(&self, channel: &str, to: &ClusterNode);
}

impl MoveSlotsOf for Cluster {
    fn move_slots_of(&self, channel: &str, to: &ClusterNode) {
        let slot = slot_of(channel);
        if self.owner_of(slot).id() == to.id() {
            return;
        }
        if self.supports_atomic_migration() && fastrand::bool() {
            self.move_slots_atomically(slot..=slot, to);
        } else {
            self.move_slot(slot, to);
        }
    }
}

/// The slots that a primary says it has.
fn owned_by(primary: &ClusterNode) -> Vec<u16> {
    let nodes = primary.cli(["CLUSTER", "NODES"]);
    let own = nodes.lines().find(|line| line.contains("myself"));
    let ranges = own.into_iter().flat_map(|line| line.split(' ').skip(8));
    ranges
        .filter(|range| !range.starts_with('['))
        .filter_map(|range| {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            Some(first.parse().ok()?..=last.parse().ok()?)
        })
        .flatten()
        .collect()
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
