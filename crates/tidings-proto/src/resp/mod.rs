//! RESP, the servers' wire format: <https://redis.io/docs/latest/develop/reference/protocol-spec/>.

mod decode;
pub(crate) mod encode;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod grammar;
mod reply;
#[cfg(test)]
pub(crate) mod testing;
mod value;

pub(crate) use crate::excerpt::Quoted as excerpt;

pub use self::{
    decode::Decoder,
    encode::CommandWriter,
    reply::{Bulk, Elements, Reply},
    value::Value,
};
