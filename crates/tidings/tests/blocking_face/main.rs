//! The blocking face: what it adds to the asynchronous one, which it is made of.
#![cfg(feature = "blocking")]

mod async_code;
mod commands;
mod direct;
mod monitor;
mod pipelines;
mod pubsub;
#[path = "../support/mod.rs"]
mod support;

use std::thread;
use std::time::{Duration, Instant};

use support::{Case, SOON, error, short};
use tidings::blocking::{Client, PubSub};
use tidings::{Commands, Config, ErrorKind, Event, Overflow};
use tidings_testkit::{Protocol, Server, matrix};

/// Runs `test` on every server of the matrix in both protocols, on a thread without a runtime.
fn on_each(test: impl Fn(Case)) {
    for binary in matrix() {
        for protocol in Protocol::ALL {
            // Which case a failure belongs to: shown only then.
            println!("on {binary}, {protocol:?}");
            let server = Server::builder().binary(&binary).start();
            let server = server.expect("it starts");
            test(Case { server, protocol });
        }
    }
}

/// A client of one server, for what does not depend on the server.
fn on_one(test: impl FnOnce(Case, Client)) {
    let server = Server::builder().start().expect("it starts");
    let protocol = Protocol::Resp3;
    let case = Case { server, protocol };
    let client = client(&case);
    test(case, client);
}

fn client(case: &Case) -> Client {
    Client::connect(case.url()).expect("the server takes connections")
}

/// The settings of a case, with short pauses between attempts to connect.
fn config(case: &Case) -> Config {
    let config = Config::from_url(&case.url()).expect("a URL");
    config.backoff(Duration::from_millis(2), Duration::from_millis(20))
}

/// Waits for what nothing announces.
fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let until = Instant::now() + SOON;
    while !condition() {
        assert!(Instant::now() < until, "waited in vain until {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// The next event of any kind.
fn next(pubsub: &mut PubSub) -> Event {
    pubsub
        .get_message(SOON)
        .expect("the event is no error")
        .expect("an event comes")
}

fn read(pubsub: &mut PubSub, count: usize) -> Vec<String> {
    (0..count).map(|_| short(&next(pubsub))).collect()
}
