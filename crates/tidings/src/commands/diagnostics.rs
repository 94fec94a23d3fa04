//! Commands about what takes time and memory.

use super::args::choices;

/// The table of diagnostics commands.
macro_rules! table {
    ($emit:ident) => {
        $emit! {
            /// `SLOWLOG GET`: the ten last commands that took long: number, Unix time, microseconds, words, client's
            /// address and name.
            ///
            /// ```no_run
            /// # async fn example(client: tidings::Client) -> tidings::Result<()> {
            /// use tidings::Commands;
            ///
            /// let slow: Vec<(i64, i64, i64, Vec<String>, String, String)> = client.slowlog_get().await?;
            /// # Ok(())
            /// # }
            /// ```
            ///
            /// O(number of entries), since 2.2.12.
            fn slowlog_get[T]() -> T = ["SLOWLOG" "GET"];

            /// `SLOWLOG GET` of so many entries at most; -1 for all.
            ///
            /// O(number of entries), since 2.2.12.
            fn slowlog_get_count[T](count: i64) -> T = ["SLOWLOG" "GET" count];

            /// `SLOWLOG LEN`: how many entries there are.
            ///
            /// O(1), since 2.2.12.
            fn slowlog_len() -> i64 = ["SLOWLOG" "LEN"];

            /// `SLOWLOG RESET`: forgets all entries.
            ///
            /// O(number of entries), since 2.2.12.
            fn slowlog_reset() -> () = ["SLOWLOG" "RESET"];

            /// `COMMANDLOG GET`: the last commands that took long, or were or answered large: so many at most, -1 for
            /// all. Entries are as for [`slowlog_get`](Commands::slowlog_get), with bytes in the place of microseconds
            /// for sizes.
            ///
            /// O(number of entries), since Valkey 8.1.
            fn commandlog_get[T](count: i64, log: CommandLog) -> T = ["COMMANDLOG" "GET" count log];

            /// `COMMANDLOG LEN`: how many entries there are.
            ///
            /// O(1), since Valkey 8.1.
            fn commandlog_len(log: CommandLog) -> i64 = ["COMMANDLOG" "LEN" log];

            /// `COMMANDLOG RESET`: forgets all entries.
            ///
            /// O(number of entries), since Valkey 8.1.
            fn commandlog_reset(log: CommandLog) -> () = ["COMMANDLOG" "RESET" log];

            /// `LATENCY LATEST`: the events that held the server up, each with its name, Unix time, last and longest
            /// milliseconds: `Vec<(String, i64, i64, i64)>`. Valkey 8.1 adds sum and count.
            ///
            /// O(1), since 2.8.13.
            fn latency_latest[T]() -> T = ["LATENCY" "LATEST"];

            /// `LATENCY HISTORY`: the times at which an event held the server up, and for how many milliseconds.
            ///
            /// O(1), since 2.8.13.
            fn latency_history(event: impl ToArg) -> Vec<(i64, i64)> = ["LATENCY" "HISTORY" event];

            /// `LATENCY HISTOGRAM`: how often a command took how long; of all commands with `None`. `HashMap<String,
            /// HashMap<String, Value>>`: `calls`, and `histogram_usec`, a map of microseconds and calls within them.
            ///
            /// O(number of commands), since 7.0.0.
            fn latency_histogram[T]<S>(commands: impl ToArgs<S>) -> T = ["LATENCY" "HISTOGRAM" commands];

            /// `LATENCY GRAPH`: the history of an event as a picture.
            ///
            /// O(1), since 2.8.13.
            fn latency_graph(event: impl ToArg) -> String = ["LATENCY" "GRAPH" event];

            /// `LATENCY DOCTOR`: what held the server up, and what to do about it, in words.
            ///
            /// O(1), since 2.8.13.
            fn latency_doctor() -> String = ["LATENCY" "DOCTOR"];

            /// `LATENCY RESET`: forgets the history of events, or of all with `None`; of how many.
            ///
            /// O(1), since 2.8.13.
            fn latency_reset<S>(events: impl ToArgs<S>) -> i64 = ["LATENCY" "RESET" events];

            /// `MEMORY USAGE`: about how many bytes a key and its value take, by five samples of a collection's
            /// elements.
            ///
            /// O(number of samples), since 4.0.0.
            fn memory_usage(key: impl ToArg) -> Option<i64> = ["MEMORY" "USAGE" key];

            /// `MEMORY USAGE` by so many samples of a collection's elements; by all with 0.
            ///
            /// O(number of samples), since 4.0.0.
            fn memory_usage_samples(key: impl ToArg, samples: i64) -> Option<i64>
                = ["MEMORY" "USAGE" key "SAMPLES" samples];

            /// `MEMORY STATS`: where the server's memory is, `HashMap<String, Value>`.
            ///
            /// O(1), since 4.0.0.
            fn memory_stats[T]() -> T = ["MEMORY" "STATS"];

            /// `MEMORY DOCTOR`: what is wrong with the server's memory, in words.
            ///
            /// O(1), since 4.0.0.
            fn memory_doctor() -> String = ["MEMORY" "DOCTOR"];

            /// `MEMORY MALLOC-STATS`: what the allocator tells.
            ///
            /// O(size of the allocator's tables), since 4.0.0.
            fn memory_malloc_stats() -> String = ["MEMORY" "MALLOC-STATS"];

            /// `MEMORY PURGE`: asks the allocator to give memory back.
            ///
            /// O(size of the allocator's tables), since 4.0.0.
            fn memory_purge() -> () = ["MEMORY" "PURGE"];
        }
    };
}

pub(super) use table;

choices! {
    /// Which commands a log keeps, for [`commandlog_get`](super::Commands::commandlog_get) and its kin.
    pub enum CommandLog {
        /// Those that took long.
        Slow = "slow",
        /// Those that were large.
        LargeRequest = "large-request",
        /// Those whose replies were large.
        LargeReply = "large-reply",
    }
}
