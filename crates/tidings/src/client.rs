//! The client: one multiplexed connection for commands, and connections of their own for what needs one.

use std::fmt;
use std::future::Future;
use std::ops::Deref;
use std::sync::Arc;

use tidings_proto::pubsub::SubscriptionKind;
use tidings_proto::{Charset, Command, FromReply, ToArg, ToArgs, cmd};
use tokio::runtime::Handle;

use crate::commands::Commands;
use crate::config::{Config, IntoConfig, Servers};
use crate::driver::commands::CommandLink;
#[cfg(feature = "blocking")]
use crate::driver::direct::Direct;
use crate::driver::mailbox::{Closing, Mailbox};
use crate::driver::place::Place;
use crate::driver::sentinel::SentinelPlace;
use crate::driver::supervise;
use crate::error::{Error, Result};
use crate::keyspace::KeyspaceEventsBuilder;
use crate::monitor::MonitorBuilder;
use crate::options::ScanOptions;
use crate::pipeline::Pipeline;
use crate::pool::Pool;
use crate::pubsub::PubSubBuilder;
use crate::pubsub::home::Home;
use crate::receiver::{Sender, Senders, of_kind, unsubscribe};
use crate::run::Run;
use crate::scan::ScanKeys;
use crate::script::ScriptCall;
use crate::subscription::hub::{Hub, Hubbed};
use crate::subscription::{Source, SubscribeTo};
use crate::transaction::Transact;
use crate::watch::{Watch, WatchAt};

/// A client of one server and one database; or of whatever server [sentinels say](Config#sentinel) is the primary.
///
/// `Clone`, `Send` and `Sync`: a thousand tasks share one. Commands go over one multiplexed connection that is made
/// again when it is lost; they never change the client's state, and there is no `SELECT`: the database stands in
/// the URL. What needs a connection of its own, such as [`pubsub`](Self::pubsub), [`watch`](Self::watch) or a command that blocks, gets one,
/// of [`Config::max_own_connections`] at most.
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
/// ```compile_fail,E0599
/// async fn other_database(client: tidings::Client) {
///     client.select(1).await; // one client, one database
/// }
/// ```
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    place: Place,
    mailbox: Arc<Mailbox>,
    pool: Arc<Pool>,
    hub: Hub,
}

impl Client {
    /// Connects to the server that a URL or a [`Config`] names, or that the sentinels know which it names.
    ///
    /// # Errors
    ///
    /// A wrong URL, a server that cannot be reached or does not accept the user, or a call outside of a tokio
    /// runtime. A connection that is lost later is made again.
    ///
    /// With sentinels: none that can be asked, none that knows the name, a wrong password for them, or a primary that
    /// cannot be reached or is a replica.
    ///
    /// # Panics
    ///
    /// tokio panics where its runtime was built by hand without I/O or timers: `enable_all` has both.
    pub async fn connect(config: impl IntoConfig) -> Result<Self> {
        let place = Self::place_of(config.into_config()?)?;
        Self::connect_with(place, Mailbox::default()).await
    }

    /// The same for a client whose commands are run by threads that wait for them.
    #[cfg(feature = "blocking")]
    pub(crate) async fn connect_for_threads(config: impl IntoConfig) -> Result<Self> {
        let place = Self::place_of(config.into_config()?)?;
        let direct = Direct::new(place.clone());
        Self::connect_with(place, Mailbox::for_threads(direct)).await
    }

    /// Where a client with these settings connects to.
    fn place_of(config: Config) -> Result<Place> {
        match config.servers() {
            Servers::One(_) => Ok(Place::Server(Arc::new(config))),
            Servers::Cluster(_) => Err(Error::config(
                "a Client is a client of one server: for a cluster make a ClusterClient",
            )),
            Servers::Sentinel(_, name) => {
                let name = name.clone();
                let place = SentinelPlace::new(Arc::new(config), name);
                Ok(Place::Sentinel(Arc::new(place)))
            }
        }
    }

