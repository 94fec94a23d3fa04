//! What can be a name: SPEC item PS-02.

use tidings::{Bytes, Result};

use crate::faces::{Case, plain};
use crate::support::{assert_ended, assert_quiet, error, next, read, short};
use crate::{on_both_faces, states, text};

on_both_faces! {
    [plain]
    ps_02_names_are_text_bytes_numbers_arrays_slices_and_iterators,
    ps_02_names_are_binary_safe,
    ps_02_no_name_is_a_misuse_and_nothing_is_sent,
}

async fn ps_02_names_are_text_bytes_numbers_arrays_slices_and_iterators(case: Case) {
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
}

async fn ps_02_names_are_binary_safe(case: Case) {
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
}

async fn ps_02_no_name_is_a_misuse_and_nothing_is_sent(case: Case) {
    const NONE: [&str; 0] = [];
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
}
