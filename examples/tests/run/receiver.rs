use tidings_testkit::Server;

use crate::program::Program;

#[test]
fn all_that_comes_is_counted_in_one_place_by_who_it_came_for() {
    let server = Server::start();
    let names = ["news", "weather", "user:*"];
    let url = server.url();
    let counting = Program::start("receiver", &[&[url.as_str()], &names[..]].concat());
    assert_eq!(counting.line(), "channels: 2, patterns: 1");
    for (channel, text) in [
        ("news", "one"),
        ("user:1", "two"),
        ("news", "three"),
        ("user:2", "four"),
    ] {
        server.admin(["PUBLISH", channel, text]);
        assert_eq!(counting.line(), format!("{text} in {channel}"));
    }

    server.admin(["CLIENT", "KILL", "TYPE", "pubsub"]);
    let names = counting.line_after("from here on the counts are too low, perhaps: ");
    let mut names: Vec<&str> = names.split(", ").collect();
    names.sort_unstable();
    assert_eq!(names, ["news", "user:*", "weather"]);
    server.admin(["PUBLISH", "weather", "five"]);
    assert_eq!(counting.line(), "five in weather");

    counting.interrupt(&["news: 2", "user:*: 2", "weather: 1"]);
}
