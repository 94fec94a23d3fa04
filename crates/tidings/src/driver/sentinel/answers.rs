//! What a sentinel is asked, what it answers, and what it publishes.

use std::collections::HashMap;

use tidings_proto::{Command, FromReply, Reply, cmd};

use crate::config::Address;
use crate::error::{Error, ErrorKind, Result};

/// The channel on which each sentinel says that a primary has been replaced, as soon as it knows.
pub(super) const SWITCHES: &str = "+switch-master";

/// One question of a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Question {
    Epoch,
    Primary,
    Id,
    Sentinels,
    Replicas,
}

impl Question {
    /// Those of a round, in their order. The epoch comes first: should the primary be replaced in between, a new address
    /// with an old epoch does no harm, and the reverse would.
    pub(super) fn round(replicas: bool) -> impl Iterator<Item = Self> {
        let always = [Self::Epoch, Self::Primary, Self::Id, Self::Sentinels];
        always.into_iter().chain(replicas.then_some(Self::Replicas))
    }

    pub(super) fn command(self, name: &str) -> Command {
        let command = cmd("SENTINEL");
        match self {
            Self::Epoch => command.arg("MASTER").arg(name),
            Self::Primary => command.arg("GET-MASTER-ADDR-BY-NAME").arg(name),
            Self::Id => command.arg("MYID"),
            Self::Sentinels => command.arg("SENTINELS").arg(name),
            Self::Replicas => command.arg("REPLICAS").arg(name),
        }
    }
}

/// What one sentinel says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Report {
    /// Where the primary is; `None` if it does not know the name.
    pub(super) primary: Option<Address>,
    /// The higher, the newer: each failover that has succeeded has one of its own, by which the sentinels agree.
    pub(super) epoch: u64,
    /// The replicas that are worth reading from.
    pub(super) replicas: Vec<Replica>,
    /// What it is called, by whatever address it is reached (since Redis 6.2).
    pub(super) id: Option<String>,
    /// The other sentinels that it knows.
    pub(super) others: Vec<Peer>,
}

/// A replica that is not known to be down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Replica {
    pub(super) address: Address,
    /// It is in touch with its primary, and with the sentinel, when that has asked it last. This may be 10 s ago.
    pub(super) is_fit: bool,
}

/// A sentinel that another one knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Peer {
    pub(super) address: Address,
    pub(super) id: Option<String>,
}

impl Report {
    /// Takes an answer.
    ///
    /// # Errors
    ///
    /// It does not say where the primary is. What else is refused is done without: a user may be allowed no more than
    /// that.
    pub(super) fn take(&mut self, question: Question, answer: Reply<'_>) -> Result<()> {
        match question {
            Question::Primary => {
                let told = Option::<(String, u16)>::from_reply(answer.into_result()?)?;
                self.primary = told.map(|(host, port)| valid(&host, port)).transpose()?;
            }
            Question::Epoch => {
                let fields = Fields::from_reply(answer).unwrap_or_default();
                self.epoch = number(&fields, "config-epoch").unwrap_or_default();
            }
            Question::Id => self.id = String::from_reply(answer).ok(),
            Question::Sentinels => {
                let list = Vec::from_reply(answer).unwrap_or_default();
                self.others = list.iter().filter_map(peer).collect();
            }
            Question::Replicas => {
                let list = Vec::from_reply(answer).unwrap_or_default();
                self.replicas = list.iter().filter_map(replica).collect();
            }
        }
        Ok(())
    }
}

/// How sentinels describe an instance: in names and values.
type Fields = HashMap<String, String>;

fn number<N: std::str::FromStr>(fields: &Fields, name: &str) -> Option<N> {
    fields.get(name)?.parse().ok()
}

/// A name that does not resolve any more may be told as an empty one.
fn valid(host: &str, port: u16) -> Result<Address> {
    if host.is_empty() || port == 0 {
        let text = "a sentinel knows the primary and not its address";
        return Err(Error::new(ErrorKind::Protocol, text));
    }
    Ok(Address::tcp(host, port))
}

fn address(fields: &Fields) -> Option<Address> {
    valid(fields.get("ip")?, number(fields, "port")?).ok()
}

fn peer(fields: &Fields) -> Option<Peer> {
    Some(Peer {
        address: address(fields)?,
        id: fields.get("runid").filter(|id| !id.is_empty()).cloned(),
    })
}

/// `None` if it is down, or no replica as far as it said itself.
fn replica(fields: &Fields) -> Option<Replica> {
    let is = |name, word| fields.get(name).is_some_and(|value| value == word);
    let flags: Vec<&str> = fields.get("flags")?.split(',').collect();
    let is_down = flags.contains(&"s_down") || flags.contains(&"o_down");
    if is_down || !is("role-reported", "slave") {
        return None;
    }
    Some(Replica {
        address: address(fields)?,
        is_fit: is("master-link-status", "ok") && !flags.contains(&"disconnected"),
    })
}

/// What was published, if `frame` is a message and no answer. Answers never begin with that word.
pub(super) fn message(frame: Reply<'_>) -> Option<String> {
    let mut elements = frame.into_elements()?;
    let mut next = || {
        elements
            .next()?
            .ok()
            .and_then(|part| String::from_reply(part).ok())
    };
    if next()? != "message" || next()? != SWITCHES {
        return None;
    }
    next()
}

/// Where the primary of this name is now, from what was published: `name old-host old-port new-host new-port`.
pub(super) fn switched(payload: &str, name: &str) -> Option<Address> {
    let words: Vec<&str> = payload.split(' ').collect();
    let [of, _, _, host, port] = words.as_slice() else {
        return None;
    };
    let to = valid(host, port.parse().ok()?).ok()?;
    (*of == name).then_some(to)
}

/// What a server is, as it says itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Primary,
    Replica,
    /// A replica that is not in touch with its primary: nothing that is published there reaches it.
    CutOff,
    /// It does not say.
    Unknown,
}

impl Kind {
    /// From the answer to `ROLE`.
    pub(super) fn of_role(answer: Reply<'_>) -> Self {
        let words = answer.into_elements().into_iter().flatten();
        let words: Vec<&[u8]> = words
            .map(|word| {
                word.ok()
                    .and_then(|word| word.as_bytes())
                    .unwrap_or_default()
            })
            .collect();
        match words.as_slice() {
            [b"slave" | b"replica", _, _, b"connected", ..] => Self::Replica,
            [b"slave" | b"replica", ..] => Self::CutOff,
            [b"master" | b"primary", ..] => Self::Primary,
            _ => Self::Unknown,
        }
    }

    /// From the role that the answer to `HELLO` tells. A replica may be one that is cut off.
    pub(super) fn of_hello(role: Option<&str>) -> Self {
        match role {
            Some("master" | "primary") => Self::Primary,
            Some("slave" | "replica") => Self::Replica,
            _ => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests;
