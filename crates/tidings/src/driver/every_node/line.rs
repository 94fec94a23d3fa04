//! The line to one node: a connection that is made again when it is lost, until the node is not wanted any more.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use tidings_proto::cluster::{Address, Missed};
use tidings_proto::pubsub::GapCause;
use tokio::sync::oneshot;

use super::states::NodeState;
use crate::driver::place::{Departure, Place};
use crate::driver::supervise::{self, Connected, End, Link};
use crate::error::Error;

/// What serves the connections to a node.
pub(crate) trait NodeLine: Link + Send + 'static {
    /// What is missing of before the first connection. Where that is known already, nothing is changed.
    fn missed_before(&mut self, missed: Missed, error: Error);

    /// The last time at which surely nothing was missing; `None` if that has not begun.
    fn last_heard(&self) -> Option<Instant>;
}

/// What has become of a line.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) node: Address,
    /// The last time at which it surely missed nothing.
    pub(super) last: Instant,
    /// Why it cannot go on, if it was not told to end.
    pub(super) error: Option<Error>,
}

/// A line that can be ended.
struct Ending<L> {
    inner: L,
    state: NodeState,
    made: Instant,
    /// Comes when the node is left.
    leaving: oneshot::Receiver<Departure>,
    is_left: bool,
    ended: Option<oneshot::Sender<Ended>>,
}

/// Serves a node until `leaving` comes, or is dropped.
pub(super) async fn serve<L: NodeLine>(
    place: Place,
    inner: L,
    state: NodeState,
    leaving: oneshot::Receiver<Departure>,
) -> Ended {
    let made = Instant::now();
    let node = state.address().clone();
    let (ended, outcome) = oneshot::channel();
    let line = Ending {
        inner,
        state,
        made,
        leaving,
        is_left: false,
        ended: Some(ended),
    };
    supervise::supervise(place, None, line).await;
    outcome.await.unwrap_or(Ended {
        node,
        last: made,
        error: None,
    })
}

impl<L: NodeLine> Ending<L> {
    /// Ready when the node is left; why, if somebody said so.
    fn poll_leaving(&mut self, cx: &mut Context<'_>) -> Poll<Option<Departure>> {
        if self.is_left {
            return Poll::Ready(None);
        }
        let departure = std::task::ready!(Pin::new(&mut self.leaving).poll(cx));
        self.is_left = true;
        Poll::Ready(departure.ok())
    }
}

impl<L: NodeLine> Link for Ending<L> {
    fn connected(&mut self, connected: Connected, moved: Option<GapCause>) {
        self.inner.connected(connected, moved);
    }

    fn poll_run(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        if let Poll::Ready(departure) = self.poll_leaving(cx) {
            if let Some(departure) = departure {
                self.inner.leave(departure);
            }
            return Poll::Ready(End::Closed);
        }
        self.inner.poll_run(cx)
    }

    fn leave(&mut self, departure: Departure) -> End {
        self.state.failed(&departure.error);
        self.inner.leave(departure)
    }

    fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.poll_leaving(cx).is_ready() {
            return Poll::Ready(());
        }
        self.inner.poll_closed(cx)
    }

    fn attempt_failed(&mut self, error: &Error) {
        self.state.failed(error);
        // Unless it has been there before.
        if self.inner.last_heard().is_none() {
            let missed = Missed {
                since: self.made,
                cause: GapCause::Disconnected,
            };
            self.inner.missed_before(missed, error.clone());
        }
        self.inner.attempt_failed(error);
    }

    fn ended(&mut self, error: Option<Error>) {
        if let Some(ended) = self.ended.take() {
            let _ = ended.send(Ended {
                node: self.state.address().clone(),
                last: self.inner.last_heard().unwrap_or(self.made),
                error: error.clone(),
            });
        }
        self.inner.ended(error);
    }
}
