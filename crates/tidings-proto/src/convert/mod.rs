//! Arguments out of Rust values, Rust values out of replies.

mod from_reply;
mod to_args;

pub use self::{
    from_reply::FromReply,
    to_args::{ArgWriter, Many, One, PairRefs, Pairs, ToArg, ToArgs, TripleRefs, Triples},
};
