//! Pipelines over nodes, transactions on one slot, and where all of it ran.

use std::collections::BTreeMap;

use tidings::{Bytes, ClusterClient, ClusterMonitor};
use tokio::time::timeout;

use super::{Outcome, port};
use crate::screen::{SOON, Screen, shown};

/// So many commands of this walk are shown by MONITOR, `MULTI` and `EXEC` included.
const COMMANDS: usize = 10;

pub(crate) async fn walk(cluster: &ClusterClient, screen: &Screen) -> Outcome {
    // Before anything that it is to show.
    let mut monitor = cluster.monitor().await?;

    screen.title("A pipeline: sent to all of its nodes at a time, replies in order");
    screen.code(
        r#"let mut pipe = cluster.pipeline();
  pipe.set("foo", "value1").set("bar", "value2").get("foo").get("bar");
  pipe.execute::<(bool, bool, String, String)>().await?"#,
    );
    let mut pipe = cluster.pipeline();
    pipe.set("foo", "value1").set("bar", "value2");
    pipe.get("foo").get("bar");
    let replies = pipe.execute::<(bool, bool, String, String)>().await?;
    screen.gives(format!("{replies:?}"));
    screen.code(
        r#"cluster.pipeline().set("foo1", "bar1").get("foo1")
      .execute::<(bool, String)>().await?"#,
    );
    let mut pipe = cluster.pipeline();
    pipe.set("foo1", "bar1").get("foo1");
    let replies = pipe.execute::<(bool, String)>().await?;
    screen.gives(format!("{replies:?}"));

    screen.title("MULTI and EXEC, on one slot: keys with the same {tag} are in one");
    screen.code(
        r#"let order = cluster.transaction_on("{order:17}");
  order.pipeline().set("{order:17}:state", "open").incr("{order:17}:lines")
      .execute::<(bool, i64)>().await?"#,
    );
    let order = cluster.transaction_on("{order:17}");
    let mut both = order.pipeline();
    both.set("{order:17}:state", "open")
        .incr("{order:17}:lines");
    let replies = both.execute::<(bool, i64)>().await?;
    screen.gives(format!("{replies:?}"));
    screen.code(r#"order.pipeline().set("elsewhere", 1).execute::<()>().await"#);
    let mut wrong = order.pipeline();
    match wrong.set("elsewhere", 1).execute::<()>().await {
        Ok(()) => screen.gives("Ok"),
        Err(error) => screen.wrapped("Err: ", &error.to_string()),
    }

    screen.title("MONITOR of all nodes: where each of these commands ran");
    screen.code(
        r#"let mut monitor = cluster.monitor().await?;   // before all that
  while let Some(item) = monitor.next().await { … }"#,
    );
    for (node, commands) in ran(&mut monitor).await? {
        screen.wrapped(&format!("{}  ", port(node)), &commands.join(", "));
    }
    Ok(())
}

/// What each node ran of these commands, in its order.
async fn ran(monitor: &mut ClusterMonitor) -> Outcome<BTreeMap<u16, Vec<String>>> {
    let mut ran = BTreeMap::<u16, Vec<String>>::new();
    let mut count = 0;
    while count < COMMANDS {
        let item = timeout(SOON, monitor.next()).await;
        let Some(item) = item.map_err(|_| "MONITOR does not show all commands")? else {
            break;
        };
        let (node, command) = match item {
            Ok(item) => (item.node().port(), line(item.event().command())),
            // Valkey 8.1.0 and 8.1.1 do not escape, and few of their lines can be read in one way only.
            Err(error) => match (error.node(), error.raw_payload()) {
                (Some(node), Some(raw)) => (node.port(), unread(raw)),
                _ => return Err(error.into()),
            },
        };
        if is_ours(&command) {
            ran.entry(node).or_default().push(command);
            count += 1;
        }
    }
    Ok(ran)
}

/// Clients ask for the topology besides, and replicas tell how far they are.
fn is_ours(command: &str) -> bool {
    let name = command.split(' ').next().unwrap_or_default();
    ["SET", "GET", "INCR", "MULTI", "EXEC"].contains(&name.trim_matches('"'))
}

fn line(command: &[Bytes]) -> String {
    let words = command.iter().map(|arg| shown(arg));
    words.collect::<Vec<_>>().join(" ")
}

/// The command as the server wrote it.
fn unread(raw: &[u8]) -> String {
    let raw = String::from_utf8_lossy(raw);
    let command = raw.split_once("] ").map_or(&*raw, |(_, command)| command);
    command.to_owned()
}
