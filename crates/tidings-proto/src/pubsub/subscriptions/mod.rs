//! Which names are wanted, which of them the server has confirmed, and what must be sent so that the two agree.
//!
//! ```text
//!            subscribe                  confirmation
//!   (none) ───────────▶ wanted ───────────────────────▶ wanted + confirmed
//!      ▲                  ▲  │ refused, never confirmed     │          │
//!      │                  │  └──────────▶ (none)            │          │ unsubscribe
//!      │                  │  connection lost, sunsubscribe  │          ▼
//!      │                  └─────────────────────────────────┘      confirmed
//!      └───────────────────────── confirmation ────────────────────────┘
//! ```
//!
//! What was asked for is *wanted* from the moment of the call, so that a reconnect in between neither loses a
//! subscription nor undoes the end of one. What the server answers is matched by kind and name against the
//! commands on the wire, oldest first. An unsubscription is followed by a PING: until its answer a
//! `sunsubscribe` for one of its names may be the server's own word or the reply, and it does not matter which.
//! Outside of that an unasked `sunsubscribe` means that the slot went away.

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use self::burst::{BURST_NAMES, Burst, Origin};
pub use self::kinds::{
    GapCause, OpId, SubscriptionEvent, SubscriptionKind, SubscriptionState, SubscriptionStatus,
    Verb,
};
pub(crate) use self::moving::Moving;
use self::table::{Entry, Table};
use crate::blob::Blob;
use crate::error::ServerError;

mod answers;
mod burst;
mod kinds;
mod moving;
mod table;

/// Names on the wire without an answer. Their confirmations have to stay well below the server's output limit
/// (a single burst of 800 000 names ends the connection on every server).
const WINDOW_NAMES: usize = 16 * BURST_NAMES;

#[derive(Debug, Default)]
struct Op {
    open: usize,
    refused: Vec<(Blob, ServerError)>,
}

/// The subscriptions of one subscriber, over all the connections that it will have.
///
/// Requests are [`subscribe`](Self::subscribe), [`unsubscribe`](Self::unsubscribe) and
/// [`unsubscribe_all`](Self::unsubscribe_all). The connection calls [`connected`](Self::connected) and
/// [`lost`](Self::lost), sends what [`poll_transmit`](Self::poll_transmit) writes, and hands in what the server
/// answers. [`poll_event`](Self::poll_event) is to be drained after each of these.
#[derive(Debug, Default)]
pub struct Subscriptions {
    channels: Table,
    patterns: Table,
    shards: Table,
    next_order: u64,
    newest_op: u64,
    ops: HashMap<OpId, Op>,
    /// Requests that wait for a name to be subscribed again after a loss, rather than for their own command.
    waiting: HashMap<(SubscriptionKind, Blob), Vec<OpId>>,
    queued: VecDeque<Burst>,
    sent: VecDeque<Burst>,
    sent_names: usize,
    online: bool,
    /// Names of the replay that have no answer yet.
    replay_open: usize,
    /// Names that missed messages and are subscribed again, not yet told of by a gap.
    gap_names: Vec<(SubscriptionKind, Blob)>,
    retry_at: Option<Instant>,
    /// Why messages are missed of a name that the server ends by itself.
    revocation: Revocation,
    events: VecDeque<SubscriptionEvent>,
}

/// What it means that the server ends a shard channel by itself and grants it again: alone it cannot be told apart from a
/// slot that went away and came back.
#[derive(Debug, Clone, Copy)]
struct Revocation(GapCause);

impl Default for Revocation {
    fn default() -> Self {
        Self(GapCause::SlotMoved)
    }
}

impl Subscriptions {
    /// No subscriptions.
    pub fn new() -> Self {
        Self::default()
    }

    // ---- getters ----

    /// Nothing is subscribed, wanted or under way.
    pub fn is_idle(&self) -> bool {
        let tables = [&self.channels, &self.patterns, &self.shards];
        tables.iter().all(|table| table.entries.is_empty())
            && self.sent.is_empty()
            && self.queued.is_empty()
    }

    /// The names of one kind that are wanted, in the order of subscription.
    pub fn wanted(&self, kind: SubscriptionKind) -> Vec<Blob> {
        self.table(kind).ordered(|entry| entry.wanted)
    }

