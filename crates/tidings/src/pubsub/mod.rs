//! The Pub/Sub object: a connection of its own, and all ways of reading from it.

mod builder;
pub(crate) mod event;
mod handle;
pub(crate) mod handler;
pub(crate) mod home;
#[cfg(feature = "json")]
mod json;
mod kinds;
pub(crate) mod look;
pub(crate) mod payload;
pub(crate) mod queue;
pub(crate) mod reader;
pub(crate) mod running;
pub(crate) mod stats;
pub(crate) mod step;
mod subscribing;

use std::fmt;
use std::future::poll_fn;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;
use tidings_proto::Blob;
use tidings_proto::pubsub::{SubscriptionKind, SubscriptionStatus, Verb};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time;

pub use builder::PubSubBuilder;
pub use event::{Confirmation, Event, Gap, GapCause, Message};
pub use handle::{Confirming, PubSubHandle};
pub use handler::HandlerOutcome;
#[cfg(feature = "json")]
pub use json::Json;
pub use kinds::{Kinds, OneNode, Origin, Plain, Sharded};
pub use payload::{FromPayload, PayloadError};
pub use queue::Overflow;
pub use running::{PubSubTask, RunOptions, SpawnError, Stopper};
pub use stats::Stats;
use subscribing::request;
pub(crate) use subscribing::{encoded, names, one_name};

use crate::driver::subscriber::Shared;
use crate::driver::subscriber::single::{Asker, Single};
use crate::error::{Error, Result};
use handler::Handlers;
use queue::{Bounds, Queue};
use reader::{Reader, Taken};
use step::Step;

/// Handled and ignored messages in one poll before other tasks get their turn.
const TURN: usize = 4096;

/// A subscriber with a connection of its own.
///
/// Made by [`Client::pubsub`](crate::Client::pubsub), and on one node of a cluster by
/// [`ClusterClient::pubsub`](crate::ClusterClient::pubsub). (For a cluster's shard channels it is a [`ShardedPubSub`].) It moves between tasks and threads freely;
/// [`handle`](Self::handle) gives a clone-able part that subscribes and unsubscribes from elsewhere. Dropping it
/// closes its connection and blocks on nothing.
///
/// It is never silently deaf: a connection that was lost, or whose peer fell silent, is made again and everything
/// is subscribed again, for ever unless told otherwise. And nothing is lost silently: where messages may be
/// missing stands an [`Event::Gap`].
///
/// # Reading
///
/// - [`next`](Self::next), or the [`Stream`] that it is: the next event; ends when no subscription is left.
/// - [`get_message`](Self::get_message): the next event within a time, or `None`.
/// - [`next_message`](Self::next_message): the same, passing over confirmations and handled messages.
///
/// Handlers run within these calls, in order, and never elsewhere.
///
/// ```no_run
/// # async fn example(client: tidings::Client) -> tidings::Result<()> {
/// use std::time::Duration;
/// use tidings::Event;
///
/// let mut pubsub = client.pubsub().await?;
/// pubsub.subscribe(["my-first-channel", "my-second-channel"]).await?;
/// pubsub.psubscribe("my-*").await?;
/// while let Some(event) = pubsub.next().await {
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
/// One reader reads, so there is no copy of it; [`handle`](Self::handle) is what to share:
///
/// ```compile_fail
/// fn twice(pubsub: tidings::PubSub) -> (tidings::PubSub, tidings::PubSub) {
///     (pubsub.clone(), pubsub)
/// }
/// ```
pub struct PubSub<P = Bytes, K = Plain> {
    shared: Arc<Shared<Single>>,
    reader: Reader<P>,
    handlers: Handlers<P>,
    on_gap: Option<OnGap>,
    ignore_confirmations: bool,
    /// An asynchronous handler is at work, and the task of the connection knows.
    handling: bool,
    closed: bool,
    kinds: PhantomData<fn() -> K>,
    _permit: OwnedSemaphorePermit,
}

