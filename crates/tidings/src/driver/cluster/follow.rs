//! A request on its way through a cluster: to the node of its slot, and on to where it is told, until it is answered.

use std::sync::Arc;
use std::time::Instant;

use tidings_proto::cluster::{
    Access, Address, Merge, Next, NodeReply, Redirect, RedirectLimits, Redirections, Slot, Target,
};
use tidings_proto::{Blob, Reply, ServerError};
use tokio::time;

use super::{Cluster, NodeLink, Routes};
use crate::config::Config;
use crate::driver::body::{Answer, Batch, Body, Content};
use crate::driver::together;
use crate::error::{Error, ErrorKind, Result};

const ASKING: &[u8] = b"*1\r\n$6\r\nASKING\r\n";

/// A request for the node of a slot.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) body: Body,
    pub(crate) slot: Slot,
    pub(crate) access: Access,
    /// It may be run twice: it only reads.
    pub(crate) harmless: bool,
}

/// What a node made of a request.
struct Outcome {
    /// The node; `None` if none was known.
    link: Option<Arc<NodeLink>>,
    result: Result<Answer>,
}

impl Cluster {
    pub(crate) fn limits(&self) -> RedirectLimits {
        limits(&self.config)
    }

    /// Runs a request at the node of its slot.
    pub(crate) async fn run_at(self: Arc<Self>, job: Job) -> Result<Answer> {
        let mut way = Redirections::new(&self.limits(), Instant::now());
        let outcome = self.try_at_slot(&job, job.access).await;
        self.go_on(&job, &mut way, outcome).await
    }

    /// Goes on with a request that one node has answered already.
    pub(crate) async fn run_on(
        self: Arc<Self>,
        job: Job,
        link: Arc<NodeLink>,
        result: Result<Answer>,
    ) -> Result<Answer> {
        let mut way = Redirections::new(&self.limits(), Instant::now());
        let link = Some(link);
        self.go_on(&job, &mut way, Outcome { link, result }).await
    }

    async fn go_on(
        &self,
        job: &Job,
        way: &mut Redirections,
        mut outcome: Outcome,
    ) -> Result<Answer> {
        loop {
            let Some(next) = self.next_of(job, way, &outcome) else {
                return outcome.result;
            };
            outcome = match (next, &outcome.link) {
                (
                    Next::To {
                        node,
                        asking,
                        pause,
                        ..
                    },
                    Some(asked),
                ) => {
                    wait(pause).await;
                    let link = self.link_at(&node.told_by(asked.address()));
                    let body = if asking {
                        behind_asking(&job.body)
                    } else {
                        job.body.again()
                    };
                    let result = link.run(body).await;
                    let result = if asking {
                        result.and_then(without_first)
                    } else {
                        result
                    };
                    let link = Some(link);
                    Outcome { link, result }
                }
                (
                    Next::LookUp {
                        pause, at_primary, ..
                    },
                    _,
                ) => {
                    wait(pause).await;
                    let access = if at_primary {
                        Access::Write
                    } else {
                        job.access
                    };
                    self.try_at_slot(job, access).await
                }
                _ => return outcome.result,
            };
        }
    }

    /// What is to be done about an outcome; `None` if it is final.
    fn next_of(&self, job: &Job, way: &mut Redirections, outcome: &Outcome) -> Option<Next> {
        let now = Instant::now();
        let next = match &outcome.result {
            Ok(answer) => {
                let redirect = redirect_in(answer)?;
                if let Some(link) = &outcome.link {
                    self.note(&redirect, link.address());
                }
                way.next(&redirect, now)
            }
            Err(error) if is_lost(error) && (job.harmless || !error.may_have_run()) => {
                self.refresh();
                way.next_after_loss(now)
            }
            Err(error) => {
                if is_lost(error) {
                    self.refresh();
                }
                return None;
            }
        };
        (next != Next::GiveUp).then_some(next)
    }

    /// Takes note of what a redirection says of the cluster.
    pub(crate) fn note(&self, redirect: &Redirect, asked: &Address) {
        match redirect {
            Redirect::Moved { slot, to, .. } => {
                self.learn_moved(*slot, to, asked);
            }
            other if other.is_map_old() => self.refresh(),
            _ => {}
        }
    }

