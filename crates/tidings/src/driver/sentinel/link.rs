//! The task that serves the connection to one sentinel: questions out, answers and switches in.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tidings_proto::pubsub::GapCause;
use tidings_proto::{Decoder, Protocol, ProtocolError, Reply, ServerInfo, cmd};

use super::Shared;
use super::answers::{self, Question, Report, SWITCHES};
use crate::config::{Address, Config};
use crate::driver::Alarm;
use crate::driver::place::Departure;
use crate::driver::supervise::{self, Connected, End, Link};
use crate::driver::wire::{Cut, Wire};
use crate::error::{Error, Result};

/// Between two rounds of questions, should a switch have been missed: about as long as a silent peer may go unnoticed.
/// The answers are what shows that a sentinel is alive, so that no PING is needed.
const INTERVAL: Duration = Duration::from_secs(5);

/// Between two rounds, so that many who ask at once do not make many rounds.
const PAUSE: Duration = Duration::from_millis(100);

/// The task's side.
pub(super) struct SentinelLink {
    shared: Arc<Shared>,
    config: Arc<Config>,
    line: Option<Line>,
    alarm: Alarm,
}

/// A connection that is being served.
struct Line {
    wire: Wire,
    decoder: Decoder,
    protocol: Protocol,
    /// What the next answers are answers to.
    expected: VecDeque<Step>,
    /// What has been answered of this round.
    report: Report,
    /// When this round began, or the last one.
    asked: Option<Instant>,
    is_first_round: bool,
    /// When the next round begins; or when the answers of this one are overdue.
    due: Instant,
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Subscribe,
    Unsubscribe,
    Ask(Question),
}

impl SentinelLink {
    /// The settings have the address of the sentinel.
    pub(super) fn new(shared: Arc<Shared>, config: Arc<Config>) -> Self {
        Self {
            shared,
            config,
            line: None,
            alarm: Alarm::new(),
        }
    }

    fn address(&self) -> &Address {
        self.config.server_address()
    }

    /// Asks, and takes what comes, until the connection ends: why.
    fn poll_line(&mut self, cx: &mut Context<'_>) -> Poll<Error> {
        let Some(line) = &mut self.line else {
            return Poll::Pending;
        };
        let address = self.config.server_address();
        loop {
            let now = Instant::now();
            if line.expected.is_empty() {
                if self.shared.poll_asked(address, cx) {
                    line.hurry(now);
                }
                if line.due <= now {
                    let (_, patience) = self.config.ping_times();
                    line.ask(self.shared.name(), self.shared.wants_replicas(), now);
                    line.due = now + patience;
                }
            }
            // An error of the write shows as the end of the stream, behind what the sentinel still had to say.
            let _ = line.wire.poll_flush(cx);
            match line.wire.poll_frame(&mut line.decoder, cx) {
                Poll::Ready(Ok(frame)) => {
                    if let Err(error) = line.take(&frame, address, &self.shared, now) {
                        return Poll::Ready(error);
                    }
                }
                Poll::Ready(Err(Cut::Protocol(error))) => return Poll::Ready(error.into()),
                Poll::Ready(Err(Cut::Ended(error))) => {
                    return Poll::Ready(supervise::lost(&self.config, error));
                }
                Poll::Pending if line.due <= now => {
                    let asked = line.asked.unwrap_or(now);
                    return Poll::Ready(supervise::silent(&self.config, asked));
                }
                Poll::Pending => ready!(self.alarm.poll(Some(line.due), cx)),
            }
        }
    }

    fn lose(&mut self, error: Error) -> End {
        self.line = None;
        self.shared.failed(self.address(), error.clone());
        End::Lost(error)
    }
}

impl Line {
    fn new(wire: Wire, info: &ServerInfo, config: &Config) -> Self {
        Self {
            wire,
            decoder: Decoder::new(config.reply_limits()),
            protocol: info.protocol,
            expected: VecDeque::new(),
            report: Report::default(),
            asked: None,
            is_first_round: true,
            due: Instant::now(),
        }
    }

