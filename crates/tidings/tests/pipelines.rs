//! Pipelines and transactions on one server: SPEC items PL-01 to PL-04 and PL-09.

mod support;

use support::{Case, error, on_each};
use tidings::{Client, Commands, Error, ErrorKind, Pipeline, Value, cmd};

#[test]
fn pl_01_chained_commands_have_one_reply_each_in_order() {
    on_each(async |case| {
        let client = case.client().await;
        for transaction in [true, false] {
            client.run::<()>(cmd("FLUSHALL")).await.unwrap();
            client.set("auto_number", 5).await.unwrap();
            let (ok, added, n): (bool, i64, i64) = client
                .pipeline()
                .transaction(transaction)
                .set("foo", "bar")
                .sadd("faz", "baz")
                .incr("auto_number")
                .execute()
                .await
                .unwrap();
            assert_eq!((ok, added, n), (true, 1, 6));

            let mut pipeline = client.pipeline();
            pipeline.transaction(transaction);
            for n in 0..1000 {
                pipeline.set(format!("key:{n}"), n);
                pipeline.get(format!("key:{n}"));
            }
            assert_eq!(pipeline.len(), 2000);
            let replies: Vec<String> = pipeline.execute().await.unwrap();
            assert_eq!(replies.len(), 2000);
            for (n, pair) in replies.chunks(2).enumerate() {
                assert_eq!((&*pair[0], &*pair[1]), ("OK", &*n.to_string()));
            }
            // It is empty now, and can be used again.
            assert!(pipeline.is_empty());
            let [one, two]: [i64; 2] = pipeline.incr("a").incr("a").execute().await.unwrap();
            assert_eq!((one, two), (1, 2));
            let (): () = pipeline.get("a").del(["a", "b"]).execute().await.unwrap();
        }
    });
}

#[test]
fn pl_03_the_first_error_says_which_command_it_was_and_the_others_ran() {
    on_each(async |case| {
        let client = case.client().await;
        for transaction in [true, false] {
            client.set("c", "text").await.unwrap();
            let mut pipeline = client.pipeline();
            pipeline.transaction(transaction);
            let fill = |pipeline: &mut Pipeline| {
                pipeline
                    .set("a", 1)
                    .get("a")
                    .run(cmd("LPUSH").arg("c").arg(3))
                    .incr("d");
            };
            fill(&mut pipeline);
            let error = error(pipeline.execute::<()>().await);
            assert_eq!(error.kind(), ErrorKind::Server);
            assert_eq!(error.code(), Some("WRONGTYPE"));
            assert_eq!(error.command_number(), Some(3));
            assert!(
                error
                    .to_string()
                    .starts_with("command 3 (LPUSH c 3) failed: "),
                "{error}"
            );
            assert!(client.get::<i64>("d").await.unwrap() > 0);

            fill(&mut pipeline);
            let each = pipeline.execute_each().await.unwrap();
            assert_eq!(each.len(), 4);
            assert!(each[0].is_ok() && each[1].is_ok() && each[3].is_ok());
            let error = each[2].as_ref().unwrap_err();
            assert!(
                error
                    .to_string()
                    .starts_with("command 3 (LPUSH c 3) failed: "),
                "{error}"
            );
        }
    });
}

/// Fills and executes a pipeline in both modes; gives the errors, of `execute` and of `execute_each` at this place.
async fn errors(client: &Client, at: usize, fill: impl Fn(&mut Pipeline)) -> Vec<Error> {
    let mut errors = Vec::new();
    for transaction in [true, false] {
        let mut pipeline = client.pipeline();
        pipeline.transaction(transaction);
        fill(&mut pipeline);
        errors.push(error(pipeline.execute::<Vec<Value>>().await));
        fill(&mut pipeline);
        let mut each = pipeline.execute_each().await.unwrap();
        errors.push(error(each.swap_remove(at)));
        assert!(each.iter().all(Result::is_ok), "{each:?}");
    }
    errors
}

