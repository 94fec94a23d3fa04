//! Real Redis and Valkey servers for tests, a scripted peer and a fault proxy.
//!
//! ```
//! use tidings_testkit::{Server, matrix};
//!
//! for binary in matrix() {
//!     let server = Server::builder().binary(&binary).password("s3cret").start()?;
//!     // … connect the client under test to `server.url()` …
//!     assert_eq!(server.cli(["PING"]), "PONG");
//!     server.kill();
//!     // … the client notices …
//!     server.restart();
//! } // the server ends here
//! # Ok::<(), tidings_testkit::StartError>(())
//! ```

mod admin;
mod binaries;
mod certificates;
mod checker;
pub mod frame;
mod listener;
mod port;
mod protocol;
mod proxy;
mod published;
mod publisher;
mod scripted;
mod server;
mod sync;
mod temp;
mod wait;

pub use admin::AdminReply;
pub use binaries::{Binary, Flavor, Version, matrix, servers};
pub use certificates::Certificates;
pub use checker::{Checker, Report, Violation};
pub use protocol::Protocol;
pub use proxy::{Direction, Proxy};
pub use published::{ChannelPublished, Published};
pub use publisher::{Publisher, PublisherBuilder};
pub use scripted::{ScriptedConnection, ScriptedPeer};
#[cfg(unix)]
pub use server::Frozen;
pub use server::{ADMIN_NAME, Server, ServerBuilder, StartError};
pub use wait::eventually;
