//! Lost connections: SPEC items RC.

mod faults;
mod support;

use std::collections::HashMap;
use std::future::IntoFuture;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use faults::{
    accept_subscriber, chain, client_of, configured_client_of, confirm, names, numbered, on_each,
    on_each_started, pubsub_of, quick, quick_via, read_to_gap, shown, soon, until,
    with_each_protocol,
};
use support::{SOON, assert_quiet, next, read, short};
use tidings::{Client, Commands, ErrorKind, Event, GapCause, Overflow, PubSub, SubscriptionState};
use tidings_testkit::{
    AdminReply, Checker, Protocol, Proxy, Publisher, ScriptedPeer, Server, eventually, frame,
};
use tokio::sync::oneshot;

/// Whether the loss was noticed.
fn is_reconnecting(pubsub: &PubSub) -> bool {
    let known = pubsub.subscriptions();
    matches!(known[0].state, SubscriptionState::Reconnecting)
}

/// Everything is subscribed anew, told of in order, and delivers.
async fn assert_recovered(server: &Server, client: &Client, pubsub: &mut PubSub, what: &str) {
    let events = read_to_gap(pubsub).await;
    assert_eq!(
        shown(&events),
        [
            "subscribe a 1",
            "subscribe b 2",
            "psubscribe p* 3",
            "ssubscribe s 1",
            "gap Disconnected"
        ],
        "after {what}"
    );
    assert_eq!(names(&events[4]), ["a", "b", "p*", "s"], "after {what}");
    for channel in ["a", "b"] {
        server.await_subscribers(channel, 1);
    }
    assert_eq!(soon(client.publish("a", what)).await.unwrap(), 1);
    assert_eq!(soon(client.publish("b", what)).await.unwrap(), 1);
    assert_eq!(soon(client.publish("pp", what)).await.unwrap(), 1);
    assert_eq!(soon(client.spublish("s", what)).await.unwrap(), 1);
    assert_eq!(
        read(pubsub, 4).await,
        [
            format!("message a {what}"),
            format!("message b {what}"),
            format!("pmessage p* pp {what}"),
            format!("smessage s {what}")
        ]
    );
    assert_quiet(pubsub).await;
}

#[test]
fn rc_01_after_any_loss_everything_is_subscribed_again_with_one_gap() {
    on_each(async |case| {
        let server = &case.server;
        let proxy = Proxy::to(server);
        let client = Client::connect(quick_via(&case, &proxy)).await.unwrap();
        let commands = Client::connect(quick(&case.url())).await.unwrap();
        let mut pubsub = client
            .pubsub()
            .channels(["a", "b"])
            .patterns("p*")
            .await
            .unwrap();
        pubsub.ssubscribe("s").await.unwrap();
        assert_eq!(
            read(&mut pubsub, 4).await,
            [
                "subscribe a 1",
                "subscribe b 2",
                "psubscribe p* 3",
                "ssubscribe s 1"
            ]
        );
        let losses: [(&str, &dyn Fn()); 6] = [
            ("a kill of the connection", &|| {
                assert_eq!(server.cli(["CLIENT", "KILL", "TYPE", "pubsub"]), "1");
            }),
            ("a kill of the server", &|| {
                server.kill();
                server.restart();
            }),
            ("a shutdown of the server", &|| {
                server.shutdown();
                server.restart();
            }),
            ("an end of the connection", &|| proxy.cut()),
            ("a reset of the connection", &|| proxy.reset()),
            ("a refusal in between", &|| {
                proxy.refuse(true);
                proxy.cut();
                proxy.await_connections(0);
                proxy.refuse(false);
            }),
        ];
        for (at, (what, lose)) in losses.into_iter().enumerate() {
            lose();
            assert_recovered(server, &commands, &mut pubsub, what).await;
            let stats = pubsub.stats();
            assert_eq!(
                (stats.gaps, stats.reconnects),
                (at as u64 + 1, at as u64 + 1)
            );
        }
    });
}

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
fn rc_02_a_consumer_that_has_only_handlers_is_told_by_on_gap_once_a_loss() {
    on_each(async |case| {
        let client = Client::connect(quick(&case.url())).await.unwrap();
        let mut pubsub = client
            .pubsub()
            .ignore_subscribe_messages(true)
            .await
            .unwrap();
        let (handled, gaps) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let (count, count_gap) = (Arc::clone(&handled), Arc::clone(&gaps));
        pubsub
            .subscribe_with("news", move |_| {
                count.fetch_add(1, Ordering::SeqCst);
            })
            .await
            .unwrap();
        pubsub.on_gap(move |gap| {
            assert_eq!(gap.names().collect::<Vec<_>>(), [b"news"]);
            count_gap.fetch_add(1, Ordering::SeqCst);
        });
        for round in 1..=3 {
            case.server.admin(["CLIENT", "KILL", "TYPE", "pubsub"]);
            let event = soon(pubsub.next_message(SOON)).await.unwrap();
            assert_eq!(short(&event.unwrap()), "gap Disconnected");
            assert_eq!(client.publish("news", "x").await.unwrap(), 1);
            while handled.load(Ordering::SeqCst) < round {
                assert!(pubsub.get_message(SOON).await.unwrap().is_none());
            }
            assert_eq!(gaps.load(Ordering::SeqCst), round);
        }
        assert_eq!(handled.load(Ordering::SeqCst), 3);
    });
}

