//! What the servers say, and what it means for where names are.

use std::time::{Duration, Instant};

use super::lines::LineId;
use super::{KIND, LineOp, ShardedSubscriptions};
use crate::blob::Blob;
use crate::cluster::{Health, Node, Redirect};
use crate::error::ServerError;
use crate::pubsub::{GapCause, OpId, SubscriptionEvent, SubscriptionKind, Verb};

/// When a node is asked again that could not say where a slot is.
const AGAIN: Duration = Duration::from_millis(250);

/// For so long a request goes on for a name that no node takes, before it is told so.
const PATIENCE: Duration = Duration::from_secs(10);

/// So often it is sent elsewhere before, at least.
const REDIRECTIONS: u32 = 32;

/// When the map is read again after a server has ended a subscription: not all nodes know at once. Until they do a former primary
/// that has granted the subscription again is taken for the right one, and what is published at its successor may pass it by.
const FURTHER_LOOKS: [Duration; 4] = [
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
];

impl ShardedSubscriptions {
    /// Takes what came of a line's connection.
    pub fn handle_event(&mut self, id: LineId, event: SubscriptionEvent, now: Instant) {
        self.now = now;
        self.handle(id, event);
    }

    pub(super) fn handle(&mut self, id: LineId, event: SubscriptionEvent) {
        match event {
            SubscriptionEvent::Confirmed {
                verb, name, count, ..
            } => self.confirmed(id, verb, name, count),
            SubscriptionEvent::Refused { kind, name, error } => match Redirect::of(&error) {
                Some(redirect) if redirect != Redirect::CrossSlot => {
                    self.learn(id, &redirect);
                    self.move_on(id, &name);
                }
                _ => self
                    .events
                    .push_back(SubscriptionEvent::Refused { kind, name, error }),
            },
            SubscriptionEvent::Deferred { name, error } => {
                if let Some(redirect) = Redirect::of(&error) {
                    self.learn(id, &redirect);
                    self.avoid_if_unable(id, &redirect);
                    self.move_if_elsewhere(id, &name);
                }
            }
            SubscriptionEvent::Revoked { name } => {
                self.has_changed = true;
                if let (Some(home), Some(line)) = (self.homes.get_mut(&name), self.lines.get(&id)) {
                    home.left_at = Some(self.now);
                    let is_primary =
                        line.primary.as_ref().map(Node::address) == Some(&line.address);
                    home.sure_at = (!is_primary).then_some(line.whole_as_of(line.right_as_of));
                }
                self.refresh = true;
                self.ended_at = Some(self.now);
                self.plan_further_look();
                self.events.push_back(SubscriptionEvent::Revoked { name });
            }
            SubscriptionEvent::Done { op, refused } => self.done(id, op, refused),
            SubscriptionEvent::Gap {
                cause,
                since,
                names,
            } => {
                let since = self.sure_before(cause, since, &names);
                self.events.push_back(SubscriptionEvent::Gap {
                    cause,
                    since,
                    names,
                });
            }
            missed @ SubscriptionEvent::Missed { .. } => self.events.push_back(missed),
        }
    }

    /// Plans the next look at the map after a server has ended a subscription.
    pub(super) fn plan_further_look(&mut self) {
        let Some(ended_at) = self.ended_at else {
            return;
        };
        let mut looks = FURTHER_LOOKS.iter().map(|after| ended_at + *after);
        match looks.find(|at| *at > self.now) {
            Some(next) => {
                let planned = self.refresh_at.into_iter().chain([next]);
                self.refresh_at = planned.min();
            }
            None => self.ended_at = None,
        }
    }

    /// The last time at which surely nothing was missing. A replica that takes over may have been without its primary for a
    /// while before it said so.
    fn sure_before(
        &mut self,
        cause: GapCause,
        since: Instant,
        names: &[(SubscriptionKind, Blob)],
    ) -> Instant {
        let mut sure = since;
        for (_, name) in names {
            let sure_at = self
                .homes
                .get_mut(name)
                .and_then(|home| home.sure_at.take());
            if matches!(cause, GapCause::Failover | GapCause::NodeLeft) {
                sure = sure_at.map_or(sure, |at| at.min(sure));
            }
        }
        sure
    }

    fn confirmed(&mut self, id: LineId, verb: Verb, name: Blob, count: i64) {
        let Some(line) = self.lines.get_mut(&id) else {
            return;
        };
        line.told = if line.is_somewhere() { count } else { 0 };
        if verb == Verb::Subscribe
            && let Some(home) = self.homes.get_mut(&name)
        {
            if home.confirmed_on != id {
                home.confirmed_at = Some(line.address.clone());
                home.confirmed_on = id;
                home.came_at = self.now;
                home.saw_failover = false;
                home.granted_again_at = None;
            } else if home.left_at.is_some() {
                home.granted_again_at = Some(self.now);
            }
            home.left_at = None;
            home.redirected = 0;
            home.refused_since = None;
        }
        if verb == Verb::Unsubscribe && !line.subscriptions.knows(KIND, &name) {
            self.homes.remove(&name);
            self.has_changed = true;
        }
        let count = self.count();
        self.events.push_back(SubscriptionEvent::Confirmed {
            verb,
            kind: KIND,
            name,
            count,
        });
    }