#[test]
fn pl_03_errors_show_no_secret_and_no_more_than_a_hundred_characters_of_a_command() {
    on_each(async |case| {
        let client = case.client().await;
        client.set("c", "text").await.unwrap();
        let long = "x".repeat(1000);
        for error in errors(&client, 1, |it| {
            it.ping().run(cmd("LPUSH").arg("c").arg(&long));
        })
        .await
        {
            let text = error.to_string();
            let (number, rest) = text.split_once(" (").unwrap();
            let shown = rest.split(") failed: ").next().unwrap();
            assert_eq!(number, "command 2");
            assert!(shown.starts_with("LPUSH c xxx"), "{text}");
            assert!((90..=103).contains(&shown.chars().count()), "{text}");
        }
        for error in errors(&client, 0, |it| {
            it.run(cmd("CONFIG").arg(["SET", "requirepass", "pssst", "maxmemory", "much"]))
                .run(cmd("PING"));
        })
        .await
        {
            assert_eq!(error.command_number(), Some(1));
            let shown = format!("{error} {error:?}");
            assert!(
                shown.contains("CONFIG SET requirepass _") && !shown.contains("pssst"),
                "{shown}"
            );
        }
        let secret = cmd("ACL").arg(["SETUSER", "bob", ">pssst", "nonsense"]);
        for error in errors(&client, 0, |it| {
            it.run(secret.clone());
        })
        .await
        {
            let shown = format!("{error} {error:?}");
            assert!(
                shown.contains("command 1 (ACL SETUSER bob") && !shown.contains("pssst"),
                "{shown}"
            );
        }
        // Nothing was set, and no connection was lost over all that.
        client.ping().await.unwrap();
    });
}

#[test]
fn pl_03_a_reply_of_another_type_says_whose_it_is() {
    on_each(async |case| {
        let client = case.client().await;
        for transaction in [true, false] {
            let mut pipeline = client.pipeline();
            pipeline
                .transaction(transaction)
                .set("a", "text")
                .get("a")
                .get("none");
            let error = error(pipeline.execute::<(bool, String, String)>().await);
            assert_eq!(error.kind(), ErrorKind::Decode);
            assert_eq!(error.command_number(), Some(3));
            assert!(
                error
                    .to_string()
                    .starts_with("command 3 (GET none) failed: "),
                "{error}"
            );
            // A value may be an error where it was asked for.
            let mut pipeline = client.pipeline();
            pipeline.transaction(transaction).incr("a").get("a");
            let (refused, text) = pipeline
                .execute::<(Result<i64, tidings::ServerError>, String)>()
                .await
                .unwrap();
            assert_eq!((refused.is_err(), &*text), (true, "text"));
        }
    });
}

/// What a transaction of these commands behind a SET fails with; nothing of it has run.
async fn not_queued(client: &Client, fill: impl Fn(&mut Pipeline)) -> Error {
    for each in [false, true] {
        let mut pipeline = client.pipeline();
        pipeline.set("ran", 1);
        fill(&mut pipeline);
        let error = match each {
            false => error(pipeline.execute::<()>().await),
            true => error(pipeline.execute_each().await),
        };
        assert!(!error.may_have_run());
        assert_eq!(client.exists("ran").await.unwrap(), 0);
        if each {
            return error;
        }
    }
    unreachable!()
}

#[test]
fn pl_04_a_command_that_is_not_queued_is_named_and_nothing_ran() {
    on_each(async |case| {
        let client = case.client().await;
        let arity = not_queued(&client, |it| {
            it.run(cmd("GET")).run(cmd("NOSUCH").arg("x"));
        });
        let arity = arity.await;
        assert_eq!(
            (arity.code(), arity.command_number()),
            (Some("ERR"), Some(2))
        );
        let text = arity.to_string();
        assert!(
            text.starts_with("command 2 (GET) was refused, and nothing was run: "),
            "{text}"
        );
        assert!(text.contains("wrong number of arguments"), "{text}");

        let unknown = not_queued(&client, |it| {
            it.ping().ping().run(cmd("NOSUCH").arg("x")).ping();
        });
        let unknown = unknown.await;
        assert_eq!(unknown.command_number(), Some(4));
        let text = unknown.to_string();
        assert!(
            text.starts_with("command 4 (NOSUCH x) was refused"),
            "{text}"
        );
        assert!(text.contains("unknown command"), "{text}");

        case.server.admin(["ACL", "SETUSER", "default", "-lpush"]);
        let refused = not_queued(&client, |it| {
            it.lpush("list", ["a"]);
        });
        let refused = refused.await;
        assert!(refused.is_no_permission());
        assert_eq!(refused.command_number(), Some(2));

        // Without a transaction only that command fails.
        let mut pipeline = client.pipeline();
        pipeline.transaction(false).run(cmd("GET")).incr("n");
        assert_eq!(
            error(pipeline.execute::<()>().await).command_number(),
            Some(1)
        );
        assert_eq!(client.get::<i64>("n").await.unwrap(), 1);
    });
}

