use proptest::prelude::*;

use super::*;
use crate::{
    cluster::{
        replies::SERVERS,
        testing::{address, map, topology},
        topology::Asked,
    },
    resp::Reply,
};

fn slot(number: u16) -> Slot {
    Slot::new(number).unwrap()
}

fn host(node: Option<&Node>) -> &str {
    node.map_or("nobody", |node| node.address().host())
}

fn writer(map: &SlotMap, number: u16) -> &str {
    host(map.node_for(slot(number), Access::Write, 0))
}

fn readers(map: &SlotMap, number: u16) -> Vec<&str> {
    let reader = |turn| host(map.node_for(slot(number), Access::ReadFromReplica, turn));
    (0..4).map(reader).collect()
}

fn shown(changes: &[NodeChange]) -> Vec<String> {
    let show = |change: &NodeChange| match change {
        NodeChange::Joined(node) => format!("joined {node:?}"),
        NodeChange::Left(node) => format!("left {node:?}"),
        NodeChange::Changed {
            before,
            after,
            is_elsewhere,
        } => {
            format!(
                "{before:?} to {after:?}{}",
                if *is_elsewhere { ", elsewhere" } else { "" }
            )
        }
    };
    let mut lines: Vec<String> = changes.iter().map(show).collect();
    lines.sort();
    lines
}

const TWO: &[&str] = &[
    "0-99,200-299: a master online, a1 replica online, a2 replica online, a3 replica fail",
    "100-199: b master online, b1 replica loading",
];

#[test]
fn writes_go_to_the_primary_and_reads_to_replicas_in_turn() {
    let map = map(TWO);
    for (number, primary) in [
        (0, "a"),
        (99, "a"),
        (100, "b"),
        (199, "b"),
        (200, "a"),
        (300, "nobody"),
    ] {
        assert_eq!(writer(&map, number), primary);
    }
    assert_eq!(readers(&map, 250), ["a1", "a2", "a1", "a2"]);
    assert_eq!(map.unassigned_slots(), 16384 - 300);
}

#[test]
fn a_shard_without_a_replica_that_serves_is_read_from_its_primary() {
    assert_eq!(readers(&map(TWO), 100), ["b", "b", "b", "b"]);
    let alone = map(&["0-16383: a master online"]);
    assert_eq!(readers(&alone, 5), ["a", "a", "a", "a"]);
}

#[test]
fn any_node_is_a_replica_if_wanted_and_a_primary_where_there_is_none() {
    let hosts = |map: &SlotMap, access| -> Vec<String> {
        (0..4)
            .map(|turn| host(map.any_node(access, turn)).to_owned())
            .collect()
    };
    let two = map(TWO);
    assert_eq!(hosts(&two, Access::Write), ["a", "b", "a", "b"]);
    assert_eq!(
        hosts(&two, Access::ReadFromReplica),
        ["a1", "a2", "a1", "a2"]
    );
    let none = map(&["0-1: a master online, a1 replica fail"]);
    assert_eq!(hosts(&none, Access::ReadFromReplica), ["a", "a", "a", "a"]);
    let left = map(&["0-1: a master fail, a1 replica online"]);
    assert_eq!(hosts(&left, Access::Write), ["a1", "a1", "a1", "a1"]);
    let gone = map(&["0-1: a master fail, a1 replica fail"]);
    assert_eq!(hosts(&gone, Access::Write), ["a", "a1", "a", "a1"]);
    assert!(SlotMap::new().any_node(Access::Write, 7).is_none());
}

#[test]
fn real_replies_become_maps() {
    for server in &SERVERS {
        let mut map = SlotMap::new();
        let asked = address("asked");
        let read = |what: &str| {
            let wire = server.reply(what);
            let (reply, asked) = (Reply::parse(&wire).unwrap(), Asked::new(&asked, false));
            if what.contains("shards") {
                Topology::from_shards(reply, asked).unwrap()
            } else {
                Topology::from_slots(reply, asked).unwrap()
            }
        };
        assert_eq!(map.apply(&read("whole shards resp3")).len(), 5);
        assert_eq!(map.apply(&read("whole shards resp2")), []);
        let port = |map: &SlotMap, number| {
            map.node_for(slot(number), Access::Write, 0)
                .map(|node| node.address().port() % 10)
        };
        let ports = |map: &SlotMap| {
            [0, 8001, 8099, 8100, 8200, 8300, 16383].map(|number| port(map, number))
        };
        let expected = [Some(0), None, Some(0), Some(1), Some(0), Some(1), Some(2)];
        assert_eq!(ports(&map), expected);
        // CLUSTER SLOTS leaves out the node without slots.
        let changes = map.apply(&read("whole slots resp2"));
        assert!(
            matches!(&changes[..], [NodeChange::Left(node)] if node.address().port() % 10 == 4)
        );
        assert_eq!(ports(&map), expected);
        // Also where the server says that the failed primary has no slots.
        map.apply(&read("failed shards resp3"));
        assert_eq!(ports(&map), expected, "{}", server.name);
        let failed = map.nodes().filter(|node| node.health() == Health::Failed);
        assert_eq!(failed.count(), 2);
    }
}

