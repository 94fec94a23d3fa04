//! What a subscriber of numbered messages has seen, and what the servers say of it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tidings::{Event, Gap, GapCause, Kinds, Message};
use tidings_testkit::{Checker, Cluster, ClusterNode, Published, Publisher, slot_of};

use crate::faces::PubSub;
use crate::support::{Reads, short};

/// How long anything may take on a machine that has no time. Only a failing test waits so long.
const LIMIT: Duration = Duration::from_secs(30);

/// So long one read waits.
const A_MOMENT: Duration = Duration::from_millis(10);

/// The books of one subscriber.
pub(crate) struct Books {
    checker: Arc<Mutex<Checker>>,
    gaps: Vec<Gap>,
    /// In short, but for those that the test has asked for.
    confirmations: Vec<String>,
}

impl Books {
    pub(crate) fn new() -> Self {
        Self {
            checker: Arc::new(Mutex::new(Checker::new())),
            gaps: Vec::new(),
            confirmations: Vec::new(),
        }
    }

    fn checker(&self) -> MutexGuard<'_, Checker> {
        self.checker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A handler that enters its messages here.
    pub(crate) fn handler(&self) -> impl FnMut(Message) + Send + 'static {
        let checker = Arc::clone(&self.checker);
        move |message| {
            let mut checker = checker.lock().unwrap_or_else(PoisonError::into_inner);
            checker.on_payload(message.channel(), message.payload());
        }
    }

    /// Reads and enters what comes within a moment.
    pub(crate) async fn read(&mut self, pubsub: &mut impl Reads) {
        match pubsub.get_message(A_MOMENT).await.expect("no error") {
            Some(Event::Message(message)) => {
                let mut checker = self.checker();
                checker.on_payload(message.channel(), message.payload());
            }
            Some(Event::Gap(gap)) => {
                self.checker().on_gap(gap.names());
                self.gaps.push(gap);
            }
            Some(other) => self.confirmations.push(short(&other)),
            None => {}
        }
    }

    /// Reads until something holds.
    pub(crate) async fn until(
        &mut self,
        pubsub: &mut impl Reads,
        what: &str,
        mut holds: impl FnMut(&Self) -> bool,
    ) {
        let begun = Instant::now();
        while !holds(self) {
            assert!(
                begun.elapsed() < LIMIT,
                "read {LIMIT:?} in vain until {what}: {:?}, {:?}",
                self.gaps,
                self.checker()
            );
            self.read(pubsub).await;
        }
    }

    /// Reads until there is more in each channel than was published when this is called.
    pub(crate) async fn catch_up(&mut self, pubsub: &mut impl Reads, publisher: &Publisher) {
        let then = publisher.published();
        let channels: Vec<Vec<u8>> = then.channels().map(|(name, _)| name.to_vec()).collect();
        self.until(pubsub, "there is more in each channel", |books| {
            let checker = books.checker();
            channels
                .iter()
                .all(|name| checker.highest(name) > then.last(name))
        })
        .await;
    }

    /// Reads, and asks all servers for signs of life, until what is done elsewhere is done.
    pub(crate) async fn meanwhile<T, K: Kinds>(
        &mut self,
        pubsub: &mut PubSub<tidings::Bytes, K>,
        doing: JoinHandle<T>,
    ) -> T {
        while !doing.is_finished() {
            pubsub.ping().await.expect("all nodes answer");
            self.read(pubsub).await;
        }
        doing.join().expect("it is done")
    }

    /// The same where nodes are gone that a PING would wait for.
    pub(crate) async fn while_nodes_are_gone<T>(
        &mut self,
        pubsub: &mut impl Reads,
        doing: JoinHandle<T>,
    ) -> T {
        while !doing.is_finished() {
            self.read(pubsub).await;
        }
        doing.join().expect("it is done")
    }

    /// Reads the rest, and holds all of it against what was published.
    pub(crate) async fn close(&mut self, pubsub: &mut impl Reads, published: &Published) {
        self.until(pubsub, "the last numbers come", |books| {
            books.checker().has_reached(published)
        })
        .await;
        let report = self.checker().clone().finish(published);
        println!("{report}");
        report.assert_passed();
        self.assert_only_subscribed_again();
    }

    /// What is confirmed that nobody asked for are the subscriptions behind a gap.
    pub(crate) fn assert_only_subscribed_again(&self) {
        let gaps = self.gaps();
        for confirmation in &self.confirmations {
            let name = confirmation.strip_prefix("ssubscribe ");
            let name = name.and_then(|rest| rest.split(' ').next());
            let is_behind_a_gap = name.is_some_and(|name| {
                let mut gaps = gaps.iter();
                gaps.any(|(_, names)| names.iter().any(|it| it == name))
            });
            assert!(is_behind_a_gap, "nobody asked for {confirmation}: {gaps:?}");
        }
    }

    /// The causes of the gaps, and the names that they are about, in order.
    pub(crate) fn gaps(&self) -> Vec<(GapCause, Vec<String>)> {
        let gaps = self.gaps.iter();
        gaps.map(|gap| (gap.cause(), names_of(gap))).collect()
    }

    /// The last gap of this name.
    pub(crate) fn last_gap(&self, name: &str) -> Option<GapCause> {
        let mut gaps = self.gaps.iter().rev();
        let is_of = |gap: &&Gap| gap.names().any(|it| it == name.as_bytes());
        gaps.find(is_of).map(Gap::cause)
    }

    /// Whether the confirmations of so many names have come; forgets them.
    pub(crate) async fn begin(&mut self, pubsub: &mut impl Reads, names: usize) {
        self.until(pubsub, "all is confirmed", |books| {
            books.confirmations.len() == names
        })
        .await;
        self.confirmations.clear();
    }

    /// Reads until a message with this text comes in a channel.
    pub(crate) async fn until_heard(&mut self, pubsub: &mut impl Reads, channel: &str, text: &str) {
        let begun = Instant::now();
        loop {
            assert!(
                begun.elapsed() < LIMIT,
                "{channel} is deaf: {:?}",
                self.gaps()
            );
            match pubsub.get_message(A_MOMENT).await.expect("no error") {
                Some(Event::Message(message)) => {
                    assert_eq!((&*message.channel_str(), &*message.text()), (channel, text));
                    return;
                }
                Some(Event::Gap(gap)) => self.gaps.push(gap),
                Some(other) => self.confirmations.push(short(&other)),
                None => {}
            }
        }
    }
}

