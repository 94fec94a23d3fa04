//! What stands after the `?` of a URL.

use std::time::Duration;

use super::percent::percent_decode;
use super::{Config, ProtocolVersion, Servers};
use crate::error::{Error, Result};

const KNOWN: &str = "protocol, client_name, db, connect_timeout, response_timeout, ping_interval, \
                     ping_timeout, max_attempts, charset, read_from_replicas, topology_interval, role, \
                     sentinel_username, sentinel_password, tls_ca, tls_cert, tls_key and tls_server_name";

/// Sets what the query says. `has_database`: the path named one already.
pub(super) fn apply(mut config: Config, query: &str, has_database: bool) -> Result<Config> {
    let mut seen: Vec<&str> = Vec::new();
    let mut tls = TlsParameters::default();
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        let Some((name, value)) = parameter.split_once('=') else {
            return Err(Error::config(format!(
                "a parameter after the '?' has no '=': write name=value; known are {KNOWN}"
            )));
        };
        if seen.contains(&name) {
            return Err(Error::config(format!("`{name}` stands twice in the URL")));
        }
        let value = percent_decode("query", value)?;
        config = match name {
            "protocol" => config.protocol(protocol(&value)?),
            "client_name" => config.client_name(value),
            "db" if has_database => {
                return Err(Error::config(
                    "the URL names two databases, after the host and as `db`: leave one of them out",
                ));
            }
            "db" => config.database(digits(&value).ok_or_else(|| {
                Error::config("`db` is not the number of a database: write db=0")
            })?),
            "connect_timeout" => config.connect_timeout(time(name, &value)?),
            "response_timeout" if value == "none" => config.response_timeout(None),
            "response_timeout" => config.response_timeout(time(name, &value)?),
            "ping_interval" => config.ping_interval(time(name, &value)?),
            "ping_timeout" => config.ping_timeout(time(name, &value)?),
            "max_attempts" if value == "none" => config.max_attempts(None),
            "max_attempts" => config.max_attempts(digits::<u32>(&value).ok_or_else(|| {
                Error::config("`max_attempts` is not a number: write max_attempts=10 or none")
            })?),
            "charset" => charset(config, &value)?,
            "read_from_replicas" | "topology_interval"
                if !matches!(config.servers, Servers::Cluster(_)) =>
            {
                return Err(Error::config(format!(
                    "`{name}` is for clusters: write redis+cluster:// for redis://"
                )));
            }
            "read_from_replicas" => config.read_from_replicas(truth(name, &value)?),
            "topology_interval" => config.topology_interval(time(name, &value)?),
            "role" | "sentinel_username" | "sentinel_password"
                if !matches!(config.servers, Servers::Sentinel(..)) =>
            {
                return Err(Error::config(format!(
                    "`{name}` is for sentinels: write redis+sentinel://host:26379/mymaster"
                )));
            }
            "role" => config.sentinel_replica(is_replica(&value)?),
            "sentinel_username" => config.sentinel_username(value),
            "sentinel_password" => config.sentinel_password(value),
            "tls_ca" | "tls_cert" | "tls_key" | "tls_server_name" => {
                tls.set(name, value);
                config
            }
            _ => return Err(unknown(name)),
        };
        // Only now: a name that is not known is not repeated unless it looks like one.
        seen.push(name);
    }
    tls.apply(config)
}

#[cfg(feature = "charset")]
fn charset(config: Config, label: &str) -> Result<Config> {
    let config = config.charset(label);
    config.charset.charset()?;
    Ok(config)
}

#[cfg(not(feature = "charset"))]
fn charset(config: Config, label: &str) -> Result<Config> {
    match label.to_ascii_lowercase().as_str() {
        "utf-8" | "utf8" => Ok(config),
        _ => Err(Error::config(
            "this build knows UTF-8 only: build tidings with the feature `charset` for others",
        )),
    }
}

/// A decimal number, without the sign that `parse` accepts.
pub(super) fn digits<N: std::str::FromStr>(text: &str) -> Option<N> {
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())
        .flatten()
}

