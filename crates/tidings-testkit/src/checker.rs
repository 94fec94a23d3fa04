//! Whether a subscriber got what was published.

use std::collections::BTreeMap;
use std::fmt;

use crate::published::{ChannelPublished, Published};

/// Compares what one subscriber saw with what was published, number by number.
///
/// It is told everything the subscriber sees, in the order it sees it, and holds it to this:
///
/// - the numbers of a channel rise: none twice, none after a higher one;
/// - each number that is missing is covered by a gap that stood at that very place in the stream:
///   after the number before it and before the number behind it;
/// - nothing comes after an unsubscription, and nothing that was not published;
/// - at the end the last number of each channel has arrived: a subscriber that says "gap" and then
///   nothing more has not recovered;
/// - if all gaps told how many were lost, they told the truth.
///
/// Numbers of which nobody knows whether they were published may be there or not.
///
/// A channel's first number is 1, unless it was [joined late](Self::joins_late). One checker is for
/// one stream; where a channel and a pattern bring each message twice, use two.
///
/// ```
/// use tidings_testkit::{Checker, Published};
///
/// let mut checker = Checker::new();
/// checker.on_message("news", 1);
/// checker.on_gap(["news"]); // the connection was lost …
/// checker.on_message("news", 4); // … and with it 2 and 3
/// checker.finish(&Published::new().channel("news", 4)).assert_passed();
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "a checker that is not finished checks nothing"]
pub struct Checker {
    channels: BTreeMap<Vec<u8>, Channel>,
    violations: Vec<Violation>,
    gaps: u64,
    /// What the gaps say was lost; `None` once one did not say.
    told: Option<u64>,
    /// A gap that concerns all channels, those not yet seen included, stands at the start.
    gap_at_start: bool,
    gap_may_stand_last: bool,
}

#[derive(Clone, Debug)]
struct Channel {
    /// All below it have been received, or are in `missing`.
    next: u64,
    missing: Vec<Missing>,
    /// A gap came after the last message.
    gap: bool,
    /// The next message may have any higher number: the subscription has just begun, and what was
    /// published before is not lost.
    joining: bool,
    subscribed: bool,
    received: u64,
}

#[derive(Clone, Copy, Debug)]
struct Missing {
    first: u64,
    last: u64,
    covered: bool,
}

/// Something that must not be.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Violation {
    /// A number came twice.
    Duplicate {
        /// The channel.
        channel: String,
        /// The number.
        number: u64,
    },
    /// A number came after a higher one.
    Reordered {
        /// The channel.
        channel: String,
        /// The number.
        number: u64,
        /// The highest number before it.
        after: u64,
    },
    /// Numbers are missing, and no gap stood there.
    UncoveredLoss {
        /// The channel.
        channel: String,
        /// The first number that is missing.
        first: u64,
        /// The last number that is missing.
        last: u64,
    },
    /// The last numbers never arrived: the subscriber is deaf.
    DeafAtEnd {
        /// The channel.
        channel: String,
        /// The last number received, 0 if none was.
        received: u64,
        /// The last number published.
        published: u64,
        /// Whether a gap stood there.
        gap: bool,
    },
    /// A message came after the channel was unsubscribed.
    AfterUnsubscribe {
        /// The channel.
        channel: String,
        /// The number.
        number: u64,
    },
    /// A number came that was not published.
    NotPublished {
        /// The channel.
        channel: String,
        /// The number.
        number: u64,
    },
    /// A payload is not a number.
    NotANumber {
        /// The channel.
        channel: String,
        /// The payload.
        payload: String,
    },
    /// The gaps together told another number than was lost.
    WrongCount {
        /// What the gaps said.
        told: u64,
        /// How many are missing at least.
        at_least: u64,
        /// How many are missing at most, those included that may not have been published.
        at_most: u64,
    },
    /// Nothing was published, so nothing was checked.
    NothingPublished {
        /// The channel, if there was one.
        channel: Option<String>,
    },
}

