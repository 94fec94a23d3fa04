//! Commands that wait, and the connections of their own that they have: SPEC item TH-02.

mod faults;
mod support;

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use faults::{SLOWLY, on_each, quick, quick_via, soon, until, until_it_is_being_sent};
use support::{COUNTED, Case, QUIET};
use tidings::options::{Side, XreadOptions};
use tidings::{Client, Commands, Config, Error, ErrorKind, Result, Value};
use tidings_testkit::{Proxy, Server};
use tokio::task::{JoinHandle, JoinSet};

const FOREVER: Duration = Duration::ZERO;

/// How long a command waits that is to find nothing.
const BRIEF: Duration = Duration::from_millis(20);

type Popped = Option<(String, String)>;

/// Settings whose connections are counted by [`Case::connections`].
fn counted(case: &Case) -> Config {
    quick(&format!("{}&{COUNTED}", case.url()))
}

/// How many clients wait for something, as the server sees it.
fn blocked(case: &Case) -> usize {
    let info = case.server.cli(["INFO", "clients"]);
    let line = info
        .lines()
        .find_map(|line| line.strip_prefix("blocked_clients:"));
    line.and_then(|count| count.trim().parse().ok())
        .expect("the server tells")
}

async fn until_blocked(case: &Case, count: usize) {
    until(&format!("{count} are blocked"), || blocked(case) == count).await;
}

fn popping(client: &Client, key: &'static str, timeout: Duration) -> JoinHandle<Result<Popped>> {
    let client = client.clone();
    tokio::spawn(async move { client.blpop::<Popped, _>(key, timeout).await })
}

fn pair(key: &str, value: &str) -> Popped {
    Some((key.to_owned(), value.to_owned()))
}

#[test]
fn th_02_each_command_that_waits_has_a_connection_of_its_own_and_the_shared_one_goes_on() {
    on_each(async |case| {
        let client = Client::connect(counted(&case)).await.unwrap();
        let mut waiting: JoinSet<Result<Value>> = JoinSet::new();
        macro_rules! wait {
            (|$client:ident| $command:expr) => {{
                let $client = client.clone();
                waiting.spawn(async move { $command.await });
            }};
        }
        wait!(|client| client.blpop("l1", FOREVER));
        wait!(|client| client.brpop(["l2", "l3"], FOREVER));
        wait!(|client| client.blmove("l4", "to", Side::Left, Side::Right, FOREVER));
        wait!(|client| client.blmpop(["l5"], Side::Left, FOREVER));
        wait!(|client| client.bzpopmin("z1", FOREVER));
        wait!(|client| client.bzpopmax("z2", FOREVER));
        wait!(|client| client.xread_with([("s", "$")], XreadOptions::new().block(FOREVER)));
        wait!(|client| client.run(tidings::cmd("BRPOPLPUSH").arg(["l6", "to", "0"])));
        let client_of_wait = client.clone();
        let replicas = tokio::spawn(async move { client_of_wait.wait(1, FOREVER).await });
        until_blocked(&case, 9).await;
        assert_eq!(case.connections(), 10);

        for n in 0..100 {
            assert_eq!(soon(client.echo::<u32>(n)).await.unwrap(), n);
        }
        for list in ["l1", "l3", "l4", "l5", "l6"] {
            soon(client.rpush(list, "x")).await.unwrap();
        }
        soon(client.zadd("z1", [(1, "a")])).await.unwrap();
        soon(client.zadd("z2", [(1, "a")])).await.unwrap();
        soon(client.xadd("s", "*", [("f", "v")])).await.unwrap();
        for _ in 0..8 {
            let reply = soon(waiting.join_next()).await.unwrap().unwrap().unwrap();
            assert!(!matches!(reply, Value::Null), "{reply:?}");
        }
        assert_eq!(client.llen("to").await.unwrap(), 2);
        // Nothing answers WAIT; whoever gives up frees its connection.
        assert!(!replicas.is_finished());
        replicas.abort();
        until_blocked(&case, 0).await;
        until("the connection of the one that gave up is closed", || {
            case.connections() == 9
        })
        .await;
    });
}

