//! Commands about sets.

use std::collections::{BTreeSet, HashSet};

use tidings::Commands;
use tidings::options::SscanOptions;

use crate::support::{error, on_each};
use crate::texts;

type Members = BTreeSet<String>;

fn members<const N: usize>(members: [&str; N]) -> Members {
    members.map(str::to_owned).into()
}

#[test]
fn members_are_added_found_moved_and_removed() {
    on_each(async |case| {
        let client = case.client().await;
        assert_eq!(client.sadd("s", ["a", "b", "c"]).await.unwrap(), 3);
        assert_eq!(client.sadd("s", ["c", "d"]).await.unwrap(), 1);
        assert_eq!(client.scard("s").await.unwrap(), 4);
        assert!(client.sismember("s", "a").await.unwrap());
        assert!(!client.sismember("s", "x").await.unwrap());
        let asked = ["a", "x", "d"];
        let found = client.smismember("s", asked).await.unwrap();
        assert_eq!(found, [true, false, true]);
        assert!(client.smove("s", "t", "d").await.unwrap());
        assert!(!client.smove("s", "t", "d").await.unwrap());
        assert_eq!(
            client.smembers::<Members>("t").await.unwrap(),
            members(["d"])
        );
        assert_eq!(client.srem("s", ["a", "x"]).await.unwrap(), 1);
        let left: HashSet<String> = client.smembers("s").await.unwrap();
        assert_eq!(left, HashSet::from(["b".to_owned(), "c".to_owned()]));
    });
}

#[test]
fn a_set_that_is_not_there_is_empty() {
    on_each(async |case| {
        let client = case.client().await;
        assert_eq!(client.scard("s").await.unwrap(), 0);
        assert!(!client.sismember("s", "a").await.unwrap());
        let found = client.smismember("s", ["a", "b"]).await.unwrap();
        assert_eq!(found, [false, false]);
        assert_eq!(client.srem("s", "a").await.unwrap(), 0);
        assert_eq!(client.smembers::<Members>("s").await.unwrap(), members([]));
        assert_eq!(client.spop::<Option<String>>("s").await.unwrap(), None);
        assert_eq!(
            client.spop_count::<Members>("s", 2).await.unwrap(),
            members([])
        );
        let any: Option<String> = client.srandmember("s").await.unwrap();
        assert_eq!(any, None);
        let any: Vec<String> = client.srandmember_count("s", -2).await.unwrap();
        assert_eq!(any, texts([]));
        client.set("text", "x").await.unwrap();
        assert_eq!(error(client.scard("text").await).code(), Some("WRONGTYPE"));
    });
}

#[test]
fn any_members_are_read_and_taken() {
    on_each(async |case| {
        let client = case.client().await;
        client.sadd("s", ["a", "b", "c", "d"]).await.unwrap();
        let all = members(["a", "b", "c", "d"]);
        let one: String = client.srandmember("s").await.unwrap();
        assert!(all.contains(&one));
        let different: Vec<String> = client.srandmember_count("s", 9).await.unwrap();
        assert_eq!(
            (different.len(), Members::from_iter(different)),
            (4, all.clone())
        );
        let repeated: Vec<String> = client.srandmember_count("s", -9).await.unwrap();
        assert_eq!(repeated.len(), 9);
        assert!(repeated.iter().all(|member| all.contains(member)));
        assert_eq!(client.scard("s").await.unwrap(), 4);

        let mut taken = Members::new();
        taken.insert(client.spop("s").await.unwrap());
        let more: Vec<String> = client.spop_count("s", 2).await.unwrap();
        assert_eq!(more.len(), 2);
        taken.extend(more);
        taken.extend(client.spop_count::<Vec<String>>("s", 9).await.unwrap());
        assert_eq!(taken, all);
        assert_eq!(client.exists("s").await.unwrap(), 0);
    });
}

#[test]
fn sets_are_intersected_joined_and_subtracted() {
    on_each(async |case| {
        let client = case.client().await;
        client.sadd("s", ["a", "b", "c"]).await.unwrap();
        client.sadd("t", ["b", "c", "d"]).await.unwrap();
        let both = ["s", "t"];
        let inter: Members = client.sinter(both).await.unwrap();
        assert_eq!(inter, members(["b", "c"]));
        let union: Members = client.sunion(both).await.unwrap();
        assert_eq!(union, members(["a", "b", "c", "d"]));
        let diff: Members = client.sdiff(both).await.unwrap();
        assert_eq!(diff, members(["a"]));
        let none: Members = client.sinter(["s", "x"]).await.unwrap();
        assert_eq!(none, members([]));

        assert_eq!(client.sinterstore("i", both).await.unwrap(), 2);
        assert_eq!(client.sunionstore("u", both).await.unwrap(), 4);
        assert_eq!(client.sdiffstore("d", both).await.unwrap(), 1);
        assert_eq!(client.smembers::<Members>("i").await.unwrap(), inter);
        assert_eq!(client.smembers::<Members>("u").await.unwrap(), union);
        assert_eq!(client.smembers::<Members>("d").await.unwrap(), diff);
        assert_eq!(client.sinterstore("i", ["s", "x"]).await.unwrap(), 0);
        assert_eq!(client.exists("i").await.unwrap(), 0);

        assert_eq!(client.sintercard(both).await.unwrap(), 2);
        assert_eq!(client.sintercard_limit(both, 1).await.unwrap(), 1);
        assert_eq!(client.sintercard_limit(both, 0).await.unwrap(), 2);
        assert_eq!(client.sintercard(["s", "x"]).await.unwrap(), 0);
    });
}

#[test]
fn a_scan_brings_all_members() {
    on_each(async |case| {
        let client = case.client().await;
        let written: Members = (0..2000).map(|n| format!("m:{n}")).collect();
        client.sadd("s", &written).await.unwrap();
        let (mut read, mut cursor, mut calls) = (Members::new(), 0, 0);
        loop {
            let (next, some): (u64, Vec<String>) = client.sscan("s", cursor).await.unwrap();
            read.extend(some);
            calls += 1;
            cursor = next;
            if cursor == 0 {
                break;
            }
        }
        assert_eq!(read, written);
        assert!(calls > 1);
        let all = SscanOptions::new().pattern("m:17?").count(10_000);
        let (cursor, some): (u64, Members) = client.sscan_with("s", 0, all).await.unwrap();
        let expected = (170..180).map(|n| format!("m:{n}")).collect();
        assert_eq!((cursor, some), (0, expected));
        let (cursor, none): (u64, Vec<String>) = client.sscan("x", 0).await.unwrap();
        assert_eq!((cursor, none), (0, texts([])));
    });
}
