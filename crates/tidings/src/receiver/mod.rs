//! Many channels and patterns, of one client or several, into one consumer.

mod builder;
mod sender;

use std::collections::HashMap;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_core::Stream;
use tidings_proto::pubsub::SubscriptionKind;
use tidings_proto::{Blob, Charset, ToArg};

pub use builder::ReceiverBuilder;
pub use sender::{Sender, Senders, SendersOf, Subscribing};
pub(crate) use sender::{of_kind, unsubscribe};

use crate::driver::subscriber::LinkStats;
use crate::error::{Error, Result};
use crate::pubsub::event::{Gap, Message};
use crate::pubsub::one_name;
use crate::pubsub::payload::FromPayload;
use crate::pubsub::queue::{Queue, SHARED_BOUNDS};
use crate::pubsub::reader::{Reader, Taken};
use crate::pubsub::stats::Stats;
use crate::subscription::hub::Seat;

/// Many senders, one receiver: messages of many channels and patterns come together in one place.
///
/// A [`Sender`] stands for one channel or pattern. It is made here, and given to
/// [`Client::subscribe`](crate::Client::subscribe) or [`psubscribe`](crate::Client::psubscribe); what comes for it is
/// read here, in the order in which the connection brought it. Senders come and go while the receiver is read; a
/// [`handle`](Self::handle) makes them elsewhere.
///
/// ```no_run
/// # async fn example(client: tidings::Client) -> tidings::Result<()> {
/// use tidings::{Received, Receiver};
///
/// let mut receiver = Receiver::new();
/// let handle = receiver.handle();
/// let reader = tokio::spawn(async move {
///     while let Some(received) = receiver.next().await {
///         match received {
///             Ok(Received::Message(sender, message)) => println!("{} in {sender}", message.text()),
///             Ok(Received::Gap(gap)) => println!("messages may be missing: {}", gap.cause()),
///             Ok(_) => {}
///             Err(error) => println!("{error:#}"),
///         }
///     }
/// });
///
/// client.subscribe([handle.channel("channel:1"), handle.channel("channel:3")]).await?;
/// client.psubscribe(handle.pattern("hello*")).await?;
/// // … and when all is done:
/// client.unsubscribe([handle.channel("channel:1"), handle.channel("channel:3")]).await?;
/// client.punsubscribe(handle.pattern("hello*")).await?; // the last one: this stops it, too
/// reader.await.expect("it ends");
/// # Ok(())
/// # }
/// ```
///
/// It has the connection of its clients' [`Subscription`](crate::Subscription)s, and what is said there holds here: a
/// lost connection is made again, with a gap in the place of what may be missing; the queue is bounded and drops the
/// oldest messages unless [told otherwise](Self::builder). When a client gives up connecting, or its runtime ends, the
/// receiver ends with the reason.
pub struct Receiver<P = Bytes> {
    inner: Arc<Inner>,
    reader: Reader<P>,
    /// What [`wait_message`](Self::wait_message) has found.
    found: Option<Result<Received<P>>>,
}

/// What a [`Receiver`] gives.
#[non_exhaustive]
#[derive(Debug, Clone)]
pub enum Received<P = Bytes> {
    /// A message, and whose it is. For a pattern the message says its channel too.
    Message(Sender, Message<P>),
    /// Messages may be missing at this place.
    Gap(Gap),
}

impl<P> Received<P> {
    /// The message, if it is one.
    pub fn into_message(self) -> Option<(Sender, Message<P>)> {
        match self {
            Self::Message(sender, message) => Some((sender, message)),
            Self::Gap(_) => None,
        }
    }

    /// The gap, if it is one.
    pub fn gap(&self) -> Option<&Gap> {
        match self {
            Self::Gap(gap) => Some(gap),
            Self::Message(..) => None,
        }
    }
}

/// What a receiver shares with its senders and handles.
#[derive(Debug)]
struct Inner {
    queue: Arc<Queue>,
    charset: Charset,
    state: Mutex<State>,
    /// Held while senders are subscribed, so that none is twice.
    subscribing: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    /// The senders that were made, and where they are subscribed.
    senders: HashMap<(SubscriptionKind, Blob), Vec<Seat>>,
    stopped: bool,
}

