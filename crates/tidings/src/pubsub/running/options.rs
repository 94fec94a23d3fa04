//! How a subscriber runs in the background.

use std::fmt;
use std::time::Duration;

use super::Stopper;
use crate::error::Error;

type OnError = Box<dyn FnMut(Error, &Stopper) + Send>;

/// How a subscriber runs in the background, for [`PubSub::spawn_with`](crate::PubSub::spawn_with) and its like on the
/// blocking face.
///
/// ```
/// use tidings::RunOptions;
///
/// let options = RunOptions::new().on_error(|error, task| {
///     eprintln!("{error:#}");
///     if error.is_no_permission() {
///         task.stop();
///     }
/// });
/// ```
#[derive(Default)]
#[must_use = "options do nothing until they are given to something"]
pub struct RunOptions {
    pub(super) sleep_time: Option<Duration>,
    pub(super) on_error: Option<OnError>,
}

impl RunOptions {
    /// Those of [`PubSub::spawn`](crate::PubSub::spawn).
    pub fn new() -> Self {
        Self::default()
    }

    /// A pause whenever all that was there is handled. What comes meanwhile is handled together.
    ///
    /// Without it, or with zero, nothing is paused for: it waits for the socket, neither spinning nor late.
    pub fn sleep_time(mut self, time: Duration) -> Self {
        self.sleep_time = Some(time).filter(|time| !time.is_zero());
        self
    }

    /// Runs `handler` for each error, and goes on behind it, unless the handler stops it: the error or the panic of a
    /// handler, a payload that could not be decoded, a name that was refused when it was to be subscribed again.
    ///
    /// Between errors that come one after the other it pauses, the longer the more there are, up to a second. A
    /// lost connection is no error: it is made again, and a [gap](crate::PubSub::on_gap) tells of it. Where nothing more
    /// can come, as after [`Config::max_attempts`](crate::Config::max_attempts), the last error is the end all the same.
    ///
    /// What the handler is given next to the error has no way to wait for the end, which would never come.
    ///
    /// ```compile_fail,E0599
    /// tidings::RunOptions::new().on_error(|_, task| drop(task.join(None)));
    /// ```
    pub fn on_error(mut self, handler: impl FnMut(Error, &Stopper) + Send + 'static) -> Self {
        self.on_error = Some(Box::new(handler));
        self
    }
}

impl fmt::Debug for RunOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunOptions")
            .field("sleep_time", &self.sleep_time)
            .field("on_error", &self.on_error.is_some())
            .finish()
    }
}
