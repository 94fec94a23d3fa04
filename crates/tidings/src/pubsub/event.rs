//! What a subscriber receives: messages, confirmations and gaps.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use bytes::Bytes;
use tidings_proto::cluster::Address;
use tidings_proto::pubsub::{MessageKind, SubscriptionKind, Verb};
use tidings_proto::{Blob, Charset};

pub use tidings_proto::pubsub::GapCause;

/// One item of a subscriber's stream.
#[non_exhaustive]
#[derive(Debug, Clone)]
pub enum Event<P = Bytes> {
    /// A published message.
    Message(Message<P>),
    /// The server's word that a subscription begins or ends.
    Confirmation(Confirmation),
    /// Messages may be missing at this place.
    Gap(Gap),
}

impl<P> Event<P> {
    /// `"message"`, `"pmessage"`, `"smessage"`, `"gap"`, or the kind of a confirmation such as `"subscribe"`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Message(message) => message.kind(),
            Self::Confirmation(confirmation) => confirmation.kind(),
            Self::Gap(_) => "gap",
        }
    }

    /// The message, if it is one.
    pub fn message(&self) -> Option<&Message<P>> {
        match self {
            Self::Message(message) => Some(message),
            _ => None,
        }
    }

    /// The message, if it is one.
    pub fn into_message(self) -> Option<Message<P>> {
        match self {
            Self::Message(message) => Some(message),
            _ => None,
        }
    }

    /// The confirmation, if it is one.
    pub fn confirmation(&self) -> Option<&Confirmation> {
        match self {
            Self::Confirmation(confirmation) => Some(confirmation),
            _ => None,
        }
    }

    /// The gap, if it is one.
    pub fn gap(&self) -> Option<&Gap> {
        match self {
            Self::Gap(gap) => Some(gap),
            _ => None,
        }
    }
}

/// A published message.
///
/// Its payload is a slice of the bytes that one read brought, unless it is short; keep it as long as you like.
#[derive(Clone)]
pub struct Message<P = Bytes> {
    /// The pattern, if there is one, and the channel.
    names: Blob,
    channel: u32,
    pattern_len: u32,
    kind: MessageKind,
    payload: P,
    charset: Charset,
}

impl<P> Message<P> {
    pub(crate) fn new(
        names: Blob,
        channel: u32,
        pattern_len: u32,
        kind: MessageKind,
        payload: P,
        charset: Charset,
    ) -> Self {
        Self {
            names,
            channel,
            pattern_len,
            kind,
            payload,
            charset,
        }
    }

    /// `"message"`, `"pmessage"` (came for a pattern) or `"smessage"` (of a shard channel).
    pub fn kind(&self) -> &'static str {
        match self.kind {
            MessageKind::Message => "message",
            MessageKind::PMessage => "pmessage",
            MessageKind::SMessage => "smessage",
        }
    }

    /// The channel that it was published to.
    pub fn channel(&self) -> &[u8] {
        &self.names[self.channel as usize..]
    }

    /// The channel as text, which is UTF-8 unless the [configuration](crate::Config#charset) names another charset;
    /// bytes that are none are replaced.
    pub fn channel_str(&self) -> Cow<'_, str> {
        self.charset.decode_lossy(self.channel())
    }

    /// The pattern that it came for; only for a `"pmessage"`.
    pub fn pattern(&self) -> Option<&[u8]> {
        (self.kind == MessageKind::PMessage).then(|| &self.names[..self.pattern_len as usize])
    }

    /// The pattern as text, as [`channel_str`](Self::channel_str).
    pub fn pattern_str(&self) -> Option<Cow<'_, str>> {
        self.pattern()
            .map(|pattern| self.charset.decode_lossy(pattern))
    }

    /// What was published.
    pub fn payload(&self) -> &P {
        &self.payload
    }

    /// What was published.
    pub fn into_payload(self) -> P {
        self.payload
    }

    /// The kind of subscription that it came for, and that subscription's name.
    pub(crate) fn subscription(&self) -> (SubscriptionKind, &[u8]) {
        let name = self.pattern().unwrap_or_else(|| self.channel());
        (self.kind.subscribed_as(), name)
    }
}

