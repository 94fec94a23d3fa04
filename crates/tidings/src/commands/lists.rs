//! Commands about lists.

use super::args::{choices, options};

choices! {
    /// An end of a list.
    pub enum Side {
        /// The beginning, where index 0 is.
        Left = "LEFT",
        /// The end, where index -1 is.
        Right = "RIGHT",
    }

    /// Where [`linsert`](crate::Commands::linsert) puts the new element.
    pub enum Place {
        /// On the left of the pivot.
        Before = "BEFORE",
        /// On the right of the pivot.
        After = "AFTER",
    }
}

options! {
    /// Options of [`lpos_with`](crate::Commands::lpos_with) and [`lpos_count`](crate::Commands::lpos_count).
    pub struct LposOptions {
        rank {
            /// Which match is the first to tell of: 1 is the first one, 2 the second one; -1 the last one, and the
            /// search then goes from right to left.
            fn rank(rank: i64) = ["RANK" rank];
        }
        maxlen {
            /// Looks at so many elements at most; 0 is all.
            fn maxlen(elements: u64) = ["MAXLEN" elements];
        }
    }
}

/// The table of list commands.
macro_rules! table {
    ($emit:ident) => {
        $emit! {
            /// `LPUSH`: adds elements on the left, one after another, so that the last one comes first; the length
            /// then.
            ///
            /// O(number of elements), since 1.0.0; several elements since 2.4.0.
            fn lpush<S>(key: impl ToArg, elements: impl ToArgs<S>) -> i64 = ["LPUSH" key elements];

            /// `RPUSH`: adds elements on the right; the length then.
            ///
            /// O(number of elements), since 1.0.0; several elements since 2.4.0.
            fn rpush<S>(key: impl ToArg, elements: impl ToArgs<S>) -> i64 = ["RPUSH" key elements];

            /// `LPUSHX`: as [`lpush`](Commands::lpush) if there is such a list; the length then, 0 if there is none.
            ///
            /// O(number of elements), since 2.2.0; several elements since 4.0.0.
            fn lpushx<S>(key: impl ToArg, elements: impl ToArgs<S>) -> i64 = ["LPUSHX" key elements];

            /// `RPUSHX`: as [`rpush`](Commands::rpush) if there is such a list; the length then, 0 if there is none.
            ///
            /// O(number of elements), since 2.2.0; several elements since 4.0.0.
            fn rpushx<S>(key: impl ToArg, elements: impl ToArgs<S>) -> i64 = ["RPUSHX" key elements];

            /// `LPOP`: takes the first element; nil if there is none.
            ///
            /// O(1), since 1.0.0.
            fn lpop[T](key: impl ToArg) -> T = ["LPOP" key];

            /// `LPOP … count`: takes so many of the first elements, or all if there are fewer. Nil if there is no such
            /// list, which is an empty `Vec`.
            ///
            /// O(number of elements taken), since 6.2.0.
            fn lpop_count[T](key: impl ToArg, count: u64) -> T = ["LPOP" key count];

            /// `RPOP`: takes the last element; nil if there is none.
            ///
            /// O(1), since 1.0.0.
            fn rpop[T](key: impl ToArg) -> T = ["RPOP" key];

            /// `RPOP … count`: takes so many of the last elements, the last one first, or all if there are fewer. Nil
            /// if there is no such list, which is an empty `Vec`.
            ///
            /// O(number of elements taken), since 6.2.0.
            fn rpop_count[T](key: impl ToArg, count: u64) -> T = ["RPOP" key count];

            /// `LMPOP`: takes an element from the first of the lists that has one: `Option<(String, Vec<String>)>`, the
            /// list's key and the element; nil if all are empty.
            ///
            /// ```no_run
            /// # async fn example(client: tidings::Client) -> tidings::Result<()> {
            /// use tidings::{Commands, options::Side};
            ///
            /// let taken: Option<(String, Vec<String>)> = client.lmpop(["urgent", "normal"], Side::Left).await?;
            /// if let Some((list, jobs)) = taken {
            ///     println!("{jobs:?} of {list}");
            /// }
            /// # Ok(())
            /// # }
            /// ```
            ///
            /// O(number of keys), since 7.0.0.
            fn lmpop[T]<S>(keys: impl ToArgs<S>, side: Side) -> T = ["LMPOP" (Counted(keys)) side];

            /// `LMPOP … COUNT`: as [`lmpop`](Commands::lmpop), with up to so many elements of that one list.
            ///
            /// O(number of keys + number of elements taken), since 7.0.0.
            fn lmpop_count[T]<S>(keys: impl ToArgs<S>, side: Side, count: u64) -> T
                = ["LMPOP" (Counted(keys)) side "COUNT" count];

            /// `LMOVE`: moves an element from an end of one list to an end of another, or of the same; the element, nil
            /// if there is none.
            ///
            /// O(1), since 6.2.0.
            fn lmove[T](source: impl ToArg, destination: impl ToArg, from: Side, to: Side) -> T
                = ["LMOVE" source destination from to];

            /// `RPOPLPUSH`: moves the last element of one list to the beginning of another; the element, nil if there
            /// is none.
            ///
            /// Deprecated by the server in favour of [`lmove`](Commands::lmove).
            ///
            /// O(1), since 1.2.0.
            fn rpoplpush[T](source: impl ToArg, destination: impl ToArg) -> T = ["RPOPLPUSH" source destination];

            /// `LLEN`: the number of elements; 0 if there is no such list.
            ///
            /// O(1), since 1.0.0.
            fn llen(key: impl ToArg) -> i64 = ["LLEN" key];

            /// `LRANGE`: the elements from one index to another, both included. -1 is the last one.
            ///
            /// O(distance from the nearer end + number of elements), since 1.0.0.
            fn lrange[T](key: impl ToArg, start: i64, stop: i64) -> T = ["LRANGE" key start stop];

            /// `LINDEX`: the element at an index, -1 being the last one; nil if there is none.
            ///
            /// O(distance from the nearer end), since 1.0.0.
            fn lindex[T](key: impl ToArg, index: i64) -> T = ["LINDEX" key index];

            /// `LPOS`: the index of the first element that is equal; `None` if there is none.
            ///
            /// O(length of the list), since 6.0.6.
            fn lpos(key: impl ToArg, element: impl ToArg) -> Option<i64> = ["LPOS" key element];

            /// `LPOS` with [options](crate::options::LposOptions).
            ///
            /// O(length of the list), since 6.0.6.
            fn lpos_with(key: impl ToArg, element: impl ToArg, options: LposOptions) -> Option<i64>
                = ["LPOS" key element options];

            /// `LPOS … COUNT`: the indexes of up to so many elements that are equal, or with 0 of all; with
            /// [options](crate::options::LposOptions).
            ///
            /// O(length of the list), since 6.0.6.
            fn lpos_count(key: impl ToArg, element: impl ToArg, count: u64, options: LposOptions) -> Vec<i64>
                = ["LPOS" key element "COUNT" count options];

            /// `LINSERT`: puts an element before or after the first one that is equal to the pivot; the length then, -1
            /// if there is no pivot, 0 if there is no such list.
            ///
            /// O(distance of the pivot from the beginning), since 2.2.0.
            fn linsert(key: impl ToArg, place: Place, pivot: impl ToArg, element: impl ToArg) -> i64
                = ["LINSERT" key place pivot element];

            /// `LSET`: puts another element in the place of the one at an index; an error of the server if there is
            /// none.
            ///
            /// O(length of the list), O(1) at the ends, since 1.0.0.
            fn lset(key: impl ToArg, index: i64, element: impl ToArg) -> () = ["LSET" key index element];

            /// `LREM`: removes so many elements that are equal: from the left, from the right if the count is negative,
            /// or all if it is 0; how many it removed.
            ///
            /// O(length of the list), since 1.0.0.
            fn lrem(key: impl ToArg, count: i64, element: impl ToArg) -> i64 = ["LREM" key count element];

            /// `LTRIM`: keeps only the elements from one index to another, both included.
            ///
            /// O(number of elements removed), since 1.0.0.
            fn ltrim(key: impl ToArg, start: i64, stop: i64) -> () = ["LTRIM" key start stop];

            /// `BLPOP`: takes the first element of the first of the lists that has one, and waits for one if all are
            /// empty: `Option<(String, String)>`, the list's key and the element; nil after `timeout`, never if that
            /// is zero.
            ///
            /// ```no_run
            /// # async fn example(client: tidings::Client) -> tidings::Result<()> {
            /// use std::time::Duration;
            /// use tidings::Commands;
            ///
            /// let job: Option<(String, String)> = client.blpop(["urgent", "normal"], Duration::from_secs(5)).await?;
            /// # Ok(())
            /// # }
            /// ```
            ///
            /// O(number of keys), since 2.0.0.
            fn blpop[T]<S>(keys: impl ToArgs<S>, timeout: Duration) -> T = ["BLPOP" keys (Seconds(timeout))];

            /// `BRPOP`: as [`blpop`](Commands::blpop), with the last element.
            ///
            /// O(number of keys), since 2.0.0.
            fn brpop[T]<S>(keys: impl ToArgs<S>, timeout: Duration) -> T = ["BRPOP" keys (Seconds(timeout))];

            /// `BLMPOP`: as [`lmpop`](Commands::lmpop), and waits for an element if all lists are empty; nil after
            /// `timeout`, never if that is zero.
            ///
            /// O(number of keys), since 7.0.0.
            fn blmpop[T]<S>(keys: impl ToArgs<S>, side: Side, timeout: Duration) -> T
                = ["BLMPOP" (Seconds(timeout)) (Counted(keys)) side];

            /// `BLMPOP … COUNT`: as [`blmpop`](Commands::blmpop), with up to so many elements of one list.
            ///
            /// O(number of keys + number of elements taken), since 7.0.0.
            fn blmpop_count[T]<S>(keys: impl ToArgs<S>, side: Side, count: u64, timeout: Duration) -> T
                = ["BLMPOP" (Seconds(timeout)) (Counted(keys)) side "COUNT" count];

            /// `BLMOVE`: as [`lmove`](Commands::lmove), and waits for an element if there is none; nil after `timeout`,
            /// never if that is zero.
            ///
            /// O(1), since 6.2.0.
            fn blmove[T](source: impl ToArg, destination: impl ToArg, from: Side, to: Side, timeout: Duration) -> T
                = ["BLMOVE" source destination from to (Seconds(timeout))];

            /// `BRPOPLPUSH`: as [`rpoplpush`](Commands::rpoplpush), and waits for an element if there is none; nil
            /// after `timeout`, never if that is zero.
            ///
            /// Deprecated by the server in favour of [`blmove`](Commands::blmove).
            ///
            /// O(1), since 2.2.0.
            fn brpoplpush[T](source: impl ToArg, destination: impl ToArg, timeout: Duration) -> T
                = ["BRPOPLPUSH" source destination (Seconds(timeout))];
        }
    };
}

pub(super) use table;
