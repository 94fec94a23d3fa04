//! The bounded queue between the task that reads the socket and whoever reads the monitor.
//!
//! A server keeps without limit what a monitor does not read, so the socket is always read: what finds no room here is
//! dropped and counted. Many tasks may fill one queue, each with what its node of a cluster shows.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use bytes::Bytes;
use tidings_proto::cluster::Address;
use tidings_proto::monitor::Notation;

use crate::error::{Error, ErrorKind};
use crate::pubsub::{Gap, GapCause};

/// Lines that a queue holds unless told otherwise.
pub(super) const DEFAULT_LINES: usize = 65_536;

/// Bytes that a queue holds unless told otherwise.
pub(super) const DEFAULT_BYTES: usize = 16 * 1024 * 1024;

/// What a line costs beside its bytes, so that empty lines are not for nothing.
const LINE_COST: usize = size_of::<Item<Address>>();

/// An empty queue keeps room for so many items.
const KEPT_ITEMS: usize = 1024;

/// The bounds of a queue.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(super) lines: usize,
    pub(super) bytes: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            lines: DEFAULT_LINES,
            bytes: DEFAULT_BYTES,
        }
    }
}

/// One thing in a queue, of the node `N` if there are many.
#[derive(Debug)]
pub(crate) enum Item<N = ()> {
    Line(N, Bytes),
    /// The lines that follow are in this notation; they come from a new connection if there is a gap before them.
    Begun(N, Notation, Option<Loss>),
    /// What is missing of a node that shows nothing more.
    Lost(Loss),
    /// Lines that found no room.
    Dropped(Gap),
    Error(Error),
}

/// A connection that was lost, and why.
#[derive(Debug)]
pub(crate) struct Loss {
    pub(crate) gap: Gap,
    pub(crate) error: Error,
}

#[derive(Debug)]
pub(crate) struct Queue<N = ()> {
    bounds: Bounds,
    inner: Mutex<Inner<N>>,
}

#[derive(Debug)]
struct Inner<N> {
    items: VecDeque<Item<N>>,
    lines: usize,
    bytes: usize,
    /// When the newest line came that was not dropped.
    complete_until: Instant,
    ended: bool,
    /// Nobody reads any more.
    closing: bool,
    reader: Option<Waker>,
    task: Option<Waker>,
}

