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
}

/// One name.
#[derive(Debug, Default)]
pub(super) struct Entry {
    /// Counts up with each new name: lists are in the order of subscription.
    pub(super) order: u64,
    pub(super) wanted: bool,
    pub(super) confirmed: bool,
    /// It has been confirmed since it was wanted: a refusal does not make it unwanted any more.
    pub(super) established: bool,
    /// Messages were missed since then, and no gap has told of it yet.
    pub(super) missed: Option<(Instant, GapCause)>,
    pub(super) refused: Option<ServerError>,
}
