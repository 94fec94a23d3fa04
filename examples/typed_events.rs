//! Events as a type of one's own, published and received as JSON.
//!
//! ```text
//! cargo run -p tidings-examples --example typed_events -- redis://127.0.0.1:6379
//! ```
//!
//! listens, and in another window
//!
//! ```text
//! … redis://127.0.0.1:6379 place 17 49.90
//! … redis://127.0.0.1:6379 ship 17 'by bicycle'
//! ```
//!
//! publishes. What somebody else publishes to the channel need not be such an event: it is one error with the payload as it
//! came, and the next event follows.

use std::env;

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use tidings::{Client, Commands, ErrorKind, Event, Json};
use tokio::signal;

const CHANNEL: &str = "orders";

/// What happens to an order; as JSON: `{"placed":{"order":17,"total":49.9}}`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum OrderEvent {
    Placed { order: u64, total: f64 },
    Shipped { order: u64, carrier: String },
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let mut words = arguments.iter().map(String::as_str);
    let client = Client::connect(words.next().unwrap_or("redis://127.0.0.1:6379")).await?;
    let event = match words.collect::<Vec<_>>()[..] {
        [] => {
            return tokio::select! {
                outcome = listen(&client) => outcome,
                pressed = signal::ctrl_c() => Ok(pressed?),
            };
        }
        ["place", order, total] => OrderEvent::Placed {
            order: order.parse().context("the number of an order")?,
            total: total.parse().context("an amount")?,
        },
        ["ship", order, carrier] => OrderEvent::Shipped {
            order: order.parse().context("the number of an order")?,
            carrier: carrier.to_owned(),
        },
        _ => bail!("usage: typed_events [URL [place ORDER TOTAL | ship ORDER CARRIER]]"),
    };
    let receivers = client.publish(CHANNEL, Json(event)).await?;
    println!("published to {receivers}");
    Ok(())
}

async fn listen(client: &Client) -> anyhow::Result<()> {
    let mut events = client
        .subscribe(CHANNEL)
        .payload::<Json<OrderEvent>>()
        .await?;
    println!("listening");
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Message(message)) => match message.into_payload().into_inner() {
                OrderEvent::Placed { order, total } => println!("order {order}: {total:.2} in all"),
                OrderEvent::Shipped { order, carrier } => println!("order {order}: sent {carrier}"),
            },
            Ok(Event::Gap(gap)) => println!("events may be missing: {}", gap.cause()),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::Decode => {
                let payload = String::from_utf8_lossy(error.raw_payload().map_or(&[], |raw| raw));
                // `{:#}` says what was below, too: what is wrong with it.
                println!(
                    "passed over {payload}: {:#}",
                    anyhow::Error::from(error.clone())
                );
            }
            // Anything else is no single payload's fault.
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
