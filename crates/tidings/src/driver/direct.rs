//! A line of its own for threads that wait: one request at a time, written and read by the thread that makes it.
//!
//! What a thread waits for costs it two more switches between threads on the way to the task of the shared connection and
//! back. So a blocking client has this beside it, for requests that are short and usual. Whatever is not, or finds the
//! line taken, or lost, goes to the shared connection as always.

use std::io::{self, ErrorKind, Read, Write};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tidings_proto::{Blob, Decoder, Transaction};
use tokio::task::AbortHandle;

use super::body::{Answer, Body, Exec, Patience};
use super::line::in_doubt;
use super::place::Place;
use super::supervise;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::net::Socket;

/// Longer requests than this may not fit into the socket's buffer, and who writes them has to read in between.
const SHORT: usize = 16 * 1024;

/// Room for most replies.
const USUAL_REPLIES: usize = 16 * 1024;

/// What is kept of a buffer that was larger.
const LARGEST_KEPT: usize = 256 * 1024;

/// After so much time without a request the server may have closed the connection unnoticed.
const STALE: Duration = Duration::from_millis(5);

/// The pause before a line is made again that could not be made, or that was lost.
const PAUSE: Duration = Duration::from_secs(1);

const PUSH: u8 = b'>';

/// A place for a line.
#[derive(Debug)]
pub(crate) struct Direct {
    place: Place,
    seat: Mutex<Seat>,
}

#[derive(Debug)]
enum Seat {
    /// There is none before this time.
    Empty(Option<Instant>),
    /// It is being made.
    Awaited,
    Line(Box<Line>),
}

