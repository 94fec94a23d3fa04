//! Where gaps stand, told by a peer that says byte for byte what it is to say. Below both faces it is the same.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use tidings::{Client, Commands, GapCause};
use tidings_testkit::{Proxy, ScriptedPeer, frame};

use crate::faults::{
    accept_subscriber, client_of, confirm, names, numbered, on_each, pubsub_of, quick_via,
    read_to_gap, shown, soon, with_each_protocol,
};
use crate::support::{assert_quiet, next, read, short};

#[test]
fn rc_01_a_message_cut_at_any_byte_is_a_loss_and_no_message() {
    with_each_protocol(async |protocol| {
        let peer = ScriptedPeer::start();
        let (client, _commands) = client_of(&peer, protocol).await;
        let (mut pubsub, mut connection) =
            pubsub_of(&peer, protocol, client.pubsub(), &["ch"]).await;
        let cut = frame::message(protocol, "ch", "cut");
        for at in 0..cut.len() {
            connection.send(numbered(protocol, "ch", [at]));
            connection.send(&cut[..at]);
            connection.close();
            connection = accept_subscriber(&peer, protocol, &["ch"]);
            confirm(&mut connection, protocol, &["ch"]);
            assert_eq!(
                read(&mut pubsub, 3).await,
                [
                    &format!("message ch {at}"),
                    "subscribe ch 1",
                    "gap Disconnected"
                ]
            );
        }
        assert_eq!(pubsub.stats().received, cut.len() as u64);
    });
}

#[test]
fn rc_02_confirmations_cut_at_any_byte_leave_one_gap_for_the_loss_before() {
    with_each_protocol(async |protocol| {
        let peer = ScriptedPeer::start();
        let (client, _commands) = client_of(&peer, protocol).await;
        let (mut pubsub, connection) = pubsub_of(&peer, protocol, client.pubsub(), &["ch"]).await;
        let lost = SystemTime::now();
        connection.close();
        let cut = frame::confirmation(protocol, "subscribe", "ch", 1);
        for at in 0..cut.len() {
            let mut connection = accept_subscriber(&peer, protocol, &["ch"]);
            connection.send(&cut[..at]);
            connection.close();
        }
        let mut connection = accept_subscriber(&peer, protocol, &["ch"]);
        connection.send(&cut);
        let events = read_to_gap(&mut pubsub).await;
        assert_eq!(shown(&events), ["subscribe ch 1", "gap Disconnected"]);
        assert!(events[1].gap().unwrap().since() <= lost);
        assert_eq!(pubsub.stats().reconnects, cut.len() as u64 + 1);
        assert_quiet(&mut pubsub).await;
    });
}

#[test]
fn rc_02_a_gap_stands_before_the_first_message_after_a_loss() {
    with_each_protocol(async |protocol| {
        let peer = ScriptedPeer::start();
        let (client, _commands) = client_of(&peer, protocol).await;
        let (mut pubsub, mut connection) =
            pubsub_of(&peer, protocol, client.pubsub(), &["a", "b"]).await;
        let before = SystemTime::now();
        connection.send(numbered(protocol, "a", [1]));
        assert_eq!(short(&next(&mut pubsub).await), "message a 1");
        let lost = SystemTime::now();
        connection.close();

        let mut connection = accept_subscriber(&peer, protocol, &["a", "b"]);
        connection.send(frame::confirmation(protocol, "subscribe", "a", 1));
        connection.send(numbered(protocol, "a", [2, 3]));
        connection.send(frame::confirmation(protocol, "subscribe", "b", 2));
        connection.send(numbered(protocol, "b", [1]));
        let mut events = Vec::new();
        for _ in 0..7 {
            events.push(next(&mut pubsub).await);
        }
        assert_eq!(
            shown(&events),
            [
                "subscribe a 1",
                "gap Disconnected",
                "message a 2",
                "message a 3",
                "subscribe b 2",
                "gap Disconnected",
                "message b 1"
            ]
        );
        for (at, name) in [(1, "a"), (5, "b")] {
            assert_eq!(names(&events[at]), [name]);
            let gap = events[at].gap().unwrap();
            assert_eq!(gap.cause(), GapCause::Disconnected);
            assert_eq!(gap.dropped(), None);
            let (since, until) = (gap.since(), gap.until());
            // The clocks of instants and of days do not agree to the last microsecond.
            let step = Duration::from_millis(1);
            assert!(before - step <= since && since <= lost + step, "{gap:?}");
            assert!(
                lost <= until + step && until <= SystemTime::now(),
                "{gap:?}"
            );
        }
    });
}

