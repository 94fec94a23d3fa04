//! The core against a model of a server, in simulated time: any sequence of operations, and what holds in it.
//!
//! No reply goes to the wrong requester; every message that arrived is seen, once, in order, and none of a name
//! after its end; a gap stands behind every loss, once for each name; each request is done once; and when
//! everything settles, what is wanted, what is confirmed and what the server has are the same.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "it is there to panic: tests and fuzz targets run it"
)]

mod consumer;
mod server;

use std::collections::{BTreeSet, VecDeque};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use self::consumer::Consumer;
use self::server::{BUSY, Flavour, Seen, Sent, Server};
use crate::blob::Blob;
use crate::connection::{Connection, ConnectionOptions, Event};
use crate::error::ProtocolError;
use crate::handshake::Protocol;
use crate::limits::Limits;
use crate::pubsub::{GapCause, Record, SubscriptionKind, SubscriptionState, Subscriptions, Verb};
use crate::resp::{Reply, encode};

/// A name and what it stands for.
type Name = (SubscriptionKind, Vec<u8>);

const KINDS: [SubscriptionKind; 3] = [
    SubscriptionKind::Channel,
    SubscriptionKind::Pattern,
    SubscriptionKind::Shard,
];

/// Names that overlap, are empty, binary, look like the protocol, or share a slot.
const NAMES: [&[u8]; 8] = [
    b"",
    b"a",
    b"a*",
    b"ab",
    b"$1\r\n",
    b"\xff\0\xfe",
    b"{tag}a name too long to be stored inline",
    b"b{tag}",
];

const PING_INTERVAL: Duration = Duration::from_secs(5);
const PING_TIMEOUT: Duration = Duration::from_secs(3);

/// So long after everything is well again, nothing is refused any more but for a reason.
const RECOVERY: Duration = Duration::from_secs(31);

/// One step of a run. Names are indices into a small table, so that they meet again.
#[derive(Debug, Clone)]
pub(crate) enum Operation {
    Subscribe(SubscriptionKind, Vec<u8>),
    Unsubscribe(SubscriptionKind, Vec<u8>),
    UnsubscribeAll(SubscriptionKind),
    /// A request of so many replies.
    Request(u8),
    /// A transaction; in RESP2 a PING.
    Transaction,
    /// The client sends what is due.
    Transmit,
    /// The server runs so many commands.
    Serve(u8),
    /// So many bytes arrive at the client.
    Deliver(u8),
    /// All three until nothing moves.
    Flow,
    Publish(u8),
    ShardPublish(u8),
    /// The connection breaks, wherever the stream is.
    Cut,
    Connect,
    /// A permission is taken away, or given back.
    Deny(SubscriptionKind, u8),
    Allow(SubscriptionKind, u8),
    Forbid(Verb, SubscriptionKind),
    Permit(Verb, SubscriptionKind),
    Busy(bool),
    /// A slot moves away and is back at once; moves away; comes back.
    Bounce(u8),
    MoveAway(u8),
    MoveBack(u8),
    /// Tenths of a second go by.
    Wait(u8),
    /// The client stops reading, and reads again.
    Pause,
    Resume,
}

/// One run: what server it is against, and what happens.
#[derive(Debug, Clone)]
pub(crate) struct Script {
    pub(crate) resp3: bool,
    /// The server is a Valkey 8.0; a Redis 7.0.
    pub(crate) nosub: bool,
    pub(crate) nests: bool,
    pub(crate) operations: Vec<Operation>,
}

/// Runs the script, lets everything settle, and checks.
///
/// # Panics
///
/// If a promise is broken.
pub(crate) fn run(script: &Script) {
    let mut world = World::new(script);
    for operation in &script.operations {
        world.step(operation);
    }
    world.settle();
}

/// Reads `data` as a script and runs it.
///
/// # Panics
///
/// If a promise is broken.
pub fn operations(data: &[u8]) {
    run(&script(data));
}

/// Simulated time is the clock of the steps and of what was waited for.
fn time(clock: u64) -> Instant {
    static START: OnceLock<Instant> = OnceLock::new();
    *START.get_or_init(Instant::now) + Duration::from_millis(clock)
}

