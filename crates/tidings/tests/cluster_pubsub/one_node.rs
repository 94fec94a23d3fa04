//! Channels and patterns, which one node of a cluster brings: SPEC items CL-01, CL-02, CL-03.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tidings::{Bytes, Event, GapCause, Message};
use tidings_testkit::{Binary, Checker, Cluster, ClusterNode, Published, Publisher};

use crate::faced::{Case, primaries, shared};
use crate::faces::PubSub;
use crate::on_both_faces;
use crate::seeing::{Subscriber, await_count, await_replicas, count, count_at, is_primary};
use crate::support::{QUIET, SOON, assert_quiet, error, eventually, next, read};

on_both_faces! {
    [cluster shared]
    cl_01_it_has_channels_patterns_handlers_and_timeouts_as_on_one_server,
    cl_01_it_can_be_iterated_drained_and_closed_as_on_one_server,
    cl_01_each_reads_from_one_random_primary,
    cl_01_each_reconnect_goes_to_another_node,
    cl_01_a_node_that_is_fixed_is_kept_through_reconnects,
    cl_01_a_node_that_does_not_exist_is_named_beside_those_that_do,
    cl_02_replicas_are_read_from_if_the_client_or_the_builder_says_so,
    cl_03_a_message_published_through_any_node_arrives_once,
    cl_03_numbers_arrive_once_or_have_a_gap_while_the_node_changes,
    [cluster primaries]
    cl_01_a_node_that_leaves_is_left_and_waited_for_if_it_is_fixed,
    cl_02_a_primary_is_read_from_where_there_is_no_replica,
    [cluster pair]
    cl_02_the_only_replica_is_read_from_again,
}

/// One primary and its replica.
fn pair(binary: &Binary) -> Arc<Cluster> {
    let cluster = Cluster::builder().binary(binary).primaries(1).replicas(1);
    Arc::new(cluster.start_or_panic())
}

async fn cl_01_it_has_channels_patterns_handlers_and_timeouts_as_on_one_server(case: Case) {
    let client = case.client().await;
    let builder = client.pubsub().channels(["as:a", "as:b"]);
    let mut pubsub = builder.patterns("as:p*").await.expect("it opens");
    assert_eq!(
        read(&mut pubsub, 3).await,
        ["subscribe as:a 1", "subscribe as:b 2", "psubscribe as:p* 3"]
    );
    pubsub
        .subscribe(["as:c", "as:p1"])
        .await
        .expect("it subscribes");
    assert_eq!(
        read(&mut pubsub, 2).await,
        ["subscribe as:c 4", "subscribe as:p1 5"]
    );
    // One after the other: what two nodes were told has no order.
    client.publish("as:c", "one").await.expect("it publishes");
    assert_eq!(read(&mut pubsub, 1).await, ["message as:c one"]);
    client.publish("as:p1", "two").await.expect("it publishes");
    let both: BTreeSet<String> = read(&mut pubsub, 2).await.into_iter().collect();
    let expected = ["message as:p1 two", "pmessage as:p* as:p1 two"];
    assert_eq!(both, expected.map(str::to_owned).into());
    pubsub.ping().await.expect("the node answers");

    // A handler takes what comes.
    let (sender, handled) = std::sync::mpsc::channel();
    let handler = move |message: Message| drop(sender.send(message.text().into_owned()));
    pubsub
        .subscribe_with("as:h", handler)
        .await
        .expect("it subscribes");
    assert_eq!(read(&mut pubsub, 1).await, ["subscribe as:h 6"]);
    client.publish("as:h", "three").await.expect("it publishes");
    let until = Instant::now() + SOON;
    let handled = loop {
        assert!(Instant::now() < until);
        let event = pubsub.get_message(Duration::from_millis(20)).await;
        assert!(matches!(event, Ok(None)), "{event:?}");
        if let Ok(text) = handled.try_recv() {
            break text;
        }
    };
    assert_eq!(handled, "three");

    // Nothing comes, and that is no error.
    let begun = Instant::now();
    let event = pubsub.next_message(QUIET).await;
    assert!(matches!(event, Ok(None)), "{event:?}");
    assert!(begun.elapsed() >= QUIET);

    pubsub.unsubscribe("as:a").await.expect("it unsubscribes");
    pubsub.punsubscribe("as:p*").await.expect("it unsubscribes");
    assert_eq!(
        read(&mut pubsub, 2).await,
        ["unsubscribe as:a 5", "punsubscribe as:p* 4"]
    );
    client.publish("as:a", "no").await.expect("it publishes");
    client.publish("as:p2", "no").await.expect("it publishes");
    assert_quiet(&mut pubsub).await;
    assert_eq!(pubsub.channels(), ["as:b", "as:c", "as:p1", "as:h"]);
    assert!(pubsub.patterns().is_empty());
}

