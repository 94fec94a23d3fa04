//! What only the asynchronous face has: a subscription that is given up while it is made.

use std::time::Duration;

use crate::faces::asynchronously;
use crate::support::{next, poll_times, short};

#[test]
fn sb_02_a_subscription_dropped_while_it_is_made_leaves_nothing_behind() {
    asynchronously(async |case| {
        let client = case.client().await;
        let kept = client.subscribe("kept").await.unwrap();
        for polls in 0..4 {
            poll_times(polls, client.subscribe(["kept", "given-up"])).await;
            case.await_subscribers("given-up", 0).await;
        }
        // It is wanted again at once after it was given up.
        for _ in 0..100 {
            let mut making = Box::pin(async { client.subscribe("again").await });
            let _ = tokio::time::timeout(Duration::ZERO, &mut making).await;
            drop(making);
            let mut again = client.subscribe("again").await.unwrap();
            assert_eq!(client.publish("again", "hello").await.unwrap(), 1);
            assert_eq!(short(&next(&mut again).await), "message again hello");
        }
        case.await_subscribers("again", 0).await;
        drop(kept);
        case.await_subscribers("kept", 0).await;
    });
}
