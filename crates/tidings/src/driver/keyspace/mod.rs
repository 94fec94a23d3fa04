//! Connections that bring keyspace notifications, of one server or of each node of a cluster.

mod check;
mod link;
mod outlet;

pub(crate) use check::{Check, CheckedPlace};
pub(crate) use link::KeyspaceLink;
pub(crate) use outlet::{KeyspaceOutlet, Stream};
