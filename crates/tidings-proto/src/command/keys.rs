//! Which words of a command are its keys.

use std::{iter::FusedIterator, str};

use super::{
    lookup::{self, is},
    streams::StreamOption,
    view::{Args, CommandRef},
};

/// Where a command has its keys. Places count from its name, which is at 0.
#[derive(Debug)]
pub(super) enum Place {
    /// It has none.
    None,
    /// From the word at `first` to the one at `last`, each `step`-th. A negative place counts from
    /// the end: -1 is the last word.
    Range {
        first: usize,
        last: isize,
        step: usize,
    },
    /// So many as the word at `at` says, behind it, each `step`-th word; and before all of them
    /// the first argument, if that is where to `store`.
    Counted { store: bool, at: usize, step: usize },
    /// Behind the subcommand, if it is one of these.
    After(&'static [&'static str]),
    /// The first half of what follows `STREAMS`.
    Streams,
    /// The first argument, and what follows `STORE`.
    Sort,
    /// The first argument, and what follows `STORE` or `STOREDIST`.
    Georadius,
    /// The third argument, or all that follow `KEYS` if that one is empty.
    Migrate,
}

/// The keys of a command: see [`CommandRef::keys`].
#[derive(Clone, Debug)]
pub struct Keys<'a> {
    /// One that stands apart, before the others.
    first: Option<&'a [u8]>,
    /// Begins with a key while there are any left.
    words: Args<'a>,
    left: usize,
    step: usize,
    /// One that stands apart, behind the others.
    last: Option<&'a [u8]>,
}

impl<'a> Keys<'a> {
    fn new(words: Args<'a>, count: usize, step: usize) -> Self {
        Self {
            first: None,
            words,
            left: count,
            step,
            last: None,
        }
    }

    fn first_and_last(mut words: Args<'a>, last: Option<&'a [u8]>) -> Self {
        let first = words.next();
        Self {
            first,
            last,
            ..Self::new(words, 0, 1)
        }
    }
}

impl<'a> Iterator for Keys<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if let Some(key) = self.first.take() {
            return Some(key);
        }
        let Some(left) = self.left.checked_sub(1) else {
            return self.last.take();
        };
        self.left = left;
        let key = self.words.next();
        for _ in 1..self.step {
            self.words.next();
        }
        key
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let apart = usize::from(self.first.is_some()) + usize::from(self.last.is_some());
        let count = self.left.saturating_add(apart);
        (count, Some(count))
    }
}

impl ExactSizeIterator for Keys<'_> {}
impl FusedIterator for Keys<'_> {}

pub(super) fn keys(command: CommandRef<'_>) -> Keys<'_> {
    lookup::find(command.name())
        .and_then(|row| find(command, &row.keys))
        .unwrap_or_else(|| Keys::new(command.words(), 0, 1))
}

/// The keys; `None` also for a command that cannot have as many words as it says.
fn find<'a>(command: CommandRef<'a>, place: &Place) -> Option<Keys<'a>> {
    let args = command.args();
    match *place {
        Place::None => None,
        Place::Range { first, last, step } => {
            let words = command.words();
            let last = match usize::try_from(last) {
                Ok(last) => last,
                Err(_) => words.len().checked_sub(last.unsigned_abs())?,
            };
            if last >= words.len() {
                return None;
            }
            let count = last.checked_sub(first)?.checked_div(step)?.checked_add(1)?;
            Some(Keys::new(words.skip_words(first), count, step))
        }
        Place::Counted { store, at, step } => {
            let mut words = command.words().skip_words(at);
            let count: usize = str::from_utf8(words.next()?).ok()?.parse().ok()?;
            if count == 0 || count > words.len().div_ceil(step) {
                return None;
            }
            Some(Keys {
                first: command.args().next().filter(|_| store),
                ..Keys::new(words, count, step)
            })
        }
        Place::After(subcommands) => {
            let words = args.skip_words(1);
            let count = usize::from(words.len() > 0 && command.has_subcommand(subcommands));
            Some(Keys::new(words, count, 1))
        }
        Place::Streams => streams(args),
        Place::Sort => Some(Keys::first_and_last(args.clone(), sort_store(args))),
        Place::Georadius => Some(Keys::first_and_last(args.clone(), georadius_store(args))),
        Place::Migrate => migrate(args),
    }
}

