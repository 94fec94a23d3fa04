//! A subscriber that cannot run in the background.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use crate::error::Error;

/// Why a subscriber cannot run in the background, and the subscriber itself.
///
/// `?` makes an [`Error`] of it, and drops the subscriber.
///
/// ```no_run
/// # async fn example(pubsub: tidings::PubSub) -> tidings::Result<()> {
/// let task = match pubsub.spawn() {
///     Ok(task) => task,
///     Err(refused) => {
///         println!("{refused}"); // the channel news has no handler, …
///         let mut pubsub = refused.into_pubsub();
///         pubsub.unsubscribe("news").await?;
///         pubsub.spawn()?
///     }
/// };
/// # Ok(())
/// # }
/// ```
pub struct SpawnError<S> {
    error: Error,
    /// So that it is `Sync`, as errors should be.
    pubsub: Box<Mutex<S>>,
}

impl<S> SpawnError<S> {
    pub(crate) fn new(error: Error, pubsub: S) -> Self {
        Self {
            error,
            pubsub: Box::new(Mutex::new(pubsub)),
        }
    }

    /// Why: a [misuse](crate::ErrorKind::Misuse) that names a subscription without a handler, as a rule.
    pub fn error(&self) -> &Error {
        &self.error
    }

    /// The subscriber, as it was.
    pub fn into_pubsub(self) -> S {
        self.pubsub
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(feature = "blocking")]
    pub(crate) fn map<T>(self, change: impl FnOnce(S) -> T) -> SpawnError<T> {
        SpawnError::new(self.error.clone(), change(self.into_pubsub()))
    }
}

impl<S> From<SpawnError<S>> for Error {
    fn from(refused: SpawnError<S>) -> Self {
        refused.error
    }
}

impl<S> fmt::Display for SpawnError<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.error, f)
    }
}

impl<S> fmt::Debug for SpawnError<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpawnError")
            .field("error", &self.error)
            .finish_non_exhaustive()
    }
}

impl<S> std::error::Error for SpawnError<S> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.error.source()
    }
}
