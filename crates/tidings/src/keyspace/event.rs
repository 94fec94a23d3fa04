//! What keyspace notifications say.

use std::borrow::Cow;
use std::fmt;

use tidings_proto::cluster::Address;
use tidings_proto::{Blob, Charset};

use crate::pubsub::Gap;

/// One item of [`KeyspaceEvents`](crate::KeyspaceEvents).
#[non_exhaustive]
#[derive(Debug, Clone)]
pub enum KeyspaceEvent {
    /// Something was done to a key.
    Key(KeyEvent),
    /// Events may be missing at this place: [`Gap::node`] says of which server.
    Gap(Gap),
}

impl KeyspaceEvent {
    /// What was done to a key, if it is that.
    pub fn key_event(&self) -> Option<&KeyEvent> {
        match self {
            Self::Key(event) => Some(event),
            Self::Gap(_) => None,
        }
    }

    /// What was done to a key, if it is that.
    pub fn into_key_event(self) -> Option<KeyEvent> {
        match self {
            Self::Key(event) => Some(event),
            Self::Gap(_) => None,
        }
    }

    /// The gap, if it is one.
    pub fn gap(&self) -> Option<&Gap> {
        match self {
            Self::Gap(gap) => Some(gap),
            Self::Key(_) => None,
        }
    }
}

/// That something was done to a key.
#[derive(Clone)]
pub struct KeyEvent {
    pub(super) node: Address,
    pub(super) database: u32,
    pub(super) key: Blob,
    pub(super) operation: Blob,
    pub(super) charset: Charset,
}

impl KeyEvent {
    /// The server that it came from. Where that is at a Unix socket, the host is its path, and the port 0.
    pub fn node(&self) -> &Address {
        &self.node
    }

    /// The number of the key's database.
    pub fn database(&self) -> u32 {
        self.database
    }

    /// The key.
    pub fn key(&self) -> &[u8] {
        &self.key
    }

    /// The key as text, which is UTF-8 unless the [configuration](crate::Config#charset) names another charset; bytes
    /// that are none are replaced.
    pub fn key_str(&self) -> Cow<'_, str> {
        self.charset.decode_lossy(&self.key)
    }

    /// What was done, as servers call it: `set`, `del`, `expired`, `lpush`, … Many commands say what they come to rather
    /// than their names (`SETEX` is a `set` and an `expire`); the servers' [list](https://valkey.io/topics/notifications/)
    /// has them all.
    pub fn operation(&self) -> &[u8] {
        &self.operation
    }

    /// What was done, as text.
    pub fn operation_str(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.operation)
    }

    /// Whether the key was removed: `del`, `expired`, `evicted`, or that it went elsewhere (`rename_from`, `move_from`). A
    /// key that its last element was taken from is told of by a `del` as well.
    pub fn removes_key(&self) -> bool {
        [
            &b"del"[..],
            b"expired",
            b"evicted",
            b"rename_from",
            b"move_from",
        ]
        .contains(&self.operation())
    }
}

impl fmt::Debug for KeyEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyEvent")
            .field("operation", &self.operation_str())
            .field("key", &self.key_str())
            .field("database", &self.database)
            .field("node", &self.node)
            .finish()
    }
}
