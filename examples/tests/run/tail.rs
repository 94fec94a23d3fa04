#[cfg(unix)]
use std::process::Command;

use tidings_testkit::Server;
#[cfg(unix)]
use tidings_testkit::eventually;

use crate::program::Program;
#[cfg(unix)]
use crate::program::path;

#[test]
fn messages_of_channels_and_patterns_are_printed_as_they_come_through_a_loss_too() {
    let server = Server::start();
    let tail = Program::start("tail", &[&server.url(), "news", "user:*"]);
    assert_eq!(tail.line(), "--- listening ---");
    for text in ["it rains", "it still rains"] {
        server.admin(["PUBLISH", "news", text]);
        assert_eq!(tail.line(), format!("news: {text}"));
    }
    server.admin(["PUBLISH", "user:1", "in"]);
    assert_eq!(tail.line(), "user:1: in");

    server.admin(["CLIENT", "KILL", "TYPE", "pubsub"]);
    assert_eq!(
        tail.line(),
        "--- messages may be missing: the connection was lost ---"
    );
    server.admin(["PUBLISH", "user:1", "out"]);
    assert_eq!(tail.line(), "user:1: out");
}

#[test]
fn it_says_what_it_needs() {
    let tail = Program::start("tail", &["redis://127.0.0.1:6379"]);
    let (said, status) = tail.end();
    assert_eq!(said[0], "Error: no channel and no pattern was named");
    assert!(!status.success());
}

#[cfg(unix)]
#[test]
fn it_ends_well_when_nobody_reads_it_any_more() {
    let server = Server::start();
    let script = r#"{ "$0" "$1" news; echo "ended with $?" >&2; } | head -n 1"#;
    let mut shell = Command::new("sh");
    shell
        .args(["-c", script])
        .arg(path("tail"))
        .arg(server.url());
    let pipe = Program::run("tail | head", &mut shell);
    assert_eq!(pipe.line(), "--- listening ---");
    server.admin(["PUBLISH", "news", "enough"]);
    assert_eq!(pipe.line(), "news: enough");
    // `head` may take a moment to close its end.
    eventually("it has noticed", || {
        server.admin(["PUBLISH", "news", "too much"]).integer() == Some(0)
    });
    assert_eq!(pipe.line(), "ended with 0");
}
