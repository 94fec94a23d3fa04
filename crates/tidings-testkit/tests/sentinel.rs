//! Sentinels on the oldest Redis and the newest Valkey of the matrix, or on those that
//! `TIDINGS_TEST_SERVERS` names.

use std::env;
use std::net::TcpStream;

use tidings_testkit::{ADMIN_NAME, Binary, Sentinels, matrix};

fn on_each(test: impl Fn(&Binary)) {
    let mut binaries = matrix();
    if env::var_os("TIDINGS_TEST_SERVERS").is_none() && binaries.len() > 2 {
        binaries.drain(1..binaries.len() - 1);
    }
    for binary in binaries {
        test(&binary);
    }
}

#[test]
fn sentinels_know_all_when_they_have_started_and_are_gone_when_dropped() {
    on_each(|binary| {
        let sentinels = Sentinels::builder()
            .binary(binary)
            .name("orders")
            .password("s3 cret")
            .sentinel_password("0ther")
            .start_or_panic();
        assert_eq!(sentinels.primary().port(), sentinels.servers()[0].port());
        assert_eq!(sentinels.replicas().len(), 2);
        assert_eq!(sentinels.sentinels().len(), 3);
        for sentinel in sentinels.sentinels() {
            assert_eq!(sentinel.binary(), binary);
            let quorum = sentinel.cli(["SENTINEL", "CKQUORUM", "orders"]);
            assert!(quorum.starts_with("OK 3 usable"), "{quorum}");
            let replicas = sentinel.admin(["SENTINEL", "REPLICAS", "orders"]);
            assert_eq!(replicas.elements().len(), 2);
        }
        let url = sentinels.url();
        assert!(
            url.starts_with("redis+sentinel://:s3%20cret@127.0.0.1:"),
            "{url}"
        );
        assert!(
            url.ends_with("/orders") && url.matches(',').count() == 2,
            "{url}"
        );

        sentinels.primary().admin(["SET", "k", "v"]);
        sentinels.primary().admin(["WAIT", "2", "10000"]);
        for replica in sentinels.replicas() {
            assert_eq!(replica.cli(["GET", "k"]), "v");
        }
        let all = sentinels.servers().iter().chain(sentinels.sentinels());
        let addresses: Vec<String> = all.map(|server| server.address()).collect();
        drop(sentinels);
        for address in addresses {
            assert!(TcpStream::connect(address).is_err());
        }
    });
}

#[test]
fn a_failover_by_command_has_another_primary_at_once_and_the_old_one_follows_later() {
    on_each(|binary| {
        let sentinels = Sentinels::builder().binary(binary).start_or_panic();
        let old = sentinels.primary();
        let new = sentinels.failover();
        assert_ne!(new.port(), old.port());
        assert_eq!(sentinels.primary().port(), new.port());
        assert_eq!(new.cli(["ROLE"]).lines().next(), Some("master"));
        assert!(
            sentinels
                .replicas()
                .iter()
                .any(|server| server.port() == old.port())
        );
        assert_eq!(sentinels.await_switch_from(old).port(), new.port());
        sentinels.await_settled();
        assert_eq!(old.cli(["ROLE"]).lines().next(), Some("slave"));
        assert!(old.cli(["CLIENT", "LIST"]).contains(ADMIN_NAME));
    });
}

#[test]
fn a_primary_that_was_killed_is_replaced_and_a_sentinel_less_is_no_matter() {
    on_each(|binary| {
        let sentinels = Sentinels::builder()
            .binary(binary)
            .replicas(1)
            .start_or_panic();
        let old = sentinels.primary();
        sentinels.sentinels()[0].kill();
        old.kill();
        let new = sentinels.await_switch_from(old);
        assert_eq!(new.port(), sentinels.servers()[1].port());

        sentinels.sentinels()[0].restart();
        assert_eq!(sentinels.await_other_than(old).port(), new.port());
        old.restart();
        sentinels.await_settled();
        assert_eq!(old.cli(["ROLE"]).lines().next(), Some("slave"));
    });
}
