//! CP-01, CP-02 and CP-04: which node gets which commands, and what comes back; PL-08, scripts.

use std::time::Duration;

use tidings::cluster::Health;
use tidings::{ClusterPipeline, Commands, ErrorKind, Script, Value, cmd};
use tidings_testkit::{AdminReply, ClusterNode};

use crate::clusters::{Case, on_each_own, on_each_shared};
use crate::support::{error, keys, on_each_alone};

/// How often a node has run a command.
pub(crate) fn calls(node: &ClusterNode, command: &str) -> u64 {
    let stats = node.cli(["INFO", "commandstats"]);
    let line = format!("cmdstat_{command}:calls=");
    let calls = stats.lines().find_map(|it| it.strip_prefix(&line));
    calls.map_or(0, |calls| {
        let calls = calls.split(',').next().expect("a number");
        calls.parse().expect("a number")
    })
}

/// How often each node has run it.
fn calls_of_each(case: &Case, command: &str) -> Vec<u64> {
    let nodes = case.cluster.nodes();
    nodes.iter().map(|node| calls(node, command)).collect()
}

fn reset_stats(case: &Case) {
    for node in case.cluster.nodes() {
        node.admin(["CONFIG", "RESETSTAT"]);
    }
}

#[test]
fn cp_01_commands_of_all_nodes_have_one_reply_each_in_their_order() {
    on_each_shared(|case| async move {
        let client = case.client().await;
        let keys = keys("ordered", 500);
        let mut pipeline = client.pipeline();
        assert!(pipeline.is_empty());
        for (n, key) in keys.iter().enumerate() {
            pipeline.set(key, n).get(key).incr(key).del(key);
        }
        assert_eq!(pipeline.len(), 2000);
        let replies: Vec<String> = pipeline.execute().await.expect("all are run");
        for (n, four) in replies.chunks(4).enumerate() {
            let expected = ["OK".into(), n.to_string(), (n + 1).to_string(), "1".into()];
            assert_eq!(four, expected);
        }
        // It is empty now, and can be used again; each of the methods can be chained.
        assert!(pipeline.is_empty());
        let (ok, there, deleted, gone): (bool, String, i64, Option<String>) = pipeline
            .set("ordered:a", "x")
            .get("ordered:a")
            .del("ordered:a")
            .get("ordered:a")
            .execute()
            .await
            .expect("all are run");
        assert_eq!((ok, &*there, deleted, gone), (true, "x", 1, None));
        let [one, two]: [i64; 2] = pipeline
            .incr("ordered:b")
            .incr("ordered:c")
            .execute()
            .await
            .expect("both are run");
        assert_eq!((one, two), (1, 1));
        let (): () = pipeline
            .del("ordered:b")
            .del("ordered:c")
            .execute()
            .await
            .expect("both are run");
        let (): () = pipeline.execute().await.expect("nothing is run");
    });
}

#[test]
fn cp_01_a_pipeline_can_be_gone_on_with_after_it_was_executed() {
    on_each_shared(|case| async move {
        let client = case.client().await;
        let mut pipe = client.pipeline();
        pipe.set("foo", "value1");
        pipe.set("bar", "value2");
        pipe.get("foo").get("bar");
        let replies: (bool, bool, String, String) = pipe.execute().await.expect("all are run");
        assert_eq!(replies, (true, true, "value1".into(), "value2".into()));
        pipe.set("foo1", "bar1").get("foo1");
        let replies: (bool, String) = pipe.execute().await.expect("all are run");
        assert_eq!(replies, (true, "bar1".into()));
    });
}

#[test]
fn cp_01_what_blocks_holds_up_no_other_commands_of_the_client() {
    on_each_shared(|case| async move {
        let client = case.client().await;
        let pushing = client.clone();
        let mut pipeline = client.pipeline();
        pipeline
            .blpop("blocks:a", Duration::from_secs(10))
            .get("blocks:b")
            .get("blocks:c");
        let popping = tokio::spawn(pipeline.execute::<((String, i64), Option<i64>, Option<i64>)>());
        pushing.ping().await.expect("all answer");
        pushing.rpush("blocks:a", 7).await.expect("it is pushed");
        let popped = popping.await.expect("no panic").expect("all are run");
        assert_eq!(popped, (("blocks:a".into(), 7), None, None));
    });
}

