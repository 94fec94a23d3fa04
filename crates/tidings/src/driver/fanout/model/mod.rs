//! The subscribers of one connection against a model of a server, in simulated time and without a socket: any
//! sequence of operations, and what holds in it.
//!
//! Whoever is confirmed receives everything from then on, once, in order over all of its names, and nothing of before
//! it came nor after it has left; a gap stands where messages may be missing, once for each name and loss, and nowhere
//! else; each request is answered; and when everything settles, what is wanted and what the server has is what
//! somebody holds.

mod server;
mod subscriber;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use tidings_proto::cluster::LineId;
use tidings_proto::pubsub::GapCause;
use tidings_proto::{Connection, ConnectionOptions, Limits};
use tidings_testkit::Protocol;

use self::server::Server;
use self::subscriber::{Phase, Subscriber};
use super::*;
use crate::driver::subscriber::{Loss, Ping, Shared};
use crate::error::Error;
use crate::pubsub::queue::{Bounds, Overflow};

/// A name and what it stands for.
type Name = (SubscriptionKind, Vec<u8>);

const KINDS: [SubscriptionKind; 3] = [
    SubscriptionKind::Channel,
    SubscriptionKind::Pattern,
    SubscriptionKind::Shard,
];

/// Names that overlap as patterns.
const NAMES: [&[u8]; 5] = [b"a", b"ab", b"b", b"a*", b"*"];

const PING_INTERVAL: Duration = Duration::from_secs(5);
const PING_TIMEOUT: Duration = Duration::from_secs(3);

/// So long after everything is well again, nothing is refused any more but for a reason.
const RECOVERY: Duration = Duration::from_secs(31);

#[derive(Debug, Clone)]
enum Operation {
    Join(SubscriptionKind, Vec<usize>, Option<Overflow>),
    /// By their place among those that were made.
    Leave(usize),
    Drain(usize),
    Publish(usize, bool),
    /// The client sends what is due.
    Transmit,
    /// The server runs so many commands.
    Serve(u8),
    /// So many bytes arrive at the client.
    Deliver(u8),
    /// All three until nothing moves.
    Flow,
    Cut,
    Connect,
    Deny(SubscriptionKind, usize),
    Allow(SubscriptionKind, usize),
    Busy(bool),
    /// The server refuses to end subscriptions.
    Keep(bool),
    /// The server ends a shard subscription by itself.
    Revoke(usize),
    /// Tenths of a second go by.
    Wait(u8),
}

#[derive(Debug, Clone)]
struct Script {
    resp3: bool,
    /// What was denied is allowed again in the end.
    forgives: bool,
    operations: Vec<Operation>,
}

struct World {
    protocol: Protocol,
    start: Instant,
    /// Milliseconds.
    clock: u64,
    shared: Arc<Shared<Fanout>>,
    link: Option<Link>,
    server: Server,
    subscribers: Vec<Subscriber>,
}

struct Link {
    connection: Connection<Ping>,
    output: Vec<u8>,
    input: Vec<u8>,
}

impl World {
    fn new(script: &Script) -> Self {
        let protocol = if script.resp3 {
            Protocol::Resp3
        } else {
            Protocol::Resp2
        };
        Self {
            protocol,
            start: Instant::now(),
            clock: 0,
            shared: Shared::new(Fanout::new(Charset::UTF_8)),
            link: None,
            server: Server::new(protocol),
            subscribers: Vec::new(),
        }
    }

    fn now(&self) -> Instant {
        self.start + Duration::from_millis(self.clock)
    }

    fn step(&mut self, operation: &Operation) {
        self.clock += 1;
        match operation {
            Operation::Join(kind, names, lazy) => self.join(*kind, names, *lazy),
            Operation::Leave(at) => {
                if let Some(at) = self.nth(*at) {
                    self.leave(at);
                }
            }
            Operation::Drain(at) => {
                if let Some(at) = self.nth(*at) {
                    self.drain(at);
                }
            }
            Operation::Publish(at, shard) => self.publish(NAMES[*at], *shard),
            Operation::Transmit => self.transmit(),
            Operation::Serve(commands) => {
                for _ in 0..*commands {
                    self.server.serve();
                }
            }
            Operation::Deliver(bytes) => {
                self.deliver(usize::from(*bytes));
            }
            Operation::Flow => self.flow(),
            Operation::Cut => self.cut(),
            Operation::Connect => self.connect(),
            Operation::Deny(kind, at) => {
                let name = (*kind, NAMES[*at].to_vec());
                if self.server.subscribed.contains(&name) {
                    self.cut();
                }
                self.server.denied.insert(name);
            }
            Operation::Allow(kind, at) => {
                self.server.denied.remove(&(*kind, NAMES[*at].to_vec()));
            }
            Operation::Busy(busy) => self.server.busy = *busy,
            Operation::Keep(keeps) => self.server.keeps = *keeps,
            Operation::Revoke(at) => {
                let name = (SubscriptionKind::Shard, NAMES[*at].to_vec());
                if self.server.revoke(&name) {
                    for subscriber in &mut self.subscribers {
                        subscriber.revoked(&name);
                    }
                }
            }
            Operation::Wait(tenths) => self.wait(Duration::from_millis(100) * u32::from(*tenths)),
        }
        self.look();
    }

