//! Which nodes have a line each: a connection that is there as long as the node is wanted.
//!
//! ```text
//!           wanted                        not wanted any more              ended
//!   (none) ────────▶ open ◀──────────┐   open ────────────────▶ leaving ────────▶ (none)
//!      │ it takes over from another  │ the other one has ended
//!      └──────────────────▶ waiting ─┘
//! ```
//!
//! A node that takes over waits until the line to the one before it has ended. So nothing is seen twice, as a demoted node
//! shows again what it hears of its new primary; and what the one line missed is told once, by the other.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use super::map::{Shard, SlotMap};
use super::node::{Address, Node};
use super::slot::Slot;
use crate::pubsub::GapCause;

/// For so long after a node has taken over from another, those that have not heard of it may say the contrary.
const SETTLING: Duration = Duration::from_secs(2);

/// Which nodes are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Following {
    /// The primaries.
    Primaries,
    /// Primaries and replicas.
    All,
}

/// Since when things are missing that a node has shown, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "a time and a cause")]
pub struct Missed {
    /// The last time at which surely nothing was missing.
    pub since: Instant,
    /// Why.
    pub cause: GapCause,
}

/// What is to be done. See [`NodeFollower::poll_step`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FollowingStep {
    /// Make a line to this node. What it has missed is told when it shows something.
    #[non_exhaustive]
    Open {
        /// The node.
        address: Address,
        /// What its line misses of before; nothing at the beginning.
        missed: Option<Missed>,
    },
    /// End the line to this node, and say so by [`NodeFollower::ended`].
    #[non_exhaustive]
    Leave {
        /// The node.
        address: Address,
        /// Why.
        cause: GapCause,
    },
    /// No line will tell what this node's has missed.
    #[non_exhaustive]
    Tell {
        /// The node.
        address: Address,
        /// What is missed.
        missed: Missed,
    },
}

/// Follows the nodes of a cluster.
///
/// It takes in each [map](Self::apply) and which lines have [ended](Self::ended); [`poll_step`](Self::poll_step) is to be
/// drained after both.
#[derive(Debug)]
pub struct NodeFollower {
    which: Following,
    map: SlotMap,
    /// When a map was asked for last that said what the lines are for; `None` before the first one.
    as_of: Option<Instant>,
    wanted: BTreeSet<Address>,
    lines: BTreeMap<Address, Line>,
    taken_over: Vec<TakenOver>,
    /// Nodes without slots that are told of as primaries, but are, or become, replicas.
    replaced: BTreeSet<Address>,
    steps: VecDeque<FollowingStep>,
}

/// That a node has taken over from another.
#[derive(Debug)]
struct TakenOver {
    former: Address,
    heir: Address,
    at: Instant,
}

#[derive(Debug)]
enum Line {
    Open,
    /// It begins when those have ended that it takes over from.
    Waiting {
        missed: Missed,
        before: BTreeSet<Address>,
    },
    Leaving(GapCause),
}

impl NodeFollower {
    /// Knows of no node.
    pub fn new(which: Following) -> Self {
        Self {
            which,
            map: SlotMap::new(),
            as_of: None,
            wanted: BTreeSet::new(),
            lines: BTreeMap::new(),
            taken_over: Vec::new(),
            replaced: BTreeSet::new(),
            steps: VecDeque::new(),
        }
    }

    /// What is to be done next.
    pub fn poll_step(&mut self) -> Option<FollowingStep> {
        self.steps.pop_front()
    }

