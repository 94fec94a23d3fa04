//! The commands of a pipeline, by the nodes that run them.

use std::{error, fmt, ops::Range};

use super::{FlightItem, RoutedCommand};
use crate::cluster::{
    map::{Access, SlotMap},
    node::Address,
    plan::{Problem, slot_of},
    slot::{CommandSlot, Slot},
};
use crate::command::CommandRef;

/// The encoded commands of a pipeline, one behind the other.
///
/// Some of them may load a script (`SCRIPT LOAD`) for others that call it by its digest. Nobody asked for their replies,
/// and each node gets those that it needs. They are not counted among the commands.
#[derive(Clone, Copy, Debug, Default)]
pub struct PipelineCommands<'a> {
    bytes: &'a [u8],
    loads: &'a [usize],
    calls: &'a [(usize, usize)],
}

impl<'a> PipelineCommands<'a> {
    /// Commands none of which loads a script.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            loads: &[],
            calls: &[],
        }
    }

    /// The same with scripts. `loads` says by script which of the encoded commands loads it, from 0 on; `calls` which of those
    /// that load none calls a script, from 0 on, and which script. Both are in order.
    #[must_use]
    pub fn with_scripts(self, loads: &'a [usize], calls: &'a [(usize, usize)]) -> Self {
        Self {
            loads,
            calls,
            ..self
        }
    }

    /// The bytes.
    pub fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// The script that a command calls.
    fn script_of(self, place: usize) -> Option<usize> {
        let call = self.calls.binary_search_by_key(&place, |(call, _)| *call);
        self.calls.get(call.ok()?).map(|(_, script)| *script)
    }

    /// The commands in a range of the bytes, and where they lie.
    fn split(
        self,
        range: &Range<usize>,
    ) -> impl Iterator<Item = (CommandRef<'a>, Range<usize>)> + use<'a> {
        let (mut start, end) = (range.start, range.end);
        std::iter::from_fn(move || {
            let (command, _) = CommandRef::split_first(self.bytes.get(start..end)?)?;
            let range = start..start.saturating_add(command.as_bytes().len());
            start = range.end;
            Some((command, range))
        })
    }

    /// The command in this range of the bytes.
    pub(super) fn at(self, range: &Range<usize>) -> Option<CommandRef<'a>> {
        let (command, _) = CommandRef::split_first(self.bytes.get(range.clone())?)?;
        Some(command)
    }
}

/// The commands of a pipeline, grouped by the nodes that run them.
///
/// Each node gets its commands in the order of the pipeline, and so keeps the order of those on one key. Between nodes
/// there is no order. A read that goes to a replica may not see what the same pipeline wrote.
///
/// ```
/// use tidings_proto::CommandWriter;
/// use tidings_proto::cluster::{Access, Address, PipelineCommands, PipelinePlan, Slot, SlotMap};
///
/// let mut map = SlotMap::new();
/// map.learn_moved(Slot::of_key(b"foo"), &Address::new("a", 7000));
/// map.learn_moved(Slot::of_key(b"bar"), &Address::new("b", 7000));
/// let node = |slot, access| Some(map.node_for(slot, access, 0)?.address().clone());
/// let mut pipeline = Vec::new();
/// for key in ["foo", "bar", "foo"] {
///     CommandWriter::new(&mut pipeline, "GET").arg(key);
/// }
/// let plan = PipelinePlan::new(PipelineCommands::new(&pipeline), &map, Access::Write, node)?;
/// let hosts: Vec<&str> = plan.groups().iter().map(|group| group.node().host()).collect();
/// assert_eq!(hosts, ["a", "b"]);
/// // In which group the reply to each command is.
/// assert_eq!(plan.order(), [0, 1, 0]);
///
/// CommandWriter::new(&mut pipeline, "PING");
/// let refused = PipelinePlan::new(PipelineCommands::new(&pipeline), &map, Access::Write, node).unwrap_err();
/// assert_eq!(refused.to_string(), "command 4 (PING): it has no key that says which node is to run it");
/// # Ok::<(), tidings_proto::cluster::PipelineRefusal>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct PipelinePlan {
    groups: Vec<NodeGroup>,
    /// By command: its group. There are no more groups than slots, one for those that write and one for those that read.
    order: Vec<u16>,
    /// Where the commands lie that load the scripts.
    loads: Vec<Range<usize>>,
    /// Where those may go that only read.
    reads: Access,
}

