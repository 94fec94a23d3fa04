//! How long handlers live and what they may do: SPEC items HN-06, HN-07.

use std::sync::{Arc, Mutex};

use tidings::{Commands, Error, Message};

use super::{Log, let_handle, silent};
use crate::faces::{Case, plain};
use crate::on_both_faces;
use crate::support::{SOON, read, short};

on_both_faces! {
    [plain]
    hn_06_handlers_survive_reconnects,
    hn_06_a_consumer_that_has_only_handlers_uses_flat_memory,
    hn_07_a_handler_waits_for_its_subscriptions_and_publications_behind_a_full_queue,
    hn_07_a_handler_that_cannot_wait_subscribes_unsubscribes_and_publishes,
    hn_06_a_handler_ends_with_its_subscription_however_late_that_is_read,
}

async fn hn_06_handlers_survive_reconnects(case: Case) {
    let client = case.client().await;
    let mut pubsub = silent(&client).await;
    let log = Log::default();
    pubsub.subscribe_with("a", log.handler("a")).await.unwrap();
    pubsub
        .psubscribe_with("p*", log.handler("p"))
        .await
        .unwrap();
    pubsub.ssubscribe_with("s", log.handler("s")).await.unwrap();
    pubsub.subscribe_with("b", log.handler("b")).await.unwrap();
    let gaps = Log::default();
    let noted = gaps.clone();
    pubsub.on_gap(move |gap| noted.note(format!("{:?} {}", gap.cause(), gap.names().len())));
    for round in 1..=3 {
        assert_eq!(case.kill_subscribers(), 1);
        assert_eq!(read(&mut pubsub, 1).await, ["gap Disconnected"]);
        for channel in ["a", "p", "b"] {
            assert_eq!(client.publish(channel, round).await.unwrap(), 1);
        }
        assert_eq!(client.spublish("s", round).await.unwrap(), 1);
        let_handle(&mut pubsub).await;
        assert_eq!(
            log.take(),
            [
                format!("a: message a {round}"),
                format!("p: pmessage p* p {round}"),
                format!("b: message b {round}"),
                format!("s: smessage s {round}"),
            ]
        );
        assert_eq!(gaps.take(), ["Disconnected 4"]);
        assert_eq!(pubsub.stats().reconnects, round);
    }
}

async fn hn_06_a_consumer_that_has_only_handlers_uses_flat_memory(case: Case) {
    const MESSAGES: u64 = 20_000;
    let client = case.client().await;
    let mut pubsub = client.pubsub().queue(1_000, 100_000).await.unwrap();
    let count = Arc::new(Mutex::new(0_u64));
    let counted = Arc::clone(&count);
    let handler = move |message: Message| {
        let mut count = counted.lock().unwrap();
        *count += 1;
        assert_eq!(message.text(), count.to_string());
    };
    pubsub.subscribe_with("a", handler).await.unwrap();
    let script = "for n = 1, tonumber(ARGV[1]) do redis.call('PUBLISH', 'a', n) end";
    let publish = tidings::cmd("EVAL").arg(script).arg(0).arg(MESSAGES);
    client.run::<()>(publish).await.unwrap();
    let mut most = 0;
    let confirmation = pubsub.get_message(SOON).await.unwrap();
    assert_eq!(short(&confirmation.unwrap()), "subscribe a 1");
    for n in 1..=MESSAGES {
        assert!(pubsub.get_message(SOON).await.unwrap().is_none());
        if n % 500 == 0 {
            assert_eq!(pubsub.stats().delivered, n);
            most = most.max(pubsub.stats().bytes_queued);
        }
    }
    assert_eq!(*count.lock().unwrap(), MESSAGES);
    // What one read brings may exceed the bounds, and no more than that is held.
    assert!(most <= 100_000 + 2 * 256 * 1024, "{most}");
    let stats = pubsub.stats();
    assert_eq!((stats.queued, stats.bytes_queued, stats.dropped), (0, 0, 0));
    assert_eq!(stats.received, MESSAGES);
}