/// A subscriber of the shard channels of a cluster, with connections of its own to the nodes that have their slots.
///
/// Made by [`ClusterClient::sharded_pubsub`](crate::ClusterClient::sharded_pubsub). It is a [`PubSub`], with all that this
/// can do but patterns, which the servers do not have for shard channels. Its `subscribe` is `SSUBSCRIBE`, its
/// `unsubscribe` `SUNSUBSCRIBE`.
///
/// Wherever the slots go, the subscriptions go with them: when a slot is moved, a primary fails over, a replica that is
/// read becomes a primary, or a node leaves. A server tells its subscribers that they lost a slot, if it can; otherwise
/// they find out by the map of the slots, which is read again every [few seconds](crate::Config::topology_interval) and
/// whenever something was lost. Where messages may be missing stands an [`Event::Gap`] that says why:
/// [`SlotMoved`](GapCause::SlotMoved), [`Failover`](GapCause::Failover), [`NodeLeft`](GapCause::NodeLeft),
/// [`Relocated`](GapCause::Relocated), [`Partitioned`](GapCause::Partitioned) where replicas are read, or
/// [`Disconnected`](GapCause::Disconnected). The server does not keep what is
/// published while nobody is subscribed, and it takes some time to subscribe elsewhere, so that each move costs a gap.
/// What can be seen, how soon, and what cannot, is told [with the cluster](crate::cluster#the-promises-in-a-cluster).
///
/// Each channel is on one connection at a time, and all of a slot are on the same one, so that the messages of a slot stay in
/// order. Between slots there is no order. A timeout is for the whole read, whatever number of nodes it is
/// read from, and a node that is slow or gone holds up none of the others.
///
/// A channel that is not subscribed anywhere at the moment stays wanted, and its handler with it.
/// [`subscriptions`](Self::subscriptions) says so. [`subscribe`](Self::subscribe) waits until a node has confirmed; if
/// those that are asked refuse for 10 s, as its slot is nobody's, say, it fails with what the last one said.
///
/// ```no_run
/// # async fn example(cluster: tidings::ClusterClient) -> tidings::Result<()> {
/// use tidings::Event;
///
/// let mut rooms = cluster.sharded_pubsub().await?;
/// rooms.subscribe((1..=100).map(|room| format!("room:{room}"))).await?;
/// while let Some(event) = rooms.next().await {
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
/// There are no patterns:
///
/// ```compile_fail,E0599
/// async fn patterns(mut rooms: tidings::ShardedPubSub) {
///     rooms.psubscribe("room:*").await;
/// }
/// ```
pub type ShardedPubSub<P = Bytes> = PubSub<P, Sharded>;

/// Runs for each gap that is read.
type OnGap = Box<dyn FnMut(&Gap) + Send>;

impl<P: FromPayload, K: Kinds> PubSub<P, K> {
    async fn open<O: Origin<Kinds = K>>(builder: PubSubBuilder<P, O>) -> Result<Self> {
        let charset = builder.home.charset();
        let wanted = [
            (K::CHANNEL, encoded(&builder.channels, charset)?),
            (
                SubscriptionKind::Pattern,
                encoded(&builder.patterns, charset)?,
            ),
        ];
        let home = builder.home.ready().await?;
        let queue = Arc::new(Queue::new(Bounds {
            unseen: builder.ignore_confirmations,
            ..builder.bounds
        }));
        let shared = home.share(Single::new(Arc::clone(&queue), charset));
        let mut answers = Vec::new();
        for (kind, names) in wanted {
            if !names.is_empty() {
                answers.push(shared.request(Verb::Subscribe, kind, names, Asker::Reader)?);
            }
        }
        let permit = home.serve(&shared);
        let pubsub = Self {
            shared,
            reader: Reader::new(queue, charset),
            handlers: Handlers::default(),
            on_gap: None,
            ignore_confirmations: builder.ignore_confirmations,
            handling: false,
            closed: false,
            kinds: PhantomData,
            _permit: permit,
        };
        for answer in answers {
            Confirming::new(Ok(answer)).await?;
        }
        Ok(pubsub)
    }

    /// Runs `handler` for each gap that is read. The gap is an event as well.
    pub fn on_gap(&mut self, handler: impl FnMut(&Gap) + Send + 'static) {
        self.on_gap = Some(Box::new(handler));
    }

    // ---- reading ----

    /// The next event, waiting for it. `None` when no subscription is left and everything before was read, or
    /// after [`drain`](Self::drain).
    ///
    /// After a new subscription it can be read again. An `Err` item does not end it.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is resolved, it has taken nothing.
    pub async fn next(&mut self) -> Option<Result<Event<P>>> {
        poll_fn(|cx| self.poll_event(cx)).await
    }

    /// The next event, waiting for it so long at most; `None` if none came.
    ///
    /// `None` also if what came was a handled message or an ignored confirmation, at once. With
    /// [`Duration::ZERO`] it gives what is there now: what was read before, or has arrived at the socket. Without a
    /// subscription it waits and gives `None`.
    ///
    /// # Errors
    ///
    /// What a handler returned, what could not be decoded, what was refused when subscribed again: the next call
    /// goes on. After [`close`](Self::close) it is a [misuse](crate::ErrorKind::Misuse).
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is resolved, it has taken nothing.
    pub async fn get_message(&mut self, timeout: Duration) -> Result<Option<Event<P>>> {
        self.check_open()?;
        match self.step_within(Some(timeout)).await {
            Some(step) => step.shown(),
            None => Ok(None),
        }
    }

