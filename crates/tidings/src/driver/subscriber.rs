//! The task that serves one subscriber's connection: subscriptions out, messages into its queue.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use bytes::Bytes;
use tidings_proto::pubsub::{GapCause, OpId, SubscriptionEvent, SubscriptionKind, Verb};
use tidings_proto::{Blob, Connection, Event, ServerError, Subscriptions};
use tokio::sync::oneshot;

use super::supervise::{self, Connected, End, Link};
use super::{Alarm, Wire};
use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::pubsub::event::{Confirmation, Gap};
use crate::pubsub::queue::{Batch, Bounds, Item, Queue, full};

/// A read that brought so much is followed by a turn of the subscriber's, while its bytes are in the cache.
const YIELD_AFTER: usize = 8 * 1024;

/// What a subscriber and the task that serves it share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) queue: Arc<Queue>,
    state: Mutex<State>,
}

/// How a request to subscribe or unsubscribe ended, or a PING.
type Answer<T> = oneshot::Sender<Result<T>>;

#[derive(Debug)]
struct Request {
    answer: Answer<()>,
    urgent: bool,
}

#[derive(Debug, Default)]
struct State {
    subscriptions: Subscriptions,
    requests: HashMap<OpId, Request>,
    /// Requests whose answers are read for beyond the bound of the queue.
    urgent: usize,
    /// An asynchronous handler is at work: what it waits for is urgent, whoever made the request.
    handling: bool,
    pings: VecDeque<Answer<()>>,
    /// PINGs on the wire.
    pinged: usize,
    /// The subscriber is gone or was closed.
    closing: bool,
    /// The task is gone; why, unless it was asked to go.
    ended: Option<Option<Error>>,
    reconnects: u64,
    last_pong: Option<Instant>,
    trouble: Option<Error>,
    task: Option<Waker>,
    closed: Vec<oneshot::Sender<()>>,
}

/// Counters of the connection.
#[derive(Debug, Clone, Default)]
pub(crate) struct LinkStats {
    pub(crate) reconnects: u64,
    pub(crate) last_pong: Option<Instant>,
}

