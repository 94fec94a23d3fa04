//! Handlers: functions that take the messages of one subscription.

use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use tidings_proto::Blob;
use tidings_proto::pubsub::SubscriptionKind;

use super::event::Message;
use crate::error::{Error, ErrorKind, Result};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What a handler may return: nothing, or a `Result` whose error comes out of the read that ran it.
#[diagnostic::on_unimplemented(
    message = "a handler cannot return `{Self}`",
    label = "neither `()` nor a `Result<(), E>` whose error can be boxed",
    note = "a future is for the handlers of `subscribe_with_async`, `psubscribe_with_async` and `ssubscribe_with_async`"
)]
pub trait HandlerOutcome {
    /// The outcome as a result.
    fn into_result(self) -> Result<(), BoxError>;
}

impl HandlerOutcome for () {
    fn into_result(self) -> Result<(), BoxError> {
        Ok(())
    }
}

impl<E: Into<BoxError>> HandlerOutcome for Result<(), E> {
    fn into_result(self) -> Result<(), BoxError> {
        self.map_err(Into::into)
    }
}

type Outcome = Result<(), BoxError>;
type Running = Pin<Box<dyn Future<Output = Outcome> + Send>>;

pub(crate) enum Handler<P> {
    Sync(Box<dyn FnMut(Message<P>) -> Outcome + Send>),
    Async(Box<dyn FnMut(Message<P>) -> Running + Send>),
}

impl<P: 'static> Handler<P> {
    pub(crate) fn new<R: HandlerOutcome>(
        mut handler: impl FnMut(Message<P>) -> R + Send + 'static,
    ) -> Self {
        Self::Sync(Box::new(move |message| handler(message).into_result()))
    }

    pub(crate) fn new_async<F>(mut handler: impl FnMut(Message<P>) -> F + Send + 'static) -> Self
    where
        F: Future<Output: HandlerOutcome> + Send + 'static,
    {
        Self::Async(Box::new(move |message| {
            let running = handler(message);
            Box::pin(async { running.await.into_result() })
        }))
    }
}

struct Registered<P> {
    handler: Handler<P>,
    /// How many ends of its subscription had been asked for when it was set: those are not its own.
    ends_before: u64,
}

/// The ends of one subscription that were asked for, and those of which the confirmation was read.
#[derive(Default)]
struct Ends {
    asked: u64,
    read: u64,
}

/// The handlers of one subscriber, and the one that is at work.
pub(crate) struct Handlers<P> {
    by_name: HashMap<(SubscriptionKind, Blob), Registered<P>>,
    /// Where some were asked for and not read yet.
    ends: HashMap<(SubscriptionKind, Blob), Ends>,
    /// An asynchronous handler at work, and the channel of its message.
    running: Option<(Running, Blob)>,
}

impl<P> fmt::Debug for Handlers<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.by_name.keys()).finish()
    }
}

impl<P> Default for Handlers<P> {
    fn default() -> Self {
        Self {
            by_name: HashMap::new(),
            ends: HashMap::new(),
            running: None,
        }
    }
}

