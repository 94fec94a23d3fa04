//! A subscriber that reads itself: for handlers alone, in the background.

pub(crate) mod control;
mod options;
mod refused;
mod task;

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tidings_proto::pubsub::{SubscriptionKind, Verb};
use tidings_proto::{Backoff, Blob};
use tokio::sync::oneshot;
use tokio::time::{self, Sleep};

pub use control::Stopper;
pub use options::RunOptions;
pub use refused::SpawnError;
pub use task::PubSubTask;

use super::event::shown;
use super::handler::{Handler, panic_text};
use super::step::Step;
use super::{Confirming, Event, FromPayload, Kinds, PubSub, TURN};
use crate::driver::subscriber::single::Asker;
use crate::error::{Error, ErrorKind, Result};
use control::{Asked, Control};

/// Between errors that come one after the other: none behind the first, so that a message that fails now and then
/// holds up nobody, and then long enough for nothing to spin.
const PAUSES: (Duration, Duration) = (Duration::from_millis(1), Duration::from_secs(1));

/// Reads a subscriber until it is told to stop, an error ends it, or no subscription is left.
pub(crate) struct Runner<P, K> {
    /// Until the end.
    pubsub: Option<PubSub<P, K>>,
    control: Arc<Control<P, K>>,
    options: RunOptions,
    pauses: Backoff,
    pause: Option<Pin<Box<Sleep>>>,
    answering: Vec<Answering<P>>,
    /// What was told last: why there is nothing more, if there is nothing more.
    last: Option<Error>,
    /// Whether a thread runs it, which handlers may hold up.
    #[cfg_attr(
        not(feature = "blocking"),
        expect(dead_code, reason = "only the blocking face has threads")
    )]
    on_thread: bool,
}

/// A subscription that was asked for, and that the server has not answered.
struct Answering<P> {
    confirming: Confirming,
    kind: SubscriptionKind,
    name: Blob,
    /// The handler that it had before.
    known: Option<Handler<P>>,
    answer: oneshot::Sender<Result<()>>,
}

impl<P: FromPayload, K: Kinds> Runner<P, K> {
    /// Takes a subscriber of which each subscription has a handler, or gives it back.
    pub(crate) fn new(
        pubsub: PubSub<P, K>,
        options: RunOptions,
        on_thread: bool,
    ) -> Result<Self, SpawnError<PubSub<P, K>>> {
        if let Err(error) = pubsub.check_open() {
            return Err(SpawnError::new(error, pubsub));
        }
        // Before the look, so that a handle cannot add something behind it.
        pubsub.shared.set_running(true);
        if let Some(error) = pubsub.unhandled() {
            pubsub.shared.set_running(false);
            return Err(SpawnError::new(error, pubsub));
        }
        let control = Control::new(pubsub.handle());
        Ok(Self {
            pubsub: Some(pubsub),
            control: Arc::new(control),
            options,
            pauses: Backoff::new(PAUSES.0, PAUSES.1),
            pause: None,
            answering: Vec::new(),
            last: None,
            on_thread,
        })
    }

    pub(crate) fn control(&self) -> Arc<Control<P, K>> {
        Arc::clone(&self.control)
    }

    /// What was to be run, if it cannot be.
    #[cfg(feature = "blocking")]
    pub(crate) fn give_up(mut self) -> PubSub<P, K> {
        let pubsub = self.pubsub.take();
        let pubsub = pubsub.expect("it is there until it has ended");
        pubsub.shared.set_running(false);
        pubsub
    }

