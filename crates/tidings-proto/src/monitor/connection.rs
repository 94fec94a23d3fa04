//! One connection that monitors: from the commands that begin it to the line that each frame is.

use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use super::args::Notation;
use super::arities::Arities;
use crate::connection::ConnectionOptions;
use crate::error::{Error, ProtocolError};
use crate::handshake::ServerInfo;
use crate::keepalive::{Keepalive, Liveness};
use crate::resp::{Decoder, Reply, encode, excerpt};

/// What Valkey calls itself where it passes for Redis (`extended-redis-compatibility`).
const DISGUISE: &str = "7.2.4";

/// The versions of Valkey that do not escape.
const RAW_VERSIONS: [&str; 2] = ["8.1.0", "8.1.1"];

/// The state of one connection after its handshake that shows what MONITOR says.
///
/// A pure function of what it is given. The order of calls: bytes arrived: [`heard`](Self::heard), then
/// [`poll_frame`](Self::poll_frame) until it gives `None`, then [`take_consumed`](Self::take_consumed) bytes leave the
/// front of the input and what was written to `out` is sent. [`poll_timeout`](Self::poll_timeout) says when to call
/// [`handle_timeout`](Self::handle_timeout). After an error the connection is of no further use.
///
/// ```text
///   (INFO) ──▶ (COMMAND) ──▶ MONITOR ──▶ lines
/// ```
///
/// The first two are asked of servers only that may write lines without escapes.
#[derive(Debug)]
pub struct MonitorConnection {
    decoder: Decoder,
    keepalive: Keepalive,
    phase: Phase,
    notation: Notation,
    consumed: usize,
    /// Makes a PING of one's own known by its line, which is shown like any other client's.
    token: String,
    /// PINGs whose answers are due.
    asked: usize,
    /// PINGs whose lines were not seen yet.
    unseen: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    AskingVersion,
    AskingArities,
    Beginning,
    Running,
}

/// What came from the peer.
#[derive(Debug)]
pub enum MonitorFrame {
    /// The server shows its commands from now on, in this notation.
    Begun(Notation),
    /// A line, for [`MonitorEvent::parse`](super::MonitorEvent::parse): where it lies in the input.
    Line(Range<usize>),
}

impl MonitorConnection {
    /// A connection whose handshake was just completed. Its first command is written to `out`.
    pub fn new(
        options: &ConnectionOptions,
        info: &ServerInfo,
        now: Instant,
        out: &mut Vec<u8>,
    ) -> Self {
        let mut this = Self {
            decoder: Decoder::new(options.limits),
            keepalive: Keepalive::new(options.ping_interval, options.ping_timeout, now),
            phase: Phase::Beginning,
            notation: Notation::Escaped,
            consumed: 0,
            token: format!("tidings-{:016x}", fastrand::u64(..)),
            asked: 0,
            unseen: 0,
        };
        match (info.server.as_deref(), info.version.as_deref()) {
            (Some("valkey"), Some(version)) => this.begin(Some(version), out),
            (Some("redis"), Some(version)) if version != DISGUISE => this.begin(None, out),
            _ => this.ask(Phase::AskingVersion, &[b"INFO", b"server"], out),
        }
        this
    }

    fn ask(&mut self, phase: Phase, words: &[&[u8]], out: &mut Vec<u8>) {
        write_command(out, words);
        self.phase = phase;
    }

    /// Goes on with a server whose version of Valkey is known, if it is one.
    fn begin(&mut self, valkey: Option<&str>, out: &mut Vec<u8>) {
        if valkey.is_some_and(|version| RAW_VERSIONS.contains(&version)) {
            self.ask(Phase::AskingArities, &[b"COMMAND"], out);
        } else {
            self.ask(Phase::Beginning, &[b"MONITOR"], out);
        }
    }

    // ---- getters ----

    /// How many bytes of the frame at the end of the input are known to be missing.
    pub fn missing(&self) -> usize {
        self.decoder.missing()
    }

    /// When something was last heard of the peer.
    pub fn last_heard(&self) -> Instant {
        self.keepalive.last_heard()
    }

