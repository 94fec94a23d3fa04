//! TLS, users and passwords, and peers that send anything: SPEC items SE.

mod faults;
mod support;

use std::fmt::Debug;
use std::fs;
use std::time::Duration;

use faults::{
    accept_subscriber, chain, client_of, confirm, on_each_started, pubsub_of, quick, read_to_gap,
    shown, soon, with_each_protocol,
};
use support::{error, next, short};
use tidings::{Client, Commands, Config, ErrorKind};
use tidings_testkit::{Binary, Protocol, ScriptedPeer, Server, frame};

const SECRET: &str = "s3cr3t-w0rd/%";

/// An error, the ways it is printed, and all below it.
fn printed(error: &tidings::Error) -> String {
    format!("{error} {error:?} {error:#?} {}", chain(error))
}

fn assert_hidden(what: &str, shown: &str) {
    for secret in [SECRET, "s3cr3t", "cjNjcjN0"] {
        assert!(
            !shown.contains(secret),
            "{what} shows the password: {shown}"
        );
    }
}

fn assert_hidden_in<T: Debug>(what: T) {
    assert_hidden("Debug", &format!("{what:?} {what:#?}"));
}

fn with_passwords(binary: &Binary) -> Server {
    Server::builder()
        .binary(binary)
        .password(SECRET)
        .user(format!("app on >{SECRET} ~* &news +@all"))
        .start_or_panic()
}

#[test]
fn se_01_passwords_and_users_are_taken_and_wrong_ones_are_authentication_errors() {
    on_each_started(with_passwords, async |case| {
        let protocol = format!("?protocol={}", case.protocol.number());
        let client = Client::connect(quick(&case.url())).await.unwrap();
        assert_eq!(
            client
                .run::<String>(tidings::cmd("ACL").arg("WHOAMI"))
                .await
                .unwrap(),
            "default"
        );
        assert_hidden_in(&client);

        let url = format!("{}{protocol}", case.server.url_as("app", SECRET));
        let config = quick(&url);
        assert_hidden_in(&config);
        let client = Client::connect(config).await.unwrap();
        assert_eq!(
            client
                .run::<String>(tidings::cmd("ACL").arg("WHOAMI"))
                .await
                .unwrap(),
            "app"
        );
        assert_hidden_in(client.pubsub());
        let mut pubsub = client.pubsub().channels("news").await.unwrap();
        assert_hidden_in(&pubsub);
        assert_eq!(short(&next(&mut pubsub).await), "subscribe news 1");
        let refused = pubsub.subscribe("other").await.unwrap_err();
        assert!(
            refused.is_no_permission() && refused.to_string().contains("other"),
            "{refused}"
        );
        assert_hidden("the refusal", &printed(&refused));

        let right = quick(&case.url());
        for (what, config) in [
            (
                "a wrong password",
                right.clone().password(format!("{SECRET}{SECRET}")),
            ),
            (
                "a wrong user",
                right.clone().username("nobody").password(SECRET),
            ),
            (
                "a wrong password of a user",
                right.clone().username("app").password("s3cr3t"),
            ),
            (
                "no password",
                quick(&format!("redis://{}{protocol}", case.server.address())),
            ),
        ] {
            let refused = error(Client::connect(config).await);
            assert_eq!(
                refused.kind(),
                ErrorKind::Authentication,
                "{what}: {refused:?}"
            );
            let code = refused.code();
            assert!(
                matches!(code, Some("WRONGPASS" | "NOAUTH")),
                "{what}: {refused:?}"
            );
            assert!(
                refused.to_string().contains(&case.server.address()),
                "{what}: {refused}"
            );
            assert_hidden(what, &printed(&refused));
        }
    });
}

#[test]
fn se_01_a_password_that_is_changed_later_shows_as_the_reason_and_not_as_itself() {
    on_each_started(with_passwords, async |case| {
        let client = Client::connect(quick(&case.url()).max_attempts(2))
            .await
            .unwrap();
        let mut pubsub = client.pubsub().channels("news").await.unwrap();
        next(&mut pubsub).await;
        case.server
            .admin(["CONFIG", "SET", "requirepass", "another"]);
        case.server.admin(["CLIENT", "KILL", "TYPE", "pubsub"]);
        let ended = soon(pubsub.next()).await.unwrap().unwrap_err();
        assert!(
            chain(&ended).starts_with("given up after 2 attempts: "),
            "{}",
            chain(&ended)
        );
        assert!(chain(&ended).contains("WRONGPASS"), "{}", chain(&ended));
        assert_hidden("the end", &printed(&ended));
    });
}

