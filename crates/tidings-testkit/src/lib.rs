//! Real Redis and Valkey servers for tests, a scripted peer, a fault proxy, and a checker that knows
//! what a subscriber should have received.
//!
//! ```
//! use tidings_testkit::{Protocol, Server, matrix};
//!
//! for binary in matrix() {
//!     let server = Server::builder().binary(&binary).password("s3cret").start()?;
//!     for protocol in Protocol::ALL {
//!         let url = server.url_for(protocol); // redis://:s3cret@127.0.0.1:12345?protocol=2
//!         // … connect the client under test …
//!         server.kill();
//!         // … it notices …
//!         server.restart();
//!         // … and is back, subscribed to what it was …
//!         # drop(url);
//!     }
//! } // the server ends here
//! # Ok::<(), tidings_testkit::StartError>(())
//! ```
//!
//! All of it is synchronous and built on threads, so that it serves asynchronous and blocking tests
//! alike; none of it shares a line with the Tidings client, so that neither hides the other's
//! mistakes. Any client of any language can be tested with it.
//!
//! | | |
//! |---|---|
//! | [`Server`] | a server as a child process: free port, Unix socket, TLS, password, ACL users, any configuration line; [`kill`](Server::kill), [`stop_process`](Server::stop_process), [`restart`](Server::restart) |
//! | [`Cluster`] | a cluster of any size; slots [moved](Cluster::move_slot) at once or [step by step](SlotMove), [failovers](Cluster::failover), nodes that come, go, die and are [cut off](Cluster::cut_off) |
//! | [`Sentinels`] | a primary with replicas under sentinels, [failovers](Sentinels::failover) |
//! | [`ScriptedPeer`] | listens, and says byte for byte what the test says; [`frame`] builds the bytes |
//! | [`Proxy`] | stands before a server and cuts, delays, halves, goes silent |
//! | [`Publisher`] | publishes 1, 2, 3, … and knows which of them the server acknowledged |
//! | [`Checker`] | no reorder, no duplicate, every loss covered by a gap at its place, nobody deaf |
//!
//! # Which servers
//!
//! [`servers`] finds `redis-server` and `valkey-server`: in the path lists of the environment
//! variables `TIDINGS_REDIS_SERVER` and `TIDINGS_VALKEY_SERVER`, on the `PATH`, and in
//! `target/servers/*/bin/`. [`matrix`] picks those that tests run on: the oldest and the newest Redis
//! and the newest Valkey, or what `TIDINGS_TEST_SERVERS` says (`all`, `redis-7.0.15,valkey-9`). Where
//! there is none, a test fails and says how to get one.
//!
//! # Not here
//!
//! Containers; TLS in clusters and between sentinels. Signals and the watcher that ends servers after a
//! crash of the test process need Unix; elsewhere servers end when they are dropped. Nodes can be cut
//! off from each other on Linux.

mod admin;
mod binaries;
mod certificates;
mod checker;
mod cluster;
pub mod frame;
mod listener;
mod port;
mod protocol;
mod proxy;
mod published;
mod publisher;
mod scripted;
mod sentinel;
mod server;
mod sync;
mod temp;
mod wait;

pub use admin::AdminReply;
pub use binaries::{Binary, Flavor, Version, matrix, servers};
pub use certificates::Certificates;
pub use checker::{Checker, Report, Violation};
pub use cluster::{Cluster, ClusterBuilder, ClusterNode, Failover, SLOTS, SlotMove, slot_of};
pub use protocol::Protocol;
pub use proxy::{Direction, Proxy};
pub use published::{ChannelPublished, Published};
pub use publisher::{Publisher, PublisherBuilder};
pub use scripted::{ScriptedConnection, ScriptedPeer};
pub use sentinel::{Sentinels, SentinelsBuilder};
#[cfg(unix)]
pub use server::Frozen;
pub use server::{ADMIN_NAME, Server, ServerBuilder, StartError};
pub use wait::eventually;
