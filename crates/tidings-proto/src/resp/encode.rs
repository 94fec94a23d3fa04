//! Commands on the wire: an array of bulk strings, written behind each other into one buffer.

use crate::{
    charset::Charset,
    command::CommandRef,
    convert::{ArgError, ArgWriter, Notes, ToArgs},
};

/// `*`, at least one digit, CRLF.
const HEADER: &[u8; 4] = b"*0\r\n";

const CRLF: &[u8; 2] = b"\r\n";

/// Appends commands to a buffer of the caller's, such as a pipeline's.
///
/// The buffer holds a whole command after each call: nothing needs to be finished.
///
/// ```
/// use tidings_proto::CommandWriter;
///
/// let mut buffer = Vec::new();
/// CommandWriter::new(&mut buffer, "SET").arg("seen").arg(1);
/// CommandWriter::new(&mut buffer, "GET").arg("seen");
/// assert_eq!(
///     buffer,
///     b"*3\r\n$3\r\nSET\r\n$4\r\nseen\r\n$1\r\n1\r\n*2\r\n$3\r\nGET\r\n$4\r\nseen\r\n",
/// );
/// ```
#[derive(Debug)]
pub struct CommandWriter<'b> {
    buffer: &'b mut Vec<u8>,
    header: Header,
    notes: Notes,
}

impl<'b> CommandWriter<'b> {
    /// Begins a command at the end of `buffer`.
    #[inline]
    pub fn new(buffer: &'b mut Vec<u8>, name: &str) -> Self {
        let header = Header::begin(buffer, name);
        Self {
            buffer,
            header,
            notes: Notes::default(),
        }
    }

    /// Adds one argument, or as many as there are in `args`.
    #[inline]
    pub fn arg<M>(&mut self, args: impl ToArgs<M>) -> &mut Self {
        self.header.append(self.buffer, &mut self.notes, args);
        self
    }

    /// Writes the text among the arguments in this charset, instead of UTF-8. It is the last thing to be done.
    ///
    /// # Errors
    ///
    /// As those of [`Command::in_charset`](crate::Command::in_charset). The command is still in the buffer, and not to
    /// be sent.
    #[inline]
    pub fn in_charset(&mut self, charset: Charset) -> Result<(), ArgError> {
        if self.notes.is_empty() {
            return Ok(());
        }
        let command = self.buffer.get(self.header.start..).unwrap_or_default();
        let command = CommandRef::new(command, self.header.words);
        if let Some(encoded) = in_charset(command, &self.notes, charset)? {
            self.buffer.truncate(self.header.start);
            self.buffer.extend_from_slice(&encoded);
        }
        Ok(())
    }
}

/// The command in this charset; `None` if it is in it already.
#[cold]
pub(crate) fn in_charset(
    command: CommandRef<'_>,
    notes: &Notes,
    charset: Charset,
) -> Result<Option<Vec<u8>>, ArgError> {
    if let Some(error) = notes.refused() {
        return Err(error.clone());
    }
    if charset.is_utf_8() {
        return Ok(None);
    }
    let mut texts = notes.texts().iter().peekable();
    let mut buffer = Vec::with_capacity(command.as_bytes().len());
    array_header(&mut buffer, command.len().saturating_add(1));
    let words = std::iter::once(command.name()).chain(command.args());
    for (number, word) in words.enumerate() {
        if texts.next_if_eq(&&number).is_none() {
            bulk(&mut buffer, word);
            continue;
        }
        let text = String::from_utf8_lossy(word);
        let encoded = charset.encode(&text);
        bulk(
            &mut buffer,
            &encoded.map_err(|c| ArgError::lacking(charset, c))?,
        );
    }
    Ok(Some(buffer))
}

/// Where a command's header stands in its buffer, and what it says.
///
/// The header has as many digits as its count needs, as the servers want it. Room for one digit is
/// taken at first; a count that needs another one moves the command by a byte, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    start: usize,
    words: usize,
}

impl Header {
    /// Writes a command of a name only.
    #[inline]
    pub(crate) fn begin(buffer: &mut Vec<u8>, name: &str) -> Self {
        let mut header = Self {
            start: buffer.len(),
            words: 0,
        };
        buffer.extend_from_slice(HEADER);
        bulk(buffer, name.as_bytes());
        header.set_words(buffer, 1);
        header
    }

