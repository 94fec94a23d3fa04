//! What the crate knows of commands by name, beside what real servers say of them.

use std::time::Duration;

use tidings::{Command, cmd};
use tidings_proto::{Blocking, may_block};
use tidings_testkit::{AdminReply, Flavor, Server, Version, matrix};

/// A command or a subcommand, as `COMMAND` describes it.
struct Described {
    /// `GET`, or `XINFO` and `STREAM`.
    words: Vec<String>,
    /// So many words at least if negative, else exactly; the name's are counted.
    arity: i64,
    flags: Vec<String>,
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
            range: [number(3), number(4), number(5)],
            is_not_key: fields[8].to_string().lines().any(|line| line == "not_key"),
        }
    }

    fn has(&self, flag: &str) -> bool {
        self.flags.iter().any(|word| word == flag)
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
