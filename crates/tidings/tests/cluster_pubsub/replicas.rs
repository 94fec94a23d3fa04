//! Shard channels that are read from replicas.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tidings::GapCause;
use tidings_testkit::{Cluster, ClusterNode};

use crate::books::{Books, await_listening, channels_of, listens_at};
use crate::faced::Case;
use crate::faces::PubSub;
use crate::lent::{await_replicas, lent};
use crate::on_both_faces;

on_both_faces! {
    [cluster lent]
    sh_04_a_client_that_is_told_so_reads_from_replicas,
    sh_04_a_builder_that_is_told_so_reads_from_replicas,
    sh_04_a_builder_that_is_told_otherwise_reads_from_primaries,
    sh_04_a_shard_without_a_replica_is_read_from_its_primary,
    sh_04_a_replica_that_dies_is_replaced_by_another_one,
    sh_04_the_only_replica_that_dies_is_replaced_by_its_primary_until_it_is_back,
}

/// A primary, its only replica, and a channel of theirs.
type Shard = (Arc<ClusterNode>, Arc<ClusterNode>, String);

fn shards(cluster: &Cluster) -> Vec<Shard> {
    let shard = |primary: Arc<ClusterNode>| {
        let replica = cluster.replicas_of(&primary).remove(0);
        let channel = channels_of(cluster, &primary, None, 1).remove(0);
        (primary, replica, channel)
    };
    cluster.primaries().into_iter().map(shard).collect()
}

fn names(shards: &[Shard]) -> Vec<&String> {
    shards.iter().map(|(_, _, channel)| channel).collect()
}

/// All messages come, and only these nodes have the subscriptions.
async fn assert_read_from(
    case: &Case,
    pubsub: &mut PubSub<tidings::Bytes, tidings::Sharded>,
    shards: &[Shard],
    from_replicas: bool,
) {
    let mut books = Books::new();
    books.begin(pubsub, shards.len()).await;
    for (primary, replica, channel) in shards {
        let subscribed = |node: &ClusterNode| {
            let channels = node.cli(["PUBSUB", "SHARDCHANNELS"]);
            channels.lines().any(|line| line == channel)
        };
        let found = (subscribed(primary), subscribed(replica));
        assert_eq!(found, (!from_replicas, from_replicas), "{channel}");
        primary.admin(["SPUBLISH", channel, "hello"]);
        books.until_heard(pubsub, channel, "hello").await;
    }
    assert_eq!(books.gaps(), []);
    drop(case.client().await);
}

async fn sh_04_a_client_that_is_told_so_reads_from_replicas(case: Case) {
    let client = case.client_with(case.config().read_from_replicas(true));
    let shards = shards(&case.cluster);
    let builder = client.await.sharded_pubsub().channels(names(&shards));
    let mut pubsub = builder.await.expect("it opens");
    assert_read_from(&case, &mut pubsub, &shards, true).await;
}

async fn sh_04_a_builder_that_is_told_so_reads_from_replicas(case: Case) {
    let shards = shards(&case.cluster);
    let builder = case.client().await.sharded_pubsub();
    let builder = builder.channels(names(&shards)).read_from_replicas(true);
    let mut pubsub = builder.await.expect("it opens");
    assert_read_from(&case, &mut pubsub, &shards, true).await;
}

async fn sh_04_a_builder_that_is_told_otherwise_reads_from_primaries(case: Case) {
    let client = case.client_with(case.config().read_from_replicas(true));
    let shards = shards(&case.cluster);
    let builder = client.await.sharded_pubsub();
    let builder = builder.channels(names(&shards)).read_from_replicas(false);
    let mut pubsub = builder.await.expect("it opens");
    assert_read_from(&case, &mut pubsub, &shards, false).await;
}

