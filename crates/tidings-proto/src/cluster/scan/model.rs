//! A model of a cluster whose slots move while it is scanned: no key is overlooked.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::cluster::testing::map;

/// Three shards of a primary and a replica.
const SHARDS: usize = 3;

/// Where a scan looks for keys, one after the other.
const BUCKETS: usize = 4;

const KEYS: usize = 24;

#[derive(Clone, Copy, Debug)]
enum Operation {
    /// The slot of a key begins to move.
    Open(usize, usize),
    /// One of its keys moves.
    Move(usize),
    /// It has moved.
    Close(usize),
    /// All at once.
    Atomic(usize, usize),
    /// Primary and replica change places.
    Failover(usize),
    /// The client reads the map.
    Refresh,
    /// The connection is lost.
    Lose,
    /// The scan goes on.
    Step,
}

fn operation() -> impl Strategy<Value = Operation> {
    let (key, shard) = (0..KEYS, 0..SHARDS);
    prop_oneof![
        2 => (key.clone(), shard.clone()).prop_map(|(key, to)| Operation::Open(key, to)),
        3 => key.clone().prop_map(Operation::Move),
        2 => key.clone().prop_map(Operation::Close),
        1 => (key, shard.clone()).prop_map(|(key, to)| Operation::Atomic(key, to)),
        1 => shard.prop_map(Operation::Failover),
        1 => Just(Operation::Refresh),
        1 => Just(Operation::Lose),
        12 => Just(Operation::Step),
    ]
}

/// What is where.
struct World {
    /// By shard, the number of the node that is its primary.
    primaries: [usize; SHARDS],
    /// By slot, its shard.
    owners: BTreeMap<Slot, usize>,
    /// By slot on its way, whereto.
    moving: BTreeMap<Slot, usize>,
    /// By key, its shard.
    keys: BTreeMap<Vec<u8>, usize>,
}

fn name(node: usize) -> String {
    format!("n{node}")
}

impl World {
    fn new() -> Self {
        let keys: Vec<Vec<u8>> = (0..KEYS).map(key).collect();
        let shard = |key: &[u8]| usize::from(Slot::of_key(key).number()) % SHARDS;
        Self {
            primaries: [0, 1, 2],
            owners: keys
                .iter()
                .map(|key| (Slot::of_key(key), shard(key)))
                .collect(),
            moving: BTreeMap::new(),
            keys: keys
                .into_iter()
                .map(|key| (key.clone(), shard(&key)))
                .collect(),
        }
    }

    fn replica(&self, shard: usize) -> usize {
        let primary = self.primaries[shard];
        if primary == shard {
            shard + SHARDS
        } else {
            shard
        }
    }

