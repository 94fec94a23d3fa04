//! Many channels and patterns into one consumer that a thread reads.

use std::fmt;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tidings_proto::ToArg;

use super::runtime::{self, deadline};
use super::timeout_iter::{ReadWithin, TimeoutIter};
use crate::error::Result;
use crate::pubsub::{FromPayload, Overflow, Stats};
use crate::receiver::{Received, ReceiverHandle, Sender};

/// Many senders, one receiver: messages of many channels and patterns come together in one place.
///
/// It is the asynchronous [`Receiver`](crate::Receiver) with calls that wait. Its senders and its handle are the same
/// types.
///
/// ```no_run
/// # fn example(client: tidings::blocking::Client) -> tidings::Result<()> {
/// use tidings::Received;
/// use tidings::blocking::Receiver;
///
/// let receiver = Receiver::new();
/// let handle = receiver.handle();
/// let reader = std::thread::spawn(move || {
///     for received in receiver {
///         match received {
///             Ok(Received::Message(sender, message)) => println!("{} in {sender}", message.text()),
///             Ok(Received::Gap(gap)) => println!("messages may be missing: {}", gap.cause()),
///             Ok(_) => {}
///             Err(error) => println!("{error:#}"),
///         }
///     }
/// });
///
/// client.subscribe([handle.channel("channel:1"), handle.channel("channel:3")])?;
/// client.psubscribe(handle.pattern("hello*"))?;
/// // … and when all is done:
/// handle.stop();
/// reader.join().expect("it ends");
/// # Ok(())
/// # }
/// ```
pub struct Receiver<P = Bytes> {
    inner: crate::Receiver<P>,
}

impl Receiver {
    /// A receiver with the usual queue.
    pub fn new() -> Self {
        Self {
            inner: crate::Receiver::new(),
        }
    }

    /// Makes a receiver with other bounds, or with decoded payloads.
    pub fn builder() -> ReceiverBuilder {
        ReceiverBuilder {
            inner: crate::Receiver::builder(),
        }
    }
}

impl Default for Receiver {
    fn default() -> Self {
        Self::new()
    }
}

impl<P> Receiver<P> {
    /// The sender for a channel; as [there](crate::Receiver::channel).
    pub fn channel(&self, name: impl ToArg) -> Sender {
        self.inner.channel(name)
    }

    /// The sender for a pattern. A channel of the same name has another one.
    pub fn pattern(&self, name: impl ToArg) -> Sender {
        self.inner.pattern(name)
    }

    /// The sender for a shard channel.
    pub fn shard_channel(&self, name: impl ToArg) -> Sender {
        self.inner.shard_channel(name)
    }

    /// The senders for channels, by name.
    pub fn channels(&self) -> Vec<Sender> {
        self.inner.channels()
    }

    /// The senders for patterns, by name.
    pub fn patterns(&self) -> Vec<Sender> {
        self.inner.patterns()
    }

    /// The senders for shard channels, by name.
    pub fn shard_channels(&self) -> Vec<Sender> {
        self.inner.shard_channels()
    }

    /// Whether some sender is subscribed.
    pub fn is_active(&self) -> bool {
        self.inner.is_active()
    }

    /// Ends all subscriptions. What has come is still read, and nothing after that.
    pub fn stop(&self) {
        self.inner.stop();
    }

    /// A part that can be cloned, which makes senders and stops from elsewhere.
    pub fn handle(&self) -> ReceiverHandle {
        self.inner.handle()
    }

    /// Counters of what is read here. Those of connections, which may be many, are 0.
    pub fn stats(&self) -> Stats {
        self.inner.stats()
    }
}

impl<P: FromPayload> Receiver<P> {
    /// The next message or gap, waiting for it; `None` if it is stopped while this waits.
    ///
    /// # Errors
    ///
    /// As [there](crate::Receiver::get); and in [asynchronous code](super#asynchronous-code).
    pub fn get(&mut self) -> Result<Option<Received<P>>> {
        runtime::wait(self.inner.get())
    }

    /// Waits until there is something to read, which is `true`; `false` if nothing can come any more.
    ///
    /// # Errors
    ///
    /// Called in [asynchronous code](super#asynchronous-code).
    pub fn wait_message(&mut self) -> Result<bool> {
        runtime::wait(async { Ok(self.inner.wait_message().await) })
    }

    /// An iterator that ends as well when nothing came for so long. It can be made again and goes on then.
    pub fn timeout_iter(&mut self, timeout: Duration) -> TimeoutIter<'_, Self> {
        TimeoutIter::new(self, timeout)
    }

    fn wait(&mut self, deadline: Option<Instant>) -> Option<Result<Received<P>>> {
        runtime::next_item(|cx| self.inner.poll_received(cx), deadline)
    }
}

/// Waits for the next message or gap; ends when it is stopped and everything was received. An `Err` item does not end
/// it.
impl<P: FromPayload> Iterator for Receiver<P> {
    type Item = Result<Received<P>>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        match self.inner.next_at_hand() {
            Some(received) => Some(received),
            None => self.wait(None),
        }
    }
}

impl<P: FromPayload> ReadWithin for Receiver<P> {
    type Item = Result<Received<P>>;

    #[inline]
    fn next_within(&mut self, timeout: Duration) -> Option<Self::Item> {
        match self.inner.next_at_hand() {
            Some(received) => Some(received),
            None => self.wait(deadline(timeout)),
        }
    }
}

impl<P> fmt::Debug for Receiver<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

/// Makes a [`Receiver`].
#[must_use = "it is made by build"]
#[derive(Debug)]
pub struct ReceiverBuilder<P = Bytes> {
    inner: crate::ReceiverBuilder<P>,
}

impl<P> ReceiverBuilder<P> {
    /// The bounds of the queue; as [there](crate::ReceiverBuilder::queue).
    pub fn queue(mut self, messages: usize, bytes: usize) -> Self {
        self.inner = self.inner.queue(messages, bytes);
        self
    }

    /// What a full queue does; as [there](crate::ReceiverBuilder::overflow).
    pub fn overflow(mut self, overflow: Overflow) -> Self {
        self.inner = self.inner.overflow(overflow);
        self
    }

    /// The charset of names and of payloads that are text; as [there](crate::ReceiverBuilder::charset).
    #[cfg(feature = "charset")]
    #[cfg_attr(docsrs, doc(cfg(feature = "charset")))]
    pub fn charset(mut self, label: impl AsRef<str>) -> Self {
        self.inner = self.inner.charset(label);
        self
    }

    /// Decodes each payload into a `T`.
    pub fn payload<T: FromPayload>(self) -> ReceiverBuilder<T> {
        ReceiverBuilder {
            inner: self.inner.payload(),
        }
    }

    /// The receiver.
    ///
    /// # Errors
    ///
    /// As [there](crate::ReceiverBuilder::build).
    pub fn build(self) -> Result<Receiver<P>> {
        let inner = self.inner.build()?;
        Ok(Receiver { inner })
    }
}
