//! Pipelines against a scripted peer: SPEC items PL-02, PL-09 and TH-04, where time or odd servers matter.

mod faults;
mod support;

use std::thread;
use std::time::Duration;

use faults::{
    SLOWLY, chain, client_of, configured_client_of, on_each, quick, quick_via, soon,
    until_it_is_being_sent, with_each_protocol,
};
use tidings::{Client, Commands, ErrorKind, Pipeline, Result, Value, cmd};
use tidings_testkit::{Protocol, Proxy, ScriptedConnection, ScriptedPeer, frame};
use tokio::task::JoinHandle;

/// What a client sends now is the first that the peer reads.
async fn assert_next_is_new(client: &Client, connection: &mut ScriptedConnection) {
    let client = client.clone();
    let asking = tokio::spawn(async move { client.echo::<String>("new").await });
    connection.expect(["ECHO", "new"]);
    connection.send(frame::bulk("new"));
    assert_eq!(soon(asking).await.unwrap().unwrap(), "new");
}

#[test]
fn pl_02_an_empty_pipeline_and_one_that_cannot_be_right_send_nothing() {
    with_each_protocol(async |protocol| {
        let peer = ScriptedPeer::start();
        let (client, mut connection) = client_of(&peer, protocol).await;
        for transaction in [true, false] {
            let mut empty = client.pipeline();
            empty.transaction(transaction);
            assert!(empty.is_empty());
            assert_eq!(empty.len(), 0);
            let (): () = soon(empty.execute()).await.unwrap();
            let none: Vec<String> = soon(empty.execute()).await.unwrap();
            assert_eq!(none.len(), 0);
            let none: [i64; 0] = soon(empty.execute()).await.unwrap();
            assert_eq!(none.len(), 0);
            assert_eq!(soon(empty.execute_each()).await.unwrap().len(), 0);
            assert!(
                soon(empty.execute::<(i64,)>())
                    .await
                    .unwrap_err()
                    .is_misuse()
            );

            let full = || {
                let mut pipeline = client.pipeline();
                pipeline.transaction(transaction).set("a", 1).incr("a");
                pipeline
            };
            let error = soon(full().execute::<(bool, i64, i64)>())
                .await
                .unwrap_err();
            assert!(error.is_misuse(), "{error:?}");
            assert!(
                error.to_string().contains("3 replies")
                    && error.to_string().contains("commands is 2"),
                "{error}"
            );
            let error = soon(full().execute::<(bool,)>()).await.unwrap_err();
            assert!(error.is_misuse(), "{error:?}");
            let error = soon(full().execute::<[Value; 3]>()).await.unwrap_err();
            assert!(error.is_misuse(), "{error:?}");

            for command in [
                cmd("SUBSCRIBE").arg("a"),
                cmd("psubscribe").arg("a"),
                cmd("SSUBSCRIBE").arg("a"),
                cmd("UNSUBSCRIBE"),
                cmd("MULTI"),
                cmd("exec"),
                cmd("DISCARD"),
                cmd("WATCH").arg("a"),
                cmd("UNWATCH"),
                cmd("SELECT").arg(1),
                cmd("AUTH").arg("pssst"),
                cmd("HELLO").arg(3),
                cmd("MONITOR"),
                cmd("CLIENT").arg("REPLY").arg("OFF"),
                cmd("CLIENT").arg("TRACKING").arg("ON"),
                cmd("RESET"),
                cmd("QUIT"),
            ] {
                let error = soon(client.run::<()>(command.clone())).await.unwrap_err();
                assert!(error.is_misuse() && !error.may_have_run(), "{error:?}");
                let mut pipeline = full();
                pipeline.run(command).incr("a");
                let error = soon(pipeline.execute_each()).await.unwrap_err();
                assert!(error.is_misuse() && !error.may_have_run(), "{error:?}");
                assert!(!chain(&error).contains("pssst"));
                // It is a fresh one now.
                assert!(pipeline.is_empty());
                let (): () = soon(pipeline.execute()).await.unwrap();
            }
            // Not polled, not sent.
            drop(full().execute::<()>());
        }
        assert_next_is_new(&client, &mut connection).await;
    });
}

