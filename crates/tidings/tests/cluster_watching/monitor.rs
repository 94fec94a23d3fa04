//! Every command that the nodes run: MO-03.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tidings::{ClusterMonitorEvent, Commands, ErrorKind, Result};
use tidings_testkit::{ClusterNode, slot_of};

use crate::faced::{Case, primaries, shared};
use crate::faces::watching::ClusterMonitor;
use crate::support::{QUIET, SOON, eventually};
use crate::writing::{Shown, key_of};
use crate::{connected, on_both_faces, on_own_clusters};

on_own_clusters! {
    [primaries]
    mo_03_a_node_that_is_lost_holds_up_no_other_and_comes_back_with_a_gap,
    mo_03_a_node_that_refuses_is_an_error_that_names_it,
}

on_both_faces! {
    [cluster shared]
    mo_03_what_the_primaries_run_comes_with_its_node_once_and_in_order,
    mo_03_what_replicas_run_comes_too_if_that_is_wanted,
}

async fn next(monitor: &mut ClusterMonitor) -> Result<ClusterMonitorEvent> {
    monitor.next(SOON).await.expect("something comes")
}

/// The key and the node of the next `SET` of a key that begins so.
async fn next_set(monitor: &mut ClusterMonitor, prefix: &str) -> (String, String) {
    loop {
        if let Some((key, node)) = set_of(&next(monitor).await.expect("no error"), prefix) {
            return (key, node);
        }
    }
}

fn set_of(item: &ClusterMonitorEvent, prefix: &str) -> Option<(String, String)> {
    let [name, key, ..] = item.event().command() else {
        return None;
    };
    let key = String::from_utf8_lossy(key);
    let is_wanted = name.eq_ignore_ascii_case(b"set") && key.starts_with(prefix);
    is_wanted.then(|| (key.into_owned(), item.node().to_string()))
}

/// The next error.
async fn error(monitor: &mut ClusterMonitor) -> tidings::Error {
    loop {
        if let Err(error) = next(monitor).await {
            return error;
        }
    }
}

/// The addresses of the nodes that are shown.
fn shown_nodes(monitor: &ClusterMonitor) -> BTreeSet<String> {
    connected(&monitor.nodes())
}

/// Reads all that was shown up to these keys, of one node each.
pub(crate) async fn read_to_marks(
    monitor: &mut ClusterMonitor,
    mut marks: BTreeSet<String>,
) -> Shown {
    let mut shown = Shown::default();
    while !marks.is_empty() {
        match next(monitor).await {
            Ok(item) => {
                let Some((key, _)) = set_of(&item, "") else {
                    continue;
                };
                if let Some(other) = shown.note(key.as_bytes()) {
                    marks.remove(&other);
                }
            }
            Err(error) => shown.gaps.extend(error.gap().cloned()),
        }
    }
    shown
}

async fn mo_03_what_the_primaries_run_comes_with_its_node_once_and_in_order(case: Case) {
    let client = case.client().await;
    let prefix = format!("own:{}:", fastrand::u32(..));
    let mut monitor = client.monitor_of(false).await.expect("it opens");
    let keys: Vec<String> = (0..200).map(|n| format!("{prefix}{n}")).collect();
    for key in &keys {
        client.set(key, "x").await.expect("it is set");
    }
    let mut by_node: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for _ in &keys {
        let (key, node) = next_set(&mut monitor, &prefix).await;
        by_node.entry(node).or_default().push(key);
    }
    let mut expected: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let nodes = case.cluster.primaries();
    let owners: Vec<(Arc<ClusterNode>, String)> = nodes
        .iter()
        .map(|node| (Arc::clone(node), node.cli(["CLUSTER", "MYID"])))
        .collect();
    for key in &keys {
        let owner = case.cluster.owner_of(slot_of(key));
        assert!(owners.iter().any(|(node, _)| *node == owner));
        expected
            .entry(owner.address())
            .or_default()
            .push(key.clone());
    }
    assert_eq!(by_node, expected);
    assert_eq!(by_node.len(), 3);
    assert_eq!(shown_nodes(&monitor), by_node.into_keys().collect());
    client.del(keys).await.expect("they are deleted");
    // No further one.
    while let Some(item) = monitor.next(QUIET).await {
        let item = item.expect("no error");
        assert_eq!(set_of(&item, &prefix), None, "{item}");
    }
}

