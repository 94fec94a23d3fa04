//! Commands that make one sorted set of several.

use tidings::options::{ZunionOptions, ZunionstoreOptions};
use tidings::{Client, Commands};

use crate::support::{Case, on_each};
use crate::{scored, texts};

type Scored = Vec<(String, f64)>;

const BOTH: [&str; 2] = ["y", "z"];

async fn filled(case: &Case) -> Client {
    let client = case.client().await;
    client.zadd("y", [(1.0, "a"), (2.0, "b")]).await.unwrap();
    client.zadd("z", [(0.5, "b"), (9.0, "c")]).await.unwrap();
    client
}

async fn all(client: &Client, key: &str) -> Scored {
    client.zrange_withscores(key, 0, -1).await.unwrap()
}

#[test]
fn sorted_sets_are_joined() {
    on_each(async |case| {
        let client = filled(&case).await;
        let names: Vec<String> = client.zunion(BOTH).await.unwrap();
        assert_eq!(names, ["a", "b", "c"]);
        let union: Scored = client.zunion_withscores(BOTH).await.unwrap();
        assert_eq!(union, scored([("a", 1.0), ("b", 2.5), ("c", 9.0)]));
        let none: Scored = client.zunion_withscores(["v", "w"]).await.unwrap();
        assert_eq!(none, []);
        let min = ZunionOptions::new().min();
        let names: Vec<String> = client.zunion_with(BOTH, min.clone()).await.unwrap();
        assert_eq!(names, ["b", "a", "c"]);
        let weighed = min.withscores().weights([1.0, 0.5]);
        let union: Scored = client.zunion_with(BOTH, weighed).await.unwrap();
        assert_eq!(union, scored([("b", 0.25), ("a", 1.0), ("c", 4.5)]));

        assert_eq!(client.zunionstore("u", BOTH).await.unwrap(), 3);
        let expected = scored([("a", 1.0), ("b", 2.5), ("c", 9.0)]);
        assert_eq!(all(&client, "u").await, expected);
        let weighed = ZunionstoreOptions::new().weights([1, -1]).max();
        let size = client.zunionstore_with("u", BOTH, weighed).await;
        assert_eq!(size.unwrap(), 3);
        let expected = scored([("c", -9.0), ("a", 1.0), ("b", 2.0)]);
        assert_eq!(all(&client, "u").await, expected);
    });
}

#[test]
fn sorted_sets_are_intersected() {
    on_each(async |case| {
        let client = filled(&case).await;
        let names: Vec<String> = client.zinter(BOTH).await.unwrap();
        assert_eq!(names, ["b"]);
        let inter: Scored = client.zinter_withscores(BOTH).await.unwrap();
        assert_eq!(inter, scored([("b", 2.5)]));
        let none: Vec<String> = client.zinter(["y", "x"]).await.unwrap();
        assert_eq!(none, texts([]));
        let max = ZunionOptions::new().max().withscores();
        let inter: Scored = client.zinter_with(BOTH, max).await.unwrap();
        assert_eq!(inter, scored([("b", 2.0)]));

        assert_eq!(client.zinterstore("i", BOTH).await.unwrap(), 1);
        assert_eq!(all(&client, "i").await, scored([("b", 2.5)]));
        let weighed = ZunionstoreOptions::new().weights([10, 100]).sum();
        let size = client.zinterstore_with("i", BOTH, weighed).await;
        assert_eq!(size.unwrap(), 1);
        assert_eq!(all(&client, "i").await, scored([("b", 70.0)]));
        assert_eq!(client.zinterstore("i", ["y", "x"]).await.unwrap(), 0);
        assert_eq!(client.exists("i").await.unwrap(), 0);

        client.zadd("z", [(1, "a")]).await.unwrap();
        assert_eq!(client.zintercard(BOTH).await.unwrap(), 2);
        assert_eq!(client.zintercard_limit(BOTH, 1).await.unwrap(), 1);
        assert_eq!(client.zintercard_limit(BOTH, 0).await.unwrap(), 2);
        assert_eq!(client.zintercard(["y", "x"]).await.unwrap(), 0);
    });
}

#[test]
fn sorted_sets_are_subtracted() {
    on_each(async |case| {
        let client = filled(&case).await;
        let names: Vec<String> = client.zdiff(BOTH).await.unwrap();
        assert_eq!(names, ["a"]);
        let diff: Scored = client.zdiff_withscores(["z", "y"]).await.unwrap();
        assert_eq!(diff, scored([("c", 9.0)]));
        let none: Scored = client.zdiff_withscores(["x", "y"]).await.unwrap();
        assert_eq!(none, []);
        assert_eq!(client.zdiffstore("d", BOTH).await.unwrap(), 1);
        assert_eq!(all(&client, "d").await, scored([("a", 1.0)]));
    });
}
