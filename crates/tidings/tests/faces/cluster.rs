//! The cluster's client, with what receives messages as its face has it.

use std::ops::Deref;

use tidings::{
    Bytes, Commands, Config, OneNode, Result, Senders, Sharded, SubscriptionKind, ToArg, ToArgs,
    blocking,
};

use super::subscription::{Subscription, SubscriptionBuilder};
use super::waiting::here;
use super::{Face, PubSubBuilder};

/// A cluster's client: of most commands as [`tidings::ClusterClient`].
#[derive(Debug, Clone)]
pub(crate) struct ClusterClient {
    pub(super) face: Faced,
    commands: tidings::ClusterClient,
}

#[derive(Debug, Clone)]
pub(super) enum Faced {
    Asynchronous(tidings::ClusterClient),
    Blocking(blocking::ClusterClient),
}

impl ClusterClient {
    pub(crate) async fn connect(face: Face, config: Config) -> Self {
        let commands = tidings::ClusterClient::connect(config.clone()).await;
        let commands = commands.expect("the cluster takes connections");
        let face = match face {
            Face::Asynchronous => Faced::Asynchronous(commands.clone()),
            Face::Blocking => {
                let client = here(|| blocking::ClusterClient::connect(config));
                Faced::Blocking(client.expect("the cluster takes connections"))
            }
        };
        Self { face, commands }
    }

    pub(crate) fn pubsub(&self) -> PubSubBuilder<Bytes, OneNode> {
        match &self.face {
            Faced::Asynchronous(client) => PubSubBuilder::Asynchronous(client.pubsub()),
            Faced::Blocking(client) => PubSubBuilder::Blocking(client.pubsub()),
        }
    }

    pub(crate) fn sharded_pubsub(&self) -> PubSubBuilder<Bytes, Sharded> {
        match &self.face {
            Faced::Asynchronous(client) => PubSubBuilder::Asynchronous(client.sharded_pubsub()),
            Faced::Blocking(client) => PubSubBuilder::Blocking(client.sharded_pubsub()),
        }
    }

    pub(crate) async fn publish(&self, channel: impl ToArg, payload: impl ToArg) -> Result<i64> {
        match &self.face {
            Faced::Asynchronous(client) => client.publish(channel, payload).await,
            Faced::Blocking(client) => here(|| client.publish(channel, payload)),
        }
    }

    pub(crate) async fn spublish(&self, channel: impl ToArg, payload: impl ToArg) -> Result<i64> {
        match &self.face {
            Faced::Asynchronous(client) => client.spublish(channel, payload).await,
            Faced::Blocking(client) => here(|| client.spublish(channel, payload)),
        }
    }

    /// A light subscriber.
    pub(crate) async fn subscription<S>(
        &self,
        kind: SubscriptionKind,
        names: impl ToArgs<S>,
    ) -> Result<Subscription> {
        let builder = match &self.face {
            Faced::Asynchronous(client) => SubscriptionBuilder::Asynchronous(match kind {
                SubscriptionKind::Channel => client.subscribe(names),
                SubscriptionKind::Pattern => client.psubscribe(names),
                SubscriptionKind::Shard => client.ssubscribe(names),
            }),
            Faced::Blocking(client) => SubscriptionBuilder::Blocking(match kind {
                SubscriptionKind::Channel => client.subscribe(names),
                SubscriptionKind::Pattern => client.psubscribe(names),
                SubscriptionKind::Shard => client.ssubscribe(names),
            }),
        };
        builder.await
    }

    /// Subscribes shard channels of a receiver.
    pub(crate) async fn ssubscribe_senders(&self, senders: impl Senders) -> Result<()> {
        let senders = senders.into_senders();
        match &self.face {
            Faced::Asynchronous(client) => client.ssubscribe(senders).await,
            Faced::Blocking(client) => here(|| client.ssubscribe(senders)),
        }
    }

    /// Ends that.
    pub(crate) async fn sunsubscribe(&self, senders: impl Senders) -> Result<()> {
        match &self.face {
            Faced::Asynchronous(client) => client.sunsubscribe(senders).await,
            Faced::Blocking(client) => here(|| client.sunsubscribe(senders)),
        }
    }
}

impl Deref for ClusterClient {
    type Target = tidings::ClusterClient;

    fn deref(&self) -> &tidings::ClusterClient {
        &self.commands
    }
}
