//! Commands about string values.

use tidings_proto::ToArg;

use super::args::options;

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

            /// `SET` with options: on a condition, for a time. `bool`: whether it was set; with
            /// [`get`](SetOptions::get) the value before, `Option<String>`.
            ///
            /// ```no_run
            /// # async fn example(client: tidings::Client) -> tidings::Result<()> {
            /// use tidings::{Commands, options::SetOptions};
            ///
            /// let locked: bool = client.set_with("lock", "me", SetOptions::new().nx().px(30_000)).await?;
            /// let before: Option<String> = client.set_with("name", "new", SetOptions::new().get()).await?;
            /// # Ok(())
            /// # }
            /// ```
            ///
            /// O(1), since 2.6.12.
            fn set_with[T](key: impl ToArg, value: impl ToArg, options: SetOptions) -> T = ["SET" key value options];

            /// `SETEX`: gives a key a value for so many seconds. Deprecated by the server in favour of `SET … EX`:
            /// [`set_ex`](Commands::set_ex).
            ///
            /// O(1), since 2.0.0.
            fn setex(key: impl ToArg, seconds: i64, value: impl ToArg) -> () = ["SETEX" key seconds value];

            /// `PSETEX`: gives a key a value for so many milliseconds. Deprecated by the server in favour of `SET …
            /// PX`.
            ///
            /// O(1), since 2.6.0.
            fn psetex(key: impl ToArg, milliseconds: i64, value: impl ToArg) -> () = ["PSETEX" key milliseconds value];

            /// `SETNX`: gives a key a value if there is no such key; whether it did. Deprecated by the server in favour
            /// of `SET … NX`: [`set_nx`](Commands::set_nx).
            ///
            /// O(1), since 1.0.0.
            fn setnx(key: impl ToArg, value: impl ToArg) -> bool = ["SETNX" key value];

            /// `GETSET`: gives a key a value; the one before. Deprecated by the server in favour of `SET … GET`:
            /// [`set_with`](Commands::set_with).
            ///
            /// O(1), since 1.0.0.
            fn getset[T](key: impl ToArg, value: impl ToArg) -> T = ["GETSET" key value];

            /// `GETEX`: the value of a key, whose time is set or ended.
            ///
            /// O(1), since 6.2.0.
            fn getex[T](key: impl ToArg, options: GetexOptions) -> T = ["GETEX" key options];

            /// `MSETNX`: gives keys values if none of them exists; whether it did.
            ///
            /// O(number of keys), since 1.0.1.
            fn msetnx<S>(pairs: impl ToArgs<S>) -> bool = ["MSETNX" pairs];

            /// `MSETEX`: gives keys values, all at once, on a condition and for a time; whether it did.
            ///
            /// O(number of keys), since Valkey 9.1.
            fn msetex<S>(pairs: impl ToArgs<S>, options: MsetexOptions) -> bool
                = ["MSETEX" (CountedPairs(pairs)) options];

            /// `GETRANGE`: the bytes of a value from one position to another, both included; negative ones count from
            /// the end. Empty if there is none.
            ///
            /// O(length of what comes back), since 2.4.0.
            fn getrange[T](key: impl ToArg, start: i64, end: i64) -> T = ["GETRANGE" key start end];

            /// `SUBSTR`: as [`getrange`](Commands::getrange). Deprecated by the server in favour of it.
            ///
            /// O(length of what comes back), since 1.0.0.
            fn substr[T](key: impl ToArg, start: i64, end: i64) -> T = ["SUBSTR" key start end];

            /// `SETRANGE`: writes over a part of a value, from an offset in bytes on, which is reached with zeros; its
            /// length then.
            ///
            /// O(length of the part), since 2.2.0.
            fn setrange(key: impl ToArg, offset: i64, value: impl ToArg) -> i64 = ["SETRANGE" key offset value];

            /// `LCS`: the longest sequence of bytes that two values have in common, in order though not side by side.
            ///
            /// O(n·m) for values of these lengths, since 7.0.0.
            fn lcs[T](first: impl ToArg, second: impl ToArg) -> T = ["LCS" first second];

            /// `LCS … LEN`: the length of what two values have in common.
            ///
            /// O(n·m) for values of these lengths, since 7.0.0.
            fn lcs_len(first: impl ToArg, second: impl ToArg) -> i64 = ["LCS" first second "LEN"];

            /// `LCS … IDX`: where two values have something in common, the last match first, and how much in all.
            ///
            /// ```no_run
            /// # async fn example(client: tidings::Client) -> tidings::Result<()> {
            /// use tidings::{Commands, options::LcsOptions};
            ///
            /// type Range = (i64, i64); // both ends included
            /// // The words `matches` and `len` stand before what they name.
            /// let (_, matches, _, length): (String, Vec<(Range, Range, i64)>, String, i64) =
            ///     client.lcs_idx("a", "b", LcsOptions::new().withmatchlen()).await?;
            /// # Ok(())
            /// # }
            /// ```
            ///
            /// O(n·m) for values of these lengths, since 7.0.0.
            fn lcs_idx[T](first: impl ToArg, second: impl ToArg, options: LcsOptions) -> T
                = ["LCS" first second "IDX" options];

            /// `DELIFEQ`: removes a key if it has this value; whether it did.
            ///
            /// O(1), since Valkey 9.0.
            fn delifeq(key: impl ToArg, value: impl ToArg) -> bool = ["DELIFEQ" key value];
        }
    };
}