    fn map(&self) -> SlotMap {
        let shards: Vec<String> = (0..SHARDS)
            .map(|shard| {
                let slots = self.owners.iter().filter(|(_, owner)| **owner == shard);
                let slots: Vec<String> = slots.map(|(slot, _)| format!("{slot}-{slot}")).collect();
                let (primary, replica) = (self.primaries[shard], self.replica(shard));
                format!(
                    "{}: {} primary online, {} replica online",
                    slots.join(","),
                    name(primary),
                    name(replica)
                )
            })
            .collect();
        map(&shards.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// What a node says.
    fn holdings(&self, node: usize) -> Holdings {
        let mut text = String::new();
        for other in 0..2 * SHARDS {
            let shard = other % SHARDS;
            let primary = self.primaries[shard];
            let myself = if other == node { "myself," } else { "" };
            if other != primary {
                text += &format!(
                    "{} :0@0 {myself}slave {} 0 0 1 connected\n",
                    name(other),
                    name(primary)
                );
                continue;
            }
            text += &format!("{} :0@0 {myself}master - 0 0 1 connected", name(other));
            for (slot, _) in self.owners.iter().filter(|(_, owner)| **owner == shard) {
                text += &format!(" {slot}");
            }
            for (slot, to) in self.moving.iter().filter(|_| other == node) {
                let owner = self.owners[slot];
                if owner == shard {
                    text += &format!(" [{slot}->-{}]", name(self.primaries[*to]));
                } else if *to == shard {
                    text += &format!(" [{slot}-<-{}]", name(self.primaries[owner]));
                }
            }
            text.push('\n');
        }
        Holdings::parse(&text).unwrap()
    }

    fn apply(&mut self, operation: Operation) {
        match operation {
            Operation::Open(number, to) => {
                let slot = Slot::of_key(&key(number));
                if self.owners[&slot] != to {
                    self.moving.entry(slot).or_insert(to);
                }
            }
            Operation::Move(number) => {
                let key = key(number);
                if let Some(to) = self.moving.get(&Slot::of_key(&key)) {
                    self.keys.insert(key, *to);
                }
            }
            Operation::Close(number) => {
                let slot = Slot::of_key(&key(number));
                if let Some(to) = self.moving.remove(&slot) {
                    self.arrive(slot, to);
                }
            }
            Operation::Atomic(number, to) => {
                let slot = Slot::of_key(&key(number));
                if !self.moving.contains_key(&slot) {
                    self.arrive(slot, to);
                }
            }
            // What is on its way stays so at the new primary, as servers have it since they replicate that.
            Operation::Failover(shard) => self.primaries[shard] = self.replica(shard),
            Operation::Refresh | Operation::Lose | Operation::Step => {}
        }
    }

    fn arrive(&mut self, slot: Slot, to: usize) {
        self.owners.insert(slot, to);
        for (key, shard) in &mut self.keys {
            if Slot::of_key(key) == slot {
                *shard = to;
            }
        }
    }

    /// The keys of a node in one of its buckets. A replica has those of its primary.
    fn bucket(&self, node: usize, bucket: usize) -> Vec<Vec<u8>> {
        let is_there = |key: &Vec<u8>| usize::from(key[key.len() - 1]) % BUCKETS == bucket;
        let keys = self
            .keys
            .iter()
            .filter(|(_, shard)| **shard == node % SHARDS);
        keys.map(|(key, _)| key.clone()).filter(is_there).collect()
    }
}

/// Some share a slot.
fn key(number: usize) -> Vec<u8> {
    format!("{{{}}}:{number}", number % (KEYS / 3)).into_bytes()
}

/// The client.
struct Client {
    map: SlotMap,
    scan: KeyScan,
    /// The node that it goes over, and how far it is.
    at: Option<(usize, usize)>,
    seen: BTreeSet<Vec<u8>>,
}

impl Client {
    /// Goes on by a little; `false` at the end.
    fn step(&mut self, world: &World) -> bool {
        let Some((node, bucket)) = self.at else {
            return self.begin(world);
        };
        if bucket == BUCKETS {
            self.scan.finish(&world.holdings(node));
            self.at = None;
            return true;
        }
        let keys = world.bucket(node, bucket).into_iter();
        self.seen
            .extend(keys.filter(|key| self.scan.wants(Slot::of_key(key))));
        self.at = Some((node, bucket + 1));
        true
    }

    /// Whether a slot would go to and fro in a way that nothing shows: back to the node that it was at when the scan of that
    /// began, or once more to one that it was already on its way to.
    fn misses(&self, world: &World, operation: Operation) -> bool {
        let (number, to) = match operation {
            Operation::Open(number, _) => {
                let handed = self.scan.handed.get(&Slot::of_key(&key(number)));
                return handed.is_some_and(|handed| handed.is_open);
            }
            Operation::Atomic(number, to) => (number, to),
            Operation::Close(number) => {
                let to = world.moving.get(&Slot::of_key(&key(number)));
                (number, to.copied().unwrap_or(SHARDS))
            }
            _ => return false,
        };
        let is_scanned = self.at.is_some_and(|(node, _)| node % SHARDS == to);
        is_scanned && self.scan.wants(Slot::of_key(&key(number)))
    }

    fn begin(&mut self, world: &World) -> bool {
        match self.scan.next(&self.map) {
            NextNode::Done => return false,
            NextNode::Unknown => self.map = world.map(),
            NextNode::At(address) => {
                let node = address.host()[1..].parse().unwrap();
                if self.scan.begin(&world.holdings(node)) {
                    self.at = Some((node, 0));
                } else {
                    self.map = world.map();
                }
            }
        }
        true
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn whatever_moves_each_key_is_seen(operations in proptest::collection::vec(operation(), 0..100)) {
        let mut world = World::new();
        let map = world.map();
        let scan = KeyScan::new(&map);
        let mut client = Client { map, scan, at: None, seen: BTreeSet::new() };
        for operation in operations {
            if client.misses(&world, operation) {
                continue;
            }
            world.apply(operation);
            match operation {
                Operation::Refresh => client.map = world.map(),
                Operation::Lose => {
                    client.scan.abandon();
                    client.at = None;
                }
                Operation::Step => {
                    client.step(&world);
                }
                _ => {}
            }
        }
        let mut steps = 0;
        while client.step(&world) {
            steps += 1;
            prop_assert!(steps < 200, "it comes to no end: {:?}", client.scan);
        }
        prop_assert_eq!(client.seen.len(), KEYS);
    }
}
