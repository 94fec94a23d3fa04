//! What a cluster's error replies mean for the command that got one, and how long one goes on.

#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use memchr::memchr_iter;

use super::{node::Endpoint, slot::Slot};
use crate::{backoff::Backoff, error::ServerError};

/// What the error replies begin with that are looked for among others.
const CODES: [&[u8]; 8] = [
    b"-MOVED ",
    b"-ASK ",
    b"-TRYAGAIN",
    b"-CLUSTERDOWN",
    b"-LOADING",
    b"-MASTERDOWN",
    b"-READONLY",
    b"-NOSCRIPT",
];

/// An error reply that says: not here, or not now. The command has not run.
///
/// ```
/// use tidings_proto::ServerError;
/// use tidings_proto::cluster::Redirect;
///
/// let error = ServerError::new(b"MOVED 3999 127.0.0.1:6381");
/// let Some(Redirect::Moved { slot, to, .. }) = Redirect::of(&error) else { panic!() };
/// assert_eq!((slot.number(), to.host(), to.port()), (3999, Some("127.0.0.1"), 6381));
/// assert!(Redirect::of(&ServerError::new(b"WRONGTYPE no")).is_none());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Redirect {
    /// The slot is with another node, from now on.
    #[non_exhaustive]
    Moved {
        /// The slot.
        slot: Slot,
        /// The node that has it.
        to: Endpoint,
    },
    /// The slot is on its way, and this key is not here any more: this one command goes to another node, behind
    /// `ASKING`.
    #[non_exhaustive]
    Ask {
        /// The slot.
        slot: Slot,
        /// The node that the slot goes to.
        to: Endpoint,
    },
    /// The slot is on its way, and only some of the command's keys have arrived.
    TryAgain,
    /// `CLUSTERDOWN`: the slot is nobody's, or too many nodes are gone.
    Down,
    /// The node is loading its data set.
    Loading,
    /// The node is a replica that has lost its primary, and was told not to answer then.
    PrimaryDown,
    /// The node is a replica, and does not take writes: it was demoted.
    ReadOnly,
    /// The keys of the command are in several slots: nothing helps.
    CrossSlot,
}

impl Redirect {
    /// What an error reply says, if it is of this kind. One that is not written as servers write it is not.
    pub fn of(error: &ServerError) -> Option<Self> {
        let to = |place: fn(Slot, Endpoint) -> Self| {
            let mut words = error.message().split(' ').skip(1);
            let slot = words.next()?.parse().ok().and_then(Slot::new)?;
            Some(place(slot, Endpoint::parse(words.next()?)?))
        };
        match error.code() {
            "MOVED" => to(|slot, to| Self::Moved { slot, to }),
            "ASK" => to(|slot, to| Self::Ask { slot, to }),
            "TRYAGAIN" => Some(Self::TryAgain),
            "CLUSTERDOWN" => Some(Self::Down),
            "LOADING" => Some(Self::Loading),
            "MASTERDOWN" => Some(Self::PrimaryDown),
            "READONLY" => Some(Self::ReadOnly),
            "CROSSSLOT" => Some(Self::CrossSlot),
            _ => None,
        }
    }

    /// Whether one of these replies, which are whole, may be of this kind or say that a script is unknown: a look at the
    /// bytes, which costs next to nothing beside reading them. Whether it is so, only reading them tells.
    ///
    /// ```
    /// use tidings_proto::cluster::Redirect;
    ///
    /// assert!(Redirect::may_be_among(b":1\r\n-MOVED 3999 127.0.0.1:6381\r\n"));
    /// assert!(!Redirect::may_be_among(b"$-1\r\n:-5\r\n-WRONGTYPE no\r\n"));
    /// ```
    pub fn may_be_among(replies: &[u8]) -> bool {
        memchr_iter(b'-', replies).any(|at| {
            let (before, error) = replies.split_at_checked(at).unwrap_or_default();
            // At the beginning of a reply, or where one may begin.
            matches!(before.last(), None | Some(b'\n'))
                && CODES.iter().any(|code| error.starts_with(code))
        })
    }

    /// Whether it shows that the client's map of the cluster is old, so that it should be read again.
    pub fn is_map_old(&self) -> bool {
        matches!(
            self,
            Self::Moved { .. } | Self::Down | Self::PrimaryDown | Self::ReadOnly
        )
    }
}

/// How often and how long a command is sent again. See [`Redirections`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedirectLimits {
    attempts: u32,
    patience: Duration,
    pause: (Duration, Duration),
}

