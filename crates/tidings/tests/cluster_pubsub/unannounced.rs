//! Losses of which no server says a word: they are found when the cluster is asked how it is.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tidings::{Bytes, Config, GapCause, Sharded};
use tidings_testkit::{Cluster, ClusterNode, eventually, slot_of};

use crate::books::{Books, channels_of, listens_at};
use crate::faced::Case;
use crate::faces::PubSub;
use crate::lent::{lent, lent_behind_proxies};
use crate::on_both_faces;
use crate::support::Reads;

on_both_faces! {
    [cluster lent]
    sh_06_a_replica_that_follows_another_primary_is_left,
    sh_06_a_slot_that_was_taken_away_is_found_with_its_next_owner_by_who_reads_from_a_replica,
    sh_06_a_slot_that_was_taken_away_is_found_with_its_next_owner_by_who_reads_from_a_primary,
    sh_06_a_primary_that_stands_still_is_left_for_its_successor,
    [cluster lent_behind_proxies]
    sh_06_a_primary_that_others_have_replaced_and_that_answers_all_the_same_is_left,
}

/// How often the cluster is asked.
const INTERVAL: Duration = Duration::from_millis(500);

/// The promise: so long after the nodes agree at most.
const BOUND: Duration = INTERVAL.saturating_add(Duration::from_secs(1));

/// What a machine that has no time may take for questions, answers and connections.
const BUSY: Duration = Duration::from_millis(1_500);

/// No PING finds it out.
fn config(case: &Case) -> Config {
    let config = case.config().topology_interval(INTERVAL);
    config.ping_interval(Duration::from_secs(60))
}

/// A primary, its only replica, and another primary.
fn nodes(cluster: &Cluster) -> [Arc<ClusterNode>; 3] {
    let mut primaries = cluster.primaries();
    let primary = primaries.remove(0);
    let replica = cluster.replicas_of(&primary).remove(0);
    [primary, replica, primaries.remove(0)]
}

/// Waits until a channel is subscribed at this node, and a gap with this cause stands before that.
async fn assert_found(
    books: &mut Books,
    pubsub: &mut impl Reads,
    channel: &str,
    at: &ClusterNode,
    cause: GapCause,
) {
    let since = Instant::now();
    books
        .until(pubsub, "it is found", |books| {
            books.last_gap(channel).is_some() && listens_at(at, channel)
        })
        .await;
    let took = since.elapsed();
    println!("found after {took:?}: {:?}", books.gaps());
    assert!(took < BOUND + BUSY, "{took:?}");
    assert_eq!(books.last_gap(channel), Some(cause));
    at.admin(["SPUBLISH", channel, "again"]);
    books.until_heard(pubsub, channel, "again").await;
    books.assert_only_subscribed_again();
}

/// The names of all gaps.
fn gap_names(books: &Books) -> BTreeSet<String> {
    let names = books.gaps().into_iter().flat_map(|(_, names)| names);
    names.collect()
}

async fn sh_06_a_replica_that_follows_another_primary_is_left(case: Case) {
    let [primary, replica, other] = nodes(&case.cluster);
    let client = case.client_with(config(&case).read_from_replicas(true));
    let channel = channels_of(&case.cluster, &primary, None, 1).remove(0);
    let builder = client.await.sharded_pubsub().channels(&channel);
    let mut pubsub = builder.await.expect("it opens");
    let mut books = Books::new();
    books.begin(&mut pubsub, 1).await;
    assert!(listens_at(&replica, &channel));
    case.cluster.replicate(&replica, &other);
    assert_found(
        &mut books,
        &mut pubsub,
        &channel,
        &primary,
        GapCause::NodeLeft,
    )
    .await;
    drop(pubsub);
    case.cluster.replicate(&replica, &primary);
}

async fn sh_06_a_slot_that_was_taken_away_is_found_with_its_next_owner_by_who_reads_from_a_replica(
    case: Case,
) {
    is_found_with_its_next_owner(&case, true).await;
}

async fn sh_06_a_slot_that_was_taken_away_is_found_with_its_next_owner_by_who_reads_from_a_primary(
    case: Case,
) {
    is_found_with_its_next_owner(&case, false).await;
}