struct World {
    flavour: Flavour,
    /// Milliseconds: one a step, more where time goes by.
    clock: u64,
    core: Subscriptions,
    server: Server,
    link: Option<Link>,
    consumer: Consumer,
    next_token: u32,
    /// Requests on the wire: token, replies, replies seen.
    requests: VecDeque<(u32, usize, usize)>,
    /// Subscribe requests and revocations since the connection was made, by name.
    reasons: Vec<Name>,
}

struct Link {
    connection: Connection<u32>,
    output: Vec<u8>,
    input: Vec<u8>,
    heard: u64,
    paused: bool,
}

impl World {
    fn new(script: &Script) -> Self {
        let flavour = Flavour {
            protocol: if script.resp3 {
                Protocol::Resp3
            } else {
                Protocol::Resp2
            },
            nosub: script.nosub,
            nests: script.nests && script.resp3,
        };
        Self {
            flavour,
            clock: 0,
            core: Subscriptions::new(),
            server: Server::new(flavour),
            link: None,
            consumer: Consumer::default(),
            next_token: 0,
            requests: VecDeque::new(),
            reasons: Vec::new(),
        }
    }

    fn now(&self) -> Instant {
        time(self.clock)
    }

    fn step(&mut self, operation: &Operation) {
        self.clock += 1;
        match operation {
            Operation::Subscribe(kind, names) => {
                let names: Vec<Name> = names.iter().map(|at| named(*kind, *at)).collect();
                self.reasons.extend(names.iter().cloned());
                let op = self.core.subscribe(*kind, blobs(&names));
                self.consumer.asks(op, self.clock, Verb::Subscribe, names);
            }
            Operation::Unsubscribe(kind, names) => {
                let names: Vec<Name> = names.iter().map(|at| named(*kind, *at)).collect();
                let op = self.core.unsubscribe(*kind, blobs(&names));
                self.consumer.asks(op, self.clock, Verb::Unsubscribe, names);
            }
            Operation::UnsubscribeAll(kind) => {
                let names: Vec<Name> = self
                    .core
                    .wanted(*kind)
                    .iter()
                    .map(|name| (*kind, name.to_vec()))
                    .collect();
                let op = self.core.unsubscribe_all(*kind);
                assert_eq!(op.is_none(), names.is_empty());
                if let Some(op) = op {
                    self.consumer.asks(op, self.clock, Verb::Unsubscribe, names);
                }
            }
            Operation::Request(replies) => self.request(usize::from(*replies), false),
            Operation::Transaction => self.request(1, true),
            Operation::Transmit => self.transmit(),
            Operation::Serve(commands) => {
                for _ in 0..*commands {
                    self.server.serve(self.clock);
                }
            }
            Operation::Deliver(bytes) => {
                self.deliver(usize::from(*bytes));
            }
            Operation::Flow => self.flow(),
            Operation::Publish(at) => self.server.publish(NAMES[usize::from(*at) % NAMES.len()]),
            Operation::ShardPublish(at) => {
                self.server.spublish(NAMES[usize::from(*at) % NAMES.len()]);
            }
            Operation::Cut => self.cut(),
            Operation::Connect => self.connect(),
            Operation::Deny(kind, at) => {
                let name = named(*kind, *at);
                if self.server.subscribed.contains(&name) {
                    self.cut();
                }
                self.server.denied.insert(name);
            }
            Operation::Allow(kind, at) => {
                self.server.denied.remove(&named(*kind, *at));
            }
            Operation::Forbid(verb, kind) => {
                self.server.forbidden.insert((*verb as u8, *kind));
            }
            Operation::Permit(verb, kind) => {
                self.server.forbidden.remove(&(*verb as u8, *kind));
            }
            Operation::Busy(busy) => self.server.busy = *busy,
            Operation::Bounce(at) => self.server.revoke(&named(SubscriptionKind::Shard, *at)),
            Operation::MoveAway(at) => {
                for name in slot_of(*at) {
                    self.server.revoke(&name);
                    self.server.moved.insert(name);
                }
            }
            Operation::MoveBack(at) => {
                for name in slot_of(*at) {
                    self.server.moved.remove(&name);
                }
            }
            Operation::Wait(tenths) => self.wait(Duration::from_millis(100) * u32::from(*tenths)),
            Operation::Pause => {
                if let Some(link) = &mut self.link {
                    link.paused = true;
                    link.connection.pause();
                }
            }
            Operation::Resume => self.resume(),
        }
        self.drain();
    }

