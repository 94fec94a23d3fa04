//! What goes wrong on the way of light subscribers: SPEC items RC, LV and SB on their shared connection.

mod faults;
mod support;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use faults::{names, on_each, on_each_started, quick, quick_via, soon, until};
use support::{error, short};
use tidings::{Client, Commands, ErrorKind, Event, GapCause, Subscription, cmd};
use tidings_testkit::{Proxy, Server};
use tokio::task::JoinSet;

/// What a busy machine may take for itself.
const SLACK: Duration = Duration::from_secs(1);

async fn next(subscription: &mut Subscription) -> Event {
    let event = soon(subscription.next()).await;
    event.expect("it goes on").expect("no error")
}

async fn assert_gap(subscription: &mut Subscription) {
    let event = next(subscription).await;
    let gap = event.gap().expect("a gap");
    assert_eq!(gap.cause(), GapCause::Disconnected);
    let told: Vec<&[u8]> = gap.names().collect();
    assert_eq!(told, subscription.names().collect::<Vec<_>>());
}

#[test]
fn rc_01_after_a_killed_server_all_subscriptions_are_back_with_one_gap_each() {
    on_each(async |case| {
        let client = Client::connect(quick(&case.url())).await.unwrap();
        let mut channel = client.subscribe("n").await.unwrap();
        let mut same = client.subscribe("n").await.unwrap();
        let mut pattern = client.psubscribe("n*").await.unwrap();
        let mut shard = client.ssubscribe("n").await.unwrap();
        for round in 0..3 {
            case.server.kill();
            // Who comes and goes meanwhile is no hindrance.
            let mut waiting = Box::pin(async { client.subscribe(["n", "late"]).await });
            assert!(faults::polled(&mut waiting, 1).await.is_none());
            drop(client.subscribe("given-up"));
            case.server.restart();
            let mut late = soon(waiting).await.unwrap();
            for subscription in [&mut channel, &mut same, &mut pattern, &mut shard] {
                assert_gap(subscription).await;
            }
            assert_eq!(soon(client.publish("n", round)).await.unwrap(), 2);
            assert_eq!(soon(client.spublish("n", round)).await.unwrap(), 1);
            for subscription in [&mut channel, &mut same, &mut late] {
                assert_eq!(
                    short(&next(subscription).await),
                    format!("message n {round}")
                );
            }
            assert_eq!(
                short(&next(&mut pattern).await),
                format!("pmessage n* n {round}")
            );
            assert_eq!(
                short(&next(&mut shard).await),
                format!("smessage n {round}")
            );
            assert_eq!(late.stats().gaps, 0, "it missed nothing");
            drop(late);
            case.await_subscribers("late", 0).await;
        }
        assert_eq!(channel.stats().gaps, 3);
    });
}

#[test]
fn rc_02_what_is_drained_while_there_is_no_connection_ends_behind_its_gap() {
    on_each(async |case| {
        let client = Client::connect(quick(&case.url())).await.unwrap();
        let mut goes = client.subscribe(["a", "b"]).await.unwrap();
        let mut stays = client.subscribe("a").await.unwrap();
        let receiver = tidings::Receiver::new();
        client.subscribe(receiver.channel("a")).await.unwrap();
        case.server.kill();
        until("the loss is noticed", || {
            goes.last_connect_error().is_some()
        })
        .await;
        soon(goes.drain()).await.unwrap();
        assert_gap(&mut goes).await;
        assert!(soon(goes.next()).await.is_none());
        let mut receiver = receiver;
        soon(receiver.channel("a").unsubscribe()).await.unwrap();
        let gap = soon(receiver.get()).await.unwrap().expect("a gap");
        assert!(gap.gap().is_some(), "{gap:?}");
        assert!(soon(receiver.next()).await.is_none());
        case.server.restart();
        assert_gap(&mut stays).await;
        case.await_subscribers("b", 0).await;
    });
}

