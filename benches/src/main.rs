//! Tidings measured beside its peers: `tidings-bench drain` empties the same canned stream of
//! Pub/Sub messages through each of them and prints what that cost.

mod cli;
mod contestants;
mod drain;
mod machine;
mod measure;
mod report;
mod request;
mod server;
mod shape;
mod wire;

use std::process::ExitCode;

/// What any part of the program may fail with: it is only ever printed.
pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn main() -> ExitCode {
    match cli::run(std::env::args().skip(1)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tidings-bench: {error}");
            ExitCode::FAILURE
        }
    }
}