#[test]
fn th_02_connections_are_used_again_also_after_an_error_reply_and_in_a_pipeline() {
    on_each(async |case| {
        let proxy = Proxy::to(&case.server);
        let client = Client::connect(quick_via(&case, &proxy)).await.unwrap();
        client.set("text", "x").await.unwrap();
        for _ in 0..10 {
            let nothing = soon(client.blpop::<Popped, _>("none", BRIEF))
                .await
                .unwrap();
            assert_eq!(nothing, None);
            let error = soon(client.blpop::<Popped, _>("text", BRIEF))
                .await
                .unwrap_err();
            assert_eq!(error.code(), Some("WRONGTYPE"));
            let error = soon(client.brpop::<i64, _>("none", BRIEF))
                .await
                .unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Decode);
            let mut pipeline = client.pipeline();
            pipeline.transaction(false).blpop("none", BRIEF).ping();
            soon(pipeline.execute::<(Value, String)>()).await.unwrap();
            drop(soon(client.watch("text")).await.unwrap());
        }
        assert_eq!(proxy.accepted(), 2, "the shared one and one more");
    });
}

#[test]
fn th_02_who_finds_no_connection_free_in_time_is_told_and_others_go_on() {
    on_each(async |case| {
        let config = counted(&case)
            .max_own_connections(2)
            .connect_timeout(Duration::from_millis(200));
        let client = Client::connect(config).await.unwrap();
        let one = popping(&client, "a", FOREVER);
        let other = popping(&client, "b", FOREVER);
        until_blocked(&case, 2).await;
        let is_told = |error: Error| {
            assert_eq!(error.kind(), ErrorKind::Timeout);
            assert!(!error.may_have_run(), "{error:?}");
            assert!(error.to_string().contains("all 2 connections"), "{error}");
        };
        is_told(
            soon(client.blpop::<Popped, _>("c", BRIEF))
                .await
                .unwrap_err(),
        );
        is_told(soon(client.watch("c")).await.unwrap_err());
        let mut pipeline = client.pipeline();
        pipeline.transaction(false).blpop("c", BRIEF);
        is_told(soon(pipeline.execute::<()>()).await.unwrap_err());
        let transaction = client.transaction("c", |_| async { Ok(()) });
        is_told(soon(transaction).await.unwrap_err());
        // Neither commands nor transactions without a watch need one.
        soon(client.ping()).await.unwrap();
        soon(client.pipeline().ping().execute::<()>())
            .await
            .unwrap();

        // A third one has the first one that is free.
        let third = popping(&client, "c", BRIEF);
        client.rpush("b", "x").await.unwrap();
        assert_eq!(soon(other).await.unwrap().unwrap(), pair("b", "x"));
        assert_eq!(soon(third).await.unwrap().unwrap(), None);
        client.rpush("a", "y").await.unwrap();
        assert_eq!(soon(one).await.unwrap().unwrap(), pair("a", "y"));
        assert_eq!(case.connections(), 3);
    });
}

#[test]
fn th_02_dropped_while_it_waits_it_takes_nothing_and_leaves_room() {
    on_each(async |case| {
        let client = Client::connect(counted(&case).max_own_connections(1))
            .await
            .unwrap();
        for _ in 0..5 {
            let waiting = popping(&client, "list", FOREVER);
            until_blocked(&case, 1).await;
            waiting.abort();
            until_blocked(&case, 0).await;
        }
        soon(client.rpush("list", "x")).await.unwrap();
        assert_eq!(soon(client.llen("list")).await.unwrap(), 1);
        let popped = soon(client.blpop::<Popped, _>("list", FOREVER)).await;
        assert_eq!(popped.unwrap(), pair("list", "x"));
        until("the others are closed", || case.connections() == 2).await;
    });
}

