//! One connection: what is expected of the peer, and what each of its frames means.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::{Duration, Instant};

use crate::error::{ProtocolError, ServerError};
use crate::handshake::Protocol;
use crate::keepalive::{Keepalive, Liveness};
use crate::limits::Limits;
use crate::pubsub::{
    PubSubFrame, Record, Scan, SubscriptionEvent, Subscriptions, classify, message_head,
    next_message, scan_message, scan_message_at,
};
use crate::resp::{Decoder, Reply};

const PING: &[u8] = b"*1\r\n$4\r\nPING\r\n";

/// How a connection is set up.
#[derive(Debug, Clone)]
pub struct ConnectionOptions {
    /// What the handshake settled on.
    pub protocol: Protocol,
    /// Whether names are subscribed on it. In RESP2 messages look like the replies of other commands, so a
    /// connection that carries commands must carry no subscriptions.
    pub pubsub: bool,
    /// Limits on what the peer may send.
    pub limits: Limits,
    /// How long the peer may be silent before it is asked.
    pub ping_interval: Duration,
    /// How long it may take to answer.
    pub ping_timeout: Duration,
}

/// What came from the peer. Ranges and records are offsets into the input given to
/// [`Connection::poll_event`].
#[derive(Debug)]
pub enum Event<T> {
    /// Whole replies to the oldest request, one after the other.
    Replies {
        /// Where they lie.
        range: Range<usize>,
        /// The request, when these are its last ones.
        done: Option<T>,
    },
    /// A message.
    Message(Record),
    /// Something about a subscription.
    Subscription(SubscriptionEvent),
    /// The answer to a PING of the connection's own.
    Pong,
    /// Another push, such as an invalidation.
    Push(Range<usize>),
}

#[derive(Debug)]
enum Expected<T> {
    Request {
        token: T,
        /// Replies still to come.
        left: usize,
    },
    /// The oldest command of the [`Subscriptions`] on the wire.
    Subscription,
    Keepalive,
}

/// The state of one connection after its handshake.
///
/// A pure function of what it is given. The order of calls:
///
/// 1. bytes arrived: [`heard`](Self::heard), then [`poll_event`](Self::poll_event) until it gives `None`, then
///    [`take_consumed`](Self::take_consumed) bytes leave the front of the input;
/// 2. something is to be sent: [`request`](Self::request) for each command that the caller wrote,
///    [`poll_transmit`](Self::poll_transmit) for subscriptions;
/// 3. [`poll_timeout`](Self::poll_timeout) says when to call [`handle_timeout`](Self::handle_timeout).
///
/// After an error the connection is out of step and of no further use.
/// [`into_requests`](Self::into_requests) gives back the requests that were not answered.
///
/// `T` is whatever the caller wants to find its requests by.
#[derive(Debug)]
pub struct Connection<T> {
    options: ConnectionOptions,
    decoder: Decoder,
    expected: VecDeque<Expected<T>>,
    keepalive: Keepalive,
    consumed: usize,
    missing: usize,
    /// Pushes found inside a reply, which Redis 6 and 7.0 put there.
    nested: VecDeque<Range<usize>>,
}

impl<T> Connection<T> {
    /// A connection whose handshake was just completed.
    pub fn new(options: ConnectionOptions, now: Instant) -> Self {
        Self {
            decoder: Decoder::new(options.limits),
            expected: VecDeque::new(),
            keepalive: Keepalive::new(options.ping_interval, options.ping_timeout, now),
            consumed: 0,
            missing: 0,
            nested: VecDeque::new(),
            options,
        }
    }

    // ---- getters ----

    /// How many requests and subscription commands wait for answers.
    pub fn in_flight(&self) -> usize {
        self.expected.len()
    }

    /// The requests that wait for replies, oldest first.
    pub fn requests(&self) -> impl Iterator<Item = &T> {
        self.expected.iter().filter_map(|expected| match expected {
            Expected::Request { token, .. } => Some(token),
            Expected::Subscription | Expected::Keepalive => None,
        })
    }

    /// How many bytes of the frame at the end of the input are known to be missing.
    pub fn missing(&self) -> usize {
        self.missing
    }

    /// When something was last heard of the peer.
    pub fn last_heard(&self) -> Instant {
        self.keepalive.last_heard()
    }

