//! Every command that the server runs: SPEC items MO.

mod faults;
mod raw;
mod support;

use std::error::Error as _;
use std::future::IntoFuture;
use std::net::TcpListener;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant, SystemTime};

use faults::{client_of, configured_client_of, on_each, polled, quick, soon, with_each_protocol};
use futures_core::Stream;
use raw::{Raw, Words};
use support::{QUIET, eventually};
use tidings::{
    Client, Error, ErrorKind, GapCause, Limits, Monitor, MonitorBuilder, MonitorClient,
    MonitorEvent, Result,
};
use tidings_testkit::{
    Binary, Flavor, Protocol, ScriptedConnection, ScriptedPeer, Server, Version, servers,
};

/// So long that no PING comes into a test's way.
const NEVER: Duration = Duration::from_secs(3600);

const MARK: &str = "the mark";

/// Runs `test` on every server there is in both protocols, each with a TCP port, IPv6 if there is such a thing here,
/// and a Unix socket.
fn on_all<F: Future<Output = ()>>(test: impl Fn(Server, Protocol) -> F) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    for binary in servers() {
        for protocol in Protocol::ALL {
            println!("on {binary}, {protocol:?}");
            let mut builder = Server::builder().binary(binary).unix_socket();
            if has_ipv6() {
                builder = builder.config("bind", "127.0.0.1 ::1");
            }
            let server = builder.start().expect("it starts");
            runtime.block_on(test(server, protocol));
        }
    }
}

fn has_ipv6() -> bool {
    TcpListener::bind("[::1]:0").is_ok()
}

/// Whether the server writes quotes and backslashes as they are.
fn is_raw(binary: &Binary) -> bool {
    let raw = |patch| Version {
        major: 8,
        minor: 1,
        patch,
    };
    binary.flavor == Flavor::Valkey && [raw(0), raw(1)].contains(&binary.version)
}

/// A monitor whose client has no other connection any more, and sends no PINGs.
async fn monitor_of(server: &Server, protocol: Protocol) -> Monitor {
    let config = quick(&server.url_for(protocol)).ping_interval(NEVER);
    let client = soon(Client::connect(config)).await.expect("it connects");
    soon(client.monitor()).await.expect("it monitors")
}

async fn item(monitor: &mut Monitor) -> Result<MonitorEvent> {
    soon(monitor.next()).await.expect("the stream goes on")
}

async fn event(monitor: &mut Monitor) -> MonitorEvent {
    item(monitor).await.expect("no error")
}

async fn error(monitor: &mut Monitor) -> Error {
    let item = item(monitor).await;
    item.expect_err("an error")
}

async fn assert_quiet(monitor: &mut Monitor, time: Duration) {
    let item = tokio::time::timeout(time, monitor.next()).await;
    assert!(item.is_err(), "nothing was to come, but {item:?}");
}

fn words(words: &[&str]) -> Words {
    words.iter().map(|word| word.as_bytes().to_vec()).collect()
}

/// A line's arguments, as the raw versions write them.
fn written_raw(command: &Words) -> Vec<u8> {
    let mut line = b"]".to_vec();
    for arg in command {
        line.extend(b" \"");
        for byte in arg {
            match byte {
                b'\n' => line.extend(b"\\n"),
                b'\r' => line.extend(b"\\r"),
                b'\t' => line.extend(b"\\t"),
                0x07 => line.extend(b"\\a"),
                0x08 => line.extend(b"\\b"),
                b' '..=b'~' => line.push(*byte),
                _ => line.extend(format!("\\x{byte:02x}").bytes()),
            }
        }
        line.push(b'"');
    }
    line
}

// ---- MO-01 ----

fn random_arg() -> Vec<u8> {
    const NASTY: [&[u8]; 14] = [
        b"", b" ", b"\"", b"\\", b"a\\", b"a\\\"", b"\" \"", b"x\" \"y", b"a\nb", b"\r\n", b"\0",
        b"] \"", b"\\n", b"\\x00",
    ];
    match fastrand::u32(0..4) {
        0 => NASTY[fastrand::usize(..NASTY.len())].to_vec(),
        1 => (0..fastrand::usize(..40))
            .map(|_| fastrand::u8(..))
            .collect(),
        2 => (0..fastrand::usize(..12))
            .map(|_| b"\" \\nx"[fastrand::usize(..5)])
            .collect(),
        _ => format!("plain {}", fastrand::u32(..)).into_bytes(),
    }
}

