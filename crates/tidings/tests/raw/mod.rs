//! A client that sends commands of any bytes, and lets a test know when they have run.
#![allow(dead_code, reason = "each test file uses its own part of it")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use tidings_proto::{Decoder, Limits};

/// A command's name and its arguments.
pub(crate) type Words = Vec<Vec<u8>>;

/// Commands that are sent before their replies are read: both fit into the sockets' buffers.
const BATCH: usize = 100;

pub(crate) struct Raw<S> {
    stream: S,
    decoder: Decoder,
    input: Vec<u8>,
}

impl Raw<TcpStream> {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("the server listens");
        stream
            .set_read_timeout(Some(Duration::from_secs(10)))
            .expect("a time");
        Self::over(stream)
    }

    /// How the server sees it.
    pub(crate) fn address(&self) -> SocketAddr {
        self.stream.local_addr().expect("it is connected")
    }
}

impl<S: Read + Write> Raw<S> {
    pub(crate) fn over(stream: S) -> Self {
        Self {
            stream,
            decoder: Decoder::new(Limits::default()),
            input: Vec::new(),
        }
    }

    /// Runs commands, one after the other, whatever they answer.
    pub(crate) fn run_all(&mut self, commands: &[Words]) {
        for batch in commands.chunks(BATCH) {
            let bytes: Vec<u8> = batch.iter().flat_map(encode).collect();
            self.stream.write_all(&bytes).expect("the server reads");
            for _ in batch {
                self.read_reply();
            }
        }
    }

    pub(crate) fn run<W: AsRef<[u8]>>(&mut self, words: &[W]) {
        self.run_all(&[words.iter().map(|word| word.as_ref().to_vec()).collect()]);
    }

    fn read_reply(&mut self) {
        loop {
            let frame = self.decoder.poll_frame(&self.input).expect("RESP");
            if let Some(len) = frame {
                self.input.drain(..len);
                return;
            }
            let mut buffer = [0; 64 * 1024];
            let read = self.stream.read(&mut buffer).expect("the server answers");
            assert_ne!(read, 0, "the server has closed");
            self.input.extend_from_slice(&buffer[..read]);
        }
    }
}

fn encode(words: &Words) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend(format!("${}\r\n", word.len()).bytes());
        bytes.extend_from_slice(word);
        bytes.extend(b"\r\n");
    }
    bytes
}
