//! Handlers on real servers: SPEC items HN.

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use support::{QUIET, SOON, assert_quiet, error, on_each, read, short};
use tidings::{Client, Commands, Error, ErrorKind, Event, Message, PubSub};

/// What handlers wrote down, in order.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn note(&self, text: impl Into<String>) {
        self.0.lock().unwrap().push(text.into());
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    /// A handler that writes each message down.
    fn handler(&self, who: &'static str) -> impl FnMut(Message) + Send + use<> {
        let log = self.clone();
        move |message| log.note(format!("{who}: {}", short(&Event::Message(message))))
    }
}

/// A PubSub without confirmations among its events.
async fn silent(client: &Client) -> PubSub {
    let builder = client.pubsub().ignore_subscribe_messages(true);
    builder.await.unwrap()
}

/// Reads until nothing is there any more: what was returned, and what failed.
///
/// All that was published before is read, since the answer to a PING comes behind it.
async fn read_all(pubsub: &mut PubSub) -> (Vec<String>, Vec<Error>) {
    pubsub.ping().await.unwrap();
    let (mut events, mut errors) = (Vec::new(), Vec::new());
    loop {
        match pubsub.next_message(Duration::ZERO).await {
            Ok(Some(event)) => events.push(short(&event)),
            Ok(None) => return (events, errors),
            Err(error) => errors.push(error),
        }
    }
}

/// As [`read_all`], where nothing fails and all is handled.
async fn let_handle(pubsub: &mut PubSub) {
    let (events, errors) = read_all(pubsub).await;
    assert!(errors.is_empty(), "{errors:?}");
    assert_eq!(events, [""; 0]);
}

fn sources(error: &Error) -> String {
    let source = std::error::Error::source(error).expect("it has a source");
    format!("{error}: {source}")
}

#[test]
fn hn_01_each_kind_of_subscription_takes_a_handler_that_gets_the_message() {
    on_each(async |case| {
        let client = case.client().await;
        let mut pubsub = silent(&client).await;
        let log = Log::default();
        pubsub
            .subscribe_with("a", log.handler("sync"))
            .await
            .unwrap();
        pubsub
            .psubscribe_with("p*", log.handler("sync"))
            .await
            .unwrap();
        pubsub
            .ssubscribe_with("s", log.handler("sync"))
            .await
            .unwrap();
        let later = |log: &Log| {
            let log = log.clone();
            move |message: Message| {
                let log = log.clone();
                async move {
                    tokio::task::yield_now().await;
                    log.note(format!("async: {}", short(&Event::Message(message))));
                }
            }
        };
        pubsub.subscribe_with_async("b", later(&log)).await.unwrap();
        pubsub
            .psubscribe_with_async("q*", later(&log))
            .await
            .unwrap();
        pubsub
            .ssubscribe_with_async("t", later(&log))
            .await
            .unwrap();
        // Names as in subscribe; also bytes and numbers.
        pubsub
            .subscribe_with(b"\0\r\n", log.handler("bytes"))
            .await
            .unwrap();
        pubsub
            .subscribe_with(7, log.handler("number"))
            .await
            .unwrap();
        for (channel, payload) in [
            ("a", "1"),
            ("p1", "2"),
            ("b", "3"),
            ("q1", "4"),
            ("\0\r\n", "5"),
        ] {
            assert_eq!(client.publish(channel, payload).await.unwrap(), 1);
        }
        assert_eq!(client.publish(7, "6").await.unwrap(), 1);
        assert_eq!(client.spublish("s", "7").await.unwrap(), 1);
        assert_eq!(client.spublish("t", "8").await.unwrap(), 1);
        for _ in 0..8 + 8 {
            assert!(pubsub.get_message(SOON).await.unwrap().is_none());
        }
        assert_eq!(
            log.take(),
            [
                "sync: message a 1",
                "sync: pmessage p* p1 2",
                "async: message b 3",
                "async: pmessage q* q1 4",
                "bytes: message \0\r\n 5",
                "number: message 7 6",
                "sync: smessage s 7",
                "async: smessage t 8",
            ]
        );
    });
}

#[test]
fn hn_01_a_handler_gets_decoded_payloads() {
    on_each(async |case| {
        let client = case.client().await;
        let mut pubsub = client.pubsub().payload::<i64>().await.unwrap();
        let sum = Arc::new(Mutex::new(0));
        let total = Arc::clone(&sum);
        let add = move |message: Message<i64>| *total.lock().unwrap() += message.payload();
        pubsub.subscribe_with("a", add).await.unwrap();
        for n in [1, 20, 300] {
            client.publish("a", n).await.unwrap();
        }
        let none = pubsub.next_message(QUIET).await;
        assert!(matches!(none, Ok(None)), "{none:?}");
        assert_eq!(*sum.lock().unwrap(), 321);
    });
}

