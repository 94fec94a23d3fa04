//! What a sentinel is asked, what it answers, and what it publishes.

use std::collections::HashMap;

use tidings_proto::cluster::Role;
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

/// A replica that is up and in touch with its primary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Replica {
    pub(super) address: Address,
    /// The sentinel can reach it at the moment.
    pub(super) is_reached: bool,
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

/// `None` if it is down, no replica as far as it said itself, or cut off from its primary: nothing that is published
/// would reach it.
fn replica(fields: &Fields) -> Option<Replica> {
    let is = |name, word| fields.get(name).is_some_and(|value| value == word);
    let flags: Vec<&str> = fields.get("flags")?.split(',').collect();
    let is_up = !flags.contains(&"s_down") && !flags.contains(&"o_down");
    (is_up && is("role-reported", "slave") && is("master-link-status", "ok"))
        .then(|| address(fields))
        .flatten()
        .map(|address| Replica {
            address,
            is_reached: !flags.contains(&"disconnected"),
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

/// What a server calls itself that was asked for its `ROLE`.
pub(super) fn role_of(answer: Reply<'_>) -> Option<Role> {
    let word = answer.into_elements()?.next()?.ok()?.as_bytes()?;
    role(std::str::from_utf8(word).ok()?)
}

/// The same, from the word for it.
pub(super) fn role(word: &str) -> Option<Role> {
    match word {
        "master" | "primary" => Some(Role::Primary),
        "slave" | "replica" => Some(Role::Replica),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
