//! Subscribers in the background, on real servers, through both faces: SPEC items RN.
#![cfg(feature = "blocking")]

mod faces;
mod support;

use std::fs;
use std::future::{Future, poll_fn};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::Poll;
use std::time::Duration;

use faces::task::Task;
use faces::{Case, Client, PubSub, asynchronously, plain};
use support::{QUIET, SOON, error, eventually, short};
use tidings::{Error, ErrorKind, Event, Message, RunOptions};

on_both_faces! {
    [plain]
    rn_01_what_has_no_handler_is_named_the_first_channel_then_pattern_then_shard_channel,
    rn_01_what_has_lost_its_handler_is_refused,
    rn_01_while_it_runs_handles_subscribe_to_nothing_that_has_no_handler,
    rn_01_while_it_runs_subscriptions_with_handlers_are_added,
    rn_01_a_closed_subscriber_does_not_run,
    rn_02_stop_gives_the_subscriber_back_with_its_handlers,
    rn_02_stop_waits_for_the_handler_at_work_and_begins_no_other,
    rn_02_join_waits_as_long_as_it_is_told,
    rn_02_it_ends_when_no_subscription_is_left,
    rn_02_a_stopper_ends_it_from_within_a_handler,
    rn_02_dropping_it_closes_the_subscriber_and_detaching_does_not,
    rn_02_a_handler_cannot_wait_for_itself,
    rn_03_it_waits_for_the_socket_without_spinning,
    rn_03_a_message_is_handled_at_once,
    rn_03_sleep_time_is_a_pause_that_stop_ends,
    rn_04_the_first_error_ends_it_and_closes_the_subscriber,
    rn_04_a_panic_and_an_undecodable_payload_are_errors_like_others,
    rn_04_the_error_handler_sees_each_error_and_it_goes_on,
    rn_04_the_error_handler_may_stop_it,
    rn_04_a_panic_of_the_error_handler_or_of_on_gap_is_an_error,
    rn_05_it_outlives_the_server_without_an_error_and_without_spinning,
    rn_05_errors_without_end_are_backed_off_from,
    rn_05_where_nothing_more_can_come_the_last_error_is_the_end,
}

/// What handlers wrote down, in order.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn note(&self, text: impl Into<String>) {
        self.0.lock().unwrap().push(text.into());
    }

    fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    fn handler(&self) -> impl FnMut(Message) + Send + use<> {
        let log = self.clone();
        move |message| log.note(short(&Event::Message(message)))
    }

    /// Notes errors.
    fn on_error(&self) -> RunOptions {
        let log = self.clone();
        RunOptions::new().on_error(move |error, _| log.note(error.to_string()))
    }

    async fn await_len(&self, len: usize) {
        eventually("all is noted", || self.len() >= len).await;
        assert_eq!(self.len(), len, "{:?}", self.all());
    }
}

async fn handling(client: &Client, channel: &str, log: &Log) -> PubSub {
    let mut pubsub = client.pubsub().await.unwrap();
    pubsub.subscribe_with(channel, log.handler()).await.unwrap();
    pubsub
}

fn refusal(outcome: Result<Task, Box<(Error, PubSub)>>) -> (String, PubSub) {
    let (error, pubsub) = *outcome.expect_err("it is to be refused");
    assert!(error.is_misuse(), "{error}");
    (error.to_string(), pubsub)
}

async fn ended(task: &Task) -> Error {
    error(task.join(SOON).await)
}

