//! Which servers a URL or a [`Config`](super::Config) names: one, the seeds of a cluster, or sentinels.

use std::fmt;

use super::{Address, Secret};
use crate::error::{Error, Result};

/// The port that sentinels listen on unless told otherwise.
pub(crate) const SENTINEL_PORT: u16 = 26379;

/// Where to begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Servers {
    One(Address),
    /// Some nodes of a cluster, which know the others.
    Cluster(Vec<Address>),
    /// Sentinels, and what they call the primary.
    Sentinel(Vec<Address>, String),
}

/// What concerns sentinels and not the servers that they watch.
#[derive(Clone, Default)]
pub(crate) struct SentinelSettings {
    pub(crate) username: Option<String>,
    pub(crate) password: Option<Secret<String>>,
    /// A replica is wanted, and the primary where there is none.
    pub(crate) replica: bool,
}

impl Servers {
    pub(crate) fn addresses(&self) -> &[Address] {
        match self {
            Self::One(address) => std::slice::from_ref(address),
            Self::Cluster(addresses) | Self::Sentinel(addresses, _) => addresses,
        }
    }

    /// Refuses what no socket can be opened to.
    pub(super) fn check(&self) -> Result<()> {
        let what = match self {
            Self::One(_) => "server",
            Self::Cluster(_) => "node of the cluster",
            Self::Sentinel(..) => "sentinel",
        };
        let addresses = self.addresses();
        if addresses.is_empty() {
            return Err(Error::config(format!(
                "there is no {what}: name at least one"
            )));
        }
        for address in addresses {
            address.check()?;
            if !matches!(self, Self::One(_)) && matches!(address, Address::Unix(_)) {
                return Err(Error::config(format!(
                    "a {what} has a host and a port, and is not reached over a Unix socket"
                )));
            }
        }
        match self {
            Self::Sentinel(_, service) if service.is_empty() => Err(Error::config(
                "the name is missing that the sentinels know the primary by: write \
                 redis+sentinel://host:26379/mymaster",
            )),
            _ => Ok(()),
        }
    }
}

impl SentinelSettings {
    pub(super) fn check(&self, servers: &Servers) -> Result<()> {
        let of_sentinels = matches!(servers, Servers::Sentinel(..));
        if !of_sentinels && (self.username.is_some() || self.password.is_some() || self.replica) {
            return Err(Error::config(
                "a setting of sentinels stands beside a server that is none: begin with \
                 redis+sentinel://host:26379/mymaster or Config::sentinel",
            ));
        }
        if self.username.is_some() && self.password.is_none() {
            return Err(Error::config(
                "there is a user for the sentinels and no password: give sentinel_password too",
            ));
        }
        Ok(())
    }
}

impl fmt::Debug for SentinelSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("SentinelSettings");
        match &self.password {
            // Somebody may have taken the password for the user.
            None => debug.field("username", &self.username.as_ref().map(Secret::new)),
            Some(_) => debug.field("username", &self.username),
        };
        debug
            .field("password", &self.password)
            .field("replica", &self.replica)
            .finish()
    }
}
