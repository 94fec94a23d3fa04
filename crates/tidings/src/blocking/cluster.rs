//! The cluster's client of the blocking face.

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use tidings_proto::pubsub::SubscriptionKind;
use tidings_proto::{Command, FromReply, ToArg};

use super::{
    Client, ClusterMonitorBuilder, ClusterPipeline, KeyspaceEventsBuilder, PubSubBuilder, ScanKeys,
    SlotTransactions, runtime,
};
use crate::cluster::{ClusterRun, Node};
use crate::commands::Commands;
use crate::config::IntoClusterConfig;
use crate::error::Result;
use crate::options::ScanOptions;
use crate::pubsub::{OneNode, Sharded};
use crate::receiver::Senders;
use crate::script::ScriptCall;
use crate::subscription::SubscribeTo;

/// A [`ClusterClient`](crate::ClusterClient) whose calls wait for their answers.
///
/// `Clone`, `Send` and `Sync`: all threads of a program share one. In all else it is as the asynchronous one, of which it is
/// made.
///
/// The commands are the methods of [`Commands`].
///
/// ```no_run
/// # fn main() -> tidings::Result<()> {
/// use tidings::Commands;
/// use tidings::blocking::ClusterClient;
///
/// let cluster = ClusterClient::connect("redis+cluster://127.0.0.1:7000,127.0.0.1:7001")?;
/// cluster.set("bing", "baz")?;
/// let values: Vec<Option<String>> = cluster.mget(["bing", "other"])?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// As those of the asynchronous client; and a [misuse](crate::ErrorKind::Misuse) in [asynchronous
/// code](super#asynchronous-code).
#[derive(Clone)]
pub struct ClusterClient {
    inner: crate::ClusterClient,
}

impl ClusterClient {
    /// Connects to the cluster that a URL, several of them, or a [`Config`](crate::Config) name some nodes of; as
    /// [there](crate::ClusterClient::connect).
    ///
    /// # Errors
    ///
    /// As there. The first use in a process starts a [thread](super#the-thread-in-the-background), which may fail too.
    pub fn connect(nodes: impl IntoClusterConfig) -> Result<Self> {
        let inner = runtime::wait(crate::ClusterClient::connect(nodes))?;
        Ok(Self { inner })
    }

    /// Its nodes, as far as they are known now, also those that failed.
    pub fn nodes(&self) -> Vec<Node> {
        self.inner.nodes()
    }