    /// The next round is to begin soon.
    fn hurry(&mut self, now: Instant) {
        let earliest = self.asked.map_or(now, |asked| asked + PAUSE);
        self.due = self.due.min(earliest.max(now));
    }

    /// Writes the questions of a round in one go.
    fn ask(&mut self, name: &str, replicas: bool, now: Instant) {
        let is_first = self.asked.replace(now).is_none();
        self.is_first_round = is_first;
        self.report = Report::default();
        let ask = Question::round(replicas).map(Step::Ask);
        match self.protocol {
            // Before it asks, so that no switch is missed in between.
            Protocol::Resp3 => self.expected.extend(is_first.then_some(Step::Subscribe)),
            // Who is subscribed may not ask. What is published between two commands of one write is nothing: the
            // sentinel runs them in one go.
            Protocol::Resp2 => self
                .expected
                .extend((!is_first).then_some(Step::Unsubscribe)),
        }
        self.expected.extend(ask);
        if self.protocol == Protocol::Resp2 {
            self.expected.push_back(Step::Subscribe);
        }
        for step in &self.expected {
            let command = match step {
                Step::Subscribe => cmd("SUBSCRIBE").arg(SWITCHES),
                Step::Unsubscribe => cmd("UNSUBSCRIBE").arg(SWITCHES),
                Step::Ask(question) => question.command(name),
            };
            self.wire.output().extend_from_slice(&command.into_bytes());
        }
    }

    fn take(
        &mut self,
        frame: &Bytes,
        from: &Address,
        shared: &Arc<Shared>,
        now: Instant,
    ) -> Result<()> {
        let reply = Reply::parse(frame)?;
        if let Some(payload) = answers::message(reply.clone()) {
            if let Some(to) = answers::switched(&payload, shared.name()) {
                // What this round has told before is out of date.
                self.report.primary = Some(to.clone());
                shared.switched(from, to);
                // It has a number now.
                shared.ask(from);
            }
            return Ok(());
        }
        match (self.expected.pop_front(), reply) {
            (Some(Step::Ask(question)), reply) => {
                let taken = self.report.take(question, reply);
                taken.map_err(|error| refused(from, error))?;
            }
            (Some(Step::Subscribe), Reply::Error(text)) if self.is_first_round => {
                let text = String::from_utf8_lossy(text);
                tracing::warn!(sentinel = %from, %text, "it does not tell of failovers, and is asked only");
            }
            (Some(_), _) => {}
            (None, _) => {
                return Err(ProtocolError::new("an answer of a sentinel to no question").into());
            }
        }
        if self.expected.is_empty() {
            self.due = now + INTERVAL;
            shared.report(from, std::mem::take(&mut self.report));
        }
        Ok(())
    }
}

/// Why a sentinel does not say where the primary is.
fn refused(from: &Address, error: Error) -> Error {
    match error.server_error() {
        Some(server) if server.message().contains("nknown command") => {
            let text = format!(
                "{from} is no sentinel: redis+sentinel:// wants theirs, port 26379 unless told otherwise"
            );
            Error::config(text).with_server(server.clone())
        }
        _ => {
            let text = format!("the sentinel at {from} does not say where the primary is");
            Error::new(error.kind(), text).with_source(error)
        }
    }
}

impl Link for SentinelLink {
    fn connected(&mut self, connected: Connected, _: Option<GapCause>) {
        let Connected { wire, info, .. } = connected;
        self.line = Some(Line::new(wire, &info, &self.config));
    }

    fn poll_run(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        let error = ready!(self.poll_line(cx));
        Poll::Ready(self.lose(error))
    }

    fn leave(&mut self, departure: Departure) -> End {
        self.lose(departure.error)
    }

    /// It is aborted when nobody listens any more.
    fn poll_closed(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }

    fn attempt_failed(&mut self, error: &Error) {
        self.shared.failed(self.address(), error.clone());
    }

    fn ended(&mut self, _: Option<Error>) {
        self.line = None;
    }
}
