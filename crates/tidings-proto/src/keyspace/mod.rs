//! Keyspace notifications: which channels tell of which keys, what a server has to be told so that it sends them, and what
//! a message of them says.

mod channels;
mod flags;
mod operations;
mod pattern;

pub use channels::{KeyspaceChannels, Notification};
pub use flags::NotifyFlags;
pub use pattern::escape_pattern;
