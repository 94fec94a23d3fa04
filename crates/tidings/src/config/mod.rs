//! What a client has to know before it opens a connection: from a URL, or from setters.

mod address;
mod charset;
mod check;
mod into;
mod percent;
mod query;
mod secret;
mod servers;
#[cfg(feature = "tls")]
mod tls;
mod url;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use tidings_proto::{Charset, Limits};

pub(crate) use charset::Label;

pub(crate) use address::Address;
pub(crate) use secret::Secret;
pub(crate) use servers::{SentinelSettings, Servers};

pub use into::{IntoClusterConfig, IntoConfig};
#[cfg(feature = "tls")]
pub use tls::TlsConfig;

use crate::error::Result;

/// A server on the same continent answers a connection request in a fraction of a second; SYN packets
/// that were lost are sent again after 1 s and 3 s, so that two of them may be lost.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A dead peer is found by the PINGs, after 10 s. This bound is for a server that lives and yet does not
/// answer one command (a script that runs, a disk that stalls): six times what such a script is given
/// before the server says BUSY (`busy-reply-threshold`, 5 s), and less than callers wait for.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(30);

/// With the next one: a peer that went silent is declared dead within 10 s.
const PING_INTERVAL: Duration = Duration::from_secs(5);
const PING_TIMEOUT: Duration = Duration::from_secs(5);

/// A server that restarts is back after some tens of milliseconds; one that is down for long is asked
/// about twenty times a minute, which a thousand clients do without harm.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(3));

/// A tenth of the 10 000 clients that a server accepts by default (`maxclients`).
const MAX_OWN_CONNECTIONS: usize = 1024;

/// With it, what nobody announces is found in a cluster about as soon as a silent peer is.
const TOPOLOGY_INTERVAL: Duration = Duration::from_secs(5);

