//! Where the blocking face may be used, and where not.

use std::future::Future;
use std::pin::Pin;

use tidings::blocking::Receiver;
use tokio::runtime::{Builder, Runtime};
use tokio::task::LocalSet;

use crate::*;

fn current_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn multi_thread() -> Runtime {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(2).enable_all().build().unwrap()
}

fn runtimes() -> [Runtime; 2] {
    [current_thread(), multi_thread()]
}

/// Every call that may wait is refused here, and says what to do instead.
fn assert_refused(client: &Client, pubsub: &mut PubSub) {
    let refused = |error: tidings::Error| {
        assert!(error.is_misuse(), "{error:?}");
        let text = error.to_string();
        assert!(text.contains("use tidings::Client"), "{text}");
        assert!(text.contains("spawn_blocking"), "{text}");
    };
    refused(error(client.ping()));
    refused(error(client.get::<Option<String>>("a")));
    refused(error(
        client.blpop::<Option<(String, String)>, _>("a", SOON),
    ));
    refused(error(Client::connect("redis://127.0.0.1:1")));
    refused(error(client.pubsub().open()));
    refused(error(pubsub.subscribe("refused")));
    refused(error(pubsub.handle().subscribe("refused")));
    refused(error(pubsub.get_message(Duration::ZERO)));
    refused(error(pubsub.get_message(SOON)));
    refused(error(pubsub.next_message(SOON)));
    refused(error(pubsub.next().unwrap()));
    refused(error(pubsub.timeout_iter(SOON).next().unwrap()));
    refused(error(client.subscribe("refused").open()));
    let mut receiver = Receiver::new();
    refused(error(client.subscribe(receiver.channel("refused"))));
    refused(error(client.unsubscribe(receiver.channel("refused"))));
    refused(error(receiver.get()));
    refused(error(receiver.wait_message()));
    refused(error(receiver.next().unwrap()));
    refused(error(receiver.timeout_iter(SOON).next().unwrap()));
    refused(error(pubsub.drain()));
    refused(error(pubsub.close()));
    assert_eq!(pubsub.channels(), ["news"]);
}

/// A client, and a subscriber of which everything was read.
fn subjects(case: &Case) -> (Client, PubSub) {
    let client = client(case);
    let mut pubsub = client.pubsub().channels("news").open().unwrap();
    assert_eq!(read(&mut pubsub, 1), ["subscribe news 1"]);
    (client, pubsub)
}

#[test]
fn in_the_main_future_of_a_runtime_it_is_a_misuse() {
    on_one(|case, _| {
        let (client, mut pubsub) = subjects(&case);
        for runtime in runtimes() {
            runtime.block_on(async { assert_refused(&client, &mut pubsub) });
        }
        client.ping().unwrap();
        assert_eq!(pubsub.get_message(Duration::ZERO).unwrap().map(drop), None);
    });
}

#[test]
fn in_a_task_it_is_a_misuse() {
    on_one(|case, _| {
        for runtime in runtimes() {
            let (client, mut pubsub) = subjects(&case);
            let task = runtime.spawn(async move {
                assert_refused(&client, &mut pubsub);
                tokio::task::yield_now().await;
                assert_refused(&client, &mut pubsub);
            });
            runtime.block_on(task).unwrap();

            let (client, mut pubsub) = subjects(&case);
            let local = LocalSet::new();
            local.spawn_local(async move { assert_refused(&client, &mut pubsub) });
            runtime.block_on(local);

            let (client, mut pubsub) = subjects(&case);
            let local = LocalSet::new();
            runtime.block_on(local.run_until(async { assert_refused(&client, &mut pubsub) }));
        }
    });
}