    /// The next message that no handler takes, or gap, waiting for it so long at most and passing over
    /// confirmations and handled messages.
    ///
    /// # Errors
    ///
    /// As [`get_message`](Self::get_message).
    ///
    /// # Cancel safety
    ///
    /// As [`get_message`](Self::get_message).
    pub async fn next_message(&mut self, timeout: Duration) -> Result<Option<Event<P>>> {
        self.check_open()?;
        let deadline = time::Instant::now().checked_add(timeout);
        loop {
            let left = deadline.map(|at| at.saturating_duration_since(time::Instant::now()));
            match self.step_within(left).await {
                Some(step) if step.is_passed_over() => {}
                Some(step) => return step.shown(),
                None => return Ok(None),
            }
        }
    }

    /// Waits until the server has answered a PING that is sent now; while a connection is being made, on that one.
    /// It never shows up as an event. A [`ShardedPubSub`] asks all nodes that it reads from, and waits for all of them.
    ///
    /// # Errors
    ///
    /// The connection was lost before the answer came, or an attempt to make one failed.
    pub async fn ping(&mut self) -> Result<()> {
        self.check_open()?;
        Confirming::new(self.shared.ping()).await
    }

    // ---- looking ----

    /// The channels that are wanted, in the order of subscription.
    pub fn channels(&self) -> Vec<Bytes> {
        self.wanted(K::CHANNEL)
    }

    /// Whether anything is wanted; `false` once it was closed or has ended.
    pub fn is_subscribed(&self) -> bool {
        self.shared.is_subscribed()
    }

    /// Each name as it is wanted and as the server has confirmed it, and why the two differ if they do.
    pub fn subscriptions(&self) -> Vec<SubscriptionStatus> {
        self.shared.with_names(|subscriptions| subscriptions.list())
    }

    /// Why there is no connection at the moment, if an attempt to make one has failed; of a [`ShardedPubSub`], to any of its
    /// nodes.
    pub fn last_connect_error(&self) -> Option<Error> {
        self.shared.trouble()
    }

    /// Counters.
    pub fn stats(&self) -> Stats {
        self.reader.stats(&self.shared.stats())
    }

    /// A part that can be cloned, and that subscribes and unsubscribes from elsewhere, also within a handler.
    pub fn handle(&self) -> PubSubHandle<K> {
        PubSubHandle::new(Arc::clone(&self.shared))
    }

    // ---- ending ----

    /// Unsubscribes from everything and closes the connection; what the server sent before can still be read, then
    /// the stream ends.
    ///
    /// # Errors
    ///
    /// The object was closed.
    pub async fn drain(&mut self) -> Result<()> {
        self.check_open()?;
        let mut answers = Vec::new();
        for kind in [
            SubscriptionKind::Channel,
            SubscriptionKind::Pattern,
            SubscriptionKind::Shard,
        ] {
            answers.extend(self.shared.request_end(kind)?);
        }
        for answer in answers {
            Confirming::new(Ok(answer)).await?;
        }
        if let Some(closed) = self.shared.close_and_wait() {
            let _ = closed.await;
        }
        Ok(())
    }

    /// Closes the connection. What was not read is dropped; any further use is a
    /// [misuse](crate::ErrorKind::Misuse), but closing again does nothing.
    ///
    /// # Errors
    ///
    /// None at present.
    pub async fn close(&mut self) -> Result<()> {
        self.closed = true;
        self.discard();
        if let Some(closed) = self.shared.close_and_wait() {
            let _ = closed.await;
        }
        Ok(())
    }

    // ---- inside ----

    pub(crate) fn check_open(&self) -> Result<()> {
        if self.closed {
            Err(Error::misuse("the PubSub was closed"))
        } else {
            Ok(())
        }
    }

    /// All names that are wanted: channels, then patterns, then shard channels.
    #[cfg(feature = "blocking")]
    pub(crate) fn wanted_names(&self) -> Vec<Bytes> {
        let list = self.subscriptions();
        list.iter().map(|status| status.name.to_bytes()).collect()
    }

    fn wanted(&self, kind: SubscriptionKind) -> Vec<Bytes> {
        let names = self
            .shared
            .with_names(|subscriptions| subscriptions.wanted(kind));
        names.iter().map(Blob::to_bytes).collect()
    }

