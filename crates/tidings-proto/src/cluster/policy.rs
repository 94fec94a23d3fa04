//! What a command without keys means in a cluster: who runs it, and what becomes of the replies.

use super::merge::Merge;
use crate::command::CommandRef;

/// Which nodes run a command that has no keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Target {
    /// One, whichever: a primary, as some of these write.
    AnyNode,
    /// Every primary.
    AllPrimaries,
    /// Every primary and every replica.
    AllNodes,
    /// Each primary in turn, with a cursor of its own: `SCAN`.
    EachInTurn,
    /// One that the caller must name, since it is about that node: `SHUTDOWN`, `CLUSTER MEET`, `CLIENT LIST`.
    NamedNode,
}

/// Who runs a command that has no keys, and what becomes of the replies.
///
/// As the servers' `COMMAND` says in its tips, where it says it. Beyond that, `PUBSUB` adds up all nodes, each of which
/// tells only of its own subscribers; and what is about one node is for the caller to say where.
///
/// ```
/// use tidings_proto::cluster::{Merge, Policy, Target};
/// use tidings_proto::cmd;
///
/// let policy = Policy::of(cmd("DBSIZE").view()).unwrap();
/// assert_eq!((policy.target(), policy.merge()), (Target::AllPrimaries, Merge::Sum));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Policy {
    target: Target,
    merge: Merge,
}

impl Policy {
    /// The policy of a command, as one without keys; `None` if this crate does not know it.
    pub fn of(command: CommandRef<'_>) -> Option<Self> {
        if !command.is_known() {
            return None;
        }
        let is_it = |(name, subcommands, _): &&Row| {
            command.is_named(name)
                && (subcommands.is_empty() || command.has_subcommand(subcommands))
        };
        let row = TABLE.iter().find(is_it);
        Some(row.map_or(ANY, |(_, _, policy)| *policy))
    }

    /// Who runs it.
    pub fn target(self) -> Target {
        self.target
    }

    /// What becomes of the replies.
    pub fn merge(self) -> Merge {
        self.merge
    }
}

const fn policy(target: Target, merge: Merge) -> Policy {
    Policy { target, merge }
}

const ANY: Policy = policy(Target::AnyNode, Merge::First);
const NAMED: Policy = policy(Target::NamedNode, Merge::First);
const ON_PRIMARIES: Policy = policy(Target::AllPrimaries, Merge::AllSucceeded);
const ON_NODES: Policy = policy(Target::AllNodes, Merge::AllSucceeded);
const KILL: Policy = policy(Target::AllPrimaries, Merge::OneSucceeded);
const REPORT: Policy = policy(Target::AllPrimaries, Merge::PerNode);
const REPORT_OF_NODES: Policy = policy(Target::AllNodes, Merge::PerNode);
const MIN_OF_PRIMARIES: Policy = policy(Target::AllPrimaries, Merge::Min);
const SUM_OF_NODES: Policy = policy(Target::AllNodes, Merge::Sum);
const LIST_OF_NODES: Policy = policy(Target::AllNodes, Merge::Concat);
const LIST_OF_PRIMARIES: Policy = policy(Target::AllPrimaries, Merge::Concat);
const NAMES_OF_NODES: Policy = policy(Target::AllNodes, Merge::Union);
const COUNTS_OF_NODES: Policy = policy(Target::AllNodes, Merge::SumByName);

