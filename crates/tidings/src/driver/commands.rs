//! The task that serves a connection for commands, shared by all clones of a client.
//!
//! ```text
//!   request ──▶ mailbox ──▶ write buffer ──▶ socket ──▶ reply ──▶ slot ──▶ requester
//! ```
//!
//! A requester that is gone before its command was written costs nothing; one that is gone later still has its
//! reply taken off the stream. When a connection is lost, commands of which not all bytes had left are written to
//! the next one; those that may have run are answered with an error that says so.

use std::future::poll_fn;
use std::ops::Range;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tidings_proto::{Blob, Connection, Event, Subscriptions, Transaction};

use super::mailbox::{Answer, Answered, Batch, Closing, Exec, Mailbox, Patience, Request};
use super::supervise::{self, Connected, End, Link};
use super::{Alarm, Wire};
use crate::config::Config;
use crate::error::{Error, Result};

/// No further commands are taken while so many bytes wait for the socket.
const OUTPUT_BYTES: usize = 256 * 1024;

/// No further commands are taken while so many wait for their replies: those of requesters that are gone are not
/// bounded by anything else.
const IN_FLIGHT: usize = 256 * 1024;

/// How often a command is written to a new connection because the last one was lost before it had left. A command
/// that the server refuses by closing would otherwise be sent for ever.
const SENDINGS: u32 = 3;

/// A read that brought so much is followed by a turn of the requesters'.
const YIELD_AFTER: usize = 32 * 1024;

/// How long a connection that is lent stays when nobody has it.
const IDLE: Duration = Duration::from_secs(30);

/// The task's side.
pub(crate) struct CommandLink {
    config: Arc<Config>,
    mailbox: Arc<Mailbox>,
    line: Option<Line>,
    /// Why the last attempt to connect failed, while there is no connection.
    trouble: Option<Error>,
    alarm: Alarm,
}

struct Line {
    wire: Wire,
    connection: Connection<Request>,
    /// Not used on a connection that carries commands.
    subscriptions: Subscriptions,
    mute: bool,
    /// How many bytes had been sent when the socket took no more.
    stuck_at: Option<u64>,
    /// The batch that is being written, and how far. Nothing else may come in between.
    writing: Option<(Arc<Batch>, usize)>,
    /// What has come of the answer to the oldest request.
    part: Part,
    /// When the oldest request last got on: its time begins anew.
    progress: Option<Instant>,
    /// How many requests are in flight that block.
    blocking: usize,
    /// Empty, and kept for its room.
    staged: Vec<Staged>,
    /// Answers that are to be handed over.
    answers: Vec<Answered>,
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

impl CommandLink {
    pub(crate) fn new(config: Arc<Config>, mailbox: Arc<Mailbox>) -> Self {
        Self {
            config,
            mailbox,
            line: None,
            trouble: None,
            alarm: Alarm::new(),
        }
    }

    fn lose(&mut self, error: &Error) {
        let Some(line) = self.line.take() else { return };
        let left = line.wire.sent();
        let (mut again, mut commands, mut answers) = (Vec::new(), Vec::new(), Vec::new());
        let Line {
            wire, connection, ..
        } = line;
        for request in connection.into_requests() {
            if request.runs_at <= left {
                answers.push(request.with_answer(Err(in_doubt(error))));
            } else if request.sendings >= SENDINGS {
                let text = format!("the connection was lost {SENDINGS} times while sending");
                let error = Error::connection(text).with_source(error.clone());
                answers.push(request.with_answer(Err(error)));
            } else {
                if request.batch.is_none() {
                    commands.extend_from_slice(wire.appended_up_to(request.runs_at, request.len));
                }
                again.push(request);
            }
        }
        self.mailbox.lock().put_back(again, commands);
        self.mailbox.answer(answers);
    }

