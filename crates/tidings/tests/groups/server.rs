//! The server: what it knows, its settings, its disk, its commands, its modules.

use std::collections::HashMap;
use std::time::{SystemTime, UNIX_EPOCH};

use super::since;
use super::support::{Case, error, eventually, on_each, on_each_started};
use tidings::options::{CommandListOptions, ModuleLoadexOptions, ShutdownOptions};
use tidings::{Client, Commands, Value};
use tidings_testkit::Server;

#[test]
fn the_server_tells_of_itself() {
    on_each(async |case| {
        let client = case.client().await;
        let info = client.info().await.unwrap();
        assert!(
            info.contains("# Server") && info.contains("# Clients"),
            "{info}"
        );
        let some = client.info_of(["server", "memory"]).await.unwrap();
        assert!(
            some.contains("# Server") && some.contains("# Memory"),
            "{some}"
        );
        assert!(!some.contains("# Clients"), "{some}");
        let (seconds, microseconds) = client.time().await.unwrap();
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs();
        assert!(u64::try_from(seconds).unwrap().abs_diff(now) <= 10);
        assert!((0..1_000_000).contains(&microseconds));
        assert!(client.lolwut().await.unwrap().contains("ver."));
        let role: (String, i64, Vec<(String, String, String)>) = client.role().await.unwrap();
        assert_eq!(role, ("master".to_owned(), 0, vec![]));
    });
}

#[test]
fn databases_are_emptied() {
    on_each(async |case| {
        let client = case.client().await;
        let url = format!(
            "{}/1?protocol={}",
            case.server.url(),
            case.protocol.number()
        );
        let other = Client::connect(url).await.unwrap();
        for mode in 0..6 {
            client.mset([("a", 1), ("b", 2)]).await.unwrap();
            other.set("c", 3).await.unwrap();
            assert_eq!(client.dbsize().await.unwrap(), 2);
            match mode {
                0 => client.flushdb().await.unwrap(),
                1 => client.flushdb_async().await.unwrap(),
                2 => client.flushdb_sync().await.unwrap(),
                3 => client.flushall().await.unwrap(),
                4 => client.flushall_async().await.unwrap(),
                _ => client.flushall_sync().await.unwrap(),
            }
            assert_eq!(client.dbsize().await.unwrap(), 0);
            assert_eq!(other.dbsize().await.unwrap(), i64::from(mode < 3));
        }
    });
}

#[test]
fn settings_are_read_changed_and_written_down() {
    on_each(async |case| {
        let client = case.client().await;
        let settings = [("maxclients", "100"), ("timeout", "7")];
        client.config_set(settings).await.unwrap();
        let read = client
            .config_get(["max[c]lients", "timeout"])
            .await
            .unwrap();
        assert_eq!(
            read,
            settings
                .map(|(name, value)| (name.into(), value.into()))
                .into()
        );
        assert!(client.config_get("none").await.unwrap().is_empty());
        let wrong = error(client.config_set([("timeout", "8"), ("none", "1")]).await);
        assert!(wrong.to_string().contains("none"), "{wrong}");
        assert_eq!(client.config_get("timeout").await.unwrap()["timeout"], "7");

        client.config_rewrite().await.unwrap();
        drop(client);
        case.server.restart();
        let client = case.client().await;
        assert_eq!(client.config_get("timeout").await.unwrap()["timeout"], "7");

        client.echo::<()>("x").await.unwrap();
        assert!(
            client
                .info_of("commandstats")
                .await
                .unwrap()
                .contains("cmdstat_echo")
        );
        client.config_resetstat().await.unwrap();
        assert!(
            !client
                .info_of("commandstats")
                .await
                .unwrap()
                .contains("cmdstat_echo")
        );
    });
}

#[test]
fn the_database_is_written_to_disk() {
    on_each(async |case| {
        let client = case.client().await;
        let before = client.lastsave().await.unwrap();
        client.set("a", 1).await.unwrap();
        client.save().await.unwrap();
        assert!(client.lastsave().await.unwrap() >= before);
        assert_eq!(client.bgsave().await.unwrap(), "Background saving started");
        idle(&case).await;
        assert_eq!(
            client.bgsave_schedule().await.unwrap(),
            "Background saving started"
        );
        idle(&case).await;
        let answer = client.bgrewriteaof().await.unwrap();
        assert!(
            answer.starts_with("Background append only file rewriting"),
            "{answer}"
        );
        idle(&case).await;
        if since(&case, None, Some((8, 1))) {
            let none = error(client.bgsave_cancel().await);
            assert!(none.to_string().contains("not in progress"), "{none}");
            client
                .config_set([("rdb-key-save-delay", "1000000")])
                .await
                .unwrap();
            client.bgsave().await.unwrap();
            let answer = client.bgsave_cancel().await.unwrap();
            assert!(answer.contains("cancelled"), "{answer}");
        }
    });
}