    /// Takes over a map, and when what it says was asked for.
    pub fn apply(&mut self, map: &SlotMap, as_of: Instant, now: Instant) {
        let before = std::mem::replace(&mut self.map, map.clone());
        let known_until = self.as_of;
        self.note_replaced(&before);
        let nodes = map.nodes().filter(|node| match self.which {
            Following::Primaries => node.is_primary() && !self.replaced.contains(node.address()),
            Following::All => true,
        });
        self.wanted = nodes.map(|node| node.address().clone()).collect();
        if !self.is_contradicted(now) {
            self.as_of = Some(as_of);
        }
        self.leave_others();
        for address in self.wanted.clone() {
            if self.lines.contains_key(&address) {
                continue;
            }
            let Some(since) = known_until else {
                self.open(address, None);
                continue;
            };
            let missed = Missed {
                since,
                cause: cause_of_coming(&address, &before, map),
            };
            let former = self.lines.iter().filter(|(other, line)| {
                matches!(line, Line::Leaving(_)) && takes_over(&address, other, &before, map)
            });
            let former: BTreeSet<Address> = former.map(|(other, _)| other.clone()).collect();
            let taken_over = former.iter().map(|former| TakenOver {
                former: former.clone(),
                heir: address.clone(),
                at: now,
            });
            self.taken_over.extend(taken_over);
            if former.is_empty() {
                self.open(address, Some(missed));
            } else {
                let before = former;
                self.lines.insert(address, Line::Waiting { missed, before });
            }
        }
    }

    /// Whether the map says that a node which has just taken over from another one still follows it: that is an old map then,
    /// and nothing changes.
    fn is_contradicted(&mut self, now: Instant) -> bool {
        self.taken_over
            .retain(|it| now.saturating_duration_since(it.at) < SETTLING);
        if self.which == Following::All {
            return false;
        }
        let mut is_contradicted = false;
        for TakenOver { former, heir, .. } in &self.taken_over {
            let heir_node = self.map.node_at(heir);
            if heir_node.is_some_and(|node| !node.is_primary()) && self.wanted.remove(former) {
                self.wanted.insert(heir.clone());
                is_contradicted = true;
            }
        }
        is_contradicted
    }

    fn open(&mut self, address: Address, missed: Option<Missed>) {
        self.lines.insert(address.clone(), Line::Open);
        self.steps
            .push_back(FollowingStep::Open { address, missed });
    }

    fn tell(&mut self, address: Address, missed: Missed) {
        self.steps
            .push_back(FollowingStep::Tell { address, missed });
    }

    /// Leaves all that are not wanted.
    fn leave_others(&mut self) {
        let gone = |(address, line): (&Address, &Line)| {
            let is_gone = !self.wanted.contains(address) && !matches!(line, Line::Leaving(_));
            is_gone.then(|| address.clone())
        };
        let gone: Vec<Address> = self.lines.iter().filter_map(gone).collect();
        for address in gone {
            let cause = match self.map.node_at(&address) {
                Some(_) => GapCause::Failover,
                None => GapCause::NodeLeft,
            };
            let line = self.lines.insert(address.clone(), Line::Leaving(cause));
            if let Some(Line::Waiting { missed, .. }) = line {
                // It has never begun.
                self.lines.remove(&address);
                self.tell(address, missed);
            } else {
                self.steps
                    .push_back(FollowingStep::Leave { address, cause });
            }
        }
    }

    /// The line to a node has ended that was to be left; `last` is the last time at which it surely missed nothing.
    pub fn ended(&mut self, address: &Address, last: Instant) {
        let Some(Line::Leaving(cause)) = self.lines.remove(address) else {
            return;
        };
        let mut is_told = false;
        let mut ready = Vec::new();
        for (heir, line) in &mut self.lines {
            if let Line::Waiting { missed, before } = line
                && before.remove(address)
            {
                is_told = true;
                missed.since = missed.since.min(last);
                if before.is_empty() {
                    ready.push((heir.clone(), *missed));
                }
            }
        }
        for (heir, missed) in ready {
            self.open(heir, Some(missed));
        }
        let missed = Missed { since: last, cause };
        if self.wanted.contains(address) {
            // It was for a moment only that it was not.
            self.open(address.clone(), Some(missed));
        } else if !is_told {
            self.tell(address.clone(), missed);
        }
    }

