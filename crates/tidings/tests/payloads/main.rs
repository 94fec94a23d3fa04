//! Payloads and names as values, through both faces: SPEC items EN.
#![cfg(feature = "blocking")]

#[path = "../faces/mod.rs"]
mod faces;
#[path = "../support/mod.rs"]
mod support;

#[cfg(feature = "json")]
mod json;

use std::fmt::Debug;

use faces::{Case, Client, PubSub, plain};
use support::{SOON, error};
use tidings::{Bytes, Confirmation, ErrorKind, FromPayload, Message, PayloadError};
use tidings_testkit::Publisher;

on_both_faces! {
    [plain]
    en_01_payloads_are_bytes_by_default,
    en_01_payloads_are_decoded_into_text_and_numbers,
    en_01_types_of_ones_own_decode_payloads,
    en_02_names_given_as_text_are_sent_as_utf_8_and_counts_are_numbers,
    en_03_an_undecodable_payload_is_one_error_item_with_the_raw_message,
    en_03_the_next_message_follows_an_undecodable_one_whichever_way_it_is_read,
    en_03_an_undecodable_payload_does_not_reach_the_handler,
    en_03_the_stream_goes_on_behind_an_undecodable_payload,
    en_03_under_load_each_message_is_decoded_or_refused_in_its_place,
}

async fn subscribed<T: FromPayload>(client: &Client) -> PubSub<T> {
    let builder = client.pubsub().channels("a").payload::<T>();
    builder.ignore_subscribe_messages(true).await.unwrap()
}

async fn next<T: FromPayload + Debug>(pubsub: &mut PubSub<T>) -> tidings::Result<Message<T>> {
    let event = tokio::time::timeout(SOON, pubsub.next()).await.unwrap();
    event.unwrap().map(|event| event.into_message().unwrap())
}

/// What is published as `text` is received as `value`.
async fn arrives_as<T: FromPayload + Debug + PartialEq>(client: &Client, list: &[(&str, T)]) {
    let mut pubsub = subscribed::<T>(client).await;
    for (text, value) in list {
        client.publish("a", *text).await.unwrap();
        assert_eq!(next(&mut pubsub).await.unwrap().payload(), value, "{text}");
    }
}

/// What is published is no `T`, and says so.
async fn is_refused<T: FromPayload + Debug>(client: &Client, list: &[&[u8]], why: &str) {
    let mut pubsub = subscribed::<T>(client).await;
    for payload in list {
        client.publish("a", payload).await.unwrap();
        let error = error(next(&mut pubsub).await);
        assert_eq!(error.kind(), ErrorKind::Decode, "{error:?}");
        assert_eq!(error.raw_payload().unwrap(), payload);
        assert!(error.to_string().contains("a message of a "), "{error}");
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(source.contains(why), "{source}");
    }
}

async fn en_01_payloads_are_bytes_by_default(case: Case) {
    let client = case.client().await;
    let builder = client.pubsub().channels("a");
    let mut pubsub = builder.ignore_subscribe_messages(true).await.unwrap();
    client.publish("a", b"\xff\0\r\n").await.unwrap();
    let message = next(&mut pubsub).await.unwrap();
    let payload: &Bytes = message.payload();
    assert_eq!(payload, &b"\xff\0\r\n"[..]);
    assert_eq!(message.text(), "\u{fffd}\0\r\n");
    let payload: Bytes = message.into_payload();
    assert_eq!(payload.len(), 4);
}

async fn en_01_payloads_are_decoded_into_text_and_numbers(case: Case) {
    let client = case.client().await;
    let text = ["", "hello", "süß \u{1f389}", "a\0b\r\n"].map(|text| (text, text.to_owned()));
    arrives_as::<String>(&client, &text).await;
    arrives_as::<Vec<u8>>(&client, &[("", vec![]), ("ab", vec![97, 98])]).await;
    arrives_as::<Bytes>(&client, &[("x", Bytes::from_static(b"x"))]).await;
    arrives_as::<i64>(&client, &[("-9223372036854775808", i64::MIN), ("7", 7)]).await;
    arrives_as::<u64>(&client, &[("18446744073709551615", u64::MAX), ("0", 0)]).await;
    arrives_as::<u8>(&client, &[("255", 255)]).await;
    arrives_as::<f64>(&client, &[("0.1", 0.1), ("1e300", 1e300), ("-7", -7.0)]).await;
    // A number is published as the text that it is read back from.
    let mut pubsub = subscribed::<f64>(&client).await;
    for number in [0.1 + 0.2, f64::MAX, f64::MIN_POSITIVE, -0.0, f64::INFINITY] {
        client.publish("a", number).await.unwrap();
        let received = *next(&mut pubsub).await.unwrap().payload();
        assert_eq!(received.to_bits(), number.to_bits());
    }
}

