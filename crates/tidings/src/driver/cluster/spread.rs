//! The commands of a pipeline, spread over the nodes of a cluster.

use std::sync::Arc;

use tidings_proto::Charset;
use tidings_proto::cluster::{NodeGroup, PipelineCommands, PipelinePlan, PipelineRefusal, Problem};

use super::Cluster;
use crate::driver::body::{Batch, Content, Gathered, Patience};
use crate::error::Error;

/// The commands of a pipeline, and which node gets which of them. Each node's lie where they were gathered, and are sent
/// from there.
#[derive(Debug)]
pub(crate) struct Spread {
    gathered: Gathered,
    plan: PipelinePlan,
}

impl Spread {
    /// # Errors
    ///
    /// The first command that is not for exactly one slot; or no node is known.
    pub(crate) fn new(cluster: &Cluster, gathered: Gathered) -> Result<Self, Error> {
        let (routes, turn) = (cluster.routes(), cluster.next_turn());
        let commands = commands_of(&gathered);
        let plan = PipelinePlan::new(commands, routes.map(), cluster.reads(), |slot, access| {
            routes.node_for(slot, access, turn)
        });
        Ok(Self {
            plan: plan.map_err(|refusal| refused(&refusal))?,
            gathered,
        })
    }

    pub(super) fn plan(&self) -> &PipelinePlan {
        &self.plan
    }

    pub(super) fn commands(&self) -> PipelineCommands<'_> {
        commands_of(&self.gathered)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        bytes_of(&self.gathered)
    }

    pub(crate) fn group(&self, group: usize) -> &NodeGroup {
        &self.plan.groups()[group]
    }

    /// By command, the group that its reply is in.
    pub(crate) fn order(&self) -> &[u16] {
        self.plan.order()
    }

    /// Which of all commands load a script for others.
    pub(crate) fn loads(&self) -> &[usize] {
        &self.gathered.loads
    }

    pub(crate) fn charset(&self) -> Charset {
        self.gathered.charset
    }

    /// What is sent to the node of a group.
    pub(super) fn batch(self: &Arc<Self>, group: usize) -> Batch {
        let sent = self.group(group);
        let patience = self.patience(|| {
            let pieces = sent.pieces().iter();
            let patiences = pieces.map(|piece| Patience::of_all(&self.bytes()[piece.clone()]));
            patiences.fold(Patience::Usual, Patience::and)
        });
        Batch {
            content: Content::Group(Arc::clone(self), group),
            commands: sent.replies(),
            harmless: sent.first_length(),
            piecemeal: true,
            patience,
            ..Batch::default()
        }
    }

    /// That of some of the commands, which is looked for only if any of them blocks.
    pub(super) fn patience(&self, of: impl FnOnce() -> Patience) -> Patience {
        match self.gathered.patience {
            Patience::Usual => Patience::Usual,
            _ => of(),
        }
    }
}

fn bytes_of(gathered: &Gathered) -> &[u8] {
    &gathered.bytes[gathered.inner.clone()]
}

fn commands_of(gathered: &Gathered) -> PipelineCommands<'_> {
    PipelineCommands::new(bytes_of(gathered)).with_scripts(&gathered.loads, &gathered.calls)
}

fn refused(refusal: &PipelineRefusal) -> Error {
    let why = match refusal.problem() {
        Problem::NoNode => return super::follow::no_node(),
        Problem::SeveralSlots => {
            "its keys are in several slots, and in a pipeline each command is for one: keys with the same {tag} are together"
        }
        Problem::NoKey => {
            "it has no key that says which node is to run it: run it by itself, or on each node by run_on_nodes"
        }
        _ => "it is not known which node it is for",
    };
    let (number, shown) = (refusal.command(), refusal.shown());
    Error::misuse(why).of_command(number, shown, "cannot be sent")
}
