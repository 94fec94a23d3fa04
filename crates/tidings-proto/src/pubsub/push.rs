//! A frame of a subscribed connection: a message, a confirmation, or something else.
//!
//! Messages are the hot path. [`scan_message`] recognises one by its constant first bytes and finds its parts
//! in one pass; whatever it does not know goes through the general decoder and [`classify`].

use std::ops::Range;

use bytes::Bytes;

use super::subscriptions::{SubscriptionKind, Verb};
use crate::blob::Blob;
use crate::error::ProtocolError;
use crate::resp::{Elements, Reply};

/// How a message came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MessageKind {
    /// For a subscription to its channel.
    Message,
    /// For a subscription to a pattern that its channel matches.
    PMessage,
    /// For a subscription to its shard channel.
    SMessage,
}

impl MessageKind {
    /// What the name stands for by which it was subscribed.
    #[inline]
    pub fn subscribed_as(self) -> SubscriptionKind {
        match self {
            Self::Message => SubscriptionKind::Channel,
            Self::PMessage => SubscriptionKind::Pattern,
            Self::SMessage => SubscriptionKind::Shard,
        }
    }
}

/// Where the parts of a message lie in the block of bytes that one read brought.
///
/// Offsets are 32 bits wide: a block is never larger than [`Limits::frame`](crate::Limits) allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    kind: MessageKind,
    /// The pattern, for a pattern's message.
    pattern: Span,
    channel: Span,
    payload: Span,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Span {
    start: u32,
    len: u32,
}

impl Span {
    #[inline]
    fn new(start: usize, len: usize) -> Option<Self> {
        Some(Self {
            start: u32::try_from(start).ok()?,
            len: u32::try_from(len).ok()?,
        })
    }

    #[inline]
    fn range(self) -> Range<usize> {
        let start = self.start as usize;
        start..start.saturating_add(self.len as usize)
    }

    #[inline]
    fn offset_by(self, at: u32) -> Self {
        Self {
            start: self.start.saturating_add(at),
            len: self.len,
        }
    }
}

impl Record {
    /// How the message came.
    #[inline]
    pub fn kind(&self) -> MessageKind {
        self.kind
    }

    /// Where the channel's name lies.
    #[inline]
    pub fn channel(&self) -> Range<usize> {
        self.channel.range()
    }

    /// Where the pattern lies, if it came for one.
    #[inline]
    pub fn pattern(&self) -> Option<Range<usize>> {
        (self.kind == MessageKind::PMessage).then(|| self.pattern.range())
    }

    /// Where the name lies by which it was subscribed: the pattern if it came for one, else the channel.
    #[inline]
    pub fn subscribed(&self) -> Range<usize> {
        self.pattern().unwrap_or_else(|| self.channel())
    }

    /// Where the payload lies.
    #[inline]
    pub fn payload(&self) -> Range<usize> {
        self.payload.range()
    }

    /// The names as one blob, the pattern (if there is one) first, and where in it the channel begins.
    #[inline]
    pub fn names(&self, block: &Bytes) -> (Blob, u32) {
        let channel = self.channel.range();
        if self.kind == MessageKind::PMessage {
            let blob = Blob::slice(block, self.pattern.range().start..channel.end);
            (blob, self.channel.start.saturating_sub(self.pattern.start))
        } else {
            (Blob::slice(block, channel), 0)
        }
    }

    /// The length of the pattern; 0 without one.
    #[inline]
    pub fn pattern_len(&self) -> u32 {
        self.pattern.len
    }

    /// The bytes that this message accounts for in a queue.
    #[inline]
    pub fn cost(&self) -> usize {
        let bytes = [self.pattern.len, self.channel.len, self.payload.len];
        bytes
            .iter()
            .map(|len| *len as usize)
            .sum::<usize>()
            .saturating_add(size_of::<Self>())
    }

    /// The same message in a block in which its frame begins at `at`.
    #[inline]
    pub fn offset_by(&self, at: usize) -> Self {
        let at = u32::try_from(at).unwrap_or(u32::MAX);
        Self {
            kind: self.kind,
            pattern: self.pattern.offset_by(at),
            channel: self.channel.offset_by(at),
            payload: self.payload.offset_by(at),
        }
    }

