//! rustis: one stream for all names.

use futures_util::StreamExt;
use rustis::client::Client;

use super::{Assignment, Contestant, STEADY, current_thread, nothing_to_prepare};
use crate::Result;
use crate::machine::Core;
use crate::measure::{Outcome, Tally};

pub(super) const RUSTIS: Contestant = Contestant {
    name: "rustis",
    usage: "`create_pub_sub`, one `PubSubStream` with its budget of 8 MiB",
    package: Some("rustis"),
    most_messages: STEADY,
    core: Core::Last,
    prepare: nothing_to_prepare,
    drain: |assignment| current_thread()?.block_on(drain(assignment)),
};

async fn drain(assignment: &Assignment) -> Result<Outcome> {
    let client = Client::connect(format!("redis://127.0.0.1:{}", assignment.port)).await?;
    let mut messages = client.create_pub_sub();
    messages.subscribe(assignment.shape.channels()).await?;
    let patterns = assignment.shape.patterns();
    if !patterns.is_empty() {
        messages.psubscribe(patterns).await?;
    }
    let mut tally = Tally::subscribed();
    while let Some(message) = messages.next().await {
        if !tally.take(message?.payload()) {
            return Ok(tally.finish());
        }
    }
    Err("the stream broke off".into())
}
