//! The blocking face: the same client for threads without a runtime.
//!
//! ```no_run
//! use tidings::blocking::Client;
//! use tidings::{Commands, Event};
//!
//! fn main() -> tidings::Result<()> {
//!     let client = Client::connect("redis://127.0.0.1:6379")?;
//!     client.set("greeting", "hello")?;
//!     let greeting: Option<String> = client.get("greeting")?;
//!     println!("{greeting:?}");
//!
//!     let pubsub = client.pubsub().channels(["news"]).open()?;
//!     client.publish("news", "it rains")?;
//!     for event in pubsub {
//!         match event? {
//!             Event::Message(message) => println!("{}", message.text()),
//!             Event::Gap(gap) => println!("messages may be missing: {}", gap.cause()),
//!             _ => {}
//!         }
//!     }
//!     Ok(())
//! }
//! ```
//!
//! Its types have the names and the methods of the asynchronous ones, and are made of them: what is awaited there waits
//! here. Events, messages, options, configurations and errors are the same types.
//!
//! | | here | asynchronous |
//! |---|---|---|
//! | commands | [`Client`] | [`tidings::Client`](crate::Client) |
//! | many in one go | [`Pipeline`] | [`tidings::Pipeline`](crate::Pipeline) |
//! | watched keys | [`Client::transaction`], [`Watch`] | [`tidings::Watch`](crate::Watch) |
//! | scripts | [`Script`](crate::Script), which runs on either | |
//! | commands of a cluster | [`ClusterClient`] | [`tidings::ClusterClient`](crate::ClusterClient) |
//! | many of them in one go | [`ClusterPipeline`] | [`tidings::ClusterPipeline`](crate::ClusterPipeline) |
//! | transactions on one slot of it | [`SlotTransactions`] | [`tidings::SlotTransactions`](crate::SlotTransactions) |
//! | Pub/Sub | [`PubSub`], an [`Iterator`]; [`timeout_iter`](PubSub::timeout_iter) | [`tidings::PubSub`](crate::PubSub), a `Stream` |
//! | shard channels | [`ShardedPubSub`] | [`tidings::ShardedPubSub`](crate::ShardedPubSub) |
//! | handlers that run in the background | [`PubSubThread`], by [`run_in_thread`](PubSub::run_in_thread) | [`PubSubTask`](crate::PubSubTask), by [`spawn`](crate::PubSub::spawn) |
//! | many light subscribers | [`Subscription`] | [`tidings::Subscription`](crate::Subscription) |
//! | many names into one consumer | [`Receiver`] | [`tidings::Receiver`](crate::Receiver) |
//! | subscribing from elsewhere | [`PubSubHandle`] | [`tidings::PubSubHandle`](crate::PubSubHandle) |
//! | all keys | [`ScanKeys`], an [`Iterator`] | [`tidings::ScanKeys`](crate::ScanKeys), a `Stream` |
//! | what is done to keys | [`KeyspaceEvents`], an [`Iterator`] | [`tidings::KeyspaceEvents`](crate::KeyspaceEvents), a `Stream` |
//! | every command that a server runs | [`Monitor`], an [`Iterator`] | [`tidings::Monitor`](crate::Monitor), a `Stream` |
//! | or all nodes of a cluster | [`ClusterMonitor`] | [`tidings::ClusterMonitor`](crate::ClusterMonitor) |
//!
//! # The thread in the background
//!
//! The first use starts one thread, `tidings-blocking`, which lives as long as the process and serves the connections of
//! all blocking objects. So a subscriber that nobody reads at the moment still answers its server, notices a lost
//! connection and makes it again, and keeps the bounds of its queue. Handlers, and whatever else is yours, run
//! on your threads, or on those of [`PubSubThread`]s, and never on that one.
//!
//! A fork does not copy the thread: a process that forks begins to use this after it.
//!
//! # Asynchronous code
//!
//! A call that may wait is a [misuse](crate::ErrorKind::Misuse) within a task of tokio's, in the future of its
//! `block_on` too: it would hold up the other tasks of that thread. Use [`tidings::Client`](crate::Client) there.
//! Threads of `spawn_blocking` and code within `block_in_place` may block, and may use this. What cannot be seen is a
//! task within `tokio::task::unconstrained`, and one of another runtime than tokio's.
//!
//! Dropping is fine anywhere, as it waits for nothing.
//!
//! # One reader
//!
//! A [`Client`] is shared by as many threads as you like. A [`PubSub`] has one reader; what others need of it is its
//! [handle](PubSub::handle).

mod client;
mod cluster;
mod cluster_pipeline;
mod keyspace;
mod monitor;
mod park;
mod pipeline;
mod pubsub;
mod receiver;
mod runtime;
mod scan;
mod slot_transactions;
mod subscription;
mod timeout_iter;
mod watch;

pub use client::Client;
pub use cluster::ClusterClient;
pub use cluster_pipeline::ClusterPipeline;
pub use keyspace::{KeyspaceEvents, KeyspaceEventsBuilder};
pub use monitor::{ClusterMonitor, ClusterMonitorBuilder, Monitor, MonitorBuilder};
pub use pipeline::Pipeline;
pub use pubsub::{PubSub, PubSubBuilder, PubSubHandle, PubSubThread, ShardedPubSub};
pub use receiver::{Receiver, ReceiverBuilder};
pub(crate) use runtime::wait;
pub use scan::ScanKeys;
pub use slot_transactions::SlotTransactions;
pub use subscription::{Subscription, SubscriptionBuilder};
pub use timeout_iter::{ReadWithin, TimeoutIter};
pub use watch::Watch;
