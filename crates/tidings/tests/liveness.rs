//! Peers that went silent, and peers that only seem so: SPEC items LV.
#![cfg(feature = "blocking")]

mod faces;
mod faults;
mod support;

use std::time::{Duration, Instant};

use faces::on_threads;
use faults::{chain, on_each, quick_via, read_to_gap, shown, soon, until};
use support::{Case, SOON, assert_quiet, next, short};
use tidings::{Client, Commands, Config, ErrorKind, Event, Overflow, SubscriptionState};
use tidings_testkit::{Direction, Proxy, Server};

on_both_faces! {
    [on_threads]
    lv_01_an_idle_subscriber_notices_a_silent_peer_and_is_back_when_it_speaks_again,
    lv_01_a_silent_peer_is_noticed_behind_a_consumer_that_does_not_read,
    lv_02_a_consumer_that_stops_reading_is_no_dead_peer,
}

const INTERVAL: Duration = Duration::from_millis(100);

const TIMEOUT: Duration = Duration::from_millis(100);

/// What a busy machine may take for itself.
const SLACK: Duration = Duration::from_secs(1);

/// How a peer falls silent without a word.
#[derive(Debug, Clone, Copy)]
enum Silence {
    Process,
    Network(Direction),
}

const SILENCES: [Silence; 4] = [
    Silence::Process,
    Silence::Network(Direction::Both),
    Silence::Network(Direction::ToClient),
    Silence::Network(Direction::ToServer),
];

impl Silence {
    fn begin(self, server: &Server, proxy: &Proxy) {
        match self {
            Self::Process => server.stop_process(),
            Self::Network(direction) => proxy.silence(direction),
        }
    }

    fn end(self, server: &Server, proxy: &Proxy) {
        match self {
            Self::Process => server.continue_process(),
            Self::Network(_) => proxy.resume(),
        }
    }
}

/// Settings that find a dead peer within [`INTERVAL`] and [`TIMEOUT`].
fn alert(case: &Case, proxy: &Proxy) -> Config {
    quick_via(case, proxy)
        .ping_interval(INTERVAL)
        .ping_timeout(TIMEOUT)
        .connect_timeout(Duration::from_millis(200))
}

async fn until_noticed(pubsub: &faces::PubSub) {
    until("the loss is noticed", || {
        let known = pubsub.subscriptions();
        matches!(known[0].state, SubscriptionState::Reconnecting)
    })
    .await;
}

/// The time from the begin of a silence until it was noticed.
fn assert_in_time(begin: Instant, what: Silence) {
    let took = begin.elapsed();
    // A PING may have been on its way.
    assert!(took >= TIMEOUT / 2, "{what:?} after {took:?}");
    assert!(
        took <= INTERVAL + TIMEOUT + SLACK,
        "{what:?} after {took:?}"
    );
}

async fn lv_01_an_idle_subscriber_notices_a_silent_peer_and_is_back_when_it_speaks_again(
    case: faces::Case,
) {
    let proxy = Proxy::to(&case.server);
    let client = case.client_with(alert(&case, &proxy)).await;
    let mut pubsub = client.pubsub().channels("news").await.unwrap();
    assert_eq!(short(&next(&mut pubsub).await), "subscribe news 1");
    for what in SILENCES {
        let begin = Instant::now();
        what.begin(&case.server, &proxy);
        until_noticed(&pubsub).await;
        assert_in_time(begin, what);
        what.end(&case.server, &proxy);
        assert_eq!(
            shown(&read_to_gap(&mut pubsub).await),
            ["subscribe news 1", "gap Disconnected"],
            "{what:?}"
        );
        // What the proxy held back may end the old connection after the new one was made.
        case.server.await_subscribers("news", 1);
        assert_eq!(soon(client.publish("news", "hello")).await.unwrap(), 1);
        assert_eq!(short(&next(&mut pubsub).await), "message news hello");
    }
    assert_eq!(pubsub.stats().gaps, SILENCES.len() as u64);
}