/// A command that the server runs, whatever it answers.
fn random_command() -> Words {
    let (name, least, most) = [
        ("GET", 1, 1),
        ("set", 2, 2),
        ("Echo", 1, 1),
        ("PING", 0, 1),
        ("DEL", 1, 4),
        ("MSET", 2, 2),
        ("MSET", 4, 4),
        ("HSET", 3, 3),
        ("LPUSH", 2, 6),
        ("PUBLISH", 2, 2),
        ("SETRANGE", 3, 3),
    ][fastrand::usize(..11)];
    let args = (0..fastrand::usize(least..=most)).map(|_| random_arg());
    std::iter::once(name.as_bytes().to_vec())
        .chain(args)
        .collect()
}

#[test]
fn mo_01_thousands_of_random_commands_come_exactly_in_order_and_none_is_missing() {
    const COMMANDS: usize = 5_000;
    on_all(async |server, protocol| {
        let mut monitor = monitor_of(&server, protocol).await;
        let mut raw = Raw::connect(server.socket_address());
        let mut commands: Vec<Words> = (0..COMMANDS).map(|_| random_command()).collect();
        commands.push(words(&["ECHO", MARK]));
        let address = MonitorClient::Tcp(raw.address());
        let sent = commands.clone();
        let sender = tokio::task::spawn_blocking(move || raw.run_all(&sent));
        let (mut exact, mut doubtful) = (0, 0);
        for command in &commands {
            match item(&mut monitor).await {
                Ok(event) => {
                    assert_eq!(event.command(), command);
                    assert_eq!((event.client(), event.database()), (&address, 0));
                    exact += 1;
                }
                Err(error) => {
                    assert!(is_raw(server.binary()), "{error:?}");
                    assert_eq!(error.kind(), ErrorKind::Decode);
                    let why = error.source().expect("a reason").to_string();
                    assert!(why.contains("with certainty"), "{why}");
                    let line = error.raw_payload().expect("the line");
                    assert!(line.ends_with(&written_raw(command)), "{line:?}");
                    doubtful += 1;
                }
            }
        }
        sender.await.expect("no panic");
        assert_quiet(&mut monitor, QUIET).await;
        println!("{exact} exact, {doubtful} doubtful");
        assert!(exact > COMMANDS / 20);
    });
}

#[test]
fn mo_01_on_servers_without_escapes_what_is_certain_is_shown() {
    on_all(async |server, protocol| {
        let mut monitor = monitor_of(&server, protocol).await;
        let mut raw = Raw::connect(server.socket_address());
        for (command, certain) in [
            (vec!["SET", "k", "v w"], true),
            (vec!["GET", "] ["], true),
            (vec!["mset", "k", "v"], true),
            (vec!["CLIENT", "GETNAME"], true),
            (vec!["client", "reply", "on"], true),
            (vec!["OBJECT", "ENCODING", "k"], true),
            (vec!["SET", "k", "v", "XX"], false),
            (vec!["SET", "k", "v\" \"XX"], false),
            (vec!["CLIENT", "TRACKING", "on", "NOLOOP"], false),
            (vec!["GET", "k\\n"], false),
            (vec!["GET", "k\n"], false),
        ] {
            raw.run(&command);
            match item(&mut monitor).await {
                Ok(event) => {
                    assert_eq!(event.command(), command);
                    assert!(certain || !is_raw(server.binary()), "{command:?}");
                }
                Err(error) => {
                    assert!(
                        is_raw(server.binary()) && !certain,
                        "{command:?}: {error:?}"
                    );
                    let line = error.raw_payload().expect("the line");
                    assert!(line.ends_with(&written_raw(&words(&command))), "{line:?}");
                }
            }
        }
    });
}

