//! What became of the commands that were sent together.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;

use super::{
    FlightItem, PipelineCommands, PipelinePlan, RoutedCommand, mend::Frames, resend::Outcome,
};
use crate::cluster::{node::Address, redirect::Redirect, slot::Slot};
use crate::command::CommandRef;
use crate::error::{ProtocolError, ServerError};
use crate::resp::Reply;

/// What came of a group or a flight. `E` is what is said of a command that was lost.
#[derive(Clone, Debug)]
#[allow(
    clippy::exhaustive_structs,
    reason = "made by whoever sends: there is nothing else to tell"
)]
pub struct FlightAnswer<E> {
    /// Whole replies, in order: all of them unless there was a loss.
    pub parts: Vec<Bytes>,
    /// Why there are no more.
    pub loss: Option<Loss<E>>,
}

/// Why the last replies did not come.
#[derive(Clone, Debug)]
#[allow(
    clippy::exhaustive_structs,
    reason = "made by whoever sends: there is nothing else to tell"
)]
pub struct Loss<E> {
    /// How many bytes of the request had left; behind these nothing can have run.
    pub left: usize,
    /// What is said of a command that may have run.
    pub in_doubt: E,
    /// What is said of one that has not.
    pub unsent: E,
    /// Whether another attempt may help: what has not run, or only reads, is sent again.
    pub again: bool,
}

/// A command that has not run, or only reads, and is to be sent again.
#[derive(Clone, Debug)]
pub(super) struct Waiting<E> {
    pub(super) command: RoutedCommand,
    pub(super) why: Why<E>,
}

/// Why it was not run where it was sent.
#[derive(Clone, Debug)]
pub(super) enum Why<E> {
    /// As its reply says, which this node gave.
    Refused {
        redirect: Redirect,
        reply: Bytes,
        asked: Address,
    },
    /// There was no reply.
    Lost(E),
}

/// What became of the commands of a flight.
#[derive(Debug)]
pub(super) struct Settled<E> {
    /// In the order that they were sent in.
    pub(super) waiting: Vec<Waiting<E>>,
    /// By place in the pipeline. Of the first flight only those whose reply is not in its place.
    pub(super) ended: Vec<(usize, Outcome<E>)>,
}

/// Goes along what was sent and what came back.
pub(super) struct Settling<'a, E> {
    plan: &'a PipelinePlan,
    commands: PipelineCommands<'a>,
    /// The node.
    asked: &'a Address,
    /// Those of the first flight stay where they are.
    takes_replies: bool,
    waiting: Vec<Waiting<E>>,
    ended: Vec<(usize, Outcome<E>)>,
    /// Why a script could not be loaded, by script.
    not_loaded: HashMap<usize, Bytes>,
    refused: Refused<'a>,
}

/// Which commands were refused so far, by what others must not do behind them: run on the same key.
#[derive(Default)]
struct Refused<'a> {
    slots: HashSet<Slot>,
    /// By key, which of those that wait read and which write.
    readers: HashMap<&'a [u8], Vec<usize>>,
    writers: HashMap<&'a [u8], Vec<usize>>,
    /// By place among those that wait, the command that ran too early.
    overtaken: HashMap<usize, usize>,
}

impl<'a, E: Clone> Settling<'a, E> {
    pub(super) fn new(
        plan: &'a PipelinePlan,
        commands: PipelineCommands<'a>,
        asked: &'a Address,
        takes_replies: bool,
    ) -> Self {
        Self {
            plan,
            commands,
            asked,
            takes_replies,
            waiting: Vec::new(),
            ended: Vec::new(),
            not_loaded: HashMap::new(),
            refused: Refused::default(),
        }
    }

    /// # Errors
    ///
    /// The replies are no replies, or fewer than what was sent.
    pub(super) fn run(
        mut self,
        items: impl Iterator<Item = FlightItem>,
        answer: &FlightAnswer<E>,
    ) -> Result<Settled<E>, ProtocolError> {
        let mut frames = Frames::of(&answer.parts);
        let mut sent = 0_usize;
        for item in items {
            sent = sent.saturating_add(item.bytes(self.plan, self.commands).len());
            match (frames.next()?, &answer.loss) {
                (Some((reply, frame)), _) => self.answered(item, &reply, frame),
                (None, Some(loss)) => self.lost(item, sent <= loss.left, loss),
                (None, None) => {
                    let text = "there are fewer replies than commands in the pipeline";
                    return Err(ProtocolError::new(text));
                }
            }
        }
        Ok(self.settled())
    }