async fn hn_07_a_handler_that_cannot_wait_subscribes_unsubscribes_and_publishes(case: Case) {
    let client = case.client().await;
    let mut pubsub = client.pubsub().await.unwrap();
    let (log, handle) = (Log::default(), pubsub.handle().without_waiting());
    let (noted, publisher) = (log.clone(), tidings::Client::clone(&client));
    let handler = move |message: Message| {
        noted.note(message.text());
        match &*message.text() {
            "1" => handle.subscribe(["b", "c"]),
            "2" => handle.unsubscribe("b"),
            "3" => {
                let publisher = publisher.clone();
                tokio::spawn(async move { publisher.publish("c", "from a handler").await });
            }
            _ => handle.unsubscribe(["a", "c"]),
        }
    };
    pubsub.subscribe_with("a", handler).await.unwrap();
    assert_eq!(read(&mut pubsub, 1).await, ["subscribe a 1"]);
    // Each one when what the one before did has been seen.
    let steps: [(&str, &[&str]); 4] = [
        ("1", &["subscribe b 2", "subscribe c 3"]),
        ("2", &["unsubscribe b 2"]),
        ("3", &["message c from a handler"]),
        ("4", &["unsubscribe a 1", "unsubscribe c 0"]),
    ];
    for (payload, events) in steps {
        client.publish("a", payload).await.unwrap();
        assert_eq!(read(&mut pubsub, events.len()).await, events);
    }
    assert!(pubsub.next().await.is_none());
    assert_eq!(log.take(), ["1", "2", "3", "4"]);
}

async fn hn_06_a_handler_ends_with_its_subscription_however_late_that_is_read(case: Case) {
    for read_in_between in [false, true] {
        let client = case.client().await;
        let builder = client.pubsub().ignore_subscribe_messages(true);
        let (mut pubsub, log) = (builder.await.unwrap(), Log::default());
        pubsub
            .subscribe_with("a", log.handler("old"))
            .await
            .unwrap();
        client.publish("a", "one").await.unwrap();
        pubsub.unsubscribe("a").await.unwrap();
        if read_in_between {
            while pubsub.next().await.is_some() {}
        }
        pubsub.subscribe("a").await.unwrap();
        client.publish("a", "two").await.unwrap();
        let event = pubsub.next_message(SOON).await.unwrap().expect("it comes");
        assert_eq!(short(&event), "message a two");
        assert_eq!(log.take(), ["old: message a one"]);

        // A new handler is not taken away by the end of the subscription before.
        pubsub
            .subscribe_with("a", log.handler("old"))
            .await
            .unwrap();
        pubsub.unsubscribe("a").await.unwrap();
        pubsub
            .subscribe_with("a", log.handler("new"))
            .await
            .unwrap();
        client.publish("a", "three").await.unwrap();
        pubsub.unsubscribe_all().await.unwrap();
        assert!(pubsub.next().await.is_none());
        assert_eq!(log.take(), ["new: message a three"]);
    }
}

async fn hn_07_a_handler_waits_for_its_subscriptions_and_publications_behind_a_full_queue(
    case: Case,
) {
    const MESSAGES: usize = 2_000;
    let client = case.client().await;
    let builder = client.pubsub().queue(1, 1);
    let mut pubsub = builder.ignore_subscribe_messages(true).await.unwrap();
    let (log, handle, publisher) = (Log::default(), pubsub.handle(), client.clone());
    let noted = log.clone();
    let handler = move |message: Message| {
        let (log, handle, publisher) = (noted.clone(), handle.clone(), publisher.clone());
        async move {
            if message.text() == "0" {
                handle.subscribe("b").await?;
                log.note(publisher.publish("b", "one").await?.to_string());
                handle.unsubscribe("b").await?;
                log.note(publisher.publish("b", "none").await?.to_string());
                // Its own channel, too.
                log.note(publisher.publish("a", "own").await?.to_string());
                handle.unsubscribe("a").await?;
                log.note(publisher.publish("a", "none").await?.to_string());
            }
            Ok::<_, Error>(())
        }
    };
    pubsub.subscribe_with_waiting("a", handler).await.unwrap();
    for n in 0..MESSAGES {
        case.server.admin(["PUBLISH", "a", &n.to_string()]);
    }
    let mut events = Vec::new();
    let all = async {
        while let Some(event) = pubsub.next().await {
            events.push(short(&event.unwrap()));
        }
    };
    tokio::time::timeout(SOON, all).await.expect("no deadlock");
    assert_eq!(log.take(), ["1", "0", "1", "0"]);
    assert_eq!(events, ["message b one"]);
    // All that was sent before the end was handled.
    assert_eq!(pubsub.stats().delivered, MESSAGES as u64 + 2);
}
