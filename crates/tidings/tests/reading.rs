//! The ways of reading, on real servers: SPEC items IG, GM, IT.

mod support;

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use futures_core::Stream;
use support::{Case, SOON, assert_quiet, error, eventually, next, on_each, read, short};
use tidings::{Client, Commands, Config, Event, PubSub, Result};

/// What a read waits for in vain.
const SHORT: Duration = Duration::from_millis(60);

/// A PubSub that has read the confirmations of its channels.
async fn subscribed<const N: usize>(client: &Client, channels: [&str; N]) -> PubSub {
    let mut pubsub = client.pubsub().channels(channels).await.unwrap();
    for event in read(&mut pubsub, N).await {
        assert!(event.starts_with("subscribe "), "{event}");
    }
    pubsub
}

/// The outcome of a read in short, and how long it took.
async fn timed(read: impl Future<Output = Result<Option<Event>>>) -> (Option<String>, Duration) {
    let start = Instant::now();
    let event = tokio::time::timeout(SOON, read)
        .await
        .expect("a read ends")
        .expect("the read is no error");
    (event.as_ref().map(short), start.elapsed())
}

/// Publishes a little later, while something else waits.
fn publish_later(client: &Client, channel: &'static str, payload: &'static str) {
    let client = client.clone();
    tokio::spawn(async move {
        tokio::time::sleep(SHORT / 3).await;
        client.publish(channel, payload).await.unwrap();
    });
}

// ---- IG-01 ----

#[test]
fn ig_01_ignored_confirmations_update_the_state_and_do_not_surface() {
    on_each(async |case| {
        let client = case.client().await;
        let mut pubsub = client
            .pubsub()
            .channels(["a", "b"])
            .ignore_subscribe_messages(true)
            .await
            .unwrap();
        pubsub.psubscribe("p*").await.unwrap();
        pubsub.unsubscribe("b").await.unwrap();
        assert_eq!(pubsub.channels(), ["a"]);
        assert_eq!(pubsub.patterns(), ["p*"]);
        // One answer for each of the four, at once, and the fifth waits in vain.
        for _ in 0..4 {
            let (event, took) = timed(pubsub.get_message(SOON)).await;
            assert_eq!(event, None);
            assert!(took < SOON / 2, "{took:?}");
        }
        let (event, took) = timed(pubsub.get_message(SHORT)).await;
        assert_eq!(event, None);
        assert!(took >= SHORT, "{took:?}");

        pubsub.subscribe("c").await.unwrap();
        client.publish("c", "1").await.unwrap();
        pubsub.unsubscribe("c").await.unwrap();
        client.publish("a", "2").await.unwrap();
        assert_eq!(read(&mut pubsub, 2).await, ["message c 1", "message a 2"]);
        pubsub.unsubscribe_all().await.unwrap();
        pubsub.punsubscribe_all().await.unwrap();
        let end = tokio::time::timeout(SOON, pubsub.next()).await;
        assert!(matches!(end, Ok(None)), "{end:?}");
    });
}

#[test]
fn ig_01_gaps_always_surface() {
    on_each(async |case| {
        let client = case.client().await;
        let mut pubsub = client
            .pubsub()
            .channels(["a", "b"])
            .ignore_subscribe_messages(true)
            .await
            .unwrap();
        for _ in 0..2 {
            assert_eq!(case.kill_subscribers(), 1);
            assert_eq!(read(&mut pubsub, 1).await, ["gap Disconnected"]);
        }
        client.publish("b", "x").await.unwrap();
        assert_eq!(read(&mut pubsub, 1).await, ["message b x"]);
        assert_eq!(pubsub.stats().gaps, 2);
    });
}

// ---- GM-01 ----

#[test]
fn gm_01_zero_gives_what_is_there_now_without_waiting() {
    on_each(async |case| {
        let client = case.client().await;
        let mut pubsub = subscribed(&client, ["a"]).await;
        let (event, took) = timed(pubsub.get_message(Duration::ZERO)).await;
        assert_eq!(event, None);
        assert!(took < SOON / 10, "{took:?}");
        for n in 0..50 {
            client.publish("a", n).await.unwrap();
            // The answer comes behind the message.
            pubsub.ping().await.unwrap();
            let (event, _) = timed(pubsub.get_message(Duration::ZERO)).await;
            assert_eq!(event, Some(format!("message a {n}")));
            let (event, _) = timed(pubsub.get_message(Duration::ZERO)).await;
            assert_eq!(event, None);
        }
        // A loop of nothing but this gets what comes: it lets the connection be read.
        client.publish("a", "x").await.unwrap();
        let start = Instant::now();
        while pubsub.get_message(Duration::ZERO).await.unwrap().is_none() {
            assert!(start.elapsed() < SOON);
        }
    });
}

