//! Commands about streams.
//!
//! Entries are an id and fields: `Vec<(String, Vec<(String, String)>)>` fits, and so does a map of the fields.

mod options;

pub use options::{
    PendingRange, StreamTrim, XaddOptions, XautoclaimOptions, XclaimOptions, XgroupCreateOptions,
    XgroupSetidOptions, XreadOptions, XreadgroupOptions, XsetidOptions,
};

/// The table of stream commands.
macro_rules! table {
    ($emit:ident) => {
        $emit! {
            /// `XADD`: adds an entry to a stream and makes the stream if there is none; the entry's id. The id is
            /// `*` for the server's choice, and otherwise higher than all that were there.
            ///
            /// ```no_run
            /// # async fn example(client: tidings::Client) -> tidings::Result<()> {
            /// use tidings::Commands;
            ///
            /// let id = client.xadd("orders", "*", [("item", "tea"), ("count", "2")]).await?;
            /// # Ok(())
            /// # }
            /// ```
            ///
            /// O(1), since 5.0.0.
            fn xadd<S>(key: impl ToArg, id: impl ToArg, fields: impl ToArgs<S>) -> String
                = ["XADD" key id fields];

            /// `XADD` with options; `None` if there is no such stream and none was to be made.
            ///
            /// ```no_run
            /// # async fn example(client: tidings::Client) -> tidings::Result<()> {
            /// use tidings::Commands;
            /// use tidings::options::{StreamTrim, XaddOptions};
            ///
            /// let options = XaddOptions::new().trim(StreamTrim::maxlen(10_000).approximate());
            /// client.xadd_with("orders", "*", [("item", "tea")], options).await?;
            /// # Ok(())
            /// # }
            /// ```
            ///
            /// O(1), and O(number of entries that are trimmed); since 5.0.0.
            fn xadd_with<S>(
                key: impl ToArg,
                id: impl ToArg,
                fields: impl ToArgs<S>,
                options: XaddOptions
            ) -> Option<String> = ["XADD" key options id fields];

            /// `XDEL`: removes entries; how many there were.
            ///
            /// O(number of ids), since 5.0.0.
            fn xdel<S>(key: impl ToArg, ids: impl ToArgs<S>) -> i64 = ["XDEL" key ids];

            /// `XLEN`: how many entries a stream has; 0 if there is none.
            ///
            /// O(1), since 5.0.0.
            fn xlen(key: impl ToArg) -> i64 = ["XLEN" key];

            /// `XTRIM`: removes the oldest entries; how many.
            ///
            /// O(number of entries that are removed), since 5.0.0.
            fn xtrim(key: impl ToArg, trim: StreamTrim) -> i64 = ["XTRIM" key trim];

            /// `XRANGE`: the entries from one id to another, both included. `-` is the lowest id and `+` the highest;
            /// `(` in front leaves that one out.
            ///
            /// ```no_run
            /// # async fn example(client: tidings::Client) -> tidings::Result<()> {
            /// use std::collections::HashMap;
            /// use tidings::Commands;
            ///
            /// let entries: Vec<(String, HashMap<String, String>)> = client.xrange("orders", "-", "+").await?;
            /// # Ok(())
            /// # }
            /// ```
            ///
            /// O(number of entries that come back), since 5.0.0.
            fn xrange[T](key: impl ToArg, start: impl ToArg, end: impl ToArg) -> T = ["XRANGE" key start end];

            /// `XRANGE … COUNT`: the first entries of a range, so many at most.
            ///
            /// O(number of entries that come back), since 5.0.0.
            fn xrange_count[T](key: impl ToArg, start: impl ToArg, end: impl ToArg, count: u64) -> T
                = ["XRANGE" key start end "COUNT" count];

            /// `XREVRANGE`: the entries from the higher id down to the lower, both included.
            ///
            /// O(number of entries that come back), since 5.0.0.
            fn xrevrange[T](key: impl ToArg, end: impl ToArg, start: impl ToArg) -> T
                = ["XREVRANGE" key end start];

            /// `XREVRANGE … COUNT`: the last entries of a range, so many at most.
            ///
            /// O(number of entries that come back), since 5.0.0.
            fn xrevrange_count[T](key: impl ToArg, end: impl ToArg, start: impl ToArg, count: u64) -> T
                = ["XREVRANGE" key end start "COUNT" count];

            /// `XREAD`: the entries behind an id, for each pair of a stream's key and an id. Streams without such
            /// entries are left out, and nil comes back if all are: an empty list or map.
            ///
            /// ```no_run
            /// # async fn example(client: tidings::Client) -> tidings::Result<()> {
            /// use std::collections::HashMap;
            /// use tidings::Commands;
            ///
            /// type Entries = Vec<(String, HashMap<String, String>)>;
            ///
            /// let streams: HashMap<String, Entries> = client.xread([("orders", "0"), ("returns", "0")]).await?;
            /// // In the order asked:
            /// let streams: Vec<(String, Entries)> = client.xread([("orders", "0"), ("returns", "0")]).await?;
            /// # Ok(())
            /// # }
            /// ```
            ///
            /// O(number of entries that come back), since 5.0.0.
            fn xread[T]<S>(streams: impl ToArgs<S>) -> T = ["XREAD" (Streams(streams))];

            /// `XREAD` with options: how many, and whether to wait for the next.
            ///
            /// O(number of entries that come back), since 5.0.0.
            fn xread_with[T]<S>(streams: impl ToArgs<S>, options: XreadOptions) -> T
                = ["XREAD" options (Streams(streams))];

            /// `XREADGROUP`: as [`xread`](Commands::xread), as a consumer of a group. With the id `>` come entries
            /// that no consumer of the group has had yet, and they are pending until they are
            /// [acknowledged](Commands::xack); with another one come the consumer's own pending entries behind it.
            /// Of a pending entry that was deleted, the fields are nil: an empty list or map.
            ///
            /// ```no_run
            /// # async fn example(client: tidings::Client) -> tidings::Result<()> {
            /// use std::collections::HashMap;
            /// use tidings::Commands;
            ///
            /// type Entries = Vec<(String, HashMap<String, String>)>;
            ///
            /// let streams: HashMap<String, Entries> =
            ///     client.xreadgroup("packers", "anna", [("orders", ">")]).await?;
            /// for (id, order) in streams.into_values().flatten() {
            ///     println!("{order:?}");
            ///     client.xack("orders", "packers", id).await?;
            /// }
            /// # Ok(())
            /// # }
            /// ```
            ///
            /// O(number of entries that come back), since 5.0.0.
            fn xreadgroup[T]<S>(group: impl ToArg, consumer: impl ToArg, streams: impl ToArgs<S>) -> T
                = ["XREADGROUP" "GROUP" group consumer (Streams(streams))];

            /// `XREADGROUP` with options: how many, whether to wait for the next, and whether they become pending.
            ///
            /// O(number of entries that come back), since 5.0.0.
            fn xreadgroup_with[T]<S>(
                group: impl ToArg,
                consumer: impl ToArg,
                streams: impl ToArgs<S>,
                options: XreadgroupOptions
            ) -> T = ["XREADGROUP" "GROUP" group consumer options (Streams(streams))];

            /// `XACK`: marks entries as processed by a group; how many of them were pending.
            ///
            /// O(number of ids), since 5.0.0.
            fn xack<S>(key: impl ToArg, group: impl ToArg, ids: impl ToArgs<S>) -> i64 = ["XACK" key group ids];

            /// `XPENDING`: of a group's pending entries, how many they are, the lowest and the highest id, and how
            /// many each consumer has: `(i64, Option<String>, Option<String>, Vec<(String, i64)>)`.
            ///
            /// O(number of consumers), since 5.0.0.
            fn xpending[T](key: impl ToArg, group: impl ToArg) -> T = ["XPENDING" key group];

            /// `XPENDING`, extended: the pending entries from one id to another, so many at most. Of each its id, its
            /// consumer, the milliseconds since it was delivered, and how often: `Vec<(String, String, i64, i64)>`.
            ///
            /// O(number of entries that come back), since 5.0.0.
            fn xpending_range[T](
                key: impl ToArg,
                group: impl ToArg,
                start: impl ToArg,
                end: impl ToArg,
                count: u64
            ) -> T = ["XPENDING" key group start end count];

            /// `XPENDING`, extended, of one consumer or of entries that were idle for a while; as
            /// [`xpending_range`](Commands::xpending_range).
            ///
            /// O(number of entries that are looked at), since 5.0.0.
            fn xpending_range_with[T](key: impl ToArg, group: impl ToArg, range: PendingRange) -> T
                = ["XPENDING" key group range];

            /// `XCLAIM`: makes pending entries another consumer's, those that were not delivered for at least so long;
            /// the entries.
            ///
            /// O(log(number of pending entries)) for each id, since 5.0.0.
            fn xclaim[T]<S>(
                key: impl ToArg,
                group: impl ToArg,
                consumer: impl ToArg,
                min_idle: Duration,
                ids: impl ToArgs<S>
            ) -> T = ["XCLAIM" key group consumer (Milliseconds(min_idle)) ids];

            /// `XCLAIM` with options. With `JUSTID` a `Vec<String>` comes back.
            ///
            /// O(log(number of pending entries)) for each id, since 5.0.0.
            fn xclaim_with[T]<S>(
                key: impl ToArg,
                group: impl ToArg,
                consumer: impl ToArg,
                min_idle: Duration,
                ids: impl ToArgs<S>,
                options: XclaimOptions
            ) -> T = ["XCLAIM" key group consumer (Milliseconds(min_idle)) ids options];

            /// `XAUTOCLAIM`: goes through a group's pending entries from an id on, and makes those that were not
            /// delivered for at least so long another consumer's, 100 at most. The id to go on from comes back (`0-0` at
            /// the end), the entries, and, since 7.0.0, the ids of entries that were deleted and are pending no more.
            ///
            /// ```no_run
            /// # async fn example(client: tidings::Client) -> tidings::Result<()> {
            /// use std::collections::HashMap;
            /// use std::time::Duration;
            /// use tidings::Commands;
            ///
            /// type Entries = Vec<(String, HashMap<String, String>)>;
            ///
            /// let minute = Duration::from_secs(60);
            /// let (next, claimed, deleted): (String, Entries, Vec<String>) =
            ///     client.xautoclaim("orders", "packers", "anna", minute, "0-0").await?;
            /// # Ok(())
            /// # }
            /// ```
            ///
            /// O(1) for each pending entry that is looked at, since 6.2.0.
            fn xautoclaim[T](
                key: impl ToArg,
                group: impl ToArg,
                consumer: impl ToArg,
                min_idle: Duration,
                start: impl ToArg
            ) -> T = ["XAUTOCLAIM" key group consumer (Milliseconds(min_idle)) start];

            /// `XAUTOCLAIM` with options. With `JUSTID` a `(String, Vec<String>, Vec<String>)` comes back.
            ///
            /// O(1) for each pending entry that is looked at, since 6.2.0.
            fn xautoclaim_with[T](
                key: impl ToArg,
                group: impl ToArg,
                consumer: impl ToArg,
                min_idle: Duration,
                start: impl ToArg,
                options: XautoclaimOptions
            ) -> T = ["XAUTOCLAIM" key group consumer (Milliseconds(min_idle)) start options];

            /// `XGROUP CREATE`: makes a group that begins behind an id: `0` is the beginning of the stream, `$` its end.
            ///
            /// O(1), since 5.0.0.
            fn xgroup_create(key: impl ToArg, group: impl ToArg, id: impl ToArg) -> ()
                = ["XGROUP" "CREATE" key group id];

            /// `XGROUP CREATE` with options.
            ///
            /// O(1), since 5.0.0.
            fn xgroup_create_with(
                key: impl ToArg,
                group: impl ToArg,
                id: impl ToArg,
                options: XgroupCreateOptions
            ) -> () = ["XGROUP" "CREATE" key group id options];

            /// `XGROUP CREATECONSUMER`: makes a consumer of a group; `false` if there is one of this name.
            ///
            /// O(1), since 6.2.0.
            fn xgroup_createconsumer(key: impl ToArg, group: impl ToArg, consumer: impl ToArg) -> bool
                = ["XGROUP" "CREATECONSUMER" key group consumer];

            /// `XGROUP DELCONSUMER`: removes a consumer from a group; how many entries it had pending, which nobody
            /// can claim any more.
            ///
            /// O(1), since 5.0.0.
            fn xgroup_delconsumer(key: impl ToArg, group: impl ToArg, consumer: impl ToArg) -> i64
                = ["XGROUP" "DELCONSUMER" key group consumer];

            /// `XGROUP DESTROY`: removes a group with all that is pending; `false` if there is none.
            ///
            /// O(number of pending entries), since 5.0.0.
            fn xgroup_destroy(key: impl ToArg, group: impl ToArg) -> bool = ["XGROUP" "DESTROY" key group];

            /// `XGROUP SETID`: sets the last id that a group has read.
            ///
            /// O(1), since 5.0.0.
            fn xgroup_setid(key: impl ToArg, group: impl ToArg, id: impl ToArg) -> ()
                = ["XGROUP" "SETID" key group id];

            /// `XGROUP SETID` with options.
            ///
            /// O(1), since 5.0.0.
            fn xgroup_setid_with(
                key: impl ToArg,
                group: impl ToArg,
                id: impl ToArg,
                options: XgroupSetidOptions
            ) -> () = ["XGROUP" "SETID" key group id options];

            /// `XINFO CONSUMERS`: the consumers of a group; `Vec<HashMap<String, Value>>` fits.
            ///
            /// O(number of consumers), since 5.0.0.
            fn xinfo_consumers[T](key: impl ToArg, group: impl ToArg) -> T = ["XINFO" "CONSUMERS" key group];

            /// `XINFO GROUPS`: the groups of a stream; `Vec<HashMap<String, Value>>` fits.
            ///
            /// O(number of groups), since 5.0.0.
            fn xinfo_groups[T](key: impl ToArg) -> T = ["XINFO" "GROUPS" key];

            /// `XINFO STREAM`: what the server knows about a stream; `HashMap<String, Value>` fits.
            ///
            /// O(1), since 5.0.0.
            fn xinfo_stream[T](key: impl ToArg) -> T = ["XINFO" "STREAM" key];

            /// `XINFO STREAM … FULL`: the same with entries, groups, consumers and what they have pending, so many of
            /// each at most; all of them with 0.
            ///
            /// O(number of entries that come back), since 6.0.0.
            fn xinfo_stream_full[T](key: impl ToArg, count: u64) -> T = ["XINFO" "STREAM" key "FULL" "COUNT" count];

            /// `XSETID`: sets the last id of a stream, behind which the next ones come. The server needs it for its own
            /// copies.
            ///
            /// O(1), since 5.0.0.
            fn xsetid(key: impl ToArg, id: impl ToArg) -> () = ["XSETID" key id];

            /// `XSETID` with options.
            ///
            /// O(1), since 5.0.0.
            fn xsetid_with(key: impl ToArg, id: impl ToArg, options: XsetidOptions) -> () = ["XSETID" key id options];
        }
    };
}

pub(super) use table;
