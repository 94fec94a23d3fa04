//! The client of a cluster, and what there is to know of its nodes.
//!
//! # The promises in a cluster
//!
//! What is subscribed stays subscribed, wherever slots and nodes go, and an [`Event::Gap`](crate::Event::Gap) stands where
//! messages may be missing. A gap has one of these causes, beside those that it has on a single server:
//!
//! | what happened | how it is noticed | the [cause](crate::GapCause) |
//! |---|---|---|
//! | a connection was lost, and there is another one, to the same node or to one that does as well | as on one server | `Disconnected` |
//! | a slot was moved | its node says so, or sends elsewhere, or the nodes are asked | `SlotMoved` |
//! | a primary failed over, or died and its replica serves | in the same ways, and by the lost connection | `Failover` |
//! | a node left, or the others agreed that it failed, or a replica got another primary | the nodes are asked | `NodeLeft` |
//! | a node of the shard that is to be preferred can be reached again | the nodes are asked | `Relocated` |
//! | nodes had lost touch with each other, or one was started again or failed, and what was published there may not have reached the one that is read | that one is asked since when it has heard each of the others | `Partitioned` |
//! | a primary is new, whose keys or commands are listened to | the nodes are asked | `NodeJoined` |
//!
//! What a node says itself is acted on in milliseconds. Nodes are asked whenever something was lost or sent elsewhere, and as
//! long as anything subscribes every [`topology_interval`](crate::Config::topology_interval), 5 s unless set. Five of them are
//! asked at a time, and what most of them say counts. What none of them announces is found within this time and 2 s.
//!
//! ## What nobody can see
//!
//! A message that is published at one node and read at another (`PUBLISH` in a cluster; `SPUBLISH`, if a replica is read) goes
//! over the cluster bus. The bus numbers nothing and acknowledges nothing, and the subscriber's own connection works whatever
//! becomes of the bus. So there are limits to what a client can know, whichever it is:
//!
//! - **A node that has lost sight of the others is left when they have agreed that it failed**: after
//!   `cluster-node-timeout` (15 s unless set), and the topology interval. Until then it answers every PING and delivers what is
//!   published at itself, so that the gap may stand behind messages that came after the loss.
//! - **One that was cut off for a shorter time is found when it hears the others again.** They have connected to it anew then, and
//!   what they published in between is missing. So the node is asked at each topology interval since when it has had a connection from
//!   each of them (`TIME`, `CLUSTER LINKS` and `CLUSTER NODES`, since 7.0), and a gap tells of it, behind the messages that
//!   came first. An older server does not tell; where the user may not run these commands, what the bus has lost is missing
//!   without a gap.
//! - **A connection between two nodes may be dead for long while both of them take it for a quiet one.** So where messages
//!   come over the bus, each gap begins a second before the node last had an answer from all of the others, whatever it is that was
//!   lost in the end ([`since`](crate::Gap::since)). That is some seconds sooner than it would have to be, as nodes ask each
//!   other seldom. It may still be too late, by up to `cluster-node-timeout`, where only the one connection was dead that
//!   brings the messages, as answers come over another one; and in a large cluster in which nothing else was out of reach, as
//!   nodes take each other's word for who was well, and when.
//! - **What was sent just before a gap may come again behind it.** When a subscriber goes on at another node that gets the same
//!   messages over the bus, it waits until 100 ms after it has left the one before; on a network without trouble they take 20 ms,
//!   43 at most as measured. If the bus takes longer, on a machine that has no CPU time, or as a process stood
//!   still between its write to its clients and its write to the bus, the new node sends once more what the old one has sent.
//!   Messages have no numbers in this protocol, so nobody can tell it from a new one.
//!
//! Shard channels that are read from primaries, which is the default, do not depend on the bus: what a primary takes it hands to
//! its subscribers itself, and that another one was elected is seen within the topology interval. Only the last point is
//! theirs too, as a replica serves while its primary is replaced. What comes of keys and commands
//! ([`KeyspaceEvents`](crate::KeyspaceEvents), [`ClusterMonitor`](crate::ClusterMonitor)) does not take the bus at all.
//!
//! Where each message has to arrive, and once, publish to a stream.
//!
//! Messages that cross nodes come later, too: after 10 ms as a rule, where the node itself delivers after a fraction of one.