    /// Answers the requests that have waited for longer than they may; says when to look again.
    fn expire(&mut self, now: Instant) -> Option<Instant> {
        let Some(limit) = self.config.time_to_respond() else {
            return self.mailbox.lock().poll_idle(IDLE, now);
        };
        // Those that may wait for ever are passed over.
        let waits = |request: &Request, progress: Option<Instant>| match request.due(limit) {
            None => Waits::Endlessly,
            Some(due) => {
                let due = due.max(progress.and_then(|at| at.checked_add(limit)).unwrap_or(due));
                if due > now {
                    Waits::Until(due)
                } else {
                    Waits::TooLong
                }
            }
        };
        let trouble = self.trouble.clone();
        let late = |may_have_run: bool| {
            let text = if may_have_run {
                format!("no reply came within {limit:?}")
            } else {
                format!(
                    "it could not be sent within {limit:?}: no connection, or a server that reads nothing"
                )
            };
            let error = Error::timeout(text).with_may_have_run(may_have_run);
            match &trouble {
                Some(trouble) => error.with_source(trouble.clone()),
                None => error,
            }
        };
        let (mut next, mut answers) = (None, Vec::new());
        let mut mailbox = self.mailbox.lock();
        if let Some(line) = &self.line {
            let mut progress = line.progress;
            for request in line.connection.requests() {
                match waits(request, progress.take()) {
                    Waits::Endlessly => {}
                    Waits::Until(due) => {
                        next = Some(due);
                        break;
                    }
                    Waits::TooLong if mailbox.is_abandoned(request) => {}
                    Waits::TooLong => answers.push(request.with_answer(Err(late(true)))),
                }
            }
        }
        mailbox.stamp(now);
        while let Some(request) = mailbox.front() {
            match waits(request, None) {
                Waits::Endlessly => break,
                Waits::Until(due) => {
                    next = next.into_iter().chain([due]).min();
                    break;
                }
                Waits::TooLong => {}
            }
            // Also if nobody waits for it any more: it is this one whose time is over, and no other. If it was sent
            // before, it had not left in full.
            if let Some(request) = mailbox.take() {
                answers.push(request.with_answer(Err(late(false))));
            }
        }
        let idle = mailbox.poll_idle(IDLE, now);
        let waiting = mailbox.take_waiting();
        drop(mailbox);
        waiting.into_values().for_each(Waker::wake);
        if !answers.is_empty() {
            self.mailbox.answer(answers);
        }
        next.into_iter().chain(idle).min()
    }

    fn poll_line(&mut self, cx: &mut Context<'_>) -> Poll<Result<End, Error>> {
        loop {
            let Some(line) = &mut self.line else {
                return Poll::Pending;
            };
            let now = Instant::now();
            if !line.transmit(&self.mailbox, now, cx) {
                return Poll::Ready(Ok(End::Closed));
            }
            let mut blocked = false;
            if !line.mute {
                let flushed = line.wire.poll_flush(cx);
                // The peer made room: a PING that waits behind a large payload is not overdue.
                if line.stuck_at.is_some_and(|at| at < line.wire.sent()) {
                    line.connection.heard(now);
                    line.progress = Some(now);
                }
                line.stuck_at = None;
                match flushed {
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(_)) => line.mute = true,
                    Poll::Pending => {
                        line.stuck_at = Some(line.wire.sent());
                        blocked = true;
                        line.forget_sent();
                    }
                }
            }
            match line.wire.poll_read(cx, line.connection.missing()) {
                Poll::Ready(Ok(0)) => {
                    return Poll::Ready(Err(supervise::lost(&self.config, None)));
                }
                Poll::Ready(Ok(read)) => {
                    let received = line.receive(now);
                    self.mailbox.answer(line.answers.drain(..));
                    received?;
                    if read >= YIELD_AFTER {
                        super::yield_turn(cx);
                        return Poll::Pending;
                    }
                }
                Poll::Ready(Err(error)) => {
                    return Poll::Ready(Err(supervise::lost(&self.config, Some(error))));
                }
                Poll::Pending if line.mute => {
                    return Poll::Ready(Err(supervise::lost(&self.config, None)));
                }
                Poll::Pending => {
                    if !blocked && line.has_more(&self.mailbox) {
                        continue;
                    }
                    let liveness = line.connection.poll_timeout(now);
                    if liveness.is_some_and(|at| at <= now) {
                        if !line.handle_timeout(now) {
                            let last_heard = line.connection.last_heard();
                            let error = supervise::silent(&self.config, last_heard);
                            return Poll::Ready(Err(error));
                        }
                        continue;
                    }
                    let due = self.expire(now).into_iter().chain(liveness).min();
                    if self.alarm.poll(due, cx).is_pending() {
                        return Poll::Pending;
                    }
                }
            }
        }
    }
}

/// What becomes of a request that was sent, and was not answered for this reason.
fn in_doubt(error: &Error) -> Error {
    // Whose fault it was: the peer's, if it broke the protocol.
    let kind = error.kind();
    Error::new(kind, "the connection was lost before the reply came")
        .with_source(error.clone())
        .with_may_have_run(true)
}

