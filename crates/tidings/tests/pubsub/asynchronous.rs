//! What only the asynchronous face has: futures that can be dropped and sent, a `Stream` that is polled, a runtime that
//! may end, and other tasks that want their turn.

use std::future::{IntoFuture, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use std::thread;
use std::time::Duration;

use futures_core::Stream;
use tidings::{Client, Error, ErrorKind, Event, PubSub, PubSubHandle, Result};

use crate::faces::asynchronously;
use crate::reading::{publish_later, subscribed};
use crate::support::{SOON, assert_ended, error, eventually, next, read, short};
use crate::{states, text};

#[test]
fn ps_13_it_can_be_dropped_outside_of_a_runtime_and_after_its_runtime() {
    asynchronously(async |case| {
        let elsewhere = thread::spawn(move || {
            let url = case.url();
            let runtime = tokio::runtime::Runtime::new().unwrap();
            let open = || {
                runtime.block_on(async {
                    let client = Client::connect(&*url).await.unwrap();
                    client.pubsub().channels("a").await.unwrap()
                })
            };
            let (outside, mut after, handle) = (open(), open(), open().handle());
            case.server.await_subscribers("a", 2);
            drop(outside);
            case.server.await_subscribers("a", 1);

            let unread = after.handle();
            drop(runtime);
            case.server.await_subscribers("a", 0);
            // What has no runtime any more says so, and what was received can still be read.
            let other = tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .build()
                .unwrap();
            other.block_on(async {
                assert_eq!(text(&after.channels()), ["a"]);
                let ended = |error: Error| assert_eq!(error.kind(), ErrorKind::Closed);
                ended(error(after.subscribe("b").await));
                ended(error(unread.subscribe("b").await));
                assert!(handle.subscribe("b").await.is_err());
                assert_eq!(read(&mut after, 1).await, ["subscribe a 1"]);
                ended(error(after.get_message(SOON).await));
                assert_ended(&mut after).await;
                after.close().await.unwrap();
            });
            drop(after);
        });
        elsewhere.join().unwrap();
    });
}

/// Compiles only for types that are not `Clone`: for others, `A` could be either.
trait NotClone<A> {
    fn holds() {}
}
impl<T> NotClone<()> for T {}
impl<T: Clone> NotClone<u8> for T {}

#[test]
fn ps_13_subscribing_with_an_asynchronous_handler_after_the_end_is_a_misuse() {
    asynchronously(async |case| {
        let mut pubsub = case.client().await.pubsub().await.unwrap();
        pubsub.close().await.unwrap();
        let pubsub = pubsub.asynchronous();
        for outcome in [
            pubsub.subscribe_with_async("b", async |_| ()).await,
            pubsub.psubscribe_with_async("b", async |_| ()).await,
            pubsub.ssubscribe_with_async("b", async |_| ()).await,
        ] {
            assert!(error(outcome).is_misuse());
        }
    });
}

#[test]
fn ps_15_it_and_all_that_it_does_can_be_sent_and_only_its_handle_can_be_cloned() {
    fn send<T: Send>() {}
    fn send_all(_: &impl Send) {}
    send::<PubSub>();
    send::<PubSub<String>>();
    send::<tidings::PubSubBuilder>();
    send::<Event>();
    send::<Error>();
    <PubSub as NotClone<_>>::holds();
    fn handle<T: Clone + Send + Sync + 'static>() {}
    handle::<PubSubHandle>();

    // Never run: what counts is that it compiles.
    #[allow(dead_code, reason = "see above")]
    fn futures(pubsub: &mut PubSub, client: &Client) {
        send_all(&client.pubsub().into_future());
        send_all(&pubsub.subscribe(["a"]));
        send_all(&pubsub.psubscribe("a"));
        send_all(&pubsub.ssubscribe("a"));
        send_all(&pubsub.subscribe_with("a", |_| ()));
        send_all(&pubsub.psubscribe_with_async("a", async |_| ()));
        send_all(&pubsub.unsubscribe("a"));
        send_all(&pubsub.unsubscribe_all());
        send_all(&pubsub.get_message(SOON));
        send_all(&pubsub.next_message(SOON));
        send_all(&pubsub.next());
        send_all(&pubsub.ping());
        send_all(&pubsub.drain());
        send_all(&pubsub.close());
        send_all(&pubsub.handle().subscribe("a"));
    }
}

#[test]
fn ps_15_a_request_is_made_by_the_call_and_its_answer_can_be_awaited_later() {
    asynchronously(async |case| {
        let mut pubsub = case.client().await.pubsub().channels("a").await.unwrap();
        let handle = pubsub.asynchronous().handle();
        let frozen = case.server.freeze();
        // From a thread that has no runtime.
        let elsewhere = handle.clone();
        let subscribed = thread::spawn(move || elsewhere.subscribe("b"));
        let subscribed = subscribed.join().unwrap();
        let unsubscribed = handle.unsubscribe("a");
        assert_eq!(states(&pubsub), ["Channel a Ending", "Channel b Pending"]);
        drop(frozen);
        unsubscribed.await.unwrap();
        subscribed.await.unwrap();
        assert_eq!(states(&pubsub), ["Channel b Confirmed"]);

        // Nor is a connection needed.
        case.server.kill();
        eventually("the loss is noticed", || {
            states(&pubsub) == ["Channel b Reconnecting"]
        })
        .await;
        let subscribed = handle.subscribe("c");
        assert_eq!(
            states(&pubsub),
            ["Channel b Reconnecting", "Channel c Reconnecting"]
        );
        case.server.restart();
        subscribed.await.unwrap();
        assert_eq!(
            states(&pubsub),
            ["Channel b Confirmed", "Channel c Confirmed"]
        );
    });
}

#[test]
fn ps_15_a_confirmation_that_is_awaited_again_is_a_misuse() {
    asynchronously(async |case| {
        let mut pubsub = case.client().await.pubsub().await.unwrap();
        let mut confirming = pubsub.asynchronous().handle().subscribe("ch");
        (&mut confirming).await.unwrap();
        assert!(error(confirming.await).is_misuse());
    });
}

#[test]
fn gm_01_a_read_that_is_dropped_has_taken_nothing() {
    asynchronously(async |case| {
        let client = case.client().await;
        let mut pubsub = subscribed(&client, ["a"]).await;
        for n in 0..20 {
            let dropped = tokio::time::timeout(Duration::from_millis(1), pubsub.get_message(SOON));
            assert!(dropped.await.is_err());
            client.publish("a", n).await.unwrap();
            assert_eq!(read(&mut pubsub, 1).await, [format!("message a {n}")]);
        }
    });
}

#[test]
fn it_01_it_is_a_stream_that_waits_for_the_next_event() {
    fn stream<S: Stream<Item = Result<Event>> + Unpin>(_: &S) {}
    asynchronously(async |case| {
        let client = case.client().await;
        let mut pubsub = subscribed(&client, ["a"]).await;
        let mut pubsub = pubsub.asynchronous();
        stream(pubsub);
        let first = poll_fn(|cx| Poll::Ready(Pin::new(&mut pubsub).poll_next(cx))).await;
        assert!(first.is_pending(), "{first:?}");
        publish_later(&client, "a", "x");
        let event = poll_fn(|cx| Pin::new(&mut pubsub).poll_next(cx));
        let event = tokio::time::timeout(SOON, event).await.unwrap();
        assert_eq!(short(&event.unwrap().unwrap()), "message a x");
        let next = poll_fn(|cx| Poll::Ready(Pin::new(&mut pubsub).poll_next(cx))).await;
        assert!(next.is_pending(), "{next:?}");
    });
}

#[test]
fn it_01_a_reader_that_always_finds_a_message_lets_other_tasks_have_their_turn() {
    asynchronously(async |case| {
        let client = case.client().await;
        let mut pubsub = client
            .pubsub()
            .channels("ch")
            .ignore_subscribe_messages(true)
            .await
            .unwrap();
        for waiting in [true, false] {
            let received = pubsub.stats().received;
            for half in 1..=2 {
                for n in 0..200 {
                    client.publish("ch", n).await.unwrap();
                }
                let all = received + half * 200;
                eventually("all is received", || pubsub.stats().received == all).await;
            }
            let other = tokio::spawn(async {});
            for n in 0..400 {
                let event = if waiting {
                    next(&mut pubsub).await
                } else {
                    let event = pubsub.get_message(Duration::ZERO).await.unwrap();
                    event.expect("all is there")
                };
                assert_eq!(short(&event), format!("message ch {}", n % 200));
            }
            assert!(other.is_finished());
        }
    });
}
