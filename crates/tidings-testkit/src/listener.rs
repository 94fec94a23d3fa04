use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use socket2::SockRef;

use crate::wait::STEP;

/// Accepts connections in a thread until it is dropped; then nobody listens any more.
#[derive(Debug)]
pub(crate) struct Acceptor {
    listener: TcpListener,
    address: SocketAddr,
    closing: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Acceptor {
    /// `accepted` must not block.
    pub(crate) fn start(
        listener: TcpListener,
        mut accepted: impl FnMut(TcpStream) + Send + 'static,
    ) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let incoming = listener.try_clone()?;
        let closing = Arc::new(AtomicBool::new(false));
        let closed = Arc::clone(&closing);
        let accept = move || {
            for stream in incoming.incoming() {
                if closed.load(Ordering::SeqCst) {
                    return;
                }
                match stream {
                    Ok(stream) => accepted(stream),
                    // Too many open files, perhaps: that passes.
                    Err(_) => thread::sleep(STEP),
                }
            }
        };
        let thread = thread::Builder::new()
            .name(format!("accept {address}"))
            .spawn(accept)?;
        Ok(Self {
            listener,
            address,
            closing,
            thread: Some(thread),
        })
    }
}

impl Drop for Acceptor {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::SeqCst);
        // Closing alone would leave it listening while another thread forks a child process, which
        // holds a copy of the socket until it executes its program. On Linux this wakes the thread.
        let stopped = SockRef::from(&self.listener)
            .shutdown(Shutdown::Both)
            .is_ok();
        // Elsewhere a connection does.
        let woken = stopped || TcpStream::connect(self.address).is_ok();
        if let Some(thread) = self.thread.take()
            && woken
        {
            let _ = thread.join();
        }
    }
}
