//! Commands about the members of sorted sets, their scores and their ranks.

use tidings_proto::ToArg;

use super::args::{choices, options};

choices! {
    /// An end of a sorted set, for [`zmpop`](crate::Commands::zmpop) and its like.
    pub enum MinMax {
        /// The members with the lowest scores.
        Min = "MIN",
        /// The members with the highest scores.
        Max = "MAX",
    }
}

options! {
    /// Options of [`zadd_with`](crate::Commands::zadd_with) and [`zadd_incr`](crate::Commands::zadd_incr): which scores
    /// are written, and what is counted.
    pub struct ZaddOptions {
        condition {
            /// Only new members. The server refuses it together with `gt` or `lt`, which do not keep new members out.
            fn nx() = ["NX"];
            /// Only members that are there.
            fn xx() = ["XX"];
        }
        comparison {
            /// Of the members that are there, only those whose new score is greater. Since 6.2.0.
            fn gt() = ["GT"];
            /// Of the members that are there, only those whose new score is less. Since 6.2.0.
            fn lt() = ["LT"];
        }
        changed {
            /// Members whose score changed count too, not only the new ones.
            fn ch() = ["CH"];
        }
    }

    /// Options of [`zscan_with`](crate::Commands::zscan_with).
    pub struct ZscanOptions {
        pattern {
            /// Only the members that match.
            fn pattern(pattern: impl ToArg) = ["MATCH" pattern];
        }
        count {
            /// About how many members the server looks at in this call.
            fn count(count: u64) = ["COUNT" count];
        }
        scores {
            /// Members without their scores. Since Valkey 8.0; Redis does not have it.
            fn noscores() = ["NOSCORES"];
        }
    }
}

