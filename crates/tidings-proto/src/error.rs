//! What can be wrong with a reply: the wire, the answer, or the type that was asked for.

use std::{borrow::Cow, error, fmt, sync::Arc};

use crate::{excerpt::Quoted, resp::Reply};

/// The peer sent bytes that are not RESP, or more than the [`Limits`](crate::Limits) allow.
///
/// Nothing that follows on this connection can be trusted.
#[derive(Clone, PartialEq, Eq)]
pub struct ProtocolError {
    text: Arc<str>,
}

impl ProtocolError {
    /// An error that says what is wrong in its own words.
    #[cold]
    pub fn new(text: impl Into<Cow<'static, str>>) -> Self {
        Self {
            text: text.into().into(),
        }
    }

    /// Says what was expected and shows the beginning of what was found.
    #[cold]
    pub(crate) fn expected(expected: impl fmt::Display, found: &[u8]) -> Self {
        Self::new(format!("expected {expected}, found {}", Quoted(found)))
    }
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ProtocolError").field(&self.text).finish()
    }
}

impl error::Error for ProtocolError {}

/// An error that the server gave as its reply, such as `WRONGTYPE Operation against …`.
///
/// ```
/// use tidings_proto::ServerError;
///
/// let error = ServerError::new(b"MOVED 3999 127.0.0.1:6381");
/// assert_eq!(error.code(), "MOVED");
/// assert_eq!(error.message(), "MOVED 3999 127.0.0.1:6381");
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ServerError {
    message: Arc<str>,
}

impl ServerError {
    /// Takes the text of an error reply, without its type byte; bytes that are not UTF-8 are replaced.
    pub fn new(text: &[u8]) -> Self {
        Self {
            message: String::from_utf8_lossy(text).into(),
        }
    }

    /// The first word, if it is a code (capital letters, digits, `_` and `-`), else `""`.
    pub fn code(&self) -> &str {
        let word = self.message.split(' ').next().unwrap_or_default();
        let is_code = word.starts_with(|first: char| first.is_ascii_uppercase())
            && word
                .bytes()
                .all(|byte| matches!(byte, b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-'));
        if is_code { word } else { "" }
    }

    /// The whole text, its code included.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl From<&[u8]> for ServerError {
    fn from(text: &[u8]) -> Self {
        Self::new(text)
    }
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ServerError").field(&self.message).finish()
    }
}

impl error::Error for ServerError {}

/// The reply is sound, but not of the type that the caller asked for.
#[derive(Clone, PartialEq, Eq)]
pub struct DecodeError {
    text: Arc<str>,
}

impl DecodeError {
    /// Says what was expected, and shows the reply that came instead, cut at 100 characters.
    ///
    /// ```
    /// use tidings_proto::{DecodeError, Reply};
    ///
    /// let reply = Reply::parse(b"$3\r\nabc\r\n")?;
    /// let error = DecodeError::new("an integer", &reply);
    /// assert_eq!(error.to_string(), "expected an integer, got bulk string \"abc\"");
    /// # Ok::<(), tidings_proto::ProtocolError>(())
    /// ```
    #[cold]
    pub fn new(expected: impl Into<Cow<'static, str>>, reply: &Reply<'_>) -> Self {
        Self {
            text: format!("expected {}, got {reply}", expected.into()).into(),
        }
    }

    /// An error in the caller's own words.
    #[cold]
    pub fn message(text: impl Into<Cow<'static, str>>) -> Self {
        Self {
            text: text.into().into(),
        }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DecodeError").field(&self.text).finish()
    }
}

impl error::Error for DecodeError {}

/// Why a reply did not become a value of the caller's type.
///
/// It is a choice among three errors and no level of its own: `Display` and `source()` are those of
/// the error within.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The bytes are not RESP.
    Protocol(ProtocolError),
    /// The server answered with an error.
    Server(ServerError),
    /// The reply is of another type than the caller asked for.
    Decode(DecodeError),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Protocol(error) => error.fmt(f),
            Self::Server(error) => error.fmt(f),
            Self::Decode(error) => error.fmt(f),
        }
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Protocol(error) => error.source(),
            Self::Server(error) => error.source(),
            Self::Decode(error) => error.source(),
        }
    }
}

impl From<ProtocolError> for Error {
    fn from(error: ProtocolError) -> Self {
        Self::Protocol(error)
    }
}

impl From<ServerError> for Error {
    fn from(error: ServerError) -> Self {
        Self::Server(error)
    }
}

impl From<DecodeError> for Error {
    fn from(error: DecodeError) -> Self {
        Self::Decode(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_a_first_word_of_capitals() {
        assert_eq!(ServerError::new(b"WRONGTYPE Operation").code(), "WRONGTYPE");
        assert_eq!(ServerError::new(b"NOAUTH").code(), "NOAUTH");
        assert_eq!(ServerError::new(b"unknown command").code(), "");
        assert_eq!(ServerError::new(b"-123 x").code(), "");
        assert_eq!(ServerError::new(b"").code(), "");
    }

    #[test]
    fn a_message_that_is_not_utf8_is_kept_lossily() {
        assert_eq!(ServerError::new(b"ERR \xff").message(), "ERR \u{fffd}");
    }

    #[test]
    fn a_decode_error_cuts_the_reply_at_100_characters() {
        let long = format!("$1000\r\n{}\r\n", "é".repeat(500));
        let reply = Reply::parse(long.as_bytes()).unwrap();
        let text = DecodeError::new("an integer", &reply).to_string();
        assert_eq!(
            text,
            format!(
                "expected an integer, got bulk string \"{}…\"",
                "é".repeat(100)
            )
        );
    }

    #[test]
    fn a_protocol_error_escapes_what_it_found() {
        let error = ProtocolError::expected("a type byte", b"\x00\r\n\xff");
        assert_eq!(
            error.to_string(),
            r#"expected a type byte, found "\0\r\n\xff""#
        );
    }
}
