//! The end: SPEC items PS-13, PS-14.

use std::time::Instant;

use tidings::{ErrorKind, Event};

use crate::faces::{Case, plain};
use crate::lanes::Lanes;
use crate::on_both_faces;
use crate::support::{SOON, assert_ended, error, eventually, next, read, short};

on_both_faces! {
    [plain]
    ps_13_dropping_it_closes_its_connection,
    ps_13_closing_it_closes_its_connection_and_every_use_after_is_a_misuse,
    ps_13_leaving_a_scope_blocks_on_nothing,
    ps_14_drain_delivers_all_that_was_sent_before_and_then_ends,
    ps_14_drain_of_what_is_subscribed_to_nothing_ends_at_once,
}

async fn ps_13_dropping_it_closes_its_connection(case: Case) {
    let client = case.counted_client().await;
    let handle = {
        let pubsub = client.pubsub().channels(["a", "b"]).await.unwrap();
        assert_eq!(case.connections(), 2);
        pubsub.handle()
    };
    case.await_subscribers("a", 0).await;
    case.await_subscribers("b", 0).await;
    assert_eq!(case.connections(), 1);
    assert!(!handle.is_subscribed());
    error(handle.subscribe("c").await);
}

async fn ps_13_closing_it_closes_its_connection_and_every_use_after_is_a_misuse(case: Case) {
    let client = case.client().await;
    let mut pubsub = client.pubsub().channels("a").await.unwrap();
    client.publish("a", "unread").await.unwrap();
    let handle = pubsub.handle();
    pubsub.close().await.unwrap();
    case.await_subscribers("a", 0).await;
    assert_eq!(case.subscriber_ids(), [""; 0]);
    let outcomes = [
        pubsub.subscribe("b").await,
        pubsub.psubscribe("b").await,
        pubsub.ssubscribe("b").await,
        pubsub.subscribe_with("b", |_| ()).await,
        pubsub.psubscribe_with("b", |_| ()).await,
        pubsub.ssubscribe_with("b", |_| ()).await,
        pubsub.unsubscribe("a").await,
        pubsub.punsubscribe("a").await,
        pubsub.sunsubscribe("a").await,
        pubsub.unsubscribe_all().await,
        pubsub.punsubscribe_all().await,
        pubsub.sunsubscribe_all().await,
        pubsub.get_message(SOON).await.map(drop),
        pubsub.next_message(SOON).await.map(drop),
        pubsub.ping().await,
        pubsub.drain().await,
        handle.subscribe("b").await,
        handle.unsubscribe("a").await,
    ];
    for (at, outcome) in outcomes.into_iter().enumerate() {
        let error = error(outcome);
        assert!(error.is_misuse(), "{at}: {error:?}");
    }
    assert_ended(&mut pubsub).await;
    assert!(!pubsub.is_subscribed());
    pubsub.close().await.unwrap();
}

async fn ps_13_leaving_a_scope_blocks_on_nothing(case: Case) {
    let client = case.client().await;
    let dropped = client.pubsub().channels("a").await.unwrap();
    let mut closed = client.pubsub().channels("a").await.unwrap();
    let frozen = case.server.freeze();
    // Bytes that the server does not take are under way.
    dropped.handle().without_waiting().subscribe("x");
    closed.handle().without_waiting().subscribe("x");
    let start = Instant::now();
    drop(dropped);
    closed.close().await.unwrap();
    assert!(start.elapsed() < SOON / 10, "{:?}", start.elapsed());
    drop(frozen);
    case.await_subscribers("a", 0).await;
    case.await_subscribers("x", 0).await;
}

async fn ps_14_drain_delivers_all_that_was_sent_before_and_then_ends(case: Case) {
    let client = case.client().await;
    let mut pubsub = client
        .pubsub()
        .channels("load")
        .patterns("none:*")
        .queue(10, 1_000)
        .await
        .unwrap();
    assert_eq!(
        read(&mut pubsub, 2).await,
        ["subscribe load 1", "psubscribe none:* 2"]
    );
    let publishers = Lanes::start(&client, "load");
    let mut lanes = Lanes::default();
    for _ in 0..500 {
        lanes.note(&next(&mut pubsub).await);
    }
    pubsub.drain().await.unwrap();
    assert_eq!(case.subscriber_ids(), [""; 0]);
    let mut confirmations = Vec::new();
    while let Some(event) = pubsub.next().await {
        match event.unwrap() {
            event @ Event::Message(_) => lanes.note(&event),
            other => confirmations.push(short(&other)),
        }
    }
    assert_eq!(
        confirmations,
        ["unsubscribe load 1", "punsubscribe none:* 0"]
    );
    lanes.assert_all_received(publishers).await;
    assert_ended(&mut pubsub).await;
    assert!(!pubsub.is_subscribed());
    assert!(error(pubsub.subscribe("load").await).is_misuse());
    let nothing_more = error(pubsub.get_message(SOON).await);
    assert_eq!(nothing_more.kind(), ErrorKind::Closed);
    assert_eq!(pubsub.stats().dropped, 0);
}

async fn ps_14_drain_of_what_is_subscribed_to_nothing_ends_at_once(case: Case) {
    let client = case.counted_client().await;
    let mut pubsub = client.pubsub().await.unwrap();
    assert_eq!(case.connections(), 2);
    pubsub.drain().await.unwrap();
    assert_ended(&mut pubsub).await;
    eventually("its connection is closed", || case.connections() == 1).await;
}
