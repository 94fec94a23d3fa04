//! One step of a subscriber: what it takes out of its queue, and how long it waits for it.

use std::future::poll_fn;
#[cfg(feature = "blocking")]
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time;

use super::look::Look;
use super::{Event, FromPayload, Kinds, PubSub};
#[cfg(feature = "blocking")]
use crate::driver::subscriber::{Shared, single::Single};
use crate::error::{Error, Result};

/// What one look at the queue gave.
pub(crate) enum Step<P> {
    Event(Event<P>),
    /// A handler took the message, or a confirmation is to be ignored.
    Taken,
    Error(Error),
    /// Nothing there now.
    Empty,
    /// Nothing will come any more.
    Ended,
}

impl<P> Step<P> {
    /// What it is to whoever asked for one event.
    pub(crate) fn shown(self) -> Result<Option<Event<P>>> {
        match self {
            Self::Event(event) => Ok(Some(event)),
            Self::Error(error) => Err(error),
            Self::Ended => Err(Error::closed("the subscriber has ended")),
            Self::Taken | Self::Empty => Ok(None),
        }
    }

    /// Whether it is nothing to whoever waits for a message.
    pub(crate) fn is_passed_over(&self) -> bool {
        matches!(self, Self::Event(Event::Confirmation(_)) | Self::Taken)
    }
}

/// While it is there, whatever waits for an answer is read for beyond the bound of the queue: handlers may be at work
/// that wait, on the thread that reads.
#[cfg(feature = "blocking")]
pub(crate) struct Handling(Arc<Shared<Single>>);

#[cfg(feature = "blocking")]
impl Drop for Handling {
    fn drop(&mut self) {
        self.0.set_handling(false);
    }
}

impl<P: FromPayload, K: Kinds> PubSub<P, K> {
    /// A thread reads from now on: its handlers may wait.
    #[cfg(feature = "blocking")]
    pub(crate) fn handling(&self) -> Option<Handling> {
        if self.handlers.is_empty() && self.on_gap.is_none() {
            return None;
        }
        self.shared.set_handling(true);
        Some(Handling(Arc::clone(&self.shared)))
    }

    /// One step, waiting for it so long at most; without a time for ever.
    pub(super) async fn step_within(&mut self, timeout: Option<Duration>) -> Option<Step<P>> {
        let first = poll_fn(|cx| Poll::Ready(self.poll_step(cx))).await;
        if let Poll::Ready(step) = first
            && !matches!(step, Step::Empty)
        {
            return Some(step);
        }
        if timeout == Some(Duration::ZERO) {
            return self.step_now().await;
        }
        let step = poll_fn(|cx| self.poll_next_step(cx));
        match timeout {
            Some(timeout) => time::timeout(timeout, step).await.ok(),
            None => Some(step.await),
        }
    }

    /// One step with what is there now; `None` if that is nothing, or an asynchronous handler is at work.
    pub(crate) async fn step_now(&mut self) -> Option<Step<P>> {
        let mut look = Look::new(&self.shared);
        poll_fn(|cx| look.poll(cx, |cx| self.poll_next_step(cx))).await
    }

    /// One step, waiting for it.
    pub(crate) fn poll_next_step(&mut self, cx: &mut Context<'_>) -> Poll<Step<P>> {
        match self.poll_step(cx) {
            Poll::Ready(Step::Empty) => Poll::Pending,
            other => other,
        }
    }

    /// One step, waiting for it while there is a subscription.
    pub(crate) fn poll_step_or_end(&mut self, cx: &mut Context<'_>) -> Poll<Step<P>> {
        match self.poll_step(cx) {
            Poll::Ready(Step::Empty) if self.shared.is_done() => Poll::Ready(Step::Ended),
            Poll::Ready(Step::Empty) => Poll::Pending,
            other => other,
        }
    }
}
