//! A primary that is replaced: on request, or because it has died or stands still.

use std::sync::atomic::{AtomicBool, Ordering};

use tidings::{
    Commands, ErrorKind, Event, Gap, GapCause, Message, PubSub, Received, Receiver, Subscription,
    cmd,
};
use tidings_testkit::{Checker, Publisher};
use tokio::task::JoinHandle;

use super::*;
use crate::support::eventually;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    Planned,
    Killed,
    Stopped,
}

impl How {
    /// Has the primary replaced.
    pub(crate) fn begin(self, sentinels: &Sentinels) {
        let old = sentinels.primary();
        match self {
            Self::Planned => {
                sentinels.failover();
            }
            Self::Killed => old.kill(),
            Self::Stopped => old.stop_process(),
        }
    }
}

#[test]
fn sn_01_at_the_first_word_of_a_planned_failover_everything_moves() {
    on_tasks(all(), &Sentinels::builder(), |case| {
        everything_moves(case, How::Planned)
    });
}

#[test]
fn sn_01_when_the_primary_was_killed_everything_moves_to_the_next() {
    on_tasks(each(), &Sentinels::builder(), |case| {
        everything_moves(case, How::Killed)
    });
}

#[test]
fn sn_01_a_primary_that_stands_still_is_left_although_its_connections_are_open() {
    on_tasks(each(), &Sentinels::builder(), |case| {
        everything_moves(case, How::Stopped)
    });
}

