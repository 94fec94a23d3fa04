//! The Pub/Sub object on real servers: SPEC items PS.

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Instant;

use support::{
    COUNTED, Case, QUIET, SOON, assert_quiet, error, eventually, next, on_each, on_each_started,
    read, short,
};
use tidings::{
    Bytes, Client, Commands, Error, ErrorKind, Event, PubSub, PubSubHandle, Result,
    SubscriptionState,
};
use tidings_testkit::{Checker, Protocol, Publisher, ScriptedPeer, Server, frame};

/// Those that may subscribe to `ok:…` and to `extra` only.
const BOB: &str = "bob on >secret +@all ~* resetchannels &ok:* &extra";

/// A client that may subscribe to `ok:…` and to `extra` only.
async fn bob(case: &Case) -> Client {
    let url = case.server.url_as("bob", "secret");
    let protocol = case.protocol.number();
    Client::connect(format!("{url}?protocol={protocol}&{COUNTED}"))
        .await
        .unwrap()
}

/// Runs `test` on servers that know [`BOB`].
fn on_each_with_bob<F: Future<Output = ()>>(test: impl Fn(Case) -> F) {
    on_each_started(
        |binary| Server::builder().binary(binary).user(BOB).start_or_panic(),
        test,
    );
}

/// A handler that must not run.
fn never(message: tidings::Message) {
    panic!("it got {:?}", message.into_payload());
}

/// The end of the stream.
async fn assert_ended(pubsub: &mut PubSub) {
    let end = tokio::time::timeout(SOON, pubsub.next()).await;
    assert!(
        matches!(end, Ok(None)),
        "the stream was to end, but {end:?}"
    );
}

fn text(names: &[Bytes]) -> Vec<String> {
    let text = |name: &Bytes| String::from_utf8_lossy(name).into_owned();
    names.iter().map(text).collect()
}

/// What is wanted and confirmed: `Channel news Confirmed`, `Shard s Refused MOVED`.
fn states(pubsub: &PubSub) -> Vec<String> {
    let state = |subscription: &tidings::SubscriptionStatus| {
        let (kind, name) = (subscription.kind, &subscription.name);
        match &subscription.state {
            SubscriptionState::Refused(error) => {
                format!("{kind:?} {name} Refused {}", error.code())
            }
            state => format!("{kind:?} {name} {state:?}"),
        }
    };
    pubsub.subscriptions().iter().map(state).collect()
}

/// Publishes `lane:1`, `lane:2`, … until nobody receives it; says how many were received.
async fn publish_until_unheard(client: Client, channel: &'static str, lane: usize) -> u64 {
    let mut heard = 0;
    while client
        .publish(channel, format!("{lane}:{}", heard + 1))
        .await
        .unwrap()
        > 0
    {
        heard += 1;
    }
    heard
}

/// What was received of each lane of [`publish_until_unheard`].
#[derive(Default)]
struct Lanes([u64; Lanes::COUNT]);

impl Lanes {
    const COUNT: usize = 8;

    fn start(client: &Client, channel: &'static str) -> Vec<tokio::task::JoinHandle<u64>> {
        let publish = |lane| tokio::spawn(publish_until_unheard(client.clone(), channel, lane));
        (0..Self::COUNT).map(publish).collect()
    }

    /// Each message is the next one of its lane.
    fn note(&mut self, event: &Event) {
        let message = event.message().unwrap_or_else(|| panic!("{event:?}"));
        let text = message.text();
        let (lane, number) = text.split_once(':').expect("a lane and a number");
        let lane: usize = lane.parse().unwrap();
        assert_eq!(
            number.parse::<u64>().unwrap(),
            self.0[lane] + 1,
            "lane {lane}"
        );
        self.0[lane] += 1;
    }

    async fn assert_all_received(&self, lanes: Vec<tokio::task::JoinHandle<u64>>) {
        for (lane, task) in lanes.into_iter().enumerate() {
            assert_eq!(self.0[lane], task.await.unwrap(), "lane {lane}");
        }
    }
}

// ---- PS-01: the builder ----

#[test]
fn ps_01_a_builder_sends_nothing_and_awaited_is_subscribed_on_a_connection_of_its_own() {
    on_each(async |case| {
        let client = case.counted_client().await;
        assert_eq!(case.connections(), 1);
        case.forget_commands();
        let builder = client
            .pubsub()
            .channels(["one", "two"])
            .channels("three")
            .patterns(["p*"]);
        client.ping().await.unwrap();
        assert_eq!(case.commands_run(), ["ping 1"]);
        assert_eq!(case.connections(), 1);
        drop(client.pubsub().channels("never"));

        let mut pubsub = builder.await.unwrap();
        assert_eq!(case.connections(), 2);
        let list = case.server.cli(["CLIENT", "LIST", "TYPE", "pubsub"]);
        assert_eq!(list.lines().count(), 1);
        assert!(list.contains(" sub=3 psub=1 "), "{list}");
        assert_eq!(text(&pubsub.channels()), ["one", "two", "three"]);
        assert_eq!(text(&pubsub.patterns()), ["p*"]);
        assert_eq!(
            read(&mut pubsub, 4).await,
            [
                "subscribe one 1",
                "subscribe two 2",
                "subscribe three 3",
                "psubscribe p* 4"
            ]
        );
        assert_quiet(&mut pubsub).await;
        assert_eq!(client.publish("three", "x").await.unwrap(), 1);
        assert_eq!(client.publish("never", "x").await.unwrap(), 0);
        assert_eq!(read(&mut pubsub, 1).await, ["message three x"]);
    });
}

#[test]
fn ps_01_a_builder_without_names_is_subscribed_to_nothing() {
    on_each(async |case| {
        let client = case.client().await;
        let mut pubsub = client.pubsub().await.unwrap();
        assert!(!pubsub.is_subscribed());
        assert!(pubsub.subscriptions().is_empty());
        assert_eq!(case.subscriber_ids(), [""; 0]);
        pubsub.ping().await.unwrap();
        assert_ended(&mut pubsub).await;
    });
}

#[test]
fn ps_01_a_builder_whose_name_is_refused_fails_and_leaves_no_connection() {
    on_each_with_bob(async |case| {
        let client = bob(&case).await;
        let error = error(client.pubsub().channels(["ok:1", "locked"]).await);
        assert!(error.is_no_permission(), "{error:?}");
        assert!(error.to_string().contains("locked"), "{error}");
        eventually("its connection is closed", || case.connections() == 1).await;
    });
}

// ---- PS-02: names ----

#[test]
fn ps_02_names_are_text_bytes_numbers_arrays_slices_and_iterators() {
    on_each(async |case| {
        let client = case.client().await;
        let mut pubsub = client.pubsub().await.unwrap();
        let list = vec!["vec-1".to_owned(), "vec-2".to_owned()];
        pubsub.subscribe("str").await.unwrap();
        pubsub.subscribe(String::from("String")).await.unwrap();
        pubsub.subscribe(&String::from("&String")).await.unwrap();
        pubsub.subscribe(&b"&[u8]"[..]).await.unwrap();
        pubsub.subscribe(b"&[u8; N]").await.unwrap();
        pubsub.subscribe(b"Vec<u8>".to_vec()).await.unwrap();
        pubsub
            .subscribe(Bytes::from_static(b"Bytes"))
            .await
            .unwrap();
        pubsub.subscribe(7).await.unwrap();
        pubsub.subscribe(-8_i64).await.unwrap();
        pubsub.subscribe(u64::MAX).await.unwrap();
        pubsub.subscribe(1.5).await.unwrap();
        pubsub.subscribe([10, 11]).await.unwrap();
        pubsub.subscribe(["array-1", "array-2"]).await.unwrap();
        pubsub.subscribe(&["slice-1", "slice-2"][..]).await.unwrap();
        pubsub.subscribe(&list).await.unwrap();
        pubsub
            .subscribe([
                Bytes::from_static(b"bytes-1"),
                Bytes::from_static(b"bytes-2"),
            ])
            .await
            .unwrap();
        pubsub
            .subscribe((1..=2).map(|n| format!("iterator-{n}")))
            .await
            .unwrap();
        let names = [
            "str",
            "String",
            "&String",
            "&[u8]",
            "&[u8; N]",
            "Vec<u8>",
            "Bytes",
            "7",
            "-8",
            "18446744073709551615",
            "1.5",
            "10",
            "11",
            "array-1",
            "array-2",
            "slice-1",
            "slice-2",
            "vec-1",
            "vec-2",
            "bytes-1",
            "bytes-2",
            "iterator-1",
            "iterator-2",
        ];
        assert_eq!(text(&pubsub.channels()), names);
        for (at, name) in names.iter().enumerate() {
            let confirmation = short(&next(&mut pubsub).await);
            assert_eq!(confirmation, format!("subscribe {name} {}", at + 1));
            assert_eq!(client.publish(*name, "x").await.unwrap(), 1, "{name}");
        }
        for name in names {
            assert_eq!(read(&mut pubsub, 1).await, [format!("message {name} x")]);
        }

        pubsub.unsubscribe_all().await.unwrap();
        read(&mut pubsub, names.len()).await;
        pubsub.psubscribe("p*").await.unwrap();
        pubsub.psubscribe([7, 8]).await.unwrap();
        pubsub.psubscribe(&b"q?"[..]).await.unwrap();
        pubsub.psubscribe(list).await.unwrap();
        let patterns = ["p*", "7", "8", "q?", "vec-1", "vec-2"];
        assert_eq!(text(&pubsub.patterns()), patterns);
        for (at, pattern) in patterns.iter().enumerate() {
            let confirmation = short(&next(&mut pubsub).await);
            assert_eq!(confirmation, format!("psubscribe {pattern} {}", at + 1));
        }
    });
}

