//! Commands over a shared connection: SPEC items TH-02 and TH-04.

mod faults;
mod support;

use std::collections::BTreeSet;
use std::future::IntoFuture;
use std::thread;
use std::time::{Duration, Instant};

use faults::{
    SLOWLY, chain, client_of, configured_client_of, on_each, polled, quick, quick_via, soon,
    until_it_is_being_sent, with_each_protocol,
};
use support::{QUIET, SOON, next, short};
use tidings::{Client, Commands, Error, ErrorKind};
use tidings_testkit::{Proxy, ScriptedConnection, ScriptedPeer, frame};
use tokio::task::JoinSet;

/// Connections of this name that the server has.
fn connections(server: &tidings_testkit::Server, name: &str) -> usize {
    let list = server.cli(["CLIENT", "LIST"]);
    list.lines()
        .filter(|line| line.contains(&format!(" name={name} ")))
        .count()
}

#[test]
fn th_02_commands_of_many_tasks_share_one_connection_and_get_their_own_replies() {
    on_each(async |case| {
        let client = Client::connect(quick(&case.url()).client_name("shared"))
            .await
            .unwrap();
        let mut tasks = JoinSet::new();
        for task in 0..100 {
            let client = client.clone();
            tasks.spawn(async move {
                for n in 0..20 {
                    let text = format!("{task}:{n}");
                    assert_eq!(client.echo::<String>(&text).await.unwrap(), text);
                    assert_eq!(client.incr(format!("key:{task}")).await.unwrap(), n + 1);
                }
            });
        }
        assert_eq!(connections(&case.server, "shared"), 1);
        while let Some(done) = soon(tasks.join_next()).await {
            done.unwrap();
        }
        assert_eq!(connections(&case.server, "shared"), 1);
    });
}

#[test]
fn th_02_connections_of_their_own_are_bounded_and_given_back() {
    on_each(async |case| {
        let config = quick(&case.url())
            .client_name("own")
            .max_own_connections(2)
            .connect_timeout(Duration::from_millis(200));
        let client = Client::connect(config).await.unwrap();
        let mut held = vec![
            client.pubsub().channels("a").await.unwrap(),
            client.pubsub().channels("b").await.unwrap(),
        ];
        assert_eq!(connections(&case.server, "own"), 3);
        let error = client.pubsub().channels("c").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
        assert!(error.to_string().contains("all 2 connections"), "{error}");
        // Commands need none of them.
        soon(client.ping()).await.unwrap();

        let waiting = tokio::spawn(client.pubsub().channels("c").into_future());
        held.pop();
        let mut third = soon(waiting).await.unwrap().unwrap();
        assert_eq!(short(&next(&mut third).await), "subscribe c 1");
        case.server.await_subscribers("b", 0);
        tidings_testkit::eventually("the dropped one is closed", || {
            connections(&case.server, "own") == 3
        });
    });
}

#[test]
fn th_02_an_opening_that_fails_or_is_dropped_gives_its_connection_back() {
    on_each(async |case| {
        let config = quick(&case.url())
            .client_name("own")
            .max_own_connections(1)
            .connect_timeout(Duration::from_secs(2));
        let client = Client::connect(config).await.unwrap();
        for polls in 0.. {
            let opening = client.pubsub().channels("a").into_future();
            if polled(opening, polls).await.is_some() {
                assert!(polls > 0, "nothing is ready before it was polled");
                break;
            }
        }
        case.server
            .admin(["ACL", "SETUSER", "default", "resetchannels"]);
        for _ in 0..3 {
            assert!(
                client
                    .pubsub()
                    .channels("a")
                    .await
                    .unwrap_err()
                    .is_no_permission()
            );
        }
        case.server
            .admin(["ACL", "SETUSER", "default", "allchannels"]);
        client.pubsub().channels("a").await.unwrap();
        tidings_testkit::eventually("all are closed", || connections(&case.server, "own") == 1);
    });
}

#[test]
fn th_04_commands_that_were_on_the_wire_fail_and_say_that_they_may_have_run() {
    const COMMANDS: usize = 5;
    with_each_protocol(async |protocol| {
        let peer = ScriptedPeer::start();
        let (client, mut connection) = client_of(&peer, protocol).await;
        for answered in 0..=COMMANDS {
            let mut tasks = JoinSet::new();
            for n in 0..COMMANDS {
                let client = client.clone();
                tasks.spawn(async move { client.echo::<usize>(n).await });
            }
            let read: Vec<Vec<u8>> = (0..COMMANDS)
                .map(|_| connection.read_command().swap_remove(1))
                .collect();
            for text in &read[..answered] {
                connection.send(frame::bulk(text));
            }
            connection.close();
            let (mut answers, mut failures) = (BTreeSet::new(), 0);
            while let Some(outcome) = soon(tasks.join_next()).await {
                match outcome.unwrap() {
                    Ok(n) => drop(answers.insert(n.to_string().into_bytes())),
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::Connection);
                        assert!(error.may_have_run(), "{error:?}");
                        assert!(chain(&error).contains("closed the connection"), "{error:?}");
                        failures += 1;
                    }
                }
            }
            assert_eq!(answers, read[..answered].iter().cloned().collect());
            assert_eq!(failures, COMMANDS - answered);
            // None of them is sent again.
            connection = peer.accept();
            connection.handshake();
            assert_next_is_new(&client, &mut connection).await;
        }
    });
}

