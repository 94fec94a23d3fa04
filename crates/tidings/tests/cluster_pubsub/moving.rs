//! Slots that move while their shard channels are subscribed, and nodes that come and go.

use std::slice;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tidings::{Bytes, Commands, GapCause, Sharded};
use tidings_testkit::{Cluster, ClusterNode, Publisher, slot_of};

use crate::books::{Books, await_listening, await_sunsubscribe, channels_of, fresh, listens_at};
use crate::faced::Case;
use crate::faces::PubSub;
use crate::lent::lent;
use crate::on_both_faces;

on_both_faces! {
    [cluster lent]
    sh_05_a_slot_that_is_moved_step_by_step_takes_its_channels_along_and_no_others,
    sh_05_a_slot_that_is_moved_as_a_whole_takes_its_channels_along_and_no_others,
    sh_05_a_slot_is_followed_from_replica_to_replica,
    sh_05_a_slot_that_comes_back_at_once_is_heard_again,
    sh_05_a_channel_whose_slot_is_on_its_way_is_subscribed,
    sh_05_a_channel_that_both_ends_of_a_move_send_to_each_other_is_subscribed_when_they_agree,
    sh_05_a_node_that_joins_takes_slots_and_leaves_again_is_followed_both_times,
}

/// The promise: so long after the server's word at most.
const A_SECOND: Duration = Duration::from_secs(1);

/// How a slot goes to another node.
type Way = fn(&Cluster, u16, &ClusterNode);

fn step_by_step(cluster: &Cluster, slot: u16, to: &ClusterNode) {
    cluster.move_slot(slot, to);
}

fn as_a_whole(cluster: &Cluster, slot: u16, to: &ClusterNode) {
    cluster.move_slots_atomically(slot..=slot, to);
}

async fn sh_05_a_slot_that_is_moved_step_by_step_takes_its_channels_along_and_no_others(
    case: Case,
) {
    is_followed(&case, step_by_step, false).await;
}

async fn sh_05_a_slot_that_is_moved_as_a_whole_takes_its_channels_along_and_no_others(case: Case) {
    if case.cluster.supports_atomic_migration() {
        is_followed(&case, as_a_whole, false).await;
    }
}

async fn sh_05_a_slot_is_followed_from_replica_to_replica(case: Case) {
    is_followed(&case, step_by_step, true).await;
}

/// Who has a slot, another primary, and the third.
fn ends(cluster: &Cluster, slot: u16) -> [Arc<ClusterNode>; 3] {
    let source = cluster.owner_of(slot);
    let mut others = cluster.primaries();
    others.retain(|node| *node != source);
    let [target, third] = <[_; 2]>::try_from(others).expect("three primaries");
    [source, target, third]
}

async fn is_followed(case: &Case, way: Way, from_replicas: bool) {
    let config = case.config().read_from_replicas(from_replicas);
    let client = case.client_with(config).await;
    let cluster = &case.cluster;
    let tag = fresh("moves");
    let moving = ["handled", "read"].map(|name| format!("{{{tag}}}:{name}"));
    let slot = slot_of(&tag);
    let ends = ends(cluster, slot);
    let staying = ends
        .iter()
        .flat_map(|node| channels_of(cluster, node, Some(slot), 1));
    let staying: Vec<String> = staying.collect();
    let [source, target, _] = ends;
    let reader_of = |node: &Arc<ClusterNode>| match from_replicas {
        true => cluster.replicas_of(node).remove(0),
        false => Arc::clone(node),
    };

    let mut books = Books::new();
    let builder = client.sharded_pubsub().channels(&staying);
    let mut pubsub = builder.channels(&moving[1]).await.expect("it opens");
    let handled = pubsub.subscribe_with(&moving[0], books.handler()).await;
    handled.expect("it subscribes");
    books.begin(&mut pubsub, staying.len() + 2).await;
    let all: Vec<&String> = moving.iter().chain(&staying).collect();
    let publisher = Publisher::to_cluster(cluster).channels(&all);
    let publisher = publisher.rate(800).start();
    books.catch_up(&mut pubsub, &publisher).await;

    // A command that waits at the node that the slot leaves.
    let key = &staying[0];
    let waiting = {
        let (client, key) = (tidings::ClusterClient::clone(&client), key.clone());
        tokio::spawn(async move { client.blpop::<(String, String), _>(key, LONG).await })
    };
    let told = await_sunsubscribe(&reader_of(&source), &moving[1]);
    let (reader, channel) = (reader_of(&target), moving[1].clone());
    let there = thread::spawn(move || await_listening(&reader, &channel));
    let changing = {
        let (cluster, target) = (Arc::clone(cluster), Arc::clone(&target));
        thread::spawn(move || way(&cluster, slot, &target))
    };
    books.meanwhile(&mut pubsub, changing).await;
    let told = books.meanwhile(&mut pubsub, told).await;
    let there = books.meanwhile(&mut pubsub, there).await;
    let took = there.saturating_duration_since(told);
    println!("subscribed again after {took:?}");
    assert!(took < A_SECOND, "{took:?}");
    books.catch_up(&mut pubsub, &publisher).await;
    client.rpush(key, "there").await.expect("it is pushed");
    let popped = waiting
        .await
        .expect("no panic")
        .expect("it was not disturbed");
    assert_eq!(popped, (key.clone(), "there".to_owned()));

    books.close(&mut pubsub, &publisher.stop()).await;
    assert_eq!(books.gaps(), [(GapCause::SlotMoved, moving.to_vec())]);
    for channel in &moving {
        assert!(listens_at(&reader_of(&target), channel), "{channel}");
    }
}