#[test]
fn hn_02_a_handled_message_is_not_returned() {
    on_each(async |case| {
        let client = case.client().await;
        let mut pubsub = client.pubsub().channels("b").await.unwrap();
        let log = Log::default();
        pubsub.subscribe_with("a", log.handler("h")).await.unwrap();
        assert_eq!(
            read(&mut pubsub, 2).await,
            ["subscribe b 1", "subscribe a 2"]
        );
        client.publish("a", "1").await.unwrap();
        client.publish("b", "2").await.unwrap();
        client.publish("a", "3").await.unwrap();
        // Each read takes one, and answers at once.
        let start = std::time::Instant::now();
        assert!(pubsub.get_message(SOON).await.unwrap().is_none());
        assert_eq!(log.take(), ["h: message a 1"]);
        let event = pubsub.get_message(SOON).await.unwrap();
        assert_eq!(short(&event.unwrap()), "message b 2");
        assert!(pubsub.get_message(SOON).await.unwrap().is_none());
        assert_eq!(log.take(), ["h: message a 3"]);
        assert!(start.elapsed() < SOON / 2, "{:?}", start.elapsed());
        assert_quiet(&mut pubsub).await;
        assert_eq!(pubsub.stats().delivered, 3);
    });
}

#[test]
fn hn_03_handlers_run_when_the_object_reads_and_never_behind_the_back() {
    on_each(async |case| {
        let client = case.client().await;
        let mut pubsub = silent(&client).await;
        let log = Log::default();
        pubsub.subscribe_with("a", log.handler("a")).await.unwrap();
        pubsub
            .psubscribe_with("p*", log.handler("p"))
            .await
            .unwrap();
        pubsub.subscribe("b").await.unwrap();
        for (channel, payload) in [
            ("a", "1"),
            ("p", "2"),
            ("b", "3"),
            ("a", "4"),
            ("b", "5"),
            ("p", "6"),
        ] {
            client.publish(channel, payload).await.unwrap();
        }
        // All of it is here, and nothing has run: not at other calls, and not while time goes by.
        pubsub.ping().await.unwrap();
        pubsub.subscribe("c").await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!(pubsub.stats().received, 6);
        assert_eq!(log.take(), [""; 0]);

        let next = pubsub.next().await.unwrap().unwrap();
        log.note(short(&next));
        assert_eq!(
            log.take(),
            ["a: message a 1", "p: pmessage p* p 2", "message b 3"]
        );
        assert_eq!(pubsub.stats().queued, 3);
        let next = pubsub.next_message(SOON).await.unwrap().unwrap();
        log.note(short(&next));
        assert_eq!(log.take(), ["a: message a 4", "message b 5"]);
        let_handle(&mut pubsub).await;
        assert_eq!(log.take(), ["p: pmessage p* p 6"]);
    });
}