    /// Takes note of primaries that have been replaced since that map: for a moment they may be told of as primaries without
    /// slots, while they already do again what their own primary does.
    fn note_replaced(&mut self, before: &SlotMap) {
        let serving = with_slots(&self.map);
        let nodes = self.map.primaries().map(Node::address);
        let idle: BTreeSet<&Address> = nodes.filter(|address| !serving.contains(address)).collect();
        self.replaced.retain(|address| idle.contains(address));
        for shard in before.shards() {
            let mut replicas = shard.replicas().iter().map(Node::address);
            let is_replaced = replicas.clone().any(|replica| serving.contains(replica));
            let former = shard.primary().map(Node::address);
            let former = former.into_iter().filter(|_| is_replaced);
            // It may have been learned before that it is a replica now.
            let idle = former
                .chain(&mut replicas)
                .filter(|node| idle.contains(node));
            self.replaced.extend(idle.cloned());
        }
    }
}

/// The primaries that have slots.
fn with_slots(map: &SlotMap) -> BTreeSet<&Address> {
    let places: BTreeSet<usize> = Slot::all().filter_map(|slot| map.place_of(slot)).collect();
    let shards = places
        .into_iter()
        .filter_map(|place| map.shards().get(place));
    shards
        .filter_map(|shard| Some(shard.primary()?.address()))
        .collect()
}

/// Why a node is new among those that are wanted.
fn cause_of_coming(address: &Address, before: &SlotMap, after: &SlotMap) -> GapCause {
    let former = after
        .node_at(address)
        .and_then(|node| same_in(before, node));
    match former {
        None => GapCause::NodeJoined,
        Some(former) if former.address() != address => GapCause::Disconnected,
        Some(_) => GapCause::Failover,
    }
}

/// Whether a node does what another one did: it is the same elsewhere, or has been promoted in its place.
fn takes_over(new: &Address, old: &Address, before: &SlotMap, after: &SlotMap) -> bool {
    let together = |map: &SlotMap| {
        let holds = |shard: &Shard, address| shard.nodes().any(|node| node.address() == address);
        map.shards()
            .iter()
            .any(|shard| holds(shard, new) && holds(shard, old))
    };
    let moved = || {
        let former = after.node_at(new).and_then(|node| same_in(before, node));
        former.is_some_and(|former| former.address() == old)
    };
    together(before) || together(after) || moved()
}

