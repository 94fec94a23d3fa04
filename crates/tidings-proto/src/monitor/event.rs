//! One line of MONITOR.

use std::fmt::{self, Write};
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use bytes::Bytes;

use super::args::{Notation, read_args};

const MICROS_DIGITS: usize = 6;

/// A command that the server ran, as MONITOR showed it.
///
/// `Display` gives the line that `redis-cli monitor` shows.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct MonitorEvent {
    time: SystemTime,
    database: u32,
    client: MonitorClient,
    command: Box<[Bytes]>,
}

/// Where a command came from.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum MonitorClient {
    /// A TCP connection, by its client's address.
    Tcp(SocketAddr),
    /// A connection to the server's Unix socket of this path; bytes that are not UTF-8 are replaced.
    Unix(String),
    /// A script, which a command before it called.
    Lua,
    /// Something newer, as the server wrote it; bytes that are not UTF-8 are replaced.
    Other(String),
}

/// Why a line is not shown as a command.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MonitorError {
    /// It is not what MONITOR writes; the text says what is wrong with it.
    Unreadable(&'static str),
    /// It can be read in more ways than one, because the server does not escape; the text says what is doubtful.
    Uncertain(&'static str),
}

impl MonitorEvent {
    /// Reads a line, without the `+` before it and the end of the line.
    ///
    /// # Errors
    ///
    /// A line that is not MONITOR's, or that can be read in more ways than one.
    pub fn parse(line: &[u8], notation: &Notation) -> Result<Self, MonitorError> {
        let (time, rest) = split(line, b" [").ok_or(MonitorError::Unreadable("no client"))?;
        let time = read_time(time).ok_or(MonitorError::Unreadable("no time"))?;
        let (database, rest) = split(rest, b" ").ok_or(MonitorError::Unreadable("no client"))?;
        let database = read_number(database)
            .and_then(|number| u32::try_from(number).ok())
            .ok_or(MonitorError::Unreadable("no database"))?;
        // No address has this in it. A socket's path could, but no command is named like the rest of that path.
        let (client, args) = split(rest, b"] ").ok_or(MonitorError::Unreadable("no command"))?;
        let client = MonitorClient::read(client)?;
        Ok(Self {
            time,
            database,
            client,
            command: read_args(args, notation)?,
        })
    }

    /// When the server ran it, by the server's clock, to the microsecond.
    pub fn time(&self) -> SystemTime {
        self.time
    }

    /// The database that it ran in.
    pub fn database(&self) -> u32 {
        self.database
    }

    /// Where it came from.
    pub fn client(&self) -> &MonitorClient {
        &self.client
    }

    /// The command's name as the client wrote it, and its arguments: never empty. Servers show `(redacted)` in the
    /// place of passwords.
    pub fn command(&self) -> &[Bytes] {
        &self.command
    }
}

impl MonitorClient {
    fn read(text: &[u8]) -> Result<Self, MonitorError> {
        if text == b"lua" {
            return Ok(Self::Lua);
        }
        if let Some(path) = text.strip_prefix(b"unix:") {
            return Ok(Self::Unix(String::from_utf8_lossy(path).into_owned()));
        }
        let text = String::from_utf8_lossy(text);
        if let Ok(address) = text.parse() {
            return Ok(Self::Tcp(address));
        }
        if text.is_empty() || text.contains(['"', ' ']) {
            return Err(MonitorError::Unreadable("no client"));
        }
        Ok(Self::Other(text.into_owned()))
    }
}

fn split<'a>(text: &'a [u8], at: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let begin = memchr::memmem::find(text, at)?;
    let end = begin.checked_add(at.len())?;
    Some((text.get(..begin)?, text.get(end..)?))
}

fn read_time(text: &[u8]) -> Option<SystemTime> {
    let (seconds, micros) = split(text, b".")?;
    if micros.len() != MICROS_DIGITS {
        return None;
    }
    let since = Duration::from_secs(read_number(seconds)?)
        .checked_add(Duration::from_micros(read_number(micros)?))?;
    SystemTime::UNIX_EPOCH.checked_add(since)
}

/// Digits and nothing else.
fn read_number(text: &[u8]) -> Option<u64> {
    if !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

impl fmt::Display for MonitorEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = self.time.duration_since(SystemTime::UNIX_EPOCH);
        let since = since.unwrap_or_default();
        write!(
            f,
            "{}.{:06} [{} {}]",
            since.as_secs(),
            since.subsec_micros(),
            self.database,
            self.client
        )?;
        for arg in &self.command {
            f.write_str(" \"")?;
            arg.iter().try_for_each(|byte| write_byte(f, *byte))?;
            f.write_char('"')?;
        }
        Ok(())
    }
}

