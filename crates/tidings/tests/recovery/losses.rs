//! Losses on real servers, through both faces.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use tidings::{ErrorKind, Event, GapCause, Overflow, SubscriptionState};
use tidings_testkit::{AdminReply, Binary, Checker, Proxy, Publisher, Server};

use crate::faces::{Case, Client, PubSub, Setup, may_block, on_threads};
use crate::faults::{chain, names, quick, quick_via, read_to_gap, shown, soon, until};
use crate::on_both_faces;
use crate::support::{SOON, assert_quiet, next, read, short};

on_both_faces! {
    [on_threads]
    rc_01_after_any_loss_everything_is_subscribed_again_with_one_gap,
    rc_01_without_max_attempts_it_goes_on_for_ever,
    rc_02_a_consumer_that_has_only_handlers_is_told_by_on_gap_once_a_loss,
    rc_03_confirmations_of_a_resubscription_do_not_surface_when_they_are_ignored,
    rc_03_counts_start_over_without_what_was_unsubscribed_meanwhile,
    [with_a_user]
    rc_04_a_name_that_was_refused_is_told_once_and_the_others_work,
    rc_06_a_user_that_is_deleted_ends_the_subscriber_and_the_error_says_why,
    [with_little_output]
    rc_06_an_overflow_of_the_servers_output_is_a_gap_where_it_was,
}

/// Whether the loss was noticed.
fn is_reconnecting(pubsub: &PubSub) -> bool {
    let known = pubsub.subscriptions();
    matches!(known[0].state, SubscriptionState::Reconnecting)
}

fn with_a_user(binary: &Binary) -> Setup {
    let user = "app on >secret ~* resetchannels &a &b &c +@all";
    may_block(Server::builder().binary(binary).user(user).start_or_panic())
}

fn with_little_output(binary: &Binary) -> Setup {
    let builder = Server::builder().binary(binary);
    let limit = "pubsub 256kb 0 0";
    may_block(
        builder
            .config("client-output-buffer-limit", limit)
            .start_or_panic(),
    )
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

async fn rc_01_after_any_loss_everything_is_subscribed_again_with_one_gap(case: Case) {
    let server = &case.server;
    let proxy = Proxy::to(server);
    let client = case.client_with(quick_via(&case, &proxy)).await;
    let commands = case.client_with(quick(&case.url())).await;
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
}

async fn rc_01_without_max_attempts_it_goes_on_for_ever(case: Case) {
    let proxy = Proxy::to(&case.server);
    let client = case.client_with(quick_via(&case, &proxy)).await;
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
}

async fn rc_02_a_consumer_that_has_only_handlers_is_told_by_on_gap_once_a_loss(case: Case) {
    let client = case.client_with(quick(&case.url())).await;
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
}

async fn rc_03_confirmations_of_a_resubscription_do_not_surface_when_they_are_ignored(case: Case) {
    let client = case.client_with(quick(&case.url())).await;
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
}

async fn rc_03_counts_start_over_without_what_was_unsubscribed_meanwhile(case: Case) {
    let proxy = Proxy::to(&case.server);
    let client = case.client_with(quick_via(&case, &proxy)).await;
    let mut pubsub = client.pubsub().channels(["a", "b", "c"]).await.unwrap();
    read(&mut pubsub, 3).await;
    proxy.refuse(true);
    proxy.cut();
    until("the loss is noticed", || is_reconnecting(&pubsub)).await;
    pubsub.unsubscribe("b").await.unwrap();
    // What it missed before its end is told before its end.
    let gap = next(&mut pubsub).await;
    assert_eq!(
        (short(&gap).as_str(), names(&gap)),
        ("gap Disconnected", vec!["b".to_owned()])
    );
    assert_eq!(short(&next(&mut pubsub).await), "unsubscribe b 2");
    proxy.refuse(false);
    let events = read_to_gap(&mut pubsub).await;
    assert_eq!(
        shown(&events),
        ["subscribe a 1", "subscribe c 2", "gap Disconnected"]
    );
    assert_eq!(names(&events[2]), ["a", "c"]);
    case.server.await_subscribers("b", 0);
}

async fn rc_04_a_name_that_was_refused_is_told_once_and_the_others_work(case: Case) {
    let url = case.server.url_as("app", "secret");
    let url = format!("{url}?protocol={}", case.protocol.number());
    let client = case.client_with(quick(&url)).await;
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
}

async fn rc_06_a_user_that_is_deleted_ends_the_subscriber_and_the_error_says_why(case: Case) {
    let url = case.server.url_as("app", "secret");
    let url = format!("{url}?protocol={}", case.protocol.number());
    let client = case.client_with(quick(&url)).await;
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
}

async fn rc_06_an_overflow_of_the_servers_output_is_a_gap_where_it_was(case: Case) {
    let client = case.client_with(quick(&case.url())).await;
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
}
