//! Whether a node has heard the others all the time: what they publish comes to it over the cluster bus, by a connection
//! each, and what is sent while such a connection is lost never comes.
//!
//! A node says by `CLUSTER LINKS` since when each of these connections has been there. As long as that is the same time,
//! nothing was lost on it. It tells of a connection when something has come over it: one that it tells of later may be
//! older than what it said before, which its clock shows.
//!
//! A connection may be dead for long before it is replaced, while it looks like a quiet one. So what counts is when the node
//! last had an answer from the other one, which `CLUSTER NODES` says.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::map::SlotMap;
use super::node::{Health, Node};
use super::topology::{elements, number, pairs, text};
use crate::error::{DecodeError, Error};
use crate::resp::Reply;

/// An answer may have been on its way, or lain unread, for so long.
const ON_ITS_WAY: Duration = Duration::from_secs(1);

/// The connections over which a node hears the others, as it told once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InboundLinks {
    /// The time by the clock of the node, in milliseconds, not after it was asked for the others.
    clock: i64,
    created: BTreeMap<Box<str>, i64>,
    /// When each of the others has answered it last.
    answered: BTreeMap<Box<str>, i64>,
}

impl InboundLinks {
    /// Reads the answers to `TIME`, then `CLUSTER LINKS`, and `CLUSTER NODES`, in RESP2 or RESP3.
    ///
    /// # Errors
    ///
    /// A reply is an error (a server older than 7.0, or one that does not allow it), or is of another shape.
    pub fn from_replies(
        time: Reply<'_>,
        links: Reply<'_>,
        nodes: Reply<'_>,
    ) -> Result<Self, Error> {
        let mut time = elements(time)?;
        let mut next = || match time.next() {
            Some(part) => clock_part(&part?),
            None => Err(DecodeError::message("a time has seconds and microseconds").into()),
        };
        let (seconds, micros) = (next()?, next()?);
        let clock = seconds.saturating_mul(1000).saturating_add(micros / 1000);
        let mut all = BTreeMap::new();
        for link in elements(links)? {
            let mut fields = pairs(link?)?;
            let (mut inbound, mut node, mut created) = (false, None, None);
            while let Some((name, value)) = fields.next_pair()? {
                match text(&name)? {
                    "direction" => inbound = text(&value)? == "from",
                    "node" => node = Some(text(&value)?.into()),
                    "create-time" => created = Some(number(&value)?),
                    _ => {}
                }
            }
            if let (true, Some(node), Some(created)) = (inbound, node, created) {
                all.insert(node, created);
            }
        }
        Ok(Self {
            clock,
            created: all,
            answered: answered(text(&nodes.into_result()?)?)?,
        })
    }

    /// How long before the node was asked another one has surely been well; `None` if it never answered.
    fn since_answer(&self, id: &str) -> Option<Duration> {
        let answered = self.answered.get(id)?;
        let millis = u64::try_from(self.clock.saturating_sub(*answered));
        Some(Duration::from_millis(millis.unwrap_or_default()) + ON_ITS_WAY)
    }
}

/// `id address flags primary ping-sent pong-received …`, a line for each node. A time of 0 is none.
fn answered(nodes: &str) -> Result<BTreeMap<Box<str>, i64>, Error> {
    let mut all = BTreeMap::new();
    for line in nodes.lines() {
        let mut words = line.split(' ');
        let (id, time) = (words.next(), words.nth(4));
        let time = time.and_then(|time| time.parse().ok());
        let (Some(id), Some(time)) = (id, time) else {
            return Err(DecodeError::message("a line of CLUSTER NODES has a time").into());
        };
        if time != 0 {
            all.insert(id.into(), time);
        }
    }
    Ok(all)
}

fn clock_part(reply: &Reply<'_>) -> Result<i64, Error> {
    let number = text(reply)?.parse();
    number.map_err(|_| DecodeError::new("a part of the time", reply).into())
}

/// What a node may have missed of what the others published.
#[derive(Debug)]
pub struct BusListener {
    /// When it began, until it has been told of something.
    begun: Option<Instant>,
    heard: BTreeMap<Box<str>, Heard>,
}

