//! Keyspace notifications: what is done to keys, as a stream.

mod builder;
mod event;

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tidings_proto::Blob;
use tidings_proto::cluster::Address;
use tidings_proto::pubsub::Record;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::coop;

pub use builder::{KeyspaceEventsBuilder, Notifications};
pub use event::{KeyEvent, KeyspaceEvent};

use crate::config::Config;
use crate::driver::every_node::{NodeState, NodeStates, NodeStatus, Watcher, Watching};
use crate::driver::keyspace::{Check, CheckedPlace, KeyspaceLink, KeyspaceOutlet, Stream};
use crate::driver::place::Place;
use crate::driver::subscriber::Shared;
use crate::error::{Error, Result};
use crate::pubsub::Gap;
use crate::pubsub::queue::{Batch, Item, Popped};
use crate::pubsub::reader::spend_budget;

/// Keys up to this size are copied out of the block that they came in, so that an event that is kept keeps nothing else.
const COPIED_KEY: usize = 256;

/// A stream of what is done to the keys of a server, or of a cluster, with connections of its own.
///
/// Made by [`Client::keyspace_events`](crate::Client::keyspace_events) and
/// [`ClusterClient::keyspace_events`](crate::ClusterClient::keyspace_events). Dropping it closes its connections.
///
/// ```no_run
/// # async fn example(client: tidings::Client) -> tidings::Result<()> {
/// use tidings::{KeyspaceEvent, Notifications};
///
/// let builder = client.keyspace_events("user:*").notifications(Notifications::Enable);
/// let mut events = builder.await?;
/// while let Some(event) = events.next().await {
///     match event? {
///         KeyspaceEvent::Key(event) if event.removes_key() => println!("{} is gone", event.key_str()),
///         KeyspaceEvent::Key(event) => println!("{} of {}", event.operation_str(), event.key_str()),
///         KeyspaceEvent::Gap(gap) => println!("events may be missing: {}", gap.cause()),
///         _ => {}
///     }
/// }
/// # Ok(())
/// # }
/// ```
///
/// Each event comes once; the order is that of each server. Servers send notifications, and do not keep them: what happens
/// while no connection is there is missed, and told as a [gap](KeyspaceEvent::Gap). Once it has come the stream is
/// subscribed again, so whoever looks at the keys then misses nothing.
///
/// An event says what was done, and no more: by the time that it is read the key may be another one. A key that expires is
/// told of when the server removes it, which may be later.
///
/// **In a cluster** a node tells of its own keys only, so there is a connection to each primary. It follows them: one that
/// joins or is promoted is listened to, with a gap of the cause [`NodeJoined`](crate::GapCause::NodeJoined) or
/// [`Failover`](crate::GapCause::Failover) before its first event; one that leaves is left, with a gap of the cause
/// [`NodeLeft`](crate::GapCause::NodeLeft). That is seen at the latest after
/// [`Config::topology_interval`](crate::Config::topology_interval). A slot that moves takes its events along without a gap,
/// as both nodes are listened to.
///
/// An `Err` item does not end it:
///
/// - **A server does not send the notifications any more** ([`Notifications`]), or refuses the channels: one error
///   that says what to do, and of which server; it is asked again, with pauses, and there is a gap of the cause
///   [`Refused`](crate::GapCause::Refused) when it does again. That somebody has changed the setting of a server that is
///   connected is found after six times the [ping interval](crate::Config::ping_interval).
///
/// It ends when its queue was told to [close](crate::Overflow::Close) and was full, when the attempts to connect to a server
/// are used up (there is no end of them unless [told otherwise](crate::Config::max_attempts)), and with its runtime.
pub struct KeyspaceEvents {
    stream: Stream,
    current: Batch,
    /// The servers that batches come from, as far as they are known here.
    sources: Vec<Address>,
    connections: Connections,
    _permit: OwnedSemaphorePermit,
}

/// What brings the events.
enum Connections {
    One(Arc<Shared<KeyspaceOutlet>>, Arc<NodeStates>),
    Nodes(Watching),
}

impl KeyspaceEvents {
    fn new(stream: Stream, connections: Connections, permit: OwnedSemaphorePermit) -> Self {
        Self {
            stream,
            current: Batch::default(),
            sources: Vec::new(),
            connections,
            _permit: permit,
        }
    }

