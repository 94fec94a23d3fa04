//! The exact books of one subscriber.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tidings::{Event, GapCause, Result};
use tidings_testkit::Published;

/// What a subscriber saw: numbers that rise without holes, but for those that a gap covers.
#[derive(Clone, Debug)]
pub(crate) struct Ledger(Arc<Mutex<Books>>);

#[derive(Debug, Default)]
struct Books {
    channels: BTreeMap<String, Channel>,
    gaps: Vec<Seen>,
    /// So many of them have been looked at.
    seen: usize,
    wrong: Vec<String>,
    received: u64,
    repeated: u64,
}

/// So many messages from before a gap may come again behind it: one node has sent them before it was left, and the cluster bus
/// brings them to the next one later than anybody waits for, on a machine that has no time.
const OVERLAP: u64 = 4;

/// So many of them in all.
const MOST_REPEATED: u64 = 16;

/// One channel; its first number is 1.
#[derive(Debug)]
struct Channel {
    last: u64,
    last_at: SystemTime,
    /// A gap came since the last number.
    gap: bool,
    holes: Vec<Hole>,
}

#[derive(Clone, Debug)]
struct Hole {
    first: u64,
    last: u64,
    /// When what stood before it and what stood behind it came.
    between: (SystemTime, SystemTime),
    covered: bool,
}

/// A gap that came.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) cause: GapCause,
    pub(crate) since: SystemTime,
    pub(crate) until: SystemTime,
    pub(crate) names: Vec<String>,
}

impl Seen {
    pub(crate) fn took(&self) -> Duration {
        self.until.duration_since(self.since).unwrap_or_default()
    }
}

impl Ledger {
    pub(crate) fn new<'a>(channels: impl IntoIterator<Item = &'a String>) -> Self {
        let new = |channel: &String| {
            let channel_books = Channel {
                last: 0,
                last_at: SystemTime::now(),
                gap: false,
                holes: Vec::new(),
            };
            (channel.clone(), channel_books)
        };
        let books = Books {
            channels: channels.into_iter().map(new).collect(),
            ..Books::default()
        };
        Self(Arc::new(Mutex::new(books)))
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn enter(&self, event: Result<Event>) {
        let mut books = self.books();
        match event {
            Ok(Event::Message(message)) => {
                let number = message.text().trim().parse().unwrap_or_default();
                books.number(&message.channel_str(), number);
            }
            Ok(Event::Gap(gap)) => books.gap(Seen {
                cause: gap.cause(),
                since: gap.since(),
                until: gap.until(),
                names: gap
                    .names()
                    .map(|name| String::from_utf8_lossy(name).into_owned())
                    .collect(),
            }),
            Ok(other) => books.wrong.push(format!("it saw {other:?}")),
            Err(error) => books.wrong.push(format!("it saw {error:#}")),
        }
    }

    /// The stream has ended, which it was not to.
    pub(crate) fn end(&self) {
        self.books().wrong.push("it ended".to_owned());
    }

    /// Whether more has come in each channel than was published then.
    pub(crate) fn is_beyond(&self, then: &Published) -> bool {
        let books = self.books();
        let mut channels = books.channels.iter();
        channels.all(|(name, channel)| channel.last > then.last(name))
    }

    /// The channels of which no more has come than was published then.
    pub(crate) fn behind(&self, then: &Published) -> Vec<String> {
        let books = self.books();
        let behind = books
            .channels
            .iter()
            .filter(|(name, channel)| channel.last <= then.last(name))
            .map(|(name, channel)| format!("{name} at {} of {}", channel.last, then.last(name)));
        behind.collect()
    }

    /// Whether the last number of each channel has come.
    pub(crate) fn has_all(&self, published: &Published) -> bool {
        let books = self.books();
        let mut channels = books.channels.iter();
        channels.all(|(name, channel)| channel.last >= last_certain(published, name))
    }

    /// The gaps that came since this was asked last.
    pub(crate) fn take_gaps(&self) -> Vec<Seen> {
        let mut books = self.books();
        let from = books.seen;
        books.seen = books.gaps.len();
        books.gaps[from..].to_vec()
    }

    pub(crate) fn received(&self) -> u64 {
        self.books().received
    }

    /// How many came again behind a gap.
    pub(crate) fn repeated(&self) -> u64 {
        self.books().repeated
    }

    /// How many numbers are missing that were published for certain.
    pub(crate) fn lost(&self, published: &Published) -> u64 {
        let books = self.books();
        let lost = books.channels.iter().flat_map(|(name, channel)| {
            let uncertain = uncertain(published, name);
            channel
                .holes
                .iter()
                .flat_map(|hole| hole.first..=hole.last)
                .filter(move |number| !uncertain.contains(number))
        });
        lost.count() as u64
    }

    /// What is wrong, if anything is. `late`: a gap may stand behind messages that came after the loss, if its times say
    /// that it was.
    pub(crate) fn wrong(&self, published: &Published, late: bool) -> Vec<String> {
        let books = self.books();
        let mut wrong = books.wrong.clone();
        if books.repeated > MOST_REPEATED {
            wrong.push(format!("{} came again", books.repeated));
        }
        for (name, channel) in &books.channels {
            let uncertain = uncertain(published, name);
            for hole in channel.holes.iter().filter(|hole| !hole.covered) {
                let is_known = (hole.first..=hole.last).all(|number| uncertain.contains(&number));
                let is_covered = late && books.gaps.iter().any(|gap| gap.covers(name, hole));
                if !is_known && !is_covered {
                    wrong.push(format!("{name}: {hole}, without a gap"));
                }
            }
        }
        wrong
    }
}