#[test]
fn gm_01_a_time_is_waited_for_at_most() {
    on_each(async |case| {
        let client = case.client().await;
        let mut pubsub = subscribed(&client, ["a"]).await;
        let (event, took) = timed(pubsub.get_message(SHORT)).await;
        assert_eq!(event, None);
        assert!((SHORT..SOON / 2).contains(&took), "{took:?}");
        publish_later(&client, "a", "later");
        let (event, took) = timed(pubsub.get_message(SOON)).await;
        assert_eq!(event.as_deref(), Some("message a later"));
        assert!(took < SOON / 2, "{took:?}");
        // The longest time there is.
        publish_later(&client, "a", "at last");
        let (event, _) = timed(pubsub.get_message(Duration::MAX)).await;
        assert_eq!(event.as_deref(), Some("message a at last"));
        publish_later(&client, "a", "and again");
        let (event, _) = timed(pubsub.next_message(Duration::MAX)).await;
        assert_eq!(event.as_deref(), Some("message a and again"));
    });
}

#[test]
fn gm_01_a_read_that_is_dropped_has_taken_nothing() {
    on_each(async |case| {
        let client = case.client().await;
        let mut pubsub = subscribed(&client, ["a"]).await;
        for n in 0..20 {
            let dropped = tokio::time::timeout(Duration::from_millis(1), pubsub.get_message(SOON));
            assert!(dropped.await.is_err());
            client.publish("a", n).await.unwrap();
            assert_eq!(read(&mut pubsub, 1).await, [format!("message a {n}")]);
        }
    });
}

// ---- GM-02 ----

#[test]
fn gm_02_without_a_subscription_it_waits_and_answers_none() {
    on_each(async |case| {
        let client = case.client().await;
        let mut pubsub = client.pubsub().await.unwrap();
        // Before any subscription …
        assert_eq!(timed(pubsub.get_message(Duration::ZERO)).await.0, None);
        let (event, took) = timed(pubsub.get_message(SHORT)).await;
        assert_eq!(event, None);
        assert!(took >= SHORT, "{took:?}");
        let (event, took) = timed(pubsub.next_message(SHORT)).await;
        assert_eq!(event, None);
        assert!(took >= SHORT, "{took:?}");
        // … one that comes meanwhile is read …
        let handle = pubsub.handle();
        tokio::spawn(async move { handle.subscribe("a").await });
        let (event, _) = timed(pubsub.get_message(SOON)).await;
        assert_eq!(event.as_deref(), Some("subscribe a 1"));
        // … and after the last.
        pubsub.unsubscribe("a").await.unwrap();
        let (event, _) = timed(pubsub.get_message(SHORT)).await;
        assert_eq!(event.as_deref(), Some("unsubscribe a 0"));
        for _ in 0..2 {
            let (event, took) = timed(pubsub.get_message(SHORT)).await;
            assert_eq!(event, None);
            assert!(took >= SHORT, "{took:?}");
        }
        pubsub.subscribe("b").await.unwrap();
        client.publish("b", "x").await.unwrap();
        assert_eq!(read(&mut pubsub, 2).await, ["subscribe b 1", "message b x"]);
    });
}

// ---- GM-03 ----

#[test]
fn gm_03_next_message_passes_over_confirmations_and_handled_messages() {
    on_each(async |case| {
        let client = case.client().await;
        let mut pubsub = client.pubsub().channels(["a", "b"]).await.unwrap();
        pubsub.subscribe_with("handled", |_| ()).await.unwrap();
        for channel in ["handled", "handled", "a", "handled"] {
            client.publish(channel, "x").await.unwrap();
        }
        pubsub.unsubscribe("b").await.unwrap();
        let (event, _) = timed(pubsub.next_message(SOON)).await;
        assert_eq!(event.as_deref(), Some("message a x"));
        assert_eq!(timed(pubsub.next_message(Duration::ZERO)).await.0, None);
        assert_eq!(pubsub.stats().delivered, 4);

        // It is the same with time zero, for what is there already.
        for channel in ["handled", "a"] {
            client.publish(channel, "y").await.unwrap();
        }
        pubsub.ping().await.unwrap();
        let (event, _) = timed(pubsub.next_message(Duration::ZERO)).await;
        assert_eq!(event.as_deref(), Some("message a y"));

        // A gap is no confirmation.
        assert_eq!(case.kill_subscribers(), 1);
        let (event, _) = timed(pubsub.next_message(SOON)).await;
        assert_eq!(event.as_deref(), Some("gap Disconnected"));
        assert_eq!(timed(pubsub.next_message(SHORT)).await.0, None);
    });
}

