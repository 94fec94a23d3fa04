//! Commands about hashes.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tidings::options::{GetexOptions, HexpireOptions, HscanOptions, HsetexOptions};
use tidings::{Client, Commands};

use crate::support::{error, on_each};
use crate::{since, texts};

type Fields = BTreeMap<String, String>;

fn fields<const N: usize>(pairs: [(&str, &str); N]) -> Fields {
    let owned = pairs.map(|(field, value)| (field.to_owned(), value.to_owned()));
    Fields::from(owned)
}

#[test]
fn fields_are_written_and_read() {
    on_each(async |case| {
        let client = case.client().await;
        assert_eq!(client.hset("h", [("a", "1"), ("b", "2")]).await.unwrap(), 2);
        let changes = HashMap::from([("b", "two"), ("c", "3")]);
        assert_eq!(client.hset("h", changes).await.unwrap(), 1);
        assert!(client.hsetnx("h", "d", "four").await.unwrap());
        assert!(!client.hsetnx("h", "d", "4").await.unwrap());
        client.hmset("h", [("e", 5)]).await.unwrap();

        assert_eq!(client.hget::<String>("h", "b").await.unwrap(), "two");
        assert_eq!(client.hget::<Option<i64>>("h", "x").await.unwrap(), None);
        let some: Vec<Option<String>> = client.hmget("h", ["a", "x", "d"]).await.unwrap();
        assert_eq!(some, [Some("1".into()), None, Some("four".into())]);
        let all: Fields = client.hgetall("h").await.unwrap();
        let expected = [
            ("a", "1"),
            ("b", "two"),
            ("c", "3"),
            ("d", "four"),
            ("e", "5"),
        ];
        assert_eq!(all, fields(expected));
        let pairs: Vec<(String, String)> = client.hgetall("h").await.unwrap();
        assert_eq!(Fields::from_iter(pairs), all);
        let names: BTreeSet<String> = client.hkeys("h").await.unwrap();
        assert_eq!(Vec::from_iter(names), ["a", "b", "c", "d", "e"]);
        let values: BTreeSet<String> = client.hvals("h").await.unwrap();
        assert_eq!(Vec::from_iter(values), ["1", "3", "5", "four", "two"]);

        assert_eq!(client.hlen("h").await.unwrap(), 5);
        assert_eq!(client.hstrlen("h", "d").await.unwrap(), 4);
        assert_eq!(client.hstrlen("h", "x").await.unwrap(), 0);
        assert!(client.hexists("h", "a").await.unwrap());
        assert_eq!(client.hdel("h", ["a", "b", "x"]).await.unwrap(), 2);
        assert!(!client.hexists("h", "a").await.unwrap());
    });
}

#[test]
fn a_hash_that_is_not_there_is_empty() {
    on_each(async |case| {
        let client = case.client().await;
        assert_eq!(client.hlen("h").await.unwrap(), 0);
        assert_eq!(client.hdel("h", "a").await.unwrap(), 0);
        assert_eq!(client.hget::<Option<String>>("h", "a").await.unwrap(), None);
        assert_eq!(client.hgetall::<Fields>("h").await.unwrap(), fields([]));
        let names: Vec<String> = client.hkeys("h").await.unwrap();
        let values: Vec<String> = client.hvals("h").await.unwrap();
        assert!(names.is_empty() && values.is_empty());
        let none: Option<String> = client.hrandfield("h").await.unwrap();
        assert_eq!(none, None);
        let none: Vec<String> = client.hrandfield_count("h", 3).await.unwrap();
        assert_eq!(none, texts([]));
        let none: Vec<(String, String)> = client.hrandfield_withvalues("h", 3).await.unwrap();
        assert_eq!(none, []);
        let (cursor, none): (u64, Vec<(String, String)>) = client.hscan("h", 0).await.unwrap();
        assert_eq!((cursor, none), (0, vec![]));

        client.set("text", "x").await.unwrap();
        assert_eq!(error(client.hlen("text").await).code(), Some("WRONGTYPE"));
    });
}

