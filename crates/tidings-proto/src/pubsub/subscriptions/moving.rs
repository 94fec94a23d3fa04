//! Names that go from one connection to another: the shard channels of a slot that has moved.

use std::time::Instant;

use super::kinds::{GapCause, OpId, SubscriptionEvent, SubscriptionKind};
use super::{Revocation, Subscriptions};
use crate::blob::Blob;

/// A name that is wanted, on its way from one connection's subscriptions to another's.
#[derive(Debug)]
pub(crate) struct Moving {
    pub(crate) name: Blob,
    /// It was confirmed once, so that a refusal does not make it unwanted.
    pub(crate) established: bool,
    /// Since when messages were missed that no gap has told of yet, and why.
    pub(crate) missed: Option<(Instant, GapCause)>,
    /// Requests that wait for it.
    pub(crate) waiting: Vec<OpId>,
}

impl Subscriptions {
    /// Subscriptions of which the server ends one, and then grants it again where it was, for this reason.
    pub(crate) fn revoked_for(cause: GapCause) -> Self {
        Self {
            revocation: Revocation(cause),
            ..Self::default()
        }
    }

    /// Whether a name is wanted or under way.
    pub(crate) fn knows(&self, kind: SubscriptionKind, name: &[u8]) -> bool {
        self.table(kind).entries.contains_key(name)
    }

    /// Whether the server has confirmed a name.
    pub(crate) fn is_confirmed(&self, kind: SubscriptionKind, name: &[u8]) -> bool {
        let entry = self.table(kind).entries.get(name);
        entry.is_some_and(|entry| entry.confirmed)
    }

    /// The names of one kind that are wanted, in no order, and whether the server has confirmed them.
    pub(crate) fn each_wanted(
        &self,
        kind: SubscriptionKind,
    ) -> impl Iterator<Item = (&Blob, bool)> {
        let entries = self.table(kind).entries.iter();
        entries
            .filter(|(_, entry)| entry.wanted)
            .map(|(name, entry)| (name, entry.confirmed))
    }

    /// Messages of these names may be missing, as far as they were subscribed all the time.
    pub fn miss(&mut self, since: Instant, cause: GapCause, is_concerned: impl Fn(&Blob) -> bool) {
        let kinds = [
            SubscriptionKind::Channel,
            SubscriptionKind::Pattern,
            SubscriptionKind::Shard,
        ];
        let mut names = Vec::new();
        for kind in kinds {
            // What has just come back is told of by its gap.
            let entries = self.table(kind).entries.iter();
            let there = entries.filter(|(_, entry)| entry.confirmed && entry.missed().is_none());
            let concerned = there.filter(|(name, _)| is_concerned(name));
            names.extend(concerned.map(|(name, _)| (kind, name.clone())));
        }
        if !names.is_empty() {
            self.events.push_back(SubscriptionEvent::Missed {
                cause,
                since,
                names,
            });
        }
    }

    /// Whether it is connected.
    pub fn is_online(&self) -> bool {
        self.online
    }

    /// Takes a name out that is wanted, and of which the server has nothing and will say nothing.
    pub(crate) fn take(&mut self, kind: SubscriptionKind, name: &[u8]) -> Option<Moving> {
        let table = self.table_mut(kind);
        let entry = table.entries.get(name)?;
        if !entry.wanted || entry.confirmed || entry.pending > 0 {
            return None;
        }
        table.want(name, false);
        let (name, entry) = table.entries.remove_entry(name)?;
        let waiting = self.waiting.remove(&(kind, name.clone()));
        let waiting = waiting.unwrap_or_default();
        // Each of them is for one name: those for several are only made where nothing is taken out.
        for op in &waiting {
            self.ops.remove(op);
        }
        Some(Moving {
            waiting,
            name,
            established: entry.established,
            missed: entry.missed(),
        })
    }

    /// Takes out all names of one kind that are wanted, in the order of subscription, once the connection is
    /// [lost](Self::lost) or if there never was one.
    pub(crate) fn take_all(&mut self, kind: SubscriptionKind) -> Vec<Moving> {
        let names = self.wanted(kind);
        names
            .iter()
            .filter_map(|name| self.take(kind, name))
            .collect()
    }

    /// Takes names over that others had.
    pub(crate) fn adopt(&mut self, kind: SubscriptionKind, names: Vec<Moving>) {
        let mut adopted = Vec::with_capacity(names.len());
        for moving in names {
            let entry = self.entry(kind, &moving.name);
            entry.established |= moving.established;
            let missed = entry.missed().or(moving.missed);
            entry.set_missed(missed);
            self.table_mut(kind).want(&moving.name, true);
            adopted.push(moving.name);
        }
        if self.online {
            self.replay(kind, adopted);
        }
    }

    /// Wants a name that nothing was asked of yet, and leaves it to whoever [takes](Self::take) it to ask.
    pub(crate) fn adopt_new(&mut self, kind: SubscriptionKind, name: &Blob) {
        self.entry(kind, name);
        self.table_mut(kind).want(name, true);
    }

    /// A request that is answered when a name is confirmed that is wanted: at once if it is already.
    pub(crate) fn wait_for(&mut self, kind: SubscriptionKind, name: &Blob) -> OpId {
        let op = self.open_op(1);
        if self.is_confirmed(kind, name) {
            self.ops.remove(&op);
            let refused = Vec::new();
            self.events
                .push_back(SubscriptionEvent::Done { op, refused });
        } else {
            self.waiting
                .entry((kind, name.clone()))
                .or_default()
                .push(op);
        }
        op
    }
}
