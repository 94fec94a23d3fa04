//! How text is written as bytes.

use std::borrow::Cow;

#[cfg(feature = "charset")]
use encoding_rs::{Encoder, EncoderResult, Encoding, WINDOWS_1252};

/// The encoding that text is sent and read in: UTF-8, or with the feature `charset` another one.
///
/// Every one of them writes ASCII as ASCII.
///
/// ```
/// use tidings_proto::Charset;
///
/// assert_eq!(Charset::UTF_8.encode("süß"), Ok("süß".as_bytes().into()));
/// assert_eq!(Charset::UTF_8.decode(b"s\xfc\xdf"), None);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Charset(Repr);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Repr {
    #[default]
    Utf8,
    /// What the next one's labels include, and what is something else: only the first 128.
    #[cfg(feature = "charset")]
    Ascii,
    /// The first 256 characters, one byte each.
    #[cfg(feature = "charset")]
    Latin1,
    #[cfg(feature = "charset")]
    Other(&'static Encoding),
}

impl Charset {
    /// What is used unless another one is named.
    pub const UTF_8: Self = Self(Repr::Utf8);

    /// The charset with this label, such as `iso-8859-1`, `windows-1252`, `shift_jis` or `gbk`, in any case.
    ///
    /// The labels are those of the [Encoding Standard](https://encoding.spec.whatwg.org/#names-and-labels). But
    /// `iso-8859-1` and `us-ascii`, with their other names, are what they say, and not `windows-1252`.
    /// UTF-16 is none of those that can be used: servers and commands count on ASCII.
    #[cfg(feature = "charset")]
    pub fn for_label(label: &str) -> Option<Self> {
        let label = label.trim().to_ascii_lowercase();
        if label == "latin-1" {
            return Some(Self(Repr::Latin1));
        }
        let encoding = Encoding::for_label(label.as_bytes())?;
        let repr = match label.as_str() {
            "ascii" | "us-ascii" | "ansi_x3.4-1968" => Repr::Ascii,
            "windows-1252" | "cp1252" | "x-cp1252" => Repr::Other(encoding),
            _ if encoding == WINDOWS_1252 => Repr::Latin1,
            _ if encoding == encoding_rs::UTF_8 => Repr::Utf8,
            _ if encoding.output_encoding() != encoding => return None,
            _ => Repr::Other(encoding),
        };
        Some(Self(repr))
    }

    /// Its usual name.
    pub fn name(self) -> &'static str {
        match self.0 {
            Repr::Utf8 => "UTF-8",
            #[cfg(feature = "charset")]
            Repr::Ascii => "US-ASCII",
            #[cfg(feature = "charset")]
            Repr::Latin1 => "ISO-8859-1",
            #[cfg(feature = "charset")]
            Repr::Other(encoding) => encoding.name(),
        }
    }

    /// Whether it is UTF-8, in which text is sent as it is.
    #[inline]
    pub fn is_utf_8(self) -> bool {
        matches!(self.0, Repr::Utf8)
    }

    /// The text as bytes.
    ///
    /// # Errors
    ///
    /// The first character that the charset does not have.
    pub fn encode(self, text: &str) -> Result<Cow<'_, [u8]>, char> {
        match self.0 {
            Repr::Utf8 => Ok(Cow::Borrowed(text.as_bytes())),
            #[cfg(feature = "charset")]
            _ if text.is_ascii() && !self.is_stateful() => Ok(Cow::Borrowed(text.as_bytes())),
            #[cfg(feature = "charset")]
            Repr::Ascii => single_bytes(text, '\u{7f}'),
            #[cfg(feature = "charset")]
            Repr::Latin1 => single_bytes(text, '\u{ff}'),
            #[cfg(feature = "charset")]
            Repr::Other(encoding) => encoded(encoding.new_encoder(), text).map(Cow::Owned),
        }
    }

    /// The bytes as text; `None` if they are none in this charset.
    pub fn decode(self, bytes: &[u8]) -> Option<Cow<'_, str>> {
        match self.0 {
            Repr::Utf8 => std::str::from_utf8(bytes).ok().map(Cow::Borrowed),
            #[cfg(feature = "charset")]
            Repr::Ascii if !bytes.is_ascii() => None,
            #[cfg(feature = "charset")]
            Repr::Ascii | Repr::Latin1 => Some(encoding_rs::mem::decode_latin1(bytes)),
            #[cfg(feature = "charset")]
            Repr::Other(encoding) => {
                encoding.decode_without_bom_handling_and_without_replacement(bytes)
            }
        }
    }

    /// The bytes as text; where they are none in this charset, U+FFFD stands.
    pub fn decode_lossy(self, bytes: &[u8]) -> Cow<'_, str> {
        match self.0 {
            #[cfg(feature = "charset")]
            Repr::Latin1 => encoding_rs::mem::decode_latin1(bytes),
            #[cfg(feature = "charset")]
            Repr::Other(encoding) => encoding.decode_without_bom_handling(bytes).0,
            // What is no ASCII may be UTF-8 all the same.
            _ => String::from_utf8_lossy(bytes),
        }
    }

    /// Whether bytes of ASCII may stand for something else behind an escape.
    #[cfg(feature = "charset")]
    fn is_stateful(self) -> bool {
        self.0 == Repr::Other(encoding_rs::ISO_2022_JP)
    }
}

