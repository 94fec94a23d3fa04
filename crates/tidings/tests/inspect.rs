//! The PUBSUB commands, and one client shared by many tasks, on real servers: SPEC items PC-01 and TH-01.

mod support;

use std::collections::HashMap;

use support::{COUNTED, error, on_each};
use tidings::{Bytes, Client, Commands, PubSub, cmd};

async fn pubsub(client: &Client) -> PubSub {
    let mut pubsub = client
        .pubsub()
        .channels(["foo", "bar", "food"])
        .patterns(["f*", "n*"])
        .await
        .unwrap();
    pubsub.ssubscribe(["shard-1", "shard-2"]).await.unwrap();
    pubsub
}

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names
}

#[test]
fn pc_01_pubsub_channels_lists_the_channels_that_have_subscribers() {
    on_each(async |case| {
        let client = case.client().await;
        let none: Vec<String> = client.pubsub_channels(None::<&str>).await.unwrap();
        assert_eq!(none, [""; 0]);
        let first = pubsub(&client).await;
        let second = client.pubsub().channels(["foo", "other"]).await.unwrap();
        let all = client.pubsub_channels(None::<&str>).await.unwrap();
        assert_eq!(sorted(all), ["bar", "foo", "food", "other"]);
        let some = client.pubsub_channels("foo*").await.unwrap();
        assert_eq!(sorted(some), ["foo", "food"]);
        let some = client.pubsub_channels(["?a[r]"]).await.unwrap();
        assert_eq!(sorted(some), ["bar"]);
        let none: Vec<String> = client.pubsub_channels("shard*").await.unwrap();
        assert_eq!(none, [""; 0]);
        drop(first);
        case.await_subscribers("bar", 0).await;
        let all = client.pubsub_channels(None::<&str>).await.unwrap();
        assert_eq!(sorted(all), ["foo", "other"]);
        drop(second);

        let binary = client
            .pubsub()
            .channels([&b"\xff\0\r\n"[..]])
            .await
            .unwrap();
        let names: Vec<Bytes> = client.pubsub_channels(b"\xff*").await.unwrap();
        assert_eq!(names, [&b"\xff\0\r\n"[..]]);
        drop(binary);
    });
}

#[test]
fn pc_01_pubsub_numsub_counts_in_the_order_asked_with_0_for_an_unknown_one() {
    on_each(async |case| {
        let client = case.client().await;
        let _first = pubsub(&client).await;
        let _second = client.pubsub().channels(["foo"]).await.unwrap();
        let counts: Vec<(String, i64)> = client
            .pubsub_numsub(["unknown", "foo", "bar", "f*", "foo", "shard-1"])
            .await
            .unwrap();
        let expected = [
            ("unknown", 0),
            ("foo", 2),
            ("bar", 1),
            ("f*", 0),
            ("foo", 2),
            ("shard-1", 0),
        ];
        assert_eq!(counts, expected.map(|(name, n)| (name.to_owned(), n)));
        let one: Vec<(Bytes, u64)> = client.pubsub_numsub("foo").await.unwrap();
        assert_eq!(one, [(Bytes::from_static(b"foo"), 2)]);
        let by_name: HashMap<String, i64> = client.pubsub_numsub(["foo", "x"]).await.unwrap();
        assert_eq!(
            by_name,
            HashMap::from([("foo".to_owned(), 2), ("x".to_owned(), 0)])
        );
        let none: Vec<(String, i64)> = client.pubsub_numsub([""; 0]).await.unwrap();
        assert_eq!(none, []);
    });
}

#[test]
fn pc_01_pubsub_numpat_counts_different_patterns() {
    on_each(async |case| {
        let client = case.client().await;
        assert_eq!(client.pubsub_numpat().await.unwrap(), 0);
        let _first = pubsub(&client).await;
        assert_eq!(client.pubsub_numpat().await.unwrap(), 2);
        let mut second = client.pubsub().patterns(["f*", "g*"]).await.unwrap();
        assert_eq!(client.pubsub_numpat().await.unwrap(), 3);
        second.punsubscribe_all().await.unwrap();
        assert_eq!(client.pubsub_numpat().await.unwrap(), 2);
    });
}