#[test]
fn mo_02_a_server_without_escapes_that_passes_for_another_is_known_all_the_same() {
    const DISGUISE: &str = "extended-redis-compatibility";
    on_all(async |server, protocol| {
        if server.binary().flavor != Flavor::Valkey {
            return;
        }
        server.admin(["CONFIG", "SET", DISGUISE, "yes"]);
        let hello = server.cli(["HELLO", "2"]);
        assert!(
            hello.starts_with("server\nredis\nversion\n7.2.4\n"),
            "{hello}"
        );
        let mut monitor = monitor_of(&server, protocol).await;
        let mut raw = Raw::connect(server.socket_address());
        for (command, certain) in [(["GET", "k"], true), (["GET", "k\\n"], false)] {
            raw.run(&command);
            match item(&mut monitor).await {
                Ok(event) => {
                    assert_eq!(event.command(), command);
                    assert!(certain || !is_raw(server.binary()));
                }
                Err(error) => {
                    assert!(!certain && is_raw(server.binary()), "{error:?}");
                    assert!(error.raw_payload().is_some());
                }
            }
        }
    });
}

#[test]
fn mo_01_an_event_says_when_where_and_whose_it_was() {
    on_all(async |server, protocol| {
        let mut monitor = monitor_of(&server, protocol).await;
        let mut raw = Raw::connect(server.socket_address());
        let client = MonitorClient::Tcp(raw.address());
        let before = SystemTime::now();
        raw.run(&["SET", "k", "v"]);
        let first = event(&mut monitor).await;
        // The server's clock may be a cached one, a few milliseconds old.
        let slack = Duration::from_millis(50);
        assert!(before - slack <= first.time() && first.time() <= SystemTime::now() + slack);
        assert_eq!((first.client(), first.database()), (&client, 0));
        assert_eq!(first.command(), ["SET", "k", "v"]);
        assert!(
            first
                .to_string()
                .ends_with(&format!("[0 {client}] \"SET\" \"k\" \"v\""))
        );
        // The line of SELECT is of the new database.
        raw.run(&["SELECT", "3"]);
        raw.run(&["GET", "k"]);
        for command in [vec!["SELECT", "3"], vec!["GET", "k"]] {
            let event = event(&mut monitor).await;
            assert_eq!(event.command(), command);
            assert_eq!(event.database(), 3);
            assert!(event.time() >= first.time());
        }
        let script = "return redis.call('SET', 'a', 'b c')";
        raw.run(&["EVAL", script, "0"]);
        let eval = event(&mut monitor).await;
        assert_eq!(*eval.client(), client);
        assert_eq!(eval.command(), ["EVAL", script, "0"]);
        let called = event(&mut monitor).await;
        assert_eq!(*called.client(), MonitorClient::Lua);
        assert_eq!(called.command(), ["SET", "a", "b c"]);
        assert_eq!(called.database(), 3);

        let path = server.unix_path();
        let stream = std::os::unix::net::UnixStream::connect(&path).expect("it listens");
        Raw::over(stream).run(&["GET", "k"]);
        let path = path.to_string_lossy().into_owned();
        let over_unix = event(&mut monitor).await;
        assert_eq!(*over_unix.client(), MonitorClient::Unix(path));
        assert_eq!(over_unix.command(), ["GET", "k"]);

        if has_ipv6() {
            let mut raw = Raw::connect(([0, 0, 0, 0, 0, 0, 0, 1], server.port()).into());
            assert!(raw.address().is_ipv6());
            raw.run(&["GET", "k"]);
            let over_ipv6 = event(&mut monitor).await;
            assert_eq!(*over_ipv6.client(), MonitorClient::Tcp(raw.address()));
        }
    });
}

#[test]
fn mo_01_a_large_value_comes_whole() {
    on_each(async |case| {
        let mut monitor = monitor_of(&case.server, case.protocol).await;
        let mut raw = Raw::connect(case.server.socket_address());
        // Without escapes, quotes and backslashes make a line one of several meanings, and what is no text stands
        // behind a backslash.
        let plain = |byte: &u8| matches!(byte, b' '..=b'~') && !b"\"\\".contains(byte);
        let shown = |byte: &u8| !is_raw(case.server.binary()) || plain(byte);
        let bytes = (0..3_000_000_u32).map(|n| (n % 251) as u8);
        let value: Vec<u8> = bytes.filter(shown).collect();
        raw.run(&[b"SET".as_slice(), b"k", &value]);
        raw.run(&["GET", "k"]);
        let set = event(&mut monitor).await;
        assert!(set.command() == [b"SET".as_slice(), b"k", &value]);
        assert_eq!(event(&mut monitor).await.command(), ["GET", "k"]);
    });
}

