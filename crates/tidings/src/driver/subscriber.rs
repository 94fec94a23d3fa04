//! The task that serves a Pub/Sub connection, and what it shares with those for whom it does.
//!
//! The connection and its subscriptions are the same whoever they are for; what they bring goes to an [`Outlet`]: the
//! queue of [one subscriber](single), or the queues of [many](super::fanout).

mod link;
pub(crate) mod single;

use std::collections::VecDeque;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};
use std::time::Instant;

use bytes::Bytes;
use tidings_proto::pubsub::{Record, SubscriptionEvent};
use tidings_proto::{Blob, Charset, ServerError, Subscriptions};
use tokio::sync::oneshot;

#[cfg(test)]
pub(crate) use link::Ping;
pub(crate) use link::SubscriberLink;

use crate::error::{Error, ErrorKind, Result};
use crate::pubsub::event::shown;

/// How a request to subscribe or unsubscribe ended, or a PING.
pub(crate) type Answer = oneshot::Sender<Result<()>>;

/// Where what a connection brings goes.
pub(crate) trait Outlet: Send + 'static {
    /// Whether the socket is to be read. If not, `cx` is woken when it is.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> bool;

    /// Takes what has happened, in order; the messages lie in `block`. `false`: there is no use in going on.
    fn take(
        &mut self,
        staged: Vec<Staged>,
        block: &Bytes,
        subscriptions: &mut Subscriptions,
        later: &mut Later,
    ) -> bool;

    /// The number of the fence that is to be sent: a PING, whose answer divides what was sent before somebody
    /// joined from what was sent after.
    fn next_fence(&mut self) -> Option<u64> {
        None
    }

    /// A connection was made, or is gone.
    fn connected(&mut self, connected: bool, subscriptions: &mut Subscriptions, later: &mut Later);

    /// When to call [`handle_timeout`](Self::handle_timeout).
    fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    /// Does what is due by now.
    fn handle_timeout(&mut self, _now: Instant, _subscriptions: &mut Subscriptions) {}

    /// Since when the connection has been of no use to anybody.
    fn idle_since(&self) -> Option<Instant> {
        None
    }

    /// There will be no further connection; `error` says why, unless it was closed.
    fn ended(&mut self, error: Option<&Error>, later: &mut Later);
}

/// Something that has happened, at its place among the others.
pub(crate) enum Staged {
    Messages(Vec<Record>),
    Event(SubscriptionEvent),
    /// The answer to a fence.
    Fenced(u64),
}

/// What is done when the lock is free: whoever is woken may run at once, and come back.
#[derive(Debug, Default)]
pub(crate) struct Later {
    wakers: Vec<Waker>,
    answers: Vec<(Answer, Result<()>)>,
    looked: Vec<oneshot::Sender<()>>,
}

impl Later {
    pub(crate) fn wake(&mut self, waker: Option<Waker>) {
        self.wakers.extend(waker);
    }

    pub(crate) fn answer(&mut self, answer: Answer, outcome: Result<()>) {
        self.answers.push((answer, outcome));
    }

    fn run(self) {
        self.wakers.into_iter().for_each(Waker::wake);
        for (answer, outcome) in self.answers {
            // Whoever asked may have stopped waiting.
            let _ = answer.send(outcome);
        }
        for done in self.looked {
            let _ = done.send(());
        }
    }
}

/// What a subscriber, or many, and the task that serves them share.
#[derive(Debug)]
pub(crate) struct Shared<O>(Mutex<State<O>>);

#[derive(Debug)]
pub(crate) struct State<O> {
    pub(crate) subscriptions: Subscriptions,
    pub(crate) outlet: O,
    pub(crate) later: Later,
    pings: VecDeque<Answer>,
    /// Those who wait until the socket has nothing more to read.
    looks: Vec<Look>,
    /// PINGs on the wire that somebody waits for.
    pinged: usize,
    /// Nobody wants the connection any more.
    closing: bool,
    /// The task is gone; why, unless it was asked to go.
    ended: Option<Option<Error>>,
    link: LinkStats,
    trouble: Option<Error>,
    task: Option<Waker>,
    closed: Vec<oneshot::Sender<()>>,
}

/// A reader that wants what is there now, and does not wait for more.
#[derive(Debug)]
struct Look {
    done: oneshot::Sender<()>,
    /// The task has seen it, and waits for the runtime to look at the sockets.
    seen: bool,
}

/// Counters of the connection.
#[derive(Debug, Clone, Default)]
pub(crate) struct LinkStats {
    pub(crate) reconnects: u64,
    pub(crate) last_pong: Option<Instant>,
}

/// The state, locked. What is left for later is done when the lock is given back.
pub(crate) struct Locked<'a, O>(Option<MutexGuard<'a, State<O>>>);

impl<O> Deref for Locked<'_, O> {
    type Target = State<O>;

    fn deref(&self) -> &State<O> {
        self.0.as_ref().expect("it is there until the drop")
    }
}

impl<O> DerefMut for Locked<'_, O> {
    fn deref_mut(&mut self) -> &mut State<O> {
        self.0.as_mut().expect("it is there until the drop")
    }
}

impl<O> Drop for Locked<'_, O> {
    fn drop(&mut self) {
        if let Some(mut state) = self.0.take() {
            let later = std::mem::take(&mut state.later);
            drop(state);
            later.run();
        }
    }
}

