//! Arguments out of Rust values, Rust values out of replies.

mod arg;
mod from_reply;
mod notes;
mod to_args;

pub(crate) use self::notes::Notes;
pub use self::{
    arg::Arg,
    from_reply::FromReply,
    notes::ArgError,
    to_args::{ArgWriter, Many, One, PairRefs, Pairs, ToArg, ToArgs, TripleRefs, Triples},
};
