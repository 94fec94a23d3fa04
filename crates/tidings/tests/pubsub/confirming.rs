//! Confirmed or refused: SPEC items PS-03, PS-04, PS-05.

use tidings::ErrorKind;
use tidings_testkit::{Binary, Server};

use crate::faces::{Case, plain};
use crate::support::{assert_ended, assert_quiet, error, next, read};
use crate::{on_both_faces, states, text, with_bob};

on_both_faces! {
    [plain]
    ps_03_resolved_means_confirmed_by_the_server,
    ps_04_each_name_yields_one_confirmation_in_order_with_its_count,
    ps_04_ten_thousand_names_are_confirmed_in_order,
    ps_05_subscribing_again_is_confirmed_with_the_same_count_and_keeps_the_handler,
    [with_bob]
    ps_03_a_refused_name_is_named_by_the_error_and_spoils_no_other,
    ps_03_a_refused_name_leaves_no_subscription_and_may_be_granted_later,
    [with_mute]
    ps_03_a_forbidden_command_is_a_typed_error_too,
}

/// A handler that must not run.
fn never(message: tidings::Message) {
    panic!("it got {:?}", message.into_payload());
}

/// A server with a user who must not subscribe to channels.
fn with_mute(binary: &Binary) -> Server {
    let mute = "mute on >secret +@all -subscribe ~* &*";
    Server::builder().binary(binary).user(mute).start_or_panic()
}

async fn ps_03_resolved_means_confirmed_by_the_server(case: Case) {
    let client = case.client().await;
    let mut pubsub = client.pubsub().await.unwrap();
    for n in 0..20 {
        let channel = format!("c{n}");
        pubsub.subscribe(&channel).await.unwrap();
        assert_eq!(client.publish(&channel, "x").await.unwrap(), 1);
        pubsub.psubscribe(format!("{channel}*")).await.unwrap();
        assert_eq!(client.publish(&channel, "x").await.unwrap(), 2);
        pubsub.unsubscribe(&channel).await.unwrap();
        assert_eq!(client.publish(&channel, "x").await.unwrap(), 1);
        pubsub.punsubscribe(format!("{channel}*")).await.unwrap();
        assert_eq!(client.publish(&channel, "x").await.unwrap(), 0);
        pubsub.ssubscribe(&channel).await.unwrap();
        assert_eq!(client.spublish(&channel, "x").await.unwrap(), 1);
        pubsub.sunsubscribe(&channel).await.unwrap();
        assert_eq!(client.spublish(&channel, "x").await.unwrap(), 0);
    }
}

async fn ps_03_a_refused_name_is_named_by_the_error_and_spoils_no_other(case: Case) {
    let client = case.client_as("bob").await;
    let admin = case.client().await;
    let mut pubsub = client.pubsub().channels("ok:0").await.unwrap();
    assert_eq!(read(&mut pubsub, 1).await, ["subscribe ok:0 1"]);

    let refused = error(pubsub.subscribe(["ok:1", "locked", "ok:2", "ok:3"]).await);
    assert!(refused.is_no_permission(), "{refused:?}");
    assert_eq!(refused.kind(), ErrorKind::Server);
    assert_eq!(refused.code(), Some("NOPERM"));
    assert!(refused.to_string().contains(" locked:"), "{refused}");
    assert!(!refused.to_string().contains("ok:"), "{refused}");
    let refused = error(pubsub.psubscribe(["lock*", "ok:*"]).await);
    assert!(refused.is_no_permission(), "{refused:?}");
    assert!(refused.to_string().contains(" lock*:"), "{refused}");
    let refused = error(pubsub.ssubscribe("shut").await);
    assert!(refused.is_no_permission(), "{refused:?}");
    assert!(refused.to_string().contains(" shut:"), "{refused}");
    let refused = error(pubsub.handle().subscribe(["no-1", "no-2", "no-3"]).await);
    assert!(refused.is_no_permission(), "{refused:?}");
    assert!(
        refused.to_string().contains(" no-1 (and 2 more"),
        "{refused}"
    );
    let refused = error(pubsub.subscribe_with("locked", |_| ()).await);
    assert!(refused.to_string().contains(" locked:"), "{refused}");

    // The wanted set is as it was, the other names are subscribed, and no error comes up later.
    assert_eq!(text(&pubsub.channels()), ["ok:0", "ok:1", "ok:2", "ok:3"]);
    assert_eq!(text(&pubsub.patterns()), ["ok:*"]);
    assert_eq!(pubsub.shard_channels(), [""; 0]);
    assert_eq!(
        states(&pubsub),
        [
            "Channel ok:0 Confirmed",
            "Channel ok:1 Confirmed",
            "Channel ok:2 Confirmed",
            "Channel ok:3 Confirmed",
            "Pattern ok:* Confirmed",
        ]
    );
    assert_eq!(
        read(&mut pubsub, 4).await,
        [
            "subscribe ok:1 2",
            "subscribe ok:2 3",
            "subscribe ok:3 4",
            "psubscribe ok:* 5"
        ]
    );
    assert_eq!(admin.publish("locked", "x").await.unwrap(), 0);
    assert_eq!(admin.publish("ok:3", "x").await.unwrap(), 2);
    assert_eq!(
        read(&mut pubsub, 2).await,
        ["message ok:3 x", "pmessage ok:* ok:3 x"]
    );
    assert_quiet(&mut pubsub).await;
    assert_eq!(pubsub.stats().reconnects, 0);
    assert_eq!(case.subscriber_ids().len(), 1);
}

