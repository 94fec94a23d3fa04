//! Which nodes are still to be gone over by `SCAN`, until each slot has been, wherever its keys went meanwhile.

mod holdings;
#[cfg(test)]
mod model;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::map::SlotMap;
use super::node::{Address, Node};
use super::slot::Slot;

pub use holdings::Holdings;

/// Which nodes are still to be gone over.
///
/// A node is asked what it holds, gone over, and asked again: [`begin`](Self::begin), [`wants`](Self::wants) for each key that
/// it gives, [`finish`](Self::finish). A slot is done when the node that has been gone over has had it all the time. If its
/// keys went elsewhere meanwhile, that node is to be gone over from then on, for this slot: keys that were not seen here
/// are there. So each key that is there all the time is wanted once at least, and twice only if its slot has moved or
/// its node was lost.
///
/// What nothing shows is a slot that goes to and fro: one that has gone and come back while its node was gone over, or that
/// comes back and sets out once more for the node where it was to be looked for.
#[derive(Debug)]
pub struct KeyScan {
    /// Slots that are not done.
    open: BTreeSet<Slot>,
    /// Of these, those whose keys went to a certain node behind a scan. The others are with whoever has them.
    handed: HashMap<Slot, Handed>,
    /// The node that is being gone over, and for which slots.
    current: Option<(Arc<str>, BTreeSet<Slot>)>,
}

/// That what was not seen of a slot is at another node.
#[derive(Clone, Debug)]
struct Handed {
    to: Arc<str>,
    /// The slot was still on its way there.
    is_open: bool,
}

impl Handed {
    fn is_to(&self, node: &Holdings) -> bool {
        self.to == *node.id() || node.is_followed_by(&self.to)
    }
}

/// Where to go on. See [`KeyScan::next`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NextNode {
    /// At this node.
    At(Address),
    /// At a node that is not known: the map is to be read again.
    Unknown,
    /// All are done.
    Done,
}

impl KeyScan {
    /// Of all slots that somebody has.
    pub fn new(map: &SlotMap) -> Self {
        Self {
            open: Slot::all()
                .filter(|slot| map.shard(*slot).is_some())
                .collect(),
            handed: HashMap::new(),
            current: None,
        }
    }

    /// The node to go over next.
    pub fn next(&self, map: &SlotMap) -> NextNode {
        let mut nodes = self.open.iter().map(|slot| self.node_for(*slot, map));
        match nodes.find_map(|node| node) {
            Some(node) => NextNode::At(node.address().clone()),
            None if self.open.is_empty() => NextNode::Done,
            None => NextNode::Unknown,
        }
    }