    async fn connect_with(place: Place, mailbox: Mailbox) -> Result<Self> {
        if Handle::try_current().is_err() {
            return Err(Error::misuse(
                "there is no tokio runtime here: connect within #[tokio::main] or Runtime::block_on",
            ));
        }
        let connected = place.connect().await?;
        let mailbox = Arc::new(mailbox);
        let link = CommandLink::new(Arc::clone(&connected.config), Arc::clone(&mailbox));
        tokio::spawn(supervise::supervise(place.clone(), connected, link));
        let pool = Arc::new(Pool::new(place.clone()));
        Ok(Self {
            inner: Arc::new(Inner {
                place,
                mailbox,
                pool,
                hub: Hub::default(),
            }),
        })
    }

    /// Makes a [`PubSub`](crate::PubSub): a subscriber with a connection of its own. Nothing is sent before it is
    /// awaited.
    pub fn pubsub(&self) -> PubSubBuilder {
        PubSubBuilder::new(Home::Client(self.clone()))
    }

    /// Makes a [`Subscription`](crate::Subscription) to channels (`SUBSCRIBE`): a light subscriber over one connection
    /// that all of this client's subscriptions share. Nothing is sent before it is awaited.
    ///
    /// ```no_run
    /// # async fn example(client: tidings::Client) -> tidings::Result<()> {
    /// let mut news = client.subscribe("news").await?;
    /// let event = news.next().await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn subscribe<M, T: SubscribeTo<M>>(&self, channels: T) -> T::Request {
        channels.into_request(self.source(), SubscriptionKind::Channel)
    }

    /// The same for patterns (`PSUBSCRIBE`).
    pub fn psubscribe<M, T: SubscribeTo<M>>(&self, patterns: T) -> T::Request {
        patterns.into_request(self.source(), SubscriptionKind::Pattern)
    }

    /// The same for shard channels on this server (`SSUBSCRIBE`).
    pub fn ssubscribe<M, T: SubscribeTo<M>>(&self, channels: T) -> T::Request {
        channels.into_request(self.source(), SubscriptionKind::Shard)
    }

    /// Ends subscriptions of a receiver's [senders](crate::Sender) for channels that were made with this client, behind
    /// all that the server has sent before (`UNSUBSCRIBE`). The last one of a receiver stops it.
    ///
    /// Once it is done nothing more comes for them. The server is told then, unless others of this client want the same
    /// names.
    ///
    /// [`Sender::unsubscribe`](crate::Sender::unsubscribe) ends those of all clients.
    ///
    /// # Errors
    ///
    /// A sender that stands for no channel; a runtime that has ended.
    pub async fn unsubscribe(&self, senders: impl Senders) -> Result<()> {
        self.end(of_kind(senders, SubscriptionKind::Channel)?).await
    }

    /// The same for patterns (`PUNSUBSCRIBE`).
    ///
    /// # Errors
    ///
    /// As [`unsubscribe`](Self::unsubscribe).
    pub async fn punsubscribe(&self, senders: impl Senders) -> Result<()> {
        self.end(of_kind(senders, SubscriptionKind::Pattern)?).await
    }

    /// The same for shard channels (`SUNSUBSCRIBE`).
    ///
    /// # Errors
    ///
    /// As [`unsubscribe`](Self::unsubscribe).
    pub async fn sunsubscribe(&self, senders: impl Senders) -> Result<()> {
        self.end(of_kind(senders, SubscriptionKind::Shard)?).await
    }

    async fn end(&self, senders: Vec<Sender>) -> Result<()> {
        match self.inner.hub.known().await {
            Some(hubbed) => unsubscribe(senders, Some(hubbed)).await,
            None => Ok(()),
        }
    }

    /// Begins a [`Pipeline`]: commands that are sent in one go, as a transaction unless told otherwise.
    ///
    /// ```no_run
    /// # async fn example(client: tidings::Client) -> tidings::Result<()> {
    /// let mut pipe = client.pipeline();
    /// pipe.set("foo", "bar"); // nothing is sent yet
    /// pipe.get("bing");
    /// let (ok, bing): (bool, Option<String>) = pipe.execute().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn pipeline(&self) -> Pipeline {
        Pipeline::new(self.clone())
    }

    /// Watches keys, on a connection of its own: what is [executed](Pipeline::execute) on it later is run only if
    /// none of them has changed.
    ///
    /// [`Watch`] has an example; [`transaction`](Self::transaction) does this in a loop.
    ///
    /// # Errors
    ///
    /// As those of a command; no key at all; and [no connection that is
    /// free](Config::max_own_connections).
    pub fn watch<S>(&self, keys: impl ToArgs<S>) -> impl Future<Output = Result<Watch>> + Send {
        Watch::open(WatchAt::Server(self.clone()), cmd("WATCH").arg(keys))
    }

    /// Runs a closure over watched keys, again and again until none of them has changed under it.
    ///
    /// The closure has a [`Watch`]: it reads with it, and writes with what [`Watch::multi`] gives. Whatever the
    /// closure gives is given back. Since it may run more than once, it takes values from outside by reference
    /// (`let key = &key;` before it), or clones them.
    ///
    /// ```no_run
    /// # async fn example(client: tidings::Client) -> tidings::Result<()> {
    /// use tidings::Commands;
    ///
    /// let next: i64 = client.transaction("OUR-SEQUENCE-KEY", |watch| async move {
    ///     let current: Option<i64> = watch.get("OUR-SEQUENCE-KEY").await?;
    ///     let next = current.unwrap_or(0) + 1;
    ///     let (): () = watch.multi().set("OUR-SEQUENCE-KEY", next).execute().await?;
    ///     Ok(next)
    /// }).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// An error of kind [`Watch`](crate::ErrorKind::Watch) that comes out of the closure has it run again, up to
    /// [a number of attempts](Transact::attempts); unless the transaction may have run, since its connection was
    /// lost. All other errors come out at once.
    pub fn transaction<S, F, Fut, R>(&self, keys: impl ToArgs<S>, closure: F) -> Transact<F, Fut>
    where
        F: FnMut(Watch) -> Fut,
        Fut: Future<Output = Result<R>>,
    {
        Transact::new(
            WatchAt::Server(self.clone()),
            cmd("WATCH").arg(keys),
            closure,
        )
    }

    /// Makes a [`Monitor`](crate::Monitor): a stream of every command that the server runs, over a connection of its own
    /// (`MONITOR`). Nothing is sent before it is awaited.
    ///
    /// ```no_run
    /// # async fn example(client: tidings::Client) -> tidings::Result<()> {
    /// let mut monitor = client.monitor().await?;
    /// while let Some(item) = monitor.next().await {
    ///     match item {
    ///         Ok(event) => println!("{:?} {}: {:?}", event.time(), event.client(), event.command()),
    ///         Err(error) => match error.gap() {
    ///             Some(gap) => println!("commands are missing: {}", gap.cause()),
    ///             None => println!("{error}: {:?}", error.raw_payload()),
    ///         },
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Arguments are exact, whatever bytes they hold. Valkey 8.1.0 and 8.1.1 write quotes and backslashes as they are,
    /// which makes most lines of theirs ambiguous: one is shown as a command only if it can be read in
    /// one way (no backslash, no quote within an argument, no more words than the command needs at least), and
    /// as an error with the line otherwise. For this they are asked what commands they have (`COMMAND`).
    ///
    /// A monitor slows the server down, the more the more commands it runs.
    ///
    /// # Errors
    ///
    /// No connection can be made, or the server refuses: `MONITOR` is of the ACL categories `@admin` and `@dangerous`.
    pub fn monitor(&self) -> MonitorBuilder {
        MonitorBuilder::new(self.clone())
    }

    /// A stream of all keys of the client's database (`SCAN`). Nothing is sent before it is read.
    ///
    /// ```no_run
    /// # async fn example(client: tidings::Client) -> tidings::Result<()> {
    /// let mut keys = client.scan_keys();
    /// while let Some(key) = keys.next().await {
    ///     let key: String = key?;
    ///     println!("{key}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// A key may come twice; one that is there all the time comes. More stands at [`ScanKeys`].
    pub fn scan_keys<K: FromReply + Send + 'static>(&self) -> ScanKeys<K> {
        self.scan_keys_with(ScanOptions::new())
    }

    /// The same with options: only some keys, or more or fewer of them a call, which are 250 unless told.
    pub fn scan_keys_with<K: FromReply + Send + 'static>(
        &self,
        options: ScanOptions,
    ) -> ScanKeys<K> {
        ScanKeys::of_client(self.clone(), options)
    }

    /// Makes [`KeyspaceEvents`](crate::KeyspaceEvents): a stream of what is done to the keys that match a pattern (`*` for
    /// all), over a connection of its own that subscribes to the server's keyspace notifications. Nothing is sent before it
    /// is awaited.
    ///
    /// ```no_run
    /// # async fn example(client: tidings::Client) -> tidings::Result<()> {
    /// let mut events = client.keyspace_events("user:*").operations(["set", "expired"]).await?;
    /// while let Some(event) = events.next().await {
    ///     println!("{:?}", event?);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// The events are those of the client's database unless the builder is told otherwise. In a pattern `*`, `?`, `[` and
    /// `\\` have a meaning; [`escape_pattern`](crate::escape_pattern) takes it from them, for a key that has them in its name.
    ///
    /// # Errors
    ///
    /// No connection can be made; the server does not send the notifications that are wanted, or does not say so, as
    /// the builder's [`notifications`](KeyspaceEventsBuilder::notifications) has it; or it refuses the channels.
    pub fn keyspace_events(&self, keys: impl ToArg) -> KeyspaceEventsBuilder {
        KeyspaceEventsBuilder::of_client(self.clone(), &keys)
    }

    #[inline]
    pub(crate) fn charset(&self) -> Charset {
        self.inner.place.config().text_charset()
    }

    pub(crate) fn source(&self) -> Source {
        Source::Client(self.clone())
    }

    /// Where its connections are made to.
    pub(crate) fn place(&self) -> &Place {
        &self.inner.place
    }

    /// The connection that this client's subscriptions share.
    pub(crate) async fn hubbed(&self) -> Result<Arc<Hubbed>> {
        let Inner {
            place, pool, hub, ..
        } = &*self.inner;
        let connecting = async { Hubbed::over_one(place.clone(), pool.permit().await?).await };
        hub.connection(connecting).await
    }

    pub(crate) fn pool(&self) -> &Arc<Pool> {
        &self.inner.pool
    }
}

/// The mailbox of a client, which lives as long as the client does.
#[derive(Debug)]
pub(crate) struct SharedMailbox(pub(crate) Client);

impl Deref for SharedMailbox {
    type Target = Mailbox;

    fn deref(&self) -> &Mailbox {
        &self.0.inner.mailbox
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("config", self.inner.place.config())
            .finish_non_exhaustive()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.mailbox.close(Closing::WhenDone);
    }
}

impl<'a> Commands for &'a Client {
    type Output<T: FromReply> = Run<'a, T>;

    fn run<T: FromReply>(self, command: Command) -> Run<'a, T> {
        let charset = self.charset();
        Run::shared(&self.inner.mailbox, &self.inner.pool, command, charset)
    }

    fn run_known<T: FromReply>(self, command: Command) -> Run<'a, T> {
        Run::known(&self.inner.mailbox, command, self.charset())
    }

    fn run_script<T: FromReply>(self, call: ScriptCall) -> Run<'a, T> {
        self.run_known(call.by_digest()).with_script(call)
    }
}
