//! Lost connections and full queues: SPEC items RX-07, QU-02.

use tidings::{ErrorKind, GapCause, Overflow, Received};

use crate::faces::{Case, plain};
use crate::on_both_faces;
use crate::support::{error, eventually};
use crate::{short, soon};

on_both_faces! {
    [plain]
    rx_07_it_survives_reconnects_with_the_gap_shown,
    qu_02_a_receiver_that_does_not_read_loses_exactly_what_its_gap_says,
}

async fn rx_07_it_survives_reconnects_with_the_gap_shown(case: Case) {
    let client = case.client().await;
    let mut receiver = case.receiver();
    client
        .subscribe([receiver.channel("a"), receiver.channel("b")])
        .await
        .unwrap();
    client.psubscribe(receiver.pattern("*")).await.unwrap();
    for round in 0..3 {
        client.publish("a", round).await.unwrap();
        assert_eq!(short(&mut receiver).await, format!("a: {round}"));
        assert_eq!(short(&mut receiver).await, format!("* a: {round}"));
        assert!(case.kill_subscribers() > 0);
        let mut told = Vec::new();
        while told.len() < 3 {
            let received = soon(receiver.get()).await.unwrap().unwrap();
            let Received::Gap(gap) = received else {
                panic!("{received:?}");
            };
            assert_eq!(gap.cause(), GapCause::Disconnected);
            told.extend(gap.names().map(<[u8]>::to_vec));
        }
        told.sort();
        assert_eq!(told, [b"*", b"a", b"b"], "each of them once");
    }
    client.publish("b", "on").await.unwrap();
    assert_eq!(short(&mut receiver).await, "b: on");
}

async fn qu_02_a_receiver_that_does_not_read_loses_exactly_what_its_gap_says(case: Case) {
    let client = case.client().await;
    let builder = case.receiver_builder().queue(10, 1 << 20);
    let mut receiver = builder.build().unwrap();
    client.subscribe(receiver.channel("a")).await.unwrap();
    for number in 0..100 {
        client.publish("a", number).await.unwrap();
    }
    eventually("all has come", || receiver.stats().received == 100).await;
    let received = soon(receiver.get()).await.unwrap().unwrap();
    assert_eq!(received.gap().expect("a gap").dropped(), Some(90));
    for number in 90..100 {
        assert_eq!(short(&mut receiver).await, format!("a: {number}"));
    }
    let refused = case
        .receiver_builder()
        .overflow(Overflow::Backpressure)
        .build();
    assert_eq!(error(refused).kind(), ErrorKind::Misuse);
    assert_eq!(receiver.stats().dropped, 90);
}
