//! Bounded queues, through both faces: SPEC items QU.
#![cfg(feature = "blocking")]

mod faces;
mod faults;
mod support;

use std::collections::BTreeSet;
use std::time::Duration;

use faces::{Case, PubSub, on_threads};
use faults::{quick, read_to_gap, shown, soon, until};
use support::{QUIET, SOON, assert_quiet, error, next, read, short};
use tidings::{ErrorKind, Event, GapCause, Overflow};
use tidings_testkit::{Checker, Publisher};

on_both_faces! {
    [on_threads]
    qu_01_backpressure_drops_nothing_and_stops_reading_the_socket,
    qu_01_drop_oldest_keeps_the_newest_behind_one_gap_that_counts,
    qu_01_drop_newest_keeps_the_oldest_before_one_gap_that_counts,
    qu_01_the_gap_stands_where_the_loss_was_however_often_it_happens,
    qu_01_close_delivers_what_fitted_then_the_gap_then_the_error_and_ends,
    qu_01_bytes_are_a_bound_of_their_own,
    qu_01_the_smallest_queue_holds_one_message,
    qu_01_a_gap_names_the_channels_and_patterns_that_lost_or_none_if_there_are_many,
    qu_01_every_loss_of_a_slow_consumer_is_counted_exactly,
    qu_01_a_loss_of_the_connection_and_an_overflow_are_two_gaps,
    qu_03_stats_tell_what_happened_field_by_field,
    qu_03_what_was_not_read_before_the_close_was_not_delivered_and_is_not_kept,
    qu_01_requests_of_a_handle_do_not_lift_the_bound,
    qu_01_a_subscriber_that_was_closed_by_its_queue_says_so,
}

/// A subscriber of `ch` with such a queue, its confirmation read.
async fn with_queue(case: &Case, messages: usize, bytes: usize, overflow: Overflow) -> PubSub {
    let client = case.client_with(quick(&case.url())).await;
    let builder = client
        .pubsub()
        .channels("ch")
        .queue(messages, bytes)
        .overflow(overflow);
    let mut pubsub = builder.await.unwrap();
    assert_eq!(short(&next(&mut pubsub).await), "subscribe ch 1");
    pubsub
}

/// Publishes these numbers, each padded to a size.
fn publish(case: &Case, numbers: impl IntoIterator<Item = usize>, size: usize) {
    for number in numbers {
        case.server
            .admin(["PUBLISH", "ch", &format!("{number:<size$}")]);
    }
}

async fn until_received(pubsub: &PubSub, count: u64) {
    until("all is received", || pubsub.stats().received == count).await;
}

/// The numbers of messages, and `gap n` for what was dropped, until nothing is queued.
async fn read_all(pubsub: &mut PubSub) -> Vec<String> {
    let mut seen = Vec::new();
    while let Some(event) = pubsub.get_message(Duration::ZERO).await.unwrap() {
        seen.push(match event {
            Event::Message(message) => message.text().trim_end().to_owned(),
            Event::Gap(gap) => {
                assert_eq!(gap.cause(), GapCause::Overflow);
                assert_eq!(gap.names().collect::<Vec<_>>(), [b"ch"]);
                assert!(gap.since() <= gap.until());
                format!("gap {}", gap.dropped().expect("overflows are counted"))
            }
            other => short(&other),
        });
    }
    seen
}

fn texts(numbers: impl IntoIterator<Item = usize>) -> Vec<String> {
    numbers
        .into_iter()
        .map(|number| number.to_string())
        .collect()
}

/// `(received, delivered, dropped, queued)`, which must add up.
fn sums(pubsub: &PubSub) -> (u64, u64, u64, u64) {
    let stats = pubsub.stats();
    assert_eq!(
        stats.received,
        stats.delivered + stats.dropped + stats.queued
    );
    (stats.received, stats.delivered, stats.dropped, stats.queued)
}

