//! The Pub/Sub object of the blocking face.

mod builder;
mod handle;
mod reading;
mod thread;

use std::fmt;

use bytes::Bytes;
use tidings_proto::pubsub::SubscriptionStatus;
use tidings_proto::{ToArg, ToArgs};

pub use builder::PubSubBuilder;
pub use handle::PubSubHandle;
pub use thread::PubSubThread;

use super::runtime;
use crate::error::{Error, Result};
use crate::pubsub::{FromPayload, Gap, HandlerOutcome, Kinds, Message, Plain, Sharded, Stats};

/// A subscriber with a connection of its own, which a thread reads.
///
/// Made by [`Client::pubsub`](super::Client::pubsub). It is the asynchronous [`PubSub`](crate::PubSub) with calls that
/// wait: the same events, the same queue, the same promises. Its connection is served by the [thread in the
/// background](super#the-thread-in-the-background) whether this object is read or not. It can be given to another thread;
/// [`handle`](Self::handle) gives a part that many may have. Dropping it closes its connection and waits for nothing.
///
/// # Reading
///
/// - The [`Iterator`] that it is: the next event; ends when no subscription is left.
/// - [`timeout_iter`](Self::timeout_iter): the same, and ends as well when nothing came for some time.
/// - [`get_message`](Self::get_message): the next event within a time, or `None`.
/// - [`next_message`](Self::next_message): the same, passing over confirmations and handled messages.
///
/// Handlers run within these calls, on the thread that makes them, in order, and never elsewhere. A handler may run
/// commands, publish, and subscribe and unsubscribe with a [handle](Self::handle).
///
/// ```no_run
/// # fn example(client: tidings::blocking::Client) -> tidings::Result<()> {
/// use tidings::Event;
///
/// let mut pubsub = client.pubsub().open()?;
/// pubsub.subscribe(["my-first-channel", "my-second-channel"])?;
/// pubsub.psubscribe("my-*")?;
/// for event in &mut pubsub {
///     match event? {
///         Event::Message(message) => println!("{}: {}", message.channel_str(), message.text()),
///         Event::Gap(gap) => println!("messages may be missing: {}", gap.cause()),
///         Event::Confirmation(confirmation) => println!("{}", confirmation.kind()),
///         _ => {}
///     }
/// }
/// # Ok(())
/// # }
/// ```
///
/// A `for` loop borrows it. To subscribe or unsubscribe within a loop write it so, or use a [handle](Self::handle):
///
/// ```no_run
/// # fn example(mut pubsub: tidings::blocking::PubSub) -> tidings::Result<()> {
/// while let Some(event) = pubsub.next() {
///     if event?.message().is_some_and(|message| message.text() == "bye") {
///         pubsub.unsubscribe_all()?;
///     }
/// }
/// # Ok(())
/// # }
/// ```
pub struct PubSub<P = Bytes, K = Plain> {
    inner: crate::PubSub<P, K>,
}

/// A subscriber of the shard channels of a cluster, which a thread reads: the asynchronous
/// [`ShardedPubSub`](crate::ShardedPubSub) with calls that wait.
///
/// Made by [`ClusterClient::sharded_pubsub`](super::ClusterClient::sharded_pubsub). It is a [`PubSub`], with all that this can
/// do but patterns, which the servers do not have for shard channels.
///
/// ```no_run
/// # fn example(cluster: tidings::blocking::ClusterClient) -> tidings::Result<()> {
/// let mut rooms = cluster.sharded_pubsub().open()?;
/// rooms.subscribe((1..=100).map(|room| format!("room:{room}")))?;
/// for event in rooms {
///     if let Some(message) = event?.message() {
///         println!("{}: {}", message.channel_str(), message.text());
///     }
/// }
/// # Ok(())
/// # }
/// ```
///
/// ```compile_fail,E0599
/// fn patterns(mut rooms: tidings::blocking::ShardedPubSub) {
///     rooms.psubscribe("room:*");
/// }
/// ```
pub type ShardedPubSub<P = Bytes> = PubSub<P, Sharded>;

impl<P: FromPayload, K: Kinds> PubSub<P, K> {
    fn new(inner: crate::PubSub<P, K>) -> Self {
        Self { inner }
    }

    // ---- subscribing ----

