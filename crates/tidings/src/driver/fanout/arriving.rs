//! What the connection brings, and whom it concerns.

use std::collections::HashMap;
use std::mem;
use std::sync::Arc;
use std::task::Context;
use std::time::Instant;

use bytes::Bytes;
use tidings_proto::Blob;
use tidings_proto::cluster::LineId;
use tidings_proto::pubsub::{GapCause, Record, SubscriptionEvent, SubscriptionKind, Verb};

use super::entry::SubscriberId;
use super::{Due, Fanout, Name};
use crate::driver::subscriber::single::why;
use crate::driver::subscriber::{Later, Names, Outlet, Staged, refused_again};
use crate::error::Error;
use crate::pubsub::event::Gap;
use crate::pubsub::queue::{Batch, Item, Queue};

impl Fanout {
    fn messages(
        &mut self,
        records: &[Record],
        block: &Bytes,
        wanted: &mut Names,
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
                self.leave(id, &[name], wanted, later);
            }
        }
    }

    fn event(&mut self, event: SubscriptionEvent, wanted: &mut Names, later: &mut Later) {
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
                self.turn_away(kind, &name, &error, wanted, later);
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
            SubscriptionEvent::Missed {
                cause,
                since,
                names,
            } => {
                for (kind, name) in &names {
                    if let Some(entry) = self.table(*kind).get_mut(name) {
                        entry.deafen();
                    }
                }
                self.gap(cause, since, names, later);
            }
            SubscriptionEvent::Revoked { name } => {
                if let Some(entry) = self.shards.get_mut(&name) {
                    entry.interrupt();
                    // It may be elsewhere now, where no fence is answered that was sent here.
                    entry.unfence(None);
                }
            }
            SubscriptionEvent::Deferred { .. } => {}
            SubscriptionEvent::Done { op, refused } => {
                let Some((verb, kind)) = self.asked.remove(&op) else {
                    return;
                };
                for (name, error) in refused {
                    match verb {
                        Verb::Subscribe => {
                            let entry = self.table(kind).get(&name);
                            if entry.is_some_and(|entry| entry.ending == 0) {
                                self.turn_away(kind, &name, &error, wanted, later);
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

    /// A fence was answered on a connection.
    fn pass(&mut self, line: LineId, fence: u64, wanted: &mut Names, later: &mut Later) {
        while let Some(due) = self.next_due(line, fence) {
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
                    if let Some(error) = wanted.refusal(kind, &name).cloned() {
                        self.turn_away(kind, &name, &error, wanted, later);
                    }
                }
                Due::Leave(number) => self.pass_one(number, wanted, later),
            }
        }
    }

    /// A fence is not answered any more. Those who wait for it receive what comes for the name if it is well on another
    /// connection; else they wait for the confirmation.
    fn missed_fence(&mut self, kind: SubscriptionKind, name: &Blob, fence: u64, later: &mut Later) {
        match self.table(kind).get_mut(name) {
            Some(entry) if entry.confirmed => self.admit(kind, name, Some(fence), later),
            Some(entry) => entry.unfence(Some(fence)),
            None => {}
        }
    }

    /// What is next to be done at this fence of a connection, or an earlier one.
    fn next_due(&mut self, line: LineId, fence: u64) -> Option<Due> {
        let due = &mut self.fences.get_mut(&line)?.due;
        let (at, _) = due.front()?;
        (*at <= fence).then(|| due.pop_front())?.map(|(_, due)| due)
    }

    /// One of the fences is answered that somebody waits for who leaves.
    fn pass_one(&mut self, number: u64, wanted: &mut Names, later: &mut Later) {
        let Some(waiting) = self.leaving.get_mut(&number) else {
            return;
        };
        waiting.open -= 1;
        if waiting.open == 0
            && let Some(waiting) = self.leaving.remove(&number)
        {
            self.end(waiting.leaving, wanted, later);
            later.answer(waiting.answer, Ok(()));
        }
    }

    /// A name that was told of as refused is not told of again: whoever has come since has to ask for itself.
    fn ask_again(&mut self, wanted: &mut Names) {
        for kind in [
            SubscriptionKind::Channel,
            SubscriptionKind::Pattern,
            SubscriptionKind::Shard,
        ] {
            let mut names = Vec::new();
            for (name, entry) in self.table(kind) {
                if entry.has_joining() && wanted.refusal(kind, name).is_some() {
                    names.push(name.clone());
                }
            }
            if !names.is_empty() {
                self.ask(kind, names, wanted);
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
        wanted: &mut Names,
        later: &mut Later,
    ) -> bool {
        for staged in staged {
            match staged {
                Staged::Messages(records) => self.messages(&records, block, wanted, later),
                Staged::Event(event) => self.event(event, wanted, later),
                Staged::Fenced(line, fence) => self.pass(line, fence, wanted, later),
            }
        }
        true
    }

    fn next_fence(&mut self, line: LineId) -> Option<u64> {
        self.fences.get_mut(&line)?.next.take()
    }

    fn connected(&mut self, line: LineId, connected: bool, wanted: &mut Names, later: &mut Later) {
        if connected {
            self.ask_again(wanted);
            return;
        }
        // What was sent is gone. Whoever waited for a fence waits for the confirmation on the next connection.
        if wanted.are_together() {
            for entry in self.entries() {
                entry.interrupt();
                entry.unfence(None);
            }
        }
        let gone = self.fences.remove(&line).unwrap_or_default();
        for (fence, due) in gone.due {
            match due {
                Due::Leave(number) => self.pass_one(number, wanted, later),
                Due::Join((kind, name)) => self.missed_fence(kind, &name, fence, later),
            }
        }
        // What was kept ends with the connection.
        self.end_kept(wanted);
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.kept_until
    }

    fn handle_timeout(&mut self, now: Instant, wanted: &mut Names) {
        if self.kept_until.is_some_and(|at| at <= now) {
            self.end_kept(wanted);
        }
    }

    fn idle_since(&self) -> Option<Instant> {
        self.idle_since
    }

    fn ended(&mut self, error: Option<&Error>, later: &mut Later) {
        for (_, wait) in mem::take(&mut self.waits) {
            later.answer(wait.answer, Err(why(error)));
        }
        self.fences.clear();
        for (_, waiting) in mem::take(&mut self.leaving) {
            later.answer(waiting.answer, Ok(()));
        }
        for entry in self.entries() {
            for (_, queue) in entry.queues() {
                later.wake(queue.end(error.cloned()));
            }
        }
    }
}
