//! The receiver and its builder, with the methods that both faces have.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use futures_core::Stream;
use tidings::{
    Bytes, FromPayload, Overflow, Received, ReceiverHandle, Result, Sender, Stats, ToArg, blocking,
};

use super::waiting::here;
use super::{Case, Face};

#[derive(Debug)]
pub(crate) enum Receiver<P = Bytes> {
    Asynchronous(tidings::Receiver<P>),
    Blocking(blocking::Receiver<P>),
}

impl Face {
    pub(crate) fn receiver(self) -> Receiver {
        match self {
            Self::Asynchronous => Receiver::Asynchronous(tidings::Receiver::new()),
            Self::Blocking => Receiver::Blocking(blocking::Receiver::new()),
        }
    }
}

impl Case {
    pub(crate) fn receiver(&self) -> Receiver {
        self.face.receiver()
    }

    pub(crate) fn receiver_builder(&self) -> ReceiverBuilder {
        match self.face {
            Face::Asynchronous => ReceiverBuilder::Asynchronous(tidings::Receiver::builder()),
            Face::Blocking => ReceiverBuilder::Blocking(blocking::Receiver::builder()),
        }
    }
}

#[derive(Debug)]
pub(crate) enum ReceiverBuilder<P = Bytes> {
    Asynchronous(tidings::ReceiverBuilder<P>),
    Blocking(blocking::ReceiverBuilder<P>),
}

/// The same method of either builder.
macro_rules! built {
    ($builder:expr, $inner:ident => $call:expr) => {
        match $builder {
            ReceiverBuilder::Asynchronous($inner) => ReceiverBuilder::Asynchronous($call),
            ReceiverBuilder::Blocking($inner) => ReceiverBuilder::Blocking($call),
        }
    };
}

impl<P> ReceiverBuilder<P> {
    pub(crate) fn queue(self, messages: usize, bytes: usize) -> Self {
        built!(self, builder => builder.queue(messages, bytes))
    }

    pub(crate) fn overflow(self, overflow: Overflow) -> Self {
        built!(self, builder => builder.overflow(overflow))
    }

    #[cfg(feature = "charset")]
    pub(crate) fn charset(self, label: &str) -> Self {
        built!(self, builder => builder.charset(label))
    }

    pub(crate) fn payload<T: FromPayload>(self) -> ReceiverBuilder<T> {
        built!(self, builder => builder.payload())
    }

    pub(crate) fn build(self) -> Result<Receiver<P>> {
        match self {
            Self::Asynchronous(builder) => builder.build().map(Receiver::Asynchronous),
            Self::Blocking(builder) => builder.build().map(Receiver::Blocking),
        }
    }
}

/// A method that does not wait, of either face.
macro_rules! looks {
    ($receiver:expr, $inner:ident => $call:expr) => {
        match $receiver {
            Receiver::Asynchronous($inner) => $call,
            Receiver::Blocking($inner) => $call,
        }
    };
}

impl<P> Receiver<P> {
    pub(crate) fn channel(&self, name: impl ToArg) -> Sender {
        looks!(self, receiver => receiver.channel(name))
    }

    pub(crate) fn pattern(&self, name: impl ToArg) -> Sender {
        looks!(self, receiver => receiver.pattern(name))
    }

    pub(crate) fn shard_channel(&self, name: impl ToArg) -> Sender {
        looks!(self, receiver => receiver.shard_channel(name))
    }

    pub(crate) fn channels(&self) -> Vec<Sender> {
        looks!(self, receiver => receiver.channels())
    }

    pub(crate) fn patterns(&self) -> Vec<Sender> {
        looks!(self, receiver => receiver.patterns())
    }

    pub(crate) fn shard_channels(&self) -> Vec<Sender> {
        looks!(self, receiver => receiver.shard_channels())
    }

    pub(crate) fn is_active(&self) -> bool {
        looks!(self, receiver => receiver.is_active())
    }

    pub(crate) fn stop(&self) {
        looks!(self, receiver => receiver.stop());
    }

    pub(crate) fn handle(&self) -> ReceiverHandle {
        looks!(self, receiver => receiver.handle())
    }

    pub(crate) fn stats(&self) -> Stats {
        looks!(self, receiver => receiver.stats())
    }
}

impl<P: FromPayload> Receiver<P> {
    pub(crate) async fn get(&mut self) -> Result<Option<Received<P>>> {
        match self {
            Self::Asynchronous(receiver) => receiver.get().await,
            Self::Blocking(receiver) => here(|| receiver.get()),
        }
    }

    /// The next item of the stream or of the iterator that it is.
    pub(crate) async fn next_item(&mut self) -> Option<Result<Received<P>>> {
        match self {
            Self::Asynchronous(receiver) => {
                poll_fn(|cx| Pin::new(&mut *receiver).poll_next(cx)).await
            }
            Self::Blocking(receiver) => here(|| receiver.next()),
        }
    }

    /// The next item, if one comes within this time.
    pub(crate) async fn next_within(&mut self, timeout: Duration) -> Option<Result<Received<P>>> {
        match self {
            Self::Asynchronous(receiver) => tokio::time::timeout(timeout, receiver.next())
                .await
                .ok()
                .flatten(),
            Self::Blocking(receiver) => here(|| receiver.timeout_iter(timeout).next()),
        }
    }

    pub(crate) async fn wait_message(&mut self) -> bool {
        match self {
            Self::Asynchronous(receiver) => receiver.wait_message().await,
            Self::Blocking(receiver) => {
                here(|| receiver.wait_message()).expect("it may block here")
            }
        }
    }
}
