//! Counts what comes on many channels and patterns in one place, until Ctrl-C.
//!
//! ```text
//! cargo run -p tidings-examples --example receiver -- redis://127.0.0.1:6379 news weather 'user:*'
//! ```
//!
//! A [`Receiver`] has a sender for each channel and each pattern (a name with `*`, `?` or `[` in it). Senders are given to
//! clients, of which there may be several, and come and go while one task reads what comes for all of them.

use std::collections::BTreeMap;
use std::env;

use anyhow::bail;
use tidings::{Client, Received, Receiver};
use tokio::signal;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = env::args().skip(1);
    let Some(url) = arguments.next() else {
        bail!("usage: receiver URL NAME…");
    };
    let client = Client::connect(url).await?;
    let receiver = Receiver::new();
    // The reader takes the receiver, and a handle makes senders and stops it from here.
    let handle = receiver.handle();
    let mut counting = tokio::spawn(count(receiver));

    for name in arguments {
        if name.contains(['*', '?', '[']) {
            client.psubscribe(handle.pattern(name)).await?;
        } else {
            client.subscribe(handle.channel(name)).await?;
        }
    }
    let (channels, patterns) = (handle.channels().len(), handle.patterns().len());
    println!("channels: {channels}, patterns: {patterns}");

    let counts = tokio::select! {
        pressed = signal::ctrl_c() => {
            pressed?;
            // What has come is still read, and nothing after that.
            handle.stop();
            counting.await?
        }
        // It does not end by itself, unless the configuration limits the attempts to connect.
        ended = &mut counting => ended?,
    };
    for (sender, count) in counts {
        println!("{sender}: {count}");
    }
    Ok(())
}

/// Reads until the receiver is stopped; how many messages came for each sender.
async fn count(mut receiver: Receiver) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    while let Some(received) = receiver.next().await {
        match received {
            Ok(Received::Message(sender, message)) => {
                println!("{} in {}", message.text(), message.channel_str());
                *counts.entry(sender.to_string()).or_default() += 1;
            }
            Ok(Received::Gap(gap)) => {
                let names = gap.names().map(String::from_utf8_lossy);
                let names = names.collect::<Vec<_>>().join(", ");
                println!("from here on the counts are too low, perhaps: {names}");
            }
            Ok(_) => {}
            // A name that may no longer be subscribed, for instance. The others go on.
            Err(error) => println!("{:#}", anyhow::Error::from(error)),
        }
    }
    counts
}
