//! What the crate knows of commands by name, beside what real servers say of them.

use std::time::Duration;

use tidings::{Command, cmd};
use tidings_proto::cluster::{CommandSlot, Merge, Policy, Split, Target};
use tidings_proto::{Blocking, may_block};
use tidings_testkit::{AdminReply, Flavor, Server, Version, matrix};

/// A command or a subcommand, as `COMMAND` describes it.
struct Described {
    /// `GET`, or `XINFO` and `STREAM`.
    words: Vec<String>,
    /// So many words at least if negative, else exactly; the name's are counted.
    arity: i64,
    flags: Vec<String>,
    /// What the server tells clients of clusters: `request_policy:all_nodes`.
    tips: Vec<String>,
    /// Where its keys are, or what stands for keys: first, last, step.
    range: [i64; 3],
    /// Whether what stands there is no key, and only tells the slot.
    is_not_key: bool,
}

impl Described {
    fn all(server: &Server) -> Vec<Self> {
        let mut all = Vec::new();
        for entry in server.admin(["COMMAND"]).elements() {
            let command = Self::read(entry);
            // Of a module, and not of the server: there is no row for those.
            if !command.words[0].contains('.') {
                all.push(command);
                let subcommands = entry.elements()[9].elements();
                all.extend(subcommands.iter().map(Self::read));
            }
        }
        assert!(
            all.len() > 300,
            "{} has {} commands",
            server.binary(),
            all.len()
        );
        all
    }

    fn read(entry: &AdminReply) -> Self {
        let fields = entry.elements();
        let name = fields[0].text().unwrap().to_uppercase();
        let number = |field: usize| fields[field].integer().unwrap();
        Self {
            words: name.split('|').map(str::to_owned).collect(),
            arity: number(1),
            flags: texts(&fields[2]),
            tips: texts(&fields[7]),
            range: [number(3), number(4), number(5)],
            is_not_key: fields[8].to_string().lines().any(|line| line == "not_key"),
        }
    }

    fn has(&self, flag: &str) -> bool {
        self.flags.iter().any(|word| word == flag)
    }

    /// What it says of a policy, if it says anything.
    fn tip(&self, policy: &str) -> Option<&str> {
        let mut tips = self.tips.iter();
        tips.find_map(|tip| tip.strip_prefix(policy)?.strip_prefix(':'))
    }

    fn takes(&self, words: usize) -> bool {
        let words = i64::try_from(words).unwrap();
        words == self.arity || self.arity < 0 && words >= -self.arity
    }
}

fn texts(reply: &AdminReply) -> Vec<String> {
    let text = |element: &AdminReply| element.text().unwrap().to_owned();
    reply.elements().iter().map(text).collect()
}

fn command(words: &[String]) -> Command {
    cmd(&words[0]).arg(&words[1..])
}

fn own_keys(words: &[String]) -> Vec<String> {
    let text = |key: &[u8]| String::from_utf8(key.to_vec()).unwrap();
    command(words).keys().map(text).collect()
}

/// What the server says are the keys. It calls a command without any an error, as it does a
/// subcommand that there is not, and Redis 7.0 does not take a command of one word.
fn keys_by_server(server: &Server, words: &[String]) -> Vec<String> {
    if words.len() == 1 {
        return Vec::new();
    }
    let question = ["COMMAND", "GETKEYS"].into_iter();
    let question = question.chain(words.iter().map(String::as_str));
    match server.try_admin(question).unwrap() {
        AdminReply::Error(text) => {
            let is_without = text == "ERR The command has no key arguments"
                || text == "ERR Invalid arguments specified for command"
                || text == "ERR Invalid command specified";
            assert!(is_without, "{}: {words:?}: {text}", server.binary());
            Vec::new()
        }
        keys => texts(&keys),
    }
}

fn on_each_server(check: impl Fn(&Server, &[Described])) {
    for binary in matrix() {
        let server = Server::builder().binary(&binary).start_or_panic();
        check(&server, &Described::all(&server));
    }
}

#[test]
fn every_command_of_the_server_is_known() {
    on_each_server(|server, described| {
        for one in described {
            let known = command(&one.words).is_known();
            assert!(known, "{}: {}", server.binary(), one.words.join(" "));
        }
    });
}

#[test]
fn what_only_reads_is_what_the_server_flags_as_such() {
    on_each_server(|server, described| {
        for one in described {
            assert_eq!(
                command(&one.words).is_read_only(),
                one.has("readonly"),
                "{}: {}",
                server.binary(),
                one.words.join(" ")
            );
        }
    });
}

