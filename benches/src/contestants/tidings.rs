//! Tidings: a stream on a connection of its own, on either runtime.

use super::{Assignment, Contestant, QUICK};
use crate::Result;
use crate::machine::Core;
use crate::measure::Outcome;

pub(super) const TIDINGS: Contestant = Contestant {
    name: "tidings",
    usage: "`client.pubsub()`, stream, current_thread runtime",
    package: Some("tidings"),
    most_messages: QUICK,
    core: Core::Last,
    prepare: built::prepare,
    drain: built::drain_on_one_thread,
};

pub(super) const TIDINGS_MT: Contestant = Contestant {
    name: "tidings-mt",
    usage: "the same, multi_thread runtime of two workers, not pinned",
    package: Some("tidings"),
    most_messages: QUICK,
    core: Core::Any,
    prepare: built::prepare,
    drain: built::drain_on_two_threads,
};

#[cfg(feature = "tidings")]
mod built {
    use tidings::{Client, Event};
    use tokio::runtime::Builder;

    use super::{Assignment, Outcome, Result};
    use crate::contestants::current_thread;
    use crate::measure::Tally;

    pub(super) fn prepare() -> Result<()> {
        Ok(())
    }

    pub(super) fn drain_on_one_thread(assignment: &Assignment) -> Result<Outcome> {
        current_thread()?.block_on(drain(assignment))
    }

    pub(super) fn drain_on_two_threads(assignment: &Assignment) -> Result<Outcome> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?;
        let (port, shape, messages) = (assignment.port, assignment.shape, assignment.messages);
        // On a worker, as a program's own tasks are, not on the thread that waits for it.
        let task = async move {
            drain(&Assignment {
                port,
                shape,
                messages,
            })
            .await
        };
        runtime.block_on(runtime.spawn(task))?
    }

    async fn drain(assignment: &Assignment) -> Result<Outcome> {
        let url = format!("redis://127.0.0.1:{}/?protocol=3", assignment.port);
        let client = Client::connect(url.as_str()).await?;
        let mut pubsub = client
            .pubsub()
            .channels(assignment.shape.channels())
            .patterns(assignment.shape.patterns())
            .ignore_subscribe_messages(true)
            .await?;
        let mut tally = Tally::subscribed();
        while let Some(event) = pubsub.next().await {
            // A gap is loss, and shown as such, since what it stands for is not counted.
            let Event::Message(message) = event? else {
                continue;
            };
            if !tally.take(message.payload()) {
                return Ok(tally.finish());
            }
        }
        Err("the stream broke off".into())
    }
}

#[cfg(not(feature = "tidings"))]
mod built {
    use super::{Assignment, Outcome, Result};

    pub(super) fn prepare() -> Result<()> {
        Err("not built; it takes part with `--features tidings`".into())
    }

    pub(super) fn drain_on_one_thread(_: &Assignment) -> Result<Outcome> {
        prepare()?;
        unreachable!("`prepare` refuses")
    }

    pub(super) fn drain_on_two_threads(assignment: &Assignment) -> Result<Outcome> {
        drain_on_one_thread(assignment)
    }
}
