//! Publishers that go on until nobody hears them, and what was received of each.

use tidings::{Client, Commands, Event};

/// Publishes `lane:1`, `lane:2`, … until nobody receives it; says how many were received.
async fn publish_until_unheard(client: Client, channel: &'static str, lane: usize) -> u64 {
    let mut heard = 0;
    while client
        .publish(channel, format!("{lane}:{}", heard + 1))
        .await
        .unwrap()
        > 0
    {
        heard += 1;
    }
    heard
}

/// What was received of each lane of [`publish_until_unheard`].
#[derive(Default)]
pub(crate) struct Lanes([u64; Lanes::COUNT]);

impl Lanes {
    const COUNT: usize = 8;

    pub(crate) fn start(
        client: &Client,
        channel: &'static str,
    ) -> Vec<tokio::task::JoinHandle<u64>> {
        let publish = |lane| tokio::spawn(publish_until_unheard(client.clone(), channel, lane));
        (0..Self::COUNT).map(publish).collect()
    }

    /// Each message is the next one of its lane.
    pub(crate) fn note(&mut self, event: &Event) {
        let message = event.message().unwrap_or_else(|| panic!("{event:?}"));
        let text = message.text();
        let (lane, number) = text.split_once(':').expect("a lane and a number");
        let lane: usize = lane.parse().unwrap();
        assert_eq!(
            number.parse::<u64>().unwrap(),
            self.0[lane] + 1,
            "lane {lane}"
        );
        self.0[lane] += 1;
    }

    pub(crate) async fn assert_all_received(&self, lanes: Vec<tokio::task::JoinHandle<u64>>) {
        for (lane, task) in lanes.into_iter().enumerate() {
            assert_eq!(self.0[lane], task.await.unwrap(), "lane {lane}");
        }
    }
}
