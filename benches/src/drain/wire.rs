//! What the canned server says, in bytes.

use tidings_testkit::SLOTS;

/// The protocol that a connection chose with HELLO.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Resp2,
    Resp3,
}

impl Protocol {
    pub(crate) fn number(self) -> u8 {
        match self {
            Self::Resp2 => 2,
            Self::Resp3 => 3,
        }
    }

    fn push(self) -> char {
        match self {
            Self::Resp2 => '*',
            Self::Resp3 => '>',
        }
    }
}

/// What the payload of the last message begins with; the time at which the stream began follows, in
/// [`MARKER_DIGITS`] digits. Other payloads begin with a digit.
pub(crate) const MARKER: &str = "end:";
const MARKER_DIGITS: usize = 20;
pub(crate) const MARKER_LEN: usize = MARKER.len() + MARKER_DIGITS;

/// The time in the payload of the last message, or `None` for any other payload.
#[inline]
pub(crate) fn stream_start(payload: &[u8]) -> Option<u64> {
    if payload.len() != MARKER_LEN {
        return None;
    }
    let digits = payload.strip_prefix(MARKER.as_bytes())?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// The last message.
pub(crate) fn marker(
    out: &mut Vec<u8>,
    protocol: Protocol,
    kind: &str,
    channel: &str,
    started: u64,
) {
    message(
        out,
        protocol,
        kind,
        channel,
        format!("{MARKER}{started:0MARKER_DIGITS$}").as_bytes(),
    );
}

pub(crate) fn message(
    out: &mut Vec<u8>,
    protocol: Protocol,
    kind: &str,
    channel: &str,
    payload: &[u8],
) {
    header(out, protocol.push(), 3);
    bulk(out, kind.as_bytes());
    bulk(out, channel.as_bytes());
    bulk(out, payload);
}

pub(crate) fn pattern_message(
    out: &mut Vec<u8>,
    protocol: Protocol,
    pattern: &str,
    channel: &str,
    payload: &[u8],
) {
    header(out, protocol.push(), 4);
    bulk(out, b"pmessage");
    bulk(out, pattern.as_bytes());
    bulk(out, channel.as_bytes());
    bulk(out, payload);
}

/// The answer to one name of `kind`, a subscribe or unsubscribe command in lower case.
pub(crate) fn confirmation(
    out: &mut Vec<u8>,
    protocol: Protocol,
    kind: &str,
    name: &[u8],
    count: usize,
) {
    header(out, protocol.push(), 3);
    bulk(out, kind.as_bytes());
    bulk(out, name);
    header(out, ':', count);
}

/// PONG; in RESP2 it has another shape while there are subscriptions.
pub(crate) fn pong(out: &mut Vec<u8>, protocol: Protocol, subscribed: bool, text: Option<&[u8]>) {
    if protocol == Protocol::Resp2 && subscribed {
        header(out, '*', 2);
        bulk(out, b"pong");
        bulk(out, text.unwrap_or_default());
    } else if let Some(text) = text {
        bulk(out, text);
    } else {
        simple(out, "PONG");
    }
}

/// The answer to HELLO.
pub(crate) fn hello(out: &mut Vec<u8>, protocol: Protocol) {
    match protocol {
        Protocol::Resp2 => header(out, '*', 14),
        Protocol::Resp3 => header(out, '%', 7),
    }
    for (name, value) in [("server", "redis"), ("version", "8.0.0")] {
        bulk(out, name.as_bytes());
        bulk(out, value.as_bytes());
    }
    for (name, value) in [("proto", protocol.number()), ("id", 1)] {
        bulk(out, name.as_bytes());
        header(out, ':', value.into());
    }
    for (name, value) in [("mode", "standalone"), ("role", "master")] {
        bulk(out, name.as_bytes());
        bulk(out, value.as_bytes());
    }
    bulk(out, b"modules");
    header(out, '*', 0);
}

/// The answer to CLUSTER SHARDS: a node at each of these ports has as many slots as the others.
pub(crate) fn shards(out: &mut Vec<u8>, ports: &[u16]) {
    let ends = (0..=ports.len()).map(|end| usize::from(SLOTS) * end / ports.len());
    let ends: Vec<usize> = ends.collect();
    header(out, '*', ports.len());
    for (node, port) in ports.iter().enumerate() {
        header(out, '*', 4);
        bulk(out, b"slots");
        header(out, '*', 2);
        header(out, ':', ends[node]);
        header(out, ':', ends[node + 1] - 1);
        bulk(out, b"nodes");
        header(out, '*', 1);
        header(out, '*', 10);
        bulk(out, b"port");
        header(out, ':', usize::from(*port));
        for (name, value) in [
            ("id", format!("{node:040}").as_str()),
            ("endpoint", "127.0.0.1"),
            ("role", "master"),
            ("health", "online"),
        ] {
            bulk(out, name.as_bytes());
            bulk(out, value.as_bytes());
        }
    }
}

pub(crate) fn simple(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(format!("+{text}\r\n").as_bytes());
}

pub(crate) fn error(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(format!("-{text}\r\n").as_bytes());
}

/// The mark of a type and a number: `*3`, `$16`, `:1`.
pub(crate) fn header(out: &mut Vec<u8>, mark: char, number: usize) {
    out.extend_from_slice(format!("{mark}{number}\r\n").as_bytes());
}

pub(crate) fn bulk(out: &mut Vec<u8>, bytes: &[u8]) {
    header(out, '$', bytes.len());
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
}
