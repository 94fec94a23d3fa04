//! The grammar of RESP2 and RESP3: type bytes, numbers, lines, and the next token of a frame.
//!
//! See <https://github.com/redis/redis-specifications/blob/master/protocol/RESP3.md>. What only the
//! specification knows and no server sends (streamed strings and aggregates) is refused by name.

use memchr::memchr;

use crate::{error::ProtocolError, limits::Limits};

pub(crate) const SIMPLE: u8 = b'+';
pub(crate) const ERROR: u8 = b'-';
pub(crate) const INTEGER: u8 = b':';
pub(crate) const BULK: u8 = b'$';
pub(crate) const ARRAY: u8 = b'*';
pub(crate) const NULL: u8 = b'_';
pub(crate) const DOUBLE: u8 = b',';
pub(crate) const BOOLEAN: u8 = b'#';
pub(crate) const BULK_ERROR: u8 = b'!';
pub(crate) const VERBATIM: u8 = b'=';
pub(crate) const BIG_NUMBER: u8 = b'(';
pub(crate) const MAP: u8 = b'%';
pub(crate) const SET: u8 = b'~';
pub(crate) const ATTRIBUTE: u8 = b'|';
pub(crate) const PUSH: u8 = b'>';

/// Digits of the largest `i64`; a `u64` holds any number of so many digits.
const MAX_DIGITS: usize = 19;

/// The next thing in a frame, as far as its extent goes.
#[derive(Debug)]
pub(crate) enum Token {
    /// A whole value that holds no other, up to `end`.
    Value { end: usize },
    /// The header of a value that holds `items` others, up to `end`.
    Aggregate {
        kind: Aggregate,
        items: u64,
        end: usize,
    },
    /// A bulk string whose end is known and has not arrived.
    Body { end: usize },
    /// A line whose end has not arrived and does not begin before `searched`.
    Line { searched: usize },
}

/// How the values within an aggregate, and the aggregate itself, are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aggregate {
    /// Array, set or map: one element of whatever it stands in.
    Plain,
    /// An element only at top level.
    Push,
    /// Never an element: it goes before one.
    Attribute,
}

/// A number that is none, or that no `i64` holds.
pub(crate) struct Malformed;

/// Reads the token that begins at `at`; `searched` is what an earlier [`Token::Line`] said, or `at`.
#[inline]
pub(crate) fn token(
    input: &[u8],
    at: usize,
    searched: usize,
    limits: &Limits,
) -> Result<Token, ProtocolError> {
    let Some(&kind) = input.get(at) else {
        return Ok(Token::Line { searched: at });
    };
    let content = at.saturating_add(1);
    match kind {
        BULK => bulk(input, at, limits),
        INTEGER => match number(input, content) {
            Ok(Some((_, end))) => Ok(Token::Value { end }),
            Ok(None) => Ok(Token::Line { searched: at }),
            Err(Malformed) => Err(unexpected("an integer", input, at)),
        },
        SIMPLE | ERROR | DOUBLE | BIG_NUMBER => line(input, at, searched, limits),
        ARRAY | SET | MAP | PUSH | ATTRIBUTE => aggregate(input, at, limits),
        NULL => fixed(input, at, content, b"\r\n", "the end of a null"),
        BOOLEAN => match input.get(content) {
            None => Ok(Token::Line { searched: at }),
            Some(b't' | b'f') => fixed(
                input,
                at,
                content.saturating_add(1),
                b"\r\n",
                "the end of a boolean",
            ),
            Some(_) => Err(unexpected("a boolean, #t or #f", input, at)),
        },
        VERBATIM | BULK_ERROR => bulk(input, at, limits),
        b';' | b'.' => Err(unexpected("no streamed value", input, at)),
        _ => Err(unexpected("the type byte of a reply", input, at)),
    }
}

