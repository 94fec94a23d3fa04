//! Users and what they may do.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::support::{error, on_each, on_each_started};
use tidings::{Client, Commands, Value};
use tidings_testkit::Server;

#[test]
fn users_are_made_looked_at_and_removed() {
    on_each(async |case| {
        let client = case.client().await;
        assert_eq!(client.acl_whoami().await.unwrap(), "default");
        assert_eq!(
            client.acl_getuser::<Option<Value>>("ann").await.unwrap(),
            None
        );
        let rules = ["on", ">s3cret", "~a*", "&news", "+get"];
        client.acl_setuser("ann", rules).await.unwrap();
        let mut users = client.acl_users().await.unwrap();
        users.sort();
        assert_eq!(users, ["ann", "default"]);
        assert!(
            client
                .acl_list()
                .await
                .unwrap()
                .iter()
                .any(|line| line.starts_with("user ann on "))
        );
        let ann: HashMap<String, Value> = client.acl_getuser("ann").await.unwrap();
        assert_eq!(ann["keys"].as_str(), Some("~a*"));
        assert_eq!(ann["channels"].as_str(), Some("&news"));
        assert_eq!(ann["passwords"].as_elements().map(<[_]>::len), Some(1));

        let other = Client::connect(case.server.url_as("ann", "s3cret"))
            .await
            .unwrap();
        assert_eq!(other.get::<Option<i64>>("a1").await.unwrap(), None);
        assert!(error(other.get::<Option<i64>>("b1").await).is_no_permission());
        assert_eq!(client.acl_dryrun("ann", ["GET", "a1"]).await.unwrap(), "OK");
        let refusal = client.acl_dryrun("ann", ["GET", "b1"]).await.unwrap();
        assert!(refusal.contains("no permissions"), "{refusal}");

        let log: Vec<HashMap<String, Value>> = client.acl_log().await.unwrap();
        assert_eq!(log[0]["username"].as_str(), Some("ann"));
        assert_eq!(log[0]["object"].as_str(), Some("b1"));
        let log: Vec<HashMap<String, Value>> = client.acl_log_count(1).await.unwrap();
        assert_eq!(log.len(), 1);
        client.acl_log_reset().await.unwrap();
        assert_eq!(client.acl_log::<Vec<Value>>().await.unwrap(), []);
        assert_eq!(client.acl_deluser(["ann", "none"]).await.unwrap(), 1);
        assert_eq!(client.acl_users().await.unwrap(), ["default"]);
    });
}

#[test]
fn commands_have_categories_and_passwords_are_made() {
    on_each(async |case| {
        let client = case.client().await;
        assert!(
            client
                .acl_cat()
                .await
                .unwrap()
                .contains(&"pubsub".to_owned())
        );
        assert!(
            client
                .acl_cat_of("pubsub")
                .await
                .unwrap()
                .contains(&"publish".to_owned())
        );
        assert_eq!(client.acl_genpass().await.unwrap().len(), 64);
        assert_eq!(client.acl_genpass_bits(32).await.unwrap().len(), 8);
    });
}

/// A file that is removed in the end.
struct AclFile(PathBuf);

impl AclFile {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("users-{}-{number}.acl", std::process::id());
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::write(&path, "user default on nopass ~* &* +@all\n").unwrap();
        Self(path)
    }
}

impl Drop for AclFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn users_are_kept_in_a_file() {
    on_each(async |case| {
        let client = case.client().await;
        assert!(
            error(client.acl_save().await)
                .to_string()
                .contains("ACL file")
        );
        assert!(
            error(client.acl_load().await)
                .to_string()
                .contains("ACL file")
        );
    });
    let file = AclFile::new();
    let start = |binary: &_| {
        let path = format!("\"{}\"", file.0.display());
        let server = Server::builder().binary(binary).config("aclfile", path);
        server.start().expect("it starts")
    };
    on_each_started(start, async |case| {
        let client = case.client().await;
        client.acl_setuser("ann", ["on", "nopass"]).await.unwrap();
        client.acl_save().await.unwrap();
        assert_eq!(client.acl_deluser("ann").await.unwrap(), 1);
        client.acl_load().await.unwrap();
        assert_eq!(client.acl_deluser("ann").await.unwrap(), 1);
        client.acl_save().await.unwrap();
    });
}
