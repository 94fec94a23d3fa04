//! Many subscribers on one connection: SPEC items SB.

mod support;

use std::time::Duration;

use support::{COUNTED, Case, QUIET, SOON, error, eventually, on_each, short};
use tidings::{Client, Commands, ErrorKind, Event, FromPayload, GapCause, Overflow, Subscription};

async fn next<P: FromPayload>(subscription: &mut Subscription<P>) -> Event<P> {
    tokio::time::timeout(SOON, subscription.next())
        .await
        .expect("an event comes")
        .expect("the stream goes on")
        .expect("the event is no error")
}

async fn assert_quiet(subscription: &mut Subscription) {
    let event = subscription.get_message(QUIET).await;
    assert!(
        matches!(event, Ok(None)),
        "nothing was to come, but {event:?}"
    );
}

async fn assert_ended(subscription: &mut Subscription) {
    let end = tokio::time::timeout(SOON, subscription.next()).await;
    let end = end.expect("it ends");
    assert!(end.is_none(), "it was to end, but {end:?}");
}

/// How often the server was asked to (un)subscribe.
fn asked(case: &Case) -> Vec<String> {
    let mut commands = case.commands_run();
    commands.retain(|command| command.contains("subscribe"));
    commands
}

#[test]
fn sb_01_each_subscription_has_its_own_stream_over_one_connection() {
    on_each(async |case| {
        let client = case.counted_client().await;
        let mut both = client.subscribe(["news", "weather"]).await.unwrap();
        let mut news = client.subscribe("news").await.unwrap();
        let mut any = client.psubscribe("n*").await.unwrap();
        assert_eq!(
            case.connections(),
            2,
            "one for commands, one for subscriptions"
        );
        assert_eq!(client.publish("news", "a").await.unwrap(), 2);
        assert_eq!(client.publish("weather", "b").await.unwrap(), 1);
        assert_eq!(short(&next(&mut both).await), "message news a");
        assert_eq!(short(&next(&mut both).await), "message weather b");
        assert_eq!(short(&next(&mut news).await), "message news a");
        assert_eq!(short(&next(&mut any).await), "pmessage n* news a");
        for subscription in [&mut both, &mut news, &mut any] {
            assert_quiet(subscription).await;
        }
    });
}

#[test]
fn sb_02_the_server_sees_one_subscription_for_a_name_until_the_last_is_dropped() {
    on_each(async |case| {
        let client = case.client().await;
        case.forget_commands();
        let making = (0..20).map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.subscribe("news").await })
        });
        let mut made = Vec::new();
        for making in making.collect::<Vec<_>>() {
            made.push(making.await.unwrap().unwrap());
        }
        assert_eq!(asked(&case), ["subscribe 1"]);
        client.publish("news", "all").await.unwrap();
        for subscription in &mut made {
            assert_eq!(short(&next(subscription).await), "message news all");
        }
        let last = made.pop();
        drop(made);
        case.await_subscribers("news", 1).await;
        assert_eq!(asked(&case), ["subscribe 1"]);
        drop(last);
        case.await_subscribers("news", 0).await;
        assert_eq!(asked(&case), ["subscribe 1", "unsubscribe 1"]);
    });
}

#[test]
fn sb_02_the_payload_is_shared() {
    on_each(async |case| {
        let client = case.client().await;
        let mut one = client.subscribe("news").await.unwrap();
        let mut other = client.subscribe("news").await.unwrap();
        let payload = "x".repeat(10_000);
        client.publish("news", &payload).await.unwrap();
        let one = next(&mut one).await.into_message().unwrap();
        let other = next(&mut other).await.into_message().unwrap();
        assert_eq!(one.payload(), &payload);
        assert_eq!(one.payload().as_ptr(), other.payload().as_ptr());
    });
}

#[test]
fn sb_02_a_channel_a_pattern_and_a_shard_channel_of_one_name_are_three() {
    on_each(async |case| {
        let client = case.client().await;
        let mut channel = client.subscribe("n").await.unwrap();
        let mut pattern = client.psubscribe("n").await.unwrap();
        let mut shard = client.ssubscribe("n").await.unwrap();
        assert_eq!(client.publish("n", "plain").await.unwrap(), 2);
        assert_eq!(client.spublish("n", "sharded").await.unwrap(), 1);
        assert_eq!(short(&next(&mut channel).await), "message n plain");
        assert_eq!(short(&next(&mut pattern).await), "pmessage n n plain");
        assert_eq!(short(&next(&mut shard).await), "smessage n sharded");
        drop(pattern);
        eventually("the pattern is gone", || {
            case.server.cli(["PUBSUB", "NUMPAT"]) == "0"
        })
        .await;
        assert_eq!(client.publish("n", "plain").await.unwrap(), 1);
        assert_eq!(short(&next(&mut channel).await), "message n plain");
        assert_quiet(&mut shard).await;
    });
}

