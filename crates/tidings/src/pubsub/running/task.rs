//! A subscriber as a task of its own.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tidings_proto::ToArg;
use tidings_proto::pubsub::SubscriptionKind;
use tokio::runtime;
use tokio::task;
use tokio::time;

use super::super::handler::Handler;
use super::super::{
    Confirming, FromPayload, HandlerOutcome, Kinds, Message, Plain, PubSub, PubSubHandle,
};
use super::control::Control;
use super::{RunOptions, Runner, SpawnError, Stopper};
use crate::error::{Error, Result};

/// A subscriber that runs in the background: a task that reads it and runs its handlers.
///
/// Made by [`PubSub::spawn`]. It ends, and [`join`](Self::join) says with what,
///
/// - when it is told to [`stop`](Self::stop);
/// - when no subscription is left;
/// - at the first error, unless there is an [error handler](RunOptions::on_error). The subscriber is closed then.
///
/// While it runs, its [handle](Self::handle) unsubscribes, and subscribes to names that are subscribed only: others need a
/// handler, and get it by [`subscribe_with`](Self::subscribe_with). Gaps go to what [`PubSub::on_gap`] was given;
/// confirmations to nobody.
///
/// Dropping it tells it to stop: behind the handler at work the subscriber is closed. [`detach`](Self::detach) lets it run
/// on.
///
/// ```no_run
/// # async fn example(client: tidings::Client) -> tidings::Result<()> {
/// let mut pubsub = client.pubsub().await?;
/// pubsub.subscribe_with("my-channel", |message| println!("{}", message.text())).await?;
/// let task = pubsub.spawn()?;
/// // … when it is time to shut it down
/// let mut pubsub = task.stop().await?;
/// pubsub.close().await?;
/// # Ok(())
/// # }
/// ```
#[must_use = "dropping it stops it: keep it, or detach it"]
pub struct PubSubTask<P = Bytes, K = Plain> {
    control: Arc<Control<P, K>>,
    id: task::Id,
    detached: bool,
}

impl<P: FromPayload, K: Kinds> PubSub<P, K> {
    /// Runs it in the background: a task of this runtime reads it, and its handlers take the messages.
    ///
    /// Nothing is polled for and nothing is late: the task waits for the socket.
    ///
    /// # Errors
    ///
    /// A subscription without a handler, of which it names the first channel, or pattern, or shard channel; a subscriber
    /// that was closed; a call outside of a tokio runtime. The error has the subscriber, and `?` drops it.
    pub fn spawn(self) -> Result<PubSubTask<P, K>, SpawnError<Self>> {
        self.spawn_with(RunOptions::new())
    }

    /// Runs it in the background, as these options say; as [`spawn`](Self::spawn).
    ///
    /// # Errors
    ///
    /// As [`spawn`](Self::spawn).
    pub fn spawn_with(self, options: RunOptions) -> Result<PubSubTask<P, K>, SpawnError<Self>> {
        let Ok(runtime) = runtime::Handle::try_current() else {
            let text = "there is no tokio runtime here to run a subscriber in the background of";
            return Err(SpawnError::new(Error::misuse(text), self));
        };
        let runner = Runner::new(self, options, false)?;
        let control = runner.control();
        let id = runtime.spawn(runner).id();
        Ok(PubSubTask {
            control,
            id,
            detached: false,
        })
    }
}

