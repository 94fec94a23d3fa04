//! Many light subscribers under load: SPEC items SB and QU. Alone in its file, because it looks at the memory of the
//! whole process.
#![cfg(target_os = "linux")]

mod faults;
mod support;

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use faults::{on_each, quick, soon, until};
use support::{Case, short};
use tidings::{Client, Commands, Event, Overflow, Subscription};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

const TASKS: usize = 10_000;
const CHANNELS: usize = 1_000;

/// How long the load lasts, in seconds, unless `TIDINGS_LOAD_SECONDS` says otherwise: half without faults.
const SECONDS: u64 = 4;

/// Messages in one pipeline, and the pause between two.
const BATCH: usize = 10;
const PAUSE: Duration = Duration::from_millis(5);

/// What allocators, buffers and the times at which tasks happen to run may take.
const SLACK: u64 = 32 << 20;

fn seconds() -> u64 {
    let told = std::env::var("TIDINGS_LOAD_SECONDS").ok();
    told.and_then(|told| told.parse().ok()).unwrap_or(SECONDS)
}

/// The memory that this process has now.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("the kernel tells");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kib.expect("a figure in kB") * 1024
}

/// What was published to one channel: numbers, from 1 on.
#[derive(Default)]
struct Channel {
    /// The newest one that may have been sent, and that surely was.
    begun: AtomicU64,
    done: AtomicU64,
}

impl Channel {
    fn begun(&self) -> u64 {
        self.begun.load(Ordering::SeqCst)
    }

    fn done(&self) -> u64 {
        self.done.load(Ordering::SeqCst)
    }
}

#[derive(Default)]
struct Load {
    channels: Vec<Channel>,
    over: AtomicBool,
    /// Losses that have begun, and those that are over.
    kills: AtomicU64,
    killed: AtomicU64,
    subscriptions: AtomicU64,
    messages: AtomicU64,
    gaps: AtomicU64,
}

impl Load {
    fn new() -> Self {
        Self {
            channels: (0..CHANNELS).map(|_| Channel::default()).collect(),
            ..Self::default()
        }
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    fn kills(&self) -> u64 {
        self.kills.load(Ordering::SeqCst)
    }
}

fn name(channel: usize) -> String {
    format!("channel:{channel}")
}

/// Publishes the next number of random channels until all is over.
async fn publish(client: Client, load: Arc<Load>) {
    while !load.is_over() {
        let channels: Vec<usize> = (0..BATCH).map(|_| fastrand::usize(..CHANNELS)).collect();
        let mut batch = client.pipeline();
        batch.transaction(false);
        let mut numbers = Vec::new();
        for channel in &channels {
            let number = load.channels[*channel].begun.fetch_add(1, Ordering::SeqCst) + 1;
            batch.publish(name(*channel), number);
            numbers.push(number);
        }
        batch.execute::<()>().await.expect("it publishes");
        for (channel, number) in channels.into_iter().zip(numbers) {
            load.channels[channel].done.store(number, Ordering::SeqCst);
        }
        sleep(PAUSE).await;
    }
}

/// What a subscriber has seen of a channel.
struct Reading<'a> {
    load: &'a Load,
    subscription: Subscription,
    last: Option<u64>,
    /// What the first message is at most, if there was no gap before it.
    first: u64,
    /// What was published before it came.
    before: u64,
    gap: bool,
    gaps: u64,
}

impl Reading<'_> {
    fn see(&mut self, event: Event) {
        let message = match event {
            Event::Message(message) => message,
            Event::Gap(gap) => {
                assert_eq!(gap.dropped(), None, "its queue was never full: {gap:?}");
                self.gap = true;
                self.gaps += 1;
                return;
            }
            other => panic!("{other:?}"),
        };
        let number: u64 = message.text().parse().expect("a number");
        match self.last {
            // Exactly the next one, unless a gap stands before it.
            Some(last) if self.gap => assert!(number > last, "{number} behind {last} and a gap"),
            Some(last) => assert_eq!(number, last + 1, "behind {last}"),
            None => {
                assert!(
                    number > self.before,
                    "{number} was published before it came"
                );
                assert!(
                    self.gap || number <= self.first,
                    "{number} is the first, not {}",
                    self.first
                );
            }
        }
        self.gap = false;
        self.last = Some(number);
        self.load.messages.fetch_add(1, Ordering::Relaxed);
    }

    /// Nothing up to this number is to come any more.
    fn newest(&self) -> u64 {
        self.last.unwrap_or(self.first - 1)
    }

    /// Everything that was published so far has come, unless a gap tells that it may not.
    async fn read_to(&mut self, newest: u64) {
        let gaps = self.gaps;
        while self.gaps == gaps && !self.gap && self.newest() < newest {
            let event = self.subscription.get_message(Duration::from_secs(30)).await;
            let event = event.expect("no error");
            self.see(
                event.unwrap_or_else(|| panic!("{newest} has not come behind {:?}", self.last)),
            );
        }
    }
}

