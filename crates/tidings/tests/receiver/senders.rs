//! Senders, and giving them to a client: SPEC items RX-01, RX-02.

use std::collections::HashMap;

use tidings::{ErrorKind, Sender};
use tidings_testkit::{Binary, Server};

use crate::faces::{Case, plain};
use crate::support::error;
use crate::{assert_ended, assert_quiet, message, on_both_faces, short};

on_both_faces! {
    [plain]
    rx_01_the_same_name_has_the_same_sender_and_may_be_a_channel_and_a_pattern,
    rx_01_senders_are_given_to_subscribe_and_psubscribe,
    rx_01_a_sender_that_is_subscribed_twice_receives_once,
    rx_01_several_clients_feed_one_receiver,
    rx_02_channels_and_patterns_list_the_senders,
    rx_03_senders_are_the_keys_of_a_map,
    [with_few]
    rx_01_a_refused_name_is_named_and_none_of_the_call_is_subscribed,
}

/// A user who may subscribe to `open` only.
fn with_few(binary: &Binary) -> Server {
    const FEW: &str = "few on >secret +@all ~* resetchannels &open";
    Server::builder().binary(binary).user(FEW).start_or_panic()
}

async fn rx_01_the_same_name_has_the_same_sender_and_may_be_a_channel_and_a_pattern(case: Case) {
    let receiver = case.receiver();
    let channel = receiver.channel("a");
    assert_eq!(receiver.channel("a"), channel);
    assert_eq!(receiver.handle().channel(b"a"), channel);
    assert_ne!(receiver.channel("b"), channel);
    assert_ne!(receiver.pattern("a"), channel);
    assert_ne!(receiver.shard_channel("a"), channel);
    assert_ne!(case.receiver().channel("a"), channel);
    assert_eq!((channel.name(), channel.is_pattern()), (&b"a"[..], false));
    assert!(receiver.pattern("a").is_pattern());
    assert!(!channel.is_active() && !receiver.is_active());
}

async fn rx_01_senders_are_given_to_subscribe_and_psubscribe(case: Case) {
    let client = case.client().await;
    let mut receiver = case.receiver();
    let (one, three) = (receiver.channel("channel:1"), receiver.channel("channel:3"));
    client.subscribe([one.clone(), three]).await.unwrap();
    client.subscribe(receiver.channel("both")).await.unwrap();
    client.psubscribe(receiver.pattern("both")).await.unwrap();
    client
        .ssubscribe(receiver.shard_channel("both"))
        .await
        .unwrap();
    client.publish("channel:3", "c").await.unwrap();
    client.publish("channel:1", "a").await.unwrap();
    assert_eq!(client.publish("both", "b").await.unwrap(), 2);
    assert_eq!(client.spublish("both", "s").await.unwrap(), 1);
    assert_eq!(short(&mut receiver).await, "channel:3: c");
    let (sender, got) = message(&mut receiver).await;
    assert_eq!((sender, got.text()), (one, "a".into()));
    assert_eq!(short(&mut receiver).await, "both: b");
    assert_eq!(short(&mut receiver).await, "both both: b");
    assert_eq!(short(&mut receiver).await, "both: s");
    // The wrong method is told, and nothing is sent.
    case.forget_commands();
    let refused = error(client.psubscribe(receiver.channel("other")).await);
    assert_eq!(refused.kind(), ErrorKind::Misuse);
    assert!(refused.to_string().contains("other"), "{refused}");
    assert!(case.commands_run().is_empty());
}

async fn rx_01_a_sender_that_is_subscribed_twice_receives_once(case: Case) {
    let client = case.client().await;
    let mut receiver = case.receiver();
    let sender = receiver.channel("a");
    client
        .subscribe([sender.clone(), sender.clone()])
        .await
        .unwrap();
    let again = (0..10).map(|_| tokio::spawn(client.subscribe(sender.clone())));
    for again in again.collect::<Vec<_>>() {
        again.await.unwrap().unwrap();
    }
    client.publish("a", "x").await.unwrap();
    assert_eq!(short(&mut receiver).await, "a: x");
    assert_quiet(&mut receiver).await;
    // It ends at once, too.
    client.unsubscribe(&sender).await.unwrap();
    assert!(!sender.is_active());
    case.await_subscribers("a", 0).await;
}

