//! The task that serves a monitor's connection: the lines of what the server runs, into a queue.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use tidings_proto::monitor::{MonitorConnection, MonitorFrame, Notation};
use tokio::sync::oneshot;

use super::place::Departure;
use super::supervise::{self, Connected, End, Link};
use super::{Alarm, Wire};
use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::monitor::queue::{Item, Loss, Queue};
use crate::pubsub::{Gap, GapCause};

/// A read that brought so much is followed by a turn of the reader's.
const YIELD_AFTER: usize = 8 * 1024;

/// The task's side.
pub(crate) struct MonitorLink {
    config: Arc<Config>,
    queue: Arc<Queue>,
    line: Option<Line>,
    /// Who waits for the first connection to begin.
    begun: Option<oneshot::Sender<Result<()>>>,
    /// The loss that the next line is to be told of.
    lost: Option<Lost>,
    alarm: Alarm,
    ended: bool,
}

/// A connection that is being served.
struct Line {
    wire: Wire,
    connection: MonitorConnection,
    /// Writing failed: what the server still has to say is read, and then the connection is lost.
    mute: bool,
}

struct Lost {
    last_heard: Instant,
    error: Error,
    cause: GapCause,
    /// The next server's refusal was told.
    refused: bool,
}

/// A frame, its bytes not yet taken.
enum Staged {
    Line(std::ops::Range<usize>),
    Begun(Notation, Option<Loss>),
}

impl MonitorLink {
    /// The outcome of the first connection goes to `begun`.
    pub(crate) fn new(
        config: Arc<Config>,
        queue: Arc<Queue>,
        begun: oneshot::Sender<Result<()>>,
    ) -> Self {
        Self {
            config,
            queue,
            line: None,
            begun: Some(begun),
            lost: None,
            alarm: Alarm::new(),
            ended: false,
        }
    }

    fn poll_line(&mut self, cx: &mut Context<'_>) -> Poll<Result<End>> {
        loop {
            let Some(line) = &mut self.line else {
                return Poll::Pending;
            };
            let now = Instant::now();
            if self.queue.poll_closed(cx).is_ready() {
                return Poll::Ready(Ok(End::Closed));
            }
            if !line.mute && matches!(line.wire.poll_flush(cx), Poll::Ready(Err(_))) {
                line.mute = true;
            }
            match line.wire.poll_read(cx, line.connection.missing()) {
                Poll::Ready(Ok(0)) => {
                    return Poll::Ready(Err(supervise::lost(&self.config, None)));
                }
                Poll::Ready(Ok(read)) => {
                    self.receive()?;
                    if read >= YIELD_AFTER {
                        super::yield_turn(cx);
                        return Poll::Pending;
                    }
                }
                Poll::Ready(Err(error)) => {
                    return Poll::Ready(Err(supervise::lost(&self.config, Some(error))));
                }
                Poll::Pending if line.mute => {
                    return Poll::Ready(Err(supervise::lost(&self.config, None)));
                }
                Poll::Pending => {
                    let due = line.connection.poll_timeout(now);
                    if due.is_some_and(|at| at <= now) {
                        if !line.connection.handle_timeout(now, line.wire.output()) {
                            let last_heard = line.connection.last_heard();
                            let error = supervise::silent(&self.config, last_heard);
                            return Poll::Ready(Err(error));
                        }
                        continue;
                    }
                    if self.alarm.poll(due, cx).is_pending() {
                        return Poll::Pending;
                    }
                }
            }
        }
    }

    /// Hands on what the last read brought.
    fn receive(&mut self) -> Result<()> {
        let Some(line) = &mut self.line else {
            return Ok(());
        };
        line.connection.heard(Instant::now());
        let mut staged = Vec::new();
        // What the answers make it say: there is little of it, and only before the lines.
        let mut output = Vec::new();
        let outcome = loop {
            match line.connection.poll_frame(line.wire.input(), &mut output) {
                Ok(Some(MonitorFrame::Line(range))) => staged.push(Staged::Line(range)),
                Ok(Some(MonitorFrame::Begun(notation))) => {
                    if let Some(begun) = self.begun.take() {
                        // Who asked may have stopped waiting; then this is closed as well.
                        let _ = begun.send(Ok(()));
                    }
                    let loss = self.lost.take().map(|lost| lost.into_loss());
                    staged.push(Staged::Begun(notation, loss));
                }
                Ok(None) => break Ok(()),
                Err(tidings_proto::Error::Server(refused)) => {
                    let text = format!("the server refused to be monitored: {}", refused.message());
                    break Err(Error::new(ErrorKind::Server, text).with_server(refused));
                }
                Err(error) => break Err(error.into()),
            }
        };
        line.wire.output().extend_from_slice(&output);
        let consumed = line.connection.take_consumed();
        if staged.is_empty() {
            line.wire.skip(consumed);
        } else {
            let block = line.wire.take(consumed);
            self.queue
                .push(staged.into_iter().map(|staged| match staged {
                    Staged::Line(range) => Item::Line(block.slice(range)),
                    Staged::Begun(notation, loss) => Item::Begun(notation, loss),
                }));
        }
        outcome
    }

    fn lose(&mut self, error: Error, cause: GapCause) -> End {
        let line = self.line.take();
        if let Some(begun) = self.begun.take() {
            let _ = begun.send(Err(error.clone()));
            return End::Over(error);
        }
        let last_heard = line.map_or_else(Instant::now, |line| line.connection.last_heard());
        let lost = self.lost.get_or_insert_with(|| Lost {
            last_heard,
            error: error.clone(),
            cause,
            refused: false,
        });
        if error.kind() == ErrorKind::Server && !std::mem::replace(&mut lost.refused, true) {
            self.queue.push([Item::Error(error.clone())]);
        }
        End::Lost(error)
    }
}

impl Lost {
    fn into_loss(self) -> Loss {
        Loss {
            gap: Gap::until_now(self.cause, self.last_heard, None, Vec::new()),
            error: self.error,
        }
    }
}

impl Link for MonitorLink {
    fn connected(&mut self, connected: Connected, moved: Option<GapCause>) {
        let Connected {
            mut wire,
            info,
            config,
        } = connected;
        self.config = config;
        if let (Some(lost), Some(cause)) = (&mut self.lost, moved) {
            lost.cause = cause;
        }
        let options = supervise::options(&self.config, &info, false);
        let connection = MonitorConnection::new(&options, &info, Instant::now(), wire.output());
        self.line = Some(Line {
            wire,
            connection,
            mute: false,
        });
    }

    fn poll_run(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        match std::task::ready!(self.poll_line(cx)) {
            Ok(end) => Poll::Ready(end),
            Err(error) => Poll::Ready(self.lose(error, GapCause::Disconnected)),
        }
    }

    fn leave(&mut self, departure: Departure) -> End {
        self.lose(departure.error, departure.cause)
    }

    fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.queue.poll_closed(cx)
    }

    fn attempt_failed(&mut self, _: &Error) {}

    fn ended(&mut self, error: Option<Error>) {
        self.ended = true;
        self.line = None;
        self.queue.end(error);
    }
}

impl Drop for MonitorLink {
    /// The runtime may end before the monitor does.
    fn drop(&mut self) {
        if !self.ended {
            self.ended(Some(Error::closed(
                "the monitor has ended with its runtime",
            )));
        }
    }
}
