//! A view of one frame that borrows from it: no tree, no copy.

use std::{fmt, iter::FusedIterator, ops::Deref, str};

use bytes::Bytes;

use super::grammar::{self, Malformed};
use crate::{
    charset::Charset,
    error::{ProtocolError, ServerError},
    excerpt::Quoted,
};

/// From this size on [`Bulk::to_bytes`] shares the read buffer. Below it a copy costs no more than
/// the reference count, and does not keep a whole buffer alive.
const SHARE_FROM: usize = 1024;

/// The shortest value on the wire, `_\r\n`: bounds what can follow in so many bytes.
const SHORTEST_VALUE: usize = 3;

/// One reply of a server, borrowed from the frame that it came in.
///
/// ```
/// use tidings_proto::Reply;
///
/// let Reply::Array(mut elements) = Reply::parse(b"*2\r\n$5\r\nhello\r\n:42\r\n")? else { panic!() };
/// assert_eq!(elements.len(), 2);
/// assert!(matches!(elements.next(), Some(Ok(Reply::Bulk(text))) if *text == *b"hello"));
/// assert!(matches!(elements.next(), Some(Ok(Reply::Integer(42)))));
/// assert!(elements.next().is_none());
/// # Ok::<(), tidings_proto::ProtocolError>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Reply<'a> {
    /// Nothing: RESP3's null, and RESP2's null bulk string and null array.
    Null,
    /// A status such as `OK`, or a line of MONITOR.
    Simple(&'a [u8]),
    /// A string of any bytes.
    Bulk(Bulk<'a>),
    /// A 64-bit number.
    Integer(i64),
    /// A floating-point number; may be infinite or not a number.
    Double(f64),
    /// True or false.
    Boolean(bool),
    /// An integer of any size, as its decimal digits.
    BigNumber(&'a [u8]),
    /// Text that says how it is to be shown.
    #[non_exhaustive]
    Verbatim {
        /// Three characters: `txt`, `mkd`.
        format: &'a [u8],
        /// The text itself.
        text: Bulk<'a>,
    },
    /// An error, short or bulk: its text. See [`ServerError::new`].
    Error(&'a [u8]),
    /// A list.
    Array(Elements<'a>),
    /// A list in which the server repeats no element.
    Set(Elements<'a>),
    /// Keys and values in turn, twice as many elements as pairs.
    Map(Elements<'a>),
    /// What the server sent of itself, such as a message. Never a reply.
    Push(Elements<'a>),
}

impl<'a> Reply<'a> {
    /// Views the reply that `frame` begins with.
    ///
    /// `frame` is what [`Decoder::poll_frame`](crate::Decoder::poll_frame) found; bytes after the reply
    /// are not looked at. Elements are read when they are asked for.
    ///
    /// # Errors
    ///
    /// The bytes are not RESP, or end before the reply does.
    #[inline]
    pub fn parse(frame: &'a [u8]) -> Result<Self, ProtocolError> {
        Self::parse_owned_by(frame, Owner::NONE)
    }

    /// Like [`Reply::parse`], of a shared buffer: large strings are then taken out of the reply
    /// without a copy.
    ///
    /// # Errors
    ///
    /// The bytes are not RESP, or end before the reply does.
    #[inline]
    pub fn parse_shared(frame: &'a Bytes) -> Result<Self, ProtocolError> {
        Self::parse_owned_by(frame, Owner::of(frame))
    }

    /// Views the first of several replies in a row; gives it and the bytes after it, or `None` if it
    /// has not arrived in full.
    ///
    /// # Errors
    ///
    /// The bytes are not RESP.
    ///
    /// ```
    /// use tidings_proto::Reply;
    ///
    /// let Some((Reply::Integer(1), rest)) = Reply::split(b":1\r\n+OK\r\n$5\r\nhe")? else { panic!() };
    /// let Some((Reply::Simple(b"OK"), rest)) = Reply::split(rest)? else { panic!() };
    /// assert!(Reply::split(rest)?.is_none());
    /// # Ok::<(), tidings_proto::ProtocolError>(())
    /// ```
    pub fn split(input: &'a [u8]) -> Result<Option<(Self, &'a [u8])>, ProtocolError> {
        Self::split_owned_by(input, Owner::NONE)
    }

    /// [`Reply::split`] at the beginning of `input`, a part of `owner`, that large strings share.
    ///
    /// # Errors
    ///
    /// The bytes are not RESP.
    pub fn split_shared(
        input: &'a [u8],
        owner: &'a Bytes,
    ) -> Result<Option<(Self, &'a [u8])>, ProtocolError> {
        Self::split_owned_by(input, Owner::of(owner))
    }

    /// What kind of reply this is, in words: `"bulk string"`, `"nil"`.
    pub fn kind_name(&self) -> &'static str {
        match self {
            Self::Null => "nil",
            Self::Simple(_) => "simple string",
            Self::Bulk(_) => "bulk string",
            Self::Integer(_) => "integer",
            Self::Double(_) => "double",
            Self::Boolean(_) => "boolean",
            Self::BigNumber(_) => "big number",
            Self::Verbatim { .. } => "verbatim string",
            Self::Error(_) => "error",
            Self::Array(_) => "array",
            Self::Set(_) => "set",
            Self::Map(_) => "map",
            Self::Push(_) => "push",
        }
    }

    /// Whether this is nil.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The bytes of a string of whatever kind: bulk, simple or verbatim.
    pub fn as_bytes(&self) -> Option<&'a [u8]> {
        match self {
            Self::Bulk(text) | Self::Verbatim { text, .. } => Some(text.as_slice()),
            Self::Simple(text) => Some(text),
            _ => None,
        }
    }

    /// The elements of an array, set, map or push.
    pub fn into_elements(self) -> Option<Elements<'a>> {
        match self {
            Self::Array(elements)
            | Self::Set(elements)
            | Self::Map(elements)
            | Self::Push(elements) => Some(elements),
            _ => None,
        }
    }

    /// This reply, or its error if it is one.
    ///
    /// # Errors
    ///
    /// The reply is an error.
    pub fn into_result(self) -> Result<Self, ServerError> {
        match self {
            Self::Error(text) => Err(ServerError::new(text)),
            reply => Ok(reply),
        }
    }

    /// The same reply, of which text is decoded from this charset: its bulk and verbatim strings, and those of its
    /// elements. The others are ASCII.
    #[inline]
    #[must_use]
    pub fn in_charset(mut self, charset: Charset) -> Self {
        match &mut self {
            Self::Bulk(text) | Self::Verbatim { text, .. } => text.owner.charset = charset,
            Self::Array(elements)
            | Self::Set(elements)
            | Self::Map(elements)
            | Self::Push(elements) => elements.owner.charset = charset,
            _ => {}
        }
        self
    }

    /// The charset of the text in it.
    pub(crate) fn charset(&self) -> Charset {
        match self {
            Self::Bulk(text) | Self::Verbatim { text, .. } => text.owner.charset,
            _ => Charset::UTF_8,
        }
    }

    #[inline]
    fn parse_owned_by(frame: &'a [u8], owner: Owner<'a>) -> Result<Self, ProtocolError> {
        match read_frequent(frame, owner) {
            Some((reply, _)) => Ok(reply),
            None => Self::parse_any(frame, owner),
        }
    }

    #[inline(never)]
    fn parse_any(frame: &'a [u8], owner: Owner<'a>) -> Result<Self, ProtocolError> {
        let Some(start) = pass_attributes(frame)? else {
            return Err(cut_off(frame));
        };
        let reply = read(frame.get(start..).unwrap_or_default(), owner)?;
        reply.map(|(reply, _)| reply).ok_or_else(|| cut_off(frame))
    }

    #[inline]
    fn split_owned_by(
        input: &'a [u8],
        owner: Owner<'a>,
    ) -> Result<Option<(Self, &'a [u8])>, ProtocolError> {
        match read_frequent(input, owner) {
            Some((reply, end)) => Ok(Some((reply, input.get(end..).unwrap_or_default()))),
            None => Self::split_any(input, owner),
        }
    }

    #[inline(never)]
    fn split_any(
        input: &'a [u8],
        owner: Owner<'a>,
    ) -> Result<Option<(Self, &'a [u8])>, ProtocolError> {
        let Some(start) = pass_attributes(input)? else {
            return Ok(None);
        };
        read_whole(input.get(start..).unwrap_or_default(), owner)
    }
}

impl fmt::Display for Reply<'_> {
    /// The kind of reply and, cut at 100 characters, what is in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind_name())?;
        match self {
            Self::Null => Ok(()),
            Self::Simple(text) | Self::Error(text) | Self::BigNumber(text) => {
                write!(f, " {}", Quoted(text))
            }
            Self::Bulk(text) | Self::Verbatim { text, .. } => write!(f, " {}", Quoted(text)),
            Self::Integer(number) => write!(f, " {number}"),
            Self::Double(number) => write!(f, " {number}"),
            Self::Boolean(truth) => write!(f, " {truth}"),
            Self::Array(elements) | Self::Set(elements) | Self::Push(elements) => {
                write!(f, " of {}", elements.len())
            }
            Self::Map(elements) => write!(f, " of {}", elements.len() / 2),
        }
    }
}

/// What the strings of a frame are slices of, if it is shared, and what text they are.
#[derive(Clone, Copy)]
struct Owner<'a> {
    bytes: Option<&'a Bytes>,
    charset: Charset,
}

impl<'a> Owner<'a> {
    const NONE: Self = Self {
        bytes: None,
        charset: Charset::UTF_8,
    };

    #[inline]
    fn of(bytes: &'a Bytes) -> Self {
        Self {
            bytes: Some(bytes),
            ..Self::NONE
        }
    }
}

/// A string of any bytes within a frame.
#[derive(Clone, Copy)]
pub struct Bulk<'a> {
    bytes: &'a [u8],
    owner: Owner<'a>,
}

