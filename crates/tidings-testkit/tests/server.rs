//! Servers of every kind in the matrix: they start, stop, die, come back, and leave nothing behind.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use tidings_testkit::{ADMIN_NAME, AdminReply, Flavor, Protocol, Server, eventually, matrix};

fn on_each(test: impl Fn(&tidings_testkit::Binary)) {
    for binary in matrix() {
        test(&binary);
    }
}

#[test]
fn a_server_is_the_binary_asked_for_and_keeps_nothing() {
    on_each(|binary| {
        let server = Server::builder().binary(binary).start_or_panic();
        let info = server.cli(["INFO", "server"]);
        let version = match binary.flavor {
            Flavor::Redis => format!("redis_version:{}", binary.version),
            Flavor::Valkey => format!("valkey_version:{}", binary.version),
        };
        assert!(info.contains(&version), "{info}");
        assert!(info.contains(&format!("process_id:{}", server.pid().unwrap())));
        assert_eq!(server.cli(["CONFIG", "GET", "save"]), "save\n");
        assert_eq!(
            server.cli(["CONFIG", "GET", "appendonly"]),
            "appendonly\nno"
        );
        assert_eq!(server.url(), format!("redis://127.0.0.1:{}", server.port()));
        assert!(server.url_for(Protocol::Resp3).ends_with("?protocol=3"));
    });
}

#[test]
fn a_killed_server_closes_its_connections_and_comes_back_on_the_same_port() {
    on_each(|binary| {
        let server = Server::builder().binary(binary).start_or_panic();
        let before = (server.port(), server.pid());
        let mut client = TcpStream::connect(server.address()).unwrap();
        server.admin(["SET", "k", "v"]);

        server.kill();
        assert_eq!(client.read(&mut [0]).unwrap_or(0), 0);
        assert!(TcpStream::connect(server.address()).is_err());
        assert_eq!(server.pid(), None);
        assert!(!server.is_running());
        server.kill(); // once is enough, twice is no mistake

        server.restart();
        assert_eq!(server.port(), before.0);
        assert_ne!(server.pid(), before.1);
        assert_eq!(server.admin(["GET", "k"]), AdminReply::Nil);

        server.shutdown();
        assert!(server.log().contains("bye bye"), "{}", server.log());
        server.restart();
        assert_eq!(server.cli(["PING"]), "PONG");
    });
}

#[test]
fn a_stopped_server_keeps_its_connections_and_answers_when_it_goes_on() {
    on_each(|binary| {
        let server = Server::builder().binary(binary).start_or_panic();
        let mut client = TcpStream::connect(server.address()).unwrap();
        let frozen = server.freeze();
        client.write_all(b"PING\r\n").unwrap();
        client
            .set_read_timeout(Some(Duration::from_millis(50)))
            .unwrap();
        assert!(client.read(&mut [0]).is_err());
        drop(frozen);
        client
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        let mut pong = [0; 7];
        client.read_exact(&mut pong).unwrap();
        assert_eq!(&pong, b"+PONG\r\n");

        server.stop_process();
        server.continue_process();
        server.stop_process();
        server.restart(); // a stopped one can be killed
        assert_eq!(server.cli(["PING"]), "PONG");
    });
}

#[test]
fn a_server_that_ended_by_itself_is_seen_and_can_be_restarted() {
    let server = Server::start();
    assert!(server.is_running());
    let _ = server.try_admin(["SHUTDOWN", "NOSAVE"]);
    eventually("the server has ended", || !server.is_running());
    server.restart();
    assert!(server.is_running());
}

#[test]
fn dropping_ends_the_process_and_clears_its_folder() {
    let server = Server::builder().unix_socket().start_or_panic();
    let (address, socket) = (server.address(), server.unix_path());
    let folder = socket.parent().unwrap().to_owned();
    server.stop_process();
    drop(server);
    assert!(TcpStream::connect(address).is_err());
    assert!(!folder.exists());
}

