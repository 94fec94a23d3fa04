//! Whether names still are where they belong: what no server announces is found here.
//!
//! Redis 7.0 says nothing to the shard subscribers of a replica that has got another primary, and no server does to those
//! of a replica whose slot was taken away. A node that the others have lost sight of answers every PING, and delivers
//! nothing. So all that is subscribed is held against the map each time that the map is read.

use std::time::{Duration, Instant};

use super::lines::{LineId, Stage};
use super::{Address, KIND, ShardedSubscriptions};
use crate::blob::Blob;
use crate::cluster::{Health, Node, Shard, Slot, SlotMap};
use crate::pubsub::GapCause;

/// For how long the map has to say that a name is elsewhere before its line is left for that alone: what has just moved is
/// announced as a rule, and not every node knows at once.
const CERTAIN: Duration = Duration::from_secs(1);

/// How a name and its node fit together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    Right,
    /// The node serves it, and another one would be better.
    Second,
    /// The node does not serve it, as the map has it.
    Wrong,
    /// The cluster has agreed that the node is gone.
    Gone,
}

impl ShardedSubscriptions {
    /// Takes over what the map says by now: `as_of` is when that was asked for.
    pub fn apply(&mut self, map: &SlotMap, as_of: Instant, now: Instant) {
        self.now = now;
        self.map = map.clone();
        self.as_of = as_of;
        for id in self.lines.keys().copied().collect::<Vec<_>>() {
            self.note_role(id);
            self.leave_if_it_changed_sides(id);
            self.note_failover(id);
            self.note_companions(id);
        }
        self.check();
    }

    /// Messages of what is on a line may be missing, though it was there all the time.
    pub fn miss(&mut self, id: LineId, since: Instant, cause: GapCause) {
        if let Some(line) = self.lines.get_mut(&id) {
            line.subscriptions.miss(since, cause, |_| true);
            self.drain(id);
        }
    }

    /// What the node of a line has from its primary surely was whole then, but for what was [missed](Self::miss); `None` if
    /// it has nothing from another one, or that is not known.
    pub fn heard(&mut self, id: LineId, as_of: Option<Instant>) {
        if let Some(line) = self.lines.get_mut(&id) {
            line.heard_as_of = as_of;
        }
    }

    /// Takes note of what the node of a line is, a primary or a replica.
    fn note_role(&mut self, id: LineId) {
        // One without slots may be anything for a moment.
        if let Some(line) = self.lines.get_mut(&id).filter(|line| line.is_online())
            && let Some(shard) = self.map.serving_shard_of(&line.address)
            && let is_primary = shard.primary().map(Node::address) == Some(&line.address)
            && is_primary != line.is_primary
        {
            line.is_primary = is_primary;
            line.failed_over_at = Some(self.now);
        }
    }

    /// Takes note of the primary of a line's shard. Where that has become another one without a word, the last messages of the
    /// one before may be missing.
    fn note_failover(&mut self, id: LineId) {
        let is_stranger = self.follows_a_stranger(id);
        let Some(line) = self.lines.get_mut(&id).filter(|line| line.is_online()) else {
            return;
        };
        // Between a promotion and the demotion both look like primaries, one of them without slots.
        let shard = self.map.serving_shard_of(&line.address);
        let Some(primary) = shard.and_then(Shard::primary) else {
            return;
        };
        let before = line.primary.replace(primary.clone());
        if before.is_none_or(|before| before.is_same_as(primary)) {
            return;
        }
        line.failed_over_at = Some(self.now);
        let since = line.right_as_of;
        let homes = &self.homes;
        // A new primary of which the node had to hear first may have taken its time to send anything.
        let was_told = |name: &Blob| {
            let granted = homes.get(name).and_then(|home| home.granted_again_at);
            !is_stranger && granted.is_some_and(|at| at >= since)
        };
        let whole_as_of = line.whole_as_of(since);
        let subscriptions = &mut line.subscriptions;
        subscriptions.miss(whole_as_of, GapCause::Failover, |name| !was_told(name));
        self.drain(id);
    }

    /// Whether the node of a line follows a primary that it was not with before.
    fn follows_a_stranger(&self, id: LineId) -> bool {
        let Some(line) = self.lines.get(&id).filter(|line| line.is_online()) else {
            return false;
        };
        let shard = self.map.serving_shard_of(&line.address);
        let is_known = |node: &Node| line.companions.iter().any(|other| other.is_same_as(node));
        let primary = shard.and_then(Shard::primary);
        !line.companions.is_empty() && primary.is_some_and(|primary| !is_known(primary))
    }