/// A byte of an argument, as servers write it.
fn write_byte(f: &mut fmt::Formatter<'_>, byte: u8) -> fmt::Result {
    match byte {
        b'"' => f.write_str("\\\""),
        b'\\' => f.write_str("\\\\"),
        b'\n' => f.write_str("\\n"),
        b'\r' => f.write_str("\\r"),
        b'\t' => f.write_str("\\t"),
        0x07 => f.write_str("\\a"),
        0x08 => f.write_str("\\b"),
        b' '..=b'~' => f.write_char(char::from(byte)),
        _ => write!(f, "\\x{byte:02x}"),
    }
}

impl fmt::Debug for MonitorEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MonitorEvent({self})")
    }
}

/// As in a line of MONITOR.
impl fmt::Display for MonitorClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{path}"),
            Self::Lua => f.write_str("lua"),
            Self::Other(text) => f.write_str(text),
        }
    }
}

impl fmt::Display for MonitorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(what) => write!(f, "it is no line of MONITOR: {what}"),
            Self::Uncertain(what) => write!(
                f,
                "it cannot be read with certainty, because this server does not escape quotes and backslashes: {what}"
            ),
        }
    }
}

impl std::error::Error for MonitorError {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(line: &str) -> Result<MonitorEvent, MonitorError> {
        MonitorEvent::parse(line.as_bytes(), &Notation::Escaped)
    }

    fn micros(event: &MonitorEvent) -> u128 {
        let since = event.time().duration_since(SystemTime::UNIX_EPOCH);
        since.unwrap().as_micros()
    }

    #[test]
    fn mo_01_a_line_is_time_database_client_and_arguments() {
        let line = r#"1795222737.114914 [0 127.0.0.1:36698] "SET" "k" "v""#;
        let event = parse(line).unwrap();
        assert_eq!(micros(&event), 1_795_222_737_114_914);
        assert_eq!(event.database(), 0);
        let address = "127.0.0.1:36698".parse().unwrap();
        assert_eq!(*event.client(), MonitorClient::Tcp(address));
        assert_eq!(event.command(), ["SET", "k", "v"]);
        assert_eq!(event.to_string(), line);
    }

    #[test]
    fn mo_01_every_kind_of_client_is_told_from_the_others() {
        for (text, client) in [
            (
                "[::1]:53750",
                MonitorClient::Tcp("[::1]:53750".parse().unwrap()),
            ),
            (
                "unix:/run/a b/s.sock",
                MonitorClient::Unix("/run/a b/s.sock".to_owned()),
            ),
            ("lua", MonitorClient::Lua),
            ("?:0", MonitorClient::Other("?:0".to_owned())),
            ("script", MonitorClient::Other("script".to_owned())),
        ] {
            let line = format!("1.000001 [15 {text}] \"GET\" \"] [\"");
            let event = parse(&line).unwrap();
            assert_eq!(*event.client(), client);
            assert_eq!((event.database(), micros(&event)), (15, 1_000_001));
            assert_eq!(event.command(), ["GET", "] ["]);
            assert_eq!(event.to_string(), line);
        }
    }

    #[test]
    fn mo_01_arguments_may_hold_blanks_quotes_backslashes_and_any_byte() {
        let line = r#"1.000000 [0 lua] "" "a\\b\"c\nd\re\tf\ag\bh\x00i\xffj\xc3\xa9k\x1b\x7f'l " "x\\" " ""#;
        let event = parse(line).unwrap();
        let expected: [&[u8]; 4] = [
            b"",
            b"a\\b\"c\nd\re\tf\x07g\x08h\x00i\xffj\xc3\xa9k\x1b\x7f'l ",
            b"x\\",
            b" ",
        ];
        assert_eq!(event.command(), expected);
        assert_eq!(event.to_string(), line);
    }

