//! String values.

use super::since;
use super::support::{error, on_each};
use tidings::Commands;
use tidings::options::{GetexOptions, LcsOptions, MsetexOptions, SetOptions};

type Range = (i64, i64);

#[test]
fn values_are_set_and_read() {
    on_each(async |case| {
        let client = case.client().await;
        client.set("a", "x").await.unwrap();
        assert_eq!(client.get::<String>("a").await.unwrap(), "x");
        assert_eq!(client.get::<Option<String>>("none").await.unwrap(), None);
        assert_eq!(client.append("a", "yz").await.unwrap(), 3);
        assert_eq!(client.strlen("a").await.unwrap(), 3);
        assert_eq!(client.getset::<String>("a", "new").await.unwrap(), "xyz");
        assert_eq!(client.getdel::<String>("a").await.unwrap(), "new");
        assert_eq!(client.getdel::<Option<String>>("a").await.unwrap(), None);
        client.mset([("a", 1), ("b", 2)]).await.unwrap();
        let values: Vec<Option<i64>> = client.mget(["a", "none", "b"]).await.unwrap();
        assert_eq!(values, [Some(1), None, Some(2)]);
        assert!(!client.msetnx([("b", 3), ("c", 3)]).await.unwrap());
        assert!(client.msetnx([("c", 3), ("d", 4)]).await.unwrap());
        assert_eq!(
            client.mget::<Vec<i64>, _>(["b", "c"]).await.unwrap(),
            [2, 3]
        );
    });
}

#[test]
fn numbers_are_counted_up_and_down() {
    on_each(async |case| {
        let client = case.client().await;
        assert_eq!(client.incr("n").await.unwrap(), 1);
        assert_eq!(client.incrby("n", 10).await.unwrap(), 11);
        assert_eq!(client.decr("n").await.unwrap(), 10);
        assert_eq!(client.decrby("n", 4).await.unwrap(), 6);
        assert_eq!(client.incrbyfloat("n", 0.5).await.unwrap(), 6.5);
        let error = error(client.incr("n").await);
        assert!(error.to_string().contains("not an integer"), "{error}");
    });
}

#[test]
fn values_are_set_for_a_time_and_on_conditions() {
    on_each(async |case| {
        let client = case.client().await;
        client.set_ex("a", 1, 100).await.unwrap();
        assert!((90..=100).contains(&client.ttl("a").await.unwrap()));
        client.setex("b", 100, 1).await.unwrap();
        assert!((90..=100).contains(&client.ttl("b").await.unwrap()));
        client.psetex("c", 100_000, 1).await.unwrap();
        assert!((90_000..=100_000).contains(&client.pttl("c").await.unwrap()));
        assert!(!client.setnx("a", 2).await.unwrap());
        assert!(client.setnx("d", 2).await.unwrap());
        assert!(!client.set_nx("a", 2).await.unwrap());
        assert!(client.set_nx("e", 2).await.unwrap());

        let options = SetOptions::new;
        assert!(
            !client
                .set_with::<bool>("none", 1, options().xx())
                .await
                .unwrap()
        );
        assert!(
            !client
                .set_with::<bool>("a", 1, options().nx())
                .await
                .unwrap()
        );
        assert!(
            client
                .set_with::<bool>("a", 2, options().xx().keepttl())
                .await
                .unwrap()
        );
        assert!((90..=100).contains(&client.ttl("a").await.unwrap()));
        let before: Option<i64> = client.set_with("a", 3, options().get()).await.unwrap();
        assert_eq!(before, Some(2));
        let before: Option<i64> = client
            .set_with("f", 3, options().get().ex(100))
            .await
            .unwrap();
        assert_eq!(before, None);
        let kept: Option<i64> = client.set_with("f", 4, options().nx().get()).await.unwrap();
        assert_eq!(kept, Some(3));
        let at = 4_102_444_800;
        client
            .set_with::<()>("f", 4, options().exat(at))
            .await
            .unwrap();
        assert_eq!(client.expiretime("f").await.unwrap(), at);
        client
            .set_with::<()>("f", 4, options().pxat(at * 1000 + 1))
            .await
            .unwrap();
        assert_eq!(client.pexpiretime("f").await.unwrap(), at * 1000 + 1);
        client
            .set_with::<()>("f", 4, options().px(50_000))
            .await
            .unwrap();
        assert!((40_000..=50_000).contains(&client.pttl("f").await.unwrap()));
        if since(&case, None, Some((8, 1))) {
            assert!(
                !client
                    .set_with::<bool>("f", 5, options().ifeq(3))
                    .await
                    .unwrap()
            );
            assert!(
                client
                    .set_with::<bool>("f", 5, options().ifeq(4))
                    .await
                    .unwrap()
            );
        }
    });
}