    /// A client of one of its nodes, by its address (`127.0.0.1:7000`); as [there](crate::ClusterClient::node).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn node(&self, address: impl fmt::Display) -> Result<Client> {
        Client::connect(self.inner.node_config(address)?)
    }

    /// Begins a [`ClusterPipeline`]: commands that are sent in one go, to all nodes at a time.
    pub fn pipeline(&self) -> ClusterPipeline {
        ClusterPipeline::new(self.inner.pipeline())
    }

    /// Transactions (`MULTI`, `EXEC`, `WATCH`) on the slot of this key; as [there](crate::ClusterClient::transaction_on).
    ///
    /// ```no_run
    /// # fn example(cluster: tidings::blocking::ClusterClient) -> tidings::Result<()> {
    /// let (balance, entries): (i64, i64) = cluster
    ///     .transaction_on("{account:7}")
    ///     .pipeline()
    ///     .incrby("{account:7}:balance", 5)
    ///     .rpush("{account:7}:entries", "5 from cash")
    ///     .execute()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn transaction_on(&self, key: impl ToArg) -> SlotTransactions {
        SlotTransactions::new(self.inner.transaction_on(key))
    }

    /// Makes a [`PubSub`](super::PubSub): a subscriber of channels and patterns with a connection of its own to one node.
    /// Nothing is sent before it is [opened](PubSubBuilder::open). As [there](crate::ClusterClient::pubsub).
    pub fn pubsub(&self) -> PubSubBuilder<Bytes, OneNode> {
        PubSubBuilder::new(self.inner.pubsub())
    }

    /// Makes a [`ShardedPubSub`](super::ShardedPubSub): a subscriber of shard channels, which come from the nodes that have
    /// their slots. Nothing is sent before it is [opened](PubSubBuilder::open).
    ///
    /// ```no_run
    /// # fn example(cluster: tidings::blocking::ClusterClient) -> tidings::Result<()> {
    /// use tidings::Commands;
    ///
    /// let rooms = cluster.sharded_pubsub().channels(["room:1", "room:2"]).open()?;
    /// cluster.spublish("room:1", "good morning")?;
    /// for event in rooms {
    ///     println!("{:?}", event?);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn sharded_pubsub(&self) -> PubSubBuilder<Bytes, Sharded> {
        PubSubBuilder::new(self.inner.sharded_pubsub())
    }

    /// Makes a [`ClusterMonitor`](super::ClusterMonitor): an iterator over every command that the primaries run, or all
    /// nodes, over a connection to each of them (`MONITOR`). Nothing is sent before it is
    /// [opened](ClusterMonitorBuilder::open).
    ///
    /// A monitor slows the servers down, the more the more commands they run. More of it stands
    /// [there](crate::ClusterClient::monitor).
    pub fn monitor(&self) -> ClusterMonitorBuilder {
        ClusterMonitorBuilder::new(self.inner.monitor())
    }

    /// An iterator over all keys of all nodes (`SCAN`). Nothing is sent before it is read. As
    /// [there](crate::ClusterClient::scan_keys).
    pub fn scan_keys<K: FromReply + Send + 'static>(&self) -> ScanKeys<K> {
        ScanKeys::new(self.inner.scan_keys())
    }

    /// The same with options: only some keys, or more or fewer of them a call, which are 250 unless told.
    pub fn scan_keys_with<K: FromReply + Send + 'static>(
        &self,
        options: ScanOptions,
    ) -> ScanKeys<K> {
        ScanKeys::new(self.inner.scan_keys_with(options))
    }

    /// Makes [`KeyspaceEvents`](super::KeyspaceEvents): an iterator over what is done to the keys that match a pattern (`*`
    /// for all), over a connection to each primary. Nothing is sent before it is [opened](KeyspaceEventsBuilder::open). As
    /// [there](crate::ClusterClient::keyspace_events).
    pub fn keyspace_events(&self, keys: impl ToArg) -> KeyspaceEventsBuilder {
        KeyspaceEventsBuilder::new(self.inner.keyspace_events(keys))
    }

    /// Subscribes to channels, over one connection that all of this client's subscriptions to channels and patterns share:
    /// to names, which gives a [`Subscription`](super::Subscription) once its builder is
    /// [opened](super::SubscriptionBuilder::open), or for a [`Receiver`](super::Receiver)'s senders, which is done at once.
    pub fn subscribe<M, T: SubscribeTo<M>>(&self, channels: T) -> T::Blocking {
        channels.into_blocking(self.inner.source(), SubscriptionKind::Channel)
    }

    /// The same for patterns (`PSUBSCRIBE`).
    pub fn psubscribe<M, T: SubscribeTo<M>>(&self, patterns: T) -> T::Blocking {
        patterns.into_blocking(self.inner.source(), SubscriptionKind::Pattern)
    }

    /// The same for shard channels (`SSUBSCRIBE`), over connections to the nodes that have their slots, as
    /// [there](crate::ClusterClient::ssubscribe).
    pub fn ssubscribe<M, T: SubscribeTo<M>>(&self, channels: T) -> T::Blocking {
        channels.into_blocking(self.inner.source(), SubscriptionKind::Shard)
    }

    /// Ends subscriptions of a receiver's senders for channels; as [there](crate::Client::unsubscribe).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn unsubscribe(&self, senders: impl Senders) -> Result<()> {
        runtime::wait(self.inner.unsubscribe(senders))
    }

    /// The same for patterns (`PUNSUBSCRIBE`).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn punsubscribe(&self, senders: impl Senders) -> Result<()> {
        runtime::wait(self.inner.punsubscribe(senders))
    }

    /// The same for shard channels (`SUNSUBSCRIBE`).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn sunsubscribe(&self, senders: impl Senders) -> Result<()> {
        runtime::wait(self.inner.sunsubscribe(senders))
    }

    /// Runs a command on the node of this key's slot; as [there](crate::ClusterClient::run_on_key).
    ///
    /// # Errors
    ///
    /// As those of any command.
    pub fn run_on_key<T: FromReply>(&self, key: impl ToArg, command: Command) -> Result<T> {
        ClusterClient::execute(self.inner.run_on_key(key, command))
    }

    /// Runs a command on each node, replicas too, and gives what each of them answered, by its address; as
    /// [there](crate::ClusterClient::run_on_nodes).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn run_on_nodes<T: FromReply>(&self, command: Command) -> Result<BTreeMap<String, T>> {
        ClusterClient::execute(self.inner.run_on_nodes(command))
    }

    /// Runs one command on this thread.
    fn execute<T: FromReply>(run: ClusterRun<'_, T>) -> Result<T> {
        runtime::wait(run)
    }
}

impl Commands for &ClusterClient {
    type Output<T: FromReply> = Result<T>;

    fn run<T: FromReply>(self, command: Command) -> Result<T> {
        ClusterClient::execute(self.inner.run(command))
    }

    fn run_script<T: FromReply>(self, call: ScriptCall) -> Result<T> {
        ClusterClient::execute(self.inner.run_script(call))
    }
}

impl fmt::Debug for ClusterClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}