impl Shared {
    pub(crate) fn new(bounds: Bounds) -> Arc<Self> {
        Arc::new(Self {
            queue: Arc::new(Queue::new(bounds)),
            state: Mutex::default(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state and lets the task look at it.
    fn change<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let mut state = self.lock();
        let result = change(&mut state);
        let task = state.task.take();
        drop(state);
        if let Some(task) = task {
            task.wake();
        }
        result
    }

    /// Asks for `names`, at once; the answer comes when the server has confirmed or refused each of them.
    ///
    /// `urgent`: whoever waits for the answer cannot read meanwhile, so the socket is read for it although the queue
    /// is full.
    pub(crate) fn request(
        &self,
        verb: Verb,
        kind: SubscriptionKind,
        names: Vec<Blob>,
        urgent: bool,
    ) -> Result<oneshot::Receiver<Result<()>>> {
        self.change(|state| {
            state.check_open()?;
            let op = match verb {
                Verb::Subscribe => state.subscriptions.subscribe(kind, names),
                Verb::Unsubscribe => state.subscriptions.unsubscribe(kind, names),
            };
            let answered = state.await_answer(op, urgent);
            state.settle(&self.queue);
            Ok(answered)
        })
    }

    /// Ends all subscriptions of one kind; `None` if there are none.
    pub(crate) fn request_end(
        &self,
        kind: SubscriptionKind,
    ) -> Result<Option<oneshot::Receiver<Result<()>>>> {
        self.change(|state| {
            state.check_open()?;
            let Some(op) = state.subscriptions.unsubscribe_all(kind) else {
                return Ok(None);
            };
            let answered = state.await_answer(op, true);
            state.settle(&self.queue);
            Ok(Some(answered))
        })
    }

    /// Asks the server for a sign of life.
    pub(crate) fn ping(&self) -> Result<oneshot::Receiver<Result<()>>> {
        self.change(|state| {
            state.check_open()?;
            let (answer, answered) = oneshot::channel();
            state.pings.push_back(answer);
            Ok(answered)
        })
    }

    /// Notes whether an asynchronous handler is at work.
    pub(crate) fn set_handling(&self, handling: bool) {
        self.change(|state| state.handling = handling);
    }

    /// Lets the task close the connection.
    pub(crate) fn close(&self) {
        self.change(|state| state.closing = true);
    }

    /// Closes the connection; the answer comes when it is closed.
    pub(crate) fn close_and_wait(&self) -> Option<oneshot::Receiver<()>> {
        self.change(|state| {
            state.closing = true;
            if state.ended.is_some() {
                return None;
            }
            let (closed, answered) = oneshot::channel();
            state.closed.push(closed);
            Some(answered)
        })
    }

    /// Reads something of the subscriptions.
    pub(crate) fn with<R>(&self, read: impl FnOnce(&Subscriptions) -> R) -> R {
        read(&self.lock().subscriptions)
    }

    /// Whether nothing is subscribed or under way, and nothing is queued.
    ///
    /// What the task puts into the queue it puts there under the same lock, so no last event is overlooked.
    pub(crate) fn is_done(&self) -> bool {
        let state = self.lock();
        state.subscriptions.is_idle() && self.queue.is_empty()
    }

    /// Whether anything is wanted, and somebody there to receive it.
    pub(crate) fn is_subscribed(&self) -> bool {
        let state = self.lock();
        !state.closing && state.ended.is_none() && state.subscriptions.wanted_len() > 0
    }

    pub(crate) fn stats(&self) -> LinkStats {
        let state = self.lock();
        LinkStats {
            reconnects: state.reconnects,
            last_pong: state.last_pong,
        }
    }

    /// Why there is no connection at the moment, if an attempt to make one has failed.
    pub(crate) fn trouble(&self) -> Option<Error> {
        self.lock().trouble.clone()
    }
}

impl State {
    fn check_open(&self) -> Result<()> {
        match &self.ended {
            _ if self.closing => Err(Error::misuse("the subscriber was closed")),
            Some(Some(error)) => Err(error.clone()),
            Some(None) => Err(Error::closed("the subscriber has ended with its runtime")),
            None => Ok(()),
        }
    }

    fn await_answer(&mut self, op: OpId, urgent: bool) -> oneshot::Receiver<Result<()>> {
        let (answer, answered) = oneshot::channel();
        self.urgent += usize::from(urgent);
        self.requests.insert(op, Request { answer, urgent });
        answered
    }

    /// Whether somebody who cannot read meanwhile waits for an answer that may stand behind messages.
    fn is_asked(&self) -> bool {
        self.urgent > 0 || self.pinged > 0 || (self.handling && !self.requests.is_empty())
    }

    /// Handles events that come of requests rather than of the connection.
    fn settle(&mut self, queue: &Queue) {
        let mut items = Vec::new();
        while let Some(event) = self.subscriptions.poll_event() {
            items.extend(self.item_of(event));
        }
        if !items.is_empty() {
            queue.push(items);
        }
    }

    /// What a subscription event means to the subscriber.
    fn item_of(&mut self, event: SubscriptionEvent) -> Option<Item> {
        match event {
            SubscriptionEvent::Confirmed {
                verb,
                kind,
                name,
                count,
            } => Some(Item::Confirmation(Confirmation::new(
                verb, kind, name, count,
            ))),
            SubscriptionEvent::Refused { kind, name, error } => {
                let text = format!(
                    "the server refused to {} {name} again: {}",
                    Verb::Subscribe.name(kind),
                    error.message()
                );
                Some(Item::Error(
                    Error::new(ErrorKind::Server, text).with_server(error),
                ))
            }
            SubscriptionEvent::Gap {
                cause,
                since,
                names,
            } => Some(Item::Gap(Gap::until_now(cause, since, None, names))),
            SubscriptionEvent::Done { op, refused } => {
                if let Some(Request { answer, urgent }) = self.requests.remove(&op) {
                    self.urgent -= usize::from(urgent);
                    // Whoever asked may have stopped waiting.
                    let _ = answer.send(outcome(refused));
                }
                None
            }
            SubscriptionEvent::Revoked { .. } => None,
            // A newer core may tell more than this subscriber knows how to show.
            #[allow(unreachable_patterns, reason = "the enum may grow")]
            _ => None,
        }
    }
}

/// Success, or an error that names what was refused.
fn outcome(mut refused: Vec<(Blob, ServerError)>) -> Result<()> {
    if refused.is_empty() {
        return Ok(());
    }
    let more = refused.len() - 1;
    let (name, error) = refused.swap_remove(0);
    let others = if more == 0 {
        String::new()
    } else {
        format!(" (and {more} more)")
    };
    let text = format!("the server refused {name}{others}: {}", error.message());
    Err(Error::new(ErrorKind::Server, text).with_server(error))
}

/// The task's side.
pub(crate) struct SubscriberLink {
    config: Arc<Config>,
    shared: Arc<Shared>,
    line: Option<Line>,
    connected_before: bool,
    alarm: Alarm,
}

/// A connection that is being served.
struct Line {
    wire: Wire,
    connection: Connection<Answer<()>>,
    /// Writing failed: what the server still has to say is read, and then the connection is lost.
    mute: bool,
    /// How many messages the last read brought: about as many as the next one will.
    usual: usize,
}

impl SubscriberLink {
    pub(crate) fn new(config: Arc<Config>, shared: Arc<Shared>) -> Self {
        Self {
            config,
            shared,
            line: None,
            connected_before: false,
            alarm: Alarm::new(),
        }
    }

    fn lose(&mut self, error: Error) -> End {
        let Some(line) = self.line.take() else {
            return End::Lost(error);
        };
        let last_heard = line.connection.last_heard();
        let mut state = self.shared.lock();
        for answer in line.connection.into_requests() {
            let error = Error::connection("the connection was lost before the answer came")
                .with_source(error.clone())
                .with_may_have_run(true);
            let _ = answer.send(Err(error));
        }
        state.pinged = 0;
        state.subscriptions.lost(last_heard, GapCause::Disconnected);
        state.settle(&self.shared.queue);
        drop(state);
        self.shared.queue.wake();
        End::Lost(error)
    }

    /// Writes what is due and reads what has come; `Err` is the end.
    fn poll_line(&mut self, cx: &mut Context<'_>) -> Poll<Result<End, Error>> {
        let Some(line) = &mut self.line else {
            return Poll::Pending;
        };
        loop {
            let now = Instant::now();
            let asked = {
                let mut state = self.shared.lock();
                if state.closing {
                    return Poll::Ready(Ok(End::Closed));
                }
                line.transmit(&mut state, &self.shared.queue, now);
                match &mut state.task {
                    Some(waker) => waker.clone_from(cx.waker()),
                    none => *none = Some(cx.waker().clone()),
                }
                state.is_asked()
            };
            if !line.mute && matches!(line.wire.poll_flush(cx), Poll::Ready(Err(_))) {
                line.mute = true;
            }
            // Somebody who waits for a confirmation cannot read at the same time, so room is no condition then.
            if !self.shared.queue.poll_room(cx) && !asked {
                line.connection.pause();
                return Poll::Pending;
            }
            line.connection.resume(now);
            match line.wire.poll_read(cx, line.connection.missing()) {
                Poll::Ready(Ok(0)) => {
                    return Poll::Ready(Err(supervise::lost(&self.config, None)));
                }
                Poll::Ready(Ok(read)) => {
                    if !line.receive(&self.shared)? {
                        return Poll::Ready(Ok(End::Over(full())));
                    }
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
                    let Some(due) = line.poll_timeout(&self.shared, now) else {
                        return Poll::Pending;
                    };
                    if due <= now {
                        if !line.connection.handle_timeout(now, line.wire.output()) {
                            let last_heard = line.connection.last_heard();
                            let error = supervise::silent(&self.config, last_heard);
                            return Poll::Ready(Err(error));
                        }
                        continue;
                    }
                    if self.alarm.poll(Some(due), cx).is_pending() {
                        return Poll::Pending;
                    }
                }
            }
        }
    }
}

impl Line {
    fn transmit(&mut self, state: &mut State, queue: &Queue, now: Instant) {
        while let Some(answer) = state.pings.pop_front() {
            self.wire
                .output()
                .extend_from_slice(b"*1\r\n$4\r\nPING\r\n");
            self.connection.request(answer, 1);
            state.pinged += 1;
        }
        self.connection
            .poll_transmit(&mut state.subscriptions, self.wire.output(), now);
        state.settle(queue);
    }

    fn poll_timeout(&self, shared: &Shared, now: Instant) -> Option<Instant> {
        let retry = shared.with(Subscriptions::poll_timeout);
        self.connection
            .poll_timeout(now)
            .into_iter()
            .chain(retry)
            .min()
    }

    /// Hands on what the last read brought. `false`: the queue is full and closes the subscriber.
    fn receive(&mut self, shared: &Shared) -> Result<bool> {
        let now = Instant::now();
        self.connection.heard(now);
        let mut state = shared.lock();
        let mut staged: Vec<Staged> = Vec::new();
        let mut records = Vec::with_capacity(self.usual);
        let outcome = loop {
            self.connection
                .poll_messages(self.wire.input(), &state.subscriptions, &mut records);
            let event =
                self.connection
                    .poll_event(self.wire.input(), &mut state.subscriptions, now);
            let event = match event {
                Ok(Some(Event::Message(record))) => {
                    records.push(record);
                    continue;
                }
                Ok(Some(event)) => event,
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            };
            match event {
                Event::Subscription(event) => {
                    if let Some(item) = state.item_of(event) {
                        if !records.is_empty() {
                            staged.push(Staged::Records(std::mem::take(&mut records)));
                        }
                        staged.push(Staged::Item(item));
                    }
                }
                Event::Replies {
                    done: Some(answer), ..
                } => {
                    state.pinged = state.pinged.saturating_sub(1);
                    state.last_pong = Some(now);
                    let _ = answer.send(Ok(()));
                }
                Event::Pong => state.last_pong = Some(now),
                _ => {}
            }
        };
        let consumed = self.connection.take_consumed();
        let open = if staged.is_empty() && records.is_empty() {
            self.wire.skip(consumed);
            true
        } else {
            let block = self.wire.take(consumed);
            self.usual = records.len();
            if !records.is_empty() {
                staged.push(Staged::Records(records));
            }
            shared
                .queue
                .push(staged.into_iter().map(|staged| staged.into_item(&block)))
        };
        if state.subscriptions.is_idle() {
            shared.queue.wake();
        }
        drop(state);
        if open {
            outcome?;
        }
        Ok(open)
    }
}

enum Staged {
    Records(Vec<tidings_proto::pubsub::Record>),
    Item(Item),
}

impl Staged {
    fn into_item(self, block: &Bytes) -> Item {
        match self {
            Self::Records(records) => Item::Batch(Batch::new(block.clone(), records)),
            Self::Item(item) => item,
        }
    }
}

impl Link for SubscriberLink {
    fn connected(&mut self, Connected { wire, info }: Connected) {
        let options = supervise::options(&self.config, &info, true);
        let connection = Connection::new(options, Instant::now());
        let mut state = self.shared.lock();
        state.reconnects += u64::from(self.connected_before);
        state.trouble = None;
        state.subscriptions.connected();
        drop(state);
        self.connected_before = true;
        self.line = Some(Line {
            wire,
            connection,
            mute: false,
            usual: 0,
        });
    }

    fn poll_run(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        match std::task::ready!(self.poll_line(cx)) {
            Ok(end) => Poll::Ready(end),
            Err(error) => Poll::Ready(self.lose(error)),
        }
    }

    fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.shared.lock();
        if state.closing {
            return Poll::Ready(());
        }
        state.task = Some(cx.waker().clone());
        Poll::Pending
    }

    fn attempt_failed(&mut self, error: &Error) {
        let mut state = self.shared.lock();
        state.trouble = Some(error.clone());
        // Who asks whether the server is there has the answer.
        for answer in state.pings.drain(..) {
            let _ = answer.send(Err(error.clone()));
        }
    }

    fn ended(&mut self, error: Option<Error>) {
        self.line = None;
        let mut state = self.shared.lock();
        let why = error
            .clone()
            .unwrap_or_else(|| Error::closed("the subscriber was closed"));
        for (_, request) in state.requests.drain() {
            let _ = request.answer.send(Err(why.clone()));
        }
        state.urgent = 0;
        for answer in state.pings.drain(..) {
            let _ = answer.send(Err(why.clone()));
        }
        state.closed.clear();
        state.ended = Some(error.clone());
        self.shared.queue.end(error);
    }
}

impl Drop for SubscriberLink {
    /// The runtime may end before the subscriber does.
    fn drop(&mut self) {
        if self.shared.lock().ended.is_none() {
            self.ended(None);
        }
    }
}