impl<'a> Bulk<'a> {
    /// The bytes, for as long as the frame lives.
    pub fn as_slice(&self) -> &'a [u8] {
        self.bytes
    }

    /// The bytes, for as long as one likes: a slice of the frame if that is shared (see
    /// [`Reply::parse_shared`]) and they are 1 KiB or more, otherwise a copy.
    pub fn to_bytes(&self) -> Bytes {
        match self.owner.bytes {
            Some(owner) if self.bytes.len() >= SHARE_FROM => owner.slice_ref(self.bytes),
            _ => Bytes::copy_from_slice(self.bytes),
        }
    }
}

impl Deref for Bulk<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes
    }
}

impl AsRef<[u8]> for Bulk<'_> {
    fn as_ref(&self) -> &[u8] {
        self.bytes
    }
}

impl fmt::Debug for Bulk<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Quoted(self.bytes), f)
    }
}

/// The elements of an array, set, map or push, read one after the other.
///
/// Attributes and nested pushes, which are not elements, are passed over. After an error there are
/// no more elements.
#[derive(Clone)]
pub struct Elements<'a> {
    /// Begins with the next element, or with what precedes it; may go on behind the last.
    rest: &'a [u8],
    remaining: usize,
    owner: Owner<'a>,
}

impl<'a> Elements<'a> {
    /// How many elements are still to come.
    pub fn len(&self) -> usize {
        self.remaining
    }

