//! The bounded queue between the task that owns the socket and the subscriber that reads.
//!
//! Messages travel in batches, one for all that a single read brought: one lock and one wake. A batch is the
//! block of bytes and the offsets of its messages; the messages themselves are made on the subscriber's side.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};
use std::time::Instant;

use bytes::Bytes;
use tidings_proto::Blob;
use tidings_proto::pubsub::Record;

use super::event::{Confirmation, Gap, GapCause};
use crate::error::{Error, ErrorKind, Result};

/// Messages that a queue holds unless told otherwise.
const DEFAULT_MESSAGES: usize = 65_536;

/// Bytes that a queue holds unless told otherwise: as much as servers keep for a subscriber by default.
const DEFAULT_BYTES: usize = 32 * 1024 * 1024;

/// An empty queue keeps room for so many items: the confirmations of many names at once are over soon.
const KEPT_ITEMS: usize = 1024;

/// Names that the gap of an overflow lists; with more it says that any name may be concerned.
const GAP_NAMES: usize = 64;

/// Messages that are so many bytes of a block may keep all of it: a block is a few times that.
const SHARED_RUN: usize = 64 * 1024;

/// A block up to this size was made for what is in it.
const SMALL_BLOCK: usize = 4 * 1024;

/// What a full queue does.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Overflow {
    /// Stop reading the socket until there is room. Nothing is dropped here; the server ends the connection when
    /// its own output limit is reached, which then shows as a gap.
    #[default]
    Backpressure,
    /// Drop the oldest messages that were not read yet.
    DropOldest,
    /// Drop the newest messages.
    DropNewest,
    /// End the subscriber with an error.
    Close,
}

/// The bounds of a queue.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) messages: usize,
    pub(crate) bytes: usize,
    pub(crate) overflow: Overflow,
    /// Whether the subscriber ignores confirmations.
    pub(crate) unseen: bool,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            messages: DEFAULT_MESSAGES,
            bytes: DEFAULT_BYTES,
            overflow: Overflow::default(),
            unseen: false,
        }
    }
}

/// The bounds of a queue whose connection others share, unless told otherwise.
pub(crate) const SHARED_BOUNDS: Bounds = Bounds {
    messages: DEFAULT_MESSAGES,
    bytes: DEFAULT_BYTES,
    overflow: Overflow::DropOldest,
    unseen: false,
};

impl Bounds {
    /// So many messages and bytes: at least one of each.
    pub(crate) fn limit(&mut self, messages: usize, bytes: usize) {
        self.messages = messages.max(1);
        self.bytes = bytes.max(1);
    }

    /// Whether a queue may have them whose connection others share.
    pub(crate) fn check_shared(&self) -> Result<()> {
        if self.overflow != Overflow::Backpressure {
            return Ok(());
        }
        Err(Error::misuse(
            "its connection is shared by others, and cannot be left unread: choose another overflow, or make a PubSub, \
             which has a connection of its own",
        ))
    }
}

/// The messages that one read brought.
#[derive(Debug, Default, Clone)]
pub(crate) struct Batch {
    block: Bytes,
    records: Vec<Record>,
    next: usize,
    /// What the records cost together, as they were counted into the queue and not yet out of it.
    cost: usize,
    /// When it came.
    at: Option<Instant>,
    /// When the batch before it came: the last time at which none of these messages was missing.
    since: Option<Instant>,
    /// Which of several servers it came from, where that matters.
    source: u32,
}

impl Batch {
    pub(crate) fn new(block: Bytes, records: Vec<Record>, at: Instant) -> Self {
        Self::made(block, records, Some(at))
    }

    fn made(block: Bytes, records: Vec<Record>, at: Option<Instant>) -> Self {
        let cost = records.iter().map(Record::cost).sum();
        Self {
            block,
            records,
            next: 0,
            cost,
            at,
            since: None,
            source: 0,
        }
    }

    /// The same, from this one of several servers.
    pub(crate) fn at_source(mut self, source: u32) -> Self {
        self.source = source;
        self
    }

    pub(crate) fn source(&self) -> u32 {
        self.source
    }

