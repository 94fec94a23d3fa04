//! Whose subscriptions share a connection.

use std::sync::Arc;

use tidings_proto::Charset;
use tidings_proto::pubsub::SubscriptionKind;

use super::hub::Hubbed;
use crate::client::Client;
use crate::cluster::ClusterClient;
use crate::error::Result;

/// The client that something is subscribed with.
#[derive(Debug, Clone)]
#[allow(
    clippy::exhaustive_enums,
    reason = "it is internal: nobody can name it"
)]
pub enum Source {
    /// Of one server.
    Client(Client),
    /// Of a cluster.
    Cluster(ClusterClient),
}

impl Source {
    pub(crate) fn charset(&self) -> Charset {
        match self {
            Self::Client(client) => client.charset(),
            Self::Cluster(cluster) => cluster.charset(),
        }
    }

    /// The connection that those who subscribe to one kind share.
    pub(crate) async fn hubbed(&self, kind: SubscriptionKind) -> Result<Arc<Hubbed>> {
        match self {
            Self::Client(client) => client.hubbed().await,
            Self::Cluster(cluster) => cluster.hubbed(kind).await,
        }
    }
}
