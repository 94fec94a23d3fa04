//! Replicas that take over while shard channels are subscribed.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tidings::GapCause;
use tidings_testkit::{Cluster, ClusterNode, Failover, Publisher};

use crate::books::{Books, await_listening, await_sunsubscribe, channels_of, listens_at};
use crate::faced::Case;
use crate::lent::{NODE_TIMEOUT, lent};
use crate::on_both_faces;

on_both_faces! {
    [cluster lent]
    sh_05_a_graceful_failover_is_followed,
    sh_05_a_forced_failover_is_followed,
    sh_05_a_takeover_is_followed,
    sh_05_the_replica_of_a_killed_primary_is_read_from_before_its_promotion_and_behind_it,
}

async fn sh_05_a_graceful_failover_is_followed(case: Case) {
    is_followed(&case, Failover::Graceful).await;
}

async fn sh_05_a_forced_failover_is_followed(case: Case) {
    is_followed(&case, Failover::Force).await;
}

async fn sh_05_a_takeover_is_followed(case: Case) {
    is_followed(&case, Failover::Takeover).await;
}

/// Until then what the former primary grants again is subscribed there. 0.2 s as a rule, and as long as the nodes take to tell
/// each other besides.
const AT_THE_SUCCESSOR: Duration = Duration::from_secs(5);

/// A primary, its replica, and another primary. Each way to fail over has a shard of its own: a primary that has voted for
/// a replica votes for no other one of the same shard within twice the node timeout.
fn shard(cluster: &Cluster, of: Failover) -> [Arc<ClusterNode>; 3] {
    let own = match of {
        Failover::Graceful => 0,
        Failover::Force => 8_000,
        Failover::Takeover => 16_000,
    };
    let primary = cluster.owner_of(own);
    let replica = cluster.replicas_of(&primary).remove(0);
    let mut others = cluster.primaries();
    others.retain(|node| *node != primary);
    [primary, replica, others.remove(0)]
}

async fn is_followed(case: &Case, how: Failover) {
    let client = case.client().await;
    let cluster = &case.cluster;
    let [primary, replica, other] = shard(cluster, how);
    let channels = channels_of(cluster, &primary, None, 3);
    let staying = channels_of(cluster, &other, None, 1);
    let mut books = Books::new();
    let builder = client.sharded_pubsub().channels(&channels[1..]);
    let mut pubsub = builder.channels(&staying).await.expect("it opens");
    let handled = pubsub.subscribe_with(&channels[0], books.handler()).await;
    handled.expect("it subscribes");
    books.begin(&mut pubsub, 4).await;
    let publisher = Publisher::to_cluster(cluster).channels(&channels);
    let publisher = publisher.channels(&staying).rate(800).start();
    books.catch_up(&mut pubsub, &publisher).await;

    let told = await_sunsubscribe(&primary, &channels[0]);
    let there = {
        let (replica, all) = (Arc::clone(&replica), channels.clone());
        thread::spawn(move || {
            for channel in &all {
                await_listening(&replica, channel);
            }
            Instant::now()
        })
    };
    let changing = {
        let (cluster, replica) = (Arc::clone(cluster), Arc::clone(&replica));
        thread::spawn(move || cluster.failover(&replica, how))
    };
    books.meanwhile(&mut pubsub, changing).await;
    let told = books.meanwhile(&mut pubsub, told).await;
    books.catch_up(&mut pubsub, &publisher).await;
    // The former primary may have granted them again, and then they go where they are better.
    let there = books.meanwhile(&mut pubsub, there).await;
    let took = there.saturating_duration_since(told);
    println!("at the new primary after {took:?}");
    assert!(took < AT_THE_SUCCESSOR, "{took:?}");
    books.catch_up(&mut pubsub, &publisher).await;
    books.close(&mut pubsub, &publisher.stop()).await;
    println!("{:?}", books.gaps());
    for channel in &channels {
        assert_eq!(books.last_gap(channel), Some(GapCause::Failover));
        assert!(!listens_at(&primary, channel));
    }
    for (cause, names) in books.gaps() {
        assert_eq!(cause, GapCause::Failover);
        assert!(names.iter().all(|name| channels.contains(name)));
    }
}

/// Longer than a test takes: no node is taken for failed meanwhile.
const NEVER: Duration = Duration::from_secs(300);

fn set_node_timeout(cluster: &Cluster, timeout: Duration) {
    let timeout = timeout.as_millis().to_string();
    for node in cluster.nodes().iter().filter(|node| node.is_running()) {
        node.admin(["CONFIG", "SET", "cluster-node-timeout", &timeout]);
    }
}

fn is_replica(node: &ClusterNode) -> bool {
    node.cli(["ROLE"]).starts_with("slave")
}

async fn sh_05_the_replica_of_a_killed_primary_is_read_from_before_its_promotion_and_behind_it(
    case: Case,
) {
    let client = case.client().await;
    let cluster = &case.cluster;
    let [primary, replica, other] = shard(cluster, Failover::Takeover);
    let channels = channels_of(cluster, &primary, None, 2);
    let staying = channels_of(cluster, &other, None, 1);
    let mut books = Books::new();
    let builder = client.sharded_pubsub().channels(&channels);
    let mut pubsub = builder.channels(&staying).await.expect("it opens");
    books.begin(&mut pubsub, 3).await;
    set_node_timeout(cluster, NEVER);

    primary.kill();
    let begun = Instant::now();
    let there = {
        let (replica, channels) = (Arc::clone(&replica), channels.clone());
        thread::spawn(move || {
            for channel in &channels {
                await_listening(&replica, channel);
            }
        })
    };
    books.while_nodes_are_gone(&mut pubsub, there).await;
    println!("read from the replica after {:?}", begun.elapsed());
    for channel in &channels {
        replica.admin(["SPUBLISH", channel, "before"]);
        books.until_heard(&mut pubsub, channel, "before").await;
        assert_eq!(books.last_gap(channel), Some(GapCause::Failover));
    }
    assert!(is_replica(&replica), "nobody has promoted it");

    let changing = {
        let (cluster, replica) = (Arc::clone(cluster), Arc::clone(&replica));
        thread::spawn(move || {
            replica.admin(["CLUSTER", "FAILOVER", "TAKEOVER"]);
            set_node_timeout(&cluster, NODE_TIMEOUT);
            primary.restart();
            cluster.await_agreement();
        })
    };
    books.while_nodes_are_gone(&mut pubsub, changing).await;
    assert!(!is_replica(&replica));
    for channel in &channels {
        client
            .spublish(channel, "behind")
            .await
            .expect("it is published");
        books.until_heard(&mut pubsub, channel, "behind").await;
        assert!(listens_at(&replica, channel));
    }
    books.assert_only_subscribed_again();
    println!("{:?}", books.gaps());
    for (cause, names) in books.gaps() {
        assert!(matches!(cause, GapCause::Disconnected | GapCause::Failover));
        assert!(names.iter().all(|name| channels.contains(name)));
    }
}