async fn rn_01_what_has_no_handler_is_named_the_first_channel_then_pattern_then_shard_channel(
    case: Case,
) {
    let client = case.client().await;
    let log = Log::default();
    let mut pubsub = handling(&client, "handled", &log).await;
    pubsub.ssubscribe(["s1", "s2"]).await.unwrap();
    pubsub.psubscribe(["p1*", "p2*"]).await.unwrap();
    pubsub.subscribe(["c1", "c2"]).await.unwrap();
    for (named, kind) in [
        ("channel c1 ", "channel"),
        ("channel c2 ", "channel"),
        ("pattern p1* ", "pattern"),
        ("pattern p2* ", "pattern"),
        ("shard channel s1 ", "shard"),
        ("shard channel s2 ", "shard"),
    ] {
        let (text, back) = refusal(pubsub.run());
        assert!(text.contains(named), "{text}");
        pubsub = back;
        let name = named.split(' ').nth_back(1).unwrap();
        match kind {
            "channel" => pubsub.subscribe_with(name, log.handler()).await.unwrap(),
            "pattern" => pubsub.punsubscribe(name).await.unwrap(),
            _ => pubsub.ssubscribe_with(name, log.handler()).await.unwrap(),
        }
    }
    // What was refused can be used as before, by its handles too.
    pubsub.handle().subscribe("c3").await.unwrap();
    pubsub.unsubscribe("c3").await.unwrap();
    let task = pubsub.run().unwrap();
    client.publish("c2", "1").await.unwrap();
    client.spublish("s1", "2").await.unwrap();
    log.await_len(2).await;
    assert_eq!(log.all(), ["message c2 1", "smessage s1 2"]);
    task.stop().await.unwrap();
}

async fn rn_01_what_has_lost_its_handler_is_refused(case: Case) {
    let client = case.client().await;
    let mut pubsub = handling(&client, "a", &Log::default()).await;
    // The handler goes with the end, which is not read yet.
    pubsub.unsubscribe("a").await.unwrap();
    pubsub.subscribe("a").await.unwrap();
    let (text, mut pubsub) = refusal(pubsub.run());
    assert!(text.contains("channel a "), "{text}");
    pubsub.subscribe_with("a", |_| ()).await.unwrap();
    pubsub.run().unwrap().stop().await.unwrap();
}

async fn rn_01_while_it_runs_handles_subscribe_to_nothing_that_has_no_handler(case: Case) {
    let client = case.client().await;
    let log = Log::default();
    let pubsub = handling(&client, "a", &log).await;
    let handle = pubsub.handle();
    let task = pubsub.run().unwrap();
    for failed in [
        error(handle.subscribe(["a", "b"]).await),
        error(task.handle().psubscribe("a").await),
        error(handle.ssubscribe("a").await),
    ] {
        assert!(failed.is_misuse(), "{failed}");
        assert!(failed.to_string().contains("subscribe_with"), "{failed}");
    }
    // What has a handler keeps it.
    handle.subscribe("a").await.unwrap();
    handle.unsubscribe("unknown").await.unwrap();
    client.publish("a", "1").await.unwrap();
    log.await_len(1).await;
    let pubsub = task.stop().await.unwrap();
    assert_eq!(pubsub.channels(), ["a"]);
    assert!(pubsub.patterns().is_empty() && pubsub.shard_channels().is_empty());
    handle.subscribe("b").await.unwrap();
    assert_eq!(pubsub.channels(), ["a", "b"]);
}

async fn rn_01_while_it_runs_subscriptions_with_handlers_are_added(case: Case) {
    let client = case.client().await;
    let log = Log::default();
    let task = handling(&client, "a", &log).await.run().unwrap();
    task.subscribe_with("b", log.handler()).await.unwrap();
    task.psubscribe_with("p*", log.handler()).await.unwrap();
    task.ssubscribe_with("s", log.handler()).await.unwrap();
    let other = log.clone();
    let other = move |message: Message| other.note(format!("other {}", message.text()));
    task.subscribe_with("a", other).await.unwrap();
    client.publish("b", "1").await.unwrap();
    client.publish("p1", "2").await.unwrap();
    client.publish("a", "3").await.unwrap();
    client.spublish("s", "4").await.unwrap();
    let expected = ["message b 1", "pmessage p* p1 2", "other 3", "smessage s 4"];
    log.await_len(4).await;
    assert_eq!(log.all(), expected);

    // What the server refuses leaves no handler behind, and those that there are.
    let allowed = ["&a", "&b", "&p*", "&s"];
    let setuser = ["ACL", "SETUSER", "default", "resetchannels"];
    case.server.admin(setuser.iter().chain(&allowed));
    let failed = error(task.subscribe_with("b2", |_| ()).await);
    assert!(failed.is_no_permission(), "{failed}");
    assert!(failed.to_string().contains("b2"), "{failed}");
    client.publish("b", "5").await.unwrap();
    log.await_len(5).await;
    let pubsub = task.stop().await.unwrap();
    assert_eq!(pubsub.channels(), ["a", "b"]);
}

