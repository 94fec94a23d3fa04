//! What one run of one contestant measures, and the line in which it says so.

use std::fmt;
use std::str::FromStr;

use rustix::time::{ClockId, clock_gettime};

use crate::wire;

/// Counts messages between "subscribed" and the last message.
pub(crate) struct Tally {
    messages: u64,
    bytes: u64,
    cpu_when_subscribed: u64,
    /// When the server wrote the first message; known with the last one.
    stream_start: u64,
}

impl Tally {
    /// To be called when the subscriptions stand and before any message is taken.
    pub(crate) fn subscribed() -> Self {
        Self {
            messages: 0,
            bytes: 0,
            cpu_when_subscribed: cpu_nanos(),
            stream_start: 0,
        }
    }

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

    /// For a reader that knows no messages, only that the whole stream has come.
    pub(crate) fn take_all(&mut self, messages: u64, payload_len: usize) {
        self.messages += messages;
        self.bytes += messages * payload_len as u64;
    }

    /// To be called right after the last message.
    pub(crate) fn finish(self) -> Outcome {
        Outcome {
            cpu_nanos: cpu_nanos() - self.cpu_when_subscribed,
            wall_nanos: monotonic_nanos() - self.stream_start,
            messages: self.messages,
            bytes: self.bytes,
            peak_kib: peak_kib(),
        }
    }
}

/// One run of one contestant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) messages: u64,
    /// Of payload.
    pub(crate) bytes: u64,
    /// From the server's first message to the contestant's last one.
    pub(crate) wall_nanos: u64,
    /// User and system time of the contestant's process, all its threads.
    pub(crate) cpu_nanos: u64,
    /// The most memory resident at any time since the process started; 0 if unknown.
    pub(crate) peak_kib: u64,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            messages,
            bytes,
            wall_nanos,
            cpu_nanos,
            peak_kib,
        } = self;
        write!(f, "{messages} {bytes} {wall_nanos} {cpu_nanos} {peak_kib}")
    }
}

impl FromStr for Outcome {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let numbers: Option<Vec<u64>> = line
            .split_whitespace()
            .map(|word| word.parse().ok())
            .collect();
        match numbers.as_deref() {
            Some(&[messages, bytes, wall_nanos, cpu_nanos, peak_kib]) => Ok(Self {
                messages,
                bytes,
                wall_nanos,
                cpu_nanos,
                peak_kib,
            }),
            _ => Err(format!("not an outcome: {line:?}")),
        }
    }
}

/// A clock that all processes of the machine share.
pub(crate) fn monotonic_nanos() -> u64 {
    nanos(ClockId::Monotonic)
}

/// CPU time of this process, finer than getrusage tells it.
fn cpu_nanos() -> u64 {
    nanos(ClockId::ProcessCPUTime)
}

fn nanos(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Not getrusage's, which would count what the parent had resident before this program was loaded.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_survives_its_line() {
        let outcome = Outcome {
            messages: 1,
            bytes: 2,
            wall_nanos: 3,
            cpu_nanos: 4,
            peak_kib: 5,
        };
        assert_eq!(outcome.to_string().parse(), Ok(outcome));
    }

    #[test]
    fn the_mark_ends_the_count_and_is_not_counted() {
        let mut frame = Vec::new();
        wire::marker(&mut frame, wire::Protocol::Resp3, "bench", 42);
        let payload = &frame[frame.len() - 2 - wire::MARKER_LEN..frame.len() - 2];
        let mut tally = Tally::subscribed();
        assert!(tally.take(b"00000001abcdefghijklmnop"));
        assert!(!tally.take(payload));
        assert_eq!(
            (tally.messages, tally.bytes, tally.stream_start),
            (1, 24, 42)
        );
    }
}