    fn request(&mut self, replies: usize, transaction: bool) {
        let Some(link) = &mut self.link else { return };
        if replies == 0 {
            return;
        }
        let token = self.next_token;
        self.next_token += 1;
        let resp3 = self.flavour.protocol == Protocol::Resp3;
        for at in 0..replies {
            let command: &[u8] = match (resp3, transaction) {
                (true, true) => b"EXEC",
                (true, false) => b"ECHO",
                (false, _) => b"PING",
            };
            encode::array_header(&mut link.output, 2);
            encode::bulk(&mut link.output, command);
            encode::bulk(&mut link.output, content(token, at).as_bytes());
        }
        link.connection.request(token, replies);
        self.requests.push_back((token, replies, 0));
    }

    fn transmit(&mut self) {
        let now = self.now();
        if let Some(link) = &mut self.link {
            link.connection
                .poll_transmit(&mut self.core, &mut link.output, now);
            self.server.receive(&std::mem::take(&mut link.output));
        }
        self.drain();
    }

    /// Up to `n` bytes arrive; says whether there were any.
    fn deliver(&mut self, n: usize) -> bool {
        let now = self.now();
        let Some(link) = self.link.as_mut().filter(|link| !link.paused) else {
            return false;
        };
        let (bytes, meanings) = self.server.take(n);
        if bytes.is_empty() {
            return false;
        }
        link.heard = self.clock;
        link.connection.heard(now);
        link.input.extend_from_slice(&bytes);
        self.consumer.seen.clear();
        match self.receive() {
            Ok(()) => self.compare(meanings),
            // Two cases that are the same on the wire, and lead to different ones: it has to start anew.
            Err(error) if error.to_string().contains("either SUNSUBSCRIBE or PING") => self.cut(),
            Err(error) => panic!("{error}"),
        }
        true
    }

    fn receive(&mut self) -> Result<(), ProtocolError> {
        let now = self.now();
        let Some(link) = &mut self.link else {
            return Ok(());
        };
        loop {
            match link
                .connection
                .poll_event(&link.input, &mut self.core, now)?
            {
                None => break,
                Some(Event::Message(record)) => self.consumer.message(sent(&link.input, &record)),
                Some(Event::Subscription(event)) => {
                    self.consumer.event(event, self.clock, &self.server);
                }
                Some(Event::Replies { range, done }) => {
                    answer(&mut self.requests, &link.input[range], done);
                }
                Some(Event::Pong) => {}
                Some(Event::Push(range)) => panic!("a push: {:?}", &link.input[range]),
            }
        }
        let consumed = link.connection.take_consumed();
        link.input.drain(..consumed);
        assert_eq!(link.connection.missing() == 0, link.input.is_empty());
        Ok(())
    }

    /// What arrived against what was seen.
    fn compare(&mut self, mut meanings: Vec<Seen>) {
        // An end may also be told where the server said none (it does not know the name), and a `sunsubscribe`
        // may have been the server's own word: of these only the effect is checked.
        let tells = !self.flavour.nosub && !self.refuses_ends();
        let exact = |seen: &Seen| match seen {
            Seen::Message(_) | Seen::Confirmed(Verb::Subscribe, ..) => true,
            Seen::Confirmed(_, (kind, _), _) => *kind != SubscriptionKind::Shard && tells,
        };
        meanings.retain(exact);
        let mut seen = std::mem::take(&mut self.consumer.seen);
        seen.retain(exact);
        assert_eq!(seen, meanings, "what was seen, and what was handed over");
    }

    /// Whether the server has refused to end a subscription: one that it did not have has ended all the same.
    fn refuses_ends(&self) -> bool {
        self.server
            .refusals
            .iter()
            .any(|(_, verb, ..)| *verb == Verb::Unsubscribe)
    }

    /// Events that come of requests.
    fn drain(&mut self) {
        while let Some(event) = self.core.poll_event() {
            self.consumer.event(event, self.clock, &self.server);
        }
    }

    fn flow(&mut self) {
        loop {
            self.transmit();
            let mut moved = false;
            while self.server.serve(self.clock) {
                moved = true;
            }
            while self.deliver(usize::MAX) {
                moved = true;
            }
            if !moved {
                return;
            }
        }
    }

