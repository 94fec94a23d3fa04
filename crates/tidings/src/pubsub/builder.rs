//! How a [`PubSub`] is made.

use std::future::{Future, IntoFuture};
use std::marker::PhantomData;
use std::pin::Pin;

use bytes::Bytes;
use tidings_proto::{Arg, ToArgs};

use super::payload::FromPayload;
use super::queue::{Bounds, Overflow};
use super::{PubSub, names};
use crate::client::Client;
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
#[derive(Debug)]
pub struct PubSubBuilder<P = Bytes> {
    pub(super) client: Client,
    pub(super) channels: Vec<Arg>,
    pub(super) patterns: Vec<Arg>,
    pub(super) ignore_confirmations: bool,
    pub(super) bounds: Bounds,
    payload: PhantomData<fn() -> P>,
}

impl PubSubBuilder {
    pub(crate) fn new(client: Client) -> Self {
        Self {
            client,
            channels: Vec::new(),
            patterns: Vec::new(),
            ignore_confirmations: false,
            bounds: Bounds::default(),
            payload: PhantomData,
        }
    }
}

impl<P> PubSubBuilder<P> {
    /// Subscribes to these channels from the beginning: one name or many, of an iterator too.
    pub fn channels<S>(mut self, channels: impl ToArgs<S>) -> Self {
        self.channels.extend(names(channels));
        self
    }

    /// Subscribes to these patterns from the beginning, otherwise as [`channels`](Self::channels).
    pub fn patterns<S>(mut self, patterns: impl ToArgs<S>) -> Self {
        self.patterns.extend(names(patterns));
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
    pub fn payload<T: FromPayload>(self) -> PubSubBuilder<T> {
        PubSubBuilder {
            client: self.client,
            channels: self.channels,
            patterns: self.patterns,
            ignore_confirmations: self.ignore_confirmations,
            bounds: self.bounds,
            payload: PhantomData,
        }
    }
}

impl<P: FromPayload> IntoFuture for PubSubBuilder<P> {
    type Output = Result<PubSub<P>>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(PubSub::open(self))
    }
}
