//! The light subscriber and its builder, with the methods that both faces have.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::time::Duration;

use tidings::{
    Bytes, Event, FromPayload, Names, Overflow, Result, Senders, SendersOf, Stats, SubscribeTo,
    SubscriptionKind, ToArgs, blocking,
};

use super::cluster::{ClusterClient, Faced as FacedCluster};
use super::waiting::here;
use super::{Client, Faced};
use crate::support::Reads;

/// What is awaited, of either face.
type Waits<T> = Pin<Box<dyn Future<Output = Result<T>> + Send>>;

/// What `subscribe` and its like take: names or senders.
pub(crate) trait Subscribes<Marker>: SubscribeTo<Marker> + Sized {
    /// What is awaited.
    type Both;

    fn on(self, client: &Client, kind: SubscriptionKind) -> Self::Both;

    fn on_cluster(self, client: &ClusterClient, kind: SubscriptionKind) -> Self::Both;
}

/// The method of a client for this kind.
macro_rules! subscribed {
    ($client:expr, $kind:expr, $what:expr) => {
        match $kind {
            SubscriptionKind::Channel => $client.subscribe($what),
            SubscriptionKind::Pattern => $client.psubscribe($what),
            SubscriptionKind::Shard => $client.ssubscribe($what),
        }
    };
}

impl<S, T: ToArgs<S>> Subscribes<Names<S>> for T {
    type Both = SubscriptionBuilder;

    fn on(self, client: &Client, kind: SubscriptionKind) -> SubscriptionBuilder {
        match &client.face {
            Faced::Asynchronous(client) => {
                SubscriptionBuilder::Asynchronous(subscribed!(client, kind, self))
            }
            Faced::Blocking(client) => {
                SubscriptionBuilder::Blocking(subscribed!(client, kind, self))
            }
        }
    }

    fn on_cluster(self, client: &ClusterClient, kind: SubscriptionKind) -> SubscriptionBuilder {
        match &client.face {
            FacedCluster::Asynchronous(client) => {
                SubscriptionBuilder::Asynchronous(subscribed!(client, kind, self))
            }
            FacedCluster::Blocking(client) => {
                SubscriptionBuilder::Blocking(subscribed!(client, kind, self))
            }
        }
    }
}

impl<T: Senders> Subscribes<SendersOf> for T {
    type Both = Waits<()>;

    fn on(self, client: &Client, kind: SubscriptionKind) -> Waits<()> {
        match client.face.clone() {
            Faced::Asynchronous(client) => Box::pin(subscribed!(client, kind, self)),
            Faced::Blocking(client) => {
                let senders = self.into_senders();
                Box::pin(async move { here(|| subscribed!(client, kind, senders)) })
            }
        }
    }

    fn on_cluster(self, client: &ClusterClient, kind: SubscriptionKind) -> Waits<()> {
        match client.face.clone() {
            FacedCluster::Asynchronous(client) => Box::pin(subscribed!(client, kind, self)),
            FacedCluster::Blocking(client) => {
                let senders = self.into_senders();
                Box::pin(async move { here(|| subscribed!(client, kind, senders)) })
            }
        }
    }
}

/// Methods that end what senders have subscribed.
macro_rules! unsubscribing {
    ($faced:ident: $($method:ident)+) => {
        $(
            pub(crate) async fn $method(&self, senders: impl Senders) -> Result<()> {
                match &self.face {
                    $faced::Asynchronous(client) => client.$method(senders).await,
                    $faced::Blocking(client) => here(|| client.$method(senders)),
                }
            }
        )+
    };
}

impl Client {
    pub(crate) fn subscribe<M, T: Subscribes<M>>(&self, channels: T) -> T::Both {
        channels.on(self, SubscriptionKind::Channel)
    }

    pub(crate) fn psubscribe<M, T: Subscribes<M>>(&self, patterns: T) -> T::Both {
        patterns.on(self, SubscriptionKind::Pattern)
    }

    pub(crate) fn ssubscribe<M, T: Subscribes<M>>(&self, channels: T) -> T::Both {
        channels.on(self, SubscriptionKind::Shard)
    }

    unsubscribing! { Faced: unsubscribe punsubscribe sunsubscribe }
}

