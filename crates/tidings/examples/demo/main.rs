//! A walk through Tidings, on a private server or on yours: each step is shown with what it gave. First Pub/Sub, then
//! pipelines, transactions, scripts and MONITOR.
//!
//! Run with `cargo xtask demo`, or `cargo xtask demo --url redis://127.0.0.1:6379` for a server of your own. What it
//! writes there has names of its own, and is deleted in the end. `cargo xtask demo --cluster` is another walk, on a private
//! cluster.

mod cluster;
mod commands;
mod pubsub;
mod screen;

use screen::{Screen, say};
use tidings::{Client, Commands};
use tidings_testkit::Server;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let mut server = None;
    let outcome = match args[..] {
        [] => {
            let started = server.insert(Server::start());
            say(format_args!(
                "A private {} was started for this walk.",
                started.binary()
            ));
            walk(&started.url()).await.map_err(Into::into)
        }
        ["--url", url] => walk(url).await.map_err(Into::into),
        ["--cluster"] => cluster::run().await,
        _ => {
            eprintln!("usage: demo [--url redis://HOST:PORT | --cluster]");
            std::process::exit(2);
        }
    };
    if let Err(error) = outcome {
        eprintln!("\nThe walk stopped: {error:#}");
        drop(server);
        std::process::exit(1);
    }
}

async fn walk(url: &str) -> tidings::Result<()> {
    let client = Client::connect(url).await?;
    // Names of its own, so that a server that is in use is not disturbed.
    let screen = Screen::new(format!("tidings-demo-{}:", std::process::id()));

    screen.part("Pub/Sub");
    pubsub::walk(&client, &screen).await?;

    screen.part("Pipelines, transactions, scripts, MONITOR");
    let outcome = commands::walk(&client, &screen).await;
    client
        .del(commands::KEYS.map(|key| screen.name(key)))
        .await?;
    outcome?;

    say("\nThat was it. The README shows what else there is.");
    Ok(())
}
