//! The monitor of a cluster: every command that its nodes run.

use std::collections::HashMap;
use std::fmt;
use std::future::{Future, IntoFuture, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use tidings_proto::cluster::{Address, Following};
use tidings_proto::monitor::{MonitorEvent, Notation};
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::coop;

use super::queue::{self, Bounds, Item, Loss, Queue};
use super::unreadable;
use crate::cluster::ClusterClient;
use crate::config::Config;
use crate::driver::every_node::{self, NodeState, NodeStatus, Watcher, Watching};
use crate::driver::monitor::{MonitorLink, OfNode};
use crate::driver::place::Place;
use crate::error::{Error, Result};
use crate::pubsub::Gap;

/// A stream of every command that the nodes of a cluster run, with a connection to each of them.
///
/// Made by [`ClusterClient::monitor`]. Dropping it closes its connections.
///
/// ```no_run
/// # async fn example(cluster: tidings::ClusterClient) -> tidings::Result<()> {
/// let mut monitor = cluster.monitor().await?;
/// while let Some(item) = monitor.next().await {
///     match item {
///         Ok(item) => println!("{}: {:?}", item.node(), item.event().command()),
///         Err(error) => println!("{error}"), // what is missing, and of which node
///     }
/// }
/// # Ok(())
/// # }
/// ```
///
/// It shows what the primaries run, and with [`replicas`](ClusterMonitorBuilder::replicas) what replicas run as well. The
/// commands of one node come in the order in which it ran them; between nodes there is no order. What is shown of a node
/// is what a [`Monitor`](crate::Monitor) of it shows.
///
/// Each item is a command, or an error in the place of some; both say of which node.
///
/// - **Something is missing of a node**: one error of kind [`Connection`](crate::ErrorKind::Connection) with a
///   [gap](Error::gap), whose cause is
///   - [`Disconnected`](crate::GapCause::Disconnected): the connection was lost, and there is another one now;
///   - [`Failover`](crate::GapCause::Failover): a replica has taken over, and is shown from here on;
///   - [`NodeJoined`](crate::GapCause::NodeJoined): the node is new, and is shown from here on;
///   - [`NodeLeft`](crate::GapCause::NodeLeft): the node is no part of the cluster any more. So it says too if
///     the cluster had agreed that it failed, and it is back.
/// - **This stream is not read fast enough**, as with a [`Monitor`](crate::Monitor): one error of kind
///   [`Overflow`](crate::ErrorKind::Overflow). All nodes share one queue, and the gap may be any node's.
/// - **A line that cannot be read**, and **a node that refuses to be monitored** after the beginning: as
///   with a [`Monitor`](crate::Monitor).
///
/// Nodes that come and go, and those that are promoted, are seen at the latest after
/// [`Config::topology_interval`](crate::Config::topology_interval). A node that cannot be reached is tried again for ever; what
/// it may have run meanwhile is told as a gap when it is back, and [`nodes`](Self::nodes) tells of it before. The stream ends
/// only when the attempts to connect to a node are used up (there is no end of them unless [told
/// otherwise](crate::Config::max_attempts)), or with its runtime; its last item is an error that says so.
pub struct ClusterMonitor {
    queue: Arc<Queue<Address>>,
    /// Of the nodes that do not escape.
    notations: HashMap<Address, Notation>,
    watching: Watching,
    _permit: OwnedSemaphorePermit,
}

/// A command that a node of a cluster ran.
///
/// `Display` gives the node, and the line that `redis-cli monitor` shows.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClusterMonitorEvent {
    node: Address,
    event: MonitorEvent,
}

impl ClusterMonitorEvent {
    /// The node that ran it.
    pub fn node(&self) -> &Address {
        &self.node
    }

    /// What it ran.
    pub fn event(&self) -> &MonitorEvent {
        &self.event
    }

    /// What it ran.
    pub fn into_event(self) -> MonitorEvent {
        self.event
    }
}

impl fmt::Display for ClusterMonitorEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.node, self.event)
    }
}

impl ClusterMonitor {
    async fn open(builder: ClusterMonitorBuilder) -> Result<Self> {
        let ClusterMonitorBuilder {
            cluster,
            which,
            bounds,
        } = builder;
        let permit = cluster.permit().await?;
        let queue = Arc::new(Queue::new(bounds));
        let watcher = OfAll {
            queue: Arc::clone(&queue),
        };
        // From here on, dropping it ends the tasks.
        let monitor = Self {
            queue,
            notations: HashMap::new(),
            watching: every_node::watch(cluster.driver(), which, watcher),
            _permit: permit,
        };
        monitor.watching.begun().await?;
        Ok(monitor)
    }

