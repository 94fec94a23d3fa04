//! The Redis and Valkey protocol as a state machine.

mod command;
mod convert;
mod error;
mod excerpt;
mod limits;
mod resp;
pub use command::{Args, Command, cmd};
pub use convert::{ArgWriter, FromReply, Many, One, PairRefs, Pairs, ToArg, ToArgs};
pub use error::{DecodeError, Error, ProtocolError, ServerError};
pub use limits::Limits;
pub use resp::{Bulk, CommandWriter, Decoder, Elements, Reply, Value};
