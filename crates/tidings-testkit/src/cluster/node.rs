//! One node of a cluster.

use std::fmt;
use std::net::IpAddr;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};

use super::view::View;
use crate::Server;
use crate::admin::AdminReply;
use crate::protocol::Protocol;
use crate::proxy::Proxy;

/// A server that is a node of a [`Cluster`](super::Cluster), with all that a [`Server`] can:
/// [`admin`](Server::admin), [`kill`](Server::kill), [`freeze`](Server::freeze), …
///
/// A node that is started again still knows who it was, but not its keys. It says that it is
/// wherever [`address`](Self::address) is, which is a proxy's in a cluster
/// [behind proxies](super::ClusterBuilder::behind_proxies); its own address is
/// [`socket_address`](Server::socket_address).
pub struct ClusterNode {
    server: Server,
    id: String,
    proxies: Option<Proxies>,
    is_cut_off: AtomicBool,
    /// Counted over all that the cluster ever had.
    number: usize,
}

/// What stands before a node.
#[derive(Debug)]
pub(crate) struct Proxies {
    /// Before its port for clients, and for its replicas.
    pub(crate) clients: Proxy,
    /// Before its port for other nodes.
    pub(crate) bus: Proxy,
}

impl ClusterNode {
    pub(crate) fn of(server: Server, proxies: Option<Proxies>, number: usize) -> Self {
        let id = server.cli(["CLUSTER", "MYID"]);
        Self {
            server,
            id,
            proxies,
            is_cut_off: AtomicBool::new(false),
            number,
        }
    }

    /// The 40 digits that the cluster knows it by.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// `127.0.0.1:port`, as `CLUSTER SLOTS` and `MOVED` tell it.
    #[must_use]
    pub fn address(&self) -> String {
        self.proxies.as_ref().map_or_else(
            || self.server.address(),
            |proxies| proxies.clients.address(),
        )
    }

    /// The port of [`address`](Self::address).
    #[must_use]
    pub fn port(&self) -> u16 {
        self.proxies
            .as_ref()
            .map_or_else(|| self.server.port(), |proxies| proxies.clients.port())
    }

    /// `redis://` and [`address`](Self::address), with the password if there is one.
    #[must_use]
    pub fn url(&self) -> String {
        self.proxies.as_ref().map_or_else(
            || self.server.url(),
            |proxies| self.server.url_via(&proxies.clients),
        )
    }

    /// [`url`](Self::url) with `?protocol=2` or `?protocol=3`.
    #[must_use]
    pub fn url_for(&self, protocol: Protocol) -> String {
        format!("{}?protocol={}", self.url(), protocol.number())
    }

    /// The proxy between clients and this node.
    ///
    /// # Panics
    ///
    /// If the cluster is not [behind proxies](super::ClusterBuilder::behind_proxies).
    #[must_use]
    #[track_caller]
    pub fn proxy(&self) -> &Proxy {
        &self.proxies().clients
    }

    /// Whether it has been [cut off](super::Cluster::cut_off) from the other nodes.
    #[must_use]
    pub fn is_cut_off(&self) -> bool {
        self.is_cut_off.load(Ordering::SeqCst)
    }

    pub(super) fn set_cut_off(&self, cut_off: bool) {
        self.is_cut_off.store(cut_off, Ordering::SeqCst);
    }

    #[track_caller]
    pub(super) fn proxies(&self) -> &Proxies {
        self.proxies
            .as_ref()
            .expect("the cluster was started without behind_proxies()")
    }

    /// The address and the port of the bus at which other nodes find it.
    pub(super) fn meeting_point(&self) -> [String; 3] {
        let bus = self.proxies.as_ref().map_or_else(
            || self.server.port() + super::builder::BUS_OFFSET,
            |proxies| proxies.bus.port(),
        );
        let host = "127.0.0.1".to_owned();
        [host, self.port().to_string(), bus.to_string()]
    }

    /// Whence it calls others, if it is behind proxies.
    pub(super) fn source(&self) -> IpAddr {
        super::builder::source_address(self.number).into()
    }

    /// Whether it takes part in what the cluster agrees on.
    pub(super) fn is_live(&self) -> bool {
        !self.is_cut_off() && self.server.is_awake()
    }

    /// What it says of the cluster. An error says why there is nothing.
    pub(super) fn view(&self) -> Result<View, String> {
        let text = self.question(["CLUSTER", "NODES"])?;
        View::parse(&text).ok_or_else(|| format!("{self} answered CLUSTER NODES with {text:?}"))
    }

    /// A field of `CLUSTER INFO` or `INFO`.
    pub(super) fn field<const N: usize>(
        &self,
        question: [&str; N],
        field: &str,
    ) -> Result<String, String> {
        let text = self.question(question)?;
        text.lines()
            .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))
            .map(|value| value.trim().to_owned())
            .ok_or_else(|| format!("{self} tells no {field}"))
    }

    fn question<const N: usize>(&self, question: [&str; N]) -> Result<String, String> {
        match self.server.try_admin(question) {
            Ok(AdminReply::Error(text)) => Err(format!("{self} says {text}")),
            Ok(reply) => Ok(reply.to_string()),
            Err(error) => Err(format!("{self} cannot be asked: {error}")),
        }
    }
}

impl Deref for ClusterNode {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

/// Its address.
impl fmt::Display for ClusterNode {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.address())
    }
}

impl fmt::Debug for ClusterNode {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("ClusterNode")
            .field("id", &self.id)
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

/// The same node of the same cluster.
impl PartialEq for ClusterNode {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for ClusterNode {}
