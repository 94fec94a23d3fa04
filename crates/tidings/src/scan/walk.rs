//! Going over the keys of one server, on one connection from the first to the last.

use bytes::Bytes;
use tidings_proto::cluster::{Holdings, Slot};
use tidings_proto::{Charset, Command, Error as ReplyError, FromReply, Reply, cmd};

use crate::driver::body::{Body, Patience};
use crate::error::{Error, ErrorKind, Result};
use crate::options::ScanOptions;
use crate::pool::Own;
use crate::run::decode;

/// A cursor is of use at the server process that gave it, and nowhere else. So is a connection: what was begun on one that
/// was lost has to begin anew.
#[derive(Debug)]
pub(super) struct Walk {
    /// There until the drop.
    own: Option<Own>,
    cursor: u64,
    /// Something that was sent on it has no answer.
    is_waiting: bool,
}

/// A key that a server gave.
pub(super) struct Found<K> {
    pub(super) slot: Slot,
    pub(super) key: Result<K>,
}

/// What one call of `SCAN` gave.
pub(super) struct Page<K> {
    pub(super) keys: Vec<Found<K>>,
    pub(super) is_last: bool,
}

impl Walk {
    pub(super) fn new(own: Own) -> Self {
        Self {
            own: Some(own),
            cursor: 0,
            is_waiting: false,
        }
    }

    /// The next keys. After the last ones it would begin anew.
    pub(super) async fn page<K: FromReply + Send>(
        &mut self,
        options: &ScanOptions,
        charset: Charset,
    ) -> Result<Page<K>> {
        let scan = cmd("SCAN").arg(self.cursor).arg(options);
        let (cursor, keys) = self.run(scan, charset).await?;
        self.cursor = cursor;
        Ok(Page {
            keys,
            is_last: cursor == 0,
        })
    }

    /// What the server, a node of a cluster, says of its slots.
    pub(super) async fn holdings(&mut self) -> Result<Holdings> {
        let nodes = cmd("CLUSTER").arg("NODES");
        let text: String = self.run(nodes, Charset::default()).await?;
        Holdings::parse(&text).ok_or_else(|| {
            let text = "a node of the cluster does not say which one it is";
            Error::new(ErrorKind::Protocol, text)
        })
    }

    async fn run<T: FromReply>(&mut self, command: Command, charset: Charset) -> Result<T> {
        let Some(own) = &self.own else {
            return Err(Error::closed("the connection was given back"));
        };
        let command = command.in_charset(charset)?;
        self.is_waiting = true;
        let body = Body::command(command.into_bytes(), Patience::Usual);
        let answer = own.send(body).await?;
        self.is_waiting = false;
        decode(answer, charset)
    }
}

impl Drop for Walk {
    /// What has all of its answers is as good as new.
    fn drop(&mut self) {
        if !self.is_waiting
            && let Some(own) = self.own.take()
        {
            own.give_back();
        }
    }
}

impl<K: FromReply + Send> FromReply for Found<K> {
    fn from_reply(reply: Reply<'_>) -> Result<Self, ReplyError> {
        let bytes = reply.as_bytes().unwrap_or_default();
        let slot = Slot::of_key(bytes);
        let key = K::from_reply(reply).map_err(|error| {
            Error::new(ErrorKind::Decode, "a key could not be decoded")
                .with_source(Error::from(error))
                .with_raw(Bytes::copy_from_slice(bytes))
        });
        Ok(Self { slot, key })
    }
}
