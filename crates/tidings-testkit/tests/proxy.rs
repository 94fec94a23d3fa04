//! What the proxy does to connections, seen from both ends.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use tidings_testkit::{Direction, Proxy, ScriptedConnection, ScriptedPeer, Server};

struct Ends {
    proxy: Proxy,
    client: TcpStream,
    server: ScriptedConnection,
    peer: ScriptedPeer,
}

fn ends() -> Ends {
    let peer = ScriptedPeer::start();
    let proxy = Proxy::start(peer.address());
    let client = TcpStream::connect(proxy.address()).unwrap();
    let server = peer.accept();
    proxy.await_connections(1);
    Ends {
        proxy,
        client,
        server,
        peer,
    }
}

fn read(client: &mut TcpStream, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    client.read_exact(&mut bytes).unwrap();
    bytes
}

/// Nothing comes for a while, and the connection stays open.
fn assert_silent(client: &mut TcpStream) {
    client
        .set_read_timeout(Some(Duration::from_millis(50)))
        .unwrap();
    let error = client.read(&mut [0]).expect_err("nothing should come");
    assert!(
        matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
        "{error}"
    );
    client.set_read_timeout(None).unwrap();
}

const PING: &[u8] = b"*1\r\n$4\r\nPING\r\n";

#[test]
fn bytes_go_both_ways_and_are_counted() {
    let Ends {
        proxy,
        mut client,
        mut server,
        ..
    } = ends();
    client.write_all(PING).unwrap();
    server.expect(["PING"]);
    server.send("+PONG\r\n");
    assert_eq!(read(&mut client, 7), b"+PONG\r\n");
    assert_eq!(proxy.bytes_to_server(), PING.len() as u64);
    assert_eq!(proxy.bytes_to_client(), 7);
    assert_eq!((proxy.connections(), proxy.accepted()), (1, 1));
}

#[test]
fn a_close_is_passed_on_either_way() {
    let Ends {
        proxy,
        client,
        mut server,
        ..
    } = ends();
    drop(client);
    server.expect_close();
    proxy.await_connections(0);

    let Ends {
        proxy,
        mut client,
        mut server,
        ..
    } = ends();
    server.send("+OK\r\n");
    server.close();
    let mut all = Vec::new();
    client.read_to_end(&mut all).unwrap();
    assert_eq!(all, b"+OK\r\n");
    proxy.await_connections(0);
}

#[test]
fn a_cut_ends_all_connections_and_takes_new_ones() {
    let Ends {
        proxy,
        mut client,
        mut server,
        peer,
    } = ends();
    proxy.cut();
    assert_eq!(client.read(&mut [0]).unwrap(), 0);
    server.expect_close();
    assert_eq!(proxy.connections(), 0);
    let _again = TcpStream::connect(proxy.address()).unwrap();
    let _ = peer.accept();
    proxy.await_accepted(2);
}

#[test]
fn a_reset_is_an_error_not_an_end() {
    let Ends {
        proxy,
        mut client,
        mut server,
        ..
    } = ends();
    proxy.reset();
    let error = client.read(&mut [0]).expect_err("a reset");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    server.expect_close();
}

#[test]
fn a_cut_to_come_lets_exactly_so_many_bytes_through() {
    let Ends {
        proxy,
        mut client,
        mut server,
        peer,
    } = ends();
    proxy.cut_after(10);
    server.send("01234");
    assert_eq!(read(&mut client, 5), b"01234");
    server.send("56789abcdef");
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, b"56789");
    server.expect_close();
    // Once.
    let mut client = TcpStream::connect(proxy.address()).unwrap();
    let mut server = peer.accept();
    server.send([b'x'; 100]);
    assert_eq!(read(&mut client, 100), [b'x'; 100]);
}

#[test]
fn refused_is_refused_and_others_stay() {
    let Ends {
        proxy,
        mut client,
        mut server,
        peer,
    } = ends();
    proxy.refuse(true);
    let error = TcpStream::connect(proxy.address()).expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    server.send("+OK\r\n");
    assert_eq!(read(&mut client, 5), b"+OK\r\n");
    proxy.refuse(false);
    let _again = TcpStream::connect(proxy.address()).unwrap();
    let _ = peer.accept();
}

#[test]
fn connections_can_be_closed_at_once() {
    let Ends { proxy, .. } = ends();
    proxy.close_at_once(true);
    let mut client = TcpStream::connect(proxy.address()).unwrap();
    assert_eq!(client.read(&mut [0]).unwrap_or(0), 0);
    assert_eq!(proxy.accepted(), 2);
}

