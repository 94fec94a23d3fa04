//! Handlers that are awaited, which only the asynchronous face has.

use std::future::Ready;
use std::sync::Arc;
use std::time::Duration;

use tidings::{Error, ErrorKind, Event, Message};

use super::{Log, let_handle, read_all, silent, sources};
use crate::faces::asynchronously;
use crate::support::{SOON, assert_quiet, read, short};

#[test]
fn hn_01_each_kind_of_subscription_takes_a_handler_that_is_awaited() {
    asynchronously(async |case| {
        let client = case.client().await;
        let mut pubsub = silent(&client).await;
        let log = Log::default();
        let later = |log: &Log| {
            let log = log.clone();
            move |message: Message| {
                let log = log.clone();
                async move {
                    tokio::task::yield_now().await;
                    log.note(short(&Event::Message(message)));
                }
            }
        };
        let subscriber = pubsub.asynchronous();
        subscriber
            .subscribe_with_async("a", later(&log))
            .await
            .unwrap();
        subscriber
            .psubscribe_with_async("p*", later(&log))
            .await
            .unwrap();
        subscriber
            .ssubscribe_with_async("s", later(&log))
            .await
            .unwrap();
        assert_eq!(client.publish("a", "1").await.unwrap(), 1);
        assert_eq!(client.publish("p1", "2").await.unwrap(), 1);
        assert_eq!(client.spublish("s", "3").await.unwrap(), 1);
        for _ in 0..3 + 3 {
            assert!(pubsub.get_message(SOON).await.unwrap().is_none());
        }
        assert_eq!(
            log.take(),
            ["message a 1", "pmessage p* p1 2", "smessage s 3"]
        );
    });
}

#[test]
fn hn_03_handlers_run_one_after_the_other_in_the_order_of_the_messages() {
    asynchronously(async |case| {
        let client = case.client().await;
        let mut pubsub = silent(&client).await;
        let log = Log::default();
        let slow = log.clone();
        let handler = move |message: Message| {
            let log = slow.clone();
            async move {
                log.note(format!("begin {}", message.text()));
                tokio::time::sleep(Duration::from_millis(2)).await;
                log.note(format!("end {}", message.text()));
            }
        };
        pubsub
            .asynchronous()
            .subscribe_with_async("slow", handler)
            .await
            .unwrap();
        pubsub
            .subscribe_with("fast", log.handler("fast"))
            .await
            .unwrap();
        for (channel, payload) in [("slow", "1"), ("fast", "2"), ("slow", "3"), ("slow", "4")] {
            client.publish(channel, payload).await.unwrap();
        }
        pubsub.ping().await.unwrap();
        pubsub.unsubscribe_all().await.unwrap();
        assert!(pubsub.next().await.is_none());
        assert_eq!(
            log.take(),
            [
                "begin 1",
                "end 1",
                "fast: message fast 2",
                "begin 3",
                "end 3",
                "begin 4",
                "end 4"
            ]
        );
    });
}

#[test]
fn hn_03_an_asynchronous_handler_outlives_the_read_that_began_it() {
    asynchronously(async |case| {
        let client = case.client().await;
        let mut pubsub = silent(&client).await;
        let log = Log::default();
        let go_on = Arc::new(tokio::sync::Notify::new());
        let (noted, gate) = (log.clone(), Arc::clone(&go_on));
        let handler = move |message: Message| {
            let (log, gate) = (noted.clone(), Arc::clone(&gate));
            async move {
                log.note(format!("begin {}", message.text()));
                gate.notified().await;
                log.note(format!("end {}", message.text()));
            }
        };
        pubsub
            .asynchronous()
            .subscribe_with_async("a", handler)
            .await
            .unwrap();
        client.publish("a", "1").await.unwrap();
        client.publish("a", "2").await.unwrap();
        for _ in 0..3 {
            let waited = pubsub.next_message(Duration::from_millis(20)).await;
            assert!(matches!(waited, Ok(None)), "{waited:?}");
        }
        assert_eq!(log.take(), ["begin 1"]);
        go_on.notify_one();
        let waited = pubsub.next_message(Duration::from_millis(20)).await;
        assert!(matches!(waited, Ok(None)), "{waited:?}");
        assert_eq!(log.take(), ["end 1", "begin 2"]);
        go_on.notify_one();
        assert!(pubsub.get_message(SOON).await.unwrap().is_none());
        assert_eq!(log.take(), ["end 2"]);
        assert_quiet(&mut pubsub).await;
    });
}

