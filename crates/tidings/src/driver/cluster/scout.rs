//! Asking the nodes where the slots are: at the beginning, when something shows that it has changed, and from time to time.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::task::Poll;
use std::time::{Duration, Instant};

use tidings_proto::cluster::{Address, Asked, Topology};
use tidings_proto::{Reply, cmd};
use tokio::sync::Notify;
use tokio::time;

use super::node::NodeLink;
use super::{Cluster, Routes};
use crate::config;
use crate::driver::body::{Answer, Body, Patience};
use crate::driver::together;
use crate::error::{Error, ErrorKind, Result};

/// So many nodes are asked, so that one which has lost sight of the others is outvoted.
const ASKED: usize = 5;

/// Who has not answered within this time does not count.
const PATIENCE: Duration = Duration::from_secs(1);

/// Between two rounds, so that a thousand slots that move do not make a thousand rounds.
const PAUSE: Duration = Duration::from_millis(100);

/// Where nobody follows, what is wrong is noticed by the commands that it is wrong for.
const SELDOM: u32 = 12;

/// Has the nodes asked.
#[derive(Debug, Default)]
pub(super) struct Scout {
    wanted: Notify,
    hurried: Notify,
    /// Nobody asks any more: the runtime has ended.
    has_ended: AtomicBool,
}

impl Scout {
    /// Soon.
    pub(super) fn ask(&self) {
        self.wanted.notify_one();
    }

    pub(super) fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::Relaxed)
    }

    /// The interval has become shorter.
    pub(super) fn hurry(&self) {
        self.hurried.notify_one();
    }
}

/// Asks the nodes that the configuration names, one after the other, until one tells of the cluster.
///
/// # Errors
///
/// That of the first node, if none does.
pub(super) async fn first(cluster: &Arc<Cluster>) -> Result<()> {
    let mut failure = None;
    for seed in seeds(cluster) {
        let link = cluster.open(seed);
        let as_of = Instant::now();
        match ask(&link).await {
            Ok(topology) => {
                cluster.apply(&topology, as_of);
                if !cluster.routes().map().is_empty() {
                    return Ok(());
                }
                failure.get_or_insert_with(|| {
                    Error::config(format!("{} knows of no cluster's nodes", link.address()))
                });
            }
            // The others would say the same.
            Err(error) if is_final(&error) => return Err(error),
            Err(error) => {
                failure.get_or_insert(error);
            }
        }
    }
    Err(failure.unwrap_or_else(|| Error::config("there is no node to begin with")))
}

fn is_final(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Authentication | ErrorKind::Config | ErrorKind::Server
    )
}

fn seeds(cluster: &Cluster) -> Vec<Address> {
    let seeds = cluster.config.servers().addresses().iter();
    seeds
        .filter_map(|seed| match seed {
            config::Address::Tcp { host, port } => Some(Address::new(host.as_str(), *port)),
            config::Address::Unix(_) => None,
        })
        .collect()
}

/// Says so when the task ends, however it does.
struct Watching(Arc<Scout>);

impl Drop for Watching {
    fn drop(&mut self) {
        self.0.has_ended.store(true, Ordering::Relaxed);
    }
}

/// Asks as often as it is needed, as long as the cluster is there.
pub(super) async fn keep_watching(scout: Arc<Scout>, cluster: Weak<Cluster>) {
    let _watching = Watching(Arc::clone(&scout));
    while is_time(&scout, &cluster).await {
        let Some(cluster) = cluster.upgrade() else {
            return;
        };
        round(&cluster).await;
        drop(cluster);
        time::sleep(PAUSE).await;
    }
}

/// Waits until it is time to ask; `false` if the cluster is gone. It is not kept alive meanwhile.
async fn is_time(scout: &Scout, cluster: &Weak<Cluster>) -> bool {
    let begun = time::Instant::now();
    while let Some(interval) = cluster.upgrade().map(|cluster| cluster.interval()) {
        let mut asked = pin!(scout.wanted.notified());
        let mut hurried = pin!(scout.hurried.notified());
        let mut due = pin!(time::sleep_until(begun + interval));
        let is_due = poll_fn(|cx| {
            if asked.as_mut().poll(cx).is_ready() || due.as_mut().poll(cx).is_ready() {
                Poll::Ready(true)
            } else {
                hurried.as_mut().poll(cx).map(|()| false)
            }
        });
        if is_due.await {
            return true;
        }
    }
    false
}

