//! The fields of a node as servers write them, and what address comes of them.

use std::{str, sync::Arc};

use super::{Asked, Health, Node, Role};
use crate::{
    cluster::node::Endpoint,
    error::{DecodeError, Error},
    resp::{Elements, Reply},
};

/// What a server said of one node.
pub(super) struct Described<'a> {
    id: Option<&'a str>,
    endpoint: Option<&'a str>,
    ip: Option<&'a str>,
    hostname: Option<&'a str>,
    port: Option<i64>,
    tls_port: Option<i64>,
    /// The port is that of the connection that asked, TLS or not.
    is_port_for_asker: bool,
    role: Role,
    health: Health,
    replication_offset: Option<i64>,
}

impl<'a> Described<'a> {
    fn new(role: Role) -> Self {
        Self {
            id: None,
            endpoint: None,
            ip: None,
            hostname: None,
            port: None,
            tls_port: None,
            is_port_for_asker: false,
            role,
            health: Health::Online,
            replication_offset: None,
        }
    }

    /// As `CLUSTER SHARDS` has it: names and values.
    pub(super) fn of_shards(reply: Reply<'a>) -> Result<Self, Error> {
        let mut node = Self::new(Role::Replica);
        let mut fields = pairs(reply)?;
        while let Some((name, value)) = fields.next_pair()? {
            match text(&name)? {
                "id" => node.id = some_text(&value)?,
                "endpoint" => node.endpoint = some_text(&value)?,
                "ip" => node.ip = some_text(&value)?,
                "hostname" => node.hostname = some_text(&value)?,
                "port" => node.port = Some(number(&value)?),
                "tls-port" => node.tls_port = Some(number(&value)?),
                "role" => node.role = role(text(&value)?),
                "health" => node.health = health(text(&value)?),
                "replication-offset" => node.replication_offset = Some(number(&value)?),
                _ => {}
            }
        }
        Ok(node)
    }

    /// As `CLUSTER SLOTS` has it: endpoint, port, since Redis 4 an id, since Redis 7 names and values.
    pub(super) fn of_slots(reply: Reply<'a>, role: Role) -> Result<Self, Error> {
        let mut node = Self {
            is_port_for_asker: true,
            ..Self::new(role)
        };
        let mut fields = elements(reply)?;
        if let Some(endpoint) = fields.next() {
            node.endpoint = some_text(&endpoint?)?;
        }
        if let Some(port) = fields.next() {
            node.port = Some(number(&port?)?);
        }
        if let Some(id) = fields.next() {
            node.id = some_text(&id?)?;
        }
        if let Some(more) = fields.next() {
            let mut more = pairs(more?)?;
            while let Some((name, value)) = more.next_pair()? {
                match text(&name)? {
                    "ip" => node.ip = some_text(&value)?,
                    "hostname" => node.hostname = some_text(&value)?,
                    _ => {}
                }
            }
        }
        Ok(node)
    }

    /// The node, if it can be reached in the way in which it was asked.
    pub(super) fn node(self, asked: Asked<'_>) -> Option<Node> {
        let port = if asked.tls && !self.is_port_for_asker {
            self.tls_port
        } else {
            self.port
        };
        let port = u16::try_from(port?).ok().filter(|port| *port != 0)?;
        let host = match self.endpoint {
            // It was told to prefer names, and this node has none; the others reach it by its address.
            Some("?") => self.ip.unwrap_or_default(),
            endpoint => endpoint.unwrap_or_default(),
        };
        let owned = |text: &str| -> Option<Arc<str>> { (!text.is_empty()).then(|| text.into()) };
        Some(Node {
            id: self.id.and_then(owned),
            address: Endpoint::new(host, port).told_by(asked.address),
            hostname: self.hostname.and_then(owned),
            role: self.role,
            health: self.health,
            replication_offset: self.replication_offset,
        })
    }
}

fn role(word: &str) -> Role {
    match word {
        "master" | "primary" => Role::Primary,
        _ => Role::Replica,
    }
}

/// A state that is new to this crate is one in which nobody should rely on the node.
fn health(word: &str) -> Health {
    match word {
        "online" => Health::Online,
        "fail" | "failed" => Health::Failed,
        _ => Health::Loading,
    }
}

pub(in crate::cluster) fn elements(reply: Reply<'_>) -> Result<Elements<'_>, Error> {
    let reply = reply.into_result()?;
    match reply {
        Reply::Array(elements) | Reply::Set(elements) | Reply::Map(elements) => Ok(elements),
        other => Err(DecodeError::new("an array", &other).into()),
    }
}

/// Names and values in turn: a map of RESP3, or an array of RESP2.
pub(in crate::cluster) struct Fields<'a>(Elements<'a>);

pub(in crate::cluster) fn pairs(reply: Reply<'_>) -> Result<Fields<'_>, Error> {
    elements(reply).map(Fields)
}

impl<'a> Fields<'a> {
    pub(in crate::cluster) fn next_pair(
        &mut self,
    ) -> Result<Option<(Reply<'a>, Reply<'a>)>, Error> {
        let Some(name) = self.0.next() else {
            return Ok(None);
        };
        let Some(value) = self.0.next() else {
            return Err(DecodeError::message("a field has a name and a value").into());
        };
        Ok(Some((name?, value?)))
    }
}

pub(in crate::cluster) fn text<'a>(reply: &Reply<'a>) -> Result<&'a str, Error> {
    let text = reply
        .as_bytes()
        .and_then(|bytes| str::from_utf8(bytes).ok());
    text.ok_or_else(|| DecodeError::new("a text", reply).into())
}

fn some_text<'a>(reply: &Reply<'a>) -> Result<Option<&'a str>, Error> {
    if reply.is_null() {
        return Ok(None);
    }
    text(reply).map(Some)
}

pub(in crate::cluster) fn number(reply: &Reply<'_>) -> Result<i64, Error> {
    match reply {
        Reply::Integer(number) => Ok(*number),
        other => Err(DecodeError::new("an integer", other).into()),
    }
}
