//! Shard channels of many slots, where nothing happens to them.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tidings::{Event, GapCause, SubscriptionKind, SubscriptionState};
use tidings_testkit::{ClusterNode, slot_of};

use crate::faced::{Case, primaries, shared};
use crate::on_both_faces;
use crate::support::{SOON, assert_quiet, next, read, short};

on_both_faces! {
    [cluster shared]
    sh_01_names_of_many_slots_are_subscribed_in_one_call_and_read_from_all_nodes,
    sh_01_a_name_that_is_subscribed_already_is_confirmed_again_and_keeps_its_handler,
    sh_01_all_is_unsubscribed_and_the_iteration_ends,
    sh_02_publish_and_spublish_do_not_reach_each_others_subscribers,
    sh_03_a_timeout_is_for_the_whole_read,
    [cluster primaries]
    sh_03_a_message_on_one_node_does_not_wait_for_another_node,
}

/// So many channels of all slots, which no other test uses.
fn channels(test: &str, count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{test}:{n}")).collect()
}

async fn sh_01_names_of_many_slots_are_subscribed_in_one_call_and_read_from_all_nodes(case: Case) {
    let client = case.client().await;
    let channels = channels("many", 30);
    let mut pubsub = client.sharded_pubsub().await.expect("it opens");
    pubsub.subscribe(&channels).await.expect("it subscribes");
    let told: BTreeSet<String> = read(&mut pubsub, 30).await.into_iter().collect();
    let named = |told: &String| told.split(' ').nth(1).map(str::to_owned);
    assert_eq!(
        told.iter().filter_map(named).collect::<BTreeSet<_>>(),
        channels.iter().cloned().collect::<BTreeSet<_>>()
    );
    assert!(
        told.iter().all(|told| told.starts_with("ssubscribe ")),
        "{told:?}"
    );
    // What the servers count together.
    let count = |told: &String| told.rsplit(' ').next().and_then(|count| count.parse().ok());
    assert_eq!(told.iter().filter_map(count).max(), Some(30i64));
    assert_eq!(pubsub.channels().len(), 30);
    for channel in &channels {
        assert_eq!(
            client
                .spublish(channel, "hello")
                .await
                .expect("it publishes"),
            1
        );
    }
    let messages: BTreeSet<String> = read(&mut pubsub, 30).await.into_iter().collect();
    let expected = channels
        .iter()
        .map(|channel| format!("smessage {channel} hello"));
    assert_eq!(messages, expected.collect());
    pubsub.ping().await.expect("all nodes answer");
    for status in pubsub.subscriptions() {
        assert_eq!(status.kind, SubscriptionKind::Shard);
        assert!(
            matches!(status.state, SubscriptionState::Confirmed),
            "{status:?}"
        );
    }
    pubsub
        .unsubscribe(&channels[..10])
        .await
        .expect("it unsubscribes");
    let told = read(&mut pubsub, 10).await;
    assert!(
        told.iter().all(|told| told.starts_with("sunsubscribe ")),
        "{told:?}"
    );
    assert_eq!(pubsub.channels().len(), 20);
    assert_quiet(&mut pubsub).await;
}

async fn sh_01_a_name_that_is_subscribed_already_is_confirmed_again_and_keeps_its_handler(
    case: Case,
) {
    let client = case.client().await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let mut pubsub = client.sharded_pubsub().await.expect("it opens");
    for channel in channels("handled", 5) {
        let seen = Arc::clone(&seen);
        let handler = move |message: tidings::Message| {
            seen.lock()
                .expect("no panic")
                .push(message.text().into_owned());
        };
        pubsub
            .subscribe_with(&channel, handler)
            .await
            .expect("it subscribes");
    }
    pubsub
        .subscribe("handled:3")
        .await
        .expect("it is confirmed again");
    read(&mut pubsub, 6).await;
    for n in 0..5 {
        client
            .spublish(format!("handled:{n}"), n)
            .await
            .expect("it publishes");
    }
    let until = Instant::now() + SOON;
    while seen.lock().expect("no panic").len() < 5 {
        assert!(Instant::now() < until, "{seen:?}");
        let event = pubsub.get_message(Duration::from_millis(20)).await;
        assert!(matches!(event, Ok(None)), "{event:?}");
    }
    let mut seen = seen.lock().expect("no panic").clone();
    seen.sort();
    assert_eq!(seen, ["0", "1", "2", "3", "4"]);
}