#[test]
fn hn_05_the_error_of_a_handler_that_is_awaited_comes_out_of_a_read() {
    asynchronously(async |case| {
        let client = case.client().await;
        let mut pubsub = silent(&client).await;
        let log = Log::default();
        let noted = log.clone();
        let fails = move |message: Message| {
            let log = noted.clone();
            async move {
                log.note(message.text());
                tokio::task::yield_now().await;
                Err::<(), _>("late")
            }
        };
        pubsub
            .asynchronous()
            .subscribe_with_async("later", fails)
            .await
            .unwrap();
        pubsub.subscribe("plain").await.unwrap();
        for (channel, payload) in [("plain", "1"), ("later", "2"), ("plain", "3")] {
            client.publish(channel, payload).await.unwrap();
        }
        let (events, errors) = read_all(&mut pubsub).await;
        assert_eq!(events, ["message plain 1", "message plain 3"]);
        assert_eq!(errors.len(), 1);
        assert_eq!(errors[0].kind(), ErrorKind::Handler);
        assert_eq!(sources(&errors[0]), "the handler of later failed: late");
        assert_eq!(log.take(), ["2"]);
    });
}

#[test]
fn hn_05_a_panic_in_a_handler_that_is_awaited_is_an_error_item_and_loses_no_connection() {
    asynchronously(async |case| {
        let client = case.client().await;
        let mut pubsub = silent(&client).await;
        let at_once = |_| -> Ready<()> { panic!("before there is a future") };
        let later = |message: Message| async move {
            tokio::task::yield_now().await;
            assert_ne!(message.text(), "bad", "in the future");
        };
        let subscriber = pubsub.asynchronous();
        subscriber
            .subscribe_with_async("at once", at_once)
            .await
            .unwrap();
        subscriber
            .psubscribe_with_async("later", later)
            .await
            .unwrap();
        subscriber.subscribe("plain").await.unwrap();
        let ids = case.subscriber_ids();
        assert_eq!(ids.len(), 1);
        for (channel, payload) in [
            ("plain", "1"),
            ("at once", "x"),
            ("later", "good"),
            ("later", "bad"),
            ("later", "good"),
            ("plain", "2"),
        ] {
            client.publish(channel, payload).await.unwrap();
        }
        let (events, errors) = read_all(&mut pubsub).await;
        assert_eq!(events, ["message plain 1", "message plain 2"]);
        assert!(
            errors
                .iter()
                .all(|error| error.kind() == ErrorKind::Handler)
        );
        let texts: Vec<_> = errors.iter().map(Error::to_string).collect();
        assert_eq!(texts.len(), 2);
        assert_eq!(
            texts[0],
            "the handler of at once panicked: before there is a future"
        );
        assert!(
            texts[1].starts_with("the handler of later panicked: "),
            "{texts:?}"
        );
        assert!(texts[1].contains("in the future"), "{texts:?}");
        assert_eq!(case.subscriber_ids(), ids);
        assert_eq!(pubsub.stats().reconnects, 0);
    });
}

#[test]
fn hn_06_a_handler_that_is_awaited_survives_reconnects() {
    asynchronously(async |case| {
        let client = case.client().await;
        let mut pubsub = silent(&client).await;
        let log = Log::default();
        let later = log.clone();
        let handler = move |message: Message| {
            let log = later.clone();
            async move { log.note(short(&Event::Message(message))) }
        };
        pubsub
            .asynchronous()
            .subscribe_with_async("a", handler)
            .await
            .unwrap();
        for round in 1..=3 {
            assert_eq!(case.kill_subscribers(), 1);
            assert_eq!(read(&mut pubsub, 1).await, ["gap Disconnected"]);
            assert_eq!(client.publish("a", round).await.unwrap(), 1);
            let_handle(&mut pubsub).await;
            assert_eq!(log.take(), [format!("message a {round}")]);
            assert_eq!(pubsub.stats().reconnects, round);
        }
    });
}