#[test]
fn gm_03_next_message_waits_the_whole_time_whatever_it_passes_over() {
    on_each(async |case| {
        let client = case.client().await;
        let mut pubsub = client.pubsub().channels(["a", "b"]).await.unwrap();
        pubsub.subscribe_with("handled", |_| ()).await.unwrap();
        client.publish("handled", "now").await.unwrap();
        publish_later(&client, "handled", "later");
        let (event, took) = timed(pubsub.next_message(2 * SHORT)).await;
        assert_eq!(event, None);
        assert!(took >= 2 * SHORT, "{took:?}");
        assert_eq!(pubsub.stats().delivered, 2);

        // A message behind them is not missed for their sake.
        pubsub.subscribe("c").await.unwrap();
        client.publish("handled", "now").await.unwrap();
        publish_later(&client, "a", "later");
        let (event, took) = timed(pubsub.next_message(SOON)).await;
        assert_eq!(event.as_deref(), Some("message a later"));
        assert!(took < SOON / 2, "{took:?}");
    });
}

// ---- GM-04 ----

/// Waits for longer than any time that is set, twice, and then receives a message over the same connection.
async fn stay_quiet(case: &Case, ping_interval: Duration) -> tidings::Stats {
    const LIMIT: Duration = Duration::from_millis(40);
    let config = Config::from_url(&case.url())
        .unwrap()
        .response_timeout(LIMIT)
        .ping_interval(ping_interval);
    let client = Client::connect(config).await.unwrap();
    let mut pubsub = subscribed(&client, ["a"]).await;
    let ids = case.subscriber_ids();
    let (event, took) = timed(pubsub.get_message(4 * LIMIT)).await;
    assert_eq!(event, None);
    assert!(took >= 4 * LIMIT, "{took:?}");
    let waiting = tokio::time::timeout(4 * LIMIT, pubsub.next()).await;
    assert!(waiting.is_err(), "{waiting:?}");
    case.server.admin(["PUBLISH", "a", "x"]);
    assert_eq!(read(&mut pubsub, 1).await, ["message a x"]);
    assert_eq!(case.subscriber_ids(), ids);
    let stats = pubsub.stats();
    assert_eq!(stats.reconnects, 0);
    drop(pubsub);
    case.await_subscribers("a", 0).await;
    stats
}

#[test]
fn gm_04_a_quiet_channel_never_times_out() {
    on_each(async |case| {
        let pinged = stay_quiet(&case, Duration::from_millis(20)).await;
        assert!(pinged.last_pong.is_some());
        let alone = stay_quiet(&case, Duration::from_secs(1000)).await;
        assert!(alone.last_pong.is_none());
    });
}

// ---- IT-01 ----

#[test]
fn it_01_it_is_a_stream_that_waits_for_the_next_event() {
    fn stream<S: Stream<Item = Result<Event>> + Unpin>(_: &S) {}
    on_each(async |case| {
        let client = case.client().await;
        let mut pubsub = subscribed(&client, ["a"]).await;
        stream(&pubsub);
        let first = poll_fn(|cx| Poll::Ready(Pin::new(&mut pubsub).poll_next(cx))).await;
        assert!(first.is_pending(), "{first:?}");
        publish_later(&client, "a", "x");
        let event = poll_fn(|cx| Pin::new(&mut pubsub).poll_next(cx));
        let event = tokio::time::timeout(SOON, event).await.unwrap();
        assert_eq!(short(&event.unwrap().unwrap()), "message a x");
        let next = poll_fn(|cx| Poll::Ready(Pin::new(&mut pubsub).poll_next(cx))).await;
        assert!(next.is_pending(), "{next:?}");
    });
}

