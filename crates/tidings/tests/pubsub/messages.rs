//! Messages: SPEC items PS-09, PS-10.

use crate::faces::{Case, plain};
use crate::on_both_faces;
use crate::support::{assert_quiet, next, read};

on_both_faces! {
    [plain]
    ps_09_a_message_that_matches_a_channel_and_a_pattern_arrives_twice,
    ps_10_a_message_says_its_kind_channel_pattern_and_payload,
    ps_10_payloads_of_any_bytes_arrive_as_they_were_sent,
}

async fn ps_09_a_message_that_matches_a_channel_and_a_pattern_arrives_twice(case: Case) {
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
}

async fn ps_10_a_message_says_its_kind_channel_pattern_and_payload(case: Case) {
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
}

async fn ps_10_payloads_of_any_bytes_arrive_as_they_were_sent(case: Case) {
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
}
