//! A worker that handlers tell when there are jobs.
//!
//! ```text
//! cargo run -p tidings-examples --example job_signals -- redis://127.0.0.1:6379
//! ```
//!
//! works, and in another window
//!
//! ```text
//! … redis://127.0.0.1:6379 add 'write a letter'
//! … redis://127.0.0.1:6379 tell pause
//! … redis://127.0.0.1:6379 tell resume
//! ```
//!
//! The jobs themselves are in a list, where they wait as long as it takes. What is published is only the signal to look there:
//! it may get lost without harm, since a gap makes the worker look as well. (For jobs that several kinds of workers share,
//! or that must survive a worker that dies with one, look at streams and their consumer groups.)

use std::env;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::bail;
use tidings::{Client, Commands, PubSub, RunOptions};
use tokio::sync::Notify;
use tokio::{signal, time};

/// The list of jobs, and where it is said that there is a new one.
const JOBS: &str = "jobs";
const NEW: &str = "jobs:new";

/// Where workers are told what to do.
const CONTROL: &str = "jobs:control";

/// How long a worker waits that could not ask for a job.
const PAUSE: Duration = Duration::from_secs(1);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let mut words = arguments.iter().map(String::as_str);
    let client = Client::connect(words.next().unwrap_or("redis://127.0.0.1:6379")).await?;
    match words.collect::<Vec<_>>()[..] {
        [] => run(client).await,
        ["add", job] => {
            // Both or neither, and the job before its signal.
            let mut both = client.pipeline();
            both.rpush(JOBS, job).publish(NEW, "");
            let (waiting, told): (i64, i64) = both.execute().await?;
            println!("jobs: {waiting}, workers told: {told}");
            Ok(())
        }
        ["tell", what] => {
            println!("workers told: {}", client.publish(CONTROL, what).await?);
            Ok(())
        }
        _ => bail!("usage: job_signals [URL [add JOB | tell pause|resume]]"),
    }
}

async fn run(client: Client) -> anyhow::Result<()> {
    let worker = Arc::new(Worker::default());
    let pubsub = listen(&client, &worker).await?;
    // From here on the handlers run in the background. An error of one of them, or any other, does not end that.
    let options = RunOptions::new().on_error(|error, _stopper| {
        println!("{:#}", anyhow::Error::from(error));
    });
    let signals = pubsub.spawn_with(options)?;
    println!("working");
    tokio::select! {
        () = worker.work(&client) => {}
        ended = signals.join(None) => {
            ended?;
            bail!("signals come no more");
        }
        pressed = signal::ctrl_c() => pressed?,
    }
    // A handler that is at work comes to its end.
    let mut pubsub = signals.stop().await?;
    pubsub.close().await?;
    println!("stopped");
    Ok(())
}

/// Handlers run while the subscriber is read, one after the other. So they only say what there is to do, and leave the
/// doing to somebody else.
async fn listen(client: &Client, worker: &Arc<Worker>) -> tidings::Result<PubSub> {
    let mut pubsub = client.pubsub().await?;

    let told = Arc::clone(worker);
    pubsub
        .subscribe_with(NEW, move |_signal| told.look.notify_one())
        .await?;

    let told = Arc::clone(worker);
    pubsub
        .subscribe_with(CONTROL, move |message| {
            match &*message.text() {
                "pause" => told.pause(true),
                "resume" => told.pause(false),
                // What a handler returns as an error goes to `on_error`.
                other => return Err(format!("nobody knows how to {other:?}")),
            }
            Ok(())
        })
        .await?;

    let told = Arc::clone(worker);
    pubsub.on_gap(move |gap| {
        println!("signals may be missing: {}", gap.cause());
        told.look.notify_one();
    });
    Ok(pubsub)
}

#[derive(Default)]
struct Worker {
    look: Notify,
    paused: AtomicBool,
}

impl Worker {
    fn pause(&self, paused: bool) {
        println!("{}", if paused { "paused" } else { "working again" });
        self.paused.store(paused, Ordering::Relaxed);
        self.look.notify_one();
    }

    /// Does the jobs that there are, then waits to be told that there are more.
    async fn work(&self, client: &Client) {
        loop {
            while !self.paused.load(Ordering::Relaxed) {
                match client.lpop::<Option<String>>(JOBS).await {
                    Ok(Some(job)) => println!("done: {job}"),
                    Ok(None) => break,
                    Err(error) => {
                        println!("{:#}", anyhow::Error::from(error));
                        time::sleep(PAUSE).await;
                    }
                }
            }
            self.look.notified().await;
        }
    }
}
