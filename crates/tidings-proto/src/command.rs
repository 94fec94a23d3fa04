//! A command is its wire bytes.

mod blocking;
mod change;
mod display;
mod keys;
mod lookup;
mod streams;
mod table;
mod view;

use std::fmt;

pub use blocking::{Blocking, may_block};
pub use change::ConnectionChange;
pub use keys::Keys;
pub use view::{Args, CommandRef};

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

    /// The same command, borrowed.
    #[inline]
    pub fn view(&self) -> CommandRef<'_> {
        CommandRef::new(&self.buffer, self.header.words())
    }

    /// The command's name, as it was given.
    pub fn name(&self) -> &[u8] {
        self.view().name()
    }

    /// The arguments after the name.
    pub fn args(&self) -> Args<'_> {
        self.view().args()
    }

    /// The keys among the arguments. See [`CommandRef::keys`].
    pub fn keys(&self) -> Keys<'_> {
        self.view().keys()
    }

    /// Whether its name is one that this crate knows. See [`CommandRef::is_known`].
    pub fn is_known(&self) -> bool {
        self.view().is_known()
    }

    /// Whether the server lets it run on a replica. See [`CommandRef::is_read_only`].
    pub fn is_read_only(&self) -> bool {
        self.view().is_read_only()
    }

    /// For how long it keeps its connection waiting, if it does. See [`CommandRef::blocks`].
    #[inline]
    pub fn blocks(&self) -> Option<Blocking> {
        self.view().blocks()
    }

    /// What it changes for those who share its connection. See
    /// [`CommandRef::changes_connection`].
    #[inline]
    pub fn changes_connection(&self) -> Option<ConnectionChange> {
        self.view().changes_connection()
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
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.view(), f)
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Command({self})")
    }
}

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
