//! What is done to keys, for threads.

use std::future::IntoFuture;
use std::time::{Duration, Instant};

use tidings_proto::ToArgs;

use super::runtime::{self, deadline};
use super::timeout_iter::{ReadWithin, TimeoutIter};
use crate::error::Result;
use crate::{KeyspaceEvent, NodeStatus, Notifications, Overflow};

/// An iterator over what is done to the keys of a server, or of a cluster, with connections of its own.
///
/// Made by [`Client::keyspace_events`](super::Client::keyspace_events) and
/// [`ClusterClient::keyspace_events`](super::ClusterClient::keyspace_events). It is the asynchronous
/// [`KeyspaceEvents`](crate::KeyspaceEvents), where it stands what comes and what a gap or an error between the events
/// means.
///
/// ```no_run
/// # fn example(client: tidings::blocking::Client) -> tidings::Result<()> {
/// use tidings::{KeyspaceEvent, Notifications};
///
/// let builder = client.keyspace_events("user:*").notifications(Notifications::Enable);
/// for event in builder.open()? {
///     match event? {
///         KeyspaceEvent::Key(event) => println!("{} of {}", event.operation_str(), event.key_str()),
///         KeyspaceEvent::Gap(gap) => println!("events may be missing: {}", gap.cause()),
///         _ => {}
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct KeyspaceEvents {
    inner: crate::KeyspaceEvents,
}

impl KeyspaceEvents {
    /// The servers that are listened to now, and whether they can be reached and send what is wanted.
    pub fn nodes(&self) -> Vec<NodeStatus> {
        self.inner.nodes()
    }

    /// An iterator that ends as well when nothing came for so long. It can be made again and goes on then.
    pub fn timeout_iter(&mut self, timeout: Duration) -> TimeoutIter<'_, Self> {
        TimeoutIter::new(self, timeout)
    }

    fn wait(&mut self, deadline: Option<Instant>) -> Option<Result<KeyspaceEvent>> {
        runtime::next_item(|cx| self.inner.poll_event(cx), deadline)
    }
}

/// Waits for the next event or gap; ends when nothing comes any more. An `Err` item does not end it.
impl Iterator for KeyspaceEvents {
    type Item = Result<KeyspaceEvent>;

    fn next(&mut self) -> Option<Self::Item> {
        self.wait(None)
    }
}

impl ReadWithin for KeyspaceEvents {
    type Item = Result<KeyspaceEvent>;

    fn next_within(&mut self, timeout: Duration) -> Option<Self::Item> {
        self.wait(deadline(timeout))
    }
}

/// Makes [`KeyspaceEvents`]; nothing is sent before it is [opened](Self::open).
#[must_use = "nothing happens before it is opened"]
#[derive(Debug)]
pub struct KeyspaceEventsBuilder {
    inner: crate::KeyspaceEventsBuilder,
}

impl KeyspaceEventsBuilder {
    pub(super) fn new(inner: crate::KeyspaceEventsBuilder) -> Self {
        Self { inner }
    }

    /// Only these operations; as [there](crate::KeyspaceEventsBuilder::operations).
    pub fn operations<S>(mut self, operations: impl ToArgs<S>) -> Self {
        self.inner = self.inner.operations(operations);
        self
    }

    /// Only of this database; without it, of the client's own.
    pub fn database(mut self, number: u32) -> Self {
        self.inner = self.inner.database(number);
        self
    }

    /// Of all databases, up to number 9 999.
    pub fn all_databases(mut self) -> Self {
        self.inner = self.inner.all_databases();
        self
    }

    /// What is done about servers that do not send what is wanted: [`Notifications::Required`] unless told otherwise.
    pub fn notifications(mut self, notifications: Notifications) -> Self {
        self.inner = self.inner.notifications(notifications);
        self
    }

    /// The bounds of the queue, in events and in bytes; as [there](crate::KeyspaceEventsBuilder::queue).
    pub fn queue(mut self, events: usize, bytes: usize) -> Self {
        self.inner = self.inner.queue(events, bytes);
        self
    }

    /// What a full queue does: [`Overflow::Backpressure`] unless told otherwise.
    pub fn overflow(mut self, overflow: Overflow) -> Self {
        self.inner = self.inner.overflow(overflow);
        self
    }

    /// Opens the connections, and waits until the servers have confirmed the channels.
    ///
    /// # Errors
    ///
    /// As [there](crate::Client::keyspace_events).
    pub fn open(self) -> Result<KeyspaceEvents> {
        let inner = runtime::wait(self.inner.into_future())?;
        Ok(KeyspaceEvents { inner })
    }
}
