//! A pipeline on its way.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tidings_proto::cluster::Access;
use tidings_proto::{CommandRef, Refusal, Reply, Value};

use super::{FromReplies, Replies};
use crate::client::{Client, SharedMailbox};
use crate::cluster::{SlotTransactions, WatchedSlot};
use crate::driver::body::{Answer, Batch, Body, Patience};
use crate::driver::cluster::{Cluster, Job, PipelineRun, Spread};
use crate::driver::mailbox::{Mailbox, Sending};
use crate::error::{Error, ErrorKind, Result};
use crate::pool::Own;
use crate::run::lost_while_watching;
use crate::watch::Watched;

/// How a pipeline is to be executed.
pub(super) enum Plan {
    /// Nothing is to be sent.
    Known(Result<()>),
    Shared(Client, Arc<Batch>),
    Slot(SlotTransactions, Arc<Batch>),
    Watching(Watched, Arc<Batch>),
    Spread(Arc<Cluster>, Spread),
}

/// A pipeline that runs when it is awaited; made by [`Pipeline::execute`](crate::Pipeline::execute).
///
/// # Cancel safety
///
/// Dropped before its first poll, nothing is sent. Dropped later, all of it may run, or nothing, or, unless it is a
/// transaction, a part. The replies go to nobody, and to nobody else.
#[must_use = "a pipeline runs when it is awaited"]
pub struct Execute<T> {
    running: Running,
    replies: PhantomData<fn() -> T>,
}

/// As [`Execute`], with a result for each command; made by
/// [`Pipeline::execute_each`](crate::Pipeline::execute_each).
#[must_use = "a pipeline runs when it is awaited"]
pub struct ExecuteEach {
    running: Running,
}

enum Running {
    /// For one server.
    Single(Single),
    /// For the nodes of a cluster; `None` when it is done.
    Spread(Option<Box<PipelineRun>>),
}

/// A pipeline for one server.
struct Single {
    state: State,
    batch: Arc<Batch>,
}

enum State {
    Known(Option<Result<()>>),
    Shared(Sending<SharedMailbox>),
    /// On a connection that is yet to be had.
    Elsewhere(Pin<Box<dyn Future<Output = Result<Answer>> + Send>>),
    /// On the connection of a watch, which is closed if this is dropped.
    Watching(Sending<Arc<Mailbox>>, Option<Own>, Option<Arc<WatchedSlot>>),
}

impl Running {
    fn new(plan: Plan) -> Self {
        match plan {
            Plan::Spread(cluster, spread) => {
                Self::Spread(Some(Box::new(PipelineRun::new(cluster, spread))))
            }
            plan => Self::Single(Single::new(plan)),
        }
    }

    /// What its replies become.
    fn poll<R>(
        &mut self,
        cx: &mut Context<'_>,
        decode: impl FnOnce(&mut Replies<'_>) -> Result<R>,
    ) -> Poll<Result<R>> {
        match self {
            Self::Single(single) => {
                let answer = ready!(single.poll(cx))?;
                Poll::Ready(single.decode(answer, decode))
            }
            Self::Spread(run) => {
                let Some(running) = run else {
                    return Poll::Ready(Err(ended()));
                };
                ready!(running.poll(cx));
                let replies = run.take().map(|run| run.into_replies());
                let (spread, groups) = replies.ok_or_else(ended)?;
                Poll::Ready(decode(&mut Replies::of_groups(&spread, &groups)))
            }
        }
    }
}

fn ended() -> Error {
    Error::misuse("a pipeline was awaited again after its end")
}

impl Single {
    fn new(plan: Plan) -> Self {
        let (state, batch) = match plan {
            Plan::Spread(..) => (State::Known(None), Arc::default()),
            Plan::Known(outcome) => (State::Known(Some(outcome)), Arc::default()),
            Plan::Shared(client, batch) => {
                let body = Body::Batch(Arc::clone(&batch));
                let state = if batch.patience == Patience::Usual {
                    State::Shared(Sending::new(SharedMailbox(client), body))
                } else {
                    State::Elsewhere(Box::pin(Arc::clone(client.pool()).run(body)))
                };
                (state, batch)
            }
            Plan::Slot(slot, batch) => {
                let body = Body::Batch(Arc::clone(&batch));
                (State::Elsewhere(Box::pin(run_on_slot(slot, body))), batch)
            }
            Plan::Watching(watched, batch) => {
                let body = watched.body(Body::Batch(Arc::clone(&batch)));
                let (own, slot) = watched.into_own();
                let sending = Sending::new(Arc::clone(own.mailbox()), body);
                (State::Watching(sending, Some(own), slot), batch)
            }
        };
        Self { state, batch }
    }