#[test]
fn ps_02_names_are_binary_safe() {
    on_each(async |case| {
        let client = case.client().await;
        let mut pubsub = client.pubsub().await.unwrap();
        let every: Vec<u8> = (0..=255).collect();
        let long = vec![b'n'; 100_000];
        let names: [&[u8]; 7] = [b"", b"\0", b"a\0b", b"\r\n", b"$3\r\nx\r\n", &every, &long];
        pubsub.subscribe(names).await.unwrap();
        assert_eq!(pubsub.channels(), names);
        for (at, name) in names.iter().enumerate() {
            let event = next(&mut pubsub).await;
            let confirmation = event.confirmation().unwrap();
            assert_eq!(confirmation.name(), *name);
            assert_eq!(confirmation.count(), at as i64 + 1);
        }
        for name in names {
            assert_eq!(client.publish(name, name).await.unwrap(), 1);
            let message = next(&mut pubsub).await.into_message().unwrap();
            assert_eq!(message.kind(), "message");
            assert_eq!(message.channel(), name);
            assert_eq!(&message.payload()[..], name);
            assert_eq!(message.pattern(), None);
        }
        for name in names {
            pubsub.unsubscribe(name).await.unwrap();
            let event = next(&mut pubsub).await;
            assert_eq!(event.confirmation().unwrap().name(), name);
        }
        assert_ended(&mut pubsub).await;

        let pattern = b"\xff\r\n\0*";
        pubsub.psubscribe(pattern).await.unwrap();
        assert_eq!(pubsub.patterns(), [&pattern[..]]);
        let event = next(&mut pubsub).await;
        assert_eq!(event.confirmation().unwrap().name(), pattern);
        client.publish(b"\xff\r\n\0\r\n", "x").await.unwrap();
        let message = next(&mut pubsub).await.into_message().unwrap();
        assert_eq!(message.pattern(), Some(&pattern[..]));
        assert_eq!(message.channel(), b"\xff\r\n\0\r\n");
    });
}

#[test]
fn ps_02_no_name_is_a_misuse_and_nothing_is_sent() {
    const NONE: [&str; 0] = [];
    on_each(async |case| {
        let client = case.client().await;
        let mut pubsub = client.pubsub().channels("a").await.unwrap();
        assert_eq!(read(&mut pubsub, 1).await, ["subscribe a 1"]);
        let handle = pubsub.handle();
        case.forget_commands();
        let outcomes: [(&str, Result<()>); 12] = [
            ("subscribe", pubsub.subscribe(NONE).await),
            ("psubscribe", pubsub.psubscribe(NONE).await),
            ("ssubscribe", pubsub.ssubscribe(Vec::<String>::new()).await),
            ("unsubscribe", pubsub.unsubscribe(NONE).await),
            ("punsubscribe", pubsub.punsubscribe(None::<&str>).await),
            ("sunsubscribe", pubsub.sunsubscribe(NONE).await),
            ("subscribe", handle.subscribe(NONE).await),
            ("psubscribe", handle.psubscribe(NONE).await),
            ("ssubscribe", handle.ssubscribe(NONE).await),
            ("unsubscribe", handle.unsubscribe(NONE).await),
            ("punsubscribe", handle.punsubscribe(NONE).await),
            ("sunsubscribe", handle.sunsubscribe(NONE).await),
        ];
        for (name, outcome) in outcomes {
            let error = error(outcome);
            assert!(error.is_misuse(), "{name}: {error:?}");
            let text = format!("{name} needs at least one name");
            assert_eq!(error.to_string(), text);
        }
        // The PING comes behind whatever would have been sent.
        pubsub.ping().await.unwrap();
        assert_eq!(case.commands_run(), ["ping 1"]);
        assert_eq!(states(&pubsub), ["Channel a Confirmed"]);
        assert_quiet(&mut pubsub).await;
    });
}

// ---- PS-03: confirmed or refused ----

#[test]
fn ps_03_resolved_means_confirmed_by_the_server() {
    on_each(async |case| {
        let client = case.client().await;
        let mut pubsub = client.pubsub().await.unwrap();
        for n in 0..20 {
            let channel = format!("c{n}");
            pubsub.subscribe(&channel).await.unwrap();
            assert_eq!(client.publish(&channel, "x").await.unwrap(), 1);
            pubsub.psubscribe(format!("{channel}*")).await.unwrap();
            assert_eq!(client.publish(&channel, "x").await.unwrap(), 2);
            pubsub.unsubscribe(&channel).await.unwrap();
            assert_eq!(client.publish(&channel, "x").await.unwrap(), 1);
            pubsub.punsubscribe(format!("{channel}*")).await.unwrap();
            assert_eq!(client.publish(&channel, "x").await.unwrap(), 0);
            pubsub.ssubscribe(&channel).await.unwrap();
            assert_eq!(client.spublish(&channel, "x").await.unwrap(), 1);
            pubsub.sunsubscribe(&channel).await.unwrap();
            assert_eq!(client.spublish(&channel, "x").await.unwrap(), 0);
        }
    });
}

#[test]
fn ps_03_a_refused_name_is_named_by_the_error_and_spoils_no_other() {
    on_each_with_bob(async |case| {
        let client = bob(&case).await;
        let admin = case.client().await;
        let mut pubsub = client.pubsub().channels("ok:0").await.unwrap();
        assert_eq!(read(&mut pubsub, 1).await, ["subscribe ok:0 1"]);

        let refused = error(pubsub.subscribe(["ok:1", "locked", "ok:2", "ok:3"]).await);
        assert!(refused.is_no_permission(), "{refused:?}");
        assert_eq!(refused.kind(), ErrorKind::Server);
        assert_eq!(refused.code(), Some("NOPERM"));
        assert!(refused.to_string().contains(" locked:"), "{refused}");
        assert!(!refused.to_string().contains("ok:"), "{refused}");
        let refused = error(pubsub.psubscribe(["lock*", "ok:*"]).await);
        assert!(refused.is_no_permission(), "{refused:?}");
        assert!(refused.to_string().contains(" lock*:"), "{refused}");
        let refused = error(pubsub.ssubscribe("shut").await);
        assert!(refused.is_no_permission(), "{refused:?}");
        assert!(refused.to_string().contains(" shut:"), "{refused}");
        let refused = error(pubsub.handle().subscribe(["no-1", "no-2", "no-3"]).await);
        assert!(refused.is_no_permission(), "{refused:?}");
        assert!(
            refused.to_string().contains(" no-1 (and 2 more"),
            "{refused}"
        );
        let refused = error(pubsub.subscribe_with("locked", |_| ()).await);
        assert!(refused.to_string().contains(" locked:"), "{refused}");

        // The wanted set is as it was, the other names are subscribed, and no error comes up later.
        assert_eq!(text(&pubsub.channels()), ["ok:0", "ok:1", "ok:2", "ok:3"]);
        assert_eq!(text(&pubsub.patterns()), ["ok:*"]);
        assert_eq!(pubsub.shard_channels(), [""; 0]);
        assert_eq!(
            states(&pubsub),
            [
                "Channel ok:0 Confirmed",
                "Channel ok:1 Confirmed",
                "Channel ok:2 Confirmed",
                "Channel ok:3 Confirmed",
                "Pattern ok:* Confirmed",
            ]
        );
        assert_eq!(
            read(&mut pubsub, 4).await,
            [
                "subscribe ok:1 2",
                "subscribe ok:2 3",
                "subscribe ok:3 4",
                "psubscribe ok:* 5"
            ]
        );
        assert_eq!(admin.publish("locked", "x").await.unwrap(), 0);
        assert_eq!(admin.publish("ok:3", "x").await.unwrap(), 2);
        assert_eq!(
            read(&mut pubsub, 2).await,
            ["message ok:3 x", "pmessage ok:* ok:3 x"]
        );
        assert_quiet(&mut pubsub).await;
        assert_eq!(pubsub.stats().reconnects, 0);
        assert_eq!(case.subscriber_ids().len(), 1);
    });
}

