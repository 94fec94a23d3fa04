//! A command of a cluster's client, from its making to its reply.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tidings_proto::cluster::{Access, Merge, Plan, Problem, Slot, Split, Target};
use tidings_proto::{Blob, Charset, Command, FromReply};

use crate::commands::refused;
use crate::driver::body::{Answer, Body, Patience};
use crate::driver::cluster::{Cluster, Job, NodeLink, is_lost, redirect_in, single};
use crate::driver::mailbox::{Mailbox, Sending};
use crate::driver::together;
use crate::error::{Error, Result};
use crate::run::{decode, is_unknown_script};
use crate::script::ScriptCall;

/// A command of a [`ClusterClient`](crate::ClusterClient) that runs when it is awaited.
///
/// # Cancel safety
///
/// Dropped before its first poll, nothing is sent. Dropped later, the command may run all the same, on some of the nodes
/// if it is for several; its reply goes to nobody, and to nobody else. One that blocks (`BLPOP`) has a connection of its own,
/// which is closed then: what the server gave at that moment is lost.
#[must_use = "a command runs when it is awaited"]
pub struct ClusterRun<'a, T> {
    state: State,
    cluster: &'a Arc<Cluster>,
    /// What is to be sent next if the server does not know the script.
    script: Option<Box<ScriptCall>>,
    reply: PhantomData<fn() -> T>,
}

enum State {
    /// On its way to the node of its slot, which nearly always has it.
    Sending(Sending<Arc<Mailbox>>, Direction),
    /// On any other way.
    Elsewhere(Pin<Box<dyn Future<Output = Result<Answer>> + Send>>),
    Refused(Option<Error>),
}

/// Where a command was sent, and why there.
struct Direction {
    link: Arc<NodeLink>,
    slot: Slot,
    /// `None`: any node will do.
    access: Option<Access>,
    reads_only: bool,
}

impl<'a, T> ClusterRun<'a, T> {
    pub(super) fn new(cluster: &'a Arc<Cluster>, command: Command) -> Self {
        Self {
            state: State::of(cluster, command),
            cluster,
            script: None,
            reply: PhantomData,
        }
    }

    /// The same on the node of this slot, wherever its keys are.
    pub(super) fn at_slot(cluster: &'a Arc<Cluster>, slot: Slot, command: Command) -> Self {
        let state = match checked(cluster, command) {
            Ok(command) => State::at_slot(cluster, slot, command),
            Err(error) => State::Refused(Some(error)),
        };
        Self {
            state,
            cluster,
            script: None,
            reply: PhantomData,
        }
    }

    /// The same on all nodes, of which each has a reply of its own.
    pub(super) fn on_nodes(cluster: &'a Arc<Cluster>, command: Command) -> Self {
        let state = match checked(cluster, command) {
            Ok(command) => {
                let body = body_of(command);
                let all = Arc::clone(cluster).run_on_nodes(Target::AllNodes, Merge::PerNode, body);
                State::Elsewhere(Box::pin(all))
            }
            Err(error) => State::Refused(Some(error)),
        };
        Self {
            state,
            cluster,
            script: None,
            reply: PhantomData,
        }
    }

    #[cold]
    pub(super) fn refused(cluster: &'a Arc<Cluster>, error: Error) -> Self {
        Self {
            state: State::Refused(Some(error)),
            cluster,
            script: None,
            reply: PhantomData,
        }
    }

    /// The same, and the script as a whole if the command says that it is unknown.
    pub(super) fn with_script(mut self, call: ScriptCall) -> Self {
        self.script = Some(Box::new(call));
        self
    }
}

/// A command that may be sent, in the client's charset.
fn checked(cluster: &Cluster, command: Command) -> Result<Command> {
    if let Some(error) = refused(command.view()) {
        return Err(error);
    }
    Ok(command.in_charset(cluster.charset())?)
}

