//! How many words each command has at least.

use std::collections::HashMap;

use bytes::Bytes;

use crate::resp::Reply;

/// Where the subcommands stand in an entry of `COMMAND`.
const SUBCOMMANDS: usize = 9;

/// The least number of words of each command that a server knows, its own among them.
///
/// Servers neither run nor show a command with fewer. A server that has given one command the name of another
/// (`rename-command`, twice) deceives this: `COMMAND` does not tell.
#[derive(Debug, Clone, Default)]
pub struct Arities {
    /// By name in small letters; a subcommand as `client|kill`.
    commands: HashMap<Vec<u8>, Arity>,
}

#[derive(Debug, Clone, Copy)]
struct Arity {
    words: u64,
    /// The second word is a part of the name.
    has_subcommands: bool,
}

impl Arities {
    /// From the answer to `COMMAND`. What is not understood in it is left out.
    pub fn from_reply(reply: Reply<'_>) -> Self {
        let mut arities = Self::default();
        arities.add(reply);
        arities
    }

    /// Adds a list of commands; whether there was one.
    fn add(&mut self, list: Reply<'_>) -> bool {
        let mut found = false;
        for entry in list.into_elements().into_iter().flatten().flatten() {
            let Some(mut fields) = entry.into_elements() else {
                continue;
            };
            let (Some(Ok(name)), Some(Ok(Reply::Integer(arity)))) = (fields.next(), fields.next())
            else {
                continue;
            };
            let Some(name) = name.as_bytes() else {
                continue;
            };
            let subcommands = fields.nth(SUBCOMMANDS - 2);
            let has_subcommands = subcommands
                .and_then(Result::ok)
                .is_some_and(|list| self.add(list));
            let arity = Arity {
                words: arity.unsigned_abs(),
                has_subcommands,
            };
            self.commands.insert(name.to_ascii_lowercase(), arity);
            found = true;
        }
        found
    }

    /// Whether a command can have no fewer words than these.
    pub(super) fn leaves_no_choice(&self, words: &[Bytes]) -> bool {
        self.fewest(words)
            .is_some_and(|fewest| u64::try_from(words.len()) == Ok(fewest))
    }

    fn fewest(&self, words: &[Bytes]) -> Option<u64> {
        let mut name = words.first()?.to_ascii_lowercase();
        let mut arity = self.commands.get(&name)?;
        if arity.has_subcommands
            && let Some(subcommand) = words.get(1)
        {
            name.push(b'|');
            name.extend(subcommand.to_ascii_lowercase());
            arity = self.commands.get(&name)?;
        }
        Some(arity.words)
    }
}