#[test]
fn sb_02_who_comes_later_receives_nothing_of_before() {
    on_each(async |case| {
        let client = case.client().await;
        let mut first = client.subscribe("n").await.unwrap();
        for round in 0..200 {
            client
                .publish("n", format!("{round} before"))
                .await
                .unwrap();
            let mut later = client.subscribe("n").await.unwrap();
            client.publish("n", format!("{round} after")).await.unwrap();
            let event = short(&next(&mut later).await);
            assert_eq!(event, format!("message n {round} after"));
        }
        for round in 0..200 {
            for part in ["before", "after"] {
                let event = short(&next(&mut first).await);
                assert_eq!(event, format!("message n {round} {part}"));
            }
        }
    });
}

#[test]
fn sb_02_a_subscription_dropped_while_it_is_made_leaves_nothing_behind() {
    on_each(async |case| {
        let client = case.client().await;
        let kept = client.subscribe("kept").await.unwrap();
        for polls in 0..4 {
            let mut making = Box::pin(async { client.subscribe(["kept", "given-up"]).await });
            for _ in 0..polls {
                let ready = std::future::poll_fn(|cx| {
                    std::task::Poll::Ready(making.as_mut().poll(cx).is_ready())
                });
                if ready.await {
                    break;
                }
                tokio::task::yield_now().await;
            }
            drop(making);
            case.await_subscribers("given-up", 0).await;
        }
        // It is wanted again at once after it was given up.
        for _ in 0..100 {
            let mut making = Box::pin(async { client.subscribe("again").await });
            let _ = tokio::time::timeout(Duration::ZERO, &mut making).await;
            drop(making);
            let mut again = client.subscribe("again").await.unwrap();
            assert_eq!(client.publish("again", "hello").await.unwrap(), 1);
            assert_eq!(short(&next(&mut again).await), "message again hello");
        }
        case.await_subscribers("again", 0).await;
        drop(kept);
        case.await_subscribers("kept", 0).await;
    });
}

#[test]
fn sb_01_a_loss_is_a_gap_for_each_before_its_next_message() {
    on_each(async |case| {
        let client = case.client().await;
        let mut both = client.subscribe(["a", "b"]).await.unwrap();
        let mut only = client.subscribe("a").await.unwrap();
        let mut pattern = client.psubscribe("*").await.unwrap();
        assert!(case.kill_subscribers() > 0);
        for subscription in [&mut both, &mut only, &mut pattern] {
            let event = next(subscription).await;
            let gap = event.gap().expect("a gap");
            assert_eq!(gap.cause(), GapCause::Disconnected);
            let told: Vec<&[u8]> = gap.names().collect();
            assert_eq!(told, subscription.names().collect::<Vec<_>>());
        }
        let mut late = client.subscribe("a").await.unwrap();
        assert_eq!(client.publish("a", "x").await.unwrap(), 2);
        for subscription in [&mut both, &mut only, &mut late] {
            assert_eq!(short(&next(subscription).await), "message a x");
        }
        assert_eq!(both.stats().reconnects, 1);
        assert_eq!(both.stats().gaps, 1);
        assert_eq!(late.stats().gaps, 0);
    });
}

#[test]
fn sb_01_a_refused_name_is_an_error_for_all_who_want_it_and_spoils_no_other() {
    on_each(async |case| {
        case.server.cli([
            "ACL",
            "SETUSER",
            "few",
            "on",
            ">pw",
            "+@all",
            "resetchannels",
            "&open*",
        ]);
        let url = case.url().replace("redis://", "redis://few:pw@");
        let client = Client::connect(url).await.unwrap();
        let mut open = client.subscribe("open").await.unwrap();
        let making = (0..3).map(|_| client.subscribe(["open", "secret"]));
        for making in making {
            let refused = error(making.await);
            assert_eq!(refused.kind(), ErrorKind::Server);
            assert!(refused.to_string().contains("secret"), "{refused}");
            assert_eq!(refused.code(), Some("NOPERM"));
        }
        assert_eq!(client.publish("open", "x").await.unwrap(), 1);
        assert_eq!(short(&next(&mut open).await), "message open x");
        drop(open);
        case.await_subscribers("open", 0).await;
    });
}

