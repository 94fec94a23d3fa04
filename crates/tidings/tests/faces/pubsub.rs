//! The Pub/Sub object, its builder and its handle, with the methods that both faces have.

use std::fmt;
use std::future::{Future, IntoFuture, poll_fn};
use std::pin::Pin;
use std::time::Duration;

use futures_core::Stream;
use tidings::{
    Bytes, Error, Event, FromPayload, Gap, HandlerOutcome, Kinds, Message, OneNode, Origin,
    Overflow, Plain, Result, Sharded, Stats, SubscriptionStatus, ToArg, ToArgs, blocking,
};

use super::waiting::{at_once, here};
use crate::support::Reads;

#[derive(Debug)]
pub(crate) enum PubSubBuilder<P = Bytes, O: Origin = Plain> {
    Asynchronous(tidings::PubSubBuilder<P, O>),
    Blocking(blocking::PubSubBuilder<P, O>),
}

/// The same method of either builder.
macro_rules! built {
    ($builder:expr, $inner:ident => $call:expr) => {
        match $builder {
            PubSubBuilder::Asynchronous($inner) => PubSubBuilder::Asynchronous($call),
            PubSubBuilder::Blocking($inner) => PubSubBuilder::Blocking($call),
        }
    };
}

impl<P, O: Origin<Kinds = Plain>> PubSubBuilder<P, O> {
    pub(crate) fn patterns<S>(self, patterns: impl ToArgs<S>) -> Self {
        built!(self, builder => builder.patterns(patterns))
    }
}

impl<P> PubSubBuilder<P, OneNode> {
    pub(crate) fn node(self, address: impl fmt::Display) -> Self {
        built!(self, builder => builder.node(address))
    }

    pub(crate) fn read_from_replicas(self, read: bool) -> Self {
        built!(self, builder => builder.read_from_replicas(read))
    }
}

impl<P> PubSubBuilder<P, Sharded> {
    pub(crate) fn read_from_replicas(self, read: bool) -> Self {
        built!(self, builder => builder.read_from_replicas(read))
    }
}

impl<P, O: Origin> PubSubBuilder<P, O> {
    pub(crate) fn channels<S>(self, channels: impl ToArgs<S>) -> Self {
        built!(self, builder => builder.channels(channels))
    }

    pub(crate) fn ignore_subscribe_messages(self, ignore: bool) -> Self {
        built!(self, builder => builder.ignore_subscribe_messages(ignore))
    }

    pub(crate) fn queue(self, messages: usize, bytes: usize) -> Self {
        built!(self, builder => builder.queue(messages, bytes))
    }

    pub(crate) fn overflow(self, overflow: Overflow) -> Self {
        built!(self, builder => builder.overflow(overflow))
    }

    pub(crate) fn payload<T: FromPayload>(self) -> PubSubBuilder<T, O> {
        built!(self, builder => builder.payload())
    }
}

impl<P: FromPayload, O: Origin> IntoFuture for PubSubBuilder<P, O> {
    type Output = Result<PubSub<P, O::Kinds>>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        match self {
            Self::Asynchronous(builder) => {
                Box::pin(async { builder.await.map(PubSub::Asynchronous) })
            }
            Self::Blocking(builder) => {
                Box::pin(async { here(|| builder.open()).map(PubSub::Blocking) })
            }
        }
    }
}

#[derive(Debug)]
pub(crate) enum PubSub<P = Bytes, K = Plain> {
    Asynchronous(tidings::PubSub<P, K>),
    Blocking(blocking::PubSub<P, K>),
}

/// A method that waits, of either face.
macro_rules! waits {
    ($pubsub:expr, $inner:ident => $call:expr) => {
        match $pubsub {
            PubSub::Asynchronous($inner) => $call.await,
            PubSub::Blocking($inner) => here(|| $call),
        }
    };
}

/// A method that does not, of either face.
macro_rules! looks {
    ($pubsub:expr, $inner:ident => $call:expr) => {
        match $pubsub {
            PubSub::Asynchronous($inner) => $call,
            PubSub::Blocking($inner) => $call,
        }
    };
}

/// Methods that take names.
macro_rules! taking_names {
    ($($method:ident)+) => {
        $(
            pub(crate) async fn $method<S>(&mut self, names: impl ToArgs<S>) -> Result<()> {
                waits!(self, pubsub => pubsub.$method(names))
            }
        )+
    };
}

/// Methods that take a name and a handler.
macro_rules! taking_handlers {
    ($($method:ident)+) => {
        $(
            pub(crate) async fn $method<R: HandlerOutcome>(
                &mut self,
                name: impl ToArg,
                handler: impl FnMut(Message<P>) -> R + Send + 'static,
            ) -> Result<()> {
                waits!(self, pubsub => pubsub.$method(name, handler))
            }
        )+
    };
}

/// Methods without arguments that wait.
macro_rules! taking_nothing {
    ($($method:ident)+) => {
        $(
            pub(crate) async fn $method(&mut self) -> Result<()> {
                waits!(self, pubsub => pubsub.$method())
            }
        )+
    };
}

impl<P: FromPayload> PubSub<P> {
    taking_names! { psubscribe ssubscribe punsubscribe sunsubscribe }
    taking_handlers! { psubscribe_with ssubscribe_with }
    taking_nothing! { punsubscribe_all sunsubscribe_all }

    pub(crate) fn patterns(&self) -> Vec<Bytes> {
        looks!(self, pubsub => pubsub.patterns())
    }

    pub(crate) fn shard_channels(&self) -> Vec<Bytes> {
        looks!(self, pubsub => pubsub.shard_channels())
    }
}