#[inline]
fn bulk(input: &[u8], at: usize, limits: &Limits) -> Result<Token, ProtocolError> {
    let (length, start) = match number(input, at.saturating_add(1)) {
        Ok(Some(number)) => number,
        Ok(None) => return Ok(Token::Line { searched: at }),
        Err(Malformed) => return Err(bad_length(input, at)),
    };
    let Ok(length) = usize::try_from(length) else {
        return if length == -1 && input.get(at) == Some(&BULK) {
            Ok(Token::Value { end: start })
        } else {
            Err(bad_length(input, at))
        };
    };
    if length > limits.bulk {
        return Err(beyond("bytes in one bulk string", limits.bulk, input, at));
    }
    // Both are far below `usize::MAX`, `length` by its limit: nothing saturates.
    let body_end = start.saturating_add(length);
    let end = body_end.saturating_add(2);
    match input.get(body_end..end) {
        Some(b"\r\n") => Ok(Token::Value { end }),
        Some(found) => Err(after_bulk(found)),
        None => Ok(Token::Body { end }),
    }
}

#[inline]
fn aggregate(input: &[u8], at: usize, limits: &Limits) -> Result<Token, ProtocolError> {
    let (announced, end) = match number(input, at.saturating_add(1)) {
        Ok(Some(number)) => number,
        Ok(None) => return Ok(Token::Line { searched: at }),
        Err(Malformed) => return Err(bad_length(input, at)),
    };
    let byte = input.get(at).copied().unwrap_or_default();
    let Ok(length) = u64::try_from(announced) else {
        return if announced == -1 && byte == ARRAY {
            Ok(Token::Value { end })
        } else {
            Err(bad_length(input, at))
        };
    };
    let (kind, items) = match byte {
        PUSH => (Aggregate::Push, length),
        // An `i64` doubled fits a `u64`.
        ATTRIBUTE => (Aggregate::Attribute, length.saturating_mul(2)),
        MAP => (Aggregate::Plain, length.saturating_mul(2)),
        _ => (Aggregate::Plain, length),
    };
    if items > limits.elements {
        return Err(beyond(
            "elements in one aggregate",
            limits.elements,
            input,
            at,
        ));
    }
    Ok(Token::Aggregate { kind, items, end })
}

#[inline]
fn line(input: &[u8], at: usize, searched: usize, limits: &Limits) -> Result<Token, ProtocolError> {
    if let Some(b"OK\r\n") = input.get(at.saturating_add(1)..at.saturating_add(5)) {
        return Ok(Token::Value {
            end: at.saturating_add(5),
        });
    }
    let (found, token) = match line_end(input, searched) {
        Ok(cr) => (
            cr,
            Token::Value {
                end: cr.saturating_add(2),
            },
        ),
        Err(searched) => (searched, Token::Line { searched }),
    };
    if found.saturating_sub(at) > limits.line.saturating_add(1) {
        return Err(beyond("bytes in one line", limits.line, input, at));
    }
    Ok(token)
}

/// Where the CRLF begins that ends a line, or before where none does.
///
/// A lone CR or LF is a part of the line, as with the servers' own client library.
#[inline]
pub(crate) fn line_end(input: &[u8], from: usize) -> Result<usize, usize> {
    let mut from = from;
    while let Some(offset) = input.get(from..).and_then(|rest| memchr(b'\r', rest)) {
        let cr = from.saturating_add(offset);
        match input.get(cr.saturating_add(1)) {
            Some(b'\n') => return Ok(cr),
            Some(_) => from = cr.saturating_add(1),
            None => return Err(cr),
        }
    }
    Err(input.len())
}

/// A line of known content.
fn fixed(
    input: &[u8],
    at: usize,
    from: usize,
    content: &'static [u8],
    what: &str,
) -> Result<Token, ProtocolError> {
    let end = from.saturating_add(content.len());
    match input.get(from..end) {
        Some(found) if found == content => Ok(Token::Value { end }),
        None if content.starts_with(input.get(from..).unwrap_or_default()) => {
            Ok(Token::Line { searched: at })
        }
        _ => Err(unexpected(what, input, at)),
    }
}

