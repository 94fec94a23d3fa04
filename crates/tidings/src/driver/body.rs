//! What is sent, and what comes back.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tidings_proto::{Blob, Blocking, Charset, CommandRef, Refusal, Transaction};

use super::cluster::Spread;
use crate::error::Error;

/// What is sent.
#[derive(Debug)]
pub(crate) enum Body {
    /// A command like most.
    Command(Vec<u8>),
    /// Many commands, or one that is large or takes its time.
    Batch(Arc<Batch>),
}

/// A command of this length is written in pieces, from where it lies.
const LARGE_COMMAND: usize = 16 * 1024;

/// Commands that are sent in one go.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) content: Content,
    /// Where the commands lie in that, if all of it is this batch's own.
    pub(crate) inner: Range<usize>,
    /// How many commands there are, MULTI and EXEC not counted.
    pub(crate) commands: usize,
    /// Which of them, from 0, load the script of the next one: nobody asked for their replies.
    pub(crate) loads: Vec<usize>,
    pub(crate) transaction: bool,
    /// An ASKING stands before the transaction.
    pub(crate) asking: bool,
    /// Its commands have nothing to do with each other: if there is no further answer, those that have come are told.
    pub(crate) piecemeal: bool,
    /// That of its text, and of the text in its replies.
    pub(crate) charset: Charset,
    /// How many bytes have to leave before any command can run.
    pub(crate) harmless: usize,
    pub(crate) patience: Patience,
}

/// Commands that were gathered, and are to be sent in one go.
#[derive(Debug)]
pub(crate) struct Gathered {
    /// MULTI, the commands, and EXEC if that is wanted.
    pub(crate) bytes: Vec<u8>,
    /// Where the commands lie.
    pub(crate) inner: Range<usize>,
    /// How many they are, loads included.
    pub(crate) commands: usize,
    /// Which of them load a script for others.
    pub(crate) loads: Vec<usize>,
    /// Which of the others call a script, and which of the scripts.
    pub(crate) calls: Vec<(usize, usize)>,
    /// How many bytes the first of them has.
    pub(crate) first: usize,
    pub(crate) patience: Patience,
    pub(crate) charset: Charset,
}

/// The bytes of a batch.
#[derive(Debug)]
pub(crate) enum Content {
    /// MULTI, the commands, and EXEC if it is sent; and where in that lies what goes over the wire.
    Own(Vec<u8>, Range<usize>),
    /// What one node gets of the commands of a cluster's pipeline: the group at this place.
    Group(Arc<Spread>, usize),
}

impl Default for Content {
    fn default() -> Self {
        Self::Own(Vec::new(), 0..0)
    }
}

/// How far a batch has been written.
#[derive(Debug, Default)]
pub(crate) struct Position {
    piece: usize,
    at: usize,
}

impl Batch {
    /// One command. Whose charset it has, knows who runs it.
    fn single(bytes: Vec<u8>, patience: Patience) -> Self {
        let length = bytes.len();
        Self::of_commands(bytes, 1, length, patience)
    }

    /// Commands of which each may be behind an `ASKING` of its own; no transaction.
    pub(crate) fn of_commands(
        bytes: Vec<u8>,
        commands: usize,
        first: usize,
        patience: Patience,
    ) -> Self {
        let all = 0..bytes.len();
        Self {
            inner: all.clone(),
            content: Content::Own(bytes, all),
            commands,
            harmless: first,
            patience,
            ..Self::default()
        }
    }

    /// What goes over the wire; `None` if it does not lie in one piece.
    pub(crate) fn wire(&self) -> Option<&[u8]> {
        match &self.content {
            Content::Own(bytes, wire) => Some(&bytes[wire.clone()]),
            Content::Group(..) => None,
        }
    }

    /// How many bytes go over the wire.
    pub(crate) fn wire_len(&self) -> usize {
        match &self.content {
            Content::Own(_, wire) => wire.len(),
            Content::Group(spread, group) => spread.group(*group).length(),
        }
    }

    /// Appends what comes next, `room` bytes of it at most; `true` if that is all.
    pub(crate) fn write(&self, to: &mut Position, mut room: usize, out: &mut Vec<u8>) -> bool {
        let (bytes, pieces) = match &self.content {
            Content::Own(bytes, wire) => (&bytes[..], std::slice::from_ref(wire)),
            Content::Group(spread, group) => (spread.bytes(), spread.group(*group).pieces()),
        };
        for piece in &pieces[to.piece..] {
            let rest = &bytes[piece.clone()][to.at..];
            let now = rest.len().min(room);
            out.extend_from_slice(&rest[..now]);
            room -= now;
            if now < rest.len() {
                to.at += now;
                return false;
            }
            to.piece += 1;
            to.at = 0;
        }
        true
    }

    /// The commands, without MULTI and EXEC, of a batch that has them for itself.
    pub(crate) fn command_bytes(&self) -> &[u8] {
        match &self.content {
            Content::Own(bytes, _) => &bytes[self.inner.clone()],
            Content::Group(..) => &[],
        }
    }

    /// How many commands there are as far as the caller knows.
    pub(crate) fn visible(&self) -> usize {
        self.commands - self.loads.len()
    }

    pub(crate) fn replies(&self) -> usize {
        match self.transaction {
            true => self.commands + 2 + usize::from(self.asking),
            false => self.commands,
        }
    }

