//! A primary that is found by sentinels, or a replica, as the place of connections.

use std::future::{Future, pending, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tidings_proto::Reply;
use tidings_proto::cluster::Role;
use tidings_proto::pubsub::GapCause;
use tokio::sync::watch;
use tokio::time;

use super::answers;
use super::roster::View;
use super::{Address, Watcher};
use crate::config::Config;
use crate::driver::place::Departure;
use crate::driver::supervise::{self, Connected};
use crate::error::{Error, ErrorKind, Result};

/// At the beginning the other sentinels have so long to know better than the first that answers.
const HEARING: Duration = Duration::from_millis(100);

/// A server that is not what the sentinels take it for: so long they have to find that out, before it is tried again.
const CORRECTION: Duration = Duration::from_secs(1);

const ROLE: &[u8] = b"*1\r\n$4\r\nROLE\r\n";

/// Where the connections of a client go that names sentinels.
#[derive(Debug)]
pub(crate) struct SentinelPlace {
    config: Arc<Config>,
    aim: Aim,
    watcher: Watcher,
}

/// What is connected to.
#[derive(Debug, Clone)]
struct Aim {
    name: String,
    /// A replica, and the primary where there is none.
    replica: bool,
}

impl SentinelPlace {
    /// The settings name sentinels, and this is what they call the primary.
    pub(crate) fn new(config: Arc<Config>, name: String) -> Self {
        Self {
            aim: Aim {
                name: name.clone(),
                replica: config.sentinel_settings().replica,
            },
            watcher: Watcher::new(Arc::clone(&config), name),
            config,
        }
    }

    pub(crate) fn config(&self) -> &Arc<Config> {
        &self.config
    }

    /// Makes one attempt to connect, and begins anew when there is news of where to.
    pub(crate) async fn connect(&self) -> Result<Connected> {
        self.watcher.begin();
        let mut changes = self.watcher.changes();
        self.await_answers(&mut changes).await?;
        loop {
            let view = changes.borrow_and_update().clone();
            let news = changes.wait_for(|now| now.primary != view.primary);
            if let Some(outcome) = unless(news, self.attempt(&view)).await {
                return outcome;
            }
        }
    }

    /// Waits until a sentinel has said where the primary is.
    async fn await_answers(&self, changes: &mut watch::Receiver<View>) -> Result<()> {
        let limit = self.config.time_to_connect();
        let is_enough = |view: &View| view.is_complete || view.primary.is_some();
        let _ = time::timeout(limit, changes.wait_for(is_enough)).await;
        if changes.borrow().primary.is_none() {
            return Err(self.watcher.problem());
        }
        let heard = time::timeout(HEARING, changes.wait_for(|view| view.is_complete)).await;
        if heard.is_err() {
            self.watcher.give_up_waiting();
        }
        Ok(())
    }

    async fn attempt(&self, view: &View) -> Result<Connected> {
        let mut failure = None;
        for replica in self.replicas(view) {
            match self.connect_to(&replica).await {
                Ok((connected, Some(Role::Replica) | None)) => return Ok(connected),
                Ok((_, Some(Role::Primary))) => {}
                Err(error) => {
                    tracing::debug!(error = %format_args!("{error:#}"), "a replica could not be connected to");
                    failure.get_or_insert(error);
                }
            }
            self.watcher.ask_all();
        }
        let Some(primary) = &view.primary else {
            return Err(self.watcher.problem());
        };
        match self.connect_to(primary).await {
            Ok((connected, role)) if self.aim.replica || role != Some(Role::Replica) => {
                Ok(connected)
            }
            Ok(_) => {
                self.watcher.ask_all();
                time::sleep(CORRECTION).await;
                Err(Error::connection(format!(
                    "{primary} is a replica, and the sentinels say that it is the primary `{}`",
                    self.aim.name
                )))
            }
            Err(error) => {
                self.watcher.ask_all();
                Err(self.unreached(primary, failure.unwrap_or(error)))
            }
        }
    }

    /// Those to try, in a random order so that clients spread over them; none where none is wanted.
    fn replicas(&self, view: &View) -> Vec<Address> {
        let mut replicas = view.replicas.clone();
        fastrand::shuffle(&mut replicas);
        replicas.sort_by_key(|it| !it.is_reached);
        replicas.into_iter().map(|it| it.address).collect()
    }

    /// Connects, and says what the server calls itself.
    async fn connect_to(&self, address: &Address) -> Result<(Connected, Option<Role>)> {
        let config = Arc::new(self.config.at_server(address.clone()));
        let mut connected = supervise::connect(&config).await?;
        let role = match &connected.info.role {
            Some(role) => answers::role(role),
            // It does not know HELLO.
            None => answers::role_of(Reply::parse(&supervise::ask(&mut connected, ROLE).await?)?),
        };
        Ok((connected, role))
    }

    fn unreached(&self, primary: &Address, error: Error) -> Error {
        if !matches!(error.kind(), ErrorKind::Connection | ErrorKind::Timeout) {
            return error;
        }
        let what = match self.aim.replica {
            true => "no replica could be connected to, nor the primary",
            false => "the primary could not be connected to",
        };
        let text = format!(
            "{what}: the sentinels say that `{}` is at {primary}",
            self.aim.name
        );
        Error::new(error.kind(), text).with_source(error)
    }

    /// Comes when the server that was connected to has to be left.
    pub(crate) fn departure(
        &self,
        connected: &Config,
    ) -> impl Future<Output = Departure> + Send + use<> {
        let address = connected.server_address().clone();
        let aim = self.aim.clone();
        let mut changes = self.watcher.changes();
        let begun = changes.borrow().clone();
        async move {
            loop {
                if let Some(why) = aim.why_leave(&address, &begun, &changes.borrow_and_update()) {
                    return Departure {
                        error: Error::connection(why),
                        cause: GapCause::Failover,
                    };
                }
                if changes.changed().await.is_err() {
                    // The place keeps the watcher alive, and is there as long as its connection.
                    pending::<()>().await;
                }
            }
        }
    }

    /// The next connection goes to another server: it has taken over.
    pub(crate) fn cause_of_change(&self, before: &Config, after: &Config) -> Option<GapCause> {
        (before.server_address() != after.server_address()).then_some(GapCause::Failover)
    }

    /// Waits between two attempts to connect, unless there is news of where to.
    pub(crate) async fn pause(&self, pause: Duration) {
        let mut changes = self.watcher.changes();
        let before = changes.borrow_and_update().clone();
        let news = changes.wait_for(|now| now.is_news_after(&before));
        let _ = time::timeout(pause, news).await;
    }
}

impl Aim {
    /// Why a server has to be left that was connected to when the view was `begun`, if it has.
    fn why_leave(&self, at: &Address, begun: &View, now: &View) -> Option<String> {
        let name = &self.name;
        let primary = now.primary.as_ref()?;
        if !self.replica {
            return (primary != at)
                .then(|| format!("{at} is not the primary `{name}` any more: that is {primary}"));
        }
        // Where nothing better was there at the beginning, there has to be something new to go to.
        let is_better = |it: &Address| begun.has_replica_at(at) || !begun.has_replica_at(it);
        let mut better = now.replicas.iter().filter(|it| is_better(&it.address));
        if now.has_replica_at(at) || better.next().is_none() {
            return None;
        }
        Some(match primary == at {
            true => format!("{at} is the primary `{name}`, and there is a replica"),
            false => format!(
                "{at} is down or cut off from its primary `{name}`, and another replica is not"
            ),
        })
    }
}

/// The outcome of `work`, or `None` if `news` come before.
async fn unless<T>(news: impl Future, work: impl Future<Output = T>) -> Option<T> {
    let (mut news, mut work) = (pin!(news), pin!(work));
    poll_fn(|cx| match news.as_mut().poll(cx) {
        Poll::Ready(_) => Poll::Ready(None),
        Poll::Pending => work.as_mut().poll(cx).map(Some),
    })
    .await
}
