//! Commands about the members of sorted sets.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use tidings::options::{MinMax, ZaddOptions, ZscanOptions};
use tidings::{Client, Commands};

use crate::support::{error, on_each};
use crate::{await_waiting, scored, since, texts};

/// For what is there already, or will be at once: only a failing test waits so long.
const LONG: Duration = Duration::from_secs(60);

type One = Option<(String, String, f64)>;
type Taken = Option<(String, Vec<(String, f64)>)>;

async fn all(client: &Client, key: &str) -> Vec<(String, f64)> {
    client.zrange_withscores(key, 0, -1).await.unwrap()
}

#[test]
fn members_get_scores_under_conditions() {
    on_each(async |case| {
        let client = case.client().await;
        assert_eq!(client.zadd("z", [(1.0, "a"), (2.5, "b")]).await.unwrap(), 2);
        assert_eq!(client.zadd("z", [(2, "a"), (3, "c")]).await.unwrap(), 1);
        let options = ZaddOptions::new;
        for (options, pairs, expected) in [
            (options().nx(), [(9, "a"), (4, "d")], 1),
            (options().xx().ch(), [(5, "d"), (9, "x")], 1),
            (options().gt().ch(), [(1, "d"), (7, "c")], 1),
            (options().xx().lt().ch(), [(1, "d"), (9, "c")], 1),
        ] {
            let outcome = client.zadd_with("z", pairs, options).await;
            assert_eq!(outcome.unwrap(), expected);
        }
        let expected = [("d", 1.0), ("a", 2.0), ("b", 2.5), ("c", 7.0)];
        assert_eq!(all(&client, "z").await, scored(expected));
        let refused = client.zadd_with("z", [(1, "a")], options().nx().gt()).await;
        assert_eq!(error(refused).code(), Some("ERR"));

        let score = client.zadd_incr("z", 0.5, "a", options()).await;
        assert_eq!(score.unwrap(), Some(2.5));
        let score = client.zadd_incr("z", 0.5, "a", options().lt()).await;
        assert_eq!(score.unwrap(), None);
        let score = client.zadd_incr("z", 1.0, "a", options().nx()).await;
        assert_eq!(score.unwrap(), None);
        assert_eq!(client.zincrby("z", -3.25, "b").await.unwrap(), -0.75);
        assert_eq!(
            client.zincrby("z", f64::INFINITY, "new").await.unwrap(),
            f64::INFINITY
        );
        assert_eq!(client.zrem("z", ["a", "b", "x"]).await.unwrap(), 2);
        assert_eq!(client.zcard("z").await.unwrap(), 3);
    });
}

#[test]
fn members_have_scores_and_ranks() {
    on_each(async |case| {
        let client = case.client().await;
        let pairs = [(1.5, "a"), (f64::NEG_INFINITY, "low"), (1e300, "high")];
        client.zadd("z", pairs).await.unwrap();
        assert_eq!(client.zscore("z", "a").await.unwrap(), Some(1.5));
        assert_eq!(client.zscore("z", "x").await.unwrap(), None);
        let scores = client.zmscore("z", ["high", "x", "low"]).await.unwrap();
        assert_eq!(scores, [Some(1e300), None, Some(f64::NEG_INFINITY)]);
        assert_eq!(client.zrank("z", "high").await.unwrap(), Some(2));
        assert_eq!(client.zrank("z", "x").await.unwrap(), None);
        assert_eq!(client.zrevrank("z", "high").await.unwrap(), Some(0));
        assert_eq!(client.zrevrank("z", "x").await.unwrap(), None);
        if since(&case, Some((7, 2)), Some((7, 2))) {
            let found = client.zrank_withscore("z", "a").await.unwrap();
            assert_eq!(found, Some((1, 1.5)));
            let found = client.zrevrank_withscore("z", "low").await.unwrap();
            assert_eq!(found, Some((2, f64::NEG_INFINITY)));
            assert_eq!(client.zrank_withscore("z", "x").await.unwrap(), None);
            assert_eq!(client.zrevrank_withscore("x", "a").await.unwrap(), None);
        }
    });
}

