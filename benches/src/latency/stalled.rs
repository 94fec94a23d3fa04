//! `stalled`: how long messages take to many subscribers on one connection, while one of them does not read.

use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use ::tidings::{Client, Event, Subscription};
use futures_util::future::try_join_all;
use tokio::sync::mpsc;
use tokio::time::{self, MissedTickBehavior};

use super::{MEDIAN, P99, Players, TURNS, p99_micros, take_turns};
use crate::commands::Server;
use crate::contestant::{Assignment, Contestant, Kind, current_thread, nothing_to_prepare};
use crate::machine::Core;
use crate::measure::{Latency, Outcome, Stopwatch, monotonic_nanos};
use crate::report::{Column, figures, or_dash};
use crate::rounds::{Benchmark, Observed, Run};
use crate::{Error, Result};

pub(crate) struct Stalled {
    server: Server,
    players: Players,
}

/// So many subscribers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Subscribers(usize);

impl FromStr for Subscribers {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.parse()? {
            0 | 1 => Err("one of them stalls, and others are there".into()),
            more => Ok(Self(more)),
        }
    }
}

impl fmt::Display for Subscribers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Each contestant has a channel of its own.
fn channel() -> String {
    format!("bench:{}", std::process::id())
}

/// Messages are published in bursts, one each millisecond.
const BURST: u64 = 10;
const PAUSE: Duration = Duration::from_millis(1);

/// What the queue of the one that stalls holds: it is full before the first turn, and drops from then on.
const QUEUE: u64 = 1000;

const CONTESTANTS: &[Contestant<Subscribers>] = &[
    Contestant {
        name: "all read",
        usage: "each `Subscription` in a task",
        package: None,
        kind: Kind::Floor,
        most: u64::MAX,
        core: Core::Last,
        prepare: nothing_to_prepare,
        run: |assignment| run(assignment, false),
    },
    Contestant {
        name: "one stalls",
        usage: "the same, but that one does not read; its queue is full, and drops the oldest",
        package: None,
        kind: Kind::Tidings,
        most: u64::MAX,
        core: Core::Last,
        prepare: nothing_to_prepare,
        run: |assignment| run(assignment, true),
    },
];

impl Benchmark for Stalled {
    type Shape = Subscribers;

    const NAME: &'static str = "stalled";
    const SHAPES_OPTION: &'static str = "--subscribers";
    const UNITS: &'static str = "messages";
    const ROUNDS: usize = TURNS;
    const COLUMNS: &'static [Column] = &[
        MEDIAN,
        P99,
        Column {
            head: "99th percentile × all read",
            cell: |rows| {
                let ratio = rows.against(is_base, |run| p99_micros(run).unwrap_or(f64::NAN));
                or_dash(ratio, |it| it.show(figures))
            },
        },
        Column {
            head: "CPU µs/message",
            cell: |rows| rows.spread(|run| run.cpu_each() / 1e3).show(figures),
        },
    ];

    fn new(server: Option<&Path>) -> Result<Self> {
        Ok(Self {
            server: Server::start(server)?,
            players: Players::default(),
        })
    }

    fn facts(&self) -> String {
        self.server.facts()
    }

    fn contestants() -> &'static [Contestant<Subscribers>] {
        CONTESTANTS
    }

    fn usual_shapes() -> &'static [Subscribers] {
        &[Subscribers(100)]
    }

    fn title(Subscribers(all): Subscribers) -> String {
        format!("{} of {all} subscribers", all - 1)
    }

    fn count(_: Subscribers, at_most: u64) -> u64 {
        at_most.min(2000).next_multiple_of(BURST)
    }

    fn run(
        &self,
        contestant: &Contestant<Subscribers>,
        shape: Subscribers,
        count: u64,
    ) -> Result<Observed> {
        self.players
            .turn::<Self>(&self.server, contestant, shape, count)
    }
}