#[test]
fn lv_01_a_client_that_only_publishes_notices_a_silent_peer() {
    on_each(async |case| {
        let proxy = Proxy::to(&case.server);
        let client = Client::connect(alert(&case, &proxy)).await.unwrap();
        for what in SILENCES {
            soon(client.publish("news", 1)).await.unwrap();
            let begin = Instant::now();
            what.begin(&case.server, &proxy);
            let error = soon(client.publish("news", 2)).await.unwrap_err();
            assert_in_time(begin, what);
            assert_eq!(error.kind(), ErrorKind::Connection, "{what:?}");
            assert!(error.may_have_run(), "{what:?}");
            assert!(
                chain(&error).contains("no answer to a PING came"),
                "{}",
                chain(&error)
            );
            what.end(&case.server, &proxy);
            soon(client.publish("news", 3)).await.unwrap();
        }
    });
}

#[test]
fn lv_01_an_idle_client_notices_a_silent_peer_and_so_does_one_that_goes_on_writing() {
    on_each(async |case| {
        let proxy = Proxy::to(&case.server);
        let client = Client::connect(alert(&case, &proxy)).await.unwrap();
        for writes in [false, true] {
            soon(client.ping()).await.unwrap();
            let accepted = proxy.accepted();
            let begin = Instant::now();
            let what = Silence::Network(Direction::ToClient);
            what.begin(&case.server, &proxy);
            let writer = writes.then(|| {
                let client = client.clone();
                tokio::spawn(async move {
                    let mut failures = Vec::new();
                    while failures.is_empty() {
                        // Not waited for: the next one is written all the same.
                        let publish = tokio::time::timeout(
                            Duration::from_millis(5),
                            client.publish("news", "x"),
                        );
                        failures.extend(publish.await.ok().and_then(Result::err));
                    }
                })
            });
            proxy.await_accepted(accepted + 1);
            assert_in_time(begin, what);
            what.end(&case.server, &proxy);
            soon(client.ping()).await.unwrap();
            if let Some(writer) = writer {
                writer.abort();
            }
        }
    });
}

async fn lv_01_a_silent_peer_is_noticed_behind_a_consumer_that_does_not_read(case: faces::Case) {
    let proxy = Proxy::to(&case.server);
    let client = case.client_with(alert(&case, &proxy)).await;
    let pubsub = client
        .pubsub()
        .channels("news")
        .queue(2, 1 << 20)
        .overflow(Overflow::DropOldest)
        .await
        .unwrap();
    for n in 0..10 {
        soon(client.publish("news", n)).await.unwrap();
    }
    until("the queue overflows", || pubsub.stats().dropped == 8).await;
    let what = Silence::Network(Direction::Both);
    let begin = Instant::now();
    what.begin(&case.server, &proxy);
    until_noticed(&pubsub).await;
    assert_in_time(begin, what);
}

#[test]
fn lv_01_a_living_peer_is_asked_again_and_again_and_never_shows_it() {
    on_each(async |case| {
        let proxy = Proxy::to(&case.server);
        let config = quick_via(&case, &proxy)
            .ping_interval(Duration::from_millis(10))
            .ping_timeout(SOON);
        let client = Client::connect(config).await.unwrap();
        let mut pubsub = client.pubsub().channels("news").await.unwrap();
        next(&mut pubsub).await;
        assert!(pubsub.stats().last_pong.is_none_or(|age| age < SOON));
        case.server.admin(["CONFIG", "RESETSTAT"]);
        until("both were asked several times", || {
            let stats = case.server.cli(["INFO", "commandstats"]);
            let pings = stats
                .lines()
                .find_map(|line| line.strip_prefix("cmdstat_ping:calls="));
            let calls = pings.and_then(|rest| rest.split(',').next()?.parse().ok());
            calls.is_some_and(|calls: u32| calls >= 20)
        })
        .await;
        assert_quiet(&mut pubsub).await;
        assert!(pubsub.stats().last_pong.is_some_and(|age| age < SOON));
        assert_eq!(pubsub.stats().reconnects, 0);
        assert_eq!(proxy.accepted(), 2);
    });
}