#[test]
fn a_target_that_is_down_closes_the_client() {
    let peer = ScriptedPeer::start();
    let proxy = Proxy::start(peer.address());
    peer.stop_listening();
    let mut client = TcpStream::connect(proxy.address()).unwrap();
    assert_eq!(client.read(&mut [0]).unwrap_or(0), 0);
    let other = ScriptedPeer::start();
    proxy.set_target(other.address());
    let _client = TcpStream::connect(proxy.address()).unwrap();
    let _ = other.accept();
}

#[test]
fn a_delay_holds_bytes_back() {
    let Ends {
        proxy,
        mut client,
        mut server,
        ..
    } = ends();
    let delay = Duration::from_millis(60);
    proxy.delay(delay);
    let start = Instant::now();
    server.send("+OK\r\n");
    assert_eq!(read(&mut client, 5), b"+OK\r\n");
    assert!(start.elapsed() >= delay, "{:?}", start.elapsed());
    proxy.heal();
    server.send("+OK\r\n");
    assert_eq!(read(&mut client, 5), b"+OK\r\n");
}

#[test]
fn bytes_in_chunks_arrive_whole() {
    let Ends {
        proxy,
        mut client,
        mut server,
        ..
    } = ends();
    proxy.chunk(1);
    server.send(b"0123456789".repeat(20));
    assert_eq!(read(&mut client, 200), b"0123456789".repeat(20));
}

#[test]
fn a_throttled_way_is_slow_and_loses_nothing() {
    let Ends {
        proxy,
        mut client,
        mut server,
        ..
    } = ends();
    proxy.throttle(100_000);
    let start = Instant::now();
    server.send(vec![b'x'; 10_000]);
    assert!(read(&mut client, 10_000).iter().all(|byte| *byte == b'x'));
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(90), "{took:?}");
}

#[test]
fn silence_keeps_sockets_open_and_bytes_for_later() {
    let Ends {
        proxy,
        mut client,
        mut server,
        ..
    } = ends();
    proxy.silence(Direction::ToClient);
    client.write_all(PING).unwrap();
    server.expect(["PING"]);
    server.send("+PONG\r\n");
    assert_silent(&mut client);
    proxy.resume();
    assert_eq!(read(&mut client, 7), b"+PONG\r\n");

    proxy.silence(Direction::ToServer);
    client.write_all(PING).unwrap();
    assert_eq!(server.try_read_command(Duration::from_millis(50)), None);
    server.send("+OK\r\n");
    assert_eq!(read(&mut client, 5), b"+OK\r\n");
    proxy.resume();
    server.expect(["PING"]);
}

#[test]
fn silence_hides_an_end_and_greets_new_connections() {
    let Ends {
        proxy,
        mut client,
        server,
        peer,
    } = ends();
    proxy.silence(Direction::Both);
    server.close();
    assert_silent(&mut client);
    let mut another = TcpStream::connect(proxy.address()).unwrap();
    let _server = peer.accept();
    another.write_all(PING).unwrap();
    assert_silent(&mut another);
    // A cut goes through silence.
    proxy.cut();
    assert_eq!(client.read(&mut [0]).unwrap(), 0);
    assert_eq!(another.read(&mut [0]).unwrap(), 0);
}

#[test]
fn a_cut_ends_a_connection_whose_reader_stands_still() {
    let Ends {
        proxy,
        client,
        mut server,
        ..
    } = ends();
    let filler = vec![b'x'; 64 * 1024];
    let sending = std::thread::spawn(move || while server.try_send(&filler).is_ok() {});
    tidings_testkit::eventually("the client's socket is full", || {
        let before = proxy.bytes_to_client();
        std::thread::sleep(Duration::from_millis(20));
        before > 0 && proxy.bytes_to_client() == before
    });
    proxy.cut();
    sending.join().unwrap();
    drop(client);
}

#[test]
fn dropping_the_proxy_closes_everything() {
    let Ends {
        proxy,
        mut client,
        mut server,
        ..
    } = ends();
    let address = proxy.address();
    drop(proxy);
    assert_eq!(client.read(&mut [0]).unwrap(), 0);
    server.expect_close();
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn a_real_server_is_reached_through_it() {
    let server = Server::builder().password("pw").tls().start_or_panic();
    let proxy = Proxy::to(&server);
    assert_eq!(
        server.url_via(&proxy),
        format!("rediss://:pw@127.0.0.1:{}", proxy.port())
    );
    proxy.set_target(server.address());
    let mut client = TcpStream::connect(proxy.address()).unwrap();
    client.write_all(b"AUTH pw\r\nPING\r\n").unwrap();
    assert_eq!(read(&mut client, 12), b"+OK\r\n+PONG\r\n");
}
