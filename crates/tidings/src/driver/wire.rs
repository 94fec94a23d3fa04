//! A socket with its read buffer and its write buffer.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use tidings_proto::{Decoder, ProtocolError};
use tokio::io::{AsyncReadExt, AsyncWrite};

use crate::net::Stream;

/// What an idle connection reads into.
const SMALLEST_BLOCK: usize = 16 * 1024;

/// What a busy one reads into: larger blocks cost no less per byte, and fall out of the processor's cache.
const BUSY_BLOCK: usize = 256 * 1024;

/// What one reads into whose frames are large.
const LARGEST_BLOCK: usize = 1024 * 1024;

/// A block has room for so many of the frames that it ends in the middle of: what has come of the last one is
/// copied to the next block.
const FRAMES_IN_BLOCK: usize = 8;

/// Where the number of missing bytes is not so exact any more.
const KNOWN_MISSING: usize = 1024 * 1024;

/// Blocks that are kept to be used again. A subscriber on another thread is a few blocks behind.
const USED_BLOCKS: usize = 4;

/// A read into less room than this is not worth its system call.
const LEAST_ROOM: usize = 2 * 1024;

/// Reads that brought no more than this are copied into a block of their own size, so that a message that is
/// kept for long does not keep a whole read buffer.
const COPY_OUT: usize = 4 * 1024;

/// A larger block is left as soon as the frame that it was made for is taken.
const LARGEST_KEPT: usize = 4 * LARGEST_BLOCK;

/// What is kept of a write buffer that was larger.
const LARGEST_OUTPUT: usize = 512 * 1024;

/// A connection's socket and buffers.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: Stream,
    input: BytesMut,
    /// How large the block is that `input` lies in, if it was made for it.
    made: usize,
    block: usize,
    /// Blocks that were handed on, oldest first. As soon as nobody refers to one any more it is used again, so
    /// that a busy connection neither asks the allocator nor touches fresh pages.
    used: VecDeque<BytesMut>,
    output: Vec<u8>,
    written: usize,
    /// Bytes that the socket has taken before those in `output`.
    sent_before: u64,
}

/// Why there is no further frame.
#[derive(Debug)]
pub(crate) enum Cut {
    Protocol(ProtocolError),
    /// The end of the stream, or the error that ended it.
    Ended(Option<io::Error>),
}

impl Wire {
    pub(crate) fn new(stream: Stream) -> Self {
        Self {
            stream,
            input: BytesMut::new(),
            made: 0,
            block: SMALLEST_BLOCK,
            used: VecDeque::new(),
            output: Vec::new(),
            written: 0,
            sent_before: 0,
        }
    }

    /// The stream, if nothing was read or written but what was taken or sent.
    #[cfg(feature = "blocking")]
    pub(crate) fn into_stream(self) -> Option<Stream> {
        let quiet = self.input.is_empty() && self.unsent() == 0;
        quiet.then_some(self.stream)
    }

    /// Whom the socket is connected to.
    pub(crate) fn peer(&self) -> &str {
        self.stream.peer()
    }

    /// What was read and not yet taken.
    pub(crate) fn input(&self) -> &[u8] {
        &self.input
    }

    /// Where to append what is to be sent.
    pub(crate) fn output(&mut self) -> &mut Vec<u8> {
        &mut self.output
    }

    /// Bytes that are not on their way yet.
    pub(crate) fn unsent(&self) -> usize {
        self.output.len() - self.written
    }

    /// How many bytes the socket has taken since the connection was made.
    pub(crate) fn sent(&self) -> u64 {
        self.sent_before + self.written as u64
    }

    /// How many bytes were to be sent since the connection was made.
    pub(crate) fn appended(&self) -> u64 {
        self.sent_before + self.output.len() as u64
    }

    /// The last `len` of those bytes that were appended up to `end`, of which at least one has not left.
    pub(crate) fn appended_up_to(&self, end: u64, len: usize) -> &[u8] {
        let end = (end - self.sent_before) as usize;
        &self.output[end - len..end]
    }

    /// Gives back the room of what has left, where that has become much; keeps what was appended behind `needed`.
    pub(crate) fn forget_sent(&mut self, needed: impl FnOnce(u64) -> u64) {
        if self.written < LARGEST_OUTPUT {
            return;
        }
        let keep = needed(self.sent()).min(self.sent());
        let gone = (keep - self.sent_before) as usize;
        self.output.drain(..gone);
        self.written -= gone;
        self.sent_before = keep;
    }

    /// Takes the first `len` bytes of the input.
    pub(crate) fn take(&mut self, len: usize) -> Bytes {
        if len <= COPY_OUT {
            let block = Bytes::copy_from_slice(&self.input[..len]);
            self.input.advance(len);
            block
        } else {
            let block = self.input.split_to(len).freeze();
            self.leave_large_block(len);
            block
        }
    }

    /// Drops the first `len` bytes of the input.
    pub(crate) fn skip(&mut self, len: usize) {
        self.input.advance(len);
        self.leave_large_block(len);
    }

