//! Commands that do not leave their connection as it was.

use super::{
    lookup::{self, is},
    view::CommandRef,
};

/// What a command changes for the others on its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectionChange {
    /// What it is subscribed to: `SUBSCRIBE`, `UNSUBSCRIBE`, …
    Subscriptions,
    /// Which database the commands mean: `SELECT`.
    Database,
    /// Whose it is, and which protocol it speaks: `AUTH`, `HELLO`.
    Login,
    /// Whether commands run or are queued, and on what condition: `MULTI`, `EXEC`, `WATCH`, …
    Transaction,
    /// It becomes a stream: `MONITOR`, `SYNC`, …
    Stream,
    /// Which commands have a reply at all: `CLIENT REPLY`.
    Replies,
    /// Which keys the server remembers for it: `CLIENT TRACKING`, `CLIENT CACHING`.
    Tracking,
    /// How the server runs the commands that follow: `READONLY`, `ASKING`, `CLIENT NO-TOUCH`,
    /// `SCRIPT DEBUG`, …
    Mode,
    /// It ends, or begins anew: `QUIT`, `RESET`.
    End,
}

pub(super) fn changes_connection(command: CommandRef<'_>) -> Option<ConnectionChange> {
    let row = lookup::find(command.name())?;
    if row.sub_changes.is_empty() {
        return row.change;
    }
    let subcommand = command.args().next()?;
    row.sub_changes
        .iter()
        .find(|(name, _)| is(subcommand, name))
        .map(|(_, change)| *change)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd;

    #[test]
    fn commands_that_others_would_notice_say_what_they_change() {
        use ConnectionChange as Change;
        for (command, change) in [
            (cmd("ssubscribe").arg("a"), Change::Subscriptions),
            (cmd("SELECT").arg(1), Change::Database),
            (cmd("HELLO").arg(3), Change::Login),
            (cmd("WATCH").arg("a"), Change::Transaction),
            (cmd("MONITOR"), Change::Stream),
            (cmd("client").arg("reply").arg("OFF"), Change::Replies),
            (cmd("CLIENT").arg("TRACKING").arg("ON"), Change::Tracking),
            (cmd("SCRIPT").arg("DEBUG").arg("YES"), Change::Mode),
            (cmd("ASKING"), Change::Mode),
            (cmd("RESET"), Change::End),
        ] {
            assert_eq!(command.changes_connection(), Some(change), "{command}");
        }
    }

    #[test]
    fn commands_that_nobody_else_notices_change_nothing() {
        for command in [
            cmd("GET").arg("SELECT"),
            cmd("CLIENT"),
            cmd("CLIENT").arg("SETNAME").arg("REPLY"),
            cmd("SCRIPT").arg("LOAD").arg("DEBUG"),
            cmd("PUBSUB").arg("NUMPAT"),
            cmd("UNKNOWN"),
        ] {
            assert_eq!(command.changes_connection(), None, "{command}");
        }
    }
}
