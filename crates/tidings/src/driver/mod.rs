//! One task owns one socket.
//!
//! [`wire`] moves bytes, [`supervise`] makes connections and makes them again, to a [`place`], [`subscriber`] serves a Pub/Sub
//! connection, [`monitor`] one that monitors, [`every_node`] has one of such a kind for each node of a cluster,
//! [`commands`] serves one that carries commands over a
//! [`line`], which come through a [`mailbox`]. Handles reach these tasks through what they share with them, and never touch a socket.

pub(crate) mod body;
pub(crate) mod cluster;
pub(crate) mod commands;
#[cfg(feature = "blocking")]
pub(crate) mod direct;
pub(crate) mod every_node;
pub(crate) mod fanout;
pub(crate) mod keyspace;
mod line;
pub(crate) mod mailbox;
pub(crate) mod monitor;
pub(crate) mod place;
pub(crate) mod sentinel;
mod slots;
pub(crate) mod subscriber;
pub(crate) mod supervise;
pub(crate) mod together;
mod wire;

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::time::Sleep;

pub(crate) use wire::Wire;

/// The timer of a task.
struct Alarm(Pin<Box<Sleep>>);

impl Alarm {
    fn new() -> Self {
        Self(Box::pin(tokio::time::sleep(Duration::ZERO)))
    }

    /// Pending until `due`; it may also be ready before, and is to be asked again then. It is moved when it has
    /// fired too early, not each time that something arrives. Without a time it is pending.
    fn poll(&mut self, due: Option<Instant>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(due) = due else { return Poll::Pending };
        if self.0.deadline().into_std() > due || self.0.is_elapsed() {
            self.0.as_mut().reset(due.into());
        }
        self.0.as_mut().poll(cx)
    }
}

/// Wakes this task again once those that it has woken have had their turn.
///
/// A task that only wakes itself may be polled dozens of times before a program's main future is, and what it has
/// read falls out of the cache meanwhile.
fn yield_turn(cx: &mut Context<'_>) {
    let _ = pin!(tokio::task::yield_now()).poll(cx);
}