    #[inline]
    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Event<P>>>> {
        match self.next_at_hand() {
            Some(event) => Poll::Ready(Some(event)),
            None => self.poll_event_slowly(cx),
        }
    }

    /// The next event, if it takes no more than to make it.
    #[allow(
        clippy::inline_always,
        reason = "the loop of each reader is around it: a tenth of the time that a small message takes"
    )]
    #[inline(always)]
    pub(crate) fn next_at_hand(&mut self) -> Option<Result<Event<P>>> {
        if !self.handlers.is_empty() {
            return None;
        }
        self.reader.next_at_hand(Event::Message)
    }

    #[inline(never)]
    pub(crate) fn poll_event_slowly(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Event<P>>>> {
        if self.closed {
            return Poll::Ready(None);
        }
        for _ in 0..TURN {
            match std::task::ready!(self.poll_step_or_end(cx)) {
                Step::Event(event) => return Poll::Ready(Some(Ok(event))),
                Step::Error(error) => return Poll::Ready(Some(Err(error))),
                Step::Taken => {}
                Step::Ended | Step::Empty => return Poll::Ready(None),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// The outcome of the asynchronous handler at work; ready at once if there is none.
    fn poll_handler(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<()>>> {
        let outcome = self.handlers.poll_running(cx);
        if outcome.is_pending() != self.handling {
            self.handling = outcome.is_pending();
            self.shared.set_handling(self.handling);
        }
        outcome
    }

    /// Takes one thing out of the queue. [`Step::Empty`] leaves the waker behind; pending is an asynchronous
    /// handler at work, or that other tasks are to have their turn.
    fn poll_step(&mut self, cx: &mut Context<'_>) -> Poll<Step<P>> {
        match std::task::ready!(self.poll_handler(cx)) {
            None => {}
            Some(Ok(())) => return Poll::Ready(Step::Taken),
            Some(Err(error)) => return Poll::Ready(Step::Error(error)),
        }
        Poll::Ready(match std::task::ready!(self.reader.poll(cx)) {
            Taken::Message(message) if self.handlers.is_empty() => {
                Step::Event(Event::Message(message))
            }
            Taken::Message(message) => match self.handlers.offer(message) {
                Err(message) => Step::Event(Event::Message(message)),
                Ok(Err(error)) => Step::Error(error),
                Ok(Ok(())) => match std::task::ready!(self.poll_handler(cx)) {
                    None | Some(Ok(())) => Step::Taken,
                    Some(Err(error)) => Step::Error(error),
                },
            },
            Taken::Confirmation(confirmation) => {
                if let Some((kind, name)) = confirmation.ended()
                    && !self.handlers.ignore_ends()
                {
                    let wanted = self
                        .shared
                        .with_names(|wanted| wanted.is_wanted(kind, name));
                    self.handlers.ended(kind, name, wanted);
                }
                if self.ignore_confirmations {
                    Step::Taken
                } else {
                    Step::Event(Event::Confirmation(confirmation))
                }
            }
            Taken::Unseen => Step::Taken,
            Taken::Gap(gap) => {
                if let Some(on_gap) = &mut self.on_gap {
                    on_gap(&gap);
                }
                Step::Event(Event::Gap(gap))
            }
            Taken::Error(error) => Step::Error(error),
            Taken::Empty => Step::Empty,
            Taken::Ended => Step::Ended,
        })
    }
}

impl<P: FromPayload> PubSub<P> {
    /// The patterns that are wanted, in the order of subscription.
    pub fn patterns(&self) -> Vec<Bytes> {
        self.wanted(SubscriptionKind::Pattern)
    }

    /// The shard channels that are wanted, in the order of subscription.
    pub fn shard_channels(&self) -> Vec<Bytes> {
        self.wanted(SubscriptionKind::Shard)
    }
}

impl<P: FromPayload, K: Kinds> Stream for PubSub<P, K> {
    type Item = Result<Event<P>>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_event(cx)
    }
}

// Nothing in it is pinned: a running handler is in a box of its own.
impl<P, K> Unpin for PubSub<P, K> {}

impl<P, K> PubSub<P, K> {
    /// Gives up what was not read.
    fn discard(&mut self) {
        self.reader.discard();
    }
}

impl<P, K> fmt::Debug for PubSub<P, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PubSub")
            .field(
                "wanted",
                &self
                    .shared
                    .with_names(|subscriptions| subscriptions.wanted_len()),
            )
            .field("handlers", &self.handlers)
            .field("closed", &self.closed)
            .finish_non_exhaustive()
    }
}

impl<P, K> Drop for PubSub<P, K> {
    fn drop(&mut self) {
        self.shared.close();
        // A handle may live on.
        self.discard();
    }
}