    /// Messages for somebody whom the others in the block do not concern: unless they are a large part of it, they
    /// get one of their own, which is shared by all who receive them.
    pub(crate) fn of_run(block: &Bytes, run: &[Record], at: Instant) -> Self {
        let cost: usize = run.iter().map(Record::cost).sum();
        let small = block.len() <= SMALL_BLOCK;
        if cost >= SHARED_RUN || (small && cost * 2 >= block.len()) {
            return Self::new(block.clone(), run.to_vec(), at);
        }
        let (bytes, records) = copied(block, run, cost);
        Self::new(bytes, records, at)
    }

    #[inline]
    pub(crate) fn next(&mut self) -> Option<(&Bytes, &Record)> {
        if self.next < self.records.len() {
            self.next += 1;
            return Some((&self.block, &self.records[self.next - 1]));
        }
        if self.next > 0 {
            self.release();
        }
        None
    }

    /// Lets whoever reads the socket use the block again.
    #[cold]
    fn release(&mut self) {
        *self = Self::default();
    }

    pub(crate) fn len(&self) -> usize {
        self.records.len() - self.next
    }

    /// What the messages that are left cost.
    pub(crate) fn cost_left(&self) -> usize {
        self.rest().iter().map(Record::cost).sum()
    }

    fn rest(&self) -> &[Record] {
        &self.records[self.next..]
    }

    /// How many of the first messages fit into so many messages and bytes.
    fn fitting(&self, messages: usize, bytes: usize) -> usize {
        let mut left = bytes;
        self.rest()
            .iter()
            .take(messages)
            .take_while(|record| match left.checked_sub(record.cost()) {
                Some(rest) => {
                    left = rest;
                    true
                }
                None => false,
            })
            .count()
    }

    /// The first `keep` messages in a block of their own, so that they do not keep alive what was dropped.
    fn compact(self, keep: usize) -> Self {
        let kept = &self.rest()[..keep];
        if kept.iter().map(Record::cost).sum::<usize>() * 2 >= self.block.len() {
            let records = kept.to_vec();
            return Self::made(self.block, records, self.at).at_source(self.source);
        }
        let (bytes, records) = copied(&self.block, kept, 0);
        Self::made(bytes, records, self.at).at_source(self.source)
    }
}

/// Messages in a block of their own.
fn copied(block: &[u8], records: &[Record], room: usize) -> (Bytes, Vec<Record>) {
    let mut bytes = Vec::with_capacity(room);
    let records = records
        .iter()
        .map(|record| record.copy_to(block, &mut bytes))
        .collect();
    (bytes.into(), records)
}

/// One thing in a queue.
#[derive(Debug)]
pub(crate) enum Item {
    Batch(Batch),
    Confirmation(Confirmation),
    /// So many confirmations that the subscriber does not want to see.
    Unseen(usize),
    Gap(Gap),
    Error(Error),
}

/// Counters of one subscriber.
#[derive(Debug, Default, Clone)]
pub(crate) struct Counters {
    pub(crate) received: u64,
    pub(crate) dropped: u64,
    pub(crate) gaps: u64,
    pub(crate) last_message: Option<Instant>,
}

#[derive(Debug)]
pub(crate) struct Queue {
    bounds: Bounds,
    made: Instant,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    items: VecDeque<Item>,
    messages: usize,
    bytes: usize,
    counters: Counters,
    /// Nothing comes behind the items any more.
    ended: bool,
    reader: Option<Waker>,
    /// Those who fill the queue, a task for each connection, waiting for room in it.
    writers: Vec<Waker>,
}

/// What came of [`Queue::push`].
#[must_use]
pub(crate) struct Pushed {
    /// If not, the queue was full and closes the subscriber; nothing comes behind that.
    pub(crate) open: bool,
    /// Is to be woken.
    pub(crate) reader: Option<Waker>,
}

/// What [`Queue::pop`] found.
pub(crate) enum Popped {
    Item(Item),
    Empty,
    Ended,
}

impl Queue {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            made: Instant::now(),
            inner: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // ---- the reader's side ----

