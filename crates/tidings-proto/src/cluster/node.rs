//! A node of a cluster, as the nodes tell of each other.

use std::{fmt, sync::Arc};

/// Where a node is reached.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    host: Arc<str>,
    port: u16,
}

impl Address {
    /// A host name or an IP address (IPv6 without brackets), and a port.
    pub fn new(host: impl Into<Arc<str>>, port: u16) -> Self {
        Self {
            host: host.into(),
            port,
        }
    }

    /// The host's name or its IP address, IPv6 without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

/// An address whose host may be left out: then it is that of the node that told of it.
///
/// A node does so that does not know under which name its clients reach the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    host: Option<Arc<str>>,
    port: u16,
}

/// What a server says where it has no name for a host, and was told to prefer names.
const NO_NAME: &str = "?";

impl Endpoint {
    /// What a server says of a host, which may be nothing or `?`, and a port.
    pub fn new(host: &str, port: u16) -> Self {
        let host = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host);
        let is_there = !host.is_empty() && host != NO_NAME;
        Self {
            host: is_there.then(|| host.into()),
            port,
        }
    }

    /// Reads `host:port`, where the host may be missing, `?`, or an IPv6 address with brackets or without. `None` if
    /// that is not what it is, or the port is 0, which nothing listens on.
    pub fn parse(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let port = port.parse().ok().filter(|port| *port != 0)?;
        Some(Self::new(host, port))
    }

    /// The host, if one was told.
    pub fn host(&self) -> Option<&str> {
        self.host.as_deref()
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address, as told by the node at `asked`.
    #[must_use]
    pub fn told_by(&self, asked: &Address) -> Address {
        Address {
            host: self.host.as_ref().unwrap_or(&asked.host).clone(),
            port: self.port,
        }
    }
}

/// What a node does for its slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums, reason = "a node is the one or the other")]
pub enum Role {
    /// It takes the writes.
    Primary,
    /// It follows a primary.
    Replica,
}

/// How a node is, in the view of the node that was asked.
///
/// Better ones compare as greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Health {
    /// The cluster has agreed that it is gone.
    Failed,
    /// It is loading its data set: it refuses commands. So is a replica called that has nothing from its primary yet.
    Loading,
    /// It serves.
    Online,
}

/// A node of a cluster.
#[derive(Clone, PartialEq, Eq)]
pub struct Node {
    pub(super) id: Option<Arc<str>>,
    pub(super) address: Address,
    pub(super) hostname: Option<Arc<str>>,
    pub(super) role: Role,
    pub(super) health: Health,
    pub(super) replication_offset: Option<i64>,
}

impl Node {
    /// A node of which nothing is known but where it is, and what for.
    pub(super) fn at(address: Address, role: Role) -> Self {
        Self {
            id: None,
            address,
            hostname: None,
            role,
            health: Health::Online,
            replication_offset: None,
        }
    }

    /// Its name within the cluster, 40 hexadecimal digits that stay the same when its address changes; `None` if
    /// nothing but a redirection has told of it yet.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// Where it is reached.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The host name that it announces, which need not be how it is reached.
    pub fn hostname(&self) -> Option<&str> {
        self.hostname.as_deref()
    }

    /// Whether it takes writes.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Whether it takes writes.
    pub fn is_primary(&self) -> bool {
        self.role == Role::Primary
    }

    /// How it is, in the view of the node that was asked.
    pub fn health(&self) -> Health {
        self.health
    }

    /// How much of the stream of writes it has, in bytes, where that was told. It is some time old, and only good for
    /// comparing nodes of one shard.
    pub fn replication_offset(&self) -> Option<i64> {
        self.replication_offset
    }

    /// What it is told by from others: its id, or where it has none its address.
    pub(super) fn identity(&self) -> (&str, u16) {
        match &self.id {
            Some(id) => (id, 0),
            None => (&self.address.host, self.address.port),
        }
    }

    /// Whether this is the same node: by its id, or by its address where one has no id.
    pub(super) fn is_same_as(&self, other: &Self) -> bool {
        match (&self.id, &other.id) {
            (Some(id), Some(other)) => id == other,
            _ => self.address == other.address,
        }
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { role, health, .. } = self;
        write!(f, "{role:?} {} ({health:?})", self.address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_read_in_every_form_that_servers_write() {
        let asked = Address::new("asked", 1);
        for (text, shown) in [
            ("127.0.0.1:7000", "127.0.0.1:7000"),
            ("node-1.example.net:7001", "node-1.example.net:7001"),
            ("::1:7002", "[::1]:7002"),
            ("[fe80::2]:7003", "[fe80::2]:7003"),
            (":7004", "asked:7004"),
            ("?:7005", "asked:7005"),
        ] {
            let endpoint = Endpoint::parse(text).unwrap();
            assert_eq!(endpoint.told_by(&asked).to_string(), shown);
        }
    }

    #[test]
    fn what_is_no_endpoint_is_none() {
        for text in [
            "",
            "host",
            "host:",
            "host:x",
            "host:-1",
            "host:65536",
            "host:0",
        ] {
            assert_eq!(Endpoint::parse(text), None, "{text}");
        }
    }
}
