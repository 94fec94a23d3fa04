//! `notify-keyspace-events`: which notifications a server sends.

use std::fmt;

use super::operations::class_of;

/// What `A` stands for.
const USUAL: &[u8] = b"g$lshzxetd";

/// The order in which they are shown.
const ORDER: &[u8] = b"KEg$lshzxetdnm";

/// The letters of `notify-keyspace-events`: `K` and `E` for the two kinds of channels, and one for each class of
/// operations. Letters of newer servers are kept.
///
/// ```
/// use tidings_proto::keyspace::NotifyFlags;
///
/// let flags = NotifyFlags::parse(b"Kg$lshzxetd");
/// assert_eq!(flags.to_string(), "KA");
/// assert!(flags.contains(NotifyFlags::parse(b"Kx")));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NotifyFlags(u128);

impl NotifyFlags {
    /// Reads what a server says. Bytes that are no letters and no `$` mean nothing.
    pub fn parse(text: &[u8]) -> Self {
        text.iter().fold(Self::default(), |flags, byte| match byte {
            b'A' => flags.with(Self::of(USUAL)),
            _ => flags.with(Self::of(std::slice::from_ref(byte))),
        })
    }

    /// What channels for keys, or else those for operations, need for all usual operations.
    pub(super) fn of_usual(channels: u8) -> Self {
        Self::of(USUAL).with(Self::of(&[channels]))
    }

    /// The same for these operations. Of one that is not known here the class is not known: all are needed.
    pub(super) fn of_operations<'a>(
        channels: u8,
        mut operations: impl Iterator<Item = &'a [u8]>,
    ) -> Self {
        operations
            .try_fold(Self::of(&[channels]), |flags, operation| {
                Some(flags.with(Self::of(&[class_of(operation)?])))
            })
            .unwrap_or(Self::of_usual(channels))
    }

    fn of(letters: &[u8]) -> Self {
        let bit = |letter: &u8| 1_u128.checked_shl(u32::from(*letter)).unwrap_or_default();
        let letters = letters
            .iter()
            .filter(|letter| letter.is_ascii_alphabetic() || **letter == b'$');
        Self(letters.map(bit).fold(0, |bits, bit| bits | bit))
    }

    /// These and those.
    #[must_use]
    pub fn with(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// These but not those.
    #[must_use]
    pub fn without(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }

    /// Whether all of those are among these.
    pub fn contains(self, others: Self) -> bool {
        others.without(self).is_empty()
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// As servers take it.
impl fmt::Display for NotifyFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let usual = Self::of(USUAL);
        let rest = if self.contains(usual) {
            self.without(usual)
        } else {
            *self
        };
        let others = (b'A'..=b'z').filter(|letter| !ORDER.contains(letter));
        let letters = ORDER.iter().copied().chain(others);
        let shown =
            letters.filter(|letter| rest.contains(Self::of(&[*letter])) && is_letter(*letter));
        let mut text: String = shown.map(char::from).collect();
        if self.contains(usual) {
            text.push('A');
        }
        f.pad(&text)
    }
}

fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'$'
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_usual_classes_have_a_letter_for_all_of_them() {
        for (said, shown) in [
            ("", ""),
            ("AKE", "KEA"),
            ("xKg$lshzetd", "KA"),
            ("gK", "Kg"),
            ("Elx", "Elx"),
            ("AKnm", "KnmA"),
            ("Kxoc", "Kxco"),
        ] {
            assert_eq!(NotifyFlags::parse(said.as_bytes()).to_string(), shown);
        }
    }

    #[test]
    fn what_is_missing_is_found() {
        let said = NotifyFlags::parse(b"Eg$");
        let needed = NotifyFlags::of_operations(b'K', [&b"set"[..], b"expired"].into_iter());
        assert_eq!(needed.to_string(), "K$x");
        assert_eq!(needed.without(said).to_string(), "Kx");
        assert_eq!(said.with(needed).to_string(), "KEg$x");
        let unknown = NotifyFlags::of_operations(b'E', [&b"set"[..], b"json.set"].into_iter());
        assert_eq!(unknown, NotifyFlags::of_usual(b'E'));
        assert_eq!(unknown.to_string(), "EA");
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_as_the_same(text in "[A-Za-z$ ]{0,30}") {
            let flags = NotifyFlags::parse(text.as_bytes());
            prop_assert_eq!(NotifyFlags::parse(flags.to_string().as_bytes()), flags);
        }
    }
}
