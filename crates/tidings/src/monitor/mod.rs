//! The monitor: every command that the server runs.

mod cluster;
pub(crate) mod queue;

use std::fmt;
use std::future::{Future, IntoFuture, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_core::Stream;
use tidings_proto::monitor::{MonitorError, MonitorEvent, Notation};
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::task::coop;

pub use cluster::{ClusterMonitor, ClusterMonitorBuilder, ClusterMonitorEvent};

use crate::client::Client;
use crate::driver::monitor::{Alone, MonitorLink};
use crate::driver::supervise;
use crate::error::{Error, ErrorKind, Result};
use queue::{Bounds, Item, Queue};

/// A stream of every command that the server runs, with a connection of its own.
///
/// Made by [`Client::monitor`]. Dropping it closes its connection.
///
/// ```no_run
/// # async fn example(client: tidings::Client) -> tidings::Result<()> {
/// let mut monitor = client.monitor().await?;
/// while let Some(command) = monitor.next().await {
///     println!("{}", command?); // as redis-cli shows it
/// }
/// # Ok(())
/// # }
/// ```
///
/// It sees the commands of all clients in all databases,
/// of scripts too, but none that the server refuses before running it, and few of those that administer it (`CONFIG`,
/// `ACL`, `MONITOR` itself): that is the server's choice. Its own PINGs are left out; those of other connections, the
/// client's own among them, are shown.
///
/// Each item is a command, or an error in the place of some:
///
/// - **The connection was lost**: one error of kind [`Connection`](ErrorKind::Connection) with a
///   [gap](Error::gap), as soon as there is another one. The stream goes on.
/// - **This stream is not read fast enough**: one error of kind [`Overflow`](ErrorKind::Overflow) with a gap that says
///   how many commands are missing. A server keeps without limit what a monitor does not read, so the connection is
///   always read, and what finds no room in the [queue](MonitorBuilder::queue) is dropped.
/// - **A line that cannot be read**, or not with certainty: one error of kind [`Decode`](ErrorKind::Decode) with
///   the line in [`raw_payload`](Error::raw_payload). The next one follows. Valkey 8.1.0 and 8.1.1 do not
///   escape quotes and backslashes, so many of their lines can be read in more ways than one; see
///   [`Client::monitor`].
/// - **The server refuses to be monitored again** after a loss: one error of kind
///   [`Server`](ErrorKind::Server). It is asked again, with pauses.
///
/// The stream ends only when the attempts to connect again are used up (there is no end of them
/// unless [told otherwise](crate::Config::max_attempts)), or with its runtime; its last item is an error that says so. A
/// quiet server is asked from time to time whether it is there, and never times out.
pub struct Monitor {
    queue: Arc<Queue>,
    notation: Notation,
    _permit: OwnedSemaphorePermit,
}

impl Monitor {
    async fn open(builder: MonitorBuilder) -> Result<Self> {
        let place = builder.client.place().clone();
        let permit = builder.client.pool().permit().await?;
        let connected = place.connect().await?;
        let queue = Arc::new(Queue::new(builder.bounds));
        let (begun, answer) = oneshot::channel();
        let config = Arc::clone(&connected.config);
        let link = MonitorLink::new(config, Alone::new(Arc::clone(&queue), begun));
        // From here on, dropping it ends the task.
        let monitor = Self {
            queue,
            notation: Notation::default(),
            _permit: permit,
        };
        tokio::spawn(supervise::supervise(place, connected, link));
        match answer.await {
            Ok(outcome) => outcome.map(|()| monitor),
            Err(_) => Err(Error::closed("the monitor has ended with its runtime")),
        }
    }

    /// The next command, or an error in the place of some; `None` at the end.
    ///
    /// # Errors
    ///
    /// See [`Monitor`]. After an error the stream goes on.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost if it is dropped.
    pub async fn next(&mut self) -> Option<Result<MonitorEvent>> {
        poll_fn(|cx| self.poll_event(cx)).await
    }

    pub(crate) fn poll_event(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<MonitorEvent>>> {
        // A server that is always busy is not to keep other tasks from their turn.
        let turn = ready!(coop::poll_proceed(cx));
        loop {
            let item = ready!(self.queue.poll_pop(cx));
            turn.made_progress();
            let error = match item {
                Some(Item::Line((), line)) => {
                    let event = MonitorEvent::parse(&line, &self.notation);
                    return Poll::Ready(Some(event.map_err(|error| unreadable(&line, error))));
                }
                Some(Item::Begun((), notation, loss)) => {
                    self.notation = notation;
                    match loss {
                        Some(loss) => loss.into_error(),
                        None => continue,
                    }
                }
                Some(Item::Lost(loss)) => loss.into_error(),
                Some(Item::Dropped(gap)) => queue::overflow(gap),
                Some(Item::Error(error)) => error,
                None => return Poll::Ready(None),
            };
            return Poll::Ready(Some(Err(error)));
        }
    }
}

#[cold]
fn unreadable(line: &Bytes, error: MonitorError) -> Error {
    Error::new(ErrorKind::Decode, "a line of MONITOR could not be read")
        .with_source(error)
        // What is kept of it is not to keep a whole read buffer.
        .with_raw(Bytes::copy_from_slice(line))
}

impl Stream for Monitor {
    type Item = Result<MonitorEvent>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_event(cx)
    }
}

impl fmt::Debug for Monitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Monitor").finish_non_exhaustive()
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        self.queue.close();
    }
}

/// Makes a [`Monitor`]; nothing is sent before it is awaited.
#[must_use = "nothing happens before the builder is awaited"]
#[derive(Debug)]
pub struct MonitorBuilder {
    client: Client,
    bounds: Bounds,
}

impl MonitorBuilder {
    pub(crate) fn new(client: Client) -> Self {
        Self {
            client,
            bounds: Bounds::default(),
        }
    }

    /// The bounds of the queue between the connection and whoever reads the stream: so many commands and so many
    /// bytes of their lines (a little is added for each), at least one command. 65 536 and 16 MiB unless told
    /// otherwise.
    pub fn queue(mut self, commands: usize, bytes: usize) -> Self {
        self.bounds.lines = commands;
        self.bounds.bytes = bytes;
        self
    }
}

impl IntoFuture for MonitorBuilder {
    type Output = Result<Monitor>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(Monitor::open(self))
    }
}
