//! Commands about single bits, and integers of any width, in string values.

use tidings_proto::ToArg;

use super::args::options;

/// The table of bitmaps commands.
macro_rules! table {
    ($emit:ident) => {
        $emit! {
            /// `SETBIT`: sets or clears a bit; what it was.
            ///
            /// O(1), since 2.2.0.
            fn setbit(key: impl ToArg, offset: u64, bit: bool) -> bool = ["SETBIT" key offset (Bit(bit))];

            /// `GETBIT`: a bit; those beyond the end are `false`.
            ///
            /// O(1), since 2.2.0.
            fn getbit(key: impl ToArg, offset: u64) -> bool = ["GETBIT" key offset];

            /// `BITCOUNT`: how many bits are set.
            ///
            /// O(length of the value), since 2.6.0.
            fn bitcount(key: impl ToArg) -> i64 = ["BITCOUNT" key];

            /// `BITCOUNT` of a part of the value.
            ///
            /// O(length of the part), since 2.6.0.
            fn bitcount_with(key: impl ToArg, options: BitcountOptions) -> i64 = ["BITCOUNT" key options];

            /// `BITPOS`: where the first bit is that is set, or clear; -1 if there is none. A value ends in clear bits
            /// without end.
            ///
            /// O(length of the value), since 2.8.7.
            fn bitpos(key: impl ToArg, bit: bool) -> i64 = ["BITPOS" key (Bit(bit))];

            /// `BITPOS` in a part of the value. The position is counted from the value's begin; a part that has an end
            /// ends there.
            ///
            /// O(length of the part), since 2.8.7.
            fn bitpos_with(key: impl ToArg, bit: bool, options: BitposOptions) -> i64
                = ["BITPOS" key (Bit(bit)) options];

            /// `BITOP AND`: the bits that are set in all values, into another key; the length of what it holds then.
            ///
            /// O(length of the values), since 2.6.0.
            fn bitop_and<S>(destination: impl ToArg, keys: impl ToArgs<S>) -> i64 = ["BITOP" "AND" destination keys];

            /// `BITOP OR`: the bits that are set in any of the values, into another key; the length of what it holds
            /// then.
            ///
            /// O(length of the values), since 2.6.0.
            fn bitop_or<S>(destination: impl ToArg, keys: impl ToArgs<S>) -> i64 = ["BITOP" "OR" destination keys];

            /// `BITOP XOR`: the bits that are set in an odd number of the values, into another key; the length of what
            /// it holds then.
            ///
            /// O(length of the values), since 2.6.0.
            fn bitop_xor<S>(destination: impl ToArg, keys: impl ToArgs<S>) -> i64 = ["BITOP" "XOR" destination keys];

            /// `BITOP NOT`: the bits that are not set in the value, into another key; the length of what it holds then.
            ///
            /// O(length of the value), since 2.6.0.
            fn bitop_not(destination: impl ToArg, key: impl ToArg) -> i64 = ["BITOP" "NOT" destination key];

            /// `BITFIELD`: reads and writes integers of any width within a value; what each operation gives, `None` for
            /// one that would overflow and was told to fail.
            ///
            /// ```no_run
            /// # async fn example(client: tidings::Client) -> tidings::Result<()> {
            /// use tidings::{Commands, options::BitfieldOperations};
            ///
            /// // An unsigned number of 8 bits at bit 0, and the third signed one of 5 bits.
            /// let operations = BitfieldOperations::new().incrby("u8", 0, 1).get("i5", "#2");
            /// let numbers: Vec<Option<i64>> = client.bitfield("counters", operations).await?;
            /// # Ok(())
            /// # }
            /// ```
            ///
            /// O(1) an operation, since 3.2.0.
            fn bitfield(key: impl ToArg, operations: BitfieldOperations) -> Vec<Option<i64>>
                = ["BITFIELD" key operations];

            /// `BITFIELD_RO`: reads integers of any width within a value; also replicas run it.
            ///
            /// O(1) an integer, since 6.0.0.
            fn bitfield_ro(key: impl ToArg, reads: BitfieldReads) -> Vec<i64> = ["BITFIELD_RO" key reads];
        }
    };
}

pub(super) use table;

options! {
    /// The part of a value for [`bitcount_with`](super::Commands::bitcount_with): both ends are included, and negative
    /// ones count from the value's end.
    pub struct BitcountOptions {
        range {
            /// From one byte to another.
            fn bytes(start: i64, end: i64) = [start end];

            /// From one bit to another. Since 7.0.0.
            fn bits(start: i64, end: i64) = [start end "BIT"];
        }
    }

    /// The part of a value for [`bitpos_with`](super::Commands::bitpos_with): both ends are included, and negative ones
    /// count from the value's end.
    pub struct BitposOptions {
        range {
            /// From a byte on.
            fn start(start: i64) = [start];

            /// From one byte to another.
            fn bytes(start: i64, end: i64) = [start end];

            /// From one bit to another. Since 7.0.0.
            fn bits(start: i64, end: i64) = [start end "BIT"];
        }
    }

    ///
    /// What [`bitfield`](super::Commands::bitfield) does, in order.
    ///
    /// An encoding is `u` or `i` for unsigned or signed numbers, and the number of bits: `u8`, `i64`; up to `u63`. An
    /// offset is a number of bits, or of integers of that encoding if it begins with `#`: `"#2"`.
    pub struct BitfieldOperations {
        operations {
            /// The integer.
            fn get(encoding: impl ToArg, offset: impl ToArg) += ["GET" encoding offset];

            /// Sets the integer; what it was.
            fn set(encoding: impl ToArg, offset: impl ToArg, value: i64) += ["SET" encoding offset value];

            /// Adds to the integer; what it is then.
            fn incrby(encoding: impl ToArg, offset: impl ToArg, by: i64) += ["INCRBY" encoding offset by];

            /// What follows wraps around when it overflows, as without.
            fn overflow_wrap() += ["OVERFLOW" "WRAP"];

            /// What follows stops at the least or the greatest number.
            fn overflow_sat() += ["OVERFLOW" "SAT"];

            /// What follows does nothing if it would overflow, and gives `None`.
            fn overflow_fail() += ["OVERFLOW" "FAIL"];
        }
    }

    /// What [`bitfield_ro`](super::Commands::bitfield_ro) reads, in order. For encodings and offsets see
    /// [`BitfieldOperations`].
    pub struct BitfieldReads {
        reads {
            /// The integer.
            fn get(encoding: impl ToArg, offset: impl ToArg) += ["GET" encoding offset];
        }
    }
}
