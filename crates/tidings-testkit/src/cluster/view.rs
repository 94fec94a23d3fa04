//! What one node says of its cluster: its answer to `CLUSTER NODES`, read.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// Every node that one node knows, by id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct View {
    /// As it was told, for who wonders.
    pub(crate) text: String,
    pub(crate) members: BTreeMap<String, Member>,
}

/// What is said of one of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) is_myself: bool,
    /// Its primary's id, if it is a replica.
    pub(crate) replica_of: Option<String>,
    /// It did not answer, as this node or as most primaries find.
    pub(crate) failed: bool,
    /// It is not known well enough yet: it has no id of its own, or no address.
    pub(crate) is_new: bool,
    pub(crate) linked: bool,
    pub(crate) epoch: u64,
    pub(crate) slots: Vec<RangeInclusive<u16>>,
    /// Whether one of its slots is on its way to or from it.
    pub(crate) has_open_slots: bool,
}

impl View {
    /// `None`: it is no answer to `CLUSTER NODES`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let members = text
            .lines()
            .map(|line| {
                let mut words = line.split_whitespace();
                let id = words.next()?.to_owned();
                Some((id, Member::parse(words)?))
            })
            .collect::<Option<_>>()?;
        Some(Self {
            text: text.to_owned(),
            members,
        })
    }

    pub(crate) fn myself(&self) -> Option<&Member> {
        self.members.values().find(|member| member.is_myself)
    }

    /// Whose the slot is, and since which epoch.
    pub(crate) fn owner_of(&self, slot: u16) -> Option<(u64, &str)> {
        let owners = self.members.iter();
        owners
            .filter(|(_, member)| member.owns(slot))
            .map(|(id, member)| (member.epoch, id.as_str()))
            .max()
    }

    /// Whether each slot has an owner that answers.
    pub(crate) fn covers_all(&self) -> bool {
        let owners = self.members.values().filter(|member| !member.failed);
        let owned: usize = owners
            .flat_map(|member| &member.slots)
            .map(ExactSizeIterator::len)
            .sum();
        owned == usize::from(super::SLOTS)
    }
}

impl Member {
    /// `address flags primary ping-sent pong-received epoch link slot…`
    fn parse<'a>(mut words: impl Iterator<Item = &'a str>) -> Option<Self> {
        let _address = words.next()?;
        let flags: Vec<&str> = words.next()?.split(',').collect();
        let has = |flag| flags.contains(&flag);
        let primary = words.next()?;
        let epoch = words.nth(2)?.parse().ok()?;
        let linked = words.next()? == "connected";
        let mut slots = Vec::new();
        let mut has_open_slots = false;
        for word in words {
            if word.starts_with('[') {
                has_open_slots = true;
                continue;
            }
            let (first, last) = word.split_once('-').unwrap_or((word, word));
            slots.push(first.parse().ok()?..=last.parse().ok()?);
        }
        Some(Self {
            is_myself: has("myself"),
            replica_of: (primary != "-").then(|| primary.to_owned()),
            failed: has("fail") || has("fail?"),
            is_new: has("handshake") || has("noaddr"),
            linked,
            epoch,
            slots,
            has_open_slots,
        })
    }

    fn owns(&self, slot: u16) -> bool {
        self.slots.iter().any(|slots| slots.contains(&slot))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
        aa 127.0.0.1:7000@17000 myself,master - 0 0 1 connected 0-5460 6000 [6000->-bb]\n\
        bb 127.0.0.1:7001@17001,host master,fail? - 0 1426238316232 2 connected 5461-5999 6001-16383\n\
        cc 127.0.0.1:7002@17002 slave aa 0 1426238317741 1 disconnected\n\
        dd :0@0 master,handshake - 1426238317741 0 0 disconnected\n";

    #[test]
    fn each_line_is_a_member() {
        let view = View::parse(TEXT).unwrap();
        assert_eq!(view.members.len(), 4);
        let myself = view.myself().unwrap();
        assert_eq!(myself.slots, [0..=5_460, 6_000..=6_000]);
        assert!(myself.has_open_slots && myself.linked && !myself.failed);
        assert!(view.members["bb"].failed);
        assert_eq!(view.members["cc"].replica_of.as_deref(), Some("aa"));
        assert!(!view.members["cc"].linked);
        assert!(view.members["dd"].is_new);
    }

    #[test]
    fn a_slot_has_the_owner_that_is_named_and_those_of_failed_nodes_are_not_covered() {
        let view = View::parse(TEXT).unwrap();
        assert_eq!(view.owner_of(6_000), Some((1, "aa")));
        assert_eq!(view.owner_of(6_001), Some((2, "bb")));
        assert!(!view.covers_all());
        let healthy = View::parse(&TEXT.replace(",fail?", "")).unwrap();
        assert!(healthy.covers_all());
    }

    #[test]
    fn another_text_is_no_view() {
        assert_eq!(
            View::parse("ERR This instance has cluster support disabled"),
            None
        );
    }
}