mod run;
mod slot_transactions;
mod watched_slot;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use tidings_proto::cluster::{Access, Slot};
use tidings_proto::pubsub::SubscriptionKind;
use tidings_proto::{Charset, Command, FromReply, ToArg};
use tokio::sync::OwnedSemaphorePermit;

pub use run::ClusterRun;
pub use slot_transactions::SlotTransactions;
pub(crate) use slot_transactions::check_slot;
pub use tidings_proto::cluster::{Address, Health, Node, Role};
pub(crate) use watched_slot::WatchedSlot;

use crate::client::Client;
use crate::commands::Commands;
use crate::config::{Config, IntoClusterConfig};
use crate::driver::cluster::{Cluster, NodePlace};
use crate::driver::place::Place;
use crate::error::{Error, Result};
use crate::keyspace::KeyspaceEventsBuilder;
use crate::monitor::ClusterMonitorBuilder;
use crate::options::ScanOptions;
use crate::pipeline::ClusterPipeline;
use crate::pool;
use crate::pubsub::home::{Home, NodeChoice, NodesChoice, access};
use crate::pubsub::{OneNode, PubSubBuilder, Sharded, one_name};
use crate::receiver::{Senders, of_kind, unsubscribe};
use crate::scan::ScanKeys;
use crate::script::ScriptCall;
use crate::subscription::hub::{Hub, Hubbed};
use crate::subscription::{Source, SubscribeTo};

/// A client of a Redis or Valkey Cluster.
///
/// `Clone`, `Send` and `Sync`: a thousand tasks share one. It knows which node has which slot, and learns it anew when
/// slots move, primaries fail over, and nodes come and go. Each node that is needed has one multiplexed connection.
///
/// The commands are the methods of [`Commands`]. Where one runs:
///
/// | a command | runs on |
/// |---|---|
/// | with a key | the node of the key's slot, and wherever that sends it (`MOVED`, `ASK`, …) |
/// | that means the same for each of its keys: `MGET`, `MSET`, `DEL`, `UNLINK`, `EXISTS`, `TOUCH` | the nodes of all slots, as one command for each slot |
/// | with keys in several slots otherwise | nowhere: a [misuse](crate::ErrorKind::Misuse), before anything is sent |
/// | that is not known here, of a module say | the node of its first argument, as if that were its key; [`run_on_key`](Self::run_on_key) says otherwise |
/// | without a key, for all: `DBSIZE`, `FLUSHALL`, `KEYS`, `PUBSUB NUMSUB`, … | all primaries or all nodes, and one reply is made of theirs |
/// | of which each node has a report of its own: `INFO`, `LATENCY LATEST`, … | nowhere, as it would be a reply of another type: [`run_on_nodes`](Self::run_on_nodes) gives those of all, by address |
/// | about one node: `CLIENT LIST`, `ROLE`, `SHUTDOWN`, … | nowhere: [`node`](Self::node) gives a client of one |
/// | `PUBLISH` | the node of the slot that the channel would have as a key, so that what one client publishes to a channel keeps its order; any other node, if that one cannot be reached |
/// | `SPUBLISH` | the node of the channel's slot |
/// | `SCAN` | nowhere: [`scan_keys`](Self::scan_keys) goes from node to node |
///
/// A node that was lost fails the commands that may have run, [which say so](crate::Error::may_have_run). Those that have not,
/// and those that only read, are sent again, for as long as a reply may take
/// ([`response_timeout`](crate::Config::response_timeout)).
///
/// `PUBLISH` gives how many subscribers got the message at the node that it was sent to. Those of other nodes get it as
/// well, and nobody counts them.
///
/// ```no_run
/// # async fn example() -> tidings::Result<()> {
/// use tidings::{ClusterClient, Commands};
///
/// let cluster = ClusterClient::connect("redis+cluster://127.0.0.1:7000,127.0.0.1:7001").await?;
/// cluster.set("bing", "baz").await?;
/// let values: Vec<Option<String>> = cluster.mget(["bing", "other"]).await?;
/// let keys = cluster.dbsize().await?; // of all nodes
/// # Ok(())
/// # }
/// ```
///
/// A transaction is for one slot ([`transaction_on`](Self::transaction_on)), so there is no `transaction` here:
///
/// ```compile_fail,E0599
/// async fn transaction(cluster: tidings::ClusterClient) {
///     cluster.transaction("key", |watch| async move { Ok(()) }).await;
/// }
/// ```
#[derive(Clone)]
pub struct ClusterClient {
    inner: Arc<Inner>,
}

