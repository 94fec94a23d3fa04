//! What one connection brings of keyspace notifications goes into a queue, to which others of the same stream may bring as
//! well.

use std::sync::{Arc, Mutex, PoisonError};
use std::task::Context;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tidings_proto::cluster::{Address, LineId, Missed};
use tidings_proto::keyspace::KeyspaceChannels;
use tidings_proto::pubsub::{OpId, Record, SubscriptionEvent, SubscriptionKind, Verb};
use tidings_proto::{Blob, Charset};

use crate::driver::every_node::NodeState;
use crate::driver::subscriber::{Later, Names, Outlet, Staged, outcome, refused_again};
use crate::error::Error;
use crate::pubsub::Gap;
use crate::pubsub::queue::{Batch, Item, Queue};

/// When a server is asked again that has refused the channels; it may have been given the permission.
const AGAIN: Duration = Duration::from_secs(30);

/// The servers that the batches of a queue come from, by their numbers.
#[derive(Debug, Default)]
pub(crate) struct Sources(Mutex<Vec<Address>>);

impl Sources {
    /// The number of a server: always the same.
    fn number_of(&self, address: &Address) -> u32 {
        let mut sources = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = sources.iter().position(|known| known == address);
        let at = at.unwrap_or_else(|| {
            sources.push(address.clone());
            sources.len() - 1
        });
        u32::try_from(at).unwrap_or(u32::MAX)
    }

    /// All of them, in the order of their numbers.
    pub(crate) fn list(&self) -> Vec<Address> {
        let sources = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sources.clone()
    }
}

/// What all connections of one stream have.
#[derive(Debug, Clone)]
pub(crate) struct Stream {
    pub(crate) queue: Arc<Queue>,
    pub(crate) channels: Arc<KeyspaceChannels>,
    pub(crate) sources: Arc<Sources>,
    pub(crate) charset: Charset,
}

/// One connection's way into the queue.
#[derive(Debug)]
pub(crate) struct KeyspaceOutlet {
    stream: Stream,
    state: NodeState,
    source: u32,
    names: Vec<(SubscriptionKind, Blob)>,
    /// Requests that are not answered yet: one for each kind of names.
    asked: Vec<OpId>,
    /// When the names are asked for again that were refused.
    again: Option<Instant>,
    refused: Option<Error>,
    /// What the first connection that brings something has to tell.
    missed: Option<Missed>,
    /// When something came last.
    heard: Option<Instant>,
    /// It is the only one of its stream, which ends with it.
    is_alone: bool,
}

impl KeyspaceOutlet {
    pub(super) fn new(stream: Stream, state: NodeState, is_alone: bool) -> Self {
        Self {
            source: stream.sources.number_of(state.address()),
            names: stream.channels.names(),
            stream,
            state,
            asked: Vec::new(),
            again: None,
            refused: None,
            missed: None,
            heard: None,
            is_alone,
        }
    }

    /// Asks for the channels.
    pub(super) fn subscribe(&mut self, wanted: &mut Names) {
        let mut ask = |kind| {
            let of_kind = self.names.iter().filter(|(other, _)| *other == kind);
            let names: Vec<Blob> = of_kind.map(|(_, name)| name.clone()).collect();
            (!names.is_empty()).then(|| wanted.subscribe(kind, names))
        };
        let asked = [SubscriptionKind::Channel, SubscriptionKind::Pattern].map(&mut ask);
        self.asked = asked.into_iter().flatten().collect();
    }

    /// The connections go to this server from now on.
    pub(super) fn move_to(&mut self, address: Address) {
        if self.state.address() != &address {
            self.source = self.stream.sources.number_of(&address);
            self.state.move_to(address);
        }
    }

    pub(super) fn state(&self) -> &NodeState {
        &self.state
    }

    /// Notes what is missing of before the first connection that brings something.
    pub(super) fn missed_before(&mut self, missed: Missed) {
        self.missed.get_or_insert(missed);
    }

    /// The last time at which surely nothing was missing, if anything has been there.
    pub(super) fn last_heard(&self, wanted: &Names) -> Option<Instant> {
        let missed = self
            .names
            .iter()
            .filter_map(|(kind, name)| wanted.missed(*kind, name));
        let since = missed.map(|(since, _)| since).min();
        let before = self.missed.map(|missed| missed.since);
        since.or(before).or(self.heard)
    }

