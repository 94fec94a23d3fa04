//! Whether the node that a subscriber is at hears the other nodes: it is asked at intervals by what connections they reach
//! it, over which come the messages that are published at them. It is asked once for all its subscribers.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tidings_proto::cluster::{Address, BusListener, InboundLinks, Missed, Node, Shard, SlotMap};
use tidings_proto::pubsub::GapCause;
use tidings_proto::{Reply, ServerError};
use tokio::sync::Mutex;
use tokio::time;

use super::follow::single;
use super::scout::is_unknown;
use super::{Cluster, Routes};
use crate::driver::body::{Answer, Body, Patience};
use crate::driver::together;
use crate::error::{Error, ErrorKind, Result};

/// A node that has not told of anything yet is asked again so soon.
const SOON: Duration = Duration::from_millis(200);

const TIME: &[u8] = b"*1\r\n$4\r\nTIME\r\n";

const LINKS: &[u8] = b"*2\r\n$7\r\nCLUSTER\r\n$5\r\nLINKS\r\n";

const NODES: &[u8] = b"*2\r\n$7\r\nCLUSTER\r\n$5\r\nNODES\r\n";

/// What a node has told last, for all who want to know.
#[derive(Debug, Default)]
pub(super) struct LastTold(Mutex<Option<Told>>);

#[derive(Clone, Debug)]
struct Told {
    asked: Instant,
    /// The cluster as it was known then.
    map: Arc<SlotMap>,
    links: Arc<InboundLinks>,
}

/// What the cluster bus may have lost on its way to one node, for as long as a connection to it is served.
pub(crate) struct BusLosses {
    looking: Pin<Box<dyn Future<Output = (Listening, Option<Missed>)> + Send>>,
    heard_as_of: Option<Instant>,
}

/// Whose messages come to a subscriber by way of another node.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Heard {
    /// Channels and patterns: those of all others.
    Everybody,
    /// Shard channels at a replica: those of its primary.
    Primary,
}

struct Listening {
    cluster: Arc<Cluster>,
    node: Address,
    heard: Heard,
    listener: BusListener,
    /// When the node was asked for what is known.
    asked: Instant,
    /// When that is old.
    due: Instant,
}

impl BusLosses {
    pub(crate) fn new(cluster: Arc<Cluster>, node: Address, heard: Heard) -> Self {
        let now = Instant::now();
        let listening = Listening {
            cluster,
            node,
            heard,
            listener: BusListener::new(now),
            asked: now,
            due: now,
        };
        Self {
            looking: Box::pin(listening.next()),
            heard_as_of: None,
        }
    }

    /// Whether anything was lost, each time that the node has told.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Missed>> {
        let (listening, missed) = ready!(self.looking.as_mut().poll(cx));
        self.heard_as_of = listening.listener.whole_as_of();
        self.looking = Box::pin(listening.next());
        Poll::Ready(missed)
    }

    /// The last time at which surely nothing was missing that was not told, if that is known.
    pub(crate) fn heard_as_of(&self) -> Option<Instant> {
        self.heard_as_of
    }
}

impl Listening {
    /// What was lost, when the node has told again.
    async fn next(mut self) -> (Self, Option<Missed>) {
        loop {
            time::sleep_until(self.due.into()).await;
            let begun = Instant::now();
            let outcome = self.look().await;
            let usual = self.cluster.config().time_between_topologies();
            // Those who have used the same answer come for the next one at the same time.
            self.due = match &outcome {
                Ok(_) => self.asked + usual,
                Err(_) if self.listener.has_begun() => begun + usual,
                Err(_) => begun + usual.min(SOON),
            };
            match outcome {
                Ok(since) => {
                    let cause = GapCause::Partitioned;
                    let missed = since.map(|since| Missed { since, cause });
                    return (self, missed);
                }
                // It is older than these commands, or does not allow them.
                Err(error) if is_refused(&error) => {
                    tracing::warn!(
                        node = %self.node,
                        error = %format_args!("{error:#}"),
                        "the node does not tell whom it hears: what the cluster bus loses is missing without a gap"
                    );
                    std::future::pending::<()>().await;
                }
                // It is asked again.
                Err(_) => {}
            }
        }
    }

    /// Since when something may be missing that the node hears again.
    async fn look(&mut self) -> Result<Option<Instant>> {
        let routes = self.cluster.routes();
        if self.others(routes.map()).is_empty() {
            self.asked = Instant::now();
            let nothing = InboundLinks::default();
            return Ok(self.listener.apply(&nothing, [], self.asked));
        }
        let told = self.ask(&routes).await?;
        self.asked = told.asked;
        let others = self.others(&told.map);
        Ok(self.listener.apply(&told.links, others, told.asked))
    }

    /// What the node tells, or has told another one since this one has heard it last.
    async fn ask(&self, routes: &Routes) -> Result<Told> {
        let link = routes.link_to(&self.node);
        let link = link.ok_or_else(|| Error::connection("no such node is known"))?;
        let recent = self.cluster.config().time_between_topologies() / 2;
        let (mut last, is_asked) = match link.last_told().0.try_lock() {
            Ok(last) => (Some(last), false),
            // Whoever asks may be in a runtime that stands still.
            Err(_) => (
                time::timeout(recent, link.last_told().0.lock()).await.ok(),
                true,
            ),
        };
        if let Some(last) = &last {
            match &**last {
                // What was waited for is as new as can be, however long that took.
                Some(told)
                    if told.asked > self.asked && (is_asked || told.asked.elapsed() < recent) =>
                {
                    return Ok(told.clone());
                }
                // Each would wait for its own answer after all the others, if the node does not answer.
                _ if is_asked => return Err(Error::connection("another one has asked in vain")),
                _ => {}
            }
        }
        let asked = Instant::now();
        // In this order over one connection.
        let asking = [TIME, LINKS, NODES]
            .map(|command| link.run(Body::command(command.to_vec(), Patience::Usual)));
        let answers = together::all(asking).await;
        let answers: Vec<Answer> = answers.into_iter().collect::<Result<_>>()?;
        let [time, links, nodes] = answers.as_slice() else {
            return Err(Error::new(ErrorKind::Protocol, "three answers were due"));
        };
        let links = InboundLinks::from_replies(reply(time)?, reply(links)?, reply(nodes)?)?;
        let told = Told {
            asked,
            map: Arc::new(routes.map().clone()),
            links: Arc::new(links),
        };
        if let Some(last) = &mut last {
            **last = Some(told.clone());
        }
        Ok(told)
    }

    fn others<'a>(&self, map: &'a SlotMap) -> Vec<&'a Node> {
        match self.heard {
            Heard::Everybody => map.others(&self.node).collect(),
            Heard::Primary => {
                let primary = map.serving_shard_of(&self.node).and_then(Shard::primary);
                primary
                    .into_iter()
                    .filter(|primary| *primary.address() != self.node)
                    .collect()
            }
        }
    }
}

fn is_refused(error: &Error) -> bool {
    let is_forbidden = |server: &ServerError| server.code() == "NOPERM";
    is_unknown(error) || error.server_error().is_some_and(is_forbidden)
}

fn reply(answer: &Answer) -> Result<Reply<'_>> {
    let reply = Reply::parse(single(answer)?);
    reply.map_err(|error| tidings_proto::Error::from(error).into())
}
