//! PING: SPEC item PS-12.

use std::sync::Arc;
use std::thread;
use std::time::Instant;

use tidings::{ErrorKind, Event};

use crate::faces::{Case, plain};
use crate::lanes::Lanes;
use crate::on_both_faces;
use crate::support::{QUIET, SOON, assert_ended, assert_quiet, error, read, short};

on_both_faces! {
    [plain]
    ps_12_ping_works_while_subscribed_and_never_shows_up,
    ps_12_ping_works_among_messages_and_changing_subscriptions,
    ps_12_ping_says_that_the_connection_is_lost,
    ps_12_a_ping_fails_when_the_server_is_down,
}

async fn ps_12_ping_works_while_subscribed_and_never_shows_up(case: Case) {
    let client = case.client().await;
    let mut pubsub = client.pubsub().await.unwrap();
    pubsub.ping().await.unwrap();
    pubsub.subscribe("a").await.unwrap();
    pubsub.ping().await.unwrap();
    client.publish("a", "1").await.unwrap();
    pubsub.ping().await.unwrap();
    pubsub.ssubscribe("s").await.unwrap();
    pubsub.unsubscribe("a").await.unwrap();
    pubsub.ping().await.unwrap();
    pubsub.sunsubscribe("s").await.unwrap();
    pubsub.ping().await.unwrap();
    assert_eq!(
        read(&mut pubsub, 5).await,
        [
            "subscribe a 1",
            "message a 1",
            "ssubscribe s 1",
            "unsubscribe a 0",
            "sunsubscribe s 0"
        ]
    );
    assert_ended(&mut pubsub).await;
    assert_quiet(&mut pubsub).await;
    assert!(pubsub.stats().last_pong.is_some());
}

async fn ps_12_ping_works_among_messages_and_changing_subscriptions(case: Case) {
    let client = case.client().await;
    let mut pubsub = client.pubsub().channels("load").await.unwrap();
    assert_eq!(read(&mut pubsub, 1).await, ["subscribe load 1"]);
    let publishers = Lanes::start(&client, "load");
    let mut lanes = Lanes::default();
    let handle = pubsub.handle().without_waiting();
    for _ in 0..100 {
        // The server's answer changes its shape where the last subscription ends.
        handle.unsubscribe("other");
        handle.subscribe("other");
        pubsub.ping().await.unwrap();
    }
    pubsub.unsubscribe(["other", "load"]).await.unwrap();
    pubsub.ping().await.unwrap();
    let mut confirmations = Vec::new();
    while let Some(event) = pubsub.next().await {
        match event.unwrap() {
            event @ Event::Message(_) => lanes.note(&event),
            other => confirmations.push(short(&other)),
        }
    }
    let mut expected = vec!["unsubscribe other 1", "subscribe other 2"];
    expected = expected.repeat(100);
    expected.extend(["unsubscribe other 1", "unsubscribe load 0"]);
    assert_eq!(confirmations, expected);
    lanes.assert_all_received(publishers).await;
}

async fn ps_12_ping_says_that_the_connection_is_lost(case: Case) {
    let client = case.client().await;
    let mut pubsub = client.pubsub().channels("a").await.unwrap();
    case.server.stop_process();
    let (case, start) = (Arc::new(case), Instant::now());
    let stopped = Arc::clone(&case);
    let killer = thread::spawn(move || {
        thread::sleep(QUIET);
        stopped.server.kill();
    });
    let lost = error(pubsub.ping().await);
    // A server that stands still answers nothing.
    assert!(start.elapsed() >= QUIET, "{:?}", start.elapsed());
    assert!(lost.is_connection() && lost.may_have_run(), "{lost:?}");
    killer.join().unwrap();
    case.server.restart();
    pubsub.ping().await.unwrap();
}

async fn ps_12_a_ping_fails_when_the_server_is_down(case: Case) {
    let client = case.client().await;
    let mut pubsub = client.pubsub().channels(["a"]).await.unwrap();
    case.server.kill();
    let outcome = tokio::time::timeout(SOON, pubsub.ping()).await;
    let error = error(outcome.expect("a ping has its outcome"));
    assert_eq!(error.kind(), ErrorKind::Connection, "{error}");
}
