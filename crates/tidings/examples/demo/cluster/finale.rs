//! A slot moves and a primary dies while numbers are published and read.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tidings::ClusterClient;
use tidings_testkit::{Cluster, ClusterNode, Report, Violation, slot_of};
use tokio::task::JoinSet;
use tokio::time::{self, timeout};

use super::servers::Servers;
use super::ticker::{Seen, Sent, TICKER, publish};
use super::{Outcome, STEP, port, span};
use crate::screen::Screen;

/// So many messages come before the first thing happens, and between any two.
const MESSAGES: u64 = 300;

/// Everything comes again after this time at the latest, if it comes at all.
const LATEST: Duration = Duration::from_secs(30);

pub(crate) async fn walk(servers: &Servers, screen: &Screen) -> Outcome {
    screen.title("The slot of a channel moves, and then its primary is killed");
    screen.code(
        r#"let mut ticker = cluster.sharded_pubsub().channels("ticker").await?;
  for n in 1.. { cluster.spublish("ticker", n).await?; }   // in another task"#,
    );
    // Two clients, as if they were two programs.
    let cluster = ClusterClient::connect(servers.url()).await?;
    let ticker = cluster.sharded_pubsub().channels(TICKER).await?;
    let publisher = ClusterClient::connect(servers.url()).await?;

    let story = Arc::new(screen.story());
    let seen = Seen::nothing();
    let stop = Arc::new(AtomicBool::new(false));
    // They end with this walk, whatever ends it.
    let (mut reading, mut publishing) = (JoinSet::new(), JoinSet::new());
    reading.spawn(Arc::clone(&seen).read(ticker, Arc::clone(&story)));
    publishing.spawn(publish(publisher, Arc::clone(&stop)));
    tokio::select! {
        outcome = changes(servers, &seen, &story) => outcome?,
        // It reads for ever, unless something is wrong.
        Some(ended) = reading.join_next() => ended??,
    }
    stop.store(true, Ordering::Relaxed);
    let sent = publishing.join_next().await.ok_or("nobody publishes")??;
    let published = sent.published();
    // What is missing then is missing for good, and the report says so.
    let _ = timeout(LATEST, seen.all_of(&published)).await;
    tell(&sent, &seen.report(&published), screen)
}

/// What happens to the cluster.
async fn changes(servers: &Servers, seen: &Seen, story: &Screen) -> Outcome {
    soon(seen.more(MESSAGES, 0)).await?;
    let source = servers
        .apart(|cluster| cluster.owner_of_key(TICKER))
        .await?;
    let primaries = servers.apart(Cluster::primaries).await?;
    let target = primaries.into_iter().find(|it| *it != source);
    let target = target.ok_or("there is one primary only")?;
    let (slot, from, to) = (slot_of(TICKER), port(source.port()), port(target.port()));
    story.now(format!(
        "slot {slot} moves from {from} to {to} (CLUSTER SETSLOT)"
    ));
    let moved = {
        let target = Arc::clone(&target);
        servers.apart(move |cluster| cluster.move_slot(slot, &target))
    };
    let (moved, told) = tokio::join!(moved, soon(seen.more(MESSAGES, 1)));
    moved?;
    told?;

    let replicas = servers.replicas_of(&target);
    story.now(format!("{to} is killed (SIGKILL)"));
    target.kill();
    let elected = async {
        let new = port(elected(servers, replicas).await?.port());
        story.now(format!("its replica {new} says that it is the primary now"));
        Outcome::Ok(())
    };
    let (elected, told) = tokio::join!(soon(elected), soon(seen.more(1, 1)));
    elected?;
    told?;
    soon(seen.more(MESSAGES, 0)).await
}

/// The one of these that takes itself for a primary, once there is one.
async fn elected(servers: &Servers, replicas: Vec<Arc<ClusterNode>>) -> Outcome<Arc<ClusterNode>> {
    loop {
        let primaries = servers.apart(Cluster::primaries).await?;
        let mut primaries = primaries.into_iter();
        if let Some(new) = primaries.find(|primary| replicas.contains(primary)) {
            return Ok(new);
        }
        time::sleep(STEP).await;
    }
}

async fn soon(coming: impl Future<Output = Outcome>) -> Outcome {
    let waited = timeout(LATEST, coming).await;
    waited.unwrap_or_else(|_| {
        Err(format!("what has to come does not, within {}", span(LATEST)).into())
    })
}

/// What came of all that was published; an error if that is not what it should be.
fn tell(sent: &Sent, report: &Report, screen: &Screen) -> Outcome {
    let (mut twice, mut reordered, mut unannounced) = (0, 0, 0);
    for violation in report.violations() {
        match violation {
            Violation::Duplicate { .. } => twice += 1,
            Violation::Reordered { .. } => reordered += 1,
            Violation::UncoveredLoss { first, last, .. } => unannounced += last - first + 1,
            _ => {}
        }
    }
    let missing = sent.last.saturating_sub(report.received - twice);
    let announced = missing.saturating_sub(unannounced);
    let (last, unknown) = (sent.last, sent.unknown.len());
    screen.gives(format!(
        "{last} numbers were published; the answer to {unknown} was lost."
    ));
    screen.gives(format!(
        "{} came: {twice} twice, {reordered} out of order.",
        report.received
    ));
    screen.gives(format!(
        "{missing} did not come: {announced} behind a gap, {unannounced} without one."
    ));
    screen.gives(format!(
        "The publisher waited for an answer for {} at most.",
        span(sent.longest)
    ));
    if report.passed() {
        Ok(())
    } else {
        Err(format!("this is not as it should be: {report}").into())
    }
}
