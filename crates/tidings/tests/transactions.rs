//! Watched keys: SPEC items PL-05 to PL-07.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use support::{Case, error, eventually, on_each};
use tidings::{Client, Commands, ErrorKind};
use tokio::task::JoinSet;

/// Nobody watches anything, as the server sees it.
async fn assert_clean(case: &Case) {
    eventually("nothing is watched", || {
        let list = case.server.cli(["CLIENT", "LIST"]);
        // Within a transaction the flags hold an `x`. Redis 7.0 does not tell the number of watched keys.
        list.lines().all(|line| {
            line.contains(" flags=N ") && (line.contains(" watch=0 ") || !line.contains(" watch="))
        })
    })
    .await;
    let info = case.server.cli(["INFO", "clients"]);
    let watching = info
        .lines()
        .find_map(|line| line.strip_prefix("watching_clients:"));
    assert!(matches!(watching, None | Some("0")), "{watching:?}");
}

#[test]
fn pl_05_a_watched_key_that_changed_is_a_watch_error_and_nothing_ran() {
    on_each(async |case| {
        let client = case.client().await;
        let other = case.client().await;
        client.set("seq", 1).await.unwrap();

        let watch = client.watch("seq").await.unwrap();
        let current: i64 = watch.get("seq").await.unwrap();
        let (ok,): (bool,) = watch
            .multi()
            .set("seq", current + 1)
            .execute()
            .await
            .unwrap();
        assert!(ok);
        assert_eq!(client.get::<i64>("seq").await.unwrap(), 2);

        let watch = client.watch(["seq", "other"]).await.unwrap();
        other.set("other", 1).await.unwrap();
        let error = error(watch.multi().set("seq", 10).execute::<()>().await);
        assert_eq!(error.kind(), ErrorKind::Watch);
        assert!(!error.may_have_run());
        assert_eq!(client.get::<i64>("seq").await.unwrap(), 2);
        assert_clean(&case).await;
    });
}

#[test]
fn pl_05_exec_with_nothing_queued_still_checks() {
    on_each(async |case| {
        let client = case.client().await;
        let watch = client.watch("seq").await.unwrap();
        let (): () = watch.multi().execute().await.unwrap();
        let watch = client.watch("seq").await.unwrap();
        client.set("seq", 1).await.unwrap();
        assert!(error(watch.multi().execute::<()>().await).is_watch());
    });
}

#[test]
fn pl_06_what_is_dropped_is_reset_and_its_connection_used_again() {
    on_each(async |case| {
        let client = case.counted_client().await;
        for round in 0..5 {
            let watch = client.watch(["a", "b"]).await.unwrap();
            assert_eq!(watch.get::<Option<String>>("a").await.unwrap(), None);
            match round % 3 {
                0 => drop(watch),
                1 => drop(watch.multi()),
                _ => {
                    let mut multi = watch.multi();
                    multi.set("c", 1);
                    drop(multi);
                }
            }
            assert_clean(&case).await;
            assert_eq!(case.connections(), 2);
        }
        assert_eq!(client.get::<Option<i64>>("c").await.unwrap(), None);
    });
}

#[test]
fn pl_07_a_hundred_tasks_count_exactly() {
    on_each(async |case| {
        let client = case.counted_client().await;
        let mut tasks = JoinSet::new();
        let runs = Arc::new(AtomicU32::new(0));
        for _ in 0..100 {
            let (client, runs) = (client.clone(), Arc::clone(&runs));
            tasks.spawn(async move {
                let outcome = client.transaction(["seq"], |watch| {
                    runs.fetch_add(1, Ordering::Relaxed);
                    async move {
                        let current: Option<i64> = watch.get("seq").await?;
                        let next = current.unwrap_or(0) + 1;
                        let (): () = watch.multi().set("seq", next).execute().await?;
                        Ok(next)
                    }
                });
                outcome.await.unwrap()
            });
        }
        let mut seen: Vec<i64> = tasks.join_all().await;
        seen.sort_unstable();
        assert_eq!(seen, (1..=100).collect::<Vec<_>>());
        assert_eq!(client.get::<i64>("seq").await.unwrap(), 100);
        println!("{} runs", runs.load(Ordering::Relaxed));
        assert_clean(&case).await;
    });
}

#[test]
fn pl_07_a_closure_that_writes_a_watched_key_before_multi_is_told_why_it_cannot_end() {
    on_each(async |case| {
        let client = case.client().await;
        let writes = client.transaction("seq", |watch| async move {
            watch.incr("seq").await?;
            watch.multi().set("seq", 1).execute::<()>().await
        });
        let error = error(
            tokio::time::timeout(Duration::from_secs(10), writes)
                .await
                .unwrap(),
        );
        assert!(
            error.is_watch() && error.to_string().contains("before multi()"),
            "{error}"
        );

        let other = client.clone();
        let writes = client.transaction("seq", |watch| {
            let other: Client = other.clone();
            async move {
                other.incr("seq").await?;
                watch.multi().set("seq", 1).execute::<()>().await
            }
        });
        let error = support::error(writes.attempts(3).await);
        assert!(
            error.is_watch() && error.to_string().contains("3 attempts"),
            "{error}"
        );
        assert_clean(&case).await;
    });
}
