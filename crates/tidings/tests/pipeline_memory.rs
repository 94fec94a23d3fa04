//! The memory of this process under pipelines of any length. Alone in its file, because it is that of the whole
//! process.
#![cfg(target_os = "linux")]

mod faults;
mod footprint;
mod support;

use std::time::Duration;

use faults::quick;
use footprint::{MIB, growth};
use tidings::{Client, Commands};
use tidings_testkit::{Protocol, Proxy, Server};

const COMMANDS: u64 = 1_000_000;

/// More tasks than sockets can hold commands of this length for, and how many each of them sends.
const TASKS: usize = 4096;
const LENGTH: usize = 8 << 10;
const ROUNDS: usize = 6;

/// What allocators, buffers of the connection and threads may take beside commands and replies.
const SLACK: u64 = 36 * MIB;

#[test]
fn pl_02_a_busy_connection_and_a_million_commands_take_no_more_memory_than_they_and_their_replies_have_bytes()
 {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let server = Server::start();
    let proxy = Proxy::to(&server);
    // A connection that is never idle does not keep what it has sent. First, while no memory is free for use again.
    runtime.block_on(async {
        let client = Client::connect(quick(&server.url_via(&proxy)))
            .await
            .unwrap();
        proxy.throttle(96_000_000);
        let text: std::sync::Arc<str> = "x".repeat(LENGTH).into();
        let (grown, ()) = growth(async {
            let mut tasks = tokio::task::JoinSet::new();
            for task in 0..TASKS {
                let (client, text) = (client.clone(), text.clone());
                tasks.spawn(async move {
                    for _ in 0..ROUNDS {
                        client.set(format!("busy:{task}"), &*text).await.unwrap();
                    }
                });
            }
            let all = tasks.join_all();
            tokio::time::timeout(Duration::from_secs(60), all)
                .await
                .unwrap();
        })
        .await;
        let (held, sent) = ((TASKS * LENGTH) as u64, (TASKS * ROUNDS * LENGTH) as u64);
        println!("{} MiB, of {} MiB sent", grown / MIB, sent / MIB);
        assert!(grown <= held + SLACK, "{grown} bytes");
    });
    for (protocol, transaction) in [(Protocol::Resp3, true), (Protocol::Resp2, false)] {
        runtime.block_on(async {
            let client = Client::connect(quick(&server.url_for(protocol)))
                .await
                .unwrap();
            let mut pipeline = client.pipeline();
            pipeline.transaction(transaction);
            for n in 0..COMMANDS / 2 {
                pipeline.set(format!("key:{n:06}"), n);
                pipeline.get(format!("key:{n:06}"));
            }
            assert_eq!(pipeline.len() as u64, COMMANDS);
            // +OK and a number of six digits, and what the decoded ones take.
            let replies = COMMANDS / 2 * (5 + 12);
            let (grown, sum) = growth(async {
                let all: Vec<tidings::Value> = pipeline.execute().await.unwrap();
                all.len() as u64
            })
            .await;
            assert_eq!(sum, COMMANDS);
            let decoded = COMMANDS * size_of::<tidings::Value>() as u64;
            println!(
                "{protocol:?}, {transaction}: {} MiB, of {} MiB",
                grown / MIB,
                (replies + decoded) / MIB
            );
            assert!(grown <= 2 * replies + decoded + SLACK, "{grown} bytes");
        });
    }
}
