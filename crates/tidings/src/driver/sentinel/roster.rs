//! Which sentinels there are, what each of them has said, and what follows from that.
//!
//! Sentinels do not learn of a failover at the same time, and one that was cut off from the others may not have learned
//! of it at all. They agree by the number that each failover has, the *configuration epoch*: who knows a higher one
//! knows better. So each is asked for it, and the highest counts, whoever said it, and in whatever order. Among those
//! with the same one it is the last that has changed its word: what has just been published has no number yet.

use std::time::{Duration, Instant};

use super::answers::{Peer, Replica, Report};
use crate::config::Address;
use crate::error::{Error, ErrorKind};

/// For so long the word of a sentinel counts that cannot be reached any more. The first that knew of a failover may
/// die, and the others take some seconds to hear of it, while the old primary is still one, for 11 s.
const REMEMBERED: Duration = Duration::from_secs(15);

/// Of the sentinels that others tell of, no more than so many are listened to. Five are usual.
const MOST: usize = 128;

/// The sentinels of one primary.
#[derive(Debug)]
pub(super) struct Roster {
    sentinels: Vec<Sentinel>,
}

#[derive(Debug)]
struct Sentinel {
    address: Address,
    /// By the configuration. Others come and go as these tell of them.
    is_named: bool,
    id: Option<String>,
    others: Vec<Peer>,
    standing: Standing,
    word: Option<Word>,
    /// Since when there is no connection to it, if there was one.
    lost: Option<Instant>,
}

/// What has come of asking it.
#[derive(Debug)]
enum Standing {
    Unheard,
    Failed(Error),
    /// It does not know the primary by this name.
    UnknownName,
    Answers,
}

/// Where a sentinel says that the primary is.
#[derive(Debug, Clone)]
struct Word {
    primary: Address,
    replicas: Vec<Replica>,
    epoch: u64,
    /// When it said something else before.
    changed: Option<Instant>,
}

/// What is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct View {
    pub(super) primary: Option<Address>,
    /// The replicas that are not known to be down, if they are asked for.
    pub(super) replicas: Vec<Replica>,
    /// Each sentinel that the configuration names has answered, or could not be asked, or is not waited for any more.
    pub(super) is_complete: bool,
}

impl View {
    pub(super) fn has_fit_replica_at(&self, address: &Address) -> bool {
        let mut fit = self.replicas.iter().filter(|it| it.is_fit);
        fit.any(|it| it.address == *address)
    }

    /// Whether there is a server to try that was none before.
    pub(super) fn is_news_after(&self, before: &Self) -> bool {
        let is_new = |it: &Replica| !before.replicas.iter().any(|old| old.address == it.address);
        self.primary != before.primary || self.replicas.iter().any(is_new)
    }
}

impl Roster {
    pub(super) fn new(named: &[Address]) -> Self {
        let mut roster = Self {
            sentinels: Vec::new(),
        };
        for address in named {
            if roster.find(address).is_none() {
                roster.sentinels.push(Sentinel::new(address, true));
            }
        }
        roster
    }

    /// Where they are.
    pub(super) fn addresses(&self) -> impl Iterator<Item = &Address> {
        self.sentinels.iter().map(|it| &it.address)
    }

    fn find(&mut self, address: &Address) -> Option<&mut Sentinel> {
        self.sentinels.iter_mut().find(|it| it.address == *address)
    }

    /// A sentinel has answered a round of questions.
    pub(super) fn report(&mut self, from: &Address, report: Report, now: Instant) {
        let Some(sentinel) = self.find(from) else {
            return;
        };
        sentinel.lost = None;
        sentinel.id = report.id;
        sentinel.others = report.others;
        match report.primary {
            None => {
                sentinel.word = None;
                sentinel.standing = Standing::UnknownName;
            }
            Some(primary) => sentinel.say(primary, report.replicas, report.epoch, now),
        }
    }

    /// A sentinel has published that the primary has been replaced.
    pub(super) fn switched(&mut self, from: &Address, to: Address, now: Instant) {
        let Some(sentinel) = self.find(from) else {
            return;
        };
        let (mut replicas, epoch) = match &sentinel.word {
            Some(word) => (word.replicas.clone(), word.epoch),
            None => (Vec::new(), 0),
        };
        replicas.retain(|it| it.address != to);
        sentinel.say(to, replicas, epoch, now);
    }

    /// An attempt to ask a sentinel has failed, or its connection was lost.
    pub(super) fn failed(&mut self, at: &Address, error: Error, now: Instant) {
        if let Some(sentinel) = self.find(at) {
            sentinel.standing = Standing::Failed(error);
            sentinel.lost.get_or_insert(now);
        }
    }