impl State {
    fn of(cluster: &Arc<Cluster>, command: Command) -> Self {
        let command = match checked(cluster, command) {
            Ok(command) => command,
            Err(error) => return Self::Refused(Some(error)),
        };
        match Plan::of(command.view()) {
            Ok(Plan::Slot(slot)) => Self::at_slot(cluster, slot, command),
            Ok(Plan::Near(slot)) => {
                let link = cluster.link_for(slot, Access::Write);
                match link.filter(|link| !link.is_down()) {
                    Some(link) => {
                        let sending = Sending::new(Arc::clone(link.mailbox()), body_of(command));
                        let direction = Direction {
                            link,
                            slot,
                            access: None,
                            reads_only: false,
                        };
                        Self::Sending(sending, direction)
                    }
                    None => {
                        let near = Arc::clone(cluster).run_near(Some(slot), body_of(command));
                        Self::Elsewhere(Box::pin(near))
                    }
                }
            }
            Ok(Plan::Split(split)) => {
                let reads_only = command.is_read_only();
                Self::Elsewhere(Box::pin(run_split(Arc::clone(cluster), split, reads_only)))
            }
            Ok(Plan::Nodes(target, merge)) => Self::on_nodes(cluster, target, merge, command),
            Ok(_) => Self::Refused(Some(Error::misuse("a command that goes nowhere"))),
            Err(problem) => Self::Refused(Some(problem_of(&command, problem))),
        }
    }

    fn at_slot(cluster: &Arc<Cluster>, slot: Slot, command: Command) -> Self {
        let reads = cluster.reads();
        // Looked up only if it makes a difference before it is sent.
        let reads_only = reads != Access::Write && command.is_read_only();
        let access = if reads_only { reads } else { Access::Write };
        let body = body_of(command);
        if body.patience() == Patience::Usual
            && let Some(link) = cluster.link_for(slot, access)
        {
            let sending = Sending::new(Arc::clone(link.mailbox()), body);
            let direction = Direction {
                link,
                slot,
                access: Some(access),
                reads_only,
            };
            return Self::Sending(sending, direction);
        }
        let job = Job {
            body,
            slot,
            access,
            harmless: reads_only,
        };
        Self::Elsewhere(Box::pin(Arc::clone(cluster).run_at(job)))
    }

    fn on_nodes(cluster: &Arc<Cluster>, target: Target, merge: Merge, command: Command) -> Self {
        let cluster = Arc::clone(cluster);
        match target {
            // It would be of another type than the caller expects.
            _ if merge == Merge::PerNode => Self::Refused(Some(Error::misuse(format!(
                "{} is about each node by itself: run it on all with ClusterClient::run_on_nodes, or on the client of \
                 one that ClusterClient::node gives",
                name(&command)
            )))),
            Target::AnyNode => Self::Elsewhere(Box::pin(cluster.run_near(None, body_of(command)))),
            Target::AllPrimaries | Target::AllNodes => {
                let body = body_of(command);
                Self::Elsewhere(Box::pin(cluster.run_on_nodes(target, merge, body)))
            }
            Target::EachInTurn => Self::Refused(Some(Error::misuse(format!(
                "{} goes from node to node, each with a cursor of its own: use ClusterClient::scan_keys",
                name(&command)
            )))),
            _ => Self::Refused(Some(Error::misuse(format!(
                "{} is about one node: run it on the client that ClusterClient::node gives",
                name(&command)
            )))),
        }
    }
}

fn body_of(command: Command) -> Body {
    let patience = Patience::of(command.view());
    Body::command(command.into_bytes(), patience)
}

fn name(command: &Command) -> String {
    let mut shown = String::from_utf8_lossy(command.name()).to_ascii_uppercase();
    // A subcommand is a word of its name.
    let subcommands = [
        "ACL", "CLIENT", "CLUSTER", "FUNCTION", "LATENCY", "MEMORY", "MODULE",
    ];
    if let Some(first) = command
        .args()
        .next()
        .filter(|_| subcommands.contains(&&*shown))
    {
        shown.push(' ');
        shown.push_str(&String::from_utf8_lossy(first).to_ascii_uppercase());
    }
    shown
}

fn problem_of(command: &Command, problem: Problem) -> Error {
    let what = match problem {
        Problem::SeveralSlots => {
            "its keys are in several slots, and no node has them all: keys with the same {tag} are together"
        }
        Problem::UnknownCommand => {
            "it is not known which node it is for: ClusterClient::run_on_key runs it on the node of a key"
        }
        _ => "no node of the cluster is for it",
    };
    Error::misuse(format!("{} cannot be run: {what}", command.view()))
}

