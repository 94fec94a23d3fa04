//! What the tests on real clusters share.
#![allow(dead_code, reason = "each test file uses its own part of it")]

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use tidings::{ClusterClient, Config};
use tidings_testkit::{Binary, Cluster, ClusterBuilder, Flavor, Protocol, matrix};
use tokio::runtime::{Builder, Runtime};

/// A cluster, and the protocol to speak to it.
pub(crate) struct Case {
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) protocol: Protocol,
}

impl Case {
    pub(crate) fn config(&self) -> Config {
        let config = Config::from_url(&self.cluster.url_for(self.protocol)).expect("a URL");
        config.backoff(Duration::from_millis(5), Duration::from_millis(200))
    }

    pub(crate) async fn client(&self) -> ClusterClient {
        self.client_with(self.config()).await
    }

    pub(crate) async fn client_with(&self, config: Config) -> ClusterClient {
        let client = ClusterClient::connect(config).await;
        client.expect("the cluster takes connections")
    }
}

/// The oldest and the newest Redis and the newest Valkey of those that tests run on: a cluster of each takes its time.
pub(crate) fn binaries() -> Vec<Binary> {
    let all = matrix();
    let of = |flavor| {
        let mut binaries: Vec<&Binary> = all.iter().filter(|it| it.flavor == flavor).collect();
        binaries.sort_by_key(|binary| binary.version);
        binaries
    };
    let (redis, valkey) = (of(Flavor::Redis), of(Flavor::Valkey));
    let mut chosen: Vec<&Binary> = redis.first().into_iter().copied().collect();
    if redis.len() > 1 {
        chosen.extend(redis.last());
    }
    chosen.extend(valkey.last());
    chosen.into_iter().cloned().collect()
}

/// Runs a test on a cluster that others use at the same time: three primaries with a replica each, which nobody changes.
pub(crate) fn on_each_shared<F: Future<Output = ()>>(test: impl Fn(Case) -> F) {
    for binary in binaries() {
        for protocol in Protocol::ALL {
            println!("on {binary}, {protocol:?}");
            let cluster = shared(&binary);
            runtime().block_on(test(Case { cluster, protocol }));
        }
    }
}

/// Runs a test on a cluster of its own for each server, alternating the protocols.
pub(crate) fn on_each_own<F: Future<Output = ()>>(
    build: impl Fn(ClusterBuilder) -> ClusterBuilder,
    test: impl Fn(Case) -> F,
) {
    for (binary, protocol) in binaries().iter().zip(Protocol::ALL.into_iter().cycle()) {
        println!("on {binary}, {protocol:?}");
        let cluster = build(Cluster::builder().binary(binary)).start_or_panic();
        let cluster = Arc::new(cluster);
        runtime().block_on(test(Case { cluster, protocol }));
    }
}

/// One that all tests of a process share, which nobody changes.
pub(crate) fn shared(binary: &Binary) -> Arc<Cluster> {
    static CLUSTERS: LazyLock<Mutex<HashMap<String, Arc<Cluster>>>> = LazyLock::new(Mutex::default);
    let mut clusters = CLUSTERS.lock().unwrap_or_else(PoisonError::into_inner);
    let cluster = clusters.entry(binary.to_string()).or_insert_with(|| {
        let cluster = Cluster::builder().binary(binary).replicas(1);
        Arc::new(cluster.start_or_panic())
    });
    Arc::clone(cluster)
}

pub(crate) fn runtime() -> Runtime {
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    runtime.expect("a runtime")
}