fn unknown(name: &str) -> Error {
    let well_formed = (1..=32).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    Error::config(if well_formed {
        format!("the parameter `{name}` is unknown: known are {KNOWN}")
    } else {
        format!("a parameter after the '?' is unknown: known are {KNOWN}")
    })
}

fn protocol(value: &str) -> Result<ProtocolVersion> {
    match value {
        "auto" => Ok(ProtocolVersion::Auto),
        "2" => Ok(ProtocolVersion::Resp2),
        "3" => Ok(ProtocolVersion::Resp3),
        _ => Err(Error::config(
            "`protocol` is neither 2 nor 3: write protocol=2, 3 or auto",
        )),
    }
}

fn truth(name: &str, value: &str) -> Result<bool> {
    match value {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(Error::config(format!(
            "`{name}` is neither true nor false: write {name}=true"
        ))),
    }
}

fn is_replica(value: &str) -> Result<bool> {
    match value {
        "replica" => Ok(true),
        "primary" => Ok(false),
        _ => Err(Error::config(
            "`role` is neither primary nor replica: write role=replica",
        )),
    }
}

/// Seconds (`5`, `0.5`, `5s`) or milliseconds (`500ms`).
fn time(name: &str, value: &str) -> Result<Duration> {
    let (number, unit) = if let Some(number) = value.strip_suffix("ms") {
        (number, 0.001)
    } else {
        (value.strip_suffix('s').unwrap_or(value), 1.0)
    };
    // `parse` alone would take `inf`, `1e9` and `-0`.
    let plain = number.starts_with(|c: char| c.is_ascii_digit())
        && number
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.');
    plain
        .then(|| number.parse::<f64>().ok())
        .flatten()
        .and_then(|number| Duration::try_from_secs_f64(number * unit).ok())
        .ok_or_else(|| {
            Error::config(format!(
                "`{name}` is not a time: write seconds ({name}=5 or {name}=0.5) or a unit ({name}=500ms)"
            ))
        })
}

/// Collected first, because the certificate and its key are one setting.
#[derive(Default)]
struct TlsParameters {
    ca: Option<String>,
    certificate: Option<String>,
    key: Option<String>,
    server_name: Option<String>,
}

impl TlsParameters {
    fn set(&mut self, name: &str, value: String) {
        let place = match name {
            "tls_ca" => &mut self.ca,
            "tls_cert" => &mut self.certificate,
            "tls_key" => &mut self.key,
            _ => &mut self.server_name,
        };
        *place = Some(value);
    }

    #[cfg(feature = "tls")]
    fn apply(self, mut config: Config) -> Result<Config> {
        let Some(mut tls) = config.tls.take() else {
            return self.without_tls(config);
        };
        if let Some(path) = self.ca {
            tls = tls.root_certificates_file(path);
        }
        match (self.certificate, self.key) {
            (Some(certificate), Some(key)) => tls = tls.client_certificate_file(certificate, key),
            (None, None) => {}
            _ => {
                return Err(Error::config(
                    "`tls_cert` and `tls_key` go together: the client's certificate, and its private key",
                ));
            }
        }
        if let Some(name) = self.server_name {
            tls = tls.server_name(name);
        }
        Ok(config.tls(tls))
    }

    #[cfg(not(feature = "tls"))]
    fn apply(self, config: Config) -> Result<Config> {
        self.without_tls(config)
    }

