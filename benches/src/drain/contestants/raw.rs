//! Reads bytes and counts them: the floor under every client.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};

use super::{Assignment, Contestant};
use crate::Result;
use crate::contestant::{Kind, nothing_to_prepare};
use crate::drain::shape::Block;
use crate::drain::tally::Tally;
use crate::drain::wire::{self, Protocol};
use crate::machine::Core;
use crate::measure::Outcome;

pub(super) const RAW: Contestant = Contestant {
    name: "raw",
    usage: "blocking read into 64 KiB; counts bytes, sees no message",
    package: None,
    kind: Kind::Floor,
    most: u64::MAX,
    core: Core::Last,
    prepare: nothing_to_prepare,
    run: drain,
};

pub(super) const READ_SIZE: usize = 64 * 1024;
const PROTOCOL: Protocol = Protocol::Resp3;

fn drain(assignment: &Assignment) -> Result<Outcome> {
    let script = Script::new(assignment);
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, assignment.port))?;
    stream.write_all(&script.request)?;
    stream.read_exact(&mut vec![0; script.answer_len])?;
    let mut buffer = vec![0; READ_SIZE];
    let mut tally = Tally::subscribed();
    let mut left = script.stream_len;
    while left > 0 {
        let most = READ_SIZE.min(usize::try_from(left)?);
        match stream.read(&mut buffer[..most])? {
            0 => return Err("the stream broke off".into()),
            read => left -= read as u64,
        }
    }
    let mut marker = vec![0; script.marker_len];
    stream.read_exact(&mut marker)?;
    script.finish(&mut tally, &marker)?;
    Ok(tally.finish())
}

/// All that a reader must know that cannot parse.
pub(super) struct Script {
    pub(super) request: Vec<u8>,
    pub(super) answer_len: usize,
    pub(super) stream_len: u64,
    pub(super) marker_len: usize,
    messages: u64,
    payload_len: usize,
}

impl Script {
    pub(super) fn new(assignment: &Assignment) -> Self {
        let shape = assignment.shape;
        let (channels, patterns) = (shape.channels(), shape.patterns());
        let (mut request, mut answer, mut marker) = (Vec::new(), Vec::new(), Vec::new());
        command(&mut request, "HELLO", &[PROTOCOL.number().to_string()]);
        wire::hello(&mut answer, PROTOCOL);
        let mut count = 0;
        for (kind, names) in [("subscribe", &channels), ("psubscribe", &patterns)] {
            if !names.is_empty() {
                command(&mut request, kind, names);
            }
            for name in names {
                count += 1;
                wire::confirmation(&mut answer, PROTOCOL, kind, name.as_bytes(), count);
            }
        }
        wire::marker(&mut marker, PROTOCOL, "message", &channels[0], 0);
        Self {
            request,
            answer_len: answer.len(),
            stream_len: Block::new(shape, PROTOCOL).stream_len(assignment.count),
            marker_len: marker.len(),
            messages: assignment.count,
            payload_len: shape.payload_len(),
        }
    }

    /// Counts the messages, now that all bytes have come and `marker`, the last frame, agrees.
    pub(super) fn finish(&self, tally: &mut Tally, marker: &[u8]) -> Result<()> {
        let end = marker.len() - "\r\n".len();
        if tally.take(&marker[end - wire::MARKER_LEN..end]) {
            return Err("the stream does not end where it should".into());
        }
        tally.take_all(self.messages, self.payload_len);
        Ok(())
    }
}

fn command(out: &mut Vec<u8>, name: &str, arguments: &[String]) {
    wire::header(out, '*', 1 + arguments.len());
    wire::bulk(out, name.as_bytes());
    for argument in arguments {
        wire::bulk(out, argument.as_bytes());
    }
}
