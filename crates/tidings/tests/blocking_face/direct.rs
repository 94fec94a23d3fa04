//! Commands that a thread writes and reads itself.

use tidings_testkit::ScriptedPeer;

use super::*;

/// The connection that commands use once there is one that the thread serves itself: not the one of the first command.
fn direct_connection(client: &Client) -> i64 {
    let first = client.client_id().unwrap();
    let mut now = first;
    eventually("the thread has a connection of its own", || {
        now = client.client_id().unwrap();
        now != first
    });
    now
}

#[test]
fn th_02_a_thread_has_a_connection_of_its_own_for_short_requests() {
    on_each(|case| {
        let client = client(&case);
        let own = direct_connection(&client);
        for _ in 0..10 {
            assert_eq!(client.client_id().unwrap(), own);
        }
        let ids: (i64, i64) = client.pipeline().client_id().client_id().execute().unwrap();
        assert_eq!(ids, (own, own));
        let ids: Vec<i64> = client
            .pipeline()
            .transaction(false)
            .client_id()
            .client_id()
            .execute()
            .unwrap();
        assert_eq!(ids, [own, own]);
    });
}

#[test]
fn th_03_replies_of_any_size_are_whole_and_belong_to_their_requests() {
    on_each(|case| {
        let client = client(&case);
        direct_connection(&client);
        for size in [0, 1, 31, 33, 16_000, 16_384, 100_000, 3 << 20, 10] {
            let value = "x".repeat(size);
            client.set("k", &value).unwrap();
            let got: String = client.get("k").unwrap();
            assert!(got == value, "{size} bytes");
            let twice: (String, i64, String) = client
                .pipeline()
                .get("k")
                .incr("n")
                .get("k")
                .execute()
                .unwrap();
            assert!(twice.0 == value && twice.2 == value, "{size} bytes");
        }
        let refused = error(client.pipeline().get("k").lpush("k", 1).execute::<()>());
        assert_eq!(refused.code(), Some("WRONGTYPE"), "{refused}");
        assert!(
            refused.to_string().contains("command 2 (LPUSH k 1)"),
            "{refused}"
        );
    });
}

#[test]
fn th_04_a_connection_that_ended_unused_is_not_noticed_by_the_caller() {
    on_each(|case| {
        let client = client(&case);
        for _ in 0..3 {
            let own = direct_connection(&client);
            case.server.cli(["CLIENT", "KILL", "ID", &own.to_string()]);
            // Long enough for the server to have closed it; then it is looked at before it is used.
            thread::sleep(Duration::from_millis(20));
            for number in 0..10 {
                client.set("k", number).unwrap();
                assert_eq!(client.get::<i64>("k").unwrap(), number);
            }
        }
        case.server.restart();
        thread::sleep(Duration::from_millis(20));
        client.set("k", "after").unwrap();
    });
}

/// A peer that has taken both connections of a client, the client, and the connection that its thread serves.
fn with_peer(
    change: impl FnOnce(Config) -> Config,
) -> (
    ScriptedPeer,
    Client,
    Vec<tidings_testkit::ScriptedConnection>,
) {
    let peer = ScriptedPeer::start();
    let config = change(Config::from_url(&peer.url()).unwrap());
    let connecting = thread::spawn(move || Client::connect(config).unwrap());
    let mut shared = peer.accept();
    shared.handshake();
    let client = connecting.join().unwrap();
    let pinging = {
        let client = client.clone();
        thread::spawn(move || client.ping().unwrap())
    };
    shared.expect(["PING"]);
    shared.send("+PONG\r\n");
    pinging.join().unwrap();
    let mut own = peer.accept();
    own.handshake();
    // Until the thread in the background has seen the end of the handshake, commands go over the shared one.
    let mut is_used = false;
    eventually("the thread's own connection is used", || {
        let pinging = {
            let client = client.clone();
            thread::spawn(move || client.ping().unwrap())
        };
        while !pinging.is_finished() {
            for (connection, is_own) in [(&mut shared, false), (&mut own, true)] {
                if let Some(command) = connection.try_read_command(Duration::from_millis(1)) {
                    assert_eq!(command, [b"PING"]);
                    connection.send("+PONG\r\n");
                    is_used = is_own;
                }
            }
        }
        pinging.join().unwrap();
        is_used
    });
    (peer, client, vec![shared, own])
}

#[test]
fn th_04_a_command_whose_answer_did_not_come_may_have_run() {
    let (_peer, client, mut connections) = with_peer(|config| config);
    let mut own = connections.remove(1);
    let answering = thread::spawn(move || {
        own.expect(["INCR", "n"]);
        own.send(":1\r\n");
        own.expect(["INCR", "n"]);
        own.send(":");
        own.close();
    });
    assert_eq!(client.incr("n").unwrap(), 1);
    let lost = error(client.incr("n"));
    assert!(lost.is_connection() && lost.may_have_run(), "{lost:?}");
    answering.join().unwrap();
    // The next one goes over the connection that is shared.
    let mut shared = connections.remove(0);
    let answering = thread::spawn(move || {
        shared.expect(["INCR", "n"]);
        shared.send(":3\r\n");
    });
    assert_eq!(client.incr("n").unwrap(), 3);
    answering.join().unwrap();
}

#[test]
fn th_04_an_answer_that_takes_too_long_is_a_time_out_and_goes_to_nobody_else() {
    let (_peer, client, mut connections) =
        with_peer(|config| config.response_timeout(Duration::from_millis(200)));
    let late = error(client.get::<String>("k"));
    assert_eq!(late.kind(), ErrorKind::Timeout, "{late}");
    assert!(late.may_have_run());
    let mut own = connections.remove(1);
    own.expect(["GET", "k"]);
    let _ = own.try_send("$4\r\nlate\r\n");
    let mut shared = connections.remove(0);
    let answering = thread::spawn(move || {
        shared.expect(["GET", "other"]);
        shared.send("$2\r\nit\r\n");
    });
    assert_eq!(client.get::<String>("other").unwrap(), "it");
    answering.join().unwrap();
}

#[test]
fn lv_01_a_silent_server_is_found_though_answers_may_take_for_ever() {
    let (_peer, client, connections) = with_peer(|config| {
        let short = Duration::from_millis(100);
        config
            .response_timeout(None)
            .ping_interval(short)
            .ping_timeout(short)
    });
    let silent = error(client.get::<String>("k"));
    assert!(
        silent.is_connection() && silent.may_have_run(),
        "{silent:?}"
    );
    drop(connections);
}

#[test]
fn th_03_a_reply_that_breaks_the_protocol_is_an_error_and_ends_the_connection() {
    let (_peer, client, mut connections) = with_peer(|config| config);
    let mut own = connections.remove(1);
    let answering = thread::spawn(move || {
        own.expect(["GET", "k"]);
        own.send("?what\r\n");
        own.expect_close();
    });
    let broken = error(client.get::<String>("k"));
    assert_eq!(broken.kind(), ErrorKind::Protocol, "{broken}");
    assert!(broken.may_have_run());
    answering.join().unwrap();
}
