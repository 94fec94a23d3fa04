//! Commands on their way to the server.

use super::kinds::{OpId, SubscriptionKind, Verb};
use crate::blob::Blob;
use crate::resp::encode;

/// Names in one command: large enough to cost little per name, small enough that messages, which come between
/// commands only, are not held up, and that a refusal is found soon.
pub(super) const BURST_NAMES: usize = 1000;

/// Bytes of names in one command, for long names.
const BURST_BYTES: usize = 64 * 1024;

/// The PING behind an unsubscription.
const FENCE: &[u8] = b"*1\r\n$4\r\nPING\r\n";

/// What a command is sent for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    Request(OpId),
    /// Subscribed again after a loss.
    Replay,
}

/// One command on its way: names of one kind, with the request that they belong to.
#[derive(Debug)]
pub(super) struct Burst {
    pub(super) verb: Verb,
    pub(super) kind: SubscriptionKind,
    pub(super) names: Vec<Blob>,
    pub(super) answered: usize,
    /// Whether an error reply has answered an unsubscription: what follows is the fence.
    pub(super) failed: bool,
    /// Whether it may come after what was asked for later: an end of one of its subscriptions may have overtaken it.
    pub(super) again: bool,
    pub(super) origin: Origin,
}

impl Burst {
    fn new(verb: Verb, kind: SubscriptionKind, names: Vec<Blob>, origin: Origin) -> Self {
        Self {
            verb,
            kind,
            names,
            answered: 0,
            failed: false,
            again: matches!(origin, Origin::Replay),
            origin,
        }
    }

    /// As many commands as `names` take.
    pub(super) fn cut(
        verb: Verb,
        kind: SubscriptionKind,
        names: Vec<Blob>,
        origin: Origin,
    ) -> impl Iterator<Item = Self> {
        let mut names = names.into_iter().peekable();
        std::iter::from_fn(move || {
            names.peek()?;
            let (mut chunk, mut bytes) = (Vec::new(), 0usize);
            while chunk.len() < BURST_NAMES && bytes < BURST_BYTES {
                let Some(name) = names.next() else { break };
                bytes = bytes.saturating_add(name.len());
                chunk.push(name);
            }
            chunk.shrink_to_fit();
            Some(Self::new(verb, kind, chunk, origin))
        })
    }

    /// A command for each name.
    pub(super) fn singles(self) -> impl DoubleEndedIterator<Item = Self> {
        let (verb, kind, origin) = (self.verb, self.kind, self.origin);
        self.names.into_iter().map(move |name| Self {
            again: true,
            ..Self::new(verb, kind, vec![name], origin)
        })
    }

    /// Appends the command to `out`, an unsubscription with the PING that fences it.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        encode::array_header(out, self.names.len().saturating_add(1));
        encode::bulk(out, self.verb.command(self.kind));
        for name in &self.names {
            encode::bulk(out, name);
        }
        if self.verb == Verb::Unsubscribe {
            out.extend_from_slice(FENCE);
        }
    }
}
