//! The shard channels of one subscriber, over the nodes that have their slots.
//!
//! ```text
//!                 subscribe                 connection
//!   (none) ──────────────▶ on a line ──────────────────▶ asked for ──────▶ confirmed
//!                            ▲    ▲                          │               │
//!                            │    └── MOVED: another line ───┘               │ the server ends it: asked for again,
//!                            │                                              │ at the same node first
//!                            └────── the line is lost or left, or its node ◀─┘
//!                                    is not the right one any more
//! ```
//!
//! A *line* is one connection to one node, with the [`Subscriptions`] of the names that are there. Each name is on one line
//! at a time, so no message comes twice, and none of before a move comes behind one of after it. What is missed between two
//! lines goes along with the name, and is told by a gap when it is subscribed again.

mod checking;
mod events;
mod lines;
#[cfg(test)]
mod model;
mod placing;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use self::lines::{Avoided, Line};
pub use self::lines::{LineId, Opening};
use super::{Access, Address, Node, Slot, SlotMap, node::Endpoint};
use crate::blob::Blob;
use crate::error::ServerError;
use crate::pubsub::{
    GapCause, OpId, SubscriptionEvent, SubscriptionKind, SubscriptionStatus, Subscriptions, Verb,
};

/// All of this is about shard channels.
const KIND: SubscriptionKind = SubscriptionKind::Shard;

/// The shard channels of one subscriber, wherever their slots are.
///
/// A pure function of what it is given, like the [`Subscriptions`] that it has for each connection. The order of calls:
///
/// 1. [`apply`](Self::apply) whenever the map of the slots was read anew, changed or not;
/// 2. requests as there are;
/// 3. [`poll_open`](Self::poll_open) says which connections to make, and [`poll_close`](Self::poll_close) which to drop.
///    What becomes of them is [`opened`](Self::opened), [`open_failed`](Self::open_failed) or [`lost`](Self::lost).
///    [`line_mut`](Self::line_mut) gives what a [`Connection`](crate::Connection) needs; what comes of that is given to
///    [`handle_event`](Self::handle_event);
/// 4. [`poll_event`](Self::poll_event) after each of these, and [`poll_timeout`](Self::poll_timeout),
///    [`handle_timeout`](Self::handle_timeout) for time; [`take_changed`](Self::take_changed) says whether 3 and this may
///    have changed;
/// 5. [`poll_moved`](Self::poll_moved) and [`take_refresh`](Self::take_refresh) say what others should know of the map.
#[derive(Debug)]
pub struct ShardedSubscriptions {
    map: SlotMap,
    /// When what the map says was asked for.
    as_of: Instant,
    access: Access,
    /// Which of several replicas is chosen.
    turn: usize,
    now: Instant,
    lines: BTreeMap<LineId, Line>,
    newest_line: u64,
    homes: HashMap<Blob, Home>,
    newest_order: u64,
    ops: HashMap<OpId, Op>,
    newest_op: u64,
    line_ops: HashMap<(LineId, OpId), LineOp>,
    avoided: HashMap<Address, Avoided>,
    /// Names that no node takes at the moment, and when they are tried again.
    parked: BTreeMap<(Instant, u64), Blob>,
    newest_parked: u64,
    events: VecDeque<SubscriptionEvent>,
    moved: VecDeque<(Slot, Endpoint, Address)>,
    refresh: bool,
    /// When the map is to be read again.
    refresh_at: Option<Instant>,
    /// When a server last ended a subscription, while the map is read again for that.
    ended_at: Option<Instant>,
    closed: VecDeque<LineId>,
    stirred: BTreeSet<LineId>,
    /// There may be something to open or to close, or an earlier timeout.
    has_changed: bool,
}

/// Where one name is.
#[derive(Debug)]
struct Home {
    line: LineId,
    order: u64,
    /// Where it was confirmed last, on which line, and since when it has been there.
    confirmed_at: Option<Address>,
    confirmed_on: LineId,
    came_at: Instant,
    /// When its server has ended the subscription there and granted it again.
    granted_again_at: Option<Instant>,
    /// Until when it was subscribed there, if it is no more.
    left_at: Option<Instant>,
    /// What that node was when it was left, with which others it was, and whether that had just changed.
    was_primary: bool,
    companions: Arc<[Node]>,
    saw_failover: bool,
    /// When surely nothing was missing of what its node has from another one, if it was subscribed at a replica then.
    sure_at: Option<Instant>,
    /// How often it was sent elsewhere since.
    redirected: u32,
    /// Since when no node takes it.
    refused_since: Option<Instant>,
}

