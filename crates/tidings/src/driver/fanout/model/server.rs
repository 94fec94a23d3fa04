//! A server of sets of names and a queue of frames.

use std::collections::BTreeSet;

use tidings_proto::pubsub::{SubscriptionKind, Verb};
use tidings_proto::{Decoder, Limits, Reply};
use tidings_testkit::{Protocol, frame};

use super::Name;

const BUSY: &str = "BUSY Redis is busy running a script.";
const NO_CHANNEL: &str = "NOPERM No permissions to access a channel";
const NO_COMMAND: &str = "NOPERM User u has no permissions to run the command";

/// One copy of a message, as it was handed over for a name.
pub(super) type Copy = (Name, u64);

pub(super) struct Server {
    protocol: Protocol,
    // What outlives a connection.
    pub(super) denied: BTreeSet<Name>,
    pub(super) busy: bool,
    /// Refuses to end subscriptions.
    pub(super) keeps: bool,
    pub(super) published: u64,
    /// Names that were ever refused.
    pub(super) refused: BTreeSet<Name>,
    // What belongs to a connection.
    pub(super) subscribed: BTreeSet<Name>,
    inbox: Vec<u8>,
    decoder: Decoder,
    wire: Vec<u8>,
}

impl Server {
    pub(super) fn new(protocol: Protocol) -> Self {
        Self {
            protocol,
            denied: BTreeSet::new(),
            busy: false,
            keeps: false,
            published: 0,
            refused: BTreeSet::new(),
            subscribed: BTreeSet::new(),
            inbox: Vec::new(),
            decoder: Decoder::new(Limits::default()),
            wire: Vec::new(),
        }
    }

    /// A new connection.
    pub(super) fn accept(&mut self) {
        self.subscribed.clear();
        self.inbox.clear();
        self.decoder = Decoder::new(Limits::default());
        self.wire.clear();
    }

    pub(super) fn receive(&mut self, bytes: &[u8]) {
        self.inbox.extend_from_slice(bytes);
    }

    /// Up to `n` bytes of the answers.
    pub(super) fn take(&mut self, n: usize) -> Vec<u8> {
        let n = n.min(self.wire.len());
        self.wire.drain(..n).collect()
    }

    /// Runs the next command; false if there is none.
    pub(super) fn serve(&mut self) -> bool {
        let Some(len) = self.decoder.poll_frame(&self.inbox).unwrap() else {
            return false;
        };
        let frame: Vec<u8> = self.inbox.drain(..len).collect();
        let words = Reply::parse(&frame).unwrap().into_elements().unwrap();
        let words: Vec<Vec<u8>> = words
            .map(|word| word.unwrap().as_bytes().unwrap().to_vec())
            .collect();
        let (command, args) = words.split_first().unwrap();
        self.execute(std::str::from_utf8(command).unwrap(), args);
        true
    }

    fn execute(&mut self, command: &str, args: &[Vec<u8>]) {
        use SubscriptionKind::{Channel, Pattern, Shard};
        let (verb, kind) = match command {
            "SUBSCRIBE" => (Verb::Subscribe, Channel),
            "PSUBSCRIBE" => (Verb::Subscribe, Pattern),
            "SSUBSCRIBE" => (Verb::Subscribe, Shard),
            "UNSUBSCRIBE" => (Verb::Unsubscribe, Channel),
            "PUNSUBSCRIBE" => (Verb::Unsubscribe, Pattern),
            "SUNSUBSCRIBE" => (Verb::Unsubscribe, Shard),
            "PING" => return self.ping(),
            _ => panic!("no such command: {command}"),
        };
        let names: Vec<Name> = args.iter().map(|name| (kind, name.clone())).collect();
        assert!(!names.is_empty(), "a {command} without names");
        let denied = names.iter().any(|name| self.denied.contains(name));
        let refusal = match verb {
            _ if self.busy => Some(BUSY),
            Verb::Unsubscribe => self.keeps.then_some(NO_COMMAND),
            Verb::Subscribe => denied.then_some(NO_CHANNEL),
        };
        if let Some(text) = refusal {
            let at_fault = |name: &&Name| text != NO_CHANNEL || self.denied.contains(*name);
            self.refused
                .extend(names.iter().filter(at_fault).cloned().collect::<Vec<_>>());
            return self.wire.extend(frame::error(text));
        }
        for name in names {
            match verb {
                Verb::Subscribe => self.subscribed.insert(name.clone()),
                Verb::Unsubscribe => self.subscribed.remove(&name),
            };
            self.confirm(verb, &name);
        }
    }

    fn ping(&mut self) {
        let pong = if self.busy {
            frame::error(BUSY)
        } else if self.protocol == Protocol::Resp2 && !self.subscribed.is_empty() {
            frame::subscribed_pong("")
        } else {
            frame::simple("PONG")
        };
        self.wire.extend(pong);
    }

    fn confirm(&mut self, verb: Verb, (kind, name): &Name) {
        let shard = *kind == SubscriptionKind::Shard;
        let counted = |one: &&Name| (one.0 == SubscriptionKind::Shard) == shard;
        let count = self.subscribed.iter().filter(counted).count();
        let count = i64::try_from(count).unwrap();
        let frame = frame::confirmation(self.protocol, verb.name(*kind), name, count);
        self.wire.extend(frame);
    }

    /// Ends a shard subscription of itself. Says whether there was one.
    pub(super) fn revoke(&mut self, name: &Name) -> bool {
        let had = self.subscribed.remove(name);
        if had {
            self.confirm(Verb::Unsubscribe, name);
        }
        had
    }

    /// Publishes the next number, to a channel and its patterns or to a shard channel. Gives back for which names of
    /// this connection it was handed over, in order.
    pub(super) fn publish(&mut self, channel: &[u8], shard: bool) -> Vec<Copy> {
        self.published += 1;
        let payload = self.published.to_string();
        let mut copies = Vec::new();
        for (kind, name) in self.subscribed.clone() {
            if !takes((kind, &name), channel, shard) {
                continue;
            }
            let frame = match kind {
                SubscriptionKind::Channel => frame::message(self.protocol, channel, &payload),
                SubscriptionKind::Pattern => {
                    frame::pmessage(self.protocol, &name, channel, &payload)
                }
                SubscriptionKind::Shard => frame::smessage(self.protocol, channel, &payload),
            };
            self.wire.extend(frame);
            copies.push(((kind, name), self.published));
        }
        copies
    }
}

/// Whether what is published to a channel comes for this name. A pattern is a name, or a beginning and a star.
pub(super) fn takes((kind, name): (SubscriptionKind, &[u8]), channel: &[u8], shard: bool) -> bool {
    match kind {
        SubscriptionKind::Channel => !shard && name == channel,
        SubscriptionKind::Shard => shard && name == channel,
        SubscriptionKind::Pattern => {
            let starts = |start| channel.starts_with(start);
            !shard && (name == channel || name.strip_suffix(b"*").is_some_and(starts))
        }
    }
}
