//! One argument, kept for later.

use super::{ArgError, ArgWriter, ToArg};
use crate::{blob::Blob, charset::Charset};

/// One argument, taken out of what gave it. It still knows whether it is text.
///
/// ```
/// use tidings_proto::{Charset, ToArgs};
///
/// let args = ["a", "b"].collect_args();
/// assert_eq!(&*args[1].encode(Charset::UTF_8)?, b"b");
/// # Ok::<(), tidings_proto::ArgError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arg(Kind);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    /// In UTF-8.
    Text(Blob),
    Bytes(Blob),
    Refused(ArgError),
}

impl Arg {
    pub(crate) fn text(text: &str) -> Self {
        Self(Kind::Text(text.into()))
    }

    pub(crate) fn bytes(bytes: Blob) -> Self {
        Self(Kind::Bytes(bytes))
    }

    pub(crate) fn refused(error: ArgError) -> Self {
        Self(Kind::Refused(error))
    }

    /// What goes over the wire.
    ///
    /// # Errors
    ///
    /// The charset lacks a character of the text, or the value [refused](ArgWriter::refuse) to be written.
    pub fn encode(&self, charset: Charset) -> Result<Blob, ArgError> {
        match &self.0 {
            Kind::Bytes(bytes) => Ok(bytes.clone()),
            Kind::Refused(error) => Err(error.clone()),
            Kind::Text(text) if charset.is_utf_8() => Ok(text.clone()),
            Kind::Text(text) => match charset.encode(&String::from_utf8_lossy(text)) {
                Ok(bytes) => Ok(Blob::copy_from(&bytes)),
                Err(c) => Err(ArgError::lacking(charset, c)),
            },
        }
    }
}

impl ToArg for Arg {
    fn write_to(&self, writer: &mut ArgWriter<'_>) {
        match &self.0 {
            Kind::Text(text) => match std::str::from_utf8(text) {
                Ok(text) => writer.text(text),
                Err(_) => writer.bytes(text),
            },
            Kind::Bytes(bytes) => match bytes.shared() {
                Some(shared) => writer.shared(shared),
                None => writer.bytes(bytes),
            },
            Kind::Refused(error) => writer.refuse(error),
        }
    }
}
