//! The only place where a socket is opened.

mod stream;
mod tcp;
#[cfg(feature = "tls")]
mod tls;
#[cfg(unix)]
mod unix;

use std::future::Future;
use std::io;
use std::time::Duration;

use tokio::time::Instant;

#[cfg(feature = "blocking")]
pub(crate) use stream::Socket;
pub(crate) use stream::Stream;
use stream::Transport;

use crate::config::{Address, Config};
use crate::error::{Error, Result};

/// Makes one attempt to connect, within [`Config::connect_timeout`] in all.
///
/// # Errors
///
/// They name the server and what to look at. A `Config` error (certificates that cannot be used) stays one
/// however often it is tried; `Connection` and `Timeout` errors may pass.
///
/// # Cancel safety
///
/// Dropping the future closes whatever was opened. Nothing was sent but, with TLS, a part of its handshake.
pub(crate) async fn connect(config: &Config) -> Result<Stream> {
    let address = config.server_address();
    let deadline = Deadline::after(config.time_to_connect());
    match address {
        Address::Tcp { host, port } => {
            let tcp = tcp::connect(address, host, *port, config, deadline).await?;
            // The address that was reached tells which of the host's servers it is.
            let reached = tcp
                .peer_addr()
                .map_or_else(|_| address.to_string(), |peer| peer.to_string());
            #[cfg(feature = "tls")]
            if let Some(tls) = config.tls_config() {
                let stream = tls::connect(tls, address, host, tcp, deadline).await?;
                let transport = Transport::Tls(Box::new(stream));
                return Ok(Stream::new(
                    transport,
                    described(host, &reached, " with TLS"),
                ));
            }
            Ok(Stream::new(
                Transport::Tcp(tcp),
                described(host, &reached, ""),
            ))
        }
        #[cfg(unix)]
        Address::Unix(path) => {
            let stream = unix::connect(address, path, deadline).await?;
            Ok(Stream::new(Transport::Unix(stream), address.to_string()))
        }
        #[cfg(not(unix))]
        Address::Unix(_) => Err(Error::config("this platform has no Unix sockets")),
    }
}

fn described(host: &str, reached: &str, suffix: &str) -> String {
    if host.parse::<std::net::IpAddr>().is_ok() {
        format!("{reached}{suffix}")
    } else {
        format!("{reached} ({host}){suffix}")
    }
}

/// When an attempt is over, whatever part of it is under way.
#[derive(Debug, Clone, Copy)]
struct Deadline {
    at: Instant,
    allowed: Duration,
}

impl Deadline {
    fn after(allowed: Duration) -> Self {
        Self {
            at: Instant::now() + allowed,
            allowed,
        }
    }

    /// `part` says what took too long, and what to do about it.
    async fn bound<T>(
        self,
        address: &Address,
        part: &str,
        future: impl Future<Output = T>,
    ) -> Result<T> {
        tokio::time::timeout_at(self.at, future).await.map_err(|_| {
            Error::timeout(format!(
                "no connection to {address} within {:?}: {part}",
                self.allowed
            ))
        })
    }
}

/// What a server that hung up without an answer may have wanted, if that is likely to be about TLS.
pub(crate) fn hint_at_tls(config: &Config, error: Option<&io::Error>) -> &'static str {
    #[cfg(feature = "tls")]
    if config.tls_config().is_some() {
        return match error {
            Some(error) if tls::wants_certificate(error) => {
                ": it asks for a client's certificate (tls_cert= and tls_key=)"
            }
            _ => "",
        };
    }
    let _ = error;
    match config.server_address() {
        Address::Tcp { .. } => "; does this port speak TLS (if so, write rediss:// for redis://)?",
        Address::Unix(_) => "",
    }
}

/// `place` is the address that was tried, which for a name is one of several.
fn refused(place: &str, error: io::Error) -> Error {
    Error::connection(describe(place, &error)).with_source(error)
}

