//! One task owns one socket.
//!
//! [`wire`] moves bytes, [`supervise`] makes connections and makes them again, [`subscriber`] serves a Pub/Sub
//! connection, [`commands`] one that carries commands. Handles reach these tasks through what they share with
//! them, and never touch a socket.

pub(crate) mod commands;
pub(crate) mod subscriber;
pub(crate) mod supervise;
mod wire;

pub(crate) use wire::Wire;
