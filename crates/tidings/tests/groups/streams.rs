//! Commands about streams.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::support::{Case, error, eventually, on_each};
use tidings::options::{
    PendingRange, StreamTrim, XaddOptions, XautoclaimOptions, XclaimOptions, XgroupCreateOptions,
    XgroupSetidOptions, XreadOptions, XreadgroupOptions, XsetidOptions,
};
use tidings::{Client, Commands, Value};

type Fields = Vec<(String, String)>;
type Entries = Vec<(String, Fields)>;
/// Entries whose fields have values of another type.
type EntriesOf<V> = Vec<(String, HashMap<String, V>)>;
/// Entries that may have been deleted.
type History = Vec<(String, Option<Fields>)>;
/// How many, the lowest id, the highest id, and how many of each consumer.
type Pending = (i64, Option<String>, Option<String>, Vec<(String, i64)>);
type Map = HashMap<String, Value>;

/// An entry of one field, as the tests add them.
fn entry(id: &str, value: &str) -> (String, Fields) {
    (id.to_owned(), vec![("f".to_owned(), value.to_owned())])
}

/// A client, and streams of so many entries: `1-1`, `1-2`, …, with the values 1, 2, ….
async fn with_entries(case: &Case, streams: &[(&str, i64)]) -> Client {
    let client = case.client().await;
    for (stream, count) in streams {
        for n in 1..=*count {
            let id = format!("1-{n}");
            assert_eq!(client.xadd(stream, &id, [("f", n)]).await.unwrap(), id);
        }
    }
    client
}

fn ids(entries: Entries) -> Vec<String> {
    entries.into_iter().map(|(id, _)| id).collect()
}

#[test]
fn entries_are_added_with_ids_of_the_server_or_of_ones_own() {
    on_each(async |case| {
        let client = case.client().await;
        let id = client.xadd("s", "*", [("f", "v")]).await.unwrap();
        let (milliseconds, number) = id.split_once('-').unwrap();
        assert!(milliseconds.parse::<u64>().unwrap() > 1_600_000_000_000);
        assert_eq!(number, "0");
        let low = client.xadd("s", "1-1", [("f", "v")]).await;
        assert_eq!(error(low).code(), Some("ERR"));
        let sequence = client.xadd("t", "7-*", [("f", "v")]).await.unwrap();
        assert_eq!(sequence, "7-0");
        assert_eq!(client.xlen("s").await.unwrap(), 1);
        assert_eq!(client.xlen("none").await.unwrap(), 0);
    });
}

#[test]
fn entries_are_added_with_options() {
    on_each(async |case| {
        let client = with_entries(&case, &[("s", 5)]).await;
        let options = XaddOptions::new().nomkstream();
        let none = client.xadd_with("none", "*", [("f", 1)], options.clone());
        assert_eq!(none.await.unwrap(), None);
        assert_eq!(client.exists("none").await.unwrap(), 0);
        let options = options.trim(StreamTrim::maxlen(2));
        let id = client.xadd_with("s", "1-6", [("f", 6)], options).await;
        assert_eq!(id.unwrap().as_deref(), Some("1-6"));
        assert_eq!(client.xlen("s").await.unwrap(), 2);
        let options = XaddOptions::new().trim(StreamTrim::minid("1-6").limit(0));
        let id = client.xadd_with("s", "2-*", [("f", 7)], options).await;
        assert_eq!(id.unwrap().as_deref(), Some("2-0"));
        let options = XaddOptions::new().trim(StreamTrim::minid("2-0"));
        let fields = BTreeMap::from([("f", "v"), ("g", "w")]);
        client.xadd_with("s", "3-0", fields, options).await.unwrap();
        let entries: Vec<(String, BTreeMap<String, String>)> =
            client.xrange("s", "-", "+").await.unwrap();
        let fields = |fields: &[(&str, &str)]| {
            let owned = |(a, b): &(&str, &str)| ((*a).to_owned(), (*b).to_owned());
            fields.iter().map(owned).collect()
        };
        let last = ("3-0".to_owned(), fields(&[("f", "v"), ("g", "w")]));
        assert_eq!(entries, [("2-0".to_owned(), fields(&[("f", "7")])), last]);
    });
}

