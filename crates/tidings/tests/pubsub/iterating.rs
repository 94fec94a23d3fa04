//! Reading to the end: SPEC items IT.

use std::time::Duration;

use tidings::Event;

use crate::faces::{Case, plain};
use crate::on_both_faces;
use crate::reading::{subscribed, timed};
use crate::support::{SOON, assert_quiet, error, next, read, short};

on_both_faces! {
    [plain]
    it_01_the_stream_yields_events_in_order_however_it_is_read,
    it_02_what_is_queued_comes_before_the_last_confirmation_and_then_the_end,
    it_02_the_stream_ends_while_it_is_being_waited_for,
    it_02_the_stream_goes_on_while_any_kind_of_subscription_is_left,
    it_03_without_a_subscription_it_ends_at_once_and_can_be_read_again_after_a_new_one,
    it_03_unsubscribing_inside_the_loop_ends_it,
    it_03_an_error_item_does_not_end_it,
}

async fn it_01_the_stream_yields_events_in_order_however_it_is_read(case: Case) {
    let client = case.client().await;
    let mut pubsub = client.pubsub().channels("a").await.unwrap();
    for n in 0..4 {
        client.publish("a", n).await.unwrap();
    }
    pubsub.unsubscribe("a").await.unwrap();
    let mut events = read(&mut pubsub, 1).await;
    events.extend(timed(pubsub.get_message(SOON)).await.0);
    events.push(short(&pubsub.next_item().await.unwrap().unwrap()));
    events.extend(timed(pubsub.next_message(SOON)).await.0);
    events.extend(timed(pubsub.get_message(Duration::ZERO)).await.0);
    while let Some(event) = pubsub.next().await {
        events.push(short(&event.unwrap()));
    }
    assert_eq!(
        events,
        [
            "subscribe a 1",
            "message a 0",
            "message a 1",
            "message a 2",
            "message a 3",
            "unsubscribe a 0"
        ]
    );
}

async fn it_02_what_is_queued_comes_before_the_last_confirmation_and_then_the_end(case: Case) {
    let client = case.client().await;
    for ignored in [false, true] {
        let mut pubsub = client
            .pubsub()
            .channels(["a", "b"])
            .ignore_subscribe_messages(ignored)
            .await
            .unwrap();
        let mut expected = Vec::new();
        for n in 0..300 {
            let channel = ["a", "b"][n % 2];
            client.publish(channel, n).await.unwrap();
            expected.push(format!("message {channel} {n}"));
        }
        pubsub.unsubscribe("a").await.unwrap();
        client.publish("b", "last").await.unwrap();
        pubsub.unsubscribe("b").await.unwrap();
        assert_eq!(client.publish("b", "too late").await.unwrap(), 0);
        let last = ["message b last".to_owned()];
        let confirmed = |text: &'static str| (!ignored).then(|| text.to_owned());
        let subscribed = ["subscribe a 1", "subscribe b 2"];
        let expected: Vec<String> = subscribed
            .into_iter()
            .filter_map(confirmed)
            .chain(expected)
            .chain(confirmed("unsubscribe a 1"))
            .chain(last)
            .chain(confirmed("unsubscribe b 0"))
            .collect();
        let mut events = Vec::new();
        while let Some(event) = pubsub.next().await {
            events.push(short(&event.unwrap()));
        }
        assert_eq!(events, expected);
        // It stays at its end.
        assert!(pubsub.next().await.is_none());
    }
}

async fn it_02_the_stream_ends_while_it_is_being_waited_for(case: Case) {
    let client = case.client().await;
    for ignored in [false, true] {
        let mut pubsub = client
            .pubsub()
            .channels("a")
            .patterns("p*")
            .ignore_subscribe_messages(ignored)
            .await
            .unwrap();
        let handle = pubsub.handle();
        let elsewhere = tokio::spawn(async move {
            handle.unsubscribe("a").await.unwrap();
            handle.punsubscribe("p*").await.unwrap();
        });
        let mut count = 0;
        let all = async {
            while let Some(event) = pubsub.next().await {
                assert!(event.unwrap().confirmation().is_some());
                count += 1;
            }
        };
        tokio::time::timeout(SOON, all).await.expect("it ends");
        assert_eq!(count, if ignored { 0 } else { 4 });
        elsewhere.await.unwrap();
    }
}

