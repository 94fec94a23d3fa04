//! Counters that are incremented while their slots move and their primaries are replaced: what is answered has been done once, and
//! what is not says whether it may have been.

mod clusters;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use clusters::{Case, binaries, on_each_own};
use tidings::{ClusterClient, Commands, Error, Result, blocking};
use tidings_testkit::{Cluster, ClusterNode, Failover, Protocol, slot_of};
use tokio::task::JoinHandle;

/// In many slots, half of them in one that moves.
const KEYS: usize = 24;

/// So many requests are under way at a time.
const TASKS: usize = 12;

/// Who is killed is to be replaced soon.
const NODE_TIMEOUT: Duration = Duration::from_millis(1500);

/// One counter, and what is known of it.
#[derive(Debug, Default)]
struct Counter {
    key: String,
    acknowledged: i64,
    /// Whose errors say that they may have been run.
    in_doubt: i64,
}

#[derive(Clone, Debug)]
struct Counters {
    all: Arc<Vec<Mutex<Counter>>>,
    errors: Arc<Mutex<Vec<Error>>>,
    over: Arc<AtomicBool>,
}

impl Counters {
    fn new(prefix: &str) -> Self {
        let key = |n: usize| match n % 2 {
            0 => format!("{{{prefix}}}:{n}"),
            _ => format!("{prefix}:{n}"),
        };
        let counter = |n| {
            let key = key(n);
            Mutex::new(Counter {
                key,
                ..Counter::default()
            })
        };
        Self {
            all: Arc::new((0..KEYS).map(counter).collect()),
            errors: Arc::default(),
            over: Arc::default(),
        }
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    fn key(&self, n: usize) -> String {
        let counter = self.all[n % KEYS].lock();
        counter.unwrap_or_else(PoisonError::into_inner).key.clone()
    }

    fn note(&self, n: usize, outcome: Result<i64>) {
        let counter = self.all[n % KEYS].lock();
        let mut counter = counter.unwrap_or_else(PoisonError::into_inner);
        match outcome {
            Ok(_) => counter.acknowledged += 1,
            Err(error) => {
                counter.in_doubt += i64::from(error.may_have_run());
                let errors = self.errors.lock();
                errors.unwrap_or_else(PoisonError::into_inner).push(error);
            }
        }
    }

    /// Increments all of them from many tasks, until it is over and once more.
    fn increment(&self, client: &ClusterClient) -> Vec<JoinHandle<()>> {
        let task = |task: usize| {
            let (counters, client) = (self.clone(), client.clone());
            tokio::spawn(async move {
                let mut last = false;
                while !last {
                    last = counters.is_over();
                    for n in (task..KEYS).step_by(TASKS) {
                        let outcome = client.incr(counters.key(n)).await;
                        counters.note(n, outcome);
                    }
                    // The servers need some time too.
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            })
        };
        (0..TASKS).map(task).collect()
    }

    /// What there is of each, beside what must and what may be there.
    async fn check(&self, client: &ClusterClient, acknowledged_may_be_lost: bool) {
        let mut all = 0;
        for n in 0..KEYS {
            let value: i64 = client.get(self.key(n)).await.expect("it is read");
            let counter = self.all[n].lock();
            let counter = counter.unwrap_or_else(PoisonError::into_inner);
            assert!(counter.acknowledged > 0, "{counter:?}");
            all += counter.acknowledged;
            let least = match acknowledged_may_be_lost {
                true => 0,
                false => counter.acknowledged,
            };
            let most = counter.acknowledged + counter.in_doubt;
            assert!((least..=most).contains(&value), "{value}: {counter:?}");
        }
        let errors = self.errors.lock();
        let errors = errors.unwrap_or_else(PoisonError::into_inner);
        println!(
            "{all} acknowledged, {} failed: {:?}",
            errors.len(),
            errors.first()
        );
    }

    fn assert_no_errors(&self) {
        let errors = self.errors.lock();
        let errors = errors.unwrap_or_else(PoisonError::into_inner);
        assert!(errors.is_empty(), "{:?}", errors.first());
    }
}

/// Increments counters while something is done to the cluster.
async fn while_it_changes(
    case: &Case,
    client: &ClusterClient,
    counters: &Counters,
    change: impl FnOnce(&Cluster) + Send + 'static,
) {
    let tasks = counters.increment(client);
    let (cluster, over) = (Arc::clone(&case.cluster), Arc::clone(&counters.over));
    let changing = thread::spawn(move || {
        let _guard = SetAtEnd(over);
        change(&cluster);
    });
    for task in tasks {
        task.await.expect("no panic");
    }
    changing.join().expect("the cluster changes");
}

/// Also if it ends by a panic.
struct SetAtEnd(Arc<AtomicBool>);

impl Drop for SetAtEnd {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A primary that is not this one.
fn other_than(cluster: &Cluster, node: &ClusterNode) -> Arc<ClusterNode> {
    let mut primaries = cluster.primaries().into_iter();
    primaries.find(|it| **it != *node).expect("another primary")
}

/// Moves a slot there and back again.
fn back_and_forth(cluster: &Cluster, slot: u16, way: impl Fn(&ClusterNode)) {
    let source = cluster.owner_of(slot);
    let target = other_than(cluster, &source);
    for _ in 0..3 {
        way(&target);
        way(&source);
    }
}

#[test]
fn counters_are_exact_and_nothing_fails_while_their_slot_goes_back_and_forth() {
    on_each_own(
        |builder| builder,
        |case| async move {
            let client = case.client().await;
            let counters = Counters::new("steps");
            while_it_changes(&case, &client, &counters, |cluster| {
                let slot = slot_of("{steps}");
                back_and_forth(cluster, slot, |to| cluster.move_slot(slot, to));
                if cluster.supports_atomic_migration() {
                    back_and_forth(cluster, slot, |to| {
                        cluster.move_slots_atomically(slot..=slot, to);
                    });
                }
            })
            .await;
            counters.check(&client, false).await;
            counters.assert_no_errors();
        },
    );
}

#[test]
fn counters_of_threads_are_exact_and_nothing_fails_while_their_slot_goes_back_and_forth() {
    let binary = binaries().pop().expect("there is a server");
    let cluster = Cluster::builder().binary(&binary).start_or_panic();
    let client = blocking::ClusterClient::connect(cluster.url_for(Protocol::Resp3).as_str());
    let client = client.expect("the cluster takes connections");
    let counters = Counters::new("threads");
    thread::scope(|scope| {
        for task in 0..4 {
            let (counters, client) = (counters.clone(), client.clone());
            scope.spawn(move || {
                while !counters.is_over() {
                    for n in (task..KEYS).step_by(4) {
                        counters.note(n, client.incr(counters.key(n)));
                    }
                }
            });
        }
        let _guard = SetAtEnd(Arc::clone(&counters.over));
        let slot = slot_of("{threads}");
        back_and_forth(&cluster, slot, |to| cluster.move_slot(slot, to));
    });
    counters.assert_no_errors();
    for n in 0..KEYS {
        let value: i64 = client.get(counters.key(n)).expect("it is read");
        let counter = counters.all[n].lock();
        let counter = counter.unwrap_or_else(PoisonError::into_inner);
        assert!(counter.acknowledged > 0);
        assert_eq!(value, counter.acknowledged, "{counter:?}");
    }
}

#[test]
fn a_command_that_waits_goes_on_waiting_where_its_slot_has_moved() {
    on_each_own(
        |builder| builder,
        |case| async move {
            let client = case.client().await;
            let key = "{waits}:list";
            let slot = slot_of(key);
            let source = case.cluster.owner_of(slot);
            let target = other_than(&case.cluster, &source);
            let waiting = {
                let client = client.clone();
                let limit = Duration::from_secs(60);
                tokio::spawn(async move { client.blpop::<(String, String), _>(key, limit).await })
            };
            await_blocked(&source).await;
            case.cluster.move_slot(slot, &target);
            await_blocked(&target).await;
            client.rpush(key, "there").await.expect("it is pushed");
            let popped = waiting.await.expect("no panic").expect("it is followed");
            assert_eq!(popped, (key.to_owned(), "there".to_owned()));
        },
    );
}

/// Waits until a node has a client that waits for a key.
async fn await_blocked(node: &ClusterNode) {
    let limit = Duration::from_secs(30);
    let blocked = async {
        let is_blocked = |info: String| info.lines().any(|line| line.trim() == "blocked_clients:1");
        while !is_blocked(node.cli(["INFO", "clients"])) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let in_time = tokio::time::timeout(limit, blocked).await;
    in_time.unwrap_or_else(|_| panic!("nobody waits at {node}"));
}

#[test]
fn counters_are_exact_while_a_primary_hands_over() {
    on_each_own(
        |builder| builder.replicas(1),
        |case| async move {
            let client = case.client().await;
            let counters = Counters::new("handed");
            while_it_changes(&case, &client, &counters, |cluster| {
                for _ in 0..2 {
                    let primary = cluster.owner_of(slot_of("{handed}"));
                    let replicas = cluster.replicas_of(&primary);
                    cluster.failover(&replicas[0], Failover::Graceful);
                }
            })
            .await;
            counters.check(&client, false).await;
            counters.assert_no_errors();
        },
    );
}

#[test]
fn th_04_counters_are_within_what_is_known_when_a_primary_is_killed() {
    on_each_own(
        |builder| builder.replicas(1).node_timeout(NODE_TIMEOUT),
        |case| async move {
            let client = case.client().await;
            let counters = Counters::new("killed");
            while_it_changes(&case, &client, &counters, |cluster| {
                thread::sleep(Duration::from_millis(100));
                let primary = cluster.owner_of(slot_of("{killed}"));
                // What is acknowledged the replica has: nothing more is written then, and what waits for that is in doubt.
                primary.admin(["CLIENT", "PAUSE", "10000", "WRITE"]);
                primary.admin(["WAIT", "1", "10000"]);
                let _ = cluster.kill_and_fail_over(&primary);
            })
            .await;
            counters.check(&client, false).await;
        },
    );
}

#[test]
fn th_04_no_counter_is_above_what_is_known_when_a_primary_is_killed_in_the_middle_of_its_work() {
    // An election takes seconds, and is the same everywhere.
    let binary = binaries().swap_remove(0);
    let cluster = Cluster::builder().binary(&binary).replicas(1);
    let cluster = Arc::new(cluster.node_timeout(NODE_TIMEOUT).start_or_panic());
    let protocol = Protocol::Resp3;
    let case = Case { cluster, protocol };
    clusters::runtime().block_on(async {
        let client = case.client().await;
        let counters = Counters::new("felled");
        while_it_changes(&case, &client, &counters, |cluster| {
            thread::sleep(Duration::from_millis(100));
            let primary = cluster.owner_of(slot_of("{felled}"));
            let _ = cluster.kill_and_fail_over(&primary);
        })
        .await;
        // What was acknowledged may not have reached the replica: of that no server promises anything.
        counters.check(&client, true).await;
    });
}
