//! A transaction over watched keys, tried until nobody has written them meanwhile.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tidings_proto::{Backoff, Command};
use tokio::time::{self, Sleep};

use crate::error::{Error, Result};
use crate::watch::{Watch, WatchAt};

/// How often the closure is run unless told otherwise. With a hundred rivals for one key a handful is needed.
const ATTEMPTS: u32 = 256;

/// How often in a row a closure may write with its watch before `multi`, and then meet a changed key: it changes
/// the key itself.
const OWN_WRITES: u32 = 16;

/// Pauses between attempts from the third on, so that rivals come out of step.
const PAUSES: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(64));

/// A transaction that is tried until no watched key has changed under it; made by
/// [`Client::transaction`](crate::Client::transaction), and in a cluster by
/// [`SlotTransactions::transaction`](crate::SlotTransactions::transaction).
///
/// # Cancel safety
///
/// Dropped, the closure's future is dropped, and with it the watch: a transaction that was being executed may run,
/// anything else has not.
#[must_use = "a transaction runs when it is awaited"]
pub struct Transact<F, Fut> {
    at: WatchAt,
    watch: Command,
    closure: F,
    most: u32,
    attempts: u32,
    /// How many of the last attempts wrote before `multi`.
    own_writes: u32,
    pauses: Backoff,
    state: State<Fut>,
}

enum State<Fut> {
    Begin,
    Watching(Pin<Box<dyn Future<Output = Result<Watch>> + Send>>),
    Running(Pin<Box<Fut>>, Arc<AtomicBool>),
    Pausing(Pin<Box<Sleep>>),
    Over,
}

impl<F, Fut, R> Transact<F, Fut>
where
    F: FnMut(Watch) -> Fut,
    Fut: Future<Output = Result<R>>,
{
    pub(crate) fn new(at: WatchAt, watch: Command, closure: F) -> Self {
        Self {
            at,
            watch,
            closure,
            most: ATTEMPTS,
            attempts: 0,
            own_writes: 0,
            pauses: Backoff::new(PAUSES.0, PAUSES.1),
            state: State::Begin,
        }
    }

    /// How often the closure is run at most, 256 times unless set. Then the error of the last attempt comes out, as
    /// the source of one that says so. Zero counts as one.
    pub fn attempts(mut self, most: u32) -> Self {
        self.most = most.max(1);
        self
    }

    /// What to do after a watched key has changed: nothing more, or another attempt.
    fn after_change(&mut self, wrote: bool, error: Error) -> Result<(), Error> {
        self.attempts += 1;
        self.own_writes = if wrote { self.own_writes + 1 } else { 0 };
        if self.own_writes >= OWN_WRITES {
            let text = format!(
                "a watched key has changed in each of {OWN_WRITES} attempts, and each wrote before multi(): \
                 what the closure writes itself counts as a change, so write watched keys after multi()"
            );
            return Err(Error::watch(text).with_source(error));
        }
        if self.attempts >= self.most {
            let or = match self.at {
                WatchAt::Server(_) => "",
                WatchAt::Slot(_) => "; or its slot was on its way from one node to another",
            };
            let text = format!(
                "a watched key has changed in each of {} attempts: \
                 either others write it all the time, or the closure does, other than after multi(){or}",
                self.attempts
            );
            return Err(Error::watch(text).with_source(error));
        }
        let pause = self.pauses.next_delay();
        self.state = match pause.is_zero() {
            true => State::Begin,
            false => State::Pausing(Box::pin(time::sleep(pause))),
        };
        Ok(())
    }
}

/// Nothing in it is ever pinned in its place: the futures have boxes.
impl<F, Fut> Unpin for Transact<F, Fut> {}

impl<F, Fut, R> Future for Transact<F, Fut>
where
    F: FnMut(Watch) -> Fut,
    Fut: Future<Output = Result<R>>,
{
    type Output = Result<R>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<R>> {
        let this = &mut *self;
        loop {
            match &mut this.state {
                State::Begin => {
                    let watching = Watch::open(this.at.clone(), this.watch.clone());
                    this.state = State::Watching(Box::pin(watching));
                }
                State::Watching(watching) => {
                    let outcome = ready!(watching.as_mut().poll(cx));
                    this.state = State::Over;
                    let watch = outcome?;
                    let wrote = watch.wrote();
                    this.state = State::Running(Box::pin((this.closure)(watch)), wrote);
                }
                State::Running(running, wrote) => {
                    let outcome = ready!(running.as_mut().poll(cx));
                    let wrote = wrote.load(Ordering::Relaxed);
                    this.state = State::Over;
                    match outcome {
                        Err(error) if error.is_watch() && !error.may_have_run() => {
                            this.after_change(wrote, error)?;
                        }
                        outcome => return Poll::Ready(outcome),
                    }
                }
                State::Pausing(pause) => {
                    ready!(pause.as_mut().poll(cx));
                    this.state = State::Begin;
                }
                State::Over => {
                    return Poll::Ready(Err(Error::misuse(
                        "a transaction was awaited again after its end",
                    )));
                }
            }
        }
    }
}

impl<F, Fut> fmt::Debug for Transact<F, Fut> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transact")
            .field("attempts", &self.attempts)
            .finish_non_exhaustive()
    }
}
