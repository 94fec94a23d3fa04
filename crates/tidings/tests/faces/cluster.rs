//! The cluster's client, with what receives messages as its face has it.

use std::ops::Deref;

use tidings::{
    Bytes, Commands, Config, IntoClusterConfig, OneNode, Result, Sharded, ToArg, blocking,
};

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

    /// Whether one can connect like this.
    pub(crate) async fn can_connect(face: Face, nodes: impl IntoClusterConfig) -> Result<()> {
        match face {
            Face::Asynchronous => tidings::ClusterClient::connect(nodes).await.map(drop),
            Face::Blocking => here(|| blocking::ClusterClient::connect(nodes)).map(drop),
        }
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
}

impl Deref for ClusterClient {
    type Target = tidings::ClusterClient;

    fn deref(&self) -> &tidings::ClusterClient {
        &self.commands
    }
}
