//! A cluster without I/O: where keys lie, which nodes there are, and what a command becomes that several nodes run.

mod bus;
mod following;
mod map;
mod merge;
mod node;
mod pipeline;
mod plan;
mod policy;
mod redirect;
#[cfg(test)]
mod replies;
mod scan;
mod sharded;
mod slot;
mod split;
#[cfg(test)]
mod testing;
mod topology;

pub use bus::{BusListener, InboundLinks};
pub use following::{Following, FollowingStep, Missed, NodeFollower};
pub use map::{Access, Learned, NodeChange, Shard, SlotMap};
pub use merge::{Merge, NodeReply};
pub use node::{Address, Endpoint, Health, Node, Role};
pub use pipeline::{
    Flight, FlightAnswer, FlightItem, Loss, Mended, NodeGroup, Outcome, PipelineCommands,
    PipelinePlan, PipelineRefusal, Resend, RoutedCommand, mend,
};
pub use plan::{Plan, Problem};
pub use policy::{Policy, Target};
pub use redirect::{Next, Redirect, RedirectLimits, Redirections};
pub use scan::{Holdings, KeyScan, NextNode};
pub use sharded::{LineId, Opening, ShardedSubscriptions};
pub use slot::{CommandSlot, Slot};
pub use split::{Split, SplitPart};
pub use topology::{Asked, Topology, TopologyShard};
