//! The arguments of a line: in quotes, one blank in between.

use std::sync::Arc;

use bytes::Bytes;
use memchr::{memchr, memchr2, memmem};

use super::arities::Arities;
use super::event::MonitorError;

/// What stands between two arguments.
const BETWEEN: &[u8] = b"\" \"";

/// How a server writes the arguments.
#[non_exhaustive]
#[derive(Debug, Clone, Default)]
pub enum Notation {
    /// With escapes: there is one way to read each line.
    #[default]
    Escaped,
    /// With quotes and backslashes as they are, but for the escapes of what is not printable: Valkey 8.1.0 and 8.1.1.
    ///
    /// A line with a backslash, or with a quote that is not at the begin or end of an argument, is doubtful; and what
    /// looks like two arguments may be one, unless the command cannot do with fewer words.
    Raw(Arc<Arities>),
}

pub(super) fn read_args(text: &[u8], notation: &Notation) -> Result<Box<[Bytes]>, MonitorError> {
    match notation {
        Notation::Escaped => read_escaped(text),
        Notation::Raw(arities) => read_raw(text, arities),
    }
}

/// Arguments in one buffer of their own: what is kept of a line keeps no more than that.
#[derive(Default)]
struct Buffer {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Buffer {
    fn end_arg(&mut self) {
        self.ends.push(self.bytes.len());
    }

