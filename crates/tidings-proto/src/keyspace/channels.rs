//! The channels that tell of keys.

use super::flags::NotifyFlags;
use super::operations::class_of;
use super::pattern::{escape_pattern, literal};
use crate::blob::Blob;
use crate::pubsub::SubscriptionKind;

/// Numbers of databases have at most so many digits, where all are wanted: 9 999 is the last. `*` would match what stands
/// in a key as well.
const DIGITS: usize = 4;

/// `__keyspace@<database>__:<key>`, whose messages are operations.
const OF_KEYS: &[u8] = b"__keyspace@";

/// `__keyevent@<database>__:<operation>`, whose messages are keys.
const OF_OPERATIONS: &[u8] = b"__keyevent@";

const AFTER_DATABASE: &[u8] = b"__:";

/// A pattern of all keys.
const ALL_KEYS: &[u8] = b"*";

/// What to subscribe to for some keys and operations, so that each notification comes once.
///
/// Some operations on all keys come by the channels of these operations, so that the server sends no others; anything else
/// by those of keys.
///
/// ```
/// use tidings_proto::keyspace::KeyspaceChannels;
/// use tidings_proto::pubsub::SubscriptionKind;
///
/// let channels = KeyspaceChannels::new(Some(0), "user:*".into(), None);
/// let (kind, name) = &channels.names()[0];
/// assert_eq!((*kind, &**name), (SubscriptionKind::Pattern, &b"__keyspace@0__:user:*"[..]));
/// let read = channels.read(b"__keyspace@0__:user:1", b"set").unwrap();
/// assert_eq!((read.database, read.key, read.operation), (0, &b"user:1"[..], &b"set"[..]));
/// ```
#[derive(Clone, Debug)]
pub struct KeyspaceChannels {
    /// `None`: all of them.
    database: Option<u32>,
    keys: Blob,
    /// `None`: all of them.
    operations: Option<Vec<Blob>>,
}

/// What one message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "there is no more in a message")]
pub struct Notification<'a> {
    /// The number of the key's database.
    pub database: u32,
    /// The key.
    pub key: &'a [u8],
    /// What was done to it, as the server calls it.
    pub operation: &'a [u8],
}

impl KeyspaceChannels {
    /// Of one database, or of all; for keys that match a pattern; of these operations, or of all.
    pub fn new(database: Option<u32>, keys: Blob, operations: Option<Vec<Blob>>) -> Self {
        let operations = operations.map(|operations| {
            let mut operations: Vec<Blob> =
                operations.into_iter().map(as_servers_call_it).collect();
            operations.sort_unstable();
            operations.dedup();
            operations
        });
        Self {
            database,
            keys,
            operations,
        }
    }

    /// Whether what comes has to be looked at, since not all of it is wanted.
    pub fn is_selective(&self) -> bool {
        self.operations.is_some() && self.by_operations().is_none()
    }

    /// The operations, if their channels are subscribed to.
    fn by_operations(&self) -> Option<&[Blob]> {
        let operations = self.operations.as_deref()?;
        (*self.keys == *ALL_KEYS).then_some(operations)
    }

    /// What to subscribe to. A channel matches no more than one of these.
    pub fn names(&self) -> Vec<(SubscriptionKind, Blob)> {
        let (prefix, ends): (_, Vec<Vec<u8>>) = match self.by_operations() {
            Some(operations) => {
                let operations = operations.iter().map(|name| escape_pattern(name));
                (OF_OPERATIONS, operations.collect())
            }
            None => (OF_KEYS, vec![self.keys.to_vec()]),
        };
        let mut names = Vec::new();
        for end in ends {
            match self.database {
                Some(database) => {
                    let database = database.to_string();
                    let name = |end: &[u8]| joined(prefix, database.as_bytes(), end);
                    names.push(match literal(&end) {
                        Some(end) => (SubscriptionKind::Channel, name(&end)),
                        None => (SubscriptionKind::Pattern, name(&end)),
                    });
                }
                None => names.extend((1..=DIGITS).map(|digits| {
                    let name = joined(prefix, "[0-9]".repeat(digits).as_bytes(), &end);
                    (SubscriptionKind::Pattern, name)
                })),
            }
        }
        names
    }

    /// What `notify-keyspace-events` has to have.
    pub fn needed(&self) -> NotifyFlags {
        let channels = match self.by_operations() {
            Some(_) => b'E',
            None => b'K',
        };
        match &self.operations {
            Some(operations) => {
                NotifyFlags::of_operations(channels, operations.iter().map(|name| &**name))
            }
            None => NotifyFlags::of_usual(channels),
        }
    }

