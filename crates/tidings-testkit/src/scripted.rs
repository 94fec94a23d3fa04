//! A peer that does what the test says, byte for byte.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Mutex;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};

use socket2::SockRef;

use crate::listener::Acceptor;
use crate::port::{Port, local};
use crate::sync::lock;
use crate::wait::DEADLINE;
use crate::{Protocol, frame};

/// Listens on a free port of 127.0.0.1 and leaves the rest to the test.
///
/// ```
/// # use std::io::{Read, Write};
/// # use std::net::TcpStream;
/// use tidings_testkit::{Protocol, ScriptedPeer, frame};
///
/// let peer = ScriptedPeer::start();
/// # let address = peer.address();
/// # let client = std::thread::spawn(move || {
/// #     let mut client = TcpStream::connect(address).unwrap();
/// #     client.write_all(b"*2\r\n$9\r\nSUBSCRIBE\r\n$4\r\nnews\r\n").unwrap();
/// #     let mut all = Vec::new();
/// #     client.read_to_end(&mut all).unwrap();
/// #     all
/// # });
/// // … the client under test connects to `peer.url()` …
/// let mut connection = peer.accept();
/// connection.expect(["SUBSCRIBE", "news"]);
/// connection.send(frame::confirmation(Protocol::Resp2, "subscribe", "news", 1));
/// // A message comes in the smallest pieces, and the connection ends in the middle of the next.
/// connection.send_in_chunks(frame::message(Protocol::Resp2, "news", "one"), 1);
/// connection.send(b"*3\r\n$7\r\nmess");
/// connection.close();
/// # assert!(client.join().unwrap().ends_with(b"one\r\n*3\r\n$7\r\nmess"));
/// ```
#[derive(Debug)]
pub struct ScriptedPeer {
    port: Port,
    acceptor: Mutex<Option<Acceptor>>,
    accepting: Sender<TcpStream>,
    accepted: Mutex<Receiver<TcpStream>>,
}

impl ScriptedPeer {
    /// Starts to listen.
    ///
    /// # Panics
    ///
    /// If there is no free port.
    #[track_caller]
    #[must_use]
    pub fn start() -> Self {
        let port = Port::free().expect("a free port");
        let (accepting, accepted) = mpsc::channel();
        let peer = Self {
            port,
            acceptor: Mutex::new(None),
            accepting,
            accepted: Mutex::new(accepted),
        };
        peer.listen();
        peer
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// `127.0.0.1:port`.
    #[must_use]
    pub fn address(&self) -> String {
        local(self.port()).to_string()
    }

    /// `redis://127.0.0.1:port`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://{}", self.address())
    }

    /// [`url`](Self::url) with `?protocol=2` or `?protocol=3`.
    #[must_use]
    pub fn url_for(&self, protocol: Protocol) -> String {
        format!("{}?protocol={}", self.url(), protocol.number())
    }

    /// The next connection, in the order they came.
    ///
    /// # Panics
    ///
    /// If nobody connects within 10 s.
    #[track_caller]
    #[must_use]
    pub fn accept(&self) -> ScriptedConnection {
        let accepted = self.try_accept(DEADLINE);
        accepted.unwrap_or_else(|| panic!("nobody connected within {DEADLINE:?}"))
    }

    /// The next connection if one comes in that time; with [`Duration::ZERO`], if one is there.
    #[must_use]
    pub fn try_accept(&self, timeout: Duration) -> Option<ScriptedConnection> {
        let stream = lock(&self.accepted).recv_timeout(timeout).ok()?;
        Some(ScriptedConnection::new(stream))
    }

    /// Listens no more: new connections are refused, those that are there stay.
    pub fn stop_listening(&self) {
        lock(&self.acceptor).take();
    }

    /// Listens again, on the same port.
    ///
    /// # Panics
    ///
    /// If somebody else has taken the port.
    #[track_caller]
    pub fn listen(&self) {
        let mut acceptor = lock(&self.acceptor);
        if acceptor.is_none() {
            let accepting = self.accepting.clone();
            let listening = self.port.listen().and_then(|listener| {
                Acceptor::start(listener, move |stream| {
                    let _ = accepting.send(stream);
                })
            });
            *acceptor = Some(listening.expect("the peer's port is free"));
        }
    }
}

