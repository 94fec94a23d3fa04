//! Counters of a subscriber.

use std::time::Duration;

/// What a subscriber has seen so far.
///
/// `received == delivered + dropped + queued` at any time.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stats {
    /// Messages that came from the server.
    pub received: u64,
    /// Messages that were read, or given to a handler.
    pub delivered: u64,
    /// Messages that a full queue dropped, or that were not read before the close.
    pub dropped: u64,
    /// Messages that wait to be read.
    pub queued: u64,
    /// Bytes of names and payloads that wait to be read, with a few bytes a message for its bookkeeping.
    pub bytes_queued: u64,
    /// Gaps, read or not.
    pub gaps: u64,
    /// Connections made after the first one.
    pub reconnects: u64,
    /// How long ago the last message came.
    pub last_message: Option<Duration>,
    /// How long ago the server last answered a PING; of several, any of them.
    pub last_pong: Option<Duration>,
}
