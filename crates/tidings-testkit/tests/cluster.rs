//! Clusters on the oldest Redis and the newest Valkey of the matrix, or on those that
//! `TIDINGS_TEST_SERVERS` names: they come up, change as they are told, and all nodes agree.

use std::collections::BTreeSet;
use std::env;
use std::net::TcpStream;
use std::slice::from_ref;
use std::sync::Arc;

use tidings_testkit::{
    AdminReply, Binary, Cluster, ClusterNode, Failover, Flavor, SLOTS, eventually, matrix, slot_of,
};

fn on_each(test: impl Fn(&Binary)) {
    let mut binaries = matrix();
    if env::var_os("TIDINGS_TEST_SERVERS").is_none() && binaries.len() > 2 {
        binaries.drain(1..binaries.len() - 1);
    }
    for binary in binaries {
        test(&binary);
    }
}

fn error(reply: std::io::Result<AdminReply>) -> String {
    match reply {
        Ok(AdminReply::Error(text)) => text,
        other => panic!("an error reply was expected: {other:?}"),
    }
}

fn primary_other_than(cluster: &Cluster, node: &ClusterNode) -> Arc<ClusterNode> {
    let mut primaries = cluster.primaries().into_iter();
    primaries.find(|other| **other != *node).unwrap()
}

#[test]
fn a_cluster_is_complete_when_it_has_started_and_gone_when_it_is_dropped() {
    on_each(|binary| {
        let cluster = Cluster::builder()
            .binary(binary)
            .replicas(1)
            .start_or_panic();
        let primaries = cluster.primaries();
        assert_eq!((cluster.nodes().len(), primaries.len()), (6, 3));
        for (number, primary) in primaries.iter().enumerate() {
            assert_eq!(
                cluster.replicas_of(primary),
                [cluster.nodes()[3 + number].clone()]
            );
        }
        for node in cluster.nodes() {
            assert_eq!(node.binary(), binary);
            let info = node.cli(["CLUSTER", "INFO"]);
            assert!(info.contains("cluster_state:ok"), "{info}");
            assert!(info.contains("cluster_known_nodes:6"), "{info}");
            assert_eq!(cluster.node(&node.address()).as_ref(), Some(&node));
            assert_eq!(cluster.node(node.id()), Some(node));
        }
        for key in ["a", "b", "{user}.1", ""] {
            let slot = slot_of(key);
            let said = cluster.nodes()[0].admin(["CLUSTER", "KEYSLOT", key]);
            assert_eq!(said.integer(), Some(i64::from(slot)), "{key}");
            cluster.owner_of_key(key).admin(["SET", key, "v"]);
            let others = primaries
                .iter()
                .filter(|node| **node != cluster.owner_of(slot));
            for other in others {
                let moved = format!("MOVED {slot} {}", cluster.owner_of(slot).address());
                assert_eq!(error(other.try_admin(["GET", key])), moved);
            }
        }
        assert_eq!(cluster.urls().len(), 6);
        assert!(cluster.url().starts_with(&format!(
            "redis+cluster://127.0.0.1:{},127",
            primaries[0].port()
        )));

        let node = cluster.nodes().pop().unwrap();
        drop(cluster);
        assert!(TcpStream::connect(node.address()).is_err());
        assert!(!node.is_running());
    });
}

#[test]
fn any_number_of_primaries_share_all_slots_also_one_alone_with_a_password() {
    on_each(|binary| {
        let builder = || Cluster::builder().binary(binary).password("s3 cret");
        let cluster = builder().primaries(1).replicas(1).start_or_panic();
        let primary = cluster.owner_of(0);
        assert_eq!(cluster.owner_of(SLOTS - 1), primary);
        assert!(cluster.url().starts_with("redis+cluster://:s3%20cret@127"));
        assert_eq!(cluster.url().matches(',').count(), 1);

        // One that has no majority to elect it takes over.
        let replica = &cluster.replicas_of(&primary)[0];
        primary.admin(["SET", "k", "v"]);
        primary.admin(["WAIT", "1", "10000"]);
        primary.kill();
        cluster.failover(replica, Failover::Takeover);
        assert_eq!(replica.cli(["GET", "k"]), "v");
        assert_eq!(cluster.owner_of_key("k"), *replica);
    });
}

