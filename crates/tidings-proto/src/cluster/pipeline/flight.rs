//! Commands that are sent to one node together.

use std::ops::Range;

use super::{PipelineCommands, PipelinePlan};
use crate::cluster::{map::Access, node::Address, slot::Slot};

const ASKING: &[u8] = b"*1\r\n$6\r\nASKING\r\n";

/// A command of a pipeline, and what says where it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoutedCommand {
    pub(super) place: usize,
    pub(super) bytes: Range<usize>,
    pub(super) slot: Slot,
    pub(super) access: Access,
    pub(super) script: Option<usize>,
}

/// One of the things that are sent, each of which has a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FlightItem {
    /// The next command is for a slot that the node does not have yet.
    Asking,
    /// The node is given a script.
    Load(usize),
    /// A command.
    Command(RoutedCommand),
}

/// Commands that are sent to one node together, once it is known that the first way was not theirs.
#[derive(Clone, Debug)]
pub struct Flight {
    pub(super) to: Address,
    pub(super) items: Vec<FlightItem>,
}

impl RoutedCommand {
    /// Its place in the pipeline, from 0 on.
    pub fn place(&self) -> usize {
        self.place
    }

    /// The slot of its keys.
    pub fn slot(&self) -> Slot {
        self.slot
    }

    /// Which nodes of the slot's shard may run it.
    pub fn access(&self) -> Access {
        self.access
    }
}

impl Flight {
    /// The node that it goes to.
    pub fn to(&self) -> &Address {
        &self.to
    }

    /// How many replies come.
    pub fn replies(&self) -> usize {
        self.items.len()
    }

    /// The commands among what is sent, in their order.
    pub fn commands(&self) -> impl Iterator<Item = &RoutedCommand> {
        self.items.iter().filter_map(|item| match item {
            FlightItem::Command(command) => Some(command),
            FlightItem::Asking | FlightItem::Load(_) => None,
        })
    }

    /// What goes over the wire, and how many bytes of it have to leave before anything can run.
    pub fn encoded(&self, plan: &PipelinePlan, commands: PipelineCommands<'_>) -> (Vec<u8>, usize) {
        let mut out = Vec::new();
        let mut first = None;
        for item in &self.items {
            out.extend_from_slice(item.bytes(plan, commands));
            if !matches!(item, FlightItem::Asking) {
                first.get_or_insert(out.len());
            }
        }
        (out, first.unwrap_or_default())
    }
}

impl FlightItem {
    pub(super) fn bytes<'a>(
        &self,
        plan: &PipelinePlan,
        commands: PipelineCommands<'a>,
    ) -> &'a [u8] {
        let range = match self {
            Self::Asking => return ASKING,
            Self::Load(script) => plan.loads().get(*script),
            Self::Command(command) => Some(&command.bytes),
        };
        range
            .and_then(|range| commands.bytes().get(range.clone()))
            .unwrap_or_default()
    }
}
