//! A shop's stock in a cluster: many keys on many nodes in one go, and keys that change together or not at all.
//!
//! ```text
//! cargo run -p tidings-examples --example cluster_pipeline -- redis+cluster://127.0.0.1:7000 add apples 3 pears 5
//! … redis+cluster://127.0.0.1:7000 show apples pears plums
//! … redis+cluster://127.0.0.1:7000 sell apples 2
//! ```

use std::env;

use anyhow::{Context, bail};
use tidings::{ClusterClient, Commands};

const USAGE: &str = "usage: cluster_pipeline URL (add ITEM COUNT… | show ITEM… | sell ITEM COUNT)";

/// Keys with the same tag, which is what stands in braces, are in the same slot.
fn stock_of(item: &str) -> String {
    format!("{{item:{item}}}:stock")
}

fn sold_of(item: &str) -> String {
    format!("{{item:{item}}}:sold")
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let [url, what, rest @ ..] = &words[..] else {
        bail!(USAGE);
    };
    let cluster = ClusterClient::connect(*url).await?;
    match (*what, rest) {
        ("add", [_, _, ..]) if rest.len() % 2 == 0 => add(&cluster, rest).await,
        ("show", [_, ..]) => show(&cluster, rest).await,
        ("sell", [item, count]) => sell(&cluster, item, count.parse().context(USAGE)?).await,
        _ => bail!(USAGE),
    }
}

/// Each node gets its commands in one go, all nodes at a time. It is no transaction: one of them may fail alone.
async fn add(cluster: &ClusterClient, words: &[&str]) -> anyhow::Result<()> {
    let mut pipe = cluster.pipeline();
    for pair in words.chunks(2) {
        pipe.incrby(stock_of(pair[0]), pair[1].parse().context(USAGE)?);
    }
    // One result for each command, in the order of the commands.
    let results = pipe.execute_each().await?;
    for (pair, result) in words.chunks(2).zip(results) {
        match result {
            Ok(stock) => println!("{}: {}", pair[0], stock.as_integer().unwrap_or_default()),
            Err(error) => println!("{}: {:#}", pair[0], anyhow::Error::from(error)),
        }
    }
    Ok(())
}

async fn show(cluster: &ClusterClient, items: &[&str]) -> anyhow::Result<()> {
    let mut pipe = cluster.pipeline();
    for item in items {
        pipe.get(stock_of(item)).llen(sold_of(item));
    }
    let replies: Vec<Option<i64>> = pipe.execute().await?;
    for (item, replies) in items.iter().zip(replies.chunks(2)) {
        let [stock, sales] = [replies[0], replies[1]].map(Option::unwrap_or_default);
        println!("{item}: {stock}, sales: {sales}");
    }
    Ok(())
}

/// Only if there are enough, and both keys at once. Two who sell at the same time do not sell the same apple: the one
/// whose key was changed is run again.
async fn sell(cluster: &ClusterClient, item: &str, count: i64) -> anyhow::Result<()> {
    let (stock, sold) = (&stock_of(item), &sold_of(item));
    let left = cluster
        .transaction_on(stock)
        .transaction(stock, |watch| async move {
            let there: Option<i64> = watch.get(stock).await?;
            let left = there.unwrap_or_default() - count;
            if left < 0 {
                return Ok(None);
            }
            let mut both = watch.multi();
            both.decrby(stock, count).rpush(sold, count);
            both.execute::<()>().await?;
            Ok(Some(left))
        });
    match left.await? {
        Some(left) => println!("sold {count}, left: {left}"),
        None => println!("there are not enough"),
    }
    Ok(())
}