impl ClusterClient {
    pub(crate) fn subscribe<M, T: Subscribes<M>>(&self, channels: T) -> T::Both {
        channels.on_cluster(self, SubscriptionKind::Channel)
    }

    pub(crate) fn psubscribe<M, T: Subscribes<M>>(&self, patterns: T) -> T::Both {
        patterns.on_cluster(self, SubscriptionKind::Pattern)
    }

    pub(crate) fn ssubscribe<M, T: Subscribes<M>>(&self, channels: T) -> T::Both {
        channels.on_cluster(self, SubscriptionKind::Shard)
    }

    unsubscribing! { FacedCluster: unsubscribe punsubscribe sunsubscribe }
}

#[derive(Debug)]
pub(crate) enum SubscriptionBuilder<P = Bytes> {
    Asynchronous(tidings::SubscriptionBuilder<P>),
    Blocking(blocking::SubscriptionBuilder<P>),
}

/// The same method of either builder.
macro_rules! built {
    ($builder:expr, $inner:ident => $call:expr) => {
        match $builder {
            SubscriptionBuilder::Asynchronous($inner) => SubscriptionBuilder::Asynchronous($call),
            SubscriptionBuilder::Blocking($inner) => SubscriptionBuilder::Blocking($call),
        }
    };
}

impl<P> SubscriptionBuilder<P> {
    pub(crate) fn queue(self, messages: usize, bytes: usize) -> Self {
        built!(self, builder => builder.queue(messages, bytes))
    }

    pub(crate) fn overflow(self, overflow: Overflow) -> Self {
        built!(self, builder => builder.overflow(overflow))
    }

    pub(crate) fn payload<T: FromPayload>(self) -> SubscriptionBuilder<T> {
        built!(self, builder => builder.payload())
    }
}

impl<P: FromPayload> IntoFuture for SubscriptionBuilder<P> {
    type Output = Result<Subscription<P>>;
    type IntoFuture = Waits<Subscription<P>>;

    fn into_future(self) -> Self::IntoFuture {
        match self {
            Self::Asynchronous(builder) => {
                Box::pin(async { builder.await.map(Subscription::Asynchronous) })
            }
            Self::Blocking(builder) => {
                Box::pin(async { here(|| builder.open()).map(Subscription::Blocking) })
            }
        }
    }
}

#[derive(Debug)]
pub(crate) enum Subscription<P = Bytes> {
    Asynchronous(tidings::Subscription<P>),
    Blocking(blocking::Subscription<P>),
}

/// A method that waits, of either face.
macro_rules! waits {
    ($subscription:expr, $inner:ident => $call:expr) => {
        match $subscription {
            Subscription::Asynchronous($inner) => $call.await,
            Subscription::Blocking($inner) => here(|| $call),
        }
    };
}

/// A method that does not, of either face.
macro_rules! looks {
    ($subscription:expr, $inner:ident => $call:expr) => {
        match $subscription {
            Subscription::Asynchronous($inner) => $call,
            Subscription::Blocking($inner) => $call,
        }
    };
}

impl<P: FromPayload> Subscription<P> {
    pub(crate) async fn next(&mut self) -> Option<Result<Event<P>>> {
        waits!(self, subscription => subscription.next())
    }

    pub(crate) async fn get_message(&mut self, timeout: Duration) -> Result<Option<Event<P>>> {
        waits!(self, subscription => subscription.get_message(timeout))
    }

    pub(crate) async fn drain(&mut self) -> Result<()> {
        waits!(self, subscription => subscription.drain())
    }

    pub(crate) fn kind(&self) -> SubscriptionKind {
        looks!(self, subscription => subscription.kind())
    }

    pub(crate) fn names(&self) -> Vec<&[u8]> {
        looks!(self, subscription => subscription.names().collect())
    }

    pub(crate) fn stats(&self) -> Stats {
        looks!(self, subscription => subscription.stats())
    }
}

impl Reads for Subscription {
    async fn next(&mut self) -> Option<Result<Event>> {
        self.next().await
    }

    async fn get_message(&mut self, timeout: Duration) -> Result<Option<Event>> {
        self.get_message(timeout).await
    }
}