#[test]
fn a_sorted_set_that_is_not_there_is_empty() {
    on_each(async |case| {
        let client = case.client().await;
        assert_eq!(client.zcard("z").await.unwrap(), 0);
        assert_eq!(client.zscore("z", "a").await.unwrap(), None);
        assert_eq!(client.zmscore("z", ["a", "b"]).await.unwrap(), [None, None]);
        assert_eq!(client.zrank("z", "a").await.unwrap(), None);
        assert_eq!(client.zrem("z", "a").await.unwrap(), 0);
        let any: Option<String> = client.zrandmember("z").await.unwrap();
        assert_eq!(any, None);
        let any: Vec<String> = client.zrandmember_count("z", 3).await.unwrap();
        assert_eq!(any, texts([]));
        let any: Vec<(String, f64)> = client.zrandmember_withscores("z", 3).await.unwrap();
        assert_eq!(any, []);
        assert_eq!(client.zpopmin::<Vec<(String, f64)>>("z").await.unwrap(), []);
        let none: Vec<(String, f64)> = client.zpopmax_count("z", 2).await.unwrap();
        assert_eq!(none, []);
        let none: Option<(String, Vec<(String, f64)>)> =
            client.zmpop(["z", "y"], MinMax::Min).await.unwrap();
        assert_eq!(none, None);
        client.set("text", "x").await.unwrap();
        assert_eq!(error(client.zcard("text").await).code(), Some("WRONGTYPE"));
    });
}

#[test]
fn any_members_come_with_and_without_scores() {
    on_each(async |case| {
        let client = case.client().await;
        client
            .zadd("z", [(1, "a"), (2, "b"), (3, "c")])
            .await
            .unwrap();
        let expected =
            BTreeMap::from([("a", 1), ("b", 2), ("c", 3)].map(|(m, s)| (m.to_owned(), s)));
        let one: String = client.zrandmember("z").await.unwrap();
        assert!(expected.contains_key(&one));
        let different: Vec<String> = client.zrandmember_count("z", 9).await.unwrap();
        assert_eq!(different.len(), 3);
        assert!(
            BTreeSet::from_iter(&different)
                .into_iter()
                .eq(expected.keys())
        );
        let repeated: Vec<String> = client.zrandmember_count("z", -9).await.unwrap();
        assert_eq!(repeated.len(), 9);
        let with_scores: BTreeMap<String, i64> =
            client.zrandmember_withscores("z", 3).await.unwrap();
        assert_eq!(with_scores, expected);
        let with_scores: Vec<(String, f64)> = client.zrandmember_withscores("z", -2).await.unwrap();
        assert_eq!(with_scores.len(), 2);
    });
}

#[test]
fn members_are_taken_at_both_ends() {
    on_each(async |case| {
        let client = case.client().await;
        let pairs = [
            (1.5, "a"),
            (2.0, "b"),
            (3.0, "c"),
            (4.0, "d"),
            (5.0, "e"),
            (6.0, "f"),
        ];
        client.zadd("z", pairs).await.unwrap();
        type Scored = Vec<(String, f64)>;
        let taken: Scored = client.zpopmin("z").await.unwrap();
        assert_eq!(taken, scored([("a", 1.5)]));
        let taken: Scored = client.zpopmax("z").await.unwrap();
        assert_eq!(taken, scored([("f", 6.0)]));
        let taken: Scored = client.zpopmin_count("z", 2).await.unwrap();
        assert_eq!(taken, scored([("b", 2.0), ("c", 3.0)]));
        let taken: Scored = client.zpopmax_count("z", 9).await.unwrap();
        assert_eq!(taken, scored([("e", 5.0), ("d", 4.0)]));
        assert_eq!(client.exists("z").await.unwrap(), 0);
    });
}

#[test]
fn members_are_taken_from_the_first_sorted_set_that_has_any() {
    on_each(async |case| {
        let client = case.client().await;
        let pairs = [(1.5, "a"), (2.0, "b"), (3.0, "c"), (4.0, "d")];
        client.zadd("z", pairs).await.unwrap();
        let keys = ["x", "z"];
        let taken: Taken = client.zmpop(keys, MinMax::Max).await.unwrap();
        assert_eq!(taken, Some(("z".into(), scored([("d", 4.0)]))));
        let taken: Taken = client.zmpop_count(keys, MinMax::Min, 2).await.unwrap();
        assert_eq!(taken, Some(("z".into(), scored([("a", 1.5), ("b", 2.0)]))));
        let taken: Taken = client.zmpop_count(keys, MinMax::Min, 9).await.unwrap();
        assert_eq!(taken, Some(("z".into(), scored([("c", 3.0)]))));
    });
}