    /// Subscribes to channels: one name or many, text, bytes or numbers (`SUBSCRIBE`).
    ///
    /// Returns when the server has confirmed; without a connection it waits for the next one. Each name yields one
    /// [`Confirmation`](crate::Confirmation), in order. A name that is subscribed already is confirmed again and keeps
    /// its handler.
    ///
    /// # Errors
    ///
    /// A name that the server refuses is named by the error; the others are subscribed. No name at all is a
    /// [misuse](crate::ErrorKind::Misuse), before anything is sent.
    pub fn subscribe<S>(&mut self, channels: impl ToArgs<S>) -> Result<()> {
        runtime::wait(self.inner.subscribe(channels))
    }

    /// Subscribes to a channel whose messages go to `handler`.
    ///
    /// The handler runs when the object is read, takes the message, and may subscribe, unsubscribe and publish.
    /// Its error, or its panic, comes out of the read that ran it; the next read goes on. It stays until the
    /// channel is unsubscribed or gets another handler, over reconnects too.
    ///
    /// ```no_run
    /// # fn example(client: tidings::blocking::Client) -> tidings::Result<()> {
    /// let mut pubsub = client.pubsub().ignore_subscribe_messages(true).open()?;
    /// pubsub.subscribe_with("my-channel", |message| println!("{}", message.text()))?;
    /// while pubsub.next().transpose()?.is_some() {}
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`subscribe`](Self::subscribe).
    pub fn subscribe_with<R: HandlerOutcome>(
        &mut self,
        channel: impl ToArg,
        handler: impl FnMut(Message<P>) -> R + Send + 'static,
    ) -> Result<()> {
        runtime::wait(self.inner.subscribe_with(channel, handler))
    }

    /// Runs `handler` for each gap that is read. The gap is an event as well.
    pub fn on_gap(&mut self, handler: impl FnMut(&Gap) + Send + 'static) {
        self.inner.on_gap(handler);
    }

    // ---- unsubscribing ----

    /// Ends the subscriptions to channels (`UNSUBSCRIBE`).
    ///
    /// Each name yields one [`Confirmation`](crate::Confirmation), also one that was not subscribed. Messages that the
    /// server sent before it processed this come before the confirmation, none comes after it.
    ///
    /// # Errors
    ///
    /// No name at all is a [misuse](crate::ErrorKind::Misuse).
    pub fn unsubscribe<S>(&mut self, channels: impl ToArgs<S>) -> Result<()> {
        runtime::wait(self.inner.unsubscribe(channels))
    }

    /// Ends the subscriptions to all channels. Without any it does nothing.
    ///
    /// # Errors
    ///
    /// The object was closed.
    pub fn unsubscribe_all(&mut self) -> Result<()> {
        runtime::wait(self.inner.unsubscribe_all())
    }

    // ---- looking ----

    /// Waits until the server has answered a PING that is sent now; while a connection is being made, on that one.
    /// It never shows up as an event.
    ///
    /// # Errors
    ///
    /// The connection was lost before the answer came, or an attempt to make one failed.
    pub fn ping(&mut self) -> Result<()> {
        runtime::wait(self.inner.ping())
    }

    /// The channels that are wanted, in the order of subscription.
    pub fn channels(&self) -> Vec<Bytes> {
        self.inner.channels()
    }

    /// Whether anything is wanted; `false` once it was closed or has ended.
    pub fn is_subscribed(&self) -> bool {
        self.inner.is_subscribed()
    }

    /// Each name as it is wanted and as the server has confirmed it, and why the two differ if they do.
    pub fn subscriptions(&self) -> Vec<SubscriptionStatus> {
        self.inner.subscriptions()
    }

    /// Why there is no connection at the moment, if an attempt to make one has failed.
    pub fn last_connect_error(&self) -> Option<Error> {
        self.inner.last_connect_error()
    }

    /// Counters.
    pub fn stats(&self) -> Stats {
        self.inner.stats()
    }

    /// A part that can be cloned, and that subscribes and unsubscribes from elsewhere, also within a handler.
    pub fn handle(&self) -> PubSubHandle<K> {
        PubSubHandle::new(self.inner.handle())
    }

    // ---- ending ----

    /// Unsubscribes from everything and closes the connection; what the server sent before can still be read, then
    /// the iterator ends.
    ///
    /// # Errors
    ///
    /// The object was closed.
    pub fn drain(&mut self) -> Result<()> {
        runtime::wait(self.inner.drain())
    }

    /// Closes the connection. What was not read is dropped; any further use is a
    /// [misuse](crate::ErrorKind::Misuse), but closing again does nothing.
    ///
    /// # Errors
    ///
    /// It is called in [asynchronous code](super#asynchronous-code), and nothing is closed.
    pub fn close(&mut self) -> Result<()> {
        runtime::wait(self.inner.close())
    }
}

