//! One row of replies out of those of several flights.

use std::{collections::BTreeMap, slice};

use bytes::Bytes;

use super::Outcome;
use crate::error::ProtocolError;
use crate::resp::Reply;

/// The replies to the commands of a group, wherever they were run in the end.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Mended<E> {
    /// Whole replies, in the order of the commands, without those that have none.
    pub parts: Vec<Bytes>,
    /// What became of the commands that have no reply, by their places in the pipeline.
    pub failed: Vec<(usize, Outcome<E>)>,
}

/// Puts together what a group was answered and what others answered to some of its commands.
///
/// `replies_of` is what each of the group's replies is for, as [`PipelinePlan::replies_of`](super::PipelinePlan::replies_of)
/// says. Where `ended` has an outcome for a command, it takes the place of the group's reply. Replies that nobody asked for
/// are left out.
///
/// # Errors
///
/// The replies are no replies, or there are too few of them.
pub fn mend<E>(
    replies_of: impl Iterator<Item = Option<usize>>,
    parts: &[Bytes],
    mut ended: BTreeMap<usize, Outcome<E>>,
) -> Result<Mended<E>, ProtocolError> {
    let mut frames = Frames::of(parts);
    let mut mended = Mended {
        parts: Vec::new(),
        failed: Vec::new(),
    };
    // What is taken over of one part as it is.
    let mut run: Option<(&Bytes, usize, usize)> = None;
    let end_run = |run: &mut Option<(&Bytes, usize, usize)>, into: &mut Vec<Bytes>| {
        if let Some((owner, start, end)) = run.take() {
            into.push(owner.slice(start..end));
        }
    };
    for place in replies_of {
        let frame = frames.next_range()?;
        let outcome = place.map(|place| (place, ended.remove(&place)));
        let Some((_, None)) = outcome else {
            end_run(&mut run, &mut mended.parts);
            match outcome {
                Some((_, Some(Outcome::Reply(reply)))) => mended.parts.push(reply),
                Some((place, Some(failed))) => mended.failed.push((place, failed)),
                _ => {}
            }
            continue;
        };
        let Some((owner, start, end)) = frame else {
            let text = "there are fewer replies than commands in the pipeline";
            return Err(ProtocolError::new(text));
        };
        match &mut run {
            Some((of, _, last)) if std::ptr::eq(*of, owner) && *last == start => *last = end,
            _ => {
                end_run(&mut run, &mut mended.parts);
                run = Some((owner, start, end));
            }
        }
    }
    end_run(&mut run, &mut mended.parts);
    Ok(mended)
}

/// Replies, one after the other, out of the parts that they came in.
pub(super) struct Frames<'a> {
    parts: slice::Iter<'a, Bytes>,
    owner: Option<&'a Bytes>,
    at: usize,
}

impl<'a> Frames<'a> {
    pub(super) fn of(parts: &'a [Bytes]) -> Self {
        Self {
            parts: parts.iter(),
            owner: None,
            at: 0,
        }
    }

    /// The next reply, and what makes a frame of its own of it.
    pub(super) fn next(
        &mut self,
    ) -> Result<Option<(Reply<'a>, impl FnOnce() -> Bytes + use<'a>)>, ProtocolError> {
        let reply = self.split()?;
        Ok(reply.map(|(reply, owner, start, end)| (reply, move || owner.slice(start..end))))
    }

    /// Where the next reply lies: in which part, and from where to where.
    fn next_range(&mut self) -> Result<Option<(&'a Bytes, usize, usize)>, ProtocolError> {
        let reply = self.split()?;
        Ok(reply.map(|(_, owner, start, end)| (owner, start, end)))
    }

    fn split(&mut self) -> Result<Option<(Reply<'a>, &'a Bytes, usize, usize)>, ProtocolError> {
        loop {
            if let Some(owner) = self.owner
                && let Some((reply, rest)) = Reply::split(owner.get(self.at..).unwrap_or_default())?
            {
                let start = self.at;
                self.at = owner.len().saturating_sub(rest.len());
                return Ok(Some((reply, owner, start, self.at)));
            }
            let Some(next) = self.parts.next() else {
                return Ok(None);
            };
            self.owner = Some(next);
            self.at = 0;
        }
    }
}
