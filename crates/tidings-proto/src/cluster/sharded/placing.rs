//! Which line a name belongs on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::lines::{Line, LineId, Stage};
use super::{Address, Home, KIND, LineOp, ShardedSubscriptions};
use crate::blob::Blob;
use crate::cluster::{Health, Node, Shard, Slot};
use crate::pubsub::{GapCause, Moving};

/// Between attempts for a name that nodes send to each other, or that none takes.
const SHORTEST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// How late messages reach a replica at most, with something added: 43 ms were measured, and 20 ms are usual.
const BEHIND: Duration = Duration::from_millis(100);

/// What is lost so long after a failover was noticed is not lost by it: that was told, and all is where it belongs.
const SETTLED: Duration = Duration::from_secs(3);

/// So often a name is sent elsewhere at once: from its old node to the new one, and from a map that was old.
const AT_ONCE: u32 = 2;

impl ShardedSubscriptions {
    /// A home for a name that has none.
    pub(super) fn settle_in(&mut self, name: &Blob) -> LineId {
        let line = self.line_for(Slot::of_key(name));
        self.newest_order = self.newest_order.wrapping_add(1);
        let home = Home {
            line,
            order: self.newest_order,
            confirmed_at: None,
            confirmed_on: LineId::NOWHERE,
            came_at: self.now,
            granted_again_at: None,
            left_at: None,
            was_primary: false,
            companions: Arc::default(),
            saw_failover: false,
            sure_at: None,
            redirected: 0,
            refused_since: None,
        };
        self.homes.insert(name.clone(), home);
        if line == LineId::NOWHERE {
            self.note_parked(name.clone(), LONGEST_PAUSE);
        }
        line
    }

    /// The line to the node that a slot is to be read from.
    pub(super) fn line_for(&mut self, slot: Slot) -> LineId {
        let Some(address) = self.choose(slot) else {
            return LineId::NOWHERE;
        };
        self.line_to(&address)
    }

    /// The line to a node: one that is there, or a new one.
    pub(super) fn line_to(&mut self, address: &Address) -> LineId {
        let mut lines = self.lines.iter();
        if let Some((id, _)) = lines.find(|(_, line)| line.address == *address) {
            return *id;
        }
        self.newest_line = self.newest_line.wrapping_add(1);
        let id = LineId(self.newest_line);
        let not_before = self.avoided.get(address).map(|avoided| avoided.until);
        let line = Line::new(address.clone(), not_before.unwrap_or(self.now), self.now);
        self.lines.insert(id, line);
        id
    }

    /// The node for a slot: the primary or a replica, as it is wanted, and another one of the shard while that one cannot
    /// be connected to. Before a replica is promoted it serves already, while all other nodes still name the dead primary.
    fn choose(&self, slot: Slot) -> Option<Address> {
        let Some(shard) = self.map.shard(slot) else {
            // Whoever is asked knows better, or says that the slot is nobody's.
            let mut nodes: Vec<&Node> = self.map.nodes().collect();
            nodes.sort_by_key(|node| {
                (
                    self.is_avoided(node.address()),
                    node.health() != Health::Online,
                )
            });
            return Some(nodes.first()?.address().clone());
        };
        let candidates = self.candidates(shard);
        let good = candidates
            .iter()
            .find(|node| node.health() == Health::Online && !self.is_avoided(node.address()));
        let fair = || {
            candidates
                .iter()
                .find(|node| !self.is_avoided(node.address()))
        };
        // All of them are avoided: the one whose turn comes first.
        let soonest = || {
            candidates.iter().min_by_key(|node| {
                self.avoided
                    .get(node.address())
                    .map(|avoided| avoided.until)
            })
        };
        let chosen = good.or_else(fair).or_else(soonest)?;
        Some(chosen.address().clone())
    }