#[test]
fn se_01_urls_that_are_wrong_say_so_without_the_password() {
    for url in [
        "http://:s3cr3t@localhost",
        "redis:/:s3cr3t@localhost",
        "s3cr3t@localhost",
        "localhost:s3cr3t",
        "redis://:s3cr3t@",
        "redis://:s3cr3t@localhost:port",
        "redis://:s3cr3t@localhost:99999",
        "redis://localhost:s3cr3t",
        "redis://:s3cr3t@localhost/zero",
        "redis://:s3cr3t@localhost/-1",
        "redis://:s3cr3t@localhost?protocol=4",
        "redis://:s3cr3t@localhost?unknown=s3cr3t",
        "redis://:s3cr3t@localhost?ping_interval=s3cr3t",
        "redis://s3cr3t@localhost",
        "redis://user:s3cr3t%zz@localhost",
        "redis://user:s3cr3t@local host",
        "redis://user:s3cr3t@[::1",
        "redis://user:s3cr3t:more@localhost:1:2",
        "unix://",
        "",
    ] {
        // What a setter might still add is refused at the end.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let refused = error(runtime.block_on(Client::connect(url)));
        assert_eq!(refused.kind(), ErrorKind::Config, "{url}: {refused:?}");
        assert!(refused.to_string().len() > 20, "{url}: {refused}");
        assert_hidden(url, &printed(&refused));
        if let Ok(config) = Config::from_url(url) {
            assert_hidden_in(config);
        }
    }
}

/// What the library logs, as text.
mod logged {
    use std::fmt::{Debug, Write};
    use std::sync::{Arc, Mutex};

    use tracing::field::{Field, Visit};
    use tracing::span::{Attributes, Id, Record};
    use tracing::{Event, Metadata, Subscriber};

    #[derive(Clone, Default)]
    pub(crate) struct Log(Arc<Mutex<String>>);

    struct Line<'a>(&'a mut String);

    impl Visit for Line<'_> {
        fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
            let _ = write!(self.0, "{}={value:?} ", field.name());
        }
    }

    impl Log {
        pub(crate) fn text(&self) -> String {
            self.0.lock().unwrap().clone()
        }
    }

    impl Subscriber for Log {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }

        fn new_span(&self, span: &Attributes<'_>) -> Id {
            span.record(&mut Line(&mut self.0.lock().unwrap()));
            Id::from_u64(1)
        }

        fn record(&self, _: &Id, values: &Record<'_>) {
            values.record(&mut Line(&mut self.0.lock().unwrap()));
        }

        fn record_follows_from(&self, _: &Id, _: &Id) {}

        fn event(&self, event: &Event<'_>) {
            let mut text = self.0.lock().unwrap();
            event.record(&mut Line(&mut text));
            text.push('\n');
        }

        fn enter(&self, _: &Id) {}

        fn exit(&self, _: &Id) {}
    }
}

