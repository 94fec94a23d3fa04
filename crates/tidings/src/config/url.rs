//! A URL into a [`Config`].
//!
//! Written by hand, because the general rules of URLs would hide the mistakes this one is for: they take
//! `user:` for a user without a password, normalise paths of sockets, and split a password that holds a `/`
//! into a host and a path without a word. Errors repeat nothing of the URL but a scheme and the name of a
//! parameter: whatever else is there may be part of a password.

use super::address::{BAD_PORT, DEFAULT_PORT};
use super::percent::percent_decode;
use super::servers::SENTINEL_PORT;
use super::{Address, Config, Servers, query};
use crate::error::{Error, Result};

pub(super) fn parse(url: &str) -> Result<Config> {
    if url.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(Error::config(
            "the URL holds a blank or a line break: remove it, or percent-encode it (a blank is %20)",
        ));
    }
    let Some((scheme, rest)) = url.split_once("://") else {
        return Err(missing_scheme(url));
    };
    let scheme = Scheme::parse(scheme)?;
    if rest.contains('#') {
        return Err(Error::config(
            "the URL holds a '#', which has no meaning here: in a user name or a password write %23",
        ));
    }
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = place.split_at(place.find('/').unwrap_or(place.len()));
    // A delimiter in a password that was not encoded ends the authority early and leaves its '@' behind.
    if path.contains('@') || query.contains('@') {
        return Err(Error::config(
            "an '@' stands where none can: in a user name or a password write %2F for '/', %3F for '?' and \
             %40 for '@'; elsewhere write %40 for '@'",
        ));
    }
    let (userinfo, host) = match authority.rsplit_once('@') {
        Some((userinfo, host)) => (Some(userinfo), host),
        None => (None, authority),
    };

    let (mut config, database_in_path) = match scheme.kind {
        Kind::Unix => (unix(host, path)?, false),
        Kind::Server => tcp(host, path)?,
        Kind::Cluster => cluster(host, path)?,
        Kind::Sentinel => sentinel(host, path)?,
    };
    if scheme.tls {
        config = with_tls(config)?;
    }
    if let Some(userinfo) = userinfo {
        config = with_credentials(config, userinfo)?;
    }
    let config = query::apply(config, query, database_in_path)?;
    config.check()?;
    Ok(config)
}

struct Scheme {
    kind: Kind,
    tls: bool,
}

enum Kind {
    Server,
    Unix,
    Cluster,
    Sentinel,
}

impl Scheme {
    fn parse(scheme: &str) -> Result<Self> {
        let scheme = scheme.to_ascii_lowercase();
        let (transport, kind) = match scheme.split_once('+') {
            Some((transport, kind)) => (transport, Some(kind)),
            None => (&*scheme, None),
        };
        let tls = matches!(transport, "rediss" | "valkeys");
        let is_known = tls || matches!(transport, "redis" | "valkey");
        let kind = match kind {
            None if transport == "unix" => Some(Kind::Unix),
            Some("unix") if is_known && !tls => Some(Kind::Unix),
            None if is_known => Some(Kind::Server),
            Some("cluster") if is_known => Some(Kind::Cluster),
            Some("sentinel") if is_known => Some(Kind::Sentinel),
            _ => None,
        };
        if let Some(kind) = kind {
            return Ok(Self { kind, tls });
        }
        let named = !scheme.is_empty()
            && scheme
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
        let known = "known are redis://, rediss:// (TLS), valkey://, valkeys:// (TLS), unix://, redis+cluster:// \
                     and redis+sentinel://";
        Err(Error::config(match scheme.as_str() {
            "http" | "https" => {
                format!("`{scheme}://` is not a scheme of Redis: write redis://host:6379; {known}")
            }
            _ if named => format!("the scheme `{scheme}://` is unknown: {known}"),
            _ => format!("what stands before :// is not a scheme: {known}"),
        }))
    }
}

/// Repeats what was given only where it cannot hold a password.
fn missing_scheme(url: &str) -> Error {
    let host = url.rsplit_once(':').map_or(url, |(host, port)| {
        if port.parse::<u16>().is_ok() {
            host
        } else {
            url
        }
    });
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let example = if host == "localhost" || host.parse::<std::net::Ipv4Addr>().is_ok() {
        format!("redis://{url}")
    } else if url.starts_with('/') {
        "unix:///path/to/redis.sock".to_owned()
    } else {
        "redis://host:6379".to_owned()
    };
    Error::config(format!("the URL has no scheme: write {example}"))
}