async fn cl_01_it_can_be_iterated_drained_and_closed_as_on_one_server(case: Case) {
    let client = case.client().await;
    let builder = client.pubsub().channels("ends").patterns("ends:*");
    let builder = builder.ignore_subscribe_messages(true).payload::<i64>();
    let mut pubsub = builder.await.expect("it opens");
    for n in 0..3 {
        client.publish("ends", n).await.expect("it publishes");
        let event = pubsub.next_item().await.expect("it goes on");
        let message = event.expect("a number").into_message().expect("a message");
        assert_eq!(*message.payload(), n);
    }
    client.publish("ends:x", "x").await.expect("it publishes");
    let undecodable = error(pubsub.next_item().await.expect("it goes on"));
    assert_eq!(undecodable.raw_payload(), Some(&Bytes::from("x")));
    pubsub.unsubscribe_all().await.expect("it unsubscribes");
    pubsub.punsubscribe_all().await.expect("it unsubscribes");
    assert!(pubsub.next_item().await.is_none());
    // It can be used again.
    let handle = pubsub.handle();
    handle.subscribe("ends").await.expect("it subscribes");
    assert!(handle.is_subscribed());
    await_count(&case.cluster, "NUMSUB", "ends", 1).await;
    pubsub.drain().await.expect("it drains");
    assert!(pubsub.next_item().await.is_none());
    await_count(&case.cluster, "NUMSUB", "ends", 0).await;

    let mut pubsub = client.pubsub().channels("ends").await.expect("it opens");
    assert_eq!(count(&case.cluster, "NUMSUB", "ends"), 1);
    pubsub.close().await.expect("it closes");
    assert_eq!(count(&case.cluster, "NUMSUB", "ends"), 0);
    let refused = error(pubsub.subscribe("ends").await);
    assert!(refused.is_misuse(), "{refused:?}");
    let dropped = client.pubsub().channels("ends").await.expect("it opens");
    drop(dropped);
    await_count(&case.cluster, "NUMSUB", "ends", 0).await;
}

async fn cl_01_each_reads_from_one_random_primary(case: Case) {
    /// So many that each of three is chosen by one of them, but for once in a million times.
    const MANY: usize = 40;
    const NAME: &str = "random";
    let client = case.client_with(case.config().client_name(NAME)).await;
    let mut all = Vec::new();
    for _ in 0..MANY {
        let builder = client.pubsub().channels("random");
        all.push(builder.await.expect("it opens"));
    }
    // Not by NUMSUB: Valkey 9.1 does not count 8, 15 and 16 right.
    let subscribers = Subscriber::named(&case.cluster, NAME);
    assert_eq!(subscribers.len(), MANY, "one connection each");
    let nodes = case.cluster.nodes().into_iter();
    let chosen: Vec<_> = nodes
        .filter(|node| subscribers.iter().any(|it| it.node == *node))
        .collect();
    assert_eq!(chosen, case.cluster.primaries());
    client.publish("random", "all").await.expect("it publishes");
    for pubsub in &mut all {
        assert_eq!(
            read(pubsub, 2).await,
            ["subscribe random 1", "message random all"]
        );
    }
}

async fn cl_01_each_reconnect_goes_to_another_node(case: Case) {
    const NAME: &str = "elsewhere";
    let client = case.client_with(case.config().client_name(NAME)).await;
    let builder = client.pubsub().channels(NAME).patterns("elsewhere:*");
    let mut pubsub = builder.await.expect("it opens");
    read(&mut pubsub, 2).await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    pubsub.on_gap({
        let seen = Arc::clone(&seen);
        move |gap| seen.lock().expect("no panic").push(gap.cause())
    });
    for round in 0..6 {
        let before = Subscriber::only(&case.cluster, NAME);
        before.kill();
        let mut told = read(&mut pubsub, 3).await;
        told.sort();
        assert_eq!(
            told,
            [
                "gap Disconnected",
                "psubscribe elsewhere:* 2",
                "subscribe elsewhere 1"
            ]
        );
        let after = Subscriber::only(&case.cluster, NAME);
        assert_ne!(before.node, after.node);
        client.publish(NAME, round).await.expect("it publishes");
        assert_eq!(
            read(&mut pubsub, 1).await,
            [format!("message elsewhere {round}")]
        );
    }
    assert_eq!(*seen.lock().expect("no panic"), [GapCause::Disconnected; 6]);
    assert_eq!(pubsub.stats().reconnects, 6);
}

