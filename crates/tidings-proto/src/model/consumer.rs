//! What a subscriber sees of the events, and what they must not do to it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Instant;

use super::server::{BUSY, Seen, Sent, Server};
use super::{KINDS, Name};
use crate::blob::Blob;
use crate::error::ServerError;
use crate::pubsub::{MessageKind, OpId, SubscriptionEvent, SubscriptionKind, Verb};

/// One name, as the events tell of it.
#[derive(Debug, Default)]
struct Stream {
    subscribed: bool,
    /// Lost since then, and not confirmed again.
    lost: Option<Instant>,
    /// Confirmed again, and the gap was not told.
    due: Option<Instant>,
}

#[derive(Debug)]
struct Asked {
    at: u64,
    verb: Verb,
    names: Vec<Name>,
}

#[derive(Debug, Default)]
pub(super) struct Consumer {
    streams: BTreeMap<Name, Stream>,
    open: HashMap<OpId, Asked>,
    /// When each name was last asked for, and last confirmed.
    asked: BTreeMap<(u8, Name), u64>,
    confirmed: BTreeMap<(u8, Name), u64>,
    /// Names that were reported as refused, until they are granted.
    reported: BTreeSet<Name>,
    /// The outcome of each request: when it was made, and whether it was refused.
    outcomes: BTreeMap<Name, BTreeMap<u64, (Verb, bool)>>,
    /// What was seen since it was last compared with what was handed over.
    pub(super) seen: Vec<Seen>,
}

impl Consumer {
    pub(super) fn asks(&mut self, op: OpId, at: u64, verb: Verb, names: Vec<Name>) {
        for name in &names {
            self.asked.insert((verb as u8, name.clone()), at);
        }
        assert!(self.open.insert(op, Asked { at, verb, names }).is_none());
    }

    pub(super) fn is_asking(&self) -> bool {
        !self.open.is_empty()
    }

    pub(super) fn message(&mut self, sent: Sent) {
        let name = match sent.kind {
            MessageKind::Message => (SubscriptionKind::Channel, sent.channel.clone()),
            MessageKind::PMessage => (SubscriptionKind::Pattern, sent.pattern.clone().unwrap()),
            MessageKind::SMessage => (SubscriptionKind::Shard, sent.channel.clone()),
        };
        let stream = self
            .streams
            .get(&name)
            .expect("a message of a name that was subscribed");
        assert!(stream.subscribed, "a message after the end of {name:?}");
        assert!(
            stream.lost.is_none(),
            "a message before the new confirmation of {name:?}"
        );
        assert!(stream.due.is_none(), "a message before the gap of {name:?}");
        self.seen.push(Seen::Message(sent));
    }

    pub(super) fn event(&mut self, event: SubscriptionEvent, clock: u64, server: &Server) {
        match event {
            SubscriptionEvent::Confirmed {
                verb,
                kind,
                name,
                count,
            } => {
                let name = (kind, name.to_vec());
                self.confirmed.insert((verb as u8, name.clone()), clock);
                let stream = self.streams.entry(name.clone()).or_default();
                match verb {
                    Verb::Subscribe => {
                        stream.subscribed = true;
                        assert!(stream.due.is_none() || stream.lost.is_none());
                        stream.due = stream.due.or(stream.lost.take());
                        self.reported.remove(&name);
                    }
                    Verb::Unsubscribe => {
                        // A shard channel that the server had ended before it was lost has missed nothing by that.
                        let told = stream.lost.is_none() && stream.due.is_none();
                        let ended_before = kind == SubscriptionKind::Shard;
                        assert!(told || ended_before, "{name:?} ended without its gap");
                        *stream = Stream::default();
                        self.reported.remove(&name);
                    }
                }
                self.seen.push(Seen::Confirmed(verb, name, count));
            }
            SubscriptionEvent::Gap { since, names, .. } => self.gap(since, &names),
            SubscriptionEvent::Revoked { name } => {
                let name = (SubscriptionKind::Shard, name.to_vec());
                let stream = self.streams.get_mut(&name).expect("known");
                assert!(
                    stream.subscribed && stream.lost.is_none(),
                    "{name:?} {stream:?}"
                );
                stream.lost = stream.due.take().or(Some(super::time(clock)));
            }
            SubscriptionEvent::Missed { .. } => panic!("nobody has said so"),
            SubscriptionEvent::Deferred { error, .. } => assert_eq!(error.message(), BUSY),
            SubscriptionEvent::Refused { kind, name, error } => {
                let name = (kind, name.to_vec());
                assert_ne!(error.message(), BUSY, "it will pass");
                assert!(
                    server.refusals.iter().any(|(_, verb, refused, text)| {
                        (*verb, refused, *text) == (Verb::Subscribe, &name, error.message())
                    }),
                    "{name:?} was not refused: {error}"
                );
                assert!(self.reported.insert(name), "reported twice");
            }
            SubscriptionEvent::Done { op, refused } => {
                let asked = self.open.remove(&op).expect("done once");
                self.done(&asked, &refused, server);
            }
        }
    }