#[test]
fn ps_03_a_refused_name_leaves_no_subscription_and_may_be_granted_later() {
    on_each_with_bob(async |case| {
        let client = bob(&case).await;
        let mut pubsub = client.pubsub().await.unwrap();
        assert!(error(pubsub.subscribe("locked").await).is_no_permission());
        assert!(!pubsub.is_subscribed());
        assert!(pubsub.subscriptions().is_empty());
        assert_ended(&mut pubsub).await;

        let refused = error(pubsub.subscribe_with("locked", never).await);
        assert!(refused.is_no_permission());
        case.server.admin(["ACL", "SETUSER", "bob", "&locked"]);
        pubsub.subscribe("locked").await.unwrap();
        let admin = case.client().await;
        assert_eq!(admin.publish("locked", "x").await.unwrap(), 1);
        // The handler of the refused attempt is not there.
        assert_eq!(
            read(&mut pubsub, 2).await,
            ["subscribe locked 1", "message locked x"]
        );
    });
}

#[test]
fn ps_03_a_forbidden_command_is_a_typed_error_too() {
    let start = |binary: &tidings_testkit::Binary| {
        let mute = "mute on >secret +@all -subscribe ~* &*";
        Server::builder().binary(binary).user(mute).start_or_panic()
    };
    on_each_started(start, async |case| {
        let url = case.server.url_as("mute", "secret");
        let client = Client::connect(format!("{url}?protocol={}", case.protocol.number()));
        let mut pubsub = client.await.unwrap().pubsub().await.unwrap();
        let refused = error(pubsub.subscribe(["a", "b"]).await);
        assert!(refused.is_no_permission(), "{refused:?}");
        assert!(refused.to_string().contains(" a (and 1 more"), "{refused}");
        pubsub.psubscribe("p*").await.unwrap();
        assert_eq!(states(&pubsub), ["Pattern p* Confirmed"]);
        assert_eq!(read(&mut pubsub, 1).await, ["psubscribe p* 1"]);
    });
}

// ---- PS-04: confirmations ----

#[test]
fn ps_04_each_name_yields_one_confirmation_in_order_with_its_count() {
    on_each(async |case| {
        let client = case.client().await;
        let mut pubsub = client.pubsub().await.unwrap();
        pubsub.subscribe(["c", "a", "b"]).await.unwrap();
        pubsub.psubscribe(["p*", "a"]).await.unwrap();
        pubsub.subscribe("d").await.unwrap();
        pubsub.ssubscribe(["a", "s"]).await.unwrap();
        pubsub.subscribe(["e", "f", "e"]).await.unwrap();
        assert_eq!(
            read(&mut pubsub, 11).await,
            [
                "subscribe c 1",
                "subscribe a 2",
                "subscribe b 3",
                "psubscribe p* 4",
                "psubscribe a 5",
                "subscribe d 6",
                "ssubscribe a 1",
                "ssubscribe s 2",
                "subscribe e 7",
                "subscribe f 8",
                "subscribe e 8",
            ]
        );
        assert_quiet(&mut pubsub).await;
    });
}

#[test]
fn ps_04_ten_thousand_names_are_confirmed_in_order() {
    on_each(async |case| {
        let client = case.client().await;
        let mut pubsub = client.pubsub().await.unwrap();
        let name = |n: i64| format!("channel:{n}");
        pubsub.subscribe((1..=10_000).map(name)).await.unwrap();
        for n in 1..=10_000 {
            let event = next(&mut pubsub).await;
            let confirmation = event.confirmation().unwrap();
            assert_eq!(confirmation.name(), name(n).as_bytes());
            assert_eq!(confirmation.count(), n);
        }
        assert_eq!(client.publish(name(10_000), "x").await.unwrap(), 1);
        assert_eq!(read(&mut pubsub, 1).await, ["message channel:10000 x"]);
    });
}

// ---- PS-05: again ----

#[test]
fn ps_05_subscribing_again_is_confirmed_with_the_same_count_and_keeps_the_handler() {
    on_each(async |case| {
        let client = case.client().await;
        let mut pubsub = client.pubsub().await.unwrap();
        let (sent, heard) = std::sync::mpsc::channel();
        let handler = |who: &'static str| {
            let sent = sent.clone();
            move |message: tidings::Message| {
                sent.send(format!("{who} {}", message.text())).unwrap();
            }
        };
        pubsub.subscribe_with("a", handler("a1")).await.unwrap();
        pubsub.psubscribe_with("p*", handler("p1")).await.unwrap();
        pubsub.subscribe("b").await.unwrap();
        pubsub.subscribe("a").await.unwrap();
        pubsub.psubscribe("p*").await.unwrap();
        pubsub.handle().subscribe("a").await.unwrap();
        assert_eq!(
            read(&mut pubsub, 6).await,
            [
                "subscribe a 1",
                "psubscribe p* 2",
                "subscribe b 3",
                "subscribe a 3",
                "psubscribe p* 3",
                "subscribe a 3",
            ]
        );
        assert_eq!(text(&pubsub.channels()), ["a", "b"]);
        for (channel, payload) in [("a", "1"), ("p", "2"), ("b", "3")] {
            assert_eq!(client.publish(channel, payload).await.unwrap(), 1);
        }
        assert_eq!(read(&mut pubsub, 1).await, ["message b 3"]);
        assert_eq!(heard.try_iter().collect::<Vec<_>>(), ["a1 1", "p1 2"]);

        // Unless a new one is given.
        pubsub.subscribe_with("a", handler("a2")).await.unwrap();
        pubsub.psubscribe_with("p*", handler("p2")).await.unwrap();
        for (channel, payload) in [("a", "4"), ("p", "5"), ("b", "6")] {
            assert_eq!(client.publish(channel, payload).await.unwrap(), 1);
        }
        assert_eq!(
            read(&mut pubsub, 3).await,
            ["subscribe a 3", "psubscribe p* 3", "message b 6"]
        );
        assert_eq!(heard.try_iter().collect::<Vec<_>>(), ["a2 4", "p2 5"]);
    });
}

// ---- PS-06: unsubscribing ----

