//! Who takes part in `fanout`: many subscribers, each a task, on one current_thread runtime.

use ::fred::prelude::*;
use ::fred::types::RespVersion;
use ::tidings::{Client, Event, Subscription};
use futures_util::future::try_join_all;
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinHandle;

use super::Shape;
use crate::Result;
use crate::contestant::{self, Kind, current_thread, nothing_to_prepare};
use crate::drain::shape::{Block, GATE};
use crate::drain::tally::{Count, Tally};
use crate::drain::wire::Protocol;
use crate::machine::Core;
use crate::measure::Outcome;

type Contestant = contestant::Contestant<Shape>;
type Assignment = contestant::Assignment<Shape>;

pub(super) const ALL: &[Contestant] = &[
    Contestant {
        name: "tidings",
        usage: "a `Subscription` in a task for each",
        package: Some("tidings"),
        kind: Kind::Tidings,
        most: 20_000_000,
        core: Core::Last,
        prepare: nothing_to_prepare,
        run: |assignment| current_thread()?.block_on(tidings(assignment)),
    },
    Contestant {
        name: "fred",
        usage: "one `SubscriberClient`, `message_rx` for each, a ring for the whole run",
        package: Some("fred"),
        kind: Kind::Peer,
        most: 4_000_000,
        core: Core::Last,
        prepare: nothing_to_prepare,
        run: |assignment| current_thread()?.block_on(fred(assignment)),
    },
];

async fn tidings(assignment: &Assignment) -> Result<Outcome> {
    let Assignment { port, shape, .. } = *assignment;
    let url = format!("redis://127.0.0.1:{port}/?protocol=3");
    let client = Client::connect(url.as_str()).await?;
    let channels = shape.stream().channels();
    let wanted = channels.iter().cycle().take(shape.subscribers);
    let subscribing = wanted.map(|channel| client.subscribe([channel.clone()]).into_future());
    let subscriptions = try_join_all(subscribing).await?;
    let mut tally = Tally::subscribed();
    let readers = subscriptions.into_iter().map(|one| tokio::spawn(read(one)));
    let readers: Vec<_> = readers.collect();
    let _gate = client.subscribe(GATE).await?;
    add_all(&mut tally, assignment, readers).await?;
    Ok(tally.finish())
}

async fn read(mut subscription: Subscription) -> Result<Count> {
    let mut count = Count::default();
    while let Some(event) = subscription.next().await {
        // A gap is loss, and shown as such, since what it stands for is not counted.
        let Event::Message(message) = event? else {
            continue;
        };
        if !count.take(message.payload()) {
            return Ok(count);
        }
    }
    Err("the stream broke off".into())
}

/// Waits for all readers; nobody may have got more than was sent to its channel.
async fn add_all(
    tally: &mut Tally,
    assignment: &Assignment,
    readers: Vec<JoinHandle<Result<Count>>>,
) -> Result<()> {
    let once = Shape::read_once(assignment);
    let shares = Block::new(once.shape, Protocol::Resp3).shares(once.shape, once.count);
    for (reader, share) in readers.into_iter().zip(shares.iter().cycle()) {
        let count = reader.await??;
        if count.messages > *share {
            return Err(format!("{} messages of {share}", count.messages).into());
        }
        tally.add(&count);
    }
    Ok(())
}

async fn fred(assignment: &Assignment) -> Result<Outcome> {
    let Assignment { port, shape, .. } = *assignment;
    let config = Config {
        version: RespVersion::RESP3,
        server: ServerConfig::new_centralized("127.0.0.1", port),
        ..Config::default()
    };
    let ring = usize::try_from(Shape::read_once(assignment).count)? + 1;
    let client = Builder::from_config(config)
        .with_performance_config(|performance| performance.broadcast_channel_capacity = ring)
        .build_subscriber_client()?;
    client.init().await?;
    client.subscribe(shape.stream().channels()).await?;
    let mut tally = Tally::subscribed();
    let readers: Vec<_> = (0..shape.subscribers)
        .map(|_| {
            let mut messages = client.message_rx();
            tokio::spawn(async move {
                let mut count = Count::default();
                loop {
                    match messages.recv().await {
                        Ok(message) => {
                            if !count.take(message.value.as_bytes().unwrap_or_default()) {
                                return Ok(count);
                            }
                        }
                        // Lost, and shown as such, since they are not counted.
                        Err(RecvError::Lagged(_)) => {}
                        Err(error) => return Err(error.into()),
                    }
                }
            })
        })
        .collect();
    client.subscribe(GATE).await?;
    add_all(&mut tally, assignment, readers).await?;
    Ok(tally.finish())
}