    /// The same message with its parts moved to the end of `out`.
    pub fn copy_to(&self, block: &[u8], out: &mut Vec<u8>) -> Self {
        let mut part = |span: Span| {
            let start = u32::try_from(out.len()).unwrap_or(u32::MAX);
            out.extend_from_slice(block.get(span.range()).unwrap_or_default());
            Span {
                start,
                len: span.len,
            }
        };
        Self {
            kind: self.kind,
            pattern: part(self.pattern),
            channel: part(self.channel),
            payload: part(self.payload),
        }
    }
}

/// What [`scan_message`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scan {
    /// A whole message, and the length of its frame.
    Message(Record, usize),
    /// The beginning of a message of which at least so many bytes are missing.
    Incomplete(usize),
    /// Something else, or too little to tell.
    Other,
}

const MESSAGE: [&[u8; 18]; 2] = [b">3\r\n$7\r\nmessage\r\n$", b"*3\r\n$7\r\nmessage\r\n$"];
const SMESSAGE: [&[u8; 19]; 2] = [b">3\r\n$8\r\nsmessage\r\n$", b"*3\r\n$8\r\nsmessage\r\n$"];
const PMESSAGE: [&[u8; 19]; 2] = [b">4\r\n$8\r\npmessage\r\n$", b"*4\r\n$8\r\npmessage\r\n$"];

/// Looks for a message at the beginning of `input`: a push, or with `arrays` the array that RESP2 has for it.
///
/// Its work does not depend on the length of the payload, so that it may be asked again when more has arrived.
pub fn scan_message(input: &[u8], arrays: bool) -> Scan {
    scan_message_at(input, 0, arrays)
}

/// Looks for a message at `at` in `input`; offsets count from the beginning of `input`, the length from `at`.
#[inline]
pub(crate) fn scan_message_at(input: &[u8], at: usize, arrays: bool) -> Scan {
    let frame = input.get(at..).unwrap_or_default();
    if let Some(head) = frame.first_chunk()
        && (head == MESSAGE[0] || (arrays && head == MESSAGE[1]))
    {
        return rest_of_message(input, at, MESSAGE[0].len(), MessageKind::Message);
    }
    let Some(head) = frame.first_chunk() else {
        return Scan::Other;
    };
    if head == PMESSAGE[0] || (arrays && head == PMESSAGE[1]) {
        return rest_of_message(input, at, PMESSAGE[0].len(), MessageKind::PMessage);
    }
    if head == SMESSAGE[0] || (arrays && head == SMESSAGE[1]) {
        return rest_of_message(input, at, SMESSAGE[0].len(), MessageKind::SMessage);
    }
    Scan::Other
}

/// A whole message for a channel at `at`, and where the next frame begins; `None` leaves the case to
/// [`scan_message_at`]. Inlined, so that the record is made where it is kept.
#[inline(always)]
pub(crate) fn next_message(input: &[u8], at: usize, head: &[u8; 18]) -> Option<(Record, usize)> {
    if input.get(at..)?.first_chunk()? != head {
        return None;
    }
    let Part::Whole(channel, next) = bulk(input, at + head.len()) else {
        return None;
    };
    if input.get(next) != Some(&b'$') {
        return None;
    }
    let Part::Whole(payload, next) = bulk(input, next + 1) else {
        return None;
    };
    let kind = MessageKind::Message;
    Some((
        Record {
            kind,
            pattern: Span::default(),
            channel,
            payload,
        },
        next,
    ))
}

/// How a message for a channel begins.
#[inline]
pub(crate) fn message_head(arrays: bool) -> &'static [u8; 18] {
    let [push, array] = MESSAGE;
    if arrays { array } else { push }
}

/// The names and the payload of the message whose frame is at `start`, with a head of so many bytes.
fn rest_of_message(input: &[u8], start: usize, head: usize, kind: MessageKind) -> Scan {
    let mut at = start + head;
    let mut name = || match bulk(input, at) {
        Part::Whole(span, next) if input.get(next) == Some(&b'$') => {
            at = next + 1;
            Ok(span)
        }
        Part::Missing(missing) => Err(Scan::Incomplete(missing)),
        _ => Err(Scan::Other),
    };
    let mut pattern = Span::default();
    if kind == MessageKind::PMessage {
        pattern = match name() {
            Ok(pattern) => pattern,
            Err(scan) => return scan,
        };
    }
    let channel = match name() {
        Ok(channel) => channel,
        Err(scan) => return scan,
    };
    match bulk(input, at) {
        Part::Whole(payload, end) => Scan::Message(
            Record {
                kind,
                pattern,
                channel,
                payload,
            },
            end - start,
        ),
        Part::Missing(missing) => Scan::Incomplete(missing),
        Part::Unclear => Scan::Other,
    }
}

