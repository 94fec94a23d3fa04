//! Scripts on real servers: SPEC item PL-08.

mod support;

use std::panic::{self, AssertUnwindSafe};

use support::{error, on_each};
use tidings::{Client, Commands, ErrorKind, Script, ServerError, Value};

const NONE: Option<&str> = None;

fn adding() -> Script {
    Script::new("return redis.call('INCRBY', KEYS[1], ARGV[1])")
}

#[test]
fn pl_08_a_script_runs_by_its_digest_and_is_loaded_where_it_is_unknown() {
    on_each(async |case| {
        let client = case.client().await;
        let add = adding();
        let loaded = ["eval 1", "evalsha 1", "incrby 1"];
        let known = ["evalsha 1", "incrby 1"];
        for (expected, ran) in [(2, loaded.as_slice()), (4, &known), (6, &known)] {
            case.forget_commands();
            let sum: i64 = add.run(&client, "n", 2).await.unwrap();
            assert_eq!(sum, expected);
            assert_eq!(case.commands_run(), ran);
        }
        case.server.admin(["SCRIPT", "FLUSH"]);
        case.forget_commands();
        let sum: i64 = add.clone().run(&client, "n", 2).await.unwrap();
        assert_eq!(sum, 8);
        assert_eq!(case.commands_run(), loaded);

        // What another client has loaded is known to all.
        let other = Script::new("return 'loaded'");
        let digest = case.server.cli(["SCRIPT", "LOAD", other.source()]);
        assert_eq!(digest, other.digest());
        case.forget_commands();
        let text: String = other.run(&client, NONE, NONE).await.unwrap();
        assert_eq!(text, "loaded");
        assert_eq!(case.commands_run(), ["evalsha 1"]);
    });
}

#[test]
fn pl_08_what_a_script_returns_decodes_as_any_reply() {
    on_each(async |case| {
        let client = case.client().await;
        let run = async |source| {
            let script = Script::new(source);
            script.run::<Value, _, _, _>(&client, NONE, NONE).await
        };
        assert_eq!(run("return 3.9").await.unwrap().as_integer(), Some(3));
        assert!(run("return nil").await.unwrap().is_null());
        assert!(run("return false").await.unwrap().is_null());
        let list = Script::new("return {KEYS, ARGV, #KEYS, {'a', {1}}}");
        type List = (Vec<String>, Vec<i64>, usize, (String, Vec<u32>));
        let list: List = list.run(&client, ["k", "l"], [1, 2, 3]).await.unwrap();
        let keys = vec!["k".to_owned(), "l".to_owned()];
        assert_eq!(list, (keys, vec![1, 2, 3], 2, ("a".to_owned(), vec![1])));
        let nothing = Script::new("return nil");
        let nothing: Option<i64> = nothing.run(&client, NONE, NONE).await.unwrap();
        assert_eq!(nothing, None);
        let status = Script::new("return redis.status_reply('FINE')");
        let status: String = status.run(&client, NONE, NONE).await.unwrap();
        assert_eq!(status, "FINE");
    });
}

#[test]
fn pl_08_keys_and_arguments_are_any_bytes() {
    on_each(async |case| {
        let client = case.client().await;
        let script = Script::new(
            "redis.call('SET', KEYS[1], ARGV[1]) return {redis.call('GET', KEYS[1]), KEYS[1]}",
        );
        let (key, value) = (b"\x00k\r\n\xff", vec![b'\xfe'; 70_000]);
        // Loaded with EVAL, and then by its digest.
        for _ in 0..2 {
            let (read, name): (Vec<u8>, Vec<u8>) =
                script.run(&client, key, value.as_slice()).await.unwrap();
            assert_eq!((read, name.as_slice()), (value.clone(), key.as_slice()));
        }
        assert_eq!(client.get::<Vec<u8>>(key).await.unwrap(), value);
    });
}

