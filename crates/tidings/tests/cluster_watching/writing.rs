//! Somebody who writes numbered keys all the time, and whether all of them were shown.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use tidings::{ClusterClient, Commands, Gap};
use tidings_testkit::{ClusterNode, SLOTS, slot_of};
use tokio::task::JoinHandle;

/// Between two keys: a few hundred in a second.
const PAUSE: Duration = Duration::from_millis(2);

/// More than are ever written.
const MOST: usize = 20_000;

/// One write.
#[derive(Debug, Clone, Copy)]
struct Write {
    sent: SystemTime,
    answered: SystemTime,
    /// The server has said that it is done.
    done: bool,
}

/// Writes `mark:0`, `mark:1`, … of all slots until it is told to stop.
pub(crate) struct Writer {
    stop: Arc<AtomicBool>,
    writing: JoinHandle<BTreeMap<u64, Write>>,
}

/// What was written.
pub(crate) struct Written(BTreeMap<u64, Write>);

impl Writer {
    pub(crate) fn start(client: ClusterClient) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let writing = tokio::spawn(async move {
            let mut writes = BTreeMap::new();
            while !stopped.load(Ordering::Relaxed) {
                let number = writes.len() as u64;
                let sent = SystemTime::now();
                let done = client.set(format!("mark:{number}"), number).await.is_ok();
                let answered = SystemTime::now();
                let write = Write {
                    sent,
                    answered,
                    done,
                };
                writes.insert(number, write);
                tokio::time::sleep(PAUSE).await;
            }
            writes
        });
        Self { stop, writing }
    }

    pub(crate) async fn stop(self) -> Written {
        self.stop.store(true, Ordering::Relaxed);
        Written(self.writing.await.expect("no panic"))
    }
}

/// What was shown of them.
#[derive(Debug, Default)]
pub(crate) struct Shown {
    /// How often each number was.
    pub(crate) numbers: BTreeMap<u64, u32>,
    pub(crate) gaps: Vec<Gap>,
}

impl Shown {
    /// Takes note of a key that was shown; the name of any other one is given back.
    pub(crate) fn note(&mut self, key: &[u8]) -> Option<String> {
        let key = String::from_utf8_lossy(key).into_owned();
        match key.strip_prefix("mark:") {
            Some(number) => {
                let number = number.parse().expect("a number");
                *self.numbers.entry(number).or_default() += 1;
                None
            }
            None => Some(key),
        }
    }

    /// The causes of its gaps, with the node of each.
    pub(crate) fn causes(&self) -> Vec<String> {
        let shown = |gap: &Gap| {
            let node = gap.node().map(ToString::to_string);
            format!("{:?} {}", gap.cause(), node.as_deref().unwrap_or("any"))
        };
        self.gaps.iter().map(shown).collect()
    }
}

impl Written {
    /// Each write was shown once, unless a gap tells that it may be missing; none was shown twice.
    pub(crate) fn check(&self, shown: &Shown) {
        let Self(writes) = self;
        let (mut missing, mut doubtful) = (0, 0);
        for (number, write) in writes {
            let times = shown.numbers.get(number).copied().unwrap_or(0);
            assert!(times <= 1, "mark:{number} was shown {times} times");
            doubtful += u32::from(!write.done);
            if times == 1 || !write.done {
                continue;
            }
            missing += 1;
            let covers = |gap: &&Gap| gap.since() <= write.answered && write.sent <= gap.until();
            assert!(
                shown.gaps.iter().any(|gap| covers(&gap)),
                "mark:{number} is missing without a gap: {write:?}, {:?}",
                shown.gaps
            );
        }
        println!(
            "{} written, {doubtful} of them in doubt, {missing} missing, gaps: {:?}",
            writes.len(),
            shown.causes()
        );
        assert!((20..MOST).contains(&writes.len()));
    }
}

/// A slot that none of the numbered keys lies in.
pub(crate) fn slot_apart() -> u16 {
    let taken: BTreeSet<u16> = (0..MOST).map(|n| slot_of(format!("mark:{n}"))).collect();
    let mut slots = 0..SLOTS;
    slots
        .find(|slot| !taken.contains(slot))
        .expect("one of many")
}

/// A key of a node's own slots.
pub(crate) fn key_of(node: &ClusterNode, name: &str) -> String {
    let view = node.cli(["CLUSTER", "NODES"]);
    let myself = view.lines().find(|line| line.contains("myself"));
    let ranges: Vec<(u16, u16)> = myself
        .expect("its own line")
        .split(' ')
        .skip(8)
        .filter(|range| !range.starts_with('['))
        .filter_map(|range| {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            Some((first.parse().ok()?, last.parse().ok()?))
        })
        .collect();
    let is_own = |key: &String| {
        let slot = slot_of(key);
        ranges
            .iter()
            .any(|(first, last)| (first..=last).contains(&&slot))
    };
    let mut keys = (0..).map(|n| format!("{name}:{n}"));
    keys.find(is_own).expect("one of many")
}
