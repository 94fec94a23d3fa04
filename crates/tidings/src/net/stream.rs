//! One type for the sockets of every kind.

use std::io;
use std::io::IoSlice;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// An open connection to a server, before anything was said on it.
#[derive(Debug)]
pub(crate) struct Stream {
    transport: Transport,
    peer: String,
}

/// A socket that a thread waits at.
#[cfg(feature = "blocking")]
#[derive(Debug)]
pub(crate) enum Socket {
    Tcp(std::net::TcpStream),
    #[cfg(unix)]
    Unix(std::os::unix::net::UnixStream),
}

#[cfg(feature = "blocking")]
impl Socket {
    /// The same socket, for another thread.
    pub(crate) fn try_clone(&self) -> io::Result<Self> {
        match self {
            Self::Tcp(stream) => stream.try_clone().map(Self::Tcp),
            #[cfg(unix)]
            Self::Unix(stream) => stream.try_clone().map(Self::Unix),
        }
    }

    /// Ends the connection. Whoever waits at it sees its end.
    pub(crate) fn shut_down(&self) {
        let both = std::net::Shutdown::Both;
        // One that has ended already cannot be ended again.
        let _ = match self {
            Self::Tcp(stream) => stream.shutdown(both),
            #[cfg(unix)]
            Self::Unix(stream) => stream.shutdown(both),
        };
    }
}

#[derive(Debug)]
pub(super) enum Transport {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(tokio::net::UnixStream),
    /// Boxed: the TLS state takes more than a kilobyte, which the others would carry too.
    #[cfg(feature = "tls")]
    Tls(Box<tokio_rustls::client::TlsStream<TcpStream>>),
}

impl Stream {
    pub(super) fn new(transport: Transport, peer: String) -> Self {
        Self { transport, peer }
    }

    /// The socket for a thread that waits at it; `None` with TLS, which has more to it than a socket.
    #[cfg(feature = "blocking")]
    pub(crate) fn into_socket(self) -> Option<Socket> {
        match self.transport {
            Transport::Tcp(stream) => stream.into_std().ok().map(Socket::Tcp),
            #[cfg(unix)]
            Transport::Unix(stream) => stream.into_std().ok().map(Socket::Unix),
            #[cfg(feature = "tls")]
            Transport::Tls(_) => None,
        }
    }

    /// Whom it is connected to, for logs and errors: `127.0.0.1:6379 (localhost)`, `[::1]:6379 with TLS`,
    /// `unix:/run/redis.sock`.
    pub(crate) fn peer(&self) -> &str {
        &self.peer
    }
}

/// A `match` and not a `dyn`: every read and write of the crate passes here.
macro_rules! on_stream {
    ($transport:expr, $stream:ident => $call:expr) => {
        match $transport {
            Transport::Tcp($stream) => $call,
            #[cfg(unix)]
            Transport::Unix($stream) => $call,
            #[cfg(feature = "tls")]
            Transport::Tls($stream) => $call,
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        on_stream!(&mut self.transport, stream => Pin::new(stream).poll_read(cx, buffer))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        on_stream!(&mut self.transport, stream => Pin::new(stream).poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        on_stream!(&mut self.transport, stream => Pin::new(stream).poll_write_vectored(cx, slices))
    }

    fn is_write_vectored(&self) -> bool {
        on_stream!(&self.transport, stream => stream.is_write_vectored())
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_stream!(&mut self.transport, stream => Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_stream!(&mut self.transport, stream => Pin::new(stream).poll_shutdown(cx))
    }
}
