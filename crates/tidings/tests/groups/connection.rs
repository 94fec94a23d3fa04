//! The connection, and the connections of others.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::since;
use super::support::{Case, QUIET, SOON, on_each};
use tidings::options::ClientFilter;
use tidings::{Client, Commands, Value};

#[test]
fn a_message_comes_back() {
    on_each(async |case| {
        let client = case.client().await;
        client.ping().await.unwrap();
        assert_eq!(client.ping_message::<String>("hi").await.unwrap(), "hi");
        let bytes: Vec<u8> = client.echo(b"\r\n\xff").await.unwrap();
        assert_eq!(bytes, b"\r\n\xff");
    });
}

#[test]
fn a_client_knows_its_connection() {
    on_each(async |case| {
        let client = case.counted_client().await;
        let id = client.client_id().await.unwrap();
        assert_eq!(
            client.client_getname().await.unwrap().as_deref(),
            Some("counted")
        );
        let other = case.client().await;
        assert_eq!(other.client_getname().await.unwrap(), None);
        let info = client.client_info().await.unwrap();
        assert!(info.starts_with(&format!("id={id} ")), "{info}");
        assert!(client.client_list().await.unwrap().lines().count() >= 2);
        client.client_no_evict(true).await.unwrap();
        let info = client.client_info().await.unwrap();
        assert!(info.contains(" flags=e "), "{info}");
        client.client_no_evict(false).await.unwrap();
        let info = client.client_info().await.unwrap();
        assert!(info.contains(" flags=N "), "{info}");
        assert_eq!(client.client_getredir().await.unwrap(), -1);
        let tracking: HashMap<String, Value> = client.client_trackinginfo().await.unwrap();
        assert_eq!(tracking["redirect"], Value::Integer(-1));
    });
}

#[test]
fn connections_are_listed_and_ended_by_what_they_are() {
    on_each(async |case| {
        let client = case.counted_client().await;
        let own = client.client_id().await.unwrap();
        let filter = ClientFilter::new;
        let others = [bystander(&case), bystander(&case), bystander(&case)];
        let [first, _, third] = others.each_ref().map(Bystander::id);

        let listed = client
            .client_list_with(filter().ids([first, own]))
            .await
            .unwrap();
        let mut listed = ids(&listed);
        listed.sort_unstable();
        assert_eq!(listed, [own, first]);
        let listed = client
            .client_list_with(filter().kind("pubsub"))
            .await
            .unwrap();
        assert!(ids(&listed).is_empty());
        let kill = async |filter| client.client_kill(filter).await.unwrap();
        assert_eq!(kill(filter().ids(first)).await, 1);
        assert_eq!(kill(filter().ids(first)).await, 0);
        let address = others[1].stream.get_ref().local_addr().unwrap().to_string();
        let local = case.server.address();
        let exact = filter()
            .addr(&address)
            .laddr(&local)
            .user("default")
            .kind("normal");
        assert_eq!(kill(exact.clone().kind("pubsub")).await, 0);
        assert_eq!(kill(exact.skipme(true)).await, 1);
        if since(&case, Some((7, 4)), Some((8, 0))) {
            assert_eq!(kill(filter().ids(third).maxage(1000)).await, 0);
        }
        if since(&case, None, Some((9, 0))) {
            client.acl_setuser("ann", "on").await.unwrap();
            let listed = client
                .client_list_with(filter().name("counted"))
                .await
                .unwrap();
            assert_eq!(ids(&listed), [own]);
            let not = filter()
                .not_name("other")
                .not_ids(own)
                .not_kind("pubsub")
                .not_user("ann")
                .not_addr(&address)
                .not_laddr("127.0.0.1:1")
                .not_flags("S")
                .not_lib_name("x")
                .not_lib_ver("x")
                .not_database(3)
                .not_capa("r")
                .not_ip("10.0.0.1");
            let all = not.ids([third, own]).database(0).ip("127.0.0.1").flags("N");
            assert_eq!(
                ids(&client.client_list_with(all.clone()).await.unwrap()),
                [third]
            );
            for none in [
                all.clone().lib_name("x"),
                all.clone().lib_ver("x"),
                all.clone().capa("r"),
                all.clone().maxage(1000),
                all.clone().idle(1000),
            ] {
                assert_eq!(client.client_list_with(none).await.unwrap().trim(), "");
            }
            assert_eq!(kill(all).await, 1);
        } else {
            assert_eq!(kill(filter().ids(third).skipme(false)).await, 1);
        }
        for mut other in others {
            assert_eq!(other.line(), None, "it was closed");
        }
        assert_eq!(client.client_id().await.unwrap(), own);
    });
}

