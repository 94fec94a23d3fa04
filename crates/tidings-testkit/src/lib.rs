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
mod port;
mod protocol;
mod server;
mod temp;
mod wait;

pub use admin::AdminReply;
pub use binaries::{Binary, Flavor, Version, matrix, servers};
pub use certificates::Certificates;
pub use protocol::Protocol;
#[cfg(unix)]
pub use server::Frozen;
pub use server::{ADMIN_NAME, Server, ServerBuilder, StartError};
pub use wait::eventually;
