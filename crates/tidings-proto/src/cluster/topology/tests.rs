use proptest::prelude::*;

use super::*;
use crate::{
    cluster::{
        replies::{self, SERVERS, Server},
        testing::topology,
    },
    resp::Value,
};

fn asked() -> Address {
    Address::new("asked.example.net", 1)
}

fn read(server: &Server, what: &str) -> Topology {
    let wire = server.reply(what);
    parse(&wire, what.contains("shards")).unwrap_or_else(|error| panic!("{what}: {error}"))
}

fn parse(wire: &[u8], is_shards: bool) -> Result<Topology, Error> {
    let address = asked();
    let (reply, asked) = (Reply::parse(wire)?, Asked::new(&address, false));
    if is_shards {
        Topology::from_shards(reply, asked)
    } else {
        Topology::from_slots(reply, asked)
    }
}

/// `0-8000,8002-8099: primary 127.0.0.1:0 online, …`, with the last digit of each port; sorted, as servers do not.
fn shown(topology: &Topology) -> Vec<String> {
    let node = |node: &Node| {
        let (host, port) = (node.address.host(), node.address.port() % 10);
        format!("{:?} {host}:{port} {:?}", node.role, node.health)
    };
    let shard = |shard: &TopologyShard| {
        let range = |range: &RangeInclusive<u16>| format!("{}-{}", range.start(), range.end());
        let ranges: Vec<String> = shard.ranges.iter().map(range).collect();
        let nodes: Vec<String> = shard.nodes.iter().map(node).collect();
        format!("{}: {}", ranges.join(","), nodes.join(", "))
    };
    let mut lines: Vec<String> = topology.shards.iter().map(shard).collect();
    lines.sort();
    lines
}

const FIRST: &str = "0-8000,8002-8099,8200-8299";

#[test]
fn shards_are_read_in_both_protocols() {
    for server in &SERVERS {
        let topology = read(server, "whole shards resp2");
        assert_eq!(
            shown(&topology),
            [
                &format!("{FIRST}: Primary 127.0.0.1:0 Online, Replica 127.0.0.1:3 Online"),
                "16001-16383: Primary 127.0.0.1:2 Online",
                "8100-8199,8300-16000: Primary 127.0.0.1:1 Online",
                ": Primary 127.0.0.1:4 Online",
            ]
        );
        assert_eq!(read(server, "whole shards resp3"), topology);
        assert_eq!(topology.assigned_slots(), 16383);
        let nodes: Vec<&Node> = topology
            .shards
            .iter()
            .flat_map(|shard| &shard.nodes)
            .collect();
        for node in &nodes {
            assert_eq!(node.id().map(str::len), Some(40));
            assert!(node.replication_offset().is_some());
        }
        let names: Vec<&str> = nodes.iter().filter_map(|node| node.hostname()).collect();
        assert_eq!(names, ["node-1.example.net"]);
    }
}

#[test]
fn slots_tell_the_same_but_for_nodes_without_any() {
    for server in &SERVERS {
        let topology = read(server, "whole slots resp2");
        assert_eq!(
            shown(&topology),
            shown(&read(server, "whole shards resp2"))[..3]
        );
        assert_eq!(read(server, "whole slots resp3"), topology);
    }
}

#[test]
fn a_node_that_is_alone_is_where_it_was_asked() {
    for server in &SERVERS {
        let alone = shown(&read(server, "alone shards resp2"));
        assert_eq!(alone, [": Primary asked.example.net:0 Online"]);
        assert_eq!(read(server, "alone slots resp2"), Topology::default());
    }
}

#[test]
fn an_endpoint_that_is_unknown_is_the_host_that_was_asked() {
    for server in &SERVERS {
        for what in [
            "unknown shards resp2",
            "unknown slots resp2",
            "unknown slots resp3",
        ] {
            for shard in read(server, what).shards() {
                for node in shard.nodes() {
                    assert_eq!(node.address().host(), "asked.example.net", "{what}");
                }
            }
        }
    }
}