/// Longer times are cut to this one, so that no sum of times overflows.
const LONGEST_TIME: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Where the server is, who connects, and how patiently.
///
/// It starts as a URL or as a host and a port; setters change one thing each. Setters do not fail: what
/// cannot be right is refused by `connect`, and by [`from_url`](Config::from_url) what stands in the URL.
///
/// ```
/// use std::time::Duration;
/// use tidings::Config;
///
/// let config = Config::from_url("redis://app:secret@localhost:6379/2?client_name=orders")?
///     .connect_timeout(Duration::from_secs(2))
///     .max_attempts(Some(10));
/// assert!(!format!("{config:?}").contains("secret"));
/// # Ok::<(), tidings::Error>(())
/// ```
///
/// # URLs
///
/// | URL | connects to |
/// |---|---|
/// | `redis://[user:password@]host[:port][/database]`, or `valkey://…` | a server over TCP, port 6379 unless given |
/// | `rediss://…`, `valkeys://…` | the same over TLS (feature `tls`) |
/// | `unix://[user:password@]/path/to.sock[?db=2]`, or `redis+unix://…`, `valkey+unix://…` | a Unix socket |
/// | `redis+cluster://[user:password@]host[:port][,host[:port]…]`, or `valkey+cluster://…`; over TLS `rediss+cluster://…`, `valkeys+cluster://…` | a cluster that these are nodes of, for a [`ClusterClient`](crate::ClusterClient) |
/// | `redis+sentinel://[user:password@]host[:port][,host[:port]…]/name[/database]`, and the same variants | the [primary that these sentinels know](Config#sentinel) by this name, or a replica of it; their port is 26379 unless given |
///
/// An IPv6 address stands in brackets: `redis://[::1]:6379`. What is not a letter or a digit in a user name
/// or a password is percent-encoded: `p@ss/word` is `p%40ss%2Fword`. `redis://:password@host` gives a
/// password alone, and `redis://user:@host` an empty one (ACL users with `nopass`).
///
/// After a `?`, joined by `&`:
///
/// | parameter | sets |
/// |---|---|
/// | `protocol=2`, `3` or `auto` | [`protocol`](Config::protocol) |
/// | `client_name=orders` | [`client_name`](Config::client_name) |
/// | `db=2` | [`database`](Config::database), where it does not stand in the path |
/// | `connect_timeout=`, `ping_interval=`, `ping_timeout=` | the times of these names: `5`, `0.5`, `5s` or `500ms` |
/// | `response_timeout=` | [`response_timeout`](Config::response_timeout), a time or `none` |
/// | `max_attempts=10` | [`max_attempts`](Config::max_attempts), or `none` |
/// | `charset=iso-8859-1` | `charset` (feature `charset`) |
/// | `read_from_replicas=true` | [`read_from_replicas`](Config::read_from_replicas), of a cluster |
/// | `topology_interval=` | [`topology_interval`](Config::topology_interval), of a cluster |
/// | `role=replica` or `primary` | [`sentinel_replica`](Config::sentinel_replica) |
/// | `sentinel_username=`, `sentinel_password=` | [whom the sentinels know the client as](Config::sentinel_password), if they ask |
/// | `tls_ca=`, `tls_cert=`, `tls_key=` | PEM files with the trusted roots, the client's certificate, and its key |
/// | `tls_server_name=` | the name that the server's certificate has to be for |
///
/// # Times
///
/// A time of zero is refused. One of more than a year counts as a year.
///
/// # Sentinel
///
/// A client that names sentinels asks them where the primary is, and listens to all of them, also to those that only they know
/// of. Any of them may be down; connections to them are made again for ever. The first that publishes `+switch-master` moves
/// every connection of the client to the new primary. Subscribers get a [`Gap`](crate::Gap) whose cause is
/// [`Failover`](crate::GapCause::Failover), as they do where the primary has died and another one takes its place; a command that was under
/// way fails as on a lost connection, and [says whether it may have run](crate::Error::may_have_run). Every 5 seconds each
/// sentinel is asked as well, in case its word was missed. A server that is named as the primary and is a replica is not used.
///
/// User, password and database are those of the servers; sentinels have [their own](Config::sentinel_password), and no
/// databases. TLS is for both.
///
/// With `role=replica` it is a replica that is up and in touch with its primary: another one for each connection, at random. Where
/// there is none it is the primary, until there is one. What is published on a connection to a replica reaches the subscribers of
/// that replica and nobody else: publish with a client of the primary.
///
/// # Charset
///
/// Text is UTF-8. With the feature `charset`, `Config::charset` or `?charset=` names another charset of the
/// client and of all that is made of it. It is the charset of
///
/// - what is given as text (`&str`, `String`, `char`): names of channels, patterns, keys, payloads, values, and all other
///   arguments of commands, those of [`cmd`](crate::cmd), of pipelines and of scripts included;
/// - what is asked for as text: payloads and replies that become `String`s, [`Message::text`](crate::Message::text),
///   [`channel_str`](crate::Message::channel_str), and names in the errors of subscribers.
///
/// A character that the charset lacks makes the call a [misuse](crate::ErrorKind::Misuse), before anything is sent. What is
/// bytes stays as it is, in both directions, also within a [`Value`](crate::Value); JSON, the text of a
/// [`Script`](crate::Script), the user name and the password are UTF-8 always.
///
/// Labels are those of the [Encoding Standard](https://encoding.spec.whatwg.org/#names-and-labels), but `iso-8859-1` and
/// `us-ascii` mean themselves and not `windows-1252`. UTF-16 cannot be used.
#[derive(Clone)]
pub struct Config {
    servers: Servers,
    sentinel: SentinelSettings,
    username: Option<String>,
    password: Option<Secret<String>>,
    database: u32,
    protocol: ProtocolVersion,
    client_name: Option<String>,
    connect_timeout: Duration,
    response_timeout: Option<Duration>,
    ping_interval: Duration,
    ping_timeout: Duration,
    max_attempts: Option<u32>,
    backoff: (Duration, Duration),
    max_own_connections: usize,
    limits: Limits,
    charset: Label,
    read_from_replicas: bool,
    topology_interval: Duration,
    #[cfg(feature = "tls")]
    tls: Option<TlsConfig>,
}

