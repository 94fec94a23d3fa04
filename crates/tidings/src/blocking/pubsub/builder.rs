//! How a [`PubSub`] is made.

use std::fmt;
use std::future::IntoFuture;

use bytes::Bytes;
use tidings_proto::ToArgs;

use super::PubSub;
use crate::blocking::runtime;
use crate::error::Result;
use crate::pubsub::{FromPayload, OneNode, Origin, Overflow, Plain, Sharded};

/// Makes a [`PubSub`]; nothing is sent before it is [opened](Self::open).
///
/// ```no_run
/// # fn example(client: tidings::blocking::Client) -> tidings::Result<()> {
/// use tidings::Overflow;
///
/// let pubsub = client
///     .pubsub()
///     .channels(["news", "weather"])
///     .patterns("user:*")
///     .ignore_subscribe_messages(true)
///     .queue(10_000, 16 << 20)
///     .overflow(Overflow::DropOldest)
///     .open()?;
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing happens before it is opened"]
#[derive(Debug)]
pub struct PubSubBuilder<P = Bytes, O: Origin = Plain> {
    inner: crate::PubSubBuilder<P, O>,
}

impl<O: Origin> PubSubBuilder<Bytes, O> {
    pub(in crate::blocking) fn new(inner: crate::PubSubBuilder<Bytes, O>) -> Self {
        Self { inner }
    }
}

impl<P, O: Origin> PubSubBuilder<P, O> {
    /// Subscribes to these channels from the beginning: one name or many, of an iterator too.
    pub fn channels<S>(mut self, channels: impl ToArgs<S>) -> Self {
        self.inner = self.inner.channels(channels);
        self
    }

    /// Whether confirmations are left out of what is read. Gaps never are.
    pub fn ignore_subscribe_messages(mut self, ignore: bool) -> Self {
        self.inner = self.inner.ignore_subscribe_messages(ignore);
        self
    }

    /// The bounds of the queue; as [there](crate::PubSubBuilder::queue).
    pub fn queue(mut self, messages: usize, bytes: usize) -> Self {
        self.inner = self.inner.queue(messages, bytes);
        self
    }

    /// What a full queue does: [`Overflow::Backpressure`] unless told otherwise.
    pub fn overflow(mut self, overflow: Overflow) -> Self {
        self.inner = self.inner.overflow(overflow);
        self
    }

    /// Decodes each payload into a `T`; as [there](crate::PubSubBuilder::payload).
    pub fn payload<T: FromPayload>(self) -> PubSubBuilder<T, O> {
        PubSubBuilder {
            inner: self.inner.payload(),
        }
    }
}

impl<P, O: Origin<Kinds = Plain>> PubSubBuilder<P, O> {
    /// Subscribes to these patterns from the beginning, otherwise as [`channels`](Self::channels).
    pub fn patterns<S>(mut self, patterns: impl ToArgs<S>) -> Self {
        self.inner = self.inner.patterns(patterns);
        self
    }
}

impl<P> PubSubBuilder<P, OneNode> {
    /// Reads from this node and no other; as [there](crate::PubSubBuilder::node).
    pub fn node(mut self, address: impl fmt::Display) -> Self {
        self.inner = self.inner.node(address);
        self
    }

    /// Whether to read from a replica; as [there](crate::PubSubBuilder::read_from_replicas).
    pub fn read_from_replicas(mut self, read: bool) -> Self {
        self.inner = self.inner.read_from_replicas(read);
        self
    }
}

impl<P> PubSubBuilder<P, Sharded> {
    /// Whether to read from a replica of each shard; as [there](crate::PubSubBuilder::read_from_replicas).
    pub fn read_from_replicas(mut self, read: bool) -> Self {
        self.inner = self.inner.read_from_replicas(read);
        self
    }
}

impl<P: FromPayload, O: Origin> PubSubBuilder<P, O> {
    /// Opens the connection, and waits until the server has confirmed the channels and patterns.
    ///
    /// # Errors
    ///
    /// No connection can be made, or [none is free](crate::Config::max_own_connections); a name that the server
    /// refuses.
    pub fn open(self) -> Result<PubSub<P, O::Kinds>> {
        runtime::wait(self.inner.into_future()).map(PubSub::new)
    }
}
