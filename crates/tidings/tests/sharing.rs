//! One client that many tasks share, and what they drop on the way: SPEC items TH-01 and TH-03.

mod faults;
mod support;

use std::future::Future;
use std::time::Duration;

use faults::{on_each, polled, quick, soon, until};
use support::{COUNTED, Case};
use tidings::{Client, Commands, Config, Result, Value, cmd};
use tokio::task::JoinSet;

/// More polls than any of these futures takes to its end.
const MANY: usize = 1_000;

fn counted(case: &Case) -> Config {
    quick(&format!("{}&{COUNTED}", case.url()))
}

/// Commands, pipelines and transactions get their own replies.
async fn assert_in_step(client: &Client) {
    let mut tasks = JoinSet::new();
    for n in 0..20_u32 {
        let client = client.clone();
        tasks.spawn(async move {
            assert_eq!(client.echo::<u32>(n).await.unwrap(), n);
            let mut pipeline = client.pipeline();
            pipeline.transaction(n % 2 == 0).echo(n).echo(n + 1);
            let both: (u32, u32) = pipeline.execute().await.unwrap();
            assert_eq!(both, (n, n + 1));
        });
    }
    while let Some(done) = soon(tasks.join_next()).await {
        done.unwrap();
    }
}

#[test]
fn th_01_a_thousand_tasks_share_one_client_and_its_state_stays_as_it_was() {
    fn is_shared<T: Clone + Send + Sync + 'static>(_: &T) {}
    on_each(async |case| {
        let client = Client::connect(counted(&case).database(3)).await.unwrap();
        is_shared(&client);
        let id: i64 = client.run(cmd("CLIENT").arg("ID")).await.unwrap();
        let mut tasks = JoinSet::new();
        for n in 0..1000_u32 {
            let client = client.clone();
            tasks.spawn(async move {
                client.set(format!("key:{n}"), n).await.unwrap();
                assert_eq!(client.echo::<u32>(n).await.unwrap(), n);
                // Whatever would change it for others is refused.
                let change = match n % 5 {
                    0 => cmd("SELECT").arg(0),
                    1 => cmd("MULTI"),
                    2 => cmd("CLIENT").arg(["REPLY", "OFF"]),
                    3 => cmd("AUTH").arg("x"),
                    _ => cmd("SUBSCRIBE").arg("x"),
                };
                assert!(client.run::<()>(change).await.unwrap_err().is_misuse());
                let mut pipeline = client.pipeline();
                pipeline
                    .transaction(n % 2 == 0)
                    .get(format!("key:{n}"))
                    .incr("count");
                let (own, count): (u32, i64) = pipeline.execute().await.unwrap();
                assert_eq!((own, count > 0), (n, true));
            });
        }
        while let Some(done) = soon(tasks.join_next()).await {
            done.unwrap();
        }
        assert_eq!(client.get::<i64>("count").await.unwrap(), 1000);
        assert_eq!(
            client.run::<i64>(cmd("CLIENT").arg("ID")).await.unwrap(),
            id
        );
        assert_eq!(case.connections(), 1);
        let keyspace = case.server.cli(["INFO", "keyspace"]);
        assert!(
            keyspace.contains("db3:keys=1001") && !keyspace.contains("db0:"),
            "{keyspace}"
        );
    });
}

