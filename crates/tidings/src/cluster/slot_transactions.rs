//! Transactions on one slot of a cluster.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use tidings_proto::cluster::{CommandSlot, Slot};
use tidings_proto::{Charset, CommandRef, ToArg, ToArgs, cmd};

use super::ClusterClient;
use crate::driver::cluster::Cluster;
use crate::error::{Error, Result};
use crate::pipeline::Pipeline;
use crate::pubsub::one_name;
use crate::transaction::Transact;
use crate::watch::{Watch, WatchAt};

/// Longer keys are cut where an error shows them.
const SHOWN: usize = 100;

/// Transactions (`MULTI`, `EXEC`, `WATCH`) on the slot of one key, and so on one node of a cluster.
///
/// Made by [`ClusterClient::transaction_on`]. `Clone`, and nothing is sent to make it. What a [`Client`](crate::Client)
/// has for its server this has for its slot: all keys of a transaction are in it, and keys with the same `{tag}` are.
///
/// ```no_run
/// # async fn example(cluster: tidings::ClusterClient) -> tidings::Result<()> {
/// use tidings::Commands;
///
/// let order = cluster.transaction_on("{order:17}");
/// let (ok, lines): (bool, i64) = order
///     .pipeline()
///     .set("{order:17}:state", "open")
///     .rpush("{order:17}:lines", "3 apples")
///     .execute()
///     .await?;
///
/// // Only if nobody else has written meanwhile, and again if somebody has.
/// let total: i64 = order
///     .transaction("{order:17}:total", |watch| async move {
///         let total: Option<i64> = watch.get("{order:17}:total").await?;
///         let total = total.unwrap_or(0) + 3;
///         watch.multi().set("{order:17}:total", total).execute::<()>().await?;
///         Ok(total)
///     })
///     .await?;
/// # Ok(())
/// # }
/// ```
///
/// A key of another slot is a [misuse](crate::ErrorKind::Misuse) that names it, before anything is sent. Commands without a
/// key, such as `PUBLISH`, run on the node of the slot alone, also those that a [`ClusterClient`](crate::ClusterClient) runs on all
/// of them: `DBSIZE` counts its keys, and `FLUSHALL` deletes those.
///
/// # While slots move
///
/// A pipeline that the node does not run, as the slot has gone or goes elsewhere (`MOVED`, `ASK`, `TRYAGAIN`, …), is run as a
/// whole where it is then: nothing of it has run before. With its slot a [`Watch`] has lost what it saw of its keys, which is an
/// error of kind [`Watch`](crate::ErrorKind::Watch), as if one of them had changed; [`transaction`](Self::transaction) begins
/// again then.
#[derive(Clone)]
pub struct SlotTransactions {
    cluster: ClusterClient,
    /// That of the key, unless this cannot be sent.
    slot: Result<Slot>,
}

impl SlotTransactions {
    pub(super) fn new(cluster: ClusterClient, key: &impl ToArg) -> Self {
        let slot = one_name(key, cluster.charset()).map(|key| Slot::of_key(&key));
        Self { cluster, slot }
    }

    /// Begins a [`Pipeline`]: commands that are sent in one go to the node of the slot, as a transaction.
    pub fn pipeline(&self) -> Pipeline {
        Pipeline::on_slot(self.clone())
    }

    /// Watches keys, on a connection of its own to the node of the slot; as [`Client::watch`](crate::Client::watch).
    ///
    /// # Errors
    ///
    /// As those of a command; no key at all, or one of another slot; and [no connection that is
    /// free](crate::Config::max_own_connections).
    pub fn watch<S>(&self, keys: impl ToArgs<S>) -> impl Future<Output = Result<Watch>> + Send {
        Watch::open(WatchAt::Slot(self.clone()), cmd("WATCH").arg(keys))
    }

    /// Runs a closure over watched keys, again and again until none of them has changed under it, and their slot has
    /// stayed where it was; as [`Client::transaction`](crate::Client::transaction).
    ///
    /// # Errors
    ///
    /// As those of [`watch`](Self::watch), and as there.
    pub fn transaction<S, F, Fut, R>(&self, keys: impl ToArgs<S>, closure: F) -> Transact<F, Fut>
    where
        F: FnMut(Watch) -> Fut,
        Fut: Future<Output = Result<R>>,
    {
        Transact::new(WatchAt::Slot(self.clone()), cmd("WATCH").arg(keys), closure)
    }

    pub(crate) fn slot(&self) -> Result<Slot> {
        self.slot.clone()
    }

    pub(crate) fn cluster(&self) -> &Arc<Cluster> {
        self.cluster.driver()
    }

    pub(crate) fn charset(&self) -> Charset {
        self.cluster.charset()
    }
}

/// Why a command is not for a slot, if it is not. One without keys is for any; of one that is not known, the server knows.
pub(crate) fn check_slot(command: CommandRef<'_>, slot: Slot) -> Result<()> {
    match command.slot() {
        CommandSlot::Keyless | CommandSlot::Unknown => return Ok(()),
        CommandSlot::One(its) if its == slot => return Ok(()),
        CommandSlot::One(_) | CommandSlot::Several => {}
    }
    let key = command.keys().find(|key| Slot::of_key(key) != slot);
    let key = key.map(String::from_utf8_lossy).unwrap_or_default();
    let shown: String = key.chars().take(SHOWN).collect();
    let more = if shown.len() < key.len() { "…" } else { "" };
    Err(Error::misuse(format!(
        "the key {shown}{more} is in another slot than the transaction: keys with the same {{tag}} are together"
    )))
}

impl fmt::Debug for SlotTransactions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SlotTransactions")
            .field("slot", &self.slot)
            .finish_non_exhaustive()
    }
}
