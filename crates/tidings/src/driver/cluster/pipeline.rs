//! A pipeline on its way to the nodes of a cluster: to all of them at a time, and on from there for the commands that one of
//! them did not run.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use tidings_proto::cluster::{Flight, FlightAnswer, Loss, Outcome, Redirect, Resend, mend};
use tidings_proto::{ProtocolError, Reply, ServerError};

use super::follow::{is_lost, no_node, wait};
use super::{Cluster, NodeLink, Spread};
use crate::driver::body::{Answer, Batch, Body, Patience};
use crate::driver::mailbox::{Mailbox, Sending};
use crate::driver::together;
use crate::error::{Error, ErrorKind, Result};

/// What came of the commands of one group.
#[derive(Debug)]
pub(crate) struct GroupReplies {
    /// Whole replies, in the order of the commands, without those that failed.
    pub(crate) parts: Vec<Bytes>,
    /// Why there is no reply to a command, by its place in the pipeline, in order.
    pub(crate) failed: Vec<(usize, Error)>,
}

/// A pipeline on its way. Dropped, what has left may run, and the replies go to nobody.
pub(crate) struct PipelineRun {
    cluster: Arc<Cluster>,
    spread: Arc<Spread>,
    ways: Vec<Way>,
}

/// Where the commands of one group are.
enum Way {
    /// On their way to the node, which nearly always runs them all. Who has its link keeps its connection open.
    Sending {
        sending: Sending<Arc<Mailbox>>,
        _link: Arc<NodeLink>,
    },
    /// On any other way.
    Elsewhere(Pin<Box<dyn Future<Output = GroupReplies> + Send>>),
    Answered(GroupReplies),
}

impl PipelineRun {
    pub(crate) fn new(cluster: Arc<Cluster>, spread: Spread) -> Self {
        let spread = Arc::new(spread);
        let groups = 0..spread.plan().groups().len();
        let ways = groups.map(|group| Way::begin(&cluster, &spread, group));
        Self {
            ways: ways.collect(),
            cluster,
            spread,
        }
    }

    /// Whether all of it has come to its end.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut all = Poll::Ready(());
        for (group, way) in self.ways.iter_mut().enumerate() {
            if way
                .poll(&self.cluster, &self.spread, group, cx)
                .is_pending()
            {
                all = Poll::Pending;
            }
        }
        all
    }

    /// The pipeline, and what came of each group, once all of it has come to its end.
    pub(crate) fn into_replies(self) -> (Arc<Spread>, Vec<GroupReplies>) {
        let replies = self.ways.into_iter().filter_map(|way| match way {
            Way::Answered(replies) => Some(replies),
            Way::Sending { .. } | Way::Elsewhere(_) => None,
        });
        (self.spread, replies.collect())
    }
}

impl Way {
    fn begin(cluster: &Arc<Cluster>, spread: &Arc<Spread>, group: usize) -> Self {
        let link = cluster.link_at(spread.group(group).node());
        let batch = spread.batch(group);
        let patience = batch.patience;
        let body = Body::Batch(Arc::new(batch));
        if patience == Patience::Usual {
            let sending = Sending::new(Arc::clone(link.mailbox()), body);
            return Self::Sending {
                sending,
                _link: link,
            };
        }
        let (cluster, spread) = (Arc::clone(cluster), Arc::clone(spread));
        Self::Elsewhere(Box::pin(async move {
            let answer = link.run(body).await;
            drop(link);
            go_on(cluster, spread, group, answer).await
        }))
    }

    fn poll(
        &mut self,
        cluster: &Arc<Cluster>,
        spread: &Arc<Spread>,
        group: usize,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        loop {
            *self = match self {
                Self::Sending { sending, .. } => {
                    match std::task::ready!(Pin::new(sending).poll(cx)) {
                        Ok(Answer::Replies(parts)) if all_ran(spread, group, &parts) => {
                            Self::Answered(GroupReplies {
                                parts,
                                failed: Vec::new(),
                            })
                        }
                        answer => {
                            let (cluster, spread) = (Arc::clone(cluster), Arc::clone(spread));
                            Self::Elsewhere(Box::pin(go_on(cluster, spread, group, answer)))
                        }
                    }
                }
                Self::Elsewhere(running) => {
                    Self::Answered(std::task::ready!(running.as_mut().poll(cx)))
                }
                Self::Answered(_) => return Poll::Ready(()),
            };
        }
    }
}

/// Whether the replies are the commands', as they are.
fn all_ran(spread: &Spread, group: usize, parts: &[Bytes]) -> bool {
    !spread.group(group).has_loads() && !parts.iter().any(|part| Redirect::may_be_among(part))
}

