//! An owned tree, for callers who do not know what a command answers.

use std::str;

use bytes::Bytes;

use super::reply::{Elements, Reply};
use crate::{
    convert::FromReply,
    error::{Error, ProtocolError, ServerError},
    limits::MAX_DEPTH,
};

/// Any reply, owned.
///
/// An error *within* an array, set or map is a [`Value::Error`]; a reply that is an error itself
/// decodes to `Err` as for every type.
///
/// ```
/// use tidings_proto::{FromReply, Reply, Value};
///
/// let value = Value::from_reply(Reply::parse(b"*2\r\n:1\r\n-ERR no\r\n")?)?;
/// let Value::Array(elements) = value else { panic!() };
/// assert_eq!(elements[0], Value::Integer(1));
/// assert!(matches!(&elements[1], Value::Error(error) if error.code() == "ERR"));
/// # Ok::<(), tidings_proto::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// Nothing.
    Null,
    /// A status such as `OK`.
    Simple(Bytes),
    /// A string of any bytes.
    Bytes(Bytes),
    /// A 64-bit number.
    Integer(i64),
    /// A floating-point number; may be infinite or not a number.
    Double(f64),
    /// True or false.
    Boolean(bool),
    /// An integer of any size, as its decimal digits.
    BigNumber(Bytes),
    /// Text that says how it is to be shown.
    #[non_exhaustive]
    Verbatim {
        /// Three characters: `txt`, `mkd`.
        format: Bytes,
        /// The text itself.
        text: Bytes,
    },
    /// An error in the place of an element.
    Error(ServerError),
    /// A list.
    Array(Vec<Value>),
    /// Pairs of key and value, in the server's order.
    Map(Vec<(Value, Value)>),
    /// A list in which the server repeats no element, in its order.
    Set(Vec<Value>),
    /// What the server sent of itself.
    Push(Vec<Value>),
}

impl Value {
    /// Whether this is nil.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The bytes of a string of whatever kind.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Simple(text) | Self::Bytes(text) | Self::Verbatim { text, .. } => Some(text),
            _ => None,
        }
    }

    /// The text of a string of whatever kind, if it is UTF-8.
    pub fn as_str(&self) -> Option<&str> {
        str::from_utf8(self.as_bytes()?).ok()
    }

    /// The number, if this is an integer.
    pub fn as_integer(&self) -> Option<i64> {
        match self {
            Self::Integer(number) => Some(*number),
            _ => None,
        }
    }

    /// The elements of an array, set or push.
    pub fn as_elements(&self) -> Option<&[Self]> {
        match self {
            Self::Array(elements) | Self::Set(elements) | Self::Push(elements) => Some(elements),
            _ => None,
        }
    }

    /// `depth` bounds the recursion, for frames that no decoder has let through.
    fn build(reply: Reply<'_>, depth: usize) -> Result<Self, ProtocolError> {
        Ok(match reply {
            Reply::Null => Self::Null,
            Reply::Simple(text) => Self::Simple(Bytes::copy_from_slice(text)),
            Reply::Bulk(text) => Self::Bytes(text.to_bytes()),
            Reply::Integer(number) => Self::Integer(number),
            Reply::Double(number) => Self::Double(number),
            Reply::Boolean(truth) => Self::Boolean(truth),
            Reply::BigNumber(digits) => Self::BigNumber(Bytes::copy_from_slice(digits)),
            Reply::Verbatim { format, text } => Self::Verbatim {
                format: Bytes::copy_from_slice(format),
                text: text.to_bytes(),
            },
            Reply::Error(text) => Self::Error(ServerError::new(text)),
            Reply::Array(elements) => Self::Array(Self::list(elements, depth)?),
            Reply::Set(elements) => Self::Set(Self::list(elements, depth)?),
            Reply::Push(elements) => Self::Push(Self::list(elements, depth)?),
            Reply::Map(elements) => Self::Map(Self::pairs(elements, depth)?),
        })
    }

    fn list(elements: Elements<'_>, depth: usize) -> Result<Vec<Self>, ProtocolError> {
        let depth = deeper(depth)?;
        let mut list = Vec::with_capacity(elements.capacity());
        for element in elements {
            list.push(Self::build(element?, depth)?);
        }
        Ok(list)
    }

    fn pairs(mut elements: Elements<'_>, depth: usize) -> Result<Vec<(Self, Self)>, ProtocolError> {
        let depth = deeper(depth)?;
        let mut pairs = Vec::with_capacity(elements.capacity() / 2);
        while let Some(key) = elements.next() {
            let key = Self::build(key?, depth)?;
            // A map has two elements a pair: there is no key without a value.
            let Some(value) = elements.next() else { break };
            pairs.push((key, Self::build(value?, depth)?));
        }
        Ok(pairs)
    }
}

fn deeper(depth: usize) -> Result<usize, ProtocolError> {
    depth.checked_sub(1).ok_or_else(|| {
        ProtocolError::new(format!("expected at most {MAX_DEPTH} levels of nesting"))
    })
}

impl FromReply for Value {
    fn from_reply(reply: Reply<'_>) -> Result<Self, Error> {
        Ok(Self::build(reply.into_result()?, MAX_DEPTH)?)
    }
}
