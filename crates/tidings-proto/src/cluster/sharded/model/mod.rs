//! The sharded core against a model of a cluster, in simulated time: slots that move, nodes that die, are cut off and come
//! back, replicas that change sides, maps that are old; and what holds in it.
//!
//! No message comes twice, none out of order, none of a name after its end; whatever is missing has a gap at its place; each
//! request is done once; and when the cluster is well again, every name is subscribed where it belongs.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "it is there to panic"
)]

mod consumer;
#[cfg(test)]
mod tests;
mod world;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use self::consumer::Consumer;
use self::world::World;
use super::{LineId, ShardedSubscriptions};
use crate::blob::Blob;
use crate::cluster::{Access, Address, SlotMap};
use crate::connection::{Connection, ConnectionOptions, Event};
use crate::handshake::Protocol;
use crate::limits::Limits;
use crate::pubsub::Record;

const PING_INTERVAL: Duration = Duration::from_secs(5);
const PING_TIMEOUT: Duration = Duration::from_secs(5);

/// How often the map is read anew by itself.
const TOPOLOGY_INTERVAL: Duration = Duration::from_secs(5);

/// In a cluster that is well, all is well after this time.
const RECOVERY: Duration = Duration::from_secs(60);

/// Names in several slots, two of them in one.
const NAMES: [&[u8]; 6] = [
    b"a",
    b"b",
    b"c{a}",
    b"d",
    b"e",
    b"a long name that is not stored inline {f}",
];

/// One step. Numbers are taken modulo what there is.
#[derive(Debug, Clone)]
enum Operation {
    Subscribe(Vec<u8>),
    Unsubscribe(Vec<u8>),
    Publish(u8),
    /// Everything that is on its way arrives, and is answered.
    Flow,
    /// So many bytes of one connection arrive, in either direction.
    Trickle(u8, u8),
    /// A slot goes to another shard.
    MoveSlot(u8, u8),
    /// A slot is nobody's; somebody's again.
    DropSlot(u8),
    /// A replica becomes the primary by command.
    FailOver(u8),
    Kill(u8),
    Revive(u8),
    /// A node goes on serving its clients, and hears nothing of the others any more.
    Isolate(u8),
    Heal(u8),
    /// A replica follows another primary.
    ChangeSides(u8, u8),
    /// A connection breaks.
    Cut(u8),
    /// Connections are made or refused.
    Connect,
    /// The cluster agrees on what has failed, and elects.
    Elect,
    /// The map is read anew, by whoever may be behind.
    ReadMap(bool),
    /// Tenths of a second go by.
    Wait(u8),
}

#[derive(Debug, Clone)]
struct Script {
    resp3: bool,
    /// As Redis 7.0, which says less.
    silent: bool,
    from_replicas: bool,
    operations: Vec<Operation>,
}

/// A connection between the client and a node.
struct Link {
    connection: Connection<()>,
    /// What the client has sent and the server has not read.
    output: Vec<u8>,
    /// What has arrived at the client.
    input: Vec<u8>,
    /// The world's number for it.
    id: usize,
}

struct Run {
    core: ShardedSubscriptions,
    world: World,
    consumer: Consumer,
    links: BTreeMap<LineId, Link>,
    /// Connections that are being made.
    opening: Vec<(LineId, Address)>,
    protocol: Protocol,
    now: Instant,
    map_read: Instant,
    /// A map of before.
    old_map: SlotMap,
}

fn run(script: &Script) {
    fastrand::seed(7);
    let now = Instant::now();
    let world = World::new(script.silent, script.resp3, now);
    let access = match script.from_replicas {
        true => Access::ReadFromReplica,
        false => Access::Write,
    };
    let map = world.map();
    let mut run = Run {
        core: ShardedSubscriptions::new(map.clone(), access, 0, now),
        world,
        consumer: Consumer::default(),
        links: BTreeMap::new(),
        opening: Vec::new(),
        protocol: match script.resp3 {
            true => Protocol::Resp3,
            false => Protocol::Resp2,
        },
        now,
        map_read: now,
        old_map: map,
    };
    for operation in &script.operations {
        run.step(operation);
        run.settle();
    }
    run.recover();
}