    /// Takes in the sentinels that others tell of, and lets go of those that nobody tells of any more: which are new,
    /// and which are gone.
    pub(super) fn update(&mut self) -> (Vec<Address>, Vec<Address>) {
        let told = self.sentinels.iter().flat_map(|it| it.others.clone());
        let told: Vec<Peer> = told.collect();
        let named_ids: Vec<String> = self
            .sentinels
            .iter()
            .filter(|it| it.is_named)
            .filter_map(|it| it.id.clone())
            .collect();
        // The configuration may call the same one by a name, or through a forwarded port.
        let is_named = |id: &Option<String>| id.as_ref().is_some_and(|id| named_ids.contains(id));
        let mut gone = Vec::new();
        self.sentinels.retain(|it| {
            let is_told = told.iter().any(|peer| peer.address == it.address);
            let stays = it.is_named || (!is_named(&it.id) && (is_told || it.lost.is_none()));
            if !stays {
                gone.push(it.address.clone());
            }
            stays
        });
        let mut new = Vec::new();
        for peer in told {
            let is_known = is_named(&peer.id) || self.find(&peer.address).is_some();
            if !is_known && self.sentinels.len() < MOST {
                self.sentinels.push(Sentinel::new(&peer.address, false));
                new.push(peer.address);
            }
        }
        (new, gone)
    }

    /// What is known now, if it was `before`: that stays as it is where nobody knows anything.
    pub(super) fn view(&self, before: &View, now: Instant) -> View {
        let counts = |it: &&Sentinel| {
            it.lost
                .is_none_or(|lost| now.saturating_duration_since(lost) < REMEMBERED)
        };
        let words = self.sentinels.iter().filter(counts).filter_map(|it| {
            let word = it.word.as_ref()?;
            // Where two call the same server by two names, there is nothing to choose.
            let is_said_already = before.primary.as_ref() == Some(&word.primary);
            Some((
                word,
                (word.epoch, word.changed, is_said_already, it.lost.is_none()),
            ))
        });
        let best = words.max_by(|(_, one), (_, other)| one.cmp(other));
        let unheard = |it: &Sentinel| it.is_named && matches!(it.standing, Standing::Unheard);
        let is_complete = before.is_complete || !self.sentinels.iter().any(unheard);
        match best {
            Some((word, _)) => View {
                primary: Some(word.primary.clone()),
                replicas: word.replicas.clone(),
                is_complete,
            },
            None => View {
                is_complete,
                ..before.clone()
            },
        }
    }

    /// Why it is not known where the primary is.
    pub(super) fn problem(&self, name: &str) -> Error {
        let failures = || {
            self.sentinels.iter().filter_map(|it| match &it.standing {
                Standing::Failed(error) => Some(error),
                _ => None,
            })
        };
        let mut sentinels = self.sentinels.iter();
        if sentinels.any(|it| matches!(it.standing, Standing::UnknownName)) {
            return Error::config(format!(
                "the sentinels know no primary by the name `{name}`: see `sentinel monitor` in their configuration"
            ));
        }
        if let Some(refused) = failures().find(|it| it.kind() == ErrorKind::Authentication) {
            let text = "the sentinels do not let the client in: they have a user and a password of their own, \
                        sentinel_username and sentinel_password";
            let error = Error::new(ErrorKind::Authentication, text).with_source(refused.clone());
            return match refused.server_error() {
                Some(server) => error.with_server(server.clone()),
                None => error,
            };
        }
        let passing = |it: &&Error| matches!(it.kind(), ErrorKind::Connection | ErrorKind::Timeout);
        if let Some(error) = failures().find(|it| !passing(it)) {
            return error.clone();
        }
        let addresses: Vec<String> = self.addresses().map(Address::to_string).collect();
        let text = format!("no sentinel could be asked, of {}", addresses.join(", "));
        match failures().next() {
            Some(error) => Error::connection(text).with_source(error.clone()),
            None => Error::connection(text),
        }
    }
}

impl Sentinel {
    fn new(address: &Address, is_named: bool) -> Self {
        Self {
            address: address.clone(),
            is_named,
            id: None,
            others: Vec::new(),
            standing: Standing::Unheard,
            word: None,
            lost: None,
        }
    }

    fn say(&mut self, primary: Address, replicas: Vec<Replica>, epoch: u64, now: Instant) {
        let changed = match &self.word {
            Some(word) if word.primary == primary => word.changed,
            Some(_) => Some(now),
            None => None,
        };
        self.standing = Standing::Answers;
        self.word = Some(Word {
            primary,
            replicas,
            epoch,
            changed,
        });
    }
}

#[cfg(test)]
mod tests;