#[test]
fn rc_02_lost_again_while_subscribing_there_is_one_gap_since_the_first_loss() {
    with_each_protocol(async |protocol| {
        let peer = ScriptedPeer::start();
        let (client, _commands) = client_of(&peer, protocol).await;
        let (mut pubsub, connection) =
            pubsub_of(&peer, protocol, client.pubsub(), &["a", "b"]).await;
        let lost = SystemTime::now();
        connection.close();
        for _ in 0..3 {
            let mut connection = accept_subscriber(&peer, protocol, &["a", "b"]);
            connection.send(frame::confirmation(protocol, "subscribe", "a", 1));
            assert_eq!(short(&next(&mut pubsub).await), "subscribe a 1");
            connection.close();
        }
        let mut connection = accept_subscriber(&peer, protocol, &["a", "b"]);
        confirm(&mut connection, protocol, &["a", "b"]);
        let events = read_to_gap(&mut pubsub).await;
        assert_eq!(
            shown(&events),
            ["subscribe a 1", "subscribe b 2", "gap Disconnected"]
        );
        assert_eq!(names(&events[2]), ["a", "b"]);
        let since = events[2].gap().unwrap().since();
        assert!(
            since <= lost + Duration::from_millis(1),
            "{since:?}, lost at {lost:?}"
        );
        assert_eq!((pubsub.stats().gaps, pubsub.stats().reconnects), (1, 4));
        assert_quiet(&mut pubsub).await;
    });
}

#[test]
fn rc_02_what_was_not_told_before_the_next_loss_is_told_since_the_first_one() {
    with_each_protocol(async |protocol| {
        let peer = ScriptedPeer::start();
        let (client, _commands) = client_of(&peer, protocol).await;
        let (mut pubsub, connection) =
            pubsub_of(&peer, protocol, client.pubsub(), &["a", "b"]).await;
        let lost = SystemTime::now();
        connection.close();
        let mut connection = accept_subscriber(&peer, protocol, &["a", "b"]);
        connection.send(frame::confirmation(protocol, "subscribe", "a", 1));
        assert_eq!(short(&next(&mut pubsub).await), "subscribe a 1");
        connection.close();
        let mut connection = accept_subscriber(&peer, protocol, &["a", "b"]);
        connection.send(frame::confirmation(protocol, "subscribe", "a", 1));
        connection.send(numbered(protocol, "a", [1]));
        let events = read_to_gap(&mut pubsub).await;
        assert_eq!(names(&events[1]), ["a"]);
        let since = events[1].gap().unwrap().since();
        assert!(
            since <= lost + Duration::from_millis(1),
            "{since:?}, lost at {lost:?}"
        );
        assert_eq!(short(&next(&mut pubsub).await), "message a 1");
    });
}

#[test]
fn rc_02_a_name_that_was_told_of_already_has_a_gap_of_its_own_at_the_next_loss() {
    with_each_protocol(async |protocol| {
        let peer = ScriptedPeer::start();
        let (client, _commands) = client_of(&peer, protocol).await;
        let (mut pubsub, connection) =
            pubsub_of(&peer, protocol, client.pubsub(), &["a", "b"]).await;
        connection.close();
        let mut connection = accept_subscriber(&peer, protocol, &["a", "b"]);
        connection.send(frame::confirmation(protocol, "subscribe", "a", 1));
        connection.send(numbered(protocol, "a", [1]));
        let events = read_to_gap(&mut pubsub).await;
        assert_eq!(names(&events[1]), ["a"]);
        assert_eq!(short(&next(&mut pubsub).await), "message a 1");
        connection.close();
        let mut connection = accept_subscriber(&peer, protocol, &["a", "b"]);
        confirm(&mut connection, protocol, &["a", "b"]);
        let events = read_to_gap(&mut pubsub).await;
        assert_eq!(names(&events[2]), ["a", "b"]);
        assert_quiet(&mut pubsub).await;
    });
}

#[test]
fn rc_05_lost_twice_while_10_000_channels_are_subscribed_again_each_is_there_once() {
    const CHANNELS: usize = 10_000;
    on_each(async |case| {
        let proxy = Proxy::to(&case.server);
        let client = Client::connect(quick_via(&case, &proxy)).await.unwrap();
        let channels: Vec<String> = (0..CHANNELS).map(|n| format!("channel:{n}")).collect();
        let before = proxy.bytes_to_client();
        let mut pubsub = client
            .pubsub()
            .channels(&channels)
            .ignore_subscribe_messages(true)
            .await
            .unwrap();
        let confirmations = proxy.bytes_to_client() - before;
        let lost = SystemTime::now();
        // Held back until both connections, of commands and of the subscriber, are made again.
        proxy.refuse(true);
        proxy.cut();
        proxy.await_connections(0);
        proxy.cut_after_each([confirmations / 3, confirmations * 2 / 3]);
        proxy.refuse(false);

        let events = read_to_gap(&mut pubsub).await;
        assert_eq!(shown(&events), ["gap Disconnected"]);
        let gap = events[0].gap().unwrap();
        assert!(
            gap.since() <= lost + Duration::from_millis(1),
            "{:?}",
            gap.since()
        );
        let mut told: HashMap<&[u8], u32> = HashMap::new();
        for name in gap.names() {
            *told.entry(name).or_default() += 1;
        }
        assert_eq!(told.len(), CHANNELS);
        assert!(told.values().all(|times| *times == 1));
        assert_eq!(pubsub.stats().reconnects, 3);
        let counts: Vec<(String, i64)> = soon(client.pubsub_numsub(&channels)).await.unwrap();
        assert_eq!(counts.len(), CHANNELS);
        assert!(counts.iter().all(|(_, count)| *count == 1));
        let commands = case.server.cli(["CLIENT", "LIST", "TYPE", "pubsub"]);
        assert!(commands.contains(&format!("sub={CHANNELS} ")), "{commands}");
        assert_quiet(&mut pubsub).await;
    });
}
