//! Each subscription has its own events: SPEC item SB-01.

use std::time::{Duration, Instant};

use tidings::{ErrorKind, GapCause};
use tidings_testkit::{Binary, Server};

use crate::faces::subscription::Subscription;
use crate::faces::{Case, plain};
use crate::on_both_faces;
use crate::support::{QUIET, SOON, assert_ended, assert_quiet, error, eventually, next, short};

on_both_faces! {
    [plain]
    sb_01_each_subscription_has_its_own_stream_over_one_connection,
    sb_01_a_loss_is_a_gap_for_each_before_its_next_message,
    sb_01_drained_it_gives_what_was_sent_before_and_ends,
    sb_01_it_outlives_its_client_and_the_connection_ends_with_the_last,
    sb_01_payloads_are_decoded_and_one_that_cannot_be_is_an_item,
    sb_01_without_a_name_nothing_is_sent,
    sb_01_get_message_gives_what_is_there_and_waits_as_long_as_it_is_told,
    [with_few]
    sb_01_a_refused_name_is_an_error_for_all_who_want_it_and_spoils_no_other,
}

/// A user who may subscribe to `open…` only.
fn with_few(binary: &Binary) -> Server {
    const FEW: &str = "few on >secret +@all ~* resetchannels &open*";
    Server::builder().binary(binary).user(FEW).start_or_panic()
}

async fn sb_01_each_subscription_has_its_own_stream_over_one_connection(case: Case) {
    let client = case.counted_client().await;
    let mut both = client.subscribe(["news", "weather"]).await.unwrap();
    let mut news = client.subscribe("news").await.unwrap();
    let mut any = client.psubscribe("n*").await.unwrap();
    assert_eq!(
        case.connections(),
        2,
        "one for commands, one for subscriptions"
    );
    assert_eq!(client.publish("news", "a").await.unwrap(), 2);
    assert_eq!(client.publish("weather", "b").await.unwrap(), 1);
    assert_eq!(short(&next(&mut both).await), "message news a");
    assert_eq!(short(&next(&mut both).await), "message weather b");
    assert_eq!(short(&next(&mut news).await), "message news a");
    assert_eq!(short(&next(&mut any).await), "pmessage n* news a");
    for subscription in [&mut both, &mut news, &mut any] {
        assert_quiet(subscription).await;
    }
}

async fn sb_01_a_loss_is_a_gap_for_each_before_its_next_message(case: Case) {
    let client = case.client().await;
    let mut both = client.subscribe(["a", "b"]).await.unwrap();
    let mut only = client.subscribe("a").await.unwrap();
    let mut pattern = client.psubscribe("*").await.unwrap();
    assert!(case.kill_subscribers() > 0);
    for subscription in [&mut both, &mut only, &mut pattern] {
        let event = next(subscription).await;
        let gap = event.gap().expect("a gap");
        assert_eq!(gap.cause(), GapCause::Disconnected);
        let told: Vec<&[u8]> = gap.names().collect();
        assert_eq!(told, subscription.names());
    }
    let mut late = client.subscribe("a").await.unwrap();
    assert_eq!(client.publish("a", "x").await.unwrap(), 2);
    for subscription in [&mut both, &mut only, &mut late] {
        assert_eq!(short(&next(subscription).await), "message a x");
    }
    assert_eq!(both.stats().reconnects, 1);
    assert_eq!(both.stats().gaps, 1);
    assert_eq!(late.stats().gaps, 0);
}

async fn sb_01_a_refused_name_is_an_error_for_all_who_want_it_and_spoils_no_other(case: Case) {
    let client = case.client_as("few").await;
    let mut open = client.subscribe("open").await.unwrap();
    let making = (0..3).map(|_| client.subscribe(["open", "secret"]));
    for making in making {
        let refused = error(making.await);
        assert_eq!(refused.kind(), ErrorKind::Server);
        assert!(refused.to_string().contains("secret"), "{refused}");
        assert_eq!(refused.code(), Some("NOPERM"));
    }
    assert_eq!(client.publish("open", "x").await.unwrap(), 1);
    assert_eq!(short(&next(&mut open).await), "message open x");
    drop(open);
    case.await_subscribers("open", 0).await;
}

async fn sb_01_drained_it_gives_what_was_sent_before_and_ends(case: Case) {
    let client = case.client().await;
    let mut stays = client.subscribe("n").await.unwrap();
    let mut goes = client.subscribe("n").await.unwrap();
    for number in 0..10 {
        client.publish("n", number).await.unwrap();
    }
    goes.drain().await.unwrap();
    client.publish("n", "later").await.unwrap();
    for number in 0..10 {
        assert_eq!(short(&next(&mut goes).await), format!("message n {number}"));
        assert_eq!(
            short(&next(&mut stays).await),
            format!("message n {number}")
        );
    }
    assert_ended(&mut goes).await;
    let ended = error(goes.get_message(Duration::ZERO).await);
    assert_eq!(ended.kind(), ErrorKind::Closed);
    assert_eq!(short(&next(&mut stays).await), "message n later");
    stays.drain().await.unwrap();
    assert_ended(&mut stays).await;
    case.await_subscribers("n", 0).await;
}

async fn sb_01_it_outlives_its_client_and_the_connection_ends_with_the_last(case: Case) {
    let client = case.counted_client().await;
    let mut one = client.subscribe("n").await.unwrap();
    let other = client.subscribe("m").await.unwrap();
    drop(client);
    eventually("commands have no connection", || case.connections() == 1).await;
    case.server.cli(["PUBLISH", "n", "x"]);
    assert_eq!(short(&next(&mut one).await), "message n x");
    drop((one, other));
    eventually("nothing is left", || case.connections() == 0).await;
}

async fn sb_01_payloads_are_decoded_and_one_that_cannot_be_is_an_item(case: Case) {
    let client = case.client().await;
    let builder = client.subscribe("n").payload::<i64>();
    let mut numbers: Subscription<i64> = builder.await.unwrap();
    for text in ["1", "two", "3"] {
        client.publish("n", text).await.unwrap();
    }
    let mut got = Vec::new();
    for _ in 0..3 {
        let event = numbers.get_message(SOON).await;
        got.push(match event {
            Ok(event) => Ok(event.unwrap().into_message().unwrap().into_payload()),
            Err(error) => Err((error.kind(), error.raw_payload().cloned())),
        });
    }
    let undecodable = (ErrorKind::Decode, Some("two".into()));
    assert_eq!(got, [Ok(1), Err(undecodable), Ok(3)]);
}

async fn sb_01_without_a_name_nothing_is_sent(case: Case) {
    let client = case.counted_client().await;
    let refused = error(client.psubscribe([""; 0]).await);
    assert!(refused.is_misuse(), "{refused}");
    assert!(refused.to_string().contains("psubscribe"), "{refused}");
    assert_eq!(case.connections(), 1);
}

async fn sb_01_get_message_gives_what_is_there_and_waits_as_long_as_it_is_told(case: Case) {
    let client = case.client().await;
    let mut news = client.subscribe("n").await.unwrap();
    let now = news.get_message(Duration::ZERO).await.unwrap();
    assert!(now.is_none(), "{now:?}");
    for number in 0..2 {
        client.publish("n", number).await.unwrap();
    }
    eventually("both have come", || news.stats().received == 2).await;
    for number in 0..2 {
        let event = news.get_message(Duration::ZERO).await.unwrap().unwrap();
        assert_eq!(short(&event), format!("message n {number}"));
    }
    let begun = Instant::now();
    assert_quiet(&mut news).await;
    assert!(begun.elapsed() >= QUIET);
}