/// What one of the thousand does. Every reply that it gets must be its own.
async fn step(client: &Client, own: u32) {
    match own % 8 {
        0..=2 => assert_eq!(client.echo::<u32>(own).await.unwrap(), own),
        3 => {
            let mut pipeline = client.pipeline();
            pipeline.transaction(false);
            for n in 0..own % 50 {
                pipeline.echo(own + n);
            }
            let replies: Vec<u32> = pipeline.execute().await.unwrap();
            assert!(replies.into_iter().eq(own..own + own % 50));
        }
        4 => {
            let mut pipeline = client.pipeline();
            pipeline
                .echo(own)
                .run(cmd("INCR").arg("text"))
                .echo(own + 1);
            let each = pipeline.execute_each().await.unwrap();
            let text = |n: u32| Value::Bytes(n.to_string().into());
            assert_eq!(each[0].as_ref().unwrap(), &text(own));
            assert_eq!(each[1].as_ref().unwrap_err().command_number(), Some(2));
            assert_eq!(each[2].as_ref().unwrap(), &text(own + 1));
        }
        5 => {
            let large = format!("{own}:{}", "x".repeat(40_000));
            assert!(client.echo::<String>(&large).await.unwrap() == large);
        }
        6 => {
            let key = format!("list:{own}");
            let popped: Option<(String, u32)> =
                client.blpop(&key, Duration::from_millis(1)).await.unwrap();
            assert_eq!(popped, None);
            let mut pipeline = client.pipeline();
            pipeline.transaction(false).rpush(&key, [own]);
            pipeline.blpop(&key, Duration::from_secs(5)).echo(own);
            let (_, popped, echo): (i64, (String, u32), u32) = pipeline.execute().await.unwrap();
            assert_eq!((popped, echo), ((key, own), own));
        }
        _ => {
            let key = format!("watched:{own}");
            let key = &key;
            let outcome = client.transaction([key], |watch| async move {
                assert_eq!(watch.echo::<u32>(own).await?, own);
                watch
                    .multi()
                    .set(key, own)
                    .get(key)
                    .execute::<(bool, u32)>()
                    .await
            });
            assert_eq!(outcome.await.unwrap(), (true, own));
        }
    }
}

#[test]
fn th_03_of_a_thousand_tasks_a_third_dropped_at_random_no_reply_reaches_another() {
    on_each(async |case| {
        let client = Client::connect(counted(&case).max_own_connections(16))
            .await
            .unwrap();
        client.set("text", "x").await.unwrap();
        let mut tasks = JoinSet::new();
        for task in 0..1000_u32 {
            let client = client.clone();
            tasks.spawn(async move {
                for round in 0..3 {
                    let own = task * 100 + round * 7 + 1_000_000;
                    let work = step(&client, own);
                    match fastrand::u32(0..6) {
                        0 => drop(polled(work, fastrand::usize(0..12)).await),
                        1 => {
                            let time = Duration::from_micros(fastrand::u64(0..5_000));
                            drop(tokio::time::timeout(time, work).await);
                        }
                        _ => work.await,
                    }
                    for _ in 0..fastrand::u32(0..3) {
                        tokio::task::yield_now().await;
                    }
                }
            });
        }
        while let Some(done) = tokio::time::timeout(Duration::from_secs(60), tasks.join_next())
            .await
            .unwrap()
        {
            done.unwrap();
        }
        assert_in_step(&client).await;
        until("no more connections than allowed are left", || {
            case.connections() <= 17
        })
        .await;
        until("nothing is watched, blocked or queued", || {
            let list = case.server.cli(["CLIENT", "LIST"]);
            list.lines()
                .all(|line| line.contains(" flags=N ") && !line.contains(" watch=1 "))
        })
        .await;
    });
}

/// Drops what `make` makes of what `prepare` gives after 0, 1, 2, … polls, until it was ready before; `check` after each, with the polls and
/// whether it was ready.
async fn at_each_poll<P, T, F: Future<Output = T>>(
    mut prepare: impl AsyncFnMut() -> P,
    make: impl Fn(P) -> F,
    mut check: impl AsyncFnMut(usize, Option<T>),
) {
    for polls in 0..MANY {
        let outcome = polled(make(prepare().await), polls).await;
        let done = outcome.is_some();
        check(polls, outcome).await;
        if done {
            assert!(polls > 0, "nothing is ready before it was polled");
            return;
        }
    }
    panic!("it never came to an end");
}

/// Nothing but the shared connection is busy, and nobody watches or waits.
async fn assert_clean(case: &Case) {
    until("all are at rest", || {
        let list = case.server.cli(["CLIENT", "LIST"]);
        let at_rest = |line: &str| {
            line.contains(" flags=N ") && (line.contains(" watch=0 ") || !line.contains(" watch="))
        };
        list.lines().all(at_rest) && case.connections() <= 2
    })
    .await;
}

