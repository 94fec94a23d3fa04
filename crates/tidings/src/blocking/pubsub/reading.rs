//! How a thread reads a subscriber.

use std::future::poll_fn;
use std::time::{Duration, Instant};

use super::PubSub;
use crate::blocking::runtime::{self, LOOK, deadline};
use crate::blocking::timeout_iter::{ReadWithin, TimeoutIter};
use crate::error::Result;
use crate::pubsub::step::Step;
use crate::pubsub::{Event, FromPayload, Kinds};

impl<P: FromPayload, K: Kinds> PubSub<P, K> {
    /// The next event, waiting for it so long at most; `None` if none came.
    ///
    /// `None` also if what came was a handled message or an ignored confirmation, at once. Without a subscription it
    /// waits and gives `None`.
    ///
    /// With [`Duration::ZERO`] it gives what is there now: what was read before, or has arrived at the socket when it is
    /// called. If nothing was read before, the thread in the background is asked to look, which takes some
    /// microseconds.
    ///
    /// # Errors
    ///
    /// What a handler returned, what could not be decoded, what was refused when subscribed again: the next call
    /// goes on. After [`close`](Self::close) it is a [misuse](crate::ErrorKind::Misuse).
    pub fn get_message(&mut self, timeout: Duration) -> Result<Option<Event<P>>> {
        self.inner.check_open()?;
        if let Some(event) = self.inner.next_at_hand() {
            return event.map(Some);
        }
        let step = match timeout.is_zero() {
            true => self.step_now()?,
            false => self.step_until(deadline(timeout))?,
        };
        step.map_or(Ok(None), Step::shown)
    }

    /// The next message that no handler takes, or gap, waiting for it so long at most and passing over
    /// confirmations and handled messages.
    ///
    /// # Errors
    ///
    /// As [`get_message`](Self::get_message).
    pub fn next_message(&mut self, timeout: Duration) -> Result<Option<Event<P>>> {
        self.inner.check_open()?;
        if let Some(event) = self.inner.next_at_hand() {
            return event.map(Some);
        }
        let deadline = deadline(timeout);
        loop {
            let step = match timeout.is_zero() {
                true => self.step_now()?,
                false => self.step_until(deadline)?,
            };
            match step {
                Some(step) if step.is_passed_over() => {}
                Some(step) => return step.shown(),
                None => return Ok(None),
            }
        }
    }

    /// An iterator over the events that ends as well when nothing came for so long: neither an event nor anything that
    /// a handler took. It can be made again and goes on then.
    ///
    /// ```no_run
    /// # fn example(mut pubsub: tidings::blocking::PubSub) -> tidings::Result<()> {
    /// use std::time::Duration;
    ///
    /// for event in pubsub.timeout_iter(Duration::from_secs(1)) {
    ///     println!("{:?}", event?);
    /// }
    /// println!("nothing for a second");
    /// # Ok(())
    /// # }
    /// ```
    pub fn timeout_iter(&mut self, timeout: Duration) -> TimeoutIter<'_, Self> {
        TimeoutIter::new(self, timeout)
    }

    /// One step, waiting for it until `deadline`.
    fn step_until(&mut self, deadline: Option<Instant>) -> Result<Option<Step<P>>> {
        let _handling = self.inner.handling();
        let step = poll_fn(|cx| self.inner.poll_next_step(cx));
        runtime::wait_until(step, deadline)
    }

    /// One step with what is there now.
    fn step_now(&mut self) -> Result<Option<Step<P>>> {
        let _handling = self.inner.handling();
        let step = runtime::wait_until(self.inner.step_now(), deadline(LOOK))?;
        Ok(step.flatten())
    }

    #[inline(never)]
    fn wait_for_event(&mut self) -> Option<Result<Event<P>>> {
        let _handling = self.inner.handling();
        runtime::next_item(|cx| self.inner.poll_event_slowly(cx), None)
    }

    fn wait_for_event_within(&mut self, timeout: Duration) -> Option<Result<Event<P>>> {
        if self.inner.check_open().is_err() {
            return None;
        }
        let _handling = self.inner.handling();
        loop {
            let step = poll_fn(|cx| self.inner.poll_step_or_end(cx));
            match runtime::wait_until(step, deadline(timeout)) {
                Ok(Some(Step::Taken)) => {}
                Ok(Some(Step::Event(event))) => return Some(Ok(event)),
                Ok(Some(Step::Error(error))) | Err(error) => return Some(Err(error)),
                Ok(Some(Step::Ended | Step::Empty) | None) => return None,
            }
        }
    }
}

/// Waits for the next event; ends when no subscription is left and everything before was read, or after
/// [`drain`](PubSub::drain).
///
/// After a new subscription it can be read again. An `Err` item does not end it.
impl<P: FromPayload, K: Kinds> Iterator for PubSub<P, K> {
    type Item = Result<Event<P>>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        match self.inner.next_at_hand() {
            Some(event) => Some(event),
            None => self.wait_for_event(),
        }
    }
}

impl<P: FromPayload, K: Kinds> ReadWithin for PubSub<P, K> {
    type Item = Result<Event<P>>;

    #[inline]
    fn next_within(&mut self, timeout: Duration) -> Option<Self::Item> {
        match self.inner.next_at_hand() {
            Some(event) => Some(event),
            None => self.wait_for_event_within(timeout),
        }
    }
}