/// Methods that subscribe with a handler.
macro_rules! subscribing {
    ($($(#[$meta:meta])* $plain:ident $asynchronous:ident $kind:expr;)+) => {$(
        $(#[$meta])*
        pub fn $plain<R: HandlerOutcome>(
            &self,
            name: impl ToArg,
            handler: impl FnMut(Message<P>) -> R + Send + 'static,
        ) -> Confirming {
            self.control.ask($kind, &name, Handler::new(handler))
        }

        #[doc = concat!("As [`", stringify!($plain), "`](Self::", stringify!($plain), "), with an asynchronous handler.")]
        pub fn $asynchronous<F>(
            &self,
            name: impl ToArg,
            handler: impl FnMut(Message<P>) -> F + Send + 'static,
        ) -> Confirming
        where
            F: Future<Output: HandlerOutcome> + Send + 'static,
        {
            self.control.ask($kind, &name, Handler::new_async(handler))
        }
    )+};
}

impl<P: FromPayload, K: Kinds> PubSubTask<P, K> {
    /// Tells it to stop, waits for its end, and gives the subscriber back: with its subscriptions and its handlers, and
    /// behind the last message that was handled.
    ///
    /// A handler at work comes to its end before.
    ///
    /// # Errors
    ///
    /// The error that has ended it: then the subscriber is closed. A [misuse](crate::ErrorKind::Misuse) if the subscriber
    /// was given back before, or if a handler of it waits here for itself.
    ///
    /// # Cancel safety
    ///
    /// Told at the first poll. Dropped after that, nothing is lost: it stops, and the next call gives the subscriber.
    pub async fn stop(&self) -> Result<PubSub<P, K>> {
        self.control.stopper().stop();
        self.check_outside()?;
        self.control.wait().await;
        self.control.take()
    }

    /// Waits for its end, so long at most, or as long as it takes with `None`; gives the subscriber as
    /// [`stop`](Self::stop) does, or `None` if it still runs.
    ///
    /// # Errors
    ///
    /// As [`stop`](Self::stop).
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is resolved, it has changed nothing.
    pub async fn join(&self, timeout: impl Into<Option<Duration>>) -> Result<Option<PubSub<P, K>>> {
        self.check_outside()?;
        match timeout.into() {
            None => self.control.wait().await,
            Some(timeout) => {
                if time::timeout(timeout, self.control.wait()).await.is_err() {
                    return Ok(None);
                }
            }
        }
        self.control.take().map(Some)
    }

    subscribing! {
        /// Subscribes to a channel with a handler; as [`PubSub::subscribe_with`].
        ///
        /// The request is made when this returns, and awaiting it waits for the server's answer, so that handlers can
        /// use it too. With [`Overflow::Backpressure`](crate::Overflow::Backpressure) and a full queue the answer comes when
        /// the handlers have made room.
        subscribe_with subscribe_with_async K::CHANNEL;
    }

    /// Who waits within a handler waits for the end of that handler.
    fn check_outside(&self) -> Result<()> {
        if self.control.is_running() && task::try_id() == Some(self.id) {
            return Err(Error::misuse(
                "a handler cannot wait for the end of the task that runs it: tell it to stop by its Stopper",
            ));
        }
        Ok(())
    }
}

impl<P: FromPayload> PubSubTask<P> {
    subscribing! {
        /// Subscribes to a pattern with a handler; as [`subscribe_with`](Self::subscribe_with).
        psubscribe_with psubscribe_with_async SubscriptionKind::Pattern;
        /// Subscribes to a shard channel with a handler; as [`subscribe_with`](Self::subscribe_with).
        ssubscribe_with ssubscribe_with_async SubscriptionKind::Shard;
    }
}

impl<P, K> PubSubTask<P, K> {
    /// Whether it has not ended.
    pub fn is_running(&self) -> bool {
        self.control.is_running()
    }

    /// What tells it to stop from elsewhere, also from within its handlers.
    pub fn stopper(&self) -> Stopper {
        self.control.stopper().clone()
    }

    /// What unsubscribes from elsewhere, also from within its handlers.
    pub fn handle(&self) -> PubSubHandle<K> {
        self.control.handle().clone()
    }

    /// Lets it run on by itself, until a [`stopper`](Self::stopper), an error, or the end of its last subscription ends it,
    /// or the runtime. The subscriber is closed then.
    pub fn detach(mut self) {
        self.detached = true;
    }
}

impl<P, K> Drop for PubSubTask<P, K> {
    fn drop(&mut self) {
        if !self.detached {
            self.control.stopper().stop();
        }
    }
}

impl<P, K> fmt::Debug for PubSubTask<P, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PubSubTask")
            .field("running", &self.is_running())
            .finish_non_exhaustive()
    }
}
