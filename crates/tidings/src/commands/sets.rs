//! Commands about sets.

use tidings_proto::ToArg;

use super::args::options;

options! {
    /// Options of [`sscan_with`](crate::Commands::sscan_with).
    pub struct SscanOptions {
        pattern {
            /// Only the members that match.
            fn pattern(pattern: impl ToArg) = ["MATCH" pattern];
        }
        count {
            /// About how many members the server looks at in this call.
            fn count(count: u64) = ["COUNT" count];
        }
    }
}

/// The table of set commands.
macro_rules! table {
    ($emit:ident) => {
        $emit! {
            /// `SADD`: adds members to a set; how many are new.
            ///
            /// O(number of members), since 1.0.0.
            fn sadd<S>(key: impl ToArg, members: impl ToArgs<S>) -> i64 = ["SADD" key members];

            /// `SREM`: removes members from a set; how many there were.
            ///
            /// O(number of members), since 1.0.0.
            fn srem<S>(key: impl ToArg, members: impl ToArgs<S>) -> i64 = ["SREM" key members];

            /// `SMEMBERS`: all members of a set.
            ///
            /// O(number of members), since 1.0.0.
            fn smembers[T](key: impl ToArg) -> T = ["SMEMBERS" key];

            /// `SCARD`: the number of members; 0 if there is no such set.
            ///
            /// O(1), since 1.0.0.
            fn scard(key: impl ToArg) -> i64 = ["SCARD" key];

            /// `SISMEMBER`: whether a set has this member.
            ///
            /// O(1), since 1.0.0.
            fn sismember(key: impl ToArg, member: impl ToArg) -> bool = ["SISMEMBER" key member];

            /// `SMISMEMBER`: whether a set has these members, in the order asked.
            ///
            /// O(number of members asked for), since 6.2.0.
            fn smismember<S>(key: impl ToArg, members: impl ToArgs<S>) -> Vec<bool> = ["SMISMEMBER" key members];

            /// `SMOVE`: moves a member from one set to another; `false` if the first one does not have it.
            ///
            /// O(1), since 1.0.0.
            fn smove(source: impl ToArg, destination: impl ToArg, member: impl ToArg) -> bool
                = ["SMOVE" source destination member];

            /// `SPOP`: takes any member out of a set; nil if there is none.
            ///
            /// O(1), since 1.0.0.
            fn spop[T](key: impl ToArg) -> T = ["SPOP" key];

            /// `SPOP … count`: takes so many members out of a set, or all if there are fewer.
            ///
            /// O(count), since 3.2.0.
            fn spop_count[T](key: impl ToArg, count: u64) -> T = ["SPOP" key count];

            /// `SRANDMEMBER`: any member of a set; nil if there is none.
            ///
            /// O(1), since 1.0.0.
            fn srandmember[T](key: impl ToArg) -> T = ["SRANDMEMBER" key];

            /// `SRANDMEMBER … count`: so many different members, or all if there are fewer. A negative count gives
            /// exactly as many, and a member may come more than once.
            ///
            /// O(count), since 2.6.0.
            fn srandmember_count[T](key: impl ToArg, count: i64) -> T = ["SRANDMEMBER" key count];

            /// `SINTER`: the members that all of the sets have.
            ///
            /// O(size of the smallest set × number of sets), since 1.0.0.
            fn sinter[T]<S>(keys: impl ToArgs<S>) -> T = ["SINTER" keys];

            /// `SINTERSTORE`: keeps what [`sinter`](Commands::sinter) gives as another set, over one that has the name
            /// already; its size.
            ///
            /// O(size of the smallest set × number of sets), since 1.0.0.
            fn sinterstore<S>(destination: impl ToArg, keys: impl ToArgs<S>) -> i64
                = ["SINTERSTORE" destination keys];

            /// `SINTERCARD`: how many members all of the sets have.
            ///
            /// O(size of the smallest set × number of sets), since 7.0.0.
            fn sintercard<S>(keys: impl ToArgs<S>) -> i64 = ["SINTERCARD" (Counted(keys))];

            /// `SINTERCARD … LIMIT`: as [`sintercard`](Commands::sintercard), and stops counting at the limit; 0 is
            /// none.
            ///
            /// O(size of the smallest set × number of sets), since 7.0.0.
            fn sintercard_limit<S>(keys: impl ToArgs<S>, limit: u64) -> i64
                = ["SINTERCARD" (Counted(keys)) "LIMIT" limit];

            /// `SUNION`: the members that any of the sets has.
            ///
            /// O(number of members of all sets), since 1.0.0.
            fn sunion[T]<S>(keys: impl ToArgs<S>) -> T = ["SUNION" keys];

            /// `SUNIONSTORE`: keeps what [`sunion`](Commands::sunion) gives as another set, over one that has the name
            /// already; its size.
            ///
            /// O(number of members of all sets), since 1.0.0.
            fn sunionstore<S>(destination: impl ToArg, keys: impl ToArgs<S>) -> i64
                = ["SUNIONSTORE" destination keys];

            /// `SDIFF`: the members of the first set that none of the others has.
            ///
            /// O(number of members of all sets), since 1.0.0.
            fn sdiff[T]<S>(keys: impl ToArgs<S>) -> T = ["SDIFF" keys];

            /// `SDIFFSTORE`: keeps what [`sdiff`](Commands::sdiff) gives as another set, over one that has the name
            /// already; its size.
            ///
            /// O(number of members of all sets), since 1.0.0.
            fn sdiffstore<S>(destination: impl ToArg, keys: impl ToArgs<S>) -> i64
                = ["SDIFFSTORE" destination keys];

            /// `SSCAN`: some of the members, and the cursor for the next call: `(u64, Vec<String>)`. All were seen when
            /// it is 0 again.
            ///
            /// O(1) for each call, O(number of members) for all, since 2.8.0.
            fn sscan[T](key: impl ToArg, cursor: impl ToArg) -> T = ["SSCAN" key cursor];

            /// `SSCAN` with [options](crate::options::SscanOptions).
            ///
            /// O(1) for each call, O(number of members) for all, since 2.8.0.
            fn sscan_with[T](key: impl ToArg, cursor: impl ToArg, options: SscanOptions) -> T
                = ["SSCAN" key cursor options];
        }
    };
}

pub(super) use table;
