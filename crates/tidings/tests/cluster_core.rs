//! What the protocol crate makes of a cluster, on real ones: topologies, redirections, plans, merged replies.

use std::collections::{HashMap, HashSet};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use tidings::{Command, FromReply, cmd};
use tidings_proto::cluster::{
    Access, Address, Asked, Learned, Merge, Next, NodeChange, NodeReply, PipelineCommands,
    PipelinePlan, Plan, Policy, Redirect, RedirectLimits, Redirections, Role, Slot, SlotMap,
    Target, Topology,
};
use tidings_proto::{CommandWriter, Decoder, Limits, Reply};
use tidings_testkit::{Cluster, ClusterNode, Protocol, eventually, matrix};

/// A connection that shows the bytes of each reply.
struct Wire {
    stream: TcpStream,
    decoder: Decoder,
    input: Vec<u8>,
}

impl Wire {
    fn open(address: &Address, protocol: Protocol) -> Self {
        let stream = TcpStream::connect((address.host(), address.port())).expect("it listens");
        let patience = Some(Duration::from_secs(10));
        stream.set_read_timeout(patience).expect("a time");
        let mut wire = Self {
            stream,
            decoder: Decoder::new(Limits::default()),
            input: Vec::new(),
        };
        wire.ask(cmd("HELLO").arg(u32::from(protocol.number())).as_bytes());
        wire
    }

    fn send(&mut self, commands: &[u8]) {
        self.stream.write_all(commands).expect("it reads");
    }

    fn read(&mut self) -> Vec<u8> {
        loop {
            if let Some(length) = self.decoder.poll_frame(&self.input).expect("RESP") {
                return self.input.drain(..length).collect();
            }
            let mut buffer = [0; 64 * 1024];
            let read = self.stream.read(&mut buffer).expect("it answers");
            assert_ne!(read, 0, "the server has closed");
            self.input.extend_from_slice(&buffer[..read]);
        }
    }

    fn ask(&mut self, command: &[u8]) -> Vec<u8> {
        self.send(command);
        self.read()
    }
}

/// A connection to each node, made when it is needed.
struct Nodes {
    protocol: Protocol,
    wires: HashMap<Address, Wire>,
}

impl Nodes {
    fn new(protocol: Protocol) -> Self {
        let wires = HashMap::new();
        Self { protocol, wires }
    }

    fn wire(&mut self, address: &Address) -> &mut Wire {
        let open = || Wire::open(address, self.protocol);
        self.wires.entry(address.clone()).or_insert_with(open)
    }

    fn ask(&mut self, address: &Address, command: &Command) -> Vec<u8> {
        self.wire(address).ask(command.as_bytes())
    }

    fn topology(&mut self, address: &Address, what: &str) -> Topology {
        let frame = self.ask(address, &cmd("CLUSTER").arg(what));
        let (reply, asked) = (Reply::parse(&frame).unwrap(), Asked::new(address, false));
        let topology = match what {
            "SHARDS" => Topology::from_shards(reply, asked),
            _ => Topology::from_slots(reply, asked),
        };
        topology.expect("a topology")
    }

    fn map(&mut self, cluster: &Cluster) -> SlotMap {
        let mut map = SlotMap::new();
        map.apply(&self.topology(&address(&cluster.primaries()[0]), "SHARDS"));
        map
    }

    /// What the nodes that run a command without keys answer, made one.
    fn merged<T: FromReply>(&mut self, map: &SlotMap, command: &Command) -> T {
        let policy = Policy::of(command.view()).expect("it is known");
        let nodes: Vec<&Address> = match policy.target() {
            Target::AllNodes => map.nodes().map(|node| node.address()).collect(),
            Target::AllPrimaries => map.primaries().map(|node| node.address()).collect(),
            other => panic!("{other:?}"),
        };
        let frames: Vec<Vec<u8>> = nodes.iter().map(|node| self.ask(node, command)).collect();
        let replies = nodes.iter().zip(&frames);
        let replies: Vec<NodeReply<'_>> = replies
            .map(|(node, frame)| NodeReply::new(node, frame))
            .collect();
        decoded(&policy.merge().replies(&replies).expect("they fit together"))
    }

