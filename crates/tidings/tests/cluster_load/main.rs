//! Numbered messages on shard channels of all slots, while slots move and nodes fail, for subscribers of all kinds: nothing is
//! lost without a gap that says why, nothing comes twice or out of order, and everybody recovers.
//!
//! Two minutes for each server; as many seconds as `TIDINGS_LOAD_SECONDS` says.

#[path = "../clusters/mod.rs"]
mod clusters;
mod faults;
mod ledger;
mod readers;

use std::sync::Arc;
use std::time::{Duration, Instant};

use clusters::{Case, binaries, runtime};
use tidings::{Config, GapCause, blocking};
use tidings_testkit::{
    Binary, Cluster, ClusterNode, Flavor, Protocol, Published, Publisher, slot_of,
};

use faults::{Concerned, Fault, Victims};
use ledger::Seen;
use readers::Reader;

const SHARD_CHANNELS: usize = 64;
const SHARD_RATE: u32 = 2_000;
const CHANNELS: usize = 4;
const RATE: u32 = 200;

/// Nodes are taken for failed after this long: a busy machine does not stand still for so long.
const NODE_TIMEOUT: Duration = Duration::from_secs(3);

/// How long recovery may take once all is well.
const RECOVERY: Duration = Duration::from_secs(30);

/// The time in which all of the cluster is looked at anew, and what was found is acted on.
const SETTLING: Duration = Duration::from_millis(2_500);

#[test]
fn sh_05_nothing_is_lost_silently_on_redis() {
    on(Flavor::Redis, Protocol::Resp2);
}

#[test]
fn sh_05_nothing_is_lost_silently_on_valkey() {
    on(Flavor::Valkey, Protocol::Resp3);
}

/// On the oldest server of one kind.
fn on(flavor: Flavor, protocol: Protocol) {
    static ONE_AT_A_TIME: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock();
    let binaries = binaries();
    match binaries.iter().find(|binary| binary.flavor == flavor) {
        Some(binary) => runtime().block_on(run(binary, protocol)),
        None => println!("there is no {flavor:?} here"),
    }
}

fn seconds() -> u64 {
    let told = std::env::var("TIDINGS_LOAD_SECONDS");
    told.map_or(120, |told| {
        told.parse().expect("TIDINGS_LOAD_SECONDS is a number")
    })
}

/// One name in each of so many parts of the slots.
fn names(prefix: &str, count: usize) -> Vec<String> {
    let part = |name: &String| usize::from(slot_of(name)) * count / 16_384;
    let mut names: Vec<Option<String>> = vec![None; count];
    for n in 0.. {
        let name = format!("{prefix}:{n}");
        let part = part(&name);
        names[part].get_or_insert(name);
        if names.iter().all(Option::is_some) {
            break;
        }
    }
    names.into_iter().flatten().collect()
}

async fn run(binary: &Binary, protocol: Protocol) {
    let seed = fastrand::u64(..);
    println!("on {binary}, {protocol:?}, seed {seed}");
    let cluster = Cluster::builder().binary(binary).replicas(1);
    let cluster = cluster.node_timeout(NODE_TIMEOUT).behind_proxies();
    let cluster = Arc::new(cluster.start_or_panic());
    let bystander = cluster.add_primary();
    await_replicas(&cluster).await;
    let case = Case {
        cluster: Arc::clone(&cluster),
        protocol,
    };
    let (shards, channels) = (names("shard", SHARD_CHANNELS), names("plain", CHANNELS));
    let config = settings(case.config());
    let primaries = case.client_with(config.clone()).await;
    let replicas = case
        .client_with(config.clone().read_from_replicas(true))
        .await;
    let threads = tokio::task::block_in_place(|| blocking::ClusterClient::connect(config));
    let threads = threads.expect("the cluster takes connections");
    let readers = readers::all(&primaries, &replicas, threads, &shards, &channels).await;

    let of_shards = Publisher::to_cluster(&cluster).channels(&shards);
    let of_shards = of_shards.rate(SHARD_RATE).start();
    let of_channels = Publisher::to(&bystander).channels(&channels);
    let of_channels = of_channels.rate(RATE).start();
    let mut victims = Victims {
        cluster,
        channels: shards,
        random: fastrand::Rng::with_seed(seed),
        bystander,
    };
    let (mut moves, mut wrong) = (Vec::new(), Vec::new());
    let begun = Instant::now();
    let mut before = Concerned::default();
    let mut faults = Fault::ALL.into_iter().cycle();
    let mut count = 0;
    while begun.elapsed() < Duration::from_secs(seconds()) {
        let fault = faults.next().expect("there is always one more");
        let at = Instant::now();
        let concerned = tokio::task::block_in_place(|| victims.suffer(fault));
        let healed = at.elapsed();
        let recovered = recover(&readers, &of_shards, &of_channels).await;
        tokio::time::sleep(SETTLING).await;
        println!("{fault}: over after {healed:.1?}, recovered {recovered:.1?} later");
        for reader in &readers {
            for gap in reader.ledger.take_gaps() {
                println!("    {}: {gap}", reader.name);
                if reader.is_sharded && !reader.from_replicas && gap.cause == GapCause::SlotMoved {
                    moves.push(gap.took());
                }
                if !is_explained(reader, &gap, &concerned, &before) {
                    let told = format!("{} at {fault}: {gap}", reader.name);
                    println!("    ^ nothing of that kind has happened: {concerned:?}");
                    wrong.push(told);
                }
            }
        }
        before = concerned;
        count += 1;
    }
    recover(&readers, &of_shards, &of_channels).await;
    let published = (of_shards.stop(), of_channels.stop());
    moves.sort_unstable();
    let part = |part: usize| {
        moves
            .get(moves.len() * part / 100)
            .copied()
            .unwrap_or_default()
    };
    println!(
        "{count} faults; {} channels were moved, and subscribed again after p50 {:.1?}, p99 {:.1?}",
        moves.len(),
        part(50),
        part(99)
    );
    conclude(&readers, &published, wrong).await;
}

