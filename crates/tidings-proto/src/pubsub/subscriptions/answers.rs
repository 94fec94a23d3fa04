//! What the server answers, and what it means for each name.

use std::time::{Duration, Instant};

use super::Subscriptions;
use super::burst::Origin;
use super::kinds::{GapCause, SubscriptionEvent, SubscriptionKind, Verb};
use crate::blob::Blob;
use crate::error::{ProtocolError, ServerError};

/// When a server that was busy or loading is asked again.
const BUSY_RETRY: Duration = Duration::from_millis(250);

/// When a name that was refused is asked for again: its permission may have come back.
const REFUSED_RETRY: Duration = Duration::from_secs(30);

impl Subscriptions {
    /// The confirmation of one name. Says whether the oldest command on the wire is answered by it.
    ///
    /// # Errors
    ///
    /// A confirmation that nothing on the wire asked for: the stream is out of step. (`expected` says whether
    /// the oldest expected reply is a subscription command at all.)
    pub fn handle_confirmation(
        &mut self,
        verb: Verb,
        kind: SubscriptionKind,
        name: Option<&[u8]>,
        count: i64,
        expected: bool,
        now: Instant,
    ) -> Result<bool, ProtocolError> {
        let revocable = verb == Verb::Unsubscribe && kind == SubscriptionKind::Shard;
        let head = self.sent.front_mut().filter(|_| expected);
        let (Some(burst), Some(name)) = (head, name) else {
            return match name {
                Some(name) if revocable => {
                    self.revoked(name, now);
                    Ok(false)
                }
                _ => Err(out_of_step(verb, kind, name)),
            };
        };
        let same = burst.verb == verb && burst.kind == kind;
        let next = burst
            .names
            .get(burst.answered)
            .filter(|next| same && ***next == *name);
        let Some(next) = next.cloned() else {
            if revocable {
                let fenced = same && burst.names.iter().any(|one| **one == *name);
                if !fenced {
                    self.revoked(name, now);
                }
                return Ok(false);
            }
            return Err(out_of_step(verb, kind, Some(name)));
        };
        burst.answered = burst.answered.saturating_add(1);
        let complete = verb == Verb::Subscribe && burst.answered == burst.names.len();
        let origin = burst.origin;
        match verb {
            Verb::Subscribe => self.granted(kind, next, count, origin),
            Verb::Unsubscribe => self.ended(kind, next, Some(count)),
        }
        if complete {
            self.retire();
        }
        if verb == Verb::Subscribe {
            self.settle(origin, 1);
        }
        Ok(complete)
    }

    /// An error reply to the oldest command on the wire. Says whether that command is answered by it.
    ///
    /// # Errors
    ///
    /// An error in the middle of a command's confirmations: the stream is out of step.
    pub fn handle_error(
        &mut self,
        error: &ServerError,
        now: Instant,
    ) -> Result<bool, ProtocolError> {
        let Some(burst) = self.sent.front_mut() else {
            return Err(ProtocolError::new("an error reply to no command"));
        };
        if burst.verb == Verb::Unsubscribe {
            if burst.failed || burst.answered == burst.names.len() {
                // The PING itself was refused: it has fenced all the same.
                return Ok(self.handle_pong());
            }
            // Valkey 8.0 refuses to unsubscribe what is not subscribed: it is not subscribed, then.
            burst.failed = true;
            return Ok(false);
        }
        if burst.answered > 0 {
            return Err(ProtocolError::new(
                "an error reply among the confirmations of a command",
            ));
        }
        let Some(mut burst) = self.retire() else {
            return Ok(true);
        };
        if burst.names.len() > 1 {
            // One refused name refuses the whole command. Asked for alone, at once and in order, the others cost
            // one more round trip, and their confirmations keep their order.
            for single in burst.singles().rev() {
                self.queued.push_front(single);
            }
        } else if let Some(name) = burst.names.pop() {
            self.refused(burst.kind, &name, error, burst.origin, now);
        }
        Ok(true)
    }

    /// The answer to the PING behind an unsubscription, in either shape. Says whether one was expected.
    pub fn handle_pong(&mut self) -> bool {
        if self
            .sent
            .front()
            .is_none_or(|burst| burst.verb == Verb::Subscribe)
        {
            return false;
        }
        let Some(burst) = self.retire() else {
            return false;
        };
        let all = burst.names.len();
        for name in burst.names.into_iter().skip(burst.answered) {
            self.ended(burst.kind, name, None);
        }
        self.settle(burst.origin, all);
        true
    }

    // ---- what happens to one name ----