#[test]
fn ps_06_each_unsubscribed_name_is_confirmed_and_counts_fall() {
    on_each(async |case| {
        let client = case.client().await;
        let mut pubsub = client
            .pubsub()
            .channels(["a", "b", "c"])
            .patterns(["p*", "q*"])
            .await
            .unwrap();
        pubsub.ssubscribe(["s", "t"]).await.unwrap();
        read(&mut pubsub, 7).await;

        pubsub.unsubscribe(["c", "a"]).await.unwrap();
        pubsub.punsubscribe("q*").await.unwrap();
        pubsub.sunsubscribe("s").await.unwrap();
        assert_eq!(
            read(&mut pubsub, 4).await,
            [
                "unsubscribe c 4",
                "unsubscribe a 3",
                "punsubscribe q* 2",
                "sunsubscribe s 1"
            ]
        );
        // Names that were never subscribed, and names of another kind.
        pubsub.unsubscribe(["never", "p*"]).await.unwrap();
        pubsub.punsubscribe(["b", "never*"]).await.unwrap();
        pubsub.sunsubscribe("b").await.unwrap();
        assert_eq!(
            read(&mut pubsub, 5).await,
            [
                "unsubscribe never 2",
                "unsubscribe p* 2",
                "punsubscribe b 2",
                "punsubscribe never* 2",
                "sunsubscribe b 1",
            ]
        );
        assert_eq!(
            states(&pubsub),
            [
                "Channel b Confirmed",
                "Pattern p* Confirmed",
                "Shard t Confirmed"
            ]
        );
        assert_eq!(client.publish("a", "x").await.unwrap(), 0);
        assert_eq!(client.publish("b", "x").await.unwrap(), 1);
        assert_eq!(read(&mut pubsub, 1).await, ["message b x"]);
    });
}

#[test]
fn ps_06_unsubscribe_all_ends_those_of_one_kind() {
    on_each(async |case| {
        let client = case.client().await;
        let mut pubsub = client
            .pubsub()
            .channels(["a", "b"])
            .patterns(["p*", "q*"])
            .await
            .unwrap();
        pubsub.ssubscribe(["s", "t"]).await.unwrap();
        read(&mut pubsub, 6).await;

        pubsub.unsubscribe_all().await.unwrap();
        assert_eq!(
            read(&mut pubsub, 2).await,
            ["unsubscribe a 3", "unsubscribe b 2"]
        );
        assert_eq!(pubsub.channels(), [""; 0]);
        assert_eq!(text(&pubsub.patterns()), ["p*", "q*"]);
        assert!(pubsub.is_subscribed());
        pubsub.sunsubscribe_all().await.unwrap();
        assert_eq!(
            read(&mut pubsub, 2).await,
            ["sunsubscribe s 1", "sunsubscribe t 0"]
        );
        pubsub.punsubscribe_all().await.unwrap();
        assert_eq!(
            read(&mut pubsub, 2).await,
            ["punsubscribe p* 1", "punsubscribe q* 0"]
        );
        assert!(!pubsub.is_subscribed());
        assert_eq!(case.subscriber_ids(), [""; 0]);
        assert_ended(&mut pubsub).await;
    });
}

#[test]
fn ps_06_unsubscribe_all_with_nothing_subscribed_sends_nothing_and_leaves_no_frame() {
    on_each(async |case| {
        let client = case.client().await;
        let mut pubsub = client.pubsub().await.unwrap();
        case.forget_commands();
        pubsub.unsubscribe_all().await.unwrap();
        pubsub.punsubscribe_all().await.unwrap();
        pubsub.sunsubscribe_all().await.unwrap();
        pubsub.ping().await.unwrap();
        assert_eq!(case.commands_run(), ["ping 1"]);
        assert_quiet(&mut pubsub).await;

        // Nor does it where there is only the other kind.
        pubsub.psubscribe("p*").await.unwrap();
        case.forget_commands();
        pubsub.unsubscribe_all().await.unwrap();
        pubsub.sunsubscribe_all().await.unwrap();
        pubsub.ping().await.unwrap();
        assert_eq!(case.commands_run(), ["ping 1"]);
        assert_eq!(read(&mut pubsub, 1).await, ["psubscribe p* 1"]);
        pubsub.punsubscribe_all().await.unwrap();
        pubsub.punsubscribe_all().await.unwrap();
        assert_eq!(read(&mut pubsub, 1).await, ["punsubscribe p* 0"]);
        assert_ended(&mut pubsub).await;
    });
}

#[test]
fn ps_06_names_never_subscribed_are_confirmed_where_nothing_is_subscribed() {
    on_each(async |case| {
        let client = case.client().await;
        let mut pubsub = client.pubsub().await.unwrap();
        pubsub.unsubscribe(["x", "y"]).await.unwrap();
        pubsub.punsubscribe("x*").await.unwrap();
        pubsub.sunsubscribe("x").await.unwrap();
        assert_eq!(
            read(&mut pubsub, 4).await,
            [
                "unsubscribe x 0",
                "unsubscribe y 0",
                "punsubscribe x* 0",
                "sunsubscribe x 0"
            ]
        );
        assert_ended(&mut pubsub).await;
        assert_eq!(pubsub.stats().reconnects, 0);
    });
}

// ---- PS-07: nothing after it ----

#[test]
fn ps_07_all_that_was_sent_before_an_unsubscription_comes_before_its_confirmation() {
    on_each(async |case| {
        let client = case.client().await;
        let mut pubsub = client.pubsub().channels("load").await.unwrap();
        assert_eq!(read(&mut pubsub, 1).await, ["subscribe load 1"]);
        let publishers = Lanes::start(&client, "load");
        let mut lanes = Lanes::default();
        for _ in 0..500 {
            lanes.note(&next(&mut pubsub).await);
        }
        pubsub.unsubscribe("load").await.unwrap();
        let confirmation = loop {
            match next(&mut pubsub).await {
                event @ Event::Message(_) => lanes.note(&event),
                other => break short(&other),
            }
        };
        assert_eq!(confirmation, "unsubscribe load 0");
        assert_ended(&mut pubsub).await;
        lanes.assert_all_received(publishers).await;
        assert_quiet(&mut pubsub).await;
    });
}

#[test]
fn ps_07_subscribing_and_unsubscribing_under_load_disturbs_no_message() {
    on_each(async |case| {
        let client = case.client().await;
        let mut pubsub = client.pubsub().channels("stays").await.unwrap();
        assert_eq!(read(&mut pubsub, 1).await, ["subscribe stays 1"]);
        let publisher = Publisher::to(&case.server)
            .channels(["stays", "comes and goes"])
            .start();
        let mut checker = Checker::new();
        checker.joins_late("comes and goes");
        for _ in 0..10 {
            pubsub.subscribe("comes and goes").await.unwrap();
            for (messages, confirmation) in [
                (0, "subscribe comes and goes 2"),
                (20, "unsubscribe comes and goes 1"),
            ] {
                let mut left = messages;
                loop {
                    match next(&mut pubsub).await {
                        Event::Message(message) => {
                            checker.on_payload(message.channel(), message.payload());
                            if message.channel() == b"comes and goes" {
                                left -= 1;
                                if left == 0 {
                                    pubsub.unsubscribe("comes and goes").await.unwrap();
                                }
                            }
                        }
                        other => {
                            assert_eq!(short(&other), confirmation);
                            break;
                        }
                    }
                }
                if messages == 0 {
                    checker.on_subscribe("comes and goes");
                } else {
                    checker.on_unsubscribe("comes and goes");
                }
            }
        }
        let published = publisher.stop();
        while checker.highest("stays") < published.last("stays") {
            let message = next(&mut pubsub).await.into_message().unwrap();
            checker.on_payload(message.channel(), message.payload());
        }
        checker.finish(&published).assert_passed();
        assert_quiet(&mut pubsub).await;
    });
}

// ---- PS-08: on, off, on ----

#[test]
fn ps_08_on_off_on_without_reading_is_confirmed_as_1_0_1_and_stays_subscribed() {
    on_each(async |case| {
        let client = case.client().await;
        let mut pubsub = client.pubsub().await.unwrap();
        pubsub.subscribe("a").await.unwrap();
        pubsub.unsubscribe("a").await.unwrap();
        pubsub.subscribe("a").await.unwrap();
        assert!(pubsub.is_subscribed());
        let handle = pubsub.handle();
        // Without waiting either, and ending with the end.
        for outcome in [handle.psubscribe("p*"), handle.punsubscribe("p*")] {
            drop(outcome);
        }
        handle.subscribe("a").await.unwrap();
        assert_eq!(
            read(&mut pubsub, 6).await,
            [
                "subscribe a 1",
                "unsubscribe a 0",
                "subscribe a 1",
                "psubscribe p* 2",
                "punsubscribe p* 1",
                "subscribe a 1",
            ]
        );
        assert_eq!(client.publish("a", "x").await.unwrap(), 1);
        assert_eq!(read(&mut pubsub, 1).await, ["message a x"]);

        // It stays so over a reconnect.
        assert_eq!(case.kill_subscribers(), 1);
        assert_eq!(
            read(&mut pubsub, 2).await,
            ["subscribe a 1", "gap Disconnected"]
        );
        assert_eq!(client.publish("a", "y").await.unwrap(), 1);
        assert_eq!(read(&mut pubsub, 1).await, ["message a y"]);
        assert_eq!(states(&pubsub), ["Channel a Confirmed"]);
    });
}