    fn poll_end(&mut self, pubsub: &mut PubSub<P, K>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.control.stopper().listen(cx);
        self.subscribe(pubsub);
        self.poll_answers(pubsub, cx);
        for _ in 0..TURN {
            let stopping = self.control.stopper().is_stopping();
            if stopping {
                // A handler at work comes to its end, and nothing is begun behind it.
                return match ready!(self.poll_step(pubsub, true, cx)) {
                    Step::Error(error) => Poll::Ready(self.tell(error)),
                    _ => Poll::Ready(Ok(())),
                };
            }
            if let Some(pause) = &mut self.pause {
                ready!(pause.as_mut().poll(cx));
                self.pause = None;
            }
            match ready!(self.poll_step(pubsub, false, cx)) {
                Step::Taken => self.pauses.reset(),
                Step::Error(error) => self.tell(error)?,
                Step::Event(Event::Message(message)) => {
                    let name = shown(message.channel(), pubsub.shared.charset());
                    let text = format!("a message of {name} came for no handler");
                    self.tell(Error::new(ErrorKind::Handler, text))?;
                }
                Step::Event(_) => {}
                Step::Empty if pubsub.shared.is_done() => return Poll::Ready(Ok(())),
                Step::Empty => match self.options.sleep_time {
                    Some(time) => self.pause = Some(Box::pin(time::sleep(time))),
                    None => return Poll::Pending,
                },
                Step::Ended => {
                    let last = self.last.take();
                    let why = last.unwrap_or_else(|| Error::closed("the subscriber has ended"));
                    return Poll::Ready(Err(why));
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// One step, or the end of the handler at work and no more. A panic is an error as well.
    fn poll_step(
        &self,
        pubsub: &mut PubSub<P, K>,
        last: bool,
        cx: &mut Context<'_>,
    ) -> Poll<Step<P>> {
        #[cfg(feature = "blocking")]
        let _handling = self.on_thread.then(|| pubsub.handling());
        let step = catch_unwind(AssertUnwindSafe(|| match last {
            true => pubsub.poll_last_step(cx),
            false => pubsub.poll_step(cx),
        }));
        step.unwrap_or_else(|panic| {
            let text = format!(
                "what handles gaps or decodes payloads panicked: {}",
                panic_text(&*panic)
            );
            Poll::Ready(Step::Error(Error::new(ErrorKind::Handler, text)))
        })
    }

    /// Tells the error handler. Without one, the error is the end.
    fn tell(&mut self, error: Error) -> Result<()> {
        let Some(on_error) = &mut self.options.on_error else {
            return Err(error);
        };
        self.last = Some(error.clone());
        let stopper = self.control.stopper();
        catch_unwind(AssertUnwindSafe(|| on_error(error, stopper))).map_err(|panic| {
            let text = format!("the error handler panicked: {}", panic_text(&*panic));
            Error::new(ErrorKind::Handler, text)
        })?;
        let pause = self.pauses.next_delay();
        if !pause.is_zero() {
            self.pause = Some(Box::pin(time::sleep(pause)));
        }
        Ok(())
    }

    /// Subscribes to what was asked for meanwhile.
    fn subscribe(&mut self, pubsub: &mut PubSub<P, K>) {
        for asked in self.control.asked() {
            let Asked {
                kind,
                name,
                handler,
                answer,
            } = asked;
            let names = vec![name.clone()];
            let request = pubsub
                .shared
                .request(Verb::Subscribe, kind, names, Asker::Runner);
            match request {
                Ok(confirming) => {
                    let known = pubsub.handlers.set(kind, name.clone(), handler);
                    self.answering.push(Answering {
                        confirming: Confirming::new(Ok(confirming)),
                        kind,
                        name,
                        known,
                        answer,
                    });
                }
                Err(error) => drop(answer.send(Err(error))),
            }
        }
    }

    fn poll_answers(&mut self, pubsub: &mut PubSub<P, K>, cx: &mut Context<'_>) {
        let mut at = 0;
        while let Some(answering) = self.answering.get_mut(at) {
            let Poll::Ready(outcome) = Pin::new(&mut answering.confirming).poll(cx) else {
                at += 1;
                continue;
            };
            let answered = self.answering.remove(at);
            if outcome.is_err() {
                pubsub
                    .handlers
                    .put_back(answered.kind, answered.name, answered.known);
            }
            // Whoever asked may have stopped waiting.
            let _ = answered.answer.send(outcome);
        }
    }
}

impl<P: FromPayload, K: Kinds> Future for Runner<P, K> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(mut pubsub) = self.pubsub.take() else {
            return Poll::Ready(());
        };
        match self.poll_end(&mut pubsub, cx) {
            Poll::Pending => {
                self.pubsub = Some(pubsub);
                return Poll::Pending;
            }
            Poll::Ready(Ok(())) => {
                pubsub.shared.set_running(false);
                self.control.end(Ok(pubsub));
            }
            Poll::Ready(Err(error)) => {
                drop(pubsub);
                self.control.end(Err(error));
            }
        }
        Poll::Ready(())
    }
}

impl<P, K> Unpin for Runner<P, K> {}

impl<P, K> Drop for Runner<P, K> {
    /// The runtime may end before the task does.
    fn drop(&mut self) {
        drop(self.pubsub.take());
        if self.control.is_running() {
            let text = "the runtime of this task ended";
            self.control.end(Err(Error::closed(text)));
        }
    }
}

impl<P: FromPayload, K: Kinds> PubSub<P, K> {
    /// The end of the handler at work, if there is one.
    fn poll_last_step(&mut self, cx: &mut Context<'_>) -> Poll<Step<P>> {
        Poll::Ready(match ready!(self.poll_handler(cx)) {
            None => Step::Empty,
            Some(Ok(())) => Step::Taken,
            Some(Err(error)) => Step::Error(error),
        })
    }

    /// What there is to say of the first subscription that has no handler.
    fn unhandled(&self) -> Option<Error> {
        for (kind, what, with) in [
            (SubscriptionKind::Channel, "channel", "subscribe_with"),
            (SubscriptionKind::Pattern, "pattern", "psubscribe_with"),
            (SubscriptionKind::Shard, "shard channel", "ssubscribe_with"),
        ] {
            let wanted = self
                .shared
                .with_names(|subscriptions| subscriptions.wanted(kind));
            let mut unhandled = wanted.iter().filter(|name| !self.handlers.has(kind, name));
            if let Some(name) = unhandled.next() {
                let name = shown(name, self.shared.charset());
                return Some(Error::misuse(format!(
                    "the {what} {name} has no handler, so nobody would see its messages in the background: \
                     subscribe to it by {with}"
                )));
            }
        }
        None
    }
}
