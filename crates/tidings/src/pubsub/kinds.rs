//! What a subscriber can subscribe to.

use tidings_proto::pubsub::SubscriptionKind;

/// A subscriber of channels, patterns and shard channels on one server: the usual one.
#[derive(Debug, Clone, Copy)]
#[allow(
    clippy::exhaustive_enums,
    reason = "there is none: it only marks a type"
)]
pub enum Plain {}

/// A subscriber of the shard channels of a cluster, wherever their slots are: a
/// [`ShardedPubSub`](crate::ShardedPubSub).
#[derive(Debug, Clone, Copy)]
#[allow(
    clippy::exhaustive_enums,
    reason = "there is none: it only marks a type"
)]
pub enum Sharded {}

/// What a [`PubSub`](crate::PubSub) subscribes to: [`Plain`] or [`Sharded`].
pub trait Kinds: sealed::Sealed + Send + Sync + 'static {
    /// What its channels are to the server.
    #[doc(hidden)]
    const CHANNEL: SubscriptionKind;
}

impl Kinds for Plain {
    const CHANNEL: SubscriptionKind = SubscriptionKind::Channel;
}

impl Kinds for Sharded {
    const CHANNEL: SubscriptionKind = SubscriptionKind::Shard;
}

/// A subscriber on one node of a cluster, whose builder chooses the node.
#[derive(Debug, Clone, Copy)]
#[allow(
    clippy::exhaustive_enums,
    reason = "there is none: it only marks a type"
)]
pub enum OneNode {}

/// Whose subscriber a [`PubSubBuilder`](crate::PubSubBuilder) makes: a [`Client`](crate::Client)'s ([`Plain`]), or a
/// [`ClusterClient`](crate::ClusterClient)'s on one node ([`OneNode`]) or on all that are needed ([`Sharded`]).
pub trait Origin: sealed::Sealed + Send + Sync + 'static {
    /// What it subscribes to.
    type Kinds: Kinds;
}

impl Origin for Plain {
    type Kinds = Plain;
}

impl Origin for OneNode {
    type Kinds = Plain;
}

impl Origin for Sharded {
    type Kinds = Sharded;
}

mod sealed {
    pub trait Sealed {}

    impl Sealed for super::OneNode {}
    impl Sealed for super::Plain {}
    impl Sealed for super::Sharded {}
}
