//! What real servers answered, for tests: `replies/*.txt`.
//!
//! Five nodes, asked at the first: three with slots, of which 8001 is nobody's, a replica of the first, and one
//! without slots. The second has a host name. `alone` is before they met, `hostname` and `unknown` are with
//! `cluster-preferred-endpoint-type` of that name, `failed` is with the second and the replica killed. The ports end
//! in the node's number. A blank stands for each end of a line.

/// Replies of one server.
pub(super) struct Server {
    pub(super) name: &'static str,
    text: &'static str,
}

pub(super) const SERVERS: [Server; 3] = [
    Server {
        name: "redis-7.0.15",
        text: include_str!("replies/redis-7.0.15.txt"),
    },
    Server {
        name: "redis-8.0.6",
        text: include_str!("replies/redis-8.0.6.txt"),
    },
    Server {
        name: "valkey-9.1.2",
        text: include_str!("replies/valkey-9.1.2.txt"),
    },
];

impl Server {
    /// What it answered, by name: `whole shards resp2`.
    pub(super) fn reply(&self, what: &str) -> Vec<u8> {
        let mut replies = self.replies();
        let (_, wire) = replies.find(|(name, _)| *name == what).unwrap();
        wire
    }

    pub(super) fn replies(&self) -> impl Iterator<Item = (&'static str, Vec<u8>)> {
        let split = |line: &'static str| line.split_once(": ").unwrap();
        let replies = self.text.lines().map(split);
        replies.map(|(name, text)| (name, wire(text)))
    }
}

/// The bytes of a reply that is written with blanks for ends of lines. Errors keep theirs.
pub(super) fn wire(text: &str) -> Vec<u8> {
    if text.starts_with('-') {
        return format!("{}\r\n", text.trim_end()).into_bytes();
    }
    text.replace(' ', "\r\n").into_bytes()
}
