//! Nodes of a cluster.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::since;
use super::support::{Case, error, eventually, on_each_started};
use tidings::options::{ClusterscanOptions, SlotMigrations, SlotStatsOptions};
use tidings::{Client, Commands, Result, Value};
use tidings_testkit::{Binary, Server};

/// The slot of the key `foo`.
const SLOT: u16 = 12182;

fn start(binary: &Binary) -> Server {
    let node = Server::builder()
        .binary(binary)
        .config("cluster-enabled", "yes")
        .config("cluster-require-full-coverage", "no")
        .config("cluster-node-timeout", 10_000)
        .config("repl-diskless-sync-delay", 0);
    node.start().expect("it starts")
}

/// Another node that the case's node knows, its client and its number.
async fn second(case: &Case, client: &Client) -> (Server, Client, String) {
    let server = start(case.server.binary());
    let other = Client::connect(server.url_for(case.protocol))
        .await
        .unwrap();
    let id = other.cluster_myid().await.unwrap();
    client
        .cluster_meet("127.0.0.1", server.port())
        .await
        .unwrap();
    let port = server.port();
    client
        .cluster_meet_at("127.0.0.1", port, port + 10_000)
        .await
        .unwrap();
    known(&case.server, &id).await;
    known(&server, &client.cluster_myid().await.unwrap()).await;
    (server, other, id)
}

/// Until a node knows another one and has heard of it.
async fn known(server: &Server, id: &str) {
    eventually("the nodes know each other", || {
        let nodes = server.cli(["CLUSTER", "NODES"]);
        nodes.lines().any(|line| {
            line.starts_with(id) && line.contains(" connected") && !line.contains("handshake")
        })
    })
    .await;
}

/// Until a node serves its slots.
async fn serves(server: &Server) {
    eventually("the node serves its slots", || {
        server.cli(["CLUSTER", "INFO"]).contains("cluster_state:ok")
    })
    .await;
}

#[test]
fn slots_are_given_counted_and_taken() {
    on_each_started(start, async |case| {
        let client = case.client().await;
        let id = client.cluster_myid().await.unwrap();
        client.cluster_set_config_epoch(7).await.unwrap();
        client.cluster_addslots([1, 2]).await.unwrap();
        client
            .cluster_addslotsrange([(4, 6), (SLOT, SLOT)])
            .await
            .unwrap();
        client.cluster_delslots([2]).await.unwrap();
        client.cluster_delslotsrange([(5, 6)]).await.unwrap();
        type Slots = Vec<(u16, u16, (String, u16, String, Vec<Value>))>;
        let slots: Slots = client.cluster_slots().await.unwrap();
        let ranges: Vec<(u16, u16)> = slots.iter().map(|range| (range.0, range.1)).collect();
        assert_eq!(ranges, [(1, 1), (4, 4), (SLOT, SLOT)]);
        assert_eq!((slots[0].2.1, &slots[0].2.2), (case.server.port(), &id));
        let shards: Vec<HashMap<String, Value>> = client.cluster_shards().await.unwrap();
        assert_eq!(shards[0]["slots"].as_elements().map(<[_]>::len), Some(6));
        assert!(
            client
                .cluster_info()
                .await
                .unwrap()
                .contains("cluster_slots_assigned:3")
        );
        assert!(
            client
                .cluster_nodes()
                .await
                .unwrap()
                .starts_with(&format!("{id} "))
        );
        assert_eq!(
            client.cluster_keyslot("foo").await.unwrap(),
            i64::from(SLOT)
        );
        assert_eq!(client.cluster_count_failure_reports(&id).await.unwrap(), 0);
        assert_eq!(client.cluster_replicas(&id).await.unwrap(), [""; 0]);
        assert_eq!(client.cluster_slaves(&id).await.unwrap(), [""; 0]);
        let epoch = client.cluster_bumpepoch().await.unwrap();
        assert!(
            epoch.starts_with("BUMPED") || epoch.starts_with("STILL"),
            "{epoch}"
        );
        client.cluster_saveconfig().await.unwrap();
        if since(&case, Some((7, 2)), Some((8, 0))) {
            assert_eq!(client.cluster_myshardid().await.unwrap().len(), 40);
        }
        client.cluster_flushslots().await.unwrap();
        assert_eq!(client.cluster_slots::<Slots>().await.unwrap(), []);
        client.cluster_reset().await.unwrap();
        assert_eq!(client.cluster_myid().await.unwrap(), id);
        client.cluster_reset_hard().await.unwrap();
        assert_ne!(client.cluster_myid().await.unwrap(), id);
    });
}

