//! The connections of a subscriber, as far as others than their tasks have to do with them.

use std::collections::VecDeque;
use std::task::Waker;
use std::time::Instant;

use tidings_proto::cluster::LineId;
use tokio::sync::oneshot;

use super::{Answer, Later};
use crate::error::Error;

/// What is asked of all connections of a subscriber, and what they are woken for.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// There are few of them, and they are looked for more often than there are new ones.
    lines: Vec<Line>,
    pings: Vec<Pinging>,
    newest_ping: u64,
    /// Those who wait until the sockets have nothing more to read.
    looks: Vec<Look>,
}

#[derive(Debug)]
struct Line {
    id: LineId,
    connected: bool,
    task: Option<Waker>,
    to_ping: VecDeque<u64>,
    /// PINGs on the wire that somebody waits for.
    pinged: usize,
    last_pong: Option<Instant>,
}

/// Somebody who wants a sign of life of all peers.
#[derive(Debug)]
struct Pinging {
    number: u64,
    answer: Answer,
    open: usize,
}

/// A reader that wants what is there now, and does not wait for more.
#[derive(Debug)]
struct Look {
    done: oneshot::Sender<()>,
    /// The connections that have not been looked at. Whether their task has seen that it is to look, and waits for the
    /// runtime to do so.
    left: Vec<(LineId, bool)>,
}

impl Lines {
    fn line(&mut self, id: LineId) -> Option<&mut Line> {
        self.lines.iter_mut().find(|line| line.id == id)
    }

    /// There is, or will be, such a connection.
    pub(super) fn add(&mut self, id: LineId) {
        self.lines.push(Line {
            id,
            connected: false,
            task: None,
            to_ping: VecDeque::new(),
            pinged: 0,
            last_pong: None,
        });
    }

    /// There is no more.
    pub(super) fn remove(&mut self, id: LineId, later: &mut Later) {
        self.disconnected(id, later);
        let unsent = self.line(id).map(|line| std::mem::take(&mut line.to_ping));
        for number in unsent.into_iter().flatten() {
            self.excuse_ping(number, later);
        }
        self.lines.retain(|line| line.id != id);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// From now on the task of a connection is woken by what is asked for.
    pub(super) fn listen(&mut self, id: LineId, waker: &Waker) {
        if let Some(line) = self.line(id) {
            match &mut line.task {
                Some(known) => known.clone_from(waker),
                none => *none = Some(waker.clone()),
            }
        }
    }

    pub(super) fn wake(&mut self, id: LineId, later: &mut Later) {
        if let Some(line) = self.line(id) {
            later.wake(line.task.take());
        }
    }

    pub(super) fn wake_all(&mut self, later: &mut Later) {
        for line in &mut self.lines {
            later.wake(line.task.take());
        }
    }

    pub(super) fn connected(&mut self, id: LineId) {
        if let Some(line) = self.line(id) {
            line.connected = true;
        }
    }

    /// A connection is gone: nothing comes of what it was asked.
    pub(super) fn disconnected(&mut self, id: LineId, later: &mut Later) {
        if let Some(line) = self.line(id) {
            line.connected = false;
            line.pinged = 0;
        }
        self.looks.iter_mut().for_each(|look| look.forget(id));
        self.end_looks(later);
    }

    // ---- PINGs ----

    /// Asks all peers for a sign of life.
    pub(super) fn ping(&mut self, answer: Answer, later: &mut Later) {
        if self.lines.is_empty() {
            return later.answer(answer, Ok(()));
        }
        self.newest_ping += 1;
        let number = self.newest_ping;
        for line in &mut self.lines {
            line.to_ping.push_back(number);
        }
        let open = self.lines.len();
        self.pings.push(Pinging {
            number,
            answer,
            open,
        });
    }

    /// The next PING that is to be sent on a connection.
    pub(super) fn next_ping(&mut self, id: LineId) -> Option<u64> {
        let line = self.line(id)?;
        let number = line.to_ping.pop_front()?;
        line.pinged += 1;
        Some(number)
    }

    /// Whether somebody waits for an answer on a connection.
    pub(super) fn is_pinged(&mut self, id: LineId) -> bool {
        self.line(id).is_some_and(|line| line.pinged > 0)
    }

    /// A PONG came, to a PING that somebody asked for if it has a number.
    pub(super) fn ponged(
        &mut self,
        id: LineId,
        number: Option<u64>,
        now: Instant,
        later: &mut Later,
    ) {
        let Some(line) = self.line(id) else { return };
        line.last_pong = Some(now);
        let Some(number) = number else { return };
        line.pinged = line.pinged.saturating_sub(1);
        self.excuse_ping(number, later);
    }

    /// One answer less is waited for.
    pub(super) fn excuse_ping(&mut self, number: u64, later: &mut Later) {
        let Some(at) = self.pings.iter().position(|ping| ping.number == number) else {
            return;
        };
        self.pings[at].open -= 1;
        if self.pings[at].open == 0 {
            let ping = self.pings.swap_remove(at);
            later.answer(ping.answer, Ok(()));
        }
    }

    /// Nobody answers this PING any more.
    pub(super) fn fail_ping(&mut self, number: u64, error: Error, later: &mut Later) {
        if let Some(at) = self.pings.iter().position(|ping| ping.number == number) {
            let ping = self.pings.swap_remove(at);
            later.answer(ping.answer, Err(error));
        }
    }

    /// None of the PINGs is answered that were to be sent on a connection.
    pub(super) fn fail_unsent(&mut self, id: LineId, error: &Error, later: &mut Later) {
        let unsent = self.line(id).map(|line| std::mem::take(&mut line.to_ping));
        for number in unsent.into_iter().flatten() {
            self.fail_ping(number, error.clone(), later);
        }
    }

    pub(super) fn fail_pings(&mut self, error: &Error, later: &mut Later) {
        for ping in self.pings.drain(..) {
            later.answer(ping.answer, Err(error.clone()));
        }
    }

    pub(super) fn last_pong(&self) -> Option<Instant> {
        self.lines.iter().filter_map(|line| line.last_pong).max()
    }

    // ---- looks ----

    /// Somebody wants what has come to the sockets so far.
    pub(super) fn look(&mut self, done: oneshot::Sender<()>, later: &mut Later) {
        let connected = self.lines.iter().filter(|line| line.connected);
        let left = connected.map(|line| (line.id, false)).collect();
        self.looks.push(Look { done, left });
        // Where there is no connection nothing can have come.
        self.end_looks(later);
    }

    /// The socket of a connection gave nothing. For whoever asked that counts only after the runtime has looked at the
    /// socket, which it does while the task yields: `true` if it is to.
    pub(super) fn looked(&mut self, id: LineId, later: &mut Later) -> bool {
        if self.looks.is_empty() {
            return false;
        }
        let mut again = false;
        for look in &mut self.looks {
            look.left.retain_mut(|(line, seen)| {
                let of_this = *line == id;
                let over = of_this && std::mem::replace(seen, true);
                again |= of_this && !over;
                !over
            });
        }
        self.end_looks(later);
        again
    }

    /// Nothing more has come for those.
    pub(super) fn end_all_looks(&mut self, later: &mut Later) {
        self.looks.iter_mut().for_each(|look| look.left.clear());
        self.end_looks(later);
    }

    fn end_looks(&mut self, later: &mut Later) {
        let over = self.looks.extract_if(.., |look| look.left.is_empty());
        later.looked.extend(over.map(|look| look.done));
    }
}

impl Look {
    fn forget(&mut self, id: LineId) {
        self.left.retain(|(line, _)| *line != id);
    }
}
