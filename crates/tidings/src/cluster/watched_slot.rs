//! Keys that are watched at a node of a cluster.

use std::sync::Arc;
use std::time::Instant;

use tidings_proto::cluster::{Access, Next, Redirect, Redirections, Slot};
use tidings_proto::{Command, CommandRef};

use super::SlotTransactions;
use super::slot_transactions::check_slot;
use crate::driver::body::{Answer, Body, Patience};
use crate::driver::cluster::{
    Cluster, NodeLink, behind_asking, is_lost, no_node, redirect_in, refusal_in, wait,
    without_first,
};
use crate::error::{Error, Result};
use crate::pool::{self, Own};
use crate::run::decode;
use crate::watch::not_watched;

/// Where keys are watched: their slot, and the node that has it.
#[derive(Debug)]
pub(crate) struct WatchedSlot {
    cluster: Arc<Cluster>,
    slot: Slot,
    /// Who has its link keeps its connections open.
    link: Arc<NodeLink>,
    /// The slot is on its way to this node, which takes commands for it behind an `ASKING`.
    asking: bool,
    /// One of the watched keys.
    key: Vec<u8>,
}

impl WatchedSlot {
    /// Watches keys, at the node of their slot wherever it is.
    pub(crate) async fn watch(at: &SlotTransactions, command: Command) -> Result<(Own, Self)> {
        let (cluster, slot) = (at.cluster(), at.slot()?);
        check_slot(command.view(), slot)?;
        let mut way = Redirections::new(&cluster.limits(), Instant::now());
        let mut told = None;
        loop {
            let (link, asking) = match told.take() {
                Some(told) => told,
                None => (node_of(cluster, slot)?, false),
            };
            let place = Self {
                cluster: Arc::clone(cluster),
                slot,
                link,
                asking,
                key: command.args().next().unwrap_or_default().to_vec(),
            };
            let permit = pool::lease(cluster.permits(), cluster.config()).await?;
            let own = place.link.pool().connection_with(permit).await;
            let used = own.as_ref().is_ok_and(Own::was_used);
            let outcome = match own {
                Ok(own) => place.send_on(own, &command).await,
                Err(error) => Err(error),
            };
            let (next, error) = match outcome {
                Ok((own, answer)) => {
                    let redirect = redirect_in(&answer);
                    let Err(error) = decode::<()>(answer, at.charset()) else {
                        return Ok((own, place));
                    };
                    // Nothing is watched.
                    own.give_back();
                    let Some(redirect) = redirect else {
                        return Err(error);
                    };
                    cluster.note(&redirect, place.link.address());
                    (way.next(&redirect, Instant::now()), error)
                }
                // The server has closed it while nobody looked. The next one may be new.
                Err(error) if error.is_connection() && used => {
                    told = Some((place.link, asking));
                    continue;
                }
                // WATCH may have run, but has done nothing that outlives its connection.
                Err(error) if is_lost(&error) => {
                    cluster.refresh();
                    (way.next_after_loss(Instant::now()), not_watched(error))
                }
                Err(error) => return Err(not_watched(error)),
            };
            match next {
                Next::To {
                    node,
                    asking,
                    pause,
                    ..
                } => {
                    wait(pause).await;
                    let node = node.told_by(place.link.address());
                    told = Some((cluster.link_at(&node), asking));
                }
                Next::LookUp { pause, .. } => wait(pause).await,
                _ => return Err(error),
            }
        }
    }

    async fn send_on(&self, own: Own, command: &Command) -> Result<(Own, Answer)> {
        let body = Body::command(command.as_bytes().to_vec(), Patience::Usual);
        let answer = own.send(self.body(body)).await?;
        Ok((own, self.answer(answer)?))
    }

    /// Why a command cannot be run here, if it cannot.
    pub(crate) fn check(&self, command: CommandRef<'_>) -> Result<()> {
        check_slot(command, self.slot)
    }

    pub(crate) fn slot(&self) -> Slot {
        self.slot
    }

    /// One of the watched keys.
    pub(crate) fn key(&self) -> &[u8] {
        &self.key
    }

    /// What is sent for a request.
    pub(crate) fn body(&self, body: Body) -> Body {
        match self.asking {
            true => behind_asking(&body),
            false => body,
        }
    }

    /// What was answered to the request.
    fn answer(&self, answer: Answer) -> Result<Answer> {
        match self.asking {
            true => without_first(answer),
            false => Ok(answer),
        }
    }

    /// The same once keys are watched: if the slot is not here any more, what was seen of them is worth nothing.
    pub(crate) fn answer_while_watching(&self, answer: Answer) -> Result<Answer> {
        let answer = self.answer(answer)?;
        match redirect_in(&answer) {
            // Keys in several slots are nowhere together.
            None | Some(Redirect::CrossSlot) => Ok(answer),
            Some(redirect) => {
                self.cluster.note(&redirect, self.link.address());
                let error =
                    Error::watch("the node of the watched keys does not serve their slot any more");
                Err(match refusal_in(&answer) {
                    Some(refusal) => error.with_source(refusal),
                    None => error,
                })
            }
        }
    }
}

fn node_of(cluster: &Cluster, slot: Slot) -> Result<Arc<NodeLink>> {
    let node = cluster.routes().node_for(slot, Access::Write, 0);
    Ok(cluster.link_at(&node.ok_or_else(no_node)?))
}
