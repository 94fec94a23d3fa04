//! CP-03: nodes that are lost under a pipeline.

use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use tidings::{ErrorKind, Value};
use tidings_testkit::{eventually, slot_of};

use crate::clusters::on_each_own;
use crate::support::{Appended, Changing, append, error, keys, on_each_alone};

#[test]
fn cp_03_a_primary_that_is_killed_fails_only_what_may_have_run_there_and_what_reads_is_read_elsewhere()
 {
    on_each_own(
        |builder| {
            builder
                .replicas(1)
                .node_timeout(Duration::from_millis(1500))
        },
        |case| async move {
            let client = case.client().await;
            let changing = Changing::begin(&case, |cluster| {
                thread::sleep(Duration::from_millis(200));
                let primary = cluster.owner_of(slot_of("killed:0"));
                // What is confirmed the replica has: nothing more is written then.
                primary.admin(["CLIENT", "PAUSE", "10000", "WRITE"]);
                primary.admin(["WAIT", "1", "10000"]);
                let _ = cluster.kill_and_fail_over(&primary);
            });
            let names = keys("killed", 30);
            let reading = {
                let (client, names, over) = (client.clone(), names.clone(), changing.over());
                tokio::spawn(async move {
                    while !over.load(Ordering::Relaxed) {
                        let mut pipeline = client.pipeline();
                        for key in &names {
                            pipeline.strlen(key).get(key);
                        }
                        let replies: Vec<Option<String>> = pipeline.execute().await.expect("read");
                        assert_eq!(replies.len(), 2 * names.len());
                    }
                })
            };
            let mut appended: Vec<Appended> = names.iter().map(|key| Appended::to(key)).collect();
            let errors = append(&client, &mut appended, &changing.over()).await;
            changing.join();
            reading.await.expect("all is read");
            println!("{} not confirmed: {:?}", errors.len(), errors.first());
            for lost in &errors {
                assert!(lost.may_have_run(), "{lost:?}");
                assert_eq!(lost.kind(), ErrorKind::Connection);
                assert!(lost.command_number().is_some());
            }
            // Those that were under way: two for each of its keys at most, and none of other nodes.
            assert!(errors.len() <= 2 * names.len());
            for it in &appended {
                it.check(&client).await;
            }
        },
    );
}

#[test]
fn cp_03_a_node_that_is_silent_fails_its_commands_and_those_of_the_others_have_their_replies() {
    on_each_alone(|case| async move {
        let config = case.config().response_timeout(Duration::from_millis(500));
        let client = case.client_with(config).await;
        let names = keys("silent", 30);
        let mut pipeline = client.pipeline();
        for key in &names {
            pipeline.set(key, 1);
        }
        let (): () = pipeline.execute().await.expect("they are set");
        let silent = case.cluster.owner_of_key(&names[0]);
        let _frozen = silent.freeze();
        for key in &names {
            pipeline.incr(key);
        }
        let outcomes = pipeline.execute_each().await.expect("a pipeline");
        for (n, (key, outcome)) in names.iter().zip(outcomes).enumerate() {
            if case.cluster.owner_of_key(key) != silent {
                assert_eq!(outcome.expect("it is run"), Value::Integer(2));
                continue;
            }
            let late = error(outcome);
            assert_eq!(late.kind(), ErrorKind::Timeout, "{late:?}");
            assert_eq!(late.command_number(), Some(n + 1));
            assert!(late.may_have_run());
        }
    });
}

#[cfg(target_os = "linux")]
#[test]
fn cp_03_a_connection_that_is_cut_loses_no_reply_that_came_and_what_had_not_left_is_sent_again() {
    const APPENDS: usize = 6000;
    on_each_own(
        |builder| builder.behind_proxies(),
        |case| async move {
            let client = case.client().await;
            // Some replies come, and none behind them.
            let names = keys("cut", 60);
            let first = case.cluster.owner_of_key(&names[0]);
            let mut pipeline = client.pipeline();
            for key in &names {
                pipeline.set(key, 0);
            }
            let (): () = pipeline.execute().await.expect("they are set");
            for key in &names {
                pipeline.incr(key).get(key);
            }
            // Ten replies to INCR and GET of one digit.
            first.proxy().cut_after(5 * (4 + 7));
            let outcomes = pipeline.execute_each().await.expect("a pipeline");
            let mut there = 0;
            for (key, pair) in names.iter().zip(outcomes.chunks(2)) {
                let get = pair[1].as_ref().expect("it only reads");
                assert_eq!(get, &Value::Bytes("1".into()), "{key}");
                there += usize::from(case.cluster.owner_of_key(key) == first);
                match &pair[0] {
                    Ok(incremented) => assert_eq!(*incremented, Value::Integer(1)),
                    Err(lost) => {
                        assert!(there > 5 && lost.may_have_run(), "{key}: {lost:?}");
                        assert_eq!(lost.kind(), ErrorKind::Connection);
                    }
                }
            }
            let lost = outcomes.iter().filter(|outcome| outcome.is_err()).count();
            assert_eq!(lost, there - 5);

            // More than sockets hold, of which a part leaves.
            let node = case.cluster.owner_of_key("{cut}");
            node.proxy().throttle(2_000_000);
            let mut appended = Appended::to("{cut}:log");
            let padding = "x".repeat(2000);
            for n in 0..APPENDS {
                pipeline.append("{cut}:log", appended.word(n));
                pipeline.set("{cut}:padding", &padding);
            }
            let before = node.proxy().bytes_to_server();
            let cutting = thread::spawn(move || {
                eventually("a part has left", || {
                    node.proxy().bytes_to_server() > before + 2_000_000
                });
                node.proxy().heal();
                node.proxy().cut();
            });
            let outcomes = pipeline.execute_each().await.expect("a pipeline");
            cutting.join().expect("it is cut");
            for pair in outcomes.chunks(2) {
                appended.note(&pair[0]);
            }
            let (confirmed, not) = (appended.count(true), appended.count(false));
            println!("{confirmed} confirmed, {not} not");
            assert!(confirmed > APPENDS / 5 && not > 0 && not < APPENDS / 2);
            assert!(outcomes.last().is_some_and(Result::is_ok));
            appended.check(&client).await;
        },
    );
}