/// A request of the subscriber.
#[derive(Debug, Default)]
struct Op {
    open: usize,
    refused: Vec<(Blob, ServerError)>,
}

/// What a request on a line is for.
#[derive(Debug)]
enum LineOp {
    /// One name of a request.
    Subscribe(OpId, Blob),
    /// So many names of one.
    Unsubscribe(OpId, usize),
}

impl ShardedSubscriptions {
    /// No subscriptions, in a cluster of which this is known. `turn` chooses among several replicas, if these are
    /// to be read from.
    pub fn new(map: SlotMap, access: Access, turn: usize, now: Instant) -> Self {
        let mut new = Self {
            map,
            as_of: now,
            access,
            turn,
            now,
            lines: BTreeMap::new(),
            newest_line: 0,
            homes: HashMap::new(),
            newest_order: 0,
            ops: HashMap::new(),
            newest_op: 0,
            line_ops: HashMap::new(),
            avoided: HashMap::new(),
            parked: BTreeMap::new(),
            newest_parked: 0,
            events: VecDeque::new(),
            moved: VecDeque::new(),
            refresh: false,
            refresh_at: None,
            ended_at: None,
            closed: VecDeque::new(),
            stirred: BTreeSet::new(),
            has_changed: false,
        };
        new.lines.insert(LineId::NOWHERE, Line::nowhere());
        new
    }

    // ---- getters ----

    /// Nothing is subscribed, wanted or under way.
    pub fn is_idle(&self) -> bool {
        self.homes.is_empty() && self.lines.values().all(|line| line.subscriptions.is_idle())
    }

    /// The names that are wanted, in the order of subscription.
    pub fn wanted(&self) -> Vec<Blob> {
        let mut names: Vec<(u64, &Blob)> = self
            .homes
            .iter()
            .filter(|(name, _)| self.is_wanted(name))
            .map(|(name, home)| (home.order, name))
            .collect();
        names.sort_unstable_by_key(|(order, _)| *order);
        names.into_iter().map(|(_, name)| name.clone()).collect()
    }

    /// How many names are wanted.
    pub fn wanted_len(&self) -> usize {
        let lines = self.lines.values();
        lines.map(|line| line.subscriptions.wanted_len()).sum()
    }

    /// Whether this name is wanted.
    pub fn is_wanted(&self, name: &[u8]) -> bool {
        self.subscriptions_of(name)
            .is_some_and(|subscriptions| subscriptions.is_wanted(KIND, name))
    }

    /// Since when messages of a name may be missing that no gap has told of, and why.
    pub fn missed(&self, name: &[u8]) -> Option<(Instant, GapCause)> {
        self.subscriptions_of(name)?.missed(KIND, name)
    }

    /// The server's words, if it refuses a name that is wanted all the same.
    pub fn refusal(&self, name: &[u8]) -> Option<&ServerError> {
        self.subscriptions_of(name)?.refusal(KIND, name)
    }

    /// Every name, as it is wanted and as its server has it, in the order of subscription.
    pub fn list(&self) -> Vec<SubscriptionStatus> {
        let lines = self.lines.values();
        let mut list: Vec<SubscriptionStatus> =
            lines.flat_map(|line| line.subscriptions.list()).collect();
        list.sort_by_key(|status| self.homes.get(&status.name).map(|home| home.order));
        list
    }

    /// The line that a name is on, if that is connected.
    pub fn line_of(&self, name: &[u8]) -> Option<LineId> {
        let id = self.homes.get(name)?.line;
        self.lines.get(&id)?.subscriptions.is_online().then_some(id)
    }

    /// The lines that are connected.
    pub fn online(&self) -> impl Iterator<Item = LineId> {
        let online = |(_, line): &(&LineId, &Line)| line.subscriptions.is_online();
        self.lines.iter().filter(online).map(|(id, _)| *id)
    }

    /// The subscriptions on a line; `None` if it is there no more, and its connection is of no use.
    pub fn line_mut(&mut self, id: LineId) -> Option<&mut Subscriptions> {
        Some(&mut self.lines.get_mut(&id)?.subscriptions)
    }

