//! Cluster Pub/Sub, and sharded Pub/Sub.

use std::time::Duration;

use tidings::{ClusterClient, Commands, Event};

use super::{Outcome, port, span};
use crate::screen::{SOON, Screen};

const NEWS: &str = "news";
const ROOMS: [&str; 3] = ["room:1", "room:2", "room:3"];

/// What is still to come has come after this time, if nothing is wrong.
const A_MOMENT: Duration = Duration::from_millis(100);

/// Subscribes at one node, publishes at all.
pub(crate) async fn on_one_node(cluster: &ClusterClient, screen: &Screen) -> Outcome {
    screen.title("Cluster Pub/Sub: one node is read, and what is published at any arrives");
    screen.code(r#"let mut pubsub = cluster.pubsub().channels("news").await?;"#);
    let mut pubsub = cluster.pubsub().channels(NEWS).await?;
    screen.event(&next(pubsub.get_message(SOON).await?)?);
    screen.gives(format!("reads from {}", readers(cluster, NEWS).await?));
    screen.code(r#"for node in cluster.nodes() { /* there */ client.publish("news", port) }"#);
    let nodes = cluster.nodes();
    for node in &nodes {
        let client = cluster.node(node.address()).await?;
        client.publish(NEWS, node.address().port()).await?;
    }
    let mut texts = Vec::new();
    // One more than there should be.
    for _ in 0..=nodes.len() {
        let patience = if texts.len() < nodes.len() {
            SOON
        } else {
            A_MOMENT
        };
        let message = pubsub.next_message(patience).await?;
        texts.extend(
            message
                .and_then(Event::into_message)
                .map(|message| message.text().into_owned()),
        );
    }
    let (published, came) = (nodes.len(), texts.len());
    let texts = texts.join(" ");
    screen.gives(format!("{published} published, {came} came: {texts}"));
    pubsub.close().await?;

    screen.code(r#"cluster.pubsub().channels("news").read_from_replicas(true).await?"#);
    let pubsub = cluster.pubsub().channels(NEWS).read_from_replicas(true);
    let mut pubsub = pubsub.await?;
    screen.gives(format!("reads from {}", readers(cluster, NEWS).await?));
    pubsub.close().await?;
    Ok(())
}

/// Subscribes to channels of all nodes.
pub(crate) async fn sharded(cluster: &ClusterClient, screen: &Screen) -> Outcome {
    screen.title("Sharded Pub/Sub: each channel comes from the node that has its slot");
    screen.code(
        r#"let mut rooms = cluster.sharded_pubsub()
      .channels(["room:1", "room:2", "room:3"]).await?;"#,
    );
    let rooms = cluster.sharded_pubsub().channels(ROOMS);
    let mut rooms = rooms.await?;
    for _ in ROOMS {
        screen.event(&next(rooms.get_message(SOON).await?)?);
    }
    let mut told = Vec::new();
    for room in ROOMS {
        told.push(format!(
            "{room} from {}",
            shard_readers(cluster, room).await?
        ));
    }
    screen.gives(told.join(", "));
    screen.code(r#"cluster.spublish("room:1", "good morning").await?"#);
    screen.gives(cluster.spublish(ROOMS[0], "good morning").await?);
    screen.event(&next(rooms.get_message(SOON).await?)?);
    screen.code(r#"cluster.publish("room:1", "not for shard channels").await?"#);
    let nobody = cluster.publish(ROOMS[0], "not for shard channels").await?;
    screen.gives(nobody);
    rooms.close().await?;
    Ok(())
}

fn next(event: Option<Event>) -> Outcome<Event> {
    event.ok_or_else(|| format!("nothing came within {}", span(SOON)).into())
}

/// The nodes that have a subscriber of this channel, by their own words.
async fn readers(cluster: &ClusterClient, channel: &str) -> Outcome<String> {
    let mut readers = Vec::new();
    for node in cluster.nodes() {
        let client = cluster.node(node.address()).await?;
        let counts: Vec<(String, i64)> = client.pubsub_numsub(channel).await?;
        if counts.iter().any(|(_, count)| *count > 0) {
            let role = if node.is_primary() {
                "primary"
            } else {
                "replica"
            };
            readers.push(format!("the {role} {}", port(node.address().port())));
        }
    }
    Ok(readers.join(", "))
}

/// The same for a shard channel.
async fn shard_readers(cluster: &ClusterClient, channel: &str) -> Outcome<String> {
    let mut readers = Vec::new();
    for node in cluster.nodes() {
        let client = cluster.node(node.address()).await?;
        let channels: Vec<String> = client.pubsub_shardchannels(channel).await?;
        if !channels.is_empty() {
            readers.push(port(node.address().port()));
        }
    }
    Ok(readers.join(", "))
}
