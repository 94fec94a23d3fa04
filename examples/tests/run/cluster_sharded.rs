use tidings_testkit::{Cluster, slot_of};

use crate::program::Program;

/// One on each of three primaries.
const ROOMS: [&str; 3] = ["room:1", "room:2", "room:3"];

fn say(cluster: &Cluster, room: &str, text: &str) -> String {
    let words = [&cluster.url(), "--say", room, text];
    let (said, status) = Program::start("cluster_sharded", &words).end();
    assert!(status.success(), "{said:?}");
    said.join("\n")
}

#[test]
fn rooms_of_all_nodes_are_heard_also_when_one_has_moved() {
    let cluster = Cluster::start();
    let owners = ROOMS.map(|room| cluster.owner_of_key(room).port());
    assert!(owners[0] != owners[1] && owners[1] != owners[2] && owners[2] != owners[0]);

    let url = cluster.url();
    let rooms = Program::start("cluster_sharded", &[&[url.as_str()], &ROOMS[..]].concat());
    assert_eq!(rooms.line(), "listening");
    for room in ROOMS {
        assert_eq!(say(&cluster, room, "good morning"), "received by 1");
        assert_eq!(rooms.line(), format!("{room}: good morning"));
    }

    let other = cluster.owner_of_key(ROOMS[1]);
    cluster.move_slot(slot_of(ROOMS[0]), &other);
    assert_eq!(
        rooms.line(),
        "messages of room:1 may be missing: the slot has moved to another node"
    );
    assert_eq!(say(&cluster, ROOMS[0], "still here?"), "received by 1");
    assert_eq!(rooms.line(), "room:1: still here?");
    rooms.interrupt(&["stopped"]);
}
