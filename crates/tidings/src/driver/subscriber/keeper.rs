//! The task that opens and closes the connections of a subscriber in a cluster, one for each node that has some of its
//! names. What is wanted is said by the [`Sharded`](Names::Sharded) names; here it is done.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tidings_proto::cluster::{LineId, Opening, ShardedSubscriptions};
use tokio::sync::watch;
use tokio::time;

use super::{Names, Outlet, Shared, State, SubscriberLink};
use crate::driver::cluster::{BusLosses, Cluster, Follower, Heard, Routes};
use crate::driver::supervise::{self, End, Link};
use crate::error::{Error, Result};

/// So long a node is waited for if another one would do as well: in a cluster that is well, connections are made in
/// milliseconds.
const WAIT_FOR_ONE_OF_SEVERAL: Duration = Duration::from_secs(1);

/// Opens and closes connections until nobody wants them any more.
pub(crate) async fn keep<O: Outlet>(cluster: Arc<Cluster>, shared: Arc<Shared<O>>) {
    let follower = cluster.follow();
    let mut keeper = Keeper {
        changes: cluster.changes(),
        known: None,
        cluster,
        shared,
        _follower: follower,
    };
    while let Some(due) = keeper.turn() {
        keeper.wait(due).await;
    }
    keeper.shared.lock().end_if_not_ended();
}

struct Keeper<O: Outlet> {
    cluster: Arc<Cluster>,
    changes: watch::Receiver<Arc<Routes>>,
    /// What the names were told last.
    known: Option<Arc<Routes>>,
    shared: Arc<Shared<O>>,
    _follower: Follower,
}

/// What has to be done without the lock.
#[derive(Default)]
struct Errands {
    openings: Vec<Opening>,
    moved: Vec<Moved>,
    refresh: bool,
}

type Moved = (
    tidings_proto::cluster::Slot,
    tidings_proto::cluster::Endpoint,
    tidings_proto::cluster::Address,
);

impl<O: Outlet> Keeper<O> {
    /// Does what there is to do. Gives when there is more, which may be never; `None` at the end.
    fn turn(&mut self) -> Option<Option<Instant>> {
        let now = Instant::now();
        let routes = self.news();
        let mut errands = Errands::default();
        let due = {
            let mut locked = self.shared.lock();
            let state = &mut *locked;
            if state.is_over(now) || state.ended.is_some() {
                state.wake_all();
                return None;
            }
            state.outlet.handle_timeout(now, &mut state.names);
            state.tend(routes.as_deref(), now, &mut errands);
            state.settle();
            let Names::Sharded(names) = &mut state.names else {
                return None;
            };
            [
                names.poll_timeout(),
                state.outlet.poll_timeout(),
                state.idle_until(),
            ]
            .into_iter()
            .flatten()
            .min()
        };
        for (slot, to, asked) in errands.moved {
            self.cluster.learn_moved(slot, &to, &asked);
        }
        if errands.refresh {
            self.cluster.refresh();
        }
        for opening in errands.openings {
            let cluster = Arc::clone(&self.cluster);
            tokio::spawn(serve(cluster, Arc::clone(&self.shared), opening));
        }
        Some(due)
    }

    /// What is known of the cluster, if the names were not told of it yet.
    fn news(&mut self) -> Option<Arc<Routes>> {
        let routes = Arc::clone(&self.changes.borrow_and_update());
        let is_known = |known: &Arc<Routes>| Arc::ptr_eq(known, &routes);
        if self.known.as_ref().is_some_and(is_known) {
            return None;
        }
        self.known = Some(Arc::clone(&routes));
        Some(routes)
    }

    /// Waits until there is something to do.
    async fn wait(&mut self, due: Option<Instant>) {
        let shared = &self.shared;
        let mut changed = pin!(self.changes.changed());
        let mut is_time = pin!(async {
            match due {
                Some(due) => time::sleep_until(due.into()).await,
                None => std::future::pending().await,
            }
        });
        poll_fn(|cx| {
            if changed.as_mut().poll(cx).is_ready() || is_time.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            shared.lock().poll_changed(cx)
        })
        .await;
    }
}

impl<O: Outlet> Drop for Keeper<O> {
    /// The runtime may end before the subscriber does.
    fn drop(&mut self) {
        self.shared.lock().end_if_not_ended();
    }
}

