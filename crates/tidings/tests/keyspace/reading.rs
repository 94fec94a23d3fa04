//! What comes, and how often.

use tidings::{Commands, Overflow, options::SetOptions};

use crate::faces::Case;
use crate::{assert_quiet, item, key_event, notifying, on_both_faces, read};

on_both_faces! {
    [notifying]
    what_is_done_to_a_key_comes_once_with_its_database_and_its_server,
    keys_are_exact_whatever_bytes_they_hold_and_however_long_they_are,
    thousands_of_changes_come_once_each_and_in_order,
    a_full_queue_drops_as_it_was_told_and_says_how_many,
}

async fn what_is_done_to_a_key_comes_once_with_its_database_and_its_server(case: Case) {
    let client = case.client().await;
    let mut events = client.keyspace_events("*").open().await.expect("it opens");
    client.set("bing", "baz").await.unwrap();
    client.expire("bing", 100).await.unwrap();
    client.lpush("list", ["a", "b"]).await.unwrap();
    let _: Vec<String> = client.lpop_count("list", 2).await.unwrap();
    client.rename("bing", "bong").await.unwrap();
    client.del(["bong", "missing"]).await.unwrap();
    assert_eq!(
        read(&mut events, 8).await,
        [
            "0 set bing",
            "0 expire bing",
            "0 lpush list",
            "0 lpop list",
            "0 del list",
            "0 rename_from bing",
            "0 rename_to bong",
            "0 del bong",
        ]
    );
    let options = SetOptions::new().px(1);
    client
        .set_with::<()>("short", "lived", options)
        .await
        .unwrap();
    assert_eq!(
        read(&mut events, 2).await,
        ["0 set short", "0 expire short"]
    );
    let event = key_event(&mut events).await;
    assert_eq!(
        (event.operation(), event.key()),
        (&b"expired"[..], &b"short"[..])
    );
    assert!(event.removes_key());
    assert_eq!(event.node().to_string(), case.server.address());
    let nodes = events.nodes();
    assert_eq!(nodes.len(), 1);
    assert!(nodes[0].is_connected() && nodes[0].node() == event.node());
    assert_quiet(&mut events).await;
}

async fn keys_are_exact_whatever_bytes_they_hold_and_however_long_they_are(case: Case) {
    let client = case.client().await;
    let mut events = client.keyspace_events("*").open().await.expect("it opens");
    let mut keys: Vec<Vec<u8>> = [&b""[..], b"\0\xff", b"a__:b", b"a b\r\nc", b"[x]*?\\"]
        .map(<[u8]>::to_vec)
        .to_vec();
    keys.extend([33, 256, 257, 100_000].map(|length| vec![b'k'; length]));
    for key in &keys {
        client.set(key, 1).await.unwrap();
    }
    for key in &keys {
        let event = key_event(&mut events).await;
        assert_eq!(event.key(), key);
        assert!(!event.removes_key());
    }
    assert_quiet(&mut events).await;
}

async fn thousands_of_changes_come_once_each_and_in_order(case: Case) {
    const CHANGES: usize = 5_000;
    let client = case.client().await;
    let mut events = client
        .keyspace_events("n:*")
        .operations("set")
        .open()
        .await
        .expect("it opens");
    let mut pipe = client.pipeline();
    pipe.transaction(false);
    for n in 0..CHANGES {
        pipe.set(format!("n:{n}"), n);
        pipe.expire(format!("n:{n}"), 100);
        pipe.set(format!("other:{n}"), n);
    }
    pipe.execute::<()>().await.unwrap();
    for n in 0..CHANGES {
        assert_eq!(key_event(&mut events).await.key_str(), format!("n:{n}"));
    }
    assert_quiet(&mut events).await;
}

async fn a_full_queue_drops_as_it_was_told_and_says_how_many(case: Case) {
    let client = case.client().await;
    let open = async |overflow| {
        let builder = client.keyspace_events("n:*").queue(10, 1 << 20);
        builder.overflow(overflow).open().await.expect("it opens")
    };
    let mut oldest = open(Overflow::DropOldest).await;
    let mut newest = open(Overflow::DropNewest).await;
    let mut closing = open(Overflow::Close).await;
    let mut all = open(Overflow::Backpressure).await;
    for n in 0..100 {
        client.set(format!("n:{n}"), n).await.unwrap();
    }
    for n in 0..100 {
        assert_eq!(key_event(&mut all).await.key_str(), format!("n:{n}"));
    }
    // By the time that one connection has brought the last one, the others need not have.
    crate::support::eventually("all has come", || {
        let list = case.server.cli(["CLIENT", "LIST", "TYPE", "pubsub"]);
        list.lines().count() == 3 && list.lines().all(|line| line.contains(" omem=0 "))
    })
    .await;
    client.set("n:last", 1).await.unwrap();
    let mut count = 0;
    loop {
        match item(&mut oldest).await.expect("no error") {
            tidings::KeyspaceEvent::Gap(gap) => count += gap.dropped().expect("a number"),
            event => {
                count += 1;
                if event.key_event().expect("one").key() == b"n:last" {
                    break;
                }
            }
        }
    }
    assert_eq!(count, 101);
    for n in 0..10 {
        assert_eq!(key_event(&mut newest).await.key_str(), format!("n:{n}"));
        assert_eq!(key_event(&mut closing).await.key_str(), format!("n:{n}"));
    }
    let gap = item(&mut newest).await.expect("no error");
    assert!(gap.gap().expect("a gap").dropped() >= Some(90));
    let gap = item(&mut closing).await.expect("no error");
    assert!(gap.gap().expect("a gap").dropped() >= Some(1));
    let full = item(&mut closing).await.expect_err("it was told to close");
    assert_eq!(full.kind(), tidings::ErrorKind::Overflow);
    assert!(closing.next(crate::SOON).await.is_none());
}
