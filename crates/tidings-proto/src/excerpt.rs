//! Bytes of a peer or a user, made fit to stand in a message: escaped, and cut.

use std::fmt::{self, Write};

/// Characters shown of one thing; error texts stay readable, and bounded.
pub(crate) const EXCERPT_CHARS: usize = 100;

/// Shows bytes between double quotes, escaped, cut at 100 characters.
pub(crate) struct Quoted<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        let mut out = Clipped::new(f, EXCERPT_CHARS);
        escape(&mut out, self.0)?;
        out.finish()?;
        f.write_char('"')
    }
}

/// Writes a word of a command: as it is if that is plain to read, else quoted and escaped.
pub(crate) fn write_word(out: &mut Clipped<'_, '_>, word: &[u8]) -> fmt::Result {
    let shown = out.within_reach(word);
    let is_plain = !shown.is_empty()
        && !shown
            .iter()
            .any(|byte| matches!(byte, 0..=b' ' | b'"' | b'\\' | 0x7f))
        && shown.utf8_chunks().all(|chunk| {
            chunk.invalid().is_empty() && !chunk.valid().chars().any(char::is_control)
        });
    if is_plain {
        return escape(out, word);
    }
    out.write_char('"')?;
    escape(out, word)?;
    out.write_char('"')
}

/// Lets through so many characters, and puts `…` in the place of the others.
pub(crate) struct Clipped<'f, 'a> {
    out: &'f mut fmt::Formatter<'a>,
    left: usize,
    clipped: bool,
}

impl<'f, 'a> Clipped<'f, 'a> {
    pub(crate) fn new(out: &'f mut fmt::Formatter<'a>, chars: usize) -> Self {
        Self {
            out,
            left: chars,
            clipped: false,
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.clipped
    }

    pub(crate) fn finish(self) -> fmt::Result {
        if self.clipped {
            self.out.write_char('…')
        } else {
            Ok(())
        }
    }

    /// The part of `bytes` that can still show, and a little more, so that the cut is noticed. No
    /// character is longer than four bytes: what comes later is not even looked at.
    fn within_reach<'b>(&self, bytes: &'b [u8]) -> &'b [u8] {
        let most = self.left.saturating_add(2).saturating_mul(4);
        let Some(mut shown) = bytes.get(..most) else {
            return bytes;
        };
        // Not in the middle of a character, which would look like one that is none.
        for _ in 0..3 {
            match shown.split_last() {
                Some((0x80..=0xbf, head)) => shown = head,
                _ => break,
            }
        }
        match shown.split_last() {
            Some((0xc0.., head)) => head,
            _ => shown,
        }
    }
}

impl Write for Clipped<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            match self.left.checked_sub(1) {
                Some(left) => self.left = left,
                None => {
                    self.clipped = true;
                    return Ok(());
                }
            }
            self.out.write_char(character)?;
        }
        Ok(())
    }
}

fn escape(out: &mut Clipped<'_, '_>, bytes: &[u8]) -> fmt::Result {
    for chunk in out.within_reach(bytes).utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\'' => out.write_char('\'')?,
                _ => write!(out, "{}", character.escape_debug())?,
            }
        }
        for byte in chunk.invalid() {
            write!(out, "\\x{byte:02x}")?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_quoted_and_escaped() {
        assert_eq!(
            Quoted(b"it's \"a\"\n\xfe").to_string(),
            r#""it's \"a\"\n\xfe""#
        );
        assert_eq!(Quoted("größe".as_bytes()).to_string(), "\"größe\"");
    }

    #[test]
    fn a_long_text_is_cut_and_says_so() {
        for character in ["x", "é", "€", "🦀"] {
            let text = |count| character.repeat(count);
            assert_eq!(
                Quoted(text(100).as_bytes()).to_string(),
                format!("\"{}\"", text(100))
            );
            for longer in [101, 102, 103, 1 << 16] {
                let shown = Quoted(text(longer).as_bytes()).to_string();
                assert_eq!(shown, format!("\"{}…\"", text(100)));
            }
        }
    }
}