#[test]
fn rc_05_lost_twice_while_10_000_subscriptions_are_made_again_each_is_told_of_one_gap() {
    const CHANNELS: usize = 10_000;
    on_each(async |case| {
        let proxy = Proxy::to(&case.server);
        let client = Client::connect(quick_via(&case, &proxy)).await.unwrap();
        let before = proxy.bytes_to_client();
        let mut making = JoinSet::new();
        for n in 0..CHANNELS {
            let client = client.clone();
            making.spawn(async move { client.subscribe(format!("channel:{n}")).await });
        }
        let mut all = Vec::new();
        while let Some(made) = making.join_next().await {
            all.push(made.expect("no panic").expect("it subscribes"));
        }
        let confirmations = proxy.bytes_to_client() - before;
        proxy.refuse(true);
        proxy.cut();
        proxy.await_connections(0);
        proxy.cut_after_each([confirmations / 3, confirmations * 2 / 3]);
        proxy.refuse(false);
        for subscription in &mut all {
            assert_gap(subscription).await;
            assert_eq!(subscription.stats().gaps, 1);
        }
        assert_eq!(all[0].stats().reconnects, 3);
        let channels: Vec<String> = (0..CHANNELS).map(|n| format!("channel:{n}")).collect();
        let counts: HashMap<String, i64> = soon(client.pubsub_numsub(&channels)).await.unwrap();
        assert_eq!(counts.len(), CHANNELS);
        assert!(counts.values().all(|count| *count == 1));
        drop(all);
        until("nothing is subscribed", || {
            case.server.cli(["PUBSUB", "CHANNELS"]).is_empty()
        })
        .await;
    });
}

#[test]
fn lv_01_a_stopped_server_is_noticed_by_idle_subscriptions_and_they_are_back_when_it_goes_on() {
    const INTERVAL: Duration = Duration::from_millis(100);
    const TIMEOUT: Duration = Duration::from_millis(100);
    on_each(async |case| {
        let config = quick(&case.url())
            .ping_interval(INTERVAL)
            .ping_timeout(TIMEOUT)
            .connect_timeout(Duration::from_millis(200));
        let client = Client::connect(config).await.unwrap();
        let mut one = client.subscribe("n").await.unwrap();
        let mut other = client.subscribe("n").await.unwrap();
        let begin = Instant::now();
        case.server.stop_process();
        until("the loss is noticed", || one.last_connect_error().is_some()).await;
        // The connection that is tried at once takes its time to fail.
        let took = begin.elapsed();
        let most = INTERVAL + TIMEOUT + Duration::from_millis(200) + SLACK;
        assert!(took >= TIMEOUT / 2 && took <= most, "{took:?}");
        case.server.continue_process();
        for subscription in [&mut one, &mut other] {
            assert_gap(subscription).await;
        }
        case.server.await_subscribers("n", 1);
        assert_eq!(soon(client.publish("n", "x")).await.unwrap(), 1);
        for subscription in [&mut one, &mut other] {
            assert_eq!(short(&next(subscription).await), "message n x");
        }
    });
}

#[test]
fn rc_04_a_name_that_is_refused_again_is_told_to_who_holds_it_and_to_who_comes_for_it() {
    let start = |binary: &tidings_testkit::Binary| {
        Server::builder().binary(binary).start().expect("it starts")
    };
    on_each_started(start, async |case| {
        let user = ["on", ">secret", "+@all", "allchannels"];
        case.server
            .admin(["ACL", "SETUSER", "app"].iter().chain(&user));
        let url = case.server.url_as("app", "secret");
        let url = format!("{url}?protocol={}", case.protocol.number());
        let client = Client::connect(quick(&url)).await.unwrap();
        let mut kept = client.subscribe("kept").await.unwrap();
        let mut both = client.subscribe(["kept", "gone"]).await.unwrap();
        let mut gone = client.subscribe("gone").await.unwrap();
        case.server
            .admin(["ACL", "SETUSER", "app", "resetchannels", "&kept"]);
        assert_gap(&mut kept).await;
        for (subscription, gaps) in [(&mut both, 1), (&mut gone, 0)] {
            let mut events = Vec::new();
            let refused = loop {
                match soon(subscription.next()).await.expect("it goes on") {
                    Ok(event) => events.push(event),
                    Err(refused) => break refused,
                }
            };
            assert!(
                refused.to_string().contains("subscribe gone again"),
                "{refused}"
            );
            while events.len() < gaps {
                events.push(next(subscription).await);
            }
            let told: Vec<Vec<String>> = events.iter().map(names).collect();
            assert_eq!(told, vec![vec!["kept".to_owned()]; gaps]);
        }
        // The refusal is no news any more, but who comes is told: with the connection, and while it is away.
        let refused = error(soon(client.subscribe("gone")).await);
        assert!(refused.is_no_permission(), "{refused}");
        for _ in 0..3 {
            case.kill_subscribers();
            let refused = error(soon(client.subscribe(["gone", "kept"])).await);
            assert!(refused.is_no_permission(), "{refused}");
            assert_gap(&mut kept).await;
        }
        case.server.admin(["ACL", "SETUSER", "app", "&gone"]);
        let mut again = soon(client.subscribe("other-kept")).await;
        assert!(again.is_err(), "only these two are allowed");
        case.kill_subscribers();
        assert_gap(&mut gone).await;
        again = soon(client.subscribe("gone")).await;
        let mut again = again.unwrap();
        assert_eq!(soon(client.publish("gone", "x")).await.unwrap(), 1);
        for subscription in [&mut again, &mut gone] {
            assert_eq!(short(&next(subscription).await), "message gone x");
        }
    });
}

