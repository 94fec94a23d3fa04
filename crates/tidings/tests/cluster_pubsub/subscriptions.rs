//! Light subscribers of a cluster, and receivers: SPEC items SB and RX as far as a cluster makes a difference, SH-05.

use std::collections::{BTreeMap, BTreeSet};
use std::future::IntoFuture;
use std::time::Duration;

use tidings::{Event, GapCause, Received, SubscriptionKind};
use tidings_testkit::slot_of;

use crate::faced::{Case, primaries, shared};
use crate::faces::receiver::Receiver;
use crate::faces::subscription::Subscription;
use crate::on_both_faces;
use crate::seeing::{Subscriber, await_count, await_replicas, count, is_primary};
use crate::support::{
    QUIET, SOON, assert_ended, assert_quiet, error, eventually, next, read, short,
};

on_both_faces! {
    [cluster shared]
    sb_01_each_has_what_it_asked_for,
    sb_01_thousands_of_shard_channels_need_one_connection_to_each_node,
    sb_02_the_last_that_is_dropped_unsubscribes_at_the_server,
    qu_02_who_does_not_read_holds_up_nobody,
    cl_02_they_are_read_from_replicas_if_the_client_says_so,
    rx_01_a_receiver_has_channels_patterns_and_shard_channels_of_a_cluster,
    rx_06_a_receiver_ends_with_the_last_sender_of_a_cluster,
    [cluster primaries]
    sh_05_a_slot_that_moves_is_a_gap_for_those_whose_channels_it_has_and_for_nobody_else,
}

async fn sb_01_each_has_what_it_asked_for(case: Case) {
    let client = case.client().await;
    let mut channel = client.subscribe("asked:a").await.expect("it subscribes");
    let several = client.subscribe(["asked:a", "asked:b"]);
    let mut several = several.await.expect("it subscribes");
    let mut pattern = client.psubscribe("asked:?").await.expect("it subscribes");
    // Their slots are on several nodes.
    let shards: Vec<String> = (0..12).map(|n| format!("asked:{n}")).collect();
    let mut shard = client.ssubscribe("asked:a").await.expect("it subscribes");
    let mut all = client.ssubscribe(&shards).await.expect("it subscribes");
    for (subscription, kind, names) in [
        (&channel, SubscriptionKind::Channel, 1),
        (&pattern, SubscriptionKind::Pattern, 1),
        (&several, SubscriptionKind::Channel, 2),
        (&shard, SubscriptionKind::Shard, 1),
        (&all, SubscriptionKind::Shard, 12),
    ] {
        assert_eq!(subscription.kind(), kind);
        assert_eq!(subscription.names().len(), names);
    }
    client
        .publish("asked:a", "one")
        .await
        .expect("it publishes");
    for subscription in [&mut channel, &mut several] {
        assert_eq!(read(subscription, 1).await, ["message asked:a one"]);
    }
    assert_eq!(
        read(&mut pattern, 1).await,
        ["pmessage asked:? asked:a one"]
    );
    client
        .publish("asked:b", "two")
        .await
        .expect("it publishes");
    assert_eq!(read(&mut several, 1).await, ["message asked:b two"]);
    assert_eq!(
        read(&mut pattern, 1).await,
        ["pmessage asked:? asked:b two"]
    );
    let reached = client.spublish("asked:a", "three").await;
    assert_eq!(reached.expect("it publishes"), 1);
    assert_eq!(read(&mut shard, 1).await, ["smessage asked:a three"]);
    for name in &shards {
        client.spublish(name, "four").await.expect("it publishes");
    }
    let told: BTreeSet<String> = read(&mut all, 12).await.into_iter().collect();
    let expected = shards.iter().map(|name| format!("smessage {name} four"));
    assert_eq!(told, expected.collect());
    for subscription in [
        &mut channel,
        &mut several,
        &mut pattern,
        &mut shard,
        &mut all,
    ] {
        assert_quiet(subscription).await;
    }

    // Drained, it gives what has come before, and ends.
    client
        .spublish(&shards[3], "five")
        .await
        .expect("it publishes");
    all.drain().await.expect("it drains");
    assert_eq!(
        read(&mut all, 1).await,
        [format!("smessage {} five", shards[3])]
    );
    assert_ended(&mut all).await;
    let refused = error(client.ssubscribe(Vec::<String>::new()).await);
    assert!(refused.is_misuse(), "{refused:?}");
}

