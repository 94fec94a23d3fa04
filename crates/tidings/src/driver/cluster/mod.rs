//! A cluster: where its slots are, a link to each of its nodes, and how a command finds its way.

mod bus;
mod follow;
mod node;
mod node_place;
mod pipeline;
mod routes;
mod scout;
mod spread;

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tidings_proto::Charset;
use tidings_proto::cluster::{Access, Address, Endpoint, Health, Learned, Slot, Topology};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};

pub(crate) use bus::{BusLosses, Heard};
pub(crate) use follow::{
    Job, behind_asking, is_lost, limits, no_node, redirect_in, refusal_in, single, wait,
    without_first,
};
pub(crate) use node::NodeLink;
pub(crate) use node_place::{NodePlace, address_of};
pub(crate) use pipeline::{GroupReplies, PipelineRun};
pub(crate) use routes::Routes;
pub(crate) use spread::Spread;

use crate::config::Config;
use crate::error::{Error, Result};
use crate::pool::Pool;
use scout::Scout;

/// How long what a `MOVED` said counts for more than what nodes tell when they are asked: those that did not take part
/// in a move hear of it later.
const FRESH: Duration = Duration::from_secs(2);

/// What the clones of a client of a cluster share.
pub(crate) struct Cluster {
    config: Arc<Config>,
    charset: Charset,
    routes: watch::Sender<Arc<Routes>>,
    /// What `MOVED` has said lately.
    learned: Mutex<HashMap<Slot, (Address, Instant)>>,
    scout: Arc<Scout>,
    runtime: Handle,
    permits: Arc<Semaphore>,
    /// Chooses among several nodes.
    turn: AtomicUsize,
    /// How many there are who have to know soon what changes.
    followers: AtomicUsize,
}

impl Cluster {
    /// Asks the nodes that the configuration names, until one has told of the cluster.
    pub(crate) async fn connect(config: Config) -> Result<Arc<Self>> {
        let Ok(runtime) = Handle::try_current() else {
            return Err(Error::misuse(
                "there is no tokio runtime here: connect within #[tokio::main] or Runtime::block_on",
            ));
        };
        let config = Arc::new(config);
        let (routes, _) = watch::channel(Arc::new(Routes::none()));
        let cluster = Arc::new(Self {
            charset: config.text_charset(),
            routes,
            learned: Mutex::default(),
            scout: Arc::default(),
            runtime,
            permits: Pool::permits_of(&config),
            turn: AtomicUsize::new(fastrand::usize(..)),
            followers: AtomicUsize::new(0),
            config,
        });
        scout::first(&cluster).await?;
        let watching = scout::keep_watching(Arc::clone(&cluster.scout), Arc::downgrade(&cluster));
        cluster.runtime.spawn(watching);
        Ok(cluster)
    }

    pub(crate) fn config(&self) -> &Arc<Config> {
        &self.config
    }

    #[inline]
    pub(crate) fn charset(&self) -> Charset {
        self.charset
    }

    /// Where what only reads may go.
    #[inline]
    pub(crate) fn reads(&self) -> Access {
        match self.config.reads_from_replicas() {
            true => Access::ReadFromReplica,
            false => Access::Write,
        }
    }

    /// What is known now.
    pub(crate) fn routes(&self) -> Arc<Routes> {
        Arc::clone(&self.routes.borrow())
    }

    /// The link for a command on a slot.
    #[inline]
    pub(crate) fn link_for(&self, slot: Slot, access: Access) -> Option<Arc<NodeLink>> {
        let turn = match access {
            Access::Write => 0,
            _ => self.next_turn(),
        };
        self.routes.borrow().link_for(slot, access, turn).cloned()
    }

    /// A number that counts up.
    pub(crate) fn next_turn(&self) -> usize {
        self.turn.fetch_add(1, Ordering::Relaxed)
    }

    /// Tells of each change of what is known.
    pub(crate) fn changes(&self) -> watch::Receiver<Arc<Routes>> {
        self.routes.subscribe()
    }

    /// Whether there is still somebody who notices what changes.
    pub(crate) fn check_open(&self) -> Result<()> {
        if self.scout.has_ended() {
            return Err(Error::closed("the client's runtime has ended"));
        }
        Ok(())
    }

    /// The permits for connections beside the shared ones.
    pub(crate) fn permits(&self) -> &Arc<Semaphore> {
        &self.permits
    }

    /// Has the nodes asked soon where the slots are.
    pub(crate) fn refresh(&self) {
        self.scout.ask();
    }

    /// While it is there, the nodes are asked at shorter intervals.
    pub(crate) fn follow(self: &Arc<Self>) -> Follower {
        self.followers.fetch_add(1, Ordering::Relaxed);
        self.scout.hurry();
        Follower(Arc::clone(self))
    }

    fn learned(&self) -> MutexGuard<'_, HashMap<Slot, (Address, Instant)>> {
        self.learned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over that a node said, as `MOVED`, that a slot is elsewhere. Gives where.
    pub(crate) fn learn_moved(&self, slot: Slot, to: &Endpoint, asked: &Address) -> Address {
        let address = to.told_by(asked);
        let fresh = (address.clone(), Instant::now());
        self.learned().insert(slot, fresh);
        let mut learned = Learned::Nothing;
        self.routes.send_if_modified(|routes| {
            if is_primary_at(routes, slot, &address) {
                return false;
            }
            // Who says so may not have heard yet that it is gone.
            if is_failed(routes, &address) {
                learned = Learned::NewPrimary;
                return false;
            }
            learned = Arc::make_mut(routes).learn_moved(slot, &address, |new| self.open(new));
            learned != Learned::Nothing
        });
        if learned != Learned::Nothing {
            tracing::debug!(%slot, to = %address, ?learned, "a slot has moved");
            self.refresh();
        }
        address
    }

    /// Takes over what a node told when it was asked then. All are told, whether it is new or not: they know then that
    /// what they have is still right.
    fn apply(&self, topology: &Topology, as_of: Instant) {
        let mut learned = self.learned();
        learned.retain(|_, (_, at)| at.elapsed() < FRESH);
        self.routes.send_modify(|routes| {
            let new = Arc::make_mut(routes);
            new.apply(topology, as_of, |address| self.open(address));
            for (slot, (address, _)) in &*learned {
                // One that has been replaced meanwhile is not put back.
                let known = new.map().node_at(address);
                if known.is_some_and(|node| !node.is_primary() || is_failed(new, address)) {
                    continue;
                }
                new.learn_moved(*slot, address, |address| self.open(address));
            }
        });
    }

    fn open(&self, address: Address) -> Arc<NodeLink> {
        NodeLink::open(address, &self.config, &self.permits, &self.runtime)
    }
}

fn is_primary_at(routes: &Routes, slot: Slot, address: &Address) -> bool {
    let primary = routes.map().shard(slot).and_then(|shard| shard.primary());
    primary.is_some_and(|primary| primary.address() == address)
}

fn is_failed(routes: &Routes, address: &Address) -> bool {
    let node = routes.map().node_at(address);
    node.is_some_and(|node| node.health() == Health::Failed)
}

impl Drop for Cluster {
    /// Lets the task see that it is gone.
    fn drop(&mut self) {
        self.scout.ask();
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// Somebody who has to know soon what changes.
#[derive(Debug)]
pub(crate) struct Follower(Arc<Cluster>);

impl Drop for Follower {
    fn drop(&mut self) {
        self.0.followers.fetch_sub(1, Ordering::Relaxed);
    }
}