    /// One of those that have not left.
    fn nth(&self, at: usize) -> Option<usize> {
        let mut here = Vec::new();
        for (at, subscriber) in self.subscribers.iter().enumerate() {
            if !subscriber.is_gone() {
                here.push(at);
            }
        }
        here.get(at % here.len().max(1)).copied()
    }

    fn join(&mut self, kind: SubscriptionKind, names: &[usize], lazy: Option<Overflow>) {
        let names: BTreeSet<usize> = names.iter().copied().collect();
        let names: Vec<Name> = names.iter().map(|at| (kind, NAMES[*at].to_vec())).collect();
        let queue = Arc::new(Queue::new(Bounds {
            messages: if lazy.is_some() { 2 } else { usize::MAX },
            bytes: usize::MAX,
            overflow: lazy.unwrap_or(Overflow::DropOldest),
            unseen: false,
        }));
        let (id, joined) = self.shared.join(&queue, kind, &blobs(&names));
        let joined = joined.unwrap();
        let subscriber = Subscriber::new(id, queue, names, lazy, joined);
        self.subscribers.push(subscriber);
    }

    fn leave(&mut self, at: usize) {
        let subscriber = &mut self.subscribers[at];
        self.shared.leave(subscriber.id, &wanted(&subscriber.names));
        subscriber.phase = Phase::Gone(subscriber.queue.counters().0.received);
    }

    fn drain(&mut self, at: usize) {
        let subscriber = &mut self.subscribers[at];
        if !matches!(subscriber.phase, Phase::Held) {
            return;
        }
        let drained = self.shared.leave_behind(Leaving {
            id: subscriber.id,
            names: wanted(&subscriber.names),
            last: Some(Arc::clone(&subscriber.queue)),
        });
        subscriber.phase = Phase::Draining(drained);
    }

    fn publish(&mut self, channel: &[u8], shard: bool) {
        let copies = self.server.publish(channel, shard);
        for subscriber in &mut self.subscribers {
            subscriber.published(channel, shard, &copies);
        }
    }

    fn transmit(&mut self) {
        let now = self.now();
        if let Some(link) = &mut self.link {
            let mut state = self.shared.lock();
            state.transmit(LineId::ONLY, &mut link.connection, &mut link.output, now);
            drop(state);
            self.server.receive(&mem::take(&mut link.output));
        }
    }

    /// Up to `n` bytes arrive; says whether there were any.
    fn deliver(&mut self, n: usize) -> bool {
        let now = self.now();
        let Some(link) = &mut self.link else {
            return false;
        };
        let bytes = self.server.take(n);
        if bytes.is_empty() {
            return false;
        }
        link.connection.heard(now);
        link.input.extend_from_slice(&bytes);
        let mut state = self.shared.lock();
        let (staged, records, outcome) =
            state.sort(LineId::ONLY, &mut link.connection, &link.input, 0, now);
        let consumed = link.connection.take_consumed();
        let block: Bytes = link.input.drain(..consumed).collect::<Vec<u8>>().into();
        assert!(state.take_in(staged, records, &block));
        drop(state);
        self.look();
        match outcome {
            Ok(()) => {}
            // Two cases that are the same on the wire, and lead to different ones: it has to start anew.
            Err(error) if error.to_string().contains("either SUNSUBSCRIBE or PING") => self.cut(),
            Err(error) => panic!("{error}"),
        }
        true
    }

