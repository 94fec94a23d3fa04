//! Watched keys when connections are lost, and what is left on them: SPEC items PL-05 to PL-07 and TH-04.

mod faults;
mod support;

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use faults::{
    chain, client_of, configured_client_of, on_each, polled, quick, quick_via, soon, until,
    with_each_protocol,
};
use support::{COUNTED, Case, QUIET};
use tidings::{Client, Commands, Error, ErrorKind, Result, Watch, cmd};
use tidings_testkit::{Protocol, Proxy, ScriptedConnection, ScriptedPeer, frame};
use tokio::task::JoinHandle;

/// A watch on `a`, on a connection of its own.
async fn watch_of(peer: &ScriptedPeer, client: &Client) -> (Watch, ScriptedConnection) {
    let watching = {
        let client = client.clone();
        tokio::spawn(async move { client.watch("a").await })
    };
    let mut connection = peer.accept();
    connection.handshake();
    connection.expect(["WATCH", "a"]);
    connection.send(frame::simple("OK"));
    (soon(watching).await.unwrap().unwrap(), connection)
}

/// The error of a lost watch.
fn assert_lost(error: &Error, may_have_run: bool) {
    assert_eq!(error.kind(), ErrorKind::Watch, "{error:?}");
    assert_eq!(error.may_have_run(), may_have_run, "{error:?}");
    assert!(
        chain(error).contains("lost while keys were watched: "),
        "{error:?}"
    );
}

fn executing(watch: Watch) -> JoinHandle<Result<(bool,)>> {
    let mut multi = watch.multi();
    multi.set("a", 1);
    tokio::spawn(async move { multi.execute().await })
}

fn expect_set(connection: &mut ScriptedConnection) {
    connection.expect(["MULTI"]);
    connection.expect(["SET", "a", "1"]);
    connection.expect(["EXEC"]);
}

#[test]
fn pl_05_a_connection_that_is_lost_while_watching_is_a_watch_error_and_nothing_is_sent_again() {
    with_each_protocol(async |protocol| {
        let peer = ScriptedPeer::start();
        let (client, _shared) = client_of(&peer, protocol).await;

        // In a command.
        let (watch, mut connection) = watch_of(&peer, &client).await;
        let reading = tokio::spawn(async move {
            let error = watch.get::<String>("a").await.unwrap_err();
            (error, watch)
        });
        connection.expect(["GET", "a"]);
        connection.close();
        let (error, watch) = soon(reading).await.unwrap();
        assert_lost(&error, true);
        // From then on nothing runs on it.
        assert_lost(&soon(watch.get::<String>("a")).await.unwrap_err(), false);
        assert_lost(&soon(watch.watch("b")).await.unwrap_err(), false);
        assert_lost(&soon(executing(watch)).await.unwrap().unwrap_err(), false);

        // Between commands: whether it has seen the loss or not, nothing is sent twice.
        let (watch, connection) = watch_of(&peer, &client).await;
        connection.close();
        let error = soon(executing(watch)).await.unwrap().unwrap_err();
        assert_lost(&error, error.may_have_run());

        // In EXEC.
        let (watch, mut connection) = watch_of(&peer, &client).await;
        let running = executing(watch);
        expect_set(&mut connection);
        connection.send([frame::simple("OK"), frame::simple("QUEUED")].concat());
        connection.close();
        assert_lost(&soon(running).await.unwrap().unwrap_err(), true);
        assert!(peer.try_accept(QUIET).is_none(), "nothing was tried again");
    });
}

#[test]
fn pl_05_a_watch_that_is_lost_before_its_answer_has_run_nothing() {
    with_each_protocol(async |protocol| {
        let peer = ScriptedPeer::start();
        let (client, _shared) = client_of(&peer, protocol).await;
        let watching = tokio::spawn(async move { client.watch("a").await });
        let mut connection = peer.accept();
        connection.handshake();
        connection.expect(["WATCH", "a"]);
        connection.close();
        let error = soon(watching).await.unwrap().unwrap_err();
        assert!(error.is_connection() && !error.may_have_run(), "{error:?}");
    });
}

