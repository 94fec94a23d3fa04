//! The builder: SPEC item PS-01.

use tidings::Commands;

use crate::faces::{Case, plain};
use crate::support::{assert_ended, assert_quiet, error, eventually, read};
use crate::{on_both_faces, text, with_bob};

on_both_faces! {
    [plain]
    ps_01_a_builder_sends_nothing_and_awaited_is_subscribed_on_a_connection_of_its_own,
    ps_01_a_builder_without_names_is_subscribed_to_nothing,
    [with_bob]
    ps_01_a_builder_whose_name_is_refused_fails_and_leaves_no_connection,
}

async fn ps_01_a_builder_sends_nothing_and_awaited_is_subscribed_on_a_connection_of_its_own(
    case: Case,
) {
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
}

async fn ps_01_a_builder_without_names_is_subscribed_to_nothing(case: Case) {
    let client = case.client().await;
    let mut pubsub = client.pubsub().await.unwrap();
    assert!(!pubsub.is_subscribed());
    assert!(pubsub.subscriptions().is_empty());
    assert_eq!(case.subscriber_ids(), [""; 0]);
    pubsub.ping().await.unwrap();
    assert_ended(&mut pubsub).await;
}

async fn ps_01_a_builder_whose_name_is_refused_fails_and_leaves_no_connection(case: Case) {
    let client = case.client_as("bob").await;
    let error = error(client.pubsub().channels(["ok:1", "locked"]).await);
    assert!(error.is_no_permission(), "{error:?}");
    assert!(error.to_string().contains("locked"), "{error}");
    eventually("its connection is closed", || case.connections() == 1).await;
}