#[test]
fn reading_can_change_the_time() {
    on_each(async |case| {
        let client = case.client().await;
        let at = 4_102_444_800;
        client.set_ex("a", 1, 100).await.unwrap();
        let getex = async |options| client.getex::<i64>("a", options).await.unwrap();
        assert_eq!(getex(GetexOptions::new()).await, 1);
        assert!(client.ttl("a").await.unwrap() > 0);
        assert_eq!(getex(GetexOptions::new().persist()).await, 1);
        assert_eq!(client.ttl("a").await.unwrap(), -1);
        assert_eq!(getex(GetexOptions::new().ex(100)).await, 1);
        assert!((90..=100).contains(&client.ttl("a").await.unwrap()));
        assert_eq!(getex(GetexOptions::new().px(200_000)).await, 1);
        assert!((190..=200).contains(&client.ttl("a").await.unwrap()));
        assert_eq!(getex(GetexOptions::new().exat(at)).await, 1);
        assert_eq!(client.expiretime("a").await.unwrap(), at);
        assert_eq!(getex(GetexOptions::new().pxat(at * 1000 + 5)).await, 1);
        assert_eq!(client.pexpiretime("a").await.unwrap(), at * 1000 + 5);
        let none: Option<i64> = client
            .getex("none", GetexOptions::new().ex(1))
            .await
            .unwrap();
        assert_eq!(none, None);
    });
}

#[test]
fn parts_of_values_are_read_and_written() {
    on_each(async |case| {
        let client = case.client().await;
        client.set("a", "Hello World").await.unwrap();
        assert_eq!(client.getrange::<String>("a", 0, 4).await.unwrap(), "Hello");
        assert_eq!(
            client.getrange::<String>("a", -5, -1).await.unwrap(),
            "World"
        );
        assert_eq!(client.substr::<String>("a", 6, 100).await.unwrap(), "World");
        assert_eq!(client.getrange::<String>("none", 0, -1).await.unwrap(), "");
        assert_eq!(client.setrange("a", 6, "Redis").await.unwrap(), 11);
        assert_eq!(client.get::<String>("a").await.unwrap(), "Hello Redis");
        assert_eq!(client.setrange("b", 2, "x").await.unwrap(), 3);
        assert_eq!(client.get::<Vec<u8>>("b").await.unwrap(), b"\0\0x");
    });
}

#[test]
fn what_two_values_have_in_common_is_found() {
    on_each(async |case| {
        let client = case.client().await;
        client
            .mset([("a", "ohmytext"), ("b", "mynewtext")])
            .await
            .unwrap();
        assert_eq!(client.lcs::<String>("a", "b").await.unwrap(), "mytext");
        assert_eq!(client.lcs::<String>("a", "none").await.unwrap(), "");
        assert_eq!(client.lcs_len("a", "b").await.unwrap(), 6);
        let (_, matches, _, length): (String, Vec<(Range, Range)>, String, i64) =
            client.lcs_idx("a", "b", LcsOptions::new()).await.unwrap();
        assert_eq!(
            (matches, length),
            (vec![((4, 7), (5, 8)), ((2, 3), (0, 1))], 6)
        );
        let options = LcsOptions::new().minmatchlen(4).withmatchlen();
        let (_, matches, _, length): (String, Vec<(Range, Range, i64)>, String, i64) =
            client.lcs_idx("a", "b", options).await.unwrap();
        assert_eq!((matches, length), (vec![((4, 7), (5, 8), 4)], 6));
    });
}

#[test]
fn keys_are_removed_by_value_and_set_together_for_a_time() {
    on_each(async |case| {
        let client = case.client().await;
        if since(&case, None, Some((9, 0))) {
            client.set("a", 1).await.unwrap();
            assert!(!client.delifeq("a", 2).await.unwrap());
            assert!(client.delifeq("a", 1).await.unwrap());
            assert!(!client.delifeq("a", 1).await.unwrap());
        }
        if since(&case, None, Some((9, 1))) {
            let pairs = [("b", 1), ("c", 2)];
            let options = MsetexOptions::new;
            assert!(!client.msetex(pairs, options().xx()).await.unwrap());
            assert!(client.msetex(pairs, options().nx().ex(100)).await.unwrap());
            assert!((90..=100).contains(&client.ttl("b").await.unwrap()));
            assert!(client.msetex(pairs, options().keepttl()).await.unwrap());
            assert!((90..=100).contains(&client.ttl("c").await.unwrap()));
            assert!(client.msetex(pairs, options().px(50_000)).await.unwrap());
            assert!((40..=50).contains(&client.ttl("c").await.unwrap()));
            let at = 4_102_444_800;
            assert!(
                client
                    .msetex([("b", 3)], options().xx().exat(at))
                    .await
                    .unwrap()
            );
            assert_eq!(client.expiretime("b").await.unwrap(), at);
            assert!(
                client
                    .msetex([("b", 3)], options().pxat(at * 1000))
                    .await
                    .unwrap()
            );
            assert_eq!(
                client.mget::<Vec<i64>, _>(["b", "c"]).await.unwrap(),
                [3, 2]
            );
        }
    });
}
