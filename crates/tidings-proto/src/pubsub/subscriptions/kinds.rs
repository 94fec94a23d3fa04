//! The words that subscriptions are told in.

use std::fmt;
use std::time::Instant;

use crate::blob::Blob;
use crate::error::ServerError;

/// What a name stands for. The same name may be a channel, a pattern and a shard channel at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SubscriptionKind {
    /// A channel (`SUBSCRIBE`).
    Channel,
    /// A pattern (`PSUBSCRIBE`).
    Pattern,
    /// A shard channel (`SSUBSCRIBE`).
    Shard,
}

impl SubscriptionKind {
    pub(super) const ALL: [Self; 3] = [Self::Channel, Self::Pattern, Self::Shard];
}

/// The two directions of a subscription command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verb {
    /// Messages from now on.
    Subscribe,
    /// No messages from now on.
    Unsubscribe,
}

impl Verb {
    /// The kind of a confirmation as the server spells it, in lower case.
    pub fn name(self, kind: SubscriptionKind) -> &'static str {
        use SubscriptionKind::{Channel, Pattern, Shard};
        match (self, kind) {
            (Self::Subscribe, Channel) => "subscribe",
            (Self::Subscribe, Pattern) => "psubscribe",
            (Self::Subscribe, Shard) => "ssubscribe",
            (Self::Unsubscribe, Channel) => "unsubscribe",
            (Self::Unsubscribe, Pattern) => "punsubscribe",
            (Self::Unsubscribe, Shard) => "sunsubscribe",
        }
    }

    pub(super) fn command(self, kind: SubscriptionKind) -> &'static [u8] {
        use SubscriptionKind::{Channel, Pattern, Shard};
        match (self, kind) {
            (Self::Subscribe, Channel) => b"SUBSCRIBE",
            (Self::Subscribe, Pattern) => b"PSUBSCRIBE",
            (Self::Subscribe, Shard) => b"SSUBSCRIBE",
            (Self::Unsubscribe, Channel) => b"UNSUBSCRIBE",
            (Self::Unsubscribe, Pattern) => b"PUNSUBSCRIBE",
            (Self::Unsubscribe, Shard) => b"SUNSUBSCRIBE",
        }
    }
}

/// Why messages may be missing; shown in words, such as `the connection was lost`.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GapCause {
    /// The connection was lost and made again: to the same server, or in a cluster to another node that does as well.
    Disconnected,
    /// A queue was full.
    Overflow,
    /// The slot of a shard channel is with another shard.
    SlotMoved,
    /// A primary failed over: another node of the shard has taken its place, planned or not, or serves in its place until
    /// that has happened. With sentinels, they name another primary.
    Failover,
    /// The node left the cluster or its shard (a replica that has got another primary), or the other nodes agreed that it
    /// failed. It may be there still and answer, cut off from the others.
    NodeLeft,
    /// A shard channel went to a node of its shard that is to be preferred: a replica that has come, or the primary
    /// that can be reached again. Nothing had failed; what was published on the way is missing.
    Relocated,
    /// The node has joined the cluster, and was not listened to before: of what comes from all nodes.
    NodeJoined,
    /// Nodes of the cluster had lost touch with each other, or one of them was started again or has failed: what was published
    /// at one of them may not have reached the node that is listened to.
    Partitioned,
    /// The subscription was refused for a time and then granted again.
    Refused,
}

impl fmt::Display for GapCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Disconnected => "the connection was lost",
            Self::Overflow => "a queue was full",
            Self::SlotMoved => "the slot has moved to another node",
            Self::Failover => "a replica has taken over",
            Self::NodeLeft => "the node has left the cluster or failed",
            Self::Relocated => "another node of the shard is preferred",
            Self::NodeJoined => "the node has joined the cluster",
            Self::Partitioned => "nodes of the cluster had lost touch with each other",
            Self::Refused => "the subscription was refused for a time",
        })
    }
}

/// One request to subscribe or unsubscribe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OpId(pub(crate) u64);

/// What came of it.
#[derive(Debug, Clone)]
pub enum SubscriptionEvent {
    /// The server confirmed one name.
    Confirmed {
        /// Subscribed or unsubscribed.
        verb: Verb,
        /// What the name stands for.
        kind: SubscriptionKind,
        /// The name.
        name: Blob,
        /// How many subscriptions the server counts for this connection.
        count: i64,
    },
    /// A name that had been subscribed was refused when it was to be subscribed again. Said once.
    Refused {
        /// What the name stands for.
        kind: SubscriptionKind,
        /// The name.
        name: Blob,
        /// The server's words.
        error: ServerError,
    },
    /// Messages may be missing before the next one of these names.
    Gap {
        /// Why.
        cause: GapCause,
        /// Since when: the last time at which nothing was missing.
        since: Instant,
        /// The names concerned, as they are subscribed again, and what they stand for.
        names: Vec<(SubscriptionKind, Blob)>,
    },
    /// Messages may be missing of names that were subscribed all the time: others of them may have come meanwhile.
    Missed {
        /// Why.
        cause: GapCause,
        /// Since when: the last time at which nothing was missing.
        since: Instant,
        /// The names concerned.
        names: Vec<(SubscriptionKind, Blob)>,
    },
    /// The server ended the subscription to a shard channel by itself; it is being asked for again.
    Revoked {
        /// The shard channel.
        name: Blob,
    },
    /// The server does not grant a shard channel that had been subscribed, for a reason that passes: it is asked again
    /// soon.
    Deferred {
        /// The shard channel.
        name: Blob,
        /// The server's words.
        error: ServerError,
    },
    /// A request was answered for all of its names.
    Done {
        /// Which request.
        op: OpId,
        /// The names that were refused, with the server's words.
        refused: Vec<(Blob, ServerError)>,
    },
}

/// A name as it is wanted and as the server has it.
#[derive(Debug, Clone)]
pub struct SubscriptionStatus {
    /// What the name stands for.
    pub kind: SubscriptionKind,
    /// The name.
    pub name: Blob,
    /// How wanted and confirmed stand to each other.
    pub state: SubscriptionState,
}

/// How a name is wanted and confirmed.
#[derive(Debug, Clone)]
pub enum SubscriptionState {
    /// Wanted, and confirmed by the server.
    Confirmed,
    /// Wanted; the server has not answered yet.
    Pending,
    /// Wanted; there is no connection at the moment.
    Reconnecting,
    /// Wanted; the server refused it, and is asked again from time to time.
    Refused(ServerError),
    /// No longer wanted; the server has not confirmed that yet.
    Ending,
}
