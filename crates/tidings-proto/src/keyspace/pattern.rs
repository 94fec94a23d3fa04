//! The servers' patterns, of keys and of channels.

/// A text as a pattern that matches it, and nothing else: `*`, `?`, `[` and `\` lose their meaning.
///
/// ```
/// use tidings_proto::keyspace::escape_pattern;
///
/// assert_eq!(escape_pattern(b"cart[1]?"), b"cart\\[1]\\?");
/// ```
pub fn escape_pattern(text: &[u8]) -> Vec<u8> {
    let mut pattern = Vec::with_capacity(text.len());
    for byte in text {
        if matches!(byte, b'*' | b'?' | b'[' | b'\\') {
            pattern.push(b'\\');
        }
        pattern.push(*byte);
    }
    pattern
}

/// The only text that a pattern matches, if there is but one.
pub(super) fn literal(pattern: &[u8]) -> Option<Vec<u8>> {
    let mut text = Vec::with_capacity(pattern.len());
    let mut bytes = pattern.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'*' | b'?' | b'[' => return None,
            // At the end it stands for itself.
            b'\\' => text.push(*bytes.next().unwrap_or(byte)),
            _ => text.push(*byte),
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_pattern_without_a_special_character_has_one_meaning() {
        for (pattern, text) in [
            ("user:1", "user:1"),
            ("", ""),
            ("a\\*b", "a*b"),
            ("a\\b", "ab"),
            ("end\\", "end\\"),
            ("a]^-b", "a]^-b"),
        ] {
            assert_eq!(literal(pattern.as_bytes()).unwrap(), text.as_bytes());
        }
        for pattern in ["*", "a?", "[ab]", "a\\\\*"] {
            assert_eq!(literal(pattern.as_bytes()), None);
        }
    }

    proptest! {
        #[test]
        fn what_is_escaped_is_literal(text in proptest::collection::vec(any::<u8>(), 0..20)) {
            prop_assert_eq!(literal(&escape_pattern(&text)), Some(text));
        }
    }
}
