//! Many subscribers on one connection: who holds which name, and what each of them receives.
//!
//! ```text
//!                join                       fence or confirmation
//!   (outside) ──────────▶ joining ─────────────────────────────────▶ holding
//!        ▲                   │ refused, left                            │ left
//!        └───────────────────┴──────────────────────────────────────────┘
//! ```
//!
//! The server sees one subscription for a name, from the first who joins to the last who leaves. Whoever joins
//! receives what is sent from then on and nothing of before, as if the connection was its own: the first one from
//! the server's confirmation on, a later one from the answer to a PING on that was sent after it had come, the *fence*.
//! Fences of many are one.

mod arriving;
mod entry;
#[cfg(test)]
mod model;
mod places;

use std::collections::{HashMap, VecDeque};
use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tidings_proto::cluster::LineId;
use tidings_proto::pubsub::{OpId, SubscriptionKind, Verb};
use tidings_proto::{Backoff, Blob, Charset, ServerError};
use tokio::sync::oneshot;

use self::entry::{Entry, Joining};
use super::subscriber::{Answer, Later, Names, Shared, State, outcome};
use crate::error::Result;
use crate::pubsub::event::Gap;
use crate::pubsub::queue::{Item, Queue};

pub(crate) use self::entry::SubscriberId;

/// When a server is asked again that refused to end a subscription: it may have been busy, or has taken away the
/// permission.
const KEPT_FIRST: Duration = Duration::from_millis(250);
const KEPT_THEN: Duration = Duration::from_secs(30);

/// A channel, a pattern or a shard channel.
type Name = (SubscriptionKind, Blob);

/// The subscribers of one connection.
#[derive(Debug)]
pub(crate) struct Fanout {
    charset: Charset,
    channels: HashMap<Blob, Entry>,
    patterns: HashMap<Blob, Entry>,
    shards: HashMap<Blob, Entry>,
    newest_subscriber: u64,
    waits: HashMap<u64, Wait>,
    newest_wait: u64,
    /// Requests to the server that it has not answered.
    asked: HashMap<OpId, (Verb, SubscriptionKind)>,
    newest_fence: u64,
    /// What is to be done at the answers to fences, by connection.
    fences: HashMap<LineId, Fences>,
    leaving: HashMap<u64, Waiting>,
    newest_leaving: u64,
    idle_since: Option<Instant>,
    /// Names that nobody holds, and that the server refused to end; when it is asked again.
    kept: Vec<Name>,
    kept_until: Option<Instant>,
    kept_for: Backoff,
}

/// Somebody who waits until it holds all the names that it asked for.
#[derive(Debug)]
struct Wait {
    open: usize,
    refused: Vec<(Blob, ServerError)>,
    answer: Answer,
}

/// The fences on one connection.
#[derive(Debug, Default)]
struct Fences {
    /// The one that is to be sent.
    next: Option<u64>,
    /// What is to be done at their answers, in order.
    due: VecDeque<(u64, Due)>,
}

/// What is to be done when a fence is answered.
#[derive(Debug)]
enum Due {
    /// Those who wait for it receive what comes for this name.
    Join(Name),
    /// One of the fences is answered that somebody waits for who leaves.
    Leave(u64),
}

/// Somebody who leaves, once so many fences are answered.
#[derive(Debug)]
struct Waiting {
    leaving: Leaving,
    answer: Answer,
    open: usize,
}

/// Somebody who leaves, and what.
#[derive(Debug)]
pub(crate) struct Leaving {
    pub(crate) id: SubscriberId,
    pub(crate) names: Vec<Name>,
    /// The queue, if nothing comes to it any more.
    pub(crate) last: Option<Arc<Queue>>,
}

