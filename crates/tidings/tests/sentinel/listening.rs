//! Sentinels that die, that come back, and that are listened to for as long as somebody needs them.

use tidings::{Commands, Event, GapCause, PubSub, cmd};

use super::*;

impl Case {
    /// The settings of a client that is told of the sentinel with this number only.
    fn config_with(&self, sentinel: usize) -> Config {
        let address = self.sentinels.sentinels()[sentinel].address();
        let url = format!(
            "redis+sentinel://{address}/{}?protocol={}",
            self.sentinels.name(),
            self.protocol.number()
        );
        self.config_of(&url)
            .backoff(Duration::from_millis(50), Duration::from_millis(500))
    }

    /// Waits until each sentinel that runs is listened to over so many connections.
    async fn await_listeners(&self, count: usize) {
        for sentinel in self
            .sentinels
            .sentinels()
            .iter()
            .filter(|it| it.is_running())
        {
            let what = format!("{} is listened to {count} times", sentinel.address());
            support::eventually(&what, || connections(sentinel) == count).await;
        }
    }
}

/// Has the primary replaced, and waits until the subscriber has moved there.
async fn move_on(case: &Case, client: &Client, pubsub: &mut PubSub) {
    let failing_over = case.clone();
    let failing_over =
        tokio::spawn(async move { failing_over.apart(|it| it.failover().port()).await });
    loop {
        let event = timeout(2 * LONG, pubsub.next()).await.expect("in time");
        if let Event::Gap(gap) = event.expect("it goes on").expect("no error") {
            assert_eq!(gap.cause(), GapCause::Failover);
            break;
        }
    }
    let new = failing_over.await.unwrap();
    let port = client.run::<(String, u16)>(cmd("CONFIG").arg(["GET", "port"]));
    assert_eq!(timeout(LONG, port).await.expect("in time").unwrap().1, new);
}

#[test]
fn sn_01_sentinels_may_die_one_by_one_also_the_one_that_was_named() {
    on_tasks(each(), &Sentinels::builder(), async |case: Case| {
        let client = case.client_with(case.config_with(0)).await;
        let mut pubsub = client.pubsub().channels("news").await.unwrap();
        case.await_listeners(1).await;
        let sentinels = case.sentinels.sentinels();
        sentinels[0].kill();
        move_on(&case, &client, &mut pubsub).await;
        sentinels[1].kill();
        move_on(&case, &client, &mut pubsub).await;
        // The last one goes when another one is back, and knows what has happened meanwhile: that one alone would undo it.
        sentinels[0].restart();
        let named = |sentinel: &Server| {
            let name = case.sentinels.name();
            sentinel.cli(["SENTINEL", "GET-MASTER-ADDR-BY-NAME", name])
        };
        support::eventually("it has heard of the failovers", || {
            named(&sentinels[0]) == named(&sentinels[2])
        })
        .await;
        case.await_listeners(1).await;
        sentinels[2].kill();
        move_on(&case, &client, &mut pubsub).await;
    });
}

#[test]
fn sn_01_each_sentinel_has_one_connection_which_ends_with_the_last_that_needs_it() {
    on_tasks(
        each(),
        &Sentinels::builder().replicas(0),
        async |case: Case| {
            let port = case.sentinels.sentinels()[0].port();
            let config = Config::sentinel([("localhost", port)], "mymaster").client_name("counted");
            let client = case.client_with(config).await;
            let clone = client.clone();
            let mut pubsub = client.pubsub().channels("news").await.unwrap();
            let mut monitor = client.monitor().await.unwrap();
            // By its name, and not once more by the address that the others know.
            case.await_listeners(1).await;
            drop((client, clone));
            assert!(pubsub.next().await.is_some());
            case.await_listeners(1).await;
            drop(pubsub);
            monitor.next().await;
            case.await_listeners(1).await;
            drop(monitor);
            case.await_listeners(0).await;
            assert_eq!(connections(&case.sentinels.servers()[0]), 0);
        },
    );
}