async fn sb_01_thousands_of_shard_channels_need_one_connection_to_each_node(case: Case) {
    const MANY: usize = 2000;
    const NAME: &str = "many-light";
    let client = case.client_with(case.config().client_name(NAME)).await;
    let name = |n: usize| format!("light:{n}");
    let mut all = Vec::new();
    for n in 0..MANY {
        let subscription = client.ssubscribe(name(n)).await;
        all.push(subscription.expect("it subscribes"));
    }
    let subscribers = Subscriber::named(&case.cluster, NAME);
    let nodes: BTreeSet<_> = subscribers.iter().map(|it| it.node.port()).collect();
    let primaries = case.cluster.primaries();
    assert_eq!(nodes, primaries.iter().map(|node| node.port()).collect());
    assert_eq!(subscribers.len(), 3, "{subscribers:?}");
    let known = || {
        let channels = primaries.iter().map(|node| {
            let channels = node.admin(["PUBSUB", "SHARDCHANNELS", "light:*"]);
            channels.elements().len()
        });
        channels.sum::<usize>()
    };
    assert_eq!(known(), MANY);
    for n in 0..MANY {
        let reached = client.spublish(name(n), n).await;
        assert_eq!(reached.expect("it publishes"), 1);
    }
    for (n, subscription) in all.iter_mut().enumerate() {
        assert_eq!(
            read(subscription, 1).await,
            [format!("smessage light:{n} {n}")]
        );
    }
    for subscription in &mut all {
        let more = subscription.get_message(Duration::ZERO).await;
        assert!(matches!(more, Ok(None)), "{more:?}");
    }
    drop(all);
    eventually("all are unsubscribed", || known() == 0).await;
}

async fn sb_02_the_last_that_is_dropped_unsubscribes_at_the_server(case: Case) {
    let cluster = &case.cluster;
    // Nothing happens by itself that would help somebody who was forgotten.
    let never = Duration::from_secs(600);
    let config = case.config().ping_interval(never);
    let client = case.client_with(config.topology_interval(never)).await;
    for (kind, command) in [
        (SubscriptionKind::Channel, "NUMSUB"),
        (SubscriptionKind::Shard, "SHARDNUMSUB"),
    ] {
        let subscribe = async || {
            let subscribing = match kind {
                SubscriptionKind::Channel => client.subscribe(["dropped", "kept"]),
                _ => client.ssubscribe(["dropped", "kept"]),
            };
            let subscribed = tokio::time::timeout(SOON, subscribing.into_future()).await;
            subscribed.expect("in time").expect("it subscribes")
        };
        let mut all = Vec::new();
        for _ in 0..5 {
            all.push(subscribe().await);
        }
        let kept = match kind {
            SubscriptionKind::Channel => client.subscribe("kept"),
            _ => client.ssubscribe("kept"),
        };
        let kept = kept.await.expect("it subscribes");
        assert_eq!(count(cluster, command, "dropped"), 1);
        while all.len() > 1 {
            drop(all.pop());
            assert_eq!(count(cluster, command, "dropped"), 1);
        }
        // Behind all that was asked for before.
        drop(subscribe().await);
        assert_eq!(count(cluster, command, "dropped"), 1);
        drop(all);
        await_count(cluster, command, "dropped", 0).await;
        assert_eq!(count(cluster, command, "kept"), 1);
        drop(kept);
        await_count(cluster, command, "kept", 0).await;
    }
    // Of patterns a server tells only how many there are, and others have some.
    let client = case
        .client_with(case.config().client_name("dropping"))
        .await;
    let one = client.psubscribe("dropped:*").await.expect("it subscribes");
    let other = client.psubscribe("dropped:*").await.expect("it subscribes");
    let is_there = || !Subscriber::named(cluster, "dropping").is_empty();
    drop(one);
    assert!(is_there());
    let subscriber = Subscriber::only(cluster, "dropping");
    drop(other);
    eventually("nothing is subscribed", || subscriber.subscriptions() == 0).await;
}

