//! A connection for what tests do beside the client they test: a few lines of RESP2, written apart
//! from the client's own, so that one cannot hide the other's mistake.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// What a server answered to an administrative command.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "RESP2 has these and no others")]
pub enum AdminReply {
    /// A null string or a null array.
    Nil,
    /// A simple string, such as `OK`.
    Status(String),
    /// An error, such as `ERR unknown command`, without its minus sign.
    Error(String),
    /// An integer.
    Integer(i64),
    /// A string.
    Bulk(Vec<u8>),
    /// An array.
    Array(Vec<Self>),
}

impl AdminReply {
    /// The number, from an integer or from a string that is one.
    #[must_use]
    pub fn integer(&self) -> Option<i64> {
        match self {
            Self::Integer(number) => Some(*number),
            Self::Bulk(_) | Self::Status(_) => self.text()?.trim().parse().ok(),
            _ => None,
        }
    }

    /// The text of a string or status.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Status(text) => Some(text),
            Self::Bulk(bytes) => std::str::from_utf8(bytes).ok(),
            _ => None,
        }
    }

    /// The elements of an array; of anything else, none.
    #[must_use]
    pub fn elements(&self) -> &[Self] {
        match self {
            Self::Array(elements) => elements,
            _ => &[],
        }
    }

    /// Whether it is an error.
    #[must_use]
    pub fn is_error(&self) -> bool {
        matches!(self, Self::Error(_))
    }
}

/// As `redis-cli` prints to a pipe: an element a line.
impl fmt::Display for AdminReply {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nil => Ok(()),
            Self::Status(text) => out.write_str(text),
            Self::Error(text) => write!(out, "(error) {text}"),
            Self::Integer(number) => write!(out, "{number}"),
            Self::Bulk(bytes) => out.write_str(&String::from_utf8_lossy(bytes)),
            Self::Array(elements) => {
                for (index, element) in elements.iter().enumerate() {
                    write!(out, "{}{element}", if index == 0 { "" } else { "\n" })?;
                }
                Ok(())
            }
        }
    }
}

/// Who an administrative connection says it is.
#[derive(Clone, Default)]
pub(crate) struct Credentials {
    pub(crate) user: Option<String>,
    pub(crate) password: Option<String>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Credentials")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// One RESP2 connection that asks and waits.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
}

/// Longer than any answer takes from a server that runs; a stopped one should fail a test in time.
const TIMEOUT: Duration = Duration::from_secs(10);

impl Connection {
    /// Connects and, if there is a password, authenticates. Refused credentials are an error of
    /// kind `PermissionDenied`.
    pub(crate) fn open(address: SocketAddr, credentials: &Credentials) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        let mut connection = Self {
            stream: BufReader::new(stream),
        };
        if let Some(password) = &credentials.password {
            let mut auth: Vec<&str> = vec!["AUTH"];
            auth.extend(credentials.user.as_deref());
            auth.push(password);
            if let AdminReply::Error(text) = connection.ask(auth)? {
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
            }
        }
        Ok(connection)
    }

    /// Waits for answers as long as it takes, from now on.
    pub(crate) fn wait_for_ever(&self) -> io::Result<()> {
        self.stream.get_ref().set_read_timeout(None)
    }

    /// A second handle, to shut the connection down from another thread.
    pub(crate) fn handle(&self) -> io::Result<TcpStream> {
        self.stream.get_ref().try_clone()
    }

    /// Whether the server has closed its end meanwhile.
    pub(crate) fn is_stale(&self) -> bool {
        let stream = self.stream.get_ref();
        if stream.set_nonblocking(true).is_err() {
            return true;
        }
        let open = matches!(stream.peek(&mut [0]), Err(error) if error.kind() == io::ErrorKind::WouldBlock);
        stream.set_nonblocking(false).is_err() || !open
    }

    /// Sends one command and waits for its reply; an error reply is a reply.
    pub(crate) fn ask<A: AsRef<[u8]>>(
        &mut self,
        command: impl IntoIterator<Item = A>,
    ) -> io::Result<AdminReply> {
        self.stream.get_mut().write_all(&encode(command))?;
        self.read_reply()
    }

    /// The same for several commands in one write, which the server runs in one go.
    pub(crate) fn ask_all<A: AsRef<[u8]>>(
        &mut self,
        commands: impl IntoIterator<Item = impl IntoIterator<Item = A>>,
    ) -> io::Result<Vec<AdminReply>> {
        let encoded: Vec<Vec<u8>> = commands.into_iter().map(encode).collect();
        self.stream.get_mut().write_all(&encoded.concat())?;
        encoded.iter().map(|_| self.read_reply()).collect()
    }

    fn read_reply(&mut self) -> io::Result<AdminReply> {
        let line = self.read_line()?;
        let (kind, rest) = line.split_at_checked(1).ok_or_else(|| broken(&line))?;
        let number = || rest.parse::<i64>().map_err(|_| broken(&line));
        Ok(match kind {
            "+" => AdminReply::Status(rest.to_owned()),
            "-" => AdminReply::Error(rest.to_owned()),
            ":" => AdminReply::Integer(number()?),
            "$" => match u64::try_from(number()?) {
                Err(_) => AdminReply::Nil,
                Ok(length) => AdminReply::Bulk(self.read_bulk(length)?),
            },
            "*" => match u64::try_from(number()?) {
                Err(_) => AdminReply::Nil,
                Ok(length) => {
                    let elements = (0..length).map(|_| self.read_reply());
                    AdminReply::Array(elements.collect::<io::Result<_>>()?)
                }
            },
            _ => return Err(broken(&line)),
        })
    }

    fn read_bulk(&mut self, length: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let read = (&mut self.stream)
            .take(length + 2)
            .read_to_end(&mut bytes)?;
        if read as u64 != length + 2 || !bytes.ends_with(b"\r\n") {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        bytes.truncate(bytes.len() - 2);
        Ok(bytes)
    }

    fn read_line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line)?;
        match line.strip_suffix(b"\r\n") {
            Some(line) => Ok(String::from_utf8_lossy(line).into_owned()),
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

fn broken(line: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("not a RESP2 reply: {line:?}"),
    )
}

fn encode<A: AsRef<[u8]>>(command: impl IntoIterator<Item = A>) -> Vec<u8> {
    let mut body = Vec::new();
    let mut count = 0;
    for argument in command {
        let argument = argument.as_ref();
        body.extend_from_slice(format!("${}\r\n", argument.len()).as_bytes());
        body.extend_from_slice(argument);
        body.extend_from_slice(b"\r\n");
        count += 1;
    }
    let mut frame = format!("*{count}\r\n").into_bytes();
    frame.append(&mut body);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_an_array_of_bulk_strings() {
        assert_eq!(encode(["GET", "k"]), b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n");
    }

    #[test]
    fn replies_print_as_redis_cli_prints_them() {
        let array = AdminReply::Array(vec![
            AdminReply::Bulk(b"news".to_vec()),
            AdminReply::Integer(2),
        ]);
        assert_eq!(array.to_string(), "news\n2");
        assert_eq!(array.elements()[1].integer(), Some(2));
        assert_eq!(AdminReply::Nil.to_string(), "");
    }
}
