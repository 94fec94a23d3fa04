//! Commands of a cluster's client, on real clusters.

mod clusters;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use clusters::{binaries, on_each_own, on_each_shared, runtime};
use tidings::{ClusterClient, Commands, ErrorKind, cmd};
use tidings_testkit::slot_of;

/// Names that no other test has, in many slots.
fn keys(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{prefix}:{n}")).collect()
}

#[test]
fn a_command_goes_to_the_node_of_its_key() {
    on_each_shared(|case| async move {
        let client = case.client().await;
        for key in keys("single", 50) {
            client.set(&key, &key).await.expect("it is set");
            let value: Option<String> = client.get(&key).await.expect("it is read");
            assert_eq!(value.as_ref(), Some(&key));
            // It is where it belongs.
            assert_eq!(case.cluster.owner_of_key(&key).cli(["GET", &key]), key);
            client.del(&key).await.expect("it is deleted");
        }
    });
}

#[test]
fn keys_of_many_slots_are_read_written_and_deleted_in_one_call() {
    on_each_shared(|case| async move {
        let client = case.client().await;
        let keys = keys("many", 30);
        let pairs: Vec<(String, String)> = keys
            .iter()
            .map(|key| (key.clone(), format!("v{key}")))
            .collect();
        client.mset(pairs.clone()).await.expect("they are set");
        let mut asked = keys.clone();
        asked.insert(7, "many:missing".into());
        let values: Vec<Option<String>> = client.mget(asked).await.expect("they are read");
        assert_eq!(values[7], None);
        let there: Vec<String> = values.into_iter().flatten().collect();
        assert_eq!(
            there,
            pairs
                .iter()
                .map(|(_, value)| value.clone())
                .collect::<Vec<_>>()
        );
        assert_eq!(client.exists(keys.clone()).await.expect("it counts"), 30);
        assert_eq!(client.del(keys).await.expect("it deletes"), 30);
    });
}

#[test]
fn keys_of_two_slots_that_cannot_be_split_are_refused_before_anything_is_sent() {
    on_each_shared(|case| async move {
        let client = case.client().await;
        let error = client
            .rename("refused:a", "refused:b")
            .await
            .expect_err("two slots");
        assert!(error.is_misuse(), "{error:?}");
        let text = error.to_string();
        assert!(
            text.contains("RENAME refused:a refused:b") && text.contains("{tag}"),
            "{text}"
        );
        client.set("{refused}:a", 1).await.expect("it is set");
        client
            .rename("{refused}:a", "{refused}:b")
            .await
            .expect("one slot");
        client.del("{refused}:b").await.expect("it is deleted");
    });
}

#[test]
fn commands_without_keys_are_run_where_they_make_sense() {
    on_each_own(
        |builder| builder.replicas(1),
        |case| async move {
            let client = case.client().await;
            for key in keys("dbsize", 20) {
                client.set(&key, 1).await.expect("it is set");
            }
            assert_eq!(client.dbsize().await.expect("a sum"), 20);
            let mut all: Vec<String> = client.keys("dbsize:*").await.expect("all nodes' keys");
            all.sort();
            let mut expected = keys("dbsize", 20);
            expected.sort();
            assert_eq!(all, expected);
            client.ping().await.expect("all answer");
            // A script is known to every node that was told of it, and the digest comes back once.
            let digest: String = client.script_load("return 7").await.expect("loaded");
            for node in case.cluster.nodes() {
                let known = node.admin(["SCRIPT", "EXISTS", &digest]);
                assert_eq!(known.elements()[0].integer(), Some(1), "{node}");
            }
            let known: Vec<bool> = client.script_exists(&digest).await.expect("on all");
            assert_eq!(known, [true]);
            client
                .config_set([("slowlog-max-len", "77")])
                .await
                .expect("on all");
            for node in case.cluster.nodes() {
                assert_eq!(
                    node.cli(["CONFIG", "GET", "slowlog-max-len"]),
                    "slowlog-max-len\n77"
                );
            }
            // What each says of itself, by node.
            let infos: BTreeMap<String, String> = client
                .run_on_nodes(cmd("INFO").arg("server"))
                .await
                .expect("a map");
            let addresses: Vec<String> = case
                .cluster
                .nodes()
                .iter()
                .map(|node| node.address())
                .collect();
            assert_eq!(infos.len(), 6);
            assert!(
                addresses
                    .iter()
                    .all(|address| infos[address].contains("# Server"))
            );
            let error = client.info().await.expect_err("of which node?");
            assert!(
                error.is_misuse() && error.to_string().contains("run_on_nodes"),
                "{error}"
            );
            client.flushall().await.expect("all are empty");
            assert_eq!(client.dbsize().await.expect("a sum"), 0);
        },
    );
}

#[test]
fn what_is_about_one_node_is_for_that_nodes_client() {
    on_each_shared(|case| async move {
        let client = case.client().await;
        let error = client.client_list().await.expect_err("of which node?");
        assert!(
            error.is_misuse() && error.to_string().contains("ClusterClient::node"),
            "{error}"
        );
        let nodes = client.nodes();
        assert_eq!(nodes.len(), 6);
        for node in nodes {
            let one = client.node(node.address()).await.expect("it is there");
            let id: String = one.run(cmd("CLUSTER").arg("MYID")).await.expect("an id");
            assert_eq!(Some(id.as_str()), node.id());
        }
        let error = client
            .node("127.0.0.1:1")
            .await
            .expect_err("nobody is there");
        assert!(
            error.is_misuse()
                && error
                    .to_string()
                    .contains("no node of the cluster is at 127.0.0.1:1: there are 127.0.0.1:"),
            "{error}"
        );
    });
}