impl Checker {
    /// Knows of nothing yet.
    pub fn new() -> Self {
        Self {
            told: Some(0),
            ..Self::default()
        }
    }

    /// Allows that at the end messages are missing behind a last gap: for streams that are
    /// stopped in the middle of an outage.
    pub fn gap_may_stand_last(mut self) -> Self {
        self.gap_may_stand_last = true;
        self
    }

    /// The channel is subscribed while numbers already flow: the first may be any. To be said before
    /// its first message.
    pub fn joins_late(&mut self, channel: impl AsRef<[u8]>) {
        self.channel(channel.as_ref()).joining = true;
    }

    /// A message came.
    pub fn on_message(&mut self, channel: impl AsRef<[u8]>, number: u64) {
        let name = channel.as_ref();
        let channel = self.channel(name);
        channel.received += 1;
        let violation = if !channel.subscribed {
            Some(Violation::AfterUnsubscribe {
                channel: text(name),
                number,
            })
        } else if number == 0 {
            Some(Violation::NotPublished {
                channel: text(name),
                number,
            })
        } else if number < channel.next {
            Some(channel.came_late(name, number))
        } else {
            channel.advance(number);
            None
        };
        self.violations.extend(violation);
    }

    /// A message came: its payload begins with the number, as a
    /// [`Publisher`](crate::Publisher) writes it.
    pub fn on_payload(&mut self, channel: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) {
        let payload = payload.as_ref();
        let number = payload.split(|byte| *byte == b' ').next().and_then(parse);
        match number {
            Some(number) => self.on_message(channel, number),
            None => self.violations.push(Violation::NotANumber {
                channel: text(channel.as_ref()),
                payload: text(payload),
            }),
        }
    }

    /// A gap came that names these channels. (For a pattern, name the channels it stands for.)
    pub fn on_gap<A: AsRef<[u8]>>(&mut self, channels: impl IntoIterator<Item = A>) {
        self.told = None;
        self.place_gap(channels);
    }

    /// As [`on_gap`](Self::on_gap), and it says how many messages were lost.
    pub fn on_counted_gap<A: AsRef<[u8]>>(
        &mut self,
        channels: impl IntoIterator<Item = A>,
        lost: u64,
    ) {
        self.told = self.told.map(|told| told + lost);
        self.place_gap(channels);
    }

    /// A gap came that concerns all channels.
    pub fn on_gap_everywhere(&mut self) {
        self.told = None;
        self.gap_at_start = true;
        let channels: Vec<Vec<u8>> = self.channels.keys().cloned().collect();
        self.place_gap(channels);
    }

    /// The channel was unsubscribed: from here on nothing of it may come.
    pub fn on_unsubscribe(&mut self, channel: impl AsRef<[u8]>) {
        self.channel(channel.as_ref()).subscribed = false;
    }

    /// The channel was subscribed (again): what was published between is not lost. For the first
    /// subscription of a channel only needed if it [joins late](Self::joins_late).
    pub fn on_subscribe(&mut self, channel: impl AsRef<[u8]>) {
        let channel = self.channel(channel.as_ref());
        if !channel.subscribed {
            channel.subscribed = true;
            channel.joining = true;
        }
    }

    /// The highest number received in a channel, 0 if there is none: a test reads until it is the
    /// last that was published.
    #[must_use]
    pub fn highest(&self, channel: impl AsRef<[u8]>) -> u64 {
        self.channels
            .get(channel.as_ref())
            .map_or(0, Channel::highest)
    }

    /// Whether the last number of each channel has arrived, so that nothing more can come.
    #[must_use]
    pub fn has_reached(&self, published: &Published) -> bool {
        let mut channels = published.channels();
        channels.all(|(channel, published)| self.highest(channel) >= published.last_certain())
    }