impl<P> Handlers<P> {
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.by_name.is_empty() && self.running.is_none()
    }

    /// Whether the end of a subscription is of no concern to any of them.
    pub(crate) fn ignore_ends(&self) -> bool {
        self.by_name.is_empty() && self.ends.is_empty()
    }

    /// Sets the handler of a subscription; gives back the one that it had.
    pub(crate) fn set(
        &mut self,
        kind: SubscriptionKind,
        name: Blob,
        handler: Handler<P>,
    ) -> Option<Handler<P>> {
        let key = (kind, name);
        let ends_before = self.ends.get(&key).map_or(0, |ends| ends.asked);
        let handler = Registered {
            handler,
            ends_before,
        };
        self.by_name.insert(key, handler).map(|known| known.handler)
    }

    /// The end of these subscriptions is asked for. Their handlers still take what comes before its confirmation,
    /// and not what comes after it, should they be subscribed again.
    pub(crate) fn ending(&mut self, kind: SubscriptionKind, names: &[Blob]) {
        for name in names {
            let key = (kind, name.clone());
            if self.by_name.contains_key(&key) || self.ends.contains_key(&key) {
                self.ends.entry(key).or_default().asked += 1;
            }
        }
    }

    /// The server did not take that.
    pub(crate) fn not_ending(&mut self, kind: SubscriptionKind, names: &[Blob]) {
        for name in names {
            if let Some(ends) = self.ends.get_mut(&(kind, name.clone())) {
                ends.asked = ends.asked.saturating_sub(1).max(ends.read);
            }
        }
    }

    /// The confirmation of an end was read; `wanted` says whether the subscription is wanted at present.
    pub(crate) fn ended(&mut self, kind: SubscriptionKind, name: &Blob, wanted: bool) {
        let key = (kind, name.clone());
        let own = self.ends.get_mut(&key).map(|ends| {
            ends.read += 1;
            (ends.read, ends.read >= ends.asked)
        });
        let over = match own {
            Some((read, _)) => {
                let known = self.by_name.get(&key);
                known.is_some_and(|known| read > known.ends_before)
            }
            // It was asked for through a handle.
            None => !wanted,
        };
        if over {
            self.by_name.remove(&key);
        }
        if matches!(own, Some((_, true))) {
            self.ends.remove(&key);
            if let Some(known) = self.by_name.get_mut(&key) {
                known.ends_before = 0;
            }
        }
    }

    /// Sets the handler that there was before, if there was one, in the place of one that was in vain.
    pub(crate) fn put_back(
        &mut self,
        kind: SubscriptionKind,
        name: Blob,
        known: Option<Handler<P>>,
    ) {
        match known {
            Some(known) => drop(self.set(kind, name, known)),
            None => drop(self.by_name.remove(&(kind, name))),
        }
    }

    /// Whether a subscription has a handler, also behind all ends of it that were asked for.
    pub(crate) fn has(&self, kind: SubscriptionKind, name: &Blob) -> bool {
        let key = (kind, name.clone());
        let ends = self.ends.get(&key).map_or(0, |ends| ends.asked);
        let known = self.by_name.get(&key);
        known.is_some_and(|known| known.ends_before >= ends)
    }

    /// Gives `message` to the handler of its subscription, or back if it has none.
    ///
    /// `Ok(Ok(()))`: it is handled, or being handled if the handler is asynchronous.
    pub(crate) fn offer(&mut self, message: Message<P>) -> Result<Result<()>, Message<P>> {
        let (kind, name) = message.subscription();
        let name = Blob::copy_from(name);
        let Some(handler) = self.by_name.get_mut(&(kind, name.clone())) else {
            return Err(message);
        };
        // The state that a panic may leave behind is the handler's own.
        let outcome = match &mut handler.handler {
            Handler::Sync(handler) => catch_unwind(AssertUnwindSafe(|| handler(message))),
            Handler::Async(handler) => {
                catch_unwind(AssertUnwindSafe(|| handler(message))).map(|running| {
                    self.running = Some((running, name.clone()));
                    Ok(())
                })
            }
        };
        Ok(of_handler(&name, outcome))
    }

    /// The outcome of the asynchronous handler at work; ready at once if there is none.
    pub(crate) fn poll_running(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<()>>> {
        let Some((running, name)) = &mut self.running else {
            return Poll::Ready(None);
        };
        let outcome = match catch_unwind(AssertUnwindSafe(|| running.as_mut().poll(cx))) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(outcome)) => Ok(outcome),
            Err(panic) => Err(panic),
        };
        let outcome = of_handler(name, outcome);
        self.running = None;
        Poll::Ready(Some(outcome))
    }
}

/// What a panic says.
pub(super) fn panic_text(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}

fn of_handler(name: &Blob, outcome: Result<Outcome, Box<dyn Any + Send>>) -> Result<()> {
    match outcome {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => {
            let text = format!("the handler of {name} failed");
            Err(Error::new(ErrorKind::Handler, text).with_source(error))
        }
        Err(panic) => {
            let text = panic_text(&*panic);
            Err(Error::new(
                ErrorKind::Handler,
                format!("the handler of {name} panicked: {text}"),
            ))
        }
    }
}