impl Default for RedirectLimits {
    /// 16 redirections, and 30 s of a cluster that is down: a failover takes a node's timeout, which is 15 s unless
    /// configured, and some seconds more. Pauses from 10 ms to 500 ms.
    fn default() -> Self {
        Self {
            attempts: 16,
            patience: Duration::from_secs(30),
            pause: (Duration::from_millis(10), Duration::from_millis(500)),
        }
    }
}

impl RedirectLimits {
    /// How often `MOVED` and `ASK` are followed.
    #[must_use]
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    /// For how long a command is sent again, whatever the reason.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// The shortest and the longest pause between two attempts.
    #[must_use]
    pub fn pauses(mut self, shortest: Duration, longest: Duration) -> Self {
        self.pause = (shortest, longest);
        self
    }
}

/// One command on its way through redirections: where it goes next, when, and when no longer.
///
/// The first redirection is followed at once, as is the first `ASK` behind a `MOVED`. After that come pauses that grow:
/// while a slot is handed over, two nodes may send a command to each other, until both know.
#[derive(Debug)]
pub struct Redirections {
    followed: u32,
    attempts: u32,
    /// No attempt begins later.
    until: Instant,
    backoff: Backoff,
}

/// What to do with a command that got a [`Redirect`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Next {
    /// Send it to this node after a pause, which may be zero.
    #[non_exhaustive]
    To {
        /// The node, as the one that answered names it.
        node: Endpoint,
        /// Whether `ASKING` goes directly before it.
        asking: bool,
        /// How long to wait before.
        pause: Duration,
    },
    /// Look up its slot again after a pause, which may be zero, and send it there.
    #[non_exhaustive]
    LookUp {
        /// How long to wait before.
        pause: Duration,
        /// Whether the primary is to be asked, even if a replica would do: the replica that answered cannot serve.
        at_primary: bool,
    },
    /// Give the error to the caller.
    GiveUp,
}

impl Redirections {
    /// A command that is sent for the first time.
    pub fn new(limits: &RedirectLimits, now: Instant) -> Self {
        let (shortest, longest) = limits.pause;
        Self {
            followed: 0,
            attempts: limits.attempts,
            until: deadline(now, limits.patience),
            backoff: Backoff::new(shortest, longest),
        }
    }

    /// How many redirections were followed.
    pub fn followed(&self) -> u32 {
        self.followed
    }

    /// Takes what the server said, and says what to do.
    pub fn next(&mut self, redirect: &Redirect, now: Instant) -> Next {
        match redirect {
            Redirect::Moved { to, .. } => self.follow(to, false, now),
            Redirect::Ask { to, .. } => self.follow(to, true, now),
            Redirect::CrossSlot => Next::GiveUp,
            Redirect::Loading | Redirect::PrimaryDown => self.look_up(true, now),
            Redirect::TryAgain | Redirect::Down | Redirect::ReadOnly => self.look_up(false, now),
        }
    }

    /// The node was lost before it got the command, or could not be reached: what to do.
    pub fn next_after_loss(&mut self, now: Instant) -> Next {
        self.look_up(false, now)
    }

    fn follow(&mut self, to: &Endpoint, asking: bool, now: Instant) -> Next {
        if self.followed >= self.attempts {
            return Next::GiveUp;
        }
        // A slot on its way is the rule where there are redirections: MOVED to its owner, ASK to its next one.
        let pause = if asking && self.followed <= 1 {
            Some(Duration::ZERO).filter(|_| now < self.until)
        } else {
            self.pause(now)
        };
        let Some(pause) = pause else {
            return Next::GiveUp;
        };
        self.followed = self.followed.saturating_add(1);
        Next::To {
            node: to.clone(),
            asking,
            pause,
        }
    }

    fn look_up(&mut self, at_primary: bool, now: Instant) -> Next {
        if self.backoff.attempts() == 0 {
            // Nothing tells of anything better yet: not at once.
            self.backoff.next_delay();
        }
        match self.pause(now) {
            Some(pause) => Next::LookUp { pause, at_primary },
            None => Next::GiveUp,
        }
    }

    fn pause(&mut self, now: Instant) -> Option<Duration> {
        let pause = self.backoff.next_delay();
        (deadline(now, pause) <= self.until).then_some(pause)
    }
}

/// No attempt is made in a hundred years.
fn deadline(now: Instant, patience: Duration) -> Instant {
    const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);
    now.checked_add(patience.min(LONGEST)).unwrap_or(now)
}
