//! CP-05: transactions on one slot.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use tidings::{ClusterClient, Commands, ErrorKind, Result, Script, cmd};
use tidings_testkit::{Cluster, ClusterNode, Failover, slot_of};
use tokio::task::JoinSet;

use crate::clusters::{Case, on_each_own, on_each_shared};
use crate::support::{Changing, error, on_each_alone, other_than};

#[test]
fn cp_05_a_pipeline_on_a_slot_is_a_transaction() {
    on_each_shared(|case| async move {
        let client = case.client().await;
        let on = client.transaction_on("{multi}");
        let (ok, n, added): (bool, i64, i64) = on
            .pipeline()
            .set("{multi}:a", 1)
            .incr("{multi}:a")
            .sadd("{multi}:b", ["x", "y"])
            .execute()
            .await
            .expect("it runs");
        assert_eq!((ok, n, added), (true, 2, 2));
        // What is refused while it is queued leaves all undone.
        let refused = error(
            on.pipeline()
                .incr("{multi}:a")
                .run(cmd("INCR").arg("{multi}:a").arg("too much"))
                .execute::<()>()
                .await,
        );
        assert_eq!(refused.command_number(), Some(2));
        assert!(!refused.may_have_run());
        assert_eq!(client.get::<i64>("{multi}:a").await.expect("it is read"), 2);
        // What fails when it runs undoes nothing.
        let failed = error(
            on.pipeline()
                .incr("{multi}:a")
                .incr("{multi}:b")
                .execute::<()>()
                .await,
        );
        assert_eq!(failed.command_number(), Some(2));
        assert_eq!(failed.code(), Some("WRONGTYPE"));
        // Scripts, and commands without a key, run at the node of the slot.
        let add = Script::new("return redis.call('INCRBY', KEYS[1], ARGV[1])");
        let (five, receivers, deleted): (i64, i64, i64) = on
            .pipeline()
            .script(&add, "{multi}:a", 2)
            .publish("multi", "news")
            .del(["{multi}:a", "{multi}:b"])
            .execute()
            .await
            .expect("it runs");
        assert_eq!((five, receivers, deleted), (5, 0, 2));
        let (): () = on.pipeline().execute().await.expect("nothing is run");
    });
}

#[test]
fn cp_05_keys_of_another_slot_are_named_before_anything_is_sent() {
    on_each_shared(|case| async move {
        let client = case.client().await;
        let on = client.transaction_on("{named}");
        for command in [
            cmd("INCR").arg("other:1"),
            cmd("MSET").arg(["{named}:a", "1", "other:1", "1"]),
        ] {
            let shown = command.to_string();
            let mut pipeline = on.pipeline();
            let refused = error(
                pipeline
                    .incr("{named}:n")
                    .run(command)
                    .execute::<()>()
                    .await,
            );
            assert!(refused.is_misuse(), "{refused:?}");
            assert_eq!(refused.command_number(), Some(2));
            let text = refused.to_string();
            let begin =
                format!("command 2 ({shown}) cannot be sent: the key other:1 is in another slot");
            assert!(text.starts_with(&begin), "{text}");
        }
        let refused = error(on.watch(["{named}:a", "other:2"]).await);
        assert!(
            refused.is_misuse() && refused.to_string().contains("other:2"),
            "{refused:?}"
        );
        assert!(error(on.watch(None::<&str>).await).is_misuse());
        let watch = on.watch("{named}:a").await.expect("it is watched");
        let refused = error(watch.get::<Option<i64>>("other:3").await);
        assert!(refused.is_misuse(), "{refused:?}");
        let text = refused.to_string();
        assert!(
            text.starts_with("GET other:3 cannot be run: the key other:3 "),
            "{text}"
        );
        let refused = error(watch.watch("other:4").await);
        assert!(
            refused.is_misuse() && refused.to_string().contains("other:4"),
            "{refused:?}"
        );
        // It is as good as before.
        let none: Option<i64> = watch.get("{named}:a").await.expect("it is read");
        assert_eq!(none, None);
        let refused = error(watch.multi().set("other:5", 1).execute::<()>().await);
        assert!(
            refused.is_misuse() && refused.to_string().contains("other:5"),
            "{refused:?}"
        );
        let closure = on.transaction("other:6", |_| async { Ok(()) });
        assert!(error(closure.await).is_misuse());
        let refused = error(
            on.pipeline()
                .transaction(false)
                .incr("{named}:n")
                .execute::<()>()
                .await,
        );
        assert!(refused.is_misuse(), "{refused:?}");
        assert_eq!(client.exists("{named}:n").await.expect("it is read"), 0);
    });
}

