//! Pipelines and transactions on one server: SPEC items PL-01 to PL-04 and PL-09.

mod support;

use support::{error, on_each};
use tidings::{Commands, ErrorKind, cmd};

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
            let fill = |pipeline: &mut tidings::Pipeline| {
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
