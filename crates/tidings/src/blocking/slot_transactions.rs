//! Transactions on one slot of a cluster.

use std::future::{Ready, ready};

use tidings_proto::ToArgs;

use super::{Pipeline, Watch, runtime};
use crate::error::Result;
use crate::transaction::Transact;

/// Transactions (`MULTI`, `EXEC`, `WATCH`) on the slot of one key, and so on one node of a cluster.
///
/// Made by [`ClusterClient::transaction_on`](super::ClusterClient::transaction_on). It is the asynchronous
/// [`SlotTransactions`](crate::SlotTransactions), where more stands of it, with calls that wait.
///
/// ```no_run
/// # fn example(cluster: tidings::blocking::ClusterClient) -> tidings::Result<()> {
/// use tidings::Commands;
///
/// let order = cluster.transaction_on("{order:17}");
/// let total: i64 = order.transaction("{order:17}:total", |watch| {
///     let total: Option<i64> = watch.get("{order:17}:total")?;
///     let total = total.unwrap_or(0) + 3;
///     watch.multi().set("{order:17}:total", total).execute::<()>()?;
///     Ok(total)
/// })?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct SlotTransactions {
    inner: crate::SlotTransactions,
}

impl SlotTransactions {
    pub(super) fn new(inner: crate::SlotTransactions) -> Self {
        Self { inner }
    }

    /// Begins a [`Pipeline`]: commands that are sent in one go to the node of the slot, as a transaction.
    pub fn pipeline(&self) -> Pipeline {
        Pipeline::new(self.inner.pipeline())
    }

    /// Watches keys, on a connection of its own to the node of the slot; as [there](crate::SlotTransactions::watch).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn watch<S>(&self, keys: impl ToArgs<S>) -> Result<Watch> {
        runtime::wait(self.inner.watch(keys)).map(Watch::new)
    }

    /// Runs a closure over watched keys, again and again until none of them has changed under it, and their slot has
    /// stayed where it was; as [`Client::transaction`](super::Client::transaction), 256 times at most.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn transaction<S, R>(
        &self,
        keys: impl ToArgs<S>,
        closure: impl FnMut(Watch) -> Result<R>,
    ) -> Result<R> {
        runtime::wait(self.transact(keys, closure))
    }

    /// As [`transaction`](Self::transaction), with so many attempts at most. Zero counts as one.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn transaction_with_attempts<S, R>(
        &self,
        most: u32,
        keys: impl ToArgs<S>,
        closure: impl FnMut(Watch) -> Result<R>,
    ) -> Result<R> {
        runtime::wait(self.transact(keys, closure).attempts(most))
    }

    /// The asynchronous transaction, with a closure that has done its work when it returns.
    fn transact<S, R>(
        &self,
        keys: impl ToArgs<S>,
        mut closure: impl FnMut(Watch) -> Result<R>,
    ) -> Transact<impl FnMut(crate::Watch) -> Ready<Result<R>>, Ready<Result<R>>> {
        self.inner
            .transaction(keys, move |watch| ready(closure(Watch::new(watch))))
    }
}
