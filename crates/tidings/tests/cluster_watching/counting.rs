//! What the `PUBSUB` commands say of all nodes: PC-01.

use crate::faced::{Case, primaries};
use crate::faces::watching::Counted;
use crate::on_own_clusters;
use crate::support::eventually;

on_own_clusters! {
    [primaries]
    pc_01_channels_and_subscribers_of_all_nodes_are_added_up,
}

fn texts<const N: usize>(texts: [&str; N]) -> Vec<String> {
    texts.map(str::to_owned).to_vec()
}

fn counts<const N: usize>(counts: [(&str, i64); N]) -> Vec<(String, i64)> {
    counts
        .map(|(name, count)| (name.to_owned(), count))
        .to_vec()
}

async fn pc_01_channels_and_subscribers_of_all_nodes_are_added_up(case: Case) {
    let client = case.client().await;
    let nothing = Counted {
        channels: Vec::new(),
        numsub: counts([("unknown", 0)]),
        numpat: 0,
        shardchannels: Vec::new(),
        shardnumsub: counts([("unknown", 0)]),
    };
    let counted = client.count("*", &["unknown"]).await.expect("all answer");
    assert_eq!(counted, nothing);

    // Each node has some subscribers, of the same names and of others.
    let mut subscribers = Vec::new();
    for (number, node) in case.cluster.primaries().iter().enumerate() {
        let own = format!("own:{number}");
        let builder = client.pubsub().node(node.address());
        let builder = builder.channels(["shared", &own]).patterns("shared*");
        subscribers.push(builder.await.expect("it opens"));
    }
    // Shard channels of many slots, twice.
    let shards: Vec<String> = (0..12).map(|n| format!("shard:{n}")).collect();
    let mut sharded = Vec::new();
    for _ in 0..2 {
        let builder = client.sharded_pubsub().channels(&shards);
        sharded.push(builder.await.expect("it opens"));
    }

    let asked = ["own:1", "unknown", "shared", "shard:3"];
    let counted = client.count("*", &asked).await.expect("all answer");
    let mut sorted = shards.clone();
    sorted.sort();
    let expected = Counted {
        channels: texts(["own:0", "own:1", "own:2", "shared"]),
        numsub: counts([("own:1", 1), ("unknown", 0), ("shared", 3), ("shard:3", 0)]),
        // Each node tells how many it has, and not which.
        numpat: 3,
        shardchannels: sorted,
        shardnumsub: counts([("own:1", 0), ("unknown", 0), ("shared", 0), ("shard:3", 2)]),
    };
    assert_eq!(counted, expected);
    let some = client.count("own:*", &[]).await.expect("all answer");
    assert_eq!(some.channels, texts(["own:0", "own:1", "own:2"]));
    assert_eq!((some.numsub, some.shardnumsub), (Vec::new(), Vec::new()));
    assert!(some.shardchannels.is_empty());

    drop((subscribers, sharded));
    let nodes = case.cluster.nodes();
    eventually("nobody is subscribed", || {
        nodes
            .iter()
            .all(|node| node.cli(["CLIENT", "LIST", "TYPE", "pubsub"]).is_empty())
    })
    .await;
    let counted = client.count("*", &["unknown"]).await.expect("all answer");
    assert_eq!(counted, nothing);
}
