//! Lines: when one is opened, what becomes of it, and what then becomes of the names that are on it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Access, Address, KIND, Node, ShardedSubscriptions};
use crate::backoff::Backoff;
use crate::pubsub::{GapCause, SubscriptionEvent, Subscriptions};

/// How long a line stays on which nothing is.
const IDLE: Duration = Duration::from_secs(30);

/// The pauses before a node is tried again that could not be connected to. In between, others of its shard are.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(3));

/// A connection to a node, or what is to become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LineId(pub(super) u64);

impl LineId {
    /// For a subscriber that has one connection at a time, and no others.
    pub const ONLY: Self = Self(u64::MAX);

    /// That of names for which no node is known, or that none takes at the moment.
    pub(super) const NOWHERE: Self = Self(0);
}

/// A connection that is to be made. See [`ShardedSubscriptions::poll_open`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Opening {
    /// Which one.
    pub line: LineId,
    /// The node.
    pub address: Address,
    /// Whether another node would do if this one takes its time.
    pub has_alternative: bool,
}

#[derive(Debug)]
pub(super) struct Line {
    pub(super) address: Address,
    pub(super) subscriptions: Subscriptions,
    pub(super) stage: Stage,
    /// It is to be connected although no name is on it yet: names that are well elsewhere are better here.
    pub(super) is_better: bool,
    /// How many subscriptions its server counts, as was told.
    pub(super) told: i64,
    /// The last time at which all of its names surely were where they belong.
    pub(super) right_as_of: Instant,
    /// When surely nothing was missing of what its node has from its primary, as far as that is known.
    pub(super) heard_as_of: Option<Instant>,
    /// Since when the map has said that some are not.
    pub(super) wrong_since: Option<Instant>,
    /// Since when nothing is on it.
    pub(super) idle_since: Option<Instant>,
    /// Those of its shard, itself included, when the map last said that it has slots.
    pub(super) companions: Arc<[Node]>,
    /// The primary of its shard when the map last said that it has slots.
    pub(super) primary: Option<Node>,
    /// Whether its node is one, as far as the map knows it.
    pub(super) is_primary: bool,
    /// When one of the two has become another one.
    pub(super) failed_over_at: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// To be connected, not before this time.
    Wished(Instant),
    Opening,
    /// Connected since then.
    Online(Instant),
    /// For names that are nowhere.
    Never,
}

/// A node that is not chosen if there is another.
#[derive(Debug)]
pub(super) struct Avoided {
    pub(super) until: Instant,
    backoff: Backoff,
}

impl Line {
    pub(super) fn new(address: Address, not_before: Instant, now: Instant) -> Self {
        Self {
            address,
            // What the same node grants again has not moved: it is another one for its shard than it was.
            subscriptions: Subscriptions::revoked_for(GapCause::Failover),
            stage: Stage::Wished(not_before),
            is_better: false,
            told: 0,
            right_as_of: now,
            heard_as_of: None,
            wrong_since: None,
            idle_since: None,
            companions: Arc::default(),
            primary: None,
            is_primary: false,
            failed_over_at: None,
        }
    }

    pub(super) fn nowhere() -> Self {
        let now = Instant::now();
        Self {
            stage: Stage::Never,
            ..Self::new(Address::new("", 0), now, now)
        }
    }

    /// The last time at which surely nothing was missing, where that is the last time for the connection: its node may
    /// have been without its primary before.
    pub(super) fn whole_as_of(&self, last: Instant) -> Instant {
        self.heard_as_of.map_or(last, |heard| heard.min(last))
    }

    pub(super) fn is_online(&self) -> bool {
        matches!(self.stage, Stage::Online(_))
    }
}

impl ShardedSubscriptions {
    /// The next connection to make.
    pub fn poll_open(&mut self, now: Instant) -> Option<Opening> {
        self.now = now;
        let is_due = |line: &Line| match line.stage {
            Stage::Wished(at) => at <= now && (line.is_better || !line.subscriptions.is_idle()),
            _ => false,
        };
        let (id, line) = self.lines.iter_mut().find(|(_, line)| is_due(line))?;
        line.stage = Stage::Opening;
        let (line, address) = (*id, line.address.clone());
        let has_alternative = self.has_alternative(&address);
        Some(Opening {
            line,
            address,
            has_alternative,
        })
    }

    /// Whether another node could serve what this one does.
    fn has_alternative(&self, address: &Address) -> bool {
        let mut shards = self.map.shards().iter();
        let shard = shards.find(|shard| shard.nodes().any(|node| node.address() == address));
        shard.is_none_or(|shard| {
            let mut nodes = shard.nodes();
            nodes.any(|node| node.address() != address && !self.is_avoided(node.address()))
        })
    }

    /// The next connection to drop: its line is there no more.
    pub fn poll_close(&mut self) -> Option<LineId> {
        self.closed.pop_front()
    }

    /// A connection was made.
    pub fn opened(&mut self, id: LineId, now: Instant) {
        self.now = now;
        if let Some(line) = self.lines.get_mut(&id) {
            if let Some(shard) = self.map.serving_shard_of(&line.address) {
                line.companions = shard.nodes().cloned().collect();
                line.primary = shard.primary().cloned();
            }
            line.is_primary = self
                .map
                .node_at(&line.address)
                .is_some_and(Node::is_primary);
            line.stage = Stage::Online(now);
            line.right_as_of = now;
            line.subscriptions.connected();
            if let Some(avoided) = self.avoided.get_mut(&line.address) {
                avoided.until = now;
            }
            self.stir(id);
            self.look_for_better();
        }
    }