/// For what waits until it is woken.
const LONG: Duration = Duration::from_secs(60);

/// A subscriber of these channels, to which so many messages a second come.
async fn published_to(
    case: &Case,
    channels: &[String],
    rate: u32,
) -> (PubSub<Bytes, Sharded>, Books, Publisher) {
    let client = case.client().await;
    let builder = client.sharded_pubsub().channels(channels);
    let mut pubsub = builder.await.expect("it opens");
    let mut books = Books::new();
    books.begin(&mut pubsub, channels.len()).await;
    let publisher = Publisher::to_cluster(&case.cluster).channels(channels);
    let publisher = publisher.rate(rate).start();
    books.catch_up(&mut pubsub, &publisher).await;
    (pubsub, books, publisher)
}

async fn sh_05_a_slot_that_comes_back_at_once_is_heard_again(case: Case) {
    let cluster = &case.cluster;
    let channel = &fresh("back");
    let slot = slot_of(channel);
    let [source, target, _] = ends(cluster, slot);
    let staying = channels_of(cluster, &source, Some(slot), 1);
    let channels = [&staying[..], slice::from_ref(channel)].concat();
    let (mut pubsub, mut books, publisher) = published_to(&case, &channels, 800).await;
    let changing = {
        let (cluster, ends) = (Arc::clone(cluster), [target, Arc::clone(&source)]);
        thread::spawn(move || {
            for to in ends.iter().cycle().take(6) {
                cluster.move_slot(slot, to);
            }
        })
    };
    books.meanwhile(&mut pubsub, changing).await;
    books.catch_up(&mut pubsub, &publisher).await;
    books.close(&mut pubsub, &publisher.stop()).await;
    println!("{:?}", books.gaps());
    assert!(!books.gaps().is_empty());
    for (cause, names) in books.gaps() {
        assert_eq!(names, slice::from_ref(channel));
        // Whoever comes to ask only when the slot is back is told by the same node as after a failover.
        assert!(matches!(cause, GapCause::SlotMoved | GapCause::Failover));
    }
    assert!(listens_at(&source, channel));
}

async fn sh_05_a_channel_whose_slot_is_on_its_way_is_subscribed(case: Case) {
    let client = case.client().await;
    let channel = &fresh("way");
    let [source, target, _] = ends(&case.cluster, slot_of(channel));
    let mut books = Books::new();
    let mut pubsub = client.sharded_pubsub().await.expect("it opens");
    let slot_move = case.cluster.begin_slot_move(slot_of(channel), &target);
    slot_move.open();
    pubsub.subscribe(channel).await.expect("it subscribes");
    books.begin(&mut pubsub, 1).await;
    assert!(listens_at(&source, channel));
    client
        .spublish(channel, "before")
        .await
        .expect("it is published");
    books.until_heard(&mut pubsub, channel, "before").await;
    slot_move.finish();
    books
        .until(&mut pubsub, "it has moved", |books| {
            books.last_gap(channel).is_some()
        })
        .await;
    client
        .spublish(channel, "behind")
        .await
        .expect("it is published");
    books.until_heard(&mut pubsub, channel, "behind").await;
    let moved = (GapCause::SlotMoved, vec![channel.clone()]);
    assert_eq!(books.gaps(), [moved]);
    books.assert_only_subscribed_again();
    assert!(listens_at(&target, channel));
}