    /// What was wrong up to now; losses show at the end only.
    #[must_use]
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }

    /// Compares it all.
    pub fn finish(mut self, published: &Published) -> Report {
        if published.channels.is_empty() {
            self.violations
                .push(Violation::NothingPublished { channel: None });
        }
        for (name, of_channel) in &published.channels {
            if of_channel.last == 0 {
                let channel = Some(text(name));
                self.violations
                    .push(Violation::NothingPublished { channel });
            }
            self.channel(name);
        }
        let mut report = Report {
            gaps: self.gaps,
            ..Report::default()
        };
        let nothing = ChannelPublished::default();
        let mut unknown = 0;
        for (name, channel) in &mut self.channels {
            let of_channel = published.channels.get(name).unwrap_or(&nothing);
            let violations = channel.close(name, of_channel, self.gap_may_stand_last);
            self.violations.extend(violations);
            report.received += channel.received;
            report.published += of_channel.last;
            for missing in &channel.missing {
                let uncertain = of_channel.uncertain_in(missing.first, missing.last);
                report.lost += missing.last - missing.first + 1 - uncertain;
                unknown += uncertain;
            }
        }
        if let Some(told) = self.told
            && self.gaps > 0
            && !(report.lost..=report.lost + unknown).contains(&told)
        {
            let (at_least, at_most) = (report.lost, report.lost + unknown);
            self.violations.push(Violation::WrongCount {
                told,
                at_least,
                at_most,
            });
        }
        report.violations = self.violations;
        report
    }

    fn place_gap<A: AsRef<[u8]>>(&mut self, channels: impl IntoIterator<Item = A>) {
        self.gaps += 1;
        for channel in channels {
            self.channel(channel.as_ref()).gap = true;
        }
    }

    fn channel(&mut self, name: &[u8]) -> &mut Channel {
        let gap = self.gap_at_start;
        self.channels
            .entry(name.to_vec())
            .or_insert_with(|| Channel {
                next: 1,
                missing: Vec::new(),
                gap,
                joining: false,
                subscribed: true,
                received: 0,
            })
    }
}

impl Channel {
    fn highest(&self) -> u64 {
        if self.received == 0 { 0 } else { self.next - 1 }
    }

    /// The next number, or one behind a hole.
    fn advance(&mut self, number: u64) {
        if number > self.next && !self.joining {
            let (first, last) = (self.next, number - 1);
            self.missing.push(Missing {
                first,
                last,
                covered: self.gap,
            });
        }
        self.next = number + 1;
        self.gap = false;
        self.joining = false;
    }

    fn came_late(&self, name: &[u8], number: u64) -> Violation {
        let was_missing = self
            .missing
            .iter()
            .any(|missing| (missing.first..=missing.last).contains(&number));
        if was_missing {
            Violation::Reordered {
                channel: text(name),
                number,
                after: self.next - 1,
            }
        } else {
            Violation::Duplicate {
                channel: text(name),
                number,
            }
        }
    }

    fn close(
        &mut self,
        name: &[u8],
        published: &ChannelPublished,
        gap_may_stand_last: bool,
    ) -> Vec<Violation> {
        let mut violations = Vec::new();
        let highest = self.highest();
        if highest > published.last {
            violations.push(Violation::NotPublished {
                channel: text(name),
                number: highest,
            });
        }
        let (first, last) = (self.next, published.last);
        if self.subscribed && first <= last && published.last_certain() >= first {
            if gap_may_stand_last {
                self.missing.push(Missing {
                    first,
                    last,
                    covered: self.gap,
                });
            } else {
                violations.push(Violation::DeafAtEnd {
                    channel: text(name),
                    received: highest,
                    published: last,
                    gap: self.gap,
                });
            }
        }
        for missing in self.missing.iter().filter(|missing| !missing.covered) {
            let (first, last) = (missing.first, missing.last);
            if published.uncertain_in(first, last) < last - first + 1 {
                violations.push(Violation::UncoveredLoss {
                    channel: text(name),
                    first,
                    last,
                });
            }
        }
        violations
    }
}

impl ChannelPublished {
    fn uncertain_in(&self, first: u64, last: u64) -> u64 {
        self.unacknowledged.range(first..=last).count() as u64
    }

