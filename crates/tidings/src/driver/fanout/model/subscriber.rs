//! One subscriber, and what it has to see.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use tidings_proto::pubsub::GapCause;
use tokio::sync::oneshot;

use super::server::{Copy, Server, takes};
use super::{Name, SubscriberId};
use crate::error::{ErrorKind, Result};
use crate::pubsub::event::Gap;
use crate::pubsub::queue::{Batch, Item, Overflow, Popped, Queue};

#[derive(Debug)]
pub(super) enum Phase {
    Joining(oneshot::Receiver<Result<()>>),
    Held,
    Draining(oneshot::Receiver<Result<()>>),
    /// It has left; so many messages had come until then.
    Gone(u64),
}

/// A message that was handed over for one of its names.
#[derive(Debug)]
struct Expected {
    copy: Copy,
    /// It was confirmed before, and has not begun to leave.
    must: bool,
}

/// What a name has gone through.
#[derive(Debug, Default)]
struct Trouble {
    /// Messages were missed: a gap comes before the next one.
    deaf: bool,
    /// Gaps that may come, where it depends on what the subscriber had seen.
    maybe: u32,
    /// One of these must come.
    owed: bool,
}

#[derive(Debug)]
pub(super) struct Subscriber {
    pub(super) id: SubscriberId,
    pub(super) queue: Arc<Queue>,
    pub(super) names: Vec<Name>,
    pub(super) phase: Phase,
    /// It reads only at the end, and its queue does this.
    pub(super) lazy: Option<Overflow>,
    expected: VecDeque<Expected>,
    trouble: BTreeMap<Name, Trouble>,
    /// Of one that is lazy: what it read last, how much it read, and how much it was told was dropped.
    newest: u64,
    read: u64,
    dropped: u64,
    pub(super) ended: bool,
}

impl Subscriber {
    pub(super) fn new(
        id: SubscriberId,
        queue: Arc<Queue>,
        names: Vec<Name>,
        lazy: Option<Overflow>,
        joined: oneshot::Receiver<Result<()>>,
    ) -> Self {
        Self {
            id,
            queue,
            names,
            phase: Phase::Joining(joined),
            lazy,
            expected: VecDeque::new(),
            trouble: BTreeMap::new(),
            newest: 0,
            read: 0,
            dropped: 0,
            ended: false,
        }
    }

    pub(super) fn is_gone(&self) -> bool {
        matches!(self.phase, Phase::Gone(_))
    }

    fn is_held(&self) -> bool {
        matches!(self.phase, Phase::Held)
    }

    fn trouble(&mut self, name: &Name) -> &mut Trouble {
        self.trouble.entry(name.clone()).or_default()
    }

    // ---- what happens elsewhere ----

    /// Something was published, and handed over for these names.
    pub(super) fn published(&mut self, channel: &[u8], shard: bool, copies: &[Copy]) {
        if self.is_gone() {
            return;
        }
        // One that closes has left when its queue is full, and sees that later.
        let held = self.is_held() && self.lazy != Some(Overflow::Close);
        for name in self.names.clone() {
            let reached = copies.iter().any(|copy| copy.0 == name);
            if !held || reached || !takes((name.0, &name.1), channel, shard) {
                continue;
            }
            let trouble = self.trouble(&name);
            let told = trouble.deaf || trouble.maybe > 0;
            assert!(told, "{name:?} is not subscribed: {self:?}");
        }
        let must = self.is_held();
        let copies = copies.iter().filter(|copy| self.names.contains(&copy.0));
        let expected = copies.cloned().map(|copy| Expected { copy, must });
        self.expected.extend(expected.collect::<Vec<_>>());
    }

    /// The connection is lost.
    pub(super) fn cut(&mut self) {
        self.expected.clear();
        let held = self.is_held();
        for name in self.names.clone() {
            let trouble = self.trouble(&name);
            if held {
                *trouble = Trouble {
                    deaf: true,
                    ..Trouble::default()
                };
            } else {
                trouble.maybe += 1;
            }
        }
    }

    /// The server has ended a subscription by itself.
    pub(super) fn revoked(&mut self, name: &Name) {
        if self.names.contains(name) {
            let held = self.is_held();
            let trouble = self.trouble(name);
            trouble.maybe += 1;
            trouble.owed |= held && !trouble.deaf;
        }
    }

    // ---- what it sees ----

