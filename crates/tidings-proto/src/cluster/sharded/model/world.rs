//! A model of a cluster: nodes, who has which slot, who is subscribed where, and what is on its way.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use super::{NAMES, Operation};
use crate::blob::Blob;
use crate::cluster::sharded::ShardedSubscriptions;
use crate::cluster::{Address, Asked, Slot, SlotMap, Topology};
use crate::command::CommandRef;
use crate::resp::{Reply, encode};

/// Three shards of a primary and a replica.
const SHARDS: usize = 3;
const NODES: usize = 2 * SHARDS;

struct Node {
    shard: usize,
    primary: bool,
    alive: bool,
    /// It hears nothing of the others.
    isolated: bool,
    /// The others have agreed that it is gone.
    failed: bool,
    /// It has changed sides since somebody asked for the map: back and forth between two looks nobody would notice.
    has_moved: Cell<bool>,
}

impl Node {
    /// It hears nothing, and the others know.
    fn is_away(&self) -> bool {
        self.isolated && self.failed
    }
}

#[derive(Default)]
struct Client {
    node: usize,
    subscribed: BTreeSet<Vec<u8>>,
    /// What it was told, and has not heard.
    said: Vec<u8>,
    /// Nothing comes behind that.
    ended: bool,
    gone: bool,
}

/// A message on its way from one node to another.
struct OnBus {
    from: usize,
    to: usize,
    name: usize,
    number: u64,
    at: Instant,
}

pub(super) struct World {
    nodes: Vec<Node>,
    /// By slot, its shard.
    owners: BTreeMap<Slot, Option<usize>>,
    clients: Vec<Client>,
    /// How many messages each name has had.
    published: Vec<u64>,
    /// Messages on their way to a replica.
    on_bus: Vec<OnBus>,
    /// Those that have been lost on the way without anybody's knowledge.
    lost: BTreeMap<(usize, u64), Instant>,
    pub(super) now: Instant,
    silent: bool,
    resp3: bool,
}

impl World {
    pub(super) fn new(silent: bool, resp3: bool, now: Instant) -> Self {
        let node = |number: usize| Node {
            shard: number % SHARDS,
            primary: number < SHARDS,
            alive: true,
            isolated: false,
            failed: false,
            has_moved: Cell::new(false),
        };
        let slots = NAMES.iter().map(|name| Slot::of_key(name));
        let owners = slots
            .enumerate()
            .map(|(at, slot)| (slot, Some(at % SHARDS)));
        Self {
            nodes: (0..NODES).map(node).collect(),
            owners: owners.collect(),
            clients: Vec::new(),
            published: vec![0; NAMES.len()],
            on_bus: Vec::new(),
            lost: BTreeMap::new(),
            now,
            silent,
            resp3,
        }
    }

    pub(super) fn published(&self, name: usize) -> u64 {
        self.published[name]
    }

    /// When a number of a name was published, if it has not reached the other nodes.
    pub(super) fn lost(&self, name: &[u8], number: u64) -> Option<Instant> {
        let name = NAMES.iter().position(|it| *it == name).unwrap();
        self.lost.get(&(name, number)).copied()
    }

    fn primary_of(&self, shard: usize) -> usize {
        let is_it = |node: &Node| node.shard == shard && node.primary && !node.isolated;
        let healthy = self.nodes.iter().position(is_it);
        let any = |node: &Node| node.shard == shard && node.primary;
        healthy
            .or_else(|| self.nodes.iter().position(any))
            .expect("each shard has one")
    }

    fn owner(&self, name: &[u8]) -> Option<usize> {
        self.owners[&Slot::of_key(name)]
    }

    // ---- what happens ----

    pub(super) fn happens(&mut self, operation: &Operation) {
        let of = |number: u8| usize::from(number) % NODES;
        match operation {
            Operation::MoveSlot(slot, shard) => {
                let slot = self.slot(*slot);
                self.give(slot, Some(usize::from(*shard) % SHARDS));
            }
            Operation::DropSlot(slot) => {
                let slot = self.slot(*slot);
                self.give(slot, None);
            }
            Operation::FailOver(node) => {
                let node = of(*node);
                let shard = self.nodes[node].shard;
                let old = self.primary_of(shard);
                let fit = |node: &Node| node.alive && !node.isolated;
                if !self.nodes[node].primary && fit(&self.nodes[node]) && fit(&self.nodes[old]) {
                    self.promote(node);
                }
            }
            Operation::Kill(node) => self.kill(of(*node)),
            Operation::Revive(node) => self.revive(of(*node)),
            Operation::Isolate(node) => {
                self.bus();
                self.nodes[of(*node)].isolated = true;
            }
            Operation::Heal(node) => self.heal(of(*node)),
            Operation::ChangeSides(node, shard) => {
                let (node, shard) = (of(*node), usize::from(*shard) % SHARDS);
                let it = &self.nodes[node];
                let may = !it.primary && it.alive && !it.isolated && !it.has_moved.replace(true);
                if may && it.shard != shard {
                    self.nodes[node].shard = shard;
                    if !self.silent {
                        self.end_all_on(node);
                    }
                }
            }
            Operation::Elect => self.elect(),
            other => panic!("{other:?} does not happen to a cluster"),
        }
    }