#[test]
fn th_02_neither_the_response_timeout_nor_the_pings_end_a_command_that_waits_on_purpose() {
    on_each(async |case| {
        let short = Duration::from_millis(200);
        let config = quick(&case.url())
            .response_timeout(short)
            .ping_interval(Duration::from_millis(20))
            .ping_timeout(short);
        let client = Client::connect(config).await.unwrap();
        let endless = popping(&client, "endless", FOREVER);
        let begin = Instant::now();
        let mut pipeline = client.pipeline();
        pipeline
            .transaction(false)
            .blpop("none", 2 * short)
            .blpop("none", 2 * short);
        let (finite, both) = tokio::join!(
            client.blpop::<Popped, _>("none", 4 * short),
            pipeline.execute::<[Popped; 2]>()
        );
        assert_eq!(finite.unwrap(), None);
        assert_eq!(both.unwrap(), [None, None]);
        assert!(begin.elapsed() >= 4 * short);
        assert!(!endless.is_finished());
        soon(client.rpush("endless", "x")).await.unwrap();
        assert_eq!(soon(endless).await.unwrap().unwrap(), pair("endless", "x"));
        // PINGs go on when the connections wait for their next use.
        tokio::time::sleep(QUIET).await;
        assert_eq!(
            soon(client.blpop::<Popped, _>("none", BRIEF))
                .await
                .unwrap(),
            None
        );
    });
}

#[test]
fn th_02_on_a_server_that_hangs_what_waits_ends_its_time_and_the_usual_one_later() {
    on_each(async |case| {
        let short = Duration::from_millis(200);
        let timed = quick(&case.url()).response_timeout(short);
        // Without it, the missing answer to a PING tells.
        let pinged = quick(&case.url())
            .response_timeout(None)
            .ping_interval(short / 2)
            .ping_timeout(short / 2);
        for config in [timed, pinged] {
            let client = Client::connect(config).await.unwrap();
            let waiting = popping(&client, "list", 2 * short);
            until_blocked(&case, 1).await;
            let frozen = case.server.freeze();
            let begin = Instant::now();
            let error = soon(waiting).await.unwrap().unwrap_err();
            assert!(begin.elapsed() > short, "{:?}", begin.elapsed());
            assert!(error.is_timeout() || error.is_connection(), "{error:?}");
            assert!(error.may_have_run(), "{error:?}");
            drop(frozen);
            until_blocked(&case, 0).await;
        }
    });
}

#[test]
fn th_02_a_pipeline_that_waits_holds_up_nobody_and_a_transaction_does_not_wait() {
    on_each(async |case| {
        let client = Client::connect(counted(&case)).await.unwrap();
        let waiting = {
            let client = client.clone();
            tokio::spawn(async move {
                let mut pipeline = client.pipeline();
                pipeline.transaction(false).incr("n").blpop("list", FOREVER);
                pipeline.incr("n").wait(0, FOREVER);
                pipeline.execute::<(i64, Popped, i64, i64)>().await
            })
        };
        until_blocked(&case, 1).await;
        soon(client.ping()).await.unwrap();
        let mut transaction = client.pipeline();
        transaction.blpop("list", FOREVER).incr("n");
        let outcome = soon(transaction.execute::<(Popped, i64)>()).await;
        assert_eq!(outcome.unwrap(), (None, 2));
        assert_eq!(case.connections(), 2);
        soon(client.rpush("list", "x")).await.unwrap();
        let outcome = soon(waiting).await.unwrap().unwrap();
        assert_eq!(outcome, (1, pair("list", "x"), 3, 0));
    });
}

#[test]
fn th_02_a_connection_that_nobody_uses_makes_room_for_a_subscriber() {
    on_each(async |case| {
        let client = Client::connect(counted(&case).max_own_connections(2))
            .await
            .unwrap();
        let both = [popping(&client, "a", BRIEF), popping(&client, "b", BRIEF)];
        for one in both {
            soon(one).await.unwrap().unwrap();
        }
        let pubsub = soon(client.pubsub().channels("a")).await.unwrap();
        let monitor = soon(client.monitor()).await.unwrap();
        until("three are left", || case.connections() == 3).await;
        drop((pubsub, monitor));
        soon(client.blpop::<Popped, _>("a", BRIEF)).await.unwrap();
        until("two are left", || case.connections() == 2).await;
        drop(client);
        until("none is left", || case.connections() == 0).await;
    });
}

#[test]
fn th_02_a_connection_that_the_server_closed_is_not_used_again() {
    on_each(async |case| {
        let client = Client::connect(counted(&case)).await.unwrap();
        for _ in 0..3 {
            soon(client.blpop::<Popped, _>("none", BRIEF))
                .await
                .unwrap();
            kill_idle(&case);
            until("it is gone", || case.connections() == 1).await;
            // A watch may find out by itself.
            let watch = soon(client.watch("a")).await.unwrap();
            watch.multi().set("a", 1).execute::<()>().await.unwrap();
            kill_idle(&case);
            until("it is gone", || case.connections() == 1).await;
            // Nothing tells when the client has seen it.
            tokio::time::sleep(QUIET).await;
        }
    });
}

