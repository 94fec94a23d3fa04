//! Where sentinels say that a primary is, or its replicas.
//!
//! ```text
//!   sentinel ◀─▶ SentinelLink ─┐
//!   sentinel ◀─▶ SentinelLink ─┼─▶ Roster ─▶ View ─▶ SentinelPlace ─▶ where connections go, and when they leave
//!   sentinel ◀─▶ SentinelLink ─┘
//! ```
//!
//! One task listens to each sentinel, also to those that only other sentinels tell of, for as long as anything is there
//! that was made of the client. What they say comes together in the [`Roster`]. What follows from that, the [`View`], is
//! what all connections look at: when it changes, each leaves by itself.

mod answers;
mod link;
mod place;
mod roster;

use std::collections::HashMap;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};
use std::time::Instant;

use tokio::sync::watch;
use tokio::task::AbortHandle;

use self::answers::Report;
use self::link::SentinelLink;
use self::roster::{Roster, View};
use super::place::Place;
use super::supervise;
use crate::config::{Address, Config};
use crate::error::Error;

pub(crate) use self::place::SentinelPlace;

/// Listens to the sentinels until it is dropped.
#[derive(Debug)]
struct Watcher(Arc<Shared>);

/// What the tasks share with each other, and with those who ask.
#[derive(Debug)]
struct Shared {
    config: Arc<Config>,
    /// What the sentinels call the primary.
    name: String,
    state: Mutex<State>,
    view: watch::Sender<View>,
}

#[derive(Debug)]
struct State {
    roster: Roster,
    tasks: HashMap<Address, Task>,
    closed: bool,
}

/// The task that listens to one sentinel.
#[derive(Debug, Default)]
struct Task {
    /// None while it is being made.
    handle: Option<AbortHandle>,
    /// It is to ask again.
    asked: bool,
    waker: Option<Waker>,
}

impl Watcher {
    /// Of sentinels that nobody listens to before it has [begun](Self::begin).
    fn new(config: Arc<Config>, name: String) -> Self {
        let state = State {
            roster: Roster::new(config.servers().addresses()),
            tasks: HashMap::new(),
            closed: false,
        };
        Self(Arc::new(Shared {
            config,
            name,
            state: Mutex::new(state),
            view: watch::Sender::default(),
        }))
    }

    /// Has the sentinels listened to, in the runtime where this is called; again, if the one where it was called before
    /// has ended.
    fn begin(&self) {
        let mut state = self.0.lock();
        let State { roster, tasks, .. } = &mut *state;
        let is_missing = |it: &&Address| tasks.get(*it).is_none_or(Task::has_ended);
        let missing: Vec<Address> = roster.addresses().filter(is_missing).cloned().collect();
        state.begin(&missing);
        drop(state);
        for address in &missing {
            self.0.listen_to(address);
        }
    }

    /// Tells of each change of what is known.
    fn changes(&self) -> watch::Receiver<View> {
        self.0.view.subscribe()
    }

    /// Those that have not answered by now are not waited for any more.
    fn give_up_waiting(&self) {
        self.0.view.send_modify(|view| view.is_complete = true);
    }

    /// Has all sentinels asked where the primary is.
    fn ask_all(&self) {
        let mut state = self.0.lock();
        let tasks = state.tasks.values_mut();
        let wakers: Vec<Waker> = tasks.filter_map(Task::ask).collect();
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Why it is not known where the primary is.
    fn problem(&self) -> Error {
        self.0.lock().roster.problem(&self.0.name)
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.closed = true;
        let tasks = mem::take(&mut state.tasks);
        drop(state);
        tasks.into_values().for_each(Task::end);
    }
}

impl State {
    /// Notes that these are listened to from now on, so that nobody else begins that.
    fn begin(&mut self, at: &[Address]) {
        let begun = at.iter().map(|it| (it.clone(), Task::default()));
        self.tasks.extend(begun);
    }
}

impl Task {
    fn has_ended(&self) -> bool {
        self.handle.as_ref().is_some_and(AbortHandle::is_finished)
    }

    fn ask(&mut self) -> Option<Waker> {
        self.asked = true;
        self.waker.take()
    }

    fn end(self) {
        if let Some(handle) = self.handle {
            handle.abort();
        }
    }
}

/// What the tasks call.
impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn listen_to(self: &Arc<Self>, address: &Address) {
        let config = Arc::new(self.config.at_sentinel(address.clone()));
        let link = SentinelLink::new(Arc::clone(self), Arc::clone(&config));
        // Not under the lock: a runtime that ends drops the task here and now.
        let task = tokio::spawn(supervise::supervise(Place::Server(config), None, link));
        match self.lock().tasks.get_mut(address) {
            Some(known) => known.handle = Some(task.abort_handle()),
            // Nobody wants it any more.
            None => task.abort(),
        }
    }

    fn name(&self) -> &str {
        &self.name
    }

    /// Whether replicas are to be asked for.
    fn wants_replicas(&self) -> bool {
        self.config.sentinel_settings().replica
    }

    fn report(self: &Arc<Self>, from: &Address, report: Report) {
        self.change(|roster| roster.report(from, report, Instant::now()));
    }

    fn switched(self: &Arc<Self>, from: &Address, to: Address) {
        tracing::info!(sentinel = %from, primary = %to, "a sentinel tells of another primary");
        self.change(|roster| roster.switched(from, to, Instant::now()));
    }

    fn failed(self: &Arc<Self>, at: &Address, error: Error) {
        self.change(|roster| roster.failed(at, error, Instant::now()));
    }

    /// Has this sentinel asked again.
    fn ask(&self, address: &Address) {
        let mut state = self.lock();
        let waker = state.tasks.get_mut(address).and_then(Task::ask);
        drop(state);
        waker.into_iter().for_each(Waker::wake);
    }

    /// Whether this sentinel is to be asked again; if not, the task is woken when it is.
    fn poll_asked(&self, address: &Address, cx: &Context<'_>) -> bool {
        let mut state = self.lock();
        let Some(task) = state.tasks.get_mut(address) else {
            return false;
        };
        match &mut task.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        mem::take(&mut task.asked)
    }

    /// Takes note of what a sentinel has said, and of what follows.
    fn change(self: &Arc<Self>, change: impl FnOnce(&mut Roster)) {
        let mut state = self.lock();
        change(&mut state.roster);
        let (new, gone) = match state.closed {
            false => state.roster.update(),
            true => (Vec::new(), Vec::new()),
        };
        let gone = gone.iter().filter_map(|it| state.tasks.remove(it));
        let gone: Vec<Task> = gone.collect();
        state.begin(&new);
        drop(state);
        gone.into_iter().for_each(Task::end);
        for address in &new {
            self.listen_to(address);
        }
        // Seen anew within, so that of two that change at a time the later one stays.
        self.view.send_if_modified(|view| {
            let new = self.lock().roster.view(view, Instant::now());
            let is_other = new != *view;
            if is_other {
                *view = new;
            }
            is_other
        });
    }
}
