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

mod entry;

use std::collections::{HashMap, VecDeque};
use std::mem;
use std::sync::Arc;
use std::task::Context;
use std::time::Instant;

use bytes::Bytes;
use tidings_proto::pubsub::{GapCause, OpId, Record, SubscriptionEvent, SubscriptionKind, Verb};
use tidings_proto::{Blob, Charset, ServerError, Subscriptions};
use tokio::sync::oneshot;

use self::entry::{Entry, Joining};
use super::subscriber::single::why;
use super::subscriber::{Answer, Later, Outlet, Shared, Staged, State, outcome, refused_again};
use crate::error::{Error, Result};
use crate::pubsub::event::Gap;
use crate::pubsub::queue::{Batch, Item, Queue};

pub(crate) use self::entry::SubscriberId;

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
    /// The fence that was sent last, and whether another one is to be sent.
    fence: u64,
    fence_wanted: bool,
    /// What is to be done at the answers to fences, in order.
    fenced: VecDeque<(u64, Due)>,
    connected: bool,
    idle_since: Option<Instant>,
}

/// Somebody who waits until it holds all the names that it asked for.
#[derive(Debug)]
struct Wait {
    open: usize,
    refused: Vec<(Blob, ServerError)>,
    answer: Answer,
}

/// What is to be done when a fence is answered.
#[derive(Debug)]
enum Due {
    Join(Name, SubscriberId),
    Leave(Leaving, Answer),
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
            fence: 0,
            fence_wanted: false,
            fenced: VecDeque::new(),
            connected: false,
            idle_since: Some(Instant::now()),
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
        subscriptions: &mut Subscriptions,
    ) -> oneshot::Receiver<Result<()>> {
        self.newest_wait += 1;
        let wait = self.newest_wait;
        let (answer, answered) = oneshot::channel();
        let open = names.len();
        self.waits.insert(
            wait,
            Wait {
                open,
                refused: Vec::new(),
                answer,
            },
        );
        let fence = self.connected.then_some(self.fence + 1);
        let mut new = Vec::new();
        let mut fenced = Vec::new();
        let table = self.table(kind);
        for name in names {
            let entry = table.entry(name.clone()).or_default();
            let fence = if entry.is_used() {
                fence
            } else {
                new.push(name.clone());
                None
            };
            if let Some(fence) = fence {
                fenced.push((fence, Due::Join((kind, name.clone()), id)));
            }
            entry.joining.push(Joining {
                id,
                queue: Arc::clone(queue),
                wait,
                fence,
            });
        }
        self.fence_wanted |= !fenced.is_empty();
        self.fenced.extend(fenced);
        if !new.is_empty() {
            let op = subscriptions.subscribe(kind, new);
            self.asked.insert(op, (Verb::Subscribe, kind));
        }
        self.note_idleness();
        answered
    }

    /// Lets those of `joining` in for whom it is time, and keeps the others.
    fn admit(
        &mut self,
        kind: SubscriptionKind,
        name: &Blob,
        is_time: impl Fn(&Joining) -> bool,
        later: &mut Later,
    ) {
        let Some(entry) = self.table(kind).get_mut(name) else {
            return;
        };
        let mut waits = Vec::new();
        for joining in mem::take(&mut entry.joining) {
            if is_time(&joining) {
                entry.hold(joining.id, joining.queue);
                waits.push(joining.wait);
            } else {
                entry.joining.push(joining);
            }
        }
        for wait in waits {
            self.settle(wait, None, later);
        }
    }

    /// Nobody of those who are about to join may.
    fn turn_away(
        &mut self,
        kind: SubscriptionKind,
        name: &Blob,
        error: &ServerError,
        later: &mut Later,
    ) {
        let Some(entry) = self.table(kind).get_mut(name) else {
            return;
        };
        for joining in mem::take(&mut entry.joining) {
            self.settle(joining.wait, Some((name.clone(), error.clone())), later);
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

    fn leave(
        &mut self,
        id: SubscriberId,
        names: &[Name],
        subscriptions: &mut Subscriptions,
        later: &mut Later,
    ) {
        let mut unused: [(SubscriptionKind, Vec<Blob>); 3] = [
            (SubscriptionKind::Channel, Vec::new()),
            (SubscriptionKind::Pattern, Vec::new()),
            (SubscriptionKind::Shard, Vec::new()),
        ];
        for (kind, name) in names {
            let Some(entry) = self.table(*kind).get_mut(name) else {
                continue;
            };
            let was_used = entry.is_used();
            let waits = entry.leave(id);
            let is_used = entry.is_used();
            for wait in waits {
                self.settle(wait, None, later);
            }
            if was_used && !is_used {
                for (of, names) in &mut unused {
                    if of == kind {
                        names.push(name.clone());
                    }
                }
            }
        }
        for (kind, names) in unused {
            self.release(kind, names, subscriptions);
        }
    }

    /// Ends the subscriptions to names that nobody holds any more.
    fn release(
        &mut self,
        kind: SubscriptionKind,
        names: Vec<Blob>,
        subscriptions: &mut Subscriptions,
    ) {
        let mut ending = Vec::new();
        for name in names {
            let wanted = subscriptions.is_wanted(kind, &name);
            let Some(entry) = self.table(kind).get_mut(&name) else {
                continue;
            };
            entry.confirmed = false;
            if wanted {
                entry.ending += 1;
                ending.push(name);
            } else if entry.ending == 0 {
                self.table(kind).remove(&name);
            }
        }
        if !ending.is_empty() {
            let op = subscriptions.unsubscribe(kind, ending);
            self.asked.insert(op, (Verb::Unsubscribe, kind));
        }
        self.note_idleness();
    }

    // ---- what the connection brings ----

    fn messages(
        &mut self,
        records: &[Record],
        block: &Bytes,
        subscriptions: &mut Subscriptions,
        later: &mut Later,
    ) {
        let now = Instant::now();
        let mut rest = records;
        while let Some(first) = rest.first() {
            let (kind, name) = (first.kind().subscribed_as(), &block[first.subscribed()]);
            let same = |record: &&Record| {
                record.kind() == first.kind() && block[record.subscribed()] == *name
            };
            let (run, behind) = rest.split_at(rest.iter().take_while(same).count());
            rest = behind;
            let Some(entry) = self.table(kind).get(name).filter(|e| e.has_holders()) else {
                // Its last one has left; the server does not know yet.
                continue;
            };
            let closed = entry.deliver(Batch::of_run(block, run, now), later);
            for id in closed {
                let name = (kind, Blob::copy_from(name));
                self.leave(id, &[name], subscriptions, later);
            }
        }
    }

    fn event(
        &mut self,
        event: SubscriptionEvent,
        subscriptions: &mut Subscriptions,
        later: &mut Later,
    ) {
        match event {
            SubscriptionEvent::Confirmed {
                verb: Verb::Subscribe,
                kind,
                name,
                ..
            } => {
                let Some(entry) = self.table(kind).get_mut(&name) else {
                    return;
                };
                if entry.ending == 0 {
                    entry.confirmed = true;
                    self.admit(kind, &name, |joining| joining.fence.is_none(), later);
                }
            }
            SubscriptionEvent::Confirmed {
                verb: Verb::Unsubscribe,
                kind,
                name,
                ..
            } => self.ended_once(kind, &name),
            SubscriptionEvent::Refused { kind, name, error } => {
                self.turn_away(kind, &name, &error, later);
                let charset = self.charset;
                let Some(entry) = self.table(kind).get(&name) else {
                    return;
                };
                for (_, queue) in entry.queues() {
                    let verb = Verb::Subscribe.name(kind);
                    let item = Item::Error(refused_again(verb, &name, charset, error.clone()));
                    later.wake(queue.push([item]).reader);
                }
                if !entry.has_holders() {
                    self.release(kind, vec![name], subscriptions);
                }
            }
            SubscriptionEvent::Gap {
                cause,
                since,
                names,
            } => self.gap(cause, since, names, later),
            SubscriptionEvent::Revoked { name } => {
                if let Some(entry) = self.shards.get_mut(&name) {
                    entry.interrupt();
                }
            }
            SubscriptionEvent::Done { op, refused } => {
                let Some((verb, kind)) = self.asked.remove(&op) else {
                    return;
                };
                for (name, error) in refused {
                    match verb {
                        Verb::Subscribe => {
                            let entry = self.table(kind).get(&name);
                            if entry.is_some_and(|entry| entry.ending == 0) {
                                self.turn_away(kind, &name, &error, later);
                                self.release_unused(kind, name, subscriptions);
                            }
                        }
                        // It goes on, to nobody unless somebody joins.
                        Verb::Unsubscribe => self.ended_once(kind, &name),
                    }
                }
            }
            // A newer core may tell more.
            #[allow(unreachable_patterns, reason = "the enum may grow")]
            _ => {}
        }
    }

    fn release_unused(
        &mut self,
        kind: SubscriptionKind,
        name: Blob,
        subscriptions: &mut Subscriptions,
    ) {
        if self.table(kind).get(&name).is_some_and(|e| !e.is_used()) {
            self.release(kind, vec![name], subscriptions);
        }
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

    /// Tells each subscriber of those of its names that missed messages.
    fn gap(&mut self, cause: GapCause, since: Instant, names: Vec<Name>, later: &mut Later) {
        let mut told: HashMap<SubscriberId, (Arc<Queue>, Vec<Blob>)> = HashMap::new();
        for (kind, name) in names {
            let Some(entry) = self.table(kind).get_mut(&name) else {
                continue;
            };
            for (id, queue) in entry.take_deaf() {
                let (_, names) = told
                    .entry(id)
                    .or_insert_with(|| (Arc::clone(queue), Vec::new()));
                names.push(name.clone());
            }
        }
        for (queue, names) in told.into_values() {
            let gap = Gap::until_now(cause, since, None, names);
            later.wake(queue.push([Item::Gap(gap)]).reader);
        }
    }

    /// A fence was answered.
    fn pass(&mut self, fence: u64, subscriptions: &mut Subscriptions, later: &mut Later) {
        while self.fenced.front().is_some_and(|(at, _)| *at <= fence)
            && let Some((_, due)) = self.fenced.pop_front()
        {
            match due {
                Due::Join((kind, name), id) => {
                    let at_fence =
                        |joining: &Joining| joining.id == id && joining.fence == Some(fence);
                    let Some(entry) = self.table(kind).get_mut(&name) else {
                        continue;
                    };
                    if entry.confirmed {
                        self.admit(kind, &name, at_fence, later);
                        continue;
                    }
                    for joining in entry.joining.iter_mut().filter(|one| at_fence(one)) {
                        joining.fence = None;
                    }
                    if let Some(error) = subscriptions.refusal(kind, &name) {
                        self.turn_away(kind, &name, error, later);
                    }
                }
                Due::Leave(leaving, answer) => {
                    self.end(leaving, subscriptions, later);
                    later.answer(answer, Ok(()));
                }
            }
        }
    }

    fn end(&mut self, leaving: Leaving, subscriptions: &mut Subscriptions, later: &mut Later) {
        self.leave(leaving.id, &leaving.names, subscriptions, later);
        if let Some(queue) = leaving.last {
            later.wake(queue.end(None));
        }
    }
}

impl Outlet for Fanout {
    fn poll_room(&mut self, _: &mut Context<'_>) -> bool {
        // Nobody holds up the others.
        true
    }

    fn take(
        &mut self,
        staged: Vec<Staged>,
        block: &Bytes,
        subscriptions: &mut Subscriptions,
        later: &mut Later,
    ) -> bool {
        for staged in staged {
            match staged {
                Staged::Messages(records) => self.messages(&records, block, subscriptions, later),
                Staged::Event(event) => self.event(event, subscriptions, later),
                Staged::Fenced(fence) => self.pass(fence, subscriptions, later),
            }
        }
        true
    }

    fn next_fence(&mut self) -> Option<u64> {
        mem::take(&mut self.fence_wanted).then(|| {
            self.fence += 1;
            self.fence
        })
    }

    fn connected(&mut self, connected: bool, subscriptions: &mut Subscriptions, later: &mut Later) {
        self.connected = connected;
        if connected {
            return;
        }
        // What was sent is gone. Whoever waited for a fence waits for the confirmation on the next connection.
        self.fence_wanted = false;
        for entry in self.entries() {
            entry.interrupt();
            for joining in &mut entry.joining {
                joining.fence = None;
            }
        }
        for (_, due) in mem::take(&mut self.fenced) {
            if let Due::Leave(leaving, answer) = due {
                self.end(leaving, subscriptions, later);
                later.answer(answer, Ok(()));
            }
        }
    }

    fn idle_since(&self) -> Option<Instant> {
        self.idle_since
    }

    fn ended(&mut self, error: Option<&Error>, later: &mut Later) {
        for (_, wait) in mem::take(&mut self.waits) {
            later.answer(wait.answer, Err(why(error)));
        }
        for (_, due) in mem::take(&mut self.fenced) {
            if let Due::Leave(_, answer) = due {
                later.answer(answer, Ok(()));
            }
        }
        for entry in self.entries() {
            for (_, queue) in entry.queues() {
                later.wake(queue.end(error.cloned()));
            }
        }
    }
}

impl State<Fanout> {
    fn leave_at_fence(&mut self, leaving: Leaving) -> oneshot::Receiver<Result<()>> {
        let (answer, answered) = oneshot::channel();
        let open = self.is_open();
        let fanout = &mut self.outlet;
        if open && fanout.connected {
            fanout.fence_wanted = true;
            let due = Due::Leave(leaving, answer);
            fanout.fenced.push_back((fanout.fence + 1, due));
        } else {
            fanout.end(leaving, &mut self.subscriptions, &mut self.later);
            self.later.answer(answer, Ok(()));
        }
        answered
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

    /// A number for a subscriber.
    pub(crate) fn new_subscriber(&self) -> SubscriberId {
        let mut state = self.lock();
        state.outlet.newest_subscriber += 1;
        SubscriberId(state.outlet.newest_subscriber)
    }

    /// Lets what comes for `names`, each of which is there once, go to `queue`. The answer comes when it does.
    ///
    /// Whoever does not wait for it has to [leave](Self::leave).
    pub(crate) fn join(
        &self,
        id: SubscriberId,
        queue: &Arc<Queue>,
        kind: SubscriptionKind,
        names: &[Blob],
    ) -> Result<oneshot::Receiver<Result<()>>> {
        self.change(|state| {
            state.check_open()?;
            let fanout = &mut state.outlet;
            Ok(fanout.join(id, queue, kind, names, &mut state.subscriptions))
        })
    }

    /// Nothing of `names` goes to this subscriber any more, at once.
    pub(crate) fn leave(&self, id: SubscriberId, names: &[Name]) {
        self.change(|state| {
            let fanout = &mut state.outlet;
            fanout.leave(id, names, &mut state.subscriptions, &mut state.later);
        });
    }

    /// The same, once all that the server has sent before has come.
    pub(crate) fn leave_behind(&self, leaving: Leaving) -> oneshot::Receiver<Result<()>> {
        self.change(|state| state.leave_at_fence(leaving))
    }
}
