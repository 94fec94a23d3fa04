//! The same in threads that wait: SPEC items CP-01 to CP-05.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use tidings::cluster::Health;
use tidings::{Commands, Config, ErrorKind, Script, Value, blocking};
use tidings_testkit::{Cluster, Protocol, eventually, slot_of};

use crate::clusters::{binaries, shared};
use crate::grouping::calls;
use crate::support::{error, keys, other_than};

/// On the newest server that there is.
fn client_of(cluster: &Cluster) -> blocking::ClusterClient {
    let client = blocking::ClusterClient::connect(cluster.url_for(Protocol::Resp3).as_str());
    client.expect("the cluster takes connections")
}

#[test]
fn cp_01_cp_02_a_pipeline_has_its_replies_in_their_order_and_refuses_what_has_no_slot() {
    let binary = binaries().pop().expect("there is a server");
    let client = client_of(&shared(&binary));
    let keys = keys("blocking", 100);
    let add = Script::new("return redis.call('INCRBY', KEYS[1], ARGV[1])");
    let mut pipeline = client.pipeline();
    for (n, key) in keys.iter().enumerate() {
        pipeline.set(key, n).script(&add, key, 1).del(key);
    }
    assert_eq!(pipeline.len(), 300);
    let replies: Vec<String> = pipeline.execute().expect("all are run");
    for (n, three) in replies.chunks(3).enumerate() {
        assert_eq!(three, ["OK".into(), (n + 1).to_string(), "1".into()]);
    }
    assert!(pipeline.is_empty());
    let refused = error(pipeline.set("blocking:a", 1).ping().execute::<()>());
    assert!(refused.is_misuse(), "{refused:?}");
    assert_eq!(refused.command_number(), Some(2));
    let each = pipeline
        .set("blocking:a", "text")
        .incr("blocking:a")
        .del("blocking:a")
        .execute_each()
        .expect("a pipeline");
    assert!(
        matches!(&each[..], [Ok(_), Err(failed), Ok(Value::Integer(1))] if failed.command_number() == Some(2)),
        "{each:?}"
    );
}

#[test]
fn cp_03_cp_05_pipelines_and_transactions_of_threads_follow_a_slot() {
    let binary = binaries().pop().expect("there is a server");
    let cluster = Cluster::builder().binary(&binary).start_or_panic();
    let client = client_of(&cluster);
    let moving = {
        let slot = slot_of("{threads}");
        move |cluster: &Cluster| {
            for _ in 0..3 {
                let target = other_than(cluster, &cluster.owner_of(slot));
                cluster.move_slot(slot, &target);
            }
        }
    };
    let (rounds, threads) = (100, 3_i64);
    thread::scope(|scope| {
        for _ in 0..threads {
            let client = client.clone();
            scope.spawn(move || {
                let on = client.transaction_on("{threads}");
                for _ in 0..rounds {
                    let n = on.transaction("{threads}:n", |watch| {
                        let n: Option<i64> = watch.get("{threads}:n")?;
                        let n = n.unwrap_or(0) + 1;
                        watch.multi().set("{threads}:n", n).execute::<()>()?;
                        Ok(n)
                    });
                    n.expect("it is done");
                    let (a, b): (i64, i64) = on
                        .pipeline()
                        .incr("{threads}:a")
                        .incr("{threads}:b")
                        .execute()
                        .expect("it is done");
                    assert_eq!(a, b);
                    let (): () = client
                        .pipeline()
                        .incr("{threads}:c")
                        .incr("beside")
                        .execute()
                        .expect("both are run");
                }
            });
        }
        scope.spawn(|| moving(&cluster));
    });
    let counted: Vec<i64> = client
        .mget([
            "{threads}:n",
            "{threads}:a",
            "{threads}:b",
            "{threads}:c",
            "beside",
        ])
        .expect("they are read");
    assert_eq!(counted, vec![rounds * threads; 5]);
    let refused = error(client.transaction_on("{threads}").watch("beside"));
    assert!(refused.is_misuse(), "{refused:?}");
    let outcome = client
        .transaction_on("{threads}")
        .transaction_with_attempts(2, "{threads}:n", |watch| {
            client.incr("{threads}:n")?;
            watch.multi().set("{threads}:n", 0).execute::<()>()
        });
    assert!(error(outcome).is_watch());
}

