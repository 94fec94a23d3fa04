//! One node of a cluster as the place of a connection: another one each time, or always the same, and left when it is no
//! part of the cluster any more.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tidings_proto::cluster::{Access, Address, Health};
use tidings_proto::pubsub::GapCause;
use tokio::sync::watch;

use super::{Cluster, Follower, Routes};
use crate::config::{self, Config};
use crate::driver::place::Departure;
use crate::driver::supervise::{self, Connected};
use crate::error::{Error, Result};

/// Where one connection to a cluster goes.
#[derive(Debug)]
pub(crate) struct NodePlace {
    cluster: Arc<Cluster>,
    _follower: Follower,
    fixed: Option<Address>,
    access: Access,
    /// The node that was connected to last: the next one is another.
    last: Mutex<Option<Address>>,
}

impl NodePlace {
    pub(crate) fn new(cluster: Arc<Cluster>, fixed: Option<Address>, access: Access) -> Self {
        Self {
            _follower: cluster.follow(),
            cluster,
            fixed,
            access,
            last: Mutex::default(),
        }
    }

    pub(crate) fn config(&self) -> &Arc<Config> {
        self.cluster.config()
    }

    /// Tries one node after the other until one takes the connection.
    pub(crate) async fn connect(&self) -> Result<Connected> {
        let mut failed = Vec::new();
        loop {
            let address = self.choose(&failed)?;
            let link = self.cluster.link_at(&address);
            match supervise::connect(link.config()).await {
                Ok(connected) => {
                    *self.last() = Some(address);
                    return Ok(connected);
                }
                Err(error) => {
                    self.cluster.refresh();
                    failed.push(address);
                    if self.fixed.is_some() || failed.len() >= self.cluster.routes().links().count()
                    {
                        return Err(error);
                    }
                }
            }
        }
    }

    fn last(&self) -> MutexGuard<'_, Option<Address>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The node to try next.
    fn choose(&self, failed: &[Address]) -> Result<Address> {
        let routes = self.cluster.routes();
        if let Some(fixed) = &self.fixed {
            return match departure(&routes, fixed) {
                None => Ok(fixed.clone()),
                Some(departure) => Err(departure.error),
            };
        }
        let mut but = failed.to_vec();
        but.extend(self.last().clone());
        let link = routes.any_link(self.access, fastrand::usize(..), &but);
        let link = link.ok_or_else(|| Error::connection("no node of the cluster is known"))?;
        Ok(link.address().clone())
    }

    /// Comes when the node that was connected to has to be left.
    pub(crate) fn departure(
        &self,
        connected: &Config,
    ) -> impl Future<Output = Departure> + Send + use<> {
        let address = address_of(connected);
        let mut changes: watch::Receiver<Arc<Routes>> = self.cluster.changes();
        async move {
            loop {
                let found = departure(&changes.borrow_and_update(), &address);
                if let Some(departure) = found {
                    return departure;
                }
                if changes.changed().await.is_err() {
                    // The place keeps the cluster alive, and is there as long as its connection.
                    std::future::pending::<()>().await;
                }
            }
        }
    }
}

fn departure(routes: &Routes, address: &Address) -> Option<Departure> {
    let why = match routes.map().node_at(address) {
        None => "is no part of the cluster any more",
        Some(node) if node.health() == Health::Failed => "has failed, as the cluster has agreed",
        Some(_) => return None,
    };
    Some(Departure {
        error: Error::connection(format!("the node at {address} {why}")),
        cause: GapCause::NodeLeft,
    })
}

/// The node that settings with an address are for.
pub(crate) fn address_of(config: &Config) -> Address {
    match config.server_address() {
        config::Address::Tcp { host, port } => Address::new(host.as_str(), *port),
        config::Address::Unix(path) => Address::new(path.display().to_string(), 0),
    }
}
