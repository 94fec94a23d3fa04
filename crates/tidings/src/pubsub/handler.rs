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

/// The handlers of one subscriber, and the one that is at work.
pub(crate) struct Handlers<P> {
    by_name: HashMap<(SubscriptionKind, Blob), Handler<P>>,
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
            running: None,
        }
    }
}

impl<P> Handlers<P> {
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.by_name.is_empty() && self.running.is_none()
    }

    /// Sets the handler of a subscription; gives back the one that it had.
    pub(crate) fn set(
        &mut self,
        kind: SubscriptionKind,
        name: Blob,
        handler: Handler<P>,
    ) -> Option<Handler<P>> {
        self.by_name.insert((kind, name), handler)
    }

    pub(crate) fn remove(&mut self, kind: SubscriptionKind, name: &Blob) {
        if !self.by_name.is_empty() {
            self.by_name.remove(&(kind, name.clone()));
        }
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
        let outcome = match handler {
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

fn of_handler(name: &Blob, outcome: Result<Outcome, Box<dyn Any + Send>>) -> Result<()> {
    match outcome {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => {
            let text = format!("the handler of {name} failed");
            Err(Error::new(ErrorKind::Handler, text).with_source(error))
        }
        Err(panic) => {
            let text = panic
                .downcast_ref::<&str>()
                .map(|text| (*text).to_owned())
                .or_else(|| panic.downcast_ref::<String>().cloned())
                .unwrap_or_else(|| "no message".to_owned());
            Err(Error::new(
                ErrorKind::Handler,
                format!("the handler of {name} panicked: {text}"),
            ))
        }
    }
}