#[test]
fn rc_03_confirmations_of_a_resubscription_do_not_surface_when_they_are_ignored() {
    on_each(async |case| {
        let client = Client::connect(quick(&case.url())).await.unwrap();
        let mut pubsub = client
            .pubsub()
            .channels(["a", "b"])
            .patterns("p*")
            .ignore_subscribe_messages(true)
            .await
            .unwrap();
        for _ in 0..3 {
            case.server.admin(["CLIENT", "KILL", "TYPE", "pubsub"]);
            assert_eq!(shown(&read_to_gap(&mut pubsub).await), ["gap Disconnected"]);
        }
    });
}

#[test]
fn rc_03_counts_start_over_without_what_was_unsubscribed_meanwhile() {
    on_each(async |case| {
        let proxy = Proxy::to(&case.server);
        let client = Client::connect(quick_via(&case, &proxy)).await.unwrap();
        let mut pubsub = client.pubsub().channels(["a", "b", "c"]).await.unwrap();
        read(&mut pubsub, 3).await;
        proxy.refuse(true);
        proxy.cut();
        until("the loss is noticed", || is_reconnecting(&pubsub)).await;
        pubsub.unsubscribe("b").await.unwrap();
        assert_eq!(short(&next(&mut pubsub).await), "unsubscribe b 2");
        proxy.refuse(false);
        let events = read_to_gap(&mut pubsub).await;
        assert_eq!(
            shown(&events),
            ["subscribe a 1", "subscribe c 2", "gap Disconnected"]
        );
        assert_eq!(names(&events[2]), ["a", "c"]);
        case.server.await_subscribers("b", 0);
    });
}

fn with_a_user(binary: &tidings_testkit::Binary) -> Server {
    Server::builder()
        .binary(binary)
        .user("app on >secret ~* resetchannels &a &b &c +@all")
        .start_or_panic()
}