    /// Leaves a line whose node, a replica, has gone to another primary. What it was silent about is over, even if it is the
    /// right node again by now. One that was a primary has been replaced, and may have been alone with a slot that was moving.
    fn leave_if_it_changed_sides(&mut self, id: LineId) {
        let is_stranger = self.follows_a_stranger(id);
        let Some(line) = self.lines.get_mut(&id).filter(|line| line.is_online()) else {
            return;
        };
        let was_replica = |primary: &Node| *primary.address() != line.address;
        if is_stranger && line.primary.as_ref().is_none_or(was_replica) {
            let right_as_of = line.right_as_of;
            self.leave(id, right_as_of, GapCause::NodeLeft);
        }
    }

    /// Takes note of those that the node of a line is with.
    fn note_companions(&mut self, id: LineId) {
        if let Some(line) = self.lines.get_mut(&id).filter(|line| line.is_online())
            && let Some(shard) = self.map.serving_shard_of(&line.address)
        {
            line.companions = shard.nodes().cloned().collect();
        }
    }

    /// When to call [`handle_timeout`](Self::handle_timeout), or to [open](Self::poll_open) a connection.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let parked = self.parked.first_key_value().map(|((due, _), _)| *due);
        [parked, self.refresh_at, self.lines_timeout()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Does what is due by now.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.now = now;
        if self.refresh_at.is_some_and(|at| at <= now) {
            self.refresh_at = None;
            self.refresh = true;
            self.plan_further_look();
        }
        self.unpark(now);
        self.close_idle(now);
    }

    /// Holds each line against the map.
    fn check(&mut self) {
        let (now, as_of) = (self.now, self.as_of);
        for id in self.lines.keys().copied().collect::<Vec<_>>() {
            let (worst, unconfirmed) = self.look_at(id);
            for name in unconfirmed {
                self.move_if_elsewhere(id, &name);
            }
            let is_succeeded = worst == Fit::Wrong && self.is_succeeded(id);
            let Some(line) = self.lines.get_mut(&id) else {
                continue;
            };
            if worst < Fit::Wrong {
                line.wrong_since = None;
                line.right_as_of = line.right_as_of.max(as_of);
                continue;
            }
            let since = *line.wrong_since.get_or_insert(as_of);
            let is_certain = as_of.saturating_duration_since(since) >= CERTAIN;
            if worst == Fit::Gone || is_certain || is_succeeded {
                let right_as_of = line.right_as_of;
                let cause = match worst {
                    Fit::Gone => GapCause::NodeLeft,
                    _ => GapCause::SlotMoved,
                };
                self.leave(id, right_as_of, cause);
            } else {
                let again = now.checked_add(CERTAIN);
                self.refresh_at = self.refresh_at.into_iter().chain(again).min();
            }
        }
        self.look_for_better();
    }

    /// Whether a replica of the primary that a line is connected to has taken its slots over. Until the map lists the former
    /// primary as a replica it may take seconds, and nothing reaches it: there is nothing to be gained by waiting.
    fn is_succeeded(&self, id: LineId) -> bool {
        let Some(line) = self.lines.get(&id) else {
            return false;
        };
        let is_here = |node: &Node| *node.address() == line.address;
        let is_successor = |node: &Node| {
            let mut companions = line.companions.iter();
            !is_here(node) && companions.any(|other| other.is_same_as(node))
        };
        let mut names = line.subscriptions.each_wanted(KIND);
        line.primary.as_ref().is_some_and(is_here)
            && names.any(|(name, _)| {
                let shard = self.map.shard(Slot::of_key(name));
                shard.and_then(Shard::primary).is_some_and(is_successor)
            })
    }

    /// The worst fit of what is confirmed on a line, and those of the others that are not where they belong.
    fn look_at(&self, id: LineId) -> (Fit, Vec<Blob>) {
        let (mut worst, mut unconfirmed) = (Fit::Right, Vec::new());
        let Some(line) = self.lines.get(&id).filter(|line| line.is_somewhere()) else {
            return (worst, unconfirmed);
        };
        for (name, is_confirmed) in line.subscriptions.each_wanted(KIND) {
            let fit = self.fit(&line.address, Slot::of_key(name));
            if is_confirmed {
                worst = worst.max(fit);
            } else if fit > Fit::Second {
                unconfirmed.push(name.clone());
            }
        }
        (worst, unconfirmed)
    }

    fn fit(&self, address: &Address, slot: Slot) -> Fit {
        let node = self.map.node_at(address);
        if node.is_some_and(|node| node.health() == Health::Failed) {
            return Fit::Gone;
        }
        // What is nobody's is left where it is: nobody else would serve it.
        let Some(shard) = self.map.shard(slot) else {
            return Fit::Right;
        };
        let Some(node) = shard.nodes().find(|node| node.address() == address) else {
            return Fit::Wrong;
        };
        let is_as_wanted = node.is_primary() != self.wants_replicas();
        match self.preferred(shard) {
            Some(_) if !is_as_wanted => Fit::Second,
            _ => Fit::Right,
        }
    }

