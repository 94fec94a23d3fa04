//! Whose connections a subscriber has.

use std::sync::Arc;

use tidings_proto::Charset;
use tokio::sync::OwnedSemaphorePermit;

use crate::client::Client;
use crate::cluster::ClusterClient;
use crate::driver::place::Place;
use crate::driver::subscriber::single::Single;
use crate::driver::subscriber::{Shared, SubscriberLink};
use crate::driver::supervise::{self, Connected};
use crate::error::Result;

/// The client that a subscriber is made of, and how it is to be connected.
#[derive(Debug)]
pub(crate) enum Home {
    Client(Client),
    /// On one node of a cluster.
    Node(NodeChoice),
}

/// On which node.
#[derive(Debug)]
pub(crate) struct NodeChoice {
    pub(crate) cluster: ClusterClient,
    pub(crate) from_replicas: bool,
    /// Its address, if it is to be a certain one.
    pub(crate) node: Option<String>,
}

/// A home that has a connection.
pub(super) struct Ready {
    pub(super) permit: OwnedSemaphorePermit,
    place: Place,
    connected: Connected,
}

impl Home {
    pub(super) fn charset(&self) -> Charset {
        match self {
            Self::Client(client) => client.charset(),
            Self::Node(choice) => choice.cluster.charset(),
        }
    }

    pub(super) async fn ready(self) -> Result<Ready> {
        let (place, permit) = match &self {
            Self::Client(client) => (client.place().clone(), client.pool().permit().await?),
            Self::Node(choice) => (choice.place()?, choice.cluster.permit().await?),
        };
        let connected = place.connect().await?;
        Ok(Ready {
            permit,
            place,
            connected,
        })
    }
}

impl NodeChoice {
    fn place(&self) -> Result<Place> {
        self.cluster
            .place_at(self.node.as_deref(), self.from_replicas)
    }
}

impl Ready {
    /// Serves what a subscriber and its task share.
    pub(super) fn serve(self, shared: &Arc<Shared<Single>>) -> OwnedSemaphorePermit {
        let Self {
            permit,
            place,
            connected,
        } = self;
        let link = SubscriberLink::new(Arc::clone(&connected.config), Arc::clone(shared));
        tokio::spawn(supervise::supervise(place, connected, link));
        permit
    }
}