    /// The next frame, for those who take them one by one.
    pub(crate) fn poll_frame(
        &mut self,
        decoder: &mut Decoder,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Bytes, Cut>> {
        loop {
            if let Some(len) = decoder.poll_frame(&self.input).map_err(Cut::Protocol)? {
                return Poll::Ready(Ok(self.take(len)));
            }
            match ready!(self.poll_read(cx, decoder.missing())) {
                Ok(0) => return Poll::Ready(Err(Cut::Ended(None))),
                Ok(_) => {}
                Err(error) => return Poll::Ready(Err(Cut::Ended(Some(error)))),
            }
        }
    }

    /// Goes on in another block if this one was made for a frame that was far larger than most, and is gone now: the
    /// connection would hold its memory for good. No more is copied than was taken.
    fn leave_large_block(&mut self, taken: usize) {
        if self.made > LARGEST_KEPT && self.input.len() <= taken {
            self.input = BytesMut::from(&self.input[..]);
            self.made = 0;
        }
    }

    /// Reads once; 0 at the end of the stream. `missing` bytes of a frame are known to come.
    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        missing: usize,
    ) -> Poll<io::Result<usize>> {
        let held = self.input.len();
        let mut room = self.input.capacity() - held;
        if room < LEAST_ROOM || (room < missing && room < self.block) {
            // Room grows with what has arrived, not with what was announced.
            let more = if missing < KNOWN_MISSING {
                missing.min(held)
            } else {
                held
            };
            let wanted = (held + more).saturating_mul(FRAMES_IN_BLOCK);
            if missing > 0 && self.block >= BUSY_BLOCK {
                self.block = self.block.max(wanted.min(LARGEST_BLOCK));
            }
            self.make_room(self.block.max(more));
            room = self.input.capacity() - held;
        }
        let read = ready!(pin!(self.stream.read_buf(&mut self.input)).poll(cx))?;
        if read == room {
            self.block = self.block.max((self.block * 2).min(BUSY_BLOCK));
        }
        Poll::Ready(Ok(read))
    }

    /// Goes on in a block with room for so many bytes more: the same, one that was used before, or a new one.
    fn make_room(&mut self, room: usize) {
        if self.input.try_reclaim(room) {
            return;
        }
        // At least twice what is held, which is copied: in steps of one size, a large frame would take square time.
        let held = self.input.len();
        let needed = held + room.max(held);
        let again = self
            .used
            .iter_mut()
            .position(|block| block.try_reclaim(needed));
        let (mut block, made) = match again.and_then(|at| self.used.remove(at)) {
            Some(block) => (block, 0),
            None => (BytesMut::with_capacity(needed), needed),
        };
        block.extend_from_slice(&self.input);
        let mut old = std::mem::replace(&mut self.input, block);
        let old_made = std::mem::replace(&mut self.made, made);
        old.clear();
        if (BUSY_BLOCK..=2 * LARGEST_BLOCK).contains(&needed) && old_made <= LARGEST_KEPT {
            self.used.push_back(old);
            self.used.truncate(USED_BLOCKS);
        }
    }

    /// Writes all that is to be sent.
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.written < self.output.len() {
            let rest = &self.output[self.written..];
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, rest))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += written;
        }
        self.sent_before += self.written as u64;
        self.output.clear();
        self.output.shrink_to(LARGEST_OUTPUT);
        self.written = 0;
        Pin::new(&mut self.stream).poll_flush(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::thread;

    use super::*;
    use crate::config::Config;
    use crate::net;

    #[tokio::test]
    async fn what_was_sent_is_forgotten_though_something_is_always_left_and_what_is_needed_is_kept()
    {
        const UNSENT: usize = 256 << 10;
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let config = Config::new("127.0.0.1", listener.local_addr().unwrap().port());
        let mut wire = Wire::new(net::connect(&config).await.unwrap());
        let mut peer = listener.accept().unwrap().0;
        let (mut block, mut most) = ([0; 64 << 10], 0);
        while wire.sent() < 64 << 20 {
            // Each byte tells its place.
            let (from, more) = (wire.appended(), UNSENT.saturating_sub(wire.unsent()));
            let bytes = (from..).take(more).map(|at| at as u8);
            wire.output().extend(bytes);
            let blocked = poll_fn(|cx| Poll::Ready(wire.poll_flush(cx).is_pending())).await;
            if blocked && wire.written >= 100 {
                // Some of what has left is needed still.
                let begin = wire.sent() - 100;
                wire.forget_sent(|sent| sent - 100);
                let kept = wire.appended_up_to(begin + 200, 200);
                assert!(
                    kept.iter()
                        .copied()
                        .eq((begin..begin + 200).map(|at| at as u8))
                );
                most = most.max(wire.output().len());
            }
            if blocked {
                // Nothing reads before the socket is full.
                peer.read_exact(&mut block).unwrap();
                // Lets the runtime see that there is room.
                tokio::task::yield_now().await;
            }
        }
        assert_eq!(wire.appended(), wire.sent() + wire.unsent() as u64);
        assert!(
            most > 0 && most <= LARGEST_OUTPUT + 2 * UNSENT,
            "{most} bytes"
        );
    }

    #[tokio::test]
    async fn a_block_that_was_made_for_a_large_frame_is_left_when_that_is_taken() {
        const LARGE: usize = 3 * LARGEST_KEPT;
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let config = Config::new("127.0.0.1", listener.local_addr().unwrap().port());
        let mut wire = Wire::new(net::connect(&config).await.unwrap());
        let mut peer = listener.accept().unwrap().0;
        let writing = thread::spawn(move || {
            for _ in 0..2 {
                peer.write_all(&vec![b'x'; LARGE]).unwrap();
                peer.write_all(b"behind").unwrap();
            }
            peer
        });
        for _ in 0..2 {
            while wire.input().len() < LARGE + b"behind".len() {
                let missing = LARGE.saturating_sub(wire.input().len());
                assert!(poll_fn(|cx| wire.poll_read(cx, missing)).await.unwrap() > 0);
            }
            let frame = wire.take(LARGE);
            assert!(frame.iter().all(|byte| *byte == b'x'));
            assert!(wire.input().starts_with(b"behind"));
            assert!(wire.input.capacity() <= wire.input().len().max(LARGEST_KEPT));
            wire.skip(b"behind".len());
        }
        drop(writing.join().unwrap());
    }
}
