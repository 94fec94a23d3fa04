//! What is wanted and what is confirmed: SPEC item PS-11.

use std::thread;

use tidings::Config;
use tidings_testkit::{Protocol, ScriptedPeer, frame};

use crate::faces::{Case, Client, Face, plain};
use crate::support::{SOON, error, eventually, read, short};
use crate::{on_both_faces, states, text, with_bob};

on_both_faces! {
    [plain]
    ps_11_channels_patterns_and_is_subscribed_tell_what_is_wanted,
    ps_11_subscriptions_says_what_is_under_way_and_what_reconnects,
    [with_bob]
    ps_11_subscriptions_says_whose_permission_was_revoked,
}

async fn ps_11_channels_patterns_and_is_subscribed_tell_what_is_wanted(case: Case) {
    let client = case.client().await;
    let mut pubsub = client.pubsub().await.unwrap();
    let handle = pubsub.handle();
    assert!(!pubsub.is_subscribed() && !handle.is_subscribed());
    pubsub.subscribe(["b", "a"]).await.unwrap();
    pubsub.psubscribe("p*").await.unwrap();
    pubsub.ssubscribe("s").await.unwrap();
    assert!(pubsub.is_subscribed() && handle.is_subscribed());
    assert_eq!(text(&pubsub.channels()), ["b", "a"]);
    assert_eq!(text(&pubsub.patterns()), ["p*"]);
    assert_eq!(text(&pubsub.shard_channels()), ["s"]);
    assert_eq!(
        states(&pubsub),
        [
            "Channel b Confirmed",
            "Channel a Confirmed",
            "Pattern p* Confirmed",
            "Shard s Confirmed"
        ]
    );
    pubsub.unsubscribe("b").await.unwrap();
    pubsub.subscribe("b").await.unwrap();
    assert_eq!(text(&pubsub.channels()), ["a", "b"]);
    pubsub.unsubscribe_all().await.unwrap();
    pubsub.sunsubscribe_all().await.unwrap();
    assert!(pubsub.is_subscribed());
    pubsub.punsubscribe_all().await.unwrap();
    assert!(!pubsub.is_subscribed() && !handle.is_subscribed());
    assert!(pubsub.subscriptions().is_empty());
}

async fn ps_11_subscriptions_says_what_is_under_way_and_what_reconnects(case: Case) {
    let client = case.client().await;
    let mut pubsub = client.pubsub().channels(["a", "b"]).await.unwrap();
    let handle = pubsub.handle().without_waiting();
    let frozen = case.server.freeze();
    handle.subscribe("c");
    handle.unsubscribe("a");
    assert_eq!(text(&pubsub.channels()), ["b", "c"]);
    assert_eq!(
        states(&pubsub),
        [
            "Channel a Ending",
            "Channel b Confirmed",
            "Channel c Pending"
        ]
    );
    drop(frozen);
    // Its answer comes behind theirs.
    pubsub.ping().await.unwrap();
    assert_eq!(
        states(&pubsub),
        ["Channel b Confirmed", "Channel c Confirmed"]
    );

    assert!(pubsub.last_connect_error().is_none());
    case.server.kill();
    eventually("an attempt to connect fails", || {
        pubsub.last_connect_error().is_some()
    })
    .await;
    assert!(pubsub.last_connect_error().unwrap().is_connection());
    assert!(pubsub.is_subscribed());
    assert_eq!(
        states(&pubsub),
        ["Channel b Reconnecting", "Channel c Reconnecting"]
    );
    case.server.restart();
    pubsub.handle().subscribe("b").await.unwrap();
    assert_eq!(
        states(&pubsub),
        ["Channel b Confirmed", "Channel c Confirmed"]
    );
    assert!(pubsub.last_connect_error().is_none());
}

async fn ps_11_subscriptions_says_whose_permission_was_revoked(case: Case) {
    let client = case.client_as("bob").await;
    let mut pubsub = client.pubsub().channels(["extra", "ok:1"]).await.unwrap();
    read(&mut pubsub, 2).await;
    let revoke = ["ACL", "SETUSER", "bob", "resetchannels", "&ok:*"];
    case.server.admin(revoke);
    let (mut events, mut errors) = (Vec::new(), Vec::new());
    while events.len() < 2 || errors.is_empty() {
        match tokio::time::timeout(SOON, pubsub.next())
            .await
            .unwrap()
            .unwrap()
        {
            Ok(event) => events.push(short(&event)),
            Err(error) => errors.push(error),
        }
    }
    assert_eq!(events, ["subscribe ok:1 1", "gap Disconnected"]);
    assert_eq!(errors.len(), 1);
    assert!(errors[0].is_no_permission(), "{errors:?}");
    assert!(errors[0].to_string().contains("extra"), "{errors:?}");
    assert_eq!(
        states(&pubsub),
        ["Channel extra Refused NOPERM", "Channel ok:1 Confirmed"]
    );
    assert_eq!(text(&pubsub.channels()), ["extra", "ok:1"]);
    // Granted again and asked for again, it is subscribed.
    case.server.admin(["ACL", "SETUSER", "bob", "&extra"]);
    pubsub.subscribe("extra").await.unwrap();
    assert_eq!(
        states(&pubsub),
        ["Channel extra Confirmed", "Channel ok:1 Confirmed"]
    );
}

#[test]
fn ps_11_subscriptions_says_that_a_slot_is_elsewhere() {
    for face in Face::ALL {
        for protocol in Protocol::ALL {
            let peer = ScriptedPeer::start();
            let config = Config::from_url(&peer.url_for(protocol)).unwrap();
            let script = thread::spawn(move || {
                let mut commands = peer.accept();
                commands.handshake();
                let mut connection = peer.accept();
                connection.handshake();
                connection.expect(["SSUBSCRIBE", "s"]);
                connection.send(frame::confirmation(protocol, "ssubscribe", "s", 1));
                connection.close();
                let mut connection = peer.accept();
                connection.handshake();
                connection.expect(["SSUBSCRIBE", "s"]);
                connection.send(frame::error("MOVED 449 127.0.0.1:7001"));
                (peer, commands, connection)
            });
            face.runtime().block_on(async {
                let mut pubsub = Client::alone(face, config).await.pubsub().await.unwrap();
                pubsub.ssubscribe("s").await.unwrap();
                assert_eq!(read(&mut pubsub, 1).await, ["ssubscribe s 1"]);
                let item = tokio::time::timeout(SOON, pubsub.next()).await.unwrap();
                let moved = error(item.unwrap());
                assert_eq!(moved.code(), Some("MOVED"));
                assert_eq!(states(&pubsub), ["Shard s Refused MOVED"]);
            });
            drop(script.join().unwrap());
        }
    }
}
