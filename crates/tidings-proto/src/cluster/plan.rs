//! Which nodes a command goes to, and how the commands of a pipeline are spread over them.

#[cfg(test)]
mod tests;

use std::{collections::HashMap, error, fmt, ops::Range};

use super::{
    map::{Access, SlotMap},
    merge::Merge,
    node::Address,
    policy::{Policy, Target},
    slot::{CommandSlot, Slot},
    split::Split,
};
use crate::command::CommandRef;

/// How a single command is run in a cluster.
///
/// ```
/// use tidings_proto::cluster::{Merge, Plan, Target};
/// use tidings_proto::cmd;
///
/// let plan = |command: tidings_proto::Command| Plan::of(command.view());
/// assert!(matches!(plan(cmd("GET").arg("a")), Ok(Plan::Slot(_))));
/// assert!(matches!(plan(cmd("MGET").arg(["a", "b"])), Ok(Plan::Split(split)) if split.parts().len() == 2));
/// assert!(matches!(plan(cmd("DBSIZE")), Ok(Plan::Nodes(Target::AllPrimaries, Merge::Sum))));
/// let refused = plan(cmd("RENAME").arg("a").arg("b")).unwrap_err();
/// assert_eq!(refused.to_string(), "its keys are in several slots");
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Plan {
    /// On the node of this slot.
    Slot(Slot),
    /// Without a key, on any node, and best on the node of this slot: `PUBLISH`, so that the messages of a channel that
    /// one client publishes take the same way and keep their order.
    Near(Slot),
    /// As several commands, each on the node of its slot.
    Split(Split),
    /// Without keys, on these nodes; what becomes of their replies comes second.
    Nodes(Target, Merge),
}

/// Why a command cannot be run, as far as can be told without asking anybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Problem {
    /// Its keys are in several slots, and it cannot be split.
    SeveralSlots,
    /// It has no key: in a pipeline of a cluster no node is the one to run it.
    NoKey,
    /// Nothing says where its keys are: this crate does not know it.
    UnknownCommand,
    /// No node is known.
    NoNode,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SeveralSlots => "its keys are in several slots",
            Self::NoKey => "it has no key that says which node is to run it",
            Self::UnknownCommand => "it is not known where its keys are",
            Self::NoNode => "no node of the cluster is known",
        })
    }
}

impl error::Error for Problem {}

impl Plan {
    /// How this command is run.
    ///
    /// One that this crate does not know, of a module for instance, is taken to have its key as its first argument. If
    /// that is wrong, the node that gets it knows better, and says so with a `MOVED`.
    ///
    /// # Errors
    ///
    /// It is one that no nodes can run together, or is unknown and has no argument.
    pub fn of(command: CommandRef<'_>) -> Result<Self, Problem> {
        match slot_of(command) {
            CommandSlot::One(slot) => Ok(Self::Slot(slot)),
            CommandSlot::Several => Split::of(command)
                .map(Self::Split)
                .ok_or(Problem::SeveralSlots),
            CommandSlot::Keyless => match command.args().next() {
                Some(channel) if command.is_named("PUBLISH") => {
                    Ok(Self::Near(Slot::of_key(channel)))
                }
                _ => {
                    let policy = Policy::of(command).ok_or(Problem::UnknownCommand)?;
                    Ok(Self::Nodes(policy.target(), policy.merge()))
                }
            },
            CommandSlot::Unknown => Err(Problem::UnknownCommand),
        }
    }
}

/// In which slots a command belongs; of one that nobody knows, what its first argument says.
fn slot_of(command: CommandRef<'_>) -> CommandSlot {
    match command.slot() {
        CommandSlot::Unknown => match command.args().next() {
            Some(first) => CommandSlot::One(Slot::of_key(first)),
            None => CommandSlot::Unknown,
        },
        known => known,
    }
}

/// The commands of a pipeline, grouped by the nodes that run them.
///
/// Each node gets its commands in the order of the pipeline, and so keeps the order of those on one key. Between nodes
/// there is no order. A read that goes to a replica may not see what the same pipeline wrote.
///
/// ```
/// use tidings_proto::CommandWriter;
/// use tidings_proto::cluster::{Access, Address, PipelinePlan, Slot, SlotMap};
///
/// let mut map = SlotMap::new();
/// map.learn_moved(Slot::of_key(b"foo"), &Address::new("a", 7000));
/// map.learn_moved(Slot::of_key(b"bar"), &Address::new("b", 7000));
/// let mut pipeline = Vec::new();
/// for key in ["foo", "bar", "foo"] {
///     CommandWriter::new(&mut pipeline, "GET").arg(key);
/// }
/// let plan = PipelinePlan::new(&pipeline, &map, Access::Write, 0)?;
/// let hosts: Vec<&str> = plan.groups().iter().map(|group| group.node().host()).collect();
/// assert_eq!(hosts, ["a", "b"]);
/// // Where the reply to each command is: group, and place among its replies.
/// assert!(plan.replies().eq([(0, 0), (1, 0), (0, 1)]));
///
/// CommandWriter::new(&mut pipeline, "PING");
/// let refused = PipelinePlan::new(&pipeline, &map, Access::Write, 0).unwrap_err();
/// assert_eq!(refused.to_string(), "command 4 (PING): it has no key that says which node is to run it");
/// # Ok::<(), tidings_proto::cluster::PipelineRefusal>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct PipelinePlan {
    groups: Vec<NodeGroup>,
    /// By command: its group, and its place in it.
    places: Vec<(usize, usize)>,
}

