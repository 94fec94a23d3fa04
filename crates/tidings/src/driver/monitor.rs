//! The task that serves a monitor's connection: the lines of what the server runs, into a queue.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use tidings_proto::cluster::{Address, Missed};
use tidings_proto::monitor::{MonitorConnection, MonitorFrame, Notation};
use tokio::sync::oneshot;

use super::every_node::{NodeLine, NodeState};
use super::place::Departure;
use super::supervise::{self, Connected, End, Link};
use super::{Alarm, Wire};
use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::monitor::queue::{Item, Loss, Queue};
use crate::pubsub::{Gap, GapCause};

/// A read that brought so much is followed by a turn of the reader's.
const YIELD_AFTER: usize = 8 * 1024;

/// Where what a connection shows goes.
pub(crate) trait MonitorSink: Send + 'static {
    /// What tells it from what others show in the same queue.
    type Node: PartialEq + Clone;

    fn node(&self) -> Self::Node;

    fn queue(&self) -> &Queue<Self::Node>;

    /// The node, if there are many.
    fn address(&self) -> Option<&Address>;

    /// Ready when nobody reads any more.
    fn poll_closed(&self, cx: &mut Context<'_>) -> Poll<()>;

    /// The server shows its commands from now on.
    fn begun(&mut self);

    /// The connection was lost; whether there is to be no other one.
    fn lost(&mut self, error: &Error) -> bool;

    /// There will be no further connection.
    fn ended(&mut self, error: Option<Error>);
}

/// The queue of one server's monitor.
pub(crate) struct Alone {
    queue: Arc<Queue>,
    /// Who waits for the first connection to begin.
    begun: Option<oneshot::Sender<Result<()>>>,
}

impl Alone {
    /// The outcome of the first connection goes to `begun`.
    pub(crate) fn new(queue: Arc<Queue>, begun: oneshot::Sender<Result<()>>) -> Self {
        Self {
            queue,
            begun: Some(begun),
        }
    }
}

impl MonitorSink for Alone {
    type Node = ();

    fn node(&self) {}

    fn queue(&self) -> &Queue {
        &self.queue
    }

    fn address(&self) -> Option<&Address> {
        None
    }

    fn poll_closed(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.queue.poll_closed(cx)
    }

    fn begun(&mut self) {
        if let Some(begun) = self.begun.take() {
            // Who asked may have stopped waiting; then this is closed as well.
            let _ = begun.send(Ok(()));
        }
    }

    fn lost(&mut self, error: &Error) -> bool {
        match self.begun.take() {
            Some(begun) => {
                let _ = begun.send(Err(error.clone()));
                true
            }
            None => false,
        }
    }

    fn ended(&mut self, error: Option<Error>) {
        self.queue.end(error);
    }
}

/// The queue of a monitor of many nodes, of which this is one.
pub(crate) struct OfNode {
    queue: Arc<Queue<Address>>,
    node: Address,
    state: NodeState,
}

impl OfNode {
    pub(crate) fn new(queue: Arc<Queue<Address>>, state: NodeState) -> Self {
        Self {
            queue,
            node: state.address().clone(),
            state,
        }
    }
}

impl MonitorSink for OfNode {
    type Node = Address;

    fn node(&self) -> Address {
        self.node.clone()
    }

    fn queue(&self) -> &Queue<Address> {
        &self.queue
    }

    fn address(&self) -> Option<&Address> {
        Some(&self.node)
    }

    /// Whoever follows the nodes ends the line then.
    fn poll_closed(&self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }

    fn begun(&mut self) {
        self.state.shown();
    }

    fn lost(&mut self, error: &Error) -> bool {
        self.state.failed(error);
        false
    }

    fn ended(&mut self, _: Option<Error>) {}
}

/// The task's side.
pub(crate) struct MonitorLink<S: MonitorSink> {
    config: Arc<Config>,
    sink: S,
    line: Option<Line>,
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

impl<S: MonitorSink> MonitorLink<S> {
    pub(crate) fn new(config: Arc<Config>, sink: S) -> Self {
        Self {
            config,
            sink,
            line: None,
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
            if self.sink.poll_closed(cx).is_ready() {
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
                    self.sink.begun();
                    let address = self.sink.address();
                    let loss = self.lost.take().map(|lost| lost.into_loss(address));
                    staged.push(Staged::Begun(notation, loss));
                }
                Ok(None) => break Ok(()),
                Err(tidings_proto::Error::Server(refused)) => {
                    let text = format!("the server refused to be monitored: {}", refused.message());
                    let error = Error::new(ErrorKind::Server, text).with_server(refused);
                    break Err(match self.sink.address() {
                        Some(node) => error.at_node(node.clone()),
                        None => error,
                    });
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
            let node = self.sink.node();
            let items = staged.into_iter().map(|staged| match staged {
                Staged::Line(range) => Item::Line(node.clone(), block.slice(range)),
                Staged::Begun(notation, loss) => Item::Begun(node.clone(), notation, loss),
            });
            self.sink.queue().push(items);
        }
        outcome
    }

    /// `good_at` is the last time at which its peer was known to be a good one, if that is what was wrong.
    fn lose(&mut self, error: Error, cause: GapCause, good_at: Option<Instant>) -> End {
        let line = self.line.take();
        if self.sink.lost(&error) {
            return End::Over(error);
        }
        let last_heard = line.map_or_else(Instant::now, |line| line.connection.last_heard());
        let lost = self.lost.get_or_insert_with(|| Lost {
            last_heard: good_at.map_or(last_heard, |good_at| good_at.min(last_heard)),
            error: error.clone(),
            cause,
            refused: false,
        });
        if error.kind() == ErrorKind::Server && !std::mem::replace(&mut lost.refused, true) {
            self.sink.queue().push([Item::Error(error.clone())]);
        }
        End::Lost(error)
    }
}

impl Lost {
    fn into_loss(self, node: Option<&Address>) -> Loss {
        let gap = Gap::until_now(self.cause, self.last_heard, None, Vec::new());
        Loss {
            gap: match node {
                Some(node) => gap.at_node(node.clone()),
                None => gap,
            },
            error: self.error,
        }
    }
}

impl<S: MonitorSink> Link for MonitorLink<S> {
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
            Err(error) => Poll::Ready(self.lose(error, GapCause::Disconnected, None)),
        }
    }

    fn leave(&mut self, departure: Departure) -> End {
        self.lose(departure.error, departure.cause, Some(departure.good_at))
    }

    fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.sink.poll_closed(cx)
    }

    fn attempt_failed(&mut self, _: &Error) {}

    fn ended(&mut self, error: Option<Error>) {
        self.ended = true;
        self.line = None;
        self.sink.ended(error);
    }
}

impl NodeLine for MonitorLink<OfNode> {
    fn missed_before(&mut self, missed: Missed, error: Error) {
        self.lost.get_or_insert(Lost {
            last_heard: missed.since,
            error,
            cause: missed.cause,
            refused: false,
        });
    }

    fn last_heard(&self) -> Option<Instant> {
        let line = self.line.as_ref();
        let lost = self.lost.as_ref().map(|lost| lost.last_heard);
        lost.or_else(|| line.map(|line| line.connection.last_heard()))
    }
}

impl<S: MonitorSink> Drop for MonitorLink<S> {
    /// The runtime may end before the monitor does.
    fn drop(&mut self) {
        if !self.ended {
            self.ended(Some(Error::closed(
                "the monitor has ended with its runtime",
            )));
        }
    }
}
