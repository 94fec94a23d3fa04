//! The commands, written once for every face.
//!
//! Each group is a table in a file of its own. A table is a macro that hands its rows to another macro, which makes
//! of each row what its face needs.

mod acl;
pub(crate) mod args;
mod bitmaps;
mod cluster;
mod connection;
mod diagnostics;
mod geo;
mod hashes;
mod hyperloglog;
mod keys;
mod lists;
mod pubsub;
mod scripting;
mod server;
mod sets;
mod sorted_set_operations;
mod sorted_set_ranges;
mod sorted_sets;
mod streams;
mod strings;

#[cfg(test)]
mod samples;

use std::time::Duration;

use tidings_proto::{
    Command, CommandRef, ConnectionChange, FromReply, ToArg, ToArgs, cmd, may_block,
};

use self::args::{Bit, Counted, CountedPairs, Milliseconds, OnOff, Seconds, Streams};
use self::options::*;
use crate::error::Error;
use crate::pipeline::{ClusterPipeline, Pipeline, pipeline_methods};
use crate::script::ScriptCall;

/// Makes a trait method of each row of a table.
///
/// A row is a signature, `->` what comes back, and the words of the command. `[T]` behind the name: the caller names
/// the type of the reply. `<S>`: one name or many. A word may be an expression in brackets, `(Counted(keys))`.
macro_rules! trait_methods {
    ($(
        $(#[$meta:meta])*
        fn $name:ident $([$reply:ident])? $(<$($shape:ident),+>)? ($($arg:ident: $type:ty),*) -> $out:ty
            = [$first:literal $($word:tt)*];
    )*) => {$(
        $(#[$meta])*
        fn $name<$($reply: FromReply,)? $($($shape),+)?>(self $(, $arg: $type)*) -> Self::Output<$out> {
            let command = cmd($first)$(.arg($word))*;
            if const { may_block($first) } { self.run(command) } else { self.run_known(command) }
        }
    )*};
}

/// Hands every table to a macro.
macro_rules! each_table {
    ($emit:ident) => {
        connection::table!($emit);
        keys::table!($emit);
        strings::table!($emit);
        bitmaps::table!($emit);
        hyperloglog::table!($emit);
        hashes::table!($emit);
        lists::table!($emit);
        sets::table!($emit);
        sorted_sets::table!($emit);
        sorted_set_ranges::table!($emit);
        sorted_set_operations::table!($emit);
        streams::table!($emit);
        geo::table!($emit);
        pubsub::table!($emit);
        scripting::table!($emit);
        server::table!($emit);
        diagnostics::table!($emit);
        acl::table!($emit);
        cluster::table!($emit);
    };
}

/// The options of commands, for the methods whose names end in `_with` and others that take them.
pub mod options {
    pub use super::args::Options;
    pub use super::bitmaps::{BitcountOptions, BitfieldOperations, BitfieldReads, BitposOptions};
    pub use super::cluster::{ClusterscanOptions, SlotMigrations, SlotStatsOptions};
    pub use super::connection::ClientFilter;
    pub use super::diagnostics::CommandLog;
    pub use super::geo::{
        GeoArea, GeoOrigin, GeoUnit, GeoaddOptions, GeoradiusOptions, GeosearchOptions,
        GeosearchstoreOptions,
    };
    pub use super::hashes::{HexpireOptions, HscanOptions, HsetexOptions};
    pub use super::keys::{
        CopyOptions, ExpireOptions, MigrateOptions, RestoreOptions, ScanOptions, SortOptions,
    };
    pub use super::lists::{LposOptions, Place, Side};
    pub use super::scripting::{FunctionListOptions, RestorePolicy};
    pub use super::server::{
        CommandListOptions, FailoverOptions, ModuleLoadexOptions, ShutdownOptions,
    };
    pub use super::sets::SscanOptions;
    pub use super::sorted_set_operations::{ZunionOptions, ZunionstoreOptions};
    pub use super::sorted_set_ranges::{Zrange, ZrangebylexOptions, ZrangebyscoreOptions};
    pub use super::sorted_sets::{MinMax, ZaddOptions, ZscanOptions};
    pub use super::streams::{
        PendingRange, StreamTrim, XaddOptions, XautoclaimOptions, XclaimOptions,
        XgroupCreateOptions, XgroupSetidOptions, XreadOptions, XreadgroupOptions, XsetidOptions,
    };
    pub use super::strings::{GetexOptions, LcsOptions, MsetexOptions, SetOptions};
}

/// The commands of a client.
///
/// Each method makes one command; what comes back is a future for [`&Client`](crate::Client), and a
/// [`Result`](crate::Result) for the blocking one. Keys, values and names
/// are text, bytes or numbers; where several are taken, also arrays, slices and iterators of them, and for pairs such as
/// fields with their values arrays of tuples or maps.
///
/// Where a command can give several types, the caller names one; see [`FromReply`]. A variable's type is enough. Named
/// with the method, it has a `_` behind it where one name or many are taken:
///
/// ```no_run
/// # async fn example(client: tidings::Client) -> tidings::Result<()> {
/// use tidings::Commands;
///
/// let values: Vec<Option<i64>> = client.mget(["a", "b"]).await?;
/// for value in client.mget::<Vec<Option<i64>>, _>(["a", "b"]).await? {
///     println!("{value:?}");
/// }
/// println!("{:?}", client.get::<Option<i64>>("a").await?);
/// # Ok(())
/// # }
/// ```
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
    /// One that blocks (`BLPOP`, `XREAD BLOCK`, `WAIT`) is run on a connection of its own. What the connection has done
    /// before is therefore unknown to it: `WAIT` belongs behind the writes it waits for, in a pipeline that is no
    /// transaction, or on a [`Watch`](crate::Watch).
    fn run<T: FromReply>(self, command: Command) -> Self::Output<T>;

    /// Runs a command of which it is known that it neither blocks nor changes the connection.
    #[doc(hidden)]
    fn run_known<T: FromReply>(self, command: Command) -> Self::Output<T> {
        self.run(command)
    }

    /// Runs a script: by its digest, and as a whole where it is unknown. Whoever does not know how runs it as a whole.
    #[doc(hidden)]
    fn run_script<T: FromReply>(self, call: ScriptCall) -> Self::Output<T> {
        self.run(call.whole())
    }

    each_table!(trait_methods);
}

impl Pipeline {
    each_table!(pipeline_methods);
}

impl ClusterPipeline {
    each_table!(pipeline_methods);
}

#[cfg(feature = "blocking")]
impl crate::blocking::Pipeline {
    each_table!(pipeline_methods);
}

#[cfg(feature = "blocking")]
impl crate::blocking::ClusterPipeline {
    each_table!(pipeline_methods);
}

/// Why a command may not run as any other, if it may not.
pub(crate) fn refused(command: CommandRef<'_>) -> Option<Error> {
    let name = command.name();
    let instead = match command.changes_connection() {
        None if name.is_empty() || name.iter().any(u8::is_ascii_whitespace) => {
            return Some(Error::misuse(
                "a command's name is one word, and the others are arguments: cmd(\"CONFIG\").arg(\"GET\")",
            ));
        }
        None => return None,
        Some(ConnectionChange::Subscriptions) => "use pubsub of Client or ClusterClient",
        Some(ConnectionChange::Database) => "one client serves one database: name it in the URL",
        Some(ConnectionChange::Login) => {
            "the user, the password and the protocol are set in the URL or the Config"
        }
        Some(ConnectionChange::Transaction) => {
            "a pipeline is a transaction unless told otherwise, and keys are watched by Client::watch \
             or Client::transaction; in a cluster both is for one slot, by ClusterClient::transaction_on"
        }
        Some(ConnectionChange::Stream) => {
            "it turns the connection into a stream; for MONITOR use monitor of Client or ClusterClient"
        }
        Some(ConnectionChange::Replies) => "it would leave the commands behind it without replies",
        Some(ConnectionChange::End) => "drop the client to close its connection",
        Some(_) => "it would change what the commands of others do",
    };
    let name = String::from_utf8_lossy(name).to_ascii_uppercase();
    Some(Error::misuse(format!(
        "{name} cannot be sent by hand: {instead}"
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
            cmd("watch").arg("a"),
            cmd("exec"),
            cmd("CONFIG GET").arg("save"),
            cmd(""),
        ] {
            assert!(refused(command.view()).unwrap().is_misuse(), "{command}");
        }
        assert!(refused(cmd("client").arg("reply").arg("OFF").view()).is_some());
        for command in [
            cmd("CLIENT").arg("LIST"),
            cmd("GET").arg("a"),
            cmd("XREAD").arg("STREAMS").arg("s").arg(0),
            cmd("PUBSUB").arg("NUMPAT"),
        ] {
            assert!(refused(command.view()).is_none(), "{command}");
        }
    }
}