    fn into_args(self) -> Box<[Bytes]> {
        let mut rest = Bytes::from(self.bytes.into_boxed_slice());
        let mut begin = 0;
        let mut args = Vec::with_capacity(self.ends.len());
        for end in self.ends {
            args.push(rest.split_to(end.saturating_sub(begin)));
            begin = end;
        }
        args.into()
    }
}

fn read_escaped(mut text: &[u8]) -> Result<Box<[Bytes]>, MonitorError> {
    let mut args = Buffer::default();
    args.bytes.reserve(text.len());
    loop {
        text = text
            .strip_prefix(b"\"")
            .ok_or(MonitorError::Unreadable("an argument without a quote"))?;
        loop {
            let at = memchr2(b'"', b'\\', text).ok_or(UNFINISHED)?;
            let (plain, rest) = text.split_at_checked(at).ok_or(UNFINISHED)?;
            args.bytes.extend_from_slice(plain);
            match rest {
                [b'\\', rest @ ..] => {
                    let (byte, rest) = unescape(rest)?;
                    args.bytes.push(byte);
                    text = rest;
                }
                [_, rest @ ..] => {
                    text = rest;
                    break;
                }
                [] => return Err(UNFINISHED),
            }
        }
        args.end_arg();
        match text {
            [] => return Ok(args.into_args()),
            [b' ', rest @ ..] => text = rest,
            _ => return Err(MonitorError::Unreadable("no blank between two arguments")),
        }
    }
}

const UNFINISHED: MonitorError = MonitorError::Unreadable("an argument without an end");

/// The byte that follows a backslash, and the rest.
fn unescape(text: &[u8]) -> Result<(u8, &[u8]), MonitorError> {
    let unknown = MonitorError::Unreadable("an unknown escape");
    Ok(match text {
        [b'n', rest @ ..] => (b'\n', rest),
        [b'r', rest @ ..] => (b'\r', rest),
        [b't', rest @ ..] => (b'\t', rest),
        [b'a', rest @ ..] => (0x07, rest),
        [b'b', rest @ ..] => (0x08, rest),
        [same @ (b'\\' | b'"'), rest @ ..] => (*same, rest),
        [b'x', high, low, rest @ ..] => {
            let digit = |byte: u8| char::from(byte).to_digit(16);
            let (high, low) = digit(*high).zip(digit(*low)).ok_or(unknown)?;
            (u8::try_from(high * 16 + low).map_err(|_| unknown)?, rest)
        }
        _ => return Err(unknown),
    })
}

/// Why what this gives is the only reading: all quotes within it stand between two arguments. Any other reading takes
/// some of them for a part of an argument and has fewer words, which is too few for the command; or another
/// command's name, with a quote in it, which no command has.
fn read_raw(text: &[u8], arities: &Arities) -> Result<Box<[Bytes]>, MonitorError> {
    let mut rest = text
        .strip_prefix(b"\"")
        .and_then(|text| text.strip_suffix(b"\""))
        .ok_or(MonitorError::Unreadable("an argument without a quote"))?;
    if memchr(b'\\', rest).is_some() {
        return Err(MonitorError::Uncertain("a backslash"));
    }
    let mut args = Buffer::default();
    args.bytes.reserve(rest.len());
    loop {
        let at = memmem::find(rest, BETWEEN);
        let (arg, more) = rest.split_at(at.unwrap_or(rest.len()));
        if memchr(b'"', arg).is_some() {
            return Err(MonitorError::Uncertain("a quote within an argument"));
        }
        args.bytes.extend_from_slice(arg);
        args.end_arg();
        match more.strip_prefix(BETWEEN) {
            Some(more) => rest = more,
            None => break,
        }
    }
    let args = args.into_args();
    if arities.leaves_no_choice(&args) {
        Ok(args)
    } else {
        Err(MonitorError::Uncertain(
            "what looks like two arguments may be one with a quote, a blank and a quote in it",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Reply;
    use crate::monitor::MonitorEvent;
    use proptest::prelude::*;

    /// PING -1, GET 2, SET -3, CLIENT -2 with KILL -3 and ID 2.
    fn notation() -> Notation {
        let reply = b"*4\r\n*3\r\n$4\r\nping\r\n:-1\r\n*0\r\n*2\r\n$3\r\nget\r\n:2\r\n*2\r\n+set\r\n:-3\r\n\
            *10\r\n$6\r\nclient\r\n:-2\r\n*0\r\n:0\r\n:0\r\n:0\r\n*0\r\n*0\r\n*0\r\n\
            *2\r\n*2\r\n$11\r\nclient|kill\r\n:-3\r\n*2\r\n$9\r\nclient|id\r\n:2\r\n";
        Notation::Raw(Arc::new(Arities::from_reply(Reply::parse(reply).unwrap())))
    }

    fn read(args: &str) -> Result<Vec<String>, MonitorError> {
        let line = format!("1.000000 [0 lua] {args}");
        let event = MonitorEvent::parse(line.as_bytes(), &notation())?;
        let text = |arg: &Bytes| String::from_utf8_lossy(arg).into_owned();
        Ok(event.command().iter().map(text).collect())
    }

    #[test]
    fn mo_02_without_escapes_a_line_is_shown_that_can_be_read_in_one_way_only() {
        for (line, args) in [
            (r#""PING""#, vec!["PING"]),
            (r#""get" "k 1""#, vec!["get", "k 1"]),
            (r#""SET" "k" """#, vec!["SET", "k", ""]),
            (r#""SET" " " "]""#, vec!["SET", " ", "]"]),
            (r#""client" "ID""#, vec!["client", "ID"]),
            (r#""CLIENT" "Kill" "x""#, vec!["CLIENT", "Kill", "x"]),
        ] {
            assert_eq!(read(line).unwrap(), args, "{line}");
        }
    }

    #[test]
    fn mo_02_without_escapes_a_line_is_doubtful_that_can_be_read_in_two_ways() {
        for line in [
            // A newline, or a backslash and an n.
            r#""GET" "a\nb""#,
            r#""GET" "a\""#,
            r#""GET" "a"b""#,
            r#""GET" """"#,
            r#""GET" "" "k""#,
            // SET with an option, or with a value that looks so.
            r#""SET" "k" "v" "NX""#,
            r#""SET" "k" " " "v""#,
            r#""PING" "hello""#,
            r#""CLIENT" "KILL" "a" "b""#,
            r#""CLIENT" "NEW""#,
            r#""FUTURE" "k""#,
            // Fewer words than there can be: another command of this name than the one that is known.
            r#""SET" "k""#,
            r#""CLIENT""#,
        ] {
            assert!(
                matches!(read(line), Err(MonitorError::Uncertain(_))),
                "{line}: {:?}",
                read(line)
            );
        }
        for line in ["", "GET", r#"""#, r#""GET" "k"#] {
            assert!(
                matches!(read(line), Err(MonitorError::Unreadable(_))),
                "{line}"
            );
        }
    }

    proptest! {
        #[test]
        fn mo_02_without_escapes_a_line_is_read_as_it_was_or_not_at_all(
            which in 0..4,
            args in prop::collection::vec("[ \"\\\\kv]{0,4}", 3),
        ) {
            let words: &[&str] = match which {
                0 => &["GET", &args[0]],
                1 => &["SET", &args[0], &args[1]],
                2 => &["SET", &args[0], &args[1], &args[2]],
                _ => &["CLIENT", "KILL", &args[0]],
            };
            let line = words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(" ");
            match read(&line) {
                Ok(read) => prop_assert_eq!(read, words),
                Err(error) => {
                    prop_assert!(matches!(error, MonitorError::Uncertain(_)));
                    let is_plain = !words.concat().contains(['"', '\\']);
                    prop_assert!(!is_plain || which == 2, "{}: {}", line, error);
                }
            }
        }
    }
}