async fn ps_03_a_refused_name_leaves_no_subscription_and_may_be_granted_later(case: Case) {
    let client = case.client_as("bob").await;
    let mut pubsub = client.pubsub().await.unwrap();
    assert!(error(pubsub.subscribe("locked").await).is_no_permission());
    assert!(!pubsub.is_subscribed());
    assert!(pubsub.subscriptions().is_empty());
    assert_ended(&mut pubsub).await;

    let refused = error(pubsub.subscribe_with("locked", never).await);
    assert!(refused.is_no_permission());
    case.server.admin(["ACL", "SETUSER", "bob", "&locked"]);
    pubsub.subscribe("locked").await.unwrap();
    let admin = case.client().await;
    assert_eq!(admin.publish("locked", "x").await.unwrap(), 1);
    // The handler of the refused attempt is not there.
    assert_eq!(
        read(&mut pubsub, 2).await,
        ["subscribe locked 1", "message locked x"]
    );
}

async fn ps_03_a_forbidden_command_is_a_typed_error_too(case: Case) {
    let client = case.client_as("mute").await;
    let mut pubsub = client.pubsub().await.unwrap();
    let refused = error(pubsub.subscribe(["a", "b"]).await);
    assert!(refused.is_no_permission(), "{refused:?}");
    assert!(refused.to_string().contains(" a (and 1 more"), "{refused}");
    pubsub.psubscribe("p*").await.unwrap();
    assert_eq!(states(&pubsub), ["Pattern p* Confirmed"]);
    assert_eq!(read(&mut pubsub, 1).await, ["psubscribe p* 1"]);
}

async fn ps_04_each_name_yields_one_confirmation_in_order_with_its_count(case: Case) {
    let client = case.client().await;
    let mut pubsub = client.pubsub().await.unwrap();
    pubsub.subscribe(["c", "a", "b"]).await.unwrap();
    pubsub.psubscribe(["p*", "a"]).await.unwrap();
    pubsub.subscribe("d").await.unwrap();
    pubsub.ssubscribe(["a", "s"]).await.unwrap();
    pubsub.subscribe(["e", "f", "e"]).await.unwrap();
    assert_eq!(
        read(&mut pubsub, 11).await,
        [
            "subscribe c 1",
            "subscribe a 2",
            "subscribe b 3",
            "psubscribe p* 4",
            "psubscribe a 5",
            "subscribe d 6",
            "ssubscribe a 1",
            "ssubscribe s 2",
            "subscribe e 7",
            "subscribe f 8",
            "subscribe e 8",
        ]
    );
    assert_quiet(&mut pubsub).await;
}

async fn ps_04_ten_thousand_names_are_confirmed_in_order(case: Case) {
    let client = case.client().await;
    let mut pubsub = client.pubsub().await.unwrap();
    let name = |n: i64| format!("channel:{n}");
    pubsub.subscribe((1..=10_000).map(name)).await.unwrap();
    for n in 1..=10_000 {
        let event = next(&mut pubsub).await;
        let confirmation = event.confirmation().unwrap();
        assert_eq!(confirmation.name(), name(n).as_bytes());
        assert_eq!(confirmation.count(), n);
    }
    assert_eq!(client.publish(name(10_000), "x").await.unwrap(), 1);
    assert_eq!(read(&mut pubsub, 1).await, ["message channel:10000 x"]);
}

async fn ps_05_subscribing_again_is_confirmed_with_the_same_count_and_keeps_the_handler(
    case: Case,
) {
    let client = case.client().await;
    let mut pubsub = client.pubsub().await.unwrap();
    let (sent, heard) = std::sync::mpsc::channel();
    let handler = |who: &'static str| {
        let sent = sent.clone();
        move |message: tidings::Message| {
            sent.send(format!("{who} {}", message.text())).unwrap();
        }
    };
    pubsub.subscribe_with("a", handler("a1")).await.unwrap();
    pubsub.psubscribe_with("p*", handler("p1")).await.unwrap();
    pubsub.subscribe("b").await.unwrap();
    pubsub.subscribe("a").await.unwrap();
    pubsub.psubscribe("p*").await.unwrap();
    pubsub.handle().subscribe("a").await.unwrap();
    assert_eq!(
        read(&mut pubsub, 6).await,
        [
            "subscribe a 1",
            "psubscribe p* 2",
            "subscribe b 3",
            "subscribe a 3",
            "psubscribe p* 3",
            "subscribe a 3",
        ]
    );
    assert_eq!(text(&pubsub.channels()), ["a", "b"]);
    for (channel, payload) in [("a", "1"), ("p", "2"), ("b", "3")] {
        assert_eq!(client.publish(channel, payload).await.unwrap(), 1);
    }
    assert_eq!(read(&mut pubsub, 1).await, ["message b 3"]);
    assert_eq!(heard.try_iter().collect::<Vec<_>>(), ["a1 1", "p1 2"]);

    // Unless a new one is given.
    pubsub.subscribe_with("a", handler("a2")).await.unwrap();
    pubsub.psubscribe_with("p*", handler("p2")).await.unwrap();
    for (channel, payload) in [("a", "4"), ("p", "5"), ("b", "6")] {
        assert_eq!(client.publish(channel, payload).await.unwrap(), 1);
    }
    assert_eq!(
        read(&mut pubsub, 3).await,
        ["subscribe a 3", "psubscribe p* 3", "message b 6"]
    );
    assert_eq!(heard.try_iter().collect::<Vec<_>>(), ["a2 4", "p2 5"]);
}