impl<P: AsRef<[u8]>> Message<P> {
    /// The payload as text, as [`channel_str`](Self::channel_str).
    pub fn text(&self) -> Cow<'_, str> {
        self.charset.decode_lossy(self.payload.as_ref())
    }
}

impl<P: fmt::Debug> fmt::Debug for Message<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Message");
        debug.field("kind", &self.kind());
        if let Some(pattern) = self.pattern_str() {
            debug.field("pattern", &pattern);
        }
        debug
            .field("channel", &self.channel_str())
            .field("payload", &self.payload)
            .finish()
    }
}

/// A name as errors show it: without control characters, and with what is no text escaped.
pub(crate) fn shown(name: &[u8], charset: Charset) -> Blob {
    match charset.decode(name) {
        Some(text) if !charset.is_utf_8() => Blob::copy_from(text.as_bytes()),
        _ => Blob::copy_from(name),
    }
}

/// The server's word that a subscription begins or ends.
#[derive(Clone, PartialEq, Eq)]
pub struct Confirmation {
    verb: Verb,
    kind: SubscriptionKind,
    name: Blob,
    count: i64,
    charset: Charset,
}

impl Confirmation {
    pub(crate) fn new(
        verb: Verb,
        kind: SubscriptionKind,
        name: Blob,
        count: i64,
        charset: Charset,
    ) -> Self {
        Self {
            verb,
            kind,
            name,
            count,
            charset,
        }
    }

    /// `"subscribe"`, `"unsubscribe"`, `"psubscribe"`, `"punsubscribe"`, `"ssubscribe"` or `"sunsubscribe"`.
    pub fn kind(&self) -> &'static str {
        self.verb.name(self.kind)
    }

    /// The channel, pattern or shard channel.
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// The name as text, as [`Message::channel_str`].
    pub fn name_str(&self) -> Cow<'_, str> {
        self.charset.decode_lossy(&self.name)
    }

    /// How many subscriptions the connection has now: channels and patterns together, shard channels apart. Of a
    /// [`ShardedPubSub`](crate::ShardedPubSub), how many all of its connections have together.
    pub fn count(&self) -> i64 {
        self.count
    }

    pub(crate) fn ended(&self) -> Option<(SubscriptionKind, &Blob)> {
        (self.verb == Verb::Unsubscribe).then_some((self.kind, &self.name))
    }
}

impl fmt::Debug for Confirmation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Confirmation")
            .field("kind", &self.kind())
            .field("name", &self.name_str())
            .field("count", &self.count)
            .finish()
    }
}

/// Messages may be missing at the place of the stream where this stands.
///
/// After a lost connection it comes once the names it tells of are subscribed again and before the first message
/// of any of them, so whoever reads the present state when a gap comes misses nothing.
///
/// Shown, it is one line: `a gap: the connection was lost`, `a gap of 10: a queue was full`.
///
/// # In a cluster
///
/// A message that was published at one node and is read at another comes over the cluster bus, which numbers nothing. So two
/// things differ there; what stands behind them is told [with the cluster](crate::cluster#the-promises-in-a-cluster):
///
/// - A node that has lost sight of the others says nothing of it. The gap comes when these have agreed that it failed, or
///   when it hears them again, and may stand behind messages that came after the loss: [`since`](Self::since) says when
///   that may have been.
/// - Behind a gap, what was sent shortly before it may come again, if the bus brought it to the next node later than is
///   waited for. Messages have no numbers, so it cannot be told from a new one.
#[derive(Clone)]
pub struct Gap {
    cause: GapCause,
    since: SystemTime,
    until: SystemTime,
    dropped: Option<u64>,
    names: Arc<[Blob]>,
    node: Option<Address>,
}

