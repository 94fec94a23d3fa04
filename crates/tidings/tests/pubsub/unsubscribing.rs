//! Unsubscribing: SPEC items PS-06, PS-07.

use tidings::Event;
use tidings_testkit::{Checker, Publisher};

use crate::faces::{Case, plain};
use crate::lanes::Lanes;
use crate::support::{assert_ended, assert_quiet, next, read, short};
use crate::{on_both_faces, states, text};

on_both_faces! {
    [plain]
    ps_06_each_unsubscribed_name_is_confirmed_and_counts_fall,
    ps_06_unsubscribe_all_ends_those_of_one_kind,
    ps_06_unsubscribe_all_with_nothing_subscribed_sends_nothing_and_leaves_no_frame,
    ps_06_names_never_subscribed_are_confirmed_where_nothing_is_subscribed,
    ps_07_all_that_was_sent_before_an_unsubscription_comes_before_its_confirmation,
    ps_07_subscribing_and_unsubscribing_under_load_disturbs_no_message,
}

async fn ps_06_each_unsubscribed_name_is_confirmed_and_counts_fall(case: Case) {
    let client = case.client().await;
    let mut pubsub = client
        .pubsub()
        .channels(["a", "b", "c"])
        .patterns(["p*", "q*"])
        .await
        .unwrap();
    pubsub.ssubscribe(["s", "t"]).await.unwrap();
    read(&mut pubsub, 7).await;

    pubsub.unsubscribe(["c", "a"]).await.unwrap();
    pubsub.punsubscribe("q*").await.unwrap();
    pubsub.sunsubscribe("s").await.unwrap();
    assert_eq!(
        read(&mut pubsub, 4).await,
        [
            "unsubscribe c 4",
            "unsubscribe a 3",
            "punsubscribe q* 2",
            "sunsubscribe s 1"
        ]
    );
    // Names that were never subscribed, and names of another kind.
    pubsub.unsubscribe(["never", "p*"]).await.unwrap();
    pubsub.punsubscribe(["b", "never*"]).await.unwrap();
    pubsub.sunsubscribe("b").await.unwrap();
    assert_eq!(
        read(&mut pubsub, 5).await,
        [
            "unsubscribe never 2",
            "unsubscribe p* 2",
            "punsubscribe b 2",
            "punsubscribe never* 2",
            "sunsubscribe b 1",
        ]
    );
    assert_eq!(
        states(&pubsub),
        [
            "Channel b Confirmed",
            "Pattern p* Confirmed",
            "Shard t Confirmed"
        ]
    );
    assert_eq!(client.publish("a", "x").await.unwrap(), 0);
    assert_eq!(client.publish("b", "x").await.unwrap(), 1);
    assert_eq!(read(&mut pubsub, 1).await, ["message b x"]);
}

async fn ps_06_unsubscribe_all_ends_those_of_one_kind(case: Case) {
    let client = case.client().await;
    let mut pubsub = client
        .pubsub()
        .channels(["a", "b"])
        .patterns(["p*", "q*"])
        .await
        .unwrap();
    pubsub.ssubscribe(["s", "t"]).await.unwrap();
    read(&mut pubsub, 6).await;

    pubsub.unsubscribe_all().await.unwrap();
    assert_eq!(
        read(&mut pubsub, 2).await,
        ["unsubscribe a 3", "unsubscribe b 2"]
    );
    assert_eq!(pubsub.channels(), [""; 0]);
    assert_eq!(text(&pubsub.patterns()), ["p*", "q*"]);
    assert!(pubsub.is_subscribed());
    pubsub.sunsubscribe_all().await.unwrap();
    assert_eq!(
        read(&mut pubsub, 2).await,
        ["sunsubscribe s 1", "sunsubscribe t 0"]
    );
    pubsub.punsubscribe_all().await.unwrap();
    assert_eq!(
        read(&mut pubsub, 2).await,
        ["punsubscribe p* 1", "punsubscribe q* 0"]
    );
    assert!(!pubsub.is_subscribed());
    assert_eq!(case.subscriber_ids(), [""; 0]);
    assert_ended(&mut pubsub).await;
}

