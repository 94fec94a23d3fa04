//! Those who share one name: who receives its messages, and who is about to.

use std::sync::Arc;

use crate::driver::subscriber::Later;
use crate::pubsub::queue::{Batch, Item, Queue};

/// A subscriber's number, unique on its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct SubscriberId(pub(crate) u64);

/// One name that somebody holds, or that is ending.
#[derive(Debug, Default)]
pub(super) struct Entry {
    /// By their numbers. One that has left is an empty place until there are many of these, so that leaving takes no
    /// longer the more there are.
    holders: Vec<Holder>,
    empty: usize,
    pub(super) joining: Vec<Joining>,
    /// The server has confirmed it, and nothing has ended it since.
    pub(super) confirmed: bool,
    /// Unsubscriptions that the server has not confirmed. Until then all that it confirms is of the past.
    pub(super) ending: u32,
}

#[derive(Debug)]
struct Holder {
    id: SubscriberId,
    queue: Option<Arc<Queue>>,
    /// It may have missed messages, and was not told of it yet.
    deaf: bool,
}

/// Somebody who receives messages from a certain point on.
#[derive(Debug)]
pub(super) struct Joining {
    pub(super) id: SubscriberId,
    pub(super) queue: Arc<Queue>,
    pub(super) wait: u64,
    /// From the answer to this fence on; `None`: from the server's confirmation on.
    pub(super) fence: Option<u64>,
}

impl Entry {
    /// Whether somebody wants it.
    pub(super) fn is_used(&self) -> bool {
        self.has_holders() || !self.joining.is_empty()
    }

    pub(super) fn has_holders(&self) -> bool {
        self.holders.len() > self.empty
    }

    fn place(&self, id: SubscriberId) -> Result<usize, usize> {
        self.holders.binary_search_by_key(&id, |holder| holder.id)
    }

    pub(super) fn hold(&mut self, id: SubscriberId, queue: Arc<Queue>) {
        let holder = Holder {
            id,
            queue: Some(queue),
            deaf: false,
        };
        match self.place(id) {
            Ok(at) => {
                let left = self.holders[at].queue.is_none();
                if left {
                    self.empty -= 1;
                    self.holders[at] = holder;
                }
            }
            Err(at) => self.holders.insert(at, holder),
        }
    }

    /// It receives nothing any more, and does not join. Gives back what it waits for.
    pub(super) fn leave(&mut self, id: SubscriberId) -> Vec<u64> {
        let joining = self.joining.extract_if(.., |joining| joining.id == id);
        let waits = joining.map(|joining| joining.wait).collect();
        if let Ok(at) = self.place(id)
            && self.holders[at].queue.take().is_some()
        {
            self.empty += 1;
        }
        if self.empty * 2 > self.holders.len() {
            self.holders.retain(|holder| holder.queue.is_some());
            self.holders.shrink_to(self.holders.len() * 2);
            self.empty = 0;
        }
        waits
    }

    /// Hands messages to everyone, each with a share of the same bytes. Gives back who takes no more.
    pub(super) fn deliver(&self, batch: Batch, later: &mut Later) -> Vec<SubscriberId> {
        let mut closed = Vec::new();
        let mut holders = self.queues();
        let mut next = holders.next();
        let mut batch = Some(batch);
        while let Some((id, queue)) = next {
            next = holders.next();
            let share = if next.is_some() {
                batch.clone()
            } else {
                batch.take()
            };
            let pushed = queue.push(share.map(Item::Batch));
            later.wake(pushed.reader);
            if !pushed.open {
                closed.push(id);
            }
        }
        closed
    }

    pub(super) fn queues(&self) -> impl Iterator<Item = (SubscriberId, &Arc<Queue>)> {
        self.holders
            .iter()
            .filter_map(move |holder| Some((holder.id, holder.queue.as_ref()?)))
    }

    /// Nothing comes for a time that cannot be told yet.
    pub(super) fn interrupt(&mut self) {
        self.confirmed = false;
        for holder in &mut self.holders {
            holder.deaf = true;
        }
    }

    /// Those that may have missed messages, each once.
    pub(super) fn take_deaf(&mut self) -> impl Iterator<Item = (SubscriberId, &Arc<Queue>)> {
        self.holders.iter_mut().filter_map(|holder| {
            let queue = holder.queue.as_ref()?;
            std::mem::take(&mut holder.deaf).then_some((holder.id, queue))
        })
    }
}
