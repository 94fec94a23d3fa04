//! Real servers as child processes.

mod builder;
mod process;

use std::fmt;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Mutex;
use std::thread;
#[cfg(unix)]
use std::time::Duration;
use std::time::Instant;

pub use builder::{ServerBuilder, StartError};

use crate::admin::{AdminReply, Connection, Credentials};
use crate::binaries::{Binary, Version};
use crate::certificates::Certificates;
use crate::port::{Port, local};
use crate::protocol::Protocol;
use crate::proxy::Proxy;
use crate::sync::lock;
use crate::temp::TempFolder;
use crate::wait::{DEADLINE, STEP, eventually};
pub(crate) use builder::quoted;

use builder::ClientCertificates;
use process::Process;

/// A Redis or Valkey server of one's own: on a free port of 127.0.0.1, without persistence, with a
/// private folder. It ends, and its folder goes, when this is dropped; if the test process is
/// killed, too (on Unix).
///
/// All methods take `&self`, so that a test can kill in one thread what it uses in another.
///
/// ```
/// # use tidings_testkit::Server;
/// let server = Server::start();
/// let publisher_reply = server.admin(["PUBLISH", "news", "hello"]);
/// assert_eq!(publisher_reply.integer(), Some(0)); // nobody has subscribed
/// server.kill();
/// server.restart(); // on the same port
/// assert_eq!(server.cli(["PING"]), "PONG");
/// ```
pub struct Server {
    binary: Binary,
    port: Port,
    tls_port: Option<Port>,
    certificates: Option<Certificates>,
    password: Option<String>,
    credentials: Credentials,
    is_sentinel: bool,
    process: Mutex<Option<Process>>,
    /// Kept, so that a test that counts clients counts the same one each time.
    admin: Mutex<Option<Connection>>,
    /// Last, so that it goes after the process.
    folder: TempFolder,
}

/// The name of the administrative connection in `CLIENT LIST`.
pub const ADMIN_NAME: &str = "tidings-testkit";

/// A free port may be lost to another process before the server has it.
const ATTEMPTS: u32 = 5;

/// A server waits 10 s for its replicas at SIGTERM.
#[cfg(unix)]
const GRACE: Duration = Duration::from_secs(15);

impl Server {
    /// Starts the first of [`matrix`](crate::matrix) with nothing special.
    ///
    /// # Panics
    ///
    /// If there is no server, or it does not come up.
    #[track_caller]
    #[must_use]
    pub fn start() -> Self {
        Self::builder().start_or_panic()
    }

    /// A server with a password, TLS, another binary, …
    ///
    /// ```
    /// # use tidings_testkit::Server;
    /// let server = Server::builder()
    ///     .password("s3cret")
    ///     .user("alice on >wonderland ~* &news.* +@all")
    ///     .config("notify-keyspace-events", "KEA")
    ///     .start()?;
    /// assert_eq!(server.url(), format!("redis://:s3cret@127.0.0.1:{}", server.port()));
    /// # Ok::<(), tidings_testkit::StartError>(())
    /// ```
    pub fn builder() -> ServerBuilder {
        ServerBuilder::default()
    }

    fn launch(binary: &Binary, wanted: &ServerBuilder) -> Result<Self, StartError> {
        let mut attempt = 1;
        loop {
            let launched = Self::launch_once(binary, wanted);
            match &launched {
                Err(error)
                    if error.port_was_taken() && wanted.port.is_none() && attempt < ATTEMPTS =>
                {
                    attempt += 1;
                }
                _ => return launched,
            }
        }
    }

    fn launch_once(binary: &Binary, wanted: &ServerBuilder) -> Result<Self, StartError> {
        let prepared = Self::prepare(binary, wanted).map_err(|source| StartError {
            binary: binary.clone(),
            problem: "could not be given what it needs".to_owned(),
            log: String::new(),
            source: Some(source),
        });
        let server = prepared?;
        server.run()?;
        Ok(server)
    }