    /// Puts something into the queue.
    pub(super) fn push(&self, item: Item, later: &mut Later) -> bool {
        let pushed = self.stream.queue.push([item]);
        later.wake(pushed.reader);
        pushed.open
    }

    fn gap(&self, missed: Missed) -> Item {
        let gap = Gap::until_now(missed.cause, missed.since, None, Vec::new());
        Item::Gap(gap.at_node(self.state.address().clone()))
    }

    /// The messages that are wanted.
    fn batch(&self, mut records: Vec<Record>, block: &Bytes, now: Instant) -> Option<Item> {
        let channels = &self.stream.channels;
        if !channels.is_selective() {
            let batch = Batch::new(block.clone(), records, now);
            return Some(Item::Batch(batch.at_source(self.source)));
        }
        records.retain(|record| {
            let [channel, payload] = [record.channel(), record.payload()].map(|at| &block[at]);
            channels.read(channel, payload).is_some()
        });
        // A few that are wanted do not keep alive the many that are not.
        let batch = || Batch::of_run(block, &records, now).at_source(self.source);
        (!records.is_empty()).then(|| Item::Batch(batch()))
    }

    /// What an event means to the stream.
    fn take_event(&mut self, event: SubscriptionEvent, now: Instant, items: &mut Vec<Item>) {
        match event {
            SubscriptionEvent::Gap { cause, since, .. } => {
                self.state.shown();
                items.push(self.gap(Missed { since, cause }));
            }
            SubscriptionEvent::Refused { kind, name, error } => {
                let verb = Verb::Subscribe.name(kind);
                let error = refused_again(verb, &name, self.stream.charset, error);
                items.push(Item::Error(self.failed(error)));
            }
            SubscriptionEvent::Done { op, refused } => {
                self.asked.retain(|asked| *asked != op);
                if let Err(error) = outcome(refused, self.stream.charset) {
                    self.refused.get_or_insert(error);
                }
                if !self.asked.is_empty() {
                    return;
                }
                match self.refused.take() {
                    None => {
                        self.again = None;
                        self.state.shown();
                        items.extend(self.missed.take().map(|missed| self.gap(missed)));
                    }
                    Some(error) => {
                        // What is asked for again in vain is no news.
                        if self.again.is_none() {
                            items.push(Item::Error(self.failed(error)));
                        }
                        self.again = now.checked_add(AGAIN);
                    }
                }
            }
            _ => {}
        }
    }

    /// The error, as one of this server's, which brings nothing at the moment.
    fn failed(&self, error: Error) -> Error {
        let error = error.at_node(self.state.address().clone());
        self.state.failed(&error);
        error
    }
}

impl Outlet for KeyspaceOutlet {
    fn poll_room(&mut self, cx: &mut Context<'_>) -> bool {
        // Without a connection that was confirmed there is nobody who could read.
        self.stream.queue.poll_room(cx) || !self.asked.is_empty()
    }

    fn take(
        &mut self,
        staged: Vec<Staged>,
        block: &Bytes,
        _: &mut Names,
        later: &mut Later,
    ) -> bool {
        let now = Instant::now();
        let mut items = Vec::new();
        for staged in staged {
            match staged {
                Staged::Messages(records) => {
                    items.extend(self.missed.take().map(|missed| self.gap(missed)));
                    items.extend(self.batch(records, block, now));
                }
                Staged::Event(event) => self.take_event(event, now, &mut items),
                Staged::Fenced(..) => {}
            }
        }
        self.heard = Some(now);
        if items.is_empty() {
            return true;
        }
        let pushed = self.stream.queue.push(items);
        later.wake(pushed.reader);
        pushed.open
    }

    fn connected(&mut self, _: LineId, _: bool, _: &mut Names, _: &mut Later) {}

    fn poll_timeout(&self) -> Option<Instant> {
        self.again
    }

    fn handle_timeout(&mut self, now: Instant, wanted: &mut Names) {
        if self.again.is_some_and(|at| at <= now) && self.asked.is_empty() {
            self.subscribe(wanted);
            self.again = now.checked_add(AGAIN);
        }
    }

    fn ended(&mut self, error: Option<&Error>, later: &mut Later) {
        if self.is_alone {
            let closed = || Error::closed("the stream has ended with its runtime");
            self.state.end(error.map_or_else(closed, Error::clone));
            later.wake(self.stream.queue.end(error.cloned()));
        }
    }
}
