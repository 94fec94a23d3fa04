//! Commands about keys, whatever their values are.

/// The table of key commands.
macro_rules! table {
    ($emit:ident) => {
        $emit! {
            /// `DEL`: removes keys; how many there were.
            ///
            /// O(number of keys and of the elements in them), since 1.0.0.
            fn del<S>(keys: impl ToArgs<S>) -> i64 = ["DEL" keys];

            /// `UNLINK`: removes keys and frees their memory in the background; how many there were.
            ///
            /// O(number of keys), since 4.0.0.
            fn unlink<S>(keys: impl ToArgs<S>) -> i64 = ["UNLINK" keys];

            /// `EXISTS`: how many of the keys exist; one named twice counts twice.
            ///
            /// O(number of keys), since 1.0.0.
            fn exists<S>(keys: impl ToArgs<S>) -> i64 = ["EXISTS" keys];

            /// `EXPIRE`: removes the key after so many seconds; `false` if there is no such key.
            ///
            /// O(1), since 1.0.0.
            fn expire(key: impl ToArg, seconds: i64) -> bool = ["EXPIRE" key seconds];

            /// `PEXPIRE`: removes the key after so many milliseconds; `false` if there is no such key.
            ///
            /// O(1), since 2.6.0.
            fn pexpire(key: impl ToArg, milliseconds: i64) -> bool = ["PEXPIRE" key milliseconds];

            /// `PERSIST`: keeps the key for good; `false` if it was not to expire.
            ///
            /// O(1), since 2.2.0.
            fn persist(key: impl ToArg) -> bool = ["PERSIST" key];

            /// `TTL`: the seconds until the key expires; -1 if it does not, -2 if there is none.
            ///
            /// O(1), since 1.0.0.
            fn ttl(key: impl ToArg) -> i64 = ["TTL" key];

            /// `PTTL`: the milliseconds until the key expires; -1 if it does not, -2 if there is none.
            ///
            /// O(1), since 2.6.0.
            fn pttl(key: impl ToArg) -> i64 = ["PTTL" key];

            /// `TYPE`: `string`, `list`, `set`, `zset`, `hash`, `stream`, or `none`.
            ///
            /// O(1), since 1.0.0.
            fn key_type(key: impl ToArg) -> String = ["TYPE" key];

            /// `RENAME`: gives a key another name, over one that has it already.
            ///
            /// O(1), beside the removal of what had the name; since 1.0.0.
            fn rename(key: impl ToArg, name: impl ToArg) -> () = ["RENAME" key name];

            /// `KEYS`: all keys that match the pattern. It holds the server up; not for production.
            ///
            /// O(number of keys in the database), since 1.0.0.
            fn keys[T](pattern: impl ToArg) -> T = ["KEYS" pattern];
        }
    };
}

pub(super) use table;