/// Ends those counted connections that are not the shared one, which came first.
fn kill_idle(case: &Case) {
    let list = case.server.cli(["CLIENT", "LIST"]);
    let id = |line: &str| -> Option<u64> {
        let mut words = line.split(' ');
        words
            .find_map(|word| word.strip_prefix("id="))?
            .parse()
            .ok()
    };
    let counted = list.lines().filter(|line| line.contains(" name=counted "));
    let mut ids: Vec<u64> = counted.filter_map(id).collect();
    ids.sort_unstable();
    assert!(ids.len() > 1, "{list}");
    for id in &ids[1..] {
        case.server.admin(["CLIENT", "KILL", "ID", &id.to_string()]);
    }
}

#[test]
fn th_04_what_waits_and_loses_its_connection_says_so_and_is_not_sent_again() {
    on_each(async |case| {
        let proxy = Proxy::to(&case.server);
        let client = Client::connect(quick_via(&case, &proxy)).await.unwrap();
        let waiting = popping(&client, "list", FOREVER);
        until_blocked(&case, 1).await;
        proxy.cut();
        let error = soon(waiting).await.unwrap().unwrap_err();
        assert!(error.is_connection() && error.may_have_run(), "{error:?}");
        until_blocked(&case, 0).await;
        // The shared one was cut too, which the client may not have seen.
        while soon(client.ping()).await.is_err() {}
        soon(client.rpush("list", "x")).await.unwrap();
        assert_eq!(soon(client.llen("list")).await.unwrap(), 1);
    });
}

#[test]
fn th_04_what_waits_and_had_not_left_is_sent_again_but_not_for_ever() {
    on_each(async |case| {
        let proxy = Proxy::to(&case.server);
        let client = Client::connect(quick_via(&case, &proxy)).await.unwrap();
        soon(client.rpush("list", ["x", "y"])).await.unwrap();
        for losses in [2, 3] {
            proxy.throttle(SLOWLY);
            let waiting = {
                let client = client.clone();
                let keys = ["large".repeat(4 << 20), "list".to_owned()];
                tokio::spawn(async move { client.blpop::<Popped, _>(keys, FOREVER).await })
            };
            for _ in 0..losses {
                until_it_is_being_sent(&proxy).await;
                assert!(!waiting.is_finished());
                proxy.reset();
            }
            proxy.throttle(0);
            let outcome = soon(waiting).await.unwrap();
            if losses < 3 {
                assert_eq!(outcome.unwrap(), pair("list", "x"));
            } else {
                let error = outcome.unwrap_err();
                assert!(error.is_connection() && !error.may_have_run(), "{error:?}");
            }
        }
        assert_eq!(soon(client.llen("list")).await.unwrap(), 1);
    });
}

#[test]
fn th_02_a_waiting_command_that_is_awaited_again_after_its_end_is_a_misuse() {
    on_each(async |case| {
        let client = case.client().await;
        let mut waiting =
            std::pin::pin!(client.blpop::<Value, _>("none", Duration::from_millis(1)));
        assert!(soon(waiting.as_mut()).await.is_ok());
        let error = soon(waiting.as_mut()).await.unwrap_err();
        assert!(error.is_misuse(), "{error}");

        let mut pipeline = client.pipeline();
        pipeline
            .transaction(false)
            .blpop("none", Duration::from_millis(1));
        let mut waiting = std::pin::pin!(pipeline.execute::<Vec<Value>>());
        assert!(soon(waiting.as_mut()).await.is_ok());
        let error = soon(waiting.as_mut()).await.unwrap_err();
        assert!(error.is_misuse(), "{error}");
    });
}

#[test]
fn th_02_without_a_runtime_what_needs_a_connection_of_its_own_is_a_misuse() {
    let server = Server::start();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let client = runtime.block_on(Client::connect(server.url())).unwrap();
    let waiting = pin!(client.blpop::<Popped, _>("list", FOREVER));
    let outcome = waiting.poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(outcome, Poll::Ready(Err(error)) if error.is_misuse()));
}