    /// Where a replica serves instead of its primary, or the other way round, the better one is connected to, and what is on
    /// the other goes there once that works.
    pub(super) fn look_for_better(&mut self) {
        let mut better: Vec<Address> = Vec::new();
        for id in self.lines.keys().copied().collect::<Vec<_>>() {
            let Some(address) = self.better_than(id) else {
                continue;
            };
            let to = self.line_to(&address);
            let Some(line) = self.lines.get_mut(&to) else {
                continue;
            };
            match line.stage {
                // It has not become another one meanwhile.
                Stage::Online(since) if since <= self.as_of => {
                    self.leave(id, self.now, GapCause::Relocated);
                    continue;
                }
                Stage::Online(_) => {
                    self.refresh = true;
                    self.has_changed = true;
                }
                _ => {}
            }
            line.is_better = true;
            better.push(address);
        }
        for line in self.lines.values_mut() {
            line.is_better &= better.contains(&line.address);
        }
    }

    /// The node that what is on this line would better be on.
    fn better_than(&self, id: LineId) -> Option<Address> {
        let line = self.lines.get(&id).filter(|line| line.is_online())?;
        let (name, _) = line.subscriptions.each_wanted(KIND).next()?;
        let slot = Slot::of_key(name);
        if self.fit(&line.address, slot) != Fit::Second {
            return None;
        }
        let better = self.preferred(self.map.shard(slot)?)?;
        Some(better.address().clone())
    }