    fn without_tls(self, config: Config) -> Result<Config> {
        let Self {
            ca,
            certificate,
            key,
            server_name,
        } = self;
        if ca.or(certificate).or(key).or(server_name).is_some() {
            return Err(Error::config(
                "a `tls_` parameter stands in a URL without TLS: write rediss:// for redis://",
            ));
        }
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(query: &str) -> Config {
        Config::from_url(&format!("redis://host?{query}")).unwrap()
    }

    fn refused(query: &str) -> String {
        Config::from_url(&format!("redis://host?{query}"))
            .expect_err(query)
            .to_string()
    }

    #[test]
    fn each_parameter_sets_its_setting() {
        let config = parsed(
            "protocol=2&client_name=orders%2D1&db=4&connect_timeout=2&response_timeout=1.5&\
             ping_interval=500ms&ping_timeout=7s&max_attempts=10",
        );
        assert_eq!(config.protocol_version(), ProtocolVersion::Resp2);
        assert_eq!(config.name(), Some("orders-1"));
        assert_eq!(config.database_number(), 4);
        assert_eq!(config.time_to_connect(), Duration::from_secs(2));
        assert_eq!(config.time_to_respond(), Some(Duration::from_millis(1500)));
        assert_eq!(
            config.ping_times(),
            (Duration::from_millis(500), Duration::from_secs(7))
        );
        assert_eq!(config.attempts(), Some(10));
    }

    #[test]
    fn none_takes_a_bound_away() {
        let config = parsed("response_timeout=none&max_attempts=none");
        assert_eq!((config.time_to_respond(), config.attempts()), (None, None));
    }

    #[test]
    fn protocol_is_2_or_3_or_auto() {
        assert_eq!(
            parsed("protocol=3").protocol_version(),
            ProtocolVersion::Resp3
        );
        assert_eq!(
            parsed("protocol=auto").protocol_version(),
            ProtocolVersion::Auto
        );
        assert!(refused("protocol=4").contains("protocol=2"));
    }

    #[test]
    fn what_is_not_a_time_is_refused_by_its_name() {
        for value in [
            "", "soon", "-1", "1e9", "inf", "nan", "5m", "1.2.3", ".", "s", "ms", "5 s",
        ] {
            let error = refused(&format!("ping_timeout={value}"));
            assert!(
                error.contains("ping_timeout") || error.contains("blank"),
                "{value}: {error}"
            );
        }
        assert!(refused("connect_timeout=0").contains("`connect_timeout` is zero"));
    }

    #[test]
    fn a_time_of_a_million_years_is_no_panic() {
        assert!(parsed("ping_interval=99999999999999").ping_times().0 > Duration::from_secs(1));
        assert!(refused("ping_interval=99999999999999999999999999").contains("not a time"));
    }

    #[test]
    fn an_unknown_parameter_is_named_beside_the_known_ones() {
        let error = refused("timeout=5");
        assert!(
            error.contains("`timeout`") && error.contains("connect_timeout"),
            "{error}"
        );
        assert!(!refused("Pa55word=5").contains("Pa55"));
        assert!(refused("protocol").contains("no '='"));
    }

    #[test]
    fn a_setting_given_twice_is_refused() {
        assert!(refused("protocol=2&protocol=3").contains("`protocol` stands twice"));
        let error = Config::from_url("redis://host/1?db=1")
            .unwrap_err()
            .to_string();
        assert!(error.contains("two databases"), "{error}");
        assert!(refused("db=-1").contains("db=0"));
    }

    #[test]
    fn a_client_name_with_a_blank_or_a_line_break_is_refused() {
        for name in ["a%20b", "a%0Ab", "%C3%A9", ""] {
            assert!(refused(&format!("client_name={name}")).contains("client_name"));
        }
    }

    #[test]
    fn an_ampersand_too_many_is_nothing() {
        assert_eq!(parsed("&db=1&").database_number(), 1);
    }

    #[test]
    fn tls_parameters_need_a_url_with_tls() {
        for name in ["tls_ca", "tls_cert", "tls_key", "tls_server_name"] {
            assert!(refused(&format!("{name}=x")).contains("rediss://"));
        }
    }

    #[cfg(feature = "tls")]
    #[test]
    fn a_certificate_needs_its_key() {
        for query in ["tls_cert=x", "tls_key=x"] {
            let error = Config::from_url(&format!("rediss://host?{query}"))
                .unwrap_err()
                .to_string();
            assert!(error.contains("go together"), "{error}");
        }
        Config::from_url("rediss://host?tls_cert=x&tls_key=y&tls_ca=z&tls_server_name=a").unwrap();
    }
}