impl AsRef<Self> for Inner {
    fn as_ref(&self) -> &Self {
        self
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sender(self: &Arc<Self>, kind: SubscriptionKind, name: &impl ToArg) -> Sender {
        let name = match one_name(name, self.charset) {
            Ok(name) => name,
            Err(misuse) => return Sender::impossible(self, kind, misuse),
        };
        let mut state = self.lock();
        state.senders.entry((kind, name.clone())).or_default();
        drop(state);
        Sender::new(self, kind, name)
    }

    fn senders(self: &Arc<Self>, kind: SubscriptionKind) -> Vec<Sender> {
        let state = self.lock();
        let of_kind = state.senders.keys().filter(|(of, _)| *of == kind);
        let mut names: Vec<Blob> = of_kind.map(|(_, name)| name.clone()).collect();
        drop(state);
        names.sort_unstable();
        let sender = |name| Sender::new(self, kind, name);
        names.into_iter().map(sender).collect()
    }

    fn is_active(&self) -> bool {
        self.lock().senders.values().flatten().any(Seat::is_open)
    }

    fn stop(&self) {
        let mut state = self.lock();
        state.stopped = true;
        let senders = std::mem::take(&mut state.senders);
        drop(state);
        // They leave before the end, which nothing can follow.
        drop(senders);
        if let Some(reader) = self.queue.end(None) {
            reader.wake();
        }
    }
}

impl Receiver {
    /// A receiver with the usual queue. It needs no client and no runtime.
    pub fn new() -> Self {
        Self::with_queue(Queue::new(SHARED_BOUNDS), Charset::default())
    }

    /// Makes a receiver with other bounds, or with decoded payloads.
    pub fn builder() -> ReceiverBuilder {
        ReceiverBuilder::new()
    }
}

impl Default for Receiver {
    fn default() -> Self {
        Self::new()
    }
}

impl<P> Receiver<P> {
    fn with_queue(queue: Queue, charset: Charset) -> Self {
        let queue = Arc::new(queue);
        Self {
            inner: Arc::new(Inner {
                queue: Arc::clone(&queue),
                charset,
                state: Mutex::default(),
                subscribing: tokio::sync::Mutex::new(()),
            }),
            reader: Reader::new(queue, charset),
            found: None,
        }
    }

    /// The sender for a channel: the same one for the same name, as long as it is not unsubscribed.
    pub fn channel(&self, name: impl ToArg) -> Sender {
        self.inner.sender(SubscriptionKind::Channel, &name)
    }

    /// The sender for a pattern. A channel of the same name has another one.
    pub fn pattern(&self, name: impl ToArg) -> Sender {
        self.inner.sender(SubscriptionKind::Pattern, &name)
    }

    /// The sender for a shard channel, for [`Client::ssubscribe`](crate::Client::ssubscribe).
    pub fn shard_channel(&self, name: impl ToArg) -> Sender {
        self.inner.sender(SubscriptionKind::Shard, &name)
    }

    /// The senders for channels, by name.
    pub fn channels(&self) -> Vec<Sender> {
        self.inner.senders(SubscriptionKind::Channel)
    }

    /// The senders for patterns, by name.
    pub fn patterns(&self) -> Vec<Sender> {
        self.inner.senders(SubscriptionKind::Pattern)
    }

    /// The senders for shard channels, by name.
    pub fn shard_channels(&self) -> Vec<Sender> {
        self.inner.senders(SubscriptionKind::Shard)
    }

    /// Whether some sender is subscribed.
    pub fn is_active(&self) -> bool {
        self.inner.is_active()
    }

    /// Ends all subscriptions. What has come is still read, and nothing after that.
    pub fn stop(&self) {
        self.inner.stop();
    }

    /// A part that can be cloned, which makes senders and stops from elsewhere.
    pub fn handle(&self) -> ReceiverHandle {
        ReceiverHandle {
            inner: Arc::clone(&self.inner),
        }
    }

    /// Counters of what is read here. Those of connections, which may be many, are 0.
    pub fn stats(&self) -> Stats {
        self.reader.stats(&LinkStats::default())
    }
}

impl<P: FromPayload> Receiver<P> {
    /// The next message or gap, waiting for it; `None` if it is stopped while this waits.
    ///
    /// # Errors
    ///
    /// One of kind [`Closed`](crate::ErrorKind::Closed) if it had been stopped and everything was received; otherwise what
    /// [`next`](Self::next) gives as an `Err` item, and the next call goes on.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is resolved, it has taken nothing.
    pub async fn get(&mut self) -> Result<Option<Received<P>>> {
        let mut waited = false;
        let received = poll_fn(|cx| {
            let received = self.poll_received(cx);
            waited |= received.is_pending();
            received
        });
        match received.await {
            Some(received) => received.map(Some),
            None if waited => Ok(None),
            None => Err(Error::closed(
                "the receiver was stopped, and all was received",
            )),
        }
    }