#[test]
fn cp_01_each_node_is_written_to_once() {
    on_each_alone(|case| async move {
        let client = case.client().await;
        let keys = keys("once", 300);
        let mut pipeline = client.pipeline();
        for key in &keys {
            pipeline.set(key, 1);
        }
        let (): () = pipeline.execute().await.expect("all are run");
        for key in &keys {
            pipeline.get(key);
        }
        let reads = |node: &ClusterNode| -> u64 {
            let stats = node.cli(["INFO", "stats"]);
            let line = stats
                .lines()
                .find_map(|it| it.strip_prefix("total_reads_processed:"));
            line.expect("it is counted")
                .trim()
                .parse()
                .expect("a number")
        };
        let before: Vec<u64> = case
            .cluster
            .nodes()
            .iter()
            .map(|node| reads(node))
            .collect();
        let values: Vec<i64> = pipeline.execute().await.expect("all are run");
        assert_eq!(values, vec![1; 300]);
        for (node, before) in case.cluster.nodes().iter().zip(before) {
            // Two are those that ask here; the connection may ask for a sign of life, and nodes for the topology.
            let read = reads(node) - before;
            assert!(read < 20, "{node} has read {read} times");
        }
        assert_eq!(calls_of_each(&case, "get").iter().sum::<u64>(), 300);
    });
}

#[test]
fn cp_01_errors_and_replies_of_other_types_say_which_command_it_was() {
    on_each_shared(|case| async move {
        let client = case.client().await;
        let keys = keys("failing", 5);
        let fill = |pipeline: &mut ClusterPipeline| {
            for key in &keys[..4] {
                pipeline.set(key, "text");
            }
            pipeline
                .run(cmd("LPUSH").arg(&keys[1]).arg(3))
                .incr(&keys[4]);
        };
        let mut pipeline = client.pipeline();
        fill(&mut pipeline);
        let refused = error(pipeline.execute::<()>().await);
        assert_eq!(refused.kind(), ErrorKind::Server);
        assert_eq!(refused.code(), Some("WRONGTYPE"));
        assert_eq!(refused.command_number(), Some(5));
        let text = refused.to_string();
        assert!(
            text.starts_with("command 5 (LPUSH failing:1 3) failed: "),
            "{text}"
        );
        assert!(!refused.may_have_run());
        fill(&mut pipeline);
        let each = pipeline.execute_each().await.expect("a pipeline");
        assert_eq!(each.len(), 6);
        for (n, outcome) in each.iter().enumerate() {
            assert_eq!(outcome.is_err(), n == 4, "{outcome:?}");
        }
        assert_eq!(each[5].clone().expect("it is run"), Value::Integer(2));
        let decoded = error(
            pipeline
                .get(&keys[0])
                .get(&keys[1])
                .execute::<(String, i64)>()
                .await,
        );
        assert_eq!(decoded.kind(), ErrorKind::Decode);
        assert_eq!(decoded.command_number(), Some(2));
        for key in &keys {
            pipeline.del(key);
        }
        let counted = error(pipeline.execute::<(i64, i64)>().await);
        assert!(counted.is_misuse(), "{counted:?}");
        assert!(pipeline.is_empty());
        for key in &keys {
            pipeline.del(key);
        }
        let deleted: Vec<i64> = pipeline.execute().await.expect("all are run");
        assert_eq!(deleted, [1; 5]);
    });
}

#[test]
fn cp_02_a_command_that_is_not_for_one_slot_is_named_before_anything_is_sent() {
    on_each_shared(|case| async move {
        let client = case.client().await;
        let secret = cmd("CONFIG").arg(["SET", "requirepass", "pssst"]);
        for (command, shown) in [
            (cmd("PING"), "PING"),
            (cmd("DBSIZE"), "DBSIZE"),
            (
                cmd("PUBLISH").arg("channel").arg("text"),
                "PUBLISH channel text",
            ),
            (cmd("EVAL").arg("return 1").arg(0), "EVAL \"return 1\" 0"),
            (
                cmd("MGET").arg(["wrong:a", "wrong:b"]),
                "MGET wrong:a wrong:b",
            ),
            (
                cmd("DEL").arg(["wrong:a", "wrong:b"]),
                "DEL wrong:a wrong:b",
            ),
            (
                cmd("RENAME").arg(["wrong:a", "wrong:b"]),
                "RENAME wrong:a wrong:b",
            ),
            (cmd("NO.SUCH"), "NO.SUCH"),
            (secret, "CONFIG SET requirepass _"),
        ] {
            let mut pipeline = client.pipeline();
            pipeline.set("wrong:a", 1).set("wrong:b", 1);
            pipeline.run(command).set("wrong:c", 1);
            let refused = error(pipeline.execute_each().await);
            assert!(refused.is_misuse(), "{refused:?}");
            assert_eq!(refused.command_number(), Some(3));
            let text = refused.to_string();
            let begin = format!("command 3 ({shown}) cannot be sent: ");
            assert!(text.starts_with(&begin), "{text}");
            assert!(!text.contains("pssst"), "{text}");
            let there = client.exists(["wrong:a", "wrong:b", "wrong:c"]).await;
            assert_eq!(there.expect("it is read"), 0);
        }
        for command in [
            cmd("MULTI"),
            cmd("SELECT").arg(1),
            cmd("SUBSCRIBE").arg("a"),
        ] {
            let refused = error(client.pipeline().run(command).execute::<()>().await);
            assert!(refused.is_misuse(), "{refused:?}");
        }
        // Several keys of one slot are fine.
        let (ok, values): (bool, Vec<i64>) = client
            .pipeline()
            .mset([("{wrong}:a", 1), ("{wrong}:b", 2)])
            .mget(["{wrong}:a", "{wrong}:b"])
            .execute()
            .await
            .expect("one slot");
        assert_eq!((ok, values), (true, vec![1, 2]));
        client
            .del(["{wrong}:a", "{wrong}:b"])
            .await
            .expect("it is deleted");
    });
}

