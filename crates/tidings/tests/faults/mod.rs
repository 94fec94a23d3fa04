//! What the tests of faults share. They run on several threads, so that a test may block, on a scripted peer or until
//! a server says something, while the client goes on.
#![allow(dead_code, reason = "each test file uses its own part of it")]

use std::collections::VecDeque;
use std::fmt::Display;
use std::future::{Future, IntoFuture, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tidings::{Client, Config, Event, PubSub, PubSubBuilder};
use tidings_testkit::{
    Binary, Protocol, Proxy, ScriptedConnection, ScriptedPeer, Server, frame, matrix,
};
use tokio::runtime::Runtime;
use tokio::time::timeout;

use crate::support::{Case, Reads, SOON};

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
}

/// Runs `test` on every server of the matrix in both protocols, each time on a server of its own.
pub(crate) fn on_each<F: Future<Output = ()>>(test: impl Fn(Case) -> F) {
    on_each_started(
        |binary| Server::builder().binary(binary).start().expect("it starts"),
        test,
    );
}

/// As [`on_each`], with a server that is started as the test wants it.
pub(crate) fn on_each_started<F: Future<Output = ()>>(
    start: impl Fn(&Binary) -> Server,
    test: impl Fn(Case) -> F,
) {
    for binary in matrix() {
        for protocol in Protocol::ALL {
            println!("on {binary}, {protocol:?}");
            let server = start(&binary);
            runtime().block_on(test(Case { server, protocol }));
        }
    }
}

/// Runs `test`, which has a scripted peer, in both protocols.
pub(crate) fn with_each_protocol<F: Future<Output = ()>>(test: impl Fn(Protocol) -> F) {
    for protocol in Protocol::ALL {
        println!("{protocol:?}");
        runtime().block_on(test(protocol));
    }
}

/// The settings in the URL, with short pauses between attempts to connect.
pub(crate) fn quick(url: &str) -> Config {
    Config::from_url(url)
        .expect("a URL")
        .backoff(Duration::from_millis(2), Duration::from_millis(20))
}

/// As [`quick`], through a proxy.
pub(crate) fn quick_via(case: &Case, proxy: &Proxy) -> Config {
    let url = case.server.url_via(proxy);
    quick(&format!("{url}?protocol={}", case.protocol.number()))
}

/// A client whose connection for commands a scripted peer has accepted.
pub(crate) async fn client_of(
    peer: &ScriptedPeer,
    protocol: Protocol,
) -> (Client, ScriptedConnection) {
    configured_client_of(peer, quick(&peer.url_for(protocol))).await
}

/// As [`client_of`], with other settings.
pub(crate) async fn configured_client_of(
    peer: &ScriptedPeer,
    config: Config,
) -> (Client, ScriptedConnection) {
    let connecting = tokio::spawn(Client::connect(config));
    let mut connection = peer.accept();
    connection.handshake();
    let client = connecting.await.expect("no panic").expect("it connects");
    (client, connection)
}

/// A subscriber whose first connection a scripted peer has accepted, with these channels confirmed and their
/// confirmations read.
pub(crate) async fn pubsub_of(
    peer: &ScriptedPeer,
    protocol: Protocol,
    builder: PubSubBuilder,
    channels: &[&str],
) -> (PubSub, ScriptedConnection) {
    let opening = tokio::spawn(builder.channels(channels.iter().copied()).into_future());
    let mut connection = accept_subscriber(peer, protocol, channels);
    confirm(&mut connection, protocol, channels);
    let mut pubsub = opening.await.expect("no panic").expect("it subscribes");
    for _ in channels {
        crate::support::next(&mut pubsub).await;
    }
    connection.try_read_command(Duration::ZERO);
    (pubsub, connection)
}

/// A subscriber's next connection, with its handshake done and its subscriptions asked for.
pub(crate) fn accept_subscriber(
    peer: &ScriptedPeer,
    protocol: Protocol,
    channels: &[&str],
) -> ScriptedConnection {
    let mut connection = peer.accept();
    assert_eq!(connection.handshake(), protocol);
    connection.expect(["SUBSCRIBE"].iter().chain(channels));
    connection
}

/// Confirms channels, the counts beginning with 1.
pub(crate) fn confirm(connection: &mut ScriptedConnection, protocol: Protocol, channels: &[&str]) {
    for (at, channel) in channels.iter().enumerate() {
        let count = i64::try_from(at + 1).expect("a few");
        connection.send(frame::confirmation(protocol, "subscribe", channel, count));
    }
}

/// Reads until a gap has come, that included.
pub(crate) async fn read_to_gap(pubsub: &mut impl Reads) -> Vec<Event> {
    let mut events = Vec::new();
    loop {
        let event = crate::support::next(pubsub).await;
        let is_gap = event.gap().is_some();
        events.push(event);
        if is_gap {
            return events;
        }
    }
}

/// The names of a gap, sorted.
pub(crate) fn names(event: &Event) -> Vec<String> {
    let gap = event
        .gap()
        .unwrap_or_else(|| panic!("a gap, not {event:?}"));
    let mut names: Vec<String> = gap
        .names()
        .map(|name| String::from_utf8_lossy(name).into_owned())
        .collect();
    names.sort_unstable();
    names
}

/// An error with all that is below it.
pub(crate) fn chain(error: &tidings::Error) -> String {
    format!("{error:#}")
}

/// What comes of `work` if it is soon ready.
pub(crate) async fn soon<T>(work: impl IntoFuture<Output = T>) -> T {
    timeout(SOON, work.into_future())
        .await
        .expect("it is ready soon")
}

/// What comes of `work` within so many polls that find it pending; dropped at the last of them otherwise.
pub(crate) async fn polled<T>(work: impl Future<Output = T>, polls: usize) -> Option<T> {
    let mut work = pin!(work);
    let mut left = polls;
    let outcome = poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match work.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    });
    timeout(SOON, outcome).await.expect("it is woken again")
}

/// Waits, without blocking the thread, until `condition` holds.
pub(crate) async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(SOON, waiting)
        .await
        .unwrap_or_else(|_| panic!("waited {SOON:?} in vain until {what}"));
}

/// Bytes a second. Of what takes tens of them the end has not left when a test that was held up looks again.
pub(crate) const SLOWLY: u64 = 1_000_000;

/// Waits until a part has left of something large that is sent [`SLOWLY`].
pub(crate) async fn until_it_is_being_sent(proxy: &Proxy) {
    let sent = proxy.bytes_to_server();
    until("it is being sent", || {
        proxy.bytes_to_server() > sent + SLOWLY / 10
    })
    .await;
}

/// Messages `first` to `last` of a channel, as a server writes them.
pub(crate) fn numbered(
    protocol: Protocol,
    channel: &str,
    numbers: impl IntoIterator<Item = impl Display>,
) -> Vec<u8> {
    numbers
        .into_iter()
        .flat_map(|n| frame::message(protocol, channel, n.to_string()))
        .collect()
}

/// Texts of events, oldest first, to be taken from the front.
pub(crate) fn shown(events: &[Event]) -> VecDeque<String> {
    events.iter().map(crate::support::short).collect()
}
