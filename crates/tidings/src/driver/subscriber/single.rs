//! One subscriber: all that its connection brings goes into its queue.

use std::collections::HashMap;
use std::sync::Arc;
use std::task::Context;
use std::time::Instant;

use bytes::Bytes;
use tidings_proto::cluster::LineId;
use tidings_proto::pubsub::{OpId, SubscriptionEvent, SubscriptionKind, Verb};
use tidings_proto::{Blob, Charset};
use tokio::sync::oneshot;

use super::{Answer, Later, Names, Outlet, Shared, Staged, State, outcome, refused_again};
use crate::error::{Error, Result};
use crate::pubsub::event::{Confirmation, Gap, shown};
use crate::pubsub::queue::{Batch, Item, Queue};

/// The queue of one subscriber, and the requests that it waits for.
#[derive(Debug)]
pub(crate) struct Single {
    queue: Arc<Queue>,
    charset: Charset,
    requests: HashMap<OpId, Request>,
    /// Requests whose answers are read for beyond the bound of the queue.
    urgent: usize,
    /// It runs in the background: each subscription has a handler, and has to have one.
    running: bool,
    /// A handler is at work that may wait for an answer: that is urgent, whoever made the request.
    handling: bool,
}

/// Who asks for something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asker {
    /// Who reads, and cannot read before the answer has come: the socket is read for it although the queue is full.
    Reader,
    /// What reads in the background, which has a handler.
    Runner,
    /// Somebody else.
    Handle,
}

#[derive(Debug)]
struct Request {
    answer: Answer,
    urgent: bool,
}

impl Single {
    pub(crate) fn new(queue: Arc<Queue>, charset: Charset) -> Self {
        Self {
            queue,
            charset,
            requests: HashMap::new(),
            urgent: 0,
            running: false,
            handling: false,
        }
    }

    fn await_answer(&mut self, op: OpId, urgent: bool) -> oneshot::Receiver<Result<()>> {
        let (answer, answered) = oneshot::channel();
        self.urgent += usize::from(urgent);
        self.requests.insert(op, Request { answer, urgent });
        answered
    }

    /// What a subscription event means to the subscriber.
    fn item_of(&mut self, event: SubscriptionEvent, later: &mut Later) -> Option<Item> {
        match event {
            SubscriptionEvent::Confirmed {
                verb,
                kind,
                name,
                count,
            } => Some(Item::Confirmation(Confirmation::new(
                verb,
                kind,
                name,
                count,
                self.charset,
            ))),
            SubscriptionEvent::Refused { kind, name, error } => {
                let verb = Verb::Subscribe.name(kind);
                Some(Item::Error(refused_again(verb, &name, self.charset, error)))
            }
            SubscriptionEvent::Gap {
                cause,
                since,
                names,
            }
            | SubscriptionEvent::Missed {
                cause,
                since,
                names,
            } => {
                let names = names.into_iter().map(|(_, name)| name).collect();
                Some(Item::Gap(Gap::until_now(cause, since, None, names)))
            }
            SubscriptionEvent::Done { op, refused } => {
                if let Some(Request { answer, urgent }) = self.requests.remove(&op) {
                    self.urgent -= usize::from(urgent);
                    later.answer(answer, outcome(refused, self.charset));
                }
                None
            }
            SubscriptionEvent::Revoked { .. } | SubscriptionEvent::Deferred { .. } => None,
            // A newer core may tell more than this subscriber knows how to show.
            #[allow(unreachable_patterns, reason = "the enum may grow")]
            _ => None,
        }
    }
}

impl Outlet for Single {
    fn poll_room(&mut self, cx: &mut Context<'_>) -> bool {
        // Somebody who waits for a confirmation cannot read at the same time, so room is no condition then.
        self.queue.poll_room(cx) || self.urgent > 0 || (self.handling && !self.requests.is_empty())
    }

