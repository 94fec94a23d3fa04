//! What takes time and memory.

use std::collections::HashMap;

use super::since;
use super::support::{error, on_each};
use tidings::options::CommandLog;
use tidings::{Commands, Value};

type Entry = (i64, i64, i64, Vec<String>, String, String);

#[test]
fn commands_that_took_long_are_told() {
    on_each(async |case| {
        let client = case.counted_client().await;
        client
            .config_set([("slowlog-log-slower-than", "0")])
            .await
            .unwrap();
        client.echo::<()>("hello").await.unwrap();
        client.echo::<()>("again").await.unwrap();
        client
            .config_set([("slowlog-log-slower-than", "-1")])
            .await
            .unwrap();
        let entries: Vec<Entry> = client.slowlog_get().await.unwrap();
        let echo = entries
            .iter()
            .find(|entry| entry.3 == ["ECHO", "hello"])
            .unwrap();
        assert!(echo.1 > 1_600_000_000 && echo.2 >= 0, "{echo:?}");
        assert_eq!(echo.5, "counted");
        assert!(client.slowlog_len().await.unwrap() >= 3);
        assert_eq!(
            client
                .slowlog_get_count::<Vec<Entry>>(1)
                .await
                .unwrap()
                .len(),
            1
        );
        client.slowlog_reset().await.unwrap();
        assert_eq!(client.slowlog_len().await.unwrap(), 0);

        if since(&case, None, Some((8, 1))) {
            client
                .config_set([("commandlog-request-larger-than", "1000")])
                .await
                .unwrap();
            client.echo::<()>("x".repeat(2000)).await.unwrap();
            let log = CommandLog::LargeRequest;
            let entries: Vec<Entry> = client.commandlog_get(-1, log).await.unwrap();
            assert!(entries[0].2 >= 2000, "{entries:?}");
            assert_eq!(client.commandlog_len(log).await.unwrap(), 1);
            client.commandlog_reset(log).await.unwrap();
            assert_eq!(client.commandlog_len(log).await.unwrap(), 0);
            assert_eq!(client.commandlog_len(CommandLog::Slow).await.unwrap(), 0);
            assert_eq!(
                client.commandlog_len(CommandLog::LargeReply).await.unwrap(),
                0
            );
        }
    });
}

#[test]
fn what_held_the_server_up_is_told() {
    on_each(async |case| {
        let client = case.client().await;
        assert_eq!(client.latency_latest::<Vec<Value>>().await.unwrap(), []);
        client
            .config_set([("latency-monitor-threshold", "1")])
            .await
            .unwrap();
        let slow = "local x = 0 for i = 1, 5000000 do x = x + i end return 1";
        let one: i64 = client.eval(slow, None::<&str>, None::<&str>).await.unwrap();
        assert_eq!(one, 1);
        let latest: Vec<Vec<Value>> = client.latency_latest().await.unwrap();
        assert_eq!(latest[0][0].as_str(), Some("command"));
        let history = client.latency_history("command").await.unwrap();
        assert!(
            history[0].0 > 1_600_000_000 && history[0].1 >= 1,
            "{history:?}"
        );
        assert_eq!(client.latency_history("none").await.unwrap(), []);
        assert!(
            client
                .latency_graph("command")
                .await
                .unwrap()
                .contains("command")
        );
        assert!(
            error(client.latency_graph("none").await)
                .to_string()
                .contains("none")
        );
        assert!(!client.latency_doctor().await.unwrap().is_empty());
        let histogram: HashMap<String, HashMap<String, Value>> =
            client.latency_histogram(["eval"]).await.unwrap();
        assert_eq!(histogram["eval"]["calls"], Value::Integer(1));
        let all: HashMap<String, HashMap<String, Value>> =
            client.latency_histogram(None::<&str>).await.unwrap();
        assert!(all.contains_key("eval") && all.len() > 1);
        assert_eq!(client.latency_reset("none").await.unwrap(), 0);
        assert!(client.latency_reset(None::<&str>).await.unwrap() >= 1);
    });
}

#[test]
fn what_takes_memory_is_told() {
    on_each(async |case| {
        let client = case.client().await;
        assert_eq!(client.memory_usage("none").await.unwrap(), None);
        client.set("a", "x".repeat(1000)).await.unwrap();
        assert!(client.memory_usage("a").await.unwrap().unwrap() > 1000);
        client.sadd("s", ["x", "y"]).await.unwrap();
        assert!(client.memory_usage_samples("s", 0).await.unwrap().unwrap() > 2);
        let stats: HashMap<String, Value> = client.memory_stats().await.unwrap();
        assert_eq!(stats["keys.count"].as_integer(), Some(2));
        assert!(!client.memory_doctor().await.unwrap().is_empty());
        assert!(!client.memory_malloc_stats().await.unwrap().is_empty());
        client.memory_purge().await.unwrap();
    });
}
