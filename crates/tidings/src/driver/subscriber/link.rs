//! The task of a Pub/Sub connection: subscriptions out, messages in.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tidings_proto::pubsub::{GapCause, Record};
use tidings_proto::{Connection, Event, ProtocolError};

use super::single::why;
use super::{Answer, Outlet, Shared, Staged, State};
use crate::config::Config;
use crate::driver::place::Departure;
use crate::driver::supervise::{self, Connected, End, Link};
use crate::driver::{Alarm, Wire, yield_turn};
use crate::error::{Error, Result};
use crate::pubsub::queue::full;

/// A read that brought so much is followed by a turn of the subscriber's, while its bytes are in the cache.
const YIELD_AFTER: usize = 8 * 1024;

/// How long a connection stays that is of no use to anybody.
const IDLE: Duration = Duration::from_secs(30);

/// How long somebody may take to come who was told of the connection.
const COMING: Duration = Duration::from_secs(1);

const PING: &[u8] = b"*1\r\n$4\r\nPING\r\n";

/// What a PING is for.
#[derive(Debug)]
pub(crate) enum Ping {
    /// Somebody waits for the answer.
    Asked(Answer),
    Fence(u64),
}

/// The task's side.
pub(crate) struct SubscriberLink<O: Outlet> {
    config: Arc<Config>,
    shared: Arc<Shared<O>>,
    line: Option<Line>,
    connected_before: bool,
    alarm: Alarm,
}

/// A connection that is being served.
struct Line {
    wire: Wire,
    connection: Connection<Ping>,
    /// Writing failed: what the server still has to say is read, and then the connection is lost.
    mute: bool,
    /// How many messages the last read brought: about as many as the next one will.
    usual: usize,
}

impl<O: Outlet> SubscriberLink<O> {
    pub(crate) fn new(config: Arc<Config>, shared: Arc<Shared<O>>) -> Self {
        Self {
            config,
            shared,
            line: None,
            connected_before: false,
            alarm: Alarm::new(),
        }
    }

    fn lose(&mut self, error: Error, cause: GapCause) -> End {
        let Some(line) = self.line.take() else {
            return End::Lost(error);
        };
        let mut state = self.shared.lock();
        state.disconnected(line.connection, &error, cause);
        End::Lost(error)
    }

