//! Real sentinels over a real primary.

use std::fmt;
use std::thread;
use std::time::Duration;

use crate::admin::AdminReply;
use crate::binaries::{Binary, matrix};
use crate::protocol::Protocol;
use crate::server::{Server, ServerBuilder, StartError, percent_encoded, quoted};
use crate::wait::agreed;

/// A primary with replicas, and sentinels that watch over it, all of one's own, on free ports of
/// 127.0.0.1. All of it ends when this is dropped.
///
/// ```
/// # use tidings_testkit::Sentinels;
/// let sentinels = Sentinels::builder().replicas(1).start()?;
/// let url = sentinels.url(); // redis+sentinel://127.0.0.1:12345,127.0.0.1:12346/mymaster
/// let before = sentinels.primary();
/// before.kill();
/// let after = sentinels.await_switch_from(before); // every sentinel has published +switch-master
/// assert_eq!(after.cli(["ROLE"]).lines().next(), Some("master"));
/// # drop(url);
/// # Ok::<(), tidings_testkit::StartError>(())
/// ```
pub struct Sentinels {
    builder: SentinelsBuilder,
    servers: Vec<Server>,
    sentinels: Vec<Server>,
}

/// What [`Sentinels`] should be like; made by [`Sentinels::builder`], ended by [`start`](Self::start).
#[derive(Clone)]
#[must_use = "nothing runs until `start` is called"]
pub struct SentinelsBuilder {
    binary: Option<Binary>,
    name: String,
    replicas: usize,
    sentinels: usize,
    quorum: Option<usize>,
    down_after: Duration,
    password: Option<String>,
    sentinel_password: Option<String>,
    server: ServerBuilder,
}

/// A busy machine should not make a primary look dead.
const DOWN_AFTER: Duration = Duration::from_secs(2);

/// After this, another sentinel may try if one has failed to fail over: 3 min by default.
const FAILOVER_TIMEOUT: Duration = Duration::from_secs(10);

/// How often sentinels tell each other that they are there, while they start; 2 s otherwise.
const HELLO_PERIOD: [&str; 2] = ["100", "2000"];

impl Default for SentinelsBuilder {
    fn default() -> Self {
        Self {
            binary: None,
            name: "mymaster".to_owned(),
            replicas: 2,
            sentinels: 3,
            quorum: None,
            down_after: DOWN_AFTER,
            password: None,
            sentinel_password: None,
            server: Server::builder(),
        }
    }
}

impl SentinelsBuilder {
    /// The program to run, for servers and sentinels; without it, the first of
    /// [`matrix`].
    pub fn binary(mut self, binary: &Binary) -> Self {
        self.binary = Some(binary.clone());
        self
    }

    /// What the sentinels call the primary, which is one word; `mymaster` without it.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// How many replicas the primary has; 2 without it.
    pub fn replicas(mut self, count: usize) -> Self {
        self.replicas = count;
        self
    }

    /// How many sentinels there are; 3 without it.
    ///
    /// # Panics
    ///
    /// If it is 0.
    #[track_caller]
    pub fn sentinels(mut self, count: usize) -> Self {
        assert!(count > 0, "without sentinels there is nobody to ask");
        self.sentinels = count;
        self
    }

    /// How many sentinels must find that the primary is down; the majority without it.
    pub fn quorum(mut self, count: usize) -> Self {
        self.quorum = Some(count);
        self
    }

    /// `down-after-milliseconds`: a server that has not answered for this long is down. 2 s without it.
    pub fn down_after(mut self, time: Duration) -> Self {
        self.down_after = time;
        self
    }