#[test]
fn pc_01_shard_channels_are_listed_and_counted_apart() {
    on_each(async |case| {
        let client = case.client().await;
        let none: Vec<String> = client.pubsub_shardchannels(None::<&str>).await.unwrap();
        assert_eq!(none, [""; 0]);
        let _first = pubsub(&client).await;
        let mut second = client.pubsub().await.unwrap();
        second.ssubscribe(["shard-1", "other"]).await.unwrap();
        let all = client.pubsub_shardchannels(None::<&str>).await.unwrap();
        assert_eq!(sorted(all), ["other", "shard-1", "shard-2"]);
        let some = client.pubsub_shardchannels("shard-*").await.unwrap();
        assert_eq!(sorted(some), ["shard-1", "shard-2"]);
        let counts: Vec<(String, i64)> = client
            .pubsub_shardnumsub(["shard-2", "unknown", "shard-1", "foo"])
            .await
            .unwrap();
        let expected = [("shard-2", 1), ("unknown", 0), ("shard-1", 2), ("foo", 0)];
        assert_eq!(counts, expected.map(|(name, n)| (name.to_owned(), n)));
        let none: Vec<(String, i64)> = client.pubsub_shardnumsub([""; 0]).await.unwrap();
        assert_eq!(none, []);
    });
}

// ---- TH-01 ----

#[test]
fn th_01_a_client_is_clone_send_and_sync_and_so_are_its_commands() {
    fn shared<T: Clone + Send + Sync + 'static>() {}
    fn send(_: &impl Send) {}
    shared::<Client>();
    // Never run: what counts is that it compiles.
    #[allow(dead_code, reason = "see above")]
    fn futures(client: &Client) {
        send(&client.publish("a", "x"));
        send(&client.get::<String>("a"));
        send(&client.run::<()>(cmd("PING")));
        send(&Client::connect("redis://localhost"));
    }
}

#[test]
fn th_01_a_thousand_tasks_share_one_client_and_one_connection() {
    const TASKS: i64 = 1_000;
    on_each(async |case| {
        let elsewhere = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(3)
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let client = case.counted_client().await;
                let tasks: Vec<_> = (0..TASKS)
                    .map(|task| {
                        let client = client.clone();
                        tokio::spawn(async move {
                            let (key, value) = (format!("key:{task}"), format!("value:{task}"));
                            client.set(&key, &value).await.unwrap();
                            let seen: i64 = client.incr("seen").await.unwrap();
                            // Each gets its own reply, whatever the others ask for.
                            let stored: String = client.get(&key).await.unwrap();
                            assert_eq!(stored, value);
                            let wrong = client.incr(&key).await;
                            assert_eq!(wrong.unwrap_err().code(), Some("ERR"));
                            let echo: String = client.run(cmd("ECHO").arg(&key)).await.unwrap();
                            assert_eq!(echo, key);
                            seen
                        })
                    })
                    .collect();
                let mut seen = Vec::new();
                for task in tasks {
                    seen.push(task.await.unwrap());
                }
                seen.sort_unstable();
                assert_eq!(seen, (1..=TASKS).collect::<Vec<_>>());
                assert_eq!(case.connections(), 1);
            });
        });
        elsewhere.join().unwrap();
    });
}

#[test]
fn th_01_there_is_no_select_and_no_command_changes_the_client() {
    on_each(async |case| {
        let client = case.counted_client().await;
        let url = case.url();
        let (address, rest) = url.split_once('?').unwrap();
        let third = Client::connect(format!("{address}/3?{rest}&{COUNTED}"))
            .await
            .unwrap();
        for command in [
            cmd("SELECT").arg(3),
            cmd("select").arg(0),
            cmd("SUBSCRIBE").arg("a"),
            cmd("PSUBSCRIBE").arg("a"),
            cmd("SSUBSCRIBE").arg("a"),
            cmd("UNSUBSCRIBE"),
            cmd("MULTI"),
            cmd("EXEC"),
            cmd("WATCH").arg("a"),
            cmd("MONITOR"),
            cmd("RESET"),
            cmd("QUIT"),
            cmd("HELLO").arg(2),
            cmd("AUTH").arg("x"),
            cmd("CLIENT").arg("REPLY").arg("OFF"),
        ] {
            let text = command.to_string();
            let refused = error(client.run::<()>(command).await);
            assert!(refused.is_misuse(), "{text}: {refused:?}");
            assert!(!refused.may_have_run());
        }
        client.set("where", "in 0").await.unwrap();
        third.set("where", "in 3").await.unwrap();
        let found: String = client.clone().get("where").await.unwrap();
        assert_eq!(found, "in 0");
        let found: String = third.get("where").await.unwrap();
        assert_eq!(found, "in 3");
        assert_eq!(case.connections(), 2);
        assert_eq!(case.subscriber_ids(), [""; 0]);
    });
}

#[test]
fn th_01_a_dropped_clone_leaves_the_others_their_connection() {
    on_each(async |case| {
        let client = case.counted_client().await;
        let clone = client.clone();
        let _pubsub = clone.pubsub().channels("a").await.unwrap();
        drop(client);
        assert_eq!(clone.publish("a", "x").await.unwrap(), 1);
        assert_eq!(case.connections(), 2);
        drop(clone);
        support::eventually("the last clone closes the connection", || {
            // The PubSub holds its own connection for itself.
            case.connections() == 1
        })
        .await;
    });
}
