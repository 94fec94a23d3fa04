//! A server of sets of names and a queue of frames, in the frames that live servers send.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{KINDS, Name};
use crate::handshake::Protocol;
use crate::limits::Limits;
use crate::pubsub::{MessageKind, SubscriptionKind, Verb};
use crate::resp::{Decoder, Reply};

pub(super) const BUSY: &str = "BUSY Redis is busy running a script.";
const NO_CHANNEL: &str = "NOPERM No permissions to access a channel";
const NO_COMMAND: &str = "NOPERM User u has no permissions to run the command";
const NO_SUB: &str = "NOSUB command executed not in subscribed mode";
const MOVED: &str = "MOVED 449 127.0.0.1:19101";
const CROSSSLOT: &str = "CROSSSLOT Keys in request don't hash to the same slot";

/// A message as it was handed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) kind: MessageKind,
    pub(super) pattern: Option<Vec<u8>>,
    pub(super) channel: Vec<u8>,
    pub(super) payload: Vec<u8>,
}

/// What the consumer must see, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Seen {
    Message(Sent),
    Confirmed(Verb, Name, i64),
}

/// What kinds of server there are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Flavour {
    pub(super) protocol: Protocol,
    /// Refuses to unsubscribe outside of Pub/Sub mode, as Valkey 8.0.
    pub(super) nosub: bool,
    /// Puts pushes inside of EXEC's array, as Redis 7.0.
    pub(super) nests: bool,
}

#[derive(Debug)]
pub(super) struct Server {
    flavour: Flavour,
    // What outlives a connection.
    pub(super) denied: BTreeSet<Name>,
    pub(super) forbidden: BTreeSet<(u8, SubscriptionKind)>,
    pub(super) moved: BTreeSet<Name>,
    pub(super) busy: bool,
    published: u64,
    /// Which names were refused, when, and in which words.
    pub(super) refusals: Vec<(u64, Verb, Name, &'static str)>,
    // What belongs to a connection.
    pub(super) subscribed: BTreeSet<Name>,
    /// How often each name was granted on this connection.
    pub(super) granted: BTreeMap<Name, usize>,
    /// Names whose subscription it ended by itself, or refused for a time, each time.
    pub(super) revoked: Vec<Name>,
    inbox: Vec<u8>,
    decoder: Decoder,
    wire: Vec<u8>,
    /// What a frame means, and how many bytes of `wire` are needed to know it.
    meanings: VecDeque<(usize, Seen)>,
}

impl Server {
    pub(super) fn new(flavour: Flavour) -> Self {
        Self {
            flavour,
            denied: BTreeSet::new(),
            forbidden: BTreeSet::new(),
            moved: BTreeSet::new(),
            busy: false,
            published: 0,
            refusals: Vec::new(),
            subscribed: BTreeSet::new(),
            granted: BTreeMap::new(),
            revoked: Vec::new(),
            inbox: Vec::new(),
            decoder: Decoder::new(Limits::default()),
            wire: Vec::new(),
            meanings: VecDeque::new(),
        }
    }

    /// A new connection.
    pub(super) fn accept(&mut self) {
        self.subscribed.clear();
        self.granted.clear();
        self.revoked.clear();
        self.inbox.clear();
        self.decoder = Decoder::new(Limits::default());
        self.wire.clear();
        self.meanings.clear();
    }

    pub(super) fn receive(&mut self, bytes: &[u8]) {
        self.inbox.extend_from_slice(bytes);
    }

    /// Up to `n` bytes of the answers, and what is known from them.
    pub(super) fn take(&mut self, n: usize) -> (Vec<u8>, Vec<Seen>) {
        let n = n.min(self.wire.len());
        let bytes: Vec<u8> = self.wire.drain(..n).collect();
        let mut seen = Vec::new();
        while self.meanings.front().is_some_and(|(end, _)| *end <= n) {
            seen.extend(self.meanings.pop_front().map(|(_, meaning)| meaning));
        }
        for (end, _) in &mut self.meanings {
            *end -= n;
        }
        (bytes, seen)
    }

