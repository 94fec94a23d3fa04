//! The thread in the background, and waiting for what it does.

use std::cell::Cell;
use std::future::{Future, pending, poll_fn};
use std::pin::pin;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Handle};
use tokio::task::coop;

use super::park;
use crate::error::{Error, ErrorKind, Result};

/// The name of the thread.
const NAME: &str = "tidings-blocking";

/// More operations than tokio lets a task do in one turn, which are 128.
const OPERATIONS: u32 = 256;

/// How long whoever wants what is there now waits at most for the thread in the background to say what has arrived.
/// That takes it some microseconds, unless the machine gives it no time.
pub(super) const LOOK: Duration = Duration::from_millis(50);

/// The runtime of the thread, once there is one.
static RUNTIME: OnceLock<Handle> = OnceLock::new();

thread_local! {
    /// Whether this is the thread in the background.
    static IN_BACKGROUND: Cell<bool> = const { Cell::new(false) };
}

/// Waits on this thread for what a future comes to.
pub(crate) fn wait<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    let mut future = pin!(future);
    loop {
        if let Some(outcome) = wait_until(future.as_mut(), None)? {
            return outcome;
        }
    }
}

/// Waits on this thread for a future, until `deadline` if there is one; `None` then.
///
/// The future is polled here, with the runtime in the background as its own.
///
/// # Errors
///
/// This is no place to wait at, or the thread in the background cannot be started. The future is dropped unpolled.
pub(super) fn wait_until<F: Future>(
    future: F,
    deadline: Option<Instant>,
) -> Result<Option<F::Output>> {
    check_place()?;
    let _entered = runtime()?.enter();
    Ok(park::wait(future, deadline))
}

/// The next item of a stream, waiting for it until `deadline` if there is one; `None` then, and at its end.
pub(super) fn next_item<T>(
    poll: impl FnMut(&mut Context<'_>) -> Poll<Option<Result<T>>>,
    deadline: Option<Instant>,
) -> Option<Result<T>> {
    match wait_until(poll_fn(poll), deadline) {
        Ok(item) => item.flatten(),
        Err(error) => Some(Err(error)),
    }
}

/// When a time that begins now is over; `None` is never, since it is longer than the clock runs.
pub(super) fn deadline(timeout: Duration) -> Option<Instant> {
    Instant::now().checked_add(timeout)
}

/// The runtime in the background; its thread is started for whoever is the first to need it.
fn runtime() -> Result<&'static Handle> {
    static STARTING: Mutex<()> = Mutex::new(());
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime);
    }
    let _one_at_a_time = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime);
    }
    let handle = start().map_err(|error| {
        let text = format!("the thread {NAME} could not be started");
        Error::new(ErrorKind::Connection, text).with_source(error)
    })?;
    Ok(RUNTIME.get_or_init(|| handle))
}

fn start() -> std::io::Result<Handle> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    thread::Builder::new().name(NAME.into()).spawn(move || {
        IN_BACKGROUND.set(true);
        runtime.block_on(pending::<()>());
    })?;
    Ok(handle)
}

fn check_place() -> Result<()> {
    if is_async() {
        return Err(Error::misuse(
            "tidings::blocking would block an async task here: use tidings::Client in async code, or call this \
             within tokio::task::spawn_blocking",
        ));
    }
    Ok(())
}

/// Whether this is within the poll of a task.
///
/// A thread that may block can have a runtime as well: one of `spawn_blocking`, one within `block_in_place`, one that
/// holds the guard of `Handle::enter`, and one that is waiting here and runs a handler. What tells them apart is that
/// only tasks have a bounded number of operations in a turn. They are used up to see it, which costs a task that
/// should not be here no more than its turn.
fn is_async() -> bool {
    let Ok(current) = Handle::try_current() else {
        return false;
    };
    if RUNTIME.get().is_some_and(|own| own.id() == current.id()) {
        return IN_BACKGROUND.get();
    }
    let mut cx = Context::from_waker(Waker::noop());
    for _ in 0..OPERATIONS {
        if !coop::has_budget_remaining() {
            return true;
        }
        match coop::poll_proceed(&mut cx) {
            Poll::Ready(turn) => turn.made_progress(),
            Poll::Pending => return true,
        }
    }
    false
}
