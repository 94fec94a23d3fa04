//! All keys of all nodes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tidings::{Commands, options::ScanOptions};
use tidings_testkit::{ClusterNode, Failover, slot_of};

use crate::faced::{Case, shared, with_replicas};
use crate::faces::cluster::ClusterClient;
use crate::{on_both_faces, on_own_clusters};

on_both_faces! {
    [cluster shared]
    all_keys_of_all_nodes_come_once_if_nothing_happens,
}

on_own_clusters! {
    [with_replicas]
    keys_come_wherever_they_go_meanwhile,
}

/// Makes `key:0`, `key:1`, …
async fn fill(client: &ClusterClient, prefix: &str, count: usize) -> BTreeSet<String> {
    let keys: BTreeSet<String> = (0..count).map(|n| format!("{prefix}:{n}")).collect();
    let pairs: Vec<(&String, i64)> = keys.iter().map(|key| (key, 1)).collect();
    client.mset(pairs).await.expect("they are set");
    keys
}

async fn all_keys_of_all_nodes_come_once_if_nothing_happens(case: Case) {
    let client = case.client().await;
    let prefix = format!("scan:{}", fastrand::u32(..));
    let keys = fill(&client, &prefix, 500).await;
    let options = ScanOptions::new().pattern(format!("{prefix}:*")).count(50);
    let all = client.scan::<String>(options).all().await;
    assert_eq!(all.len(), 500);
    assert_eq!(BTreeSet::from_iter(all), keys);
    client.del(keys).await.expect("they are deleted");
}

async fn keys_come_wherever_they_go_meanwhile(case: Case) {
    let client = case.client().await;
    let cluster = &case.cluster;
    let keys = fill(&client, "key", 600).await;
    let nodes = cluster.primaries();
    let owner_of = |key: &str| cluster.owner_of(slot_of(key));
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    let mut note = |key: String| *counts.entry(key).or_default() += 1;

    let mut scan = client.scan::<String>(ScanOptions::new().count(10));
    // The first node is gone over, and the second one has begun.
    let first = scan.next().await.expect("one").expect("no error");
    let first_node = owner_of(&first);
    note(first);
    let second_node: Arc<ClusterNode> = loop {
        let key = scan.next().await.expect("one").expect("no error");
        let owner = owner_of(&key);
        note(key);
        if owner != first_node {
            break owner;
        }
    };
    let third_node = nodes
        .iter()
        .find(|node| **node != first_node && **node != second_node)
        .expect("another");

    // Of the third one, which was not gone over, slots go to the first, which was. One stays on its way.
    let mut moving = keys.iter().filter(|key| owner_of(key) == *third_node);
    let (moved, opened) = (moving.next().expect("one"), moving.next().expect("one"));
    cluster.move_slot(slot_of(moved), &first_node);
    let on_its_way = cluster.begin_slot_move(slot_of(opened), &first_node);
    on_its_way.open();
    on_its_way.move_keys(100);
    // The second one fails over while it is gone over.
    let replica = cluster.replicas_of(&second_node).swap_remove(0);
    cluster.failover(&replica, Failover::Graceful);
    while let Some(key) = scan.next().await {
        note(key.expect("no error"));
    }
    let seen: BTreeSet<String> = counts.keys().cloned().collect();
    assert_eq!(seen, keys);
    let twice = counts.iter().filter(|(_, count)| **count > 1);
    let twice: Vec<&String> = twice.map(|(key, _)| key).collect();
    println!("{} of {} came more than once", twice.len(), keys.len());
    // Only those of what failed over, and of the slot that was on its way.
    for key in twice {
        let owner = owner_of(key);
        let is_second = cluster.replicas_of(&owner).contains(&second_node);
        assert!(is_second || slot_of(key) == slot_of(opened), "{key}");
    }
    on_its_way.finish();

    // A node is killed while it is gone over.
    let mut scan = client.scan::<String>(ScanOptions::new().count(10));
    let begun = scan.next().await.expect("one").expect("no error");
    let node = owner_of(&begun);
    // What was written just before need not be at its replica.
    crate::support::eventually("the replica has all", || {
        let waited = node.admin(["WAIT", "1", "100"]);
        waited.integer() == Some(1)
    })
    .await;
    node.kill();
    let mut seen: BTreeSet<String> = scan.all().await.into_iter().collect();
    seen.insert(begun);
    assert_eq!(seen, keys);
}