/// What a client sends now is the first that the peer reads.
async fn assert_next_is_new(client: &Client, connection: &mut ScriptedConnection) {
    let client = client.clone();
    let asking = tokio::spawn(async move { client.echo::<String>("new").await });
    connection.expect(["ECHO", "new"]);
    connection.send(frame::bulk("new"));
    assert_eq!(soon(asking).await.unwrap().unwrap(), "new");
}

#[test]
fn th_04_commands_that_had_not_left_are_sent_again_and_run_once() {
    const COMMANDS: usize = 48;
    const SIZE: usize = 512 << 10;
    with_each_protocol(async |protocol| {
        for answered in [1, 7] {
            let peer = ScriptedPeer::start();
            let (client, mut connection) = client_of(&peer, protocol).await;
            let mut tasks = JoinSet::new();
            for n in 0..COMMANDS {
                let client = client.clone();
                tasks.spawn(async move {
                    let text = "x".repeat(SIZE);
                    (n, client.set(format!("{n}"), text).await)
                });
            }
            let key = |command: Vec<Vec<u8>>| -> usize {
                String::from_utf8_lossy(&command[1])
                    .parse()
                    .expect("a number")
            };
            let mut executed = Vec::new();
            for _ in 0..answered {
                executed.push(key(connection.read_command()));
                connection.send(frame::simple("OK"));
            }
            // The rest is more than the sockets hold. Nothing tells when they are full.
            tokio::time::sleep(QUIET).await;
            connection.reset();
            let reader = thread::spawn(move || {
                let mut connection = peer.accept();
                connection.handshake();
                while let Some(command) = connection.try_read_command(SOON) {
                    executed.push(key(command));
                    connection.send(frame::simple("OK"));
                }
                executed
            });
            let (mut succeeded, mut failed) = (Vec::new(), BTreeSet::new());
            while let Some(outcome) = soon(tasks.join_next()).await {
                match outcome.unwrap() {
                    (n, Ok(())) => succeeded.push(n),
                    (n, Err(error)) => {
                        assert!(error.may_have_run() && error.is_connection(), "{error:?}");
                        failed.insert(n);
                    }
                }
            }
            drop(client);
            let mut executed = reader.join().unwrap();
            executed.sort_unstable();
            succeeded.sort_unstable();
            assert_eq!(executed, succeeded, "each once, and nothing that failed");
            assert!(
                succeeded.len() > answered && !failed.is_empty(),
                "{failed:?} failed"
            );
        }
    });
}

