//! The walk on a cluster: what one does with it, and what a subscriber sees while it changes.

mod commands;
mod finale;
mod keyspace;
mod pubsub;
mod servers;
mod ticker;

use std::error::Error;
use std::process;
use std::time::{Duration, Instant};

use tidings::cluster::Health;
use tidings::{ClusterClient, Commands};
use tidings_testkit::Cluster;
use tokio::{signal, time};

use crate::screen::{SOON, Screen, say};
use servers::Servers;

/// Whatever ends the walk early.
pub(crate) type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

/// What shells say of a program that Ctrl-C has ended.
const INTERRUPTED: i32 = 130;

/// What takes longer than this does not end by itself any more.
const LONGEST: Duration = Duration::from_secs(120);

/// How often it is asked for what nobody announces.
const STEP: Duration = Duration::from_millis(20);

/// The walk, on a private cluster, of which nothing is left in the end.
pub(crate) async fn run() -> Outcome {
    servers::tell_panics_as_errors();
    let mut servers = None;
    let outcome = tokio::select! {
        // First of all it is listened for, so that at no time it ends us as it ends others.
        biased;
        pressed = signal::ctrl_c() => pressed.err().map(|error| Err(error.into())),
        outcome = walk(&mut servers) => Some(outcome),
        () = time::sleep(LONGEST) => {
            Some(Err(format!("it takes longer than {}", span(LONGEST)).into()))
        }
    };
    if outcome.is_none() {
        say("\nInterrupted.");
    }
    drop(servers);
    tokio::select! {
        () = servers::no_thread_is_at_work() => {}
        // Pressed again. What still runs ends with this process.
        _ = signal::ctrl_c() => {}
    }
    outcome.unwrap_or_else(|| process::exit(INTERRUPTED))
}

async fn walk(servers: &mut Option<Servers>) -> Outcome {
    let screen = Screen::new(String::new());
    say("Starting three primaries and three replicas …");
    let begun = Instant::now();
    let servers = servers.insert(Servers::start().await?);
    let took = begun.elapsed();
    let cluster: &Cluster = servers;
    say(format_args!(
        "A private cluster of {} was started in {}.",
        cluster.binary(),
        span(took)
    ));
    say(format_args!("{}", nodes(cluster)));

    let client = connect(cluster).await?;
    pubsub::on_one_node(&client, &screen).await?;
    pubsub::sharded(&client, &screen).await?;
    commands::walk(&client, &screen).await?;
    keyspace::walk(&client, &screen).await?;
    finale::walk(servers, &screen).await?;
    say(format_args!("\nThat was it, in {}.", span(begun.elapsed())));
    Ok(())
}

/// From here on, nodes are told apart by their ports.
fn nodes(cluster: &Cluster) -> String {
    let shards = cluster.primaries().into_iter().map(|primary| {
        let replicas = cluster.replicas_of(&primary);
        let replicas = replicas.iter().map(|replica| port(replica.port()));
        let replicas = replicas.collect::<Vec<_>>().join(" ");
        format!("{} {replicas}", port(primary.port()))
    });
    let shards = shards.collect::<Vec<_>>().join(", ");
    format!("Each primary and its replica: {shards}")
}

/// All nodes are on 127.0.0.1.
fn port(port: u16) -> String {
    format!(":{port}")
}

/// A client that has heard of all nodes that they are ready.
async fn connect(cluster: &Cluster) -> Outcome<ClusterClient> {
    let client = ClusterClient::connect(cluster.url()).await?;
    // A replica that never got anything from its primary is said to be loading, and is not read from.
    client.flushall().await?;
    let ready = async {
        loop {
            let client = ClusterClient::connect(cluster.url()).await?;
            let nodes = client.nodes();
            if nodes.iter().all(|node| node.health() == Health::Online) {
                return Ok(client);
            }
            time::sleep(STEP).await;
        }
    };
    let ready = time::timeout(SOON, ready).await;
    ready.map_err(|_| "the replicas do not become ready")?
}

/// A time as one reads it.
fn span(time: Duration) -> String {
    if time < Duration::from_secs(1) {
        format!("{:.1} ms", time.as_secs_f64() * 1_000.0)
    } else {
        format!("{:.1} s", time.as_secs_f64())
    }
}
