//! Many subscribers on one connection of a client.

mod builder;
pub(crate) mod hub;
mod source;
mod target;

use std::collections::HashSet;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;
use tidings_proto::pubsub::SubscriptionKind;
use tidings_proto::{Blob, Charset};
use tokio::time;

pub use builder::SubscriptionBuilder;
pub use source::Source;
pub use target::{Names, SubscribeTo};

use crate::error::{Error, Result};
use crate::pubsub::event::Event;
use crate::pubsub::look::Look;
use crate::pubsub::payload::FromPayload;
use crate::pubsub::queue::Queue;
use crate::pubsub::reader::{Reader, Taken};
use crate::pubsub::stats::Stats;
use hub::Seat;

/// A light subscriber: its own stream and its own queue, over one connection that all of a client's share.
///
/// Made by [`Client::subscribe`](crate::Client::subscribe), [`psubscribe`](crate::Client::psubscribe) and
/// [`ssubscribe`](crate::Client::ssubscribe), and by those of a [`ClusterClient`](crate::ClusterClient), whose shard channels
/// follow their slots. There may be as many as you like in a process, of the same names too:
/// the server sees one subscription for each name, from the first that wants it to the last that is dropped.
/// Payloads are shared, not copied for each.
///
/// ```no_run
/// # async fn example(client: tidings::Client) -> tidings::Result<()> {
/// use tidings::Event;
///
/// let mut news = client.subscribe(["news", "weather"]).await?;
/// while let Some(event) = news.next().await {
///     match event? {
///         Event::Message(message) => println!("{}: {}", message.channel_str(), message.text()),
///         Event::Gap(gap) => println!("messages may be missing: {}", gap.cause()),
///         _ => {}
///     }
/// }
/// # Ok(())
/// # }
/// ```
///
/// It receives what is published after the server has answered its subscription, whether it is the first one of its
/// names or not, and tells of messages and gaps; confirmations are not shown. It ends when it is
/// [drained](Self::drain), when its queue was told to [close](crate::Overflow::Close) and was full, and when no
/// connection can be made in as many attempts as the configuration allows.
///
/// One that does not read holds up nobody else: its queue is bounded, and drops the oldest messages unless told
/// otherwise; a gap says how many. Dropping it ends it at once, and blocks on nothing.
pub struct Subscription<P = Bytes> {
    seat: Seat,
    reader: Reader<P>,
    queue: Arc<Queue>,
}

impl<P> Subscription<P> {
    fn new(seat: Seat, queue: Arc<Queue>, charset: Charset) -> Self {
        Self {
            seat,
            reader: Reader::new(Arc::clone(&queue), charset),
            queue,
        }
    }

    /// Whether these are channels, patterns or shard channels.
    pub fn kind(&self) -> SubscriptionKind {
        self.seat.kind
    }

    /// The names that it was made for, each once.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.seat.names.iter().map(|name| &**name)
    }

    /// Counters: of this subscriber, and of the connection that it shares.
    pub fn stats(&self) -> Stats {
        self.reader.stats(&self.seat.hubbed.shared.stats())
    }

    /// Why there is no connection at the moment, if an attempt to make one has failed.
    pub fn last_connect_error(&self) -> Option<Error> {
        self.seat.hubbed.shared.trouble()
    }

    /// Ends it behind all that the server has sent before: that can still be read, then the stream ends.
    ///
    /// # Errors
    ///
    /// Its runtime has ended.
    ///
    /// # Cancel safety
    ///
    /// It is asked for at the first poll. Dropped after that, it happens all the same.
    pub async fn drain(&mut self) -> Result<()> {
        self.seat.leave_behind(Some(Arc::clone(&self.queue))).await
    }
}

impl<P: FromPayload> Subscription<P> {
    /// The next message or gap, waiting for it; `None` when nothing comes any more.
    ///
    /// An `Err` item does not end it: a payload that could not be decoded, a name that was refused when it was
    /// to be subscribed again.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is resolved, it has taken nothing.
    pub async fn next(&mut self) -> Option<Result<Event<P>>> {
        poll_fn(|cx| self.poll_event(cx)).await
    }

    /// The next message or gap, waiting for it so long at most; `None` if none came. With [`Duration::ZERO`] it gives
    /// what is there now.
    ///
    /// # Errors
    ///
    /// As the items of [`next`](Self::next); and one of kind [`Closed`](crate::ErrorKind::Closed) when nothing comes
    /// any more.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is resolved, it has taken nothing.
    pub async fn get_message(&mut self, timeout: Duration) -> Result<Option<Event<P>>> {
        if timeout.is_zero() {
            return self.event_now().await;
        }
        match time::timeout(timeout, self.next()).await {
            Ok(event) => shown(event),
            Err(_) => Ok(None),
        }
    }

    /// The next message or gap of those that are there now.
    pub(crate) async fn event_now(&mut self) -> Result<Option<Event<P>>> {
        let mut look = Look::new(&self.seat.hubbed.shared);
        let event = poll_fn(|cx| look.poll(cx, |cx| self.poll_event(cx))).await;
        event.map_or(Ok(None), shown)
    }

    /// The next message of those that were taken out of the queue together.
    #[inline]
    pub(crate) fn next_at_hand(&mut self) -> Option<Result<Event<P>>> {
        self.reader.next_at_hand(Event::Message)
    }

    #[inline]
    pub(crate) fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Event<P>>>> {
        if let Some(event) = self.next_at_hand() {
            return Poll::Ready(Some(event));
        }
        self.poll_event_slowly(cx)
    }

    #[inline(never)]
    fn poll_event_slowly(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Event<P>>>> {
        loop {
            return Poll::Ready(Some(match std::task::ready!(self.reader.poll(cx)) {
                Taken::Message(message) => Ok(Event::Message(message)),
                Taken::Gap(gap) => Ok(Event::Gap(gap)),
                Taken::Error(error) => Err(error),
                Taken::Confirmation(_) | Taken::Unseen => continue,
                Taken::Empty => return Poll::Pending,
                Taken::Ended => return Poll::Ready(None),
            }));
        }
    }
}

impl<P: FromPayload> Stream for Subscription<P> {
    type Item = Result<Event<P>>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_event(cx)
    }
}

impl<P> Unpin for Subscription<P> {}

impl<P> Drop for Subscription<P> {
    fn drop(&mut self) {
        self.reader.discard();
    }
}

impl<P> fmt::Debug for Subscription<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("kind", &self.seat.kind)
            .field("names", &self.seat.names)
            .finish_non_exhaustive()
    }
}

/// What the next event is to whoever asked for one.
pub(crate) fn shown<P>(event: Option<Result<Event<P>>>) -> Result<Option<Event<P>>> {
    match event {
        Some(event) => event.map(Some),
        None => Err(Error::closed("the subscription has ended")),
    }
}

/// The names of one call, each once.
fn each_once(mut names: Vec<Blob>) -> Vec<Blob> {
    if names.len() > 1 {
        let mut known = HashSet::with_capacity(names.len());
        names.retain(|name| known.insert(name.clone()));
    }
    names.shrink_to_fit();
    names
}
