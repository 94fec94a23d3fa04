//! Commands about hashes: fields with values, and fields that expire.

use tidings_proto::ToArg;

use super::args::options;

options! {
    /// Options of [`hscan_with`](crate::Commands::hscan_with).
    pub struct HscanOptions {
        pattern {
            /// Only the fields that match.
            fn pattern(pattern: impl ToArg) = ["MATCH" pattern];
        }
        count {
            /// About how many fields the server looks at in this call.
            fn count(count: u64) = ["COUNT" count];
        }
        values {
            /// Fields without their values. Since 7.4.0 and Valkey 8.0.
            fn novalues() = ["NOVALUES"];
        }
    }

    /// Options of [`hexpire_with`](crate::Commands::hexpire_with) and its like: when the new time counts.
    pub struct HexpireOptions {
        condition {
            /// Only for fields that have no time yet.
            fn nx() = ["NX"];
            /// Only for fields that have a time.
            fn xx() = ["XX"];
            /// Only where the new time is later.
            fn gt() = ["GT"];
            /// Only where the new time is earlier, or where there was none.
            fn lt() = ["LT"];
        }
    }

    /// Options of [`hsetex`](crate::Commands::hsetex): whether fields are set, and when they expire.
    pub struct HsetexOptions {
        key {
            /// Only if there is no such hash. Valkey has it, Redis does not.
            fn nx() = ["NX"];
            /// Only if there is such a hash. Valkey has it, Redis does not.
            fn xx() = ["XX"];
        }
        fields {
            /// Only if none of the fields exists.
            fn fnx() = ["FNX"];
            /// Only if all of the fields exist.
            fn fxx() = ["FXX"];
        }
        expiry {
            /// The fields expire after so many seconds.
            fn ex(seconds: i64) = ["EX" seconds];
            /// The fields expire after so many milliseconds.
            fn px(milliseconds: i64) = ["PX" milliseconds];
            /// The fields expire at a Unix time in seconds.
            fn exat(unix_seconds: i64) = ["EXAT" unix_seconds];
            /// The fields expire at a Unix time in milliseconds.
            fn pxat(unix_milliseconds: i64) = ["PXAT" unix_milliseconds];
            /// Fields that are to expire keep their time; without it they lose it.
            fn keepttl() = ["KEEPTTL"];
        }
    }
}

