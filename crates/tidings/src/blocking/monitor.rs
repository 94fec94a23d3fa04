//! The monitor: every command that the server runs.

use std::future::IntoFuture;
use std::time::{Duration, Instant};

use tidings_proto::monitor::MonitorEvent;

use super::runtime::{self, deadline};
use super::timeout_iter::{ReadWithin, TimeoutIter};
use crate::error::Result;
use crate::{ClusterMonitorEvent, NodeStatus};

/// An iterator over every command that the server runs, with a connection of its own.
///
/// Made by [`Client::monitor`](super::Client::monitor). It is the asynchronous [`Monitor`](crate::Monitor), where it
/// stands what is shown and what an error between the commands means. Its connection is read by the [thread in the
/// background](super#the-thread-in-the-background), and what finds no room in its queue is dropped and told of.
///
/// ```no_run
/// # fn example(client: tidings::blocking::Client) -> tidings::Result<()> {
/// for item in client.monitor().open()? {
///     match item {
///         Ok(event) => println!("{} {:?}", event.client(), event.command()),
///         Err(error) => eprintln!("{error}"), // a loss, or a line that cannot be read; it goes on
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Monitor {
    inner: crate::Monitor,
}

impl Monitor {
    /// An iterator that ends as well when nothing came for so long. It can be made again and goes on then.
    pub fn timeout_iter(&mut self, timeout: Duration) -> TimeoutIter<'_, Self> {
        TimeoutIter::new(self, timeout)
    }

    fn wait(&mut self, deadline: Option<Instant>) -> Option<Result<MonitorEvent>> {
        runtime::next_item(|cx| self.inner.poll_event(cx), deadline)
    }
}

/// Waits for the next command, or an error in the place of some. After an error it goes on; `None` is its end, as
/// [there](crate::Monitor).
impl Iterator for Monitor {
    type Item = Result<MonitorEvent>;

    fn next(&mut self) -> Option<Self::Item> {
        self.wait(None)
    }
}

impl ReadWithin for Monitor {
    type Item = Result<MonitorEvent>;

    fn next_within(&mut self, timeout: Duration) -> Option<Self::Item> {
        self.wait(deadline(timeout))
    }
}

/// Makes a [`Monitor`]; nothing is sent before it is [opened](Self::open).
#[must_use = "nothing happens before it is opened"]
#[derive(Debug)]
pub struct MonitorBuilder {
    inner: crate::MonitorBuilder,
}

impl MonitorBuilder {
    pub(super) fn new(inner: crate::MonitorBuilder) -> Self {
        Self { inner }
    }

    /// The bounds of the queue, in commands and in bytes of their lines; as
    /// [there](crate::MonitorBuilder::queue).
    pub fn queue(mut self, commands: usize, bytes: usize) -> Self {
        self.inner = self.inner.queue(commands, bytes);
        self
    }

    /// Opens the connection, and waits until the server has agreed to show its commands.
    ///
    /// # Errors
    ///
    /// No connection can be made, or the server refuses: `MONITOR` is of the ACL categories `@admin` and `@dangerous`.
    pub fn open(self) -> Result<Monitor> {
        let inner = runtime::wait(self.inner.into_future())?;
        Ok(Monitor { inner })
    }
}

/// An iterator over every command that the nodes of a cluster run, with a connection to each of them.
///
/// Made by [`ClusterClient::monitor`](super::ClusterClient::monitor). It is the asynchronous
/// [`ClusterMonitor`](crate::ClusterMonitor), where it stands what is shown and what an error between the commands means.
///
/// ```no_run
/// # fn example(cluster: tidings::blocking::ClusterClient) -> tidings::Result<()> {
/// for item in cluster.monitor().open()? {
///     match item {
///         Ok(item) => println!("{}: {:?}", item.node(), item.event().command()),
///         Err(error) => eprintln!("{error}"), // what is missing, and of which node
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct ClusterMonitor {
    inner: crate::ClusterMonitor,
}

impl ClusterMonitor {
    /// The nodes that are monitored now, and whether they can be reached.
    pub fn nodes(&self) -> Vec<NodeStatus> {
        self.inner.nodes()
    }

    /// An iterator that ends as well when nothing came for so long. It can be made again and goes on then.
    pub fn timeout_iter(&mut self, timeout: Duration) -> TimeoutIter<'_, Self> {
        TimeoutIter::new(self, timeout)
    }

    fn wait(&mut self, deadline: Option<Instant>) -> Option<Result<ClusterMonitorEvent>> {
        runtime::next_item(|cx| self.inner.poll_event(cx), deadline)
    }
}

/// Waits for the next command, or an error in the place of some. After an error it goes on; `None` is its end, as
/// [there](crate::ClusterMonitor).
impl Iterator for ClusterMonitor {
    type Item = Result<ClusterMonitorEvent>;

    fn next(&mut self) -> Option<Self::Item> {
        self.wait(None)
    }
}

impl ReadWithin for ClusterMonitor {
    type Item = Result<ClusterMonitorEvent>;

    fn next_within(&mut self, timeout: Duration) -> Option<Self::Item> {
        self.wait(deadline(timeout))
    }
}

/// Makes a [`ClusterMonitor`]; nothing is sent before it is [opened](Self::open).
#[must_use = "nothing happens before it is opened"]
#[derive(Debug)]
pub struct ClusterMonitorBuilder {
    inner: crate::ClusterMonitorBuilder,
}

impl ClusterMonitorBuilder {
    pub(super) fn new(inner: crate::ClusterMonitorBuilder) -> Self {
        Self { inner }
    }

    /// Whether replicas are monitored too; as [there](crate::ClusterMonitorBuilder::replicas).
    pub fn replicas(mut self, replicas: bool) -> Self {
        self.inner = self.inner.replicas(replicas);
        self
    }

    /// The bounds of the queue, in commands and in bytes of their lines; as
    /// [there](crate::ClusterMonitorBuilder::queue).
    pub fn queue(mut self, commands: usize, bytes: usize) -> Self {
        self.inner = self.inner.queue(commands, bytes);
        self
    }

    /// Opens the connections, and waits until the nodes have agreed to show their commands.
    ///
    /// # Errors
    ///
    /// No node can be reached; or one of them refuses: `MONITOR` is of the ACL categories `@admin` and `@dangerous`.
    pub fn open(self) -> Result<ClusterMonitor> {
        let inner = runtime::wait(self.inner.into_future())?;
        Ok(ClusterMonitor { inner })
    }
}
