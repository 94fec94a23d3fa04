//! The same in threads that wait: SPEC items CP-01, CP-02, CP-03 and CP-05.

use std::thread;

use tidings::{Commands, Script, Value, blocking};
use tidings_testkit::{Cluster, Protocol, slot_of};

use crate::clusters::{binaries, shared};
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
