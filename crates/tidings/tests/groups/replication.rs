//! A primary and a replica.

use std::time::Duration;

use super::since;
use super::support::{Case, SOON, error, eventually, on_each_started};
use tidings::options::FailoverOptions;
use tidings::{Client, Commands, Value};
use tidings_testkit::{Binary, Server};

fn start(binary: &Binary) -> Server {
    let server = Server::builder()
        .binary(binary)
        .config("repl-diskless-sync-delay", 0);
    server.start().expect("it starts")
}

/// A second server, and a client of it.
async fn second(case: &Case) -> (Server, Client) {
    let server = start(case.server.binary());
    let url = server.url_for(case.protocol);
    let client = Client::connect(url).await.unwrap();
    (server, client)
}

/// Until a server is a replica that has what its primary has.
async fn synced(server: &Server) {
    eventually("it is a replica", || {
        server
            .cli(["INFO", "replication"])
            .contains("master_link_status:up")
    })
    .await;
}

fn port(server: &Server) -> String {
    server.port().to_string()
}

#[test]
fn a_replica_follows_its_primary_until_it_is_told_otherwise() {
    on_each_started(start, async |case| {
        let client = case.client().await;
        let (other, replica) = second(&case).await;
        client.set("a", 1).await.unwrap();
        replica
            .replicaof("127.0.0.1", case.server.port())
            .await
            .unwrap();
        synced(&other).await;
        assert_eq!(replica.get::<i64>("a").await.unwrap(), 1);
        assert_eq!(error(replica.set("a", 2).await).code(), Some("READONLY"));

        let (role, host, of, state, _): (String, String, u16, String, i64) =
            replica.role().await.unwrap();
        assert_eq!(
            (role.as_str(), host.as_str(), of),
            ("slave", "127.0.0.1", case.server.port())
        );
        assert_eq!(state, "connected");
        let online = || {
            case.server
                .cli(["INFO", "replication"])
                .contains("state=online")
        };
        eventually("the replica is known", online).await;
        let (role, _, replicas): (String, i64, Vec<(String, String, i64)>) =
            client.role().await.unwrap();
        assert_eq!((role.as_str(), replicas.len()), ("master", 1));
        assert_eq!(replicas[0].1, port(&other));

        // What only a primary may run, or what only reads.
        assert_eq!(
            replica
                .eval_ro::<i64, _, _>("return redis.call('GET', KEYS[1])", "a", None::<&str>)
                .await
                .unwrap(),
            1
        );
        replica.replicaof_no_one().await.unwrap();
        replica.set("a", 2).await.unwrap();
        replica
            .slaveof("127.0.0.1", case.server.port())
            .await
            .unwrap();
        synced(&other).await;
        assert_eq!(replica.get::<i64>("a").await.unwrap(), 1);
        replica.slaveof_no_one().await.unwrap();
        assert!(
            matches!(replica.role::<Value>().await.unwrap(), Value::Array(role) if role[0].as_str() == Some("master"))
        );
    });
}

#[test]
fn what_is_written_is_waited_for() {
    on_each_started(start, async |case| {
        let client = case.client().await;
        let time = Duration::from_millis(50);
        assert_eq!(client.wait(1, time).await.unwrap(), 0);
        let (other, replica) = second(&case).await;
        replica
            .replicaof("127.0.0.1", case.server.port())
            .await
            .unwrap();
        synced(&other).await;
        let mut pipeline = client.pipeline();
        pipeline.transaction(false).set("a", 1).wait(1, SOON);
        assert_eq!(pipeline.execute::<((), i64)>().await.unwrap(), ((), 1));
        assert_eq!(replica.get::<i64>("a").await.unwrap(), 1);
        other.stop_process();
        let mut pipeline = client.pipeline();
        pipeline.transaction(false).set("a", 2).wait(1, time);
        assert_eq!(pipeline.execute::<((), i64)>().await.unwrap(), ((), 0));
        other.continue_process();
        if since(&case, Some((7, 2)), Some((8, 0))) {
            client.config_set([("appendonly", "yes")]).await.unwrap();
            let mut pipeline = client.pipeline();
            pipeline.transaction(false).set("a", 3).waitaof(1, 0, SOON);
            let ((), (here, _)): ((), (i64, i64)) = pipeline.execute().await.unwrap();
            assert_eq!(here, 1);
            assert_eq!(error(replica.waitaof(1, 0, time).await).code(), Some("ERR"));
        }
    });
}

#[test]
fn a_primary_changes_parts_with_its_replica() {
    on_each_started(start, async |case| {
        let client = case.client().await;
        let none = error(client.failover().await);
        assert!(
            none.to_string().contains("requires connected replicas"),
            "{none}"
        );
        let none = error(client.failover_abort().await);
        assert!(
            none.to_string().contains("No failover in progress"),
            "{none}"
        );
        let (other, replica) = second(&case).await;
        replica
            .replicaof("127.0.0.1", case.server.port())
            .await
            .unwrap();
        synced(&other).await;
        let online = || {
            case.server
                .cli(["INFO", "replication"])
                .contains("state=online")
        };
        eventually("the replica is known", online).await;

        let wrong = FailoverOptions::new().to("127.0.0.1", 1);
        assert!(
            error(client.failover_with(wrong).await)
                .to_string()
                .contains("replica")
        );
        let options = FailoverOptions::new().to_by_force("127.0.0.1", other.port());
        client
            .failover_with(options.timeout(Duration::from_secs(5)))
            .await
            .unwrap();
        synced(&case.server).await;
        replica.set("a", 1).await.unwrap();
        assert_eq!(error(client.set("a", 2).await).code(), Some("READONLY"));

        let online = || other.cli(["INFO", "replication"]).contains("state=online");
        eventually("the replica is known", online).await;
        replica.failover().await.unwrap();
        synced(&other).await;
        client.set("a", 2).await.unwrap();
    });
}
