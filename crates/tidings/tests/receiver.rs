//! Many channels and patterns into one consumer: SPEC items RX.

mod support;

use std::task::Poll;

use support::{QUIET, SOON, error, eventually, on_each};
use tidings::{
    Client, Commands, ErrorKind, FromPayload, GapCause, Overflow, Received, Receiver, Sender,
};

async fn soon<T>(work: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(SOON, work).await;
    done.expect("it does not take for ever")
}

async fn message<P: FromPayload + std::fmt::Debug>(
    receiver: &mut Receiver<P>,
) -> (Sender, tidings::Message<P>) {
    let received = soon(receiver.get()).await.unwrap().expect("not stopped");
    received.into_message().expect("a message")
}

/// The next message in short: `channel:1: hello`, `hello* hello-channel: hello`.
async fn short(receiver: &mut Receiver) -> String {
    let (sender, message) = message(receiver).await;
    match message.pattern_str() {
        Some(pattern) => {
            assert_eq!(pattern, sender.name_str());
            format!("{pattern} {}: {}", message.channel_str(), message.text())
        }
        None => format!("{sender}: {}", message.text()),
    }
}

async fn assert_quiet(receiver: &mut Receiver) {
    let received = tokio::time::timeout(QUIET, receiver.get()).await;
    assert!(received.is_err(), "nothing was to come, but {received:?}");
}

#[test]
fn rx_01_the_same_name_has_the_same_sender_and_may_be_a_channel_and_a_pattern() {
    let receiver = Receiver::new();
    let channel = receiver.channel("a");
    assert_eq!(receiver.channel("a"), channel);
    assert_eq!(receiver.handle().channel(b"a"), channel);
    assert_ne!(receiver.channel("b"), channel);
    assert_ne!(receiver.pattern("a"), channel);
    assert_ne!(receiver.shard_channel("a"), channel);
    assert_ne!(Receiver::new().channel("a"), channel);
    assert_eq!((channel.name(), channel.is_pattern()), (&b"a"[..], false));
    assert!(receiver.pattern("a").is_pattern());
    assert!(!channel.is_active() && !receiver.is_active());
}

#[test]
fn rx_01_senders_are_given_to_subscribe_and_psubscribe() {
    on_each(async |case| {
        let client = case.client().await;
        let mut receiver = Receiver::new();
        let (one, three) = (receiver.channel("channel:1"), receiver.channel("channel:3"));
        client.subscribe([one.clone(), three]).await.unwrap();
        client.subscribe(receiver.channel("both")).await.unwrap();
        client.psubscribe(receiver.pattern("both")).await.unwrap();
        client
            .ssubscribe(receiver.shard_channel("both"))
            .await
            .unwrap();
        client.publish("channel:3", "c").await.unwrap();
        client.publish("channel:1", "a").await.unwrap();
        assert_eq!(client.publish("both", "b").await.unwrap(), 2);
        assert_eq!(client.spublish("both", "s").await.unwrap(), 1);
        assert_eq!(short(&mut receiver).await, "channel:3: c");
        let (sender, got) = message(&mut receiver).await;
        assert_eq!((sender, got.text()), (one, "a".into()));
        assert_eq!(short(&mut receiver).await, "both: b");
        assert_eq!(short(&mut receiver).await, "both both: b");
        assert_eq!(short(&mut receiver).await, "both: s");
        // The wrong method is told, and nothing is sent.
        case.forget_commands();
        let refused = error(client.psubscribe(receiver.channel("other")).await);
        assert_eq!(refused.kind(), ErrorKind::Misuse);
        assert!(refused.to_string().contains("other"), "{refused}");
        assert!(case.commands_run().is_empty());
    });
}

#[test]
fn rx_01_a_sender_that_is_subscribed_twice_receives_once() {
    on_each(async |case| {
        let client = case.client().await;
        let mut receiver = Receiver::new();
        let sender = receiver.channel("a");
        client
            .subscribe([sender.clone(), sender.clone()])
            .await
            .unwrap();
        let again = (0..10).map(|_| tokio::spawn(client.subscribe(sender.clone())));
        for again in again.collect::<Vec<_>>() {
            again.await.unwrap().unwrap();
        }
        client.publish("a", "x").await.unwrap();
        assert_eq!(short(&mut receiver).await, "a: x");
        assert_quiet(&mut receiver).await;
        // It ends at once, too.
        client.unsubscribe(&sender).await.unwrap();
        assert!(!sender.is_active());
        case.await_subscribers("a", 0).await;
    });
}

#[test]
fn rx_01_several_clients_feed_one_receiver() {
    on_each(async |case| {
        let (one, two) = (case.client().await, case.client().await);
        let mut receiver = Receiver::new();
        one.subscribe(receiver.channel("a")).await.unwrap();
        two.subscribe([receiver.channel("a"), receiver.channel("b")])
            .await
            .unwrap();
        assert_eq!(one.publish("a", "x").await.unwrap(), 2);
        assert_eq!(short(&mut receiver).await, "a: x");
        assert_eq!(short(&mut receiver).await, "a: x");
        one.unsubscribe(receiver.channel("a")).await.unwrap();
        assert_eq!(one.publish("a", "y").await.unwrap(), 1);
        assert_eq!(short(&mut receiver).await, "a: y");
        assert!(receiver.channel("a").is_active());
        // What this client has not subscribed it does not end either.
        one.unsubscribe([receiver.channel("a"), receiver.channel("b")])
            .await
            .unwrap();
        assert!(receiver.is_active());
        receiver.channel("a").unsubscribe().await.unwrap();
        two.unsubscribe(receiver.channel("b")).await.unwrap();
        assert!(soon(receiver.next()).await.is_none());
    });
}

