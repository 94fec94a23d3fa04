//! What these tests share.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tidings::{ClusterClient, Commands, Error, Result, Value};
use tidings_testkit::{Cluster, ClusterNode};

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
    }
    errors
}