async fn sh_05_a_channel_that_both_ends_of_a_move_send_to_each_other_is_subscribed_when_they_agree(
    case: Case,
) {
    let client = case.client().await;
    let channel = &fresh("loop");
    let slot = slot_of(channel);
    let [source, target, _] = ends(&case.cluster, slot);
    let mut books = Books::new();
    let mut pubsub = client.sharded_pubsub().await.expect("it opens");
    let changing = {
        let cluster = Arc::clone(&case.cluster);
        let slot_move = cluster.begin_slot_move(slot, &target);
        slot_move.open();
        // The wrong one first: now each names the other, but on Valkey 9, where the target follows at once.
        slot_move.assign_at(&source);
        source.admin(["CONFIG", "RESETSTAT"]);
        let (cluster, source, target) = (Arc::clone(&cluster), Arc::clone(&source), target.clone());
        thread::spawn(move || {
            let until = Instant::now() + A_SECOND;
            while refusals(&source) < 3 && Instant::now() < until {
                thread::sleep(Duration::from_millis(1));
            }
            target.admin(["CLUSTER", "SETSLOT", &slot.to_string(), "NODE", target.id()]);
            cluster.await_agreement();
        })
    };
    pubsub.subscribe(channel).await.expect("it subscribes");
    books.begin(&mut pubsub, 1).await;
    books.meanwhile(&mut pubsub, changing).await;
    println!("refused {} times", refusals(&source));
    await_listening(&target, channel);
    client
        .spublish(channel, "there")
        .await
        .expect("it is published");
    books.until_heard(&mut pubsub, channel, "there").await;
    books.assert_only_subscribed_again();
}

/// How many subscriptions a node has refused since its figures were reset.
fn refusals(node: &ClusterNode) -> u64 {
    let stats = node.cli(["INFO", "commandstats"]);
    let mut lines = stats.lines();
    let line = lines.find(|line| line.starts_with("cmdstat_ssubscribe:"));
    let count = line.and_then(|line| {
        let (_, rest) = line.split_once("rejected_calls=")?;
        rest.split(',').next()?.parse().ok()
    });
    count.unwrap_or_default()
}

async fn sh_05_a_node_that_joins_takes_slots_and_leaves_again_is_followed_both_times(case: Case) {
    let cluster = &case.cluster;
    let channel = &fresh("newcomer");
    let slot = slot_of(channel);
    let [source, ..] = ends(cluster, slot);
    let staying = channels_of(cluster, &source, Some(slot), 1);
    let channels = [&staying[..], slice::from_ref(channel)].concat();
    let (mut pubsub, mut books, publisher) = published_to(&case, &channels, 400).await;

    let joining = {
        let cluster = Arc::clone(cluster);
        thread::spawn(move || {
            let newcomer = cluster.add_primary();
            cluster.move_slot(slot, &newcomer);
            newcomer
        })
    };
    let newcomer = books.meanwhile(&mut pubsub, joining).await;
    books.catch_up(&mut pubsub, &publisher).await;
    assert!(listens_at(&newcomer, channel));
    let moved = (GapCause::SlotMoved, vec![channel.clone()]);
    assert_eq!(books.gaps(), [moved]);

    let leaving = {
        let (cluster, newcomer) = (Arc::clone(cluster), Arc::clone(&newcomer));
        thread::spawn(move || cluster.remove_node(&newcomer))
    };
    books.while_nodes_are_gone(&mut pubsub, leaving).await;
    books.catch_up(&mut pubsub, &publisher).await;
    books.close(&mut pubsub, &publisher.stop()).await;
    assert!(listens_at(&cluster.owner_of(slot), channel));
    println!("{:?}", books.gaps());
    let [_, (cause, names)] = &books.gaps()[..] else {
        panic!("{:?}", books.gaps())
    };
    assert_eq!(names, slice::from_ref(channel));
    assert!(
        matches!(cause, GapCause::SlotMoved | GapCause::NodeLeft),
        "{cause:?}"
    );
}
