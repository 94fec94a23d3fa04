use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

/// Accepts connections in a thread until it is dropped; then nobody listens any more.
#[derive(Debug)]
pub(crate) struct Acceptor {
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
        let closing = Arc::new(AtomicBool::new(false));
        let closed = Arc::clone(&closing);
        let accept = move || {
            for stream in listener.incoming() {
                if closed.load(Ordering::SeqCst) {
                    return;
                }
                if let Ok(stream) = stream {
                    accepted(stream);
                }
            }
        };
        let thread = thread::Builder::new()
            .name(format!("accept {address}"))
            .spawn(accept)?;
        Ok(Self {
            address,
            closing,
            thread: Some(thread),
        })
    }
}

impl Drop for Acceptor {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::SeqCst);
        // Wakes the thread from its accept.
        let woken = TcpStream::connect(self.address).is_ok();
        if let Some(thread) = self.thread.take()
            && woken
        {
            let _ = thread.join();
        }
    }
}
