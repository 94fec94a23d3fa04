//! What is done to the keys of all primaries.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tidings::{Commands, ErrorKind, GapCause, KeyEvent, KeyspaceEvent, Notifications};
use tidings_testkit::{Binary, Cluster, slot_of};

use crate::faced::{Case, primaries};
use crate::faces::watching::KeyspaceEvents;
use crate::support::{QUIET, SOON};
use crate::writing::{Shown, key_of};
use crate::{OFTEN, await_nodes, on_own_clusters};

on_own_clusters! {
    [notifying]
    keyspace_events_of_all_primaries_come_once_with_their_node_and_follow_slots_without_a_gap,
    [primaries]
    keyspace_events_are_turned_on_at_every_node_if_that_is_wanted_and_required_of_each_otherwise,
}

const SETTING: &str = "notify-keyspace-events";

async fn next(events: &mut KeyspaceEvents) -> tidings::Result<KeyspaceEvent> {
    events.next(SOON).await.expect("something comes")
}

async fn key_event(events: &mut KeyspaceEvents) -> KeyEvent {
    let item = next(events).await.expect("no error");
    let text = format!("{item:?}");
    item.into_key_event().unwrap_or_else(|| panic!("{text}"))
}

async fn assert_quiet(events: &mut KeyspaceEvents) {
    let item = events.next(QUIET).await;
    assert!(item.is_none(), "nothing was to come, but {item:?}");
}

/// Reads all that came up to the events of these keys, of one node each.
pub(crate) async fn read_to_marks(
    events: &mut KeyspaceEvents,
    mut marks: BTreeSet<String>,
) -> Shown {
    let mut shown = Shown::default();
    while !marks.is_empty() {
        match next(events).await.expect("no error") {
            KeyspaceEvent::Key(event) => {
                if let Some(other) = shown.note(event.key()) {
                    marks.remove(&other);
                }
            }
            KeyspaceEvent::Gap(gap) => shown.gaps.push(gap),
            other => panic!("{other:?}"),
        }
    }
    shown
}

/// Three primaries that send all usual notifications.
fn notifying(binary: &Binary) -> Arc<Cluster> {
    let cluster = Cluster::builder().binary(binary).config(SETTING, "KEA");
    Arc::new(cluster.start_or_panic())
}

async fn keyspace_events_of_all_primaries_come_once_with_their_node_and_follow_slots_without_a_gap(
    case: Case,
) {
    let client = case.client().await;
    let mut events = client
        .keyspace_events("k:*")
        .open()
        .await
        .expect("it opens");
    let keys: Vec<String> = (0..200).map(|n| format!("k:{n}")).collect();
    for key in &keys {
        client.set(key, 1).await.expect("it is set");
        client
            .set(format!("other:{key}"), 1)
            .await
            .expect("it is set");
    }
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    for _ in &keys {
        let event = key_event(&mut events).await;
        assert_eq!((event.database(), event.operation()), (0, &b"set"[..]));
        let before = seen.insert(event.key_str().into_owned(), event.node().to_string());
        assert_eq!(before, None);
    }
    let owner = |key: &String| case.cluster.owner_of(slot_of(key)).address();
    let expected = keys.iter().map(|key| (key.clone(), owner(key)));
    assert_eq!(seen, expected.collect());
    assert_quiet(&mut events).await;

    // A full queue holds up all connections, and lets all go on.
    let builder = client.keyspace_events("few:*").queue(3, 1 << 20);
    let mut slow = builder.open().await.expect("it opens");
    let few: BTreeSet<String> = (0..300).map(|n| format!("few:{n}")).collect();
    for key in &few {
        client.set(key, 1).await.expect("it is set");
    }
    let mut read = BTreeSet::new();
    for _ in &few {
        read.insert(key_event(&mut slow).await.key_str().into_owned());
    }
    assert_eq!(read, few);
    assert_quiet(&mut slow).await;

    // A slot moves. Both nodes tell of it, and then the other one.
    let key = "k:7".to_owned();
    let before = case.cluster.owner_of(slot_of(&key));
    let others = case.cluster.primaries().into_iter();
    let target = others
        .clone()
        .find(|node| *node != before)
        .expect("another");
    case.cluster.move_slot(slot_of(&key), &target);
    client.append(&key, "x").await.expect("it is there");
    loop {
        let event = key_event(&mut events).await;
        assert_eq!(event.key_str(), key);
        if event.operation() == b"append" {
            assert_eq!(event.node().to_string(), target.address());
            break;
        }
    }
    assert_quiet(&mut events).await;
}

async fn keyspace_events_are_turned_on_at_every_node_if_that_is_wanted_and_required_of_each_otherwise(
    case: Case,
) {
    let config = case.config().topology_interval(OFTEN);
    let client = case.client_with(config).await;
    let mut nodes = case.cluster.nodes();
    // Two of three are not enough.
    for node in &nodes[..2] {
        node.admin(["CONFIG", "SET", SETTING, "KA"]);
    }
    let error = match client.keyspace_events("*").open().await {
        Err(error) => error,
        Ok(events) => panic!("it has opened: {:?}", events.nodes()),
    };
    assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
    assert_eq!(
        error.node().expect("of one").to_string(),
        nodes[2].address()
    );
    assert!(
        error.to_string().contains("Notifications::Enable"),
        "{error}"
    );
    nodes[0].admin(["CONFIG", "SET", SETTING, "El"]);
    let builder = client.keyspace_events("*");
    let builder = builder.notifications(Notifications::Enable);
    let mut events = builder.open().await.expect("it opens");
    let said = nodes[0].cli(["CONFIG", "GET", SETTING]);
    assert!(
        said.contains('K') && said.contains('E') && said.contains('A'),
        "{said}"
    );

    // One that is started anew has forgotten it, and one that joins has never known it.
    nodes[1].kill();
    nodes[1].restart();
    let item = next(&mut events).await.expect("no error");
    let gap = item.gap().expect("a gap");
    assert_eq!(gap.cause(), GapCause::Disconnected);
    assert_eq!(gap.node().expect("of one").to_string(), nodes[1].address());
    let joined = case.cluster.add_primary();
    let item = next(&mut events).await.expect("no error");
    let gap = item.gap().expect("a gap");
    assert_eq!(gap.cause(), GapCause::NodeJoined);
    assert_eq!(gap.node().expect("of one").to_string(), joined.address());
    nodes.push(Arc::clone(&joined));
    await_nodes(|| events.nodes(), &nodes).await;
    case.cluster.move_slot(slot_of("moved"), &joined);
    for node in &nodes {
        let key = key_of(node, "here");
        client.set(&key, 1).await.expect("it is set");
        let event = key_event(&mut events).await;
        assert_eq!(event.key_str(), key);
        assert_eq!(event.node().to_string(), node.address());
    }
    assert_quiet(&mut events).await;
}
