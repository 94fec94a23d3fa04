//! Commands about lists.

use std::time::{Duration, Instant};

use tidings::options::{LposOptions, Place, Side};
use tidings::{Client, Commands};

use crate::support::{error, on_each};
use crate::{await_waiting, texts};

/// For what is there already, or will be at once: only a failing test waits so long.
const LONG: Duration = Duration::from_secs(60);

type One = Option<(String, String)>;
type Taken = Option<(String, Vec<String>)>;

async fn list(client: &Client, key: &str) -> Vec<String> {
    client.lrange(key, 0, -1).await.unwrap()
}

#[test]
fn elements_are_added_and_taken_at_both_ends() {
    on_each(async |case| {
        let client = case.client().await;
        assert_eq!(client.lpushx("l", "x").await.unwrap(), 0);
        assert_eq!(client.rpushx("l", ["x", "y"]).await.unwrap(), 0);
        assert_eq!(client.rpush("l", ["c", "d"]).await.unwrap(), 2);
        assert_eq!(client.lpush("l", ["b", "a"]).await.unwrap(), 4);
        assert_eq!(client.rpushx("l", "e").await.unwrap(), 5);
        assert_eq!(client.lpushx("l", "z").await.unwrap(), 6);
        assert_eq!(list(&client, "l").await, ["z", "a", "b", "c", "d", "e"]);
        assert_eq!(client.llen("l").await.unwrap(), 6);
        assert_eq!(client.lpop::<String>("l").await.unwrap(), "z");
        assert_eq!(client.rpop::<String>("l").await.unwrap(), "e");
        let two: Vec<String> = client.lpop_count("l", 2).await.unwrap();
        assert_eq!(two, ["a", "b"]);
        let rest: Vec<String> = client.rpop_count("l", 9).await.unwrap();
        assert_eq!(rest, ["d", "c"]);
        assert_eq!(client.exists("l").await.unwrap(), 0);
    });
}

#[test]
fn a_list_that_is_not_there_is_empty() {
    on_each(async |case| {
        let client = case.client().await;
        assert_eq!(client.llen("l").await.unwrap(), 0);
        assert_eq!(list(&client, "l").await, texts([]));
        assert_eq!(client.lpop::<Option<String>>("l").await.unwrap(), None);
        assert_eq!(client.rpop::<Option<String>>("l").await.unwrap(), None);
        let none: Option<Vec<String>> = client.lpop_count("l", 2).await.unwrap();
        assert_eq!(none, None);
        let none: Vec<String> = client.rpop_count("l", 2).await.unwrap();
        assert_eq!(none, texts([]));
        assert_eq!(client.lindex::<Option<String>>("l", 0).await.unwrap(), None);
        assert_eq!(client.lpos("l", "a").await.unwrap(), None);
        let inserted = client.linsert("l", Place::Before, "a", "b").await;
        assert_eq!(inserted.unwrap(), 0);
        assert_eq!(client.lrem("l", 0, "a").await.unwrap(), 0);
        client.ltrim("l", 0, 1).await.unwrap();
        assert_eq!(error(client.lset("l", 0, "a").await).code(), Some("ERR"));
        let moved: Option<String> = client
            .lmove("l", "m", Side::Left, Side::Left)
            .await
            .unwrap();
        assert_eq!(moved, None);
        let moved: Option<String> = client.rpoplpush("l", "m").await.unwrap();
        assert_eq!(moved, None);
        let taken: Taken = client.lmpop(["l", "m"], Side::Left).await.unwrap();
        assert_eq!(taken, None);
        client.set("text", "x").await.unwrap();
        assert_eq!(error(client.llen("text").await).code(), Some("WRONGTYPE"));
    });
}