    /// A split command, or one of one slot.
    fn planned<T: FromReply>(&mut self, map: &SlotMap, command: &Command) -> T {
        match Plan::of(command.view()).expect("it has keys") {
            Plan::Slot(slot) => decoded(&self.ask(&owner(map, slot), command)),
            Plan::Split(split) => {
                let parts = split.parts().iter();
                let frames: Vec<Vec<u8>> = parts
                    .map(|part| self.ask(&owner(map, part.slot()), part.command()))
                    .collect();
                let frames: Vec<&[u8]> = frames.iter().map(Vec::as_slice).collect();
                decoded(&split.join(&frames).expect("they fit together"))
            }
            other => panic!("{other:?}"),
        }
    }
}

fn address(node: &ClusterNode) -> Address {
    Address::new("127.0.0.1", node.port())
}

fn owner(map: &SlotMap, slot: Slot) -> Address {
    let node = map.node_for(slot, Access::Write, 0);
    node.expect("a node has it").address().clone()
}

fn decoded<T: FromReply>(frame: &[u8]) -> T {
    T::from_reply(Reply::parse(frame).expect("RESP")).expect("of this type")
}

fn redirect(frame: &[u8]) -> Option<Redirect> {
    match Reply::parse(frame).expect("RESP").into_result() {
        Ok(_) => None,
        Err(error) => Some(Redirect::of(&error).unwrap_or_else(|| panic!("{error}"))),
    }
}

/// Each kind of server, with three primaries, and so many replicas for each.
fn on_each_cluster(replicas: usize, test: impl Fn(&Cluster)) {
    for binary in matrix() {
        println!("on {binary}");
        let builder = Cluster::builder().binary(&binary).replicas(replicas);
        let builder = builder.config("cluster-require-full-coverage", "no");
        // A primary without writes has nothing for its replicas but these.
        let builder = builder.config("repl-ping-replica-period", 1);
        test(&builder.start_or_panic());
    }
}

/// Some slots, with the ids of their primary and its replicas, as the testkit has it of the nodes.
fn truth(cluster: &Cluster) -> Vec<(Slot, String, Vec<String>)> {
    let edges = [0, 5460, 5461, 8000, 10922, 10923, 16383];
    let shard = |number: u16| {
        let primary = cluster.owner_of(number);
        let replicas = cluster.replicas_of(&primary);
        let replicas = replicas.iter().map(|node| node.id().to_owned());
        let slot = Slot::new(number).expect("a slot");
        (slot, primary.id().to_owned(), replicas.collect())
    };
    edges.map(shard).into()
}

fn assert_is_true(map: &SlotMap, truth: &[(Slot, String, Vec<String>)], cluster: &Cluster) {
    assert_eq!(map.unassigned_slots(), 0);
    for (slot, primary, replicas) in truth {
        let shard = map.shard(*slot).expect("somebody has it");
        let known = shard.primary().expect("it has a primary");
        assert_eq!(known.id(), Some(primary.as_str()));
        let node = cluster.node(primary).expect("it is one of them");
        assert_eq!(known.address(), &address(&node));
        let ids: Vec<&str> = shard
            .replicas()
            .iter()
            .filter_map(|node| node.id())
            .collect();
        assert_eq!(ids, *replicas);
    }
}