    /// How many names of all kinds are wanted.
    pub fn wanted_len(&self) -> usize {
        SubscriptionKind::ALL
            .iter()
            .map(|kind| self.table(*kind).wanted)
            .sum()
    }

    /// Whether this name is wanted.
    pub fn is_wanted(&self, kind: SubscriptionKind, name: &[u8]) -> bool {
        self.table(kind)
            .entries
            .get(name)
            .is_some_and(|entry| entry.wanted)
    }

    /// Since when messages of a name may be missing that no gap has told of, and why.
    pub fn missed(&self, kind: SubscriptionKind, name: &[u8]) -> Option<(Instant, GapCause)> {
        self.table(kind).entries.get(name)?.missed()
    }

    /// The server's words, if it refuses a name that is wanted all the same.
    pub fn refusal(&self, kind: SubscriptionKind, name: &[u8]) -> Option<&ServerError> {
        self.table(kind).entries.get(name)?.refused()
    }

    /// Whether a request is still unanswered.
    pub fn is_open(&self, op: OpId) -> bool {
        self.ops.contains_key(&op)
    }

    /// Every name, as it is wanted and as the server has it, in the order of subscription, kind by kind.
    pub fn list(&self) -> Vec<SubscriptionStatus> {
        let of = |kind| {
            self.table(kind)
                .ordered(|_| true)
                .into_iter()
                .filter_map(move |name| {
                    let entry = self.table(kind).entries.get(&name)?;
                    let state = match (entry.refused(), entry.wanted, entry.confirmed) {
                        (_, false, _) => SubscriptionState::Ending,
                        (_, true, true) => SubscriptionState::Confirmed,
                        (Some(error), true, false) => SubscriptionState::Refused(error.clone()),
                        (None, true, false) if self.online => SubscriptionState::Pending,
                        (None, true, false) => SubscriptionState::Reconnecting,
                    };
                    Some(SubscriptionStatus { kind, name, state })
                })
        };
        SubscriptionKind::ALL.into_iter().flat_map(of).collect()
    }

    /// Whether neither an event nor a gap is to be told before the next message.
    #[inline]
    pub fn is_quiet(&self) -> bool {
        self.gap_names.is_empty() && self.events.is_empty()
    }

    /// Whether a gap must be told before the next message.
    #[inline]
    pub fn gap_is_due(&self) -> bool {
        !self.gap_names.is_empty()
    }