#[test]
fn a_connection_that_waits_is_woken() {
    on_each(async |case| {
        let client = case.client().await;
        let mut other = bystander(&case);
        assert!(!client.client_unblock(other.id()).await.unwrap());
        other.send("BLPOP none 0");
        let id = other.id();
        wait_until_true(async || client.client_unblock(id).await.unwrap()).await;
        assert_eq!(other.line().unwrap(), "*-1");
        other.send("BLPOP none 0");
        wait_until_true(async || client.client_unblock_error(id).await.unwrap()).await;
        assert!(other.line().unwrap().starts_with("-UNBLOCKED"));
    });
}

async fn wait_until_true(mut condition: impl AsyncFnMut() -> bool) {
    let begin = Instant::now();
    while !condition().await {
        assert!(begin.elapsed() < SOON);
    }
}

#[test]
fn commands_are_held_up_and_let_go() {
    on_each(async |case| {
        let client = case.client().await;
        let begin = Instant::now();
        client
            .client_pause(Duration::from_millis(100))
            .await
            .unwrap();
        client.ping().await.unwrap();
        assert!(begin.elapsed() >= Duration::from_millis(90));

        client
            .client_pause_write(Duration::from_secs(3600))
            .await
            .unwrap();
        let other = case.client().await;
        let writing = tokio::spawn(async move { other.set("a", 1).await });
        // Nothing tells that it does not come.
        tokio::time::sleep(QUIET).await;
        assert!(!writing.is_finished());
        assert_eq!(client.get::<Option<i64>>("a").await.unwrap(), None);
        client.client_unpause().await.unwrap();
        writing.await.unwrap().unwrap();
        assert_eq!(client.get::<i64>("a").await.unwrap(), 1);
    });
}

/// Another connection, that says and hears lines.
struct Bystander {
    stream: BufReader<TcpStream>,
    id: i64,
}

impl Bystander {
    fn id(&self) -> i64 {
        self.id
    }

    fn send(&mut self, line: &str) {
        let line = format!("{line}\r\n");
        self.stream.get_mut().write_all(line.as_bytes()).unwrap();
    }

    /// The next line, or `None` at the end.
    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        match self.stream.read_line(&mut line) {
            Ok(0) | Err(_) => None,
            Ok(_) => Some(line.trim_end().to_owned()),
        }
    }
}

fn bystander(case: &Case) -> Bystander {
    let stream = TcpStream::connect(case.server.socket_address()).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    let mut bystander = Bystander {
        stream: BufReader::new(stream),
        id: 0,
    };
    bystander.send("CLIENT ID");
    let id = bystander.line().unwrap();
    bystander.id = id.trim_start_matches(':').parse().unwrap();
    bystander
}

fn ids(list: &str) -> Vec<i64> {
    let id = |line: &str| {
        let id = line.strip_prefix("id=")?.split(' ').next()?;
        id.parse().ok()
    };
    list.lines().filter_map(id).collect()
}

#[test]
fn a_client_of_its_own_database_has_that_in_its_info() {
    on_each(async |case| {
        let url = format!(
            "{}/3?protocol={}",
            case.server.url(),
            case.protocol.number()
        );
        let client = Client::connect(url).await.unwrap();
        let info = client.client_info().await.unwrap();
        assert!(info.contains(" db=3 "), "{info}");
    });
}
