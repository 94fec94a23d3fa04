//! Each example is started against a server or a cluster of its own, and used as one would use it.

mod cache_invalidation;
mod chat;
mod cluster_pipeline;
mod cluster_sharded;
mod job_signals;
mod keyspace_events;
mod program;
mod receiver;
mod sentinel;
mod tail;
mod typed_events;
