//! What the server answers, and what it means for each name.

use std::time::{Duration, Instant};

use super::Subscriptions;
use super::burst::Origin;
use super::kinds::{SubscriptionEvent, SubscriptionKind, Verb};
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
                // What was taken for the reply before was the server's own word, if the reply comes now.
                let mut answered = burst.names.iter().take(burst.answered);
                if !same || answered.all(|one| **one != *name) {
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
            Verb::Subscribe => self.granted(kind, next, count),
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
            return self.end_refused(error);
        }
        if burst.answered > 0 {
            return Err(ProtocolError::new(
                "an error reply among the confirmations of a command",
            ));
        }
        let Some(mut burst) = self.retire() else {
            return Ok(true);
        };
        let of_slot = burst.kind == SubscriptionKind::Shard && is_of_slot(error);
        if burst.names.len() == 1 || is_server_wide(error) || of_slot {
            for name in &burst.names {
                self.refused(burst.kind, name, error, burst.origin, now);
            }
            return Ok(true);
        }
        // One refused name refuses the whole command. Asked for alone, at once and in order, the others cost one
        // more round trip, and their confirmations keep their order.
        self.drop_settled(&mut burst);
        for single in burst.singles().rev() {
            self.queued.push_front(single);
        }
        Ok(true)
    }

    /// An error reply to an unsubscription, or to the PING behind it.
    fn end_refused(&mut self, error: &ServerError) -> Result<bool, ProtocolError> {
        let Some(burst) = self.sent.front_mut() else {
            return Ok(false);
        };
        let whole = burst.answered == burst.names.len();
        let shard = burst.kind == SubscriptionKind::Shard;
        if whole && burst.error.is_none() && shard && is_server_wide(error) {
            // If the confirmations were the server's own words, the PING is yet to be answered.
            return Err(ProtocolError::new(format!(
                "an error reply to either SUNSUBSCRIBE or PING: {error}"
            )));
        }
        let of_ping = burst.error.is_some() || (whole && !is_never_of_ping(error));
        if of_ping {
            // It has fenced all the same.
            return Ok(self.handle_pong());
        }
        if burst.answered > 0 && !shard {
            return Err(ProtocolError::new(
                "an error reply among the confirmations of a command",
            ));
        }
        burst.error = Some(error.clone());
        Ok(false)
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
            match &burst.error {
                Some(error) if !is_ended(error) => {
                    self.kept(burst.kind, name, error, burst.origin);
                }
                _ => self.ended(burst.kind, name, None),
            }
        }
        self.settle(burst.origin, all);
        true
    }

    // ---- what happens to one name ----

    fn granted(&mut self, kind: SubscriptionKind, name: Blob, count: i64) {
        let table = self.table_mut(kind);
        table.confirm(&name, true);
        let missed = table.answered(&name).is_some_and(|entry| {
            entry.established = true;
            entry.set_refused(None);
            entry.missed().is_some()
        });
        self.events.push_back(SubscriptionEvent::Confirmed {
            verb: Verb::Subscribe,
            kind,
            name: name.clone(),
            count,
        });
        self.settle_waiting(kind, &name);
        if missed {
            self.gap_names.push((kind, name));
            if self.replay_open == 0 {
                self.tell_gap();
            }
        }
    }

    /// The end of a subscription, with the server's count or, where it gave none, ours.
    pub(super) fn ended(&mut self, kind: SubscriptionKind, name: Blob, count: Option<i64>) {
        let table = self.table_mut(kind);
        table.confirm(&name, false);
        let missed = table.end_answered(&name).and_then(|entry| {
            entry.established = false;
            entry.set_refused(None);
            entry.take_missed()
        });
        table.tidy(&name);
        if let Some((since, cause)) = missed {
            // What was missed before its end is missed all the same.
            self.events.push_back(SubscriptionEvent::Gap {
                cause,
                since,
                names: vec![(kind, name.clone())],
            });
        }
        let count = count.unwrap_or_else(|| self.count(kind));
        self.events.push_back(SubscriptionEvent::Confirmed {
            verb: Verb::Unsubscribe,
            kind,
            name,
            count,
        });
    }

    /// The server refused to end a subscription: it goes on, and is wanted unless a later request says more.
    fn kept(&mut self, kind: SubscriptionKind, name: Blob, error: &ServerError, origin: Origin) {
        let table = self.table_mut(kind);
        if !table
            .entries
            .get(&name)
            .is_some_and(|entry| entry.confirmed)
        {
            return self.ended(kind, name, None);
        }
        let last = table
            .end_answered(&name)
            .is_some_and(|entry| entry.pending == 0);
        if last {
            table.want(&name, true);
        }
        self.refuse(origin, name, error);
    }

    fn refused(
        &mut self,
        kind: SubscriptionKind,
        name: &Blob,
        error: &ServerError,
        origin: Origin,
        now: Instant,
    ) {
        let table = self.table_mut(kind);
        let entry = table
            .answered(name)
            .filter(|entry| entry.pending == 0 && !entry.confirmed);
        if let Some(entry) = entry {
            if entry.established {
                // It was subscribed once and is still wanted: say so once, and try again later.
                let passing = is_passing(error);
                let said = entry.refused().is_some_and(|said| !is_passing(said));
                if !(said && passing) {
                    entry.set_refused(Some(error.clone()));
                }
                let retry = now + if passing { BUSY_RETRY } else { REFUSED_RETRY };
                self.retry_at = self.retry_at.into_iter().chain([retry]).min();
                if !said && !passing && origin == Origin::Replay {
                    self.events.push_back(SubscriptionEvent::Refused {
                        kind,
                        name: name.clone(),
                        error: error.clone(),
                    });
                }
                if passing && kind == SubscriptionKind::Shard {
                    self.events.push_back(SubscriptionEvent::Deferred {
                        name: name.clone(),
                        error: error.clone(),
                    });
                }
            } else {
                table.want(name, false);
                table.tidy(name);
            }
        }
        let over = origin == Origin::Replay || !self.is_wanted(kind, name);
        if over && !self.waiting.is_empty() {
            let waiting = self.waiting.remove(&(kind, name.clone()));
            for op in waiting.into_iter().flatten() {
                self.refuse(Origin::Request(op), name.clone(), error);
                self.settle(Origin::Request(op), 1);
            }
        }
        self.refuse(origin, name.clone(), error);
        self.settle(origin, 1);
    }

    /// Notes a refusal for whoever asked.
    fn refuse(&mut self, origin: Origin, name: Blob, error: &ServerError) {
        if let Origin::Request(op) = origin
            && let Some(op) = self.ops.get_mut(&op)
        {
            op.refused.push((name, error.clone()));
        }
    }

    /// An unasked `sunsubscribe`. The node that sent it is often still the right one: ask it again.
    fn revoked(&mut self, name: &[u8], now: Instant) {
        let kind = SubscriptionKind::Shard;
        let cause = self.revocation.0;
        if !self.table_mut(kind).confirm(name, false) || !self.is_wanted(kind, name) {
            return;
        }
        if let Some(entry) = self.table_mut(kind).entries.get_mut(name) {
            if entry.ending > 0 {
                // It was to end, and what was asked for behind that decides what is to be.
                return;
            }
            entry.set_missed(entry.missed().or(Some((now, cause))));
        }
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

/// Whether it is the slot that the server refuses, which is the same for all names of one command.
fn is_of_slot(error: &ServerError) -> bool {
    matches!(error.code(), "MOVED" | "CLUSTERDOWN" | "TRYAGAIN")
}

/// Whether the server refuses whatever it is asked.
fn is_server_wide(error: &ServerError) -> bool {
    matches!(error.code(), "BUSY" | "LOADING" | "MASTERDOWN")
}

/// Whether an unsubscription was refused because there is nothing to end: Valkey 8.0 refuses that outside of
/// Pub/Sub mode, and a cluster's node where the slot is not its own.
fn is_ended(error: &ServerError) -> bool {
    matches!(error.code(), "NOSUB" | "MOVED")
}

/// Whether PING is never refused so: in a cluster the server may have confirmed in its own words what it then
/// refuses to be asked.
fn is_never_of_ping(error: &ServerError) -> bool {
    // The server names the command that a user may not run.
    let of_another = error.code() == "NOPERM" && !error.message().contains("'ping'");
    of_another
        || is_ended(error)
        || matches!(
            error.code(),
            "CLUSTERDOWN" | "ASK" | "TRYAGAIN" | "CROSSSLOT"
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