#[test]
fn a_slot_moves_step_by_step_with_ask_and_tryagain_in_between() {
    on_each(|binary| {
        let cluster = Cluster::builder()
            .binary(binary)
            .password("s3cret")
            .replicas(1)
            .start_or_panic();
        let (one, other) = ("{tag}1", "{tag}2");
        let slot = slot_of(one);
        let source = cluster.owner_of(slot);
        let target = primary_other_than(&cluster, &source);
        source.admin(["MSET", one, "1", other, "2"]);

        let slot_move = cluster.begin_slot_move(slot, &target);
        assert_eq!(slot_move.source(), &source);
        slot_move.open();
        let ask = format!("ASK {slot} {}", target.address());
        assert_eq!(error(source.try_admin(["GET", "{tag}3"])), ask);
        assert_eq!(slot_move.move_keys(1), 1);
        assert!(error(source.try_admin(["MGET", one, other])).starts_with("TRYAGAIN"));
        assert_eq!(slot_move.move_keys(10), 1);
        assert_eq!(slot_move.move_keys(10), 0);
        slot_move.assign_at(&target);
        slot_move.finish();
        assert_eq!(target.cli(["MGET", one, other]), "1\n2");
        assert_eq!(cluster.owner_of(slot), target);
        assert!(error(source.try_admin(["GET", one])).starts_with("MOVED"));

        cluster.move_slot(slot, &source);
        assert_eq!(source.cli(["MGET", one, other]), "1\n2");
        cluster.move_slot(slot, &source); // is there

        let slot_move = cluster.begin_slot_move(slot, &target);
        slot_move.open();
        slot_move.give_up();
        cluster.await_agreement();
        assert_eq!(source.cli(["MGET", one, other]), "1\n2");
        assert_eq!(cluster.owner_of(slot), source);
    });
}

#[test]
fn slots_move_as_a_whole_where_the_servers_can_do_that() {
    on_each(|binary| {
        let cluster = Cluster::builder().binary(binary).start_or_panic();
        let source = cluster.owner_of_key("k");
        let target = primary_other_than(&cluster, &source);
        source.admin(["SET", "k", "v"]);
        assert_eq!(
            cluster.supports_atomic_migration(),
            binary.flavor == Flavor::Valkey && binary.version.major >= 9
        );
        if cluster.supports_atomic_migration() {
            // All slots of all three.
            cluster.move_slots_atomically(0..=SLOTS - 1, &target);
        } else {
            let slot = slot_of("k");
            cluster.move_slots(slot - 5..=slot + 5, &target);
        }
        assert_eq!(target.cli(["GET", "k"]), "v");
        eventually("the source has dropped the key", || {
            source.admin(["DBSIZE"]).integer() == Some(0)
        });
        // A primary without slots is a primary still.
        assert_eq!(cluster.primaries().len(), 3);
    });
}

#[test]
fn replicas_are_promoted_by_command_and_when_the_primary_is_killed() {
    on_each(|binary| {
        let cluster = Cluster::builder()
            .binary(binary)
            .replicas(1)
            .start_or_panic();
        let mut primary = cluster.owner_of_key("k");
        for how in [Failover::Graceful, Failover::Force, Failover::Takeover] {
            let replica = cluster.replicas_of(&primary).pop().unwrap();
            primary.admin(["SET", "k", format!("{how:?}").as_str()]);
            primary.admin(["WAIT", "1", "10000"]);
            cluster.failover(&replica, how);
            assert_eq!(cluster.owner_of_key("k"), replica);
            assert_eq!(cluster.replicas_of(&replica), [primary]);
            assert_eq!(replica.cli(["GET", "k"]), format!("{how:?}"));
            primary = replica;
        }

        let promoted = cluster.kill_and_fail_over(&primary);
        assert_eq!(cluster.owner_of_key("k"), promoted);
        assert_eq!(promoted.cli(["GET", "k"]), "Takeover");
        assert_eq!((cluster.primaries().len(), cluster.nodes().len()), (3, 6));

        primary.restart();
        cluster.await_agreement();
        assert_eq!(cluster.replicas_of(&promoted), from_ref(&primary));
        assert!(error(primary.try_admin(["GET", "k"])).starts_with("MOVED"));
    });
}

#[test]
fn a_primary_that_stands_still_is_replaced_and_then_follows() {
    on_each(|binary| {
        let cluster = Cluster::builder()
            .binary(binary)
            .replicas(1)
            .start_or_panic();
        let primary = cluster.owner_of(0);
        let replicas = cluster.replicas_of(&primary);
        let frozen = primary.freeze();
        assert!(primary.is_stopped() && primary.is_running());
        let promoted = cluster.await_promotion(&replicas);
        assert_eq!(cluster.owner_of(0), promoted);
        drop(frozen);
        assert!(!primary.is_stopped());
        cluster.await_agreement();
        assert_eq!(cluster.replicas_of(&promoted), [primary]);
    });
}

