//! The one place where settings are judged, whether a URL or a setter gave them.

use std::time::Duration;

use super::Config;
use crate::error::{Error, Result};

impl Config {
    /// Refuses settings that cannot be right, each by itself.
    pub(super) fn check(&self) -> Result<()> {
        self.servers.check()?;
        self.sentinel.check(&self.servers)?;
        if let Some(name) = &self.client_name {
            check_client_name(name)?;
        }
        for (name, time) in [
            ("connect_timeout", self.connect_timeout),
            (
                "response_timeout",
                self.response_timeout.unwrap_or(Duration::MAX),
            ),
            ("ping_interval", self.ping_interval),
            ("ping_timeout", self.ping_timeout),
            ("topology_interval", self.topology_interval),
            ("backoff", self.backoff.0),
        ] {
            if time.is_zero() {
                return Err(Error::config(format!(
                    "`{name}` is zero: give it a time, such as 5 s"
                )));
            }
        }
        self.charset.charset()?;
        if self.backoff.0 > self.backoff.1 {
            return Err(Error::config(format!(
                "the shortest pause of `backoff` ({:?}) is longer than the longest ({:?})",
                self.backoff.0, self.backoff.1
            )));
        }
        if self.max_attempts == Some(0) {
            return Err(Error::config(
                "`max_attempts` is 0, so nothing would ever connect: give 1 or more, or `none` for no end",
            ));
        }
        if self.max_own_connections == 0 {
            return Err(Error::config(
                "`max_own_connections` is 0, so no Pub/Sub object could be made: give 1 or more",
            ));
        }
        Ok(())
    }

    /// Refuses settings that do not go together, and reads the files that they name. Apart from
    /// [`check`](Config::check), because a URL with a user alone may yet get its password from a setter.
    pub(super) fn complete(self) -> Result<Self> {
        self.check()?;
        if self.username.is_some() && self.password.is_none() {
            return Err(Error::config(
                "there is a user and no password: write redis://user:password@host, redis://:password@host \
                 for a password alone, or redis://user:@host for a user who needs none",
            ));
        }
        #[cfg(feature = "tls")]
        if let Some(tls) = self.tls.clone() {
            if matches!(self.server_address(), super::Address::Unix(_)) {
                return Err(Error::config(
                    "TLS is for TCP: a Unix socket does not leave the machine",
                ));
            }
            return Ok(self.tls(tls.resolved()?));
        }
        Ok(self)
    }
}

/// The server's own rule for `CLIENT SETNAME`: what it would refuse after connecting is refused before.
fn check_client_name(name: &str) -> Result<()> {
    if name.is_empty() {
        return Err(Error::config(
            "`client_name` is empty: give a name, or leave it out",
        ));
    }
    if !name.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Error::config(
            "`client_name` holds a blank, a line break or a character that is not ASCII, which the server \
             refuses: write it like `orders-1`",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn refused(config: Config) -> String {
        let error = config.complete().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        error.to_string()
    }

    fn local() -> Config {
        Config::new("localhost", 6379)
    }

    #[test]
    fn a_plain_config_is_complete() {
        local().complete().unwrap();
        local().username("app").password("").complete().unwrap();
        local()
            .response_timeout(None)
            .max_attempts(None)
            .complete()
            .unwrap();
    }

    #[test]
    fn a_client_name_the_server_would_refuse_is_refused_before_connecting() {
        for name in ["two words", "line\nbreak", "tab\t", "naïve", "nul\0", ""] {
            assert!(refused(local().client_name(name)).contains("client_name"));
        }
        local().client_name("orders-1:{a}~!").complete().unwrap();
    }

    #[test]
    fn a_time_of_zero_is_refused_by_its_name() {
        let zero = Duration::ZERO;
        assert!(refused(local().connect_timeout(zero)).contains("`connect_timeout`"));
        assert!(refused(local().response_timeout(zero)).contains("`response_timeout`"));
        assert!(refused(local().ping_interval(zero)).contains("`ping_interval`"));
        assert!(refused(local().ping_timeout(zero)).contains("`ping_timeout`"));
        assert!(refused(local().backoff(zero, zero)).contains("`backoff`"));
    }

    #[test]
    fn bounds_that_allow_nothing_are_refused() {
        let (short, long) = (Duration::from_millis(1), Duration::from_secs(1));
        assert!(refused(local().backoff(long, short)).contains("longer than the longest"));
        assert!(refused(local().max_attempts(0)).contains("max_attempts"));
        assert!(refused(local().max_own_connections(0)).contains("max_own_connections"));
        assert!(refused(Config::new("", 6379)).contains("host"));
        assert!(refused(Config::new("localhost", 0)).contains("port"));
    }

    #[test]
    fn a_user_without_a_password_is_refused_when_nothing_adds_one() {
        let error = refused(local().username("hush"));
        assert!(
            error.contains("no password") && !error.contains("hush"),
            "{error}"
        );
    }

    #[cfg(feature = "tls")]
    #[test]
    fn tls_over_a_unix_socket_is_refused() {
        let config = Config::unix("/run/redis.sock").tls(crate::config::TlsConfig::new());
        assert!(refused(config).contains("Unix socket"));
    }
}
