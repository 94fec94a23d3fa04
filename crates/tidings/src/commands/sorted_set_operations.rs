//! Commands that make one sorted set of several: unions, intersections and differences.

use tidings_proto::ToArgs;

use super::args::options;

options! {
    /// Options of [`zunion_with`](crate::Commands::zunion_with) and [`zinter_with`](crate::Commands::zinter_with).
    pub struct ZunionOptions {
        weights {
            /// What the scores are multiplied by: a number for each key, in the same order.
            fn weights<S>(weights: impl ToArgs<S>) = ["WEIGHTS" weights];
        }
        aggregate {
            /// A member's scores are added up, as without options.
            fn sum() = ["AGGREGATE" "SUM"];
            /// Of a member's scores the lowest counts.
            fn min() = ["AGGREGATE" "MIN"];
            /// Of a member's scores the highest counts.
            fn max() = ["AGGREGATE" "MAX"];
        }
        scores {
            /// With the scores: `Vec<(String, f64)>`.
            fn withscores() = ["WITHSCORES"];
        }
    }

    /// Options of [`zunionstore_with`](crate::Commands::zunionstore_with) and
    /// [`zinterstore_with`](crate::Commands::zinterstore_with).
    pub struct ZunionstoreOptions {
        weights {
            /// What the scores are multiplied by: a number for each key, in the same order.
            fn weights<S>(weights: impl ToArgs<S>) = ["WEIGHTS" weights];
        }
        aggregate {
            /// A member's scores are added up, as without options.
            fn sum() = ["AGGREGATE" "SUM"];
            /// Of a member's scores the lowest counts.
            fn min() = ["AGGREGATE" "MIN"];
            /// Of a member's scores the highest counts.
            fn max() = ["AGGREGATE" "MAX"];
        }
    }
}