#[test]
fn cp_05_a_watched_key_that_changed_is_a_watch_error_and_what_is_dropped_is_reset() {
    on_each_shared(|case| async move {
        let client = case.client_with(case.config().max_own_connections(1)).await;
        let on = client.transaction_on("{watch}");
        client.set("{watch}:n", 1).await.expect("it is set");
        for changed in [false, true] {
            let watch = on.watch(["{watch}:n", "{watch}:m"]).await.expect("watched");
            let n: i64 = watch.get("{watch}:n").await.expect("it is read");
            if changed {
                client.set("{watch}:m", 1).await.expect("it is set");
            }
            let outcome = watch.multi().set("{watch}:n", n + 1).execute::<()>().await;
            if changed {
                let changed = error(outcome);
                assert_eq!(changed.kind(), ErrorKind::Watch);
                assert!(!changed.may_have_run());
            } else {
                outcome.expect("nothing has changed");
            }
            assert_eq!(client.get::<i64>("{watch}:n").await.expect("read"), 2);
        }
        // Dropped, it watches nothing any more, and its connection is the next one's.
        for _ in 0..3 {
            drop(on.watch("{watch}:n").await.expect("it is watched"));
            drop(on.watch("{watch}:n").await.expect("it is watched").multi());
        }
        let watch = on.watch("{watch}:n").await.expect("it is watched");
        let config = case.config().max_own_connections(1);
        let hurried = config.connect_timeout(Duration::from_millis(200));
        let other = case.client_with(hurried).await;
        let first = other
            .transaction_on("{watch}")
            .watch("{watch}:n")
            .await
            .expect("watched");
        // Those of all nodes count together.
        let refused = error(other.transaction_on("elsewhere").watch("elsewhere").await);
        assert_eq!(refused.kind(), ErrorKind::Timeout);
        assert!(
            refused.to_string().contains("max_own_connections"),
            "{refused}"
        );
        drop((watch, first));
        // EXEC with nothing queued still checks.
        let watch = on.watch("{watch}:n").await.expect("it is watched");
        watch
            .multi()
            .execute::<()>()
            .await
            .expect("nothing has changed");
        let watch = on.watch("{watch}:n").await.expect("it is watched");
        client.set("{watch}:n", 5).await.expect("it is set");
        assert!(error(watch.multi().execute::<()>().await).is_watch());
        client
            .del(["{watch}:n", "{watch}:m"])
            .await
            .expect("deleted");
    });
}

/// Adds one to each of two keys, with a transaction.
async fn add_to_both(client: &ClusterClient) -> Result<(i64, i64)> {
    let on = client.transaction_on("{both}");
    on.pipeline()
        .incr("{both}:a")
        .incr("{both}:b")
        .execute()
        .await
}

/// Adds one to a key, with what was read of it.
async fn count(client: &ClusterClient, runs: &AtomicU32) -> Result<i64> {
    let on = client.transaction_on("{both}");
    on.transaction("{both}:n", |watch| {
        runs.fetch_add(1, Ordering::Relaxed);
        async move {
            let n: Option<i64> = watch.get("{both}:n").await?;
            let n = n.unwrap_or(0) + 1;
            let (): () = watch.multi().set("{both}:n", n).execute().await?;
            Ok(n)
        }
    })
    .await
}

