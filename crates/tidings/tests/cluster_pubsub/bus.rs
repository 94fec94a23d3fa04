//! Nodes that lose touch with each other for a moment, which no failover and no lost connection tells of.

use std::fmt::Display;
use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tidings::{Config, Event, Gap, GapCause};
use tidings_testkit::{AdminReply, Binary, Cluster, ClusterNode};

use crate::books::fresh;
use crate::faced::{Case, shared};
use crate::on_both_faces;
use crate::seeing::{await_replicas, eventually_known};
use crate::support::{Reads, assert_quiet, eventually, next};

on_both_faces! {
    [cluster shared]
    cl_03_who_may_not_ask_whom_the_node_hears_hears_all_the_same,
    [cluster that_fail]
    cl_03_what_a_node_did_not_hear_before_it_was_left_is_in_the_gap,
    sh_06_what_a_replica_did_not_hear_before_it_was_left_is_in_the_gap,
    cl_03_what_a_node_that_failed_has_published_last_is_a_gap,
    [cluster behind_proxies]
    cl_03_what_did_not_reach_the_node_over_the_cluster_bus_is_a_gap,
    cl_03_what_was_lost_on_a_dead_connection_before_it_was_replaced_is_in_the_gap,
    cl_03_a_node_is_asked_once_for_all_its_subscribers,
    sh_06_what_did_not_reach_a_replica_over_the_cluster_bus_is_a_gap,
}

/// Nobody is taken for failed.
fn behind_proxies(binary: &Binary) -> Arc<Cluster> {
    let cluster = Cluster::builder().binary(binary).replicas(1);
    let cluster = cluster.node_timeout(Duration::from_secs(20));
    Arc::new(cluster.behind_proxies().start_or_panic())
}

/// Nodes are taken for failed soon.
fn that_fail(binary: &Binary) -> Arc<Cluster> {
    let cluster = Cluster::builder().binary(binary).replicas(1);
    let cluster = cluster.node_timeout(Duration::from_secs(2));
    Arc::new(cluster.behind_proxies().start_or_panic())
}

fn settings(case: &Case) -> Config {
    case.config().topology_interval(INTERVAL)
}

const INTERVAL: Duration = Duration::from_millis(200);

/// In this time the node was surely asked whom it hears.
const SEVERAL: Duration = Duration::from_millis(600);

async fn asked() {
    tokio::time::sleep(SEVERAL).await;
}

/// Ends all that connects a node to the others.
async fn cut_off(case: &Case, node: &ClusterNode) {
    case.cluster.cut_off(node);
    let hears = || node.cli(["CLUSTER", "LINKS"]).contains("from");
    eventually("it hears nobody", || !hears()).await;
}

/// Has a node refuse all questions for a time, by a script that does not end by itself.
async fn keep_busy(node: &ClusterNode) {
    node.admin(["CONFIG", "SET", "lua-time-limit", "50"]);
    let mut running = TcpStream::connect(node.socket_address()).expect("it listens");
    let script = b"*3\r\n$4\r\nEVAL\r\n$17\r\nwhile true do end\r\n$1\r\n0\r\n";
    running.write_all(script).expect("it is sent");
    let is_busy = || matches!(node.try_admin(["TIME"]), Ok(AdminReply::Error(_)));
    eventually("it is busy", is_busy).await;
    asked().await;
    node.admin(["SCRIPT", "KILL"]);
    eventually("it answers again", || !is_busy()).await;
}

/// Publishes numbers until one has come, and a gap of this cause: all that has come.
async fn publish_until_heard(
    reader: &mut impl Reads,
    publish: impl Fn(u32),
    from: u32,
    cause: GapCause,
) -> Vec<Event> {
    let mut events = Vec::new();
    for number in from.. {
        publish(number);
        while let Some(event) = reader.get_message(INTERVAL).await.expect("no error") {
            events.push(event);
        }
        let heard = |event: &Event| matches!(event, Event::Message(_));
        let told = |event: &Event| event.gap().is_some_and(|gap| gap.cause() == cause);
        if events.iter().any(heard) && events.iter().any(told) {
            break;
        }
        assert!(number < from + 100, "nothing comes: {events:?}");
    }
    events
}