#[test]
fn entries_are_read_by_range_forwards_and_backwards() {
    on_each(async |case| {
        let client = with_entries(&case, &[("s", 4)]).await;
        let all: Entries = client.xrange("s", "-", "+").await.unwrap();
        let expected = [("1-1", "1"), ("1-2", "2"), ("1-3", "3"), ("1-4", "4")];
        assert_eq!(all, expected.map(|(id, value)| entry(id, value)));
        let some = client.xrange("s", "1-2", "(1-4").await.unwrap();
        assert_eq!(ids(some), ["1-2", "1-3"]);
        let first = client.xrange_count("s", "-", "+", 2).await.unwrap();
        assert_eq!(ids(first), ["1-1", "1-2"]);
        let backwards = client.xrevrange("s", "+", "1-2").await.unwrap();
        assert_eq!(ids(backwards), ["1-4", "1-3", "1-2"]);
        let last: Entries = client.xrevrange_count("s", "+", "-", 1).await.unwrap();
        assert_eq!(last, [entry("1-4", "4")]);
        let none: Entries = client.xrange("none", "-", "+").await.unwrap();
        assert_eq!(none, []);
        let bytes: Vec<(String, HashMap<String, Vec<u8>>)> =
            client.xrange("s", 1, "1-1").await.unwrap();
        assert_eq!(bytes[0].1["f"], b"1");
    });
}

#[test]
fn entries_are_removed_and_streams_trimmed() {
    on_each(async |case| {
        let client = with_entries(&case, &[("s", 6)]).await;
        assert_eq!(client.xdel("s", ["1-2", "9-9"]).await.unwrap(), 1);
        assert_eq!(client.xdel("none", "1-1").await.unwrap(), 0);
        let trim = |trim| client.xtrim("s", trim);
        assert_eq!(trim(StreamTrim::maxlen(4)).await.unwrap(), 1);
        assert_eq!(trim(StreamTrim::minid("1-4")).await.unwrap(), 1);
        // A node of the stream holds more than these, and only whole ones are removed.
        assert_eq!(trim(StreamTrim::maxlen(1).approximate()).await.unwrap(), 0);
        assert_eq!(trim(StreamTrim::minid("9-9").limit(1)).await.unwrap(), 0);
        let left = client.xrange("s", "-", "+").await.unwrap();
        assert_eq!(ids(left), ["1-4", "1-5", "1-6"]);
        assert_eq!(trim(StreamTrim::maxlen(0)).await.unwrap(), 3);
    });
}

#[test]
fn several_streams_are_read_at_once() {
    on_each(async |case| {
        let client = with_entries(&case, &[("s", 3), ("t", 1)]).await;
        let lists: Vec<(String, Entries)> = client
            .xread([("t", "0"), ("s", "1-1"), ("none", "0")])
            .await
            .unwrap();
        let s = vec![entry("1-2", "2"), entry("1-3", "3")];
        let expected = [
            ("t".to_owned(), vec![entry("1-1", "1")]),
            ("s".to_owned(), s),
        ];
        assert_eq!(lists, expected);

        let maps: HashMap<String, EntriesOf<String>> =
            client.xread(&[("s", "0"), ("t", "0")]).await.unwrap();
        assert_eq!(maps.len(), 2);
        assert_eq!(maps["s"].len(), 3);
        assert_eq!(maps["s"][2].0, "1-3");
        assert_eq!(maps["s"][2].1["f"], "3");

        let options = XreadOptions::new().count(1);
        let one: Vec<(String, Entries)> = client.xread_with([("s", "1-1")], options).await.unwrap();
        assert_eq!(one, [("s".to_owned(), vec![entry("1-2", "2")])]);

        let none: Vec<(String, Entries)> = client.xread([("s", "$")]).await.unwrap();
        assert_eq!(none, []);
        let none: HashMap<String, Entries> = client.xread([("s", "9-9")]).await.unwrap();
        assert_eq!(none, HashMap::new());
        let none: Option<Value> = client.xread([("s", "9-9")]).await.unwrap();
        assert_eq!(none, None);
    });
}