    fn slot(&self, number: u8) -> Slot {
        let slots: Vec<Slot> = self.owners.keys().copied().collect();
        slots[usize::from(number) % slots.len()]
    }

    fn give(&mut self, slot: Slot, shard: Option<usize>) {
        let before = self.owners[&slot];
        if before == shard {
            return;
        }
        // What is on its way to replicas is lost, or has just arrived where nobody is told.
        if shard.is_none() {
            self.bus();
        }
        let stays = |it: &OnBus| Slot::of_key(NAMES[it.name]) != slot;
        self.on_bus.retain(stays);
        self.owners.insert(slot, shard);
        for node in 0..NODES {
            let it = &self.nodes[node];
            if Some(it.shard) != before || it.isolated || !it.alive {
                continue;
            }
            // A slot that is nobody's is told of by the primary only.
            if shard.is_some() || it.primary {
                self.end_on(node, |name| Slot::of_key(name) == slot);
            }
        }
    }

    fn promote(&mut self, node: usize) {
        // What its primary has sent before comes before what it publishes itself.
        self.bus();
        let shard = self.nodes[node].shard;
        let old = self.primary_of(shard);
        self.nodes[old].primary = false;
        self.nodes[node].primary = true;
        self.nodes[old].has_moved.set(true);
        if !self.nodes[old].isolated && self.nodes[old].alive {
            self.end_all_on(old);
        }
        if !self.silent {
            self.end_all_on(node);
        }
    }

    fn kill(&mut self, node: usize) {
        self.bus();
        self.lose_from(node);
        self.nodes[node].alive = false;
        for client in self.clients.iter_mut().filter(|client| client.node == node) {
            client.ended = true;
            client.subscribed.clear();
        }
    }

    fn revive(&mut self, node: usize) {
        let it = &mut self.nodes[node];
        if !std::mem::replace(&mut it.alive, true) {
            it.failed = false;
        }
    }

    fn heal(&mut self, node: usize) {
        let it = &mut self.nodes[node];
        let was_away = it.is_away();
        it.isolated = false;
        it.failed &= !it.alive;
        // What was kept for it comes before anything new.
        self.bus();
        if was_away {
            // It finds out what it is now, and tells its subscribers.
            self.end_all_on(node);
        }
    }

    /// The others notice who is gone, and elect a replica where that was a primary.
    pub(super) fn elect(&mut self) {
        for node in 0..NODES {
            if self.nodes[node].alive && !self.nodes[node].isolated {
                continue;
            }
            self.nodes[node].failed = true;
            self.on_bus.retain(|it| it.to != node);
            self.lose_from(node);
            let shard = self.nodes[node].shard;
            let fit = |it: &Node| it.shard == shard && it.alive && !it.isolated && !it.primary;
            if self.nodes[node].primary
                && let Some(heir) = self.nodes.iter().position(fit)
            {
                self.promote_over(node, heir);
            }
        }
    }

    /// What a node has sent does not arrive any more.
    fn lose_from(&mut self, node: usize) {
        let lost = self.on_bus.extract_if(.., |it| it.from == node);
        self.lost
            .extend(lost.map(|it| ((it.name, it.number), it.at)));
    }

    fn promote_over(&mut self, old: usize, node: usize) {
        self.bus();
        self.nodes[old].primary = false;
        self.nodes[node].primary = true;
        // Nobody would notice that it was none for a while between two looks.
        let was_seen = !self.nodes[node].has_moved.replace(true);
        if !self.silent || !was_seen {
            self.end_all_on(node);
        }
    }

    pub(super) fn recover(&mut self) {
        self.elect();
        for node in 0..NODES {
            self.heal(node);
            self.revive(node);
        }
        for shard in 0..SHARDS {
            // Two that take themselves for the primary cannot be: one of them was demoted when it was replaced.
            let primaries = self
                .nodes
                .iter()
                .filter(|it| it.shard == shard && it.primary);
            assert_eq!(primaries.count(), 1);
        }
        for slot in self.owners.keys().copied().collect::<Vec<_>>() {
            if self.owners[&slot].is_none() {
                self.give(slot, Some(0));
            }
        }
    }

    // ---- the map ----

    fn address(node: usize) -> Address {
        Address::new("node", 7000 + node as u16)
    }