    /// The answer; `None` if nothing was to be sent.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Answer>>> {
        let answer = match &mut self.state {
            State::Known(outcome) => {
                let outcome = outcome.take().unwrap_or_else(|| Err(ended()));
                return Poll::Ready(outcome.map(|()| None));
            }
            State::Shared(sending) => ready!(Pin::new(sending).poll(cx)),
            State::Elsewhere(running) => {
                let answer = ready!(running.as_mut().poll(cx));
                self.state = State::Known(None);
                answer
            }
            State::Watching(sending, own, slot) => {
                let answer = ready!(Pin::new(sending).poll(cx));
                // EXEC has ended the watch. Where MULTI was refused it has not, and the connection is closed.
                match (&answer, own.take()) {
                    (Ok(Answer::Exec(exec)), Some(own))
                        if !exec.refusal.as_ref().is_some_and(is_of_multi) =>
                    {
                        own.give_back();
                    }
                    _ => {}
                }
                let answer = answer.map_err(lost_while_watching);
                match slot {
                    Some(slot) => answer.and_then(|answer| slot.answer_while_watching(answer)),
                    None => answer,
                }
            }
        };
        Poll::Ready(answer.map(Some))
    }

    fn decode<R>(
        &self,
        answer: Option<Answer>,
        decode: impl FnOnce(&mut Replies<'_>) -> Result<R>,
    ) -> Result<R> {
        let batch = &*self.batch;
        match answer {
            None => decode(&mut Replies::none(batch)),
            Some(Answer::Replies(parts)) => decode(&mut Replies::of_parts(batch, &parts)),
            Some(Answer::Exec(exec)) => match exec.refusal {
                Some(refusal) => Err(refused(batch, refusal, &exec.reply)),
                None => decode_exec(batch, &exec.reply, decode),
            },
            Some(Answer::Reply(_) | Answer::Cut(_)) => {
                Err(broken("a pipeline was answered as a command is"))
            }
        }
    }
}

async fn run_on_slot(slot: SlotTransactions, body: Body) -> Result<Answer> {
    let job = Job {
        body,
        slot: slot.slot()?,
        access: Access::Write,
        harmless: false,
    };
    Arc::clone(slot.cluster()).run_at(job).await
}

fn decode_exec<R>(
    batch: &Batch,
    reply: &Bytes,
    decode: impl FnOnce(&mut Replies<'_>) -> Result<R>,
) -> Result<R> {
    match Reply::parse_shared(reply)? {
        Reply::Array(elements) if elements.len() == batch.commands => {
            decode(&mut Replies::of_exec(batch, elements))
        }
        Reply::Null => Err(Error::watch(
            "a watched key has changed, and nothing was run",
        )),
        Reply::Error(text) => {
            let server = tidings_proto::ServerError::new(text);
            let text = format!("the transaction was not run: {}", server.message());
            Err(Error::new(ErrorKind::Server, text).with_server(server))
        }
        other => Err(broken(format!(
            "EXEC of {} commands was answered by {other}",
            batch.commands
        ))),
    }
}

fn broken(text: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::Protocol, text).with_may_have_run(true)
}

fn is_of_multi(refusal: &Refusal) -> bool {
    refusal.command == 0
}

/// Why a transaction was not queued in full.
fn refused(batch: &Batch, refusal: Refusal, exec: &Bytes) -> Error {
    if is_of_multi(&refusal) {
        let text = format!(
            "MULTI was refused, and the commands may have run one by one: {}",
            refusal.error.message()
        );
        return Error::new(ErrorKind::Server, text)
            .with_server(refusal.error)
            .with_may_have_run(true);
    }
    if !matches!(Reply::parse(exec), Ok(Reply::Error(_))) {
        return broken("EXEC ran a transaction of which a command had been refused");
    }
    let mut commands = batch.command_bytes();
    let mut command = None;
    for _ in 0..refusal.command {
        command = CommandRef::split_first(commands);
        commands = command.map_or(&[], |(_, rest)| rest);
    }
    let error = Error::from(refusal.error);
    let loads = batch.loads.iter().filter(|at| **at + 1 < refusal.command);
    let number = refusal.command - loads.count();
    match command {
        Some((text, _)) => error.of_command(number, text, "was refused, and nothing was run"),
        None => error,
    }
}

impl<T> Execute<T> {
    pub(super) fn new(plan: Plan) -> Self {
        Self {
            running: Running::new(plan),
            replies: PhantomData,
        }
    }
}

impl ExecuteEach {
    pub(super) fn new(plan: Plan) -> Self {
        Self {
            running: Running::new(plan),
        }
    }
}

impl<T: FromReplies> Future for Execute<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T>> {
        self.running.poll(cx, T::from_replies)
    }
}

impl Future for ExecuteEach {
    type Output = Result<Vec<Result<Value>>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.running.poll(cx, |replies| {
            let mut each = Vec::with_capacity(replies.len());
            while !replies.is_empty() {
                each.push(replies.take::<Value>());
            }
            Ok(each)
        })
    }
}

impl<T> fmt::Debug for Execute<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Execute").finish_non_exhaustive()
    }
}

impl fmt::Debug for ExecuteEach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExecuteEach").finish_non_exhaustive()
    }
}