#[test]
fn numbers_in_fields_are_added_to() {
    on_each(async |case| {
        let client = case.client().await;
        assert_eq!(client.hincrby("h", "n", 5).await.unwrap(), 5);
        assert_eq!(client.hincrby("h", "n", -7).await.unwrap(), -2);
        assert_eq!(client.hincrbyfloat("h", "n", 0.5).await.unwrap(), -1.5);
        assert_eq!(client.hincrbyfloat("h", "m", 1e20).await.unwrap(), 1e20);
        assert_eq!(client.hget::<f64>("h", "n").await.unwrap(), -1.5);
    });
}

#[test]
fn any_fields_come_with_and_without_values() {
    on_each(async |case| {
        let client = case.client().await;
        let pairs = [("a", "1"), ("b", "2"), ("c", "3")];
        client.hset("h", pairs).await.unwrap();
        let all = fields(pairs);
        let one: String = client.hrandfield("h").await.unwrap();
        assert!(all.contains_key(&one));
        let different: BTreeSet<String> = client.hrandfield_count("h", 5).await.unwrap();
        assert_eq!(Vec::from_iter(different), ["a", "b", "c"]);
        let repeated: Vec<String> = client.hrandfield_count("h", -7).await.unwrap();
        assert_eq!(repeated.len(), 7);
        assert!(repeated.iter().all(|field| all.contains_key(field)));
        let valued: Vec<(String, String)> = client.hrandfield_withvalues("h", 3).await.unwrap();
        assert_eq!(Fields::from_iter(valued), all);
        let valued: Vec<(String, i64)> = client.hrandfield_withvalues("h", -2).await.unwrap();
        assert_eq!(valued.len(), 2);
    });
}

#[test]
fn a_scan_brings_all_fields() {
    on_each(async |case| {
        let client = case.client().await;
        let written: BTreeMap<String, i64> = (0..2000).map(|n| (format!("f:{n}"), n)).collect();
        client.hset("h", &written).await.unwrap();
        let (mut read, mut cursor, mut calls) = (BTreeMap::new(), 0, 0);
        loop {
            let (next, some): (u64, Vec<(String, i64)>) = client.hscan("h", cursor).await.unwrap();
            read.extend(some);
            calls += 1;
            cursor = next;
            if cursor == 0 {
                break;
            }
        }
        assert_eq!(read, written);
        assert!(calls > 1);

        let all = HscanOptions::new().pattern("f:17?").count(10_000);
        let (cursor, some): (String, HashMap<String, i64>) =
            client.hscan_with("h", "0", all).await.unwrap();
        let expected = (170..180).map(|n| (format!("f:{n}"), n)).collect();
        assert_eq!((cursor.as_str(), some), ("0", expected));
        if since(&case, Some((7, 4)), Some((8, 0))) {
            client
                .hset("small", [("a", "1"), ("b", "2")])
                .await
                .unwrap();
            let names = HscanOptions::new().novalues();
            let (_, some): (u64, BTreeSet<String>) =
                client.hscan_with("small", 0, names).await.unwrap();
            assert_eq!(Vec::from_iter(some), ["a", "b"]);
        }
    });
}

/// Runs where fields can expire, with a hash `h` of the fields `a`, `b` and `c`.
fn on_each_with_expiry(test: impl AsyncFn(Client)) {
    on_each(async |case| {
        if since(&case, Some((7, 4)), Some((9, 0))) {
            let client = case.client().await;
            client
                .hset("h", [("a", 1), ("b", 2), ("c", 3)])
                .await
                .unwrap();
            test(client).await;
        }
    });
}

/// The Unix time in so many seconds.
fn unix_time(from_now: u64) -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    (now + Duration::from_secs(from_now))
        .as_secs()
        .try_into()
        .unwrap()
}

