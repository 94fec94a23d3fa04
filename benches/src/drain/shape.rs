//! What is subscribed to, and what the messages look like.

use std::fmt;
use std::str::FromStr;

use tidings_testkit::{SLOTS, slot_of};

use crate::drain::wire::{self, Protocol};

/// One row group of the table: a payload size on one channel, or the mix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// One channel, payloads of this many bytes.
    Size(usize),
    /// So many channels, in turn; payloads of so many bytes. For many subscribers: the stream begins when
    /// [`GATE`] is subscribed to as well.
    Many(usize, usize),
    /// [`MIX_CHANNELS`] channels and [`MIX_PATTERNS`] patterns. Every channel matches one pattern,
    /// so that, as from a real server, each publication arrives twice: by channel, then by pattern.
    Mix,
    /// [`SHARDED_CHANNELS`] channels in turn over the slots of so many nodes, payloads of so many bytes. A node sends what is
    /// in its slots to who subscribed to shard channels, and everything to anybody else.
    Sharded(usize, usize),
}

/// A channel without messages, subscribed to when all subscribers stand.
pub(crate) const GATE: &str = "gate";

const SHARDED_CHANNELS: usize = 48;
const MIX_CHANNELS: usize = 100;
const MIX_PATTERNS: usize = 10;
/// Payload of the mix: that of a row with one channel, so that the two rows differ by the names.
const MIX_PAYLOAD: usize = 256;

/// Messages are written in blocks of whole frames of about this size: large enough that the server
/// spends its time in the kernel, small enough that a client's PING is soon answered.
const BLOCK: usize = 1 << 20;

impl Shape {
    pub(crate) const USUAL: &[Self] = &[
        Self::Size(16),
        Self::Size(256),
        Self::Size(4096),
        Self::Size(65536),
        Self::Mix,
    ];

    pub(crate) fn channels(self) -> Vec<String> {
        match self {
            Self::Size(_) => vec!["bench".to_owned()],
            Self::Many(channels, _) => (0..channels).map(|n| format!("bench:{n:04}")).collect(),
            Self::Mix => (0..MIX_CHANNELS).map(|n| format!("bench:{n:02}")).collect(),
            Self::Sharded(nodes, _) => sharded_channels(nodes),
        }
    }

    /// How many nodes there are, where this is for a cluster.
    pub(crate) fn nodes(self) -> Option<usize> {
        match self {
            Self::Sharded(nodes, _) => Some(nodes),
            _ => None,
        }
    }

    pub(crate) fn patterns(self) -> Vec<String> {
        match self {
            Self::Size(_) | Self::Many(..) | Self::Sharded(..) => Vec::new(),
            Self::Mix => (0..MIX_PATTERNS).map(|n| format!("bench:{n}*")).collect(),
        }
    }

    pub(crate) fn payload_len(self) -> usize {
        match self {
            Self::Size(size) | Self::Many(_, size) | Self::Sharded(_, size) => size,
            Self::Mix => MIX_PAYLOAD,
        }
    }

    pub(crate) fn has_gate(self) -> bool {
        matches!(self, Self::Many(..))
    }

    /// What one message takes on the wire, about.
    pub(crate) fn frame_len(self) -> usize {
        let block = Block::new(self, Protocol::Resp3);
        block.bytes.len() / block.ends.len()
    }
}

impl FromStr for Shape {
    type Err = Box<dyn std::error::Error + Send + Sync>;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = |text: &str| {
            let number = text.parse::<usize>();
            number.map_err(|_| format!("`{text}` is neither a size nor `mix`"))
        };
        if let Some((nodes, size)) = text.split_once('/') {
            return Ok(Self::Sharded(number(nodes)?.max(1), number(size)?));
        }
        Ok(match (text, text.split_once('x')) {
            ("mix", _) => Self::Mix,
            (_, Some((channels, size))) => Self::Many(number(channels)?.max(1), number(size)?),
            (size, None) => Self::Size(number(size)?),
        })
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Size(size) => write!(f, "{size}"),
            Self::Many(channels, size) => write!(f, "{channels}x{size}"),
            Self::Mix => f.write_str("mix"),
            Self::Sharded(nodes, size) => write!(f, "{nodes}/{size}"),
        }
    }
}

/// As many for each node.
fn sharded_channels(nodes: usize) -> Vec<String> {
    let mut left = vec![SHARDED_CHANNELS / nodes; nodes];
    let mut channels = Vec::new();
    for n in 0.. {
        let channel = format!("bench:{n:04}");
        let left = &mut left[node_of(&channel, nodes)];
        if *left > 0 {
            *left -= 1;
            channels.push(channel);
        }
        if channels.len() == SHARDED_CHANNELS / nodes * nodes {
            break;
        }
    }
    channels
}

/// Whose slots a channel is in.
pub(crate) fn node_of(channel: &str, nodes: usize) -> usize {
    usize::from(slot_of(channel)) * nodes / usize::from(SLOTS)
}