async fn rx_01_several_clients_feed_one_receiver(case: Case) {
    let (one, two) = (case.client().await, case.client().await);
    let mut receiver = case.receiver();
    one.subscribe(receiver.channel("a")).await.unwrap();
    two.subscribe([receiver.channel("a"), receiver.channel("b")])
        .await
        .unwrap();
    assert_eq!(one.publish("a", "x").await.unwrap(), 2);
    assert_eq!(short(&mut receiver).await, "a: x");
    assert_eq!(short(&mut receiver).await, "a: x");
    one.unsubscribe(receiver.channel("a")).await.unwrap();
    case.await_subscribers("a", 1).await;
    one.publish("a", "y").await.unwrap();
    assert_eq!(short(&mut receiver).await, "a: y");
    assert!(receiver.channel("a").is_active());
    // What this client has not subscribed it does not end either.
    one.unsubscribe([receiver.channel("a"), receiver.channel("b")])
        .await
        .unwrap();
    assert!(receiver.is_active());
    receiver.channel("a").unsubscribe().await.unwrap();
    two.unsubscribe(receiver.channel("b")).await.unwrap();
    assert_ended(&mut receiver).await;
}

async fn rx_02_channels_and_patterns_list_the_senders(case: Case) {
    let client = case.client().await;
    let receiver = case.receiver();
    assert!(receiver.channels().is_empty() && receiver.patterns().is_empty());
    let senders = ["b", "a"].map(|name| receiver.channel(name));
    let pattern = receiver.pattern("a");
    client.subscribe(&senders).await.unwrap();
    // Lent or given, as an array, a slice or a vector: they are the same.
    client.subscribe(&senders[..]).await.unwrap();
    client.subscribe(&senders.to_vec()).await.unwrap();
    client.subscribe(senders.to_vec()).await.unwrap();
    client.psubscribe(pattern.clone()).await.unwrap();
    let [b, a] = senders;
    assert_eq!(receiver.channels(), [a.clone(), b.clone()]);
    assert_eq!(receiver.patterns(), [pattern]);
    assert!(receiver.channels().iter().all(Sender::is_active));
    client.unsubscribe(b).await.unwrap();
    assert_eq!(receiver.channels(), [a]);
}

async fn rx_01_a_refused_name_is_named_and_none_of_the_call_is_subscribed(case: Case) {
    let client = case.client_as("few").await;
    let mut receiver = case.receiver();
    let refused = client.subscribe([receiver.channel("open"), receiver.channel("secret")]);
    let refused = error(refused.await);
    assert!(refused.to_string().contains("secret"), "{refused}");
    assert!(!receiver.is_active());
    case.await_subscribers("open", 0).await;
    client.subscribe(receiver.channel("open")).await.unwrap();
    client.publish("open", "x").await.unwrap();
    assert_eq!(short(&mut receiver).await, "open: x");
}

async fn rx_03_senders_are_the_keys_of_a_map(case: Case) {
    let client = case.client().await;
    let mut receiver = case.receiver();
    let (one, all) = (receiver.channel("n"), receiver.pattern("n"));
    client.subscribe(&one).await.unwrap();
    client.psubscribe(&all).await.unwrap();
    client.publish("n", "x").await.unwrap();
    let mut counts: HashMap<Sender, u32> = HashMap::new();
    for _ in 0..2 {
        let (sender, _) = message(&mut receiver).await;
        *counts.entry(sender).or_default() += 1;
    }
    assert_eq!(counts, HashMap::from([(one, 1), (all, 1)]));
}
