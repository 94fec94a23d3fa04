//! What is done to keys, whichever node has them.

use tidings::{ClusterClient, Commands, KeyspaceEvent, Notifications};
use tokio::time::timeout;

use super::{Outcome, port};
use crate::screen::{SOON, Screen};

pub(crate) async fn walk(cluster: &ClusterClient, screen: &Screen) -> Outcome {
    screen.title("Keyspace events: what is done to keys, of all primaries in one stream");
    screen.code(
        r#"let mut events = cluster.keyspace_events("user:*")
      .notifications(Notifications::Enable).await?;"#,
    );
    let events = cluster.keyspace_events("user:*");
    let mut events = events.notifications(Notifications::Enable).await?;
    screen.code(
        r#"cluster.mset([("user:1", "Ada"), ("user:3", "Grace"), ("user:4", "Mary")])
      .await?;"#,
    );
    cluster
        .mset([("user:1", "Ada"), ("user:3", "Grace"), ("user:4", "Mary")])
        .await?;
    screen.code(r#"cluster.del(["user:1", "user:4"]).await?"#);
    let deleted = cluster.del(["user:1", "user:4"]).await?;
    let mut told = Vec::new();
    while told.len() < 5 {
        let event = timeout(SOON, events.next()).await;
        let Some(event) = event.map_err(|_| "a keyspace event is missing")? else {
            break;
        };
        told.push(match event? {
            KeyspaceEvent::Key(event) => {
                let (operation, key) = (event.operation_str(), event.key_str());
                format!("{operation} {key} ({})", port(event.node().port()))
            }
            KeyspaceEvent::Gap(gap) => gap.to_string(),
            _ => continue,
        });
    }
    screen.gives(deleted);
    screen.code("while let Some(event) = events.next().await { … }");
    screen.wrapped("", &told.join(", "));
    Ok(())
}