/// The table of hash commands.
macro_rules! table {
    ($emit:ident) => {
        $emit! {
            /// `HSET`: gives fields values; how many of the fields are new.
            ///
            /// ```no_run
            /// # async fn example(client: tidings::Client) -> tidings::Result<()> {
            /// use std::collections::HashMap;
            /// use tidings::Commands;
            ///
            /// client.hset("user:7", [("name", "Ada"), ("town", "London")]).await?;
            /// let user: HashMap<String, String> = client.hgetall("user:7").await?;
            /// # Ok(())
            /// # }
            /// ```
            ///
            /// O(number of fields), since 2.0.0; several fields since 4.0.0.
            fn hset<S>(key: impl ToArg, pairs: impl ToArgs<S>) -> i64 = ["HSET" key pairs];

            /// `HSETNX`: gives a field a value if there is no such field; whether it did.
            ///
            /// O(1), since 2.0.0.
            fn hsetnx(key: impl ToArg, field: impl ToArg, value: impl ToArg) -> bool = ["HSETNX" key field value];

            /// `HMSET`: gives fields values.
            ///
            /// Deprecated by the server in favour of [`hset`](Commands::hset).
            ///
            /// O(number of fields), since 2.0.0.
            fn hmset<S>(key: impl ToArg, pairs: impl ToArgs<S>) -> () = ["HMSET" key pairs];

            /// `HGET`: the value of a field; nil without such a field.
            ///
            /// O(1), since 2.0.0.
            fn hget[T](key: impl ToArg, field: impl ToArg) -> T = ["HGET" key field];

            /// `HMGET`: the values of fields, in the order asked, nil for each that is missing:
            /// `Vec<Option<String>>`.
            ///
            /// O(number of fields), since 2.0.0.
            fn hmget[T]<S>(key: impl ToArg, fields: impl ToArgs<S>) -> T = ["HMGET" key fields];

            /// `HGETALL`: all fields and their values: `HashMap<String, String>`, `Vec<(String, String)>`.
            ///
            /// O(size of the hash), since 2.0.0.
            fn hgetall[T](key: impl ToArg) -> T = ["HGETALL" key];

            /// `HDEL`: removes fields; how many there were.
            ///
            /// O(number of fields), since 2.0.0.
            fn hdel<S>(key: impl ToArg, fields: impl ToArgs<S>) -> i64 = ["HDEL" key fields];

            /// `HEXISTS`: whether there is such a field.
            ///
            /// O(1), since 2.0.0.
            fn hexists(key: impl ToArg, field: impl ToArg) -> bool = ["HEXISTS" key field];

            /// `HLEN`: the number of fields; 0 if there is no such hash.
            ///
            /// O(1), since 2.0.0.
            fn hlen(key: impl ToArg) -> i64 = ["HLEN" key];

            /// `HSTRLEN`: the length of a field's value in bytes; 0 if there is none.
            ///
            /// O(1), since 3.2.0.
            fn hstrlen(key: impl ToArg, field: impl ToArg) -> i64 = ["HSTRLEN" key field];

            /// `HKEYS`: the names of all fields.
            ///
            /// O(size of the hash), since 2.0.0.
            fn hkeys[T](key: impl ToArg) -> T = ["HKEYS" key];

            /// `HVALS`: the values of all fields.
            ///
            /// O(size of the hash), since 2.0.0.
            fn hvals[T](key: impl ToArg) -> T = ["HVALS" key];

            /// `HINCRBY`: adds to the number in a field; the number then.
            ///
            /// O(1), since 2.0.0.
            fn hincrby(key: impl ToArg, field: impl ToArg, by: i64) -> i64 = ["HINCRBY" key field by];

            /// `HINCRBYFLOAT`: adds to the number in a field; the number then.
            ///
            /// O(1), since 2.6.0.
            fn hincrbyfloat(key: impl ToArg, field: impl ToArg, by: f64) -> f64 = ["HINCRBYFLOAT" key field by];

            /// `HRANDFIELD`: the name of any field; nil if there is no such hash.
            ///
            /// O(1), since 6.2.0.
            fn hrandfield[T](key: impl ToArg) -> T = ["HRANDFIELD" key];

            /// `HRANDFIELD … count`: the names of so many different fields, or of all if there are fewer. A negative
            /// count gives exactly as many, and a field may come more than once.
            ///
            /// O(count), since 6.2.0.
            fn hrandfield_count[T](key: impl ToArg, count: i64) -> T = ["HRANDFIELD" key count];

            /// `HRANDFIELD … WITHVALUES`: as [`hrandfield_count`](Commands::hrandfield_count), with the values:
            /// `Vec<(String, String)>`.
            ///
            /// O(count), since 6.2.0.
            fn hrandfield_withvalues[T](key: impl ToArg, count: i64) -> T = ["HRANDFIELD" key count "WITHVALUES"];

            /// `HSCAN`: some of the fields and their values, and the cursor for the next call; all were seen when it is
            /// 0 again.
            ///
            /// ```no_run
            /// # async fn example(client: tidings::Client) -> tidings::Result<()> {
            /// use tidings::Commands;
            ///
            /// let mut cursor = 0;
            /// loop {
            ///     let (next, fields): (u64, Vec<(String, String)>) = client.hscan("user:7", cursor).await?;
            ///     for (field, value) in fields {
            ///         println!("{field}: {value}");
            ///     }
            ///     if next == 0 {
            ///         break;
            ///     }
            ///     cursor = next;
            /// }
            /// # Ok(())
            /// # }
            /// ```
            ///
            /// O(1) for each call, O(size of the hash) for all, since 2.8.0.
            fn hscan[T](key: impl ToArg, cursor: impl ToArg) -> T = ["HSCAN" key cursor];

            /// `HSCAN` with [options](crate::options::HscanOptions): `(u64, Vec<(String, String)>)`, and with
            /// `novalues` `(u64, Vec<String>)`.
            ///
            /// O(1) for each call, O(size of the hash) for all, since 2.8.0.
            fn hscan_with[T](key: impl ToArg, cursor: impl ToArg, options: HscanOptions) -> T
                = ["HSCAN" key cursor options];

            /// `HEXPIRE`: removes fields after so many seconds. For each field: 1 if it got this time, 2 if it was
            /// removed at once since the time is past, -2 if there is no such field.
            ///
            /// O(number of fields), since 7.4.0 and Valkey 9.0.
            fn hexpire<S>(key: impl ToArg, seconds: i64, fields: impl ToArgs<S>) -> Vec<i64>
                = ["HEXPIRE" key seconds "FIELDS" (Counted(fields))];

            /// `HEXPIRE` under a [condition](crate::options::HexpireOptions): as [`hexpire`](Commands::hexpire), and 0
            /// for a field that does not meet it.
            ///
            /// O(number of fields), since 7.4.0 and Valkey 9.0.
            fn hexpire_with<S>(key: impl ToArg, seconds: i64, fields: impl ToArgs<S>, options: HexpireOptions)
                -> Vec<i64> = ["HEXPIRE" key seconds options "FIELDS" (Counted(fields))];

            /// `HPEXPIRE`: removes fields after so many milliseconds; as [`hexpire`](Commands::hexpire).
            ///
            /// O(number of fields), since 7.4.0 and Valkey 9.0.
            fn hpexpire<S>(key: impl ToArg, milliseconds: i64, fields: impl ToArgs<S>) -> Vec<i64>
                = ["HPEXPIRE" key milliseconds "FIELDS" (Counted(fields))];

            /// `HPEXPIRE` under a [condition](crate::options::HexpireOptions); as
            /// [`hexpire_with`](Commands::hexpire_with).
            ///
            /// O(number of fields), since 7.4.0 and Valkey 9.0.
            fn hpexpire_with<S>(key: impl ToArg, milliseconds: i64, fields: impl ToArgs<S>, options: HexpireOptions)
                -> Vec<i64> = ["HPEXPIRE" key milliseconds options "FIELDS" (Counted(fields))];

            /// `HEXPIREAT`: removes fields at a Unix time in seconds; as [`hexpire`](Commands::hexpire).
            ///
            /// O(number of fields), since 7.4.0 and Valkey 9.0.
            fn hexpireat<S>(key: impl ToArg, unix_seconds: i64, fields: impl ToArgs<S>) -> Vec<i64>
                = ["HEXPIREAT" key unix_seconds "FIELDS" (Counted(fields))];

            /// `HEXPIREAT` under a [condition](crate::options::HexpireOptions); as
            /// [`hexpire_with`](Commands::hexpire_with).
            ///
            /// O(number of fields), since 7.4.0 and Valkey 9.0.
            fn hexpireat_with<S>(key: impl ToArg, unix_seconds: i64, fields: impl ToArgs<S>, options: HexpireOptions)
                -> Vec<i64> = ["HEXPIREAT" key unix_seconds options "FIELDS" (Counted(fields))];

            /// `HPEXPIREAT`: removes fields at a Unix time in milliseconds; as [`hexpire`](Commands::hexpire).
            ///
            /// O(number of fields), since 7.4.0 and Valkey 9.0.
            fn hpexpireat<S>(key: impl ToArg, unix_milliseconds: i64, fields: impl ToArgs<S>) -> Vec<i64>
                = ["HPEXPIREAT" key unix_milliseconds "FIELDS" (Counted(fields))];

            /// `HPEXPIREAT` under a [condition](crate::options::HexpireOptions); as
            /// [`hexpire_with`](Commands::hexpire_with).
            ///
            /// O(number of fields), since 7.4.0 and Valkey 9.0.
            fn hpexpireat_with<S>(
                key: impl ToArg,
                unix_milliseconds: i64,
                fields: impl ToArgs<S>,
                options: HexpireOptions
            ) -> Vec<i64> = ["HPEXPIREAT" key unix_milliseconds options "FIELDS" (Counted(fields))];

            /// `HTTL`: the seconds until each field expires; -1 if it does not, -2 if there is none.
            ///
            /// O(number of fields), since 7.4.0 and Valkey 9.0.
            fn httl<S>(key: impl ToArg, fields: impl ToArgs<S>) -> Vec<i64>
                = ["HTTL" key "FIELDS" (Counted(fields))];

            /// `HPTTL`: the milliseconds until each field expires; -1 if it does not, -2 if there is none.
            ///
            /// O(number of fields), since 7.4.0 and Valkey 9.0.
            fn hpttl<S>(key: impl ToArg, fields: impl ToArgs<S>) -> Vec<i64>
                = ["HPTTL" key "FIELDS" (Counted(fields))];

            /// `HEXPIRETIME`: the Unix time in seconds at which each field expires; -1 if it does not, -2 if there is
            /// none.
            ///
            /// O(number of fields), since 7.4.0 and Valkey 9.0.
            fn hexpiretime<S>(key: impl ToArg, fields: impl ToArgs<S>) -> Vec<i64>
                = ["HEXPIRETIME" key "FIELDS" (Counted(fields))];

            /// `HPEXPIRETIME`: the Unix time in milliseconds at which each field expires; -1 if it does not, -2 if
            /// there is none.
            ///
            /// O(number of fields), since 7.4.0 and Valkey 9.0.
            fn hpexpiretime<S>(key: impl ToArg, fields: impl ToArgs<S>) -> Vec<i64>
                = ["HPEXPIRETIME" key "FIELDS" (Counted(fields))];

            /// `HPERSIST`: keeps fields for good. For each field: 1 if it was to expire, -1 if it was not, -2 if there
            /// is no such field.
            ///
            /// O(number of fields), since 7.4.0 and Valkey 9.0.
            fn hpersist<S>(key: impl ToArg, fields: impl ToArgs<S>) -> Vec<i64>
                = ["HPERSIST" key "FIELDS" (Counted(fields))];

            /// `HGETDEL`: the values of fields, which are removed; nil for each that is missing:
            /// `Vec<Option<String>>`.
            ///
            /// O(number of fields), since 8.0.0 and Valkey 9.1.
            fn hgetdel[T]<S>(key: impl ToArg, fields: impl ToArgs<S>) -> T
                = ["HGETDEL" key "FIELDS" (Counted(fields))];

            /// `HGETEX`: the values of fields, nil for each that is missing: `Vec<Option<String>>`. The
            /// [options](crate::options::GetexOptions) say what becomes of the fields' times; without any they stay.
            ///
            /// ```no_run
            /// # async fn example(client: tidings::Client) -> tidings::Result<()> {
            /// use tidings::{Commands, options::GetexOptions};
            ///
            /// let minute = GetexOptions::new().ex(60);
            /// let tokens: Vec<Option<String>> = client.hgetex("user:7", ["token"], minute).await?;
            /// # Ok(())
            /// # }
            /// ```
            ///
            /// O(number of fields), since 8.0.0 and Valkey 9.0.
            fn hgetex[T]<S>(key: impl ToArg, fields: impl ToArgs<S>, options: GetexOptions) -> T
                = ["HGETEX" key options "FIELDS" (Counted(fields))];

            /// `HSETEX`: gives fields values and, as the [options](crate::options::HsetexOptions) say, a time to expire
            /// at; without one, fields that were to expire no longer are. All of the fields are set, or none if the
            /// condition does not allow it; whether it did.
            ///
            /// O(number of fields), since 8.0.0 and Valkey 9.0.
            fn hsetex<S>(key: impl ToArg, pairs: impl ToArgs<S>, options: HsetexOptions) -> bool
                = ["HSETEX" key options "FIELDS" (CountedPairs(pairs))];
        }
    };
}

pub(super) use table;