    /// The oldest item. If there is none, `cx` is woken when one comes.
    pub(crate) fn pop(&self, cx: Option<&mut Context<'_>>) -> Popped {
        let mut inner = self.lock();
        let Some(item) = inner.items.pop_front() else {
            if inner.ended {
                return Popped::Ended;
            }
            if let Some(cx) = cx {
                match &mut inner.reader {
                    Some(waker) => waker.clone_from(cx.waker()),
                    none => *none = Some(cx.waker().clone()),
                }
            }
            return Popped::Empty;
        };
        if let Item::Unseen(count @ 2..) = item {
            inner.items.push_front(Item::Unseen(count - 1));
        }
        if inner.items.is_empty() && inner.items.capacity() > KEPT_ITEMS {
            inner.items = VecDeque::new();
        }
        let mut writers = Vec::new();
        if let Item::Batch(batch) = &item {
            inner.messages -= batch.len();
            inner.bytes -= batch.cost;
            if self.has_room(&inner) {
                writers = std::mem::take(&mut inner.writers);
            }
        }
        drop(inner);
        writers.into_iter().for_each(Waker::wake);
        Popped::Item(item)
    }

    /// Nobody reads any more, nor the `held` messages that were taken out last: what is queued is given up.
    pub(crate) fn discard(&self, held: usize) {
        let mut inner = self.lock();
        inner.ended = true;
        inner.counters.dropped += (inner.messages + held) as u64;
        (inner.messages, inner.bytes) = (0, 0);
        let items = std::mem::take(&mut inner.items);
        drop(inner);
        drop(items);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lock().items.is_empty()
    }

    /// The counters, and the messages and bytes that are queued.
    pub(crate) fn counters(&self) -> (Counters, usize, usize) {
        let inner = self.lock();
        (inner.counters.clone(), inner.messages, inner.bytes)
    }

    // ---- the writer's side ----

    fn has_room(&self, inner: &Inner) -> bool {
        self.bounds.overflow != Overflow::Backpressure
            || (inner.messages < self.bounds.messages && inner.bytes < self.bounds.bytes)
    }

    /// Whether the socket is to be read. If not, `cx` is woken when it is.
    pub(crate) fn poll_room(&self, cx: &mut Context<'_>) -> bool {
        let mut inner = self.lock();
        let room = self.has_room(&inner);
        let waits = |known: &Waker| known.will_wake(cx.waker());
        if !room && !inner.writers.iter().any(waits) {
            inner.writers.push(cx.waker().clone());
        }
        room
    }

    /// Adds what one read brought.
    pub(crate) fn push(&self, items: impl IntoIterator<Item = Item>) -> Pushed {
        let mut inner = self.lock();
        for item in items {
            if inner.ended {
                break;
            }
            match item {
                Item::Batch(batch) => self.push_batch(&mut inner, batch),
                Item::Gap(gap) => inner.push_gap(gap),
                // What a drop policy may drop silently: the state is not lost, only the news of it.
                // News of a state that can be asked for.
                Item::Confirmation(_) if self.is_crowded(&inner) => {}
                // The end of a subscription is the end of its handler as well.
                Item::Confirmation(begun) if begun.ended().is_none() && self.bounds.unseen => {
                    match inner.items.back_mut() {
                        Some(Item::Unseen(count)) => *count += 1,
                        _ => inner.items.push_back(Item::Unseen(1)),
                    }
                }
                item => inner.items.push_back(item),
            }
        }
        Pushed {
            open: !inner.ended,
            reader: inner.reader.take(),
        }
    }

    /// Nothing comes any more, after `last` if there is such a thing. The reader is to be woken.
    #[must_use]
    pub(crate) fn end(&self, last: Option<Error>) -> Option<Waker> {
        let mut inner = self.lock();
        if !inner.ended {
            inner.items.extend(last.map(Item::Error));
            inner.ended = true;
        }
        inner.reader.take()
    }

    /// The reader, to be woken to look again at what is not in the queue.
    #[must_use]
    pub(crate) fn take_reader(&self) -> Option<Waker> {
        self.lock().reader.take()
    }

    /// Twice as many items as messages are allowed: a consumer that has stopped, and a connection that comes and
    /// goes.
    fn is_crowded(&self, inner: &Inner) -> bool {
        inner.items.len()
            > self
                .bounds
                .messages
                .saturating_mul(2)
                .max(DEFAULT_MESSAGES * 4)
    }