    /// As `CLUSTER SHARDS` has it.
    pub(super) fn map(&self) -> SlotMap {
        let mut reply = String::from("*3\r\n");
        for shard in 0..SHARDS {
            let slots = self
                .owners
                .iter()
                .filter(|(_, owner)| **owner == Some(shard));
            let slots: Vec<u16> = slots.map(|(slot, _)| slot.number()).collect();
            reply += &format!("*4\r\n$5\r\nslots\r\n*{}\r\n", 2 * slots.len());
            for slot in slots {
                reply += &format!(":{slot}\r\n:{slot}\r\n");
            }
            let of_shard = |node: &&Node| node.shard == shard;
            let nodes = self.nodes.iter().filter(of_shard).count();
            reply += &format!("$5\r\nnodes\r\n*{nodes}\r\n");
            for (number, node) in self.nodes.iter().enumerate() {
                if node.shard != shard {
                    continue;
                }
                let role = if node.primary { "master" } else { "replica" };
                let health = if node.failed { "fail" } else { "online" };
                let fields = [
                    ("id", format!("n{number}")),
                    ("endpoint", "node".into()),
                    ("role", role.into()),
                    ("health", health.into()),
                ];
                reply += &format!(
                    "*{}\r\n$4\r\nport\r\n:{}\r\n",
                    2 * fields.len() + 2,
                    7000 + number
                );
                for (name, value) in fields {
                    reply += &format!(
                        "${}\r\n{name}\r\n${}\r\n{value}\r\n",
                        name.len(),
                        value.len()
                    );
                }
            }
        }
        self.nodes.iter().for_each(|node| node.has_moved.set(false));
        let asked = Self::address(0);
        let reply = Reply::parse(reply.as_bytes()).unwrap();
        let topology = Topology::from_shards(reply, Asked::new(&asked, false)).unwrap();
        let mut map = SlotMap::new();
        map.apply(&topology);
        map
    }

    // ---- connections ----

    pub(super) fn connect(&mut self, address: &Address) -> Option<usize> {
        let node = usize::from(address.port().checked_sub(7000)?);
        if !self.nodes.get(node)?.alive {
            return None;
        }
        self.clients.push(Client {
            node,
            ..Client::default()
        });
        Some(self.clients.len() - 1)
    }

    pub(super) fn disconnect(&mut self, client: usize) {
        let client = &mut self.clients[client];
        client.gone = true;
        client.subscribed.clear();
    }

    /// So many bytes of what a client was told, and whether that is the end.
    pub(super) fn says(&mut self, client: usize, bytes: usize) -> (Vec<u8>, bool) {
        let client = &mut self.clients[client];
        let count = bytes.min(client.said.len());
        let said = client.said.drain(..count).collect();
        (said, client.ended && client.said.is_empty())
    }

    /// Runs the commands that a client has sent.
    pub(super) fn runs(&mut self, client: usize, commands: &mut Vec<u8>) {
        let bytes = std::mem::take(commands);
        if self.clients[client].ended {
            return;
        }
        let mut rest = &bytes[..];
        while let Some((command, after)) = CommandRef::split_first(rest) {
            rest = after;
            let names: Vec<Vec<u8>> = command.args().map(<[u8]>::to_vec).collect();
            match command.name() {
                b"PING" if self.resp3 || self.clients[client].subscribed.is_empty() => {
                    self.clients[client].said.extend_from_slice(b"+PONG\r\n");
                }
                b"PING" => self.clients[client]
                    .said
                    .extend_from_slice(b"*2\r\n$4\r\npong\r\n$0\r\n\r\n"),
                b"SSUBSCRIBE" => self.ssubscribe(client, names),
                b"SUNSUBSCRIBE" => {
                    for name in names {
                        self.clients[client].subscribed.remove(&name);
                        self.confirm(client, "sunsubscribe", &name);
                    }
                }
                other => panic!("{other:?}"),
            }
        }
        assert!(rest.is_empty(), "a command that is not whole");
    }

    fn ssubscribe(&mut self, client: usize, names: Vec<Vec<u8>>) {
        let slots: BTreeSet<Slot> = names.iter().map(|name| Slot::of_key(name)).collect();
        assert_eq!(slots.len(), 1, "CROSSSLOT");
        let node = self.clients[client].node;
        let (slot, owner) = (*slots.first().unwrap(), self.owner(&names[0]));
        let it = &self.nodes[node];
        // One that is cut off believes what it believed before.
        let serves = owner == Some(it.shard) || it.isolated;
        match owner {
            _ if serves => {
                for name in names {
                    self.clients[client].subscribed.insert(name.clone());
                    self.confirm(client, "ssubscribe", &name);
                }
            }
            Some(shard) => {
                let primary = Self::address(self.primary_of(shard));
                let line = format!("-MOVED {slot} {primary}\r\n");
                self.clients[client].said.extend_from_slice(line.as_bytes());
            }
            None => {
                let line = b"-CLUSTERDOWN Hash slot not served\r\n";
                self.clients[client].said.extend_from_slice(line);
            }
        }
    }