#[test]
fn topologies_of_real_clusters_become_maps_that_are_true_also_after_a_failover() {
    on_each_cluster(1, |cluster| {
        let truth = truth(cluster);
        let mut map = SlotMap::new();
        for protocol in Protocol::ALL {
            let mut nodes = Nodes::new(protocol);
            for node in cluster.nodes() {
                let node = address(&node);
                // CLUSTER SLOTS tells of a replica when it is known to have something of its primary, and CLUSTER SHARDS
                // may have it in a shard of its own until the nodes have told each other.
                for what in ["SHARDS", "SLOTS"] {
                    eventually(what, || {
                        let topology = nodes.topology(&node, what);
                        topology
                            .shards()
                            .iter()
                            .all(|shard| shard.nodes().len() == 2)
                    });
                }
                for what in ["SHARDS", "SLOTS"] {
                    let topology = nodes.topology(&node, what);
                    assert_eq!(topology.assigned_slots(), 16384);
                    let mut new = SlotMap::new();
                    for map in [&mut map, &mut new] {
                        map.apply(&topology);
                        assert_is_true(map, &truth, cluster);
                        assert_eq!(map.nodes().count(), 6);
                    }
                }
            }
        }
        let old = cluster.owner_of(0);
        let new = cluster.kill_and_fail_over(&old);
        let mut nodes = Nodes::new(Protocol::ALL[1]);
        let changes = map.apply(&nodes.topology(&address(&new), "SHARDS"));
        let promoted = changes.iter().any(|change| {
            matches!(change, NodeChange::Changed { before, after, is_elsewhere: false, .. }
                if after.id() == Some(new.id()) && before.role() == Role::Replica && after.is_primary())
        });
        assert!(promoted, "{changes:?}");
        assert_eq!(owner(&map, Slot::new(0).unwrap()), address(&new));
        assert_eq!(map.unassigned_slots(), 0);
    });
}

#[test]
fn slots_are_where_the_server_has_them() {
    let server = tidings_testkit::Server::builder()
        .config("cluster-enabled", "yes")
        .start_or_panic();
    for round in 0..2000 {
        let length = fastrand::usize(0..12);
        let letters = [b'{', b'}', b'a', b'b', 0xff, b'\r'];
        let letter = || {
            if round % 2 == 0 {
                fastrand::u8(..)
            } else {
                letters[fastrand::usize(..letters.len())]
            }
        };
        let key: Vec<u8> = (0..length).map(|_| letter()).collect();
        let question: [&[u8]; 3] = [b"CLUSTER", b"KEYSLOT", &key];
        let slot = server.admin(question).integer();
        assert_eq!(
            slot,
            Some(i64::from(Slot::of_key(&key).number())),
            "{key:?}"
        );
    }
}

#[test]
fn commands_reach_their_keys_through_every_kind_of_redirection() {
    on_each_cluster(0, |cluster| {
        let mut nodes = Nodes::new(Protocol::ALL[1]);
        let mut map = nodes.map(cluster);
        let slot = Slot::of_key(b"{foo}");
        let set = |key: &str| cmd("SET").arg(key).arg("1");
        let source = cluster.owner_of(slot.number());
        let target = cluster
            .primaries()
            .into_iter()
            .find(|node| *node != source)
            .unwrap();

        // MOVED teaches a map that knows nothing.
        let moved = nodes.ask(&address(&target), &set("{foo}1"));
        let Some(Redirect::Moved { slot: told, to, .. }) = redirect(&moved) else {
            panic!("{moved:?}")
        };
        assert_eq!(
            (told, to.told_by(&address(&target))),
            (slot, address(&source))
        );
        let mut empty = SlotMap::new();
        assert_eq!(
            empty.learn_moved(told, &address(&source)),
            Learned::NewPrimary
        );
        assert_eq!(
            redirect(&nodes.ask(&owner(&empty, slot), &set("{foo}1"))),
            None
        );

        // ASK sends one command to where the slot goes.
        let moving = cluster.begin_slot_move(slot.number(), &target);
        moving.open();
        assert_eq!(
            redirect(&nodes.ask(&address(&source), &set("{foo}1"))),
            None
        );
        let asked =
            redirect(&nodes.ask(&address(&source), &set("{foo}2"))).expect("it is not there");
        assert!(
            matches!(&asked, Redirect::Ask { slot: told, .. } if *told == slot),
            "{asked:?}"
        );
        let mut redirections = Redirections::new(&RedirectLimits::default(), Instant::now());
        let Next::To {
            node,
            asking: true,
            pause,
            ..
        } = redirections.next(&asked, Instant::now())
        else {
            panic!("{asked:?}");
        };
        assert!(pause.is_zero());
        let next = node.told_by(&address(&source));
        assert_eq!(next, address(&target));
        assert!(redirect(&nodes.ask(&next, &set("{foo}2"))).is_some());
        nodes.ask(&next, &cmd("ASKING"));
        assert_eq!(redirect(&nodes.ask(&next, &set("{foo}2"))), None);

        // Of two keys one is here, and one is there.
        let both = cmd("MGET").arg(["{foo}1", "{foo}2"]);
        assert_eq!(
            redirect(&nodes.ask(&address(&source), &both)),
            Some(Redirect::TryAgain)
        );
        moving.finish();
        let now_there = redirect(&nodes.ask(&address(&source), &both)).expect("it has moved");
        let Redirect::Moved { to, .. } = now_there else {
            panic!("{now_there:?}")
        };
        assert_eq!(
            map.learn_moved(slot, &to.told_by(&address(&source))),
            Learned::SlotMoved
        );
        let values: Vec<String> = nodes.planned(&map, &both);
        assert_eq!(values, ["1", "1"]);
        assert_is_true(&map, &truth(cluster), cluster);

        let crossed = cmd("RENAME").arg("{foo}1").arg("bar");
        assert_eq!(
            redirect(&nodes.ask(&address(&target), &crossed)),
            Some(Redirect::CrossSlot)
        );
        cluster.delete_slots(slot.number()..=slot.number());
        let down = nodes.ask(&address(&target), &both);
        assert_eq!(
            redirect(&down),
            Some(Redirect::Down),
            "{}",
            String::from_utf8_lossy(&down)
        );
        map.apply(&nodes.topology(&address(&target), "SHARDS"));
        assert_eq!(
            nodes.topology(&address(&target), "SHARDS").assigned_slots(),
            16383
        );
    });
}