async fn lv_02_a_consumer_that_stops_reading_is_no_dead_peer(case: faces::Case) {
    const MESSAGES: usize = 2_000;
    let proxy = Proxy::to(&case.server);
    let client = case.client_with(alert(&case, &proxy)).await;
    let mut pubsub = client
        .pubsub()
        .channels("news")
        .queue(4, 1 << 20)
        .overflow(Overflow::Backpressure)
        .await
        .unwrap();
    assert_eq!(short(&next(&mut pubsub).await), "subscribe news 1");
    let text = "x".repeat(1_000);
    for n in 0..MESSAGES {
        case.server
            .admin(["PUBLISH", "news", &format!("{n} {text}")]);
    }
    until("the queue is full", || pubsub.stats().queued >= 4).await;
    // Longer than a silent peer would be left in peace.
    tokio::time::sleep((INTERVAL + TIMEOUT) * 3).await;
    assert!(
        pubsub.stats().received < MESSAGES as u64,
        "the socket is not read"
    );
    for n in 0..MESSAGES {
        let event = next(&mut pubsub).await;
        let Event::Message(message) = event else {
            panic!("{event:?} for message {n}")
        };
        assert!(message.text().starts_with(&format!("{n} ")));
    }
    assert_quiet(&mut pubsub).await;
    let stats = pubsub.stats();
    assert_eq!((stats.received, stats.dropped), (MESSAGES as u64, 0));
    assert_eq!((stats.gaps, stats.reconnects), (0, 0));
    // And from now on it is watched again.
    let what = Silence::Network(Direction::ToServer);
    let begin = Instant::now();
    what.begin(&case.server, &proxy);
    until_noticed(&pubsub).await;
    assert_in_time(begin, what);
}

#[test]
fn lv_02_a_large_payload_on_a_slow_link_is_no_dead_peer() {
    const BYTES: usize = 600_000;
    on_each(async |case| {
        let proxy = Proxy::to(&case.server);
        let client = Client::connect(alert(&case, &proxy)).await.unwrap();
        let mut pubsub = client.pubsub().channels("news").await.unwrap();
        assert_eq!(short(&next(&mut pubsub).await), "subscribe news 1");
        case.server.admin(["SET", "large", &"v".repeat(BYTES)]);
        proxy.throttle(1_000_000);
        let begin = Instant::now();
        assert_eq!(
            case.server.cli(["PUBLISH", "news", &"p".repeat(BYTES)]),
            "1"
        );
        let (event, value) = tokio::join!(next(&mut pubsub), soon(client.get::<String>("large")));
        assert!(
            begin.elapsed() >= (INTERVAL + TIMEOUT) * 2,
            "{:?}",
            begin.elapsed()
        );
        assert_eq!(
            event.into_message().unwrap().payload(),
            "p".repeat(BYTES).as_bytes()
        );
        assert_eq!(value.unwrap(), "v".repeat(BYTES));
        assert_eq!(pubsub.stats().reconnects, 0);
        assert_eq!(proxy.accepted(), 2);
    });
}

#[test]
fn lv_02_a_large_payload_that_is_sent_on_a_slow_link_is_no_dead_peer() {
    const BYTES: usize = 28 << 20;
    on_each(async |case| {
        let proxy = Proxy::to(&case.server);
        // What the sockets between hold back has to fit into these times.
        let config = quick_via(&case, &proxy)
            .ping_interval(Duration::from_millis(400))
            .ping_timeout(Duration::from_millis(400));
        let client = Client::connect(config).await.unwrap();
        proxy.throttle(24_000_000);
        let begin = Instant::now();
        let payload = "p".repeat(BYTES);
        assert_eq!(
            soon(client.append("sent", &payload)).await.unwrap(),
            i64::try_from(BYTES).unwrap()
        );
        assert!(
            begin.elapsed() > Duration::from_millis(800),
            "{:?}",
            begin.elapsed()
        );
        assert_eq!(proxy.accepted(), 1);
    });
}
