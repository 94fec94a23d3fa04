//! Where connections are made to, and when one has to be left although it works.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tidings_proto::pubsub::GapCause;
use tokio::time;

use super::cluster::{BusLosses, NodePlace};
use super::keyspace::CheckedPlace;
use super::sentinel::SentinelPlace;
use super::supervise::{self, Connected};
use crate::config::Config;
use crate::error::{Error, Result};

/// Where connections are made to.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// The one server that the configuration names.
    Server(Arc<Config>),
    /// A node of a cluster.
    Node(Arc<NodePlace>),
    /// What sentinels say is the primary, or a replica of it.
    Sentinel(Arc<SentinelPlace>),
    /// A server that has to send keyspace notifications.
    Checked(Arc<CheckedPlace>),
}

/// Why a connection has to be left although it works.
#[derive(Debug)]
pub(crate) struct Departure {
    pub(crate) error: Error,
    pub(crate) cause: GapCause,
    /// The last time at which it was known to be a good one.
    pub(crate) good_at: Instant,
}

impl Place {
    /// The settings that all of its connections have.
    pub(crate) fn config(&self) -> &Arc<Config> {
        match self {
            Self::Server(config) => config,
            Self::Node(place) => place.config(),
            Self::Sentinel(place) => place.config(),
            Self::Checked(place) => place.inner().config(),
        }
    }

    /// Makes one attempt to connect.
    pub(crate) async fn connect(&self) -> Result<Connected> {
        match self {
            Self::Server(config) => supervise::connect(config).await,
            Self::Node(place) => place.connect().await,
            Self::Sentinel(place) => place.connect().await,
            // In a box, since it has a place in it.
            Self::Checked(place) => Box::pin(place.connect()).await,
        }
    }

    /// Comes when a connection has to be left that was made with these settings. `None` where that never is so.
    pub(crate) fn departure(
        &self,
        connected: &Config,
    ) -> Option<Pin<Box<dyn Future<Output = Departure> + Send>>> {
        match self {
            Self::Server(_) => None,
            Self::Node(place) => Some(Box::pin(place.departure(connected))),
            Self::Sentinel(place) => Some(Box::pin(place.departure(connected))),
            Self::Checked(place) => place.departure(connected),
        }
    }

    /// What may not have reached the server of a connection that was made with these settings. `None` where that never is so.
    pub(crate) fn bus_losses(&self, connected: &Config) -> Option<BusLosses> {
        match self {
            Self::Node(place) => place.bus_losses(connected),
            Self::Server(_) | Self::Sentinel(_) | Self::Checked(_) => None,
        }
    }

    /// What it means for what was missed that the next connection goes elsewhere, if it does.
    pub(crate) fn cause_of_change(&self, before: &Config, after: &Config) -> Option<GapCause> {
        match self {
            Self::Server(_) | Self::Node(_) => None,
            Self::Sentinel(place) => place.cause_of_change(before, after),
            Self::Checked(place) => place.inner().cause_of_change(before, after),
        }
    }

    /// Waits between two attempts to connect, unless there is news of where to.
    pub(crate) async fn pause(&self, pause: Duration) {
        match self {
            Self::Server(_) | Self::Node(_) => time::sleep(pause).await,
            Self::Sentinel(place) => place.pause(pause).await,
            Self::Checked(place) => Box::pin(place.inner().pause(pause)).await,
        }
    }
}