/// One connection to a [`ScriptedPeer`]. Dropped, it closes.
///
/// Whatever the client does that the script does not expect is a panic that shows both.
pub struct ScriptedConnection {
    stream: TcpStream,
    /// What came and is not yet taken.
    received: Vec<u8>,
    /// Set by a handshake: its commands are answered until another one comes.
    greeting: Option<Greeting>,
    protocol: Protocol,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Greeting {
    Modern,
    WithoutHello,
}

/// For the first command of a handshake. A client that has none to send is rare, a machine that is
/// busy is not.
const FIRST_WORD: Duration = DEADLINE;

/// After this long without a further command a handshake is taken for finished. If that was too
/// soon, nothing is lost: what comes late is answered by the next read.
const QUIET: Duration = Duration::from_millis(50);

const READ_SIZE: usize = 16 * 1024;

impl ScriptedConnection {
    fn new(stream: TcpStream) -> Self {
        let _ = stream.set_nodelay(true);
        let _ = stream.set_write_timeout(Some(DEADLINE));
        Self {
            stream,
            received: Vec::new(),
            greeting: None,
            protocol: Protocol::Resp2,
        }
    }

    /// Reads one command and compares it; the command's own name in any case.
    ///
    /// # Panics
    ///
    /// If another one comes, or none within 10 s.
    #[track_caller]
    pub fn expect<A: AsRef<[u8]>>(&mut self, command: impl IntoIterator<Item = A>) {
        let expected: Vec<Vec<u8>> = command
            .into_iter()
            .map(|word| word.as_ref().to_vec())
            .collect();
        let received = self.read_command();
        assert!(
            same_command(&expected, &received),
            "the client sent another command\n  expected: {}\n  received: {}",
            shown(&expected),
            shown(&received)
        );
    }

    /// Reads one command.
    ///
    /// # Panics
    ///
    /// If none comes within 10 s, if the client closes, or if what comes is not an array of strings.
    #[track_caller]
    pub fn read_command(&mut self) -> Vec<Vec<u8>> {
        match self.next_command(DEADLINE) {
            Next::Command(command) => command,
            Next::Nothing => panic!("no command came within {DEADLINE:?}{}", self.left_over()),
            Next::Closed => panic!("the client closed instead of a command{}", self.left_over()),
        }
    }

    /// One command if one comes in that time. `None` also if the client has closed.
    ///
    /// # Panics
    ///
    /// If what comes is not an array of strings.
    #[track_caller]
    pub fn try_read_command(&mut self, timeout: Duration) -> Option<Vec<Vec<u8>>> {
        match self.next_command(timeout) {
            Next::Command(command) => Some(command),
            Next::Nothing | Next::Closed => None,
        }
    }

    /// Waits until the client closes.
    ///
    /// # Panics
    ///
    /// If it sends anything more, or does not close within 10 s.
    #[track_caller]
    pub fn expect_close(&mut self) {
        match self.next_command(DEADLINE) {
            Next::Closed if self.received.is_empty() => {}
            Next::Closed => panic!("the client closed in the middle{}", self.left_over()),
            Next::Command(command) => panic!("expected a close, got {}", shown(&command)),
            Next::Nothing => panic!("the client did not close within {DEADLINE:?}"),
        }
    }

    /// Writes bytes.
    ///
    /// # Panics
    ///
    /// If that fails: the client has closed, or does not read.
    #[track_caller]
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let sent = self.try_send(bytes);
        sent.unwrap_or_else(|error| panic!("cannot send to the client: {error}"));
    }

