//! The commands of a pipeline that were not run where they were sent: where they go next, and in which order.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{
    Flight, FlightAnswer, FlightItem, NodeGroup, PipelineCommands, PipelinePlan, RoutedCommand,
    settle::{Settled, Settling, Waiting, Why},
};
use crate::cluster::{
    map::Access,
    node::Address,
    redirect::{Next, Redirect, RedirectLimits, Redirections},
    slot::Slot,
};
use crate::error::ProtocolError;

/// The commands of one group that were not run where they were sent.
///
/// Each is followed as one that was sent alone. What keeps their order:
///
/// - Those of one slot go on in the order of the pipeline, and only as far as they go to the same node. The others wait
///   until these are answered.
/// - One with several keys of a slot that is on its way goes last, as it may be refused although those behind it are not.
/// - One is not sent again if one behind it with a key of its own has run already, unless both only read: it is
///   [overtaken](Outcome::Overtaken). That is where a node began to serve a slot in the middle of a pipeline, or had only
///   some of a command's keys.
///
/// A pure function of what it is given. The order of calls: [`begin`](Self::begin); then, as long as
/// [`next_round`](Self::next_round) gives a pause, that pause, [`flights`](Self::flights), and [`handle`](Self::handle)
/// for each of them; then [`into_ended`](Self::into_ended). [`poll_note`](Self::poll_note) says what others should know.
#[derive(Debug)]
pub struct Resend<E> {
    limits: RedirectLimits,
    queues: BTreeMap<Slot, Queue<E>>,
    ended: BTreeMap<usize, Outcome<E>>,
    notes: VecDeque<(Redirect, Address)>,
}

/// What became of a command that was not simply answered.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome<E> {
    /// It was answered, by whomever; or it was sent on for too long, and this is the last that was said.
    Reply(Bytes),
    /// It was refused with this reply, and not sent again, since a later one with a key of its own has run.
    #[non_exhaustive]
    Overtaken {
        /// The refusal.
        reply: Bytes,
        /// The later command's place in the pipeline.
        by: usize,
    },
    /// There is no reply.
    Failed(E),
}

/// The commands of one slot.
#[derive(Debug)]
struct Queue<E> {
    /// That of the first of them.
    way: Redirections,
    waiting: VecDeque<Waiting<E>>,
    /// Those in front have been answered, and nobody has refused those that come next: they go on without a pause.
    goes_on: bool,
}

impl<E: Clone> Resend<E> {
    /// Takes what came of a group of the plan.
    ///
    /// # Errors
    ///
    /// The replies are no replies, or fewer than what was sent.
    pub fn begin(
        plan: &PipelinePlan,
        group: usize,
        commands: PipelineCommands<'_>,
        answer: &FlightAnswer<E>,
        limits: RedirectLimits,
        now: Instant,
    ) -> Result<Self, ProtocolError> {
        let mut resend = Self {
            limits,
            queues: BTreeMap::new(),
            ended: BTreeMap::new(),
            notes: VecDeque::new(),
        };
        if let Some(node) = plan.groups().get(group).map(NodeGroup::node) {
            let items = plan.items(group, commands);
            let settled = Settling::new(plan, commands, node, false).run(items, answer)?;
            resend.take(settled, now);
        }
        Ok(resend)
    }

    /// Takes what came of a flight.
    ///
    /// # Errors
    ///
    /// The replies are no replies, or fewer than what was sent. Nothing has changed then.
    pub fn handle(
        &mut self,
        plan: &PipelinePlan,
        commands: PipelineCommands<'_>,
        flight: &Flight,
        answer: &FlightAnswer<E>,
        now: Instant,
    ) -> Result<(), ProtocolError> {
        let items = flight.items.iter().cloned();
        let settled = Settling::new(plan, commands, &flight.to, true).run(items, answer)?;
        let refused: Vec<usize> = settled
            .waiting
            .iter()
            .map(|waiting| waiting.command.place)
            .collect();
        // Of each slot, whether its first command has been answered.
        let mut seen: HashMap<Slot, bool> = HashMap::new();
        for command in flight.commands() {
            let answered = refused.binary_search(&command.place).is_err();
            seen.entry(command.slot).or_insert(answered);
        }
        self.take(settled, now);
        for (slot, progress) in seen {
            if progress && let Some(queue) = self.queues.get_mut(&slot) {
                queue.way = Redirections::new(&self.limits, now);
                let first = queue.waiting.front();
                queue.goes_on =
                    first.is_some_and(|it| refused.binary_search(&it.command.place).is_err());
            }
        }
        self.queues.retain(|_, queue| !queue.waiting.is_empty());
        Ok(())
    }

    fn take(&mut self, settled: Settled<E>, now: Instant) {
        self.ended.extend(settled.ended);
        let mut told = HashSet::new();
        // In front of those that have waited for them.
        for waiting in settled.waiting.into_iter().rev() {
            let slot = waiting.command.slot;
            if let Why::Refused {
                redirect, asked, ..
            } = &waiting.why
                && redirect.is_map_old()
                && told.insert(slot)
            {
                self.notes.push_back((redirect.clone(), asked.clone()));
            }
            let queue = self.queues.entry(slot).or_insert_with(|| Queue {
                way: Redirections::new(&self.limits, now),
                waiting: VecDeque::new(),
                goes_on: false,
            });
            queue.waiting.push_front(waiting);
        }
    }