/// The number at `at`, and where the line ends that it fills; `None` if that has not arrived.
///
/// An incomplete number is read again from its beginning: that is 21 bytes at most.
#[inline]
pub(crate) fn number(input: &[u8], at: usize) -> Result<Option<(i64, usize)>, Malformed> {
    // One digit is what most numbers are: of short strings, of things that were counted.
    if let Some([digit @ b'0'..=b'9', b'\r', b'\n', ..]) = input.get(at..) {
        return Ok(Some((
            i64::from(digit.wrapping_sub(b'0')),
            at.saturating_add(3),
        )));
    }
    let (negative, start) = match input.get(at) {
        Some(b'-') => (true, at.saturating_add(1)),
        Some(b'+') => (false, at.saturating_add(1)),
        _ => (false, at),
    };
    let mut value = 0_u64;
    let mut digits = 0_usize;
    let mut rest = input.get(start..).unwrap_or_default();
    while let [byte, tail @ ..] = rest {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        digits = digits.wrapping_add(1);
        if digits > MAX_DIGITS {
            return Err(Malformed);
        }
        value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
        rest = tail;
    }
    match rest {
        [b'\r', b'\n', ..] if digits > 0 => {}
        [] => return Ok(None),
        [b'\r'] if digits > 0 => return Ok(None),
        _ => return Err(Malformed),
    }
    let end = start.saturating_add(digits).saturating_add(2);
    let value = if negative {
        0_i64.checked_sub_unsigned(value).ok_or(Malformed)?
    } else {
        i64::try_from(value).map_err(|_| Malformed)?
    };
    Ok(Some((value, end)))
}

#[cold]
pub(crate) fn unexpected(expected: &str, input: &[u8], at: usize) -> ProtocolError {
    ProtocolError::expected(expected, input.get(at..).unwrap_or_default())
}

#[cold]
fn bad_length(input: &[u8], at: usize) -> ProtocolError {
    if input.get(at.saturating_add(1)) == Some(&b'?') {
        unexpected(
            "a length (no server streams strings or aggregates)",
            input,
            at,
        )
    } else {
        unexpected("a length", input, at)
    }
}

#[cold]
pub(crate) fn after_bulk(found: &[u8]) -> ProtocolError {
    ProtocolError::expected("CRLF at the end of a bulk string", found)
}

#[cold]
fn beyond(what: &str, limit: impl std::fmt::Display, input: &[u8], at: usize) -> ProtocolError {
    unexpected(&format!("at most {limit} {what}"), input, at)
}

/// Where the first `count` values after `at` end, with what stands between them; `None` if that has
/// not arrived. For values within an aggregate: attributes and pushes are passed over uncounted.
pub(crate) fn skip_values(
    input: &[u8],
    at: usize,
    count: u64,
) -> Result<Option<usize>, ProtocolError> {
    let mut at = at;
    let mut wanted = count;
    while wanted > 0 {
        match token(input, at, at, &Limits::WIDEST)? {
            Token::Value { end } => {
                at = end;
                wanted = wanted.wrapping_sub(1);
            }
            Token::Aggregate { kind, items, end } => {
                let others = match kind {
                    Aggregate::Plain => wanted.wrapping_sub(1),
                    Aggregate::Push | Aggregate::Attribute => wanted,
                };
                wanted = others
                    .checked_add(items)
                    .ok_or_else(|| unexpected("fewer elements", input, at))?;
                at = end;
            }
            Token::Body { .. } | Token::Line { .. } => return Ok(None),
        }
    }
    Ok(Some(at))
}

/// Where the aggregate at `at` ends, whatever its kind; `None` if that has not arrived.
pub(crate) fn skip_aggregate(input: &[u8], at: usize) -> Result<Option<usize>, ProtocolError> {
    match token(input, at, at, &Limits::WIDEST)? {
        Token::Aggregate { items, end, .. } => skip_values(input, end, items),
        Token::Value { end } => Ok(Some(end)),
        Token::Body { .. } | Token::Line { .. } => Ok(None),
    }
}