fn describe(place: &str, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            format!("connection refused at {place}: is the server running, and listening there?")
        }
        io::ErrorKind::NotFound => {
            format!(
                "there is no socket at {place}: is the server running, with `unixsocket` set to this path?"
            )
        }
        io::ErrorKind::PermissionDenied => {
            format!(
                "no permission to connect to {place}: see `unixsocketperm` or the firewall's rules"
            )
        }
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            format!(
                "{place} cannot be reached from here: is the address right, and the network up?"
            )
        }
        io::ErrorKind::TimedOut => {
            format!("no answer from {place}: is the address right, or a firewall between?")
        }
        _ => format!("cannot connect to {place}"),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{IoSlice, Read, Write};
    use std::net::{SocketAddr, TcpListener};

    use socket2::{Domain, Type};
    use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};

    use super::*;
    use crate::error::ErrorKind;

    /// Reads two bytes and sends them back, then closes.
    fn echo_two<S: Read + Write>(mut stream: S) {
        let mut two = [0; 2];
        stream.read_exact(&mut two).unwrap();
        stream.write_all(&two).unwrap();
    }

    #[tokio::test]
    async fn a_tcp_server_is_connected_to_and_spoken_with() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || echo_two(listener.accept().unwrap().0));

        let mut stream = connect(&Config::new("127.0.0.1", address.port()))
            .await
            .unwrap();
        assert_eq!(stream.peer(), address.to_string());
        assert!(stream.is_write_vectored());
        let written = stream
            .write_vectored(&[IoSlice::new(b"h"), IoSlice::new(b"i")])
            .await
            .unwrap();
        assert_eq!(written, 2);
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        assert_eq!(answer, b"hi");
        server.join().unwrap();
    }

    #[tokio::test]
    async fn a_name_is_resolved_and_stands_beside_the_address_reached() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let stream = connect(&Config::new("localhost", address.port()))
            .await
            .unwrap();
        assert_eq!(stream.peer(), format!("{address} (localhost)"));
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_unix_socket_is_connected_to_and_spoken_with() {
        let path = std::env::temp_dir().join(format!("tidings-net-{}.sock", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let server = std::thread::spawn(move || echo_two(listener.accept().unwrap().0));

        let mut stream = connect(&Config::unix(&path)).await.unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(stream.peer(), format!("unix:{}", path.display()));
        stream.write_all(b"hi").await.unwrap();
        let mut answer = [0; 2];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"hi");
        server.join().unwrap();
    }

    #[tokio::test]
    async fn a_refused_connection_names_the_address_and_asks_for_the_server() {
        // Bound and not listening: nobody else can take the port meanwhile.
        let socket = socket2::Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket
            .bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())
            .unwrap();
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        let error = connect(&Config::new("127.0.0.1", address.port()))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Connection);
        let text = error.to_string();
        assert!(
            text.starts_with(&format!("connection refused at {address}: is the server")),
            "{text}"
        );
        assert!(std::error::Error::source(&error).is_some());
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_missing_unix_socket_says_which_setting_makes_it() {
        let error = connect(&Config::unix("/nonexistent/redis.sock"))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Connection);
        assert!(
            error.to_string().contains("unix:/nonexistent/redis.sock"),
            "{error}"
        );
        assert!(error.to_string().contains("`unixsocket`"), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn an_attempt_ends_at_its_deadline_and_says_in_which_part() {
        let deadline = Deadline::after(Duration::from_secs(5));
        let address = Address::tcp("host", 6379);
        let started = Instant::now();
        // Two parts share the one deadline.
        let pause = tokio::time::sleep(Duration::from_secs(4));
        deadline.bound(&address, "first", pause).await.unwrap();
        let error = deadline
            .bound(&address, "second", std::future::pending::<()>())
            .await
            .unwrap_err();
        assert_eq!(started.elapsed().as_secs(), 5);
        assert_eq!(error.kind(), ErrorKind::Timeout);
        assert_eq!(
            error.to_string(),
            "no connection to host:6379 within 5s: second"
        );
    }

    #[test]
    fn the_commonest_failures_say_what_to_look_at() {
        for (kind, says) in [
            (io::ErrorKind::ConnectionRefused, "is the server running"),
            (io::ErrorKind::PermissionDenied, "no permission"),
            (io::ErrorKind::NetworkUnreachable, "network up"),
            (io::ErrorKind::TimedOut, "firewall"),
            (io::ErrorKind::Other, "cannot connect to here"),
        ] {
            let error = refused("here", kind.into());
            assert!(
                error.to_string().contains(says) && error.is_connection(),
                "{error}"
            );
        }
    }
}
