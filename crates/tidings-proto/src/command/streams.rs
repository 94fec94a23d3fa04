//! The options of `XREAD` and `XREADGROUP`, which stand before the streams.

use super::{lookup::is, view::Args};

pub(super) enum StreamOption<'a> {
    /// With its value, unless the command ends there.
    Block(Option<&'a [u8]>),
    /// The streams follow, and then an ID for each.
    Streams,
    Other,
}

impl<'a> StreamOption<'a> {
    /// Reads one option with its values. A word that is not known is taken for one without.
    pub(super) fn read(args: &mut Args<'a>) -> Option<Self> {
        let word = args.next()?;
        if is(word, "BLOCK") {
            return Some(Self::Block(args.next()));
        }
        if is(word, "STREAMS") {
            return Some(Self::Streams);
        }
        if is(word, "GROUP") {
            args.next();
            args.next();
        } else if is(word, "COUNT") || is(word, "CLAIM") {
            args.next();
        }
        Some(Self::Other)
    }
}
