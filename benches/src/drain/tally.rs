//! Counting messages.

use super::wire;
use crate::measure::{Outcome, Stopwatch};

/// Counts messages between "subscribed" and the last message.
pub(crate) struct Tally {
    count: Count,
    stopwatch: Stopwatch,
}

/// What one reader has got.
#[derive(Default)]
pub(crate) struct Count {
    pub(crate) messages: u64,
    bytes: u64,
    /// When the server wrote the first message; known with the last one.
    stream_start: u64,
}

impl Count {
    /// Counts one message; `false` when it was the mark that stands at the end.
    #[inline]
    pub(crate) fn take(&mut self, payload: &[u8]) -> bool {
        if let Some(start) = wire::stream_start(payload) {
            self.stream_start = start;
            return false;
        }
        self.messages += 1;
        self.bytes += payload.len() as u64;
        true
    }
}

impl Tally {
    /// To be called when the subscriptions stand and before any message is taken.
    pub(crate) fn subscribed() -> Self {
        Self {
            count: Count::default(),
            stopwatch: Stopwatch::start(),
        }
    }

    /// Counts one message, as [`Count::take`].
    #[inline]
    pub(crate) fn take(&mut self, payload: &[u8]) -> bool {
        self.count.take(payload)
    }

    /// For a reader that knows no messages, only that the whole stream has come.
    pub(crate) fn take_all(&mut self, messages: u64, payload_len: usize) {
        self.count.messages += messages;
        self.count.bytes += messages * payload_len as u64;
    }

    /// Adds what one of many readers has got.
    pub(crate) fn add(&mut self, other: &Count) {
        self.count.messages += other.messages;
        self.count.bytes += other.bytes;
        self.count.stream_start = other.stream_start;
    }

    /// To be called right after the last message.
    pub(crate) fn finish(mut self) -> Outcome {
        self.stopwatch.count_wall_from(self.count.stream_start);
        self.stopwatch.stop(self.count.messages, self.count.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_ends_the_count_and_is_not_counted() {
        let mut frame = Vec::new();
        wire::marker(&mut frame, wire::Protocol::Resp3, "message", "bench", 42);
        let payload = &frame[frame.len() - 2 - wire::MARKER_LEN..frame.len() - 2];
        let mut tally = Tally::subscribed();
        assert!(tally.take(b"00000001abcdefghijklmnop"));
        assert!(!tally.take(payload));
        assert_eq!(
            (
                tally.count.messages,
                tally.count.bytes,
                tally.count.stream_start
            ),
            (1, 24, 42)
        );
    }
}
