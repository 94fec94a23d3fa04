//! Who does not read loses messages, and nobody else does: SPEC item QU-02.

use tidings::{ErrorKind, Event, Overflow};

use crate::faces::{Case, plain};
use crate::on_both_faces;
use crate::support::{assert_ended, error, next, short};

on_both_faces! {
    [plain]
    qu_02_a_subscription_that_does_not_read_loses_exactly_what_it_is_told_and_holds_up_nobody,
}

async fn qu_02_a_subscription_that_does_not_read_loses_exactly_what_it_is_told_and_holds_up_nobody(
    case: Case,
) {
    const MESSAGES: usize = 1000;
    let client = case.client().await;
    let mut stalled = client.subscribe("n").queue(10, 1 << 20).await.unwrap();
    let mut newest = client
        .subscribe("n")
        .queue(10, 1 << 20)
        .overflow(Overflow::DropNewest)
        .await
        .unwrap();
    let mut closes = client
        .subscribe("n")
        .queue(10, 1 << 20)
        .overflow(Overflow::Close)
        .await
        .unwrap();
    let mut reads = client.subscribe("n").await.unwrap();
    for number in 0..MESSAGES {
        client.publish("n", number).await.unwrap();
        assert_eq!(
            short(&next(&mut reads).await),
            format!("message n {number}")
        );
    }
    let lost = |event: Event| event.gap().expect("a gap").dropped();
    assert_eq!(lost(next(&mut stalled).await), Some(MESSAGES as u64 - 10));
    for number in MESSAGES - 10..MESSAGES {
        assert_eq!(
            short(&next(&mut stalled).await),
            format!("message n {number}")
        );
    }
    for number in 0..10 {
        assert_eq!(
            short(&next(&mut newest).await),
            format!("message n {number}")
        );
        assert_eq!(
            short(&next(&mut closes).await),
            format!("message n {number}")
        );
    }
    assert_eq!(lost(next(&mut newest).await), Some(MESSAGES as u64 - 10));
    assert_eq!(lost(next(&mut closes).await), Some(1));
    let end = closes.next().await.expect("why it ends");
    assert_eq!(error(end).kind(), ErrorKind::Overflow);
    assert_ended(&mut closes).await;
    let refused = error(client.subscribe("n").overflow(Overflow::Backpressure).await);
    assert_eq!(refused.kind(), ErrorKind::Misuse);
}
