//! Futures that are dropped at each of their waiting points: SPEC item TH-03.

mod faults;
mod support;

use std::future::IntoFuture;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use faults::{on_each, polled, quick, soon, until};
use support::{Case, SOON, assert_quiet};
use tidings::{Client, Commands, Event, PubSub, cmd};
use tidings_testkit::{Checker, Publisher, eventually};
use tokio::task::JoinSet;

/// More polls than any of these futures takes to its end.
const MANY: usize = 1_000;

/// A hundred commands at a time get their own replies.
async fn assert_in_step(client: &Client) {
    let mut tasks = JoinSet::new();
    for n in 0..100_u32 {
        let client = client.clone();
        tasks.spawn(async move {
            assert_eq!(client.echo::<u32>(n).await.unwrap(), n);
        });
    }
    while let Some(done) = soon(tasks.join_next()).await {
        done.unwrap();
    }
}

/// These channels' messages come, each once and in order, and nothing else but confirmations.
async fn assert_receives(client: &Client, pubsub: &mut PubSub, channels: &[&str]) {
    let mut expected = Vec::new();
    for n in 0..10 {
        for channel in channels {
            assert_eq!(client.publish(channel, n).await.unwrap(), 1, "{channel}");
            expected.push(format!("{channel} {n}"));
        }
    }
    let mut received = Vec::new();
    while received.len() < expected.len() {
        match soon(pubsub.next()).await.unwrap().unwrap() {
            Event::Message(m) => received.push(format!("{} {}", m.channel_str(), m.text())),
            Event::Confirmation(_) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(received, expected);
    assert_quiet(pubsub).await;
}

/// A client and a subscriber of `held`, whose confirmation is still to be read.
async fn held(case: &Case) -> (Client, PubSub) {
    // The one of the round before has gone.
    case.server.await_subscribers("held", 0);
    let client = Client::connect(quick(&case.url())).await.unwrap();
    let pubsub = client.pubsub().channels("held").await.unwrap();
    (client, pubsub)
}

/// Drops what `$make` gives after 0, 1, 2, … polls, until it was ready before; `$check` after each.
macro_rules! at_each_poll {
    (|$polls:ident, $done:ident| $make:expr, $check:expr) => {{
        let mut completed = false;
        for $polls in 0..MANY {
            let $done = polled($make, $polls).await.is_some();
            $check;
            if $done {
                assert!($polls > 0, "nothing is ready before it was polled");
                completed = true;
                break;
            }
        }
        assert!(completed, "it came to an end");
    }};
}

#[test]
fn th_03_a_command_dropped_at_any_poll_shifts_nobodys_reply() {
    on_each(async |case| {
        let client = Client::connect(quick(&case.url())).await.unwrap();
        let large = "x".repeat(1 << 20);
        soon(client.set("large", &large)).await.unwrap();
        soon(client.set("text", "abc")).await.unwrap();
        at_each_poll!(
            |polls, done| client.echo::<String>("dropped"),
            assert_in_step(&client).await
        );
        at_each_poll!(
            |polls, done| client.get::<String>("large"),
            assert_in_step(&client).await
        );
        at_each_poll!(
            |polls, done| client.set("large", &large),
            assert_in_step(&client).await
        );
        at_each_poll!(
            |polls, done| client.publish("nobody", 1),
            assert_in_step(&client).await
        );
        at_each_poll!(|polls, done| client.ping(), assert_in_step(&client).await);
        // An error reply, a nested reply, and one that is not of the type asked for.
        at_each_poll!(
            |polls, done| client.incr("text"),
            assert_in_step(&client).await
        );
        at_each_poll!(
            |polls, done| client.run::<tidings::Value>(cmd("COMMAND").arg("INFO").arg("GET")),
            assert_in_step(&client).await
        );
        at_each_poll!(
            |polls, done| client.get::<i64>("text"),
            assert_in_step(&client).await
        );
        at_each_poll!(
            |polls, done| client.run::<()>(cmd("SELECT").arg(1)),
            assert_in_step(&client).await
        );
    });
}

#[test]
fn th_03_many_commands_dropped_at_random_among_others_shift_nobodys_reply() {
    on_each(async |case| {
        let client = Client::connect(quick(&case.url())).await.unwrap();
        let mut tasks = JoinSet::new();
        for task in 0..16_u32 {
            let client = client.clone();
            tasks.spawn(async move {
                for n in 0..50 {
                    let own = task * 1_000 + n;
                    match fastrand::u32(0..3) {
                        0 => drop(polled(client.echo::<u32>(own), fastrand::usize(0..3)).await),
                        1 => {
                            let wait = Duration::from_micros(fastrand::u64(0..500));
                            let reply = tokio::time::timeout(wait, client.echo::<u32>(own)).await;
                            assert!(reply.is_err() || reply.unwrap().unwrap() == own);
                        }
                        _ => assert_eq!(client.echo::<u32>(own).await.unwrap(), own),
                    }
                }
            });
        }
        while let Some(done) = soon(tasks.join_next()).await {
            done.unwrap();
        }
        assert_in_step(&client).await;
    });
}

#[test]
fn th_03_a_command_dropped_while_it_waits_for_room_is_never_sent() {
    const FILLERS: usize = 48;
    on_each(async |case| {
        let client = Client::connect(quick(&case.url())).await.unwrap();
        let frozen = case.server.freeze();
        let mut fillers = JoinSet::new();
        for n in 0..FILLERS {
            let client = client.clone();
            fillers
                .spawn(async move { client.set(format!("filler:{n}"), "x".repeat(1 << 20)).await });
        }
        // As soon as the mailbox is full, nothing is taken any more.
        let mut waiting = 0;
        for _ in 0..100 {
            tokio::task::yield_now().await;
            waiting += usize::from(polled(client.incr("dropped"), 1).await.is_none());
        }
        assert_eq!(waiting, 100);
        drop(frozen);
        while let Some(done) = soon(fillers.join_next()).await {
            done.unwrap().unwrap();
        }
        assert_in_step(&client).await;
        let ran = soon(client.get::<Option<u32>>("dropped"))
            .await
            .unwrap()
            .unwrap_or(0);
        assert!(ran < 100, "{ran} of 100 that were dropped ran");
    });
}

#[test]
fn th_03_connect_dropped_at_any_poll_leaves_no_connection_behind() {
    on_each(async |case| {
        let clients = || case.server.cli(["CLIENT", "LIST"]).lines().count();
        for polls in 0..MANY {
            let done = polled(Client::connect(quick(&case.url())), polls)
                .await
                .is_some();
            eventually("only the test's own connection is left", || clients() == 1);
            if done {
                assert!(polls > 0);
                return;
            }
        }
        panic!("it never came to an end");
    });
}

#[test]
fn th_03_opening_a_subscriber_dropped_at_any_poll_leaves_nothing_behind() {
    on_each(async |case| {
        let client = Client::connect(quick(&case.url())).await.unwrap();
        let clients = || case.server.cli(["CLIENT", "LIST"]).lines().count();
        at_each_poll!(
            |polls, done| client
                .pubsub()
                .channels("news")
                .patterns("n*")
                .into_future(),
            {
                case.server.await_subscribers("news", 0);
                eventually("the client's connection is left", || clients() == 2);
                assert_in_step(&client).await;
            }
        );
    });
}

#[test]
fn th_03_subscribe_dropped_at_any_poll_stands_once_it_was_polled() {
    on_each(async |case| {
        for kind in ["subscribe", "psubscribe", "ssubscribe", "subscribe_with"] {
            for polls in 0..MANY {
                let (client, mut pubsub) = held(&case).await;
                let done = match kind {
                    "subscribe" => polled(pubsub.subscribe("new"), polls).await.is_some(),
                    "psubscribe" => polled(pubsub.psubscribe("new*"), polls).await.is_some(),
                    "ssubscribe" => polled(pubsub.ssubscribe("new"), polls).await.is_some(),
                    _ => polled(pubsub.subscribe_with("new", |_| ()), polls)
                        .await
                        .is_some(),
                };
                assert_eq!(
                    pubsub.subscriptions().len(),
                    1 + polls.min(1),
                    "{kind}, {polls}"
                );
                if polls > 0 {
                    let confirmed = || {
                        let all = pubsub.subscriptions();
                        all.iter()
                            .all(|one| matches!(one.state, tidings::SubscriptionState::Confirmed))
                    };
                    until("it is confirmed", confirmed).await;
                }
                let channels: &[&str] = match kind {
                    "subscribe" | "psubscribe" if polls > 0 => &["held", "new"],
                    _ => &["held"],
                };
                assert_receives(&client, &mut pubsub, channels).await;
                if done {
                    break;
                }
            }
        }
    });
}

#[test]
fn th_03_unsubscribe_dropped_at_any_poll_stands_once_it_was_polled() {
    on_each(async |case| {
        for kind in [
            "unsubscribe",
            "unsubscribe_all",
            "punsubscribe",
            "punsubscribe_all",
        ] {
            for polls in 0..MANY {
                let (client, mut pubsub) = held(&case).await;
                pubsub.subscribe("kept").await.unwrap();
                pubsub.psubscribe("p*").await.unwrap();
                let done = match kind {
                    "unsubscribe" => polled(pubsub.unsubscribe("held"), polls).await.is_some(),
                    "unsubscribe_all" => polled(pubsub.unsubscribe_all(), polls).await.is_some(),
                    "punsubscribe" => polled(pubsub.punsubscribe("p*"), polls).await.is_some(),
                    _ => polled(pubsub.punsubscribe_all(), polls).await.is_some(),
                };
                let expected: &[&str] = match kind {
                    _ if polls == 0 => &["held", "kept", "pp"],
                    "unsubscribe" => &["kept", "pp"],
                    "unsubscribe_all" => &["pp"],
                    _ => &["held", "kept"],
                };
                let open = expected.len();
                until("the server has ended it", || {
                    pubsub.subscriptions().len() == open
                })
                .await;
                assert_receives(&client, &mut pubsub, expected).await;
                // And it can be subscribed again.
                pubsub.subscribe(["held", "kept"]).await.unwrap();
                pubsub.psubscribe("p*").await.unwrap();
                assert_receives(&client, &mut pubsub, &["held", "kept", "pp"]).await;
                if done {
                    break;
                }
            }
        }
    });
}

#[test]
fn th_03_ping_dropped_at_any_poll_leaves_the_subscriber_in_step() {
    on_each(async |case| {
        let (client, mut pubsub) = held(&case).await;
        at_each_poll!(|polls, done| pubsub.ping(), {
            assert_receives(&client, &mut pubsub, &["held"]).await;
            soon(pubsub.ping()).await.unwrap();
        });
    });
}

#[test]
fn th_03_drain_dropped_at_any_poll_has_unsubscribed_once_it_was_polled() {
    on_each(async |case| {
        for polls in 0..MANY {
            let (client, mut pubsub) = held(&case).await;
            assert_eq!(client.publish("held", "before").await.unwrap(), 1);
            let done = polled(pubsub.drain(), polls).await.is_some();
            if polls == 0 {
                support::read(&mut pubsub, 2).await;
                assert_receives(&client, &mut pubsub, &["held"]).await;
                continue;
            }
            case.server.await_subscribers("held", 0);
            let mut seen = Vec::new();
            while let Some(event) = soon(pubsub.next()).await {
                seen.push(support::short(&event.unwrap()));
            }
            assert_eq!(
                seen,
                [
                    "subscribe held 1",
                    "message held before",
                    "unsubscribe held 0"
                ]
            );
            assert_in_step(&client).await;
            if done {
                return;
            }
        }
        panic!("it never came to an end");
    });
}

#[test]
fn th_03_close_dropped_at_any_poll_has_closed_once_it_was_polled() {
    on_each(async |case| {
        for polls in 0..MANY {
            let (client, mut pubsub) = held(&case).await;
            let done = polled(pubsub.close(), polls).await.is_some();
            if polls == 0 {
                assert_receives(&client, &mut pubsub, &["held"]).await;
                continue;
            }
            case.server.await_subscribers("held", 0);
            assert!(
                pubsub
                    .get_message(Duration::ZERO)
                    .await
                    .unwrap_err()
                    .is_misuse()
            );
            assert_in_step(&client).await;
            if done {
                return;
            }
        }
        panic!("it never came to an end");
    });
}

#[test]
fn th_03_reads_dropped_at_any_poll_take_nothing() {
    on_each(async |case| {
        let client = Client::connect(quick(&case.url())).await.unwrap();
        let mut pubsub = client
            .pubsub()
            .channels("news")
            .ignore_subscribe_messages(true)
            .await
            .unwrap();
        let publisher = Publisher::to(&case.server)
            .channels(["news"])
            .rate(5_000)
            .start();
        let mut publisher = Some(publisher);
        let mut checker = Checker::new();
        let mut published = None;
        let mut dropped = 0;
        while published
            .as_ref()
            .is_none_or(|published| !checker.has_reached(published))
        {
            let polls = fastrand::usize(1..3);
            let event = match fastrand::u32(0..3) {
                0 => polled(pubsub.next(), polls)
                    .await
                    .map(|event| event.unwrap().unwrap()),
                1 => polled(pubsub.get_message(SOON), polls)
                    .await
                    .and_then(Result::unwrap),
                _ => polled(pubsub.next_message(SOON), polls)
                    .await
                    .and_then(Result::unwrap),
            };
            match event {
                Some(Event::Message(message)) => {
                    checker.on_payload(message.channel(), message.payload());
                }
                Some(other) => panic!("{other:?}"),
                None => dropped += 1,
            }
            if published.is_none() && checker.highest("news") > 500 && dropped > 100 {
                published = publisher.take().map(Publisher::stop);
            }
        }
        let report = checker.finish(&published.unwrap());
        report.assert_passed();
        assert_eq!((report.lost, report.gaps), (0, 0));
    });
}

#[test]
fn th_03_an_asynchronous_handler_goes_on_after_the_read_that_ran_it_was_dropped() {
    const MESSAGES: usize = 50;
    on_each(async |case| {
        let (client, mut pubsub) = held(&case).await;
        let handled = Arc::new(Mutex::new(Vec::new()));
        let book = Arc::clone(&handled);
        pubsub
            .subscribe_with_async("work", move |message| {
                let book = Arc::clone(&book);
                async move {
                    for _ in 0..3 {
                        tokio::task::yield_now().await;
                    }
                    book.lock().unwrap().push(message.text().into_owned());
                }
            })
            .await
            .unwrap();
        for n in 0..MESSAGES {
            client.publish("work", n).await.unwrap();
        }
        until("all is received", || {
            pubsub.stats().received == MESSAGES as u64
        })
        .await;
        while handled.lock().unwrap().len() < MESSAGES {
            drop(polled(pubsub.get_message(SOON), 1).await);
        }
        let expected: Vec<String> = (0..MESSAGES).map(|n| n.to_string()).collect();
        assert_eq!(*handled.lock().unwrap(), expected);
        assert_receives(&client, &mut pubsub, &["held"]).await;
    });
}
