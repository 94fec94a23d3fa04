//! Subscribers of all kinds, each with its books.

use std::future::poll_fn;
use std::pin::pin;
use std::thread;

use futures_core::Stream;
use tidings::{ClusterClient, Event, Result, blocking};

use crate::ledger::Ledger;

/// A subscriber that somebody reads all the time.
pub(crate) struct Reader {
    pub(crate) name: &'static str,
    pub(crate) ledger: Ledger,
    /// Whether it has shard channels.
    pub(crate) is_sharded: bool,
    /// What it reads from replicas has come over the bus of the cluster.
    pub(crate) from_replicas: bool,
}

/// Subscribers of shard channels and of channels; `shards` and `channels` are their names.
pub(crate) async fn all(
    primaries: &ClusterClient,
    replicas: &ClusterClient,
    threads: blocking::ClusterClient,
    shards: &[String],
    channels: &[String],
) -> Vec<Reader> {
    let mut readers = Vec::new();
    for (client, from_replicas) in [(primaries, false), (replicas, true)] {
        let sharded = client.sharded_pubsub().channels(shards);
        let sharded = sharded.ignore_subscribe_messages(true).await;
        readers.push(Reader::of(
            if from_replicas {
                "sharded, of replicas"
            } else {
                "sharded"
            },
            sharded.expect("it opens"),
            shards,
            true,
            from_replicas,
        ));
        let subscription = client.ssubscribe(shards).await.expect("it opens");
        readers.push(Reader::of(
            if from_replicas {
                "shard subscription, of replicas"
            } else {
                "shard subscription"
            },
            subscription,
            shards,
            true,
            from_replicas,
        ));
        let plain = client.pubsub().channels(channels);
        let plain = plain.ignore_subscribe_messages(true).await;
        readers.push(Reader::of(
            if from_replicas {
                "plain, of a replica"
            } else {
                "plain"
            },
            plain.expect("it opens"),
            channels,
            false,
            from_replicas,
        ));
    }
    let subscription = primaries.subscribe(channels).await.expect("it opens");
    readers.push(Reader::of(
        "subscription",
        subscription,
        channels,
        false,
        false,
    ));
    readers.push(on_a_thread(threads, shards.to_vec()).await);
    readers
}

impl Reader {
    fn of(
        name: &'static str,
        stream: impl Stream<Item = Result<Event>> + Send + 'static,
        channels: &[String],
        is_sharded: bool,
        from_replicas: bool,
    ) -> Self {
        let ledger = Ledger::new(channels);
        let books = ledger.clone();
        tokio::spawn(async move {
            let mut stream = pin!(stream);
            while let Some(event) = poll_fn(|cx| stream.as_mut().poll_next(cx)).await {
                books.enter(event);
            }
            books.end();
        });
        Self {
            name,
            ledger,
            is_sharded,
            from_replicas,
        }
    }
}

async fn on_a_thread(client: blocking::ClusterClient, shards: Vec<String>) -> Reader {
    let ledger = Ledger::new(&shards);
    let books = ledger.clone();
    let (tell, told) = tokio::sync::oneshot::channel();
    thread::spawn(move || {
        let sharded = client.sharded_pubsub().channels(shards);
        let sharded = sharded.ignore_subscribe_messages(true).open();
        let sharded = sharded.expect("it opens");
        let _ = tell.send(());
        // It lives as long as the process does.
        for event in sharded {
            books.enter(event);
        }
        books.end();
    });
    told.await.expect("it opens");
    Reader {
        name: "sharded, on a thread",
        ledger,
        is_sharded: true,
        from_replicas: false,
    }
}
