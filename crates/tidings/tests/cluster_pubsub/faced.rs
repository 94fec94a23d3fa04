//! Cases on clusters that are written once and hold for both faces.
#![allow(dead_code, reason = "written before all of its uses")]

use std::any::Any;
use std::ops::Deref;
use std::sync::Arc;

use tidings::{Config, Error, IntoClusterConfig};
use tidings_testkit::{Binary, Cluster, Protocol};

use crate::clusters::{self, binaries, runtime};
use crate::faces::Face;
use crate::faces::cluster::ClusterClient;
use crate::faces::receiver::Receiver;

/// A cluster, the protocol to speak to it, and the face to do so.
pub(crate) struct Case {
    case: clusters::Case,
    face: Face,
}

impl Case {
    pub(crate) async fn client(&self) -> ClusterClient {
        self.client_with(self.config()).await
    }

    pub(crate) async fn client_with(&self, config: Config) -> ClusterClient {
        ClusterClient::connect(self.face, config).await
    }

    /// Why one cannot connect like this.
    pub(crate) async fn refusal(&self, nodes: impl IntoClusterConfig) -> Error {
        let connected = ClusterClient::can_connect(self.face, nodes).await;
        connected.expect_err("it is refused")
    }

    pub(crate) fn receiver(&self) -> Receiver {
        self.face.receiver()
    }
}

impl Deref for Case {
    type Target = clusters::Case;

    fn deref(&self) -> &clusters::Case {
        &self.case
    }
}

/// Three primaries with a replica each, which others use at the same time.
pub(crate) fn shared(binary: &Binary) -> Arc<Cluster> {
    clusters::shared(binary)
}

/// Three primaries without replicas.
pub(crate) fn primaries(binary: &Binary) -> Arc<Cluster> {
    Arc::new(Cluster::builder().binary(binary).start_or_panic())
}

/// Three primaries with a replica each.
pub(crate) fn with_replicas(binary: &Binary) -> Arc<Cluster> {
    let cluster = Cluster::builder().binary(binary).replicas(1);
    Arc::new(cluster.start_or_panic())
}

/// What a case runs on.
pub(crate) struct Setup {
    pub(crate) cluster: Arc<Cluster>,
    /// What is held as long as the case runs.
    pub(crate) held: Option<Box<dyn Any>>,
}

/// What starts a cluster, or lends one.
pub(crate) trait Start: Into<Setup> {
    /// Whether cases take so long that those of the blocking face are run on one server only: below both faces is the same.
    const TAKES_LONG: bool = false;
}

impl Start for Arc<Cluster> {}

impl From<Arc<Cluster>> for Setup {
    fn from(cluster: Arc<Cluster>) -> Self {
        let held = None;
        Self { cluster, held }
    }
}

/// Runs a case on a cluster of each of the [binaries], in alternating protocols: each is spoken with each face.
pub(crate) fn run<S: Start, F: Future<Output = ()>>(
    face: Face,
    start: impl Fn(&Binary) -> S,
    test: impl Fn(Case) -> F,
) {
    let mut protocols = Protocol::ALL.into_iter().cycle();
    if face == Face::Blocking {
        protocols.next();
    }
    let binaries = binaries();
    let skipped = match face {
        Face::Blocking if S::TAKES_LONG => binaries.len().saturating_sub(1),
        _ => 0,
    };
    for (binary, protocol) in binaries.iter().zip(protocols).skip(skipped) {
        run_on(binary, protocol, face, &start, &test);
    }
}

/// Runs a case on a cluster of this one.
pub(crate) fn run_on<S: Start, F: Future<Output = ()>>(
    binary: &Binary,
    protocol: Protocol,
    face: Face,
    start: impl Fn(&Binary) -> S,
    test: impl Fn(Case) -> F,
) {
    println!("on {binary}, {protocol:?}");
    let Setup { cluster, held } = start(binary).into();
    let case = clusters::Case { cluster, protocol };
    runtime().block_on(test(Case { case, face }));
    drop(held);
}
