//! RESP, the servers' wire format: <https://redis.io/docs/latest/develop/reference/protocol-spec/>.

mod decode;
pub(crate) mod encode;
mod grammar;
mod reply;
mod value;

pub(crate) use crate::excerpt::Quoted as excerpt;

pub use self::{
    decode::Decoder,
    encode::CommandWriter,
    reply::{Bulk, Elements, Reply},
    value::Value,
};
