//! Commands about sets.

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
        }
    };
}

pub(super) use table;
