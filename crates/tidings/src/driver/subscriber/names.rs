//! What a subscriber wants, over one connection or over those to the nodes of a cluster.

use std::time::Instant;

use tidings_proto::cluster::{LineId, Missed, ShardedSubscriptions};
use tidings_proto::pubsub::{
    GapCause, OpId, SubscriptionEvent, SubscriptionKind, SubscriptionStatus,
};
use tidings_proto::{Blob, ServerError, Subscriptions};

/// The names that are wanted, and where they are.
#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "the large one is the usual one, and looked at for each message"
)]
pub(crate) enum Names {
    /// Over the one connection that there is at a time.
    One(Subscriptions),
    /// Shard channels, over a connection to each node that has some of their slots.
    Sharded(Box<ShardedSubscriptions>),
}

/// How a connection was lost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Loss {
    /// The last time at which it surely was there.
    pub(crate) last_heard: Instant,
    /// Why messages are missed.
    pub(crate) cause: GapCause,
    /// The peer did not answer any more.
    pub(crate) silent: bool,
}

macro_rules! on_names {
    ($names:expr, $one:ident => $of_one:expr, $sharded:ident => $of_sharded:expr) => {
        match $names {
            Names::One($one) => $of_one,
            Names::Sharded($sharded) => $of_sharded,
        }
    };
}

impl Names {
    pub(crate) fn is_idle(&self) -> bool {
        on_names!(self, one => one.is_idle(), sharded => sharded.is_idle())
    }

    /// The names of one kind that are wanted, in the order of subscription.
    pub(crate) fn wanted(&self, kind: SubscriptionKind) -> Vec<Blob> {
        on_names!(self, one => one.wanted(kind), sharded => match kind {
            SubscriptionKind::Shard => sharded.wanted(),
            _ => Vec::new(),
        })
    }

    pub(crate) fn wanted_len(&self) -> usize {
        on_names!(self, one => one.wanted_len(), sharded => sharded.wanted_len())
    }

    pub(crate) fn is_wanted(&self, kind: SubscriptionKind, name: &[u8]) -> bool {
        on_names!(self, one => one.is_wanted(kind, name), sharded => sharded.is_wanted(name))
    }

    pub(crate) fn missed(
        &self,
        kind: SubscriptionKind,
        name: &[u8],
    ) -> Option<(Instant, GapCause)> {
        on_names!(self, one => one.missed(kind, name), sharded => sharded.missed(name))
    }

    pub(crate) fn refusal(&self, kind: SubscriptionKind, name: &[u8]) -> Option<&ServerError> {
        on_names!(self, one => one.refusal(kind, name), sharded => sharded.refusal(name))
    }

    pub(crate) fn list(&self) -> Vec<SubscriptionStatus> {
        on_names!(self, one => one.list(), sharded => sharded.list())
    }

    /// The connection that a name is on, if it is on one that is there.
    pub(crate) fn line_of(&self, name: &[u8]) -> Option<LineId> {
        on_names!(self, one => one.is_online().then_some(LineId::ONLY), sharded => sharded.line_of(name))
    }

    // ---- requests ----

    pub(crate) fn subscribe(&mut self, kind: SubscriptionKind, names: Vec<Blob>) -> OpId {
        on_names!(self, one => one.subscribe(kind, names), sharded => sharded.subscribe(names))
    }

    pub(crate) fn unsubscribe(&mut self, kind: SubscriptionKind, names: Vec<Blob>) -> OpId {
        on_names!(self, one => one.unsubscribe(kind, names), sharded => sharded.unsubscribe(names))
    }

    pub(crate) fn unsubscribe_all(&mut self, kind: SubscriptionKind) -> Option<OpId> {
        on_names!(self, one => one.unsubscribe_all(kind), sharded => match kind {
            SubscriptionKind::Shard => sharded.unsubscribe_all(),
            _ => None,
        })
    }

    // ---- connections ----

    /// What is wanted on a connection; `None` if that is of no use any more.
    pub(crate) fn on_line(&mut self, line: LineId) -> Option<&mut Subscriptions> {
        on_names!(self, one => Some(one), sharded => sharded.line_mut(line))
    }

    pub(crate) fn connected(&mut self, line: LineId, now: Instant) {
        on_names!(self, one => one.connected(), sharded => sharded.opened(line, now));
    }

    pub(crate) fn lost(&mut self, line: LineId, loss: Loss, now: Instant) {
        on_names!(self, one => one.lost(loss.last_heard, loss.cause), sharded => {
            sharded.lost(line, loss.last_heard, loss.silent, now);
        });
    }

    /// Messages of all names on a connection may be missing, though it is well.
    pub(crate) fn miss(&mut self, line: LineId, missed: Missed) {
        let Missed { since, cause } = missed;
        on_names!(self, one => one.miss(since, cause, |_| true), sharded => {
            sharded.miss(line, since, cause);
        });
    }

    /// What the node of a connection has from its primary surely was whole then.
    pub(crate) fn heard(&mut self, line: LineId, as_of: Option<Instant>) {
        on_names!(self, _one => {}, sharded => sharded.heard(line, as_of));
    }

    /// More is known of why messages were missed while the connection was away.
    pub(crate) fn explain(&mut self, cause: GapCause) {
        on_names!(self, one => one.explain(cause), _sharded => {});
    }

    /// Whether all names are on the same connection, and so lost with it.
    pub(crate) fn are_together(&self) -> bool {
        matches!(self, Self::One(_))
    }

    // ---- events ----

    /// Takes what came of a connection; what it means comes by [`poll_event`](Self::poll_event).
    pub(crate) fn handle_event(
        &mut self,
        line: LineId,
        event: SubscriptionEvent,
        now: Instant,
    ) -> Option<SubscriptionEvent> {
        on_names!(self, _one => Some(event), sharded => {
            sharded.handle_event(line, event, now);
            None
        })
    }

    pub(crate) fn poll_event(&mut self) -> Option<SubscriptionEvent> {
        on_names!(self, one => one.poll_event(), sharded => sharded.poll_event())
    }
}
