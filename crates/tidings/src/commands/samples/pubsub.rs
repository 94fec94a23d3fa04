//! Calls of the methods of this group.

super::samples! {
    publish("news", "hello") => "PUBLISH news hello";
    spublish("news", "hello") => "SPUBLISH news hello";
    pubsub_channels<Vec<String>, _>("n*") => "PUBSUB CHANNELS n*";
    pubsub_numsub<Vec<(String, i64)>, _>(["a", "b"]) => "PUBSUB NUMSUB a b";
    pubsub_numpat() => "PUBSUB NUMPAT";
    pubsub_shardchannels<Vec<String>, _>(None::<&str>) => "PUBSUB SHARDCHANNELS";
    pubsub_shardnumsub<Vec<(String, i64)>, _>("a") => "PUBSUB SHARDNUMSUB a";
}