fn same_in<'a>(map: &'a SlotMap, node: &Node) -> Option<&'a Node> {
    map.nodes().find(|other| other.is_same_as(node))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::cluster::testing::{address, map};

    const WHOLE: [&str; 2] = [
        "0-8000: a primary online, b replica online",
        "8001-16383: c primary online, d replica online",
    ];

    struct Follower {
        inner: NodeFollower,
        begun: Instant,
    }

    impl Follower {
        /// What it has at the beginning.
        fn new(which: Following, shards: &[&str]) -> (Self, Vec<String>) {
            let mut this = Self {
                inner: NodeFollower::new(which),
                begun: Instant::now(),
            };
            let steps = this.apply(shards, 0);
            (this, steps)
        }

        fn at(&self, seconds: u64) -> Instant {
            self.begun + Duration::from_secs(seconds)
        }

        fn apply(&mut self, shards: &[&str], seconds: u64) -> Vec<String> {
            let as_of = self.at(seconds);
            self.inner.apply(&map(shards), as_of, as_of);
            self.steps()
        }

        fn ended(&mut self, name: &str, seconds: u64) -> Vec<String> {
            let last = self.at(seconds);
            self.inner.ended(&address(name), last);
            self.steps()
        }

        fn steps(&mut self) -> Vec<String> {
            let begun = self.begun;
            let since = |missed: Missed| {
                let since = missed.since.duration_since(begun).as_secs();
                format!("{:?} since {since}", missed.cause)
            };
            let steps = std::iter::from_fn(|| self.inner.poll_step());
            let shown = steps.map(|step| match step {
                FollowingStep::Open { address, missed } => {
                    let missed = missed.map_or("nothing".to_owned(), since);
                    format!("open {}, missed {missed}", address.host())
                }
                FollowingStep::Leave { address, cause } => {
                    format!("leave {}: {cause:?}", address.host())
                }
                FollowingStep::Tell { address, missed } => {
                    format!("tell {}: {}", address.host(), since(missed))
                }
            });
            shown.collect()
        }
    }

    #[test]
    fn at_the_beginning_nothing_is_missed() {
        let (_, steps) = Follower::new(Following::Primaries, &WHOLE);
        assert_eq!(steps, ["open a, missed nothing", "open c, missed nothing"]);
        let (mut all, steps) = Follower::new(Following::All, &WHOLE);
        assert_eq!(steps.len(), 4);
        assert!(all.apply(&WHOLE, 5).is_empty());
    }

    #[test]
    fn a_failover_is_told_once_by_the_node_that_takes_over_when_the_other_line_has_ended() {
        let (mut follower, _) = Follower::new(Following::Primaries, &WHOLE);
        follower.apply(&WHOLE, 5);
        let after = ["0-8000: b primary online, a replica online", WHOLE[1]];
        assert_eq!(follower.apply(&after, 10), ["leave a: Failover"]);
        // Nothing more until then.
        assert!(follower.apply(&after, 12).is_empty());
        assert_eq!(
            follower.ended("a", 11),
            ["open b, missed Failover since 5"],
            "the primary was another one from then on at the earliest"
        );
        let (mut follower, _) = Follower::new(Following::Primaries, &WHOLE);
        follower.apply(&WHOLE, 5);
        follower.apply(&after, 10);
        assert_eq!(
            follower.ended("a", 2),
            ["open b, missed Failover since 2"],
            "it was lost before that"
        );
    }

    #[test]
    fn a_primary_that_has_lost_its_slots_to_its_replica_is_left_though_it_is_called_a_primary() {
        let (mut follower, _) = Follower::new(Following::Primaries, &WHOLE);
        let between = ["0-8000: b primary online", WHOLE[1], ": a primary online"];
        assert_eq!(follower.apply(&between, 5), ["leave a: Failover"]);
        assert_eq!(follower.ended("a", 4), ["open b, missed Failover since 0"]);
        assert!(follower.apply(&between, 6).is_empty());
        let after = ["0-8000: b primary online, a replica online", WHOLE[1]];
        assert!(follower.apply(&after, 7).is_empty());
        // As a MOVED had said before.
        assert!(follower.apply(&between, 7).is_empty());
        assert!(follower.apply(&after, 7).is_empty());
        // One whose slots have gone elsewhere is a primary like any other.
        let moved = [
            "0-16383: c primary online",
            ": b primary online, a replica online",
        ];
        assert!(follower.apply(&moved, 8).is_empty());
    }

    #[test]
    fn a_primary_that_failed_is_wanted_until_another_one_takes_over() {
        let (mut follower, _) = Follower::new(Following::Primaries, &WHOLE);
        let failed = ["0-8000: a primary fail, b replica online", WHOLE[1]];
        assert!(follower.apply(&failed, 5).is_empty());
        let after = ["0-8000: b primary online, a replica fail", WHOLE[1]];
        assert_eq!(follower.apply(&after, 10), ["leave a: Failover"]);
        assert_eq!(follower.ended("a", 3), ["open b, missed Failover since 3"]);
        // And it is forgotten.
        let without = ["0-8000: b primary online", WHOLE[1]];
        assert!(follower.apply(&without, 15).is_empty());
    }

    #[test]
    fn a_node_that_joins_has_missed_what_was_before_it_was_known() {
        let (mut follower, _) = Follower::new(Following::Primaries, &WHOLE);
        follower.apply(&WHOLE, 5);
        let joined = [WHOLE[0], WHOLE[1], ": e primary online"];
        assert_eq!(
            follower.apply(&joined, 10),
            ["open e, missed NodeJoined since 5"]
        );
        // It was to become a replica.
        let replica = [
            "0-8000: a primary online, b replica online, e replica online",
            WHOLE[1],
        ];
        assert_eq!(follower.apply(&replica, 15), ["leave e: Failover"]);
        assert_eq!(follower.ended("e", 14), ["tell e: Failover since 14"]);
        let (mut all, _) = Follower::new(Following::All, &WHOLE);
        assert_eq!(
            all.apply(&replica, 10),
            ["open e, missed NodeJoined since 0"]
        );
    }

    #[test]
    fn what_is_missed_of_a_node_that_left_is_told_although_nobody_takes_over() {
        let (mut follower, _) = Follower::new(Following::Primaries, &WHOLE);
        let after = ["0-16383: a primary online, b replica online"];
        assert_eq!(follower.apply(&after, 5), ["leave c: NodeLeft"]);
        assert_eq!(follower.ended("c", 4), ["tell c: NodeLeft since 4"]);
        let (mut all, _) = Follower::new(Following::All, &WHOLE);
        assert_eq!(
            all.apply(&after, 5),
            ["leave c: NodeLeft", "leave d: NodeLeft"]
        );
        assert_eq!(all.ended("c", 4), ["tell c: NodeLeft since 4"]);
        assert_eq!(all.ended("d", 3), ["tell d: NodeLeft since 3"]);
    }

    #[test]
    fn where_all_are_wanted_roles_do_not_matter() {
        let (mut all, _) = Follower::new(Following::All, &WHOLE);
        let after = ["0-8000: b primary online, a replica online", WHOLE[1]];
        assert!(all.apply(&after, 5).is_empty());
    }

    #[test]
    fn an_old_map_does_not_undo_a_failover_and_a_new_one_does() {
        let (mut follower, _) = Follower::new(Following::Primaries, &WHOLE);
        let after = ["0-8000: b primary online, a replica online", WHOLE[1]];
        assert_eq!(follower.apply(&after, 5), ["leave a: Failover"]);
        assert!(follower.apply(&WHOLE, 6).is_empty());
        assert_eq!(follower.ended("a", 4), ["open b, missed Failover since 0"]);
        assert!(follower.apply(&WHOLE, 6).is_empty());
        // Now it is true. That it has been since the last map that said otherwise.
        assert_eq!(follower.apply(&WHOLE, 7), ["leave b: Failover"]);
        assert_eq!(follower.ended("b", 7), ["open a, missed Failover since 5"]);
        assert!(follower.apply(&WHOLE, 9).is_empty());
    }

    #[test]
    fn a_node_that_is_wanted_again_before_its_line_has_ended_gets_another_one() {
        let (mut follower, _) = Follower::new(Following::Primaries, &WHOLE);
        let after = ["0-8000: b primary online, a replica online", WHOLE[1]];
        assert_eq!(follower.apply(&after, 5), ["leave a: Failover"]);
        assert_eq!(
            follower.apply(&WHOLE, 7),
            ["tell b: Failover since 0"],
            "its line had not begun"
        );
        assert_eq!(follower.ended("a", 4), ["open a, missed Failover since 4"]);
        assert!(follower.apply(&WHOLE, 9).is_empty());
    }

    #[test]
    fn a_node_at_another_address_takes_over_from_itself() {
        let (mut follower, _) = Follower::new(
            Following::Primaries,
            &[
                "0-8000: 1@a primary online",
                "8001-16383: 2@c primary online",
            ],
        );
        let after = [
            "0-8000: 1@z primary online",
            "8001-16383: 2@c primary online",
        ];
        assert_eq!(follower.apply(&after, 5), ["leave a: NodeLeft"]);
        assert_eq!(
            follower.ended("a", 3),
            ["open z, missed Disconnected since 0"]
        );
    }

    #[test]
    fn a_line_that_nobody_left_ends_without_a_word() {
        let (mut follower, _) = Follower::new(Following::Primaries, &WHOLE);
        assert!(follower.ended("a", 1).is_empty());
        assert!(follower.ended("nobody", 1).is_empty());
    }
}
