//! redis-rs, with its multiplexed connection.

use ::redis::aio::MultiplexedConnection;
use ::redis::io::tcp::TcpSettings;
use ::redis::{AsyncCommands, AsyncConnectionConfig, IntoConnectionInfo};

use super::client::Client;
use super::pairs::Pair;
use crate::Result;
use crate::contestant::Kind;

#[derive(Clone)]
pub(super) struct Redis(MultiplexedConnection);

impl Client for Redis {
    const NAME: &'static str = "redis";
    const KIND: Kind = Kind::Peer;

    async fn connect(port: u16) -> Result<Self> {
        let url = format!("redis://127.0.0.1:{port}/?protocol=resp3");
        let info = url
            .into_connection_info()?
            .set_tcp_settings(TcpSettings::default().set_nodelay(true));
        // A timer a command, which the others do not have either.
        let config = AsyncConnectionConfig::new().set_response_timeout(None);
        let client = ::redis::Client::open(info)?;
        let connection = client.get_multiplexed_async_connection_with_config(&config);
        Ok(Self(connection.await?))
    }

    async fn publish(&mut self, channel: &str, payload: &str) -> Result<i64> {
        Ok(self.0.publish(channel, payload).await?)
    }

    async fn get(&mut self, key: &str) -> Result<Option<String>> {
        Ok(self.0.get(key).await?)
    }

    async fn pipeline(&mut self, pairs: &[Pair], transaction: bool) -> Result<Vec<Option<String>>> {
        let mut pipeline = ::redis::Pipeline::with_capacity(2 * pairs.len());
        if transaction {
            pipeline.atomic();
        }
        for (key, value) in pairs {
            pipeline.set(key, value).get(key);
        }
        Ok(pipeline.query_async(&mut self.0).await?)
    }
}