#[test]
fn a_slot_that_nobody_claims_stays_while_one_of_its_nodes_is_there() {
    let mut map = map(&[
        "0-9: a master online, a1 replica online",
        "10-19: b master online",
    ]);
    map.apply(&topology(&[
        ": a master fail, a1 replica online",
        "10-19: b master online",
    ]));
    assert_eq!((writer(&map, 0), readers(&map, 0)[0]), ("a", "a1"));
    map.apply(&topology(&[
        ": a1 replica online",
        "10-19: b master online",
    ]));
    assert_eq!((writer(&map, 0), readers(&map, 0)[0]), ("nobody", "a1"));
    map.apply(&topology(&["10-19: b master online"]));
    assert_eq!(writer(&map, 0), "nobody");
    assert!(map.shard(slot(0)).is_none());
}

#[test]
fn of_two_that_claim_a_slot_the_healthier_has_it() {
    let first = "0-9: a master fail";
    let second = "5-14: b master online";
    for shards in [[first, second], [second, first]] {
        let map = map(&shards);
        assert_eq!(
            [4, 5, 9, 14].map(|number| writer(&map, number)),
            ["a", "b", "b", "b"]
        );
    }
}

/// For up to a second after it joined, as Valkey tells it.
#[test]
fn a_replica_in_a_shard_of_its_own_takes_no_slots_and_is_no_primary() {
    let mut map = map(&["0-9: a master online", ": a1 replica online"]);
    assert_eq!((writer(&map, 0), readers(&map, 0)[0]), ("a", "a"));
    assert_eq!(map.primaries().count(), 1);
    let changes = map.apply(&topology(&["0-9: a master online, a1 replica online"]));
    assert_eq!(
        shown(&changes),
        ["Replica a1:7000 (Online) to Replica a1:7000 (Online), elsewhere"]
    );
    assert_eq!(readers(&map, 0)[0], "a1");
}

#[test]
fn of_two_primaries_of_a_shard_the_healthier_is_it() {
    let map = map(&["0-9: a master fail, b master online, c replica online"]);
    assert_eq!(writer(&map, 0), "b");
    let replicas = map.shard(slot(0)).unwrap().replicas();
    assert_eq!(
        replicas.iter().map(Node::role).collect::<Vec<_>>(),
        [Role::Replica; 2]
    );
}

#[test]
fn a_redirection_to_another_shard_moves_one_slot() {
    let mut map = map(TWO);
    assert_eq!(map.learn_moved(slot(5), &address("b")), Learned::SlotMoved);
    assert_eq!(
        [4, 5, 6].map(|number| writer(&map, number)),
        ["a", "b", "a"]
    );
    assert_eq!(map.learn_moved(slot(5), &address("b")), Learned::Nothing);
}

#[test]
fn a_redirection_to_the_own_replica_is_a_failover_of_the_shard() {
    let mut map = map(TWO);
    assert_eq!(map.learn_moved(slot(5), &address("a2")), Learned::Promoted);
    assert_eq!(
        [4, 5, 250].map(|number| writer(&map, number)),
        ["a2", "a2", "a2"]
    );
    // Whether the old one is there still is not known.
    assert_eq!(readers(&map, 5), ["a1", "a1", "a1", "a1"]);
    assert_eq!(map.nodes().count(), 6);
}

#[test]
fn a_redirection_to_an_unknown_node_or_another_shards_replica_makes_it_a_primary() {
    let mut map = map(TWO);
    assert_eq!(
        map.learn_moved(slot(5), &address("new")),
        Learned::NewPrimary
    );
    assert_eq!([4, 5].map(|number| writer(&map, number)), ["a", "new"]);
    assert_eq!(
        map.learn_moved(slot(6), &address("new")),
        Learned::SlotMoved
    );
    assert_eq!(
        map.learn_moved(slot(7), &address("b1")),
        Learned::NewPrimary
    );
    assert_eq!(
        [6, 7, 100].map(|number| writer(&map, number)),
        ["new", "b1", "b"]
    );
    assert_eq!(map.shard(slot(100)).unwrap().replicas(), []);
    assert_eq!(map.node_at(&address("b1")).unwrap().id(), Some("b1"));
}

