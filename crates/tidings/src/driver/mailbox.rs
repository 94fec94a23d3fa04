//! What requesters and the task of a connection share: requests on their way there, and answers on their way back.

use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use super::body::{Answer, Batch, Body, Patience};
#[cfg(feature = "blocking")]
use super::direct::Direct;
use super::slots::{Slots, Ticket};
use crate::error::{Error, Result};

/// Requests that wait to be written; more of them wait in their callers.
const MAILBOX_REQUESTS: usize = 16 * 1024;

/// Bytes of requests that wait to be written, beside the one that goes beyond.
const MAILBOX_BYTES: usize = 8 << 20;

/// So many answers are handed over under one lock.
const ANSWERS_AT_ONCE: usize = 32;

/// What is kept of the room for commands when it was larger.
const MAILBOX_KEPT: usize = 64 * 1024;

/// A request on its way.
#[derive(Debug)]
pub(crate) struct Request {
    /// Whose it is; `None`: nobody waits for the answer, and it is sent all the same.
    ticket: Option<Ticket>,
    /// When the task first saw it, or before that: since when it has waited for room.
    since: Option<Instant>,
    /// How many bytes it has.
    pub(crate) len: usize,
    /// It may have run as soon as the stream of bytes of its connection has left up to here.
    pub(crate) runs_at: u64,
    /// What it is, unless it is one command, whose bytes lie among those of the others.
    pub(crate) batch: Option<Arc<Batch>>,
    pub(crate) sendings: u32,
}

impl Request {
    /// An answer to it, to be [handed over](Mailbox::answer).
    #[inline]
    pub(crate) fn with_answer(&self, answer: Result<Answer>) -> Answered {
        (self.ticket, answer)
    }

    /// How many bytes of it have left when so many have of its connection's stream.
    pub(crate) fn left_of(&self, left: u64) -> usize {
        let before_it_runs = self.batch.as_ref().map_or(self.len, |batch| batch.harmless);
        let begin = self.runs_at.saturating_sub(before_it_runs as u64);
        self.len.min(left.saturating_sub(begin) as usize)
    }

    pub(crate) fn patience(&self) -> Patience {
        self.batch
            .as_ref()
            .map_or(Patience::Usual, |batch| batch.patience)
    }

    /// When its answer is overdue.
    pub(crate) fn due(&self, limit: Duration) -> Option<Instant> {
        self.patience().due(self.since?, limit)
    }
}

/// An answer, and whose it is.
pub(crate) type Answered = (Option<Ticket>, Result<Answer>);

/// What requesters and the task share.
#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    state: Mutex<State>,
    /// What a thread that waits may use instead.
    #[cfg(feature = "blocking")]
    direct: Option<Arc<Direct>>,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    requests: VecDeque<Request>,
    /// The bytes of those requests that are one command, one behind the other.
    commands: Vec<u8>,
    /// How many of these bytes belong to requests that have left.
    gone: usize,
    /// Bytes of all requests.
    bytes: usize,
    /// Whoever found no room, by the order of coming.
    waiting: BTreeMap<u64, Waker>,
    newest_place: u64,
    pub(crate) closing: Closing,
    /// Since when nobody has had the connection, if it is one of those that are lent.
    idle_since: Option<Instant>,
    pub(crate) ended: Option<Error>,
    task: Option<Waker>,
    slots: Slots,
}

/// Where a requester waits for room, and since when: that counts as a part of what its answer takes.
#[derive(Debug)]
struct Place {
    number: u64,
    since: Instant,
}

/// Whether the connection is still wanted.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Closing {
    #[default]
    No,
    /// Not after the last answer.
    WhenDone,
    /// Not at all.
    Now,
}

impl Mailbox {
    /// One whose requests are made by threads that wait.
    #[cfg(feature = "blocking")]
    pub(crate) fn for_threads(direct: Arc<Direct>) -> Self {
        Self {
            direct: Some(direct),
            ..Self::default()
        }
    }

