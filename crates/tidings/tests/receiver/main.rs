//! Many channels and patterns into one consumer, on real servers, through both faces: SPEC items RX, QU-02.
//!
//! A file has its table of cases at the top. What only the asynchronous face has is in `asynchronous`.
#![cfg(feature = "blocking")]

#[path = "../faces/mod.rs"]
mod faces;
#[path = "../support/mod.rs"]
mod support;

mod asynchronous;
#[cfg(feature = "charset")]
mod charset;
mod ending;
mod losing;
mod reading;
mod senders;

use std::fmt::Debug;

use tidings::{FromPayload, Message, Sender};

use faces::receiver::Receiver;
use support::{QUIET, SOON};

async fn soon<T>(work: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(SOON, work).await;
    done.expect("it does not take for ever")
}

async fn message<P: FromPayload + Debug>(receiver: &mut Receiver<P>) -> (Sender, Message<P>) {
    let received = soon(receiver.get()).await.unwrap().expect("not stopped");
    received.into_message().expect("a message")
}

/// The next message in short: `channel:1: hello`, `hello* hello-channel: hello`.
async fn short(receiver: &mut Receiver) -> String {
    let (sender, message) = message(receiver).await;
    match message.pattern_str() {
        Some(pattern) => {
            assert_eq!(pattern, sender.name_str());
            format!("{pattern} {}: {}", message.channel_str(), message.text())
        }
        None => format!("{sender}: {}", message.text()),
    }
}

async fn assert_quiet(receiver: &mut Receiver) {
    let received = receiver.next_within(QUIET).await;
    assert!(received.is_none(), "nothing was to come, but {received:?}");
}

async fn assert_ended(receiver: &mut Receiver) {
    let end = soon(receiver.next_item()).await;
    assert!(end.is_none(), "it was to end, but {end:?}");
}
