//! What is sent, and what comes back.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tidings_proto::{Blob, Charset, Refusal, Transaction};

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
    /// MULTI, the commands, and EXEC if it is sent.
    pub(crate) bytes: Vec<u8>,
    /// Where in that lies what goes over the wire.
    pub(crate) wire: Range<usize>,
    /// Where the commands lie.
    pub(crate) inner: Range<usize>,
    /// How many commands there are, MULTI and EXEC not counted.
    pub(crate) commands: usize,
    /// Which of them, from 0, load the script of the next one: nobody asked for their replies.
    pub(crate) loads: Vec<usize>,
    pub(crate) transaction: bool,
    /// An ASKING stands before the transaction.
    pub(crate) asking: bool,
    /// That of its text, and of the text in its replies.
    pub(crate) charset: Charset,
    /// How many bytes have to leave before any command can run.
    pub(crate) harmless: usize,
    pub(crate) patience: Patience,
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
        Self {
            wire: 0..bytes.len(),
            inner: 0..bytes.len(),
            commands,
            harmless: first,
            patience,
            bytes,
            ..Self::default()
        }
    }

    /// What goes over the wire.
    pub(crate) fn wire(&self) -> &[u8] {
        &self.bytes[self.wire.clone()]
    }

    /// The commands, without MULTI and EXEC.
    pub(crate) fn command_bytes(&self) -> &[u8] {
        &self.bytes[self.inner.clone()]
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

    /// The bytes that go over the wire.
    pub(crate) fn wire(&self) -> &[u8] {
        match self {
            Self::Command(bytes) => bytes,
            Self::Batch(batch) => batch.wire(),
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
    }
}
