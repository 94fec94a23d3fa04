//! What there is to say of a command's arguments before it is sent.

use std::fmt;

use crate::charset::Charset;

/// Why an argument cannot be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArgError(String);

impl ArgError {
    #[cold]
    pub(crate) fn new(why: impl fmt::Display) -> Self {
        Self(why.to_string())
    }

    #[cold]
    pub(crate) fn lacking(charset: Charset, c: char) -> Self {
        Self(format!(
            "the charset {} has no character {c:?}",
            charset.name()
        ))
    }
}

impl fmt::Display for ArgError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ArgError {}

/// Notes on the words of one command. Of nearly all there are none, which is one word and no allocation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Notes(Option<Box<Taken>>);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Taken {
    /// An argument that wrote itself as an error.
    refused: Option<ArgError>,
    /// Which words are text that differs from charset to charset.
    texts: Vec<usize>,
}

impl Notes {
    #[cold]
    pub(crate) fn refuse(&mut self, error: ArgError) {
        let taken = self.0.get_or_insert_default();
        taken.refused.get_or_insert(error);
    }

    /// Notes that a word is text. Only what is not ASCII is another text in another charset.
    #[inline]
    pub(crate) fn text(&mut self, word: usize, text: &str) {
        if cfg!(feature = "charset") && !text.is_ascii() {
            self.0.get_or_insert_default().texts.push(word);
        }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    pub(crate) fn refused(&self) -> Option<&ArgError> {
        self.0.as_ref()?.refused.as_ref()
    }

    /// Which words are text and not ASCII, in ascending order.
    pub(crate) fn texts(&self) -> &[usize] {
        self.0.as_ref().map_or(&[], |taken| &taken.texts)
    }
}