    /// The last number that was acknowledged.
    fn last_certain(&self) -> u64 {
        let mut last = self.last;
        while last > 0 && self.unacknowledged.contains(&last) {
            last -= 1;
        }
        last
    }
}

/// What a [`Checker`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "a report that nobody looks at fails no test"]
#[non_exhaustive]
pub struct Report {
    /// How many messages came.
    pub received: u64,
    /// How many were published.
    pub published: u64,
    /// How many are missing, of those that were certainly published.
    pub lost: u64,
    /// How many gaps came.
    pub gaps: u64,
    violations: Vec<Violation>,
}

/// The first ones tell what happened; the others follow from them.
const SHOWN: usize = 20;

impl Report {
    /// Whether nothing was wrong.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.violations.is_empty()
    }

    /// What was wrong.
    #[must_use]
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }

    /// Fails the test if anything was wrong.
    ///
    /// # Panics
    ///
    /// With the report, if there are violations.
    #[track_caller]
    pub fn assert_passed(&self) {
        assert!(self.passed(), "{self}");
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            received,
            published,
            lost,
            gaps,
            violations,
        } = self;
        write!(
            out,
            "{received} of {published} received, {lost} lost, {gaps} gaps, "
        )?;
        write!(out, "{} violations", violations.len())?;
        for violation in violations.iter().take(SHOWN) {
            write!(out, "\n  {violation}")?;
        }
        if violations.len() > SHOWN {
            write!(out, "\n  … and {} more", violations.len() - SHOWN)?;
        }
        Ok(())
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Duplicate { channel, number } => {
                write!(out, "{channel}: {number} came twice")
            }
            Self::Reordered {
                channel,
                number,
                after,
            } => {
                write!(out, "{channel}: {number} came after {after}")
            }
            Self::UncoveredLoss {
                channel,
                first,
                last,
            } => {
                write!(
                    out,
                    "{channel}: {first} to {last} are missing, and no gap stood there"
                )
            }
            Self::DeafAtEnd {
                channel,
                received,
                published,
                gap,
            } => {
                let gap = if *gap {
                    "a gap, then silence"
                } else {
                    "without a gap"
                };
                write!(
                    out,
                    "{channel}: {published} were published, {received} was the last: {gap}"
                )
            }
            Self::AfterUnsubscribe { channel, number } => {
                write!(out, "{channel}: {number} came after the unsubscription")
            }
            Self::NotPublished { channel, number } => {
                write!(out, "{channel}: {number} came and was not published")
            }
            Self::NotANumber { channel, payload } => {
                write!(out, "{channel}: {payload:?} is not a number")
            }
            Self::WrongCount {
                told,
                at_least,
                at_most,
            } if at_least == at_most => {
                write!(out, "the gaps told of {told} lost, and {at_least} are")
            }
            Self::WrongCount {
                told,
                at_least,
                at_most,
            } => {
                write!(
                    out,
                    "the gaps told of {told} lost, and {at_least} to {at_most} are"
                )
            }
            Self::NothingPublished {
                channel: Some(channel),
            } => {
                write!(
                    out,
                    "{channel}: nothing was published, so nothing was checked"
                )
            }
            Self::NothingPublished { channel: None } => {
                write!(out, "nothing was published, so nothing was checked")
            }
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn parse(digits: &[u8]) -> Option<u64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tells a checker what the script says: a number is a message of "a", 0 a gap on it.
    fn after(script: &[u64]) -> Checker {
        let mut checker = Checker::new();
        for step in script {
            match step {
                0 => checker.on_gap(["a"]),
                number => checker.on_message("a", *number),
            }
        }
        checker
    }

    fn published(last: u64) -> Published {
        Published::new().channel("a", last)
    }

    #[track_caller]
    fn assert_fails(checker: Checker, published: &Published, expected: &[&str]) {
        let report = checker.finish(published);
        let told: Vec<String> = report
            .violations()
            .iter()
            .map(Violation::to_string)
            .collect();
        assert_eq!(told, expected, "{report}");
        assert!(!report.passed());
        assert!(std::panic::catch_unwind(|| report.assert_passed()).is_err());
    }

    #[test]
    fn a_whole_stream_passes() {
        let report = after(&[1, 2, 3]).finish(&published(3));
        report.assert_passed();
        assert_eq!((report.received, report.published, report.lost), (3, 3, 0));
        assert_eq!(
            report.to_string(),
            "3 of 3 received, 0 lost, 0 gaps, 0 violations"
        );
    }

    #[test]
    fn a_loss_with_its_gap_in_place_passes_and_is_counted() {
        let report = after(&[1, 0, 4, 5, 0, 0, 7]).finish(&published(7));
        report.assert_passed();
        assert_eq!((report.lost, report.gaps), (3, 3));
    }

    #[test]
    fn a_gap_without_a_loss_passes() {
        after(&[0, 1, 0, 2]).finish(&published(2)).assert_passed();
    }

    #[test]
    fn a_duplicate_is_caught() {
        assert_fails(after(&[1, 2, 2, 3]), &published(3), &["a: 2 came twice"]);
        // Also a later one, and behind a gap.
        assert_fails(after(&[1, 2, 0, 1, 3]), &published(3), &["a: 1 came twice"]);
    }

    #[test]
    fn a_reorder_is_caught() {
        let expected = [
            "a: 2 came after 3",
            "a: 2 to 2 are missing, and no gap stood there",
        ];
        assert_fails(after(&[1, 3, 2, 4]), &published(4), &expected);
        // A gap makes a late one no better.
        assert_fails(after(&[1, 0, 3, 2]), &published(3), &["a: 2 came after 3"]);
    }

    #[test]
    fn a_loss_without_a_gap_is_caught() {
        let expected = ["a: 2 to 4 are missing, and no gap stood there"];
        assert_fails(after(&[1, 5]), &published(5), &expected);
        let expected = ["a: 1 to 1 are missing, and no gap stood there"];
        assert_fails(after(&[2]), &published(2), &expected);
    }

    #[test]
    fn a_gap_at_the_wrong_place_is_caught() {
        let expected = ["a: 3 to 4 are missing, and no gap stood there"];
        assert_fails(after(&[1, 0, 2, 5]), &published(5), &expected);
        assert_fails(after(&[1, 2, 5, 0]), &published(5), &expected);
        assert_fails(after(&[0, 1, 2, 5]), &published(5), &expected);
    }

    #[test]
    fn a_gap_of_another_channel_covers_nothing() {
        let mut checker = after(&[1]);
        checker.on_message("b", 1);
        checker.on_gap(["b"]);
        checker.on_message("a", 3);
        let expected = ["a: 2 to 2 are missing, and no gap stood there"];
        assert_fails(checker, &published(3).channel("b", 1), &expected);
    }

    #[test]
    fn a_gap_everywhere_covers_channels_not_yet_seen() {
        let mut checker = after(&[1]);
        checker.on_gap_everywhere();
        checker.on_message("a", 3);
        checker.on_message("b", 2);
        checker
            .finish(&published(3).channel("b", 2))
            .assert_passed();
    }

    #[test]
    fn deafness_at_the_end_is_caught_also_behind_a_gap() {
        let expected = ["a: 3 were published, 1 was the last: without a gap"];
        assert_fails(after(&[1]), &published(3), &expected);
        let expected = ["a: 3 were published, 1 was the last: a gap, then silence"];
        assert_fails(after(&[1, 0]), &published(3), &expected);
        let expected = ["a: 3 were published, 0 was the last: without a gap"];
        assert_fails(Checker::new(), &published(3), &expected);
    }

    #[test]
    fn a_gap_may_stand_last_if_that_was_said() {
        let report = after(&[1, 0]).gap_may_stand_last().finish(&published(3));
        report.assert_passed();
        assert_eq!(report.lost, 2);
        let expected = ["a: 2 to 3 are missing, and no gap stood there"];
        assert_fails(after(&[1]).gap_may_stand_last(), &published(3), &expected);
    }

    #[test]
    fn what_may_not_have_been_published_may_be_missing() {
        let uncertain = published(4).unacknowledged("a", [2, 4]);
        after(&[1, 3]).finish(&uncertain).assert_passed();
        after(&[1, 2, 3, 4]).finish(&uncertain).assert_passed();
        assert!(after(&[1, 3]).has_reached(&uncertain));
        let expected = ["a: 1 to 2 are missing, and no gap stood there"];
        assert_fails(after(&[3]), &uncertain, &expected);
    }

    #[test]
    fn a_message_after_the_unsubscription_is_caught() {
        let mut checker = after(&[1]);
        checker.on_unsubscribe("a");
        checker.on_message("a", 2);
        assert_fails(
            checker,
            &published(2),
            &["a: 2 came after the unsubscription"],
        );
    }

    #[test]
    fn what_was_published_between_two_subscriptions_is_not_lost() {
        let mut checker = after(&[1]);
        checker.on_unsubscribe("a");
        checker.on_subscribe("a");
        checker.on_message("a", 5);
        checker.finish(&published(5)).assert_passed();
        // Behind the first message each one counts again, and none comes back.
        let mut checker = after(&[1, 2]);
        checker.on_unsubscribe("a");
        checker.on_subscribe("a");
        checker.on_message("a", 2);
        checker.on_message("a", 5);
        checker.on_message("a", 7);
        let expected = [
            "a: 2 came twice",
            "a: 6 to 6 are missing, and no gap stood there",
        ];
        assert_fails(checker, &published(7), &expected);
    }

    #[test]
    fn an_unsubscribed_channel_need_not_reach_its_end() {
        let mut checker = after(&[1]);
        checker.on_unsubscribe("a");
        checker.finish(&published(9)).assert_passed();
    }

    #[test]
    fn only_the_start_of_a_late_join_is_free() {
        let mut checker = Checker::new();
        checker.joins_late("a");
        checker.on_message("a", 10);
        checker.on_message("a", 12);
        let expected = ["a: 11 to 11 are missing, and no gap stood there"];
        assert_fails(checker, &published(12), &expected);
    }

    #[test]
    fn what_was_never_published_is_caught() {
        assert_fails(
            after(&[1, 2]),
            &published(1),
            &["a: 2 came and was not published"],
        );
        let mut checker = after(&[1]);
        checker.on_message("x", 1);
        checker.on_payload("a", "two");
        let expected = [
            "a: \"two\" is not a number",
            "x: 1 came and was not published",
        ];
        assert_fails(checker, &published(1), &expected);
    }

    #[test]
    fn payloads_may_be_padded() {
        let mut checker = Checker::new();
        checker.on_payload("a", "1    ");
        checker.on_payload("a", "2");
        checker.finish(&published(2)).assert_passed();
    }

    #[test]
    fn a_wrong_count_is_caught() {
        let counted = |lost| {
            let mut checker = after(&[1]);
            checker.on_counted_gap(["a"], lost);
            checker.on_message("a", 4);
            checker
        };
        counted(2).finish(&published(4)).assert_passed();
        assert_fails(
            counted(3),
            &published(4),
            &["the gaps told of 3 lost, and 2 are"],
        );
        let uncertain = published(4).unacknowledged("a", [2]);
        counted(1).finish(&uncertain).assert_passed();
        assert_fails(
            counted(0),
            &uncertain,
            &["the gaps told of 0 lost, and 1 to 2 are"],
        );
    }

    #[test]
    fn an_empty_test_does_not_pass() {
        let nothing = "nothing was published, so nothing was checked";
        assert_fails(Checker::new(), &Published::new(), &[nothing]);
        assert_fails(Checker::new(), &published(0), &[&format!("a: {nothing}")]);
    }
}
