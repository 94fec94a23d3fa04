//! Numbers that one task publishes and another one reads.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tidings::{ClusterClient, Commands, Event, Gap, ShardedPubSub};
use tidings_testkit::{Checker, Published, Report};
use tokio::sync::watch;
use tokio::time::{self, MissedTickBehavior};

use super::{Outcome, span};
use crate::screen::Screen;

/// The shard channel.
pub(crate) const TICKER: &str = "ticker";

/// Between two numbers.
const PACE: Duration = Duration::from_millis(1);

/// Between two attempts to publish a number that certainly did not go out.
const RETRY: Duration = Duration::from_millis(10);

/// What was published.
pub(crate) struct Sent {
    pub(crate) last: u64,
    /// Of these numbers it is not known whether they went out.
    pub(crate) unknown: BTreeSet<u64>,
    /// The longest that any of them took.
    pub(crate) longest: Duration,
}

impl Sent {
    pub(crate) fn published(&self) -> Published {
        Published::new()
            .channel(TICKER, self.last)
            .unacknowledged(TICKER, self.unknown.iter().copied())
    }
}

/// Publishes 1, 2, 3, … until it is told to stop.
pub(crate) async fn publish(cluster: ClusterClient, stop: Arc<AtomicBool>) -> Sent {
    let mut sent = Sent {
        last: 0,
        unknown: BTreeSet::new(),
        longest: Duration::ZERO,
    };
    let mut pace = time::interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !stop.load(Ordering::Relaxed) {
        pace.tick().await;
        let number = sent.last + 1;
        let begun = Instant::now();
        loop {
            match cluster.spublish(TICKER, number).await {
                Ok(_) => break,
                Err(error) if error.may_have_run() => {
                    // Sent again, it might come twice.
                    sent.unknown.insert(number);
                    break;
                }
                Err(_) if stop.load(Ordering::Relaxed) => return sent,
                Err(_) => time::sleep(RETRY).await,
            }
        }
        sent.last = number;
        sent.longest = sent.longest.max(begun.elapsed());
    }
    sent
}

/// What a subscriber has seen up to now.
pub(crate) struct Seen {
    checker: Mutex<Checker>,
    /// How many messages and gaps.
    counts: watch::Sender<Counts>,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) messages: u64,
    pub(crate) gaps: u64,
}

impl Seen {
    pub(crate) fn nothing() -> Arc<Self> {
        Arc::new(Self {
            checker: Mutex::new(Checker::new()),
            counts: watch::Sender::default(),
        })
    }

    /// Reads for ever, and tells of each gap, and of what came behind it.
    pub(crate) async fn read(
        self: Arc<Self>,
        mut ticker: ShardedPubSub,
        screen: Arc<Screen>,
    ) -> Outcome {
        let (mut last, mut behind_gap) = (0, false);
        while let Some(event) = ticker.next().await {
            match event? {
                Event::Message(message) => {
                    self.checker().on_payload(TICKER, message.payload());
                    let number: u64 = message.text().parse()?;
                    if behind_gap {
                        tell_of(last, number, &screen);
                    }
                    (last, behind_gap) = (number, false);
                    self.counts.send_modify(|counts| counts.messages += 1);
                }
                Event::Gap(gap) => {
                    self.checker().on_gap(gap.names());
                    screen.now(format!("GAP of {}: {}", took(&gap), gap.cause()));
                    behind_gap = true;
                    self.counts.send_modify(|counts| counts.gaps += 1);
                }
                _ => {}
            }
        }
        Err("the subscriber has come to its end".into())
    }

    /// Waits until so much more has come than now.
    pub(crate) async fn more(&self, messages: u64, gaps: u64) -> Outcome {
        let mut counts = self.counts.subscribe();
        let now = *counts.borrow();
        let enough =
            |it: &Counts| it.messages >= now.messages + messages && it.gaps >= now.gaps + gaps;
        counts.wait_for(enough).await?;
        Ok(())
    }

    /// Waits until the last number that was certainly published is there.
    pub(crate) async fn all_of(&self, published: &Published) -> Outcome {
        let mut counts = self.counts.subscribe();
        counts
            .wait_for(|_| self.checker().has_reached(published))
            .await?;
        Ok(())
    }

    pub(crate) fn report(&self, published: &Published) -> Report {
        self.checker().clone().finish(published)
    }

    fn checker(&self) -> MutexGuard<'_, Checker> {
        self.checker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// From the last time at which surely nothing was missing to the first at which nothing is any more.
fn took(gap: &Gap) -> String {
    span(gap.until().duration_since(gap.since()).unwrap_or_default())
}

fn tell_of(last: u64, number: u64, screen: &Screen) {
    let missing = match number.saturating_sub(last + 1) {
        0 => "none is missing".to_owned(),
        1 => "1 is missing".to_owned(),
        more => format!("{more} are missing"),
    };
    screen.then(format!(
        "{last} came before it, {number} behind it: {missing}"
    ));
}