    fn subscriptions_of(&self, name: &[u8]) -> Option<&Subscriptions> {
        let home = self.homes.get(name)?;
        Some(&self.lines.get(&home.line)?.subscriptions)
    }

    // ---- requests ----

    /// Wants `names`, which are confirmed again if they are subscribed already.
    pub fn subscribe(&mut self, names: Vec<Blob>) -> OpId {
        let op = self.open_op(names.len());
        for name in names {
            let line = match self.homes.get(&name) {
                Some(home) => home.line,
                None => self.settle_in(&name),
            };
            self.ask(op, name, line);
        }
        self.settle(op, 0);
        op
    }

    /// Ends the subscriptions to `names`. A name that is not subscribed is confirmed as well.
    pub fn unsubscribe(&mut self, names: Vec<Blob>) -> OpId {
        let op = self.open_op(names.len());
        let mut by_line: BTreeMap<LineId, Vec<Blob>> = BTreeMap::new();
        for name in names {
            match self.homes.get(&name) {
                Some(home) => by_line.entry(home.line).or_default().push(name),
                None => {
                    let count = self.count();
                    self.events.push_back(SubscriptionEvent::Confirmed {
                        verb: Verb::Unsubscribe,
                        kind: KIND,
                        name,
                        count,
                    });
                    self.settle(op, 1);
                }
            }
        }
        for (id, names) in by_line {
            let count = names.len();
            if let Some(line) = self.lines.get_mut(&id) {
                let line_op = line.subscriptions.unsubscribe(KIND, names);
                self.line_ops
                    .insert((id, line_op), LineOp::Unsubscribe(op, count));
                self.stir(id);
            }
        }
        self.settle(op, 0);
        op
    }

    /// Ends all subscriptions; `None` if there are none.
    pub fn unsubscribe_all(&mut self) -> Option<OpId> {
        let names = self.wanted();
        (!names.is_empty()).then(|| self.unsubscribe(names))
    }

    /// Whether a request is still unanswered.
    pub fn is_open(&self, op: OpId) -> bool {
        self.ops.contains_key(&op)
    }

    /// Asks a line for one name.
    fn ask(&mut self, op: OpId, name: Blob, id: LineId) {
        if let Some(line) = self.lines.get_mut(&id) {
            let line_op = line.subscriptions.subscribe(KIND, vec![name.clone()]);
            self.line_ops
                .insert((id, line_op), LineOp::Subscribe(op, name));
            self.stir(id);
        }
    }

    fn open_op(&mut self, open: usize) -> OpId {
        self.newest_op = self.newest_op.wrapping_add(1);
        let op = OpId(self.newest_op);
        let refused = Vec::new();
        self.ops.insert(op, Op { open, refused });
        op
    }

    /// So many names of a request are answered.
    fn settle(&mut self, op: OpId, names: usize) {
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

    // ---- what there is to say and to do ----

    /// What happened, oldest first.
    pub fn poll_event(&mut self) -> Option<SubscriptionEvent> {
        self.events.pop_front()
    }

    /// A slot that a node said is elsewhere: the slot, where, and the node that said so.
    pub fn poll_moved(&mut self) -> Option<(Slot, Endpoint, Address)> {
        self.moved.pop_front()
    }

    /// Whether the map of the slots should be read again now.
    pub fn take_refresh(&mut self) -> bool {
        std::mem::take(&mut self.refresh)
    }

    /// Whether connections and timeouts are to be looked at again.
    pub fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.has_changed)
    }

    /// A line whose connection has something to send that it does not know of.
    pub fn poll_stirred(&mut self) -> Option<LineId> {
        self.stirred.pop_first()
    }

    /// A line was asked for something: what came of that at once is told, and the rest is to be sent.
    fn stir(&mut self, id: LineId) {
        self.stirred.insert(id);
        self.has_changed = true;
        self.drain(id);
    }

    fn drain(&mut self, id: LineId) {
        while let Some(line) = self.lines.get_mut(&id)
            && let Some(event) = line.subscriptions.poll_event()
        {
            self.handle(id, event);
        }
    }

    /// How many subscriptions the servers count together, as far as was told.
    fn count(&self) -> i64 {
        self.lines.values().map(|line| line.told).sum()
    }
}
