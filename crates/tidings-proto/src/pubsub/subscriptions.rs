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
use std::time::{Duration, Instant};

use crate::blob::Blob;
use crate::error::{ProtocolError, ServerError};
use crate::resp::encode;

/// Names in one command: large enough to cost little per name, small enough that messages, which come between
/// commands only, are not held up, and that a refusal is found soon.
const BURST_NAMES: usize = 1000;

/// Bytes of names in one command, for long names.
const BURST_BYTES: usize = 64 * 1024;

/// Names on the wire without an answer. Their confirmations have to stay well below the server's output limit
/// (a single burst of 800 000 names ends the connection on every server).
const WINDOW_NAMES: usize = 16 * BURST_NAMES;

/// When a server that was busy or loading is asked again.
const BUSY_RETRY: Duration = Duration::from_millis(250);

/// When a name that was refused is asked for again: its permission may have come back.
const REFUSED_RETRY: Duration = Duration::from_secs(30);

/// What a name stands for. The same name may be a channel, a pattern and a shard channel at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SubscriptionKind {
    /// A channel (`SUBSCRIBE`).
    Channel,
    /// A pattern (`PSUBSCRIBE`).
    Pattern,
    /// A shard channel (`SSUBSCRIBE`).
    Shard,
}

impl SubscriptionKind {
    const ALL: [Self; 3] = [Self::Channel, Self::Pattern, Self::Shard];
}

/// The two directions of a subscription command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verb {
    /// Messages from now on.
    Subscribe,
    /// No messages from now on.
    Unsubscribe,
}

impl Verb {
    /// The kind of a confirmation as the server spells it, in lower case.
    pub fn name(self, kind: SubscriptionKind) -> &'static str {
        use SubscriptionKind::{Channel, Pattern, Shard};
        match (self, kind) {
            (Self::Subscribe, Channel) => "subscribe",
            (Self::Subscribe, Pattern) => "psubscribe",
            (Self::Subscribe, Shard) => "ssubscribe",
            (Self::Unsubscribe, Channel) => "unsubscribe",
            (Self::Unsubscribe, Pattern) => "punsubscribe",
            (Self::Unsubscribe, Shard) => "sunsubscribe",
        }
    }

    fn command(self, kind: SubscriptionKind) -> &'static [u8] {
        use SubscriptionKind::{Channel, Pattern, Shard};
        match (self, kind) {
            (Self::Subscribe, Channel) => b"SUBSCRIBE",
            (Self::Subscribe, Pattern) => b"PSUBSCRIBE",
            (Self::Subscribe, Shard) => b"SSUBSCRIBE",
            (Self::Unsubscribe, Channel) => b"UNSUBSCRIBE",
            (Self::Unsubscribe, Pattern) => b"PUNSUBSCRIBE",
            (Self::Unsubscribe, Shard) => b"SUNSUBSCRIBE",
        }
    }
}

/// Why messages may be missing.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GapCause {
    /// The connection was lost and made again.
    Disconnected,
    /// A queue was full.
    Overflow,
    /// The slot of a shard channel moved to another node.
    SlotMoved,
    /// A primary failed over.
    Failover,
    /// The node left the cluster.
    NodeLeft,
    /// The subscription was refused for a time and then granted again.
    Refused,
}

/// One request to subscribe or unsubscribe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OpId(u64);

/// What came of it.
#[derive(Debug, Clone)]
pub enum SubscriptionEvent {
    /// The server confirmed one name.
    Confirmed {
        /// Subscribed or unsubscribed.
        verb: Verb,
        /// What the name stands for.
        kind: SubscriptionKind,
        /// The name.
        name: Blob,
        /// How many subscriptions the server counts for this connection.
        count: i64,
    },
    /// A name that had been subscribed was refused when it was to be subscribed again. Said once.
    Refused {
        /// What the name stands for.
        kind: SubscriptionKind,
        /// The name.
        name: Blob,
        /// The server's words.
        error: ServerError,
    },
    /// Messages may be missing before the next one of these names.
    Gap {
        /// Why.
        cause: GapCause,
        /// Since when: the last time at which nothing was missing.
        since: Instant,
        /// The names concerned, as they are subscribed again.
        names: Vec<Blob>,
    },
    /// The server ended the subscription to a shard channel by itself; it is being asked for again.
    Revoked {
        /// The shard channel.
        name: Blob,
    },
    /// A request was answered for all of its names.
    Done {
        /// Which request.
        op: OpId,
        /// The names that were refused, with the server's words.
        refused: Vec<(Blob, ServerError)>,
    },
}