async fn qu_02_who_does_not_read_holds_up_nobody(case: Case) {
    const MESSAGES: u64 = 300;
    let client = case.client().await;
    for kind in [SubscriptionKind::Channel, SubscriptionKind::Shard] {
        let subscribe = |name: &str| match kind {
            SubscriptionKind::Channel => client.subscribe(name),
            _ => client.ssubscribe(name),
        };
        let builder = subscribe("stalled").queue(10, 1 << 20);
        let mut stalled = builder.await.expect("it subscribes");
        let mut same = subscribe("stalled").await.expect("it subscribes");
        let mut other = subscribe("other").await.expect("it subscribes");
        let verb = match kind {
            SubscriptionKind::Channel => "message",
            _ => "smessage",
        };
        for n in 0..MESSAGES {
            for (name, subscription) in [("stalled", &mut same), ("other", &mut other)] {
                let published = match kind {
                    SubscriptionKind::Channel => client.publish(name, n).await,
                    _ => client.spublish(name, n).await,
                };
                published.expect("it publishes");
                assert_eq!(read(subscription, 1).await, [format!("{verb} {name} {n}")]);
            }
        }
        let gap = next(&mut stalled).await;
        let gap = gap.gap().expect("a gap");
        assert_eq!(gap.cause(), GapCause::Overflow);
        assert_eq!(gap.dropped(), Some(MESSAGES - 10));
        for n in MESSAGES - 10..MESSAGES {
            assert_eq!(read(&mut stalled, 1).await, [format!("{verb} stalled {n}")]);
        }
        assert_quiet(&mut stalled).await;
    }
}

async fn cl_02_they_are_read_from_replicas_if_the_client_says_so(case: Case) {
    const NAME: &str = "light-replicas";
    await_replicas(&case.cluster).await;
    let config = case.config().client_name(NAME).read_from_replicas(true);
    let client = case.client_with(config).await;
    let mut all = Vec::new();
    all.push(client.subscribe(NAME).await.expect("it subscribes"));
    all.push(client.psubscribe("light-r*").await.expect("it subscribes"));
    let names = (0..10).map(|n| format!("{NAME}:{n}"));
    all.push(client.ssubscribe(names).await.expect("it subscribes"));
    let subscribers = Subscriber::named(&case.cluster, NAME);
    assert_eq!(subscribers.len(), 4, "one, and one for each shard");
    for subscriber in &subscribers {
        assert!(
            !is_primary(&case.cluster, &subscriber.node),
            "{subscriber:?}"
        );
    }
    client.publish(NAME, "hello").await.expect("it publishes");
    let shard = format!("{NAME}:7");
    client
        .spublish(&shard, "hello")
        .await
        .expect("it publishes");
    let expected = [
        format!("message {NAME} hello"),
        format!("pmessage light-r* {NAME} hello"),
        format!("smessage {shard} hello"),
    ];
    for (subscription, expected) in all.iter_mut().zip(expected) {
        assert_eq!(read(subscription, 1).await, [expected]);
    }
}

/// The next message in short, or the cause of a gap and the names that it is for.
async fn received(receiver: &mut Receiver) -> String {
    let next = receiver.next_within(SOON).await;
    match next.expect("something comes").expect("no error") {
        Received::Message(sender, message) => {
            let kind = message.kind();
            let channel = message.channel_str();
            format!("{kind} {sender} {channel} {}", message.text())
        }
        Received::Gap(gap) => {
            let names: Vec<_> = gap.names().map(String::from_utf8_lossy).collect();
            format!("gap {:?} {}", gap.cause(), names.join(" "))
        }
        other => panic!("{other:?}"),
    }
}