async fn en_01_types_of_ones_own_decode_payloads(case: Case) {
    #[derive(Debug, PartialEq)]
    struct Point(i32, i32);
    impl FromPayload for Point {
        fn from_payload(payload: Bytes) -> Result<Self, PayloadError> {
            let text = String::from_payload(payload)?;
            let (x, y) = text
                .split_once(',')
                .ok_or_else(|| PayloadError::new(format!("{text} has no comma")))?;
            let number = |text: &str| i32::from_payload(Bytes::copy_from_slice(text.as_bytes()));
            Ok(Self(number(x)?, number(y)?))
        }
    }
    let client = case.client().await;
    arrives_as(&client, &[("1,-2", Point(1, -2))]).await;
    is_refused::<Point>(&client, &[b"12"], "12 has no comma").await;
    is_refused::<Point>(&client, &[b"1,x"], "not a whole number of 32 bits").await;
}

async fn en_02_names_given_as_text_are_sent_as_utf_8_and_counts_are_numbers(case: Case) {
    let client = case.client().await;
    let mut pubsub = client
        .pubsub()
        .channels(["süß", "7"])
        .patterns("ß*")
        .payload::<String>()
        .await
        .unwrap();
    assert_eq!(pubsub.channels(), [&b"s\xc3\xbc\xc3\x9f"[..], b"7"]);
    let numsub = ["PUBSUB".as_bytes(), b"NUMSUB", b"s\xc3\xbc\xc3\x9f"];
    assert_eq!(case.server.cli(numsub), "süß\n1");
    for (kind, name, count) in [
        ("subscribe", "süß", 1_i64),
        ("subscribe", "7", 2),
        ("psubscribe", "ß*", 3),
    ] {
        let event = pubsub.next().await.unwrap().unwrap();
        let confirmation: &Confirmation = event.confirmation().unwrap();
        assert_eq!(confirmation.kind(), kind);
        assert_eq!(confirmation.name_str(), name);
        let number: i64 = confirmation.count();
        assert_eq!(number, count);
    }
    for channel in ["süß", "ß7"] {
        assert_eq!(client.publish(channel, "grün").await.unwrap(), 1);
        let message = next(&mut pubsub).await.unwrap();
        assert_eq!(message.channel_str(), channel);
        assert_eq!(message.payload(), "grün");
    }
}

async fn en_03_an_undecodable_payload_is_one_error_item_with_the_raw_message(case: Case) {
    let client = case.client().await;
    is_refused::<String>(&client, &[b"\xff", b"ab\xc3"], "not UTF-8").await;
    let long = [b'x'; 100_000];
    let numbers: [&[u8]; 6] = [b"", b"x", b" 1", b"1.5", b"9223372036854775808", &long];
    is_refused::<i64>(&client, &numbers, "not a whole number of 64 bits").await;
    is_refused::<u8>(&client, &[b"-1", b"256"], "not").await;
    is_refused::<f64>(&client, &[b"one", b"\xff"], "not a number").await;
}

