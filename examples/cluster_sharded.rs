//! Shard channels of a cluster, which are read wherever their slots are, until Ctrl-C.
//!
//! ```text
//! cargo run -p tidings-examples --example cluster_sharded -- redis+cluster://127.0.0.1:7000 room:1 room:2
//! ```
//!
//! listens, and in another window
//!
//! ```text
//! … redis+cluster://127.0.0.1:7000 --say room:1 'good morning'
//! ```
//!
//! publishes. What is published to a shard channel goes to one shard only, so that a cluster of twice as many nodes carries
//! twice as many messages. Move a slot or kill a primary meanwhile: the reader tells of it and goes on.

use std::env;

use anyhow::bail;
use tidings::{ClusterClient, Commands, Event, Gap};
use tokio::signal;

const USAGE: &str = "usage: cluster_sharded URL (NAME… | --say NAME TEXT)";

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [url, rest @ ..] = &arguments[..] else {
        bail!(USAGE);
    };
    let cluster = ClusterClient::connect(url.as_str()).await?;
    match rest {
        [say, name, text] if say == "--say" => {
            // How many have received it on the node that it went to: not those who read from its replicas.
            println!("received by {}", cluster.spublish(name, text).await?);
            Ok(())
        }
        [first, ..] if !first.starts_with("--") => listen(&cluster, rest).await,
        _ => bail!(USAGE),
    }
}

async fn listen(cluster: &ClusterClient, names: &[String]) -> anyhow::Result<()> {
    // A connection for each node that has one of them; one call for all. With `read_from_replicas(true)` it would be
    // replicas.
    let rooms = cluster.sharded_pubsub().channels(names);
    let mut rooms = rooms.ignore_subscribe_messages(true).await?;
    println!("listening");
    loop {
        let event = tokio::select! {
            event = rooms.next() => event,
            pressed = signal::ctrl_c() => {
                pressed?;
                break;
            }
        };
        match event {
            Some(Ok(Event::Message(message))) => {
                println!("{}: {}", message.channel_str(), message.text());
            }
            // This is the place to read again what the messages are about, if that is stored somewhere.
            Some(Ok(Event::Gap(gap))) => println!("{}", shown(&gap)),
            Some(Ok(_)) => {}
            // A name that may no longer be subscribed, for instance. The others go on.
            Some(Err(error)) => println!("{:#}", anyhow::Error::from(error)),
            None => bail!("the subscriber has ended"),
        }
    }
    rooms.close().await?;
    println!("stopped");
    Ok(())
}

fn shown(gap: &Gap) -> String {
    let names = gap.names().map(String::from_utf8_lossy);
    let names = names.collect::<Vec<_>>().join(", ");
    format!("messages of {names} may be missing: {}", gap.cause())
}
