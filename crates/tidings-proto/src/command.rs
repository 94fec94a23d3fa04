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

use crate::{
    charset::Charset,
    convert::{Arg, ArgError, Notes, ToArgs},
    resp::encode::{Header, in_charset},
};

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
    Command {
        buffer,
        header,
        notes: Notes::default(),
    }
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
    notes: Notes,
}

impl Command {
    /// Adds one argument, or as many as `args` has: numbers, text, bytes, arrays, iterators,
    /// options, pairs. See [`ToArgs`].
    #[inline]
    pub fn arg<M>(mut self, args: impl ToArgs<M>) -> Self {
        self.header.append(&mut self.buffer, &mut self.notes, args);
        self
    }

    /// The command as it is to be sent: with the text among its arguments in this charset, instead of UTF-8.
    /// Arguments that were given as bytes stay as they are.
    ///
    /// # Errors
    ///
    /// A character that the charset does not have; or an argument that [refused](crate::ArgWriter::refuse) to be
    /// written.
    #[inline]
    pub fn in_charset(self, charset: Charset) -> Result<Self, ArgError> {
        if self.notes.is_empty() {
            return Ok(self);
        }
        self.encoded_in(charset)
    }

    #[cold]
    fn encoded_in(mut self, charset: Charset) -> Result<Self, ArgError> {
        if let Some(buffer) = in_charset(self.view(), &self.notes, charset)? {
            self.buffer = buffer;
            self.notes = Notes::default();
        }
        Ok(self)
    }

    /// The arguments, each on its own, which still know whether they are text.
    pub fn owned_args(&self) -> Vec<Arg> {
        let texts = self.notes.texts();
        let mut args: Vec<Arg> = Vec::with_capacity(self.len());
        for (number, bytes) in self.args().enumerate() {
            let text = std::str::from_utf8(bytes);
            args.push(match text {
                Ok(text) if texts.contains(&number.saturating_add(1)) => Arg::text(text),
                _ => Arg::bytes(bytes.into()),
            });
        }
        args
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

    /// Writes itself as an error.
    struct Unwritable;

    impl crate::convert::ToArg for Unwritable {
        fn write_to(&self, writer: &mut crate::convert::ArgWriter<'_>) {
            writer.refuse("it cannot be written");
        }
    }

    #[test]
    fn an_argument_that_refuses_to_be_written_refuses_the_command() {
        let command = cmd("SET").arg("a").arg(Unwritable).arg("b");
        assert_eq!(command.len(), 3);
        let error = command.in_charset(Charset::UTF_8).unwrap_err();
        assert_eq!(error.to_string(), "it cannot be written");
        let kept = [Unwritable].collect_args();
        let error = cmd("GET").arg(&kept).in_charset(Charset::UTF_8);
        assert_eq!(error.unwrap_err().to_string(), "it cannot be written");
        assert!(kept[0].encode(Charset::UTF_8).is_err());
        let mut buffer = Vec::new();
        let mut writer = crate::resp::CommandWriter::new(&mut buffer, "SET");
        assert!(writer.arg(Unwritable).in_charset(Charset::UTF_8).is_err());
    }

    #[cfg(feature = "charset")]
    #[test]
    fn text_is_sent_in_the_charset_and_bytes_as_they_are() {
        use crate::resp::{CommandWriter, Reply};

        let latin1 = Charset::for_label("iso-8859-1").unwrap();
        let kept = ["ö"].collect_args();
        let build = || {
            let bytes = "ü".as_bytes();
            cmd("SET").arg("ü").arg(bytes).arg(&kept).arg(["a", "ß"])
        };
        let expected = cmd("SET").arg(b"\xfc").arg("ü".as_bytes()).arg(b"\xf6");
        let expected = expected.arg("a").arg(b"\xdf");
        let encoded = build().in_charset(latin1).unwrap();
        assert_eq!(encoded.as_bytes(), expected.as_bytes());
        assert_eq!(encoded.args().len(), 5);
        assert_eq!(build().in_charset(Charset::UTF_8), Ok(build()));

        let mut again = cmd("SET");
        for arg in build().owned_args() {
            again = again.arg(arg);
        }
        assert_eq!(again, build());

        let mut buffer = b"before".to_vec();
        let mut writer = CommandWriter::new(&mut buffer, "SET");
        writer
            .arg("ü")
            .arg("ü".as_bytes())
            .arg(kept)
            .arg(["a", "ß"]);
        writer.in_charset(latin1).unwrap();
        assert_eq!(buffer, [b"before", expected.as_bytes()].concat());

        let error = cmd("GET").arg("a€").in_charset(latin1).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the charset ISO-8859-1 has no character '€'"
        );

        let reply = b"*2\r\n$1\r\n\xfc\r\n%1\r\n$1\r\na\r\n=5\r\ntxt:\xdf\r\n";
        let reply = Reply::parse(reply).unwrap().in_charset(latin1);
        let (text, map): (String, std::collections::BTreeMap<String, String>) =
            crate::FromReply::from_reply(reply).unwrap();
        assert_eq!((text.as_str(), map["a"].as_str()), ("ü", "ß"));
    }

    #[test]
    fn no_argument_leaves_the_command_as_it_was() {
        assert_eq!(cmd("PING").arg(None::<&str>), cmd("PING"));
        assert!(cmd("PING").is_empty());
        assert_eq!(cmd("PING").args().next(), None);
    }
}
