//! fred.

use ::fred::prelude::*;
use ::fred::types::RespVersion;

use super::client;
use super::pairs::Pair;
use crate::Result;
use crate::contestant::Kind;

#[derive(Clone)]
pub(super) struct Fred(Client);

impl client::Client for Fred {
    const NAME: &'static str = "fred";
    const KIND: Kind = Kind::Peer;
    const MOST: u64 = 200_000;

    async fn connect(port: u16) -> Result<Self> {
        let config = Config {
            version: RespVersion::RESP3,
            server: ServerConfig::new_centralized("127.0.0.1", port),
            ..Config::default()
        };
        // Without TCP_NODELAY, which is its default: its pipelines are written a command at a time, and take
        // half as long if the kernel puts these together.
        let client = Builder::from_config(config).build()?;
        client.init().await?;
        Ok(Self(client))
    }

    async fn publish(&mut self, channel: &str, payload: &str) -> Result<i64> {
        Ok(self.0.publish(channel, payload).await?)
    }

    async fn get(&mut self, key: &str) -> Result<Option<String>> {
        Ok(self.0.get(key).await?)
    }

    async fn pipeline(&mut self, pairs: &[Pair], transaction: bool) -> Result<Vec<Option<String>>> {
        if transaction {
            let transaction = self.0.multi();
            queue(&transaction, pairs).await?;
            return Ok(transaction.exec(true).await?);
        }
        let pipeline = self.0.pipeline();
        queue(&pipeline, pairs).await?;
        Ok(pipeline.all().await?)
    }
}

/// Returns when they are queued in memory.
async fn queue(queue: &(impl KeysInterface + Sync), pairs: &[Pair]) -> Result<()> {
    for (key, value) in pairs {
        let _: () = queue.set(key, value, None, None, false).await?;
        let _: () = queue.get(key).await?;
    }
    Ok(())
}