    /// Adds words to the command, which is the last one in `buffer`.
    #[inline]
    pub(crate) fn append<M>(
        &mut self,
        buffer: &mut Vec<u8>,
        notes: &mut Notes,
        args: impl ToArgs<M>,
    ) {
        let mut writer = ArgWriter::wire(buffer, notes, self.words);
        args.write_all(&mut writer);
        let written = writer.written();
        self.set_words(buffer, self.words.saturating_add(written));
    }

    /// Words of the command, its name included.
    pub(crate) fn words(&self) -> usize {
        self.words
    }

    #[inline]
    fn set_words(&mut self, buffer: &mut Vec<u8>, words: usize) {
        self.words = words;
        if let (Ok(digit @ 0..=9), Some(place)) = (
            u8::try_from(words),
            buffer.get_mut(self.start.saturating_add(1)),
        ) {
            *place = b'0' + digit;
        } else {
            self.set_many_words(buffer, words);
        }
    }

    #[cold]
    fn set_many_words(&self, buffer: &mut Vec<u8>, words: usize) {
        let first = self.start.saturating_add(1);
        let digits = |bytes: &[u8]| {
            bytes
                .iter()
                .take_while(|byte| byte.is_ascii_digit())
                .count()
        };
        let old = buffer.get(first..).map_or(0, digits);
        let mut text = itoa::Buffer::new();
        let text = text.format(words).bytes();
        drop(buffer.splice(first..first.saturating_add(old), text));
    }
}

/// Begins a command of so many words, its name included; they follow as bulk strings.
pub(crate) fn array_header(buffer: &mut Vec<u8>, words: usize) {
    buffer.push(b'*');
    buffer.extend_from_slice(itoa::Buffer::new().format(words).as_bytes());
    buffer.extend_from_slice(b"\r\n");
}

/// Appends one bulk string.
#[inline]
pub(crate) fn bulk(buffer: &mut Vec<u8>, bytes: &[u8]) {
    match u8::try_from(bytes.len()) {
        Ok(length @ 0..=9) => buffer.extend_from_slice(&[b'$', b'0' + length, b'\r', b'\n']),
        Ok(length @ 10..=99) => {
            buffer.extend_from_slice(&[b'$', b'0' + length / 10, b'0' + length % 10, b'\r', b'\n']);
        }
        _ => {
            buffer.push(b'$');
            buffer.extend_from_slice(itoa::Buffer::new().format(bytes.len()).as_bytes());
            buffer.extend_from_slice(b"\r\n");
        }
    }
    buffer.reserve(bytes.len().saturating_add(CRLF.len()));
    buffer.extend_from_slice(bytes);
    buffer.extend_from_slice(CRLF);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::cmd;

    fn header_of(arguments: usize) -> String {
        let wire = cmd("X").arg(vec!["a"; arguments]).into_bytes();
        let end = wire.iter().position(|byte| *byte == b'\r').unwrap();
        String::from_utf8(wire[..end].to_vec()).unwrap()
    }

    #[test]
    fn the_header_has_the_digits_that_its_count_needs() {
        for words in [1, 2, 9, 10, 11, 99, 100, 101, 999, 1000, 12345] {
            assert_eq!(header_of(words - 1), format!("*{words}"));
        }
    }

    #[test]
    fn the_header_is_right_after_each_argument() {
        let mut command = cmd("X");
        let mut expected = b"$1\r\nX\r\n".to_vec();
        for words in 1..=120 {
            assert_eq!(
                command.as_bytes(),
                [format!("*{words}\r\n").as_bytes(), &expected].concat()
            );
            command = command.arg("a");
            expected.extend_from_slice(b"$1\r\na\r\n");
        }
    }

    #[test]
    fn a_long_command_in_the_middle_of_a_buffer_moves_only_itself() {
        let mut buffer = b"+before\r\n".to_vec();
        CommandWriter::new(&mut buffer, "DEL").arg(0..20);
        CommandWriter::new(&mut buffer, "PING");
        let mut expected = b"+before\r\n".to_vec();
        expected.extend_from_slice(cmd("DEL").arg(0..20).as_bytes());
        expected.extend_from_slice(b"*1\r\n$4\r\nPING\r\n");
        assert_eq!(buffer, expected);
    }

    #[test]
    fn lengths_of_one_two_and_many_digits_are_written() {
        for length in [0_usize, 1, 9, 10, 99, 100, 255, 256, 70000] {
            let mut buffer = Vec::new();
            bulk(&mut buffer, &vec![b'x'; length]);
            let expected = format!("${length}\r\n{}\r\n", "x".repeat(length));
            assert_eq!(buffer, expected.as_bytes());
        }
    }
}