struct Inner {
    cluster: Arc<Cluster>,
    /// The connection that its subscriptions to channels and patterns share.
    hub: Hub,
    /// Those that its subscriptions to shard channels share.
    shard_hub: Hub,
}

impl ClusterClient {
    /// Connects to the cluster that a URL, several of them, or a [`Config`] name some nodes of. One that
    /// answers is enough.
    ///
    /// # Errors
    ///
    /// A wrong URL; nodes none of which can be reached, of which the first is told of; one that does not accept the user,
    /// or is no part of a cluster. Connections that are lost later are made again.
    ///
    /// # Panics
    ///
    /// As [`Client::connect`].
    pub async fn connect(nodes: impl IntoClusterConfig) -> Result<Self> {
        let cluster = Cluster::connect(nodes.into_cluster_config()?).await?;
        Ok(Self {
            inner: Arc::new(Inner {
                cluster,
                hub: Hub::default(),
                shard_hub: Hub::default(),
            }),
        })
    }

    /// Its nodes, as far as they are known now, also those that failed.
    pub fn nodes(&self) -> Vec<Node> {
        self.driver().routes().map().nodes().cloned().collect()
    }

    /// A client of one of its nodes, by its address (`127.0.0.1:7000`): for commands that are about a node, such as
    /// `CONFIG GET`, `CLIENT LIST` or `INFO`.
    ///
    /// ```no_run
    /// # async fn example(cluster: tidings::ClusterClient) -> tidings::Result<()> {
    /// use tidings::Commands;
    ///
    /// for node in cluster.nodes() {
    ///     let client = cluster.node(node.address()).await?;
    ///     let clients: String = client.client_list().await?;
    ///     println!("{}: {clients}", node.address());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// It is an ordinary [`Client`] with a connection of its own, and follows no redirections.
    ///
    /// # Errors
    ///
    /// No node of the cluster is at this address, which is a [misuse](crate::ErrorKind::Misuse); or it cannot be reached.
    pub async fn node(&self, address: impl fmt::Display) -> Result<Client> {
        Client::connect(self.node_config(address)?).await
    }

    /// That of the client of one node.
    pub(crate) fn node_config(&self, address: impl fmt::Display) -> Result<Config> {
        let address = self.known_address(&address)?;
        let link = self.driver().link_at(&address);
        // What a replica has can be read there.
        Ok(Config::clone(link.config()).read_from_replicas(true))
    }