/// Comes and goes, and looks whether it gets what is its own.
async fn subscriber(client: Client, load: Arc<Load>) {
    while !load.is_over() {
        let at = fastrand::usize(..CHANNELS);
        let channel = &load.channels[at];
        let killed = load.killed.load(Ordering::SeqCst);
        let before = channel.done();
        let subscription = client.subscribe(name(at)).await.expect("it subscribes");
        let mut reading = Reading {
            load: &load,
            subscription,
            last: None,
            first: channel.begun() + 1,
            before,
            gap: false,
            gaps: 0,
        };
        load.subscriptions.fetch_add(1, Ordering::Relaxed);
        let until = Instant::now() + Duration::from_millis(fastrand::u64(..1_500));
        while Instant::now() < until && !load.is_over() {
            let left = until - Instant::now();
            if let Some(event) = reading
                .subscription
                .get_message(left)
                .await
                .expect("no error")
            {
                reading.see(event);
            }
        }
        match fastrand::u8(..3) {
            0 => {}
            1 => reading.read_to(channel.done()).await,
            _ => {
                let done = channel.done();
                reading.subscription.drain().await.expect("it drains");
                while let Some(event) = reading.subscription.next().await {
                    reading.see(event.expect("no error"));
                }
                // What a loss on the way took with it is told of only to who stays.
                let lost = reading.gaps > 0 || load.kills() > killed;
                let last = reading.newest();
                assert!(lost || last >= done, "{done} has not come behind {last}");
            }
        }
        assert!(
            reading.gaps <= load.kills() - killed,
            "a gap without a loss"
        );
        load.gaps.fetch_add(reading.gaps, Ordering::Relaxed);
    }
}

async fn run(case: &Case, load: &Arc<Load>, time: Duration, kills: bool) {
    let client = Client::connect(quick(&case.url())).await.unwrap();
    let publisher = Client::connect(quick(&case.url())).await.unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(publish(publisher, Arc::clone(load)));
    for _ in 0..TASKS {
        tasks.spawn(subscriber(client.clone(), Arc::clone(load)));
    }
    until("each has subscribed", || {
        load.subscriptions.load(Ordering::Relaxed) >= TASKS as u64
    })
    .await;
    sleep(time / 3).await;
    let (before, begin) = (resident(), Instant::now());
    let mut most = before;
    while begin.elapsed() < time * 2 / 3 {
        sleep(time / 20).await;
        if kills {
            load.kills.fetch_add(1, Ordering::SeqCst);
            assert_eq!(case.kill_subscribers(), 1, "they share one connection");
            until("it is back", || case.subscriber_ids().len() == 1).await;
            load.killed.fetch_add(1, Ordering::SeqCst);
        }
        most = most.max(resident());
    }
    load.over.store(true, Ordering::SeqCst);
    while let Some(ended) = tasks.join_next().await {
        ended.expect("it saw what it had to see");
    }
    let grown = (most - before) >> 20;
    println!(
        "{} subscriptions, {} messages, {} gaps, {} kills, {grown} MiB more than {} MiB",
        load.subscriptions.load(Ordering::Relaxed),
        load.messages.load(Ordering::Relaxed),
        load.gaps.load(Ordering::Relaxed),
        load.kills(),
        before >> 20
    );
    assert!(most - before <= SLACK, "{grown} MiB more");
    until("nothing is subscribed", || {
        case.server.cli(["PUBSUB", "CHANNELS"]).is_empty()
    })
    .await;
    let names: Vec<String> = (0..CHANNELS).map(name).collect();
    let counts: Vec<(String, i64)> = soon(client.pubsub_numsub(&names)).await.unwrap();
    assert!(counts.iter().all(|(_, count)| *count == 0), "{counts:?}");
}

#[test]
fn sb_01_ten_thousand_that_come_and_go_get_exactly_what_was_published_while_they_were_there() {
    on_each(async |case| {
        let load = Arc::new(Load::new());
        run(&case, &load, Duration::from_secs(seconds()) / 2, false).await;
        assert!(load.messages.load(Ordering::Relaxed) > 0);
        assert_eq!(load.gaps.load(Ordering::Relaxed), 0);
        let load = Arc::new(Load::new());
        run(&case, &load, Duration::from_secs(seconds()) / 2, true).await;
        assert!(load.gaps.load(Ordering::Relaxed) > 0);
    });
}

#[test]
fn qu_02_a_hundred_get_everything_while_one_among_them_reads_nothing_and_its_loss_is_counted() {
    const READERS: usize = 99;
    const MESSAGES: u64 = 3_000;
    const KEPT: u64 = 10;
    on_each(async |case| {
        let client = Client::connect(quick(&case.url())).await.unwrap();
        let kept = usize::try_from(KEPT).unwrap();
        let stalled = client.subscribe("n").queue(kept, 1 << 20);
        let mut stalled = stalled.overflow(Overflow::DropOldest).await.unwrap();
        let mut readers = JoinSet::new();
        for _ in 0..READERS {
            let mut reader = client.subscribe("n").await.unwrap();
            readers.spawn(async move {
                for number in 0..MESSAGES {
                    let event = short(&next_of(&mut reader).await);
                    assert_eq!(event, format!("message n {number}"));
                }
                assert_eq!((reader.stats().gaps, reader.stats().dropped), (0, 0));
            });
        }
        for number in 0..MESSAGES {
            assert_eq!(client.publish("n", number).await.unwrap(), 1);
        }
        // It has read nothing until all others have read everything.
        while let Some(read) = readers.join_next().await {
            read.expect("it got everything");
        }
        let stats = stalled.stats();
        assert_eq!((stats.received, stats.delivered), (MESSAGES, 0));
        assert_eq!((stats.dropped, stats.queued), (MESSAGES - KEPT, KEPT));
        let gap = next_of(&mut stalled).await;
        let gap = gap.gap().expect("its loss is told");
        assert_eq!(gap.dropped(), Some(MESSAGES - KEPT));
        for number in MESSAGES - KEPT..MESSAGES {
            let event = short(&next_of(&mut stalled).await);
            assert_eq!(event, format!("message n {number}"));
        }
    });
}

async fn next_of(subscription: &mut Subscription) -> Event {
    let event = soon(subscription.next()).await;
    event.expect("it goes on").expect("no error")
}
