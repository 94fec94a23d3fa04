//! The first commands on a connection: protocol, authentication, name, database.
//!
//! All of them go out in one write. `HELLO` carries the user, the password and the name; a server or proxy
//! that does not know it is asked again in the words of RESP2.

use std::collections::VecDeque;
use std::fmt;

use crate::error::{ProtocolError, ServerError};
use crate::resp::{Reply, encode};

/// The two versions of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// Pushes are arrays, and a subscribed connection takes few commands.
    Resp2,
    /// Pushes are told from replies, and there are more types.
    Resp3,
}

/// What to ask for at the beginning of a connection.
#[derive(Clone, Default)]
pub struct HandshakeOptions {
    /// The protocol to insist on; `None`: RESP3 where the server has it, RESP2 otherwise.
    pub protocol: Option<Protocol>,
    /// The user to authenticate as; `default` if only a password is given.
    pub username: Option<String>,
    /// The password; empty if only a user is given.
    pub password: Option<String>,
    /// The name that `CLIENT LIST` shows.
    pub client_name: Option<String>,
    /// The database to select.
    pub database: u32,
    /// The library's name and version, for servers that keep them.
    pub library: Option<(&'static str, &'static str)>,
    /// Whether to read from it if it is a replica in a cluster (`READONLY`), which would send readers to its primary
    /// otherwise. Elsewhere it means nothing.
    pub read_only: bool,
}

impl fmt::Debug for HandshakeOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandshakeOptions")
            .field("protocol", &self.protocol)
            .field("username", &self.username)
            .field("password", &self.password.as_ref().map(|_| "_"))
            .field("client_name", &self.client_name)
            .field("database", &self.database)
            .finish_non_exhaustive()
    }
}

/// What the server said of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerInfo {
    /// The protocol that the connection speaks.
    pub protocol: Protocol,
    /// `redis`, `valkey` or another name, if it told.
    pub server: Option<String>,
    /// The server's version, if it told.
    pub version: Option<String>,
    /// `standalone`, `sentinel` or `cluster`, if it told.
    pub mode: Option<String>,
    /// `master` or `replica`, if it told.
    pub role: Option<String>,
}

/// Why the server does not take the connection.
#[non_exhaustive]
#[derive(Debug, Clone)]
pub enum HandshakeError {
    /// The user or the password was not accepted, or there is none and the server wants one.
    Authentication(ServerError),
    /// RESP3 was insisted on, and the server does not speak it.
    NoResp3,
    /// The database cannot be selected.
    Database(ServerError),
    /// The name of the client was not accepted.
    ClientName(ServerError),
    /// The server refuses the connection: too many clients, protected mode, …
    Refused(ServerError),
    /// What came was not the protocol.
    Protocol(ProtocolError),
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Authentication(e) if e.code() == "NOAUTH" => {
                f.write_str(
                    "the server asks for a password and none was given: write redis://:password@host or \
                     redis://user:password@host",
                )
            }
            Self::Authentication(e) => {
                write!(
                    f,
                    "the server did not accept the user or the password: {}",
                    e.message()
                )
            }
            Self::NoResp3 => f.write_str("RESP3 was asked for and the server does not speak it"),
            Self::Database(e) => write!(f, "the database cannot be selected: {}", e.message()),
            Self::ClientName(e) => write!(f, "the client name was not accepted: {}", e.message()),
            Self::Refused(e) => write!(f, "the server refuses the connection: {}", e.message()),
            Self::Protocol(_) => f.write_str("the peer does not speak the protocol"),
        }
    }
}

impl std::error::Error for HandshakeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Protocol(error) => Some(error),
            _ => None,
        }
    }
}

impl From<ProtocolError> for HandshakeError {
    fn from(error: ProtocolError) -> Self {
        Self::Protocol(error)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Hello,
    Auth,
    SetName,
    SetInfo,
    Select,
    ReadOnly,
}

/// The handshake of one connection.
///
/// [`begin`](Self::begin), then [`handle_reply`](Self::handle_reply) for each reply until it gives the
/// server's description. What either writes to `out` is to be sent.
#[derive(Debug)]
pub struct Handshake {
    options: HandshakeOptions,
    expected: VecDeque<Step>,
    info: ServerInfo,
    /// `HELLO` is not known here. What was sent behind it may have been refused for that alone.
    hello_unknown: bool,
}

impl Handshake {
    /// A handshake that has not begun.
    pub fn new(options: HandshakeOptions) -> Self {
        let info = ServerInfo {
            protocol: Protocol::Resp2,
            server: None,
            version: None,
            mode: None,
            role: None,
        };
        Self {
            options,
            expected: VecDeque::new(),
            info,
            hello_unknown: false,
        }
    }

    /// Writes the first commands.
    pub fn begin(&mut self, out: &mut Vec<u8>) {
        let wanted = self.options.protocol.unwrap_or(Protocol::Resp3);
        let mut hello: Vec<&[u8]> = vec![b"HELLO", version(wanted)];
        if let Some((user, password)) = self.credentials() {
            let user = user.unwrap_or("default");
            hello.extend([&b"AUTH"[..], user.as_bytes(), password.as_bytes()]);
        }
        if let Some(name) = &self.options.client_name {
            hello.extend([&b"SETNAME"[..], name.as_bytes()]);
        }
        command(out, &hello);
        self.expected.push_back(Step::Hello);
        if let Some((name, version)) = self.options.library {
            command(out, &[b"CLIENT", b"SETINFO", b"LIB-NAME", name.as_bytes()]);
            command(
                out,
                &[b"CLIENT", b"SETINFO", b"LIB-VER", version.as_bytes()],
            );
            self.expected.extend([Step::SetInfo, Step::SetInfo]);
        }
        self.choose(out);
    }