async fn rn_01_a_closed_subscriber_does_not_run(case: Case) {
    let client = case.client().await;
    let mut pubsub = handling(&client, "a", &Log::default()).await;
    pubsub.close().await.unwrap();
    let (text, _) = refusal(pubsub.run());
    assert!(text.contains("closed"), "{text}");
}

async fn rn_02_stop_gives_the_subscriber_back_with_its_handlers(case: Case) {
    let client = case.client().await;
    let log = Log::default();
    let mut pubsub = handling(&client, "a", &log).await;
    for round in 0..3 {
        let task = pubsub.run().unwrap();
        assert!(task.is_running());
        client.publish("a", "in the background").await.unwrap();
        log.await_len(2 * round + 1).await;
        pubsub = task.stop().await.unwrap();
        assert!(!task.is_running());
        // It is there once.
        assert!(error(task.stop().await).is_misuse());
        assert!(error(task.join(SOON).await).is_misuse());
        let failed = error(task.subscribe_with("b", |_| ()).await);
        assert_eq!(failed.kind(), ErrorKind::Closed);
        client.publish("a", "by hand").await.unwrap();
        pubsub.ping().await.unwrap();
        while pubsub.next_message(Duration::ZERO).await.unwrap().is_some() {}
        assert_eq!(log.len(), 2 * round + 2);
        drop(task);
    }
    assert!(pubsub.is_subscribed());
    assert_eq!(pubsub.stats().reconnects, 0);
}

