//! A light subscriber that a thread reads.

use std::fmt;
use std::future::{IntoFuture, poll_fn};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tidings_proto::pubsub::SubscriptionKind;

use super::runtime::{self, LOOK, deadline};
use super::timeout_iter::{ReadWithin, TimeoutIter};
use crate::error::{Error, Result};
use crate::pubsub::{Event, FromPayload, Overflow, Stats};

/// A light subscriber: its own events and its own queue, over one connection that all of a client's share.
///
/// Made by [`Client::subscribe`](super::Client::subscribe) and its like. It is the asynchronous
/// [`Subscription`](crate::Subscription) with calls that wait. Each can be read by a thread of its own.
///
/// ```no_run
/// # fn example(client: tidings::blocking::Client) -> tidings::Result<()> {
/// use tidings::Event;
///
/// for event in client.subscribe(["news", "weather"]).open()? {
///     match event? {
///         Event::Message(message) => println!("{}: {}", message.channel_str(), message.text()),
///         Event::Gap(gap) => println!("messages may be missing: {}", gap.cause()),
///         _ => {}
///     }
/// }
/// # Ok(())
/// # }
/// ```
pub struct Subscription<P = Bytes> {
    inner: crate::Subscription<P>,
}

impl<P> Subscription<P> {
    /// Whether these are channels, patterns or shard channels.
    pub fn kind(&self) -> SubscriptionKind {
        self.inner.kind()
    }

    /// The names that it was made for, each once.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.inner.names()
    }

    /// Counters: of this subscriber, and of the connection that it shares.
    pub fn stats(&self) -> Stats {
        self.inner.stats()
    }

    /// Why there is no connection at the moment, if an attempt to make one has failed.
    pub fn last_connect_error(&self) -> Option<Error> {
        self.inner.last_connect_error()
    }

    /// Ends it behind all that the server has sent before: that can still be read, then it ends.
    ///
    /// # Errors
    ///
    /// Called in [asynchronous code](super#asynchronous-code).
    pub fn drain(&mut self) -> Result<()> {
        runtime::wait(self.inner.drain())
    }
}

impl<P: FromPayload> Subscription<P> {
    /// The next message or gap, waiting for it so long at most; `None` if none came. With [`Duration::ZERO`] it gives
    /// what is there now, as [there](super::PubSub::get_message).
    ///
    /// # Errors
    ///
    /// A payload that could not be decoded, a name that was refused when it was to be subscribed again: the next call
    /// goes on. One of kind [`Closed`](crate::ErrorKind::Closed) when nothing comes any more.
    pub fn get_message(&mut self, timeout: Duration) -> Result<Option<Event<P>>> {
        if let Some(event) = self.inner.next_at_hand() {
            return event.map(Some);
        }
        if timeout.is_zero() {
            let now = self.inner.event_now();
            return runtime::wait_until(now, deadline(LOOK))?.unwrap_or(Ok(None));
        }
        let event = poll_fn(|cx| self.inner.poll_event(cx));
        match runtime::wait_until(event, deadline(timeout))? {
            Some(event) => crate::subscription::shown(event),
            None => Ok(None),
        }
    }

    /// An iterator that ends as well when nothing came for so long. It can be made again and goes on then.
    pub fn timeout_iter(&mut self, timeout: Duration) -> TimeoutIter<'_, Self> {
        TimeoutIter::new(self, timeout)
    }

    #[inline(never)]
    fn wait(&mut self, deadline: Option<Instant>) -> Option<Result<Event<P>>> {
        runtime::next_item(|cx| self.inner.poll_event(cx), deadline)
    }
}

/// Waits for the next message or gap; ends when nothing comes any more. An `Err` item does not end it.
impl<P: FromPayload> Iterator for Subscription<P> {
    type Item = Result<Event<P>>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        match self.inner.next_at_hand() {
            Some(event) => Some(event),
            None => self.wait(None),
        }
    }
}

impl<P: FromPayload> ReadWithin for Subscription<P> {
    type Item = Result<Event<P>>;

    #[inline]
    fn next_within(&mut self, timeout: Duration) -> Option<Self::Item> {
        match self.inner.next_at_hand() {
            Some(event) => Some(event),
            None => self.wait(deadline(timeout)),
        }
    }
}

impl<P> fmt::Debug for Subscription<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

/// Makes a [`Subscription`]; nothing is sent before it is [opened](Self::open).
#[must_use = "nothing happens before it is opened"]
#[derive(Debug)]
pub struct SubscriptionBuilder<P = Bytes> {
    inner: crate::SubscriptionBuilder<P>,
}

impl SubscriptionBuilder {
    pub(crate) fn new(inner: crate::SubscriptionBuilder) -> Self {
        Self { inner }
    }
}

impl<P> SubscriptionBuilder<P> {
    /// The bounds of the queue; as [there](crate::SubscriptionBuilder::queue).
    pub fn queue(mut self, messages: usize, bytes: usize) -> Self {
        self.inner = self.inner.queue(messages, bytes);
        self
    }

    /// What a full queue does; as [there](crate::SubscriptionBuilder::overflow).
    pub fn overflow(mut self, overflow: Overflow) -> Self {
        self.inner = self.inner.overflow(overflow);
        self
    }

    /// Decodes each payload into a `T`; as [there](crate::SubscriptionBuilder::payload).
    pub fn payload<T: FromPayload>(self) -> SubscriptionBuilder<T> {
        SubscriptionBuilder {
            inner: self.inner.payload(),
        }
    }
}

impl<P: FromPayload> SubscriptionBuilder<P> {
    /// Subscribes, and waits until the server has confirmed it.
    ///
    /// # Errors
    ///
    /// As those of the [asynchronous one](crate::SubscriptionBuilder#errors); and in [asynchronous
    /// code](super#asynchronous-code).
    pub fn open(self) -> Result<Subscription<P>> {
        let inner = runtime::wait(self.inner.into_future())?;
        Ok(Subscription { inner })
    }
}