    fn confirm(&mut self, client: usize, kind: &str, name: &[u8]) {
        let client = &mut self.clients[client];
        let count = client.subscribed.len();
        let said = &mut client.said;
        said.extend_from_slice(if self.resp3 { b">3\r\n" } else { b"*3\r\n" });
        encode::bulk(said, kind.as_bytes());
        encode::bulk(said, name);
        said.extend_from_slice(format!(":{count}\r\n").as_bytes());
    }

    fn end_all_on(&mut self, node: usize) {
        self.end_on(node, |_| true);
    }

    /// A server ends subscriptions by itself.
    fn end_on(&mut self, node: usize, which: impl Fn(&[u8]) -> bool) {
        for client in 0..self.clients.len() {
            if self.clients[client].node != node || self.clients[client].gone {
                continue;
            }
            let names: Vec<Vec<u8>> = self.clients[client]
                .subscribed
                .iter()
                .filter(|name| which(name))
                .cloned()
                .collect();
            for name in names {
                self.clients[client].subscribed.remove(&name);
                self.confirm(client, "sunsubscribe", &name);
            }
        }
    }

    // ---- messages ----

    /// Publishes the next number of a name: at the primary, or at whoever is left of its shard.
    pub(super) fn publish(&mut self, name: usize) {
        let Some(shard) = self.owner(NAMES[name]) else {
            return;
        };
        let serves = |it: &Node| it.shard == shard && it.alive && !it.is_away();
        let primary = self.nodes.iter().position(|it| serves(it) && it.primary);
        let is_fit = |it: &Node| serves(it) && !it.isolated;
        let Some(at) = primary.or_else(|| self.nodes.iter().position(is_fit)) else {
            return;
        };
        self.published[name] += 1;
        let number = self.published[name];
        self.deliver(at, name, number);
        for node in 0..NODES {
            if node != at && serves(&self.nodes[node]) {
                self.on_bus.push(OnBus {
                    from: at,
                    to: node,
                    name,
                    number,
                    at: self.now,
                });
            }
        }
    }

    /// What was published elsewhere arrives at replicas, unless they have lost the slot meanwhile.
    pub(super) fn bus(&mut self) -> bool {
        let mut moved = false;
        for message in std::mem::take(&mut self.on_bus) {
            let (from, it) = (&self.nodes[message.from], &self.nodes[message.to]);
            let may_heal = |node: &Node| node.isolated && !node.failed;
            if may_heal(it) || may_heal(from) {
                // It is kept until it is known whether that is for long.
                self.on_bus.push(message);
                continue;
            }
            let is_right = self.owner(NAMES[message.name]) == Some(it.shard);
            if it.alive && !it.isolated && is_right {
                self.deliver(message.to, message.name, message.number);
                moved = true;
            }
        }
        moved
    }

    fn deliver(&mut self, node: usize, name: usize, number: u64) {
        for client in &mut self.clients {
            if client.node == node && client.subscribed.contains(NAMES[name]) {
                let said = &mut client.said;
                said.extend_from_slice(if self.resp3 { b">3\r\n" } else { b"*3\r\n" });
                encode::bulk(said, b"smessage");
                encode::bulk(said, NAMES[name]);
                encode::bulk(said, number.to_string().as_bytes());
            }
        }
    }

    /// Each name is subscribed once, on a node that is right for it.
    pub(super) fn agrees_with(&self, wanted: &[Blob], core: &ShardedSubscriptions) {
        let mut there: Vec<(&[u8], usize)> = Vec::new();
        for client in self.clients.iter().filter(|client| !client.gone) {
            there.extend(
                client
                    .subscribed
                    .iter()
                    .map(|name| (&name[..], client.node)),
            );
        }
        there.sort_unstable();
        let mut expected: Vec<&[u8]> = wanted.iter().map(|name| &**name).collect();
        expected.sort_unstable();
        let names: Vec<&[u8]> = there.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, expected, "what the servers have");
        for (name, node) in there {
            assert_eq!(self.owner(name), Some(self.nodes[node].shard), "{name:?}");
            let has_replica = |shard| self.nodes.iter().any(|it| it.shard == shard && !it.primary);
            let from_primary = !core.wants_replicas() || !has_replica(self.nodes[node].shard);
            assert_eq!(self.nodes[node].primary, from_primary, "{name:?} on {node}");
        }
    }
}