impl Fanout {
    pub(crate) fn new(charset: Charset) -> Self {
        Self {
            charset,
            channels: HashMap::new(),
            patterns: HashMap::new(),
            shards: HashMap::new(),
            newest_subscriber: 0,
            waits: HashMap::new(),
            newest_wait: 0,
            asked: HashMap::new(),
            newest_fence: 0,
            fences: HashMap::new(),
            leaving: HashMap::new(),
            newest_leaving: 0,
            idle_since: Some(Instant::now()),
            kept: Vec::new(),
            kept_until: None,
            kept_for: Backoff::new(KEPT_FIRST, KEPT_THEN),
        }
    }

    fn table(&mut self, kind: SubscriptionKind) -> &mut HashMap<Blob, Entry> {
        match kind {
            SubscriptionKind::Channel => &mut self.channels,
            SubscriptionKind::Pattern => &mut self.patterns,
            SubscriptionKind::Shard => &mut self.shards,
        }
    }

    fn entries(&mut self) -> impl Iterator<Item = &mut Entry> {
        let Self {
            channels,
            patterns,
            shards,
            ..
        } = self;
        [channels, patterns, shards]
            .into_iter()
            .flat_map(HashMap::values_mut)
    }

    fn note_idleness(&mut self) {
        if !(self.channels.is_empty() && self.patterns.is_empty() && self.shards.is_empty()) {
            self.idle_since = None;
        } else if self.idle_since.is_none() {
            self.idle_since = Some(Instant::now());
        }
    }

    // ---- joining ----

    fn join(
        &mut self,
        id: SubscriberId,
        queue: &Arc<Queue>,
        kind: SubscriptionKind,
        names: &[Blob],
        wanted: &mut Names,
    ) -> oneshot::Receiver<Result<()>> {
        self.newest_wait += 1;
        let wait = self.newest_wait;
        let (answer, answered) = oneshot::channel();
        self.waits.insert(
            wait,
            Wait {
                open: names.len(),
                refused: Vec::new(),
                answer,
            },
        );
        let mut new = Vec::new();
        for name in names {
            let entry = self.table(kind).entry(name.clone()).or_default();
            if !entry.is_used() {
                new.push(name.clone());
                let joining = Joining {
                    queue: Arc::clone(queue),
                    wait,
                    fence: None,
                };
                entry.join(id, joining);
                continue;
            }
            let line = wanted.line_of(name);
            let fence = line.map(|line| self.reserve_fence(line));
            let joining = Joining {
                queue: Arc::clone(queue),
                wait,
                fence,
            };
            let entry = self.table(kind).entry(name.clone()).or_default();
            let is_first = entry.join(id, joining);
            if is_first && let (Some(line), Some(fence)) = (line, fence) {
                self.at_fence(line, fence, Due::Join((kind, name.clone())));
            }
        }
        if !new.is_empty() {
            self.ask(kind, new, wanted);
        }
        self.note_idleness();
        answered
    }

    /// The next fence on a connection, which is sent soon.
    fn reserve_fence(&mut self, line: LineId) -> u64 {
        let fences = self.fences.entry(line).or_default();
        *fences.next.get_or_insert_with(|| {
            self.newest_fence += 1;
            self.newest_fence
        })
    }

    fn at_fence(&mut self, line: LineId, fence: u64, due: Due) {
        let fences = self.fences.entry(line).or_default();
        fences.due.push_back((fence, due));
    }

    fn ask(&mut self, kind: SubscriptionKind, names: Vec<Blob>, wanted: &mut Names) {
        let op = wanted.subscribe(kind, names);
        self.asked.insert(op, (Verb::Subscribe, kind));
    }

    /// Lets those in who wait for a fence, or for the server's confirmation.
    fn admit(
        &mut self,
        kind: SubscriptionKind,
        name: &Blob,
        fence: Option<u64>,
        later: &mut Later,
    ) {
        let entry = self.table(kind).get_mut(name);
        for wait in entry.map(|entry| entry.admit(fence)).unwrap_or_default() {
            self.settle(wait, None, later);
        }
    }

