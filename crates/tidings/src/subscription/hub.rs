//! The connection that a client's subscriptions share, or those to the nodes of a cluster: made for the first one, kept for
//! a while after the last.

use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use tidings_proto::Blob;
use tidings_proto::cluster::Access;
use tidings_proto::pubsub::SubscriptionKind;
use tokio::sync::{Mutex, OwnedSemaphorePermit};

use crate::driver::cluster::Cluster;
use crate::driver::fanout::{Fanout, Leaving, SubscriberId};
use crate::driver::place::Place;
use crate::driver::subscriber::{Shared, SubscriberLink, keep};
use crate::driver::supervise;
use crate::error::{Error, Result};
use crate::pubsub::Confirming;
use crate::pubsub::queue::Queue;

/// Where a client finds the connection.
#[derive(Debug, Default)]
pub(crate) struct Hub(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    connection: Option<Arc<Hubbed>>,
    /// When making one has failed last, and why.
    failure: Option<(Instant, Error)>,
}

/// The connection, for as long as somebody refers to it.
#[derive(Debug)]
pub(crate) struct Hubbed {
    pub(crate) shared: Arc<Shared<Fanout>>,
}

impl Drop for Hubbed {
    fn drop(&mut self) {
        self.shared.close();
    }
}

impl Hub {
    /// The connection that is there, if there is one.
    pub(crate) async fn known(&self) -> Option<Arc<Hubbed>> {
        self.0.lock().await.connection.clone()
    }

    /// The connection that is there, or a new one. It does not close for some time.
    pub(crate) async fn connection(
        &self,
        connecting: impl Future<Output = Result<Arc<Hubbed>>>,
    ) -> Result<Arc<Hubbed>> {
        let came = Instant::now();
        // Those who come while it is being made wait for it here.
        let mut known = self.0.lock().await;
        if let Some(hubbed) = &known.connection
            && hubbed.shared.stay_open()
        {
            return Ok(Arc::clone(hubbed));
        }
        if let Some((at, error)) = &known.failure
            && *at >= came
        {
            // It was made for them too: a thousand who wait do not try one after the other.
            return Err(error.clone());
        }
        match connecting.await {
            Ok(hubbed) => {
                known.connection = Some(Arc::clone(&hubbed));
                Ok(hubbed)
            }
            Err(error) => {
                known.failure = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }
}

impl Hubbed {
    /// One connection at a time.
    pub(crate) async fn over_one(place: Place, permit: OwnedSemaphorePermit) -> Result<Arc<Self>> {
        let connected = place.connect().await?;
        let shared = Shared::new(Fanout::new(place.config().text_charset()));
        let link = SubscriberLink::new(Arc::clone(&connected.config), Arc::clone(&shared));
        let serving = supervise::supervise(place, connected, link);
        Ok(Self::served_by(shared, serving, permit))
    }

    /// Connections to the nodes of a cluster, for shard channels.
    pub(crate) fn over_nodes(
        cluster: &Arc<Cluster>,
        access: Access,
        permit: OwnedSemaphorePermit,
    ) -> Arc<Self> {
        let names = cluster.sharded_names(access);
        let shared = Shared::sharded(names, Fanout::new(cluster.charset()));
        let serving = keep(Arc::clone(cluster), Arc::clone(&shared));
        Self::served_by(shared, serving, permit)
    }

    fn served_by(
        shared: Arc<Shared<Fanout>>,
        serving: impl Future<Output = ()> + Send + 'static,
        permit: OwnedSemaphorePermit,
    ) -> Arc<Self> {
        tokio::spawn(async move {
            serving.await;
            // Whoever still refers to a connection that has ended does not need it.
            drop(permit);
        });
        Arc::new(Self { shared })
    }

    /// Lets what comes for `names` go to `queue`; awaited, the answer says when it does.
    pub(crate) fn seat(
        self: &Arc<Self>,
        queue: &Arc<Queue>,
        kind: SubscriptionKind,
        names: Vec<Blob>,
    ) -> (Seat, Confirming) {
        let (id, answer) = self.shared.join(queue, kind, &names);
        let seat = Seat {
            hubbed: Arc::clone(self),
            id,
            kind,
            names,
        };
        (seat, Confirming::new(answer))
    }
}

/// A subscriber's place among the others. Dropped, it is left at once.
#[derive(Debug)]
pub(crate) struct Seat {
    pub(crate) hubbed: Arc<Hubbed>,
    id: SubscriberId,
    pub(crate) kind: SubscriptionKind,
    pub(crate) names: Vec<Blob>,
}

impl Seat {
    /// Whether something may still come.
    pub(crate) fn is_open(&self) -> bool {
        self.hubbed.shared.lock().is_open()
    }

    fn all(&self) -> Vec<(SubscriptionKind, Blob)> {
        let names = self.names.iter();
        names.map(|name| (self.kind, name.clone())).collect()
    }

    /// Leaves, once all that the server has sent before has come. Nothing comes to `queue` then, if that is given.
    pub(crate) fn leave_behind(&self, last: Option<Arc<Queue>>) -> Confirming {
        let leaving = Leaving {
            id: self.id,
            names: self.all(),
            last,
        };
        Confirming::new(Ok(self.hubbed.shared.leave_behind(leaving)))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.hubbed.shared.leave(self.id, &self.all());
    }
}