#[test]
fn keys_of_slots_are_found_and_removed() {
    on_each_started(start, async |case| {
        let client = case.client().await;
        client.cluster_addslotsrange([(0, 16383)]).await.unwrap();
        serves(&case.server).await;
        client.mset([("{foo}a", 1), ("{foo}b", 2)]).await.unwrap();
        assert_eq!(client.cluster_countkeysinslot(SLOT).await.unwrap(), 2);
        let mut keys: Vec<String> = client.cluster_getkeysinslot(SLOT, 10).await.unwrap();
        keys.sort();
        assert_eq!(keys, ["{foo}a", "{foo}b"]);
        assert_eq!(
            client
                .cluster_getkeysinslot::<Vec<String>>(SLOT, 1)
                .await
                .unwrap()
                .len(),
            1
        );
        if since(&case, None, Some((8, 0))) {
            type Stats = Vec<(u16, HashMap<String, i64>)>;
            let stats: Stats = client
                .cluster_slot_stats_range(SLOT, SLOT + 1)
                .await
                .unwrap();
            assert_eq!(
                (stats.len(), stats[0].0, stats[0].1["key-count"]),
                (2, SLOT, 2)
            );
            let options = SlotStatsOptions::new().desc().limit(1);
            let stats: Stats = client
                .cluster_slot_stats_by("key-count", options)
                .await
                .unwrap();
            assert_eq!((stats.len(), stats[0].0), (1, SLOT));
        }
        if since(&case, None, Some((9, 1))) {
            let options = ClusterscanOptions::new()
                .slot(SLOT)
                .count(100)
                .pattern("*a")
                .kind("string");
            let (mut cursor, mut all) = ("0".to_owned(), Vec::new());
            loop {
                let page = client.clusterscan_with(&cursor, options.clone()).await;
                let (next, keys): (String, Vec<String>) = page.unwrap();
                all.extend(keys);
                cursor = next;
                if cursor == "0" {
                    break;
                }
            }
            assert_eq!(all, ["{foo}a"]);
            let (next, _): (String, Vec<String>) = client.clusterscan(0).await.unwrap();
            assert_ne!(next, "0");
        }
        if since(&case, None, Some((9, 0))) {
            for mode in 0..3 {
                client.set("foo", 1).await.unwrap();
                match mode {
                    0 => client.cluster_flushslot(SLOT).await.unwrap(),
                    1 => client.cluster_flushslot_async(SLOT).await.unwrap(),
                    _ => client.cluster_flushslot_sync(SLOT).await.unwrap(),
                }
                assert_eq!(client.cluster_countkeysinslot(SLOT).await.unwrap(), 0);
            }
        }
    });
}

