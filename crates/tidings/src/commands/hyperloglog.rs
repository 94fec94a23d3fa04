//! Commands about HyperLogLogs, which estimate how many different elements they were given.

/// The table of hyperloglog commands.
macro_rules! table {
    ($emit:ident) => {
        $emit! {
            /// `PFADD`: adds elements to a HyperLogLog; whether its estimate may have changed. Without elements the key
            /// is made if there is none.
            ///
            /// O(number of elements), since 2.8.9.
            fn pfadd<S>(key: impl ToArg, elements: impl ToArgs<S>) -> bool = ["PFADD" key elements];

            /// `PFCOUNT`: about how many different elements were added to the keys together, within 0.81 % as a rule.
            ///
            /// O(1) for one key, O(number of keys) for several, since 2.8.9.
            fn pfcount<S>(keys: impl ToArgs<S>) -> i64 = ["PFCOUNT" keys];

            /// `PFMERGE`: adds to a HyperLogLog all that was added to others.
            ///
            /// O(number of keys), since 2.8.9.
            fn pfmerge<S>(destination: impl ToArg, sources: impl ToArgs<S>) -> () = ["PFMERGE" destination sources];
        }
    };
}

pub(super) use table;