    /// Whether no element is to come.
    pub fn is_empty(&self) -> bool {
        self.remaining == 0
    }

    /// How many elements there can be in the bytes at hand, whatever was announced.
    pub(crate) fn capacity(&self) -> usize {
        self.remaining.min(self.rest.len() / SHORTEST_VALUE)
    }

    /// The bytes of the next element, which a reply can be put together from; its asides come with it.
    pub(crate) fn next_raw(&mut self) -> Option<Result<&'a [u8], ProtocolError>> {
        let start = self.rest;
        if let Err(error) = self.next()? {
            return Some(Err(error));
        }
        let length = start.len().saturating_sub(self.rest.len());
        Some(Ok(start.get(..length).unwrap_or_default()))
    }

    #[inline]
    fn read_next(&mut self) -> Result<Reply<'a>, ProtocolError> {
        if let Some((reply, end)) = read_frequent(self.rest, self.owner) {
            self.rest = self.rest.get(end..).unwrap_or_default();
            return Ok(reply);
        }
        self.read_any()
    }

    #[inline(never)]
    fn read_any(&mut self) -> Result<Reply<'a>, ProtocolError> {
        let start = pass_asides(self.rest)?.ok_or_else(|| cut_off(self.rest))?;
        let input = self.rest.get(start..).unwrap_or_default();
        let (reply, rest) = read_whole(input, self.owner)?.ok_or_else(|| cut_off(input))?;
        self.rest = rest;
        Ok(reply)
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Result<Reply<'a>, ProtocolError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.remaining = self.remaining.checked_sub(1)?;
        let element = self.read_next();
        if element.is_err() {
            self.remaining = 0;
        }
        Some(element)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        // What is announced need not come: nobody is to reserve memory for it.
        (0, Some(self.remaining))
    }
}

impl FusedIterator for Elements<'_> {}

impl fmt::Debug for Elements<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