fn published(node: &ClusterNode, command: &str, channel: &str, number: impl Display) {
    node.cli([command, channel, &number.to_string()]);
}

/// The gaps among them, and the numbers of the messages.
fn parted(events: Vec<Event>) -> (Vec<Gap>, Vec<u32>) {
    let mut numbers = Vec::new();
    let mut gaps = Vec::new();
    for event in events {
        match event {
            Event::Message(message) => numbers.push(message.text().parse().expect("a number")),
            Event::Gap(gap) => gaps.push(gap),
            other => panic!("{other:?}"),
        }
    }
    (gaps, numbers)
}

/// It is what happened to `news` then.
fn assert_tells_of(gap: &Gap, lost_at: SystemTime) {
    assert_eq!(gap.cause(), GapCause::Partitioned);
    assert_eq!(gap.names().collect::<Vec<_>>(), [&b"news"[..]]);
    assert!(gap.since() <= lost_at && gap.until() >= lost_at, "{gap:?}");
}

/// Publishes from 4 on until the other node is heard again. All gaps tell of what was lost then.
async fn gaps_until_heard(
    reader: &mut impl Reads,
    there: &ClusterNode,
    lost_at: SystemTime,
) -> Vec<Gap> {
    let again = |number| published(there, "PUBLISH", "news", number);
    let mut events = publish_until_heard(reader, again, 4, GapCause::Partitioned).await;
    while let Some(event) = reader.get_message(SEVERAL).await.expect("no error") {
        events.push(event);
    }
    let (gaps, numbers) = parted(events);
    assert!(numbers[0] >= 4, "{numbers:?}");
    assert!(numbers.is_sorted());
    for gap in &gaps {
        assert_tells_of(gap, lost_at);
    }
    gaps
}

async fn cl_03_what_did_not_reach_the_node_over_the_cluster_bus_is_a_gap(case: Case) {
    let client = case.client_with(settings(&case)).await;
    let primaries = case.cluster.primaries();
    let (here, there) = (&primaries[0], &primaries[1]);
    let builder = client.pubsub().node(here.address());
    let builder = builder.ignore_subscribe_messages(true);
    let mut pubsub = builder.await.expect("it opens");
    pubsub.subscribe("news").await.expect("it subscribes");
    pubsub.psubscribe("n?ws").await.expect("it subscribes");
    pubsub.punsubscribe("n?ws").await.expect("it unsubscribes");
    published(there, "PUBLISH", "news", 1);
    assert_eq!(next(&mut pubsub).await.message().expect("one").text(), "1");
    keep_busy(here).await;

    cut_off(&case, here).await;
    let lost_at = SystemTime::now();
    published(there, "PUBLISH", "news", 2);
    published(there, "PUBLISH", "news", 3);
    case.cluster.reconnect(here);
    let gaps = gaps_until_heard(&mut pubsub, there, lost_at).await;
    // What each of the others has sent is told to be missing once, when it is heard again: of
    // all together, or of one after the other.
    let others = case.cluster.nodes().len() - 1;
    assert!((1..=others).contains(&gaps.len()), "{gaps:?}");
}

async fn cl_03_what_was_lost_on_a_dead_connection_before_it_was_replaced_is_in_the_gap(case: Case) {
    let client = case.client_with(settings(&case)).await;
    let primaries = case.cluster.primaries();
    let (here, there) = (&primaries[0], &primaries[1]);
    let builder = client.pubsub().node(here.address()).channels("news");
    let builder = builder.ignore_subscribe_messages(true);
    let mut pubsub = builder.await.expect("it opens");
    published(there, "PUBLISH", "news", 1);
    assert_eq!(next(&mut pubsub).await.message().expect("one").text(), "1");

    // It is known that all was well until shortly before.
    let opened_at = SystemTime::now();
    for other in case.cluster.nodes().iter().filter(|other| *other != here) {
        let answered = || answered_at(here, other) >= opened_at + Duration::from_secs(2);
        eventually_known("the other one has answered", answered).await;
    }
    asked().await;

    case.cluster.mute_bus();
    let lost_at = SystemTime::now();
    published(there, "PUBLISH", "news", 2);
    asked().await;
    // What comes from elsewhere meanwhile does not say that it is heard.
    published(here, "PUBLISH", "news", 3);
    assert_eq!(next(&mut pubsub).await.message().expect("one").text(), "3");
    case.cluster.unmute_bus();
    for gap in gaps_until_heard(&mut pubsub, there, lost_at).await {
        assert!(gap.since() > opened_at, "{gap:?}, opened at {opened_at:?}");
    }
}