/// Which version of the protocol is spoken. What a client does is the same in both.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ProtocolVersion {
    /// RESP3 where the server has it (Redis 6 and Valkey), RESP2 otherwise.
    #[default]
    Auto,
    /// RESP2, which every server speaks.
    Resp2,
    /// RESP3, and an error where the server does not have it.
    Resp3,
}

impl Config {
    /// Reads a URL; the table of them is [above](Config#urls).
    ///
    /// # Errors
    ///
    /// A [`Config`](crate::ErrorKind::Config) error says what is wrong and what to write instead. Because a
    /// password may stand anywhere in a URL that was mistyped, it repeats none of it but names.
    pub fn from_url(url: &str) -> Result<Self> {
        url::parse(url)
    }

    /// A server over TCP. The host is a name or an IP address.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self::at(Address::tcp(host, port))
    }

    /// A server on this machine, by the path of its Unix socket (`unixsocket` in its configuration).
    ///
    /// On platforms without Unix sockets, `connect` refuses it.
    pub fn unix(path: impl Into<PathBuf>) -> Self {
        Self::at(Address::Unix(path.into()))
    }

    /// A cluster, for a [`ClusterClient`](crate::ClusterClient): some of its nodes, as hosts and ports. They know the
    /// others; one that is up is enough.
    ///
    /// ```
    /// use tidings::Config;
    ///
    /// let config = Config::cluster([("10.0.0.1", 6379), ("10.0.0.2", 6379)]).read_from_replicas(true);
    /// ```
    pub fn cluster<H: Into<String>>(nodes: impl IntoIterator<Item = (H, u16)>) -> Self {
        Self::of(Servers::Cluster(addresses(nodes)))
    }

    /// The primary that sentinels know by this name: wherever it is, now and after a failover. See
    /// [above](Config#sentinel).
    ///
    /// ```
    /// use tidings::Config;
    ///
    /// let config = Config::sentinel([("10.0.0.1", 26379), ("10.0.0.2", 26379)], "mymaster");
    /// ```
    pub fn sentinel<H: Into<String>>(
        sentinels: impl IntoIterator<Item = (H, u16)>,
        name: impl Into<String>,
    ) -> Self {
        Self::of(Servers::Sentinel(addresses(sentinels), name.into()))
    }

    /// The ACL user to connect as (Redis 6, Valkey). It needs a [`password`](Config::password).
    #[must_use]
    pub fn username(mut self, username: impl Into<String>) -> Self {
        self.username = Some(username.into());
        self
    }

    /// The password; without a [`username`](Config::username), that of the user `default`.
    ///
    /// It shows in no `Debug` output and in no error.
    #[must_use]
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.password = Some(Secret::new(password.into()));
        self
    }

    /// The number of the database, 0 unless set. A client stays in its database: there is no `SELECT`.
    ///
    /// Channels belong to no database: what is published reaches subscribers of every number.
    #[must_use]
    pub fn database(mut self, database: u32) -> Self {
        self.database = database;
        self
    }

    /// Which version of the protocol to speak; [`ProtocolVersion::Auto`] unless set.
    #[must_use]
    pub fn protocol(mut self, protocol: ProtocolVersion) -> Self {
        self.protocol = protocol;
        self
    }

    /// The name of the connections in the server's `CLIENT LIST`: ASCII without blanks, as the server wants it.
    #[must_use]
    pub fn client_name(mut self, name: impl Into<String>) -> Self {
        self.client_name = Some(name.into());
        self
    }

    /// How long one attempt to connect may take in all: name, connection and TLS. 5 s unless set.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = bounded(timeout);
        self
    }

    /// How long a command may wait for its reply; `None` is for ever. 30 s unless set.
    ///
    /// For a long reply, and the replies to a pipeline, it is the time in which nothing of them arrives. Commands
    /// behind them on the connection wait no longer for that.
    ///
    /// A dead server is found sooner, by its missing answer to a PING (10 s by default). This bound is for one
    /// that lives and does not answer a command.
    #[must_use]
    pub fn response_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.response_timeout = timeout.into().map(bounded);
        self
    }

    /// After how much silence a PING is sent. 5 s unless set.
    ///
    /// A peer that went silent is declared dead after this time and [`ping_timeout`](Config::ping_timeout).
    #[must_use]
    pub fn ping_interval(mut self, interval: Duration) -> Self {
        self.ping_interval = bounded(interval);
        self
    }

    /// How long after a PING anything has to come from the server. 5 s unless set.
    #[must_use]
    pub fn ping_timeout(mut self, timeout: Duration) -> Self {
        self.ping_timeout = bounded(timeout);
        self
    }

    /// How many attempts to connect may fail in a row before it is given up; `None`, as it is unless set, is
    /// never.
    #[must_use]
    pub fn max_attempts(mut self, attempts: impl Into<Option<u32>>) -> Self {
        self.max_attempts = attempts.into();
        self
    }

    /// The shortest and the longest pause between two attempts to connect. 50 ms and 3 s unless set.
    ///
    /// The first attempt after a loss is made at once; then pauses grow from the shortest to the longest, with
    /// jitter.
    #[must_use]
    pub fn backoff(mut self, shortest: Duration, longest: Duration) -> Self {
        self.backoff = (bounded(shortest), bounded(longest));
        self
    }

    /// How many connections beside the one that they share the client and its clones may have open at a time: one for
    /// each [`PubSub`](crate::PubSub), [`Watch`](crate::Watch) and [`Monitor`](crate::Monitor), and one for each
    /// command that blocks while it does. What has connections to several nodes of a cluster counts as one. 1024 unless
    /// set.
    ///
    /// Whoever finds all of them in use waits, for the [time to connect](Self::connect_timeout), and is then told of a
    /// timeout. Those of watches and of commands that blocked are lent again, and closed after 30 seconds without use.
    #[must_use]
    pub fn max_own_connections(mut self, connections: usize) -> Self {
        self.max_own_connections = connections;
        self
    }

    /// Whether what only reads goes to replicas, of a [`ClusterClient`](crate::ClusterClient): commands that the server
    /// flags as reading, and all subscribers unless they are told otherwise. A primary serves where no replica does.
    /// `false` unless set.
    ///
    /// A replica is a little behind its primary: what was just written may not be there yet, and when a slot moves more
    /// messages are lost on the way to it. A [`Client`](crate::Client) that is connected to a replica of a cluster may read
    /// there with this, and is sent to the primary without.
    #[must_use]
    pub fn read_from_replicas(mut self, read: bool) -> Self {
        self.read_from_replicas = read;
        self
    }

    /// How often a [`ClusterClient`](crate::ClusterClient) asks its nodes, of itself, where the slots are, as long as
    /// something of it subscribes or monitors; twelve times as seldom otherwise. 5 s unless set.
    ///
    /// What moves is noticed at once as a rule, since servers say so. This is for what they do not announce: a
    /// subscription on a node that has changed sides, say. Such a one is found within this time and 2 s.
    #[must_use]
    pub fn topology_interval(mut self, interval: Duration) -> Self {
        self.topology_interval = bounded(interval);
        self
    }

    /// The ACL user to connect to sentinels as. It needs a [`sentinel_password`](Self::sentinel_password). That of
    /// the servers is [`username`](Self::username).
    #[must_use]
    pub fn sentinel_username(mut self, username: impl Into<String>) -> Self {
        self.sentinel.username = Some(username.into());
        self
    }

    /// The password of the sentinels, where they have one. That of the servers is [`password`](Self::password).
    #[must_use]
    pub fn sentinel_password(mut self, password: impl Into<String>) -> Self {
        self.sentinel.password = Some(Secret::new(password.into()));
        self
    }

    /// Whether to connect to a replica that the sentinels know, and to the primary only where there is none. `false`
    /// unless set: to the primary.
    ///
    /// A replica is a little behind its primary. What is published there reaches its own subscribers only.
    #[must_use]
    pub fn sentinel_replica(mut self, replica: bool) -> Self {
        self.sentinel.replica = replica;
        self
    }

    /// The bounds on what a server may send: length and depth of a reply, among others.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The charset of text, by its label, such as `iso-8859-1`, `windows-1252` or `shift_jis`; UTF-8 unless set. See
    /// [above](Config#charset).
    #[cfg(feature = "charset")]
    #[must_use]
    pub fn charset(mut self, label: impl AsRef<str>) -> Self {
        self.charset = Label::named(label.as_ref());
        self
    }

    /// Connects over TLS, checked as this says. `rediss://` stands for [`TlsConfig::new`].
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(mut self, tls: TlsConfig) -> Self {
        self.tls = Some(tls);
        self
    }

    fn at(address: Address) -> Self {
        Self::of(Servers::One(address))
    }

    fn of(servers: Servers) -> Self {
        Self {
            servers,
            sentinel: SentinelSettings::default(),
            username: None,
            password: None,
            database: 0,
            protocol: ProtocolVersion::default(),
            client_name: None,
            connect_timeout: CONNECT_TIMEOUT,
            response_timeout: Some(RESPONSE_TIMEOUT),
            ping_interval: PING_INTERVAL,
            ping_timeout: PING_TIMEOUT,
            max_attempts: None,
            backoff: BACKOFF,
            max_own_connections: MAX_OWN_CONNECTIONS,
            limits: Limits::default(),
            charset: Label::default(),
            read_from_replicas: false,
            topology_interval: TOPOLOGY_INTERVAL,
            #[cfg(feature = "tls")]
            tls: None,
        }
    }
}