/// Reads a whole value of the kinds that most values are of; `None` is for the others and for errors.
///
/// It is [`read_whole`] again, in a form that is inlined: several times as fast.
#[inline]
fn read_frequent<'a>(input: &'a [u8], owner: Owner<'a>) -> Option<(Reply<'a>, usize)> {
    match input {
        [grammar::INTEGER, ..] => {
            let (number, end) = grammar::number(input, 1).ok()??;
            Some((Reply::Integer(number), end))
        }
        [grammar::BULK, ..] => {
            let (length, start) = grammar::number(input, 1).ok()??;
            let end = start.checked_add(usize::try_from(length).ok()?)?;
            let bytes = input.get(start..end)?;
            let after = end.checked_add(2)?;
            matches!(input.get(end..after), Some(b"\r\n"))
                .then_some((Reply::Bulk(Bulk { bytes, owner }), after))
        }
        [b'+', b'O', b'K', b'\r', b'\n', ..] => Some((Reply::Simple(b"OK"), 5)),
        _ => None,
    }
}

/// Reads a value and finds its end, the elements within passed over; gives the bytes after it.
#[inline]
fn read_whole<'a>(
    input: &'a [u8],
    owner: Owner<'a>,
) -> Result<Option<(Reply<'a>, &'a [u8])>, ProtocolError> {
    let Some((mut reply, mut end)) = read(input, owner)? else {
        return Ok(None);
    };
    if let Reply::Array(elements)
    | Reply::Set(elements)
    | Reply::Map(elements)
    | Reply::Push(elements) = &mut reply
    {
        let start = end;
        match grammar::skip_values(input, start, elements.remaining as u64)? {
            Some(skipped) => end = skipped,
            None => return Ok(None),
        }
        elements.rest = input.get(start..end).unwrap_or_default();
    }
    Ok(Some((reply, input.get(end..).unwrap_or_default())))
}

/// Reads one value, an aggregate up to the end of its header; gives where that is.
#[inline]
fn read<'a>(
    input: &'a [u8],
    owner: Owner<'a>,
) -> Result<Option<(Reply<'a>, usize)>, ProtocolError> {
    let Some(&kind) = input.first() else {
        return Ok(None);
    };
    match kind {
        grammar::BULK => read_bulk(input, owner),
        grammar::INTEGER => match grammar::number(input, 1) {
            Ok(number) => Ok(number.map(|(number, end)| (Reply::Integer(number), end))),
            Err(Malformed) => Err(grammar::unexpected("an integer", input, 0)),
        },
        grammar::ARRAY | grammar::SET | grammar::MAP | grammar::PUSH => {
            read_aggregate(input, owner)
        }
        grammar::VERBATIM => read_verbatim(input, owner),
        grammar::BULK_ERROR => Ok(body(input)?.map(|(text, end)| (Reply::Error(text), end))),
        grammar::ATTRIBUTE => Err(grammar::unexpected("a value", input, 0)),
        _ => read_line(input),
    }
}

#[inline]
fn read_bulk<'a>(
    input: &'a [u8],
    owner: Owner<'a>,
) -> Result<Option<(Reply<'a>, usize)>, ProtocolError> {
    if let Some(b"-1\r\n") = input.get(1..5) {
        return Ok(Some((Reply::Null, 5)));
    }
    Ok(body(input)?.map(|(bytes, end)| (Reply::Bulk(Bulk { bytes, owner }), end)))
}

/// The content of a bulk string, error or verbatim string, and where it ends.
#[inline]
fn body(input: &[u8]) -> Result<Option<(&[u8], usize)>, ProtocolError> {
    let (length, start) = match grammar::number(input, 1) {
        Ok(Some(number)) => number,
        Ok(None) => return Ok(None),
        Err(Malformed) => return Err(grammar::unexpected("a length", input, 0)),
    };
    let length = usize::try_from(length).map_err(|_| grammar::unexpected("a length", input, 0))?;
    let Some(end) = start.checked_add(length) else {
        return Ok(None);
    };
    let (Some(bytes), Some(tail)) = (input.get(start..end), input.get(end..)) else {
        return Ok(None);
    };
    match tail {
        [b'\r', b'\n', ..] => Ok(Some((bytes, end.saturating_add(2)))),
        [] | [b'\r'] => Ok(None),
        _ => Err(grammar::after_bulk(tail)),
    }
}

fn read_verbatim<'a>(
    input: &'a [u8],
    owner: Owner<'a>,
) -> Result<Option<(Reply<'a>, usize)>, ProtocolError> {
    let Some((content, end)) = body(input)? else {
        return Ok(None);
    };
    match (content.get(..3), content.get(3), content.get(4..)) {
        (Some(format), Some(b':'), Some(text)) => Ok(Some((
            Reply::Verbatim {
                format,
                text: Bulk { bytes: text, owner },
            },
            end,
        ))),
        _ => Err(ProtocolError::expected(
            "a verbatim string, its format and a colon first",
            content,
        )),
    }
}