    /// The nodes that are monitored now, and whether they can be reached.
    pub fn nodes(&self) -> Vec<NodeStatus> {
        self.watching.nodes()
    }

    /// The next command, or an error in the place of some; `None` at the end.
    ///
    /// # Errors
    ///
    /// See [`ClusterMonitor`]. After an error the stream goes on.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost if it is dropped.
    pub async fn next(&mut self) -> Option<Result<ClusterMonitorEvent>> {
        poll_fn(|cx| self.poll_event(cx)).await
    }

    pub(crate) fn poll_event(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<ClusterMonitorEvent>>> {
        // Nodes that are always busy are not to keep other tasks from their turn.
        let turn = ready!(coop::poll_proceed(cx));
        loop {
            let item = ready!(self.queue.poll_pop(cx));
            turn.made_progress();
            let error = match item {
                Some(Item::Line(node, line)) => {
                    let notation = self.notations.get(&node).unwrap_or(&Notation::Escaped);
                    return Poll::Ready(Some(match MonitorEvent::parse(&line, notation) {
                        Ok(event) => Ok(ClusterMonitorEvent { node, event }),
                        Err(error) => Err(unreadable(&line, error).at_node(node)),
                    }));
                }
                Some(Item::Begun(node, notation, loss)) => {
                    match notation {
                        Notation::Escaped => self.notations.remove(&node),
                        raw => self.notations.insert(node, raw),
                    };
                    match loss {
                        Some(loss) => loss.into_error(),
                        None => continue,
                    }
                }
                Some(Item::Lost(loss)) => loss.into_error(),
                Some(Item::Dropped(gap)) => queue::overflow(gap),
                Some(Item::Error(error)) => error,
                None => return Poll::Ready(None),
            };
            return Poll::Ready(Some(Err(error)));
        }
    }
}

impl Stream for ClusterMonitor {
    type Item = Result<ClusterMonitorEvent>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_event(cx)
    }
}

impl fmt::Debug for ClusterMonitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClusterMonitor")
            .field("nodes", &self.nodes())
            .finish_non_exhaustive()
    }
}

impl Drop for ClusterMonitor {
    fn drop(&mut self) {
        self.queue.close();
    }
}

/// Has all nodes' lines come into one queue.
struct OfAll {
    queue: Arc<Queue<Address>>,
}

impl Watcher for OfAll {
    type Line = MonitorLink<OfNode>;

    fn line(&self, config: Arc<Config>, state: NodeState, place: Place) -> (Self::Line, Place) {
        let sink = OfNode::new(Arc::clone(&self.queue), state);
        (MonitorLink::new(config, sink), place)
    }

    fn tell(&self, gap: Gap, why: Error) {
        self.queue.push([Item::Lost(Loss { gap, error: why })]);
    }

    fn ended(&self, error: Option<Error>) {
        self.queue.end(error);
    }
}

/// Makes a [`ClusterMonitor`]; nothing is sent before it is awaited.
#[must_use = "nothing happens before the builder is awaited"]
#[derive(Debug)]
pub struct ClusterMonitorBuilder {
    cluster: ClusterClient,
    which: Following,
    bounds: Bounds,
}

impl ClusterMonitorBuilder {
    pub(crate) fn new(cluster: ClusterClient) -> Self {
        Self {
            cluster,
            which: Following::Primaries,
            bounds: Bounds::default(),
        }
    }

    /// Whether replicas are monitored too; without it only primaries are.
    ///
    /// A replica runs again what its primary has run that changes something, and besides what clients read from it.
    pub fn replicas(mut self, replicas: bool) -> Self {
        self.which = match replicas {
            true => Following::All,
            false => Following::Primaries,
        };
        self
    }

    /// The bounds of the queue that all nodes share: so many commands and so many bytes of their lines (a little is added
    /// for each), at least one command. 65 536 and 16 MiB unless told otherwise.
    pub fn queue(mut self, commands: usize, bytes: usize) -> Self {
        self.bounds.lines = commands;
        self.bounds.bytes = bytes;
        self
    }
}

impl IntoFuture for ClusterMonitorBuilder {
    type Output = Result<ClusterMonitor>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(ClusterMonitor::open(self))
    }
}
