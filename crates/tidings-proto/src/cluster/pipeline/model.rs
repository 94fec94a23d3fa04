//! Pipelines on a cluster that changes between any two of their commands: slots are moved key by key, nodes begin and cease
//! to serve, connections are lost. Whatever happens, commands with a key in common run in the order of the pipeline, once
//! each, and what is said of each is true.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, Instant};

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::cluster::{Access, Address, Redirect, RedirectLimits, Slot, SlotMap};
use crate::{CommandRef, CommandWriter, Reply, ServerError};

const NODES: usize = 3;

/// Two keys in each of three slots.
const KEYS: [&str; 6] = ["{a}1", "{a}2", "{b}1", "{b}2", "{c}1", "{c}2"];

/// As servers have it.
#[derive(Default)]
struct Node {
    /// Who has a slot, as far as this node has heard.
    owners: HashMap<Slot, usize>,
    migrating: HashMap<Slot, usize>,
    importing: HashSet<Slot>,
    down: bool,
    /// Which command wrote a key last.
    data: HashMap<Vec<u8>, usize>,
}

/// A slot on its way.
struct Move {
    slot: Slot,
    from: usize,
    to: usize,
    /// How many nodes have been told that it has arrived.
    told: usize,
}

struct World {
    rng: fastrand::Rng,
    nodes: [Node; NODES],
    moves: Vec<Move>,
    /// Where commands on a slot were sent with `ASK`. It is not moved there a second time: a node that takes it in again while
    /// such a command is still under way runs it, whether the keys have come already or not, and nobody can tell.
    asked: HashSet<(Slot, usize)>,
    /// How much may still happen.
    events: u32,
    /// By key, the commands that wrote it, in the order in which they did.
    log: HashMap<Vec<u8>, Vec<usize>>,
}

fn address(node: usize) -> Address {
    Address::new(format!("n{node}"), 1)
}

