//! Commands about keys, whatever their values are.

use tidings_proto::ToArg;

use super::args::options;

/// The table of key commands.
macro_rules! table {
    ($emit:ident) => {
        $emit! {
            /// `DEL`: removes keys; how many there were.
            ///
            /// O(number of keys and of the elements in them), since 1.0.0.
            fn del<S>(keys: impl ToArgs<S>) -> i64 = ["DEL" keys];

            /// `UNLINK`: removes keys and frees their memory in the background; how many there were.
            ///
            /// O(number of keys), since 4.0.0.
            fn unlink<S>(keys: impl ToArgs<S>) -> i64 = ["UNLINK" keys];

            /// `EXISTS`: how many of the keys exist; one named twice counts twice.
            ///
            /// O(number of keys), since 1.0.0.
            fn exists<S>(keys: impl ToArgs<S>) -> i64 = ["EXISTS" keys];

            /// `EXPIRE`: removes the key after so many seconds; `false` if there is no such key.
            ///
            /// O(1), since 1.0.0.
            fn expire(key: impl ToArg, seconds: i64) -> bool = ["EXPIRE" key seconds];

            /// `PEXPIRE`: removes the key after so many milliseconds; `false` if there is no such key.
            ///
            /// O(1), since 2.6.0.
            fn pexpire(key: impl ToArg, milliseconds: i64) -> bool = ["PEXPIRE" key milliseconds];

            /// `PERSIST`: keeps the key for good; `false` if it was not to expire.
            ///
            /// O(1), since 2.2.0.
            fn persist(key: impl ToArg) -> bool = ["PERSIST" key];

            /// `TTL`: the seconds until the key expires; -1 if it does not, -2 if there is none.
            ///
            /// O(1), since 1.0.0.
            fn ttl(key: impl ToArg) -> i64 = ["TTL" key];

            /// `PTTL`: the milliseconds until the key expires; -1 if it does not, -2 if there is none.
            ///
            /// O(1), since 2.6.0.
            fn pttl(key: impl ToArg) -> i64 = ["PTTL" key];

            /// `TYPE`: `string`, `list`, `set`, `zset`, `hash`, `stream`, or `none`.
            ///
            /// O(1), since 1.0.0.
            fn key_type(key: impl ToArg) -> String = ["TYPE" key];

            /// `RENAME`: gives a key another name, over one that has it already.
            ///
            /// O(1), beside the removal of what had the name; since 1.0.0.
            fn rename(key: impl ToArg, name: impl ToArg) -> () = ["RENAME" key name];

            /// `KEYS`: all keys that match the pattern. It holds the server up; not for production.
            ///
            /// O(number of keys in the database), since 1.0.0.
            fn keys[T](pattern: impl ToArg) -> T = ["KEYS" pattern];

            /// `COPY`: gives another key the value of a key; `false` if there is no such key, or the other one is
            /// there.
            ///
            /// O(number of elements), since 6.2.0.
            fn copy(source: impl ToArg, destination: impl ToArg) -> bool = ["COPY" source destination];

            /// `COPY` with options: into another database, over what is there.
            ///
            /// O(number of elements), since 6.2.0.
            fn copy_with(source: impl ToArg, destination: impl ToArg, options: CopyOptions) -> bool
                = ["COPY" source destination options];

            /// `DUMP`: the value of a key as bytes that [`restore`](Commands::restore) takes, `Option<Bytes>`.
            ///
            /// O(size of the value), since 2.6.0.
            fn dump[T](key: impl ToArg) -> T = ["DUMP" key];

            /// `RESTORE`: makes a key of what [`dump`](Commands::dump) gave, to expire after so many milliseconds, or
            /// never with 0.
            ///
            /// O(size of the value), since 2.6.0.
            fn restore(key: impl ToArg, milliseconds: i64, dump: impl ToArg) -> () = ["RESTORE" key milliseconds dump];

            /// `RESTORE` with options.
            ///
            /// O(size of the value), since 2.6.0.
            fn restore_with(key: impl ToArg, milliseconds: i64, dump: impl ToArg, options: RestoreOptions) -> ()
                = ["RESTORE" key milliseconds dump options];

            /// `EXPIRE` on a condition; `false` if it does not hold, or there is no such key.
            ///
            /// O(1), since 7.0.0.
            fn expire_with(key: impl ToArg, seconds: i64, options: ExpireOptions) -> bool
                = ["EXPIRE" key seconds options];

            /// `PEXPIRE` on a condition; `false` if it does not hold, or there is no such key.
            ///
            /// O(1), since 7.0.0.
            fn pexpire_with(key: impl ToArg, milliseconds: i64, options: ExpireOptions) -> bool
                = ["PEXPIRE" key milliseconds options];

            /// `EXPIREAT`: removes the key at a Unix time in seconds; `false` if there is no such key.
            ///
            /// O(1), since 1.2.0.
            fn expireat(key: impl ToArg, unix_seconds: i64) -> bool = ["EXPIREAT" key unix_seconds];

            /// `EXPIREAT` on a condition; `false` if it does not hold, or there is no such key.
            ///
            /// O(1), since 7.0.0.
            fn expireat_with(key: impl ToArg, unix_seconds: i64, options: ExpireOptions) -> bool
                = ["EXPIREAT" key unix_seconds options];

            /// `PEXPIREAT`: removes the key at a Unix time in milliseconds; `false` if there is no such key.
            ///
            /// O(1), since 2.6.0.
            fn pexpireat(key: impl ToArg, unix_milliseconds: i64) -> bool = ["PEXPIREAT" key unix_milliseconds];

            /// `PEXPIREAT` on a condition; `false` if it does not hold, or there is no such key.
            ///
            /// O(1), since 7.0.0.
            fn pexpireat_with(key: impl ToArg, unix_milliseconds: i64, options: ExpireOptions) -> bool
                = ["PEXPIREAT" key unix_milliseconds options];

            /// `EXPIRETIME`: the Unix time in seconds at which the key expires; -1 if it does not, -2 if there is none.
            ///
            /// O(1), since 7.0.0.
            fn expiretime(key: impl ToArg) -> i64 = ["EXPIRETIME" key];

            /// `PEXPIRETIME`: the Unix time in milliseconds at which the key expires; -1 if it does not, -2 if there is
            /// none.
            ///
            /// O(1), since 7.0.0.
            fn pexpiretime(key: impl ToArg) -> i64 = ["PEXPIRETIME" key];

            /// `RENAMENX`: gives a key another name unless one has it already; whether it did.
            ///
            /// O(1), since 1.0.0.
            fn renamenx(key: impl ToArg, name: impl ToArg) -> bool = ["RENAMENX" key name];

            /// `MOVE`: moves a key to another database; `false` if there is no such key, or that database has one of
            /// its name.
            ///
            /// O(1), since 1.0.0.
            fn move_key(key: impl ToArg, database: i64) -> bool = ["MOVE" key database];

            /// `TOUCH`: counts as an access to keys; how many of them exist.
            ///
            /// O(number of keys), since 3.2.1.
            fn touch<S>(keys: impl ToArgs<S>) -> i64 = ["TOUCH" keys];

            /// `RANDOMKEY`: any key, `Option<String>`; nil in an empty database.
            ///
            /// O(1), since 1.0.0.
            fn randomkey[T]() -> T = ["RANDOMKEY"];

            /// `SCAN`: some keys, and the cursor for the next call, `(u64, Vec<String>)`. The first call takes cursor
            /// 0, and all keys were seen when 0 comes back. A key may come twice; one that is there all the time comes.
            /// [`Client::scan_keys`](crate::Client::scan_keys) gives them one after the other.
            ///
            /// O(1) a call, O(number of keys) for all of them, since 2.8.0.
            fn scan[T](cursor: impl ToArg) -> T = ["SCAN" cursor];

            /// `SCAN` with options: only some keys, more of them a call. What comes back is as for
            /// [`scan`](Commands::scan); a call may bring no key before the end.
            ///
            /// ```no_run
            /// # async fn example(client: tidings::Client) -> tidings::Result<()> {
            /// use tidings::{Commands, options::ScanOptions};
            ///
            /// let mut cursor = 0;
            /// loop {
            ///     let options = ScanOptions::new().pattern("user:*").count(1000);
            ///     let (next, keys): (u64, Vec<String>) = client.scan_with(cursor, options).await?;
            ///     println!("{keys:?}");
            ///     if next == 0 {
            ///         break;
            ///     }
            ///     cursor = next;
            /// }
            /// # Ok(())
            /// # }
            /// ```
            ///
            /// O(1) a call, O(number of keys) for all of them, since 2.8.0.
            fn scan_with[T](cursor: impl ToArg, options: ScanOptions) -> T = ["SCAN" cursor options];

            /// `SORT`: the elements of a list, set or sorted set in the order of the numbers that they are.
            ///
            /// O(n + m·log m) for n elements and m that come back, since 1.0.0.
            fn sort[T](key: impl ToArg) -> T = ["SORT" key];

            /// `SORT` with options: as text, by other keys, some of the elements, or what belongs to them:
            /// `Vec<Option<String>>` with [`get`](SortOptions::get), whose keys may be missing.
            ///
            /// O(n + m·log m) for n elements and m that come back, since 1.0.0.
            fn sort_with[T](key: impl ToArg, options: SortOptions) -> T = ["SORT" key options];

            /// `SORT … STORE`: makes a list of what would come back; how many elements it has.
            ///
            /// O(n + m·log m) for n elements and m that are stored, since 1.0.0.
            fn sort_store(key: impl ToArg, options: SortOptions, destination: impl ToArg) -> i64
                = ["SORT" key options "STORE" destination];

            /// `SORT_RO`: [`sort`](Commands::sort) that also replicas run.
            ///
            /// O(n + m·log m) for n elements and m that come back, since 7.0.0.
            fn sort_ro[T](key: impl ToArg) -> T = ["SORT_RO" key];

            /// `SORT_RO` with options: [`sort_with`](Commands::sort_with) that also replicas run.
            ///
            /// O(n + m·log m) for n elements and m that come back, since 7.0.0.
            fn sort_ro_with[T](key: impl ToArg, options: SortOptions) -> T = ["SORT_RO" key options];

            /// `OBJECT ENCODING`: how the value is kept in memory, such as `embstr` or `listpack`.
            ///
            /// O(1), since 2.2.3.
            fn object_encoding(key: impl ToArg) -> Option<String> = ["OBJECT" "ENCODING" key];

            /// `OBJECT FREQ`: how often the key is accessed, on a logarithmic scale; an error unless the server evicts
            /// by that (`maxmemory-policy …-lfu`).
            ///
            /// O(1), since 4.0.0.
            fn object_freq(key: impl ToArg) -> Option<i64> = ["OBJECT" "FREQ" key];

            /// `OBJECT IDLETIME`: the seconds since the key was last accessed; an error if the server evicts by
            /// frequency.
            ///
            /// O(1), since 2.2.3.
            fn object_idletime(key: impl ToArg) -> Option<i64> = ["OBJECT" "IDLETIME" key];

            /// `OBJECT REFCOUNT`: how many refer to the value within the server.
            ///
            /// O(1), since 2.2.3.
            fn object_refcount(key: impl ToArg) -> Option<i64> = ["OBJECT" "REFCOUNT" key];

            /// `MIGRATE`: moves keys to a database of another server; `OK`, or `NOKEY` if none of them exists. Both
            /// servers do nothing else meanwhile. The timeout is for each step without progress; zero is a second.
            ///
            /// O(size of the values), since 3.0.6 for several keys.
            fn migrate<S>(
                host: impl ToArg,
                port: u16,
                keys: impl ToArgs<S>,
                database: i64,
                timeout: Duration,
                options: MigrateOptions
            ) -> String
                = ["MIGRATE" host port "" database (Milliseconds(timeout)) options "KEYS" keys];

            /// `WAIT`: waits until so many replicas have all that this connection wrote, or for so long (zero: for
            /// ever); how many have it. It belongs behind what is written, in a pipeline that is no transaction: by
            /// itself it has a connection of its own, which wrote nothing.
            ///
            /// ```no_run
            /// # async fn example(client: tidings::Client) -> tidings::Result<()> {
            /// use std::time::Duration;
            ///
            /// let mut pipeline = client.pipeline();
            /// pipeline.transaction(false).set("a", 1).wait(2, Duration::from_millis(100));
            /// let ((), have_it): ((), i64) = pipeline.execute().await?;
            /// # Ok(())
            /// # }
            /// ```
            ///
            /// O(1), since 3.0.0.
            fn wait(replicas: i64, timeout: Duration) -> i64 = ["WAIT" replicas (Milliseconds(timeout))];

            /// `WAITAOF`: waits until all that this connection wrote is in the append-only files of this server
            /// (`local` 1) and of so many replicas, or for so long (zero: for ever); how many have it, here and there.
            /// It belongs behind what is written, as [`wait`](Commands::wait) does.
            ///
            /// O(1), since 7.2.0.
            fn waitaof(local: i64, replicas: i64, timeout: Duration) -> (i64, i64)
                = ["WAITAOF" local replicas (Milliseconds(timeout))];
        }
    };
}