    fn prepare(binary: &Binary, wanted: &ServerBuilder) -> io::Result<Self> {
        let folder = TempFolder::create()?;
        let server = Self {
            binary: binary.clone(),
            port: wanted
                .port
                .map_or_else(Port::free, |port| Ok(Port::fixed(port)))?,
            tls_port: wanted.tls.map(|_| Port::free()).transpose()?,
            certificates: wanted
                .tls
                .map(|_| Certificates::make(&folder))
                .transpose()?,
            password: wanted.password.clone(),
            credentials: wanted.admin.clone(),
            is_sentinel: wanted.sentinel,
            process: Mutex::new(None),
            admin: Mutex::new(None),
            folder,
        };
        fs::write(server.config_path(), server.config_text(wanted))?;
        Ok(server)
    }

    fn config_text(&self, wanted: &ServerBuilder) -> String {
        let path = |path: PathBuf| quoted(&path.to_string_lossy());
        let mut lines = vec![
            "bind 127.0.0.1".to_owned(),
            format!("port {}", self.port()),
            "daemonize no".to_owned(),
            format!("dir {}", path(self.folder.path().to_owned())),
        ];
        if !self.is_sentinel {
            lines.extend(["save \"\"".to_owned(), "appendonly no".to_owned()]);
        }
        if wanted.unix_socket {
            lines.push(format!("unixsocket {}", path(self.socket_path())));
        }
        if let (Some(port), Some(certificates)) = (&self.tls_port, &self.certificates) {
            let clients = match wanted.tls {
                Some(ClientCertificates::Required) => "yes",
                _ => "optional",
            };
            lines.extend([
                format!("tls-port {}", port.number()),
                format!(
                    "tls-cert-file {}",
                    path(certificates.server_path().to_owned())
                ),
                format!(
                    "tls-key-file {}",
                    path(certificates.server_key_path().to_owned())
                ),
                format!(
                    "tls-ca-cert-file {}",
                    path(certificates.ca_path().to_owned())
                ),
                format!("tls-auth-clients {clients}"),
            ]);
        }
        // Last, so that they win.
        lines.extend(wanted.lines.iter().cloned());
        lines.push(String::new());
        lines.join("\n")
    }

    /// Starts the process and waits until it, and nobody else, answers.
    fn run(&self) -> Result<(), StartError> {
        let mut running = lock(&self.process);
        let failed = |problem: &str, source| StartError {
            binary: self.binary.clone(),
            problem: problem.to_owned(),
            log: self.log(),
            source,
        };
        let log_before = self.log().len();
        let spawned = Process::spawn(
            &self.binary.path,
            &self.config_path(),
            self.is_sentinel.then_some("--sentinel"),
            &self.log_path(),
        );
        let mut process = spawned.map_err(|error| failed("could not be run", Some(error)))?;
        let start = Instant::now();
        loop {
            if let Some(status) = process.ended() {
                return Err(failed(&format!("ended at once ({status})"), None));
            }
            if self.answers(process.id(), log_before) {
                *running = Some(process);
                return Ok(());
            }
            if start.elapsed() > DEADLINE {
                process.kill();
                return Err(failed(&format!("did not answer in {DEADLINE:?}"), None));
            }
            thread::sleep(STEP);
        }
    }

    /// Whether the server on our port is ours: it tells the process id of our child. Where we may
    /// not ask, its log must say that it is ready.
    fn answers(&self, pid: u32, log_before: usize) -> bool {
        let asked = Connection::open(self.socket_address(), &self.credentials)
            .and_then(|mut connection| connection.ask(["INFO", "server"]));
        match asked {
            Ok(AdminReply::Bulk(info)) => String::from_utf8_lossy(&info)
                .lines()
                .any(|line| line.strip_prefix("process_id:") == Some(pid.to_string().as_str())),
            Ok(AdminReply::Error(_)) => self.log_since(log_before).contains("eady to accept"),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                self.log_since(log_before).contains("eady to accept")
            }
            _ => false,
        }
    }
}