async fn rx_01_a_receiver_has_channels_patterns_and_shard_channels_of_a_cluster(case: Case) {
    let client = case.client().await;
    let mut receiver = case.receiver();
    client
        .subscribe([receiver.channel("rx:a"), receiver.channel("rx:b")])
        .await
        .expect("it subscribes");
    client
        .psubscribe(receiver.pattern("rx:?"))
        .await
        .expect("it subscribes");
    // Of several slots, in one call.
    let shards: Vec<_> = (0..6)
        .map(|n| receiver.shard_channel(format!("rx:{n}")))
        .collect();
    client.ssubscribe(shards).await.expect("it subscribes");
    assert!(receiver.is_active());
    assert_eq!(receiver.channels().len(), 2);
    assert_eq!(receiver.patterns().len(), 1);
    assert_eq!(receiver.shard_channels().len(), 6);
    for name in ["rx:a", "rx:b"] {
        client.publish(name, "hello").await.expect("it publishes");
        let both = [received(&mut receiver).await, received(&mut receiver).await];
        let expected = [
            format!("message {name} {name} hello"),
            format!("pmessage rx:? {name} hello"),
        ];
        assert_eq!(BTreeSet::from(both), BTreeSet::from(expected));
    }
    for n in 0..6 {
        let name = format!("rx:{n}");
        let reached = client.spublish(&name, n).await;
        assert_eq!(reached.expect("it publishes"), 1);
        assert_eq!(
            received(&mut receiver).await,
            format!("smessage {name} {name} {n}")
        );
    }
    // The same again subscribes nothing more.
    client
        .ssubscribe(receiver.shard_channel("rx:0"))
        .await
        .expect("it is subscribed");
    assert_eq!(count(&case.cluster, "SHARDNUMSUB", "rx:0"), 1);
    let wrong = error(client.subscribe(receiver.pattern("rx:?")).await);
    assert!(wrong.is_misuse(), "{wrong:?}");
    assert!(receiver.next_within(QUIET).await.is_none());
}

async fn rx_06_a_receiver_ends_with_the_last_sender_of_a_cluster(case: Case) {
    let client = case.client().await;
    let mut receiver = case.receiver();
    let channel = receiver.channel("end:a");
    let pattern = receiver.pattern("end:p*");
    let shards: Vec<_> = (0..4)
        .map(|n| receiver.shard_channel(format!("end:{n}")))
        .collect();
    client.subscribe(channel.clone()).await.expect("subscribed");
    client
        .psubscribe(pattern.clone())
        .await
        .expect("subscribed");
    client.ssubscribe(shards.clone()).await.expect("subscribed");
    let (last, others) = shards.split_last().expect("four");
    client.unsubscribe(channel).await.expect("it ends");
    client.punsubscribe(pattern).await.expect("it ends");
    client.sunsubscribe(others.to_vec()).await.expect("it ends");
    await_count(&case.cluster, "NUMSUB", "end:a", 0).await;
    for sender in others {
        let name = sender.name_str();
        await_count(&case.cluster, "SHARDNUMSUB", &name, 0).await;
        assert!(!sender.is_active());
    }
    assert!(receiver.is_active());
    assert!(last.is_active());
    client
        .spublish("end:3", "last")
        .await
        .expect("it publishes");
    client.sunsubscribe(last.clone()).await.expect("it ends");
    await_count(&case.cluster, "SHARDNUMSUB", "end:3", 0).await;
    assert_eq!(received(&mut receiver).await, "smessage end:3 end:3 last");
    assert!(receiver.next_item().await.is_none());
    assert!(!receiver.is_active());
}