fn settings(config: Config) -> Config {
    config
        .ping_interval(Duration::from_secs(1))
        .ping_timeout(Duration::from_secs(1))
        .topology_interval(Duration::from_secs(1))
}

/// Waits until all nodes take all replicas for such that can be read from. Redis 7.0 does so only when their primaries have
/// sent them something, which is a PING after some seconds.
async fn await_replicas(cluster: &Cluster) {
    let is_loading = |node: &Arc<ClusterNode>| {
        let shards = node.cli(["CLUSTER", "SHARDS"]);
        shards.contains("loading")
    };
    while cluster.nodes().iter().any(is_loading) {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Waits until everybody has heard of what is published from now on; how long it took.
async fn recover(readers: &[Reader], of_shards: &Publisher, of_channels: &Publisher) -> Duration {
    let begun = Instant::now();
    let (shards, channels) = (of_shards.published(), of_channels.published());
    let then = |reader: &Reader| {
        if reader.is_sharded {
            &shards
        } else {
            &channels
        }
    };
    while !readers
        .iter()
        .all(|reader| reader.ledger.is_beyond(then(reader)))
    {
        if begun.elapsed() > RECOVERY {
            for reader in readers {
                println!("{}: {:?}", reader.name, reader.ledger.behind(then(reader)));
            }
            panic!("not everybody has recovered after {RECOVERY:?}");
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    begun.elapsed()
}

/// Whether a gap has a cause that there was, and concerns those that the cause did. What is found late may be of the fault
/// before.
fn is_explained(reader: &Reader, gap: &Seen, now: &Concerned, before: &Concerned) -> bool {
    let is_right = |concerned: &Concerned| {
        if !reader.is_sharded {
            return concerned.of_one_node.contains(&gap.cause);
        }
        let causes = match reader.from_replicas {
            true => &concerned.of_replicas,
            false => &concerned.of_primaries,
        };
        let of = |name: &String| causes.get(name).is_some_and(|of| of.contains(&gap.cause));
        gap.names.iter().all(of)
    };
    is_right(now) || is_right(before)
}

/// Holds what everybody received against what was published; `wrong` is what was already seen to be.
async fn conclude(readers: &[Reader], published: &(Published, Published), mut wrong: Vec<String>) {
    for reader in readers {
        let published = if reader.is_sharded {
            &published.0
        } else {
            &published.1
        };
        let until = Instant::now() + RECOVERY;
        while !reader.ledger.has_all(published) && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let received = reader.ledger.received();
        let lost = reader.ledger.lost(published);
        println!(
            "{}: {received} received, {lost} missing behind gaps, {} again behind one",
            reader.name,
            reader.ledger.repeated()
        );
        assert!(received > 0);
        if !reader.ledger.has_all(published) {
            wrong.push(format!("{}: it is deaf", reader.name));
        }
        let late = reader.from_replicas || !reader.is_sharded;
        let of_reader = reader.ledger.wrong(published, late);
        wrong.extend(
            of_reader
                .into_iter()
                .map(|what| format!("{}: {what}", reader.name)),
        );
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