impl<O: Outlet> Shared<O> {
    pub(crate) fn new(outlet: O) -> Arc<Self> {
        Arc::new(Self(Mutex::new(State {
            subscriptions: Subscriptions::new(),
            outlet,
            later: Later::default(),
            pings: VecDeque::new(),
            looks: Vec::new(),
            pinged: 0,
            closing: false,
            ended: None,
            link: LinkStats::default(),
            trouble: None,
            task: None,
            closed: Vec::new(),
        })))
    }

    pub(crate) fn lock(&self) -> Locked<'_, O> {
        Locked(Some(self.0.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    /// Changes the state and lets the task look at it.
    pub(crate) fn change<R>(&self, change: impl FnOnce(&mut State<O>) -> R) -> R {
        let mut state = self.lock();
        let result = change(&mut state);
        state.settle();
        let task = state.task.take();
        state.later.wake(task);
        result
    }

    /// Asks the server for a sign of life.
    pub(crate) fn ping(&self) -> Result<oneshot::Receiver<Result<()>>> {
        self.change(|state| {
            state.check_open()?;
            let (answer, answered) = oneshot::channel();
            state.pings.push_back(answer);
            Ok(answered)
        })
    }

    /// Asks for what has come to the socket so far; the answer, or the end of the channel, comes when it has been
    /// handed on.
    pub(crate) fn look(&self) -> oneshot::Receiver<()> {
        let (done, looked) = oneshot::channel();
        self.change(|state| {
            if state.ended.is_none() {
                state.looks.push(Look { done, seen: false });
            }
        });
        looked
    }

    /// Lets the task close the connection.
    pub(crate) fn close(&self) {
        self.change(|state| state.closing = true);
    }

    /// Closes the connection; the answer comes when it is closed.
    pub(crate) fn close_and_wait(&self) -> Option<oneshot::Receiver<()>> {
        self.change(|state| {
            state.closing = true;
            if state.ended.is_some() {
                return None;
            }
            let (closed, answered) = oneshot::channel();
            state.closed.push(closed);
            Some(answered)
        })
    }

    /// Reads something of the subscriptions.
    pub(crate) fn with<R>(&self, read: impl FnOnce(&Subscriptions) -> R) -> R {
        read(&self.lock().subscriptions)
    }

    /// Whether anything is wanted, and somebody there to receive it.
    pub(crate) fn is_subscribed(&self) -> bool {
        let state = self.lock();
        state.is_open() && state.subscriptions.wanted_len() > 0
    }

    pub(crate) fn stats(&self) -> LinkStats {
        self.lock().link.clone()
    }

    /// Why there is no connection at the moment, if an attempt to make one has failed.
    pub(crate) fn trouble(&self) -> Option<Error> {
        self.lock().trouble.clone()
    }
}

impl<O: Outlet> State<O> {
    /// Whether the task goes on.
    pub(crate) fn is_open(&self) -> bool {
        !self.closing && self.ended.is_none()
    }

    pub(crate) fn check_open(&self) -> Result<()> {
        match &self.ended {
            _ if self.closing => Err(Error::misuse("the subscriber was closed")),
            Some(Some(error)) => Err(error.clone()),
            Some(None) => Err(Error::closed("the subscriber has ended with its runtime")),
            None => Ok(()),
        }
    }

    /// Hands on what has come of requests rather than of the connection, and of what is done about it.
    fn settle(&mut self) {
        loop {
            let events = std::iter::from_fn(|| self.subscriptions.poll_event());
            let staged: Vec<Staged> = events.map(Staged::Event).collect();
            if staged.is_empty() {
                return;
            }
            self.hand_on(staged, &Bytes::new());
        }
    }

    /// The socket gave nothing. For whoever asked that counts only after the runtime has looked at the socket, which
    /// it does while the task yields: `true` if it is to.
    fn looked(&mut self) -> bool {
        self.end_looks(|look| look.seen);
        for look in &mut self.looks {
            look.seen = true;
        }
        !self.looks.is_empty()
    }

    /// Nothing more has come for these.
    fn end_looks(&mut self, over: impl Fn(&Look) -> bool) {
        let looks = self.looks.extract_if(.., |look| over(look));
        self.later.looked.extend(looks.map(|look| look.done));
    }

    fn hand_on(&mut self, staged: Vec<Staged>, block: &Bytes) -> bool {
        let Self {
            subscriptions,
            outlet,
            later,
            ..
        } = self;
        outlet.take(staged, block, subscriptions, later)
    }
}

/// Why a name is not subscribed again after a loss.
pub(crate) fn refused_again(
    verb: &str,
    name: &Blob,
    charset: Charset,
    error: ServerError,
) -> Error {
    let text = format!(
        "the server refused to {verb} {} again: {}",
        shown(name, charset),
        error.message()
    );
    Error::new(ErrorKind::Server, text).with_server(error)
}

/// Success, or an error that names what was refused.
pub(crate) fn outcome(mut refused: Vec<(Blob, ServerError)>, charset: Charset) -> Result<()> {
    if refused.is_empty() {
        return Ok(());
    }
    let more = refused.len() - 1;
    let (name, error) = refused.swap_remove(0);
    let others = if more == 0 {
        String::new()
    } else {
        format!(" (and {more} more)")
    };
    let name = shown(&name, charset);
    let text = format!("the server refused {name}{others}: {}", error.message());
    Err(Error::new(ErrorKind::Server, text).with_server(error))
}