async fn sh_01_all_is_unsubscribed_and_the_iteration_ends(case: Case) {
    let client = case.client().await;
    let builder = client.sharded_pubsub().channels(channels("ending", 7));
    let mut pubsub = builder
        .ignore_subscribe_messages(true)
        .await
        .expect("it opens");
    client
        .spublish("ending:4", "last words")
        .await
        .expect("it publishes");
    pubsub.unsubscribe_all().await.expect("it unsubscribes");
    assert_eq!(
        short(&next(&mut pubsub).await),
        "smessage ending:4 last words"
    );
    assert!(pubsub.next().await.is_none());
    assert!(!pubsub.is_subscribed());
    // Afterwards it can be used again.
    pubsub.subscribe("ending:1").await.expect("it subscribes");
    client
        .spublish("ending:1", "again")
        .await
        .expect("it publishes");
    assert_eq!(short(&next(&mut pubsub).await), "smessage ending:1 again");
}

async fn sh_02_publish_and_spublish_do_not_reach_each_others_subscribers(case: Case) {
    let client = case.client().await;
    let mut plain = client.pubsub().channels("apart").await.expect("it opens");
    let mut sharded = client
        .sharded_pubsub()
        .channels("apart")
        .await
        .expect("it opens");
    assert_eq!(read(&mut plain, 1).await, ["subscribe apart 1"]);
    assert_eq!(read(&mut sharded, 1).await, ["ssubscribe apart 1"]);
    client
        .publish("apart", "to plain ones")
        .await
        .expect("it publishes");
    let reached = client.spublish("apart", "to sharded ones").await;
    assert_eq!(reached.expect("it publishes"), 1);
    assert_eq!(read(&mut plain, 1).await, ["message apart to plain ones"]);
    assert_eq!(
        read(&mut sharded, 1).await,
        ["smessage apart to sharded ones"]
    );
    assert_quiet(&mut plain).await;
    assert_quiet(&mut sharded).await;
}

async fn sh_03_a_timeout_is_for_the_whole_read(case: Case) {
    let client = case.client().await;
    let builder = client.sharded_pubsub().channels(channels("timeout", 20));
    let mut pubsub = builder
        .ignore_subscribe_messages(true)
        .await
        .expect("it opens");
    let begun = Instant::now();
    let event = pubsub.next_message(Duration::from_millis(300)).await;
    let took = begun.elapsed();
    assert!(matches!(event, Ok(None)), "{event:?}");
    assert!((300..900).contains(&took.as_millis()), "{took:?}");
    // What is there is had without waiting.
    client
        .spublish("timeout:7", "there")
        .await
        .expect("it publishes");
    let until = Instant::now() + SOON;
    let message = loop {
        assert!(Instant::now() < until);
        if let Some(event) = pubsub.get_message(Duration::ZERO).await.expect("no error") {
            break event;
        }
    };
    assert_eq!(short(&message), "smessage timeout:7 there");
}

async fn sh_03_a_message_on_one_node_does_not_wait_for_another_node(case: Case) {
    let client = case.client().await;
    let all = channels("waits", 20);
    let builder = client.sharded_pubsub().channels(&all);
    let mut pubsub = builder
        .ignore_subscribe_messages(true)
        .await
        .expect("it opens");
    let nodes = case.cluster.primaries();
    let of = |node: &Arc<ClusterNode>| {
        let mut of = all
            .iter()
            .filter(|name| case.cluster.owner_of(slot_of(name)) == *node);
        of.next().expect("each has some").clone()
    };
    let (stopped, other) = (of(&nodes[0]), of(&nodes[1]));
    nodes[0].stop_process();
    // Beside the client, which may have to wait for the node that is stopped.
    let begun = Instant::now();
    case.cluster
        .owner_of(slot_of(&other))
        .admin(["SPUBLISH", &other, "here"]);
    assert_eq!(
        short(&next(&mut pubsub).await),
        format!("smessage {other} here")
    );
    assert!(
        begun.elapsed() < Duration::from_secs(1),
        "{:?}",
        begun.elapsed()
    );
    nodes[0].continue_process();
    client
        .spublish(&stopped, "late")
        .await
        .expect("it publishes");
    loop {
        match next(&mut pubsub).await {
            Event::Gap(gap) => assert_eq!(gap.cause(), GapCause::Disconnected),
            event => {
                assert_eq!(short(&event), format!("smessage {stopped} late"));
                break;
            }
        }
    }
}