/// The table of commands about members of sorted sets.
macro_rules! table {
    ($emit:ident) => {
        $emit! {
            /// `ZADD`: gives members scores; how many of them are new. The score stands before its member.
            ///
            /// ```no_run
            /// # async fn example(client: tidings::Client) -> tidings::Result<()> {
            /// use tidings::Commands;
            ///
            /// client.zadd("board", [(12.5, "ada"), (7.0, "alan")]).await?;
            /// let best: Vec<(String, f64)> = client.zrevrange_withscores("board", 0, 9).await?;
            /// # Ok(())
            /// # }
            /// ```
            ///
            /// O(log N) for each member, since 1.2.0; several members since 2.4.0.
            fn zadd<S>(key: impl ToArg, scores_and_members: impl ToArgs<S>) -> i64 = ["ZADD" key scores_and_members];

            /// `ZADD` with [options](crate::options::ZaddOptions).
            ///
            /// ```no_run
            /// # async fn example(client: tidings::Client) -> tidings::Result<()> {
            /// use tidings::{Commands, options::ZaddOptions};
            ///
            /// let record = ZaddOptions::new().gt().ch();
            /// let better = client.zadd_with("board", [(13.0, "ada")], record).await?;
            /// # Ok(())
            /// # }
            /// ```
            ///
            /// O(log N) for each member, since 1.2.0; options since 3.0.2.
            fn zadd_with<S>(key: impl ToArg, scores_and_members: impl ToArgs<S>, options: ZaddOptions) -> i64
                = ["ZADD" key options scores_and_members];

            /// `ZADD … INCR`: adds to the score of one member, under the conditions of the
            /// [options](crate::options::ZaddOptions); the score then, `None` if they did not allow it.
            ///
            /// O(log N), since 3.0.2.
            fn zadd_incr(key: impl ToArg, by: f64, member: impl ToArg, options: ZaddOptions) -> Option<f64>
                = ["ZADD" key options "INCR" by member];

            /// `ZINCRBY`: adds to the score of a member, which is 0 if it is new; the score then.
            ///
            /// O(log N), since 1.2.0.
            fn zincrby(key: impl ToArg, by: f64, member: impl ToArg) -> f64 = ["ZINCRBY" key by member];

            /// `ZREM`: removes members; how many there were.
            ///
            /// O(log N) for each member, since 1.2.0; several members since 2.4.0.
            fn zrem<S>(key: impl ToArg, members: impl ToArgs<S>) -> i64 = ["ZREM" key members];

            /// `ZCARD`: the number of members; 0 if there is no such sorted set.
            ///
            /// O(1), since 1.2.0.
            fn zcard(key: impl ToArg) -> i64 = ["ZCARD" key];

            /// `ZSCORE`: the score of a member; `None` if there is no such member.
            ///
            /// O(1), since 1.2.0.
            fn zscore(key: impl ToArg, member: impl ToArg) -> Option<f64> = ["ZSCORE" key member];

            /// `ZMSCORE`: the scores of members, in the order asked; `None` for each that is missing.
            ///
            /// O(number of members asked for), since 6.2.0.
            fn zmscore<S>(key: impl ToArg, members: impl ToArgs<S>) -> Vec<Option<f64>> = ["ZMSCORE" key members];

            /// `ZRANK`: the rank of a member, 0 being the one with the lowest score; `None` if there is no such member.
            ///
            /// O(log N), since 2.0.0.
            fn zrank(key: impl ToArg, member: impl ToArg) -> Option<i64> = ["ZRANK" key member];

            /// `ZRANK … WITHSCORE`: as [`zrank`](Commands::zrank), with the score.
            ///
            /// O(log N), since 7.2.0.
            fn zrank_withscore(key: impl ToArg, member: impl ToArg) -> Option<(i64, f64)>
                = ["ZRANK" key member "WITHSCORE"];

            /// `ZREVRANK`: the rank of a member, 0 being the one with the highest score; `None` if there is no such
            /// member.
            ///
            /// O(log N), since 2.0.0.
            fn zrevrank(key: impl ToArg, member: impl ToArg) -> Option<i64> = ["ZREVRANK" key member];

            /// `ZREVRANK … WITHSCORE`: as [`zrevrank`](Commands::zrevrank), with the score.
            ///
            /// O(log N), since 7.2.0.
            fn zrevrank_withscore(key: impl ToArg, member: impl ToArg) -> Option<(i64, f64)>
                = ["ZREVRANK" key member "WITHSCORE"];

            /// `ZRANDMEMBER`: any member; nil if there is none.
            ///
            /// O(1), since 6.2.0.
            fn zrandmember[T](key: impl ToArg) -> T = ["ZRANDMEMBER" key];

            /// `ZRANDMEMBER … count`: so many different members, or all if there are fewer. A negative count gives
            /// exactly as many, and a member may come more than once.
            ///
            /// O(count), since 6.2.0.
            fn zrandmember_count[T](key: impl ToArg, count: i64) -> T = ["ZRANDMEMBER" key count];

            /// `ZRANDMEMBER … WITHSCORES`: as [`zrandmember_count`](Commands::zrandmember_count), with the scores:
            /// `Vec<(String, f64)>`.
            ///
            /// O(count), since 6.2.0.
            fn zrandmember_withscores[T](key: impl ToArg, count: i64) -> T = ["ZRANDMEMBER" key count "WITHSCORES"];

            /// `ZSCAN`: some of the members with their scores, and the cursor for the next call:
            /// `(u64, Vec<(String, f64)>)`. All were seen when it is 0 again.
            ///
            /// O(1) for each call, O(number of members) for all, since 2.8.0.
            fn zscan[T](key: impl ToArg, cursor: impl ToArg) -> T = ["ZSCAN" key cursor];

            /// `ZSCAN` with [options](crate::options::ZscanOptions); with `noscores` `(u64, Vec<String>)`.
            ///
            /// O(1) for each call, O(number of members) for all, since 2.8.0.
            fn zscan_with[T](key: impl ToArg, cursor: impl ToArg, options: ZscanOptions) -> T
                = ["ZSCAN" key cursor options];

            /// `ZPOPMIN`: takes the member with the lowest score: `Vec<(String, f64)>`, empty if there is none.
            ///
            /// O(log N), since 5.0.0.
            fn zpopmin[T](key: impl ToArg) -> T = ["ZPOPMIN" key];

            /// `ZPOPMIN … count`: takes up to so many members with the lowest scores, the lowest first:
            /// `Vec<(String, f64)>`.
            ///
            /// O(log N) for each member taken, since 5.0.0.
            fn zpopmin_count[T](key: impl ToArg, count: u64) -> T = ["ZPOPMIN" key count];

            /// `ZPOPMAX`: takes the member with the highest score: `Vec<(String, f64)>`, empty if there is none.
            ///
            /// O(log N), since 5.0.0.
            fn zpopmax[T](key: impl ToArg) -> T = ["ZPOPMAX" key];

            /// `ZPOPMAX … count`: takes up to so many members with the highest scores, the highest first:
            /// `Vec<(String, f64)>`.
            ///
            /// O(log N) for each member taken, since 5.0.0.
            fn zpopmax_count[T](key: impl ToArg, count: u64) -> T = ["ZPOPMAX" key count];

            /// `ZMPOP`: takes a member from the first of the sorted sets that has one:
            /// `Option<(String, Vec<(String, f64)>)>`, the sorted set's key and the member; nil if all are empty.
            ///
            /// ```no_run
            /// # async fn example(client: tidings::Client) -> tidings::Result<()> {
            /// use tidings::{Commands, options::MinMax};
            ///
            /// type Taken = Option<(String, Vec<(String, f64)>)>;
            ///
            /// let taken: Taken = client.zmpop(["urgent", "normal"], MinMax::Min).await?;
            /// # Ok(())
            /// # }
            /// ```
            ///
            /// O(number of keys + log N), since 7.0.0.
            fn zmpop[T]<S>(keys: impl ToArgs<S>, end: MinMax) -> T = ["ZMPOP" (Counted(keys)) end];

            /// `ZMPOP … COUNT`: as [`zmpop`](Commands::zmpop), with up to so many members of that one sorted set.
            ///
            /// O(number of keys), and O(log N) for each member taken, since 7.0.0.
            fn zmpop_count[T]<S>(keys: impl ToArgs<S>, end: MinMax, count: u64) -> T
                = ["ZMPOP" (Counted(keys)) end "COUNT" count];

            /// `BZPOPMIN`: takes the member with the lowest score from the first of the sorted sets that has one, and
            /// waits for one if all are empty: `Option<(String, String, f64)>`, key, member and score; nil after
            /// `timeout`, never if that is zero.
            ///
            /// O(log N), since 5.0.0.
            fn bzpopmin[T]<S>(keys: impl ToArgs<S>, timeout: Duration) -> T = ["BZPOPMIN" keys (Seconds(timeout))];

            /// `BZPOPMAX`: as [`bzpopmin`](Commands::bzpopmin), with the highest score.
            ///
            /// O(log N), since 5.0.0.
            fn bzpopmax[T]<S>(keys: impl ToArgs<S>, timeout: Duration) -> T = ["BZPOPMAX" keys (Seconds(timeout))];

            /// `BZMPOP`: as [`zmpop`](Commands::zmpop), and waits for a member if all sorted sets are empty; nil after
            /// `timeout`, never if that is zero.
            ///
            /// O(number of keys + log N), since 7.0.0.
            fn bzmpop[T]<S>(keys: impl ToArgs<S>, end: MinMax, timeout: Duration) -> T
                = ["BZMPOP" (Seconds(timeout)) (Counted(keys)) end];

            /// `BZMPOP … COUNT`: as [`bzmpop`](Commands::bzmpop), with up to so many members of one sorted set.
            ///
            /// O(number of keys), and O(log N) for each member taken, since 7.0.0.
            fn bzmpop_count[T]<S>(keys: impl ToArgs<S>, end: MinMax, count: u64, timeout: Duration) -> T
                = ["BZMPOP" (Seconds(timeout)) (Counted(keys)) end "COUNT" count];
        }
    };
}

pub(super) use table;
