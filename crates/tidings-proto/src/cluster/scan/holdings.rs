//! What one node says of the slots: `CLUSTER NODES`.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::cluster::Slot;

/// What a node says of its own slots, and of those of others.
///
/// Of its own it knows before all others: whether it has them, and whether their keys are on their way to or from another
/// node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holdings {
    id: Arc<str>,
    /// The node that it follows; `None` if it is a primary.
    primary: Option<Arc<str>>,
    own: Vec<RangeInclusive<u16>>,
    /// The slots whose keys go elsewhere, and where.
    leaving: BTreeMap<Slot, Arc<str>>,
    /// The slots of others whose keys come here.
    arriving: BTreeMap<Slot, Arc<str>>,
    others: Vec<Other>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Other {
    id: Arc<str>,
    primary: Arc<str>,
    slots: Vec<RangeInclusive<u16>>,
}

impl Holdings {
    /// Reads the answer to `CLUSTER NODES`; `None` if it says nothing of the node itself.
    pub fn parse(text: &str) -> Option<Self> {
        let mut holdings = Self::default();
        let mut is_complete = false;
        for line in text.lines() {
            let mut words = line.split(' ');
            let (Some(id), Some(flags), Some(primary)) = (words.next(), words.nth(1), words.next())
            else {
                continue;
            };
            let mut slots = Vec::new();
            let mut moving = Vec::new();
            // Before them stand two times, an epoch, and whether there is a link.
            for word in words.skip(4) {
                match word
                    .strip_prefix('[')
                    .and_then(|word| word.strip_suffix(']'))
                {
                    Some(word) => moving.push(word),
                    None => slots.extend(range(word)),
                }
            }
            if !flags.split(',').any(|flag| flag == "myself") {
                holdings.others.push(Other {
                    id: id.into(),
                    primary: primary.into(),
                    slots,
                });
                continue;
            }
            is_complete = true;
            holdings.id = id.into();
            holdings.primary = (primary != "-").then(|| primary.into());
            holdings.own = slots;
            for word in moving {
                if let Some((slot, to)) = half(word, "->-") {
                    holdings.leaving.insert(slot, to);
                } else if let Some((slot, from)) = half(word, "-<-") {
                    holdings.arriving.insert(slot, from);
                }
            }
        }
        is_complete.then_some(holdings)
    }

    /// The node's own name.
    pub fn id(&self) -> &Arc<str> {
        &self.id
    }

    /// The node that it follows; `None` if it is a primary.
    pub fn primary(&self) -> Option<&Arc<str>> {
        self.primary.as_ref()
    }

    pub(super) fn is_own(&self, slot: Slot) -> bool {
        is_in(&self.own, slot)
    }

    pub(super) fn leaves_for(&self, slot: Slot) -> Option<&Arc<str>> {
        self.leaving.get(&slot)
    }

    pub(super) fn arrives(&self, slot: Slot) -> bool {
        self.arriving.contains_key(&slot)
    }

    /// The other node that has a slot.
    pub(super) fn owner_elsewhere(&self, slot: Slot) -> Option<&Arc<str>> {
        let owner = self.others.iter().find(|other| is_in(&other.slots, slot));
        owner.map(|owner| &owner.id)
    }

    /// Whether there is such a node, as far as this one knows.
    pub(super) fn knows(&self, id: &Arc<str>) -> bool {
        self.others.iter().any(|other| other.id == *id)
    }

    /// Whether that is a replica of this one.
    pub(super) fn is_followed_by(&self, id: &Arc<str>) -> bool {
        let mut others = self.others.iter();
        others.any(|other| other.id == *id && other.primary == self.id)
    }
}

fn is_in(slots: &[RangeInclusive<u16>], slot: Slot) -> bool {
    slots.iter().any(|range| range.contains(&slot.number()))
}

/// `5` or `5-10`.
fn range(word: &str) -> Option<RangeInclusive<u16>> {
    let (first, last) = word.split_once('-').unwrap_or((word, word));
    Some(first.parse().ok()?..=last.parse().ok()?)
}

/// `77->-<id>`.
fn half(word: &str, arrow: &str) -> Option<(Slot, Arc<str>)> {
    let (slot, id) = word.split_once(arrow)?;
    Some((Slot::new(slot.parse().ok()?)?, id.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(number: u16) -> Slot {
        Slot::new(number).unwrap()
    }

    #[test]
    fn a_node_tells_of_its_own_slots_and_of_those_on_their_way() {
        let text = "\
            aaa 127.0.0.1:7000@17000,host myself,master - 0 0 1 connected 0-10 12 [5->-bbb] [77-<-ccc]\n\
            bbb 127.0.0.1:7001@17001 master,fail? - 1 2 3 connected 13-20\n\
            ddd 127.0.0.1:7003@17003,,tls-port=0 slave aaa 0 0 1 connected\n";
        let holdings = Holdings::parse(text).unwrap();
        assert_eq!((&**holdings.id(), holdings.primary()), ("aaa", None));
        let own: Vec<bool> = [0, 10, 11, 12, 13].map(|n| holdings.is_own(slot(n))).into();
        assert_eq!(own, [true, true, false, true, false]);
        assert_eq!(holdings.leaves_for(slot(5)).map(|id| &**id), Some("bbb"));
        assert!(holdings.arrives(slot(77)) && !holdings.arrives(slot(5)));
        assert_eq!(
            holdings.owner_elsewhere(slot(15)).map(|id| &**id),
            Some("bbb")
        );
        assert_eq!(holdings.owner_elsewhere(slot(77)), None);
        let replica = "ddd :0@0 myself,slave aaa 0 0 1 connected\n";
        let replica = Holdings::parse(replica).unwrap();
        assert_eq!(replica.primary().map(|id| &**id), Some("aaa"));
    }

    #[test]
    fn what_says_nothing_of_the_node_itself_is_none() {
        for text in ["", "\n", "aaa", "aaa :0@0 master - 0 0 1 connected 0-10\n"] {
            assert_eq!(Holdings::parse(text), None);
        }
    }
}