    /// Runs the next command; false if there is none.
    pub(super) fn serve(&mut self, clock: u64) -> bool {
        let Some(len) = self.decoder.poll_frame(&self.inbox).unwrap() else {
            return false;
        };
        let frame: Vec<u8> = self.inbox.drain(..len).collect();
        let Ok(Reply::Array(words)) = Reply::parse(&frame) else {
            panic!("a command is an array")
        };
        let words: Vec<Vec<u8>> = words
            .map(|word| word.unwrap().as_bytes().unwrap().to_vec())
            .collect();
        let (command, args) = words.split_first().unwrap();
        self.execute(std::str::from_utf8(command).unwrap(), args, clock);
        true
    }

    fn execute(&mut self, command: &str, args: &[Vec<u8>], clock: u64) {
        use SubscriptionKind::{Channel, Pattern, Shard};
        let (verb, kind) = match command {
            "SUBSCRIBE" => (Verb::Subscribe, Channel),
            "PSUBSCRIBE" => (Verb::Subscribe, Pattern),
            "SSUBSCRIBE" => (Verb::Subscribe, Shard),
            "UNSUBSCRIBE" => (Verb::Unsubscribe, Channel),
            "PUNSUBSCRIBE" => (Verb::Unsubscribe, Pattern),
            "SUNSUBSCRIBE" => (Verb::Unsubscribe, Shard),
            _ => return self.reply(command, args),
        };
        assert!(!args.is_empty(), "a {command} without names");
        assert!(args.len() <= 1000, "{} names in one command", args.len());
        let names: Vec<Name> = args.iter().map(|name| (kind, name.clone())).collect();
        let refusal = |one: &dyn Fn(&Name) -> bool, text| {
            let at_fault: Vec<Name> = names.iter().filter(|name| one(name)).cloned().collect();
            (!at_fault.is_empty()).then_some((at_fault, text))
        };
        let shard = kind == Shard;
        let idle = self.subscribed.is_empty();
        let refused = None
            .or_else(|| refusal(&|_| self.busy, BUSY))
            .or_else(|| {
                refusal(
                    &|_| self.forbidden.contains(&(verb as u8, kind)),
                    NO_COMMAND,
                )
            })
            .or_else(|| refusal(&|name| shard && self.moved.contains(name), MOVED))
            .or_else(|| refusal(&|(_, name)| shard && tag(name) != tag(&args[0]), CROSSSLOT))
            .or_else(|| match verb {
                Verb::Subscribe => refusal(&|name| self.denied.contains(name), NO_CHANNEL),
                Verb::Unsubscribe => refusal(&|_| idle && self.flavour.nosub, NO_SUB),
            });
        if let Some((at_fault, text)) = refused {
            assert_ne!(text, CROSSSLOT);
            for name in at_fault {
                self.refusals.push((clock, verb, name, text));
            }
            return self.line('-', text);
        }
        for name in names {
            match verb {
                Verb::Subscribe => {
                    self.subscribed.insert(name.clone());
                    *self.granted.entry(name.clone()).or_default() += 1;
                }
                Verb::Unsubscribe => {
                    self.subscribed.remove(&name);
                }
            }
            self.confirm(verb, &name);
        }
    }

    fn reply(&mut self, command: &str, args: &[Vec<u8>]) {
        if self.busy {
            return self.line('-', BUSY);
        }
        let subscribed = !self.subscribed.is_empty() && self.flavour.protocol == Protocol::Resp2;
        match (command, args.first()) {
            ("PING", None) if !subscribed => self.line('+', "PONG"),
            ("PING", text) if subscribed => {
                self.header('*', 2);
                self.bulk(b"pong");
                self.bulk(text.map_or(b"", |text| text));
            }
            ("PING" | "ECHO", Some(text)) => self.bulk(text),
            // A transaction that published to a channel of this connection's.
            ("EXEC", Some(text)) => {
                let channel = self.subscribed.first().map(|name| name.1.clone());
                self.header('*', 2);
                self.bulk(text);
                let inside = self.wire.len();
                if let Some(channel) = channel.filter(|_| self.flavour.nests) {
                    self.publish(&channel);
                }
                self.line(':', "1");
                // The message is known with the end of the reply.
                let end = self.wire.len();
                for (known, _) in self
                    .meanings
                    .iter_mut()
                    .filter(|(known, _)| *known > inside)
                {
                    *known = end;
                }
            }
            _ => panic!("no such command: {command}"),
        }
    }

