//! One task owns one socket.
//!
//! [`wire`] moves bytes, [`supervise`] makes connections and makes them again, [`subscriber`] serves a Pub/Sub
//! connection, [`commands`] one that carries commands. Handles reach these tasks through what they share with
//! them, and never touch a socket.

pub(crate) mod commands;
pub(crate) mod subscriber;
pub(crate) mod supervise;
mod wire;

use std::future::Future;
use std::pin::pin;
use std::task::Context;

pub(crate) use wire::Wire;

/// Wakes this task again once those that it has woken have had their turn.
///
/// A task that only wakes itself may be polled dozens of times before a program's main future is, and what it has
/// read falls out of the cache meanwhile.
fn yield_turn(cx: &mut Context<'_>) {
    let _ = pin!(tokio::task::yield_now()).poll(cx);
}
