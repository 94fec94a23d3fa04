//! The scripted peer, seen from a client that is as plain as it is.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use tidings_testkit::{Protocol, ScriptedConnection, ScriptedPeer, frame};

fn connected() -> (ScriptedPeer, TcpStream, ScriptedConnection) {
    let peer = ScriptedPeer::start();
    let client = TcpStream::connect(peer.address()).unwrap();
    let connection = peer.accept();
    (peer, client, connection)
}

fn read(client: &mut TcpStream, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    client.read_exact(&mut bytes).unwrap();
    bytes
}

fn complaint(action: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(action)).expect_err("it should complain");
    *panic.downcast::<String>().expect("a text")
}

#[test]
fn commands_are_read_however_they_are_cut_and_joined() {
    let (_peer, mut client, mut connection) = connected();
    let bytes = b"*1\r\n$4\r\nPING\r\n*2\r\n$9\r\nsubscribe\r\n$3\r\n\r\na\r\n";
    for byte in &bytes[..20] {
        client.write_all(&[*byte]).unwrap();
    }
    client.write_all(&bytes[20..]).unwrap();
    connection.expect(["PING"]);
    connection.expect(["SUBSCRIBE", "\r\na"]);
    assert_eq!(connection.try_read_command(Duration::from_millis(1)), None);
    drop(client);
    connection.expect_close();
}

#[test]
fn what_was_not_expected_is_shown() {
    let (_peer, mut client, mut connection) = connected();
    client.write_all(b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n").unwrap();
    let text = complaint(|| connection.expect(["GET", "other"]));
    assert!(text.contains(r#"expected: "GET" "other""#), "{text}");
    assert!(text.contains(r#"received: "GET" "k""#), "{text}");

    client.write_all(b"*1\r\n$4\r\nPI").unwrap();
    drop(client);
    let text = complaint(|| drop(connection.read_command()));
    assert!(text.contains("closed") && text.contains("PI"), "{text}");
}

#[test]
fn what_is_no_command_is_shown() {
    let (_peer, mut client, mut connection) = connected();
    client.write_all(b"PING\r\n").unwrap();
    let text = complaint(|| drop(connection.read_command()));
    assert!(text.contains("PING"), "{text}");
}

#[test]
fn a_command_where_a_close_was_expected_is_shown() {
    let (_peer, mut client, mut connection) = connected();
    client.write_all(b"*1\r\n$4\r\nPING\r\n").unwrap();
    assert!(complaint(|| connection.expect_close()).contains("PING"));
}

#[test]
fn bytes_arrive_in_pieces_and_whole() {
    let (_peer, mut client, mut connection) = connected();
    let message = frame::message(Protocol::Resp3, "a", "hello");
    connection.send_in_chunks(&message, 1);
    assert_eq!(read(&mut client, message.len()), message);
    connection.close();
    assert_eq!(client.read(&mut [0]).unwrap(), 0);
}

#[test]
fn a_reset_is_an_error_not_an_end() {
    let (_peer, mut client, connection) = connected();
    connection.reset();
    let error = client.read(&mut [0]).expect_err("a reset");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[test]
fn a_handshake_ends_at_the_first_other_command_and_leaves_it() {
    let (_peer, mut client, mut connection) = connected();
    client
        .write_all(
            b"*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n\
              *4\r\n$6\r\nCLIENT\r\n$7\r\nSETINFO\r\n$8\r\nLIB-NAME\r\n$1\r\nx\r\n\
              *2\r\n$6\r\nSELECT\r\n$1\r\n5\r\n*1\r\n$4\r\nPING\r\n",
        )
        .unwrap();
    assert_eq!(connection.handshake(), Protocol::Resp3);
    connection.expect(["PING"]);
    connection.close();
    let mut answers = String::new();
    client.read_to_string(&mut answers).unwrap();
    assert!(
        answers.starts_with("%7\r\n$6\r\nserver\r\n$5\r\nredis\r\n"),
        "{answers}"
    );
    assert!(answers.contains("$5\r\nproto\r\n:3\r\n"), "{answers}");
    assert!(answers.ends_with("*0\r\n+OK\r\n+OK\r\n"), "{answers}");
}

#[test]
fn a_handshake_that_goes_on_later_is_answered_by_the_next_read() {
    let (_peer, mut client, mut connection) = connected();
    client
        .write_all(b"*2\r\n$5\r\nHELLO\r\n$1\r\n2\r\n")
        .unwrap();
    assert_eq!(connection.handshake(), Protocol::Resp2);
    client
        .write_all(b"*2\r\n$6\r\nSELECT\r\n$1\r\n5\r\n*1\r\n$4\r\nPING\r\n")
        .unwrap();
    connection.expect(["PING"]);
    // From here on, SELECT is a command like others.
    client
        .write_all(b"*2\r\n$6\r\nSELECT\r\n$1\r\n5\r\n")
        .unwrap();
    connection.expect(["SELECT", "5"]);
    connection.close();
    let mut answers = String::new();
    client.read_to_string(&mut answers).unwrap();
    assert!(answers.starts_with("*14\r\n"), "{answers}");
    assert_eq!(answers.matches("+OK").count(), 1, "{answers}");
}

#[test]
fn an_old_server_knows_no_hello() {
    let (_peer, mut client, mut connection) = connected();
    client
        .write_all(b"*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n*2\r\n$4\r\nAUTH\r\n$1\r\nx\r\n")
        .unwrap();
    assert_eq!(connection.handshake_without_hello(), Protocol::Resp2);
    connection.close();
    let mut answers = String::new();
    client.read_to_string(&mut answers).unwrap();
    let error = "-ERR unknown command `HELLO`, with args beginning with: `3`, \r\n";
    assert_eq!(answers, format!("{error}+OK\r\n"));
}

#[test]
fn a_peer_that_stops_listening_refuses_and_comes_back() {
    let (peer, mut client, mut connection) = connected();
    peer.stop_listening();
    assert!(TcpStream::connect(peer.address()).is_err());
    connection.send("+OK\r\n");
    assert_eq!(read(&mut client, 5), b"+OK\r\n");
    peer.listen();
    let _again = TcpStream::connect(peer.address()).unwrap();
    assert!(peer.try_accept(Duration::from_secs(10)).is_some());
    assert!(peer.try_accept(Duration::ZERO).is_none());
}