impl Direct {
    pub(crate) fn new(place: Place) -> Arc<Self> {
        Arc::new(Self {
            place,
            seat: Mutex::new(Seat::Empty(None)),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Seat> {
        self.seat.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a request and waits for its answer on this thread; `None` if it is not for this line, and has not run.
    ///
    /// To be called within a runtime, where a line is made if there is none. The first requests do not wait for it.
    pub(crate) fn run(self: &Arc<Self>, body: &Body) -> Option<Result<Answer>> {
        let request = Request::of(body)?;
        let mut seat = match self.seat.try_lock() {
            Ok(seat) => seat,
            Err(TryLockError::Poisoned(seat)) => seat.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        let line = match &mut *seat {
            Seat::Line(line) => line,
            Seat::Awaited => return None,
            Seat::Empty(until) => {
                if until.is_none_or(|until| until <= Instant::now()) {
                    *seat = Seat::Awaited;
                    tokio::spawn(open(Arc::clone(self)));
                }
                return None;
            }
        };
        match line.run(&request) {
            Ok(answer) => Some(Ok(answer)),
            Err(lost) => {
                *seat = Seat::Empty(Instant::now().checked_add(PAUSE));
                lost.map(Err)
            }
        }
    }
}

/// Makes a line, if there can be one.
async fn open(direct: Arc<Direct>) {
    let line = async {
        let connected = direct.place.connect().await.ok()?;
        let socket = connected.wire.into_stream()?.into_socket()?;
        Line::new(socket, &direct.place, connected.config).ok()
    };
    *direct.lock() = match line.await {
        Some(line) => Seat::Line(Box::new(line)),
        None => Seat::Empty(Instant::now().checked_add(PAUSE)),
    };
}

macro_rules! on_socket {
    ($socket:expr, $stream:ident => $call:expr) => {
        match $socket {
            Socket::Tcp($stream) => $call,
            #[cfg(unix)]
            Socket::Unix($stream) => $call,
        }
    };
}

/// A request that this line may have.
struct Request<'a> {
    bytes: &'a [u8],
    /// As soon as so many bytes have left it may have run.
    harmless: usize,
    replies: usize,
    kind: Kind,
}

enum Kind {
    Command,
    Batch,
    /// Of so many commands.
    Transaction(usize),
}

impl<'a> Request<'a> {
    fn of(body: &'a Body) -> Option<Self> {
        match body {
            Body::Command(bytes) => Some(Self {
                bytes,
                harmless: bytes.len(),
                replies: 1,
                kind: Kind::Command,
            }),
            Body::Batch(batch) => {
                let bytes = batch.wire().filter(|bytes| bytes.len() <= SHORT)?;
                (batch.patience == Patience::Usual).then(|| Self {
                    bytes,
                    harmless: batch.harmless,
                    replies: batch.replies(),
                    kind: match batch.transaction {
                        true => Kind::Transaction(batch.commands),
                        false => Kind::Batch,
                    },
                })
            }
        }
    }
}

#[derive(Debug)]
struct Line {
    /// With the address that it was made to.
    config: Arc<Config>,
    socket: Socket,
    leaving: Option<Leaving>,
    decoder: Decoder,
    /// What was read lies at its beginning.
    buffer: Vec<u8>,
    filled: usize,
    used: Instant,
}

/// The line is lost, and why, if the request may have run.
type Lost = Option<Error>;

/// What ends a line, also while a thread waits at it, when its server has to be left.
#[derive(Debug)]
struct Leaving {
    /// Why it was ended.
    error: Arc<OnceLock<Error>>,
    task: AbortHandle,
}

impl Leaving {
    /// To be called within a runtime. `None` where a server never has to be left.
    fn new(socket: &Socket, place: &Place, config: &Config) -> io::Result<Option<Self>> {
        let Some(departure) = place.departure(config) else {
            return Ok(None);
        };
        let socket = socket.try_clone()?;
        let error = Arc::new(OnceLock::new());
        let left = Arc::clone(&error);
        let task = tokio::spawn(async move {
            let departure = departure.await;
            let _ = left.set(departure.error);
            socket.shut_down();
        });
        Ok(Some(Self {
            error,
            task: task.abort_handle(),
        }))
    }
}

impl Drop for Leaving {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Line {
    fn new(socket: Socket, place: &Place, config: Arc<Config>) -> io::Result<Self> {
        let (ping_interval, ping_timeout) = config.ping_times();
        // Nobody asks a server for a sign of life that owes an answer. The time is the same.
        let silence = ping_interval.saturating_add(ping_timeout);
        let limit = config.time_to_respond().unwrap_or(silence).min(silence);
        on_socket!(&socket, stream => {
            stream.set_nonblocking(false)?;
            stream.set_read_timeout(Some(limit))?;
            stream.set_write_timeout(Some(limit))?;
        });
        Ok(Self {
            leaving: Leaving::new(&socket, place, &config)?,
            socket,
            decoder: Decoder::new(config.reply_limits()),
            config,
            buffer: vec![0; USUAL_REPLIES],
            filled: 0,
            used: Instant::now(),
        })
    }

    fn run(&mut self, request: &Request<'_>) -> Result<Answer, Lost> {
        if self.used.elapsed() > STALE && self.has_ended() {
            return Err(None);
        }
        let mut rest = request.bytes;
        while !rest.is_empty() {
            match on_socket!(&mut self.socket, stream => stream.write(rest)) {
                Ok(written) if written > 0 => rest = &rest[written..],
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                failed => {
                    let left = request.bytes.len() - rest.len();
                    let error = self.lost(failed.err());
                    return Err((left >= request.harmless).then(|| in_doubt(&error)));
                }
            }
        }
        let answer = self.answer(request).map_err(Some)?;
        self.used = Instant::now();
        Ok(answer)
    }

    /// Whether the server has closed the connection, or said what nobody asked for.
    fn has_ended(&mut self) -> bool {
        let mut next = [0];
        let looked = on_socket!(&mut self.socket, stream => {
            let looked = stream.set_nonblocking(true).and_then(|()| stream.read(&mut next));
            stream.set_nonblocking(false).and(looked)
        });
        !matches!(looked, Err(error) if error.kind() == ErrorKind::WouldBlock)
    }

    /// Reads until the last reply is there.
    fn answer(&mut self, request: &Request<'_>) -> Result<Answer> {
        let (mut at, mut replies) = (0, 0);
        let mut parts: Vec<std::ops::Range<usize>> = Vec::new();
        while replies < request.replies {
            let frame = self.decoder.poll_frame(&self.buffer[at..self.filled]);
            let Some(len) = frame.map_err(|error| in_doubt(&error.into()))? else {
                self.read()?;
                continue;
            };
            if self.buffer[at] != PUSH {
                replies += 1;
                match parts.last_mut() {
                    Some(part) if part.end == at => part.end += len,
                    _ => parts.push(at..at + len),
                }
            }
            at += len;
        }
        let answer = self.answer_of(request, &parts);
        self.buffer.copy_within(at..self.filled, 0);
        self.filled -= at;
        if self.buffer.len() > LARGEST_KEPT && self.filled <= USUAL_REPLIES {
            self.buffer = [&self.buffer[..self.filled], &[0; USUAL_REPLIES]].concat();
        }
        answer
    }

    fn answer_of(&self, request: &Request<'_>, parts: &[std::ops::Range<usize>]) -> Result<Answer> {
        let part = |range: &std::ops::Range<usize>| &self.buffer[range.clone()];
        Ok(match request.kind {
            Kind::Command => {
                let reply = parts.first().map(part).unwrap_or_default();
                Answer::Reply(Blob::copy_from(reply))
            }
            Kind::Batch => {
                let shared = |range| Bytes::copy_from_slice(part(range));
                Answer::Replies(parts.iter().map(shared).collect())
            }
            Kind::Transaction(commands) => {
                let replies = Bytes::from(parts.iter().map(part).collect::<Vec<_>>().concat());
                let mut transaction = Transaction::new(commands);
                let exec = transaction.handle_replies(&replies)?;
                Answer::Exec(Box::new(Exec {
                    refusal: transaction.refusal().cloned(),
                    reply: exec.map_or_else(Bytes::new, |exec| replies.slice(exec)),
                }))
            }
        })
    }

    fn read(&mut self) -> Result<()> {
        if self.filled == self.buffer.len() {
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
        let room = &mut self.buffer[self.filled..];
        let begun = Instant::now();
        let error = match on_socket!(&mut self.socket, stream => stream.read(room)) {
            Ok(0) => None,
            Ok(read) => {
                self.filled += read;
                return Ok(());
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(()),
            Err(error) => Some(error),
        };
        let late = error.as_ref().is_some_and(|error| {
            matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
        });
        Err(match self.config.time_to_respond() {
            Some(limit) if late && begun.elapsed() >= limit => {
                Error::timeout(format!("no reply came within {limit:?}")).with_may_have_run(true)
            }
            _ if late => in_doubt(&supervise::silent(&self.config, begun)),
            _ => in_doubt(&self.lost(error)),
        })
    }

    /// Why the connection has ended, from what the socket said.
    fn lost(&self, error: Option<io::Error>) -> Error {
        let left = self.leaving.as_ref().and_then(|it| it.error.get());
        left.cloned()
            .unwrap_or_else(|| supervise::lost(&self.config, error))
    }
}
