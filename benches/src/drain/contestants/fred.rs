//! fred: messages come through a broadcast ring that forgets the oldest when it is full.

use fred::prelude::*;
use fred::types::RespVersion;
use tokio::sync::broadcast::error::RecvError;

use super::{Assignment, Contestant, STEADY};
use crate::Result;
use crate::contestant::{Kind, current_thread, nothing_to_prepare};
use crate::drain::tally::Tally;
use crate::machine::Core;
use crate::measure::Outcome;

pub(super) const FRED: Contestant = Contestant {
    name: "fred",
    usage: "`SubscriberClient`, `message_rx`, a ring for the whole run instead of 32, to lose nothing",
    package: Some("fred"),
    kind: Kind::Peer,
    most: STEADY,
    core: Core::Last,
    prepare: nothing_to_prepare,
    run: |assignment| current_thread()?.block_on(drain(assignment)),
};

async fn drain(assignment: &Assignment) -> Result<Outcome> {
    let config = Config {
        version: RespVersion::RESP3,
        server: ServerConfig::new_centralized("127.0.0.1", assignment.port),
        ..Config::default()
    };
    // Small messages come faster than its tasks take turns: on one thread, a ring of half the run
    // loses a third of it.
    let ring = usize::try_from(assignment.count)? + 1;
    let client = Builder::from_config(config)
        .with_performance_config(|performance| performance.broadcast_channel_capacity = ring)
        .build_subscriber_client()?;
    client.init().await?;
    let mut messages = client.message_rx();
    client.subscribe(assignment.shape.channels()).await?;
    let patterns = assignment.shape.patterns();
    if !patterns.is_empty() {
        client.psubscribe(patterns).await?;
    }
    let mut tally = Tally::subscribed();
    loop {
        match messages.recv().await {
            Ok(message) => {
                if !tally.take(message.value.as_bytes().unwrap_or_default()) {
                    return Ok(tally.finish());
                }
            }
            // Lost, and shown as such, since they are not counted.
            Err(RecvError::Lagged(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
