//! rustis: one stream for all names.

use futures_util::StreamExt;
use rustis::client::Client;

use super::{Assignment, Contestant, STEADY};
use crate::Result;
use crate::contestant::{Kind, current_thread, nothing_to_prepare};
use crate::drain::tally::Tally;
use crate::machine::Core;
use crate::measure::Outcome;

pub(super) const RUSTIS: Contestant = Contestant {
    name: "rustis",
    usage: "`create_pub_sub`, one `PubSubStream` with its budget of 8 MiB",
    package: Some("rustis"),
    kind: Kind::Peer,
    most: STEADY,
    core: Core::Last,
    prepare: nothing_to_prepare,
    run: |assignment| current_thread()?.block_on(drain(assignment)),
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
