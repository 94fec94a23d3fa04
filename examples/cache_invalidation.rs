//! A cache in this process that is told what has changed on the server, and that trusts nothing after a gap.
//!
//! ```text
//! cargo run -p tidings-examples --example cache_invalidation -- redis://127.0.0.1:6379
//! get greeting
//! set greeting hello
//! ```
//!
//! Start it twice: what one of them sets, the other forgets, and reads again when it is next asked for it.
//!
//! Whoever writes a key publishes its name. Pub/Sub has no history, so a cache that was away for a while cannot know what
//! was published meanwhile. Tidings says so with a gap, which stands behind the loss and before the first message that came
//! after it: forget everything there, and nothing outdated stays. Until the gap comes, what is known may be outdated, as
//! long as the server cannot be heard; a dead connection is found within 10 seconds unless `Config` says otherwise.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{env, io, thread};

use anyhow::bail;
use tidings::{Client, Commands, Event, PubSub};
use tokio::sync::mpsc;

/// Where the names of changed keys are published.
const CHANGED: &str = "cache:changed";

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let url = env::args().nth(1);
    let url = url.as_deref().unwrap_or("redis://127.0.0.1:6379");
    let client = Client::connect(url).await?;
    // Subscribed before anything is read, so that no change falls between the two. With its own connection and
    // back-pressure, which is the default, it drops nothing however slow we are.
    let changes = client
        .pubsub()
        .channels(CHANGED)
        .payload::<String>()
        .ignore_subscribe_messages(true)
        .await?;
    let cache = Arc::new(Cache::new(client));
    println!("get KEY, or set KEY VALUE");
    tokio::select! {
        outcome = follow(changes, Arc::clone(&cache)) => outcome,
        outcome = answer(lines(), &cache) => outcome,
    }
}

/// Forgets what has changed.
async fn follow(mut changes: PubSub<String>, cache: Arc<Cache>) -> anyhow::Result<()> {
    while let Some(event) = changes.next().await {
        // An error would be that we may no longer subscribe, and would go on with an outdated cache.
        match event? {
            Event::Message(key) => {
                cache.forget(key.payload());
                println!("forgot {}", key.payload());
            }
            Event::Gap(gap) => {
                cache.forget_all();
                println!(
                    "forgot everything: changes may be missing ({})",
                    gap.cause()
                );
            }
            _ => {}
        }
    }
    bail!("changes come no more");
}

/// Does what is typed.
async fn answer(mut lines: mpsc::Receiver<String>, cache: &Cache) -> anyhow::Result<()> {
    while let Some(line) = lines.recv().await {
        let mut words = line.splitn(3, ' ');
        let outcome = match (words.next(), words.next(), words.next()) {
            (Some("get"), Some(key), None) => cache.get(key).await.map(|(value, from)| {
                println!("{key} = {} ({from})", value.as_deref().unwrap_or("nothing"));
            }),
            (Some("set"), Some(key), Some(value)) => cache.set(key, value).await,
            _ => {
                println!("get KEY, or set KEY VALUE");
                Ok(())
            }
        };
        if let Err(error) = outcome {
            println!("{:#}", anyhow::Error::from(error));
        }
    }
    Ok(())
}

/// Shared by as many tasks as you like.
struct Cache {
    client: Client,
    entries: Mutex<Entries>,
}

#[derive(Default)]
struct Entries {
    /// How many reads were begun.
    reads: u64,
    by_key: HashMap<String, Entry>,
}

enum Entry {
    /// The read of this number is on its way to the server.
    Reading(u64),
    /// What the server said, which may be that there is nothing.
    Known(Option<String>),
}

impl Cache {
    fn new(client: Client) -> Self {
        Self {
            client,
            entries: Mutex::default(),
        }
    }

    /// A value, and where it came from.
    async fn get(&self, key: &str) -> tidings::Result<(Option<String>, &'static str)> {
        let read = {
            let mut entries = self.entries();
            if let Some(Entry::Known(value)) = entries.by_key.get(key) {
                return Ok((value.clone(), "from the cache"));
            }
            entries.reads += 1;
            let read = entries.reads;
            entries.by_key.insert(key.to_owned(), Entry::Reading(read));
            read
        };
        let value: Option<String> = self.client.get(key).await?;
        // If the key was forgotten meanwhile, the value may be the one from before the change: do not keep it.
        let mut entries = self.entries();
        if let Some(entry) = entries.by_key.get_mut(key)
            && matches!(entry, Entry::Reading(latest) if *latest == read)
        {
            *entry = Entry::Known(value.clone());
        }
        Ok((value, "from the server"))
    }

    /// Writes, and tells every cache, this one too: both happen or neither.
    async fn set(&self, key: &str, value: &str) -> tidings::Result<()> {
        let mut both = self.client.pipeline();
        both.set(key, value).publish(CHANGED, key);
        both.execute().await
    }

    fn forget(&self, key: &str) {
        self.entries().by_key.remove(key);
    }

    fn forget_all(&self) {
        self.entries().by_key.clear();
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        // Nothing in here panics halfway through a change.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The lines that are typed. They are read by a thread, which the end of the program does not wait for.
fn lines() -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel(16);
    thread::spawn(move || {
        let lines = io::stdin().lines().map_while(Result::ok);
        for line in lines {
            if sender.blocking_send(line).is_err() {
                break;
            }
        }
    });
    receiver
}
