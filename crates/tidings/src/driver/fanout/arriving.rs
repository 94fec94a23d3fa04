//! What the connection brings, and whom it concerns.

use std::collections::HashMap;
use std::mem;
use std::sync::Arc;
use std::task::Context;
use std::time::Instant;

use bytes::Bytes;
use tidings_proto::pubsub::{GapCause, Record, SubscriptionEvent, SubscriptionKind, Verb};
use tidings_proto::{Blob, Subscriptions};

use super::entry::SubscriberId;
use super::{Due, Fanout, Name};
use crate::driver::subscriber::single::why;
use crate::driver::subscriber::{Later, Outlet, Staged, refused_again};
use crate::error::Error;
use crate::pubsub::event::Gap;
use crate::pubsub::queue::{Batch, Item, Queue};

impl Fanout {
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
                    self.admit(kind, &name, None, later);
                }
            }
            SubscriptionEvent::Confirmed {
                verb: Verb::Unsubscribe,
                kind,
                name,
                ..
            } => {
                self.kept_for.reset();
                self.ended_once(kind, &name);
            }
            SubscriptionEvent::Refused { kind, name, error } => {
                self.turn_away(kind, &name, &error, subscriptions, later);
                let charset = self.charset;
                let entry = self.table(kind).get(&name);
                for (_, queue) in entry.iter().flat_map(|entry| entry.queues()) {
                    let verb = Verb::Subscribe.name(kind);
                    let error = refused_again(verb, &name, charset, error.clone());
                    later.wake(queue.push([Item::Error(error)]).reader);
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
                                self.turn_away(kind, &name, &error, subscriptions, later);
                            }
                        }
                        Verb::Unsubscribe => self.keep(kind, name),
                    }
                }
            }
            // A newer core may tell more.
            #[allow(unreachable_patterns, reason = "the enum may grow")]
            _ => {}
        }
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
                Due::Join((kind, name)) => {
                    let Some(entry) = self.table(kind).get_mut(&name) else {
                        continue;
                    };
                    if entry.confirmed {
                        self.admit(kind, &name, Some(fence), later);
                        continue;
                    }
                    entry.unfence(Some(fence));
                    if let Some(error) = subscriptions.refusal(kind, &name).cloned() {
                        self.turn_away(kind, &name, &error, subscriptions, later);
                    }
                }
                Due::Leave(leaving, answer) => {
                    self.end(leaving, subscriptions, later);
                    later.answer(answer, Ok(()));
                }
            }
        }
    }

    /// A name that was told of as refused is not told of again: whoever has come since has to ask for itself.
    fn ask_again(&mut self, subscriptions: &mut Subscriptions) {
        for kind in [
            SubscriptionKind::Channel,
            SubscriptionKind::Pattern,
            SubscriptionKind::Shard,
        ] {
            let mut names = Vec::new();
            for (name, entry) in self.table(kind) {
                if entry.has_joining() && subscriptions.refusal(kind, name).is_some() {
                    names.push(name.clone());
                }
            }
            if !names.is_empty() {
                self.ask(kind, names, subscriptions);
            }
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
            self.ask_again(subscriptions);
            return;
        }
        // What was sent is gone. Whoever waited for a fence waits for the confirmation on the next connection.
        self.fence_wanted = false;
        for entry in self.entries() {
            entry.interrupt();
            entry.unfence(None);
        }
        for (_, due) in mem::take(&mut self.fenced) {
            if let Due::Leave(leaving, answer) = due {
                self.end(leaving, subscriptions, later);
                later.answer(answer, Ok(()));
            }
        }
        // What was kept ends with the connection.
        self.end_kept(subscriptions);
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.kept_until
    }

    fn handle_timeout(&mut self, now: Instant, subscriptions: &mut Subscriptions) {
        if self.kept_until.is_some_and(|at| at <= now) {
            self.end_kept(subscriptions);
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
