//! The threads of a publisher.

use std::collections::BTreeMap;
use std::io;
use std::net::TcpStream;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::peers::Peers;
use crate::admin::{AdminReply, Connection, Credentials};
use crate::published::ChannelPublished;
use crate::sync::lock;
use crate::wait::STEP;

/// What was published at one node of a cluster has reached the others after this time, so that it comes before what is
/// published at one of these.
const ON_THE_BUS: Duration = Duration::from_millis(200);

/// What the tasks of a publisher and whoever holds it share.
#[derive(Debug)]
pub(super) struct Shared {
    /// Between two numbers, of all tasks together.
    pub(super) interval: Duration,
    pub(super) state: Mutex<State>,
    pub(super) changed: Condvar,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) published: BTreeMap<Vec<u8>, ChannelPublished>,
    pub(super) acknowledged: u64,
    /// The tasks' connections, to break them from outside.
    pub(super) connections: BTreeMap<usize, TcpStream>,
    pub(super) stopping: bool,
    /// How many tasks have come to their end.
    pub(super) ended: usize,
}

impl Shared {
    pub(super) fn of(interval: Duration, channels: &[Vec<u8>]) -> Self {
        let published = channels
            .iter()
            .map(|channel| (channel.clone(), Default::default()));
        Self {
            interval,
            state: Mutex::new(State {
                published: published.collect(),
                ..State::default()
            }),
            changed: Condvar::new(),
        }
    }
}

/// What is published, and as whom.
#[derive(Clone)]
pub(super) struct Settings {
    pub(super) credentials: Credentials,
    pub(super) command: &'static str,
    pub(super) payload_size: usize,
}

/// What one thread does.
pub(super) struct Task {
    /// Among those of its publisher.
    pub(super) number: usize,
    pub(super) channels: Vec<Vec<u8>>,
    pub(super) interval: Duration,
    pub(super) settings: Settings,
    pub(super) peers: Peers,
    pub(super) shared: Arc<Shared>,
    pub(super) connection: Option<Connection>,
}

enum Outcome {
    Acknowledged { receivers: i64 },
    Refused,
    Unknown,
}

impl Task {
    pub(super) fn run(mut self) {
        let channels = self.channels.clone();
        let mut due = Instant::now();
        for channel in channels.iter().cycle() {
            if !self.publish_next(channel, due) {
                break;
            }
            // After an outage the pace goes on from now instead of catching up.
            due = (due + self.interval).max(Instant::now() - self.interval);
        }
        lock(&self.shared.state).ended += 1;
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
            if !self.is_connected() || !self.is_at_a_primary() {
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
            if self.peers.is_new() {
                thread::sleep(ON_THE_BUS);
            }
            self.connection = self.connect().ok();
        }
        if self.connection.is_none() {
            self.peers.go_on();
        }
        self.connection.is_some()
    }

    /// A replica takes messages too, and one that is cut off keeps them to itself: it is published at only while its
    /// primary cannot be reached.
    fn is_at_a_primary(&mut self) -> bool {
        if !self.peers.are_many() {
            return true;
        }
        let Some(connection) = &mut self.connection else {
            return false;
        };
        let Ok(role) = connection.ask(["ROLE"]) else {
            self.connection = None;
            return false;
        };
        let primary = match role.elements() {
            [what, host, port, ..] if what.text() == Some("slave") => {
                let address = format!("{host}:{port}");
                address.parse().ok()
            }
            _ => None,
        };
        let Some(primary) = primary else { return true };
        if Connection::open(primary, &self.settings.credentials).is_err() {
            return true;
        }
        self.peers.go_to(primary);
        self.connection = None;
        false
    }

    fn connect(&self) -> io::Result<Connection> {
        let mut connection = Connection::open(self.peers.current(), &self.settings.credentials)?;
        // No timeout: a number that was given up might still be published, behind a later one. What
        // breaks the wait is the connection's end, or `stop`.
        connection.wait_for_ever()?;
        let handle = connection.handle()?;
        lock(&self.shared.state)
            .connections
            .insert(self.number, handle);
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
            Ok(AdminReply::Error(text)) => {
                if self.peers.follow(&text) {
                    self.connection = None;
                }
                Outcome::Refused
            }
            _ => Outcome::Unknown,
        }
    }
}