    fn push_batch(&self, inner: &mut Inner, mut batch: Batch) {
        inner.counters.received += batch.len() as u64;
        let before = inner.counters.last_message;
        inner.counters.last_message = batch.at.or(before);
        batch.since = before.or(Some(self.made));
        let Bounds {
            messages,
            bytes,
            overflow,
            ..
        } = self.bounds;
        let cost = batch.cost;
        let fits = inner.messages + batch.len() <= messages && inner.bytes + cost <= bytes;
        if fits || overflow == Overflow::Backpressure {
            inner.messages += batch.len();
            inner.bytes += cost;
            inner.items.push_back(Item::Batch(batch));
            return;
        }
        if overflow == Overflow::DropOldest {
            inner.messages += batch.len();
            inner.bytes += cost;
            inner.items.push_back(Item::Batch(batch));
            self.drop_oldest(inner);
            return;
        }
        let room = batch.fitting(
            messages.saturating_sub(inner.messages),
            bytes.saturating_sub(inner.bytes),
        );
        // A message larger than the whole queue could otherwise never pass.
        let room = if inner.messages == 0 {
            room.max(1)
        } else {
            room
        };
        let lost = gap_of(&batch, room, batch.len() - room);
        if room > 0 {
            let kept = batch.compact(room);
            inner.messages += kept.len();
            inner.bytes += kept.cost;
            inner.items.push_back(Item::Batch(kept));
        }
        if let Some(gap) = lost {
            inner.counters.dropped += gap.dropped().unwrap_or_default();
            inner.push_gap(gap);
            if overflow == Overflow::Close {
                inner.items.push_back(Item::Error(full()));
                inner.ended = true;
            }
        }
    }

    /// Drops from the front until the rest fits. The gap stands where the first dropped message was; what is
    /// not a message stays.
    fn drop_oldest(&self, inner: &mut Inner) {
        let Bounds {
            messages, bytes, ..
        } = self.bounds;
        let Some(place) = inner.first_batch(0) else {
            return;
        };
        let mut gap: Option<Gap> = None;
        let mut at = place;
        while let Some(Item::Batch(batch)) = inner.items.get_mut(at) {
            let (mut left, mut held, before) = (inner.messages, inner.bytes, inner.messages);
            for record in batch.rest() {
                // A message larger than the whole queue could otherwise never pass.
                if left == 1 || (left <= messages && held <= bytes) {
                    break;
                }
                left -= 1;
                held -= record.cost();
            }
            let count = before - left;
            if let Some(lost) = gap_of(batch, 0, count) {
                match &mut gap {
                    Some(gap) => gap.merge(&lost),
                    none => *none = Some(lost),
                }
            }
            batch.next += count;
            batch.cost -= inner.bytes - held;
            let more = batch.len() == 0;
            (inner.messages, inner.bytes) = (left, held);
            if !more {
                break;
            }
            inner.items.remove(at);
            let Some(next) = inner.first_batch(at) else {
                break;
            };
            at = next;
        }
        if let Some(gap) = gap {
            inner.counters.dropped += gap.dropped().unwrap_or_default();
            inner.insert_gap(place, gap);
        }
    }
}

/// Why a subscriber that was told to close has ended.
pub(crate) fn full() -> Error {
    let text = "the subscriber's queue is full, and was told to close then";
    Error::new(ErrorKind::Overflow, text)
}

/// The gap for `count` messages of `batch` that are dropped, from the one at `from` on.
fn gap_of(batch: &Batch, from: usize, count: usize) -> Option<Gap> {
    let lost = batch
        .rest()
        .get(from..from + count)
        .filter(|lost| !lost.is_empty())?;
    let mut names: HashSet<&[u8]> = HashSet::new();
    for record in lost {
        names.insert(&batch.block[record.pattern().unwrap_or_else(|| record.channel())]);
        if names.len() > GAP_NAMES {
            names.clear();
            break;
        }
    }
    let mut names: Vec<Blob> = names.into_iter().map(Blob::copy_from).collect();
    names.sort_unstable();
    Some(Gap::until_now(
        GapCause::Overflow,
        batch.since.unwrap_or_else(Instant::now),
        Some(count as u64),
        names,
    ))
}