#[test]
fn a_group_reads_acknowledges_and_knows_what_is_pending() {
    on_each(async |case| {
        let client = with_entries(&case, &[("s", 4)]).await;
        client.xgroup_create("s", "g", 0).await.unwrap();
        let idle: Pending = client.xpending("s", "g").await.unwrap();
        assert_eq!(idle, (0, None, None, vec![]));

        let options = XreadgroupOptions::new().count(2);
        let read: Vec<(String, Entries)> = client
            .xreadgroup_with("g", "anna", [("s", ">")], options)
            .await
            .unwrap();
        let first = vec![entry("1-1", "1"), entry("1-2", "2")];
        assert_eq!(read, [("s".to_owned(), first)]);
        let noack = XreadgroupOptions::new().noack().count(1);
        let read: HashMap<String, Entries> = client
            .xreadgroup_with("g", "bert", [("s", ">")], noack)
            .await
            .unwrap();
        assert_eq!(read["s"], [entry("1-3", "3")]);
        let read: HashMap<String, Entries> =
            client.xreadgroup("g", "bert", [("s", ">")]).await.unwrap();
        assert_eq!(read["s"], [entry("1-4", "4")]);
        let read: HashMap<String, Entries> =
            client.xreadgroup("g", "bert", [("s", ">")]).await.unwrap();
        assert_eq!(read, HashMap::new());

        let pending: Pending = client.xpending("s", "g").await.unwrap();
        let consumers = vec![("anna".to_owned(), 2), ("bert".to_owned(), 1)];
        let (low, high) = (Some("1-1".to_owned()), Some("1-4".to_owned()));
        assert_eq!(pending, (3, low, high, consumers));

        client.xdel("s", "1-2").await.unwrap();
        // What is pending and was deleted has no fields.
        let history: Vec<(String, History)> =
            client.xreadgroup("g", "anna", [("s", 0)]).await.unwrap();
        let entries = vec![
            ("1-1".to_owned(), Some(entry("1-1", "1").1)),
            ("1-2".to_owned(), None),
        ];
        assert_eq!(history, [("s".to_owned(), entries)]);
        let history: HashMap<String, Entries> = client
            .xreadgroup("g", "anna", [("s", "1-1")])
            .await
            .unwrap();
        assert_eq!(history["s"], [("1-2".to_owned(), vec![])]);

        assert_eq!(client.xack("s", "g", ["1-1", "9-9"]).await.unwrap(), 1);
        assert_eq!(client.xack("none", "g", "1-1").await.unwrap(), 0);

        let range: Vec<(String, String, i64, i64)> =
            client.xpending_range("s", "g", "-", "+", 10).await.unwrap();
        let short: Vec<_> = range
            .iter()
            .map(|(id, consumer, _, deliveries)| (id.as_str(), consumer.as_str(), *deliveries))
            .collect();
        assert_eq!(short, [("1-2", "anna", 1), ("1-4", "bert", 1)]);
        assert!(range.iter().all(|(_, _, idle, _)| *idle >= 0));
        let of = PendingRange::new("-", "+", 10);
        let bert: Vec<(String, String, i64, i64)> = client
            .xpending_range_with("s", "g", of.clone().consumer("bert"))
            .await
            .unwrap();
        assert_eq!(bert[0].0, "1-4");
        assert_eq!(bert.len(), 1);
        let stale: Vec<Value> = client
            .xpending_range_with("s", "g", of.idle(Duration::from_secs(3600)))
            .await
            .unwrap();
        assert_eq!(stale, []);
    });
}

#[test]
fn pending_entries_are_claimed() {
    on_each(async |case| {
        let client = with_entries(&case, &[("s", 4)]).await;
        client.xgroup_create("s", "g", "0").await.unwrap();
        let _: Value = client.xreadgroup("g", "anna", [("s", ">")]).await.unwrap();
        let (now, hour) = (Duration::ZERO, Duration::from_secs(3600));

        let claimed: Entries = client
            .xclaim("s", "g", "bert", now, ["1-1", "1-2"])
            .await
            .unwrap();
        assert_eq!(claimed, [entry("1-1", "1"), entry("1-2", "2")]);
        let none: Entries = client.xclaim("s", "g", "bert", hour, "1-3").await.unwrap();
        assert_eq!(none, []);

        let options = XclaimOptions::new()
            .justid()
            .retrycount(7)
            .idle(hour)
            .lastid("1-4");
        let claimed: Vec<String> = client
            .xclaim_with("s", "g", "carl", now, "1-3", options)
            .await
            .unwrap();
        assert_eq!(claimed, ["1-3"]);
        let carl = PendingRange::new("-", "+", 10).consumer("carl").idle(hour);
        let pending: Vec<(String, String, u64, i64)> =
            client.xpending_range_with("s", "g", carl).await.unwrap();
        assert_eq!(pending.len(), 1);
        assert_eq!((pending[0].0.as_str(), pending[0].3), ("1-3", 7));

        // An entry that nobody has pending, as if it had been delivered a while ago.
        client.xack("s", "g", "1-4").await.unwrap();
        let then = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() - hour;
        let then = i64::try_from(then.as_millis()).unwrap();
        let options = XclaimOptions::new().force().time(then);
        let claimed: Entries = client
            .xclaim_with("s", "g", "dora", now, "1-4", options)
            .await
            .unwrap();
        assert_eq!(claimed, [entry("1-4", "4")]);
        let stale = PendingRange::new("-", "+", 10).consumer("dora").idle(hour);
        let pending: Vec<Value> = client.xpending_range_with("s", "g", stale).await.unwrap();
        assert_eq!(pending.len(), 1);
    });
}

