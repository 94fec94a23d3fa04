//! Finds where a frame ends, however it was cut into reads.

use std::{mem, ops::Range};

use super::grammar::{self, Aggregate, Token};
use crate::{error::ProtocolError, limits::Limits};

/// The most that [`Decoder::missing`] says: a buffer may grow by so much on a mere announcement.
const MISSING_CAP: usize = 1024 * 1024;

/// Cuts a stream of bytes into frames: whole replies and pushes of RESP2 or RESP3.
///
/// It only finds where a frame ends; [`Reply::parse`](crate::Reply::parse) reads what is in it. It
/// goes on where it stopped, so that each byte is looked at once however small the reads are, and
/// it neither recurses nor reserves memory by what the wire announces.
///
/// ```
/// use tidings_proto::{Decoder, Limits};
///
/// let mut decoder = Decoder::new(Limits::default());
/// assert_eq!(decoder.poll_frame(b"$5\r\nhel")?, None);
/// assert_eq!(decoder.missing(), 4);
/// assert_eq!(decoder.poll_frame(b"$5\r\nhello\r\n+OK\r\n")?, Some(11));
/// # Ok::<(), tidings_proto::ProtocolError>(())
/// ```
#[derive(Debug)]
pub struct Decoder {
    limits: Limits,
    /// Bytes of the frame that are settled: the next token begins here.
    at: usize,
    /// No line end begins before here; not below `at`.
    searched: usize,
    /// Where the bulk string at `at` will end, if its length has arrived and its end has not.
    body_end: Option<usize>,
    /// The aggregate that `at` stands in; at top level, one element is wanted.
    level: Level,
    /// The levels around it. Its capacity is kept: frames allocate only until the deepest was seen.
    parents: Vec<Level>,
    nested_pushes: Vec<Range<usize>>,
    missing: usize,
}

#[derive(Clone, Copy, Debug)]
struct Level {
    /// Elements that have not begun.
    wanted: u64,
    /// Where the nested push began that this level is.
    push: Option<usize>,
}

const TOP: Level = Level {
    wanted: 1,
    push: None,
};

impl Decoder {
    /// A decoder at the beginning of a stream.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits: limits.clamped(),
            at: 0,
            searched: 0,
            body_end: None,
            level: TOP,
            parents: Vec::new(),
            nested_pushes: Vec::new(),
            missing: 0,
        }
    }

    /// The length of the frame that `input` begins with, or `None` if it has not arrived in full.
    ///
    /// `input` begins at the first byte of a frame and goes on at least to where it went on the
    /// previous call. After `Some`, the decoder is ready for the frame after this one.
    ///
    /// # Errors
    ///
    /// The bytes are not RESP, or beyond the limits. The stream cannot be read on from there.
    #[inline]
    pub fn poll_frame(&mut self, input: &[u8]) -> Result<Option<usize>, ProtocolError> {
        if !self.is_mid_frame() {
            if !self.nested_pushes.is_empty() {
                self.nested_pushes.clear();
            }
            // Most replies are one token, and leave no trace here.
            match grammar::token(input, 0, 0, &self.limits)? {
                Token::Value { end } if end <= self.limits.frame => return Ok(Some(end)),
                token => {
                    if !self.step(&token, input)? {
                        return self.pause(input);
                    }
                }
            }
        }
        self.scan(input)
    }

    /// The pushes that stood *inside* the frame found last, as ranges of that frame.
    ///
    /// Redis 6 and 7.0 put a push between the elements of a reply, without counting it as one of
    /// them. The iterators over a reply's elements pass over it; it is to be read from here.
    pub fn take_nested_pushes(&mut self) -> Vec<Range<usize>> {
        if self.is_mid_frame() {
            Vec::new()
        } else {
            mem::take(&mut self.nested_pushes)
        }
    }

    /// How many bytes are known to be missing at least, at most 1 MiB: a hint for the read buffer.
    pub fn missing(&self) -> usize {
        self.missing
    }

    /// Whether the last call saw the beginning of a frame that it did not see the end of.
    #[inline]
    pub fn is_mid_frame(&self) -> bool {
        self.missing != 0
    }

    fn scan(&mut self, input: &[u8]) -> Result<Option<usize>, ProtocolError> {
        if let Some(end) = self.body_end {
            let Some(found) = input.get(end.saturating_sub(2)..end) else {
                return self.pause(input);
            };
            if found != b"\r\n" {
                return Err(grammar::after_bulk(found));
            }
            self.body_end = None;
            self.value_ended(end);
        }
        while self.close_levels() {
            let token = grammar::token(input, self.at, self.searched, &self.limits)?;
            if !self.step(&token, input)? {
                return self.pause(input);
            }
        }
        let end = self.at;
        self.check_frame(end)?;
        self.at = 0;
        self.searched = 0;
        self.level = TOP;
        self.missing = 0;
        Ok(Some(end))
    }

    /// Takes note of a token; false if its end has not arrived.
    #[inline]
    fn step(&mut self, token: &Token, input: &[u8]) -> Result<bool, ProtocolError> {
        match *token {
            Token::Value { end } => self.value_ended(end),
            Token::Aggregate { kind, items, end } => self.open_level(kind, items, end, input)?,
            Token::Body { end } => {
                self.body_end = Some(end);
                return Ok(false);
            }
            Token::Line { searched } => {
                self.searched = searched;
                return Ok(false);
            }
        }
        Ok(true)
    }

    #[inline]
    fn value_ended(&mut self, end: usize) {
        self.at = end;
        self.searched = end;
        self.level.wanted = self.level.wanted.saturating_sub(1);
    }

    /// Leaves the levels that are complete; false if that was the last one, and with it the frame.
    #[inline]
    fn close_levels(&mut self) -> bool {
        while self.level.wanted == 0 {
            if let Some(start) = self.level.push {
                self.nested_pushes.push(start..self.at);
            }
            match self.parents.pop() {
                Some(parent) => self.level = parent,
                None => return false,
            }
        }
        true
    }

    fn open_level(
        &mut self,
        kind: Aggregate,
        items: u64,
        end: usize,
        input: &[u8],
    ) -> Result<(), ProtocolError> {
        if self.parents.len() >= self.limits.depth {
            let expected = format!("at most {} levels of nesting", self.limits.depth);
            return Err(grammar::unexpected(&expected, input, self.at));
        }
        let nested_push = kind == Aggregate::Push && !self.parents.is_empty();
        if kind != Aggregate::Attribute && !nested_push {
            self.level.wanted = self.level.wanted.saturating_sub(1);
        }
        self.parents.push(self.level);
        self.level = Level {
            wanted: items,
            push: nested_push.then_some(self.at),
        };
        self.at = end;
        self.searched = end;
        Ok(())
    }

    /// Waits for more input.
    fn pause(&mut self, input: &[u8]) -> Result<Option<usize>, ProtocolError> {
        self.check_frame(self.body_end.unwrap_or(0).max(input.len()))?;
        if input.is_empty() {
            self.missing = 0;
            return Ok(None);
        }
        let known = self
            .body_end
            .map_or(1, |end| end.saturating_sub(input.len()));
        self.missing = known.clamp(1, MISSING_CAP);
        Ok(None)
    }

    fn check_frame(&self, length: usize) -> Result<(), ProtocolError> {
        if length <= self.limits.frame {
            return Ok(());
        }
        Err(ProtocolError::new(format!(
            "expected at most {} bytes in one frame, found {length}",
            self.limits.frame
        )))
    }
}