    async fn begun(&self) -> Result<()> {
        match &self.connections {
            Connections::One(_, states) => states.begun().await,
            Connections::Nodes(watching) => watching.begun().await,
        }
    }

    /// The servers that are listened to now, and whether they can be reached and send what is wanted.
    pub fn nodes(&self) -> Vec<NodeStatus> {
        match &self.connections {
            Connections::One(_, states) => states.list(),
            Connections::Nodes(watching) => watching.nodes(),
        }
    }

    /// The next event or gap, waiting for it; `None` when nothing comes any more.
    ///
    /// # Errors
    ///
    /// See [`KeyspaceEvents`]. After an error the stream goes on.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost if it is dropped.
    pub async fn next(&mut self) -> Option<Result<KeyspaceEvent>> {
        poll_fn(|cx| self.poll_event(cx)).await
    }

    pub(crate) fn poll_event(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<KeyspaceEvent>>> {
        loop {
            if let Some(event) = self.next_at_hand() {
                return Poll::Ready(Some(Ok(event)));
            }
            if !coop::has_budget_remaining() && !self.stream.queue.is_empty() {
                let turn = ready!(coop::poll_proceed(cx));
                turn.made_progress();
            }
            return Poll::Ready(Some(match self.stream.queue.pop(Some(cx)) {
                Popped::Item(Item::Batch(batch)) => {
                    spend_budget(batch.len());
                    self.current = batch;
                    continue;
                }
                Popped::Item(Item::Gap(gap)) => Ok(KeyspaceEvent::Gap(gap)),
                Popped::Item(Item::Error(error)) => Err(error),
                Popped::Item(Item::Confirmation(_) | Item::Unseen(_)) => continue,
                Popped::Empty => return Poll::Pending,
                Popped::Ended => return Poll::Ready(None),
            }));
        }
    }

    /// The next event of those that were taken out of the queue together.
    fn next_at_hand(&mut self) -> Option<KeyspaceEvent> {
        let source = self.current.source() as usize;
        loop {
            let (block, record) = self.current.next()?;
            if self.sources.len() <= source {
                self.sources = self.stream.sources.list();
            }
            // Somebody may publish anything to such a channel.
            let Some(event) = event_of(&self.stream, self.sources.get(source)?, block, record)
            else {
                continue;
            };
            return Some(KeyspaceEvent::Key(event));
        }
    }
}

fn event_of(stream: &Stream, node: &Address, block: &Bytes, record: &Record) -> Option<KeyEvent> {
    let [channel, payload] = [record.channel(), record.payload()].map(|at| &block[at]);
    let read = stream.channels.read(channel, payload)?;
    let key = match read.key.len() {
        ..=COPIED_KEY => Blob::copy_from(read.key),
        _ => Blob::from(block.slice_ref(read.key)),
    };
    Some(KeyEvent {
        node: node.clone(),
        database: read.database,
        key,
        operation: Blob::copy_from(read.operation),
        charset: stream.charset,
    })
}

impl futures_core::Stream for KeyspaceEvents {
    type Item = Result<KeyspaceEvent>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_event(cx)
    }
}

impl fmt::Debug for KeyspaceEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyspaceEvents")
            .field("nodes", &self.nodes())
            .finish_non_exhaustive()
    }
}

impl Drop for KeyspaceEvents {
    fn drop(&mut self) {
        if let Connections::One(shared, _) = &self.connections {
            shared.close();
        }
        self.stream.queue.discard(self.current.len());
    }
}

/// Has the events of all primaries of a cluster come into one queue.
struct OfAll {
    stream: Stream,
    check: Arc<Check>,
}

impl Watcher for OfAll {
    type Line = KeyspaceLink;

    fn line(&self, config: Arc<Config>, state: NodeState, place: Place) -> (Self::Line, Place) {
        let link = KeyspaceLink::new(config, self.stream.clone(), state, false);
        (link, CheckedPlace::of(place, Arc::clone(&self.check)))
    }

    fn tell(&self, gap: Gap, _: Error) {
        self.push(Item::Gap(gap));
    }

    fn ended(&self, error: Option<Error>) {
        if let Some(reader) = self.stream.queue.end(error) {
            reader.wake();
        }
    }
}

impl OfAll {
    fn push(&self, item: Item) {
        if let Some(reader) = self.stream.queue.push([item]).reader {
            reader.wake();
        }
    }
}