    /// Nobody of those who are about to join may.
    fn turn_away(
        &mut self,
        kind: SubscriptionKind,
        name: &Blob,
        error: &ServerError,
        wanted: &mut Names,
        later: &mut Later,
    ) {
        let entry = self.table(kind).get_mut(name);
        for wait in entry.map(Entry::turn_away).unwrap_or_default() {
            self.settle(wait, Some((name.clone(), error.clone())), later);
        }
        if self.is_unused(kind, name) {
            self.release(vec![(kind, name.clone())], wanted);
        }
    }

    fn settle(&mut self, wait: u64, refused: Option<(Blob, ServerError)>, later: &mut Later) {
        if let Some(state) = self.waits.get_mut(&wait) {
            state.refused.extend(refused);
            state.open -= 1;
            if state.open == 0
                && let Some(state) = self.waits.remove(&wait)
            {
                later.answer(state.answer, outcome(state.refused, self.charset));
            }
        }
    }

    // ---- leaving ----

    fn leave(&mut self, id: SubscriberId, names: &[Name], wanted: &mut Names, later: &mut Later) {
        let mut unused = Vec::new();
        for (kind, name) in names {
            let Some(entry) = self.table(*kind).get_mut(name) else {
                continue;
            };
            let was_used = entry.is_used();
            let wait = entry.leave(id);
            if was_used && !entry.is_used() {
                unused.push((*kind, name.clone()));
            }
            if let Some(wait) = wait {
                self.settle(wait, None, later);
            }
        }
        self.release(unused, wanted);
    }

    /// Ends the subscriptions to names that nobody holds any more.
    fn release(&mut self, names: Vec<Name>, wanted: &mut Names) {
        let (mut channels, mut patterns, mut shards) = (Vec::new(), Vec::new(), Vec::new());
        for (kind, name) in names {
            if wanted.is_wanted(kind, &name) {
                let entry = self.table(kind).entry(name.clone()).or_default();
                entry.confirmed = false;
                entry.ending += 1;
                match kind {
                    SubscriptionKind::Channel => channels.push(name),
                    SubscriptionKind::Pattern => patterns.push(name),
                    SubscriptionKind::Shard => shards.push(name),
                }
            } else if let Some(entry) = self.table(kind).get_mut(&name) {
                entry.confirmed = false;
                if entry.ending == 0 {
                    self.table(kind).remove(&name);
                }
            }
        }
        for (kind, names) in [
            (SubscriptionKind::Channel, channels),
            (SubscriptionKind::Pattern, patterns),
            (SubscriptionKind::Shard, shards),
        ] {
            if !names.is_empty() {
                let op = wanted.unsubscribe(kind, names);
                self.asked.insert(op, (Verb::Unsubscribe, kind));
            }
        }
        self.note_idleness();
    }

    fn is_unused(&mut self, kind: SubscriptionKind, name: &Blob) -> bool {
        let entry = self.table(kind).get(name);
        entry.is_none_or(|entry| !entry.is_used())
    }

    /// The server has answered one unsubscription.
    fn ended_once(&mut self, kind: SubscriptionKind, name: &Blob) {
        if let Some(entry) = self.table(kind).get_mut(name) {
            entry.ending = entry.ending.saturating_sub(1);
            entry.confirmed = false;
            if entry.ending == 0 && !entry.is_used() {
                self.table(kind).remove(name);
            }
        }
        self.note_idleness();
    }

    /// The server has refused to end a subscription.
    fn keep(&mut self, kind: SubscriptionKind, name: Blob) {
        self.ended_once(kind, &name);
        if !self.table(kind).contains_key(&name) {
            self.kept.push((kind, name));
            if self.kept_until.is_none() {
                self.kept_until = Instant::now().checked_add(self.kept_for.next_delay());
            }
        }
    }

    /// Asks again for the end of what was kept, unless somebody has come for it.
    fn end_kept(&mut self, wanted: &mut Names) {
        self.kept_until = None;
        let mut kept = mem::take(&mut self.kept);
        kept.retain(|(kind, name)| !self.table(*kind).contains_key(name));
        self.release(kept, wanted);
    }