#[test]
fn rc_04_a_name_that_was_refused_is_told_once_and_the_others_work() {
    on_each_started(with_a_user, async |case| {
        let url = case.server.url_as("app", "secret");
        let url = format!("{url}?protocol={}", case.protocol.number());
        let client = Client::connect(quick(&url)).await.unwrap();
        let mut pubsub = client.pubsub().channels(["a", "b", "c"]).await.unwrap();
        read(&mut pubsub, 3).await;
        let before = SystemTime::now();

        case.server
            .admin(["ACL", "SETUSER", "app", "resetchannels", "&a", "&c"]);
        let (mut errors, mut events) = (Vec::new(), Vec::new());
        while events.len() < 3 {
            match soon(pubsub.next()).await.unwrap() {
                Ok(event) => events.push(event),
                Err(error) => errors.push(error),
            }
        }
        assert_eq!(
            shown(&events),
            ["subscribe a 1", "subscribe c 2", "gap Disconnected"]
        );
        assert_eq!(names(&events[2]), ["a", "c"]);
        let [error] = &errors[..] else {
            panic!("one error, not {errors:?}")
        };
        assert!(error.is_no_permission() && error.kind() == ErrorKind::Server);
        assert!(error.to_string().contains("subscribe b again"), "{error}");
        assert_eq!(pubsub.channels(), ["a", "b", "c"]);
        assert!(matches!(
            &pubsub.subscriptions()[1].state,
            SubscriptionState::Refused(error) if error.code() == "NOPERM"
        ));

        // Lost again: b is refused again, and that is no news.
        case.server.admin(["CLIENT", "KILL", "TYPE", "pubsub"]);
        let events = read_to_gap(&mut pubsub).await;
        assert_eq!(
            shown(&events),
            ["subscribe a 1", "subscribe c 2", "gap Disconnected"]
        );
        assert_quiet(&mut pubsub).await;

        // The permission is back.
        case.server.admin(["ACL", "SETUSER", "app", "&b"]);
        case.server.admin(["CLIENT", "KILL", "TYPE", "pubsub"]);
        let events = read_to_gap(&mut pubsub).await;
        assert_eq!(
            shown(&events),
            [
                "subscribe a 1",
                "subscribe b 2",
                "subscribe c 3",
                "gap Disconnected"
            ]
        );
        assert_eq!(names(&events[3]), ["a", "b", "c"]);
        let since = events[3].gap().unwrap().since();
        assert!(
            since <= before + Duration::from_millis(50),
            "b was missed since the first loss"
        );
        assert_eq!(case.server.cli(["PUBLISH", "b", "back"]), "1");
        assert_eq!(short(&next(&mut pubsub).await), "message b back");
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
        let accepted = proxy.accepted();
        // Held back until both connections, of commands and of the subscriber, are made again.
        proxy.refuse(true);
        proxy.cut();
        proxy.await_connections(0);
        proxy.cut_after(confirmations / 3);
        proxy.refuse(false);
        eventually("the second connection is cut", || {
            proxy.accepted() >= accepted + 3
        });
        proxy.cut_after(confirmations * 2 / 3);

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

#[test]
fn rc_06_an_overflow_of_the_servers_output_is_a_gap_where_it_was() {
    let start = |binary: &tidings_testkit::Binary| {
        Server::builder()
            .binary(binary)
            .config("client-output-buffer-limit", "pubsub 256kb 0 0")
            .start_or_panic()
    };
    on_each_started(start, async |case| {
        let client = Client::connect(quick(&case.url())).await.unwrap();
        let mut pubsub = client
            .pubsub()
            .channels("flood")
            .queue(4, 1 << 20)
            .overflow(Overflow::Backpressure)
            .await
            .unwrap();
        assert_eq!(short(&next(&mut pubsub).await), "subscribe flood 1");
        // Valkey 9.1 does not count payloads of 16 KiB and more.
        let publisher = Publisher::to(&case.server)
            .channels(["flood"])
            .payload_size(15_000)
            .start();
        case.server.await_subscribers("flood", 0);
        let mut checker = Checker::new();
        let mut since = publisher.acknowledged();
        while checker.highest("flood") <= since {
            match next(&mut pubsub).await {
                Event::Message(message) => checker.on_payload(message.channel(), message.payload()),
                Event::Gap(gap) => {
                    assert_eq!(gap.cause(), GapCause::Disconnected);
                    checker.on_gap(gap.names());
                    since = publisher.acknowledged();
                }
                other => assert_eq!(short(&other), "subscribe flood 1"),
            }
        }
        let published = publisher.stop();
        while !checker.has_reached(&published) {
            match next(&mut pubsub).await {
                Event::Message(message) => checker.on_payload(message.channel(), message.payload()),
                Event::Gap(gap) => checker.on_gap(gap.names()),
                _ => {}
            }
        }
        let report = checker.finish(&published);
        report.assert_passed();
        assert!(report.gaps >= 1 && report.lost > 0, "{report}");
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
fn rc_01_without_max_attempts_it_goes_on_for_ever() {
    on_each(async |case| {
        let proxy = Proxy::to(&case.server);
        let client = Client::connect(quick_via(&case, &proxy)).await.unwrap();
        let mut pubsub = client.pubsub().channels("news").await.unwrap();
        next(&mut pubsub).await;
        let accepted = proxy.accepted();
        proxy.close_at_once(true);
        proxy.cut();
        proxy.await_accepted(accepted + 40);
        assert!(pubsub.last_connect_error().is_some());
        proxy.close_at_once(false);
        assert_eq!(
            shown(&read_to_gap(&mut pubsub).await),
            ["subscribe news 1", "gap Disconnected"]
        );
        assert!(pubsub.last_connect_error().is_none());
        assert_eq!(soon(client.publish("news", "hello")).await.unwrap(), 1);
        assert_eq!(short(&next(&mut pubsub).await), "message news hello");
        assert_eq!(pubsub.stats().gaps, 1);
    });
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

const CHANNELS: [&str; 4] = ["ch:1", "ch:2", "ch:3", "ch:4"];

/// Reads for ever and keeps the books, until what was published is told and has arrived.
async fn keep_books(
    mut pubsub: PubSub,
    highest: Arc<AtomicU64>,
    mut published: oneshot::Receiver<tidings_testkit::Published>,
) -> tidings_testkit::Report {
    let mut checker = Checker::new();
    let mut all = None;
    loop {
        if let Some(published) = &all
            && checker.has_reached(published)
        {
            return checker.finish(published);
        }
        let event = tokio::select! {
            told = &mut published, if all.is_none() => {
                all = Some(told.expect("the test goes on"));
                continue;
            }
            event = pubsub.next() => event.expect("the stream goes on").expect("no error"),
        };
        match event {
            Event::Message(message) => {
                checker.on_payload(message.channel(), message.payload());
                let least = CHANNELS
                    .iter()
                    .map(|channel| checker.highest(channel))
                    .min();
                highest.store(least.unwrap_or_default(), Ordering::SeqCst);
            }
            Event::Gap(gap) => {
                assert_eq!(gap.cause(), GapCause::Disconnected);
                let named: Vec<&[u8]> = gap.names().collect();
                if named == [b"ch:*"] {
                    checker.on_gap(CHANNELS);
                } else {
                    checker.on_gap(named);
                }
            }
            _ => {}
        }
    }
}

#[test]
fn rc_02_through_random_faults_every_loss_is_covered_and_nothing_comes_twice() {
    const FAULTS: usize = 12;
    on_each(async |case| {
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let mut random = fastrand::Rng::with_seed(seed);
        let server = &case.server;
        let proxy = Proxy::to(server);
        let client = Client::connect(quick_via(&case, &proxy)).await.unwrap();
        let by_name = client.pubsub().channels(CHANNELS).await.unwrap();
        let by_pattern = client.pubsub().patterns("ch:*").await.unwrap();
        let publisher = Publisher::to(server).channels(CHANNELS).rate(4_000).start();
        let mut readers = Vec::new();
        for pubsub in [by_name, by_pattern] {
            let (tell, told) = oneshot::channel();
            let highest = Arc::new(AtomicU64::new(0));
            let books = tokio::spawn(keep_books(pubsub, Arc::clone(&highest), told));
            readers.push((highest, tell, books));
        }
        for _ in 0..FAULTS {
            publisher.await_more(random.u64(1..300));
            match random.u32(0..8) {
                0 => proxy.cut(),
                1 => proxy.reset(),
                2 | 3 => proxy.cut_after(random.u64(1..2_000)),
                4 => proxy.chunk(random.usize(0..20)),
                5 => {
                    server.admin(["CLIENT", "KILL", "TYPE", "pubsub"]);
                }
                6 => {
                    server.kill();
                    server.restart();
                }
                _ => {
                    proxy.refuse(true);
                    proxy.cut();
                    proxy.refuse(false);
                }
            }
        }
        proxy.heal();
        // Recovered: each has heard of what was published after the last fault.
        let now = publisher.acknowledged();
        let lasts = |least: u64| {
            readers
                .iter()
                .all(|(at, _, _)| at.load(Ordering::SeqCst) > least)
        };
        eventually("both have recovered", || {
            lasts(now / CHANNELS.len() as u64 + 1)
        });
        let published = publisher.stop();
        for (_, tell, books) in readers {
            tell.send(published.clone()).expect("it still reads");
            let report = tokio::time::timeout(SOON, books)
                .await
                .expect("soon")
                .unwrap();
            println!("{report}");
            report.assert_passed();
            assert!(report.received > 0);
        }
    });
}

#[test]
fn rc_06_a_user_that_is_deleted_ends_the_subscriber_and_the_error_says_why() {
    on_each_started(with_a_user, async |case| {
        let url = case.server.url_as("app", "secret");
        let url = format!("{url}?protocol={}", case.protocol.number());
        let client = Client::connect(quick(&url)).await.unwrap();
        let mut pubsub = client.pubsub().channels("a").await.unwrap();
        next(&mut pubsub).await;
        assert_eq!(
            case.server.admin(["ACL", "DELUSER", "app"]),
            AdminReply::Integer(1)
        );
        until("an attempt has failed", || {
            pubsub.last_connect_error().is_some()
        })
        .await;
        let error = pubsub.last_connect_error().unwrap();
        assert_eq!(error.kind(), ErrorKind::Authentication);
        assert!(!format!("{error:?}{}", chain(&error)).contains("secret"));
        case.server.admin([
            "ACL", "SETUSER", "app", "on", ">secret", "~*", "&*", "+@all",
        ]);
        assert_eq!(
            shown(&read_to_gap(&mut pubsub).await),
            ["subscribe a 1", "gap Disconnected"]
        );
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