#[inline]
fn read_aggregate<'a>(
    input: &'a [u8],
    owner: Owner<'a>,
) -> Result<Option<(Reply<'a>, usize)>, ProtocolError> {
    if let Some(b"*-1\r\n") = input.get(..5) {
        return Ok(Some((Reply::Null, 5)));
    }
    let (length, end) = match grammar::number(input, 1) {
        Ok(Some(number)) => number,
        Ok(None) => return Ok(None),
        Err(Malformed) => return Err(grammar::unexpected("a length", input, 0)),
    };
    let per_item = if input.first() == Some(&grammar::MAP) {
        2
    } else {
        1
    };
    let remaining = usize::try_from(length)
        .ok()
        .and_then(|length| length.checked_mul(per_item))
        .ok_or_else(|| grammar::unexpected("a length", input, 0))?;
    let elements = Elements {
        rest: input.get(end..).unwrap_or_default(),
        remaining,
        owner,
    };
    let reply = match input.first() {
        Some(&grammar::SET) => Reply::Set(elements),
        Some(&grammar::MAP) => Reply::Map(elements),
        Some(&grammar::PUSH) => Reply::Push(elements),
        _ => Reply::Array(elements),
    };
    Ok(Some((reply, end)))
}

fn read_line(input: &[u8]) -> Result<Option<(Reply<'_>, usize)>, ProtocolError> {
    let Ok(cr) = grammar::line_end(input, 1) else {
        return Ok(None);
    };
    let content = input.get(1..cr).unwrap_or_default();
    let malformed = |expected: &str| grammar::unexpected(expected, input, 0);
    let reply = match input.first() {
        Some(&grammar::SIMPLE) => Reply::Simple(content),
        Some(&grammar::ERROR) => Reply::Error(content),
        Some(&grammar::DOUBLE) => {
            Reply::Double(double(content).ok_or_else(|| malformed("a double"))?)
        }
        Some(&grammar::BIG_NUMBER) if is_big_number(content) => Reply::BigNumber(content),
        Some(&grammar::BIG_NUMBER) => return Err(malformed("a big number")),
        Some(&grammar::BOOLEAN) => match content {
            b"t" => Reply::Boolean(true),
            b"f" => Reply::Boolean(false),
            _ => return Err(malformed("a boolean, #t or #f")),
        },
        Some(&grammar::NULL) if content.is_empty() => Reply::Null,
        Some(&grammar::NULL) => return Err(malformed("the end of a null")),
        _ => return Err(malformed("the type byte of a reply")),
    };
    Ok(Some((reply, cr.saturating_add(2))))
}

/// A double as the servers write it: `3`, `-1.5e-7`, `inf`, `-inf`, `nan` (and `-nan`, by Redis 7.0).
pub(crate) fn double(text: &[u8]) -> Option<f64> {
    str::from_utf8(text).ok()?.parse().ok()
}

fn is_big_number(text: &[u8]) -> bool {
    let digits = text
        .strip_prefix(b"-")
        .or_else(|| text.strip_prefix(b"+"))
        .unwrap_or(text);
    !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
}

/// Where the attributes before a value at top level end.
fn pass_attributes(input: &[u8]) -> Result<Option<usize>, ProtocolError> {
    pass(input, |kind| kind == grammar::ATTRIBUTE)
}

/// Where that ends which stands before an element and is none: attributes and nested pushes.
#[inline]
fn pass_asides(input: &[u8]) -> Result<Option<usize>, ProtocolError> {
    match input.first() {
        Some(&(grammar::ATTRIBUTE | grammar::PUSH)) => pass(input, |kind| {
            matches!(kind, grammar::ATTRIBUTE | grammar::PUSH)
        }),
        _ => Ok(Some(0)),
    }
}

fn pass(input: &[u8], is_aside: impl Fn(u8) -> bool) -> Result<Option<usize>, ProtocolError> {
    let mut at = 0;
    while input.get(at).is_some_and(|kind| is_aside(*kind)) {
        match grammar::skip_aggregate(input, at)? {
            Some(end) => at = end,
            None => return Ok(None),
        }
    }
    Ok(Some(at))
}

#[cold]
fn cut_off(found: &[u8]) -> ProtocolError {
    ProtocolError::expected("a whole reply", found)
}
