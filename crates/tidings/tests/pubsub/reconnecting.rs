//! On, off, on, over lost connections: SPEC item PS-08.

use tidings::{Commands, Event};

use crate::faces::{Case, plain};
use crate::support::{eventually, next, read, short};
use crate::{on_both_faces, states};

on_both_faces! {
    [plain]
    ps_08_on_off_on_without_reading_is_confirmed_as_1_0_1_and_stays_subscribed,
    ps_08_on_off_on_over_a_killed_connection,
    ps_08_a_reconnect_undoes_no_unsubscription,
    ps_08_what_is_asked_for_without_a_connection_holds_once_there_is_one,
}

async fn ps_08_on_off_on_without_reading_is_confirmed_as_1_0_1_and_stays_subscribed(case: Case) {
    let client = case.client().await;
    let mut pubsub = client.pubsub().await.unwrap();
    pubsub.subscribe("a").await.unwrap();
    pubsub.unsubscribe("a").await.unwrap();
    pubsub.subscribe("a").await.unwrap();
    assert!(pubsub.is_subscribed());
    let handle = pubsub.handle();
    // Without waiting either, and ending with the end.
    handle.without_waiting().psubscribe("p*");
    handle.without_waiting().punsubscribe("p*");
    handle.subscribe("a").await.unwrap();
    assert_eq!(
        read(&mut pubsub, 6).await,
        [
            "subscribe a 1",
            "unsubscribe a 0",
            "subscribe a 1",
            "psubscribe p* 2",
            "punsubscribe p* 1",
            "subscribe a 1",
        ]
    );
    assert_eq!(client.publish("a", "x").await.unwrap(), 1);
    assert_eq!(read(&mut pubsub, 1).await, ["message a x"]);

    // It stays so over a reconnect.
    assert_eq!(case.kill_subscribers(), 1);
    assert_eq!(
        read(&mut pubsub, 2).await,
        ["subscribe a 1", "gap Disconnected"]
    );
    assert_eq!(client.publish("a", "y").await.unwrap(), 1);
    assert_eq!(read(&mut pubsub, 1).await, ["message a y"]);
    assert_eq!(states(&pubsub), ["Channel a Confirmed"]);
}

async fn ps_08_on_off_on_over_a_killed_connection(case: Case) {
    let client = case.client().await;
    let mut pubsub = client.pubsub().channels("kept").await.unwrap();
    assert_eq!(read(&mut pubsub, 1).await, ["subscribe kept 1"]);
    for round in 1..=5 {
        assert_eq!(case.kill_subscribers(), 1);
        // The client has had no chance to notice yet.
        let handle = pubsub.handle();
        handle.subscribe("a").await.unwrap();
        handle.unsubscribe("a").await.unwrap();
        handle.subscribe("a").await.unwrap();
        assert_eq!(pubsub.stats().reconnects, round);
        let mut events = read(&mut pubsub, 5).await;
        // The names of a replay come in the order of subscription, the gap with the last of them.
        assert_eq!(events.remove(0), "subscribe kept 1");
        let told = events.len();
        events.retain(|event| event != "gap Disconnected");
        assert_eq!(events.len(), told - 1);
        assert_eq!(
            events,
            ["subscribe a 2", "unsubscribe a 1", "subscribe a 2"]
        );
        assert_eq!(client.publish("a", "x").await.unwrap(), 1);
        assert_eq!(read(&mut pubsub, 1).await, ["message a x"]);
        pubsub.unsubscribe("a").await.unwrap();
        assert_eq!(read(&mut pubsub, 1).await, ["unsubscribe a 1"]);
    }
}

async fn ps_08_a_reconnect_undoes_no_unsubscription(case: Case) {
    let client = case.client().await;
    let mut pubsub = client
        .pubsub()
        .channels(["a", "b", "c"])
        .patterns(["p*", "q*"])
        .await
        .unwrap();
    read(&mut pubsub, 5).await;
    pubsub.unsubscribe("a").await.unwrap();
    pubsub.punsubscribe("p*").await.unwrap();
    assert_eq!(case.kill_subscribers(), 1);
    // These come while the connection is lost.
    let handle = pubsub.handle();
    handle.unsubscribe("b").await.unwrap();
    handle.subscribe("d").await.unwrap();
    assert_eq!(
        states(&pubsub),
        [
            "Channel c Confirmed",
            "Channel d Confirmed",
            "Pattern q* Confirmed"
        ]
    );
    assert_eq!(
        client
            .pubsub_numsub::<Vec<(String, i64)>, _>(["a", "b", "c", "d"])
            .await
            .unwrap(),
        [("a", 0), ("b", 0), ("c", 1), ("d", 1)].map(|(name, n)| (name.to_owned(), n))
    );
    assert_eq!(client.pubsub_numpat().await.unwrap(), 1);
    for channel in ["a", "b", "p1", "d"] {
        client.publish(channel, "x").await.unwrap();
    }
    let mut messages = Vec::new();
    while messages.last().is_none_or(|last| last != "message d x") {
        if let event @ Event::Message(_) = next(&mut pubsub).await {
            messages.push(short(&event));
        }
    }
    assert_eq!(messages, ["message d x"]);
}

async fn ps_08_what_is_asked_for_without_a_connection_holds_once_there_is_one(case: Case) {
    let client = case.client().await;
    let mut pubsub = client.pubsub().channels(["kept", "ended"]).await.unwrap();
    read(&mut pubsub, 2).await;
    case.server.kill();
    eventually("the loss is noticed", || {
        states(&pubsub) == ["Channel kept Reconnecting", "Channel ended Reconnecting"]
    })
    .await;
    let handle = pubsub.handle();
    handle.without_waiting().subscribe("a");
    handle.unsubscribe("a").await.unwrap();
    handle.without_waiting().subscribe("a");
    handle.unsubscribe("ended").await.unwrap();
    assert_eq!(
        states(&pubsub),
        ["Channel kept Reconnecting", "Channel a Reconnecting"]
    );
    case.server.restart();
    eventually("both are subscribed", || {
        states(&pubsub) == ["Channel kept Confirmed", "Channel a Confirmed"]
    })
    .await;
    let client = case.client().await;
    assert_eq!(client.publish("ended", "x").await.unwrap(), 0);
    assert_eq!(client.publish("a", "x").await.unwrap(), 1);
    let mut events = Vec::new();
    while events.last().is_none_or(|last| last != "message a x") {
        events.push(short(&next(&mut pubsub).await));
    }
    let subscribed = |event: &&String| event.starts_with("subscribe");
    let subscribed: Vec<_> = events.iter().filter(subscribed).collect();
    assert_eq!(subscribed, ["subscribe kept 1", "subscribe a 2"]);
}
