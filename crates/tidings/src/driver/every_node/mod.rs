//! A line to each node of a cluster: a connection of its own that shows what the node does, made again when it is lost.
//!
//! Which nodes are wanted is said by the [`NodeFollower`]; here lines are made and ended. What they show goes wherever
//! the [`Watcher`] has it.

mod line;
mod states;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use tidings_proto::cluster::{Access, Address, Following, FollowingStep, Missed, NodeFollower};
use tidings_proto::pubsub::GapCause;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

pub(crate) use line::NodeLine;
pub use states::NodeStatus;
pub(crate) use states::{NodeState, NodeStates};

use super::cluster::{Cluster, Follower, NodePlace, Routes};
use super::place::{Departure, Place};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::pubsub::Gap;
use line::Ended;

/// What is done with the nodes.
pub(crate) trait Watcher: Send + 'static {
    type Line: NodeLine;

    /// What serves a node, and where its connections are made.
    fn line(&self, config: Arc<Config>, state: NodeState, place: Place) -> (Self::Line, Place);

    /// What a node has missed that has no line any more.
    fn tell(&self, gap: Gap, why: Error);

    /// There will be no further line; `error` says why, unless nobody wanted them any more.
    fn ended(&self, error: Option<Error>);
}

/// Has the lines end when it is dropped.
#[derive(Debug)]
pub(crate) struct Watching {
    states: Arc<NodeStates>,
    _closing: oneshot::Sender<Infallible>,
}

impl Watching {
    /// Waits until the first nodes show something; see [`NodeStates::begun`].
    pub(crate) async fn begun(&self) -> Result<()> {
        self.states.begun().await
    }

    pub(crate) fn nodes(&self) -> Vec<NodeStatus> {
        self.states.list()
    }
}

/// Makes lines to these nodes of a cluster, whatever becomes of them.
pub(crate) fn watch<W: Watcher>(cluster: &Arc<Cluster>, which: Following, watcher: W) -> Watching {
    let states = Arc::<NodeStates>::default();
    let (closing, closed) = oneshot::channel();
    let keeper = Keeper {
        follower: NodeFollower::new(which),
        watcher,
        states: Arc::clone(&states),
        lines: BTreeMap::new(),
        tasks: JoinSet::new(),
        changes: cluster.changes(),
        _follower: cluster.follow(),
        cluster: Arc::clone(cluster),
        ended: false,
    };
    tokio::spawn(keeper.keep(closed));
    Watching {
        states,
        _closing: closing,
    }
}

struct Keeper<W: Watcher> {
    follower: NodeFollower,
    watcher: W,
    states: Arc<NodeStates>,
    /// Each of them ends when it is told why.
    lines: BTreeMap<Address, oneshot::Sender<Departure>>,
    /// Dropped, they end.
    tasks: JoinSet<Ended>,
    changes: watch::Receiver<Arc<Routes>>,
    _follower: Follower,
    cluster: Arc<Cluster>,
    ended: bool,
}

/// What there is to do.
enum News {
    Closed,
    Routes,
    Ended(Ended),
}

impl<W: Watcher> Keeper<W> {
    async fn keep(mut self, mut closed: oneshot::Receiver<Infallible>) {
        self.apply();
        self.states.complete();
        loop {
            match self.news(&mut closed).await {
                News::Closed => return self.end(None),
                News::Routes => self.apply(),
                News::Ended(ended) => {
                    self.lines.remove(&ended.node);
                    self.states.remove(&ended.node);
                    if let Some(error) = ended.error {
                        return self.end(Some(error));
                    }
                    self.follower.ended(&ended.node, ended.last);
                    self.take_steps();
                }
            }
        }
    }

    async fn news(&mut self, closed: &mut oneshot::Receiver<Infallible>) -> News {
        let Self { changes, tasks, .. } = self;
        let mut changed = pin!(changes.changed());
        poll_fn(|cx| {
            if Pin::new(&mut *closed).poll(cx).is_ready() {
                return Poll::Ready(News::Closed);
            }
            // Those that have ended come first: what takes over from them waits.
            while let Poll::Ready(Some(outcome)) = tasks.poll_join_next(cx) {
                if let Ok(ended) = outcome {
                    return Poll::Ready(News::Ended(ended));
                }
            }
            changed.as_mut().poll(cx).map(|_| News::Routes)
        })
        .await
    }

    fn apply(&mut self) {
        let routes = Arc::clone(&self.changes.borrow_and_update());
        self.follower
            .apply(routes.map(), routes.as_of(), Instant::now());
        self.take_steps();
    }

    fn take_steps(&mut self) {
        while let Some(step) = self.follower.poll_step() {
            match step {
                FollowingStep::Open {
                    address, missed, ..
                } => self.open(address, missed),
                FollowingStep::Leave { address, cause, .. } => {
                    if let Some(line) = self.lines.get_mut(&address) {
                        let (other, _) = oneshot::channel();
                        let departure = Departure {
                            error: why(&address, cause),
                            cause,
                            // Since when it was not is known by the follower, and told when the line has ended.
                            good_at: Instant::now(),
                        };
                        let _ = std::mem::replace(line, other).send(departure);
                    }
                }
                FollowingStep::Tell {
                    address, missed, ..
                } => {
                    let gap = Gap::until_now(missed.cause, missed.since, None, Vec::new());
                    let why = why(&address, missed.cause);
                    self.watcher.tell(gap.at_node(address), why);
                }
                _ => {}
            }
        }
    }

    fn open(&mut self, address: Address, missed: Option<Missed>) {
        let config = Arc::clone(self.cluster.link_at(&address).config());
        let cluster = Arc::clone(&self.cluster);
        let place = NodePlace::new(cluster, Some(address.clone()), Access::Write);
        let state = self.states.add(address.clone());
        let place = Place::Node(Arc::new(place));
        let (mut line, place) = self.watcher.line(config, state.clone(), place);
        if let Some(missed) = missed {
            line.missed_before(missed, why(&address, missed.cause));
        }
        let (leave, leaving) = oneshot::channel();
        self.lines.insert(address, leave);
        self.tasks.spawn(line::serve(place, line, state, leaving));
    }

    fn end(&mut self, error: Option<Error>) {
        self.ended = true;
        let text = "nothing more comes of the nodes";
        let why = error.clone().unwrap_or_else(|| Error::closed(text));
        self.states.end(why);
        self.watcher.ended(error);
    }
}

impl<W: Watcher> Drop for Keeper<W> {
    /// The runtime may end before the stream does.
    fn drop(&mut self) {
        if !self.ended {
            self.end(Some(Error::closed("it has ended with its runtime")));
        }
    }
}

/// What it was that something is missed for.
fn why(node: &Address, cause: GapCause) -> Error {
    Error::connection(match cause {
        GapCause::Failover => format!("another node has taken over, from or at {node}"),
        GapCause::NodeLeft => format!("the node at {node} is no part of the cluster any more"),
        GapCause::NodeJoined => format!("the node at {node} is new in the cluster"),
        _ => format!("the connection to the node at {node} was lost"),
    })
}
