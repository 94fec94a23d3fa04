//! A subscriber in the background, with the methods that both faces have.

use std::time::Duration;

use tidings::{
    Bytes, Error, FromPayload, HandlerOutcome, Message, Result, RunOptions, Stopper, ToArg,
    blocking,
};

use super::waiting::here;
use super::{Handle, PubSub};

#[derive(Debug)]
pub(crate) enum Task<P = Bytes> {
    Asynchronous(tidings::PubSubTask<P>),
    Blocking(blocking::PubSubThread<P>),
}

impl<P: FromPayload> PubSub<P> {
    pub(crate) fn run(self) -> Result<Task<P>, Box<(Error, Self)>> {
        self.run_with(RunOptions::new())
    }

    pub(crate) fn run_with(self, options: RunOptions) -> Result<Task<P>, Box<(Error, Self)>> {
        match self {
            Self::Asynchronous(pubsub) => match pubsub.spawn_with(options) {
                Ok(task) => Ok(Task::Asynchronous(task)),
                Err(refused) => Err(Box::new((
                    refused.error().clone(),
                    Self::Asynchronous(refused.into_pubsub()),
                ))),
            },
            Self::Blocking(pubsub) => match pubsub.run_in_thread_with(options) {
                Ok(thread) => Ok(Task::Blocking(thread)),
                Err(refused) => Err(Box::new((
                    refused.error().clone(),
                    Self::Blocking(refused.into_pubsub()),
                ))),
            },
        }
    }
}

/// A method of either face that does not wait.
macro_rules! looks {
    ($task:expr, $inner:ident => $call:expr) => {
        match $task {
            Task::Asynchronous($inner) => $call,
            Task::Blocking($inner) => $call,
        }
    };
}

/// Methods that take a name and a handler.
macro_rules! taking_handlers {
    ($($method:ident)+) => {
        $(
            pub(crate) async fn $method<R: HandlerOutcome>(
                &self,
                name: impl ToArg,
                handler: impl FnMut(Message<P>) -> R + Send + 'static,
            ) -> Result<()> {
                match self {
                    Self::Asynchronous(task) => task.$method(name, handler).await,
                    Self::Blocking(thread) => here(|| thread.$method(name, handler)),
                }
            }
        )+
    };
}

impl<P: FromPayload> Task<P> {
    taking_handlers! { subscribe_with psubscribe_with ssubscribe_with }

    pub(crate) async fn stop(&self) -> Result<PubSub<P>> {
        match self {
            Self::Asynchronous(task) => task.stop().await.map(PubSub::Asynchronous),
            Self::Blocking(thread) => here(|| thread.stop()).map(PubSub::Blocking),
        }
    }

    pub(crate) async fn join(&self, timeout: Duration) -> Result<Option<PubSub<P>>> {
        Ok(match self {
            Self::Asynchronous(task) => task.join(timeout).await?.map(PubSub::Asynchronous),
            Self::Blocking(thread) => here(|| thread.join(timeout))?.map(PubSub::Blocking),
        })
    }

    pub(crate) fn is_running(&self) -> bool {
        looks!(self, task => task.is_running())
    }

    pub(crate) fn stopper(&self) -> Stopper {
        looks!(self, task => task.stopper())
    }

    pub(crate) fn handle(&self) -> Handle {
        match self {
            Self::Asynchronous(task) => Handle::Asynchronous(task.handle()),
            Self::Blocking(thread) => Handle::Blocking(thread.handle()),
        }
    }

    pub(crate) fn detach(self) {
        looks!(self, task => task.detach());
    }
}