enum Part {
    /// A bulk string and where the next element begins.
    Whole(Span, usize),
    /// So many bytes of it are missing.
    Missing(usize),
    /// Not a bulk string, or too little to tell.
    Unclear,
}

/// As many digits as the longest length that the limits allow has.
const LENGTH_DIGITS: usize = 10;

/// A bulk string whose length begins at `at`, behind the `$`.
///
/// A length that is too long, or not one, is left to the general decoder, which says what is wrong.
#[inline(always)]
fn bulk(input: &[u8], at: usize) -> Part {
    let (mut len, mut next) = (0usize, at);
    loop {
        let digit = match input.get(next) {
            Some(byte) => byte.wrapping_sub(b'0'),
            None => return Part::Unclear,
        };
        if digit > 9 {
            break;
        }
        len = len.wrapping_mul(10).wrapping_add(usize::from(digit));
        next += 1;
    }
    let digits = next - at;
    if digits == 0 || digits > LENGTH_DIGITS || !is_crlf(input, next) {
        return Part::Unclear;
    }
    let start = next + 2;
    let end = start.saturating_add(len);
    if is_crlf(input, end) {
        return match Span::new(start, len) {
            Some(span) => Part::Whole(span, end + 2),
            None => Part::Unclear,
        };
    }
    let missing = end.saturating_add(2).saturating_sub(input.len());
    if missing == 0 || len > crate::limits::MAX_BULK {
        Part::Unclear
    } else {
        Part::Missing(missing)
    }
}

#[inline(always)]
fn is_crlf(input: &[u8], at: usize) -> bool {
    input.get(at..).and_then(<[u8]>::first_chunk) == Some(b"\r\n")
}

/// What a frame of a subscribed connection is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PubSubFrame<'a> {
    /// A message; offsets count from the beginning of the frame.
    Message(Record),
    /// The confirmation of a subscription or its end, asked for or not.
    Confirmation {
        /// Subscribed or unsubscribed.
        verb: Verb,
        /// Channel, pattern or shard channel.
        kind: SubscriptionKind,
        /// The name; none where nothing was subscribed.
        name: Option<&'a [u8]>,
        /// How many subscriptions are left: channels and patterns together, shard channels apart.
        count: i64,
    },
    /// The answer to a PING in RESP2.
    Pong,
    /// Another push, or an array that is not one of these.
    Other,
}

/// Says what the whole frame `frame`, a push or an array, is.
///
/// # Errors
///
/// A frame that is not whole, or not RESP.
pub fn classify(frame: &[u8]) -> Result<PubSubFrame<'_>, ProtocolError> {
    let (Reply::Push(mut elements) | Reply::Array(mut elements)) = Reply::parse(frame)? else {
        return Ok(PubSubFrame::Other);
    };
    let Some(what) = text(&mut elements)? else {
        return Ok(PubSubFrame::Other);
    };
    let message = |kind, elements: Elements<'_>| {
        Ok(message(frame, kind, elements)?.map_or(PubSubFrame::Other, PubSubFrame::Message))
    };
    use SubscriptionKind::{Channel, Pattern, Shard};
    let (verb, kind) = match what {
        b"message" => return message(MessageKind::Message, elements),
        b"pmessage" => return message(MessageKind::PMessage, elements),
        b"smessage" => return message(MessageKind::SMessage, elements),
        b"pong" => return Ok(PubSubFrame::Pong),
        b"subscribe" => (Verb::Subscribe, Channel),
        b"psubscribe" => (Verb::Subscribe, Pattern),
        b"ssubscribe" => (Verb::Subscribe, Shard),
        b"unsubscribe" => (Verb::Unsubscribe, Channel),
        b"punsubscribe" => (Verb::Unsubscribe, Pattern),
        b"sunsubscribe" => (Verb::Unsubscribe, Shard),
        _ => return Ok(PubSubFrame::Other),
    };
    let name = text(&mut elements)?;
    match elements.next().transpose()? {
        Some(Reply::Integer(count)) => Ok(PubSubFrame::Confirmation {
            verb,
            kind,
            name,
            count,
        }),
        _ => Ok(PubSubFrame::Other),
    }
}