/// How long a request may still wait.
enum Waits {
    Endlessly,
    Until(Instant),
    TooLong,
}

impl Line {
    fn has_capacity(&self) -> bool {
        self.wire.unsent() < OUTPUT_BYTES && self.connection.in_flight() < IN_FLIGHT
    }

    fn has_more(&self, mailbox: &Mailbox) -> bool {
        self.has_capacity() && (self.writing.is_some() || !mailbox.lock().is_empty())
    }

    /// Moves commands from the mailbox to the write buffer. `false`: nobody wants the connection any more.
    fn transmit(&mut self, mailbox: &Mailbox, now: Instant, cx: &Context<'_>) -> bool {
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
                    self.writing = Some((Arc::clone(batch), 0));
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
        let Some((batch, written)) = &mut self.writing else {
            return;
        };
        let rest = &batch.wire()[*written..];
        let room = OUTPUT_BYTES.saturating_sub(self.wire.unsent());
        let now = rest.len().min(room);
        self.wire.output().extend_from_slice(&rest[..now]);
        *written += now;
        if now == rest.len() {
            self.writing = None;
        }
    }

    /// Drops what the socket has taken, but for the beginning of a command of which it has taken a part: that is
    /// sent again as a whole if the connection is lost.
    fn forget_sent(&mut self) {
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
    fn handle_timeout(&mut self, now: Instant) -> bool {
        if self.writing.is_some() {
            // It would stand in the middle of the batch. The replies to that prove as much.
            return self.connection.handle_timeout_unasked(now);
        }
        self.connection.handle_timeout(now, self.wire.output())
    }

    fn receive(&mut self, now: Instant) -> Result<()> {
        self.connection.heard(now);
        let mut staged = std::mem::take(&mut self.staged);
        let outcome = self.stage(&mut staged, now);
        let consumed = self.connection.take_consumed();
        let taken = self.answer(&mut staged, consumed, now);
        self.staged = staged;
        self.staged.clear();
        taken?;
        outcome
    }

    /// Finds the replies in what was read, and whose they are. Short ones are handed over at once, copied.
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
                _ => Transaction::new(batch.commands),
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
                self.part = Part::Transaction(Transaction::new(batch.commands));
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

impl Link for CommandLink {
    fn connected(&mut self, Connected { wire, info }: Connected) {
        let options = supervise::options(&self.config, &info, false);
        self.trouble = None;
        self.line = Some(Line {
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
        });
    }

    fn poll_run(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        match std::task::ready!(self.poll_line(cx)) {
            Ok(end) => Poll::Ready(end),
            Err(error) => {
                self.lose(&error);
                Poll::Ready(End::Lost(error))
            }
        }
    }

    fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let due = self.expire(Instant::now());
            let mut state = self.mailbox.lock();
            if state.closing != Closing::No {
                return Poll::Ready(());
            }
            state.wake_task_here(cx);
            drop(state);
            if self.alarm.poll(due, cx).is_pending() {
                return Poll::Pending;
            }
        }
    }

    fn attempt_failed(&mut self, error: &Error) {
        self.trouble = Some(error.clone());
    }

    fn ended(&mut self, error: Option<Error>) {
        let error = error.unwrap_or_else(|| Error::closed("the client's runtime has ended"));
        self.lose(&error);
        let mut state = self.mailbox.lock();
        let (requests, waiting) = state.end(error.clone());
        drop(state);
        let answer = |request: &Request| request.with_answer(Err(error.clone()));
        self.mailbox.answer(requests.iter().map(answer));
        waiting.into_values().for_each(Waker::wake);
    }
}

/// A part of a block; all of it is handed on, and need not be shared.
fn share(block: &mut Bytes, range: Range<usize>) -> Bytes {
    if range.len() == block.len() {
        return std::mem::take(block);
    }
    block.slice(range)
}

/// Serves a connection that is not made again when it is lost.
pub(crate) async fn serve(mut link: CommandLink) {
    match poll_fn(|cx| link.poll_run(cx)).await {
        End::Closed => link.ended(None),
        End::Lost(error) | End::Over(error) => link.ended(Some(error)),
    }
}

impl Drop for CommandLink {
    /// The runtime may end before the client does.
    fn drop(&mut self) {
        if self.mailbox.lock().ended.is_none() {
            self.ended(None);
        }
    }
}