    fn connect(&mut self) {
        if self.link.is_some() {
            return;
        }
        let options = ConnectionOptions {
            protocol: self.flavour.protocol,
            pubsub: true,
            limits: Limits::default(),
            ping_interval: PING_INTERVAL,
            ping_timeout: PING_TIMEOUT,
        };
        self.link = Some(Link {
            connection: Connection::new(options, self.now()),
            output: Vec::new(),
            input: Vec::new(),
            heard: self.clock,
            paused: false,
        });
        self.server.accept();
        self.reasons.clear();
        for kind in KINDS {
            self.reasons.extend(
                self.core
                    .wanted(kind)
                    .iter()
                    .map(|name| (kind, name.to_vec())),
            );
        }
        self.core.connected();
    }

    fn cut(&mut self) {
        let Some(link) = self.link.take() else { return };
        self.check_granted();
        assert_eq!(
            link.connection.last_heard(),
            time(link.heard),
            "what was last heard"
        );
        let last_heard = link.connection.last_heard();
        let tokens: Vec<u32> = link.connection.into_requests().collect();
        let open: Vec<u32> = self.requests.drain(..).map(|request| request.0).collect();
        assert_eq!(tokens, open, "requests without an answer are given back");
        self.core.lost(last_heard, GapCause::Disconnected);
        self.consumer.lost(last_heard);
        self.drain();
        self.server.accept();
    }

    fn wait(&mut self, time: Duration) {
        self.clock += u64::try_from(time.as_millis()).unwrap();
        let now = self.now();
        let Some(link) = &mut self.link else { return };
        let due = link
            .connection
            .poll_timeout(now)
            .is_some_and(|due| due <= now);
        let before = link.output.len();
        let alive = link.connection.handle_timeout(now, &mut link.output);
        assert_eq!(
            due,
            !alive || link.output.len() > before,
            "a deadline is a reason to act"
        );
        if !alive {
            assert!(!link.paused, "a peer that is not read is not dead");
            let silence = Duration::from_millis(self.clock - link.heard);
            assert!(
                silence >= PING_INTERVAL.min(PING_TIMEOUT),
                "dead after {silence:?}"
            );
            self.cut();
        }
    }

    fn resume(&mut self) {
        let now = self.now();
        if let Some(link) = &mut self.link {
            link.paused = false;
            link.connection.resume(now);
        }
    }

    /// Each name was subscribed as often as there was a reason to.
    fn check_granted(&self) {
        for (name, times) in &self.server.granted {
            let reasons = self.reasons.iter().filter(|one| *one == name).count();
            let revoked = self
                .server
                .revoked
                .iter()
                .filter(|one| *one == name)
                .count();
            assert!(
                *times <= reasons + revoked,
                "{name:?} was subscribed {times} times"
            );
        }
    }

    fn settle(&mut self) {
        self.clock += 1;
        self.server.recover();
        self.resume();
        self.connect();
        self.flow();
        for _ in 0..3 {
            self.wait(RECOVERY);
            self.connect();
            self.flow();
        }
        self.check_granted();
        assert!(!self.consumer.is_asking(), "{:?}", self.consumer);
        self.consumer.settled(&self.server);
        assert!(
            self.requests.is_empty(),
            "without an answer: {:?}",
            self.requests
        );
        assert_eq!(
            self.link.as_ref().map(|link| link.connection.in_flight()),
            Some(0)
        );
        let mut confirmed = BTreeSet::new();
        for one in self.core.list() {
            let name = (one.kind, one.name.to_vec());
            match one.state {
                SubscriptionState::Confirmed => {
                    confirmed.insert(name);
                }
                SubscriptionState::Refused(_) => assert!(!self.server.grants(&name), "{name:?}"),
                state => panic!("{name:?} has not settled: {state:?}"),
            }
        }
        assert_eq!(
            confirmed, self.server.subscribed,
            "confirmed, and what the server has"
        );
        for kind in KINDS {
            let wanted: BTreeSet<Vec<u8>> = self
                .core
                .wanted(kind)
                .iter()
                .map(|name| name.to_vec())
                .collect();
            assert_eq!(
                wanted,
                self.consumer.wanted(kind),
                "wanted, and what was asked for"
            );
        }
        assert_eq!(self.core.is_idle(), self.core.wanted_len() == 0);
    }
}

