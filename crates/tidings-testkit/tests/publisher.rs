//! Publisher, proxy and checker together: a plain subscriber's losses are seen, and only they.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};

use tidings_testkit::{Checker, Direction, Proxy, Publisher, Server, Violation, matrix};

/// A subscriber of RESP2 that does nothing for its own good.
struct PlainSubscriber {
    stream: BufReader<TcpStream>,
}

impl PlainSubscriber {
    fn subscribe(address: &str, channel: &str) -> Self {
        let mut stream = BufReader::new(TcpStream::connect(address).unwrap());
        stream
            .get_mut()
            .write_all(format!("SUBSCRIBE {channel}\r\n").as_bytes())
            .unwrap();
        let mut subscriber = Self { stream };
        assert_eq!(subscriber.words().unwrap()[0], "subscribe");
        subscriber
    }

    /// The next frame's words; `None` at the end.
    fn words(&mut self) -> Option<Vec<String>> {
        let count: usize = self.line()?.strip_prefix('*')?.parse().ok()?;
        (0..count).map(|_| self.word()).collect()
    }

    fn word(&mut self) -> Option<String> {
        let line = self.line()?;
        let Some(length) = line.strip_prefix('$') else {
            return Some(line);
        };
        let mut bytes = vec![0; length.parse::<usize>().ok()? + 2];
        self.stream.read_exact(&mut bytes).ok()?;
        Some(String::from_utf8_lossy(bytes.strip_suffix(b"\r\n")?).into_owned())
    }

    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        self.stream.read_line(&mut line).ok()?;
        Some(line.strip_suffix("\r\n")?.to_owned())
    }

    /// Tells the checker of all messages up to the end of the connection.
    fn drain_into(&mut self, checker: &mut Checker) {
        while let Some(words) = self.words() {
            checker.on_payload(&words[1], &words[2]);
        }
    }

    fn read_into(&mut self, checker: &mut Checker, count: usize) {
        for _ in 0..count {
            let words = self.words().expect("a message");
            checker.on_payload(&words[1], &words[2]);
        }
    }
}

#[test]
fn an_undisturbed_subscriber_gets_everything() {
    for binary in matrix() {
        let server = Server::builder()
            .binary(&binary)
            .password("pw")
            .start_or_panic();
        server.admin(["CONFIG", "SET", "requirepass", ""]);
        let mut subscriber = PlainSubscriber::subscribe(&server.address(), "a");
        server.admin(["CONFIG", "SET", "requirepass", "pw"]);
        let publisher = Publisher::to(&server)
            .channels(["a", "b"])
            .rate(20_000)
            .payload_size(16)
            .start();
        publisher.await_more(500);
        let published = publisher.stop();
        let mut checker = Checker::new();
        while !checker.has_reached(&published.only(["a"])) {
            subscriber.read_into(&mut checker, 1);
        }
        checker.finish(&published.only(["a"])).assert_passed();
        let (_, of_a) = published.channels().next().unwrap();
        let all = of_a.acknowledged;
        assert_eq!(of_a.receivers.iter().collect::<Vec<_>>(), [(&1, &all)]);
        assert!(published.last("a") - published.last("b") <= 1);
    }
}

#[test]
fn a_subscriber_that_was_cut_off_is_caught_unless_it_tells() {
    let server = Server::start();
    let proxy = Proxy::to(&server);
    let run = |tells: bool| {
        let mut subscriber = PlainSubscriber::subscribe(&proxy.address(), "a");
        let publisher = Publisher::to(&server).channels(["a"]).rate(5_000).start();
        let mut checker = Checker::new();
        subscriber.read_into(&mut checker, 20);
        proxy.cut_after(1_000); // in the middle of a message
        subscriber.drain_into(&mut checker);
        server.await_subscribers("a", 0);
        publisher.await_more(10);
        let mut subscriber = PlainSubscriber::subscribe(&proxy.address(), "a");
        if tells {
            checker.on_gap(["a"]);
        }
        publisher.await_more(10);
        let published = publisher.stop();
        while !checker.has_reached(&published) {
            subscriber.read_into(&mut checker, 1);
        }
        checker.finish(&published)
    };
    let silent = run(false);
    assert!(
        matches!(silent.violations(), [Violation::UncoveredLoss { .. }]),
        "{silent}"
    );
    let honest = run(true);
    honest.assert_passed();
    assert!(honest.lost >= 10, "{honest}");
}

#[test]
fn a_publisher_lives_through_restarts_and_knows_what_it_does_not_know() {
    let server = Server::start();
    let publisher = Publisher::to(&server).channels(["a"]).start();
    for _ in 0..3 {
        publisher.await_more(50);
        server.restart();
    }
    publisher.await_more(50);
    let published = publisher.stop();
    let (_, of_a) = published.channels().next().unwrap();
    assert_eq!(
        of_a.last,
        of_a.acknowledged + of_a.unacknowledged.len() as u64
    );
    assert!(of_a.acknowledged >= 200);
    assert!(
        of_a.unacknowledged.len() <= 3,
        "at most one a restart: {of_a:?}"
    );
}

#[test]
fn a_number_that_was_refused_is_tried_again() {
    let server = Server::start();
    let publisher = Publisher::to(&server).channels(["a"]).start();
    publisher.await_more(10);
    server.admin(["ACL", "SETUSER", "default", "-publish"]);
    let before = publisher.acknowledged();
    server.admin(["ACL", "SETUSER", "default", "+publish"]);
    publisher.await_more(10);
    let published = publisher.stop();
    assert!(published.last("a") > before);
    let (_, of_a) = published.channels().next().unwrap();
    assert_eq!(
        (of_a.acknowledged, of_a.unacknowledged.len()),
        (of_a.last, 0)
    );
}

#[test]
fn a_publisher_stops_though_the_server_stands_still() {
    let server = Server::start();
    let proxy = Proxy::to(&server);
    let publisher = Publisher::at(proxy.address()).channels(["a"]).start();
    publisher.await_more(10);
    proxy.silence(Direction::ToClient);
    tidings_testkit::eventually("a number waits for its answer", || {
        let statistics = server.cli(["INFO", "commandstats"]);
        let calls = statistics.split("cmdstat_publish:calls=").nth(1).unwrap();
        let calls: u64 = calls.split(',').next().unwrap().parse().unwrap();
        calls > publisher.acknowledged()
    });
    let published = publisher.stop();
    let (_, of_a) = published.channels().next().unwrap();
    assert_eq!(
        of_a.unacknowledged.iter().copied().collect::<Vec<_>>(),
        [of_a.last]
    );
}

#[test]
fn shard_channels_are_published_too() {
    for binary in matrix() {
        let server = Server::builder().binary(&binary).start_or_panic();
        let mut stream = TcpStream::connect(server.address()).unwrap();
        stream.write_all(b"SSUBSCRIBE s\r\n").unwrap();
        tidings_testkit::eventually("the shard channel is subscribed", || {
            server.admin(["PUBSUB", "SHARDNUMSUB", "s"]).elements()[1].integer() == Some(1)
        });
        let publisher = Publisher::to(&server).channels(["s"]).sharded().start();
        publisher.await_more(3);
        let _ = publisher.stop();
        server.admin(["CLIENT", "KILL", "TYPE", "pubsub"]);
        let mut all = String::new();
        stream.read_to_string(&mut all).unwrap();
        let _ = stream.shutdown(Shutdown::Both);
        assert!(
            all.contains("$8\r\nsmessage\r\n$1\r\ns\r\n$1\r\n3\r\n"),
            "{all}"
        );
    }
}