/// A pipeline of three commands, and its answer as a server writes it.
fn three(client: &Client, transaction: bool) -> Pipeline {
    let mut pipeline = client.pipeline();
    pipeline
        .transaction(transaction)
        .set("a", 1)
        .get("b")
        .incr("c");
    pipeline
}

fn executing(mut pipeline: Pipeline) -> JoinHandle<Result<(bool, Option<String>, i64)>> {
    tokio::spawn(async move { pipeline.execute().await })
}

fn read_three(connection: &mut ScriptedConnection, transaction: bool) {
    if transaction {
        connection.expect(["MULTI"]);
    }
    connection.expect(["SET", "a", "1"]);
    connection.expect(["GET", "b"]);
    connection.expect(["INCR", "c"]);
    if transaction {
        connection.expect(["EXEC"]);
    }
}

/// The answer to [`three`], with `aside` before, between and behind all of its parts.
fn answer(transaction: bool, aside: &[u8]) -> Vec<u8> {
    let replies = [frame::simple("OK"), frame::bulk("text"), frame::integer(7)];
    let mut wire = Vec::new();
    if transaction {
        for text in ["OK", "QUEUED", "QUEUED", "QUEUED"] {
            wire.extend_from_slice(aside);
            wire.extend(frame::simple(text));
        }
        wire.extend_from_slice(aside);
        wire.extend_from_slice(b"*3\r\n");
    }
    for reply in replies {
        wire.extend_from_slice(aside);
        wire.extend(reply);
    }
    // Inside an array there is nothing behind the last element.
    wire.extend_from_slice(aside);
    wire
}

#[test]
fn pl_01_replies_that_come_in_any_pieces_are_the_same() {
    with_each_protocol(async |protocol| {
        let peer = ScriptedPeer::start();
        let (client, mut connection) = client_of(&peer, protocol).await;
        for transaction in [true, false] {
            let wire = answer(transaction, b"");
            // At once, in single bytes, and in two pieces, cut everywhere.
            let sizes = (0..=wire.len()).map(|cut| (cut, wire.len()));
            for (cut, size) in sizes.chain([(0, 1)]) {
                let waiting = executing(three(&client, transaction));
                read_three(&mut connection, transaction);
                connection.send(&wire[..cut]);
                if cut > 0 {
                    // Lets the client read it by itself; if not, nothing is shown and nothing fails.
                    tokio::task::yield_now().await;
                    thread::yield_now();
                }
                connection.send_in_chunks(&wire[cut..], size);
                let replies = soon(waiting).await.unwrap().unwrap();
                assert_eq!(replies, (true, Some("text".to_owned()), 7), "{cut}");
            }
        }
        assert_next_is_new(&client, &mut connection).await;
    });
}

#[test]
fn pl_09_pushes_and_attributes_anywhere_among_the_replies_leave_each_at_its_place() {
    let peer = ScriptedPeer::start();
    let push = |words: &[&str]| frame::push(Protocol::Resp3, words.iter().map(frame::bulk));
    let message = push(&["message", "news", "+OK"]);
    let invalidation = [
        &b">2\r\n"[..],
        &frame::bulk("invalidate"),
        b"*1\r\n",
        &frame::bulk("b"),
    ]
    .concat();
    let attribute = b"|1\r\n+ttl\r\n:3600\r\n".to_vec();
    let both = [&*invalidation, &*message].concat();
    with_each_protocol(async |protocol| {
        if protocol == Protocol::Resp2 {
            return;
        }
        let (client, mut connection) = client_of(&peer, protocol).await;
        for transaction in [true, false] {
            for aside in [&message, &invalidation, &both, &attribute] {
                let mut wire = answer(transaction, aside);
                if *aside == attribute {
                    // One belongs to what follows it.
                    wire.truncate(wire.len() - attribute.len());
                }
                for cut in 0..=wire.len() {
                    let waiting = executing(three(&client, transaction));
                    read_three(&mut connection, transaction);
                    connection.send(&wire[..cut]);
                    if cut > 0 {
                        thread::yield_now();
                    }
                    connection.send(&wire[cut..]);
                    let replies = soon(waiting).await.unwrap().unwrap();
                    assert_eq!(replies, (true, Some("text".to_owned()), 7), "{cut}");
                }
                let waiting = executing(three(&client, transaction));
                read_three(&mut connection, transaction);
                connection.send_in_chunks(&wire, 1);
                assert!(soon(waiting).await.unwrap().is_ok());
            }
        }
        assert_next_is_new(&client, &mut connection).await;
    });
}

