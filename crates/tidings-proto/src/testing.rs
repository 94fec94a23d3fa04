//! Two ends without a socket: a connection with its subscriptions, and a peer that says what a test wants.

use std::time::{Duration, Instant};

use crate::blob::Blob;
use crate::connection::{Connection, ConnectionOptions, Event};
use crate::error::ProtocolError;
use crate::handshake::Protocol;
use crate::limits::Limits;
use crate::pubsub::{
    GapCause, MessageKind, OpId, SubscriptionEvent, SubscriptionKind, Subscriptions, Verb,
};
use crate::resp::{Decoder, Reply};

pub(crate) const INTERVAL: Duration = Duration::from_secs(5);
pub(crate) const TIMEOUT: Duration = Duration::from_secs(3);

pub(crate) const BOTH: [Protocol; 2] = [Protocol::Resp2, Protocol::Resp3];

/// A connection whose events and commands are shown as lines.
pub(crate) struct Ends {
    pub(crate) core: Subscriptions,
    pub(crate) connection: Connection<&'static str>,
    pub(crate) now: Instant,
    pub(crate) limits: Limits,
    pub(crate) output: Vec<u8>,
    /// The beginning of the last gap.
    pub(crate) gap_since: Option<Instant>,
    protocol: Protocol,
    input: Vec<u8>,
}

impl Ends {
    /// Connected, nothing subscribed.
    pub(crate) fn new(protocol: Protocol) -> Self {
        let (now, limits) = (Instant::now(), Limits::default());
        let mut core = Subscriptions::new();
        core.connected();
        Self {
            core,
            connection: Connection::new(options(protocol, limits), now),
            now,
            limits,
            output: Vec::new(),
            gap_since: None,
            protocol,
            input: Vec::new(),
        }
    }

    pub(crate) fn subscribe(&mut self, names: &[&str]) -> OpId {
        self.core.subscribe(SubscriptionKind::Channel, blobs(names))
    }

    pub(crate) fn unsubscribe(&mut self, names: &[&str]) -> OpId {
        self.core
            .unsubscribe(SubscriptionKind::Channel, blobs(names))
    }

    pub(crate) fn ssubscribe(&mut self, names: &[&str]) -> OpId {
        self.core.subscribe(SubscriptionKind::Shard, blobs(names))
    }

    pub(crate) fn sunsubscribe(&mut self, names: &[&str]) -> OpId {
        self.core.unsubscribe(SubscriptionKind::Shard, blobs(names))
    }

    /// Subscribed to channels, all of it confirmed.
    pub(crate) fn subscribed(protocol: Protocol, names: &[&str]) -> Self {
        let mut ends = Self::new(protocol);
        ends.subscribe(names);
        ends.sends();
        ends.confirms("subscribe", names);
        ends
    }

    /// Subscribed to shard channels, all of it confirmed.
    pub(crate) fn ssubscribed(protocol: Protocol, names: &[&str]) -> Self {
        let mut ends = Self::new(protocol);
        ends.ssubscribe(names);
        ends.sends();
        ends.confirms("ssubscribe", names);
        ends
    }