#[test]
fn what_may_block_is_what_the_server_flags_as_such() {
    /// Which flags `WAIT`; before, it waited as well.
    const FLAGS_WAIT: Version = Version::new(7, 2, 0);
    on_each_server(|server, described| {
        let is_older = server.binary().flavor == Flavor::Redis && server.version() < FLAGS_WAIT;
        for one in described {
            let flagged = one.has("blocking") || is_older && one.words == ["WAIT"];
            assert_eq!(
                one.words.len() == 1 && may_block(&one.words[0]),
                flagged,
                "{}: {}",
                server.binary(),
                one.words.join(" ")
            );
        }
    });
}

/// Commands that wait, with a quarter of a second as the time.
const WAITING: &[&str] = &[
    "BLPOP a b 0.25",
    "BRPOP a 0.25",
    "BLMOVE a b LEFT RIGHT 0.25",
    "BRPOPLPUSH a b 0.25",
    "BLMPOP 0.25 1 a LEFT",
    "BZMPOP 0.25 1 a MIN",
    "BZPOPMIN a b 0.25",
    "BZPOPMAX a 0.25",
    "XREAD COUNT 1 BLOCK 250 STREAMS a $",
    "XREADGROUP GROUP g c BLOCK 250 STREAMS a >",
    "WAIT 1 250",
    "WAITAOF 0 1 250",
];

/// That the server finds fault with a negative time shows that it is the time that was made so.
#[test]
fn the_time_that_a_command_waits_is_where_the_server_reads_it() {
    on_each_server(|server, described| {
        for one in described.iter().filter(|one| one.has("blocking")) {
            let name = format!("{} ", one.words[0]);
            let is_there = WAITING.iter().any(|line| line.starts_with(&name));
            assert!(is_there, "{}: {name}", server.binary());
        }
        for line in WAITING {
            let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            let waits = Blocking::For(Duration::from_millis(250));
            assert_eq!(command(&words).blocks(), Some(waits), "{line}");
            if !described.iter().any(|one| one.words[0] == words[0]) {
                continue;
            }
            let is_time = |word: &str| word == "0.25" || word == "250";
            let negative = words
                .iter()
                .map(|word| if is_time(word) { "-1" } else { word });
            let reply = server.try_admin(negative).unwrap();
            let refusal = AdminReply::Error("ERR timeout is negative".to_owned());
            assert_eq!(reply, refusal, "{}: {line}", server.binary());
        }
    });
}

/// The words `a1`, `a2`, …, and the same with a number at one of the first places, where some
/// commands have the number of their keys.
fn lines_of(one: &Described) -> Vec<Vec<String>> {
    let mut lines = Vec::new();
    for count in one.words.len()..one.words.len() + 9 {
        if !one.takes(count) {
            continue;
        }
        let mut line = one.words.clone();
        line.extend((one.words.len()..count).map(|place| format!("a{place}")));
        for place in one.words.len()..count.min(4) {
            for number in ["0", "1", "2", "3", "7"] {
                let mut line = line.clone();
                line[place] = number.to_owned();
                lines.push(line);
            }
        }
        lines.push(line);
    }
    lines
}

#[test]
fn keys_of_every_command_are_where_the_server_sees_them() {
    on_each_server(|server, described| {
        let mut compared = 0;
        let mut with_keys = 0;
        for one in described {
            for line in lines_of(one) {
                // The server takes it, but fails to find the keys of a merge of nothing.
                if line.len() == 2 && line[0] == "PFMERGE" {
                    continue;
                }
                let keys = if one.is_not_key {
                    slot_words(one, &line)
                } else {
                    keys_by_server(server, &line)
                };
                assert_eq!(
                    own_keys(&line),
                    keys,
                    "{}: {}",
                    server.binary(),
                    line.join(" ")
                );
                compared += 1;
                with_keys += usize::from(!keys.is_empty());
            }
        }
        // Few would mean that the lines are none that the server takes.
        assert!(
            compared > 10_000 && with_keys * 3 > compared,
            "{with_keys} of {compared}"
        );
    });
}

/// `COMMAND GETKEYS` leaves out shard channels and cursors, which are no keys but lie in a slot.
fn slot_words(one: &Described, line: &[String]) -> Vec<String> {
    let [first, last, step] = one.range.map(|place| usize::try_from(place).ok());
    let last = last.unwrap_or(line.len() - 1);
    line[first.unwrap()..=last]
        .iter()
        .step_by(step.unwrap())
        .cloned()
        .collect()
}

