//! Strings and bytes.

use std::{borrow::Cow, sync::Arc};

use bytes::Bytes;

use super::{FromReply, mismatch};
use crate::{error::Error, resp::Reply};

/// The bytes of a string, or of a number's text: RESP3 sends as numbers what RESP2 sends as text.
pub(super) fn bytes_of<'a>(reply: &Reply<'a>) -> Result<Cow<'a, [u8]>, Error> {
    if let Some(bytes) = reply.as_bytes() {
        return Ok(Cow::Borrowed(bytes));
    }
    match reply {
        Reply::BigNumber(digits) => Ok(Cow::Borrowed(digits)),
        Reply::Integer(number) => Ok(Cow::Owned(number.to_string().into_bytes())),
        Reply::Double(number) if number.is_nan() => Ok(Cow::Borrowed(b"nan")),
        Reply::Double(number) => Ok(Cow::Owned(number.to_string().into_bytes())),
        _ => Err(mismatch("a string", reply)),
    }
}

impl FromReply for Bytes {
    /// Shares the frame where [`Bulk::to_bytes`](crate::Bulk::to_bytes) does.
    fn from_reply(reply: Reply<'_>) -> Result<Self, Error> {
        match reply {
            Reply::Bulk(text) | Reply::Verbatim { text, .. } => Ok(text.to_bytes()),
            reply => Ok(bytes_of(&reply)?.into_owned().into()),
        }
    }
}

impl FromReply for String {
    fn from_reply(reply: Reply<'_>) -> Result<Self, Error> {
        let bytes = bytes_of(&reply)?;
        match reply.charset().decode(&bytes) {
            Some(text) => Ok(text.into_owned()),
            None if reply.charset().is_utf_8() => Err(mismatch("text in UTF-8", &reply)),
            None => Err(mismatch("text in the client's charset", &reply)),
        }
    }
}

impl FromReply for Box<str> {
    fn from_reply(reply: Reply<'_>) -> Result<Self, Error> {
        String::from_reply(reply).map(Self::from)
    }
}

impl FromReply for Arc<str> {
    fn from_reply(reply: Reply<'_>) -> Result<Self, Error> {
        String::from_reply(reply).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{decode, decode_error};
    use super::*;

    #[test]
    fn strings_of_all_kinds_become_text() {
        for wire in ["$3\r\nabc\r\n", "+abc\r\n", "=7\r\ntxt:abc\r\n"] {
            assert_eq!(decode(wire), Ok("abc".to_owned()));
            assert_eq!(decode(wire), Ok(b"abc".to_vec()));
            assert_eq!(decode(wire), Ok(Bytes::from_static(b"abc")));
        }
    }

    #[test]
    fn numbers_become_their_text() {
        assert_eq!(decode(":-5\r\n"), Ok("-5".to_owned()));
        assert_eq!(decode(",2.5\r\n"), Ok("2.5".to_owned()));
        assert_eq!(decode(",inf\r\n"), Ok("inf".to_owned()));
        assert_eq!(decode("(123\r\n"), Ok(b"123".to_vec()));
    }

    #[test]
    fn bytes_that_are_no_text_are_refused_as_text_and_kept_as_bytes() {
        assert_eq!(
            decode_error::<String>(b"$2\r\na\xff\r\n"),
            r#"expected text in UTF-8, got bulk string "a\xff""#
        );
        assert_eq!(decode(b"$2\r\na\xff\r\n"), Ok(b"a\xff".to_vec()));
    }

    #[test]
    fn nil_is_no_string() {
        assert_eq!(
            decode_error::<String>("$-1\r\n"),
            "expected a string, got nil"
        );
        assert_eq!(
            decode_error::<Vec<u8>>("_\r\n"),
            "expected a string, got nil"
        );
        assert_eq!(decode_error::<Bytes>("_\r\n"), "expected a string, got nil");
    }

    #[test]
    fn large_strings_share_the_frame_and_small_ones_do_not() {
        for (length, shared) in [(1023, false), (1024, true)] {
            let frame = Bytes::from(format!("${length}\r\n{}\r\n", "x".repeat(length)));
            let bytes = Bytes::from_reply(Reply::parse_shared(&frame).unwrap()).unwrap();
            assert_eq!(bytes.len(), length);
            assert_eq!(frame.as_ptr_range().contains(&bytes.as_ptr()), shared);
        }
    }
}