#[test]
fn commands_of_many_slots_and_pipelines_are_spread_over_the_nodes_and_come_back_in_order() {
    const KEYS: usize = 300;
    on_each_cluster(0, |cluster| {
        for protocol in Protocol::ALL {
            let mut nodes = Nodes::new(protocol);
            let map = nodes.map(cluster);
            let keys: Vec<String> = (0..KEYS).map(|number| format!("key:{number}")).collect();
            let pairs = keys.iter().enumerate().map(|(number, key)| (key, number));
            let () = nodes.planned(&map, &cmd("MSET").arg(pairs.collect::<Vec<_>>()));
            let mut asked = keys.clone();
            asked.push("nothing".to_owned());
            let values: Vec<Option<usize>> = nodes.planned(&map, &cmd("MGET").arg(&asked));
            let expected = (0..KEYS).map(Some).chain([None]);
            assert!(values.into_iter().eq(expected));
            for name in ["EXISTS", "TOUCH"] {
                assert_eq!(nodes.planned::<usize>(&map, &cmd(name).arg(&asked)), KEYS);
            }

            // Sent to all nodes, and only then read.
            let mut pipeline = Vec::new();
            for key in &keys {
                CommandWriter::new(&mut pipeline, "INCRBY")
                    .arg(key)
                    .arg(1000);
                CommandWriter::new(&mut pipeline, "GET").arg(key);
            }
            let commands = PipelineCommands::new(&pipeline);
            let plan = PipelinePlan::new(commands, &map, Access::Write, |slot, access| {
                Some(map.node_for(slot, access, 0)?.address().clone())
            });
            let plan = plan.expect("all have keys");
            assert_eq!((plan.groups().len(), plan.len()), (3, 2 * KEYS));
            for group in plan.groups() {
                nodes.wire(group.node()).send(&group.encoded(commands));
            }
            let mut answers = Vec::new();
            for group in plan.groups() {
                let wire = nodes.wire(group.node());
                let replies = (0..group.replies()).map(|_| decoded::<usize>(&wire.read()));
                answers.push(replies.collect::<Vec<_>>().into_iter());
            }
            let groups = plan.order().iter();
            let ordered = groups.map(|group| answers[usize::from(*group)].next().expect("a reply"));
            assert!(ordered.eq((0..KEYS).flat_map(|number| [number + 1000; 2])));
            assert_eq!(nodes.planned::<usize>(&map, &cmd("DEL").arg(&keys)), KEYS);
            assert_eq!(nodes.planned::<usize>(&map, &cmd("UNLINK").arg(&keys)), 0);
        }
    });
}

