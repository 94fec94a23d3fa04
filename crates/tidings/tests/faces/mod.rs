//! Both faces of what receives messages behind one, so that a case is written once and holds for each.
//!
//! A case is an `async fn` that takes a [`Case`]. [`on_both_faces!`](crate::on_both_faces) makes two tests of it. What
//! is told apart by its face stands in this folder; where a case cannot be without, it asks for
//! [`PubSub::asynchronous`].
#![allow(dead_code, reason = "each test file uses its own part of it")]

pub(crate) mod cluster;
mod pubsub;
pub(crate) mod receiver;
pub(crate) mod subscription;
pub(crate) mod task;
mod waiting;
pub(crate) mod watching;

use std::future::Future;
use std::ops::Deref;

use tidings::{Commands, Config, Result, ToArg, blocking};
use tidings_testkit::{Binary, Protocol, Server, matrix};
use tokio::runtime::{Builder, Runtime};

pub(crate) use pubsub::{Handle, PubSub, PubSubBuilder};
use waiting::here;

use crate::support::{self, COUNTED};

/// How the Pub/Sub object, subscriptions and receivers are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Face {
    /// As [`tidings::PubSub`] and its like.
    Asynchronous,
    /// As [`tidings::blocking::PubSub`] and its like.
    Blocking,
}

/// One server, freshly started, the protocol to speak to it, and the face to do so.
pub(crate) struct Case {
    case: support::Case,
    face: Face,
}

impl Case {
    /// A client of the server.
    pub(crate) async fn client(&self) -> Client {
        self.client_with(config(&self.url())).await
    }

    /// Whether its face is the blocking one.
    pub(crate) fn blocks(&self) -> bool {
        self.face == Face::Blocking
    }

    /// A client with these settings.
    pub(crate) async fn client_with(&self, config: Config) -> Client {
        Client::connect(self.face, config).await
    }

    /// A client whose connections are [counted](support::Case::connections), those of what comes of it too.
    pub(crate) async fn counted_client(&self) -> Client {
        self.client_with(config(&format!("{}&{COUNTED}", self.url())))
            .await
    }

    /// A client that is this user, with the password `secret`; its connections are counted.
    pub(crate) async fn client_as(&self, user: &str) -> Client {
        let (url, protocol) = (self.server.url_as(user, "secret"), self.protocol.number());
        self.client_with(config(&format!("{url}?protocol={protocol}&{COUNTED}")))
            .await
    }
}

fn config(url: &str) -> Config {
    Config::from_url(url).expect("a URL")
}

impl Deref for Case {
    type Target = support::Case;

    fn deref(&self) -> &support::Case {
        &self.case
    }
}

/// A client: of most commands as [`tidings::Client`], and of publishing and subscribing as its face has it.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    face: Faced,
    /// None for a client that is [alone](Self::alone) and blocks.
    commands: Option<tidings::Client>,
}

#[derive(Debug, Clone)]
enum Faced {
    Asynchronous(tidings::Client),
    Blocking(blocking::Client),
}

impl Client {
    async fn connect(face: Face, config: Config) -> Self {
        let mut client = Self::alone(face, config.clone()).await;
        if client.commands.is_none() {
            let name = config.client_name("beside");
            client.commands = Some(connected(name).await);
        }
        client
    }

    /// A client that has no more than one connection, and no commands if it blocks.
    pub(crate) async fn alone(face: Face, config: Config) -> Self {
        match face {
            Face::Asynchronous => {
                let client = connected(config).await;
                Self {
                    commands: Some(client.clone()),
                    face: Faced::Asynchronous(client),
                }
            }
            Face::Blocking => {
                let client = here(|| blocking::Client::connect(config));
                Self {
                    commands: None,
                    face: Faced::Blocking(client.expect("the server takes connections")),
                }
            }
        }
    }

    pub(crate) fn pubsub(&self) -> PubSubBuilder {
        match &self.face {
            Faced::Asynchronous(client) => PubSubBuilder::Asynchronous(client.pubsub()),
            Faced::Blocking(client) => PubSubBuilder::Blocking(client.pubsub()),
        }
    }

    pub(crate) async fn publish(&self, channel: impl ToArg, payload: impl ToArg) -> Result<i64> {
        match &self.face {
            Faced::Asynchronous(client) => client.publish(channel, payload).await,
            Faced::Blocking(client) => here(|| client.publish(channel, payload)),
        }
    }

