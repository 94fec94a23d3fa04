//! Payloads as JSON.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tidings::{Commands, ErrorKind, Json};

use super::{is_refused, next, subscribed};
use crate::faces::{Case, plain};
use crate::on_both_faces;
use crate::support::error;

on_both_faces! {
    [plain]
    en_01_values_are_published_and_received_as_json,
    en_03_what_is_not_the_json_that_was_expected_is_an_error_with_the_raw_message,
    en_01_a_value_that_cannot_be_json_is_a_misuse_and_nothing_is_sent,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Order {
    id: u64,
    items: Vec<String>,
}

fn order() -> Order {
    Order {
        id: u64::MAX,
        items: vec!["süß".into(), "\u{1f389}\0".into()],
    }
}

async fn en_01_values_are_published_and_received_as_json(case: Case) {
    let client = case.client().await;
    let mut pubsub = subscribed::<Json<Order>>(&client).await;
    assert_eq!(client.publish("a", Json(&order())).await.unwrap(), 1);
    let mut pipeline = client.pipeline();
    pipeline.publish("a", Json(order()));
    let (1,) = pipeline.execute().await.unwrap() else {
        panic!("one receives it");
    };
    for _ in 0..2 {
        let message = next(&mut pubsub).await.unwrap();
        assert_eq!(message.payload(), &Json(order()));
        assert_eq!(message.payload().items.len(), 2);
        assert_eq!(message.into_payload().into_inner(), order());
    }
    client.set("order", Json(order())).await.unwrap();
    let Json(stored): Json<Order> = client.get("order").await.unwrap();
    assert_eq!(stored, order());
    client.set("n", 7).await.unwrap();
    assert_eq!(client.incr("n").await.unwrap(), 8);
    assert_eq!(client.get::<Json<u8>>("n").await.unwrap(), Json(8));
}

async fn en_03_what_is_not_the_json_that_was_expected_is_an_error_with_the_raw_message(case: Case) {
    let client = case.client().await;
    let wrong: [&[u8]; 5] = [b"", b"{", b"[]", b"{\"id\":-1,\"items\":[]}", b"\xff"];
    is_refused::<Json<Order>>(&client, &wrong, "not the JSON that was expected").await;
    client.set("order", "[]").await.unwrap();
    let failed = error(client.get::<Json<Order>>("order").await);
    assert_eq!(failed.kind(), ErrorKind::Decode);
}

async fn en_01_a_value_that_cannot_be_json_is_a_misuse_and_nothing_is_sent(case: Case) {
    let client = case.client().await;
    let value = Json(BTreeMap::from([((1, 2), 3)]));
    let mut pubsub = subscribed::<String>(&client).await;
    case.forget_commands();
    let failed = error(client.publish("a", &value).await);
    assert!(failed.is_misuse(), "{failed}");
    assert!(failed.to_string().contains("cannot be JSON"), "{failed}");
    let mut pipeline = client.pipeline();
    pipeline.publish("a", "1").publish("a", &value);
    let failed = error(pipeline.execute::<()>().await);
    assert!(
        failed.is_misuse() && failed.to_string().contains("command 2"),
        "{failed}"
    );
    let failed = error(pubsub.subscribe(&value).await);
    assert!(failed.is_misuse(), "{failed}");
    let failed = error(client.watch(&value).await);
    assert!(failed.is_misuse(), "{failed}");
    assert!(pubsub.channels().len() == 1);
    assert!(case.commands_run().is_empty(), "{:?}", case.commands_run());
}