#[test]
fn sb_01_drained_it_gives_what_was_sent_before_and_ends() {
    on_each(async |case| {
        let client = case.client().await;
        let mut stays = client.subscribe("n").await.unwrap();
        let mut goes = client.subscribe("n").await.unwrap();
        for number in 0..10 {
            client.publish("n", number).await.unwrap();
        }
        goes.drain().await.unwrap();
        client.publish("n", "later").await.unwrap();
        for number in 0..10 {
            assert_eq!(short(&next(&mut goes).await), format!("message n {number}"));
            assert_eq!(
                short(&next(&mut stays).await),
                format!("message n {number}")
            );
        }
        assert_ended(&mut goes).await;
        let ended = error(goes.get_message(Duration::ZERO).await);
        assert_eq!(ended.kind(), ErrorKind::Closed);
        assert_eq!(short(&next(&mut stays).await), "message n later");
        stays.drain().await.unwrap();
        assert_ended(&mut stays).await;
        case.await_subscribers("n", 0).await;
    });
}

#[test]
fn sb_01_it_outlives_its_client_and_the_connection_ends_with_the_last() {
    on_each(async |case| {
        let url = format!("{}&{COUNTED}", case.url());
        let client = Client::connect(url).await.unwrap();
        let mut one = client.subscribe("n").await.unwrap();
        let other = client.subscribe("m").await.unwrap();
        drop(client);
        eventually("commands have no connection", || case.connections() == 1).await;
        case.server.cli(["PUBLISH", "n", "x"]);
        assert_eq!(short(&next(&mut one).await), "message n x");
        drop((one, other));
        eventually("nothing is left", || case.connections() == 0).await;
    });
}

#[test]
fn qu_02_a_subscription_that_does_not_read_loses_exactly_what_it_is_told_and_holds_up_nobody() {
    const MESSAGES: usize = 1000;
    on_each(async |case| {
        let client = case.client().await;
        let mut stalled = client.subscribe("n").queue(10, 1 << 20).await.unwrap();
        let mut newest = client
            .subscribe("n")
            .queue(10, 1 << 20)
            .overflow(Overflow::DropNewest)
            .await
            .unwrap();
        let mut closes = client
            .subscribe("n")
            .queue(10, 1 << 20)
            .overflow(Overflow::Close)
            .await
            .unwrap();
        let mut reads = client.subscribe("n").await.unwrap();
        for number in 0..MESSAGES {
            client.publish("n", number).await.unwrap();
            assert_eq!(
                short(&next(&mut reads).await),
                format!("message n {number}")
            );
        }
        let lost = |event: Event| event.gap().expect("a gap").dropped();
        assert_eq!(lost(next(&mut stalled).await), Some(MESSAGES as u64 - 10));
        for number in MESSAGES - 10..MESSAGES {
            assert_eq!(
                short(&next(&mut stalled).await),
                format!("message n {number}")
            );
        }
        for number in 0..10 {
            assert_eq!(
                short(&next(&mut newest).await),
                format!("message n {number}")
            );
            assert_eq!(
                short(&next(&mut closes).await),
                format!("message n {number}")
            );
        }
        assert_eq!(lost(next(&mut newest).await), Some(MESSAGES as u64 - 10));
        assert_eq!(lost(next(&mut closes).await), Some(1));
        let end = closes.next().await.expect("why it ends");
        assert_eq!(error(end).kind(), ErrorKind::Overflow);
        assert_ended(&mut closes).await;
        let refused = error(client.subscribe("n").overflow(Overflow::Backpressure).await);
        assert_eq!(refused.kind(), ErrorKind::Misuse);
    });
}

#[test]
fn sb_03_subscriptions_of_one_channel_come_and_go_in_linear_time() {
    const MANY: usize = 20_000;
    on_each(async |case| {
        let client = case.client().await;
        let mut all = Vec::new();
        for _ in 0..MANY {
            all.push(tokio::spawn({
                let client = client.clone();
                async move { client.subscribe("n").await }
            }));
        }
        let mut made = Vec::new();
        for making in all {
            made.push(making.await.unwrap().unwrap());
        }
        client.publish("n", "x").await.unwrap();
        for subscription in &mut made {
            assert_eq!(short(&next(subscription).await), "message n x");
        }
        // The first come first: the worst order for a list.
        made.into_iter().for_each(drop);
        case.await_subscribers("n", 0).await;
    });
}