#[test]
fn nodes_meet_hand_slots_over_and_forget_each_other() {
    on_each_started(start, async |case| {
        let client = case.client().await;
        client.cluster_addslotsrange([(0, 16383)]).await.unwrap();
        let (server, other, id) = second(&case, &client).await;
        let own = client.cluster_myid().await.unwrap();
        let links: Vec<HashMap<String, Value>> = client.cluster_links().await.unwrap();
        assert!(links.iter().any(|link| link["node"].as_str() == Some(&id)));

        other.cluster_setslot_importing(7, &own).await.unwrap();
        client.cluster_setslot_migrating(7, &id).await.unwrap();
        assert!(
            client
                .cluster_nodes()
                .await
                .unwrap()
                .contains(&format!("[7->-{id}]"))
        );
        client.cluster_setslot_stable(7).await.unwrap();
        assert!(!client.cluster_nodes().await.unwrap().contains("[7->-"));
        other.cluster_setslot_node(7, &id).await.unwrap();
        client.cluster_setslot_node(7, &id).await.unwrap();
        let slots: Vec<Vec<Value>> = client.cluster_slots().await.unwrap();
        assert_eq!(slots.len(), 3);

        if since(&case, None, Some((9, 0))) {
            serves(&case.server).await;
            serves(&server).await;
            let migrations = SlotMigrations::new().to(&id, [(8, 9), (11, 11)]);
            client.cluster_migrateslots(migrations).await.unwrap();
            let listed: Vec<HashMap<String, Value>> =
                client.cluster_getslotmigrations().await.unwrap();
            assert_eq!(listed[0]["slot_ranges"].as_str(), Some("8-9 11-11"));
            eventually("the slots are handed over", || {
                let migrations = case.server.cli(["CLUSTER", "GETSLOTMIGRATIONS"]);
                migrations.lines().any(|line| line == "success")
            })
            .await;
            assert!(server.cli(["CLUSTER", "NODES"]).contains(" 7-9 11"));
            let none = error(client.cluster_cancelslotmigrations().await);
            assert_eq!(none.code(), Some("ERR"), "{none}");
        }
        other.cluster_reset_hard().await.unwrap();
        client.cluster_forget(&id).await.unwrap();
        assert_eq!(client.cluster_nodes().await.unwrap().lines().count(), 1);
    });
}

#[test]
fn a_replica_takes_over() {
    on_each_started(start, async |case| {
        let client = case.client().await;
        client.cluster_addslotsrange([(0, 16383)]).await.unwrap();
        let (server, other, id) = second(&case, &client).await;
        let own = client.cluster_myid().await.unwrap();
        serves(&case.server).await;
        assert!(
            error(client.cluster_failover().await)
                .to_string()
                .contains("replica")
        );
        other.cluster_replicate(&own).await.unwrap();
        synced(&server, &case.server).await;
        let replicas = client.cluster_replicas(&own).await.unwrap();
        assert!(
            replicas.len() == 1 && replicas[0].starts_with(&id),
            "{replicas:?}"
        );
        assert_eq!(client.cluster_slaves(&own).await.unwrap().len(), 1);

        takes_over(&server, async || other.cluster_failover().await).await;
        became(&case.server, "slave").await;
        synced(&case.server, &server).await;
        takes_over(&case.server, async || client.cluster_failover_force().await).await;
        became(&server, "slave").await;
        synced(&server, &case.server).await;
        takes_over(&server, async || other.cluster_failover_takeover().await).await;
        became(&case.server, "slave").await;
        if since(&case, None, Some((9, 0))) {
            client.cluster_replicate_no_one().await.unwrap();
            became(&case.server, "master").await;
        }
    });
}

/// Until a replica has everything, and its primary knows that it is its replica.
async fn synced(replica: &Server, primary: &Server) {
    eventually("the replica has everything", || {
        let info = replica.cli(["INFO", "replication"]);
        let nodes = primary.cli(["CLUSTER", "NODES"]);
        info.contains("master_link_status:up") && nodes.contains(" slave ")
    })
    .await;
}

/// Asks a replica to take over, and again if the other node did not agree within the server's 5 s.
async fn takes_over(replica: &Server, ask: impl AsyncFn() -> Result<()>) {
    for _ in 0..3 {
        ask().await.unwrap();
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_secs(6) {
            if replica.cli(["ROLE"]).starts_with("master") {
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    panic!("it did not take over");
}

async fn became(server: &Server, role: &str) {
    eventually(role, || server.cli(["ROLE"]).starts_with(role)).await;
}