#[test]
fn ps_08_on_off_on_over_a_killed_connection() {
    on_each(async |case| {
        let client = case.client().await;
        let mut pubsub = client.pubsub().channels("kept").await.unwrap();
        assert_eq!(read(&mut pubsub, 1).await, ["subscribe kept 1"]);
        for round in 1..=5 {
            assert_eq!(case.kill_subscribers(), 1);
            // The client has had no chance to notice yet.
            let handle = pubsub.handle();
            handle.subscribe("a").await.unwrap();
            handle.unsubscribe("a").await.unwrap();
            handle.subscribe("a").await.unwrap();
            assert_eq!(pubsub.stats().reconnects, round);
            let mut events = read(&mut pubsub, 5).await;
            // The names of a replay come in the order of subscription, the gap with the last of them.
            assert_eq!(events.remove(0), "subscribe kept 1");
            let told = events.len();
            events.retain(|event| event != "gap Disconnected");
            assert_eq!(events.len(), told - 1);
            assert_eq!(
                events,
                ["subscribe a 2", "unsubscribe a 1", "subscribe a 2"]
            );
            assert_eq!(client.publish("a", "x").await.unwrap(), 1);
            assert_eq!(read(&mut pubsub, 1).await, ["message a x"]);
            pubsub.unsubscribe("a").await.unwrap();
            assert_eq!(read(&mut pubsub, 1).await, ["unsubscribe a 1"]);
        }
    });
}

#[test]
fn ps_08_a_reconnect_undoes_no_unsubscription() {
    on_each(async |case| {
        let client = case.client().await;
        let mut pubsub = client
            .pubsub()
            .channels(["a", "b", "c"])
            .patterns(["p*", "q*"])
            .await
            .unwrap();
        read(&mut pubsub, 5).await;
        pubsub.unsubscribe("a").await.unwrap();
        pubsub.punsubscribe("p*").await.unwrap();
        assert_eq!(case.kill_subscribers(), 1);
        // These come while the connection is lost.
        let handle = pubsub.handle();
        handle.unsubscribe("b").await.unwrap();
        handle.subscribe("d").await.unwrap();
        assert_eq!(
            states(&pubsub),
            [
                "Channel c Confirmed",
                "Channel d Confirmed",
                "Pattern q* Confirmed"
            ]
        );
        assert_eq!(
            client
                .pubsub_numsub::<Vec<(String, i64)>, _>(["a", "b", "c", "d"])
                .await
                .unwrap(),
            [("a", 0), ("b", 0), ("c", 1), ("d", 1)].map(|(name, n)| (name.to_owned(), n))
        );
        assert_eq!(client.pubsub_numpat().await.unwrap(), 1);
        for channel in ["a", "b", "p1", "d"] {
            client.publish(channel, "x").await.unwrap();
        }
        let mut messages = Vec::new();
        while messages.last().is_none_or(|last| last != "message d x") {
            if let event @ Event::Message(_) = next(&mut pubsub).await {
                messages.push(short(&event));
            }
        }
        assert_eq!(messages, ["message d x"]);
    });
}

#[test]
fn ps_08_what_is_asked_for_without_a_connection_holds_once_there_is_one() {
    on_each(async |case| {
        let client = case.client().await;
        let mut pubsub = client.pubsub().channels(["kept", "ended"]).await.unwrap();
        read(&mut pubsub, 2).await;
        case.server.kill();
        eventually("the loss is noticed", || {
            states(&pubsub) == ["Channel kept Reconnecting", "Channel ended Reconnecting"]
        })
        .await;
        let handle = pubsub.handle();
        drop(handle.subscribe("a"));
        handle.unsubscribe("a").await.unwrap();
        let subscribed = handle.subscribe("a");
        handle.unsubscribe("ended").await.unwrap();
        assert_eq!(
            states(&pubsub),
            ["Channel kept Reconnecting", "Channel a Reconnecting"]
        );
        case.server.restart();
        subscribed.await.unwrap();
        assert_eq!(
            states(&pubsub),
            ["Channel kept Confirmed", "Channel a Confirmed"]
        );
        let client = case.client().await;
        assert_eq!(client.publish("ended", "x").await.unwrap(), 0);
        assert_eq!(client.publish("a", "x").await.unwrap(), 1);
        let mut events = Vec::new();
        while events.last().is_none_or(|last| last != "message a x") {
            events.push(short(&next(&mut pubsub).await));
        }
        let subscribed = |event: &&String| event.starts_with("subscribe");
        let subscribed: Vec<_> = events.iter().filter(subscribed).collect();
        assert_eq!(subscribed, ["subscribe kept 1", "subscribe a 2"]);
    });
}

// ---- PS-09: twice ----

#[test]
fn ps_09_a_message_that_matches_a_channel_and_a_pattern_arrives_twice() {
    on_each(async |case| {
        let client = case.client().await;
        let mut pubsub = client
            .pubsub()
            .channels(["news"])
            .patterns("n*")
            .await
            .unwrap();
        assert_eq!(
            read(&mut pubsub, 2).await,
            ["subscribe news 1", "psubscribe n* 2"]
        );
        assert_eq!(client.publish("news", "hello").await.unwrap(), 2);
        assert_eq!(
            read(&mut pubsub, 2).await,
            ["message news hello", "pmessage n* news hello"]
        );
        assert_quiet(&mut pubsub).await;
        assert_eq!(client.publish("n", "hello").await.unwrap(), 1);
        assert_eq!(read(&mut pubsub, 1).await, ["pmessage n* n hello"]);

        // And once for each pattern; a shard channel of the same name has nothing to do with it.
        pubsub.psubscribe("*s").await.unwrap();
        pubsub.ssubscribe("news").await.unwrap();
        assert_eq!(client.publish("news", "again").await.unwrap(), 3);
        assert_eq!(client.spublish("news", "shard").await.unwrap(), 1);
        let mut events = read(&mut pubsub, 6).await;
        events[3..5].sort();
        assert_eq!(
            events,
            [
                "psubscribe *s 3",
                "ssubscribe news 1",
                "message news again",
                "pmessage *s news again",
                "pmessage n* news again",
                "smessage news shard",
            ]
        );
        assert_quiet(&mut pubsub).await;
    });
}

// ---- PS-10: messages ----

#[test]
fn ps_10_a_message_says_its_kind_channel_pattern_and_payload() {
    on_each(async |case| {
        let client = case.client().await;
        let mut pubsub = client
            .pubsub()
            .channels("ch")
            .patterns("pa*")
            .ignore_subscribe_messages(true)
            .await
            .unwrap();
        pubsub.ssubscribe("sh").await.unwrap();
        client.publish("ch", "one").await.unwrap();
        client.publish("path", 2).await.unwrap();
        client.spublish("sh", "three").await.unwrap();
        for (kind, channel, pattern, payload) in [
            ("message", "ch", None, "one"),
            ("pmessage", "path", Some("pa*"), "2"),
            ("smessage", "sh", None, "three"),
        ] {
            let event = next(&mut pubsub).await;
            assert_eq!(event.kind(), kind);
            let message = event.into_message().unwrap();
            assert_eq!(message.kind(), kind);
            assert_eq!(message.channel(), channel.as_bytes());
            assert_eq!(message.channel_str(), channel);
            assert_eq!(message.pattern(), pattern.map(str::as_bytes));
            assert_eq!(message.pattern_str().as_deref(), pattern);
            assert_eq!(&message.payload()[..], payload.as_bytes());
            assert_eq!(message.text(), payload);
            assert_eq!(message.into_payload(), payload);
        }
    });
}

