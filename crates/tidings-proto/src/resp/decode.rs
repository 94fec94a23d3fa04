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

    /// The end of the value that begins at `at`, if that is the beginning of a frame and the frame is this value alone,
    /// in full. Whatever else it is, [`poll_frame`](Self::poll_frame) tells.
    #[inline]
    pub(crate) fn value_end(&self, input: &[u8], at: usize) -> Option<usize> {
        match grammar::token(input, at, at, &self.limits) {
            Ok(Token::Value { end }) if end.saturating_sub(at) <= self.limits.frame => Some(end),
            _ => None,
        }
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
            if let Some(token) = self.pass_values(input)?
                && !self.step(&token, input)?
            {
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

    /// Passes over the whole values that come next in this level; gives what else comes.
    #[inline]
    fn pass_values(&mut self, input: &[u8]) -> Result<Option<Token>, ProtocolError> {
        let (mut at, mut searched) = (self.at, self.searched);
        let mut wanted = self.level.wanted;
        let mut other = None;
        while wanted > 0 {
            match grammar::token(input, at, searched, &self.limits)? {
                Token::Value { end } => {
                    (at, searched) = (end, end);
                    wanted = wanted.wrapping_sub(1);
                }
                token => {
                    other = Some(token);
                    break;
                }
            }
        }
        (self.at, self.searched) = (at, searched);
        self.level.wanted = wanted;
        Ok(other)
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

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;
    use crate::{
        FromReply, Reply, Value,
        resp::{
            fuzzing,
            testing::{Asides, PUSH, any_value, elements_within, encode},
        },
    };

    fn decoder() -> Decoder {
        Decoder::new(Limits::default())
    }

    fn poll(input: impl AsRef<[u8]>) -> Result<Option<usize>, ProtocolError> {
        decoder().poll_frame(input.as_ref())
    }

    fn refusal(input: impl AsRef<[u8]>) -> String {
        poll(input).unwrap_err().to_string()
    }

    #[test]
    fn each_type_ends_where_it_ends() {
        for frame in [
            "+OK\r\n",
            "+\r\n",
            "+a\rb\nc\r\n",
            "-ERR no\r\n",
            ":0\r\n",
            ":-9223372036854775808\r\n",
            ":+7\r\n",
            "$0\r\n\r\n",
            "$2\r\n\r\n\r\n",
            "$-1\r\n",
            "*-1\r\n",
            "*0\r\n",
            "*2\r\n:1\r\n*1\r\n$1\r\na\r\n",
            "_\r\n",
            ",3.14\r\n",
            ",inf\r\n",
            ",-1.5e-300\r\n",
            "#t\r\n",
            "#f\r\n",
            "!5\r\nERR x\r\n",
            "=5\r\ntxt:a\r\n",
            "(12345678901234567890123\r\n",
            "%1\r\n+k\r\n:1\r\n",
            "~1\r\n:1\r\n",
            ">2\r\n+a\r\n+b\r\n",
            "|1\r\n+k\r\n+v\r\n:1\r\n",
            "|1\r\n+k\r\n+v\r\n|0\r\n>1\r\n+a\r\n",
            "*1\r\n|1\r\n+k\r\n+v\r\n:1\r\n",
        ] {
            let more = format!("{frame}+next\r\n");
            assert_eq!(poll(&more), Ok(Some(frame.len())), "{frame:?}");
            for cut in 0..frame.len() {
                assert_eq!(poll(&frame[..cut]), Ok(None), "{:?}", &frame[..cut]);
            }
        }
    }

    #[test]
    fn what_is_no_resp_is_refused_by_name() {
        let refusals = [
            (
                "hello\r\n",
                r#"expected the type byte of a reply, found "hello\r\n""#,
            ),
            (
                "HTTP/1.1 400",
                r#"expected the type byte of a reply, found "HTTP/1.1 400""#,
            ),
            (":\r\n", r#"expected an integer, found ":\r\n""#),
            (":1x\r\n", r#"expected an integer, found ":1x\r\n""#),
            (
                ":9223372036854775808\r\n",
                r#"expected an integer, found ":9223372036854775808\r\n""#,
            ),
            (
                ":00000000000000000000",
                r#"expected an integer, found ":00000000000000000000""#,
            ),
            ("$x", r#"expected a length, found "$x""#),
            ("$-2\r\n", r#"expected a length, found "$-2\r\n""#),
            (">-1\r\n", r#"expected a length, found ">-1\r\n""#),
            (
                "$1\r\nabc",
                r#"expected CRLF at the end of a bulk string, found "bc""#,
            ),
            (
                "#x\r\n",
                r##"expected a boolean, #t or #f, found "#x\r\n""##,
            ),
            ("#tt", r##"expected the end of a boolean, found "#tt""##),
            ("_x", r#"expected the end of a null, found "_x""#),
            (
                "$?\r\n",
                r#"expected a length (no server streams strings or aggregates), found "$?\r\n""#,
            ),
            (
                "*?\r\n",
                r#"expected a length (no server streams strings or aggregates), found "*?\r\n""#,
            ),
            (";4\r\n", r#"expected no streamed value, found ";4\r\n""#),
        ];
        for (input, text) in refusals {
            assert_eq!(refusal(input), text);
            assert_eq!(refusal(format!("*1\r\n{input}")), text);
        }
    }

    #[test]
    fn limits_hold_at_their_number_and_not_before() {
        let limits = Limits {
            depth: 2,
            bulk: 5,
            line: 5,
            elements: 4,
            frame: 30,
        };
        let within = [
            "*1\r\n*1\r\n:1\r\n",
            "$5\r\nhello\r\n",
            "+hello\r\n",
            "%2\r\n:1\r\n:1\r\n:1\r\n:1\r\n",
            "*2\r\n$5\r\nhello\r\n$4\r\nhell\r\n",
        ];
        for frame in within {
            assert_eq!(
                Decoder::new(limits).poll_frame(frame.as_bytes()),
                Ok(Some(frame.len()))
            );
        }
        let beyond = [
            ("*1\r\n*1\r\n*1\r\n:1\r\n", "at most 2 levels of nesting"),
            ("$6\r\n", "at most 5 bytes in one bulk string"),
            ("+hello!", "at most 5 bytes in one line"),
            ("+hello!\r\n", "at most 5 bytes in one line"),
            ("%3\r\n", "at most 4 elements in one aggregate"),
            (
                "*4\r\n$5\r\nhello\r\n$5\r\nhello\r\n$5\r\n",
                "at most 30 bytes in one frame",
            ),
            (
                "*4\r\n$5\r\nhello\r\n$5\r\nhello\r\n:1234567\r\n",
                "at most 30 bytes in one frame",
            ),
        ];
        for (frame, text) in beyond {
            let error = Decoder::new(limits)
                .poll_frame(frame.as_bytes())
                .unwrap_err();
            assert!(error.to_string().contains(text), "{error}");
        }
    }

    #[test]
    fn depth_costs_no_stack() {
        assert!(refusal("*1\r\n".repeat(1_000_000)).contains("at most 64 levels of nesting"));
        let deepest = Limits {
            depth: usize::MAX,
            ..Limits::default()
        };
        let frame = format!("{}:1\r\n", "*1\r\n".repeat(128));
        let mut decoder = Decoder::new(deepest);
        assert_eq!(decoder.poll_frame(frame.as_bytes()), Ok(Some(frame.len())));
        assert!(Value::from_reply(Reply::parse(frame.as_bytes()).unwrap()).is_ok());
        let deeper = format!("*1\r\n{frame}");
        assert!(decoder.poll_frame(deeper.as_bytes()).is_err());
        assert!(Value::from_reply(Reply::parse(deeper.as_bytes()).unwrap()).is_err());
    }

    #[test]
    fn a_byte_is_looked_at_once_however_small_the_reads() {
        // Looking again from the beginning of the line, string or array would take minutes.
        const SIZE: usize = 1 << 18;
        let frames = [
            format!("+{}\r\n", "x".repeat(SIZE)),
            format!("${SIZE}\r\n{}\r\n", "x".repeat(SIZE)),
            format!("*{}\r\n{}", SIZE / 4, ":1\r\n".repeat(SIZE / 4)),
        ];
        for frame in frames {
            let mut decoder = decoder();
            for end in 1..frame.len() {
                assert_eq!(decoder.poll_frame(&frame.as_bytes()[..end]), Ok(None));
            }
            assert_eq!(decoder.poll_frame(frame.as_bytes()), Ok(Some(frame.len())));
        }
    }

    #[test]
    fn what_is_missing_is_known_once_it_is_announced() {
        let mut decoder = decoder();
        assert_eq!((decoder.missing(), decoder.is_mid_frame()), (0, false));
        assert_eq!(decoder.poll_frame(b"*2\r\n$1"), Ok(None));
        assert_eq!((decoder.missing(), decoder.is_mid_frame()), (1, true));
        assert_eq!(decoder.poll_frame(b"*2\r\n$10\r\nabc"), Ok(None));
        assert_eq!(decoder.missing(), 9);
        assert_eq!(
            decoder.poll_frame(b"*2\r\n$10\r\n0123456789\r\n$99999999\r\n"),
            Ok(None)
        );
        assert_eq!(decoder.missing(), MISSING_CAP);
    }

    #[test]
    fn a_push_inside_a_reply_is_set_aside() {
        let frame = b"*2\r\n:1\r\n>1\r\n+a\r\n*1\r\n>2\r\n+b\r\n>0\r\n+c\r\n:2\r\n";
        let mut decoder = decoder();
        assert_eq!(decoder.poll_frame(frame), Ok(Some(frame.len())));
        let pushes: Vec<_> = decoder
            .take_nested_pushes()
            .into_iter()
            .map(|range| &frame[range])
            .collect();
        // In the order of their ends.
        assert_eq!(
            pushes,
            [&b">1\r\n+a\r\n"[..], b">0\r\n", b">2\r\n+b\r\n>0\r\n+c\r\n"]
        );
        assert!(decoder.take_nested_pushes().is_empty());
    }

    #[test]
    fn a_push_at_top_level_is_a_frame_and_not_nested() {
        let mut decoder = decoder();
        assert_eq!(
            decoder.poll_frame(b"|1\r\n+k\r\n+v\r\n>1\r\n+a\r\n"),
            Ok(Some(20))
        );
        assert!(decoder.take_nested_pushes().is_empty());
    }

    #[test]
    fn nested_pushes_are_those_of_the_last_frame() {
        let mut decoder = decoder();
        assert_eq!(
            decoder.poll_frame(b"*1\r\n>1\r\n+a\r\n:1\r\n"),
            Ok(Some(16))
        );
        assert_eq!(decoder.poll_frame(b"+OK\r\n"), Ok(Some(5)));
        assert!(decoder.take_nested_pushes().is_empty());
    }

    proptest! {
        #[test]
        fn any_replies_in_any_pieces_are_the_same_frames_and_values(
            values in vec(any_value(), 1..4),
            attributes: bool,
            pushes: bool,
            pieces in vec(1_usize..50, 1..20),
        ) {
            let asides = Asides { attributes, pushes };
            let frames: Vec<Vec<u8>> = values.iter().map(|value| encode(value, asides)).collect();
            let wire = frames.concat();
            let mut pieces = pieces.into_iter().cycle();
            let mut decoder = decoder();
            let (mut begin, mut arrived) = (0, 0);
            for (value, frame) in values.iter().zip(&frames) {
                let length = loop {
                    if let Some(length) = decoder.poll_frame(&wire[begin..arrived]).unwrap() {
                        break length;
                    }
                    prop_assert!(arrived < wire.len());
                    arrived = wire.len().min(arrived + pieces.next().unwrap());
                };
                prop_assert_eq!(length, frame.len());
                let nested = decoder.take_nested_pushes();
                prop_assert_eq!(nested.len(), if pushes { elements_within(value) } else { 0 });
                for range in nested {
                    prop_assert_eq!(&frame[range], PUSH);
                }
                let read = Value::from_reply(Reply::parse(frame).unwrap());
                match value {
                    Value::Error(error) => prop_assert_eq!(read, Err(error.clone().into())),
                    value => prop_assert_eq!(read.as_ref(), Ok(value)),
                }
                begin += length;
            }
            prop_assert_eq!(begin, wire.len());
        }

        #[test]
        fn any_bytes_at_all_are_decoded_or_refused(data in vec(any::<u8>(), 0..200)) {
            fuzzing::decode(&data);
        }

        #[test]
        fn any_bytes_of_the_grammar_are_decoded_or_refused(
            data in "([-+:$*_,#!=(%~|>;?.0-3tfx]|\r\n|:1\r\n|[*>%|~][0-3]\r\n|[$=!][0-3]\r\n){0,60}",
        ) {
            fuzzing::decode(data.as_bytes());
        }

        #[test]
        fn damaged_replies_are_decoded_or_refused(
            value in any_value(),
            pushes: bool,
            damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        ) {
            let mut wire = encode(&value, Asides { attributes: false, pushes });
            for (index, byte) in damage {
                let index = index.index(wire.len());
                wire[index] = byte;
            }
            fuzzing::decode(&wire);
        }
    }
}
