//! Both faces of the Pub/Sub object behind one, so that a case is written once and holds for each.
//!
//! A case is an `async fn` that takes a [`Case`]. [`on_both_faces!`](crate::on_both_faces) makes two tests of it. What
//! is told apart by its face stands in this folder; where a case cannot be without, it asks for
//! [`PubSub::asynchronous`].
#![allow(dead_code, reason = "each test file uses its own part of it")]

mod pubsub;

use std::future::Future;
use std::ops::Deref;

use tidings::Config;
use tidings_testkit::{Binary, Protocol, Server, matrix};
use tokio::runtime::{Builder, Runtime};

pub(crate) use pubsub::{PubSub, PubSubBuilder};

use crate::support::{self, COUNTED};

/// How the Pub/Sub object is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Face {
    /// As [`tidings::PubSub`].
    Asynchronous,
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

/// A client: of commands as [`tidings::Client`], and of subscribers as its face has them.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    commands: tidings::Client,
}

impl Client {
    pub(crate) async fn connect(face: Face, config: Config) -> Self {
        match face {
            Face::Asynchronous => Self {
                commands: tidings::Client::connect(config)
                    .await
                    .expect("the server takes connections"),
            },
        }
    }

    pub(crate) fn pubsub(&self) -> PubSubBuilder {
        PubSubBuilder::Asynchronous(self.commands.pubsub())
    }
}

impl Deref for Client {
    type Target = tidings::Client;

    fn deref(&self) -> &tidings::Client {
        &self.commands
    }
}

/// A server that nothing was told.
pub(crate) fn plain(binary: &Binary) -> Server {
    Server::builder().binary(binary).start_or_panic()
}

/// Runs a case on every server of the matrix in both protocols, each time on a server of its own.
pub(crate) fn run<F: Future<Output = ()>>(
    face: Face,
    start: impl Fn(&Binary) -> Server,
    case: impl Fn(Case) -> F,
) {
    for binary in matrix() {
        for protocol in Protocol::ALL {
            // Which run a failure belongs to: shown only then.
            println!("on {binary}, {protocol:?}");
            let server = start(&binary);
            run_one(face, support::Case { server, protocol }, &case);
        }
    }
}

/// As [`run`], on a [`plain`] server, for what only the asynchronous face has.
pub(crate) fn asynchronously<F: Future<Output = ()>>(test: impl Fn(Case) -> F) {
    run(Face::Asynchronous, plain, test);
}

/// Runs a case on this server.
pub(crate) fn run_one<F: Future<Output = ()>>(
    face: Face,
    case: support::Case,
    test: impl Fn(Case) -> F,
) {
    face.runtime().block_on(test(Case { case, face }));
}

impl Face {
    pub(crate) const ALL: [Self; 1] = [Self::Asynchronous];

    /// A runtime on which a case of this face can wait.
    pub(crate) fn runtime(self) -> Runtime {
        let runtime = match self {
            Self::Asynchronous => Builder::new_current_thread().enable_all().build(),
        };
        runtime.expect("a runtime")
    }
}

/// A test for each of these cases and each face: `on_both_faces! { [plain] this_holds, that_holds, }`. In brackets stands
/// the function that starts the server.
#[macro_export]
macro_rules! on_both_faces {
    ($([$start:ident] $($case:ident,)+)+) => {
        $crate::on_both_faces!(@ asynchronous Asynchronous $($(($start $case))+)+);
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
