use std::error::Error;
use std::fmt::{self, Write};
use std::io;

use super::Server;
use crate::admin::Credentials;
use crate::binaries::{Binary, matrix};

/// What a [`Server`] should be like; made by [`Server::builder`], ended by [`start`](Self::start).
#[derive(Clone, Default)]
#[must_use = "nothing runs until `start` is called"]
pub struct ServerBuilder {
    pub(super) binary: Option<Binary>,
    pub(super) port: Option<u16>,
    pub(super) unix_socket: bool,
    pub(super) tls: Option<ClientCertificates>,
    /// For the administrative connection; its password without a user is the server's.
    pub(super) admin: Credentials,
    pub(super) password: Option<String>,
    pub(super) lines: Vec<String>,
    /// Watches over servers instead of being one.
    pub(super) sentinel: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClientCertificates {
    Optional,
    Required,
}

impl ServerBuilder {
    /// The program to run; without it, the first of [`matrix`].
    pub fn binary(mut self, binary: &Binary) -> Self {
        self.binary = Some(binary.clone());
        self
    }

    /// The port to listen on; without it, a free one.
    pub fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// A password for the default user (`requirepass`).
    pub fn password(mut self, password: impl Into<String>) -> Self {
        let password = password.into();
        self.lines
            .push(format!("requirepass {}", quoted(&password)));
        self.password = Some(password);
        self
    }

    /// An ACL user, as in `user alice on >secret ~* &news.* +@all`; the first word may be left out.
    pub fn user(mut self, rules: impl AsRef<str>) -> Self {
        let rules = rules.as_ref().trim();
        self.lines.push(format!(
            "user {}",
            rules.strip_prefix("user ").unwrap_or(rules)
        ));
        self
    }

    /// The user that [`Server::admin`] logs in as, for servers whose default user may do nothing.
    pub fn admin_as(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.admin = Credentials {
            user: Some(user.into()),
            password: Some(password.into()),
        };
        self
    }

    /// A directive and its value, written as in `redis.conf`: several words are several arguments.
    ///
    /// ```
    /// # let builder = tidings_testkit::Server::builder();
    /// builder
    ///     .config("notify-keyspace-events", "KEA")
    ///     .config("client-output-buffer-limit", "pubsub 1mb 1mb 10")
    /// # ;
    /// ```
    pub fn config(self, name: &str, value: impl fmt::Display) -> Self {
        let value = value.to_string();
        let value = if value.is_empty() { "\"\"" } else { &value };
        self.arg_line(format!("{name} {value}"))
    }

    /// A whole line of `redis.conf`.
    pub fn arg_line(mut self, line: impl Into<String>) -> Self {
        self.lines.push(line.into());
        self
    }

    /// Listens on a Unix socket too: [`Server::unix_url`].
    pub fn unix_socket(mut self) -> Self {
        self.unix_socket = true;
        self
    }

    /// Listens with TLS on a port of its own: [`Server::url`] is then `rediss://`. A client may show
    /// the certificate in [`Server::certificates`], and need not.
    pub fn tls(mut self) -> Self {
        self.tls = Some(ClientCertificates::Optional);
        self
    }

    /// As [`tls`](Self::tls), and a client must show a certificate.
    pub fn tls_with_client_certificates(mut self) -> Self {
        self.tls = Some(ClientCertificates::Required);
        self
    }

    /// All lines of another one besides.
    pub(crate) fn lines_of(mut self, other: &Self) -> Self {
        self.lines.extend(other.lines.iter().cloned());
        self
    }

    /// A sentinel, which knows other directives.
    pub(crate) fn sentinel(mut self) -> Self {
        self.sentinel = true;
        self
    }

    /// Starts it and waits until it answers.
    ///
    /// # Errors
    ///
    /// If it does not come up; the error shows the end of the server's own log.
    ///
    /// # Panics
    ///
    /// As [`matrix`], if no binary was named and none is found.
    pub fn start(mut self) -> Result<Server, StartError> {
        let binary = self
            .binary
            .take()
            .unwrap_or_else(|| matrix().swap_remove(0));
        if self.admin.password.is_none() {
            self.admin.password.clone_from(&self.password);
        }
        Server::launch(&binary, &self)
    }

    /// As [`start`](Self::start), for tests that cannot go on without.
    ///
    /// # Panics
    ///
    /// With the error's text, if the server does not come up.
    #[track_caller]
    #[must_use]
    pub fn start_or_panic(self) -> Server {
        self.start().unwrap_or_else(|error| panic!("{error}"))
    }
}

/// Without the passwords, which the lines have too.
impl fmt::Debug for ServerBuilder {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("ServerBuilder")
            .field("binary", &self.binary)
            .field("port", &self.port)
            .field("unix_socket", &self.unix_socket)
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}

/// A server did not come up.
#[derive(Debug)]
pub struct StartError {
    pub(super) binary: Binary,
    pub(super) problem: String,
    pub(super) log: String,
    pub(super) source: Option<io::Error>,
}

/// Enough for a fatal configuration error or a stack trace's head.
const LOG_LINES: usize = 25;

/// What a log says last; or first of all if the server reports a bug of its own, which it does at length.
fn told_by(log: &str) -> Vec<&str> {
    let lines: Vec<&str> = log.lines().collect();
    let report = lines
        .iter()
        .position(|line| line.contains("BUG REPORT START"));
    let first = report.unwrap_or(lines.len().saturating_sub(LOG_LINES));
    lines.into_iter().skip(first).take(LOG_LINES).collect()
}

impl StartError {
    /// All that the server wrote.
    #[must_use]
    pub fn log(&self) -> &str {
        &self.log
    }

    /// For what goes wrong when the server runs.
    pub(crate) fn afterwards(server: &Server, problem: String) -> Self {
        Self {
            binary: server.binary().clone(),
            problem,
            log: server.log(),
            source: None,
        }
    }

    pub(super) fn port_was_taken(&self) -> bool {
        self.log.contains("Address already in use")
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "{} ({}) {}",
            self.binary,
            self.binary.path.display(),
            self.problem
        )?;
        if let Some(source) = &self.source {
            write!(out, ": {source}")?;
        }
        let told = told_by(&self.log);
        if !told.is_empty() {
            write!(out, "; its log says:\n  {}", told.join("\n  "))?;
        }
        Ok(())
    }
}

impl Error for StartError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref().map(|source| source as _)
    }
}

/// A value in double quotes, as `redis.conf` takes any bytes.
pub(crate) fn quoted(value: &str) -> String {
    let mut quoted = String::from("\"");
    for byte in value.bytes() {
        match byte {
            b'"' | b'\\' => quoted.extend(['\\', char::from(byte)]),
            b' '..=b'~' => quoted.push(char::from(byte)),
            _ => {
                let _ = write!(quoted, "\\x{byte:02x}");
            }
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_log_is_told_or_the_beginning_of_a_bug_report() {
        let lines = |count: usize| (0..count).map(|number| format!("line {number}\n"));
        let log: String = lines(30).collect();
        let told = told_by(&log);
        assert_eq!((told.len(), told[24]), (25, "line 29"));
        let report = format!("{log}=== REDIS BUG REPORT START: ===\n{log}");
        let told = told_by(&report);
        assert_eq!((told.len(), told[1]), (25, "line 0"));
        assert!(told_by("").is_empty());
    }

    #[test]
    fn any_value_can_be_quoted() {
        assert_eq!(quoted("a b"), r#""a b""#);
        assert_eq!(quoted("\"\\\n"), r#""\"\\\x0a""#);
    }
}
