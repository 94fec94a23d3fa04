//! The methods beside the commands of real servers: none is missing without a reason, and all have their keys where the
//! server sees them.

use std::collections::BTreeSet;

use tidings_testkit::{AdminReply, Binary, Flavor, Server, Version, matrix};

use super::{Sample, groups};

/// Commands without a method, and why.
const EXCLUSIONS: &str = include_str!("exclusions.txt");

/// A line of the exclusions.
struct Exclusion {
    /// As in `CLIENT REPLY`.
    command: &'static str,
    /// The first versions that have it, of the flavors that do.
    since: Vec<(Flavor, Version)>,
}

impl Exclusion {
    fn all() -> Vec<Self> {
        let (mut all, mut since) = (Vec::new(), Vec::new());
        for line in EXCLUSIONS.lines() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let heading = line
                .strip_prefix('[')
                .and_then(|line| line.strip_suffix(']'));
            if let Some(heading) = heading {
                since = heading.split(", ").map(first_server).collect();
                continue;
            }
            let (command, reason) = line.split_once("  ").unwrap_or_default();
            assert!(!reason.trim().is_empty(), "no reason: {line}");
            assert!(!since.is_empty(), "no heading: {line}");
            all.push(Self {
                command,
                since: since.clone(),
            });
        }
        all
    }

    fn is_there(&self, binary: &Binary) -> bool {
        self.since
            .iter()
            .any(|&(flavor, first)| flavor == binary.flavor && first <= binary.version)
    }
}

/// As in `redis 7.0`.
fn first_server(text: &str) -> (Flavor, Version) {
    let (flavor, version) = text.split_once(' ').expect("a flavor and a version");
    let flavor = match flavor {
        "redis" => Flavor::Redis,
        "valkey" => Flavor::Valkey,
        _ => panic!("{flavor}"),
    };
    let (major, minor) = version.split_once('.').expect("two numbers");
    let number = |text: &str| text.parse().expect("a number");
    (flavor, Version::new(number(major), number(minor), 0))
}

/// The commands of a server, and in the place of those that have subcommands these, as `CLIENT LIST`. Those with a
/// point in their names are of modules that somebody loaded.
fn commands_of(server: &Server) -> BTreeSet<String> {
    let name = |entry: &AdminReply| entry.elements()[0].text().unwrap().to_uppercase();
    let mut names = BTreeSet::new();
    for entry in server.admin(["COMMAND"]).elements() {
        let subcommands = entry.elements()[9].elements();
        if subcommands.is_empty() {
            names.insert(name(entry));
        }
        names.extend(
            subcommands
                .iter()
                .map(|entry| name(entry).replace('|', " ")),
        );
    }
    names.retain(|name| !name.contains('.'));
    assert!(names.len() > 300, "{names:?}");
    names
}

/// The commands that have methods: `GET`, `CLIENT LIST`. A second word that is no subcommand does no harm.
fn typed() -> BTreeSet<String> {
    let mut typed = BTreeSet::new();
    for method in groups().into_iter().flat_map(|(methods, _)| methods) {
        let (name, subcommand) = method.command();
        if let Some(subcommand) = subcommand {
            typed.insert(format!("{name} {subcommand}"));
        }
        typed.insert(name);
    }
    typed
}

fn on_each_server(check: impl Fn(&Server, &BTreeSet<String>)) {
    for binary in matrix() {
        let server = Server::builder().binary(&binary).start_or_panic();
        check(&server, &commands_of(&server));
    }
}

#[test]
fn every_command_of_the_servers_has_a_method_or_a_reason_why_not() {
    let (typed, exclusions) = (typed(), Exclusion::all());
    on_each_server(|server, commands| {
        let without = |command: &&String| {
            !typed.contains(*command) && !exclusions.iter().any(|line| line.command == **command)
        };
        let missing: Vec<&String> = commands.iter().filter(without).collect();
        assert!(missing.is_empty(), "{}: {missing:#?}", server.binary());
    });
}

#[test]
fn every_exclusion_is_of_a_command_that_the_servers_have_and_that_has_no_method() {
    let (typed, exclusions) = (typed(), Exclusion::all());
    let mut seen = BTreeSet::new();
    for line in &exclusions {
        assert!(seen.insert(line.command), "{} stands twice", line.command);
        assert!(
            !typed.contains(line.command),
            "{} has a method",
            line.command
        );
    }
    on_each_server(|server, commands| {
        for line in &exclusions {
            assert_eq!(
                commands.contains(line.command),
                line.is_there(server.binary()),
                "{}: {}",
                server.binary(),
                line.command
            );
        }
    });
}

/// The words of a sample's command.
fn words(sample: &Sample) -> Vec<Vec<u8>> {
    let name = std::iter::once(sample.command.name());
    name.chain(sample.command.args())
        .map(<[u8]>::to_vec)
        .collect()
}

/// Whether a server has the command of a sample, and takes so many words for it.
fn is_there(sample: &Sample, server: &Server, commands: &BTreeSet<String>) -> bool {
    let binary = server.binary();
    let is_older = binary.flavor == Flavor::Redis && binary.version < Version::new(7, 2, 0);
    if is_older && sample.expected.ends_with("RANK a x WITHSCORE") {
        return false;
    }
    let words: Vec<String> = words(sample)
        .iter()
        .take(2)
        .map(|word| String::from_utf8_lossy(word).to_uppercase())
        .collect();
    commands.contains(&words[0]) || commands.contains(&words.join(" "))
}

/// Commands with a word that is no key and tells the slot as if it were, in `keys` but not in the server's answer.
const SLOT_WORDS: [&[u8]; 2] = [b"SPUBLISH", b"CLUSTERSCAN"];

/// What the server says are the keys. A command without any is an error to it, and to Redis 7.0 one of a single word.
fn keys_by_server(server: &Server, words: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let question = [b"COMMAND".to_vec(), b"GETKEYS".to_vec()];
    let reply = server.try_admin(question.iter().chain(words)).unwrap();
    if let AdminReply::Error(text) = reply {
        let is_without = text == "ERR The command has no key arguments"
            || words.len() == 1 && text.contains("wrong number of arguments");
        let line = String::from_utf8_lossy(&words.join(&b' ')).into_owned();
        assert!(is_without, "{}: {line}: {text}", server.binary());
        return Vec::new();
    }
    let key = |element: &AdminReply| match element {
        AdminReply::Bulk(key) => key.clone(),
        other => panic!("{other:?}"),
    };
    reply.elements().iter().map(key).collect()
}

#[test]
fn the_keys_of_every_sample_are_those_that_the_server_sees() {
    let samples: Vec<Sample> = groups()
        .into_iter()
        .flat_map(|(_, samples)| samples)
        .collect();
    on_each_server(|server, commands| {
        let mut with_keys = 0;
        for sample in samples
            .iter()
            .filter(|sample| is_there(sample, server, commands))
        {
            assert!(sample.command.is_known(), "{}", sample.command);
            let own: Vec<Vec<u8>> = sample.command.keys().map(<[u8]>::to_vec).collect();
            let words = words(sample);
            if SLOT_WORDS.contains(&sample.command.name()) {
                assert_eq!(own, words[1..2], "{}", sample.command);
                continue;
            }
            let keys = keys_by_server(server, &words);
            assert_eq!(own, keys, "{}: {}", server.binary(), sample.command);
            with_keys += usize::from(!keys.is_empty());
        }
        assert!(with_keys > 150, "{}: {with_keys}", server.binary());
    });
}
