//! Commands of Pub/Sub that run on any connection.

/// The table of Pub/Sub commands.
macro_rules! table {
    ($emit:ident) => {
        $emit! {
            /// `PUBLISH`: sends a message to the subscribers of a channel; how many subscriptions received it, a
            /// channel and each matching pattern counted apart. In a cluster those of all nodes receive it, and those of the
            /// one that it was sent to are counted.
            ///
            /// O(subscribers of the channel + patterns of all clients), since 2.0.0.
            fn publish(channel: impl ToArg, payload: impl ToArg) -> i64 = ["PUBLISH" channel payload];

            /// `SPUBLISH`: sends a message to the subscribers of a shard channel; how many received it on this node.
            ///
            /// O(subscribers of the shard channel), since 7.0.0.
            fn spublish(channel: impl ToArg, payload: impl ToArg) -> i64 = ["SPUBLISH" channel payload];

            /// `PUBSUB CHANNELS`: the channels that have subscribers, of those that match the pattern, or all with
            /// `None`.
            ///
            /// ```no_run
            /// # async fn example(client: tidings::Client) -> tidings::Result<()> {
            /// use tidings::Commands;
            ///
            /// let news: Vec<String> = client.pubsub_channels("news*").await?;
            /// let all: Vec<String> = client.pubsub_channels(None::<&str>).await?;
            /// # Ok(())
            /// # }
            /// ```
            ///
            /// O(number of active channels), since 2.8.0.
            fn pubsub_channels[T]<S>(pattern: impl ToArgs<S>) -> T = ["PUBSUB" "CHANNELS" pattern];

            /// `PUBSUB NUMSUB`: each channel with how many subscribers it has, in the order asked; 0 for an unknown
            /// one. Patterns do not count.
            ///
            /// ```no_run
            /// # async fn example(client: tidings::Client) -> tidings::Result<()> {
            /// use tidings::Commands;
            ///
            /// let counts: Vec<(String, i64)> = client.pubsub_numsub(["foo", "bar"]).await?;
            /// # Ok(())
            /// # }
            /// ```
            ///
            /// O(number of channels asked for), since 2.8.0.
            fn pubsub_numsub[T]<S>(channels: impl ToArgs<S>) -> T = ["PUBSUB" "NUMSUB" channels];

            /// `PUBSUB NUMPAT`: how many different patterns are subscribed to by all clients together.
            ///
            /// O(1), since 2.8.0.
            fn pubsub_numpat() -> i64 = ["PUBSUB" "NUMPAT"];

            /// `PUBSUB SHARDCHANNELS`: the shard channels that have subscribers, as
            /// [`pubsub_channels`](Commands::pubsub_channels).
            ///
            /// O(number of active shard channels), since 7.0.0.
            fn pubsub_shardchannels[T]<S>(pattern: impl ToArgs<S>) -> T = ["PUBSUB" "SHARDCHANNELS" pattern];

            /// `PUBSUB SHARDNUMSUB`: each shard channel with how many subscribers it has, in the order asked.
            ///
            /// O(number of shard channels asked for), since 7.0.0.
            fn pubsub_shardnumsub[T]<S>(channels: impl ToArgs<S>) -> T = ["PUBSUB" "SHARDNUMSUB" channels];
        }
    };
}

pub(super) use table;
