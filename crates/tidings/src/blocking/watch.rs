//! Watched keys: read first, then write only if nobody else has written meanwhile.

use tidings_proto::{Command, FromReply, ToArgs};

use super::{Pipeline, runtime};
use crate::commands::Commands;
use crate::error::Result;
use crate::script::ScriptCall;

/// A connection on which keys are watched.
///
/// Made by [`Client::watch`](super::Client::watch), or handed to the closure of
/// [`Client::transaction`](super::Client::transaction). It is the asynchronous [`Watch`](crate::Watch), where more
/// stands of it, with calls that wait. Dropping it, or its pipeline, ends the watch.
///
/// ```no_run
/// # fn example(client: tidings::blocking::Client) -> tidings::Result<()> {
/// use tidings::Commands;
///
/// loop {
///     let watch = client.watch("OUR-SEQUENCE-KEY")?;
///     let current: Option<i64> = watch.get("OUR-SEQUENCE-KEY")?;
///     let next = current.unwrap_or(0) + 1;
///     match watch.multi().set("OUR-SEQUENCE-KEY", next).execute::<()>() {
///         Err(error) if error.is_watch() && !error.may_have_run() => continue, // somebody else was faster
///         outcome => break outcome,
///     }
/// }
/// # }
/// ```
///
/// A second `MULTI`, and a `WATCH` behind it, do not compile:
///
/// ```compile_fail,E0382
/// fn nested(watch: tidings::blocking::Watch) {
///     let transaction = watch.multi();
///     let again = watch.multi(); // `watch` was moved into its transaction
/// }
/// ```
///
/// ```compile_fail,E0599
/// fn nested(watch: tidings::blocking::Watch) {
///     watch.multi().multi(); // a pipeline has no `multi`
/// }
/// ```
#[must_use = "dropping a watch ends it"]
#[derive(Debug)]
pub struct Watch {
    inner: crate::Watch,
}

impl Watch {
    pub(super) fn new(inner: crate::Watch) -> Self {
        Self { inner }
    }

    /// Watches further keys.
    ///
    /// # Errors
    ///
    /// As those of [`Watch`](crate::Watch).
    pub fn watch<S>(&self, keys: impl ToArgs<S>) -> Result<()> {
        runtime::wait(self.inner.watch(keys))
    }

    /// A transaction that is run only if no watched key has changed. From here on commands are gathered, and run
    /// together when it is executed; as [there](crate::Watch::multi).
    pub fn multi(self) -> Pipeline {
        Pipeline::new(self.inner.multi())
    }
}

impl Commands for &Watch {
    type Output<T: FromReply> = Result<T>;

    fn run<T: FromReply>(self, command: Command) -> Result<T> {
        runtime::wait(self.inner.run(command))
    }

    fn run_script<T: FromReply>(self, call: ScriptCall) -> Result<T> {
        runtime::wait(self.inner.run_script(call))
    }
}
