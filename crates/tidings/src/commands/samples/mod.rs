//! A call of every method, and the command that it makes.
//!
//! What the other tests about all commands start from: which commands have a method, and where their keys are.

mod acl;
mod bitmaps;
mod cluster;
mod connection;
mod coverage;
mod diagnostics;
mod geo;
mod hashes;
mod hyperloglog;
mod keys;
mod lists;
mod pubsub;
mod scripting;
mod server;
mod sets;
mod sorted_set_operations;
mod sorted_set_ranges;
mod sorted_sets;
mod streams;
mod strings;

use tidings_proto::{Command, FromReply};

use super::Commands;

/// Gives commands instead of running them.
#[derive(Clone, Copy)]
struct Recorder;

impl Commands for Recorder {
    type Output<T: FromReply> = Command;

    fn run<T: FromReply>(self, command: Command) -> Command {
        command
    }
}

/// A method of a table: its name, and the words of its row.
struct Method {
    name: &'static str,
    words: &'static [&'static str],
}

impl Method {
    /// The command's name, and its subcommand if the row has one.
    fn command(&self) -> (String, Option<String>) {
        let literal = |word: &&str| {
            word.strip_prefix('"')
                .and_then(|word| word.strip_suffix('"'))
                .map(str::to_owned)
        };
        let name = self
            .words
            .first()
            .and_then(literal)
            .expect("a row begins with the command");
        (name, self.words.get(1).and_then(literal))
    }
}

/// One call of a method: the method's name, the command that it made, and the words that were expected.
struct Sample {
    method: &'static str,
    command: Command,
    expected: &'static str,
}

macro_rules! method_list {
    ($(
        $(#[$meta:meta])*
        fn $name:ident $([$reply:ident])? $(<$($shape:ident),+>)? ($($arg:ident: $type:ty),*) -> $out:ty
            = [$first:literal $($word:tt)*];
    )*) => {
        &[$(Method { name: stringify!($name), words: &[stringify!($first) $(, stringify!($word))*] }),*]
    };
}

/// `method(arguments) => "THE COMMAND";` for each method of a group; `method<String>(…)` where the caller names the
/// type of the reply, and `method<String, _>(…)` where there is a shape beside it.
macro_rules! samples {
    ($($method:ident $(<$($reply:ty),+>)? ($($arg:expr),* $(,)?) => $expected:literal;)*) => {
        pub(super) fn samples() -> Vec<super::Sample> {
            use super::super::Commands as _;
            vec![$(super::Sample {
                method: stringify!($method),
                command: super::Recorder.$method $(::<$($reply),+>)? ($($arg),*),
                expected: $expected,
            }),*]
        }
    };
}

use samples;

/// The methods and the samples of every group.
fn groups() -> Vec<(&'static [Method], Vec<Sample>)> {
    macro_rules! group {
        ($($group:ident)*) => { vec![$((super::$group::table!(method_list), $group::samples())),*] };
    }
    group!(
        acl bitmaps cluster connection diagnostics hyperloglog scripting server keys strings hashes lists sets
        sorted_sets sorted_set_ranges sorted_set_operations streams
        geo pubsub
    )
}

#[test]
fn every_method_makes_the_command_that_its_sample_says() {
    for (_, samples) in groups() {
        for Sample {
            method,
            command,
            expected,
        } in samples
        {
            let mut words = vec![String::from_utf8_lossy(command.name()).into_owned()];
            words.extend(
                command
                    .args()
                    .map(|arg| String::from_utf8_lossy(arg).into_owned()),
            );
            assert_eq!(words.join(" "), expected, "{method}");
        }
    }
}

#[test]
fn every_method_has_a_sample_and_stands_in_one_table() {
    let mut seen = std::collections::BTreeSet::new();
    for (methods, samples) in groups() {
        for method in methods {
            let (name, subcommand) = method.command();
            assert!(seen.insert(method.name), "{} stands twice", method.name);
            let sample = samples.iter().find(|sample| sample.method == method.name);
            let sample = sample.unwrap_or_else(|| panic!("{} has no sample", method.name));
            assert_eq!(sample.command.name(), name.as_bytes(), "{}", method.name);
            if let Some(subcommand) = subcommand {
                let first = sample.command.args().next();
                assert_eq!(first, Some(subcommand.as_bytes()), "{}", method.name);
            }
        }
    }
}
