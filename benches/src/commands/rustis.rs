//! rustis.

use ::rustis::client::BatchPreparedCommand;
use ::rustis::commands::{PubSubCommands, StringCommands};

use super::client::Client;
use super::pairs::Pair;
use crate::Result;
use crate::contestant::Kind;

#[derive(Clone)]
pub(super) struct Rustis(::rustis::client::Client);

impl Client for Rustis {
    const NAME: &'static str = "rustis";
    const KIND: Kind = Kind::Peer;

    async fn connect(port: u16) -> Result<Self> {
        let url = format!("redis://127.0.0.1:{port}");
        Ok(Self(::rustis::client::Client::connect(url).await?))
    }

    async fn publish(&mut self, channel: &str, payload: &str) -> Result<i64> {
        Ok(self.0.publish(channel, payload).await?.try_into()?)
    }

    async fn get(&mut self, key: &str) -> Result<Option<String>> {
        Ok(self.0.get(key).await?)
    }

    async fn pipeline(&mut self, pairs: &[Pair], transaction: bool) -> Result<Vec<Option<String>>> {
        if transaction {
            let mut transaction = self.0.create_transaction();
            for (key, value) in pairs {
                transaction.set(key, value).queue();
                transaction.get::<()>(key).queue();
            }
            return Ok(transaction.execute().await?);
        }
        let mut pipeline = self.0.create_pipeline();
        pipeline.reserve(2 * pairs.len());
        for (key, value) in pairs {
            pipeline.set(key, value).queue();
            pipeline.get::<()>(key).queue();
        }
        Ok(pipeline.execute().await?)
    }
}
