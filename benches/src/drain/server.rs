//! The canned server: it answers the handshake and the subscriptions, then writes messages that were
//! encoded beforehand as fast as the socket takes them. It is a process of its own, so that its CPU
//! time is nobody else's.

use std::collections::BTreeSet;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::Result;
use crate::drain::request;
use crate::drain::shape::{self, Block, Shape};
use crate::drain::wire::{self, Protocol};
use crate::machine::{self, Core};
use crate::measure::monotonic_nanos;

/// Between the last confirmation and the first message, so that a client is done with starting up.
const PAUSE: Duration = Duration::from_millis(50);

/// Prints the port, and for each stream that it starts the protocol; ends with its standard input.
pub(crate) fn run(shape: Shape, messages: u64) -> Result<()> {
    machine::pin(Core::First);
    let listeners: Vec<TcpListener> = (0..shape.nodes().unwrap_or(1))
        .map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
        .collect::<io::Result<_>>()?;
    let ports: io::Result<Vec<u16>> = listeners
        .iter()
        .map(|listener| Ok(listener.local_addr()?.port()))
        .collect();
    let ports: Arc<[u16]> = ports?.into();
    println!("{}", ports[0]);
    for (node, listener) in listeners.into_iter().enumerate() {
        let ports = Arc::clone(&ports);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let session = Session::new(stream, shape, messages, (node, Arc::clone(&ports)));
                thread::spawn(move || session.run());
            }
        });
    }
    io::copy(&mut io::stdin(), &mut io::sink())?;
    Ok(())
}

/// One connection.
struct Session {
    stream: TcpStream,
    shape: Shape,
    messages: u64,
    /// Which of the nodes at these ports it is.
    node: (usize, Arc<[u16]>),
    protocol: Protocol,
    channels: BTreeSet<Vec<u8>>,
    patterns: BTreeSet<Vec<u8>>,
    shards: BTreeSet<Vec<u8>>,
    /// Bytes that are not a whole command yet.
    input: Vec<u8>,
    /// Answers not yet written; empty between two blocks of messages.
    output: Vec<u8>,
}

impl Session {
    fn new(stream: TcpStream, shape: Shape, messages: u64, node: (usize, Arc<[u16]>)) -> Self {
        Self {
            stream,
            shape,
            messages,
            node,
            protocol: Protocol::Resp2,
            channels: BTreeSet::new(),
            patterns: BTreeSet::new(),
            shards: BTreeSet::new(),
            input: Vec::new(),
            output: Vec::new(),
        }
    }

    /// Serves until the client goes away, by whatever error that shows.
    fn run(mut self) -> io::Result<()> {
        self.stream.set_nodelay(true)?;
        while !self.is_complete() {
            self.read_commands()?;
        }
        thread::sleep(PAUSE);
        println!("{}", self.protocol.number());
        self.write_messages()?;
        loop {
            self.read_commands()?;
        }
    }

    fn is_complete(&self) -> bool {
        if !self.shards.is_empty() {
            return self.shards.len() == self.own_channels().len();
        }
        let gate = usize::from(self.shape.has_gate());
        self.channels.len() == self.shape.channels().len() + gate
            && self.patterns.len() == self.shape.patterns().len()
    }

    /// Those in the slots of this node.
    fn own_channels(&self) -> Vec<String> {
        let (node, ports) = &self.node;
        let mut channels = self.shape.channels();
        channels.retain(|channel| shape::node_of(channel, ports.len()) == *node);
        channels
    }

    /// What the stream consists of: the kind of its messages, their channels, and how many there are.
    fn stream(&self) -> (&'static str, Vec<String>, u64) {
        if self.shards.is_empty() {
            return ("message", self.shape.channels(), self.messages);
        }
        let (node, ports) = &self.node;
        let (node, nodes) = (*node as u64, ports.len() as u64);
        let rest = u64::from(node < self.messages % nodes);
        (
            "smessage",
            self.own_channels(),
            self.messages / nodes + rest,
        )
    }

    fn write_messages(&mut self) -> io::Result<()> {
        let (kind, channels, messages) = self.stream();
        let block = Block::of(self.shape, self.protocol, &channels, kind);
        let started = monotonic_nanos();
        for slice in block.slices(messages) {
            self.stream.write_all(slice)?;
            self.answer_what_is_there()?;
        }
        for channel in &channels {
            wire::marker(&mut self.output, self.protocol, kind, channel, started);
        }
        self.flush()
    }