    /// Takes a name that is not confirmed off its line if it belongs elsewhere.
    pub(super) fn move_if_elsewhere(&mut self, id: LineId, name: &Blob) {
        let Some(line) = self.lines.get(&id) else {
            return;
        };
        let (address, slot) = (line.address.clone(), Slot::of_key(name));
        if self.is_avoided(&address) || self.fit(&address, slot) > Fit::Second {
            let to = self.line_for(slot);
            if to != id {
                self.move_on(id, name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::{Access, testing::map};
    use crate::pubsub::{SubscriptionEvent, Verb};

    fn seconds_after(begun: Instant) -> impl Fn(u64) -> Instant {
        move |seconds| begun + Duration::from_secs(seconds)
    }

    /// A shard channel that is read from b, which is a replica where there is one.
    fn read_from_b(map: &SlotMap, now: Instant) -> (ShardedSubscriptions, LineId) {
        let access = Access::ReadFromReplica;
        let mut names = ShardedSubscriptions::new(map.clone(), access, 0, now);
        names.subscribe(vec![Blob::copy_from(b"news")]);
        let line = connect(&mut names, now);
        (names, line)
    }

    /// Makes the next connection, and has it confirmed there.
    fn connect(names: &mut ShardedSubscriptions, now: Instant) -> LineId {
        let line = names.poll_open(now).expect("it is to be connected").line;
        names.opened(line, now);
        hear(names, line, Verb::Subscribe, now);
        line
    }

    /// The server says what has become of the name.
    fn hear(names: &mut ShardedSubscriptions, line: LineId, verb: Verb, now: Instant) {
        names.now = now;
        let subscriptions = names.line_mut(line).expect("it is there");
        subscriptions.poll_transmit(&mut Vec::new(), now);
        let count = i64::from(verb == Verb::Subscribe);
        let told = subscriptions.handle_confirmation(verb, KIND, Some(b"news"), count, true, now);
        assert!(told.is_ok(), "{told:?}");
        names.drain(line);
    }

    fn gaps(names: &mut ShardedSubscriptions) -> Vec<GapCause> {
        let gap = |event| match event {
            SubscriptionEvent::Gap { cause, .. } | SubscriptionEvent::Missed { cause, .. } => {
                Some(cause)
            }
            _ => None,
        };
        std::iter::from_fn(|| names.poll_event())
            .filter_map(gap)
            .collect()
    }

    #[test]
    fn a_former_primary_is_succeeded_by_a_replica_of_its_own_and_by_nobody_else() {
        let now = Instant::now();
        let before = map(&["0-16383: a primary online, b replica online"]);
        let mut names = ShardedSubscriptions::new(before.clone(), Access::Write, 0, now);
        names.subscribe(vec![Blob::copy_from(b"news")]);
        let line = names.poll_open(now).expect("it is to be connected").line;
        names.opened(line, now);
        let mut is_succeeded = |map: SlotMap| {
            names.map = map;
            names.is_succeeded(line)
        };
        assert!(!is_succeeded(before));
        // The former one is not known as a replica yet.
        assert!(is_succeeded(map(&[
            "0-16383: b primary online",
            ": a primary online"
        ])));
        // Slots that have moved are announced.
        assert!(!is_succeeded(map(&[
            "0-16383: c primary online",
            ": a primary online, b replica online"
        ])));
    }

    #[test]
    fn what_a_replica_did_not_hear_is_missed_whatever_becomes_of_it() {
        let begun = Instant::now();
        let at = seconds_after(begun);
        let before = map(&["0-16383: a primary online, b replica online"]);
        let failed = map(&["0-16383: a primary online, b replica fail"]);
        let read = || {
            let (mut names, line) = read_from_b(&before, begun);
            names.apply(&before, at(8), at(8));
            (names, line)
        };
        let since = |names: &ShardedSubscriptions| {
            let (since, cause) = names.missed(b"news").expect("it is told later");
            (since.duration_since(begun).as_secs(), cause)
        };
        // It was well when it was asked for last, or had heard its primary before.
        for (heard_as_of, missed) in [(None, 8), (Some(at(5)), 5), (Some(at(9)), 8)] {
            let (mut names, line) = read();
            names.heard(line, heard_as_of);
            names.apply(&failed, at(10), at(10));
            assert_eq!(since(&names), (missed, GapCause::NodeLeft));
        }
        let (mut names, line) = read();
        names.heard(line, Some(at(5)));
        names.lost(line, at(9), false, at(10));
        assert_eq!(since(&names), (5, GapCause::Disconnected));
        // It has become the primary.
        let (mut names, line) = read();
        names.heard(line, Some(at(5)));
        names.heard(line, None);
        names.lost(line, at(9), false, at(10));
        assert_eq!(since(&names), (9, GapCause::Disconnected));
    }

    #[test]
    fn what_is_lost_long_after_a_failover_is_not_lost_by_it() {
        let begun = Instant::now();
        let at = seconds_after(begun);
        let before = map(&["0-16383: a primary online, b replica online, c replica online"]);
        let after = map(&["0-16383: c primary online, a replica online, b replica online"]);
        let cause_at = |seconds| {
            let (mut names, line) = read_from_b(&before, begun);
            names.apply(&before, at(1), at(1));
            names.apply(&after, at(2), at(2));
            for second in 3..=seconds {
                names.apply(&after, at(second), at(second));
            }
            names.lost(line, at(seconds), false, at(seconds));
            // It goes elsewhere, when nothing that came is on its way there any more.
            names.handle_timeout(at(seconds + 1));
            names.missed(b"news").map(|(_, cause)| cause)
        };
        assert_eq!(cause_at(3), Some(GapCause::Failover));
        assert_eq!(cause_at(20), Some(GapCause::Disconnected));
    }

    #[test]
    fn a_failover_is_told_to_who_was_subscribed_again_before_it_was_known() {
        let begun = Instant::now();
        let at = seconds_after(begun);
        let before = map(&["0-16383: a primary online, b replica online, c replica online"]);
        let after = map(&["0-16383: c primary online, b replica online, a replica fail"]);
        let (mut names, line) = read_from_b(&before, begun);
        names.lost(line, at(1), false, at(2));
        connect(&mut names, at(3));
        assert_eq!(gaps(&mut names), [GapCause::Disconnected]);
        // It may have been just now.
        names.apply(&after, at(4), at(4));
        assert_eq!(gaps(&mut names), [GapCause::Failover]);
    }

    #[test]
    fn what_a_former_primary_grants_again_is_missed_until_its_new_one_is_known() {
        let begun = Instant::now();
        let at = seconds_after(begun);
        let before = map(&["0-16383: b primary online", ": c primary online"]);
        // Its last slot has gone there, and it has followed.
        let after = map(&["0-16383: c primary online, b replica online"]);
        let (mut names, line) = read_from_b(&before, begun);
        names.apply(&before, at(1), at(1));
        hear(&mut names, line, Verb::Unsubscribe, at(2));
        hear(&mut names, line, Verb::Subscribe, at(2));
        assert_eq!(gaps(&mut names), [GapCause::Failover]);
        names.apply(&after, at(3), at(3));
        assert_eq!(gaps(&mut names), [GapCause::Failover]);
    }

    #[test]
    fn a_primary_that_is_replaced_while_slots_move_has_not_changed_sides() {
        let begun = Instant::now();
        let at = seconds_after(begun);
        let before = map(&["0-16383: a primary online, b replica online"]);
        // The slot has just come, and is not the successor's yet.
        let between = map(&["0-9999: a primary online", "10000-16383: b primary online"]);
        let (mut names, line) = read_from_b(&before, begun);
        for (seconds, map) in [(1, &before), (2, &between), (3, &before)] {
            names.apply(map, at(seconds), at(seconds));
        }
        assert_eq!(names.poll_close(), None);
        assert_eq!(names.line_of(b"news"), Some(line));
        // One that has never been a primary has.
        let strange = map(&["0-16383: c primary online, b replica online"]);
        names.apply(&strange, at(4), at(4));
        assert_eq!(names.poll_close(), Some(line));
    }
}