    pub(super) fn read(&mut self, server: &Server) {
        loop {
            match self.queue.pop(None) {
                Popped::Item(Item::Batch(batch)) => self.messages(batch),
                Popped::Item(Item::Gap(gap)) => self.gap(&gap),
                Popped::Item(Item::Error(error)) if error.kind() == ErrorKind::Overflow => {
                    assert_eq!(self.lazy, Some(Overflow::Close));
                }
                Popped::Item(Item::Error(error)) => {
                    let named = |name: &&Name| {
                        let name = String::from_utf8_lossy(&name.1);
                        error.to_string().contains(&format!(" {name} again"))
                    };
                    let refused = server.refused.iter().find(named);
                    let refused = refused.unwrap_or_else(|| panic!("{error}"));
                    assert!(
                        self.names.iter().any(|name| name.1 == refused.1),
                        "{error}: {self:?}"
                    );
                }
                Popped::Item(item) => panic!("{item:?}"),
                Popped::Empty => return,
                Popped::Ended => {
                    self.ended = true;
                    return;
                }
            }
        }
    }

    fn messages(&mut self, mut batch: Batch) {
        let mut copies: Vec<Copy> = Vec::new();
        while let Some((block, record)) = batch.next() {
            let name = block[record.subscribed()].to_vec();
            let number = std::str::from_utf8(&block[record.payload()]).unwrap();
            let name = (record.kind().subscribed_as(), name);
            copies.push((name, number.parse().unwrap()));
        }
        for copy in copies {
            assert!(self.names.contains(&copy.0), "{copy:?} for {self:?}");
            if self.lazy.is_some() {
                assert!(copy.1 >= self.newest, "{copy:?} for {self:?}");
                self.newest = copy.1;
                self.read += 1;
                continue;
            }
            let deaf = self.trouble(&copy.0).deaf;
            assert!(!deaf, "{copy:?} before the gap: {self:?}");
            loop {
                let Some(expected) = self.expected.pop_front() else {
                    panic!("{copy:?} was not to come: {self:?}");
                };
                if expected.copy == copy {
                    break;
                }
                assert!(!expected.must, "{expected:?} was left out: {self:?}");
            }
        }
    }

    fn gap(&mut self, gap: &Gap) {
        if gap.cause() == GapCause::Overflow {
            assert!(self.lazy.is_some());
            self.dropped += gap.dropped().unwrap();
            return;
        }
        assert!(gap.names().len() > 0, "{gap:?}");
        if self.lazy.is_some() {
            return;
        }
        for name in gap.names() {
            let mut kinds = self.names.iter().filter(|one| one.1 == name).cloned();
            let name = kinds.next().expect("a gap of its own names");
            let trouble = self.trouble(&name);
            trouble.owed = false;
            if std::mem::take(&mut trouble.deaf) {
                continue;
            }
            assert!(trouble.maybe > 0, "{gap:?} without a loss: {self:?}");
            trouble.maybe -= 1;
        }
    }

    // ---- where it goes ----

    /// Takes note of an answer. Says whether it has left by that.
    pub(super) fn advance(&mut self, server: &Server) -> bool {
        let error = match &mut self.phase {
            Phase::Joining(joined) => match joined.try_recv() {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(error),
                Err(oneshot::error::TryRecvError::Empty) => return false,
                Err(error) => panic!("{error}"),
            },
            Phase::Draining(drained) => {
                if drained.try_recv().is_err() {
                    return false;
                }
                self.read(server);
                assert!(self.ended, "{self:?}");
                self.assert_complete();
                return true;
            }
            Phase::Held => {
                // Whoever reads the end drops it.
                return self.ended;
            }
            Phase::Gone(_) => return false,
        };
        let Some(error) = error else {
            self.phase = Phase::Held;
            return false;
        };
        let named = |name: &&Name| {
            let text = format!("refused {}", String::from_utf8_lossy(&name.1));
            self.names.contains(name) && error.to_string().contains(&text)
        };
        assert!(
            server.refused.iter().any(|name| named(&name)),
            "{error}: {self:?}"
        );
        true
    }

    /// Nothing is missing that was to come.
    pub(super) fn assert_complete(&mut self) {
        let left = self.expected.iter().find(|expected| expected.must);
        if self.lazy.is_none() {
            assert!(left.is_none(), "{left:?} has not come: {self:?}");
            return;
        }
        let (counters, queued, _) = self.queue.counters();
        assert_eq!(queued, 0);
        assert_eq!(counters.received, self.read + self.dropped, "{self:?}");
        assert_eq!(counters.dropped, self.dropped, "{self:?}");
    }

    /// Nothing has come since it has left; and of one that stays each gap was told, unless the server still refuses.
    pub(super) fn settled(&mut self, server: &Server) {
        match self.phase {
            Phase::Gone(received) => {
                assert_eq!(self.queue.counters().0.received, received, "{self:?}");
            }
            Phase::Held => {
                self.read(server);
                self.assert_complete();
                for (name, trouble) in &self.trouble {
                    let told = !trouble.deaf && !trouble.owed;
                    assert!(
                        told || self.lazy.is_some() || server.denied.contains(name),
                        "the gap of {name:?} was never told: {self:?}"
                    );
                }
            }
            _ => panic!("without an answer: {self:?}"),
        }
    }
}
