//! The server sees one subscription for each name: SPEC items SB-02, SB-03.

use crate::faces::{Case, plain};
use crate::on_both_faces;
use crate::support::{assert_quiet, eventually, next, short};

on_both_faces! {
    [plain]
    sb_02_the_server_sees_one_subscription_for_a_name_until_the_last_is_dropped,
    sb_02_the_payload_is_shared,
    sb_02_a_channel_a_pattern_and_a_shard_channel_of_one_name_are_three,
    sb_02_who_comes_later_receives_nothing_of_before,
    sb_03_subscriptions_of_one_channel_come_and_go_in_linear_time,
}

/// How often the server was asked to (un)subscribe.
fn asked(case: &Case) -> Vec<String> {
    let mut commands = case.commands_run();
    commands.retain(|command| command.contains("subscribe"));
    commands
}

async fn sb_02_the_server_sees_one_subscription_for_a_name_until_the_last_is_dropped(case: Case) {
    let client = case.client().await;
    case.forget_commands();
    let making = (0..20).map(|_| {
        let client = client.clone();
        tokio::spawn(async move { client.subscribe("news").await })
    });
    let mut made = Vec::new();
    for making in making.collect::<Vec<_>>() {
        made.push(making.await.unwrap().unwrap());
    }
    assert_eq!(asked(&case), ["subscribe 1"]);
    client.publish("news", "all").await.unwrap();
    for subscription in &mut made {
        assert_eq!(short(&next(subscription).await), "message news all");
    }
    let last = made.pop();
    drop(made);
    case.await_subscribers("news", 1).await;
    assert_eq!(asked(&case), ["subscribe 1"]);
    drop(last);
    case.await_subscribers("news", 0).await;
    assert_eq!(asked(&case), ["subscribe 1", "unsubscribe 1"]);
}

async fn sb_02_the_payload_is_shared(case: Case) {
    let client = case.client().await;
    let mut one = client.subscribe("news").await.unwrap();
    let mut other = client.subscribe("news").await.unwrap();
    let payload = "x".repeat(10_000);
    client.publish("news", &payload).await.unwrap();
    let one = next(&mut one).await.into_message().unwrap();
    let other = next(&mut other).await.into_message().unwrap();
    assert_eq!(one.payload(), &payload);
    assert_eq!(one.payload().as_ptr(), other.payload().as_ptr());
}

async fn sb_02_a_channel_a_pattern_and_a_shard_channel_of_one_name_are_three(case: Case) {
    let client = case.client().await;
    let mut channel = client.subscribe("n").await.unwrap();
    let mut pattern = client.psubscribe("n").await.unwrap();
    let mut shard = client.ssubscribe("n").await.unwrap();
    assert_eq!(client.publish("n", "plain").await.unwrap(), 2);
    assert_eq!(client.spublish("n", "sharded").await.unwrap(), 1);
    assert_eq!(short(&next(&mut channel).await), "message n plain");
    assert_eq!(short(&next(&mut pattern).await), "pmessage n n plain");
    assert_eq!(short(&next(&mut shard).await), "smessage n sharded");
    drop(pattern);
    eventually("the pattern is gone", || {
        case.server.cli(["PUBSUB", "NUMPAT"]) == "0"
    })
    .await;
    assert_eq!(client.publish("n", "plain").await.unwrap(), 1);
    assert_eq!(short(&next(&mut channel).await), "message n plain");
    assert_quiet(&mut shard).await;
}

async fn sb_02_who_comes_later_receives_nothing_of_before(case: Case) {
    let client = case.client().await;
    let mut first = client.subscribe("n").await.unwrap();
    for round in 0..200 {
        client
            .publish("n", format!("{round} before"))
            .await
            .unwrap();
        let mut later = client.subscribe("n").await.unwrap();
        client.publish("n", format!("{round} after")).await.unwrap();
        let event = short(&next(&mut later).await);
        assert_eq!(event, format!("message n {round} after"));
    }
    for round in 0..200 {
        for part in ["before", "after"] {
            let event = short(&next(&mut first).await);
            assert_eq!(event, format!("message n {round} {part}"));
        }
    }
}

async fn sb_03_subscriptions_of_one_channel_come_and_go_in_linear_time(case: Case) {
    const EACH: usize = 1000;
    let client = case.client().await;
    let making = (0..20).map(|_| {
        let client = client.clone();
        tokio::spawn(async move {
            let mut made = Vec::with_capacity(EACH);
            for _ in 0..EACH {
                made.push(client.subscribe("n").await.unwrap());
            }
            made
        })
    });
    let mut made = Vec::new();
    for making in making.collect::<Vec<_>>() {
        made.extend(making.await.unwrap());
    }
    client.publish("n", "x").await.unwrap();
    for subscription in &mut made {
        assert_eq!(short(&next(subscription).await), "message n x");
    }
    // The first come first: the worst order for a list.
    made.into_iter().for_each(drop);
    case.await_subscribers("n", 0).await;
}