/// When a node has answered another one last, as that one says.
fn answered_at(node: &ClusterNode, other: &ClusterNode) -> SystemTime {
    let nodes = node.cli(["CLUSTER", "NODES"]);
    let line = nodes.lines().find(|line| line.starts_with(other.id()));
    let answered = line.and_then(|line| line.split(' ').nth(5)?.parse().ok());
    SystemTime::UNIX_EPOCH + Duration::from_millis(answered.expect("a time"))
}

async fn cl_03_a_node_is_asked_once_for_all_its_subscribers(case: Case) {
    const SUBSCRIBERS: usize = 8;
    let client = case.client_with(settings(&case)).await;
    let here = case.cluster.primaries().remove(0);
    let mut subscribers = Vec::new();
    for _ in 0..SUBSCRIBERS {
        let builder = client.pubsub().node(here.address()).channels("news");
        subscribers.push(builder.await.expect("it opens"));
    }
    let calls = || {
        let stats = here.cli(["INFO", "commandstats"]);
        let (_, links) = stats.split_once("cluster|links:calls=")?;
        links.split(',').next()?.parse::<u32>().ok()
    };
    eventually("it is asked", || calls().is_some()).await;
    asked().await;
    let (before, begun) = (calls().expect("it was asked"), Instant::now());
    let goes_on = || calls().is_some_and(|calls| calls >= before + 5);
    eventually("it is asked again and again", goes_on).await;
    let asked = calls().expect("it was asked") - before;
    let most = 2.0 * begun.elapsed().as_secs_f64() / INTERVAL.as_secs_f64() + 2.0;
    assert!(f64::from(asked) <= most, "{asked}, at most {most}");
    drop(subscribers);
}

async fn sh_06_what_did_not_reach_a_replica_over_the_cluster_bus_is_a_gap(case: Case) {
    let owner = case.cluster.owner_of_key("news");
    let replica = case.cluster.replicas_of(&owner).remove(0);
    await_replicas(&case.cluster).await;
    let config = settings(&case).read_from_replicas(true);
    let client = case.client_with(config).await;
    let elsewhere = (0..).map(|n| format!("elsewhere:{n}"));
    let is_elsewhere = |channel: &String| case.cluster.owner_of_key(channel) != owner;
    let elsewhere = elsewhere.into_iter().find(is_elsewhere).expect("one");
    let subscription = client.ssubscribe(["news".to_owned(), elsewhere]);
    let mut subscription = subscription.await.expect("it subscribes");
    published(&owner, "SPUBLISH", "news", 1);
    let first = next(&mut subscription).await;
    assert_eq!(first.message().expect("one").text(), "1");

    cut_off(&case, &replica).await;
    let lost_at = SystemTime::now();
    published(&owner, "SPUBLISH", "news", 2);
    case.cluster.reconnect(&replica);
    let again = |number| published(&owner, "SPUBLISH", "news", number);
    let events = publish_until_heard(&mut subscription, again, 3, GapCause::Partitioned).await;
    let (gaps, numbers) = parted(events);
    assert!(numbers[0] >= 3, "{numbers:?}");
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    assert_tells_of(&gaps[0], lost_at);
}

