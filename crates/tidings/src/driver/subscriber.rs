//! The task that serves a Pub/Sub connection, and what it shares with those for whom it does.
//!
//! The connections and their subscriptions are the same whoever they are for; what they bring goes to an [`Outlet`]: the
//! queue of [one subscriber](single), or the queues of [many](super::fanout). There is one connection, or in a cluster one
//! to each node that has some of the names.

mod keeper;
mod lines;
mod link;
mod names;
pub(crate) mod single;

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};
use std::time::Instant;

use bytes::Bytes;
use tidings_proto::cluster::{LineId, ShardedSubscriptions};
use tidings_proto::pubsub::{Record, SubscriptionEvent};
use tidings_proto::{Blob, Charset, ServerError, Subscriptions};
use tokio::sync::oneshot;

pub(crate) use keeper::keep;
#[cfg(test)]
pub(crate) use link::Ping;
pub(crate) use link::SubscriberLink;
pub(crate) use names::{Loss, Names};

use lines::Lines;

use crate::error::{Error, ErrorKind, Result};
use crate::pubsub::event::shown;

/// How a request to subscribe or unsubscribe ended, or a PING.
pub(crate) type Answer = oneshot::Sender<Result<()>>;

/// Where what connections bring goes.
pub(crate) trait Outlet: Send + 'static {
    /// Whether the sockets are to be read. If not, `cx` is woken when they are.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> bool;

    /// Takes what has happened, in order; the messages lie in `block`. `false`: there is no use in going on.
    fn take(
        &mut self,
        staged: Vec<Staged>,
        block: &Bytes,
        names: &mut Names,
        later: &mut Later,
    ) -> bool;

    /// The number of the fence that is to be sent on a connection: a PING, whose answer divides what was sent before
    /// somebody joined from what was sent after.
    fn next_fence(&mut self, _line: LineId) -> Option<u64> {
        None
    }

    /// A connection was made, or is gone.
    fn connected(&mut self, line: LineId, connected: bool, names: &mut Names, later: &mut Later);

    /// When to call [`handle_timeout`](Self::handle_timeout).
    fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    /// Does what is due by now.
    fn handle_timeout(&mut self, _now: Instant, _names: &mut Names) {}

    /// Since when the connections have been of no use to anybody.
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
    /// The answer to a fence on a connection.
    Fenced(LineId, u64),
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
    pub(crate) names: Names,
    pub(crate) outlet: O,
    pub(crate) later: Later,
    lines: Lines,
    /// Nobody wants the connections any more.
    closing: bool,
    /// The task is gone; why, unless it was asked to go.
    ended: Option<Option<Error>>,
    /// Connections that were made in the place of lost ones, and lost ones in whose place none was made yet.
    reconnects: u64,
    lost: u64,
    /// Attempts to connect that have failed since one did not.
    failed_attempts: u32,
    trouble: Option<Error>,
    /// Who opens and closes connections, if there may be several, and whether there is something to do.
    keeper: Option<Waker>,
    keeper_is_due: bool,
    closed: Vec<oneshot::Sender<()>>,
}

