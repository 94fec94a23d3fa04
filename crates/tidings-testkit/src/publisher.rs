//! A publisher of numbers.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::Server;
use crate::admin::{AdminReply, Connection, Credentials};
use crate::published::{ChannelPublished, Published};
use crate::sync::lock;
use crate::wait::{DEADLINE, STEP};

/// A thread that publishes 1, 2, 3, … to each of its channels in turn, over a connection of its own,
/// and connects again whenever that is lost. What it published, a [`Checker`](crate::Checker) can
/// then compare with what a subscriber received.
///
/// A number is never published twice: where the connection broke before the answer came, it stays
/// open whether the server had it ([`ChannelPublished::unacknowledged`]). A number that the server
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
    thread: Option<JoinHandle<()>>,
}

/// What a [`Publisher`] should do; made by [`Publisher::to`], ended by [`start`](Self::start).
#[derive(Clone)]
#[must_use = "nothing is published until `start` is called"]
pub struct PublisherBuilder {
    address: SocketAddr,
    credentials: Credentials,
    channels: Vec<Vec<u8>>,
    command: &'static str,
    interval: Duration,
    payload_size: usize,
}

/// How long [`Publisher::stop`] waits for the answer to the last number.
const LAST_WORD: Duration = Duration::from_secs(1);

impl Publisher {
    /// Publishes at `server`, past any proxy.
    pub fn to(server: &Server) -> PublisherBuilder {
        PublisherBuilder::new(server.socket_address(), server.credentials().clone())
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
        PublisherBuilder::new(address, Credentials::default())
    }

    /// How many numbers the server has acknowledged up to now, in all channels.
    #[must_use]
    pub fn acknowledged(&self) -> u64 {
        lock(&self.shared.state).acknowledged
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
        let Some(thread) = self.thread.take() else {
            return;
        };
        let mut state = lock(&self.shared.state);
        state.stopping = true;
        self.shared.changed.notify_all();
        let waited = self
            .shared
            .changed
            .wait_timeout_while(state, LAST_WORD, |state| !state.ended);
        state = waited.unwrap_or_else(PoisonError::into_inner).0;
        // The server may stand still; its answer is waited for no longer.
        if let Some(connection) = &state.connection {
            let _ = connection.shutdown(Shutdown::Both);
        }
        drop(state);
        let _ = thread.join();
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.end();
    }
}

impl PublisherBuilder {
    fn new(address: SocketAddr, credentials: Credentials) -> Self {
        Self {
            address,
            credentials,
            channels: Vec::new(),
            command: "PUBLISH",
            interval: Duration::ZERO,
            payload_size: 0,
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
        self.payload_size = bytes;
        self
    }

    /// Publishes to shard channels (`SPUBLISH`).
    pub fn sharded(mut self) -> Self {
        self.command = "SPUBLISH";
        self
    }

    /// Logs in with the password of the default user.
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.credentials.password = Some(password.into());
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
        let published = self
            .channels
            .iter()
            .map(|channel| (channel.clone(), Default::default()));
        let shared = Arc::new(Shared {
            interval: self.interval,
            state: Mutex::new(State {
                published: published.collect(),
                ..State::default()
            }),
            changed: Condvar::new(),
        });
        let task = Task {
            settings: self,
            shared: Arc::clone(&shared),
            connection: None,
        };
        let thread = thread::Builder::new().name("publisher".to_owned());
        let thread = thread
            .spawn(move || task.run())
            .expect("a thread for the publisher");
        Publisher {
            shared,
            thread: Some(thread),
        }
    }
}

/// Without the password.
impl fmt::Debug for PublisherBuilder {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("PublisherBuilder")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Shared {
    interval: Duration,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    published: BTreeMap<Vec<u8>, ChannelPublished>,
    acknowledged: u64,
    /// The task's connection, to break it from outside.
    connection: Option<TcpStream>,
    stopping: bool,
    ended: bool,
}

struct Task {
    settings: PublisherBuilder,
    shared: Arc<Shared>,
    connection: Option<Connection>,
}

enum Outcome {
    Acknowledged { receivers: i64 },
    Refused,
    Unknown,
}

impl Task {
    fn run(mut self) {
        let channels = self.settings.channels.clone();
        let mut due = Instant::now();
        for channel in channels.iter().cycle() {
            if !self.publish_next(channel, due) {
                break;
            }
            // After an outage the pace goes on from now instead of catching up.
            due = (due + self.settings.interval).max(Instant::now() - self.settings.interval);
        }
        lock(&self.shared.state).ended = true;
        self.shared.changed.notify_all();
    }

    /// Until the channel's next number is out. Whether there is more to do.
    fn publish_next(&mut self, channel: &[u8], due: Instant) -> bool {
        let number = self.next_number(channel);
        let mut due = due;
        loop {
            if !self.wait_until(due) {
                return false;
            }
            due = Instant::now() + STEP;
            if !self.is_connected() {
                continue;
            }
            let outcome = self.publish(channel, number);
            if matches!(outcome, Outcome::Unknown) {
                self.connection = None;
            }
            if self.record(channel, number, &outcome) {
                return true;
            }
        }
    }

    fn next_number(&self, channel: &[u8]) -> u64 {
        lock(&self.shared.state)
            .published
            .get(channel)
            .map_or(1, |published| published.last + 1)
    }

    /// Whether the number is used up: one that the server refused is not.
    fn record(&self, channel: &[u8], number: u64, outcome: &Outcome) -> bool {
        let mut state = lock(&self.shared.state);
        let published = state.published.entry(channel.to_vec()).or_default();
        match outcome {
            Outcome::Refused => return false,
            Outcome::Unknown => {
                published.last = number;
                published.unacknowledged.insert(number);
            }
            Outcome::Acknowledged { receivers } => {
                published.last = number;
                published.acknowledged += 1;
                *published.receivers.entry(*receivers).or_default() += 1;
                state.acknowledged += 1;
            }
        }
        self.shared.changed.notify_all();
        true
    }

    /// Whether to go on.
    fn wait_until(&self, due: Instant) -> bool {
        let left = due.saturating_duration_since(Instant::now());
        let state = lock(&self.shared.state);
        let waited = self
            .shared
            .changed
            .wait_timeout_while(state, left, |state| !state.stopping);
        !waited.unwrap_or_else(PoisonError::into_inner).0.stopping
    }

    fn is_connected(&mut self) -> bool {
        if self.connection.is_none() {
            self.connection = self.connect().ok();
        }
        self.connection.is_some()
    }

    fn connect(&self) -> io::Result<Connection> {
        let mut connection = Connection::open(self.settings.address, &self.settings.credentials)?;
        // No timeout: a number that was given up might still be published, behind a later one. What
        // breaks the wait is the connection's end, or `stop`.
        connection.wait_for_ever()?;
        lock(&self.shared.state).connection = Some(connection.handle()?);
        // And what the server had not read from the old connection is behind it, one way or the
        // other, before the new one is answered.
        connection.ask(["PING"])?;
        Ok(connection)
    }

    fn publish(&mut self, channel: &[u8], number: u64) -> Outcome {
        let Some(connection) = &mut self.connection else {
            return Outcome::Unknown;
        };
        let mut payload = number.to_string().into_bytes();
        payload.resize(payload.len().max(self.settings.payload_size), b' ');
        match connection.ask([self.settings.command.as_bytes(), channel, &payload]) {
            Ok(AdminReply::Integer(receivers)) => Outcome::Acknowledged { receivers },
            Ok(AdminReply::Error(_)) => Outcome::Refused,
            _ => Outcome::Unknown,
        }
    }
}
