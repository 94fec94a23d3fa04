//! One reply out of several.

use std::collections::HashSet;

use super::node::Address;
use crate::{
    error::{DecodeError, Error},
    resp::{Elements, Reply, encode},
};

/// What becomes of the replies of several nodes. See [`Merge::replies`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Merge {
    /// There is one, or any will do.
    First,
    /// The first, if none is an error: `FLUSHALL`, `SCRIPT LOAD`.
    AllSucceeded,
    /// The first that is no error: `SCRIPT KILL`.
    OneSucceeded,
    /// The first that is not nil; nil if all are: `RANDOMKEY`.
    FirstThere,
    /// Integers added up: `DBSIZE`.
    Sum,
    /// The least of integers, or of those at each place: `WAIT`, `WAITAOF`.
    Min,
    /// 1 where all have 1, at each place: `SCRIPT EXISTS`.
    And,
    /// Lists one behind the other: `KEYS`.
    Concat,
    /// The same, each element once: `PUBSUB CHANNELS`.
    Union,
    /// Names with numbers, which are added up by name: `PUBSUB NUMSUB`.
    SumByName,
    /// A map from each node's address to its reply: `INFO`.
    PerNode,
}

/// The reply of one node: a whole frame.
#[derive(Clone, Copy, Debug)]
pub struct NodeReply<'a> {
    node: &'a Address,
    frame: &'a [u8],
}

impl<'a> NodeReply<'a> {
    /// What the node at this address answered.
    pub fn new(node: &'a Address, frame: &'a [u8]) -> Self {
        Self { node, frame }
    }
}

impl Merge {
    /// Makes one frame of the nodes' replies, in RESP2 or RESP3, to be decoded as if one server had answered.
    ///
    /// If any of them is an error, the first error is the outcome, but for [`Merge::OneSucceeded`].
    ///
    /// # Errors
    ///
    /// There is no reply at all, or the replies are not of the kind that can be merged in this way.
    ///
    /// ```
    /// use tidings_proto::cluster::{Address, Merge, NodeReply};
    ///
    /// let (a, b) = (Address::new("a", 7000), Address::new("b", 7000));
    /// let replies = [NodeReply::new(&a, b":3\r\n"), NodeReply::new(&b, b":4\r\n")];
    /// assert_eq!(Merge::Sum.replies(&replies)?, b":7\r\n");
    /// # Ok::<(), tidings_proto::Error>(())
    /// ```
    pub fn replies(self, replies: &[NodeReply<'_>]) -> Result<Vec<u8>, Error> {
        let frames: Vec<&[u8]> = replies.iter().map(|reply| reply.frame).collect();
        match self {
            Self::PerNode => match first_error(&frames)? {
                Some(error) => Ok(error.to_vec()),
                None => Ok(per_node(replies)),
            },
            other => other.frames(&frames),
        }
    }

    /// The same for replies that are not of nodes.
    pub(super) fn frames(self, frames: &[&[u8]]) -> Result<Vec<u8>, Error> {
        let Some(first) = frames.first() else {
            return Err(DecodeError::message("no node was there to answer").into());
        };
        if self == Self::OneSucceeded {
            return Ok(
                first_that(frames, |reply| !matches!(reply, Reply::Error(_)))?
                    .unwrap_or(first)
                    .to_vec(),
            );
        }
        if let Some(error) = first_error(frames)? {
            return Ok(error.to_vec());
        }
        match self {
            Self::FirstThere => {
                let there = first_that(frames, |reply| !reply.is_null())?;
                Ok(there.unwrap_or(first).to_vec())
            }
            Self::Sum => at_each_place(frames, add),
            Self::Min => at_each_place(frames, |a, b| Some(a.min(b))),
            Self::And => at_each_place(frames, |a, b| Some(i64::from(a != 0 && b != 0))),
            Self::Concat => concat(frames, |_| true),
            Self::Union => {
                let mut seen = HashSet::new();
                concat(frames, |element| seen.insert(element))
            }
            Self::SumByName => sum_by_name(frames),
            Self::First | Self::AllSucceeded | Self::OneSucceeded | Self::PerNode => {
                Ok(first.to_vec())
            }
        }
    }
}

fn first_error<'a>(frames: &[&'a [u8]]) -> Result<Option<&'a [u8]>, Error> {
    first_that(frames, |reply| matches!(reply, Reply::Error(_)))
}