    /// What goes along the replies, if it is a transaction.
    pub(crate) fn begin_transaction(&self) -> Transaction {
        match self.asking {
            true => Transaction::behind_asking(self.commands),
            false => Transaction::new(self.commands),
        }
    }
}

impl Body {
    /// One command.
    #[inline]
    pub(crate) fn command(bytes: Vec<u8>, patience: Patience) -> Self {
        if bytes.len() < LARGE_COMMAND && patience == Patience::Usual {
            Self::Command(bytes)
        } else {
            Self::Batch(Arc::new(Batch::single(bytes, patience)))
        }
    }

    /// The bytes that go over the wire; none if they do not lie in one piece, as of one node's part of a pipeline.
    pub(crate) fn wire(&self) -> &[u8] {
        match self {
            Self::Command(bytes) => bytes,
            Self::Batch(batch) => batch.wire().unwrap_or_default(),
        }
    }

    pub(crate) fn patience(&self) -> Patience {
        match self {
            Self::Command(_) => Patience::Usual,
            Self::Batch(batch) => batch.patience,
        }
    }

    /// The same once more.
    pub(crate) fn again(&self) -> Self {
        match self {
            Self::Command(bytes) => Self::Command(bytes.clone()),
            Self::Batch(batch) => Self::Batch(Arc::clone(batch)),
        }
    }
}

/// How long a request may take to be answered, beside the time that every answer may take.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    /// No longer.
    #[default]
    Usual,
    /// It blocks on purpose for so long; its connection then answers no PING either.
    Blocks(Duration),
    /// It may block for ever.
    Endless,
}

impl Patience {
    /// How long a command keeps its connection waiting.
    pub(crate) fn of(command: CommandRef<'_>) -> Self {
        match command.blocks() {
            None => Self::Usual,
            Some(Blocking::For(time)) => Self::Blocks(time),
            Some(_) => Self::Endless,
        }
    }

    /// That of all commands that lie behind each other.
    pub(crate) fn of_all(mut commands: &[u8]) -> Self {
        let mut patience = Self::Usual;
        while let Some((command, rest)) = CommandRef::split_first(commands) {
            patience = patience.and(Self::of(command));
            commands = rest;
        }
        patience
    }

    /// That of both, one behind the other.
    pub(crate) fn and(self, next: Self) -> Self {
        match (self, next) {
            (Self::Blocks(one), Self::Blocks(other)) => Self::Blocks(one.saturating_add(other)),
            (Self::Usual, other) | (other, Self::Usual) => other,
            _ => Self::Endless,
        }
    }

    /// When an answer is overdue that may usually take until `limit` after `since`.
    pub(super) fn due(self, since: Instant, limit: Duration) -> Option<Instant> {
        match self {
            Self::Usual => since.checked_add(limit),
            Self::Blocks(time) => since.checked_add(limit)?.checked_add(time),
            Self::Endless => None,
        }
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) enum Answer {
    /// To a command.
    Reply(Blob),
    /// To the commands of a batch: whole replies, in order.
    Replies(Vec<Bytes>),
    /// To a transaction; large and rare, and so in a box.
    Exec(Box<Exec>),
    /// To the first commands of a [piecemeal](Batch::piecemeal) batch, and no more will come.
    Cut(Box<Cut>),
}

/// What came back to a part of a batch.
#[derive(Debug)]
pub(crate) struct Cut {
    /// Whole replies, in order.
    pub(crate) parts: Vec<Bytes>,
    /// How many bytes of the batch have left, or may still leave.
    pub(crate) left: usize,
    /// Why no more will come: what is said of a command that may have run.
    pub(crate) error: Error,
}

/// What came back to a transaction.
#[derive(Debug)]
pub(crate) struct Exec {
    /// The first command that was not queued.
    pub(crate) refusal: Option<Refusal>,
    /// The reply to EXEC.
    pub(crate) reply: Bytes,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_blocks_has_its_own_time_beside_the_usual() {
        let (now, limit) = (Instant::now(), Duration::from_secs(1));
        let due = |patience: Patience| patience.due(now, limit);
        assert_eq!(due(Patience::Usual), Some(now + limit));
        assert_eq!(due(Patience::Blocks(limit)), Some(now + 2 * limit));
        assert_eq!(due(Patience::Endless), None);
        assert_eq!(due(Patience::Blocks(Duration::MAX)), None);
        let and = |one: Patience, other| one.and(other);
        assert_eq!(and(Patience::Usual, Patience::Usual), Patience::Usual);
        let twice = and(Patience::Blocks(limit), Patience::Blocks(limit));
        assert_eq!(twice, Patience::Blocks(2 * limit));
        assert_eq!(and(Patience::Usual, twice), twice);
        assert_eq!(and(Patience::Endless, twice), Patience::Endless);
    }

    #[test]
    fn a_batch_is_written_in_whatever_room_there_is() {
        let batch = Batch::of_commands(b"0123456789".to_vec(), 1, 10, Patience::Usual);
        for room in 1..12 {
            let (mut position, mut out) = (Position::default(), Vec::new());
            while !batch.write(&mut position, room, &mut out) {}
            assert_eq!(out, b"0123456789", "{room}");
        }
    }
}
