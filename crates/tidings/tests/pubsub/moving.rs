//! Between tasks and threads: SPEC item PS-15.

use std::thread;

use tidings::Event;

use crate::faces::{Case, plain};
use crate::lanes::Lanes;
use crate::on_both_faces;
use crate::support::{SOON, assert_ended, next, read, short};

on_both_faces! {
    [plain]
    ps_15_it_moves_between_tasks_and_threads_without_losing_anything,
    ps_15_a_handle_subscribes_and_unsubscribes_from_elsewhere,
}

async fn ps_15_it_moves_between_tasks_and_threads_without_losing_anything(case: Case) {
    let elsewhere = thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(3)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let client = case.client().await;
            let mut pubsub = client.pubsub().channels("load").await.unwrap();
            assert_eq!(read(&mut pubsub, 1).await, ["subscribe load 1"]);
            let publishers = Lanes::start(&client, "load");
            let mut lanes = Lanes::default();
            for _ in 0..20 {
                let task = tokio::spawn(async move {
                    for _ in 0..20 {
                        lanes.note(&next(&mut pubsub).await);
                    }
                    (pubsub, lanes)
                });
                (pubsub, lanes) = task.await.unwrap();
                // A thread of its own, which knows of the runtime but is none of its.
                let runtime = tokio::runtime::Handle::current();
                let thread = thread::spawn(move || {
                    runtime.block_on(async {
                        lanes.note(&next(&mut pubsub).await);
                    });
                    (pubsub, lanes)
                });
                (pubsub, lanes) = thread.join().unwrap();
            }
            pubsub.unsubscribe("load").await.unwrap();
            while let Some(event) = pubsub.next().await {
                if let event @ Event::Message(_) = event.unwrap() {
                    lanes.note(&event);
                }
            }
            lanes.assert_all_received(publishers).await;
        });
    });
    elsewhere.join().unwrap();
}

async fn ps_15_a_handle_subscribes_and_unsubscribes_from_elsewhere(case: Case) {
    let client = case.client().await;
    let mut pubsub = client.pubsub().await.unwrap();
    let reader = {
        let handle = pubsub.handle();
        let elsewhere = async move {
            handle.subscribe("a").await.unwrap();
            let other = handle.clone();
            let task = tokio::spawn(async move { other.psubscribe(["p*", "q*"]).await });
            task.await.unwrap().unwrap();
            // From a thread that has no runtime.
            let other = handle.clone();
            thread::spawn(move || other.without_waiting().ssubscribe("s"));
            while client.spublish("s", "x").await.unwrap() == 0 {}
            assert_eq!(client.publish("p", "x").await.unwrap(), 1);
            handle.punsubscribe(["p*", "q*"]).await.unwrap();
            handle.sunsubscribe("s").await.unwrap();
            handle.unsubscribe("a").await.unwrap();
            assert!(!handle.is_subscribed());
        };
        tokio::spawn(elsewhere)
    };
    assert_eq!(
        short(&pubsub.get_message(SOON).await.unwrap().unwrap()),
        "subscribe a 1"
    );
    assert_eq!(
        read(&mut pubsub, 9).await,
        [
            "psubscribe p* 2",
            "psubscribe q* 3",
            "ssubscribe s 1",
            "smessage s x",
            "pmessage p* p x",
            "punsubscribe p* 2",
            "punsubscribe q* 1",
            "sunsubscribe s 0",
            "unsubscribe a 0",
        ]
    );
    assert_ended(&mut pubsub).await;
    reader.await.unwrap();
}