    /// Writes what is due and reads what has come; `Err` is the end.
    fn poll_line(&mut self, cx: &mut Context<'_>) -> Poll<Result<End, Error>> {
        let Some(line) = &mut self.line else {
            return Poll::Pending;
        };
        loop {
            let now = Instant::now();
            let room = {
                let mut state = self.shared.lock();
                if state.is_over(now) {
                    return Poll::Ready(Ok(End::Closed));
                }
                state.transmit(&mut line.connection, line.wire.output(), now);
                match &mut state.task {
                    Some(waker) => waker.clone_from(cx.waker()),
                    none => *none = Some(cx.waker().clone()),
                }
                state.outlet.poll_room(cx) || state.pinged > 0
            };
            if !line.mute && matches!(line.wire.poll_flush(cx), Poll::Ready(Err(_))) {
                line.mute = true;
            }
            if !room {
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
                        yield_turn(cx);
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
                    if self.shared.lock().looked() {
                        yield_turn(cx);
                    }
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
    fn poll_timeout<O: Outlet>(&self, shared: &Shared<O>, now: Instant) -> Option<Instant> {
        let state = shared.lock();
        self.connection
            .poll_timeout(now)
            .into_iter()
            .chain(state.subscriptions.poll_timeout())
            .chain(state.outlet.poll_timeout())
            .chain(state.idle_until())
            .min()
    }

    /// Hands on what the last read brought. `false`: the queue is full and closes the subscriber.
    fn receive<O: Outlet>(&mut self, shared: &Shared<O>) -> Result<bool> {
        let now = Instant::now();
        self.connection.heard(now);
        let mut locked = shared.lock();
        let state = &mut *locked;
        let input = self.wire.input();
        let (staged, records, outcome) = state.sort(&mut self.connection, input, self.usual, now);
        let consumed = self.connection.take_consumed();
        let open = if staged.is_empty() && records.is_empty() {
            self.wire.skip(consumed);
            true
        } else {
            let block = self.wire.take(consumed);
            self.usual = records.len();
            state.take_in(staged, records, &block)
        };
        drop(locked);
        if open {
            outcome?;
        }
        Ok(open)
    }
}

/// What the task does with a connection, but for its socket.
impl<O: Outlet> State<O> {
    pub(crate) fn connected(&mut self) {
        self.subscriptions.connected();
        self.outlet
            .connected(true, &mut self.subscriptions, &mut self.later);
        self.settle();
    }

    pub(crate) fn disconnected(
        &mut self,
        connection: Connection<Ping>,
        error: &Error,
        cause: GapCause,
    ) {
        let last_heard = connection.last_heard();
        for ping in connection.into_requests() {
            let Ping::Asked(answer) = ping else { continue };
            let error = Error::connection("the connection was lost before the answer came")
                .with_source(error.clone())
                .with_may_have_run(true);
            self.later.answer(answer, Err(error));
        }
        self.pinged = 0;
        self.subscriptions.lost(last_heard, cause);
        self.outlet
            .connected(false, &mut self.subscriptions, &mut self.later);
        self.settle();
    }

    /// Appends what is due to `out`.
    pub(crate) fn transmit(
        &mut self,
        connection: &mut Connection<Ping>,
        out: &mut Vec<u8>,
        now: Instant,
    ) {
        while let Some(answer) = self.pings.pop_front() {
            out.extend_from_slice(PING);
            connection.request(Ping::Asked(answer), 1);
            self.pinged += 1;
        }
        self.outlet.handle_timeout(now, &mut self.subscriptions);
        connection.poll_transmit(&mut self.subscriptions, out, now);
        if let Some(fence) = self.outlet.next_fence() {
            out.extend_from_slice(PING);
            connection.request(Ping::Fence(fence), 1);
        }
        self.settle();
    }

    /// What is in `input`, in order, with the messages at its end, about as many as are `usual`; and whether all of
    /// it was in order.
    pub(crate) fn sort(
        &mut self,
        connection: &mut Connection<Ping>,
        input: &[u8],
        usual: usize,
        now: Instant,
    ) -> (Vec<Staged>, Vec<Record>, Result<(), ProtocolError>) {
        let mut staged: Vec<Staged> = Vec::new();
        let mut records = Vec::with_capacity(usual);
        let outcome = loop {
            connection.poll_messages(input, &self.subscriptions, &mut records);
            let event = match connection.poll_event(input, &mut self.subscriptions, now) {
                Ok(Some(Event::Message(record))) => {
                    records.push(record);
                    continue;
                }
                Ok(Some(event)) => event,
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            };
            let next = match event {
                Event::Subscription(event) => Staged::Event(event),
                Event::Replies {
                    done: Some(ping), ..
                } => {
                    self.link.last_pong = Some(now);
                    match ping {
                        Ping::Asked(answer) => {
                            self.pinged = self.pinged.saturating_sub(1);
                            self.later.answer(answer, Ok(()));
                            continue;
                        }
                        Ping::Fence(number) => Staged::Fenced(number),
                    }
                }
                Event::Pong => {
                    self.link.last_pong = Some(now);
                    continue;
                }
                _ => continue,
            };
            if !records.is_empty() {
                staged.push(Staged::Messages(std::mem::take(&mut records)));
            }
            staged.push(next);
        };
        (staged, records, outcome)
    }

    /// Hands on what was sorted. `false`: the queue is full and closes the subscriber.
    pub(crate) fn take_in(
        &mut self,
        mut staged: Vec<Staged>,
        records: Vec<Record>,
        block: &Bytes,
    ) -> bool {
        if !records.is_empty() {
            staged.push(Staged::Messages(records));
        }
        let open = self.hand_on(staged, block);
        self.settle();
        open
    }

    /// When it is closed because it is of no use to anybody.
    fn idle_until(&self) -> Option<Instant> {
        self.outlet.idle_since().and_then(|at| at.checked_add(IDLE))
    }

    /// Whether the connection is to be closed. From then on nobody can ask for more.
    pub(crate) fn is_over(&mut self, now: Instant) -> bool {
        self.closing |= self.idle_until().is_some_and(|at| at <= now);
        self.closing
    }
}

impl<O: Outlet> Link for SubscriberLink<O> {
    fn connected(&mut self, connected: Connected, moved: Option<GapCause>) {
        let Connected { wire, info, config } = connected;
        self.config = config;
        let options = supervise::options(&self.config, &info, true);
        let connection = Connection::new(options, Instant::now());
        let mut locked = self.shared.lock();
        let state = &mut *locked;
        state.link.reconnects += u64::from(self.connected_before);
        state.trouble = None;
        if let Some(cause) = moved {
            state.subscriptions.explain(cause);
        }
        state.connected();
        drop(locked);
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
            Err(error) => Poll::Ready(self.lose(error, GapCause::Disconnected)),
        }
    }

    fn leave(&mut self, departure: Departure) -> End {
        self.lose(departure.error, departure.cause)
    }

    fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.shared.lock();
        // It is not made again for nobody. Somebody may just be coming.
        let idle_since = state.outlet.idle_since();
        state.closing |= idle_since.is_some_and(|at| at.elapsed() >= COMING);
        if state.closing {
            return Poll::Ready(());
        }
        // Nothing can have come.
        state.end_looks(|_| true);
        state.task = Some(cx.waker().clone());
        Poll::Pending
    }

    fn attempt_failed(&mut self, error: &Error) {
        let mut state = self.shared.lock();
        state.trouble = Some(error.clone());
        // Who asks whether the server is there has the answer.
        while let Some(answer) = state.pings.pop_front() {
            state.later.answer(answer, Err(error.clone()));
        }
    }

    fn ended(&mut self, error: Option<Error>) {
        self.line = None;
        let mut locked = self.shared.lock();
        let state = &mut *locked;
        while let Some(answer) = state.pings.pop_front() {
            state.later.answer(answer, Err(why(error.as_ref())));
        }
        state.closed.clear();
        state.end_looks(|_| true);
        state.outlet.ended(error.as_ref(), &mut state.later);
        state.ended = Some(error);
    }
}

impl<O: Outlet> Drop for SubscriberLink<O> {
    /// The runtime may end before the subscriber does.
    fn drop(&mut self) {
        if self.shared.lock().ended.is_none() {
            self.ended(None);
        }
    }
}
