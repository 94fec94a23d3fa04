//! When to ask a silent peer whether it is alive, and when to stop waiting for its answer.

use std::time::{Duration, Instant};

/// Liveness of one connection, as a function of time.
///
/// Every byte that arrives counts as a sign of life, so a large payload on a slow link is not taken for a dead
/// peer. After `interval` of silence a PING is due; the peer is dead when `timeout` goes by after that
/// without a byte. While the socket is deliberately not read (a full queue with back-pressure) nothing can
/// arrive, so the clock stands still until it is read again. While the peer waits on purpose (`BLPOP`), so much
/// more silence is allowed.
///
/// ```text
///   bytes ──▶ quiet ──interval──▶ PING due ──sent──▶ waiting ──timeout──▶ dead
///               ▲                                      │
///               └──────────────── bytes ───────────────┘
/// ```
#[derive(Debug, Clone)]
pub struct Keepalive {
    interval: Duration,
    timeout: Duration,
    last_heard: Instant,
    /// Since when something could have been heard.
    listening: Instant,
    asked: Option<Instant>,
    /// How much longer than usual the peer may be silent.
    excused: Duration,
}

/// What [`Keepalive::poll`] asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Liveness {
    /// Nothing to do before this time; `None` while reading is paused.
    Wait(Option<Instant>),
    /// Send a PING now, and say so with [`Keepalive::asked`].
    Ask,
    /// Nothing was heard for too long.
    Dead,
}

impl Keepalive {
    /// A connection that was just heard of.
    pub fn new(interval: Duration, timeout: Duration, now: Instant) -> Self {
        Self {
            interval,
            timeout,
            last_heard: now,
            listening: now,
            asked: None,
            excused: Duration::ZERO,
        }
    }

    /// Bytes arrived.
    pub fn heard(&mut self, now: Instant) {
        self.last_heard = now;
        self.asked = None;
    }

    /// A PING was sent.
    pub fn asked(&mut self, now: Instant) {
        self.asked = Some(now);
    }

    /// The socket is not read for now.
    pub fn pause(&mut self) {
        self.excused = Duration::MAX;
    }

    /// The peer may be silent for so much longer than usual, and answer no PING.
    pub fn excuse(&mut self, time: Duration, now: Instant) {
        self.excused = self.excused.saturating_add(time);
        self.listening = now;
    }

    /// The socket is read again, or the peer has done waiting.
    pub fn resume(&mut self, now: Instant) {
        if !std::mem::take(&mut self.excused).is_zero() {
            self.listening = now;
            self.asked = self.asked.map(|_| now);
        }
    }

    /// When something was last heard.
    pub fn last_heard(&self) -> Instant {
        self.last_heard
    }

    /// What is to be done at `now`.
    pub fn poll(&self, now: Instant) -> Liveness {
        let quiet_since = self.last_heard.max(self.listening);
        let Some(quiet_since) = quiet_since.checked_add(self.excused) else {
            return Liveness::Wait(None);
        };
        let (due, then) = match self.asked {
            None => (quiet_since.checked_add(self.interval), Liveness::Ask),
            Some(asked) => (
                asked.max(quiet_since).checked_add(self.timeout),
                Liveness::Dead,
            ),
        };
        match due {
            Some(due) if due <= now => then,
            // A deadline past the end of time never comes.
            due => Liveness::Wait(due),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(5);
    const TIMEOUT: Duration = Duration::from_secs(3);

    fn start() -> (Keepalive, Instant) {
        let now = Instant::now();
        (Keepalive::new(INTERVAL, TIMEOUT, now), now)
    }

    #[test]
    fn a_silent_peer_is_asked_after_the_interval_and_dead_after_the_timeout() {
        let (mut keepalive, now) = start();
        assert_eq!(keepalive.poll(now), Liveness::Wait(Some(now + INTERVAL)));
        assert_eq!(keepalive.poll(now + INTERVAL), Liveness::Ask);
        keepalive.asked(now + INTERVAL);
        let deadline = now + INTERVAL + TIMEOUT;
        assert_eq!(
            keepalive.poll(now + INTERVAL),
            Liveness::Wait(Some(deadline))
        );
        assert_eq!(keepalive.poll(deadline), Liveness::Dead);
    }

    #[test]
    fn any_byte_is_a_sign_of_life() {
        let (mut keepalive, now) = start();
        keepalive.asked(now + INTERVAL);
        let heard = now + INTERVAL + TIMEOUT / 2;
        keepalive.heard(heard);
        assert_eq!(
            keepalive.poll(now + INTERVAL + TIMEOUT),
            Liveness::Wait(Some(heard + INTERVAL))
        );
    }

    #[test]
    fn while_reading_is_paused_nobody_is_dead() {
        let (mut keepalive, now) = start();
        keepalive.asked(now);
        keepalive.pause();
        assert_eq!(keepalive.poll(now + 60 * INTERVAL), Liveness::Wait(None));
        let resumed = now + 60 * INTERVAL;
        keepalive.resume(resumed);
        assert_eq!(
            keepalive.poll(resumed),
            Liveness::Wait(Some(resumed + TIMEOUT))
        );
        assert_eq!(keepalive.poll(resumed + TIMEOUT), Liveness::Dead);
    }

    #[test]
    fn a_peer_that_waits_on_purpose_is_asked_so_much_later() {
        const WAITS: Duration = Duration::from_secs(60);
        let (mut keepalive, now) = start();
        keepalive.asked(now);
        keepalive.excuse(WAITS / 2, now);
        keepalive.excuse(WAITS / 2, now);
        assert_eq!(
            keepalive.poll(now + WAITS),
            Liveness::Wait(Some(now + WAITS + TIMEOUT))
        );
        assert_eq!(keepalive.poll(now + WAITS + TIMEOUT), Liveness::Dead);
        // What comes in between proves that it lives, and it may wait from then on.
        let heard = now + WAITS;
        keepalive.heard(heard);
        let due = heard + WAITS + INTERVAL;
        assert_eq!(keepalive.poll(heard), Liveness::Wait(Some(due)));
        keepalive.resume(heard);
        assert_eq!(
            keepalive.poll(heard),
            Liveness::Wait(Some(heard + INTERVAL))
        );
    }

    #[test]
    fn an_endless_interval_never_asks() {
        let now = Instant::now();
        let keepalive = Keepalive::new(Duration::MAX, TIMEOUT, now);
        assert_eq!(keepalive.poll(now + INTERVAL), Liveness::Wait(None));
    }
}