impl<P: FromPayload> PubSub<P> {
    /// Subscribes to patterns (`PSUBSCRIBE`); otherwise as [`subscribe`](Self::subscribe).
    ///
    /// # Errors
    ///
    /// As [`subscribe`](Self::subscribe).
    pub fn psubscribe<S>(&mut self, patterns: impl ToArgs<S>) -> Result<()> {
        runtime::wait(self.inner.psubscribe(patterns))
    }

    /// Subscribes to shard channels on this server (`SSUBSCRIBE`); otherwise as [`subscribe`](Self::subscribe).
    ///
    /// # Errors
    ///
    /// As [`subscribe`](Self::subscribe).
    pub fn ssubscribe<S>(&mut self, channels: impl ToArgs<S>) -> Result<()> {
        runtime::wait(self.inner.ssubscribe(channels))
    }

    /// Subscribes to a pattern whose messages go to `handler`; as [`subscribe_with`](Self::subscribe_with).
    ///
    /// # Errors
    ///
    /// As [`subscribe`](Self::subscribe).
    pub fn psubscribe_with<R: HandlerOutcome>(
        &mut self,
        pattern: impl ToArg,
        handler: impl FnMut(Message<P>) -> R + Send + 'static,
    ) -> Result<()> {
        runtime::wait(self.inner.psubscribe_with(pattern, handler))
    }

    /// Subscribes to a shard channel whose messages go to `handler`; as
    /// [`subscribe_with`](Self::subscribe_with).
    ///
    /// # Errors
    ///
    /// As [`subscribe`](Self::subscribe).
    pub fn ssubscribe_with<R: HandlerOutcome>(
        &mut self,
        channel: impl ToArg,
        handler: impl FnMut(Message<P>) -> R + Send + 'static,
    ) -> Result<()> {
        runtime::wait(self.inner.ssubscribe_with(channel, handler))
    }

    /// Ends the subscriptions to patterns (`PUNSUBSCRIBE`); as [`unsubscribe`](Self::unsubscribe).
    ///
    /// # Errors
    ///
    /// As [`unsubscribe`](Self::unsubscribe).
    pub fn punsubscribe<S>(&mut self, patterns: impl ToArgs<S>) -> Result<()> {
        runtime::wait(self.inner.punsubscribe(patterns))
    }

    /// Ends the subscriptions to shard channels (`SUNSUBSCRIBE`); as [`unsubscribe`](Self::unsubscribe).
    ///
    /// # Errors
    ///
    /// As [`unsubscribe`](Self::unsubscribe).
    pub fn sunsubscribe<S>(&mut self, channels: impl ToArgs<S>) -> Result<()> {
        runtime::wait(self.inner.sunsubscribe(channels))
    }

    /// Ends the subscriptions to all patterns. Without any it does nothing.
    ///
    /// # Errors
    ///
    /// The object was closed.
    pub fn punsubscribe_all(&mut self) -> Result<()> {
        runtime::wait(self.inner.punsubscribe_all())
    }

    /// Ends the subscriptions to all shard channels. Without any it does nothing.
    ///
    /// # Errors
    ///
    /// The object was closed.
    pub fn sunsubscribe_all(&mut self) -> Result<()> {
        runtime::wait(self.inner.sunsubscribe_all())
    }

    /// The patterns that are wanted, in the order of subscription.
    pub fn patterns(&self) -> Vec<Bytes> {
        self.inner.patterns()
    }

    /// The shard channels that are wanted, in the order of subscription.
    pub fn shard_channels(&self) -> Vec<Bytes> {
        self.inner.shard_channels()
    }
}

impl<P, K> fmt::Debug for PubSub<P, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}