/// Where it is and what it is.
impl Server {
    /// The port without TLS.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// The port with TLS.
    ///
    /// # Panics
    ///
    /// If the server was started without [`tls`](ServerBuilder::tls).
    #[must_use]
    pub fn tls_port(&self) -> u16 {
        self.tls_port
            .as_ref()
            .expect("the server was started without tls()")
            .number()
    }

    /// `127.0.0.1:port`, without TLS.
    #[must_use]
    pub fn address(&self) -> String {
        self.socket_address().to_string()
    }

    /// As [`address`](Self::address), parsed.
    #[must_use]
    pub fn socket_address(&self) -> SocketAddr {
        local(self.port())
    }

    /// `redis://127.0.0.1:port`, with the password if there is one; `rediss://` and the TLS port if
    /// it was started with TLS.
    #[must_use]
    pub fn url(&self) -> String {
        match &self.tls_port {
            Some(port) => self.url_at("rediss", &local(port.number()).to_string()),
            None => self.plain_url(),
        }
    }

    /// As [`url`](Self::url), but always without TLS.
    #[must_use]
    pub fn plain_url(&self) -> String {
        self.url_at("redis", &self.address())
    }

    /// [`url`](Self::url) with `?protocol=2` or `?protocol=3`.
    #[must_use]
    pub fn url_for(&self, protocol: Protocol) -> String {
        format!("{}?protocol={}", self.url(), protocol.number())
    }

    /// [`url`](Self::url) for an ACL user.
    #[must_use]
    pub fn url_as(&self, user: &str, password: &str) -> String {
        let url = self.url();
        let (scheme, rest) = url.split_once("://").unwrap_or(("redis", &url));
        let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
        format!(
            "{scheme}://{}:{}@{host}",
            percent_encoded(user),
            percent_encoded(password)
        )
    }

    /// [`url`](Self::url) with a proxy's address in place of the server's own; the proxy is one
    /// made by [`Proxy::to`].
    #[must_use]
    pub fn url_via(&self, proxy: &Proxy) -> String {
        let scheme = if self.tls_port.is_some() {
            "rediss"
        } else {
            "redis"
        };
        self.url_at(scheme, &proxy.address())
    }

    /// `unix:///…/s.sock`, with the password if there is one.
    ///
    /// # Panics
    ///
    /// If the server was started without [`unix_socket`](ServerBuilder::unix_socket).
    #[must_use]
    pub fn unix_url(&self) -> String {
        self.url_at("unix", &self.unix_path().to_string_lossy())
    }

    /// The path of the Unix socket.
    ///
    /// # Panics
    ///
    /// If the server was started without [`unix_socket`](ServerBuilder::unix_socket).
    #[must_use]
    pub fn unix_path(&self) -> PathBuf {
        let path = self.socket_path();
        assert!(
            path.exists(),
            "the server was started without unix_socket(), or is down"
        );
        path
    }

    /// The certificates.
    ///
    /// # Panics
    ///
    /// If the server was started without [`tls`](ServerBuilder::tls).
    #[must_use]
    pub fn certificates(&self) -> &Certificates {
        self.certificates
            .as_ref()
            .expect("the server was started without tls()")
    }

    /// The authority that a client must trust, as PEM text; panics as
    /// [`certificates`](Self::certificates).
    #[must_use]
    pub fn tls_ca_pem(&self) -> &str {
        self.certificates().ca_pem()
    }