pub(super) use table;

options! {
    /// Options of [`copy_with`](super::Commands::copy_with).
    pub struct CopyOptions {
        database {
            /// Into another database.
            fn database(number: i64) = ["DB" number];
        }
        replace {
            /// Over what the destination holds.
            fn replace() = ["REPLACE"];
        }
    }

    /// Options of [`restore_with`](super::Commands::restore_with).
    pub struct RestoreOptions {
        replace {
            /// Over what the key holds.
            fn replace() = ["REPLACE"];
        }
        absolute {
            /// The time is the Unix time at which the key expires.
            fn absttl() = ["ABSTTL"];
        }
        access {
            /// How long ago the key was last accessed, in seconds.
            fn idletime(seconds: i64) = ["IDLETIME" seconds];

            /// How often it is accessed, 0 to 255, for servers that evict by that.
            fn freq(frequency: i64) = ["FREQ" frequency];
        }
    }

    /// When a key's time is set, for [`expire_with`](super::Commands::expire_with) and its kin. `nx` goes with none of
    /// the others.
    pub struct ExpireOptions {
        condition {
            /// Only if the key was not to expire.
            fn nx() = ["NX"];

            /// Only if the key was to expire.
            fn xx() = ["XX"];
        }
        comparison {
            /// Only if that is later than before; a key that was not to expire keeps that.
            fn gt() = ["GT"];

            /// Only if that is sooner than before, or the key was not to expire.
            fn lt() = ["LT"];
        }
    }

    /// Options of [`scan_with`](super::Commands::scan_with).
    pub struct ScanOptions {
        pattern {
            /// Only keys that match.
            fn pattern(pattern: impl ToArg) = ["MATCH" pattern];
        }
        count {
            /// About how many keys a call goes over, 10 unless told.
            fn count(count: i64) = ["COUNT" count];
        }
        kind {
            /// Only keys of a type: `string`, `list`, `set`, `zset`, `hash` or `stream`.
            fn kind(name: impl ToArg) = ["TYPE" name];
        }
    }

    /// Options of [`sort_with`](super::Commands::sort_with) and its kin.
    pub struct SortOptions {
        by {
            /// By the value of another key each, whose name is this with the element for `*`; `weight:*->field` is a
            /// hash's. Without `*` nothing is sorted.
            fn by(pattern: impl ToArg) = ["BY" pattern];
        }
        limit {
            /// So many elements, after the first `offset`; all of them with -1.
            fn limit(offset: i64, count: i64) = ["LIMIT" offset count];
        }
        get {
            /// In the place of each element the value of another key, named as for [`by`](Self::by); `#` is the
            /// element. With several calls, several values for each element.
            fn get(pattern: impl ToArg) += ["GET" pattern];
        }
        order {
            /// The smallest first, as without.
            fn asc() = ["ASC"];

            /// The largest first.
            fn desc() = ["DESC"];
        }
        alpha {
            /// As text and not as numbers.
            fn alpha() = ["ALPHA"];
        }
    }

    /// Options of [`migrate`](super::Commands::migrate).
    pub struct MigrateOptions {
        copy {
            /// Keeps the keys here too.
            fn copy() = ["COPY"];
        }
        replace {
            /// Over what the other server has of these names.
            fn replace() = ["REPLACE"];
        }
        auth {
            /// The other server's password.
            fn auth(password: impl ToArg) = ["AUTH" password];

            /// A user of the other server and its password.
            fn auth2(user: impl ToArg, password: impl ToArg) = ["AUTH2" user password];
        }
    }
}

impl ScanOptions {
    /// The same, with this count if none was chosen.
    pub(crate) fn with_usual_count(self, count: i64) -> Self {
        match self.count.is_empty() {
            true => self.count(count),
            false => self,
        }
    }
}