impl Run {
    fn step(&mut self, operation: &Operation) {
        match operation {
            Operation::Subscribe(names) => {
                let names = names_of(names);
                let op = self.core.subscribe(names.clone());
                self.consumer.asks(op, true, &names);
            }
            Operation::Unsubscribe(names) => {
                let names = names_of(names);
                let op = self.core.unsubscribe(names.clone());
                self.consumer.asks(op, false, &names);
            }
            Operation::Publish(name) => self.world.publish(usize::from(*name) % NAMES.len()),
            Operation::Flow => self.flow(),
            Operation::Trickle(link, bytes) => self.trickle(*link, usize::from(*bytes)),
            Operation::Cut(link) => {
                if let Some(id) = self
                    .links
                    .keys()
                    .nth(usize::from(*link) % self.links.len().max(1))
                    .copied()
                {
                    self.lose(id, false);
                }
            }
            Operation::Connect => self.connect(),
            Operation::ReadMap(fresh) => self.read_map(*fresh),
            Operation::Wait(tenths) => self.wait(Duration::from_millis(100) * u32::from(*tenths)),
            of_world => self.world.happens(of_world),
        }
    }

    /// What the core wants done, but for connections.
    fn settle(&mut self) {
        loop {
            while let Some(event) = self.core.poll_event() {
                self.consumer.event(event, self.now);
            }
            self.core.handle_timeout(self.now);
            while let Some(opening) = self.core.poll_open(self.now) {
                self.opening.push((opening.line, opening.address));
            }
            while let Some(id) = self.core.poll_close() {
                self.opening.retain(|(line, _)| *line != id);
                if let Some(link) = self.links.remove(&id) {
                    self.world.disconnect(link.id);
                }
            }
            while let Some((slot, to, asked)) = self.core.poll_moved() {
                let _ = (slot, to.told_by(&asked));
            }
            while self.core.poll_stirred().is_some() {}
            if self.core.take_refresh() {
                self.read_map(true);
                continue;
            }
            match self.core.poll_event() {
                Some(event) => self.consumer.event(event, self.now),
                None => break,
            }
        }
    }

    fn read_map(&mut self, fresh: bool) {
        let map = self.world.map();
        let told = match fresh {
            true => map.clone(),
            false => self.old_map.clone(),
        };
        self.old_map = map;
        self.map_read = self.now;
        self.core.apply(&told, self.now, self.now);
    }

    fn connect(&mut self) {
        for (id, address) in std::mem::take(&mut self.opening) {
            match self.world.connect(&address) {
                Some(number) => {
                    let options = ConnectionOptions {
                        protocol: self.protocol,
                        pubsub: true,
                        limits: Limits::default(),
                        ping_interval: PING_INTERVAL,
                        ping_timeout: PING_TIMEOUT,
                    };
                    let link = Link {
                        connection: Connection::new(options, self.now),
                        output: Vec::new(),
                        input: Vec::new(),
                        id: number,
                    };
                    self.links.insert(id, link);
                    self.core.opened(id, self.now);
                }
                None => self.core.open_failed(id, self.now),
            }
            self.settle();
        }
    }

    /// Moves bytes until nothing moves.
    fn flow(&mut self) {
        loop {
            let mut moved = false;
            for id in self.links.keys().copied().collect::<Vec<_>>() {
                moved |= self.exchange(id, usize::MAX);
            }
            moved |= self.world.bus();
            if !moved {
                return;
            }
        }
    }

    fn trickle(&mut self, link: u8, bytes: usize) {
        let count = self.links.len().max(1);
        if let Some(id) = self.links.keys().nth(usize::from(link) % count).copied() {
            self.exchange(id, bytes);
        }
    }