#[test]
fn ps_10_payloads_of_any_bytes_arrive_as_they_were_sent() {
    on_each(async |case| {
        let client = case.client().await;
        let mut pubsub = client
            .pubsub()
            .channels("a")
            .patterns("a")
            .ignore_subscribe_messages(true)
            .await
            .unwrap();
        let every: Vec<u8> = (0..=255).collect();
        let mut payloads = vec![Vec::new(), every.clone(), b"\r\n".to_vec()];
        payloads.extend(every.iter().map(|byte| vec![*byte]));
        payloads.push(b">3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nx\r\n".to_vec());
        for size in [63, 64, 65, 4095, 16_384, 65_536, 1_000_003] {
            payloads.push(every.iter().copied().cycle().take(size).collect());
        }
        for payload in &payloads {
            assert_eq!(client.publish("a", payload).await.unwrap(), 2);
            for _ in 0..2 {
                let message = next(&mut pubsub).await.into_message().unwrap();
                assert!(message.payload() == payload, "{} bytes", payload.len());
            }
        }
        assert_quiet(&mut pubsub).await;
    });
}

/// Publishes `block`, repeated, over a connection of its own, without having it all in memory.
fn publish_repeated(address: &str, channel: &str, block: &[u8], times: usize) {
    let mut stream = TcpStream::connect(address).unwrap();
    let (name, size) = (channel.len(), block.len() * times);
    let header = format!("*3\r\n$7\r\nPUBLISH\r\n${name}\r\n{channel}\r\n${size}\r\n");
    stream.write_all(header.as_bytes()).unwrap();
    for _ in 0..times {
        stream.write_all(block).unwrap();
    }
    stream.write_all(b"\r\n").unwrap();
    let mut reply = [0; 4];
    stream.read_exact(&mut reply).unwrap();
    assert_eq!(reply, *b":1\r\n");
}

/// A server that gives its subscribers as much as there is.
fn without_output_limit(builder: tidings_testkit::ServerBuilder) -> Server {
    builder
        .config("client-output-buffer-limit", "pubsub 0 0 0")
        .start_or_panic()
}

async fn receive_large(case: &Case, times: usize) {
    let client = case.client().await;
    let mut pubsub = client
        .pubsub()
        .channels("large")
        .ignore_subscribe_messages(true)
        .await
        .unwrap();
    // No multiple of any buffer's size.
    let block: Bytes = (0..=250).cycle().take((1 << 20) - 1).collect();
    let (address, sent) = (case.server.address(), block.clone());
    let publisher = tokio::task::spawn_blocking(move || {
        publish_repeated(&address, "large", &sent, times);
    });
    let received = tokio::time::timeout(6 * SOON, pubsub.next()).await;
    let message = received.unwrap().unwrap().unwrap().into_message().unwrap();
    publisher.await.unwrap();
    assert_eq!(message.payload().len(), block.len() * times);
    let mut chunks = message.payload().chunks(block.len());
    assert!(chunks.all(|chunk| chunk == block));
    drop(message);
    client.publish("large", "small").await.unwrap();
    assert_eq!(read(&mut pubsub, 1).await, ["message large small"]);
    assert_eq!(pubsub.stats().reconnects, 0);
}

#[test]
fn ps_10_a_payload_of_64_mib_arrives_as_it_was_sent() {
    on_each_started(
        |binary| without_output_limit(Server::builder().binary(binary)),
        async |case| receive_large(&case, 64).await,
    );
}

#[test]
fn ps_10_a_payload_of_512_mib_arrives_as_it_was_sent() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let case = Case {
        server: without_output_limit(Server::builder()),
        protocol: Protocol::Resp3,
    };
    runtime.block_on(receive_large(&case, 512));
}

// ---- PS-11: looking ----

#[test]
fn ps_11_channels_patterns_and_is_subscribed_tell_what_is_wanted() {
    on_each(async |case| {
        let client = case.client().await;
        let mut pubsub = client.pubsub().await.unwrap();
        let handle = pubsub.handle();
        assert!(!pubsub.is_subscribed() && !handle.is_subscribed());
        pubsub.subscribe(["b", "a"]).await.unwrap();
        pubsub.psubscribe("p*").await.unwrap();
        pubsub.ssubscribe("s").await.unwrap();
        assert!(pubsub.is_subscribed() && handle.is_subscribed());
        assert_eq!(text(&pubsub.channels()), ["b", "a"]);
        assert_eq!(text(&pubsub.patterns()), ["p*"]);
        assert_eq!(text(&pubsub.shard_channels()), ["s"]);
        assert_eq!(
            states(&pubsub),
            [
                "Channel b Confirmed",
                "Channel a Confirmed",
                "Pattern p* Confirmed",
                "Shard s Confirmed"
            ]
        );
        pubsub.unsubscribe("b").await.unwrap();
        pubsub.subscribe("b").await.unwrap();
        assert_eq!(text(&pubsub.channels()), ["a", "b"]);
        pubsub.unsubscribe_all().await.unwrap();
        pubsub.sunsubscribe_all().await.unwrap();
        assert!(pubsub.is_subscribed());
        pubsub.punsubscribe_all().await.unwrap();
        assert!(!pubsub.is_subscribed() && !handle.is_subscribed());
        assert!(pubsub.subscriptions().is_empty());
    });
}

#[test]
fn ps_11_subscriptions_says_what_is_under_way_and_what_reconnects() {
    on_each(async |case| {
        let client = case.client().await;
        let pubsub = client.pubsub().channels(["a", "b"]).await.unwrap();
        let handle = pubsub.handle();
        let frozen = case.server.freeze();
        let subscribed = handle.subscribe("c");
        let unsubscribed = handle.unsubscribe("a");
        assert_eq!(text(&pubsub.channels()), ["b", "c"]);
        assert_eq!(
            states(&pubsub),
            [
                "Channel a Ending",
                "Channel b Confirmed",
                "Channel c Pending"
            ]
        );
        drop(frozen);
        subscribed.await.unwrap();
        unsubscribed.await.unwrap();
        assert_eq!(
            states(&pubsub),
            ["Channel b Confirmed", "Channel c Confirmed"]
        );

        assert!(pubsub.last_connect_error().is_none());
        case.server.kill();
        eventually("an attempt to connect fails", || {
            pubsub.last_connect_error().is_some()
        })
        .await;
        assert!(pubsub.last_connect_error().unwrap().is_connection());
        assert!(pubsub.is_subscribed());
        assert_eq!(
            states(&pubsub),
            ["Channel b Reconnecting", "Channel c Reconnecting"]
        );
        case.server.restart();
        pubsub.handle().subscribe("b").await.unwrap();
        assert_eq!(
            states(&pubsub),
            ["Channel b Confirmed", "Channel c Confirmed"]
        );
        assert!(pubsub.last_connect_error().is_none());
    });
}

#[test]
fn ps_11_subscriptions_says_whose_permission_was_revoked() {
    on_each_with_bob(async |case| {
        let client = bob(&case).await;
        let mut pubsub = client.pubsub().channels(["extra", "ok:1"]).await.unwrap();
        read(&mut pubsub, 2).await;
        let revoke = ["ACL", "SETUSER", "bob", "resetchannels", "&ok:*"];
        case.server.admin(revoke);
        let (mut events, mut errors) = (Vec::new(), Vec::new());
        while events.len() < 2 || errors.is_empty() {
            match tokio::time::timeout(SOON, pubsub.next())
                .await
                .unwrap()
                .unwrap()
            {
                Ok(event) => events.push(short(&event)),
                Err(error) => errors.push(error),
            }
        }
        assert_eq!(events, ["subscribe ok:1 1", "gap Disconnected"]);
        assert_eq!(errors.len(), 1);
        assert!(errors[0].is_no_permission(), "{errors:?}");
        assert!(errors[0].to_string().contains("extra"), "{errors:?}");
        assert_eq!(
            states(&pubsub),
            ["Channel extra Refused NOPERM", "Channel ok:1 Confirmed"]
        );
        assert_eq!(text(&pubsub.channels()), ["extra", "ok:1"]);
        // Granted again and asked for again, it is subscribed.
        case.server.admin(["ACL", "SETUSER", "bob", "&extra"]);
        pubsub.subscribe("extra").await.unwrap();
        assert_eq!(
            states(&pubsub),
            ["Channel extra Confirmed", "Channel ok:1 Confirmed"]
        );
    });
}