    /// The user, if one was named, and the password. A user that needs none takes any.
    fn credentials(&self) -> Option<(Option<&str>, &str)> {
        let user = self.options.username.as_deref();
        match self.options.password.as_deref() {
            Some(password) => Some((user, password)),
            None => user.map(|user| (Some(user), "")),
        }
    }

    fn choose(&mut self, out: &mut Vec<u8>) {
        if self.options.database != 0 {
            let mut number = itoa::Buffer::new();
            command(
                out,
                &[b"SELECT", number.format(self.options.database).as_bytes()],
            );
            self.expected.push_back(Step::Select);
        }
        if self.options.read_only {
            command(out, &[b"READONLY"]);
            self.expected.push_back(Step::ReadOnly);
        }
    }

    /// The commands of servers that do not know `HELLO`.
    fn begin_again(&mut self, out: &mut Vec<u8>) {
        if let Some((user, password)) = self.credentials() {
            match user {
                Some(user) => command(out, &[b"AUTH", user.as_bytes(), password.as_bytes()]),
                None => command(out, &[b"AUTH", password.as_bytes()]),
            }
            self.expected.push_back(Step::Auth);
        }
        if let Some(name) = &self.options.client_name {
            command(out, &[b"CLIENT", b"SETNAME", name.as_bytes()]);
            self.expected.push_back(Step::SetName);
        }
        self.choose(out);
    }

    /// Takes the next reply; gives the server's description when it was the last one.
    ///
    /// # Errors
    ///
    /// The server does not take the connection.
    pub fn handle_reply(
        &mut self,
        reply: Reply<'_>,
        out: &mut Vec<u8>,
    ) -> Result<Option<ServerInfo>, HandshakeError> {
        let Some(step) = self.expected.pop_front() else {
            return Err(ProtocolError::new("a reply before anything was asked").into());
        };
        match (step, reply) {
            (Step::Hello, Reply::Error(error)) => self.hello_refused(error.into())?,
            (Step::Hello, Reply::Map(fields) | Reply::Array(fields)) => {
                self.describe(fields)?;
                if self.options.protocol == Some(Protocol::Resp3)
                    && self.info.protocol == Protocol::Resp2
                {
                    return Err(HandshakeError::NoResp3);
                }
            }
            (Step::Hello, other) => {
                let found = other.kind_name();
                return Err(ProtocolError::new(format!("{found} as the answer to HELLO")).into());
            }
            (Step::Auth, Reply::Error(error)) => {
                return Err(HandshakeError::Authentication(error.into()));
            }
            (Step::SetName, Reply::Error(error)) => {
                return Err(HandshakeError::ClientName(error.into()));
            }
            (Step::Select, Reply::Error(error)) if !self.hello_unknown => {
                return Err(HandshakeError::Database(error.into()));
            }
            // Servers before 7.2 do not know CLIENT SETINFO, and nothing depends on it. Those that are no part of a
            // cluster refuse READONLY, and need none.
            _ => {}
        }
        if self.expected.is_empty() && std::mem::take(&mut self.hello_unknown) {
            self.begin_again(out);
        }
        Ok(self.expected.is_empty().then(|| self.info.clone()))
    }

    /// Goes on in the words of RESP2 if it was only `HELLO` that is not known.
    fn hello_refused(&mut self, error: ServerError) -> Result<(), HandshakeError> {
        match error.code() {
            "WRONGPASS" | "NOAUTH" => return Err(HandshakeError::Authentication(error)),
            "NOPROTO" => {}
            "ERR" if error.message().contains("nknown command") => {}
            "ERR" if error.message().contains("AUTH") => {
                return Err(HandshakeError::Authentication(error));
            }
            "ERR" if error.message().contains("names cannot contain") => {
                return Err(HandshakeError::ClientName(error));
            }
            // A user that may not run HELLO may still run the other commands.
            "NOPERM" => {}
            _ => return Err(HandshakeError::Refused(error)),
        }
        if self.options.protocol == Some(Protocol::Resp3) {
            return Err(HandshakeError::NoResp3);
        }
        self.hello_unknown = true;
        Ok(())
    }

    /// Reads what HELLO answered: keys and values in turn.
    fn describe(&mut self, mut fields: crate::resp::Elements<'_>) -> Result<(), ProtocolError> {
        self.info.protocol = self.options.protocol.unwrap_or(Protocol::Resp3);
        while let (Some(key), Some(value)) =
            (fields.next().transpose()?, fields.next().transpose()?)
        {
            let slot = match text(&key) {
                // A proxy may speak RESP2 whatever it was asked for.
                Some(b"proto") if matches!(value, Reply::Integer(2)) => {
                    self.info.protocol = Protocol::Resp2;
                    continue;
                }
                Some(b"server") => &mut self.info.server,
                Some(b"version") => &mut self.info.version,
                Some(b"mode") => &mut self.info.mode,
                Some(b"role") => &mut self.info.role,
                _ => continue,
            };
            *slot = text(&value).map(|text| String::from_utf8_lossy(text).into_owned());
        }
        Ok(())
    }
}

fn version(protocol: Protocol) -> &'static [u8] {
    match protocol {
        Protocol::Resp2 => b"2",
        Protocol::Resp3 => b"3",
    }
}

fn command(out: &mut Vec<u8>, args: &[&[u8]]) {
    encode::array_header(out, args.len());
    for arg in args {
        encode::bulk(out, arg);
    }
}

fn text<'a>(reply: &Reply<'a>) -> Option<&'a [u8]> {
    match reply {
        Reply::Bulk(bulk) => Some(bulk.as_slice()),
        Reply::Simple(text) => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
