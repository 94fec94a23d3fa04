//! Where a server listens.

use std::fmt;
use std::net::Ipv6Addr;
use std::path::PathBuf;

use crate::error::{Error, Result};

/// The port Redis and Valkey listen on unless told otherwise.
pub(crate) const DEFAULT_PORT: u16 = 6379;

/// Where a server listens: what [`net::connect`](crate::net::connect) opens a socket to.
///
/// `Display` is what errors and logs call the server by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Address {
    /// `host` is a name or an IP address; an IPv6 address stands without brackets.
    Tcp { host: String, port: u16 },
    /// The path of a Unix socket.
    Unix(PathBuf),
}

impl Address {
    /// The address of a host and a port; brackets around an IPv6 address are taken off.
    pub(crate) fn tcp(host: impl Into<String>, port: u16) -> Self {
        let mut host = host.into();
        if let Some(inner) = host
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            host = inner.to_owned();
        }
        Self::Tcp { host, port }
    }

    /// Refuses what no socket can be opened to.
    pub(super) fn check(&self) -> Result<()> {
        match self {
            Self::Tcp { host, port } => {
                check_host(host)?;
                if *port == 0 {
                    return Err(Error::config(BAD_PORT));
                }
            }
            Self::Unix(_) if !cfg!(unix) => {
                return Err(Error::config(
                    "this platform has no Unix sockets: connect with redis://host:6379",
                ));
            }
            Self::Unix(path) => check_path(path)?,
        }
        Ok(())
    }
}

pub(super) const BAD_PORT: &str =
    "the port is not a number from 1 to 65535: write redis://host:6379";

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Errors do not repeat the host: where a delimiter is missing in a URL, it holds part of the password.
fn check_host(host: &str) -> Result<()> {
    if host.is_empty() {
        return Err(Error::config(
            "the host is missing: write redis://host:6379",
        ));
    }
    if host.contains(':') {
        // A link-local address may name its interface: fe80::1%eth0.
        let (address, zone) = host.split_once('%').unwrap_or((host, "0"));
        let well_formed = address.parse::<Ipv6Addr>().is_ok()
            && !zone.is_empty()
            && zone
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b));
        return if well_formed {
            Ok(())
        } else {
            Err(Error::config(
                "the host holds a ':' and is not an IPv6 address: write redis://host:6379 or redis://[::1]:6379",
            ))
        };
    }
    if !host
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
    {
        return Err(Error::config(
            "the host holds a character that host names do not have \
             (an international name is written in its ASCII form, xn--…)",
        ));
    }
    Ok(())
}

fn check_path(path: &std::path::Path) -> Result<()> {
    if path.as_os_str().is_empty() || path.as_os_str() == "/" {
        return Err(Error::config(
            "the path of the Unix socket is missing: write unix:///path/to/redis.sock",
        ));
    }
    if path.as_os_str().as_encoded_bytes().contains(&0) {
        return Err(Error::config(
            "the path of the Unix socket holds a NUL byte",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_as_it_is_written() {
        assert_eq!(
            Address::tcp("redis.example", 6379).to_string(),
            "redis.example:6379"
        );
        assert_eq!(Address::tcp("::1", 7000).to_string(), "[::1]:7000");
        assert_eq!(Address::tcp("[::1]", 7000), Address::tcp("::1", 7000));
        assert_eq!(
            Address::Unix("/run/redis.sock".into()).to_string(),
            "unix:/run/redis.sock"
        );
    }

    #[test]
    fn hosts_that_can_exist_are_accepted() {
        for host in [
            "localhost",
            "127.0.0.1",
            "my_redis-1.example.",
            "::1",
            "fe80::1%eth0",
        ] {
            Address::tcp(host, 1).check().unwrap();
        }
    }

    #[test]
    fn hosts_that_cannot_exist_are_refused_without_repeating_them() {
        for host in [
            "",
            "two words",
            "sek/rit",
            "sek:rit",
            "::1%",
            "[::1",
            "sek\nrit",
            "bücher",
        ] {
            let error = Address::tcp(host, 6379).check().unwrap_err().to_string();
            assert!(!error.contains("sek"), "{error}");
        }
        assert!(Address::tcp("localhost", 0).check().is_err());
    }

    #[cfg(unix)]
    #[test]
    fn a_unix_socket_needs_a_path() {
        assert!(Address::Unix("".into()).check().is_err());
        assert!(Address::Unix("/".into()).check().is_err());
        assert!(Address::Unix("/a\0b".into()).check().is_err());
        Address::Unix("relative.sock".into()).check().unwrap();
    }
}