#[test]
fn hn_03_handlers_run_one_after_the_other_in_the_order_of_the_messages() {
    on_each(async |case| {
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
        pubsub.subscribe_with_async("slow", handler).await.unwrap();
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
    on_each(async |case| {
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
        pubsub.subscribe_with_async("a", handler).await.unwrap();
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
fn hn_04_a_channels_and_a_patterns_handler_both_run_for_one_publish() {
    on_each(async |case| {
        let client = case.client().await;
        let mut pubsub = silent(&client).await;
        let log = Log::default();
        pubsub
            .psubscribe_with("n*", log.handler("pattern"))
            .await
            .unwrap();
        pubsub
            .subscribe_with("news", log.handler("channel"))
            .await
            .unwrap();
        // The same name as pattern and as channel: each has its own.
        pubsub
            .psubscribe_with("same", log.handler("pattern"))
            .await
            .unwrap();
        pubsub
            .subscribe_with("same", log.handler("channel"))
            .await
            .unwrap();
        assert_eq!(client.publish("news", "1").await.unwrap(), 2);
        assert_eq!(client.publish("same", "2").await.unwrap(), 2);
        let_handle(&mut pubsub).await;
        assert_eq!(
            log.take(),
            [
                "channel: message news 1",
                "pattern: pmessage n* news 1",
                "channel: message same 2",
                "pattern: pmessage same same 2",
            ]
        );
        // With one of the two, the other message is returned.
        pubsub.unsubscribe("news").await.unwrap();
        pubsub.punsubscribe("same").await.unwrap();
        let_handle(&mut pubsub).await;
        pubsub.subscribe("news").await.unwrap();
        pubsub.psubscribe("same").await.unwrap();
        client.publish("news", "3").await.unwrap();
        client.publish("same", "4").await.unwrap();
        let (events, errors) = read_all(&mut pubsub).await;
        assert!(errors.is_empty(), "{errors:?}");
        assert_eq!(events, ["message news 3", "pmessage same same 4"]);
        assert_eq!(
            log.take(),
            ["pattern: pmessage n* news 3", "channel: message same 4"]
        );
    });
}

#[test]
fn hn_05_a_handlers_error_comes_out_of_the_read_that_ran_it_and_the_next_goes_on() {
    on_each(async |case| {
        let client = case.client().await;
        let mut pubsub = silent(&client).await;
        let log = Log::default();
        let count = |who: &'static str| {
            let log = log.clone();
            move |message: &Message| log.note(format!("{who} {}", message.text()))
        };
        let (text, owned, boxed, later) = (
            count("text"),
            count("owned"),
            count("boxed"),
            count("later"),
        );
        let fails = move |message: Message| {
            text(&message);
            Err::<(), _>("as text")
        };
        pubsub.subscribe_with("text", fails).await.unwrap();
        let fails = move |message: Message| {
            owned(&message);
            if message.text() == "2" {
                Ok(())
            } else {
                Err("as a String".to_owned())
            }
        };
        pubsub.subscribe_with("owned", fails).await.unwrap();
        let fails = move |message: Message| {
            boxed(&message);
            message.text().parse::<bool>().map(drop)
        };
        pubsub.psubscribe_with("box*", fails).await.unwrap();
        let later = Arc::new(later);
        let fails = move |message: Message| {
            let later = Arc::clone(&later);
            async move {
                later(&message);
                tokio::task::yield_now().await;
                Err::<(), _>("late")
            }
        };
        pubsub.subscribe_with_async("later", fails).await.unwrap();
        pubsub.subscribe("plain").await.unwrap();
        for (channel, payload) in [
            ("text", "1"),
            ("owned", "2"),
            ("owned", "3"),
            ("plain", "4"),
            ("boxed", "5"),
            ("later", "6"),
            ("plain", "7"),
        ] {
            client.publish(channel, payload).await.unwrap();
        }
        let (events, errors) = read_all(&mut pubsub).await;
        assert_eq!(events, ["message plain 4", "message plain 7"]);
        assert!(
            errors
                .iter()
                .all(|error| error.kind() == ErrorKind::Handler)
        );
        assert_eq!(
            errors.iter().map(sources).collect::<Vec<_>>(),
            [
                "the handler of text failed: as text",
                "the handler of owned failed: as a String",
                "the handler of box* failed: provided string was not `true` or `false`",
                "the handler of later failed: late",
            ]
        );
        // Each message was handled once.
        assert_eq!(
            log.take(),
            ["text 1", "owned 2", "owned 3", "boxed 5", "later 6"]
        );

        // The same out of the stream and of next_message.
        client.publish("text", "8").await.unwrap();
        client.publish("text", "9").await.unwrap();
        client.publish("plain", "10").await.unwrap();
        let failed = error(pubsub.next().await.unwrap());
        assert_eq!(sources(&failed), "the handler of text failed: as text");
        let failed = error(pubsub.next_message(SOON).await);
        assert_eq!(sources(&failed), "the handler of text failed: as text");
        assert_eq!(read(&mut pubsub, 1).await, ["message plain 10"]);
        assert_eq!(log.take(), ["text 8", "text 9"]);
    });
}

#[test]
fn hn_05_a_panic_in_a_handler_is_an_error_item_and_loses_no_connection() {
    on_each(async |case| {
        let client = case.client().await;
        let mut pubsub = silent(&client).await;
        let handler = |message: Message| match &*message.text() {
            "static" => panic!("as it stands"),
            "value" => std::panic::panic_any(7),
            other => panic!("with {other}"),
        };
        pubsub
            .subscribe_with("now", move |message| -> () { handler(message) })
            .await
            .unwrap();
        let at_once = |_| -> std::future::Ready<()> { panic!("before there is a future") };
        pubsub
            .subscribe_with_async("at once", at_once)
            .await
            .unwrap();
        let later = |message: Message| async move {
            tokio::task::yield_now().await;
            assert_ne!(message.text(), "bad", "in the future");
        };
        pubsub.psubscribe_with_async("later", later).await.unwrap();
        pubsub.subscribe("plain").await.unwrap();
        let ids = case.subscriber_ids();
        assert_eq!(ids.len(), 1);
        for (channel, payload) in [
            ("now", "static"),
            ("now", "words"),
            ("now", "value"),
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
        assert_eq!(
            texts[..4],
            [
                "the handler of now panicked: as it stands",
                "the handler of now panicked: with words",
                "the handler of now panicked: no message",
                "the handler of at once panicked: before there is a future",
            ]
        );
        assert!(
            texts[4].starts_with("the handler of later panicked: "),
            "{texts:?}"
        );
        assert!(texts[4].contains("in the future"), "{texts:?}");
        assert_eq!(texts.len(), 5);
        assert_eq!(case.subscriber_ids(), ids);
        assert_eq!(pubsub.stats().reconnects, 0);
    });
}

#[test]
fn hn_06_handlers_survive_reconnects() {
    on_each(async |case| {
        let client = case.client().await;
        let mut pubsub = silent(&client).await;
        let log = Log::default();
        pubsub.subscribe_with("a", log.handler("a")).await.unwrap();
        pubsub
            .psubscribe_with("p*", log.handler("p"))
            .await
            .unwrap();
        pubsub.ssubscribe_with("s", log.handler("s")).await.unwrap();
        let later = log.clone();
        let handler = move |message: Message| {
            let log = later.clone();
            async move { log.note(format!("b: {}", short(&Event::Message(message)))) }
        };
        pubsub.subscribe_with_async("b", handler).await.unwrap();
        let gaps = Log::default();
        let noted = gaps.clone();
        pubsub.on_gap(move |gap| noted.note(format!("{:?} {}", gap.cause(), gap.names().len())));
        for round in 1..=3 {
            assert_eq!(case.kill_subscribers(), 1);
            assert_eq!(read(&mut pubsub, 1).await, ["gap Disconnected"]);
            for channel in ["a", "p", "b"] {
                assert_eq!(client.publish(channel, round).await.unwrap(), 1);
            }
            assert_eq!(client.spublish("s", round).await.unwrap(), 1);
            let_handle(&mut pubsub).await;
            assert_eq!(
                log.take(),
                [
                    format!("a: message a {round}"),
                    format!("p: pmessage p* p {round}"),
                    format!("b: message b {round}"),
                    format!("s: smessage s {round}"),
                ]
            );
            assert_eq!(gaps.take(), ["Disconnected 4"]);
            assert_eq!(pubsub.stats().reconnects, round);
        }
    });
}

#[test]
fn hn_06_a_consumer_that_has_only_handlers_uses_flat_memory() {
    const MESSAGES: u64 = 20_000;
    on_each(async |case| {
        let client = case.client().await;
        let mut pubsub = client.pubsub().queue(1_000, 100_000).await.unwrap();
        let count = Arc::new(Mutex::new(0_u64));
        let counted = Arc::clone(&count);
        let handler = move |message: Message| {
            let mut count = counted.lock().unwrap();
            *count += 1;
            assert_eq!(message.text(), count.to_string());
        };
        pubsub.subscribe_with("a", handler).await.unwrap();
        let script = "for n = 1, tonumber(ARGV[1]) do redis.call('PUBLISH', 'a', n) end";
        let publish = tidings::cmd("EVAL").arg(script).arg(0).arg(MESSAGES);
        client.run::<()>(publish).await.unwrap();
        let mut most = 0;
        let confirmation = pubsub.get_message(SOON).await.unwrap();
        assert_eq!(short(&confirmation.unwrap()), "subscribe a 1");
        for n in 1..=MESSAGES {
            assert!(pubsub.get_message(SOON).await.unwrap().is_none());
            if n % 500 == 0 {
                assert_eq!(pubsub.stats().delivered, n);
                most = most.max(pubsub.stats().bytes_queued);
            }
        }
        assert_eq!(*count.lock().unwrap(), MESSAGES);
        // What one read brings may exceed the bounds, and no more than that is held.
        assert!(most <= 100_000 + 2 * 256 * 1024, "{most}");
        let stats = pubsub.stats();
        assert_eq!((stats.queued, stats.bytes_queued, stats.dropped), (0, 0, 0));
        assert_eq!(stats.received, MESSAGES);
    });
}

#[test]
fn hn_07_a_handler_that_cannot_wait_subscribes_unsubscribes_and_publishes() {
    on_each(async |case| {
        let client = case.client().await;
        let mut pubsub = client.pubsub().await.unwrap();
        let (log, handle, publisher) = (Log::default(), pubsub.handle(), client.clone());
        let noted = log.clone();
        let handler = move |message: Message| {
            noted.note(message.text());
            match &*message.text() {
                "1" => drop(handle.subscribe(["b", "c"])),
                "2" => drop(handle.unsubscribe("b")),
                "3" => {
                    let publisher = publisher.clone();
                    tokio::spawn(async move { publisher.publish("c", "from a handler").await });
                }
                _ => drop(handle.unsubscribe(["a", "c"])),
            }
        };
        pubsub.subscribe_with("a", handler).await.unwrap();
        assert_eq!(read(&mut pubsub, 1).await, ["subscribe a 1"]);
        // Each one when what the one before did has been seen.
        let steps: [(&str, &[&str]); 4] = [
            ("1", &["subscribe b 2", "subscribe c 3"]),
            ("2", &["unsubscribe b 2"]),
            ("3", &["message c from a handler"]),
            ("4", &["unsubscribe a 1", "unsubscribe c 0"]),
        ];
        for (payload, events) in steps {
            client.publish("a", payload).await.unwrap();
            assert_eq!(read(&mut pubsub, events.len()).await, events);
        }
        assert!(pubsub.next().await.is_none());
        assert_eq!(log.take(), ["1", "2", "3", "4"]);
    });
}

#[test]
fn hn_07_a_handler_waits_for_its_subscriptions_and_publications_behind_a_full_queue() {
    const MESSAGES: usize = 2_000;
    on_each(async |case| {
        let client = case.client().await;
        let builder = client.pubsub().queue(1, 1);
        let mut pubsub = builder.ignore_subscribe_messages(true).await.unwrap();
        let (log, handle, publisher) = (Log::default(), pubsub.handle(), client.clone());
        let noted = log.clone();
        let handler = move |message: Message| {
            let (log, handle, publisher) = (noted.clone(), handle.clone(), publisher.clone());
            async move {
                if message.text() == "0" {
                    handle.subscribe("b").await?;
                    log.note(publisher.publish("b", "one").await?.to_string());
                    handle.unsubscribe("b").await?;
                    log.note(publisher.publish("b", "none").await?.to_string());
                    // Its own channel, too.
                    log.note(publisher.publish("a", "own").await?.to_string());
                    handle.unsubscribe("a").await?;
                    log.note(publisher.publish("a", "none").await?.to_string());
                }
                Ok::<_, Error>(())
            }
        };
        pubsub.subscribe_with_async("a", handler).await.unwrap();
        for n in 0..MESSAGES {
            case.server.admin(["PUBLISH", "a", &n.to_string()]);
        }
        let mut events = Vec::new();
        let all = async {
            while let Some(event) = pubsub.next().await {
                events.push(short(&event.unwrap()));
            }
        };
        tokio::time::timeout(SOON, all).await.expect("no deadlock");
        assert_eq!(log.take(), ["1", "0", "1", "0"]);
        assert_eq!(events, ["message b one"]);
        // All that was sent before the end was handled.
        assert_eq!(pubsub.stats().delivered, MESSAGES as u64 + 2);
    });
}

#[test]
fn hn_06_a_handler_ends_with_its_subscription_however_late_that_is_read() {
    on_each(async |case| {
        for read_in_between in [false, true] {
            let client = case.client().await;
            let builder = client.pubsub().ignore_subscribe_messages(true);
            let (mut pubsub, log) = (builder.await.unwrap(), Log::default());
            pubsub
                .subscribe_with("a", log.handler("old"))
                .await
                .unwrap();
            client.publish("a", "one").await.unwrap();
            pubsub.unsubscribe("a").await.unwrap();
            if read_in_between {
                while pubsub.next().await.is_some() {}
            }
            pubsub.subscribe("a").await.unwrap();
            client.publish("a", "two").await.unwrap();
            let event = pubsub.next_message(SOON).await.unwrap().expect("it comes");
            assert_eq!(short(&event), "message a two");
            assert_eq!(log.take(), ["old: message a one"]);

            // A new handler is not taken away by the end of the subscription before.
            pubsub
                .subscribe_with("a", log.handler("old"))
                .await
                .unwrap();
            pubsub.unsubscribe("a").await.unwrap();
            pubsub
                .subscribe_with("a", log.handler("new"))
                .await
                .unwrap();
            client.publish("a", "three").await.unwrap();
            pubsub.unsubscribe_all().await.unwrap();
            assert!(pubsub.next().await.is_none());
            assert_eq!(log.take(), ["new: message a three"]);
        }
    });
}
