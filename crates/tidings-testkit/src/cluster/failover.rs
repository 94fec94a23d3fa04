//! Replicas that become primaries.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Cluster;
use super::node::ClusterNode;

/// How a replica is made the primary by command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_enums,
    reason = "the command has these and no others"
)]
pub enum Failover {
    /// `CLUSTER FAILOVER`: the primary stops writes until the replica has all; nothing is lost.
    Graceful,
    /// `FORCE`: the primary is not asked, the other primaries are.
    Force,
    /// `TAKEOVER`: nobody is asked. For partitions, and for clusters whose primaries have no majority.
    Takeover,
}

impl Failover {
    fn words(self) -> &'static [&'static str] {
        match self {
            Self::Graceful => &["CLUSTER", "FAILOVER"],
            Self::Force => &["CLUSTER", "FAILOVER", "FORCE"],
            Self::Takeover => &["CLUSTER", "FAILOVER", "TAKEOVER"],
        }
    }
}

/// A server gives up a failover after 5 s, without a word.
const ASK_AGAIN: Duration = Duration::from_secs(6);

impl Cluster {
    /// Makes a replica the primary of its slots; the primary becomes its replica.
    ///
    /// # Panics
    ///
    /// If it is no replica, or the nodes do not agree within a minute.
    #[track_caller]
    pub fn failover(&self, replica: &ClusterNode, how: Failover) {
        replica.admin(how.words());
        let mut asked = Instant::now();
        self.await_that(|| {
            let promoted = is_primary(replica);
            if promoted.is_err() && asked.elapsed() > ASK_AGAIN {
                let _ = replica.try_admin(how.words());
                asked = Instant::now();
            }
            promoted
        });
    }

    /// Kills a primary (SIGKILL) and waits until one of its replicas has been elected and all agree;
    /// gives the new primary. The killed one may be [restarted](crate::Server::restart), and
    /// is then a replica of it.
    ///
    /// A replica that was elected shortly before waits for up to four node timeouts before it asks for
    /// votes again.
    ///
    /// # Panics
    ///
    /// If it has no replica that runs, or the nodes do not agree within a minute.
    #[track_caller]
    #[must_use]
    pub fn kill_and_fail_over(&self, primary: &ClusterNode) -> Arc<ClusterNode> {
        let replicas = self.replicas_of(primary);
        assert!(!replicas.is_empty(), "{primary} has no replica");
        primary.kill();
        self.await_promotion(&replicas)
    }

    /// Waits until one of these replicas is a primary and all agree; gives that one.
    ///
    /// For primaries that were killed, stopped or cut off by the test itself.
    ///
    /// # Panics
    ///
    /// If that is not so within a minute.
    #[track_caller]
    #[must_use]
    pub fn await_promotion(&self, replicas: &[Arc<ClusterNode>]) -> Arc<ClusterNode> {
        let mut promoted = None;
        self.await_that(|| {
            let mut primaries = replicas.iter().filter(|node| is_primary(node).is_ok());
            let last = primaries.next_back().ok_or("none of them is a primary")?;
            promoted = Some(Arc::clone(last));
            Ok(())
        });
        promoted.expect("one that was awaited")
    }
}

fn is_primary(node: &ClusterNode) -> Result<(), String> {
    match node.view()?.myself() {
        Some(myself) if myself.replica_of.is_none() => Ok(()),
        _ => Err(format!("{node} is no primary")),
    }
}
