//! What shows what servers do and have: the monitor of a cluster, keyspace events, all keys, with the methods that both
//! faces have.

use std::time::Duration;

use tidings::{
    ClusterMonitorEvent, Commands, FromReply, KeyspaceEvent, NodeStatus, Notifications, Overflow,
    Result, ToArg, ToArgs, blocking, options::ScanOptions,
};

use super::cluster::{ClusterClient, Faced};
use super::waiting::here;
use super::{Client, Faced as FacedClient};

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

/// Makes keyspace events.
pub(crate) enum KeyspaceEventsBuilder {
    Asynchronous(tidings::KeyspaceEventsBuilder),
    Blocking(blocking::KeyspaceEventsBuilder),
}

/// Keyspace events.
pub(crate) enum KeyspaceEvents {
    Asynchronous(tidings::KeyspaceEvents),
    Blocking(blocking::KeyspaceEvents),
}

impl Client {
    pub(crate) fn keyspace_events(&self, keys: impl ToArg) -> KeyspaceEventsBuilder {
        match &self.face {
            FacedClient::Asynchronous(client) => {
                KeyspaceEventsBuilder::Asynchronous(client.keyspace_events(keys))
            }
            FacedClient::Blocking(client) => {
                KeyspaceEventsBuilder::Blocking(client.keyspace_events(keys))
            }
        }
    }
}

impl ClusterClient {
    pub(crate) fn keyspace_events(&self, keys: impl ToArg) -> KeyspaceEventsBuilder {
        match &self.face {
            Faced::Asynchronous(client) => {
                KeyspaceEventsBuilder::Asynchronous(client.keyspace_events(keys))
            }
            Faced::Blocking(client) => {
                KeyspaceEventsBuilder::Blocking(client.keyspace_events(keys))
            }
        }
    }
}

macro_rules! on_builder {
    ($builder:expr, $it:ident => $set:expr) => {
        match $builder {
            KeyspaceEventsBuilder::Asynchronous($it) => KeyspaceEventsBuilder::Asynchronous($set),
            KeyspaceEventsBuilder::Blocking($it) => KeyspaceEventsBuilder::Blocking($set),
        }
    };
}

impl KeyspaceEventsBuilder {
    pub(crate) fn operations<S>(self, operations: impl ToArgs<S>) -> Self {
        on_builder!(self, it => it.operations(operations))
    }

    pub(crate) fn database(self, number: u32) -> Self {
        on_builder!(self, it => it.database(number))
    }

    pub(crate) fn all_databases(self) -> Self {
        on_builder!(self, it => it.all_databases())
    }

    pub(crate) fn notifications(self, notifications: Notifications) -> Self {
        on_builder!(self, it => it.notifications(notifications))
    }

    pub(crate) fn queue(self, events: usize, bytes: usize) -> Self {
        on_builder!(self, it => it.queue(events, bytes))
    }

    pub(crate) fn overflow(self, overflow: Overflow) -> Self {
        on_builder!(self, it => it.overflow(overflow))
    }

    pub(crate) async fn open(self) -> Result<KeyspaceEvents> {
        match self {
            Self::Asynchronous(builder) => builder.await.map(KeyspaceEvents::Asynchronous),
            Self::Blocking(builder) => here(|| builder.open()).map(KeyspaceEvents::Blocking),
        }
    }
}

impl KeyspaceEvents {
    pub(crate) fn nodes(&self) -> Vec<NodeStatus> {
        match self {
            Self::Asynchronous(events) => events.nodes(),
            Self::Blocking(events) => events.nodes(),
        }
    }

    /// The next item, if one comes within this time, or nothing more comes.
    pub(crate) async fn next(&mut self, within: Duration) -> Option<Result<KeyspaceEvent>> {
        match self {
            Self::Asynchronous(events) => {
                let next = tokio::time::timeout(within, events.next()).await;
                next.ok().flatten()
            }
            Self::Blocking(events) => here(|| events.timeout_iter(within).next()),
        }
    }
}

/// All keys.
pub(crate) enum ScanKeys<K> {
    Asynchronous(tidings::ScanKeys<K>),
    Blocking(blocking::ScanKeys<K>),
}

impl Client {
    pub(crate) fn scan<K: FromReply + Send + 'static>(&self, options: ScanOptions) -> ScanKeys<K> {
        match &self.face {
            FacedClient::Asynchronous(client) => {
                ScanKeys::Asynchronous(client.scan_keys_with(options))
            }
            FacedClient::Blocking(client) => ScanKeys::Blocking(client.scan_keys_with(options)),
        }
    }
}

impl ClusterClient {
    pub(crate) fn scan<K: FromReply + Send + 'static>(&self, options: ScanOptions) -> ScanKeys<K> {
        match &self.face {
            Faced::Asynchronous(client) => ScanKeys::Asynchronous(client.scan_keys_with(options)),
            Faced::Blocking(client) => ScanKeys::Blocking(client.scan_keys_with(options)),
        }
    }
}

impl<K: FromReply + Send + 'static> ScanKeys<K> {
    pub(crate) async fn next(&mut self) -> Option<Result<K>> {
        match self {
            Self::Asynchronous(keys) => keys.next().await,
            Self::Blocking(keys) => here(|| keys.next()),
        }
    }

    /// All that are left.
    pub(crate) async fn all(&mut self) -> Vec<K> {
        let mut all = Vec::new();
        while let Some(key) = self.next().await {
            all.push(key.expect("no error"));
        }
        all
    }
}
