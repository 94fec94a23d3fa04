//! Handlers that fail: SPEC item HN-05.

use tidings::{Error, ErrorKind, Message};

use super::{Log, read_all, silent, sources};
use crate::faces::{Case, plain};
use crate::on_both_faces;
use crate::support::{SOON, error, read};

on_both_faces! {
    [plain]
    hn_05_a_handlers_error_comes_out_of_the_read_that_ran_it_and_the_next_goes_on,
    hn_05_a_panic_in_a_handler_is_an_error_item_and_loses_no_connection,
}

async fn hn_05_a_handlers_error_comes_out_of_the_read_that_ran_it_and_the_next_goes_on(case: Case) {
    let client = case.client().await;
    let mut pubsub = silent(&client).await;
    let log = Log::default();
    let count = |who: &'static str| {
        let log = log.clone();
        move |message: &Message| log.note(format!("{who} {}", message.text()))
    };
    let (text, owned, boxed) = (count("text"), count("owned"), count("boxed"));
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
    pubsub.subscribe("plain").await.unwrap();
    for (channel, payload) in [
        ("text", "1"),
        ("owned", "2"),
        ("owned", "3"),
        ("plain", "4"),
        ("boxed", "5"),
        ("plain", "6"),
    ] {
        client.publish(channel, payload).await.unwrap();
    }
    let (events, errors) = read_all(&mut pubsub).await;
    assert_eq!(events, ["message plain 4", "message plain 6"]);
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
        ]
    );
    // Each message was handled once.
    assert_eq!(log.take(), ["text 1", "owned 2", "owned 3", "boxed 5"]);

    // The same out of the stream and of next_message.
    client.publish("text", "7").await.unwrap();
    client.publish("text", "8").await.unwrap();
    client.publish("plain", "9").await.unwrap();
    let failed = error(pubsub.next().await.unwrap());
    assert_eq!(sources(&failed), "the handler of text failed: as text");
    let failed = error(pubsub.next_message(SOON).await);
    assert_eq!(sources(&failed), "the handler of text failed: as text");
    assert_eq!(read(&mut pubsub, 1).await, ["message plain 9"]);
    assert_eq!(log.take(), ["text 7", "text 8"]);
}

async fn hn_05_a_panic_in_a_handler_is_an_error_item_and_loses_no_connection(case: Case) {
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
    pubsub.subscribe("plain").await.unwrap();
    let ids = case.subscriber_ids();
    assert_eq!(ids.len(), 1);
    for (channel, payload) in [
        ("now", "static"),
        ("now", "words"),
        ("now", "value"),
        ("plain", "1"),
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
    assert_eq!(
        errors.iter().map(Error::to_string).collect::<Vec<_>>(),
        [
            "the handler of now panicked: as it stands",
            "the handler of now panicked: with words",
            "the handler of now panicked: no message",
        ]
    );
    assert_eq!(case.subscriber_ids(), ids);
    assert_eq!(pubsub.stats().reconnects, 0);
}
