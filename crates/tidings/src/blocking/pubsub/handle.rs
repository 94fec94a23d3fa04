//! The part of a subscriber that can be cloned.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tidings_proto::ToArgs;

use crate::blocking::runtime;
use crate::error::Result;
use crate::pubsub::{Confirming, Kinds, Plain};

/// Subscribes and unsubscribes for a [`PubSub`](super::PubSub) from elsewhere: another thread, or a handler.
///
/// Its methods wait for the server's answer, those of [`without_waiting`](Self::without_waiting) do not.
///
/// Within a handler both are fine. In another thread, with
/// [`Overflow::Backpressure`](crate::Overflow::Backpressure) and a full queue, the answer comes when the reader has made
/// room. (The methods of the `PubSub` itself do not wait for that.)
///
/// ```no_run
/// # fn example(client: tidings::blocking::Client) -> tidings::Result<()> {
/// let mut pubsub = client.pubsub().open()?;
/// let handle = pubsub.handle();
/// pubsub.subscribe_with("control", move |message| handle.subscribe(message.payload()))?;
/// while pubsub.next().transpose()?.is_some() {}
/// # Ok(())
/// # }
/// ```
pub struct PubSubHandle<K = Plain> {
    inner: crate::PubSubHandle<K>,
    waits: bool,
}

impl<K> PubSubHandle<K> {
    pub(super) fn new(inner: crate::PubSubHandle<K>) -> Self {
        Self { inner, waits: true }
    }

    /// A handle whose methods only make their requests, and do not wait for the server's answer: what the server
    /// refuses is not told by them. They may be called in asynchronous code too.
    pub fn without_waiting(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            waits: false,
        }
    }

    /// Whether anything is wanted.
    pub fn is_subscribed(&self) -> bool {
        self.inner.is_subscribed()
    }

    /// Makes a request, and waits for the answer or sees whether it was refused at once.
    fn ask(&self, request: impl FnOnce() -> Confirming) -> Result<()> {
        if self.waits {
            // Where it cannot wait, it asks for nothing.
            return runtime::wait(async { request().await });
        }
        let mut cx = Context::from_waker(Waker::noop());
        match Pin::new(&mut request()).poll(&mut cx) {
            Poll::Ready(outcome) => outcome,
            Poll::Pending => Ok(()),
        }
    }
}

impl<K: Kinds> PubSubHandle<K> {
    /// Subscribes to channels; as [`PubSub::subscribe`](super::PubSub::subscribe).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn subscribe<S>(&self, channels: impl ToArgs<S>) -> Result<()> {
        self.ask(|| self.inner.subscribe(channels))
    }

    /// Ends subscriptions to channels; as [`PubSub::unsubscribe`](super::PubSub::unsubscribe).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn unsubscribe<S>(&self, channels: impl ToArgs<S>) -> Result<()> {
        self.ask(|| self.inner.unsubscribe(channels))
    }
}

impl PubSubHandle {
    /// Subscribes to patterns; as [`PubSub::psubscribe`](super::PubSub::psubscribe).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn psubscribe<S>(&self, patterns: impl ToArgs<S>) -> Result<()> {
        self.ask(|| self.inner.psubscribe(patterns))
    }

    /// Subscribes to shard channels; as [`PubSub::ssubscribe`](super::PubSub::ssubscribe).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn ssubscribe<S>(&self, channels: impl ToArgs<S>) -> Result<()> {
        self.ask(|| self.inner.ssubscribe(channels))
    }

    /// Ends subscriptions to patterns; as [`PubSub::punsubscribe`](super::PubSub::punsubscribe).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn punsubscribe<S>(&self, patterns: impl ToArgs<S>) -> Result<()> {
        self.ask(|| self.inner.punsubscribe(patterns))
    }

    /// Ends subscriptions to shard channels; as [`PubSub::sunsubscribe`](super::PubSub::sunsubscribe).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn sunsubscribe<S>(&self, channels: impl ToArgs<S>) -> Result<()> {
        self.ask(|| self.inner.sunsubscribe(channels))
    }
}

impl<K> Clone for PubSubHandle<K> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            waits: self.waits,
        }
    }
}

impl<K> fmt::Debug for PubSubHandle<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}
