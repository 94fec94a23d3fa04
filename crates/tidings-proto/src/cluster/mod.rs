//! A cluster without I/O: where keys lie, which nodes there are, and what a command becomes that several nodes run.

mod map;
mod node;
mod redirect;
#[cfg(test)]
mod replies;
mod slot;
mod topology;

pub use map::{Access, Learned, NodeChange, Shard, SlotMap};
pub use node::{Address, Endpoint, Health, Node, Role};
pub use redirect::{Next, Redirect, RedirectLimits, Redirections};
pub use slot::{CommandSlot, Slot};
pub use topology::{Asked, Topology, TopologyShard};
