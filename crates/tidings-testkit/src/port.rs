use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use socket2::{Domain, Socket, Type};

/// A port on 127.0.0.1 that stays ours, also while the server on it is down.
///
/// On Linux a bound socket that never listens holds it: with `SO_REUSEADDR` set after the bind, a
/// server of our own can listen beside it (servers set that option too), while an exclusive bind by
/// another test process fails. Elsewhere the port is only known to have been free a moment ago.
#[derive(Debug)]
pub(crate) struct Port {
    number: u16,
    _held: Option<Socket>,
}

/// Below the ephemeral ports of every system: a client that dials a dead server's port can then not
/// be given that very port for its own end and so connect to itself. The cluster bus (port + 10000)
/// stays below them too, and outside of this range.
const FIRST: u32 = 10_000;
const COUNT: u32 = 10_000;

impl Port {
    /// A free one.
    pub(crate) fn free() -> io::Result<Self> {
        static NEXT: OnceLock<AtomicU32> = OnceLock::new();
        let next = NEXT.get_or_init(|| AtomicU32::new(scattered_start()));
        for _ in 0..COUNT {
            let number = FIRST + next.fetch_add(1, Ordering::Relaxed) % COUNT;
            let number = u16::try_from(number).map_err(io::Error::other)?;
            match Self::hold(number) {
                Err(error) if is_taken(&error) => {}
                held => return held,
            }
        }
        Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            "every port from 10000 to 19999 is taken",
        ))
    }

    /// This very one.
    pub(crate) fn fixed(number: u16) -> Self {
        Self {
            number,
            _held: None,
        }
    }

    pub(crate) fn number(&self) -> u16 {
        self.number
    }

    /// A listener of our own on it.
    pub(crate) fn listen(&self) -> io::Result<TcpListener> {
        TcpListener::bind(local(self.number))
    }

    fn hold(number: u16) -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.bind(&local(number).into())?;
        if cfg!(target_os = "linux") {
            socket.set_reuse_address(true)?;
            return Ok(Self {
                number,
                _held: Some(socket),
            });
        }
        Ok(Self {
            number,
            _held: None,
        })
    }
}

pub(crate) fn local(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// Test processes that start together should not walk over the same ports.
fn scattered_start() -> u32 {
    let nanos = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |now| now.subsec_nanos());
    (nanos / 1_000).wrapping_add(process::id().wrapping_mul(7_919)) % COUNT
}

fn is_taken(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_ports_are_two() {
        let (one, other) = (Port::free().unwrap(), Port::free().unwrap());
        assert_ne!(one.number(), other.number());
    }

    #[test]
    fn a_held_port_is_ours_again_and_again() {
        let port = Port::free().unwrap();
        for _ in 0..3 {
            let listener = port.listen().unwrap();
            drop(listener);
        }
        if cfg!(target_os = "linux") {
            assert!(Port::hold(port.number()).is_err());
        }
    }
}