    pub(crate) fn confirms(&mut self, what: &str, names: &[&str]) -> Vec<String> {
        let line = |(at, name)| format!("{what} {name} {}", at + 1);
        let lines: Vec<String> = names.iter().enumerate().map(line).collect();
        self.hears(&lines.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// A request of so many replies.
    pub(crate) fn request(&mut self, token: &'static str, replies: usize) {
        self.connection.request(token, replies);
    }

    /// The commands that are due.
    pub(crate) fn sends(&mut self) -> Vec<String> {
        self.connection
            .poll_transmit(&mut self.core, &mut self.output, self.now);
        commands(&std::mem::take(&mut self.output))
    }

    pub(crate) fn hears(&mut self, lines: &[&str]) -> Vec<String> {
        self.try_hears(lines).unwrap()
    }

    /// Takes what the peer says and shows the events: lines as `subscribe a 1` or `message a text` are Pub/Sub
    /// frames, others go onto the wire as they are.
    pub(crate) fn try_hears(&mut self, lines: &[&str]) -> Result<Vec<String>, ProtocolError> {
        let bytes: Vec<u8> = lines
            .iter()
            .flat_map(|line| frame(self.protocol, line))
            .collect();
        self.try_reads(&bytes)
    }

    pub(crate) fn try_reads(&mut self, bytes: &[u8]) -> Result<Vec<String>, ProtocolError> {
        self.input.extend_from_slice(bytes);
        self.connection.heard(self.now);
        let mut shown = Vec::new();
        while let Some(event) = self
            .connection
            .poll_event(&self.input, &mut self.core, self.now)?
        {
            if let Event::Subscription(SubscriptionEvent::Gap { since, .. }) = &event {
                self.gap_since = Some(*since);
            }
            shown.push(self.show(event));
        }
        let consumed = self.connection.take_consumed();
        self.input.drain(..consumed);
        Ok(shown)
    }

    /// Events that come of requests.
    pub(crate) fn events(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.core.poll_event())
            .map(show)
            .collect()
    }

    pub(crate) fn lose(&mut self) -> Vec<String> {
        self.core
            .lost(self.connection.last_heard(), GapCause::Disconnected);
        self.input.clear();
        self.events()
    }

    pub(crate) fn connect(&mut self) {
        self.connection = Connection::new(options(self.protocol, self.limits), self.now);
        self.core.connected();
    }

    pub(crate) fn wanted(&self) -> Vec<String> {
        let kinds = [
            SubscriptionKind::Channel,
            SubscriptionKind::Pattern,
            SubscriptionKind::Shard,
        ];
        kinds
            .iter()
            .flat_map(|kind| self.core.wanted(*kind))
            .map(|name| name.to_string())
            .collect()
    }

    fn show(&self, event: Event<&'static str>) -> String {
        let text = |range| String::from_utf8_lossy(&self.input[range]).into_owned();
        match event {
            Event::Replies { range, done } => {
                let done = done
                    .map(|token| format!(" for {token}"))
                    .unwrap_or_default();
                format!("{}{done}", text(range).trim_end().replace("\r\n", " "))
            }
            Event::Message(record) => {
                let kind = match record.kind() {
                    MessageKind::Message => "message",
                    MessageKind::PMessage => "pmessage",
                    MessageKind::SMessage => "smessage",
                };
                format!(
                    "{kind} {} {}",
                    text(record.channel()),
                    text(record.payload())
                )
            }
            Event::Subscription(event) => show(event),
            Event::Pong => "pong".to_owned(),
            Event::Push(range) => format!("push {}", text(range).replace("\r\n", " ")),
        }
    }
}

pub(crate) fn options(protocol: Protocol, limits: Limits) -> ConnectionOptions {
    ConnectionOptions {
        protocol,
        pubsub: true,
        limits,
        ping_interval: INTERVAL,
        ping_timeout: TIMEOUT,
    }
}

pub(crate) fn blobs(names: &[&str]) -> Vec<Blob> {
    names.iter().map(|name| Blob::from(*name)).collect()
}

/// Commands, their words joined by blanks.
pub(crate) fn commands(mut bytes: &[u8]) -> Vec<String> {
    let mut decoder = Decoder::new(Limits::default());
    let mut commands = Vec::new();
    while let Some(len) = decoder.poll_frame(bytes).unwrap() {
        let words = Reply::parse(&bytes[..len])
            .unwrap()
            .into_elements()
            .unwrap();
        let word = |word: Reply<'_>| String::from_utf8_lossy(word.as_bytes().unwrap()).into_owned();
        let words: Vec<String> = words.map(|one| word(one.unwrap())).collect();
        commands.push(words.join(" "));
        bytes = &bytes[len..];
    }
    assert!(bytes.is_empty(), "whole commands");
    commands
}

fn frame(protocol: Protocol, line: &str) -> Vec<u8> {
    let words: Vec<&str> = line.split(' ').collect();
    let confirmation = words[0].ends_with("subscribe");
    if words[0] == "pong" && protocol == Protocol::Resp3 {
        return b"+PONG\r\n".to_vec();
    }
    if !confirmation && !["message", "pmessage", "smessage", "pong"].contains(&words[0]) {
        return format!("{line}\r\n").into_bytes();
    }
    let head = if protocol == Protocol::Resp2 {
        '*'
    } else {
        '>'
    };
    let mut frame = format!("{head}{}\r\n", words.len());
    for (at, word) in words.iter().enumerate() {
        frame += &if confirmation && at == 2 {
            format!(":{word}\r\n")
        } else {
            format!("${}\r\n{word}\r\n", word.len())
        };
    }
    frame.into_bytes()
}

fn show(event: SubscriptionEvent) -> String {
    match event {
        SubscriptionEvent::Confirmed {
            verb,
            kind,
            name,
            count,
        } => {
            format!("{} {name} {count}", verb.name(kind))
        }
        SubscriptionEvent::Refused { kind, name, error } => {
            format!(
                "refused {} {name}: {}",
                Verb::Subscribe.name(kind),
                error.code()
            )
        }
        SubscriptionEvent::Gap { cause, names, .. }
        | SubscriptionEvent::Missed { cause, names, .. } => {
            let names: Vec<String> = names.iter().map(|(_, name)| name.to_string()).collect();
            format!("gap {cause:?} {}", names.join(" "))
        }
        SubscriptionEvent::Revoked { name } => format!("revoked {name}"),
        SubscriptionEvent::Deferred { name, error } => format!("deferred {name} {}", error.code()),
        SubscriptionEvent::Done { refused, .. } => {
            let refused = refused
                .iter()
                .map(|(name, error)| format!(" {name}: {}", error.code()));
            format!("done{}", refused.collect::<String>())
        }
    }
}