/// The commands of a pipeline that go to one node.
#[derive(Clone, Debug)]
pub struct NodeGroup {
    node: Address,
    commands: Vec<GroupedCommand>,
    length: usize,
}

/// One command of a pipeline. See [`NodeGroup::commands`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupedCommand {
    number: usize,
    slot: Slot,
    bytes: Range<usize>,
}

/// A command because of which a pipeline is not sent, not even in part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PipelineRefusal {
    number: usize,
    shown: String,
    problem: Problem,
}

impl PipelineRefusal {
    /// Which command it is: 1 is the first.
    pub fn command(&self) -> usize {
        self.number
    }

    /// The command's name and arguments, cut at 100 characters, without passwords.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// What is wrong with it.
    pub fn problem(&self) -> Problem {
        self.problem
    }
}

impl fmt::Display for PipelineRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            number,
            shown,
            problem,
        } = self;
        write!(f, "command {number} ({shown}): {problem}")
    }
}

impl error::Error for PipelineRefusal {}

impl GroupedCommand {
    /// Which command of the pipeline it is, from 0 on.
    pub fn number(&self) -> usize {
        self.number
    }

    /// The slot of its keys.
    pub fn slot(&self) -> Slot {
        self.slot
    }

    /// Where it is in the pipeline's bytes.
    pub fn bytes(&self) -> Range<usize> {
        self.bytes.clone()
    }
}

impl NodeGroup {
    /// The node to send them to.
    pub fn node(&self) -> &Address {
        &self.node
    }

    /// The commands, in the order of the pipeline.
    pub fn commands(&self) -> &[GroupedCommand] {
        &self.commands
    }

    /// Their bytes, out of those of the pipeline.
    pub fn encoded(&self, pipeline: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.length);
        for command in &self.commands {
            out.extend_from_slice(pipeline.get(command.bytes()).unwrap_or_default());
        }
        out
    }
}

impl PipelinePlan {
    /// Groups the encoded commands of `pipeline`. What only reads goes to a replica if `reads` allows it; `turn` chooses
    /// which, for all of them the same. A slot that nobody is known for goes to some node, which knows better.
    ///
    /// # Errors
    ///
    /// The first command that is not for exactly one slot; also one with the keys of several slots that could be split,
    /// since no reply would be its own. Or no node is known at all.
    pub fn new(
        pipeline: &[u8],
        map: &SlotMap,
        reads: Access,
        turn: usize,
    ) -> Result<Self, PipelineRefusal> {
        let mut plan = Self::default();
        let mut group_at = HashMap::new();
        // By the place of a shard, for what writes and for what only reads.
        let mut group_of = vec![[None; 2]; map.shards().len()];
        let mut rest = pipeline;
        while let Some((command, tail)) = CommandRef::split_first(rest) {
            let start = pipeline.len().saturating_sub(rest.len());
            rest = tail;
            let number = plan.places.len().saturating_add(1);
            let refused = |problem| PipelineRefusal {
                number,
                shown: command.to_string(),
                problem,
            };
            let slot = match slot_of(command) {
                CommandSlot::One(slot) => Ok(slot),
                CommandSlot::Several => Err(Problem::SeveralSlots),
                CommandSlot::Keyless => Err(Problem::NoKey),
                CommandSlot::Unknown => Err(Problem::UnknownCommand),
            };
            let slot = slot.map_err(refused)?;
            let reads_only = reads != Access::Write && command.is_read_only();
            let known = map
                .place_of(slot)
                .and_then(|place| group_of.get_mut(place)?.get_mut(usize::from(reads_only)));
            let group = match known {
                Some(Some(group)) => *group,
                known => {
                    let access = if reads_only { reads } else { Access::Write };
                    let node = map
                        .node_for(slot, access, turn)
                        .or_else(|| map.any_node(access, turn));
                    let node = node.ok_or_else(|| refused(Problem::NoNode))?.address();
                    let group = *group_at.entry(node).or_insert_with(|| plan.begin(node));
                    if let Some(known) = known {
                        *known = Some(group);
                    }
                    group
                }
            };
            let length = command.as_bytes().len();
            plan.add(group, slot, start..start.saturating_add(length));
        }
        Ok(plan)
    }

    /// The groups, one for each node, in the order of their first commands.
    pub fn groups(&self) -> &[NodeGroup] {
        &self.groups
    }

    /// How many commands there are.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there is no command.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Where the replies are, in the order of the commands: the place of the group, and the place among its replies.
    pub fn replies(&self) -> impl ExactSizeIterator<Item = (usize, usize)> {
        self.places.iter().copied()
    }

    fn begin(&mut self, node: &Address) -> usize {
        self.groups.push(NodeGroup {
            node: node.clone(),
            commands: Vec::new(),
            length: 0,
        });
        self.groups.len().saturating_sub(1)
    }

    fn add(&mut self, group: usize, slot: Slot, bytes: Range<usize>) {
        let number = self.places.len();
        if let Some(chosen) = self.groups.get_mut(group) {
            self.places.push((group, chosen.commands.len()));
            chosen.length = chosen.length.saturating_add(bytes.len());
            chosen.commands.push(GroupedCommand {
                number,
                slot,
                bytes,
            });
        }
    }
}
