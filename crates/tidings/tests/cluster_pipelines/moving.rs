//! CP-03: slots that move under a pipeline.

use std::thread;
use std::time::Duration;

use tidings::{Commands, Script, Value};
use tidings_testkit::{Cluster, Failover, slot_of};

use crate::clusters::{Case, on_each_own};
use crate::support::{Appended, Changing, append, error, keys, on_each_alone, other_than};

/// Runs pipelines that append to these keys while something is done to the cluster, and checks that each word is there once,
/// in its order. Gives the number of those that were not confirmed.
async fn appending(
    case: &Case,
    keys: &[String],
    change: impl FnOnce(&Cluster) + Send + 'static,
) -> usize {
    let client = case.client().await;
    let changing = Changing::begin(case, change);
    let mut appended: Vec<Appended> = keys.iter().map(|key| Appended::to(key)).collect();
    let errors = append(&client, &mut appended, &changing.over()).await;
    changing.join();
    let confirmed: usize = appended.iter().map(|it| it.count(true)).sum();
    println!(
        "{confirmed} confirmed, {} not: {:?}",
        errors.len(),
        errors.first()
    );
    for it in &appended {
        it.check(&client).await;
    }
    assert!(confirmed > keys.len());
    errors.len()
}

#[test]
fn cp_03_a_slot_that_is_moved_key_by_key_loses_nothing_and_keeps_the_order_of_each_key() {
    on_each_alone(|case| async move {
        // Most of them in the slot that moves.
        let mut names: Vec<String> = (0..12).map(|n| format!("{{steps}}:{n}")).collect();
        names.extend(keys("steps", 12));
        let not_confirmed = appending(&case, &names, |cluster| {
            for _ in 0..3 {
                let slot = slot_of("{steps}");
                let target = other_than(cluster, &cluster.owner_of(slot));
                let slot_move = cluster.begin_slot_move(slot, &target);
                slot_move.open();
                while slot_move.move_keys(1) > 0 {
                    thread::sleep(Duration::from_millis(3));
                }
                slot_move.finish();
            }
        })
        .await;
        assert_eq!(not_confirmed, 0);
    });
}

#[test]
fn cp_03_many_slots_that_move_at_a_time_are_followed() {
    on_each_alone(|case| async move {
        let not_confirmed = appending(&case, &keys("many", 60), |cluster| {
            let target = other_than(cluster, &cluster.owner_of(0));
            cluster.move_slots(0..=400, &target);
            if cluster.supports_atomic_migration() {
                let back = other_than(cluster, &target);
                cluster.move_slots_atomically(0..=400, &back);
            }
        })
        .await;
        assert_eq!(not_confirmed, 0);
    });
}

#[test]
fn cp_03_keys_of_a_slot_on_its_way_are_asked_for_at_both_ends_in_one_pipeline() {
    on_each_alone(|case| async move {
        let client = case.client().await;
        let keys: Vec<String> = (0..10).map(|n| format!("{{ends}}:{n}")).collect();
        let mut pipeline = client.pipeline();
        for key in &keys[..6] {
            pipeline.set(key, 0);
        }
        let (): () = pipeline.execute().await.expect("they are set");
        let slot = slot_of("{ends}");
        let target = other_than(&case.cluster, &case.cluster.owner_of(slot));
        let slot_move = case.cluster.begin_slot_move(slot, &target);
        slot_move.open();
        slot_move.move_keys(3);
        let add = Script::new("return redis.call('INCRBY', KEYS[1], ARGV[1])");
        for key in &keys {
            pipeline
                .incr(key)
                .script(&add, key, 10)
                .get(key)
                .incr("ends");
        }
        let replies: Vec<i64> = pipeline.execute().await.expect("all are run");
        for (n, four) in (1..).zip(replies.chunks(4)) {
            assert_eq!(four, [1, 11, 11, n]);
        }
        // Of several keys only some are there: it is tried until the slot has arrived, and what is behind it is done.
        let reading = {
            let (client, keys) = (client.clone(), keys.clone());
            tokio::spawn(async move {
                let mut pipeline = client.pipeline();
                pipeline.incr("ends").mget(&keys).get(&keys[0]).incr("ends");
                pipeline.execute::<(i64, Vec<i64>, i64, i64)>().await
            })
        };
        tokio::time::sleep(Duration::from_millis(50)).await;
        slot_move.finish();
        let replies = reading.await.expect("no panic").expect("all are run");
        assert_eq!(replies, (11, vec![11; 10], 11, 12));
    });
}