    /// Begins a [`ClusterPipeline`]: commands that are sent in one go, to all nodes at a time.
    ///
    /// ```no_run
    /// # async fn example(cluster: tidings::ClusterClient) -> tidings::Result<()> {
    /// let mut pipe = cluster.pipeline();
    /// pipe.set("foo", "bar"); // nothing is sent yet
    /// pipe.get("bing");
    /// let (ok, bing): (bool, Option<String>) = pipe.execute().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn pipeline(&self) -> ClusterPipeline {
        ClusterPipeline::new(self.clone())
    }

    /// Transactions (`MULTI`, `EXEC`, `WATCH`) on the slot of this key: a pipeline, watched keys, or a closure over them that
    /// is run again when one has changed. Nothing is sent yet.
    ///
    /// ```no_run
    /// # async fn example(cluster: tidings::ClusterClient) -> tidings::Result<()> {
    /// let (balance, entries): (i64, i64) = cluster
    ///     .transaction_on("{account:7}")
    ///     .pipeline()
    ///     .incrby("{account:7}:balance", 5)
    ///     .rpush("{account:7}:entries", "5 from cash")
    ///     .execute()
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// All of its keys are in that slot: those are that have the same `{tag}`.
    pub fn transaction_on(&self, key: impl ToArg) -> SlotTransactions {
        SlotTransactions::new(self.clone(), &key)
    }

    /// Makes a [`PubSub`](crate::PubSub): a subscriber of channels and patterns with a connection of its own to one node.
    /// Nothing is sent before it is awaited.
    ///
    /// In a cluster what is published anywhere reaches the subscribers of all nodes. The node is a random primary, and another
    /// one after each loss; it is left when it leaves the cluster or the others have agreed that it failed. The builder's
    /// [`node`](PubSubBuilder::node) fixes it, and [`read_from_replicas`](PubSubBuilder::read_from_replicas) makes it a
    /// replica.
    ///
    /// ```no_run
    /// # async fn example(cluster: tidings::ClusterClient) -> tidings::Result<()> {
    /// let mut pubsub = cluster.pubsub().channels("news").read_from_replicas(true).await?;
    /// pubsub.psubscribe("user:*").await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Messages of shard channels do not come here. What a cluster's bus may lose is told [with the promises](self#the-promises-in-a-cluster).
    pub fn pubsub(&self) -> PubSubBuilder<Bytes, OneNode> {
        PubSubBuilder::new(Home::Node(NodeChoice {
            cluster: self.clone(),
            from_replicas: self.driver().config().reads_from_replicas(),
            node: None,
        }))
    }

    /// Makes a [`ShardedPubSub`](crate::ShardedPubSub): a subscriber of shard channels, which come from the nodes that have their slots. Nothing
    /// is sent before it is awaited.
    ///
    /// ```no_run
    /// # async fn example(cluster: tidings::ClusterClient) -> tidings::Result<()> {
    /// use tidings::Commands;
    ///
    /// let mut rooms = cluster.sharded_pubsub().channels(["room:1", "room:2"]).await?;
    /// cluster.spublish("room:1", "good morning").await?;
    /// while let Some(event) = rooms.next().await {
    ///     println!("{:?}", event?);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// [`read_from_replicas`](PubSubBuilder::read_from_replicas) of the builder has it read from a replica of each shard, and
    /// from the primary where there is none. Its connections, one for each node in use, count as one of
    /// [`max_own_connections`](crate::Config::max_own_connections).
    ///
    /// There are no patterns:
    ///
    /// ```compile_fail,E0271
    /// fn patterns(cluster: tidings::ClusterClient) {
    ///     let builder = cluster.sharded_pubsub().patterns("room:*");
    /// }
    /// ```
    pub fn sharded_pubsub(&self) -> PubSubBuilder<Bytes, Sharded> {
        PubSubBuilder::new(Home::Nodes(NodesChoice {
            cluster: self.clone(),
            from_replicas: self.driver().config().reads_from_replicas(),
        }))
    }

    /// Makes a [`ClusterMonitor`](crate::ClusterMonitor): a stream of every command that the primaries run, or all nodes, over
    /// a connection to each of them (`MONITOR`). Nothing is sent before it is awaited.
    ///
    /// ```no_run
    /// # async fn example(cluster: tidings::ClusterClient) -> tidings::Result<()> {
    /// let mut monitor = cluster.monitor().replicas(true).await?;
    /// while let Some(item) = monitor.next().await {
    ///     println!("{}", item?); // the node, and the command as redis-cli shows it
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// It follows the nodes: those that join or are promoted are monitored too, those that leave are left. A node that
    /// cannot be reached at the beginning is tried again while the others are shown, as if it had been lost then.
    ///
    /// A monitor slows the servers down, the more the more commands they run.
    ///
    /// # Errors
    ///
    /// No node can be reached; or one of them refuses: `MONITOR` is of the ACL categories `@admin` and `@dangerous`.
    pub fn monitor(&self) -> ClusterMonitorBuilder {
        ClusterMonitorBuilder::new(self.clone())
    }

    /// A stream of all keys of all nodes (`SCAN`), one primary after the other. Nothing is sent before it is read.
    ///
    /// ```no_run
    /// # async fn example(cluster: tidings::ClusterClient) -> tidings::Result<()> {
    /// use tidings::options::ScanOptions;
    ///
    /// let mut keys = cluster.scan_keys_with(ScanOptions::new().pattern("user:*"));
    /// while let Some(key) = keys.next().await {
    ///     let key: String = key?;
    ///     println!("{key}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// A key may come twice; one that is there all the time comes, also if its slot moves meanwhile or its node fails over.
    /// More stands at [`ScanKeys`].
    pub fn scan_keys<K: FromReply + Send + 'static>(&self) -> ScanKeys<K> {
        self.scan_keys_with(ScanOptions::new())
    }

    /// The same with options: only some keys, or more or fewer of them a call, which are 250 unless told.
    pub fn scan_keys_with<K: FromReply + Send + 'static>(
        &self,
        options: ScanOptions,
    ) -> ScanKeys<K> {
        ScanKeys::of_cluster(self.clone(), options)
    }

    /// Makes [`KeyspaceEvents`](crate::KeyspaceEvents): a stream of what is done to the keys that match a pattern (`*` for
    /// all), over a connection to each primary. Nothing is sent before it is awaited.
    ///
    /// ```no_run
    /// # async fn example(cluster: tidings::ClusterClient) -> tidings::Result<()> {
    /// let mut events = cluster.keyspace_events("user:*").await?;
    /// while let Some(event) = events.next().await {
    ///     println!("{:?}", event?);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// It follows the primaries. One that cannot be reached at the beginning is tried again, with a gap when it is there. What
    /// a pattern is stands at [`Client::keyspace_events`].
    ///
    /// # Errors
    ///
    /// No node can be reached; or one of the primaries does not send the notifications that are wanted, or does not say
    /// so, as the builder's [`notifications`](KeyspaceEventsBuilder::notifications) has it, or refuses the channels.
    pub fn keyspace_events(&self, keys: impl ToArg) -> KeyspaceEventsBuilder {
        KeyspaceEventsBuilder::of_cluster(self.clone(), &keys)
    }

    /// Makes a [`Subscription`](crate::Subscription) to channels (`SUBSCRIBE`): a light subscriber over one connection, to
    /// a random node, that all of this client's subscriptions to channels and patterns share. Nothing is sent before it is
    /// awaited.
    ///
    /// ```no_run
    /// # async fn example(cluster: tidings::ClusterClient) -> tidings::Result<()> {
    /// let mut news = cluster.subscribe("news").await?;
    /// let event = news.next().await;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// It is left for another node as that of [`pubsub`](Self::pubsub) is.
    pub fn subscribe<M, T: SubscribeTo<M>>(&self, channels: T) -> T::Request {
        channels.into_request(self.source(), SubscriptionKind::Channel)
    }

    /// The same for patterns (`PSUBSCRIBE`).
    pub fn psubscribe<M, T: SubscribeTo<M>>(&self, patterns: T) -> T::Request {
        patterns.into_request(self.source(), SubscriptionKind::Pattern)
    }

    /// Makes a [`Subscription`](crate::Subscription) to shard channels (`SSUBSCRIBE`), over connections to the nodes that
    /// have their slots, which all of this client's subscriptions to shard channels share. They follow the slots as
    /// those of a [`ShardedPubSub`](crate::ShardedPubSub) do.
    ///
    /// ```no_run
    /// # async fn example(cluster: tidings::ClusterClient) -> tidings::Result<()> {
    /// let mut room = cluster.ssubscribe("room:1").await?;
    /// let event = room.next().await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn ssubscribe<M, T: SubscribeTo<M>>(&self, channels: T) -> T::Request {
        channels.into_request(self.source(), SubscriptionKind::Shard)
    }

    /// Ends subscriptions of a receiver's [senders](crate::Sender) for channels that were made with this client; as
    /// [`Client::unsubscribe`].
    ///
    /// # Errors
    ///
    /// A sender that stands for no channel; a runtime that has ended.
    pub async fn unsubscribe(&self, senders: impl Senders) -> Result<()> {
        self.end(senders, SubscriptionKind::Channel).await
    }

    /// The same for patterns (`PUNSUBSCRIBE`).
    ///
    /// # Errors
    ///
    /// As [`unsubscribe`](Self::unsubscribe).
    pub async fn punsubscribe(&self, senders: impl Senders) -> Result<()> {
        self.end(senders, SubscriptionKind::Pattern).await
    }

    /// The same for shard channels (`SUNSUBSCRIBE`).
    ///
    /// # Errors
    ///
    /// As [`unsubscribe`](Self::unsubscribe).
    pub async fn sunsubscribe(&self, senders: impl Senders) -> Result<()> {
        self.end(senders, SubscriptionKind::Shard).await
    }

    async fn end(&self, senders: impl Senders, kind: SubscriptionKind) -> Result<()> {
        let senders = of_kind(senders, kind)?;
        match self.known_hub(kind).await {
            Some(hubbed) => unsubscribe(senders, Some(hubbed)).await,
            None => Ok(()),
        }
    }

    pub(crate) fn source(&self) -> Source {
        Source::Cluster(self.clone())
    }

    pub(crate) fn charset(&self) -> Charset {
        self.driver().charset()
    }

    /// Leave to make a connection.
    pub(crate) async fn permit(&self) -> Result<OwnedSemaphorePermit> {
        self.driver().check_open()?;
        pool::lease(self.driver().permits(), self.driver().config()).await
    }

    pub(crate) fn driver(&self) -> &Arc<Cluster> {
        &self.inner.cluster
    }

    /// The connection, or those, that its subscriptions to one kind share.
    pub(crate) async fn hubbed(&self, kind: SubscriptionKind) -> Result<Arc<Hubbed>> {
        let cluster = self.driver();
        let access = access(cluster.config().reads_from_replicas());
        if kind == SubscriptionKind::Shard {
            let connecting = async {
                let permit = self.permit().await?;
                Ok(Hubbed::over_nodes(cluster, access, permit))
            };
            return self.inner.shard_hub.connection(connecting).await;
        }
        let connecting = async {
            let place = self.place_at(None, access)?;
            Hubbed::over_one(place, self.permit().await?).await
        };
        self.inner.hub.connection(connecting).await
    }

    /// The connections that [`hubbed`](Self::hubbed) gives, if there are some.
    async fn known_hub(&self, kind: SubscriptionKind) -> Option<Arc<Hubbed>> {
        match kind {
            SubscriptionKind::Shard => self.inner.shard_hub.known().await,
            _ => self.inner.hub.known().await,
        }
    }

    /// Where the connection of a subscriber goes.
    pub(crate) fn place_at(&self, node: Option<&str>, access: Access) -> Result<Place> {
        let fixed = node.map(|node| self.known_address(&node)).transpose()?;
        let place = NodePlace::new(Arc::clone(self.driver()), fixed, access);
        Ok(Place::Node(Arc::new(place.of_subscriber())))
    }

    /// The address of a node that is known.
    fn known_address(&self, wanted: &impl fmt::Display) -> Result<Address> {
        let wanted = wanted.to_string();
        let routes = self.driver().routes();
        let mut addresses: Vec<&Address> = routes.map().nodes().map(Node::address).collect();
        if let Some(known) = addresses.iter().find(|known| known.to_string() == wanted) {
            return Ok((*known).clone());
        }
        addresses.sort_unstable();
        let shown: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        Err(Error::misuse(format!(
            "no node of the cluster is at {wanted}: there are {}",
            shown.join(", ")
        )))
    }

    /// Runs a command on the node of this key's slot: for one that has no key of its own and is to run there, or of
    /// which nothing is known here.
    ///
    /// ```no_run
    /// # async fn example(cluster: tidings::ClusterClient) -> tidings::Result<()> {
    /// use tidings::cmd;
    ///
    /// let n: i64 = cluster.run_on_key("user:1", cmd("EVAL").arg("return 1").arg(0)).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// It follows the slot, and is sent again after a loss, as a command with that key is.
    ///
    /// # Errors
    ///
    /// As those of any command. One that changes its connection (`MULTI`, `SUBSCRIBE`, `SELECT`, …) is a
    /// [misuse](crate::ErrorKind::Misuse).
    pub fn run_on_key<T: FromReply>(&self, key: impl ToArg, command: Command) -> ClusterRun<'_, T> {
        match one_name(&key, self.driver().charset()) {
            Ok(key) => ClusterRun::at_slot(self.driver(), Slot::of_key(&key), command),
            Err(error) => ClusterRun::refused(self.driver(), error),
        }
    }
}