pub(super) use table;

options! {
    /// Options of [`set_with`](super::Commands::set_with).
    pub struct SetOptions {
        condition {
            /// Only if there is no such key.
            fn nx() = ["NX"];

            /// Only if there is such a key.
            fn xx() = ["XX"];

            /// Only if the key has this value. Since Valkey 8.1.
            fn ifeq(value: impl ToArg) = ["IFEQ" value];
        }
        get {
            /// The value before comes back, whether or not another was set.
            fn get() = ["GET"];
        }
        expiry {
            /// For so many seconds.
            fn ex(seconds: i64) = ["EX" seconds];

            /// For so many milliseconds.
            fn px(milliseconds: i64) = ["PX" milliseconds];

            /// Until a Unix time in seconds.
            fn exat(unix_seconds: i64) = ["EXAT" unix_seconds];

            /// Until a Unix time in milliseconds.
            fn pxat(unix_milliseconds: i64) = ["PXAT" unix_milliseconds];

            /// The key expires when it was to.
            fn keepttl() = ["KEEPTTL"];
        }
    }

    /// What becomes of the key's time, for [`getex`](super::Commands::getex), or of the fields' times, for
    /// [`hgetex`](super::Commands::hgetex); without any it stays.
    pub struct GetexOptions {
        expiry {
            /// It expires after so many seconds.
            fn ex(seconds: i64) = ["EX" seconds];

            /// It expires after so many milliseconds.
            fn px(milliseconds: i64) = ["PX" milliseconds];

            /// It expires at a Unix time in seconds.
            fn exat(unix_seconds: i64) = ["EXAT" unix_seconds];

            /// It expires at a Unix time in milliseconds.
            fn pxat(unix_milliseconds: i64) = ["PXAT" unix_milliseconds];

            /// It stays for good.
            fn persist() = ["PERSIST"];
        }
    }

    /// Options of [`msetex`](super::Commands::msetex).
    pub struct MsetexOptions {
        condition {
            /// Only if none of the keys exists.
            fn nx() = ["NX"];

            /// Only if all of the keys exist.
            fn xx() = ["XX"];
        }
        expiry {
            /// For so many seconds.
            fn ex(seconds: i64) = ["EX" seconds];

            /// For so many milliseconds.
            fn px(milliseconds: i64) = ["PX" milliseconds];

            /// Until a Unix time in seconds.
            fn exat(unix_seconds: i64) = ["EXAT" unix_seconds];

            /// Until a Unix time in milliseconds.
            fn pxat(unix_milliseconds: i64) = ["PXAT" unix_milliseconds];

            /// The keys expire when they were to.
            fn keepttl() = ["KEEPTTL"];
        }
    }

    /// Options of [`lcs_idx`](super::Commands::lcs_idx).
    pub struct LcsOptions {
        least {
            /// Only matches that are so long.
            fn minmatchlen(length: i64) = ["MINMATCHLEN" length];
        }
        length {
            /// Each match with its length.
            fn withmatchlen() = ["WITHMATCHLEN"];
        }
    }
}