/// Asks some nodes at a time, and takes over what most of them say.
async fn round(cluster: &Arc<Cluster>) {
    let as_of = Instant::now();
    let mut links = some_of(&cluster.routes());
    let mut told = ask_all(&links).await;
    if told.is_empty() {
        // All that were known may be gone, and the names may stand for others by now.
        links = seeds(cluster)
            .into_iter()
            .map(|seed| cluster.open(seed))
            .collect();
        told = ask_all(&links).await;
    }
    if let Some((topology, votes)) = Topology::most_agreed(&told) {
        tracing::trace!(votes, of = told.len(), "the cluster was asked");
        if !topology.shards().is_empty() {
            cluster.apply(topology, as_of);
        }
    }
}

/// Nodes to ask, those first that are likely to answer.
fn some_of(routes: &Routes) -> Vec<Arc<NodeLink>> {
    let mut links = routes.members();
    if links.is_empty() {
        links = routes.links().cloned().collect();
    }
    fastrand::shuffle(&mut links);
    links.sort_by_key(|link| link.is_down());
    links.truncate(ASKED);
    links
}

/// What they tell. If most of them say the same, the others are not waited for.
async fn ask_all(links: &[Arc<NodeLink>]) -> Vec<Topology> {
    let mut told = Vec::new();
    let answers = links.iter().map(|link| time::timeout(PATIENCE, ask(link)));
    together::until(answers, |answer| {
        if let Ok(Ok(topology)) = answer {
            told.push(topology);
        }
        let most = Topology::most_agreed(&told);
        most.is_some_and(|(_, votes)| votes * 2 > links.len())
    })
    .await;
    told
}

/// What one node tells.
async fn ask(link: &NodeLink) -> Result<Topology> {
    if !link.knows_slots_only() {
        match ask_for(link, "SHARDS").await {
            // It is older than this command.
            Err(error) if is_unknown(&error) => link.note_slots_only(),
            told => return told,
        }
    }
    ask_for(link, "SLOTS").await
}

/// The server is too old for what was asked.
pub(super) fn is_unknown(error: &Error) -> bool {
    let text = error.server_error().map(|server| server.message());
    text.is_some_and(|text| text.to_ascii_lowercase().contains("unknown subcommand"))
}

async fn ask_for(link: &NodeLink, what: &str) -> Result<Topology> {
    let command = cmd("CLUSTER").arg(what);
    let body = Body::command(command.into_bytes(), Patience::Usual);
    let answer = link.run(body).await?;
    let frame: &[u8] = match &answer {
        Answer::Reply(frame) => frame,
        Answer::Replies(parts) if parts.len() == 1 => &parts[0],
        _ => return Err(Error::new(ErrorKind::Protocol, "no answer to CLUSTER")),
    };
    #[cfg(feature = "tls")]
    let tls = link.config().tls_config().is_some();
    #[cfg(not(feature = "tls"))]
    let tls = false;
    let asked = Asked::new(link.address(), tls);
    let told = Reply::parse(frame)
        .map_err(tidings_proto::Error::from)
        .and_then(|reply| match what {
            "SHARDS" => Topology::from_shards(reply, asked),
            _ => Topology::from_slots(reply, asked),
        });
    told.map_err(|error| match error {
        tidings_proto::Error::Server(server)
            if server.message().contains("cluster support disabled") =>
        {
            let text = format!(
                "{} is no part of a cluster: connect to it with a Client",
                link.address()
            );
            Error::config(text).with_server(server)
        }
        other => Error::from(other),
    })
}

impl Cluster {
    fn interval(&self) -> Duration {
        let interval = self.config.time_between_topologies();
        match self.followers.load(Ordering::Relaxed) {
            0 => interval.saturating_mul(SELDOM),
            _ => interval,
        }
    }
}