async fn cl_01_a_node_that_is_fixed_is_kept_through_reconnects(case: Case) {
    const NAME: &str = "fixed";
    let client = case.client_with(case.config().client_name(NAME)).await;
    for node in case.cluster.nodes() {
        // One of its own for each: what was read at one node may still be on its way to the next one.
        let channel = format!("fixed:{}", node.port());
        let builder = client.pubsub().node(node.address()).channels(&channel);
        let builder = builder.ignore_subscribe_messages(true);
        let mut pubsub = builder.await.expect("it opens");
        for round in 0..2 {
            let subscriber = Subscriber::only(&case.cluster, NAME);
            assert_eq!(subscriber.node, node);
            // By itself, so that nothing is on its way when it comes back.
            node.admin(["PUBLISH", &channel, &round.to_string()]);
            assert_eq!(
                read(&mut pubsub, 1).await,
                [format!("message {channel} {round}")]
            );
            subscriber.kill();
            assert_eq!(read(&mut pubsub, 1).await, ["gap Disconnected"]);
        }
        assert_eq!(Subscriber::only(&case.cluster, NAME).node, node);
        pubsub.close().await.expect("it closes");
    }
}

async fn cl_01_a_node_that_does_not_exist_is_named_beside_those_that_do(case: Case) {
    let client = case.client().await;
    for wrong in ["127.0.0.1:1", "redis://127.0.0.1:1", "", "news"] {
        let refused = error(client.pubsub().node(wrong).channels("news").await);
        assert!(refused.is_misuse(), "{refused:?}");
        let text = refused.to_string();
        let begin = format!("no node of the cluster is at {wrong}: there are 127.0.0.1:");
        assert!(text.starts_with(&begin), "{text}");
        for node in case.cluster.nodes() {
            assert!(text.contains(&node.address()), "{text}");
        }
    }
}

/// Takes a node out of the cluster, but not away: it is still there, and hears of nothing any more. Its slots are nobody's.
fn take_out(cluster: &Cluster, node: &ClusterNode) {
    // With another name when it comes back: the others want nothing to do with the old one for a minute.
    node.admin(["CLUSTER", "RESET", "HARD"]);
    for other in cluster.nodes() {
        if *other != *node {
            other.admin(["CLUSTER", "FORGET", node.id()]);
        }
    }
}

async fn cl_01_a_node_that_leaves_is_left_and_waited_for_if_it_is_fixed(case: Case) {
    let cluster = &case.cluster;
    let config = case.config().topology_interval(Duration::from_millis(200));
    let nodes = cluster.nodes();
    let (leaving, others) = nodes.split_first().expect("three");
    let client = case.client_with(config.clone()).await;
    let builder = client.pubsub().node(leaving.address()).channels("left");
    let mut fixed = builder.await.expect("it opens");
    // One that happens to be there, and a light one.
    let until = Instant::now() + SOON;
    let mut pubsub = loop {
        assert!(Instant::now() < until);
        let pubsub = client.pubsub().channels("left").await.expect("it opens");
        if count_at(leaving, "NUMSUB", "left") == 2 {
            break pubsub;
        }
    };
    let (mut light, _its) = loop {
        assert!(Instant::now() < until);
        let client = case.client_with(config.clone()).await;
        let light = client.subscribe("left").await.expect("it subscribes");
        if count_at(leaving, "NUMSUB", "left") == 3 {
            break (light, client);
        }
    };
    for pubsub in [&mut fixed, &mut pubsub] {
        assert_eq!(read(pubsub, 1).await, ["subscribe left 1"]);
    }

    take_out(cluster, leaving);
    assert_eq!(read(&mut pubsub, 1).await, ["subscribe left 1"]);
    let gap = next(&mut pubsub).await;
    let gap = gap.gap().expect("a gap");
    assert_eq!(gap.cause(), GapCause::NodeLeft);
    assert_eq!(gap.names().collect::<Vec<_>>(), [b"left"]);
    assert_eq!(read(&mut light, 1).await, ["gap NodeLeft"]);
    assert_eq!(count_at(leaving, "NUMSUB", "left"), 0);
    for node in others {
        node.admin(["PUBLISH", "left", "after"]);
    }
    assert_eq!(read(&mut pubsub, 2).await, ["message left after"; 2]);
    assert_eq!(read(&mut light, 2).await, ["message left after"; 2]);
    assert_quiet(&mut pubsub).await;
    // What is fixed waits for the one, and says what for.
    assert_quiet(&mut fixed).await;
    eventually("an attempt has failed", || {
        let error = fixed.last_connect_error();
        error.is_some_and(|error| {
            error.to_string()
                == format!(
                    "the node at {} is no part of the cluster any more",
                    leaving.address()
                )
        })
    })
    .await;

    leaving.admin([
        "CLUSTER",
        "MEET",
        "127.0.0.1",
        &others[0].port().to_string(),
    ]);
    assert_eq!(
        read(&mut fixed, 2).await,
        ["subscribe left 1", "gap NodeLeft"]
    );
    assert_eq!(count_at(leaving, "NUMSUB", "left"), 1);
    leaving.admin(["PUBLISH", "left", "again"]);
    assert_eq!(read(&mut fixed, 1).await, ["message left again"]);
}