fn slots() -> [Slot; 3] {
    [b"a", b"b", b"c"].map(|tag| Slot::of_key(tag))
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut nodes: [Node; NODES] = Default::default();
        for slot in slots() {
            let owner = rng.usize(..NODES);
            for node in &mut nodes {
                node.owners.insert(slot, owner);
            }
        }
        Self {
            events: rng.u32(..60),
            rng,
            nodes,
            moves: Vec::new(),
            asked: HashSet::new(),
            log: HashMap::new(),
        }
    }

    fn change(&mut self) {
        match self.rng.u32(..6) {
            0 => self.begin_move(),
            1 => {
                let node = self.rng.usize(..NODES);
                self.nodes[node].down ^= true;
            }
            _ => self.go_on_moving(),
        }
    }

    /// What may happen before the next command.
    fn pass_time(&mut self) {
        while self.events > 0 && self.rng.u32(..3) == 0 {
            self.events -= 1;
            self.change();
        }
    }

    fn settle(&mut self) {
        self.events = 0;
        for node in &mut self.nodes {
            node.down = false;
        }
        while !self.moves.is_empty() {
            self.go_on_moving();
        }
    }

    fn begin_move(&mut self) {
        let slot = slots()[self.rng.usize(..3)];
        if self.moves.iter().any(|it| it.slot == slot) {
            return;
        }
        let from = self.nodes[0].owners[&slot];
        let to = (from + self.rng.usize(1..NODES)) % NODES;
        if self.asked.contains(&(slot, to)) {
            return;
        }
        self.nodes[to].importing.insert(slot);
        self.nodes[from].migrating.insert(slot, to);
        self.moves.push(Move {
            slot,
            from,
            to,
            told: 0,
        });
    }

    fn go_on_moving(&mut self) {
        let Some(index) = self.rng.usize(..4).checked_rem(self.moves.len()) else {
            return;
        };
        let it = &mut self.moves[index];
        let (slot, from, to) = (it.slot, it.from, it.to);
        let is_of_slot = |key: &&Vec<u8>| Slot::of_key(key) == slot;
        let key = self.nodes[from]
            .data
            .keys()
            .filter(is_of_slot)
            .min()
            .cloned();
        if let Some(key) = key {
            let value = self.nodes[from].data.remove(&key).unwrap();
            self.nodes[to].data.insert(key, value);
            return;
        }
        // The new owner first, as it should be; then the old one, then the others.
        let mut order: Vec<usize> = (0..NODES).collect();
        order.sort_by_key(|node| (*node != to, *node != from));
        let node = &mut self.nodes[order[it.told]];
        node.owners.insert(slot, to);
        node.migrating.remove(&slot);
        node.importing.remove(&slot);
        it.told += 1;
        if it.told == NODES {
            self.moves.remove(index);
        }
    }

    /// Who has a slot, as most will say soon.
    fn owner(&self, slot: Slot) -> usize {
        let moved = self.moves.iter().find(|it| it.slot == slot && it.told > 0);
        moved.map_or(self.nodes[0].owners[&slot], |it| it.to)
    }

    fn run(&mut self, at: usize, command: CommandRef<'_>, asking: bool) -> String {
        let keys: Vec<Vec<u8>> = command.keys().map(<[u8]>::to_vec).collect();
        let slot = Slot::of_key(&keys[0]);
        let node = &mut self.nodes[at];
        if node.down {
            return "-CLUSTERDOWN The cluster is down\r\n".to_owned();
        }
        let missing = keys
            .iter()
            .filter(|key| !node.data.contains_key(*key))
            .count();
        if node.owners[&slot] == at {
            if let Some(to) = node.migrating.get(&slot)
                && missing > 0
            {
                return match missing == keys.len() {
                    true => {
                        self.asked.insert((slot, *to));
                        format!("-ASK {slot} n{to}:1\r\n")
                    }
                    false => "-TRYAGAIN Multiple keys\r\n".to_owned(),
                };
            }
        } else if !(asking && node.importing.contains(&slot)) {
            return format!("-MOVED {slot} n{}:1\r\n", node.owners[&slot]);
        } else if missing > 0 && keys.len() > 1 {
            return "-TRYAGAIN Multiple keys\r\n".to_owned();
        }
        if command.is_read_only() {
            let value = |key: &Vec<u8>| match node.data.get(key) {
                Some(place) => format!(":{place}\r\n"),
                None => ":-1\r\n".to_owned(),
            };
            let values: String = keys.iter().map(value).collect();
            return format!("*{}\r\n{values}", keys.len());
        }
        let place = command.args().nth(1).unwrap();
        let place: usize = std::str::from_utf8(place).unwrap().parse().unwrap();
        for key in keys {
            node.data.insert(key.clone(), place);
            self.log.entry(key).or_default().push(place);
        }
        "+OK\r\n".to_owned()
    }

    /// What comes of a request to a node.
    fn send(&mut self, to: &Address, wire: &[u8]) -> FlightAnswer<&'static str> {
        let at = (0..NODES).find(|node| address(*node) == *to).unwrap();
        let loss = |left, in_doubt| Loss {
            left,
            in_doubt,
            unsent: "unsent",
            again: true,
        };
        if self.events > 0 && self.rng.u32(..20) == 0 {
            let loss = Some(loss(0, "not in doubt"));
            return FlightAnswer {
                parts: Vec::new(),
                loss,
            };
        }
        let mut left = match self.events > 0 && self.rng.u32(..4) == 0 {
            true => self.rng.usize(..=wire.len()),
            false => usize::MAX,
        };
        let (mut rest, mut replies, mut asking) = (wire, Vec::new(), false);
        while let Some((command, tail)) = CommandRef::split_first(rest) {
            self.pass_time();
            if wire.len() - tail.len() > left {
                break;
            }
            rest = tail;
            if command.name() == b"ASKING" {
                asking = true;
                replies.push("+OK\r\n".to_owned());
                continue;
            }
            replies.push(self.run(at, command, asking));
            asking = false;
        }
        let is_lost = left != usize::MAX;
        if is_lost {
            // More of it may have left than was run, and more was run than was answered.
            left = self.rng.usize(left..=wire.len());
            replies.truncate(self.rng.usize(..=replies.len()));
        }
        let cut = self.rng.usize(..=replies.len());
        let parts = [&replies[..cut], &replies[cut..]].map(|part| Bytes::from(part.concat()));
        FlightAnswer {
            parts: parts.into_iter().filter(|part| !part.is_empty()).collect(),
            loss: is_lost.then(|| loss(left, "in doubt")),
        }
    }
}

/// What the client knows.
struct Known(HashMap<Slot, usize>);

impl Known {
    fn map(&self) -> SlotMap {
        let mut map = SlotMap::new();
        for (slot, node) in &self.0 {
            map.learn_moved(*slot, &address(*node));
        }
        map
    }

    fn learn(&mut self, redirect: &Redirect, asked: &Address, world: &mut World) {
        if let Redirect::Moved { slot, to } = redirect {
            let to = to.told_by(asked);
            let node = (0..NODES).find(|node| address(*node) == to).unwrap();
            self.0.insert(*slot, node);
        } else if world.rng.bool() {
            self.0 = slots().map(|slot| (slot, world.owner(slot))).into();
        }
    }
}

fn commands(rng: &mut fastrand::Rng) -> Vec<u8> {
    let mut bytes = Vec::new();
    for place in 0..rng.usize(..40) {
        let key = KEYS[rng.usize(..KEYS.len())];
        let tag = &key[..3];
        match rng.u32(..8) {
            0 => CommandWriter::new(&mut bytes, "MSET")
                .arg(format!("{tag}1"))
                .arg(place)
                .arg(format!("{tag}2"))
                .arg(place),
            1 => CommandWriter::new(&mut bytes, "MGET")
                .arg(format!("{tag}1"))
                .arg(format!("{tag}2")),
            2 | 3 => CommandWriter::new(&mut bytes, "MGET").arg(key),
            _ => CommandWriter::new(&mut bytes, "SET").arg(key).arg(place),
        };
    }
    bytes
}

type Ended = BTreeMap<usize, Outcome<&'static str>>;

