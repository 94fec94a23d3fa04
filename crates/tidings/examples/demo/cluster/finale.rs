//! A slot moves and a primary dies while numbers are published and read.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tidings::ClusterClient;
use tidings_testkit::{Report, Violation, slot_of};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::servers::Servers;
use super::ticker::{Seen, Sent, TICKER, publish};
use super::{Outcome, port, span};
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
    let reading = tokio::spawn(Arc::clone(&seen).read(ticker, Arc::clone(&story)));
    let publishing = tokio::spawn(publish(publisher, Arc::clone(&stop)));
    tokio::select! {
        outcome = changes(servers, &seen, &story) => outcome?,
        ended = reading_ended(reading) => ended?,
    }
    stop.store(true, Ordering::Relaxed);
    let sent = publishing.await?;
    let published = sent.published();
    // What is missing then is missing for good, and the report says so.
    let _ = timeout(LATEST, seen.all_of(&published)).await;
    tell(&sent, &seen.report(&published), screen)
}

/// What happens to the cluster.
async fn changes(servers: &Servers, seen: &Seen, story: &Screen) -> Outcome {
    soon(seen.more(MESSAGES, 0)).await?;
    let source = servers.owner_of_key(TICKER);
    let target = servers.primaries().into_iter().find(|it| *it != source);
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

    story.now(format!("{to} is killed (SIGKILL)"));
    let elected = servers.apart(move |cluster| cluster.kill_and_fail_over(&target));
    let elected = async {
        let elected = elected.await?;
        let new = port(elected.port());
        story.now(format!(
            "all nodes agree that its replica {new} is the primary now"
        ));
        Outcome::Ok(())
    };
    let (elected, told) = tokio::join!(elected, soon(seen.more(1, 1)));
    elected?;
    told?;
    soon(seen.more(MESSAGES, 0)).await
}

async fn soon(coming: impl Future<Output = Outcome>) -> Outcome {
    let waited = timeout(LATEST, coming).await;
    waited.unwrap_or_else(|_| Err(format!("nothing has come for {LATEST:?}").into()))
}

/// It reads for ever, unless something is wrong.
async fn reading_ended(reading: JoinHandle<Outcome>) -> Outcome {
    reading.await?
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