/// Cuts the node off that is read from, until it is left; what is lost before anybody knows of that is in the gap.
async fn is_left(case: Case, mut reader: impl Reads, here: &ClusterNode, publish: impl Fn(u32)) {
    publish(1);
    assert_eq!(next(&mut reader).await.message().expect("one").text(), "1");
    asked().await;
    cut_off(&case, here).await;
    let lost_at = SystemTime::now();
    publish(2);
    let events = publish_until_heard(&mut reader, publish, 3, GapCause::NodeLeft).await;
    let (gaps, numbers) = parted(events);
    assert!(numbers[0] >= 3, "{numbers:?}");
    let left = gaps.iter().find(|gap| gap.cause() == GapCause::NodeLeft);
    let left = left.expect("it was awaited");
    assert_eq!(left.names().collect::<Vec<_>>(), [&b"news"[..]]);
    assert!(left.since() <= lost_at, "{left:?}, lost at {lost_at:?}");
}

async fn cl_03_what_a_node_did_not_hear_before_it_was_left_is_in_the_gap(case: Case) {
    let client = case.client_with(settings(&case)).await;
    let primaries = case.cluster.primaries();
    let (here, there) = (&primaries[0], &primaries[1]);
    // Somewhere: it goes elsewhere then.
    let pubsub = loop {
        let builder = client.pubsub().channels("news");
        let builder = builder.ignore_subscribe_messages(true);
        let pubsub = builder.await.expect("it opens");
        if here.cli(["PUBSUB", "NUMSUB", "news"]) == "news\n1" {
            break pubsub;
        }
    };
    let publish = |number| {
        // What comes from the node itself does not say that it hears the others.
        let at = if number == 3 { here } else { there };
        published(at, "PUBLISH", "news", number);
    };
    is_left(case, pubsub, here, publish).await;
}

async fn sh_06_what_a_replica_did_not_hear_before_it_was_left_is_in_the_gap(case: Case) {
    let owner = case.cluster.owner_of_key("news");
    let replica = case.cluster.replicas_of(&owner).remove(0);
    await_replicas(&case.cluster).await;
    let config = settings(&case).read_from_replicas(true);
    let client = case.client_with(config).await;
    let builder = client.sharded_pubsub().channels("news");
    let builder = builder.ignore_subscribe_messages(true);
    let pubsub = builder.await.expect("it opens");
    let publish = |number| published(&owner, "SPUBLISH", "news", number);
    is_left(case, pubsub, &replica, publish).await;
}

async fn cl_03_what_a_node_that_failed_has_published_last_is_a_gap(case: Case) {
    let client = case.client_with(settings(&case)).await;
    let primaries = case.cluster.primaries();
    let (here, there, other) = (&primaries[0], &primaries[1], &primaries[2]);
    let builder = client.pubsub().node(here.address()).channels("news");
    let builder = builder.ignore_subscribe_messages(true);
    let mut pubsub = builder.await.expect("it opens");
    published(there, "PUBLISH", "news", 1);
    assert_eq!(next(&mut pubsub).await.message().expect("one").text(), "1");
    cut_off(&case, there).await;
    let lost_at = SystemTime::now();
    published(there, "PUBLISH", "news", 2);
    let _ = case.cluster.kill_and_fail_over(there);
    let again = |number| published(other, "PUBLISH", "news", number);
    let events = publish_until_heard(&mut pubsub, again, 3, GapCause::Partitioned).await;
    let (gaps, numbers) = parted(events);
    assert!(numbers[0] >= 3, "{numbers:?}");
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    assert_tells_of(&gaps[0], lost_at);
}

async fn cl_03_who_may_not_ask_whom_the_node_hears_hears_all_the_same(case: Case) {
    for node in case.cluster.nodes() {
        let rules = [">secret", "~*", "&*", "+@all", "-time"];
        let reader = ["ACL", "SETUSER", "reader", "on"];
        node.admin([&reader[..], &rules[..]].concat());
    }
    let channel = &fresh("unasked");
    let config = settings(&case).username("reader").password("secret");
    let client = case.client_with(config).await;
    let mut pubsub = client.pubsub().channels(channel).await.expect("it opens");
    next(&mut pubsub).await;
    asked().await;
    for (number, node) in (1..).zip(case.cluster.nodes()) {
        published(&node, "PUBLISH", channel, number);
        let message = next(&mut pubsub).await;
        assert_eq!(message.message().expect("one").text(), number.to_string());
    }
    assert_quiet(&mut pubsub).await;
}
