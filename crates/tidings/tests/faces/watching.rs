//! What shows what servers do: the monitor of a cluster, with the methods that both faces have.

use std::time::Duration;

use tidings::blocking;
use tidings::{ClusterMonitorEvent, Commands, NodeStatus, Result};

use super::cluster::{ClusterClient, Faced};
use super::waiting::here;

/// A monitor of a cluster.
pub(crate) enum ClusterMonitor {
    Asynchronous(tidings::ClusterMonitor),
    Blocking(blocking::ClusterMonitor),
}

impl ClusterClient {
    /// A monitor of its primaries, or of all nodes.
    pub(crate) async fn monitor_of(&self, replicas: bool) -> Result<ClusterMonitor> {
        match &self.face {
            Faced::Asynchronous(client) => {
                let monitor = client.monitor().replicas(replicas).await;
                monitor.map(ClusterMonitor::Asynchronous)
            }
            Faced::Blocking(client) => {
                let monitor = here(|| client.monitor().replicas(replicas).open());
                monitor.map(ClusterMonitor::Blocking)
            }
        }
    }
}

/// What the `PUBSUB` commands say, through the face.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Counted {
    /// Sorted.
    pub(crate) channels: Vec<String>,
    pub(crate) numsub: Vec<(String, i64)>,
    pub(crate) numpat: i64,
    pub(crate) shardchannels: Vec<String>,
    pub(crate) shardnumsub: Vec<(String, i64)>,
}

impl ClusterClient {
    /// Of channels of this pattern, and of these names.
    pub(crate) async fn count(&self, pattern: &str, names: &[&str]) -> Result<Counted> {
        let mut counted = match &self.face {
            Faced::Asynchronous(client) => Counted {
                channels: client.pubsub_channels(pattern).await?,
                numsub: client.pubsub_numsub(names).await?,
                numpat: client.pubsub_numpat().await?,
                shardchannels: client.pubsub_shardchannels(pattern).await?,
                shardnumsub: client.pubsub_shardnumsub(names).await?,
            },
            Faced::Blocking(client) => here(|| {
                Ok::<_, tidings::Error>(Counted {
                    channels: client.pubsub_channels(pattern)?,
                    numsub: client.pubsub_numsub(names)?,
                    numpat: client.pubsub_numpat()?,
                    shardchannels: client.pubsub_shardchannels(pattern)?,
                    shardnumsub: client.pubsub_shardnumsub(names)?,
                })
            })?,
        };
        counted.channels.sort();
        counted.shardchannels.sort();
        Ok(counted)
    }
}

impl ClusterMonitor {
    pub(crate) fn nodes(&self) -> Vec<NodeStatus> {
        match self {
            Self::Asynchronous(monitor) => monitor.nodes(),
            Self::Blocking(monitor) => monitor.nodes(),
        }
    }

    /// The next item, if one comes within this time.
    pub(crate) async fn next(&mut self, within: Duration) -> Option<Result<ClusterMonitorEvent>> {
        match self {
            Self::Asynchronous(monitor) => {
                let next = tokio::time::timeout(within, monitor.next()).await;
                next.ok().map(|item| item.expect("the stream goes on"))
            }
            Self::Blocking(monitor) => here(|| monitor.timeout_iter(within).next()),
        }
    }
}
