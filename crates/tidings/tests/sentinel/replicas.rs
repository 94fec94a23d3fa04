//! Clients that want a replica.

use tidings::{Commands, ErrorKind, Event, GapCause, PubSub};

use tidings_testkit::Publisher;

use super::*;

impl Case {
    /// Replicas drop their clients more than once in a failover.
    fn replica_config(&self) -> Config {
        let config = self.config().sentinel_replica(true);
        config.backoff(Duration::from_millis(20), Duration::from_millis(200))
    }
}

/// What the server is that runs this client's commands.
async fn role_of(client: &Client) -> String {
    try_role_of(client).await.expect("it runs")
}

/// The same; an error while the client leaves the server.
async fn try_role_of(client: &Client) -> tidings::Result<String> {
    let role = client.run::<Vec<tidings::Value>>(tidings::cmd("ROLE"));
    let role = timeout(LONG, role).await.expect("in time")?;
    match &role[0] {
        tidings::Value::Bytes(word) => Ok(String::from_utf8_lossy(word).into_owned()),
        other => panic!("{other:?}"),
    }
}

async fn gap_of(pubsub: &mut PubSub) -> GapCause {
    let event = timeout(LONG, pubsub.next()).await.expect("in time");
    let event = event.expect("it goes on").expect("no error");
    event.gap().expect("a gap").cause()
}

/// The next message, behind gaps if there are any.
async fn next_message(pubsub: &mut PubSub) -> String {
    loop {
        let event = timeout(LONG, pubsub.next()).await.expect("in time");
        if let Event::Message(message) = event.expect("it goes on").expect("no error") {
            return message.text().into_owned();
        }
    }
}

#[test]
fn sn_01_who_wants_a_replica_has_one_before_and_after_a_failover() {
    on_tasks(each(), &Sentinels::builder(), async |case: Case| {
        // Each chooses for itself.
        let mut readers = Vec::new();
        for _ in 0..12 {
            let client = case.client_with(case.replica_config()).await;
            assert_eq!(role_of(&client).await, "slave");
            let pubsub = client
                .pubsub()
                .channels("news")
                .ignore_subscribe_messages(true);
            readers.push((client, pubsub.await.unwrap()));
        }
        let subscribed = |server: &Server| server.cli(["PUBSUB", "NUMSUB", "news"]);
        assert_eq!(subscribed(&case.sentinels.servers()[0]), "news\n0");

        let new = case.apart(|it| it.failover().port()).await;
        let new = case
            .sentinels
            .servers()
            .iter()
            .find(|it| it.port() == new)
            .unwrap();
        for (client, pubsub) in &mut readers {
            // All replicas drop their connections: one is the primary now, and the other follows that one.
            gap_of(pubsub).await;
            let begun = Instant::now();
            loop {
                match try_role_of(client).await {
                    Ok(role) if role == "slave" => break,
                    Ok(_) => {}
                    Err(error) => assert_eq!(error.kind(), ErrorKind::Connection, "{error:?}"),
                }
                assert!(begun.elapsed() < LONG, "it stays on the primary");
            }
        }
        support::eventually("nobody is left on the primary", || {
            subscribed(new) == "news\n0"
        })
        .await;
        // What is published at the primary reaches those who read from replicas.
        let publisher = Publisher::to(new).channels(["news"]).rate(100).start();
        for (_, pubsub) in &mut readers {
            next_message(pubsub).await;
        }
        drop(publisher);
    });
}

#[test]
fn sn_01_who_wants_a_replica_where_there_is_none_has_the_primary_until_one_comes() {
    let builder = Sentinels::builder()
        .replicas(1)
        .down_after(Duration::from_millis(500));
    on_tasks(each(), &builder, async |case: Case| {
        let replica = &case.sentinels.servers()[1];
        replica.kill();
        let client = case.client_with(case.replica_config()).await;
        assert_eq!(role_of(&client).await, "master");
        let mut pubsub = client
            .pubsub()
            .channels("news")
            .ignore_subscribe_messages(true)
            .await
            .unwrap();
        replica.restart();
        assert_eq!(gap_of(&mut pubsub).await, GapCause::Failover);
        assert_eq!(role_of(&client).await, "slave");
        case.sentinels.servers()[0].cli(["PUBLISH", "news", "hello"]);
        assert_eq!(next_message(&mut pubsub).await, "hello");
    });
}