#[test]
fn cp_04_what_only_reads_goes_to_replicas_if_the_client_is_told_so() {
    on_each_own(
        |builder| builder.replicas(1),
        |case| async move {
            let client = case.client().await;
            let keys = keys("reads", 60);
            let mut pipeline = client.pipeline();
            for key in &keys {
                pipeline.set(key, key);
            }
            let (): () = pipeline.execute().await.expect("all are run");
            for node in case.cluster.primaries() {
                node.admin(["WAIT", "1", "10000"]);
            }
            // A replica does not count as one that serves until others have heard that it has something.
            let config = case.config().read_from_replicas(true);
            let mut client = case.client_with(config.clone()).await;
            while client
                .nodes()
                .iter()
                .any(|node| node.health() != Health::Online)
            {
                tokio::time::sleep(Duration::from_millis(50)).await;
                client = case.client_with(config.clone()).await;
            }
            let mut pipeline = client.pipeline();
            reset_stats(&case);
            for key in &keys {
                pipeline.get(key).strlen(key).append(key, "!");
            }
            let replies: Vec<String> = pipeline.execute().await.expect("all are run");
            for (key, three) in keys.iter().zip(replies.chunks(3)) {
                // The replica may have what was appended already.
                assert!(three[0].starts_with(&**key), "{three:?}");
                assert_eq!(three[2], (key.len() + 1).to_string());
            }
            let primaries = case.cluster.primaries();
            for node in case.cluster.nodes() {
                let is_primary = primaries.contains(&node);
                for command in ["get", "strlen"] {
                    assert_eq!(calls(&node, command) == 0, is_primary, "{node}: {command}");
                }
                assert!(!is_primary || calls(&node, "append") > 0, "{node}");
            }
            // Without being told it reads where it writes.
            let client = case.client().await;
            reset_stats(&case);
            let mut pipeline = client.pipeline();
            for key in &keys {
                pipeline.append(key, "?").get(key);
            }
            let replies: Vec<String> = pipeline.execute().await.expect("all are run");
            for (key, pair) in keys.iter().zip(replies.chunks(2)) {
                assert_eq!(pair[1], format!("{key}!?"));
            }
            for node in case.cluster.nodes() {
                let is_primary = primaries.contains(&node);
                assert_eq!(calls(&node, "get") > 0, is_primary, "{node}");
            }
        },
    );
}

#[test]
fn pl_08_scripts_are_loaded_on_each_node_that_runs_them() {
    on_each_alone(|case| async move {
        let client = case.client().await;
        let add = Script::new("return redis.call('INCRBY', KEYS[1], ARGV[1])");
        let key = Script::new("return KEYS[1]");
        let keys = keys("scripts", 30);
        for round in 1..=2_i64 {
            let mut pipeline = client.pipeline();
            for name in &keys {
                pipeline
                    .script(&add, name, 1)
                    .get(name)
                    .script(&key, name, None::<&str>);
            }
            assert_eq!(pipeline.len(), 90);
            let replies: Vec<String> = pipeline.execute().await.expect("all are run");
            for (name, three) in keys.iter().zip(replies.chunks(3)) {
                let round = round.to_string();
                assert_eq!(three, [round.clone(), round, name.clone()]);
            }
            for node in case.cluster.primaries() {
                let known = node.admin(["SCRIPT", "EXISTS", add.digest(), key.digest()]);
                let known: Vec<_> = known.elements().iter().map(AdminReply::integer).collect();
                assert_eq!(known, [Some(1), Some(1)], "{node}");
                // They are loaded again where they are needed.
                node.admin(["SCRIPT", "FLUSH"]);
            }
        }
        // An error says which command it was, as the loads are none.
        let fails = Script::new("return redis.call('LPUSH', KEYS[1], 1)");
        let mut pipeline = client.pipeline();
        pipeline.get(&keys[0]);
        for name in &keys {
            pipeline.script(&fails, name, None::<&str>);
        }
        let outcomes = pipeline.execute_each().await.expect("a pipeline");
        assert_eq!(outcomes.len(), 31);
        for (n, outcome) in outcomes.into_iter().enumerate().skip(1) {
            let failed = error(outcome);
            assert_eq!(failed.command_number(), Some(n + 1));
            let shown = format!("command {} (EVALSHA {}", n + 1, fails.digest());
            assert!(failed.to_string().starts_with(&shown), "{failed}");
        }
    });
}