/// Counters of the connections.
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
    /// With one connection at a time.
    pub(crate) fn new(outlet: O) -> Arc<Self> {
        let mut lines = Lines::default();
        lines.add(LineId::ONLY);
        Self::with(Names::One(Subscriptions::new()), lines, outlet)
    }

    /// With connections to the nodes of a cluster, for shard channels.
    pub(crate) fn sharded(names: ShardedSubscriptions, outlet: O) -> Arc<Self> {
        let names = Names::Sharded(Box::new(names));
        Self::with(names, Lines::default(), outlet)
    }

    fn with(names: Names, lines: Lines, outlet: O) -> Arc<Self> {
        Arc::new(Self(Mutex::new(State {
            names,
            outlet,
            later: Later::default(),
            lines,
            closing: false,
            ended: None,
            reconnects: 0,
            lost: 0,
            failed_attempts: 0,
            trouble: None,
            keeper: None,
            keeper_is_due: false,
            closed: Vec::new(),
        })))
    }

    pub(crate) fn lock(&self) -> Locked<'_, O> {
        Locked(Some(self.0.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    /// Changes what is wanted, and lets the tasks look at it.
    pub(crate) fn change<R>(&self, change: impl FnOnce(&mut State<O>) -> R) -> R {
        let mut state = self.lock();
        let result = change(&mut state);
        state.settle();
        if state.names.are_together() {
            state.wake_all();
        }
        result
    }

    /// Changes something that concerns all tasks.
    fn change_all<R>(&self, change: impl FnOnce(&mut State<O>) -> R) -> R {
        let mut state = self.lock();
        let result = change(&mut state);
        state.wake_all();
        result
    }

    /// Asks the servers for a sign of life.
    pub(crate) fn ping(&self) -> Result<oneshot::Receiver<Result<()>>> {
        self.change_all(|state| {
            state.check_open()?;
            if state.lines.is_empty() && !state.names.is_idle() {
                let text = "no node takes the shard channels at the moment";
                let error = Error::connection(text);
                return Err(match state.trouble.clone() {
                    Some(trouble) => error.with_source(trouble),
                    None => error,
                });
            }
            let (answer, answered) = oneshot::channel();
            state.lines.ping(answer, &mut state.later);
            Ok(answered)
        })
    }

    /// Asks for what has come to the sockets so far; the answer, or the end of the channel, comes when it has been
    /// handed on.
    pub(crate) fn look(&self) -> oneshot::Receiver<()> {
        let (done, looked) = oneshot::channel();
        self.change_all(|state| {
            if state.ended.is_none() {
                state.lines.look(done, &mut state.later);
            }
        });
        looked
    }

    /// Lets the tasks close the connections.
    pub(crate) fn close(&self) {
        self.change_all(|state| state.closing = true);
    }

    /// Closes the connections; the answer comes when they are closed.
    pub(crate) fn close_and_wait(&self) -> Option<oneshot::Receiver<()>> {
        self.change_all(|state| {
            state.closing = true;
            if state.ended.is_some() {
                return None;
            }
            let (closed, answered) = oneshot::channel();
            state.closed.push(closed);
            Some(answered)
        })
    }

    /// Reads something of what is wanted.
    pub(crate) fn with_names<R>(&self, read: impl FnOnce(&Names) -> R) -> R {
        read(&self.lock().names)
    }

    /// Whether anything is wanted, and somebody there to receive it.
    pub(crate) fn is_subscribed(&self) -> bool {
        let state = self.lock();
        state.is_open() && state.names.wanted_len() > 0
    }

    pub(crate) fn stats(&self) -> LinkStats {
        let state = self.lock();
        LinkStats {
            reconnects: state.reconnects,
            last_pong: state.lines.last_pong(),
        }
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

    /// Hands on what has come of requests rather than of a connection, and of what is done about it; and lets those know
    /// who have something to do about it.
    fn settle(&mut self) {
        loop {
            let events = std::iter::from_fn(|| self.names.poll_event());
            let staged: Vec<Staged> = events.map(Staged::Event).collect();
            if staged.is_empty() {
                break;
            }
            self.hand_on(staged, &Bytes::new());
        }
        let Names::Sharded(sharded) = &mut self.names else {
            return;
        };
        while let Some(line) = sharded.poll_stirred() {
            self.lines.wake(line, &mut self.later);
        }
        if sharded.take_changed() {
            self.keeper_is_due = true;
            self.later.wake(self.keeper.take());
        }
    }

    /// Lets the task of a connection look at what there is to send.
    pub(super) fn wake_line(&mut self, line: LineId) {
        self.lines.wake(line, &mut self.later);
    }

    fn wake_all(&mut self) {
        self.lines.wake_all(&mut self.later);
        self.keeper_is_due = true;
        self.later.wake(self.keeper.take());
    }

    fn hand_on(&mut self, staged: Vec<Staged>, block: &Bytes) -> bool {
        let Self {
            names,
            outlet,
            later,
            ..
        } = self;
        outlet.take(staged, block, names, later)
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
    let hint = match error.code() {
        "MOVED" => {
            " (another node has its slot: sharded_pubsub and ssubscribe of a ClusterClient go there)"
        }
        _ => "",
    };
    let text = format!(
        "the server refused {name}{others}: {}{hint}",
        error.message()
    );
    Err(Error::new(ErrorKind::Server, text).with_server(error))
}