/// The configuration, and whether the path named a database.
fn tcp(host: &str, path: &str) -> Result<(Config, bool)> {
    if host.contains(',') {
        return Err(Error::config(
            "there are several hosts: write redis+cluster://host:6379,host:6379 for the nodes of a cluster, or \
             redis+sentinel://host:26379,host:26379/mymaster for sentinels",
        ));
    }
    let (host, port) = host_and_port(host, DEFAULT_PORT)?;
    let config = Config::at(Address::tcp(host, port));
    with_database(config, path, "redis://host:6379/0")
}

fn cluster(hosts: &str, path: &str) -> Result<(Config, bool)> {
    let example = "redis+cluster://host:6379,host:6379";
    let nodes = hosts_and_ports(hosts, DEFAULT_PORT, example)?;
    with_database(Config::of(Servers::Cluster(nodes)), path, example)
}

/// The name of the primary comes before the database.
fn sentinel(hosts: &str, path: &str) -> Result<(Config, bool)> {
    let example = "redis+sentinel://host:26379,host:26379/mymaster";
    let sentinels = hosts_and_ports(hosts, SENTINEL_PORT, example)?;
    let path = path.strip_prefix('/').unwrap_or(path);
    let (service, database) = path.split_at(path.find('/').unwrap_or(path.len()));
    let service = percent_decode("primary's name", service)?;
    let config = Config::of(Servers::Sentinel(sentinels, service));
    with_database(config, database, &format!("{example}/0"))
}

fn hosts_and_ports(hosts: &str, default: u16, example: &str) -> Result<Vec<Address>> {
    let address = |host: &str| {
        if host.is_empty() || host.starts_with(':') {
            return Err(Error::config(format!("a host is missing: write {example}")));
        }
        let (host, port) = host_and_port(host, default)?;
        Ok(Address::tcp(host, port))
    };
    hosts.split(',').map(address).collect()
}

fn with_database(config: Config, path: &str, example: &str) -> Result<(Config, bool)> {
    match path.trim_start_matches('/') {
        "" if path.len() <= 1 => Ok((config, false)),
        database if path.len() == database.len() + 1 => {
            let number = query::digits(database).ok_or_else(|| {
                Error::config(format!(
                    "what stands after the host is not the number of a database: write {example}"
                ))
            })?;
            Ok((config.database(number), true))
        }
        _ => Err(Error::config(format!(
            "two '/' stand after the host: write {example}"
        ))),
    }
}

fn host_and_port(authority: &str, default: u16) -> Result<(String, u16)> {
    let (host, port) = if let Some(rest) = authority.strip_prefix('[') {
        let Some((inside, after)) = rest.split_once(']') else {
            return Err(Error::config("a '[' has no ']': write redis://[::1]:6379"));
        };
        if !inside.contains(':') {
            return Err(Error::config(
                "what stands in brackets is not an IPv6 address: write redis://[::1]:6379",
            ));
        }
        let port = match after.strip_prefix(':') {
            Some(port) => Some(port),
            None if after.is_empty() => None,
            None => {
                return Err(Error::config(
                    "only a port can follow a ']': write redis://[::1]:6379",
                ));
            }
        };
        (percent_decode("host", inside)?, port)
    } else {
        let (host, port) = match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        };
        if port.is_some_and(|port| port.contains(':')) {
            return Err(Error::config(
                "the host holds more than one ':': an IPv6 address stands in brackets (redis://[::1]:6379), \
                 and a password ends with an '@' (redis://user:password@host:6379)",
            ));
        }
        (host.to_owned(), port)
    };
    if host.is_empty() {
        return Err(Error::config(
            "the host is missing: write redis://localhost:6379",
        ));
    }
    let port = match port {
        None => default,
        Some(port) => query::digits(port).ok_or_else(|| Error::config(BAD_PORT))?,
    };
    Ok((host, port))
}

fn unix(host: &str, path: &str) -> Result<Config> {
    if !host.is_empty() {
        return Err(Error::config(
            "a Unix socket has no host: write three slashes, unix:///path/to/redis.sock, or \
             unix://user:password@/path/to/redis.sock",
        ));
    }
    Ok(Config::unix(percent_decode("path", path)?))
}

#[cfg(feature = "tls")]
fn with_tls(config: Config) -> Result<Config> {
    Ok(config.tls(super::TlsConfig::new()))
}

#[cfg(not(feature = "tls"))]
fn with_tls(_: Config) -> Result<Config> {
    Err(Error::config(
        "this URL asks for TLS, and tidings was built without the feature `tls`: \
         add features = [\"tls\"] to the dependency in Cargo.toml",
    ))
}