    fn granted(&mut self, kind: SubscriptionKind, name: Blob, count: i64, origin: Origin) {
        let table = self.table_mut(kind);
        let mut missed = None;
        if let Some(entry) = table.entries.get_mut(&name) {
            table.confirmed = table
                .confirmed
                .saturating_add(usize::from(!entry.confirmed));
            entry.confirmed = true;
            entry.established = true;
            entry.refused = None;
            missed = entry.missed.take();
        }
        self.events.push_back(SubscriptionEvent::Confirmed {
            verb: Verb::Subscribe,
            kind,
            name: name.clone(),
            count,
        });
        if origin == Origin::Replay {
            self.settle_waiting(kind, &name);
        }
        if let Some(missed) = missed {
            self.gap_names.push(name);
            let earliest = self.gap.filter(|gap| gap.0 <= missed.0).unwrap_or(missed);
            self.gap = Some(earliest);
            if self.replay_open == 0 {
                self.tell_gap();
            }
        }
    }

    /// The end of a subscription, with the server's count or, where it gave none, ours.
    pub(super) fn ended(&mut self, kind: SubscriptionKind, name: Blob, count: Option<i64>) {
        let table = self.table_mut(kind);
        if let Some(entry) = table.entries.get_mut(&name) {
            table.confirmed = table.confirmed.saturating_sub(usize::from(entry.confirmed));
            entry.confirmed = false;
            if !entry.wanted {
                table.entries.remove(&name);
            }
        }
        let count = count.unwrap_or_else(|| self.count(kind));
        self.events.push_back(SubscriptionEvent::Confirmed {
            verb: Verb::Unsubscribe,
            kind,
            name,
            count,
        });
    }

    fn refused(
        &mut self,
        kind: SubscriptionKind,
        name: &Blob,
        error: &ServerError,
        origin: Origin,
        now: Instant,
    ) {
        let waiting = match origin {
            Origin::Request(_) => Vec::new(),
            Origin::Replay => self
                .waiting
                .remove(&(kind, name.clone()))
                .unwrap_or_default(),
        };
        let table = self.table_mut(kind);
        let mut retry = None;
        if let Some(entry) = table.entries.get_mut(name).filter(|entry| !entry.confirmed) {
            if entry.established && entry.wanted {
                // It was subscribed once and is still wanted: say so once, and try again later.
                let busy = is_passing(error);
                let said = entry.refused.as_ref().is_some_and(|said| !is_passing(said));
                entry.refused = Some(error.clone());
                retry = Some(now + if busy { BUSY_RETRY } else { REFUSED_RETRY });
                if !said && !busy && origin == Origin::Replay {
                    self.events.push_back(SubscriptionEvent::Refused {
                        kind,
                        name: name.clone(),
                        error: error.clone(),
                    });
                }
            } else {
                table.wanted = table.wanted.saturating_sub(usize::from(entry.wanted));
                table.entries.remove(name);
            }
        }
        self.retry_at = self.retry_at.into_iter().chain(retry).min();
        let requests = match origin {
            Origin::Request(op) => vec![op],
            Origin::Replay => waiting,
        };
        for op in requests {
            if let Some(op) = self.ops.get_mut(&op) {
                op.refused.push((name.clone(), error.clone()));
            }
            self.settle(Origin::Request(op), 1);
        }
        if origin == Origin::Replay {
            self.settle(origin, 1);
        }
    }

    /// An unasked `sunsubscribe`. The node that sent it is often still the right one: ask it again.
    fn revoked(&mut self, name: &[u8], now: Instant) {
        let kind = SubscriptionKind::Shard;
        let table = self.table_mut(kind);
        let entry = table
            .entries
            .get_mut(name)
            .filter(|entry| entry.confirmed && entry.wanted);
        let Some(entry) = entry else { return };
        entry.confirmed = false;
        entry.missed = Some((now, GapCause::SlotMoved));
        table.confirmed = table.confirmed.saturating_sub(1);
        let name = Blob::copy_from(name);
        self.events
            .push_back(SubscriptionEvent::Revoked { name: name.clone() });
        self.replay(kind, vec![name]);
    }
}

/// Whether the server will answer otherwise soon.
fn is_passing(error: &ServerError) -> bool {
    matches!(
        error.code(),
        "BUSY" | "LOADING" | "CLUSTERDOWN" | "TRYAGAIN" | "MASTERDOWN"
    )
}

fn out_of_step(verb: Verb, kind: SubscriptionKind, name: Option<&[u8]>) -> ProtocolError {
    let name = name.map_or_else(
        || "no name".to_owned(),
        |name| Blob::copy_from(name).to_string(),
    );
    ProtocolError::new(format!(
        "an unexpected {} confirmation for {name}",
        verb.name(kind)
    ))
}