    /// As [`send`](Self::send), for a client that may be gone.
    ///
    /// # Errors
    ///
    /// If the client has closed or does not read for 10 s.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref())
    }

    /// Writes at most `size` bytes at a time, each a packet of its own.
    ///
    /// # Panics
    ///
    /// As [`send`](Self::send).
    #[track_caller]
    pub fn send_in_chunks(&mut self, bytes: impl AsRef<[u8]>, size: usize) {
        for chunk in bytes.as_ref().chunks(size.max(1)) {
            self.send(chunk);
            // Lets a client on another core read before the next piece comes.
            std::thread::yield_now();
        }
    }

    /// Closes: the client reads an end of file.
    pub fn close(self) {
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    /// Closes with a reset (RST): the client's read fails.
    pub fn reset(self) {
        let _ = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
    }

    /// Answers what a client says at first (`HELLO`, `AUTH`, `CLIENT SETINFO`, `CLIENT SETNAME`,
    /// `SELECT`, …) as Redis 7.2 would, and returns the protocol it asked for.
    ///
    /// Ends as soon as another command is there (which is left for the next read) or nothing comes
    /// for 50 ms (or for 10 s at first). Commands of a handshake that come later are answered by the
    /// next read.
    ///
    /// # Panics
    ///
    /// If what comes is no command.
    #[track_caller]
    pub fn handshake(&mut self) -> Protocol {
        self.greet(Greeting::Modern)
    }

    /// As [`handshake`](Self::handshake), as Redis 5 would: it knows neither `HELLO` nor
    /// `CLIENT SETINFO`.
    ///
    /// # Panics
    ///
    /// If what comes is no command.
    #[track_caller]
    pub fn handshake_without_hello(&mut self) -> Protocol {
        self.greet(Greeting::WithoutHello)
    }

    /// The protocol that the last `HELLO` of a handshake asked for.
    #[must_use]
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    #[track_caller]
    fn greet(&mut self, greeting: Greeting) -> Protocol {
        self.greeting = Some(greeting);
        let mut patience = FIRST_WORD;
        while self.fill_to_a_command(patience).is_ok() {
            if !self.answer_greeting() {
                break;
            }
            patience = QUIET;
        }
        self.protocol
    }

    #[track_caller]
    fn next_command(&mut self, timeout: Duration) -> Next {
        let start = Instant::now();
        loop {
            if let Err(next) = self.fill_to_a_command(timeout.saturating_sub(start.elapsed())) {
                return next;
            }
            if self.answer_greeting() {
                continue;
            }
            self.greeting = None;
            let Some((command, length)) = parse_command(&self.received) else {
                continue;
            };
            self.received.drain(..length);
            return Next::Command(command);
        }
    }

    /// Reads until a whole command is there.
    #[track_caller]
    fn fill_to_a_command(&mut self, timeout: Duration) -> Result<(), Next> {
        let start = Instant::now();
        loop {
            if parse_command(&self.received).is_some() {
                return Ok(());
            }
            let left = timeout.saturating_sub(start.elapsed());
            // A timeout of zero would mean none.
            let _ = self
                .stream
                .set_read_timeout(Some(left.max(Duration::from_millis(1))));
            let mut buffer = [0; READ_SIZE];
            match self.stream.read(&mut buffer) {
                Ok(0) => return Err(Next::Closed),
                Ok(read) => self.received.extend_from_slice(&buffer[..read]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
                {
                    if start.elapsed() >= timeout {
                        return Err(Next::Nothing);
                    }
                }
                Err(_) => return Err(Next::Closed),
            }
        }
    }

    /// If the first command received belongs to a handshake that goes on, answers and takes it.
    #[track_caller]
    fn answer_greeting(&mut self) -> bool {
        let Some(greeting) = self.greeting else {
            return false;
        };
        let Some((command, length)) = parse_command(&self.received) else {
            return false;
        };
        let words: Vec<String> = command
            .iter()
            .map(|word| String::from_utf8_lossy(word).to_uppercase())
            .collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let old = greeting == Greeting::WithoutHello;
        let answer = match words[..] {
            ["HELLO", ..] if old => frame::error(&unknown_command(&command)),
            ["HELLO"] => hello(self.protocol),
            ["HELLO", "2", ..] => {
                self.protocol = Protocol::Resp2;
                hello(self.protocol)
            }
            ["HELLO", "3", ..] => {
                self.protocol = Protocol::Resp3;
                hello(self.protocol)
            }
            ["HELLO", ..] => frame::error("NOPROTO unsupported protocol version"),
            ["CLIENT", "SETINFO" | "NO-TOUCH" | "NO-EVICT", ..] if old => frame::error(
                "ERR Unknown subcommand or wrong number of arguments for 'SETINFO'. \
                 Try CLIENT HELP",
            ),
            ["CLIENT", "ID"] => frame::integer(1),
            [
                "CLIENT",
                "SETINFO" | "SETNAME" | "NO-TOUCH" | "NO-EVICT",
                ..,
            ]
            | ["AUTH" | "SELECT", ..] => frame::simple("OK"),
            _ => return false,
        };
        self.received.drain(..length);
        self.send(answer);
        true
    }

    fn left_over(&self) -> String {
        match self.received.as_slice() {
            [] => String::new(),
            bytes => format!("; of one began to come: {}", bytes.escape_ascii()),
        }
    }
}

impl fmt::Debug for ScriptedConnection {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("ScriptedConnection")
            .field("client", &self.stream.peer_addr().ok())
            .field("protocol", &self.protocol)
            .finish_non_exhaustive()
    }
}

