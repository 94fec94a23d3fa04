//! All keys of one server.

mod faces;
mod support;

use std::collections::BTreeSet;
use std::time::Duration;

use faces::{Case, plain};
use support::{SOON, eventually};
use tidings::{Bytes, Commands, ErrorKind, options::ScanOptions};
use tidings_testkit::{Binary, Server};

on_both_faces! {
    [plain]
    all_keys_come_and_of_those_only_what_the_options_say,
    keys_that_are_there_all_the_time_come_though_the_table_grows_and_shrinks,
    after_a_lost_connection_all_keys_come_all_the_same,
    a_key_that_is_no_text_is_one_error_and_the_next_follows,
    [with_users]
    a_server_that_refuses_is_an_error_and_the_end,
}

/// One who may not scan, with the password `secret`.
fn with_users(binary: &Binary) -> Server {
    let server = Server::builder().binary(binary);
    server
        .user("ada on >secret ~* &* +@all -scan")
        .start_or_panic()
}

/// Makes `key:0`, `key:1`, …
async fn fill(client: &faces::Client, prefix: &str, count: usize) -> BTreeSet<String> {
    let keys: BTreeSet<String> = (0..count).map(|n| format!("{prefix}:{n}")).collect();
    let mut pipe = client.pipeline();
    pipe.transaction(false);
    for key in &keys {
        pipe.set(key, 1);
    }
    pipe.execute::<()>().await.expect("they are set");
    keys
}

async fn all_keys_come_and_of_those_only_what_the_options_say(case: Case) {
    let client = case.client().await;
    let mut none = client.scan::<String>(ScanOptions::new());
    assert!(none.all().await.is_empty());
    assert!(none.next().await.is_none());
    let strings = fill(&client, "string", 2_000).await;
    client.sadd("set:1", 1).await.unwrap();
    client.sadd("set:2", 1).await.unwrap();
    let all = client.scan::<String>(ScanOptions::new()).all().await;
    // Nothing has changed meanwhile, so none comes twice.
    assert_eq!(all.len(), 2_002);
    let sets = client
        .scan::<String>(ScanOptions::new().kind("set"))
        .all()
        .await;
    assert_eq!(
        BTreeSet::from_iter(sets),
        BTreeSet::from(["set:1", "set:2"].map(str::to_owned))
    );
    case.forget_commands();
    let options = ScanOptions::new().pattern("string:*").count(1_000);
    let some = client.scan::<String>(options).all().await;
    assert_eq!(BTreeSet::from_iter(some), strings);
    let run = case.commands_run();
    let calls = run.iter().find_map(|command| command.strip_prefix("scan "));
    assert!(
        calls.is_some_and(|calls| ["2", "3", "4"].contains(&calls)),
        "{run:?}"
    );
}

async fn keys_that_are_there_all_the_time_come_though_the_table_grows_and_shrinks(case: Case) {
    let client = case.client().await;
    let kept = fill(&client, "kept", 1_000).await;
    let mut scan = client.scan::<String>(ScanOptions::new().count(20));
    let mut seen = BTreeSet::new();
    let mut round = 0;
    while let Some(key) = scan.next().await {
        let key = key.expect("no error");
        seen.insert(key);
        round += 1;
        if round % 200 == 0 && round < 2_000 {
            let more = fill(&client, "more", 5_000).await;
            client.del(more).await.expect("they are gone");
        }
    }
    assert!(kept.is_subset(&seen), "{:?}", kept.difference(&seen));
}

async fn after_a_lost_connection_all_keys_come_all_the_same(case: Case) {
    let config = tidings::Config::from_url(&case.url()).unwrap();
    let config = config.backoff(Duration::from_millis(2), Duration::from_millis(20));
    let client = case.client_with(config).await;
    let keys = fill(&client, "key", 1_000).await;
    let mut scan = client.scan::<String>(ScanOptions::new().count(10));
    let mut seen = BTreeSet::new();
    for _ in 0..100 {
        seen.insert(scan.next().await.expect("more").expect("no error"));
    }
    let begun = seen.clone();
    case.server
        .admin(["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    let rest = scan.all().await;
    seen.extend(rest.iter().cloned());
    assert_eq!(seen, keys);
    // It was begun anew.
    assert!(begun.iter().all(|key| rest.contains(key)));
    // Another process is another server: its cursors are others.
    let mut scan = client.scan::<String>(ScanOptions::new().count(10));
    scan.next().await.expect("one").expect("no error");
    case.server.kill();
    case.server.restart();
    let mut writer = case.client().await;
    let keys = fill(&writer, "other", 500).await;
    let seen = scan.all().await.into_iter().collect::<BTreeSet<String>>();
    assert!(keys.is_subset(&seen), "{:?}", keys.difference(&seen));
    // The connection is given back, also by one that was not read to its end.
    writer = case.counted_client().await;
    let before = case.connections();
    for _ in 0..10 {
        let mut scan = writer.scan::<String>(ScanOptions::new().count(10));
        scan.next().await.expect("one").expect("no error");
    }
    eventually("there is one connection more", || {
        case.connections() <= before + 1
    })
    .await;
}

async fn a_key_that_is_no_text_is_one_error_and_the_next_follows(case: Case) {
    let client = case.client().await;
    fill(&client, "key", 10).await;
    client.set(b"\xff\xfe", 1).await.unwrap();
    let mut scan = client.scan::<String>(ScanOptions::new());
    let (mut keys, mut errors) = (0, Vec::new());
    while let Some(key) = scan.next().await {
        match key {
            Ok(_) => keys += 1,
            Err(error) => errors.push(error),
        }
    }
    assert_eq!((keys, errors.len()), (10, 1));
    assert_eq!(errors[0].kind(), ErrorKind::Decode);
    assert_eq!(
        errors[0].raw_payload().map(|raw| &raw[..]),
        Some(&b"\xff\xfe"[..])
    );
    assert_eq!(
        client.scan::<Bytes>(ScanOptions::new()).all().await.len(),
        11
    );
}

async fn a_server_that_refuses_is_an_error_and_the_end(case: Case) {
    let client = case.client_as("ada").await;
    let mut scan = client.scan::<String>(ScanOptions::new());
    let refused = tokio::time::timeout(SOON, scan.next())
        .await
        .expect("at once");
    let error = refused.expect("an item").expect_err("it is refused");
    assert!(error.is_no_permission(), "{error:?}");
    assert!(scan.next().await.is_none());
}
