//! One connection for commands: requests onto the wire, replies off it.

use std::ops::Range;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Instant;

use bytes::Bytes;
use tidings_proto::{Blob, Connection, ConnectionOptions, Event, Subscriptions, Transaction};

use super::Wire;
use super::body::{Answer, Batch, Cut, Exec, Patience, Position};
use super::mailbox::{Answered, Closing, Mailbox, Request};
use crate::error::{Error, Result};

/// No further commands are taken while so many bytes wait for the socket.
const OUTPUT_BYTES: usize = 256 * 1024;

/// No further commands are taken while so many wait for their replies: those of requesters that are gone are not
/// bounded by anything else.
const IN_FLIGHT: usize = 256 * 1024;

/// One connection for commands, until it is lost.
pub(super) struct Line {
    pub(super) wire: Wire,
    pub(super) connection: Connection<Request>,
    /// Not used on a connection that carries commands.
    subscriptions: Subscriptions,
    pub(super) mute: bool,
    /// How many bytes had been sent when the socket took no more.
    pub(super) stuck_at: Option<u64>,
    /// The batch that is being written, and how far. Nothing else may come in between.
    writing: Option<(Arc<Batch>, Position)>,
    /// What has come of the answer to the oldest request.
    part: Part,
    /// When something last came of the answer to the oldest request, or left of it: its time begins anew.
    pub(super) progress: Option<Instant>,
    /// How many requests are in flight that block.
    blocking: usize,
    /// Empty, and kept for its room.
    staged: Vec<Staged>,
    /// Answers that are to be handed over.
    pub(super) answers: Vec<Answered>,
}

/// Replies in the input, and the request that they complete.
type Staged = (Range<usize>, Option<Request>);

/// An answer that has not come in full.
#[derive(Default)]
enum Part {
    #[default]
    None,
    Replies(Vec<Bytes>),
    Transaction(Transaction),
}

impl Line {
    pub(super) fn new(wire: Wire, options: ConnectionOptions) -> Self {
        Self {
            wire,
            connection: Connection::new(options, Instant::now()),
            subscriptions: Subscriptions::new(),
            mute: false,
            stuck_at: None,
            writing: None,
            part: Part::None,
            progress: None,
            blocking: 0,
            staged: Vec::new(),
            answers: Vec::new(),
        }
    }

    fn has_capacity(&self) -> bool {
        self.wire.unsent() < OUTPUT_BYTES && self.connection.in_flight() < IN_FLIGHT
    }

    pub(super) fn has_more(&self, mailbox: &Mailbox) -> bool {
        self.has_capacity() && (self.writing.is_some() || !mailbox.lock().is_empty())
    }

    /// Moves commands from the mailbox to the write buffer. `false`: nobody wants the connection any more.
    pub(super) fn transmit(&mut self, mailbox: &Mailbox, now: Instant, cx: &Context<'_>) -> bool {
        self.write_on();
        let mut state = mailbox.lock();
        state.skip_abandoned();
        while self.writing.is_none() && self.has_capacity() {
            let Some(mut request) = state.pop(self.wire.output(), now) else {
                break;
            };
            request.sendings += 1;
            let replies = match &request.batch {
                None => {
                    request.runs_at = self.wire.appended();
                    1
                }
                Some(batch) => {
                    request.runs_at = self.wire.appended() + batch.harmless as u64;
                    self.writing = Some((Arc::clone(batch), Position::default()));
                    self.write_on();
                    match batch.patience {
                        Patience::Usual => {}
                        // Who blocks answers no PING.
                        Patience::Blocks(time) => {
                            self.blocking += 1;
                            self.connection.excuse(time, now);
                        }
                        Patience::Endless => {
                            self.blocking += 1;
                            self.connection.pause();
                        }
                    }
                    batch.replies()
                }
            };
            self.connection.request(request, replies);
            state.skip_abandoned();
        }
        state.wake_task_here(cx);
        let waiting = state.take_waiting();
        let open = match state.closing {
            Closing::No => true,
            Closing::WhenDone => !(state.is_empty() && self.connection.in_flight() == 0),
            Closing::Now => false,
        };
        drop(state);
        waiting.into_values().for_each(Waker::wake);
        open
    }