#[test]
fn elements_are_found_and_changed_by_index_and_value() {
    on_each(async |case| {
        let client = case.client().await;
        client.rpush("l", ["a", "b", "a", "c", "a"]).await.unwrap();
        let some: Vec<String> = client.lrange("l", 1, -2).await.unwrap();
        assert_eq!(some, ["b", "a", "c"]);
        assert_eq!(client.lindex::<String>("l", -2).await.unwrap(), "c");
        assert_eq!(client.lindex::<Option<String>>("l", 5).await.unwrap(), None);

        assert_eq!(client.lpos("l", "c").await.unwrap(), Some(3));
        assert_eq!(client.lpos("l", "x").await.unwrap(), None);
        for (options, expected) in [
            (LposOptions::new().rank(2), Some(2)),
            (LposOptions::new().rank(-1), Some(4)),
            (LposOptions::new().rank(2).maxlen(2), None),
        ] {
            let index = client.lpos_with("l", "a", options).await.unwrap();
            assert_eq!(index, expected);
        }
        let all = LposOptions::new();
        assert_eq!(
            client.lpos_count("l", "a", 0, all).await.unwrap(),
            [0, 2, 4]
        );
        let back = LposOptions::new().rank(-1);
        assert_eq!(client.lpos_count("l", "a", 2, back).await.unwrap(), [4, 2]);
        let none = client.lpos_count("l", "x", 0, LposOptions::new()).await;
        assert!(none.unwrap().is_empty());

        let length = client.linsert("l", Place::Before, "c", "before").await;
        assert_eq!(length.unwrap(), 6);
        let length = client.linsert("l", Place::After, "c", "after").await;
        assert_eq!(length.unwrap(), 7);
        let length = client.linsert("l", Place::After, "x", "y").await;
        assert_eq!(length.unwrap(), -1);
        client.lset("l", -1, "z").await.unwrap();
        assert_eq!(
            list(&client, "l").await,
            ["a", "b", "a", "before", "c", "after", "z"]
        );
        assert_eq!(error(client.lset("l", 7, "x").await).code(), Some("ERR"));
        assert_eq!(client.lrem("l", -1, "a").await.unwrap(), 1);
        assert_eq!(client.lrem("l", 0, "x").await.unwrap(), 0);
        client.ltrim("l", 1, 3).await.unwrap();
        assert_eq!(list(&client, "l").await, ["b", "before", "c"]);
    });
}

#[test]
fn elements_are_moved_from_list_to_list() {
    on_each(async |case| {
        let client = case.client().await;
        client.rpush("l", ["a", "b", "c", "d"]).await.unwrap();
        for (from, to, expected) in [
            (Side::Left, Side::Left, "a"),
            (Side::Right, Side::Left, "d"),
            (Side::Left, Side::Right, "b"),
        ] {
            let moved: String = client.lmove("l", "m", from, to).await.unwrap();
            assert_eq!(moved, expected);
        }
        assert_eq!(client.rpoplpush::<String>("l", "m").await.unwrap(), "c");
        assert_eq!(list(&client, "m").await, ["c", "d", "a", "b"]);
        let turned: String = client
            .lmove("m", "m", Side::Right, Side::Left)
            .await
            .unwrap();
        assert_eq!(turned, "b");
        assert_eq!(list(&client, "m").await, ["b", "c", "d", "a"]);
    });
}

#[test]
fn elements_are_taken_from_the_first_list_that_has_any() {
    on_each(async |case| {
        let client = case.client().await;
        client.rpush("l", ["a", "b", "c", "d"]).await.unwrap();
        let keys = ["x", "l"];
        let taken: Taken = client.lmpop(keys, Side::Right).await.unwrap();
        assert_eq!(taken, Some(("l".into(), texts(["d"]))));
        let taken: Taken = client.lmpop_count(keys, Side::Left, 2).await.unwrap();
        assert_eq!(taken, Some(("l".into(), texts(["a", "b"]))));
        let taken: Taken = client.lmpop_count(keys, Side::Left, 9).await.unwrap();
        assert_eq!(taken, Some(("l".into(), texts(["c"]))));
    });
}

