//! What is done to keys, line by line as it happens, on one server or on all nodes of a cluster, until Ctrl-C.
//!
//! ```text
//! cargo run -p tidings-examples --example keyspace_events -- redis://127.0.0.1:6379 'session:*' expired del
//! cargo run -p tidings-examples --example keyspace_events -- redis+cluster://127.0.0.1:7000 'session:*'
//! ```
//!
//! The operations are named as the servers call them; without any all are shown. Servers send such events only if they are
//! told to, which this program does.

use std::env;

use anyhow::bail;
use tidings::{Client, ClusterClient, KeyspaceEvent, KeyspaceEvents, Notifications};
use tokio::signal;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = env::args().skip(1);
    let Some(url) = arguments.next() else {
        bail!("usage: keyspace_events URL [PATTERN [OPERATION…]]");
    };
    let pattern = arguments.next().unwrap_or_else(|| "*".to_owned());
    let operations: Vec<String> = arguments.collect();

    let mut events = if url.contains("+cluster") {
        // A node sends what is done to its own keys and to no others: there is a connection to each primary.
        ClusterClient::connect(url).await?.keyspace_events(pattern)
    } else {
        Client::connect(url).await?.keyspace_events(pattern)
    };
    if !operations.is_empty() {
        events = events.operations(operations);
    }
    let mut events = events.notifications(Notifications::Enable).await?;
    println!("watching");
    tokio::select! {
        () = show(&mut events) => bail!("there are no more events"),
        pressed = signal::ctrl_c() => pressed?,
    }
    println!("stopped");
    Ok(())
}

async fn show(events: &mut KeyspaceEvents) {
    while let Some(event) = events.next().await {
        match event {
            Ok(KeyspaceEvent::Key(event)) => {
                println!("{} {}", event.operation_str(), event.key_str());
            }
            // Whoever keeps a copy of the keys has to read them again now: all of them, or those of one node.
            Ok(KeyspaceEvent::Gap(gap)) => println!("events may be missing: {}", gap.cause()),
            Ok(_) => {}
            // A server that sends no events any more, for instance. The others go on.
            Err(error) => println!("{:#}", anyhow::Error::from(error)),
        }
    }
}