#[test]
fn pl_08_errors_of_a_script_have_the_servers_text_and_it_runs_once() {
    on_each(async |case| {
        let client = case.client().await;
        client.set("text", "abc").await.unwrap();
        let own = Script::new(
            "redis.call('INCR', KEYS[1]) return redis.error_reply('TOOMUCH no more of ' .. ARGV[1])",
        );
        for times in 1..=2 {
            let failed = error(own.run::<(), _, _, _>(&client, "runs", "tea").await);
            assert_eq!(failed.kind(), ErrorKind::Server);
            assert_eq!(failed.code(), Some("TOOMUCH"));
            assert!(
                failed.to_string().contains("TOOMUCH no more of tea"),
                "{failed}"
            );
            assert_eq!(client.get::<i64>("runs").await.unwrap(), times);
        }
        // The same as a value.
        let value: Result<i64, ServerError> = own.run(&client, "runs", "tea").await.unwrap();
        assert_eq!(value.unwrap_err().message(), "TOOMUCH no more of tea");
        case.server.admin(["SCRIPT", "FLUSH"]);
        let value: Result<i64, ServerError> = own.run(&client, "runs", "tea").await.unwrap();
        assert_eq!(value.unwrap_err().code(), "TOOMUCH");
        assert_eq!(client.get::<i64>("runs").await.unwrap(), 4);

        let failed = error(adding().run::<i64, _, _, _>(&client, "text", 1).await);
        assert_eq!(failed.kind(), ErrorKind::Server);
        assert!(failed.to_string().contains("not an integer"), "{failed}");
        let broken = Script::new("return return");
        let failed = error(broken.run::<i64, _, _, _>(&client, NONE, NONE).await);
        assert!(failed.to_string().contains("compiling script"), "{failed}");
        let failed = error(own.run::<i64, _, _, _>(&client, NONE, NONE).await);
        assert_eq!(failed.kind(), ErrorKind::Server);
    });
}

#[test]
fn pl_08_a_script_that_may_only_read_changes_nothing() {
    on_each(async |case| {
        let client = case.client().await;
        client.set("a", 7).await.unwrap();
        let read = Script::new("return redis.call('GET', KEYS[1])");
        case.forget_commands();
        assert_eq!(
            read.run_ro::<i64, _, _, _>(&client, "a", NONE)
                .await
                .unwrap(),
            7
        );
        assert_eq!(case.commands_run(), ["eval_ro 1", "evalsha_ro 1", "get 1"]);
        case.forget_commands();
        assert_eq!(
            read.run_ro::<i64, _, _, _>(&client, "a", NONE)
                .await
                .unwrap(),
            7
        );
        assert_eq!(case.commands_run(), ["evalsha_ro 1", "get 1"]);
        for _ in 0..2 {
            let failed = error(adding().run_ro::<i64, _, _, _>(&client, "a", 1).await);
            assert!(failed.to_string().contains("read-only"), "{failed}");
        }
        assert_eq!(client.get::<i64>("a").await.unwrap(), 7);
    });
}

#[test]
fn pl_08_many_tasks_run_one_script_at_once() {
    on_each(async |case| {
        let client = case.client().await;
        let script = adding();
        let mut tasks = tokio::task::JoinSet::new();
        for n in 1..=50 {
            let (client, script): (Client, _) = (client.clone(), script.clone());
            // A task takes only what can be sent to another thread.
            tasks.spawn(async move { script.run::<i64, _, _, _>(&client, "n", n).await });
        }
        while let Some(sum) = tasks.join_next().await {
            sum.unwrap().unwrap();
        }
        assert_eq!(client.get::<i64>("n").await.unwrap(), 1275);
    });
}

#[test]
fn pl_08_a_script_that_nobody_polls_is_not_run() {
    on_each(async |case| {
        let client = case.client().await;
        case.forget_commands();
        let run = adding();
        drop(run.run::<i64, _, _, _>(&client, "n", 1));
        client.ping().await.unwrap();
        assert_eq!(case.commands_run(), ["ping 1"]);
    });
}

