//! Keyspace notifications of one server.

mod checking;
mod choosing;
#[path = "../faces/mod.rs"]
mod faces;
mod losing;
mod operations;
mod reading;
#[path = "../support/mod.rs"]
mod support;

use faces::watching::KeyspaceEvents;
use support::{QUIET, SOON};
use tidings::{Error, GapCause, KeyEvent, KeyspaceEvent, Result};
use tidings_testkit::{Binary, Server};

/// A server that sends all usual notifications by the channels of keys and of operations.
fn notifying(binary: &Binary) -> Server {
    let server = Server::builder().binary(binary);
    server
        .config("notify-keyspace-events", "KEA")
        .start_or_panic()
}

async fn item(events: &mut KeyspaceEvents) -> Result<KeyspaceEvent> {
    events.next(SOON).await.expect("something comes")
}

async fn key_event(events: &mut KeyspaceEvents) -> KeyEvent {
    let item = item(events).await.expect("no error");
    let text = format!("{item:?}");
    item.into_key_event().unwrap_or_else(|| panic!("{text}"))
}

/// The next events in short: `0 set user:1`.
async fn read(events: &mut KeyspaceEvents, count: usize) -> Vec<String> {
    let mut read = Vec::new();
    for _ in 0..count {
        let event = key_event(events).await;
        let (operation, key) = (event.operation_str(), event.key_str());
        read.push(format!("{} {operation} {key}", event.database()));
    }
    read
}

async fn error(events: &mut KeyspaceEvents) -> Error {
    item(events).await.expect_err("an error")
}

async fn assert_gap(events: &mut KeyspaceEvents, cause: GapCause) {
    let item = item(events).await.expect("no error");
    assert_eq!(item.gap().map(tidings::Gap::cause), Some(cause), "{item:?}");
}

async fn assert_quiet(events: &mut KeyspaceEvents) {
    let item = events.next(QUIET).await;
    assert!(item.is_none(), "nothing was to come, but {item:?}");
}

/// What opening must have failed with.
fn refused(opened: Result<KeyspaceEvents>) -> Error {
    match opened {
        Err(error) => error,
        Ok(events) => panic!("it has opened: {:?}", events.nodes()),
    }
}
