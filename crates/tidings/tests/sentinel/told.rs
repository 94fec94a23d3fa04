//! What sentinels say that are not real: what is wrong, what is old, what real ones rarely say.

use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use tidings::{Commands, Error, ErrorKind, GapCause, Result, cmd};
use tidings_testkit::{ScriptedConnection, ScriptedPeer, frame};

use super::*;

/// A sentinel that says what it is told to, to whoever asks.
struct FakeSentinel {
    port: u16,
    says: Arc<Mutex<Says>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Clone, Default)]
struct Says {
    primary: u16,
    epoch: u64,
    /// What is published next.
    published: Option<String>,
    /// How often it was asked where the primary is.
    asked: usize,
}

impl FakeSentinel {
    fn start(primary: u16, epoch: u64) -> Self {
        let peer = ScriptedPeer::start();
        let port = peer.port();
        let says = Arc::new(Mutex::new(Says {
            primary,
            epoch,
            ..Says::default()
        }));
        let stop = Arc::<AtomicBool>::default();
        let (told, stopped) = (Arc::clone(&says), Arc::clone(&stop));
        let thread = thread::spawn(move || {
            let mut connections = Vec::new();
            while !stopped.load(Ordering::Relaxed) {
                if let Some(mut new) = peer.try_accept(Duration::from_millis(1)) {
                    new.handshake();
                    connections.push(new);
                }
                let mut says = told.lock().unwrap();
                let published = says.published.take();
                for connection in &mut connections {
                    serve(connection, &mut says, published.as_deref());
                }
            }
        });
        Self {
            port,
            says,
            stop,
            thread: Some(thread),
        }
    }

    fn address(&self) -> (&'static str, u16) {
        ("127.0.0.1", self.port)
    }

    /// Says something else from now on, and publishes nothing.
    fn say(&self, primary: u16, epoch: u64) {
        let mut says = self.says.lock().unwrap();
        (says.primary, says.epoch) = (primary, epoch);
    }

    fn publish(&self, payload: String) {
        self.says.lock().unwrap().published = Some(payload);
    }

    fn asked(&self) -> usize {
        self.says.lock().unwrap().asked
    }
}

impl Drop for FakeSentinel {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn serve(connection: &mut ScriptedConnection, says: &mut Says, published: Option<&str>) {
    let protocol = connection.protocol();
    if let Some(payload) = published {
        let _ = connection.try_send(frame::message(protocol, "+switch-master", payload));
    }
    while let Some(command) = connection.try_read_command(Duration::from_millis(1)) {
        let words: Vec<String> = command
            .iter()
            .map(|it| String::from_utf8_lossy(it).into_owned())
            .collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let answer = match words.as_slice() {
            ["SUBSCRIBE", channel] => frame::confirmation(protocol, "subscribe", channel, 1),
            ["UNSUBSCRIBE", channel] => frame::confirmation(protocol, "unsubscribe", channel, 0),
            ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "mymaster"] => {
                says.asked += 1;
                frame::array([
                    frame::bulk("127.0.0.1"),
                    frame::bulk(says.primary.to_string()),
                ])
            }
            ["SENTINEL", "MASTER", "mymaster"] => {
                let fields = [
                    ("name", "mymaster".to_owned()),
                    ("config-epoch", says.epoch.to_string()),
                ];
                let pairs = fields
                    .iter()
                    .map(|(name, value)| (frame::bulk(name), frame::bulk(value)));
                frame::map(protocol, pairs)
            }
            ["SENTINEL", "SENTINELS" | "REPLICAS", "mymaster"] => frame::array::<Vec<u8>>([]),
            _ => frame::error("ERR unknown subcommand"),
        };
        let _ = connection.try_send(answer);
    }
}

/// A primary, and one that follows it if it is to.
fn server() -> Server {
    Server::builder().start_or_panic()
}

fn replica_of(primary: &Server) -> Server {
    let replica = Server::builder().config("replicaof", format!("127.0.0.1 {}", primary.port()));
    replica.start_or_panic()
}

fn config_of<'a>(sentinels: impl IntoIterator<Item = &'a FakeSentinel>) -> Config {
    let addresses = sentinels.into_iter().map(FakeSentinel::address);
    Config::sentinel(addresses, "mymaster").backoff(LONG, LONG)
}

async fn connect(config: Config) -> Result<Client> {
    timeout(LONG, Client::connect(config))
        .await
        .expect("in time")
}

async fn port_of(client: &Client) -> u16 {
    let port = client.run::<(String, u16)>(cmd("CONFIG").arg(["GET", "port"]));
    timeout(LONG, port)
        .await
        .expect("in time")
        .expect("it runs")
        .1
}

fn assert_says(error: &Error, words: &[&str]) {
    let text = format!("{error:#}");
    assert_eq!(error.kind(), ErrorKind::Connection, "{text}");
    for word in words {
        assert!(text.contains(word), "{word:?} in {text}");
    }
}

