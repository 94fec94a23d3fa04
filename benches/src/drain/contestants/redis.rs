//! redis-rs, in the two ways its documentation offers for asynchronous Pub/Sub.

use futures_util::StreamExt;
use redis::{AsyncConnectionConfig, Client, PushInfo, PushKind, Value};
use tokio::sync::mpsc;

use super::{Assignment, Contestant, STEADY};
use crate::Result;
use crate::contestant::{Kind, current_thread, nothing_to_prepare};
use crate::drain::tally::Tally;
use crate::machine::Core;
use crate::measure::Outcome;

pub(super) const REDIS: Contestant = Contestant {
    name: "redis",
    usage: "`get_async_pubsub`, `into_on_message` stream, unbounded queue",
    package: Some("redis"),
    kind: Kind::Peer,
    most: STEADY,
    core: Core::Last,
    prepare: nothing_to_prepare,
    run: |assignment| current_thread()?.block_on(drain_stream(assignment)),
};

pub(super) const REDIS_PUSH: Contestant = Contestant {
    name: "redis-push",
    usage: "multiplexed connection, push sender into an unbounded channel",
    package: Some("redis"),
    kind: Kind::Peer,
    most: STEADY,
    core: Core::Last,
    prepare: nothing_to_prepare,
    run: |assignment| current_thread()?.block_on(drain_pushes(assignment)),
};

async fn drain_stream(assignment: &Assignment) -> Result<Outcome> {
    let mut pubsub = client(assignment)?.get_async_pubsub().await?;
    pubsub.subscribe(assignment.shape.channels()).await?;
    let patterns = assignment.shape.patterns();
    if !patterns.is_empty() {
        pubsub.psubscribe(patterns).await?;
    }
    let mut tally = Tally::subscribed();
    let mut messages = pubsub.into_on_message();
    while let Some(message) = messages.next().await {
        if !tally.take(message.get_payload_bytes()) {
            return Ok(tally.finish());
        }
    }
    Err("the stream broke off".into())
}

async fn drain_pushes(assignment: &Assignment) -> Result<Outcome> {
    let (sender, mut pushes) = mpsc::unbounded_channel();
    let config = AsyncConnectionConfig::new().set_push_sender(sender);
    let mut connection = client(assignment)?
        .get_multiplexed_async_connection_with_config(&config)
        .await?;
    connection.subscribe(assignment.shape.channels()).await?;
    let patterns = assignment.shape.patterns();
    if !patterns.is_empty() {
        connection.psubscribe(patterns).await?;
    }
    let mut tally = Tally::subscribed();
    while let Some(PushInfo { kind, data }) = pushes.recv().await {
        if !matches!(kind, PushKind::Message | PushKind::PMessage) {
            continue;
        }
        let Some(Value::BulkString(payload)) = data.last() else {
            return Err("a message without a payload".into());
        };
        if !tally.take(payload) {
            return Ok(tally.finish());
        }
    }
    Err("the stream broke off".into())
}

fn client(assignment: &Assignment) -> Result<Client> {
    Ok(Client::open(format!(
        "redis://127.0.0.1:{}/?protocol=resp3",
        assignment.port
    ))?)
}