#[test]
fn pending_entries_are_claimed_one_after_the_other() {
    on_each(async |case| {
        let client = with_entries(&case, &[("s", 4)]).await;
        client.xgroup_create("s", "g", "0").await.unwrap();
        let _: Value = client.xreadgroup("g", "anna", [("s", ">")]).await.unwrap();
        client.xdel("s", "1-2").await.unwrap();

        let options = XautoclaimOptions::new().count(1);
        let claimed: (String, Entries, Vec<String>) = client
            .xautoclaim_with("s", "g", "bert", Duration::ZERO, "0-0", options)
            .await
            .unwrap();
        assert_eq!(claimed, ("1-2".to_owned(), vec![entry("1-1", "1")], vec![]));
        let claimed: (String, EntriesOf<i64>, Vec<String>) = client
            .xautoclaim("s", "g", "bert", Duration::ZERO, "1-2")
            .await
            .unwrap();
        let fields = |value| HashMap::from([("f".to_owned(), value)]);
        let entries = vec![("1-3".to_owned(), fields(3)), ("1-4".to_owned(), fields(4))];
        assert_eq!(claimed, ("0-0".to_owned(), entries, vec!["1-2".to_owned()]));
        let options = XautoclaimOptions::new().justid();
        let claimed: (String, Vec<String>, Vec<String>) = client
            .xautoclaim_with("s", "g", "carl", Duration::ZERO, "-", options)
            .await
            .unwrap();
        let ids = ["1-1", "1-3", "1-4"].map(str::to_owned).to_vec();
        assert_eq!(claimed, ("0-0".to_owned(), ids, vec![]));
    });
}

#[test]
fn groups_and_their_consumers_come_and_go() {
    on_each(async |case| {
        let client = with_entries(&case, &[("s", 3)]).await;
        let missing = error(client.xgroup_create("t", "g", "$").await);
        assert_eq!(missing.code(), Some("ERR"));
        let options = XgroupCreateOptions::new().mkstream().entriesread(0);
        client
            .xgroup_create_with("t", "g", "$", options)
            .await
            .unwrap();
        assert_eq!(client.xlen("t").await.unwrap(), 0);
        assert_eq!(client.key_type("t").await.unwrap(), "stream");
        let again = error(client.xgroup_create("t", "g", "$").await);
        assert_eq!(again.code(), Some("BUSYGROUP"));

        client.xgroup_create("s", "g", "$").await.unwrap();
        assert!(
            client
                .xgroup_createconsumer("s", "g", "anna")
                .await
                .unwrap()
        );
        assert!(
            !client
                .xgroup_createconsumer("s", "g", "anna")
                .await
                .unwrap()
        );
        client.xgroup_setid("s", "g", "1-1").await.unwrap();
        let options = XgroupSetidOptions::new().entriesread(1);
        client
            .xgroup_setid_with("s", "g", "1-1", options)
            .await
            .unwrap();
        let read: HashMap<String, Entries> =
            client.xreadgroup("g", "anna", [("s", ">")]).await.unwrap();
        assert_eq!(read["s"].len(), 2);

        let groups: Vec<Map> = client.xinfo_groups("s").await.unwrap();
        assert_eq!(groups.len(), 1);
        assert_eq!(groups[0]["name"].as_str(), Some("g"));
        assert_eq!(groups[0]["consumers"].as_integer(), Some(1));
        assert_eq!(groups[0]["pending"].as_integer(), Some(2));
        assert_eq!(groups[0]["entries-read"].as_integer(), Some(3));
        assert_eq!(groups[0]["lag"].as_integer(), Some(0));
        let consumers: Vec<Map> = client.xinfo_consumers("s", "g").await.unwrap();
        assert_eq!(consumers.len(), 1);
        assert_eq!(consumers[0]["name"].as_str(), Some("anna"));
        assert_eq!(consumers[0]["pending"].as_integer(), Some(2));

        assert_eq!(
            client.xgroup_delconsumer("s", "g", "anna").await.unwrap(),
            2
        );
        assert_eq!(
            client.xgroup_delconsumer("s", "g", "anna").await.unwrap(),
            0
        );
        assert!(client.xgroup_destroy("s", "g").await.unwrap());
        assert!(!client.xgroup_destroy("s", "g").await.unwrap());
        let nobody: Vec<Map> = client.xinfo_groups("s").await.unwrap();
        assert_eq!(nobody, [] as [Map; 0]);
        let missing = client.xreadgroup::<Value, _>("g", "anna", [("s", ">")]);
        assert_eq!(error(missing.await).code(), Some("NOGROUP"));
    });
}

