//! The task that serves a connection for commands, shared by all clones of a client.
//!
//! ```text
//!   request ──▶ mailbox ──▶ write buffer ──▶ socket ──▶ reply ──▶ slot ──▶ requester
//! ```
//!
//! A requester that is gone before its command was written costs nothing; one that is gone later still has its
//! reply taken off the stream. When a connection is lost, commands of which not all bytes had left are written to
//! the next one; those that may have run are answered with an error that says so.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use bytes::Bytes;
use tidings_proto::{Blob, Connection, Event, Subscriptions};

use super::supervise::{self, Connected, End, Link};
use super::{Alarm, Wire};
use crate::config::Config;
use crate::error::{Error, Result};

/// Commands that wait to be written; more of them wait in their callers.
const MAILBOX_COMMANDS: usize = 16 * 1024;

/// Bytes of commands that wait to be written, beside the one that goes beyond.
const MAILBOX_BYTES: usize = 8 << 20;

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

/// Where a requester waits for its reply.
#[derive(Debug, Default)]
pub(crate) struct Slot(Mutex<SlotState>);

#[derive(Debug, Default)]
struct SlotState {
    answer: Option<Result<Blob>>,
    waker: Option<Waker>,
}

impl Slot {
    pub(crate) fn poll(&self, cx: &mut Context<'_>) -> Poll<Result<Blob>> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match state.answer.take() {
            Some(answer) => Poll::Ready(answer),
            None => {
                match &mut state.waker {
                    Some(waker) => waker.clone_from(cx.waker()),
                    none => *none = Some(cx.waker().clone()),
                }
                Poll::Pending
            }
        }
    }

    fn answer(&self, answer: Result<Blob>) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.answer = Some(answer);
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// A command on its way.
#[derive(Debug)]
pub(crate) struct Request {
    bytes: Vec<u8>,
    slot: Arc<Slot>,
    since: Instant,
    /// Where it ends in the stream of bytes of its connection.
    end: u64,
    sendings: u32,
}

impl Request {
    fn is_abandoned(&self) -> bool {
        Arc::strong_count(&self.slot) == 1
    }
}

/// What the clones of a client and the task share.
#[derive(Debug, Default)]
pub(crate) struct Mailbox(Mutex<MailboxState>);

#[derive(Debug, Default)]
struct MailboxState {
    requests: VecDeque<Request>,
    bytes: usize,
    /// Callers that wait for room, by the order in which they came.
    waiting: BTreeMap<u64, Waker>,
    newest_place: u64,
    closing: bool,
    ended: Option<Error>,
    task: Option<Waker>,
}

impl Mailbox {
    fn lock(&self) -> MutexGuard<'_, MailboxState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a request in, if there is room; takes `bytes` only then. Otherwise the caller has a `place` among those
    /// that wait, which is to be [given up](Self::give_up) if it does not come again.
    pub(crate) fn poll_send(
        &self,
        bytes: &mut Vec<u8>,
        place: &mut Option<u64>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Arc<Slot>>> {
        let mut state = self.lock();
        if let Some(error) = &state.ended {
            return Poll::Ready(Err(error.clone()));
        }
        if !state.has_room() {
            let place = *place.get_or_insert_with(|| {
                state.newest_place += 1;
                state.newest_place
            });
            state.waiting.insert(place, cx.waker().clone());
            return Poll::Pending;
        }
        if let Some(place) = place.take() {
            state.waiting.remove(&place);
        }
        let slot = Arc::new(Slot(Mutex::new(SlotState {
            answer: None,
            waker: Some(cx.waker().clone()),
        })));
        let bytes = std::mem::take(bytes);
        state.bytes += bytes.len();
        state.requests.push_back(Request {
            bytes,
            slot: Arc::clone(&slot),
            since: Instant::now(),
            end: 0,
            sendings: 0,
        });
        let task = state.task.take();
        drop(state);
        if let Some(task) = task {
            task.wake();
        }
        Poll::Ready(Ok(slot))
    }

    /// Whoever has this place does not wait any longer.
    pub(crate) fn give_up(&self, place: u64) {
        let waker = self.lock().waiting.remove(&place);
        drop(waker);
    }

    /// Nobody will send any more.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closing = true;
        let task = state.task.take();
        drop(state);
        if let Some(task) = task {
            task.wake();
        }
    }
}

impl MailboxState {
    fn has_room(&self) -> bool {
        self.requests.len() < MAILBOX_COMMANDS && self.bytes < MAILBOX_BYTES
    }

    /// Those that wait for room, if there is room now: to be woken without the lock.
    fn take_waiting(&mut self) -> BTreeMap<u64, Waker> {
        if self.has_room() {
            std::mem::take(&mut self.waiting)
        } else {
            BTreeMap::new()
        }
    }

    fn pop(&mut self) -> Option<Request> {
        loop {
            let request = self.requests.pop_front()?;
            self.bytes -= request.bytes.len();
            if !request.is_abandoned() {
                return Some(request);
            }
        }
    }