fn addresses<H: Into<String>>(servers: impl IntoIterator<Item = (H, u16)>) -> Vec<Address> {
    let servers = servers.into_iter();
    servers
        .map(|(host, port)| Address::tcp(host, port))
        .collect()
}

/// What the other floors read.
impl Config {
    pub(crate) fn servers(&self) -> &Servers {
        &self.servers
    }

    /// The server, if it is one; else the first that was named.
    pub(crate) fn server_address(&self) -> &Address {
        let first = self.servers.addresses().first();
        first.expect("settings that were checked name a server")
    }

    /// The same for the one server at this address.
    pub(crate) fn at_server(&self, address: Address) -> Self {
        Self {
            servers: Servers::One(address),
            sentinel: SentinelSettings::default(),
            ..self.clone()
        }
    }

    /// The same for the sentinel at this address. Sentinels have users of their own and no databases. Their connections are
    /// made again for ever, and soon, whatever is said of those of the servers: they end the pauses of these.
    pub(crate) fn at_sentinel(&self, address: Address) -> Self {
        let SentinelSettings {
            username, password, ..
        } = self.sentinel.clone();
        Self {
            username,
            password,
            database: 0,
            protocol: ProtocolVersion::Auto,
            max_attempts: None,
            backoff: BACKOFF,
            ..self.at_server(address)
        }
    }