impl<O: Outlet> State<O> {
    /// Lets the names know what has changed, and finds out what they want done.
    fn tend(&mut self, routes: Option<&Routes>, now: Instant, errands: &mut Errands) {
        let Names::Sharded(names) = &mut self.names else {
            return;
        };
        if let Some(routes) = routes {
            names.apply(routes.map(), routes.as_of(), now);
        }
        names.handle_timeout(now);
        while let Some(moved) = names.poll_moved() {
            errands.moved.push(moved);
        }
        errands.refresh |= names.take_refresh();
        while let Some(line) = names.poll_close() {
            // Its task sees that it is of no use any more.
            self.lines.wake(line, &mut self.later);
        }
        while let Some(opening) = names.poll_open(now) {
            self.lines.add(opening.line);
            errands.openings.push(opening);
        }
        // What was just done is no reason to come again.
        names.take_changed();
        self.keeper_is_due = false;
    }

    /// Ready when the names have changed in a way that is for the keeper.
    fn poll_changed(&mut self, cx: &Context<'_>) -> Poll<()> {
        if self.keeper_is_due {
            return Poll::Ready(());
        }
        self.keeper = Some(cx.waker().clone());
        Poll::Pending
    }

    fn end_if_not_ended(&mut self) {
        if self.ended.is_none() {
            self.end(None);
        }
    }
}

/// Makes one connection, and serves it until it is lost or of no use any more.
async fn serve<O: Outlet>(cluster: Arc<Cluster>, shared: Arc<Shared<O>>, opening: Opening) {
    let id = opening.line;
    let config = Arc::clone(cluster.link_at(&opening.address).config());
    let mut link = SubscriberLink::of_line(Arc::clone(&config), Arc::clone(&shared), id);
    let connecting = async {
        let connecting = supervise::connect(&config);
        if !opening.has_alternative {
            return connecting.await;
        }
        let limit = config.time_to_connect().min(WAIT_FOR_ONE_OF_SEVERAL);
        let in_time = time::timeout(limit, connecting).await;
        in_time.unwrap_or_else(|_| {
            let text = format!("the node at {} took longer than {limit:?}", opening.address);
            Err(Error::timeout(text))
        })
    };
    match unless_useless(&shared, id, connecting).await {
        Some(Ok(connected)) => {
            link.connected(connected, None);
            let mut losses = BusLosses::new(cluster, opening.address, Heard::Primary);
            let end = poll_fn(|cx| supervise::poll_run_hearing(&mut losses, &mut link, cx)).await;
            link.retire();
            if let End::Over(error) = end {
                let mut state = shared.lock();
                state.end(Some(error));
                state.wake_all();
            }
        }
        Some(Err(error)) => {
            tracing::debug!(error = %format_args!("{error:#}"), "attempt to connect failed");
            link.attempt_failed(&error);
            let mut state = shared.lock();
            let attempts = state.failed_attempts;
            if config.attempts().is_some_and(|most| attempts >= most) {
                let text = format!("given up after {attempts} attempts");
                state.end(Some(Error::connection(text).with_source(error)));
                state.wake_all();
            } else if let Names::Sharded(names) = &mut state.names {
                names.open_failed(id, Instant::now());
            }
            state.settle();
        }
        None => {}
    }
    let mut locked = shared.lock();
    let state = &mut *locked;
    state.lines.remove(id, &mut state.later);
}

/// The outcome of `work`; `None` if the connection is of no use before.
async fn unless_useless<O: Outlet, T>(
    shared: &Arc<Shared<O>>,
    id: LineId,
    work: impl Future<Output = Result<T>>,
) -> Option<Result<T>> {
    let mut work = pin!(work);
    poll_fn(|cx| {
        let mut state = shared.lock();
        let is_useless = !state.is_open() || state.names.on_line(id).is_none();
        state.lines.listen(id, cx.waker());
        drop(state);
        if is_useless {
            return Poll::Ready(None);
        }
        work.as_mut().poll(cx).map(Some)
    })
    .await
}

impl Cluster {
    /// The shard channels of a new subscriber.
    pub(crate) fn sharded_names(
        &self,
        access: tidings_proto::cluster::Access,
    ) -> ShardedSubscriptions {
        let map = self.routes().map().clone();
        ShardedSubscriptions::new(map, access, self.next_turn(), Instant::now())
    }
}