async fn ps_06_unsubscribe_all_with_nothing_subscribed_sends_nothing_and_leaves_no_frame(
    case: Case,
) {
    let client = case.client().await;
    let mut pubsub = client.pubsub().await.unwrap();
    case.forget_commands();
    pubsub.unsubscribe_all().await.unwrap();
    pubsub.punsubscribe_all().await.unwrap();
    pubsub.sunsubscribe_all().await.unwrap();
    pubsub.ping().await.unwrap();
    assert_eq!(case.commands_run(), ["ping 1"]);
    assert_quiet(&mut pubsub).await;

    // Nor does it where there is only the other kind.
    pubsub.psubscribe("p*").await.unwrap();
    case.forget_commands();
    pubsub.unsubscribe_all().await.unwrap();
    pubsub.sunsubscribe_all().await.unwrap();
    pubsub.ping().await.unwrap();
    assert_eq!(case.commands_run(), ["ping 1"]);
    assert_eq!(read(&mut pubsub, 1).await, ["psubscribe p* 1"]);
    pubsub.punsubscribe_all().await.unwrap();
    pubsub.punsubscribe_all().await.unwrap();
    assert_eq!(read(&mut pubsub, 1).await, ["punsubscribe p* 0"]);
    assert_ended(&mut pubsub).await;
}

async fn ps_06_names_never_subscribed_are_confirmed_where_nothing_is_subscribed(case: Case) {
    let client = case.client().await;
    let mut pubsub = client.pubsub().await.unwrap();
    pubsub.unsubscribe(["x", "y"]).await.unwrap();
    pubsub.punsubscribe("x*").await.unwrap();
    pubsub.sunsubscribe("x").await.unwrap();
    assert_eq!(
        read(&mut pubsub, 4).await,
        [
            "unsubscribe x 0",
            "unsubscribe y 0",
            "punsubscribe x* 0",
            "sunsubscribe x 0"
        ]
    );
    assert_ended(&mut pubsub).await;
    assert_eq!(pubsub.stats().reconnects, 0);
}

async fn ps_07_all_that_was_sent_before_an_unsubscription_comes_before_its_confirmation(
    case: Case,
) {
    let client = case.client().await;
    let mut pubsub = client.pubsub().channels("load").await.unwrap();
    assert_eq!(read(&mut pubsub, 1).await, ["subscribe load 1"]);
    let publishers = Lanes::start(&client, "load");
    let mut lanes = Lanes::default();
    for _ in 0..500 {
        lanes.note(&next(&mut pubsub).await);
    }
    pubsub.unsubscribe("load").await.unwrap();
    let confirmation = loop {
        match next(&mut pubsub).await {
            event @ Event::Message(_) => lanes.note(&event),
            other => break short(&other),
        }
    };
    assert_eq!(confirmation, "unsubscribe load 0");
    assert_ended(&mut pubsub).await;
    lanes.assert_all_received(publishers).await;
    assert_quiet(&mut pubsub).await;
}

async fn ps_07_subscribing_and_unsubscribing_under_load_disturbs_no_message(case: Case) {
    let client = case.client().await;
    let mut pubsub = client.pubsub().channels("stays").await.unwrap();
    assert_eq!(read(&mut pubsub, 1).await, ["subscribe stays 1"]);
    let publisher = Publisher::to(&case.server)
        .channels(["stays", "comes and goes"])
        .start();
    let mut checker = Checker::new();
    checker.joins_late("comes and goes");
    for _ in 0..10 {
        pubsub.subscribe("comes and goes").await.unwrap();
        for (messages, confirmation) in [
            (0, "subscribe comes and goes 2"),
            (20, "unsubscribe comes and goes 1"),
        ] {
            let mut left = messages;
            loop {
                match next(&mut pubsub).await {
                    Event::Message(message) => {
                        checker.on_payload(message.channel(), message.payload());
                        if message.channel() == b"comes and goes" {
                            left -= 1;
                            if left == 0 {
                                pubsub.unsubscribe("comes and goes").await.unwrap();
                            }
                        }
                    }
                    other => {
                        assert_eq!(short(&other), confirmation);
                        break;
                    }
                }
            }
            if messages == 0 {
                checker.on_subscribe("comes and goes");
            } else {
                checker.on_unsubscribe("comes and goes");
            }
        }
    }
    let published = publisher.stop();
    while checker.highest("stays") < published.last("stays") {
        let message = next(&mut pubsub).await.into_message().unwrap();
        checker.on_payload(message.channel(), message.payload());
    }
    checker.finish(&published).assert_passed();
    assert_quiet(&mut pubsub).await;
}
