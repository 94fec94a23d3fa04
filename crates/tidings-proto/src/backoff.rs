//! How long to wait before the next attempt to connect.

use std::time::Duration;

/// No wait is longer, whatever was asked for: an attempt a day costs nothing.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Exponential back-off with jitter: the first attempt at once, then `min`, doubled each time up to `max`.
///
/// Each wait is drawn from its upper half, so that the clients of a server that came back do not all return in
/// the same instant, and none returns much later than it could.
#[derive(Debug, Clone)]
pub struct Backoff {
    min: Duration,
    max: Duration,
    attempts: u32,
}

impl Backoff {
    /// `min` is the first wait, `max` the longest.
    pub fn new(min: Duration, max: Duration) -> Self {
        let min = min.min(LONGEST);
        Self {
            min,
            max: max.clamp(min, LONGEST),
            attempts: 0,
        }
    }

    /// The attempts counted so far.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Counts an attempt and says how long to wait before it.
    pub fn next_delay(&mut self) -> Duration {
        let attempt = self.attempts;
        self.attempts = attempt.saturating_add(1);
        let Some(doublings) = attempt.checked_sub(1) else {
            return Duration::ZERO;
        };
        let factor = 1u32.checked_shl(doublings).unwrap_or(u32::MAX);
        let longest = self.min.saturating_mul(factor).min(self.max);
        longest.mul_f64(0.5 + 0.5 * fastrand::f64())
    }

    /// A connection was made: the next loss starts over.
    pub fn reset(&mut self) {
        self.attempts = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_attempt_is_made_at_once_and_waits_double_up_to_the_longest() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        assert_eq!(backoff.next_delay(), Duration::ZERO);
        for expected in [100, 200, 400, 800, 1000, 1000] {
            let expected = Duration::from_millis(expected);
            let delay = backoff.next_delay();
            assert!(
                delay <= expected && delay >= expected / 2,
                "{delay:?} for {expected:?}"
            );
        }
        backoff.reset();
        assert_eq!(backoff.next_delay(), Duration::ZERO);
    }

    #[test]
    fn a_thousand_attempts_overflow_nothing() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::MAX);
        let longest = (0..1000).map(|_| backoff.next_delay()).max();
        assert!(longest > Some(LONGEST / 2) && longest <= Some(LONGEST));
    }
}