/// Has both run by some tasks while the cluster changes; gives the errors. What was confirmed is there, and no more than
/// what may have run.
async fn while_changing(
    case: &Case,
    change: impl FnOnce(&Cluster) + Send + 'static,
) -> Vec<tidings::Error> {
    let client = case.client().await;
    let changing = Changing::begin(case, change);
    let runs = Arc::new(AtomicU32::new(0));
    let mut tasks = JoinSet::new();
    for counts in [true, true, false, false] {
        let (client, over, runs) = (client.clone(), changing.over(), Arc::clone(&runs));
        tasks.spawn(async move {
            let (mut confirmed, mut errors, mut last) = (0, Vec::new(), false);
            while !last {
                last = over.load(Ordering::Relaxed);
                let outcome = match counts {
                    true => count(&client, &runs).await.map(|_| ()),
                    false => add_to_both(&client).await.map(|(a, b)| assert_eq!(a, b)),
                };
                match outcome {
                    Ok(()) => confirmed += 1,
                    Err(error) => errors.push(error),
                }
                // The servers need some time too.
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            (counts, confirmed, errors)
        });
    }
    let (mut confirmed, mut all, mut doubts) = ([0, 0], Vec::new(), [0, 0]);
    for (counts, ok, errors) in tasks.join_all().await {
        let at = usize::from(counts);
        confirmed[at] += ok;
        doubts[at] += errors.iter().filter(|it| it.may_have_run()).count() as i64;
        all.extend(errors);
    }
    changing.join();
    let runs = runs.load(Ordering::Relaxed);
    println!(
        "{confirmed:?} confirmed, {runs} runs, {} not: {:?}",
        all.len(),
        all.first()
    );
    let (a, b): (i64, i64) = client.mget(["{both}:a", "{both}:b"]).await.expect("read");
    assert_eq!(a, b);
    let n: i64 = client.get("{both}:n").await.expect("it is read");
    for (value, at) in [(a, 0), (n, 1)] {
        let most = confirmed[at] + doubts[at];
        assert!((confirmed[at]..=most).contains(&value), "{value} of {most}");
    }
    all
}

#[test]
fn cp_05_transactions_follow_a_slot_that_is_moved_key_by_key() {
    on_each_alone(|case| async move {
        let errors = while_changing(&case, |cluster| {
            for _ in 0..3 {
                let slot = slot_of("{both}");
                let target = other_than(cluster, &cluster.owner_of(slot));
                let slot_move = cluster.begin_slot_move(slot, &target);
                slot_move.open();
                while slot_move.move_keys(1) > 0 {
                    thread::sleep(Duration::from_millis(20));
                }
                slot_move.finish();
            }
        })
        .await;
        assert!(errors.is_empty(), "{errors:?}");
    });
}

#[test]
fn cp_05_transactions_follow_a_primary_that_hands_over_and_one_that_is_killed() {
    on_each_own(
        |builder| {
            builder
                .replicas(2)
                .node_timeout(Duration::from_millis(1500))
        },
        |case| async move {
            let errors = while_changing(&case, |cluster| {
                let primary = cluster.owner_of_key("{both}");
                let replicas = cluster.replicas_of(&primary);
                cluster.failover(&replicas[0], Failover::Graceful);
                let primary = cluster.owner_of_key("{both}");
                // What is confirmed the replicas have: nothing more is written then.
                primary.admin(["CLIENT", "PAUSE", "10000", "WRITE"]);
                primary.admin(["WAIT", "2", "10000"]);
                let _ = cluster.kill_and_fail_over(&primary);
            })
            .await;
            for error in &errors {
                assert!(error.may_have_run(), "{error:?}");
            }
            // One for each of the tasks.
            assert!(errors.len() <= 4, "{errors:?}");
        },
    );
}

/// A key that moves to another node, which is given.
fn move_away(case: &Case, key: &str) -> Arc<ClusterNode> {
    let slot = slot_of(key);
    let target = other_than(&case.cluster, &case.cluster.owner_of(slot));
    case.cluster.move_slot(slot, &target);
    target
}

#[test]
fn cp_05_a_watch_whose_slot_has_gone_is_a_watch_error_whatever_is_done_with_it() {
    on_each_alone(|case| async move {
        let client = case.client().await;
        let on = client.transaction_on("{gone}");
        for round in 0..5 {
            let watch = on.watch("{gone}:n").await.expect("it is watched");
            move_away(&case, "{gone}");
            let outcome = match round {
                0 => watch.get::<Option<i64>>("{gone}:n").await.map(|_| ()),
                1 => watch.watch("{gone}:m").await,
                2 => watch.multi().set("{gone}:n", 1).execute().await,
                // There is nothing in it that its node could refuse.
                3 => watch.multi().execute().await,
                _ => watch.multi().publish("gone", "news").execute().await,
            };
            let gone = error(outcome);
            assert!(gone.is_watch(), "{round}: {gone:?}");
            assert!(!gone.may_have_run());
            let moved = format!("{gone:#}");
            assert!(moved.contains("MOVED"), "{round}: {moved}");
        }
        let n: Option<i64> = client.get("{gone}:n").await.expect("it is read");
        assert_eq!(n, None);
    });
}

#[test]
fn cp_05_keys_of_a_slot_on_its_way_are_watched_where_they_are() {
    on_each_alone(|case| async move {
        let client = case.client().await;
        let on = client.transaction_on("{watched}");
        client.set("{watched}:n", 1).await.expect("it is set");
        let slot = slot_of("{watched}");
        let target = other_than(&case.cluster, &case.cluster.owner_of(slot));
        let slot_move = case.cluster.begin_slot_move(slot, &target);
        slot_move.open();
        let before = on.watch("{watched}:n").await.expect("it is there");
        slot_move.move_keys(1);
        assert!(error(before.multi().set("{watched}:n", 9).execute::<()>().await).is_watch());
        for changed in [false, true] {
            let watch = on.watch("{watched}:n").await.expect("it has gone ahead");
            let n: i64 = watch.get("{watched}:n").await.expect("it is read");
            watch.watch("{watched}:m").await.expect("it is watched too");
            let double = Script::new("return redis.call('GET', KEYS[1]) * 2");
            let doubled: i64 = double
                .run(&watch, "{watched}:n", None::<&str>)
                .await
                .expect("run");
            assert_eq!(doubled, 2 * n);
            if changed {
                client.set("{watched}:m", 1).await.expect("it is set there");
            }
            let mut multi = watch.multi();
            let outcome = multi
                .set("{watched}:n", n + 1)
                .get("{watched}:n")
                .execute::<(bool, i64)>();
            match outcome.await {
                Ok((_, now)) => assert!(!changed && now == n + 1),
                Err(error) => assert!(changed && error.is_watch(), "{error:?}"),
            }
        }
        slot_move.finish();
        let n: i64 = client.get("{watched}:n").await.expect("it is read");
        assert_eq!(n, 2);
    });
}