/// Publishes at whoever becomes the primary, from the moment when it is one.
fn publish_at_the_next(sentinels: &Sentinels, old: u16) -> (u16, Publisher) {
    let replicas = || sentinels.servers().iter().filter(|it| it.port() != old);
    let begun = Instant::now();
    loop {
        // It drops the connection on which it is asked when it becomes one.
        let role = |server: &Server| server.try_admin(["ROLE"]).map(|it| it.to_string());
        let is_primary = |server: &&Server| role(server).is_ok_and(|it| it.starts_with("master"));
        if let Some(new) = replicas().find(is_primary) {
            let publisher = Publisher::to(new).channels(["new"]).rate(500).start();
            return (new.port(), publisher);
        }
        assert!(begun.elapsed() < LONG, "no replica becomes a primary");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Increments one after the other, and whether those that failed may have run.
struct Counting {
    stop: Arc<AtomicBool>,
    task: JoinHandle<Vec<Result<i64, bool>>>,
}

impl Counting {
    fn begin(client: &Client) -> Self {
        let stop = Arc::<AtomicBool>::default();
        let (client, stopped) = (client.clone(), Arc::clone(&stop));
        let task = tokio::spawn(async move {
            let mut outcomes = Vec::new();
            while !stopped.load(Ordering::Relaxed) {
                let outcome = client.incr("counter").await;
                outcomes.push(outcome.map_err(|error| error.may_have_run()));
                tokio::time::sleep(PACE).await;
            }
            outcomes
        });
        Self { stop, task }
    }

    /// Gives the last value.
    async fn check(self) -> i64 {
        self.stop.store(true, Ordering::Relaxed);
        let outcomes = timeout(LONG, self.task).await.expect("in time");
        last_of(&outcomes.expect("no panic"))
    }
}

/// The last value. Each increment is one more, but where one that may have run did or did not, and where the new primary
/// goes on with what it had got of the old one.
pub(crate) fn last_of(outcomes: &[Result<i64, bool>]) -> i64 {
    let (mut last, mut steps, mut doubts) = (0, 0, 0);
    for outcome in outcomes {
        match outcome {
            Ok(value) => {
                steps += i32::from(*value != last + 1);
                last = *value;
            }
            Err(may_have_run) => {
                assert!(may_have_run, "what has certainly not run is sent again");
                doubts += 1;
            }
        }
    }
    assert!(steps <= 1, "one change of primaries, not {steps}");
    assert!(doubts <= 1, "one is under way at a time, not {doubts}");
    last
}

/// Holds what comes to what was published at the old primary, and at the new one.
struct Checkers {
    old: Checker,
    new: Checker,
}

impl Checkers {
    fn new() -> Self {
        Self {
            // Nothing comes from the old one any more once it was left.
            old: Checker::new().gap_may_stand_last(),
            new: Checker::new(),
        }
    }

    fn on_message(&mut self, message: &Message) {
        let checker = match message.channel() {
            b"old" => &mut self.old,
            _ => &mut self.new,
        };
        checker.on_payload(message.channel(), message.payload());
    }

    fn on_gap(&mut self, gap: &Gap) {
        let mut names: Vec<&[u8]> = gap.names().collect();
        names.sort_unstable();
        assert_eq!(
            (gap.cause(), names),
            (GapCause::Failover, vec![&b"new"[..], b"old"])
        );
        self.old.on_gap(["old"]);
        self.new.on_gap(["new"]);
    }
}

/// Reads until there is a gap.
async fn gap_of(pubsub: &mut PubSub, checkers: &mut Checkers) -> Instant {
    loop {
        match timeout(LONG, pubsub.next())
            .await
            .expect("in time")
            .expect("it goes on")
        {
            Ok(Event::Message(message)) => checkers.on_message(&message),
            Ok(Event::Gap(gap)) => {
                checkers.on_gap(&gap);
                return Instant::now();
            }
            other => panic!("{other:?}"),
        }
    }
}

async fn light_gap(light: &mut Subscription) {
    loop {
        let event = timeout(LONG, light.next()).await.expect("in time");
        if let Event::Gap(gap) = event.expect("it goes on").expect("no error") {
            assert_eq!(gap.cause(), GapCause::Failover);
            return;
        }
    }
}

async fn received_gap(receiver: &mut Receiver) {
    loop {
        let event = timeout(LONG, receiver.get()).await.expect("in time");
        if let Received::Gap(gap) = event.expect("no error").expect("it goes on") {
            assert_eq!(gap.cause(), GapCause::Failover);
            return;
        }
    }
}

/// The port of the server that runs this.
async fn port_of<C: Commands>(runner: C) -> u16
where
    C::Output<(String, u16)>: IntoFuture<Output = tidings::Result<(String, u16)>>,
{
    let port = runner.run::<(String, u16)>(cmd("CONFIG").arg(["GET", "port"]));
    timeout(LONG, port.into_future())
        .await
        .expect("in time")
        .expect("it runs")
        .1
}

async fn everything_moves(case: Case, how: How) {
    let old = case.sentinels.primary().port();
    let old_server = &case.sentinels.servers()[0];
    assert_eq!(old_server.port(), old);
    let client = case.client().await;
    let subscribing = client
        .pubsub()
        .channels(["new", "old"])
        .ignore_subscribe_messages(true);
    let mut pubsub = subscribing.await.unwrap();
    let mut light = client.subscribe("new").await.unwrap();
    let mut receiver = Receiver::new();
    client.subscribe(receiver.channel("new")).await.unwrap();
    let mut monitor = client.monitor().await.unwrap();
    let watch = client.watch("k").await.unwrap();
    drop(client.watch("idle").await.unwrap());
    let blocking = client.clone();
    let popping = tokio::spawn(async move {
        blocking
            .blpop::<Option<(String, String)>, _>("list", LONG)
            .await
    });
    eventually("it waits for an element", || {
        old_server
            .cli(["INFO", "clients"])
            .contains("blocked_clients:1")
    })
    .await;
    let counting = Counting::begin(&client);
    let publisher = Publisher::to(old_server)
        .channels(["old"])
        .rate(500)
        .start();
    publisher.await_more(50);

    let first_word = FirstWord::of(&case).await;
    let begun = Instant::now();
    let publishing = case.clone();
    let publishing = tokio::spawn(async move {
        publishing
            .apart(move |sentinels| publish_at_the_next(sentinels, old))
            .await
    });
    let replaced = case.clone();
    let replaced = tokio::spawn(async move { replaced.apart(move |it| how.begin(it)).await });

    let mut checkers = Checkers::new();
    let moved = gap_of(&mut pubsub, &mut checkers).await;
    let heard = first_word.heard().await;
    println!(
        "{how:?} on {}, {:?}: first word after {:?}, subscribed again {:.1} ms later",
        case.sentinels.binary(),
        case.protocol,
        heard - begun,
        moved.duration_since(heard).as_secs_f64() * 1e3
            - heard.duration_since(moved).as_secs_f64() * 1e3,
    );
    assert!(
        moved < heard + PROMPT,
        "moved {:?} after the first word",
        moved - heard
    );
    light_gap(&mut light).await;
    received_gap(&mut receiver).await;
    let (new, at_new) = publishing.await.unwrap();

    // Commands go on, also on connections that are lent.
    assert_eq!(port_of(&client).await, new);
    let next = client.watch("k").await.unwrap();
    assert_eq!(port_of(&next).await, new);
    let error = timeout(LONG, watch.get::<Option<String>>("k"))
        .await
        .expect("in time")
        .unwrap_err();
    assert!(error.is_watch() && !error.may_have_run(), "{error:?}");
    let error = timeout(PROMPT, popping)
        .await
        .expect("in time")
        .unwrap()
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.may_have_run()),
        (ErrorKind::Connection, true),
        "{error:?}"
    );

    // The monitor has a gap and goes on. It was not read meanwhile, and may have dropped some of all that was counted.
    loop {
        let item = timeout(LONG, monitor.next()).await.expect("in time");
        let Err(error) = item.expect("it goes on") else {
            continue;
        };
        match error.gap().map(Gap::cause) {
            // Valkey 8.1.1 writes lines that may mean this or that.
            None => assert_eq!(error.kind(), ErrorKind::Decode, "{error:?}"),
            Some(GapCause::Overflow) => {}
            Some(cause) => {
                assert_eq!(cause, GapCause::Failover);
                break;
            }
        }
    }
    client.echo::<String>("the mark").await.unwrap();
    loop {
        let item = timeout(LONG, monitor.next()).await.expect("in time");
        let item = item.expect("it goes on");
        if item.is_ok_and(|command| command.to_string().contains("the mark")) {
            break;
        }
    }

    // All that is published from now on comes.
    at_new.await_more(100);
    let published = at_new.stop();
    while !checkers.new.has_reached(&published) {
        let event = timeout(LONG, pubsub.next()).await.expect("in time");
        match event.expect("it goes on").expect("no error") {
            Event::Message(message) => checkers.on_message(&message),
            other => panic!("{other:?}"),
        }
    }
    checkers.new.finish(&published).assert_passed();
    checkers.old.finish(&publisher.stop()).assert_passed();

    let new_server = case
        .sentinels
        .servers()
        .iter()
        .find(|it| it.port() == new)
        .unwrap();
    let last = counting.check().await;
    assert_eq!(new_server.cli(["GET", "counter"]), last.to_string());
    replaced.await.unwrap();
    if how == How::Planned {
        // The old one is still a primary, and nobody is there any more.
        assert!(old_server.cli(["ROLE"]).starts_with("master"));
        eventually("all have left", || connections(old_server) == 0).await;
    }
}