#[test]
fn mo_01_a_read_that_is_cancelled_loses_nothing_and_it_is_a_stream() {
    on_each(async |case| {
        let mut monitor = monitor_of(&case.server, case.protocol).await;
        let mut raw = Raw::connect(case.server.socket_address());
        let numbers = 0..2_000;
        let commands = numbers.clone().map(|n| words(&["GET", &n.to_string()]));
        let commands: Vec<Words> = commands.collect();
        let sender = tokio::task::spawn_blocking(move || raw.run_all(&commands));
        for n in numbers {
            let mut polls = 0;
            let item = loop {
                polls += 1;
                if let Some(item) = polled(monitor.next(), polls % 3).await {
                    break item;
                }
            };
            let event = item.expect("it goes on").expect("no error");
            assert_eq!(event.command(), ["GET".to_owned(), n.to_string()]);
        }
        sender.await.expect("no panic");
        let mut cx = Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut monitor).poll_next(&mut cx).is_pending());
    });
}

// ---- MO-02 ----

#[test]
fn mo_02_a_quiet_server_gives_nothing_for_many_ping_times_and_is_still_there() {
    on_each(async |case| {
        let config = quick(&case.url())
            .ping_interval(Duration::from_millis(10))
            .ping_timeout(support::SOON);
        let client = soon(Client::connect(config)).await.unwrap();
        let mut monitor = soon(client.monitor()).await.unwrap();
        // Its other connection asks as well, and is shown as any.
        drop(client);
        tokio::time::sleep(Duration::from_millis(50)).await;
        while soon(polled(monitor.next(), 1)).await.is_some() {}
        assert_quiet(&mut monitor, Duration::from_millis(500)).await;
        let stats = case.server.cli(["INFO", "commandstats"]);
        let pings = stats
            .lines()
            .find_map(|line| line.strip_prefix("cmdstat_ping:calls=")?.split(',').next());
        let pings: u32 = pings.expect("there were some").parse().expect("a number");
        assert!(pings > 10, "{pings}");
        // Those of others are shown, in their order.
        let mut raw = Raw::connect(case.server.socket_address());
        let asked = match is_raw(case.server.binary()) {
            // There it cannot be known that `PING "x"` is not one word.
            true => ["PING", "ECHO x", "ECHO y"],
            false => ["PING", "PING x", "ECHO y"],
        };
        for command in asked {
            raw.run(&command.split(' ').collect::<Vec<_>>());
        }
        let mut shown = Vec::new();
        while shown.len() < asked.len() {
            let event = match item(&mut monitor).await {
                Ok(event) => event,
                // `INFO "commandstats"`, from above.
                Err(error) => {
                    assert!(is_raw(case.server.binary()), "{error:?}");
                    continue;
                }
            };
            if *event.client() == MonitorClient::Tcp(raw.address()) {
                shown.push(String::from_utf8(event.command().join(&b' ')).unwrap());
            }
        }
        assert_eq!(shown, asked);
    });
}

/// Reads to the mark; what it had to say of losses before.
async fn gaps_before_the_mark(monitor: &mut Monitor) -> Vec<Error> {
    let mut gaps = Vec::new();
    loop {
        match item(monitor).await {
            Ok(event) if event.command().contains(&MARK.into()) => return gaps,
            Ok(_) => {}
            Err(error) => gaps.push(error),
        }
    }
}

fn assert_loss(errors: &[Error], since: SystemTime) {
    let [error] = errors else {
        panic!("one loss, not {errors:?}")
    };
    assert_eq!(error.kind(), ErrorKind::Connection);
    let gap = error.gap().expect("a gap");
    assert_eq!((gap.cause(), gap.dropped()), (GapCause::Disconnected, None));
    assert!(since <= gap.since() && gap.since() <= gap.until());
    assert!(gap.until() <= SystemTime::now());
}