#[derive(Debug)]
struct Heard {
    /// When the connection was made, by the clock of the node; `None` if it has not told of one yet.
    created: Option<i64>,
    /// What its clock showed when it began to be of interest.
    clock: i64,
    /// When surely nothing was missing that was not told.
    whole_as_of: Instant,
    /// There was none when it was asked for last.
    is_cut: bool,
    has_failed: bool,
}

impl BusListener {
    /// Knows of nothing. What is missing is missing from now on.
    pub fn new(now: Instant) -> Self {
        Self {
            begun: Some(now),
            heard: BTreeMap::new(),
        }
    }

    /// Whether the node has been asked with success.
    pub fn has_begun(&self) -> bool {
        self.begun.is_none()
    }

    /// The last time at which surely nothing was missing that was not told; `None` if it hears nobody. What a node that has
    /// failed sends is told of when it is back.
    pub fn whole_as_of(&self) -> Option<Instant> {
        let well = self.heard.values().filter(|heard| !heard.has_failed);
        well.map(|heard| heard.whole_as_of).min()
    }

    /// Takes what the node told when it was asked then. Since when messages of those `others` may be missing; `None` if there
    /// are none, or none that can be told of yet.
    ///
    /// A node that was not among the others before is listened to from now on. What is missed of one that cannot reach this
    /// one is told when it can; or when it has failed, or left, which it may never come back from.
    pub fn apply<'a>(
        &mut self,
        told: &InboundLinks,
        others: impl IntoIterator<Item = &'a Node>,
        asked: Instant,
    ) -> Option<Instant> {
        let begun = self.begun.take().unwrap_or(asked);
        let since_begun = i64::try_from(asked.saturating_duration_since(begun).as_millis());
        let clock = told.clock.saturating_sub(since_begun.unwrap_or(i64::MAX));
        let mut before = std::mem::take(&mut self.heard);
        let mut missing: Vec<Instant> = Vec::new();
        for node in others {
            let Some(id) = node.id() else {
                continue;
            };
            let has_failed = node.health() == Health::Failed;
            let mut heard = before.remove(id).unwrap_or(Heard {
                created: None,
                clock,
                whole_as_of: begun,
                is_cut: false,
                has_failed,
            });
            let created = told.created.get(id).copied();
            heard.is_cut = created.is_none();
            if let Some(created) = created {
                let is_the_same = match heard.created {
                    Some(known) => known == created,
                    None => created <= heard.clock,
                };
                let answered = told.since_answer(id);
                let answered = answered.and_then(|ago| asked.checked_sub(ago));
                if !is_the_same {
                    missing.push(heard.whole_as_of);
                    heard.whole_as_of = asked;
                } else if let Some(answered) = answered {
                    heard.whole_as_of = heard.whole_as_of.max(answered);
                }
                heard.created = Some(created);
            }
            if has_failed && !heard.has_failed {
                missing.push(heard.whole_as_of);
                heard.whole_as_of = asked;
            }
            heard.has_failed = has_failed;
            self.heard.insert(id.into(), heard);
        }
        let gone = before.into_values().filter(|heard| heard.is_cut);
        missing.extend(gone.map(|heard| heard.whole_as_of));
        missing.into_iter().min()
    }
}

