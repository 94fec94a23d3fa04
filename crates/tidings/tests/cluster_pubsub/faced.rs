//! Cases on clusters that are written once and hold for both faces.
#![allow(dead_code, reason = "written before all of its uses")]

use std::ops::Deref;
use std::sync::Arc;

use tidings::Config;
use tidings_testkit::{Binary, Cluster, Protocol};

use crate::clusters::{self, binaries, runtime};
use crate::faces::Face;
use crate::faces::cluster::ClusterClient;
use crate::lent::Lent;

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
    cluster: Arc<Cluster>,
    /// The cluster is others' afterwards.
    lent: Option<Lent>,
}

impl From<Arc<Cluster>> for Setup {
    fn from(cluster: Arc<Cluster>) -> Self {
        let lent = None;
        Self { cluster, lent }
    }
}

impl From<Lent> for Setup {
    fn from(lent: Lent) -> Self {
        let cluster = lent.cluster();
        let lent = Some(lent);
        Self { cluster, lent }
    }
}

/// Runs a case on a cluster of each of the [binaries], in alternating protocols: each is spoken with each face.
pub(crate) fn run<S: Into<Setup>, F: Future<Output = ()>>(
    face: Face,
    start: impl Fn(&Binary) -> S,
    test: impl Fn(Case) -> F,
) {
    let mut protocols = Protocol::ALL.into_iter().cycle();
    if face == Face::Blocking {
        protocols.next();
    }
    for (binary, protocol) in binaries().iter().zip(protocols) {
        run_on(binary, protocol, face, &start, &test);
    }
}

/// Runs a case on a cluster of this one.
pub(crate) fn run_on<S: Into<Setup>, F: Future<Output = ()>>(
    binary: &Binary,
    protocol: Protocol,
    face: Face,
    start: impl Fn(&Binary) -> S,
    test: impl Fn(Case) -> F,
) {
    println!("on {binary}, {protocol:?}");
    let Setup { cluster, lent } = start(binary).into();
    let case = clusters::Case { cluster, protocol };
    runtime().block_on(test(Case { case, face }));
    drop(lent);
}