/// `user:password`, `:password`, `user:` (an empty password), `user` (the password comes by a setter), or
/// nothing, as templates with empty variables leave it.
fn with_credentials(mut config: Config, userinfo: &str) -> Result<Config> {
    let (user, password) = match userinfo.split_once(':') {
        Some((user, password)) => (user, Some(password)),
        None => (userinfo, None),
    };
    if !user.is_empty() {
        config = config.username(percent_decode("user name", user)?);
    }
    match password {
        Some(password) if !(user.is_empty() && password.is_empty()) => {
            Ok(config.password(percent_decode("password", password)?))
        }
        _ => Ok(config),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SentinelSettings;
    use crate::error::ErrorKind;

    fn parsed(url: &str) -> Config {
        parse(url).unwrap_or_else(|error| panic!("{url}: {error}"))
    }

    fn refused(url: &str) -> String {
        let error = parse(url).expect_err(url);
        assert_eq!(error.kind(), ErrorKind::Config, "{url}");
        error.to_string()
    }

    fn credentials(url: &str) -> Option<(Option<String>, String)> {
        let config = parsed(url);
        let (user, password) = config.credentials()?;
        Some((user.map(str::to_owned), password.expose().clone()))
    }

    #[test]
    fn a_host_alone_has_the_default_port_and_database() {
        for url in [
            "redis://localhost",
            "valkey://localhost/",
            "REDIS://localhost:6379",
        ] {
            assert_eq!(parsed(url).server_address().to_string(), "localhost:6379");
            assert_eq!(parsed(url).database_number(), 0);
        }
    }

    #[test]
    fn host_port_and_database_are_read() {
        let config = parsed("redis://cache.example:7001/15");
        assert_eq!(config.server_address().to_string(), "cache.example:7001");
        assert_eq!(config.database_number(), 15);
    }

    #[test]
    fn an_ipv6_address_stands_in_brackets() {
        assert_eq!(
            parsed("redis://[::1]").server_address().to_string(),
            "[::1]:6379"
        );
        let config = parsed("redis://u:p@[2001:db8::1]:7000/1");
        assert_eq!(config.server_address(), &Address::tcp("2001:db8::1", 7000));
        assert_eq!(
            parsed("redis://[fe80::1%25eth0]").server_address(),
            &Address::tcp("fe80::1%eth0", 6379)
        );
        for url in [
            "redis://::1:6379",
            "redis://[::1",
            "redis://[::1]6379",
            "redis://[localhost]",
            "redis://[::g]",
        ] {
            assert!(refused(url).contains("redis://[::1]:6379"), "{url}");
        }
    }

    #[test]
    fn user_and_password_are_percent_decoded() {
        let decoded = credentials("redis://us%40er:p%40ss%2Fw%3Fo%23r%25d%C3%A9@host").unwrap();
        assert_eq!(decoded, (Some("us@er".into()), "p@ss/w?o#r%dé".into()));
        // Delimiters that are certain are accepted as they are.
        assert_eq!(
            credentials("redis://:p@ss:word@host").unwrap(),
            (None, "p@ss:word".into())
        );
    }

    #[test]
    fn a_password_or_a_user_may_stand_alone() {
        assert_eq!(credentials("redis://:pw@host"), Some((None, "pw".into())));
        assert_eq!(
            credentials("redis://user:@host"),
            Some((Some("user".into()), String::new()))
        );
        assert_eq!(credentials("redis://:@host"), None);
        assert_eq!(credentials("redis://@host"), None);
        assert_eq!(credentials("redis://user@host"), None);
    }

    #[cfg(unix)]
    #[test]
    fn a_unix_socket_has_a_path_and_its_database_in_the_query() {
        for scheme in ["unix", "redis+unix", "valkey+unix"] {
            let config = parsed(&format!("{scheme}:///run/a%20b.sock?db=3"));
            assert_eq!(
                config.server_address(),
                &Address::Unix("/run/a b.sock".into())
            );
            assert_eq!(config.database_number(), 3);
        }
        assert_eq!(
            credentials("unix://user:pw@/run/redis.sock"),
            Some((Some("user".into()), "pw".into()))
        );
        assert_eq!(
            parsed("unix:///run/a%40b.sock").server_address(),
            &Address::Unix("/run/a@b.sock".into())
        );
    }

    #[test]
    fn a_unix_socket_without_a_path_is_refused() {
        for url in [
            "unix://",
            "unix:///",
            "unix://run/redis.sock",
            "unix://u:p@",
        ] {
            assert!(refused(url).contains("unix:///path/to/redis.sock"), "{url}");
        }
    }

    #[test]
    fn a_missing_scheme_is_named_and_added() {
        assert!(refused("127.0.0.1:6379").ends_with("write redis://127.0.0.1:6379"));
        assert!(refused("localhost").ends_with("write redis://localhost"));
        assert!(refused("cache.example:6379").ends_with("write redis://host:6379"));
        assert!(refused("/run/redis.sock").ends_with("write unix:///path/to/redis.sock"));
        assert!(refused("").contains("no scheme"));
    }

    #[test]
    fn an_unknown_scheme_is_named_beside_the_known_ones() {
        assert!(refused("http://localhost").contains("`http://` is not a scheme of Redis"));
        let error = refused("reddis://localhost");
        assert!(
            error.contains("`reddis://`") && error.contains("rediss://"),
            "{error}"
        );
        assert!(refused("://localhost").contains("known are"));
    }

    fn servers(url: &str) -> Vec<String> {
        let config = parsed(url);
        let addresses = config.servers().addresses().iter();
        addresses.map(Address::to_string).collect()
    }

    #[test]
    fn a_cluster_has_one_node_or_several() {
        for scheme in ["redis+cluster", "valkey+cluster", "REDIS+cluster"] {
            let url = format!("{scheme}://user:pw@a,b:7001,[::1]:7002?read_from_replicas=true");
            assert_eq!(servers(&url), ["a:6379", "b:7001", "[::1]:7002"]);
            assert!(matches!(parsed(&url).servers(), Servers::Cluster(_)));
            assert!(parsed(&url).reads_from_replicas());
            assert!(credentials(&url).is_some());
        }
        for hosts in ["a,,b", "", "a,", "a,:1", ":1"] {
            let missing = refused(&format!("redis+cluster://{hosts}"));
            assert!(
                missing.ends_with("host is missing: write redis+cluster://host:6379,host:6379")
            );
        }
        assert!(refused("redis+cluster://a/x").contains("write redis+cluster://host"));
        assert!(refused("redis+cluster://a,b:x").contains("port"));
        assert!(refused("redis://a,b").contains("redis+cluster://"));
    }

    #[test]
    fn sentinels_are_named_with_what_they_call_the_primary() {
        let url = "redis+sentinel://:pw@a,b:7001/my%20master/3?sentinel_username=u&sentinel_password=s&role=replica";
        assert_eq!(servers(url), ["a:26379", "b:7001"]);
        let config = parsed(url);
        assert!(
            matches!(config.servers(), Servers::Sentinel(_, service) if service == "my master")
        );
        assert_eq!(config.database_number(), 3);
        let SentinelSettings {
            username,
            password,
            replica,
        } = config.sentinel_settings();
        let password = password.as_ref().map(|password| password.expose().as_str());
        assert_eq!(
            (username.as_deref(), password, replica),
            (Some("u"), Some("s"), &true)
        );
        for url in [
            "redis+sentinel://a",
            "redis+sentinel://a/",
            "redis+sentinel://a//0",
        ] {
            assert!(refused(url).contains("mymaster"), "{url}");
        }
        assert!(refused("redis+sentinel://a/m/x").contains("number of a database"));
        assert!(refused("redis+sentinel://a/m?sentinel_username=u").contains("sentinel_password"));
        assert!(refused("redis://a?sentinel_password=u").contains("redis+sentinel://"));
        assert!(refused("redis+sentinel://a/m?role=both").contains("role=replica"));
    }

    #[cfg(feature = "tls")]
    #[test]
    fn clusters_and_sentinels_may_have_tls() {
        for url in [
            "rediss+cluster://a",
            "valkeys+cluster://a",
            "rediss+sentinel://a/m",
        ] {
            assert!(parsed(url).tls_config().is_some(), "{url}");
        }
        assert!(refused("rediss+unix:///a").contains("unknown"));
    }

    #[test]
    fn a_bad_port_is_refused() {
        for port in ["", "0", "65536", "-1", "+1", "six", "6379x"] {
            assert!(
                refused(&format!("redis://host:{port}")).contains("from 1 to 65535"),
                "{port}"
            );
        }
    }

    #[test]
    fn a_bad_database_is_refused() {
        for path in ["abc", "-1", "+1", "1/", "/1", "4294967296", "1.5", "%31"] {
            assert!(refused(&format!("redis://host/{path}")).contains("redis://host:6379/0"));
        }
    }

    #[test]
    fn a_blank_host_is_refused() {
        for url in [
            "redis://",
            "redis:///0",
            "redis://:6379",
            "redis://u:p@",
            "redis://u:p@:1/0",
        ] {
            assert!(refused(url).contains("host is missing"), "{url}");
        }
    }

    #[test]
    fn a_bad_percent_encoding_is_refused_by_its_place() {
        assert!(refused("redis://user:100%@host").contains("'%' in the password"));
        assert!(refused("redis://a%zz:pw@host").contains("'%' in the user name"));
        assert!(refused("redis://:%é0@host").contains("'%' in the password"));
        assert!(refused("redis://:%ff@host").contains("not UTF-8"));
    }

    #[test]
    fn delimiters_in_a_password_ask_to_be_encoded() {
        assert!(refused("redis://:pa/ss@host").contains("%2F"));
        assert!(refused("redis://:pa?ss@host").contains("%3F"));
        assert!(refused("redis://:pa#ss@host").contains("%23"));
        assert!(refused("redis://:p@s/s@host").contains("%2F"));
        assert!(refused("unix:///user:pass@/run/redis.sock").contains("%40"));
    }

    #[test]
    fn blanks_and_line_breaks_are_refused() {
        for url in [
            "redis://host\n",
            " redis://host",
            "redis://ho st",
            "redis://:a\tb@host",
        ] {
            assert!(refused(url).contains("blank"), "{url}");
        }
    }

    #[cfg(not(feature = "tls"))]
    #[test]
    fn tls_without_its_feature_says_which_feature_to_add() {
        for url in ["rediss://host", "valkeys://host"] {
            assert!(refused(url).contains("features = [\"tls\"]"));
        }
    }

    #[cfg(feature = "tls")]
    #[test]
    fn a_scheme_with_an_s_means_tls() {
        assert!(parsed("rediss://host").tls_config().is_some());
        assert!(parsed("valkeys://host").tls_config().is_some());
        assert!(parsed("redis://host").tls_config().is_none());
    }

    /// Every URL that one or two slips of the finger make of a right one: no error and no `Debug` shows the
    /// password, whole or in its telling halves.
    #[test]
    fn se_01_no_mistyped_url_shows_the_password() {
        const HALVES: [&str; 2] = ["5ekr1t", "Ha1f"];
        let bases = [
            "redis://user:5ekr1tHa1f@cache.example:6379/3?protocol=3&client_name=me",
            "rediss://:5ekr1tHa1f@127.0.0.1/0?tls_server_name=x",
            "valkey://user:5ekr1tHa1f@[::1]:7000",
            "unix://user:5ekr1tHa1f@/run/redis.sock?db=1",
            "redis+sentinel://user:5ekr1tHa1f@host,other:1/name/0",
            "redis+cluster://user:5ekr1tHa1f@host,other:1",
        ];
        let splices = [
            ":", "@", "/", "//", "?", "#", "%", "[", "]", "&", "=", " ", "\n", "%zz", "é", "\\",
            "\0",
        ];
        let check = |url: &str| {
            let shown = match parse(url) {
                Ok(config) => format!("{config:?}"),
                Err(error) => format!("{error} {error:?}"),
            };
            assert!(!shown.contains("5ekr1tHa1f"), "{url:?} shows: {shown}");
            // A delimiter inside the password makes a wholly regular URL of another meaning of some of these;
            // what an error says is another matter.
            if parse(url).is_err() {
                assert!(
                    !HALVES.iter().any(|half| shown.contains(half)),
                    "{url:?} shows: {shown}"
                );
            }
        };
        let mut random = fastrand::Rng::with_seed(7);
        for base in bases {
            let edges: Vec<usize> = base
                .char_indices()
                .map(|(at, _)| at)
                .chain([base.len()])
                .collect();
            for (nth, &at) in edges.iter().enumerate() {
                check(&base[..at]);
                for splice in splices {
                    check(&format!("{}{splice}{}", &base[..at], &base[at..]));
                    if let Some(&next) = edges.get(nth + 1) {
                        check(&format!("{}{splice}{}", &base[..at], &base[next..]));
                    }
                }
                if let Some(&next) = edges.get(nth + 1) {
                    check(&format!("{}{}", &base[..at], &base[next..]));
                }
            }
            for _ in 0..20_000 {
                let mut url = base.to_owned();
                for _ in 0..random.usize(2..5) {
                    let edges: Vec<usize> = url.char_indices().map(|(at, _)| at).collect();
                    let at = edges[random.usize(..edges.len())];
                    let splice = splices[random.usize(..splices.len())];
                    url.insert_str(at, splice);
                }
                check(&url);
            }
        }
    }
}
