//! A command is its wire bytes.

mod display;

use std::{fmt, iter::FusedIterator};

use crate::{convert::ToArgs, resp::encode::Header};

/// Room for a command of short words: most are never moved while they are built.
const FIRST_CAPACITY: usize = 128;

/// Begins a command. Words after the first one are arguments: `cmd("CONFIG").arg("GET")`.
///
/// ```
/// use tidings_proto::cmd;
///
/// let command = cmd("SET").arg("bing").arg("baz");
/// assert_eq!(command.as_bytes(), b"*3\r\n$3\r\nSET\r\n$4\r\nbing\r\n$3\r\nbaz\r\n");
/// assert_eq!(command.to_string(), "SET bing baz");
/// ```
#[inline]
pub fn cmd(name: &str) -> Command {
    let mut buffer = Vec::with_capacity(FIRST_CAPACITY);
    let header = Header::begin(&mut buffer, name);
    Command { buffer, header }
}

/// A command with its arguments, encoded: what goes to the server as it stands.
///
/// `Debug` and `Display` show name and arguments, escaped, cut at 100 characters, and with `_` in
/// the place of passwords.
#[derive(Clone, PartialEq, Eq)]
#[must_use = "a command does nothing until it is sent"]
pub struct Command {
    buffer: Vec<u8>,
    header: Header,
}

impl Command {
    /// Adds one argument, or as many as `args` has: numbers, text, bytes, arrays, iterators,
    /// options, pairs. See [`ToArgs`].
    #[inline]
    pub fn arg<M>(mut self, args: impl ToArgs<M>) -> Self {
        self.header.append(&mut self.buffer, args);
        self
    }

    /// The command's name, as it was given.
    pub fn name(&self) -> &[u8] {
        self.words().next().unwrap_or_default()
    }

    /// The arguments after the name.
    pub fn args(&self) -> Args<'_> {
        let mut words = self.words();
        words.next();
        words
    }

    /// How many arguments there are, the name not counted.
    pub fn len(&self) -> usize {
        self.header.words().saturating_sub(1)
    }

    /// Whether there is nothing but the name.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What goes over the wire.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        &self.buffer
    }

    /// What goes over the wire, taken out.
    #[inline]
    pub fn into_bytes(self) -> Vec<u8> {
        self.buffer
    }

    fn words(&self) -> Args<'_> {
        let body = self
            .buffer
            .iter()
            .position(|byte| *byte == b'\n')
            .map_or(0, |lf| lf + 1);
        Args {
            rest: self.buffer.get(body..).unwrap_or_default(),
            remaining: self.header.words(),
        }
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        display::show(self, f)
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Command({self})")
    }
}

/// The arguments of a [`Command`].
#[derive(Clone, Debug)]
pub struct Args<'c> {
    /// Bulk strings that this crate wrote itself.
    rest: &'c [u8],
    remaining: usize,
}

impl<'c> Args<'c> {
    fn read(&mut self) -> Option<&'c [u8]> {
        let (mut length, mut start) = (0_usize, 1_usize);
        for byte in self
            .rest
            .get(1..)?
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
        {
            length = length
                .checked_mul(10)?
                .checked_add(usize::from(byte.wrapping_sub(b'0')))?;
            start = start.checked_add(1)?;
        }
        let start = start.checked_add(2)?;
        let end = start.checked_add(length)?;
        let word = self.rest.get(start..end)?;
        self.rest = self.rest.get(end.checked_add(2)?..)?;
        Some(word)
    }
}

impl<'c> Iterator for Args<'c> {
    type Item = &'c [u8];

    fn next(&mut self) -> Option<&'c [u8]> {
        self.remaining = self.remaining.checked_sub(1)?;
        self.read()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.remaining, Some(self.remaining))
    }
}

impl ExactSizeIterator for Args<'_> {}
impl FusedIterator for Args<'_> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_come_out_as_they_went_in() {
        let command = cmd("SET").arg(b"a\r\nb").arg("").arg(vec![b'x'; 300]);
        assert_eq!(command.name(), b"SET");
        assert_eq!(command.len(), 3);
        assert_eq!(command.args().len(), 3);
        assert_eq!(
            command.args().collect::<Vec<_>>(),
            [&b"a\r\nb"[..], b"", &[b'x'; 300]]
        );
    }

    #[test]
    fn no_argument_leaves_the_command_as_it_was() {
        assert_eq!(cmd("PING").arg(None::<&str>), cmd("PING"));
        assert!(cmd("PING").is_empty());
        assert_eq!(cmd("PING").args().next(), None);
    }
}