    /// Answers commands that came meanwhile, a keepalive PING say, without waiting for any.
    fn answer_what_is_there(&mut self) -> io::Result<()> {
        self.stream.set_nonblocking(true)?;
        let read = self.read_into_input();
        self.stream.set_nonblocking(false)?;
        match read {
            Ok(()) => self.answer_input(),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn read_commands(&mut self) -> io::Result<()> {
        self.read_into_input()?;
        self.answer_input()
    }

    fn read_into_input(&mut self) -> io::Result<()> {
        let mut buffer = [0; 16 * 1024];
        match self.stream.read(&mut buffer)? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            read => {
                self.input.extend_from_slice(&buffer[..read]);
                Ok(())
            }
        }
    }

    fn answer_input(&mut self) -> io::Result<()> {
        while let Some((arguments, len)) = request::parse(&self.input) {
            self.input.drain(..len);
            self.answer(&arguments);
        }
        self.flush()
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.write_all(&self.output)?;
        self.output.clear();
        Ok(())
    }

    fn answer(&mut self, arguments: &[Vec<u8>]) {
        let Some((name, arguments)) = arguments.split_first() else {
            return;
        };
        let subscribed = self.subscribed() > 0;
        let out = &mut self.output;
        match name.to_ascii_uppercase().as_slice() {
            b"SUBSCRIBE" => self.subscribe("subscribe", arguments),
            b"SSUBSCRIBE" => self.subscribe("ssubscribe", arguments),
            b"SUNSUBSCRIBE" => self.unsubscribe("sunsubscribe", arguments),
            b"PSUBSCRIBE" => self.subscribe("psubscribe", arguments),
            b"UNSUBSCRIBE" => self.unsubscribe("unsubscribe", arguments),
            b"PUNSUBSCRIBE" => self.unsubscribe("punsubscribe", arguments),
            b"PING" => {
                let text = arguments.first().map(Vec::as_slice);
                wire::pong(out, self.protocol, subscribed, text);
            }
            b"HELLO" => {
                match arguments.first().map(Vec::as_slice) {
                    Some(b"2") => self.protocol = Protocol::Resp2,
                    Some(b"3") => self.protocol = Protocol::Resp3,
                    _ => {}
                }
                wire::hello(out, self.protocol);
            }
            b"CLIENT" => match arguments
                .first()
                .map(|name| name.to_ascii_uppercase())
                .as_deref()
            {
                Some(b"ID") => wire::header(out, ':', 1),
                Some(b"GETNAME" | b"LIST" | b"INFO") => wire::bulk(out, b""),
                _ => wire::simple(out, "OK"),
            },
            b"INFO" => wire::bulk(
                out,
                b"# Server\r\nredis_version:8.0.0\r\nredis_mode:standalone\r\n",
            ),
            b"COMMAND" => wire::header(out, '*', 0),
            b"CLUSTER" if self.shape.nodes().is_some() => wire::shards(out, &self.node.1),
            b"CLUSTER" => wire::error(out, "ERR This instance has cluster support disabled"),
            b"AUTH" | b"SELECT" | b"QUIT" | b"RESET" => wire::simple(out, "OK"),
            other => {
                let other = String::from_utf8_lossy(other);
                wire::error(out, &format!("ERR unknown command '{other}'"));
            }
        }
    }

    fn subscribe(&mut self, kind: &str, names: &[Vec<u8>]) {
        for name in names {
            self.names_of(kind).insert(name.clone());
            self.confirm(kind, name);
        }
    }

    fn unsubscribe(&mut self, kind: &str, names: &[Vec<u8>]) {
        let names = match names {
            [] => self.names_of(kind).iter().cloned().collect(),
            names => names.to_vec(),
        };
        for name in &names {
            self.names_of(kind).remove(name);
            self.confirm(kind, name);
        }
    }

    fn names_of(&mut self, kind: &str) -> &mut BTreeSet<Vec<u8>> {
        match kind {
            "psubscribe" | "punsubscribe" => &mut self.patterns,
            "ssubscribe" | "sunsubscribe" => &mut self.shards,
            _ => &mut self.channels,
        }
    }

    fn subscribed(&self) -> usize {
        self.channels.len() + self.patterns.len() + self.shards.len()
    }

    fn confirm(&mut self, kind: &str, name: &[u8]) {
        let count = self.subscribed();
        wire::confirmation(&mut self.output, self.protocol, kind, name, count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ping_amid_the_messages_is_answered_between_two_of_them() {
        let messages = 100_000;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, _) = listener.accept().unwrap();
        thread::spawn(move || {
            Session::new(stream, Shape::Size(16), messages, (0, Arc::new([0]))).run()
        });

        client.write_all(b"HELLO 3\r\nSUBSCRIBE bench\r\n").unwrap();
        let mut received = Vec::new();
        let mut pinged = false;
        while !contains(&received, wire::MARKER.as_bytes()) || !received.ends_with(b"\r\n") {
            let mut buffer = [0; 16 * 1024];
            let read = client.read(&mut buffer).unwrap();
            received.extend_from_slice(&buffer[..read]);
            if !pinged && contains(&received, b"00000000") {
                client.write_all(b"PING\r\n").unwrap();
                pinged = true;
            }
        }
        let text = String::from_utf8(received).unwrap();
        assert_eq!(text.matches("+PONG\r\n>3\r\n$7\r\nmessage\r\n").count(), 1);
        let frames = text
            .matches("\r\n>3\r\n$7\r\nmessage\r\n$5\r\nbench\r\n$16\r\n")
            .count();
        assert_eq!(frames as u64, messages);
    }

    /// Whether the end of `bytes`, as far as one read may have brought it, holds `wanted`.
    fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
        let start = bytes.len().saturating_sub(32 * 1024);
        bytes[start..]
            .windows(wanted.len())
            .any(|window| window == wanted)
    }
}