    /// Publishes to channels and patterns.
    pub(super) fn publish(&mut self, channel: &[u8]) {
        self.published += 1;
        let payload = format!("{}\r\n", self.published).into_bytes();
        for (kind, name) in self.subscribed.clone() {
            let (kind, pattern) = match kind {
                SubscriptionKind::Channel if name == channel => (MessageKind::Message, None),
                SubscriptionKind::Pattern if matches(&name, channel) => {
                    (MessageKind::PMessage, Some(name))
                }
                _ => continue,
            };
            self.hand_over(Sent {
                kind,
                pattern,
                channel: channel.to_vec(),
                payload: payload.clone(),
            });
        }
    }

    pub(super) fn spublish(&mut self, channel: &[u8]) {
        self.published += 1;
        if self
            .subscribed
            .contains(&(SubscriptionKind::Shard, channel.to_vec()))
        {
            self.hand_over(Sent {
                kind: MessageKind::SMessage,
                pattern: None,
                channel: channel.to_vec(),
                payload: self.published.to_string().into_bytes(),
            });
        }
    }

    fn hand_over(&mut self, message: Sent) {
        let word: &[u8] = match message.kind {
            MessageKind::Message => b"message",
            MessageKind::PMessage => b"pmessage",
            MessageKind::SMessage => b"smessage",
        };
        self.push_header(if message.pattern.is_some() { 4 } else { 3 });
        self.bulk(word);
        if let Some(pattern) = &message.pattern {
            self.bulk(pattern);
        }
        self.bulk(&message.channel);
        self.bulk(&message.payload);
        self.meanings
            .push_back((self.wire.len(), Seen::Message(message)));
    }

    /// Ends a shard subscription of itself, byte for byte like a reply.
    pub(super) fn revoke(&mut self, name: &Name) {
        if self.subscribed.remove(name) {
            self.revoked.push(name.clone());
            self.confirm(Verb::Unsubscribe, name);
        }
    }

    fn confirm(&mut self, verb: Verb, name: &Name) {
        let shard = name.0 == SubscriptionKind::Shard;
        let counted = |one: &&Name| (one.0 == SubscriptionKind::Shard) == shard;
        let count = self.subscribed.iter().filter(counted).count() as i64;
        self.push_header(3);
        self.bulk(verb.name(name.0).as_bytes());
        self.bulk(&name.1);
        self.line(':', &count.to_string());
        self.meanings
            .push_back((self.wire.len(), Seen::Confirmed(verb, name.clone(), count)));
    }

    fn push_header(&mut self, elements: usize) {
        let resp2 = self.flavour.protocol == Protocol::Resp2;
        self.header(if resp2 { '*' } else { '>' }, elements);
    }

    fn header(&mut self, kind: char, elements: usize) {
        self.line(kind, &elements.to_string());
    }

    fn bulk(&mut self, bytes: &[u8]) {
        self.header('$', bytes.len());
        self.wire.extend_from_slice(bytes);
        self.wire.extend_from_slice(b"\r\n");
    }

    fn line(&mut self, kind: char, text: &str) {
        self.wire
            .extend_from_slice(format!("{kind}{text}\r\n").as_bytes());
    }

    /// Whether the server would grant this name now.
    pub(super) fn grants(&self, name: &Name) -> bool {
        !self.busy
            && !self.denied.contains(name)
            && !self.moved.contains(name)
            && !self.forbidden.contains(&(Verb::Subscribe as u8, name.0))
    }

    /// Everything is as it should be again, but for the permissions.
    pub(super) fn recover(&mut self) {
        self.busy = false;
        self.moved.clear();
        self.forbidden
            .retain(|(verb, _)| *verb == Verb::Subscribe as u8);
        assert_eq!(KINDS.len(), 3);
    }
}

/// A pattern of this server is a name, or a beginning and a star.
fn matches(pattern: &[u8], channel: &[u8]) -> bool {
    pattern == channel
        || pattern
            .strip_suffix(b"*")
            .is_some_and(|start| channel.starts_with(start))
}

/// The part of a name that its slot depends on.
pub(super) fn tag(name: &[u8]) -> &[u8] {
    let whole = || {
        let open = name.iter().position(|byte| *byte == b'{')? + 1;
        let len = name[open..].iter().position(|byte| *byte == b'}')?;
        (len > 0).then(|| &name[open..open + len])
    };
    whole().unwrap_or(name)
}