fn streams(mut args: Args<'_>) -> Option<Keys<'_>> {
    while let Some(option) = StreamOption::read(&mut args) {
        if matches!(option, StreamOption::Streams) {
            // As many IDs follow as there are streams.
            let streams = args.len() / 2;
            let count = args.len().is_multiple_of(2).then_some(streams)?;
            return Some(Keys::new(args, count, 1));
        }
    }
    None
}

/// The last one counts, here as below.
fn sort_store(args: Args<'_>) -> Option<&[u8]> {
    let mut options = args.skip_words(1);
    let mut store = None;
    while let Some(option) = options.next() {
        if is(option, "STORE") {
            store = options.next().or(store);
        } else if is(option, "BY") || is(option, "GET") {
            options.next();
        } else if is(option, "LIMIT") {
            options.next();
            options.next();
        }
    }
    store
}

fn georadius_store(args: Args<'_>) -> Option<&[u8]> {
    // Key, member, radius and unit: one place less than with a longitude and a latitude.
    let mut options = args.skip_words(4);
    let mut store = None;
    while let Some(option) = options.next() {
        if is(option, "STORE") || is(option, "STOREDIST") {
            store = options.next().or(store);
        }
    }
    store
}

fn migrate(args: Args<'_>) -> Option<Keys<'_>> {
    let words = args.skip_words(2);
    let key = words.clone().next()?;
    // Behind the key: database, timeout, options.
    let mut options = words.clone().skip_words(3);
    while let Some(option) = options.next() {
        if is(option, "KEYS") {
            let count = options.len();
            return key.is_empty().then(|| Keys::new(options, count, 1));
        } else if is(option, "AUTH") {
            options.next();
        } else if is(option, "AUTH2") {
            options.next();
            options.next();
        }
    }
    Some(Keys::new(words, 1, 1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::table::ROWS, *};
    use crate::{CommandWriter, cmd};

    /// The keys of a command, `''` being the empty word.
    fn keys(line: &str) -> Vec<String> {
        let mut words = line.split(' ').map(|word| word.trim_matches('\''));
        let command = cmd(words.next().unwrap()).arg(words);
        let text = |key: &[u8]| String::from_utf8(key.to_vec()).unwrap();
        let keys: Vec<String> = command.keys().map(text).collect();
        assert_eq!(command.keys().len(), keys.len(), "{line}");
        keys
    }

    #[test]
    fn keys_are_found_by_the_rule_of_each_command() {
        for (line, expected) in [
            ("PING", ""),
            ("get a", "a"),
            ("MGET a b c", "a b c"),
            ("MSET a 1 b 2", "a b"),
            ("MSETEX 2 a 1 b 2 EX 10", "a b"),
            ("RENAME a b", "a b"),
            ("BLPOP a b 0", "a b"),
            ("BITOP AND a b c", "a b c"),
            ("EVAL script 2 a b c", "a b"),
            ("FCALL_RO f 1 a b", "a"),
            ("BLMPOP 0 2 a b LEFT", "a b"),
            ("ZUNIONSTORE a 2 b c WEIGHTS 1 2", "a b c"),
            ("OBJECT encoding a", "a"),
            ("XGROUP CREATE a g $", "a"),
            ("MEMORY USAGE a SAMPLES 5", "a"),
            ("PFDEBUG ENCODING a", "a"),
            ("XREAD COUNT 1 BLOCK 0 STREAMS a b 0 0", "a b"),
            ("XREADGROUP GROUP STREAMS c STREAMS a >", "a"),
            ("SORT a BY STORE GET STORE LIMIT 0 STORE", "a"),
            ("SORT a STORE b STORE c", "a c"),
            ("SORT_RO a GET STORE", "a"),
            ("GEORADIUS a 1 2 3 km STORE b STOREDIST c", "a c"),
            ("GEORADIUSBYMEMBER a m 3 km STORE b", "a b"),
            ("GEORADIUSBYMEMBER a m 3 km STORE", "a"),
            ("MIGRATE host 1 a 0 10 COPY REPLACE", "a"),
            ("MIGRATE host 1 '' 0 10 AUTH KEYS KEYS a b", "a b"),
            ("MIGRATE host 1 '' 0 10 AUTH2 KEYS KEYS KEYS a", "a"),
            ("SPUBLISH a text", "a"),
            ("SUBSCRIBE a", ""),
        ] {
            assert_eq!(keys(line).join(" "), expected, "{line}");
        }
    }

    #[test]
    fn commands_that_cannot_be_have_no_keys() {
        for line in [
            "GET",
            "GETX a",
            "RENAME a",
            "BLPOP 0",
            "BITOP AND",
            "EVAL script 0 a",
            "EVAL script 3 a b",
            "EVAL script -1 a",
            "EVAL script x a",
            "EVAL script 99999999999999999999 a",
            "EVAL script",
            "MSETEX 2 a 1",
            "MSETEX 99999999999999999999 a 1",
            "ZUNIONSTORE a",
            "ZUNIONSTORE a 0 b",
            "ZUNIONSTORE a 2 b",
            "OBJECT HELP",
            "OBJECT ENCODING",
            "OBJECT SOMETHING a",
            "MEMORY DOCTOR",
            "XREAD STREAMS a b 0",
            "XREAD STREAMS",
            "XREAD a b",
            "XREADGROUP GROUP",
            "SORT",
            "MIGRATE host 1",
            "MIGRATE host 1 a 0 10 KEYS b",
        ] {
            assert_eq!(keys(line), [""; 0], "{line}");
        }
    }

    #[test]
    fn read_only_is_what_the_servers_flag() {
        for command in [
            cmd("get").arg("a"),
            cmd("XREAD").arg(["STREAMS", "a", "0"]),
            cmd("EVAL_RO").arg(["script", "0"]),
            cmd("OBJECT").arg(["freq", "a"]),
            cmd("MEMORY").arg(["USAGE", "a"]),
            cmd("DBSIZE"),
        ] {
            assert!(command.is_read_only(), "{command}");
        }
        for command in [
            cmd("SET").arg(["a", "1"]),
            cmd("SORT").arg("a"),
            cmd("EVAL").arg(["script", "0"]),
            cmd("MEMORY").arg("DOCTOR"),
            cmd("XGROUP").arg(["CREATE", "a", "g", "$"]),
            cmd("PING"),
            cmd("UNKNOWN"),
        ] {
            assert!(!command.is_read_only(), "{command}");
        }
    }

    /// Names that have rules, words that rules look for, numbers, and others.
    fn word() -> impl Strategy<Value = Vec<u8>> {
        const WORDS: [&str; 20] = [
            "STREAMS",
            "GROUP",
            "COUNT",
            "BLOCK",
            "STORE",
            "LIMIT",
            "BY",
            "KEYS",
            "AUTH",
            "AUTH2",
            "ENCODING",
            "USAGE",
            "CREATE",
            "",
            "0",
            "1",
            "2",
            "-1",
            "0.5",
            "18446744073709551615",
        ];
        prop_oneof![
            4 => prop::sample::select(&WORDS[..]).prop_map(|word| word.as_bytes().to_vec()),
            1 => prop::collection::vec(any::<u8>(), 0..6),
        ]
    }

    proptest! {
        #[test]
        fn no_words_make_the_rules_panic_or_find_a_key_that_is_none_of_them(
            row in (0..ROWS.len()).prop_map(|row| &ROWS[row]),
            args in prop::collection::vec(word(), 0..9),
        ) {
            let mut buffer = Vec::new();
            CommandWriter::new(&mut buffer, row.name).arg(&args);
            let (command, rest) = CommandRef::split_first(&buffer).unwrap();
            prop_assert!(rest.is_empty());
            let count = command.keys().len();
            let keys: Vec<&[u8]> = command.keys().collect();
            prop_assert_eq!(keys.len(), count);
            for key in keys {
                prop_assert!(args.iter().any(|arg| arg == key));
            }
            prop_assert!(command.blocks().is_none() || row.waits.is_some());
            let _ = (command.is_read_only(), command.changes_connection(), command.to_string());
        }

        #[test]
        fn no_bytes_make_a_buffer_of_commands_panic(
            bytes in prop::collection::vec(prop_oneof![
                Just(b'*'), Just(b'$'), Just(b'\r'), Just(b'\n'), b'0'..=b'3', any::<u8>()
            ], 0..40),
        ) {
            let mut rest = &bytes[..];
            while let Some((command, tail)) = CommandRef::split_first(rest) {
                prop_assert_eq!(command.args().count(), command.len());
                prop_assert!(tail.len() < rest.len());
                rest = tail;
            }
        }
    }
}
