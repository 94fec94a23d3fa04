use tidings_testkit::Server;

use crate::program::Program;

#[test]
fn events_arrive_as_their_type_and_what_is_none_is_passed_over() {
    let server = Server::start();
    let url = server.url();
    let publish = |words: [&str; 3]| {
        let publisher = Program::start(
            "typed_events",
            &[url.as_str(), words[0], words[1], words[2]],
        );
        let (said, status) = publisher.end();
        assert!(status.success());
        assert_eq!(said, ["published to 1"]);
    };
    let listener = Program::start("typed_events", &[&url]);
    assert_eq!(listener.line(), "listening");

    publish(["place", "17", "49.90"]);
    assert_eq!(listener.line(), "order 17: 49.90 in all");
    server.admin(["PUBLISH", "orders", r#"{"placed":{"order":"no number"}}"#]);
    let passed_over = listener.line_after(r#"passed over {"placed":{"order":"no number"}}: "#);
    assert!(
        passed_over.contains("not the JSON that was expected"),
        "{passed_over}"
    );
    publish(["ship", "17", "by bicycle"]);
    assert_eq!(listener.line(), "order 17: sent by bicycle");

    server.admin(["CLIENT", "KILL", "TYPE", "pubsub"]);
    assert_eq!(
        listener.line(),
        "events may be missing: the connection was lost"
    );
    publish(["place", "18", "5"]);
    assert_eq!(listener.line(), "order 18: 5.00 in all");
    listener.interrupt(&[]);
}
