use std::collections::{BTreeMap, BTreeSet};

/// What was published, channel by channel: from a [`Publisher`](crate::Publisher), or told by hand.
///
/// ```
/// let published = tidings_testkit::Published::new().channel("news", 100);
/// assert_eq!(published.last("news"), 100);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Published {
    pub(crate) channels: BTreeMap<Vec<u8>, ChannelPublished>,
}

/// What was published in one channel: the numbers from 1 to `last`, each once, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChannelPublished {
    /// The last number.
    pub last: u64,
    /// How many were answered by the server.
    pub acknowledged: u64,
    /// The numbers whose answer never came: the server may have published them, or not.
    pub unacknowledged: BTreeSet<u64>,
    /// How often the server answered with which number of receivers.
    pub receivers: BTreeMap<i64, u64>,
}

impl Published {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The numbers from 1 to `last` in `channel`, all acknowledged.
    #[must_use]
    pub fn channel(mut self, channel: impl AsRef<[u8]>, last: u64) -> Self {
        let published = ChannelPublished {
            last,
            acknowledged: last,
            ..Default::default()
        };
        self.channels.insert(channel.as_ref().to_vec(), published);
        self
    }

    /// Of these numbers nobody knows whether they were published.
    #[must_use]
    pub fn unacknowledged(
        mut self,
        channel: impl AsRef<[u8]>,
        numbers: impl IntoIterator<Item = u64>,
    ) -> Self {
        let published = self.channels.entry(channel.as_ref().to_vec()).or_default();
        published.unacknowledged.extend(numbers);
        published.acknowledged = published.last - published.unacknowledged.len() as u64;
        self
    }

    /// Only these channels: those that a subscriber had.
    #[must_use]
    pub fn only<A: AsRef<[u8]>>(&self, channels: impl IntoIterator<Item = A>) -> Self {
        let of = |name: Vec<u8>| {
            self.channels
                .get(&name)
                .map(|published| (name, published.clone()))
        };
        Self {
            channels: channels
                .into_iter()
                .filter_map(|channel| of(channel.as_ref().to_vec()))
                .collect(),
        }
    }

    /// The last number in `channel`, 0 if there is none.
    #[must_use]
    pub fn last(&self, channel: impl AsRef<[u8]>) -> u64 {
        self.channels
            .get(channel.as_ref())
            .map_or(0, |published| published.last)
    }

    /// The channels and what was published in each.
    pub fn channels(&self) -> impl Iterator<Item = (&[u8], &ChannelPublished)> {
        self.channels
            .iter()
            .map(|(channel, published)| (channel.as_slice(), published))
    }
}
