//! The one error type of the crate: cheap to clone, and it says whose fault it was.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use tidings_proto::cluster::Address;
use tidings_proto::{ArgError, ServerError};

use crate::pubsub::{Gap, Message};

/// What [`Client`](crate::Client) calls and streams give back.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something did not work.
///
/// One word wide and cheap to clone. [`kind`](Error::kind) says whose fault it was. `{}` prints this error alone,
/// [`source`](StdError::source) is the one below it, and `{:#}` prints all of them in one line. No password ever
/// shows in it.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let error = tidings::Client::connect("redis://127.0.0.1:1").await.unwrap_err();
/// eprintln!("{error:#}"); // … could not be reached: … : connection refused
/// # use std::error::Error;
/// # let below = error.source().expect("why");
/// # let text = format!("{error:#}");
/// # assert!(text.starts_with(&format!("{error}: {below}")), "{text}");
/// # });
/// ```
#[derive(Clone)]
pub struct Error(Arc<Inner>);

struct Inner {
    kind: ErrorKind,
    message: Cow<'static, str>,
    source: Option<Box<dyn StdError + Send + Sync>>,
    server: Option<ServerError>,
    may_have_run: bool,
    raw: Option<Bytes>,
    raw_message: Option<Message>,
    command: Option<usize>,
    gap: Option<Gap>,
    node: Option<Address>,
}