    fn gap(&mut self, since: Instant, names: &[(SubscriptionKind, Blob)]) {
        let others_due = self
            .streams
            .values()
            .filter(|one| one.due.is_some())
            .count()
            > 1;
        if let [(kind, name)] = names
            && let Some(stream) = self.streams.get_mut(&(*kind, name.to_vec()))
            && (stream.lost.is_some() || others_due)
        {
            // It ends, and is told of now or never.
            assert_eq!(stream.lost.take().or(stream.due.take()), Some(since));
            return;
        }
        let due: Vec<(&Name, Instant)> = self
            .streams
            .iter_mut()
            .filter_map(|(name, stream)| Some((name, stream.due.take()?)))
            .collect();
        assert_eq!(
            Some(since),
            due.iter().map(|(_, since)| *since).min(),
            "{due:?}"
        );
        let mut due: Vec<(SubscriptionKind, &[u8])> =
            due.iter().map(|(name, _)| (name.0, &*name.1)).collect();
        let mut told: Vec<(SubscriptionKind, &[u8])> =
            names.iter().map(|(kind, name)| (*kind, &**name)).collect();
        due.sort_unstable();
        told.sort_unstable();
        assert_eq!(told, due, "each name that missed messages, once");
    }

    fn done(&mut self, asked: &Asked, refused: &[(Blob, ServerError)], server: &Server) {
        let since = |when: Option<&u64>| when.is_some_and(|when| *when >= asked.at);
        let kind = asked.names.first().map(|name| name.0);
        for (name, error) in refused {
            let name = (kind.expect("a name was refused"), name.to_vec());
            assert!(asked.names.contains(&name), "{name:?} was not asked for");
            assert!(
                server.refusals.iter().any(|(at, verb, refused, text)| {
                    *at >= asked.at
                        && *verb == asked.verb
                        && *refused == name
                        && *text == error.message()
                }),
                "{name:?} was not refused: {error}"
            );
        }
        for name in &asked.names {
            let times = asked.names.iter().filter(|one| *one == name).count();
            let refusals = refused.iter().filter(|(one, _)| **one == *name.1).count();
            assert!(refusals <= times);
            let outcomes = self.outcomes.entry(name.clone()).or_default();
            outcomes.insert(asked.at, (asked.verb, refusals == times));
            if refusals < times {
                let ended = self.asked.get(&(Verb::Unsubscribe as u8, name.clone()));
                assert!(
                    since(self.confirmed.get(&(asked.verb as u8, name.clone())))
                        || (asked.verb == Verb::Subscribe && since(ended)),
                    "{name:?} is neither refused nor confirmed nor ended"
                );
            }
        }
    }

    /// The connection is gone. What has ended with it is told next.
    pub(super) fn lost(&mut self, last_heard: Instant) {
        for stream in self.streams.values_mut() {
            // What was not told yet is told with what is missed from now on.
            if stream.subscribed && stream.lost.is_none() {
                stream.lost = stream.due.take().or(Some(last_heard));
            }
        }
    }

    /// What is wanted when all requests are done: the last that was not refused decides.
    pub(super) fn wanted(&self, kind: SubscriptionKind) -> BTreeSet<Vec<u8>> {
        let wanted = |outcomes: &BTreeMap<u64, (Verb, bool)>| {
            let granted = outcomes.values().rev().find(|(_, refused)| !refused);
            granted.is_some_and(|(verb, _)| *verb == Verb::Subscribe)
        };
        let of_kind = self.outcomes.iter().filter(|(name, _)| name.0 == kind);
        of_kind
            .filter(|(_, outcomes)| wanted(outcomes))
            .map(|(name, _)| name.1.clone())
            .collect()
    }

    /// Everything has settled: each name is subscribed without a gap to be told, unless the server refuses it.
    pub(super) fn settled(&self, server: &Server) {
        assert!(self.open.is_empty(), "never done: {:?}", self.open);
        for kind in KINDS {
            for name in self.wanted(kind) {
                let name = (kind, name);
                let stream = self.streams.get(&name).expect("confirmed once");
                assert!(stream.due.is_none(), "the gap of {name:?} was never told");
                let subscribed = server.subscribed.contains(&name);
                assert!(subscribed || !server.grants(&name), "{name:?} is deaf");
                assert_eq!(stream.lost.is_none(), subscribed, "{name:?} {stream:?}");
            }
        }
    }
}