    async fn try_at_slot(&self, job: &Job, access: Access) -> Outcome {
        let link = self.link_for(job.slot, access).or_else(|| {
            // Some node knows better.
            let routes = self.routes();
            routes.any_link(access, self.next_turn(), &[]).cloned()
        });
        let result = match &link {
            Some(link) => link.run(job.body.again()).await,
            // Those that the configuration names are asked again.
            None => Err(no_node()),
        };
        Outcome { link, result }
    }

    /// The link to a node, which need not be known yet.
    pub(crate) fn link_at(&self, address: &Address) -> Arc<NodeLink> {
        let known = self.routes.borrow().link_to(address).cloned();
        known.unwrap_or_else(|| self.open(address.clone()))
    }

    /// Runs what any node can run, best the node of this slot.
    pub(crate) async fn run_near(
        self: Arc<Self>,
        slot: Option<Slot>,
        body: Body,
    ) -> Result<Answer> {
        let mut way = Redirections::new(&self.limits(), Instant::now());
        let mut tried: Vec<Address> = Vec::new();
        loop {
            let routes = self.routes();
            let near = slot.and_then(|slot| routes.link_for(slot, Access::Write, 0));
            let near = near.filter(|link| !link.is_down() && !tried.contains(link.address()));
            let link = near.or_else(|| routes.any_link(Access::Write, self.next_turn(), &tried));
            let Some(link) = link.cloned() else {
                return Err(no_node());
            };
            drop(routes);
            let result = link.run(body.again()).await;
            let next = match &result {
                Ok(answer) => match redirect_in(answer) {
                    Some(redirect) => way.next(&redirect, Instant::now()),
                    None => return result,
                },
                Err(error) if is_lost(error) && !error.may_have_run() => {
                    self.refresh();
                    way.next_after_loss(Instant::now())
                }
                Err(_) => return result,
            };
            match next {
                Next::LookUp { pause, .. } => {
                    // Another one is asked at once, and all of them again after a pause.
                    if tried.len() < self.routes().links().count() {
                        tried.push(link.address().clone());
                    } else {
                        tried.clear();
                        wait(pause).await;
                    }
                }
                _ => return result,
            }
        }
    }

    /// Runs a request without keys on many nodes at a time, and makes one reply of theirs.
    pub(crate) async fn run_on_nodes(
        self: Arc<Self>,
        target: Target,
        merge: Merge,
        body: Body,
    ) -> Result<Answer> {
        let mut way = Redirections::new(&self.limits(), Instant::now());
        let mut answered: Vec<(Address, Answer)> = Vec::new();
        loop {
            let targets = targets(&self.routes(), target);
            // A node that is none of them any more has been replaced by another one.
            answered.retain(|(node, _)| targets.iter().any(|link| link.address() == node));
            let left: Vec<&Arc<NodeLink>> = targets
                .iter()
                .filter(|link| answered.iter().all(|(node, _)| node != link.address()))
                .collect();
            if left.is_empty() {
                return merged(merge, &answered);
            }
            let results = together::all(left.iter().map(|link| link.run(body.again()))).await;
            let mut failure = None;
            for (link, result) in left.into_iter().zip(results) {
                match result {
                    Ok(answer) => match redirect_in(&answer) {
                        Some(redirect) => {
                            self.note(&redirect, link.address());
                            failure = Some((Some(redirect), Ok(answer)));
                        }
                        None => answered.push((link.address().clone(), answer)),
                    },
                    Err(error) if is_lost(&error) && !error.may_have_run() => {
                        self.refresh();
                        failure = Some((None, Err(at_node(link, error))));
                    }
                    Err(error) => return Err(at_node(link, error)),
                }
            }
            let Some((redirect, result)) = failure else {
                continue;
            };
            let next = match redirect {
                Some(redirect) => way.next(&redirect, Instant::now()),
                None => way.next_after_loss(Instant::now()),
            };
            match next {
                Next::LookUp { pause, .. } | Next::To { pause, .. } => wait(pause).await,
                _ => return result,
            }
        }
    }
}

/// How long a request goes on that is sent elsewhere.
pub(crate) fn limits(config: &Config) -> RedirectLimits {
    let limits = RedirectLimits::default();
    match config.time_to_respond() {
        Some(patience) => limits.patience(patience),
        None => limits,
    }
}

pub(crate) fn no_node() -> Error {
    Error::connection("no node of the cluster is known")
}

fn targets(routes: &Routes, target: Target) -> Vec<Arc<NodeLink>> {
    match target {
        Target::AllNodes => routes.members(),
        _ => routes.primaries(),
    }
}