#[test]
fn pl_08_a_script_reads_what_is_watched() {
    on_each(async |case| {
        let client = case.client().await;
        let read = Script::new("return redis.call('GET', KEYS[1])");
        for interfered in [false, true] {
            client.set("n", 1).await.unwrap();
            let watch = client.watch("n").await.unwrap();
            let n: i64 = read.run(&watch, "n", NONE).await.unwrap();
            if interfered {
                client.set("n", 7).await.unwrap();
            }
            let outcome = watch.multi().set("n", n + 1).execute::<()>().await;
            assert_eq!(outcome.is_err_and(|error| error.is_watch()), interfered);
            let n: i64 = client.get("n").await.unwrap();
            assert_eq!(n, if interfered { 7 } else { 2 });
        }
    });
}

#[test]
fn pl_08_in_a_pipeline_a_script_runs_by_its_digest_whether_it_is_known_or_not() {
    on_each(async |case| {
        let client = case.client().await;
        let add = adding();
        for transaction in [true, false] {
            for flush in [true, false] {
                if flush {
                    case.server.admin(["SCRIPT", "FLUSH"]);
                }
                client.set("n", 0).await.unwrap();
                case.forget_commands();
                let mut pipeline = client.pipeline();
                pipeline
                    .transaction(transaction)
                    .get("n")
                    .script(&add, "n", 1)
                    .script(&add, "n", 2)
                    .get("n");
                assert_eq!(pipeline.len(), 4);
                let replies: [i64; 4] = pipeline.execute().await.unwrap();
                assert_eq!(replies, [0, 1, 3, 3]);
                let ran = case.commands_run();
                assert!(ran.contains(&"evalsha 2".to_owned()), "{ran:?}");
                assert!(ran.contains(&"script|load 1".to_owned()), "{ran:?}");
            }
        }
    });
}

#[test]
fn pl_08_in_a_pipeline_the_error_of_a_script_is_that_of_its_command() {
    on_each(async |case| {
        let client = case.client().await;
        let wrong = Script::new("this is not Lua");
        let fails = Script::new("return redis.call('INCR', KEYS[1])");
        client.set("text", "text").await.unwrap();
        for transaction in [true, false] {
            let mut pipeline = client.pipeline();
            pipeline.transaction(transaction).get("text");
            pipeline
                .script(&fails, "text", NONE)
                .script(&wrong, NONE, NONE)
                .get("text");
            let each = pipeline.execute_each().await.unwrap();
            assert_eq!(each.len(), 4);
            assert!(each[0].is_ok() && each[3].is_ok());
            let text = |n: usize| each[n].as_ref().unwrap_err().to_string();
            assert!(text(1).starts_with("command 2 (EVALSHA "), "{}", text(1));
            assert!(text(1).contains("not an integer"), "{}", text(1));
            assert!(text(2).starts_with("command 3 (EVALSHA "), "{}", text(2));
            assert!(text(2).contains("compiling"), "{}", text(2));
        }
    });
}

#[test]
fn pl_08_arguments_that_panic_on_their_way_into_a_pipeline_leave_it_in_step() {
    on_each(async |case| {
        let client = case.client().await;
        let (add, other) = (adding(), Script::new("return 'other'"));
        for transaction in [true, false] {
            client.set("n", 0).await.unwrap();
            let mut pipeline = client.pipeline();
            pipeline.transaction(transaction).incr("n");
            let broken = |_| -> i64 { panic!("no argument") };
            let added = panic::catch_unwind(AssertUnwindSafe(|| {
                pipeline.script(&add, "n", (0..2).map(broken));
            }));
            assert!(added.is_err());
            let added = panic::catch_unwind(AssertUnwindSafe(|| {
                pipeline.rpush("list", (0..2).map(broken));
            }));
            assert!(added.is_err());
            assert_eq!(pipeline.len(), 1);
            pipeline.script(&other, NONE, NONE).script(&add, "n", 5);
            let replies: (i64, String, i64) = pipeline.execute().await.unwrap();
            assert_eq!(replies, (1, "other".to_owned(), 6));
        }
        assert_eq!(client.exists("list").await.unwrap(), 0);
    });
}
