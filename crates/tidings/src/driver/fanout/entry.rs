//! Those who share one name: who receives its messages, and who is about to.

use std::sync::Arc;

use super::places::Places;
use crate::driver::subscriber::Later;
use crate::pubsub::queue::{Batch, Item, Queue};

/// A subscriber's number, unique on its connection; it is larger than those of all who came before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct SubscriberId(pub(crate) u64);

/// One name that somebody holds, or that is ending.
#[derive(Debug, Default)]
pub(super) struct Entry {
    holders: Places<Holder>,
    /// Those who wait for the server's confirmation come first, then those who wait for fences, in order.
    joining: Places<Joining>,
    /// The server has confirmed it, and nothing has ended it since.
    pub(super) confirmed: bool,
    /// Unsubscriptions that the server has not confirmed. Until then all that it confirms is of the past.
    pub(super) ending: u32,
}

#[derive(Debug)]
struct Holder {
    queue: Arc<Queue>,
    /// It may have missed messages, and was not told of it yet.
    deaf: bool,
}

/// Somebody who receives messages from a certain point on.
#[derive(Debug)]
pub(super) struct Joining {
    pub(super) queue: Arc<Queue>,
    pub(super) wait: u64,
    /// From the answer to this fence on; `None`: from the server's confirmation on.
    pub(super) fence: Option<u64>,
}

impl Entry {
    /// Whether somebody wants it.
    pub(super) fn is_used(&self) -> bool {
        self.has_holders() || self.has_joining()
    }

    pub(super) fn has_holders(&self) -> bool {
        !self.holders.is_empty()
    }

    pub(super) fn has_joining(&self) -> bool {
        !self.joining.is_empty()
    }

    /// Somebody comes. Says whether it is the first one that waits for its fence.
    pub(super) fn join(&mut self, id: SubscriberId, joining: Joining) -> bool {
        let last = self.joining.last().map(|last| last.fence);
        let first = joining.fence.is_some() && last != Some(joining.fence);
        self.joining.add(id, joining);
        first
    }

    /// Lets those in who wait for this fence or an earlier one, or, without one, for the server's confirmation. Gives
    /// back what they wait for.
    pub(super) fn admit(&mut self, fence: Option<u64>) -> Vec<u64> {
        let mut waits = Vec::new();
        for (id, Joining { queue, wait, .. }) in self.joining.take_front(|one| one.fence <= fence) {
            self.holders.add(id, Holder { queue, deaf: false });
            waits.push(wait);
        }
        waits
    }

    /// Nobody of those who are about to join may. Gives back what they wait for.
    pub(super) fn turn_away(&mut self) -> Vec<u64> {
        let joining = self.joining.take_front(|_| true).into_iter();
        joining.map(|(_, joining)| joining.wait).collect()
    }

    /// Those who wait for this fence or an earlier one wait for the server's confirmation instead; without one, all
    /// do.
    pub(super) fn unfence(&mut self, fence: Option<u64>) {
        let is_one = |one: &Joining| fence.is_none() || one.fence <= fence;
        for joining in self.joining.front_mut(is_one) {
            joining.fence = None;
        }
    }

    /// Where to tell one of them that it may have missed messages, if that was not told yet.
    pub(super) fn take_deaf_one(&mut self, id: SubscriberId) -> Option<Arc<Queue>> {
        let holder = self.holders.get_mut(id)?;
        std::mem::take(&mut holder.deaf).then(|| Arc::clone(&holder.queue))
    }

    /// It receives nothing any more, and does not join. Gives back what it waits for.
    pub(super) fn leave(&mut self, id: SubscriberId) -> Option<u64> {
        self.holders.remove(id);
        self.joining.remove(id).map(|joining| joining.wait)
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
        self.holders.iter().map(|(id, holder)| (id, &holder.queue))
    }

    /// Nothing comes for a time that cannot be told yet.
    pub(super) fn interrupt(&mut self) {
        self.confirmed = false;
        self.deafen();
    }

    /// Those who receive its messages may have missed some.
    pub(super) fn deafen(&mut self) {
        for (_, holder) in self.holders.iter_mut() {
            holder.deaf = true;
        }
    }

    /// Those that may have missed messages, each once.
    pub(super) fn take_deaf(&mut self) -> impl Iterator<Item = (SubscriberId, &Arc<Queue>)> {
        self.holders.iter_mut().filter_map(|(id, holder)| {
            std::mem::take(&mut holder.deaf).then_some((id, &holder.queue))
        })
    }
}