impl<P: FromPayload, K: Kinds> PubSub<P, K> {
    /// For what only the asynchronous face has.
    pub(crate) fn asynchronous(&mut self) -> &mut tidings::PubSub<P, K> {
        match self {
            Self::Asynchronous(pubsub) => pubsub,
            Self::Blocking(_) => panic!("the blocking face has no such thing"),
        }
    }

    taking_names! { subscribe unsubscribe }
    taking_handlers! { subscribe_with }

    /// A handler that waits for something: by awaiting it, or by blocking.
    pub(crate) async fn subscribe_with_waiting<F>(
        &mut self,
        name: impl ToArg,
        handler: impl FnMut(Message<P>) -> F + Send + 'static,
    ) -> Result<()>
    where
        F: Future<Output: HandlerOutcome> + Send + 'static,
    {
        match self {
            Self::Asynchronous(pubsub) => pubsub.subscribe_with_async(name, handler).await,
            Self::Blocking(pubsub) => {
                let mut handler = handler;
                let blocks = move |message| at_once(handler(message));
                here(|| pubsub.subscribe_with(name, blocks))
            }
        }
    }

    taking_nothing! { unsubscribe_all ping drain close }

    pub(crate) fn on_gap(&mut self, handler: impl FnMut(&Gap) + Send + 'static) {
        looks!(self, pubsub => pubsub.on_gap(handler));
    }

    pub(crate) async fn next(&mut self) -> Option<Result<Event<P>>> {
        waits!(self, pubsub => pubsub.next())
    }

    /// The next item of the stream or of the iterator that it is.
    pub(crate) async fn next_item(&mut self) -> Option<Result<Event<P>>> {
        match self {
            Self::Asynchronous(pubsub) => poll_fn(|cx| Pin::new(&mut *pubsub).poll_next(cx)).await,
            Self::Blocking(pubsub) => here(|| Iterator::next(pubsub)),
        }
    }

    pub(crate) async fn get_message(&mut self, timeout: Duration) -> Result<Option<Event<P>>> {
        waits!(self, pubsub => pubsub.get_message(timeout))
    }

    pub(crate) async fn next_message(&mut self, timeout: Duration) -> Result<Option<Event<P>>> {
        waits!(self, pubsub => pubsub.next_message(timeout))
    }

    pub(crate) fn channels(&self) -> Vec<Bytes> {
        looks!(self, pubsub => pubsub.channels())
    }

    pub(crate) fn is_subscribed(&self) -> bool {
        looks!(self, pubsub => pubsub.is_subscribed())
    }

    pub(crate) fn subscriptions(&self) -> Vec<SubscriptionStatus> {
        looks!(self, pubsub => pubsub.subscriptions())
    }

    pub(crate) fn last_connect_error(&self) -> Option<Error> {
        looks!(self, pubsub => pubsub.last_connect_error())
    }

    pub(crate) fn stats(&self) -> Stats {
        looks!(self, pubsub => pubsub.stats())
    }

    pub(crate) fn handle(&self) -> Handle<K> {
        match self {
            Self::Asynchronous(pubsub) => Handle::Asynchronous(pubsub.handle()),
            Self::Blocking(pubsub) => Handle::Blocking(pubsub.handle()),
        }
    }
}

impl<K: Kinds> Reads for PubSub<Bytes, K> {
    async fn next(&mut self) -> Option<Result<Event>> {
        self.next().await
    }

    async fn get_message(&mut self, timeout: Duration) -> Result<Option<Event>> {
        self.get_message(timeout).await
    }
}

#[derive(Debug)]
pub(crate) enum Handle<K = Plain> {
    Asynchronous(tidings::PubSubHandle<K>),
    Blocking(blocking::PubSubHandle<K>),
}

impl<K> Clone for Handle<K> {
    fn clone(&self) -> Self {
        match self {
            Self::Asynchronous(handle) => Self::Asynchronous(handle.clone()),
            Self::Blocking(handle) => Self::Blocking(handle.clone()),
        }
    }
}

/// Methods of the handle that wait for the server's answer.
macro_rules! requesting {
    ($($method:ident)+) => {
        $(
            pub(crate) async fn $method<S>(&self, names: impl ToArgs<S>) -> Result<()> {
                match self {
                    Self::Asynchronous(handle) => handle.$method(names).await,
                    Self::Blocking(handle) => here(|| handle.$method(names)),
                }
            }
        )+
    };
}

impl Handle {
    requesting! { psubscribe ssubscribe punsubscribe sunsubscribe }

    /// A handle that makes its requests by the call, and waits for nothing.
    pub(crate) fn without_waiting(&self) -> Asking {
        match self {
            Self::Asynchronous(handle) => Asking::Asynchronous(handle.clone()),
            Self::Blocking(handle) => Asking::Blocking(handle.without_waiting()),
        }
    }
}

impl<K: Kinds> Handle<K> {
    requesting! { subscribe unsubscribe }

    pub(crate) fn is_subscribed(&self) -> bool {
        match self {
            Self::Asynchronous(handle) => handle.is_subscribed(),
            Self::Blocking(handle) => handle.is_subscribed(),
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) enum Asking {
    Asynchronous(tidings::PubSubHandle),
    Blocking(blocking::PubSubHandle),
}

/// Methods of the handle that make a request and do not wait for its answer.
macro_rules! asking {
    ($($method:ident)+) => {
        $(
            pub(crate) fn $method<S>(&self, names: impl ToArgs<S>) {
                match self {
                    Self::Asynchronous(handle) => drop(handle.$method(names)),
                    Self::Blocking(handle) => handle.$method(names).expect("it can be asked for"),
                }
            }
        )+
    };
}

impl Asking {
    asking! { subscribe psubscribe ssubscribe unsubscribe punsubscribe sunsubscribe }
}