fn names_of(gap: &Gap) -> Vec<String> {
    let names = gap.names();
    let mut names: Vec<String> = names
        .map(|name| String::from_utf8_lossy(name).into_owned())
        .collect();
    names.sort();
    names
}

/// A name that no case has had: what was published to it before may still be on the bus of the cluster.
pub(crate) fn fresh(what: &str) -> String {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    format!("{what}{}", COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Fresh names in slots of this primary, but not in this slot.
pub(crate) fn channels_of(
    cluster: &Cluster,
    primary: &ClusterNode,
    but: Option<u16>,
    count: usize,
) -> Vec<String> {
    let owns = |name: &String| cluster.owner_of(slot_of(name)).id() == primary.id();
    let names = std::iter::repeat_with(|| fresh("news"));
    let names = names.filter(|name| Some(slot_of(name)) != but && owns(name));
    names.take(count).collect()
}

/// Whether a node has just one subscriber of a shard channel.
pub(crate) fn listens_at(node: &ClusterNode, channel: &str) -> bool {
    node.cli(["PUBSUB", "SHARDNUMSUB", channel]) == format!("{channel}\n1")
}

/// Subscribes at a node with a connection of its own and waits there until the server ends that by itself; when that was.
pub(crate) fn await_sunsubscribe(node: &ClusterNode, channel: &str) -> JoinHandle<Instant> {
    let mut stream = TcpStream::connect(node.socket_address()).expect("the node is there");
    stream.set_read_timeout(Some(LIMIT)).expect("a timeout");
    let asked = stream.write_all(format!("SSUBSCRIBE {channel}\r\n").as_bytes());
    asked.expect("the node takes it");
    thread::spawn(move || {
        let (mut seen, mut piece) = (Vec::new(), [0; 4096]);
        let word = b"sunsubscribe";
        while !seen.windows(word.len()).any(|part| part == word) {
            let count = stream.read(&mut piece).expect("the server's word");
            assert!(count > 0, "the connection was to stay");
            seen.extend_from_slice(&piece[..count]);
        }
        Instant::now()
    })
}

/// Waits until a node has a subscriber of a shard channel.
pub(crate) fn await_listening(node: &ClusterNode, channel: &str) -> Instant {
    let begun = Instant::now();
    while !listens_at(node, channel) {
        assert!(
            begun.elapsed() < LIMIT,
            "nobody listens to {channel} at {node}"
        );
        thread::sleep(Duration::from_millis(1));
    }
    Instant::now()
}