#[test]
fn a_command_that_nobody_knows_is_sent_on_by_the_servers() {
    on_each_shared(|case| async move {
        let client = case.client().await;
        // Not known here by this name; the key is its second argument, so the first guess is wrong.
        let value: i64 = client
            .run_on_key(
                "{unknown}",
                cmd("EVAL").arg("return #KEYS").arg(1).arg("{unknown}:1"),
            )
            .await
            .expect("it runs");
        assert_eq!(value, 1);
        let error = client
            .run::<()>(cmd("NO.SUCH").arg("key"))
            .await
            .expect_err("no such command");
        assert_eq!(error.code(), Some("ERR"), "{error}");
    });
}

#[test]
fn a_slot_that_has_moved_is_followed_and_learned() {
    on_each_own(
        |builder| builder,
        |case| async move {
            let client = case.client().await;
            let key = "moving";
            client.set(key, 1).await.expect("it is set");
            let slot = slot_of(key);
            let owner = case.cluster.owner_of(slot);
            let other = case
                .cluster
                .primaries()
                .into_iter()
                .find(|node| *node != owner)
                .expect("another");
            case.cluster.move_slot(slot, &other);
            let value: i64 = client.get(key).await.expect("it is followed");
            assert_eq!(value, 1);
            // From now on it goes there at once.
            other.admin(["CONFIG", "RESETSTAT"]);
            owner.admin(["CONFIG", "RESETSTAT"]);
            for _ in 0..10 {
                let _: i64 = client.get(key).await.expect("it is read");
            }
            let stats = owner.cli(["INFO", "commandstats"]);
            assert!(!stats.contains("cmdstat_get:"), "{stats}");
            assert!(
                other
                    .cli(["INFO", "commandstats"])
                    .contains("cmdstat_get:calls=10")
            );
        },
    );
}

#[test]
fn a_slot_on_its_way_is_asked_at_both_ends() {
    on_each_own(
        |builder| builder,
        |case| async move {
            let client = case.client().await;
            let keys: Vec<String> = (0..10).map(|n| format!("{{way}}:{n}")).collect();
            for key in &keys[..5] {
                client.set(key, key).await.expect("it is set");
            }
            let slot = slot_of("{way}");
            let owner = case.cluster.owner_of(slot);
            let other = case
                .cluster
                .primaries()
                .into_iter()
                .find(|node| *node != owner)
                .expect("another");
            let slot_move = case.cluster.begin_slot_move(slot, &other);
            slot_move.open();
            slot_move.move_keys(2);
            for key in &keys[..5] {
                let value: String = client.get(key).await.expect("wherever it is");
                assert_eq!(value, *key);
            }
            // New ones are made at the target.
            for key in &keys[5..] {
                client.set(key, key).await.expect("it is set");
            }
            assert_eq!(client.incr("{way}:n").await.expect("it counts"), 1);
            // Of several keys only some are there: it is tried until the slot has arrived.
            let reading = {
                let (client, keys) = (client.clone(), keys.clone());
                tokio::spawn(async move { client.mget::<Vec<Option<String>>, _>(keys).await })
            };
            slot_move.finish();
            let values = reading.await.expect("no panic").expect("they are read");
            assert_eq!(values.into_iter().flatten().collect::<Vec<_>>(), keys);
        },
    );
}

#[test]
fn a_client_whose_runtime_has_ended_says_so_at_once() {
    let binary = binaries().pop().expect("there is a server");
    let cluster = clusters::shared(&binary);
    let first = runtime();
    let client = first.block_on(ClusterClient::connect(cluster.url().as_str()));
    let client = client.expect("the cluster takes connections");
    first.block_on(async { client.set("k", 1).await.expect("it is set") });
    drop(first);
    runtime().block_on(async {
        let begun = Instant::now();
        let each = [
            client.get::<Option<i64>>("k").await.map(|_| ()),
            client
                .mget::<Vec<Option<i64>>, _>(["a", "b", "c"])
                .await
                .map(|_| ()),
            client.dbsize().await.map(|_| ()),
            client.pipeline().get("a").get("b").execute::<()>().await,
            client
                .transaction_on("a")
                .pipeline()
                .get("a")
                .execute::<()>()
                .await,
            client.pubsub().await.map(|_| ()),
            client.sharded_pubsub().await.map(|_| ()),
            client.ssubscribe("a").await.map(|_| ()),
            client.monitor().await.map(|_| ()),
            client.keyspace_events("a").await.map(|_| ()),
        ];
        for (number, outcome) in each.into_iter().enumerate() {
            let kind = outcome.map_err(|error| error.kind());
            assert_eq!(kind, Err(ErrorKind::Closed), "{number}");
        }
        assert!(
            begun.elapsed() < Duration::from_secs(3),
            "{:?}",
            begun.elapsed()
        );
    });
}