    fn done(&mut self, id: LineId, op: OpId, refused: Vec<(Blob, ServerError)>) {
        match self.line_ops.remove(&(id, op)) {
            Some(LineOp::Unsubscribe(op, names)) => {
                if let Some(state) = self.ops.get_mut(&op) {
                    state.refused.extend(refused);
                }
                self.settle(op, names);
            }
            Some(LineOp::Subscribe(op, name)) => match refused.into_iter().next() {
                None => self.settle(op, 1),
                Some((_, error)) => self.refused(id, op, name, error),
            },
            None => {}
        }
    }

    /// A request for one name was refused by one node.
    fn refused(&mut self, id: LineId, op: OpId, name: Blob, error: ServerError) {
        let redirect = Redirect::of(&error);
        if let Some(redirect) = &redirect {
            self.learn(id, redirect);
            self.avoid_if_unable(id, redirect);
        }
        let now = self.now;
        let is_moved = matches!(redirect, Some(Redirect::Moved { .. }));
        // Without a home it has just been given up.
        let is_over = self.homes.get_mut(&name).is_none_or(|home| {
            let since = *home.refused_since.get_or_insert(now);
            let is_late = now.saturating_duration_since(since) >= PATIENCE;
            is_late && (!is_moved || home.redirected >= REDIRECTIONS)
        });
        let is_final = match redirect {
            None | Some(Redirect::CrossSlot) => true,
            Some(_) => is_over,
        };
        if is_final {
            if let Some(line) = self.lines.get(&id)
                && !line.subscriptions.knows(KIND, &name)
            {
                self.homes.remove(&name);
            }
            if let Some(state) = self.ops.get_mut(&op) {
                state.refused.push((name, error));
            }
            self.settle(op, 1);
            return;
        }
        self.ask_elsewhere(id, op, &name, is_moved);
    }

    /// Goes on with a request for a name elsewhere, or at the same node after a pause.
    fn ask_elsewhere(&mut self, id: LineId, op: OpId, name: &Blob, moved: bool) {
        let home = self.homes.get(name).map_or(id, |home| home.line);
        if home != id {
            // It has gone on already, for another request.
            self.await_at(home, op, name);
            return;
        }
        let Some(line) = self.lines.get_mut(&id) else {
            return;
        };
        if !line.subscriptions.knows(KIND, name) {
            // It was asked for the first time, and the line has forgotten it.
            line.subscriptions.adopt_new(KIND, name);
        } else if !line.subscriptions.is_wanted(KIND, name) {
            // A later request ends it.
            self.settle(op, 1);
            return;
        }
        self.await_at(id, op, name);
        if moved {
            self.move_on(id, name);
        } else {
            self.wait(id, name);
        }
    }

    /// Answers a request when a name is confirmed on a line.
    pub(super) fn await_at(&mut self, id: LineId, op: OpId, name: &Blob) {
        if let Some(line) = self.lines.get_mut(&id) {
            let line_op = line.subscriptions.wait_for(KIND, name);
            self.line_ops
                .insert((id, line_op), LineOp::Subscribe(op, name.clone()));
            self.stir(id);
        }
    }

    /// Asks for a name again a little later.
    fn wait(&mut self, id: LineId, name: &Blob) {
        if let Some(moving) = self.take_off(id, name) {
            self.park(id, moving, AGAIN);
        }
    }

    /// Takes note of what a redirection says of the map.
    fn learn(&mut self, id: LineId, redirect: &Redirect) {
        self.has_changed = true;
        if let Redirect::Moved { slot, to, .. } = redirect
            && let Some(line) = self.lines.get(&id)
        {
            let asked = line.address.clone();
            let address = to.told_by(&asked);
            let node = self.map.node_at(&address);
            if node.is_none_or(|node| node.health() != Health::Failed) {
                self.map.learn_moved(*slot, &address);
            }
            self.moved.push_back((*slot, to.clone(), asked));
        } else {
            self.refresh = true;
        }
    }

    /// A node that has no data set yet, or none of its primary's, may be like that for long.
    fn avoid_if_unable(&mut self, id: LineId, redirect: &Redirect) {
        if matches!(redirect, Redirect::Loading | Redirect::PrimaryDown)
            && let Some(line) = self.lines.get(&id)
        {
            let (address, now) = (line.address.clone(), self.now);
            self.avoid(&address, now);
        }
    }
}
