//! The servers of the walk, and what is done to them.

use std::any::Any;
use std::ops::Deref;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::thread;

use tidings_testkit::Cluster;
use tokio::sync::oneshot;

use super::Outcome;

/// The cluster. Its servers end when this is dropped, or with the process.
pub(crate) struct Servers(Arc<Cluster>);

/// The name of the threads in which servers are started and changed, which is waited for there.
const THREAD: &str = "servers";

impl Servers {
    pub(crate) async fn start() -> Outcome<Self> {
        let started = in_a_thread(|| Cluster::builder().replicas(1).start()).await;
        match started {
            Ok(Ok(cluster)) => Ok(Self(Arc::new(cluster))),
            Ok(Err(error)) => Err(format!("the cluster did not start: {error}").into()),
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

async fn in_a_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Outcome<T> {
    let (sender, done) = oneshot::channel();
    thread::Builder::new()
        .name(THREAD.to_owned())
        .spawn(move || {
            let outcome = panic::catch_unwind(AssertUnwindSafe(work));
            // Nobody waits any more if the walk has ended.
            let _ = sender.send(outcome.map_err(|panic| words(&*panic)));
        })?;
    Ok(done.await??)
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("the servers could not be started or changed")
        .to_owned()
}
