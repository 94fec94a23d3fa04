//! The memory of this process under consumers that have stopped. Alone in its file, because it is that of the whole
//! process.
#![cfg(target_os = "linux")]

mod faults;
mod footprint;
mod support;

use faults::quick;
use footprint::{MIB, resident};
use support::{next, short};
use tidings::{Client, Overflow, PubSub};
use tidings_testkit::{Publisher, Server};

/// What the queue may hold.
const QUEUE: u64 = 4 * MIB;

/// What allocators, read buffers and threads may take beside it.
const SLACK: u64 = 24 * MIB;

/// What is published to each consumer.
const PUBLISHED: u64 = 200 * MIB;

const PAYLOAD: u64 = 64 << 10;

async fn stopped_consumer(client: &Client, overflow: Overflow) -> PubSub {
    let mut pubsub = client
        .pubsub()
        .channels("flood")
        .queue(usize::MAX, usize::try_from(QUEUE).expect("small"))
        .overflow(overflow)
        .await
        .expect("it subscribes");
    assert_eq!(short(&next(&mut pubsub).await), "subscribe flood 1");
    pubsub
}

#[test]
fn qu_01_memory_stays_flat_under_a_stopped_consumer_whatever_the_queue_does() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let server = Server::start();
    runtime.block_on(async {
        let client = Client::connect(quick(&server.url())).await.unwrap();
        for overflow in [
            Overflow::Backpressure,
            Overflow::DropOldest,
            Overflow::DropNewest,
            Overflow::Close,
        ] {
            let pubsub = stopped_consumer(&client, overflow).await;
            let publisher = Publisher::to(&server)
                .channels(["flood"])
                .payload_size(usize::try_from(PAYLOAD).expect("small"))
                .start();
            publisher.await_more(16);
            let before = resident();
            let mut most = before;
            for _ in 0..PUBLISHED / PAYLOAD / 100 {
                publisher.await_more(100);
                most = most.max(resident());
            }
            let grown = (most - before) / MIB;
            println!("{overflow:?}: {grown} MiB, {:?}", pubsub.stats());
            assert!(
                most - before <= QUEUE + SLACK,
                "{overflow:?}: {grown} MiB more while {} MiB were published",
                PUBLISHED / MIB
            );
            let stats = pubsub.stats();
            assert!(
                stats.received > 0 && stats.bytes_queued <= QUEUE + MIB,
                "{stats:?}"
            );
            match overflow {
                Overflow::DropOldest | Overflow::DropNewest => assert!(stats.dropped > 1_000),
                _ => assert!(stats.received < 1_000),
            }
        }
    });
}