impl Inner {
    fn first_batch(&self, from: usize) -> Option<usize> {
        (from..self.items.len()).find(|at| matches!(self.items[*at], Item::Batch(_)))
    }

    fn push_gap(&mut self, gap: Gap) {
        let at = self.items.len();
        self.insert_gap(at, gap);
    }

    /// Puts `gap` before the item at `at`, into the gap that stands there already if it has the same cause, and is of the
    /// same node.
    fn insert_gap(&mut self, at: usize, gap: Gap) {
        let before = self.items.iter_mut().take(at).rev();
        for item in before {
            match item {
                Item::Gap(known) if known.cause() == gap.cause() && known.node() == gap.node() => {
                    known.merge(&gap);
                    if gap.cause() == GapCause::Overflow && known.names().len() > GAP_NAMES {
                        known.name_any();
                    }
                    return;
                }
                Item::Confirmation(_) | Item::Unseen(_) | Item::Gap(_) => {}
                Item::Batch(_) | Item::Error(_) => break,
            }
        }
        self.counters.gaps += 1;
        self.items.insert(at, Item::Gap(gap));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;
    use std::time::{Duration, SystemTime};
    use tidings_proto::Charset;
    use tidings_proto::pubsub::{Scan, SubscriptionKind, Verb, scan_message};

    fn batch(range: std::ops::Range<u32>) -> Item {
        let (mut block, mut records) = (Vec::new(), Vec::new());
        for n in range {
            let at = block.len();
            let n = format!("{n:04}");
            block.extend_from_slice(
                format!(">3\r\n$7\r\nmessage\r\n$2\r\nch\r\n$4\r\n{n}\r\n").as_bytes(),
            );
            let Scan::Message(record, _) = scan_message(&block[at..], false) else {
                panic!()
            };
            records.push(record.offset_by(at));
        }
        Item::Batch(Batch::new(block.into(), records, Instant::now()))
    }

    fn queue(messages: usize, overflow: Overflow) -> Queue {
        Queue::new(Bounds {
            messages,
            bytes: usize::MAX,
            overflow,
            unseen: false,
        })
    }

    /// Numbers for messages, `-n` for a gap of n, `!` for an error.
    fn drain(queue: &Queue) -> String {
        let mut out = Vec::new();
        loop {
            match queue.pop(None) {
                Popped::Item(Item::Batch(mut batch)) => {
                    while let Some((block, record)) = batch.next() {
                        let payload = &block[record.payload()];
                        let n: u32 = std::str::from_utf8(payload).unwrap().parse().unwrap();
                        out.push(n.to_string());
                    }
                }
                Popped::Item(Item::Gap(gap)) => {
                    assert_eq!(gap.names().collect::<Vec<_>>(), [b"ch"]);
                    out.push(format!("-{}", gap.dropped().unwrap()));
                }
                Popped::Item(Item::Error(_)) => out.push("!".to_owned()),
                Popped::Item(Item::Confirmation(_) | Item::Unseen(_)) => out.push("c".to_owned()),
                Popped::Empty | Popped::Ended => return out.join(" "),
            }
        }
    }

    #[test]
    fn drop_oldest_keeps_the_newest_and_the_gap_stands_before_them() {
        let queue = queue(3, Overflow::DropOldest);
        assert!(queue.push([batch(0..2)]).open);
        assert!(queue.push([batch(2..4)]).open);
        assert!(queue.push([batch(4..6)]).open);
        assert_eq!(drain(&queue), "-3 3 4 5");
        assert!(queue.push([batch(6..8)]).open);
        assert_eq!(drain(&queue), "6 7");
        assert_eq!(queue.counters().0.dropped, 3);
    }

    #[test]
    fn drop_newest_keeps_the_oldest_and_the_gap_stands_behind_them() {
        let queue = queue(3, Overflow::DropNewest);
        assert!(queue.push([batch(0..2)]).open);
        assert!(queue.push([batch(2..6)]).open);
        assert!(queue.push([batch(6..8)]).open);
        assert_eq!(drain(&queue), "0 1 2 -5");
        assert!(queue.push([batch(8..9)]).open);
        assert_eq!(drain(&queue), "8");
    }

    #[test]
    fn close_delivers_what_fitted_then_the_gap_then_the_error_then_the_end() {
        let queue = queue(3, Overflow::Close);
        assert!(!queue.push([batch(0..5)]).open);
        assert_eq!(drain(&queue), "0 1 2 -2 !");
        assert!(matches!(queue.pop(None), Popped::Ended));
    }

    #[test]
    fn nothing_comes_behind_the_end_not_even_of_the_same_read() {
        let confirmation = || {
            let (verb, kind) = (Verb::Unsubscribe, SubscriptionKind::Channel);
            Item::Confirmation(Confirmation::new(
                verb,
                kind,
                Blob::from("ch"),
                0,
                Charset::UTF_8,
            ))
        };
        let queue = queue(3, Overflow::Close);
        assert!(!queue.push([batch(0..5), confirmation(), batch(5..8)]).open);
        assert!(!queue.push([batch(8..9), confirmation()]).open);
        assert_eq!(drain(&queue), "0 1 2 -2 !");
        assert_eq!(queue.counters().0.dropped, 2);
    }

    #[test]
    fn an_overflow_begins_before_the_first_message_that_it_dropped_had_come() {
        for overflow in [Overflow::DropOldest, Overflow::DropNewest] {
            let queue = queue(1, overflow);
            let begin = SystemTime::now();
            assert!(queue.push([batch(0..1)]).open);
            let first_has_come = SystemTime::now();
            assert!(queue.push([batch(1..2)]).open);
            let gap = std::iter::from_fn(|| match queue.pop(None) {
                Popped::Item(item) => Some(item),
                Popped::Empty | Popped::Ended => None,
            })
            .find_map(|item| match item {
                Item::Gap(gap) => Some(gap),
                _ => None,
            });
            let gap = gap.expect("one was dropped");
            assert!(gap.since() <= first_has_come, "{overflow:?}: {gap:?}");
            assert!(gap.since() + Duration::from_secs(1) > begin, "{gap:?}");
            assert!(gap.until() > first_has_come, "{gap:?}");
        }
    }

    #[test]
    fn backpressure_takes_what_was_read_and_asks_to_read_no_more() {
        let queue = queue(3, Overflow::Backpressure);
        let mut cx = Context::from_waker(Waker::noop());
        assert!(queue.poll_room(&mut cx));
        assert!(queue.push([batch(0..5)]).open);
        assert!(!queue.poll_room(&mut cx));
        assert_eq!(drain(&queue), "0 1 2 3 4");
        assert!(queue.poll_room(&mut cx));
    }

    #[test]
    fn all_who_wait_for_room_are_woken() {
        #[derive(Default)]
        struct Wakes(AtomicUsize);
        impl Wake for Wakes {
            fn wake(self: Arc<Self>) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
        let queue = queue(3, Overflow::Backpressure);
        assert!(queue.push([batch(0..5)]).open);
        let connections: [Arc<Wakes>; 2] = Default::default();
        for connection in connections.iter().chain(&connections) {
            let waker = Waker::from(Arc::clone(connection));
            assert!(!queue.poll_room(&mut Context::from_waker(&waker)));
        }
        assert_eq!(drain(&queue), "0 1 2 3 4");
        for connection in &connections {
            assert_eq!(connection.0.load(Ordering::Relaxed), 1);
        }
    }

    #[test]
    fn a_message_larger_than_the_queue_passes_when_it_is_alone() {
        for overflow in [Overflow::DropOldest, Overflow::DropNewest] {
            let queue = Queue::new(Bounds {
                messages: 10,
                bytes: 1,
                overflow,
                unseen: false,
            });
            assert!(queue.push([batch(0..1)]).open);
            assert_eq!(drain(&queue), "0");
        }
    }

    #[test]
    fn what_drop_newest_keeps_does_not_keep_alive_what_it_drops() {
        let queue = queue(1, Overflow::DropNewest);
        assert!(queue.push([batch(0..1000)]).open);
        let Popped::Item(Item::Batch(batch)) = queue.pop(None) else {
            panic!()
        };
        assert!(batch.block.len() < 100);
    }
}