#[test]
fn names_are_preferred_where_the_server_prefers_them_and_there_are_any() {
    for server in &SERVERS {
        for what in ["hostname shards resp3", "hostname slots resp3"] {
            for node in read(server, what)
                .shards()
                .iter()
                .flat_map(TopologyShard::nodes)
            {
                let has_name = node.address().port() % 10 == 1;
                let host = if has_name {
                    "node-1.example.net"
                } else {
                    "127.0.0.1"
                };
                assert_eq!(node.address().host(), host, "{what}");
            }
        }
    }
}

#[test]
fn nodes_that_failed_are_told_of_as_such() {
    for server in &SERVERS {
        let lines = shown(&read(server, "failed shards resp3"));
        let first = format!("{FIRST}: Primary 127.0.0.1:0 Online, Replica 127.0.0.1:3 Failed");
        assert!(lines.contains(&first), "{lines:?}");
        // Redis 8 says that a primary which failed has no slots; CLUSTER SLOTS and MOVED still have them there.
        let failed = match server.name {
            "redis-8.0.6" => ": Primary 127.0.0.1:1 Failed",
            _ => "8100-8199,8300-16000: Primary 127.0.0.1:1 Failed",
        };
        assert!(lines.iter().any(|line| line == failed), "{lines:?}");
        assert_eq!(read(server, "failed slots resp2").assigned_slots(), 16383);
    }
}

#[test]
fn a_node_is_reached_at_the_port_for_what_is_spoken() {
    let both =
        replies::wire("*1 *2 $5 nodes *2 *6 $4 port :7 $8 tls-port :8 $2 ip $1 a *2 $4 port :9 ");
    let ports = |tls| {
        let address = asked();
        let reply = Reply::parse(&both).unwrap();
        let topology = Topology::from_shards(reply, Asked::new(&address, tls)).unwrap();
        let nodes = topology.shards[0].nodes.iter();
        nodes.map(|node| node.address.port()).collect::<Vec<_>>()
    };
    assert_eq!(ports(false), [7, 9]);
    assert_eq!(ports(true), [8]);
}

#[test]
fn fields_and_states_of_later_servers_are_taken_as_they_come() {
    let wire = replies::wire(
        "*1 *4 $4 news *1 :1 $5 nodes *1 *8 $5 color $3 red $4 port :7 $6 health $5 tired $4 role $7 primary ",
    );
    let topology = parse(&wire, true).unwrap();
    assert_eq!(shown(&topology), [": Primary asked.example.net:7 Loading"]);
}

#[test]
fn what_is_no_topology_is_an_error() {
    for (wire, is_shards) in [
        ("-ERR This instance has cluster support disabled ", true),
        ("-ERR unknown subcommand 'SHARDS'. Try CLUSTER HELP. ", true),
        ("$2 OK ", true),
        ("*1 :1 ", true),
        ("*1 *1 $5 slots ", true),
        ("*1 *2 $5 slots *1 :1 ", true),
        ("*1 *2 $5 slots *2 :5 :4 ", true),
        ("*1 *2 $5 slots *2 :0 :16384 ", true),
        ("*1 *2 $5 slots *2 :-1 :5 ", true),
        ("*1 *2 $5 nodes *1 *2 $4 port $1 x ", true),
        ("*1 *1 :0 ", false),
        ("*1 *3 :0 :1 :2 ", false),
        ("*1 *3 :0 :1 *2 $1 a $1 b ", false),
    ] {
        assert!(parse(&replies::wire(wire), is_shards).is_err(), "{wire}");
    }
}

/// Two shards of a primary each, of which the first has the slots up to `last`.
fn told(last: u16, healths: [Health; 2]) -> Topology {
    let shard = |range, id: &str, health| TopologyShard {
        ranges: vec![range],
        nodes: vec![Node {
            id: Some(id.into()),
            health,
            ..Node::at(asked(), Role::Primary)
        }],
    };
    let [first, second] = healths;
    Topology {
        shards: vec![
            shard(0..=last, "a", first),
            shard(last + 1..=16383, "b", second),
        ],
    }
}

