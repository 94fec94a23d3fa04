//! The Redis and Valkey protocol as a state machine: bytes in, values out.
//!
//! No I/O, no clock, no task, no `unsafe`: whoever owns a socket feeds these types what it read and sends what
//! they wrote. Time comes in as an argument.
//!
//! - [`Connection`] is one connection after its [`Handshake`]: which reply answers which request, which frame is
//!   a message, when to ask a silent peer.
//! - [`Subscriptions`] is what one subscriber wants and what the server has confirmed, over all of its
//!   connections.
//! - [`Transaction`] goes along the replies to a `MULTI`; [`monitor`] is a connection that shows what the server runs.
//! - [`Command`] is one on its way, and [`CommandRef`] knows of it where its keys are, whether it waits, and what it does
//!   to its connection.
//! - [`keyspace`] knows the channels of keyspace notifications.
//! - [`cluster`] knows the slots and nodes of a cluster, and which of them a command goes to.
//! - [`Decoder`], [`Reply`] and [`CommandWriter`] read and write RESP2 and RESP3; [`FromReply`] and [`ToArgs`] are the
//!   bridge to Rust's types.

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic
    )
)]

mod backoff;
mod blob;
pub mod cluster;
mod connection;
mod handshake;
mod keepalive;
pub mod keyspace;
#[cfg(any(test, feature = "fuzzing"))]
mod model;
pub mod monitor;
pub mod pubsub;
#[cfg(test)]
mod testing;

pub use backoff::Backoff;
pub use blob::Blob;
pub use connection::{Connection, ConnectionOptions, Event};
pub use handshake::{Handshake, HandshakeError, HandshakeOptions, Protocol, ServerInfo};
pub use keepalive::{Keepalive, Liveness};
pub use pubsub::Subscriptions;

// ---- the RESP half ----
mod charset;
mod command;
mod convert;
mod error;
mod excerpt;
mod limits;
mod resp;
mod transaction;

/// What the fuzz targets run: each function panics if a promise is broken.
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing {
    pub use crate::model::operations;
    pub use crate::monitor::fuzzing::monitor;
    pub use crate::resp::fuzzing::decode;
}

pub use charset::Charset;
pub use command::{Args, Blocking, Command, CommandRef, ConnectionChange, Keys, cmd, may_block};
pub use convert::{
    Arg, ArgError, ArgWriter, FromReply, Many, One, PairRefs, Pairs, ToArg, ToArgs, TripleRefs,
    Triples,
};
pub use error::{DecodeError, Error, ProtocolError, ServerError};
pub use limits::Limits;
pub use resp::{Bulk, CommandWriter, Decoder, Elements, Reply, Value};
pub use transaction::{Refusal, Transaction};