    /// Goes on writing the batch that is being written, as far as there is room.
    fn write_on(&mut self) {
        let Some((batch, position)) = &mut self.writing else {
            return;
        };
        let room = OUTPUT_BYTES.saturating_sub(self.wire.unsent());
        if batch.write(position, room, self.wire.output()) {
            self.writing = None;
        }
    }

    /// Drops what the socket has taken, but for the beginning of a command of which it has taken a part: that is
    /// sent again as a whole if the connection is lost.
    pub(super) fn forget_sent(&mut self) {
        let connection = &self.connection;
        self.wire.forget_sent(|sent| {
            let cut = connection.requests().find(|request| request.runs_at > sent);
            match cut {
                Some(request) if request.batch.is_none() => request.runs_at - request.len as u64,
                _ => sent,
            }
        });
    }

    /// Time for a PING, or too late for its answer, which is `false`.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> bool {
        if self.writing.is_some() {
            // It would stand in the middle of the batch. The replies to that prove as much.
            return self.connection.handle_timeout_unasked(now);
        }
        self.connection.handle_timeout(now, self.wire.output())
    }

    pub(super) fn receive(&mut self, now: Instant) -> Result<()> {
        self.connection.heard(now);
        let mut staged = std::mem::take(&mut self.staged);
        let outcome = self.stage(&mut staged, now);
        let consumed = self.connection.take_consumed();
        let taken = self.answer(&mut staged, consumed, now);
        self.staged = staged;
        self.staged.clear();
        if self.connection.missing() > 0 {
            // A part of the next reply is here: of a long one, the rest may take its time.
            self.progress = Some(now);
        }
        taken?;
        outcome
    }

    /// Finds the replies in what was read, and whose they are. Short ones are copied, and are answers at once.
    fn stage(&mut self, staged: &mut Vec<Staged>, now: Instant) -> Result<()> {
        let Self {
            wire,
            connection,
            subscriptions,
            progress,
            answers,
            ..
        } = self;
        let input = wire.input();
        loop {
            connection.poll_replies(input, |range, request| {
                // What is behind others has to wait until these have proved to be answers to theirs.
                let first = staged.is_empty();
                if first && request.batch.is_none() && range.len() <= Blob::INLINE {
                    let reply = Blob::copy_from(&input[range]);
                    answers.push(request.with_answer(Ok(Answer::Reply(reply))));
                    *progress = None;
                } else {
                    staged.push((range, Some(request)));
                }
            });
            match connection.poll_event(input, subscriptions, now)? {
                Some(Event::Replies { range, done }) => staged.push((range, done)),
                Some(_) => {}
                None => return Ok(()),
            }
        }
    }

    /// Hands over what was staged, and takes it out of the input.
    fn answer(&mut self, staged: &mut Vec<Staged>, consumed: usize, now: Instant) -> Result<()> {
        if staged.is_empty() {
            self.wire.skip(consumed);
            return Ok(());
        }
        self.progress = None;
        let mut block = self.wire.take(consumed);
        let mut outcome = Ok(());
        let mut parts = Vec::new();
        for (range, request) in staged.drain(..) {
            let Some(request) = request else {
                parts.push(range);
                continue;
            };
            if outcome.is_ok() {
                outcome = self
                    .add_parts(request.batch.as_deref(), &block, &mut parts)
                    .and_then(|()| self.complete(&request, share(&mut block, range), now));
            }
            // Those that are staged are not found among the connection's any more.
            if let Err(error) = &outcome {
                self.answers.push(request.with_answer(Err(in_doubt(error))));
            }
        }
        if outcome.is_ok() && !parts.is_empty() {
            self.progress = Some(now);
            let oldest = self.connection.requests().next();
            let batch = oldest.and_then(|request| request.batch.clone());
            outcome = self.add_parts(batch.as_deref(), &block, &mut parts);
        }
        outcome
    }

    /// The answer to the oldest request is complete.
    fn complete(&mut self, request: &Request, replies: Bytes, now: Instant) -> Result<()> {
        let Some(batch) = &request.batch else {
            let reply = Answer::Reply(Blob::from(replies));
            self.answers.push(request.with_answer(Ok(reply)));
            return Ok(());
        };
        if batch.patience != Patience::Usual {
            self.blocking -= 1;
            if self.blocking == 0 {
                self.connection.resume(now);
            }
        }
        let answer = if batch.transaction {
            let mut transaction = match std::mem::take(&mut self.part) {
                Part::Transaction(transaction) => transaction,
                _ => batch.begin_transaction(),
            };
            let exec = transaction.handle_replies(&replies)?;
            Answer::Exec(Box::new(Exec {
                refusal: transaction.refusal().cloned(),
                reply: exec.map_or_else(Bytes::new, |exec| replies.slice(exec)),
            }))
        } else {
            let mut parts = match std::mem::take(&mut self.part) {
                Part::Replies(parts) => parts,
                _ => Vec::new(),
            };
            parts.push(replies);
            Answer::Replies(parts)
        };
        self.answers.push(request.with_answer(Ok(answer)));
        Ok(())
    }

    /// Parts of the answer to a request have come. In one read there are several if a push lies in between.
    fn add_parts(
        &mut self,
        batch: Option<&Batch>,
        block: &Bytes,
        ranges: &mut Vec<Range<usize>>,
    ) -> Result<()> {
        for range in ranges.drain(..) {
            if let Some(batch) = batch {
                self.add_part(batch, block, range)?;
            }
        }
        Ok(())
    }

    fn add_part(&mut self, batch: &Batch, block: &Bytes, range: Range<usize>) -> Result<()> {
        if batch.transaction {
            if !matches!(self.part, Part::Transaction(_)) {
                self.part = Part::Transaction(batch.begin_transaction());
            }
        } else if !matches!(self.part, Part::Replies(_)) {
            self.part = Part::Replies(Vec::new());
        }
        match &mut self.part {
            Part::Transaction(transaction) => {
                transaction.handle_replies(&block[range])?;
            }
            Part::Replies(parts) => parts.push(block.slice(range)),
            Part::None => {}
        }
        Ok(())
    }
}

impl Line {
    /// What has come of the answer to the oldest request.
    pub(super) fn parts(&self) -> &[Bytes] {
        match &self.part {
            Part::Replies(parts) => parts,
            Part::None | Part::Transaction(_) => &[],
        }
    }
}

/// The answer to a request of which no more will be answered than these parts, and of which so many bytes have left.
pub(super) fn cut(request: &Request, parts: &[Bytes], left: usize, error: Error) -> Result<Answer> {
    if !request.batch.as_ref().is_some_and(|batch| batch.piecemeal) {
        return Err(error);
    }
    let parts = parts.to_vec();
    Ok(Answer::Cut(Box::new(Cut { parts, left, error })))
}

/// What becomes of a request that was sent, and was not answered for this reason.
pub(super) fn in_doubt(error: &Error) -> Error {
    // Whose fault it was: the peer's, if it broke the protocol.
    let kind = error.kind();
    Error::new(kind, "the connection was lost before the reply came")
        .with_source(error.clone())
        .with_may_have_run(true)
}

/// A part of a block; all of it is handed on, and need not be shared.
fn share(block: &mut Bytes, range: Range<usize>) -> Bytes {
    if range.len() == block.len() {
        return std::mem::take(block);
    }
    block.slice(range)
}
