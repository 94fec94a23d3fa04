//! What a subscriber sees, and what must not be.

use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

use super::NAMES;
use super::world::World;
use crate::blob::Blob;
use crate::pubsub::{OpId, Record, SubscriptionEvent, Verb};

/// One name, as it is told of.
#[derive(Debug, Default)]
struct Stream {
    subscribed: bool,
    /// The server ended it, and has not confirmed it again.
    away: bool,
    /// It was confirmed again, and its gap was not told.
    due: bool,
    /// All up to here has come, or is covered, or was published before the subscription.
    up_to: u64,
    /// The next number may be any higher one.
    gap: bool,
    /// When numbers were published that are missing, which nobody knew of then.
    holes: Vec<Instant>,
    /// Times of which was told that something may be missing.
    told: Vec<(Instant, Instant)>,
}

impl Stream {
    fn holes_are_told(&self) -> bool {
        let covers = |at: &Instant| {
            let mut told = self.told.iter();
            told.any(|(since, until)| since <= at && at <= until)
        };
        self.holes.iter().all(covers)
    }
}

#[derive(Debug, Default)]
pub(super) struct Consumer {
    streams: BTreeMap<Vec<u8>, Stream>,
    open: HashMap<OpId, (bool, Vec<Vec<u8>>)>,
}

impl Consumer {
    pub(super) fn asks(&mut self, op: OpId, subscribe: bool, names: &[Blob]) {
        let names = names.iter().map(|name| name.to_vec()).collect();
        assert!(self.open.insert(op, (subscribe, names)).is_none());
    }

    pub(super) fn message(&mut self, block: &[u8], record: &Record, world: &World) {
        let name = &block[record.channel()];
        let number = String::from_utf8(block[record.payload()].to_vec()).unwrap();
        let number: u64 = number.parse().unwrap();
        let stream = self.streams.get_mut(name).expect("it was subscribed");
        assert!(stream.subscribed, "{number} after the end of {name:?}");
        assert!(!stream.away, "{number} of {name:?} before its confirmation");
        assert!(!stream.due, "{number} of {name:?} before its gap");
        assert!(
            number > stream.up_to,
            "{number} of {name:?} again: {stream:?}"
        );
        if number != stream.up_to + 1 && !stream.gap {
            for missing in stream.up_to + 1..number {
                let lost = world.lost(name, missing);
                let at = lost.unwrap_or_else(|| panic!("no gap before {number} of {name:?}"));
                stream.holes.push(at);
            }
        }
        stream.up_to = number;
        stream.gap = false;
    }

    pub(super) fn event(&mut self, event: SubscriptionEvent, now: Instant) {
        match event {
            SubscriptionEvent::Confirmed {
                verb: Verb::Subscribe,
                name,
                count,
                ..
            } => {
                assert!(count > 0);
                let stream = self.streams.entry(name.to_vec()).or_default();
                if stream.away {
                    (stream.away, stream.due) = (false, true);
                } else if !stream.subscribed {
                    // What was published before it was confirmed may have come, or not.
                    (stream.subscribed, stream.gap) = (true, true);
                }
            }
            SubscriptionEvent::Confirmed {
                verb: Verb::Unsubscribe,
                name,
                ..
            } => {
                let stream = self.streams.entry(name.to_vec()).or_default();
                assert!(!stream.due, "{name} ended without its gap");
                // A later subscription may be at a replica, which some of this may yet be on its way to.
                *stream = Stream::default();
            }
            SubscriptionEvent::Revoked { name } => {
                let stream = self.streams.get_mut(&*name.to_vec()).expect("known");
                assert!(stream.subscribed, "{name}");
                (stream.away, stream.due) = (true, false);
            }
            SubscriptionEvent::Gap { names, since, .. } => {
                assert!(since <= now);
                for (_, name) in names {
                    let stream = self.streams.get_mut(&*name.to_vec()).expect("known");
                    (stream.due, stream.gap) = (false, true);
                    stream.told.push((since, now));
                }
            }
            SubscriptionEvent::Missed { names, since, .. } => {
                for (_, name) in names {
                    let stream = self.streams.get_mut(&*name.to_vec()).expect("known");
                    assert!(stream.subscribed && !stream.away && !stream.due, "{name}");
                    stream.gap = true;
                    stream.told.push((since, now));
                }
            }
            SubscriptionEvent::Done { op, refused } => {
                let (subscribe, names) = self.open.remove(&op).expect("it was asked once");
                for (name, error) in refused {
                    assert!(subscribe && names.contains(&name.to_vec()), "{error}");
                    assert_eq!(error.code(), "CLUSTERDOWN", "{error}");
                }
            }
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn is_done(&self) -> bool {
        self.open.is_empty()
    }

    /// What the events said is what is wanted.
    pub(super) fn agrees_with(&self, wanted: &[Blob]) {
        let mut told: Vec<&Vec<u8>> = self
            .streams
            .iter()
            .filter(|(_, stream)| stream.subscribed && !stream.away && !stream.due)
            .map(|(name, _)| name)
            .collect();
        told.sort();
        let mut wanted: Vec<Vec<u8>> = wanted.iter().map(|name| name.to_vec()).collect();
        wanted.sort();
        assert_eq!(told, wanted.iter().collect::<Vec<_>>());
    }

    /// The last message of each name that is wanted has come.
    pub(super) fn has_the_last(&self, wanted: &[Blob], world: &World) {
        for name in wanted {
            let number = NAMES.iter().position(|it| **it == **name).unwrap();
            let stream = &self.streams[&name.to_vec()];
            assert!(stream.holes_are_told(), "{name}: {stream:?}");
            assert_eq!(stream.up_to, world.published(number), "{name}");
        }
    }
}