#[test]
fn what_became_of_each_node_is_told() {
    let mut map = SlotMap::new();
    let changes = map.apply(&topology(&[
        "0-9: a master online, a1 replica online",
        "10-19: b master online",
    ]));
    assert_eq!(changes.len(), 3);
    let changes = map.apply(&topology(&[
        "0-9: a1 master online, a replica fail",
        "10-19: b master online",
    ]));
    assert_eq!(
        shown(&changes),
        [
            "Primary a:7000 (Online) to Replica a:7000 (Failed)",
            "Replica a1:7000 (Online) to Primary a1:7000 (Online)",
        ]
    );
    let changes = map.apply(&topology(&[
        "0-9: a1 master online",
        "10-19: b master online, c replica online",
    ]));
    assert_eq!(
        shown(&changes),
        [
            "joined Replica c:7000 (Online)",
            "left Replica a:7000 (Failed)"
        ]
    );
    let changes = map.apply(&topology(&[
        "0-9: a1 master online, c replica online",
        "10-19: b@moved master online",
    ]));
    assert_eq!(
        shown(&changes),
        [
            "Primary b:7000 (Online) to Primary moved:7000 (Online)",
            "Replica c:7000 (Online) to Replica c:7000 (Online), elsewhere",
        ]
    );
}

#[test]
fn slots_that_move_change_no_node() {
    let mut map = map(TWO);
    let mut moved = TWO.to_vec();
    moved[0] =
        "0-98,200-299: a master online, a1 replica online, a2 replica online, a3 replica fail";
    moved[1] = "99-199: b master online, b1 replica loading";
    assert_eq!(map.apply(&topology(&moved)), []);
    assert_eq!(writer(&map, 99), "b");
}

proptest! {
    /// Whatever nodes say and teach, the map gives for a slot what was said of it last.
    #[test]
    fn a_slot_is_where_it_was_last_said_to_be(
        steps in prop::collection::vec((0..40_u16, 0..6_usize, any::<bool>()), 1..20),
    ) {
        const HOSTS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
        let mut map = SlotMap::new();
        let mut model: Vec<Option<usize>> = vec![None; 40];
        for (number, node, is_topology) in steps {
            model[usize::from(number)] = Some(node);
            if is_topology {
                let shard = |node: usize| {
                    let slots = (0..40).filter(|slot| model[*slot] == Some(node));
                    let ranges: Vec<String> = slots.map(|slot| format!("{slot}-{slot}")).collect();
                    format!("{}: {} master online", ranges.join(","), HOSTS[node])
                };
                let shards: Vec<String> = (0..6).map(shard).collect();
                let shards: Vec<&str> = shards.iter().map(String::as_str).collect();
                map.apply(&topology(&shards));
            } else {
                map.learn_moved(slot(number), &address(HOSTS[node]));
            }
            for number in 0..40 {
                let expected = model[usize::from(number)].map_or("nobody", |node| HOSTS[node]);
                prop_assert_eq!(writer(&map, number), expected);
            }
            prop_assert!(map.nodes().count() <= 6);
            prop_assert_eq!(map.unassigned_slots(), 16344 + model.iter().filter(|node| node.is_none()).count());
        }
    }

    /// With replicas that are promoted and nodes that come and go, no node is there twice.
    #[test]
    fn no_redirection_makes_two_of_a_node(moves in prop::collection::vec((0..300_u16, 0..8_usize), 0..40)) {
        let hosts = ["a", "a1", "a2", "a3", "b", "b1", "x", "y"];
        let mut map = map(TWO);
        for (number, host) in moves {
            map.learn_moved(slot(number), &address(hosts[host]));
            prop_assert_eq!(writer(&map, number), hosts[host]);
            let mut seen: Vec<&str> = map.nodes().map(|node| node.address().host()).collect();
            let count = seen.len();
            seen.sort_unstable();
            seen.dedup();
            prop_assert_eq!(seen.len(), count);
            prop_assert!(map.primaries().all(Node::is_primary));
        }
        map.apply(&topology(TWO));
        prop_assert_eq!([0, 100, 200].map(|number| writer(&map, number)), ["a", "b", "a"]);
    }
}
