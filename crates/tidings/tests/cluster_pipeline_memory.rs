//! The memory of this process under a long pipeline over a cluster. Alone in its file, because it is that of the whole
//! process.
#![cfg(target_os = "linux")]

mod footprint;

use footprint::{MIB, growth};
use tidings::ClusterClient;
use tidings_testkit::{Cluster, Protocol};

const COMMANDS: u64 = 1_000_000;

/// What is noted of each command: in which group its reply is, and where it lies.
const NOTED: u64 = COMMANDS * (2 + 16);

/// What allocators, buffers of the connections and threads may take beside commands and replies.
const SLACK: u64 = 36 * MIB;

#[test]
fn cp_01_a_million_commands_take_no_more_memory_than_they_and_their_replies_have_bytes() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let cluster = Cluster::start();
    for protocol in Protocol::ALL {
        runtime.block_on(async {
            let url = cluster.url_for(protocol);
            let client = ClusterClient::connect(url.as_str()).await;
            let client = client.expect("the cluster takes connections");
            let mut pipeline = client.pipeline();
            // No two that lie behind each other go to the same node, as a rule.
            for n in 0..COMMANDS / 2 {
                pipeline.set(format!("key:{n:06}"), n);
                pipeline.get(format!("key:{:06}", n / 2));
            }
            assert_eq!(pipeline.len() as u64, COMMANDS);
            // +OK and a number of six digits, and what the decoded ones take.
            let replies = COMMANDS / 2 * (5 + 12);
            let (grown, count) = growth(async {
                let all: Vec<tidings::Value> = pipeline.execute().await.expect("all are run");
                all.len() as u64
            })
            .await;
            assert_eq!(count, COMMANDS);
            let decoded = COMMANDS * size_of::<tidings::Value>() as u64;
            println!(
                "{protocol:?}: {} MiB, of {} MiB",
                grown / MIB,
                (replies + decoded + NOTED) / MIB
            );
            let most = 2 * replies + decoded + NOTED + SLACK;
            assert!(grown <= most, "{grown} bytes");
        });
    }
}
