//! A command that somebody else holds: one of a pipeline's, or a [`Command`](super::Command).

use std::{fmt, iter::FusedIterator};

use super::{
    Blocking, ConnectionChange, Keys, blocking, change, display,
    keys::{self, Place},
    lookup,
};

const CRLF: &[u8; 2] = b"\r\n";

/// A borrowed command, such as one of those that a [`CommandWriter`](crate::CommandWriter) wrote
/// behind each other.
///
/// `Debug` and `Display` are those of a [`Command`](crate::Command): bounded, and without passwords.
///
/// ```
/// use tidings_proto::{CommandRef, CommandWriter};
///
/// let mut buffer = Vec::new();
/// CommandWriter::new(&mut buffer, "SET").arg("seen").arg(1);
/// CommandWriter::new(&mut buffer, "GET").arg("seen");
///
/// let (first, rest) = CommandRef::split_first(&buffer).unwrap();
/// assert_eq!(first.to_string(), "SET seen 1");
/// let (second, rest) = CommandRef::split_first(rest).unwrap();
/// assert_eq!(second.name(), b"GET");
/// assert!(CommandRef::split_first(rest).is_none());
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CommandRef<'a> {
    /// From the header to the last word's end, and nothing behind it.
    bytes: &'a [u8],
    words: usize,
}

impl<'a> CommandRef<'a> {
    /// `bytes` are one command that this crate wrote.
    #[inline]
    pub(crate) fn new(bytes: &'a [u8], words: usize) -> Self {
        Self { bytes, words }
    }

    /// Cuts the first command off a buffer of encoded commands; what follows it comes second.
    ///
    /// `None` if the buffer is empty, or does not begin with a whole command. It takes time linear
    /// in the command's words, not in their bytes.
    pub fn split_first(buffer: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (words, body) = header(buffer, b'*')?;
        words.checked_sub(1)?;
        let mut rest = body;
        for _ in 0..words {
            (_, rest) = bulk(rest)?;
        }
        let length = buffer.len().checked_sub(rest.len())?;
        let command = Self::new(buffer.get(..length)?, words);
        Some((command, rest))
    }

    /// The command's name, as it was given.
    #[inline]
    pub fn name(self) -> &'a [u8] {
        self.words().next().unwrap_or_default()
    }

    /// The arguments after the name.
    #[inline]
    pub fn args(self) -> Args<'a> {
        let mut words = self.words();
        words.next();
        words
    }

    /// The keys among the arguments, in their order.
    ///
    /// As the server's `COMMAND GETKEYS` has them, and also what says in which slot of a cluster a
    /// command belongs without being a key: the channels of `SPUBLISH`, `SSUBSCRIBE` and
    /// `SUNSUBSCRIBE`, and the cursor of `CLUSTERSCAN`.
    ///
    /// Commands that this crate [does not know](Self::is_known) have none, nor have those that the server would
    /// refuse for a number of keys that cannot be.
    ///
    /// ```
    /// use tidings_proto::cmd;
    ///
    /// let command = cmd("ZUNIONSTORE").arg(["sum", "2", "a", "b", "WEIGHTS", "1", "2"]);
    /// assert!(command.keys().eq([&b"sum"[..], b"a", b"b"]));
    /// ```
    pub fn keys(self) -> Keys<'a> {
        keys::keys(self)
    }

    /// Whether its name is one of Redis or Valkey themselves. Of those of modules, and of newer
    /// ones, this crate does not know where their keys are or what they do.
    pub fn is_known(self) -> bool {
        lookup::find(self.name()).is_some()
    }

    /// Whether the server flags it as one that only reads, and so lets it run on a replica.
    ///
    /// `false` for commands that have to do with the server and not with its data, such as `PING`,
    /// and for those that this crate does not know.
    pub fn is_read_only(self) -> bool {
        let Some(row) = lookup::find(self.name()) else {
            return false;
        };
        row.reads
            && match row.keys {
                Place::After(subcommands) => self.has_subcommand(subcommands),
                _ => true,
            }
    }

    /// For how long it keeps its connection waiting, and all commands behind it; `None` if it does
    /// not. Within a transaction nothing waits.
    ///
    /// A timeout that cannot be read counts as [`Blocking::Forever`].
    ///
    /// ```
    /// use std::time::Duration;
    /// use tidings_proto::{Blocking, cmd};
    ///
    /// let blocks = cmd("BLPOP").arg("list").arg(0.5).blocks();
    /// assert_eq!(blocks, Some(Blocking::For(Duration::from_millis(500))));
    /// assert_eq!(cmd("XREAD").arg(["STREAMS", "s", "0"]).blocks(), None);
    /// ```
    #[inline]
    pub fn blocks(self) -> Option<Blocking> {
        blocking::blocks(self)
    }

    /// What it changes for the commands that follow on its connection, if it does: why it must not
    /// run on one that others share.
    pub fn changes_connection(self) -> Option<ConnectionChange> {
        change::changes_connection(self)
    }

    /// Whether this is its name, which is in capitals.
    pub(crate) fn is_named(self, name: &str) -> bool {
        lookup::is(self.name(), name)
    }

    /// Whether its first argument is one of these words, which are in capitals.
    pub(crate) fn has_subcommand(self, subcommands: &[&str]) -> bool {
        self.args()
            .next()
            .is_some_and(|word| subcommands.iter().any(|name| lookup::is(word, name)))
    }

    /// How many arguments there are, the name not counted.
    pub fn len(self) -> usize {
        self.words.saturating_sub(1)
    }

    /// Whether there is nothing but the name.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// What goes over the wire.
    #[inline]
    pub fn as_bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// Name and arguments.
    #[inline]
    pub(super) fn words(self) -> Args<'a> {
        Args {
            rest: header(self.bytes, b'*').map_or(&[], |(_, body)| body),
            remaining: self.words,
        }
    }
}