    pub(crate) fn sentinel_settings(&self) -> &SentinelSettings {
        &self.sentinel
    }

    pub(crate) fn reads_from_replicas(&self) -> bool {
        self.read_from_replicas
    }

    pub(crate) fn time_between_topologies(&self) -> Duration {
        self.topology_interval
    }

    /// The ACL user, if one was named, and the password.
    pub(crate) fn credentials(&self) -> Option<(Option<&str>, &Secret<String>)> {
        self.password
            .as_ref()
            .map(|password| (self.username.as_deref(), password))
    }

    pub(crate) fn database_number(&self) -> u32 {
        self.database
    }

    pub(crate) fn protocol_version(&self) -> ProtocolVersion {
        self.protocol
    }

    pub(crate) fn name(&self) -> Option<&str> {
        self.client_name.as_deref()
    }

    pub(crate) fn time_to_connect(&self) -> Duration {
        self.connect_timeout
    }

    pub(crate) fn time_to_respond(&self) -> Option<Duration> {
        self.response_timeout
    }

    /// The silence after which a PING is sent, and the time its answer has.
    pub(crate) fn ping_times(&self) -> (Duration, Duration) {
        (self.ping_interval, self.ping_timeout)
    }

    pub(crate) fn attempts(&self) -> Option<u32> {
        self.max_attempts
    }

