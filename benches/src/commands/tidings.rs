//! Tidings.

use ::tidings::Commands;

use super::client::Client;
use super::pairs::Pair;
use crate::Result;
use crate::contestant::Kind;

#[derive(Clone)]
pub(super) struct Tidings(::tidings::Client);

impl Client for Tidings {
    const NAME: &'static str = "tidings";
    const KIND: Kind = Kind::Tidings;

    async fn connect(port: u16) -> Result<Self> {
        let url = format!("redis://127.0.0.1:{port}/?protocol=3");
        Ok(Self(::tidings::Client::connect(url.as_str()).await?))
    }

    async fn publish(&mut self, channel: &str, payload: &str) -> Result<i64> {
        Ok(self.0.publish(channel, payload).await?)
    }

    async fn get(&mut self, key: &str) -> Result<Option<String>> {
        Ok(self.0.get(key).await?)
    }

    async fn pipeline(&mut self, pairs: &[Pair], transaction: bool) -> Result<Vec<Option<String>>> {
        let mut pipeline = self.0.pipeline();
        pipeline.transaction(transaction);
        for (key, value) in pairs {
            pipeline.set(key, value).get(key);
        }
        Ok(pipeline.execute().await?)
    }
}