/// Replies belong to the oldest request, in their order; all of them say which request they answer.
fn answer(requests: &mut VecDeque<(u32, usize, usize)>, mut replies: &[u8], done: Option<u32>) {
    while !replies.is_empty() {
        let (token, all, seen) = requests.front_mut().expect("a request for each reply");
        let (reply, rest) = Reply::split(replies).unwrap().expect("whole replies");
        let expected = content(*token, *seen);
        match reply {
            Reply::Error(error) => assert_eq!(error, BUSY.as_bytes()),
            Reply::Array(elements) => {
                let found = elements.into_iter().map(Result::unwrap);
                let named = |one: Reply<'_>| one.as_bytes() == Some(expected.as_bytes());
                assert_eq!(
                    found.filter(|one| named(one.clone())).count(),
                    1,
                    "{expected}"
                );
            }
            text => assert_eq!(text.as_bytes(), Some(expected.as_bytes())),
        }
        *seen += 1;
        replies = rest;
        if *seen == *all {
            assert_eq!(done, Some(*token));
            assert!(replies.is_empty(), "a reply of the next request");
            requests.pop_front();
            return;
        }
    }
    assert_eq!(done, None);
}

fn content(token: u32, at: usize) -> String {
    format!("{token}:{at}")
}

/// The shard channels of the slot that a name is in.
fn slot_of(at: u8) -> impl Iterator<Item = Name> {
    let slot = server::tag(NAMES[usize::from(at) % NAMES.len()]);
    let names = (0..NAMES.len() as u8).map(|at| named(SubscriptionKind::Shard, at));
    names.filter(move |name| server::tag(&name.1) == slot)
}

fn named(kind: SubscriptionKind, at: u8) -> Name {
    (kind, NAMES[usize::from(at) % NAMES.len()].to_vec())
}

fn blobs(names: &[Name]) -> Vec<Blob> {
    names.iter().map(|name| Blob::copy_from(&name.1)).collect()
}

fn sent(input: &[u8], record: &Record) -> Sent {
    Sent {
        kind: record.kind(),
        pattern: record.pattern().map(|range| input[range].to_vec()),
        channel: input[record.channel()].to_vec(),
        payload: input[record.payload()].to_vec(),
    }
}

/// Any bytes are a script.
fn script(data: &[u8]) -> Script {
    let mut bytes = data.iter().copied();
    let flags = bytes.next().unwrap_or_default();
    let mut operations = Vec::new();
    while let Some(operation) = operation(&mut bytes) {
        operations.push(operation);
    }
    Script {
        resp3: flags & 1 != 0,
        nosub: flags & 2 != 0,
        nests: flags & 4 != 0,
        operations,
    }
}

fn operation(bytes: &mut impl Iterator<Item = u8>) -> Option<Operation> {
    let what = bytes.next()?;
    let mut next = || bytes.next().unwrap_or_default();
    let kind = KINDS[usize::from(what >> 5) % KINDS.len()];
    let verb = if what >> 5 < 4 {
        Verb::Subscribe
    } else {
        Verb::Unsubscribe
    };
    let names = |next: &mut dyn FnMut() -> u8| {
        let head = next();
        let mut names = vec![head >> 2];
        names.extend((0..head & 3).map(|_| next()));
        names
    };
    Some(match what & 31 {
        0..=2 => Operation::Subscribe(kind, names(&mut next)),
        3..=4 => Operation::Unsubscribe(kind, names(&mut next)),
        5 => Operation::UnsubscribeAll(kind),
        6 => Operation::Request(next() % 4),
        7 => Operation::Transaction,
        8..=10 => Operation::Transmit,
        11 => Operation::Serve(next() % 4),
        12..=13 => Operation::Deliver(next()),
        14..=15 => Operation::Flow,
        16..=17 => Operation::Publish(next()),
        18 => Operation::ShardPublish(next()),
        19 => Operation::Cut,
        20 => Operation::Connect,
        21 => Operation::Deny(kind, next()),
        22 => Operation::Allow(kind, next()),
        23 => Operation::Forbid(verb, kind),
        24 => Operation::Permit(verb, kind),
        25 => Operation::Busy(what >> 5 & 1 == 0),
        26 => Operation::Bounce(next()),
        27 => Operation::MoveAway(next()),
        28 => Operation::MoveBack(next()),
        29 => Operation::Wait(next()),
        30 => Operation::Pause,
        _ => Operation::Resume,
    })
}

#[cfg(test)]
mod tests;
