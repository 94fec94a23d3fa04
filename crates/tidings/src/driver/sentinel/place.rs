//! A primary that is found by sentinels, or a replica, as the place of connections.

use std::future::{Future, pending, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use tidings_proto::Reply;
use tidings_proto::pubsub::GapCause;
use tokio::sync::watch;
use tokio::time;

use super::answers::Kind;
use super::roster::View;
use super::{Address, Watcher};
use crate::config::Config;
use crate::driver::place::Departure;
use crate::driver::supervise::{self, Connected};
use crate::error::{Error, ErrorKind, Result};

/// At the beginning the other sentinels have so long to know better than the first that answers.
const HEARING: Duration = Duration::from_millis(100);

/// A server that is not what the sentinels take it for: so often they are asked again, with such pauses, before that is an
/// error. Those that have just failed over agree within this time.
const CORRECTIONS: (u32, Duration) = (4, Duration::from_millis(250));

/// Who has the primary for want of a replica, or a replica that is cut off, looks for another one so often.
const RETRY: Duration = Duration::from_secs(5);

/// A replica has been promoted for so long at most when the first sentinel says so, and may have had messages that the old
/// primary had not: 1 s was measured.
const PROMOTED_BEFORE: Duration = Duration::from_secs(2);

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
        let failure = match replica_of(&self.config, view).await {
            Ok(connected) => return Ok(connected),
            Err(failure) => failure,
        };
        let Some(primary) = &view.primary else {
            return Err(self.watcher.problem());
        };
        match connect_to(&self.config, primary, self.aim.replica).await {
            Ok((connected, Kind::Primary | Kind::Unknown)) => Ok(connected),
            Ok((connected, Kind::Replica)) if self.aim.replica => Ok(connected),
            Ok(_) => {
                let (times, pause) = CORRECTIONS;
                for _ in 0..times {
                    self.watcher.ask_all();
                    time::sleep(pause).await;
                }
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

    /// Comes when the server that was connected to has to be left: it is not the primary any more; or it is no replica
    /// that hears its primary, and there is one.
    pub(crate) fn departure(
        &self,
        connected: &Config,
    ) -> impl Future<Output = Departure> + Send + use<> {
        let at = connected.server_address().clone();
        let (config, aim) = (Arc::clone(&self.config), self.aim.clone());
        let mut changes = self.watcher.changes();
        async move {
            loop {
                let view = changes.borrow_and_update().clone();
                let is_right = match aim.replica {
                    true => view.has_fit_replica_at(&at),
                    false => view.primary.as_ref().is_none_or(|primary| *primary == at),
                };
                if !is_right && (!aim.replica || is_better_elsewhere(&config, &view, &at).await) {
                    let now = Instant::now();
                    return Departure {
                        error: Error::connection(aim.why_left(&at, &view)),
                        cause: GapCause::Failover,
                        good_at: now.checked_sub(PROMOTED_BEFORE).unwrap_or(now),
                    };
                }
                let news = changes.changed();
                let closed = match is_right {
                    true => news.await.is_err(),
                    false => matches!(time::timeout(RETRY, news).await, Ok(Err(_))),
                };
                if closed {
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
    fn why_left(&self, at: &Address, view: &View) -> String {
        let name = &self.name;
        match &view.primary {
            Some(primary) if !self.replica => {
                format!("{at} is not the primary `{name}` any more: that is {primary}")
            }
            Some(primary) if primary == at => {
                format!("{at} is the primary `{name}`, and there is a replica")
            }
            _ => format!(
                "{at} is no replica of the primary `{name}` that hears it, and there is one"
            ),
        }
    }
}

/// Connects to one of the replicas that hear their primary, in a random order so that clients spread over them. The
/// error is why the first one failed; none if there is none.
async fn replica_of(config: &Config, view: &View) -> Result<Connected, Option<Error>> {
    let mut replicas = view.replicas.clone();
    fastrand::shuffle(&mut replicas);
    replicas.sort_by_key(|it| !it.is_fit);
    let mut failure = None;
    for replica in replicas {
        match connect_to(config, &replica.address, true).await {
            Ok((connected, Kind::Replica | Kind::Unknown)) => return Ok(connected),
            // The sentinels are yet to find that out.
            Ok((_, Kind::Primary | Kind::CutOff)) => {}
            Err(error) => {
                tracing::debug!(error = %format_args!("{error:#}"), "a replica could not be connected to");
                failure.get_or_insert(error);
            }
        }
    }
    Err(failure)
}

/// Whether a server is no replica that hears its primary, and another one is. That is tried: what the sentinels say may
/// be old, and what they can reach need not be in reach of this client.
async fn is_better_elsewhere(config: &Config, view: &View, at: &Address) -> bool {
    match connect_to(config, at, true).await {
        Ok((_, Kind::Replica)) => false,
        _ => replica_of(config, view).await.is_ok(),
    }
}

/// Connects, and says what the server is: whether it hears its primary only if it is to be asked.
async fn connect_to(config: &Config, address: &Address, ask: bool) -> Result<(Connected, Kind)> {
    let config = Arc::new(config.at_server(address.clone()));
    let mut connected = supervise::connect(&config).await?;
    let mut kind = Kind::of_hello(connected.info.role.as_deref());
    if ask || kind == Kind::Unknown {
        let answer = supervise::ask(&mut connected, ROLE).await?;
        match Kind::of_role(Reply::parse(&answer)?) {
            // The user may not ask.
            Kind::Unknown => {}
            told => kind = told,
        }
    }
    Ok((connected, kind))
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