fn message(
    frame: &[u8],
    kind: MessageKind,
    mut elements: Elements<'_>,
) -> Result<Option<Record>, ProtocolError> {
    let mut part = || -> Result<Option<Span>, ProtocolError> {
        let Some(bytes) = text(&mut elements)? else {
            return Ok(None);
        };
        let start = (bytes.as_ptr() as usize).wrapping_sub(frame.as_ptr() as usize);
        Ok(Span::new(start, bytes.len()))
    };
    let pattern = match kind {
        MessageKind::PMessage => part()?,
        _ => Some(Span::default()),
    };
    let (channel, payload) = (part()?, part()?);
    Ok((|| {
        Some(Record {
            kind,
            pattern: pattern?,
            channel: channel?,
            payload: payload?,
        })
    })())
}

fn text<'a>(elements: &mut Elements<'a>) -> Result<Option<&'a [u8]>, ProtocolError> {
    Ok(match elements.next().transpose()? {
        Some(Reply::Bulk(bulk)) => Some(bulk.as_slice()),
        Some(Reply::Simple(text)) => Some(text),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts<'a>(block: &'a [u8], record: &Record) -> (Option<&'a [u8]>, &'a [u8], &'a [u8]) {
        (
            record.pattern().map(|r| &block[r]),
            &block[record.channel()],
            &block[record.payload()],
        )
    }

    #[test]
    fn messages_are_found_by_the_fast_path_and_by_the_general_one_alike() {
        for (frame, kind, expected) in [
            (
                &b">3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$5\r\nhello\r\n"[..],
                MessageKind::Message,
                (None, &b"news"[..], &b"hello"[..]),
            ),
            (
                b"*4\r\n$8\r\npmessage\r\n$2\r\nn*\r\n$4\r\nnews\r\n$0\r\n\r\n",
                MessageKind::PMessage,
                (Some(&b"n*"[..]), b"news", b""),
            ),
            (
                b">3\r\n$8\r\nsmessage\r\n$4\r\nnews\r\n$2\r\n\r\n\r\n",
                MessageKind::SMessage,
                (None, b"news", b"\r\n"),
            ),
        ] {
            let Scan::Message(record, len) = scan_message(frame, true) else {
                panic!("not found")
            };
            assert_eq!(len, frame.len());
            assert_eq!(record.kind(), kind);
            assert_eq!(parts(frame, &record), expected);
            assert_eq!(classify(frame).unwrap(), PubSubFrame::Message(record));
            for cut in 0..frame.len() {
                assert!(
                    !matches!(scan_message(&frame[..cut], true), Scan::Message(..)),
                    "{cut}"
                );
            }
        }
    }

    #[test]
    fn an_array_is_no_message_where_replies_may_be_arrays() {
        let frame = b"*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nb\r\n";
        assert_eq!(scan_message(frame, false), Scan::Other);
    }

    #[test]
    fn the_missing_bytes_of_a_large_payload_are_known_from_its_header() {
        let head = b">3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1000\r\nxx";
        assert_eq!(scan_message(head, false), Scan::Incomplete(1000));
    }

    #[test]
    fn confirmations_say_verb_kind_name_and_count() {
        let frame = b">3\r\n$12\r\npunsubscribe\r\n$2\r\na*\r\n:7\r\n";
        assert_eq!(
            classify(frame).unwrap(),
            PubSubFrame::Confirmation {
                verb: Verb::Unsubscribe,
                kind: SubscriptionKind::Pattern,
                name: Some(b"a*"),
                count: 7
            }
        );
        let nothing = b"*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n";
        let PubSubFrame::Confirmation { name: None, .. } = classify(nothing).unwrap() else {
            panic!("a null name");
        };
    }

    #[test]
    fn a_message_copied_elsewhere_has_the_same_parts() {
        let frame = Bytes::from_static(
            b">4\r\n$8\r\npmessage\r\n$2\r\nn*\r\n$4\r\nnews\r\n$5\r\nhello\r\n",
        );
        let Scan::Message(record, _) = scan_message(&frame, false) else {
            panic!("not found")
        };
        let mut out = b"before".to_vec();
        let copied = record.copy_to(&frame, &mut out);
        assert_eq!(parts(&out, &copied), parts(&frame, &record));
        let (names, channel) = record.names(&frame);
        assert_eq!(&names[..record.pattern_len() as usize], b"n*");
        assert_eq!(&names[channel as usize..], b"news");
    }
}