/// Runs a pipeline; gives what is said of each command.
fn execute(world: &mut World, bytes: &[u8], limits: &RedirectLimits) -> Ended {
    let commands = PipelineCommands::new(bytes);
    // What is known may be old.
    let mut known = Known(slots().map(|slot| (slot, world.owner(slot))).into());
    for slot in slots() {
        if world.rng.u32(..4) == 0 {
            known.0.insert(slot, world.rng.usize(..NODES));
        }
    }
    let map = known.map();
    let node = |slot, access| Some(map.node_for(slot, access, 0)?.address().clone());
    let plan = PipelinePlan::new(commands, &map, Access::Write, node).unwrap();
    let mut all = Ended::new();
    for (group, sent) in plan.groups().iter().enumerate() {
        let mut now = Instant::now();
        let answer = world.send(sent.node(), &sent.encoded(commands));
        let begun = Resend::begin(&plan, group, commands, &answer, limits.clone(), now);
        let mut resend = begun.unwrap();
        let mut rounds = 0;
        loop {
            while let Some((redirect, asked)) = resend.poll_note() {
                known.learn(&redirect, &asked, world);
            }
            let Some(pause) = resend.next_round(now) else {
                break;
            };
            now += pause;
            world.pass_time();
            rounds += 1;
            if rounds > 50 {
                world.settle();
                known.0 = slots().map(|slot| (slot, world.owner(slot))).into();
            }
            assert!(rounds < 500, "it never ends");
            let lost = world.events > 0 && world.rng.u32(..10) == 0;
            let find = |slot, _| (!lost).then(|| address(known.0[&slot]));
            for flight in resend.flights(commands, &"nowhere", find) {
                let (wire, _) = flight.encoded(&plan, commands);
                let answer = world.send(flight.to(), &wire);
                resend
                    .handle(&plan, commands, &flight, &answer, now)
                    .unwrap();
            }
        }
        let mended = mend(plan.replies_of(group), &answer.parts, resend.into_ended()).unwrap();
        all.extend(mended.failed);
        // The others have replies, in their order.
        let wire = mended.parts.concat();
        let mut rest = &wire[..];
        for place in plan.replies_of(group).flatten() {
            all.entry(place).or_insert_with(|| {
                let (_, tail) = Reply::split(rest).unwrap().unwrap();
                let reply = Bytes::copy_from_slice(&rest[..rest.len() - tail.len()]);
                rest = tail;
                Outcome::Reply(reply)
            });
        }
        assert!(rest.is_empty());
    }
    all
}

/// Checks what is said of each command against what has happened.
fn check(world: &World, bytes: &[u8], ended: &Ended) {
    let mut rest = bytes;
    let mut place = 0;
    for (key, log) in &world.log {
        let key = String::from_utf8_lossy(key);
        assert!(
            log.is_sorted_by(|a, b| a < b),
            "{key} was written by {log:?}"
        );
    }
    while let Some((command, tail)) = CommandRef::split_first(rest) {
        rest = tail;
        let written: Vec<&Vec<usize>> = command.keys().map(|key| &world.log[key]).collect();
        let ran = written.iter().all(|log| log.contains(&place));
        let outcome = &ended[&place];
        let context = format!("command {place} ({command}): {outcome:?}, {:?}", world.log);
        match outcome {
            Outcome::Reply(reply) => match Reply::parse(reply).unwrap() {
                Reply::Error(text) => {
                    assert!(Redirect::of(&ServerError::new(text)).is_some(), "{context}");
                    assert!(!ran, "{context}");
                }
                Reply::Array(values) => {
                    for (value, log) in values.zip(written) {
                        let Reply::Integer(value) = value.unwrap() else {
                            panic!("{context}")
                        };
                        // The last write before it, and none behind it.
                        let before = log.iter().filter(|it| **it < place).max();
                        assert_eq!(usize::try_from(value).ok().as_ref(), before, "{context}");
                    }
                }
                _ => assert!(ran, "{context}"),
            },
            Outcome::Overtaken { by, .. } => assert!(!ran && *by > place, "{context}"),
            Outcome::Failed("in doubt") => {}
            Outcome::Failed(_) => assert!(!ran, "{context}"),
        }
        place += 1;
    }
    assert_eq!(ended.len(), place);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn cp_03_whatever_happens_to_a_cluster_commands_on_one_key_run_in_their_order(seed: u64, patient: bool) {
        let mut world = World::new(seed);
        for key in KEYS {
            world.log.insert(key.into(), Vec::new());
        }
        let bytes = commands(&mut world.rng);
        let limits = match patient {
            true => RedirectLimits::default().attempts(10_000).patience(Duration::from_secs(10_000)),
            false => RedirectLimits::default().attempts(2).patience(Duration::from_millis(100)),
        };
        let ended = execute(&mut world, &bytes, &limits);
        check(&world, &bytes, &ended);
        let gave_up = ended.values().any(|it| matches!(it, Outcome::Reply(reply) if reply.starts_with(b"-")));
        prop_assert!(!(patient && gave_up));
    }
}