    /// The process, while there is one.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        lock(&self.process).as_ref().map(Process::id)
    }

    /// Whether it runs, or stands still: not so if it was killed, or ended by itself.
    #[must_use]
    pub fn is_running(&self) -> bool {
        lock(&self.process)
            .as_mut()
            .is_some_and(|process| process.ended().is_none())
    }

    /// Whether it stands still: stopped by [`stop_process`](Self::stop_process) or
    /// [`freeze`](Self::freeze), and not gone on since.
    #[cfg(unix)]
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        lock(&self.process)
            .as_ref()
            .is_some_and(Process::is_stopped)
    }

    /// Whether there is any use in asking it something.
    pub(crate) fn is_awake(&self) -> bool {
        #[cfg(unix)]
        if self.is_stopped() {
            return false;
        }
        self.is_running()
    }

    /// The program that runs.
    #[must_use]
    pub fn binary(&self) -> &Binary {
        &self.binary
    }

    /// Its version.
    #[must_use]
    pub fn version(&self) -> Version {
        self.binary.version
    }

    /// All that it has written to its log.
    #[must_use]
    pub fn log(&self) -> String {
        self.log_since(0)
    }

    /// Where [`url`](Self::url) points to.
    pub(crate) fn url_address(&self) -> SocketAddr {
        self.tls_port
            .as_ref()
            .map_or_else(|| self.socket_address(), |port| local(port.number()))
    }

    pub(crate) fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    fn log_since(&self, start: usize) -> String {
        let log = fs::read(self.log_path()).unwrap_or_default();
        String::from_utf8_lossy(log.get(start..).unwrap_or_default()).into_owned()
    }

    fn url_at(&self, scheme: &str, place: &str) -> String {
        match &self.password {
            Some(password) => format!("{scheme}://:{}@{place}", percent_encoded(password)),
            None => format!("{scheme}://{place}"),
        }
    }

    fn config_path(&self) -> PathBuf {
        self.file("server.conf")
    }

    fn log_path(&self) -> PathBuf {
        self.file("server.log")
    }

    /// In the folder in which it runs.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.file(name)
    }

    fn socket_path(&self) -> PathBuf {
        self.file("s.sock")
    }
}

/// Its life and death.
impl Server {
    /// SIGKILL: it ends without a word. Does nothing to a server that is down.
    pub fn kill(&self) {
        lock(&self.admin).take();
        if let Some(mut process) = lock(&self.process).take() {
            process.kill();
        }
    }

    /// SIGTERM: it closes its connections and ends; killed if it takes longer than 15 s.
    pub fn shutdown(&self) {
        lock(&self.admin).take();
        if let Some(mut process) = lock(&self.process).take() {
            #[cfg(unix)]
            {
                let _ = process.terminate();
                let _ = process.resume();
                process.wait(GRACE);
            }
            process.kill();
        }
    }

    /// Starts it again, on the same port with the same configuration, and waits until it answers. One
    /// that still runs is killed before. Nothing is kept: there is no persistence.
    ///
    /// # Panics
    ///
    /// If it does not come up.
    #[track_caller]
    pub fn restart(&self) {
        self.kill();
        self.run()
            .unwrap_or_else(|error| panic!("restart: {error}"));
    }

    /// SIGSTOP: it keeps its port and its connections, and does nothing. Returns when it stands
    /// still.
    ///
    /// # Panics
    ///
    /// If the server is down.
    #[cfg(unix)]
    #[track_caller]
    pub fn stop_process(&self) {
        self.with_process(Process::stop);
    }

    /// SIGCONT: it goes on where it was stopped.
    ///
    /// # Panics
    ///
    /// If the server is down.
    #[cfg(unix)]
    #[track_caller]
    pub fn continue_process(&self) {
        self.with_process(Process::resume);
    }

    /// As [`stop_process`](Self::stop_process), until the guard is dropped.
    ///
    /// # Panics
    ///
    /// If the server is down.
    #[cfg(unix)]
    #[track_caller]
    pub fn freeze(&self) -> Frozen<'_> {
        self.stop_process();
        Frozen { server: self }
    }

    #[cfg(unix)]
    #[track_caller]
    fn with_process(&self, action: impl FnOnce(&Process) -> io::Result<()>) {
        let process = lock(&self.process);
        let process = process.as_ref().expect("the server is down");
        action(process).unwrap_or_else(|error| panic!("cannot signal {}: {error}", self.binary));
    }
}

