//! Subscribers that a thread reads. What holds for both faces is in the tables of `tests/pubsub` and others.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tidings::GapCause;
use tidings_testkit::Proxy;

use crate::*;

/// Nothing is there, and that is told without waiting. A busy machine may take its time, but not each time.
fn assert_at_once(pubsub: &mut PubSub) {
    let times = (0..50).map(|_| {
        let begin = Instant::now();
        assert!(pubsub.get_message(Duration::ZERO).unwrap().is_none());
        begin.elapsed()
    });
    let fastest = times.min().unwrap();
    assert!(fastest < Duration::from_millis(20), "{fastest:?}");
}

#[test]
fn gm_01_with_no_time_it_gives_what_has_arrived_and_waits_for_nothing() {
    on_each(|case| {
        let client = client(&case);
        let mut pubsub = client.pubsub().channels("news").open().unwrap();
        assert_eq!(read(&mut pubsub, 1), ["subscribe news 1"]);
        for round in 0..200 {
            assert!(pubsub.get_message(Duration::ZERO).unwrap().is_none());
            client.publish("news", round).unwrap();
            // Before it answers the next command, the server has written what the one before brought about.
            client.ping().unwrap();
            let event = pubsub.get_message(Duration::ZERO).unwrap();
            let event = event.unwrap_or_else(|| panic!("message {round} has arrived"));
            assert_eq!(short(&event), format!("message news {round}"));
        }
        // It waits for no server that is silent either.
        case.server.stop_process();
        assert_at_once(&mut pubsub);
        case.server.continue_process();
    });
}

#[test]
fn gm_01_without_a_connection_nothing_is_there_and_it_says_so_at_once() {
    on_each(|case| {
        let proxy = Proxy::to(&case.server);
        let url = format!(
            "{}?protocol={}",
            case.server.url_via(&proxy),
            case.protocol.number()
        );
        let config = Config::from_url(&url).unwrap();
        let client = Client::connect(config).unwrap();
        let mut pubsub = client.pubsub().channels("news").open().unwrap();
        assert_eq!(read(&mut pubsub, 1), ["subscribe news 1"]);
        proxy.refuse(true);
        proxy.cut();
        eventually("an attempt fails", || pubsub.last_connect_error().is_some());
        assert_at_once(&mut pubsub);
    });
}

#[test]
fn it_01_the_iterator_waits_for_the_next_event_and_it_02_ends_with_the_last_subscription() {
    on_each(|case| {
        let client = client(&case);
        let mut pubsub = client.pubsub().channels(["a", "b"]).open().unwrap();
        let publishing = thread::spawn(move || {
            for n in 0..1000 {
                client.publish(["a", "b"][n % 2], n).unwrap();
            }
        });
        let mut seen = 0;
        let mut ends = Vec::new();
        let handle = pubsub.handle();
        for event in &mut pubsub {
            match event.unwrap() {
                Event::Message(message) => {
                    assert_eq!(message.text(), seen.to_string());
                    seen += 1;
                    if seen == 1000 {
                        handle.without_waiting().unsubscribe(["a", "b"]).unwrap();
                    }
                }
                other => ends.push(short(&other)),
            }
        }
        publishing.join().unwrap();
        assert_eq!(
            ends,
            [
                "subscribe a 1",
                "subscribe b 2",
                "unsubscribe a 1",
                "unsubscribe b 0"
            ]
        );
        assert_eq!(seen, 1000);
        // IT-03
        assert!(pubsub.next().is_none());
        pubsub.subscribe("a").unwrap();
        assert_eq!(short(&pubsub.next().unwrap().unwrap()), "subscribe a 1");
    });
}

#[test]
fn an_iterator_with_a_time_ends_when_nothing_came_for_so_long() {
    on_each(|case| {
        let client = client(&case);
        let wait = Duration::from_millis(100);
        let mut pubsub = client.pubsub().channels("news").open().unwrap();
        client.publish("news", 1).unwrap();
        client.publish("news", 2).unwrap();
        let begin = Instant::now();
        let events: Vec<String> = pubsub
            .timeout_iter(wait)
            .map(|event| short(&event.unwrap()))
            .collect();
        assert_eq!(
            events,
            ["subscribe news 1", "message news 1", "message news 2"]
        );
        assert!(begin.elapsed() >= wait);
        // It goes on when it is made again, and ends at once with the last subscription.
        client.publish("news", 3).unwrap();
        pubsub.unsubscribe_all().unwrap();
        let begin = Instant::now();
        assert_eq!(pubsub.timeout_iter(SOON).count(), 2);
        assert!(begin.elapsed() < SOON);
        pubsub.close().unwrap();
        assert!(pubsub.timeout_iter(SOON).next().is_none());
    });
}

#[test]
fn an_iterator_with_a_time_goes_on_while_handlers_have_something_to_do() {
    on_one(|_, client| {
        let mut pubsub = client
            .pubsub()
            .ignore_subscribe_messages(true)
            .open()
            .unwrap();
        let handled = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&handled);
        pubsub
            .subscribe_with("news", move |_| {
                counted.fetch_add(1, Ordering::Relaxed);
            })
            .unwrap();
        let publishing = thread::spawn(move || {
            for message in 0..15 {
                client.publish("news", message).unwrap();
                thread::sleep(Duration::from_millis(100));
            }
        });
        // All together takes longer than its time, each one by far not.
        assert_eq!(pubsub.timeout_iter(Duration::from_secs(1)).count(), 0);
        assert_eq!(handled.load(Ordering::Relaxed), 15);
        publishing.join().unwrap();
    });
}