    pub(crate) async fn spublish(&self, channel: impl ToArg, payload: impl ToArg) -> Result<i64> {
        match &self.face {
            Faced::Asynchronous(client) => client.spublish(channel, payload).await,
            Faced::Blocking(client) => here(|| client.spublish(channel, payload)),
        }
    }
}

async fn connected(config: Config) -> tidings::Client {
    let client = tidings::Client::connect(config).await;
    client.expect("the server takes connections")
}

impl Deref for Client {
    type Target = tidings::Client;

    fn deref(&self) -> &tidings::Client {
        self.commands.as_ref().expect("it is not alone")
    }
}

/// What a case runs on.
pub(crate) struct Setup {
    server: Server,
    /// Whether a case of the asynchronous face may block, while the client goes on.
    may_block: bool,
}

impl From<Server> for Setup {
    fn from(server: Server) -> Self {
        Self {
            server,
            may_block: false,
        }
    }
}

/// A server that nothing was told.
pub(crate) fn plain(binary: &Binary) -> Server {
    Server::builder().binary(binary).start_or_panic()
}

/// As [`plain`], for cases that block.
pub(crate) fn on_threads(binary: &Binary) -> Setup {
    may_block(plain(binary))
}

/// For cases that block.
pub(crate) fn may_block(server: Server) -> Setup {
    Setup {
        server,
        may_block: true,
    }
}

/// Runs a case on every server of the matrix in both protocols, each time on a server of its own.
pub(crate) fn run<S: Into<Setup>, F: Future<Output = ()>>(
    face: Face,
    start: impl Fn(&Binary) -> S,
    case: impl Fn(Case) -> F,
) {
    for binary in matrix() {
        for protocol in Protocol::ALL {
            // Which run a failure belongs to: shown only then.
            println!("on {binary}, {protocol:?}");
            run_one(face, start(&binary), protocol, &case);
        }
    }
}

/// Runs a case on this server.
pub(crate) fn run_one<F: Future<Output = ()>>(
    face: Face,
    setup: impl Into<Setup>,
    protocol: Protocol,
    test: impl Fn(Case) -> F,
) {
    let Setup { server, may_block } = setup.into();
    let runtime = match may_block {
        true => Face::Blocking.runtime(),
        false => face.runtime(),
    };
    let case = support::Case { server, protocol };
    runtime.block_on(test(Case { case, face }));
}

/// As [`run`], on a [`plain`] server, for what only the asynchronous face has.
pub(crate) fn asynchronously<F: Future<Output = ()>>(test: impl Fn(Case) -> F) {
    run(Face::Asynchronous, plain, test);
}

impl Face {
    pub(crate) const ALL: [Self; 2] = [Self::Asynchronous, Self::Blocking];

    /// A runtime on which a case of this face can wait.
    pub(crate) fn runtime(self) -> Runtime {
        let runtime = match self {
            Self::Asynchronous => Builder::new_current_thread().enable_all().build(),
            // Where one thread blocks, another one takes its tasks.
            Self::Blocking => Builder::new_multi_thread()
                .worker_threads(1)
                .enable_all()
                .build(),
        };
        runtime.expect("a runtime")
    }
}

/// A test for each of these cases and each face: `on_both_faces! { [plain] this_holds, that_holds, }`. In brackets stands
/// the function that starts the server; `[cluster shared]` names one that starts a cluster, where the tests have a module
/// `faced` for that.
#[macro_export]
macro_rules! on_both_faces {
    ($([cluster $start:ident] $($case:ident,)+)+) => {
        $crate::on_both_faces!(@ cluster asynchronous Asynchronous $($(($start $case))+)+);
        $crate::on_both_faces!(@ cluster blocking Blocking $($(($start $case))+)+);
    };
    (@ cluster $module:ident $face:ident $(($start:ident $case:ident))+) => {
        mod $module {
            $(
                #[test]
                fn $case() {
                    $crate::faced::run($crate::faces::Face::$face, super::$start, super::$case);
                }
            )+
        }
    };
    ($([$start:ident] $($case:ident,)+)+) => {
        $crate::on_both_faces!(@ asynchronous Asynchronous $($(($start $case))+)+);
        $crate::on_both_faces!(@ blocking Blocking $($(($start $case))+)+);
    };
    (@ $module:ident $face:ident $(($start:ident $case:ident))+) => {
        mod $module {
            $(
                #[test]
                fn $case() {
                    $crate::faces::run($crate::faces::Face::$face, super::$start, super::$case);
                }
            )+
        }
    };
}
