//! Blocking calls within tests that are asynchronous.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

/// How long a call may take. No case waits so long.
const LIMIT: Duration = Duration::from_secs(90);

/// Calls that are waited for, by a number of their own, and when they began.
static CALLS: Mutex<BTreeMap<u64, Instant>> = Mutex::new(BTreeMap::new());

/// Calls what may block, while the other tasks of the runtime go on.
pub(crate) fn here<T>(call: impl FnOnce() -> T) -> T {
    let _call = Call::begin();
    tokio::task::block_in_place(call)
}

/// The output of a future that waits for nothing but blocking calls.
pub(crate) fn at_once<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it waits for something else"),
    }
}

/// A call under way. Nothing can end one that hangs but the end of the process.
struct Call(u64);

impl Call {
    fn begin() -> Self {
        static WATCHING: Once = Once::new();
        WATCHING.call_once(|| {
            thread::spawn(watch);
        });
        let mut calls = calls();
        let number = calls.last_key_value().map_or(0, |(last, _)| last + 1);
        calls.insert(number, Instant::now());
        Self(number)
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        calls().remove(&self.0);
    }
}

fn calls() -> MutexGuard<'static, BTreeMap<u64, Instant>> {
    CALLS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn watch() {
    while calls().values().all(|begun| begun.elapsed() < LIMIT) {
        thread::sleep(Duration::from_secs(1));
    }
    eprintln!("a blocking call has not returned for {LIMIT:?}");
    std::process::exit(1);
}
