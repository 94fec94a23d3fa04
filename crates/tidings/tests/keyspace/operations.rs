//! Which class the servers have an operation in, so that it is known what has to be set for it.

use std::collections::{BTreeMap, BTreeSet};

use tidings::{Commands, Notifications, Value, cmd};

use crate::faces::asynchronously;
use crate::support::SOON;

/// The classes of `A`, and those that are not in it and that all servers have.
const CLASSES: &str = "g$lshzxetdnm";

/// What is run for each class: as many operations as there are commands for.
const COMMANDS: &[&str] = &[
    "SET s 1",
    "SETRANGE s 0 1",
    "APPEND s 1",
    "INCR s",
    "DECR s",
    "INCRBYFLOAT s 1.5",
    "SETBIT bits 1 1",
    "PFADD hll a",
    "SETEX soon 100 1",
    "PERSIST soon",
    "EXPIRE soon 100",
    "RENAME soon later",
    "COPY later copy",
    "MOVE copy 1",
    "DEL later",
    "GET missing",
    "RPUSH l c a b",
    "LPUSH l x",
    "LINSERT l BEFORE a y",
    "LSET l 0 z",
    "LREM l 1 y",
    "LTRIM l 0 10",
    "RPOP l",
    "LPOP l",
    "SORT l ALPHA STORE sorted",
    "SADD set a b c d",
    "SREM set a",
    "SPOP set",
    "SINTERSTORE inter set set",
    "SUNIONSTORE union set set",
    "SDIFFSTORE diff set none",
    "HSET h a 1 b 1.5 c 1",
    "HINCRBY h a 1",
    "HINCRBYFLOAT h b 1",
    "HDEL h c",
    "HEXPIRE h 100 FIELDS 1 a",
    "HPERSIST h FIELDS 1 a",
    "ZADD z 1 a 2 b 3 c 4 d 5 e 6 f 7 g 8 h",
    "ZINCRBY z 1 a",
    "ZREM z a",
    "ZREMRANGEBYRANK z 0 0",
    "ZREMRANGEBYSCORE z 3 3",
    "ZPOPMIN z",
    "ZPOPMAX z",
    "ZRANGESTORE range z 0 -1",
    "ZUNIONSTORE zu 1 z",
    "ZINTERSTORE zi 1 z",
    "ZDIFFSTORE zd 1 z",
    "ZADD lex 0 a 0 b",
    "ZREMRANGEBYLEX lex [a [a",
    "GEOADD geo 13 38 p",
    "GEOSEARCHSTORE near geo FROMMEMBER p BYRADIUS 1 km",
    "GEORADIUS geo 13 38 100 km STORE near2",
    "XADD x 1-1 f v",
    "XADD x 1-2 f v",
    "XGROUP CREATE x g 0",
    "XGROUP CREATECONSUMER x g c",
    "XGROUP SETID x g 0",
    "XGROUP DELCONSUMER x g c",
    "XGROUP DESTROY x g",
    "XSETID x 9-9",
    "XDEL x 1-1",
    "XTRIM x MAXLEN 0",
];

#[test]
fn each_operation_is_of_the_class_that_is_thought() {
    asynchronously(|case| async move {
        let client = case.client().await;
        let mut classes: BTreeMap<String, BTreeSet<char>> = BTreeMap::new();
        for class in CLASSES.chars() {
            client.flushall().await.unwrap();
            let setting = format!("K{class}");
            case.server
                .admin(["CONFIG", "SET", "notify-keyspace-events", &setting]);
            let builder = client.keyspace_events("*");
            let builder = builder.notifications(Notifications::Unchecked);
            let mut events = builder.open().await.expect("it opens");
            for command in COMMANDS {
                let mut words = command.split(' ');
                let name = words.next().expect("a name");
                // Some are newer than some servers.
                let _ = client
                    .run::<Value>(cmd(name).arg(words.collect::<Vec<_>>()))
                    .await;
            }
            case.server
                .admin(["CONFIG", "SET", "notify-keyspace-events", "K$"]);
            client.set("the end", 1).await.unwrap();
            loop {
                let item = events.next(SOON).await.expect("it comes");
                let event = item.expect("no error").into_key_event().expect("an event");
                if event.key() == b"the end" {
                    break;
                }
                let of = classes
                    .entry(event.operation_str().into_owned())
                    .or_default();
                of.insert(class);
            }
        }
        assert!(classes.len() > 50, "{classes:?}");
        for (operation, of) in classes {
            let of: Vec<char> = of.into_iter().collect();
            // What is needed for one operation is its class; for one that is not known, all are.
            case.server
                .admin(["CONFIG", "SET", "notify-keyspace-events", ""]);
            let builder = client.keyspace_events("key").operations([&operation]);
            let opened = builder.notifications(Notifications::Enable).open().await;
            opened.expect("it opens");
            let said = case.server.cli(["CONFIG", "GET", "notify-keyspace-events"]);
            let needed = said.trim_start_matches("notify-keyspace-events").trim();
            let mut needed: Vec<char> = needed.chars().filter(|letter| *letter != 'K').collect();
            needed.sort_unstable();
            assert_eq!(needed, of, "{operation}");
        }
    });
}