/// Commands whose keys are found by words and numbers: several lines each.
const LINES: &[&str] = &[
    "SORT a",
    "SORT a BY STORE GET STORE ASC",
    "SORT a LIMIT 0 STORE STORE b",
    "SORT a GET x STORE b STORE c",
    "SORT a STORE b ALPHA DESC",
    "sort a by w limit 1 2 get # store b",
    "SORT_RO a BY w GET STORE ALPHA",
    "XREAD STREAMS a 0",
    "XREAD COUNT 5 BLOCK 10 STREAMS a b c 0 $ 1-1",
    "xread block 0 streams STREAMS COUNT 0 0",
    "XREADGROUP GROUP g c STREAMS a >",
    "XREADGROUP GROUP STREAMS c COUNT 1 BLOCK 5 NOACK STREAMS a b > >",
    "XREADGROUP GROUP g STREAMS STREAMS a 0",
    "ZUNIONSTORE d 2 a b",
    "ZUNIONSTORE d 2 a b WEIGHTS 1 2 AGGREGATE MAX",
    "ZINTERSTORE d 1 a",
    "ZDIFFSTORE d 3 a b c",
    "ZUNIONSTORE d 3 a b",
    "ZUNION 2 a b WITHSCORES",
    "ZINTERCARD 2 a b LIMIT 1",
    "SINTERCARD 3 a b c LIMIT 2",
    "ZMPOP 2 a b MIN COUNT 2",
    "LMPOP 1 a LEFT",
    "LMPOP 2 a b RIGHT COUNT 3",
    "BLMPOP 0 2 a b LEFT COUNT 3",
    "BZMPOP 1 1 a MAX",
    "EVAL script 0",
    "EVAL script 0 x y",
    "EVAL script 2 a b x y",
    "EVAL script 3 a b",
    "EVAL script -1 a b",
    "EVALSHA sha 1 a x",
    "EVAL_RO script 2 a b",
    "EVALSHA_RO sha 1 a",
    "FCALL f 1 a x",
    "FCALL f 0 x",
    "FCALL_RO f 2 a b",
    "MIGRATE host 1 a 0 10",
    "MIGRATE host 1 a 0 10 COPY REPLACE AUTH secret",
    "MIGRATE host 1  0 10 KEYS a b c",
    "MIGRATE host 1  0 10 COPY REPLACE AUTH KEYS KEYS a b",
    "MIGRATE host 1  0 10 AUTH2 KEYS KEYS KEYS a",
    "MIGRATE host 1 a 0 10 KEYS b",
    "GEORADIUS a 1 2 3 km",
    "GEORADIUS a 1 2 3 km STORE b",
    "GEORADIUS a 1 2 3 km WITHDIST COUNT 5 ANY STOREDIST b ASC",
    "GEORADIUS_RO a 1 2 3 km WITHDIST",
    "GEORADIUSBYMEMBER a m 3 km STORE b",
    "GEORADIUSBYMEMBER a m 3 km storedist b",
    "GEORADIUSBYMEMBER a STORE 3 km",
    "GEOSEARCHSTORE d a FROMMEMBER m BYRADIUS 3 km",
    "OBJECT ENCODING a",
    "OBJECT freq a",
    "MEMORY USAGE a",
    "MEMORY USAGE a SAMPLES 5",
    "XINFO STREAM a FULL COUNT 2",
    "XINFO CONSUMERS a g",
    "XGROUP CREATE a g $ MKSTREAM",
    "XGROUP DELCONSUMER a g c",
    "BITOP AND d a",
    "BITOP NOT d a",
    "BITOP XOR d a b c",
    "MSET a 1 b 2",
    "MSETNX a 1",
    "LCS a b LEN",
    "COPY a b DB 1 REPLACE",
    "BLPOP a b c 0",
    "BZPOPMIN a 5",
    "BLMOVE a b LEFT RIGHT 0",
    "PFMERGE d a b",
    "PFCOUNT a b",
    "SINTERSTORE d a b",
    "ZRANGESTORE d a 0 -1",
    "WATCH a b",
];

/// Lines of which Valkey 9 finds the keys that the command uses, and servers before it others.
const LINES_OF_VALKEY_9: &[&str] = &[
    "GEORADIUS a 1 2 3 km STORE b STOREDIST c",
    "GEORADIUS a 1 2 3 km STOREDIST b STORE c",
    "GEORADIUS a 1 2 3 km STORE b STORE c",
];

#[test]
fn keys_that_words_and_numbers_tell_are_the_ones_that_the_server_finds() {
    on_each_server(|server, _| {
        let is_valkey_9 = server.binary().flavor == Flavor::Valkey && server.version().major >= 9;
        let newest = if is_valkey_9 { LINES_OF_VALKEY_9 } else { &[] };
        for line in LINES.iter().chain(newest) {
            let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            let keys = keys_by_server(server, &words);
            assert_eq!(own_keys(&words), keys, "{}: {line}", server.binary());
        }
    });
}