/// Runs in a process of its own, which the next test aborts.
#[test]
#[ignore = "run by a_server_does_not_outlive_a_test_process_that_was_killed"]
fn helper_that_starts_a_server_and_aborts() {
    let server = Server::start();
    println!("\nstarted {} {}", server.pid().unwrap(), server.address());
    std::process::abort();
}

#[test]
fn a_server_does_not_outlive_a_test_process_that_was_killed() {
    let output = Command::new(std::env::current_exe().unwrap())
        .args([
            "--ignored",
            "--exact",
            "--nocapture",
            "helper_that_starts_a_server_and_aborts",
        ])
        .stderr(Stdio::null())
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&output.stdout);
    let line = output
        .lines()
        .find_map(|line| line.strip_prefix("started "))
        .expect("it started");
    let (_pid, address) = line.split_once(' ').unwrap();
    eventually("the orphaned server is gone", || {
        TcpStream::connect(address).is_err()
    });
}

#[test]
fn a_password_is_asked_for_and_stands_in_the_urls() {
    on_each(|binary| {
        let password = "s3cret/ \"@:";
        let server = Server::builder()
            .binary(binary)
            .password(password)
            .unix_socket()
            .start_or_panic();
        let mut client = TcpStream::connect(server.address()).unwrap();
        client.write_all(b"PING\r\n").unwrap();
        let mut answer = [0; 7];
        client.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"-NOAUTH");
        assert_eq!(server.cli(["PING"]), "PONG");
        let encoded = "s3cret%2F%20%22%40%3A";
        assert_eq!(
            server.url(),
            format!("redis://:{encoded}@127.0.0.1:{}", server.port())
        );
        assert!(
            server
                .unix_url()
                .starts_with(&format!("unix://:{encoded}@/"))
        );
        let url = server.url_as("alice", "pw");
        assert_eq!(url, format!("redis://alice:pw@127.0.0.1:{}", server.port()));
    });
}

#[test]
fn acl_users_and_any_configuration_line_are_taken() {
    on_each(|binary| {
        let server = Server::builder()
            .binary(binary)
            .password("root")
            .user("user alice on >pw ~* resetchannels &news.* +@all")
            .user("bob off")
            .config("notify-keyspace-events", "KEA")
            .config("client-output-buffer-limit", "pubsub 1mb 512kb 10")
            .arg_line("maxclients 77")
            .start_or_panic();
        let users = server.cli(["ACL", "LIST"]);
        assert!(
            users.contains("user alice on") && users.contains("&news.*"),
            "{users}"
        );
        assert!(users.contains("user bob off"), "{users}");
        assert_eq!(
            server.cli(["CONFIG", "GET", "maxclients"]),
            "maxclients\n77"
        );
        let limits = server.cli(["CONFIG", "GET", "client-output-buffer-limit"]);
        assert!(limits.contains("pubsub 1048576 524288 10"), "{limits}");
        let events = server.cli(["CONFIG", "GET", "notify-keyspace-events"]);
        assert!(
            events.contains('K') && events.contains('E') && events.contains('A'),
            "{events}"
        );
    });
}

#[test]
fn a_server_whose_default_user_is_off_starts_and_can_be_administered() {
    on_each(|binary| {
        let locked = Server::builder()
            .binary(binary)
            .user("default off")
            .start_or_panic();
        assert!(locked.try_admin(["SET", "k", "v"]).unwrap().is_error());
        let server = Server::builder()
            .binary(binary)
            .user("default off")
            .user("root on >pw ~* &* +@all")
            .admin_as("root", "pw")
            .start_or_panic();
        assert_eq!(server.cli(["ACL", "WHOAMI"]), "root");
    });
}

#[cfg(unix)]
#[test]
fn a_unix_socket_answers() {
    on_each(|binary| {
        let server = Server::builder()
            .binary(binary)
            .unix_socket()
            .start_or_panic();
        let url = server.unix_url();
        let path = Path::new(url.strip_prefix("unix://").unwrap());
        let mut client = std::os::unix::net::UnixStream::connect(path).unwrap();
        client.write_all(b"PING\r\n").unwrap();
        let mut pong = [0; 7];
        client.read_exact(&mut pong).unwrap();
        assert_eq!(&pong, b"+PONG\r\n");
    });
}