#[test]
fn what_most_nodes_tell_of_the_slots_counts() {
    use Health::{Failed, Online};
    let (old, new) = (told(10, [Online; 2]), told(9, [Online; 2]));
    let mut turned = new.clone();
    turned.shards.reverse();
    let all = [old.clone(), new.clone(), turned];
    assert_eq!(Topology::most_agreed(&all), Some((&new, 2)));
    let both = [old.clone(), new];
    assert_eq!(Topology::most_agreed(&both), Some((&old, 1)));
    // Who is cut off takes nobody for failed, as that needs most of the others.
    let failed_over = told(9, [Online, Failed]);
    let mut both = [old, failed_over.clone()];
    assert_eq!(Topology::most_agreed(&both), Some((&failed_over, 1)));
    both.reverse();
    assert_eq!(Topology::most_agreed(&both), Some((&failed_over, 1)));
    assert_eq!(Topology::most_agreed(&[]), None);
}

#[test]
fn of_those_who_agree_on_the_slots_most_tell_who_failed() {
    let seen = |shards: &[&str]| topology(shards);
    let well = seen(&["0-16383: a primary online, b replica online, c replica online"]);
    let failed = seen(&["0-16383: a primary online, b replica fail, c replica online"]);
    let elsewhere = seen(&["0-16383: d primary online"]);
    let votes = |all: &[&Topology]| {
        let told: Vec<Topology> = all.iter().copied().cloned().collect();
        let (most, votes) = Topology::most_agreed(&told).unwrap();
        (most.clone(), votes)
    };
    // The one that failed says of the slots what all say.
    assert_eq!(votes(&[&well, &failed, &failed]), (failed.clone(), 3));
    assert_eq!(votes(&[&failed, &well]), (failed.clone(), 2));
    // It is well again, and one of them has not heard of that.
    assert_eq!(votes(&[&well, &failed, &well]), (well.clone(), 3));
    assert_eq!(
        votes(&[&elsewhere, &failed, &well, &elsewhere, &elsewhere]),
        (elsewhere, 3)
    );
}

/// Some reply that is near to one of these.
fn reply() -> impl Strategy<Value = Vec<u8>> {
    let word = prop::sample::select(vec![
        "slots", "nodes", "port", "tls-port", "ip", "endpoint", "role", "master", "health", "fail",
        "?", "", "id",
    ]);
    let leaf = prop_oneof![
        3 => word.prop_map(|word| format!("${}\r\n{word}\r\n", word.len())),
        2 => (-3..17_000_i64).prop_map(|number| format!(":{number}\r\n")),
        1 => Just("_\r\n".to_owned()),
        1 => Just("$-1\r\n".to_owned()),
        1 => Just("-ERR no\r\n".to_owned()),
    ];
    let tree = leaf.prop_recursive(5, 60, 8, |inner| {
        prop::collection::vec(inner, 0..8).prop_map(|elements| {
            let map = elements.len() % 2 == 0 && elements.len() % 4 == 0;
            let (head, count) = if map {
                ('%', elements.len() / 2)
            } else {
                ('*', elements.len())
            };
            format!("{head}{count}\r\n{}", elements.concat())
        })
    });
    tree.prop_map(String::into_bytes)
}

proptest! {
    #[test]
    fn no_reply_makes_the_parser_panic(wire in reply()) {
        for is_shards in [true, false] {
            if let Ok(topology) = parse(&wire, is_shards) {
                prop_assert!(topology.assigned_slots() <= 16384);
                for slot in topology.shards().iter().flat_map(TopologyShard::slots) {
                    prop_assert!(slot.number() < Slot::COUNT);
                }
            }
        }
    }

    #[test]
    fn no_damage_to_a_real_reply_makes_the_parser_panic(
        server in 0..SERVERS.len(), line in 0..13_usize, at in any::<prop::sample::Index>(), byte in any::<u8>(),
    ) {
        let (what, mut wire) = SERVERS[server].replies().nth(line).unwrap();
        let at = at.index(wire.len());
        wire[at] = byte;
        if let Ok(topology) = parse(&wire, what.contains("shards")) {
            prop_assert!(topology.shards().iter().all(|shard| shard.ranges().iter().all(|range| !range.is_empty())));
        }
        prop_assert!(parse(&wire[..at], what.contains("shards")).is_err());
        let _ = crate::FromReply::from_reply(Reply::parse(&wire[at..]).unwrap_or(Reply::Null)).map(|_: Value| ());
    }
}
