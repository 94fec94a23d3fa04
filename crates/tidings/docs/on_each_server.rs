// Included by the examples of these pages, in lines that are not shown: runs them on real servers.

use std::time::Duration;

use tidings_testkit::{Cluster, Flavor, Protocol, Server, matrix};

fn on_each_server(example: impl Fn(&str)) {
    for binary in matrix() {
        for protocol in Protocol::ALL {
            println!("on {binary}, {protocol}");
            let server = Server::builder().binary(&binary).start_or_panic();
            example(&server.url_for(protocol));
        }
    }
}

/// On one of each kind, the newest, since a cluster takes seconds to start.
fn on_each_cluster(example: impl Fn(&str)) {
    for flavor in [Flavor::Redis, Flavor::Valkey] {
        let servers = matrix();
        let newest = servers.iter().filter(|binary| binary.flavor == flavor);
        let Some(binary) = newest.max_by_key(|binary| binary.version) else {
            continue;
        };
        println!("on clusters of {binary}");
        let cluster = Cluster::builder().binary(binary).replicas(1);
        let cluster = cluster.start_or_panic();
        for protocol in Protocol::ALL {
            example(&cluster.url_for(protocol));
        }
    }
}

fn awaited(example: impl AsyncFn(&str) -> tidings::Result<()>) -> impl Fn(&str) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    move |url| {
        let done = async { tokio::time::timeout(Duration::from_secs(20), example(url)).await };
        runtime
            .block_on(done)
            .expect("it does not wait for ever")
            .unwrap();
    }
}

fn run(example: impl AsyncFn(&str) -> tidings::Result<()>) {
    on_each_server(awaited(example));
}

fn run_blocking(example: impl Fn(&str) -> tidings::Result<()>) {
    on_each_server(|url| example(url).unwrap());
}

fn run_in_clusters(example: impl AsyncFn(&str) -> tidings::Result<()>) {
    on_each_cluster(awaited(example));
}

fn run_in_clusters_blocking(example: impl Fn(&str) -> tidings::Result<()>) {
    on_each_cluster(|url| example(url).unwrap());
}

/// An event in one line: its kind, its names, and its payload or its count.
fn shown(event: Option<tidings::Event>) -> String {
    use tidings::Event;
    match event {
        None => "None".to_owned(),
        Some(Event::Confirmation(c)) => format!("{} {} {}", c.kind(), c.name_str(), c.count()),
        Some(Event::Message(m)) => match m.pattern_str() {
            Some(pattern) => format!("{} {} {} {}", m.kind(), pattern, m.channel_str(), m.text()),
            None => format!("{} {} {}", m.kind(), m.channel_str(), m.text()),
        },
        Some(other) => other.kind().to_owned(),
    }
}
