//! Tidings measured beside its peers. Each benchmark runs the same work through each of them, every
//! run in a fresh process, and prints what that cost:
//!
//! - `drain`: a canned stream of Pub/Sub messages is emptied;
//! - `fanout`: the same for many subscribers on one connection;
//! - `sharded`: the same from all nodes of a cluster, as shard channels;
//! - `pipeline`: pipelines and transactions of SET and GET on a real server;
//! - `cluster`: pipelines over the nodes of a real cluster;
//! - `publish`: tasks that publish over one client;
//! - `blocking`: one command at a time in a thread;
//! - `stalled`: many subscribers on one connection, of which one does not read;
//! - `allocations`: what the last two, and a GET at a time, take from the heap;
//! - `subscriptions`: memory and time of very many subscriptions on one connection.

mod cli;
mod commands;
mod contestant;
mod drain;
mod fanout;
mod hiredis;
mod latency;
mod machine;
mod measure;
mod process;
mod report;
mod rounds;
mod sharded;
mod subscriptions;

use std::process::ExitCode;

pub use measure::Heap;

/// What any part of the program may fail with: it is only ever printed.
pub(crate) type Error = Box<dyn std::error::Error + Send + Sync>;
pub(crate) type Result<T> = std::result::Result<T, Error>;

/// Runs the benchmark that the command line names. `heap` tells what this process has taken from the
/// heap so far, where its allocator counts that.
pub fn main(heap: Option<fn() -> Heap>) -> ExitCode {
    measure::count_heap_with(heap);
    match cli::run(std::env::args().skip(1)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tidings-bench: {error}");
            ExitCode::FAILURE
        }
    }
}