    fn flow(&mut self) {
        loop {
            self.transmit();
            let mut moved = false;
            while self.server.serve() {
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
            protocol: match self.protocol {
                Protocol::Resp2 => tidings_proto::Protocol::Resp2,
                Protocol::Resp3 => tidings_proto::Protocol::Resp3,
            },
            pubsub: true,
            limits: Limits::default(),
            ping_interval: PING_INTERVAL,
            ping_timeout: PING_TIMEOUT,
        };
        self.link = Some(Link {
            connection: Connection::new(options, self.now()),
            output: Vec::new(),
            input: Vec::new(),
        });
        self.server.accept();
        self.shared.lock().connected(LineId::ONLY, Instant::now());
    }

    fn cut(&mut self) {
        let Some(link) = self.link.take() else { return };
        self.look();
        let error = Error::connection("it was cut");
        let mut state = self.shared.lock();
        let loss = Loss {
            last_heard: link.connection.last_heard(),
            cause: GapCause::Disconnected,
            silent: false,
        };
        state.disconnected(LineId::ONLY, link.connection, &error, loss);
        drop(state);
        self.server.accept();
        for subscriber in &mut self.subscribers {
            subscriber.cut();
        }
    }

    fn wait(&mut self, time: Duration) {
        self.clock += u64::try_from(time.as_millis()).unwrap();
        let now = self.now();
        let Some(link) = &mut self.link else { return };
        if !link.connection.handle_timeout(now, &mut link.output) {
            self.cut();
        }
    }

    /// Everybody looks for answers and messages.
    fn look(&mut self) {
        for at in 0..self.subscribers.len() {
            let subscriber = &mut self.subscribers[at];
            if subscriber.is_gone() {
                continue;
            }
            if subscriber.lazy.is_none() {
                subscriber.read(&self.server);
            }
            if subscriber.advance(&self.server) {
                self.leave(at);
            }
        }
    }

    fn settle(&mut self, forgives: bool) {
        self.server.busy = false;
        self.server.keeps = false;
        if forgives {
            self.server.denied.clear();
        }
        for _ in 0..3 {
            self.connect();
            self.flow();
            self.wait(RECOVERY);
        }
        self.connect();
        self.flow();
        for name in NAMES {
            self.publish(name, false);
            self.publish(name, true);
        }
        self.flow();
        for subscriber in &mut self.subscribers {
            subscriber.settled(&self.server);
        }
        // Who has read that its queue was full has left.
        self.look();
        self.flow();
        self.assert_held();
        for at in 0..self.subscribers.len() {
            if !self.subscribers[at].is_gone() {
                self.leave(at);
            }
        }
        self.flow();
        self.assert_held();
        let state = self.shared.lock();
        assert!(state.names.is_idle());
        assert!(state.outlet.idle_since.is_some());
    }

    /// What is wanted, what the server has and what is noted is what somebody holds.
    fn assert_held(&self) {
        let here = self.subscribers.iter().filter(|one| !one.is_gone());
        let held: BTreeSet<Name> = here.flat_map(|one| one.names.iter().cloned()).collect();
        let mut state = self.shared.lock();
        let mut wanted = BTreeSet::new();
        let mut noted = BTreeSet::new();
        for kind in KINDS {
            let names = state.names.wanted(kind);
            wanted.extend(names.iter().map(|name| (kind, name.to_vec())));
            let table = state.outlet.table(kind);
            noted.extend(table.keys().map(|name| (kind, name.to_vec())));
        }
        assert_eq!(wanted, held, "wanted, and held");
        assert_eq!(noted, held, "noted, and held");
        let granted: BTreeSet<Name> = held.difference(&self.server.denied).cloned().collect();
        assert_eq!(granted, self.server.subscribed, "held, and subscribed");
        assert!(state.outlet.waits.is_empty(), "{:?}", state.outlet.waits);
        assert!(state.outlet.asked.is_empty(), "{:?}", state.outlet.asked);
        let fences = &state.outlet.fences;
        assert!(
            fences.values().all(|fences| fences.due.is_empty()),
            "{fences:?}"
        );
        assert!(
            state.outlet.leaving.is_empty(),
            "{:?}",
            state.outlet.leaving
        );
    }
}

fn blobs(names: &[Name]) -> Vec<Blob> {
    names.iter().map(|name| Blob::copy_from(&name.1)).collect()
}

fn wanted(names: &[Name]) -> Vec<super::Name> {
    let blob = |name: &Name| (name.0, Blob::copy_from(&name.1));
    names.iter().map(blob).collect()
}

fn run(script: &Script) {
    let mut world = World::new(script);
    for operation in &script.operations {
        world.step(operation);
    }
    world.settle(script.forgives);
}

fn any_kind() -> impl Strategy<Value = SubscriptionKind> {
    prop::sample::select(&KINDS[..])
}

fn any_lazy() -> impl Strategy<Value = Option<Overflow>> {
    let policies = [Overflow::DropOldest, Overflow::DropNewest, Overflow::Close];
    prop_oneof![
        8 => Just(None),
        1 => prop::sample::select(policies.to_vec()).prop_map(Some),
    ]
}

fn any_operation() -> impl Strategy<Value = Operation> {
    let at = 0..NAMES.len();
    prop_oneof![
        8 => (any_kind(), vec(at.clone(), 1..4), any_lazy())
            .prop_map(|(kind, names, lazy)| Operation::Join(kind, names, lazy)),
        4 => (0..8_usize).prop_map(Operation::Leave),
        2 => (0..8_usize).prop_map(Operation::Drain),
        6 => (at.clone(), any::<bool>()).prop_map(|(at, shard)| Operation::Publish(at, shard)),
        8 => Just(Operation::Transmit),
        5 => (1_u8..4).prop_map(Operation::Serve),
        5 => prop_oneof![1_u8..10, any::<u8>()].prop_map(Operation::Deliver),
        4 => Just(Operation::Flow),
        2 => Just(Operation::Cut),
        5 => Just(Operation::Connect),
        1 => (any_kind(), at.clone()).prop_map(|(kind, at)| Operation::Deny(kind, at)),
        1 => (any_kind(), at.clone()).prop_map(|(kind, at)| Operation::Allow(kind, at)),
        1 => any::<bool>().prop_map(Operation::Busy),
        1 => any::<bool>().prop_map(Operation::Keep),
        1 => at.prop_map(Operation::Revoke),
        1 => (0_u8..60).prop_map(Operation::Wait),
    ]
}

fn any_script(longest: usize) -> impl Strategy<Value = Script> {
    (any::<[bool; 2]>(), vec(any_operation(), 1..longest)).prop_map(
        |([resp3, forgives], operations)| Script {
            resp3,
            forgives,
            operations,
        },
    )
}

proptest! {
    #[test]
    fn sb_02_whatever_happens_every_subscriber_gets_what_is_its_own(script in any_script(60)) {
        run(&script);
    }
}

/// In both protocols; what is denied stays so.
fn run_denied(operations: &[Operation]) {
    for resp3 in [false, true] {
        run(&Script {
            resp3,
            forgives: false,
            operations: operations.to_vec(),
        });
    }
}

#[test]
fn sb_02_who_comes_for_a_name_that_is_refused_again_is_told_so_with_and_without_a_connection() {
    let join = || Operation::Join(SubscriptionKind::Channel, vec![0], None);
    let refused = [
        Operation::Connect,
        join(),
        Operation::Flow,
        Operation::Deny(SubscriptionKind::Channel, 0),
        Operation::Connect,
        Operation::Flow,
    ];
    run_denied(&[&refused[..], &[join(), Operation::Flow]].concat());
    let again = [Operation::Connect, Operation::Flow];
    run_denied(&[&refused[..], &[Operation::Cut, join()], &again].concat());
    // Its fence is lost with the connection.
    run_denied(
        &[
            &refused[..],
            &[join(), Operation::Transmit, Operation::Cut],
            &again,
        ]
        .concat(),
    );
}

#[test]
fn sb_01_a_connection_closes_when_nobody_has_used_it_for_30_s_and_takes_nobody_in_from_then_on() {
    const NEARLY: Duration = Duration::from_secs(29);
    const LONG: Duration = Duration::from_secs(31);
    let shared = Shared::new(Fanout::new(Charset::UTF_8));
    let is_over = |after| shared.lock().is_over(Instant::now() + after);
    let queue = Arc::new(Queue::new(Bounds::default()));
    let kind = SubscriptionKind::Channel;
    let name = Blob::from("n");
    assert!(!is_over(NEARLY));
    let (id, answer) = shared.join(&queue, kind, std::slice::from_ref(&name));
    answer.expect("it is there");
    assert!(!is_over(100 * LONG), "somebody has come");
    shared.leave(id, &[(kind, name.clone())]);
    assert!(!is_over(NEARLY), "it was used just now");
    assert!(shared.stay_open());
    assert!(is_over(LONG));
    assert!(!shared.stay_open());
    let (_, answer) = shared.join(&queue, kind, &[name]);
    assert!(answer.is_err());
}