#[test]
fn fields_get_a_time_to_expire_at() {
    on_each_with_expiry(async |client| {
        assert_eq!(client.hexpire("h", 100, ["a", "x"]).await.unwrap(), [1, -2]);
        let ttl = client.httl("h", ["a", "b", "x"]).await.unwrap();
        assert!((99..=100).contains(&ttl[0]), "{ttl:?}");
        assert_eq!(ttl[1..], [-1, -2]);
        assert_eq!(client.hpexpire("h", 50_000, "b").await.unwrap(), [1]);
        let pttl = client.hpttl("h", ["b", "c"]).await.unwrap();
        assert!((45_000..=50_000).contains(&pttl[0]), "{pttl:?}");
        assert_eq!(pttl[1..], [-1]);

        let at = unix_time(1000);
        assert_eq!(client.hexpireat("h", at, ["a"]).await.unwrap(), [1]);
        let both = ["a", "c"];
        assert_eq!(client.hexpiretime("h", both).await.unwrap(), [at, -1]);
        assert_eq!(
            client.hpexpireat("h", at * 1000 + 7, "a").await.unwrap(),
            [1]
        );
        let times = client.hpexpiretime("h", both).await.unwrap();
        assert_eq!(times, [at * 1000 + 7, -1]);

        let names = ["a", "c", "x"];
        assert_eq!(client.hpersist("h", names).await.unwrap(), [1, -1, -2]);
        assert_eq!(client.hexpire("h", 0, ["a", "b"]).await.unwrap(), [2, 2]);
        let left: Vec<String> = client.hkeys("h").await.unwrap();
        assert_eq!(left, ["c"]);
        for answer in [
            client.hexpire("none", 10, ["a", "b"]).await,
            client.httl("none", ["a", "b"]).await,
            client.hexpiretime("none", ["a", "b"]).await,
            client.hpersist("none", ["a", "b"]).await,
        ] {
            assert_eq!(answer.unwrap(), [-2, -2]);
        }
    });
}

#[test]
fn fields_get_a_time_only_under_its_condition() {
    on_each_with_expiry(async |client| {
        let (nx, xx) = (HexpireOptions::new().nx(), HexpireOptions::new().xx());
        let (gt, lt) = (HexpireOptions::new().gt(), HexpireOptions::new().lt());
        let hour = 3600;
        let outcome = client.hexpire_with("h", hour, "a", xx.clone()).await;
        assert_eq!(outcome.unwrap(), [0]);
        let outcome = client.hexpire_with("h", hour, ["a", "b"], nx).await;
        assert_eq!(outcome.unwrap(), [1, 1]);
        let outcome = client.hpexpire_with("h", 10_000, ["a", "x"], gt).await;
        assert_eq!(outcome.unwrap(), [0, -2]);
        let at = unix_time(7200);
        let outcome = client.hexpireat_with("h", at, ["a", "c"], lt).await;
        assert_eq!(outcome.unwrap(), [0, 1]);
        let outcome = client
            .hpexpireat_with("h", at * 1000, ["a", "b", "c"], xx)
            .await;
        assert_eq!(outcome.unwrap(), [1, 1, 1]);
        let times = client.hexpiretime("h", ["a", "b", "c"]).await.unwrap();
        assert_eq!(times, [at; 3]);
    });
}

