//! What `connect` takes: a URL or a [`Config`].

use std::str::FromStr;

use super::Config;
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
