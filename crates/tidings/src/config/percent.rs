//! Percent-decoding of the parts of a URL.

use crate::error::{Error, Result};

/// The text that `text` stands for.
///
/// `what` names the part in the error, in place of its text.
pub(super) fn percent_decode(what: &str, text: &str) -> Result<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut pieces = text.split('%');
    decoded.extend_from_slice(pieces.next().unwrap_or_default().as_bytes());
    for piece in pieces {
        let bytes = piece.as_bytes();
        let digit = |at: usize| {
            bytes
                .get(at)
                .and_then(|byte| char::from(*byte).to_digit(16))
        };
        let (Some(high), Some(low)) = (digit(0), digit(1)) else {
            return Err(Error::config(format!(
                "a '%' in the {what} is not followed by two hexadecimal digits: write %25 for '%' itself"
            )));
        };
        decoded.push((high * 16 + low) as u8);
        decoded.extend_from_slice(&bytes[2..]);
    }
    // The error of `from_utf8` holds the text.
    String::from_utf8(decoded).map_err(|_| {
        Error::config(format!(
            "the {what} is not UTF-8 once it is percent-decoded"
        ))
    })
}
