//! The client of the blocking face.

use tidings_proto::{Command, FromReply};

use super::pubsub::PubSubBuilder;
use super::runtime;
use crate::commands::Commands;
use crate::config::IntoConfig;
use crate::error::Result;
use crate::run::Run;

/// A [`Client`](crate::Client) whose calls wait for their answers.
///
/// `Clone`, `Send` and `Sync`: all threads of a program share one, and each reply goes to the thread that asked. In all
/// else it is as the asynchronous one, of which it is made.
///
/// The commands are the methods of [`Commands`].
///
/// ```no_run
/// # fn main() -> tidings::Result<()> {
/// use tidings::Commands;
/// use tidings::blocking::Client;
///
/// let client = Client::connect("redis://127.0.0.1:6379/0")?;
/// client.set("bing", "baz")?;
/// let bing: Option<String> = client.get("bing")?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// As those of the asynchronous client; and a [misuse](crate::ErrorKind::Misuse) in [asynchronous
/// code](super#asynchronous-code).
#[derive(Debug, Clone)]
pub struct Client {
    inner: crate::Client,
}

impl Client {
    /// Connects to the server that a URL or a [`Config`](crate::Config) names.
    ///
    /// # Errors
    ///
    /// A wrong URL, or a server that cannot be reached or does not accept the user. A connection that is lost later
    /// is made again. The first use in a process starts a [thread](super#the-thread-in-the-background), which may fail
    /// too.
    pub fn connect(config: impl IntoConfig) -> Result<Self> {
        let inner = runtime::wait(crate::Client::connect(config))?;
        Ok(Self { inner })
    }

    /// Makes a [`PubSub`](super::PubSub): a subscriber with a connection of its own. Nothing is sent before it is
    /// [opened](PubSubBuilder::open).
    pub fn pubsub(&self) -> PubSubBuilder {
        PubSubBuilder::new(self.inner.pubsub())
    }

    /// Runs one command on this thread.
    fn execute<T: FromReply>(run: Run<'_, T>) -> Result<T> {
        runtime::wait(run)
    }
}

impl Commands for &Client {
    type Output<T: FromReply> = Result<T>;

    fn run<T: FromReply>(self, command: Command) -> Result<T> {
        Client::execute(self.inner.run(command))
    }

    fn run_known<T: FromReply>(self, command: Command) -> Result<T> {
        Client::execute(self.inner.run_known(command))
    }
}