fn at_node(link: &NodeLink, error: Error) -> Error {
    let may_have_run = error.may_have_run();
    Error::new(
        error.kind(),
        format!("the node at {} failed", link.address()),
    )
    .with_source(error)
    .with_may_have_run(may_have_run)
}

fn merged(merge: Merge, answered: &[(Address, Answer)]) -> Result<Answer> {
    let replies: Vec<NodeReply<'_>> = answered
        .iter()
        .map(|(node, answer)| Ok(NodeReply::new(node, single(answer)?)))
        .collect::<Result<_>>()?;
    Ok(Answer::Reply(Blob::from(bytes::Bytes::from(
        merge.replies(&replies)?,
    ))))
}

/// The one reply to a command.
pub(crate) fn single(answer: &Answer) -> Result<&[u8]> {
    match answer {
        Answer::Reply(frame) => Ok(frame),
        Answer::Replies(parts) if parts.len() == 1 => Ok(&parts[0]),
        _ => Err(Error::new(
            ErrorKind::Protocol,
            "a command was answered as a pipeline is",
        )),
    }
}

pub(crate) async fn wait(pause: std::time::Duration) {
    if !pause.is_zero() {
        time::sleep(pause).await;
    }
}

/// The node was lost, or cannot be reached, or is no longer one of the cluster's; the client itself goes on.
pub(crate) fn is_lost(error: &Error) -> bool {
    error.kind() == ErrorKind::Connection
        || (error.kind() == ErrorKind::Timeout && !error.may_have_run())
}

/// Where an answer says to go instead; the request has not run then.
pub(crate) fn redirect_in(answer: &Answer) -> Option<Redirect> {
    match answer {
        Answer::Reply(frame) => redirect_of(frame),
        Answer::Replies(parts) if parts.len() == 1 => redirect_of(&parts[0]),
        Answer::Replies(_) | Answer::Cut(_) => None,
        Answer::Exec(exec) => match &exec.refusal {
            Some(refusal) if refusal.ran => None,
            Some(refusal) => Redirect::of(&refusal.error),
            None => redirect_of(&exec.reply),
        },
    }
}

/// The error that an answer is, or that a transaction was refused with.
pub(crate) fn refusal_in(answer: &Answer) -> Option<ServerError> {
    let frame: &[u8] = match answer {
        Answer::Reply(frame) => frame,
        Answer::Replies(parts) if parts.len() == 1 => &parts[0],
        Answer::Exec(exec) => match &exec.refusal {
            Some(refusal) => return Some(refusal.error.clone()),
            None => &exec.reply,
        },
        Answer::Replies(_) | Answer::Cut(_) => return None,
    };
    match Reply::parse(frame) {
        Ok(Reply::Error(text)) => Some(ServerError::new(text)),
        _ => None,
    }
}

#[inline]
pub(crate) fn redirect_of(frame: &[u8]) -> Option<Redirect> {
    if frame.first() != Some(&b'-') {
        return None;
    }
    match Reply::parse(frame) {
        Ok(Reply::Error(text)) => Redirect::of(&ServerError::new(text)),
        _ => None,
    }
}

/// The same behind an `ASKING`, which has a reply of its own.
pub(crate) fn behind_asking(body: &Body) -> Body {
    let bytes = [ASKING, body.wire()].concat();
    let batch = match body {
        // ASKING holds for all of a transaction.
        Body::Batch(batch) if batch.transaction => {
            let all = 0..bytes.len();
            Batch {
                inner: ASKING.len() + batch.inner.start..ASKING.len() + batch.inner.end,
                commands: batch.commands,
                transaction: true,
                asking: true,
                harmless: all.end,
                content: Content::Own(bytes, all),
                ..Batch::default()
            }
        }
        _ => {
            let length = bytes.len();
            Batch::of_commands(bytes, 2, length, body.patience())
        }
    };
    Body::Batch(Arc::new(batch))
}

/// The answer without the reply to `ASKING`.
pub(crate) fn without_first(answer: Answer) -> Result<Answer> {
    let Answer::Replies(mut parts) = answer else {
        return Ok(answer);
    };
    let Some(first) = parts.first_mut() else {
        return Ok(Answer::Replies(parts));
    };
    let length = match Reply::split(first)? {
        Some((_, rest)) => first.len() - rest.len(),
        None => first.len(),
    };
    let _ = first.split_to(length);
    if first.is_empty() {
        parts.remove(0);
    }
    Ok(Answer::Replies(parts))
}