#[test]
fn pl_05_a_reply_that_comes_too_late_is_a_timeout_and_the_connection_is_not_used_again() {
    with_each_protocol(async |protocol| {
        let peer = ScriptedPeer::start();
        let config = quick(&peer.url_for(protocol)).response_timeout(Duration::from_millis(200));
        let (client, _shared) = configured_client_of(&peer, config).await;
        let (watch, mut connection) = watch_of(&peer, &client).await;
        let error = soon(watch.get::<String>("a")).await.unwrap_err();
        assert!(error.is_timeout() && error.may_have_run(), "{error:?}");
        drop(watch);
        connection.expect(["GET", "a"]);
        connection.expect_close();

        let (watch, mut connection) = watch_of(&peer, &client).await;
        let error = soon(executing(watch)).await.unwrap().unwrap_err();
        assert!(error.is_timeout() && error.may_have_run(), "{error:?}");
        expect_set(&mut connection);
        connection.expect_close();
    });
}

#[test]
fn pl_06_a_connection_with_something_under_way_is_closed_and_one_without_is_given_back() {
    with_each_protocol(async |protocol| {
        let peer = ScriptedPeer::start();
        let (client, _shared) = client_of(&peer, protocol).await;
        // A command that was not waited for.
        let (watch, mut connection) = watch_of(&peer, &client).await;
        assert!(polled(watch.get::<String>("a"), 1).await.is_none());
        drop(watch);
        while let Some(command) = connection.try_read_command(QUIET) {
            assert_eq!(command[0], b"GET");
        }
        connection.expect_close();

        // One that was given up, and then a transaction.
        let (watch, mut connection) = watch_of(&peer, &client).await;
        let waited = tokio::time::timeout(QUIET, watch.get::<String>("a")).await;
        assert!(waited.is_err(), "nobody answers");
        let running = executing(watch);
        connection.expect(["GET", "a"]);
        expect_set(&mut connection);
        connection.send(
            [
                frame::bulk("x"),
                frame::simple("OK"),
                frame::simple("QUEUED"),
            ]
            .concat(),
        );
        connection.send(frame::array([frame::simple("OK")]));
        assert_eq!(soon(running).await.unwrap().unwrap(), (true,));
        connection.expect_close();

        // A transaction that was not waited for.
        let (watch, mut connection) = watch_of(&peer, &client).await;
        let mut multi = watch.multi();
        multi.set("a", 1);
        assert!(polled(multi.execute::<()>(), 1).await.is_none());
        while let Some(command) = connection.try_read_command(QUIET) {
            assert!(
                ["MULTI", "SET", "EXEC"]
                    .map(str::as_bytes)
                    .contains(&&*command[0])
            );
        }
        connection.expect_close();

        // MULTI was refused: the keys are watched still.
        let (watch, mut connection) = watch_of(&peer, &client).await;
        let running = executing(watch);
        expect_set(&mut connection);
        connection.send([frame::error("NOPERM no"), frame::simple("OK")].concat());
        connection.send(frame::error("ERR EXEC without MULTI"));
        let error = soon(running).await.unwrap().unwrap_err();
        assert!(
            error.is_no_permission() && error.may_have_run(),
            "{error:?}"
        );
        connection.expect_close();

        // What was not polled was not sent: UNWATCH is all, and the next one has the connection.
        let (watch, mut connection) = watch_of(&peer, &client).await;
        drop(watch.get::<String>("a"));
        assert!(
            soon(watch.run::<()>(cmd("SELECT").arg(1)))
                .await
                .unwrap_err()
                .is_misuse()
        );
        let mut multi = watch.multi();
        multi.set("a", 1);
        assert!(
            soon(multi.execute::<(i64, i64)>())
                .await
                .unwrap_err()
                .is_misuse()
        );
        connection.expect(["UNWATCH"]);
        let again = {
            let client = client.clone();
            tokio::spawn(async move { client.watch("b").await })
        };
        connection.send(frame::simple("OK"));
        connection.expect(["WATCH", "b"]);
        connection.send(frame::simple("OK"));
        drop(soon(again).await.unwrap().unwrap());
        connection.expect(["UNWATCH"]);
    });
}

#[test]
fn pl_06_dropping_sends_unwatch_and_executing_does_not() {
    on_each(async |case| {
        let client = Client::connect(format!("{}&{COUNTED}", case.url()))
            .await
            .unwrap();
        case.forget_commands();
        let watch = soon(client.watch("a")).await.unwrap();
        drop(watch);
        until("UNWATCH was run", || ran(&case, "unwatch") == 1).await;
        drop(soon(client.watch("a")).await.unwrap().multi());
        until("UNWATCH was run again", || ran(&case, "unwatch") == 2).await;
        let watch = soon(client.watch("a")).await.unwrap();
        watch.multi().set("a", 1).execute::<()>().await.unwrap();
        let watch = soon(client.watch("a")).await.unwrap();
        soon(client.set("a", 2)).await.unwrap();
        assert!(watch.multi().execute::<()>().await.unwrap_err().is_watch());
        soon(client.ping()).await.unwrap();
        assert_eq!((ran(&case, "watch"), ran(&case, "unwatch")), (4, 2));
        assert_eq!(case.connections(), 2);
    });
}