/// Whose fault an [`Error`] is.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The server answered with an error; [`Error::code`] is its first word.
    Server,
    /// What came from the peer was not the protocol. The connection is given up and made again.
    Protocol,
    /// No connection could be made, or it was lost; see [`Error::may_have_run`].
    Connection,
    /// The server did not accept the user or the password.
    Authentication,
    /// Something took longer than the time it was given; see [`Error::may_have_run`].
    Timeout,
    /// The reply is not of the type that was asked for, a payload could not be decoded, or a line of a
    /// [`Monitor`](crate::Monitor) could not be read.
    Decode,
    /// A URL or another setting is wrong.
    Config,
    /// A watched key has changed, or the connection was lost while keys were watched.
    Watch,
    /// A call that cannot be right, refused before anything was sent.
    Misuse,
    /// A handler returned an error or panicked.
    Handler,
    /// The subscriber or the client has come to its end, after [`drain`](crate::PubSub::drain) for instance, or
    /// with its runtime. Using what was [closed](crate::PubSub::close) is a [`Misuse`](Self::Misuse).
    Closed,
    /// A full queue ended the subscriber, as [`Overflow::Close`](crate::Overflow::Close) asked for, or dropped
    /// commands of a [`Monitor`](crate::Monitor), which goes on.
    Overflow,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Arc::new(Inner {
            kind,
            message: message.into(),
            source: None,
            server: None,
            may_have_run: false,
            raw: None,
            raw_message: None,
            command: None,
            gap: None,
            node: None,
        }))
    }

    pub(crate) fn config(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Config, message)
    }

    pub(crate) fn misuse(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Misuse, message)
    }

    pub(crate) fn connection(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Connection, message)
    }

    pub(crate) fn timeout(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Timeout, message)
    }

    pub(crate) fn closed(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Closed, message)
    }

    pub(crate) fn watch(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Watch, message)
    }

    /// This error, as that of one command of a pipeline: its number, and what it looks like.
    pub(crate) fn of_command(self, number: usize, text: impl fmt::Display, how: &str) -> Self {
        let message = format!("command {number} ({text}) {how}: {self}");
        let mut error = Self::new(self.kind(), message).with_may_have_run(self.may_have_run());
        let inner = error.inner_mut();
        inner.server = self.0.server.clone();
        inner.command = Some(number);
        // What is below it, such as where a connection was lost.
        let below = self.source().and_then(|below| below.downcast_ref::<Self>());
        match below {
            Some(below) => error.with_source(below.clone()),
            None => error,
        }
    }

    pub(crate) fn with_source(
        mut self,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        self.inner_mut().source = Some(source.into());
        self
    }

    pub(crate) fn with_server(mut self, server: ServerError) -> Self {
        self.inner_mut().server = Some(server);
        self
    }

    pub(crate) fn with_raw(mut self, raw: Bytes) -> Self {
        self.inner_mut().raw = Some(raw);
        self
    }

    pub(crate) fn with_raw_message(mut self, raw: Message) -> Self {
        self.inner_mut().raw_message = Some(raw);
        self
    }

    pub(crate) fn with_gap(mut self, gap: Gap) -> Self {
        self.inner_mut().gap = Some(gap);
        self
    }

    pub(crate) fn at_node(mut self, node: Address) -> Self {
        self.inner_mut().node = Some(node);
        self
    }

    pub(crate) fn with_may_have_run(mut self, may_have_run: bool) -> Self {
        self.inner_mut().may_have_run = may_have_run;
        self
    }

    fn inner_mut(&mut self) -> &mut Inner {
        Arc::get_mut(&mut self.0).expect("an error is completed before it is shared")
    }

    /// Whose fault it was.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The first word of the server's error reply (`NOPERM`, `WRONGTYPE`, `MOVED`, …), if it was one.
    pub fn code(&self) -> Option<&str> {
        self.0.server.as_ref().map(ServerError::code)
    }

    /// The server's error reply, if it was one.
    pub fn server_error(&self) -> Option<&ServerError> {
        self.0.server.as_ref()
    }

    /// Whether the command that failed may nevertheless have run on the server.
    ///
    /// `false` means that it certainly did not: sending it again is safe.
    pub fn may_have_run(&self) -> bool {
        self.0.may_have_run
    }

    /// The number of the command that failed, from 1, if it was one of a pipeline.
    pub fn command_number(&self) -> Option<usize> {
        self.0.command
    }

    /// The payload that could not be decoded, as it came; of a [`Monitor`](crate::Monitor), the line that could not
    /// be read.
    pub fn raw_payload(&self) -> Option<&Bytes> {
        let message = self.0.raw_message.as_ref().map(Message::payload);
        message.or(self.0.raw.as_ref())
    }

    /// The message whose payload could not be decoded, as it came: with its channel, the pattern that it came for, and
    /// the [raw payload](Self::raw_payload).
    pub fn raw_message(&self) -> Option<&Message> {
        self.0.raw_message.as_ref()
    }

    /// What is missing in the place of a stream where this error stands, if anything is: of a
    /// [`Monitor`](crate::Monitor), whose connection was lost or whose queue was full, or of a
    /// [`ClusterMonitor`](crate::ClusterMonitor).
    pub fn gap(&self) -> Option<&Gap> {
        self.0.gap.as_ref()
    }

    /// The node that it is about, in a stream of what many nodes of a cluster show: a
    /// [`ClusterMonitor`](crate::ClusterMonitor), or [`KeyspaceEvents`](crate::KeyspaceEvents).
    pub fn node(&self) -> Option<&Address> {
        self.0.node.as_ref()
    }

    /// The connection could not be made or was lost.
    pub fn is_connection(&self) -> bool {
        self.kind() == ErrorKind::Connection
    }

    /// Something took longer than the time it was given.
    pub fn is_timeout(&self) -> bool {
        self.kind() == ErrorKind::Timeout
    }

    /// A watched key has changed, or the connection was lost while keys were watched. Unless it
    /// [may have run](Self::may_have_run), nothing of the transaction has: begin again with
    /// [`Client::watch`](crate::Client::watch).
    pub fn is_watch(&self) -> bool {
        self.kind() == ErrorKind::Watch
    }

    /// The call could not be right, and was refused before anything was sent.
    pub fn is_misuse(&self) -> bool {
        self.kind() == ErrorKind::Misuse
    }

    /// The server refused for want of a permission (`NOPERM`).
    pub fn is_no_permission(&self) -> bool {
        self.code() == Some("NOPERM")
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        if f.alternate() {
            let mut below = self.source();
            while let Some(error) = below {
                write!(f, ": {error}")?;
                below = error.source();
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Error");
        debug
            .field("kind", &self.0.kind)
            .field("message", &self.0.message);
        if self.0.may_have_run {
            debug.field("may_have_run", &true);
        }
        if let Some(gap) = &self.0.gap {
            debug.field("gap", gap);
        }
        if let Some(node) = &self.0.node {
            debug.field("node", node);
        }
        if let Some(source) = &self.0.source {
            debug.field("source", source);
        }
        debug.finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0
            .source
            .as_deref()
            .map(|source| source as &(dyn StdError + 'static))
    }
}

impl From<tidings_proto::Error> for Error {
    fn from(error: tidings_proto::Error) -> Self {
        match error {
            tidings_proto::Error::Server(server) => server.into(),
            tidings_proto::Error::Protocol(protocol) => protocol.into(),
            tidings_proto::Error::Decode(decode) => {
                let text = decode.to_string();
                // The commonest mistake of all: a key that does not exist.
                let hint = match text.ends_with("nil") {
                    true => ": ask for an Option where there may be nothing",
                    false => "",
                };
                Self::new(
                    ErrorKind::Decode,
                    format!("the reply is of another type: {text}{hint}"),
                )
            }
            other => Self::new(ErrorKind::Protocol, other.to_string()),
        }
    }
}

impl From<ArgError> for Error {
    /// Nothing was sent.
    fn from(error: ArgError) -> Self {
        Self::misuse(format!("an argument cannot be sent: {error}"))
    }
}

impl From<ServerError> for Error {
    fn from(server: ServerError) -> Self {
        let hint = match server.code() {
            "MOVED" => " (this is a node of a cluster, for which there is ClusterClient)",
            _ => "",
        };
        let text = format!("the server answered: {}{hint}", server.message());
        Self::new(ErrorKind::Server, text).with_server(server)
    }
}

impl From<tidings_proto::ProtocolError> for Error {
    fn from(error: tidings_proto::ProtocolError) -> Self {
        Self::new(ErrorKind::Protocol, "the peer broke the protocol").with_source(error)
    }
}