async fn run_split(cluster: Arc<Cluster>, split: Split, reads_only: bool) -> Result<Answer> {
    let access = match reads_only {
        true => cluster.reads(),
        false => Access::Write,
    };
    let parts = split.parts().iter().map(|part| {
        let job = Job {
            body: body_of(part.command().clone()),
            slot: part.slot(),
            access,
            harmless: reads_only,
        };
        Arc::clone(&cluster).run_at(job)
    });
    let outcomes = together::all(parts).await;
    let ran = outcomes.iter().any(Result::is_ok);
    let answers: Vec<Answer> = outcomes
        .into_iter()
        .collect::<Result<_>>()
        .map_err(|error| {
            let may_have_run = error.may_have_run() || ran;
            Error::new(
                error.kind(),
                "a part of the command failed: others may have run",
            )
            .with_source(error)
            .with_may_have_run(may_have_run)
        })?;
    let frames: Vec<&[u8]> = answers.iter().map(single).collect::<Result<_>>()?;
    let joined = Bytes::from(split.join(&frames)?);
    Ok(Answer::Reply(Blob::from(joined)))
}

impl<T> ClusterRun<'_, T> {
    /// The answer of the way that it is on, or another way.
    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<Result<Answer>> {
        loop {
            match &mut self.state {
                State::Sending(sending, _) => {
                    let answer = ready!(Pin::new(&mut *sending).poll(cx));
                    let state = std::mem::replace(&mut self.state, State::Refused(None));
                    let State::Sending(sending, direction) = state else {
                        continue;
                    };
                    if is_final(&answer, &direction, sending.body()) {
                        return Poll::Ready(answer);
                    }
                    self.state = go_on(self.cluster, direction, sending.body().again(), answer);
                }
                State::Elsewhere(running) => {
                    let answer = ready!(running.as_mut().poll(cx));
                    self.state = State::Refused(None);
                    return Poll::Ready(answer);
                }
                State::Refused(error) => {
                    return Poll::Ready(Err(error.take().unwrap_or_else(|| {
                        Error::misuse("a command was awaited again after its end")
                    })));
                }
            }
        }
    }
}

#[inline]
fn is_final(answer: &Result<Answer>, direction: &Direction, body: &Body) -> bool {
    match answer {
        Ok(answer) => redirect_in(answer).is_none(),
        Err(error) => !is_lost(error) || (error.may_have_run() && !is_harmless(direction, body)),
    }
}

/// Whether it may be run twice.
fn is_harmless(direction: &Direction, body: &Body) -> bool {
    direction.reads_only || {
        let command = tidings_proto::CommandRef::split_first(body.wire());
        command.is_some_and(|(command, _)| command.is_read_only())
    }
}

#[cold]
fn go_on(
    cluster: &Arc<Cluster>,
    direction: Direction,
    body: Body,
    answer: Result<Answer>,
) -> State {
    let cluster = Arc::clone(cluster);
    let harmless = is_harmless(&direction, &body);
    let Direction {
        link, slot, access, ..
    } = direction;
    State::Elsewhere(match access {
        Some(access) => {
            let job = Job {
                body,
                slot,
                access,
                harmless,
            };
            Box::pin(cluster.run_on(job, link, answer))
        }
        None => {
            cluster.refresh();
            Box::pin(cluster.run_near(Some(slot), body))
        }
    })
}

impl<T: FromReply> Future for ClusterRun<'_, T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T>> {
        let this = &mut *self;
        loop {
            let answer = ready!(this.poll_answer(cx));
            match this.script.take() {
                Some(call) if is_unknown_script(&answer) => {
                    this.state = State::of(this.cluster, call.whole());
                }
                _ => {
                    let charset: Charset = this.cluster.charset();
                    return Poll::Ready(answer.and_then(|answer| decode(answer, charset)));
                }
            }
        }
    }
}

impl<T> fmt::Debug for ClusterRun<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClusterRun").finish_non_exhaustive()
    }
}
