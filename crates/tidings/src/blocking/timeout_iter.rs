//! Iterators that do not wait for ever.

use std::time::Duration;

/// What a thread can read with a time-out.
pub trait ReadWithin {
    /// What comes.
    type Item;

    /// The next item, waiting for it so long at most; `None` if none came, or nothing comes any more.
    #[doc(hidden)]
    fn next_within(&mut self, timeout: Duration) -> Option<Self::Item>;
}

/// An iterator that ends as well when nothing came for some time.
///
/// Made by the methods `timeout_iter` of [`PubSub`](super::PubSub::timeout_iter),
/// [`Subscription`](super::Subscription::timeout_iter), [`Receiver`](super::Receiver::timeout_iter),
/// [`Monitor`](super::Monitor::timeout_iter) and [`ClusterMonitor`](super::ClusterMonitor::timeout_iter).
#[derive(Debug)]
pub struct TimeoutIter<'a, R> {
    reader: &'a mut R,
    timeout: Duration,
}

impl<'a, R> TimeoutIter<'a, R> {
    pub(super) fn new(reader: &'a mut R, timeout: Duration) -> Self {
        Self { reader, timeout }
    }
}

impl<R: ReadWithin> Iterator for TimeoutIter<'_, R> {
    type Item = R::Item;

    #[inline]
    fn next(&mut self) -> Option<R::Item> {
        self.reader.next_within(self.timeout)
    }
}