    /// What a message says; `None` if it is none of a notification that is wanted.
    pub fn read<'a>(&self, channel: &'a [u8], payload: &'a [u8]) -> Option<Notification<'a>> {
        let (rest, is_of_key) = match channel.strip_prefix(OF_KEYS) {
            Some(rest) => (rest, true),
            None => (channel.strip_prefix(OF_OPERATIONS)?, false),
        };
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (database, rest) = rest.split_at_checked(digits)?;
        let database = std::str::from_utf8(database).ok()?.parse().ok()?;
        let end = rest.strip_prefix(AFTER_DATABASE)?;
        let (key, operation) = if is_of_key {
            (end, payload)
        } else {
            (payload, end)
        };
        let is_wanted = match &self.operations {
            Some(operations) => operations.iter().any(|wanted| **wanted == *operation),
            None => true,
        };
        is_wanted.then_some(Notification {
            database,
            key,
            operation,
        })
    }
}

/// Those that are known have small letters.
fn as_servers_call_it(operation: Blob) -> Blob {
    let small = operation.to_ascii_lowercase();
    match class_of(&small) {
        Some(_) => Blob::copy_from(&small),
        None => operation,
    }
}

fn joined(prefix: &[u8], database: &[u8], end: &[u8]) -> Blob {
    Blob::copy_from(&[prefix, database, AFTER_DATABASE, end].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(channels: &KeyspaceChannels) -> Vec<String> {
        let names = channels.names().into_iter();
        names
            .map(|(kind, name)| format!("{kind:?} {}", String::from_utf8_lossy(&name)))
            .collect()
    }

    fn channels(
        database: Option<u32>,
        keys: &str,
        operations: Option<&[&str]>,
    ) -> KeyspaceChannels {
        let operations = operations.map(|names| names.iter().map(|name| (*name).into()).collect());
        KeyspaceChannels::new(database, keys.into(), operations)
    }

    #[test]
    fn keys_come_by_their_pattern_or_if_it_is_one_by_its_channel() {
        assert_eq!(
            names(&channels(Some(0), "user:*", None)),
            ["Pattern __keyspace@0__:user:*"]
        );
        assert_eq!(
            names(&channels(Some(3), "a\\[1]", Some(&["set"]))),
            ["Channel __keyspace@3__:a[1]"]
        );
        assert_eq!(
            names(&channels(None, "a\\[1]", None)),
            [
                "Pattern __keyspace@[0-9]__:a\\[1]",
                "Pattern __keyspace@[0-9][0-9]__:a\\[1]",
                "Pattern __keyspace@[0-9][0-9][0-9]__:a\\[1]",
                "Pattern __keyspace@[0-9][0-9][0-9][0-9]__:a\\[1]",
            ]
        );
    }

    #[test]
    fn some_operations_on_all_keys_come_by_their_channels() {
        let some = channels(Some(0), "*", Some(&["SET", "expired", "set"]));
        assert_eq!(
            names(&some),
            [
                "Channel __keyevent@0__:expired",
                "Channel __keyevent@0__:set"
            ]
        );
        assert_eq!(some.needed().to_string(), "E$x");
        let all = channels(None, "*", Some(&["a*b"]));
        assert_eq!(names(&all)[0], "Pattern __keyevent@[0-9]__:a\\*b");
        assert_eq!(all.needed().to_string(), "EA");
        assert_eq!(channels(Some(0), "*", None).needed().to_string(), "KA");
    }

    #[test]
    fn a_message_of_either_kind_says_database_key_and_operation() {
        let all = channels(None, "*", None);
        let read = |channel: &str, payload: &str| {
            let read = all.read(channel.as_bytes(), payload.as_bytes())?;
            let [key, operation] = [read.key, read.operation].map(String::from_utf8_lossy);
            Some(format!("{} {key} {operation}", read.database))
        };
        for (channel, payload, expected) in [
            ("__keyspace@0__:a", "set", Some("0 a set")),
            ("__keyspace@12__:a__:b", "del", Some("12 a__:b del")),
            ("__keyspace@0__:", "set", Some("0  set")),
            ("__keyevent@7__:expired", "a b", Some("7 a b expired")),
            ("__keyspace@__:a", "set", None),
            ("__keyspace@x__:a", "set", None),
            ("__keyspace@0_:a", "set", None),
            ("__keyspace@99999999999__:a", "set", None),
            ("news", "set", None),
        ] {
            assert_eq!(read(channel, payload).as_deref(), expected, "{channel}");
        }
    }

    #[test]
    fn operations_that_are_not_wanted_are_left_out() {
        let some = channels(Some(0), "user:*", Some(&["set"]));
        assert!(some.read(b"__keyspace@0__:user:1", b"set").is_some());
        assert!(some.read(b"__keyspace@0__:user:1", b"expire").is_none());
        assert_eq!(some.needed().to_string(), "K$");
    }
}
