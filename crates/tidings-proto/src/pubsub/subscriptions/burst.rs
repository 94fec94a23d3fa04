//! Commands on their way to the server.

use super::kinds::{OpId, SubscriptionKind, Verb};
use crate::blob::Blob;
use crate::error::ServerError;
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
    /// The error reply to an unsubscription: what follows is the answer to the fence.
    pub(super) error: Option<ServerError>,
    pub(super) origin: Origin,
    /// The newest request when it was queued.
    pub(super) asked: u64,
}

impl Burst {
    /// As many commands as `names` take.
    ///
    /// Shard channels go together only if their slot is the same: a cluster refuses a command of two slots.
    pub(super) fn cut(
        verb: Verb,
        kind: SubscriptionKind,
        names: Vec<Blob>,
        origin: Origin,
        asked: u64,
    ) -> impl Iterator<Item = Self> {
        let mut names = names.into_iter().peekable();
        std::iter::from_fn(move || {
            let first = names.next()?;
            let mut bytes = first.len();
            let mut chunk = vec![first];
            while chunk.len() < BURST_NAMES && bytes < BURST_BYTES {
                let goes_along = |name: &Blob| {
                    kind != SubscriptionKind::Shard
                        || chunk
                            .first()
                            .is_some_and(|first| hash_tag(first) == hash_tag(name))
                };
                let Some(name) = names.next_if(goes_along) else {
                    break;
                };
                bytes = bytes.saturating_add(name.len());
                chunk.push(name);
            }
            chunk.shrink_to_fit();
            Some(Self {
                verb,
                kind,
                names: chunk,
                answered: 0,
                error: None,
                origin,
                asked,
            })
        })
    }

    /// A command for each name.
    pub(super) fn singles(self) -> impl DoubleEndedIterator<Item = Self> {
        let (verb, kind, origin, asked) = (self.verb, self.kind, self.origin, self.asked);
        self.names.into_iter().map(move |name| Self {
            verb,
            kind,
            names: vec![name],
            answered: 0,
            error: None,
            origin,
            asked,
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

/// The part of a name that its slot depends on: what stands in the first braces, if anything does.
fn hash_tag(name: &[u8]) -> &[u8] {
    let inner = || {
        let rest = name.get(memchr::memchr(b'{', name)?.saturating_add(1)..)?;
        let tag = rest.get(..memchr::memchr(b'}', rest)?)?;
        (!tag.is_empty()).then_some(tag)
    };
    inner().unwrap_or(name)
}