/// Encoded messages, to be written again and again.
pub(crate) struct Block {
    bytes: Vec<u8>,
    /// Where each message ends.
    ends: Vec<usize>,
}

impl Block {
    pub(crate) fn new(shape: Shape, protocol: Protocol) -> Self {
        Self::of(shape, protocol, &shape.channels(), "message")
    }

    /// Of some of the channels, and another kind of messages.
    pub(crate) fn of(shape: Shape, protocol: Protocol, channels: &[String], kind: &str) -> Self {
        let patterns = shape.patterns();
        let mut block = Self {
            bytes: Vec::with_capacity(BLOCK),
            ends: Vec::new(),
        };
        for publication in 0.. {
            if block.bytes.len() >= BLOCK {
                break;
            }
            let index = channel_of(publication, channels.len());
            let channel = &channels[index];
            let payload = payload(shape.payload_len(), publication);
            wire::message(&mut block.bytes, protocol, kind, channel, &payload);
            block.ends.push(block.bytes.len());
            if let Some(pattern) = patterns.get(index * patterns.len() / channels.len()) {
                wire::pattern_message(&mut block.bytes, protocol, pattern, channel, &payload);
                block.ends.push(block.bytes.len());
            }
        }
        block
    }

    /// The slices that make up exactly `messages` messages.
    pub(crate) fn slices(&self, messages: u64) -> impl Iterator<Item = &[u8]> {
        let whole = messages / self.ends.len() as u64;
        let rest = (messages % self.ends.len() as u64) as usize;
        let rest = if rest == 0 { 0 } else { self.ends[rest - 1] };
        (0..whole)
            .map(|_| self.bytes.as_slice())
            .chain([&self.bytes[..rest]])
    }

    /// How many of `messages` messages each channel gets, in the order of [`Shape::channels`].
    pub(crate) fn shares(&self, shape: Shape, messages: u64) -> Vec<u64> {
        let channels = shape.channels().len();
        let per_block = self.ends.len() as u64;
        let mut shares = vec![0; channels];
        for publication in 0..self.ends.len() {
            let rest = u64::from((publication as u64) < messages % per_block);
            shares[channel_of(publication, channels)] += messages / per_block + rest;
        }
        shares
    }

    /// How many bytes `messages` messages take.
    pub(crate) fn stream_len(&self, messages: u64) -> u64 {
        self.slices(messages).map(|slice| slice.len() as u64).sum()
    }
}

/// Which channel a publication is for: a stride that shares no factor with their number visits all of them.
fn channel_of(publication: usize, channels: usize) -> usize {
    publication * 37 % channels
}

/// Digits that tell which publication of the block this is, then letters.
fn payload(size: usize, publication: usize) -> Vec<u8> {
    let letters = (b'a'..=b'z').cycle().skip(publication % 26);
    format!("{publication:08}")
        .into_bytes()
        .into_iter()
        .chain(letters)
        .take(size)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_hold_exactly_the_messages_asked_for() {
        for shape in Shape::USUAL {
            let block = Block::new(*shape, Protocol::Resp2);
            let per_block = block.ends.len() as u64;
            for messages in [
                1,
                per_block - 1,
                per_block,
                per_block + 1,
                3 * per_block + 2,
            ] {
                let stream: Vec<u8> = block.slices(messages).flatten().copied().collect();
                let starts = stream.split(|byte| *byte == b'*').count() as u64 - 1;
                // The patterns of the mix hold a `*` each.
                let in_patterns = if *shape == Shape::Mix {
                    messages / 2
                } else {
                    0
                };
                assert_eq!(starts - in_patterns, messages);
                assert_eq!(stream.len() as u64, block.stream_len(messages));
            }
        }
    }

    #[test]
    fn the_shares_of_the_channels_are_what_the_stream_holds() {
        let shape: Shape = "100x16".parse().unwrap();
        let block = Block::new(shape, Protocol::Resp3);
        let messages = block.ends.len() as u64 * 2 + 150;
        let stream: Vec<u8> = block.slices(messages).flatten().copied().collect();
        let text = String::from_utf8(stream).unwrap();
        let counted = shape.channels().into_iter();
        let counted = counted.map(|name| text.matches(&format!("\r\n{name}\r\n")).count() as u64);
        assert_eq!(block.shares(shape, messages), counted.collect::<Vec<_>>());
    }

    #[test]
    fn each_channel_of_the_mix_matches_the_pattern_it_is_sent_with() {
        let block = Block::new(Shape::Mix, Protocol::Resp3);
        let text = String::from_utf8(block.bytes).unwrap();
        let mut frames = text.split(">4\r\n").skip(1);
        assert!(frames.all(|frame| {
            let lines: Vec<&str> = frame.split("\r\n").collect();
            let (pattern, channel) = (lines[3], lines[5]);
            channel.starts_with(pattern.trim_end_matches('*'))
        }));
    }
}