    #[test]
    fn mo_02_what_is_no_line_is_an_error() {
        for line in [
            "",
            "OK",
            "1.000000",
            r#"1.000000 [0 lua]"#,
            r#"1.000000 [0 lua] "#,
            r#"1.000000 [0 lua] GET"#,
            r#"1.000000 [0 lua] "GET"#,
            r#"1.000000 [0 lua] "GET\"#,
            r#"1.000000 [0 lua] "GET\""#,
            r#"1.000000 [0 lua] "GET" "#,
            r#"1.000000 [0 lua] "GET"  "k""#,
            r#"1.000000 [0 lua] "GET""k""#,
            r#"1.000000 [0 lua] "GET" "k"x"#,
            r#"1.000000 [0 lua] "GET" "\q""#,
            r#"1.000000 [0 lua] "GET" "\x0""#,
            r#"1.000000 [0 lua] "GET" "\x0g""#,
            r#"1.00000 [0 lua] "GET""#,
            r#"1.0000000 [0 lua] "GET""#,
            r#"1.+00000 [0 lua] "GET""#,
            r#".000000 [0 lua] "GET""#,
            r#"-1.000000 [0 lua] "GET""#,
            r#"99999999999999999999.000000 [0 lua] "GET""#,
            r#"18446744073709551615.999999 [0 lua] "GET""#,
            r#"1.000000 [4294967296 lua] "GET""#,
            r#"1.000000 [-1 lua] "GET""#,
            r#"1.000000 [ lua] "GET""#,
            r#"1.000000 [0 ] "GET""#,
            r#"1.000000 [0 a"b] "GET""#,
            r#"1.000000 [0 lua "GET""#,
            r#"1.000000 0 lua] "GET""#,
            // A socket's path with the end of the client in it.
            r#"1.000000 [0 unix:/a] "b] "GET" "x""#,
            r#"1.000000 [0 unix:/a] "b"] "GET" "x""#,
        ] {
            assert!(
                matches!(parse(line), Err(MonitorError::Unreadable(_))),
                "{line}: {:?}",
                parse(line)
            );
        }
    }

    /// Written apart from `Display`, and as servers do it.
    fn escaped(arg: &[u8]) -> String {
        let mut text = String::from("\"");
        for byte in arg {
            match byte {
                b'\\' | b'"' => text.extend(['\\', char::from(*byte)]),
                b'\n' => text.push_str("\\n"),
                b'\r' => text.push_str("\\r"),
                b'\t' => text.push_str("\\t"),
                7 => text.push_str("\\a"),
                8 => text.push_str("\\b"),
                byte if byte.is_ascii_graphic() || *byte == b' ' => text.push(char::from(*byte)),
                byte => text.push_str(&format!("\\x{byte:02x}")),
            }
        }
        text.push('"');
        text
    }

    fn arg() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            prop::collection::vec(any::<u8>(), 0..40),
            // What separates arguments, in all combinations.
            prop::collection::vec(prop::sample::select(b"\" \\nx0]\n\0[".to_vec()), 0..10),
        ]
    }

    proptest! {
        #[test]
        fn mo_01_what_a_server_writes_is_read_as_it_was(
            args in prop::collection::vec(arg(), 1..6),
            micros in 0..=9_999_999_999_999_999_u64,
            database: u32,
            v4: [u8; 4], v6: [u8; 16], port: u16, which in 0..3,
        ) {
            let client = match which {
                0 => format!("{}:{port}", std::net::Ipv4Addr::from(v4)),
                1 => format!("[{}]:{port}", std::net::Ipv6Addr::from(v6)),
                _ => "lua".to_owned(),
            };
            let words: Vec<String> = args.iter().map(|arg| escaped(arg)).collect();
            let line = format!(
                "{}.{:06} [{database} {client}] {}",
                micros / 1_000_000, micros % 1_000_000, words.join(" ")
            );
            let event = parse(&line).unwrap();
            prop_assert_eq!(event.command(), &args[..]);
            prop_assert_eq!(event.database(), database);
            prop_assert_eq!(event.client().to_string(), client);
            let since = event.time().duration_since(SystemTime::UNIX_EPOCH).unwrap();
            prop_assert_eq!(since.as_micros(), u128::from(micros));
            prop_assert_eq!(event.to_string(), line);
        }

        #[test]
        fn mo_02_no_bytes_make_it_panic(noise in prop::collection::vec(any::<u8>(), 0..200)) {
            super::super::fuzzing::monitor(&noise);
        }

        #[test]
        fn mo_02_nor_do_bytes_that_begin_well(noise in "[ \"\\\\nxt0\\]a]{0,40}") {
            super::super::fuzzing::monitor(format!("1.000000 [0 lua] \"{noise}\"").as_bytes());
        }
    }
}