#[test]
fn a_scan_brings_all_members_with_their_scores() {
    on_each(async |case| {
        let client = case.client().await;
        let pairs = (0..2000).map(|n| (n, format!("m:{n}")));
        client.zadd("z", pairs).await.unwrap();
        let (mut read, mut cursor, mut calls) = (BTreeMap::new(), 0, 0);
        loop {
            let (next, some): (u64, Vec<(String, i64)>) = client.zscan("z", cursor).await.unwrap();
            read.extend(some);
            calls += 1;
            cursor = next;
            if cursor == 0 {
                break;
            }
        }
        assert!(calls > 1);
        assert_eq!(read, (0..2000).map(|n| (format!("m:{n}"), n)).collect());
        let some = ZscanOptions::new().pattern("m:17?").count(10_000);
        let (cursor, some): (u64, BTreeMap<String, i64>) =
            client.zscan_with("z", 0, some).await.unwrap();
        let expected = (170..180).map(|n| (format!("m:{n}"), n)).collect();
        assert_eq!((cursor, some), (0, expected));
        if since(&case, None, Some((8, 0))) {
            client.zadd("small", [(1, "a"), (2, "b")]).await.unwrap();
            let names = ZscanOptions::new().noscores();
            let (_, some): (u64, Vec<String>) = client.zscan_with("small", 0, names).await.unwrap();
            assert_eq!(some, ["a", "b"]);
        }
    });
}

#[test]
fn commands_that_may_wait_take_what_is_there() {
    on_each(async |case| {
        let client = case.client().await;
        let pairs = [(1.5, "a"), (2.0, "b"), (3.0, "c"), (4.0, "d"), (5.0, "e")];
        client.zadd("z", pairs).await.unwrap();
        let keys = ["x", "z"];
        let taken: One = client.bzpopmin(keys, LONG).await.unwrap();
        assert_eq!(taken, Some(("z".into(), "a".into(), 1.5)));
        let taken: One = client.bzpopmax(keys, Duration::ZERO).await.unwrap();
        assert_eq!(taken, Some(("z".into(), "e".into(), 5.0)));
        let taken: Taken = client.bzmpop(keys, MinMax::Max, LONG).await.unwrap();
        assert_eq!(taken, Some(("z".into(), scored([("d", 4.0)]))));
        let taken: Taken = client
            .bzmpop_count(keys, MinMax::Min, 9, LONG)
            .await
            .unwrap();
        assert_eq!(taken, Some(("z".into(), scored([("b", 2.0), ("c", 3.0)]))));
    });
}

#[test]
fn commands_that_wait_get_the_members_that_come_and_hold_nobody_up() {
    on_each(async |case| {
        let client = case.client().await;
        let writes = async {
            await_waiting(&case, 4).await;
            for key in ["a", "b", "c", "d"] {
                client
                    .zadd(key, [(1.5, "low"), (2.0, "high")])
                    .await
                    .unwrap();
            }
        };
        let (min, max, one, two, ()) = tokio::join!(
            client.bzpopmin::<One, _>(["x", "a"], LONG),
            client.bzpopmax::<One, _>("b", Duration::ZERO),
            client.bzmpop::<Taken, _>(["x", "c"], MinMax::Min, LONG),
            client.bzmpop_count::<Taken, _>("d", MinMax::Max, 9, LONG),
            writes,
        );
        assert_eq!(min.unwrap(), Some(("a".into(), "low".into(), 1.5)));
        assert_eq!(max.unwrap(), Some(("b".into(), "high".into(), 2.0)));
        assert_eq!(one.unwrap(), Some(("c".into(), scored([("low", 1.5)]))));
        let both = scored([("high", 2.0), ("low", 1.5)]);
        assert_eq!(two.unwrap(), Some(("d".into(), both)));
    });
}

#[test]
fn commands_that_wait_in_vain_give_nothing_when_their_time_is_over() {
    on_each(async |case| {
        let client = case.client().await;
        let brief = Duration::from_millis(20);
        let begun = Instant::now();
        let (min, max, one, two) = tokio::join!(
            client.bzpopmin::<One, _>(["x", "y"], brief),
            client.bzpopmax::<One, _>("x", brief),
            client.bzmpop::<Taken, _>(["x", "y"], MinMax::Min, brief),
            client.bzmpop_count::<Taken, _>("x", MinMax::Max, 2, brief),
        );
        assert!(begun.elapsed() >= brief);
        assert_eq!((min.unwrap(), max.unwrap()), (None, None));
        assert_eq!((one.unwrap(), two.unwrap()), (None, None));
    });
}