#[test]
fn mo_02_a_lost_connection_is_one_gap_and_it_goes_on() {
    on_each(async |case| {
        let url = format!("{}&{}", case.url(), support::COUNTED);
        let config = quick(&url).ping_interval(NEVER);
        let client = soon(Client::connect(config)).await.unwrap();
        let mut monitor = soon(client.monitor()).await.unwrap();
        drop(client);
        for _ in 0..3 {
            let mut raw = Raw::connect(case.server.socket_address());
            // Two clocks are compared: one of them may have been set meanwhile, if only by a little.
            let before = SystemTime::now() - Duration::from_millis(10);
            raw.run(&["GET", MARK]);
            assert!(gaps_before_the_mark(&mut monitor).await.is_empty());
            let id = monitor_id(&case.server).expect("it is there");
            case.server.admin(["CLIENT", "KILL", "ID", &id]);
            eventually("it is back", || {
                monitor_id(&case.server).is_some_and(|new| new != id)
            })
            .await;
            raw.run(&["GET", MARK]);
            let losses = gaps_before_the_mark(&mut monitor).await;
            assert_loss(&losses, before);
            let below = losses[0].source().expect("why").to_string();
            assert!(
                below.contains("closed the connection") || below.contains("lost"),
                "{below}"
            );
        }
    });
}

/// The server's number of the monitor's connection.
fn monitor_id(server: &Server) -> Option<String> {
    let list = server.cli(["CLIENT", "LIST"]);
    let is_monitor =
        |line: &&str| line.contains(" name=counted ") && line.contains(" cmd=monitor ");
    let id = list.lines().find(is_monitor)?.split(' ').next()?;
    Some(id.trim_start_matches("id=").to_owned())
}

#[test]
fn mo_02_a_server_that_stands_still_is_noticed_and_shows_as_one_gap() {
    on_each(async |case| {
        let config = quick(&case.url())
            .ping_interval(Duration::from_millis(100))
            .ping_timeout(Duration::from_millis(100))
            .connect_timeout(Duration::from_millis(200));
        let client = soon(Client::connect(config)).await.unwrap();
        let mut monitor = soon(client.monitor()).await.unwrap();
        drop(client);
        // Heard of it was before, on a busy machine by more than the interval.
        let before = SystemTime::now() - Duration::from_secs(2);
        case.server.stop_process();
        // Not before it is noticed: there is another connection then.
        let stopped = Instant::now();
        assert_quiet(&mut monitor, Duration::from_millis(700)).await;
        case.server.continue_process();
        let loss = loop {
            match item(&mut monitor).await {
                Ok(event) => assert_ne!(event.command(), ["GET", MARK]),
                Err(error) => break error,
            }
        };
        assert!(stopped.elapsed() < Duration::from_secs(5));
        assert!(
            loss.source()
                .expect("why")
                .to_string()
                .contains("no answer to a PING"),
            "{loss:?}"
        );
        assert_loss(std::slice::from_ref(&loss), before);
        Raw::connect(case.server.socket_address()).run(&["GET", MARK]);
        assert!(gaps_before_the_mark(&mut monitor).await.is_empty());
    });
}

#[test]
fn mo_02_it_ends_when_the_attempts_are_used_up_and_says_so() {
    on_each(async |case| {
        let config = quick(&case.url()).max_attempts(2);
        let client = soon(Client::connect(config)).await.unwrap();
        let mut monitor = soon(client.monitor()).await.unwrap();
        case.server.kill();
        let last = error(&mut monitor).await;
        assert_eq!(last.kind(), ErrorKind::Connection);
        assert_eq!(last.to_string(), "given up after 2 attempts");
        assert!(soon(monitor.next()).await.is_none());
        assert!(soon(monitor.next()).await.is_none());
    });
}

#[test]
fn mo_02_dropping_it_frees_its_connection_and_its_place() {
    on_each(async |case| {
        let config = quick(&format!("{}&{}", case.url(), support::COUNTED))
            .max_own_connections(1)
            .connect_timeout(Duration::from_millis(500));
        let client = soon(Client::connect(config)).await.unwrap();
        for _ in 0..3 {
            let monitor = soon(client.monitor()).await.unwrap();
            assert_eq!(case.connections(), 2);
            let refused = soon(client.monitor()).await;
            assert!(support::error(refused).is_timeout());
            drop(monitor);
            eventually("its connection is gone", || case.connections() == 1).await;
        }
        // Nor does one that was given up while it was made keep any.
        for polls in 1..8 {
            drop(polled(client.monitor().into_future(), polls).await);
        }
        eventually("all are gone", || case.connections() == 1).await;
        drop(soon(client.monitor()).await.unwrap());
    });
}