    /// The shortest and the longest pause between two attempts.
    pub(crate) fn backoff_times(&self) -> (Duration, Duration) {
        self.backoff
    }

    pub(crate) fn own_connections(&self) -> usize {
        self.max_own_connections
    }

    pub(crate) fn reply_limits(&self) -> Limits {
        self.limits
    }

    /// The charset of text; [`check`](Config::check) has seen that there is such a thing.
    pub(crate) fn text_charset(&self) -> Charset {
        self.charset.charset().unwrap_or_default()
    }

    #[cfg(feature = "tls")]
    pub(crate) fn tls_config(&self) -> Option<&TlsConfig> {
        self.tls.as_ref()
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Config");
        match &self.servers {
            Servers::One(address) => debug.field("address", address),
            others => debug
                .field("servers", others)
                .field("sentinel", &self.sentinel),
        };
        // In `redis://secret@host` and `redis://secret:@host` somebody took the password for the user.
        if self
            .password
            .as_ref()
            .is_some_and(|password| !password.expose().is_empty())
        {
            debug.field("username", &self.username);
        } else {
            debug.field("username", &self.username.as_ref().map(Secret::new));
        }
        debug
            .field("password", &self.password)
            .field("database", &self.database)
            .field("protocol", &self.protocol)
            .field("client_name", &self.client_name)
            .field("connect_timeout", &self.connect_timeout)
            .field("response_timeout", &self.response_timeout)
            .field("ping_interval", &self.ping_interval)
            .field("ping_timeout", &self.ping_timeout)
            .field("max_attempts", &self.max_attempts)
            .field("backoff", &self.backoff)
            .field("max_own_connections", &self.max_own_connections)
            .field("limits", &self.limits)
            .field("charset", &self.text_charset().name())
            .field("read_from_replicas", &self.read_from_replicas)
            .field("topology_interval", &self.topology_interval);
        #[cfg(feature = "tls")]
        debug.field("tls", &self.tls);
        debug.finish()
    }
}

fn bounded(time: Duration) -> Duration {
    time.min(LONGEST_TIME)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_those_of_the_documentation() {
        let config = Config::new("localhost", 6379);
        assert_eq!(config.time_to_connect(), Duration::from_secs(5));
        assert_eq!(config.time_to_respond(), Some(Duration::from_secs(30)));
        assert_eq!(config.attempts(), None);
        assert_eq!(
            config.backoff_times(),
            (Duration::from_millis(50), Duration::from_secs(3))
        );
        assert_eq!(config.own_connections(), 1024);
        assert_eq!(config.protocol_version(), ProtocolVersion::Auto);
        assert!(config.credentials().is_none());
    }

    #[test]
    fn lv_01_a_silent_peer_has_five_and_five_seconds_by_default() {
        let five = Duration::from_secs(5);
        assert_eq!(Config::new("localhost", 6379).ping_times(), (five, five));
    }

    #[test]
    fn se_01_debug_shows_the_user_and_not_the_password() {
        let config = Config::new("localhost", 6379)
            .username("app")
            .password("hush");
        let shown = format!("{config:?} {config:#?}");
        assert!(
            shown.contains("app") && shown.contains("password: Some(_)"),
            "{shown}"
        );
        assert!(!shown.contains("hush"));
    }

    #[test]
    fn se_01_debug_hides_a_user_without_a_password_which_may_be_the_password() {
        let config = Config::new("localhost", 6379).username("hush");
        assert!(!format!("{config:?} {:?}", config.clone().password("")).contains("hush"));
    }

    #[test]
    fn times_without_end_do_not_overflow_a_sum() {
        let config = Config::new("localhost", 6379)
            .ping_interval(Duration::MAX)
            .ping_timeout(Duration::MAX)
            .connect_timeout(Duration::MAX)
            .response_timeout(Duration::MAX);
        let (interval, timeout) = config.ping_times();
        assert_eq!(interval + timeout, 2 * LONGEST_TIME);
        assert_eq!(config.time_to_respond(), Some(LONGEST_TIME));
    }
}