async fn sh_04_a_shard_without_a_replica_is_read_from_its_primary(case: Case) {
    let shards = shards(&case.cluster);
    let [(bare, gone, of_bare), (_, _, of_others), ..] = &shards[..] else {
        panic!("three shards")
    };
    case.cluster.replicate(gone, &shards[1].0);
    let client = case.client_with(case.config().read_from_replicas(true));
    let builder = client.await.sharded_pubsub().channels(names(&shards));
    let mut pubsub = builder.await.expect("it opens");
    let mut books = Books::new();
    books.begin(&mut pubsub, shards.len()).await;
    assert!(listens_at(bare, of_bare));
    // The other one has two, of which one is read from.
    assert!(listens_at(gone, of_others) != listens_at(&shards[1].1, of_others));
    for channel in [of_bare, of_others] {
        let owner = case.cluster.owner_of_key(channel);
        owner.admin(["SPUBLISH", channel, "hello"]);
        books.until_heard(&mut pubsub, channel, "hello").await;
    }
    assert_eq!(books.gaps(), []);
    drop(pubsub);
    case.cluster.replicate(gone, bare);
}

async fn sh_04_a_replica_that_dies_is_replaced_by_another_one(case: Case) {
    let shards = shards(&case.cluster);
    let [(bare, second, _), (primary, first, channel), ..] = &shards[..] else {
        panic!("three shards")
    };
    case.cluster.replicate(second, primary);
    await_replicas(&case.cluster);
    let client = case.client_with(case.config().read_from_replicas(true));
    let builder = client.await.sharded_pubsub().channels(channel);
    let mut pubsub = builder.await.expect("it opens");
    let mut books = Books::new();
    books.begin(&mut pubsub, 1).await;
    let (dies, lives) = match listens_at(first, channel) {
        true => (first, second),
        false => (second, first),
    };
    assert!(listens_at(dies, channel));
    dies.kill();
    let there = {
        let (lives, channel) = (Arc::clone(lives), channel.clone());
        thread::spawn(move || await_listening(&lives, &channel))
    };
    books.while_nodes_are_gone(&mut pubsub, there).await;
    primary.admin(["SPUBLISH", channel, "hello"]);
    books.until_heard(&mut pubsub, channel, "hello").await;
    let lost = (GapCause::Disconnected, vec![channel.clone()]);
    assert_eq!(books.gaps(), [lost]);
    books.assert_only_subscribed_again();
    drop(pubsub);
    dies.restart();
    case.cluster.await_agreement();
    case.cluster.replicate(second, bare);
}

async fn sh_04_the_only_replica_that_dies_is_replaced_by_its_primary_until_it_is_back(case: Case) {
    let shards = shards(&case.cluster);
    let [(primary, replica, channel), ..] = &shards[..] else {
        panic!("three shards")
    };
    let config = case.config().read_from_replicas(true);
    let config = config.topology_interval(Duration::from_millis(300));
    let client = case.client_with(config).await;
    let builder = client.sharded_pubsub().channels(channel);
    let mut pubsub = builder.await.expect("it opens");
    let mut books = Books::new();
    books.begin(&mut pubsub, 1).await;
    assert!(listens_at(replica, channel));
    replica.kill();
    books
        .until(&mut pubsub, "its primary is read from", |_| {
            listens_at(primary, channel)
        })
        .await;
    primary.admin(["SPUBLISH", channel, "meanwhile"]);
    books.until_heard(&mut pubsub, channel, "meanwhile").await;
    assert_eq!(books.last_gap(channel), Some(GapCause::Disconnected));
    replica.restart();
    books
        .until(&mut pubsub, "it is read from again", |_| {
            listens_at(replica, channel) && !listens_at(primary, channel)
        })
        .await;
    books
        .until(&mut pubsub, "that is told", |books| {
            books.last_gap(channel) == Some(GapCause::Relocated)
        })
        .await;
    books.assert_only_subscribed_again();
    // What is published at the primary comes to the replica when they have found each other.
    case.cluster.await_agreement();
    primary.admin(["SPUBLISH", channel, "behind"]);
    books.until_heard(&mut pubsub, channel, "behind").await;
}