async fn it_02_the_stream_goes_on_while_any_kind_of_subscription_is_left(case: Case) {
    let client = case.client().await;
    let mut pubsub = subscribed(&client, ["a"]).await;
    pubsub.psubscribe("p*").await.unwrap();
    pubsub.ssubscribe("s").await.unwrap();
    pubsub.unsubscribe("a").await.unwrap();
    pubsub.punsubscribe("p*").await.unwrap();
    assert_eq!(
        read(&mut pubsub, 4).await,
        [
            "psubscribe p* 2",
            "ssubscribe s 1",
            "unsubscribe a 1",
            "punsubscribe p* 0"
        ]
    );
    client.spublish("s", "x").await.unwrap();
    assert_eq!(read(&mut pubsub, 1).await, ["smessage s x"]);
    // A name that the server does not answer about yet counts too.
    pubsub.sunsubscribe("s").await.unwrap();
    pubsub.handle().without_waiting().subscribe("b");
    assert_eq!(
        read(&mut pubsub, 2).await,
        ["sunsubscribe s 0", "subscribe b 1"]
    );
}

async fn it_03_without_a_subscription_it_ends_at_once_and_can_be_read_again_after_a_new_one(
    case: Case,
) {
    let client = case.client().await;
    let mut pubsub = client.pubsub().await.unwrap();
    for round in 0..3 {
        let end = tokio::time::timeout(SOON, pubsub.next()).await;
        assert!(matches!(end, Ok(None)), "{end:?}");
        pubsub.subscribe("a").await.unwrap();
        client.publish("a", round).await.unwrap();
        assert_eq!(next(&mut pubsub).await.kind(), "subscribe");
        assert_eq!(read(&mut pubsub, 1).await, [format!("message a {round}")]);
        pubsub.unsubscribe("a").await.unwrap();
        assert_eq!(read(&mut pubsub, 1).await, ["unsubscribe a 0"]);
    }
    // Over the one connection.
    assert_eq!(pubsub.stats().reconnects, 0);
}

async fn it_03_unsubscribing_inside_the_loop_ends_it(case: Case) {
    let client = case.client().await;
    let mut pubsub = client.pubsub().channels(["a", "b"]).await.unwrap();
    for channel in ["a", "b", "a", "b"] {
        client.publish(channel, "x").await.unwrap();
    }
    pubsub.ping().await.unwrap();
    let mut events = Vec::new();
    while let Some(event) = pubsub.next().await {
        let event = event.unwrap();
        events.push(short(&event));
        if let Event::Message(message) = event
            && pubsub
                .channels()
                .contains(&message.channel().to_vec().into())
        {
            pubsub.unsubscribe(message.channel()).await.unwrap();
        }
    }
    assert_eq!(
        events,
        [
            "subscribe a 1",
            "subscribe b 2",
            "message a x",
            "message b x",
            "message a x",
            "message b x",
            "unsubscribe a 1",
            "unsubscribe b 0",
        ]
    );
    // And the last one, when nothing is queued.
    pubsub.subscribe("c").await.unwrap();
    while let Some(event) = pubsub.next().await {
        event.unwrap();
        pubsub.unsubscribe_all().await.unwrap();
    }
    assert!(!pubsub.is_subscribed());
    assert_quiet(&mut pubsub).await;
}

async fn it_03_an_error_item_does_not_end_it(case: Case) {
    let client = case.client().await;
    let mut pubsub = subscribed(&client, ["a"]).await;
    let fail = |_| Err::<(), _>("no");
    pubsub.subscribe_with("fails", fail).await.unwrap();
    for channel in ["fails", "a"] {
        client.publish(channel, "x").await.unwrap();
    }
    assert_eq!(read(&mut pubsub, 1).await, ["subscribe fails 2"]);
    error(pubsub.next().await.unwrap());
    assert_eq!(read(&mut pubsub, 1).await, ["message a x"]);
}
