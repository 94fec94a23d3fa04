//! The keys of one server.

use std::sync::Arc;
use std::time::Instant;

use tidings_proto::FromReply;
use tidings_proto::cluster::Redirections;

use super::walk::{Found, Walk};
use super::{RESTARTS, pause_after_loss};
use crate::client::Client;
use crate::driver::cluster::limits;
use crate::error::Result;
use crate::options::ScanOptions;

/// Goes over the keys of one server.
#[derive(Debug)]
pub(super) struct OfServer {
    client: Client,
    options: ScanOptions,
    walk: Option<Walk>,
    restarts: u32,
    is_done: bool,
}

impl OfServer {
    pub(super) fn new(client: Client, options: ScanOptions) -> Self {
        Self {
            client,
            options,
            walk: None,
            restarts: 0,
            is_done: false,
        }
    }

    /// The next keys; `None` at the end.
    pub(super) async fn page<K: FromReply + Send>(&mut self) -> Result<Option<Vec<Found<K>>>> {
        let limits = limits(self.client.place().config());
        let mut way = Redirections::new(&limits, Instant::now());
        while !self.is_done {
            match self.try_page().await {
                Ok(keys) => return Ok(Some(keys)),
                Err(error) => {
                    // What cannot be reached is only tried again.
                    self.restarts += u32::from(self.walk.take().is_some());
                    if self.restarts > RESTARTS {
                        return Err(error);
                    }
                    pause_after_loss(&mut way, error).await?;
                }
            }
        }
        Ok(None)
    }

    async fn try_page<K: FromReply + Send>(&mut self) -> Result<Vec<Found<K>>> {
        let walk = match &mut self.walk {
            Some(walk) => walk,
            none => {
                let own = Arc::clone(self.client.pool()).connection().await?;
                none.insert(Walk::new(own))
            }
        };
        let page = walk.page(&self.options, self.client.charset()).await?;
        if page.is_last {
            self.is_done = true;
            self.walk = None;
        }
        Ok(page.keys)
    }
}
