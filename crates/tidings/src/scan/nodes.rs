//! The keys of a cluster: of one primary after the other, until each slot has been gone over.

use std::time::Instant;

use tidings_proto::FromReply;
use tidings_proto::cluster::{Address, KeyScan, NextNode, Redirections};

use super::walk::{Found, Walk};
use super::{RESTARTS, pause_after_loss};
use crate::cluster::ClusterClient;
use crate::driver::cluster::limits;
use crate::error::{Error, Result};
use crate::options::ScanOptions;

/// Goes over the keys of a cluster.
#[derive(Debug)]
pub(super) struct OfCluster {
    cluster: ClusterClient,
    options: ScanOptions,
    /// `None` before the first call.
    scan: Option<KeyScan>,
    walk: Option<(Address, Walk)>,
    /// How often a node was lost since one was gone over.
    restarts: u32,
}

/// What has come of a step.
enum Step<K> {
    Keys(Vec<Found<K>>),
    /// The cluster has changed, or is not known well enough.
    Wait(Error),
    Done,
}

impl OfCluster {
    pub(super) fn new(cluster: ClusterClient, options: ScanOptions) -> Self {
        Self {
            cluster,
            options,
            scan: None,
            walk: None,
            restarts: 0,
        }
    }

    /// The next keys; `None` at the end.
    pub(super) async fn page<K: FromReply + Send>(&mut self) -> Result<Option<Vec<Found<K>>>> {
        let limits = limits(self.cluster.driver().config());
        let mut way = Redirections::new(&limits, Instant::now());
        loop {
            let error = match self.step().await {
                Ok(Step::Keys(keys)) => return Ok(Some(keys)),
                Ok(Step::Done) => return Ok(None),
                Ok(Step::Wait(error)) => error,
                Err(error) => {
                    let error = self.at_node(error);
                    self.abandon();
                    if self.restarts > RESTARTS {
                        return Err(error);
                    }
                    error
                }
            };
            self.cluster.driver().refresh();
            pause_after_loss(&mut way, error).await?;
        }
    }

    async fn step<K: FromReply + Send>(&mut self) -> Result<Step<K>> {
        let routes = self.cluster.driver().routes();
        let scan = self.scan.get_or_insert_with(|| KeyScan::new(routes.map()));
        let Some((_, walk)) = &mut self.walk else {
            return match scan.next(routes.map()) {
                NextNode::At(address) => self.begin(address).await,
                NextNode::Done => Ok(Step::Done),
                _ => Ok(Step::Wait(Error::connection(
                    "it is not known which nodes have the slots that are left",
                ))),
            };
        };
        let page = walk.page(&self.options, self.cluster.charset()).await?;
        // What is not wanted was seen elsewhere, or will be.
        let mut keys: Vec<Found<K>> = page.keys;
        keys.retain(|found| scan.wants(found.slot));
        if page.is_last {
            let holdings = walk.holdings().await?;
            scan.finish(&holdings);
            self.walk = None;
            self.restarts = 0;
        }
        Ok(Step::Keys(keys))
    }

    async fn begin<K>(&mut self, address: Address) -> Result<Step<K>> {
        let link = self.cluster.driver().link_at(&address);
        let own = link.pool().connection().await;
        let mut walk = Walk::new(own.map_err(|error| at(&address, error))?);
        let holdings = walk.holdings().await.map_err(|error| at(&address, error))?;
        let is_any = self.scan.as_mut().is_some_and(|scan| scan.begin(&holdings));
        if !is_any {
            let text =
                format!("the node at {address} has none of the slots that it was said to have");
            return Ok(Step::Wait(Error::connection(text)));
        }
        self.walk = Some((address, walk));
        Ok(Step::Keys(Vec::new()))
    }

    /// An error, as one of the node that is gone over.
    fn at_node(&self, error: Error) -> Error {
        match &self.walk {
            Some((address, _)) => at(address, error),
            None => error,
        }
    }

    /// What was seen of the node does not count.
    fn abandon(&mut self) {
        // What cannot be reached is only tried again.
        self.restarts += u32::from(self.walk.take().is_some());
        if let Some(scan) = &mut self.scan {
            scan.abandon();
        }
    }
}

fn at(address: &Address, error: Error) -> Error {
    let text = format!("the keys of the node at {address} could not be gone over");
    let server = error.server_error().cloned();
    let new = Error::new(error.kind(), text).with_source(error);
    match server {
        Some(server) => new.with_server(server),
        None => new,
    }
    .at_node(address.clone())
}