#[test]
fn fields_are_read_and_get_a_time_at_once() {
    on_each(async |case| {
        if !since(&case, Some((8, 0)), Some((9, 0))) {
            return;
        }
        let client = case.client().await;
        client.hset("h", [("a", 1), ("b", 2)]).await.unwrap();
        let names = ["a", "x"];
        let plain: Vec<Option<i64>> = client
            .hgetex("h", names, GetexOptions::new())
            .await
            .unwrap();
        assert_eq!(plain, [Some(1), None]);
        assert_eq!(client.httl("h", "a").await.unwrap(), [-1]);
        let none: Vec<Option<i64>> = client
            .hgetex("none", names, GetexOptions::new())
            .await
            .unwrap();
        assert_eq!(none, [None, None]);
        let at = unix_time(1000);
        for (options, expected) in [
            (GetexOptions::new().ex(5000), None),
            (GetexOptions::new().px(5_000_000), None),
            (GetexOptions::new().exat(at), Some(at)),
            (GetexOptions::new().pxat((at + 1) * 1000), Some(at + 1)),
            (GetexOptions::new().persist(), Some(-1)),
        ] {
            let read: Vec<Option<i64>> = client.hgetex("h", names, options).await.unwrap();
            assert_eq!(read, [Some(1), None]);
            let times = client.hexpiretime("h", "a").await.unwrap();
            match expected {
                Some(expected) => assert_eq!(times, [expected]),
                None => assert!(times[0] > unix_time(4000), "{times:?}"),
            }
        }
    });
}

#[test]
fn fields_are_set_with_a_time() {
    on_each(async |case| {
        if !since(&case, Some((8, 0)), Some((9, 0))) {
            return;
        }
        let client = case.client().await;
        let at = unix_time(1000);
        let new = HsetexOptions::new().fnx().exat(at);
        let pairs = [("a", 1), ("b", 2)];
        assert!(client.hsetex("h", pairs, new.clone()).await.unwrap());
        assert!(!client.hsetex("h", [("b", 3), ("c", 4)], new).await.unwrap());
        let all: HashMap<String, i64> = client.hgetall("h").await.unwrap();
        assert_eq!(all, HashMap::from([("a".into(), 1), ("b".into(), 2)]));
        assert_eq!(client.hexpiretime("h", "a").await.unwrap(), [at]);

        let keep = HsetexOptions::new().fxx().keepttl();
        assert!(client.hsetex("h", [("a", 5)], keep).await.unwrap());
        assert_eq!(client.hexpiretime("h", "a").await.unwrap(), [at]);
        let later = HsetexOptions::new().pxat(at * 1000 + 1000);
        assert!(client.hsetex("h", [("a", 6)], later).await.unwrap());
        assert_eq!(client.hexpiretime("h", "a").await.unwrap(), [at + 1]);
        assert!(
            client
                .hsetex("h", [("a", 7)], HsetexOptions::new())
                .await
                .unwrap()
        );
        assert_eq!(client.httl("h", "a").await.unwrap(), [-1]);
        for options in [
            HsetexOptions::new().ex(5000),
            HsetexOptions::new().px(5_000_000),
        ] {
            assert!(client.hsetex("h", [("a", 8)], options).await.unwrap());
            let left = client.httl("h", "a").await.unwrap();
            assert!((4990..=5000).contains(&left[0]), "{left:?}");
        }
        if since(&case, None, Some((9, 0))) {
            let options = HsetexOptions::new().xx();
            assert!(!client.hsetex("none", [("a", 1)], options).await.unwrap());
            let options = HsetexOptions::new().nx();
            assert!(!client.hsetex("h", [("a", 1)], options).await.unwrap());
        }
    });
}

#[test]
fn fields_are_read_and_removed_at_once() {
    on_each(async |case| {
        if !since(&case, Some((8, 0)), Some((9, 1))) {
            return;
        }
        let client = case.client().await;
        client.hset("h", [("a", 1), ("b", 2)]).await.unwrap();
        let read: Vec<Option<i64>> = client.hgetdel("h", ["a", "x"]).await.unwrap();
        assert_eq!(read, [Some(1), None]);
        let read: Vec<Option<i64>> = client.hgetdel("none", ["a", "x"]).await.unwrap();
        assert_eq!(read, [None, None]);
        let read: Vec<i64> = client.hgetdel("h", "b").await.unwrap();
        assert_eq!(read, [2]);
        assert_eq!(client.exists("h").await.unwrap(), 0);
    });
}
