//! Stopping, and the last sender: SPEC item RX-06.

use crate::faces::{Case, plain};
use crate::support::eventually;
use crate::{assert_ended, on_both_faces, short};

on_both_faces! {
    [plain]
    rx_06_after_stop_what_is_queued_is_delivered_and_later_messages_are_ignored,
    rx_06_unsubscribing_the_last_sender_stops_it_behind_all_that_was_sent,
}

async fn rx_06_after_stop_what_is_queued_is_delivered_and_later_messages_are_ignored(case: Case) {
    let client = case.client().await;
    let mut receiver = case.receiver();
    client.subscribe(receiver.channel("a")).await.unwrap();
    client.publish("a", "before").await.unwrap();
    eventually("it has come", || receiver.stats().received == 1).await;
    receiver.stop();
    client.publish("a", "after").await.unwrap();
    assert_eq!(short(&mut receiver).await, "a: before");
    assert_ended(&mut receiver).await;
    case.await_subscribers("a", 0).await;
}

async fn rx_06_unsubscribing_the_last_sender_stops_it_behind_all_that_was_sent(case: Case) {
    let client = case.client().await;
    let mut receiver = case.receiver();
    let (one, three) = (receiver.channel("channel:1"), receiver.channel("channel:3"));
    client
        .subscribe([one.clone(), three.clone()])
        .await
        .unwrap();
    client.psubscribe(receiver.pattern("hello*")).await.unwrap();
    for number in 0..50 {
        client.publish("channel:1", number).await.unwrap();
    }
    client.unsubscribe([one, three]).await.unwrap();
    client.publish("channel:1", "nobody").await.unwrap();
    client.publish("hello-channel", "world").await.unwrap();
    client
        .punsubscribe(receiver.pattern("hello*"))
        .await
        .unwrap();
    for number in 0..50 {
        assert_eq!(short(&mut receiver).await, format!("channel:1: {number}"));
    }
    assert_eq!(short(&mut receiver).await, "hello* hello-channel: world");
    assert_ended(&mut receiver).await;
}