impl Gap {
    pub(crate) fn until_now(
        cause: GapCause,
        since: Instant,
        dropped: Option<u64>,
        names: Vec<Blob>,
    ) -> Self {
        let until = SystemTime::now();
        Self {
            cause,
            since: until
                .checked_sub(since.elapsed())
                .unwrap_or(SystemTime::UNIX_EPOCH),
            until,
            dropped,
            names: names.into(),
            node: None,
        }
    }

    /// The same, of what this node shows.
    pub(crate) fn at_node(mut self, node: Address) -> Self {
        self.node = Some(node);
        self
    }

    /// Why.
    pub fn cause(&self) -> GapCause {
        self.cause
    }

    /// The last time at which nothing was missing, as far as can be known.
    ///
    /// Of a lost connection, when its peer was heard last. In a cluster, of a node that was not the right one any more, when the
    /// nodes were asked last and still said that it was; and where messages come over the cluster bus, not after the time at
    /// which the node had last heard of all the others, [as far as it tells](crate::cluster#the-promises-in-a-cluster).
    pub fn since(&self) -> SystemTime {
        self.since
    }

    /// The time from which on nothing is missing any more: after a lost connection, when the names were confirmed
    /// again.
    pub fn until(&self) -> SystemTime {
        self.until
    }

    /// How many messages were dropped, where that is known: it is for a full queue, and never for a lost
    /// connection.
    pub fn dropped(&self) -> Option<u64> {
        self.dropped
    }

    /// The subscriptions concerned: channels, patterns, shard channels. Empty if any of the subscriber's may be.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.names.iter().map(|name| &**name)
    }

    /// The node that it is about, in a stream of what many nodes show: a [`ClusterMonitor`](crate::ClusterMonitor), or
    /// [`KeyspaceEvents`](crate::KeyspaceEvents). `None` if any of them may be, and in other streams.
    pub fn node(&self) -> Option<&Address> {
        self.node.as_ref()
    }

    /// Any of the subscriber's names may be concerned.
    pub(crate) fn name_any(&mut self) {
        self.names = Arc::default();
    }

    /// One gap for two, of which `later` came right behind this one.
    pub(crate) fn merge(&mut self, later: &Gap) {
        self.since = self.since.min(later.since);
        self.until = self.until.max(later.until);
        if self.node != later.node {
            self.node = None;
        }
        self.dropped = match (self.dropped, later.dropped) {
            (Some(a), Some(b)) => Some(a.saturating_add(b)),
            _ => None,
        };
        let any = self.names.is_empty() || later.names.is_empty();
        if any {
            self.names = Arc::default();
        } else if self.names != later.names {
            let known: std::collections::HashSet<&Blob> = self.names.iter().collect();
            let new = later.names.iter().filter(|name| !known.contains(name));
            self.names = self.names.iter().chain(new).cloned().collect();
        }
    }
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.dropped {
            Some(dropped) => write!(f, "a gap of {dropped}: {}", self.cause),
            None => write!(f, "a gap: {}", self.cause),
        }
    }
}

impl fmt::Debug for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gap")
            .field("cause", &self.cause)
            .field("since", &self.since)
            .field("until", &self.until)
            .field("dropped", &self.dropped)
            .field("names", &self.names)
            .field("node", &self.node)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_is_shown_in_one_line_of_words() {
        let gap = |cause, dropped| Gap::until_now(cause, Instant::now(), dropped, Vec::new());
        let lost = gap(GapCause::Disconnected, None);
        assert_eq!(lost.to_string(), "a gap: the connection was lost");
        assert_eq!(lost.cause().to_string(), "the connection was lost");
        let full = gap(GapCause::Overflow, Some(10));
        assert_eq!(full.to_string(), "a gap of 10: a queue was full");
    }
}