async fn qu_01_backpressure_drops_nothing_and_stops_reading_the_socket(case: Case) {
    const MESSAGES: usize = 500;
    let mut pubsub = with_queue(&case, 4, 1 << 20, Overflow::Backpressure).await;
    publish(&case, 0..MESSAGES, 10_000);
    until("the queue is full", || pubsub.stats().queued >= 4).await;
    tokio::time::sleep(QUIET).await;
    // What one read brings may exceed the bound: at most 256 KiB.
    assert!(pubsub.stats().received <= 4 + 27, "{:?}", pubsub.stats());
    for number in 0..MESSAGES {
        let event = next(&mut pubsub).await;
        assert_eq!(
            event.message().unwrap().text().trim_end(),
            number.to_string()
        );
        assert_eq!(sums(&pubsub).1, number as u64 + 1);
    }
    assert_quiet(&mut pubsub).await;
    assert_eq!(sums(&pubsub), (500, 500, 0, 0));
    assert_eq!(pubsub.stats().gaps, 0);
}

async fn qu_01_drop_oldest_keeps_the_newest_behind_one_gap_that_counts(case: Case) {
    let mut pubsub = with_queue(&case, 10, 1 << 20, Overflow::DropOldest).await;
    publish(&case, 1..=100, 0);
    until_received(&pubsub, 100).await;
    assert_eq!(sums(&pubsub), (100, 0, 90, 10));
    let mut expected = vec!["gap 90".to_owned()];
    expected.extend(texts(91..=100));
    assert_eq!(read_all(&mut pubsub).await, expected);
    assert_eq!(sums(&pubsub), (100, 10, 90, 0));
    // No loss, no gap.
    publish(&case, 101..=110, 0);
    until_received(&pubsub, 110).await;
    assert_eq!(read_all(&mut pubsub).await, texts(101..=110));
    assert_eq!(pubsub.stats().gaps, 1);
}

async fn qu_01_drop_newest_keeps_the_oldest_before_one_gap_that_counts(case: Case) {
    let mut pubsub = with_queue(&case, 10, 1 << 20, Overflow::DropNewest).await;
    publish(&case, 1..=100, 0);
    until_received(&pubsub, 100).await;
    assert_eq!(sums(&pubsub), (100, 0, 90, 10));
    let mut expected = texts(1..=10);
    expected.push("gap 90".to_owned());
    assert_eq!(read_all(&mut pubsub).await, expected);
    publish(&case, 101..=105, 0);
    until_received(&pubsub, 105).await;
    assert_eq!(read_all(&mut pubsub).await, texts(101..=105));
    assert_eq!(sums(&pubsub), (105, 15, 90, 0));
    assert_eq!(pubsub.stats().gaps, 1);
}

async fn qu_01_the_gap_stands_where_the_loss_was_however_often_it_happens(case: Case) {
    let mut pubsub = with_queue(&case, 3, 1 << 20, Overflow::DropNewest).await;
    let mut seen = Vec::new();
    for round in 0..3 {
        // One by one, so that each comes in a read of its own: what a consumer holds of a read is not in the queue.
        for number in round * 10 + 1..=round * 10 + 10 {
            publish(&case, [number], 0);
            until_received(&pubsub, number as u64).await;
        }
        // One is read, so that there is room for the first of the next ten.
        if round < 2 {
            seen.push(short(&next(&mut pubsub).await).replace("message ch ", ""));
        }
    }
    seen.extend(read_all(&mut pubsub).await);
    assert_eq!(seen, ["1", "2", "3", "gap 7", "11", "gap 9", "21", "gap 9"]);
    assert_eq!(sums(&pubsub), (30, 5, 25, 0));
    assert_eq!(pubsub.stats().gaps, 3);
}

