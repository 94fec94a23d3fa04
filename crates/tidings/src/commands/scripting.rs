//! Scripts and functions.

use tidings_proto::ToArg;

use super::args::{choices, options};

/// The table of scripting commands.
macro_rules! table {
    ($emit:ident) => {
        $emit! {
            /// `EVAL`: runs a script in Lua, with keys and other arguments (`None` for none of them).
            ///
            /// ```no_run
            /// # async fn example(client: tidings::Client) -> tidings::Result<()> {
            /// use tidings::Commands;
            ///
            /// let script = "return redis.call('INCRBY', KEYS[1], ARGV[1])";
            /// let seen: i64 = client.eval(script, ["seen"], [2]).await?;
            /// let one: i64 = client.eval("return 1", None::<&str>, None::<&str>).await?;
            /// # Ok(())
            /// # }
            /// ```
            ///
            /// As the script, since 2.6.0.
            fn eval[T]<K, A>(script: impl ToArg, keys: impl ToArgs<K>, args: impl ToArgs<A>) -> T
                = ["EVAL" script (Counted(keys)) args];

            /// `EVAL_RO`: as [`eval`](Commands::eval), for a script that writes nothing; also replicas run it.
            ///
            /// As the script, since 7.0.0.
            fn eval_ro[T]<K, A>(script: impl ToArg, keys: impl ToArgs<K>, args: impl ToArgs<A>) -> T
                = ["EVAL_RO" script (Counted(keys)) args];

            /// `EVALSHA`: runs a script that the server has, by the hash that [`script_load`](Commands::script_load)
            /// gave. An error with the code `NOSCRIPT` if it does not have it.
            ///
            /// As the script, since 2.6.0.
            fn evalsha[T]<K, A>(hash: impl ToArg, keys: impl ToArgs<K>, args: impl ToArgs<A>) -> T
                = ["EVALSHA" hash (Counted(keys)) args];

            /// `EVALSHA_RO`: as [`evalsha`](Commands::evalsha), for a script that writes nothing; also replicas run it.
            ///
            /// As the script, since 7.0.0.
            fn evalsha_ro[T]<K, A>(hash: impl ToArg, keys: impl ToArgs<K>, args: impl ToArgs<A>) -> T
                = ["EVALSHA_RO" hash (Counted(keys)) args];

            /// `SCRIPT LOAD`: gives the server a script to keep; its hash. It is not run.
            ///
            /// O(length of the script), since 2.6.0.
            fn script_load(script: impl ToArg) -> String = ["SCRIPT" "LOAD" script];

            /// `SCRIPT EXISTS`: whether the server has the scripts, in the order asked.
            ///
            /// O(number of hashes), since 2.6.0.
            fn script_exists<S>(hashes: impl ToArgs<S>) -> Vec<bool> = ["SCRIPT" "EXISTS" hashes];

            /// `SCRIPT SHOW`: the text of a script that the server has.
            ///
            /// O(1), since Valkey 8.0.
            fn script_show(hash: impl ToArg) -> String = ["SCRIPT" "SHOW" hash];

            /// `SCRIPT FLUSH`: forgets all scripts.
            ///
            /// O(number of scripts), since 2.6.0.
            fn script_flush() -> () = ["SCRIPT" "FLUSH"];

            /// `SCRIPT FLUSH ASYNC`: forgets all scripts and frees their memory in the background.
            ///
            /// O(number of scripts), since 6.2.0.
            fn script_flush_async() -> () = ["SCRIPT" "FLUSH" "ASYNC"];

            /// `SCRIPT FLUSH SYNC`: forgets all scripts and frees their memory before it answers, whatever the server
            /// is configured to.
            ///
            /// O(number of scripts), since 6.2.0.
            fn script_flush_sync() -> () = ["SCRIPT" "FLUSH" "SYNC"];

            /// `SCRIPT KILL`: ends the script that is running; an error if none is, or it has written already.
            ///
            /// O(1), since 2.6.0.
            fn script_kill() -> () = ["SCRIPT" "KILL"];

            /// `FCALL`: calls a function of a library, with keys and other arguments (`None` for none of them).
            ///
            /// As the function, since 7.0.0.
            fn fcall[T]<K, A>(function: impl ToArg, keys: impl ToArgs<K>, args: impl ToArgs<A>) -> T
                = ["FCALL" function (Counted(keys)) args];

            /// `FCALL_RO`: as [`fcall`](Commands::fcall), for a function that says that it writes nothing; also
            /// replicas run it.
            ///
            /// As the function, since 7.0.0.
            fn fcall_ro[T]<K, A>(function: impl ToArg, keys: impl ToArgs<K>, args: impl ToArgs<A>) -> T
                = ["FCALL_RO" function (Counted(keys)) args];

            /// `FUNCTION LOAD`: gives the server a library, which begins with `#!lua name=…`; its name. An error if it
            /// is there.
            ///
            /// O(length of the library), since 7.0.0.
            fn function_load(code: impl ToArg) -> String = ["FUNCTION" "LOAD" code];

            /// `FUNCTION LOAD REPLACE`: gives the server a library, over one of that name; its name.
            ///
            /// O(length of the library), since 7.0.0.
            fn function_load_replace(code: impl ToArg) -> String = ["FUNCTION" "LOAD" "REPLACE" code];

            /// `FUNCTION LIST`: the libraries and their functions, `Vec<HashMap<String, Value>>`.
            ///
            /// O(number of functions), since 7.0.0.
            fn function_list[T]() -> T = ["FUNCTION" "LIST"];

            /// `FUNCTION LIST` with options: some libraries, or their code too.
            ///
            /// O(number of functions), since 7.0.0.
            fn function_list_with[T](options: FunctionListOptions) -> T = ["FUNCTION" "LIST" options];

            /// `FUNCTION DELETE`: removes a library.
            ///
            /// O(1), since 7.0.0.
            fn function_delete(library: impl ToArg) -> () = ["FUNCTION" "DELETE" library];

            /// `FUNCTION FLUSH`: removes all libraries.
            ///
            /// O(number of functions), since 7.0.0.
            fn function_flush() -> () = ["FUNCTION" "FLUSH"];

            /// `FUNCTION FLUSH ASYNC`: removes all libraries and frees their memory in the background.
            ///
            /// O(number of functions), since 7.0.0.
            fn function_flush_async() -> () = ["FUNCTION" "FLUSH" "ASYNC"];

            /// `FUNCTION FLUSH SYNC`: removes all libraries and frees their memory before it answers, whatever the
            /// server is configured to.
            ///
            /// O(number of functions), since 7.0.0.
            fn function_flush_sync() -> () = ["FUNCTION" "FLUSH" "SYNC"];

            /// `FUNCTION DUMP`: all libraries as bytes that [`function_restore`](Commands::function_restore) takes,
            /// `Bytes`.
            ///
            /// O(number of functions), since 7.0.0.
            fn function_dump[T]() -> T = ["FUNCTION" "DUMP"];

            /// `FUNCTION RESTORE`: adds the libraries of a dump; an error if one of them is there.
            ///
            /// O(number of functions), since 7.0.0.
            fn function_restore(dump: impl ToArg) -> () = ["FUNCTION" "RESTORE" dump];

            /// `FUNCTION RESTORE` with a policy for libraries that are there.
            ///
            /// O(number of functions), since 7.0.0.
            fn function_restore_with(dump: impl ToArg, policy: RestorePolicy) -> ()
                = ["FUNCTION" "RESTORE" dump policy];

            /// `FUNCTION STATS`: the function that is running and the engines, `HashMap<String, Value>`.
            ///
            /// O(1), since 7.0.0.
            fn function_stats[T]() -> T = ["FUNCTION" "STATS"];

            /// `FUNCTION KILL`: ends the function that is running; an error if none is, or it has written already.
            ///
            /// O(1), since 7.0.0.
            fn function_kill() -> () = ["FUNCTION" "KILL"];
        }
    };
}

pub(super) use table;

options! {
    /// Options of [`function_list_with`](super::Commands::function_list_with).
    pub struct FunctionListOptions {
        name {
            /// Only libraries whose names match.
            fn libraryname(pattern: impl ToArg) = ["LIBRARYNAME" pattern];
        }
        code {
            /// With the code of each.
            fn withcode() = ["WITHCODE"];
        }
    }
}

choices! {
    /// What becomes of libraries that are there, for [`function_restore_with`](super::Commands::function_restore_with).
    pub enum RestorePolicy {
        /// All of them are removed first.
        Flush = "FLUSH",
        /// Nothing: one of a name that is there is an error.
        Append = "APPEND",
        /// Those of the same names are replaced.
        Replace = "REPLACE",
    }
}
