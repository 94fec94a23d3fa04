//! What only the asynchronous face has: futures that are dropped.

use tidings::Receiver;

use crate::faces::asynchronously;
use crate::short;
use crate::support::{QUIET, poll_times};

#[test]
fn rx_06_a_receiver_that_is_dropped_or_a_subscribe_given_up_leaves_nothing_behind() {
    asynchronously(async |case| {
        let client = case.client().await;
        let receiver = Receiver::new();
        let sender = receiver.channel("a");
        client.subscribe(sender.clone()).await.unwrap();
        for polls in 0..4 {
            poll_times(polls, client.subscribe(receiver.channel("given-up"))).await;
            if !receiver.channel("given-up").is_active() {
                case.await_subscribers("given-up", 0).await;
            }
        }
        drop(receiver);
        case.await_subscribers("a", 0).await;
        case.await_subscribers("given-up", 0).await;
        assert!(!sender.is_active());
    });
}

#[test]
fn rx_05_what_is_dropped_while_it_waits_has_taken_nothing() {
    asynchronously(async |case| {
        let client = case.client().await;
        let mut receiver = case.receiver();
        client.subscribe(receiver.channel("a")).await.unwrap();
        let waiting = tokio::time::timeout(QUIET, receiver.wait_message()).await;
        assert!(waiting.is_err(), "there is none");
        let waiting = tokio::time::timeout(QUIET, receiver.get()).await;
        assert!(waiting.is_err(), "there is none");
        client.publish("a", "x").await.unwrap();
        assert_eq!(short(&mut receiver).await, "a: x");
    });
}
