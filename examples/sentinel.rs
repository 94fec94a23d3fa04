//! Heartbeats through a primary that sentinels watch over: they go on when another server becomes the primary.
//!
//! ```text
//! cargo run -p tidings-examples --example sentinel -- redis+sentinel://127.0.0.1:26379,127.0.0.1:26380/mymaster
//! ```
//!
//! Kill the primary, or have `redis-cli -p 26379 sentinel failover mymaster` change it, and see what comes of the beats. What
//! is special about it is the URL: it names the sentinels, and what they call the primary.

use std::env;
use std::time::Duration;

use anyhow::bail;
use tidings::{Client, Commands, Event, PubSub};
use tokio::{signal, time};

const CHANNEL: &str = "heartbeats";

/// Between two beats.
const PACE: Duration = Duration::from_millis(100);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Some(url) = env::args().nth(1) else {
        bail!("usage: sentinel redis+sentinel://HOST:PORT,…/NAME");
    };
    let client = Client::connect(url).await?;
    // Both are connected to the primary, and leave it for another one at a sentinel's first word.
    let mut pubsub = client.pubsub().channels(CHANNEL).await?;
    println!("listening");
    tokio::select! {
        () = beat(&client) => {}
        ended = listen(&mut pubsub) => ended?,
        pressed = signal::ctrl_c() => pressed?,
    }
    pubsub.close().await?;
    println!("stopped");
    Ok(())
}

/// Publishes 1, 2, 3, …; one that fails is left out, as the next one says the same.
async fn beat(client: &Client) {
    let mut pace = time::interval(PACE);
    for number in 1u64.. {
        pace.tick().await;
        if let Err(error) = client.publish(CHANNEL, number).await {
            println!("beat {number}: {:#}", anyhow::Error::from(error));
        }
    }
}

/// Says when the first beat comes, and when the first one comes after a gap.
async fn listen(pubsub: &mut PubSub) -> anyhow::Result<()> {
    let mut heard = None;
    while let Some(event) = pubsub.next().await {
        match event? {
            Event::Message(message) => {
                let number: u64 = message.text().parse()?;
                if heard.is_none() {
                    println!("heard beat {number}");
                }
                heard = Some(number);
            }
            Event::Gap(gap) => {
                println!("beats may be missing: {}", gap.cause());
                heard = None;
            }
            _ => {}
        }
    }
    bail!("the subscriber has ended");
}
