//! What the blocking face has of its own: threads that wait, one of them at a socket that nobody else reads.

use std::sync::atomic::{AtomicBool, Ordering};

use tidings::blocking::Client;
use tidings::{Commands, Error, ErrorKind, Gap, GapCause, Result, cmd};

use super::*;
use crate::failover::{How, last_of};

#[test]
fn sn_01_threads_that_wait_for_a_primary_move_in_a_planned_failover() {
    on(each(), &Sentinels::builder().replicas(1), |case| {
        threads_move(&case, How::Planned);
    });
}

#[test]
fn sn_01_threads_that_wait_for_a_primary_that_stands_still_are_let_go() {
    on(each(), &Sentinels::builder().replicas(1), |case| {
        threads_move(&case, How::Stopped);
    });
}

/// Waits until commands go over the connection that a thread serves itself: not the one of the first command.
fn await_direct_connection(client: &Client) {
    let first = client.client_id().unwrap();
    let begun = Instant::now();
    while client.client_id().unwrap() == first {
        assert!(
            begun.elapsed() < LONG,
            "no thread has a connection of its own"
        );
        thread::sleep(Duration::from_millis(1));
    }
}

/// The port of the server that runs this.
fn port_of<C>(runner: C) -> u16
where
    C: Commands<Output<(String, u16)> = Result<(String, u16)>>,
{
    runner
        .run::<(String, u16)>(cmd("CONFIG").arg(["GET", "port"]))
        .unwrap()
        .1
}

fn threads_move(case: &Case, how: How) {
    let [old, new] = case.sentinels.servers() else {
        panic!("a primary and a replica");
    };
    let client = Client::connect(case.config()).unwrap();
    let mut pubsub = client
        .pubsub()
        .channels("news")
        .ignore_subscribe_messages(true)
        .open()
        .unwrap();
    let mut light = client.subscribe("news").open().unwrap();
    let monitor = client.monitor().open().unwrap();
    let watch = client.watch("k").unwrap();
    let popping = {
        let client = client.clone();
        thread::spawn(move || client.blpop::<Option<(String, String)>, _>("list", LONG))
    };
    let beside = runtime();
    let first_word = beside.block_on(FirstWord::of(case));
    await_direct_connection(&client);
    let stop = Arc::<AtomicBool>::default();
    let counting = {
        let (client, stop) = (client.clone(), Arc::clone(&stop));
        thread::spawn(move || {
            let mut outcomes = Vec::new();
            let mut failed = None;
            while !stop.load(Ordering::Relaxed) {
                let outcome = client.incr("counter");
                outcomes.push(outcome.map_err(|error| {
                    let may_have_run = error.may_have_run();
                    failed = Some((error, Instant::now()));
                    may_have_run
                }));
                thread::sleep(PACE);
            }
            (outcomes, failed)
        })
    };

    let replacing = {
        let sentinels = Arc::clone(&case.sentinels);
        thread::spawn(move || how.begin(&sentinels))
    };
    let event = pubsub.next_message(LONG).unwrap().expect("in time");
    let moved = Instant::now();
    assert_eq!(event.gap().expect("a gap").cause(), GapCause::Failover);
    let heard = beside.block_on(first_word.heard());
    assert!(
        moved < heard + PROMPT,
        "moved {:?} after the first word",
        moved - heard
    );
    let event = light.get_message(LONG).unwrap().expect("in time");
    assert_eq!(event.gap().expect("a gap").cause(), GapCause::Failover);

    // What waited is let go.
    let error = popping.join().unwrap().unwrap_err();
    assert_eq!(
        (error.kind(), error.may_have_run()),
        (ErrorKind::Connection, true),
        "{error:?}"
    );
    assert!(watch.get::<Option<String>>("k").unwrap_err().is_watch());
    // It was not read meanwhile, and may have dropped some of all that was counted.
    let cause = |error: Error| error.gap().map(Gap::cause);
    let mut causes = monitor.filter_map(|item| item.err().and_then(cause));
    let cause = causes.find(|cause| *cause != GapCause::Overflow);
    assert_eq!(cause, Some(GapCause::Failover));
    assert!(
        heard.elapsed() < PROMPT,
        "{:?} after the first word",
        heard.elapsed()
    );

    assert_eq!(port_of(&client), new.port());
    await_direct_connection(&client);
    assert_eq!(port_of(&client), new.port());
    stop.store(true, Ordering::Relaxed);
    let (outcomes, failed) = counting.join().unwrap();
    assert_eq!(new.cli(["GET", "counter"]), last_of(&outcomes).to_string());
    if how == How::Stopped {
        let (error, at) = failed.expect("one was under way");
        assert!(at < heard + PROMPT, "{:?} after the first word", at - heard);
        let text = format!("{error:#}");
        assert!(
            text.contains(&format!("{} is not the primary", old.address())),
            "{text}"
        );
    }
    assert_eq!(client.publish("news", "hello").unwrap(), 2);
    let event = pubsub.next_message(LONG).unwrap().expect("in time");
    assert_eq!(event.message().expect("a message").text(), "hello");
    replacing.join().unwrap();

    // With the last thing that was made of it, nobody listens to the sentinels any more.
    drop((client, pubsub, light, causes, watch));
    for sentinel in case.sentinels.sentinels() {
        let begun = Instant::now();
        while connections(sentinel) > 0 {
            assert!(begun.elapsed() < LONG, "somebody listens");
            thread::sleep(Duration::from_millis(1));
        }
    }
}