impl ClusterClient {
    /// Runs a command on each node, replicas too, and gives what each of them answered, by its address: for what is about
    /// a node, such as `INFO`.
    ///
    /// ```no_run
    /// # async fn example(cluster: tidings::ClusterClient) -> tidings::Result<()> {
    /// use tidings::cmd;
    ///
    /// let infos = cluster.run_on_nodes::<String>(cmd("INFO").arg("memory")).await?;
    /// for (node, info) in infos {
    ///     println!("{node}: {info}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The first one, if any of the nodes gives one or cannot be reached; nodes of which the cluster has agreed that they
    /// failed are left out.
    pub fn run_on_nodes<T: FromReply>(
        &self,
        command: Command,
    ) -> ClusterRun<'_, BTreeMap<String, T>> {
        ClusterRun::on_nodes(self.driver(), command)
    }
}

impl<'a> Commands for &'a ClusterClient {
    type Output<T: FromReply> = ClusterRun<'a, T>;

    fn run<T: FromReply>(self, command: Command) -> ClusterRun<'a, T> {
        ClusterRun::new(self.driver(), command)
    }

    fn run_script<T: FromReply>(self, call: ScriptCall) -> ClusterRun<'a, T> {
        self.run(call.by_digest()).with_script(call)
    }
}

impl fmt::Debug for ClusterClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClusterClient")
            .field("config", self.driver().config())
            .field("nodes", &self.nodes())
            .finish()
    }
}