async fn en_03_the_next_message_follows_an_undecodable_one_whichever_way_it_is_read(case: Case) {
    let client = case.client().await;
    let mut pubsub = subscribed::<i64>(&client).await;
    pubsub.psubscribe("a*").await.unwrap();
    pubsub.unsubscribe("a").await.unwrap();
    for payload in ["1", "x", "2", "y", "z", "3"] {
        client.publish("a1", payload).await.unwrap();
    }
    let raw = |error: tidings::Error| error.raw_payload().unwrap().clone();
    let value = |message: Message<i64>| *message.payload();
    assert_eq!(value(next(&mut pubsub).await.unwrap()), 1);
    let failed = error(next(&mut pubsub).await);
    // The message's channel, not the pattern that it came for.
    assert!(failed.to_string().contains("message of a1 "), "{failed}");
    let message: &Message = failed.raw_message().unwrap();
    assert_eq!(
        (message.kind(), message.channel()),
        ("pmessage", &b"a1"[..])
    );
    assert_eq!(message.pattern(), Some(&b"a*"[..]));
    assert_eq!(message.payload(), "x");
    assert_eq!(raw(failed), "x");
    let event = pubsub.get_message(SOON).await.unwrap().unwrap();
    assert_eq!(value(event.into_message().unwrap()), 2);
    assert_eq!(raw(error(pubsub.get_message(SOON).await)), "y");
    assert_eq!(raw(error(pubsub.next_message(SOON).await)), "z");
    let event = pubsub.next_message(SOON).await.unwrap().unwrap();
    assert_eq!(value(event.into_message().unwrap()), 3);
    assert_eq!(pubsub.stats().reconnects, 0);
    assert_eq!(pubsub.stats().delivered, 6);
}

async fn en_03_an_undecodable_payload_does_not_reach_the_handler(case: Case) {
    let client = case.client().await;
    let mut pubsub = subscribed::<u64>(&client).await;
    let (sent, heard) = std::sync::mpsc::channel();
    let handler = move |message: Message<u64>| sent.send(*message.payload());
    pubsub.subscribe_with("handled", handler).await.unwrap();
    for payload in ["1", "-1", "2"] {
        client.publish("handled", payload).await.unwrap();
    }
    pubsub.ping().await.unwrap();
    let failed = error(pubsub.next_message(SOON).await);
    assert_eq!(failed.kind(), ErrorKind::Decode);
    assert_eq!(failed.raw_payload().unwrap(), "-1");
    assert_eq!(failed.raw_message().unwrap().channel(), b"handled");
    client.publish("a", 3).await.unwrap();
    assert_eq!(next(&mut pubsub).await.unwrap().payload(), &3);
    assert_eq!(heard.try_iter().collect::<Vec<_>>(), [1, 2]);
}

async fn en_03_the_stream_goes_on_behind_an_undecodable_payload(case: Case) {
    let client = case.client().await;
    let mut pubsub = subscribed::<i64>(&client).await;
    let long = "x".repeat(100_000);
    for payload in ["1", "x", &long, "2"] {
        client.publish("a", payload).await.unwrap();
    }
    let mut items = Vec::new();
    for _ in 0..4 {
        let item = tokio::time::timeout(SOON, pubsub.next_item());
        items.push(item.await.unwrap().unwrap());
    }
    for (item, raw) in items.iter().zip(["1", "x", &long, "2"]) {
        match item {
            Ok(event) => assert_eq!(event.message().unwrap().payload().to_string(), raw),
            Err(error) => {
                let message = error.raw_message().unwrap();
                assert_eq!(
                    (message.channel_str().as_ref(), &*message.text()),
                    ("a", raw)
                );
            }
        }
    }
    assert_eq!(items.iter().filter(|item| item.is_err()).count(), 2);
}

async fn en_03_under_load_each_message_is_decoded_or_refused_in_its_place(case: Case) {
    let client = case.client().await;
    // A channel whose numbers are read as bytes of one digit: from 10 on they are refused.
    #[derive(Debug)]
    struct Digit(u8);
    impl FromPayload for Digit {
        fn from_payload(payload: Bytes) -> Result<Self, PayloadError> {
            match payload[..] {
                [digit @ b'0'..=b'9'] => Ok(Self(digit - b'0')),
                _ => Err(PayloadError::new("more than a digit")),
            }
        }
    }
    let mut pubsub = subscribed::<Digit>(&client).await;
    let publisher = Publisher::to(&case.server).channels(["a"]).start();
    publisher.await_more(1_000);
    let last = publisher.stop().last("a");
    for n in 1..=last {
        match next(&mut pubsub).await {
            Ok(message) => assert_eq!(u64::from(message.payload().0), n),
            Err(error) => {
                assert!(n > 9, "{n}");
                assert_eq!(error.raw_payload().unwrap(), &n.to_string());
            }
        }
    }
}
