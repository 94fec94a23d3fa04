//! Commands about string values.

/// The table of string commands.
macro_rules! table {
    ($emit:ident) => {
        $emit! {
            /// `GET`: the value of a key.
            ///
            /// O(1), since 1.0.0.
            fn get[T](key: impl ToArg) -> T = ["GET" key];

            /// `SET`: gives a key a value, whatever it held before.
            ///
            /// O(1), since 1.0.0.
            fn set(key: impl ToArg, value: impl ToArg) -> () = ["SET" key value];

            /// `SET … EX`: gives a key a value for so many seconds.
            ///
            /// O(1), since 2.6.12.
            fn set_ex(key: impl ToArg, value: impl ToArg, seconds: i64) -> () = ["SET" key value "EX" seconds];

            /// `SET … NX`: gives a key a value if there is no such key; whether it did.
            ///
            /// O(1), since 2.6.12.
            fn set_nx(key: impl ToArg, value: impl ToArg) -> bool = ["SET" key value "NX"];

            /// `GETDEL`: the value of a key, which is removed.
            ///
            /// O(1), since 6.2.0.
            fn getdel[T](key: impl ToArg) -> T = ["GETDEL" key];

            /// `MGET`: the values of keys, in the order asked.
            ///
            /// O(number of keys), since 1.0.0.
            fn mget[T]<S>(keys: impl ToArgs<S>) -> T = ["MGET" keys];

            /// `MSET`: gives keys values, all at once.
            ///
            /// O(number of keys), since 1.0.1.
            fn mset<S>(pairs: impl ToArgs<S>) -> () = ["MSET" pairs];

            /// `APPEND`: adds to the end of a value; its length then.
            ///
            /// O(1), since 2.0.0.
            fn append(key: impl ToArg, value: impl ToArg) -> i64 = ["APPEND" key value];

            /// `STRLEN`: the length of a value in bytes; 0 if there is none.
            ///
            /// O(1), since 2.2.0.
            fn strlen(key: impl ToArg) -> i64 = ["STRLEN" key];

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