/// What a server's policies mean for a command without keys.
fn policy_by_server(one: &Described) -> Option<(Target, Merge)> {
    let target = match one.tip("request_policy")? {
        "all_shards" => Target::AllPrimaries,
        "all_nodes" => Target::AllNodes,
        "special" => Target::EachInTurn,
        other => panic!("{}: {other}", one.words.join(" ")),
    };
    let merge = match one.tip("response_policy") {
        // Without keys the servers mean one list of all elements.
        None => Merge::Concat,
        Some("all_succeeded") => Merge::AllSucceeded,
        Some("one_succeeded") => Merge::OneSucceeded,
        Some("agg_sum") => Merge::Sum,
        Some("agg_min") => Merge::Min,
        Some("agg_logical_and") => Merge::And,
        Some("special") => Merge::PerNode,
        Some(other) => panic!("{}: {other}", one.words.join(" ")),
    };
    Some((target, merge))
}

/// Policies of a server that newer ones have changed, and those that say no more than that they are special.
fn is_another_policy(one: &Described) -> Option<(Target, Merge)> {
    match one.words.join(" ").as_str() {
        // One key of whichever node has any.
        "RANDOMKEY" => Some((Target::AllPrimaries, Merge::FirstThere)),
        // Cursors are not merged.
        "SCAN" => Some((Target::EachInTurn, Merge::First)),
        // It tells how many were reset, which Redis 7.0 takes for a success or a failure.
        "LATENCY RESET" => Some((Target::AllNodes, Merge::Sum)),
        _ => None,
    }
}

/// Commands of which servers before these said nothing yet.
fn is_newly_told(one: &Described) -> bool {
    let name = one.words.join(" ");
    let newly = [
        "ACL DELUSER",
        "ACL SAVE",
        "ACL SETUSER",
        "CLIENT SETNAME",
        "CONFIG RESETSTAT",
        "CONFIG REWRITE",
    ];
    newly.contains(&name.as_str())
}

#[test]
fn commands_without_keys_go_where_the_server_says() {
    on_each_server(|server, described| {
        let mut compared = 0;
        for one in described {
            let policy = Policy::of(command(&one.words).view()).expect("it is known");
            let has_keys = one.range[0] != 0 || one.has("movablekeys");
            // A command that has subcommands does nothing by itself.
            let is_family = ["ACL", "CLIENT", "CLUSTER"].contains(&one.words[0].as_str());
            if has_keys || is_family && one.words.len() == 1 {
                continue;
            }
            let own = (policy.target(), policy.merge());
            let name = format!("{}: {}", server.binary(), one.words.join(" "));
            match is_another_policy(one).or_else(|| policy_by_server(one)) {
                Some(expected) => {
                    assert_eq!(own, expected, "{name}");
                    compared += 1;
                }
                // Nothing is said of them, as each node tells only of its own subscribers.
                None if one.words[0] == "PUBSUB"
                    && one.words.get(1).is_some_and(|word| word != "HELP") =>
                {
                    assert_eq!(policy.target(), Target::AllNodes, "{name}");
                }
                None if server.version() < Version::new(7, 2, 0) && is_newly_told(one) => {}
                None => {
                    assert!(
                        matches!(own, (Target::AnyNode | Target::NamedNode, Merge::First)),
                        "{name}"
                    );
                }
            }
        }
        assert!(compared > 30, "{}: {compared}", server.binary());
    });
}

#[test]
fn commands_of_several_slots_are_split_where_the_server_says() {
    /// They set all keys or none, which no split can promise. Redis since 7.2 and Valkey no longer say so of the first.
    const WHOLE: [&str; 2] = ["MSETEX", "MSETNX"];
    on_each_server(|server, described| {
        for one in described.iter().filter(|one| one.words.len() == 1) {
            let name = one.words[0].as_str();
            let line = command(&[
                name.to_owned(),
                "a".to_owned(),
                "b".to_owned(),
                "c".to_owned(),
                "d".to_owned(),
            ]);
            let is_split = Split::of(line.view()).is_some();
            let is_told =
                one.tip("request_policy") == Some("multi_shard") && !WHOLE.contains(&name);
            assert_eq!(is_split, is_told, "{}: {name}", server.binary());
            if is_split {
                assert_eq!(line.slot(), CommandSlot::Several, "{name}");
            }
        }
    });
}
