//! Connections of their own, for what cannot share one: how many there may be, and those that are free.

use std::collections::VecDeque;
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time;

use crate::config::Config;
use crate::driver::body::{Answer, Body};
use crate::driver::commands::{self, CommandLink, SENDINGS};
use crate::driver::mailbox::{Closing, Mailbox, Sending};
use crate::driver::place::Place;
use crate::error::{Error, Result};

/// The connections of a client beside the one that its clones share: [`Config::max_own_connections`] at most,
/// those included that wait for their next use.
#[derive(Debug)]
pub(crate) struct Pool {
    place: Place,
    /// As many as may be in use.
    permits: Arc<Semaphore>,
    /// Those that are not, the one that was used last at the end.
    idle: Mutex<VecDeque<Arc<Mailbox>>>,
}

impl Pool {
    pub(crate) fn new(place: Place) -> Self {
        let permits = Self::permits_of(place.config());
        Self::sharing(place, permits)
    }

    /// With permits that other pools have too.
    pub(crate) fn sharing(place: Place, permits: Arc<Semaphore>) -> Self {
        Self {
            place,
            permits,
            idle: Mutex::default(),
        }
    }

    /// As many as the settings allow.
    pub(crate) fn permits_of(config: &Config) -> Arc<Semaphore> {
        let most = config.own_connections().min(Semaphore::MAX_PERMITS);
        Arc::new(Semaphore::new(most))
    }

    fn idle(&self) -> MutexGuard<'_, VecDeque<Arc<Mailbox>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn lease(&self) -> Result<OwnedSemaphorePermit> {
        lease(&self.permits, self.place.config()).await
    }

    /// Leave to make a connection.
    pub(crate) async fn permit(&self) -> Result<OwnedSemaphorePermit> {
        let permit = self.lease().await?;
        let mut idle = self.idle();
        let surplus = idle.len().saturating_sub(self.permits.available_permits());
        for mailbox in idle.drain(..surplus) {
            mailbox.close(Closing::Now);
        }
        Ok(permit)
    }

    /// A connection that nobody else uses: one that is free, or a new one.
    pub(crate) async fn connection(self: &Arc<Self>) -> Result<Own> {
        let permit = self.lease().await?;
        self.connection_with(permit).await
    }

    /// The same with leave that was [got](lease) already.
    pub(crate) async fn connection_with(
        self: &Arc<Self>,
        permit: OwnedSemaphorePermit,
    ) -> Result<Own> {
        loop {
            let free = self.idle().pop_back();
            match free {
                Some(mailbox) if mailbox.end_idling() => {
                    return Ok(Own::new(self, mailbox, permit, true));
                }
                Some(_) => {}
                None => break,
            }
        }
        self.open(permit).await
    }

    /// A new connection.
    async fn open(self: &Arc<Self>, permit: OwnedSemaphorePermit) -> Result<Own> {
        let connected = self.place.connect().await?;
        let mailbox = Arc::new(Mailbox::default());
        let link = CommandLink::new(Arc::clone(&connected.config), Arc::clone(&mailbox));
        tokio::spawn(commands::serve(self.place.clone(), connected, link));
        Ok(Own::new(self, mailbox, permit, false))
    }

    /// Runs what would hold up others on a connection of its own. Dropped on the way, the connection is closed, so
    /// that the server does not go on with it for longer than it takes to notice.
    pub(crate) async fn run(self: Arc<Self>, body: Body) -> Result<Answer> {
        let mut sendings = 1;
        loop {
            let own = self.connection().await?;
            let again = body.again();
            let outcome = own.send(again).await;
            match &outcome {
                // More may come of it, or the connection is lost.
                Ok(Answer::Cut(_)) => {}
                Ok(_) => own.give_back(),
                Err(error)
                    if error.is_connection() && !error.may_have_run() && sendings < SENDINGS =>
                {
                    sendings += 1;
                    continue;
                }
                Err(_) => {}
            }
            return outcome;
        }
    }
}

/// One of the permits for connections, waiting for it as long as connecting may take.
pub(crate) async fn lease(
    permits: &Arc<Semaphore>,
    config: &Config,
) -> Result<OwnedSemaphorePermit> {
    if Handle::try_current().is_err() {
        return Err(Error::misuse(
            "there is no tokio runtime here: what needs a connection of its own is to be awaited within one",
        ));
    }
    let wait = Arc::clone(permits).acquire_owned();
    match time::timeout(config.time_to_connect(), wait).await {
        Ok(Ok(permit)) => Ok(permit),
        _ => Err(Error::timeout(format!(
            "all {} connections of their own are in use: drop one, or raise max_own_connections",
            config.own_connections()
        ))),
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        for mailbox in mem::take(&mut *self.idle()) {
            mailbox.close(Closing::Now);
        }
    }
}

/// A connection that nobody else uses. Dropped, it is closed, whatever is under way on it.
#[derive(Debug)]
pub(crate) struct Own {
    pool: Arc<Pool>,
    mailbox: Arc<Mailbox>,
    /// Somebody had it before.
    used: bool,
    /// Something was left under way on it.
    in_doubt: AtomicBool,
    /// Something was run on it that writes a key that it watches.
    wrote: Arc<AtomicBool>,
    clean: bool,
    _permit: OwnedSemaphorePermit,
}

impl Own {
    fn new(
        pool: &Arc<Pool>,
        mailbox: Arc<Mailbox>,
        permit: OwnedSemaphorePermit,
        used: bool,
    ) -> Self {
        Self {
            pool: Arc::clone(pool),
            mailbox,
            used,
            in_doubt: AtomicBool::new(false),
            wrote: Arc::default(),
            clean: false,
            _permit: permit,
        }
    }

    pub(crate) fn mailbox(&self) -> &Arc<Mailbox> {
        &self.mailbox
    }

    /// Sends a request on it.
    pub(crate) fn send(&self, body: Body) -> Sending<&Mailbox> {
        Sending::new(&*self.mailbox, body)
    }

    /// Whether somebody had it before, so that the server may have closed it without anybody noticing.
    pub(crate) fn was_used(&self) -> bool {
        self.used
    }

    /// Somebody did not wait for an answer.
    pub(crate) fn leave_in_doubt(&self) {
        self.in_doubt.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_in_doubt(&self) -> bool {
        self.in_doubt.load(Ordering::Relaxed)
    }

    pub(crate) fn note_write(&self) {
        self.wrote.store(true, Ordering::Relaxed);
    }

    pub(crate) fn wrote(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.wrote)
    }

    /// Others may use it now: the server keeps nothing of what was done with it, or will have forgotten it when
    /// what was sent last has been run.
    pub(crate) fn give_back(mut self) {
        self.clean = !self.is_in_doubt();
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        if self.clean && self.mailbox.begin_idling() {
            self.pool.idle().push_back(Arc::clone(&self.mailbox));
        } else {
            self.mailbox.close(Closing::Now);
        }
    }
}
