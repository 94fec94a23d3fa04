//! The task of one Pub/Sub connection: subscriptions out, messages in.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tidings_proto::cluster::{LineId, Missed};
use tidings_proto::pubsub::{GapCause, Record, SubscriptionEvent};
use tidings_proto::{Connection, Event, ProtocolError};

use super::single::why;
use super::{Loss, Outlet, Shared, Staged, State};
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
    /// Somebody waits for the answer; by this number.
    Asked(u64),
    Fence(u64),
}

/// The task's side.
pub(crate) struct SubscriberLink<O: Outlet> {
    config: Arc<Config>,
    shared: Arc<Shared<O>>,
    id: LineId,
    line: Option<Line>,
    alarm: Alarm,
}

/// A connection that is being served.
struct Line {
    wire: Wire,
    connection: Connection<Ping>,
    /// Writing failed: what the server still has to say is read, and then the connection is lost.
    mute: bool,
    /// The peer did not answer any more.
    silent: bool,
    /// When surely nothing was missing of what the peer has from others, as far as that is known.
    heard_as_of: Option<Instant>,
    /// How many messages the last read brought: about as many as the next one will.
    usual: usize,
}

impl<O: Outlet> SubscriberLink<O> {
    /// For the one connection that a subscriber has at a time.
    pub(crate) fn new(config: Arc<Config>, shared: Arc<Shared<O>>) -> Self {
        Self::of_line(config, shared, LineId::ONLY)
    }

    /// For one of several connections.
    pub(super) fn of_line(config: Arc<Config>, shared: Arc<Shared<O>>, id: LineId) -> Self {
        Self {
            config,
            shared,
            id,
            line: None,
            alarm: Alarm::new(),
        }
    }

    /// Closes a connection that was not lost.
    pub(super) fn retire(&mut self) {
        if let Some(line) = self.line.take() {
            let mut state = self.shared.lock();
            state.retired(self.id, line.connection);
        }
    }