/// Says PING over TLS; what the server answers, or why not.
fn ping_over_tls(server: &Server, host: &str, with_certificate: bool) -> std::io::Result<String> {
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};

    let certificates = server.certificates();
    let certificate = |pem: &str| CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate(certificates.ca_pem())).unwrap();
    let config = rustls::ClientConfig::builder().with_root_certificates(roots);
    let config = if with_certificate {
        let key = PrivateKeyDer::from_pem_slice(certificates.client_key_pem().as_bytes()).unwrap();
        config
            .with_client_auth_cert(vec![certificate(certificates.client_pem())], key)
            .unwrap()
    } else {
        config.with_no_client_auth()
    };
    let name = host.to_owned().try_into().unwrap();
    let mut session = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let mut socket = TcpStream::connect(("127.0.0.1", server.tls_port()))?;
    let mut stream = rustls::Stream::new(&mut session, &mut socket);
    stream.write_all(b"PING\r\n")?;
    let mut pong = [0; 7];
    stream.read_exact(&mut pong)?;
    Ok(String::from_utf8_lossy(&pong).into_owned())
}

#[test]
fn tls_works_with_the_authority_made_on_the_spot() {
    on_each(|binary| {
        let server = Server::builder().binary(binary).tls().start_or_panic();
        assert_eq!(
            server.url(),
            format!("rediss://127.0.0.1:{}", server.tls_port())
        );
        for host in ["127.0.0.1", "localhost"] {
            assert_eq!(ping_over_tls(&server, host, false).unwrap(), "+PONG\r\n");
        }
        assert!(ping_over_tls(&server, "elsewhere.example", false).is_err());
        assert_eq!(
            server.tls_ca_pem(),
            std::fs::read_to_string(server.certificates().ca_path()).unwrap()
        );
    });
}

#[test]
fn a_client_certificate_can_be_demanded() {
    on_each(|binary| {
        let server = Server::builder()
            .binary(binary)
            .tls_with_client_certificates()
            .start_or_panic();
        assert!(ping_over_tls(&server, "localhost", false).is_err());
        assert_eq!(
            ping_over_tls(&server, "localhost", true).unwrap(),
            "+PONG\r\n"
        );
    });
}

#[test]
fn a_bad_configuration_is_told_with_the_servers_own_words() {
    on_each(|binary| {
        let error = Server::builder()
            .binary(binary)
            .arg_line("no-such-directive yes")
            .start()
            .expect_err("the server cannot start");
        assert!(error.to_string().contains("no-such-directive"), "{error}");
    });
}

#[test]
fn a_port_that_is_taken_is_an_error_if_it_was_asked_for() {
    let first = Server::start();
    let error = Server::builder()
        .port(first.port())
        .start()
        .expect_err("the port is taken");
    assert!(error.log().contains("Address already in use"), "{error}");
    assert_eq!(first.cli(["PING"]), "PONG");
}

#[test]
fn the_administrative_connection_is_one_and_has_a_name() {
    let server = Server::start();
    for _ in 0..3 {
        let clients = server.cli(["CLIENT", "LIST"]);
        assert_eq!(
            clients.matches(&format!("name={ADMIN_NAME}")).count(),
            1,
            "{clients}"
        );
    }
    let id = server.cli(["CLIENT", "ID"]);
    // It may be killed itself, and comes back.
    server.admin(["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "no"]);
    eventually("a new administrative connection answers", || {
        server
            .try_admin(["CLIENT", "ID"])
            .is_ok_and(|reply| reply.to_string() != id)
    });
}

#[test]
fn subscribers_can_be_awaited() {
    let server = Server::start();
    let mut client = TcpStream::connect(server.address()).unwrap();
    client.write_all(b"SUBSCRIBE news\r\n").unwrap();
    server.await_subscribers("news", 1);
    drop(client);
    server.await_subscribers("news", 0);
}
