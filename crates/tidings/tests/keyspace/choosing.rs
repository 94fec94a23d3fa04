//! Which keys, which operations, which databases.

use tidings::{Commands, cmd, escape_pattern};

use crate::faces::Case;
use crate::{assert_quiet, notifying, on_both_faces, read, refused};

on_both_faces! {
    [notifying]
    only_keys_that_match_the_pattern_come,
    only_operations_that_were_named_come,
    events_of_one_database_or_of_all_come,
}

async fn only_keys_that_match_the_pattern_come(case: Case) {
    let client = case.client().await;
    let mut some = client.keyspace_events("user:*").open().await.unwrap();
    let mut class = client.keyspace_events("cart[12]?").open().await.unwrap();
    let exact = escape_pattern(b"cart[12]?");
    let mut exact = client.keyspace_events(exact).open().await.unwrap();
    for key in ["user:1", "other", "cart1x", "cart[12]?", "cart3x", "user:2"] {
        client.set(key, 1).await.unwrap();
    }
    assert_eq!(read(&mut some, 2).await, ["0 set user:1", "0 set user:2"]);
    assert_eq!(read(&mut class, 1).await, ["0 set cart1x"]);
    assert_eq!(read(&mut exact, 1).await, ["0 set cart[12]?"]);
    for events in [&mut some, &mut class, &mut exact] {
        assert_quiet(events).await;
    }
}

async fn only_operations_that_were_named_come(case: Case) {
    let client = case.client().await;
    let builder = client.keyspace_events("user:*").operations(["SET", "del"]);
    let mut of_some_keys = builder.open().await.unwrap();
    let builder = client.keyspace_events("*").operations(["del", "set"]);
    let mut of_all_keys = builder.open().await.unwrap();
    let mut of_one = client
        .keyspace_events("*")
        .operations("incrby")
        .open()
        .await
        .unwrap();
    client.set("user:1", 1).await.unwrap();
    client.incr("user:1").await.unwrap();
    client.set("other", 1).await.unwrap();
    client.del(["user:1", "other"]).await.unwrap();
    let expected = ["0 set user:1", "0 set other", "0 del user:1", "0 del other"];
    assert_eq!(read(&mut of_all_keys, 4).await, expected);
    assert_eq!(read(&mut of_some_keys, 2).await, [expected[0], expected[2]]);
    assert_eq!(read(&mut of_one, 1).await, ["0 incrby user:1"]);
    // Those of all keys have come by the channels of the operations.
    let channels: Vec<String> = client.pubsub_channels("__key*").await.unwrap();
    assert_eq!(channels.len(), 3, "{channels:?}");
    assert!(
        channels
            .iter()
            .all(|name| name.starts_with("__keyevent@0__:"))
    );
    for events in [&mut of_some_keys, &mut of_all_keys, &mut of_one] {
        assert_quiet(events).await;
    }
    let none = client.keyspace_events("*").operations(Vec::<String>::new());
    assert!(refused(none.open().await).is_misuse());
}

async fn events_of_one_database_or_of_all_come(case: Case) {
    let client = case.client().await;
    let url = format!(
        "{}/12?protocol={}",
        case.server.url(),
        case.protocol.number()
    );
    let config = tidings::Config::from_url(&url).unwrap();
    let twelve = case.client_with(config).await;
    let mut own = twelve.keyspace_events("*").open().await.unwrap();
    let mut other = client
        .keyspace_events("*")
        .database(12)
        .open()
        .await
        .unwrap();
    let mut all = client
        .keyspace_events("*")
        .all_databases()
        .open()
        .await
        .unwrap();
    let builder = client.keyspace_events("*").operations("set");
    let mut all_sets = builder.all_databases().open().await.unwrap();
    client.set("a", 1).await.unwrap();
    // Nothing of a key is taken for its database.
    client.set("1__:a", 1).await.unwrap();
    twelve.run::<()>(cmd("SET").arg("b").arg(1)).await.unwrap();
    let expected = ["0 set a", "0 set 1__:a", "12 set b"];
    assert_eq!(read(&mut all, 3).await, expected);
    assert_eq!(read(&mut all_sets, 3).await, expected);
    assert_eq!(read(&mut own, 1).await, ["12 set b"]);
    assert_eq!(read(&mut other, 1).await, ["12 set b"]);
    for events in [&mut own, &mut other, &mut all, &mut all_sets] {
        assert_quiet(events).await;
    }
}
