//! What serves the connections to one server.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use tidings_proto::cluster::Missed;
use tidings_proto::pubsub::GapCause;

use super::outlet::{KeyspaceOutlet, Stream};
use crate::config::Config;
use crate::driver::cluster::address_of;
use crate::driver::every_node::{NodeLine, NodeState};
use crate::driver::place::Departure;
use crate::driver::subscriber::{Shared, SubscriberLink};
use crate::driver::supervise::{Connected, End, Link};
use crate::error::{Error, ErrorKind};
use crate::pubsub::queue::Item;

/// A subscriber of the channels.
pub(crate) struct KeyspaceLink {
    inner: SubscriberLink<KeyspaceOutlet>,
    shared: Arc<Shared<KeyspaceOutlet>>,
    /// The server could be reached since the last connection, and does not send what is wanted: that was told.
    is_refused: bool,
}

impl KeyspaceLink {
    /// For the only server of a stream, which ends with it, or for one of many.
    pub(crate) fn new(
        config: Arc<Config>,
        stream: Stream,
        state: NodeState,
        is_alone: bool,
    ) -> Self {
        let shared = Shared::new(KeyspaceOutlet::new(stream, state, is_alone));
        shared.change(|state| state.outlet.subscribe(&mut state.names));
        Self {
            inner: SubscriberLink::new(config, Arc::clone(&shared)),
            shared,
            is_refused: false,
        }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared<KeyspaceOutlet>> {
        &self.shared
    }

    fn failed(&self, error: &Error) {
        self.shared.lock().outlet.state().failed(error);
    }
}

impl Link for KeyspaceLink {
    fn connected(&mut self, connected: Connected, moved: Option<GapCause>) {
        let address = address_of(&connected.config);
        self.shared.lock().outlet.move_to(address);
        let was_refused = std::mem::take(&mut self.is_refused);
        let cause = was_refused.then_some(GapCause::Refused);
        self.inner.connected(connected, moved.or(cause));
    }

    fn poll_run(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        let end = std::task::ready!(self.inner.poll_run(cx));
        if let End::Lost(error) = &end {
            self.failed(error);
        }
        Poll::Ready(end)
    }

    fn leave(&mut self, departure: Departure) -> End {
        self.failed(&departure.error);
        self.inner.leave(departure)
    }

    fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.inner.poll_closed(cx)
    }

    fn attempt_failed(&mut self, error: &Error) {
        self.failed(error);
        let is_refusal = !matches!(error.kind(), ErrorKind::Connection | ErrorKind::Timeout);
        if is_refusal && !std::mem::replace(&mut self.is_refused, true) {
            let mut locked = self.shared.lock();
            let state = &mut *locked;
            let item = Item::Error(error.clone());
            state.outlet.push(item, &mut state.later);
        }
        self.inner.attempt_failed(error);
    }

    fn ended(&mut self, error: Option<Error>) {
        self.inner.ended(error);
    }
}

impl NodeLine for KeyspaceLink {
    fn missed_before(&mut self, missed: Missed, _: Error) {
        self.shared.lock().outlet.missed_before(missed);
    }

    fn last_heard(&self) -> Option<Instant> {
        let state = self.shared.lock();
        state.outlet.last_heard(&state.names)
    }
}
