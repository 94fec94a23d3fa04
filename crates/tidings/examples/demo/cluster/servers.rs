//! The servers of the walk, and what is done to them.

use std::any::Any;
use std::ops::Deref;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tidings_testkit::Cluster;
use tokio::sync::oneshot;
use tokio::time;

use super::{Outcome, STEP};

/// The cluster. Its servers end when this is dropped, or with the process.
pub(crate) struct Servers(Arc<Cluster>);

/// The name of the threads in which servers are started and changed, which is waited for there.
const THREAD: &str = "servers";

const NEEDS: &str = "It needs six free ports of 127.0.0.1 from 10000 to 19999, the ports that are 10000 above \
    them, and a folder for temporary files.";

/// So many of them are at work.
static THREADS: AtomicUsize = AtomicUsize::new(0);

/// A cluster is started, or a slot moved, in less time.
const SHORT: Duration = Duration::from_secs(10);

impl Servers {
    pub(crate) async fn start() -> Outcome<Self> {
        let started = in_a_thread(|| Cluster::builder().replicas(1).start()).await;
        match started {
            Ok(Ok(cluster)) => Ok(Self(Arc::new(cluster))),
            Ok(Err(error)) => Err(format!("the cluster did not start: {error}\n{NEEDS}").into()),
            Err(problem) => Err(problem),
        }
    }

    /// Does something to the cluster that takes its time.
    pub(crate) async fn apart<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Cluster) -> T + Send + 'static,
    ) -> Outcome<T> {
        let cluster = Arc::clone(&self.0);
        in_a_thread(move || work(&cluster)).await
    }
}

impl Deref for Servers {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        &self.0
    }
}

/// The testkit says what does not happen by a panic, as it is made for tests. Here it is an error in the same words.
pub(crate) fn tell_panics_as_errors() {
    let hook = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if thread::current().name() != Some(THREAD) {
            hook(info);
        }
    }));
}

/// Waits until what was begun is done, and what was made by it in vain is gone.
pub(crate) async fn no_thread_is_at_work() {
    let begun = Instant::now();
    while THREADS.load(Ordering::Relaxed) > 0 && begun.elapsed() < SHORT {
        time::sleep(STEP).await;
    }
}

async fn in_a_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Outcome<T> {
    let (sender, done) = oneshot::channel();
    THREADS.fetch_add(1, Ordering::Relaxed);
    let thread = thread::Builder::new().name(THREAD.to_owned());
    let spawned = thread.spawn(move || {
        let outcome = panic::catch_unwind(AssertUnwindSafe(work));
        // Nobody waits any more if the walk has ended: then a cluster that was started ends here.
        drop(sender.send(outcome.map_err(|panic| words(&*panic))));
        THREADS.fetch_sub(1, Ordering::Relaxed);
    });
    if let Err(error) = spawned {
        THREADS.fetch_sub(1, Ordering::Relaxed);
        return Err(error.into());
    }
    Ok(done.await??)
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("the servers could not be started or changed")
        .to_owned()
}
