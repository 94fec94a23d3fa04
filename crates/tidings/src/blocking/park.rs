//! A thread that waits for a future.

use std::cell::RefCell;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Instant;

/// Polls `future` on this thread until it is done, or until `deadline`; `None` then. It is polled once in any case.
pub(super) fn wait<F: Future>(future: F, deadline: Option<Instant>) -> Option<F::Output> {
    let parker = Parker::of_this_thread();
    let mut future = pin!(future);
    let mut cx = Context::from_waker(&parker.waker);
    let outcome = loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            break Some(output);
        }
        if !parker.park(deadline) {
            break None;
        }
    };
    parker.keep();
    outcome
}

thread_local! {
    /// The parker of this thread, unless a wait is using it: one within a wait (a handler that runs a command) has
    /// another, or it would take the wakes of the outer one.
    static FREE: RefCell<Option<Parker>> = const { RefCell::new(None) };
}

struct Parker {
    state: Arc<State>,
    waker: Waker,
}

#[derive(Debug)]
struct State {
    thread: Thread,
    /// There was a wake that no poll has followed yet. An unpark alone says nothing: it may be meant for somebody
    /// else on this thread, or be a late one of an earlier wait.
    woken: AtomicBool,
}

impl Parker {
    fn of_this_thread() -> Self {
        // A thread at its end has no locals any more.
        let free = FREE.try_with(|free| free.take()).ok().flatten();
        free.unwrap_or_else(|| {
            let state = Arc::new(State {
                thread: thread::current(),
                woken: AtomicBool::new(false),
            });
            let waker = Waker::from(Arc::clone(&state));
            Self { state, waker }
        })
    }

    fn keep(self) {
        let _ = FREE.try_with(|free| free.replace(Some(self)));
    }

    /// Waits for a wake; `false`: none came until the deadline.
    fn park(&self, deadline: Option<Instant>) -> bool {
        while !self.state.woken.swap(false, Ordering::Acquire) {
            let Some(deadline) = deadline else {
                thread::park();
                continue;
            };
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            thread::park_timeout(left);
        }
        true
    }
}

impl Wake for State {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Whoever set it first has unparked the thread, or is about to.
        if !self.woken.swap(true, Ordering::Release) {
            self.thread.unpark();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, poll_fn, ready};
    use std::time::Duration;

    use super::*;

    const SHORT: Duration = Duration::from_millis(20);

    fn soon() -> Option<Instant> {
        Instant::now().checked_add(SHORT)
    }

    #[test]
    fn what_is_there_is_taken_though_the_deadline_is_over() {
        assert_eq!(wait(ready(1), Some(Instant::now())), Some(1));
        assert_eq!(wait(pending::<()>(), Some(Instant::now())), None);
    }

    #[test]
    fn the_deadline_holds_though_the_thread_is_unparked_by_others() {
        let this = thread::current();
        let deadline = Instant::now() + SHORT;
        thread::spawn(move || {
            while Instant::now() < deadline {
                this.unpark();
            }
        });
        let mut polls = 0;
        let outcome = wait(
            poll_fn(|_| {
                polls += 1;
                Poll::<()>::Pending
            }),
            Some(deadline),
        );
        assert_eq!(outcome, None);
        assert!(Instant::now() >= deadline);
        assert_eq!(polls, 1);
    }

    #[test]
    fn a_wait_within_a_wait_does_not_take_its_wake() {
        let mut polls = 0;
        let outer = poll_fn(|cx| {
            polls += 1;
            if polls == 2 {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            // It parks, and takes the unpark with it.
            assert_eq!(wait(pending::<()>(), soon()), None);
            Poll::Pending
        });
        assert_eq!(wait(outer, soon()), Some(()));
    }

    #[test]
    fn a_wake_from_another_thread_is_never_missed() {
        for _ in 0..1000 {
            let mut begun = false;
            let outcome = wait(
                poll_fn(|cx| {
                    if std::mem::replace(&mut begun, true) {
                        return Poll::Ready(());
                    }
                    let waker = cx.waker().clone();
                    thread::spawn(move || waker.wake());
                    Poll::Pending
                }),
                Some(Instant::now() + Duration::from_secs(10)),
            );
            assert_eq!(outcome, Some(()));
        }
    }
}
