//! One node of a cluster as the place of a connection: another one each time, or always the same, and left when it is no
//! part of the cluster any more.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tidings_proto::cluster::{Access, Address, Health};
use tidings_proto::pubsub::GapCause;
use tokio::sync::watch;
use tokio::time;

use super::{BusLosses, Cluster, Follower, Heard, NodeLink, Routes};
use crate::config::{self, Config};
use crate::driver::place::Departure;
use crate::driver::supervise::{self, Connected};
use crate::error::{Error, Result};

/// How late messages reach other nodes at most, with something added: 43 ms were measured, and 20 ms are usual.
const ON_THE_BUS: Duration = Duration::from_millis(100);

/// Where one connection to a cluster goes.
#[derive(Debug)]
pub(crate) struct NodePlace {
    cluster: Arc<Cluster>,
    _follower: Follower,
    fixed: Option<Address>,
    access: Access,
    /// What comes over the cluster bus is of interest.
    hears_bus: bool,
    last: Mutex<Last>,
}

/// The node that was connected to last: the next one is another.
#[derive(Debug, Default)]
struct Last {
    node: Option<Address>,
    /// Since when it is not any more.
    left: Option<Instant>,
}

impl NodePlace {
    pub(crate) fn new(cluster: Arc<Cluster>, fixed: Option<Address>, access: Access) -> Self {
        Self {
            _follower: cluster.follow(),
            cluster,
            fixed,
            access,
            hears_bus: false,
            last: Mutex::default(),
        }
    }

    /// For a subscriber of channels, whose messages come from all nodes.
    pub(crate) fn of_subscriber(self) -> Self {
        let hears_bus = true;
        Self { hears_bus, ..self }
    }

    pub(crate) fn config(&self) -> &Arc<Config> {
        self.cluster.config()
    }

    /// Tries one node after the other until one takes the connection.
    pub(crate) async fn connect(&self) -> Result<Connected> {
        let mut failed = Vec::new();
        let left = {
            let mut last = self.last();
            let is_first = last.node.is_none();
            (!is_first).then(|| *last.left.get_or_insert_with(Instant::now))
        };
        loop {
            let address = self.choose(&failed)?;
            let link = self.cluster.link_at(&address);
            match supervise::connect(link.config()).await {
                Ok(connected) => {
                    let is_other = self.last().node.as_ref() != Some(&address);
                    if let Some(left) = left.filter(|_| is_other) {
                        // What has come from the one may be on its way to the other, and would come again.
                        time::sleep_until((left + ON_THE_BUS).into()).await;
                    }
                    *self.last() = Last {
                        node: Some(address),
                        left: None,
                    };
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

    fn last(&self) -> MutexGuard<'_, Last> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The node to try next.
    fn choose(&self, failed: &[Address]) -> Result<Address> {
        let routes = self.cluster.routes();
        if let Some(fixed) = &self.fixed {
            return match departure(&routes, fixed, Instant::now()) {
                None => Ok(fixed.clone()),
                Some(departure) => Err(departure.error),
            };
        }
        let mut but = failed.to_vec();
        but.extend(self.last().node.clone());
        let turn = fastrand::usize(..);
        let mut link = routes.any_link(self.access, turn, &but);
        let is_replica = |link: &Arc<NodeLink>| {
            let node = routes.map().node_at(link.address());
            node.is_some_and(|node| !node.is_primary())
        };
        if self.access == Access::ReadFromReplica && !link.is_some_and(is_replica) {
            // Rather the same replica again than a primary.
            link = routes.any_link(self.access, turn, failed);
        }
        let link = link.ok_or_else(|| Error::connection("no node of the cluster is known"))?;
        Ok(link.address().clone())
    }

    /// What the node that was connected to may not have heard of the others.
    pub(crate) fn bus_losses(&self, connected: &Config) -> Option<BusLosses> {
        let losses = || {
            let cluster = Arc::clone(&self.cluster);
            BusLosses::new(cluster, address_of(connected), Heard::Everybody)
        };
        self.hears_bus.then(losses)
    }

    /// Comes when the node that was connected to has to be left.
    pub(crate) fn departure(
        &self,
        connected: &Config,
    ) -> impl Future<Output = Departure> + Send + use<> {
        let address = address_of(connected);
        let mut changes: watch::Receiver<Arc<Routes>> = self.cluster.changes();
        let mut good_at = Instant::now();
        async move {
            loop {
                let found = {
                    let routes = changes.borrow_and_update();
                    let found = departure(&routes, &address, good_at);
                    if found.is_none() {
                        good_at = routes.as_of();
                    }
                    found
                };
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

fn departure(routes: &Routes, address: &Address, good_at: Instant) -> Option<Departure> {
    let why = match routes.map().node_at(address) {
        None => "is no part of the cluster any more",
        Some(node) if node.health() == Health::Failed => "has failed, as the cluster has agreed",
        Some(_) => return None,
    };
    Some(Departure {
        error: Error::connection(format!("the node at {address} {why}")),
        cause: GapCause::NodeLeft,
        good_at,
    })
}

/// The node that settings with an address are for.
pub(crate) fn address_of(config: &Config) -> Address {
    match config.server_address() {
        config::Address::Tcp { host, port } => Address::new(host.as_str(), *port),
        config::Address::Unix(path) => Address::new(path.display().to_string(), 0),
    }
}