#[test]
fn mo_02_what_a_stopped_consumer_lost_is_counted_exactly_at_its_place() {
    const COMMANDS: usize = 20_000;
    on_each(async |case| {
        let config = quick(&case.url()).ping_interval(NEVER);
        let client = soon(Client::connect(config)).await.unwrap();
        let bounds: [fn(MonitorBuilder) -> MonitorBuilder; 2] = [
            |builder| builder.queue(100, usize::MAX),
            |builder| builder.queue(usize::MAX, 20_000),
        ];
        for bound in bounds {
            let mut monitor = soon(bound(client.monitor()).into_future()).await.unwrap();
            let mut raw = Raw::connect(case.server.socket_address());
            let number = |n: usize| words(&["GET", &n.to_string()]);
            raw.run_all(&(0..COMMANDS).map(number).collect::<Vec<_>>());
            let (mut next, mut lost, mut gaps) = (0, 0, 0);
            let mut sent = COMMANDS;
            let until = Instant::now() + support::SOON;
            loop {
                assert!(Instant::now() < until, "{next} of {sent} are accounted for");
                match polled(monitor.next(), 1).await {
                    Some(Some(Ok(event))) => {
                        assert_eq!(event.command(), number(next));
                        next += 1;
                    }
                    Some(Some(Err(error))) => {
                        assert_eq!(error.kind(), ErrorKind::Overflow);
                        let gap = error.gap().expect("a gap");
                        assert_eq!(gap.cause(), GapCause::Overflow);
                        assert!(gap.since() <= gap.until());
                        let dropped = gap.dropped().expect("a number");
                        lost += dropped;
                        next += usize::try_from(dropped).expect("some");
                        gaps += 1;
                    }
                    Some(None) => panic!("the stream goes on"),
                    // All that there was is read; the last ones may have been dropped or not.
                    None if next == sent && sent > COMMANDS => break,
                    None if next == sent => {
                        raw.run_all(&[number(sent)]);
                        sent += 1;
                    }
                    None => tokio::time::sleep(Duration::from_millis(1)).await,
                }
                assert!(next <= sent);
            }
            println!("{lost} lost in {gaps} gaps");
            assert!(lost > 0 && lost < COMMANDS as u64);
        }
    });
}

/// A monitor whose connection a scripted peer has accepted.
async fn scripted(peer: &ScriptedPeer, client: &Client) -> (Monitor, ScriptedConnection) {
    let opening = tokio::spawn(client.monitor().into_future());
    let mut connection = peer.accept();
    connection.handshake();
    connection.expect(["MONITOR"]);
    connection.send("+OK\r\n");
    let monitor = soon(opening).await.expect("no panic");
    (monitor.expect("it monitors"), connection)
}

fn line(command: &str) -> String {
    format!("+1795222737.114914 [0 127.0.0.1:36698] {command}\r\n")
}

