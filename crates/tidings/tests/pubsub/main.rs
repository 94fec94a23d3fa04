//! The Pub/Sub object on real servers, through both of its faces: SPEC items PS, HN, IG, GM, IT.
//!
//! A file has its table of cases at the top. What only the asynchronous face has is in `asynchronous`.
#![cfg(feature = "blocking")]

#[path = "../faces/mod.rs"]
mod faces;
#[path = "../support/mod.rs"]
mod support;

mod asynchronous;
mod closing;
mod confirming;
mod handlers;
mod iterating;
mod lanes;
mod large;
mod looking;
mod messages;
mod moving;
mod names;
mod opening;
mod pinging;
mod reading;
mod reconnecting;
mod unsubscribing;

use tidings::{Bytes, SubscriptionState};
use tidings_testkit::{Binary, Server};

use faces::PubSub;

/// Those that may subscribe to `ok:…` and to `extra` only.
const BOB: &str = "bob on >secret +@all ~* resetchannels &ok:* &extra";

/// A server that knows [`BOB`].
fn with_bob(binary: &Binary) -> Server {
    Server::builder().binary(binary).user(BOB).start_or_panic()
}

fn text(names: &[Bytes]) -> Vec<String> {
    let text = |name: &Bytes| String::from_utf8_lossy(name).into_owned();
    names.iter().map(text).collect()
}

/// What is wanted and confirmed: `Channel news Confirmed`, `Shard s Refused MOVED`.
fn states(pubsub: &PubSub) -> Vec<String> {
    let state = |subscription: &tidings::SubscriptionStatus| {
        let (kind, name) = (subscription.kind, &subscription.name);
        match &subscription.state {
            SubscriptionState::Refused(error) => {
                format!("{kind:?} {name} Refused {}", error.code())
            }
            state => format!("{kind:?} {name} {state:?}"),
        }
    };
    pubsub.subscriptions().iter().map(state).collect()
}
