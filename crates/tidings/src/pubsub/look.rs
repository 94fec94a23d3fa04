//! What is there now. What has arrived at the socket is there too, so the task that reads it is asked whether there is
//! anything.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::sync::oneshot;

use crate::driver::subscriber::{Outlet, Shared};

/// One look at a queue, and at the socket behind it.
pub(crate) struct Look<O> {
    shared: Arc<Shared<O>>,
    /// The question to the task that reads the socket, once it was asked.
    asked: Option<oneshot::Receiver<()>>,
}

impl<O: Outlet> Look<O> {
    pub(crate) fn new(shared: &Arc<Shared<O>>) -> Self {
        Self {
            shared: Arc::clone(shared),
            asked: None,
        }
    }

    /// What `poll` takes out of the queue; `None` if nothing is there.
    pub(crate) fn poll<T>(
        &mut self,
        cx: &mut Context<'_>,
        mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<Option<T>> {
        loop {
            // Asked before the queue is: what was there is in the queue when the answer is.
            let answered = self.asked.as_mut().map(|asked| Pin::new(asked).poll(cx));
            return match (poll(cx), answered) {
                (Poll::Ready(taken), _) => Poll::Ready(Some(taken)),
                (Poll::Pending, None) => {
                    self.asked = Some(self.shared.look());
                    continue;
                }
                (Poll::Pending, Some(answered)) => answered.map(|_| None),
            };
        }
    }
}
