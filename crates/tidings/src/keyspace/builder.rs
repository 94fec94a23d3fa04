//! How [`KeyspaceEvents`] are made.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;

use tidings_proto::cluster::Following;
use tidings_proto::keyspace::KeyspaceChannels;
use tidings_proto::{Arg, Charset, ToArg, ToArgs};

use super::{Connections, KeyspaceEvents, OfAll};
use crate::client::Client;
use crate::cluster::ClusterClient;
use crate::config::Config;
use crate::driver::cluster::address_of;
use crate::driver::every_node::{self, NodeStates};
use crate::driver::keyspace::{Check, CheckedPlace, KeyspaceLink, Stream};
use crate::driver::supervise;
use crate::error::{Error, Result};
use crate::pubsub::queue::{Bounds, Overflow, Queue};
use crate::pubsub::{encoded, names};

/// What is done about servers that do not send keyspace notifications: they send none unless their setting
/// `notify-keyspace-events` says which.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Notifications {
    /// They have to send what is wanted. One that does not is an error that says what to set.
    ///
    /// They are asked (`CONFIG GET`) on each new connection, and from time to time.
    #[default]
    Required,
    /// They are told to send what is wanted beside what they send already (`CONFIG SET`), those too that join the cluster
    /// later or were started anew. It stays so afterwards: others may rely on it.
    Enable,
    /// They are not asked. If they do not send what is wanted, it never comes. For services that have no `CONFIG`,
    /// and users who may not use it.
    Unchecked,
}

/// Makes [`KeyspaceEvents`]; nothing is sent before it is awaited.
///
/// ```no_run
/// # async fn example(client: tidings::Client) -> tidings::Result<()> {
/// use tidings::{Notifications, Overflow};
///
/// let events = client
///     .keyspace_events("user:*")
///     .operations(["set", "del", "expired"])
///     .notifications(Notifications::Enable)
///     .overflow(Overflow::DropOldest)
///     .await?;
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing happens before the builder is awaited"]
#[derive(Debug)]
pub struct KeyspaceEventsBuilder {
    home: Home,
    /// A pattern.
    keys: Vec<Arg>,
    operations: Option<Vec<Arg>>,
    /// `None`: all.
    database: Option<u32>,
    notifications: Notifications,
    bounds: Bounds,
}

/// Whose events.
#[derive(Debug)]
enum Home {
    Client(Client),
    Cluster(ClusterClient),
}

impl Home {
    fn config(&self) -> &Arc<Config> {
        match self {
            Self::Client(client) => client.place().config(),
            Self::Cluster(cluster) => cluster.driver().config(),
        }
    }

    fn charset(&self) -> Charset {
        match self {
            Self::Client(client) => client.charset(),
            Self::Cluster(cluster) => cluster.charset(),
        }
    }
}

impl KeyspaceEventsBuilder {
    pub(crate) fn of_client(client: Client, keys: &impl ToArg) -> Self {
        Self::new(Home::Client(client), keys)
    }

    pub(crate) fn of_cluster(cluster: ClusterClient, keys: &impl ToArg) -> Self {
        Self::new(Home::Cluster(cluster), keys)
    }

    fn new(home: Home, keys: &impl ToArg) -> Self {
        Self {
            database: Some(home.config().database_number()),
            home,
            keys: names(keys),
            operations: None,
            notifications: Notifications::default(),
            bounds: Bounds::default(),
        }
    }

    /// Only these operations, as servers call them: `set`, `del`, `expired`, … Without it all come but those of classes
    /// that servers do not count among all (`new`, `keymiss`, and a few of newer servers): ask for these by name.
    ///
    /// Of all keys (`*`), the servers send no others.
    pub fn operations<S>(mut self, operations: impl ToArgs<S>) -> Self {
        self.operations = Some(names(operations));
        self
    }

    /// Only of this database; without it, of the client's own.
    ///
    /// A cluster has one, number 0, unless it is one of Valkey 9 and was told to have more.
    pub fn database(mut self, number: u32) -> Self {
        self.database = Some(number);
        self
    }

    /// Of all databases, up to number 9 999.
    pub fn all_databases(mut self) -> Self {
        self.database = None;
        self
    }

    /// What is done about servers that do not send what is wanted: [`Notifications::Required`] unless told otherwise.
    pub fn notifications(mut self, notifications: Notifications) -> Self {
        self.notifications = notifications;
        self
    }

    /// The bounds of the queue: so many events (at least 1) and so many bytes of their keys and operations, 65 536 and 32
    /// MiB unless told otherwise. What a single read brings may exceed them with [`Overflow::Backpressure`].
    pub fn queue(mut self, events: usize, bytes: usize) -> Self {
        self.bounds.limit(events, bytes);
        self
    }

    /// What a full queue does: [`Overflow::Backpressure`] unless told otherwise. The nodes of a cluster share the
    /// queue.
    pub fn overflow(mut self, overflow: Overflow) -> Self {
        self.bounds.overflow = overflow;
        self
    }

    fn channels(&self) -> Result<KeyspaceChannels> {
        let charset = self.home.charset();
        let operations = self.operations.as_ref();
        let operations = operations
            .map(|operations| encoded(operations, charset))
            .transpose()?;
        if operations.as_ref().is_some_and(Vec::is_empty) {
            return Err(Error::misuse(
                "keyspace events of no operation: name one, or none at all for all of them",
            ));
        }
        let keys = encoded(&self.keys, charset)?.pop().unwrap_or_default();
        Ok(KeyspaceChannels::new(self.database, keys, operations))
    }

    async fn open(self) -> Result<KeyspaceEvents> {
        let channels = Arc::new(self.channels()?);
        let check = Arc::new(Check::new(channels.needed(), self.notifications));
        let stream = Stream {
            queue: Arc::new(Queue::new(self.bounds)),
            channels,
            sources: Arc::default(),
            charset: self.home.charset(),
        };
        match self.home {
            Home::Client(client) => of_client(&client, stream, check).await,
            Home::Cluster(cluster) => of_cluster(&cluster, stream, check).await,
        }
    }
}

async fn of_client(client: &Client, stream: Stream, check: Arc<Check>) -> Result<KeyspaceEvents> {
    let permit = client.pool().permit().await?;
    let place = CheckedPlace::of(client.place().clone(), check);
    let connected = place.connect().await?;
    let states = Arc::<NodeStates>::default();
    let state = states.add(address_of(&connected.config));
    states.complete();
    let config = Arc::clone(&connected.config);
    let link = KeyspaceLink::new(config, stream.clone(), state, true);
    let shared = Arc::clone(link.shared());
    // From here on, dropping it ends the task.
    let connections = Connections::One(shared, Arc::clone(&states));
    let events = KeyspaceEvents::new(stream, connections, permit);
    tokio::spawn(supervise::supervise(place, connected, link));
    states.begun().await?;
    Ok(events)
}

async fn of_cluster(
    cluster: &ClusterClient,
    stream: Stream,
    check: Arc<Check>,
) -> Result<KeyspaceEvents> {
    let permit = cluster.permit().await?;
    let watcher = OfAll {
        stream: stream.clone(),
        check,
    };
    let watching = every_node::watch(cluster.driver(), Following::Primaries, watcher);
    // From here on, dropping it ends the tasks.
    let events = KeyspaceEvents::new(stream, Connections::Nodes(watching), permit);
    events.begun().await?;
    Ok(events)
}

impl IntoFuture for KeyspaceEventsBuilder {
    type Output = Result<KeyspaceEvents>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.open())
    }
}