#[cfg(feature = "charset")]
fn single_bytes(text: &str, last: char) -> Result<Cow<'_, [u8]>, char> {
    let byte = |c: char| match u8::try_from(c) {
        Ok(byte) if c <= last => Ok(byte),
        _ => Err(c),
    };
    text.chars()
        .map(byte)
        .collect::<Result<_, _>>()
        .map(Cow::Owned)
}

#[cfg(feature = "charset")]
fn encoded(mut encoder: Encoder, mut text: &str) -> Result<Vec<u8>, char> {
    let mut bytes = Vec::new();
    loop {
        let room = encoder.max_buffer_length_from_utf8_without_replacement(text.len());
        bytes.reserve(room.unwrap_or(text.len()));
        let (outcome, read) =
            encoder.encode_from_utf8_to_vec_without_replacement(text, &mut bytes, true);
        match outcome {
            EncoderResult::InputEmpty => return Ok(bytes),
            EncoderResult::OutputFull => text = text.get(read..).unwrap_or_default(),
            // The encoder itself names U+FFFD for escapes that would change the meaning of what follows.
            EncoderResult::Unmappable(c) => {
                return Err(text
                    .get(..read)
                    .and_then(|read| read.chars().next_back())
                    .unwrap_or(c));
            }
        }
    }
}

#[cfg(all(test, feature = "charset"))]
mod tests {
    use super::*;

    fn charset(label: &str) -> Charset {
        Charset::for_label(label).expect(label)
    }

    #[test]
    fn text_becomes_the_charsets_bytes_and_text_again() {
        for (label, name, text, bytes) in [
            (
                "utf-8",
                "UTF-8",
                "süß€",
                &b"s\xc3\xbc\xc3\x9f\xe2\x82\xac"[..],
            ),
            ("ISO-8859-1", "ISO-8859-1", "süß\u{80}", b"s\xfc\xdf\x80"),
            ("latin-1", "ISO-8859-1", "ÿ", b"\xff"),
            ("us-ascii", "US-ASCII", "a~\0", b"a~\0"),
            ("windows-1252", "windows-1252", "süß€", b"s\xfc\xdf\x80"),
            ("iso-8859-15", "ISO-8859-15", "€", b"\xa4"),
            ("koi8-r", "KOI8-R", "привет", b"\xd0\xd2\xc9\xd7\xc5\xd4"),
            ("shift_jis", "Shift_JIS", "日本", b"\x93\xfa\x96{"),
            ("iso-2022-jp", "ISO-2022-JP", "日", b"\x1b$BF|\x1b(B"),
            ("gb18030", "gb18030", "🎉", b"\x94\x39\xbd\x35"),
        ] {
            let charset = charset(label);
            assert_eq!(charset.name(), name);
            assert_eq!(charset.encode(text).as_deref(), Ok(bytes), "{label}");
            assert_eq!(charset.decode(bytes).as_deref(), Some(text), "{label}");
            assert_eq!(charset.decode_lossy(bytes), text, "{label}");
            assert_eq!(
                charset.encode("GET *\r\n").as_deref(),
                Ok(&b"GET *\r\n"[..])
            );
        }
    }

    #[test]
    fn a_character_that_a_charset_lacks_is_named_and_not_replaced() {
        assert_eq!(charset("iso-8859-1").encode("sü€ß"), Err('€'));
        assert_eq!(charset("ascii").encode("sü€"), Err('ü'));
        assert_eq!(charset("koi8-r").encode("süß"), Err('ü'));
        assert_eq!(charset("iso-2022-jp").encode("a\u{1b}"), Err('\u{1b}'));
        let long = "я".repeat(10_000);
        assert_eq!(charset("koi8-r").encode(&long).unwrap().len(), 10_000);
        assert_eq!(charset("koi8-r").encode(&(long + "ß")), Err('ß'));
    }

    #[test]
    fn bytes_that_are_no_text_are_none_or_marked() {
        for (label, bytes) in [
            ("ascii", &b"a\xff"[..]),
            ("utf-8", b"a\xff"),
            ("shift_jis", b"a\x81"),
        ] {
            let charset = charset(label);
            assert_eq!(charset.decode(bytes), None, "{label}");
            assert_eq!(charset.decode_lossy(bytes), "a\u{fffd}", "{label}");
        }
        // A mark of the byte order is text like any other.
        assert_eq!(
            charset("windows-1252").decode(b"\xff\xfea").as_deref(),
            Some("ÿþa")
        );
    }

    #[test]
    fn what_is_no_charset_or_does_not_contain_ascii_has_no_label() {
        for label in ["", "utf-9", "utf-16", "utf-16le", "hz-gb-2312", "ü"] {
            assert_eq!(Charset::for_label(label), None, "{label}");
        }
    }
}