async fn assert_in_step(case: &Case, client: &Client) {
    case.server.admin(["ACL", "SETUSER", "default", "+@all"]);
    let (a, b): (String, i64) = client
        .pipeline()
        .echo("x")
        .incr("step")
        .execute()
        .await
        .unwrap();
    assert_eq!((&*a, b > 0), ("x", true));
    assert_eq!(client.echo::<String>("y").await.unwrap(), "y");
}

#[test]
fn pl_04_who_may_not_use_transactions_is_told_and_the_connection_stays_in_step() {
    on_each(async |case| {
        let client = case.client().await;
        case.server.admin(["ACL", "SETUSER", "default", "-multi"]);
        let refused = error(client.pipeline().incr("n").execute::<()>().await);
        assert!(refused.is_no_permission());
        assert!(refused.may_have_run(), "they ran one by one: {refused:?}");
        assert!(
            refused.to_string().starts_with("MULTI was refused"),
            "{refused}"
        );
        assert_eq!(client.get::<i64>("n").await.unwrap(), 1);
        assert_in_step(&case, &client).await;

        case.server.admin(["ACL", "SETUSER", "default", "-exec"]);
        let refused = error(client.pipeline().incr("n").execute::<()>().await);
        assert!(!refused.may_have_run());
        assert!(refused.to_string().contains("EXEC"), "{refused}");
        assert_eq!(client.get::<i64>("n").await.unwrap(), 1, "it is not queued");
        assert_in_step(&case, &client).await;
    });
}

#[test]
fn pl_04_a_transaction_that_a_busy_server_refuses_leaves_the_connection_in_step() {
    on_each(async |case| {
        let client = case.client().await;
        case.server
            .admin(["CONFIG", "SET", "busy-reply-threshold", "1"]);
        let busy = case.client().await;
        let script = tokio::spawn(async move {
            let endless = cmd("EVAL").arg("while true do end").arg(0);
            error(busy.run::<()>(endless).await)
        });
        let refused = loop {
            match client.pipeline().incr("n").execute::<()>().await {
                Ok(()) => tokio::time::sleep(std::time::Duration::from_millis(1)).await,
                Err(error) => break error,
            }
        };
        assert_eq!(refused.code(), Some("BUSY"), "{refused}");
        assert!(!refused.may_have_run());
        client.run::<()>(cmd("SCRIPT").arg("KILL")).await.unwrap();
        script.await.unwrap();
        assert_in_step(&case, &client).await;
    });
}

#[test]
fn pl_01_a_pipeline_of_one_command_and_of_sixteen_become_tuples() {
    on_each(async |case| {
        let client = case.client().await;
        let (one,): (i64,) = client.pipeline().incr("n").execute().await.unwrap();
        assert_eq!(one, 1);
        let mut pipeline = client.pipeline();
        for _ in 0..16 {
            pipeline.incr("n");
        }
        macro_rules! sixteen {
            ($type:ty) => {
                (
                    $type, $type, $type, $type, $type, $type, $type, $type, $type, $type, $type,
                    $type, $type, $type, $type, $type,
                )
            };
        }
        let all = pipeline.execute::<sixteen!(i64)>().await.unwrap();
        assert_eq!((all.0, all.15), (2, 17));
    });
}