    fn wake_task_here(&mut self, cx: &Context<'_>) {
        match &mut self.task {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
    }
}

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
        let mut again = Vec::new();
        for request in line.connection.into_requests() {
            if request.end <= left {
                // Whose fault it was: the peer's, if it broke the protocol.
                let error = Error::new(
                    error.kind(),
                    "the connection was lost before the reply came",
                )
                .with_source(error.clone())
                .with_may_have_run(true);
                request.slot.answer(Err(error));
            } else if request.sendings >= SENDINGS {
                let text = format!("the connection was lost {SENDINGS} times while sending");
                request
                    .slot
                    .answer(Err(Error::connection(text).with_source(error.clone())));
            } else {
                again.push(request);
            }
        }
        let mut mailbox = self.mailbox.lock();
        for request in again.into_iter().rev() {
            mailbox.bytes += request.bytes.len();
            mailbox.requests.push_front(request);
        }
    }

    /// Answers the requests that have waited for longer than they may; says when to look again.
    fn expire(&mut self, now: Instant) -> Option<Instant> {
        let limit = self.config.time_to_respond()?;
        let expired = |request: &Request| {
            let due = request.since.checked_add(limit)?;
            if due > now {
                return Some(due);
            }
            None
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
        let mut next = None;
        if let Some(line) = &self.line {
            for request in line.connection.requests() {
                if let Some(due) = expired(request) {
                    next = Some(due);
                    break;
                }
                if !request.is_abandoned() {
                    request.slot.answer(Err(late(true)));
                }
            }
        }
        let mut mailbox = self.mailbox.lock();
        while let Some(request) = mailbox.requests.front() {
            if let Some(due) = expired(request) {
                next = next.into_iter().chain([due]).min();
                break;
            }
            // Also if nobody waits for it any more: it is this one whose time is over, and no other.
            if let Some(request) = mailbox.requests.pop_front() {
                mailbox.bytes -= request.bytes.len();
                request.slot.answer(Err(late(request.sendings > 0)));
            }
        }
        let waiting = mailbox.take_waiting();
        drop(mailbox);
        waiting.into_values().for_each(Waker::wake);
        next
    }

    fn poll_line(&mut self, cx: &mut Context<'_>) -> Poll<Result<End, Error>> {
        loop {
            let Some(line) = &mut self.line else {
                return Poll::Pending;
            };
            let now = Instant::now();
            if !line.transmit(&self.mailbox, cx) {
                return Poll::Ready(Ok(End::Closed));
            }
            let mut blocked = false;
            if !line.mute {
                let flushed = line.wire.poll_flush(cx);
                // The peer made room: a PING that waits behind a large payload is not overdue.
                if line.stuck_at.is_some_and(|at| at < line.wire.sent()) {
                    line.connection.heard(now);
                }
                line.stuck_at = None;
                match flushed {
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(_)) => line.mute = true,
                    Poll::Pending => {
                        line.stuck_at = Some(line.wire.sent());
                        blocked = true;
                    }
                }
            }
            match line.wire.poll_read(cx, line.connection.missing()) {
                Poll::Ready(Ok(0)) => {
                    return Poll::Ready(Err(supervise::lost(&self.config, None)));
                }
                Poll::Ready(Ok(read)) => {
                    line.receive(now)?;
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
                        if !line.connection.handle_timeout(now, line.wire.output()) {
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

impl Line {
    fn has_capacity(&self) -> bool {
        self.wire.unsent() < OUTPUT_BYTES && self.connection.in_flight() < IN_FLIGHT
    }

    fn has_more(&self, mailbox: &Mailbox) -> bool {
        self.has_capacity() && !mailbox.lock().requests.is_empty()
    }

    /// Moves commands from the mailbox to the write buffer. `false`: nobody wants the connection any more.
    fn transmit(&mut self, mailbox: &Mailbox, cx: &Context<'_>) -> bool {
        let mut state = mailbox.lock();
        while self.has_capacity() {
            let Some(mut request) = state.pop() else {
                break;
            };
            self.wire.output().extend_from_slice(&request.bytes);
            request.end = self.wire.appended();
            request.sendings += 1;
            self.connection.request(request, 1);
        }
        state.wake_task_here(cx);
        let waiting = state.take_waiting();
        let open =
            !(state.closing && state.requests.is_empty() && self.connection.in_flight() == 0);
        drop(state);
        waiting.into_values().for_each(Waker::wake);
        open
    }

    fn receive(&mut self, now: Instant) -> Result<()> {
        self.connection.heard(now);
        let mut staged: Vec<(Range<usize>, Request)> = Vec::new();
        let outcome = loop {
            match self
                .connection
                .poll_event(self.wire.input(), &mut self.subscriptions, now)
            {
                Ok(Some(Event::Replies {
                    range,
                    done: Some(request),
                })) => {
                    staged.push((range, request));
                }
                Ok(Some(_)) => {}
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        let consumed = self.connection.take_consumed();
        let block = if staged.is_empty() {
            self.wire.skip(consumed);
            Bytes::new()
        } else {
            self.wire.take(consumed)
        };
        for (range, request) in staged {
            request.slot.answer(Ok(Blob::slice(&block, range)));
        }
        Ok(outcome?)
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
            if state.closing {
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
        state.ended = Some(error.clone());
        state.bytes = 0;
        let requests = std::mem::take(&mut state.requests);
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        for request in requests {
            request.slot.answer(Err(error.clone()));
        }
        waiting.into_values().for_each(Waker::wake);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_for_room_has_one_place_however_often_it_asks_and_none_when_it_is_gone() {
        let mailbox = Mailbox::default();
        let mut cx = Context::from_waker(Waker::noop());
        let mut large = vec![0; MAILBOX_BYTES];
        assert!(mailbox.poll_send(&mut large, &mut None, &mut cx).is_ready());
        let (mut bytes, mut place) = (vec![0], None);
        for _ in 0..3 {
            let sent = mailbox.poll_send(&mut bytes, &mut place, &mut cx);
            assert!(sent.is_pending());
            assert_eq!(mailbox.lock().waiting.len(), 1);
        }
        mailbox.give_up(place.unwrap());
        assert!(mailbox.lock().waiting.is_empty());
    }
}