#[test]
fn the_server_tells_what_it_knows_about_a_stream() {
    on_each(async |case| {
        let client = with_entries(&case, &[("s", 3)]).await;
        client.xgroup_create("s", "g", "0").await.unwrap();
        let _: Value = client.xreadgroup("g", "anna", [("s", ">")]).await.unwrap();
        let info: Map = client.xinfo_stream("s").await.unwrap();
        assert_eq!(info["length"].as_integer(), Some(3));
        assert_eq!(info["groups"].as_integer(), Some(1));
        assert_eq!(info["last-generated-id"].as_str(), Some("1-3"));
        let full: Map = client.xinfo_stream_full("s", 2).await.unwrap();
        assert_eq!(full["length"].as_integer(), Some(3));
        assert_eq!(full["entries"].as_elements().unwrap().len(), 2);
        let all: Map = client.xinfo_stream_full("s", 0).await.unwrap();
        assert_eq!(all["entries"].as_elements().unwrap().len(), 3);
        let missing = error(client.xinfo_stream::<Map>("none").await);
        assert!(missing.to_string().contains("no such key"), "{missing}");

        client.xsetid("s", "5-0").await.unwrap();
        let options = XsetidOptions::new().entriesadded(9).maxdeletedid("4-0");
        client.xsetid_with("s", "5-1", options).await.unwrap();
        let info: Map = client.xinfo_stream("s").await.unwrap();
        assert_eq!(info["last-generated-id"].as_str(), Some("5-1"));
        assert_eq!(info["entries-added"].as_integer(), Some(9));
        assert_eq!(info["max-deleted-entry-id"].as_str(), Some("4-0"));
    });
}

#[test]
fn a_read_waits_for_the_next_entry_and_holds_nobody_up() {
    on_each(async |case| {
        let client = with_entries(&case, &[("s", 1)]).await;
        client.xgroup_create("s", "g", "$").await.unwrap();
        let forever = XreadOptions::new().block(Duration::ZERO).count(1);
        let reads = client.xread_with([("none", "$"), ("s", "$")], forever);
        let long = XreadgroupOptions::new().block(Duration::from_secs(60));
        let group_reads = client.xreadgroup_with("g", "anna", [("s", ">")], long);
        let writes = async {
            eventually("both wait", || {
                let clients = case.server.cli(["INFO", "clients"]);
                clients.contains("blocked_clients:2")
            })
            .await;
            client.xadd("s", "1-2", [("f", 2)]).await.unwrap();
        };
        let (read, group_read, ()) = tokio::join!(reads, group_reads, writes);
        let read: Vec<(String, Entries)> = read.unwrap();
        assert_eq!(read, [("s".to_owned(), vec![entry("1-2", "2")])]);
        let group_read: HashMap<String, Entries> = group_read.unwrap();
        assert_eq!(group_read["s"], [entry("1-2", "2")]);

        let brief = Duration::from_millis(20);
        let options = XreadOptions::new().block(brief);
        let begun = Instant::now();
        let none: HashMap<String, Entries> =
            client.xread_with([("s", "$")], options).await.unwrap();
        assert_eq!(none, HashMap::new());
        assert!(begun.elapsed() >= brief);
        let options = XreadgroupOptions::new().block(brief);
        let none: Option<Value> = client
            .xreadgroup_with("g", "anna", [("s", ">")], options)
            .await
            .unwrap();
        assert_eq!(none, None);
    });
}