    /// `good_at` is the last time at which its peer was known to be a good one, if that is what was wrong.
    fn lose(&mut self, error: Error, cause: GapCause, good_at: Option<Instant>) -> End {
        let Some(line) = self.line.take() else {
            return End::Lost(error);
        };
        // The peer may have been without the others for long before it, or all of them, knew.
        let earlier = [good_at, line.heard_as_of].into_iter().flatten();
        let loss = Loss {
            last_heard: earlier.fold(line.connection.last_heard(), Instant::min),
            cause,
            silent: line.silent,
        };
        let mut state = self.shared.lock();
        state.disconnected(self.id, line.connection, &error, loss);
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
                if state.is_over(now) || state.names.on_line(self.id).is_none() {
                    return Poll::Ready(Ok(End::Closed));
                }
                state.transmit(self.id, &mut line.connection, line.wire.output(), now);
                state.lines.listen(self.id, cx.waker());
                state.outlet.poll_room(cx) || state.lines.is_pinged(self.id)
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
                    if !line.receive(self.id, &self.shared)? {
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
                    if self.shared.lock().looked(self.id) {
                        yield_turn(cx);
                    }
                    let Some(due) = line.poll_timeout(self.id, &self.shared, now) else {
                        return Poll::Pending;
                    };
                    if due <= now {
                        if !line.connection.handle_timeout(now, line.wire.output()) {
                            line.silent = true;
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
    fn poll_timeout<O: Outlet>(
        &self,
        id: LineId,
        shared: &Shared<O>,
        now: Instant,
    ) -> Option<Instant> {
        let mut state = shared.lock();
        let names = state.names.on_line(id);
        let names = names.and_then(|names| names.poll_timeout());
        self.connection
            .poll_timeout(now)
            .into_iter()
            .chain(names)
            .chain(state.outlet.poll_timeout())
            .chain(state.idle_until())
            .min()
    }

    /// Hands on what the last read brought. `false`: the queue is full and closes the subscriber.
    fn receive<O: Outlet>(&mut self, id: LineId, shared: &Shared<O>) -> Result<bool> {
        let now = Instant::now();
        self.connection.heard(now);
        let mut locked = shared.lock();
        let state = &mut *locked;
        let input = self.wire.input();
        let (staged, records, outcome) =
            state.sort(id, &mut self.connection, input, self.usual, now);
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
    pub(crate) fn connected(&mut self, id: LineId, now: Instant) {
        if self.lost > 0 {
            self.lost -= 1;
            self.reconnects += 1;
        }
        self.failed_attempts = 0;
        self.trouble = None;
        self.lines.connected(id);
        self.names.connected(id, now);
        self.outlet
            .connected(id, true, &mut self.names, &mut self.later);
        self.settle();
    }

    pub(crate) fn disconnected(
        &mut self,
        id: LineId,
        connection: Connection<Ping>,
        error: &Error,
        loss: Loss,
    ) {
        for number in asked(connection) {
            let error = Error::connection("the connection was lost before the answer came")
                .with_source(error.clone())
                .with_may_have_run(true);
            self.lines.fail_ping(number, error, &mut self.later);
        }
        self.lost += 1;
        self.names.lost(id, loss, Instant::now());
        self.gone(id);
    }

    /// A connection is closed that is of no use any more. Nobody needs a sign of life of its peer.
    fn retired(&mut self, id: LineId, connection: Connection<Ping>) {
        for number in asked(connection) {
            self.lines.excuse_ping(number, &mut self.later);
        }
        self.gone(id);
    }

    fn gone(&mut self, id: LineId) {
        // First, what becomes of the names that were there.
        self.settle();
        self.lines.disconnected(id, &mut self.later);
        self.outlet
            .connected(id, false, &mut self.names, &mut self.later);
        self.settle();
    }

    /// The socket gave nothing: whether the runtime is to look at it.
    fn looked(&mut self, id: LineId) -> bool {
        self.lines.looked(id, &mut self.later)
    }

    /// Appends what is due to `out`.
    pub(crate) fn transmit(
        &mut self,
        id: LineId,
        connection: &mut Connection<Ping>,
        out: &mut Vec<u8>,
        now: Instant,
    ) {
        while let Some(number) = self.lines.next_ping(id) {
            out.extend_from_slice(PING);
            connection.request(Ping::Asked(number), 1);
        }
        self.outlet.handle_timeout(now, &mut self.names);
        if let Some(names) = self.names.on_line(id) {
            connection.poll_transmit(names, out, now);
        }
        if let Some(fence) = self.outlet.next_fence(id) {
            out.extend_from_slice(PING);
            connection.request(Ping::Fence(fence), 1);
        }
        self.settle();
    }

    /// What is in `input`, in order, with the messages at its end, about as many as are `usual`; and whether all of
    /// it was in order.
    pub(crate) fn sort(
        &mut self,
        id: LineId,
        connection: &mut Connection<Ping>,
        input: &[u8],
        usual: usize,
        now: Instant,
    ) -> (Vec<Staged>, Vec<Record>, Result<(), ProtocolError>) {
        let mut staged: Vec<Staged> = Vec::new();
        let mut records = Vec::with_capacity(usual);
        let outcome = loop {
            // What was done about an event may have taken the names elsewhere.
            let Some(names) = self.names.on_line(id) else {
                break Ok(());
            };
            connection.poll_messages(input, names, &mut records);
            let event = match connection.poll_event(input, names, now) {
                Ok(Some(Event::Message(record))) => {
                    records.push(record);
                    continue;
                }
                Ok(Some(event)) => event,
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            };
            let next = match event {
                Event::Subscription(event) => {
                    self.stage(id, event, now, &mut staged, &mut records);
                    continue;
                }
                Event::Replies {
                    done: Some(ping), ..
                } => {
                    let number = match ping {
                        Ping::Asked(number) => Some(number),
                        Ping::Fence(_) => None,
                    };
                    self.lines.ponged(id, number, now, &mut self.later);
                    match ping {
                        Ping::Asked(_) => continue,
                        Ping::Fence(number) => Staged::Fenced(id, number),
                    }
                }
                Event::Pong => {
                    self.lines.ponged(id, None, now, &mut self.later);
                    continue;
                }
                _ => continue,
            };
            push_staged(next, &mut staged, &mut records);
        };
        (staged, records, outcome)
    }

    /// Puts an event of one connection among what was sorted, as what it means for all of them.
    fn stage(
        &mut self,
        id: LineId,
        event: SubscriptionEvent,
        now: Instant,
        staged: &mut Vec<Staged>,
        records: &mut Vec<Record>,
    ) {
        if let Some(event) = self.names.handle_event(id, event, now) {
            return push_staged(Staged::Event(event), staged, records);
        }
        while let Some(event) = self.names.poll_event() {
            push_staged(Staged::Event(event), staged, records);
        }
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
    pub(super) fn idle_until(&self) -> Option<Instant> {
        self.outlet.idle_since().and_then(|at| at.checked_add(IDLE))
    }

    /// Whether the connection is to be closed. From then on nobody can ask for more.
    pub(crate) fn is_over(&mut self, now: Instant) -> bool {
        self.closing |= self.idle_until().is_some_and(|at| at <= now);
        self.closing
    }
}

/// The PINGs that somebody waits for.
fn asked(connection: Connection<Ping>) -> impl Iterator<Item = u64> {
    connection.into_requests().filter_map(|ping| match ping {
        Ping::Asked(number) => Some(number),
        Ping::Fence(_) => None,
    })
}

/// Puts something behind the messages that came before it.
fn push_staged(next: Staged, staged: &mut Vec<Staged>, records: &mut Vec<Record>) {
    if !records.is_empty() {
        staged.push(Staged::Messages(std::mem::take(records)));
    }
    staged.push(next);
}

impl<O: Outlet> Link for SubscriberLink<O> {
    fn connected(&mut self, connected: Connected, moved: Option<GapCause>) {
        let Connected { wire, info, config } = connected;
        self.config = config;
        let options = supervise::options(&self.config, &info, true);
        let now = Instant::now();
        let connection = Connection::new(options, now);
        let mut locked = self.shared.lock();
        let state = &mut *locked;
        if let Some(cause) = moved {
            state.names.explain(cause);
        }
        state.connected(self.id, now);
        drop(locked);
        self.line = Some(Line {
            wire,
            connection,
            mute: false,
            silent: false,
            heard_as_of: None,
            usual: 0,
        });
    }

    fn poll_run(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        match std::task::ready!(self.poll_line(cx)) {
            Ok(end) => Poll::Ready(end),
            Err(error) => Poll::Ready(self.lose(error, GapCause::Disconnected, None)),
        }
    }

    fn leave(&mut self, departure: Departure) -> End {
        self.lose(departure.error, departure.cause, Some(departure.good_at))
    }

    fn missed(&mut self, missed: Missed) {
        let mut state = self.shared.lock();
        state.names.miss(self.id, missed);
        state.settle();
    }

    fn heard(&mut self, as_of: Option<Instant>) {
        if let Some(line) = &mut self.line {
            line.heard_as_of = as_of;
        }
        self.shared.lock().names.heard(self.id, as_of);
    }

    fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.shared.lock();
        // It is not made again for nobody. Somebody may just be coming.
        let idle_since = state.outlet.idle_since();
        state.closing |= idle_since.is_some_and(|at| at.elapsed() >= COMING);
        if state.closing {
            return Poll::Ready(());
        }
        state.lines.listen(self.id, cx.waker());
        Poll::Pending
    }

    fn attempt_failed(&mut self, error: &Error) {
        let mut locked = self.shared.lock();
        let state = &mut *locked;
        state.failed_attempts = state.failed_attempts.saturating_add(1);
        state.trouble = Some(error.clone());
        // Who asks whether the server is there has the answer.
        state.lines.fail_unsent(self.id, error, &mut state.later);
    }

    fn ended(&mut self, error: Option<Error>) {
        self.line = None;
        self.shared.lock().end(error);
    }
}

impl<O: Outlet> State<O> {
    /// There will be no further connection; `error` says why, unless it was closed.
    pub(super) fn end(&mut self, error: Option<Error>) {
        let reason = why(error.as_ref());
        self.lines.fail_pings(&reason, &mut self.later);
        self.closed.clear();
        self.lines.end_all_looks(&mut self.later);
        self.outlet.ended(error.as_ref(), &mut self.later);
        self.ended = Some(error);
    }
}

impl<O: Outlet> Drop for SubscriberLink<O> {
    /// The runtime may end before the subscriber does.
    fn drop(&mut self) {
        // Of several connections each may go by itself.
        if self.id == LineId::ONLY && self.shared.lock().ended.is_none() {
            self.ended(None);
        }
    }
}