#[test]
fn th_04_through_many_losses_no_command_runs_twice_and_none_is_lost_without_a_word() {
    const TASKS: usize = 8;
    const LOSSES: usize = 12;
    on_each(async |case| {
        let proxy = Proxy::to(&case.server);
        let client = Client::connect(quick_via(&case, &proxy)).await.unwrap();
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let mut tasks = JoinSet::new();
        for task in 0..TASKS {
            let (client, stopped) = (client.clone(), stopped.clone());
            tasks.spawn(async move {
                let mut outcomes = Vec::new();
                while !*stopped.borrow() {
                    let key = format!("key:{task}:{}", outcomes.len());
                    let outcome = soon(client.incr(&key)).await;
                    outcomes.push((key, outcome));
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
            for (key, outcome) in outcomes.unwrap() {
                let stored = case.server.admin(["GET", &key]).integer();
                match outcome {
                    Ok(value) => {
                        assert_eq!((value, stored), (1, Some(1)), "{key}");
                        ran += 1;
                    }
                    Err(error) => {
                        assert!(
                            error.may_have_run(),
                            "what did not run is sent again: {error:?}"
                        );
                        assert!(matches!(stored, None | Some(1)), "{key}: {stored:?}");
                        unknown += 1;
                    }
                }
            }
        }
        assert!(
            ran > LOSSES && unknown > 0,
            "{ran} ran, {unknown} may have run"
        );
    });
}

#[test]
fn th_04_what_is_asked_without_a_connection_waits_for_the_next_one() {
    on_each(async |case| {
        let proxy = Proxy::to(&case.server);
        let client = Client::connect(quick_via(&case, &proxy)).await.unwrap();
        soon(client.ping()).await.unwrap();
        let accepted = proxy.accepted();
        proxy.close_at_once(true);
        proxy.cut();
        // The loss was noticed.
        proxy.await_accepted(accepted + 1);
        let mut tasks = JoinSet::new();
        for n in 0..10 {
            let client = client.clone();
            tasks.spawn(async move { client.incr(format!("key:{n}")).await });
        }
        proxy.await_accepted(accepted + 5);
        assert_eq!(case.server.cli(["DBSIZE"]), "0");
        proxy.close_at_once(false);
        while let Some(outcome) = soon(tasks.join_next()).await {
            assert_eq!(outcome.unwrap().unwrap(), 1);
        }
    });
}

#[test]
fn th_04_a_command_whose_sending_loses_each_connection_is_given_up() {
    on_each(async |case| {
        let proxy = Proxy::to(&case.server);
        let client = Client::connect(quick_via(&case, &proxy)).await.unwrap();
        proxy.throttle(SLOWLY);
        let setting = {
            let client = client.clone();
            tokio::spawn(async move { client.set("key", "x".repeat(32 << 20)).await })
        };
        for _ in 0..3 {
            until_it_is_being_sent(&proxy).await;
            assert!(!setting.is_finished());
            proxy.reset();
        }
        let error = soon(setting).await.unwrap().unwrap_err();
        assert!(error.is_connection() && !error.may_have_run(), "{error:?}");
        assert!(error.to_string().contains("lost 3 times"), "{error}");
        proxy.throttle(0);
        assert_eq!(
            soon(client.get::<Option<String>>("key")).await.unwrap(),
            None
        );
    });
}

fn assert_too_late(error: &Error, begin: Instant, may_have_run: bool) {
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(error.may_have_run(), may_have_run, "{error:?}");
    assert!(error.to_string().contains("within 100ms"), "{error}");
    let took = begin.elapsed();
    assert!(
        (Duration::from_millis(100)..SOON / 5).contains(&took),
        "{took:?}"
    );
}

#[test]
fn th_04_a_reply_that_comes_too_late_is_nobodys_and_the_next_command_gets_its_own() {
    with_each_protocol(async |protocol| {
        let peer = ScriptedPeer::start();
        let config = quick(&peer.url_for(protocol)).response_timeout(Duration::from_millis(100));
        let (client, mut connection) = configured_client_of(&peer, config).await;
        for round in 0..3 {
            let begin = Instant::now();
            let error = soon(client.echo::<String>("late")).await.unwrap_err();
            assert_too_late(&error, begin, true);
            connection.expect(["ECHO", "late"]);
            if round > 0 {
                connection.send(frame::bulk("late"));
                assert_next_is_new(&client, &mut connection).await;
            } else {
                let client = client.clone();
                let asking = tokio::spawn(async move { client.echo::<String>("new").await });
                connection.expect(["ECHO", "new"]);
                connection.send([frame::bulk("late"), frame::bulk("new")].concat());
                assert_eq!(soon(asking).await.unwrap().unwrap(), "new");
            }
        }
        assert!(
            peer.try_accept(Duration::ZERO).is_none(),
            "the connection stays"
        );
    });
}

#[test]
fn th_04_a_command_that_waited_too_long_for_a_connection_did_not_run_and_never_will() {
    with_each_protocol(async |protocol| {
        let peer = ScriptedPeer::start();
        let config = quick(&peer.url_for(protocol)).response_timeout(Duration::from_millis(100));
        let (client, mut connection) = configured_client_of(&peer, config).await;
        peer.stop_listening();
        assert_next_is_new(&client, &mut connection).await;
        connection.close();
        // The first may still go into the connection that ends.
        let first = soon(client.echo::<String>("first")).await.unwrap_err();
        assert!(first.is_timeout() || first.may_have_run(), "{first:?}");
        let begin = Instant::now();
        let error = soon(client.echo::<String>("unsent")).await.unwrap_err();
        assert_too_late(&error, begin, false);
        peer.listen();
        let mut connection = peer.accept();
        connection.handshake();
        assert_next_is_new(&client, &mut connection).await;
    });
}

#[test]
fn th_04_without_a_response_timeout_a_reply_is_waited_for_while_the_peer_lives() {
    with_each_protocol(async |protocol| {
        let peer = ScriptedPeer::start();
        let config = quick(&peer.url_for(protocol))
            .response_timeout(None)
            .ping_interval(Duration::from_millis(20))
            .ping_timeout(SOON);
        let (client, mut connection) = configured_client_of(&peer, config).await;
        let asking = tokio::spawn(async move { client.echo::<String>("slow").await });
        let mut asked = false;
        loop {
            let command = connection.read_command();
            match (&command[0][..], asked) {
                (b"ECHO", false) => asked = true,
                (b"PING", false) => connection.send(frame::simple("PONG")),
                // A PING behind it: the answers come in order.
                (b"PING", true) => break,
                _ => panic!("{command:?}"),
            }
        }
        assert!(!asking.is_finished());
        connection.send([frame::bulk("slow"), frame::simple("PONG")].concat());
        assert_eq!(soon(asking).await.unwrap().unwrap(), "slow");
    });
}

#[test]
fn th_04_a_command_that_nobody_waits_for_takes_no_time_from_those_behind_it() {
    with_each_protocol(async |protocol| {
        let peer = ScriptedPeer::start();
        let config = quick(&peer.url_for(protocol)).response_timeout(Duration::from_millis(100));
        let (client, connection) = configured_client_of(&peer, config).await;
        peer.stop_listening();
        connection.close();
        // The loss was noticed.
        let first = soon(client.echo::<String>("first")).await.unwrap_err();
        assert!(first.is_timeout() || first.may_have_run(), "{first:?}");
        let given_up = client.echo::<String>("given up");
        let waited = tokio::time::timeout(Duration::from_millis(60), given_up).await;
        assert!(waited.is_err(), "{waited:?}");
        let begin = Instant::now();
        let error = soon(client.echo::<String>("behind it")).await.unwrap_err();
        assert_too_late(&error, begin, false);
    });
}

#[test]
fn th_04_without_a_connection_those_that_wait_for_room_get_it_when_others_time_out() {
    with_each_protocol(async |protocol| {
        let peer = ScriptedPeer::start();
        let config = quick(&peer.url_for(protocol)).response_timeout(Duration::from_millis(100));
        let (client, connection) = configured_client_of(&peer, config).await;
        peer.stop_listening();
        connection.close();
        // The loss was noticed.
        let first = soon(client.echo::<String>("first")).await.unwrap_err();
        assert!(first.is_timeout() || first.may_have_run(), "{first:?}");
        // More than may wait for a connection.
        let large = client.set("large", "x".repeat(9 << 20));
        let waiting = async {
            let client = client.clone();
            tokio::spawn(async move { client.echo::<String>("waiting").await }).await
        };
        let (large, waiting) = soon(async { tokio::join!(large, waiting) }).await;
        assert!(large.unwrap_err().is_timeout());
        let error = waiting.unwrap().unwrap_err();
        assert!(error.is_timeout() && !error.may_have_run(), "{error:?}");
    });
}

#[test]
fn th_04_the_time_of_a_command_begins_while_it_waits_for_room() {
    const LIMIT: Duration = Duration::from_millis(200);
    with_each_protocol(async |protocol| {
        let peer = ScriptedPeer::start();
        let config = quick(&peer.url_for(protocol)).response_timeout(LIMIT);
        let (client, connection) = configured_client_of(&peer, config).await;
        peer.stop_listening();
        connection.close();
        let begin = Instant::now();
        let mut tasks = JoinSet::new();
        for _ in 0..10 {
            // Each of them fills all the room there is.
            let client = client.clone();
            tasks.spawn(async move { client.set("large", "x".repeat(9 << 20)).await });
        }
        while let Some(outcome) = soon(tasks.join_next()).await {
            assert!(outcome.unwrap().is_err());
        }
        let waited = begin.elapsed();
        assert!(waited < 5 * LIMIT, "one after the other: {waited:?}");
    });
}

#[test]
fn th_04_what_had_not_left_a_lost_connection_and_gets_no_other_has_not_run() {
    with_each_protocol(async |protocol| {
        let peer = ScriptedPeer::start();
        let config = quick(&peer.url_for(protocol)).response_timeout(10 * QUIET);
        let (client, mut connection) = configured_client_of(&peer, config).await;
        let mut tasks = JoinSet::new();
        for n in 0..100 {
            let client = client.clone();
            // Small enough to be taken from what was written, and more than the sockets hold.
            tasks.spawn(async move {
                let large = client.set("large", "x".repeat(1 << 20));
                let small = client.set(n, "x".repeat(10_000));
                let (large, small) = tokio::join!(large, small);
                [large.unwrap_err(), small.unwrap_err()]
            });
        }
        connection.read_command();
        // Nothing tells when the sockets are full.
        tokio::time::sleep(QUIET).await;
        peer.stop_listening();
        connection.reset();
        let mut late = 0;
        while let Some(errors) = soon(tasks.join_next()).await {
            for error in errors.unwrap() {
                assert_eq!(error.is_timeout(), !error.may_have_run(), "{error:?}");
                late += usize::from(error.is_timeout());
            }
        }
        assert!(late > 0);
    });
}