    /// The answer to a request, if this thread can get it by itself.
    #[inline]
    fn ask(&self, body: &Body) -> Option<Result<Answer>> {
        #[cfg(feature = "blocking")]
        if let Some(direct) = &self.direct {
            return direct.run(body);
        }
        let _ = body;
        None
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a request in, if there is room. Otherwise the caller has a `place` among those
    /// that wait, which is to be [given up](Self::give_up) if it does not come again.
    fn poll_send(
        &self,
        body: &Body,
        place: &mut Option<Place>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Ticket>> {
        let mut state = self.lock();
        if let Some(error) = &state.ended {
            return Poll::Ready(Err(error.clone()));
        }
        if !state.has_room() {
            let place = place.get_or_insert_with(|| {
                state.newest_place += 1;
                Place {
                    number: state.newest_place,
                    since: Instant::now(),
                }
            });
            let old = state.waiting.insert(place.number, cx.waker().clone());
            drop(state);
            drop(old);
            return Poll::Pending;
        }
        let (mut since, mut old) = (None, None);
        if let Some(place) = place.take() {
            since = Some(place.since);
            old = state.waiting.remove(&place.number);
            // Those before it that were not seen yet can have come no later than now.
            state.stamp(Instant::now());
        }
        let ticket = state.slots.open(cx.waker().clone());
        let task = state.push(body, Some(ticket), since);
        // What the end of a waker brings with it may need the lock.
        drop(state);
        drop(old);
        wake(task);
        Poll::Ready(Ok(ticket))
    }

    /// Puts a command in whose answer nobody waits for, and whether there is room or not.
    pub(crate) fn send_and_forget(&self, bytes: Vec<u8>) {
        let mut state = self.lock();
        if state.ended.is_some() {
            return;
        }
        let task = state.push(&Body::Command(bytes), None, None);
        drop(state);
        wake(task);
    }

    /// Fetches an answer.
    #[inline]
    fn poll_answer(&self, ticket: Ticket, cx: &Context<'_>) -> Poll<Result<Answer>> {
        let outcome = self.lock().slots.poll(ticket, cx);
        match outcome {
            Poll::Ready((Some(answer), _)) => Poll::Ready(answer),
            _ => Poll::Pending,
        }
    }

    /// Hands over answers.
    pub(crate) fn answer(&self, answers: impl IntoIterator<Item = Answered>) {
        let mut answers = answers.into_iter();
        // Not all under one lock, or those who send would wait too long.
        let mut wakers = [const { None }; ANSWERS_AT_ONCE];
        loop {
            let mut count = 0;
            let mut state = self.lock();
            for (waker, (ticket, answer)) in wakers.iter_mut().zip(&mut answers) {
                count += 1;
                *waker = ticket.and_then(|ticket| state.slots.answer(ticket, answer));
            }
            drop(state);
            wakers.iter_mut().for_each(|waker| wake(waker.take()));
            if count < ANSWERS_AT_ONCE {
                break;
            }
        }
    }

    /// Nobody waits for this answer any more.
    fn leave(&self, ticket: Ticket) {
        let left = self.lock().slots.close(ticket);
        drop(left);
    }

    /// Whoever has this place does not wait any longer.
    fn give_up(&self, place: &Place) {
        let waker = self.lock().waiting.remove(&place.number);
        drop(waker);
    }

    /// Nobody will send any more.
    pub(crate) fn close(&self, closing: Closing) {
        let mut state = self.lock();
        state.closing = closing;
        let task = state.task.take();
        drop(state);
        wake(task);
    }

    /// Nobody has the connection from now on. `false` if it has come to its end.
    pub(crate) fn begin_idling(&self) -> bool {
        let mut state = self.lock();
        state.idle_since = Some(Instant::now());
        let task = state.task.take();
        let alive = state.ended.is_none();
        drop(state);
        wake(task);
        alive
    }

    /// Somebody has the connection again. `false` if it has come to its end.
    pub(crate) fn end_idling(&self) -> bool {
        let mut state = self.lock();
        state.idle_since = None;
        state.ended.is_none() && state.closing == Closing::No
    }
}

impl State {
    fn has_room(&self) -> bool {
        self.requests.len() < MAILBOX_REQUESTS && self.bytes < MAILBOX_BYTES
    }

    #[inline]
    fn push(
        &mut self,
        body: &Body,
        ticket: Option<Ticket>,
        since: Option<Instant>,
    ) -> Option<Waker> {
        let (len, batch) = match body {
            Body::Command(bytes) => {
                self.forget_gone();
                self.commands.extend_from_slice(bytes);
                (bytes.len(), None)
            }
            Body::Batch(batch) => (batch.wire_len(), Some(Arc::clone(batch))),
        };
        self.bytes += len;
        self.requests.push_back(Request {
            ticket,
            since,
            len,
            runs_at: 0,
            batch,
            sendings: 0,
        });
        self.task.take()
    }

    /// Drops the bytes that have left, since there may always be some that have not. Only if no more have not, so that
    /// in all no more bytes are moved than are sent.
    #[inline]
    fn forget_gone(&mut self) {
        if self.gone >= MAILBOX_KEPT && self.gone >= self.commands.len() / 2 {
            self.commands.drain(..self.gone);
            self.gone = 0;
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    /// The oldest request.
    pub(crate) fn front(&self) -> Option<&Request> {
        self.requests.front()
    }

    /// Notes when those requests came that have come since the last time.
    pub(crate) fn stamp(&mut self, now: Instant) {
        let unseen = self
            .requests
            .iter_mut()
            .rev()
            .map_while(|it| match it.since {
                None => Some(&mut it.since),
                Some(_) => None,
            });
        unseen.for_each(|since| *since = Some(now));
    }

    /// Those that wait for room, if there is room now: to be woken without the lock.
    pub(crate) fn take_waiting(&mut self) -> BTreeMap<u64, Waker> {
        if self.has_room() {
            std::mem::take(&mut self.waiting)
        } else {
            BTreeMap::new()
        }
    }

    /// Takes out the oldest request, whose bytes are appended to `out` if it is one command.
    #[inline]
    pub(crate) fn pop(&mut self, out: &mut Vec<u8>, now: Instant) -> Option<Request> {
        let mut request = self.take()?;
        request.since.get_or_insert(now);
        if request.batch.is_none() {
            let start = self.gone - request.len;
            out.extend_from_slice(&self.commands[start..self.gone]);
        }
        if self.requests.is_empty() {
            self.commands.clear();
            self.commands.shrink_to(MAILBOX_KEPT);
            self.gone = 0;
        }
        Some(request)
    }

    /// Takes out those requests in front that nobody waits for.
    #[inline]
    pub(crate) fn skip_abandoned(&mut self) {
        while let Some(request) = self.requests.front()
            && self.is_abandoned(request)
        {
            self.take();
        }
    }

    /// Nobody waits for the answer any more.
    #[inline]
    pub(crate) fn is_abandoned(&self, request: &Request) -> bool {
        request
            .ticket
            .is_some_and(|ticket| !self.slots.is_open(ticket))
    }

    /// Takes out the oldest request, and passes over its bytes.
    pub(crate) fn take(&mut self) -> Option<Request> {
        let request = self.requests.pop_front()?;
        self.bytes -= request.len;
        if request.batch.is_none() {
            self.gone += request.len;
        }
        Some(request)
    }

    /// Puts requests back in front of all others, in their order; with them the bytes of those that are one command.
    pub(crate) fn put_back(&mut self, requests: Vec<Request>, mut commands: Vec<u8>) {
        commands.extend_from_slice(&self.commands[self.gone..]);
        self.commands = commands;
        self.gone = 0;
        for request in requests.into_iter().rev() {
            self.bytes += request.len;
            self.requests.push_front(request);
        }
    }

    pub(crate) fn wake_task_here(&mut self, cx: &Context<'_>) {
        match &mut self.task {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
    }

    /// There will be no further connection; gives what waited for one.
    pub(crate) fn end(&mut self, error: Error) -> (VecDeque<Request>, BTreeMap<u64, Waker>) {
        self.ended = Some(error);
        self.bytes = 0;
        self.commands = Vec::new();
        self.gone = 0;
        let requests = std::mem::take(&mut self.requests);
        (requests, std::mem::take(&mut self.waiting))
    }

    /// When the connection will have been idle for too long; from then on nobody gets it any more.
    pub(crate) fn poll_idle(&mut self, limit: Duration, now: Instant) -> Option<Instant> {
        let due = self.idle_since?.checked_add(limit)?;
        if due <= now {
            self.closing = Closing::Now;
        }
        Some(due)
    }
}

fn wake(task: Option<Waker>) {
    if let Some(task) = task {
        task.wake();
    }
}

/// A request from its first poll to its answer.
///
/// Dropped before its first poll, nothing is sent. Dropped later, it may run all the same; its answer goes to
/// nobody, and to nobody else.
#[derive(Debug)]
pub(crate) struct Sending<M: Deref<Target = Mailbox>> {
    mailbox: M,
    body: Body,
    state: SendingState,
}

#[derive(Debug)]
enum SendingState {
    /// Where it waits for room, if it does.
    Unsent(Option<Place>),
    Sent(Ticket),
    Answered,
}

impl<M: Deref<Target = Mailbox>> Sending<M> {
    #[inline]
    pub(crate) fn new(mailbox: M, body: Body) -> Self {
        Self {
            mailbox,
            body,
            state: SendingState::Unsent(None),
        }
    }

    /// The same way with another request.
    pub(crate) fn send_next(&mut self, body: Body)
    where
        M: Copy,
    {
        *self = Self::new(self.mailbox, body);
    }

    /// What is sent.
    pub(crate) fn body(&self) -> &Body {
        &self.body
    }

    /// Nothing of it is under way: it was not sent, or it was answered.
    pub(crate) fn is_at_rest(&self) -> bool {
        !matches!(self.state, SendingState::Sent(_))
    }
}

impl<M: Deref<Target = Mailbox> + Unpin> Future for Sending<M> {
    type Output = Result<Answer>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<Answer>> {
        let this = &mut *self;
        match &mut this.state {
            SendingState::Unsent(place) => {
                if let Some(answer) = this.mailbox.ask(&this.body) {
                    this.state = SendingState::Answered;
                    return Poll::Ready(answer);
                }
                let ticket = std::task::ready!(this.mailbox.poll_send(&this.body, place, cx))?;
                this.state = SendingState::Sent(ticket);
                Poll::Pending
            }
            SendingState::Sent(ticket) => {
                let answer = std::task::ready!(this.mailbox.poll_answer(*ticket, cx));
                this.state = SendingState::Answered;
                Poll::Ready(answer)
            }
            SendingState::Answered => Poll::Ready(Err(Error::misuse(
                "a request was awaited again after its end",
            ))),
        }
    }
}

impl<M: Deref<Target = Mailbox>> Drop for Sending<M> {
    fn drop(&mut self) {
        match &self.state {
            SendingState::Unsent(Some(place)) => self.mailbox.give_up(place),
            SendingState::Sent(ticket) => self.mailbox.leave(*ticket),
            SendingState::Unsent(None) | SendingState::Answered => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(len: usize) -> Body {
        Body::command(vec![0; len], Patience::Usual)
    }

    #[test]
    fn who_waits_for_room_has_one_place_however_often_it_asks_and_none_when_it_is_gone() {
        let mailbox = Mailbox::default();
        let mut cx = Context::from_waker(Waker::noop());
        let large = body(MAILBOX_BYTES);
        assert!(mailbox.poll_send(&large, &mut None, &mut cx).is_ready());
        let mut waiting = Sending::new(&mailbox, body(1));
        for _ in 0..3 {
            assert!(Pin::new(&mut waiting).poll(&mut cx).is_pending());
            assert_eq!(mailbox.lock().waiting.len(), 1);
        }
        drop(waiting);
        assert!(mailbox.lock().waiting.is_empty());
    }

    #[test]
    fn the_time_of_a_request_begins_while_it_waits_for_room() {
        let (mailbox, limit) = (Mailbox::default(), Duration::from_secs(1));
        let mut cx = Context::from_waker(Waker::noop());
        let large = body(MAILBOX_BYTES);
        assert!(mailbox.poll_send(&large, &mut None, &mut cx).is_ready());
        let mut waiting = Sending::new(&mailbox, body(1));
        assert!(Pin::new(&mut waiting).poll(&mut cx).is_pending());
        let waited = Instant::now();
        while Instant::now() == waited {}
        mailbox.lock().take().expect("the large one");
        // One that did not wait, and was not seen yet.
        assert!(mailbox.poll_send(&body(1), &mut None, &mut cx).is_ready());
        assert!(Pin::new(&mut waiting).poll(&mut cx).is_pending());
        let mut state = mailbox.lock();
        assert!(state.waiting.is_empty());
        let unseen = state.take().and_then(|request| request.due(limit));
        let waiting = state.take().and_then(|request| request.due(limit));
        assert!(unseen.expect("it has one") > waited + limit);
        assert!(waiting.expect("it has one") <= waited + limit);
    }

    #[test]
    fn bytes_that_have_left_are_forgotten_though_the_mailbox_is_never_empty() {
        let mailbox = Mailbox::default();
        let mut state = mailbox.lock();
        let now = Instant::now();
        let command = |n: u8| Body::command(vec![n; 1000], Patience::Usual);
        state.push(&command(0), None, None);
        for n in 1..=u8::MAX {
            for m in 0..10 {
                state.push(&command(n), None, None);
                let mut out = Vec::new();
                state.pop(&mut out, now).expect("there is one");
                assert_eq!(out, [if m == 0 { n - 1 } else { n }; 1000]);
            }
        }
        let room = state.commands.capacity();
        assert!(room <= 4 * MAILBOX_KEPT, "{room} bytes");
    }

    #[test]
    fn th_02_a_connection_that_nobody_has_for_so_long_is_closed_and_not_lent_again() {
        let limit = Duration::from_secs(30);
        let mailbox = Mailbox::default();
        assert!(mailbox.begin_idling());
        let since = mailbox.lock().idle_since.expect("it idles");
        let due = Some(since + limit);
        assert_eq!(mailbox.lock().poll_idle(limit, since), due);
        // Lent in between, the time begins anew.
        assert!(mailbox.end_idling());
        assert_eq!(mailbox.lock().poll_idle(limit, since + limit), None);
        assert!(mailbox.begin_idling());
        let since = mailbox.lock().idle_since.expect("it idles");
        mailbox.lock().poll_idle(limit, since + limit);
        assert_eq!(mailbox.lock().closing, Closing::Now);
        assert!(!mailbox.end_idling());
    }
}
