//! Bytes that were encoded beforehand, and replies of which only the bytes are counted: the floor under
//! every client.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};

use super::pairs::{OK, Pair, VALUE_LEN};
use super::{pipeline, publish};
use crate::Result;
use crate::contestant::{Assignment, Contestant, Kind, nothing_to_prepare};
use crate::machine::Core;
use crate::measure::{Outcome, Stopwatch};

pub(super) const PIPELINE: Contestant<pipeline::Shape> = Contestant {
    name: "raw",
    usage: "blocking, encoded beforehand; counts bytes, sees no reply",
    package: None,
    kind: Kind::Floor,
    most: u64::MAX,
    core: Core::Last,
    prepare: nothing_to_prepare,
    run: pipelines,
};

pub(super) const PUBLISH: Contestant<publish::Tasks> = Contestant {
    name: "raw",
    usage: "blocking, all tasks' commands in one write, encoded beforehand; counts bytes",
    package: None,
    kind: Kind::Floor,
    most: u64::MAX,
    core: Core::Last,
    prepare: nothing_to_prepare,
    run: publications,
};

fn pipelines(assignment: &Assignment<pipeline::Shape>) -> Result<Outcome> {
    let Assignment { shape, count, .. } = *assignment;
    let pairs = shape.pairs();
    let windows = pairs.windows().take(pairs.window_count());
    let requests: Vec<Vec<u8>> = windows
        .map(|window| encode(window, shape.transaction))
        .collect();
    let pair_reply = format!("+{OK}\r\n${VALUE_LEN}\r\n\r\n").len() + VALUE_LEN;
    let mut reply_len = shape.commands / 2 * pair_reply;
    if shape.transaction {
        let around = format!("+OK\r\n*{}\r\n", shape.commands).len();
        reply_len += around + shape.commands * "+QUEUED\r\n".len();
    }

    let mut peer = Peer::connect(assignment.port)?;
    for request in &requests {
        peer.ask(request, reply_len)?;
    }
    let stopwatch = Stopwatch::start();
    for (_, request) in (0..shape.pipelines(count)).zip(requests.iter().cycle()) {
        peer.ask(request, reply_len)?;
    }
    Ok(stopwatch.stop(count, count / 2 * VALUE_LEN as u64))
}

fn encode(window: &[Pair], transaction: bool) -> Vec<u8> {
    let mut request = Vec::new();
    if transaction {
        command(&mut request, &["MULTI"]);
    }
    for (key, value) in window {
        command(&mut request, &["SET", key, value]);
        command(&mut request, &["GET", key]);
    }
    if transaction {
        command(&mut request, &["EXEC"]);
    }
    request
}

fn publications(assignment: &Assignment<publish::Tasks>) -> Result<Outcome> {
    let Assignment { shape, count, .. } = *assignment;
    let mut request = Vec::new();
    for _ in 0..shape.0.get() {
        command(
            &mut request,
            &["PUBLISH", publish::CHANNEL, publish::PAYLOAD],
        );
    }
    let reply_len = ":0\r\n".len() * usize::try_from(shape.0.get())?;
    let mut peer = Peer::connect(assignment.port)?;
    peer.ask(&request, reply_len)?;
    let stopwatch = Stopwatch::start();
    for _ in 0..count / shape.0 {
        peer.ask(&request, reply_len)?;
    }
    Ok(stopwatch.stop(count, count * publish::PAYLOAD.len() as u64))
}

fn command(out: &mut Vec<u8>, words: &[&str]) {
    out.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
    for word in words {
        out.extend_from_slice(format!("${}\r\n{word}\r\n", word.len()).as_bytes());
    }
}

const READ_SIZE: usize = 64 * 1024;

/// A connection that speaks RESP2, in which these replies look as in RESP3.
struct Peer {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Peer {
    fn connect(port: u16) -> Result<Self> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_nodelay(true)?;
        let buffer = vec![0; READ_SIZE];
        Ok(Self { stream, buffer })
    }

    /// Writes `request` and reads as many bytes as its replies have.
    fn ask(&mut self, request: &[u8], reply_len: usize) -> Result<()> {
        self.stream.write_all(request)?;
        let mut left = reply_len;
        while left > 0 {
            let read = self.stream.read(&mut self.buffer)?;
            if read == 0 || read > left {
                return Err("the replies have another length than was expected".into());
            }
            left -= read;
        }
        Ok(())
    }
}
