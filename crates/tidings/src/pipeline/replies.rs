//! What the replies to a pipeline can become.

use bytes::Bytes;
use tidings_proto::{Charset, CommandRef, Elements, FromReply, Reply};

use crate::driver::body::Batch;
use crate::driver::cluster::{GroupReplies, Spread};
use crate::error::{Error, ErrorKind, Result};

/// A type that the replies to a [`Pipeline`](crate::Pipeline) can become: a tuple of one type a command, a `Vec` or
/// an array of one type for all, or `()`, which takes any replies but errors.
#[diagnostic::on_unimplemented(
    message = "the replies to a pipeline cannot become `{Self}`",
    label = "not a type that a pipeline can be executed for",
    note = "name a tuple of one type a command, `(bool, i64)` or `(String,)`; a `Vec<T>` or `[T; N]` of one type for all; or `()`",
    note = "`execute_each` gives a result for each command"
)]
pub trait FromReplies: Sized {
    /// How many replies it takes; `None`: any number.
    const COUNT: Option<usize>;

    /// Decodes replies.
    ///
    /// # Errors
    ///
    /// The first of them that is an error, or is of another type.
    fn from_replies(replies: &mut Replies<'_>) -> Result<Self>;
}

/// The replies to a pipeline, one after the other.
#[derive(Debug)]
pub struct Replies<'a> {
    source: Source<'a>,
    left: usize,
    /// The commands from here on, of which `named` went before.
    commands: &'a [u8],
    named: usize,
    /// How many commands have had their replies, [loads](Batch::loads) included.
    passed: usize,
    /// Which of those that come are loads.
    loads: &'a [usize],
    /// How many replies were taken.
    taken: usize,
    charset: Charset,
}

#[derive(Debug)]
enum Source<'a> {
    Parts(Parts<'a>),
    Exec(Elements<'a>),
    Groups {
        /// By command, the group that its reply is in.
        order: &'a [u16],
        groups: Vec<Parts<'a>>,
        /// The commands that have no reply, by their places.
        failed: Vec<&'a (usize, Error)>,
    },
}

/// Replies that were read in several goes.
#[derive(Debug)]
struct Parts<'a> {
    /// What was read in one go, and how far.
    owner: &'a Bytes,
    rest: &'a [u8],
    parts: std::slice::Iter<'a, Bytes>,
}

static NOTHING: Bytes = Bytes::new();

impl<'a> Parts<'a> {
    fn of(parts: &'a [Bytes]) -> Self {
        Self {
            owner: &NOTHING,
            rest: &[],
            parts: parts.iter(),
        }
    }

    #[inline]
    fn next_reply(&mut self) -> Result<Reply<'a>> {
        loop {
            if let Some((reply, after)) = Reply::split_shared(self.rest, self.owner)? {
                self.rest = after;
                return Ok(reply);
            }
            self.owner = self.parts.next().ok_or_else(too_few)?;
            self.rest = self.owner;
        }
    }
}

impl<'a> Replies<'a> {
    pub(super) fn of_parts(batch: &'a Batch, parts: &'a [Bytes]) -> Self {
        Self::new(batch, Source::Parts(Parts::of(parts)))
    }

    pub(super) fn of_exec(batch: &'a Batch, elements: Elements<'a>) -> Self {
        Self::new(batch, Source::Exec(elements))
    }

    /// Those of the groups of a cluster's pipeline.
    pub(super) fn of_groups(spread: &'a Spread, groups: &'a [GroupReplies]) -> Self {
        let mut failed: Vec<_> = groups.iter().flat_map(|group| &group.failed).collect();
        // The first one comes last, where it is taken off.
        failed.sort_unstable_by_key(|(place, _)| std::cmp::Reverse(*place));
        Self {
            source: Source::Groups {
                order: spread.order(),
                groups: groups.iter().map(|group| Parts::of(&group.parts)).collect(),
                failed,
            },
            left: spread.order().len(),
            commands: spread.bytes(),
            named: 0,
            passed: 0,
            loads: spread.loads(),
            taken: 0,
            charset: spread.charset(),
        }
    }

    pub(super) fn none(batch: &'a Batch) -> Self {
        Self::of_parts(batch, &[])
    }

    fn new(batch: &'a Batch, source: Source<'a>) -> Self {
        Self {
            source,
            left: batch.visible(),
            commands: batch.command_bytes(),
            named: 0,
            passed: 0,
            loads: &batch.loads,
            taken: 0,
            charset: batch.charset,
        }
    }

    /// How many are left.
    pub fn len(&self) -> usize {
        self.left
    }

    /// Whether none is left.
    pub fn is_empty(&self) -> bool {
        self.left == 0
    }