impl fmt::Display for CommandRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        display::show(*self, f)
    }
}

impl fmt::Debug for CommandRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CommandRef({self})")
    }
}

/// The arguments of a command.
#[derive(Clone, Debug)]
pub struct Args<'c> {
    /// Bulk strings, `remaining` of them.
    rest: &'c [u8],
    remaining: usize,
}

impl Args<'_> {
    /// What is left without the first `count`.
    pub(super) fn skip_words(mut self, count: usize) -> Self {
        for _ in 0..count {
            self.next();
        }
        self
    }
}

impl<'c> Iterator for Args<'c> {
    type Item = &'c [u8];

    #[inline]
    fn next(&mut self) -> Option<&'c [u8]> {
        self.remaining = self.remaining.checked_sub(1)?;
        let (word, rest) = bulk(self.rest)?;
        self.rest = rest;
        Some(word)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.remaining, Some(self.remaining))
    }
}

impl ExactSizeIterator for Args<'_> {}
impl FusedIterator for Args<'_> {}

/// Reads one bulk string; what follows it comes second.
#[inline]
fn bulk(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, body) = header(bytes, b'$')?;
    let (word, rest) = body.split_at_checked(length)?;
    Some((word, rest.strip_prefix(CRLF)?))
}

/// Reads `kind`, a number and CRLF; what follows them comes second.
#[inline]
fn header(bytes: &[u8], kind: u8) -> Option<(usize, &[u8])> {
    let (first, digits) = bytes.split_first()?;
    if *first != kind {
        return None;
    }
    let mut rest = digits;
    let mut number = 0_usize;
    while let Some((digit @ b'0'..=b'9', tail)) = rest.split_first() {
        number = number
            .checked_mul(10)?
            .checked_add(usize::from(digit - b'0'))?;
        rest = tail;
    }
    if rest.len() == digits.len() {
        return None;
    }
    Some((number, rest.strip_prefix(CRLF)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CommandWriter, cmd};

    #[test]
    fn a_command_and_its_view_are_the_same() {
        let command = cmd("SET").arg(b"a\r\nb").arg("").arg(0..20);
        let view = command.view();
        assert_eq!(view.as_bytes(), command.as_bytes());
        assert_eq!(view.len(), 22);
        assert!(!view.is_empty());
        assert_eq!(view.to_string(), command.to_string());
        assert_eq!(format!("{view:?}"), format!("CommandRef({command})"));
        assert_eq!(
            CommandRef::split_first(command.as_bytes()),
            Some((view, &[][..]))
        );
    }

    #[test]
    fn a_buffer_comes_apart_into_its_commands() {
        let mut buffer = Vec::new();
        CommandWriter::new(&mut buffer, "SET").arg("*1\r\n").arg("");
        CommandWriter::new(&mut buffer, "PING");
        CommandWriter::new(&mut buffer, "DEL").arg(vec!["k"; 12]);
        CommandWriter::new(&mut buffer, "AUTH").arg("secret");
        let mut rest = &buffer[..];
        let mut shown = Vec::new();
        while let Some((command, tail)) = CommandRef::split_first(rest) {
            shown.push(command.to_string());
            rest = tail;
        }
        assert_eq!(rest, b"");
        assert_eq!(
            shown,
            [
                r#"SET "*1\r\n" """#,
                "PING",
                "DEL k k k k k k k k k k k k",
                "AUTH _"
            ]
        );
    }

    #[test]
    fn what_is_no_whole_command_is_none() {
        let whole = cmd("SET").arg("key").arg("value").into_bytes();
        for end in 0..whole.len() {
            assert_eq!(CommandRef::split_first(&whole[..end]), None, "{end}");
        }
        for broken in [
            "*0\r\n",
            "*-1\r\n",
            "*1\r\n$\r\n\r\n",
            "*\n",
            "PING\r\n",
            "*1\r\n+PING\r\n",
            "*1\r\n$-1\r\n",
            "*1\r\n$4\r\nPING!!",
            "*99999999999999999999999\r\n",
            "*1\r\n$18446744073709551615\r\nPING\r\n",
        ] {
            assert_eq!(
                CommandRef::split_first(broken.as_bytes()),
                None,
                "{broken:?}"
            );
        }
    }
}
