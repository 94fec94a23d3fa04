use tidings_testkit::{Cluster, Server};

use crate::program::Program;

#[test]
fn what_is_done_to_keys_of_a_server_is_shown() {
    let server = Server::start();
    let url = server.url();
    let events = Program::start("keyspace_events", &[&url, "session:*", "expired", "del"]);
    assert_eq!(events.line(), "watching");
    server.admin(["SET", "session:1", "Ada", "PX", "1"]);
    assert_eq!(events.line(), "expired session:1");
    server.admin(["SET", "session:2", "Grace"]);
    server.admin(["SET", "other", "Mary"]);
    server.admin(["DEL", "session:2", "other"]);
    assert_eq!(events.line(), "del session:2");

    server.admin(["CLIENT", "KILL", "TYPE", "pubsub"]);
    assert_eq!(
        events.line(),
        "events may be missing: the connection was lost"
    );
    events.interrupt(&["stopped"]);
}

#[test]
fn what_is_done_to_keys_of_all_nodes_is_shown() {
    let cluster = Cluster::start();
    let events = Program::start("keyspace_events", &[&cluster.url(), "user:*"]);
    assert_eq!(events.line(), "watching");
    let mut owners = Vec::new();
    for user in ["user:1", "user:3", "user:4"] {
        let owner = cluster.owner_of_key(user);
        owner.admin(["SET", user, "somebody"]);
        assert_eq!(events.line(), format!("set {user}"));
        owners.push(owner.port());
    }
    owners.sort_unstable();
    owners.dedup();
    assert_eq!(owners.len(), 3, "a user on each node");
    events.interrupt(&["stopped"]);
}
