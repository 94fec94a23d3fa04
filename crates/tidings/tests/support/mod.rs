//! What the tests on real servers share: the matrix of servers and protocols, and a few steps.
#![allow(dead_code, reason = "each test file uses its own part of it")]

use std::future::{Future, IntoFuture, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tidings::{Bytes, Client, Event, Kinds, PubSub, Result};
use tidings_testkit::{Binary, Protocol, Server, matrix};

/// How long a test waits for what must come. Only a failing test waits so long.
pub(crate) const SOON: Duration = Duration::from_secs(10);

/// How long a test waits for what must not come.
pub(crate) const QUIET: Duration = Duration::from_millis(100);

/// The part of a URL that lets [`Case::connections`] count what is made with it.
pub(crate) const COUNTED: &str = "client_name=counted";

/// One server, freshly started, and the protocol to speak to it.
pub(crate) struct Case {
    pub(crate) server: Server,
    pub(crate) protocol: Protocol,
}

impl Case {
    /// The server's URL for this case's protocol.
    pub(crate) fn url(&self) -> String {
        self.server.url_for(self.protocol)
    }

    /// A client of the server.
    pub(crate) async fn client(&self) -> Client {
        Client::connect(self.url())
            .await
            .expect("the server takes connections")
    }

    /// A client whose connections are [counted](Self::connections), those of what comes of it too.
    pub(crate) async fn counted_client(&self) -> Client {
        Client::connect(format!("{}&{COUNTED}", self.url()))
            .await
            .expect("the server takes connections")
    }

    /// How many connections there are whose URL says [`COUNTED`].
    pub(crate) fn connections(&self) -> usize {
        let list = self.server.cli(["CLIENT", "LIST"]);
        let counted = |line: &&str| line.contains(" name=counted ");
        list.lines().filter(counted).count()
    }

    /// The connections that are subscribed to something, by the server's numbers for them.
    pub(crate) fn subscriber_ids(&self) -> Vec<String> {
        let list = self.server.cli(["CLIENT", "LIST", "TYPE", "pubsub"]);
        let id = |line: &str| line.split(' ').next().map(str::to_owned);
        list.lines().filter_map(id).collect()
    }

    /// Ends the connections that are subscribed to something; how many there were.
    pub(crate) fn kill_subscribers(&self) -> i64 {
        let killed = self.server.admin(["CLIENT", "KILL", "TYPE", "pubsub"]);
        killed.integer().expect("a number")
    }

    /// Waits until a channel has so many subscribers, while this runtime's tasks go on.
    pub(crate) async fn await_subscribers(&self, channel: &str, count: i64) {
        let wanted = format!("{channel}\n{count}");
        eventually(&wanted, || {
            self.server.cli(["PUBSUB", "NUMSUB", channel]) == wanted
        })
        .await;
    }

    /// Forgets which commands were run.
    pub(crate) fn forget_commands(&self) {
        self.server.admin(["CONFIG", "RESETSTAT"]);
    }

    /// The commands that were run since, and how often: `ping 1`. Those that look at it are left out.
    pub(crate) fn commands_run(&self) -> Vec<String> {
        let stats = self.server.cli(["INFO", "commandstats"]);
        let mut commands: Vec<String> = stats
            .lines()
            .filter_map(|line| line.strip_prefix("cmdstat_")?.split_once(":calls="))
            .filter(|(name, _)| !["info", "config|resetstat"].contains(name))
            .map(|(name, rest)| format!("{name} {}", rest.split(',').next().unwrap_or_default()))
            .collect();
        commands.sort();
        commands
    }
}

/// Waits for what nothing announces, while this runtime's tasks go on.
pub(crate) async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let until = tokio::time::Instant::now() + SOON;
    while !condition() {
        assert!(
            tokio::time::Instant::now() < until,
            "waited {SOON:?} in vain until {what}"
        );
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Polls a future so often at most, other tasks in between, and drops it.
pub(crate) async fn poll_times<F: IntoFuture>(polls: usize, work: F) {
    let mut work = pin!(work.into_future());
    for _ in 0..polls {
        if poll_fn(|cx| Poll::Ready(work.as_mut().poll(cx).is_ready())).await {
            return;
        }
        tokio::task::yield_now().await;
    }
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
            // Which case a failure belongs to: shown only then.
            println!("on {binary}, {protocol:?}");
            let server = start(&binary);
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime
                .expect("a runtime")
                .block_on(test(Case { server, protocol }));
        }
    }
}

/// What events are read from.
pub(crate) trait Reads {
    async fn next(&mut self) -> Option<Result<Event>>;

    async fn get_message(&mut self, timeout: Duration) -> Result<Option<Event>>;
}

impl<K: Kinds> Reads for PubSub<Bytes, K> {
    async fn next(&mut self) -> Option<Result<Event>> {
        self.next().await
    }

    async fn get_message(&mut self, timeout: Duration) -> Result<Option<Event>> {
        self.get_message(timeout).await
    }
}

/// The next event of any kind.
pub(crate) async fn next(pubsub: &mut impl Reads) -> Event {
    let event = tokio::time::timeout(SOON, pubsub.next())
        .await
        .expect("an event comes");
    event
        .expect("the stream goes on")
        .expect("the event is no error")
}

/// An event in short: `subscribe news 1`, `message news hello`, `pmessage n* news hello`, `gap Disconnected`.
pub(crate) fn short(event: &Event) -> String {
    match event {
        Event::Message(m) => match m.pattern_str() {
            Some(pattern) => format!("{} {pattern} {} {}", m.kind(), m.channel_str(), m.text()),
            None => format!("{} {} {}", m.kind(), m.channel_str(), m.text()),
        },
        Event::Confirmation(c) => format!("{} {} {}", c.kind(), c.name_str(), c.count()),
        Event::Gap(gap) => format!("gap {:?}", gap.cause()),
        other => other.kind().to_owned(),
    }
}

/// The next `count` events in short.
pub(crate) async fn read(pubsub: &mut impl Reads, count: usize) -> Vec<String> {
    let mut events = Vec::new();
    for _ in 0..count {
        events.push(short(&next(pubsub).await));
    }
    events
}

/// Nothing comes for a while.
pub(crate) async fn assert_quiet(pubsub: &mut impl Reads) {
    let event = pubsub.get_message(QUIET).await;
    assert!(
        matches!(event, Ok(None)),
        "nothing was to come, but {event:?}"
    );
}

/// The end of the stream.
pub(crate) async fn assert_ended(pubsub: &mut impl Reads) {
    let end = tokio::time::timeout(SOON, pubsub.next()).await;
    assert!(
        matches!(end, Ok(None)),
        "the stream was to end, but {end:?}"
    );
}

/// What an outcome must have failed with.
pub(crate) fn error<T: std::fmt::Debug>(outcome: Result<T>) -> tidings::Error {
    outcome.expect_err("it is to fail")
}