#[test]
fn mo_02_a_line_that_cannot_be_read_is_one_error_and_the_next_follows() {
    with_each_protocol(async |protocol| {
        let peer = ScriptedPeer::start();
        let (client, _commands) = client_of(&peer, protocol).await;
        let (mut monitor, mut connection) = scripted(&peer, &client).await;
        let good = line(r#""GET" "k""#);
        let unreadable = [
            line(r#""GET" "k"#),
            line(r#""GET" "\q""#),
            "+rubbish\r\n".to_owned(),
        ];
        for bad in &unreadable {
            connection.send_in_chunks(format!("{good}{bad}{good}"), 7);
            assert_eq!(event(&mut monitor).await.command(), ["GET", "k"]);
            let error = error(&mut monitor).await;
            assert_eq!(error.kind(), ErrorKind::Decode);
            assert!(error.gap().is_none());
            let line = bad.trim_start_matches('+').trim_end();
            assert_eq!(error.raw_payload().expect("the line"), line);
            assert_eq!(event(&mut monitor).await.command(), ["GET", "k"]);
        }
        assert_quiet(&mut monitor, QUIET).await;
    });
}

#[test]
fn mo_02_what_is_no_protocol_ends_the_connection_and_shows_as_a_gap() {
    with_each_protocol(async |protocol| {
        let peer = ScriptedPeer::start();
        let (client, _commands) = client_of(&peer, protocol).await;
        let (mut monitor, mut connection) = scripted(&peer, &client).await;
        let good = line(r#""GET" "k""#);
        connection.send(format!("{good}:1\r\n{good}"));
        assert_eq!(event(&mut monitor).await.command(), ["GET", "k"]);
        let mut again = peer.accept();
        again.handshake();
        again.expect(["MONITOR"]);
        again.send(format!("+OK\r\n{good}"));
        let error = error(&mut monitor).await;
        assert_eq!(error.gap().expect("a gap").cause(), GapCause::Disconnected);
        assert!(faults::chain(&error).contains("protocol"), "{error:?}");
        assert_eq!(event(&mut monitor).await.command(), ["GET", "k"]);
    });
}

#[test]
fn mo_02_a_line_beyond_the_limits_ends_the_connection_and_shows_as_a_gap() {
    with_each_protocol(async |protocol| {
        let peer = ScriptedPeer::start();
        let mut limits = Limits::default();
        limits.line = 1_000;
        let config = quick(&peer.url_for(protocol)).limits(limits);
        let (client, _commands) = configured_client_of(&peer, config).await;
        let (mut monitor, mut connection) = scripted(&peer, &client).await;
        let longest = 1_000 - (line("").len() - "+\r\n".len()) - r#""GET" """#.len();
        for (len, fits) in [(longest, true), (longest + 1, false)] {
            let key = "k".repeat(len);
            connection.send(line(&format!(r#""GET" "{key}""#)));
            if fits {
                assert_eq!(event(&mut monitor).await.command(), ["GET", &key]);
            }
        }
        let mut again = peer.accept();
        again.handshake();
        again.expect(["MONITOR"]);
        again.send(format!("+OK\r\n{}", line(r#""GET" "k""#)));
        assert!(error(&mut monitor).await.gap().is_some());
        assert_eq!(event(&mut monitor).await.command(), ["GET", "k"]);
    });
}

#[test]
fn mo_02_a_refusal_fails_the_first_time_and_later_is_told_once_and_asked_again() {
    with_each_protocol(async |protocol| {
        let peer = ScriptedPeer::start();
        let config = quick(&peer.url_for(protocol));
        let (client, _commands) = configured_client_of(&peer, config).await;
        let refuse = |connection: &mut ScriptedConnection| {
            connection.handshake();
            connection.expect(["MONITOR"]);
            connection.send("-NOPERM this user has no permissions\r\n");
        };
        let opening = tokio::spawn(client.monitor().into_future());
        let mut connection = peer.accept();
        refuse(&mut connection);
        let refused = support::error(soon(opening).await.expect("no panic"));
        assert!(refused.is_no_permission(), "{refused:?}");
        assert_eq!(refused.kind(), ErrorKind::Server);
        connection.expect_close();

        let (mut monitor, connection) = scripted(&peer, &client).await;
        connection.close();
        for _ in 0..3 {
            refuse(&mut peer.accept());
        }
        let mut again = peer.accept();
        again.handshake();
        again.expect(["MONITOR"]);
        again.send(format!("+OK\r\n{}", line(r#""GET" "k""#)));
        assert!(error(&mut monitor).await.is_no_permission());
        let lost = error(&mut monitor).await;
        assert_eq!(lost.gap().expect("a gap").cause(), GapCause::Disconnected);
        assert_eq!(event(&mut monitor).await.command(), ["GET", "k"]);
    });
}

#[test]
fn mo_02_it_ends_with_its_runtime_and_says_so() {
    let server = Server::start();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let mut monitor = runtime.block_on(monitor_of(&server, Protocol::Resp3));
    drop(runtime);
    let mut cx = Context::from_waker(Waker::noop());
    let mut next = || Pin::new(&mut monitor).poll_next(&mut cx);
    let Poll::Ready(Some(Err(error))) = next() else {
        panic!("an error")
    };
    assert_eq!(error.kind(), ErrorKind::Closed);
    assert!(matches!(next(), Poll::Ready(None)));
}
