//! What has become of the line to each node, for those who ask.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use tidings_proto::cluster::Address;

use crate::error::{Error, ErrorKind, Result};

/// The line to one node of a cluster, in a stream of what all of them show.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct NodeStatus {
    node: Address,
    error: Option<Error>,
    is_connected: bool,
}

impl NodeStatus {
    /// The node.
    pub fn node(&self) -> &Address {
        &self.node
    }

    /// Whether what it shows comes here. If not, it is tried again, with pauses.
    pub fn is_connected(&self) -> bool {
        self.is_connected
    }

    /// Why what it shows does not come here, if that is known.
    pub fn error(&self) -> Option<&Error> {
        self.error.as_ref()
    }
}

/// The lines that there are.
#[derive(Debug, Default)]
pub(crate) struct NodeStates(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    states: BTreeMap<Address, State>,
    /// All that there were at the beginning are known.
    is_complete: bool,
    ended: Option<Error>,
    opener: Option<Waker>,
}

#[derive(Debug)]
enum State {
    /// Nothing has come of the first attempt yet.
    Beginning,
    Shown,
    Failed(Error),
}

impl NodeStates {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes something, and lets look whoever waits for the beginning.
    fn change(&self, change: impl FnOnce(&mut Inner)) {
        let mut inner = self.lock();
        change(&mut inner);
        let opener = inner.opener.take();
        drop(inner);
        if let Some(opener) = opener {
            opener.wake();
        }
    }

    /// There is a line to this node from now on.
    pub(crate) fn add(self: &Arc<Self>, node: Address) -> NodeState {
        self.change(|inner| {
            inner.states.insert(node.clone(), State::Beginning);
        });
        NodeState {
            node,
            states: Arc::clone(self),
        }
    }

    /// There is none any more.
    pub(super) fn remove(&self, node: &Address) {
        self.change(|inner| {
            inner.states.remove(node);
        });
    }

    /// All that there are at the beginning were added.
    pub(crate) fn complete(&self) {
        self.change(|inner| inner.is_complete = true);
    }

    /// There will be no more.
    pub(crate) fn end(&self, error: Error) {
        self.change(|inner| inner.ended = Some(error));
    }

    /// Waits until each of the first nodes shows something, or has been tried. One that cannot be reached is tried again.
    ///
    /// # Errors
    ///
    /// One of them refuses, or none can be reached.
    pub(crate) async fn begun(&self) -> Result<()> {
        poll_fn(|cx| {
            let mut inner = self.lock();
            let outcome = inner.outcome();
            if outcome.is_none() {
                inner.opener = Some(cx.waker().clone());
            }
            outcome.map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }

    pub(crate) fn list(&self) -> Vec<NodeStatus> {
        let inner = self.lock();
        let statuses = inner.states.iter().map(|(node, state)| NodeStatus {
            node: node.clone(),
            is_connected: matches!(state, State::Shown),
            error: match state {
                State::Failed(error) => Some(error.clone()),
                State::Beginning | State::Shown => None,
            },
        });
        statuses.collect()
    }
}

impl Inner {
    /// What has come of the beginning, if that is known.
    fn outcome(&self) -> Option<Result<()>> {
        if let Some(error) = &self.ended {
            return Some(Err(error.clone()));
        }
        let mut failures = self.states.values().filter_map(|state| match state {
            State::Failed(error) => Some(error),
            State::Beginning | State::Shown => None,
        });
        if let Some(error) = failures.clone().find(|error| is_final(error)) {
            return Some(Err(error.clone()));
        }
        let is_open = |state: &State| matches!(state, State::Beginning);
        if !self.is_complete || self.states.values().any(is_open) {
            return None;
        }
        if self
            .states
            .values()
            .any(|state| matches!(state, State::Shown))
        {
            return Some(Ok(()));
        }
        let none = || Error::connection("no node of the cluster is known");
        Some(Err(failures.next().cloned().unwrap_or_else(none)))
    }
}

/// A node that does not do what is asked of it, and need not do so later.
fn is_final(error: &Error) -> bool {
    !matches!(error.kind(), ErrorKind::Connection | ErrorKind::Timeout)
}

/// The line to one node.
#[derive(Debug, Clone)]
pub(crate) struct NodeState {
    node: Address,
    states: Arc<NodeStates>,
}

impl NodeState {
    pub(crate) fn address(&self) -> &Address {
        &self.node
    }

    /// What the node shows comes here from now on.
    pub(crate) fn shown(&self) {
        self.set(State::Shown);
    }

    /// It does not, or not any more.
    pub(crate) fn failed(&self, error: &Error) {
        self.set(State::Failed(error.clone()));
    }

    /// The node is at another address from now on.
    pub(crate) fn move_to(&mut self, node: Address) {
        let former = std::mem::replace(&mut self.node, node.clone());
        self.states.change(|inner| {
            let state = inner.states.remove(&former).unwrap_or(State::Beginning);
            inner.states.insert(node, state);
        });
    }

    /// There will be no line any more.
    pub(crate) fn end(&self, error: Error) {
        self.states.end(error);
    }

    fn set(&self, state: State) {
        self.states.change(|inner| {
            if let Some(known) = inner.states.get_mut(&self.node) {
                *known = state;
            }
        });
    }
}