/// The commands of a pipeline that go to one node.
#[derive(Clone, Debug)]
pub struct NodeGroup {
    node: Address,
    /// Where they lie in the pipeline's bytes: those that lie behind each other as one.
    pieces: Vec<Range<usize>>,
    /// How many bytes they have.
    length: usize,
    /// How many bytes the first of them has.
    first: usize,
    commands: usize,
    loads: Vec<GroupLoad>,
}

/// A script that a node is given.
#[derive(Clone, Copy, Debug)]
struct GroupLoad {
    /// How many of the group's commands stand before.
    before: usize,
    script: usize,
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

impl NodeGroup {
    fn new(node: Address) -> Self {
        Self {
            node,
            pieces: Vec::new(),
            length: 0,
            first: 0,
            commands: 0,
            loads: Vec::new(),
        }
    }

    /// The node to send them to.
    pub fn node(&self) -> &Address {
        &self.node
    }

    /// Where what is sent lies in the pipeline's bytes, piece by piece.
    pub fn pieces(&self) -> &[Range<usize>] {
        &self.pieces
    }

    /// How many bytes all pieces have.
    pub fn length(&self) -> usize {
        self.length
    }

    /// How many bytes have to leave before any of them can run.
    pub fn first_length(&self) -> usize {
        self.first
    }

    /// How many replies come: one a command, and one a script that is loaded.
    pub fn replies(&self) -> usize {
        self.commands.saturating_add(self.loads.len())
    }

    /// Whether the node is given scripts, so that not all replies are for the caller.
    pub fn has_loads(&self) -> bool {
        !self.loads.is_empty()
    }

    /// What is sent, in one piece.
    pub fn encoded(&self, commands: PipelineCommands<'_>) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.length);
        for piece in &self.pieces {
            out.extend_from_slice(commands.bytes.get(piece.clone()).unwrap_or_default());
        }
        out
    }

    #[inline]
    fn add(&mut self, range: Range<usize>) {
        let length = range.len();
        if self.length == 0 {
            self.first = length;
        }
        self.length = self.length.saturating_add(length);
        match self.pieces.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => self.pieces.push(range),
        }
    }

    fn needs(&self, script: usize) -> bool {
        self.loads.iter().all(|load| load.script != script)
    }
}

impl PipelinePlan {
    /// Groups the commands by the nodes that `node` says, which is asked once for each shard of the map, and for each
    /// command on a slot that no shard is known for. What only reads may go where `reads` allows it.
    ///
    /// # Errors
    ///
    /// The first command that is not for exactly one slot; also one with the keys of several slots that could be split,
    /// since no reply would be its own. Or `node` knows none.
    pub fn new(
        commands: PipelineCommands<'_>,
        map: &SlotMap,
        reads: Access,
        mut node: impl FnMut(Slot, Access) -> Option<Address>,
    ) -> Result<Self, PipelineRefusal> {
        let mut plan = Self {
            reads,
            ..Self::default()
        };
        // By the place of a shard, for what writes and for what only reads.
        let mut group_of = vec![[None; 2]; map.shards().len()];
        let mut calls = commands.calls.iter().peekable();
        let mut rest = commands.bytes;
        let mut index = 0_usize;
        while let Some((command, tail)) = CommandRef::split_first(rest) {
            let start = commands.bytes.len().saturating_sub(rest.len());
            let range = start..start.saturating_add(command.as_bytes().len());
            rest = tail;
            let is_load = commands.loads.get(plan.loads.len()) == Some(&index);
            index = index.saturating_add(1);
            if is_load {
                plan.loads.push(range);
                continue;
            }
            let refused = |problem| PipelineRefusal {
                number: plan.order.len().saturating_add(1),
                shown: command.to_string(),
                problem,
            };
            let slot = one_slot(command).map_err(refused)?;
            let access = access(command, reads);
            let known = map.place_of(slot).and_then(|place| {
                group_of
                    .get_mut(place)?
                    .get_mut(usize::from(access != Access::Write))
            });
            let group = match known {
                Some(Some(group)) => *group,
                known => {
                    let address = node(slot, access).ok_or_else(|| refused(Problem::NoNode))?;
                    let group = plan.group_at(address);
                    if let Some(known) = known {
                        *known = Some(group);
                    }
                    group
                }
            };
            let call = calls.next_if(|(call, _)| *call == plan.order.len());
            plan.add(group, range, call.map(|(_, script)| *script));
        }
        Ok(plan)
    }

