//! What these tests share.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tidings::{ClusterClient, Commands, Error, Result, Value};
use tidings_testkit::{Binary, Cluster, ClusterNode, Protocol};

use crate::clusters::{Case, binaries, runtime};

/// A cluster that one test at a time has.
struct Lent {
    turn: Mutex<()>,
    cluster: Arc<Cluster>,
}

impl Lent {
    fn of(binary: &Binary) -> Arc<Self> {
        static CLUSTERS: LazyLock<Mutex<HashMap<String, Arc<Lent>>>> =
            LazyLock::new(Mutex::default);
        let mut clusters = CLUSTERS.lock().unwrap_or_else(PoisonError::into_inner);
        let lent = clusters.entry(binary.to_string()).or_insert_with(|| {
            let cluster = Cluster::builder().binary(binary);
            let cluster = cluster.config("cluster-require-full-coverage", "no");
            Arc::new(Self {
                turn: Mutex::new(()),
                cluster: Arc::new(cluster.start_or_panic()),
            })
        });
        Arc::clone(lent)
    }
}

/// Runs a test on a cluster for each server that no other test uses meanwhile, and that it leaves as a whole one.
pub(crate) fn on_each_alone<F: Future<Output = ()>>(test: impl Fn(Case) -> F) {
    for (binary, protocol) in binaries().iter().zip(Protocol::ALL.into_iter().cycle()) {
        println!("on {binary}, {protocol:?}");
        let lent = Lent::of(binary);
        let _turn = lent.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let cluster = Arc::clone(&lent.cluster);
        runtime().block_on(test(Case { cluster, protocol }));
    }
}

/// What is done to a cluster, in a thread, while something else goes on.
pub(crate) struct Changing {
    over: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Changing {
    pub(crate) fn begin(case: &Case, change: impl FnOnce(&Cluster) + Send + 'static) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let (cluster, guard) = (Arc::clone(&case.cluster), SetAtEnd(Arc::clone(&over)));
        let thread = thread::spawn(move || {
            let _guard = guard;
            change(&cluster);
        });
        Self { over, thread }
    }

    /// Whether it is over.
    pub(crate) fn over(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.over)
    }

    pub(crate) fn join(self) {
        self.thread.join().expect("the cluster changes");
    }
}

/// Also if it ends by a panic.
struct SetAtEnd(Arc<AtomicBool>);

impl Drop for SetAtEnd {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Names in many slots, which no other test has.
pub(crate) fn keys(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{prefix}:{n}")).collect()
}

#[track_caller]
pub(crate) fn error<T: Debug>(outcome: Result<T>) -> Error {
    outcome.expect_err("it fails")
}

/// A primary that is not this one.
pub(crate) fn other_than(cluster: &Cluster, node: &ClusterNode) -> Arc<ClusterNode> {
    let mut primaries = cluster.primaries().into_iter();
    primaries.find(|it| **it != *node).expect("another primary")
}

/// What was appended to a key, and what is known of it.
#[derive(Default)]
pub(crate) struct Appended {
    pub(crate) key: String,
    /// Each word, and whether it was confirmed, is in doubt, or was refused.
    words: Vec<(String, Fate)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Confirmed,
    InDoubt,
    NotRun,
}

impl Appended {
    pub(crate) fn to(key: &str) -> Self {
        Self {
            key: key.to_owned(),
            words: Vec::new(),
        }
    }

    /// The next word, or one behind it.
    pub(crate) fn word(&self, ahead: usize) -> String {
        format!("{} ", self.words.len() + ahead)
    }

    pub(crate) fn note(&mut self, outcome: &Result<Value>) {
        let fate = match outcome {
            Ok(_) => Fate::Confirmed,
            Err(error) if error.may_have_run() => Fate::InDoubt,
            Err(_) => Fate::NotRun,
        };
        self.words.push((self.word(0), fate));
    }

    pub(crate) fn count(&self, confirmed: bool) -> usize {
        let of = |it: &&(String, Fate)| (it.1 == Fate::Confirmed) == confirmed;
        self.words.iter().filter(of).count()
    }

    /// The words are there in their order, all that were confirmed and none that was not run.
    pub(crate) async fn check(&self, client: &ClusterClient) {
        let value: String = client.get(&self.key).await.expect("it is read");
        let mut there = value.split_inclusive(' ').peekable();
        for (word, fate) in &self.words {
            let is_next = there.next_if(|next| next == word).is_some();
            match fate {
                Fate::Confirmed => assert!(is_next, "{}: {word}is missing: {value}", self.key),
                Fate::NotRun => assert!(!is_next, "{}: {word}was not run: {value}", self.key),
                Fate::InDoubt => {}
            }
        }
        assert_eq!(there.next(), None, "{}: {value}", self.key);
    }
}

/// Appends to all of these in one pipeline after the other, until told to stop; gives the errors.
pub(crate) async fn append(
    client: &ClusterClient,
    appended: &mut [Appended],
    stop: &AtomicBool,
) -> Vec<Error> {
    let mut errors = Vec::new();
    let mut last = false;
    while !last {
        // Once more after all is over.
        last = stop.load(Ordering::Relaxed);
        let mut pipeline = client.pipeline();
        // Two of each, so that one could overtake the other.
        for ahead in 0..2 {
            for it in appended.iter() {
                pipeline.append(&it.key, it.word(ahead));
            }
        }
        let outcomes = pipeline.execute_each().await.expect("a pipeline");
        for (n, outcome) in outcomes.iter().enumerate() {
            let count = appended.len();
            appended[n % count].note(outcome);
        }
        errors.extend(outcomes.into_iter().filter_map(Result::err));
        // The servers need some time too.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    errors
}