/// Whether those whose connections have this name are all at replicas, or all at primaries.
#[track_caller]
fn assert_all_at(cluster: &Cluster, name: &str, replicas: bool, count: usize) {
    let all = Subscriber::named(cluster, name);
    assert_eq!(all.len(), count, "{all:?}");
    for subscriber in &all {
        let is_replica = !is_primary(cluster, &subscriber.node);
        assert_eq!(is_replica, replicas, "{all:?}");
    }
}

async fn cl_02_replicas_are_read_from_if_the_client_or_the_builder_says_so(case: Case) {
    const NAME: &str = "replicas";
    await_replicas(&case.cluster).await;
    let config = case.config().client_name(NAME);
    let usual = case.client_with(config.clone()).await;
    let of_replicas = case.client_with(config.read_from_replicas(true)).await;
    for replicas in [true, false] {
        let mut all = Vec::new();
        for _ in 0..6 {
            let (by_client, other) = match replicas {
                true => (&of_replicas, &usual),
                false => (&usual, &of_replicas),
            };
            let by_client = by_client.pubsub().channels(NAME);
            let by_builder = other.pubsub().channels(NAME).read_from_replicas(replicas);
            for builder in [by_client, by_builder] {
                let builder = builder.ignore_subscribe_messages(true);
                all.push(builder.await.expect("it opens"));
            }
        }
        assert_all_at(&case.cluster, NAME, replicas, all.len());
        usual.publish(NAME, "hello").await.expect("it publishes");
        for pubsub in &mut all {
            assert_eq!(read(pubsub, 1).await, ["message replicas hello"]);
        }
        for subscriber in Subscriber::named(&case.cluster, NAME) {
            subscriber.kill();
        }
        for pubsub in &mut all {
            assert_eq!(read(pubsub, 1).await, ["gap Disconnected"]);
        }
        assert_all_at(&case.cluster, NAME, replicas, all.len());
        for mut pubsub in all {
            pubsub.close().await.expect("it closes");
        }
    }
}

async fn cl_02_a_primary_is_read_from_where_there_is_no_replica(case: Case) {
    const NAME: &str = "none";
    let config = case.config().client_name(NAME).read_from_replicas(true);
    let client = case.client_with(config).await;
    let mut pubsub = client.pubsub().channels(NAME).await.expect("it opens");
    read(&mut pubsub, 1).await;
    Subscriber::only(&case.cluster, NAME).kill();
    assert_eq!(
        read(&mut pubsub, 2).await,
        ["subscribe none 1", "gap Disconnected"]
    );
    client.publish(NAME, "hello").await.expect("it publishes");
    assert_eq!(read(&mut pubsub, 1).await, ["message none hello"]);
}

async fn cl_02_the_only_replica_is_read_from_again(case: Case) {
    const NAME: &str = "only";
    let cluster = &case.cluster;
    await_replicas(cluster).await;
    let config = case.config().client_name(NAME).read_from_replicas(true);
    let client = case.client_with(config).await;
    let replica = cluster.replicas_of(&cluster.primaries()[0]).swap_remove(0);
    let builder = client.pubsub().channels(NAME);
    let builder = builder.ignore_subscribe_messages(true);
    let mut pubsub = builder.await.expect("it opens");
    for _ in 0..3 {
        let subscriber = Subscriber::only(cluster, NAME);
        assert_eq!(subscriber.node, replica);
        subscriber.kill();
        assert_eq!(read(&mut pubsub, 1).await, ["gap Disconnected"]);
    }
    // A primary takes its place when it is gone.
    replica.kill();
    assert_eq!(read(&mut pubsub, 1).await, ["gap Disconnected"]);
    assert!(is_primary(cluster, &Subscriber::only(cluster, NAME).node));
}