    fn answered(&mut self, item: FlightItem, reply: &Reply<'_>, frame: impl FnOnce() -> Bytes) {
        let command = match item {
            FlightItem::Command(command) => command,
            FlightItem::Load(script) => {
                if matches!(reply, Reply::Error(_)) {
                    self.not_loaded.insert(script, frame());
                }
                return;
            }
            FlightItem::Asking => return,
        };
        let error = match reply {
            Reply::Error(text) => Some(ServerError::new(text)),
            _ => None,
        };
        // In several slots it is for the server, whatever is known of it here: nobody runs it.
        let redirect = error.as_ref().and_then(Redirect::of);
        if let Some(redirect) = redirect.filter(|it| *it != Redirect::CrossSlot) {
            let asked = self.asked.clone();
            let reply = frame();
            return self.refuse(
                command,
                Why::Refused {
                    redirect,
                    reply,
                    asked,
                },
            );
        }
        self.note_ran(&command);
        let is_unknown = error.is_some_and(|error| error.code() == "NOSCRIPT");
        let why = command.script.filter(|_| is_unknown);
        // It may have been loaded before, and by somebody who may do that.
        let why = why.and_then(|script| self.not_loaded.get(&script));
        if let Some(why) = why {
            let outcome = Outcome::Reply(why.clone());
            self.ended.push((command.place, outcome));
        } else if self.takes_replies {
            self.ended.push((command.place, Outcome::Reply(frame())));
        }
    }

    fn lost(&mut self, item: FlightItem, left: bool, loss: &Loss<E>) {
        let FlightItem::Command(command) = item else {
            return;
        };
        match (left, loss.again) {
            (false, true) => self.refuse(command, Why::Lost(loss.unsent.clone())),
            (false, false) => {
                let outcome = Outcome::Failed(loss.unsent.clone());
                self.ended.push((command.place, outcome));
            }
            (true, true) if self.is_read_only(&command) => {
                self.refuse(command, Why::Lost(loss.in_doubt.clone()));
            }
            (true, _) => {
                self.note_ran(&command);
                let outcome = Outcome::Failed(loss.in_doubt.clone());
                self.ended.push((command.place, outcome));
            }
        }
    }

    fn refuse(&mut self, command: RoutedCommand, why: Why<E>) {
        let index = self.waiting.len();
        self.refused.slots.insert(command.slot);
        if let Some(view) = self.commands.at(&command.bytes) {
            let users = match view.is_read_only() {
                true => &mut self.refused.readers,
                false => &mut self.refused.writers,
            };
            for key in view.routing_keys() {
                users.entry(key).or_default().push(index);
            }
        }
        self.waiting.push(Waiting { command, why });
    }

    /// A command was run, or may have been: those that were refused before and have a key of it cannot be run any more
    /// without changing the order in which the pipeline has them. Reading twice is no change.
    fn note_ran(&mut self, command: &RoutedCommand) {
        if !self.refused.slots.contains(&command.slot) {
            return;
        }
        let Some(view) = self.commands.at(&command.bytes) else {
            return;
        };
        let Refused {
            readers,
            writers,
            overtaken,
            ..
        } = &mut self.refused;
        for key in view.routing_keys() {
            let mut overtake = |users: &mut HashMap<&[u8], Vec<usize>>| {
                for index in users.remove(key).into_iter().flatten() {
                    overtaken.entry(index).or_insert(command.place);
                }
            };
            overtake(writers);
            if !view.is_read_only() {
                overtake(readers);
            }
        }
    }

    fn is_read_only(&self, command: &RoutedCommand) -> bool {
        let view = self.commands.at(&command.bytes);
        view.is_some_and(CommandRef::is_read_only)
    }

    fn settled(mut self) -> Settled<E> {
        let mut overtaken = self.refused.overtaken;
        let mut still = Vec::with_capacity(self.waiting.len());
        for (index, waiting) in self.waiting.into_iter().enumerate() {
            let outcome = match (overtaken.remove(&index), waiting.why) {
                (Some(by), Why::Refused { reply, .. }) => Outcome::Overtaken { reply, by },
                // It reads, and would see what it may not.
                (Some(_), Why::Lost(error)) => Outcome::Failed(error),
                (None, why) => {
                    still.push(Waiting { why, ..waiting });
                    continue;
                }
            };
            self.ended.push((waiting.command.place, outcome));
        }
        Settled {
            waiting: still,
            ended: self.ended,
        }
    }
}