#[test]
fn what_nodes_answer_is_merged() {
    on_each_cluster(1, |cluster| {
        for protocol in Protocol::ALL {
            let mut nodes = Nodes::new(protocol);
            let map = nodes.map(cluster);
            let keys: HashSet<String> = (0..50).map(|number| format!("key:{number}")).collect();
            for key in &keys {
                let () = nodes.planned(&map, &cmd("SET").arg(key).arg(1));
            }
            assert_eq!(nodes.merged::<usize>(&map, &cmd("DBSIZE")), 50);
            assert_eq!(
                nodes.merged::<HashSet<String>>(&map, &cmd("KEYS").arg("*")),
                keys
            );
            assert!(keys.contains(&nodes.merged::<String>(&map, &cmd("RANDOMKEY"))));
            assert_eq!(nodes.merged::<String>(&map, &cmd("PING")), "PONG");

            let digest: String = nodes.merged(&map, &cmd("SCRIPT").arg("LOAD").arg("return 1"));
            let exists = cmd("SCRIPT").arg("EXISTS").arg(&digest).arg("0".repeat(40));
            assert_eq!(nodes.merged::<Vec<bool>>(&map, &exists), [true, false]);
            let () = nodes.merged(&map, &cmd("SCRIPT").arg("FLUSH"));
            assert_eq!(nodes.merged::<Vec<bool>>(&map, &exists), [false, false]);
            let () = nodes.merged(
                &map,
                &cmd("CONFIG").arg(["SET", "slowlog-log-slower-than", "-1"]),
            );
            let () = nodes.merged(&map, &cmd("SLOWLOG").arg("RESET"));
            assert_eq!(nodes.merged::<usize>(&map, &cmd("SLOWLOG").arg("LEN")), 0);
            assert_eq!(
                nodes.merged::<Vec<tidings::Value>>(&map, &cmd("SLOWLOG").arg("GET")),
                []
            );
            assert_eq!(nodes.merged::<i64>(&map, &cmd("WAIT").arg(1).arg(2000)), 1);
            let infos: HashMap<String, String> =
                nodes.merged(&map, &cmd("INFO").arg("replication"));
            assert_eq!(infos.len(), 3);
            assert!(infos.values().all(|info| info.contains("role:master")));

            // Two nodes have subscribers of `news`, one of them a replica; a pattern is at one.
            let subscribed = |node: &Address, words: [&str; 2]| {
                let mut wire = Wire::open(node, protocol);
                wire.ask(cmd(words[0]).arg(words[1]).as_bytes());
                wire
            };
            let shard = &map.shards()[0];
            let (primary, replica) = (
                shard.primary().unwrap().address(),
                shard.replicas()[0].address(),
            );
            let _subscribers = [
                subscribed(primary, ["SUBSCRIBE", "news"]),
                subscribed(replica, ["SUBSCRIBE", "news"]),
                subscribed(replica, ["SUBSCRIBE", "more"]),
                subscribed(primary, ["PSUBSCRIBE", "p*"]),
            ];
            let mut channels: Vec<String> = nodes.merged(&map, &cmd("PUBSUB").arg("CHANNELS"));
            channels.sort();
            assert_eq!(channels, ["more", "news"]);
            let counts: Vec<(String, i64)> =
                nodes.merged(&map, &cmd("PUBSUB").arg(["NUMSUB", "news", "none", "more"]));
            let expected = [("news", 2), ("none", 0), ("more", 1)]
                .map(|(name, count)| (name.to_owned(), count));
            assert_eq!(counts, expected);
            let none: Vec<(String, i64)> = nodes.merged(&map, &cmd("PUBSUB").arg("NUMSUB"));
            assert_eq!(none, []);
            assert_eq!(nodes.merged::<i64>(&map, &cmd("PUBSUB").arg("NUMPAT")), 1);

            let () = nodes.merged(&map, &cmd("FLUSHALL"));
            assert_eq!(nodes.merged::<usize>(&map, &cmd("DBSIZE")), 0);
            let nothing: Option<String> = nodes.merged(&map, &cmd("RANDOMKEY"));
            assert_eq!(nothing, None);
            let policy = Policy::of(cmd("DBSIZE").view()).unwrap();
            assert_eq!(policy.merge(), Merge::Sum);
        }
    });
}