    /// The next message or gap, waiting for it; `None` when it is stopped and everything was received.
    ///
    /// An `Err` item does not end it: a payload that could not be decoded, a name that was refused when it was to be
    /// subscribed again.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is resolved, it has taken nothing.
    pub async fn next(&mut self) -> Option<Result<Received<P>>> {
        poll_fn(|cx| self.poll_received(cx)).await
    }

    /// Waits until there is something to read, which is `true`; `false` if nothing can come any more.
    ///
    /// # Cancel safety
    ///
    /// Nothing is taken.
    pub async fn wait_message(&mut self) -> bool {
        if self.found.is_none() {
            self.found = poll_fn(|cx| self.poll_received(cx)).await;
        }
        self.found.is_some()
    }

    /// The next message of those that were taken out of the queue together.
    #[inline]
    pub(crate) fn next_at_hand(&mut self) -> Option<Result<Received<P>>> {
        if let Some(found) = self.found.take() {
            return Some(found);
        }
        let Self { reader, inner, .. } = self;
        reader.next_at_hand(|message| received(inner, message))
    }

    pub(crate) fn poll_received(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Received<P>>>> {
        if let Some(received) = self.next_at_hand() {
            return Poll::Ready(Some(received));
        }
        loop {
            return Poll::Ready(Some(match ready!(self.reader.poll(cx)) {
                Taken::Message(message) => Ok(received(&self.inner, message)),
                Taken::Gap(gap) => Ok(Received::Gap(gap)),
                Taken::Error(error) => Err(error),
                Taken::Confirmation(_) | Taken::Unseen => continue,
                Taken::Empty => return Poll::Pending,
                Taken::Ended => return Poll::Ready(None),
            }));
        }
    }
}

fn received<P>(inner: &Arc<Inner>, message: Message<P>) -> Received<P> {
    let (kind, name) = message.subscription();
    let sender = Sender::new(inner, kind, Blob::copy_from(name));
    Received::Message(sender, message)
}

impl<P: FromPayload> Stream for Receiver<P> {
    type Item = Result<Received<P>>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_received(cx)
    }
}

impl<P> Unpin for Receiver<P> {}

impl<P> Drop for Receiver<P> {
    fn drop(&mut self) {
        self.inner.stop();
        self.reader.discard();
    }
}

impl<P> fmt::Debug for Receiver<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show(f, "Receiver", &self.inner)
    }
}

/// Makes senders of a [`Receiver`] and stops it from elsewhere: another task than the one that reads.
#[derive(Clone)]
pub struct ReceiverHandle {
    inner: Arc<Inner>,
}

impl ReceiverHandle {
    /// As [`Receiver::channel`].
    pub fn channel(&self, name: impl ToArg) -> Sender {
        self.inner.sender(SubscriptionKind::Channel, &name)
    }

    /// As [`Receiver::pattern`].
    pub fn pattern(&self, name: impl ToArg) -> Sender {
        self.inner.sender(SubscriptionKind::Pattern, &name)
    }

    /// As [`Receiver::shard_channel`].
    pub fn shard_channel(&self, name: impl ToArg) -> Sender {
        self.inner.sender(SubscriptionKind::Shard, &name)
    }

    /// As [`Receiver::channels`].
    pub fn channels(&self) -> Vec<Sender> {
        self.inner.senders(SubscriptionKind::Channel)
    }

    /// As [`Receiver::patterns`].
    pub fn patterns(&self) -> Vec<Sender> {
        self.inner.senders(SubscriptionKind::Pattern)
    }

    /// As [`Receiver::shard_channels`].
    pub fn shard_channels(&self) -> Vec<Sender> {
        self.inner.senders(SubscriptionKind::Shard)
    }

    /// As [`Receiver::is_active`].
    pub fn is_active(&self) -> bool {
        self.inner.is_active()
    }

    /// As [`Receiver::stop`].
    pub fn stop(&self) {
        self.inner.stop();
    }
}

impl fmt::Debug for ReceiverHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show(f, "ReceiverHandle", &self.inner)
    }
}

fn show(f: &mut fmt::Formatter<'_>, name: &str, inner: &Inner) -> fmt::Result {
    let state = inner.lock();
    f.debug_struct(name)
        .field("senders", &state.senders.len())
        .field("stopped", &state.stopped)
        .finish_non_exhaustive()
}
