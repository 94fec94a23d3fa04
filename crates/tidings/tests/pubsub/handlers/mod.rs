//! Handlers: SPEC items HN.

mod asynchronous;
mod failing;
mod living;
mod running;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tidings::{Error, Event, Message};

use crate::faces::{Client, PubSub};
use crate::support::short;

/// What handlers wrote down, in order.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn note(&self, text: impl Into<String>) {
        self.0.lock().unwrap().push(text.into());
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    /// A handler that writes each message down.
    fn handler(&self, who: &'static str) -> impl FnMut(Message) + Send + use<> {
        let log = self.clone();
        move |message| log.note(format!("{who}: {}", short(&Event::Message(message))))
    }
}

/// A PubSub without confirmations among its events.
async fn silent(client: &Client) -> PubSub {
    let builder = client.pubsub().ignore_subscribe_messages(true);
    builder.await.unwrap()
}

/// Reads until nothing is there any more: what was returned, and what failed.
///
/// All that was published before is read, since the answer to a PING comes behind it.
async fn read_all(pubsub: &mut PubSub) -> (Vec<String>, Vec<Error>) {
    pubsub.ping().await.unwrap();
    let (mut events, mut errors) = (Vec::new(), Vec::new());
    loop {
        match pubsub.next_message(Duration::ZERO).await {
            Ok(Some(event)) => events.push(short(&event)),
            Ok(None) => return (events, errors),
            Err(error) => errors.push(error),
        }
    }
}

/// As [`read_all`], where nothing fails and all is handled.
async fn let_handle(pubsub: &mut PubSub) {
    let (events, errors) = read_all(pubsub).await;
    assert!(errors.is_empty(), "{errors:?}");
    assert_eq!(events, [""; 0]);
}

fn sources(error: &Error) -> String {
    let source = std::error::Error::source(error).expect("it has a source");
    format!("{error}: {source}")
}
