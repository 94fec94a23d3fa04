//! What a payload is decoded into.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use tidings_proto::Charset;

/// Why a payload could not be decoded.
#[derive(Debug, Clone)]
pub struct PayloadError(Cow<'static, str>);

impl PayloadError {
    /// An error that says what was expected.
    pub fn new(text: impl Into<Cow<'static, str>>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for PayloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for PayloadError {}

macro_rules! from_errors {
    ($($error:ty),* $(,)?) => {$(
        impl From<$error> for PayloadError {
            fn from(error: $error) -> Self {
                Self::new(error.to_string())
            }
        }
    )*};
}

from_errors! {
    std::str::Utf8Error,
    std::string::FromUtf8Error,
    std::num::ParseIntError,
    std::num::ParseFloatError,
}

/// A type that a published payload can be decoded into, for [`PubSubBuilder::payload`].
///
/// [`PubSubBuilder::payload`]: crate::PubSubBuilder::payload
///
/// ```
/// use tidings::{Bytes, FromPayload, PayloadError};
///
/// struct Celsius(f64);
///
/// impl FromPayload for Celsius {
///     fn from_payload(payload: Bytes) -> Result<Self, PayloadError> {
///         f64::from_payload(payload).map(Self)
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "a payload cannot become `{Self}`",
    label = "not a type that payloads decode to",
    note = "payloads become `Bytes`, `Vec<u8>`, `String`, integers, floats, or, with the feature `json`, `Json<T>`",
    note = "implement `FromPayload` for types of your own"
)]
pub trait FromPayload: Sized + Send + 'static {
    /// Decodes one payload.
    ///
    /// # Errors
    ///
    /// The payload is not of this type. It becomes one `Err` item that carries the raw payload; the next message
    /// follows.
    fn from_payload(payload: Bytes) -> Result<Self, PayloadError>;

    /// Decodes one payload that came to a client with this [charset](crate::Config#charset): what subscribers call.
    ///
    /// Write it for a type that is made of text, where other charsets than UTF-8 matter to it; give it on to
    /// `String::from_payload_in`.
    ///
    /// # Errors
    ///
    /// As [`from_payload`](Self::from_payload).
    #[inline]
    fn from_payload_in(payload: Bytes, charset: Charset) -> Result<Self, PayloadError> {
        let _ = charset;
        Self::from_payload(payload)
    }
}

impl FromPayload for Bytes {
    #[inline]
    fn from_payload(payload: Bytes) -> Result<Self, PayloadError> {
        Ok(payload)
    }
}

impl FromPayload for Vec<u8> {
    fn from_payload(payload: Bytes) -> Result<Self, PayloadError> {
        Ok(payload.into())
    }
}

impl FromPayload for String {
    fn from_payload(payload: Bytes) -> Result<Self, PayloadError> {
        Self::from_utf8(payload.into()).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            PayloadError::new(format!("the payload is not UTF-8 text: a bad byte at {at}"))
        })
    }

    fn from_payload_in(payload: Bytes, charset: Charset) -> Result<Self, PayloadError> {
        if charset.is_utf_8() {
            return Self::from_payload(payload);
        }
        let text = charset.decode(&payload).map(Cow::into_owned);
        text.ok_or_else(|| {
            PayloadError::new(format!("the payload is not text in {}", charset.name()))
        })
    }
}

macro_rules! numbers {
    ($($number:ty: $what:literal),* $(,)?) => {$(
        impl FromPayload for $number {
            fn from_payload(payload: Bytes) -> Result<Self, PayloadError> {
                let text = std::str::from_utf8(&payload).ok();
                text.and_then(|text| text.parse().ok())
                    .ok_or_else(|| PayloadError::new(concat!("the payload is not ", $what)))
            }
        }
    )*};
}

numbers! {
    i8: "a whole number from -128 to 127",
    i16: "a whole number of 16 bits",
    i32: "a whole number of 32 bits",
    i64: "a whole number of 64 bits",
    i128: "a whole number of 128 bits",
    isize: "a whole number of this machine's size",
    u8: "a whole number from 0 to 255",
    u16: "a whole number of 16 bits without a sign",
    u32: "a whole number of 32 bits without a sign",
    u64: "a whole number of 64 bits without a sign",
    u128: "a whole number of 128 bits without a sign",
    usize: "a whole number of this machine's size without a sign",
    f32: "a number",
    f64: "a number",
}