    // ---- time ----

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        match self.keepalive.poll(now) {
            Liveness::Wait(at) => at,
            Liveness::Ask | Liveness::Dead => Some(now),
        }
    }

    /// Writes a PING if one is due; `false` if the peer is dead.
    #[must_use]
    pub fn handle_timeout(&mut self, now: Instant, out: &mut Vec<u8>) -> bool {
        match self.keepalive.poll(now) {
            Liveness::Wait(_) => true,
            Liveness::Dead => false,
            Liveness::Ask => {
                // Before, an answer is due anyway.
                if self.phase == Phase::Running {
                    write_command(out, &[b"PING", self.token.as_bytes()]);
                    self.asked = self.asked.saturating_add(1);
                    self.unseen = self.unseen.saturating_add(1);
                }
                self.keepalive.asked(now);
                true
            }
        }
    }

    /// Bytes arrived.
    pub fn heard(&mut self, now: Instant) {
        self.keepalive.heard(now);
    }

    // ---- what arrives ----

    /// The next frame that means something to the caller.
    ///
    /// # Errors
    ///
    /// What came is not the protocol, or the server refuses to be monitored.
    pub fn poll_frame(
        &mut self,
        input: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Option<MonitorFrame>, Error> {
        loop {
            let rest = input.get(self.consumed..).unwrap_or_default();
            let Some(len) = self.decoder.poll_frame(rest)? else {
                return Ok(None);
            };
            let start = self.consumed;
            self.consumed = start.saturating_add(len);
            let frame = rest.get(..len).unwrap_or_default();
            // Nothing here asks for pushes.
            if frame.first() == Some(&b'>') {
                continue;
            }
            if self.phase == Phase::Running {
                if let Some(line) = self.line(frame)? {
                    let start = start.saturating_add(line.start);
                    let end = start.saturating_add(line.len());
                    return Ok(Some(MonitorFrame::Line(start..end)));
                }
            } else if self.beginning(Reply::parse(frame)?, out)? {
                return Ok(Some(MonitorFrame::Begun(self.notation.clone())));
            }
        }
    }

    /// Takes the number of bytes that are not needed any more.
    pub fn take_consumed(&mut self) -> usize {
        std::mem::take(&mut self.consumed)
    }

    /// An answer before the lines; whether they begin.
    fn beginning(&mut self, reply: Reply<'_>, out: &mut Vec<u8>) -> Result<bool, Error> {
        match self.phase {
            Phase::AskingVersion => match reply.as_bytes() {
                Some(info) => self.begin(valkey_version(info), out),
                // Who may not ask is told what is certain in any notation.
                None => self.ask(Phase::AskingArities, &[b"COMMAND"], out),
            },
            Phase::AskingArities => {
                self.notation = Notation::Raw(Arc::new(Arities::from_reply(reply)));
                self.ask(Phase::Beginning, &[b"MONITOR"], out);
            }
            Phase::Beginning | Phase::Running => {
                reply.into_result()?;
                self.phase = Phase::Running;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Where the line lies in a frame, unless it is an answer to a PING, or the line of one.
    fn line(&mut self, frame: &[u8]) -> Result<Option<Range<usize>>, ProtocolError> {
        let text = frame
            .strip_prefix(b"+")
            .and_then(|text| text.strip_suffix(b"\r\n"));
        match text {
            // Only the time before it tells a line from an answer.
            Some(line) if line.first().is_some_and(u8::is_ascii_digit) || self.asked == 0 => {
                if self.unseen > 0 && self.is_own_ping(line) {
                    self.unseen = self.unseen.saturating_sub(1);
                    return Ok(None);
                }
                Ok(Some(1..line.len().saturating_add(1)))
            }
            // The text of the PING, `PONG` as proxies may answer, or an error: whoever refuses is alive.
            _ if self.asked > 0 => {
                self.asked = self.asked.saturating_sub(1);
                Ok(None)
            }
            _ => Err(ProtocolError::new(format!(
                "a reply that nothing asked for: {}",
                excerpt(frame)
            ))),
        }
    }

    fn is_own_ping(&self, line: &[u8]) -> bool {
        line.strip_suffix(b"\"")
            .and_then(|line| line.strip_suffix(self.token.as_bytes()))
            .is_some_and(|line| line.ends_with(b"] \"PING\" \""))
    }
}

fn write_command(out: &mut Vec<u8>, words: &[&[u8]]) {
    encode::array_header(out, words.len());
    for word in words {
        encode::bulk(out, word);
    }
}

/// From `INFO server`. Redis has no such line.
fn valkey_version(info: &[u8]) -> Option<&str> {
    let lines = info.split(|byte| *byte == b'\n');
    let version = lines
        .map(<[u8]>::trim_ascii)
        .find_map(|line| line.strip_prefix(b"valkey_version:"))?;
    std::str::from_utf8(version).ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::handshake::Protocol;
    use crate::limits::Limits;

    const INTERVAL: Duration = Duration::from_secs(5);
    const TIMEOUT: Duration = Duration::from_secs(3);
    const MONITOR: &[u8] = b"*1\r\n$7\r\nMONITOR\r\n";
    const COMMAND: &[u8] = b"*1\r\n$7\r\nCOMMAND\r\n";
    const INFO: &[u8] = b"*2\r\n$4\r\nINFO\r\n$6\r\nserver\r\n";
    const LINE: &[u8] = b"+1.000000 [0 lua] \"GET\" \"k\"\r\n";

    fn connection(server: &str, version: &str) -> (MonitorConnection, Vec<u8>, Instant) {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let options = ConnectionOptions {
            protocol: Protocol::Resp3,
            pubsub: false,
            limits: Limits::default(),
            ping_interval: INTERVAL,
            ping_timeout: TIMEOUT,
        };
        let info = ServerInfo {
            protocol: Protocol::Resp3,
            server: some(server),
            version: some(version),
            mode: None,
            role: None,
        };
        let (mut out, now) = (Vec::new(), Instant::now());
        let connection = MonitorConnection::new(&options, &info, now, &mut out);
        (connection, out, now)
    }

    /// What `input` is made of: lines, or the notation of a begin.
    fn feed(connection: &mut MonitorConnection, input: &[u8], out: &mut Vec<u8>) -> Vec<String> {
        let mut found = Vec::new();
        while let Some(frame) = connection.poll_frame(input, out).unwrap() {
            found.push(match frame {
                MonitorFrame::Begun(Notation::Escaped) => "escaped".to_owned(),
                MonitorFrame::Begun(_) => "raw".to_owned(),
                MonitorFrame::Line(range) => String::from_utf8_lossy(&input[range]).into_owned(),
            });
        }
        assert_eq!(connection.take_consumed(), input.len());
        found
    }

    fn running() -> (MonitorConnection, Instant) {
        let (mut connection, mut out, now) = connection("redis", "8.0.6");
        feed(&mut connection, b"+OK\r\n", &mut out);
        (connection, now)
    }

    #[test]
    fn mo_02_only_servers_that_may_not_escape_are_asked_what_they_are() {
        for (server, version, first) in [
            ("redis", "7.0.15", MONITOR),
            ("redis", "8.1.1", MONITOR),
            ("valkey", "8.0.2", MONITOR),
            ("valkey", "8.1.2", MONITOR),
            ("valkey", "8.1.0", COMMAND),
            ("valkey", "8.1.1", COMMAND),
            // Valkey that passes for Redis says so.
            ("redis", "7.2.4", INFO),
            ("", "", INFO),
        ] {
            let (_, out, _) = connection(server, version);
            assert_eq!(out, first, "{server} {version}");
        }
    }

    #[test]
    fn mo_02_a_server_that_hides_its_name_is_known_by_its_info() {
        for (answer, next, notation) in [
            (
                "$38\r\nredis_version:7.2.4\r\nserver_name:redis\r\n",
                MONITOR,
                "escaped",
            ),
            (
                "=47\r\ntxt:redis_version:7.2.4\r\nvalkey_version:8.1.0\r\n\r\n",
                COMMAND,
                "raw",
            ),
            ("$22\r\nvalkey_version:8.1.2\r\n\r\n", MONITOR, "escaped"),
            ("-NOPERM no\r\n", COMMAND, "raw"),
        ] {
            let (mut connection, mut out, _) = connection("redis", "7.2.4");
            out.clear();
            feed(&mut connection, answer.as_bytes(), &mut out);
            assert_eq!(out, next, "{answer}");
            if next == COMMAND {
                out.clear();
                feed(&mut connection, b"-NOPERM no\r\n", &mut out);
                assert_eq!(out, MONITOR);
            }
            assert_eq!(feed(&mut connection, b"+OK\r\n", &mut out), [notation]);
        }
    }

    #[test]
    fn a_refusal_to_be_monitored_is_an_error() {
        let (mut connection, mut out, _) = connection("redis", "8.0.6");
        let error = connection.poll_frame(b"-NOPERM no\r\n", &mut out);
        assert!(matches!(error, Err(Error::Server(error)) if error.code() == "NOPERM"));
    }

    #[test]
    fn mo_02_own_pings_are_not_shown_whatever_the_order_and_others_are() {
        for pong_first in [true, false] {
            let (mut connection, now) = running();
            let mut out = Vec::new();
            assert!(connection.handle_timeout(now + INTERVAL, &mut out));
            let ping = Reply::parse(&out).unwrap().into_elements().unwrap();
            let token = ping.last().unwrap().unwrap().as_bytes().unwrap().to_vec();
            let token = String::from_utf8(token).unwrap();
            let pong = format!("${}\r\n{token}\r\n", token.len());
            let own = format!("+1.000000 [0 lua] \"PING\" \"{token}\"\r\n");
            let other = "+1.000000 [0 lua] \"PING\"\r\n";
            let input = if pong_first {
                format!("{other}{pong}{own}{other}{own}")
            } else {
                format!("{other}{own}{other}{pong}{own}")
            };
            let lines = feed(&mut connection, input.as_bytes(), &mut out);
            let shown = |line: &str| line[1..line.len() - 2].to_owned();
            // Who asks the same thing later is somebody else.
            assert_eq!(lines, [shown(other), shown(other), shown(&own)]);
        }
    }

    #[test]
    fn mo_02_a_silent_peer_is_asked_and_then_dead_and_any_byte_is_a_sign_of_life() {
        let (mut connection, now) = running();
        let mut out = Vec::new();
        assert_eq!(connection.poll_timeout(now), Some(now + INTERVAL));
        assert!(connection.handle_timeout(now + INTERVAL, &mut out));
        assert!(out.starts_with(b"*2\r\n$4\r\nPING\r\n"));
        connection.heard(now + INTERVAL + TIMEOUT);
        assert!(connection.handle_timeout(now + INTERVAL + TIMEOUT, &mut out));
        let asked = now + INTERVAL * 2 + TIMEOUT;
        assert!(connection.handle_timeout(asked, &mut out));
        assert!(!connection.handle_timeout(asked + TIMEOUT, &mut out));
    }

    #[test]
    fn a_server_that_does_not_answer_to_monitor_is_dead_without_a_ping() {
        let (mut connection, mut out, now) = connection("redis", "8.0.6");
        out.clear();
        assert!(connection.handle_timeout(now + INTERVAL, &mut out));
        assert!(out.is_empty());
        assert!(!connection.handle_timeout(now + INTERVAL + TIMEOUT, &mut out));
    }

    #[test]
    fn mo_02_rubbish_is_a_line_and_an_unasked_reply_ends_the_connection() {
        let (mut connection, now) = running();
        let mut out = Vec::new();
        let input = [b">1\r\n+x\r\n+rubbish\r\n+\r\n", LINE].concat();
        let lines = feed(&mut connection, &input, &mut out);
        assert_eq!(lines, ["rubbish", "", "1.000000 [0 lua] \"GET\" \"k\""]);
        // Asked, the same is an answer.
        assert!(connection.handle_timeout(now + INTERVAL, &mut out));
        assert!(feed(&mut connection, b"+PONG\r\n", &mut out).is_empty());
        for reply in ["-ERR x\r\n", ":1\r\n", "$1\r\nx\r\n"] {
            let (mut connection, _) = running();
            let outcome = connection.poll_frame(reply.as_bytes(), &mut out);
            assert!(matches!(outcome, Err(Error::Protocol(_))), "{reply}");
        }
    }

    #[test]
    fn lines_come_out_of_any_pieces() {
        let (mut connection, _) = running();
        let input = LINE.repeat(3);
        let (mut begin, mut lines, mut out) = (0, 0, Vec::new());
        for end in 1..=input.len() {
            while let Some(frame) = connection.poll_frame(&input[begin..end], &mut out).unwrap() {
                let MonitorFrame::Line(range) = frame else {
                    panic!("a line")
                };
                assert_eq!(input[begin..][range], LINE[1..LINE.len() - 2]);
                lines += 1;
            }
            begin += connection.take_consumed();
        }
        assert_eq!((begin, lines), (input.len(), 3));
    }
}
