//! When handlers run and what they get: SPEC items HN-01 to HN-04.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tidings::Message;

use super::{Log, let_handle, read_all, silent};
use crate::faces::{Case, plain};
use crate::on_both_faces;
use crate::support::{QUIET, SOON, assert_quiet, read, short};

on_both_faces! {
    [plain]
    hn_01_each_kind_of_subscription_takes_a_handler_that_gets_the_message,
    hn_01_a_handler_gets_decoded_payloads,
    hn_02_a_handled_message_is_not_returned,
    hn_03_handlers_run_when_the_object_reads_and_never_behind_the_back,
    hn_04_a_channels_and_a_patterns_handler_both_run_for_one_publish,
}

async fn hn_01_each_kind_of_subscription_takes_a_handler_that_gets_the_message(case: Case) {
    let client = case.client().await;
    let mut pubsub = silent(&client).await;
    let log = Log::default();
    pubsub
        .subscribe_with("a", log.handler("sync"))
        .await
        .unwrap();
    pubsub
        .psubscribe_with("p*", log.handler("sync"))
        .await
        .unwrap();
    pubsub
        .ssubscribe_with("s", log.handler("sync"))
        .await
        .unwrap();
    // Names as in subscribe; also bytes and numbers.
    pubsub
        .subscribe_with(b"\0\r\n", log.handler("bytes"))
        .await
        .unwrap();
    pubsub
        .subscribe_with(7, log.handler("number"))
        .await
        .unwrap();
    for (channel, payload) in [("a", "1"), ("p1", "2"), ("\0\r\n", "3")] {
        assert_eq!(client.publish(channel, payload).await.unwrap(), 1);
    }
    assert_eq!(client.publish(7, "4").await.unwrap(), 1);
    assert_eq!(client.spublish("s", "5").await.unwrap(), 1);
    for _ in 0..5 + 5 {
        assert!(pubsub.get_message(SOON).await.unwrap().is_none());
    }
    assert_eq!(
        log.take(),
        [
            "sync: message a 1",
            "sync: pmessage p* p1 2",
            "bytes: message \0\r\n 3",
            "number: message 7 4",
            "sync: smessage s 5",
        ]
    );
}

async fn hn_01_a_handler_gets_decoded_payloads(case: Case) {
    let client = case.client().await;
    let mut pubsub = client.pubsub().payload::<i64>().await.unwrap();
    let sum = Arc::new(Mutex::new(0));
    let total = Arc::clone(&sum);
    let add = move |message: Message<i64>| *total.lock().unwrap() += message.payload();
    pubsub.subscribe_with("a", add).await.unwrap();
    for n in [1, 20, 300] {
        client.publish("a", n).await.unwrap();
    }
    let none = pubsub.next_message(QUIET).await;
    assert!(matches!(none, Ok(None)), "{none:?}");
    assert_eq!(*sum.lock().unwrap(), 321);
}

async fn hn_02_a_handled_message_is_not_returned(case: Case) {
    let client = case.client().await;
    let mut pubsub = client.pubsub().channels("b").await.unwrap();
    let log = Log::default();
    pubsub.subscribe_with("a", log.handler("h")).await.unwrap();
    assert_eq!(
        read(&mut pubsub, 2).await,
        ["subscribe b 1", "subscribe a 2"]
    );
    client.publish("a", "1").await.unwrap();
    client.publish("b", "2").await.unwrap();
    client.publish("a", "3").await.unwrap();
    // Each read takes one, and answers at once.
    let start = std::time::Instant::now();
    assert!(pubsub.get_message(SOON).await.unwrap().is_none());
    assert_eq!(log.take(), ["h: message a 1"]);
    let event = pubsub.get_message(SOON).await.unwrap();
    assert_eq!(short(&event.unwrap()), "message b 2");
    assert!(pubsub.get_message(SOON).await.unwrap().is_none());
    assert_eq!(log.take(), ["h: message a 3"]);
    assert!(start.elapsed() < SOON / 2, "{:?}", start.elapsed());
    assert_quiet(&mut pubsub).await;
    assert_eq!(pubsub.stats().delivered, 3);
}

async fn hn_03_handlers_run_when_the_object_reads_and_never_behind_the_back(case: Case) {
    let client = case.client().await;
    let mut pubsub = silent(&client).await;
    let log = Log::default();
    pubsub.subscribe_with("a", log.handler("a")).await.unwrap();
    pubsub
        .psubscribe_with("p*", log.handler("p"))
        .await
        .unwrap();
    pubsub.subscribe("b").await.unwrap();
    for (channel, payload) in [
        ("a", "1"),
        ("p", "2"),
        ("b", "3"),
        ("a", "4"),
        ("b", "5"),
        ("p", "6"),
    ] {
        client.publish(channel, payload).await.unwrap();
    }
    // All of it is here, and nothing has run: not at other calls, and not while time goes by.
    pubsub.ping().await.unwrap();
    pubsub.subscribe("c").await.unwrap();
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(pubsub.stats().received, 6);
    assert_eq!(log.take(), [""; 0]);

    let next = pubsub.next().await.unwrap().unwrap();
    log.note(short(&next));
    assert_eq!(
        log.take(),
        ["a: message a 1", "p: pmessage p* p 2", "message b 3"]
    );
    assert_eq!(pubsub.stats().queued, 3);
    let next = pubsub.next_message(SOON).await.unwrap().unwrap();
    log.note(short(&next));
    assert_eq!(log.take(), ["a: message a 4", "message b 5"]);
    let_handle(&mut pubsub).await;
    assert_eq!(log.take(), ["p: pmessage p* p 6"]);
}

async fn hn_04_a_channels_and_a_patterns_handler_both_run_for_one_publish(case: Case) {
    let client = case.client().await;
    let mut pubsub = silent(&client).await;
    let log = Log::default();
    pubsub
        .psubscribe_with("n*", log.handler("pattern"))
        .await
        .unwrap();
    pubsub
        .subscribe_with("news", log.handler("channel"))
        .await
        .unwrap();
    // The same name as pattern and as channel: each has its own.
    pubsub
        .psubscribe_with("same", log.handler("pattern"))
        .await
        .unwrap();
    pubsub
        .subscribe_with("same", log.handler("channel"))
        .await
        .unwrap();
    assert_eq!(client.publish("news", "1").await.unwrap(), 2);
    assert_eq!(client.publish("same", "2").await.unwrap(), 2);
    let_handle(&mut pubsub).await;
    assert_eq!(
        log.take(),
        [
            "channel: message news 1",
            "pattern: pmessage n* news 1",
            "channel: message same 2",
            "pattern: pmessage same same 2",
        ]
    );
    // With one of the two, the other message is returned.
    pubsub.unsubscribe("news").await.unwrap();
    pubsub.punsubscribe("same").await.unwrap();
    let_handle(&mut pubsub).await;
    pubsub.subscribe("news").await.unwrap();
    pubsub.psubscribe("same").await.unwrap();
    client.publish("news", "3").await.unwrap();
    client.publish("same", "4").await.unwrap();
    let (events, errors) = read_all(&mut pubsub).await;
    assert!(errors.is_empty(), "{errors:?}");
    assert_eq!(events, ["message news 3", "pmessage same same 4"]);
    assert_eq!(
        log.take(),
        ["pattern: pmessage n* news 3", "channel: message same 4"]
    );
}