async fn is_found_with_its_next_owner(case: &Case, from_replicas: bool) {
    let cluster = &case.cluster;
    let [primary, replica, other] = nodes(cluster);
    let client = case.client_with(config(case).read_from_replicas(from_replicas));
    let channel = channels_of(cluster, &primary, None, 1).remove(0);
    let staying = channels_of(cluster, &primary, Some(slot_of(&channel)), 1).remove(0);
    let builder = client.await.sharded_pubsub().channels([&channel, &staying]);
    let mut pubsub = builder.await.expect("it opens");
    let mut books = Books::new();
    books.begin(&mut pubsub, 2).await;
    let owner = Arc::clone(&primary);
    let (from, to) = match from_replicas {
        true => (replica, cluster.replicas_of(&other).remove(0)),
        false => (primary, Arc::clone(&other)),
    };
    assert!(listens_at(&from, &channel));
    let slot = slot_of(&channel);
    let slot_text = slot.to_string();
    let owner_first = [Arc::clone(&owner)].into_iter().chain(cluster.nodes());
    for node in owner_first.filter(|node| !from_replicas || *node != from) {
        let _ = node.try_admin(["CLUSTER", "DELSLOTS", &slot_text]);
    }
    // A primary says so; no replica does, and it keeps the subscription.
    assert_eq!(listens_at(&from, &channel), from_replicas);
    assert_eq!(books.gaps(), []);
    cluster.add_slots(slot..=slot, &other);
    assert_found(&mut books, &mut pubsub, &channel, &to, GapCause::SlotMoved).await;
    if !gap_names(&books).contains(&staying) {
        assert_eq!(gap_names(&books), BTreeSet::from([channel.clone()]));
    } else {
        // The replica has heard of the next owner later than most others: its connection was left, with all that was on it.
        assert!(from_replicas);
    }
    let where_they_belong = |_: &Books| !listens_at(&from, &channel) && listens_at(&from, &staying);
    books
        .until(&mut pubsub, "what stays is there", where_they_belong)
        .await;
}

async fn sh_06_a_primary_that_stands_still_is_left_for_its_successor(case: Case) {
    let [primary, replica, _] = nodes(&case.cluster);
    let (mut pubsub, mut books, channel) = reading_at(&case, &primary).await;
    assert!(listens_at(&primary, &channel));
    let frozen = primary.freeze();
    take_over(&case.cluster, &primary, &replica);
    assert_found(
        &mut books,
        &mut pubsub,
        &channel,
        &replica,
        GapCause::Failover,
    )
    .await;
    drop(frozen);
    case.cluster.await_agreement();
    replica.admin(["SPUBLISH", &channel, "behind"]);
    books.until_heard(&mut pubsub, &channel, "behind").await;
}

/// A subscriber of a channel of this primary, and its name.
async fn reading_at(case: &Case, primary: &ClusterNode) -> (PubSub<Bytes, Sharded>, Books, String) {
    let client = case.client_with(config(case)).await;
    let channel = channels_of(&case.cluster, primary, None, 1).remove(0);
    let builder = client.sharded_pubsub().channels(&channel);
    let mut pubsub = builder.await.expect("it opens");
    let mut books = Books::new();
    books.begin(&mut pubsub, 1).await;
    (pubsub, books, channel)
}

/// Makes a replica the primary without asking anybody. Returns when all but the former one know.
fn take_over(cluster: &Cluster, former: &ClusterNode, replica: &ClusterNode) {
    replica.admin(["CLUSTER", "FAILOVER", "TAKEOVER"]);
    let knows = |node: &Arc<ClusterNode>| {
        let nodes = node.cli(["CLUSTER", "NODES"]);
        let mut lines = nodes.lines().filter(|line| line.starts_with(replica.id()));
        lines.any(|line| line.contains("master"))
    };
    eventually("all know of it", || {
        let nodes = cluster.nodes();
        nodes.iter().all(|node| **node == *former || knows(node))
    });
}

async fn sh_06_a_primary_that_others_have_replaced_and_that_answers_all_the_same_is_left(
    case: Case,
) {
    let [primary, replica, _] = nodes(&case.cluster);
    let (mut pubsub, mut books, channel) = reading_at(&case, &primary).await;
    case.cluster.cut_off(&primary);
    take_over(&case.cluster, &primary, &replica);
    pubsub.ping().await.expect("it answers");
    assert_found(
        &mut books,
        &mut pubsub,
        &channel,
        &replica,
        GapCause::Failover,
    )
    .await;
    case.cluster.reconnect(&primary);
    replica.admin(["SPUBLISH", &channel, "behind"]);
    books.until_heard(&mut pubsub, &channel, "behind").await;
}