    /// What a node said that is news to the map of the cluster, and which node.
    pub fn poll_note(&mut self) -> Option<(Redirect, Address)> {
        self.notes.pop_front()
    }

    /// How long to wait before the next flights; `None` if there are none, and all commands have come to an end.
    pub fn next_round(&mut self, now: Instant) -> Option<Duration> {
        let mut longest = None;
        for queue in self.queues.values_mut() {
            match queue.pause(now) {
                Some(pause) => longest = longest.max(Some(pause)),
                None => {
                    for Waiting { command, why } in queue.waiting.drain(..) {
                        self.ended.insert(command.place, why.last_word());
                    }
                }
            }
        }
        self.queues.retain(|_, queue| !queue.waiting.is_empty());
        longest
    }

    /// What is sent next. `find` says which node is the one for a slot, for all of one call the same; where it knows none,
    /// `nowhere` is what is said of the command.
    pub fn flights(
        &mut self,
        commands: PipelineCommands<'_>,
        nowhere: &E,
        mut find: impl FnMut(Slot, Access) -> Option<Address>,
    ) -> Vec<Flight> {
        let mut by_node: BTreeMap<Address, Vec<(RoutedCommand, bool)>> = BTreeMap::new();
        for queue in self.queues.values_mut() {
            let Some(to) = queue.first_goes(&mut find) else {
                if let Some(first) = queue.waiting.front_mut() {
                    first.why = Why::Lost(nowhere.clone());
                }
                continue;
            };
            let flight = by_node.entry(to.clone()).or_default();
            while queue.first_goes(&mut find).as_ref() == Some(&to)
                && let Some(Waiting { command, why }) = queue.waiting.pop_front()
            {
                let is_last = why.is_on_its_way() && has_several_keys(&command, commands);
                flight.push((command, why.is_ask()));
                if is_last {
                    break;
                }
            }
        }
        let flights = by_node
            .into_iter()
            .filter(|(_, commands)| !commands.is_empty());
        flights
            .map(|(to, commands)| Flight::of(to, commands))
            .collect()
    }

    /// What became of the commands, by their places in the pipeline. Those that the group's node answered are not among them.
    pub fn into_ended(self) -> BTreeMap<usize, Outcome<E>> {
        self.ended
    }
}

impl<E> Queue<E> {
    /// How long to wait before the next attempt; `None` if there is to be none.
    fn pause(&mut self, now: Instant) -> Option<Duration> {
        if std::mem::take(&mut self.goes_on) {
            return Some(Duration::ZERO);
        }
        let next = match &self.waiting.front()?.why {
            Why::Refused { redirect, .. } => self.way.next(redirect, now),
            Why::Lost(_) => self.way.next_after_loss(now),
        };
        match next {
            Next::To { pause, .. } | Next::LookUp { pause, .. } => Some(pause),
            Next::GiveUp => None,
        }
    }

    /// Where the first command goes.
    fn first_goes(&self, find: impl FnOnce(Slot, Access) -> Option<Address>) -> Option<Address> {
        let Waiting { command, why } = self.waiting.front()?;
        let access = match why {
            Why::Refused {
                redirect: Redirect::Moved { to, .. } | Redirect::Ask { to, .. },
                asked,
                ..
            } => return Some(to.told_by(asked)),
            // The replica that said so cannot serve.
            Why::Refused {
                redirect: Redirect::Loading | Redirect::PrimaryDown,
                ..
            } => Access::Write,
            Why::Refused { .. } | Why::Lost(_) => command.access,
        };
        find(command.slot, access)
    }
}

impl<E> Why<E> {
    /// What is said of a command that is not sent again.
    fn last_word(self) -> Outcome<E> {
        match self {
            Self::Refused { reply, .. } => Outcome::Reply(reply),
            Self::Lost(error) => Outcome::Failed(error),
        }
    }

    fn redirect(&self) -> Option<&Redirect> {
        match self {
            Self::Refused { redirect, .. } => Some(redirect),
            Self::Lost(_) => None,
        }
    }

    fn is_ask(&self) -> bool {
        matches!(self.redirect(), Some(Redirect::Ask { .. }))
    }

    /// The slot is between two nodes.
    fn is_on_its_way(&self) -> bool {
        self.is_ask() || self.redirect() == Some(&Redirect::TryAgain)
    }
}

fn has_several_keys(command: &RoutedCommand, commands: PipelineCommands<'_>) -> bool {
    let view = commands.at(&command.bytes);
    view.is_some_and(|view| view.routing_keys().nth(1).is_some())
}

impl Flight {
    /// Commands, and whether each is behind an `ASKING`.
    fn of(to: Address, mut commands: Vec<(RoutedCommand, bool)>) -> Self {
        // Those of one slot are in order already.
        commands.sort_by_key(|(command, _)| command.place);
        let mut items = Vec::with_capacity(commands.len());
        let mut loaded = Vec::new();
        for (command, asking) in commands {
            if let Some(script) = command.script
                && !loaded.contains(&script)
            {
                items.push(FlightItem::Load(script));
                loaded.push(script);
            }
            if asking {
                items.push(FlightItem::Asking);
            }
            items.push(FlightItem::Command(command));
        }
        Self { to, items }
    }
}
