//! What a subscriber in the background and those who started it share.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};

use tidings_proto::pubsub::SubscriptionKind;
use tidings_proto::{Blob, ToArg};
use tokio::sync::{oneshot, watch};

use super::super::handler::Handler;
use super::super::{Confirming, PubSub, PubSubHandle, one_name};
use crate::error::{Error, Result};

/// Tells a subscriber in the background to stop, and waits for nothing: what its error handler is given, and anybody
/// else who wants it.
#[derive(Clone)]
pub struct Stopper(Arc<Bell>);

#[derive(Default)]
struct Bell {
    stopping: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Stopper {
    /// Tells it to stop: behind the handler that is at work, and before the next message. Those who wait for its end
    /// get the subscriber.
    pub fn stop(&self) {
        self.0.stopping.store(true, Ordering::Release);
        self.ring();
    }

    /// Whether it was told to stop.
    pub fn is_stopping(&self) -> bool {
        self.0.stopping.load(Ordering::Acquire)
    }

    /// Lets it look at what there is to do.
    fn ring(&self) {
        let waker = lock(&self.0.waker).take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// From now on it is woken. What is looked at after this is not missed.
    pub(super) fn listen(&self, cx: &Context<'_>) {
        match &mut *lock(&self.0.waker) {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
    }
}

impl fmt::Debug for Stopper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stopper")
            .field("stopping", &self.is_stopping())
            .finish()
    }
}

/// A subscription that is wanted while it runs.
pub(super) struct Asked<P> {
    pub(super) kind: SubscriptionKind,
    pub(super) name: Blob,
    pub(super) handler: Handler<P>,
    pub(super) answer: oneshot::Sender<Result<()>>,
}

pub(crate) struct Control<P, K> {
    stopper: Stopper,
    handle: PubSubHandle<K>,
    state: Mutex<State<P, K>>,
    ended: watch::Sender<bool>,
}

enum State<P, K> {
    Running(Vec<Asked<P>>),
    Ended(Box<PubSub<P, K>>),
    Failed(Error),
    /// Somebody has it.
    Taken,
}

impl<P, K> Control<P, K> {
    pub(super) fn new(handle: PubSubHandle<K>) -> Self {
        Self {
            stopper: Stopper(Arc::default()),
            handle,
            state: Mutex::new(State::Running(Vec::new())),
            ended: watch::Sender::new(false),
        }
    }

    pub(crate) fn stopper(&self) -> &Stopper {
        &self.stopper
    }

    pub(crate) fn handle(&self) -> &PubSubHandle<K> {
        &self.handle
    }

    pub(crate) fn is_running(&self) -> bool {
        matches!(*lock(&self.state), State::Running(_))
    }

    /// Asks for a subscription.
    pub(crate) fn ask(
        &self,
        kind: SubscriptionKind,
        name: &impl ToArg,
        handler: Handler<P>,
    ) -> Confirming {
        let name = match one_name(name, self.handle.charset()) {
            Ok(name) => name,
            Err(error) => return Confirming::new(Err(error)),
        };
        let (answer, answered) = oneshot::channel();
        let asked = Asked {
            kind,
            name,
            handler,
            answer,
        };
        match &mut *lock(&self.state) {
            State::Running(list) => list.push(asked),
            State::Failed(error) => return Confirming::new(Err(error.clone())),
            State::Ended(_) | State::Taken => {
                let text = "the subscriber does not run in the background any more";
                return Confirming::new(Err(Error::closed(text)));
            }
        }
        self.stopper.ring();
        Confirming::new(Ok(answered))
    }

    pub(super) fn asked(&self) -> Vec<Asked<P>> {
        match &mut *lock(&self.state) {
            State::Running(list) => std::mem::take(list),
            _ => Vec::new(),
        }
    }

    pub(super) fn end(self: &Arc<Self>, outcome: Result<PubSub<P, K>>) {
        if let Err(error) = &outcome
            && Arc::strong_count(self) == 1
        {
            tracing::warn!(%error, "a subscriber in the background has ended, and nobody asks why");
        }
        let state = match outcome {
            Ok(pubsub) => State::Ended(Box::new(pubsub)),
            Err(error) => State::Failed(error),
        };
        let before = std::mem::replace(&mut *lock(&self.state), state);
        if let State::Running(asked) = before {
            for asked in asked {
                let text = "the subscriber does not run in the background any more";
                let _ = asked.answer.send(Err(Error::closed(text)));
            }
        }
        self.ended.send_replace(true);
    }

    /// Waits for the end.
    pub(crate) async fn wait(&self) {
        // The sender is here, so it cannot be gone.
        let _ = self.ended.subscribe().wait_for(|ended| *ended).await;
    }

    /// What it came to. The subscriber is there once.
    pub(crate) fn take(&self) -> Result<PubSub<P, K>> {
        let mut state = lock(&self.state);
        match std::mem::replace(&mut *state, State::Taken) {
            State::Ended(pubsub) => Ok(*pubsub),
            State::Failed(error) => {
                *state = State::Failed(error.clone());
                Err(error)
            }
            running @ State::Running(_) => {
                *state = running;
                Err(Error::misuse("the subscriber runs in the background"))
            }
            State::Taken => Err(Error::misuse("the subscriber was given back already")),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
