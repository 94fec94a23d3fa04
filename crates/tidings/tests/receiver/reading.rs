//! Reading: SPEC items RX-03, RX-04, RX-05.

use tidings::ErrorKind;

use crate::faces::receiver::Receiver;
use crate::faces::{Case, plain};
use crate::support::{QUIET, error, eventually};
use crate::{assert_ended, message, on_both_faces, short, soon};

on_both_faces! {
    [plain]
    rx_03_get_gives_none_when_stopped_while_waiting_and_a_closed_error_after_that,
    rx_04_it_is_a_stream_and_ends_when_stopped_and_drained,
    rx_04_payloads_are_decoded_and_one_that_cannot_be_is_an_item,
    rx_05_wait_message_is_true_when_there_is_one_and_false_when_none_can_come,
}

async fn rx_03_get_gives_none_when_stopped_while_waiting_and_a_closed_error_after_that(case: Case) {
    let client = case.client().await;
    let mut receiver = case.receiver();
    client.subscribe(receiver.channel("a")).await.unwrap();
    let handle = receiver.handle();
    let waiting = tokio::spawn(async move {
        let got = receiver.get().await;
        (receiver, got)
    });
    tokio::time::sleep(QUIET).await;
    handle.stop();
    let (mut receiver, got) = soon(waiting).await.unwrap();
    assert!(got.unwrap().is_none());
    let closed = error(soon(receiver.get()).await);
    assert_eq!(closed.kind(), ErrorKind::Closed);
    assert_ended(&mut receiver).await;
    case.await_subscribers("a", 0).await;
    let refused = error(client.subscribe(receiver.channel("a")).await);
    assert_eq!(refused.kind(), ErrorKind::Misuse);
    case.await_subscribers("a", 0).await;
}

async fn rx_04_it_is_a_stream_and_ends_when_stopped_and_drained(case: Case) {
    let client = case.client().await;
    let mut receiver = case.receiver();
    client.psubscribe(receiver.pattern("*")).await.unwrap();
    for number in 0..5 {
        client.publish("n", number).await.unwrap();
    }
    eventually("all has come", || receiver.stats().received == 5).await;
    receiver.stop();
    let mut numbers = Vec::new();
    while let Some(received) = soon(receiver.next_item()).await {
        let (_, message) = received.unwrap().into_message().unwrap();
        numbers.push(message.text().into_owned());
    }
    assert_eq!(numbers, ["0", "1", "2", "3", "4"]);
}

async fn rx_04_payloads_are_decoded_and_one_that_cannot_be_is_an_item(case: Case) {
    let client = case.client().await;
    let mut receiver: Receiver<i64> = case.receiver_builder().payload().build().unwrap();
    client.subscribe(receiver.channel("n")).await.unwrap();
    for text in ["1", "two", "3"] {
        client.publish("n", text).await.unwrap();
    }
    assert_eq!(*message(&mut receiver).await.1.payload(), 1);
    let undecodable = error(soon(receiver.get()).await);
    assert_eq!(undecodable.kind(), ErrorKind::Decode);
    assert_eq!(undecodable.raw_payload().unwrap(), "two");
    assert_eq!(*message(&mut receiver).await.1.payload(), 3);
}

async fn rx_05_wait_message_is_true_when_there_is_one_and_false_when_none_can_come(case: Case) {
    let client = case.client().await;
    let mut receiver = case.receiver();
    assert!(!receiver.is_active());
    client.subscribe(receiver.channel("a")).await.unwrap();
    assert!(receiver.is_active());
    let waiting = tokio::spawn(async move {
        let there_is_one = receiver.wait_message().await;
        (receiver, there_is_one)
    });
    tokio::time::sleep(QUIET).await;
    assert!(!waiting.is_finished(), "there is none");
    client.publish("a", "x").await.unwrap();
    let (mut receiver, there_is_one) = soon(waiting).await.unwrap();
    assert!(there_is_one);
    for _ in 0..3 {
        assert!(soon(receiver.wait_message()).await);
    }
    receiver.stop();
    assert!(!receiver.is_active());
    assert!(soon(receiver.wait_message()).await, "it is still there");
    assert_eq!(short(&mut receiver).await, "a: x");
    assert!(!soon(receiver.wait_message()).await);
}
