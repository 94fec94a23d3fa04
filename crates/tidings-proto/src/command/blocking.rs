//! Commands that wait, and with them everything behind them on their connection.

use std::{str, time::Duration};

use super::{
    lookup,
    streams::StreamOption,
    view::{Args, CommandRef},
};

/// For how long a command may keep its connection waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blocking {
    /// No longer than this, and the way there and back.
    For(Duration),
    /// Until something comes.
    Forever,
}

/// Whether a command of this name can wait: `BLPOP`, `XREAD`, `WAIT`, …
///
/// That it does not is known from its name alone, and at compile time if the name is.
/// [`CommandRef::blocks`] says whether a command does wait, and for how long.
///
/// ```
/// const {
///     assert!(tidings_proto::may_block("BLPOP"));
///     assert!(!tidings_proto::may_block("LPOP"));
/// }
/// ```
#[inline]
pub const fn may_block(name: &str) -> bool {
    waits(name.as_bytes()).is_some()
}

/// Where a command says for how long it waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waits {
    /// The first argument, in seconds, with decimals.
    FirstSeconds,
    /// The last argument, in seconds, with decimals.
    LastSeconds,
    /// The last argument, in milliseconds.
    LastMilliseconds,
    /// Behind the option `BLOCK`, in milliseconds.
    BlockOption,
}

pub(super) fn blocks(command: CommandRef<'_>) -> Option<Blocking> {
    let waits = waits(command.name())?;
    let mut args = command.args();
    let longest = match waits {
        Waits::FirstSeconds => seconds(args.next()),
        Waits::LastSeconds => seconds(args.last()),
        Waits::LastMilliseconds => milliseconds(args.last()),
        Waits::BlockOption => milliseconds(block_option(args)?),
    };
    // The server refuses what it cannot read, at once: whatever it is taken for is right.
    Some(match longest {
        None | Some(Duration::ZERO) => Blocking::Forever,
        Some(longest) => Blocking::For(longest),
    })
}

#[inline]
const fn waits(name: &[u8]) -> Option<Waits> {
    // All those that wait begin with one of these letters: the others need no lookup.
    let [b'B' | b'b' | b'W' | b'w' | b'X' | b'x', ..] = name else {
        return None;
    };
    match lookup::find(name) {
        Some(row) => row.waits,
        None => None,
    }
}

/// The servers round up to milliseconds: what is not zero does not wait for ever.
fn seconds(text: Option<&[u8]>) -> Option<Duration> {
    let seconds: f64 = str::from_utf8(text?).ok()?.parse().ok()?;
    let duration = Duration::try_from_secs_f64(seconds).ok()?;
    if seconds > 0.0 {
        Some(duration.max(Duration::from_millis(1)))
    } else {
        Some(duration)
    }
}

fn milliseconds(text: Option<&[u8]>) -> Option<Duration> {
    let milliseconds = str::from_utf8(text?).ok()?.parse().ok()?;
    Some(Duration::from_millis(milliseconds))
}

/// What `BLOCK` says in a command that reads streams. The last one counts.
fn block_option<'a>(mut args: Args<'a>) -> Option<Option<&'a [u8]>> {
    let mut block = None;
    while let Some(option) = StreamOption::read(&mut args) {
        match option {
            StreamOption::Block(value) => block = Some(value),
            StreamOption::Streams => break,
            StreamOption::Other => {}
        }
    }
    block
}

#[cfg(test)]
mod tests {
    use super::{
        super::{cmd, table::ROWS},
        *,
    };

    const FOREVER: Option<Blocking> = Some(Blocking::Forever);

    fn blocks(line: &str) -> Option<Blocking> {
        let (name, args) = line.split_once(' ').unwrap_or((line, ""));
        cmd(name).arg(args.split_whitespace()).blocks()
    }

    fn millis(count: u64) -> Option<Blocking> {
        Some(Blocking::For(Duration::from_millis(count)))
    }

    #[test]
    fn no_command_that_waits_is_overlooked_for_its_first_letter() {
        for row in ROWS {
            assert_eq!(may_block(row.name), row.waits.is_some(), "{}", row.name);
            assert_eq!(may_block(&row.name.to_lowercase()), row.waits.is_some());
        }
    }

    #[test]
    fn the_timeout_is_read_at_its_place_and_in_its_unit() {
        for (line, expected) in [
            ("BLPOP a b 3", millis(3000)),
            ("brpop a 0.25", millis(250)),
            ("BRPOPLPUSH a b 1e1", millis(10_000)),
            ("BLMOVE a b LEFT RIGHT 2", millis(2000)),
            ("BLMPOP 1.5 1 a LEFT", millis(1500)),
            ("BZMPOP 1 2 a b MIN COUNT 7", millis(1000)),
            ("BZPOPMIN a 1", millis(1000)),
            ("BZPOPMAX 5 a 2", millis(2000)),
            ("WAIT 1 500", millis(500)),
            ("WAITAOF 1 0 20", millis(20)),
            ("XREAD BLOCK 7 STREAMS s $", millis(7)),
            ("xread count 1 block 7 streams s $", millis(7)),
            ("XREAD BLOCK 0 BLOCK 7 STREAMS s $", millis(7)),
            ("XREADGROUP GROUP g c BLOCK 8 NOACK STREAMS s >", millis(8)),
            (
                "XREADGROUP GROUP g c CLAIM 5 BLOCK 8 STREAMS s >",
                millis(8),
            ),
        ] {
            assert_eq!(blocks(line), expected, "{line}");
        }
    }

    #[test]
    fn zero_is_for_ever_and_what_is_nearly_zero_is_not() {
        for line in [
            "BLPOP a 0",
            "BLPOP a 0.000",
            "BLMPOP 0 1 a LEFT",
            "WAIT 1 0",
            "WAITAOF 0 1 0",
            "XREAD BLOCK 0 STREAMS s $",
        ] {
            assert_eq!(blocks(line), FOREVER, "{line}");
        }
        assert_eq!(blocks("BLPOP a 1e-30"), millis(1));
        assert_eq!(blocks("BLPOP a 0.0001"), millis(1));
    }

    #[test]
    fn a_timeout_that_cannot_be_read_is_taken_for_the_longest() {
        for line in [
            "BLPOP",
            "BLPOP a",
            "BLPOP a -1",
            "BLPOP a nan",
            "BLPOP a inf",
            "BLPOP a 1e300",
            "BLMPOP x 1 a LEFT",
            "WAIT 1 0.5",
            "WAIT 1 99999999999999999999",
            "XREAD BLOCK",
            "XREAD BLOCK STREAMS s $",
        ] {
            assert_eq!(blocks(line), FOREVER, "{line}");
        }
        assert_eq!(cmd("BLPOP").arg("a").arg(b"\xff").blocks(), FOREVER);
    }

    #[test]
    fn commands_that_do_not_wait_do_not_block() {
        for line in [
            "LPOP a",
            "BITCOUNT a",
            "XADD BLOCK * f 1",
            "XREAD STREAMS BLOCK 0",
            "XREAD COUNT BLOCK STREAMS a 0",
            "XREADGROUP GROUP BLOCK 5 STREAMS a >",
            "XREADGROUP GROUP g BLOCK STREAMS a >",
            "WAITX 1 0",
            "CLIENT PAUSE 100",
        ] {
            assert_eq!(blocks(line), None, "{line}");
        }
    }
}