    /// The client sends what is due, the server runs it, and so many bytes of what it says arrive.
    fn exchange(&mut self, id: LineId, bytes: usize) -> bool {
        let Some(link) = self.links.get_mut(&id) else {
            return false;
        };
        let Some(subscriptions) = self.core.line_mut(id) else {
            return false;
        };
        link.connection
            .poll_transmit(subscriptions, &mut link.output, self.now);
        let mut moved = !link.output.is_empty();
        self.world.runs(link.id, &mut link.output);
        let (arrived, ended) = self.world.says(link.id, bytes);
        moved |= !arrived.is_empty() || ended;
        if !arrived.is_empty() {
            link.connection.heard(self.now);
            link.input.extend(arrived);
            self.receive(id);
        }
        if ended {
            self.lose(id, false);
        }
        self.settle();
        moved
    }

    fn receive(&mut self, id: LineId) {
        loop {
            let (Some(link), Some(subscriptions)) =
                (self.links.get_mut(&id), self.core.line_mut(id))
            else {
                return;
            };
            let mut records: Vec<Record> = Vec::new();
            link.connection
                .poll_messages(&link.input, subscriptions, &mut records);
            for record in records {
                self.consumer.message(&link.input, &record, &self.world);
            }
            let event = link
                .connection
                .poll_event(&link.input, subscriptions, self.now);
            match event.expect("the stream is in step") {
                Some(Event::Message(record)) => {
                    self.consumer.message(&link.input, &record, &self.world);
                }
                Some(Event::Subscription(event)) => {
                    self.core.handle_event(id, event, self.now);
                    while let Some(event) = self.core.poll_event() {
                        self.consumer.event(event, self.now);
                    }
                }
                Some(_) => {}
                None => break,
            }
        }
        if let Some(link) = self.links.get_mut(&id) {
            let consumed = link.connection.take_consumed();
            link.input.drain(..consumed);
        }
    }

    fn lose(&mut self, id: LineId, silent: bool) {
        if let Some(link) = self.links.remove(&id) {
            self.world.disconnect(link.id);
            let heard = link.connection.last_heard();
            self.core.lost(id, heard, silent, self.now);
        }
    }

    fn wait(&mut self, time: Duration) {
        let until = self.now + time;
        while self.now < until {
            // What is on its way to replicas arrives within a bounded time, or is lost with a node that is found to be gone.
            self.world.elect();
            self.world.bus();
            let due = [
                self.core.poll_timeout(),
                Some(self.map_read + TOPOLOGY_INTERVAL),
            ];
            let pings = self
                .links
                .values()
                .filter_map(|link| link.connection.poll_timeout(self.now));
            let next = due.into_iter().flatten().chain(pings).min();
            let step = self.now + Duration::from_millis(1);
            self.now = next.unwrap_or(until).clamp(step, until.max(step));
            self.world.now = self.now;
            if self.now >= self.map_read + TOPOLOGY_INTERVAL {
                self.read_map(true);
            }
            let mut dead = Vec::new();
            for (id, link) in &mut self.links {
                if !link.connection.handle_timeout(self.now, &mut link.output) {
                    dead.push(*id);
                }
            }
            for id in dead {
                self.lose(id, true);
            }
            self.settle();
        }
    }

    /// All is well again: so is the subscriber after a while, and it receives everything.
    fn recover(&mut self) {
        self.world.recover();
        let until = self.now + RECOVERY;
        while self.now < until {
            self.connect();
            self.flow();
            self.wait(Duration::from_millis(500));
        }
        self.settle();
        assert!(self.consumer.is_done(), "requests that were never answered");
        let list = self.core.list();
        for status in &list {
            assert!(
                matches!(status.state, crate::pubsub::SubscriptionState::Confirmed),
                "{status:?}"
            );
        }
        let wanted: Vec<Blob> = self.core.wanted();
        assert_eq!(list.len(), wanted.len());
        self.consumer.agrees_with(&wanted);
        self.world.agrees_with(&wanted, &self.core);
        for name in 0..NAMES.len() {
            self.world.publish(name);
        }
        self.flow();
        self.consumer.has_the_last(&wanted, &self.world);
    }
}

fn names_of(names: &[u8]) -> Vec<Blob> {
    let names = names.iter();
    names
        .map(|name| Blob::copy_from(NAMES[usize::from(*name) % NAMES.len()]))
        .collect()
}
