//! All keys, one after the other.

mod nodes;
mod one;
mod walk;

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::Bytes;
use futures_core::Stream;
use tidings_proto::FromReply;
use tidings_proto::cluster::{Next, Redirect, Redirections};
use tokio::time;

use crate::client::Client;
use crate::cluster::ClusterClient;
use crate::driver::cluster::is_lost;
use crate::error::{Error, Result};
use crate::options::ScanOptions;
use nodes::OfCluster;
use one::OfServer;
use walk::Found;

/// How many keys a call goes over unless told otherwise: that takes a server about a tenth of a millisecond.
const USUAL_COUNT: i64 = 250;

/// So often a server is gone over from its beginning because its connection was lost.
const RESTARTS: u32 = 16;

/// A stream of the keys of a server, or of a cluster (`SCAN`).
///
/// Made by [`Client::scan_keys`](crate::Client::scan_keys) and
/// [`ClusterClient::scan_keys`](crate::ClusterClient::scan_keys). Nothing is sent before it is read, and no more than is
/// read.
///
/// ```no_run
/// # async fn example(client: tidings::Client) -> tidings::Result<()> {
/// use tidings::options::ScanOptions;
///
/// let mut keys = client.scan_keys_with(ScanOptions::new().pattern("user:*").kind("hash"));
/// while let Some(key) = keys.next().await {
///     let key: String = key?;
///     println!("{key}");
/// }
/// # Ok(())
/// # }
/// ```
///
/// **Each key that is there all the time comes, and may come more than once.** Whether one comes that is made or removed
/// meanwhile is open. That is what `SCAN` promises; it is kept here whatever happens to connections and to a cluster:
///
/// - A cursor is of use at the server process that gave it, so there is a connection for this alone, of
///   [`Config::max_own_connections`](crate::Config::max_own_connections). If it is lost, that server is gone over
///   from its beginning, and what has come of it comes again.
/// - **In a cluster** one primary is gone over after the other. Before and after, it is asked which slots it has. A slot that
///   was moved meanwhile is looked for where it went, and nothing else comes from there again. Of a shard that has
///   failed over all keys come from the new primary, from its beginning. (A slot that moves away and back again while its
///   node is gone over is not noticed.)
///
/// An `Err` item is one of a key that cannot be decoded, with its bytes in [`raw_payload`](Error::raw_payload), after which
/// the next one follows; or the last item: a server that cannot be reached for the [time of a
/// response](crate::Config::response_timeout), or is lost time and again; or one that refuses `SCAN`, or in a cluster `CLUSTER
/// NODES`.
pub struct ScanKeys<K = Bytes> {
    /// `None` at the end, and while it is on its way.
    source: Option<Box<Source>>,
    going: Option<Going<K>>,
    page: std::vec::IntoIter<Found<K>>,
}

type Going<K> = Pin<Box<dyn Future<Output = (Box<Source>, Result<Option<Vec<Found<K>>>>)> + Send>>;

/// Whose keys.
#[derive(Debug)]
enum Source {
    Server(OfServer),
    Cluster(OfCluster),
}

impl<K: FromReply + Send + 'static> ScanKeys<K> {
    pub(crate) fn of_client(client: Client, options: ScanOptions) -> Self {
        let options = options.with_usual_count(USUAL_COUNT);
        Self::new(Source::Server(OfServer::new(client, options)))
    }

    pub(crate) fn of_cluster(cluster: ClusterClient, options: ScanOptions) -> Self {
        let options = options.with_usual_count(USUAL_COUNT);
        Self::new(Source::Cluster(OfCluster::new(cluster, options)))
    }

    fn new(source: Source) -> Self {
        Self {
            source: Some(Box::new(source)),
            going: None,
            page: Vec::new().into_iter(),
        }
    }
}

impl<K: FromReply + Send + 'static> ScanKeys<K> {
    /// The next key; `None` at the end.
    ///
    /// # Errors
    ///
    /// See [`ScanKeys`].
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost if it is dropped.
    pub async fn next(&mut self) -> Option<Result<K>> {
        poll_fn(|cx| self.poll_key(cx)).await
    }

    pub(crate) fn poll_key(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<K>>> {
        loop {
            if let Some(found) = self.page.next() {
                return Poll::Ready(Some(found.key));
            }
            if let Some(source) = self.source.take() {
                self.going = Some(Box::pin(go_on(source)));
            }
            let Some(going) = &mut self.going else {
                return Poll::Ready(None);
            };
            let (source, outcome) = ready!(going.as_mut().poll(cx));
            self.going = None;
            match outcome {
                Ok(Some(page)) => {
                    self.source = Some(source);
                    self.page = page.into_iter();
                }
                Ok(None) => return Poll::Ready(None),
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
        }
    }
}

async fn go_on<K: FromReply + Send>(
    mut source: Box<Source>,
) -> (Box<Source>, Result<Option<Vec<Found<K>>>>) {
    let outcome = match &mut *source {
        Source::Server(server) => server.page().await,
        Source::Cluster(cluster) => cluster.page().await,
    };
    (source, outcome)
}

/// Waits before the next attempt, if the error is one after which there may be one.
async fn pause_after_loss(way: &mut Redirections, error: Error) -> Result<()> {
    let redirect = error.server_error().and_then(Redirect::of);
    let next = match redirect {
        // It is loading its data set, say.
        Some(redirect) => way.next(&redirect, Instant::now()),
        None if is_lost(&error) => way.next_after_loss(Instant::now()),
        None => return Err(error),
    };
    match next {
        Next::LookUp { pause, .. } | Next::To { pause, .. } => {
            time::sleep(pause).await;
            Ok(())
        }
        _ => Err(error),
    }
}

impl<K: FromReply + Send + 'static> Stream for ScanKeys<K> {
    type Item = Result<K>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_key(cx)
    }
}

impl<K> Unpin for ScanKeys<K> {}

impl<K> fmt::Debug for ScanKeys<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScanKeys")
            .field("at_hand", &self.page.len())
            .finish_non_exhaustive()
    }
}
