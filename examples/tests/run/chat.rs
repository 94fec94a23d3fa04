use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use tidings_testkit::Server;
use tungstenite::{Message, WebSocket};

use crate::program::{Program, SOON};

struct Chat {
    server: Server,
    program: Program,
    /// Where it listens.
    address: String,
}

impl Chat {
    fn start() -> Self {
        let server = Server::start();
        let program = Program::start("chat", &[&server.url(), "127.0.0.1:0"]);
        let address = program.line_after("listening on http://");
        Self {
            server,
            program,
            address,
        }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).expect("it listens");
        stream.set_read_timeout(Some(SOON)).expect("a socket");
        stream
    }

    /// A browser that takes part.
    fn join(&self, room: &str) -> Browser {
        let url = format!("ws://{}/rooms/{room}/socket", self.address);
        let (socket, _answer) = tungstenite::client(url, self.connect()).expect("it is let in");
        Browser(socket)
    }

    /// A browser that only reads.
    fn watch(&self, room: &str) -> Events {
        let mut answer = self.request(&format!("/rooms/{room}/events"));
        let head = answer.head();
        assert!(head.contains("content-type: text/event-stream"), "{head}");
        answer
    }

    fn request(&self, path: &str) -> Events {
        let mut stream = self.connect();
        // HTTP/1.0 has no chunks: what comes behind the head is the body as it is.
        write!(
            stream,
            "GET {path} HTTP/1.0\r\nHost: {}\r\n\r\n",
            self.address
        )
        .expect("sent");
        Events(BufReader::new(stream))
    }

    /// Says something as somebody elsewhere would; how many heard it.
    fn publish(&self, room: &str, text: &str) -> Option<i64> {
        let channel = format!("chat:{room}");
        self.server.admin(["PUBLISH", &channel, text]).integer()
    }
}

struct Browser(WebSocket<TcpStream>);

impl Browser {
    fn say(&mut self, text: &str) {
        self.0.send(Message::text(text)).expect("it is connected");
    }

    fn hear(&mut self) -> String {
        let heard = self.0.read().expect("something comes");
        heard.into_text().expect("text").to_string()
    }
}

struct Events(BufReader<TcpStream>);

impl Events {
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).expect("a line comes");
        line.trim_end().to_owned()
    }

    fn head(&mut self) -> String {
        let lines = std::iter::from_fn(|| Some(self.line()).filter(|line| !line.is_empty()));
        lines.collect::<Vec<_>>().join("\n")
    }

    fn hear(&mut self) -> String {
        loop {
            if let Some(data) = self.line().strip_prefix("data: ") {
                return data.to_owned();
            }
        }
    }
}

#[test]
fn what_is_said_in_a_room_is_heard_there_and_nowhere_else() {
    let chat = Chat::start();
    let mut page = chat.request("/");
    assert!(page.head().starts_with("HTTP/1.0 200 OK"));
    assert_eq!(page.line(), "<!doctype html>");

    let mut ada = chat.join("lobby");
    let mut alan = chat.join("lobby");
    let mut grace = chat.join("garden");
    let mut reader = chat.watch("lobby");

    ada.say("hello \"all\"");
    let hello = r#"{"message":"hello \"all\""}"#;
    assert_eq!(ada.hear(), hello);
    assert_eq!(alan.hear(), hello);
    assert_eq!(reader.hear(), hello);

    grace.say("flowers");
    assert_eq!(grace.hear(), r#"{"message":"flowers"}"#);
    // However many are in a room, the server sees one subscription.
    assert_eq!(chat.publish("lobby", "bye"), Some(1));
    let bye = r#"{"message":"bye"}"#;
    assert_eq!(
        (ada.hear(), alan.hear(), reader.hear()),
        (bye.into(), bye.into(), bye.into())
    );

    // With the last one who leaves, it ends.
    drop((ada, alan, reader));
    chat.server.await_subscribers("chat:lobby", 0);
    chat.server.await_subscribers("chat:garden", 1);
    chat.program.interrupt(&[]);
}

#[test]
fn a_browser_is_told_where_messages_may_be_missing() {
    let chat = Chat::start();
    let mut ada = chat.join("lobby");
    let mut reader = chat.watch("lobby");
    chat.server.admin(["CLIENT", "KILL", "TYPE", "pubsub"]);
    assert_eq!(ada.hear(), r#"{"missed":null}"#);
    assert_eq!(reader.hear(), r#"{"missed":null}"#);
    ada.say("still here");
    assert_eq!(ada.hear(), r#"{"message":"still here"}"#);
    assert_eq!(reader.hear(), r#"{"message":"still here"}"#);
}

#[test]
fn slow_browsers_hold_up_nobody_and_are_told_how_many_messages_they_missed() {
    /// More than what the sockets' buffers and a queue hold.
    const MESSAGES: u64 = 400;
    let chat = Chat::start();
    let mut slow = chat.join("lobby");
    let mut slow_reader = chat.watch("lobby");
    let mut quick = chat.join("lobby");
    let long = "x".repeat(100_000);
    for number in 0..MESSAGES {
        let text = format!("{number} {long}");
        assert_eq!(chat.publish("lobby", &text), Some(1));
        assert_eq!(quick.hear(), format!(r#"{{"message":"{text}"}}"#));
    }
    assert!(missed_of(MESSAGES, || slow.hear()) > 0);
    assert!(missed_of(MESSAGES, || slow_reader.hear()) > 0);
}

/// Hears all messages up to this one; how many of them it was told that it missed.
fn missed_of(messages: u64, mut hear: impl FnMut() -> String) -> u64 {
    let mut next = 0;
    let mut missed = 0;
    while next < messages {
        let heard: serde_json::Value = serde_json::from_str(&hear()).expect("JSON");
        if let Some(count) = heard["missed"].as_u64() {
            missed += count;
            next += count;
            continue;
        }
        let text = heard["message"].as_str().expect("a message");
        let number = text.split(' ').next().unwrap_or_default();
        assert_eq!(number, next.to_string(), "a message is missing untold");
        next += 1;
    }
    assert_eq!(next, messages);
    missed
}

#[test]
fn nobody_is_let_into_a_room_that_may_not_be_heard() {
    let chat = {
        let server = Server::builder().user("talker on >s3cret ~* +@all resetchannels &chat:lobby");
        let server = server.start().expect("it starts");
        let url = server.url_as("talker", "s3cret");
        let program = Program::start("chat", &[&url, "127.0.0.1:0"]);
        let address = program.line_after("listening on http://");
        Chat {
            server,
            program,
            address,
        }
    };
    let head = chat.request("/rooms/garden/events").head();
    assert!(head.starts_with("HTTP/1.0 503 "), "{head}");
    let said = chat.program.line_after("nobody can be let in: ");
    assert!(
        said.contains("chat:garden") && said.contains("NOPERM"),
        "{said}"
    );
    chat.watch("lobby");
}
