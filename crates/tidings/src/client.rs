//! The client: one multiplexed connection for commands, and connections of their own for what needs one.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tidings_proto::{Blob, Command, FromReply, Reply};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time;

use crate::commands::Commands;
use crate::config::{Config, IntoConfig};
use crate::driver::commands::{CommandLink, Mailbox, Slot};
use crate::driver::supervise::{self, Link};
use crate::error::{Error, Result};
use crate::pubsub::PubSubBuilder;

/// A client of one server and one database.
///
/// `Clone`, `Send` and `Sync`: a thousand tasks share one. Commands go over one multiplexed connection that is made
/// again when it is lost; they never change the client's state, and there is no `SELECT`: the database stands in
/// the URL. What needs a connection of its own, such as [`pubsub`](Self::pubsub), gets one, of
/// [`Config::max_own_connections`] at most.
///
/// The commands are the methods of [`Commands`].
///
/// ```no_run
/// # async fn example() -> tidings::Result<()> {
/// use tidings::{Client, Commands};
///
/// let client = Client::connect("redis://127.0.0.1:6379/0").await?;
/// client.set("bing", "baz").await?;
/// let bing: Option<String> = client.get("bing").await?;
/// # Ok(())
/// # }
/// ```
///
/// ```compile_fail
/// async fn other_database(client: tidings::Client) {
///     client.select(1).await; // one client, one database
/// }
/// ```
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    config: Arc<Config>,
    mailbox: Arc<Mailbox>,
    own: Arc<Semaphore>,
}

impl Client {
    /// Connects to the server that a URL or a [`Config`] names.
    ///
    /// # Errors
    ///
    /// A wrong URL, a server that cannot be reached or does not accept the user, or a call outside of a tokio
    /// runtime. A connection that is lost later is made again.
    ///
    /// # Panics
    ///
    /// tokio panics where its runtime was built by hand without I/O or timers: `enable_all` has both.
    pub async fn connect(config: impl IntoConfig) -> Result<Self> {
        let config = Arc::new(config.into_config()?);
        if Handle::try_current().is_err() {
            return Err(Error::misuse(
                "there is no tokio runtime here: connect within #[tokio::main] or Runtime::block_on",
            ));
        }
        let connected = supervise::connect(&config).await?;
        let mailbox = Arc::new(Mailbox::default());
        let mut link = CommandLink::new(Arc::clone(&config), Arc::clone(&mailbox));
        link.connected(connected);
        tokio::spawn(supervise::supervise(Arc::clone(&config), link));
        let own = Arc::new(Semaphore::new(
            config.own_connections().min(Semaphore::MAX_PERMITS),
        ));
        Ok(Self {
            inner: Arc::new(Inner {
                config,
                mailbox,
                own,
            }),
        })
    }

    /// Makes a [`PubSub`](crate::PubSub): a subscriber with a connection of its own. Nothing is sent before it is
    /// awaited.
    pub fn pubsub(&self) -> PubSubBuilder {
        PubSubBuilder::new(self.clone())
    }

    pub(crate) fn config(&self) -> &Arc<Config> {
        &self.inner.config
    }

    /// Leave to make a connection of its own.
    pub(crate) async fn permit(&self) -> Result<OwnedSemaphorePermit> {
        let wait = Arc::clone(&self.inner.own).acquire_owned();
        match time::timeout(self.inner.config.time_to_connect(), wait).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(Error::timeout(format!(
                "all {} connections of their own are in use: drop one, or raise max_own_connections",
                self.inner.config.own_connections()
            ))),
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("config", &self.inner.config)
            .finish_non_exhaustive()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.mailbox.close();
    }
}

impl<'a> Commands for &'a Client {
    type Output<T: FromReply> = Run<'a, T>;

    fn run<T: FromReply>(self, command: Command) -> Run<'a, T> {
        Run {
            mailbox: &self.inner.mailbox,
            state: RunState::new(command),
            reply: PhantomData,
        }
    }
}

/// A command of a [`Client`] that runs when it is awaited.
///
/// # Cancel safety
///
/// Dropped before its first poll, nothing is sent. Dropped later, the command may run all the same; its reply goes
/// to nobody, and to nobody else.
#[must_use = "a command runs when it is awaited"]
pub struct Run<'a, T> {
    mailbox: &'a Mailbox,
    state: RunState,
    reply: PhantomData<fn() -> T>,
}

enum RunState {
    Unsent {
        bytes: Vec<u8>,
        /// Where it waits for room.
        place: Option<u64>,
    },
    Sent(Arc<Slot>),
    Refused(Option<Error>),
}

impl RunState {
    fn new(command: Command) -> Self {
        match crate::commands::refused(&command) {
            Some(error) => Self::Refused(Some(error)),
            None => Self::Unsent {
                bytes: command.into_bytes(),
                place: None,
            },
        }
    }
}

impl<T: FromReply> Future for Run<'_, T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T>> {
        let this = &mut *self;
        match &mut this.state {
            RunState::Unsent { bytes, place } => {
                let slot = std::task::ready!(this.mailbox.poll_send(bytes, place, cx))?;
                this.state = RunState::Sent(slot);
                Poll::Pending
            }
            RunState::Sent(slot) => {
                let reply = std::task::ready!(slot.poll(cx))?;
                Poll::Ready(decode(&reply))
            }
            RunState::Refused(error) => Poll::Ready(Err(error
                .take()
                .unwrap_or_else(|| Error::misuse("a command was awaited again after its end")))),
        }
    }
}

impl<T> Drop for Run<'_, T> {
    fn drop(&mut self) {
        if let RunState::Unsent {
            place: Some(place), ..
        } = self.state
        {
            self.mailbox.give_up(place);
        }
    }
}

fn decode<T: FromReply>(frame: &Blob) -> Result<T> {
    let reply = match frame.shared() {
        Some(bytes) => Reply::parse_shared(bytes)?,
        None => Reply::parse(frame)?,
    };
    Ok(T::from_reply(reply)?)
}

impl<T> fmt::Debug for Run<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run").finish_non_exhaustive()
    }
}
