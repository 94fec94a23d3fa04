//! Scripts and functions.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::since;
use super::support::{Case, SOON, error, on_each};
use tidings::options::{FunctionListOptions, RestorePolicy};
use tidings::{Client, Commands, Result, Value};

const NONE: Option<&str> = None;

#[test]
fn scripts_run_with_keys_and_arguments() {
    on_each(async |case| {
        let client = case.client().await;
        let add = "return redis.call('INCRBY', KEYS[1], ARGV[1])";
        assert_eq!(client.eval::<i64, _, _>(add, ["n"], [2]).await.unwrap(), 2);
        let words = "return {KEYS[1], KEYS[2], ARGV[1], #KEYS, #ARGV}";
        let words: (String, String, String, i64, i64) =
            client.eval(words, ["a", "b"], "c").await.unwrap();
        assert_eq!(words, ("a".into(), "b".into(), "c".into(), 2, 1));
        let get = "return redis.call('GET', KEYS[1])";
        assert_eq!(
            client.eval_ro::<i64, _, _>(get, ["n"], NONE).await.unwrap(),
            2
        );
        let write = error(client.eval_ro::<i64, _, _>(add, ["n"], [2]).await);
        assert!(write.to_string().contains("read-only"), "{write}");

        let hash = client.script_load(add).await.unwrap();
        assert_eq!(hash.len(), 40);
        assert_eq!(
            client
                .evalsha::<i64, _, _>(&hash, ["n"], [3])
                .await
                .unwrap(),
            5
        );
        let read = client.script_load(get).await.unwrap();
        assert_eq!(
            client
                .evalsha_ro::<i64, _, _>(&read, ["n"], NONE)
                .await
                .unwrap(),
            5
        );
        assert_eq!(
            client.script_exists([&hash, "none", &read]).await.unwrap(),
            [true, false, true]
        );
        if since(&case, None, Some((8, 0))) {
            assert_eq!(client.script_show(&hash).await.unwrap(), add);
        }
        client.script_flush().await.unwrap();
        let gone = error(client.evalsha::<i64, _, _>(&hash, ["n"], [3]).await);
        assert_eq!(gone.code(), Some("NOSCRIPT"));
        client.script_flush_async().await.unwrap();
        client.script_flush_sync().await.unwrap();
    });
}

#[test]
fn a_script_or_function_that_does_not_end_is_ended() {
    on_each(async |case| {
        let client = case.client().await;
        client
            .config_set([("busy-reply-threshold", "10")])
            .await
            .unwrap();
        assert_eq!(error(client.script_kill().await).code(), Some("NOTBUSY"));
        assert_eq!(error(client.function_kill().await).code(), Some("NOTBUSY"));
        let library =
            "#!lua name=endless\nredis.register_function('spin', function() while true do end end)";
        client.function_load(library).await.unwrap();
        let other = case.client().await;
        let spin = "while true do end";
        let running = tokio::spawn(async move { other.eval::<(), _, _>(spin, NONE, NONE).await });
        until_killed(async || client.script_kill().await).await;
        assert!(error(running.await.unwrap()).to_string().contains("killed"));

        let other = case.client().await;
        let running =
            tokio::spawn(async move { other.fcall::<(), _, _>("spin", NONE, NONE).await });
        until_killed(async || client.function_kill().await).await;
        assert!(error(running.await.unwrap()).to_string().contains("killed"));
    });
}

/// There is nothing to be ended before the other connection's command has come.
async fn until_killed(mut kill: impl AsyncFnMut() -> Result<()>) {
    let begin = Instant::now();
    while let Err(error) = kill().await {
        assert!(
            ["NOTBUSY", "BUSY"].contains(&error.code().unwrap_or_default()),
            "{error}"
        );
        assert!(begin.elapsed() < SOON);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

const LIBRARY: &str = "#!lua name=lib
redis.register_function('add', function(keys, args) return redis.call('INCRBY', keys[1], args[1]) end)
local function read(keys) return redis.call('GET', keys[1]) end
redis.register_function{function_name='read', callback=read, flags={'no-writes'}}
";

async fn libraries(client: &Client) -> Vec<String> {
    let list: Vec<HashMap<String, Value>> = client.function_list().await.unwrap();
    let name =
        |library: &HashMap<String, Value>| library["library_name"].as_str().unwrap().to_owned();
    list.iter().map(name).collect()
}

#[test]
fn functions_are_loaded_called_and_listed() {
    on_each(async |case| {
        let client = case.client().await;
        assert_eq!(client.function_load(LIBRARY).await.unwrap(), "lib");
        assert!(
            error(client.function_load(LIBRARY).await)
                .to_string()
                .contains("already exists")
        );
        assert_eq!(client.function_load_replace(LIBRARY).await.unwrap(), "lib");
        assert_eq!(
            client.fcall::<i64, _, _>("add", ["n"], [2]).await.unwrap(),
            2
        );
        assert_eq!(
            client
                .fcall_ro::<i64, _, _>("read", ["n"], NONE)
                .await
                .unwrap(),
            2
        );
        assert!(
            error(client.fcall_ro::<i64, _, _>("add", ["n"], [2]).await)
                .code()
                .is_some()
        );
        assert_eq!(libraries(&client).await, ["lib"]);
        let options = FunctionListOptions::new().libraryname("l*").withcode();
        let list: Vec<HashMap<String, Value>> = client.function_list_with(options).await.unwrap();
        assert_eq!(list[0]["library_code"].as_str(), Some(LIBRARY));
        let options = FunctionListOptions::new().libraryname("none");
        assert_eq!(
            client
                .function_list_with::<Vec<Value>>(options)
                .await
                .unwrap(),
            []
        );
        let stats: HashMap<String, Value> = client.function_stats().await.unwrap();
        assert!(stats["running_script"].is_null() && stats.contains_key("engines"));
    });
}

#[test]
fn functions_are_dumped_restored_and_removed() {
    on_each(async |case: Case| {
        let client = case.client().await;
        client.function_load(LIBRARY).await.unwrap();
        let dump: Vec<u8> = client.function_dump().await.unwrap();
        assert!(
            error(client.function_restore(&dump).await)
                .to_string()
                .contains("already exists")
        );
        client
            .function_restore_with(&dump, RestorePolicy::Replace)
            .await
            .unwrap();
        let append = client
            .function_restore_with(&dump, RestorePolicy::Append)
            .await;
        assert!(error(append).to_string().contains("already exists"));
        client.function_delete("lib").await.unwrap();
        assert!(
            error(client.function_delete("lib").await)
                .to_string()
                .contains("not found")
        );
        client.function_restore(&dump).await.unwrap();
        let other = LIBRARY
            .replace("lib", "other")
            .replace("'add'", "'sum'")
            .replace("'read'", "'see'");
        client.function_load(&other).await.unwrap();
        client
            .function_restore_with(&dump, RestorePolicy::Flush)
            .await
            .unwrap();
        assert_eq!(libraries(&client).await, ["lib"]);
        for mode in 0..3 {
            match mode {
                0 => client.function_flush().await.unwrap(),
                1 => client.function_flush_async().await.unwrap(),
                _ => client.function_flush_sync().await.unwrap(),
            }
            assert_eq!(libraries(&client).await, [""; 0]);
            client.function_load(LIBRARY).await.unwrap();
        }
    });
}
