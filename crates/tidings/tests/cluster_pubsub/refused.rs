//! What a person is told who asks a cluster for what it cannot do, or for a cluster where there is none.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use tidings::{Client, Commands, Config, Error, ErrorKind, Result, Script, cmd};
use tidings_testkit::Server;

use crate::faced::{Case, shared};
use crate::on_both_faces;
use crate::support::{SOON, error};

on_both_faces! {
    [cluster shared]
    nodes_of_which_none_listens_are_an_error_that_names_the_first,
    one_node_that_answers_is_enough,
    a_server_that_is_no_part_of_a_cluster_says_so,
    a_wrong_password_is_an_error_that_does_not_show_it,
    keys_of_two_slots_are_named_before_anything_is_sent,
    what_only_the_server_can_refuse_has_its_words,
    a_slot_of_another_node_is_an_error_that_says_who_goes_there,
}

/// A port at which nobody listens.
fn dead() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").to_string()
}

async fn nodes_of_which_none_listens_are_an_error_that_names_the_first(case: Case) {
    let (first, second) = (dead(), dead());
    let text =
        format!("connection refused at {first}: is the server running, and listening there?");
    let both = format!("redis+cluster://{first},{second}");
    let separate = [format!("redis://{first}"), format!("redis://{second}")];
    for refusal in [case.refusal(&*both).await, case.refusal(separate).await] {
        assert_eq!(refusal.kind(), ErrorKind::Connection);
        assert_eq!(refusal.to_string(), text);
    }
}

async fn one_node_that_answers_is_enough(case: Case) {
    // One that does not listen, and one that takes connections and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let silent = silent.local_addr().map(|address| (silent, address));
    let (_silent, silent) = silent.expect("an address");
    let dead = dead().parse().expect("an address");
    let nodes = case.cluster.nodes();
    let live = nodes[4].socket_address();
    let seeds =
        [dead, silent, live].map(|seed: std::net::SocketAddr| (seed.ip().to_string(), seed.port()));
    let config = Config::cluster(seeds).connect_timeout(Duration::from_millis(500));
    let begun = Instant::now();
    let client = case.client_with(config).await;
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    assert_eq!(client.nodes().len(), nodes.len());
    let mut pubsub = client.pubsub().channels("seeds").await.expect("it opens");
    pubsub.ping().await.expect("it answers");
}

async fn a_server_that_is_no_part_of_a_cluster_says_so(case: Case) {
    let server = Server::builder().binary(case.cluster.binary());
    let server = server.start_or_panic();
    let refusal = case.refusal(&*server.url_for(case.protocol)).await;
    assert_eq!(refusal.kind(), ErrorKind::Config);
    assert_eq!(
        refusal.to_string(),
        format!(
            "{} is no part of a cluster: connect to it with a Client",
            server.address()
        )
    );
}

async fn a_wrong_password_is_an_error_that_does_not_show_it(case: Case) {
    let builder = Server::builder().binary(case.cluster.binary());
    let builder = builder.config("cluster-enabled", "yes").password("right");
    let server = builder.start_or_panic();
    let url = server.url_for(case.protocol);
    let wrong = url.replace(":right@", ":s3cret@");
    assert_ne!(url, wrong);
    let refusal = case.refusal(&*wrong).await;
    assert_eq!(refusal.kind(), ErrorKind::Authentication);
    let text = refusal.to_string();
    let begin = format!(
        "{}: the server did not accept the user or the password: WRONGPASS",
        server.address()
    );
    assert!(text.starts_with(&begin), "{text}");
    let missing = case.refusal(&*url.replace(":right@", "")).await;
    let begin = "the server asks for a password and none was given: write redis://:password@host";
    assert!(missing.to_string().contains(begin), "{missing}");
    let client = case
        .client_with(Config::from_url(&url).expect("a URL"))
        .await;
    for shown in [
        format!("{refusal:?} {refusal:#}"),
        format!("{missing:?} {missing:#}"),
        format!("{:?}", *client),
    ] {
        assert!(
            !shown.contains("s3cret") && !shown.contains("right"),
            "{shown}"
        );
    }
}