#[test]
fn cp_03_what_a_later_command_has_overtaken_says_so_and_is_not_run() {
    on_each_alone(|case| async move {
        let client = case.client().await;
        let (ok, _): (bool, bool) = client
            .pipeline()
            .set("{over}:gone", 1)
            .set("{over}:there", 1)
            .execute()
            .await
            .expect("they are set");
        assert!(ok);
        let slot = slot_of("{over}");
        let target = other_than(&case.cluster, &case.cluster.owner_of(slot));
        let slot_move = case.cluster.begin_slot_move(slot, &target);
        slot_move.open();
        // One of the two keys goes.
        slot_move.move_keys(1);
        let here = slot_move
            .source()
            .cli(["CLUSTER", "GETKEYSINSLOT", &slot.to_string(), "9"]);
        let outcomes = client
            .pipeline()
            .mset([("{over}:gone", 2), ("{over}:there", 2)])
            .append(&here, 3)
            .execute_each()
            .await
            .expect("a pipeline");
        let [Err(overtaken), Ok(Value::Integer(2))] = &outcomes[..] else {
            panic!("{outcomes:?}")
        };
        assert_eq!(overtaken.code(), Some("TRYAGAIN"), "{overtaken}");
        assert_eq!(overtaken.command_number(), Some(1));
        assert!(!overtaken.may_have_run());
        let text = overtaken.to_string();
        assert!(
            text.contains("command 2 has run, on the same key"),
            "{text}"
        );
        slot_move.finish();
        let values: Vec<i64> = client
            .mget(["{over}:gone", "{over}:there"])
            .await
            .expect("read");
        assert!(values == [1, 13] || values == [13, 1], "{values:?}");
    });
}

#[test]
fn cp_03_a_primary_that_hands_over_loses_nothing() {
    on_each_own(
        |builder| builder.replicas(1),
        |case| async move {
            let not_confirmed = appending(&case, &keys("handed", 30), |cluster| {
                for _ in 0..2 {
                    let primary = cluster.owner_of(0);
                    let replicas = cluster.replicas_of(&primary);
                    cluster.failover(&replicas[0], Failover::Graceful);
                }
            })
            .await;
            // The connections to what is a replica then stay, and say where to go.
            assert_eq!(not_confirmed, 0);
        },
    );
}

#[test]
fn cp_03_a_slot_that_is_nobodys_is_waited_for_no_longer_than_an_answer_may_take() {
    on_each_alone(|case| async move {
        let config = case.config().response_timeout(Duration::from_millis(700));
        let client = case.client_with(config).await;
        let slot = slot_of("nobodys");
        let owner = case.cluster.owner_of(slot);
        case.cluster.delete_slots(slot..=slot);
        let mut pipeline = client.pipeline();
        pipeline
            .incr("served:1")
            .incr("nobodys")
            .incr("served:2")
            .incr("nobodys");
        let outcomes = pipeline.execute_each().await.expect("a pipeline");
        assert!(outcomes[0].is_ok() && outcomes[2].is_ok(), "{outcomes:?}");
        for number in [2, 4] {
            let refused = error(outcomes[number - 1].clone());
            assert_eq!(refused.code(), Some("CLUSTERDOWN"), "{refused:?}");
            assert_eq!(refused.command_number(), Some(number));
            assert!(!refused.may_have_run());
        }
        case.cluster.add_slots(slot..=slot, &owner);
        let n: (i64, i64) = client
            .pipeline()
            .incr("nobodys")
            .incr("nobodys")
            .execute()
            .await
            .expect("it is served again");
        assert_eq!(n, (1, 2));
    });
}
