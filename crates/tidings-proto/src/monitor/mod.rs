//! MONITOR: every command that a server runs, one line each.
//!
//! ```text
//! 1795222737.114914 [0 127.0.0.1:36698] "SET" "greeting" "good \"morning\"\n"
//! time              database, client    the command and its arguments
//! ```
//!
//! Servers escape what is not printable, quotes and backslashes, so that a line can be read in one way only: all but
//! Valkey 8.1.0 and 8.1.1, see [`Notation::Raw`].

mod args;
mod arities;
mod connection;
mod event;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;

pub use args::Notation;
pub use arities::Arities;
pub use connection::{MonitorConnection, MonitorFrame};
pub use event::{MonitorClient, MonitorError, MonitorEvent};
