//! Commands that wait for their answers.

use crate::*;

#[test]
fn commands_give_results_and_types_are_chosen_as_in_the_asynchronous_face() {
    on_each(|case| {
        let client = client(&case);
        client.set("bing", "baz").unwrap();
        assert_eq!(client.get::<String>("bing").unwrap(), "baz");
        assert_eq!(client.incr("n").unwrap(), 1);
        let values: Vec<Option<String>> = client.mget(["bing", "none"]).unwrap();
        assert_eq!(values, [Some("baz".to_owned()), None]);
        let n: i64 = client.run(tidings::cmd("INCRBY").arg("n").arg(2)).unwrap();
        assert_eq!(n, 3);
        let failed = error(client.incr("bing"));
        assert_eq!(failed.kind(), ErrorKind::Server);
        assert!(error(client.run::<()>(tidings::cmd("MULTI"))).is_misuse());
    });
}

#[test]
fn a_command_that_blocks_holds_up_nobody_else() {
    on_each(|case| {
        let client = client(&case);
        let other = client.clone();
        let popping = thread::spawn(move || other.blpop::<Option<(String, i64)>, _>("jobs", SOON));
        eventually("it blocks", || {
            case.server.cli(["CLIENT", "LIST"]).contains(" cmd=blpop ")
        });
        client.rpush("jobs", 7).unwrap();
        let job = popping.join().unwrap().unwrap();
        assert_eq!(job, Some(("jobs".to_owned(), 7)));
    });
}

#[test]
fn th_01_many_threads_share_a_client_and_each_gets_its_own_replies() {
    on_each(|case| {
        let client = client(&case);
        thread::scope(|scope| {
            for thread in 0..16 {
                let client = client.clone();
                scope.spawn(move || {
                    for n in 0..200 {
                        let sent = format!("{thread} {n}");
                        assert_eq!(client.echo::<String>(&sent).unwrap(), sent);
                    }
                });
            }
        });
    });
}

#[test]
fn a_server_that_is_not_there_is_an_error() {
    let failed = error(Client::connect("redis://127.0.0.1:1?connect_timeout=500ms"));
    assert!(
        matches!(failed.kind(), ErrorKind::Connection | ErrorKind::Config),
        "{failed}"
    );
    assert_eq!(error(Client::connect("nonsense")).kind(), ErrorKind::Config);
}

#[test]
fn a_client_outlives_its_server() {
    on_each(|case| {
        let quick = config(&case).response_timeout(Duration::from_millis(200));
        let client = Client::connect(quick).unwrap();
        client.set("a", 1).unwrap();
        case.server.kill();
        let failed = error(client.get::<Option<i64>>("a"));
        assert!(failed.is_connection() || failed.is_timeout(), "{failed}");
        case.server.restart();
        eventually("it is back", || client.ping().is_ok());
    });
}

#[cfg(feature = "tls")]
#[test]
fn a_client_and_a_subscriber_go_over_tls_too() {
    let server = Server::builder().tls().start().expect("it starts");
    let tls = tidings::TlsConfig::new().root_certificates_pem(server.tls_ca_pem());
    let config = Config::from_url(&server.url()).expect("a URL").tls(tls);
    let client = Client::connect(config).unwrap();
    let mut pubsub = client.pubsub().channels("news").open().unwrap();
    client.publish("news", "hello").unwrap();
    assert_eq!(
        read(&mut pubsub, 2),
        ["subscribe news 1", "message news hello"]
    );
    client.publish("news", "again").unwrap();
    client.ping().unwrap();
    let event = pubsub.get_message(Duration::ZERO).unwrap().unwrap();
    assert_eq!(short(&event), "message news again");
}
