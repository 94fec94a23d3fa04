//! Whose connections a subscriber has.

use std::sync::Arc;

use tidings_proto::Charset;
use tidings_proto::cluster::Access;
use tokio::sync::OwnedSemaphorePermit;

use crate::client::Client;
use crate::cluster::ClusterClient;
use crate::driver::cluster::Cluster;
use crate::driver::place::Place;
use crate::driver::subscriber::single::Single;
use crate::driver::subscriber::{Shared, SubscriberLink, keep};
use crate::driver::supervise::{self, Connected};
use crate::error::Result;

/// The client that a subscriber is made of, and how it is to be connected.
#[derive(Debug)]
pub(crate) enum Home {
    Client(Client),
    /// On one node of a cluster.
    Node(NodeChoice),
    /// On all nodes of a cluster that are needed.
    Nodes(NodesChoice),
}

/// On which node.
#[derive(Debug)]
pub(crate) struct NodeChoice {
    pub(crate) cluster: ClusterClient,
    pub(crate) from_replicas: bool,
    /// Its address, if it is to be a certain one.
    pub(crate) node: Option<String>,
}

/// On which nodes.
#[derive(Debug)]
pub(crate) struct NodesChoice {
    pub(crate) cluster: ClusterClient,
    pub(crate) from_replicas: bool,
}

/// A home that can be moved into.
pub(super) struct Ready {
    permit: OwnedSemaphorePermit,
    connections: Connections,
}

enum Connections {
    /// There is one.
    One(Place, Box<Connected>),
    /// They are made when they are needed.
    ToNodes(Arc<Cluster>, Access),
}

impl Home {
    pub(super) fn charset(&self) -> Charset {
        match self {
            Self::Client(client) => client.charset(),
            Self::Node(choice) => choice.cluster.charset(),
            Self::Nodes(choice) => choice.cluster.charset(),
        }
    }

    pub(super) async fn ready(self) -> Result<Ready> {
        let (place, permit) = match &self {
            Self::Client(client) => (client.place().clone(), client.pool().permit().await?),
            Self::Node(choice) => (choice.place()?, choice.cluster.permit().await?),
            Self::Nodes(choice) => {
                let cluster = Arc::clone(choice.cluster.driver());
                return Ok(Ready {
                    permit: choice.cluster.permit().await?,
                    connections: Connections::ToNodes(cluster, access(choice.from_replicas)),
                });
            }
        };
        let connected = place.connect().await?;
        Ok(Ready {
            permit,
            connections: Connections::One(place, Box::new(connected)),
        })
    }
}

impl NodeChoice {
    fn place(&self) -> Result<Place> {
        self.cluster
            .place_at(self.node.as_deref(), access(self.from_replicas))
    }
}

/// What kind of nodes is wanted.
pub(crate) fn access(from_replicas: bool) -> Access {
    match from_replicas {
        true => Access::ReadFromReplica,
        false => Access::Write,
    }
}

impl Ready {
    /// What a subscriber shares with those who serve it, from [`serve`](Self::serve) on.
    pub(super) fn share(&self, single: Single) -> Arc<Shared<Single>> {
        match &self.connections {
            Connections::One(..) => Shared::new(single),
            Connections::ToNodes(cluster, access) => {
                Shared::sharded(cluster.sharded_names(*access), single)
            }
        }
    }

    pub(super) fn serve(self, shared: &Arc<Shared<Single>>) -> OwnedSemaphorePermit {
        let shared = Arc::clone(shared);
        match self.connections {
            Connections::One(place, connected) => {
                let link = SubscriberLink::new(Arc::clone(&connected.config), shared);
                tokio::spawn(supervise::supervise(place, *connected, link));
            }
            Connections::ToNodes(cluster, _) => {
                tokio::spawn(keep(cluster, shared));
            }
        }
        self.permit
    }
}
