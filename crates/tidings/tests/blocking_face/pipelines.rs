//! Pipelines, watched keys and scripts.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tidings::{Script, ServerError, cmd};

use crate::*;

#[test]
fn pl_01_chained_commands_are_answered_together_in_the_types_that_are_asked_for() {
    on_each(|case| {
        let client = client(&case);
        let replies: (bool, bool, i64) = client
            .pipeline()
            .set("foo", "bar")
            .sadd("faz", "baz")
            .incr("n")
            .execute()
            .unwrap();
        assert_eq!(replies, (true, true, 1));

        let mut pipeline = client.pipeline();
        pipeline.transaction(false);
        assert!(pipeline.is_empty());
        for n in 0..1000 {
            pipeline.run(cmd("ECHO").arg(n));
        }
        assert_eq!(pipeline.len(), 1000);
        let echoes: Vec<u32> = pipeline.execute().unwrap();
        assert_eq!(echoes, (0..1000).collect::<Vec<u32>>());
        assert!(pipeline.is_empty());
        let (): () = pipeline.execute().unwrap();

        let mut pipeline = client.pipeline();
        let each = pipeline
            .set("foo", "bar")
            .incr("foo")
            .execute_each()
            .unwrap();
        assert!(each[0].is_ok(), "{each:?}");
        assert_eq!(each[1].as_ref().unwrap_err().command_number(), Some(2));
        let failed = error(pipeline.get("foo").incr("foo").execute::<(String, i64)>());
        assert!(failed.to_string().starts_with("command 2 (INCR foo)"));
        assert!(error(client.pipeline().run(cmd("MULTI")).execute::<()>()).is_misuse());
    });
}

#[test]
fn pl_05_a_watched_key_that_changed_is_a_watch_error_and_nothing_ran() {
    on_each(|case| {
        let client = client(&case);
        for interfered in [false, true] {
            client.set("seq", 1).unwrap();
            let watch = client.watch("seq").unwrap();
            watch.watch("other").unwrap();
            let current: i64 = watch.get("seq").unwrap();
            if interfered {
                client.set("other", 1).unwrap();
            }
            let outcome = watch.multi().set("seq", current + 1).execute::<()>();
            assert_eq!(outcome.is_err_and(|error| error.is_watch()), interfered);
            let seq: i64 = client.get("seq").unwrap();
            assert_eq!(seq, if interfered { 1 } else { 2 });
        }
        assert!(error(client.watch(None::<&str>)).is_misuse());
        drop(client.watch("seq").unwrap());
        drop(client.watch("seq").unwrap().multi());
        eventually("nothing is watched", || {
            let list = case.server.cli(["CLIENT", "LIST"]);
            list.lines().all(|line| {
                line.contains(" flags=N ")
                    && (line.contains(" watch=0 ") || !line.contains(" watch="))
            })
        });
    });
}

#[test]
fn pl_07_eight_threads_count_exactly() {
    on_each(|case| {
        let client = client(&case);
        let runs = Arc::new(AtomicU32::new(0));
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let (client, runs) = (client.clone(), Arc::clone(&runs));
                thread::spawn(move || {
                    let count = |watch: tidings::blocking::Watch| {
                        runs.fetch_add(1, Ordering::Relaxed);
                        let current: Option<i64> = watch.get("seq")?;
                        let next = current.unwrap_or(0) + 1;
                        watch.multi().set("seq", next).execute::<()>()?;
                        Ok(next)
                    };
                    (0..25)
                        .map(|_| client.transaction(["seq"], count).unwrap())
                        .collect::<Vec<i64>>()
                })
            })
            .collect();
        let mut seen: Vec<i64> = threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect();
        seen.sort_unstable();
        assert_eq!(seen, (1..=200).collect::<Vec<_>>());
        assert_eq!(client.get::<i64>("seq").unwrap(), 200);
        assert!(runs.load(Ordering::Relaxed) >= 200);
    });
}

#[test]
fn pl_07_it_stops_after_so_many_attempts_and_other_errors_come_out_at_once() {
    on_each(|case| {
        let client = client(&case);
        let mut runs = 0;
        let outcome = client.transaction_with_attempts(3, "seq", |watch| {
            runs += 1;
            client.incr("seq")?;
            watch.multi().incr("seq").execute::<()>()
        });
        assert!(error(outcome).is_watch());
        assert_eq!((runs, client.get::<i64>("seq").unwrap()), (3, 3));

        // It is its own rival.
        runs = 0;
        let outcome = client.transaction("seq", |watch| {
            runs += 1;
            watch.incr("seq")?;
            watch.multi().incr("seq").execute::<()>()
        });
        assert!(error(outcome).to_string().contains("before multi()"));
        assert_eq!(runs, 16);

        runs = 0;
        let outcome = client.transaction("seq", |watch| {
            runs += 1;
            watch.lpush("seq", 1)
        });
        assert_eq!(error(outcome).kind(), ErrorKind::Server);
        assert_eq!(runs, 1);
    });
}

#[test]
fn pl_07_a_transaction_may_stand_within_another_one() {
    on_each(|case| {
        let client = client(&case);
        let count = |key: &'static str| {
            move |watch: tidings::blocking::Watch| {
                let current: Option<i64> = watch.get(key)?;
                watch
                    .multi()
                    .set(key, current.unwrap_or(0) + 1)
                    .execute::<()>()
            }
        };
        let outcome = client.transaction("outer", |watch| {
            client.transaction("inner", count("inner"))?;
            count("outer")(watch)
        });
        outcome.unwrap();
        let both: (i64, i64) = client.mget(["outer", "inner"]).unwrap();
        assert_eq!(both, (1, 1));
    });
}

#[test]
fn pl_08_a_script_runs_by_its_digest_and_is_loaded_where_it_is_unknown() {
    on_each(|case| {
        let client = client(&case);
        let add = Script::new("return redis.call('INCRBY', KEYS[1], ARGV[1])");
        let loaded = ["eval 1", "evalsha 1", "incrby 1"];
        let known = ["evalsha 1", "incrby 1"];
        for (expected, ran) in [(2, loaded.as_slice()), (4, &known)] {
            case.forget_commands();
            let sum: i64 = add.run(&client, "n", 2).unwrap();
            assert_eq!(sum, expected);
            let mut run = case.commands_run();
            // The client makes another connection meanwhile.
            run.retain(|command| !command.starts_with("hello") && !command.starts_with("client"));
            assert_eq!(run, ran);
        }
        let watch = client.watch("n").unwrap();
        assert_eq!(add.run::<i64, _, _, _>(&watch, "other", 3).unwrap(), 3);
        let read = Script::new("return redis.call('GET', KEYS[1])");
        let n: i64 = read.run_ro(&watch, "n", None::<&str>).unwrap();
        let sums: (i64, i64) = watch
            .multi()
            .script(&add, "n", n)
            .script(&add, "n", 1)
            .execute()
            .unwrap();
        assert_eq!(sums, (8, 9));

        let fails = Script::new("return redis.error_reply('TOOMUCH of ' .. ARGV[1])");
        for _ in 0..2 {
            let failed = error(fails.run::<(), _, _, _>(&client, "n", "tea"));
            assert_eq!(failed.code(), Some("TOOMUCH"));
            let value: Result<i64, ServerError> = fails.run(&client, "n", "tea").unwrap();
            assert_eq!(value.unwrap_err().message(), "TOOMUCH of tea");
        }
    });
}
