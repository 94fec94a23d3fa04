//! Each example is started against a server of its own, and used as one would use it.

mod cache_invalidation;
mod chat;
mod job_signals;
mod program;
mod receiver;
mod tail;
mod typed_events;