/// A name as it is wanted and as the server has it.
#[derive(Debug, Clone)]
pub struct Subscription {
    /// What the name stands for.
    pub kind: SubscriptionKind,
    /// The name.
    pub name: Blob,
    /// How wanted and confirmed stand to each other.
    pub state: SubscriptionState,
}

/// How a name is wanted and confirmed.
#[derive(Debug, Clone)]
pub enum SubscriptionState {
    /// Wanted, and confirmed by the server.
    Confirmed,
    /// Wanted; the server has not answered yet.
    Pending,
    /// Wanted; there is no connection at the moment.
    Reconnecting,
    /// Wanted; the server refused it, and is asked again from time to time.
    Refused(ServerError),
    /// No longer wanted; the server has not confirmed that yet.
    Ending,
}

/// The names of one kind.
#[derive(Debug, Default)]
struct Table {
    entries: HashMap<Blob, Entry>,
    wanted: usize,
    confirmed: usize,
}

impl Table {
    fn ordered(&self, want: impl Fn(&Entry) -> bool) -> Vec<Blob> {
        let mut names: Vec<(u64, &Blob)> = self
            .entries
            .iter()
            .filter(|(_, entry)| want(entry))
            .map(|(name, entry)| (entry.order, name))
            .collect();
        names.sort_unstable_by_key(|(order, _)| *order);
        names.into_iter().map(|(_, name)| name.clone()).collect()
    }
}

#[derive(Debug, Default)]
struct Entry {
    /// Counts up with each new name: lists are in the order of subscription.
    order: u64,
    wanted: bool,
    confirmed: bool,
    /// It has been confirmed since it was wanted: a refusal does not make it unwanted any more.
    established: bool,
    /// Messages were missed since then, and no gap has told of it yet.
    missed: Option<(Instant, GapCause)>,
    refused: Option<ServerError>,
}