#[test]
fn rx_02_channels_and_patterns_list_the_senders() {
    on_each(async |case| {
        let client = case.client().await;
        let receiver = Receiver::new();
        assert!(receiver.channels().is_empty() && receiver.patterns().is_empty());
        let senders = ["b", "a"].map(|name| receiver.channel(name));
        let pattern = receiver.pattern("a");
        client.subscribe(&senders[..]).await.unwrap();
        client.psubscribe(pattern.clone()).await.unwrap();
        let [b, a] = senders;
        assert_eq!(receiver.channels(), [a.clone(), b.clone()]);
        assert_eq!(receiver.patterns(), [pattern]);
        assert!(receiver.channels().iter().all(Sender::is_active));
        client.unsubscribe(b).await.unwrap();
        assert_eq!(receiver.channels(), [a]);
    });
}

#[test]
fn rx_03_get_gives_none_when_stopped_while_waiting_and_a_closed_error_after_that() {
    on_each(async |case| {
        let client = case.client().await;
        let mut receiver = Receiver::new();
        client.subscribe(receiver.channel("a")).await.unwrap();
        let handle = receiver.handle();
        let waiting = tokio::spawn(async move {
            let got = receiver.get().await;
            (receiver, got)
        });
        tokio::time::sleep(QUIET).await;
        handle.stop();
        let (mut receiver, got) = soon(waiting).await.unwrap();
        assert!(got.unwrap().is_none());
        let closed = error(soon(receiver.get()).await);
        assert_eq!(closed.kind(), ErrorKind::Closed);
        assert!(soon(receiver.next()).await.is_none());
        case.await_subscribers("a", 0).await;
        let refused = error(client.subscribe(receiver.channel("a")).await);
        assert_eq!(refused.kind(), ErrorKind::Misuse);
        case.await_subscribers("a", 0).await;
    });
}

#[test]
fn rx_04_it_is_a_stream_and_ends_when_stopped_and_drained() {
    on_each(async |case| {
        let client = case.client().await;
        let mut receiver = Receiver::new();
        client.psubscribe(receiver.pattern("*")).await.unwrap();
        for number in 0..5 {
            client.publish("n", number).await.unwrap();
        }
        eventually("all has come", || receiver.stats().received == 5).await;
        receiver.stop();
        let mut numbers = Vec::new();
        while let Some(received) = soon(std::future::poll_fn(|cx| {
            futures_core::Stream::poll_next(std::pin::Pin::new(&mut receiver), cx)
        }))
        .await
        {
            let (_, message) = received.unwrap().into_message().unwrap();
            numbers.push(message.text().into_owned());
        }
        assert_eq!(numbers, ["0", "1", "2", "3", "4"]);
    });
}

#[test]
fn rx_04_payloads_are_decoded_and_one_that_cannot_be_is_an_item() {
    on_each(async |case| {
        let client = case.client().await;
        let mut receiver: Receiver<i64> = Receiver::builder().payload().build().unwrap();
        client.subscribe(receiver.channel("n")).await.unwrap();
        for text in ["1", "two", "3"] {
            client.publish("n", text).await.unwrap();
        }
        assert_eq!(*message(&mut receiver).await.1.payload(), 1);
        let undecodable = error(soon(receiver.get()).await);
        assert_eq!(undecodable.kind(), ErrorKind::Decode);
        assert_eq!(undecodable.raw_payload().unwrap(), "two");
        assert_eq!(*message(&mut receiver).await.1.payload(), 3);
    });
}

#[test]
fn rx_05_wait_message_is_true_when_there_is_one_and_false_when_none_can_come() {
    on_each(async |case| {
        let client = case.client().await;
        let mut receiver = Receiver::new();
        assert!(!receiver.is_active());
        client.subscribe(receiver.channel("a")).await.unwrap();
        assert!(receiver.is_active());
        let waiting = tokio::time::timeout(QUIET, receiver.wait_message()).await;
        assert!(waiting.is_err(), "there is none");
        client.publish("a", "x").await.unwrap();
        for _ in 0..3 {
            assert!(soon(receiver.wait_message()).await);
        }
        receiver.stop();
        assert!(!receiver.is_active());
        assert!(soon(receiver.wait_message()).await, "it is still there");
        assert_eq!(short(&mut receiver).await, "a: x");
        assert!(!soon(receiver.wait_message()).await);
    });
}