#[test]
fn ps_11_subscriptions_says_that_a_slot_is_elsewhere() {
    for protocol in Protocol::ALL {
        let peer = ScriptedPeer::start();
        let url = peer.url_for(protocol);
        let script = thread::spawn(move || {
            let mut commands = peer.accept();
            commands.handshake();
            let mut connection = peer.accept();
            connection.handshake();
            connection.expect(["SSUBSCRIBE", "s"]);
            connection.send(frame::confirmation(protocol, "ssubscribe", "s", 1));
            connection.close();
            let mut connection = peer.accept();
            connection.handshake();
            connection.expect(["SSUBSCRIBE", "s"]);
            connection.send(frame::error("MOVED 449 127.0.0.1:7001"));
            (peer, commands, connection)
        });
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let script = runtime.block_on(async {
            let client = Client::connect(url).await.unwrap();
            let mut pubsub = client.pubsub().await.unwrap();
            pubsub.ssubscribe("s").await.unwrap();
            assert_eq!(read(&mut pubsub, 1).await, ["ssubscribe s 1"]);
            let item = tokio::time::timeout(SOON, pubsub.next()).await.unwrap();
            let moved = error(item.unwrap());
            assert_eq!(moved.code(), Some("MOVED"));
            assert_eq!(states(&pubsub), ["Shard s Refused MOVED"]);
            script
        });
        drop(script.join().unwrap());
    }
}

// ---- PS-12: ping ----

#[test]
fn ps_12_ping_works_while_subscribed_and_never_shows_up() {
    on_each(async |case| {
        let client = case.client().await;
        let mut pubsub = client.pubsub().await.unwrap();
        pubsub.ping().await.unwrap();
        pubsub.subscribe("a").await.unwrap();
        pubsub.ping().await.unwrap();
        client.publish("a", "1").await.unwrap();
        pubsub.ping().await.unwrap();
        pubsub.ssubscribe("s").await.unwrap();
        pubsub.unsubscribe("a").await.unwrap();
        pubsub.ping().await.unwrap();
        pubsub.sunsubscribe("s").await.unwrap();
        pubsub.ping().await.unwrap();
        assert_eq!(
            read(&mut pubsub, 5).await,
            [
                "subscribe a 1",
                "message a 1",
                "ssubscribe s 1",
                "unsubscribe a 0",
                "sunsubscribe s 0"
            ]
        );
        assert_ended(&mut pubsub).await;
        assert_quiet(&mut pubsub).await;
        assert!(pubsub.stats().last_pong.is_some());
    });
}

#[test]
fn ps_12_ping_works_among_messages_and_changing_subscriptions() {
    on_each(async |case| {
        let client = case.client().await;
        let mut pubsub = client.pubsub().channels("load").await.unwrap();
        assert_eq!(read(&mut pubsub, 1).await, ["subscribe load 1"]);
        let publishers = Lanes::start(&client, "load");
        let mut lanes = Lanes::default();
        let handle = pubsub.handle();
        for _ in 0..100 {
            // The server's answer changes its shape where the last subscription ends.
            drop(handle.unsubscribe("other"));
            drop(handle.subscribe("other"));
            pubsub.ping().await.unwrap();
        }
        pubsub.unsubscribe(["other", "load"]).await.unwrap();
        pubsub.ping().await.unwrap();
        let mut confirmations = Vec::new();
        while let Some(event) = pubsub.next().await {
            match event.unwrap() {
                event @ Event::Message(_) => lanes.note(&event),
                other => confirmations.push(short(&other)),
            }
        }
        let mut expected = vec!["unsubscribe other 1", "subscribe other 2"];
        expected = expected.repeat(100);
        expected.extend(["unsubscribe other 1", "unsubscribe load 0"]);
        assert_eq!(confirmations, expected);
        lanes.assert_all_received(publishers).await;
    });
}

#[test]
fn ps_12_ping_says_that_the_connection_is_lost() {
    on_each(async |case| {
        let client = case.client().await;
        let mut pubsub = client.pubsub().channels("a").await.unwrap();
        case.server.stop_process();
        let lost = {
            let mut ping = std::pin::pin!(pubsub.ping());
            let sent = tokio::time::timeout(QUIET, &mut ping).await;
            assert!(sent.is_err(), "a server that stands still answers nothing");
            case.server.kill();
            error(ping.await)
        };
        assert!(lost.is_connection() && lost.may_have_run(), "{lost:?}");
        case.server.restart();
        pubsub.ping().await.unwrap();
    });
}

// ---- PS-13: the end ----

#[test]
fn ps_13_dropping_it_closes_its_connection() {
    on_each(async |case| {
        let client = case.counted_client().await;
        {
            let _pubsub = client.pubsub().channels(["a", "b"]).await.unwrap();
            assert_eq!(case.connections(), 2);
        }
        case.await_subscribers("a", 0).await;
        case.await_subscribers("b", 0).await;
        assert_eq!(case.connections(), 1);
    });
}

#[test]
fn ps_13_closing_it_closes_its_connection_and_every_use_after_is_a_misuse() {
    on_each(async |case| {
        let client = case.client().await;
        let mut pubsub = client.pubsub().channels("a").await.unwrap();
        client.publish("a", "unread").await.unwrap();
        let handle = pubsub.handle();
        pubsub.close().await.unwrap();
        case.await_subscribers("a", 0).await;
        assert_eq!(case.subscriber_ids(), [""; 0]);
        let outcomes = [
            pubsub.subscribe("b").await,
            pubsub.psubscribe("b").await,
            pubsub.ssubscribe("b").await,
            pubsub.subscribe_with("b", |_| ()).await,
            pubsub.psubscribe_with("b", |_| ()).await,
            pubsub.ssubscribe_with("b", |_| ()).await,
            pubsub.subscribe_with_async("b", async |_| ()).await,
            pubsub.psubscribe_with_async("b", async |_| ()).await,
            pubsub.ssubscribe_with_async("b", async |_| ()).await,
            pubsub.unsubscribe("a").await,
            pubsub.punsubscribe("a").await,
            pubsub.sunsubscribe("a").await,
            pubsub.unsubscribe_all().await,
            pubsub.punsubscribe_all().await,
            pubsub.sunsubscribe_all().await,
            pubsub.get_message(SOON).await.map(drop),
            pubsub.next_message(SOON).await.map(drop),
            pubsub.ping().await,
            pubsub.drain().await,
            handle.subscribe("b").await,
            handle.unsubscribe("a").await,
        ];
        for (at, outcome) in outcomes.into_iter().enumerate() {
            let error = error(outcome);
            assert!(error.is_misuse(), "{at}: {error:?}");
        }
        assert_ended(&mut pubsub).await;
        assert!(!pubsub.is_subscribed());
        pubsub.close().await.unwrap();
    });
}

#[test]
fn ps_13_leaving_a_scope_blocks_on_nothing() {
    on_each(async |case| {
        let client = case.client().await;
        let dropped = client.pubsub().channels("a").await.unwrap();
        let mut closed = client.pubsub().channels("a").await.unwrap();
        let frozen = case.server.freeze();
        // Bytes that the server does not take are under way.
        drop(dropped.handle().subscribe("x"));
        drop(closed.handle().subscribe("x"));
        let start = Instant::now();
        drop(dropped);
        closed.close().await.unwrap();
        assert!(start.elapsed() < SOON / 10, "{:?}", start.elapsed());
        drop(frozen);
        case.await_subscribers("a", 0).await;
        case.await_subscribers("x", 0).await;
    });
}

