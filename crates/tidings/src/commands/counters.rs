//! Commands that count.

/// The table of counting commands.
macro_rules! table {
    ($emit:ident) => {
        $emit! {
            /// `INCR`: adds one; the number then.
            ///
            /// O(1), since 1.0.0.
            fn incr(key: impl ToArg) -> i64 = ["INCR" key];

            /// `INCRBY`: adds to the number; the number then.
            ///
            /// O(1), since 1.0.0.
            fn incrby(key: impl ToArg, by: i64) -> i64 = ["INCRBY" key by];

            /// `INCRBYFLOAT`: adds to the number; the number then.
            ///
            /// O(1), since 2.6.0.
            fn incrbyfloat(key: impl ToArg, by: f64) -> f64 = ["INCRBYFLOAT" key by];

            /// `DECR`: subtracts one; the number then.
            ///
            /// O(1), since 1.0.0.
            fn decr(key: impl ToArg) -> i64 = ["DECR" key];

            /// `DECRBY`: subtracts from the number; the number then.
            ///
            /// O(1), since 1.0.0.
            fn decrby(key: impl ToArg, by: i64) -> i64 = ["DECRBY" key by];
        }
    };
}

pub(super) use table;