    fn end(&mut self, leaving: Leaving, wanted: &mut Names, later: &mut Later) {
        for (kind, name) in &leaving.names {
            // What was missed before its end is missed all the same.
            let entry = self.table(*kind).get_mut(name);
            if let Some(queue) = entry.and_then(|entry| entry.take_deaf_one(leaving.id))
                && let Some((since, cause)) = wanted.missed(*kind, name)
            {
                let gap = Gap::until_now(cause, since, None, vec![name.clone()]);
                later.wake(queue.push([Item::Gap(gap)]).reader);
            }
        }
        self.leave(leaving.id, &leaving.names, wanted, later);
        if let Some(queue) = leaving.last {
            later.wake(queue.end(None));
        }
    }
}

impl State<Fanout> {
    /// Somebody leaves behind all that was sent before, on each of the connections that its names are on.
    fn leave_at_fence(&mut self, leaving: Leaving) -> oneshot::Receiver<Result<()>> {
        let (answer, answered) = oneshot::channel();
        let mut lines: Vec<LineId> = Vec::new();
        if self.is_open() {
            let names = leaving.names.iter();
            lines.extend(names.filter_map(|(_, name)| self.names.line_of(name)));
            lines.sort_unstable();
            lines.dedup();
        }
        let fanout = &mut self.outlet;
        if lines.is_empty() {
            fanout.end(leaving, &mut self.names, &mut self.later);
            self.later.answer(answer, Ok(()));
            return answered;
        }
        fanout.newest_leaving += 1;
        let number = fanout.newest_leaving;
        let waiting = Waiting {
            leaving,
            answer,
            open: lines.len(),
        };
        fanout.leaving.insert(number, waiting);
        for line in lines {
            let fence = self.outlet.reserve_fence(line);
            self.outlet.at_fence(line, fence, Due::Leave(number));
        }
        self.wake_fencing();
        answered
    }

    /// Lets those tasks look that have a fence to send: nothing else may happen on their connections for long.
    fn wake_fencing(&mut self) {
        let fences = self.outlet.fences.iter();
        let fencing = fences.filter_map(|(line, fences)| fences.next.map(|_| *line));
        for line in fencing.collect::<Vec<_>>() {
            self.wake_line(line);
        }
    }
}

impl Shared<Fanout> {
    /// Whether the connection is there. If so, it is not closed for a while although nobody uses it.
    pub(crate) fn stay_open(&self) -> bool {
        let mut state = self.lock();
        if let Some(since) = &mut state.outlet.idle_since {
            *since = Instant::now();
        }
        state.is_open()
    }

    /// Lets what comes for `names`, each of which is there once, go to `queue`. The answer comes when it does.
    ///
    /// Whoever does not wait for it has to [leave](Self::leave).
    pub(crate) fn join(
        &self,
        queue: &Arc<Queue>,
        kind: SubscriptionKind,
        names: &[Blob],
    ) -> (SubscriberId, Result<oneshot::Receiver<Result<()>>>) {
        self.change(|state| {
            let fanout = &mut state.outlet;
            fanout.newest_subscriber += 1;
            let id = SubscriberId(fanout.newest_subscriber);
            let open = state.check_open();
            let fanout = &mut state.outlet;
            let answer = open.map(|()| fanout.join(id, queue, kind, names, &mut state.names));
            state.wake_fencing();
            (id, answer)
        })
    }

    /// Nothing of `names` goes to this subscriber any more, at once.
    pub(crate) fn leave(&self, id: SubscriberId, names: &[Name]) {
        self.change(|state| {
            let fanout = &mut state.outlet;
            fanout.leave(id, names, &mut state.names, &mut state.later);
        });
    }

    /// The same, once all that the server has sent before has come.
    pub(crate) fn leave_behind(&self, leaving: Leaving) -> oneshot::Receiver<Result<()>> {
        self.change(|state| state.leave_at_fence(leaving))
    }
}
