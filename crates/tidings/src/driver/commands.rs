//! The task that serves connections for commands: that which all clones of a client share, or one that is lent.
//!
//! ```text
//!   request ──▶ mailbox ──▶ write buffer ──▶ socket ──▶ reply ──▶ slot ──▶ requester
//! ```
//!
//! A requester that is gone before its command was written costs nothing; one that is gone later still has its
//! reply taken off the stream. When a connection is lost, commands of which not all bytes had left are written to
//! the next one; those that may have run are answered with an error that says so.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use tidings_proto::pubsub::GapCause;

use super::Alarm;
use super::line::{Line, cut, in_doubt};
use super::mailbox::{Closing, Mailbox, Request};
use super::place::{Departure, Place};
use super::supervise::{self, Connected, End, Link};
use crate::config::Config;
use crate::error::{Error, Result};

/// How often a command is written to a new connection because the last one was lost before it had left. A command
/// that the server refuses by closing would otherwise be sent for ever.
pub(crate) const SENDINGS: u32 = 3;

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

    /// Waits until somebody asks for something; `false` if nobody will any more.
    pub(crate) async fn is_wanted(&mut self) -> bool {
        poll_fn(|cx| {
            let mut mailbox = self.mailbox.lock();
            mailbox.skip_abandoned();
            if mailbox.closing != Closing::No {
                return Poll::Ready(false);
            }
            if !mailbox.is_empty() {
                return Poll::Ready(true);
            }
            mailbox.wake_task_here(cx);
            Poll::Pending
        })
        .await
    }

    /// Answers all that wait for a connection, none of which has run, with this error.
    pub(crate) fn refuse_waiting(&mut self, error: &Error) {
        let mut mailbox = self.mailbox.lock();
        let mut answers = Vec::new();
        while let Some(request) = mailbox.take() {
            answers.push(request.with_answer(Err(error.clone())));
        }
        let waiting = mailbox.take_waiting();
        drop(mailbox);
        self.mailbox.answer(answers);
        waiting.into_values().for_each(Waker::wake);
    }

    fn lose(&mut self, error: &Error) {
        let Some(line) = self.line.take() else { return };
        let left = line.wire.sent();
        let (mut again, mut commands, mut answers) = (Vec::new(), Vec::new(), Vec::new());
        let mut parts = line.parts().to_vec();
        let Line {
            wire, connection, ..
        } = line;
        for request in connection.into_requests() {
            // They are those of the oldest.
            let parts = std::mem::take(&mut parts);
            if request.runs_at <= left {
                let left = request.left_of(left);
                answers.push(request.with_answer(cut(&request, &parts, left, in_doubt(error))));
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
            let mut parts = line.parts();
            for request in line.connection.requests() {
                // Those behind the oldest have no part in how it gets on.
                let progress = progress.take();
                let parts = std::mem::take(&mut parts);
                match waits(request, progress) {
                    Waits::Endlessly => {}
                    Waits::Until(due) => {
                        next = next.into_iter().chain([due]).min();
                        if progress.is_none() {
                            break;
                        }
                    }
                    Waits::TooLong if mailbox.is_abandoned(request) => {}
                    Waits::TooLong => {
                        // What has not left of it is written all the same.
                        let answer = cut(request, parts, usize::MAX, late(true));
                        answers.push(request.with_answer(answer));
                    }
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

/// How long a request may still wait.
enum Waits {
    Endlessly,
    Until(Instant),
    TooLong,
}

impl Link for CommandLink {
    fn connected(&mut self, connected: Connected, _: Option<GapCause>) {
        let Connected { wire, info, config } = connected;
        self.config = config;
        let options = supervise::options(&self.config, &info, false);
        self.trouble = None;
        self.line = Some(Line::new(wire, options));
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

    fn leave(&mut self, departure: Departure) -> End {
        self.lose(&departure.error);
        End::Lost(departure.error)
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

/// Serves a connection that is not made again when it is lost.
pub(crate) async fn serve(place: Place, connected: Connected, mut link: CommandLink) {
    let connected_to = Arc::clone(&connected.config);
    link.connected(connected, None);
    match supervise::serve(&place, &connected_to, &mut link).await {
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
