//! All keys, for threads.

use std::time::{Duration, Instant};

use bytes::Bytes;
use tidings_proto::FromReply;

use super::runtime::{self, deadline};
use super::timeout_iter::{ReadWithin, TimeoutIter};
use crate::error::Result;

/// An iterator over the keys of a server, or of a cluster (`SCAN`).
///
/// Made by [`Client::scan_keys`](super::Client::scan_keys) and
/// [`ClusterClient::scan_keys`](super::ClusterClient::scan_keys). It is the asynchronous [`ScanKeys`](crate::ScanKeys), where it
/// stands what comes, and what it is when slots move and nodes are lost meanwhile.
///
/// ```no_run
/// # fn example(client: tidings::blocking::Client) -> tidings::Result<()> {
/// use tidings::options::ScanOptions;
///
/// for key in client.scan_keys_with(ScanOptions::new().pattern("user:*")) {
///     let key: String = key?;
///     println!("{key}");
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct ScanKeys<K = Bytes> {
    inner: crate::ScanKeys<K>,
}

impl<K: FromReply + Send + 'static> ScanKeys<K> {
    pub(super) fn new(inner: crate::ScanKeys<K>) -> Self {
        Self { inner }
    }

    /// An iterator that ends as well when nothing came for so long. It can be made again and goes on then.
    pub fn timeout_iter(&mut self, timeout: Duration) -> TimeoutIter<'_, Self> {
        TimeoutIter::new(self, timeout)
    }

    fn wait(&mut self, deadline: Option<Instant>) -> Option<Result<K>> {
        runtime::next_item(|cx| self.inner.poll_key(cx), deadline)
    }
}

/// Waits for the next key; `None` is the end.
impl<K: FromReply + Send + 'static> Iterator for ScanKeys<K> {
    type Item = Result<K>;

    fn next(&mut self) -> Option<Self::Item> {
        self.wait(None)
    }
}

impl<K: FromReply + Send + 'static> ReadWithin for ScanKeys<K> {
    type Item = Result<K>;

    fn next_within(&mut self, timeout: Duration) -> Option<Self::Item> {
        self.wait(deadline(timeout))
    }
}