    fn group_at(&mut self, node: Address) -> u16 {
        let known = self.groups.iter().position(|group| group.node == node);
        let group = known.unwrap_or_else(|| {
            self.groups.push(NodeGroup::new(node));
            self.groups.len().saturating_sub(1)
        });
        u16::try_from(group).unwrap_or(u16::MAX)
    }

    #[inline]
    fn add(&mut self, number: u16, range: Range<usize>, script: Option<usize>) {
        let Some(group) = self.groups.get_mut(usize::from(number)) else {
            return;
        };
        if let Some(script) = script
            && group.needs(script)
            && let Some(load) = self.loads.get(script)
        {
            group.add(load.clone());
            group.loads.push(GroupLoad {
                before: group.commands,
                script,
            });
        }
        group.add(range);
        group.commands = group.commands.saturating_add(1);
        self.order.push(number);
    }

    /// The groups, one for each node, in the order of their first commands.
    pub fn groups(&self) -> &[NodeGroup] {
        &self.groups
    }

    /// How many commands there are.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether there is no command.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// By command, the place of the group that its reply is in; among those of a group, replies are in the order of the
    /// commands.
    pub fn order(&self) -> &[u16] {
        &self.order
    }

    /// What each of the replies of a group is for: the place of a command in the pipeline, or none, as a script is loaded.
    pub fn replies_of(&self, group: usize) -> impl Iterator<Item = Option<usize>> {
        let loads = self.groups.get(group).map_or(&[][..], |group| &group.loads);
        let mut loads = loads.iter().peekable();
        let mut places = self
            .order
            .iter()
            .enumerate()
            .filter_map(move |(place, it)| (usize::from(*it) == group).then_some(place));
        let mut before = 0_usize;
        std::iter::from_fn(move || {
            if loads.next_if(|load| load.before == before).is_some() {
                return Some(None);
            }
            before = before.saturating_add(1);
            places.next().map(Some)
        })
    }

    /// What is sent to the node of a group, one by one.
    pub(super) fn items<'a>(
        &'a self,
        group: usize,
        commands: PipelineCommands<'a>,
    ) -> impl Iterator<Item = FlightItem> + 'a {
        let chosen = self.groups.get(group);
        let loads = chosen.map_or(&[][..], |group| &group.loads);
        let mut scripts = loads.iter().map(|load| load.script);
        let pieces = chosen.map_or(&[][..], |group| &group.pieces);
        let mut sent = pieces.iter().flat_map(move |piece| commands.split(piece));
        self.replies_of(group).map_while(move |place| {
            let (command, bytes) = sent.next()?;
            let Some(place) = place else {
                return Some(FlightItem::Load(scripts.next()?));
            };
            Some(FlightItem::Command(RoutedCommand {
                place,
                slot: one_slot(command).ok()?,
                access: access(command, self.reads),
                script: commands.script_of(place),
                bytes,
            }))
        })
    }

    /// Where the commands lie that load the scripts.
    pub(super) fn loads(&self) -> &[Range<usize>] {
        &self.loads
    }
}

/// The slot that a command is for, if it is one.
fn one_slot(command: CommandRef<'_>) -> Result<Slot, Problem> {
    match slot_of(command) {
        CommandSlot::One(slot) => Ok(slot),
        CommandSlot::Several => Err(Problem::SeveralSlots),
        CommandSlot::Keyless => Err(Problem::NoKey),
        CommandSlot::Unknown => Err(Problem::UnknownCommand),
    }
}

fn access(command: CommandRef<'_>, reads: Access) -> Access {
    if reads != Access::Write && command.is_read_only() {
        reads
    } else {
        Access::Write
    }
}
