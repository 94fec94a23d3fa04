//! What can be given to `subscribe`.

use tidings_proto::ToArgs;
use tidings_proto::pubsub::SubscriptionKind;

use super::{Source, SubscriptionBuilder};
use crate::pubsub::names;

/// The marker of names, as they are taken everywhere: one or many, text, bytes or numbers. See [`SubscribeTo`].
#[derive(Clone, Copy, Debug)]
pub struct Names<Shape>(Shape);

/// What [`Client::subscribe`](crate::Client::subscribe) and its like take.
///
/// - names: the request is a [`SubscriptionBuilder`], and gives a [`Subscription`](crate::Subscription);
/// - [senders](crate::Sender) of a receiver: the request is [`Subscribing`](crate::Subscribing), and what comes is read
///   at the receiver.
///
/// `Marker` is always inferred.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be subscribed to",
    label = "neither names nor senders of a `Receiver`",
    note = "names are text, bytes or numbers, one or many: `\"news\"`, `[\"news\", \"weather\"]`"
)]
pub trait SubscribeTo<Marker> {
    /// What is awaited.
    type Request;

    /// What [`blocking::Client::subscribe`](crate::blocking::Client::subscribe) and its like give.
    #[cfg(feature = "blocking")]
    type Blocking;

    /// Makes it.
    #[doc(hidden)]
    fn into_request(self, source: Source, kind: SubscriptionKind) -> Self::Request;

    /// Makes it for a thread.
    #[cfg(feature = "blocking")]
    #[doc(hidden)]
    fn into_blocking(self, source: Source, kind: SubscriptionKind) -> Self::Blocking;
}

impl<Shape, T: ToArgs<Shape>> SubscribeTo<Names<Shape>> for T {
    type Request = SubscriptionBuilder;
    #[cfg(feature = "blocking")]
    type Blocking = crate::blocking::SubscriptionBuilder;

    fn into_request(self, source: Source, kind: SubscriptionKind) -> SubscriptionBuilder {
        SubscriptionBuilder::new(source, kind, names(self))
    }

    #[cfg(feature = "blocking")]
    fn into_blocking(self, source: Source, kind: SubscriptionKind) -> Self::Blocking {
        crate::blocking::SubscriptionBuilder::new(self.into_request(source, kind))
    }
}