    fn take(
        &mut self,
        staged: Vec<Staged>,
        block: &Bytes,
        names: &mut Names,
        later: &mut Later,
    ) -> bool {
        let now = Instant::now();
        let items = staged.into_iter().filter_map(|staged| match staged {
            Staged::Messages(records) => Some(Item::Batch(Batch::new(block.clone(), records, now))),
            Staged::Event(event) => self.item_of(event, later),
            Staged::Fenced(..) => None,
        });
        let items: Vec<Item> = items.collect();
        let mut open = true;
        if !items.is_empty() {
            let pushed = self.queue.push(items);
            later.wake(pushed.reader);
            open = pushed.open;
        }
        if names.is_idle() {
            later.wake(self.queue.take_reader());
        }
        open
    }

    fn connected(&mut self, _: LineId, connected: bool, _: &mut Names, later: &mut Later) {
        if !connected {
            // The names that it waited for may have ended with the connection.
            later.wake(self.queue.take_reader());
        }
    }

    fn ended(&mut self, error: Option<&Error>, later: &mut Later) {
        let why = why(error);
        for (_, request) in self.requests.drain() {
            later.answer(request.answer, Err(why.clone()));
        }
        self.urgent = 0;
        later.wake(self.queue.end(error.cloned()));
    }
}

/// What whoever waits is told when the subscriber ends.
pub(crate) fn why(error: Option<&Error>) -> Error {
    error.map_or_else(|| Error::closed("the subscriber was closed"), Error::clone)
}

impl State<Single> {
    /// Refuses names that would have no handler. What is wanted has one.
    fn check_handled(&self, kind: SubscriptionKind, names: &[Blob]) -> Result<()> {
        let without = |name: &&Blob| !self.names.is_wanted(kind, name);
        match names.iter().find(without) {
            Some(name) if self.outlet.running => Err(Error::misuse(format!(
                "the subscriber runs in the background, where {} would have no handler: subscribe to it by {}_with \
                 of what runs it",
                shown(name, self.outlet.charset),
                Verb::Subscribe.name(kind),
            ))),
            _ => Ok(()),
        }
    }

    fn request(&mut self, op: OpId, urgent: bool) -> oneshot::Receiver<Result<()>> {
        self.outlet.await_answer(op, urgent)
    }
}

impl Shared<Single> {
    /// That of the names.
    pub(crate) fn charset(&self) -> Charset {
        self.lock().outlet.charset
    }

    /// Asks for `names`, at once; the answer comes when the server has confirmed or refused each of them.
    pub(crate) fn request(
        &self,
        verb: Verb,
        kind: SubscriptionKind,
        names: Vec<Blob>,
        asker: Asker,
    ) -> Result<oneshot::Receiver<Result<()>>> {
        self.change(|state| {
            state.check_open()?;
            if (verb, asker) == (Verb::Subscribe, Asker::Handle) {
                state.check_handled(kind, &names)?;
            }
            let op = match verb {
                Verb::Subscribe => state.names.subscribe(kind, names),
                Verb::Unsubscribe => state.names.unsubscribe(kind, names),
            };
            Ok(state.request(op, asker == Asker::Reader))
        })
    }

    /// Ends all subscriptions of one kind; `None` if there are none.
    pub(crate) fn request_end(
        &self,
        kind: SubscriptionKind,
    ) -> Result<Option<oneshot::Receiver<Result<()>>>> {
        self.change(|state| {
            state.check_open()?;
            let op = state.names.unsubscribe_all(kind);
            Ok(op.map(|op| state.request(op, true)))
        })
    }

    /// Notes whether it runs in the background.
    pub(crate) fn set_running(&self, running: bool) {
        self.lock().outlet.running = running;
    }

    /// Notes whether a handler is at work that may wait for an answer.
    pub(crate) fn set_handling(&self, handling: bool) {
        let mut state = self.lock();
        state.outlet.handling = handling;
        // To the task it matters only if there is a request; a later one wakes it itself.
        if handling && !state.outlet.requests.is_empty() {
            state.wake_all();
        }
    }

    /// Whether nothing is subscribed or under way, and nothing is queued.
    ///
    /// What the task puts into the queue it puts there under the same lock, so no last event is overlooked.
    pub(crate) fn is_done(&self) -> bool {
        let state = self.lock();
        state.names.is_idle() && state.outlet.queue.is_empty()
    }
}