async fn keys_of_two_slots_are_named_before_anything_is_sent(case: Case) {
    let client = case.client().await;
    let client = &*client;
    let script = Script::new("return 1");
    let none: [&str; 0] = [];
    let keys = ["two:a", "two:b"];
    let refusals: [(Result<i64>, &str); 4] = [
        (script.run(client, keys, none).await, "EVALSHA"),
        (client.eval("return 1", keys, none).await, "EVAL"),
        (client.sunionstore(keys[0], [keys[1]]).await, "SUNIONSTORE"),
        (
            client
                .run(cmd("LMOVE").arg(keys).arg(["LEFT", "LEFT"]))
                .await,
            "LMOVE",
        ),
    ];
    for (refusal, name) in refusals {
        let refusal = error(refusal);
        assert!(refusal.is_misuse(), "{refusal:?}");
        let text = refusal.to_string();
        assert!(text.starts_with(&format!("{name} ")), "{text}");
        assert!(text.contains("two:a") && text.contains("two:b"), "{text}");
        let end = "cannot be run: its keys are in several slots, and no node has them all: keys with the same {tag} are \
                   together";
        assert!(text.ends_with(end), "{text}");
    }
    let same = ["{two}:a", "{two}:b"];
    let one: i64 = script.run(client, same, none).await.expect("one slot");
    assert_eq!(one, 1);
}

async fn what_only_the_server_can_refuse_has_its_words(case: Case) {
    let client = case.client().await;
    // That it has keys in two slots is not looked at where its node is given.
    let rename = cmd("RENAME").arg(["cross:a", "cross:b"]);
    let refusal = error(client.run_on_key::<()>("cross:a", rename).await);
    assert_eq!(code(&refusal), "CROSSSLOT");
    // What a script does with keys that it was not told of.
    let script = "return redis.call('GET', ARGV[1])";
    let mut names = (0..).map(|n| format!("cross:{n}"));
    let here = case.cluster.owner_of_key("cross:a");
    let other = names.find(|name| case.cluster.owner_of_key(name) != here);
    let eval: Result<String> = client.eval(script, "cross:a", other).await;
    let refusal = error(eval);
    assert_eq!(refusal.kind(), ErrorKind::Server);
    assert!(refusal.to_string().contains("non local key"), "{refusal}");
}

async fn a_slot_of_another_node_is_an_error_that_says_who_goes_there(case: Case) {
    let nodes = case.cluster.primaries();
    let mut names = (0..).map(|n| format!("moved:{n}"));
    let name = names.find(|name| case.cluster.owner_of_key(name) != nodes[0]);
    let name = name.expect("one of them");
    let to = case.cluster.owner_of_key(&name).address();
    // A client of a single server.
    let one = Client::connect(nodes[0].url_for(case.protocol)).await;
    let refusal = error(one.expect("it connects").get::<Option<String>>(&name).await);
    assert_eq!(code(&refusal), "MOVED");
    let text = refusal.to_string();
    let end = format!("{to} (this is a node of a cluster, for which there is ClusterClient)");
    assert!(text.ends_with(&end), "{text}");
    // A subscriber of channels, on one node.
    let client = case.client().await;
    let builder = client.pubsub().node(nodes[0].address());
    let mut pubsub = builder.channels("moved").await.expect("it opens");
    let refusal = error(pubsub.ssubscribe(&name).await);
    assert_eq!(code(&refusal), "MOVED");
    let text = refusal.to_string();
    assert!(
        text.starts_with(&format!("the server refused {name}: MOVED ")),
        "{text}"
    );
    let end = format!(
        "{to} (another node has its slot: sharded_pubsub and ssubscribe of a ClusterClient go there)"
    );
    assert!(text.ends_with(&end), "{text}");
    assert!(pubsub.is_subscribed(), "to the others as before");
}

/// That of the server's reply.
fn code(error: &Error) -> &str {
    error.server_error().map_or("", |server| server.code())
}
