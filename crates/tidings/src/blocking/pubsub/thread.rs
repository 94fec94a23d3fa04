//! A subscriber that a thread of its own reads.

use std::fmt;
use std::sync::{Arc, mpsc};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tidings_proto::ToArg;
use tidings_proto::pubsub::SubscriptionKind;

use super::{PubSub, PubSubHandle};
use crate::blocking::runtime;
use crate::error::{Error, ErrorKind, Result};
use crate::pubsub::handler::Handler;
use crate::pubsub::running::Runner;
use crate::pubsub::running::control::Control;
use crate::pubsub::{
    FromPayload, HandlerOutcome, Kinds, Message, Plain, RunOptions, SpawnError, Stopper,
};

/// How much of a subscription's name stands in the name of its thread.
const SHOWN: usize = 40;

/// A subscriber that runs in the background: a thread of its own reads it and runs its handlers.
///
/// Made by [`PubSub::run_in_thread`]. It ends, and [`join`](Self::join) says with what,
///
/// - when it is told to [`stop`](Self::stop);
/// - when no subscription is left;
/// - at the first error, unless there is an [error handler](RunOptions::on_error). The subscriber is closed then.
///
/// While it runs, its [handle](Self::handle) unsubscribes, and subscribes to names that are subscribed only: others need a
/// handler, and get it by [`subscribe_with`](Self::subscribe_with). Gaps go to what [`PubSub::on_gap`] was given;
/// confirmations to nobody.
///
/// Dropping it tells it to stop, and waits for nothing: behind the handler at work the subscriber is closed.
/// [`detach`](Self::detach) lets it run on.
///
/// ```no_run
/// # fn example(client: tidings::blocking::Client) -> tidings::Result<()> {
/// let mut pubsub = client.pubsub().open()?;
/// pubsub.subscribe_with("my-channel", |message| println!("{}", message.text()))?;
/// let thread = pubsub.run_in_thread()?;
/// // … when it is time to shut it down
/// let mut pubsub = thread.stop()?;
/// pubsub.close()?;
/// # Ok(())
/// # }
/// ```
#[must_use = "dropping it stops it: keep it, or detach it"]
pub struct PubSubThread<P = Bytes, K = Plain> {
    control: Arc<Control<P, K>>,
    id: ThreadId,
    detached: bool,
}

impl<P: FromPayload, K: Kinds> PubSub<P, K> {
    /// Runs it in the background: a thread of its own reads it, and its handlers take the messages. The thread has the
    /// name of the first subscription.
    ///
    /// Nothing is polled for and nothing is late: the thread waits for the socket.
    ///
    /// # Errors
    ///
    /// A subscription without a handler, of which it names the first channel, or pattern, or shard channel; a subscriber
    /// that was closed; a thread that cannot be started. The error has the subscriber, and `?` drops it.
    pub fn run_in_thread(self) -> Result<PubSubThread<P, K>, SpawnError<Self>> {
        self.run_in_thread_with(RunOptions::new())
    }

    /// Runs it in the background, as these options say; as [`run_in_thread`](Self::run_in_thread).
    ///
    /// # Errors
    ///
    /// As [`run_in_thread`](Self::run_in_thread).
    pub fn run_in_thread_with(
        self,
        options: RunOptions,
    ) -> Result<PubSubThread<P, K>, SpawnError<Self>> {
        let name = self.thread_name();
        let runner = Runner::new(self.inner, options, true);
        let runner = runner.map_err(|refused| refused.map(Self::new))?;
        let control = runner.control();
        // It is handed over once there is a thread, so that it is not lost with one that is not.
        let (hand_over, taken) = mpsc::channel();
        let run = move || {
            if let Ok(runner) = taken.recv() {
                // The runtime is there, since the subscriber has come of it; what runs tells its end itself.
                let _ = runtime::wait_until::<Runner<P, K>>(runner, None);
            }
        };
        let id = match thread::Builder::new().name(name).spawn(run) {
            Ok(thread) => thread.thread().id(),
            Err(error) => {
                let text = "no thread could be started for the subscriber";
                let error = Error::new(ErrorKind::Connection, text).with_source(error);
                return Err(SpawnError::new(error, Self::new(runner.give_up())));
            }
        };
        // The thread waits for it.
        let _ = hand_over.send(runner);
        Ok(PubSubThread {
            control,
            id,
            detached: false,
        })
    }