fn is_base(run: &Run) -> bool {
    run.kind == Kind::Floor
}

/// Latencies of the messages of a turn that one subscriber has got.
type Turn = Vec<u64>;

fn run(assignment: &Assignment<Subscribers>, one_stalls: bool) -> Result<Outcome> {
    let Assignment { port, shape, count } = *assignment;
    let runtime = current_thread()?;
    let (publisher, mut ends, stalled) = runtime.block_on(async {
        let url = format!("redis://127.0.0.1:{port}/?protocol=3");
        let client = Client::connect(url.as_str()).await?;
        let room = usize::try_from(QUEUE)?;
        let subscribing = (1..shape.0).map(|_| client.subscribe(channel()).into_future());
        let subscriptions = try_join_all(subscribing).await?;
        let mut last = client.subscribe(channel()).queue(room, usize::MAX).await?;
        let (ended, ends) = mpsc::unbounded_channel();
        for subscription in subscriptions {
            tokio::spawn(read(subscription, count, ended.clone()));
        }
        let stalled = if one_stalls {
            Some(last)
        } else {
            tokio::spawn(async move { while last.next().await.is_some() {} });
            None
        };
        // Over a connection and with a task of its own, as another process would.
        let publisher = Client::connect(url.as_str()).await?;
        Ok::<_, Error>((publisher, ends, stalled))
    })?;
    let mut turn = || -> Result<Outcome> {
        let stopwatch = Stopwatch::start();
        let mut all = Vec::new();
        runtime.block_on(async {
            publish(&publisher, count).await?;
            for _ in 1..shape.0 {
                let turn: Turn = ends.recv().await.ok_or("a subscriber ended")??;
                all.extend(turn);
            }
            Ok::<_, Error>(())
        })?;
        Ok(Outcome {
            latency: Some(Latency::of(all)),
            ..stopwatch.stop(count, 0)
        })
    };
    for _ in 0..=QUEUE / count {
        turn()?;
    }
    let mut published = count * (1 + QUEUE / count);
    take_turns(|| {
        published += count;
        let outcome = turn()?;
        if let Some(stalled) = &stalled {
            let stats = stalled.stats();
            let all = stats.dropped + stats.queued;
            if (stats.dropped, all) != (published.saturating_sub(QUEUE), published) {
                return Err(
                    format!("{published} messages, but the one that stalls has {stats:?}").into(),
                );
            }
        }
        Ok(outcome)
    })
}

/// Publishes the time of day, so to speak, again and again.
async fn publish(client: &Client, count: u64) -> Result<()> {
    let channel = channel();
    let mut clock = time::interval(PAUSE);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for _ in 0..count / BURST {
        clock.tick().await;
        let mut pipeline = client.pipeline();
        for _ in 0..BURST {
            pipeline.publish(&channel, monotonic_nanos().to_string());
        }
        let _: Vec<i64> = pipeline.execute().await?;
    }
    Ok(())
}

/// Notes how long each message took; gives that away after each turn.
async fn read(
    mut subscription: Subscription,
    count: u64,
    ended: mpsc::UnboundedSender<Result<Turn>>,
) {
    let mut turn = Turn::new();
    while let Some(event) = subscription.next().await {
        let latency = match event {
            Ok(Event::Message(message)) => since(message.payload()),
            Ok(_) => Err("a message was lost".into()),
            Err(error) => Err(error.into()),
        };
        let failed = latency.is_err();
        match latency {
            Ok(latency) => turn.push(latency),
            Err(error) => drop(ended.send(Err(error))),
        }
        if failed {
            return;
        }
        if turn.len() as u64 == count {
            let _ = ended.send(Ok(std::mem::take(&mut turn)));
        }
    }
}

fn since(payload: &[u8]) -> Result<u64> {
    let sent: u64 = std::str::from_utf8(payload)?.parse()?;
    Ok(monotonic_nanos() - sent)
}
