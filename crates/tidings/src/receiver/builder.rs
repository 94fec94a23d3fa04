//! How a [`Receiver`] is made that is not the usual one.

use std::marker::PhantomData;

use bytes::Bytes;

use super::Receiver;
use crate::config::Label;
use crate::error::Result;
use crate::pubsub::payload::FromPayload;
use crate::pubsub::queue::{Bounds, Overflow, Queue, SHARED_BOUNDS};

/// Makes a [`Receiver`].
///
/// ```
/// # fn main() -> tidings::Result<()> {
/// use tidings::{Overflow, Receiver};
///
/// let receiver: Receiver<String> = Receiver::builder()
///     .queue(10_000, 16 << 20)
///     .overflow(Overflow::DropNewest)
///     .payload()
///     .build()?;
/// # Ok(())
/// # }
/// ```
#[must_use = "it is made by build"]
#[derive(Debug)]
pub struct ReceiverBuilder<P = Bytes> {
    bounds: Bounds,
    charset: Label,
    payload: PhantomData<fn() -> P>,
}

impl ReceiverBuilder {
    pub(super) fn new() -> Self {
        Self {
            bounds: SHARED_BOUNDS,
            charset: Label::default(),
            payload: PhantomData,
        }
    }
}

impl<P> ReceiverBuilder<P> {
    /// The bounds of the queue: so many messages (at least 1) and so many bytes of names and payloads, 65 536
    /// and 32 MiB unless told otherwise.
    pub fn queue(mut self, messages: usize, bytes: usize) -> Self {
        self.bounds.limit(messages, bytes);
        self
    }

    /// What a full queue does: [`Overflow::DropOldest`] unless told otherwise. [`Overflow::Backpressure`] is a
    /// [misuse](crate::ErrorKind::Misuse) here: it would hold up all that share the connection.
    pub fn overflow(mut self, overflow: Overflow) -> Self {
        self.bounds.overflow = overflow;
        self
    }

    /// The charset of names and of payloads that are text, by its label; UTF-8 unless set. A receiver has one of its
    /// own, since its clients may have others.
    #[cfg(feature = "charset")]
    #[cfg_attr(docsrs, doc(cfg(feature = "charset")))]
    pub fn charset(mut self, label: impl AsRef<str>) -> Self {
        self.charset = Label::named(label.as_ref());
        self
    }

    /// Decodes each payload into a `T`.
    pub fn payload<T: FromPayload>(self) -> ReceiverBuilder<T> {
        ReceiverBuilder {
            bounds: self.bounds,
            charset: self.charset,
            payload: PhantomData,
        }
    }

    /// The receiver.
    ///
    /// # Errors
    ///
    /// An overflow that does not exist here is a [misuse](crate::ErrorKind::Misuse), and an unknown charset an error of kind
    /// [`Config`](crate::ErrorKind::Config).
    pub fn build(self) -> Result<Receiver<P>> {
        self.bounds.check_shared()?;
        let charset = self.charset.charset()?;
        Ok(Receiver::with_queue(Queue::new(self.bounds), charset))
    }
}
