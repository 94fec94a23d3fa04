//! Whether a server sends the notifications that are wanted: it is asked on each new connection before anything else, and
//! from time to time as long as one is there.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Instant;

use bytes::Bytes;
use tidings_proto::keyspace::NotifyFlags;
use tidings_proto::pubsub::GapCause;
use tidings_proto::{Command, FromReply, Reply, ServerError, cmd};
use tokio::time;

use crate::config::Config;
use crate::driver::cluster::address_of;
use crate::driver::place::{Departure, Place};
use crate::driver::supervise::{self, Connected};
use crate::error::{Error, ErrorKind, Result};
use crate::keyspace::Notifications;

/// The name of the setting.
const SETTING: &str = "notify-keyspace-events";

/// How often it is set if somebody else sets it at the same time.
const ATTEMPTS: u32 = 3;

/// A server is asked again at intervals of so many of those at which a silent one is asked for a sign of life.
const SELDOM: u32 = 6;

/// What servers have to send.
#[derive(Debug)]
pub(crate) struct Check {
    needed: NotifyFlags,
    notifications: Notifications,
    /// One has taken a setting of which it does not say then that it has it: Redis 7.0 says nothing of `n` beside `A`.
    is_unsaid: AtomicBool,
}

/// Where connections are made to, each of which is checked.
#[derive(Debug)]
pub(crate) struct CheckedPlace {
    place: Place,
    check: Arc<Check>,
}

impl CheckedPlace {
    /// The same place, with the check.
    pub(crate) fn of(place: Place, check: Arc<Check>) -> Place {
        Place::Checked(Arc::new(Self { place, check }))
    }

    pub(crate) fn inner(&self) -> &Place {
        &self.place
    }

    pub(crate) async fn connect(&self) -> Result<Connected> {
        let mut connected = self.place.connect().await?;
        self.check.ensure(&mut connected).await?;
        Ok(connected)
    }

    /// Comes when a connection has to be left, also since the server sends nothing over it any more.
    pub(crate) fn departure(
        &self,
        connected: &Config,
    ) -> Option<Pin<Box<dyn Future<Output = Departure> + Send>>> {
        let mut departure = self.place.departure(connected);
        if self.check.notifications == Notifications::Unchecked {
            return departure;
        }
        let mut silence = Box::pin(silence(
            Arc::clone(&self.check),
            Arc::new(connected.clone()),
        ));
        Some(Box::pin(poll_fn(move |cx| {
            if let Some(departure) = &mut departure
                && let Poll::Ready(departure) = departure.as_mut().poll(cx)
            {
                return Poll::Ready(departure);
            }
            silence.as_mut().poll(cx)
        })))
    }
}

/// Comes when the server does not send any more what is wanted: somebody has changed its settings.
async fn silence(check: Arc<Check>, config: Arc<Config>) -> Departure {
    let (interval, _) = config.ping_times();
    let mut good_at = Instant::now();
    loop {
        time::sleep(interval.saturating_mul(SELDOM)).await;
        // A subscribed connection of RESP2 cannot be asked. What else may go wrong here is no news of the settings.
        let Ok(mut connected) = supervise::connect(&config).await else {
            continue;
        };
        let asked = Instant::now();
        let Ok(said) = said(&mut connected).await else {
            continue;
        };
        let is_good = said.contains(check.needed)
            || (check.is_unsaid.load(Ordering::Relaxed) && check.may_be_unsaid(said));
        if !is_good {
            return Departure {
                error: check.lacking(&config, said),
                cause: GapCause::Refused,
                good_at,
            };
        }
        good_at = asked;
    }
}

impl Check {
    pub(crate) fn new(needed: NotifyFlags, notifications: Notifications) -> Self {
        Self {
            needed,
            notifications,
            is_unsaid: AtomicBool::new(false),
        }
    }

    /// Makes sure that the server sends what is wanted, as far as it may.
    async fn ensure(&self, connected: &mut Connected) -> Result<()> {
        if self.notifications == Notifications::Unchecked {
            return Ok(());
        }
        let mut attempts = 0;
        loop {
            let said = said(connected).await?;
            if said.contains(self.needed) {
                return Ok(());
            }
            if attempts > 0 && self.may_be_unsaid(said) {
                self.is_unsaid.store(true, Ordering::Relaxed);
                return Ok(());
            }
            if self.notifications != Notifications::Enable || attempts >= ATTEMPTS {
                return Err(self.lacking(&connected.config, said));
            }
            attempts += 1;
            let wanted = said.with(self.needed).to_string();
            let set = cmd("CONFIG").arg("SET").arg(SETTING).arg(&wanted);
            if let Err(refusal) = run::<()>(connected, &set).await? {
                let server = connected.config.server_address();
                let text = format!(
                    "{server} does not let {SETTING} be set to {wanted:?}: {}",
                    refusal.message()
                );
                return Err(refused(&connected.config, text, refusal));
            }
        }
    }

    /// Whether all is there but for what some servers do not say.
    fn may_be_unsaid(&self, said: NotifyFlags) -> bool {
        said.with(NotifyFlags::parse(b"n")).contains(self.needed)
    }

    fn lacking(&self, config: &Config, said: NotifyFlags) -> Error {
        let server = config.server_address();
        let (said_text, wanted) = (said.to_string(), said.with(self.needed));
        let missing = self.needed.without(said);
        let text = format!(
            "{server} does not send the keyspace notifications that are wanted: its {SETTING} is {said_text:?} and lacks \
             {:?}. Set it to {:?} there (CONFIG SET, or its configuration file), or have it set by \
             Notifications::Enable",
            missing.to_string(),
            wanted.to_string()
        );
        Error::config(text).at_node(address_of(config))
    }
}

/// What a server says that it sends.
async fn said(connected: &mut Connected) -> Result<NotifyFlags> {
    let get = cmd("CONFIG").arg("GET").arg(SETTING);
    let config = Arc::clone(&connected.config);
    let server = config.server_address();
    let hint = "if they are on, open it with Notifications::Unchecked";
    match run::<BTreeMap<String, Bytes>>(connected, &get).await? {
        Ok(settings) => match settings.first_key_value() {
            Some((_, flags)) => Ok(NotifyFlags::parse(flags)),
            None => {
                let text = format!("{server} has no setting {SETTING}: {hint}");
                Err(Error::config(text).at_node(address_of(&config)))
            }
        },
        Err(refusal) => {
            let text = format!(
                "{server} does not say whether it sends keyspace notifications (CONFIG GET {SETTING}: {}): let the user \
                 ask (+config|get), or {hint}",
                refusal.message()
            );
            Err(refused(&config, text, refusal))
        }
    }
}

fn refused(config: &Config, text: String, refusal: ServerError) -> Error {
    Error::new(ErrorKind::Server, text)
        .with_server(refusal)
        .at_node(address_of(config))
}

/// Runs a command that nobody else has anything to do with.
async fn run<T: FromReply>(
    connected: &mut Connected,
    command: &Command,
) -> Result<Result<T, ServerError>> {
    let frame = supervise::ask(connected, command.as_bytes()).await?;
    match Reply::parse(&frame)?.into_result() {
        Ok(reply) => Ok(Ok(T::from_reply(reply)?)),
        Err(refusal) => Ok(Err(refusal)),
    }
}