#[test]
fn it_01_the_stream_yields_events_in_order_however_it_is_read() {
    on_each(async |case| {
        let client = case.client().await;
        let mut pubsub = client.pubsub().channels("a").await.unwrap();
        for n in 0..4 {
            client.publish("a", n).await.unwrap();
        }
        pubsub.unsubscribe("a").await.unwrap();
        let mut events = read(&mut pubsub, 1).await;
        events.extend(timed(pubsub.get_message(SOON)).await.0);
        let next = poll_fn(|cx| Pin::new(&mut pubsub).poll_next(cx)).await;
        events.push(short(&next.unwrap().unwrap()));
        events.extend(timed(pubsub.next_message(SOON)).await.0);
        events.extend(timed(pubsub.get_message(Duration::ZERO)).await.0);
        while let Some(event) = pubsub.next().await {
            events.push(short(&event.unwrap()));
        }
        assert_eq!(
            events,
            [
                "subscribe a 1",
                "message a 0",
                "message a 1",
                "message a 2",
                "message a 3",
                "unsubscribe a 0"
            ]
        );
    });
}

// ---- IT-02 ----

#[test]
fn it_02_what_is_queued_comes_before_the_last_confirmation_and_then_the_end() {
    on_each(async |case| {
        let client = case.client().await;
        for ignored in [false, true] {
            let mut pubsub = client
                .pubsub()
                .channels(["a", "b"])
                .ignore_subscribe_messages(ignored)
                .await
                .unwrap();
            let mut expected = Vec::new();
            for n in 0..300 {
                let channel = ["a", "b"][n % 2];
                client.publish(channel, n).await.unwrap();
                expected.push(format!("message {channel} {n}"));
            }
            pubsub.unsubscribe("a").await.unwrap();
            client.publish("b", "last").await.unwrap();
            pubsub.unsubscribe("b").await.unwrap();
            assert_eq!(client.publish("b", "too late").await.unwrap(), 0);
            let last = ["message b last".to_owned()];
            let confirmed = |text: &'static str| (!ignored).then(|| text.to_owned());
            let subscribed = ["subscribe a 1", "subscribe b 2"];
            let expected: Vec<String> = subscribed
                .into_iter()
                .filter_map(confirmed)
                .chain(expected)
                .chain(confirmed("unsubscribe a 1"))
                .chain(last)
                .chain(confirmed("unsubscribe b 0"))
                .collect();
            let mut events = Vec::new();
            while let Some(event) = pubsub.next().await {
                events.push(short(&event.unwrap()));
            }
            assert_eq!(events, expected);
            // It stays at its end.
            assert!(pubsub.next().await.is_none());
        }
    });
}

#[test]
fn it_02_the_stream_ends_while_it_is_being_waited_for() {
    on_each(async |case| {
        let client = case.client().await;
        for ignored in [false, true] {
            let mut pubsub = client
                .pubsub()
                .channels("a")
                .patterns("p*")
                .ignore_subscribe_messages(ignored)
                .await
                .unwrap();
            let handle = pubsub.handle();
            let elsewhere = tokio::spawn(async move {
                handle.unsubscribe("a").await.unwrap();
                handle.punsubscribe("p*").await.unwrap();
            });
            let mut count = 0;
            let all = async {
                while let Some(event) = pubsub.next().await {
                    assert!(event.unwrap().confirmation().is_some());
                    count += 1;
                }
            };
            tokio::time::timeout(SOON, all).await.expect("it ends");
            assert_eq!(count, if ignored { 0 } else { 4 });
            elsewhere.await.unwrap();
        }
    });
}

#[test]
fn it_02_the_stream_goes_on_while_any_kind_of_subscription_is_left() {
    on_each(async |case| {
        let client = case.client().await;
        let mut pubsub = subscribed(&client, ["a"]).await;
        pubsub.psubscribe("p*").await.unwrap();
        pubsub.ssubscribe("s").await.unwrap();
        pubsub.unsubscribe("a").await.unwrap();
        pubsub.punsubscribe("p*").await.unwrap();
        assert_eq!(
            read(&mut pubsub, 4).await,
            [
                "psubscribe p* 2",
                "ssubscribe s 1",
                "unsubscribe a 1",
                "punsubscribe p* 0"
            ]
        );
        client.spublish("s", "x").await.unwrap();
        assert_eq!(read(&mut pubsub, 1).await, ["smessage s x"]);
        // A name that the server does not answer about yet counts too.
        pubsub.sunsubscribe("s").await.unwrap();
        let handle = pubsub.handle();
        let subscribed = handle.subscribe("b");
        assert_eq!(
            read(&mut pubsub, 2).await,
            ["sunsubscribe s 0", "subscribe b 1"]
        );
        subscribed.await.unwrap();
    });
}

