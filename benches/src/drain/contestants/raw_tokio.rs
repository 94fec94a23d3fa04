//! The same on tokio: what the runtime adds before a client has done anything.

use std::net::Ipv4Addr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::raw::{READ_SIZE, Script};
use super::{Assignment, Contestant};
use crate::Result;
use crate::contestant::{Kind, current_thread, nothing_to_prepare};
use crate::drain::tally::Tally;
use crate::machine::Core;
use crate::measure::Outcome;

pub(super) const RAW_TOKIO: Contestant = Contestant {
    name: "raw-tokio",
    usage: "the same with tokio's `read`, current_thread runtime",
    package: Some("tokio"),
    kind: Kind::Other,
    most: u64::MAX,
    core: Core::Last,
    prepare: nothing_to_prepare,
    run: |assignment| current_thread()?.block_on(drain(assignment)),
};

async fn drain(assignment: &Assignment) -> Result<Outcome> {
    let script = Script::new(assignment);
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, assignment.port)).await?;
    stream.write_all(&script.request).await?;
    stream.read_exact(&mut vec![0; script.answer_len]).await?;
    let mut buffer = vec![0; READ_SIZE];
    let mut tally = Tally::subscribed();
    let mut left = script.stream_len;
    while left > 0 {
        let most = READ_SIZE.min(usize::try_from(left)?);
        match stream.read(&mut buffer[..most]).await? {
            0 => return Err("the stream broke off".into()),
            read => left -= read as u64,
        }
    }
    let mut marker = vec![0; script.marker_len];
    stream.read_exact(&mut marker).await?;
    script.finish(&mut tally, &marker)?;
    Ok(tally.finish())
}
