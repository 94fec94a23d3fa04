//! Frames as a server writes them, for a [`ScriptedPeer`](crate::ScriptedPeer) to send.
//!
//! Written apart from the client under test, after the protocol's specification, so that a mistake
//! of the client is not made twice.
//!
//! ```
//! use tidings_testkit::{Protocol, frame};
//!
//! let push = frame::message(Protocol::Resp3, "news", "hello");
//! assert_eq!(push, b">3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$5\r\nhello\r\n");
//! ```

use crate::Protocol;

/// `+OK`.
#[must_use]
pub fn simple(text: &str) -> Vec<u8> {
    format!("+{text}\r\n").into_bytes()
}

/// `-ERR …`; the text begins with its code.
#[must_use]
pub fn error(text: &str) -> Vec<u8> {
    format!("-{text}\r\n").into_bytes()
}

/// `:7`.
#[must_use]
pub fn integer(number: i64) -> Vec<u8> {
    format!(":{number}\r\n").into_bytes()
}

/// A string of any bytes.
#[must_use]
pub fn bulk(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let bytes = bytes.as_ref();
    let mut frame = format!("${}\r\n", bytes.len()).into_bytes();
    frame.extend_from_slice(bytes);
    frame.extend_from_slice(b"\r\n");
    frame
}

/// Nothing: `$-1` in RESP2, `_` in RESP3.
#[must_use]
pub fn null(protocol: Protocol) -> Vec<u8> {
    match protocol {
        Protocol::Resp2 => b"$-1\r\n".to_vec(),
        Protocol::Resp3 => b"_\r\n".to_vec(),
    }
}

/// An array of whole frames.
#[must_use]
pub fn array<F: AsRef<[u8]>>(elements: impl IntoIterator<Item = F>) -> Vec<u8> {
    aggregate('*', elements)
}

/// What the server says of its own accord: a push in RESP3, an array in RESP2.
#[must_use]
pub fn push<F: AsRef<[u8]>>(protocol: Protocol, elements: impl IntoIterator<Item = F>) -> Vec<u8> {
    match protocol {
        Protocol::Resp2 => aggregate('*', elements),
        Protocol::Resp3 => aggregate('>', elements),
    }
}

/// Keys and values, each a whole frame: a map in RESP3, a flat array in RESP2.
#[must_use]
pub fn map<F: AsRef<[u8]>>(protocol: Protocol, pairs: impl IntoIterator<Item = (F, F)>) -> Vec<u8> {
    let flat: Vec<F> = pairs
        .into_iter()
        .flat_map(|(key, value)| [key, value])
        .collect();
    match protocol {
        Protocol::Resp2 => aggregate('*', flat),
        Protocol::Resp3 => {
            let mut frame = format!("%{}\r\n", flat.len() / 2).into_bytes();
            frame.extend(flat.iter().flat_map(|element| element.as_ref()));
            frame
        }
    }
}

/// A message of a channel.
#[must_use]
pub fn message(
    protocol: Protocol,
    channel: impl AsRef<[u8]>,
    payload: impl AsRef<[u8]>,
) -> Vec<u8> {
    push(protocol, [bulk("message"), bulk(channel), bulk(payload)])
}

/// A message of a channel that a pattern matches.
#[must_use]
pub fn pmessage(
    protocol: Protocol,
    pattern: impl AsRef<[u8]>,
    channel: impl AsRef<[u8]>,
    payload: impl AsRef<[u8]>,
) -> Vec<u8> {
    push(
        protocol,
        [
            bulk("pmessage"),
            bulk(pattern),
            bulk(channel),
            bulk(payload),
        ],
    )
}

/// A message of a shard channel.
#[must_use]
pub fn smessage(
    protocol: Protocol,
    channel: impl AsRef<[u8]>,
    payload: impl AsRef<[u8]>,
) -> Vec<u8> {
    push(protocol, [bulk("smessage"), bulk(channel), bulk(payload)])
}

/// What answers each name of a `subscribe`, `unsubscribe`, `psubscribe`, …: the kind, the name, and
/// how many subscriptions there are now.
#[must_use]
pub fn confirmation(protocol: Protocol, kind: &str, name: impl AsRef<[u8]>, count: i64) -> Vec<u8> {
    push(protocol, [bulk(kind), bulk(name), integer(count)])
}

/// What answers an `UNSUBSCRIBE` without names where nothing was subscribed.
#[must_use]
pub fn confirmation_without_name(protocol: Protocol, kind: &str, count: i64) -> Vec<u8> {
    push(protocol, [bulk(kind), null(protocol), integer(count)])
}

/// What RESP2 answers to `PING` while the connection is subscribed: `["pong", text]`.
#[must_use]
pub fn subscribed_pong(text: impl AsRef<[u8]>) -> Vec<u8> {
    array([bulk("pong"), bulk(text)])
}

fn aggregate<F: AsRef<[u8]>>(kind: char, elements: impl IntoIterator<Item = F>) -> Vec<u8> {
    let mut body = Vec::new();
    let mut count = 0;
    for element in elements {
        body.extend_from_slice(element.as_ref());
        count += 1;
    }
    let mut frame = format!("{kind}{count}\r\n").into_bytes();
    frame.append(&mut body);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pushes_are_arrays_in_resp2_and_pushes_in_resp3() {
        let frames = Protocol::ALL.map(|protocol| confirmation(protocol, "subscribe", "a", 1));
        assert_eq!(frames[0], b"*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n");
        assert_eq!(frames[1], b">3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n");
        let frames =
            Protocol::ALL.map(|protocol| confirmation_without_name(protocol, "unsubscribe", 0));
        assert_eq!(frames[0], b"*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n");
        assert_eq!(frames[1], b">3\r\n$11\r\nunsubscribe\r\n_\r\n:0\r\n");
    }

    #[test]
    fn maps_are_flat_in_resp2() {
        let of = |protocol| map(protocol, [(bulk("k"), integer(1))]);
        assert_eq!(of(Protocol::Resp2), b"*2\r\n$1\r\nk\r\n:1\r\n");
        assert_eq!(of(Protocol::Resp3), b"%1\r\n$1\r\nk\r\n:1\r\n");
    }
}