impl SlotMap {
    /// The nodes but for the one at this address: those that it hears over the cluster bus.
    pub fn others(&self, address: &super::Address) -> impl Iterator<Item = &Node> {
        self.nodes().filter(move |node| node.address() != address)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::cluster::testing::{address, map};

    /// As told at this time. Whoever has a connection has just answered, or when `~` says so.
    fn links(clock: u64, text: &str) -> InboundLinks {
        let mut wire = String::new();
        let mut nodes = String::from("a host:1@2 myself,master - 0 0 1 connected 0-8000\n");
        let mut count = 0;
        for link in text.split_whitespace() {
            let (direction, rest) = link.split_at(1);
            let (node, created) = rest.split_once('@').unwrap();
            let now = format!("{clock}999");
            let (created, answered) = created.split_once('~').unwrap_or((created, &now));
            nodes += &format!("{node} host:1@2 master - 0 {answered} 1 connected\n");
            let direction = if direction == "<" { "from" } else { "to" };
            count += 1;
            wire += &format!(
                "*8\r\n$9\r\ndirection\r\n${}\r\n{direction}\r\n$4\r\nnode\r\n${}\r\n{node}\r\n\
                 $11\r\ncreate-time\r\n:{created}\r\n$6\r\nevents\r\n$2\r\nrw\r\n",
                direction.len(),
                node.len()
            );
        }
        let wire = format!("*{count}\r\n{wire}");
        let time = clock.to_string();
        let time = format!("*2\r\n${}\r\n{time}\r\n$6\r\n999000\r\n", time.len());
        let nodes = format!("${}\r\n{nodes}\r\n", nodes.len());
        read(&time, &wire, &nodes).unwrap()
    }

    fn read(time: &str, links: &str, nodes: &str) -> Result<InboundLinks, Error> {
        let [time, links, nodes] = [time, links, nodes].map(|text| Reply::parse(text.as_bytes()));
        InboundLinks::from_replies(time.unwrap(), links.unwrap(), nodes.unwrap())
    }

    struct Listening {
        listener: BusListener,
        map: SlotMap,
        begun: Instant,
    }

    impl Listening {
        fn new() -> Self {
            let begun = Instant::now();
            Self {
                listener: BusListener::new(begun),
                map: map(&[
                    "0-8000: a primary online, b replica online",
                    "8001-16383: c primary online",
                ]),
                begun,
            }
        }

        /// Since which second something is missing, as `a` says in this one.
        fn at(&mut self, seconds: u64, text: &str) -> Option<u64> {
            let asked = self.begun + Duration::from_secs(seconds);
            let listening = address("a");
            let others = self.map.others(&listening);
            let missing = self.listener.apply(&links(seconds, text), others, asked)?;
            Some(missing.duration_since(self.begun).as_secs())
        }
    }

    impl Listening {
        /// Until which second surely nothing is missing that was not told.
        fn whole(&self) -> Option<u64> {
            let as_of = self.listener.whole_as_of()?;
            Some(as_of.duration_since(self.begun).as_secs())
        }
    }

    #[test]
    fn only_what_comes_from_the_others_is_of_interest() {
        assert_eq!(links(1, ">b@5 <c@6 <b@7"), links(1, "<b@7 <c@6"));
        assert_eq!(links(7, "").clock, 7999);
        let time = "*2\r\n$1\r\n7\r\n$1\r\n0\r\n";
        assert!(read(time, "*0\r\n", "=4\r\ntxt:\r\n").is_ok());
        for (time, links, nodes) in [
            (time, "-ERR unknown subcommand\r\n", "$0\r\n\r\n"),
            (time, "*1\r\n:1\r\n", "$0\r\n\r\n"),
            (time, "*0\r\n", "-NOPERM no\r\n"),
            (time, "*0\r\n", "$7\r\na - - -\r\n"),
            (time, "*0\r\n", "$11\r\na - - - 0 x\r\n"),
            ("-NOPERM no\r\n", "*0\r\n", "$0\r\n\r\n"),
            ("*1\r\n$1\r\n7\r\n", "*0\r\n", "$0\r\n\r\n"),
            ("*2\r\n$1\r\n7\r\n$1\r\nx\r\n", "*0\r\n", "$0\r\n\r\n"),
        ] {
            let told = read(time, links, nodes);
            assert!(told.is_err(), "{time:?} {links:?} {nodes:?}");
        }
    }

    #[test]
    fn nothing_is_missing_while_the_links_are_the_same() {
        let mut listening = Listening::new();
        for second in 0..3 {
            assert_eq!(listening.at(second, "<b@5 <c@6 >b@7"), None);
        }
        // Its own links to the others bring nothing.
        assert_eq!(listening.at(3, "<b@5 <c@6 >b@8"), None);
    }

    #[test]
    fn what_a_new_link_follows_on_is_missing_since_the_old_one_was_seen() {
        let mut listening = Listening::new();
        assert_eq!(listening.at(0, "<b@5 <c@6"), None);
        assert_eq!(listening.at(3, "<b@5 <c@6"), None);
        assert_eq!(
            listening.at(4, "<b@5 <c@9"),
            Some(2),
            "a second before that"
        );
        assert_eq!(listening.at(5, "<b@5 <c@9"), None, "it is told once");
    }

    #[test]
    fn a_link_is_whole_until_the_last_answer_however_long_it_is_listed() {
        let mut listening = Listening::new();
        assert_eq!(listening.at(0, "<b@5 <c@6"), None);
        assert_eq!(listening.at(5, "<b@5 <c@6~4999"), None);
        assert_eq!(listening.at(9, "<b@5 <c@6~4999"), None, "dead or quiet");
        assert_eq!(listening.whole(), Some(3));
        assert_eq!(listening.at(10, "<b@5 <c@9500"), Some(3));
        assert_eq!(listening.whole(), Some(9));
        // What is missed from now on is missed since it was told.
        assert_eq!(listening.at(11, "<b@5 <c@9500~3000"), None);
        assert_eq!(listening.at(12, "<b@5 <c@11500"), Some(10));
        // A node that never answered has not been heard since it was listened to.
        let mut listening = Listening::new();
        assert_eq!(listening.at(0, "<b@5 <c@6~0"), None);
        assert_eq!(listening.at(3, "<b@5 <c@6~0"), None);
        assert_eq!(listening.at(4, "<b@5 <c@3500"), Some(0));
    }

    #[test]
    fn a_link_that_is_gone_is_told_of_when_there_is_one_again() {
        let mut listening = Listening::new();
        assert_eq!(listening.at(0, "<b@5 <c@6"), None);
        assert_eq!(listening.at(2, "<b@5"), None);
        assert_eq!(listening.at(3, "<b@4"), Some(1), "of the other one");
        assert_eq!(listening.at(4, "<b@4 <c@9"), Some(0));
    }

    #[test]
    fn a_link_that_is_told_of_later_may_be_older_than_the_beginning() {
        let mut listening = Listening::new();
        assert_eq!(listening.at(0, "<b@5"), None);
        assert_eq!(listening.at(2, "<b@5"), None);
        assert_eq!(listening.at(3, "<b@5 <c@999"), None, "it was there");
        let mut listening = Listening::new();
        assert_eq!(listening.at(0, "<b@5"), None);
        assert_eq!(listening.at(2, "<b@5"), None);
        assert_eq!(listening.at(3, "<b@5 <c@1001"), Some(0));
    }

    #[test]
    fn what_is_missing_is_missing_from_the_beginning_however_late_it_is_told() {
        let mut listening = Listening::new();
        // Two seconds after it began, at which time its clock showed 999.
        assert_eq!(listening.at(2, "<b@999 <c@1000"), Some(0));
        assert_eq!(listening.at(3, "<b@999 <c@1000"), None);
    }

    #[test]
    fn what_a_node_that_failed_has_sent_last_is_missing_and_what_it_sends_until_it_is_back() {
        let mut listening = Listening::new();
        assert_eq!(listening.at(0, "<b@5 <c@6"), None);
        assert_eq!(listening.at(1, "<b@5"), None, "it may come again");
        let well = std::mem::replace(
            &mut listening.map,
            map(&[
                "0-8000: a primary online, b replica online",
                "8001-16383: c primary fail",
            ]),
        );
        assert_eq!(listening.at(2, "<b@5"), Some(0));
        assert_eq!(listening.at(13, "<b@5"), None, "it was told");
        assert_eq!(listening.whole(), Some(12), "of those who are well");
        listening.map = well;
        assert_eq!(listening.at(14, "<b@5"), None);
        assert_eq!(listening.at(15, "<b@5 <c@14500"), Some(2));
    }

    #[test]
    fn a_node_that_leaves_while_it_is_not_heard_is_missed() {
        let mut listening = Listening::new();
        assert_eq!(listening.at(0, "<b@5 <c@6"), None);
        assert_eq!(listening.at(1, "<c@6"), None);
        listening.map = map(&["0-8000: a primary online", "8001-16383: c primary online"]);
        assert_eq!(listening.at(2, "<c@6"), Some(0));
        assert_eq!(listening.at(3, "<c@6"), None);
    }

    #[test]
    fn of_a_node_that_is_new_or_no_member_any_more_nothing_is_missing() {
        let mut listening = Listening::new();
        assert_eq!(listening.at(0, "<b@5 <c@6"), None);
        let before = std::mem::replace(
            &mut listening.map,
            map(&["0-8000: a primary online", "8001-16383: d primary online"]),
        );
        assert_eq!(listening.at(1, "<d@8"), None);
        assert_eq!(listening.at(2, "<d@8"), None);
        listening.map = before;
        assert_eq!(listening.at(3, "<b@9 <c@9"), None);
    }
}