    /// A password for the default user of the servers, which the sentinels and the replicas know.
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.password = Some(password.into());
        self
    }

    /// A password for the default user of the sentinels.
    pub fn sentinel_password(mut self, password: impl Into<String>) -> Self {
        self.sentinel_password = Some(password.into());
        self
    }

    /// A directive of every server that is no sentinel, as in [`ServerBuilder::config`].
    pub fn config(mut self, name: &str, value: impl fmt::Display) -> Self {
        self.server = self.server.config(name, value);
        self
    }

    /// Starts all and waits until the replicas are in sync and each sentinel knows them and the
    /// other sentinels.
    ///
    /// # Errors
    ///
    /// If one does not come up, or they do not find each other; the error shows the end of a log.
    ///
    /// # Panics
    ///
    /// As [`matrix`], if no binary was named and none is found.
    pub fn start(mut self) -> Result<Sentinels, StartError> {
        let binary = self
            .binary
            .take()
            .unwrap_or_else(|| matrix().swap_remove(0));
        self.binary = Some(binary);
        let primary = self.server_builder(None).start()?;
        let mut servers = start_all(self.replicas, || self.server_builder(Some(&primary)))?;
        let sentinels = start_all(self.sentinels, || self.sentinel_builder(&primary))?;
        servers.insert(0, primary);
        let sentinels = Sentinels {
            builder: self,
            servers,
            sentinels,
        };
        match sentinels.introduce() {
            Ok(()) => Ok(sentinels),
            Err(problem) => Err(StartError::afterwards(&sentinels.sentinels[0], problem)),
        }
    }

    /// As [`start`](Self::start), for tests that cannot go on without.
    ///
    /// # Panics
    ///
    /// With the error's text, if they do not come up.
    #[track_caller]
    #[must_use]
    pub fn start_or_panic(self) -> Sentinels {
        self.start().unwrap_or_else(|error| panic!("{error}"))
    }

    fn blank(&self, password: Option<&String>) -> ServerBuilder {
        let mut server = Server::builder();
        if let Some(binary) = &self.binary {
            server = server.binary(binary);
        }
        if let Some(password) = password {
            server = server.password(password);
        }
        server
    }

    fn server_builder(&self, primary: Option<&Server>) -> ServerBuilder {
        let mut server = self
            .blank(self.password.as_ref())
            .config("repl-diskless-sync-delay", 0)
            .lines_of(&self.server);
        if let Some(password) = &self.password {
            // The primary too, which becomes a replica one day.
            server = server.arg_line(format!("masterauth {}", quoted(password)));
        }
        match primary {
            Some(primary) => server.arg_line(format!("replicaof 127.0.0.1 {}", primary.port())),
            None => server,
        }
    }

    fn sentinel_builder(&self, primary: &Server) -> ServerBuilder {
        let name = &self.name;
        let quorum = self.quorum.unwrap_or(self.sentinels / 2 + 1);
        let mut sentinel = self
            .blank(self.sentinel_password.as_ref())
            .sentinel()
            .arg_line(format!(
                "sentinel monitor {name} 127.0.0.1 {} {quorum}",
                primary.port()
            ))
            .arg_line(format!(
                "sentinel down-after-milliseconds {name} {}",
                self.down_after.as_millis()
            ))
            .arg_line(format!(
                "sentinel failover-timeout {name} {}",
                FAILOVER_TIMEOUT.as_millis()
            ));
        if let Some(password) = &self.password {
            sentinel = sentinel.arg_line(format!("sentinel auth-pass {name} {}", quoted(password)));
        }
        if let Some(password) = &self.sentinel_password {
            sentinel = sentinel.arg_line(format!("sentinel sentinel-pass {}", quoted(password)));
        }
        sentinel
    }
}

/// Without the passwords.
impl fmt::Debug for SentinelsBuilder {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("SentinelsBuilder")
            .field("binary", &self.binary)
            .field("name", &self.name)
            .field("replicas", &self.replicas)
            .field("sentinels", &self.sentinels)
            .finish_non_exhaustive()
    }
}

fn start_all(count: usize, builder: impl Fn() -> ServerBuilder) -> Result<Vec<Server>, StartError> {
    thread::scope(|scope| {
        let starts: Vec<_> = (0..count)
            .map(|_| builder())
            .map(|builder| scope.spawn(|| builder.start()))
            .collect();
        starts
            .into_iter()
            .map(|start| start.join().expect("starting does not panic"))
            .collect()
    })
}

/// Where they are and what they are.
impl Sentinels {
    /// A primary with two replicas and three sentinels, of the first of [`matrix`].
    ///
    /// # Panics
    ///
    /// If there is no server, or they do not come up.
    #[track_caller]
    #[must_use]
    pub fn start() -> Self {
        Self::builder().start_or_panic()
    }

    /// Other numbers, another binary, passwords, …
    pub fn builder() -> SentinelsBuilder {
        SentinelsBuilder::default()
    }