/// What one asks it beside the client under test.
impl Server {
    /// Runs a command over a connection of the testkit's own and gives its reply:
    /// `PUBSUB NUMSUB`, `CLIENT KILL`, `ACL SETUSER`, `PUBLISH`, …
    ///
    /// The connection is kept, and called [`ADMIN_NAME`] in `CLIENT LIST`. It speaks RESP2 and logs in
    /// with the server's password.
    ///
    /// # Panics
    ///
    /// If the server answers with an error, or not within 10 s; see [`try_admin`](Self::try_admin).
    #[track_caller]
    pub fn admin<A: AsRef<[u8]>>(&self, command: impl IntoIterator<Item = A>) -> AdminReply {
        let command: Vec<A> = command.into_iter().collect();
        let shown = || {
            let words = command
                .iter()
                .map(|word| String::from_utf8_lossy(word.as_ref()));
            words.collect::<Vec<_>>().join(" ")
        };
        match self.try_admin(&command) {
            Ok(AdminReply::Error(text)) => panic!("{}: {}: {text}", self.binary, shown()),
            Ok(reply) => reply,
            Err(error) => panic!("{}: {}: {error}", self.binary, shown()),
        }
    }

    /// As [`admin`](Self::admin), with error replies as values.
    ///
    /// # Errors
    ///
    /// If the connection fails: the server is down, stopped, or refuses the password.
    pub fn try_admin<A: AsRef<[u8]>>(
        &self,
        command: impl IntoIterator<Item = A>,
    ) -> io::Result<AdminReply> {
        self.with_admin(|connection| connection.ask(command))
    }

    /// Several commands in one write; few enough that the server can answer before it has read all.
    pub(crate) fn try_admin_all<A: AsRef<[u8]>>(
        &self,
        commands: impl IntoIterator<Item = impl IntoIterator<Item = A>>,
    ) -> io::Result<Vec<AdminReply>> {
        self.with_admin(|connection| connection.ask_all(commands))
    }

    fn with_admin<T>(&self, ask: impl FnOnce(&mut Connection) -> io::Result<T>) -> io::Result<T> {
        let mut kept = lock(&self.admin);
        let mut connection = match kept.take().filter(|connection| !connection.is_stale()) {
            Some(connection) => connection,
            None => {
                let mut new = Connection::open(self.socket_address(), &self.credentials)?;
                new.ask(["CLIENT", "SETNAME", ADMIN_NAME])?;
                new
            }
        };
        let answer = ask(&mut connection)?;
        *kept = Some(connection);
        Ok(answer)
    }

    /// As [`admin`](Self::admin), with the reply as `redis-cli` prints it: an element a line.
    #[track_caller]
    pub fn cli<A: AsRef<[u8]>>(&self, command: impl IntoIterator<Item = A>) -> String {
        self.admin(command).to_string()
    }

    /// Waits until `channel` has exactly `count` subscribers here (`PUBSUB NUMSUB`; patterns do not
    /// count).
    ///
    /// # Panics
    ///
    /// If that is not so within 10 s.
    #[track_caller]
    pub fn await_subscribers(&self, channel: &str, count: i64) {
        eventually(
            &format!("{channel:?} has {count} subscribers on {}", self.binary),
            || {
                let reply = self.admin(["PUBSUB", "NUMSUB", channel]);
                reply.elements().get(1).and_then(AdminReply::integer) == Some(count)
            },
        );
    }

    /// Waits until the server's log holds `text`.
    ///
    /// # Panics
    ///
    /// If it does not within 10 s.
    #[track_caller]
    pub fn await_log(&self, text: &str) {
        eventually(&format!("the log of {} says {text:?}", self.binary), || {
            self.log().contains(text)
        });
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Server")
            .field("binary", &self.binary.to_string())
            .field("address", &self.address())
            .field("pid", &self.pid())
            .finish_non_exhaustive()
    }
}

/// A server that stands still until this is dropped; made by [`Server::freeze`].
#[cfg(unix)]
#[derive(Debug)]
#[must_use = "the server goes on when this is dropped"]
pub struct Frozen<'a> {
    server: &'a Server,
}

#[cfg(unix)]
impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        // It may have been killed meanwhile.
        if let Some(process) = lock(&self.server.process).as_ref() {
            let _ = process.resume();
        }
    }
}

/// For the user and password of a URL: all but RFC 3986's unreserved characters.
pub(crate) fn percent_encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}
