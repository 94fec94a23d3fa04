//! Keys, whatever their values are.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::support::{Case, error, on_each};
use tidings::options::{
    CopyOptions, ExpireOptions, MigrateOptions, RestoreOptions, ScanOptions, SortOptions,
};
use tidings::{Client, Commands};
use tidings_testkit::Server;

const HOUR: i64 = 3600;

fn unix_time() -> i64 {
    let time = SystemTime::now().duration_since(UNIX_EPOCH);
    i64::try_from(time.expect("after 1970").as_secs()).expect("it fits")
}

#[test]
fn keys_are_removed_counted_touched_and_named() {
    on_each(async |case| {
        let client = case.client().await;
        assert_eq!(client.randomkey::<Option<String>>().await.unwrap(), None);
        client.mset([("a", 1), ("b", 2), ("c", 3)]).await.unwrap();
        assert_eq!(client.exists(["a", "b", "b", "none"]).await.unwrap(), 3);
        assert_eq!(client.touch(["a", "b", "none"]).await.unwrap(), 2);
        let keys: BTreeSet<String> = client.keys("[ab]").await.unwrap();
        assert_eq!(keys, ["a", "b"].map(str::to_owned).into());
        assert_eq!(client.key_type("a").await.unwrap(), "string");
        assert_eq!(client.key_type("none").await.unwrap(), "none");
        assert_eq!(client.del(["a", "none"]).await.unwrap(), 1);
        assert_eq!(client.unlink(["b", "none"]).await.unwrap(), 1);
        assert_eq!(
            client
                .randomkey::<Option<String>>()
                .await
                .unwrap()
                .as_deref(),
            Some("c")
        );
    });
}

#[test]
fn keys_are_renamed_copied_and_moved() {
    on_each(async |case| {
        let client = case.client().await;
        client.mset([("a", 1), ("b", 2)]).await.unwrap();
        client.rename("a", "c").await.unwrap();
        assert!(
            error(client.rename("a", "c").await)
                .to_string()
                .contains("no such key")
        );
        assert!(!client.renamenx("c", "b").await.unwrap());
        assert!(client.renamenx("c", "a").await.unwrap());

        assert!(client.copy("a", "copy").await.unwrap());
        assert!(!client.copy("none", "other").await.unwrap());
        assert!(!client.copy("b", "copy").await.unwrap());
        let replace = CopyOptions::new().replace();
        assert!(
            client
                .copy_with("b", "copy", replace.clone())
                .await
                .unwrap()
        );
        assert_eq!(client.get::<i64>("copy").await.unwrap(), 2);
        assert!(
            client
                .copy_with("a", "copy", replace.database(1))
                .await
                .unwrap()
        );

        assert!(client.move_key("a", 1).await.unwrap());
        assert!(!client.move_key("a", 1).await.unwrap());
        let other = database(&case, 1).await;
        assert_eq!(
            other.mget::<Vec<i64>, _>(["copy", "a"]).await.unwrap(),
            [1, 1]
        );
        client.swapdb(0, 1).await.unwrap();
        assert_eq!(
            client.mget::<Vec<i64>, _>(["copy", "a"]).await.unwrap(),
            [1, 1]
        );
        assert_eq!(other.get::<i64>("b").await.unwrap(), 2);
    });
}

async fn database(case: &Case, number: u32) -> Client {
    let (url, protocol) = (case.server.url(), case.protocol.number());
    Client::connect(format!("{url}/{number}?protocol={protocol}"))
        .await
        .unwrap()
}

#[test]
fn keys_expire_when_they_are_told() {
    on_each(async |case| {
        let client = case.client().await;
        assert_eq!(client.ttl("a").await.unwrap(), -2);
        assert_eq!(client.expiretime("a").await.unwrap(), -2);
        assert!(!client.expire("a", 10).await.unwrap());
        client.set("a", 1).await.unwrap();
        assert_eq!(client.pttl("a").await.unwrap(), -1);
        assert_eq!(client.pexpiretime("a").await.unwrap(), -1);
        assert!(!client.persist("a").await.unwrap());

        assert!(client.expire("a", HOUR).await.unwrap());
        assert!((HOUR - 10..=HOUR).contains(&client.ttl("a").await.unwrap()));
        assert!(client.pexpire("a", 2 * HOUR * 1000).await.unwrap());
        let left = client.pttl("a").await.unwrap();
        assert!((HOUR * 1990..=HOUR * 2000).contains(&left), "{left}");
        assert!(client.persist("a").await.unwrap());

        let at = unix_time() + HOUR;
        assert!(client.expireat("a", at).await.unwrap());
        assert_eq!(client.expiretime("a").await.unwrap(), at);
        assert!(client.pexpireat("a", at * 1000 + 7).await.unwrap());
        assert_eq!(client.pexpiretime("a").await.unwrap(), at * 1000 + 7);
        assert!(client.expireat("a", 1).await.unwrap());
        assert_eq!(client.exists("a").await.unwrap(), 0);
    });
}

