//! What `connect` takes: a URL or a [`Config`].

use std::str::FromStr;

use super::{Address, Config, Servers};
use crate::error::{Error, Result};

/// What can be connected to: a URL as `&str` or `String`, or a [`Config`].
///
/// ```no_run
/// # async fn example() -> tidings::Result<()> {
/// use tidings::{Client, Config};
///
/// let by_url = Client::connect("redis://localhost:6379").await?;
/// let by_config = Client::connect(Config::new("localhost", 6379)).await?;
/// # Ok(())
/// # }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is neither a URL nor a `Config`",
    label = "cannot be connected to",
    note = "write a URL (`\"redis://localhost:6379\"`) or `Config::new(\"localhost\", 6379)`"
)]
pub trait IntoConfig {
    /// Gives settings that were checked; files that they name (certificates) have been read.
    ///
    /// # Errors
    ///
    /// A [`Config`](crate::ErrorKind::Config) error says what is wrong and what to write instead, and never
    /// shows a password.
    fn into_config(self) -> Result<Config>;
}

impl IntoConfig for Config {
    fn into_config(self) -> Result<Config> {
        self.complete()
    }
}

impl IntoConfig for &Config {
    fn into_config(self) -> Result<Config> {
        self.clone().complete()
    }
}

impl IntoConfig for &str {
    fn into_config(self) -> Result<Config> {
        Config::from_url(self)?.complete()
    }
}

impl IntoConfig for &&str {
    fn into_config(self) -> Result<Config> {
        (*self).into_config()
    }
}

impl IntoConfig for &String {
    fn into_config(self) -> Result<Config> {
        self.as_str().into_config()
    }
}

impl IntoConfig for String {
    fn into_config(self) -> Result<Config> {
        self.as_str().into_config()
    }
}

/// What a [`ClusterClient`](crate::ClusterClient) can be connected to: a URL or a [`Config`], or several of them, each
/// of one node or of some.
///
/// Of several, the first has the settings, and the others add their nodes.
///
/// ```no_run
/// # async fn example() -> tidings::Result<()> {
/// use tidings::{ClusterClient, Config};
///
/// let by_url = ClusterClient::connect("redis+cluster://10.0.0.1:7000,10.0.0.2:7000").await?;
/// let by_urls = ClusterClient::connect(["redis://10.0.0.1:7000", "redis://10.0.0.2:7000"]).await?;
/// let by_config = ClusterClient::connect(Config::cluster([("10.0.0.1", 7000)])).await?;
/// # Ok(())
/// # }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` names no nodes of a cluster",
    label = "cannot be connected to",
    note = "write a URL (`\"redis+cluster://host:6379,host:6379\"`), several (`[\"redis://host:6379\", …]`), or \
            `Config::cluster([(\"host\", 6379)])`"
)]
pub trait IntoClusterConfig {
    /// Gives settings that were checked, and the nodes to begin with.
    ///
    /// # Errors
    ///
    /// As [`IntoConfig::into_config`]; no node at all; sentinels.
    fn into_cluster_config(self) -> Result<Config>;
}

/// Any number of URLs and configurations, of which the first has the settings.
fn joined<T: IntoConfig>(all: impl IntoIterator<Item = T>) -> Result<Config> {
    let mut joined: Option<(Config, Vec<Address>)> = None;
    for one in all {
        let config = one.into_config()?;
        if matches!(config.servers, Servers::Sentinel(..)) {
            return Err(Error::config(
                "sentinels know no clusters: write redis+cluster:// with some of its nodes, or use Client",
            ));
        }
        let nodes = config.servers.addresses().to_vec();
        let (_, known) = joined.get_or_insert_with(|| (config, Vec::new()));
        known.extend(nodes);
    }
    let Some((config, nodes)) = joined else {
        return Err(Error::config(
            "there is no node of the cluster: name at least one",
        ));
    };
    let servers = Servers::Cluster(nodes);
    servers.check()?;
    Ok(Config { servers, ..config })
}

macro_rules! into_cluster_config {
    ($($single:ty),+) => {$(
        impl IntoClusterConfig for $single {
            fn into_cluster_config(self) -> Result<Config> {
                joined([self])
            }
        }
    )+};
}

into_cluster_config!(&str, String, &String, Config, &Config);

impl<T: IntoConfig> IntoClusterConfig for Vec<T> {
    fn into_cluster_config(self) -> Result<Config> {
        joined(self)
    }
}

impl<T: IntoConfig, const N: usize> IntoClusterConfig for [T; N] {
    fn into_cluster_config(self) -> Result<Config> {
        joined(self)
    }
}

impl<'a, T> IntoClusterConfig for &'a [T]
where
    &'a T: IntoConfig,
{
    fn into_cluster_config(self) -> Result<Config> {
        joined(self)
    }
}

impl<'a, T> IntoClusterConfig for &'a Vec<T>
where
    &'a T: IntoConfig,
{
    fn into_cluster_config(self) -> Result<Config> {
        joined(self)
    }
}

impl FromStr for Config {
    type Err = Error;

    fn from_str(url: &str) -> Result<Self> {
        Self::from_url(url)
    }
}

impl TryFrom<&str> for Config {
    type Error = Error;

    fn try_from(url: &str) -> Result<Self> {
        Self::from_url(url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_and_configs_say_where_to_connect() {
        let url = "redis://localhost:7000";
        let config: Config = url.parse().unwrap();
        for given in [
            url.into_config(),
            url.to_owned().into_config(),
            (&url.to_owned()).into_config(),
            (&config).into_config(),
            config.into_config(),
            Config::try_from(url),
        ] {
            assert_eq!(
                given.unwrap().server_address().to_string(),
                "localhost:7000"
            );
        }
    }

    #[test]
    fn nodes_of_a_cluster_come_in_one_url_or_in_several() {
        let urls = vec![
            "redis://a:1".to_owned(),
            "redis+cluster://b:2,c:3".to_owned(),
        ];
        for given in [
            "redis+cluster://a:1,b:2,c:3".into_cluster_config(),
            ["redis://a:1", "redis://b:2", "redis://c:3"].into_cluster_config(),
            (&urls).into_cluster_config(),
            urls[..].into_cluster_config(),
            urls.into_cluster_config(),
            Config::cluster([("a", 1), ("b", 2), ("c", 3)]).into_cluster_config(),
        ] {
            let config = given.unwrap();
            let shown: Vec<String> = config
                .servers()
                .addresses()
                .iter()
                .map(Address::to_string)
                .collect();
            assert_eq!(shown, ["a:1", "b:2", "c:3"]);
        }
        let refused = |given: Result<Config>| given.unwrap_err().to_string();
        assert!(refused("unix:///a.sock".into_cluster_config()).contains("Unix"));
        assert!(refused("redis+sentinel://a/m".into_cluster_config()).contains("sentinels"));
        assert!(refused(Vec::<&str>::new().into_cluster_config()).contains("at least one"));
    }

    #[test]
    fn a_user_of_the_url_may_get_the_password_from_a_setter() {
        assert!("redis://app@localhost".into_config().is_err());
        let config = Config::from_url("redis://app@localhost")
            .unwrap()
            .password("hush");
        let config = config.into_config().unwrap();
        let (user, password) = config.credentials().unwrap();
        assert_eq!((user, password.expose().as_str()), (Some("app"), "hush"));
    }
}
