//! Reading with a time: SPEC items IG, GM.

use std::time::{Duration, Instant};

use tidings::{Commands, Config, Event, Result};

use crate::faces::{Case, Client, PubSub, plain};
use crate::on_both_faces;
use crate::support::{SOON, read, short};

on_both_faces! {
    [plain]
    ig_01_ignored_confirmations_update_the_state_and_do_not_surface,
    ig_01_gaps_always_surface,
    gm_01_zero_gives_what_is_there_now_without_waiting,
    gm_01_a_time_is_waited_for_at_most,
    gm_02_without_a_subscription_it_waits_and_answers_none,
    gm_03_next_message_passes_over_confirmations_and_handled_messages,
    gm_03_next_message_waits_the_whole_time_whatever_it_passes_over,
    gm_04_a_quiet_channel_never_times_out,
}

/// What a read waits for in vain.
pub(crate) const SHORT: Duration = Duration::from_millis(60);

/// A PubSub that has read the confirmations of its channels.
pub(crate) async fn subscribed<const N: usize>(client: &Client, channels: [&str; N]) -> PubSub {
    let mut pubsub = client.pubsub().channels(channels).await.unwrap();
    for event in read(&mut pubsub, N).await {
        assert!(event.starts_with("subscribe "), "{event}");
    }
    pubsub
}

/// The outcome of a read in short, and how long it took.
pub(crate) async fn timed(
    read: impl Future<Output = Result<Option<Event>>>,
) -> (Option<String>, Duration) {
    let start = Instant::now();
    let event = tokio::time::timeout(SOON, read)
        .await
        .expect("a read ends")
        .expect("the read is no error");
    (event.as_ref().map(short), start.elapsed())
}

/// Publishes a little later, while something else waits.
pub(crate) fn publish_later(
    client: &tidings::Client,
    channel: &'static str,
    payload: &'static str,
) {
    let client = client.clone();
    tokio::spawn(async move {
        tokio::time::sleep(SHORT / 3).await;
        client.publish(channel, payload).await.unwrap();
    });
}

/// Waits for longer than any time that is set, twice, and then receives a message over the same connection.
async fn stay_quiet(case: &Case, ping_interval: Duration) -> tidings::Stats {
    const LIMIT: Duration = Duration::from_millis(40);
    let config = Config::from_url(&case.url())
        .unwrap()
        .response_timeout(LIMIT)
        .ping_interval(ping_interval);
    let client = case.client_with(config).await;
    let mut pubsub = subscribed(&client, ["a"]).await;
    let ids = case.subscriber_ids();
    let (event, took) = timed(pubsub.get_message(4 * LIMIT)).await;
    assert_eq!(event, None);
    assert!(took >= 4 * LIMIT, "{took:?}");
    let (publisher, start) = (client.clone(), Instant::now());
    tokio::spawn(async move {
        tokio::time::sleep(4 * LIMIT).await;
        publisher.publish("a", "x").await.unwrap();
    });
    assert_eq!(read(&mut pubsub, 1).await, ["message a x"]);
    assert!(start.elapsed() >= 4 * LIMIT, "{:?}", start.elapsed());
    assert_eq!(case.subscriber_ids(), ids);
    let stats = pubsub.stats();
    assert_eq!(stats.reconnects, 0);
    drop(pubsub);
    case.await_subscribers("a", 0).await;
    stats
}

async fn ig_01_ignored_confirmations_update_the_state_and_do_not_surface(case: Case) {
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
}

async fn ig_01_gaps_always_surface(case: Case) {
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
}

async fn gm_01_zero_gives_what_is_there_now_without_waiting(case: Case) {
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
}

async fn gm_01_a_time_is_waited_for_at_most(case: Case) {
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
}

async fn gm_02_without_a_subscription_it_waits_and_answers_none(case: Case) {
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
}

async fn gm_03_next_message_passes_over_confirmations_and_handled_messages(case: Case) {
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
}

async fn gm_03_next_message_waits_the_whole_time_whatever_it_passes_over(case: Case) {
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
}

async fn gm_04_a_quiet_channel_never_times_out(case: Case) {
    let pinged = stay_quiet(&case, Duration::from_millis(20)).await;
    assert!(pinged.last_pong.is_some());
    let alone = stay_quiet(&case, Duration::from_secs(1000)).await;
    assert!(alone.last_pong.is_none());
}
