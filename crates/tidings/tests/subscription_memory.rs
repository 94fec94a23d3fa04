//! A hundred thousand light subscribers on one connection. Alone in its file, because the memory is that of the whole
//! process.
#![cfg(target_os = "linux")]

mod faults;
mod footprint;
mod support;

use std::time::Instant;

use faults::{quick_via, until};
use footprint::resident;
use support::Case;
use tidings::{Client, Commands, Subscription};
use tidings_testkit::{Protocol, Proxy, Server};
use tokio::task::JoinSet;

const FEW: usize = 10_000;
const MANY: usize = 100_000;

/// Subscribers that are made at once: what is under way takes memory too.
const AT_ONCE: usize = 1_000;

/// What a subscriber of one channel may take, with its names, its queue, and its part of the connection's tables.
const BYTES_EACH: u64 = 1_000;

async fn subscribe(client: &Client, from: usize, to: usize) -> Vec<Subscription> {
    let mut all = Vec::with_capacity(to - from);
    for from in (from..to).step_by(AT_ONCE) {
        let mut making = JoinSet::new();
        for number in from..from + AT_ONCE {
            let client = client.clone();
            making.spawn(async move { client.subscribe(format!("channel:{number}")).await });
        }
        while let Some(made) = making.join_next().await {
            all.push(made.expect("no panic").expect("it subscribes"));
        }
    }
    all
}

#[test]
fn sb_03_a_hundred_thousand_take_ten_times_what_ten_thousand_do_and_few_bytes_each() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let case = Case {
        server: Server::start(),
        protocol: Protocol::Resp3,
    };
    runtime.block_on(async {
        let proxy = Proxy::to(&case.server);
        let client = Client::connect(quick_via(&case, &proxy)).await.unwrap();
        // What is made once is made.
        drop(subscribe(&client, 0, AT_ONCE).await);
        until("they are gone", || case.server.cli(["PUBSUB", "CHANNELS"]).is_empty()).await;

        let (sent, begin) = (proxy.bytes_to_server(), Instant::now());
        drop(subscribe(&client, MANY, MANY + FEW).await);
        until("they are gone", || case.server.cli(["PUBSUB", "CHANNELS"]).is_empty()).await;
        let (few, few_took) = (proxy.bytes_to_server() - sent, begin.elapsed());

        let (before, sent, begin) = (resident(), proxy.bytes_to_server(), Instant::now());
        let all = subscribe(&client, 2 * MANY, 3 * MANY).await;
        let each = resident().saturating_sub(before) / MANY as u64;
        assert_eq!(client.publish(format!("channel:{}", 2 * MANY), "x").await.unwrap(), 1);
        drop(all);
        until("they are gone", || case.server.cli(["PUBSUB", "CHANNELS"]).is_empty()).await;
        let (many, many_took) = (proxy.bytes_to_server() - sent, begin.elapsed());
        println!("{each} bytes each; {FEW} in {few_took:?}, {MANY} in {many_took:?}; {few} and {many} bytes sent");
        assert!(each <= BYTES_EACH, "{each} bytes each");
        assert!(many <= few * 11, "{many} bytes for {MANY}, {few} for {FEW}");
    });
}