/// The table of commands that make one sorted set of several.
macro_rules! table {
    ($emit:ident) => {
        $emit! {
            /// `ZUNION`: the members that any of the sorted sets has, in the order of their scores, which are added up.
            ///
            /// O(members of all sorted sets + M log M) for M in the result, since 6.2.0.
            fn zunion[T]<S>(keys: impl ToArgs<S>) -> T = ["ZUNION" (Counted(keys))];

            /// `ZUNION … WITHSCORES`: as [`zunion`](Commands::zunion), with the scores: `Vec<(String, f64)>`.
            ///
            /// O(members of all sorted sets + M log M) for M in the result, since 6.2.0.
            fn zunion_withscores[T]<S>(keys: impl ToArgs<S>) -> T = ["ZUNION" (Counted(keys)) "WITHSCORES"];

            /// `ZUNION` with [options](crate::options::ZunionOptions): weights, how scores come together, and whether
            /// they are told.
            ///
            /// ```no_run
            /// # async fn example(client: tidings::Client) -> tidings::Result<()> {
            /// use tidings::{Commands, options::ZunionOptions};
            ///
            /// let options = ZunionOptions::new().weights([1.0, 0.5]).max().withscores();
            /// let both: Vec<(String, f64)> = client.zunion_with(["today", "yesterday"], options).await?;
            /// # Ok(())
            /// # }
            /// ```
            ///
            /// O(members of all sorted sets + M log M) for M in the result, since 6.2.0.
            fn zunion_with[T]<S>(keys: impl ToArgs<S>, options: ZunionOptions) -> T
                = ["ZUNION" (Counted(keys)) options];

            /// `ZUNIONSTORE`: keeps what [`zunion`](Commands::zunion) gives as another sorted set, over one that has
            /// the name already; its size.
            ///
            /// O(members of all sorted sets + M log M) for M in the result, since 2.0.0.
            fn zunionstore<S>(destination: impl ToArg, keys: impl ToArgs<S>) -> i64
                = ["ZUNIONSTORE" destination (Counted(keys))];

            /// `ZUNIONSTORE` with [options](crate::options::ZunionstoreOptions).
            ///
            /// O(members of all sorted sets + M log M) for M in the result, since 2.0.0.
            fn zunionstore_with<S>(destination: impl ToArg, keys: impl ToArgs<S>, options: ZunionstoreOptions) -> i64
                = ["ZUNIONSTORE" destination (Counted(keys)) options];

            /// `ZINTER`: the members that all of the sorted sets have, in the order of their scores, which are added up.
            ///
            /// O(N × K + M log M) for N members in the smallest of K sorted sets and M in the result, since 6.2.0.
            fn zinter[T]<S>(keys: impl ToArgs<S>) -> T = ["ZINTER" (Counted(keys))];

            /// `ZINTER … WITHSCORES`: as [`zinter`](Commands::zinter), with the scores: `Vec<(String, f64)>`.
            ///
            /// O(N × K + M log M) for N members in the smallest of K sorted sets and M in the result, since 6.2.0.
            fn zinter_withscores[T]<S>(keys: impl ToArgs<S>) -> T = ["ZINTER" (Counted(keys)) "WITHSCORES"];

            /// `ZINTER` with [options](crate::options::ZunionOptions), as [`zunion_with`](Commands::zunion_with).
            ///
            /// O(N × K + M log M) for N members in the smallest of K sorted sets and M in the result, since 6.2.0.
            fn zinter_with[T]<S>(keys: impl ToArgs<S>, options: ZunionOptions) -> T
                = ["ZINTER" (Counted(keys)) options];

            /// `ZINTERSTORE`: keeps what [`zinter`](Commands::zinter) gives as another sorted set, over one that has
            /// the name already; its size.
            ///
            /// O(N × K + M log M) for N members in the smallest of K sorted sets and M in the result, since 2.0.0.
            fn zinterstore<S>(destination: impl ToArg, keys: impl ToArgs<S>) -> i64
                = ["ZINTERSTORE" destination (Counted(keys))];

            /// `ZINTERSTORE` with [options](crate::options::ZunionstoreOptions).
            ///
            /// O(N × K + M log M) for N members in the smallest of K sorted sets and M in the result, since 2.0.0.
            fn zinterstore_with<S>(destination: impl ToArg, keys: impl ToArgs<S>, options: ZunionstoreOptions) -> i64
                = ["ZINTERSTORE" destination (Counted(keys)) options];

            /// `ZINTERCARD`: how many members all of the sorted sets have.
            ///
            /// O(N × K) for N members in the smallest of K sorted sets, since 7.0.0.
            fn zintercard<S>(keys: impl ToArgs<S>) -> i64 = ["ZINTERCARD" (Counted(keys))];

            /// `ZINTERCARD … LIMIT`: as [`zintercard`](Commands::zintercard), and stops counting at the limit; 0 is
            /// none.
            ///
            /// O(N × K) for N members in the smallest of K sorted sets, since 7.0.0.
            fn zintercard_limit<S>(keys: impl ToArgs<S>, limit: u64) -> i64
                = ["ZINTERCARD" (Counted(keys)) "LIMIT" limit];

            /// `ZDIFF`: the members of the first sorted set that none of the others has.
            ///
            /// O(L + (N - M) log N) for L members of all sorted sets, N of the first and M in the result, since 6.2.0.
            fn zdiff[T]<S>(keys: impl ToArgs<S>) -> T = ["ZDIFF" (Counted(keys))];

            /// `ZDIFF … WITHSCORES`: as [`zdiff`](Commands::zdiff), with the scores: `Vec<(String, f64)>`.
            ///
            /// O(L + (N - M) log N) for L members of all sorted sets, N of the first and M in the result, since 6.2.0.
            fn zdiff_withscores[T]<S>(keys: impl ToArgs<S>) -> T = ["ZDIFF" (Counted(keys)) "WITHSCORES"];

            /// `ZDIFFSTORE`: keeps what [`zdiff`](Commands::zdiff) gives as another sorted set, over one that has the
            /// name already; its size.
            ///
            /// O(L + (N - M) log N) for L members of all sorted sets, N of the first and M in the result, since 6.2.0.
            fn zdiffstore<S>(destination: impl ToArg, keys: impl ToArgs<S>) -> i64
                = ["ZDIFFSTORE" destination (Counted(keys))];
        }
    };
}

pub(super) use table;