    /// Where the keys of a slot are to be found.
    fn node_for<'a>(&self, slot: Slot, map: &'a SlotMap) -> Option<&'a Node> {
        let with = |handed: &Handed| {
            let is_it = |node: &Node| node.id() == Some(&handed.to);
            let mut shards = map.shards().iter();
            shards.find(|shard| shard.nodes().any(is_it))
        };
        // If the node has been demoted meanwhile, its primary has them; if it is gone, who has the slot knows more.
        let shard = self.handed.get(&slot).and_then(with);
        shard.or_else(|| map.shard(slot))?.primary()
    }

    /// Begins with a node that says this of itself; `false`: it has nothing of what is wanted, so that the map must be old.
    #[must_use]
    pub fn begin(&mut self, node: &Holdings) -> bool {
        let mut slots = BTreeSet::new();
        for slot in &self.open {
            // What has not come yet has been seen before.
            let is_here = match self.handed.get(slot) {
                Some(handed) if handed.is_to(node) => {
                    node.is_own(*slot) || (handed.is_open && node.arrives(*slot))
                }
                Some(handed) if node.knows(&handed.to) => continue,
                _ => node.is_own(*slot),
            };
            if is_here {
                slots.insert(*slot);
            } else {
                // It went on, or back.
                self.handed.remove(slot);
            }
        }
        if node.primary().is_some() {
            return false;
        }
        let is_any = !slots.is_empty();
        self.current = is_any.then(|| (Arc::clone(node.id()), slots));
        is_any
    }

    /// Whether keys of this slot, which the node gave, are what it is gone over for.
    pub fn wants(&self, slot: Slot) -> bool {
        self.current
            .as_ref()
            .is_some_and(|(_, slots)| slots.contains(&slot))
    }

    /// All of the node's keys were seen, and it says this of itself now.
    pub fn finish(&mut self, node: &Holdings) {
        let Some((id, slots)) = self.current.take() else {
            return;
        };
        // Another one at the same address.
        if *node.id() != id {
            return;
        }
        for slot in slots {
            let was_open = self.handed.get(&slot).is_some_and(|handed| handed.is_open);
            let leaves_for = node.leaves_for(slot);
            let elsewhere = || {
                let stays = node.is_own(slot) || (was_open && node.arrives(slot));
                node.owner_elsewhere(slot).filter(|_| !stays)
            };
            // One that has become a replica may have begun anew.
            let to = node.primary().or(leaves_for).or_else(elsewhere);
            match to {
                Some(to) => {
                    let handed = Handed {
                        to: Arc::clone(to),
                        is_open: match node.primary() {
                            Some(_) => was_open,
                            None => leaves_for.is_some(),
                        },
                    };
                    self.handed.insert(slot, handed);
                }
                None => {
                    self.handed.remove(&slot);
                    self.open.remove(&slot);
                }
            }
        }
    }

    /// The node was lost before all of its keys were seen.
    pub fn abandon(&mut self) {
        self.current = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::testing::map;

    fn node(text: &str) -> Holdings {
        Holdings::parse(text).unwrap()
    }

    fn wants(scan: &KeyScan, key: &str) -> bool {
        scan.wants(Slot::of_key(key.as_bytes()))
    }

    /// The host of the node to go over.
    fn next(scan: &KeyScan, map: &SlotMap) -> String {
        match scan.next(map) {
            NextNode::At(address) => address.host().to_owned(),
            other => format!("{other:?}"),
        }
    }

    const WHOLE: [&str; 2] = [
        "0-8000: a primary online, b replica online",
        "8001-16383: c primary online",
    ];

    #[test]
    fn each_primary_is_gone_over_once_and_only_for_its_own_slots() {
        let map = map(&WHOLE);
        let mut scan = KeyScan::new(&map);
        assert_eq!(next(&scan, &map), "a");
        let a = node("a :0@0 myself,master - 0 0 1 connected 0-8000\n");
        assert!(scan.begin(&a));
        // Slots 12182 and 5061.
        assert!(!wants(&scan, "foo") && wants(&scan, "bar"));
        scan.finish(&a);
        assert_eq!(next(&scan, &map), "c");
        let c = node("c :0@0 myself,master - 0 0 1 connected 8001-16383\n");
        assert!(scan.begin(&c));
        scan.finish(&c);
        assert_eq!(next(&scan, &map), "Done");
    }

    #[test]
    fn a_slot_that_leaves_is_looked_for_at_its_target_though_that_was_gone_over_before() {
        let map = map(&WHOLE);
        let mut scan = KeyScan::new(&map);
        let a = node("a :0@0 myself,master - 0 0 1 connected 0-8000\n");
        assert!(scan.begin(&a));
        scan.finish(&node(
            "a :0@0 myself,master - 0 0 1 connected 0-8000 [5061->-c]\n",
        ));
        assert_eq!(next(&scan, &map), "c");
        // Its own slots, and the one that is on its way.
        let c = node("c :0@0 myself,master - 0 0 1 connected 8001-16383 [5061-<-a]\n");
        assert!(scan.begin(&c));
        assert!(wants(&scan, "foo") && wants(&scan, "bar") && !wants(&scan, "abc"));
        scan.finish(&c);
        assert_eq!(next(&scan, &map), "Done");
    }

    #[test]
    fn a_node_that_was_demoted_has_to_be_gone_over_at_its_primary() {
        let before = map(&WHOLE);
        let mut scan = KeyScan::new(&before);
        let a = node("a :0@0 myself,master - 0 0 1 connected 0-8000\n");
        assert!(scan.begin(&a));
        scan.finish(&node(
            "a :0@0 myself,slave b 0 0 1 connected\nb :0@0 master - 0 0 2 connected 0-8000\n",
        ));
        let after = map(&["0-8000: b primary online, a replica online", WHOLE[1]]);
        // The map that is old says so too, where it is known who belongs together.
        assert_eq!(next(&scan, &after), "b");
        let b = node("b :0@0 myself,master - 0 0 2 connected 0-8000\n");
        assert!(scan.begin(&b));
        assert!(wants(&scan, "bar"));
    }

    #[test]
    fn a_map_that_is_old_is_noticed_before_anything_is_gone_over() {
        let old = map(&WHOLE);
        let mut scan = KeyScan::new(&old);
        let moved = node(
            "a :0@0 myself,master - 0 0 1 connected\nc :0@0 master - 0 0 2 connected 0-16383\n",
        );
        assert!(!scan.begin(&moved));
        let new = map(&["0-16383: c primary online", ": a primary online"]);
        assert_eq!(next(&scan, &new), "c");
        assert_eq!(next(&scan, &SlotMap::new()), "Unknown");
    }

    #[test]
    fn a_node_that_is_lost_is_gone_over_again() {
        let map = map(&WHOLE);
        let mut scan = KeyScan::new(&map);
        let a = node("a :0@0 myself,master - 0 0 1 connected 0-8000\n");
        assert!(scan.begin(&a));
        scan.abandon();
        assert!(!wants(&scan, "bar"));
        assert_eq!(next(&scan, &map), "a");
    }
}
