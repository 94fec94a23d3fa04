//! A command with keys in several slots, as several commands.

use std::{collections::HashMap, str};

use super::{merge::Merge, slot::Slot};
use crate::{
    command::{Command, CommandRef, cmd},
    error::{DecodeError, Error},
    resp::{Reply, encode},
};

/// What the replies of the parts become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Join {
    /// An array with an element for each key, in the order of the keys.
    InOrder,
    Merge(Merge),
}

/// Commands that mean the same for each key by itself: their words for each key, and what becomes of the replies.
/// `MSETNX` and `MSETEX` set all keys or none, which no two nodes can agree on.
const TABLE: &[(&str, usize, Join)] = &[
    ("DEL", 1, Join::Merge(Merge::Sum)),
    ("EXISTS", 1, Join::Merge(Merge::Sum)),
    ("MGET", 1, Join::InOrder),
    ("MSET", 2, Join::Merge(Merge::AllSucceeded)),
    ("TOUCH", 1, Join::Merge(Merge::Sum)),
    ("UNLINK", 1, Join::Merge(Merge::Sum)),
];

/// A command with keys in several slots, as one command for each slot: servers refuse keys of two slots also where they
/// have both.
///
/// Only commands that mean the same for each key can be split: `MGET`, `MSET`, `DEL`, `UNLINK`, `EXISTS`, `TOUCH`. Each
/// part is atomic, and the whole is not: others may see some of the keys changed, and if a part fails, the others
/// have run.
///
/// ```
/// use tidings_proto::cluster::Split;
/// use tidings_proto::cmd;
///
/// let command = cmd("MGET").arg(["a", "b", "{a}2"]);
/// let split = Split::of(command.view()).unwrap();
/// let commands: Vec<String> = split.parts().iter().map(|part| part.command().to_string()).collect();
/// assert_eq!(commands, ["MGET a {a}2", "MGET b"]);
/// let whole = split.join(&[b"*2\r\n:1\r\n:3\r\n", b"*1\r\n:2\r\n"])?;
/// assert_eq!(whole, b"*3\r\n:1\r\n:2\r\n:3\r\n");
/// # Ok::<(), tidings_proto::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Split {
    parts: Vec<SplitPart>,
    join: Join,
    keys: usize,
}

/// The part of a command whose keys are in one slot.
#[derive(Clone, Debug)]
pub struct SplitPart {
    slot: Slot,
    command: Command,
    /// Which of the whole command's keys these are, from 0 on.
    places: Vec<usize>,
}

impl SplitPart {
    /// Where its keys are.
    pub fn slot(&self) -> Slot {
        self.slot
    }

    /// The command to send.
    pub fn command(&self) -> &Command {
        &self.command
    }
}

/// A part that is being gathered.
struct Draft<'a> {
    slot: Slot,
    args: Vec<&'a [u8]>,
    places: Vec<usize>,
}

impl Draft<'_> {
    fn new(slot: Slot) -> Self {
        Self {
            slot,
            args: Vec::new(),
            places: Vec::new(),
        }
    }

    fn finish(self, name: &str) -> SplitPart {
        SplitPart {
            slot: self.slot,
            command: cmd(name).arg(self.args),
            places: self.places,
        }
    }
}

impl Split {
    /// Splits a command; `None` if it cannot be, or its words are not what the server expects, so that it is to be
    /// refused as a whole. Slots come in the order of their first keys.
    pub fn of(command: CommandRef<'_>) -> Option<Self> {
        let row = TABLE.iter().find(|(name, ..)| command.is_named(name));
        let (_, step, join) = *row?;
        if command.is_empty() || !command.len().is_multiple_of(step) {
            return None;
        }
        let name = str::from_utf8(command.name()).ok()?;
        let mut drafts: Vec<Draft<'_>> = Vec::new();
        let mut by_slot = HashMap::new();
        let mut args = command.args();
        let mut keys = 0_usize;
        while let Some(key) = args.next() {
            let slot = Slot::of_key(key);
            let place = *by_slot.entry(slot).or_insert(drafts.len());
            if place == drafts.len() {
                drafts.push(Draft::new(slot));
            }
            let draft = drafts.get_mut(place)?;
            draft.args.push(key);
            draft
                .args
                .extend(args.by_ref().take(step.saturating_sub(1)));
            draft.places.push(keys);
            keys = keys.saturating_add(1);
        }
        Some(Self {
            parts: drafts.into_iter().map(|draft| draft.finish(name)).collect(),
            join,
            keys,
        })
    }

    /// The parts, one for each slot.
    pub fn parts(&self) -> &[SplitPart] {
        &self.parts
    }

    /// Makes one reply of the replies to the parts, which are whole frames in the order of the parts.
    ///
    /// If any of them is an error, the first error is the outcome.
    ///
    /// # Errors
    ///
    /// A reply is none to such a command, or there are not as many as parts.
    pub fn join(&self, replies: &[&[u8]]) -> Result<Vec<u8>, Error> {
        if replies.len() != self.parts.len() {
            let text = format!(
                "{} replies to {} parts of a command",
                replies.len(),
                self.parts.len()
            );
            return Err(DecodeError::message(text).into());
        }
        match self.join {
            Join::Merge(merge) => merge.frames(replies),
            Join::InOrder => self.in_order(replies),
        }
    }

    fn in_order(&self, replies: &[&[u8]]) -> Result<Vec<u8>, Error> {
        let mut ordered: Vec<&[u8]> = vec![&[]; self.keys];
        let mut length = 0_usize;
        for (part, frame) in self.parts.iter().zip(replies) {
            let reply = Reply::parse(frame)?;
            let mut elements = match reply {
                Reply::Error(_) => return Ok(frame.to_vec()),
                Reply::Array(elements) if elements.len() == part.places.len() => elements,
                other => {
                    let expected = format!("an array of {}", part.places.len());
                    return Err(DecodeError::new(expected, &other).into());
                }
            };
            for place in &part.places {
                let element = elements.next_raw().transpose()?.unwrap_or_default();
                length = length.saturating_add(element.len());
                if let Some(place) = ordered.get_mut(*place) {
                    *place = element;
                }
            }
        }
        let mut out = Vec::with_capacity(length.saturating_add(16));
        encode::array_header(&mut out, self.keys);
        for element in ordered {
            out.extend_from_slice(element);
        }
        Ok(out)
    }
}