#[test]
fn commands_that_may_wait_take_what_is_there() {
    on_each(async |case| {
        let client = case.client().await;
        let elements = ["a", "b", "c", "d", "e", "f", "g"];
        client.rpush("l", elements).await.unwrap();
        let keys = ["x", "l"];
        let taken: One = client.blpop(keys, LONG).await.unwrap();
        assert_eq!(taken, Some(("l".into(), "a".into())));
        let taken: One = client.brpop(keys, Duration::ZERO).await.unwrap();
        assert_eq!(taken, Some(("l".into(), "g".into())));
        let taken: Taken = client.blmpop(keys, Side::Left, LONG).await.unwrap();
        assert_eq!(taken, Some(("l".into(), texts(["b"]))));
        let taken: Taken = client
            .blmpop_count(keys, Side::Right, 2, LONG)
            .await
            .unwrap();
        assert_eq!(taken, Some(("l".into(), texts(["f", "e"]))));
        let moved: String = client
            .blmove("l", "m", Side::Left, Side::Left, LONG)
            .await
            .unwrap();
        assert_eq!(moved, "c");
        let moved: String = client.brpoplpush("l", "m", LONG).await.unwrap();
        assert_eq!(moved, "d");
        assert_eq!(list(&client, "m").await, ["d", "c"]);
        assert_eq!(client.exists("l").await.unwrap(), 0);
    });
}

#[test]
fn commands_that_wait_get_the_elements_that_come_and_hold_nobody_up() {
    on_each(async |case| {
        let client = case.client().await;
        let writes = async {
            await_waiting(&case, 6).await;
            for key in ["a", "b", "c", "d", "e", "f"] {
                client
                    .rpush(key, [format!("{key}1"), format!("{key}2")])
                    .await
                    .unwrap();
            }
        };
        let (left, right, one, two, moved, popped, ()) = tokio::join!(
            client.blpop::<(String, String), _>(["x", "a"], LONG),
            client.brpop::<(String, String), _>("b", Duration::ZERO),
            client.blmpop::<(String, Vec<String>), _>(["x", "c"], Side::Left, LONG),
            client.blmpop_count::<(String, Vec<String>), _>("d", Side::Right, 9, LONG),
            client.blmove::<String>("e", "to", Side::Left, Side::Right, LONG),
            client.brpoplpush::<String>("f", "to", LONG),
            writes,
        );
        assert_eq!(left.unwrap(), ("a".into(), "a1".into()));
        assert_eq!(right.unwrap(), ("b".into(), "b2".into()));
        assert_eq!(one.unwrap(), ("c".into(), texts(["c1"])));
        assert_eq!(two.unwrap(), ("d".into(), texts(["d2", "d1"])));
        assert_eq!(moved.unwrap(), "e1");
        assert_eq!(popped.unwrap(), "f2");
        assert_eq!(list(&client, "to").await, ["f2", "e1"]);
    });
}

#[test]
fn commands_that_wait_in_vain_give_nothing_when_their_time_is_over() {
    on_each(async |case| {
        let client = case.client().await;
        let brief = Duration::from_millis(20);
        let begun = Instant::now();
        let (left, right, one, two, moved, popped) = tokio::join!(
            client.blpop::<One, _>(["x", "y"], brief),
            client.brpop::<One, _>("x", brief),
            client.blmpop::<Taken, _>(["x", "y"], Side::Left, brief),
            client.blmpop_count::<Taken, _>("x", Side::Left, 2, brief),
            client.blmove::<Option<String>>("x", "y", Side::Left, Side::Left, brief),
            client.brpoplpush::<Option<String>>("x", "y", brief),
        );
        assert!(begun.elapsed() >= brief);
        assert_eq!((left.unwrap(), right.unwrap()), (None, None));
        assert_eq!((one.unwrap(), two.unwrap()), (None, None));
        assert_eq!((moved.unwrap(), popped.unwrap()), (None, None));
    });
}