#[test]
fn hn_07_a_handler_may_run_commands_subscribe_and_publish() {
    on_each(|case| {
        let client = client(&case);
        let mut pubsub = client
            .pubsub()
            .ignore_subscribe_messages(true)
            .open()
            .unwrap();
        let (handle, used) = (pubsub.handle(), client.clone());
        pubsub
            .subscribe_with("control", move |message| {
                used.set("last", message.payload())?;
                handle.subscribe(message.payload())?;
                handle.without_waiting().subscribe("more")?;
                used.publish(message.payload(), "welcome").map(drop)
            })
            .unwrap();
        client.publish("control", "news").unwrap();
        let event = pubsub.next_message(SOON).unwrap().unwrap();
        assert_eq!(short(&event), "message news welcome");
        assert_eq!(client.get::<String>("last").unwrap(), "news");
        assert_eq!(pubsub.channels(), ["control", "news", "more"]);
    });
}

#[test]
fn lv_02_a_subscriber_that_is_not_read_stays_alive_and_keeps_its_bounds() {
    on_each(|case| {
        let (interval, timeout) = (Duration::from_millis(100), Duration::from_millis(600));
        let config = config(&case).ping_interval(interval).ping_timeout(timeout);
        let client = Client::connect(config).unwrap();
        let mut pubsub = client
            .pubsub()
            .channels("news")
            .queue(10, 1 << 20)
            .overflow(Overflow::DropOldest)
            .open()
            .unwrap();
        let subscribers = case.subscriber_ids();
        for message in 0..100 {
            client.publish("news", message).unwrap();
        }
        eventually("all have come", || pubsub.stats().received == 100);
        thread::sleep(2 * (interval + timeout));
        eventually("it has just answered", || {
            let last = pubsub.stats().last_pong;
            last.is_some_and(|ago| ago < interval)
        });
        let stats = pubsub.stats();
        assert_eq!((stats.queued, stats.dropped, stats.reconnects), (10, 90, 0));
        assert_eq!(case.subscriber_ids(), subscribers);

        let events = read(&mut pubsub, 12);
        assert_eq!(events[..2], ["subscribe news 1", "gap Overflow"]);
        let newest: Vec<String> = (90..100).map(|n| format!("message news {n}")).collect();
        assert_eq!(events[2..], newest);
    });
}

#[test]
fn rc_02_a_server_that_was_killed_and_started_again_is_a_gap_and_it_goes_on() {
    on_each(|case| {
        let client = Client::connect(config(&case)).unwrap();
        let mut pubsub = client
            .pubsub()
            .channels("news")
            .patterns("n*")
            .open()
            .unwrap();
        assert_eq!(
            read(&mut pubsub, 2),
            ["subscribe news 1", "psubscribe n* 2"]
        );
        for round in 0..2 {
            let (read_out, events) = std::sync::mpsc::channel();
            let reading = thread::spawn(move || {
                for event in pubsub.by_ref() {
                    let event = event.unwrap();
                    let last = event.message().is_some_and(|m| m.kind() == "pmessage");
                    read_out.send(event).unwrap();
                    if last {
                        break;
                    }
                }
                pubsub
            });
            case.server.kill();
            case.server.restart();
            case.server.await_subscribers("news", 1);
            eventually("the client is back", || {
                client
                    .publish("news", round)
                    .is_ok_and(|receivers| receivers == 2)
            });
            pubsub = reading.join().unwrap();
            let events: Vec<Event> = events.iter().collect();
            let shown: Vec<String> = events.iter().map(short).collect();
            assert_eq!(
                shown,
                [
                    "subscribe news 1".to_owned(),
                    "psubscribe n* 2".to_owned(),
                    "gap Disconnected".to_owned(),
                    format!("message news {round}"),
                    format!("pmessage n* news {round}"),
                ]
            );
            assert_eq!(events[2].gap().unwrap().cause(), GapCause::Disconnected);
        }
        assert_eq!(pubsub.stats().reconnects, 2);
    });
}

#[test]
fn the_last_use_may_be_on_another_thread() {
    on_each(|case| {
        let client = client(&case);
        let mut pubsub = client.pubsub().payload::<i64>().open().unwrap();
        pubsub.subscribe("numbers").unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let reading = thread::spawn({
            let stop = Arc::clone(&stop);
            move || {
                let mut sum = 0;
                for event in &mut pubsub {
                    match event {
                        Ok(Event::Message(message)) => sum += message.payload(),
                        Err(error) => {
                            assert_eq!(error.kind(), ErrorKind::Decode);
                            stop.store(true, Ordering::Release);
                            break;
                        }
                        _ => {}
                    }
                }
                sum
            }
        });
        client.publish("numbers", 1).unwrap();
        client.publish("numbers", 2).unwrap();
        client.publish("numbers", "three").unwrap();
        drop(client);
        assert_eq!(reading.join().unwrap(), 3);
        assert!(stop.load(Ordering::Acquire));
        eventually("it is gone", || case.subscriber_ids().is_empty());
    });
}