#[test]
fn ps_13_it_can_be_dropped_outside_of_a_runtime_and_after_its_runtime() {
    on_each(async |case| {
        let elsewhere = thread::spawn(move || {
            let url = case.url();
            let runtime = tokio::runtime::Runtime::new().unwrap();
            let open = || {
                runtime.block_on(async {
                    let client = Client::connect(&*url).await.unwrap();
                    client.pubsub().channels("a").await.unwrap()
                })
            };
            let (outside, mut after, handle) = (open(), open(), open().handle());
            case.server.await_subscribers("a", 2);
            drop(outside);
            case.server.await_subscribers("a", 1);

            let unread = after.handle();
            drop(runtime);
            case.server.await_subscribers("a", 0);
            // What has no runtime any more says so, and what was received can still be read.
            let other = tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .build()
                .unwrap();
            other.block_on(async {
                assert_eq!(text(&after.channels()), ["a"]);
                let ended = |error: Error| assert_eq!(error.kind(), ErrorKind::Closed);
                ended(error(after.subscribe("b").await));
                ended(error(unread.subscribe("b").await));
                assert!(handle.subscribe("b").await.is_err());
                assert_eq!(read(&mut after, 1).await, ["subscribe a 1"]);
                ended(error(after.get_message(SOON).await));
                assert_ended(&mut after).await;
                after.close().await.unwrap();
            });
            drop(after);
        });
        elsewhere.join().unwrap();
    });
}

// ---- PS-14: drain ----

#[test]
fn ps_14_drain_delivers_all_that_was_sent_before_and_then_ends() {
    on_each(async |case| {
        let client = case.client().await;
        let mut pubsub = client
            .pubsub()
            .channels("load")
            .patterns("none:*")
            .queue(10, 1_000)
            .await
            .unwrap();
        assert_eq!(
            read(&mut pubsub, 2).await,
            ["subscribe load 1", "psubscribe none:* 2"]
        );
        let publishers = Lanes::start(&client, "load");
        let mut lanes = Lanes::default();
        for _ in 0..500 {
            lanes.note(&next(&mut pubsub).await);
        }
        pubsub.drain().await.unwrap();
        assert_eq!(case.subscriber_ids(), [""; 0]);
        let mut confirmations = Vec::new();
        while let Some(event) = pubsub.next().await {
            match event.unwrap() {
                event @ Event::Message(_) => lanes.note(&event),
                other => confirmations.push(short(&other)),
            }
        }
        assert_eq!(
            confirmations,
            ["unsubscribe load 1", "punsubscribe none:* 0"]
        );
        lanes.assert_all_received(publishers).await;
        assert_ended(&mut pubsub).await;
        assert!(!pubsub.is_subscribed());
        assert!(error(pubsub.subscribe("load").await).is_misuse());
        assert_eq!(pubsub.stats().dropped, 0);
    });
}

#[test]
fn ps_14_drain_of_what_is_subscribed_to_nothing_ends_at_once() {
    on_each(async |case| {
        let client = case.counted_client().await;
        let mut pubsub = client.pubsub().await.unwrap();
        assert_eq!(case.connections(), 2);
        pubsub.drain().await.unwrap();
        assert_ended(&mut pubsub).await;
        eventually("its connection is closed", || case.connections() == 1).await;
    });
}

// ---- PS-15: moving ----

/// Compiles only for types that are not `Clone`: for others, `A` could be either.
trait NotClone<A> {
    fn holds() {}
}
impl<T> NotClone<()> for T {}
impl<T: Clone> NotClone<u8> for T {}

#[test]
fn ps_15_it_and_all_that_it_does_can_be_sent_and_only_its_handle_can_be_cloned() {
    fn send<T: Send>() {}
    fn send_all(_: &impl Send) {}
    send::<PubSub>();
    send::<PubSub<String>>();
    send::<tidings::PubSubBuilder>();
    send::<Event>();
    send::<Error>();
    <PubSub as NotClone<_>>::holds();
    fn handle<T: Clone + Send + Sync + 'static>() {}
    handle::<PubSubHandle>();

    // Never run: what counts is that it compiles.
    #[allow(dead_code, reason = "see above")]
    fn futures(pubsub: &mut PubSub, client: &Client) {
        send_all(&client.pubsub().into_future());
        send_all(&pubsub.subscribe(["a"]));
        send_all(&pubsub.psubscribe("a"));
        send_all(&pubsub.ssubscribe("a"));
        send_all(&pubsub.subscribe_with("a", |_| ()));
        send_all(&pubsub.psubscribe_with_async("a", async |_| ()));
        send_all(&pubsub.unsubscribe("a"));
        send_all(&pubsub.unsubscribe_all());
        send_all(&pubsub.get_message(SOON));
        send_all(&pubsub.next_message(SOON));
        send_all(&pubsub.next());
        send_all(&pubsub.ping());
        send_all(&pubsub.drain());
        send_all(&pubsub.close());
        send_all(&pubsub.handle().subscribe("a"));
    }
}

#[test]
fn ps_15_it_moves_between_tasks_and_threads_without_losing_anything() {
    on_each(async |case| {
        let elsewhere = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(3)
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let client = case.client().await;
                let mut pubsub = client.pubsub().channels("load").await.unwrap();
                assert_eq!(read(&mut pubsub, 1).await, ["subscribe load 1"]);
                let publishers = Lanes::start(&client, "load");
                let mut lanes = Lanes::default();
                for _ in 0..20 {
                    let task = tokio::spawn(async move {
                        for _ in 0..20 {
                            lanes.note(&next(&mut pubsub).await);
                        }
                        (pubsub, lanes)
                    });
                    (pubsub, lanes) = task.await.unwrap();
                    // A thread of its own, which knows of the runtime but is none of its.
                    let runtime = tokio::runtime::Handle::current();
                    let thread = thread::spawn(move || {
                        runtime.block_on(async {
                            lanes.note(&next(&mut pubsub).await);
                        });
                        (pubsub, lanes)
                    });
                    (pubsub, lanes) = thread.join().unwrap();
                }
                pubsub.unsubscribe("load").await.unwrap();
                while let Some(event) = pubsub.next().await {
                    if let event @ Event::Message(_) = event.unwrap() {
                        lanes.note(&event);
                    }
                }
                lanes.assert_all_received(publishers).await;
            });
        });
        elsewhere.join().unwrap();
    });
}

#[test]
fn ps_15_a_handle_subscribes_and_unsubscribes_from_elsewhere() {
    on_each(async |case| {
        let client = case.client().await;
        let mut pubsub = client.pubsub().await.unwrap();
        let reader = {
            let handle = pubsub.handle();
            let elsewhere = async move {
                handle.subscribe("a").await.unwrap();
                let other = handle.clone();
                let task = tokio::spawn(async move { other.psubscribe(["p*", "q*"]).await });
                task.await.unwrap().unwrap();
                // From a thread that has no runtime: the request is made by the call.
                let other = handle.clone();
                let thread = thread::spawn(move || other.ssubscribe("s"));
                thread.join().unwrap().await.unwrap();
                assert_eq!(client.publish("p", "x").await.unwrap(), 1);
                handle.punsubscribe(["p*", "q*"]).await.unwrap();
                handle.sunsubscribe("s").await.unwrap();
                handle.unsubscribe("a").await.unwrap();
                assert!(!handle.is_subscribed());
            };
            tokio::spawn(elsewhere)
        };
        assert_eq!(
            short(&pubsub.get_message(SOON).await.unwrap().unwrap()),
            "subscribe a 1"
        );
        assert_eq!(
            read(&mut pubsub, 8).await,
            [
                "psubscribe p* 2",
                "psubscribe q* 3",
                "ssubscribe s 1",
                "pmessage p* p x",
                "punsubscribe p* 2",
                "punsubscribe q* 1",
                "sunsubscribe s 0",
                "unsubscribe a 0",
            ]
        );
        assert_ended(&mut pubsub).await;
        reader.await.unwrap();
    });
}

#[test]
fn ps_15_a_confirmation_that_is_awaited_again_is_a_misuse() {
    on_each(async |case| {
        let pubsub = case.client().await.pubsub().await.unwrap();
        let mut confirming = pubsub.handle().subscribe("ch");
        (&mut confirming).await.unwrap();
        assert!(error(confirming.await).is_misuse());
    });
}

#[test]
fn ps_12_a_ping_fails_when_the_server_is_down() {
    on_each(async |case| {
        let client = case.client().await;
        let mut pubsub = client.pubsub().channels(["a"]).await.unwrap();
        case.server.kill();
        let outcome = tokio::time::timeout(SOON, pubsub.ping()).await;
        let error = error(outcome.expect("a ping has its outcome"));
        assert_eq!(error.kind(), ErrorKind::Connection, "{error}");
    });
}
