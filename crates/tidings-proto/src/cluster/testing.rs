//! Maps of clusters for tests, in a line a shard.

use super::replies::wire;
use super::{Address, Asked, SlotMap, Topology};
use crate::resp::Reply;

pub(super) fn address(name: &str) -> Address {
    Address::new(name, 7000)
}

/// Reads `0-8000: a primary online, b replica fail` for each shard.
pub(super) fn topology(shards: &[&str]) -> Topology {
    let mut text = format!("*{} ", shards.len());
    let bulk = |word: &str| format!("${} {word} ", word.len());
    for shard in shards {
        let (ranges, nodes) = shard.split_once(':').unwrap();
        let ends: Vec<&str> = ranges
            .split([',', '-'])
            .filter(|end| !end.is_empty())
            .collect();
        text += &format!("*4 $5 slots *{} ", ends.len());
        text.extend(ends.iter().map(|end| format!(":{end} ")));
        let nodes: Vec<&str> = nodes.split(',').map(str::trim).collect();
        text += &format!("$5 nodes *{} ", nodes.len());
        for node in nodes {
            let words: Vec<&str> = node.split(' ').collect();
            // The id is before an `@`, if the address is not meant to be one.
            let (id, host) = words[0].split_once('@').unwrap_or((words[0], words[0]));
            text += "*10 $2 id ";
            text += &bulk(id);
            text += "$8 endpoint ";
            text += &bulk(host);
            text += "$4 port :7000 $4 role ";
            text += &bulk(words[1]);
            text += "$6 health ";
            text += &bulk(words[2]);
        }
    }
    let asked = address("asked");
    Topology::from_shards(
        Reply::parse(&wire(&text)).unwrap(),
        Asked::new(&asked, false),
    )
    .unwrap()
}

pub(super) fn map(shards: &[&str]) -> SlotMap {
    let mut map = SlotMap::new();
    map.apply(&topology(shards));
    map
}