/// How often a command was run.
fn ran(case: &Case, name: &str) -> u32 {
    let prefix = format!("{name} ");
    let run = case.commands_run();
    let count = run.iter().find_map(|line| line.strip_prefix(&prefix));
    count.map_or(0, |count| count.parse().expect("a number"))
}

#[test]
fn pl_07_a_transaction_that_may_have_run_is_not_run_again_and_one_that_has_not_is() {
    with_each_protocol(async |protocol| {
        for exec_left in [false, true] {
            let peer = ScriptedPeer::start();
            let (client, _shared) = client_of(&peer, protocol).await;
            let running = counting(client);
            let mut connection = accept_reading(&peer, protocol);
            let runs = if exec_left {
                expect_set(&mut connection);
                connection.close();
                let error = soon(running).await.unwrap().unwrap_err();
                assert_lost(&error.0, true);
                error.1
            } else {
                // A key that has changed.
                expect_set(&mut connection);
                connection.send([frame::simple("OK"), frame::simple("QUEUED")].concat());
                connection.send(match protocol {
                    Protocol::Resp2 => b"*-1\r\n".to_vec(),
                    Protocol::Resp3 => frame::null(protocol),
                });
                // The same connection is clean, and used again.
                expect_reading(&mut connection, protocol);
                expect_set(&mut connection);
                connection.send([frame::simple("OK"), frame::simple("QUEUED")].concat());
                connection.send(frame::array([frame::simple("OK")]));
                soon(running).await.unwrap().unwrap()
            };
            assert_eq!(runs, if exec_left { 1 } else { 2 });
            assert!(peer.try_accept(QUIET).is_none());
        }
    });
}

/// A transaction that reads `a` and sets it; gives how often its closure ran.
fn counting(client: Client) -> JoinHandle<Result<u32, (Error, u32)>> {
    tokio::spawn(async move {
        let runs = AtomicU32::new(0);
        let transaction = client.transaction("a", |watch| {
            runs.fetch_add(1, Ordering::Relaxed);
            async move {
                watch.get::<Option<String>>("a").await?;
                watch.multi().set("a", 1).execute::<()>().await
            }
        });
        let outcome = transaction.await;
        let runs = runs.into_inner();
        outcome.map(|()| runs).map_err(|error| (error, runs))
    })
}

fn accept_reading(peer: &ScriptedPeer, protocol: Protocol) -> ScriptedConnection {
    let mut connection = peer.accept();
    connection.handshake();
    expect_reading(&mut connection, protocol);
    connection
}

fn expect_reading(connection: &mut ScriptedConnection, protocol: Protocol) {
    connection.expect(["WATCH", "a"]);
    connection.send(frame::simple("OK"));
    connection.expect(["GET", "a"]);
    connection.send(frame::null(protocol));
}

#[test]
fn pl_07_gives_what_the_closure_gives_and_other_errors_come_out_at_once() {
    on_each(async |case| {
        let client = Client::connect(quick(&case.url())).await.unwrap();
        // Borrowed from outside, and spawned as a whole.
        let spawned = {
            let client = client.clone();
            tokio::spawn(async move {
                let name = "key".to_owned();
                let seen = &name;
                let value = client.transaction([seen], |watch| async move {
                    let before: Option<i64> = watch.get(seen).await?;
                    let (after,): (i64,) = watch.multi().incr(seen).execute().await?;
                    Ok((seen.len(), before, after))
                });
                value.await.unwrap()
            })
        };
        assert_eq!(soon(spawned).await.unwrap(), (3, None, 1));

        let runs = AtomicU32::new(0);
        let wrong = client.transaction("key", |watch| {
            runs.fetch_add(1, Ordering::Relaxed);
            async move { watch.lpush("key", ["x"]).await }
        });
        let error = soon(wrong).await.unwrap_err();
        assert_eq!(error.code(), Some("WRONGTYPE"));
        let mistaken = client.transaction("key", |watch| {
            runs.fetch_add(1, Ordering::Relaxed);
            async move { watch.multi().ping().execute::<(i64, i64)>().await }
        });
        assert!(soon(mistaken).await.unwrap_err().is_misuse());
        assert_eq!(runs.into_inner(), 2);
        // No key at all.
        let none: [&str; 0] = [];
        let error = soon(client.transaction(none, |_| async { Ok(()) })).await;
        assert!(error.unwrap_err().is_misuse());
        assert!(soon(client.watch(none)).await.unwrap_err().is_misuse());
    });
}