impl<N: PartialEq> Queue<N> {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            inner: Mutex::new(Inner {
                items: VecDeque::new(),
                lines: 0,
                bytes: 0,
                complete_until: Instant::now(),
                ended: false,
                closing: false,
                reader: None,
                task: None,
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner<N>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // ---- the reader's side ----

    /// The oldest item, or `None` at the end.
    pub(crate) fn poll_pop(&self, cx: &mut Context<'_>) -> Poll<Option<Item<N>>> {
        let mut inner = self.lock();
        match inner.items.pop_front() {
            Some(item) => {
                if let Item::Line(_, line) = &item {
                    inner.lines -= 1;
                    inner.bytes -= cost(line);
                }
                if inner.items.is_empty() && inner.items.capacity() > KEPT_ITEMS {
                    inner.items = VecDeque::new();
                }
                Poll::Ready(Some(item))
            }
            None if inner.ended => Poll::Ready(None),
            None => {
                inner.reader = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Nobody reads any more.
    pub(crate) fn close(&self) {
        let mut inner = self.lock();
        inner.closing = true;
        let items = std::mem::take(&mut inner.items);
        let task = inner.task.take();
        drop(inner);
        drop(items);
        if let Some(task) = task {
            task.wake();
        }
    }

    // ---- the writer's side ----

    /// Ready when nobody reads any more.
    pub(crate) fn poll_closed(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut inner = self.lock();
        if inner.closing {
            return Poll::Ready(());
        }
        match &mut inner.task {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    /// Adds what one read brought.
    pub(crate) fn push(&self, items: impl IntoIterator<Item = Item<N>>) {
        let mut inner = self.lock();
        if inner.closing || inner.ended {
            return;
        }
        let now = Instant::now();
        let begin = inner.items.len();
        let mut dropped = 0;
        for item in items {
            match item {
                Item::Line(node, line) if inner.has_room(&self.bounds, &line) => {
                    inner.settle(&mut dropped);
                    inner.lines += 1;
                    inner.bytes += cost(&line);
                    inner.items.push_back(Item::Line(node, line));
                    inner.complete_until = now;
                }
                Item::Line(..) => dropped += 1,
                item => {
                    inner.settle(&mut dropped);
                    inner.push_other(item);
                }
            }
        }
        if inner.settle(&mut dropped) {
            // What was kept of this read is not to keep alive what was dropped of it.
            for item in inner.items.range_mut(begin..) {
                if let Item::Line(_, line) = item {
                    *line = Bytes::copy_from_slice(line);
                }
            }
        }
        let reader = inner.reader.take();
        drop(inner);
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    /// Nothing comes any more, after `last` if there is such a thing.
    pub(crate) fn end(&self, last: Option<Error>) {
        let mut inner = self.lock();
        if !inner.ended {
            inner.ended = true;
            inner.items.extend(last.map(Item::Error));
        }
        let reader = inner.reader.take();
        drop(inner);
        if let Some(reader) = reader {
            reader.wake();
        }
    }
}

fn cost(line: &Bytes) -> usize {
    line.len() + LINE_COST
}

impl<N: PartialEq> Inner<N> {
    /// A line larger than the whole queue could otherwise never pass.
    fn has_room(&self, bounds: &Bounds, line: &Bytes) -> bool {
        self.lines == 0
            || (self.lines < bounds.lines && self.bytes.saturating_add(cost(line)) <= bounds.bytes)
    }

    /// Notes that so many lines were dropped here; whether there were any.
    fn settle(&mut self, dropped: &mut u64) -> bool {
        let count = std::mem::take(dropped);
        if count == 0 {
            return false;
        }
        let gap = Gap::until_now(
            GapCause::Overflow,
            self.complete_until,
            Some(count),
            Vec::new(),
        );
        self.push_other(Item::Dropped(gap));
        true
    }

    /// What is no line. Behind the last line stands one thing of each kind and node at most, or a consumer that has
    /// stopped and a connection that comes and goes would fill the memory.
    fn push_other(&mut self, new: Item<N>) {
        let tail = self.items.iter_mut().rev();
        for item in tail.take_while(|item| !matches!(item, Item::Line(..))) {
            match (item, &new) {
                (Item::Dropped(gap), Item::Dropped(more)) => return gap.merge(more),
                (Item::Lost(loss), Item::Lost(more)) if loss.gap.node() == more.gap.node() => {
                    return loss.gap.merge(&more.gap);
                }
                (Item::Begun(node, notation, loss), Item::Begun(newer_node, newer, Some(more)))
                    if node == newer_node =>
                {
                    notation.clone_from(newer);
                    if let Some(loss) = loss {
                        loss.gap.merge(&more.gap);
                        return;
                    }
                    // The first connection was lost before its first line.
                    break;
                }
                (Item::Error(error), Item::Error(newer)) if error.node() == newer.node() => {
                    error.clone_from(newer);
                    return;
                }
                _ => {}
            }
        }
        self.items.push_back(new);
    }
}

impl Loss {
    /// What stands in the stream at the place of the loss.
    pub(super) fn into_error(self) -> Error {
        let Some(node) = self.gap.node().cloned() else {
            let text = "the connection was lost and made again: commands may be missing here";
            return Error::connection(text)
                .with_source(self.error)
                .with_gap(self.gap);
        };
        let cause = self.gap.cause();
        let text = format!("commands of the node at {node} may be missing here: {cause}");
        Error::connection(text)
            .with_source(self.error)
            .with_gap(self.gap)
            .at_node(node)
    }
}

/// What stands in the stream at the place of dropped lines.
pub(super) fn overflow(gap: Gap) -> Error {
    let count = gap.dropped().unwrap_or_default();
    let text = format!("the monitor's queue was full: {count} commands are missing here");
    Error::new(ErrorKind::Overflow, text).with_gap(gap)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(lines: usize, bytes: usize) -> Queue {
        Queue::new(Bounds { lines, bytes })
    }

    fn line(text: impl Into<Bytes>) -> Item {
        Item::Line((), text.into())
    }

    fn begun(again: bool) -> Item {
        let gap = Gap::until_now(GapCause::Disconnected, Instant::now(), None, Vec::new());
        let error = Error::connection("lost");
        Item::Begun((), Notation::Escaped, again.then_some(Loss { gap, error }))
    }

    /// What there is, in short.
    fn read(queue: &Queue, most: usize) -> Vec<String> {
        let mut cx = Context::from_waker(Waker::noop());
        let mut found = Vec::new();
        while found.len() < most {
            let Poll::Ready(item) = queue.poll_pop(&mut cx) else {
                break;
            };
            found.push(match item {
                Some(Item::Line(_, line)) => String::from_utf8_lossy(&line).into_owned(),
                Some(Item::Begun(_, _, loss)) => format!("begun, lost: {}", loss.is_some()),
                Some(Item::Dropped(gap)) => format!("dropped {}", gap.dropped().unwrap()),
                Some(Item::Lost(loss)) => format!("lost {:?}", loss.gap.node()),
                Some(Item::Error(error)) => error.to_string(),
                None => {
                    found.push("end".to_owned());
                    break;
                }
            });
        }
        found
    }

    #[test]
    fn mo_02_a_full_queue_drops_the_newest_lines_and_counts_them_at_their_place() {
        let queue = queue(2, usize::MAX);
        for text in ["a", "b", "c", "d"] {
            queue.push([line(text)]);
        }
        assert_eq!(read(&queue, 1), ["a"]);
        queue.push(["e", "f", "g"].map(line));
        assert_eq!(read(&queue, 9), ["b", "dropped 2", "e", "dropped 2"]);
        queue.push([line("h")]);
        queue.end(Some(Error::closed("over")));
        queue.push([line("i")]);
        assert_eq!(read(&queue, 9), ["h", "over", "end"]);
    }

    #[test]
    fn a_line_larger_than_the_queue_passes_when_it_is_alone() {
        let queue = queue(10, 100 + 2 * LINE_COST);
        let large = "x".repeat(1_000);
        queue.push([large.as_str(), "a"].map(|text| line(text.to_owned())));
        assert_eq!(read(&queue, 9), [large.as_str(), "dropped 1"]);
        let half = "y".repeat(50);
        queue.push([&half, &half, &half].map(|text| line(text.clone())));
        assert_eq!(read(&queue, 9), [&half, &half, "dropped 1"]);
    }

    #[test]
    fn what_is_kept_of_a_read_keeps_nothing_of_what_was_dropped() {
        let queue = queue(1, usize::MAX);
        let block = Bytes::from(vec![b'x'; 1_000]);
        queue.push([line(block.slice(..10)), line(block.slice(10..))]);
        assert!(block.is_unique());
        assert_eq!(read(&queue, 9), ["x".repeat(10).as_str(), "dropped 1"]);
    }

    #[test]
    fn a_connection_that_comes_and_goes_fills_no_queue() {
        let queue = queue(1, usize::MAX);
        queue.push([begun(false), line("a")]);
        for _ in 0..100 {
            queue.push([Item::Error(Error::connection("refused"))]);
            queue.push([begun(true), line("b")]);
        }
        assert_eq!(
            read(&queue, 9),
            [
                "begun, lost: false",
                "a",
                "refused",
                "begun, lost: true",
                "dropped 100"
            ]
        );
    }

    #[test]
    fn a_first_connection_that_was_lost_at_once_is_a_gap() {
        let queue = queue(1, usize::MAX);
        queue.push([begun(false)]);
        queue.push([begun(true)]);
        queue.push([begun(true)]);
        assert_eq!(read(&queue, 9), ["begun, lost: false", "begun, lost: true"]);
    }

    #[test]
    fn what_nobody_will_read_is_given_up() {
        let queue = queue(10, usize::MAX);
        let block = Bytes::from(vec![b'x'; 100]);
        queue.push([line(block.clone())]);
        queue.close();
        queue.push([line(block.clone())]);
        assert!(block.is_unique());
        let mut cx = Context::from_waker(Waker::noop());
        assert!(queue.poll_closed(&mut cx).is_ready());
    }
}