#[test]
fn a_task_that_was_refused_and_the_tasks_beside_it_go_on() {
    on_one(|case, client| {
        current_thread().block_on(async {
            let client = client.clone();
            let refused = tokio::spawn(async move {
                for _ in 0..10 {
                    assert!(error(client.ping()).is_misuse());
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            });
            let other = tidings::Client::connect(case.url()).await.unwrap();
            for _ in 0..10 {
                other.ping().await.unwrap();
            }
            refused.await.unwrap();
        });
    });
}

#[test]
fn where_a_thread_may_block_it_may_be_used_though_there_is_a_runtime() {
    on_one(|_, client| {
        for runtime in runtimes() {
            let used = client.clone();
            let blocking = runtime.spawn_blocking(move || used.incr("n"));
            runtime.block_on(blocking).unwrap().unwrap();
            let _entered = runtime.enter();
            client.incr("n").unwrap();
        }
        let in_place = client.clone();
        let runtime = multi_thread();
        runtime.block_on(async {
            tokio::task::block_in_place(|| in_place.incr("n")).unwrap();
        });
        let in_place = client.clone();
        let task = runtime.spawn(async move {
            // The operations of this turn are nearly used up.
            for _ in 0..100 {
                tokio::task::coop::consume_budget().await;
            }
            let counted = tokio::task::block_in_place(|| in_place.incr("n"));
            assert!(error(in_place.ping()).is_misuse(), "it is a task again");
            counted
        });
        runtime.block_on(task).unwrap().unwrap();
        assert_eq!(client.get::<i64>("n").unwrap(), 6);
    });
}

#[test]
fn a_runtime_within_a_handler_is_seen_too() {
    on_one(|_, client| {
        let mut pubsub = client
            .pubsub()
            .ignore_subscribe_messages(true)
            .open()
            .unwrap();
        let used = client.clone();
        pubsub
            .subscribe_with("news", move |_| {
                used.incr("n").unwrap();
                current_thread().block_on(async { assert!(error(used.ping()).is_misuse()) });
                used.incr("n").unwrap();
            })
            .unwrap();
        client.publish("news", "hello").unwrap();
        eventually("it is handled", || {
            assert!(pubsub.get_message(SOON).unwrap().is_none());
            client.get::<Option<i64>>("n").unwrap() == Some(2)
        });
    });
}

#[test]
fn a_task_on_the_thread_in_the_background_cannot_block_it() {
    on_one(|_, client| {
        let mut pubsub = client
            .pubsub()
            .ignore_subscribe_messages(true)
            .open()
            .unwrap();
        let used = client.clone();
        let (told, outcome) = std::sync::mpsc::channel();
        pubsub
            .subscribe_with("news", move |_| {
                let (used, told) = (used.clone(), told.clone());
                // A handler runs with the runtime of that thread at hand.
                let task = async move { told.send(used.ping()).unwrap() };
                drop(tokio::runtime::Handle::current().spawn(task));
            })
            .unwrap();
        client.publish("news", "hello").unwrap();
        while pubsub.stats().delivered == 0 {
            pubsub.get_message(SOON).unwrap();
        }
        assert!(error(outcome.recv_timeout(SOON).unwrap()).is_misuse());
        client.ping().unwrap();
    });
}

#[test]
fn dropping_in_asynchronous_code_waits_for_nothing() {
    on_one(|case, _| {
        let mut drops: Vec<Box<dyn Fn() + Send + Sync>> = Vec::new();
        let url = case.url();
        drops.push(Box::new(move || drop(Client::connect(url.as_str()))));
        for runtime in runtimes() {
            let (client, mut pubsub) = subjects(&case);
            let handle = pubsub.handle();
            let spare = client.pubsub().channels("spare").open().unwrap();
            // What is dropped on the way, refused, is dropped as well.
            let builder = client.pubsub().channels("other");
            let dropping: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(async move {
                let _ = builder.open();
                let _ = pubsub.next();
                drop((pubsub, spare, handle, client));
            });
            runtime.block_on(runtime.spawn(dropping)).unwrap();
            eventually("the subscribers are gone", || {
                case.subscriber_ids().is_empty()
            });
        }
        for runtime in runtimes() {
            runtime.block_on(async { drops.iter().for_each(|drop| drop()) });
        }
    });
}

#[test]
fn a_handle_that_does_not_wait_may_be_used_in_a_task() {
    on_one(|case, _| {
        let (_client, mut pubsub) = subjects(&case);
        let handle = pubsub.handle().without_waiting();
        current_thread().block_on(async {
            handle.subscribe("more").unwrap();
            assert!(error(handle.subscribe(None::<&str>)).is_misuse());
        });
        assert_eq!(read(&mut pubsub, 1), ["subscribe more 2"]);
    });
}
