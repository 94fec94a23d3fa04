//! Random faults, and exact books.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tidings::{Client, Event, GapCause, PubSub};
use tidings_testkit::{Checker, Proxy, Publisher, eventually};
use tokio::sync::oneshot;

use crate::faults::{on_each, quick_via};
use crate::support::SOON;

const CHANNELS: [&str; 4] = ["ch:1", "ch:2", "ch:3", "ch:4"];

/// Reads for ever and keeps the books, until what was published is told and has arrived.
async fn keep_books(
    mut pubsub: PubSub,
    highest: Arc<AtomicU64>,
    mut published: oneshot::Receiver<tidings_testkit::Published>,
) -> tidings_testkit::Report {
    let mut checker = Checker::new();
    let mut all = None;
    loop {
        if let Some(published) = &all
            && checker.has_reached(published)
        {
            return checker.finish(published);
        }
        let event = tokio::select! {
            told = &mut published, if all.is_none() => {
                all = Some(told.expect("the test goes on"));
                continue;
            }
            event = pubsub.next() => event.expect("the stream goes on").expect("no error"),
        };
        match event {
            Event::Message(message) => {
                checker.on_payload(message.channel(), message.payload());
                let least = CHANNELS
                    .iter()
                    .map(|channel| checker.highest(channel))
                    .min();
                highest.store(least.unwrap_or_default(), Ordering::SeqCst);
            }
            Event::Gap(gap) => {
                assert_eq!(gap.cause(), GapCause::Disconnected);
                let named: Vec<&[u8]> = gap.names().collect();
                if named == [b"ch:*"] {
                    checker.on_gap(CHANNELS);
                } else {
                    checker.on_gap(named);
                }
            }
            _ => {}
        }
    }
}

#[test]
fn rc_02_through_random_faults_every_loss_is_covered_and_nothing_comes_twice() {
    const FAULTS: usize = 12;
    on_each(async |case| {
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let mut random = fastrand::Rng::with_seed(seed);
        let server = &case.server;
        let proxy = Proxy::to(server);
        let client = Client::connect(quick_via(&case, &proxy)).await.unwrap();
        let by_name = client.pubsub().channels(CHANNELS).await.unwrap();
        let by_pattern = client.pubsub().patterns("ch:*").await.unwrap();
        let publisher = Publisher::to(server).channels(CHANNELS).rate(4_000).start();
        let mut readers = Vec::new();
        for pubsub in [by_name, by_pattern] {
            let (tell, told) = oneshot::channel();
            let highest = Arc::new(AtomicU64::new(0));
            let books = tokio::spawn(keep_books(pubsub, Arc::clone(&highest), told));
            readers.push((highest, tell, books));
        }
        for _ in 0..FAULTS {
            publisher.await_more(random.u64(1..300));
            match random.u32(0..8) {
                0 => proxy.cut(),
                1 => proxy.reset(),
                2 | 3 => proxy.cut_after(random.u64(1..2_000)),
                4 => proxy.chunk(random.usize(0..20)),
                5 => {
                    server.admin(["CLIENT", "KILL", "TYPE", "pubsub"]);
                }
                6 => {
                    server.kill();
                    server.restart();
                }
                _ => {
                    proxy.refuse(true);
                    proxy.cut();
                    proxy.refuse(false);
                }
            }
        }
        proxy.heal();
        // Recovered: each has heard of what was published after the last fault.
        let now = publisher.acknowledged();
        let lasts = |least: u64| {
            readers
                .iter()
                .all(|(at, _, _)| at.load(Ordering::SeqCst) > least)
        };
        eventually("both have recovered", || {
            lasts(now / CHANNELS.len() as u64 + 1)
        });
        let published = publisher.stop();
        for (_, tell, books) in readers {
            tell.send(published.clone()).expect("it still reads");
            let report = tokio::time::timeout(SOON, books)
                .await
                .expect("soon")
                .unwrap();
            println!("{report}");
            report.assert_passed();
            assert!(report.received > 0);
        }
    });
}