#[test]
fn cp_04_what_threads_only_read_goes_to_replicas_if_the_client_is_told_so() {
    let binary = binaries().pop().expect("there is a server");
    let cluster = Cluster::builder()
        .binary(&binary)
        .replicas(1)
        .start_or_panic();
    let keys = keys("reads", 30);
    let mut pipeline = client_of(&cluster).pipeline();
    for key in &keys {
        pipeline.set(key, key);
    }
    let (): () = pipeline.execute().expect("all are run");
    let primaries = cluster.primaries();
    for node in &primaries {
        node.admin(["WAIT", "1", "10000"]);
    }
    let connect = || {
        let config = Config::from_url(&cluster.url()).expect("it is one");
        let client = blocking::ClusterClient::connect(config.read_from_replicas(true));
        client.expect("the cluster takes connections")
    };
    let mut client = connect();
    eventually("all know that the replicas are there", || {
        client = connect();
        let nodes = client.nodes();
        nodes.iter().all(|node| node.health() == Health::Online)
    });
    let mut pipeline = client.pipeline();
    for key in &keys {
        pipeline.get(key).append(key, "!");
    }
    let replies: Vec<String> = pipeline.execute().expect("all are run");
    for (key, pair) in keys.iter().zip(replies.chunks(2)) {
        // The replica may have what was appended already.
        assert!(pair[0].starts_with(&**key), "{pair:?}");
        assert_eq!(pair[1], (key.len() + 1).to_string());
    }
    for node in cluster.nodes() {
        let is_primary = primaries.contains(&node);
        assert_eq!(calls(&node, "get") == 0, is_primary, "{node}");
        assert!(!is_primary || calls(&node, "append") > 0, "{node}");
    }
}

#[test]
fn cp_03_a_primary_that_is_killed_under_threads_fails_only_what_may_have_run() {
    let binary = binaries().pop().expect("there is a server");
    let cluster = Cluster::builder()
        .binary(&binary)
        .replicas(1)
        .node_timeout(Duration::from_millis(1500))
        .start_or_panic();
    let client = client_of(&cluster);
    let is_over = AtomicBool::new(false);
    let counted: Vec<(String, i64, i64)> = thread::scope(|scope| {
        let (client, is_over) = (&client, &is_over);
        let counting = keys("killed", 6).into_iter().map(|key| {
            scope.spawn(move || {
                let (mut run, mut may_have_run) = (0, 0);
                while !is_over.load(Ordering::Relaxed) {
                    match client.incr(&key) {
                        Ok(_) => run += 1,
                        Err(lost) => {
                            assert!(lost.may_have_run(), "{lost:?}");
                            assert_eq!(lost.kind(), ErrorKind::Connection);
                            may_have_run += 1;
                        }
                    }
                }
                (key, run, may_have_run)
            })
        });
        let counting: Vec<_> = counting.collect();
        let all = keys("killed", 6);
        let count = || client.exists(&all).expect("it is read");
        eventually("all of them count", || count() == 6);
        let primary = cluster.owner_of_key("killed:0");
        // What is confirmed the replica has: nothing more is written then.
        primary.admin(["CLIENT", "PAUSE", "10000", "WRITE"]);
        primary.admin(["WAIT", "1", "10000"]);
        let _ = cluster.kill_and_fail_over(&primary);
        is_over.store(true, Ordering::Relaxed);
        let counted = counting.into_iter().map(|counts| counts.join());
        counted.collect::<Result<_, _>>().expect("nobody panics")
    });
    for (key, run, may_have_run) in counted {
        let there: i64 = client.get(&key).expect("it is read");
        assert!(
            (run..=run + may_have_run).contains(&there),
            "{key}: {there}, {run} were run, and {may_have_run} may have been"
        );
    }
}
