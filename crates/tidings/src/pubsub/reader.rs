//! The reader's end of a queue: messages are made here, one after the other, of the batches that come through it.

use std::marker::PhantomData;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use tidings_proto::Charset;
use tidings_proto::pubsub::Record;
use tokio::task::coop;

use super::event::{Confirmation, Gap, Message, shown};
use super::payload::{FromPayload, PayloadError};
use super::queue::{Batch, Item, Popped, Queue};
use super::stats::Stats;
use crate::driver::subscriber::LinkStats;
use crate::error::{Error, ErrorKind, Result};

/// Payloads up to this size are copied out of the block that they came in: that costs no more than sharing it,
/// and a small message that is kept for long then keeps nothing else.
const COPIED_PAYLOAD: usize = 256;

/// As many operations as tokio lets a task do in one turn. A thread that is no task may do any number.
const OPERATIONS: usize = 128;

/// Takes one thing after the other out of a queue.
pub(crate) struct Reader<P> {
    queue: Arc<Queue>,
    current: Batch,
    charset: Charset,
    payload: PhantomData<fn() -> P>,
}

/// What a look into the queue gave.
pub(crate) enum Taken<P> {
    Message(Message<P>),
    Confirmation(Confirmation),
    /// A confirmation that the reader does not want to see.
    Unseen,
    Gap(Gap),
    Error(Error),
    /// Nothing there now.
    Empty,
    /// Nothing will come any more.
    Ended,
}

impl<P> Reader<P> {
    pub(crate) fn new(queue: Arc<Queue>, charset: Charset) -> Self {
        Self {
            queue,
            current: Batch::default(),
            charset,
            payload: PhantomData,
        }
    }

    /// Gives up what was not read, and what is yet to come.
    pub(crate) fn discard(&mut self) {
        let held = std::mem::take(&mut self.current);
        self.queue.discard(held.len());
    }

    /// Counters of this reader and of its connection.
    pub(crate) fn stats(&self, link: &LinkStats) -> Stats {
        let (counters, queued, bytes) = self.queue.counters();
        let queued = queued as u64 + self.current.len() as u64;
        Stats {
            received: counters.received,
            delivered: counters.received - counters.dropped - queued,
            dropped: counters.dropped,
            queued,
            bytes_queued: (bytes + self.current.cost_left()) as u64,
            gaps: counters.gaps,
            reconnects: link.reconnects,
            last_message: counters.last_message.map(|at| at.elapsed()),
            last_pong: link.last_pong.map(|at| at.elapsed()),
        }
    }
}

impl<P: FromPayload> Reader<P> {
    /// The next message of the batch at hand, as `shown`: the path of nearly all messages, small enough to become
    /// part of the reader's own loop.
    ///
    /// What it gives is made at once, and in its place: a message that is put into something else afterwards is
    /// moved through memory as often.
    #[allow(
        clippy::inline_always,
        reason = "the loop of each reader is around it: a tenth of the time that a small message takes"
    )]
    #[inline(always)]
    pub(crate) fn next_at_hand<T>(
        &mut self,
        shown: impl FnOnce(Message<P>) -> T,
    ) -> Option<Result<T>> {
        let (block, record) = self.current.next()?;
        Some(message_of(block, record, self.charset, shown))
    }

    /// Takes one thing. [`Taken::Empty`] leaves the waker behind; pending means that other tasks are to have their
    /// turn.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Taken<P>> {
        loop {
            if let Some(taken) = self.next_at_hand(Taken::Message) {
                return Poll::Ready(taken.unwrap_or_else(Taken::Error));
            }
            if !coop::has_budget_remaining() && !self.queue.is_empty() {
                let turn = ready!(coop::poll_proceed(cx));
                turn.made_progress();
            }
            return Poll::Ready(match self.queue.pop(Some(cx)) {
                Popped::Item(Item::Batch(batch)) => {
                    spend_budget(batch.len());
                    self.current = batch;
                    continue;
                }
                Popped::Item(Item::Confirmation(confirmation)) => Taken::Confirmation(confirmation),
                Popped::Item(Item::Unseen(_)) => Taken::Unseen,
                Popped::Item(Item::Gap(gap)) => Taken::Gap(gap),
                Popped::Item(Item::Error(error)) => Taken::Error(error),
                Popped::Empty => Taken::Empty,
                Popped::Ended => Taken::Ended,
            });
        }
    }
}

/// A message counts as one operation: a consumer that always finds some lets other tasks, and its own time-outs, have
/// their turn between two batches.
pub(crate) fn spend_budget(messages: usize) {
    let mut cx = Context::from_waker(Waker::noop());
    for _ in 0..messages.min(OPERATIONS) {
        if !coop::has_budget_remaining() {
            return;
        }
        if let Poll::Ready(turn) = coop::poll_proceed(&mut cx) {
            turn.made_progress();
        }
    }
}

#[allow(
    clippy::inline_always,
    reason = "the loop of each reader is around it: a tenth of the time that a small message takes"
)]
#[inline(always)]
fn message_of<P: FromPayload, T>(
    block: &Bytes,
    record: &Record,
    charset: Charset,
    shown: impl FnOnce(Message<P>) -> T,
) -> Result<T> {
    let range = record.payload();
    let payload = if range.len() <= COPIED_PAYLOAD {
        Bytes::copy_from_slice(&block[range])
    } else {
        block.slice(range)
    };
    let (names, channel) = record.names(block);
    let payload = match P::from_payload_in(payload, charset) {
        Ok(payload) => payload,
        Err(error) => return Err(undecodable(block, record, charset, error)),
    };
    Ok(shown(Message::new(
        names,
        channel,
        record.pattern_len(),
        record.kind(),
        payload,
        charset,
    )))
}

#[cold]
fn undecodable(block: &Bytes, record: &Record, charset: Charset, error: PayloadError) -> Error {
    let (names, channel) = record.names(block);
    let payload = Bytes::copy_from_slice(&block[record.payload()]);
    let raw = Message::new(
        names.detached(),
        channel,
        record.pattern_len(),
        record.kind(),
        payload,
        charset,
    );
    let text = format!(
        "a message of {} could not be decoded",
        shown(raw.channel(), charset)
    );
    Error::new(ErrorKind::Decode, text)
        .with_source(error)
        .with_raw_message(raw)
}
