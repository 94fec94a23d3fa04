//! Benchmarks of commands on a real server.

mod allocations;
mod client;
mod cluster;
mod fred;
mod hiredis;
mod pairs;
mod pipeline;
mod publish;
mod raw;
mod redis;
mod rustis;
mod server;
mod tidings;

pub(crate) use allocations::Allocations;
pub(crate) use cluster::Cluster;
pub(crate) use pipeline::Pipeline;
pub(crate) use publish::Publish;
pub(crate) use server::Server;