impl Books {
    fn number(&mut self, name: &str, number: u64) {
        self.received += 1;
        let Some(channel) = self.channels.get_mut(name) else {
            self.wrong.push(format!("{name} was not subscribed"));
            return;
        };
        let now = SystemTime::now();
        if number <= channel.last {
            let was_missing = channel
                .holes
                .iter()
                .any(|hole| (hole.first..=hole.last).contains(&number));
            if channel.gap && !was_missing && number + OVERLAP > channel.last {
                self.repeated += 1;
                return;
            }
            let what = if was_missing { "late" } else { "twice" };
            self.wrong.push(format!(
                "{name}: {number} came {what}, after {}, the gap flag was {}",
                channel.last, channel.gap
            ));
            return;
        }
        if number > channel.last + 1 {
            channel.holes.push(Hole {
                first: channel.last + 1,
                last: number - 1,
                between: (channel.last_at, now),
                covered: channel.gap,
            });
        }
        channel.last = number;
        channel.last_at = now;
        channel.gap = false;
    }

    fn gap(&mut self, gap: Seen) {
        for name in &gap.names {
            match self.channels.get_mut(name) {
                Some(channel) => channel.gap = true,
                None => self.wrong.push(format!("a gap named {name}")),
            }
        }
        if gap.names.is_empty() || gap.cause == GapCause::Overflow {
            self.wrong.push(format!("the gap was {gap}"));
        }
        self.gaps.push(gap);
    }
}

impl Seen {
    /// Whether it says of the time of a hole that something may be missing.
    fn covers(&self, name: &str, hole: &Hole) -> bool {
        let (from, to) = hole.between;
        self.names.iter().any(|named| named == name) && self.since <= to && self.until >= from
    }
}

fn uncertain(published: &Published, name: &str) -> BTreeSet<u64> {
    let mut channels = published.channels();
    let channel = channels.find(|(channel, _)| *channel == name.as_bytes());
    channel.map_or_else(BTreeSet::new, |(_, channel)| channel.unacknowledged.clone())
}

fn last_certain(published: &Published, name: &str) -> u64 {
    let uncertain = uncertain(published, name);
    let mut numbers = (1..=published.last(name)).rev();
    numbers
        .find(|number| !uncertain.contains(number))
        .unwrap_or(0)
}

impl fmt::Display for Hole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {} are missing", self.first, self.last)
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} for {:.1?} of {}",
            self.cause,
            self.took(),
            self.names.join(" ")
        )
    }
}