#[test]
fn pl_07_writes_to_other_keys_under_a_watch_are_not_taken_for_the_reason_of_a_change() {
    on_each(async |case| {
        let client = Client::connect(quick(&case.url())).await.unwrap();
        let rival = Client::connect(quick(&case.url())).await.unwrap();
        let runs = &AtomicU32::new(0);
        let outcome = client.transaction("seq", |watch| {
            let rival = rival.clone();
            async move {
                watch.incr("attempts").await?;
                watch.ping().await?;
                // As many rivals as were enough to be told so.
                if runs.fetch_add(1, Ordering::Relaxed) < 20 {
                    rival.incr("seq").await?;
                }
                watch.multi().incr("seq").execute::<(i64,)>().await
            }
        });
        assert_eq!(soon(outcome).await.unwrap(), (21,));
        assert_eq!(soon(client.get::<i64>("attempts")).await.unwrap(), 21);
        // Keys that were added later count.
        let outcome = client.transaction("seq", |watch| async move {
            watch.watch(["x", "y"]).await?;
            watch.set("y", 1).await?;
            watch.multi().execute::<()>().await
        });
        let error = soon(outcome).await.unwrap_err();
        assert!(error.to_string().contains("before multi()"), "{error}");
    });
}

#[test]
fn th_04_transactions_through_many_losses_run_once_or_say_that_they_may_have_run() {
    const TASKS: usize = 4;
    const LOSSES: usize = 8;
    on_each(async |case| {
        let proxy = Proxy::to(&case.server);
        let client = Client::connect(quick_via(&case, &proxy)).await.unwrap();
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let mut tasks = tokio::task::JoinSet::new();
        for task in 0..2 * TASKS {
            let (client, stopped) = (client.clone(), stopped.clone());
            tasks.spawn(async move {
                let mut outcomes = Vec::new();
                while !*stopped.borrow() {
                    let key = format!("key:{task}:{}", outcomes.len());
                    let (one, other) = (format!("{key}:a"), format!("{key}:b"));
                    let outcome = if task < TASKS {
                        let mut pipeline = client.pipeline();
                        pipeline.incr(&one).incr(&other);
                        soon(pipeline.execute::<(i64, i64)>()).await
                    } else {
                        let transaction = client.transaction([&one], |watch| {
                            let (one, other) = (one.clone(), other.clone());
                            async move {
                                watch.get::<Option<i64>>(&one).await?;
                                let mut multi = watch.multi();
                                multi.incr(one).incr(other).execute::<(i64, i64)>().await
                            }
                        });
                        soon(transaction).await
                    };
                    outcomes.push((one, other, outcome));
                }
                outcomes
            });
        }
        for _ in 0..LOSSES {
            let accepted = proxy.accepted();
            proxy.cut_after(fastrand::u64(1..2_000));
            proxy.await_accepted(accepted + 1);
        }
        stop.send(true).unwrap();
        let (mut ran, mut unknown) = (0, 0);
        while let Some(outcomes) = soon(tasks.join_next()).await {
            for (one, other, outcome) in outcomes.unwrap() {
                let stored = [&one, &other].map(|key| case.server.admin(["GET", key]).integer());
                match outcome {
                    Ok(values) => {
                        assert_eq!((values, stored), ((1, 1), [Some(1); 2]), "{one}");
                        ran += 1;
                    }
                    Err(error) => {
                        let all_or_none = stored == [None; 2] || stored == [Some(1); 2];
                        assert!(all_or_none, "{one}: {stored:?}");
                        if !error.may_have_run() {
                            assert_eq!(stored, [None; 2], "{error:?}");
                        }
                        unknown += 1;
                    }
                }
            }
        }
        assert!(ran > LOSSES && unknown > 0, "{ran} ran, {unknown} failed");
    });
}