/// A command, the subcommands that are meant if not all are, and the policy.
type Row = (&'static str, &'static [&'static str], Policy);

/// Those that any node may run are not here. Of several rows for a command, the first that fits counts.
const TABLE: &[Row] = &[
    ("ACL", &["DELUSER", "SAVE", "SETUSER"], ON_NODES),
    ("ACL", &["LOAD", "LOG"], NAMED),
    ("BGREWRITEAOF", &[], NAMED),
    ("BGSAVE", &[], NAMED),
    ("CLIENT", &["SETINFO", "SETNAME"], ON_NODES),
    ("CLIENT", &[], NAMED),
    ("CLUSTER", &["SLOT-STATS"], LIST_OF_PRIMARIES),
    (
        "CLUSTER",
        &[
            "COUNT-FAILURE-REPORTS",
            "HELP",
            "INFO",
            "KEYSLOT",
            "NODES",
            "REPLICAS",
            "SHARDS",
            "SLAVES",
            "SLOTS",
        ],
        ANY,
    ),
    ("CLUSTER", &[], NAMED),
    ("COMMANDLOG", &["GET"], LIST_OF_NODES),
    ("COMMANDLOG", &["LEN"], SUM_OF_NODES),
    ("COMMANDLOG", &["RESET"], ON_NODES),
    ("CONFIG", &["RESETSTAT", "REWRITE", "SET"], ON_NODES),
    ("DBSIZE", &[], policy(Target::AllPrimaries, Merge::Sum)),
    ("DEBUG", &[], NAMED),
    ("FAILOVER", &[], NAMED),
    ("FLUSHALL", &[], ON_PRIMARIES),
    ("FLUSHDB", &[], ON_PRIMARIES),
    (
        "FUNCTION",
        &["DELETE", "FLUSH", "LOAD", "RESTORE"],
        ON_PRIMARIES,
    ),
    ("FUNCTION", &["KILL"], KILL),
    ("FUNCTION", &["STATS"], REPORT),
    ("INFO", &[], REPORT),
    ("KEYS", &[], LIST_OF_PRIMARIES),
    ("LASTSAVE", &[], NAMED),
    (
        "LATENCY",
        &["DOCTOR", "GRAPH", "HISTOGRAM", "HISTORY", "LATEST"],
        REPORT_OF_NODES,
    ),
    ("LATENCY", &["RESET"], SUM_OF_NODES),
    ("MEMORY", &["DOCTOR", "MALLOC-STATS", "STATS"], REPORT),
    ("MEMORY", &["PURGE"], ON_PRIMARIES),
    ("MODULE", &["LOAD", "LOADEX", "UNLOAD"], NAMED),
    ("PING", &[], ON_PRIMARIES),
    ("PUBSUB", &["CHANNELS", "SHARDCHANNELS"], NAMES_OF_NODES),
    ("PUBSUB", &["NUMPAT"], SUM_OF_NODES),
    ("PUBSUB", &["NUMSUB", "SHARDNUMSUB"], COUNTS_OF_NODES),
    (
        "RANDOMKEY",
        &[],
        policy(Target::AllPrimaries, Merge::FirstThere),
    ),
    ("REPLICAOF", &[], NAMED),
    ("ROLE", &[], NAMED),
    ("SAVE", &[], NAMED),
    ("SCAN", &[], policy(Target::EachInTurn, Merge::First)),
    (
        "SCRIPT",
        &["EXISTS"],
        policy(Target::AllPrimaries, Merge::And),
    ),
    ("SCRIPT", &["FLUSH", "LOAD"], ON_NODES),
    ("SCRIPT", &["KILL"], KILL),
    ("SHUTDOWN", &[], NAMED),
    ("SLAVEOF", &[], NAMED),
    ("SLOWLOG", &["GET"], LIST_OF_NODES),
    ("SLOWLOG", &["LEN"], SUM_OF_NODES),
    ("SLOWLOG", &["RESET"], ON_NODES),
    ("WAIT", &[], MIN_OF_PRIMARIES),
    ("WAITAOF", &[], MIN_OF_PRIMARIES),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd;

    fn of(line: &str) -> Option<(Target, Merge)> {
        let mut words = line.split(' ');
        let policy = Policy::of(cmd(words.next().unwrap()).arg(words).view())?;
        Some((policy.target(), policy.merge()))
    }

    #[test]
    fn a_policy_is_found_by_name_and_subcommand_in_any_case() {
        assert_eq!(of("dbsize"), Some((Target::AllPrimaries, Merge::Sum)));
        assert_eq!(
            of("script load return"),
            Some((Target::AllNodes, Merge::AllSucceeded))
        );
        assert_eq!(of("SCRIPT SHOW x"), Some((Target::AnyNode, Merge::First)));
        assert_eq!(of("CLUSTER NODES"), Some((Target::AnyNode, Merge::First)));
        assert_eq!(
            of("CLUSTER MEET a 1"),
            Some((Target::NamedNode, Merge::First))
        );
        assert_eq!(of("PUBLISH a b"), Some((Target::AnyNode, Merge::First)));
        assert_eq!(of("FT.SEARCH a"), None);
    }

    #[test]
    fn rows_are_of_commands_that_there_are_and_in_order() {
        for (name, subcommands, _) in TABLE {
            assert!(cmd(name).is_known(), "{name}");
            assert!(subcommands.is_sorted(), "{name}");
        }
        assert!(TABLE.is_sorted_by_key(|(name, ..)| *name));
    }
}