    /// The nodes of a shard, the one that is wanted first.
    fn candidates<'a>(&self, shard: &'a Shard) -> Vec<&'a Node> {
        let mut replicas: Vec<&Node> = shard.replicas().iter().collect();
        let turn = self.turn.checked_rem(replicas.len()).unwrap_or_default();
        replicas.rotate_left(turn);
        let primary = shard.primary();
        if self.wants_replicas() {
            replicas.into_iter().chain(primary).collect()
        } else {
            primary.into_iter().chain(replicas).collect()
        }
    }

    /// The node of a shard that is wanted, if it is well.
    pub(super) fn preferred<'a>(&self, shard: &'a Shard) -> Option<&'a Node> {
        let is_wanted = |node: &&&Node| {
            node.is_primary() != self.wants_replicas() && node.health() == Health::Online
        };
        self.candidates(shard).iter().find(is_wanted).copied()
    }

    /// Puts the names of a line that is no more where they belong.
    pub(super) fn place_all(&mut self, from: LineId, names: Vec<Moving>) {
        let mut by_line: BTreeMap<LineId, Vec<Moving>> = BTreeMap::new();
        for moving in names {
            let mut to = self.line_for(Slot::of_key(&moving.name));
            let pause = match to {
                LineId::NOWHERE => Some(LONGEST_PAUSE),
                to => self.too_early(&moving.name, to),
            };
            if let Some(pause) = pause {
                self.note_parked(moving.name.clone(), pause);
                to = LineId::NOWHERE;
            }
            by_line.entry(to).or_default().push(moving);
        }
        for (to, names) in by_line {
            self.adopt(from, to, names);
        }
    }

    /// How long a name still has to wait that goes from one node of its shard to another: messages that have come from the
    /// one may be on their way to the other, and would come again. Which of them is the primary may just have changed.
    fn too_early(&self, name: &Blob, to: LineId) -> Option<Duration> {
        let home = self.homes.get(name)?;
        let (before, address) = (home.confirmed_at.as_ref()?, &self.lines.get(&to)?.address);
        if before == address || !self.stays_in_shard(name, home, before, address) {
            return None;
        }
        let passed = self.now.saturating_duration_since(home.left_at?);
        Some(BEHIND.saturating_sub(passed)).filter(|left| !left.is_zero())
    }

    /// Whether a name that goes from one node to another stays in its shard. Of what was learned by redirections the map may
    /// have two halves of a shard.
    fn stays_in_shard(&self, name: &Blob, home: &Home, before: &Address, to: &Address) -> bool {
        let shard = self.map.shard(Slot::of_key(name));
        let is_in = |wanted: &Address| {
            shard.is_some_and(|shard| shard.nodes().any(|node| node.address() == wanted))
        };
        let mut companions = home.companions.iter();
        (is_in(before) && is_in(to)) || companions.any(|node| node.address() == to)
    }

    /// Takes a name off its line, if nothing of it is under way there, and puts it where it belongs now: at once, or
    /// after a pause if that has been done several times already.
    pub(super) fn move_on(&mut self, from: LineId, name: &Blob) {
        let Some(moving) = self.take_off(from, name) else {
            return;
        };
        let redirected = self.homes.get_mut(name).map_or(0, |home| {
            home.redirected = home.redirected.saturating_add(1);
            home.redirected
        });
        match redirected.checked_sub(AT_ONCE) {
            None | Some(0) => {
                self.place_all(from, vec![moving]);
            }
            Some(doublings) => {
                let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
                let pause = SHORTEST_PAUSE.saturating_mul(factor).min(LONGEST_PAUSE);
                self.park(from, moving, pause);
            }
        }
    }

    /// Takes a name off its line, if nothing of it is under way there.
    pub(super) fn take_off(&mut self, from: LineId, name: &Blob) -> Option<Moving> {
        let line = self.lines.get_mut(&from)?;
        let moving = line.subscriptions.take(KIND, name)?;
        if let Some(home) = self.homes.get_mut(name)
            && home.confirmed_on == from
        {
            home.see(line, self.now);
        }
        Some(moving)
    }

    /// Keeps a name for a while where no node is asked for it.
    pub(super) fn park(&mut self, from: LineId, moving: Moving, pause: Duration) {
        self.note_parked(moving.name.clone(), pause);
        self.adopt(from, LineId::NOWHERE, vec![moving]);
    }

    fn note_parked(&mut self, name: Blob, pause: Duration) {
        self.newest_parked = self.newest_parked.wrapping_add(1);
        let due = (self.now + pause, self.newest_parked);
        self.parked.insert(due, name);
    }

    /// Tries again what has waited for long enough.
    pub(super) fn unpark(&mut self, now: Instant) {
        while let Some(entry) = self.parked.first_entry()
            && entry.key().0 <= now
        {
            let name = entry.remove();
            let nowhere = LineId::NOWHERE;
            let is_there = self
                .homes
                .get(&name)
                .is_some_and(|home| home.line == nowhere);
            let line = self.lines.get_mut(&nowhere).filter(|_| is_there);
            let Some(moving) = line.and_then(|line| line.subscriptions.take(KIND, &name)) else {
                continue;
            };
            self.place_all(nowhere, vec![moving]);
        }
    }

    /// Puts names on a line, with what has become of them on the one before.
    fn adopt(&mut self, from: LineId, to: LineId, mut names: Vec<Moving>) {
        let Some(address) = self.lines.get(&to).map(|line| line.address.clone()) else {
            return;
        };
        let mut waiting = Vec::new();
        for moving in &mut names {
            if to != LineId::NOWHERE {
                moving.missed = self.explained(moving, &address);
            }
            for op in std::mem::take(&mut moving.waiting) {
                if let Some(LineOp::Subscribe(op, name)) = self.line_ops.remove(&(from, op)) {
                    waiting.push((op, name));
                }
            }
            if let Some(home) = self.homes.get_mut(&moving.name) {
                home.line = to;
            }
        }
        if let Some(line) = self.lines.get_mut(&to) {
            line.subscriptions.adopt(KIND, names);
        }
        for (op, name) in waiting {
            self.await_at(to, op, &name);
        }
        self.stir(to);
    }

    /// Since when, and why, a name has missed messages that goes on at this node.
    fn explained(&self, moving: &Moving, to: &Address) -> Option<(Instant, GapCause)> {
        let (since, cause) = moving.missed?;
        let home = self.homes.get(&moving.name)?;
        let Some(before) = home.confirmed_at.as_ref().filter(|before| *before != to) else {
            // It was the server's own word that it is another one now.
            return Some((since, cause));
        };
        let stays_in_shard = self.stays_in_shard(&moving.name, home, before, to);
        let cause = match self.map.node_at(before) {
            None => GapCause::NodeLeft,
            Some(node) if stays_in_shard => {
                let is_other = home.saw_failover || node.is_primary() != home.was_primary;
                match cause {
                    _ if is_other => GapCause::Failover,
                    GapCause::Relocated => GapCause::Relocated,
                    // What a primary does not serve any more a replica does.
                    _ if home.was_primary => GapCause::Failover,
                    // A replica has ended it whose primary still is that of the shard: it has gone to another one.
                    GapCause::Failover if home.primary_was(to) => GapCause::NodeLeft,
                    _ => cause,
                }
            }
            Some(_) if cause == GapCause::NodeLeft => cause,
            Some(_) => GapCause::SlotMoved,
        };
        Some((since, cause))
    }
}

impl Home {
    /// Takes note of what has become of the node of its line, before it goes from there.
    pub(super) fn see(&mut self, line: &Line, now: Instant) {
        let left_at = self.left_at.unwrap_or(now);
        let is_recent = |at| at >= self.came_at && left_at.saturating_duration_since(at) < SETTLED;
        self.saw_failover = line.failed_over_at.is_some_and(is_recent);
        self.was_primary = line.is_primary;
        self.companions = Arc::clone(&line.companions);
    }

    /// Whether this was the primary of the shard when it was left.
    fn primary_was(&self, address: &Address) -> bool {
        let mut companions = self.companions.iter();
        companions.any(|node| node.is_primary() && node.address() == address)
    }
}

impl Line {
    /// Whether it has, or will have, a connection.
    pub(super) fn is_somewhere(&self) -> bool {
        self.stage != Stage::Never
    }
}