async fn mo_03_what_replicas_run_comes_too_if_that_is_wanted(case: Case) {
    let client = case.client().await;
    let key = format!("both:{}", fastrand::u32(..));
    let mut monitor = client.monitor_of(true).await.expect("it opens");
    assert_eq!(shown_nodes(&monitor).len(), 6);
    client.set(&key, "x").await.expect("it is set");
    let owner = case.cluster.owner_of(slot_of(&key));
    let replicas = case.cluster.replicas_of(&owner);
    let expected: BTreeSet<String> = [owner.address(), replicas[0].address()].into();
    let (_, first) = next_set(&mut monitor, &key).await;
    let (_, second) = next_set(&mut monitor, &key).await;
    assert_eq!(BTreeSet::from([first, second]), expected);
    client.del(key).await.expect("it is deleted");
}

async fn mo_03_a_node_that_is_lost_holds_up_no_other_and_comes_back_with_a_gap(case: Case) {
    let config = case
        .config()
        .ping_interval(Duration::from_millis(300))
        .ping_timeout(Duration::from_millis(700));
    let client = case.client_with(config).await;
    let nodes = case.cluster.primaries();
    let [stopped, other, down] = &nodes[..] else {
        panic!("three")
    };
    // One cannot be reached at the beginning.
    down.kill();
    let mut monitor = client.monitor_of(false).await.expect("it opens");
    let statuses = monitor.nodes();
    let status = statuses
        .iter()
        .find(|status| status.node().to_string() == down.address())
        .expect("it is known");
    assert!(!status.is_connected() && status.error().is_some());
    down.restart();
    let gap = error(&mut monitor).await;
    assert_eq!(gap.kind(), ErrorKind::Connection, "{gap:?}");
    assert_eq!(gap.node().expect("of one").to_string(), down.address());
    let gap = gap.gap().cloned().expect("a gap");
    assert_eq!(gap.node().expect("of one").to_string(), down.address());

    // One falls silent. What the others run is shown all the same.
    let key = key_of(other, "others");
    stopped.stop_process();
    other.admin(["SET", &key, "here"]);
    let (shown, node) = next_set(&mut monitor, "others").await;
    assert_eq!((shown, node), (key, other.address()));
    eventually("its silence is noticed", || {
        !shown_nodes(&monitor).contains(&stopped.address())
    })
    .await;
    stopped.continue_process();
    let gap = error(&mut monitor).await;
    let gap = gap.gap().expect("a gap");
    assert_eq!(gap.node().expect("of one").to_string(), stopped.address());
    assert!(gap.dropped().is_none());
    stopped.admin(["ECHO", "it is back"]);
    loop {
        let item = next(&mut monitor).await.expect("no error");
        if item.event().command()[0] == "ECHO" {
            assert_eq!(item.node().to_string(), stopped.address());
            break;
        }
    }
}

async fn mo_03_a_node_that_refuses_is_an_error_that_names_it(case: Case) {
    let nodes = case.cluster.nodes();
    for node in &nodes {
        node.admin([
            "ACL", "SETUSER", "ada", "on", ">secret", "+@all", "~*", "&*",
        ]);
    }
    nodes[1].admin(["ACL", "SETUSER", "ada", "-monitor"]);
    let config = case.config().username("ada").password("secret");
    let client = case.client_with(config).await;
    let error = match client.monitor_of(false).await {
        Err(error) => error,
        Ok(monitor) => panic!("it has opened: {:?}", monitor.nodes()),
    };
    assert!(error.is_no_permission(), "{error:?}");
    assert_eq!(
        error.node().expect("of one").to_string(),
        nodes[1].address()
    );
    nodes[1].admin(["ACL", "SETUSER", "ada", "+monitor"]);
    let mut monitor = client.monitor_of(false).await.expect("it opens");
    assert_eq!(shown_nodes(&monitor).len(), 3);

    // Later it is told, and asked again.
    nodes[2].admin(["ACL", "SETUSER", "ada", "-monitor"]);
    nodes[2].admin(["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    let refused = self::error(&mut monitor).await;
    assert!(refused.is_no_permission(), "{refused:?}");
    let node = refused.node().expect("of one").to_string();
    assert_eq!(node, nodes[2].address());
    nodes[2].admin(["ACL", "SETUSER", "ada", "+monitor"]);
    let gap = self::error(&mut monitor).await;
    assert_eq!(gap.gap().expect("a gap").node(), gap.node());
    let node = gap.node().expect("of one").to_string();
    assert_eq!(node, nodes[2].address());
    drop(monitor);
    eventually("nobody monitors", || {
        nodes
            .iter()
            .all(|node| !node.cli(["CLIENT", "LIST"]).contains(" flags=O "))
    })
    .await;
}
