//! What the contestants are to the benchmarks of commands.

use super::pairs::Pair;
use crate::Result;
use crate::contestant::{Assignment, Contestant, Kind, nothing_to_prepare};
use crate::machine::Core;
use crate::measure::Outcome;

/// An asynchronous client, used as its documentation advises. Its clones share a connection.
pub(super) trait Client: Clone + Send + Sized + 'static {
    const NAME: &'static str;
    const KIND: Kind;
    /// More commands would only make a run longer.
    const MOST: u64 = u64::MAX;

    fn connect(port: u16) -> impl Future<Output = Result<Self>> + Send;

    /// How many received it.
    fn publish(&mut self, channel: &str, payload: &str)
    -> impl Future<Output = Result<i64>> + Send;

    fn get(&mut self, key: &str) -> impl Future<Output = Result<Option<String>>> + Send;

    /// SET and GET of each pair, and their replies: "OK", the value, "OK", …
    fn pipeline(
        &mut self,
        pairs: &[Pair],
        transaction: bool,
    ) -> impl Future<Output = Result<Vec<Option<String>>>> + Send;
}

/// A [`Client`] that takes part in a benchmark.
pub(super) const fn contestant<C: Client, S>(
    usage: &'static str,
    run: fn(&Assignment<S>) -> Result<Outcome>,
) -> Contestant<S> {
    Contestant {
        name: C::NAME,
        usage,
        // They are named after their packages.
        package: Some(C::NAME),
        kind: C::KIND,
        most: C::MOST,
        core: Core::Last,
        prepare: nothing_to_prepare,
        run,
    }
}