    /// Who is the primary, as the first sentinel says that runs.
    ///
    /// # Panics
    ///
    /// If no sentinel runs.
    #[must_use]
    #[track_caller]
    pub fn primary(&self) -> &Server {
        let named = self
            .awake()
            .find_map(|sentinel| self.named_by(sentinel).ok());
        named.expect("a sentinel that runs")
    }

    /// The other servers, also those that are down.
    ///
    /// # Panics
    ///
    /// As [`primary`](Self::primary).
    #[must_use]
    #[track_caller]
    pub fn replicas(&self) -> Vec<&Server> {
        let primary = self.primary().port();
        let servers = self.servers.iter();
        servers.filter(|server| server.port() != primary).collect()
    }

    /// All servers, the one that was the primary at the start first.
    #[must_use]
    pub fn servers(&self) -> &[Server] {
        &self.servers
    }

    /// All sentinels, also those that are down. One that is started again knows what it knew.
    #[must_use]
    pub fn sentinels(&self) -> &[Server] {
        &self.sentinels
    }

    /// What the sentinels call the primary.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.builder.name
    }

    /// `redis+sentinel://127.0.0.1:26379,127.0.0.1:26380/mymaster`, with the password of the
    /// servers if there is one.
    #[must_use]
    pub fn url(&self) -> String {
        let addresses: Vec<String> = self.sentinels.iter().map(Server::address).collect();
        let password = self.builder.password.as_ref();
        let user = password.map_or_else(String::new, |password| {
            format!(":{}@", percent_encoded(password))
        });
        format!(
            "redis+sentinel://{user}{}/{}",
            addresses.join(","),
            percent_encoded(self.name())
        )
    }

    /// [`url`](Self::url) with `?protocol=2` or `?protocol=3`.
    #[must_use]
    pub fn url_for(&self, protocol: Protocol) -> String {
        format!("{}?protocol={}", self.url(), protocol.number())
    }

    fn awake(&self) -> impl Iterator<Item = &Server> {
        self.sentinels.iter().filter(|sentinel| sentinel.is_awake())
    }

    fn named_by(&self, sentinel: &Server) -> Result<&Server, String> {
        let address = sentinel.try_admin(["SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.name()]);
        let address = address.map_err(|error| error.to_string())?;
        let port = address.elements().get(1).and_then(AdminReply::integer);
        let named = self
            .servers
            .iter()
            .find(|server| Some(i64::from(server.port())) == port);
        named.ok_or_else(|| format!("a sentinel names {address}"))
    }
}

/// What happens to them.
impl Sentinels {
    /// `SENTINEL FAILOVER`: has a replica promoted although the primary is well. Returns when every
    /// sentinel that runs names it, and gives it. The old primary is then still one for some
    /// 10 s, and its clients stay: see [`await_settled`](Self::await_settled).
    ///
    /// # Panics
    ///
    /// If there is no replica that could be promoted, or it takes more than a minute.
    #[track_caller]
    pub fn failover(&self) -> &Server {
        let old = self.primary();
        let asked = agreed(|| {
            let sentinel = self.awake().next().ok_or("no sentinel runs")?;
            // INPROG after another failover, NOGOODSLAVE before the sentinel has looked again.
            match sentinel.try_admin(["SENTINEL", "FAILOVER", self.name()]) {
                Ok(AdminReply::Error(text)) => Err(text),
                Ok(_) => Ok(()),
                Err(error) => Err(error.to_string()),
            }
        });
        asked.unwrap_or_else(|problem| panic!("{}: {problem}", self.binary()));
        self.await_other_than(old)
    }

    /// Waits until every sentinel that runs names one and the same other primary; gives it.
    ///
    /// The sentinel that leads a failover names it first and publishes `+switch-master` last, up to
    /// 6 s later: see [`await_switch_from`](Self::await_switch_from).
    ///
    /// # Panics
    ///
    /// If that takes more than a minute.
    #[track_caller]
    pub fn await_other_than(&self, old: &Server) -> &Server {
        let named = agreed(|| match self.named_by_all()? {
            named if named.port() == old.port() => Err("the old one is named".to_owned()),
            named => Ok(named),
        });
        named.unwrap_or_else(|problem| panic!("{}: {problem}", self.binary()))
    }

    /// The same, and waits until each of them has published `+switch-master` from the old one to that
    /// one, at least once since it was started first.
    ///
    /// # Panics
    ///
    /// If that takes more than a minute.
    #[track_caller]
    pub fn await_switch_from(&self, old: &Server) -> &Server {
        let new = self.await_other_than(old);
        let name = self.name();
        let [from, to] = [old, new].map(|server| format!("127.0.0.1 {}", server.port()));
        let event = format!("+switch-master {name} {from} {to}");
        let published = agreed(|| {
            let silent = self
                .awake()
                .find(|sentinel| !sentinel.log().contains(&event));
            silent.map_or(Ok(()), |_| {
                Err(format!("a sentinel did not publish {event}"))
            })
        });
        published.unwrap_or_else(|problem| panic!("{}: {problem}", self.binary()));
        new
    }

    /// Waits until every sentinel that runs names the same primary, which is one, and all other
    /// servers that run are its replicas and in sync. After a failover that takes some 11 s.
    ///
    /// # Panics
    ///
    /// If that takes more than a minute.
    #[track_caller]
    pub fn await_settled(&self) {
        agreed(|| self.state()).unwrap_or_else(|problem| panic!("{}: {problem}", self.binary()));
    }

    /// The program that runs.
    ///
    /// # Panics
    ///
    /// Never: it was chosen at the start.
    #[must_use]
    pub fn binary(&self) -> &Binary {
        self.builder.binary.as_ref().expect("chosen at the start")
    }

    /// Waits until all know each other.
    fn introduce(&self) -> Result<(), String> {
        self.say_hello_every(HELLO_PERIOD[0]);
        agreed(|| {
            self.state()?;
            self.sentinels.iter().try_for_each(|sentinel| {
                let known = sentinel.admin(["SENTINEL", "MASTER", self.name()]);
                let known = known.elements();
                let field = |name| {
                    let at = known.iter().position(|field| field.text() == Some(name));
                    at.and_then(|at| known.get(at + 1)?.text())
                };
                let counts = ["num-slaves", "num-other-sentinels"]
                    .map(|name| field(name).and_then(|count| count.parse::<usize>().ok()));
                let wanted = [self.builder.replicas, self.builder.sentinels - 1].map(Some);
                if counts != wanted || field("flags") != Some("master") {
                    return Err(format!("a sentinel knows {counts:?}, not {wanted:?}"));
                }
                Ok(())
            })
        })?;
        self.say_hello_every(HELLO_PERIOD[1]);
        Ok(())
    }

    /// Where a sentinel cannot be told, starting takes longer.
    fn say_hello_every(&self, milliseconds: &str) {
        for sentinel in &self.sentinels {
            let _ = sentinel.try_admin(["SENTINEL", "DEBUG", "publish-period", milliseconds]);
        }
    }

    fn named_by_all(&self) -> Result<&Server, String> {
        let mut all = self.awake().map(|sentinel| self.named_by(sentinel));
        let named = all.next().ok_or("no sentinel runs")??;
        for other in all {
            if other?.port() != named.port() {
                return Err("the sentinels name several primaries".to_owned());
            }
        }
        Ok(named)
    }

    fn state(&self) -> Result<(), String> {
        let primary = self.named_by_all()?;
        for server in self.servers.iter().filter(|server| server.is_awake()) {
            let role = server
                .try_admin(["ROLE"])
                .map_err(|error| error.to_string())?;
            let role: Vec<Option<&str>> = role.elements().iter().map(AdminReply::text).collect();
            let port = server.try_admin(["INFO", "replication"]);
            let info = port.map_err(|error| error.to_string())?.to_string();
            let follows = info.contains(&format!("master_port:{}\r", primary.port()));
            let is_primary = server.port() == primary.port();
            let is_right = match role.as_slice() {
                [Some("master"), ..] => is_primary,
                [Some("slave"), _, _, Some("connected"), ..] => !is_primary && follows,
                _ => false,
            };
            if !is_right {
                return Err(format!("{} is {role:?}", server.address()));
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Sentinels {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Sentinels")
            .field("servers", &self.servers)
            .field("sentinels", &self.sentinels)
            .finish_non_exhaustive()
    }
}