#[test]
fn th_03_pipelines_and_transactions_dropped_at_any_poll_shift_nobodys_reply() {
    on_each(async |case| {
        let client = Client::connect(quick(&case.url())).await.unwrap();
        soon(client.set("large", "x".repeat(1 << 20)))
            .await
            .unwrap();
        for transaction in [true, false] {
            let pipeline = || {
                let mut pipeline = client.pipeline();
                pipeline.transaction(transaction);
                pipeline
                    .set("a", 1)
                    .get("large")
                    .incr("a")
                    .run(cmd("INCR").arg("large"));
                pipeline
            };
            at_each_poll(
                async || pipeline(),
                |mut pipeline| pipeline.execute::<Vec<Value>>(),
                async |_, _| assert_in_step(&client).await,
            )
            .await;
            at_each_poll(
                async || pipeline(),
                |mut pipeline| pipeline.execute_each(),
                async |_, _| assert_in_step(&client).await,
            )
            .await;
            // One that is written in many pieces.
            at_each_poll(
                async || {
                    let mut pipeline = client.pipeline();
                    pipeline.transaction(transaction);
                    for n in 0..32 {
                        pipeline.set(format!("large:{n}"), "x".repeat(100_000));
                        pipeline.get(format!("large:{n}"));
                    }
                    pipeline
                },
                |mut pipeline| pipeline.execute::<()>(),
                async |_, _| assert_in_step(&client).await,
            )
            .await;
        }
    });
}

#[test]
fn th_03_what_waits_dropped_at_any_poll_leaves_nothing_behind() {
    on_each(async |case| {
        let client = Client::connect(counted(&case).max_own_connections(1))
            .await
            .unwrap();
        let brief = Duration::from_millis(2);
        at_each_poll(
            async || (),
            |()| client.blpop::<Option<(String, String)>, _>("none", brief),
            async |_, _| assert_in_step(&client).await,
        )
        .await;
        assert_clean(&case).await;
        at_each_poll(
            async || {
                let mut pipeline = client.pipeline();
                pipeline.transaction(false).echo("x").blpop("none", brief);
                pipeline
            },
            |mut pipeline| pipeline.execute::<(String, Value)>(),
            async |_, _| assert_in_step(&client).await,
        )
        .await;
        assert_clean(&case).await;
    });
}

#[test]
fn th_03_a_watch_dropped_at_any_poll_leaves_its_connection_clean_or_closed() {
    on_each(async |case| {
        // The next one is told if one is not given back.
        let client = Client::connect(counted(&case).max_own_connections(1))
            .await
            .unwrap();
        at_each_poll(
            async || (),
            |()| client.watch(["a", "b"]),
            async |_, watch| {
                drop(watch);
                assert_in_step(&client).await;
                assert_clean(&case).await;
            },
        )
        .await;
        // What runs on it, which borrows it.
        for polls in 0..MANY {
            let watch = soon(client.watch("a")).await.unwrap();
            let done = polled(watch.echo::<String>("x"), polls).await.is_some();
            let more = polled(watch.watch("b"), polls).await.is_some();
            if !done || polls % 2 == 0 {
                drop(watch);
            } else {
                soon(watch.multi().set("a", 1).execute::<()>())
                    .await
                    .unwrap();
            }
            assert_clean(&case).await;
            if done && more {
                break;
            }
        }
        for transaction in [0, 1] {
            at_each_poll(
                async || {
                    let mut multi = soon(client.watch("a")).await.unwrap().multi();
                    for _ in 0..transaction {
                        multi.set("a", 1);
                    }
                    multi
                },
                |mut multi| multi.execute::<()>(),
                async |_, _| assert_clean(&case).await,
            )
            .await;
        }
        assert_in_step(&client).await;
    });
}

#[test]
fn th_03_a_transaction_dropped_at_any_poll_runs_once_or_not_at_all() {
    on_each(async |case| {
        let client = Client::connect(counted(&case).max_own_connections(1))
            .await
            .unwrap();
        let mut before = 0;
        at_each_poll(
            async || (),
            |()| {
                client.transaction("n", |watch| async move {
                    let n: Option<i64> = watch.get("n").await?;
                    let next = n.unwrap_or(0) + 1;
                    watch.multi().set("n", next).execute::<(bool,)>().await?;
                    Ok(next)
                })
            },
            async |polls, outcome: Option<Result<i64>>| {
                assert_clean(&case).await;
                let now = soon(client.get::<Option<i64>>("n"))
                    .await
                    .unwrap()
                    .unwrap_or(0);
                match outcome {
                    Some(outcome) => assert_eq!(outcome.unwrap(), now),
                    None if polls == 0 => assert_eq!(now, before),
                    None => assert!(now == before || now == before + 1, "{before}, then {now}"),
                }
                before = now;
            },
        )
        .await;
        assert_in_step(&client).await;
    });
}
