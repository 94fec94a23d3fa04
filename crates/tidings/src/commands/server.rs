//! Commands about the server: what it knows, its settings, its disk, its replicas.

use std::time::Duration;

use tidings_proto::{ToArg, ToArgs};

use super::args::{Milliseconds, options};

/// The table of server commands.
macro_rules! table {
    ($emit:ident) => {
        $emit! {
            /// `INFO`: what the server tells of itself: sections of lines `name:value`.
            ///
            /// O(1), since 1.0.0.
            fn info() -> String = ["INFO"];

            /// `INFO` of some sections: `server`, `clients`, `memory`, `replication`, `all`, …
            ///
            /// O(1), since 1.0.0; several since 7.0.0.
            fn info_of<S>(sections: impl ToArgs<S>) -> String = ["INFO" sections];

            /// `TIME`: the server's clock: Unix time in seconds, and the microseconds of the running one.
            ///
            /// O(1), since 2.6.0.
            fn time() -> (i64, i64) = ["TIME"];

            /// `DBSIZE`: how many keys there are in the database.
            ///
            /// O(1), since 1.0.0.
            fn dbsize() -> i64 = ["DBSIZE"];

            /// `FLUSHDB`: removes all keys of the database.
            ///
            /// O(number of keys), since 1.0.0.
            fn flushdb() -> () = ["FLUSHDB"];

            /// `FLUSHDB ASYNC`: removes all keys of the database and frees their memory in the background.
            ///
            /// O(1), since 4.0.0.
            fn flushdb_async() -> () = ["FLUSHDB" "ASYNC"];

            /// `FLUSHDB SYNC`: removes all keys of the database and frees their memory before it answers, whatever the
            /// server is configured to.
            ///
            /// O(number of keys), since 6.2.0.
            fn flushdb_sync() -> () = ["FLUSHDB" "SYNC"];

            /// `FLUSHALL`: removes all keys of all databases.
            ///
            /// O(number of keys), since 1.0.0.
            fn flushall() -> () = ["FLUSHALL"];

            /// `FLUSHALL ASYNC`: removes all keys of all databases and frees their memory in the background.
            ///
            /// O(1), since 4.0.0.
            fn flushall_async() -> () = ["FLUSHALL" "ASYNC"];

            /// `FLUSHALL SYNC`: removes all keys of all databases and frees their memory before it answers, whatever
            /// the server is configured to.
            ///
            /// O(number of keys), since 6.2.0.
            fn flushall_sync() -> () = ["FLUSHALL" "SYNC"];

            /// `SWAPDB`: gives two databases each other's keys, for all clients at once.
            ///
            /// O(clients that watch or wait in either), since 4.0.0.
            fn swapdb(first: i64, second: i64) -> () = ["SWAPDB" first second];

            /// `CONFIG GET`: the settings whose names match any of the patterns.
            ///
            /// O(number of settings), since 2.0.0; several patterns since 7.0.0.
            fn config_get<S>(patterns: impl ToArgs<S>) -> std::collections::HashMap<String, String>
                = ["CONFIG" "GET" patterns];

            /// `CONFIG SET`: changes settings while the server runs, all or none. One is `[(name, value)]`.
            ///
            /// O(number of settings), since 2.0.0; several since 7.0.0.
            fn config_set<S>(settings: impl ToArgs<S>) -> () = ["CONFIG" "SET" settings];

            /// `CONFIG RESETSTAT`: begins the server's statistics anew.
            ///
            /// O(1), since 2.0.0.
            fn config_resetstat() -> () = ["CONFIG" "RESETSTAT"];

            /// `CONFIG REWRITE`: writes the settings into the file that the server was started with.
            ///
            /// O(1), since 2.8.0.
            fn config_rewrite() -> () = ["CONFIG" "REWRITE"];

            /// `SAVE`: writes the database to disk, and does nothing else meanwhile.
            ///
            /// O(number of keys), since 1.0.0.
            fn save() -> () = ["SAVE"];

            /// `BGSAVE`: writes the database to disk in the background; what the server says to that. An error if it
            /// does so already.
            ///
            /// O(1), since 1.0.0.
            fn bgsave() -> String = ["BGSAVE"];

            /// `BGSAVE SCHEDULE`: as [`bgsave`](Commands::bgsave), and later while the append-only file is written
            /// anew.
            ///
            /// O(1), since 3.2.2.
            fn bgsave_schedule() -> String = ["BGSAVE" "SCHEDULE"];

            /// `BGSAVE CANCEL`: ends or calls off a write in the background; an error if there is none.
            ///
            /// O(1), since Valkey 8.1.
            fn bgsave_cancel() -> String = ["BGSAVE" "CANCEL"];

            /// `BGREWRITEAOF`: writes the append-only file anew in the background; what the server says to that.
            ///
            /// O(1), since 1.0.0.
            fn bgrewriteaof() -> String = ["BGREWRITEAOF"];

            /// `LASTSAVE`: the Unix time in seconds of the last write to disk that succeeded.
            ///
            /// O(1), since 1.0.0.
            fn lastsave() -> i64 = ["LASTSAVE"];

            /// `SHUTDOWN`: ends the server, which writes to disk first if it is configured to. There is no answer: it
            /// worked if the connection is lost ([`may_have_run`](crate::Error::may_have_run)). What is asked later
            /// waits for the server's return.
            ///
            /// O(number of keys), since 1.0.0.
            fn shutdown() -> () = ["SHUTDOWN"];

            /// `SHUTDOWN` with options. There is no answer: see [`shutdown`](Commands::shutdown).
            ///
            /// O(number of keys), since 1.0.0.
            fn shutdown_with(options: ShutdownOptions) -> () = ["SHUTDOWN" options];

            /// `SHUTDOWN ABORT`: calls off an end that still waits for replicas; an error if there is none.
            ///
            /// O(1), since 7.0.0.
            fn shutdown_abort() -> () = ["SHUTDOWN" "ABORT"];

            /// `ROLE`: the server's part in replication: `master`, its offset and its replicas as `(String, i64,
            /// Vec<(String, String, String)>)`, or `slave` with its primary, the link's state and the offset as
            /// `(String, String, i64, String, i64)`; [`Value`](crate::Value) takes either.
            ///
            /// O(1), since 2.8.12.
            fn role[T]() -> T = ["ROLE"];

            /// `REPLICAOF`: makes the server a replica of another one. Its own keys are lost.
            ///
            /// O(1), since 5.0.0.
            fn replicaof(host: impl ToArg, port: u16) -> () = ["REPLICAOF" host port];

            /// `REPLICAOF NO ONE`: makes the server a primary, with the keys that it has.
            ///
            /// O(1), since 5.0.0.
            fn replicaof_no_one() -> () = ["REPLICAOF" "NO" "ONE"];

            /// `SLAVEOF`: as [`replicaof`](Commands::replicaof). Deprecated by the server in favour of it.
            ///
            /// O(1), since 1.0.0.
            fn slaveof(host: impl ToArg, port: u16) -> () = ["SLAVEOF" host port];

            /// `SLAVEOF NO ONE`: as [`replicaof_no_one`](Commands::replicaof_no_one). Deprecated by the server in
            /// favour of it.
            ///
            /// O(1), since 1.0.0.
            fn slaveof_no_one() -> () = ["SLAVEOF" "NO" "ONE"];

            /// `FAILOVER`: changes parts with a replica, once it has all that was written. It is answered when that has
            /// begun.
            ///
            /// O(1), since 6.2.0.
            fn failover() -> () = ["FAILOVER"];

            /// `FAILOVER` with options: to a certain replica, within a time.
            ///
            /// O(1), since 6.2.0.
            fn failover_with(options: FailoverOptions) -> () = ["FAILOVER" options];

            /// `FAILOVER ABORT`: calls off a failover that has begun.
            ///
            /// O(1), since 6.2.0.
            fn failover_abort() -> () = ["FAILOVER" "ABORT"];

            /// `COMMAND`: all commands of the server, each with its arity, flags, key positions and more: `Vec<Value>`.
            ///
            /// O(number of commands), since 2.8.13.
            fn command[T]() -> T = ["COMMAND"];

            /// `COMMAND COUNT`: how many commands the server has.
            ///
            /// O(1), since 2.8.13.
            fn command_count() -> i64 = ["COMMAND" "COUNT"];

            /// `COMMAND LIST`: the names of all commands.
            ///
            /// O(number of commands), since 7.0.0.
            fn command_list() -> Vec<String> = ["COMMAND" "LIST"];

            /// `COMMAND LIST FILTERBY`: the names of some commands.
            ///
            /// O(number of commands), since 7.0.0.
            fn command_list_with(options: CommandListOptions) -> Vec<String> = ["COMMAND" "LIST" options];

            /// `COMMAND INFO`: what [`command`](Commands::command) tells, of some commands: `Vec<Value>`, nil for an
            /// unknown one.
            ///
            /// O(number of commands), since 2.8.13.
            fn command_info[T]<S>(names: impl ToArgs<S>) -> T = ["COMMAND" "INFO" names];

            /// `COMMAND DOCS`: the documentation of commands, `HashMap<String, Value>`; unknown ones are left out.
            ///
            /// O(number of commands), since 7.0.0.
            fn command_docs[T]<S>(names: impl ToArgs<S>) -> T = ["COMMAND" "DOCS" names];

            /// `COMMAND GETKEYS`: the keys in a command that is given in full, `["MSET", "a", "1"]`; an error if it has
            /// none.
            ///
            /// O(number of words), since 2.8.13.
            fn command_getkeys[T]<S>(words: impl ToArgs<S>) -> T = ["COMMAND" "GETKEYS" words];

            /// `COMMAND GETKEYSANDFLAGS`: the keys in a command that is given in full, each with what is done with it:
            /// `Vec<(String, Vec<String>)>`.
            ///
            /// O(number of words), since 7.0.0.
            fn command_getkeysandflags[T]<S>(words: impl ToArgs<S>) -> T = ["COMMAND" "GETKEYSANDFLAGS" words];

            /// `MODULE LIST`: the modules that the server has loaded, `Vec<HashMap<String, Value>>`.
            ///
            /// O(number of modules), since 4.0.0.
            fn module_list[T]() -> T = ["MODULE" "LIST"];

            /// `MODULE LOAD`: loads a module from a file on the server, which must allow it.
            ///
            /// O(1), since 4.0.0.
            fn module_load<S>(path: impl ToArg, args: impl ToArgs<S>) -> () = ["MODULE" "LOAD" path args];

            /// `MODULE LOADEX`: loads a module from a file on the server with settings of its own.
            ///
            /// O(1), since 7.0.0.
            fn module_loadex(path: impl ToArg, options: ModuleLoadexOptions) -> () = ["MODULE" "LOADEX" path options];

            /// `MODULE UNLOAD`: takes a module out.
            ///
            /// O(1), since 4.0.0.
            fn module_unload(name: impl ToArg) -> () = ["MODULE" "UNLOAD" name];

            /// `LOLWUT`: a picture, and the server's version.
            ///
            /// O(1), since 5.0.0.
            fn lolwut() -> String = ["LOLWUT"];
        }
    };
}