enum Next {
    Command(Vec<Vec<u8>>),
    Nothing,
    Closed,
}

fn same_command(expected: &[Vec<u8>], received: &[Vec<u8>]) -> bool {
    match (expected, received) {
        ([name, words @ ..], [other_name, other_words @ ..]) => {
            name.eq_ignore_ascii_case(other_name) && words == other_words
        }
        _ => expected.len() == received.len(),
    }
}

fn shown(command: &[Vec<u8>]) -> String {
    let words = command
        .iter()
        .map(|word| format!("\"{}\"", word.escape_ascii()));
    words.collect::<Vec<_>>().join(" ")
}

fn hello(protocol: Protocol) -> Vec<u8> {
    let text = |text: &str| frame::bulk(text);
    frame::map(
        protocol,
        [
            (text("server"), text("redis")),
            (text("version"), text("7.2.0")),
            (text("proto"), frame::integer(protocol.number().into())),
            (text("id"), frame::integer(1)),
            (text("mode"), text("standalone")),
            (text("role"), text("master")),
            (text("modules"), frame::array::<Vec<u8>>([])),
        ],
    )
}

fn unknown_command(command: &[Vec<u8>]) -> String {
    let words: Vec<_> = command
        .iter()
        .map(|word| String::from_utf8_lossy(word))
        .collect();
    let arguments: String = words[1..]
        .iter()
        .map(|word| format!("`{word}`, "))
        .collect();
    format!(
        "ERR unknown command `{}`, with args beginning with: {arguments}",
        words[0]
    )
}

/// The first command in `bytes` and its length, once it is whole.
///
/// # Panics
///
/// If it is not an array of strings, or an empty one.
#[track_caller]
fn parse_command(bytes: &[u8]) -> Option<(Vec<Vec<u8>>, usize)> {
    let mut at = 0;
    let count = parse_length(bytes, &mut at, b'*')?;
    assert!(count > 0, "the client sent an empty command");
    let mut words = Vec::new();
    for _ in 0..count {
        let length = parse_length(bytes, &mut at, b'$')?;
        let word = bytes.get(at..at + length)?;
        let end = bytes.get(at + length..at + length + 2)?;
        assert!(
            end == b"\r\n",
            "no line end behind a string: {}",
            bytes.escape_ascii()
        );
        words.push(word.to_vec());
        at += length + 2;
    }
    Some((words, at))
}

#[track_caller]
fn parse_length(bytes: &[u8], at: &mut usize, kind: u8) -> Option<usize> {
    let rest = bytes.get(*at..)?;
    let first = rest.first()?;
    assert!(
        *first == kind,
        "expected {:?}, the client sent {}",
        char::from(kind),
        rest.escape_ascii()
    );
    let end = rest.windows(2).position(|window| window == b"\r\n")?;
    let digits = std::str::from_utf8(&rest[1..end])
        .ok()
        .and_then(|digits| digits.parse().ok());
    *at += end + 2;
    Some(digits.unwrap_or_else(|| panic!("no length in {}", rest[..end].escape_ascii())))
}