fn first_that<'a>(
    frames: &[&'a [u8]],
    is_it: impl Fn(&Reply<'_>) -> bool,
) -> Result<Option<&'a [u8]>, Error> {
    for frame in frames {
        if is_it(&Reply::parse(frame)?) {
            return Ok(Some(frame));
        }
    }
    Ok(None)
}

fn add(a: i64, b: i64) -> Option<i64> {
    a.checked_add(b)
}

/// Integers, or lists of as many integers each.
fn at_each_place(
    frames: &[&[u8]],
    merge: impl Fn(i64, i64) -> Option<i64>,
) -> Result<Vec<u8>, Error> {
    let mut merged: Option<Vec<i64>> = None;
    let mut is_list = false;
    for frame in frames {
        let reply = Reply::parse(frame)?;
        let numbers = match reply {
            Reply::Integer(number) => vec![number],
            other => {
                is_list = true;
                elements(other)?
                    .map(|element| integer(&element?))
                    .collect::<Result<_, _>>()?
            }
        };
        merged = Some(match merged {
            None => numbers,
            Some(before) if before.len() == numbers.len() => {
                let pairs = before.into_iter().zip(numbers);
                let merged: Option<Vec<i64>> = pairs.map(|(a, b)| merge(a, b)).collect();
                merged.ok_or_else(|| {
                    DecodeError::message("the sum of the nodes' numbers is too large")
                })?
            }
            Some(_) => return Err(disagree()),
        });
    }
    let numbers = merged.unwrap_or_default();
    let mut out = Vec::new();
    if is_list {
        encode::array_header(&mut out, numbers.len());
    }
    for number in numbers {
        push_integer(&mut out, number);
    }
    Ok(out)
}

fn concat<'a>(
    frames: &[&'a [u8]],
    mut is_wanted: impl FnMut(&'a [u8]) -> bool,
) -> Result<Vec<u8>, Error> {
    let mut body = Vec::new();
    let mut count = 0_usize;
    for frame in frames {
        let mut elements = elements(Reply::parse(frame)?)?;
        while let Some(element) = elements.next_raw() {
            let element = element?;
            if is_wanted(element) {
                body.extend_from_slice(element);
                count = count.saturating_add(1);
            }
        }
    }
    let mut out = Vec::with_capacity(body.len().saturating_add(16));
    encode::array_header(&mut out, count);
    out.append(&mut body);
    Ok(out)
}

/// All nodes have the names in the order in which they were asked.
fn sum_by_name(frames: &[&[u8]]) -> Result<Vec<u8>, Error> {
    let mut sums: Vec<(&[u8], i64)> = Vec::new();
    for (node, frame) in frames.iter().enumerate() {
        let mut elements = elements(Reply::parse(frame)?)?;
        let mut place = 0_usize;
        while let Some(name) = elements.next_raw() {
            let (name, number) = (name?, elements.next().ok_or_else(disagree)??);
            let number = integer(&number)?;
            match sums.get_mut(place) {
                Some((known, sum)) if *known == name => *sum = sum.saturating_add(number),
                None if node == 0 => sums.push((name, number)),
                _ => return Err(disagree()),
            }
            place = place.saturating_add(1);
        }
        if place != sums.len() {
            return Err(disagree());
        }
    }
    let mut out = Vec::new();
    encode::array_header(&mut out, sums.len().saturating_mul(2));
    for (name, sum) in sums {
        out.extend_from_slice(name);
        push_integer(&mut out, sum);
    }
    Ok(out)
}

fn per_node(replies: &[NodeReply<'_>]) -> Vec<u8> {
    let mut out = format!("%{}\r\n", replies.len()).into_bytes();
    for reply in replies {
        encode::bulk(&mut out, reply.node.to_string().as_bytes());
        out.extend_from_slice(reply.frame);
    }
    out
}

fn elements(reply: Reply<'_>) -> Result<Elements<'_>, Error> {
    match reply {
        Reply::Array(elements) | Reply::Set(elements) | Reply::Map(elements) => Ok(elements),
        other => Err(DecodeError::new("an array", &other).into()),
    }
}

fn integer(reply: &Reply<'_>) -> Result<i64, Error> {
    match reply {
        Reply::Integer(number) => Ok(*number),
        Reply::Boolean(truth) => Ok(i64::from(*truth)),
        other => Err(DecodeError::new("an integer", other).into()),
    }
}

fn push_integer(out: &mut Vec<u8>, number: i64) {
    out.push(b':');
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    out.extend_from_slice(b"\r\n");
}

#[cold]
fn disagree() -> Error {
    DecodeError::message("the nodes' replies are not of the same length and names").into()
}
