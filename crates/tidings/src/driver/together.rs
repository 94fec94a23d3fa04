//! Several futures at a time.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

/// What all of them come to, in their order.
pub(crate) async fn all<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut running: Vec<Pin<Box<F>>> = futures.into_iter().map(Box::pin).collect();
    let mut outcomes: Vec<Option<F::Output>> = running.iter().map(|_| None).collect();
    poll_fn(|cx| {
        let mut pending = false;
        for (future, outcome) in running.iter_mut().zip(&mut outcomes) {
            if outcome.is_none() {
                match future.as_mut().poll(cx) {
                    Poll::Ready(output) => *outcome = Some(output),
                    Poll::Pending => pending = true,
                }
            }
        }
        if pending {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    })
    .await;
    outcomes.into_iter().flatten().collect()
}

/// Takes what they come to, as it comes, until `take` has enough or there is no more.
pub(crate) async fn until<F: Future>(
    futures: impl IntoIterator<Item = F>,
    mut take: impl FnMut(F::Output) -> bool,
) {
    let mut running: Vec<Pin<Box<F>>> = futures.into_iter().map(Box::pin).collect();
    poll_fn(|cx| {
        let mut enough = false;
        running.retain_mut(|future| match future.as_mut().poll(cx) {
            Poll::Ready(output) => {
                enough |= take(output);
                false
            }
            Poll::Pending => true,
        });
        if enough || running.is_empty() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::{Instant, sleep};

    use super::*;

    async fn after(seconds: u64) -> u64 {
        sleep(Duration::from_secs(seconds)).await;
        seconds
    }

    #[tokio::test(start_paused = true)]
    async fn all_run_at_the_same_time_and_come_in_their_order() {
        let begun = Instant::now();
        assert_eq!(all([3, 1, 2].map(after)).await, [3, 1, 2]);
        assert_eq!(begun.elapsed().as_secs(), 3);
        assert!(all(Vec::<std::future::Ready<()>>::new()).await.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_enough_ends_the_wait_for_the_others() {
        let begun = Instant::now();
        let mut seen = Vec::new();
        until([3, 1, 2].map(after), |seconds| {
            seen.push(seconds);
            seen.len() == 2
        })
        .await;
        assert_eq!(seen, [1, 2]);
        assert_eq!(begun.elapsed().as_secs(), 2);
        until([1].map(after), |_| false).await;
    }
}
