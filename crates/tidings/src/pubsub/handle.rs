//! The part of a subscriber that can be cloned.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tidings_proto::pubsub::{SubscriptionKind, Verb};
use tidings_proto::{Arg, Charset, ToArgs};
use tokio::sync::oneshot;

use super::{Kinds, Plain, names, request};
use crate::driver::subscriber::Shared;
use crate::driver::subscriber::single::{Asker, Single};
use crate::error::{Error, Result};

/// Subscribes and unsubscribes for a [`PubSub`](crate::PubSub) from elsewhere: another task, or a handler.
///
/// Unlike most futures, what these methods return has done its work when the call returns: the request is made,
/// and awaiting it waits for the server's answer. So a handler that is not asynchronous can call them too, and
/// drop what they return.
///
/// Await the answer in another task than the one that reads, or in an asynchronous handler: with
/// [`Overflow::Backpressure`](crate::Overflow::Backpressure) and a full queue it comes when the reader has made room.
/// (The methods of the `PubSub` itself do not wait for that.)
pub struct PubSubHandle<K = Plain> {
    shared: Arc<Shared<Single>>,
    kinds: PhantomData<fn() -> K>,
}

impl<K> PubSubHandle<K> {
    pub(super) fn new(shared: Arc<Shared<Single>>) -> Self {
        Self {
            shared,
            kinds: PhantomData,
        }
    }

    pub(crate) fn charset(&self) -> Charset {
        self.shared.charset()
    }

    /// Whether anything is wanted.
    pub fn is_subscribed(&self) -> bool {
        self.shared.is_subscribed()
    }

    fn request(&self, verb: Verb, kind: SubscriptionKind, names: &[Arg]) -> Confirming {
        request(&self.shared, verb, kind, names, Asker::Handle)
    }
}

impl<K: Kinds> PubSubHandle<K> {
    /// Subscribes to channels; as [`PubSub::subscribe`](crate::PubSub::subscribe).
    ///
    /// While the subscriber [runs in the background](crate::PubSub::spawn), a name that is not subscribed is a
    /// [misuse](crate::ErrorKind::Misuse), since it would have no handler.
    pub fn subscribe<S>(&self, channels: impl ToArgs<S>) -> Confirming {
        self.request(Verb::Subscribe, K::CHANNEL, &names(channels))
    }

    /// Ends subscriptions to channels; as [`PubSub::unsubscribe`](crate::PubSub::unsubscribe).
    pub fn unsubscribe<S>(&self, channels: impl ToArgs<S>) -> Confirming {
        self.request(Verb::Unsubscribe, K::CHANNEL, &names(channels))
    }
}

impl PubSubHandle {
    /// Subscribes to patterns; as [`PubSub::psubscribe`](crate::PubSub::psubscribe).
    pub fn psubscribe<S>(&self, patterns: impl ToArgs<S>) -> Confirming {
        self.request(Verb::Subscribe, SubscriptionKind::Pattern, &names(patterns))
    }

    /// Subscribes to shard channels; as [`PubSub::ssubscribe`](crate::PubSub::ssubscribe).
    pub fn ssubscribe<S>(&self, channels: impl ToArgs<S>) -> Confirming {
        self.request(Verb::Subscribe, SubscriptionKind::Shard, &names(channels))
    }

    /// Ends subscriptions to patterns; as [`PubSub::punsubscribe`](crate::PubSub::punsubscribe).
    pub fn punsubscribe<S>(&self, patterns: impl ToArgs<S>) -> Confirming {
        self.request(
            Verb::Unsubscribe,
            SubscriptionKind::Pattern,
            &names(patterns),
        )
    }

    /// Ends subscriptions to shard channels; as [`PubSub::sunsubscribe`](crate::PubSub::sunsubscribe).
    pub fn sunsubscribe<S>(&self, channels: impl ToArgs<S>) -> Confirming {
        self.request(Verb::Unsubscribe, SubscriptionKind::Shard, &names(channels))
    }
}

impl<K> Clone for PubSubHandle<K> {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.shared))
    }
}

impl<K> fmt::Debug for PubSubHandle<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PubSubHandle").finish_non_exhaustive()
    }
}

/// A request that was made; awaited, it waits for the server's answer. Dropping it changes nothing.
#[derive(Debug)]
pub struct Confirming(Result<oneshot::Receiver<Result<()>>, Option<Error>>);

impl Confirming {
    pub(crate) fn new(answer: Result<oneshot::Receiver<Result<()>>>) -> Self {
        Self(answer.map_err(Some))
    }
}

impl Future for Confirming {
    type Output = Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Ok(answer) => {
                let outcome = std::task::ready!(Pin::new(answer).poll(cx));
                self.0 = Err(None);
                Poll::Ready(
                    outcome.unwrap_or_else(|_| {
                        Err(Error::closed("the runtime of this subscriber ended"))
                    }),
                )
            }
            Err(error) => Poll::Ready(Err(error.take().unwrap_or_else(|| {
                Error::misuse("a confirmation was awaited again after its end")
            }))),
        }
    }
}
