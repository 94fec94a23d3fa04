//! Tidings: a stream on a connection of its own, on either runtime.

use tidings::{Client, Event};
use tokio::runtime::Builder;

use super::{Assignment, Contestant, QUICK};
use crate::Result;
use crate::contestant::{Kind, current_thread, nothing_to_prepare};
use crate::drain::tally::Tally;
use crate::machine::Core;
use crate::measure::Outcome;

pub(super) const TIDINGS: Contestant = Contestant {
    name: "tidings",
    usage: "`client.pubsub()`, stream, current_thread runtime",
    package: Some("tidings"),
    kind: Kind::Tidings,
    most: QUICK,
    core: Core::Last,
    prepare: nothing_to_prepare,
    run: |assignment| current_thread()?.block_on(drain(assignment)),
};

pub(super) const TIDINGS_MT: Contestant = Contestant {
    name: "tidings-mt",
    usage: "the same, multi_thread runtime of two workers, not pinned",
    package: Some("tidings"),
    kind: Kind::Tidings,
    most: QUICK,
    core: Core::Any,
    prepare: nothing_to_prepare,
    run: drain_on_two_threads,
};

pub(super) const TIDINGS_BLOCKING: Contestant = Contestant {
    name: "tidings-blocking",
    usage: "`blocking::PubSub`, iterator",
    package: Some("tidings"),
    kind: Kind::Tidings,
    most: QUICK,
    core: Core::Last,
    prepare: nothing_to_prepare,
    run: drain_in_a_thread,
};

fn drain_in_a_thread(assignment: &Assignment) -> Result<Outcome> {
    let url = format!("redis://127.0.0.1:{}/?protocol=3", assignment.port);
    let client = tidings::blocking::Client::connect(url.as_str())?;
    let pubsub = client
        .pubsub()
        .channels(assignment.shape.channels())
        .patterns(assignment.shape.patterns())
        .ignore_subscribe_messages(true)
        .open()?;
    let mut tally = Tally::subscribed();
    for event in pubsub {
        let Event::Message(message) = event? else {
            continue;
        };
        if !tally.take(message.payload()) {
            return Ok(tally.finish());
        }
    }
    Err("the stream broke off".into())
}

fn drain_on_two_threads(assignment: &Assignment) -> Result<Outcome> {
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let assignment = *assignment;
    // On a worker, as a program's own tasks are, not on the thread that waits for it.
    let task = runtime.spawn(async move { drain(&assignment).await });
    runtime.block_on(task)?
}

async fn drain(assignment: &Assignment) -> Result<Outcome> {
    let url = format!("redis://127.0.0.1:{}/?protocol=3", assignment.port);
    let client = Client::connect(url.as_str()).await?;
    let mut pubsub = client
        .pubsub()
        .channels(assignment.shape.channels())
        .patterns(assignment.shape.patterns())
        .ignore_subscribe_messages(true)
        .await?;
    let mut tally = Tally::subscribed();
    while let Some(event) = pubsub.next().await {
        // A gap is loss, and shown as such, since what it stands for is not counted.
        let Event::Message(message) = event? else {
            continue;
        };
        if !tally.take(message.payload()) {
            return Ok(tally.finish());
        }
    }
    Err("the stream broke off".into())
}
