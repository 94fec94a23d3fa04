//! Whether the node that a subscriber is at hears the other nodes: it is asked at intervals by what connections they reach
//! it, over which come the messages that are published at them.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tidings_proto::cluster::{Address, BusListener, InboundLinks, Missed, Node, Shard};
use tidings_proto::pubsub::GapCause;
use tidings_proto::{Reply, ServerError};
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

/// What the cluster bus may have lost on its way to one node, for as long as a connection to it is served.
pub(crate) struct BusLosses(Pin<Box<dyn Future<Output = (Listening, Missed)> + Send>>);

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
}

impl BusLosses {
    pub(crate) fn new(cluster: Arc<Cluster>, node: Address, heard: Heard) -> Self {
        let listening = Listening {
            cluster,
            node,
            heard,
            listener: BusListener::new(Instant::now()),
        };
        Self(Box::pin(listening.next()))
    }

    /// The next loss.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Missed> {
        let (listening, missed) = ready!(self.0.as_mut().poll(cx));
        self.0 = Box::pin(listening.next());
        Poll::Ready(missed)
    }
}

impl Listening {
    async fn next(mut self) -> (Self, Missed) {
        loop {
            let asked = Instant::now();
            let routes = self.cluster.routes();
            match self.look(&routes, asked).await {
                Ok(None) => {}
                Ok(Some(since)) => {
                    let cause = GapCause::Partitioned;
                    return (self, Missed { since, cause });
                }
                // It is older than this command, or does not allow it.
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
            let usual = self.cluster.config().time_between_topologies();
            let pause = match self.listener.has_begun() {
                true => usual,
                false => usual.min(SOON),
            };
            time::sleep_until((asked + pause).into()).await;
        }
    }

    /// Since when something may be missing that the node hears again.
    async fn look(&mut self, routes: &Routes, asked: Instant) -> Result<Option<Instant>> {
        let others = self.others(routes);
        let told = if others.is_empty() {
            InboundLinks::default()
        } else {
            self.ask(routes).await?
        };
        Ok(self.listener.apply(&told, others, asked))
    }

    async fn ask(&self, routes: &Routes) -> Result<InboundLinks> {
        let link = routes.link_to(&self.node);
        let link = link.ok_or_else(|| Error::connection("no such node is known"))?;
        // In this order over one connection.
        let asking =
            [TIME, LINKS].map(|command| link.run(Body::command(command.to_vec(), Patience::Usual)));
        let answers = together::all(asking).await;
        let answers: Vec<Answer> = answers.into_iter().collect::<Result<_>>()?;
        let [time, links] = answers.as_slice() else {
            return Err(Error::new(ErrorKind::Protocol, "two answers were due"));
        };
        Ok(InboundLinks::from_replies(reply(time)?, reply(links)?)?)
    }

    fn others<'a>(&self, routes: &'a Routes) -> Vec<&'a Node> {
        match self.heard {
            Heard::Everybody => routes.map().others(&self.node).collect(),
            Heard::Primary => {
                let shard = routes.map().serving_shard_of(&self.node);
                let primary = shard.and_then(Shard::primary);
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