    /// A connection could not be made.
    pub fn open_failed(&mut self, id: LineId, now: Instant) {
        self.now = now;
        let Some(line) = self.lines.get(&id) else {
            return;
        };
        let address = line.address.clone();
        self.avoid(&address, now);
        self.refresh = true;
        self.abandon(id);
    }

    /// A connection was lost; `last_heard` is the last time at which it surely was there. `silent`: its node has not
    /// answered, and is not expected to at once.
    pub fn lost(&mut self, id: LineId, last_heard: Instant, silent: bool, now: Instant) {
        self.now = now;
        let Some(line) = self.lines.get_mut(&id) else {
            return;
        };
        let address = line.address.clone();
        let stage = line.stage;
        let whole_as_of = line.whole_as_of(last_heard);
        line.subscriptions.lost(whole_as_of, GapCause::Disconnected);
        let lived = match stage {
            Stage::Online(since) => now.saturating_duration_since(since),
            _ => Duration::ZERO,
        };
        if silent {
            self.avoid(&address, now);
        } else {
            self.avoid_if_short_lived(&address, lived);
        }
        self.refresh = true;
        self.abandon(id);
    }

    /// Leaves a connection because its node is not the right one for what is on it, since then.
    pub(super) fn leave(&mut self, id: LineId, since: Instant, cause: GapCause) {
        if let Some(line) = self.lines.get_mut(&id) {
            line.subscriptions.lost(line.whole_as_of(since), cause);
            self.closed.push_back(id);
            self.abandon(id);
        }
    }

    /// Takes all names from a line that has no connection, and puts them where they belong.
    fn abandon(&mut self, id: LineId) {
        self.has_changed = true;
        let Some(line) = self.lines.get_mut(&id) else {
            return;
        };
        line.told = 0;
        self.drain(id);
        let Some(mut line) = self.lines.remove(&id) else {
            return;
        };
        let names = line.subscriptions.take_all(KIND);
        for moving in &names {
            if let Some(home) = self.homes.get_mut(&moving.name)
                && home.confirmed_on == id
            {
                home.left_at.get_or_insert(self.now);
                home.see(&line, self.now);
            }
            if moving.established {
                let name = moving.name.clone();
                self.events.push_back(SubscriptionEvent::Revoked { name });
            }
        }
        self.place_all(id, names);
        self.line_ops.retain(|(line, _), _| *line != id);
        self.stirred.remove(&id);
    }

    /// Does not choose a node for a while if there is another.
    pub(super) fn avoid(&mut self, address: &Address, now: Instant) {
        let avoided = self.avoided_entry(address);
        let pause = match avoided.backoff.next_delay() {
            // The first pause of a back-off is none.
            Duration::ZERO => avoided.backoff.next_delay(),
            pause => pause,
        };
        avoided.until = now + pause;
    }

    /// A node whose connection was lost is tried again at once, unless it takes connections only to end them.
    fn avoid_if_short_lived(&mut self, address: &Address, lived: Duration) {
        let now = self.now;
        let avoided = self.avoided_entry(address);
        let pause = avoided.backoff.next_delay();
        if lived >= pause && lived > Duration::ZERO {
            self.avoided.remove(address);
        } else {
            avoided.until = now + pause;
        }
    }

    fn avoided_entry(&mut self, address: &Address) -> &mut Avoided {
        let until = self.now;
        let new = || Avoided {
            until,
            backoff: Backoff::new(PAUSES.0, PAUSES.1),
        };
        self.avoided.entry(address.clone()).or_insert_with(new)
    }

    pub(super) fn is_avoided(&self, address: &Address) -> bool {
        let avoided = self.avoided.get(address);
        avoided.is_some_and(|avoided| avoided.until > self.now)
    }

    /// Drops connections that have been of no use for a while.
    pub(super) fn close_idle(&mut self, now: Instant) {
        let mut idle = Vec::new();
        for (id, line) in &mut self.lines {
            if line.stage == Stage::Never {
                continue;
            }
            if line.is_better || !line.subscriptions.is_idle() {
                line.idle_since = None;
                continue;
            }
            let since = *line.idle_since.get_or_insert(now);
            let is_not_begun = matches!(line.stage, Stage::Wished(_));
            if is_not_begun || now.saturating_duration_since(since) >= IDLE {
                idle.push(*id);
            }
        }
        for id in idle {
            self.closed.push_back(id);
            self.abandon(id);
        }
    }

    /// When a line has to be looked at.
    pub(super) fn lines_timeout(&self) -> Option<Instant> {
        let lines = self.lines.values();
        lines
            .filter_map(|line| match line.stage {
                Stage::Wished(at) => Some(at),
                Stage::Online(_) if line.subscriptions.is_idle() && !line.is_better => {
                    let since = line.idle_since.unwrap_or(self.now);
                    let pause = line.idle_since.map_or(Duration::ZERO, |_| IDLE);
                    since.checked_add(pause)
                }
                _ => None,
            })
            .min()
    }

    /// Whether replicas are wanted.
    pub(super) fn wants_replicas(&self) -> bool {
        self.access == Access::ReadFromReplica
    }
}
