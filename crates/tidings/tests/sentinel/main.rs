//! A primary that is found by sentinels, and followed wherever it goes: SPEC item SN-01.
//!
//! Sentinels take seconds for everything, in which nothing has to be computed: each test runs on all of its servers at the
//! same time.

mod failover;
mod finding;
mod listening;
mod replicas;
#[path = "../support/mod.rs"]
mod support;
#[cfg(feature = "blocking")]
mod threads;
mod told;

use std::future::Future;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tidings::{Client, Config};
use tidings_testkit::{Binary, Protocol, Sentinels, SentinelsBuilder, Server, matrix};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Notify;
use tokio::time::timeout;

/// How long a test waits for sentinels. Only a failing test waits so long, or one on a machine that gives them no time for
/// 2 s: they do nothing for 30 s then, since their clock may be wrong (TILT).
const LONG: Duration = Duration::from_secs(60);

/// Between two commands of those that go on all the time, to leave the machine to the sentinels.
const PACE: Duration = Duration::from_millis(1);

/// So many sets of sentinels run at a time, with three to six processes each.
const AT_A_TIME: usize = 6;

/// Everything has moved so long after the first word of a failover at the latest, on a machine with little time. What is
/// left where it was would stay for 10 s.
const PROMPT: Duration = Duration::from_secs(2);

/// Sentinels of one's own, and the protocol to speak to them and to their servers.
#[derive(Clone)]
struct Case {
    sentinels: Arc<Sentinels>,
    protocol: Protocol,
}

impl Case {
    fn start(builder: SentinelsBuilder, binary: &Binary, protocol: Protocol) -> Self {
        let sentinels = builder.binary(binary).start_or_panic();
        if protocol == Protocol::Resp2 {
            // The client asks them for RESP3 whatever it is told to speak to the servers.
            for sentinel in sentinels.sentinels() {
                sentinel.admin(["ACL", "SETUSER", "default", "-hello"]);
            }
        }
        Self {
            sentinels: Arc::new(sentinels),
            protocol,
        }
    }

    /// With a pause between attempts to connect that nobody would wait for: news end it.
    fn config(&self) -> Config {
        self.config_of(&self.sentinels.url_for(self.protocol))
    }

    fn config_of(&self, url: &str) -> Config {
        Config::from_url(url)
            .expect("a URL")
            .client_name("counted")
            .backoff(LONG, LONG)
    }

    async fn client(&self) -> Client {
        self.client_with(self.config()).await
    }

    async fn client_with(&self, config: Config) -> Client {
        let client = timeout(LONG, Client::connect(config)).await;
        client.expect("in time").expect("the primary is found")
    }

    /// Does what blocks its thread.
    async fn apart<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Sentinels) -> T + Send + 'static,
    ) -> T {
        let sentinels = Arc::clone(&self.sentinels);
        let done = tokio::task::spawn_blocking(move || work(&sentinels)).await;
        done.expect("no panic")
    }
}

/// How many connections of clients under test a server has.
fn connections(server: &Server) -> usize {
    let list = server.cli(["CLIENT", "LIST"]);
    list.lines()
        .filter(|it| it.contains(" name=counted "))
        .count()
}

/// The first word of a failover, heard beside the client under test.
struct FirstWord {
    heard: Arc<(Mutex<Option<Instant>>, Notify)>,
}

impl FirstWord {
    /// Listens to all sentinels.
    async fn of(case: &Case) -> Self {
        let heard = Arc::<(Mutex<Option<Instant>>, Notify)>::default();
        for sentinel in case.sentinels.sentinels() {
            let client = Client::connect(sentinel.url()).await.expect("it connects");
            let listening = client
                .pubsub()
                .channels("+switch-master")
                .ignore_subscribe_messages(true);
            let mut listening = listening.await.expect("it subscribes");
            let heard = Arc::clone(&heard);
            tokio::spawn(async move {
                if let Some(Ok(_)) = listening.next().await {
                    heard.0.lock().unwrap().get_or_insert_with(Instant::now);
                    heard.1.notify_one();
                }
            });
        }
        Self { heard }
    }

    async fn heard(&self) -> Instant {
        loop {
            if let Some(at) = *self.heard.0.lock().unwrap() {
                return at;
            }
            timeout(LONG, self.heard.1.notified())
                .await
                .expect("a sentinel tells of it");
        }
    }
}

fn runtime() -> Runtime {
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    runtime.expect("a runtime")
}

/// Every server of the matrix in both protocols.
fn all() -> Vec<(Binary, Protocol)> {
    let binaries = matrix();
    let with = |binary: &Binary| Protocol::ALL.map(|protocol| (binary.clone(), protocol));
    binaries.iter().flat_map(with).collect()
}

/// Every server of the matrix, the protocols in turn.
fn each() -> Vec<(Binary, Protocol)> {
    matrix()
        .into_iter()
        .zip(Protocol::ALL.into_iter().cycle())
        .collect()
}

/// Runs `test` on sentinels of its own for each of these, all at the same time, each on a thread without a runtime.
fn on(servers: Vec<(Binary, Protocol)>, builder: &SentinelsBuilder, test: impl Fn(Case) + Sync) {
    thread::scope(|scope| {
        for (binary, protocol) in servers {
            let (builder, test) = (builder.clone(), &test);
            let name = format!("{binary}, {protocol:?}");
            let running = thread::Builder::new()
                .name(name)
                .spawn_scoped(scope, move || {
                    let _turn = Turn::wait();
                    test(Case::start(builder, &binary, protocol));
                });
            running.expect("a thread");
        }
    });
}

/// One of those that run at a time.
struct Turn;

static RUNNING: (Mutex<usize>, Condvar) = (Mutex::new(0), Condvar::new());

impl Turn {
    fn wait() -> Self {
        let (running, free) = &RUNNING;
        let running = running.lock().unwrap_or_else(PoisonError::into_inner);
        let running = free.wait_while(running, |running| *running == AT_A_TIME);
        *running.unwrap_or_else(PoisonError::into_inner) += 1;
        Self
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *RUNNING.0.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        RUNNING.1.notify_one();
    }
}

/// The same with a runtime.
fn on_tasks<F: Future<Output = ()>>(
    servers: Vec<(Binary, Protocol)>,
    builder: &SentinelsBuilder,
    test: impl Fn(Case) -> F + Sync,
) {
    on(servers, builder, |case| runtime().block_on(test(case)));
}