/// One command on its way: names of one kind, with the request that they belong to.
#[derive(Debug)]
struct Burst {
    verb: Verb,
    kind: SubscriptionKind,
    names: Vec<Blob>,
    answered: usize,
    /// Whether an error reply has answered an unsubscription: what follows is the fence.
    failed: bool,
    origin: Origin,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    Request(OpId),
    /// Subscribed again after a loss.
    Replay,
}

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
    next_op: u64,
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
    gap_names: Vec<Blob>,
    /// Since when the first of them did, and why.
    gap: Option<(Instant, GapCause)>,
    retry_at: Option<Instant>,
    events: VecDeque<SubscriptionEvent>,
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

    /// Whether a request is still unanswered.
    pub fn is_open(&self, op: OpId) -> bool {
        self.ops.contains_key(&op)
    }

    /// Every name, as it is wanted and as the server has it, in the order of subscription, kind by kind.
    pub fn list(&self) -> Vec<Subscription> {
        let of = |kind| {
            self.table(kind)
                .ordered(|_| true)
                .into_iter()
                .filter_map(move |name| {
                    let entry = self.table(kind).entries.get(&name)?;
                    let state = match (&entry.refused, entry.wanted, entry.confirmed) {
                        (_, false, _) => SubscriptionState::Ending,
                        (_, true, true) => SubscriptionState::Confirmed,
                        (Some(error), true, false) => SubscriptionState::Refused(error.clone()),
                        (None, true, false) if self.online => SubscriptionState::Pending,
                        (None, true, false) => SubscriptionState::Reconnecting,
                    };
                    Some(Subscription { kind, name, state })
                })
        };
        SubscriptionKind::ALL.into_iter().flat_map(of).collect()
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
        for name in &names {
            let order = self.next_order;
            let table = self.table_mut(kind);
            let entry = table.entries.entry(name.clone()).or_insert_with(|| Entry {
                order,
                ..Entry::default()
            });
            if !entry.wanted {
                // Wanted anew, perhaps while its end is under way: what was missed before is of no concern.
                entry.wanted = true;
                entry.established = false;
                entry.missed = None;
                table.wanted = table.wanted.saturating_add(1);
                self.next_order = order.wrapping_add(1);
            }
        }
        if self.online {
            self.queue(Verb::Subscribe, kind, names, Origin::Request(op));
        } else {
            for name in names {
                self.waiting.entry((kind, name)).or_default().push(op);
            }
        }
        op
    }

    /// Ends the subscriptions to `names`. A name that is not subscribed is confirmed as well.
    pub fn unsubscribe(&mut self, kind: SubscriptionKind, names: Vec<Blob>) -> OpId {
        let op = self.open_op(names.len());
        for name in &names {
            let table = self.table_mut(kind);
            if let Some(entry) = table.entries.get_mut(name) {
                table.wanted = table.wanted.saturating_sub(usize::from(entry.wanted));
                entry.wanted = false;
                entry.missed = None;
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
        self.gap = None;
        for table in [&mut self.channels, &mut self.patterns, &mut self.shards] {
            table.confirmed = 0;
            for entry in table.entries.values_mut() {
                if std::mem::take(&mut entry.confirmed) && entry.wanted {
                    entry.missed = Some((last_heard, cause));
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
                let again = |e: &Entry| e.wanted && !e.confirmed && e.refused.is_some();
                let names = self.table(kind).ordered(again);
                self.replay(kind, names);
            }
        }
        while self.sent_names < WINDOW_NAMES {
            let Some(mut burst) = self.queued.pop_front() else {
                return false;
            };
            if burst.verb == Verb::Subscribe {
                self.drop_unwanted(&mut burst);
                if burst.names.is_empty() {
                    continue;
                }
            }
            encode::array_header(out, burst.names.len().saturating_add(1));
            encode::bulk(out, burst.verb.command(burst.kind));
            for name in &burst.names {
                encode::bulk(out, name);
            }
            if burst.verb == Verb::Unsubscribe {
                out.extend_from_slice(FENCE);
            }
            self.sent_names = self.sent_names.saturating_add(burst.names.len());
            self.sent.push_back(burst);
            return true;
        }
        false
    }

    // ---- what the server answers ----

    /// The confirmation of one name. Says whether the oldest command on the wire is answered by it.
    ///
    /// # Errors
    ///
    /// A confirmation that nothing on the wire asked for: the stream is out of step. (`expected` says whether
    /// the oldest expected reply is a subscription command at all.)
    pub fn handle_confirmation(
        &mut self,
        verb: Verb,
        kind: SubscriptionKind,
        name: Option<&[u8]>,
        count: i64,
        expected: bool,
        now: Instant,
    ) -> Result<bool, ProtocolError> {
        let revocable = verb == Verb::Unsubscribe && kind == SubscriptionKind::Shard;
        let head = self.sent.front_mut().filter(|_| expected);
        let (Some(burst), Some(name)) = (head, name) else {
            return match name {
                Some(name) if revocable => {
                    self.revoked(name, now);
                    Ok(false)
                }
                _ => Err(out_of_step(verb, kind, name)),
            };
        };
        let same = burst.verb == verb && burst.kind == kind;
        let next = burst
            .names
            .get(burst.answered)
            .filter(|next| same && ***next == *name);
        let Some(next) = next.cloned() else {
            if revocable {
                let fenced = same && burst.names.iter().any(|one| **one == *name);
                if !fenced {
                    self.revoked(name, now);
                }
                return Ok(false);
            }
            return Err(out_of_step(verb, kind, Some(name)));
        };
        burst.answered = burst.answered.saturating_add(1);
        let complete = verb == Verb::Subscribe && burst.answered == burst.names.len();
        let origin = burst.origin;
        match verb {
            Verb::Subscribe => self.granted(kind, next, count, origin),
            Verb::Unsubscribe => self.ended(kind, next, Some(count)),
        }
        if complete {
            self.retire();
        }
        if verb == Verb::Subscribe {
            self.settle(origin, 1);
        }
        Ok(complete)
    }

    /// An error reply to the oldest command on the wire. Says whether that command is answered by it.
    ///
    /// # Errors
    ///
    /// An error in the middle of a command's confirmations: the stream is out of step.
    pub fn handle_error(
        &mut self,
        error: &ServerError,
        now: Instant,
    ) -> Result<bool, ProtocolError> {
        let Some(burst) = self.sent.front_mut() else {
            return Err(ProtocolError::new("an error reply to no command"));
        };
        if burst.verb == Verb::Unsubscribe {
            if burst.failed || burst.answered == burst.names.len() {
                // The PING itself was refused: it has fenced all the same.
                return Ok(self.handle_pong());
            }
            // Valkey 8.0 refuses to unsubscribe what is not subscribed: it is not subscribed, then.
            burst.failed = true;
            return Ok(false);
        }
        if burst.answered > 0 {
            return Err(ProtocolError::new(
                "an error reply among the confirmations of a command",
            ));
        }
        let Some(mut burst) = self.retire() else {
            return Ok(true);
        };
        if burst.names.len() > 1 {
            // One refused name refuses the whole command: halve it until it stands alone.
            let rest = burst.names.split_off(burst.names.len() / 2);
            let half = |names| Burst {
                verb: burst.verb,
                kind: burst.kind,
                names,
                answered: 0,
                failed: false,
                origin: burst.origin,
            };
            self.queued.push_front(half(rest));
            self.queued
                .push_front(half(std::mem::take(&mut burst.names)));
        } else if let Some(name) = burst.names.pop() {
            self.refused(burst.kind, name, error, burst.origin, now);
        }
        Ok(true)
    }

    /// The answer to the PING behind an unsubscription, in either shape. Says whether one was expected.
    pub fn handle_pong(&mut self) -> bool {
        if self
            .sent
            .front()
            .is_none_or(|burst| burst.verb == Verb::Subscribe)
        {
            return false;
        }
        let Some(burst) = self.retire() else {
            return false;
        };
        let all = burst.names.len();
        for name in burst.names.into_iter().skip(burst.answered) {
            self.ended(burst.kind, name, None);
        }
        self.settle(burst.origin, all);
        true
    }

    // ---- events ----

    /// What happened, oldest first.
    #[inline]
    pub fn poll_event(&mut self) -> Option<SubscriptionEvent> {
        self.events.pop_front()
    }

    /// Tells of the gap of all names that are subscribed again so far.
    pub fn tell_gap(&mut self) {
        let names = std::mem::take(&mut self.gap_names);
        if let Some((since, cause)) = self.gap.take() {
            self.events.push_back(SubscriptionEvent::Gap {
                cause,
                since,
                names,
            });
        }
    }

    // ---- what happens to one name ----

    fn granted(&mut self, kind: SubscriptionKind, name: Blob, count: i64, origin: Origin) {
        let table = self.table_mut(kind);
        let mut missed = None;
        if let Some(entry) = table.entries.get_mut(&name) {
            table.confirmed = table
                .confirmed
                .saturating_add(usize::from(!entry.confirmed));
            entry.confirmed = true;
            entry.established = true;
            entry.refused = None;
            missed = entry.missed.take();
        }
        self.events.push_back(SubscriptionEvent::Confirmed {
            verb: Verb::Subscribe,
            kind,
            name: name.clone(),
            count,
        });
        if origin == Origin::Replay {
            self.settle_waiting(kind, &name);
        }
        if let Some(missed) = missed {
            self.gap_names.push(name);
            let earliest = self.gap.filter(|gap| gap.0 <= missed.0).unwrap_or(missed);
            self.gap = Some(earliest);
            if self.replay_open == 0 {
                self.tell_gap();
            }
        }
    }

    /// The end of a subscription, with the server's count or, where it gave none, ours.
    fn ended(&mut self, kind: SubscriptionKind, name: Blob, count: Option<i64>) {
        let table = self.table_mut(kind);
        if let Some(entry) = table.entries.get_mut(&name) {
            table.confirmed = table.confirmed.saturating_sub(usize::from(entry.confirmed));
            entry.confirmed = false;
            if !entry.wanted {
                table.entries.remove(&name);
            }
        }
        let count = count.unwrap_or_else(|| self.count(kind));
        self.events.push_back(SubscriptionEvent::Confirmed {
            verb: Verb::Unsubscribe,
            kind,
            name,
            count,
        });
    }

    fn refused(
        &mut self,
        kind: SubscriptionKind,
        name: Blob,
        error: &ServerError,
        origin: Origin,
        now: Instant,
    ) {
        let waiting = match origin {
            Origin::Request(_) => Vec::new(),
            Origin::Replay => self
                .waiting
                .remove(&(kind, name.clone()))
                .unwrap_or_default(),
        };
        let table = self.table_mut(kind);
        let mut retry = None;
        if let Some(entry) = table
            .entries
            .get_mut(&name)
            .filter(|entry| !entry.confirmed)
        {
            if entry.established && entry.wanted {
                // It was subscribed once and is still wanted: say so once, and try again later.
                let busy = is_passing(error);
                let said = entry.refused.as_ref().is_some_and(|said| !is_passing(said));
                entry.refused = Some(error.clone());
                retry = Some(now + if busy { BUSY_RETRY } else { REFUSED_RETRY });
                if !said && !busy && origin == Origin::Replay {
                    self.events.push_back(SubscriptionEvent::Refused {
                        kind,
                        name: name.clone(),
                        error: error.clone(),
                    });
                }
            } else {
                table.wanted = table.wanted.saturating_sub(usize::from(entry.wanted));
                table.entries.remove(&name);
            }
        }
        self.retry_at = self.retry_at.into_iter().chain(retry).min();
        let requests = match origin {
            Origin::Request(op) => vec![op],
            Origin::Replay => waiting,
        };
        for op in requests {
            if let Some(op) = self.ops.get_mut(&op) {
                op.refused.push((name.clone(), error.clone()));
            }
            self.settle(Origin::Request(op), 1);
        }
        if origin == Origin::Replay {
            self.settle(origin, 1);
        }
    }

    /// An unasked `sunsubscribe`. The node that sent it is often still the right one: ask it again.
    fn revoked(&mut self, name: &[u8], now: Instant) {
        let kind = SubscriptionKind::Shard;
        let table = self.table_mut(kind);
        let entry = table
            .entries
            .get_mut(name)
            .filter(|entry| entry.confirmed && entry.wanted);
        let Some(entry) = entry else { return };
        entry.confirmed = false;
        entry.missed = Some((now, GapCause::SlotMoved));
        table.confirmed = table.confirmed.saturating_sub(1);
        let name = Blob::copy_from(name);
        self.events
            .push_back(SubscriptionEvent::Revoked { name: name.clone() });
        self.replay(kind, vec![name]);
    }

    // ---- bookkeeping ----

    fn replay(&mut self, kind: SubscriptionKind, names: Vec<Blob>) {
        self.replay_open = self.replay_open.saturating_add(names.len());
        self.queue(Verb::Subscribe, kind, names, Origin::Replay);
    }

    fn queue(&mut self, verb: Verb, kind: SubscriptionKind, names: Vec<Blob>, origin: Origin) {
        let mut names = names.into_iter().peekable();
        while names.peek().is_some() {
            let (mut burst, mut bytes) = (Vec::new(), 0usize);
            while burst.len() < BURST_NAMES && bytes < BURST_BYTES {
                let Some(name) = names.next() else { break };
                bytes = bytes.saturating_add(name.len());
                burst.push(name);
            }
            burst.shrink_to_fit();
            self.queued.push_back(Burst {
                verb,
                kind,
                names: burst,
                answered: 0,
                failed: false,
                origin,
            });
        }
    }

    /// Takes out of a subscription what was unsubscribed after it was queued.
    fn drop_unwanted(&mut self, burst: &mut Burst) {
        if burst
            .names
            .iter()
            .all(|name| self.is_wanted(burst.kind, name))
        {
            return;
        }
        let names = std::mem::take(&mut burst.names);
        for name in names {
            if self.is_wanted(burst.kind, &name) {
                burst.names.push(name);
            } else {
                self.settle(burst.origin, 1);
            }
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
    }

    fn open_op(&mut self, open: usize) -> OpId {
        let op = OpId(self.next_op);
        self.next_op = self.next_op.wrapping_add(1);
        self.ops.insert(
            op,
            Op {
                open,
                refused: Vec::new(),
            },
        );
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

/// The PING behind an unsubscription.
const FENCE: &[u8] = b"*1\r\n$4\r\nPING\r\n";

/// Whether the server will answer otherwise soon.
fn is_passing(error: &ServerError) -> bool {
    matches!(
        error.code(),
        "BUSY" | "LOADING" | "CLUSTERDOWN" | "TRYAGAIN" | "MASTERDOWN"
    )
}

fn out_of_step(verb: Verb, kind: SubscriptionKind, name: Option<&[u8]>) -> ProtocolError {
    let name = name.map_or_else(
        || "no name".to_owned(),
        |name| Blob::copy_from(name).to_string(),
    );
    ProtocolError::new(format!(
        "an unexpected {} confirmation for {name}",
        verb.name(kind)
    ))
}
