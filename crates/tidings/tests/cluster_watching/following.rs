//! Nodes that are promoted, killed, that join and leave, under a monitor and under keyspace events.

use std::collections::BTreeSet;
use std::sync::Arc;

use tidings::{Commands, GapCause, Notifications};
use tidings_testkit::{ClusterNode, Failover};

use crate::faced::{Case, with_replicas};
use crate::writing::{Shown, Writer, key_of, slot_apart};
use crate::{OFTEN, await_nodes, keyspace, monitor, on_own_clusters};

on_own_clusters! {
    [with_replicas]
    mo_03_nodes_are_followed_and_neither_commands_nor_events_are_missing_without_a_gap,
}

async fn mo_03_nodes_are_followed_and_neither_commands_nor_events_are_missing_without_a_gap(
    case: Case,
) {
    let config = case.config().topology_interval(OFTEN);
    let client = case.client_with(config).await;
    let mut monitor = client.monitor_of(false).await.expect("it opens");
    let builder = client.keyspace_events("*").operations("set");
    let builder = builder.notifications(Notifications::Enable);
    let mut events = builder.open().await.expect("it opens");
    let cluster = &case.cluster;
    let writer = Writer::start((*client).clone());
    let [first, second, third] = &cluster.primaries()[..] else {
        panic!("three")
    };
    let await_nodes = async |wanted: &[Arc<ClusterNode>]| {
        await_nodes(|| monitor.nodes(), wanted).await;
        await_nodes(|| events.nodes(), wanted).await;
    };

    // A replica is made the primary by command.
    let replica = cluster.replicas_of(first).swap_remove(0);
    cluster.failover(&replica, Failover::Graceful);
    let mut now = vec![Arc::clone(&replica), Arc::clone(second), Arc::clone(third)];
    await_nodes(&now).await;

    // A primary is killed, and its replica elected.
    let elected = cluster.kill_and_fail_over(second);
    now[1] = Arc::clone(&elected);
    await_nodes(&now).await;
    second.restart();

    // A node joins, and gets a slot. What is moved is written again at the target, so it is none that is counted.
    let joined = cluster.add_primary();
    now.push(Arc::clone(&joined));
    await_nodes(&now).await;
    cluster.move_slot(slot_apart(), &joined);
    let key = key_of(&joined, "joined");
    client.set(&key, 1).await.expect("it is set");

    // And leaves again.
    cluster.remove_node(&joined);
    now.pop();
    await_nodes(&now).await;

    let written = writer.stop().await;
    let mut marks = BTreeSet::new();
    for node in &now {
        let mark = key_of(node, "end");
        client.set(&mark, 1).await.expect("it is set");
        marks.insert(mark);
    }
    let expected = [
        (GapCause::Failover, replica.address()),
        (GapCause::Failover, elected.address()),
        (GapCause::NodeJoined, joined.address()),
        (GapCause::NodeLeft, joined.address()),
    ];
    let check = |shown: &Shown| {
        written.check(shown);
        let gaps = shown.gaps.iter();
        let gaps = gaps.map(|gap| (gap.cause(), gap.node().expect("of one").to_string()));
        assert_eq!(gaps.collect::<Vec<_>>(), expected);
    };
    check(&monitor::read_to_marks(&mut monitor, marks.clone()).await);
    check(&keyspace::read_to_marks(&mut events, marks).await);
}
