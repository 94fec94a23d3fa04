//! One node of a cluster: a connection for commands, made when somebody asks for something.
//!
//! It is not made again for nobody, and who asks while it cannot be made is told at once: there may be another node for
//! what was asked.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use tidings_proto::Backoff;
use tidings_proto::cluster::Address;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time;

use super::bus::LastTold;
use crate::config::{self, Config};
use crate::driver::body::{Answer, Body, Patience};
use crate::driver::commands::CommandLink;
use crate::driver::mailbox::{Closing, Mailbox, Sending};
use crate::driver::place::Place;
use crate::driver::supervise::{self, End, Link};
use crate::error::{Error, Result};
use crate::pool::Pool;

/// A node, and the connections to it.
#[derive(Debug)]
pub(crate) struct NodeLink {
    address: Address,
    config: Arc<Config>,
    mailbox: Arc<Mailbox>,
    pool: Arc<Pool>,
    state: Arc<NodeState>,
    last_told: LastTold,
}

/// What is known of a node beside what the cluster says.
#[derive(Debug, Default)]
pub(crate) struct NodeState {
    /// It could not be connected to when that was last tried, a short time ago.
    is_down: AtomicBool,
    /// It does not know `CLUSTER SHARDS`.
    knows_slots_only: AtomicBool,
}

impl NodeLink {
    /// The node at this address, to be asked within a runtime.
    pub(crate) fn open(
        address: Address,
        config: &Config,
        permits: &Arc<Semaphore>,
        runtime: &Handle,
    ) -> Arc<Self> {
        let place = config::Address::tcp(address.host(), address.port());
        let config = Arc::new(config.at_server(place));
        let mailbox = Arc::new(Mailbox::default());
        let state = Arc::new(NodeState::default());
        let link = CommandLink::new(Arc::clone(&config), Arc::clone(&mailbox));
        runtime.spawn(serve(Arc::clone(&config), link, Arc::clone(&state)));
        let pool = Pool::sharing(Place::Server(Arc::clone(&config)), Arc::clone(permits));
        Arc::new(Self {
            address,
            config,
            mailbox,
            pool: Arc::new(pool),
            state,
            last_told: LastTold::default(),
        })
    }

    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    /// Its settings, with its address.
    pub(crate) fn config(&self) -> &Arc<Config> {
        &self.config
    }

    pub(crate) fn mailbox(&self) -> &Arc<Mailbox> {
        &self.mailbox
    }

    /// The connections beside the one that is shared.
    pub(crate) fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    pub(crate) fn is_down(&self) -> bool {
        self.state.is_down.load(Ordering::Relaxed)
    }

    /// Whom it hears.
    pub(super) fn last_told(&self) -> &LastTold {
        &self.last_told
    }

    pub(super) fn knows_slots_only(&self) -> bool {
        self.state.knows_slots_only.load(Ordering::Relaxed)
    }

    pub(super) fn note_slots_only(&self) {
        self.state.knows_slots_only.store(true, Ordering::Relaxed);
    }

    /// Runs what was put together, over the shared connection or one of its own if it blocks.
    pub(crate) async fn run(&self, body: Body) -> Result<Answer> {
        let blocks = matches!(&body, Body::Batch(batch) if batch.patience != Patience::Usual);
        if blocks {
            return Arc::clone(&self.pool).run(body).await;
        }
        Sending::new(&*self.mailbox, body).await
    }
}

impl Drop for NodeLink {
    fn drop(&mut self) {
        self.mailbox.close(Closing::WhenDone);
    }
}

/// Serves the mailbox until it is closed.
async fn serve(config: Arc<Config>, mut link: CommandLink, state: Arc<NodeState>) {
    let (shortest, longest) = config.backoff_times();
    let mut backoff = Backoff::new(shortest, longest);
    // The first pause of a back-off is none.
    backoff.next_delay();
    loop {
        if !link.is_wanted().await {
            return link.ended(Some(left(&config)));
        }
        let outcome = unless_closed(&mut link, supervise::connect(&config)).await;
        let Some(outcome) = outcome else {
            return link.ended(Some(left(&config)));
        };
        match outcome {
            Ok(connected) => {
                state.is_down.store(false, Ordering::Relaxed);
                backoff.reset();
                backoff.next_delay();
                link.connected(connected, None);
                match poll_fn(|cx| link.poll_run(cx)).await {
                    End::Closed => return link.ended(Some(left(&config))),
                    End::Over(error) => return link.ended(Some(error)),
                    End::Lost(error) => {
                        tracing::info!(error = %format_args!("{error:#}"), "connection lost");
                    }
                }
            }
            Err(error) => {
                tracing::debug!(error = %format_args!("{error:#}"), "attempt to connect failed");
                state.is_down.store(true, Ordering::Relaxed);
                link.attempt_failed(&error);
                let pause = time::sleep(backoff.next_delay());
                if !refuse_during(&mut link, pause, &error).await {
                    return link.ended(Some(left(&config)));
                }
                state.is_down.store(false, Ordering::Relaxed);
            }
        }
    }
}

/// Whoever still asks this node may ask another one.
fn left(config: &Config) -> Error {
    let address = config.server_address();
    Error::connection(format!(
        "the node at {address} is no part of the cluster any more"
    ))
}

/// The outcome of `work`; `None` if the link is closed before.
async fn unless_closed<T>(link: &mut CommandLink, work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    poll_fn(|cx| match link.poll_closed(cx) {
        Poll::Ready(()) => Poll::Ready(None),
        Poll::Pending => work.as_mut().poll(cx).map(Some),
    })
    .await
}

/// Answers all that comes until `pause` is over; `false` if the link is closed before.
async fn refuse_during(link: &mut CommandLink, pause: impl Future, error: &Error) -> bool {
    let mut pause = pin!(pause);
    poll_fn(|cx| {
        if link.poll_closed(cx).is_ready() {
            return Poll::Ready(false);
        }
        link.refuse_waiting(error);
        pause.as_mut().poll(cx).map(|_| true)
    })
    .await
}