#[test]
fn sb_02_a_name_that_is_dropped_while_the_server_is_busy_is_ended_as_soon_as_it_is_not() {
    on_each(async |case| {
        case.server
            .admin(["CONFIG", "SET", "busy-reply-threshold", "1"]);
        let client = Client::connect(quick(&case.url())).await.unwrap();
        let mut kept = client.subscribe("kept").await.unwrap();
        let dropped = client.subscribe("dropped").await.unwrap();
        let other = Client::connect(quick(&case.url())).await.unwrap();
        let script = cmd("EVAL").arg("while true do end").arg(0);
        let script = tokio::spawn(async move { other.run::<()>(script).await });
        let busy = || format!("{:?}", case.server.try_admin(["GET", "any"])).contains("BUSY");
        until("the server is busy", busy).await;
        drop(dropped);
        // Time for it to be refused. Whether it was does not matter below.
        tokio::time::sleep(Duration::from_millis(50)).await;
        case.server.admin(["SCRIPT", "KILL"]);
        assert!(script.await.expect("no panic").is_err());
        case.await_subscribers("dropped", 0).await;
        assert_eq!(soon(client.publish("kept", "x")).await.unwrap(), 1);
        assert_eq!(short(&next(&mut kept).await), "message kept x");
        assert_eq!(kept.stats().reconnects, 0);
    });
}

#[test]
fn rc_01_after_max_attempts_each_stream_ends_and_the_next_subscription_has_a_connection_of_its_own()
{
    on_each(async |case| {
        let proxy = Proxy::to(&case.server);
        let config = quick_via(&case, &proxy)
            .max_attempts(2)
            .max_own_connections(1);
        let client = Client::connect(config).await.unwrap();
        let mut one = client.subscribe("a").await.unwrap();
        let mut other = client.subscribe(["a", "b"]).await.unwrap();
        proxy.close_at_once(true);
        proxy.cut();
        for subscription in [&mut one, &mut other] {
            let end = soon(subscription.next()).await.expect("why it ends");
            assert_eq!(error(end).kind(), ErrorKind::Connection);
            assert!(soon(subscription.next()).await.is_none());
        }
        proxy.close_at_once(false);
        // Those that have ended are still there; the connection that they had is not.
        let direct = Client::connect(quick(&case.url())).await.unwrap();
        let mut again = soon(client.subscribe("a")).await.unwrap();
        assert_eq!(soon(direct.publish("a", "x")).await.unwrap(), 1);
        assert_eq!(short(&next(&mut again).await), "message a x");
        assert!(soon(one.next()).await.is_none());
    });
}

#[test]
fn sb_01_many_who_wait_for_a_connection_that_cannot_be_made_fail_together() {
    const MANY: u64 = 50;
    on_each(async |case| {
        let proxy = Proxy::to(&case.server);
        // That of commands is not made again at once.
        let config =
            quick_via(&case, &proxy).backoff(Duration::from_secs(60), Duration::from_secs(60));
        let client = Client::connect(config).await.unwrap();
        proxy.close_at_once(true);
        let accepted = proxy.accepted();
        let mut making = JoinSet::new();
        for n in 0..MANY {
            let client = client.clone();
            making.spawn(async move { client.subscribe(n).await });
        }
        while let Some(made) = making.join_next().await {
            let refused = error(made.expect("no panic"));
            assert_eq!(refused.kind(), ErrorKind::Connection);
        }
        let attempts = proxy.accepted() - accepted;
        assert!(attempts <= MANY / 2, "{attempts} attempts for {MANY}");
        proxy.close_at_once(false);
        drop(soon(client.subscribe("n")).await.unwrap());
    });
}