#[test]
fn a_time_is_set_on_a_condition() {
    on_each(async |case| {
        let client = case.client().await;
        client.set("a", 1).await.unwrap();
        let (nx, xx) = (ExpireOptions::new().nx(), ExpireOptions::new().xx());
        let (gt, lt) = (ExpireOptions::new().gt(), ExpireOptions::new().lt());
        let at = unix_time() + HOUR;
        assert!(!client.expire_with("a", HOUR, xx.clone()).await.unwrap());
        assert!(
            !client
                .pexpire_with("a", 1000 * HOUR, gt.clone())
                .await
                .unwrap()
        );
        assert!(
            !client
                .expire_with("a", HOUR, xx.clone().lt())
                .await
                .unwrap()
        );
        assert!(client.expireat_with("a", at, nx.clone()).await.unwrap());
        assert!(!client.expireat_with("a", at, nx).await.unwrap());
        assert!(client.pexpireat_with("a", at * 1000 + 1, gt).await.unwrap());
        assert!(
            !client
                .pexpireat_with("a", at * 1000 + 2, lt.clone())
                .await
                .unwrap()
        );
        assert!(client.expire_with("a", 10, lt).await.unwrap());
        assert!(client.pexpire_with("a", 20_000, xx).await.unwrap());
        assert!((10_001..=20_000).contains(&client.pttl("a").await.unwrap()));
    });
}

#[test]
fn values_are_dumped_and_restored() {
    on_each(async |case| {
        let client = case.client().await;
        client.sadd("a", ["x", "y"]).await.unwrap();
        assert_eq!(client.dump::<Option<Vec<u8>>>("none").await.unwrap(), None);
        let dump: Vec<u8> = client.dump("a").await.unwrap();
        client.restore("b", 0, &dump).await.unwrap();
        let members: BTreeSet<String> = client.smembers("b").await.unwrap();
        assert_eq!(members, ["x", "y"].map(str::to_owned).into());
        assert_eq!(client.ttl("b").await.unwrap(), -1);
        let busy = error(client.restore("b", 0, &dump).await);
        assert_eq!(busy.code(), Some("BUSYKEY"));

        let options = RestoreOptions::new().replace().absttl().idletime(100);
        let at = (unix_time() + HOUR) * 1000;
        client.restore_with("b", at, &dump, options).await.unwrap();
        assert_eq!(client.pexpiretime("b").await.unwrap(), at);
        assert!(client.object_idletime("b").await.unwrap().unwrap() >= 100);

        let lfu = [("maxmemory-policy", "allkeys-lfu")];
        client.config_set(lfu).await.unwrap();
        let options = RestoreOptions::new().replace().freq(200);
        client.restore_with("b", 0, &dump, options).await.unwrap();
        let frequency = client.object_freq("b").await.unwrap().unwrap();
        assert!((190..=200).contains(&frequency), "{frequency}");
    });
}

#[test]
fn scanning_goes_over_all_keys() {
    on_each(async |case| {
        let client = case.client().await;
        let pairs = (0..100).map(|n| (format!("key:{n:02}"), n));
        client.mset(pairs).await.unwrap();
        client.sadd("set:1", "x").await.unwrap();
        let options = ScanOptions::new().count(7);
        let all = scan(&client, options.clone()).await;
        assert_eq!(all.len(), 101);
        let some = scan(&client, options.clone().pattern("key:1*")).await;
        let expected: BTreeSet<String> = (10..20).map(|n| format!("key:{n}")).collect();
        assert_eq!(some, expected);
        let sets = scan(&client, options.kind("set")).await;
        assert_eq!(sets, ["set:1".to_owned()].into());
        let (next, keys): (u64, Vec<String>) = client.scan(0).await.unwrap();
        assert!(next != 0 && keys.len() < 100, "{next} {keys:?}");
    });
}

async fn scan(client: &Client, options: ScanOptions) -> BTreeSet<String> {
    let (mut all, mut cursor) = (BTreeSet::new(), 0);
    loop {
        let page = client.scan_with(cursor, options.clone()).await;
        let (next, keys): (u64, Vec<String>) = page.unwrap();
        all.extend(keys);
        cursor = next;
        if cursor == 0 {
            return all;
        }
    }
}

