//! Attempts to connect, how many and when, and what is asked for then. Below both faces it is the same.

use std::future::IntoFuture;
use std::time::Duration;

use tidings::{Client, Commands, ErrorKind, PubSub, SubscriptionState};
use tidings_testkit::{Protocol, Proxy, ScriptedPeer, frame};

use crate::faults::{
    accept_subscriber, chain, client_of, configured_client_of, names, on_each, pubsub_of, quick,
    quick_via, read_to_gap, shown, soon, until, with_each_protocol,
};
use crate::support::{next, short};

/// Whether the loss was noticed.
fn is_reconnecting(pubsub: &PubSub) -> bool {
    let known = pubsub.subscriptions();
    matches!(known[0].state, SubscriptionState::Reconnecting)
}

#[test]
fn rc_01_a_peer_that_hangs_up_after_each_handshake_is_not_asked_without_a_pause() {
    with_each_protocol(async |protocol| {
        let peer = ScriptedPeer::start();
        let pause = Duration::from_millis(40);
        let config = quick(&peer.url_for(protocol)).backoff(pause, pause);
        let (client, _commands) = configured_client_of(&peer, config).await;
        let (_pubsub, connection) = pubsub_of(&peer, protocol, client.pubsub(), &["a"]).await;
        let start = std::time::Instant::now();
        connection.close();
        // The first attempt is made at once, the others after half a pause at least.
        for _ in 0..6 {
            accept_subscriber(&peer, protocol, &["a"]).close();
        }
        assert!(start.elapsed() >= pause * 5 / 2, "{:?}", start.elapsed());
    });
}

#[test]
fn rc_01_shard_channels_patterns_and_channels_are_replayed_in_the_order_of_subscription() {
    with_each_protocol(async |protocol: Protocol| {
        let peer = ScriptedPeer::start();
        let (client, _commands) = client_of(&peer, protocol).await;
        let (pubsub, mut connection) = pubsub_of(&peer, protocol, client.pubsub(), &["b"]).await;
        for (command, name, count) in [
            ("ssubscribe", "s", 1),
            ("psubscribe", "p*", 2),
            ("subscribe", "a", 3),
        ] {
            let handle = pubsub.handle();
            let asking = match command {
                "ssubscribe" => handle.ssubscribe(name),
                "psubscribe" => handle.psubscribe(name),
                _ => handle.subscribe(name),
            };
            connection.expect([command, name]);
            connection.send(frame::confirmation(protocol, command, name, count));
            soon(asking).await.unwrap();
        }
        connection.close();
        let mut connection = accept_subscriber(&peer, protocol, &["b", "a"]);
        connection.expect(["PSUBSCRIBE", "p*"]);
        connection.expect(["SSUBSCRIBE", "s"]);
    });
}

#[test]
fn rc_01_after_max_attempts_the_stream_ends_with_the_error() {
    on_each(async |case| {
        let proxy = Proxy::to(&case.server);
        let config = quick_via(&case, &proxy).max_attempts(3);
        let client = Client::connect(config).await.unwrap();
        let mut pubsub = client.pubsub().channels("news").await.unwrap();
        assert_eq!(short(&next(&mut pubsub).await), "subscribe news 1");
        let accepted = proxy.accepted();
        proxy.close_at_once(true);
        proxy.cut();
        let error = soon(pubsub.next()).await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Connection);
        assert!(
            chain(&error).starts_with("given up after 3 attempts: "),
            "{}",
            chain(&error)
        );
        assert!(
            chain(&error).contains("during the handshake"),
            "{}",
            chain(&error)
        );
        assert!(soon(pubsub.next()).await.is_none());
        assert_eq!(
            pubsub.subscribe("more").await.unwrap_err().kind(),
            ErrorKind::Connection
        );
        let refused = soon(client.ping()).await.unwrap_err();
        assert!(!refused.may_have_run());
        assert!(refused.to_string().contains("given up"), "{refused}");
        // Three attempts of the subscriber and three of the client.
        assert_eq!(proxy.accepted(), accepted + 6);
    });
}

#[test]
fn rc_01_requests_made_without_a_connection_are_kept_for_the_next_one() {
    on_each(async |case| {
        let proxy = Proxy::to(&case.server);
        let client = Client::connect(quick_via(&case, &proxy)).await.unwrap();
        let mut pubsub = client.pubsub().channels("a").await.unwrap();
        next(&mut pubsub).await;
        proxy.refuse(true);
        proxy.cut();
        until("the loss is noticed", || is_reconnecting(&pubsub)).await;
        let handle = pubsub.handle();
        let subscribing = tokio::spawn(handle.subscribe("b").into_future());
        let pinging = pubsub.handle();
        proxy.refuse(false);
        soon(subscribing).await.unwrap().unwrap();
        assert!(pinging.is_subscribed());
        soon(pubsub.ping()).await.unwrap();
        let events = read_to_gap(&mut pubsub).await;
        assert_eq!(
            shown(&events),
            ["subscribe a 1", "subscribe b 2", "gap Disconnected"]
        );
        // Nothing of b was missed: it was not subscribed.
        assert_eq!(names(&events[2]), ["a"]);
    });
}