#[test]
fn rx_06_after_stop_what_is_queued_is_delivered_and_later_messages_are_ignored() {
    on_each(async |case| {
        let client = case.client().await;
        let mut receiver = Receiver::new();
        client.subscribe(receiver.channel("a")).await.unwrap();
        client.publish("a", "before").await.unwrap();
        eventually("it has come", || receiver.stats().received == 1).await;
        receiver.stop();
        client.publish("a", "after").await.unwrap();
        assert_eq!(short(&mut receiver).await, "a: before");
        assert!(soon(receiver.next()).await.is_none());
        case.await_subscribers("a", 0).await;
    });
}

#[test]
fn rx_06_unsubscribing_the_last_sender_stops_it_behind_all_that_was_sent() {
    on_each(async |case| {
        let client = case.client().await;
        let mut receiver = Receiver::new();
        let (one, three) = (receiver.channel("channel:1"), receiver.channel("channel:3"));
        client
            .subscribe([one.clone(), three.clone()])
            .await
            .unwrap();
        client.psubscribe(receiver.pattern("hello*")).await.unwrap();
        for number in 0..50 {
            client.publish("channel:1", number).await.unwrap();
        }
        client.unsubscribe([one, three]).await.unwrap();
        client.publish("channel:1", "nobody").await.unwrap();
        client.publish("hello-channel", "world").await.unwrap();
        client
            .punsubscribe(receiver.pattern("hello*"))
            .await
            .unwrap();
        for number in 0..50 {
            assert_eq!(short(&mut receiver).await, format!("channel:1: {number}"));
        }
        assert_eq!(short(&mut receiver).await, "hello* hello-channel: world");
        assert!(soon(receiver.next()).await.is_none());
    });
}

#[test]
fn rx_07_it_survives_reconnects_with_the_gap_shown() {
    on_each(async |case| {
        let client = case.client().await;
        let mut receiver = Receiver::new();
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
    });
}

#[test]
fn rx_06_a_receiver_that_is_dropped_or_a_subscribe_given_up_leaves_nothing_behind() {
    on_each(async |case| {
        let client = case.client().await;
        let receiver = Receiver::new();
        let sender = receiver.channel("a");
        client.subscribe(sender.clone()).await.unwrap();
        for polls in 0..4 {
            let mut making = Box::pin(client.subscribe(receiver.channel("given-up")));
            for _ in 0..polls {
                let ready =
                    std::future::poll_fn(|cx| Poll::Ready(making.as_mut().poll(cx).is_ready()));
                if ready.await {
                    break;
                }
                tokio::task::yield_now().await;
            }
            drop(making);
            if !receiver.channel("given-up").is_active() {
                case.await_subscribers("given-up", 0).await;
            }
        }
        drop(receiver);
        case.await_subscribers("a", 0).await;
        case.await_subscribers("given-up", 0).await;
        assert!(!sender.is_active());
    });
}

#[test]
fn rx_01_a_refused_name_is_named_and_none_of_the_call_is_subscribed() {
    on_each(async |case| {
        case.server.cli([
            "ACL",
            "SETUSER",
            "few",
            "on",
            ">pw",
            "+@all",
            "resetchannels",
            "&open",
        ]);
        let url = case.url().replace("redis://", "redis://few:pw@");
        let client = Client::connect(url).await.unwrap();
        let mut receiver = Receiver::new();
        let refused = client.subscribe([receiver.channel("open"), receiver.channel("secret")]);
        let refused = error(refused.await);
        assert!(refused.to_string().contains("secret"), "{refused}");
        assert!(!receiver.is_active());
        case.await_subscribers("open", 0).await;
        client.subscribe(receiver.channel("open")).await.unwrap();
        client.publish("open", "x").await.unwrap();
        assert_eq!(short(&mut receiver).await, "open: x");
    });
}

#[test]
fn qu_02_a_receiver_that_does_not_read_loses_exactly_what_its_gap_says() {
    on_each(async |case| {
        let client = case.client().await;
        let builder = Receiver::builder().queue(10, 1 << 20);
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
        let refused = Receiver::builder().overflow(Overflow::Backpressure).build();
        assert_eq!(error(refused).kind(), ErrorKind::Misuse);
        assert_eq!(receiver.stats().dropped, 90);
    });
}

#[cfg(feature = "charset")]
#[test]
fn en_02_a_receivers_names_and_text_are_in_its_charset() {
    on_each(async |case| {
        let client = Client::connect(format!("{}&charset=latin1", case.url()))
            .await
            .unwrap();
        let builder = Receiver::builder().charset("iso-8859-1");
        let mut receiver: Receiver<String> = builder.payload().build().unwrap();
        client.subscribe(receiver.channel("käse")).await.unwrap();
        assert_eq!(client.publish("käse", "grün").await.unwrap(), 1);
        let (sender, got) = message(&mut receiver).await;
        assert_eq!(sender.name(), b"k\xe4se");
        assert_eq!(
            (sender.name_str(), got.payload().as_str()),
            ("käse".into(), "grün")
        );
        // A character that it lacks.
        let refused = error(client.subscribe(receiver.channel("крот")).await);
        assert_eq!(refused.kind(), ErrorKind::Misuse);
        let unknown = error(Receiver::builder().charset("klingon").build());
        assert_eq!(unknown.kind(), ErrorKind::Config);
    });
}
