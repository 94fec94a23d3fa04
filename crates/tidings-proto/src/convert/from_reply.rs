//! What a reply can become.

mod collections;
mod numbers;
mod text;
mod tuples;

use crate::{
    error::{DecodeError, Error, ServerError},
    resp::Reply,
};

/// A type that a reply can become. The caller names it; RESP2 and RESP3 give the same.
///
/// | type | replies |
/// |---|---|
/// | `()` | any but an error |
/// | integers | integer; text of digits; big number; double without a fraction |
/// | `f32`, `f64` | double; integer; text such as `3.14`, `inf` |
/// | `bool` | boolean; `1`, `0`; `OK` is true, nil is false (`SET … NX`) |
/// | `String`, `Bytes`, `Vec<u8>` | strings of any kind; numbers as their text |
/// | `Option<T>` | nil is `None`, all else a `T` |
/// | `Vec`, `VecDeque`, `Box<[T]>`, `HashSet`, `BTreeSet` | array, set, map (keys and values in turn); nil is empty |
/// | `[T; N]` | the same, of `N` elements |
/// | `(A, B, …)` | an array of so many elements |
/// | `Vec<(A, B)>`, `HashMap`, `BTreeMap` | map; flat array of keys and values; array of pairs; nil is empty |
/// | [`Value`](crate::Value) | any |
/// | `Result<T, ServerError>` | any; here an error of the server is a value |
///
/// Nil is an empty list because RESP2 has two nils, and the commands that answer the one for lists
/// (`*-1`) answer RESP3's only one to others. Who needs to tell nil from empty asks for an `Option<Vec<T>>`.
///
/// ```
/// use std::collections::HashMap;
/// use tidings_proto::{FromReply, Reply};
///
/// let reply = Reply::parse(b"*4\r\n$1\r\na\r\n:1\r\n$1\r\nb\r\n:2\r\n")?;
/// let map = HashMap::<String, i64>::from_reply(reply)?;
/// assert_eq!(map["b"], 2);
/// # Ok::<(), tidings_proto::Error>(())
/// ```
///
/// Types of one's own decode through those that are there:
///
/// ```
/// use tidings_proto::{DecodeError, Error, FromReply, Reply};
///
/// struct Percent(u8);
///
/// impl FromReply for Percent {
///     fn from_reply(reply: Reply<'_>) -> Result<Self, Error> {
///         match u8::from_reply(reply.clone())? {
///             percent @ 0..=100 => Ok(Self(percent)),
///             _ => Err(DecodeError::new("a percentage", &reply).into()),
///         }
///     }
/// }
/// # assert_eq!(Percent::from_reply(Reply::parse(b":7\r\n")?)?.0, 7);
/// # Ok::<(), Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "a reply cannot become `{Self}`",
    label = "not a type that replies decode to",
    note = "replies become integers, floats, `bool`, `String`, `Bytes`, `Vec<u8>`, `Option<T>`, `Vec<T>`, maps, sets, tuples, `Value`, or `()`",
    note = "name the type where nothing else does: `let value: Option<String> = …`",
    note = "implement `FromReply` for types of your own"
)]
pub trait FromReply: Sized {
    /// Decodes a reply.
    ///
    /// # Errors
    ///
    /// [`Error::Server`] if the reply is an error, [`Error::Decode`] if it is of another type or out of
    /// this type's range, [`Error::Protocol`] if its bytes are not RESP.
    fn from_reply(reply: Reply<'_>) -> Result<Self, Error>;

    /// Decodes a reply into a list of this type. The types that are more, or less, than one element
    /// of a list do it in their own way: bytes, and pairs.
    #[doc(hidden)]
    fn extend_from_reply<C: Extend<Self>>(list: &mut C, reply: Reply<'_>) -> Result<(), Error> {
        match collections::elements(reply)? {
            Some(elements) => {
                let capacity = elements.capacity();
                collections::extend(list, capacity, elements.map(|item| Self::from_reply(item?)))
            }
            None => Ok(()),
        }
    }
}

/// The error for a reply of another type, or the server's if it is an error.
#[cold]
fn mismatch(expected: &'static str, reply: &Reply<'_>) -> Error {
    match reply {
        Reply::Error(text) => Error::Server(ServerError::new(text)),
        reply => Error::Decode(DecodeError::new(expected, reply)),
    }
}

impl FromReply for () {
    fn from_reply(reply: Reply<'_>) -> Result<Self, Error> {
        reply.into_result()?;
        Ok(())
    }
}

impl FromReply for bool {
    fn from_reply(reply: Reply<'_>) -> Result<Self, Error> {
        match &reply {
            Reply::Boolean(truth) => Ok(*truth),
            Reply::Integer(1) | Reply::Simple(b"OK") => Ok(true),
            Reply::Integer(0) | Reply::Null => Ok(false),
            Reply::Bulk(text) if matches!(text.as_slice(), b"1" | b"true") => Ok(true),
            Reply::Bulk(text) if matches!(text.as_slice(), b"0" | b"false") => Ok(false),
            _ => Err(mismatch("a boolean", &reply)),
        }
    }
}

impl<T: FromReply> FromReply for Option<T> {
    #[inline]
    fn from_reply(reply: Reply<'_>) -> Result<Self, Error> {
        if reply.is_null() {
            Ok(None)
        } else {
            T::from_reply(reply).map(Some)
        }
    }
}

impl<T: FromReply> FromReply for Result<T, ServerError> {
    fn from_reply(reply: Reply<'_>) -> Result<Self, Error> {
        match reply.into_result() {
            Ok(reply) => T::from_reply(reply).map(Ok),
            Err(error) => Ok(Err(error)),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Decodes what a test wrote down.
    pub(crate) fn decode<T: FromReply>(wire: impl AsRef<[u8]>) -> Result<T, Error> {
        T::from_reply(Reply::parse(wire.as_ref()).unwrap())
    }

    pub(crate) fn decode_error<T: FromReply + std::fmt::Debug>(wire: impl AsRef<[u8]>) -> String {
        match decode::<T>(wire).unwrap_err() {
            Error::Decode(error) => error.to_string(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn unit_takes_anything_but_an_error() {
        assert_eq!(decode::<()>("+OK\r\n"), Ok(()));
        assert_eq!(decode::<()>("*1\r\n:1\r\n"), Ok(()));
        assert!(matches!(decode::<()>("-ERR no\r\n"), Err(Error::Server(_))));
    }

    #[test]
    fn an_error_reply_is_an_error_of_the_server_for_every_type() {
        fn check<T: FromReply + std::fmt::Debug>() {
            for wire in ["-WRONGTYPE no\r\n", "!12\r\nWRONGTYPE no\r\n"] {
                match decode::<T>(wire).unwrap_err() {
                    Error::Server(error) => assert_eq!(error.code(), "WRONGTYPE"),
                    other => panic!("{other:?}"),
                }
            }
        }
        check::<()>();
        check::<i64>();
        check::<u8>();
        check::<f64>();
        check::<bool>();
        check::<String>();
        check::<bytes::Bytes>();
        check::<Vec<u8>>();
        check::<Vec<i64>>();
        check::<Vec<(String, i64)>>();
        check::<[i64; 2]>();
        check::<Option<i64>>();
        check::<(i64, i64)>();
        check::<std::collections::HashMap<String, String>>();
        check::<crate::Value>();
    }

    #[test]
    fn booleans_come_in_many_forms() {
        for wire in [":1\r\n", "#t\r\n", "+OK\r\n", "$1\r\n1\r\n"] {
            assert_eq!(decode(wire), Ok(true));
        }
        for wire in [":0\r\n", "#f\r\n", "_\r\n", "$-1\r\n", "$1\r\n0\r\n"] {
            assert_eq!(decode(wire), Ok(false));
        }
        assert_eq!(
            decode_error::<bool>(":2\r\n"),
            "expected a boolean, got integer 2"
        );
    }

    #[test]
    fn nil_is_none_whatever_its_form() {
        for wire in ["_\r\n", "$-1\r\n", "*-1\r\n"] {
            assert_eq!(decode::<Option<String>>(wire), Ok(None));
            assert_eq!(decode::<Option<Vec<i64>>>(wire), Ok(None));
        }
        assert_eq!(decode::<Option<i64>>(":3\r\n"), Ok(Some(3)));
    }

    #[test]
    fn an_error_among_elements_can_be_a_value() {
        let list: Vec<Result<i64, ServerError>> = decode("*2\r\n:1\r\n-ERR no\r\n").unwrap();
        assert_eq!(list, [Ok(1), Err(ServerError::new(b"ERR no"))]);
        assert!(matches!(
            decode::<Vec<i64>>("*2\r\n:1\r\n-ERR no\r\n"),
            Err(Error::Server(_))
        ));
    }
}
