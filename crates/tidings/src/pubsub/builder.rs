//! How a [`PubSub`] is made.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::marker::PhantomData;
use std::pin::Pin;

use bytes::Bytes;
use tidings_proto::{Arg, ToArgs};

use super::home::Home;
use super::payload::FromPayload;
use super::queue::{Bounds, Overflow};
use super::{Kinds, OneNode, Origin, Plain, PubSub, Sharded, names};
use crate::error::Result;

/// Makes a [`PubSub`]; nothing is sent before it is awaited.
///
/// ```no_run
/// # async fn example(client: tidings::Client) -> tidings::Result<()> {
/// use tidings::Overflow;
///
/// let pubsub = client
///     .pubsub()
///     .channels(["news", "weather"])
///     .channels((1..=3).map(|number| format!("room:{number}")))
///     .patterns("user:*")
///     .ignore_subscribe_messages(true)
///     .queue(10_000, 16 << 20)
///     .overflow(Overflow::DropOldest)
///     .await?;
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing happens before the builder is awaited"]
pub struct PubSubBuilder<P = Bytes, O = Plain> {
    pub(super) home: Home,
    pub(super) channels: Vec<Arg>,
    pub(super) patterns: Vec<Arg>,
    pub(super) ignore_confirmations: bool,
    pub(super) bounds: Bounds,
    made_as: PhantomData<fn() -> (P, O)>,
}

impl<O: Origin> PubSubBuilder<Bytes, O> {
    pub(crate) fn new(home: Home) -> Self {
        Self {
            home,
            channels: Vec::new(),
            patterns: Vec::new(),
            ignore_confirmations: false,
            bounds: Bounds::default(),
            made_as: PhantomData,
        }
    }
}

impl<P, O: Origin> PubSubBuilder<P, O> {
    /// Subscribes to these channels from the beginning: one name or many, of an iterator too.
    pub fn channels<S>(mut self, channels: impl ToArgs<S>) -> Self {
        self.channels.extend(names(channels));
        self
    }

    /// Whether confirmations are left out of what is read. Gaps never are.
    pub fn ignore_subscribe_messages(mut self, ignore: bool) -> Self {
        self.ignore_confirmations = ignore;
        self
    }

    /// The bounds of the queue: so many messages (at least 1) and so many bytes of names and payloads, 65 536
    /// and 32 MiB unless told otherwise. What a single read brings may exceed them with
    /// [`Overflow::Backpressure`].
    pub fn queue(mut self, messages: usize, bytes: usize) -> Self {
        self.bounds.limit(messages, bytes);
        self
    }

    /// What a full queue does: [`Overflow::Backpressure`] unless told otherwise.
    pub fn overflow(mut self, overflow: Overflow) -> Self {
        self.bounds.overflow = overflow;
        self
    }

    /// Decodes each payload into a `T`.
    ///
    /// A payload that is not a `T` is one `Err` item of kind [`Decode`](crate::ErrorKind::Decode) with the raw
    /// payload; the next message follows.
    pub fn payload<T: FromPayload>(self) -> PubSubBuilder<T, O> {
        PubSubBuilder {
            home: self.home,
            channels: self.channels,
            patterns: self.patterns,
            ignore_confirmations: self.ignore_confirmations,
            bounds: self.bounds,
            made_as: PhantomData,
        }
    }
}

impl<P, O: Origin<Kinds = Plain>> PubSubBuilder<P, O> {
    /// Subscribes to these patterns from the beginning, otherwise as [`channels`](Self::channels).
    pub fn patterns<S>(mut self, patterns: impl ToArgs<S>) -> Self {
        self.patterns.extend(names(patterns));
        self
    }
}

impl<P> PubSubBuilder<P, OneNode> {
    /// Reads from this node and no other, by its address (`127.0.0.1:7000`).
    ///
    /// One that is not in the cluster is a [misuse](crate::ErrorKind::Misuse). One that leaves it is left, with a gap, and
    /// asked for until it is back.
    pub fn node(mut self, address: impl fmt::Display) -> Self {
        if let Home::Node(choice) = &mut self.home {
            choice.node = Some(address.to_string());
        }
        self
    }

    /// Whether to read from a replica, and from a primary where there is none; as the client's
    /// [configuration](crate::Config::read_from_replicas) says unless told.
    pub fn read_from_replicas(mut self, read: bool) -> Self {
        if let Home::Node(choice) = &mut self.home {
            choice.from_replicas = read;
        }
        self
    }
}

impl<P> PubSubBuilder<P, Sharded> {
    /// Whether to read from a replica of each shard, and from its primary where there is none; as the client's
    /// [configuration](crate::Config::read_from_replicas) says unless told.
    pub fn read_from_replicas(mut self, read: bool) -> Self {
        if let Home::Nodes(choice) = &mut self.home {
            choice.from_replicas = read;
        }
        self
    }
}

impl<P: FromPayload, O: Origin> IntoFuture for PubSubBuilder<P, O> {
    type Output = Result<PubSub<P, O::Kinds>>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(PubSub::open(self))
    }
}

impl<P, O: Origin> fmt::Debug for PubSubBuilder<P, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PubSubBuilder")
            .field("kind", &O::Kinds::CHANNEL)
            .field("channels", &self.channels)
            .field("patterns", &self.patterns)
            .field("bounds", &self.bounds)
            .finish_non_exhaustive()
    }
}
