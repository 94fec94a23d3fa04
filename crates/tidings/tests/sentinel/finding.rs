//! Where the primary is found, and what is said where it is not.

use tidings::{Commands, ErrorKind};

use super::*;

const PASSWORD: &str = "s3 cret";
const SENTINEL_PASSWORD: &str = "0ther";
const USER: &str = "watcher";
const USER_PASSWORD: &str = "wa7ch";

/// The error of a client that cannot connect, which shows no password.
async fn refused(config: Config) -> tidings::Error {
    let error = timeout(LONG, Client::connect(config))
        .await
        .expect("in time")
        .unwrap_err();
    let text = format!("{error:#} {error:?}");
    for secret in [PASSWORD, SENTINEL_PASSWORD, USER_PASSWORD, "wr0ng"] {
        assert!(!text.contains(secret), "{text}");
    }
    error
}

fn assert_says(error: &tidings::Error, kind: ErrorKind, words: &[&str]) {
    let text = format!("{error:#}");
    assert_eq!(error.kind(), kind, "{text}");
    for word in words {
        assert!(text.contains(word), "{word:?} in {text}");
    }
}

#[test]
fn sn_01_users_and_passwords_of_sentinels_and_servers_are_their_own() {
    let builder = Sentinels::builder()
        .name("orders")
        .replicas(1)
        .password(PASSWORD)
        .sentinel_password(SENTINEL_PASSWORD);
    on_tasks(each(), &builder, async |case: Case| {
        let right = case.config().sentinel_password(SENTINEL_PASSWORD);
        let client = case.client_with(right.clone()).await;
        client.set("k", "v").await.unwrap();
        let mut pubsub = client.pubsub().channels("news").await.unwrap();
        assert!(pubsub.next().await.unwrap().is_ok());

        // A user who may do no more than ask where the primary is.
        for sentinel in case.sentinels.sentinels() {
            let password = format!(">{USER_PASSWORD}");
            let rules = [
                "on",
                &password,
                "resetchannels",
                "-@all",
                "+sentinel|get-master-addr-by-name",
            ];
            sentinel.admin(["ACL", "SETUSER", USER].iter().chain(&rules));
        }
        let few = case
            .config()
            .sentinel_username(USER)
            .sentinel_password(USER_PASSWORD);
        let client = case.client_with(few).await;
        assert_eq!(client.get::<String>("k").await.unwrap(), "v");

        for wrong in [
            case.config(),
            case.config().sentinel_password("wr0ng"),
            case.config()
                .sentinel_username("nobody")
                .sentinel_password("wr0ng"),
        ] {
            let error = refused(wrong).await;
            assert_says(&error, ErrorKind::Authentication, &["sentinel_password"]);
        }
        let primary = &case.sentinels.servers()[0];
        let error = refused(right.clone().password("wr0ng")).await;
        assert_says(&error, ErrorKind::Authentication, &[&primary.address()]);
        assert_eq!(error.code(), Some("WRONGPASS"));

        let sentinels = case.sentinels.sentinels();
        let addresses = || sentinels.iter().map(|it| ("127.0.0.1", it.port()));
        let other = Config::sentinel(addresses(), "other").sentinel_password(SENTINEL_PASSWORD);
        assert_says(&refused(other).await, ErrorKind::Config, &["`other`"]);

        // Several may be down, the first that is named among them.
        let some = [("127.0.0.1", 1), ("127.0.0.1", 2)]
            .into_iter()
            .chain(addresses());
        let some = Config::sentinel(some, "orders")
            .password(PASSWORD)
            .sentinel_password(SENTINEL_PASSWORD);
        case.client_with(some).await;

        primary.kill();
        let error = refused(right).await;
        let words = [
            "the primary could not be connected to",
            "`orders`",
            &primary.address(),
        ];
        assert_says(&error, ErrorKind::Connection, &words);
    });
}

#[test]
fn sn_01_where_no_sentinel_answers_the_error_names_all_of_them() {
    runtime().block_on(async {
        let none = Config::sentinel([("127.0.0.1", 1), ("127.0.0.1", 2)], "mymaster");
        let words = ["127.0.0.1:1, 127.0.0.1:2", "connection refused"];
        assert_says(&refused(none).await, ErrorKind::Connection, &words);

        let server = Server::start();
        let server = Config::sentinel([("127.0.0.1", server.port())], "mymaster");
        assert_says(
            &refused(server).await,
            ErrorKind::Config,
            &["is no sentinel"],
        );
    });
}