/// Until nothing is written in the background.
async fn idle(case: &Case) {
    eventually("all is written", || {
        let info = case.server.cli(["INFO", "persistence"]);
        info.contains("rdb_bgsave_in_progress:0")
            && info.contains("aof_rewrite_in_progress:0")
            && info.contains("aof_rewrite_scheduled:0")
    })
    .await;
}

#[test]
fn a_server_that_is_ended_answers_with_the_end_of_the_connection() {
    on_each(async |case| {
        let client = case.client().await;
        let none = error(client.shutdown_abort().await);
        assert!(
            none.to_string().contains("No shutdown in progress"),
            "{none}"
        );
        let lost = error(client.shutdown().await);
        assert!(lost.is_connection() && lost.may_have_run(), "{lost:?}");
        case.server.restart();
        client.ping().await.unwrap();
        let options = ShutdownOptions::new().nosave().now().force();
        let lost = error(client.shutdown_with(options).await);
        assert!(lost.is_connection() && lost.may_have_run(), "{lost:?}");
        case.server.restart();
        client.ping().await.unwrap();
        if since(&case, None, Some((9, 0))) {
            let refused = error(
                client
                    .shutdown_with(ShutdownOptions::new().failover())
                    .await,
            );
            assert!(refused.to_string().contains("cluster mode"), "{refused}");
            let options = ShutdownOptions::new().save().safe();
            assert!(error(client.shutdown_with(options).await).is_connection());
        }
    });
}

#[test]
fn the_server_tells_of_its_commands() {
    on_each(async |case| {
        let client = case.client().await;
        let count = client.command_count().await.unwrap();
        let all: Vec<Value> = client.command().await.unwrap();
        let names = client.command_list().await.unwrap();
        assert_eq!(i64::try_from(all.len()).unwrap(), count);
        // With the subcommands, as `client|list`.
        assert!(names.len() > all.len());
        let list = async |options| {
            let mut names = client.command_list_with(options).await.unwrap();
            names.sort();
            names
        };
        let options = CommandListOptions::new;
        assert_eq!(
            list(options().pattern("xgr*")).await,
            [
                "xgroup",
                "xgroup|create",
                "xgroup|createconsumer",
                "xgroup|delconsumer",
                "xgroup|destroy",
                "xgroup|help",
                "xgroup|setid"
            ]
        );
        assert!(
            list(options().aclcat("hyperloglog"))
                .await
                .contains(&"pfadd".to_owned())
        );
        assert!(list(options().module("none")).await.is_empty());

        let info: Vec<Value> = client.command_info(["get", "none"]).await.unwrap();
        let get = info[0].as_elements().unwrap();
        assert_eq!(
            (get[0].as_str(), get[1].as_integer()),
            (Some("get"), Some(2))
        );
        assert!(info[1].is_null());
        let docs: HashMap<String, HashMap<String, Value>> =
            client.command_docs(["get", "none"]).await.unwrap();
        assert_eq!(docs.len(), 1);
        assert_eq!(docs["get"]["since"].as_str(), Some("1.0.0"));
        let words = ["MSET", "a", "1", "b", "2"];
        let keys: Vec<String> = client.command_getkeys(words).await.unwrap();
        assert_eq!(keys, ["a", "b"]);
        let keys: Vec<(String, Vec<String>)> =
            client.command_getkeysandflags(["GET", "a"]).await.unwrap();
        assert_eq!(
            keys,
            [("a".to_owned(), vec!["RO".to_owned(), "access".to_owned()])]
        );
        let none = error(
            client
                .command_getkeys::<Vec<String>, _>(["ECHO", "a"])
                .await,
        );
        assert!(none.to_string().contains("no key arguments"), "{none}");
    });
}

#[test]
fn modules_are_listed_loaded_and_taken_out() {
    let start = |binary: &_| {
        let server = Server::builder()
            .binary(binary)
            .config("enable-module-command", "yes");
        server.start().expect("it starts")
    };
    on_each_started(start, async |case| {
        let client = case.client().await;
        let modules: Vec<HashMap<String, Value>> = client.module_list().await.unwrap();
        for module in modules {
            assert!(module.contains_key("name") && module.contains_key("ver"));
        }
        // There is no module at hand: what counts is that the server looked for it.
        for outcome in [
            client.module_load("/none.so", ["x"]).await,
            client
                .module_loadex(
                    "/none.so",
                    ModuleLoadexOptions::new().config("m.a", 1).args(["x"]),
                )
                .await,
        ] {
            let error = error(outcome);
            assert!(
                error.to_string().contains("Error loading the extension"),
                "{error}"
            );
        }
        let error = error(client.module_unload("none").await);
        assert!(error.to_string().contains("no such module"), "{error}");
    });
}