async fn cl_03_a_message_published_through_any_node_arrives_once(case: Case) {
    let client = case.client().await;
    let builder = client.pubsub().channels("any").patterns("an[y]");
    let builder = builder.ignore_subscribe_messages(true);
    let mut pubsub = builder.await.expect("it opens");
    let nodes = case.cluster.nodes();
    for round in 0..3 {
        let mut expected = BTreeSet::new();
        for node in &nodes {
            let text = format!("{round} by {}", node.address());
            node.admin(["PUBLISH", "any", &text]);
            expected.insert(format!("message any {text}"));
            expected.insert(format!("pmessage an[y] any {text}"));
        }
        let told = read(&mut pubsub, expected.len()).await;
        assert_eq!(told.into_iter().collect::<BTreeSet<_>>(), expected);
    }
    assert_quiet(&mut pubsub).await;
}

/// A subscriber, and what it has seen of each channel.
struct Checked {
    pubsub: PubSub,
    name: &'static str,
    channels: BTreeMap<String, Checker>,
}

impl Checked {
    /// Reads one event. Gives whether it is a gap.
    async fn read(&mut self) -> bool {
        match next(&mut self.pubsub).await {
            Event::Message(message) => {
                let name = message.channel_str();
                let checker = self.channels.get_mut(&*name).expect("one of them");
                checker.on_payload(&*name, message.payload());
                false
            }
            Event::Gap(gap) => {
                assert_eq!(gap.cause(), GapCause::Disconnected);
                for (name, checker) in &mut self.channels {
                    checker.on_gap([name]);
                }
                true
            }
            other => panic!("{other:?}"),
        }
    }

    /// Reads so many more numbers of each channel.
    async fn read_more(&mut self, count: u64) {
        let highest = |checked: &Self| -> Vec<u64> {
            let channels = checked.channels.iter();
            channels
                .map(|(name, checker)| checker.highest(name))
                .collect()
        };
        let wanted: Vec<u64> = highest(self).iter().map(|last| last + count).collect();
        while highest(self)
            .iter()
            .zip(&wanted)
            .any(|(has, wanted)| has < wanted)
        {
            self.read().await;
        }
    }

    /// Has its connection broken, and reads to the gap.
    async fn suffer(&mut self, cluster: &Cluster) {
        let before = Subscriber::only(cluster, self.name);
        before.kill();
        while !self.read().await {}
        let after = Subscriber::only(cluster, self.name);
        assert_ne!(before.node, after.node);
    }

    async fn finish(mut self, published: &BTreeMap<String, Published>) {
        let has_all = |checked: &Self| {
            let mut channels = checked.channels.iter();
            channels.all(|(name, checker)| checker.has_reached(&published[name]))
        };
        while !has_all(&self) {
            self.read().await;
        }
        assert_quiet(&mut self.pubsub).await;
        for (name, checker) in self.channels {
            checker.finish(&published[&name]).assert_passed();
        }
    }
}

async fn cl_03_numbers_arrive_once_or_have_a_gap_while_the_node_changes(case: Case) {
    let nodes = case.cluster.nodes();
    let publishers = nodes.iter().enumerate().map(|(n, node)| {
        let channel = format!("numbers:{n}");
        let publisher = Publisher::to(node).channels([&channel]).rate(100);
        (channel, publisher)
    });
    let publishers: Vec<_> = publishers.collect();
    let names: Vec<String> = publishers.iter().map(|(name, _)| name.clone()).collect();
    let mut all = Vec::new();
    for name in ["by-channel", "by-pattern"] {
        let client = case.client_with(case.config().client_name(name)).await;
        let builder = client.pubsub().ignore_subscribe_messages(true);
        let builder = match name {
            "by-channel" => builder.channels(&names),
            _ => builder.patterns("numbers:?"),
        };
        all.push(Checked {
            pubsub: builder.await.expect("it opens"),
            name,
            channels: names
                .iter()
                .map(|name| (name.clone(), Checker::new()))
                .collect(),
        });
    }
    let publishers = publishers.into_iter();
    let publishers: Vec<_> = publishers
        .map(|(name, publisher)| (name, publisher.start()))
        .collect();
    for _ in 0..4 {
        for checked in &mut all {
            checked.read_more(5).await;
            checked.suffer(&case.cluster).await;
        }
    }
    for checked in &mut all {
        checked.read_more(5).await;
    }
    let published = publishers.into_iter();
    let published = published
        .map(|(name, publisher)| (name, publisher.stop()))
        .collect();
    for checked in all {
        checked.finish(&published).await;
    }
}