#[test]
fn sn_01_a_primary_that_turns_out_to_be_a_replica_is_not_used() {
    let (primary, other) = (server(), server());
    let replica = replica_of(&primary);
    let sentinel = FakeSentinel::start(replica.port(), 1);
    runtime().block_on(async {
        let error = connect(config_of([&sentinel])).await.unwrap_err();
        let name = format!("{} is a replica", replica.address());
        assert_says(&error, &[&name, "`mymaster`"]);
        let asked = sentinel.asked();
        assert!(asked >= 2, "the sentinel was asked again");

        // It is corrected while the client tries.
        let connecting = tokio::spawn(connect(config_of([&sentinel])));
        support::eventually("it tries", || sentinel.asked() >= asked + 2).await;
        sentinel.say(primary.port(), 2);
        let client = connecting.await.unwrap().unwrap();
        assert_eq!(port_of(&client).await, primary.port());

        // Nor is one gone to that takes over, as it is said.
        let mut pubsub = client
            .pubsub()
            .channels("news")
            .ignore_subscribe_messages(true)
            .await
            .unwrap();
        sentinel.say(replica.port(), 3);
        sentinel.publish(format!(
            "mymaster 127.0.0.1 {} 127.0.0.1 {}",
            primary.port(),
            replica.port()
        ));
        support::eventually("it has failed to connect", || {
            pubsub.last_connect_error().is_some()
        })
        .await;
        assert_says(&pubsub.last_connect_error().unwrap(), &[&name]);
        sentinel.say(other.port(), 4);
        sentinel.publish(format!(
            "mymaster 127.0.0.1 {} 127.0.0.1 {}",
            replica.port(),
            other.port()
        ));
        let gap = timeout(PROMPT, pubsub.next())
            .await
            .expect("the pause is over at once");
        assert_eq!(
            gap.unwrap().unwrap().gap().unwrap().cause(),
            GapCause::Failover
        );
        assert_eq!(port_of(&client).await, other.port());
    });
}

#[test]
fn sn_01_a_server_that_does_not_know_hello_is_asked_for_its_role() {
    runtime().block_on(async {
        for role in ["slave", "master"] {
            let peer = ScriptedPeer::start();
            let sentinel = FakeSentinel::start(peer.port(), 1);
            let connecting = tokio::spawn(connect(config_of([&sentinel])));
            let mut connection = peer.accept();
            connection.handshake_without_hello();
            connection.expect(["ROLE"]);
            connection.send(frame::array([frame::bulk(role), frame::integer(1)]));
            let connected = connecting.await.unwrap();
            match role {
                "master" => drop(connected.unwrap()),
                _ => assert_says(&connected.unwrap_err(), &["is a replica"]),
            }
        }
    });
}

#[test]
fn sn_01_who_knows_the_newest_failover_is_believed_and_who_is_silent_not_waited_for() {
    let (old, new) = (server(), server());
    // It was cut off from the others, and answers first.
    let stale = FakeSentinel::start(old.port(), 4);
    let fresh = FakeSentinel::start(new.port(), 5);
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = ("127.0.0.1", silent.local_addr().unwrap().port());
    runtime().block_on(async {
        for sentinels in [[&stale, &fresh], [&fresh, &stale]] {
            let sentinels = sentinels.map(FakeSentinel::address);
            let config = Config::sentinel([silent].into_iter().chain(sentinels), "mymaster");
            let begun = Instant::now();
            let client = connect(config).await.unwrap();
            assert!(begun.elapsed() < PROMPT, "{:?}", begun.elapsed());
            assert_eq!(port_of(&client).await, new.port());
        }
        // Alone, it is believed, until the other is there.
        let client = connect(config_of([&stale])).await.unwrap();
        assert_eq!(port_of(&client).await, old.port());
    });
}

#[test]
fn sn_01_an_attempt_at_a_server_that_stands_still_is_given_up_when_there_is_news() {
    let (old, new) = (server(), server());
    let sentinel = FakeSentinel::start(old.port(), 1);
    let _frozen = old.freeze();
    runtime().block_on(async {
        let connecting = tokio::spawn(connect(config_of([&sentinel]).connect_timeout(2 * LONG)));
        support::eventually("it is asked", || sentinel.asked() >= 1).await;
        sentinel.publish(format!(
            "mymaster 127.0.0.1 {} 127.0.0.1 {}",
            old.port(),
            new.port()
        ));
        sentinel.say(new.port(), 2);
        let client = connecting.await.unwrap().unwrap();
        assert_eq!(port_of(&client).await, new.port());
    });
}

#[test]
fn sn_01_a_word_that_was_missed_is_found_by_asking() {
    let (old, new) = (server(), server());
    let sentinel = FakeSentinel::start(old.port(), 1);
    runtime().block_on(async {
        let config = config_of([&sentinel]).backoff(PROMPT / 100, PROMPT / 10);
        let client = connect(config).await.unwrap();
        let mut pubsub = client
            .pubsub()
            .channels("news")
            .ignore_subscribe_messages(true)
            .await
            .unwrap();
        // Those of other primaries, and what is none, move nothing.
        sentinel.publish(format!(
            "other 127.0.0.1 {} 127.0.0.1 {}",
            old.port(),
            new.port()
        ));
        sentinel.publish("mymaster".to_owned());
        let asked = sentinel.asked();
        sentinel.say(new.port(), 2);
        let gap = timeout(LONG, pubsub.next()).await.expect("in time");
        assert_eq!(
            gap.unwrap().unwrap().gap().unwrap().cause(),
            GapCause::Failover
        );
        assert!(sentinel.asked() <= asked + 2, "and not all the time");
        assert_eq!(port_of(&client).await, new.port());
        // The same server again is no failover.
        new.cli(["CLIENT", "KILL", "TYPE", "pubsub"]);
        let gap = timeout(LONG, pubsub.next()).await.expect("in time");
        assert_eq!(
            gap.unwrap().unwrap().gap().unwrap().cause(),
            GapCause::Disconnected
        );
    });
}