// ---- IT-03 ----

#[test]
fn it_03_without_a_subscription_it_ends_at_once_and_can_be_read_again_after_a_new_one() {
    on_each(async |case| {
        let client = case.client().await;
        let mut pubsub = client.pubsub().await.unwrap();
        for round in 0..3 {
            let end = tokio::time::timeout(SOON, pubsub.next()).await;
            assert!(matches!(end, Ok(None)), "{end:?}");
            pubsub.subscribe("a").await.unwrap();
            client.publish("a", round).await.unwrap();
            assert_eq!(next(&mut pubsub).await.kind(), "subscribe");
            assert_eq!(read(&mut pubsub, 1).await, [format!("message a {round}")]);
            pubsub.unsubscribe("a").await.unwrap();
            assert_eq!(read(&mut pubsub, 1).await, ["unsubscribe a 0"]);
        }
        // Over the one connection.
        assert_eq!(pubsub.stats().reconnects, 0);
    });
}

#[test]
fn it_03_unsubscribing_inside_the_loop_ends_it() {
    on_each(async |case| {
        let client = case.client().await;
        let mut pubsub = client.pubsub().channels(["a", "b"]).await.unwrap();
        for channel in ["a", "b", "a", "b"] {
            client.publish(channel, "x").await.unwrap();
        }
        pubsub.ping().await.unwrap();
        let mut events = Vec::new();
        while let Some(event) = pubsub.next().await {
            let event = event.unwrap();
            events.push(short(&event));
            if let Event::Message(message) = event
                && pubsub
                    .channels()
                    .contains(&message.channel().to_vec().into())
            {
                pubsub.unsubscribe(message.channel()).await.unwrap();
            }
        }
        assert_eq!(
            events,
            [
                "subscribe a 1",
                "subscribe b 2",
                "message a x",
                "message b x",
                "message a x",
                "message b x",
                "unsubscribe a 1",
                "unsubscribe b 0",
            ]
        );
        // And the last one, when nothing is queued.
        pubsub.subscribe("c").await.unwrap();
        while let Some(event) = pubsub.next().await {
            event.unwrap();
            pubsub.unsubscribe_all().await.unwrap();
        }
        assert!(!pubsub.is_subscribed());
        assert_quiet(&mut pubsub).await;
    });
}

#[test]
fn it_03_an_error_item_does_not_end_it() {
    on_each(async |case| {
        let client = case.client().await;
        let mut pubsub = subscribed(&client, ["a"]).await;
        let fail = |_| Err::<(), _>("no");
        pubsub.subscribe_with("fails", fail).await.unwrap();
        for channel in ["fails", "a"] {
            client.publish(channel, "x").await.unwrap();
        }
        assert_eq!(read(&mut pubsub, 1).await, ["subscribe fails 2"]);
        error(pubsub.next().await.unwrap());
        assert_eq!(read(&mut pubsub, 1).await, ["message a x"]);
    });
}

#[test]
fn it_01_a_reader_that_always_finds_a_message_lets_other_tasks_have_their_turn() {
    on_each(async |case| {
        let client = case.client().await;
        let mut pubsub = client
            .pubsub()
            .channels("ch")
            .ignore_subscribe_messages(true)
            .await
            .unwrap();
        for waiting in [true, false] {
            let received = pubsub.stats().received;
            for half in 1..=2 {
                for n in 0..200 {
                    client.publish("ch", n).await.unwrap();
                }
                let all = received + half * 200;
                eventually("all is received", || pubsub.stats().received == all).await;
            }
            let other = tokio::spawn(async {});
            for n in 0..400 {
                let event = if waiting {
                    next(&mut pubsub).await
                } else {
                    let event = pubsub.get_message(Duration::ZERO).await.unwrap();
                    event.expect("all is there")
                };
                assert_eq!(short(&event), format!("message ch {}", n % 200));
            }
            assert!(other.is_finished());
        }
    });
}