#[test]
fn se_01_logs_tell_of_losses_and_failed_attempts_without_the_password() {
    // On one thread, which is the one whose log is read.
    support::on_each_started(with_passwords, async |case| {
        let log = logged::Log::default();
        // While there is but one, threads of other tests decide for it what is logged at all.
        let _second = tracing::Dispatch::new(logged::Log::default());
        let _reading = tracing::subscriber::set_default(log.clone());
        let client = Client::connect(quick(&case.url())).await.unwrap();
        let mut pubsub = client.pubsub().channels("news").await.unwrap();
        next(&mut pubsub).await;
        case.server
            .admin(["CONFIG", "SET", "requirepass", "another"]);
        case.server.admin(["CLIENT", "KILL", "TYPE", "pubsub"]);
        faults::until("an attempt has failed", || {
            pubsub.last_connect_error().is_some()
        })
        .await;
        case.server.admin(["CONFIG", "SET", "requirepass", SECRET]);
        read_to_gap(&mut pubsub).await;
        let text = log.text();
        for part in [
            "connection lost",
            "attempt to connect failed",
            "connected again",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert!(text.contains("WRONGPASS"), "{text}");
        assert_hidden("the log", &text);
    });
}

#[cfg(feature = "tls")]
mod tls {
    use super::*;
    use tidings::TlsConfig;

    fn with_tls(binary: &Binary) -> Server {
        Server::builder()
            .binary(binary)
            .password(SECRET)
            .tls()
            .start_or_panic()
    }

    fn trusting(server: &Server) -> TlsConfig {
        TlsConfig::new().root_certificates_pem(server.tls_ca_pem())
    }

    #[test]
    fn se_01_everything_works_over_tls_and_recovers() {
        on_each_started(with_tls, async |case| {
            let root = case.server.certificates().ca_path().display().to_string();
            let by_url = quick(&format!("{}&tls_ca={root}", case.url()));
            for config in [quick(&case.url()).tls(trusting(&case.server)), by_url] {
                assert_hidden_in(&config);
                let client = Client::connect(config).await.unwrap();
                assert_hidden_in(&client);
                let large = "x".repeat(1 << 20);
                client.set("large", &large).await.unwrap();
                assert_eq!(client.get::<String>("large").await.unwrap(), large);
                let mut pubsub = client.pubsub().channels("news").await.unwrap();
                assert_eq!(client.publish("news", &large).await.unwrap(), 1);
                assert_eq!(short(&next(&mut pubsub).await), "subscribe news 1");
                assert_eq!(next(&mut pubsub).await.message().unwrap().text(), large);
                case.server.admin(["CLIENT", "KILL", "TYPE", "pubsub"]);
                assert_eq!(
                    shown(&read_to_gap(&mut pubsub).await),
                    ["subscribe news 1", "gap Disconnected"]
                );
                assert_eq!(client.publish("news", "again").await.unwrap(), 1);
                assert_eq!(short(&next(&mut pubsub).await), "message news again");
            }
        });
    }

    #[test]
    fn se_01_a_root_that_did_not_sign_the_servers_certificate_is_refused() {
        let other = Server::builder().tls().start_or_panic();
        on_each_started(with_tls, async |case| {
            for tls in [trusting(&other), TlsConfig::new()] {
                let config = quick(&case.url()).tls(tls);
                let refused = error(Client::connect(config).await);
                // A system without any trusted certificate says that.
                let why = match refused.kind() {
                    ErrorKind::Config => "trusted certificates",
                    _ => "not trusted here",
                };
                assert!(refused.to_string().contains(why), "{refused}");
                assert!(refused.to_string().contains("tls_ca="), "{refused}");
                assert_hidden("the refusal", &printed(&refused));
            }
        });
    }

    #[test]
    fn se_01_a_client_certificate_is_shown_where_one_is_asked_for() {
        let start = |binary: &Binary| {
            let builder = Server::builder().binary(binary);
            builder.tls_with_client_certificates().start_or_panic()
        };
        on_each_started(start, async |case| {
            let certificates = case.server.certificates();
            let identity = trusting(&case.server)
                .client_certificate_pem(certificates.client_pem(), certificates.client_key_pem());
            assert_hidden_in(&identity);
            assert!(!format!("{identity:?}").contains("PRIVATE"));
            let client = Client::connect(quick(&case.url()).tls(identity))
                .await
                .unwrap();
            soon(client.ping()).await.unwrap();

            let anonymous = quick(&case.url()).tls(trusting(&case.server));
            let refused = error(Client::connect(anonymous).await);
            assert_eq!(refused.kind(), ErrorKind::Connection, "{refused:?}");
            let text = chain(&refused);
            assert!(text.contains("asks for a client's certificate"), "{text}");
        });
    }

    #[test]
    fn se_01_the_wrong_scheme_for_a_port_is_named() {
        on_each_started(with_tls, async |case| {
            let protocol = case.protocol.number();
            let plain = case.server.address();
            let url = format!("rediss://:s3cr3t@{plain}?protocol={protocol}");
            // It waits for the end of a line in what it takes for a command.
            let config = quick(&url)
                .tls(trusting(&case.server))
                .connect_timeout(Duration::from_millis(200));
            let refused = error(Client::connect(config).await);
            assert!(
                refused.to_string().contains("write redis:// for rediss://"),
                "{refused}"
            );
            assert_hidden("the refusal", &printed(&refused));

            let port = case.server.tls_port();
            let url = format!("redis://:s3cr3t@127.0.0.1:{port}?protocol={protocol}");
            let refused = error(Client::connect(quick(&url)).await);
            assert!(refused.to_string().contains("rediss://"), "{refused:?}");
            assert_hidden("the refusal", &printed(&refused));
        });
    }
}

/// What a peer may send that is no answer, and whether that can be told from it alone.
fn nonsense() -> Vec<(&'static str, Vec<u8>, bool)> {
    let line = |text: &str| text.as_bytes().to_vec();
    vec![
        ("no type", line("!!!garbage\r\n"), true),
        ("a word", line("hello\r\n"), true),
        ("zeros", vec![0; 100], true),
        ("no UTF-8", vec![0xff; 100], true),
        ("a TLS hello", vec![0x16, 3, 1, 0, 5, 1], true),
        ("a bulk beyond all limits", line("$9999999999\r\n"), true),
        (
            "a bulk beyond all numbers",
            line("$99999999999999999999999\r\n"),
            true,
        ),
        ("a bulk of less than nothing", line("$-5\r\n"), true),
        ("a bulk without a length", line("$\r\n"), true),
        ("a bulk of another length", line("$2\r\nhello\r\n"), true),
        (
            "a large bulk that does not come",
            line("$500000000\r\nabc"),
            false,
        ),
        ("an array beyond all limits", line("*9999999999\r\n"), true),
        (
            "an array that does not come",
            line("*1000000000\r\n"),
            false,
        ),
        ("a map that does not come", line("%1000000000\r\n"), false),
        ("arrays in arrays", line(&"*1\r\n".repeat(100_000)), true),
        (
            "large arrays in large arrays",
            line(&"*100000000\r\n".repeat(50)),
            false,
        ),
        (
            "maps in pushes",
            line(&format!(">1\r\n{}", "%1\r\n+k\r\n".repeat(10_000))),
            true,
        ),
        ("a number that is none", line(":12x\r\n"), true),
        ("a line that never ends", vec![b'+'; 300_000], false),
    ]
}

/// All the memory that this process has ever reserved.
fn reserved() -> u64 {
    let Ok(status) = fs::read_to_string("/proc/self/status") else {
        return 0;
    };
    let line = status.lines().find_map(|line| line.strip_prefix("VmPeak:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
    kib.expect("a figure in kB") * 1024
}

/// Runs `test`, and holds what is reserved meanwhile to a bound. Threads of other tests reserve their stacks and
/// arenas at the same time.
fn within_bounds(test: impl FnOnce()) {
    let before = reserved();
    test();
    let grown = (reserved() - before) >> 20;
    assert!(grown < 400, "{grown} MiB were reserved");
}

#[test]
fn se_02_nonsense_in_the_place_of_a_reply_fails_that_command_and_the_next_connection_works() {
    within_bounds(|| {
        with_each_protocol(async |protocol| {
            let peer = ScriptedPeer::start();
            let (client, mut connection) = client_of(&peer, protocol).await;
            for (what, bytes, is_certain) in nonsense() {
                let asking = {
                    let client = client.clone();
                    tokio::spawn(async move { client.echo::<String>("a").await })
                };
                connection.expect(["ECHO", "a"]);
                let _ = connection.try_send(&bytes);
                if is_certain {
                    connection = {
                        let next = peer.accept();
                        drop(connection);
                        next
                    };
                } else {
                    connection.close();
                    connection = peer.accept();
                }
                let failed = soon(asking).await.unwrap().unwrap_err();
                let kind = if is_certain {
                    ErrorKind::Protocol
                } else {
                    ErrorKind::Connection
                };
                assert_eq!(failed.kind(), kind, "{what}: {failed:?}");
                assert!(failed.may_have_run(), "{what}: {failed:?}");
                connection.handshake();
                assert_works(&client, &mut connection, what).await;
            }
        });
    });
}

async fn assert_works(
    client: &Client,
    connection: &mut tidings_testkit::ScriptedConnection,
    what: &str,
) {
    let asking = {
        let client = client.clone();
        tokio::spawn(async move { client.echo::<String>("works").await })
    };
    connection.expect(["ECHO", "works"]);
    connection.send(frame::bulk("works"));
    assert_eq!(
        soon(asking).await.unwrap().unwrap(),
        "works",
        "after {what}"
    );
}

#[test]
fn se_02_replies_that_nobody_asked_for_end_the_connection_and_answer_nothing() {
    with_each_protocol(async |protocol| {
        let peer = ScriptedPeer::start();
        let (client, mut connection) = client_of(&peer, protocol).await;
        for unasked in [
            frame::simple("OK"),
            frame::bulk("x"),
            frame::error("ERR no"),
            frame::integer(7),
        ] {
            connection.send(&unasked);
            connection.expect_close();
            connection = peer.accept();
            connection.handshake();
            assert_works(
                &client,
                &mut connection,
                &format!("{}", unasked.escape_ascii()),
            )
            .await;
        }
        // Behind the reply that was asked for, in one packet.
        let asking = {
            let client = client.clone();
            tokio::spawn(async move { client.echo::<String>("one").await })
        };
        connection.expect(["ECHO", "one"]);
        connection.send([frame::bulk("one"), frame::bulk("two")].concat());
        assert_eq!(soon(asking).await.unwrap().unwrap(), "one");
        connection.expect_close();
        let mut connection = peer.accept();
        connection.handshake();
        assert_works(&client, &mut connection, "two replies").await;
    });
}

#[test]
fn se_02_nonsense_among_messages_is_a_loss_with_a_gap_and_the_next_connection_works() {
    within_bounds(|| {
        with_each_protocol(async |protocol| {
            let peer = ScriptedPeer::start();
            let (client, _commands) = client_of(&peer, protocol).await;
            let (mut pubsub, mut connection) =
                pubsub_of(&peer, protocol, client.pubsub(), &["ch"]).await;
            let text = |text: &str| text.as_bytes().to_vec();
            let mut cases = nonsense();
            cases.extend([
                (
                    "a message without a payload",
                    text("*2\r\n$7\r\nmessage\r\n$2\r\nch\r\n"),
                    true,
                ),
                (
                    "a confirmation of nothing",
                    frame::confirmation(protocol, "subscribe", "other", 2),
                    true,
                ),
                (
                    "an end that nobody asked for",
                    frame::confirmation(protocol, "unsubscribe", "ch", 0),
                    true,
                ),
                ("a reply", frame::simple("OK"), true),
                (
                    "a message announced in full",
                    text("*3\r\n$7\r\nmessage\r\n$2\r\nch\r\n$400000000\r\n"),
                    false,
                ),
            ]);
            for (what, bytes, is_certain) in cases {
                connection.send(frame::message(protocol, "ch", what));
                let _ = connection.try_send(&bytes);
                if is_certain {
                    let next = accept_subscriber(&peer, protocol, &["ch"]);
                    drop(std::mem::replace(&mut connection, next));
                } else {
                    connection.close();
                    connection = accept_subscriber(&peer, protocol, &["ch"]);
                }
                confirm(&mut connection, protocol, &["ch"]);
                let events = read_to_gap(&mut pubsub).await;
                let expected = [
                    &format!("message ch {what}"),
                    "subscribe ch 1",
                    "gap Disconnected",
                ];
                assert_eq!(shown(&events), expected, "{what}");
            }
        });
    });
}

#[test]
fn se_02_random_bytes_break_nothing() {
    with_each_protocol(async |protocol| {
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let mut random = fastrand::Rng::with_seed(seed);
        let peer = ScriptedPeer::start();
        let (client, _commands) = client_of(&peer, protocol).await;
        let (mut pubsub, mut connection) =
            pubsub_of(&peer, protocol, client.pubsub(), &["ch"]).await;
        for _ in 0..80 {
            let mut bytes = frame::message(protocol, "ch", "text").repeat(random.usize(0..3));
            for _ in 0..random.usize(1..40) {
                // Bytes that mean something, most of the time.
                let byte = if random.bool() {
                    random.u8(..)
                } else {
                    *random.choice(b"*$>%:+-_#,(=~|\r\n0123").unwrap()
                };
                let at = random.usize(0..=bytes.len());
                bytes.insert(at, byte);
            }
            let _ = connection.try_send(&bytes);
            connection.close();
            connection = accept_subscriber(&peer, protocol, &["ch"]);
            confirm(&mut connection, protocol, &["ch"]);
            connection.send(frame::message(protocol, "ch", "alive"));
            loop {
                // Whatever the bytes seemed to say comes first.
                let event = soon(pubsub.next()).await.expect("it goes on");
                let message = event.ok().and_then(tidings::Event::into_message);
                if message.is_some_and(|message| message.text() == "alive") {
                    break;
                }
            }
        }
    });
}

/// What a server says to `HELLO`.
fn hello(protocol: Protocol) -> Vec<u8> {
    let number = frame::integer(protocol.number().into());
    frame::map(
        protocol,
        [
            (frame::bulk("server"), frame::bulk("redis")),
            (frame::bulk("version"), frame::bulk("7.2.0")),
            (frame::bulk("proto"), number),
        ],
    )
}

#[test]
fn se_02_nonsense_during_the_handshake_is_a_clear_error_and_no_more() {
    within_bounds(|| {
        with_each_protocol(async |protocol| {
            let peer = ScriptedPeer::start();
            let mut cases = nonsense();
            cases.push(("a push", b">2\r\n$1\r\na\r\n".to_vec(), false));
            for (what, bytes, is_certain) in cases {
                let config = quick(&peer.url_for(protocol));
                let connecting = tokio::spawn(Client::connect(config));
                let mut connection = peer.accept();
                connection.read_command();
                let _ = connection.try_send(&bytes);
                let held = (!is_certain).then(|| connection.close());
                let refused = error(soon(connecting).await.unwrap());
                let kinds: &[ErrorKind] = match held {
                    None => &[ErrorKind::Protocol],
                    Some(()) => &[ErrorKind::Connection, ErrorKind::Protocol],
                };
                assert!(kinds.contains(&refused.kind()), "{what}: {refused:?}");
            }
            let connecting = tokio::spawn(Client::connect(quick(&peer.url_for(protocol))));
            let mut connection = peer.accept();
            connection.handshake();
            soon(connecting).await.unwrap().unwrap();
        });
    });
}

#[test]
fn se_02_a_handshake_cut_at_any_byte_is_an_error_and_another_attempt_where_it_was_connected() {
    with_each_protocol(async |protocol| {
        let peer = ScriptedPeer::start();
        let (client, connection) = client_of(&peer, protocol).await;
        connection.close();
        let reply = match protocol {
            Protocol::Resp3 => hello(protocol),
            Protocol::Resp2 => frame::error("ERR unknown"),
        };
        for at in 0..reply.len() {
            let mut connection = peer.accept();
            connection.read_command();
            connection.send(&reply[..at]);
            connection.close();
        }
        let mut connection = peer.accept();
        connection.handshake();
        assert_works(&client, &mut connection, "so many handshakes").await;

        for at in [0, 1, reply.len() / 2, reply.len() - 1] {
            let connecting = tokio::spawn(Client::connect(quick(&peer.url_for(protocol))));
            let mut connection = peer.accept();
            connection.read_command();
            connection.send(&reply[..at]);
            connection.close();
            let refused = error(soon(connecting).await.unwrap());
            assert_eq!(refused.kind(), ErrorKind::Connection);
            assert!(
                refused.to_string().contains("during the handshake"),
                "{refused}"
            );
        }
    });
}

#[test]
fn se_02_a_handshake_that_is_never_answered_ends_in_time() {
    with_each_protocol(async |protocol| {
        let peer = ScriptedPeer::start();
        let config = quick(&peer.url_for(protocol)).connect_timeout(Duration::from_millis(150));
        let refused = error(soon(Client::connect(config)).await);
        assert_eq!(refused.kind(), ErrorKind::Timeout);
        assert!(
            refused.to_string().contains("the handshake within 150ms"),
            "{refused}"
        );
    });
}