/// Loses the connection after the peer has answered a transaction or a pipeline with `wire`; gives what came of it,
/// of a command behind it, and the next connection.
async fn broken_by(
    protocol: Protocol,
    transaction: bool,
    wire: &[u8],
) -> (tidings::Error, Result<String>) {
    let peer = ScriptedPeer::start();
    let (client, mut connection) = client_of(&peer, protocol).await;
    let waiting = executing(three(&client, transaction));
    read_three(&mut connection, transaction);
    let behind = {
        let client = client.clone();
        tokio::spawn(async move { client.echo::<String>("behind").await })
    };
    connection.expect(["ECHO", "behind"]);
    connection.send([wire, &frame::bulk("behind")].concat());
    let error = soon(waiting).await.unwrap().unwrap_err();
    let behind = soon(behind).await.unwrap();
    (error, behind)
}

#[test]
fn pl_04_a_server_that_answers_as_none_does_fails_the_transaction_and_those_behind_it_are_answered()
{
    with_each_protocol(async |protocol| {
        // In the place of QUEUED.
        let wire = b"+OK\r\n+QUEUED\r\n:1\r\n+QUEUED\r\n*3\r\n+OK\r\n$4\r\ntext\r\n:7\r\n";
        let (error, behind) = broken_by(protocol, true, wire).await;
        assert_eq!(error.kind(), ErrorKind::Protocol);
        assert!(
            error.may_have_run() && chain(&error).contains("in the place of QUEUED"),
            "{error:?}"
        );
        // Its own reply, or none: never another's, and never nothing.
        match behind {
            Ok(text) => assert_eq!(text, "behind"),
            Err(error) => assert!(error.may_have_run(), "{error:?}"),
        }

        // Too few, no array at all, and EXEC where it should have been refused.
        let queued = b"+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n";
        for (wire, text) in [
            (
                [&queued[..], b"*2\r\n+OK\r\n:7\r\n"].concat(),
                "EXEC of 3 commands",
            ),
            ([&queued[..], b"+OK\r\n"].concat(), "EXEC of 3 commands"),
            (
                b"+OK\r\n+QUEUED\r\n-ERR no\r\n+QUEUED\r\n*2\r\n+OK\r\n:7\r\n".to_vec(),
                "had been refused",
            ),
        ] {
            let (error, behind) = broken_by(protocol, true, &wire).await;
            assert_eq!(error.kind(), ErrorKind::Protocol);
            assert!(
                error.may_have_run() && chain(&error).contains(text),
                "{error:?}"
            );
            assert_eq!(behind.unwrap(), "behind");
        }
        // The server's reasons at EXEC.
        let wire = [
            &queued[..],
            b"-EXECABORT Transaction discarded because of: OOM\r\n",
        ]
        .concat();
        let (error, _) = broken_by(protocol, true, &wire).await;
        assert_eq!(
            (error.kind(), error.code()),
            (ErrorKind::Server, Some("EXECABORT"))
        );
        assert!(!error.may_have_run());
    });
}

#[test]
fn th_04_a_pipeline_whose_connection_is_lost_on_any_byte_of_its_answer_may_have_run_and_is_not_sent_again()
 {
    with_each_protocol(async |protocol| {
        let peer = ScriptedPeer::start();
        let (client, mut connection) = client_of(&peer, protocol).await;
        for transaction in [true, false] {
            let wire = answer(transaction, b"");
            for cut in 0..wire.len() {
                let waiting = executing(three(&client, transaction));
                read_three(&mut connection, transaction);
                connection.send(&wire[..cut]);
                connection.close();
                let error = soon(waiting).await.unwrap().unwrap_err();
                assert!(
                    error.is_connection() && error.may_have_run(),
                    "{cut}: {error:?}"
                );
                connection = peer.accept();
                connection.handshake();
                assert_next_is_new(&client, &mut connection).await;
            }
        }
    });
}