    /// The next reply.
    ///
    /// # Errors
    ///
    /// It is an error or of another type, which is told with the number of its command; or there is none.
    #[inline]
    pub fn take<T: FromReply>(&mut self) -> Result<T> {
        self.left = self.left.checked_sub(1).ok_or_else(too_few)?;
        self.taken += 1;
        if self.loads.first() == Some(&self.passed) {
            return self.take_loaded();
        }
        let reply = self.next_reply()?;
        T::from_reply(reply).map_err(|error| self.of_last(error.into()))
    }

    /// The next reply of those that are behind the loading of a script.
    #[cold]
    fn take_loaded<T: FromReply>(&mut self) -> Result<T> {
        let is_spread = matches!(self.source, Source::Groups { .. });
        let mut loaded = None;
        // More than one, if what it was for was not completed.
        while self.loads.first() == Some(&self.passed) {
            self.loads = &self.loads[1..];
            if is_spread {
                // Each node has its own loads, and what became of them is done with.
                self.passed += 1;
            } else {
                loaded = Some(self.next_reply()?.into_result());
            }
        }
        // It may have been loaded before, and by somebody who may do that.
        let reply = match (self.next_reply()?.into_result(), loaded) {
            (Err(error), Some(Err(why))) if error.code() == "NOSCRIPT" => Err(why),
            (outcome, _) => outcome,
        };
        let value = reply
            .map_err(Error::from)
            .and_then(|reply| Ok(T::from_reply(reply)?));
        value.map_err(|error| self.of_last(error))
    }

    #[inline]
    fn next_reply(&mut self) -> Result<Reply<'a>> {
        self.passed += 1;
        let reply = match &mut self.source {
            Source::Exec(elements) => elements.next().ok_or_else(too_few)??,
            Source::Parts(parts) => parts.next_reply()?,
            Source::Groups {
                order,
                groups,
                failed,
            } => {
                let place = self.taken - 1;
                if failed.last().is_some_and(|(failed, _)| *failed == place) {
                    return Err(self.failure());
                }
                let group = order
                    .get(place)
                    .and_then(|group| groups.get_mut(usize::from(*group)));
                group.ok_or_else(too_few)?.next_reply()?
            }
        };
        Ok(reply.in_charset(self.charset))
    }

    /// Why the command whose turn it is has no reply.
    #[cold]
    fn failure(&mut self) -> Error {
        let failure = match &mut self.source {
            Source::Groups { failed, .. } => failed.pop(),
            Source::Parts(_) | Source::Exec(_) => None,
        };
        match failure {
            Some((_, error)) => self.of_last(error.clone()),
            None => too_few(),
        }
    }

    /// An error of the command whose reply was taken last.
    #[cold]
    fn of_last(&mut self, error: Error) -> Error {
        let ahead = self.passed - self.named - 1;
        for _ in 0..ahead {
            if let Some((_, rest)) = CommandRef::split_first(self.commands) {
                self.commands = rest;
                self.named += 1;
            }
        }
        match CommandRef::split_first(self.commands) {
            Some((command, _)) => error.of_command(self.taken, command, "failed"),
            None => error,
        }
    }
}

#[cold]
fn too_few() -> Error {
    Error::new(
        ErrorKind::Protocol,
        "there are fewer replies than commands in the pipeline",
    )
}

impl FromReplies for () {
    const COUNT: Option<usize> = None;

    fn from_replies(replies: &mut Replies<'_>) -> Result<Self> {
        while !replies.is_empty() {
            replies.take::<()>()?;
        }
        Ok(())
    }
}

impl<T: FromReply> FromReplies for Vec<T> {
    const COUNT: Option<usize> = None;

    fn from_replies(replies: &mut Replies<'_>) -> Result<Self> {
        let mut list = Self::with_capacity(replies.len());
        while !replies.is_empty() {
            list.push(replies.take()?);
        }
        Ok(list)
    }
}

impl<T: FromReply, const N: usize> FromReplies for [T; N] {
    const COUNT: Option<usize> = Some(N);

    fn from_replies(replies: &mut Replies<'_>) -> Result<Self> {
        let list: Vec<T> = Vec::from_replies(replies)?;
        Self::try_from(list).map_err(|_| too_few())
    }
}

macro_rules! tuples {
    ($($count:literal: $($name:ident)+;)*) => {$(
        impl<$($name: FromReply),+> FromReplies for ($($name,)+) {
            const COUNT: Option<usize> = Some($count);

            fn from_replies(replies: &mut Replies<'_>) -> Result<Self> {
                Ok(($(replies.take::<$name>()?,)+))
            }
        }
    )*};
}

tuples! {
    1: A;
    2: A B;
    3: A B C;
    4: A B C D;
    5: A B C D E;
    6: A B C D E F;
    7: A B C D E F G;
    8: A B C D E F G H;
    9: A B C D E F G H I;
    10: A B C D E F G H I J;
    11: A B C D E F G H I J K;
    12: A B C D E F G H I J K L;
    13: A B C D E F G H I J K L M;
    14: A B C D E F G H I J K L M N;
    15: A B C D E F G H I J K L M N O;
    16: A B C D E F G H I J K L M N O P;
}
