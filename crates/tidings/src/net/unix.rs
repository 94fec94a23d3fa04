//! Unix sockets.

use std::path::Path;

use tokio::net::UnixStream;

use super::{Deadline, refused};
use crate::config::Address;
use crate::error::Result;

pub(super) async fn connect(
    address: &Address,
    path: &Path,
    deadline: Deadline,
) -> Result<UnixStream> {
    deadline
        .bound(
            address,
            "the server does not accept it; is it stopped?",
            UnixStream::connect(path),
        )
        .await?
        .map_err(|error| refused(&address.to_string(), error))
}
