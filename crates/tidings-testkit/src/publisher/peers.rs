//! Where it is published.

use std::net::SocketAddr;

/// One server, or the nodes of a cluster, of which one is published at now.
#[derive(Clone, Debug)]
pub(super) struct Peers {
    addresses: Vec<SocketAddr>,
    at: usize,
    /// Where it was before.
    before: Option<usize>,
}

impl Peers {
    pub(super) fn one(address: SocketAddr) -> Self {
        Self::many(vec![address])
    }

    pub(super) fn many(addresses: Vec<SocketAddr>) -> Self {
        Self {
            addresses,
            at: 0,
            before: None,
        }
    }

    pub(super) fn current(&self) -> SocketAddr {
        self.addresses[self.at]
    }

    /// This one cannot be reached; another one may know more.
    pub(super) fn go_on(&mut self) {
        self.at = (self.at + 1) % self.addresses.len();
    }

    /// Goes where a refusal says, if it does (`MOVED 3999 127.0.0.1:6381`), or to another node. Whether there is one.
    pub(super) fn follow(&mut self, refusal: &str) -> bool {
        if !self.are_many() {
            return false;
        }
        let moved = refusal.strip_prefix("MOVED ");
        let address = moved.and_then(|moved| moved.split(' ').nth(1)?.parse().ok());
        let Some(address) = address else {
            self.go_on();
            return true;
        };
        self.go_to(address);
        true
    }

    pub(super) fn go_to(&mut self, address: SocketAddr) {
        let known = self.addresses.iter().position(|known| *known == address);
        self.at = known.unwrap_or_else(|| {
            self.addresses.push(address);
            self.addresses.len() - 1
        });
    }

    /// Whether it has become another one since this was asked.
    pub(super) fn is_new(&mut self) -> bool {
        let before = self.before.replace(self.at);
        before.is_some_and(|before| before != self.at)
    }

    pub(super) fn are_many(&self) -> bool {
        self.addresses.len() > 1
    }
}

#[cfg(test)]
mod tests {
    use super::Peers;

    #[test]
    fn a_redirection_is_followed_also_to_a_node_that_was_not_known() {
        let address = |port: u16| ([127, 0, 0, 1], port).into();
        let mut peers = Peers::many(vec![address(1), address(2)]);
        peers.go_on();
        assert_eq!(peers.current(), address(2));
        assert!(peers.follow("MOVED 3999 127.0.0.1:3"));
        assert_eq!(peers.current(), address(3));
        assert!(peers.follow("CLUSTERDOWN The cluster is down"));
        assert_eq!(peers.current(), address(1));
    }

    #[test]
    fn one_server_stays_the_one() {
        let mut peers = Peers::one(([127, 0, 0, 1], 1).into());
        assert!(!peers.follow("MOVED 3999 127.0.0.1:3"));
        peers.go_on();
        assert_eq!(peers.current().port(), 1);
    }
}