    // ---- what is sent ----

    /// Notes that a request was written that `replies` replies will answer.
    pub fn request(&mut self, token: T, replies: usize) {
        self.expected.push_back(Expected::Request {
            token,
            left: replies,
        });
    }

    /// Appends the subscription commands that are due to `out`.
    pub fn poll_transmit(
        &mut self,
        subscriptions: &mut Subscriptions,
        out: &mut Vec<u8>,
        now: Instant,
    ) {
        while subscriptions.poll_transmit(out, now) {
            self.expected.push_back(Expected::Subscription);
        }
    }

    // ---- time ----

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        match self.keepalive.poll(now) {
            Liveness::Wait(at) => at,
            Liveness::Ask | Liveness::Dead => Some(now),
        }
    }

    /// Writes a PING if one is due; `false` if the peer is dead.
    #[must_use]
    pub fn handle_timeout(&mut self, now: Instant, out: &mut Vec<u8>) -> bool {
        match self.keepalive.poll(now) {
            Liveness::Wait(_) => true,
            Liveness::Dead => false,
            Liveness::Ask => {
                // Other answers that are due prove as much as a PONG would, unless none is due.
                out.extend_from_slice(PING);
                self.expected.push_back(Expected::Keepalive);
                self.keepalive.asked(now);
                true
            }
        }
    }

    /// As [`handle_timeout`](Self::handle_timeout) where no PING can be written, but replies are due that prove as
    /// much as its answer would.
    #[must_use]
    pub fn handle_timeout_unasked(&mut self, now: Instant) -> bool {
        match self.keepalive.poll(now) {
            Liveness::Wait(_) => true,
            Liveness::Dead => false,
            Liveness::Ask => {
                self.keepalive.asked(now);
                true
            }
        }
    }

    /// Bytes arrived.
    pub fn heard(&mut self, now: Instant) {
        self.keepalive.heard(now);
    }

    /// The socket is not read for now.
    pub fn pause(&mut self) {
        self.keepalive.pause();
    }

    /// The peer waits on purpose for no longer than this (`BLPOP`), and answers no PING meanwhile.
    pub fn excuse(&mut self, time: Duration, now: Instant) {
        self.keepalive.excuse(time, now);
    }

    /// The socket is read again, or the peer has done waiting.
    pub fn resume(&mut self, now: Instant) {
        self.keepalive.resume(now);
    }

    // ---- what arrives ----

    /// The bytes at the front of the input that no further event will refer to.
    pub fn take_consumed(&mut self) -> usize {
        std::mem::take(&mut self.consumed)
    }

    /// Takes the messages at the front of `input` as long as nothing else comes; to be followed by
    /// [`poll_event`](Self::poll_event), which takes everything else.
    pub fn poll_messages(
        &mut self,
        input: &[u8],
        subscriptions: &Subscriptions,
        records: &mut Vec<Record>,
    ) {
        if !self.options.pubsub
            || self.decoder.is_mid_frame()
            || !self.nested.is_empty()
            || !subscriptions.is_quiet()
        {
            return;
        }
        let arrays = self.options.protocol == Protocol::Resp2;
        let mut at = self.consumed;
        let (head, allowed) = (message_head(arrays), self.surely_allowed());
        loop {
            while let Some((record, next)) = next_message(input, at, head)
                && next.saturating_sub(at) <= allowed
            {
                records.push(record);
                at = next;
            }
            match scan_message_at(input, at, arrays) {
                Scan::Message(record, len) if len <= allowed => {
                    records.push(record);
                    at = at.saturating_add(len);
                }
                _ => break,
            }
        }
        self.consumed = at;
    }

    /// Takes the replies at the front of `input` as long as each is one value, and all that its request waits for;
    /// to be followed by [`poll_event`](Self::poll_event), which takes everything else.
    #[inline]
    pub fn poll_replies(&mut self, input: &[u8], mut done: impl FnMut(Range<usize>, T)) {
        if self.options.pubsub || self.decoder.is_mid_frame() || !self.nested.is_empty() {
            return;
        }
        while let Some(Expected::Request { left: 1, .. }) = self.expected.front() {
            let Some(end) = self.decoder.value_end(input, self.consumed) else {
                break;
            };
            let range = self.consumed..end;
            self.consumed = end;
            if let Some(Expected::Request { token, .. }) = self.expected.pop_front() {
                done(range, token);
            }
        }
    }

    /// The next event in `input`, which begins where the last [`take_consumed`](Self::take_consumed) left it.
    ///
    /// # Errors
    ///
    /// The peer broke the protocol, or answers what nobody asked.
    #[inline]
    pub fn poll_event(
        &mut self,
        input: &[u8],
        subscriptions: &mut Subscriptions,
        now: Instant,
    ) -> Result<Option<Event<T>>, ProtocolError> {
        loop {
            if let Some(event) = subscriptions.poll_event() {
                return Ok(Some(Event::Subscription(event)));
            }
            if let Some(event) = self.nested_push(input, subscriptions, now)? {
                return Ok(Some(event));
            }
            let rest = input.get(self.consumed..).unwrap_or_default();
            if rest.is_empty() {
                self.missing = 0;
                return Ok(None);
            }
            if self.options.pubsub && !self.decoder.is_mid_frame() {
                let arrays = self.options.protocol == Protocol::Resp2;
                match scan_message(rest, arrays) {
                    Scan::Message(..) if subscriptions.gap_is_due() => {
                        subscriptions.tell_gap();
                        continue;
                    }
                    Scan::Message(record, len) if len <= self.surely_allowed() => {
                        let record = record.offset_by(self.consumed);
                        self.consumed = self.consumed.saturating_add(len);
                        return Ok(Some(Event::Message(record)));
                    }
                    // Large, not all here yet, or something else: the decoder knows the limits.
                    _ => {}
                }
            }
            let Some(len) = self.decoder.poll_frame(rest)? else {
                self.missing = self.missing_of(rest);
                return Ok(None);
            };
            let frame = rest.get(..len).unwrap_or_default();
            if let Some(event) = self.frame(input, frame, subscriptions, now)? {
                return Ok(Some(event));
            }
        }
    }

    /// The requests that were not answered, oldest first.
    pub fn into_requests(self) -> impl Iterator<Item = T> {
        self.expected
            .into_iter()
            .filter_map(|expected| match expected {
                Expected::Request { token, .. } => Some(token),
                Expected::Subscription | Expected::Keepalive => None,
            })
    }

    /// The decoder names no more than it would have a buffer grow by; a message's header names all of it.
    fn missing_of(&self, rest: &[u8]) -> usize {
        let arrays = self.options.protocol == Protocol::Resp2;
        match scan_message(rest, arrays) {
            Scan::Incomplete(missing) if self.options.pubsub => missing,
            _ => self.decoder.missing(),
        }
    }

    /// A frame of this length is within the limits, whatever is in it.
    fn surely_allowed(&self) -> usize {
        self.options.limits.bulk.min(self.options.limits.frame)
    }

    /// A whole frame other than a plain message.
    fn frame(
        &mut self,
        input: &[u8],
        frame: &[u8],
        subscriptions: &mut Subscriptions,
        now: Instant,
    ) -> Result<Option<Event<T>>, ProtocolError> {
        let range = self.consumed..self.consumed.saturating_add(frame.len());
        let array = self.options.pubsub && self.options.protocol == Protocol::Resp2;
        match frame.first() {
            Some(b'>') => self.push(frame, range, subscriptions, now),
            // An attribute belongs to what follows it.
            Some(b'|') if matches!(Reply::parse(frame)?, Reply::Push(_)) => {
                self.push(frame, range, subscriptions, now)
            }
            Some(b'*') if array => match classify(frame)? {
                PubSubFrame::Other | PubSubFrame::Pong => {
                    self.reply(input, frame, range, subscriptions, now)
                }
                _ => self.push(frame, range, subscriptions, now),
            },
            _ => self.reply(input, frame, range, subscriptions, now),
        }
    }

    /// Out of turn: a message, a confirmation, or another push.
    fn push(
        &mut self,
        frame: &[u8],
        range: Range<usize>,
        subscriptions: &mut Subscriptions,
        now: Instant,
    ) -> Result<Option<Event<T>>, ProtocolError> {
        match classify(frame)? {
            PubSubFrame::Message(record) => {
                if subscriptions.gap_is_due() {
                    // The frame stays where it is and is looked at again behind the gap.
                    subscriptions.tell_gap();
                    return Ok(None);
                }
                self.consumed = self.consumed.max(range.end);
                Ok(Some(Event::Message(record.offset_by(range.start))))
            }
            PubSubFrame::Confirmation {
                verb,
                kind,
                name,
                count,
            } => {
                self.consumed = self.consumed.max(range.end);
                let expected = matches!(self.expected.front(), Some(Expected::Subscription));
                let done =
                    subscriptions.handle_confirmation(verb, kind, name, count, expected, now)?;
                if done {
                    self.expected.pop_front();
                }
                Ok(None)
            }
            PubSubFrame::Pong | PubSubFrame::Other => {
                self.consumed = self.consumed.max(range.end);
                Ok(Some(Event::Push(range)))
            }
        }
    }

    /// In turn: an answer to the oldest of what is expected.
    fn reply(
        &mut self,
        input: &[u8],
        frame: &[u8],
        mut range: Range<usize>,
        subscriptions: &mut Subscriptions,
        now: Instant,
    ) -> Result<Option<Event<T>>, ProtocolError> {
        let arrays_may_be_pushes = self.options.pubsub && self.options.protocol == Protocol::Resp2;
        self.consumed = range.end;
        self.note_nested(range.start);
        let event = match self.expected.front_mut() {
            None => {
                return Err(ProtocolError::new(format!(
                    "a reply that nothing asked for: {}",
                    crate::resp::excerpt(frame)
                )));
            }
            Some(Expected::Keepalive) => {
                self.expected.pop_front();
                Event::Pong
            }
            Some(Expected::Subscription) => {
                let answered = match Reply::parse(frame)? {
                    Reply::Error(error) => {
                        subscriptions.handle_error(&ServerError::from(error), now)?
                    }
                    _ if subscriptions.handle_pong() => true,
                    _ => {
                        return Err(ProtocolError::new(format!(
                            "a reply in the place of a confirmation: {}",
                            crate::resp::excerpt(frame)
                        )));
                    }
                };
                if answered {
                    self.expected.pop_front();
                }
                return Ok(None);
            }
            Some(Expected::Request { left, .. }) => {
                *left = left.saturating_sub(1);
                // The other replies to the same request, as far as they are here and nothing is in between.
                while *left > 0 && self.nested.is_empty() && !arrays_may_be_pushes {
                    let rest = input.get(range.end..).unwrap_or_default();
                    if let Some(end) = self.decoder.value_end(input, range.end) {
                        range.end = end;
                        *left = left.saturating_sub(1);
                        continue;
                    }
                    if matches!(rest.first(), None | Some(b'>' | b'|')) {
                        break;
                    }
                    let Some(len) = self.decoder.poll_frame(rest)? else {
                        break;
                    };
                    let start = range.end;
                    range.end = start.saturating_add(len);
                    *left = left.saturating_sub(1);
                    for nested in self.decoder.take_nested_pushes() {
                        self.nested.push_back(offset(nested, start));
                    }
                }
                let last = *left == 0;
                self.consumed = range.end;
                let done = match last.then(|| self.expected.pop_front()).flatten() {
                    Some(Expected::Request { token, .. }) => Some(token),
                    _ => None,
                };
                Event::Replies { range, done }
            }
        };
        Ok(Some(event))
    }

    fn note_nested(&mut self, start: usize) {
        for nested in self.decoder.take_nested_pushes() {
            self.nested.push_back(offset(nested, start));
        }
    }

    fn nested_push(
        &mut self,
        input: &[u8],
        subscriptions: &mut Subscriptions,
        now: Instant,
    ) -> Result<Option<Event<T>>, ProtocolError> {
        while !self.nested.is_empty() {
            if subscriptions.gap_is_due() {
                subscriptions.tell_gap();
                return Ok(subscriptions.poll_event().map(Event::Subscription));
            }
            let Some(range) = self.nested.pop_front() else {
                break;
            };
            let frame = input.get(range.clone()).unwrap_or_default();
            if let Some(event) = self.push(frame, range, subscriptions, now)? {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }
}

fn offset(range: Range<usize>, by: usize) -> Range<usize> {
    range.start.saturating_add(by)..range.end.saturating_add(by)
}

#[cfg(test)]
mod streams;
#[cfg(test)]
mod tests;