#[test]
fn nodes_come_and_go_and_change_sides() {
    on_each(|binary| {
        let cluster = Cluster::builder()
            .binary(binary)
            .primaries(2)
            .config("cluster-require-full-coverage", "no")
            .start_or_panic();
        let first = cluster.owner_of(0);

        let third = cluster.add_primary();
        cluster.move_slots(0..=9, &third);
        let replica = cluster.add_replica(&third);
        assert_eq!(cluster.replicas_of(&third), from_ref(&replica));
        cluster.replicate(&replica, &first);
        assert_eq!(cluster.replicas_of(&third), []);
        assert_eq!(cluster.replicas_of(&first), from_ref(&replica));
        cluster.replicate(&replica, &third);
        third.admin(["SET", "{3560}", "v"]); // slot 0
        assert_eq!(slot_of("{3560}"), 0);

        cluster.remove_node(&third);
        assert!(!third.is_running());
        assert_eq!((cluster.nodes().len(), cluster.primaries().len()), (3, 2));
        assert_eq!(cluster.owner_of(0).cli(["GET", "{3560}"]), "v");
        let primaries: BTreeSet<String> = cluster
            .primaries()
            .iter()
            .map(|node| node.id().to_owned())
            .collect();
        assert!(!primaries.contains(third.id()) && !primaries.contains(replica.id()));

        cluster.remove_node(&replica);
        assert_eq!(cluster.nodes().len(), 2);

        let owner = cluster.owner_of(100);
        cluster.delete_slots(100..=101);
        for node in cluster.nodes() {
            let info = node.cli(["CLUSTER", "INFO"]);
            assert!(info.contains("cluster_slots_assigned:16382"), "{info}");
        }
        let key = key_in(100);
        assert!(error(owner.try_admin(["GET", &key])).starts_with("CLUSTERDOWN"));
        let other = primary_other_than(&cluster, &owner);
        cluster.add_slots(100..=101, &other);
        assert_eq!(cluster.owner_of(101), other);
        assert_eq!(other.cli(["GET", &key]), "");

        let moved = || error(owner.try_admin(["GET", &key]));
        cluster.delete_slots_at(100..=100, &other);
        assert!(error(other.try_admin(["GET", &key])).starts_with("CLUSTERDOWN"));
        assert_eq!(moved(), format!("MOVED 100 {}", other.address()));
    });
}

fn key_in(slot: u16) -> String {
    let mut keys = (0..).map(|number| format!("key:{number}"));
    keys.find(|key| slot_of(key) == slot).unwrap()
}

#[cfg(target_os = "linux")]
#[test]
fn a_node_that_is_cut_off_serves_clients_until_it_notices_and_is_replaced() {
    on_each(|binary| {
        let cluster = Cluster::builder()
            .binary(binary)
            .replicas(1)
            .behind_proxies()
            .start_or_panic();
        let primary = cluster.owner_of_key("k");
        assert_ne!(primary.address(), primary.socket_address().to_string());
        let other = primary_other_than(&cluster, &primary);
        let moved = format!("MOVED {} {}", slot_of("k"), primary.address());
        assert_eq!(error(other.try_admin(["GET", "k"])), moved);
        let replicas = cluster.replicas_of(&primary);
        primary.admin(["SET", "k", "before"]);
        assert_eq!(primary.admin(["WAIT", "1", "10000"]).integer(), Some(1));

        cluster.cut_off(&primary);
        assert!(primary.is_cut_off() && primary.is_running());
        assert!(TcpStream::connect(primary.proxy().address()).is_ok());
        primary.admin(["SET", "k", "lost"]);
        let promoted = cluster.await_promotion(&replicas);
        assert_eq!(promoted.cli(["GET", "k"]), "before");
        assert_eq!(cluster.owner_of_key("k"), promoted);
        eventually("the primary has noticed", || {
            matches!(primary.try_admin(["GET", "k"]),
                Ok(AdminReply::Error(text)) if text.starts_with("CLUSTERDOWN"))
        });

        cluster.reconnect(&primary);
        assert_eq!(cluster.replicas_of(&promoted), from_ref(&primary));
        primary.admin(["READONLY"]);
        assert_eq!(primary.cli(["GET", "k"]), "before");
    });
}