pub(super) use table;

options! {
    /// Options of [`shutdown_with`](super::Commands::shutdown_with).
    pub struct ShutdownOptions {
        save {
            /// Without writing to disk, also where that is configured.
            fn nosave() = ["NOSAVE"];

            /// Writes to disk, also where that is not configured.
            fn save() = ["SAVE"];
        }
        now {
            /// Without waiting for replicas that lag behind. Since 7.0.0.
            fn now() = ["NOW"];
        }
        force {
            /// Also if writing to disk fails. Since 7.0.0.
            fn force() = ["FORCE"];
        }
        safe {
            /// Not where it would lose data: a primary with slots of a cluster stays. Since Valkey 9.0.
            fn safe() = ["SAFE"];
        }
        failover {
            /// A primary of a cluster has a replica take over first. Since Valkey 9.0.
            fn failover() = ["FAILOVER"];
        }
    }

    /// Options of [`failover_with`](super::Commands::failover_with).
    pub struct FailoverOptions {
        target {
            /// To this replica.
            fn to(host: impl ToArg, port: u16) = ["TO" host port];

            /// To this replica, when the [`timeout`](Self::timeout) is over even if it does not have all.
            fn to_by_force(host: impl ToArg, port: u16) = ["TO" host port "FORCE"];
        }
        timeout {
            /// How long it may take; it is called off then.
            fn timeout(time: Duration) = ["TIMEOUT" (Milliseconds(time))];
        }
    }

    /// Which commands [`command_list_with`](super::Commands::command_list_with) lists.
    pub struct CommandListOptions {
        filter {
            /// Those of a module.
            fn module(name: impl ToArg) = ["FILTERBY" "MODULE" name];

            /// Those of an ACL category.
            fn aclcat(category: impl ToArg) = ["FILTERBY" "ACLCAT" category];

            /// Those whose names match.
            fn pattern(pattern: impl ToArg) = ["FILTERBY" "PATTERN" pattern];
        }
    }

    /// Options of [`module_loadex`](super::Commands::module_loadex).
    pub struct ModuleLoadexOptions {
        config {
            /// A setting of the module; several calls, several settings.
            fn config(name: impl ToArg, value: impl ToArg) += ["CONFIG" name value];
        }
        args {
            /// The module's arguments.
            fn args<S>(args: impl ToArgs<S>) = ["ARGS" args];
        }
    }
}
