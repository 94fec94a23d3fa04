//! A Redis and Valkey client whose first purpose is Pub/Sub.
//!
//! ```no_run
//! use tidings::{Client, Commands, Event};
//!
//! # async fn example() -> tidings::Result<()> {
//! let client = Client::connect("redis://127.0.0.1:6379").await?;
//! let mut pubsub = client.pubsub().channels(["news"]).await?;
//! client.publish("news", "hello").await?;
//! while let Some(event) = pubsub.next().await {
//!     match event? {
//!         Event::Message(message) => println!("{}", message.text()),
//!         Event::Gap(gap) => println!("messages may be missing: {}", gap.cause()),
//!         _ => {}
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! It keeps two promises:
//!
//! - **Never silently deaf.** A subscriber whose connection was lost, or whose peer fell silent, notices within
//!   [`ping_interval`](Config::ping_interval) + [`ping_timeout`](Config::ping_timeout) (10 s unless told otherwise),
//!   connects again for ever, and is subscribed again.
//! - **No silent loss.** Every message that the server handed over is delivered in order, or an [`Event::Gap`] stands
//!   in its place.
//!
//! What they mean where messages go from node to node, and what nobody can see there, is told [with the
//! cluster](cluster#the-promises-in-a-cluster).
//!
//! # Where to go from here
//!
//! | for | see |
//! |---|---|
//! | a connection, shared by as many tasks as you like | [`Client`] |
//! | commands | the methods of [`Commands`], their [`options`], and [`cmd`] for any other |
//! | what goes in and what comes back | [`ToArgs`], [`FromReply`] |
//! | subscribing, handlers, and the ways of reading | [`PubSub`], its [builder](PubSubBuilder), and a [handle](PubSubHandle) for other tasks |
//! | handlers that run in the background | [`PubSub::spawn`], [`PubSubTask`] |
//! | many light subscribers over one connection | [`Subscription`] |
//! | many channels and patterns into one consumer | [`Receiver`] |
//! | what may be missing, and why | [`Gap`], [`GapCause`] |
//! | many commands in one go, as a transaction or not | [`Pipeline`] |
//! | reading, and writing only if nobody else wrote meanwhile | [`Client::transaction`]; [`Watch`] for each step |
//! | a cluster: its commands, and channels on any of its nodes | [`ClusterClient`], [`ClusterClient::pubsub`] |
//! | its shard channels, wherever their slots are | [`ShardedPubSub`]; light ones by [`ClusterClient::ssubscribe`] |
//! | its nodes in one go, and transactions on one slot | [`ClusterPipeline`], [`SlotTransactions`] |
//! | Lua on the server | [`Script`] |
//! | all keys, of a cluster too | [`Client::scan_keys`], [`ClusterClient::scan_keys`] |
//! | what is done to keys, by keyspace notifications | [`KeyspaceEvents`] |
//! | every command that a server runs, or all nodes of a cluster | [`Monitor`], [`ClusterMonitor`] |
//! | all of this in threads, without a runtime | [`blocking`] |
//! | what you know from redis-py, aredis, coredis or aioredis | [`guides`] |
//! | URLs, times, TLS, [sentinels](Config#sentinel), how many connections | [`Config`] |
//! | what went wrong, and whether a command may have run | [`Error`] |
//!
//! # Cargo features
//!
//! - `blocking` (on by default): the module [`blocking`], for threads without a runtime; and the pages of [`guides`], whose
//!   examples are written in both ways.
//! - `charset`: text in other encodings than UTF-8, by [`Config`](Config#charset).
//! - `json`: payloads as JSON, `Json<T>`, of any type that serde knows.
//! - `tls`: `rediss://` and `valkeys://` with rustls and the system's certificates.
//!
#![cfg_attr(not(feature = "blocking"), doc = "[`blocking`]: #cargo-features")]
#![cfg_attr(not(feature = "blocking"), doc = "[`guides`]: #cargo-features")]

#[cfg(feature = "blocking")]
pub mod blocking;
mod client;
pub mod cluster;
mod commands;
mod config;
mod driver;
mod error;
// Pages, and no code.
#[cfg(all(any(doc, doctest), feature = "blocking"))]
pub mod guides;
mod keyspace;
mod monitor;
mod net;
mod pipeline;
mod pool;
mod pubsub;
mod receiver;
mod run;
mod scan;
mod script;
mod subscription;
mod transaction;
mod watch;

pub use bytes::Bytes;
pub use client::Client;
pub use cluster::{ClusterClient, ClusterRun, SlotTransactions};
pub use commands::{Commands, options};
#[cfg(feature = "tls")]
pub use config::TlsConfig;
pub use config::{Config, IntoClusterConfig, IntoConfig, ProtocolVersion};
pub use driver::every_node::NodeStatus;
pub use error::{Error, ErrorKind, Result};
pub use keyspace::{KeyEvent, KeyspaceEvent, KeyspaceEvents, KeyspaceEventsBuilder, Notifications};
pub use monitor::{
    ClusterMonitor, ClusterMonitorBuilder, ClusterMonitorEvent, Monitor, MonitorBuilder,
};
pub use pipeline::{ClusterPipeline, Execute, ExecuteEach, FromReplies, Pipeline, Replies};
#[cfg(feature = "json")]
pub use pubsub::Json;
pub use pubsub::{
    Confirmation, Confirming, Event, FromPayload, Gap, GapCause, HandlerOutcome, Kinds, Message,
    OneNode, Origin, Overflow, PayloadError, Plain, PubSub, PubSubBuilder, PubSubHandle,
    PubSubTask, RunOptions, Sharded, ShardedPubSub, SpawnError, Stats, Stopper,
};
pub use receiver::{
    Received, Receiver, ReceiverBuilder, ReceiverHandle, Sender, Senders, SendersOf, Subscribing,
};
pub use run::Run;
#[cfg(feature = "tls")]
pub use rustls;
pub use scan::ScanKeys;
pub use script::Script;
#[doc(hidden)]
pub use script::ScriptCall;
#[doc(hidden)]
pub use subscription::Source;
pub use subscription::{Names, SubscribeTo, Subscription, SubscriptionBuilder};
pub use tidings_proto::keyspace::escape_pattern;
pub use tidings_proto::monitor::{MonitorClient, MonitorEvent};
pub use tidings_proto::pubsub::{SubscriptionKind, SubscriptionState, SubscriptionStatus};
pub use tidings_proto::{
    Arg, ArgError, ArgWriter, Args, Blob, Blocking, Charset, Command, CommandRef, ConnectionChange,
    DecodeError, Error as ReplyError, FromReply, Keys, Limits, Reply, ServerError, ToArg, ToArgs,
    Value, cmd,
};
pub use transaction::Transact;
pub use watch::Watch;

#[cfg(all(doctest, feature = "blocking"))]
#[doc = include_str!("../../../README.md")]
struct Readme;
