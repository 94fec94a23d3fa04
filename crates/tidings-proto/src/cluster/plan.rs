//! Which nodes a command goes to.

#[cfg(test)]
mod tests;

use std::{error, fmt};

use super::{
    merge::Merge,
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

impl<'a> CommandRef<'a> {
    /// What says where it goes: its keys, or of one that nobody knows its first argument.
    pub(super) fn routing_keys(self) -> impl Iterator<Item = &'a [u8]> {
        let guessed = match self.is_known() {
            true => None,
            false => self.args().next(),
        };
        self.keys().chain(guessed)
    }
}

/// In which slots a command belongs; of one that nobody knows, what its first argument says.
pub(super) fn slot_of(command: CommandRef<'_>) -> CommandSlot {
    match command.slot() {
        CommandSlot::Unknown => match command.args().next() {
            Some(first) => CommandSlot::One(Slot::of_key(first)),
            None => CommandSlot::Unknown,
        },
        known => known,
    }
}