    /// When [`poll_transmit`](Self::poll_transmit) has something to send without anything having happened.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.retry_at.filter(|_| self.online)
    }

    // ---- requests ----

    /// Wants `names`, which are confirmed again if they are subscribed already.
    pub fn subscribe(&mut self, kind: SubscriptionKind, names: Vec<Blob>) -> OpId {
        let op = self.open_op(names.len());
        self.table_mut(kind).entries.reserve(names.len());
        for name in &names {
            self.entry(kind, name);
            self.table_mut(kind).want(name, true);
        }
        if self.online {
            self.queue(Verb::Subscribe, kind, names, Origin::Request(op));
        } else {
            for name in names {
                self.waiting.entry((kind, name)).or_default().push(op);
            }
        }
        self.settle(Origin::Request(op), 0);
        op
    }

    /// Ends the subscriptions to `names`. A name that is not subscribed is confirmed as well.
    pub fn unsubscribe(&mut self, kind: SubscriptionKind, names: Vec<Blob>) -> OpId {
        let op = self.open_op(names.len());
        for name in &names {
            let table = self.table_mut(kind);
            table.want(name, false);
            if let Some(entry) = table.entries.get_mut(name) {
                entry.ended_by = op.0;
            }
            self.settle_waiting(kind, name);
        }
        if self.online {
            self.queue(Verb::Unsubscribe, kind, names, Origin::Request(op));
        } else {
            for name in names {
                self.ended(kind, name, None);
                self.settle(Origin::Request(op), 1);
            }
        }
        self.settle(Origin::Request(op), 0);
        op
    }

    /// Ends all subscriptions of one kind; `None` if there are none.
    pub fn unsubscribe_all(&mut self, kind: SubscriptionKind) -> Option<OpId> {
        let names = self.wanted(kind);
        (!names.is_empty()).then(|| self.unsubscribe(kind, names))
    }

    // ---- the life of a connection ----

    /// A connection was made: everything that is wanted is to be subscribed on it.
    pub fn connected(&mut self) {
        self.online = true;
        self.retry_at = None;
        for kind in SubscriptionKind::ALL {
            let names = self.wanted(kind);
            self.replay(kind, names);
        }
    }

    /// The connection is gone; `last_heard` is the last time at which it surely was there.
    pub fn lost(&mut self, last_heard: Instant, cause: GapCause) {
        if !std::mem::take(&mut self.online) {
            return;
        }
        self.retry_at = None;
        self.sent_names = 0;
        self.gap_names.clear();
        for table in [&mut self.channels, &mut self.patterns, &mut self.shards] {
            table.confirmed = 0;
            for entry in table.entries.values_mut() {
                entry.pending = 0;
                entry.ending = 0;
                if std::mem::take(&mut entry.confirmed) {
                    // What was not told yet is told with what is missed from now on.
                    entry.set_missed(entry.missed().or(Some((last_heard, cause))));
                }
            }
        }
        let bursts: Vec<Burst> = self.sent.drain(..).chain(self.queued.drain(..)).collect();
        for Burst {
            verb,
            kind,
            names,
            answered,
            origin,
            ..
        } in bursts
        {
            for (at, name) in names.into_iter().enumerate() {
                match (verb, origin) {
                    (Verb::Unsubscribe, _) => {
                        if at >= answered {
                            self.ended(kind, name, None);
                        }
                        self.settle(origin, 1);
                    }
                    (Verb::Subscribe, Origin::Request(op)) if at >= answered => {
                        if self.is_wanted(kind, &name) {
                            self.waiting.entry((kind, name)).or_default().push(op);
                        } else {
                            self.settle(origin, 1);
                        }
                    }
                    (Verb::Subscribe, _) => {}
                }
            }
        }
        self.replay_open = 0;
    }

    /// More is known of why messages were missed while the connection was away: `cause` takes the place of
    /// [`GapCause::Disconnected`] in what was not told yet.
    pub fn explain(&mut self, cause: GapCause) {
        for table in [&mut self.channels, &mut self.patterns, &mut self.shards] {
            for entry in table.entries.values_mut() {
                if let Some((since, GapCause::Disconnected)) = entry.missed() {
                    entry.set_missed(Some((since, cause)));
                }
            }
        }
    }

    // ---- what is to be sent ----

    /// Appends the next command to `out`. Each one that is written is answered in turn: the caller notes it in
    /// its queue of expected replies.
    pub fn poll_transmit(&mut self, out: &mut Vec<u8>, now: Instant) -> bool {
        if !self.online {
            return false;
        }
        if self.retry_at.is_some_and(|at| at <= now) {
            self.retry_at = None;
            for kind in SubscriptionKind::ALL {
                let again = |entry: &Entry| {
                    entry.wanted
                        && !entry.confirmed
                        && entry.pending == 0
                        && entry.refused().is_some()
                };
                let names = self.table(kind).ordered(again);
                self.replay(kind, names);
            }
        }
        while self.sent_names < WINDOW_NAMES {
            let Some(mut burst) = self.queued.pop_front() else {
                return false;
            };
            if burst.origin == Origin::Replay {
                self.drop_settled(&mut burst);
                if burst.names.is_empty() {
                    continue;
                }
            }
            burst.write(out);
            self.sent_names = self.sent_names.saturating_add(burst.names.len());
            self.sent.push_back(burst);
            return true;
        }
        false
    }

    // ---- events ----

    /// What happened, oldest first.
    #[inline]
    pub fn poll_event(&mut self) -> Option<SubscriptionEvent> {
        self.events.pop_front()
    }

    /// Tells of the gap of all names that are subscribed again so far.
    pub fn tell_gap(&mut self) {
        let mut gap: Option<(Instant, GapCause)> = None;
        let mut names = std::mem::take(&mut self.gap_names);
        // Not of those that have ended since, nor, for now, of those that were lost again.
        names.retain(|(kind, name)| {
            let entry = self.table_mut(*kind).entries.get_mut(name);
            let missed = entry
                .filter(|entry| entry.confirmed)
                .and_then(Entry::take_missed);
            gap = gap
                .into_iter()
                .chain(missed)
                .min_by_key(|(since, _)| *since);
            missed.is_some()
        });
        if let Some((since, cause)) = gap {
            self.events.push_back(SubscriptionEvent::Gap {
                cause,
                since,
                names,
            });
        }
    }

    // ---- bookkeeping ----

    fn replay(&mut self, kind: SubscriptionKind, names: Vec<Blob>) {
        self.replay_open = self.replay_open.saturating_add(names.len());
        self.queue(Verb::Subscribe, kind, names, Origin::Replay);
    }

    fn queue(&mut self, verb: Verb, kind: SubscriptionKind, names: Vec<Blob>, origin: Origin) {
        for name in &names {
            let entry = self.entry(kind, name);
            entry.pending = entry.pending.saturating_add(1);
            let ends = u32::from(verb == Verb::Unsubscribe);
            entry.ending = entry.ending.saturating_add(ends);
        }
        self.queued
            .extend(Burst::cut(verb, kind, names, origin, self.newest_op));
    }

    /// Takes out of a subscription what needs none any more: names that a newer request ends, and of a replay
    /// those that are subscribed already.
    fn drop_settled(&mut self, burst: &mut Burst) {
        for name in std::mem::take(&mut burst.names) {
            let asked = burst.asked;
            let replay = burst.origin == Origin::Replay;
            let table = self.table_mut(burst.kind);
            let entry = table.entries.get(&name);
            if entry.is_some_and(|e| e.ended_by <= asked && !(replay && e.confirmed)) {
                burst.names.push(name);
                continue;
            }
            table.answered(&name);
            table.tidy(&name);
            self.settle(burst.origin, 1);
        }
    }

    fn retire(&mut self) -> Option<Burst> {
        let burst = self.sent.pop_front()?;
        self.sent_names = self.sent_names.saturating_sub(burst.names.len());
        Some(burst)
    }

    /// So many names of one origin are answered.
    fn settle(&mut self, origin: Origin, names: usize) {
        match origin {
            Origin::Request(op) => {
                let Some(state) = self.ops.get_mut(&op) else {
                    return;
                };
                state.open = state.open.saturating_sub(names);
                if state.open == 0
                    && let Some(Op { refused, .. }) = self.ops.remove(&op)
                {
                    self.events
                        .push_back(SubscriptionEvent::Done { op, refused });
                }
            }
            Origin::Replay => {
                self.replay_open = self.replay_open.saturating_sub(names);
                if self.replay_open == 0 {
                    self.tell_gap();
                }
            }
        }
    }

    fn settle_waiting(&mut self, kind: SubscriptionKind, name: &Blob) {
        if self.waiting.is_empty() {
            return;
        }
        for op in self
            .waiting
            .remove(&(kind, name.clone()))
            .unwrap_or_default()
        {
            self.settle(Origin::Request(op), 1);
        }
        if self.waiting.is_empty() {
            // A table does not shrink by itself, and there may have been a hundred thousand.
            self.waiting = HashMap::new();
        }
    }

    fn open_op(&mut self, open: usize) -> OpId {
        self.newest_op = self.newest_op.wrapping_add(1);
        let op = OpId(self.newest_op);
        let refused = Vec::new();
        self.ops.insert(op, Op { open, refused });
        op
    }

    /// What the server would count: channels and patterns together, shard channels apart. Without a
    /// connection, what it will have to count.
    fn count(&self, kind: SubscriptionKind) -> i64 {
        let of = |table: &Table| {
            if self.online {
                table.confirmed
            } else {
                table.wanted
            }
        };
        let count = match kind {
            SubscriptionKind::Shard => of(&self.shards),
            _ => of(&self.channels).saturating_add(of(&self.patterns)),
        };
        i64::try_from(count).unwrap_or(i64::MAX)
    }

    fn entry(&mut self, kind: SubscriptionKind, name: &Blob) -> &mut Entry {
        self.next_order = self.next_order.wrapping_add(1);
        let order = self.next_order;
        self.table_mut(kind).entry(name, order)
    }

    fn table(&self, kind: SubscriptionKind) -> &Table {
        match kind {
            SubscriptionKind::Channel => &self.channels,
            SubscriptionKind::Pattern => &self.patterns,
            SubscriptionKind::Shard => &self.shards,
        }
    }

    fn table_mut(&mut self, kind: SubscriptionKind) -> &mut Table {
        match kind {
            SubscriptionKind::Channel => &mut self.channels,
            SubscriptionKind::Pattern => &mut self.patterns,
            SubscriptionKind::Shard => &mut self.shards,
        }
    }
}

#[cfg(test)]
mod tests;