/// Goes on with a group that its node has answered, or not answered.
async fn go_on(
    cluster: Arc<Cluster>,
    spread: Arc<Spread>,
    group: usize,
    answer: Result<Answer>,
) -> GroupReplies {
    let outcome = cluster.follow_group(&spread, group, answer).await;
    outcome.unwrap_or_else(|error| {
        let error = broken(error);
        let places = spread.plan().replies_of(group).flatten();
        GroupReplies {
            parts: Vec::new(),
            failed: places.map(|place| (place, error.clone())).collect(),
        }
    })
}

impl Cluster {
    async fn follow_group(
        &self,
        spread: &Spread,
        group: usize,
        answer: Result<Answer>,
    ) -> Result<GroupReplies, ProtocolError> {
        let (plan, commands) = (spread.plan(), spread.commands());
        let first = self.flight_answer(answer);
        let now = Instant::now();
        let mut resend = Resend::begin(plan, group, commands, &first, self.limits(), now)?;
        loop {
            while let Some((redirect, asked)) = resend.poll_note() {
                self.note(&redirect, &asked);
            }
            let Some(pause) = resend.next_round(Instant::now()) else {
                break;
            };
            wait(pause).await;
            let flights = self.flights(spread, &mut resend);
            let answers = flights
                .iter()
                .map(|flight| self.send_flight(spread, flight));
            let answers = together::all(answers).await;
            for (flight, answer) in flights.iter().zip(answers) {
                let answer = self.flight_answer(answer);
                let now = Instant::now();
                if let Err(error) = resend.handle(plan, commands, flight, &answer, now) {
                    let answer = lost(broken(error), usize::MAX, Vec::new());
                    resend.handle(plan, commands, flight, &answer, now)?;
                }
            }
        }
        let mended = mend(plan.replies_of(group), &first.parts, resend.into_ended())?;
        let failed = mended.failed.into_iter();
        Ok(GroupReplies {
            parts: mended.parts,
            failed: failed.map(|(place, why)| (place, error_of(why))).collect(),
        })
    }

    fn flights(&self, spread: &Spread, resend: &mut Resend<Error>) -> Vec<Flight> {
        let (routes, turn) = (self.routes(), self.next_turn());
        resend.flights(spread.commands(), &no_node(), |slot, access| {
            routes.node_for(slot, access, turn)
        })
    }

    async fn send_flight(&self, spread: &Spread, flight: &Flight) -> Result<Answer> {
        let (bytes, first) = flight.encoded(spread.plan(), spread.commands());
        let patience = spread.patience(|| Patience::of_all(&bytes));
        let batch = Batch {
            piecemeal: true,
            ..Batch::of_commands(bytes, flight.replies(), first, patience)
        };
        let link = self.link_at(flight.to());
        link.run(Body::Batch(Arc::new(batch))).await
    }

    /// What a node made of its commands.
    fn flight_answer(&self, answer: Result<Answer>) -> FlightAnswer<Error> {
        let answer = match answer {
            Ok(Answer::Replies(parts)) => return FlightAnswer { parts, loss: None },
            Ok(Answer::Cut(cut)) => lost(cut.error, cut.left, cut.parts),
            Ok(_) => {
                let error = ProtocolError::new("a pipeline was answered as a command is");
                lost(broken(error), usize::MAX, Vec::new())
            }
            Err(error) => {
                let left = if error.may_have_run() { usize::MAX } else { 0 };
                lost(error, left, Vec::new())
            }
        };
        if answer
            .loss
            .as_ref()
            .is_some_and(|loss| is_lost(&loss.in_doubt))
        {
            self.refresh();
        }
        answer
    }
}

/// A request of which so many bytes had left, and to which there are no more replies than these.
fn lost(error: Error, left: usize, parts: Vec<Bytes>) -> FlightAnswer<Error> {
    let unsent = match error.may_have_run() {
        true => Error::new(error.kind(), "the connection was lost before it was sent")
            .with_source(error.clone()),
        false => error.clone(),
    };
    let again = is_lost(&error);
    FlightAnswer {
        parts,
        loss: Some(Loss {
            left,
            in_doubt: error,
            unsent,
            again,
        }),
    }
}

fn broken(error: ProtocolError) -> Error {
    Error::from(error).with_may_have_run(true)
}

/// What is said of a command without a reply.
fn error_of(why: Outcome<Error>) -> Error {
    match why {
        Outcome::Failed(error) => error,
        Outcome::Overtaken { reply, by, .. } => overtaken(&reply, by),
        _ => Error::new(ErrorKind::Protocol, "there is no reply").with_may_have_run(true),
    }
}

fn overtaken(reply: &[u8], by: usize) -> Error {
    let Ok(Reply::Error(text)) = Reply::parse(reply) else {
        return Error::new(ErrorKind::Protocol, "it was refused by no error");
    };
    let server = ServerError::new(text);
    let text = format!(
        "the server answered: {}; it was not sent again, since command {} has run, on the same key",
        server.message(),
        by + 1
    );
    Error::new(ErrorKind::Server, text).with_server(server)
}