async fn rn_02_stop_waits_for_the_handler_at_work_and_begins_no_other(case: Case) {
    let client = case.client().await;
    let log = Log::default();
    let mut pubsub = client.pubsub().await.unwrap();
    let (started, begun) = mpsc::channel();
    let (go_on, gate) = mpsc::channel::<()>();
    let gate = Arc::new(Mutex::new(gate));
    let (noted, blocks) = (log.clone(), case.blocks());
    let waits = move |message: Message| {
        let (log, gate) = (noted.clone(), Arc::clone(&gate));
        started.send(()).unwrap();
        async move {
            loop {
                match gate.lock().unwrap().recv_timeout(Duration::ZERO) {
                    Ok(()) => break,
                    Err(_) if blocks => std::thread::sleep(Duration::from_millis(1)),
                    Err(_) => {}
                }
                if !blocks {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
            log.note(message.text());
        }
    };
    pubsub.subscribe_with_waiting("a", waits).await.unwrap();
    let task = pubsub.run().unwrap();
    client.publish("a", "1").await.unwrap();
    client.publish("a", "2").await.unwrap();
    eventually("the handler has begun", || begun.try_recv().is_ok()).await;
    task.stopper().stop();
    assert!(task.stopper().is_stopping());
    assert!(task.join(QUIET).await.unwrap().is_none());
    assert_eq!(log.len(), 0);
    go_on.send(()).unwrap();
    let mut pubsub = task.stop().await.unwrap();
    assert_eq!(log.all(), ["1"]);
    // The next one was not begun, and is not lost.
    go_on.send(()).unwrap();
    while log.len() < 2 {
        pubsub.get_message(SOON).await.unwrap();
    }
    assert_eq!(log.all(), ["1", "2"]);
}

async fn rn_02_join_waits_as_long_as_it_is_told(case: Case) {
    let client = case.client().await;
    let task = handling(&client, "a", &Log::default()).await.run().unwrap();
    assert!(task.join(Duration::ZERO).await.unwrap().is_none());
    let begun = std::time::Instant::now();
    assert!(task.join(QUIET).await.unwrap().is_none());
    assert!(begun.elapsed() >= QUIET);
    assert!(task.is_running());
    let stopper = task.stopper();
    let stopping = tokio::spawn(async move {
        tokio::time::sleep(QUIET).await;
        stopper.stop();
    });
    let pubsub = task.join(SOON).await.unwrap().expect("it has ended");
    assert_eq!(pubsub.channels(), ["a"]);
    stopping.await.unwrap();
}

async fn rn_02_it_ends_when_no_subscription_is_left(case: Case) {
    let client = case.client().await;
    let log = Log::default();
    let mut pubsub = handling(&client, "a", &log).await;
    let (handle, noted) = (pubsub.handle().without_waiting(), log.clone());
    let last = move |message: Message| {
        noted.note(message.text());
        handle.unsubscribe(["a", "b"]);
    };
    pubsub.subscribe_with("b", last).await.unwrap();
    let task = pubsub.run().unwrap();
    client.publish("a", "1").await.unwrap();
    client.publish("b", "2").await.unwrap();
    let pubsub = task.join(SOON).await.unwrap().expect("it has ended");
    assert!(!pubsub.is_subscribed());
    assert_eq!(log.all(), ["message a 1", "2"]);
    // Nothing to do is the same.
    let task = pubsub.run().unwrap();
    let mut pubsub = task.join(SOON).await.unwrap().expect("it has ended");
    pubsub.subscribe_with("c", log.handler()).await.unwrap();
    let task = pubsub.run().unwrap();
    client.publish("c", "3").await.unwrap();
    log.await_len(3).await;
    drop(task);
}

async fn rn_02_a_stopper_ends_it_from_within_a_handler(case: Case) {
    let client = case.client().await;
    let log = Log::default();
    let task = handling(&client, "a", &log).await.run().unwrap();
    let (stopper, noted) = (task.stopper(), log.clone());
    let stops = move |message: Message| {
        noted.note(message.text());
        stopper.stop();
    };
    task.subscribe_with("stop", stops).await.unwrap();
    for channel in ["a", "stop", "a"] {
        client.publish(channel, "x").await.unwrap();
    }
    let mut pubsub = task.join(SOON).await.unwrap().expect("it has ended");
    assert_eq!(log.all(), ["message a x", "x"]);
    while log.len() < 3 {
        pubsub.get_message(SOON).await.unwrap();
    }
}

async fn rn_02_dropping_it_closes_the_subscriber_and_detaching_does_not(case: Case) {
    let client = case.client().await;
    let log = Log::default();
    let task = handling(&client, "dropped", &log).await.run().unwrap();
    case.await_subscribers("dropped", 1).await;
    drop(task);
    case.await_subscribers("dropped", 0).await;

    let task = handling(&client, "detached", &log).await.run().unwrap();
    let stopper = task.stopper();
    task.detach();
    client.publish("detached", "1").await.unwrap();
    log.await_len(1).await;
    case.await_subscribers("detached", 1).await;
    stopper.stop();
    case.await_subscribers("detached", 0).await;

    // One that has ended before somebody drops it.
    let task = handling(&client, "ended", &log).await.run().unwrap();
    task.stopper().stop();
    eventually("it has ended", || !task.is_running()).await;
    case.await_subscribers("ended", 1).await;
    drop(task);
    case.await_subscribers("ended", 0).await;
}

async fn rn_02_a_handler_cannot_wait_for_itself(case: Case) {
    let client = case.client().await;
    let mut pubsub = client.pubsub().await.unwrap();
    let known: Arc<Mutex<Option<Arc<Task>>>> = Arc::default();
    let (log, place) = (Log::default(), Arc::clone(&known));
    let noted = log.clone();
    let waits = move |_: Message| {
        let task = place.lock().unwrap().clone().unwrap();
        let noted = noted.clone();
        async move {
            // Not by way of `Task`, which makes room for a thread that blocks.
            let (joined, stopped) = match &*task {
                Task::Asynchronous(task) => (task.join(SOON).await.err(), task.stop().await.err()),
                Task::Blocking(thread) => (thread.join(SOON).err(), thread.stop().err()),
            };
            for failed in [joined, stopped] {
                let failed = failed.unwrap();
                assert!(failed.is_misuse());
                noted.note(failed.to_string());
            }
        }
    };
    pubsub.subscribe_with_waiting("a", waits).await.unwrap();
    let task = Arc::new(pubsub.run().unwrap());
    *known.lock().unwrap() = Some(Arc::clone(&task));
    client.publish("a", "1").await.unwrap();
    // It was told to stop all the same.
    assert!(task.join(SOON).await.unwrap().is_some());
    assert_eq!(log.len(), 2);
    known.lock().unwrap().take();
}

/// How long the processor has worked for this thread or for the one of this name.
fn processor_time(case: &Case, thread: &str) -> Duration {
    let of = |path: &std::path::Path| -> Duration {
        let text = fs::read_to_string(path.join("schedstat")).unwrap();
        Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
    };
    if !case.blocks() {
        return of(std::path::Path::new("/proc/thread-self"));
    }
    let threads = fs::read_dir("/proc/self/task").unwrap().flatten();
    let named = |path: &std::path::PathBuf| {
        let name = fs::read_to_string(path.join("comm"));
        name.is_ok_and(|name| name.trim() == thread)
    };
    let mut found = threads.map(|entry| entry.path()).filter(named);
    let path = found.next().expect("a thread of that name");
    assert!(found.next().is_none());
    of(&path)
}

/// It does not work meanwhile.
async fn assert_rests(case: &Case, thread: &str, time: Duration) {
    let before = processor_time(case, thread);
    tokio::time::sleep(time).await;
    let worked = processor_time(case, thread) - before;
    assert!(worked < time / 10, "it worked {worked:?} of {time:?}");
}

const LONG: Duration = Duration::from_millis(300);

async fn rn_03_it_waits_for_the_socket_without_spinning(case: Case) {
    let client = case.client().await;
    let log = Log::default();
    // A name of its own, as other tests run in this process.
    let channel = format!("q{}", case.server.port());
    let task = handling(&client, &channel, &log).await.run().unwrap();
    client.publish(&channel, "1").await.unwrap();
    log.await_len(1).await;
    assert_rests(&case, &format!("pubsub {channel}"), LONG).await;
    client.publish(&channel, "2").await.unwrap();
    log.await_len(2).await;
    task.stop().await.unwrap();
}

async fn rn_03_a_message_is_handled_at_once(case: Case) {
    let client = case.client().await;
    let (sent, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let mut pubsub = client.pubsub().await.unwrap();
    let answers = move |message: Message| sent.send(message.into_payload());
    pubsub.subscribe_with("a", answers).await.unwrap();
    let task = pubsub.run().unwrap();
    // Whoever looked every 10 ms would take half as long again as there is time.
    let rounds = async {
        for round in 0..1500 {
            client.publish("a", round).await.unwrap();
            assert_eq!(heard.recv().await.unwrap(), round.to_string());
        }
    };
    tokio::time::timeout(SOON, rounds).await.unwrap();
    task.stop().await.unwrap();
}

async fn rn_03_sleep_time_is_a_pause_that_stop_ends(case: Case) {
    let client = case.client().await;
    let log = Log::default();
    let mut pubsub = handling(&client, "a", &log).await;
    client.publish("a", "1").await.unwrap();
    // The answer comes behind the message: it is there when it is looked for.
    pubsub.ping().await.unwrap();
    let hour = RunOptions::new().sleep_time(Duration::from_secs(3600));
    let task = pubsub.run_with(hour).unwrap();
    log.await_len(1).await;
    tokio::time::sleep(QUIET).await;
    client.publish("a", "2").await.unwrap();
    tokio::time::sleep(QUIET).await;
    assert_eq!(log.len(), 1);
    let pubsub = task.stop().await.unwrap();

    let short = RunOptions::new().sleep_time(Duration::from_millis(5));
    let task = pubsub.run_with(short).unwrap();
    log.await_len(2).await;
    for n in 3..10 {
        client.publish("a", n).await.unwrap();
        log.await_len(n).await;
    }
    let pubsub = task.stop().await.unwrap();
    let none = RunOptions::new().sleep_time(Duration::ZERO);
    let task = pubsub.run_with(none).unwrap();
    client.publish("a", "10").await.unwrap();
    log.await_len(10).await;
    task.stop().await.unwrap();
}

async fn rn_04_the_first_error_ends_it_and_closes_the_subscriber(case: Case) {
    let client = case.client().await;
    let log = Log::default();
    let mut pubsub = handling(&client, "a", &log).await;
    let handle = pubsub.handle();
    pubsub
        .subscribe_with("fails", |_| Err::<(), _>("on purpose"))
        .await
        .unwrap();
    let task = pubsub.run().unwrap();
    for channel in ["a", "fails", "a"] {
        client.publish(channel, "x").await.unwrap();
    }
    for failed in [
        ended(&task).await,
        ended(&task).await,
        error(task.stop().await),
        error(task.subscribe_with("b", |_| ()).await),
    ] {
        assert_eq!(failed.kind(), ErrorKind::Handler);
        assert_eq!(failed.to_string(), "the handler of fails failed");
    }
    assert!(!task.is_running());
    assert_eq!(log.all(), ["message a x"]);
    case.await_subscribers("a", 0).await;
    assert!(error(handle.subscribe("b").await).is_misuse());
}

async fn rn_04_a_panic_and_an_undecodable_payload_are_errors_like_others(case: Case) {
    let client = case.client().await;
    let mut pubsub = client.pubsub().await.unwrap();
    let panics = |message: Message| -> () { panic!("no {}", message.text()) };
    pubsub.subscribe_with("a", panics).await.unwrap();
    let task = pubsub.run().unwrap();
    client.publish("a", "way").await.unwrap();
    let failed = ended(&task).await;
    assert_eq!(failed.to_string(), "the handler of a panicked: no way");

    let mut pubsub = client.pubsub().payload::<u8>().await.unwrap();
    pubsub.subscribe_with("a", |_| ()).await.unwrap();
    let task = pubsub.run().unwrap_or_else(|_| panic!("it runs"));
    client.publish("a", "256").await.unwrap();
    let failed = error(task.join(SOON).await);
    assert_eq!(failed.kind(), ErrorKind::Decode);
    assert_eq!(failed.raw_payload().unwrap(), "256");
}

async fn rn_04_the_error_handler_sees_each_error_and_it_goes_on(case: Case) {
    let client = case.client().await;
    let (log, errors) = (Log::default(), Log::default());
    let mut pubsub = handling(&client, "a", &log).await;
    pubsub
        .subscribe_with("fails", |_| Err::<(), _>("on purpose"))
        .await
        .unwrap();
    pubsub
        .subscribe_with("panics", |_| -> () { panic!("on purpose") })
        .await
        .unwrap();
    let task = pubsub.run_with(errors.on_error()).unwrap();
    for channel in ["a", "fails", "panics", "a", "fails", "a"] {
        client.publish(channel, "x").await.unwrap();
    }
    log.await_len(3).await;
    let expected = [
        "the handler of fails failed",
        "the handler of panics panicked: on purpose",
        "the handler of fails failed",
    ];
    assert_eq!(errors.all(), expected);
    let pubsub = task.stop().await.unwrap();
    assert!(pubsub.is_subscribed());
    assert_eq!(pubsub.stats().reconnects, 0);
}

async fn rn_04_the_error_handler_may_stop_it(case: Case) {
    let client = case.client().await;
    let log = Log::default();
    let mut pubsub = handling(&client, "a", &log).await;
    pubsub
        .subscribe_with("fails", |_| Err::<(), _>("on purpose"))
        .await
        .unwrap();
    let options = RunOptions::new().on_error(|error, task| {
        assert_eq!(error.kind(), ErrorKind::Handler);
        task.stop();
    });
    let task = pubsub.run_with(options).unwrap();
    for channel in ["a", "fails", "a"] {
        client.publish(channel, "x").await.unwrap();
    }
    let mut pubsub = task.join(SOON).await.unwrap().expect("it has ended");
    assert_eq!(log.len(), 1);
    while log.len() < 2 {
        pubsub.get_message(SOON).await.unwrap();
    }
}

async fn rn_04_a_panic_of_the_error_handler_or_of_on_gap_is_an_error(case: Case) {
    let client = case.client().await;
    let mut pubsub = client.pubsub().await.unwrap();
    pubsub
        .subscribe_with("a", |_| Err::<(), _>("on purpose"))
        .await
        .unwrap();
    let options = RunOptions::new().on_error(|error, _| panic!("worse than {error}"));
    let task = pubsub.run_with(options).unwrap();
    client.publish("a", "x").await.unwrap();
    let failed = ended(&task).await.to_string();
    assert!(
        failed.contains("error handler panicked: worse than the handler"),
        "{failed}"
    );

    let errors = Log::default();
    let mut pubsub = handling(&client, "a", &Log::default()).await;
    pubsub.on_gap(|_| panic!("on purpose"));
    let task = pubsub.run_with(errors.on_error()).unwrap();
    case.await_subscribers("a", 1).await;
    case.kill_subscribers();
    errors.await_len(1).await;
    assert!(
        errors.all()[0].contains("panicked: on purpose"),
        "{:?}",
        errors.all()
    );
    task.stop().await.unwrap();
}

async fn rn_05_it_outlives_the_server_without_an_error_and_without_spinning(case: Case) {
    let client = case.client().await;
    let (log, gaps, errors) = (Log::default(), Log::default(), Log::default());
    let channel = format!("r{}", case.server.port());
    let mut pubsub = handling(&client, &channel, &log).await;
    let noted = gaps.clone();
    pubsub.on_gap(move |gap| noted.note(format!("{:?}", gap.cause())));
    let task = pubsub.run_with(errors.on_error()).unwrap();
    client.publish(&channel, "1").await.unwrap();
    log.await_len(1).await;
    case.server.kill();
    assert_rests(&case, &format!("pubsub {channel}"), LONG).await;
    assert!(task.is_running());
    case.server.restart();
    case.await_subscribers(&channel, 1).await;
    gaps.await_len(1).await;
    case.server.admin(["PUBLISH", &channel, "2"]);
    log.await_len(2).await;
    assert_eq!(gaps.all(), ["Disconnected"]);
    assert_eq!(errors.len(), 0);
    task.stop().await.unwrap();
}

async fn rn_05_errors_without_end_are_backed_off_from(case: Case) {
    let client = case.client().await;
    let errors = Log::default();
    let mut pubsub = client.pubsub().await.unwrap();
    let good = Arc::new(AtomicBool::new(false));
    let is_good = Arc::clone(&good);
    let handler = move |_: Message| match is_good.load(Ordering::Relaxed) {
        true => Ok(()),
        false => Err("never"),
    };
    pubsub.subscribe_with("a", handler).await.unwrap();
    let task = pubsub.run_with(errors.on_error()).unwrap();
    let mut pipeline = client.pipeline();
    pipeline.transaction(false);
    for n in 0..5_000 {
        pipeline.publish("a", n);
    }
    pipeline.execute::<()>().await.unwrap();
    tokio::time::sleep(LONG).await;
    // Pauses of 1, 2, 4, … ms, or half of that.
    let told = errors.len();
    assert!((3..30).contains(&told), "{told}");
    good.store(true, Ordering::Relaxed);
    let mut pubsub = task.stop().await.unwrap();
    assert!(errors.len() <= told + 1);
    pubsub.unsubscribe_all().await.unwrap();
    while let Some(event) = pubsub.next().await {
        event.unwrap();
    }
    assert_eq!(pubsub.stats().delivered, 5_000);
}

async fn rn_05_where_nothing_more_can_come_the_last_error_is_the_end(case: Case) {
    let errors = Log::default();
    let config = tidings::Config::from_url(&case.url()).unwrap();
    let client = case.client_with(config.max_attempts(2)).await;
    let pubsub = handling(&client, "a", &Log::default()).await;
    let task = pubsub.run_with(errors.on_error()).unwrap();
    case.server.kill();
    let failed = ended(&task).await;
    assert!(failed.is_connection(), "{failed}");
    assert_eq!(errors.all(), [failed.to_string()]);
}

#[test]
fn rn_02_a_runtime_that_ends_ends_it() {
    asynchronously(async |case| {
        let url = case.url();
        let task = tokio::task::spawn_blocking(move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            let task = runtime.block_on(async {
                let client = tidings::Client::connect(url).await.unwrap();
                let mut pubsub = client.pubsub().await.unwrap();
                pubsub.subscribe_with("a", |_| ()).await.unwrap();
                pubsub.spawn().unwrap()
            });
            assert!(task.is_running());
            runtime.shutdown_timeout(SOON);
            task
        });
        let task = task.await.unwrap();
        let failed = error(task.join(SOON).await);
        assert_eq!(failed.kind(), ErrorKind::Closed);
        assert_eq!(error(task.stop().await).kind(), ErrorKind::Closed);
        let failed = error(task.subscribe_with("b", |_| ()).await);
        assert_eq!(failed.kind(), ErrorKind::Closed);
        case.await_subscribers("a", 0).await;
    });
}

#[test]
fn rn_01_without_a_runtime_it_is_refused_and_not_lost() {
    asynchronously(async |case| {
        let client = tidings::Client::connect(case.url()).await.unwrap();
        let mut pubsub = client.pubsub().await.unwrap();
        pubsub.subscribe_with("a", |_| ()).await.unwrap();
        let refused = std::thread::spawn(|| pubsub.spawn().unwrap_err());
        let refused = refused.join().unwrap();
        assert!(refused.error().is_misuse() && refused.to_string().contains("runtime"));
        fn is_an_error(_: &(impl std::error::Error + Send + Sync + 'static)) {}
        is_an_error(&refused);
        let task = refused.into_pubsub().spawn().unwrap();
        let pubsub = task.stop().await.unwrap();
        assert_eq!(pubsub.channels(), ["a"]);
    });
}

#[test]
fn rn_02_a_stop_that_is_dropped_loses_nothing() {
    asynchronously(async |case| {
        let client = tidings::Client::connect(case.url()).await.unwrap();
        let mut pubsub = client.pubsub().await.unwrap();
        pubsub.subscribe_with("a", |_| ()).await.unwrap();
        let task = pubsub.spawn().unwrap();
        {
            let mut stop = std::pin::pin!(task.stop());
            let polled = poll_fn(|cx| Poll::Ready(stop.as_mut().poll(cx).is_pending())).await;
            assert!(polled);
        }
        let pubsub = task.join(None).await.unwrap().expect("it was told to stop");
        assert_eq!(pubsub.channels(), ["a"]);
    });
}
