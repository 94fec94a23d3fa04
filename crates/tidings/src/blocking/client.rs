//! The client of the blocking face.

use std::future::{Ready, ready};

use tidings_proto::pubsub::SubscriptionKind;
use tidings_proto::{Command, FromReply, ToArg, ToArgs};

use super::{
    KeyspaceEventsBuilder, MonitorBuilder, Pipeline, PubSubBuilder, ScanKeys, Watch, runtime,
};
use crate::commands::Commands;
use crate::config::IntoConfig;
use crate::error::Result;
use crate::options::ScanOptions;
use crate::receiver::Senders;
use crate::run::Run;
use crate::script::ScriptCall;
use crate::subscription::SubscribeTo;
use crate::transaction::Transact;

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
    /// A wrong URL, or a server that cannot be reached or does not accept the user; with sentinels, as
    /// [there](crate::Client::connect). A connection that is lost later is made again. The first use in a process starts a [thread](super#the-thread-in-the-background), which may fail
    /// too.
    pub fn connect(config: impl IntoConfig) -> Result<Self> {
        let inner = runtime::wait(crate::Client::connect_for_threads(config))?;
        Ok(Self { inner })
    }

    /// Makes a [`PubSub`](super::PubSub): a subscriber with a connection of its own. Nothing is sent before it is
    /// [opened](PubSubBuilder::open).
    pub fn pubsub(&self) -> PubSubBuilder {
        PubSubBuilder::new(self.inner.pubsub())
    }

    /// Subscribes to channels, over one connection that all of this client's subscriptions share: to names, which gives a
    /// [`Subscription`](super::Subscription) once its builder is [opened](super::SubscriptionBuilder::open), or for a
    /// [`Receiver`](super::Receiver)'s senders, which is done at once.
    ///
    /// ```no_run
    /// # fn example(client: tidings::blocking::Client) -> tidings::Result<()> {
    /// use tidings::blocking::Receiver;
    ///
    /// let news = client.subscribe("news").open()?;
    ///
    /// let receiver = Receiver::new();
    /// client.subscribe(receiver.channel("weather"))?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn subscribe<M, T: SubscribeTo<M>>(&self, channels: T) -> T::Blocking {
        channels.into_blocking(self.inner.source(), SubscriptionKind::Channel)
    }

    /// The same for patterns (`PSUBSCRIBE`).
    pub fn psubscribe<M, T: SubscribeTo<M>>(&self, patterns: T) -> T::Blocking {
        patterns.into_blocking(self.inner.source(), SubscriptionKind::Pattern)
    }

    /// The same for shard channels on this server (`SSUBSCRIBE`).
    pub fn ssubscribe<M, T: SubscribeTo<M>>(&self, channels: T) -> T::Blocking {
        channels.into_blocking(self.inner.source(), SubscriptionKind::Shard)
    }

    /// Ends subscriptions of a receiver's senders for channels; as [there](crate::Client::unsubscribe).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn unsubscribe(&self, senders: impl Senders) -> Result<()> {
        runtime::wait(self.inner.unsubscribe(senders))
    }

    /// The same for patterns (`PUNSUBSCRIBE`).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn punsubscribe(&self, senders: impl Senders) -> Result<()> {
        runtime::wait(self.inner.punsubscribe(senders))
    }

    /// The same for shard channels (`SUNSUBSCRIBE`).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn sunsubscribe(&self, senders: impl Senders) -> Result<()> {
        runtime::wait(self.inner.sunsubscribe(senders))
    }

    /// Begins a [`Pipeline`]: commands that are sent in one go, as a transaction unless told otherwise.
    pub fn pipeline(&self) -> Pipeline {
        Pipeline::new(self.inner.pipeline())
    }

    /// Watches keys, on a connection of its own: what is [executed](Pipeline::execute) on it later is run only if
    /// none of them has changed.
    ///
    /// [`Watch`] has an example; [`transaction`](Self::transaction) does this in a loop.
    ///
    /// # Errors
    ///
    /// As those of a command; no key at all; and [no connection that is
    /// free](crate::Config::max_own_connections).
    pub fn watch<S>(&self, keys: impl ToArgs<S>) -> Result<Watch> {
        runtime::wait(self.inner.watch(keys)).map(Watch::new)
    }

    /// Runs a closure over watched keys, again and again until none of them has changed under it.
    ///
    /// The closure has a [`Watch`]: it reads with it, and writes with what [`Watch::multi`] gives. Whatever the
    /// closure gives is given back. It may run more than once, 256 times at most, with pauses;
    /// [`transaction_with_attempts`](Self::transaction_with_attempts) takes another number.
    ///
    /// ```no_run
    /// # fn example(client: tidings::blocking::Client) -> tidings::Result<()> {
    /// use tidings::Commands;
    ///
    /// let next: i64 = client.transaction("OUR-SEQUENCE-KEY", |watch| {
    ///     let current: Option<i64> = watch.get("OUR-SEQUENCE-KEY")?;
    ///     let next = current.unwrap_or(0) + 1;
    ///     watch.multi().set("OUR-SEQUENCE-KEY", next).execute::<()>()?;
    ///     Ok(next)
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// An error of kind [`Watch`](crate::ErrorKind::Watch) that comes out of the closure has it run again, unless
    /// the transaction may have run, since its connection was lost. All other errors come out at once, and the last one
    /// as the source of one that says how often it was tried.
    pub fn transaction<S, R>(
        &self,
        keys: impl ToArgs<S>,
        closure: impl FnMut(Watch) -> Result<R>,
    ) -> Result<R> {
        runtime::wait(self.transact(keys, closure))
    }

    /// As [`transaction`](Self::transaction), with so many attempts at most. Zero counts as one.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn transaction_with_attempts<S, R>(
        &self,
        most: u32,
        keys: impl ToArgs<S>,
        closure: impl FnMut(Watch) -> Result<R>,
    ) -> Result<R> {
        runtime::wait(self.transact(keys, closure).attempts(most))
    }

    /// Makes a [`Monitor`](super::Monitor): an iterator over every command that the server runs, over a connection of
    /// its own (`MONITOR`). Nothing is sent before it is [opened](MonitorBuilder::open).
    ///
    /// A monitor slows the server down, the more the more commands it runs. More of it stands
    /// [there](crate::Client::monitor).
    pub fn monitor(&self) -> MonitorBuilder {
        MonitorBuilder::new(self.inner.monitor())
    }

    /// An iterator over all keys of the client's database (`SCAN`). Nothing is sent before it is read. As
    /// [there](crate::Client::scan_keys).
    pub fn scan_keys<K: FromReply + Send + 'static>(&self) -> ScanKeys<K> {
        ScanKeys::new(self.inner.scan_keys())
    }

    /// The same with options: only some keys, or more or fewer of them a call, which are 250 unless told.
    pub fn scan_keys_with<K: FromReply + Send + 'static>(
        &self,
        options: ScanOptions,
    ) -> ScanKeys<K> {
        ScanKeys::new(self.inner.scan_keys_with(options))
    }

    /// Makes [`KeyspaceEvents`](super::KeyspaceEvents): an iterator over what is done to the keys that match a pattern (`*`
    /// for all), over a connection of its own. Nothing is sent before it is [opened](KeyspaceEventsBuilder::open). As
    /// [there](crate::Client::keyspace_events).
    pub fn keyspace_events(&self, keys: impl ToArg) -> KeyspaceEventsBuilder {
        KeyspaceEventsBuilder::new(self.inner.keyspace_events(keys))
    }

    /// The asynchronous transaction, with a closure that has done its work when it returns.
    fn transact<S, R>(
        &self,
        keys: impl ToArgs<S>,
        mut closure: impl FnMut(Watch) -> Result<R>,
    ) -> Transact<impl FnMut(crate::Watch) -> Ready<Result<R>>, Ready<Result<R>>> {
        self.inner
            .transaction(keys, move |watch| ready(closure(Watch::new(watch))))
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

    fn run_script<T: FromReply>(self, call: ScriptCall) -> Result<T> {
        Client::execute(self.inner.run_script(call))
    }
}
