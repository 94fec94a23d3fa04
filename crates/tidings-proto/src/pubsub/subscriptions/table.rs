//! Every name of one kind, as it is wanted and as the server has it.

use std::collections::HashMap;
use std::time::Instant;

use super::kinds::GapCause;
use crate::blob::Blob;
use crate::error::ServerError;

/// The names of one kind.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) entries: HashMap<Blob, Entry>,
    pub(super) wanted: usize,
    pub(super) confirmed: usize,
}

impl Table {
    /// The names for which `want` holds, in the order of subscription.
    pub(super) fn ordered(&self, want: impl Fn(&Entry) -> bool) -> Vec<Blob> {
        let mut names: Vec<(u64, &Blob)> = self
            .entries
            .iter()
            .filter(|(_, entry)| want(entry))
            .map(|(name, entry)| (entry.order, name))
            .collect();
        names.sort_unstable_by_key(|(order, _)| *order);
        names.into_iter().map(|(_, name)| name.clone()).collect()
    }

    /// The entry of a name; `order` is that of a new one.
    pub(super) fn entry(&mut self, name: &Blob, order: u64) -> &mut Entry {
        self.entries.entry(name.clone()).or_insert_with(|| Entry {
            order,
            ..Entry::default()
        })
    }

    /// Notes whether a name is wanted, if it is known.
    pub(super) fn want(&mut self, name: &[u8], wanted: bool) {
        if let Some(entry) = self.entries.get_mut(name)
            && std::mem::replace(&mut entry.wanted, wanted) != wanted
        {
            self.wanted = count(self.wanted, wanted);
        }
    }

    /// Notes whether the server has a name, if it is known. Says whether that is news.
    pub(super) fn confirm(&mut self, name: &[u8], confirmed: bool) -> bool {
        if let Some(entry) = self.entries.get_mut(name)
            && std::mem::replace(&mut entry.confirmed, confirmed) != confirmed
        {
            self.confirmed = count(self.confirmed, confirmed);
            return true;
        }
        false
    }

    /// A command that named it has been answered.
    pub(super) fn answered(&mut self, name: &[u8]) -> Option<&mut Entry> {
        let entry = self.entries.get_mut(name)?;
        entry.pending = entry.pending.saturating_sub(1);
        Some(entry)
    }

    /// A command that was to end it has been answered.
    pub(super) fn end_answered(&mut self, name: &[u8]) -> Option<&mut Entry> {
        let entry = self.answered(name)?;
        entry.ending = entry.ending.saturating_sub(1);
        Some(entry)
    }

    /// Forgets a name that is neither wanted nor under way.
    pub(super) fn tidy(&mut self, name: &[u8]) {
        let over = |entry: &Entry| !entry.wanted && !entry.confirmed && entry.pending == 0;
        if self.entries.get(name).is_some_and(over) {
            self.entries.remove(name);
        }
    }
}

fn count(count: usize, more: bool) -> usize {
    if more {
        count.saturating_add(1)
    } else {
        count.saturating_sub(1)
    }
}

/// One name.
#[derive(Debug, Default)]
pub(super) struct Entry {
    /// Counts up with each new name: lists are in the order of subscription.
    pub(super) order: u64,
    pub(super) wanted: bool,
    pub(super) confirmed: bool,
    /// Names in commands under way. The last of them that is not refused decides what is wanted.
    pub(super) pending: u32,
    /// How many of these end it.
    pub(super) ending: u32,
    /// The newest request to end it: what was asked for before is not to be sent after it.
    pub(super) ended_by: u64,
    /// It was confirmed and has not ended since: a refusal does not make it unwanted any more.
    pub(super) established: bool,
    /// What few entries have: a box keeps the others small.
    trouble: Option<Box<Trouble>>,
}

#[derive(Debug, Default)]
struct Trouble {
    /// Messages were missed since then, and no gap has told of it yet.
    missed: Option<(Instant, GapCause)>,
    /// Why the server did not take it, when it was last asked.
    refused: Option<ServerError>,
}

impl Entry {
    /// Since when messages were missed that no gap has told of yet, and why.
    pub(super) fn missed(&self) -> Option<(Instant, GapCause)> {
        self.trouble.as_ref()?.missed
    }

    pub(super) fn set_missed(&mut self, missed: Option<(Instant, GapCause)>) {
        self.change(missed.is_some(), |trouble| trouble.missed = missed);
    }

    pub(super) fn take_missed(&mut self) -> Option<(Instant, GapCause)> {
        let missed = self.missed();
        self.set_missed(None);
        missed
    }

    /// Why the server did not take it, when it was last asked.
    pub(super) fn refused(&self) -> Option<&ServerError> {
        self.trouble.as_ref()?.refused.as_ref()
    }

    pub(super) fn set_refused(&mut self, refused: Option<ServerError>) {
        self.change(refused.is_some(), |trouble| trouble.refused = refused);
    }

    fn change(&mut self, needed: bool, change: impl FnOnce(&mut Trouble)) {
        if !needed && self.trouble.is_none() {
            return;
        }
        let trouble = self.trouble.get_or_insert_default();
        change(trouble);
        if trouble.missed.is_none() && trouble.refused.is_none() {
            self.trouble = None;
        }
    }
}
