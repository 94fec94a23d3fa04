//! Whether the server sends them, and what is done if it does not.

use tidings::{Commands, ErrorKind, Notifications};
use tidings_testkit::{Binary, Server};

use crate::faces::{Case, plain};
use crate::{assert_quiet, on_both_faces, read, refused};

on_both_faces! {
    [plain]
    a_server_that_sends_none_is_an_error_that_says_what_to_set,
    a_server_is_told_to_send_what_is_missing_if_that_is_wanted,
    [with_users]
    who_may_not_ask_is_told_so_and_may_open_it_unchecked,
}

const SETTING: &str = "notify-keyspace-events";

/// Some who may not do something, with the password `secret`.
fn with_users(binary: &Binary) -> Server {
    let server = Server::builder().binary(binary).config(SETTING, "KA");
    server
        .user("blind on >secret ~* &* +@all -config|get")
        .user("reader on >secret ~* &* +@all -config|set")
        .user("deaf on >secret ~* resetchannels +@all")
        .start_or_panic()
}

async fn a_server_that_sends_none_is_an_error_that_says_what_to_set(case: Case) {
    let client = case.client().await;
    let error = refused(client.keyspace_events("user:*").open().await);
    assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
    assert_eq!(
        error.node().expect("of it").to_string(),
        case.server.address()
    );
    let text = error.to_string();
    let setting = "its notify-keyspace-events is \"\" and lacks \"KA\". Set it to \"KA\"";
    assert!(text.contains(setting), "{text}");
    assert!(text.contains("Notifications::Enable"), "{text}");
    // Some of what is needed is there.
    case.server.admin(["CONFIG", "SET", SETTING, "Eg$"]);
    let builder = client
        .keyspace_events("user:*")
        .operations(["set", "expired"]);
    let text = refused(builder.open().await).to_string();
    let setting = "is \"Eg$\" and lacks \"Kx\". Set it to \"KEg$x\"";
    assert!(text.contains(setting), "{text}");
    // And all of it, for some.
    let builder = client.keyspace_events("*").operations(["set", "del"]);
    builder.open().await.expect("it opens");
    // Nothing was changed.
    assert_eq!(setting_of(&case), "Eg$");
    let builder = client
        .keyspace_events("user:*")
        .notifications(Notifications::Unchecked);
    let mut events = builder.open().await.expect("it opens");
    client.set("user:1", 1).await.unwrap();
    assert_quiet(&mut events).await;
}

fn setting_of(case: &Case) -> String {
    let said = case.server.cli(["CONFIG", "GET", SETTING]);
    let said = said.strip_prefix(SETTING).expect("its name");
    let mut letters: Vec<char> = said.trim().chars().collect();
    letters.sort_by_key(|letter| "EKg$lshzxetdnmA".find(*letter));
    letters.into_iter().collect()
}

async fn a_server_is_told_to_send_what_is_missing_if_that_is_wanted(case: Case) {
    let client = case.client().await;
    case.server.admin(["CONFIG", "SET", SETTING, "Elm"]);
    let builder = client
        .keyspace_events("user:*")
        .operations(["set", "expired"]);
    let builder = builder.notifications(Notifications::Enable);
    let mut events = builder.open().await.expect("it opens");
    assert_eq!(setting_of(&case), "EK$lxm");
    client.set("user:1", 1).await.unwrap();
    assert_eq!(read(&mut events, 1).await, ["0 set user:1"]);
    let builder = client
        .keyspace_events("*")
        .notifications(Notifications::Enable);
    let mut all = builder.open().await.expect("it opens");
    assert_eq!(setting_of(&case), "EKmA");
    client.sadd("set", "a").await.unwrap();
    assert_eq!(read(&mut all, 1).await, ["0 sadd set"]);
    // Those that are not counted among all can be asked for.
    let builder = client.keyspace_events("*").operations("new");
    let mut new = builder
        .notifications(Notifications::Enable)
        .open()
        .await
        .expect("it opens");
    client.set("user:2", 1).await.unwrap();
    assert_eq!(read(&mut new, 1).await, ["0 new user:2"]);
    assert_eq!(read(&mut events, 1).await, ["0 set user:2"]);
    drop((events, all, new));
    // It stays as it is. Redis 7.0 does not say all of it.
    let said = setting_of(&case);
    assert!(["EKnmA", "EKmA"].contains(&&*said), "{said}");
}

async fn who_may_not_ask_is_told_so_and_may_open_it_unchecked(case: Case) {
    let blind = case.client_as("blind").await;
    let error = refused(blind.keyspace_events("*").open().await);
    assert!(error.is_no_permission(), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("CONFIG GET notify-keyspace-events"), "{text}");
    assert!(text.contains("Notifications::Unchecked"), "{text}");
    let builder = blind
        .keyspace_events("*")
        .notifications(Notifications::Unchecked);
    let mut events = builder.open().await.expect("it opens");
    blind.set("a", 1).await.unwrap();
    assert_eq!(read(&mut events, 1).await, ["0 set a"]);

    let reader = case.client_as("reader").await;
    reader.keyspace_events("*").open().await.expect("it opens");
    let builder = reader.keyspace_events("*").operations("new");
    let error = refused(builder.notifications(Notifications::Enable).open().await);
    assert!(error.is_no_permission(), "{error:?}");
    let text = error.to_string();
    assert!(
        text.contains("does not let notify-keyspace-events be set"),
        "{text}"
    );

    let deaf = case.client_as("deaf").await;
    let error = refused(deaf.keyspace_events("user:*").open().await);
    assert!(error.is_no_permission(), "{error:?}");
    assert!(
        error.to_string().contains("__keyspace@0__:user:*"),
        "{error}"
    );
    assert_eq!(
        error.node().expect("of it").to_string(),
        case.server.address()
    );
}
