//! Commands about ranges of sorted sets.

use tidings::options::{Zrange, ZrangebylexOptions, ZrangebyscoreOptions};
use tidings::{Client, Commands};

use crate::support::{Case, error, on_each};
use crate::{scored, texts};

type Scored = Vec<(String, f64)>;

/// A client of a server with the sorted sets `z`, with scores from 1 to 4, and `t`, with the same score for all.
async fn filled(case: &Case) -> Client {
    let client = case.client().await;
    let pairs = [(1.0, "a"), (2.0, "b"), (3.0, "c"), (4.5, "d")];
    client.zadd("z", pairs).await.unwrap();
    let pairs = ["a", "b", "c", "d"].map(|member| (0, member));
    client.zadd("t", pairs).await.unwrap();
    client
}

#[test]
fn ranges_by_rank() {
    on_each(async |case| {
        let client = filled(&case).await;
        let some: Vec<String> = client.zrange("z", 1, -2).await.unwrap();
        assert_eq!(some, ["b", "c"]);
        let none: Vec<String> = client.zrange("z", 4, 9).await.unwrap();
        assert_eq!(none, texts([]));
        let none: Vec<String> = client.zrange("x", 0, -1).await.unwrap();
        assert_eq!(none, texts([]));
        let some: Scored = client.zrange_withscores("z", -1, -1).await.unwrap();
        assert_eq!(some, scored([("d", 4.5)]));
        let none: Scored = client.zrange_withscores("x", 0, -1).await.unwrap();
        assert_eq!(none, []);
        let some: Vec<String> = client.zrevrange("z", 0, 1).await.unwrap();
        assert_eq!(some, ["d", "c"]);
        let some: Scored = client.zrevrange_withscores("z", 0, 1).await.unwrap();
        assert_eq!(some, scored([("d", 4.5), ("c", 3.0)]));
        let same: Scored = client
            .zrange_by_withscores("z", Zrange::by_rank(0, 1).rev())
            .await
            .unwrap();
        assert_eq!(same, some);
        let limited = Zrange::by_rank(0, 1).limit(0, 1);
        let refused = client.zrange_by::<Vec<String>>("z", limited).await;
        assert_eq!(error(refused).code(), Some("ERR"));
    });
}

#[test]
fn ranges_by_score() {
    on_each(async |case| {
        let client = filled(&case).await;
        for (range, expected) in [
            (Zrange::by_score(2, "(4.5"), texts(["b", "c"])),
            (Zrange::by_score("(1", 3).rev(), texts(["c", "b"])),
            (
                Zrange::by_score("-inf", f64::INFINITY).limit(1, 2),
                texts(["b", "c"]),
            ),
            (
                Zrange::by_score("-inf", "inf").rev().limit(1, -1),
                texts(["c", "b", "a"]),
            ),
            (Zrange::by_score(7, 9), texts([])),
        ] {
            let some: Vec<String> = client.zrange_by("z", range.clone()).await.unwrap();
            assert_eq!(some, expected, "{range:?}");
        }
        let last = Zrange::by_score(0, "inf").rev().limit(0, 1);
        let some: Scored = client.zrange_by_withscores("z", last).await.unwrap();
        assert_eq!(some, scored([("d", 4.5)]));

        let some: Vec<String> = client.zrangebyscore("z", 2, "(4.5").await.unwrap();
        assert_eq!(some, ["b", "c"]);
        let some: Vec<String> = client.zrevrangebyscore("z", 3.5, "(1").await.unwrap();
        assert_eq!(some, ["c", "b"]);
        let options = ZrangebyscoreOptions::new().limit(1, 2);
        let some: Vec<String> = client
            .zrangebyscore_with("z", "-inf", "+inf", options.clone())
            .await
            .unwrap();
        assert_eq!(some, ["b", "c"]);
        let some: Scored = client
            .zrevrangebyscore_with("z", "+inf", "-inf", options.withscores())
            .await
            .unwrap();
        assert_eq!(some, scored([("c", 3.0), ("b", 2.0)]));

        assert_eq!(client.zcount("z", "(1", 4.5).await.unwrap(), 3);
        assert_eq!(client.zcount("x", "-inf", "inf").await.unwrap(), 0);
    });
}

#[test]
fn ranges_by_text() {
    on_each(async |case| {
        let client = filled(&case).await;
        for (range, expected) in [
            (Zrange::by_lex("[b", "(d"), texts(["b", "c"])),
            (Zrange::by_lex("-", "[b").rev(), texts(["b", "a"])),
            (Zrange::by_lex("-", "+").limit(1, 2), texts(["b", "c"])),
            (
                Zrange::by_lex("-", "+").rev().limit(1, -1),
                texts(["c", "b", "a"]),
            ),
        ] {
            let some: Vec<String> = client.zrange_by("t", range.clone()).await.unwrap();
            assert_eq!(some, expected, "{range:?}");
        }
        let some: Vec<String> = client.zrangebylex("t", "(a", "[c").await.unwrap();
        assert_eq!(some, ["b", "c"]);
        let some: Vec<String> = client.zrevrangebylex("t", "[c", "(a").await.unwrap();
        assert_eq!(some, ["c", "b"]);
        let options = ZrangebylexOptions::new().limit(1, 2);
        let some: Vec<String> = client
            .zrangebylex_with("t", "-", "+", options.clone())
            .await
            .unwrap();
        assert_eq!(some, ["b", "c"]);
        let some: Vec<String> = client
            .zrevrangebylex_with("t", "+", "-", options)
            .await
            .unwrap();
        assert_eq!(some, ["c", "b"]);
        assert_eq!(client.zlexcount("t", "[b", "+").await.unwrap(), 3);
        assert_eq!(client.zlexcount("x", "-", "+").await.unwrap(), 0);
    });
}

#[test]
fn ranges_are_kept() {
    on_each(async |case| {
        let client = filled(&case).await;
        for (source, range, expected) in [
            ("z", Zrange::by_rank(0, 1), scored([("a", 1.0), ("b", 2.0)])),
            ("z", Zrange::by_rank(0, 0).rev(), scored([("d", 4.5)])),
            (
                "z",
                Zrange::by_score("(2", 4.5).rev().limit(1, 1),
                scored([("c", 3.0)]),
            ),
            (
                "t",
                Zrange::by_lex("[c", "+"),
                scored([("c", 0.0), ("d", 0.0)]),
            ),
            ("x", Zrange::by_rank(0, -1), scored([])),
        ] {
            let size = client.zrangestore("to", source, range).await.unwrap();
            assert_eq!(usize::try_from(size).unwrap(), expected.len());
            let kept: Scored = client.zrange_withscores("to", 0, -1).await.unwrap();
            assert_eq!(kept, expected);
        }
    });
}

#[test]
fn ranges_are_removed() {
    on_each(async |case| {
        let client = filled(&case).await;
        assert_eq!(client.zremrangebyrank("z", 0, 0).await.unwrap(), 1);
        assert_eq!(client.zremrangebyscore("z", "(3", "inf").await.unwrap(), 1);
        let left: Vec<String> = client.zrange("z", 0, -1).await.unwrap();
        assert_eq!(left, ["b", "c"]);
        assert_eq!(client.zremrangebylex("t", "-", "(c").await.unwrap(), 2);
        let left: Vec<String> = client.zrange("t", 0, -1).await.unwrap();
        assert_eq!(left, ["c", "d"]);
        assert_eq!(client.zremrangebyrank("x", 0, -1).await.unwrap(), 0);
    });
}