async fn qu_01_close_delivers_what_fitted_then_the_gap_then_the_error_and_ends(case: Case) {
    let mut pubsub = with_queue(&case, 10, 1 << 20, Overflow::Close).await;
    publish(&case, 1..=10, 0);
    until_received(&pubsub, 10).await;
    publish(&case, 11..=100, 0);
    case.server.await_subscribers("ch", 0);
    let mut seen = Vec::new();
    let (error, dropped) = loop {
        match soon(pubsub.next()).await.unwrap() {
            Ok(Event::Message(message)) => seen.push(message.text().into_owned()),
            Ok(Event::Gap(gap)) => {
                assert_eq!(gap.cause(), GapCause::Overflow);
                let error = soon(pubsub.next()).await.unwrap().unwrap_err();
                break (error, gap.dropped().unwrap());
            }
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(seen, texts(1..=10));
    assert_eq!(error.kind(), ErrorKind::Overflow);
    assert!(soon(pubsub.next()).await.is_none());
    let (received, delivered, lost, queued) = sums(&pubsub);
    assert_eq!((delivered, lost, queued), (10, dropped, 0));
    assert!((11..=100).contains(&received), "{received}");
    pubsub.subscribe("more").await.unwrap_err();
    assert_eq!(pubsub.stats().reconnects, 0);
}

async fn qu_01_bytes_are_a_bound_of_their_own(case: Case) {
    for (overflow, expected) in [
        (
            Overflow::DropOldest,
            ["gap 95", "96", "97", "98", "99", "100"],
        ),
        (Overflow::DropNewest, ["1", "2", "3", "4", "5", "gap 95"]),
    ] {
        let mut pubsub = with_queue(&case, usize::MAX, 5_500, overflow).await;
        publish(&case, 1..=100, 1_000);
        until_received(&pubsub, 100).await;
        let bytes = pubsub.stats().bytes_queued;
        assert!((5_000..=5_500).contains(&bytes), "{bytes}");
        assert_eq!(sums(&pubsub), (100, 0, 95, 5));
        assert_eq!(read_all(&mut pubsub).await, expected, "{overflow:?}");
        assert_eq!(pubsub.stats().bytes_queued, 0);
    }
}

async fn qu_01_the_smallest_queue_holds_one_message(case: Case) {
    for (messages, bytes) in [(1, usize::MAX), (0, usize::MAX), (usize::MAX, 0), (0, 0)] {
        let mut pubsub = with_queue(&case, messages, bytes, Overflow::DropOldest).await;
        publish(&case, 1..=20, 100);
        until_received(&pubsub, 20).await;
        assert_eq!(read_all(&mut pubsub).await, ["gap 19", "20"]);

        let mut pubsub = with_queue(&case, messages, bytes, Overflow::DropNewest).await;
        publish(&case, 1..=20, 100);
        until_received(&pubsub, 20).await;
        assert_eq!(read_all(&mut pubsub).await, ["1", "gap 19"]);

        let mut pubsub = with_queue(&case, messages, bytes, Overflow::Backpressure).await;
        publish(&case, 1..=20, 100);
        let mut seen = Vec::new();
        for _ in 0..20 {
            seen.push(
                next(&mut pubsub)
                    .await
                    .into_message()
                    .unwrap()
                    .text()
                    .trim()
                    .to_owned(),
            );
        }
        assert_eq!(seen, texts(1..=20));
    }
}

async fn qu_01_a_gap_names_the_channels_and_patterns_that_lost_or_none_if_there_are_many(
    case: Case,
) {
    for (channels, named) in [(20, 21), (80, 0)] {
        // The one of the round before has gone.
        case.await_subscribers("ch:1", 0).await;
        let client = case.client_with(quick(&case.url())).await;
        let names: Vec<String> = (0..channels).map(|n| format!("ch:{n}")).collect();
        let mut pubsub = client
            .pubsub()
            .channels(&names)
            .patterns("c*:0")
            .ignore_subscribe_messages(true)
            .queue(1, usize::MAX)
            .overflow(Overflow::DropNewest)
            .await
            .unwrap();
        assert_eq!(client.publish("ch:1", "kept").await.unwrap(), 1);
        until_received(&pubsub, 1).await;
        for name in &names {
            client.publish(name, "lost").await.unwrap();
        }
        until_received(&pubsub, channels + 2).await;
        let events = read_to_gap(&mut pubsub).await;
        assert_eq!(shown(&events), ["message ch:1 kept", "gap Overflow"]);
        let gap = events[1].gap().unwrap();
        assert_eq!(gap.dropped(), Some(channels + 1));
        let told: BTreeSet<&[u8]> = gap.names().collect();
        assert_eq!((told.len(), gap.names().len()), (named, named));
        assert!(named == 0 || told.contains(b"c*:0".as_slice()));
    }
}

async fn qu_01_every_loss_of_a_slow_consumer_is_counted_exactly(case: Case) {
    for overflow in [Overflow::DropOldest, Overflow::DropNewest] {
        let mut pubsub = with_queue(&case, 50, 1 << 20, overflow).await;
        let publisher = Publisher::to(&case.server).channels(["ch"]).start();
        let mut checker = Checker::new().gap_may_stand_last();
        let (mut delivered, mut dropped, mut gaps) = (0, 0, 0);
        let mut published = None;
        loop {
            match pubsub.get_message(Duration::ZERO).await.unwrap() {
                Some(Event::Message(message)) => {
                    delivered += 1;
                    checker.on_payload(message.channel(), message.payload());
                }
                Some(Event::Gap(gap)) => {
                    gaps += 1;
                    let lost = gap.dropped().unwrap();
                    dropped += lost;
                    checker.on_counted_gap(gap.names(), lost);
                }
                Some(other) => panic!("{other:?}"),
                None => match &published {
                    // Stops reading for a while, a few times.
                    None if gaps < 5 => publisher.await_more(fastrand::u64(20..300)),
                    None => {
                        publisher.await_more(1);
                        published = Some(());
                    }
                    Some(()) => break,
                },
            }
            assert_eq!(sums(&pubsub).1, delivered);
        }
        let published = publisher.stop();
        until_received(&pubsub, published.last("ch")).await;
        while let Some(event) = pubsub.get_message(Duration::ZERO).await.unwrap() {
            match event {
                Event::Message(message) => {
                    delivered += 1;
                    checker.on_payload(message.channel(), message.payload());
                }
                Event::Gap(gap) => {
                    gaps += 1;
                    dropped += gap.dropped().unwrap();
                    checker.on_counted_gap(gap.names(), gap.dropped().unwrap());
                }
                other => panic!("{other:?}"),
            }
        }
        let report = checker.finish(&published);
        report.assert_passed();
        assert!(
            report.lost > 0 && report.lost == dropped,
            "{report}, told {dropped}"
        );
        assert_eq!(sums(&pubsub), (published.last("ch"), delivered, dropped, 0));
        assert_eq!(pubsub.stats().gaps, gaps);
    }
}

async fn qu_01_a_loss_of_the_connection_and_an_overflow_are_two_gaps(case: Case) {
    let mut pubsub = with_queue(&case, 2, 1 << 20, Overflow::DropOldest).await;
    publish(&case, 1..=3, 0);
    until_received(&pubsub, 3).await;
    case.server.admin(["CLIENT", "KILL", "TYPE", "pubsub"]);
    until("it is connected again", || pubsub.stats().gaps == 2).await;
    assert_eq!(
        read(&mut pubsub, 5).await,
        [
            "gap Overflow",
            "message ch 2",
            "message ch 3",
            "subscribe ch 1",
            "gap Disconnected"
        ]
    );
    assert_eq!(sums(&pubsub), (3, 2, 1, 0));
}

async fn qu_03_stats_tell_what_happened_field_by_field(case: Case) {
    let config = quick(&case.url()).ping_interval(Duration::from_millis(50));
    let client = case.client_with(config).await;
    let mut pubsub = client
        .pubsub()
        .channels("ch")
        .ignore_subscribe_messages(true)
        .queue(3, 1 << 20)
        .overflow(Overflow::DropOldest)
        .await
        .unwrap();
    let new = pubsub.stats();
    assert_eq!(
        (new.received, new.delivered, new.dropped, new.queued),
        (0, 0, 0, 0)
    );
    assert_eq!((new.bytes_queued, new.gaps, new.reconnects), (0, 0, 0));
    assert_eq!(new.last_message, None);
    until("a PONG came", || pubsub.stats().last_pong.is_some()).await;

    publish(&case, 1..=4, 100);
    until_received(&pubsub, 4).await;
    let full = pubsub.stats();
    assert_eq!(
        (full.received, full.delivered, full.dropped, full.queued),
        (4, 0, 1, 3)
    );
    assert!((3 * 102..3 * 160).contains(&full.bytes_queued), "{full:?}");
    assert_eq!((full.gaps, full.reconnects), (1, 0));
    assert!(full.last_message.is_some_and(|age| age < SOON));

    assert_eq!(short(&next(&mut pubsub).await), "gap Overflow");
    assert_eq!(pubsub.stats().delivered, 0, "a gap is no message");
    next(&mut pubsub).await;
    let read_one = pubsub.stats();
    assert_eq!((read_one.delivered, read_one.queued), (1, 2));
    assert!(read_one.bytes_queued < full.bytes_queued);

    // The age of the last message is not that of its reading.
    let age = pubsub.stats().last_message.unwrap();
    next(&mut pubsub).await;
    next(&mut pubsub).await;
    assert!(pubsub.stats().last_message.unwrap() > age);
    assert_eq!((pubsub.stats().queued, pubsub.stats().bytes_queued), (0, 0));

    // PONGs come again, so the age of the last one falls.
    let pong = pubsub.stats().last_pong.unwrap();
    until("another PONG came", || {
        pubsub.stats().last_pong.unwrap() < pong.max(Duration::from_millis(1))
    })
    .await;

    case.server.admin(["CLIENT", "KILL", "TYPE", "pubsub"]);
    assert_eq!(shown(&read_to_gap(&mut pubsub).await), ["gap Disconnected"]);
    let back = pubsub.stats();
    assert_eq!((back.gaps, back.reconnects), (2, 1));
    assert_eq!((back.received, back.delivered, back.dropped), (4, 3, 1));
    assert!(back.last_message.is_some());

    // What a handler took is delivered too.
    pubsub.subscribe_with("handled", |_| ()).await.unwrap();
    client.publish("handled", "x").await.unwrap();
    until_received(&pubsub, 5).await;
    while pubsub.stats().queued > 0 {
        assert!(pubsub.get_message(SOON).await.unwrap().is_none());
    }
    assert_eq!(sums(&pubsub), (5, 4, 1, 0));
}

async fn qu_03_what_was_not_read_before_the_close_was_not_delivered_and_is_not_kept(case: Case) {
    let mut pubsub = with_queue(&case, 100, 1 << 20, Overflow::Backpressure).await;
    let handle = pubsub.handle();
    publish(&case, 1..=10, 0);
    until_received(&pubsub, 10).await;
    assert_eq!(read(&mut pubsub, 1).await, ["message ch 1"]);
    soon(pubsub.close()).await.unwrap();
    assert_eq!(sums(&pubsub), (10, 1, 9, 0));
    assert_eq!(pubsub.stats().bytes_queued, 0);
    pubsub.close().await.unwrap();
    assert_eq!(sums(&pubsub), (10, 1, 9, 0));
    assert!(soon(handle.subscribe("ch")).await.unwrap_err().is_misuse());
}

async fn qu_01_requests_of_a_handle_do_not_lift_the_bound(case: Case) {
    const PUBLISHED: u64 = 2_000;
    let client = case.client().await;
    let builder = client.pubsub().queue(10, 1 << 20);
    let builder = builder.ignore_subscribe_messages(true);
    let mut pubsub = builder.channels(["a"]).await.unwrap();
    let handle = pubsub.handle();
    let restless = tokio::spawn(async move {
        loop {
            handle.subscribe("b").await.unwrap();
            handle.unsubscribe("b").await.unwrap();
            // Here it can be ended.
            tokio::task::yield_now().await;
        }
    });
    for n in 0..PUBLISHED {
        assert_eq!(client.publish("a", n).await.unwrap(), 1);
    }
    // What one read brings may exceed the bound, and here a read brings few.
    let queued = pubsub.stats().queued;
    assert!(queued < PUBLISHED / 2, "{queued} are queued");
    restless.abort();
    for n in 0..PUBLISHED {
        let event = pubsub.next_message(SOON).await.unwrap().expect("it comes");
        assert_eq!(short(&event), format!("message a {n}"));
    }
}

async fn qu_01_a_subscriber_that_was_closed_by_its_queue_says_so(case: Case) {
    let client = case.client().await;
    let builder = client.pubsub().queue(1, 1 << 20).overflow(Overflow::Close);
    let mut pubsub = builder.channels(["a"]).await.unwrap();
    assert!(pubsub.is_subscribed());
    for n in 0..3 {
        client.publish("a", n).await.unwrap();
    }
    case.await_subscribers("a", 0).await;
    let ended = async {
        while pubsub.is_subscribed() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(SOON, ended).await.expect("it ends");
    let error = error(pubsub.subscribe("b").await);
    assert_eq!(error.kind(), ErrorKind::Overflow, "{error}");
}
