//! A publisher of numbers.

mod peers;
mod task;

use std::fmt;
use std::net::{Shutdown, ToSocketAddrs};
use std::sync::{Arc, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::admin::Credentials;
use crate::published::Published;
use crate::sync::lock;
use crate::wait::DEADLINE;
use crate::{Cluster, Server};
use peers::Peers;
use task::{Settings, Shared, Task};

/// A thread that publishes 1, 2, 3, … to each of its channels in turn, over a connection of its own,
/// and connects again whenever that is lost. What it published, a [`Checker`](crate::Checker) can
/// then compare with what a subscriber received.
///
/// In a [cluster](Self::to_cluster) each channel has a thread, which publishes at the node of its slot, wherever
/// that goes. One that waits for a node that stands still holds up no other, and goes on in order.
///
/// A number is never published twice: where the connection broke before the answer came, it stays
/// open whether the server had it ([`ChannelPublished::unacknowledged`](crate::ChannelPublished::unacknowledged)). A number that the server
/// refused is tried again.
///
/// ```
/// use tidings_testkit::{Publisher, Server};
///
/// let server = Server::start();
/// let publisher = Publisher::to(&server).channels(["a", "b"]).rate(10_000).start();
/// publisher.await_more(100);
/// let published = publisher.stop();
/// assert!(published.last("a") + published.last("b") >= 100);
/// ```
#[derive(Debug)]
#[must_use = "it stops when it is dropped"]
pub struct Publisher {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

/// What a [`Publisher`] should do; made by [`Publisher::to`], ended by [`start`](Self::start).
#[derive(Clone)]
#[must_use = "nothing is published until `start` is called"]
pub struct PublisherBuilder {
    peers: Peers,
    channels: Vec<Vec<u8>>,
    interval: Duration,
    settings: Settings,
    /// How many channels a thread has.
    channels_each: usize,
}

/// How long [`Publisher::stop`] waits for the answer to the last number.
const LAST_WORD: Duration = Duration::from_secs(1);

impl Publisher {
    /// Publishes at `server`, past any proxy.
    pub fn to(server: &Server) -> PublisherBuilder {
        PublisherBuilder::new(
            Peers::one(server.socket_address()),
            server.credentials().clone(),
        )
    }

    /// Publishes to shard channels, each at the node that has its slot (`SPUBLISH`, `MOVED`); to a replica where its
    /// primary is gone and none was elected yet. Nodes are reached where they [say](crate::ClusterNode::address) that
    /// they are.
    ///
    /// # Panics
    ///
    /// If the cluster has no nodes.
    #[track_caller]
    pub fn to_cluster(cluster: &Cluster) -> PublisherBuilder {
        let nodes = cluster.nodes();
        let addresses = nodes.iter().filter_map(|node| node.address().parse().ok());
        let credentials = nodes.first().expect("a cluster has nodes").credentials();
        let mut builder =
            PublisherBuilder::new(Peers::many(addresses.collect()), credentials.clone()).sharded();
        builder.channels_each = 1;
        builder
    }

    /// Publishes at an address, such as a proxy's.
    ///
    /// # Panics
    ///
    /// If the address means nothing.
    #[track_caller]
    pub fn at(address: impl ToSocketAddrs) -> PublisherBuilder {
        let mut addresses = address
            .to_socket_addrs()
            .expect("an address such as 127.0.0.1:6379");
        let address = addresses.next().expect("an address such as 127.0.0.1:6379");
        PublisherBuilder::new(Peers::one(address), Credentials::default())
    }

    /// How many numbers the server has acknowledged up to now, in all channels.
    #[must_use]
    pub fn acknowledged(&self) -> u64 {
        lock(&self.shared.state).acknowledged
    }

    /// What was published up to now.
    #[must_use]
    pub fn published(&self) -> Published {
        Published {
            channels: lock(&self.shared.state).published.clone(),
        }
    }

    /// Waits until `count` more are acknowledged than now.
    ///
    /// # Panics
    ///
    /// If that takes longer than 10 s and at the rate asked for.
    #[track_caller]
    pub fn await_more(&self, count: u64) {
        let state = lock(&self.shared.state);
        let goal = state.acknowledged + count;
        let pace = self
            .shared
            .interval
            .saturating_mul(u32::try_from(count).unwrap_or(u32::MAX));
        let waited =
            self.shared
                .changed
                .wait_timeout_while(state, DEADLINE.saturating_add(pace), |state| {
                    state.acknowledged < goal
                });
        let (state, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        assert!(
            !timeout.timed_out(),
            "the publisher has {} numbers acknowledged and waits in vain for {goal}",
            state.acknowledged
        );
    }

    /// Stops and tells what was published.
    #[must_use]
    pub fn stop(mut self) -> Published {
        self.end();
        Published {
            channels: std::mem::take(&mut lock(&self.shared.state).published),
        }
    }

    fn end(&mut self) {
        if self.threads.is_empty() {
            return;
        }
        let mut state = lock(&self.shared.state);
        state.stopping = true;
        self.shared.changed.notify_all();
        let waited = self
            .shared
            .changed
            .wait_timeout_while(state, LAST_WORD, |state| state.ended < self.threads.len());
        state = waited.unwrap_or_else(PoisonError::into_inner).0;
        // A server may stand still; its answer is waited for no longer.
        for connection in state.connections.values() {
            let _ = connection.shutdown(Shutdown::Both);
        }
        drop(state);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.end();
    }
}

impl PublisherBuilder {
    fn new(peers: Peers, credentials: Credentials) -> Self {
        Self {
            peers,
            channels: Vec::new(),
            interval: Duration::ZERO,
            settings: Settings {
                credentials,
                command: "PUBLISH",
                payload_size: 0,
            },
            channels_each: usize::MAX,
        }
    }

    /// The channels, each numbered on its own.
    pub fn channels<A: AsRef<[u8]>>(mut self, channels: impl IntoIterator<Item = A>) -> Self {
        self.channels.extend(
            channels
                .into_iter()
                .map(|channel| channel.as_ref().to_vec()),
        );
        self
    }

    /// How many numbers a second, in all channels together; without it, as many as there can be
    /// when each is waited for.
    pub fn rate(mut self, per_second: u32) -> Self {
        self.interval = Duration::from_secs(1)
            .checked_div(per_second)
            .unwrap_or_default();
        self
    }

    /// The size that payloads are padded to, with spaces behind the number.
    pub fn payload_size(mut self, bytes: usize) -> Self {
        self.settings.payload_size = bytes;
        self
    }

    /// Publishes to shard channels (`SPUBLISH`).
    pub fn sharded(mut self) -> Self {
        self.settings.command = "SPUBLISH";
        self
    }

    /// Logs in with the password of the default user.
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.settings.credentials.password = Some(password.into());
        self
    }

    /// Starts to publish.
    ///
    /// # Panics
    ///
    /// If there is no channel.
    #[track_caller]
    pub fn start(self) -> Publisher {
        assert!(!self.channels.is_empty(), "a publisher needs channels");
        let shared = Arc::new(Shared::of(self.interval, &self.channels));
        let groups: Vec<&[Vec<u8>]> = self.channels.chunks(self.channels_each).collect();
        let count = u32::try_from(groups.len()).unwrap_or(u32::MAX);
        let tasks = groups.iter().enumerate().map(|(number, channels)| Task {
            number,
            channels: channels.to_vec(),
            interval: self.interval.saturating_mul(count),
            settings: self.settings.clone(),
            peers: self.peers.clone(),
            shared: Arc::clone(&shared),
            connection: None,
        });
        let threads = tasks.map(|task| {
            let thread = thread::Builder::new().name("publisher".to_owned());
            let thread = thread.spawn(move || task.run());
            thread.expect("a thread for the publisher")
        });
        let threads = threads.collect();
        Publisher { shared, threads }
    }
}

/// Without the password.
impl fmt::Debug for PublisherBuilder {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("PublisherBuilder")
            .field("peers", &self.peers)
            .finish_non_exhaustive()
    }
}
