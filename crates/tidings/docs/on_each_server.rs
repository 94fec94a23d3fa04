// Included by the examples of these pages, in lines that are not shown: runs them on real servers.

use std::time::Duration;

use tidings_testkit::{Protocol, Server, matrix};

fn on_each_server(example: impl Fn(&str)) {
    for binary in matrix() {
        for protocol in Protocol::ALL {
            println!("on {binary}, {protocol}");
            let server = Server::builder().binary(&binary).start_or_panic();
            example(&server.url_for(protocol));
        }
    }
}

fn run(example: impl AsyncFn(&str) -> tidings::Result<()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    on_each_server(|url| {
        let done = async { tokio::time::timeout(Duration::from_secs(20), example(url)).await };
        runtime
            .block_on(done)
            .expect("it does not wait for ever")
            .unwrap();
    });
}

fn run_blocking(example: impl Fn(&str) -> tidings::Result<()>) {
    on_each_server(|url| example(url).unwrap());
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