async fn sh_05_a_slot_that_moves_is_a_gap_for_those_whose_channels_it_has_and_for_nobody_else(
    case: Case,
) {
    let cluster = &case.cluster;
    let client = case.client().await;
    // Two channels of the slot that moves, and others of all nodes.
    let moving = ["{moves}:a", "{moves}:b"];
    let staying: Vec<String> = (0..12).map(|n| format!("stays:{n}")).collect();
    let mut concerned = Vec::new();
    for name in [moving[0], moving[1], moving[0]] {
        concerned.push((name, client.ssubscribe(name).await.expect("it subscribes")));
    }
    let both = client.ssubscribe([moving[0], &staying[0], moving[1]]);
    let mut both = both.await.expect("it subscribes");
    let mut others: BTreeMap<&String, Subscription> = BTreeMap::new();
    for name in &staying {
        others.insert(name, client.ssubscribe(name).await.expect("it subscribes"));
    }
    let mut channel = client.subscribe(moving[0]).await.expect("it subscribes");
    let mut pattern = client.psubscribe("{moves}*").await.expect("it subscribes");
    let mut receiver = case.receiver();
    let senders = [moving[0], &staying[1]].map(|name| receiver.shard_channel(name));
    client.ssubscribe(senders).await.expect("it subscribes");

    let slot = slot_of(moving[0]);
    for round in 1..=2 {
        let source = cluster.owner_of(slot);
        let mut targets = cluster.primaries().into_iter();
        let target = targets.find(|node| *node != source).expect("another one");
        cluster.move_slot(slot, &target);
        for (name, subscription) in &mut concerned {
            let event = next(subscription).await;
            assert_gap(&event, &[name]);
        }
        assert_gap(&next(&mut both).await, &moving);
        let told = received(&mut receiver).await;
        assert_eq!(told, format!("gap SlotMoved {}", moving[0]));

        // All have what comes from now on, and nothing before it.
        for name in &staying {
            let reached = client.spublish(name, round).await;
            assert_eq!(reached.expect("it publishes"), 1);
        }
        for name in moving {
            let reached = client.spublish(name, round).await;
            assert_eq!(reached.expect("it publishes"), 1);
            assert!(cluster.owner_of(slot) == target);
        }
        client
            .publish(moving[0], round)
            .await
            .expect("it publishes");
        for (name, subscription) in &mut concerned {
            assert_eq!(
                read(subscription, 1).await,
                [format!("smessage {name} {round}")]
            );
        }
        let told: BTreeSet<String> = read(&mut both, 3).await.into_iter().collect();
        let expected = [moving[0], moving[1], &staying[0]];
        let expected = expected.map(|name| format!("smessage {name} {round}"));
        assert_eq!(told, expected.into());
        for (name, subscription) in &mut others {
            assert_eq!(
                read(subscription, 1).await,
                [format!("smessage {name} {round}")]
            );
            assert_eq!(subscription.stats().gaps, 0);
        }
        let both = [received(&mut receiver).await, received(&mut receiver).await];
        let expected = [moving[0], &staying[1]];
        let expected = expected.map(|name| format!("smessage {name} {name} {round}"));
        assert_eq!(BTreeSet::from(both), expected.into());
        let moves = moving[0];
        assert_eq!(
            read(&mut channel, 1).await,
            [format!("message {moves} {round}")]
        );
        assert_eq!(
            read(&mut pattern, 1).await,
            [format!("pmessage {{moves}}* {moves} {round}")]
        );
    }
    for (_, subscription) in &mut concerned {
        assert_quiet(subscription).await;
        assert_eq!(subscription.stats().gaps, 2);
    }
}

/// A gap because a slot has moved, for these names.
#[track_caller]
fn assert_gap(event: &Event, names: &[&str]) {
    let gap = event.gap().unwrap_or_else(|| panic!("{}", short(event)));
    assert_eq!(gap.cause(), GapCause::SlotMoved);
    let told: BTreeSet<_> = gap.names().map(String::from_utf8_lossy).collect();
    let names: BTreeSet<_> = names.iter().map(|name| (*name).into()).collect();
    assert_eq!(told, names);
}
