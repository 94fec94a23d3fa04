//! Connections that are lost, and settings that are changed under them.

use std::time::Duration;

use tidings::{Commands, ErrorKind, GapCause, Notifications};

use crate::faces::{Case, Client};
use crate::support::eventually;
use crate::{assert_gap, error, item, notifying, on_both_faces, read};

on_both_faces! {
    [notifying]
    a_lost_connection_is_a_gap_and_it_goes_on,
    a_server_that_has_forgotten_its_setting_is_an_error_and_a_gap_when_it_is_set_again,
    a_setting_that_is_changed_under_a_connection_is_noticed,
    dropping_it_closes_its_connection,
}

async fn client_of(case: &Case) -> Client {
    let config = tidings::Config::from_url(&case.url()).unwrap();
    let config = config
        .backoff(Duration::from_millis(2), Duration::from_millis(20))
        .ping_interval(Duration::from_millis(50))
        .ping_timeout(Duration::from_secs(5));
    case.client_with(config).await
}

async fn a_lost_connection_is_a_gap_and_it_goes_on(case: Case) {
    let client = client_of(&case).await;
    let mut events = client.keyspace_events("*").open().await.expect("it opens");
    client.set("a", 1).await.unwrap();
    assert_eq!(read(&mut events, 1).await, ["0 set a"]);
    assert_eq!(case.kill_subscribers(), 1);
    assert_gap(&mut events, GapCause::Disconnected).await;
    client.set("b", 1).await.unwrap();
    assert_eq!(read(&mut events, 1).await, ["0 set b"]);
}

async fn a_server_that_has_forgotten_its_setting_is_an_error_and_a_gap_when_it_is_set_again(
    case: Case,
) {
    let client = client_of(&case).await;
    let mut events = client.keyspace_events("*").open().await.expect("it opens");
    case.server
        .admin(["CONFIG", "SET", "notify-keyspace-events", ""]);
    case.kill_subscribers();
    let lacking = error(&mut events).await;
    assert_eq!(lacking.kind(), ErrorKind::Config, "{lacking:?}");
    assert_eq!(
        lacking.node().expect("of it").to_string(),
        case.server.address()
    );
    let nodes = events.nodes();
    assert!(!nodes[0].is_connected());
    assert_eq!(
        nodes[0].error().map(tidings::Error::kind),
        Some(ErrorKind::Config)
    );
    // Another one has it set, which is all that is needed; told is it once.
    let builder = client
        .keyspace_events("*")
        .notifications(Notifications::Enable);
    let mut other = builder.open().await.expect("it opens");
    assert_gap(&mut events, GapCause::Refused).await;
    client.set("a", 1).await.unwrap();
    assert_eq!(read(&mut events, 1).await, ["0 set a"]);
    assert_eq!(read(&mut other, 1).await, ["0 set a"]);
}

async fn a_setting_that_is_changed_under_a_connection_is_noticed(case: Case) {
    let client = client_of(&case).await;
    let mut required = client.keyspace_events("*").open().await.expect("it opens");
    let off = || {
        case.server
            .admin(["CONFIG", "SET", "notify-keyspace-events", "K$"])
    };
    off();
    let lacking = error(&mut required).await;
    assert_eq!(lacking.kind(), ErrorKind::Config, "{lacking:?}");
    case.server
        .admin(["CONFIG", "SET", "notify-keyspace-events", "KA"]);
    assert_gap(&mut required, GapCause::Refused).await;
    drop(required);
    let builder = client
        .keyspace_events("*")
        .notifications(Notifications::Enable);
    let mut enabled = builder.open().await.expect("it opens");
    off();
    // It is set again, and what was missed is told.
    assert_gap(&mut enabled, GapCause::Refused).await;
    client.sadd("a", 1).await.unwrap();
    assert_eq!(read(&mut enabled, 1).await, ["0 sadd a"]);
}

async fn dropping_it_closes_its_connection(case: Case) {
    let client = client_of(&case).await;
    let events = client.keyspace_events("*").open().await.expect("it opens");
    assert_eq!(case.subscriber_ids().len(), 1);
    drop(events);
    eventually("nobody is subscribed", || case.subscriber_ids().is_empty()).await;
    // One that is not read is lost and back, and tells of it once.
    let mut events = client.keyspace_events("*").open().await.expect("it opens");
    for _ in 0..3 {
        let before = case.subscriber_ids();
        case.kill_subscribers();
        eventually("it is back", || {
            let now = case.subscriber_ids();
            now.len() == 1 && now != before
        })
        .await;
    }
    client.set("a", 1).await.unwrap();
    let mut gaps = 0;
    loop {
        let item = item(&mut events).await.expect("no error");
        match item.key_event() {
            Some(event) => break assert_eq!(event.key(), b"a"),
            None => gaps += 1,
        }
    }
    assert_eq!(gaps, 1);
}