#[test]
fn elements_are_sorted_as_they_are_told() {
    on_each(async |case| {
        let client = case.client().await;
        client.sadd("s", [3, 1, 10]).await.unwrap();
        client
            .mset([("w:3", 1), ("w:1", 2), ("w:10", 3)])
            .await
            .unwrap();
        client
            .mset([("v:3", "three"), ("v:10", "ten")])
            .await
            .unwrap();
        assert_eq!(client.sort::<Vec<i64>>("s").await.unwrap(), [1, 3, 10]);
        assert_eq!(client.sort_ro::<Vec<i64>>("s").await.unwrap(), [1, 3, 10]);
        let text = SortOptions::new().alpha();
        let sorted: Vec<String> = client.sort_with("s", text.clone()).await.unwrap();
        assert_eq!(sorted, ["1", "10", "3"]);
        let sorted: Vec<i64> = client
            .sort_with("s", text.desc().limit(1, 5))
            .await
            .unwrap();
        assert_eq!(sorted, [10, 1]);
        let by_weight = SortOptions::new().by("w:*").get("#").get("v:*").asc();
        let expected = [(3, Some("three")), (1, None), (10, Some("ten"))]
            .map(|(n, text)| (n, text.map(str::to_owned)));
        let rows: Vec<(i64, Option<String>)> =
            client.sort_with("s", by_weight.clone()).await.unwrap();
        assert_eq!(rows, expected);
        let rows: Vec<(i64, Option<String>)> = client.sort_ro_with("s", by_weight).await.unwrap();
        assert_eq!(rows, expected);
        let descending = SortOptions::new().desc();
        assert_eq!(client.sort_store("s", descending, "list").await.unwrap(), 3);
        let list = SortOptions::new().by("nothing");
        assert_eq!(
            client.sort_with::<Vec<i64>>("list", list).await.unwrap(),
            [10, 3, 1]
        );
    });
}

#[test]
fn a_value_tells_of_itself() {
    on_each(async |case| {
        let client = case.client().await;
        assert_eq!(client.object_encoding("none").await.unwrap(), None);
        assert_eq!(client.object_refcount("none").await.unwrap(), None);
        assert_eq!(client.object_idletime("none").await.unwrap(), None);
        client.set("a", "text").await.unwrap();
        assert_eq!(
            client.object_encoding("a").await.unwrap().as_deref(),
            Some("embstr")
        );
        assert_eq!(client.object_refcount("a").await.unwrap(), Some(1));
        assert!(client.object_idletime("a").await.unwrap().unwrap() <= 10);
        assert!(
            error(client.object_freq("a").await)
                .to_string()
                .contains("LFU")
        );
        client
            .config_set([("maxmemory-policy", "allkeys-lfu")])
            .await
            .unwrap();
        client.set("b", "text").await.unwrap();
        assert!(client.object_freq("b").await.unwrap().unwrap() > 0);
    });
}

#[test]
fn keys_are_migrated_to_another_server() {
    on_each(async |case| {
        let client = case.client().await;
        let binary = case.server.binary();
        let other = Server::builder()
            .binary(binary)
            .password("s3cret")
            .start()
            .unwrap();
        let migrate = async |keys: &[&str], options: MigrateOptions| {
            let time = Duration::from_secs(5);
            client
                .migrate("127.0.0.1", other.port(), keys, 0, time, options)
                .await
        };
        let options = MigrateOptions::new().auth("s3cret");
        client.mset([("a", 1), ("b", 2)]).await.unwrap();
        assert_eq!(migrate(&["none"], options.clone()).await.unwrap(), "NOKEY");
        assert_eq!(migrate(&["a", "b"], options.clone()).await.unwrap(), "OK");
        assert_eq!(client.exists(["a", "b"]).await.unwrap(), 0);
        assert_eq!(other.cli(["MGET", "a", "b"]), "1\n2");
        client.set("a", 3).await.unwrap();
        assert!(
            error(migrate(&["a"], options).await)
                .to_string()
                .contains("BUSYKEY")
        );
        let options = MigrateOptions::new()
            .auth2("default", "s3cret")
            .copy()
            .replace();
        assert_eq!(migrate(&["a"], options).await.unwrap(), "OK");
        assert_eq!(
            other.cli(["GET", "a"]),
            client.get::<String>("a").await.unwrap()
        );
    });
}
