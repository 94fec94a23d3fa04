//! How a [`Subscription`] is made.

use std::future::{Future, IntoFuture};
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use tidings_proto::Arg;
use tidings_proto::pubsub::{SubscriptionKind, Verb};

use super::{Source, Subscription, each_once};
use crate::error::{Error, Result};
use crate::pubsub::encoded;
use crate::pubsub::payload::FromPayload;
use crate::pubsub::queue::{Bounds, Overflow, Queue, SHARED_BOUNDS};

/// Makes a [`Subscription`]; nothing is sent before it is awaited. Awaited, it is confirmed by the server.
///
/// ```no_run
/// # async fn example(client: tidings::Client) -> tidings::Result<()> {
/// use tidings::Overflow;
///
/// let prices = client
///     .psubscribe("price:*")
///     .queue(1_000, 1 << 20)
///     .overflow(Overflow::DropNewest)
///     .payload::<f64>()
///     .await?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// A name that the server refuses is named by the error; none of the names is subscribed then. No name at all is a
/// [misuse](crate::ErrorKind::Misuse), before anything is sent. For the first subscription of a client a connection is
/// made, which may fail; if one is there and lost, this waits for the next one, as long as it takes:
/// `tokio::time::timeout` bounds that.
///
/// # Cancel safety
///
/// Dropped on the way, it leaves nothing behind.
#[must_use = "nothing happens before the builder is awaited"]
#[derive(Debug)]
pub struct SubscriptionBuilder<P = Bytes> {
    source: Source,
    kind: SubscriptionKind,
    names: Vec<Arg>,
    bounds: Bounds,
    payload: PhantomData<fn() -> P>,
}

impl SubscriptionBuilder {
    pub(super) fn new(source: Source, kind: SubscriptionKind, names: Vec<Arg>) -> Self {
        Self {
            source,
            kind,
            names,
            bounds: SHARED_BOUNDS,
            payload: PhantomData,
        }
    }
}

impl<P> SubscriptionBuilder<P> {
    /// The bounds of the queue: so many messages (at least 1) and so many bytes of names and payloads, 65 536
    /// and 32 MiB unless told otherwise.
    pub fn queue(mut self, messages: usize, bytes: usize) -> Self {
        self.bounds.limit(messages, bytes);
        self
    }

    /// What a full queue does: [`Overflow::DropOldest`] unless told otherwise. [`Overflow::Backpressure`] is a
    /// [misuse](crate::ErrorKind::Misuse) here: it would hold up all that share the connection.
    pub fn overflow(mut self, overflow: Overflow) -> Self {
        self.bounds.overflow = overflow;
        self
    }

    /// Decodes each payload into a `T`.
    ///
    /// A payload that is not a `T` is one `Err` item of kind [`Decode`](crate::ErrorKind::Decode) with the raw
    /// payload; the next message follows.
    pub fn payload<T: FromPayload>(self) -> SubscriptionBuilder<T> {
        SubscriptionBuilder {
            source: self.source,
            kind: self.kind,
            names: self.names,
            bounds: self.bounds,
            payload: PhantomData,
        }
    }

    async fn subscribe(self) -> Result<Subscription<P>> {
        if self.names.is_empty() {
            let command = Verb::Subscribe.name(self.kind);
            let text = format!("{command} needs at least one name");
            return Err(Error::misuse(text));
        }
        self.bounds.check_shared()?;
        let charset = self.source.charset();
        let names = each_once(encoded(&self.names, charset)?);
        let queue = Arc::new(Queue::new(self.bounds));
        let hubbed = self.source.hubbed(self.kind).await?;
        // Dropped on the way, the seat leaves nothing behind.
        let (seat, confirming) = hubbed.seat(&queue, self.kind, names);
        confirming.await?;
        Ok(Subscription::new(seat, queue, charset))
    }
}

impl<P: FromPayload> IntoFuture for SubscriptionBuilder<P> {
    type Output = Result<Subscription<P>>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.subscribe())
    }
}
