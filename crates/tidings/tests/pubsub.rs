//! The Pub/Sub object on real servers: SPEC items PS, HN, IG, GM, IT.

mod support;

use support::{SOON, assert_quiet, on_each, read};
use tidings::Commands;

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
        assert!(pubsub.get_message(SOON / 1000).await.unwrap().is_none());
    });
}
