//! The commands, written once for every face.
//!
//! Each group is a table in a file of its own. A table is a macro that hands its rows to another macro, which makes
//! of each row what its face needs.

mod connection;
mod counters;
mod keys;
mod pubsub;
mod sets;
mod strings;

use tidings_proto::{Command, FromReply, ToArg, ToArgs, cmd};

use crate::error::Error;

/// Makes a trait method of each row of a table.
///
/// A row is a signature, `->` what comes back, and the words of the command. `[T]` behind the name: the caller names
/// the type of the reply. `<S>`: one name or many.
macro_rules! trait_methods {
    ($(
        $(#[$meta:meta])*
        fn $name:ident $([$reply:ident])? $(<$($shape:ident),+>)? ($($arg:ident: $type:ty),*) -> $out:ty
            = [$first:literal $($word:tt)*];
    )*) => {$(
        $(#[$meta])*
        fn $name<$($reply: FromReply,)? $($($shape),+)?>(self $(, $arg: $type)*) -> Self::Output<$out> {
            self.run(cmd($first)$(.arg($word))*)
        }
    )*};
}

/// The commands of a client.
///
/// Each method makes one command; what comes back is a future for [`&Client`](crate::Client). Keys, values and names
/// are text, bytes or numbers; where several are taken, also arrays, slices and iterators of them. Where a command can
/// give several types, the caller names it; see [`FromReply`].
///
/// [`run`](Self::run) takes any other command.
///
/// # Errors
///
/// All methods: the server's error reply, a lost connection
/// ([`may_have_run`](crate::Error::may_have_run) says whether the command may have run), a reply that came too late, or
/// one that is not of the type that was asked for.
pub trait Commands: Sized {
    /// What a method gives for a reply of type `T`.
    type Output<T: FromReply>;

    /// Runs any command.
    ///
    /// ```no_run
    /// # async fn example(client: tidings::Client) -> tidings::Result<()> {
    /// use tidings::{Commands, cmd};
    ///
    /// let n: i64 = client.run(cmd("INCRBY").arg("n").arg(2)).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Commands that change the state of a connection that others share (`SUBSCRIBE`, `SELECT`, `MULTI`, `MONITOR`, …)
    /// are refused as a [misuse](crate::ErrorKind::Misuse).
    ///
    /// One that blocks (`BLPOP`, `XREAD BLOCK`) is not, and holds up the commands of all who share the connection:
    /// give it a client of its own.
    fn run<T: FromReply>(self, command: Command) -> Self::Output<T>;

    connection::table!(trait_methods);
    keys::table!(trait_methods);
    strings::table!(trait_methods);
    counters::table!(trait_methods);
    sets::table!(trait_methods);
    pubsub::table!(trait_methods);
}

/// Why a command may not run on a shared connection, if it may not.
pub(crate) fn refused(command: &Command) -> Option<Error> {
    let name = command.name();
    let is = |names: &[&str]| {
        names
            .iter()
            .any(|one| name.eq_ignore_ascii_case(one.as_bytes()))
    };
    let instead = if is(&["SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE"])
        || is(&["UNSUBSCRIBE", "PUNSUBSCRIBE", "SUNSUBSCRIBE"])
    {
        "use Client::pubsub"
    } else if is(&["SELECT"]) {
        "one client serves one database: name it in the URL"
    } else if is(&["AUTH", "HELLO"]) {
        "user, password and protocol are set in the URL or the Config"
    } else if is(&["RESET", "QUIT"]) {
        "it would end what others use; drop the client to close it"
    } else if is(&["MULTI", "EXEC", "DISCARD", "WATCH", "UNWATCH"]) {
        "transactions need a connection of their own, and are not there yet"
    } else if is(&["MONITOR", "SYNC", "PSYNC"]) {
        "it turns the connection into a stream"
    } else {
        let args: Vec<&[u8]> = command.args().take(2).collect();
        let reply = args
            .first()
            .is_some_and(|word| word.eq_ignore_ascii_case(b"REPLY"));
        if !(is(&["CLIENT"]) && reply) {
            return None;
        }
        "it would leave commands without replies"
    };
    let mut name = String::from_utf8_lossy(name).to_uppercase();
    if name == "CLIENT" {
        name.push_str(" REPLY");
    }
    Some(Error::misuse(format!(
        "{name} cannot run on a connection that is shared: {instead}"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_that_change_a_shared_connection_are_refused_with_what_to_do_instead() {
        for command in [
            cmd("subscribe").arg("a"),
            cmd("SELECT").arg(1),
            cmd("MULTI"),
        ] {
            assert!(refused(&command).unwrap().is_misuse(), "{command}");
        }
        assert!(refused(&cmd("CLIENT").arg("REPLY").arg("OFF")).is_some());
        for command in [
            cmd("CLIENT").arg("LIST"),
            cmd("GET").arg("a"),
            cmd("PUBSUB").arg("NUMPAT"),
        ] {
            assert!(refused(&command).is_none(), "{command}");
        }
    }
}