    fn thread_name(&self) -> String {
        let names = self.inner.wanted_names();
        let first = names.first();
        let shown = first.map(|name| String::from_utf8_lossy(name).into_owned());
        let shown = shown.unwrap_or_else(|| "nothing".to_owned());
        let shown = shown.chars().filter(|c| !c.is_control()).take(SHOWN);
        format!("pubsub {}", shown.collect::<String>())
    }
}

/// Methods that subscribe with a handler.
macro_rules! subscribing {
    ($($(#[$meta:meta])* $method:ident $kind:expr;)+) => {$(
        $(#[$meta])*
        pub fn $method<R: HandlerOutcome>(
            &self,
            name: impl ToArg,
            handler: impl FnMut(Message<P>) -> R + Send + 'static,
        ) -> Result<()> {
            self.subscribe($kind, &name, Handler::new(handler))
        }
    )+};
}

impl<P: FromPayload, K: Kinds> PubSubThread<P, K> {
    /// Tells it to stop, waits for its end, and gives the subscriber back: with its subscriptions and its handlers, and
    /// behind the last message that was handled.
    ///
    /// A handler at work comes to its end before.
    ///
    /// # Errors
    ///
    /// The error that has ended it: then the subscriber is closed. A [misuse](crate::ErrorKind::Misuse) if the subscriber
    /// was given back before, or if a handler of it waits here for itself.
    pub fn stop(&self) -> Result<PubSub<P, K>> {
        self.control.stopper().stop();
        self.check_outside()?;
        runtime::wait_until(self.control.wait(), None)?;
        self.control.take().map(PubSub::new)
    }

    /// Waits for its end, so long at most, or as long as it takes with `None`; gives the subscriber as
    /// [`stop`](Self::stop) does, or `None` if it still runs.
    ///
    /// # Errors
    ///
    /// As [`stop`](Self::stop).
    pub fn join(&self, timeout: impl Into<Option<Duration>>) -> Result<Option<PubSub<P, K>>> {
        self.check_outside()?;
        let timeout = timeout.into();
        // A time beyond what a clock can show is for ever.
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        match runtime::wait_until(self.control.wait(), deadline)? {
            Some(()) => self.control.take().map(PubSub::new).map(Some),
            None => Ok(None),
        }
    }

    subscribing! {
        /// Subscribes to a channel with a handler; as [`PubSub::subscribe_with`].
        ///
        /// # Errors
        ///
        /// As there. It has ended; or a handler of it waits here for itself.
        subscribe_with K::CHANNEL;
    }

    fn subscribe(
        &self,
        kind: SubscriptionKind,
        name: &impl ToArg,
        handler: Handler<P>,
    ) -> Result<()> {
        self.check_outside()?;
        runtime::wait(self.control.ask(kind, name, handler))
    }

    /// Who waits within a handler waits for the end of that handler.
    fn check_outside(&self) -> Result<()> {
        if self.control.is_running() && thread::current().id() == self.id {
            return Err(Error::misuse(
                "a handler cannot wait for the thread that runs it: tell it to stop by its Stopper",
            ));
        }
        Ok(())
    }
}

impl<P: FromPayload> PubSubThread<P> {
    subscribing! {
        /// Subscribes to a pattern with a handler; as [`subscribe_with`](Self::subscribe_with).
        ///
        /// # Errors
        ///
        /// As there.
        psubscribe_with SubscriptionKind::Pattern;
        /// Subscribes to a shard channel with a handler; as [`subscribe_with`](Self::subscribe_with).
        ///
        /// # Errors
        ///
        /// As there.
        ssubscribe_with SubscriptionKind::Shard;
    }
}

impl<P, K> PubSubThread<P, K> {
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
        PubSubHandle::new(self.control.handle().clone())
    }

    /// Lets it run on by itself, until a [`stopper`](Self::stopper), an error, or the end of its last subscription ends
    /// it. The subscriber is closed then.
    pub fn detach(mut self) {
        self.detached = true;
    }
}

impl<P, K> Drop for PubSubThread<P, K> {
    fn drop(&mut self) {
        if !self.detached {
            self.control.stopper().stop();
        }
    }
}

impl<P, K> fmt::Debug for PubSubThread<P, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PubSubThread")
            .field("running", &self.is_running())
            .finish_non_exhaustive()
    }
}