#[test]
fn pl_02_a_peer_that_reads_nothing_while_it_writes_does_not_end_in_a_deadlock() {
    // More each way than both ends' buffers hold.
    const COMMANDS: usize = 12_000;
    const LENGTH: usize = 4 << 10;
    with_each_protocol(async |protocol| {
        for transaction in [true, false] {
            let peer = ScriptedPeer::start();
            let (client, mut connection) = client_of(&peer, protocol).await;
            let text = "x".repeat(LENGTH);
            let mut pipeline = client.pipeline();
            pipeline.transaction(transaction);
            for _ in 0..COMMANDS {
                pipeline.echo(&text);
            }
            let running = tokio::spawn(async move {
                let replies: Vec<String> = pipeline.execute().await.unwrap();
                replies.len()
            });
            let reply = frame::bulk(&text);
            if transaction {
                connection.expect(["MULTI"]);
                connection.send(frame::simple("OK"));
                for _ in 0..COMMANDS {
                    connection.expect(["ECHO", &text]);
                    connection.send(frame::simple("QUEUED"));
                }
                connection.expect(["EXEC"]);
                connection.send(format!("*{COMMANDS}\r\n"));
                connection.send(reply.repeat(COMMANDS));
            } else {
                for _ in 0..COMMANDS {
                    connection.expect(["ECHO", &text]);
                    connection.send(&reply);
                }
            }
            assert_eq!(soon(running).await.unwrap(), COMMANDS);
        }
    });
}

#[test]
fn th_04_a_pipeline_that_had_not_left_is_sent_again_and_its_transaction_runs_once() {
    const COMMANDS: usize = 16;
    const LENGTH: usize = 1 << 20;
    on_each(async |case| {
        let proxy = Proxy::to(&case.server);
        let client = Client::connect(quick_via(&case, &proxy)).await.unwrap();
        for transaction in [true, false] {
            proxy.throttle(SLOWLY);
            let running = {
                let client = client.clone();
                tokio::spawn(async move {
                    let mut pipeline = client.pipeline();
                    pipeline.transaction(transaction);
                    // Without a transaction, the first one decides whether anything may have run.
                    pipeline.append("text", "x".repeat(COMMANDS * LENGTH));
                    for _ in 0..COMMANDS {
                        pipeline.append("text", "x".repeat(LENGTH));
                    }
                    pipeline.execute::<Vec<usize>>().await
                })
            };
            for _ in 0..2 {
                until_it_is_being_sent(&proxy).await;
                proxy.reset();
            }
            proxy.throttle(0);
            let lengths = soon(running).await.unwrap().unwrap();
            assert!(
                lengths
                    .into_iter()
                    .eq((COMMANDS..=2 * COMMANDS).map(|n| n * LENGTH))
            );
            assert!(soon(client.del("text")).await.unwrap() == 1);
        }
    });
}

#[test]
fn pl_02_the_response_timeout_is_for_silence_in_a_pipeline_and_the_whole_for_a_command_behind_it() {
    const LIMIT: Duration = Duration::from_millis(500);
    with_each_protocol(async |protocol| {
        for transaction in [true, false] {
            let peer = ScriptedPeer::start();
            let config = quick(&peer.url_for(protocol)).response_timeout(LIMIT);
            let (client, mut connection) = configured_client_of(&peer, config).await;
            let running = executing(three(&client, transaction));
            read_three(&mut connection, transaction);
            let behind = tokio::spawn(async move { client.echo::<String>("behind").await });
            connection.expect(["ECHO", "behind"]);
            // Most of it is one reply, if it is a transaction.
            let wire = answer(transaction, b"");
            let (last, pieces) = wire.split_last().unwrap();
            for piece in pieces.chunks(pieces.len().div_ceil(8)) {
                connection.send(piece);
                tokio::time::sleep(LIMIT / 4).await;
            }
            assert!(!running.is_finished() && behind.is_finished());
            let error = behind.await.unwrap().unwrap_err();
            assert!(error.is_timeout() && error.may_have_run(), "{error:?}");
            connection.send([*last]);
            let replies = soon(running).await.unwrap().unwrap();
            assert_eq!(replies, (true, Some("text".to_owned()), 7));
        }
    });
}
