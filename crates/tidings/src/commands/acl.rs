//! Commands about users and what they may do.

/// The table of acl commands.
macro_rules! table {
    ($emit:ident) => {
        $emit! {
            /// `ACL WHOAMI`: the name of the user that this client is.
            ///
            /// O(1), since 6.0.0.
            fn acl_whoami() -> String = ["ACL" "WHOAMI"];

            /// `ACL USERS`: the names of all users.
            ///
            /// O(number of users), since 6.0.0.
            fn acl_users() -> Vec<String> = ["ACL" "USERS"];

            /// `ACL LIST`: all users with their rules, as in an ACL file.
            ///
            /// O(number of users), since 6.0.0.
            fn acl_list() -> Vec<String> = ["ACL" "LIST"];

            /// `ACL GETUSER`: what a user may do, `Option<HashMap<String, Value>>`: `flags`, `passwords` (hashed),
            /// `commands`, `keys`, `channels`, `selectors`.
            ///
            /// O(number of rules), since 6.0.0.
            fn acl_getuser[T](user: impl ToArg) -> T = ["ACL" "GETUSER" user];

            /// `ACL SETUSER`: makes or changes a user by rules such as `on`, `>password`, `~key*`, `&channel*`, `+get`.
            /// Connections that lose a channel by it are closed.
            ///
            /// O(number of rules), since 6.0.0.
            fn acl_setuser<S>(user: impl ToArg, rules: impl ToArgs<S>) -> () = ["ACL" "SETUSER" user rules];

            /// `ACL DELUSER`: removes users and closes their connections; how many there were.
            ///
            /// O(number of users), since 6.0.0.
            fn acl_deluser<S>(users: impl ToArgs<S>) -> i64 = ["ACL" "DELUSER" users];

            /// `ACL DRYRUN`: whether a user may run a command, which is given in full and not run: `OK`, or why not.
            ///
            /// O(1), since 7.0.0.
            fn acl_dryrun<S>(user: impl ToArg, words: impl ToArgs<S>) -> String = ["ACL" "DRYRUN" user words];

            /// `ACL CAT`: the categories of commands.
            ///
            /// O(1), since 6.0.0.
            fn acl_cat() -> Vec<String> = ["ACL" "CAT"];

            /// `ACL CAT` of a category: the commands in it.
            ///
            /// O(1), since 6.0.0.
            fn acl_cat_of(category: impl ToArg) -> Vec<String> = ["ACL" "CAT" category];

            /// `ACL GENPASS`: a random password of 64 hexadecimal digits.
            ///
            /// O(1), since 6.0.0.
            fn acl_genpass() -> String = ["ACL" "GENPASS"];

            /// `ACL GENPASS` of so many random bits, in hexadecimal digits.
            ///
            /// O(1), since 6.0.0.
            fn acl_genpass_bits(bits: i64) -> String = ["ACL" "GENPASS" bits];

            /// `ACL LOG`: the last commands and log-ins that were refused, `Vec<HashMap<String, Value>>`.
            ///
            /// O(number of entries), since 6.0.0.
            fn acl_log[T]() -> T = ["ACL" "LOG"];

            /// `ACL LOG` of so many entries at most.
            ///
            /// O(number of entries), since 6.0.0.
            fn acl_log_count[T](count: i64) -> T = ["ACL" "LOG" count];

            /// `ACL LOG RESET`: forgets all entries.
            ///
            /// O(number of entries), since 6.0.0.
            fn acl_log_reset() -> () = ["ACL" "LOG" "RESET"];

            /// `ACL LOAD`: reads the users from the ACL file anew, all or none; an error if there is no file.
            ///
            /// O(number of users), since 6.0.0.
            fn acl_load() -> () = ["ACL" "LOAD"];

            /// `ACL SAVE`: writes the users into the ACL file; an error if there is none.
            ///
            /// O(number of users), since 6.0.0.
            fn acl_save() -> () = ["ACL" "SAVE"];
        }
    };
}

pub(super) use table;
